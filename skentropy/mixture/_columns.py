"""Components of tables whose columns are of several kinds: given the component, blocks of columns are independent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from .._data import Block, ColumnSurvey, Rounding
from .._messages import NamedColumns
from .._typing import Array, FloatArray, Matrix
from ._components import ComponentMetric, Components, Evidence, Limits, Reported, SeedRows


@dataclass(frozen=True)
class ColumnBlock:
    """Some columns, and what components are in them."""

    name: str
    components: Components
    columns: Array

    def of(self, block: Block) -> Block:
        """These columns of a block of rows."""
        return Block(block.X[:, self.columns], block.weight, block.exposure, block.start)


class Sums(tuple[Any, ...]):
    """Statistics of all blocks of columns, which add one by one."""

    def __add__(self, other: Any) -> Sums:
        return Sums(a + b for a, b in zip(self, other, strict=True))


@dataclass(frozen=True)
class JointEvidence:
    """Log joint densities (K, n) of all columns, and what the blocks say."""

    log_joint: FloatArray
    parts: list[Evidence]

    def accumulate(self, weights: FloatArray) -> Sums:
        return Sums(part.accumulate(weights) for part in self.parts)


@dataclass(frozen=True)
class JointSeedRows:
    """Rows as seeds: divergences of blocks of columns add."""

    parts: list[SeedRows]

    @property
    def rounding(self) -> FloatArray:
        return np.asarray(sum(part.rounding for part in self.parts))

    def seeds(self, rows: Array) -> list[Any]:
        return [part.seeds(rows) for part in self.parts]

    def divergences(self, seeds: list[Any]) -> FloatArray:
        return np.asarray(sum(part.divergences(own) for part, own in zip(self.parts, seeds, strict=True)))


class JointLimits:
    """The limits of all blocks of columns."""

    def __init__(self, parts: list[Limits], parameters: tuple[Any, ...]) -> None:
        self._parts = parts
        sizes = [part.near(own).size for part, own in zip(parts, parameters, strict=True)]
        self._edges = np.cumsum(sizes)[:-1]

    def near(self, parameters: Any) -> Array:
        return np.concatenate([part.near(own) for part, own in zip(self._parts, parameters, strict=True)])

    def lost(self, parameters: Any) -> Array:
        return np.concatenate([part.lost(own) for part, own in zip(self._parts, parameters, strict=True)])

    def put(self, parameters: Any, places: Array, share: float) -> Any:
        split = np.split(places, self._edges)
        return tuple(part.put(own, at, share) for part, own, at in zip(self._parts, parameters, split, strict=True))

    def growing(self, before: Any, after: Any, faster_than: float) -> Array:
        pairs = zip(self._parts, before, after, strict=True)
        return np.concatenate([part.growing(old, new, faster_than) for part, old, new in pairs])


@dataclass(frozen=True)
class JointMetric:
    """The complete data's information about all blocks of columns, which has no entries between them."""

    parts: list[ComponentMetric]
    edges: Array

    def directions(self, z: FloatArray) -> FloatArray:
        split = np.split(z, self.edges, axis=1)
        return np.concatenate([part.directions(own) for part, own in zip(self.parts, split, strict=True)], axis=1)

    def gradient(self, score: FloatArray) -> FloatArray:
        split = np.split(score, self.edges, axis=1)
        return np.concatenate([part.gradient(own) for part, own in zip(self.parts, split, strict=True)], axis=1)

    def matrix(self) -> FloatArray:
        matrices = [part.matrix() for part in self.parts]
        K, P = len(matrices[0]), sum(matrix.shape[1] for matrix in matrices)
        W, start = np.zeros((K, P, K, P)), 0
        for matrix in matrices:
            own = slice(start, start + matrix.shape[1])
            W[:, own, :, own] = matrix
            start = own.stop
        return W


