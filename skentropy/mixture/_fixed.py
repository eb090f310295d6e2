"""Components and one fixed distribution without parameters, for rows that belong to no cluster."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from .._data import Additive, Block, ColumnSurvey, Rounding
from .._typing import Array, FloatArray
from ._component_attributes import Reported
from ._components import ComponentMetric, Components, Evidence, Limits, SeedRows

# The divergence of components from the fixed component, which is never their duplicate.
_FAR = 1e100


@dataclass(frozen=True)
class FixedRows:
    """The components' observations of a block, and its log-densities (n,) under the fixed one, without the base measure."""

    own: Any
    log_fixed: FloatArray


@dataclass(frozen=True)
class FixedSums(Additive):
    """Statistics of the components, and the sum of the fixed one's weights times its log-density."""

    own: Any
    log_fixed: float


@dataclass(frozen=True)
class FixedEvidence:
    """Log joint densities of the components and, in the last row of each run, of the fixed one."""

    log_joint: FloatArray
    own: Evidence
    log_fixed: FloatArray
    is_fixed: Array

    def accumulate(self, weights: FloatArray) -> FixedSums:
        log_fixed = float((weights[self.is_fixed] @ self.log_fixed).sum())
        return FixedSums(self.own.accumulate(weights[~self.is_fixed]), log_fixed)


@dataclass(frozen=True)
class FixedMetric:
    """Coordinates of the components; the fixed one has none."""

    own: ComponentMetric

    def directions(self, z: FloatArray) -> FloatArray:
        own = self.own.directions(z[..., :-1, :])
        return np.concatenate([own, np.zeros_like(own[..., :1, :])], axis=-2)

    def gradient(self, score: FloatArray) -> FloatArray:
        return append_zeros(self.own.gradient(score[:-1]))


def append_zeros(values: FloatArray) -> FloatArray:
    """Append zeros for the fixed component to an array."""
    return np.concatenate([values, np.zeros_like(values[:1])])


