"""Components of tables whose columns are of several kinds: given the component, blocks of columns are independent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from .._data import Block, ColumnSurvey, Rounding
from .._messages import NamedColumns
from .._typing import Array, FloatArray
from ._column_attributes import ColumnAttributes
from ._joint import JointEvidence, JointLimits, JointMetric, JointSeedRows, Sums
from ._zero_substitutes import choose_substitutes


@dataclass(frozen=True)
class ColumnBlocks(ColumnAttributes):
    r"""Products over blocks of columns, :math:`p(x|c) = \prod_b p_b(x_b|c)`; parameters and statistics are tuples.

    Parameters
    ----------
    blocks : tuple of ColumnBlock
    n_features : int
        Number of columns, including those in no block.
    """

    # Before a fit.

    def prepare(self, estimator: Any, columns: ColumnSurvey, *, is_sparse: bool, prior_counts: float) -> Self:
        return self._with(
            block.components.prepare(
                NamedColumns.of(estimator, block.columns),
                _with_all_names(columns.take(block.columns), block.n_names),
                is_sparse=is_sparse,
                prior_counts=prior_counts,
            )
            for block in self.blocks
        )

    def choose_substitutes(self, estimator: Any, columns: ColumnSurvey) -> FloatArray | None:
        """The substitutes of zeros in all columns, as ``Substitutes`` takes them; None if there are none."""
        values = np.full(self.n_features, np.nan)
        for block in self.blocks:
            named = NamedColumns.of(estimator, block.columns)
            chosen = choose_substitutes(named, block.zeros, columns.take(block.columns))
            if chosen is not None:
                values[block.columns] = chosen
        return None if np.isnan(values).all() else values

    def count_outside(self, block: Block) -> Array:
        counts = np.zeros((3, self.n_features))
        for part in self.blocks:
            own = part.components.count_outside(block.take_columns(part.columns))
            counts[: len(own), part.columns] = own
        return counts

    def summarize(self, observations: Any, weight: FloatArray) -> Sums:
        return Sums(part.summarize(own, weight) for part, own in self._zip(observations))

    def with_pooled(self, summary: Any) -> Self:
        return self._with([part.with_pooled(own) for part, own in self._zip(summary)])

    def with_prior(self, prior_counts: float, statistics: Any) -> Self:
        return self._with([part.with_prior(prior_counts, own) for part, own in self._zip(statistics)])

    def as_seeds(self, block: Block, observations: Any) -> Block:
        X = block.as_given.X.copy()
        for part, own in zip(self.blocks, observations, strict=True):
            X[:, part.columns] = part.components.as_seeds(block.take_columns(part.columns), own).X
        return replace(block.as_given, X=X).take_columns(self._used)

    @property
    def _used(self) -> Array:
        """The columns of all blocks; starts depend on no others."""
        return np.unique(np.concatenate([block.columns for block in self.blocks]))

    def rounding(self, columns: ColumnSurvey) -> Rounding | None:
        location, scale, relative = np.zeros(self.n_features), np.ones(self.n_features), np.ones(self.n_features, dtype=bool)
        roundings = [block.components.rounding(columns.take(block.columns)) for block in self.blocks]
        if all(own is None for own in roundings):
            return None
        for block, own in zip(self.blocks, roundings, strict=True):
            if own is not None:
                location[block.columns], scale[block.columns] = own.location, own.scale
                relative[block.columns] = own.relative
        return Rounding(location[self._used], scale[self._used], relative[self._used])

    def seed_rows(self, block: Block, observations: Any) -> JointSeedRows:
        pairs = zip(self.blocks, observations, strict=True)
        return JointSeedRows([part.components.seed_rows(block.take_columns(part.columns), own) for part, own in pairs])

    def row_cost(self, n_features: int) -> int:
        return sum(block.components.row_cost(len(block.columns)) for block in self.blocks)

    def row_bytes(self, n_features: int, n_components: int) -> int:
        return sum(block.components.row_bytes(len(block.columns), n_components) for block in self.blocks) + 8 * n_features

    # EM.

    def read(self, block: Block) -> list[Any]:
        return [part.components.read(block.take_columns(part.columns)) for part in self.blocks]

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
        return np.asarray(sum(part.components.log_base_measure(block.take_columns(part.columns)) for part in self.blocks))

    def base_measure(self, parameters: Any, statistics: Any) -> float:
        return float(sum(part.base_measure(own, sums) for part, own, sums in self._zip(parameters, statistics)))

    def entropies(self, parameters: Any, statistics: Any) -> dict[str, float]:
        """The sums of pseudo entropies of the blocks."""
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

    # The end of a fit.

    def limits(self, parameters: Any) -> JointLimits:
        return JointLimits([part.limits(own) for part, own in self._zip(parameters)], parameters)

    def n_directions(self, parameters: Any) -> int:
        return sum(part.n_directions(own) for part, own in self._zip(parameters))

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

    def is_heywood(self, parameters: Any) -> bool:
        return any(part.is_heywood(own) for part, own in self._zip(parameters))


def _with_all_names(columns: ColumnSurvey, n_names: Array | int) -> ColumnSurvey:
    """Columns in which the last category occurs, although a dtype may only declare it."""
    return replace(columns, largest_of_all=np.maximum(columns.largest_of_all, np.asarray(n_names) - 1.0))
