"""The base of all variational autoencoders, with the course of their fit."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict, replace
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from .._base import fit_method
from .._data import Source, thread_pool
from .._em import Monitor, Run
from .._messages import interruption_message, warn_of_fresh_start
from .._typing import ArrayLike
from ..decomposition._gaussian import LinearGaussian
from ._autoencoder import Autoencoder
from ._perceptron import ACTIVATIONS
from ._sparse_coding import fit_codes
from ._vae_data import location_and_scale, training_data
from ._vae_fitted import FittedAutoencoder
from ._vae_fitting import Fitted, Fitting, in_nets
from ._vae_observables import Observable
from ._vae_prior import PRIORS
from ._vae_training import Nets, Objective, Training
from ._vae_units import Units


class VariationalAutoencoder(FittedAutoencoder):
    """Base of autoencoders; a subclass defines the observables, the start, and which values are refused."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "prior": [StrOptions(set(PRIORS))],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "encoder_hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left"), None],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "alpha": [Interval(Real, 0.0, None, closed="left")],
        "beta": [Interval(Real, 0.0, None, closed="left")],
        "learning_rate_init": [Interval(Real, 0.0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
    }

    _step_name: ClassVar[str] = "epoch"
    _why_no_criteria: ClassVar[str] = (
        "since the parameters of a decoder with a weight decay count by no agreed rule. Compare models by score, or "
        "importance_weighted_score, of rows that were not fitted, for example by GridSearchCV."
    )
    # Whether the likelihood is that of standardised values, or of the original values.
    _standardises: ClassVar[bool]

    def __init__(
        self,
        n_components: int = 2,
        *,
        prior: str = "gaussian",
        hidden_layer_sizes: Any = (128,),
        encoder_hidden_layer_sizes: Any = None,
        activation: str = "silu",
        alpha: float = 30.0,
        beta: float = 1.0,
        learning_rate_init: float = 0.02,
        batch_size: int = 100,
        max_iter: int = 100,
        shuffle: bool = True,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None:
        self.n_components = n_components
        self.prior = prior
        self.hidden_layer_sizes = hidden_layer_sizes
        self.encoder_hidden_layer_sizes = encoder_hidden_layer_sizes
        self.activation = activation
        self.alpha = alpha
        self.beta = beta
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    @abstractmethod
    def _set_start(self, nets: Nets, linear: LinearGaussian, units: Units) -> Observable:
        """Set the nets to the start of training, and return the observables there."""

    @property
    def _is_closed_form(self) -> bool:
        """Whether a model without hidden layers needs no training, since posteriors and parameters have closed forms."""
        return False

    @property
    def _tied(self) -> bool:
        """Whether all features share one noise variance, if there are noise variances."""
        return True

    @property
    def _ridge(self) -> float:
        """The ridge on noise variances."""
        return 0.0

    def _check_values(self, rows: Source) -> None:
        """Raise ValueError for values outside the observables' support."""

    def _own_attributes(self, model: Autoencoder, units: Units, dtype: Any) -> dict[str, Any]:
        """Fitted attributes of this kind of autoencoder only."""
        return {}

    def _complaints(self, model: Autoencoder) -> list[str]:
        """Reasons not to trust the fit."""
        return []

    # Fitting.

    @fit_method
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the linear model first, then the nets by stochastic gradients, then the parameters in closed form.

        Parameters
        ----------
        X : {array-like, Dask array or frame, RowBlocks} of shape (n_samples, n_features)
            NaN marks missing entries; the likelihood is that of the observed entries.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of k counts as k copies of the row.

        Returns
        -------
        self : object
            The fitted model.

        Raises
        ------
        ValueError
            If there are more components than rows or columns, X holds infinite values or a column without observed entries,
            or an argument is out of range.

        Warns
        -----
        ConvergenceWarning
            If training was interrupted from the keyboard, L-BFGS needs more steps, or a noise variance ended at its lower
            bound.
        """
        hidden = self._hidden_sizes("hidden_layer_sizes")
        before = hidden
        if self.encoder_hidden_layer_sizes is not None:
            before = self._hidden_sizes("encoder_hidden_layer_sizes")
        rows = self._read(X, sample_weight, reset=True)
        largest = min(rows.totals.n_rows, rows.n_features)
        if self.n_components > largest:
            raise ValueError(
                f"n_components={self.n_components} is too large: it must be at most min(n_samples, n_features)={largest}; "
                f"X has n_features={self.n_features_in_}."
            )
        encoder_sizes = [rows.n_features, *before, 2 * self.n_components]
        decoder_sizes = [self.n_components, *hidden, self._kind.n_outputs * rows.n_features]
        # One thread: batches are small, and the same seed gives the same bits.
        with thread_pool(1):
            self._fit_rows(rows, X, sample_weight, encoder_sizes, decoder_sizes)
        return self

    def _fit_rows(
        self,
        rows: Source,
        X: ArrayLike,
        sample_weight: ArrayLike | None,
        encoder_sizes: list[int],
        decoder_sizes: list[int],
    ) -> None:
        """Fit rows to nets of these sizes."""
        is_linear = len(decoder_sizes) == 2 and self._is_closed_form
        sizes = encoder_sizes, decoder_sizes
        fitting, starts, given = self._prepare(rows, X, sample_weight, None if is_linear else sizes)
        # The linear model is evaluated without the hidden layers, which do not contribute to it.
        bare = Nets.of_sizes([encoder_sizes[0], encoder_sizes[-1]], [decoder_sizes[0], decoder_sizes[-1]], self.activation)

        def linear_model(parameters: LinearGaussian) -> Autoencoder:
            observable = self._set_start(bare, parameters, fitting.units)
            return Autoencoder.trained(bare.encoder, bare.decoder, observable, fitting.objective.prior)

        def model_of(run: Run) -> Autoencoder:
            now = run.state.parameters
            return now.model if isinstance(now, Training) else linear_model(now.linear_gaussian)

        attributes_of = partial(self._fitted_attributes, fitting, rows.dtype)
        monitor = Monitor(self, 1, lambda run: attributes_of(fitting.polish(model_of(run)), run), {"X": X})
        candidates = [fitting.polish(linear_model(linear)) for linear in starts]
        if not is_linear:
            rng = np.random.default_rng(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
            nets = Nets.of_sizes(*sizes, self.activation)
            nets.initialise(rng)
            candidates = [replace(candidates[0], model=in_nets(candidates[0].model, nets))]
            observable = self._set_start(nets, starts[0], fitting.units)
            if given is not None:
                nets.vector[:] = np.concatenate([given.encoder.pack(), given.decoder.pack()])
                observable = given.observable.as_trained()
                candidates.append(fitting.polish(given))
            run = self._train(fitting, Training(nets.rounded(), observable, fitting.objective.prior), monitor, rng)
        elif self.prior == "gaussian" and len(starts) == 1:
            run = fitting.run_of(candidates[0])
        else:
            start = max(candidates, key=fitting.value).model.linear_decoder
            run = fit_codes(fitting, start, self.max_iter, monitor.watch(0))
        if run.state.parameters is not None:
            candidates.append(fitting.finish(model_of(run), run))
        best = max(candidates, key=fitting.value)
        messages = self._complaints(best.model)
        if run.interrupted:
            messages = [interruption_message(self, run.n_iter, "step" if is_linear else self._step_name), *messages]
        attributes = {**attributes_of(best, run), "is_linear_": is_linear or best is candidates[0]}
        self._conclude(attributes, messages, monitor)

    def _prepare(
        self, rows: Source, X: ArrayLike, sample_weight: ArrayLike | None, sizes: tuple[list[int], list[int]] | None
    ) -> tuple[Fitting, list[LinearGaussian], Autoencoder | None]:
        """Data and objective, linear models, and the model of the last fit if this fit starts from it."""
        self._check_values(rows)
        data = training_data(rows, X, sample_weight, self._row_bytes(rows.n_features), self._view)
        location, scale = location_and_scale(self, data, rows.dtype)
        given = self._given(*sizes) if self.warm_start and sizes is not None else None
        if given is None and sizes is not None and self.warm_start and hasattr(self, "_autoencoder"):
            warn_of_fresh_start(self, rows.n_features)
        if given is not None:
            location, scale = given[1].location, given[1].scale
        kinds = [self._tied or sizes is not None]
        if not kinds[0] and self._ridge:
            # If factors explain a column completely, factor analysis is the worse start of the two under a ridge.
            kinds.append(True)
        starts = [data.fit_linear(location, scale, self.n_components, tied=tied) for tied in kinds]
        filling = starts[0].mean, starts[0].loadings, starts[0].noise
        units = Units(location, scale, filling, self._standardises)
        if given is not None:
            units = given[1]
        decay = float(self.alpha) / (data.weight + data.empty)
        objective = Objective(float(self.beta), decay, self._tied, self._ridge, PRIORS[self.prior])
        return Fitting(data, units, objective), starts, None if given is None else given[0]

    def _train(self, fitting: Fitting, training: Training, monitor: Monitor, rng: np.random.Generator) -> Run:
        return fitting.train(
            training,
            monitor.watch(0),
            rng,
            batch_size=self.batch_size,
            shuffle=self.shuffle,
            n_epochs=self.max_iter,
            learning_rate=self.learning_rate_init,
        )

    def _given(self, encoder_sizes: list[int], decoder_sizes: list[int]) -> tuple[Autoencoder, Units] | None:
        """The last fit's model and units, if it had these layers, observables and prior."""
        if not hasattr(self, "_autoencoder"):
            return None
        model, units = self._fitted()
        last = (model.encoder.sizes, model.decoder.sizes, type(model.observable), model.prior.name)
        return (model, units) if last == (encoder_sizes, decoder_sizes, self._kind, self.prior) else None

    def _fitted_attributes(self, fitting: Fitting, dtype: Any, fitted: Fitted, run: Run) -> dict[str, Any]:
        """The attributes that ``fit`` sets, as if the run ended here."""
        model, sums = fitted.model, fitted.sums
        terms, elbo = fitting.entropy_sum(sums, model.observable), fitting.elbo(sums, model.observable)
        information = sums.information
        attributes = {
            "_autoencoder": model.state,
            "_units": asdict(fitting.units),
            "mean_": fitting.units.location.astype(dtype),
            "scale_": fitting.units.scale,
            **self._own_attributes(model, fitting.units, dtype),
            "information_": information.astype(dtype),
            "collapsed_": model.prior.has_collapsed(information),
            "lower_bound_": elbo,
            "lower_bounds_": [*run.lower_bounds[:-1], elbo],
            "entropy_sum_": terms,
            "entropy_sums_": [*run.entropy_sums[:-1], terms],
            "stationarity_gap_": terms.value - elbo,
            "n_iter_": max(run.n_iter, 1),
            "converged_": run.converged,
            "is_linear_": False,
        }
        for name, net in (("encoder", model.encoder), ("decoder", model.decoder)):
            attributes[f"{name}_coefs_"] = [coefs.astype(dtype) for coefs in net.coefs]
            attributes[f"{name}_intercepts_"] = [intercepts.astype(dtype) for intercepts in net.intercepts]
            attributes[f"{name}_linear_"] = net.linear.astype(dtype)
        return attributes
