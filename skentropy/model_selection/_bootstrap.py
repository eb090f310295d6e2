"""Bootstrap of mixtures: standard errors and intervals from fits to reweighted rows, or to simulated rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from .._linalg import reciprocals
from .._messages import warn
from .._standard_errors import KNOWN, Estimate, StandardErrors, check_level
from .._typing import ArrayLike, FloatArray
from ..families._circle import turned
from ..mixture._base import BaseMixture
from ..mixture._fitted import rows_in_memory
from ._resampling import Draws, Simulations, Weightings, check_number, replicate, seeds, split_steps, warm

KINDS = ("weighted", "parametric")
_UNFITTED = (
    "The fits of bootstrap start at the maximum of a fitted model, and this %(name)s is not fitted. Call "
    "bootstrap(model.fit(X), X), with the weights and exposures in both calls if there are any."
)


@dataclass(frozen=True, repr=False)
class BootstrapResult(StandardErrors):
    """Estimates of a fitted mixture with standard errors and intervals by the bootstrap; prints as a table.

    It works like ``StandardErrors``, except that intervals are percentiles of the replicates.

    Attributes
    ----------
    title : str
        Title of the table.
    covariance : ndarray of shape (n_estimates, n_estimates)
        Covariance of the replicates in the order of ``names``.
    parameters : sequence of Estimate
        The fitted attributes, and the places of their entries in ``covariance``.
    replicates : ndarray of shape (n, n_estimates)
        The estimates of each fit.
    """

    replicates: FloatArray

    @property
    def distributions(self) -> dict[str, FloatArray]:
        """The replicates, on an additional first axis, by the names of the fitted attributes."""
        return {parameter.name: self._of(parameter) for parameter in self.parameters}

    @property
    def biases(self) -> dict[str, FloatArray]:
        """Mean of the replicates minus the estimate, by the names of the fitted attributes."""
        return {name: values.mean(axis=0) - self.estimates[name] for name, values in self.distributions.items()}

    def _of(self, parameter: Any) -> FloatArray:
        places = np.where(parameter.places == KNOWN, 0, parameter.places)
        return np.where(parameter.places == KNOWN, parameter.values, self.replicates[:, places])

    def confidence_intervals(self, level: float = 0.95) -> dict[str, FloatArray]:
        """Percentile intervals, which contain the middle share of the replicates.

        Parameters
        ----------
        level : float, default=0.95

        Returns
        -------
        dict of str to ndarray
            For each attribute the lower and the upper ends, on an additional last axis of length 2.

        Raises
        ------
        ValueError
            If the level is not between 0 and 1.
        """
        check_level(level)
        ends = (0.5 - 0.5 * level, 0.5 + 0.5 * level)
        return {name: np.moveaxis(np.quantile(values, ends, axis=0), 0, -1) for name, values in self.distributions.items()}


def _warn_of_other_rows(mixture: Any, weight: float) -> None:
    fitted = getattr(mixture, "n_samples_", weight)
    if not np.isclose(weight, fitted, rtol=1e-6):
        warn(
            f"{type(mixture).__name__} was fitted to {fitted:.8g} rows, but X stands for {weight:.8g}. The estimates are "
            "those of the fit and the intervals those of X: give the training data, with their sample_weight."
        )


def bootstrap(
    model: Any,
    X: ArrayLike,
    n: int = 1000,
    kind: Literal["weighted", "parametric"] = "weighted",
    *,
    sample_weight: ArrayLike | None = None,
    exposure: ArrayLike | None = None,
    n_jobs: int | None = None,
    random_state: Any = None,
    verbose: int = 0,
) -> BootstrapResult:
    r"""Bootstrap the parameters of a fitted mixture, by fits that start at its maximum, so components keep their labels.

    With ``kind="weighted"`` each fit is to the rows of X with random weights [1]_,

    .. math::  (w^*_1, \dots, w^*_n) \sim \sum_n w_n \; \mathrm{Dirichlet}(w_1, \dots, w_n),

    where a row that stands for w copies gets the weight of w rows together. Unlike drawing with replacement, this never
    leaves a row out completely, so no component or category loses its last row. With ``kind="parametric"`` each fit is to
    the same number of rows, drawn from the mixture, with the gaps of X.

    Parameters
    ----------
    model : fitted mixture, pipeline or search
        The transformers of a pipeline are not refitted.
    X : array-like of shape (n_samples, n_features)
        The training data, in memory.
    n : int, default=1000
        Number of fits; the ends of 95% intervals need about a thousand.
    kind : {"weighted", "parametric"}, default="weighted"
        "weighted" is valid for any distribution of the rows, "parametric" only if the model is correct.
    sample_weight, exposure : array-like of shape (n_samples,), default=None
        As given to ``fit``. Weights are counts; "parametric" needs whole numbers, and no exposure.
    n_jobs : int, default=None
        Number of processes, by joblib. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
    verbose : int, default=0
        1 prints a line after each tenth of the fits.

    Returns
    -------
    BootstrapResult
        It prints as a table with percentile intervals.

    Raises
    ------
    NotFittedError
        If the model is not fitted.
    TypeError
        If the model is not a mixture.
    ValueError
        If n is less than 2, X is not in memory, "weighted" is requested with weights that sum to one at most, or
        "parametric" with weights that are not whole numbers or with an exposure.

    Warns
    -----
    ConvergenceWarning
        If fits did not converge, or ended in degenerate solutions. They are included nevertheless.
    UserWarning
        If X and its weights are not as many rows as the model was fitted to.

    See Also
    --------
    skentropy.GaussianMixture.standard_errors : The same from the curvature of the likelihood, without further fits.
    bootstrap_lrt : A test for the number of components.

    References
    ----------
    .. [1] Newton, Raftery (1994), "Approximate Bayesian Inference with the Weighted Likelihood Bootstrap".

    Examples
    --------
    Counts of deaths per day, 1910 to 1912:

    >>> import numpy as np
    >>> from skentropy import PoissonMixture
    >>> from skentropy.model_selection import bootstrap
    >>> deaths, days = np.arange(10)[:, np.newaxis], [162, 267, 271, 185, 111, 61, 27, 8, 3, 1]
    >>> mixture = PoissonMixture(2, random_state=0).fit(deaths, sample_weight=days)
    >>> result = bootstrap(mixture, deaths, n=100, sample_weight=days, random_state=0)
    >>> result["rates"].shape
    (2, 1)
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(map(repr, KINDS))}, got {kind!r}.")
    check_number("n", n, 2)
    mixture, X = split_steps(model, X, "bootstrap gives intervals for the parameters")
    check_is_fitted(mixture, "weights_", msg=_UNFITTED)
    rows = rows_in_memory(mixture, X, sample_weight, exposure)
    table = X if mixture.learns_categories else rows.X
    draws: Draws = Weightings.of(table, rows) if kind == "weighted" else Simulations.of(mixture, table, rows)
    _warn_of_other_rows(mixture, rows.totals.weight)
    estimates = mixture.estimates()
    again = partial(_refit, mixture, draws)
    name = type(mixture).__name__
    fits = replicate(again, seeds(random_state, int(n)), n_jobs=n_jobs, verbose=verbose, name=f"bootstrap of {name}")
    values, converged, degenerate = map(np.array, zip(*fits, strict=True))
    for estimate in estimates:
        if estimate.direction == "angle":
            _turn(values, estimate)
        if estimate.direction == "factors":
            _match_factors(values, estimate)
    if not converged.all():
        warn(
            f"{(~converged).sum()} of {n} fits did not converge within max_iter={mixture.max_iter} steps; increase it.",
            ConvergenceWarning,
        )
    if degenerate.any():
        warn(
            f"{degenerate.sum()} of {n} fits ended in degenerate solutions, which make intervals too wide. Use fewer "
            "components, or prior_counts > 0.",
            ConvergenceWarning,
        )
    of = "random weightings of" if kind == "weighted" else "simulations of"
    title = f"{name}: bootstrap by {n} {of} {rows.totals.weight:.8g} rows, percentile intervals, {mixture.scale_label}"
    return BootstrapResult(title, np.atleast_2d(np.cov(values, rowvar=False)), estimates, values)


