"""Probabilistic principal component analysis."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions

from .._data import Rows, Source
from .._typing import ArrayLike, FloatArray
from ._base import LinearGaussianEstimator, check_scale
from ._closed_form import (
    NOISE_FLOOR,
    bic_path,
    closed_form,
    count_parameters,
    entropy_sum_path,
    expected_log_likelihood,
    noise_floor,
)
from ._em_model import ON_FLOOR
from ._fit import GaussianFit, Outcome
from ._gaussian import LinearGaussian
from ._moments import Moments, form_moments
from ._n_components import choose_by_bic, fit_by_bic, number_for_share
from ._report import ReportedComponents
from ._spectrum import Covariance, MatrixCovariance, Spectrum, covariance_of_rows

# In EM the posterior precision's condition number is the inverse of this.
_EM_FLOOR = 1e-9
# The least noise variance of EM's start.
_START_FLOOR = 1e-2
# For larger matrices a full decomposition is slower than a few leading eigenpairs.
_FULL = 1000


class PPCA(ReportedComponents):
    r"""Probabilistic principal component analysis by exact maximum likelihood, whose ELBO is a sum of entropies.

    .. math::

        z \sim N(0, I_H), \qquad x \mid z \sim N(\Lambda z + \mu, \sigma^2 I_D).

    With the eigenvalues :math:`l_1 \ge l_2 \ge \dots` of the covariance (denominator n) and its eigenvectors U the
    maximum is at :math:`\sigma^2 = \frac1{D-H}\sum_{j>H} l_j`, :math:`\Lambda = U_H (L_H - \sigma^2)^{1/2}` [2]_, for every
    shape and solver. There the mean log-likelihood, nats per sample, is the sum of entropies

    .. math::

        -\tfrac12 \log\det(\Lambda^\top \Lambda / \sigma^2 + I) - \tfrac D2 \log(2 \pi e \sigma^2),

    Eqn. 29 of [1]_, which writes W for :math:`\Lambda`, with the sign of its first term corrected (it is printed as plus).
    The sum depends on the parameters only: one eigendecomposition gives it for every H. On other data it is not the ELBO,
    and the gap ``stationarity_gap(X)`` is (mean squared Mahalanobis distance - D) / 2.

    Parameters
    ----------
    n_components : int, float or "bic", default=2
        Number of components H; or, between 0 and 1, the share of the variance that the components must exceed; or "bic" for
        the H, at least 1, with the lowest Bayesian information criterion among those that leave some noise. With missing
        values "bic" fits each H by EM, from 1 until no larger H can be better. "bic" leaves out constant columns and linear
        combinations of others, and exchanges the roles of rows and columns if there are fewer rows; it warns of both. With H
        = D the last component is zero.
    solver : {"auto", "covariance_eigh", "arpack", "randomized", "em"}, default="auto"
        "covariance_eigh" decomposes the covariance, or the Gram matrix of the rows if they are fewer; "arpack" finds the
        leading components by Lanczos iteration from products with the (implicitly centred) data; "randomized" finds them
        approximately by subspace iteration; "em" is parameter-expanded EM. "auto" uses "em" if values are missing, "arpack"
        for few components of large data, and otherwise "covariance_eigh".
    tol : float, default=1e-9
        For "em": the fit ends when the estimated gain of all steps still to come is smaller, nats per sample.
    max_iter : int, default=1000
        For "em": largest number of steps.
    n_init : int, default=1
        For "em": number of starts; the best fit is kept.
    accelerate : bool, default=True
        For "em": whether to extrapolate. The likelihood never falls either way.
    warm_start : bool, default=False
        For "em": whether to start from the last fit. If that had other numbers of components or columns, ``fit`` starts anew
        and warns.
    forgetting_factor : float, default=1.0
        The factor by which each ``partial_fit`` multiplies the weight of all earlier rows.
    random_state : int, RandomState instance or None, default=None
        For "randomized" and the starts of "em".
    n_jobs : int or None, default=None
        Threads for several starts, and for scores and posteriors.
    verbose : int, default=0
        For "em": 1 prints progress, 2 adds times and gains.
    verbose_interval : int, default=10
        Steps between two printed lines.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Loadings, the rows of :math:`\Lambda^\top`. They are orthogonal, in order of descending length, and the largest entry
        of each is positive.
    mean_ : ndarray of shape (n_features,)
    noise_variance_ : float
        The maximum-likelihood :math:`\sigma^2`.
    n_components_ : int
    explained_variance_ : ndarray of shape (n_components,)
        The model's variances along the components: squared loadings plus noise.
    explained_variance_ratio_ : ndarray of shape (n_components,)
        Their shares of the variance of all features.
    entropy_sum_path_ : ndarray or None
        ``entropy_sum_path_[h]`` is the entropy sum of the PPCA with h components, nats per sample, for all h for which the
        solver has computed eigenvalues. None for "em", except with "bic"; then it is NaN for each h that was not fitted.
    bic_path_ : ndarray or None
        The Bayesian information criteria of these models, in nats, with all columns.
    posterior_covariance_ : ndarray of shape (n_components, n_components)
    entropy_sum_ : EntropySum
        Of the training data.
    stationarity_gap_ : float
        Entropy sum minus mean log-likelihood of the training data, nats per sample. If the components explain the data
        completely, the noise variance is at its floor, which is not a maximum, and a warning says so. The gap is then -1/2
        for each of the D dimensions in which the data do not vary.
    lower_bound_ : float
        Mean log-likelihood of the training data, nats per sample.
    lower_bounds_ : list of float
        Mean log-likelihood after each step of EM; ``entropy_sums_`` are the entropy sums of the steps.
    n_iter_ : int
    converged_ : bool
    n_parameters_ : int
    n_samples_ : float
        Total weight of the training data.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    FactorAnalysis : The model with one noise variance for each feature.

    References
    ----------
    .. [1] Warnken, Velychko, Damm, Fischer, Lücke (2024), "Generative Models with ELBOs Converging to Entropy Sums".
    .. [2] Tipping, Bishop (1999), "Probabilistic Principal Component Analysis", JRSS B 61.
    .. [3] Liu, Rubin, Wu (1998), "Parameter Expansion to Accelerate EM: The PX-EM Algorithm", Biometrika 85.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skentropy.decomposition import PPCA
    >>> X = load_iris().data
    >>> ppca = PPCA(n_components=2).fit(X)
    >>> print(round(ppca.score(X), 6), round(ppca.entropy_sum_score(), 6))
    -2.699752 -2.699752
    >>> round(ppca.noise_variance_, 6)
    0.050682
    >>> PPCA(n_components="bic").fit(X).n_components_
    3
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **LinearGaussianEstimator._parameter_constraints,
        "n_components": [
            Interval(Integral, 0, None, closed="left"),
            Interval(RealNotInt, 0.0, 1.0, closed="neither"),
            StrOptions({"bic"}),
        ],
        "solver": [StrOptions({"auto", "covariance_eigh", "arpack", "randomized", "em"})],
    }

    _isotropic = True
    _on_floor: bool
    _em_attributes: ClassVar[dict[str, Any]] = {"entropy_sum_path_": None, "bic_path_": None}

    def __init__(
        self,
        n_components: int | float | str = 2,
        *,
        solver: str = "auto",
        tol: float = 1e-9,
        max_iter: int = 1000,
        n_init: int = 1,
        accelerate: bool = True,
        warm_start: bool = False,
        forgetting_factor: float = 1.0,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None:
        self.n_components = n_components
        self.solver = solver
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.accelerate = accelerate
        self.warm_start = warm_start
        self.forgetting_factor = forgetting_factor
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    def _takes_moments(self, rows: Source) -> bool:
        return self._choose_solver(rows) == "covariance_eigh" and form_moments(rows)

    def _fit_rows(self, rows: Rows) -> Outcome:
        solver, covariance, weight = self._choose_solver(rows), covariance_of_rows(rows), rows.totals.weight
        if solver == "covariance_eigh":
            return self._outcome_of(covariance, None, weight, rows.dtype)
        if not isinstance(self.n_components, Integral):
            raise ValueError(
                f"n_components={self.n_components!r} needs all eigenvalues; solver={solver!r} finds only the leading "
                "ones. Use solver='covariance_eigh'."
            )
        if solver == "arpack":
            spectrum = covariance.leading(int(self.n_components))
        else:
            spectrum = covariance.randomized(int(self.n_components), check_random_state(self.random_state))
        return self._outcome_of(covariance, spectrum, weight, rows.dtype)

    def _choose_solver(self, rows: Source) -> str:
        if self.solver != "auto":
            return self.solver
        if not isinstance(rows, Rows):
            return "covariance_eigh"
        size = min(rows.n_rows, rows.n_features)
        few = isinstance(self.n_components, Integral) and self.n_components < 0.1 * size
        return "arpack" if few and size > _FULL else "covariance_eigh"

    def _fit_moments(self, moments: Moments, dtype: Any) -> Outcome:
        covariance = MatrixCovariance(moments.mean, moments.covariance)
        return self._outcome_of(covariance, None, moments.weight, dtype)

    def _outcome_of(self, covariance: Covariance, spectrum: Spectrum | None, weight: float, dtype: Any) -> Outcome:
        check_scale(self, covariance.variances, dtype)
        constant = covariance.constant()
        if spectrum is None:
            spectrum = covariance.decompose()
        floor = noise_floor(np.where(constant, 0.0, covariance.variances))
        path = entropy_sum_path(spectrum, covariance.n_features, floor)
        bic = bic_path(path, covariance.n_features, weight)
        h, messages = self._choose_n_components(spectrum, covariance, weight)
        parameters = closed_form(spectrum, covariance.mean, h, floor)
        elbo = expected_log_likelihood(parameters, spectrum)
        floors = np.full(len(constant), floor)
        attributes = self._solution_attributes(parameters, floors, [elbo], dtype)
        attributes.update(entropy_sum_path_=path, bic_path_=bic)
        return Outcome(attributes, self._complaints(parameters, floors) + messages)

    def fit_path(self, X: ArrayLike, n_components: Sequence[int], sample_weight: ArrayLike | None = None) -> list[PPCA]:
        """Models with several numbers of components, from one eigendecomposition where the rows are complete.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            With missing entries EM fits each model separately.
        n_components : sequence of int
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        list of PPCA
            One fitted model for each number of components, as ``fit`` would return it.

        Raises
        ------
        ValueError
            If the solver is not "auto" or "covariance_eigh".
        """
        if self.solver not in ("auto", "covariance_eigh"):
            raise ValueError(f"All numbers of components at once need solver='covariance_eigh', not {self.solver!r}.")
        if not len(n_components):
            return []
        models = [clone(self).set_params(n_components=int(h), solver="covariance_eigh") for h in n_components]
        first = models[int(np.argmax(n_components))].fit(X, sample_weight=sample_weight)
        if first._moments is None:
            is_by_em = first.entropy_sum_path_ is None
            for model in models:
                model.set_params(solver=self.solver)
                if not (is_by_em and model is first):
                    model.fit(X, sample_weight=sample_weight)
            return models
        covariance = MatrixCovariance(first._moments.mean, first._moments.covariance)
        spectrum = covariance.decompose()
        for model in models:
            if model is not first:
                for name in ("n_features_in_", "feature_names_in_", "_moments"):
                    if hasattr(first, name):
                        setattr(model, name, getattr(first, name))
                outcome = model._outcome_of(covariance, spectrum, first._moments.weight, first.mean_.dtype)
                model._leave(outcome, first.n_samples_)
            model.set_params(solver=self.solver)
        return models

    def _fit_em(self, rows: Source, X: ArrayLike) -> Outcome:
        if self.n_components != "bic" or rows.is_sparse:
            return super()._fit_em(rows, X)
        data = self._standardised(rows)
        return fit_by_bic(self, data, lambda h: GaussianFit(self, h, data, rows, X))

    def _choose_n_components(self, spectrum: Spectrum, covariance: Covariance, weight: float) -> tuple[int, list[str]]:
        """The number of components, and warnings about the choice."""
        if isinstance(self.n_components, Integral):
            return int(self.n_components), []
        if self.n_components == "bic":
            return choose_by_bic(self, spectrum, covariance, weight)
        return number_for_share(spectrum, self.n_components), []

    def _em_start(
        self, covariance: Covariance | None, d: int, k: int, random_state: Any, *, imputed: bool
    ) -> LinearGaussian:
        if covariance is None or not imputed:
            return LinearGaussian.of(np.zeros(d), random_state.normal(size=(d, k)) / np.sqrt(k + 1), np.ones(d))
        return closed_form(covariance.leading(k), covariance.mean, k, _START_FLOOR)

    def _em_floor(self, variances: FloatArray) -> FloatArray:
        return np.full(len(variances), _EM_FLOOR / NOISE_FLOOR * noise_floor(variances))

    def _attributes(self, parameters: LinearGaussian, floor: FloatArray, dtype: Any) -> dict[str, Any]:
        noise = parameters.noise[0]
        return {
            "mean_": parameters.mean.astype(dtype),
            "components_": np.ascontiguousarray(parameters.loadings.T, dtype=dtype),
            "noise_variance_": float(noise),
            "explained_variance_": ((parameters.loadings**2).sum(axis=0) + noise).astype(dtype),
            "n_components_": parameters.shape[1],
            "_on_floor": _is_on_floor(parameters, floor),
        }

    def _complaints(self, parameters: LinearGaussian, floor: FloatArray) -> list[str]:
        if not _is_on_floor(parameters, floor):
            return []
        return [
            f"PPCA with {parameters.shape[1]} components explains the data completely: the likelihood has no maximum, "
            f"and the noise variance is held at {parameters.noise[0]:.3g}. Use fewer components."
        ]

    def _n_parameters(self, d: int, k: int) -> int:
        return int(count_parameters(d, np.array(k)))


def _is_on_floor(parameters: LinearGaussian, floor: FloatArray) -> bool:
    """Whether the components leave no variance to the noise."""
    return bool(parameters.noise[0] <= ON_FLOOR * floor[0])
