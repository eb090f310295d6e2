"""Gaussian variational autoencoders."""

from __future__ import annotations

import warnings
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

from .._base import Evaluation, LatentVariableModel, check_total_weight, list_columns, warn_of_fresh_start
from .._blocks import Block, Source, thread_pool
from .._em import Run, State
from .._monitor import Monitor
from .._reading import Reader, check_output_stays_lazy, is_dask
from .._typing import ArrayLike, FloatArray
from . import _vae_rows as vae_rows
from ._autoencoder import Autoencoder, Units
from ._perceptron import ACTIVATIONS
from ._vae_data import location_and_scale, training_data
from ._vae_fitting import Fitted, Fitting, in_nets
from ._vae_start import start_linear
from ._vae_training import NOISE_FLOOR, Nets, Objective, Training

_FLOATS = (np.float64, np.float32)
# A latent that tells less of the data than this, in nats, has collapsed to its prior.
_COLLAPSED = 0.01


class GaussianVAE(ClassNamePrefixFeaturesOutMixin, TransformerMixin, LatentVariableModel):
    r"""Variational autoencoder with Gaussian observables, whose ELBO is a sum of entropies after every epoch.

    .. math::

        z \sim N(0, I_H), \qquad x \mid z \sim N\bigl(\mu(z), \Sigma\bigr), \qquad
        q_n(z) = N\bigl(m_n, \operatorname{diag}(\tau_n^2)\bigr),

    with a net :math:`\mu` beside a linear path, :math:`\Sigma = \sigma^2 I` or :math:`\operatorname{diag}(\sigma_d^2)`, and
    posteriors that start from an encoder. It starts at the maximum of the linear model, ``PPCA``, which it never falls
    below, and needs a second where PPCA fits too stiffly. Whatever training has left, the best noise variances and the best
    offsets and scales of the latents are closed forms, and with them the ELBO, nats per sample, is

    .. math::

        \frac1N \sum_n \sum_h \tfrac12\log(2\pi e\,\tau_{nh}^2) - \tfrac H2\log(2\pi e)
        - \sum_d \tfrac12 \log(2\pi e\,\sigma_d^2) + \sum_d \frac{\epsilon}{2\sigma_d^2},

    the sum of entropies of [1]_ and [2]_; the last term is what the ridge :math:`\epsilon` on the noise variances adds.

    Parameters
    ----------
    n_components : int, default=2
        Number of latent variables H.
    covariance_type : {"scalar", "diag"}, default="scalar"
        One noise variance, or one a feature.
    hidden_layer_sizes : sequence of int, default=(128,)
        Hidden layers of the decoder. Without any the model is linear, ``PPCA`` or for "diag" ``FactorAnalysis``, and is
        fitted in closed form.
    encoder_hidden_layer_sizes : sequence of int or None, default=None
        Hidden layers of the encoder; None for those of the decoder.
    activation : {"silu", "tanh", "relu", "softplus"}, default="silu"
    alpha : float, default=30.0
        Strength of the decay ``alpha / 2 |V|^2`` of the nets' weights against the total ELBO, while training. Intercepts and
        linear paths are spared: a strong decay leaves PPCA.
    beta : float, default=1.0
        Weight of the divergence from the prior while training.
    reg_covar : float, default=1e-3
        Ridge on the noise variances, relative to the mean variance of the columns. For "diag" it must be positive where a
        column can be explained completely.
    learning_rate_init : float, default=0.02
        Largest learning rate of Adam, which rises over the first fiftieth of the steps and then falls as a cosine does.
    batch_size : int, default=100
    max_iter : int, default=100
        Number of epochs.
    shuffle : bool, default=True
        Whether to shuffle rows in each epoch.
    warm_start : bool, default=False
        Train on from the last fit, in its units. Where that had other numbers of components, columns or layers,
        ``fit`` starts afresh and warns.
    random_state : int, RandomState instance or None, default=None
        For the nets' first weights, shuffles and draws.
    verbose : int, default=0
        What to print.
    verbose_interval : int, default=10
        Epochs between two printed lines.

    Attributes
    ----------
    noise_variance_ : float or ndarray of shape (n_features,)
        :math:`\sigma^2`, one a feature for "diag".
    mean_ : ndarray of shape (n_features,)
        Means of the columns. The encoder reads (x - mean_) / scale_, the decoder says such values.
    scale_ : float
        Root of the mean variance of the columns.
    encoder_coefs_, decoder_coefs_ : list of ndarray
        Weights of the layers. The encoder's outputs are the means and the log variances.
    encoder_intercepts_, decoder_intercepts_ : list of ndarray
    encoder_linear_ : ndarray of shape (n_features, n_components)
        Linear path to the means.
    decoder_linear_ : ndarray of shape (n_components, n_features)
    information_ : ndarray of shape (n_components,)
        What each latent tells of the data, nats per sample: entropy of the prior less the mean entropy of the posteriors.
        The latents are ordered by it.
    collapsed_ : ndarray of shape (n_components,)
        Which latents tell less than a hundredth of a nat.
    is_linear_ : bool
        Whether the model is the linear one: there are no hidden layers, or training did not beat it.
    entropy_sum_ : EntropySum
        Of the training data.
    stationarity_gap_ : float
        Entropy sum less ELBO of the training data: zero to rounding, unless a noise variance is on its floor.
    lower_bound_ : float
        Mean ELBO of the training data, nats per sample.
    entropy_sums_ : list of EntropySum
        Of each epoch, every row as its batch saw it before its step; the last one is that of the fitted model.
    lower_bounds_ : list of float
        Their ELBOs.
    n_iter_ : int
        Number of epochs.
    converged_ : bool
        Whether all epochs were run.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    skentropy.PPCA : The linear model.
    skentropy.FactorAnalysis : The linear model with one noise variance a feature.

    Notes
    -----
    Up to 256 MiB of data are held in memory. Rows that repeat are merged, and neither their order nor their unit of
    measurement matters. Larger ones, memory maps too, are read anew in each epoch and shuffled within 8,192 rows.

    Expectations under posteriors are taken by 2 H + 1 fixed nodes, exact for decoders of up to the third degree: scores know
    no randomness, and do not depend on other rows. From where the encoder puts it each posterior takes two steps towards
    the best one for the decoder's statistical linearisation [3]_, and never to a lower ELBO.

    References
    ----------
    .. [1] Damm, Forster, Velychko, Dai, Fischer, Lücke (2023), "The ELBO of Variational Autoencoders Converges to a Sum of
       Entropies", AISTATS.
    .. [2] Warnken, Velychko, Damm, Fischer, Lücke (2024), "Generative Models with ELBOs Converging to Entropy Sums".
    .. [3] García-Fernández, Svensson, Morelande, Särkkä (2015), "Posterior linearization filter", IEEE Transactions on
       Signal Processing 63.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skentropy import GaussianVAE, PPCA
    >>> X = load_wine().data / load_wine().data.std(axis=0)
    >>> vae = GaussianVAE(2, random_state=0).fit(X)
    >>> vae.score(X) > PPCA(2).fit(X).score(X)
    True
    >>> abs(vae.entropy_sum_score() - vae.score(X)) < 1e-9
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions({"scalar", "diag"})],
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "encoder_hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left"), None],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "alpha": [Interval(Real, 0.0, None, closed="left")],
        "beta": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
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
    # The model in double precision, as nothing but arrays.
    _autoencoder: dict[str, Any]
    _units: dict[str, Any]

    def __init__(
        self,
        n_components: int = 2,
        *,
        covariance_type: str = "scalar",
        hidden_layer_sizes: Any = (128,),
        encoder_hidden_layer_sizes: Any = None,
        activation: str = "silu",
        alpha: float = 30.0,
        beta: float = 1.0,
        reg_covar: float = 1e-3,
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
        self.covariance_type = covariance_type
        self.hidden_layer_sizes = hidden_layer_sizes
        self.encoder_hidden_layer_sizes = encoder_hidden_layer_sizes
        self.activation = activation
        self.alpha = alpha
        self.beta = beta
        self.reg_covar = reg_covar
        self.learning_rate_init = learning_rate_init
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose
        self.verbose_interval = verbose_interval

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
        tied, is_linear = self.covariance_type == "scalar", len(decoder_sizes) == 2
        data = training_data(rows, X, sample_weight, self._row_bytes(rows.n_features))
        location, scale = location_and_scale(data, rows.dtype, partial(list_columns, self))
        given = self._given(encoder_sizes, decoder_sizes) if self.warm_start and not is_linear else None
        if given is None and self.warm_start and hasattr(self, "_autoencoder"):
            warn_of_fresh_start(self, rows.n_features)
        if given is not None:
            location, scale = given[1].location, given[1].scale
        linear = data.fit_linear(location, scale, self.n_components, tied=tied or not is_linear)
        units = Units(location, scale, (linear.mean, linear.loadings, linear.noise)) if given is None else given[1]
        decay = float(self.alpha) / (data.weight + data.empty)
        objective = Objective(float(self.beta), decay, tied, float(self.reg_covar))
        fitting = Fitting(data, units, objective)
        attributes_of = partial(self._fitted_attributes, fitting, rows.dtype)
        monitor = Monitor(self, 1, lambda run: attributes_of(fitting.polish(run.state.parameters.model), run), {"X": X})

        best = start = fitting.linear(linear, self.activation)
        elbo = fitting.elbo(start)
        run = Run(State(None, None, elbo, elbo), [elbo], [fitting.entropy_sum(start.sums, start.model.noise)], True)
        if not is_linear:
            rng = np.random.default_rng(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
            nets = Nets.of_sizes(encoder_sizes, decoder_sizes, self.activation)
            nets.encoder.initialise(rng)
            nets.decoder.initialise(rng)
            start = replace(start, model=in_nets(start.model, nets))
            training = self._start(nets, linear, None if given is None else given[0])
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
        on_floor = np.flatnonzero(best.model.noise <= NOISE_FLOOR)
        if not on_floor.size:
            return []
        return [
            f"GaussianVAE explains {list_columns(self, on_floor)} completely: the ELBO has no maximum, and the noise "
            "variance is held on its floor. Use reg_covar > 0, or leave such columns out."
        ]

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

    def _start(self, nets: Nets, linear: Any, given: Autoencoder | None) -> Training:
        """Where training starts: at the linear model, or at the last fit."""
        if given is None:
            noise = start_linear(nets, linear)
        else:
            noise = given.noise
            nets.vector[:] = np.concatenate([given.encoder.pack(), given.decoder.pack()])
        return Training(nets.astype(np.float32), noise)

    def _fitted_attributes(self, fitting: Fitting, dtype: Any, fitted: Fitted, run: Run) -> dict[str, Any]:
        """What fit leaves, for a run that is over or as if it were."""
        model, sums, scale = fitted.model, fitted.sums, fitting.units.scale
        terms, elbo = fitting.entropy_sum(sums, model.noise), fitting.elbo(fitted)
        noise = model.noise * scale**2
        information = -0.5 * sums.log_variance / sums.weight
        attributes = {
            "_autoencoder": asdict(model),
            "_units": asdict(fitting.units),
            "mean_": fitting.units.location.astype(dtype),
            "scale_": scale,
            "noise_variance_": float(noise[0]) if self.covariance_type == "scalar" else noise.astype(dtype),
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
        log_scale = float(np.log(units.scale))
        elbo = sums.elbo(model.noise) - float(sums.observed.sum()) / sums.weight * log_scale
        terms = sums.entropy_sum(model.noise, ridge=0.0, log_scale=log_scale)
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
            from .._dask import map_array

            return map_array(self.inverse_transform, X)
        Z = check_array(X, dtype=_FLOATS, input_name="X")
        if Z.shape[1] != model.n_latents:
            raise ValueError(f"X has {Z.shape[1]} columns, but the model has {model.n_latents} components.")
        return (model.decoder(Z.astype(np.float64)) * units.scale + units.location).astype(Z.dtype)

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
        means = model.decoder(random_state.normal(size=(n_samples, model.n_latents)))
        noise = random_state.normal(size=means.shape) * np.sqrt(model.noise)
        return ((means + noise) * units.scale + units.location).astype(self.mean_.dtype)

    def _check_criteria(self) -> None:
        raise NotImplementedError(
            f"Information criteria are not defined for {type(self).__name__}, since the parameters of a decoder with a "
            "weight decay count by no agreed rule. Compare models by score, or importance_weighted_score, of rows that were "
            "not fitted, for example by GridSearchCV."
        )

    def _fitted(self) -> tuple[Autoencoder, Units]:
        check_is_fitted(self, "noise_variance_")
        return Autoencoder.of_state(self._autoencoder), Units(**self._units)

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
