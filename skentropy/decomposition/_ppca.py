"""Probabilistic principal component analysis."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from scipy import linalg
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
from sklearn.utils.validation import check_is_fitted

from .._data import Rows, Source
from .._messages import list_columns
from .._standard_errors import StandardErrors
from .._tables import Summary
from .._typing import Array, ArrayLike, FloatArray
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
from ._saturated import likeliest_gaussian
from ._spectrum import Covariance, MatrixCovariance, Spectrum, covariance_of_rows
from ._summary import summarize_components

# In EM the posterior precision's condition number is the inverse of this.
_EM_FLOOR = 1e-9
# Columns with a correlation that is one but for this are one column; eigenvalues of correlations below it are zero.
_SAME = 1e-12
# Coefficients of a linear dependence that are nothing, or differ by nothing, relative to the largest.
_NOTHING = 1e-6
# EM starts no closer to its floor.
_START_FLOOR = 1e-2
# Beyond this size a full decomposition is slower than a few leading eigenpairs.
_FULL = 1000


class PPCA(LinearGaussianEstimator):
    r"""Probabilistic principal component analysis by exact maximum likelihood, whose ELBO is a sum of entropies.

    .. math::

        z \sim N(0, I_H), \qquad x \mid z \sim N(W z + m, \sigma^2 I_D).

    With the eigenvalues :math:`l_1 \ge l_2 \ge \dots` of the covariance (denominator n) and its eigenvectors U the
    maximum is at :math:`\sigma^2 = \frac1{D-H}\sum_{j>H} l_j`, :math:`W = U_H (L_H - \sigma^2)^{1/2}` [2]_, for every
    shape and solver. There the mean log-likelihood, nats per sample, is the sum of entropies

    .. math::

        -\tfrac12 \log\det(W^\top W / \sigma^2 + I) - \tfrac D2 \log(2 \pi e \sigma^2),

    Eqn. 29 of [1]_ with the sign of its first term corrected (it is printed as plus). It needs the parameters only,
    no X: one eigendecomposition gives it for every H. On other data it is not the ELBO; there the gap
    ``stationarity_gap(X)`` is (mean squared Mahalanobis distance - D) / 2.

    Parameters
    ----------
    n_components : int, float or "bic", default=2
        Number of components H; or, between 0 and 1, the share of the variance that the components must exceed; or
        "bic" for the H, at least 1, with the lowest Bayesian information criterion among those that leave some noise; with
        missing values each is fitted by EM, from 1 until no larger one can be better.
        Constant columns and sums of multiples of others have no say in it; with fewer rows than columns rows and columns
        change their roles; of both there is a warning. With H = D the last component is zero.
    solver : {"auto", "covariance_eigh", "arpack", "randomized", "em"}, default="auto"
        "covariance_eigh" decomposes the covariance, or the Gram matrix of the rows where they are fewer; "arpack" finds
        the leading components by Lanczos iteration from products with the (implicitly centred) data; "randomized" does
        so approximately by subspace iteration; "em" is parameter-expanded EM. "auto" takes "em" where values are
        missing, "arpack" for few components of large data, else "covariance_eigh".
    tol : float, default=1e-9
        For "em": end when the steps still to come are estimated to raise the mean log-likelihood by less, nats per
        sample.
    max_iter : int, default=1000
        For "em": largest number of steps.
    n_init : int, default=1
        For "em": number of starts, of which the best fit is kept.
    accelerate : bool, default=True
        For "em": extrapolate, without ever losing likelihood.
    warm_start : bool, default=False
        For "em": start from the last fit. Where that had other numbers of components or columns, ``fit``
        starts afresh and warns.
    forgetting_factor : float, default=1.0
        What each ``partial_fit`` multiplies the weight of all earlier rows by.
    random_state : int, RandomState instance or None, default=None
        For "randomized" and the starts of "em".
    n_jobs : int or None, default=None
        Threads for several starts, and for scores and posteriors.
    verbose : int, default=0
        For "em": what to print.
    verbose_interval : int, default=10
        Steps between two printed lines.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Loadings, the rows of W'. Orthogonal, by descending length, the largest entry of each positive.
    mean_ : ndarray of shape (n_features,)
    noise_variance_ : float
        The maximum-likelihood :math:`\sigma^2`.
    n_components_ : int
    explained_variance_ : ndarray of shape (n_components,)
        The model's variances along the components: squared loadings plus noise.
    explained_variance_ratio_ : ndarray of shape (n_components,)
        Their shares of the variance of all features.
    entropy_sum_path_ : ndarray or None
        ``entropy_sum_path_[h]`` is the entropy sum of the PPCA with h components, nats per sample, for all h that the
        solver's eigenvalues tell of. None for "em"; where that was to choose by "bic" NaN for those that it did not fit.
    bic_path_ : ndarray or None
        Their Bayesian information criteria, in nats, of all columns.
    posterior_covariance_ : ndarray of shape (n_components, n_components)
    entropy_sum_ : EntropySum
        Of the training data.
    stationarity_gap_ : float
        Entropy sum less mean log-likelihood of the training data, nats per sample. Where the components explain the
        data completely, the noise variance is held on its floor, which is no maximum (there is a warning): there the
        gap is -1/2 for each dimension, of D, in which the data do not vary.
    lower_bound_ : float
        Mean log-likelihood of the training data, nats per sample.
    lower_bounds_ : list of float
        After each step of EM; ``entropy_sums_`` are the entropy sums of the steps.
    n_iter_ : int
    converged_ : bool
    n_parameters_ : int
    n_samples_ : float
        Total weight of the training data.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    FactorAnalysis : The model with one noise variance a feature.

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
        attributes = self._summary(parameters, floors, parameters.entropy_sum(), elbo, dtype)
        attributes.update(entropy_sum_path_=path, bic_path_=bic)
        return Outcome(attributes, self._complaints(parameters, floors) + messages)

    def fit_path(self, X: ArrayLike, n_components: Sequence[int], sample_weight: ArrayLike | None = None) -> list[PPCA]:
        """Models with several numbers of components, from one eigendecomposition where the rows are complete.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            With missing entries each model is fitted by itself, by EM.
        n_components : sequence of int
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        list of PPCA
            Fitted, one for each number of components; each as ``fit`` would leave it.

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
        """With "bic" one number of components after another, until none that follows can be better."""
        if self.n_components != "bic" or rows.is_sparse:
            return super()._fit_em(rows, X)
        scaled, d, n = self._em_model(rows), rows.n_features, rows.totals.weight
        any_covariance = likeliest_gaussian(scaled[0])
        highest = np.inf if any_covariance is None else any_covariance.log_likelihood
        size = max(d, 2)
        penalties = np.log(n) * count_parameters(d, np.arange(size + 1))
        entropies, bic = np.full(size, np.nan), np.full(size, np.nan)
        best: Outcome | None = None
        for h in range(1, size):
            fit = GaussianFit(self, h, *scaled, rows, X)
            found = fit.outcome()
            on_floor = found.attributes["_on_floor"]
            if not on_floor:
                entropies[h] = found.attributes["entropy_sum_"].value
                bic[h] = penalties[h] - 2.0 * n * found.attributes["lower_bound_"]
            if best is None:
                best = found
            elif bic[h] < np.nanmin(bic[:h]) and not fit.interrupted:
                best.pass_over()
                best = found
            else:
                found.pass_over()
            if fit.interrupted and best is not found:
                best.messages.append(f"PPCA was interrupted at {h} components; the model is the best of those with fewer.")
            # None is likelier than the Gaussian with any covariance.
            if fit.interrupted or on_floor or penalties[h + 1] - 2.0 * n * highest >= np.nanmin(bic):
                break
        assert best is not None
        best.attributes.update(entropy_sum_path_=entropies, bic_path_=bic)
        return best

    def _choose_n_components(self, spectrum: Spectrum, covariance: Covariance, weight: float) -> tuple[int, list[str]]:
        """The number of components, and what is to be said of the choice."""
        if isinstance(self.n_components, Integral):
            return int(self.n_components), []
        if self.n_components == "bic":
            return self._choose_by_bic(spectrum, covariance, weight)
        share = np.cumsum(spectrum.values) / max(spectrum.tails()[0], np.finfo(np.float64).tiny)
        return min(int(np.searchsorted(share, self.n_components, side="right")) + 1, len(share)), []

    def _choose_by_bic(self, spectrum: Spectrum, covariance: Covariance, weight: float) -> tuple[int, list[str]]:
        """By the columns that tell something of their own; of fewer rows than columns, with the roles of both exchanged."""
        messages = []
        redundant = _redundant(covariance, weight)
        if redundant.any():
            columns = list_columns(self, np.flatnonzero(redundant))
            messages.append(
                f"PPCA: {columns} constant or a multiple of another column or a sum of such multiples; the number of "
                "components is chosen without them. Leave such columns out."
            )
            kept = covariance.product(np.eye(covariance.n_features))[np.ix_(~redundant, ~redundant)]
            spectrum = MatrixCovariance(covariance.mean[~redundant], kept).decompose()
        d = int((~redundant).sum())
        if d < 2:
            return 1, messages
        n_samples = weight
        if weight <= d:
            messages.append(
                f"PPCA: X has {weight:g} rows for {d} columns, too few for the Bayesian information criterion; the number "
                "of components is chosen as if rows were columns. Give the number yourself, or more rows."
            )
            # The covariance and the matrix of the rows' products share the eigenvalues that are not zero.
            d, n_samples = max(int(weight) - 1, 1), float(d)
            values = spectrum.values[:d]
            spectrum = Spectrum(values, spectrum.vectors[:, :d], 0.0)
        floor = noise_floor(np.array([spectrum.tails()[0] / d]))
        bic = bic_path(entropy_sum_path(spectrum, d, floor), d, n_samples)
        # Where nothing is left for the noise the likelihood is unbounded, and tells nothing.
        proper = spectrum.tails()[: len(bic)] / (d - np.arange(len(bic))) > 1e3 * floor
        return max(int(np.where(proper, bic, np.inf).argmin()), 1), messages

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

    @property
    def explained_variance_ratio_(self) -> FloatArray:
        """Share of the variance of all features along each component, the noise there included."""
        check_is_fitted(self, "components_")
        total = float((self.components_.astype(np.float64) ** 2).sum()) + len(self.mean_) * self.noise_variance_
        return np.asarray(self.explained_variance_ / total)

    def summary(self, *, cutoff: float = 0.0, sort: bool = False) -> Summary:
        """All that is reported of a PPCA, as a text, as HTML in notebooks, or as frames.

        Parameters
        ----------
        cutoff : float, default=0.0
            Loadings that are smaller in absolute value are not printed; frames have all.
        sort : bool, default=False
            Order the features by the component on which they load most, and on each by descending absolute loading.

        Returns
        -------
        Summary
            With the tables "variance" and "loadings".
        """
        check_is_fitted(self, "components_")
        return summarize_components(self, cutoff=cutoff, sort=sort)

    def _n_parameters(self, d: int, k: int) -> int:
        return int(count_parameters(d, np.array(k)))

    def standard_errors(self, X: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> StandardErrors:
        """Standard errors of the loadings, the mean and the noise variance from the observed information.

        Loadings are identified by their orthogonality; where two components explain almost the same, theirs are large.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), default=None
            The training data; needed if they had missing values or fewer rows than columns, or the solver kept no
            moments.
        sample_weight : array-like of shape (n_samples,), default=None
            Those of the training data.

        Returns
        -------
        StandardErrors

        Raises
        ------
        ValueError
            If X is needed, or the components explain the data completely.
        """
        check_is_fitted(self, "components_")
        if self._on_floor:
            raise ValueError(
                "There are no standard errors where the components explain the data completely, since the likelihood has "
                "no maximum; use fewer components."
            )
        return self._standard_errors(X, sample_weight, None)


def _is_on_floor(parameters: LinearGaussian, floor: FloatArray) -> bool:
    """Whether the components leave nothing to the noise."""
    return bool(parameters.noise[0] <= ON_FLOOR * floor[0])


def _redundant(covariance: Covariance, weight: float) -> Array:
    """Columns that are constant, multiples of an earlier column or sums of multiples of several, but for a shift."""
    constant = covariance.constant()
    scale = np.where(constant, 0.0, 1.0 / np.sqrt(np.where(constant, 1.0, covariance.variances)))
    correlation = covariance.scaled(scale).product(np.eye(covariance.n_features))
    redundant = np.asarray(constant.copy())
    for j in range(len(redundant)):
        if not redundant[j]:
            redundant[j + 1 :] |= np.abs(correlation[j, j + 1 :]) > 1.0 - _SAME
    kept = np.flatnonzero(~redundant)
    values, vectors = np.linalg.eigh(correlation[np.ix_(kept, kept)])
    n_dependences = int((values < _SAME).sum())
    # Of no more rows than columns every column is a sum of others.
    if n_dependences and len(kept) - n_dependences < weight - 1.0:
        redundant[kept[_dependent(vectors[:, :n_dependences].T, scale[kept])]] = True
    return redundant


def _dependent(dependences: FloatArray, scale: FloatArray) -> Array:
    """One column of each linear dependence of columns times a scale: the total of others, or that which has most of it."""
    n = len(dependences)
    _, pivots = linalg.qr(dependences, mode="r", pivoting=True)
    # Coefficients of the columns themselves, each dependence with one of the pivots.
    coefficients = np.linalg.solve(dependences[:, pivots[:n]], dependences) * scale
    totals = [_total(row) for row in coefficients]
    chosen = np.array([pivot if total is None else total for total, pivot in zip(totals, pivots, strict=False)])
    independent = np.linalg.matrix_rank(dependences[:, chosen]) == n
    return chosen if independent else pivots[:n]


def _total(coefficients: FloatArray) -> int | None:
    """The one column that all others in a dependence, of which there are several, have one and the same coefficient for."""
    involved = np.flatnonzero(np.abs(coefficients) > _NOTHING * np.abs(coefficients).max())
    found = [j for j in involved if np.ptp(others := coefficients[involved[involved != j]]) <= _NOTHING * abs(others[0])]
    return int(found[0]) if len(found) == 1 else None