def _turn(values: FloatArray, angles: Estimate) -> None:
    """Add turns to angles among the replicates (n, n_estimates), so that those on both sides of the jump at pi are close."""
    own = angles.places != KNOWN
    values[:, angles.places[own]] = turned(values[:, angles.places[own]], angles.values[own])


def _match_factors(values: FloatArray, loadings: Estimate) -> None:
    """Give factors among the replicates (n, n_estimates) the order and the signs of the estimated ones."""
    drawn = values[:, loadings.places]
    sizes = (drawn**2).sum(axis=(0, 3))[..., np.newaxis]
    agreement = np.einsum("cdi,rcdj->rcij", loadings.values * reciprocals(sizes), drawn)
    for row, component in np.ndindex(agreement.shape[:2]):
        own = agreement[row, component]
        rows, columns = linear_sum_assignment(np.abs(own), maximize=True)
        signs = np.where(own[rows, columns] < 0.0, -1.0, 1.0)
        values[row, loadings.places[component]] = drawn[row, component][:, columns] * signs


def _refit(mixture: BaseMixture, draws: Draws, seed: int) -> tuple[FloatArray, bool, bool]:
    """The estimates of one replicate, whether it converged, and whether it is degenerate."""
    fit = draws.draw(np.random.RandomState(seed)).fit(warm(mixture))
    estimates = fit.estimates()
    values = np.zeros(1 + max(int(estimate.places.max(initial=KNOWN)) for estimate in estimates))
    for estimate in estimates:
        seen = estimate.places != KNOWN
        values[estimate.places[seen]] = estimate.values[seen]
    return values, fit.converged_, fit.is_degenerate
