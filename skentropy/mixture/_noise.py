"""A uniform component beside others, for rows that belong to none of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from .._data import Block, ColumnSurvey, Rounding
from .._typing import Array, FloatArray, Matrix
from ._component_attributes import Reported
from ._components import ComponentMetric, Components, Evidence, Limits, SeedRows

# The divergence of components from noise, which is no duplicate of any.
_FAR = 1e100


@dataclass(frozen=True)
class NoisyRows:
    """What the components see of a block, and the log-density (n,) of the noise, without the base measure."""

    own: Any
    log_noise: FloatArray


@dataclass(frozen=True)
class NoisySums:
    """Statistics of the components, and the sum of the noise's weights times its log-density."""

    own: Any
    log_noise: float

    def __add__(self, other: NoisySums) -> NoisySums:
        return NoisySums(self.own + other.own, self.log_noise + other.log_noise)


@dataclass(frozen=True)
class NoisyEvidence:
    """Log joint densities of the components and, in the last row of each run, of the noise."""

    log_joint: FloatArray
    own: Evidence
    log_noise: FloatArray
    is_noise: Array

    def accumulate(self, weights: FloatArray) -> NoisySums:
        log_noise = float((weights[self.is_noise] @ self.log_noise).sum())
        return NoisySums(self.own.accumulate(weights[~self.is_noise]), log_noise)


@dataclass(frozen=True)
class NoisyMetric:
    """Coordinates of the components; noise has none."""

    own: ComponentMetric

    def directions(self, z: FloatArray) -> FloatArray:
        return _padded(self.own.directions(z[:-1]))

    def gradient(self, score: FloatArray) -> FloatArray:
        return _padded(self.own.gradient(score[:-1]))

    def matrix(self) -> FloatArray:
        own = self.own.matrix()
        return np.pad(own, ((0, 1), (0, 0), (0, 1), (0, 0)))


def _padded(values: FloatArray) -> FloatArray:
    """An array with zeros for the noise."""
    return np.concatenate([values, np.zeros_like(values[:1])])


