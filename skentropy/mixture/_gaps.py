"""Condition Gaussian components on the observed entries of many rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np

from .._data import unique_rows
from .._linalg import invert
from .._typing import Array, FloatArray

# A pattern with at least so many rows in a block gets its own matrix product.
_MANY_ROWS = 32
# Matrices up to this size are inverted entry by entry, with arrays over the rows.
_SMALL = 8


@dataclass(frozen=True)
class Pattern:
    """Consecutive rows in which the same entries are missing, given by ``missing`` (d,)."""

    rows: slice
    missing: Array


@dataclass(frozen=True)
class Group:
    """Consecutive rows in which equally many entries are missing, given by ``missing`` (q, n_rows)."""

    rows: slice
    missing: Array


@dataclass(frozen=True)
class Gaps:
    """Rows in the order in which their gaps are filled: complete ones, groups, frequent patterns.

    Attributes
    ----------
    order : ndarray of shape (n,)
        Row ``order[i]`` is the i-th.
    n_missing : ndarray of shape (n,)
        In this order.
    observed : ndarray of shape (d, n)
        In this order; one where an entry is observed, else zero.
    groups : tuple of Group
    patterns : tuple of Pattern
    """

    order: Array
    n_missing: Array
    observed: FloatArray
    groups: tuple[Group, ...]
    patterns: tuple[Pattern, ...]

    @classmethod
    def of(cls, missing: Array) -> Self:
        """The gaps of rows with a mask (n, d) of missing entries."""
        distinct, index = unique_rows(missing)
        n_missing, counts = distinct.sum(axis=1), np.bincount(index)
        frequent = (counts >= _MANY_ROWS) & (n_missing > 0)
        rank = np.where(frequent, distinct.shape[1] + 1 + np.arange(len(distinct)), n_missing)[index]
        order = np.argsort(rank, kind="stable")
        edges = np.append(np.flatnonzero(np.diff(rank[order], prepend=-1)), len(order))
        groups, patterns = [], []
        for start, stop in pairwise(edges):
            rows, kind = slice(int(start), int(stop)), index[order[start]]
            if frequent[kind]:
                patterns.append(Pattern(rows, distinct[kind]))
            elif n_missing[kind]:
                columns = np.nonzero(missing[order[rows]])[1].reshape(-1, n_missing[kind]).T
                groups.append(Group(rows, np.ascontiguousarray(columns)))
        observed = np.ascontiguousarray(~missing[order].T, dtype=np.float64)
        return cls(order, n_missing[index][order], observed, tuple(groups), tuple(patterns))

    @property
    def scattered(self) -> slice:
        """The rows of all groups."""
        return slice(self.groups[0].rows.start, self.groups[-1].rows.stop) if self.groups else slice(0, 0)


@dataclass(frozen=True)
class Conditional:
    r"""How G Gaussians complete rows of one pattern; in their frames y = R^-1 (x - mu).

    With the precision matrix :math:`\Lambda`, the expected deviations of missing entries from their means are
    :math:`-\Lambda_{mm}^{-1} \Lambda_{mo} (x_o - \mu_o)`, and their covariance is :math:`\Lambda_{mm}^{-1}`.

    Attributes
    ----------
    completion : ndarray of shape (G, q, d)
        Maps deviations of rows to those of the missing entries.
    transform : ndarray of shape (G, d, d)
        Maps deviations to completed rows in the frame.
    roots : ndarray of shape (G, d, q)
        Roots of the conditional covariances of y given the observed entries.
    log_det_precisions : ndarray of shape (G,)
    """

    completion: FloatArray
    transform: FloatArray
    roots: FloatArray
    log_det_precisions: FloatArray

    @classmethod
    def of(cls, inverses: FloatArray, precisions: FloatArray, missing: Array) -> Self:
        covariances, log_dets = invert(precisions[:, missing][:, :, missing])
        completion = -covariances @ precisions[:, missing]
        completion[:, :, missing] = 0.0
        transform = inverses + inverses[:, :, missing] @ completion
        transform[:, :, missing] = 0.0
        return cls(completion, transform, inverses[:, :, missing] @ np.linalg.cholesky(covariances), log_dets)


@dataclass(frozen=True)
class Filling:
    """Conditional means and covariances of the missing entries of a group's rows, for K components.

    Attributes
    ----------
    group : Group
    expected : ndarray of shape (K, q, n_rows)
        Deviations from the component's means.
    covariances : ndarray of shape (G, q, q, n_rows)
    log_det_precisions : ndarray of shape (G, n_rows)
    """

    group: Group
    expected: FloatArray
    covariances: FloatArray
    log_det_precisions: FloatArray

    def put(self, deviation: FloatArray, component: int) -> None:
        """Fill the gaps of rows (d, n) with a component's expectations."""
        rows = self.group.rows
        deviation[self.group.missing, np.arange(rows.start, rows.stop)] = self.expected[component]

    def spread(self, of: int, weights: FloatArray, n_features: int) -> FloatArray:
        """Weighted sum over the rows of the conditional covariances, among all features, of one of the G Gaussians."""
        missing = self.group.missing
        places = missing[:, np.newaxis] * n_features + missing
        values = self.covariances[of] * weights[self.group.rows]
        sums = np.bincount(places.ravel(), weights=values.ravel(), minlength=n_features**2)
        return np.asarray(sums.reshape(n_features, n_features), dtype=np.float64)

    def roots(self, of: int, n_features: int) -> FloatArray:
        """Square roots of each row's covariance, (n_rows, n_features, q), zero where an entry is observed."""
        q, n = self.group.missing.shape
        roots = np.zeros((n, n_features, q))
        own = np.linalg.cholesky(self.covariances[of].transpose(2, 0, 1))
        roots[np.arange(n)[:, np.newaxis], self.group.missing.T] = own
        return roots


def fillings(X: FloatArray, means: FloatArray, precisions: FloatArray, group: Array, gaps: Gaps) -> Iterator[Filling]:
    """Conditional moments of the gaps of rows X (d, n), by groups, for components with means (K, d) and G precisions."""
    scattered = gaps.scattered
    if scattered.start == scattered.stop:
        return
    deviation = X[:, scattered] - means[:, :, np.newaxis]
    deviation *= gaps.observed[:, scattered]
    pull = precisions[group] @ deviation
    for one in gaps.groups:
        rows = np.arange(one.rows.start, one.rows.stop) - scattered.start
        covariances, log_dets = _invert_all(precisions[:, one.missing[:, np.newaxis], one.missing])
        expected = -np.einsum("kijn,kjn->kin", covariances[group], pull[:, one.missing, rows])
        yield Filling(one, expected, covariances, log_dets)


def _invert_all(matrices: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Inverses and log determinants of positive definite matrices (G, q, q, n)."""
    G, q, _, n = matrices.shape
    if q > _SMALL:
        inverses, log_dets = invert(np.ascontiguousarray(matrices.transpose(0, 3, 1, 2)).reshape(G * n, q, q))
        return inverses.reshape(G, n, q, q).transpose(0, 2, 3, 1), log_dets.reshape(G, n)
    # Sweeps (Goodnight 1979), each on all matrices at once.
    log_dets = np.zeros((G, n))
    for k in range(q):
        pivot = matrices[:, k, k].copy()
        log_dets += np.log(pivot)
        row = matrices[:, k].copy()
        column = row / pivot[:, np.newaxis]
        matrices -= column[:, :, np.newaxis] * row[:, np.newaxis]
        matrices[:, :, k] = column
        matrices[:, k] = column
        matrices[:, k, k] = -1.0 / pivot
    return np.negative(matrices, out=matrices), log_dets
