"""Condition Gaussian components on the observed entries of many rows at a time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Self

import numpy as np

from .._data import sort_rows
from .._linalg import LOG_2PI, invert, lower_triangle
from .._typing import Array, FloatArray

# Matrices up to this size are inverted entry by entry, with arrays over the patterns.
_SMALL = 8


@dataclass(frozen=True)
class Group:
    """Consecutive rows in which equally many entries are missing.

    Attributes
    ----------
    rows, patterns, entries, pairs : slice
        The rows, patterns, missing entries, and pairs of missing entries of patterns that belong to the group.
    missing : ndarray of shape (q, n_patterns)
        The missing entries of each pattern.
    pattern : ndarray of shape (n_rows,)
        The pattern of each row, among those of the group.
    """

    rows: slice
    patterns: slice
    entries: slice
    pairs: slice
    missing: Array
    pattern: Array


@dataclass(frozen=True)
class Gaps:
    """Rows with gaps in the order of their patterns, which are sorted by the number of missing entries.

    Attributes
    ----------
    order : ndarray of shape (n,)
        ``order[i]`` is the index of the i-th row in this order.
    patterns : ndarray of shape (P, d)
        Masks of the missing entries.
    counts : ndarray of shape (P,)
        The number of rows of each pattern.
    groups : tuple of Group
    places : ndarray
        Positions of the missing entries in a table (d, n) of the ordered rows, group after group as (q, n_rows).
    pairs : ndarray
        Positions of pairs of missing entries in a matrix (d, d), group after group as (q (q + 1) / 2, n_patterns).
    """

    order: Array
    patterns: Array
    counts: Array
    groups: tuple[Group, ...]
    places: Array
    pairs: Array

    @classmethod
    def of(cls, missing: Array) -> Self:
        """The gaps of rows with a mask (n, d) of missing entries."""
        n, d = missing.shape
        order, patterns, counts = sort_rows(missing)
        amounts = patterns.sum(axis=1)
        by_amount = np.argsort(amounts, kind="stable")
        starts = np.cumsum(counts) - counts
        amounts, patterns, counts = amounts[by_amount], patterns[by_amount], counts[by_amount]
        ends = np.cumsum(counts)
        order = order[np.repeat(starts[by_amount] + counts - ends, counts) + np.arange(n)]
        groups, places, pairs = [], [], []
        columns, n_entries, n_pairs = np.nonzero(patterns)[1], 0, 0
        edges = np.flatnonzero(np.diff(amounts, prepend=0, append=-1))
        n_before = 0
        for first, last in pairwise(edges):
            q, P = int(amounts[first]), int(last - first)
            rows = slice(int(ends[first] - counts[first]), int(ends[last - 1]))
            own = np.ascontiguousarray(columns[n_before : n_before + q * P].reshape(P, q).T)
            pattern = np.repeat(np.arange(P), counts[first:last])
            places.append((own[:, pattern] * n + np.arange(rows.start, rows.stop)).ravel())
            i, j = lower_triangle(q)
            pairs.append((own[i] * d + own[j]).ravel())
            groups.append(
                Group(
                    rows,
                    slice(int(first), int(last)),
                    slice(n_entries, n_entries + len(places[-1])),
                    slice(n_pairs, n_pairs + len(pairs[-1])),
                    own,
                    pattern,
                )
            )
            n_before += q * P
            n_entries, n_pairs = groups[-1].entries.stop, groups[-1].pairs.stop
        return cls(order, patterns, counts, tuple(groups), np.concatenate(places), np.concatenate(pairs))

    @property
    def n_complete(self) -> int:
        """The number of rows without gaps, which come first."""
        return self.groups[0].rows.start

    @property
    def n_missing(self) -> Array:
        """The number of missing entries of each row."""
        return self.of_rows(self.patterns.sum(axis=1))

    def of_rows(self, values: Array) -> Array:
        """Values of patterns, (..., P), for each of their rows."""
        return np.repeat(values, self.counts, axis=-1)

    @property
    def ends(self) -> Array:
        """Where the rows of each pattern end."""
        return np.cumsum(self.counts)

    def sums(self, values: FloatArray) -> FloatArray:
        """Sums of the rows' values, (..., n), over each pattern's rows."""
        return np.asarray(np.add.reduceat(values, self.ends - self.counts, axis=-1))

    def observed_sums(self, values: FloatArray) -> FloatArray:
        """Sums of features' values, (d,), over the observed entries of each row."""
        return self.of_rows(~self.patterns @ values)


