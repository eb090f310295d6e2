"""The E-step of Student t components for a block of rows; scales of rows and missing entries are latent variables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from scipy.special import digamma, gammaln

from .._linalg import pack_symmetric
from .._typing import FloatArray
from ..families._special import log_minus_digamma, trigamma
from ._gaussian_parameters import GaussianParameters, GaussianSums
from ._gaussian_rows import KEPT_ENTRIES, CompletedRows, GaussianRows, score_loadings


@dataclass(frozen=True)
class StudentParameters(GaussianParameters):
    """Locations, scale matrices, and the shapes (K,) of the scales' distributions, half the degrees of freedom."""

    shapes: FloatArray = field(default_factory=lambda: np.ones(1))

    @classmethod
    def with_shapes(cls, gaussian: GaussianParameters, shapes: FloatArray) -> Self:
        return cls(gaussian.means, gaussian.factors, gaussian.bounds, shapes)


def gamma_entropy(shapes: FloatArray, log_rates: FloatArray) -> FloatArray:
    """Entropies of gamma distributions."""
    return np.asarray(shapes - log_rates + gammaln(shapes) + (1.0 - shapes) * digamma(shapes))


@dataclass(frozen=True)
class StudentSums:
    r"""Sums over rows with responsibilities r = w q, and the posteriors :math:`q(u)` of their scales.

    Attributes
    ----------
    scaled : GaussianSums
        Sums in which r E[u] replaces r; the entropy of missing entries is that given u.
    counts : sum of r, (K,)
    log_scales : sum of r E[log u], (K,)
    entropies : sum of r H[q(u)], (K,)
    """

    scaled: GaussianSums
    counts: FloatArray
    log_scales: FloatArray
    entropies: FloatArray

    def __add__(self, other: StudentSums) -> StudentSums:
        return StudentSums(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    @property
    def scales(self) -> FloatArray:
        """Sum of r E[u], (K,)."""
        return self.scaled.counts

    def rescaled(self, by: FloatArray) -> StudentSums:
        """Sums in which u / by replaces u; ``by`` has an entry for each component, (K,)."""
        log = np.log(by)
        scaled = replace(
            self.scaled,
            counts=self.scaled.counts / by,
            first=self.scaled.first / by[:, np.newaxis],
            second=self.scaled.second / by[:, np.newaxis, np.newaxis],
        )
        return replace(
            self,
            scaled=scaled,
            log_scales=self.log_scales - self.counts * log,
            entropies=self.entropies - self.counts * log,
        )


class StudentEvidence:
    """Log joint densities (K, n) of a block, and its statistics."""

    def __init__(
        self, parameters: StudentParameters, rows: GaussianRows, offsets: FloatArray, out: FloatArray | None
    ) -> None:
        self._scales = RowScales(parameters, rows)
        K, n = len(offsets), rows.X.shape[1]
        log_joint = np.empty((K, n))
        for c in range(K):
            log_joint[c] = self._scales.log_density(c) + offsets[c]
        self.log_joint = rows.unsorted(log_joint, out)

    def accumulate(self, weights: FloatArray) -> StudentSums:
        scales = self._scales
        parameters, rows, completed = scales.parameters, scales.rows, scales.completed
        if rows.gaps is not None:
            weights = weights.take(rows.gaps.order, axis=1)
        K, d = parameters.means.shape
        first, second = np.empty((K, d)), np.empty((K, d, d))
        sums = np.zeros((3, K))
        missing_entropy = 0.0
        for c, r in enumerate(weights):
            shape, log_rate = scales.posterior(c)
            y, u, log_u = scales.in_frame(c), np.exp(np.log(shape) - log_rate), digamma(shape) - log_rate
            scaled = r * u
            first[c] = y @ scaled
            second[c] = (y * scaled) @ y.T
            if rows.gaps is not None:
                missing_entropy -= 0.5 * float(r @ (rows.gaps.n_missing * log_u))
            sums[:, c] = scaled.sum(), r @ log_u, r @ gamma_entropy(shape, log_rate)
        return StudentSums(
            GaussianSums(
                frame=parameters,
                counts=sums[0],
                first=first,
                second=second + completed.spread(weights),
                missing_entropy=missing_entropy + float(completed.missing_entropies(weights).sum()),
                log_volume=float(weights.sum(axis=0) @ rows.log_volume),
            ),
            weights.sum(axis=1),
            *sums[1:],
        )


class RowScales:
    """Posteriors of the scales of a block's rows, in the order of their gaps."""

    def __init__(self, parameters: StudentParameters, rows: GaussianRows) -> None:
        self.parameters, self.rows = parameters, rows
        self.completed = CompletedRows(parameters, rows)
        self._log_det_precisions = self.completed.log_det_precisions()
        self._kept: dict[int, FloatArray] = {}
        self._distances: dict[int, FloatArray] = {}
        d = rows.X.shape[0]
        self._keeps_rows = len(parameters.means) * rows.X.size <= KEPT_ENTRIES
        self.n_observed = np.full(rows.X.shape[1], float(d)) - (0 if rows.gaps is None else rows.gaps.n_missing)

    def in_frame(self, component: int) -> FloatArray:
        """Completed rows in the frame, (d, n)."""
        known = self._kept.get(component)
        if known is not None:
            return known
        y = self.completed.in_frame(component)
        if self._keeps_rows:
            self._kept[component] = y
        return y

    def distances(self, component: int) -> FloatArray:
        """Squared Mahalanobis distances of the observed entries, (n,)."""
        if component not in self._distances:
            y = self.in_frame(component)
            self._distances[component] = np.einsum("ij,ij->j", y, y)
        return self._distances[component]

    def posterior(self, component: int) -> tuple[FloatArray, FloatArray]:
        """Shapes and logarithms of the rates of the gamma distributions of u, (n,)."""
        a = self.parameters.shapes[component]
        return a + 0.5 * self.n_observed, np.log(a + 0.5 * self.distances(component))

    def log_density(self, component: int) -> FloatArray:
        """Log-density of the observed entries, with u integrated out, (n,)."""
        a = self.parameters.shapes[component]
        log_dets = (
            self._log_det_precisions[component]
            + self.parameters.log_dets[component]
            + self.n_observed * np.log(2.0 * np.pi * a)
        )
        shape = a + 0.5 * self.n_observed
        tail = shape * np.log1p(self.distances(component) / (2.0 * a))
        return np.asarray(gammaln(shape) - gammaln(a) - 0.5 * log_dets - tail - self.rows.log_volume)

    def scores(self) -> Iterator[FloatArray]:
        """Scores along means and logarithms of scale matrices in the frames, and logarithms of shapes; by components."""
        for c, a in enumerate(self.parameters.shapes):
            shape, log_rate = self.posterior(c)
            u, log_u = np.exp(np.log(shape) - log_rate), digamma(shape) - log_rate
            y = np.ascontiguousarray(self.in_frame(c).T)
            second = u[:, np.newaxis, np.newaxis] * y[:, :, np.newaxis] * y[:, np.newaxis] - np.eye(y.shape[1])
            for rows, roots in self.completed.roots(c):
                second[rows] += roots @ roots.transpose(0, 2, 1)
            of_shape = a * (log_minus_digamma(a) + 1.0 + log_u - u)
            columns = [u[:, np.newaxis] * y, pack_symmetric(second) / np.sqrt(2.0), of_shape[:, np.newaxis]]
            yield self.rows.unsorted(np.concatenate(columns, axis=1).T).T

    def latent_information(self, weights: FloatArray) -> FloatArray:
        """Weighted sums of the scores' covariances over scales and missing entries, (K, P, P); weights in original order."""
        if self.rows.gaps is not None:
            weights = weights.take(self.rows.gaps.order, axis=1)
        d = len(self.rows.X)
        P = d + d * (d + 1) // 2 + 1
        total = np.zeros((len(weights), P, P))
        for c, r in enumerate(weights):
            a, (shape, log_rate) = self.parameters.shapes[c], self.posterior(c)
            u, y = np.exp(np.log(shape) - log_rate), self.in_frame(c).T
            # A score is u v + a log u e, e the shape's direction: Var u = u^2 / shape, Cov(u, log u) = u / shape.
            pairs = pack_symmetric(y[:, :, np.newaxis] * y[:, np.newaxis]) / np.sqrt(2.0)
            v = np.concatenate([y, pairs, np.full((len(y), 1), -a)], axis=1)
            total[c] += (v * (r * u**2 / shape)[:, np.newaxis]).T @ v
            cross = a * (r * u / shape) @ v
            total[c, -1] += cross
            total[c, :, -1] += cross
            total[c, -1, -1] += a**2 * float(r @ trigamma(shape))
            for rows, roots in self.completed.roots(c):
                weight = np.sqrt(r[rows])[:, np.newaxis]
                # Missing entries are y + B e / sqrt(u): terms linear in e are multiplied by sqrt(u).
                for loading in score_loadings(y[rows], roots):
                    linear = loading[:, :d].any()
                    loading *= weight * (np.sqrt(u[rows])[:, np.newaxis] if linear else 1.0)
                    total[c, :-1, :-1] += loading.T @ loading
        return total
