"""Do correlations merit a factor analysis, and with how many factors? KMO, Bartlett's sphericity, parallel analysis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from sklearn.utils import check_random_state

from .._messages import feature_names, list_columns
from .._tables import Column, Table
from .._typing import Array, ArrayLike, FloatArray
from ._covariance_input import check_covariance, check_n_samples, check_total
from ._factor_analysis import FactorAnalysis
from ._moments import Moments
from ._moments import row_bytes as moments_row_bytes
from ._profile import inverse_and_log_det
from ._saturated import likeliest_gaussian
from ._spectrum import MatrixCovariance

_SINGULAR = (
    "The correlations are singular: there are no more rows than columns, or columns that depend on each other. Leave "
    "columns out, or give more rows."
)


@dataclass(frozen=True, repr=False)
class SamplingAdequacy:
    """Measures of sampling adequacy (Kaiser, Meyer and Olkin), from 0 to 1, which compare correlations with partial ones.

    Kaiser and Rice (1974) call them marvellous from 0.9, meritorious from 0.8, middling from 0.7, mediocre from 0.6,
    miserable from 0.5, and unacceptable below.

    Attributes
    ----------
    overall : float
    per_feature : ndarray of shape (n_features,)
    feature_names : list of str
    """

    overall: float
    per_feature: FloatArray
    feature_names: list[str]

    @property
    def table(self) -> Table:
        """The measures as a table."""
        names, values = ["overall", *self.feature_names], [self.overall, *self.per_feature]
        return Table("sampling adequacy (Kaiser-Meyer-Olkin), at most 1", names, [Column("KMO", values)], "feature")

    def to_frame(self) -> Any:
        """The measures as a pandas frame.

        Returns
        -------
        pandas.DataFrame
        """
        return self.table.to_frame()

    def __str__(self) -> str:
        return str(self.table)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.table._repr_html_()


@dataclass(frozen=True)
class SphericityTest:
    """Bartlett's test that all correlations are zero.

    Attributes
    ----------
    statistic : float
        Chi-square ``-(n - 1 - (2 D + 5) / 6) log det R`` of n rows with D columns.
    dof : int
        D (D - 1) / 2.
    pvalue : float
    """

    statistic: float
    dof: int
    pvalue: float


@dataclass(frozen=True, repr=False)
class ParallelAnalysis:
    """Eigenvalues of the correlations, compared with those of as many rows of independent features.

    Attributes
    ----------
    n_components : int
        Number of leading eigenvalues that are larger than the thresholds: the number of factors to consider.
    eigenvalues, thresholds : ndarray of shape (n_features,)
    kind : {"components", "factors"}
    quantile : float or None
        The quantile of the random eigenvalues that serves as threshold; None stands for their mean.
    """

    n_components: int
    eigenvalues: FloatArray
    thresholds: FloatArray
    kind: str
    quantile: float | None

    @property
    def table(self) -> Table:
        """The eigenvalues as a table."""
        what = "mean" if self.quantile is None else f"{self.quantile:g} quantile"
        title = f"parallel analysis: {self.kind} with eigenvalues above the {what} of random data: {self.n_components}"
        names = [str(i + 1) for i in range(len(self.eigenvalues))]
        larger = np.arange(len(names)) < self.n_components
        columns = [Column("eigenvalue", self.eigenvalues), Column("random data", self.thresholds), Column("kept", larger)]
        return Table(title, names, columns, "number")

    def to_frame(self) -> Any:
        """The eigenvalues as a pandas frame.

        Returns
        -------
        pandas.DataFrame
        """
        return self.table.to_frame()

    def __str__(self) -> str:
        return str(self.table)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.table._repr_html_()


def kmo(
    X: ArrayLike | None = None, sample_weight: ArrayLike | None = None, *, covariance: ArrayLike | None = None
) -> SamplingAdequacy:
    r"""Measure of sampling adequacy, for all features and for each (Kaiser 1970; Kaiser and Rice 1974).

    .. math::

        \frac{\sum r_{ij}^2}{\sum r_{ij}^2 + \sum q_{ij}^2}, \quad i \ne j,

    with the correlations r of two features and the partial correlations q given all others. For a single feature i the sums
    are over j.

    Parameters
    ----------
    X : {array-like, sparse matrix, Dask array or frame, RowBlocks} of shape (n_samples, n_features), default=None
        With missing values the correlations are maximum-likelihood estimates.
    sample_weight : array-like of shape (n_samples,), default=None
    covariance : array-like of shape (n_features, n_features), default=None
        Covariances or correlations, which replace X.

    Returns
    -------
    SamplingAdequacy

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skentropy.decomposition import kmo
    >>> round(kmo(load_wine().data).overall, 3)
    0.779
    """
    R, _, names = _correlations(X, sample_weight, covariance)
    inverse, _ = inverse_and_log_det(R)
    if inverse is None:
        raise ValueError(_SINGULAR)
    scale = np.sqrt(np.diag(inverse))
    correlations, partial = R**2, (inverse / scale / scale[:, np.newaxis]) ** 2
    np.fill_diagonal(correlations, 0.0)
    np.fill_diagonal(partial, 0.0)
    of_feature = correlations.sum(axis=0)
    per_feature = of_feature / (of_feature + partial.sum(axis=0))
    overall = float(correlations.sum() / (correlations.sum() + partial.sum()))
    return SamplingAdequacy(overall, np.asarray(per_feature), names)


def bartlett_sphericity(
    X: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    *,
    covariance: ArrayLike | None = None,
    n_samples: float | None = None,
) -> SphericityTest:
    """Bartlett's test of sphericity: whether the features correlate at all (Bartlett 1950, 1951).

    Parameters
    ----------
    X : {array-like, sparse matrix, Dask array or frame, RowBlocks} of shape (n_samples, n_features), default=None
        Complete rows.
    sample_weight : array-like of shape (n_samples,), default=None
        As counts.
    covariance : array-like of shape (n_features, n_features), default=None
        Covariances or correlations, which replace X.
    n_samples : float, default=None
        Number of rows of ``covariance``.

    Returns
    -------
    SphericityTest

    Raises
    ------
    ValueError
        If X has missing values, for which the test has another distribution, or if the correlations are singular.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skentropy.decomposition import bartlett_sphericity
    >>> test = bartlett_sphericity(load_wine().data)
    >>> round(test.statistic, 2), test.dof
    (1317.18, 78)
    """
    R, n, _ = _correlations(X, sample_weight, covariance, n_samples, count="bartlett_sphericity")
    inverse, log_det = inverse_and_log_det(R)
    if inverse is None:
        raise ValueError(_SINGULAR)
    check_total(n)
    d = len(R)
    statistic, dof = -(n - 1.0 - (2.0 * d + 5.0) / 6.0) * log_det, d * (d - 1) // 2
    return SphericityTest(float(statistic), dof, float(stats.chi2.sf(statistic, dof)))


def parallel_analysis(
    X: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    *,
    covariance: ArrayLike | None = None,
    n_samples: float | None = None,
    kind: str = "components",
    quantile: float | None = 0.95,
    n_draws: int = 200,
    random_state: Any = None,
) -> ParallelAnalysis:
    """Number of factors by Horn's parallel analysis, which compares eigenvalues with those of random data of the same size.

    Parameters
    ----------
    X : {array-like, sparse matrix, Dask array or frame, RowBlocks} of shape (n_samples, n_features), default=None
        With missing values the correlations are maximum-likelihood estimates.
    sample_weight : array-like of shape (n_samples,), default=None
        As counts.
    covariance : array-like of shape (n_features, n_features), default=None
        Covariances or correlations, which replace X.
    n_samples : float, default=None
        Number of rows of ``covariance``.
    kind : {"components", "factors"}, default="components"
        "components" compares eigenvalues of the correlations (Horn 1965). "factors" puts squared multiple correlations on
        the diagonal (Humphreys and Ilgen 1969), and keeps more factors.
    quantile : float or None, default=0.95
        The quantile of the random eigenvalues to compare with (Glorfeld 1995); None compares with their mean, as Horn did.
    n_draws : int, default=200
        Number of random correlation matrices.
    random_state : int, RandomState instance or None, default=None

    Returns
    -------
    ParallelAnalysis

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skentropy.decomposition import parallel_analysis
    >>> parallel_analysis(load_wine().data, random_state=0).n_components
    3
    """
    if kind not in ("components", "factors"):
        raise ValueError(f"kind must be 'components' or 'factors', got {kind!r}.")
    if quantile is not None and not 0.0 < quantile < 1.0:
        raise ValueError(f"quantile must be between 0 and 1, or None for the mean, got {quantile!r}.")
    if n_draws < 1:
        raise ValueError(f"n_draws must be at least 1, got {n_draws!r}.")
    R, n, _ = _correlations(X, sample_weight, covariance, n_samples, count="parallel_analysis")
    check_total(n)
    random_state = check_random_state(random_state)
    draws = np.array([_eigenvalues(random_correlations(n, len(R), random_state), kind) for _ in range(n_draws)])
    thresholds = draws.mean(axis=0) if quantile is None else np.quantile(draws, quantile, axis=0)
    eigenvalues = _eigenvalues(R, kind)
    below = np.flatnonzero(eigenvalues <= thresholds)
    return ParallelAnalysis(int(below[0]) if below.size else len(R), eigenvalues, thresholds, kind, quantile)


def random_correlations(n: float, d: int, random_state: np.random.RandomState) -> FloatArray:
    """Draw correlations of n rows of d independent Gaussians, from the Bartlett decomposition of their Wishart scatter."""
    if n - 1.0 >= d:
        root = np.tril(random_state.normal(size=(d, d)), -1)
        root[np.diag_indices(d)] = np.sqrt(random_state.chisquare(n - 1.0 - np.arange(d)))
    else:
        rows = random_state.normal(size=(int(n), d))
        root = (rows - rows.mean(axis=0)).T
    root /= np.linalg.norm(root, axis=1, keepdims=True)
    return np.asarray(root @ root.T)


def _eigenvalues(R: FloatArray, kind: str) -> FloatArray:
    """Eigenvalues, descending; for factors with squared multiple correlations 1 - 1 / (R^-1)_ii in place of ones."""
    if kind == "factors":
        inverse, _ = inverse_and_log_det(R)
        if inverse is None:
            raise ValueError(_SINGULAR)
        R = R - np.diag(1.0 / np.diag(inverse))
    return np.asarray(np.linalg.eigvalsh(R)[::-1])


def _correlations(
    X: ArrayLike | None,
    sample_weight: ArrayLike | None,
    covariance: ArrayLike | None,
    n_samples: float | None = None,
    count: str = "",
) -> tuple[FloatArray, float, list[str]]:
    """Correlations, number of rows and names of the features; ``count`` names a function that needs the number."""
    if (X is None) == (covariance is None):
        raise ValueError("Give either X or covariance.")
    reader = FactorAnalysis()
    if X is None:
        if sample_weight is not None:
            raise ValueError("sample_weight goes with X; the number of rows of covariance is n_samples.")
        if count and n_samples is None:
            raise ValueError(f"{count} of a covariance needs n_samples, the number of its rows.")
        n = check_n_samples(n_samples) if count else np.nan
        matrix = check_covariance(covariance)
        reader._reader(lambda n_features: 1).check_names(reader, covariance, reset=True)
        reader.n_features_in_ = len(matrix)
        found = MatrixCovariance(np.zeros(len(matrix)), matrix)
    else:
        if n_samples is not None:
            raise ValueError("n_samples goes with covariance; that of X is its number of rows, or the sum of sample_weight.")
        found, n = _covariance(reader, X, sample_weight, complete=count == "bartlett_sphericity")
    _refuse_constant(reader, found.constant())
    return found.correlation().product(np.eye(found.n_features)), n, feature_names(reader)


def _covariance(
    reader: FactorAnalysis, X: ArrayLike, sample_weight: ArrayLike | None, *, complete: bool
) -> tuple[MatrixCovariance, float]:
    """The covariance of complete rows, or the likeliest one of standardised rows with gaps, and the total weight."""
    rows = reader._reader(moments_row_bytes).read(reader, X, sample_weight, reset=True, min_samples=2)
    moments = Moments.of_rows(rows)
    if not np.isnan(moments.mean).any():
        return MatrixCovariance(moments.mean, moments.covariance), moments.weight
    if complete:
        raise ValueError("X has missing values, with which Bartlett's test has another distribution; leave such rows out.")
    data = reader._standardised(rows)
    _refuse_constant(reader, data.constant())
    found = likeliest_gaussian(data)
    if found is None:
        raise ValueError(_SINGULAR)
    return MatrixCovariance(found.mean, found.covariance), data.model.total_weight


def _refuse_constant(reader: FactorAnalysis, constant: Array) -> None:
    if constant.any():
        columns = list_columns(reader, np.flatnonzero(constant))
        raise ValueError(f"Correlations need columns that vary, but {columns} is constant; leave such columns out.")
