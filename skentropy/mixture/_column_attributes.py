"""Blocks of columns as users see them: fitted attributes and quantities that follow from them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from .._base import JOINT_KINDS, ColumnKinds
from .._messages import NamedColumns
from .._typing import Array, FloatArray, Matrix
from ._component_attributes import Reported
from ._components import Components


@dataclass(frozen=True)
class ColumnBlock:
    """Some columns, their components, and how zeros in them are treated, as ``choose_substitutes`` takes it.

    ``n_names`` holds the number of each column's categories, 0 for columns of numbers.
    """

    name: str
    components: Components
    columns: Array
    zeros: str | float = "error"
    n_names: Array | int = 0


@dataclass(frozen=True)
class ColumnAttributes(Components):
    """Products over blocks of columns as users see them; ``ColumnBlocks`` adds how they are fitted.

    Parameters
    ----------
    blocks : tuple of ColumnBlock
    n_features : int
        Number of columns, including those in no block.
    """

    blocks: tuple[ColumnBlock, ...]
    n_features: int

    attribute_names = ("parameters",)
    label = "blocks of columns"
    lower_limit = -np.inf
    allows_sparse = False
    allows_exposure = False

    @property
    def support(self) -> str:
        return self.support_of(np.arange(self.n_features))

    def support_of(self, columns: Array) -> str:
        own = [(block.name, block.components) for block in self.blocks if np.isin(block.columns, columns).any()]
        return "; ".join(f"{part.support} in block {name!r} ({part.label})" for name, part in own)

    @property
    def row_support(self) -> str:
        each = [(block.name, block.components.row_support) for block in self.blocks]
        return "; ".join(f"in block {name!r} {rows}" for name, rows in each if rows)

    @property
    def discrete(self) -> bool:
        return all(part.discrete for part in self._parts)

    @property
    def likelihood(self) -> str:
        kinds = {part.likelihood for part in self._parts}
        return "mixed" if len(kinds) > 1 else "".join(kinds)

    @property
    def kinds(self) -> ColumnKinds:
        """For each column the kind of its likelihood, and the columns with which it forms a unit."""
        of: ColumnKinds = {}
        for block in self.blocks:
            own, kind = tuple(sorted(block.columns.tolist())), block.components.likelihood
            of.update(dict.fromkeys(own, (kind, own if kind in JOINT_KINDS else ())))
        return of

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
        """These blocks with the components that ``change`` returns for each block's components and parameters.

        If no block changes, the result is this object itself.
        """
        parts = [change(part, own) for part, own in self._zip(parameters)]
        return self if all(new is old for new, old in zip(parts, self._parts, strict=True)) else self._with(parts)

    def _zip(self, *values: Any) -> Iterator[tuple[Any, ...]]:
        """For each block its components, and its entries of tuples of values."""
        return zip(self._parts, *values, strict=True)

    def _edges(self, parameters: Any) -> Array:
        """The positions at which the directions of the second and further blocks begin."""
        return np.cumsum([part.n_directions(own) for part, own in self._zip(parameters)])[:-1]

    def axes(self, n_components: int, n_features: int) -> tuple[list[tuple[str, int]], ...]:
        raise TypeError("Blocks of columns have axes each.")

    def fits(self, standard: Any, n_components: int) -> bool:
        same = len(standard) == len(self.blocks)
        return same and all(part.fits(own, n_components) for part, own in self._zip(standard))

    def by_name(self, standard: Any, dtype: np.dtype[Any]) -> dict[str, dict[str, FloatArray]]:
        """The attributes as a dict of dicts, by block and name."""
        return {
            block.name: dict(zip(block.components.attribute_names, block.components.narrowed(own, dtype), strict=True))
            for block, own in zip(self.blocks, standard, strict=True)
        }

    def in_order(self, parameters: Mapping[str, Mapping[str, Any]], argument: str) -> Any:
        """The inverse of ``by_name``; ValueError, with the name of the argument, if any is missing or unknown."""
        wanted = {block.name: block.components.attribute_names for block in self.blocks}
        if set(parameters) != set(wanted):
            raise ValueError(f"{argument} must have the blocks {', '.join(wanted)}; got {', '.join(parameters) or 'none'}.")
        for name, attributes in wanted.items():
            if set(parameters[name]) != set(attributes):
                given = ", ".join(parameters[name]) or "none"
                raise ValueError(f"{argument}[{name!r}] must have {', '.join(attributes)}; got {given}.")
        return tuple(
            tuple(np.asarray(parameters[name][attribute], dtype=np.float64) for attribute in attributes)
            for name, attributes in wanted.items()
        )

    def check_given(self, standard: Any, suffix: str, n_components: int, n_features: int) -> None:
        for block, own in zip(self.blocks, standard, strict=True):
            try:
                block.components.check_given(own, "", n_components, len(block.columns))
            except ValueError as error:
                raise ValueError(f"parameters{suffix}[{block.name!r}]: {error}") from error

    def standard(self, parameters: Any) -> tuple[Any, ...]:
        return tuple(part.standard(own) for part, own in self._zip(parameters))

    def reported(self, estimator: Any, n_components: int, n_features: int) -> Iterator[Reported]:
        """The fitted attributes one by one, named after block and attribute, such as "visits: rates"."""
        for block in self.blocks:
            attributes = zip(
                block.components.attribute_names,
                block.components.axes(n_components, len(block.columns)),
                block.components.standard_limits,
                strict=True,
            )
            for name, axes, limits in attributes:
                values = np.asarray(estimator.parameters_[block.name][name], dtype=np.float64)
                known = name in block.components.given_names
                direction, concentration = block.components.directions.get(name, ("", ""))
                label = f"{block.name}: "
                yield Reported(label + name, values, axes, block.columns, limits, known, direction, label + concentration)

    @property
    def standard_limits(self) -> tuple[tuple[float, float], ...]:
        return tuple(limits for part in self._parts for limits in part.standard_limits)

    def standard_changes(self, parameters: Any, directions: FloatArray) -> tuple[FloatArray, ...]:
        """Derivatives of the attributes of the first block, then of the second, and so on."""
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
        """Put the blocks' arrays (K, number of columns) side by side, (K, D)."""
        spread = np.full((len(values[0]), self.n_features), elsewhere)
        for block, own in zip(self.blocks, values, strict=True):
            spread[:, block.columns] = own
        return spread

    @property
    def scale_label(self) -> str:
        each = [(block.name, block.components.scale_label) for block in self.blocks]
        own = super().scale_label
        return "; ".join([own, *(f"in block {name!r} {label}" for name, label in each if label != own)])

    def relative_columns(self, n_features: int) -> Array:
        own = [block.columns[block.components.relative_columns(len(block.columns))] for block in self.blocks]
        return np.concatenate(own) if own else np.arange(0)

    @property
    def poisson_columns(self) -> Array:
        own = [block.columns[block.components.poisson_columns] for block in self.blocks]
        return np.concatenate(own) if own else np.arange(0)

    @property
    def circular_columns(self) -> Array:
        own = [block.columns[block.components.circular_columns] for block in self.blocks]
        return np.concatenate(own) if own else np.arange(0)

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