@dataclass(frozen=True)
class WithNoise(Components):
    r"""Components, and after them one of constant density :math:`1 / V` in a box of volume V (Banfield and Raftery 1993).

    The density of a row with missing entries is that of the box in the columns that are observed; it is the same outside of
    the box. Parameters are those of the components, K of the K + 1.

    Parameters
    ----------
    own : Components
    volume : float or "box"
        V; "box" is that of the box that all rows lie in. Others have its proportions.
    box : ndarray of shape (2, D)
        Lower and upper edges.
    n_runs : int
        Number of mixtures side by side.
    """

    own: Components
    volume: float | str = "box"
    box: FloatArray = field(default_factory=lambda: np.array([[0.0], [1.0]]))
    n_runs: int = 1

    n_noise: ClassVar[int] = 1

    @property
    def attribute_names(self) -> tuple[str, ...]:
        return self.own.attribute_names

    @property
    def label(self) -> str:
        return f"{self.own.label} and noise"

    @property
    def support(self) -> str:
        return self.own.support

    @property
    def lower_limit(self) -> float:
        return self.own.lower_limit

    @property
    def discrete(self) -> bool:
        return self.own.discrete

    allows_sparse = False
    allows_exposure = False

    @property
    def clusters(self) -> Components:
        return self.own

    @property
    def climbs(self) -> bool:
        return self.own.climbs

    @property
    def standard_limits(self) -> tuple[tuple[float, float], ...]:
        return self.own.standard_limits

    def _is_noise(self, n_all: int) -> Array:
        """Which of all components are noise: the last of each run."""
        is_noise = np.zeros((self.n_runs, n_all // self.n_runs), dtype=bool)
        is_noise[:, -1] = True
        return is_noise.ravel()

    # Before a fit.

    def prepare(self, estimator: Any, columns: ColumnSurvey, *, is_sparse: bool, prior_counts: float) -> Self:
        own = self.own.prepare(estimator, columns, is_sparse=is_sparse, prior_counts=prior_counts)
        box = np.stack([columns.smallest, columns.largest])
        # A column without spread does not count; the components' failures tell of it.
        box = np.where(box[1] > box[0], box, box[0] + np.array([[-0.5], [0.5]]))
        if isinstance(self.volume, str):
            return replace(self, own=own, box=box)
        log_ratio = (np.log(self.volume) - np.log(box[1] - box[0]).sum()) / len(box[0])
        half = 0.5 * (box[1] - box[0]) * np.exp(log_ratio)
        return replace(self, own=own, box=box.mean(axis=0) + np.outer([-1.0, 1.0], half))

    def count_outside(self, block: Block) -> Array:
        return self.own.count_outside(block)

    def summarize(self, observations: NoisyRows, weight: FloatArray) -> Any:
        return self.own.summarize(observations.own, weight)

    def with_pooled(self, summary: Any) -> Self:
        return replace(self, own=self.own.with_pooled(summary))

    def with_prior(self, prior_counts: float, statistics: Any) -> Self:
        return replace(self, own=self.own.with_prior(prior_counts, statistics.own))

    def rounding(self, columns: ColumnSurvey) -> Rounding | None:
        return self.own.rounding(columns)

    def seed_rows(self, block: Block, observations: NoisyRows) -> SeedRows:
        return self.own.seed_rows(block, observations.own)

    def row_cost(self, n_features: int) -> int:
        return self.own.row_cost(n_features)

    def row_bytes(self, n_features: int, n_components: int) -> int:
        return self.own.row_bytes(n_features, n_components) + 16 * n_components

    # EM.

    def read(self, block: Block) -> NoisyRows:
        log_noise = ~np.isnan(block.X) @ -np.log(self.box[1] - self.box[0])
        return NoisyRows(self.own.read(block), log_noise - self.own.log_base_measure(block))

    def observe(
        self, parameters: Any, observations: NoisyRows, offsets: FloatArray, out: FloatArray | None = None
    ) -> NoisyEvidence:
        is_noise = self._is_noise(len(offsets))
        own = self.own.observe(parameters, observations.own, offsets[~is_noise])
        log_joint = np.empty((len(offsets), len(observations.log_noise))) if out is None else out
        log_joint[~is_noise] = own.log_joint
        log_joint[is_noise] = observations.log_noise + offsets[is_noise, np.newaxis]
        return NoisyEvidence(log_joint, own, observations.log_noise, is_noise)

    def pooled_parameters(self, n_components: int) -> Any:
        return self.own.pooled_parameters(n_components - self.n_runs)

    def expected_rows(self, parameters: Any, observations: NoisyRows, responsibilities: FloatArray) -> FloatArray:
        """Noise expects the middle of the box."""
        expected = self.own.expected_rows(parameters, observations.own, responsibilities[:-1])
        return np.asarray(expected + np.outer(responsibilities[-1], self.box.mean(axis=0)))

    def maximize(self, statistics: NoisySums) -> Any:
        return self.own.maximize(statistics.own)

    def log_base_measure(self, block: Block) -> FloatArray:
        return self.own.log_base_measure(block)

    def base_measure(self, parameters: Any, statistics: NoisySums) -> float:
        return self.own.base_measure(parameters, statistics.own)

    def entropy(self, parameters: Any, statistics: NoisySums) -> float:
        """Entropy, which for the noise is log V, with the volume of what is observed."""
        return self.own.entropy(parameters, statistics.own) - statistics.log_noise

    def log_density(self, parameters: Any, statistics: NoisySums) -> float:
        return self.own.log_density(parameters, statistics.own) + statistics.log_noise

    def magnitude(self, parameters: Any, statistics: NoisySums) -> float:
        return self.own.magnitude(parameters, statistics.own) + abs(statistics.log_noise)

    def log_prior(self, parameters: Any, statistics: NoisySums | None) -> FloatArray:
        own = self.own.log_prior(parameters, None if statistics is None else statistics.own)
        return np.pad(own.reshape(self.n_runs, -1), ((0, 0), (0, 1))).ravel()

    def penalty(self, parameters: Any, statistics: NoisySums) -> float:
        return self.own.penalty(parameters, statistics.own)

    def pack(self, parameters: Any) -> FloatArray:
        return self.own.pack(parameters)

    def unpack(self, vector: FloatArray, like: Any) -> Any | None:
        return self.own.unpack(vector, like)

    # Where a fit ends.

    def limits(self, parameters: Any) -> Limits:
        return self.own.limits(parameters)

    def n_directions(self, parameters: Any) -> int:
        return self.own.n_directions(parameters)

    def score(self, parameters: Any, statistics: NoisySums) -> FloatArray:
        return _padded(self.own.score(parameters, statistics.own))

    def row_scores(self, parameters: Any, observations: NoisyRows) -> Iterator[FloatArray]:
        yield from self.own.row_scores(parameters, observations.own)
        yield np.zeros((len(observations.log_noise), self.n_directions(parameters)))

    def latent_information(self, parameters: Any, observations: NoisyRows, weights: FloatArray) -> FloatArray | None:
        own = self.own.latent_information(parameters, observations.own, weights[:-1])
        return None if own is None else _padded(own)

    def metric(self, parameters: Any, statistics: NoisySums, counts: FloatArray) -> NoisyMetric:
        return NoisyMetric(self.own.metric(parameters, statistics.own, counts[:-1]))

    def moved(self, parameters: Any, direction: FloatArray) -> Any | None:
        return self.own.moved(parameters, direction[:-1])

    def stride(self, parameters: Any, direction: FloatArray) -> float:
        return self.own.stride(parameters, direction[:-1])

    # Several runs at once.

    def for_runs(self, n_runs: int) -> Self:
        return replace(self, own=self.own.for_runs(n_runs), n_runs=n_runs)

    def select(self, parameters: Any, components: Array, n_runs: int) -> Any:
        size = len(components) // n_runs  # of a run, the noise included
        run, within = np.divmod(components, size)
        return self.own.select(parameters, (run * (size - 1) + within)[within < size - 1], n_runs)

    def with_average_rows(self, statistics: NoisySums, share: float, n_runs: int) -> NoisySums:
        return replace(statistics, own=self.own.with_average_rows(statistics.own, share, n_runs))

    def collapsed(self, before: Any, parameters: Any) -> Array:
        own = self.own.collapsed(before, parameters)
        return np.pad(own.reshape(self.n_runs, -1), ((0, 0), (0, 1))).ravel()

    def degenerate(self, parameters: Any) -> bool:
        return self.own.degenerate(parameters)

    # What users see.

    def axes(self, n_components: int, n_features: int) -> tuple[list[tuple[str, int]], ...]:
        return self.own.axes(n_components, n_features)

    def fits(self, standard: tuple[FloatArray, ...], n_components: int) -> bool:
        return self.own.fits(standard, n_components)

    def standard(self, parameters: Any) -> tuple[FloatArray, ...]:
        return self.own.standard(parameters)

    def standard_changes(self, parameters: Any, directions: FloatArray) -> tuple[FloatArray, ...]:
        return self.own.standard_changes(parameters, directions[:, :-1])

    def reported(self, estimator: Any, n_components: int, n_features: int) -> Iterator[Reported]:
        return self.own.reported(estimator, n_components - 1, n_features)

    def natural(self, standard: tuple[FloatArray, ...]) -> Any:
        return self.own.natural(standard)

    def check_standard(self, standard: tuple[FloatArray, ...], suffix: str = "") -> None:
        self.own.check_standard(standard, suffix)

    def of_fitted(
        self, weights: FloatArray, standard: tuple[FloatArray, ...], *, is_sparse: bool, exposure: float = 1.0
    ) -> Self:
        share = 1.0 - weights[-1]
        own = weights[:-1] / share if share > 0.0 else np.full(len(weights) - 1, 1.0 / (len(weights) - 1))
        return replace(self, own=self.own.of_fitted(own, standard, is_sparse=is_sparse, exposure=exposure))

    def n_parameters(self, n_components: int) -> int:
        """The volume is given, not fitted."""
        return self.own.n_parameters(n_components - 1)

    def divergence(self, parameters: Any, component: int) -> FloatArray:
        K = len(self.moments(parameters)[0]) - 1
        if component == K:
            return np.append(np.full(K, _FAR), 0.0)
        return np.append(self.own.divergence(parameters, component), _FAR)

    def column_divergences(self, parameters: Any, component: int) -> FloatArray:
        """Divergences from and to noise take each of its columns for Gaussian with the moments that it has."""
        means, variances = self.moments(parameters)
        log_sides, log_scales = np.log(self.box[1] - self.box[0]), 0.5 * np.log(2.0 * np.pi * variances)
        if component == len(means) - 1:
            spread = (variances[-1] + (means[-1] - means[:-1]) ** 2) / (2.0 * variances[:-1])
            return _padded(np.maximum(log_scales[:-1] + spread - log_sides, 0.0))
        to_noise = np.maximum(log_sides - log_scales[component] - 0.5, 0.0)
        return np.vstack([self.own.column_divergences(parameters, component), to_noise])

    def moments(self, parameters: Any) -> tuple[FloatArray, FloatArray]:
        means, variances = self.own.moments(parameters)
        middle, variance = self.box.mean(axis=0), (self.box[1] - self.box[0]) ** 2 / 12.0
        return np.vstack([means, middle]), np.vstack([variances, variance])

    def correlated_columns(self, parameters: Any) -> list[tuple[Array, FloatArray]]:
        variance = np.diag((self.box[1] - self.box[0]) ** 2 / 12.0)
        K = len(self.own.moments(parameters)[0])
        return [
            (columns, np.concatenate([np.broadcast_to(S, (K, *S.shape[1:])), variance[np.newaxis]]))
            for columns, S in self.own.correlated_columns(parameters)
        ]

    def failures(self, estimator: Any, parameters: Any) -> Iterator[str]:
        return self.own.failures(estimator, parameters)

    def sample(
        self,
        standard: tuple[FloatArray, ...],
        labels: Array,
        random_state: np.random.RandomState,
        like: Matrix | None = None,
    ) -> FloatArray:
        """Noise, which is drawn from the box, has the label -1."""
        X = np.empty((len(labels), self.box.shape[1]))
        is_noise = labels < 0
        X[~is_noise] = self.own.sample(standard, labels[~is_noise], random_state)
        X[is_noise] = self.box[0] + (self.box[1] - self.box[0]) * random_state.uniform(size=X[is_noise].shape)
        return X
