"""Bivariate residuals of latent classes: which pairs of categorical columns remain dependent within components."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy.special import xlogy
from scipy.stats import chi2

from .._data import Additive, Block
from .._messages import feature_names
from .._tables import Column, Table
from .._typing import Array, FloatArray
from ._categories import category_name

# Largest number of cells of all tables of pairs together.
_MOST_CELLS = 2**12
# Cells with smaller expected counts are left out.
_IMPOSSIBLE = 1e-300


@dataclass(frozen=True)
class PairTables(Additive):
    """Weighted counts of all pairs of categories that occur together in a row.

    Attributes
    ----------
    counts : ndarray of shape (C, C)
        C is the number of categories of all columns.
    """

    counts: FloatArray

    @classmethod
    def of_block(cls, block: Block, sizes: Mapping[int, int]) -> PairTables:
        """The tables of a block; ``sizes`` maps columns to their numbers of categories, which are coded 0, 1, ..."""
        X = block.take_columns(list(sizes)).dense
        shown = [X[:, [i]] == np.arange(size) for i, size in enumerate(sizes.values())]
        one_hot: Array = np.concatenate([np.zeros((block.n_rows, 0)), *shown], axis=1)
        weighted = one_hot if block.weight is None else one_hot * block.weight[:, np.newaxis]
        return cls(weighted.T @ one_hot)

    def table(self, estimator: Any, probabilities: Mapping[int, FloatArray], most: int | None = None) -> Table:
        r"""Pearson's chi-square of each pair, in descending order of its ratio to the degrees of freedom.

        It compares the counts :math:`n_{ab}` with :math:`n_{..} \sum_c \pi_c p_{cda} p_{ceb}`, with (A - 1)(B - 1) degrees
        of freedom for the categories that occur.
        """
        weights, names = estimator.weights_, feature_names(estimator)
        ends = np.cumsum([0, *(values.shape[1] for values in probabilities.values())])
        places = {d: slice(ends[i], ends[i + 1]) for i, d in enumerate(probabilities)}
        rows, values = [], []
        for d, e in combinations(probabilities, 2):
            observed = self.counts[places[d], places[e]]
            expected = observed.sum() * np.einsum("c,ca,cb->ab", weights, probabilities[d], probabilities[e])
            possible = expected > _IMPOSSIBLE
            chi_square = float(((observed - expected)[possible] ** 2 / expected[possible]).sum())
            occur = [int(probabilities[f].any(axis=0).sum()) for f in (d, e)]
            dof = (occur[0] - 1) * (occur[1] - 1)
            if dof:
                rows.append(f"{names[d]}, {names[e]}")
                values.append((chi_square / dof, chi_square, float(dof), _strongest(estimator, (d, e), observed, expected)))
        order = sorted(range(len(rows)), key=lambda i: -values[i][0])[:most]
        shown = f" of the {len(order)} largest of {len(rows)} pairs" if len(order) < len(rows) else " of pairs"
        columns = [
            Column("residual", [values[i][0] for i in order], ".3f"),
            Column("chi-square", [values[i][1] for i in order], ".3f"),
            Column("df", [int(values[i][2]) for i in order]),
            Column("most", [values[i][3] for i in order]),
        ]
        title = (
            f"bivariate residuals{shown}: chi-square of what the components leave dependent, divided by its degrees of "
            "freedom (above about 4 it deserves a look), and the cell that adds most to it"
        )
        return Table(title, [rows[i] for i in order], columns, "features")


def count_patterns(block: Block, sizes: Mapping[int, int]) -> FloatArray:
    """Weighted counts of the rows' patterns of categories; NaN if rows have gaps, empty if there are too many patterns."""
    cells = math.prod(sizes.values())
    if not sizes or cells > _MOST_CELLS:
        return np.zeros(0)
    X = block.take_columns(list(sizes)).dense
    if np.isnan(X).any():
        return np.full(cells, np.nan)
    index = np.ravel_multi_index(tuple(X.astype(np.intp).T), tuple(sizes.values()))
    return np.bincount(index, block.weight, cells).astype(np.float64)


def pattern_facts(
    counts: FloatArray, weights: Array, probabilities: Mapping[int, FloatArray], n_parameters: int
) -> dict[str, str]:
    r"""Likelihood-ratio and Pearson's chi-square of all patterns, as in poLCA; nothing if rows have gaps.

    .. math::  G^2 = 2 \sum_x n_x \log \frac{n_x}{n p(x)}, \qquad X^2 = \sum_x \frac{(n_x - n p(x))^2}{n p(x)}
    """
    if not counts.size or np.isnan(counts).any():
        return {}
    joint = np.asarray(weights, dtype=np.float64)[:, np.newaxis]
    for p in probabilities.values():
        joint = (joint[:, :, np.newaxis] * p[:, np.newaxis]).reshape(len(p), -1)
    expected = counts.sum() * joint.sum(axis=0)
    possible = expected > _IMPOSSIBLE
    n, e = counts[possible], expected[possible]
    statistics = {
        "G-squared": 2.0 * float(xlogy(n, n / e).sum()),
        "X-squared": float(((n - e) ** 2 / e).sum()),
    }
    cells = math.prod(int(p.any(axis=0).sum()) for p in probabilities.values())
    dof = cells - 1 - n_parameters
    if dof <= 0:
        return {}
    return {
        name: f"{value:.3f} on {dof} degrees of freedom, p {chi2.sf(value, dof):.3g}" for name, value in statistics.items()
    }


def _strongest(estimator: Any, features: tuple[int, int], observed: FloatArray, expected: FloatArray) -> str:
    """The cell with the largest Pearson residual."""
    residuals = (observed - expected) / np.sqrt(np.maximum(expected, _IMPOSSIBLE))
    cell = np.unravel_index(int(np.abs(residuals).argmax()), residuals.shape)
    named = [str(category_name(estimator, feature, int(code))) for feature, code in zip(features, cell, strict=True)]
    return f"{', '.join(named)} too {'often' if residuals[cell] > 0.0 else 'rarely'}"
