"""Factor analysis."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from .._data import Rows, SingleThreadedBLAS, Source
from .._em import as_fitted
from .._messages import list_columns, saddle_message
from .._typing import Array, FloatArray
from ._base import LinearGaussianEstimator, check_scale
from ._em_model import ON_FLOOR
from ._fit import Outcome
from ._gaussian import LinearGaussian
from ._moments import Moments, form_moments
from ._profile import Profile, best_profile, starting_uniquenesses
from ._report import ReportedFactors
from ._rotation import OBLIQUE, ORTHOGONAL, Rotation, factor_correlation
from ._spectrum import Covariance, MatrixCovariance, covariance_of_rows, standard_deviations, without_rounding

# EM starts from a maximum for data with imputed means, which need not be precise. These are the gradient at which the search
# for it ends, and its floor, which is higher than that of the fit since EM leaves the floor slowly.
_START_GTOL = 1e-3
_START_FLOOR = 1e-3
# A uniqueness below this share of the variance counts as at its floor, which EM and the finish approach slowly.
_NEXT_TO_NOTHING = 3e-7


class FactorAnalysis(ReportedFactors):
    r"""Factor analysis by maximum likelihood, whose ELBO is a sum of entropies.

    .. math::

        z \sim N(0, \Phi), \qquad x \mid z \sim N(\Lambda z + \mu, \operatorname{diag}(\psi_1, \dots, \psi_D)),

    where the factor correlations :math:`\Phi` are the identity unless the factors were rotated obliquely. At the maximum the
    mean log-likelihood, nats per sample, is the sum of entropies

    .. math::

        -\tfrac12 \log\det(\Lambda^\top \Psi^{-1} \Lambda + I) - \tfrac12 \sum_d \log(2 \pi e \psi_d),

    Eqn. 32 of [1]_, which writes W for :math:`\Lambda`, with exact posteriors. For complete data the sum depends on the
    parameters only. On other data it is not the ELBO, and the gap ``stationarity_gap(X)`` is (mean squared Mahalanobis
    distance - D) / 2. With missing values the last term counts only the observed entries of each feature.

    Parameters
    ----------
    n_components : int, default=2
        Number of factors.
    rotation : str or None, default=None
        How to rotate the loadings, on the scale of the correlations. "varimax", "quartimax", "equamax", "oblimax",
        "geomin_orthogonal", "bifactor" and "target_orthogonal" keep the factors independent; "promax", "oblimin", "geomin"
        and "target" make them correlated. The likelihood is the same for all rotations. None makes
        :math:`\Lambda^\top\Psi^{-1}\Lambda` diagonal.
        "bifactor" is the bi-quartimin of [4]_: its first factor is general, the others are simple. "oblimax" is orthogonal
        and therefore equals "quartimax"; the oblique criterion has no minimum.
    rotation_params : dict or None, default=None
        Parameters of the rotation, with their defaults. "oblimin" has ``gamma`` (0, which is quartimin; above zero factors
        may coincide, which is an error); "geomin" and "geomin_orthogonal" have ``epsilon`` (0.01). "promax" has ``power``
        (4) and ``variant``: "psych", the default, normalises rows in both steps, "factanal" only for varimax. "target" and
        "target_orthogonal" have ``target``, the wanted loadings on the scale of the correlations, of shape (n_features,
        n_components), with NaN for loadings without a target.
    kaiser_normalization : bool, default=True
        Whether to give every feature the same communality in the rotation. So do R's ``varimax`` and, for varimax,
        factor_analyzer. GPArotation does not by default, and psych does only for "varimax" and "promax". With a target,
        features count in inverse proportion to their communalities.
    scores : {"regression", "bartlett"}, default="regression"
        The scores that ``transform`` returns. "regression" is the posterior mean of the factors (Thomson), which is shrunk
        towards zero and has the least mean squared error. "bartlett" is the weighted least squares estimate, which is
        unbiased given the factors, and NaN if the observed entries of a row do not determine it. ``scores`` can be set on a
        fitted model.
    solver : {"auto", "profile", "em"}, default="auto"
        "profile" maximises the profile likelihood over :math:`\log\psi` by L-BFGS, with Newton steps at the end for up to
        300 features; "em" is parameter-expanded EM. "auto" uses "em" if values are missing, and "profile" otherwise.
    gtol : float, default=1e-6
        For "profile": the search ends when no entry of the projected gradient of the mean log-likelihood with respect to
        :math:`\log\psi` is larger, nats per sample.
    tol : float, default=1e-9
        For "em": the fit ends when the estimated gain of all steps still to come is smaller, nats per sample.
    max_iter : int, default=1000
        Largest number of steps.
    n_init : int, default=1
        Number of starts; the best fit is kept. The first start uses squared multiple correlations (PPCA if the covariance is
        singular), and the others are random. Local maxima do occur, especially with many factors.
    noise_floor : float, default=1e-8
        Least noise variance of a feature, as a share of its variance.
    accelerate : bool, default=True
        For "em": whether to extrapolate. The likelihood never falls either way.
    warm_start : bool, default=False
        For "em": whether to start from the last fit. If that had other numbers of components or columns, ``fit`` starts anew
        and warns.
    forgetting_factor : float, default=1.0
        The factor by which each ``partial_fit`` multiplies the weight of all earlier rows.
    random_state : int, RandomState instance or None, default=None
        For random starts.
    n_jobs : int or None, default=None
        Threads for several starts of EM, and for scores and posteriors.
    verbose : int, default=0
        For "em": 1 prints progress, 2 adds times and gains.
    verbose_interval : int, default=10
        Steps between two printed lines.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Loadings, the rows of :math:`\Lambda^\top`; after rotation the pattern matrix.
    mean_ : ndarray of shape (n_features,)
    noise_variance_ : ndarray of shape (n_features,)
        Uniquenesses :math:`\psi`.
    factor_correlation_ : ndarray of shape (n_components, n_components)
        :math:`\Phi`.
    loadings_ : ndarray of shape (n_features, n_components)
        Loadings on the scale of correlations, the pattern matrix.
    structure_ : ndarray of shape (n_features, n_components)
        Correlations of features and factors, ``loadings_ @ factor_correlation_``.
    communalities_ : ndarray of shape (n_features,)
        Share of each feature's variance that the factors explain.
    explained_variance_ : ndarray of shape (n_components,)
        Sum of squared loadings of each rotated factor, on the scale of correlations.
    explained_variance_ratio_ : ndarray of shape (n_components,)
        The same as a share of the variance of all features.
    rotation_matrix_ : ndarray of shape (n_components, n_components)
        The matrix by which the unrotated loadings were multiplied.
    heywood_ : ndarray
        Names (or numbers, if X had no names) of the features whose noise variance is at its floor, or less than 3e-7 of
        their variance, without constant features. There the likelihood has no interior maximum, and the entropy sum is not
        exactly the ELBO.
    gradient_ : float
        Largest entry of the projected gradient at the end; NaN for "em".
    posterior_covariance_ : ndarray of shape (n_components, n_components)
    entropy_sum_ : EntropySum
        Of the training data.
    stationarity_gap_ : float
        Entropy sum minus mean log-likelihood of the training data, nats per sample.
    lower_bound_ : float
        Mean log-likelihood of the training data, nats per sample.
    lower_bounds_ : list of float
        Mean log-likelihood after each step of EM, or the best one so far after each step of the profile likelihood's
        maximisation.
    n_iter_ : int
    converged_ : bool
    n_parameters_ : int
    n_samples_ : float
        Total weight of the training data.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    PPCA : The model with one noise variance for all features.

    References
    ----------
    .. [1] Warnken, Velychko, Damm, Fischer, Lücke (2024), "Generative Models with ELBOs Converging to Entropy Sums".
    .. [2] Jöreskog (1967), "Some Contributions to Maximum Likelihood Factor Analysis", Psychometrika 32.
    .. [3] Liu, Rubin, Wu (1998), "Parameter Expansion to Accelerate EM: The PX-EM Algorithm", Biometrika 85.
    .. [4] Jennrich, Bentler (2011), "Exploratory Bi-Factor Analysis", Psychometrika 76.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skentropy.decomposition import FactorAnalysis
    >>> X = load_wine().data
    >>> fa = FactorAnalysis(n_components=2, rotation="varimax").fit(X)
    >>> print(round(fa.score(X), 6), round(fa.entropy_sum_score(), 6))
    -19.533947 -19.533947
    >>> fa.transform(X).shape
    (178, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **LinearGaussianEstimator._parameter_constraints,
        "n_components": [Interval(Integral, 0, None, closed="left")],
        "rotation": [StrOptions({*ORTHOGONAL, *OBLIQUE}), None],
        "rotation_params": [dict, None],
        "kaiser_normalization": ["boolean"],
        "scores": [StrOptions({"regression", "bartlett"})],
        "solver": [StrOptions({"auto", "profile", "em"})],
        "gtol": [Interval(Real, 0.0, None, closed="neither")],
        "noise_floor": [Interval(Real, 0.0, 1e-2, closed="neither")],
    }

    _isotropic = False
    _em_attributes: ClassVar[dict[str, Any]] = {"gradient_": float("nan")}

    def __init__(
        self,
        n_components: int = 2,
        *,
        rotation: str | None = None,
        rotation_params: dict[str, Any] | None = None,
        kaiser_normalization: bool = True,
        scores: str = "regression",
        solver: str = "auto",
        gtol: float = 1e-6,
        tol: float = 1e-9,
        max_iter: int = 1000,
        n_init: int = 1,
        noise_floor: float = 1e-8,
        accelerate: bool = True,
        warm_start: bool = False,
        forgetting_factor: float = 1.0,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None:
        self.n_components = n_components
        self.rotation = rotation
        self.rotation_params = rotation_params
        self.kaiser_normalization = kaiser_normalization
        self.scores = scores
        self.solver = solver
        self.gtol = gtol
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.noise_floor = noise_floor
        self.accelerate = accelerate
        self.warm_start = warm_start
        self.forgetting_factor = forgetting_factor
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    def _takes_moments(self, rows: Source) -> bool:
        return self.solver != "em" and form_moments(rows)

    def _fit_rows(self, rows: Rows) -> Outcome:
        return self._fit_covariance(covariance_of_rows(rows), rows.dtype)

    def _fit_moments(self, moments: Moments, dtype: Any) -> Outcome:
        return self._fit_covariance(MatrixCovariance(moments.mean, moments.covariance), dtype)

    def _fit_covariance(self, covariance: Covariance, dtype: Any) -> Outcome:
        check_scale(self, covariance.variances, dtype)
        scale = standard_deviations(without_rounding(covariance.variances, covariance.mean))
        with SingleThreadedBLAS():
            fit = best_profile(
                covariance.correlation(),
                self.n_components,
                self.noise_floor,
                gtol=self.gtol,
                max_iter=self.max_iter,
                n_init=self.n_init,
                random_state=self.random_state,
            )
        parameters = LinearGaussian.of(np.zeros(len(scale)), fit.loadings, fit.noise).rescaled(covariance.mean, scale)
        log_scale = float(np.log(scale).sum())
        floor = self.noise_floor * scale**2
        lower_bounds = [value - log_scale for value in (*fit.history[:-1], fit.log_likelihood)]
        attributes = self._solution_attributes(parameters, floor, lower_bounds, dtype, converged=fit.converged)
        attributes["gradient_"] = fit.gradient
        messages = self._complaints(parameters, floor)
        if fit.saddle:
            messages.append(saddle_message(self))
        if not attributes["converged_"]:
            messages.append(
                f"FactorAnalysis stopped after {attributes['n_iter_']} steps with a projected gradient of "
                f"{fit.gradient:.2g}, above gtol={self.gtol:g}; increase max_iter, or gtol if that is accurate enough."
            )
        return Outcome(attributes, messages, at_saddle=fit.saddle)

    def _em_start(
        self, covariance: Covariance | None, d: int, k: int, random_state: Any, *, imputed: bool
    ) -> LinearGaussian:
        if covariance is None:
            return LinearGaussian.of(np.zeros(d), random_state.normal(size=(d, k)) / np.sqrt(k + 1), np.full(d, 0.5))
        scale = standard_deviations(without_rounding(covariance.variances, covariance.mean))
        correlation = covariance.correlation()
        start = starting_uniquenesses(correlation, k)
        fit = Profile(correlation, k, _START_FLOOR).maximize(start, gtol=_START_GTOL, max_iter=self.max_iter)
        return LinearGaussian.of(np.zeros(d), fit.loadings, fit.noise).rescaled(covariance.mean, scale)

    def _em_floor(self, variances: FloatArray) -> FloatArray:
        return np.full(len(variances), as_fitted(self).noise_floor)

    def _attributes(self, parameters: LinearGaussian, floor: FloatArray, dtype: Any) -> dict[str, Any]:
        parameters = parameters.canonical()
        rotation: FloatArray = np.eye(parameters.shape[1])
        correlation = rotation
        if self._rotation is not None:
            scale = np.sqrt((parameters.loadings**2).sum(axis=1) + parameters.noise)[:, np.newaxis]
            rotation = self._rotation.matrix(parameters.loadings / scale)
            if self._rotation.is_oblique:
                correlation = factor_correlation(rotation)
        heywood, constant = _on_floor(parameters, floor)
        names = getattr(self, "feature_names_in_", None)
        return {
            "mean_": parameters.mean.astype(dtype),
            "components_": np.ascontiguousarray((parameters.loadings @ rotation).T, dtype=dtype),
            "noise_variance_": parameters.noise.astype(dtype),
            "factor_correlation_": correlation.astype(dtype),
            "rotation_matrix_": rotation.astype(dtype),
            "heywood_": heywood if names is None else names[heywood],
            "_heywood_index": heywood,
            "_floor_index": np.union1d(heywood, constant),
        }

    def _complaints(self, parameters: LinearGaussian, floor: FloatArray) -> list[str]:
        return _complaints_of_floors(self, *_on_floor(parameters.canonical(), floor))

    @property
    def _rotation(self) -> Rotation | None:
        model = as_fitted(self)
        if model.rotation is None:
            return None
        return Rotation(model.rotation, model.kaiser_normalization, model.rotation_params or {})

    def _check_n_components(self, largest: int, what: str) -> None:
        super()._check_n_components(largest, what)
        if self._rotation is not None:
            self._rotation.check_shape((self.n_features_in_, self.n_components))

    def _on_bound(self) -> Array:
        return np.isin(np.arange(len(self.mean_)), self._floor_index)

    def _n_parameters(self, d: int, k: int) -> int:
        return n_factor_parameters(d, k)


def _on_floor(parameters: LinearGaussian, floor: FloatArray) -> tuple[Array, Array]:
    """Indices of the features whose noise is at its floor, and of constant features, whose variance hardly exceeds it."""
    variances = (parameters.loadings**2).sum(axis=1) + parameters.noise
    on_floor = np.flatnonzero(parameters.noise <= np.maximum(ON_FLOOR * floor, _NEXT_TO_NOTHING * variances))
    varies = variances[on_floor] > 2.0 * parameters.noise[on_floor]
    return on_floor[varies], on_floor[~varies]


def _complaints_of_floors(estimator: FactorAnalysis, heywood: Array, constant: Array) -> list[str]:
    messages = []
    if heywood.size:
        messages.append(
            f"FactorAnalysis: noise variance on its floor (a Heywood case) in {list_columns(estimator, heywood)}"
            ": the likelihood has no interior maximum, and the entropy sum is not exactly the ELBO. Use fewer components, "
            "or leave duplicated columns out."
        )
    if constant.size:
        messages.append(
            f"FactorAnalysis: {list_columns(estimator, constant)} constant; its noise variance is on its floor, where the "
            "entropy sum is not exactly the ELBO. Leave such columns out."
        )
    return messages


def n_factor_parameters(d: int, k: int) -> int:
    """Number of free parameters with k factors: loadings up to rotation, noise, mean; at most that of a free covariance."""
    return min(d * k - k * (k - 1) // 2 + 2 * d, d + d * (d + 1) // 2)