@dataclass(frozen=True)
class WithFixed(Components):
    """Components, and after them a fixed component that has no parameters except its weight.

    Minus the expected logarithm of its density replaces its pseudo entropy. The parameters are those of the other
    components, K of K + 1.

    Parameters
    ----------
    own : Components
    n_runs : int
        Number of mixtures side by side.
    """

    own: Components
    n_runs: int = 1

    n_fixed: ClassVar[int] = 1

    @abstractmethod
    def log_fixed(self, block: Block) -> FloatArray:
        """Log-density (n,) of rows under the fixed component; finite."""

    @property
    def attribute_names(self) -> tuple[str, ...]:
        return self.own.attribute_names

    @property
    def shape_arguments(self) -> Mapping[str, str]:
        return self.own.shape_arguments

    @property
    def support(self) -> str:
        return self.own.support

    @property
    def row_support(self) -> str:
        return self.own.row_support

    @property
    def lower_limit(self) -> float:
        return self.own.lower_limit

    @property
    def discrete(self) -> bool:
        return self.own.discrete

    @property
    def allows_sparse(self) -> bool:
        return self.own.allows_sparse

    @property
    def allows_exposure(self) -> bool:
        return self.own.allows_exposure

    @property
    def allows_gaps(self) -> bool:
        return self.own.allows_gaps

    @property
    def clusters(self) -> Components:
        return self.own

    @property
    def climbs(self) -> bool:
        return self.own.climbs

    @property
    def standard_limits(self) -> tuple[tuple[float, float], ...]:
        return self.own.standard_limits

    def _is_fixed(self, n_all: int) -> Array:
        """Which of all components are fixed: the last one of each run."""
        is_fixed = np.zeros((self.n_runs, n_all // self.n_runs), dtype=bool)
        is_fixed[:, -1] = True
        return is_fixed.ravel()

    @property
    def label(self) -> str:
        return f"{self.own.label} and {self.fixed_name}"

    # Before a fit.

    def prepare(self, estimator: Any, columns: ColumnSurvey, *, is_sparse: bool, prior_counts: float) -> Self:
        own = self.own.prepare(estimator, columns, is_sparse=is_sparse, prior_counts=prior_counts)
        return replace(self, own=own)

    def count_outside(self, block: Block) -> Array:
        return self.own.count_outside(block)

    def summarize(self, observations: FixedRows, weight: FloatArray) -> Any:
        return self.own.summarize(observations.own, weight)

    def with_pooled(self, summary: Any) -> Self:
        return replace(self, own=self.own.with_pooled(summary))

    def with_prior(self, prior_counts: float, statistics: Any) -> Self:
        return replace(self, own=self.own.with_prior(prior_counts, statistics.own))

    def rounding(self, columns: ColumnSurvey) -> Rounding | None:
        return self.own.rounding(columns)

    def seed_rows(self, block: Block, observations: FixedRows) -> SeedRows:
        return self.own.seed_rows(block, observations.own)

    def row_cost(self, n_features: int) -> int:
        return self.own.row_cost(n_features)

    def row_bytes(self, n_features: int, n_components: int) -> int:
        return self.own.row_bytes(n_features, n_components) + 16 * n_components

    # EM.

    def read(self, block: Block) -> FixedRows:
        return FixedRows(self.own.read(block), self.log_fixed(block) - self.own.log_base_measure(block))

    def observe(
        self, parameters: Any, observations: FixedRows, offsets: FloatArray, out: FloatArray | None = None
    ) -> FixedEvidence:
        is_fixed = self._is_fixed(len(offsets))
        own = self.own.observe(parameters, observations.own, offsets[~is_fixed])
        log_joint = np.empty((len(offsets), len(observations.log_fixed))) if out is None else out
        log_joint[~is_fixed] = own.log_joint
        log_joint[is_fixed] = observations.log_fixed + offsets[is_fixed, np.newaxis]
        return FixedEvidence(log_joint, own, observations.log_fixed, is_fixed)

    def pooled_parameters(self, n_components: int) -> Any:
        return self.own.pooled_parameters(n_components - self.n_runs)

    def maximize(self, statistics: FixedSums) -> Any:
        return self.own.maximize(statistics.own)

    def log_base_measure(self, block: Block) -> FloatArray:
        return self.own.log_base_measure(block)

    def base_measure(self, parameters: Any, statistics: FixedSums) -> float:
        return self.own.base_measure(parameters, statistics.own)

    def entropy(self, parameters: Any, statistics: FixedSums) -> float:
        """Entropy, which for the fixed component is minus the expected logarithm of its density."""
        return self.own.entropy(parameters, statistics.own) - statistics.log_fixed

    def log_density(self, parameters: Any, statistics: FixedSums) -> float:
        return self.own.log_density(parameters, statistics.own) + statistics.log_fixed

    def magnitude(self, parameters: Any, statistics: FixedSums) -> float:
        return self.own.magnitude(parameters, statistics.own) + abs(statistics.log_fixed)

    def log_prior(self, parameters: Any, statistics: FixedSums | None) -> FloatArray:
        own = self.own.log_prior(parameters, None if statistics is None else statistics.own)
        return np.pad(own.reshape(self.n_runs, -1), ((0, 0), (0, 1))).ravel()

    def penalty(self, parameters: Any, statistics: FixedSums) -> float:
        return self.own.penalty(parameters, statistics.own)

    def pack(self, parameters: Any) -> FloatArray:
        return self.own.pack(parameters)

    def unpack(self, vector: FloatArray, like: Any) -> Any | None:
        return self.own.unpack(vector, like)

    # The end of a fit.

    def limits(self, parameters: Any) -> Limits:
        return self.own.limits(parameters)

    def n_directions(self, parameters: Any) -> int:
        return self.own.n_directions(parameters)

    def score(self, parameters: Any, statistics: FixedSums) -> FloatArray:
        return append_zeros(self.own.score(parameters, statistics.own))

    def row_scores(self, parameters: Any, observations: FixedRows) -> Iterator[FloatArray]:
        yield from self.own.row_scores(parameters, observations.own)
        yield np.zeros((len(observations.log_fixed), self.n_directions(parameters)))

    def latent_information(self, parameters: Any, observations: FixedRows, weights: FloatArray) -> FloatArray | None:
        own = self.own.latent_information(parameters, observations.own, weights[:-1])
        return None if own is None else append_zeros(own)

    def metric(self, parameters: Any, statistics: FixedSums, counts: FloatArray) -> FixedMetric:
        return FixedMetric(self.own.metric(parameters, statistics.own, counts[:-1]))

    def moved(self, parameters: Any, direction: FloatArray) -> Any | None:
        return self.own.moved(parameters, direction[:-1])

    def stride(self, parameters: Any, direction: FloatArray) -> float:
        return self.own.stride(parameters, direction[:-1])

    # Several runs at once.

    def for_runs(self, n_runs: int) -> Self:
        return replace(self, own=self.own.for_runs(n_runs), n_runs=n_runs)

    def select(self, parameters: Any, components: Array, n_runs: int) -> Any:
        size = len(components) // n_runs  # of a run, including the fixed one
        run, within = np.divmod(components, size)
        return self.own.select(parameters, (run * (size - 1) + within)[within < size - 1], n_runs)

    def with_average_rows(self, statistics: FixedSums, share: float, n_runs: int) -> FixedSums:
        return replace(statistics, own=self.own.with_average_rows(statistics.own, share, n_runs))

    def collapsed(self, before: Any, parameters: Any) -> Array:
        own = self.own.collapsed(before, parameters)
        return np.pad(own.reshape(self.n_runs, -1), ((0, 0), (0, 1))).ravel()

    def degenerate(self, parameters: Any) -> bool:
        return self.own.degenerate(parameters)

    def is_heywood(self, parameters: Any) -> bool:
        return self.own.is_heywood(parameters)

    # What users see.

    def axes(self, n_components: int, n_features: int) -> tuple[list[tuple[str, int]], ...]:
        return self.own.axes(n_components, n_features)

    def fits(self, standard: tuple[FloatArray, ...], n_components: int) -> bool:
        return self.own.fits(standard, n_components)

    def standard(self, parameters: Any) -> tuple[FloatArray, ...]:
        return self.own.standard(parameters)

    def standard_changes(self, parameters: Any, directions: FloatArray) -> tuple[FloatArray, ...]:
        return self.own.standard_changes(parameters, directions[:, :-1])

    def narrowed(self, standard: tuple[FloatArray, ...], dtype: np.dtype[Any]) -> tuple[FloatArray, ...]:
        return self.own.narrowed(standard, dtype)

    def reported(self, estimator: Any, n_components: int, n_features: int) -> Iterator[Reported]:
        return self.own.reported(estimator, n_components - 1, n_features)

    def natural(self, standard: tuple[FloatArray, ...]) -> Any:
        return self.own.natural(standard)

    def check_standard(self, standard: tuple[FloatArray, ...], suffix: str = "") -> None:
        self.own.check_standard(standard, suffix)

    def cautions(self, estimator: Any, standard: tuple[FloatArray, ...]) -> list[str]:
        return self.own.cautions(estimator, standard)

    @property
    def scale_label(self) -> str:
        return self.own.scale_label

    def relative_columns(self, n_features: int) -> Array:
        return self.own.relative_columns(n_features)

    @property
    def poisson_columns(self) -> Array:
        return self.own.poisson_columns

    @property
    def circular_columns(self) -> Array:
        return self.own.circular_columns

    def of_fitted(
        self, weights: FloatArray, standard: tuple[FloatArray, ...], *, is_sparse: bool, exposure: float = 1.0
    ) -> Self:
        share = 1.0 - weights[-1]
        own = weights[:-1] / share if share > 0.0 else np.full(len(weights) - 1, 1.0 / (len(weights) - 1))
        return replace(self, own=self.own.of_fitted(own, standard, is_sparse=is_sparse, exposure=exposure))

    def n_parameters(self, n_components: int) -> int:
        """Number of free parameters; the fixed component has none."""
        return self.own.n_parameters(n_components - 1)

    def divergence(self, parameters: Any, component: int) -> FloatArray:
        K = len(self.moments(parameters)[0]) - 1
        if component == K:
            return np.append(np.full(K, _FAR), 0.0)
        return np.append(self.own.divergence(parameters, component), _FAR)

    def failures(self, estimator: Any, parameters: Any) -> Iterator[str]:
        return self.own.failures(estimator, parameters)
