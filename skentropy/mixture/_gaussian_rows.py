"""The E-step of Gaussian components for a block of rows; missing entries are latent variables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .._data import Additive
from .._linalg import LOG_2PI, pack_symmetric
from .._typing import FloatArray
from ._gaps import Conditional, Filling, Gaps, Pattern, fillings
from ._gaussian_parameters import GaussianParameters, GaussianSums

# Of a block's rows at most so many numbers are kept for a second use.
_KEPT_ENTRIES = 2**22
# Components are processed together if they take no more numbers.
_TOGETHER_ENTRIES = 2**15


@dataclass(frozen=True)
class PooledSums(Additive):
    """Sums over all rows, and over the rows that show both entries of a pair, with their weights; in units."""

    weight: float
    pairs: FloatArray
    sums: FloatArray
    products: FloatArray


@dataclass(frozen=True)
class GaussianRows:
    """Rows in units, features first (d, n); rows with gaps are in the order of ``gaps``, with zeros in the gaps.

    ``log_volume`` (n,) is the logarithm of the units' volume for the observed entries.
    """

    X: FloatArray
    log_volume: FloatArray
    gaps: Gaps | None

    def unsorted(self, values: FloatArray, out: FloatArray | None = None) -> FloatArray:
        """Put values (..., n) back into the original order of the rows."""
        if self.gaps is None:
            return values
        out = np.empty_like(values) if out is None else out
        out[..., self.gaps.order] = values
        return out


class GaussianEvidence:
    """Log joint densities (K, n) of a block, and its statistics."""

    def __init__(
        self, parameters: GaussianParameters, rows: GaussianRows, offsets: FloatArray, out: FloatArray | None
    ) -> None:
        d, n = rows.X.shape
        K = len(parameters.means)
        self._completed = CompletedRows(parameters, rows)
        # Components are processed together where that saves calls, and one by one where their rows fill the cache.
        size = max(1, _TOGETHER_ENTRIES // (d * n)) if rows.gaps is None and n else 1
        self._parts = [slice(start, min(start + size, K)) for start in range(0, K, size)]
        self._kept: list[FloatArray] = []
        keep = K * d * n <= _KEPT_ENTRIES
        log_joint = np.empty((K, n)) if out is None or rows.gaps is not None else out
        n_observed = d if rows.gaps is None else d - rows.gaps.n_missing
        constant = n_observed * LOG_2PI + 2.0 * rows.log_volume
        for part in self._parts:
            y = self._completed.in_frames(part)
            if keep:
                self._kept.append(y)
            # -2 log N(x_o; mu_o, Sigma_oo): the best x_m leave the distance, and det Sigma_oo = det Sigma det Lambda_mm
            values = np.einsum("kij,kij->kj", y, y, out=log_joint[part])
            values += constant
            values += parameters.log_dets[part, np.newaxis]
            if rows.gaps is not None:
                self._completed.add_log_dets(part.start, values[0])
            values *= -0.5
            values += offsets[part, np.newaxis]
        self.log_joint = rows.unsorted(log_joint, out)

    def accumulate(self, weights: FloatArray) -> GaussianSums:
        completed, rows, parameters = self._completed, self._completed.rows, self._completed.parameters
        if rows.gaps is not None:
            weights = weights[:, rows.gaps.order]
        K, d = parameters.means.shape
        first, second = np.empty((K, d)), np.empty((K, d, d))
        missing_entropy = 0.0
        for i, part in enumerate(self._parts):
            y, w = self._kept[i] if self._kept else completed.in_frames(part), weights[part]
            first[part] = (y @ w[:, :, np.newaxis])[:, :, 0]
            weighted = y * np.sqrt(w)[:, np.newaxis]
            second[part] = weighted @ weighted.transpose(0, 2, 1)
            if rows.gaps is not None:
                second[part.start] += completed.spread(part.start, w[0])
                missing_entropy += completed.missing_entropy(part.start, w[0])
        return GaussianSums(
            frame=parameters,
            counts=weights.sum(axis=1),
            first=first,
            second=second,
            missing_entropy=missing_entropy,
            log_volume=float(weights.sum(axis=0) @ rows.log_volume),
        )


class CompletedRows:
    """Rows whose gaps are filled with each component's expectations."""

    def __init__(self, parameters: GaussianParameters, rows: GaussianRows) -> None:
        self.parameters, self.rows = parameters, rows
        self._fillings: list[Filling] = []
        self._patterns: list[tuple[Pattern, Conditional]] = []
        if rows.gaps is not None:
            p = parameters
            self._fillings = list(fillings(rows.X, p.means, p.precisions, p.group, rows.gaps))
            self._patterns = [(pattern, p.conditional(pattern.missing)) for pattern in rows.gaps.patterns]

    def deviations(self, component: int) -> FloatArray:
        """Completed x - mu, (d, n), except that the gaps of patterns are not filled."""
        deviation = self.rows.X - self.parameters.means[component][:, np.newaxis]
        for filling in self._fillings:
            filling.put(deviation, component)
        return deviation

    def in_frames(self, components: slice) -> FloatArray:
        """y = R^-1 (x - mu) of some components, (k, d, n); of a single one if rows have gaps."""
        if self.rows.gaps is not None:
            return self.in_frame(components.start)[np.newaxis]
        deviation = self.rows.X - self.parameters.means[components, :, np.newaxis]
        return self.parameters.inverses[self.parameters.group[components]] @ deviation

    def in_frame(self, component: int) -> FloatArray:
        """y = R^-1 (x - mu), (d, n)."""
        group = self.parameters.group[component]
        deviation = self.deviations(component)
        if not self._patterns:
            return self.parameters.inverses[group] @ deviation
        y = np.empty_like(deviation)
        before = slice(0, self._patterns[0][0].rows.start)
        y[:, before] = self.parameters.inverses[group] @ deviation[:, before]
        for pattern, conditional in self._patterns:
            y[:, pattern.rows] = conditional.transform[group] @ deviation[:, pattern.rows]
        return y

    def completed(self, component: int) -> FloatArray:
        """Rows in units, (d, n)."""
        deviation, group = self.deviations(component), self.parameters.group[component]
        for pattern, conditional in self._patterns:
            of_rows = deviation[:, pattern.rows]
            of_rows[pattern.missing] = conditional.completion[group] @ of_rows
        return deviation + self.parameters.means[component][:, np.newaxis]

    def add_log_dets(self, component: int, values: FloatArray) -> None:
        """Add each row's log det of the precision of what is missing."""
        group = self.parameters.group[component]
        for filling in self._fillings:
            values[filling.group.rows] += filling.log_det_precisions[group]
        for pattern, conditional in self._patterns:
            values[pattern.rows] += conditional.log_det_precisions[group]

    def spread(self, component: int, weights: FloatArray) -> FloatArray:
        """Weighted sum of the conditional covariances of missing entries in the frame, (d, d)."""
        d, group = len(self.rows.X), self.parameters.group[component]
        total = np.zeros((d, d))
        if self._fillings:
            U = self.parameters.inverses[group]
            total += U @ sum(filling.spread(group, weights, d) for filling in self._fillings) @ U.T
        for pattern, conditional in self._patterns:
            roots = conditional.roots[group]
            total += weights[pattern.rows].sum() * (roots @ roots.T)
        return total

    def missing_entropy(self, component: int, weights: FloatArray) -> float:
        """Weighted sum of the entropies of what is missing given what is observed."""
        assert self.rows.gaps is not None
        twice = self.rows.gaps.n_missing * (LOG_2PI + 1.0)
        negative = np.zeros(len(twice))
        self.add_log_dets(component, negative)
        return 0.5 * float(weights @ (twice - negative))

    def roots(self, component: int) -> Iterator[tuple[slice, FloatArray]]:
        """Rows with gaps, and roots of their conditional covariances in the frame, (n_rows, d, q)."""
        d, group = len(self.rows.X), self.parameters.group[component]
        for filling in self._fillings:
            yield filling.group.rows, self.parameters.inverses[group] @ filling.roots(group, d)
        for pattern, conditional in self._patterns:
            n_rows = pattern.rows.stop - pattern.rows.start
            yield pattern.rows, np.broadcast_to(conditional.roots[group], (n_rows, *conditional.roots.shape[1:]))

    def scores(self) -> Iterator[FloatArray]:
        """E[y] and (E[y y'] - 1) / sqrt(2) of the rows in their original order, component by component, (n, P)."""
        for c in range(len(self.parameters.means)):
            y = np.ascontiguousarray(self.in_frame(c).T)
            second = y[:, :, np.newaxis] * y[:, np.newaxis] - np.eye(y.shape[1])
            for rows, roots in self.roots(c):
                second[rows] += roots @ roots.transpose(0, 2, 1)
            scores = np.concatenate([y, pack_symmetric(second) / np.sqrt(2.0)], axis=1)
            yield self.rows.unsorted(scores.T).T

    def latent_information(self, weights: FloatArray) -> FloatArray:
        """Weighted sums of the scores' covariances over missing entries, (K, P, P); weights (K, n) in the order of gaps."""
        d = len(self.rows.X)
        P = d + d * (d + 1) // 2
        total = np.zeros((len(weights), P, P))
        for c, w in enumerate(weights):
            y = self.in_frame(c).T
            for rows, roots in self.roots(c):
                root_weights = np.sqrt(w[rows])[:, np.newaxis]
                for loading in score_loadings(y[rows], roots):
                    loading *= root_weights
                    total[c] += loading.T @ loading
        return total


def score_loadings(y: FloatArray, roots: FloatArray) -> Iterator[FloatArray]:
    """Loadings (n, P) of the scores of y + B e on uncorrelated variables of e ~ N(0, 1); y is (n, d), B (n, d, q)."""

    def symmetric(a: FloatArray, b: FloatArray) -> FloatArray:
        outer = a[:, :, np.newaxis] * b[:, np.newaxis]
        return pack_symmetric(outer + outer.transpose(0, 2, 1)) / np.sqrt(2.0)

    columns = [roots[:, :, k] for k in range(roots.shape[2])]
    for i, b in enumerate(columns):
        yield np.concatenate([b, symmetric(y, b)], axis=1)  # e_i
        for j, other in enumerate(columns[: i + 1]):
            of_products = symmetric(b, other)  # e_i e_j, and (e_i^2 - 1) / sqrt(2)
            yield np.concatenate([np.zeros_like(b), of_products / np.sqrt(2.0) if i == j else of_products], axis=1)
