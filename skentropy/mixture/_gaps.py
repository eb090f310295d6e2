"""Rows with missing entries, in an order in which they can be conditioned on what is observed many at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from .._data import unique_rows
from .._linalg import invert
from .._typing import Array, FloatArray

# A pattern with so many rows has its own products; the others' rows are taken together by the number of missing entries.
_MANY_ROWS = 24
# Up to this size many small matrices are inverted entry by entry, as arrays over the rows.
_SMALL = 6


@dataclass(frozen=True)
class Group:
    """Consecutive rows that miss equally many entries: ``missing`` is (q,) where the same ones, else (q, n_rows)."""

    rows: slice
    missing: Array

    @property
    def n_missing(self) -> int:
        return len(self.missing)


@dataclass(frozen=True)
class Gaps:
    """Rows in the order in which their gaps are filled.

    Attributes
    ----------
    order : ndarray of shape (n,)
        Row ``order[i]`` is the i-th.
    n_missing : ndarray of shape (n,)
        In this order.
    groups : tuple of Group
        Complete rows belong to none.
    """

    order: Array
    n_missing: Array
    groups: tuple[Group, ...]

    @classmethod
    def of(cls, missing: Array) -> Self:
        """Of a mask (n, d) of what is missing."""
        patterns, index = unique_rows(missing)
        n_missing, counts = patterns.sum(axis=1), np.bincount(index)
        apart = (counts >= _MANY_ROWS) & (n_missing > 0)
        # Rows of frequent patterns after all others, pattern by pattern; the others by the number of missing entries.
        rank = np.where(apart, patterns.shape[1] + 1 + np.arange(len(patterns)), n_missing)[index]
        order = np.argsort(rank, kind="stable")
        sizes = n_missing[index][order]
        edges = np.flatnonzero(np.diff(rank[order], prepend=-1))
        groups = []
        for start, stop in zip(edges, np.append(edges[1:], len(order)), strict=True):
            rows, q = slice(int(start), int(stop)), int(sizes[start])
            if q:
                of_rows = missing[order[rows]]
                same = apart[index[order[start]]]
                columns = np.nonzero(of_rows[:1] if same else of_rows)[1].reshape(-1, q).T
                groups.append(Group(rows, columns[:, 0] if same else columns))
        return cls(order, sizes, tuple(groups))


@dataclass(frozen=True)
class Filling:
    """How a group's missing entries are distributed given what is observed, under one component.

    Attributes
    ----------
    group : Group
    covariance : ndarray of shape (q, q) or (q, q, n_rows)
    log_det_precision : float or ndarray of shape (n_rows,)
    """

    group: Group
    covariance: FloatArray
    log_det_precision: FloatArray | float

    def roots(self, n_features: int) -> FloatArray:
        """Square roots of each row's covariance, (n_rows, n_features, q), zero where an entry is observed."""
        q, n = self.group.n_missing, self.group.rows.stop - self.group.rows.start
        covariance = self.covariance if self.covariance.ndim == 2 else self.covariance.transpose(2, 0, 1)
        roots = np.zeros((n, n_features, q))
        missing = self.group.missing[:, np.newaxis] if self.group.missing.ndim == 1 else self.group.missing
        roots[np.arange(n)[:, np.newaxis], np.broadcast_to(missing, (q, n)).T] = np.linalg.cholesky(covariance)
        return roots

    def scatter(self, weights: FloatArray, n_features: int) -> FloatArray:
        """Weighted sum over the group's rows of the covariances, among all features."""
        total = np.zeros((n_features, n_features))
        missing, w = self.group.missing, weights[self.group.rows]
        if missing.ndim == 1:
            total[np.ix_(missing, missing)] = w.sum() * self.covariance
            return total
        places = missing[:, np.newaxis] * n_features + missing
        sums = np.bincount(places.ravel(), weights=(self.covariance * w).ravel(), minlength=n_features**2)
        return np.asarray(sums.reshape(n_features, n_features), dtype=np.float64)


def fill(deviation: FloatArray, precision: FloatArray, group: Group) -> Filling:
    r"""Put the conditional means of a group's missing entries in place, of rows (d, n) as deviations from the mean.

    With the precision matrix :math:`\Lambda` it is :math:`-\Lambda_{mm}^{-1} \Lambda_{mo} (x_o - \mu_o)`, of covariance
    :math:`\Lambda_{mm}^{-1}`.
    """
    own, missing = deviation[:, group.rows], group.missing
    if missing.ndim == 1:
        own[missing] = 0.0
        covariances, log_dets = invert(precision[np.newaxis][:, missing[:, np.newaxis], missing])
        own[missing] = -covariances[0] @ (precision[missing] @ own)
        return Filling(group, covariances[0], float(log_dets[0]))
    rows = np.arange(own.shape[1])
    own[missing, rows] = 0.0
    pull = (precision @ own)[missing, rows]
    covariance, log_det = _invert_all(precision[missing[:, np.newaxis], missing])
    own[missing, rows] = -(covariance * pull).sum(axis=1)
    return Filling(group, covariance, log_det)


def _invert_all(matrices: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Inverses and log determinants of positive definite matrices (q, q, n)."""
    q = len(matrices)
    if q > _SMALL:
        inverses, log_dets = invert(np.ascontiguousarray(matrices.transpose(2, 0, 1)))
        return inverses.transpose(1, 2, 0), log_dets
    # Sweeps (Goodnight 1979), each on all matrices at once.
    swept, log_det = matrices.copy(), np.zeros(matrices.shape[2])
    for k in range(q):
        pivot = swept[k, k].copy()
        log_det += np.log(pivot)
        column = swept[:, k] / pivot
        swept -= column[:, np.newaxis] * swept[k]
        swept[:, k] = column
        swept[k] = column
        swept[k, k] = -1.0 / pivot
    return -swept, log_det