@dataclass(frozen=True)
class ColumnBlocks(Components):
    r"""Products over blocks of columns, :math:`p(x|c) = \prod_b p_b(x_b|c)`; parameters and statistics are tuples.

    Parameters
    ----------
    blocks : tuple of ColumnBlock
    n_features : int
        Number of columns, those in no block included.
    """

    blocks: tuple[ColumnBlock, ...]
    n_features: int

    attribute_names = ("parameters",)
    label = "blocks of columns"
    support = "values in the supports of the columns' families"
    lower_limit = -np.inf
    allows_sparse = False
    allows_exposure = False

    @property
    def discrete(self) -> bool:
        return all(part.discrete for part in self._parts)

    @property
    def climbs(self) -> bool:
        return all(part.climbs for part in self._parts)

    @property
    def _parts(self) -> list[Components]:
        return [block.components for block in self.blocks]

    def _with(self, parts: Any) -> Self:
        blocks = tuple(replace(block, components=part) for block, part in zip(self.blocks, parts, strict=True))
        return replace(self, blocks=blocks)

    def changed(self, change: Callable[[Components, Any], Components], parameters: Any) -> Self:
        """With other components in the blocks, given those that are there and their parameters; itself where all stay."""
        parts = [change(part, own) for part, own in self._zip(parameters)]
        return self if all(new is old for new, old in zip(parts, self._parts, strict=True)) else self._with(parts)

    def _zip(self, *values: Any) -> Iterator[tuple[Any, ...]]:
        """Each block's components with its share of tuples of values."""
        return zip(self._parts, *values, strict=True)

    # Before a fit.

    def prepare(self, estimator: Any, columns: ColumnSurvey, *, is_sparse: bool, prior_counts: float) -> Self:
        return self._with(
            block.components.prepare(
                NamedColumns.of(estimator, block.columns),
                columns.take(block.columns),
                is_sparse=is_sparse,
                prior_counts=prior_counts,
            )
            for block in self.blocks
        )

    def count_outside(self, block: Block) -> Array:
        counts = np.zeros((2, self.n_features))
        for part in self.blocks:
            counts[:, part.columns] = part.components.count_outside(part.of(block))
        return counts

    def summarize(self, observations: Any, weight: FloatArray) -> Sums:
        return Sums(part.summarize(own, weight) for part, own in self._zip(observations))

    def with_pooled(self, summary: Any) -> Self:
        return self._with([part.with_pooled(own) for part, own in self._zip(summary)])

    def with_prior(self, prior_counts: float) -> Self:
        return self._with([part.with_prior(prior_counts) for part in self._parts])

    def rounding(self, columns: ColumnSurvey) -> Rounding | None:
        location, scale, relative = np.zeros(self.n_features), np.ones(self.n_features), np.ones(self.n_features, dtype=bool)
        roundings = [block.components.rounding(columns.take(block.columns)) for block in self.blocks]
        if all(own is None for own in roundings):
            return None
        for block, own in zip(self.blocks, roundings, strict=True):
            if own is not None:
                location[block.columns], scale[block.columns] = own.location, own.scale
                relative[block.columns] = own.relative
        return Rounding(location, scale, relative)

    def seed_rows(self, block: Block, observations: Any) -> JointSeedRows:
        pairs = zip(self.blocks, observations, strict=True)
        return JointSeedRows([part.components.seed_rows(part.of(block), own) for part, own in pairs])

    def row_cost(self, n_features: int) -> int:
        return sum(block.components.row_cost(len(block.columns)) for block in self.blocks)

    def row_bytes(self, n_features: int, n_components: int) -> int:
        return sum(block.components.row_bytes(len(block.columns), n_components) for block in self.blocks) + 8 * n_features

    # EM.

    def read(self, block: Block) -> list[Any]:
        return [part.components.read(part.of(block)) for part in self.blocks]

    def observe(
        self, parameters: Any, observations: Any, offsets: FloatArray, out: FloatArray | None = None
    ) -> JointEvidence:
        evidence = []
        for part, own, seen in self._zip(parameters, observations):
            evidence.append(part.observe(own, seen, offsets, out))
            offsets, out = np.zeros_like(offsets), None
        log_joint = evidence[0].log_joint
        for other in evidence[1:]:
            log_joint += other.log_joint
        return JointEvidence(log_joint, evidence)

    def pooled_parameters(self, n_components: int) -> tuple[Any, ...]:
        return tuple(part.pooled_parameters(n_components) for part in self._parts)

    def expected_rows(self, parameters: Any, observations: Any, responsibilities: FloatArray) -> FloatArray:
        expected = np.full((responsibilities.shape[1], self.n_features), np.nan)
        for block, own, seen in zip(self.blocks, parameters, observations, strict=True):
            expected[:, block.columns] = block.components.expected_rows(own, seen, responsibilities)
        return expected

    def maximize(self, statistics: Any) -> tuple[Any, ...]:
        return tuple(part.maximize(own) for part, own in self._zip(statistics))

    def log_base_measure(self, block: Block) -> FloatArray:
        return np.asarray(sum(part.components.log_base_measure(part.of(block)) for part in self.blocks))

    def base_measure(self, parameters: Any, statistics: Any) -> float:
        return float(sum(part.base_measure(own, sums) for part, own, sums in self._zip(parameters, statistics)))

    def entropies(self, parameters: Any, statistics: Any) -> dict[str, float]:
        """The pseudo entropies' sum, block by block."""
        pairs = zip(self.blocks, parameters, statistics, strict=True)
        return {block.name: block.components.entropy(own, sums) for block, own, sums in pairs}

    def entropy(self, parameters: Any, statistics: Any) -> float:
        return sum(self.entropies(parameters, statistics).values())

    def log_density(self, parameters: Any, statistics: Any) -> float:
        return float(sum(part.log_density(own, sums) for part, own, sums in self._zip(parameters, statistics)))

    def magnitude(self, parameters: Any, statistics: Any) -> float:
        return float(sum(part.magnitude(own, sums) for part, own, sums in self._zip(parameters, statistics)))

    def log_prior(self, parameters: Any, statistics: Any | None) -> FloatArray:
        sums = statistics or [None] * len(self.blocks)
        return np.asarray(sum(part.log_prior(own, of_part) for part, own, of_part in self._zip(parameters, sums)))

    def penalty(self, parameters: Any, statistics: Any) -> float:
        return float(sum(part.penalty(own, sums) for part, own, sums in self._zip(parameters, statistics)))

    def pack(self, parameters: Any) -> FloatArray:
        return np.concatenate([part.pack(own) for part, own in self._zip(parameters)])

    def unpack(self, vector: FloatArray, like: Any) -> tuple[Any, ...] | None:
        edges = np.cumsum([part.pack(own).size for part, own in self._zip(like)])[:-1]
        parameters = tuple(part.unpack(own, old) for part, own, old in self._zip(np.split(vector, edges), like))
        return None if any(own is None for own in parameters) else parameters

    # Where a fit ends.

    def limits(self, parameters: Any) -> JointLimits:
        return JointLimits([part.limits(own) for part, own in self._zip(parameters)], parameters)

    def n_directions(self, parameters: Any) -> int:
        return sum(part.n_directions(own) for part, own in self._zip(parameters))

    def _edges(self, parameters: Any) -> Array:
        """Where the directions of the second and further blocks begin."""
        return np.cumsum([part.n_directions(own) for part, own in self._zip(parameters)])[:-1]

    def score(self, parameters: Any, statistics: Any) -> FloatArray:
        return np.concatenate([part.score(own, sums) for part, own, sums in self._zip(parameters, statistics)], axis=1)

    def row_scores(self, parameters: Any, observations: Any) -> Iterator[FloatArray]:
        parts = [part.row_scores(own, seen) for part, own, seen in self._zip(parameters, observations)]
        for scores in zip(*parts, strict=True):
            yield np.concatenate(scores, axis=1)

    def latent_information(self, parameters: Any, observations: Any, weights: FloatArray) -> FloatArray | None:
        parts = [part.latent_information(own, seen, weights) for part, own, seen in self._zip(parameters, observations)]
        if all(part is None for part in parts):
            return None
        P, start = self.n_directions(parameters), 0
        total = np.zeros((len(weights), P, P))
        for (part, own), information in zip(self._zip(parameters), parts, strict=True):
            stop = start + part.n_directions(own)
            if information is not None:
                total[:, start:stop, start:stop] = information
            start = stop
        return total

    def metric(self, parameters: Any, statistics: Any, counts: FloatArray) -> JointMetric:
        parts = [part.metric(own, sums, counts) for part, own, sums in self._zip(parameters, statistics)]
        return JointMetric(parts, self._edges(parameters))

    def moved(self, parameters: Any, direction: FloatArray) -> tuple[Any, ...] | None:
        split = np.split(direction, self._edges(parameters), axis=1)
        moved = tuple(part.moved(own, step) for part, own, step in self._zip(parameters, split))
        return None if any(own is None for own in moved) else moved

    def stride(self, parameters: Any, direction: FloatArray) -> float:
        split = np.split(direction, self._edges(parameters), axis=1)
        return max(part.stride(own, step) for part, own, step in self._zip(parameters, split))

    # Several runs at once.

    def for_runs(self, n_runs: int) -> Self:
        return self._with([part.for_runs(n_runs) for part in self._parts])

    def select(self, parameters: Any, components: Array, n_runs: int) -> tuple[Any, ...]:
        return tuple(part.select(own, components, n_runs) for part, own in self._zip(parameters))

    def with_average_rows(self, statistics: Any, share: float, n_runs: int) -> Sums:
        return Sums(part.with_average_rows(own, share, n_runs) for part, own in self._zip(statistics))

    def collapsed(self, before: Any, parameters: Any) -> Array:
        return np.any([part.collapsed(old, own) for part, old, own in self._zip(before, parameters)], axis=0)

    def degenerate(self, parameters: Any) -> bool:
        return any(part.degenerate(own) for part, own in self._zip(parameters))

    # What users see.

    def axes(self, n_components: int, n_features: int) -> tuple[list[tuple[str, int]], ...]:
        raise TypeError("Blocks of columns have axes each.")

    def fits(self, standard: Any, n_components: int) -> bool:
        same = len(standard) == len(self.blocks)
        return same and all(part.fits(own, n_components) for part, own in self._zip(standard))

    def check_given(self, standard: Any, suffix: str, n_components: int, n_features: int) -> None:
        for block, own in zip(self.blocks, standard, strict=True):
            try:
                block.components.check_given(own, "", n_components, len(block.columns))
            except ValueError as error:
                raise ValueError(f"parameters{suffix}[{block.name!r}]: {error}") from error

    def standard(self, parameters: Any) -> tuple[Any, ...]:
        return tuple(part.standard(own) for part, own in self._zip(parameters))

    def reported(self, estimator: Any, n_components: int, n_features: int) -> Iterator[Reported]:
        """Under the names of the blocks and the attributes, such as "visits: rates"."""
        for block in self.blocks:
            attributes = zip(
                block.components.attribute_names,
                block.components.axes(n_components, len(block.columns)),
                block.components.standard_limits,
                strict=True,
            )
            for name, axes, limits in attributes:
                values = np.asarray(estimator.parameters_[block.name][name], dtype=np.float64)
                yield Reported(f"{block.name}: {name}", values, axes, block.columns, limits)

    @property
    def standard_limits(self) -> tuple[tuple[float, float], ...]:
        return tuple(limits for part in self._parts for limits in part.standard_limits)

    def standard_changes(self, parameters: Any, directions: FloatArray) -> tuple[FloatArray, ...]:
        """Of the attributes of the first block, and so on."""
        split = np.split(directions, self._edges(parameters), axis=2)
        pairs = self._zip(parameters, split)
        return tuple(change for part, own, along in pairs for change in part.standard_changes(own, along))

    def natural(self, standard: Any) -> tuple[Any, ...]:
        return tuple(part.natural(own) for part, own in self._zip(standard))

    def check_standard(self, standard: Any, suffix: str = "") -> None:
        for part, own in self._zip(standard):
            part.check_standard(own, suffix)

    def of_fitted(self, weights: FloatArray, standard: Any, *, is_sparse: bool, exposure: float = 1.0) -> Self:
        return self._with([part.of_fitted(weights, own, is_sparse=is_sparse) for part, own in self._zip(standard)])

    def n_parameters(self, n_components: int) -> int:
        return sum(part.n_parameters(n_components) for part in self._parts)

    def divergence(self, parameters: Any, component: int) -> FloatArray:
        return np.asarray(sum(part.divergence(own, component) for part, own in self._zip(parameters)))

    def column_divergences(self, parameters: Any, component: int) -> FloatArray:
        """Zero for columns that are in no block."""
        divergences = [part.column_divergences(own, component) for part, own in self._zip(parameters)]
        return self._spread(divergences, 0.0)

    def moments(self, parameters: Any) -> tuple[FloatArray, FloatArray]:
        """NaN for columns that are in no block."""
        moments = [part.moments(own) for part, own in self._zip(parameters)]
        means, variances = zip(*moments, strict=True)
        return self._spread(means, np.nan), self._spread(variances, np.nan)

    def _spread(self, values: Sequence[FloatArray], elsewhere: float) -> FloatArray:
        """Arrays (K, number of a block's columns) side by side, (K, D)."""
        spread = np.full((len(values[0]), self.n_features), elsewhere)
        for block, own in zip(self.blocks, values, strict=True):
            spread[:, block.columns] = own
        return spread

    def category_probabilities(self, parameters: Any) -> dict[int, FloatArray]:
        return {
            int(block.columns[column]): probabilities
            for block, own in zip(self.blocks, parameters, strict=True)
            for column, probabilities in block.components.category_probabilities(own).items()
        }

    def correlated_columns(self, parameters: Any) -> list[tuple[Array, FloatArray]]:
        return [
            (block.columns[columns], covariances)
            for block, own in zip(self.blocks, parameters, strict=True)
            for columns, covariances in block.components.correlated_columns(own)
        ]

    def failures(self, estimator: Any, parameters: Any) -> Iterator[str]:
        for block, own in zip(self.blocks, parameters, strict=True):
            yield from block.components.failures(NamedColumns.of(estimator, block.columns), own)

    def sample(
        self, standard: Any, labels: Array, random_state: np.random.RandomState, like: Matrix | None = None
    ) -> FloatArray:
        X = np.full((len(labels), self.n_features), np.nan)
        for block, own in zip(self.blocks, standard, strict=True):
            X[:, block.columns] = block.components.sample(
                own, labels, random_state, None if like is None else like[:, block.columns]
            )
        return X
