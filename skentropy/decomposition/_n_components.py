"""Choose the number of components of a PPCA by a share of the variance or by a criterion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import linalg

from .._messages import list_columns
from .._typing import Array, FloatArray
from ._closed_form import bic_path, count_parameters, entropy_sum_path, noise_floor
from ._em_model import StandardisedData
from ._fit import GaussianFit, Outcome
from ._saturated import likeliest_gaussian
from ._spectrum import Covariance, MatrixCovariance, Spectrum

# Two columns are the same if their correlation differs from one by less. Smaller eigenvalues of a correlation matrix count
# as zero.
_SAME = 1e-12
# A coefficient, or a difference of two, in a linear dependence counts as zero below this share of the largest coefficient.
_NOTHING = 1e-6


def number_for_share(spectrum: Spectrum, share: float) -> int:
    """The smallest number of components that explain more than a share of the variance."""
    shares = np.cumsum(spectrum.values) / max(spectrum.tails[0], np.finfo(np.float64).tiny)
    return min(int(np.searchsorted(shares, share, side="right")) + 1, len(shares))


def choose_by_bic(estimator: Any, spectrum: Spectrum, covariance: Covariance, weight: float) -> tuple[int, list[str]]:
    """The number with the lowest criterion, and warnings about the choice.

    Constant and dependent columns are left out. If there are fewer rows than columns, rows and columns exchange roles.
    """
    messages = []
    redundant = _redundant(covariance, weight)
    if redundant.any():
        columns = list_columns(estimator, np.flatnonzero(redundant))
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
    floor = noise_floor(np.array([spectrum.tails[0] / d]))
    bic = bic_path(entropy_sum_path(spectrum, d, floor), d, n_samples)
    # If nothing is left for the noise, the likelihood is unbounded and meaningless.
    proper = spectrum.tails[: len(bic)] / (d - np.arange(len(bic))) > 1e3 * floor
    return max(int(np.where(proper, bic, np.inf).argmin()), 1), messages


def fit_by_bic(estimator: Any, data: StandardisedData, fit_of: Callable[[int], GaussianFit]) -> Outcome:
    """Fit 1, 2, ... components by EM until no larger number can have a lower criterion, and return the best fit.

    Parameters
    ----------
    estimator : PPCA
    data : StandardisedData
    fit_of : callable
        Makes the fit of a number of components.
    """
    d, n = len(data.scale), data.model.total_weight
    any_covariance = likeliest_gaussian(data)
    highest = np.inf if any_covariance is None else any_covariance.log_likelihood
    size = max(d, 2)

    def penalty(h: int) -> float:
        return float(np.log(n)) * count_parameters(d, h)

    entropies, bic = np.full(size, np.nan), np.full(size, np.nan)
    best: Outcome | None = None
    for h in range(1, size):
        fit = fit_of(h)
        found = fit.outcome()
        on_floor = found.attributes["_on_floor"]
        if not on_floor:
            entropies[h] = found.attributes["entropy_sum_"].value
            bic[h] = penalty(h) - 2.0 * n * found.attributes["lower_bound_"]
        if best is None:
            best = found
        elif bic[h] < np.nanmin(bic[:h]) and not fit.interrupted:
            best.pass_over()
            best = found
        else:
            found.pass_over()
        if fit.interrupted and best is not found:
            best.messages.append(f"PPCA was interrupted at {h} components; the model is the best of those with fewer.")
        # No model has a higher likelihood than the Gaussian with an unrestricted covariance.
        if fit.interrupted or on_floor or penalty(h + 1) - 2.0 * n * highest >= np.nanmin(bic):
            break
    assert best is not None
    best.attributes.update(entropy_sum_path_=entropies, bic_path_=bic)
    return best


def _redundant(covariance: Covariance, weight: float) -> Array:
    """Which columns are constant, or linear combinations of other columns plus a constant."""
    correlation = covariance.correlation().product(np.eye(covariance.n_features))
    redundant = covariance.constant()
    for j in range(len(redundant)):
        if not redundant[j]:
            redundant[j + 1 :] |= np.abs(correlation[j, j + 1 :]) > 1.0 - _SAME
    kept = np.flatnonzero(~redundant)
    values, vectors = np.linalg.eigh(correlation[np.ix_(kept, kept)])
    n_dependences = int((values < _SAME).sum())
    # If there are no more rows than columns, every column is a combination of others.
    if n_dependences and len(kept) - n_dependences < weight - 1:
        redundant[kept[_dependent(vectors[:, :n_dependences].T, np.sqrt(covariance.variances[kept]))]] = True
    return redundant


def _dependent(dependences: FloatArray, deviations: FloatArray) -> Array:
    """One column of each linear dependence among standardised columns: the total of others, or the dominant one."""
    n = len(dependences)
    _, pivots = linalg.qr(dependences, mode="r", pivoting=True)
    # Coefficients of the columns themselves, each dependence with one of the pivots.
    coefficients = np.linalg.solve(dependences[:, pivots[:n]], dependences) / deviations
    totals = [_total(row) for row in coefficients]
    chosen = np.array([pivot if total is None else total for total, pivot in zip(totals, pivots, strict=False)])
    independent = np.linalg.matrix_rank(dependences[:, chosen]) == n
    return chosen if independent else pivots[:n]


def _total(coefficients: FloatArray) -> int | None:
    """The one column that is a multiple of the sum of all others in a dependence; None if there is no single such column."""
    involved = np.flatnonzero(np.abs(coefficients) > _NOTHING * np.abs(coefficients).max())
    found = [j for j in involved if np.ptp(others := coefficients[involved[involved != j]]) <= _NOTHING * abs(others[0])]
    return int(found[0]) if len(found) == 1 else None