class Conditionals:
    r"""Distributions of the missing entries given the observed entries, for each pattern and for G Gaussians.

    With the precision matrix :math:`\Lambda`, the expected deviations of missing entries from their means are
    :math:`-\Lambda_{mm}^{-1} \Lambda_{mo} (x_o - \mu_o)`, and their covariance is :math:`\Lambda_{mm}^{-1}`.

    Blocks of rows with the same patterns share them.

    Attributes
    ----------
    log_det_precisions : ndarray of shape (G, P)
    """

    def __init__(self, precisions: FloatArray, gaps: Gaps) -> None:
        G, d, _ = precisions.shape
        self._n_features, self._n_groups = d, G
        self._patterns, self._pairs = gaps.patterns, gaps.pairs
        # The patterns with equally many missing entries, and these entries, (q, n_patterns).
        self._parts = [(group.patterns, group.missing) for group in gaps.groups]
        self.log_det_precisions = np.zeros((G, len(gaps.patterns)))
        # Lower triangles, entry by entry, (q (q + 1) / 2, G, n_patterns) for each group.
        self._covariances = []
        flat = precisions.reshape(G, d * d)
        for group in gaps.groups:
            own = gaps.pairs[group.pairs].reshape(-1, len(group.missing.T))
            triangles = np.empty((len(own), G, own.shape[1]))
            for entry, places in zip(triangles, own, strict=True):
                flat.take(places, axis=1, out=entry)
            self.log_det_precisions[:, group.patterns] = _invert_in_place(triangles, len(group.missing))
            self._covariances.append(triangles)

    def expected(self, gaps: Gaps, pull: FloatArray) -> FloatArray:
        r"""Deviations of rows' missing entries from :math:`\Lambda_{mo} (x_o - \mu_o)`, both (K, n_entries)."""
        G, K = self._n_groups, len(pull)
        expected = np.empty_like(pull)
        for group, triangles in zip(gaps.groups, self._covariances, strict=True):
            q, n = len(group.missing), len(group.pattern)
            own = pull[:, group.entries].reshape(G, K // G, q, n)
            out = expected[:, group.entries].reshape(G, K // G, q, n)
            np.einsum("ijgn,gkjn->gkin", triangles.take(group.pattern, axis=2)[_square(q)], own, out=out)
        return np.negative(expected, out=expected)

    def maps(self, inverses: FloatArray, precisions: FloatArray) -> FloatArray:
        r"""The maps from the observed :math:`x_o - \mu_o` of each pattern to the completed row in the frame, (G, P, d, d).

        With :math:`U = R^{-1}` it is :math:`(U - U_m \Lambda_{mm}^{-1} \Lambda_{m})_o`, and zero for missing entries.
        """
        maps = np.repeat(inverses[:, np.newaxis], len(self._patterns), axis=1)
        for (patterns, entries), triangles in zip(self._parts, self._covariances, strict=True):
            missing = entries.T
            covariances = triangles[_square(missing.shape[1])].transpose(2, 3, 0, 1)
            of_missing = inverses[:, :, missing].transpose(0, 2, 1, 3)
            maps[:, patterns] -= of_missing @ (covariances @ precisions[:, missing])
        maps *= ~self._patterns[:, np.newaxis]
        return maps

    def spread(self, weights: FloatArray) -> FloatArray:
        """Sums of the covariances, among all features, with weights (K, P) of the patterns."""
        K, d = len(weights), self._n_features
        of = np.arange(K) * self._n_groups // K
        total = np.empty((K, d * d))
        for k, g in enumerate(of):
            parts = [
                (triangles[:, g] * weights[k, patterns]).ravel()
                for (patterns, _), triangles in zip(self._parts, self._covariances, strict=True)
            ]
            total[k] = np.bincount(self._pairs, weights=np.concatenate(parts), minlength=d * d)
        lower = total.reshape(K, d, d)
        return lower + np.tril(lower, -1).transpose(0, 2, 1)

    def entropies(self) -> FloatArray:
        """Entropies of the missing entries given the observed entries, (G, P)."""
        return np.asarray(0.5 * (self._patterns.sum(axis=1) * (LOG_2PI + 1.0) - self.log_det_precisions))

    def roots(self, gaps: Gaps, of: int, index: int) -> FloatArray:
        """Square roots of the covariances of a group's rows, (n_rows, d, q), zero where observed, for one Gaussian."""
        group, triangles = gaps.groups[index], self._covariances[index]
        q, n = len(group.missing), len(group.pattern)
        roots = np.zeros((n, self._n_features, q))
        own = np.linalg.cholesky(triangles[:, of].T[:, _square(q)])
        roots[np.arange(n)[:, np.newaxis], group.missing.T[group.pattern]] = own[group.pattern]
        return roots


@lru_cache(maxsize=64)
def _square(size: int) -> Array:
    """Positions of the entries of a symmetric matrix in its packed lower triangle."""
    i, j = lower_triangle(size)
    square = np.empty((size, size), dtype=np.intp)
    square[i, j] = square[j, i] = np.arange(len(i))
    return square


def _invert_in_place(triangles: FloatArray, size: int) -> FloatArray:
    """Replace the lower triangles (q (q + 1) / 2, G, n) of positive matrices by their inverses'; return log determinants."""
    _, G, n = triangles.shape
    square = _square(size)
    if size > _SMALL:
        inverses, log_dets = invert(np.ascontiguousarray(triangles[square].reshape(size, size, G * n).transpose(2, 0, 1)))
        triangles[:] = inverses.transpose(1, 2, 0)[lower_triangle(size)].reshape(triangles.shape)
        return log_dets.reshape(G, n)
    # Sweeps (Goodnight 1979), each on all matrices at once.
    log_dets, term = np.zeros((G, n)), np.empty((G, n))
    for k in range(size):
        pivot = triangles[square[k, k]]
        log_dets += np.log(pivot, out=term)
        np.divide(-1.0, pivot, out=pivot)
        others = [i for i in range(size) if i != k]
        for n_left in range(size - 1, 0, -1):  # from the last one upwards, so that the entries above are still unchanged
            column = triangles[square[others[n_left - 1], k]]
            scaled = column * pivot
            for j in others[:n_left]:
                triangles[square[others[n_left - 1], j]] += np.multiply(scaled, triangles[square[j, k]], out=term)
            np.negative(scaled, out=column)
    np.negative(triangles, out=triangles)
    return log_dets
