"""Components that are distributions of whole rows: directions, compositions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from scipy import sparse

from .._data import Block, ColumnSurvey, Rounding
from .._messages import check_observed, model_name
from .._typing import Array, FloatArray, Matrix
from ..families._vector import VectorFamily
from ._components import EMPTY, Components, NoLimits, is_collapsing
from ._vector_rows import VectorEvidence, VectorMetric, VectorParameters, VectorRows, VectorSeedRows, VectorSums

# Sums or norms of rows may differ from one by this rounding error of single precision.
_ROUNDING = 1e-5


@dataclass(frozen=True)
class VectorComponents(Components):
    r"""Distributions of one family of rows, :math:`p(x|c) = \exp(\eta_c \cdot T(x) - A(\eta_c))`.

    Parameters
    ----------
    family : VectorFamily
    normalize : bool
        Whether rows are divided by their norms or sums. Otherwise norms or sums must be one.
    prior_counts : float
        Number of pseudo-observations of a conjugate prior on every component.
    pooled : ndarray of shape (D,)
        Mean statistics of all rows, which are also those of the pseudo-observations.
    """

    family: VectorFamily
    normalize: bool
    prior_counts: float = 0.0
    pooled: FloatArray = field(default_factory=lambda: np.zeros(1))

    discrete = False
    allows_exposure = False
    allows_gaps = False

    @property
    def label(self) -> str:
        return self.family.label

    @property
    def likelihood(self) -> str:
        return self.family.likelihood

    @property
    def attribute_names(self) -> tuple[str, ...]:
        return self.family.parameter_names

    @property
    def directions(self) -> dict[str, tuple[str, str]]:
        names = self.attribute_names
        return {names[0]: ("unit vector", names[1])} if self.family.likelihood == "direction" else {}

    @property
    def support(self) -> str:
        return self.family.support

    @property
    def row_support(self) -> str:
        return "" if self.normalize else self.family.row_support

    @property
    def scale_label(self) -> str:
        return self.family.scale_label

    def relative_columns(self, n_features: int) -> Array:
        return np.arange(n_features)

    @property
    def lower_limit(self) -> float:
        return self.family.lower_limit

    @property
    def allows_sparse(self) -> bool:
        return self.family.takes_sparse

    # Before a fit.

    def prepare(self, estimator: Any, columns: ColumnSurvey, *, is_sparse: bool, prior_counts: float) -> Self:
        D = len(columns.weight)
        self._check_n_columns(D)
        check_observed(estimator, columns.weight)
        if not (columns.largest.any() or columns.smallest.any()):
            raise ValueError("X holds nothing but zeros.")
        return replace(self, prior_counts=prior_counts, pooled=np.zeros(D))

    def _check_n_columns(self, D: int) -> None:
        if D < 2:
            raise ValueError(f"{self.family.label} is of two columns or more; got {D} feature(s), n_features = {D}.")

    def count_outside(self, block: Block) -> Array:
        """Also counts rows whose given lengths or sums are not one; rows of zeros are ignored."""
        X, D = block.X, block.X.shape[1]
        if sparse.issparse(X):
            outside = np.bincount(X.indices[self.family.is_outside(X.data)], minlength=D)
            too_low = np.bincount(X.indices[self.family.lower_limit > X.data], minlength=D)
        else:
            masks = self.family.is_outside(X), self.family.lower_limit > X
            outside, too_low = (mask[_has_values(block.as_given.X)].sum(axis=0) for mask in masks)
        rows = np.zeros(D)
        if not self.normalize and not outside.any():
            rows[:] = np.count_nonzero(np.abs(self.family.sizes(block.as_given.X) - 1.0) > _ROUNDING)
        return np.stack([outside, too_low, rows])

    def summarize(self, observations: VectorRows, weight: FloatArray) -> VectorSums:
        return VectorEvidence(np.zeros((1, 0)), observations).accumulate(weight[np.newaxis])

    def with_pooled(self, summary: VectorSums) -> Self:
        return replace(self, pooled=summary.sums[0] / max(float(summary.counts[0]), np.finfo(float).tiny))

    def with_prior(self, prior_counts: float, statistics: Any) -> Self:
        return replace(self, prior_counts=prior_counts)

    def as_seeds(self, block: Block, observations: VectorRows) -> Block:
        """Rows that are divided by their sizes, with substitutes of zeros: seeds do not depend on the sizes."""
        return replace(block, X=observations.statistics, given=None, kept=None) if self.normalize else block.as_given

    def rounding(self, columns: ColumnSurvey) -> Rounding | None:
        D = len(columns.weight)
        return Rounding(np.zeros(D), np.ones(D), relative=True) if self.normalize else None

    def seed_rows(self, block: Block, observations: VectorRows) -> VectorSeedRows:
        return VectorSeedRows(self.family, observations, self.pooled)

    def row_cost(self, n_features: int) -> int:
        return n_features

    def row_bytes(self, n_features: int, n_components: int) -> int:
        return 8 * (n_features + 3 * n_components)

    # EM.

    def parameters(self, eta: FloatArray) -> VectorParameters:
        """Parameters with their log-partition."""
        return VectorParameters(eta, self.family.log_partition(eta))

    def read(self, block: Block) -> VectorRows:
        """Statistics of rows; rows of zeros are ignored, unless substitutes have replaced the zeros."""
        seen = _has_values(block.as_given.X)
        if sparse.issparse(block.X) or seen.all():
            return VectorRows(self.family.statistics(block.X), seen.astype(np.float64))
        T = np.zeros(block.X.shape)
        T[seen] = self.family.statistics(block.X[seen])
        return VectorRows(T, seen.astype(np.float64))

    def observe(
        self, parameters: VectorParameters, observations: VectorRows, offsets: FloatArray, out: FloatArray | None = None
    ) -> VectorEvidence:
        return VectorEvidence.of(parameters, observations, offsets, out)

    def pooled_parameters(self, n_components: int) -> VectorParameters:
        return self.parameters(self.family.natural(np.tile(self.pooled, (n_components, 1))))

    def expected_rows(
        self, parameters: VectorParameters, observations: VectorRows, responsibilities: FloatArray
    ) -> FloatArray:
        return np.asarray(responsibilities.T @ self.family.moments(parameters.eta)[0])

    def _with_pseudo_rows(self, statistics: VectorSums) -> VectorSums:
        a = self.prior_counts
        return VectorSums(statistics.counts + a, statistics.sums + a * self.pooled) if a else statistics

    def maximize(self, statistics: VectorSums) -> VectorParameters:
        """M-step: mean parameters equal the posteriors' weighted means of T, smoothed by the prior's pseudo-counts."""
        total = self._with_pseudo_rows(statistics)
        empty = (total.counts <= EMPTY * statistics.counts.sum())[:, np.newaxis]
        pooled = np.tile(self.pooled, (len(empty), 1))
        mean = np.divide(total.sums, total.counts[:, np.newaxis], out=pooled, where=~empty)
        return self.parameters(self.family.natural(mean))

    def log_base_measure(self, block: Block) -> FloatArray:
        return np.zeros(block.n_rows)

    def entropy(self, parameters: VectorParameters, statistics: VectorSums) -> float:
        """Pseudo entropies, W(51), weighted by how many rows each component has seen, W(52)."""
        return float(statistics.counts @ self.family.pseudo_entropy(parameters.eta))

    def log_density(self, parameters: VectorParameters, statistics: VectorSums) -> float:
        inner = (parameters.eta * statistics.sums).sum(axis=1)
        return float((inner - statistics.counts * parameters.log_partition).sum())

    def magnitude(self, parameters: VectorParameters, statistics: VectorSums) -> float:
        inner = np.abs(parameters.eta * statistics.sums).sum(axis=1)
        return float((inner + statistics.counts * np.abs(parameters.log_partition)).sum())

    def log_prior(self, parameters: VectorParameters, statistics: VectorSums | None) -> FloatArray:
        return self.prior_counts * np.asarray(parameters.eta @ self.pooled - parameters.log_partition)

    def penalty(self, parameters: VectorParameters, statistics: VectorSums) -> float:
        r"""With :math:`\nu` pseudo-counts at :math:`\bar T`, :math:`\nu \sum_c \eta_c \cdot (m_c - \bar T)`."""
        if not self.prior_counts:
            return 0.0
        return self.prior_counts * float((parameters.eta * (self.family.mean(parameters.eta) - self.pooled)).sum())

    def pack(self, parameters: VectorParameters) -> FloatArray:
        return parameters.eta.ravel()

    def unpack(self, vector: FloatArray, like: VectorParameters) -> VectorParameters | None:
        eta = vector.reshape(like.eta.shape)
        return self.parameters(eta) if self.family.in_domain(eta) else None

    # The end of a fit.

    def limits(self, parameters: VectorParameters) -> NoLimits:
        return NoLimits()

    def n_directions(self, parameters: VectorParameters) -> int:
        return int(parameters.eta.shape[1])

    def score(self, parameters: VectorParameters, statistics: VectorSums) -> FloatArray:
        total = self._with_pseudo_rows(statistics)
        return total.sums - total.counts[:, np.newaxis] * self.family.mean(parameters.eta)

    def row_scores(self, parameters: VectorParameters, observations: VectorRows) -> Iterator[FloatArray]:
        T = observations.dense()
        for mean in self.family.mean(parameters.eta):
            yield T - mean * observations.seen[:, np.newaxis]

    def metric(self, parameters: VectorParameters, statistics: VectorSums, counts: FloatArray) -> VectorMetric:
        return VectorMetric.at(self.family, parameters.eta, self._with_pseudo_rows(statistics).counts)

    def moved(self, parameters: VectorParameters, direction: FloatArray) -> VectorParameters | None:
        """Move parameters along a direction, except those that a bound holds."""
        free = ~self.family.at_bound(parameters.eta)
        eta = parameters.eta + np.where(free[:, np.newaxis], direction, 0.0)
        return self.parameters(eta) if self.family.in_domain(eta[free]) else None

    # Several runs at once.

    def for_runs(self, n_runs: int) -> Self:
        return self

    def select(self, parameters: VectorParameters, components: Array, n_runs: int) -> VectorParameters:
        return VectorParameters(parameters.eta[components], parameters.log_partition[components])

    def with_average_rows(self, statistics: VectorSums, share: float, n_runs: int) -> VectorSums:
        by_run = statistics.counts.reshape(n_runs, -1)
        added = share * by_run.mean(axis=1).repeat(by_run.shape[1])
        return VectorSums(statistics.counts + added, statistics.sums + added[:, np.newaxis] * self.pooled)

    def collapsed(self, before: VectorParameters, parameters: VectorParameters) -> Array:
        family, pooled = self.family, self.family.natural(self.pooled)
        narrow = is_collapsing(*map(family.spread, (parameters.eta, before.eta, pooled)))
        return np.asarray((family.at_bound(parameters.eta) | narrow) & ~family.at_bound(pooled))

    def degenerate(self, parameters: VectorParameters) -> bool:
        at_bound = self.family.at_bound(parameters.eta) & ~self.family.at_bound(self.family.natural(self.pooled))
        return bool(at_bound.any())

    # What users see.

    def axes(self, n_components: int, n_features: int) -> tuple[list[tuple[str, int]], ...]:
        components, rows = [("n_components", n_components)], [("n_features", n_features)]
        return tuple(components + rows * (rank == 2) for rank in self.family.ranks)

    def standard(self, parameters: VectorParameters) -> tuple[FloatArray, ...]:
        return self.family.to_standard(parameters.eta)

    @property
    def standard_limits(self) -> tuple[tuple[float, float], ...]:
        return self.family.parameter_limits

    def natural(self, standard: tuple[FloatArray, ...]) -> VectorParameters:
        return self.parameters(self.family.from_standard(standard))

    def check_standard(self, standard: tuple[FloatArray, ...], suffix: str = "") -> None:
        self._check_n_columns(standard[0].shape[-1])
        self.family.from_standard(standard, suffix)

    def of_fitted(
        self, weights: FloatArray, standard: tuple[FloatArray, ...], *, is_sparse: bool, exposure: float = 1.0
    ) -> Self:
        return replace(self, pooled=weights @ self.family.mean(self.family.from_standard(standard)))

    def n_parameters(self, n_components: int) -> int:
        return n_components * len(self.pooled)

    def divergence(self, parameters: VectorParameters, component: int) -> FloatArray:
        return np.asarray(self.family.divergence(parameters.eta[component], parameters.eta))

    def column_divergences(self, parameters: VectorParameters, component: int) -> FloatArray:
        return np.asarray(self.family.column_divergences(parameters.eta[component], parameters.eta))

    def moments(self, parameters: VectorParameters) -> tuple[FloatArray, FloatArray]:
        return self.family.moments(parameters.eta)

    def failures(self, estimator: Any, parameters: VectorParameters) -> Iterator[str]:
        name, single = model_name(estimator), self.family.single
        if self.family.at_bound(self.family.natural(self.pooled)):
            yield f"{name}: all rows have (nearly) the same {single}; there is nothing to fit."
            return
        held = np.flatnonzero(self.family.at_bound(parameters.eta))
        if held.size:
            listed = ", ".join(map(str, held))
            yield (
                f"{name}: component{'s' * (held.size > 1)} {listed} collapsed onto (nearly) a single {single}; the "
                "concentration is held at a bound, where the entropy sum is not the ELBO. Use fewer components, or "
                "prior_counts > 0."
            )

    def sample(
        self,
        standard: tuple[FloatArray, ...],
        labels: Array,
        random_state: np.random.RandomState,
        like: Matrix | None = None,
    ) -> FloatArray:
        return np.asarray(self.family.sample(self.family.from_standard(standard)[labels], random_state))


def _has_values(X: Matrix) -> Array:
    """Which rows (n,) hold anything but zeros."""
    if not sparse.issparse(X):
        return np.asarray(X.any(axis=1))
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    return np.bincount(rows[X.data != 0.0], minlength=X.shape[0]) > 0
