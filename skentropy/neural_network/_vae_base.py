"""What all variational autoencoders share: the course of a fit, and what a user asks of a fitted one."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_array, check_is_fitted

from .._base import Evaluation, LatentVariableModel, list_columns, warn_of_fresh_start
from .._data import Block, Reader, Source, check_output_stays_lazy, check_total_weight, is_dask, thread_pool
from .._em import Run, State
from .._monitor import Monitor
from .._typing import ArrayLike, FloatArray
from ..decomposition._gaussian import LinearGaussian
from . import _vae_rows as vae_rows
from ._autoencoder import Autoencoder, Units
from ._perceptron import ACTIVATIONS
from ._vae_data import TrainingData, location_and_scale, training_data
from ._vae_fitting import Fitted, Fitting, in_nets
from ._vae_observables import Observable
from ._vae_training import Nets, Objective, Training

_FLOATS = (np.float64, np.float32)
# A latent that tells less of the data than this, in nats, has collapsed to its prior.
_COLLAPSED = 0.01


class VariationalAutoencoder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, LatentVariableModel):
    """Base of autoencoders; a subclass says what its observables are, where it starts, and what it must refuse."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
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
    # The model in double precision, as nothing but arrays.
    _autoencoder: dict[str, Any]
    _units: dict[str, Any]
    # Of the constructors.
    n_components: int
    hidden_layer_sizes: Any
    encoder_hidden_layer_sizes: Any
    activation: str
    alpha: float
    beta: float
    learning_rate_init: float
    batch_size: int
    max_iter: int
    shuffle: bool
    warm_start: bool
    random_state: Any

    mean_: FloatArray
    decoder_linear_: FloatArray
    _observable: ClassVar[type[Observable]]
    # Whether observables are Gaussian, so that the linear model that training starts from is the best one of its kind.
    _closed_form: ClassVar[bool]

    @abstractmethod
    def _set_start(self, nets: Nets, linear: LinearGaussian, units: Units) -> Observable:
        """Set nets to where training starts, and return the observables there."""

    @property
    def _tied(self) -> bool:
        """Whether all features have one noise variance, where there are any."""
        return True

    @property
    def _ridge(self) -> float:
        """The ridge on noise variances."""
        return 0.0

    @property
    def _threshold(self) -> float | None:
        """Above which values are 1, where observables are binary."""
        return None

    def _check_values(self, data: TrainingData) -> None:
        """Refuse values that the observables cannot have."""

    def _own_attributes(self, model: Autoencoder, units: Units, dtype: Any) -> dict[str, Any]:
        """Fitted attributes that others do not have."""
        return {}

    def _own_complaints(self, model: Autoencoder) -> list[str]:
        """What is to be warned of."""
        return []

    # Fitting.

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the model: the linear one first, then the nets by stochastic gradients, then what is closed-form.

        Parameters
        ----------
        X : {array-like, Dask array or frame, RowBlocks} of shape (n_samples, n_features)
            NaN means that an entry is missing: the likelihood is that of the others.
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
            If there are more components than rows or columns, X holds infinite values or a column with nothing
            observed, or an argument is out of range.

        Warns
        -----
        ConvergenceWarning
            If training was interrupted from the keyboard, or a noise variance ended on its lower bound.
        """
        hidden = self._hidden_sizes("hidden_layer_sizes")
        before = hidden
        if self.encoder_hidden_layer_sizes is not None:
            before = self._hidden_sizes("encoder_hidden_layer_sizes")
        rows = self._read(X, sample_weight, reset=True)
        largest = min(rows.totals.n_rows, rows.n_features)
        if self.n_components > largest:
            raise ValueError(
                f"n_components={self.n_components} is too large: it must be at most min(n_samples, n_features)={largest}. "
                f"(n_features={self.n_features_in_})"
            )
        encoder_sizes = [rows.n_features, *before, 2 * self.n_components]
        decoder_sizes = [self.n_components, *hidden, rows.n_features]
        # One thread: batches are small, and the same seed gives the same bits.
        with thread_pool(1):
            messages = self._fit_rows(rows, X, sample_weight, encoder_sizes, decoder_sizes)
        for message in messages:
            warnings.warn(message, ConvergenceWarning, stacklevel=2)
        return self

    def _fit_rows(
        self,
        rows: Source,
        X: ArrayLike,
        sample_weight: ArrayLike | None,
        encoder_sizes: list[int],
        decoder_sizes: list[int],
    ) -> list[str]:
        """Set all fitted attributes, and return what is to be warned of."""
        is_linear = len(decoder_sizes) == 2 and self._closed_form
        data = training_data(rows, X, sample_weight, self._row_bytes(rows.n_features), self._threshold)
        location, scale = location_and_scale(data, rows.dtype, partial(list_columns, self))
        self._check_values(data)
        given = self._given(encoder_sizes, decoder_sizes) if self.warm_start and not is_linear else None
        if given is None and not is_linear and self.warm_start and hasattr(self, "_autoencoder"):
            warn_of_fresh_start(self, rows.n_features)
        if given is not None:
            location, scale = given[1].location, given[1].scale
        linear = data.fit_linear(location, scale, self.n_components, tied=self._tied or not is_linear)
        units = Units(location, scale, (linear.mean, linear.loadings, linear.noise), self._closed_form)
        if given is not None:
            units = replace(given[1], threshold=None)  # the data have been compared with it
        decay = float(self.alpha) / (data.weight + data.empty)
        objective = Objective(float(self.beta), decay, self._tied, self._ridge)
        fitting = Fitting(data, units, objective)
        attributes_of = partial(self._fitted_attributes, fitting, rows.dtype)
        monitor = Monitor(self, 1, lambda run: attributes_of(fitting.polish(run.state.parameters.model), run), {"X": X})

        # The linear model alone is judged without the hidden layers, which add nothing to it.
        d, h = rows.n_features, self.n_components
        bare = Nets.of_sizes((d, 2 * h), (h, d), self.activation)
        observable = self._set_start(bare, linear, units)
        best = start = fitting.polish(Autoencoder.trained(bare.encoder, bare.decoder, observable))
        elbo = fitting.elbo(start.sums, start.model.observable)
        run = Run(State(None, None, elbo, elbo), [elbo], [fitting.entropy_sum(start.sums, start.model.observable)], True)
        if not is_linear:
            rng = np.random.default_rng(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
            nets = Nets.of_sizes(encoder_sizes, decoder_sizes, self.activation)
            nets.encoder.initialise(rng)
            nets.decoder.initialise(rng)
            start = replace(start, model=in_nets(start.model, nets))
            self._set_start(nets, linear, units)
            if given is not None:
                nets.vector[:] = np.concatenate([given[0].encoder.pack(), given[0].decoder.pack()])
                observable = given[0].observable.as_trained()
            training = Training(nets.astype(np.float32), observable)
            run = fitting.train(
                training,
                monitor.watch(0),
                rng,
                batch_size=self.batch_size,
                shuffle=self.shuffle,
                n_epochs=self.max_iter,
                learning_rate=self.learning_rate_init,
            )
            candidates = [start, fitting.polish(training.model)]
            if given is not None:
                candidates.append(fitting.polish(given[0]))
            best = max(candidates, key=fitting.value)
        self._replace_fitted({**attributes_of(best, run), "is_linear_": best is start})
        monitor.close()
        return self._own_complaints(best.model)

    def _hidden_sizes(self, name: str) -> list[int]:
        given = getattr(self, name)
        sizes = [given] if isinstance(given, Integral) else list(given)
        if not all(isinstance(size, Integral) and int(size) >= 1 for size in sizes):
            raise ValueError(f"{name}={given!r} must hold positive integers, the sizes of hidden layers.")
        return [int(size) for size in sizes]

    def _read(self, X: ArrayLike, sample_weight: ArrayLike | None = None, *, reset: bool = False) -> Source:
        reader = Reader(sparse="no", dtype="numeric", row_bytes=self._row_bytes)
        return reader.read(self, X, sample_weight, reset=reset, min_samples=2 if reset else 1)

    def _row_bytes(self, n_features: int) -> int:
        widest = max([0, *self._hidden_sizes("hidden_layer_sizes")])
        return vae_rows.row_bytes(self.n_components, widest, n_features)

    def _given(self, encoder_sizes: list[int], decoder_sizes: list[int]) -> tuple[Autoencoder, Units] | None:
        """The last fit's model and its units, if it has these layers."""
        if not hasattr(self, "_autoencoder"):
            return None
        model, units = self._fitted()
        same = (model.encoder.sizes, model.decoder.sizes) == (encoder_sizes, decoder_sizes)
        return (model, units) if same else None

    def _fitted_attributes(self, fitting: Fitting, dtype: Any, fitted: Fitted, run: Run) -> dict[str, Any]:
        """What fit leaves, for a run that is over or as if it were."""
        model, sums = fitted.model, fitted.sums
        terms, elbo = fitting.entropy_sum(sums, model.observable), fitting.elbo(sums, model.observable)
        information = -0.5 * sums.log_variance / sums.weight
        attributes = {
            "_autoencoder": asdict(model),
            "_units": asdict(replace(fitting.units, threshold=self._threshold)),
            "mean_": fitting.units.location.astype(dtype),
            "scale_": fitting.units.scale,
            **self._own_attributes(model, fitting.units, dtype),
            "information_": information.astype(dtype),
            "collapsed_": information < _COLLAPSED,
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

    # The fitted model.

    def _evaluate(self, X: ArrayLike, sample_weight: ArrayLike | None, **row_data: Any) -> Evaluation:
        if row_data:
            raise TypeError(f"{type(self).__name__} takes no {', '.join(row_data)}.")
        model, units = self._fitted()
        rows = self._read(X, sample_weight)
        with thread_pool(1):
            sums = rows.sum(partial(vae_rows.sums, model, units))
        check_total_weight(sums.weight)
        log_jacobian = sums.log_jacobian(units)
        elbo = sums.elbo(model.observable) + log_jacobian
        terms = sums.entropy_sum(model.observable, ridge=0.0, log_jacobian=log_jacobian)
        return Evaluation(elbo, replace(terms, penalty=self._fitted_penalty), sums.weight)

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Weighted mean ELBO of X, a lower bound of its log-likelihood, nats per sample.

        Parameters
        ----------
        X : {array-like, Dask array or frame, RowBlocks} of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
        """
        return super().score(X, y, sample_weight)

    def score_samples(self, X: ArrayLike) -> FloatArray:
        """ELBO of each row, a lower bound of its log-likelihood, in nats; of what is observed where entries are missing.

        Its expectation is taken by 2 H + 1 fixed nodes: the same for a row in every call and whatever the other rows are.

        Parameters
        ----------
        X : {array-like, Dask array or frame, RowBlocks} of shape (n_samples, n_features)

        Returns
        -------
        ndarray, or lazy Dask array, of shape (n_samples,)
        """
        return self._map_rows(vae_rows.elbos, X)

    def importance_weighted_score(
        self, X: ArrayLike, n_samples: int = 100, *, sample_weight: ArrayLike | None = None, random_state: Any = None
    ) -> float:
        """Importance-weighted bound of the mean log-likelihood (Burda, Grosse, Salakhutdinov 2016), nats per sample.

        On average it rises with ``n_samples``, from the ELBO to the log-likelihood.

        Parameters
        ----------
        X : {array-like, Dask array or frame, RowBlocks} of shape (n_samples, n_features)
        n_samples : int, default=100
            Draws from each row's posterior.
        sample_weight : array-like of shape (n_samples,), default=None
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        float
        """
        if n_samples < 1:
            raise ValueError(f"n_samples must be at least 1, got {n_samples}.")
        model, units = self._fitted()
        rows = self._read(X, sample_weight)
        seed = int(check_random_state(random_state).randint(np.iinfo(np.int32).max))
        with thread_pool(1):
            weight, total = rows.sum(partial(vae_rows.importance_weighted, model, units, n_samples, seed)).tolist()
        check_total_weight(weight)
        return float(total / weight)

    def posterior(self, X: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Means and variances of the latents' posteriors, which are independent Gaussians.

        Parameters
        ----------
        X : {array-like, RowBlocks} of shape (n_samples, n_features)

        Returns
        -------
        means, variances : ndarray of shape (n_samples, n_components)
        """
        joined = self._map_rows(vae_rows.means_and_variances, X)
        return joined[:, : self.n_components], joined[:, self.n_components :]

    def transform(self, X: ArrayLike) -> FloatArray:
        """Posterior means of the latent variables.

        Parameters
        ----------
        X : {array-like, Dask array or frame, RowBlocks} of shape (n_samples, n_features)

        Returns
        -------
        ndarray, or lazy Dask array, of shape (n_samples, n_components)
        """
        check_output_stays_lazy(self, X)
        return self._map_rows(vae_rows.means, X)

    def inverse_transform(self, X: ArrayLike) -> FloatArray:
        """Means of the observables given latent variables, what the decoder says.

        Parameters
        ----------
        X : {array-like, Dask array or frame} of shape (n_samples, n_components)

        Returns
        -------
        ndarray, or lazy Dask array, of shape (n_samples, n_features)
        """
        model, units = self._fitted()
        if is_dask(X):
            from .._data._dask import map_array

            return map_array(self.inverse_transform, X)
        Z = check_array(X, dtype=_FLOATS, input_name="X")
        if Z.shape[1] != model.n_latents:
            raise ValueError(f"X has {Z.shape[1]} columns, but the model has {model.n_latents} components.")
        return units.original(model.observable.mean(model.decoder(Z.astype(np.float64)))).astype(Z.dtype)

    def impute(self, X: ArrayLike) -> FloatArray:
        """X with missing entries replaced by their expected values, given what is observed of their rows.

        Parameters
        ----------
        X : {array-like, Dask array or frame, RowBlocks} of shape (n_samples, n_features)
            NaN where an entry is missing.

        Returns
        -------
        ndarray, or lazy Dask array, of shape (n_samples, n_features)
        """
        return self._map_rows(vae_rows.imputed, X)

    def sample(self, n_samples: int = 1, random_state: Any = None) -> FloatArray:
        """Draw rows.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        ndarray of shape (n_samples, n_features)
        """
        model, units = self._fitted()
        if n_samples < 1:
            raise ValueError(f"n_samples must be at least 1, got {n_samples}.")
        random_state = check_random_state(random_state)
        outputs = model.decoder(random_state.normal(size=(n_samples, model.n_latents)))
        return units.original(model.observable.draw(outputs, random_state)).astype(self.mean_.dtype)

    def _fitted(self) -> tuple[Autoencoder, Units]:
        check_is_fitted(self, "decoder_linear_")
        return Autoencoder.of_state(self._autoencoder, self._observable), Units(**self._units)

    def _map_rows(self, function: Callable[[Autoencoder, Units, Block], FloatArray], X: ArrayLike) -> FloatArray:
        """function of the model and all blocks of rows, in the precision of the rows."""
        model, units = self._fitted()
        rows = self._read(X)
        with thread_pool(1):
            return rows.map(partial(function, model, units), None).astype(rows.dtype, copy=False)

    @property
    def _n_features_out(self) -> int:
        return int(self.decoder_linear_.shape[0])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
