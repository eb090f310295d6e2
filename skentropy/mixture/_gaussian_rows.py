"""The E-step of Gaussian components for a block of rows; missing entries are latent variables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._data import Additive, Scratch
from .._linalg import LOG_2PI, pack_symmetric
from .._typing import FloatArray
from ._gaps import Gaps
from ._gaussian_parameters import GaussianParameters, GaussianSums

# Largest number of values of a block that are kept for a second use.
KEPT_ENTRIES = 2**22
# Components are processed together if they hold at most this many numbers.
_TOGETHER_ENTRIES = 2**15
# With at least this many features BLAS is faster if it knows that a product is symmetric.
_WIDE = 40
_SCRATCH = Scratch()


@dataclass(frozen=True)
class PooledSums(Additive):
    """Weighted sums over all rows, and over the rows in which both entries of a pair are observed; in units."""

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
        # Components are processed together if that saves calls, and one by one if their rows fill the cache.
        size = max(1, _TOGETHER_ENTRIES // (d * n)) if n else 1
        self._parts = [slice(start, start + size) for start in range(0, K, size)]
        self._kept = np.empty((K, d, n)) if K * d * n <= KEPT_ENTRIES else None
        # -2 log N(x_o; mu_o, Sigma_oo): the distance minimised over x_m, and det Sigma_oo = det Sigma det Lambda_mm
        log_joint = np.empty((K, n)) if out is None or rows.gaps is not None else out
        for part in self._parts:
            y = self._completed.in_frames(part, None if self._kept is None else self._kept[part])
            np.einsum("kij,kij->kj", y, y, out=log_joint[part])
        n_observed = d if rows.gaps is None else d - rows.gaps.n_missing
        log_joint += n_observed * LOG_2PI + 2.0 * rows.log_volume
        log_joint += self._completed.log_det_precisions()
        log_joint *= -0.5
        log_joint += (offsets - 0.5 * parameters.log_dets)[:, np.newaxis]
        self.log_joint = rows.unsorted(log_joint, out)

    def accumulate(self, weights: FloatArray) -> GaussianSums:
        completed, rows, parameters = self._completed, self._completed.rows, self._completed.parameters
        if rows.gaps is not None:
            weights = weights.take(rows.gaps.order, axis=1)
        K, d = parameters.means.shape
        first, second = np.empty((K, d)), np.empty((K, d, d))
        for part in self._parts:
            y, w = completed.in_frames(part) if self._kept is None else self._kept[part], weights[part]
            first[part] = (y @ w[:, :, np.newaxis])[:, :, 0]
            wide = d >= _WIDE
            factors = np.sqrt(w) if wide else w
            weighted = np.multiply(y, factors[:, np.newaxis], out=_SCRATCH.array("weighted", y.shape))
            second[part] = weighted @ (weighted if wide else y).transpose(0, 2, 1)
        return GaussianSums(
            frame=parameters,
            counts=weights.sum(axis=1),
            first=first,
            second=second + completed.spread(weights),
            missing_entropy=float(completed.missing_entropies(weights).sum()),
            log_volume=float(weights.sum(axis=0) @ rows.log_volume),
        )


class CompletedRows:
    """Rows whose gaps are filled with each component's expectations."""

    def __init__(self, parameters: GaussianParameters, rows: GaussianRows) -> None:
        self.parameters, self.rows = parameters, rows
        if rows.gaps is not None:
            self._conditionals, self._maps = parameters.given_observed(rows.gaps)

    @cached_property
    def _expected(self) -> FloatArray:
        """Expected deviations of missing entries, (K, n_entries)."""
        assert self.rows.gaps is not None
        return self._conditionals.expected(self.rows.gaps, self._pull(self.rows.gaps))

    def _pull(self, gaps: Gaps) -> FloatArray:
        """Precisions times deviations without those of missing entries, at the missing entries, (K, n_entries)."""
        p, shape = self.parameters, self.rows.X.shape
        pull = np.empty((len(p.means), len(gaps.places)))
        product = _SCRATCH.array("product", shape)
        for c, own in enumerate(pull):
            (deviation,) = self._deviations(slice(c, c + 1))
            deviation.ravel()[gaps.places] = 0.0
            incomplete = slice(gaps.n_complete, None)
            np.matmul(p.precisions[p.group[c]], deviation[:, incomplete], out=product[:, incomplete])
            product.ravel().take(gaps.places, out=own)
        return pull

    def _deviations(self, components: slice) -> FloatArray:
        """x - mu of some components, (k, d, n), in memory that is reused."""
        means = self.parameters.means[components, :, np.newaxis]
        return np.subtract(self.rows.X, means, out=_SCRATCH.array("deviation", (len(means), *self.rows.X.shape)))

    def deviations(self, components: slice) -> FloatArray:
        """Completed x - mu of some components, (k, d, n), in memory that is reused."""
        gaps = self.rows.gaps
        if gaps is None:
            return self._deviations(components)
        expected, deviations = self._expected[components], self._deviations(components)
        deviations.reshape(len(deviations), -1)[:, gaps.places] = expected
        return deviations

    def in_frames(self, components: slice, out: FloatArray | None = None) -> FloatArray:
        """y = R^-1 (x - mu) of some components, (k, d, n)."""
        groups = self.parameters.group[components]
        if self.rows.gaps is None or self._maps is None:
            return np.matmul(self.parameters.inverses[groups], self.deviations(components), out=out)
        deviations, maps = self._deviations(components), self._maps[groups]
        out = np.empty_like(deviations) if out is None else out
        ends = self.rows.gaps.ends.tolist()
        for pattern, rows in enumerate(map(slice, [0, *ends], ends)):
            np.matmul(maps[:, pattern], deviations[:, :, rows], out=out[:, :, rows])
        return out

    def in_frame(self, component: int) -> FloatArray:
        """y = R^-1 (x - mu), (d, n)."""
        (y,) = self.in_frames(slice(component, component + 1))
        return np.asarray(y)

    def completed(self, component: int) -> FloatArray:
        """Rows in units, (d, n)."""
        (deviations,) = self.deviations(slice(component, component + 1))
        return np.asarray(deviations + self.parameters.means[component][:, np.newaxis])

    def log_det_precisions(self) -> FloatArray:
        """Log determinants of the components' precisions of each row's missing entries, (K, n), or zeros (K, 1)."""
        if self.rows.gaps is None:
            return np.zeros((len(self.parameters.means), 1))
        return self.rows.gaps.of_rows(self._conditionals.log_det_precisions)[self.parameters.group]

    def spread(self, weights: FloatArray) -> FloatArray:
        """Weighted sums of the conditional covariances of missing entries in the frames, (K, d, d), or zero."""
        if self.rows.gaps is None:
            return np.zeros((1, 1, 1))
        U = self.parameters.inverses[self.parameters.group]
        return np.asarray(U @ self._conditionals.spread(self.rows.gaps.sums(weights)) @ U.transpose(0, 2, 1))

    def missing_entropies(self, weights: FloatArray) -> FloatArray:
        """Weighted sums of the entropies of the missing entries given the observed ones, (K,)."""
        if self.rows.gaps is None:
            return np.zeros(len(weights))
        entropies = self._conditionals.entropies()[self.parameters.group]
        return np.asarray((self.rows.gaps.sums(weights) * entropies).sum(axis=1))

    def roots(self, component: int) -> Iterator[tuple[slice, FloatArray]]:
        """Rows with gaps, and roots of their conditional covariances in the frame, (n_rows, d, q)."""
        if self.rows.gaps is None:
            return
        group = self.parameters.group[component]
        for i, one in enumerate(self.rows.gaps.groups):
            yield one.rows, self.parameters.inverses[group] @ self._conditionals.roots(self.rows.gaps, group, i)

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
