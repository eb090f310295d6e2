"""Plan the blocks of columns of a table, as the user specifies or as the values suggest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from inspect import signature
from numbers import Integral
from typing import Any

import numpy as np

from .._data import ColumnKind, Encoding, survey_kinds
from .._messages import warn_of_data
from .._typing import Array
from ..families import Bernoulli, Categorical, ExponentialFamily
from ._base import BaseMixture
from ._column_attributes import ColumnBlock
from ._columns import ColumnBlocks
from ._components import Components
from ._families import independent

# A value is a point mass if it makes up more than this share of a column's numbers, and this multiple of the usual share.
_POINT_MASS = 0.05
_TIMES_USUAL = 10.0
# If at least this many rows all have different names, the column is an identifier.
_MANY = 20
# The arguments of a mixture that determine its components.
_OF_COMPONENTS = {
    "family",
    "covariance_type",
    "n_factors",
    "scale_type",
    "degrees_of_freedom",
    "dispersion_type",
    "prior",
    "reg_covar",
    "zeros",
    "normalize",
}
# The order of the blocks with columns="auto".
_AUTOMATIC = ("bernoulli", "categorical", "poisson", "gaussian")


@dataclass(frozen=True)
class ColumnPlan:
    """Blocks of columns, and the encoding of names as numbers.

    Attributes
    ----------
    components : ColumnBlocks
    encoding : Encoding
    goes_on : bool
        Whether the last fit had the same columns, kinds and categories, so that a fit can start from its parameters.
    """

    components: ColumnBlocks
    encoding: Encoding
    goes_on: bool = False

    def after(self, last: ColumnPlan | None) -> ColumnPlan:
        """This plan, given the plan of the last fit."""
        return replace(self, goes_on=last is not None and self._content == last._content)

    @property
    def _content(self) -> list[Any]:
        """A description of the blocks that can be compared with others."""
        label, encoding = _labels(self.encoding.names), self.encoding
        return [
            (
                block.name,
                block.components.label,
                [(label(c), encoding.categories.get(c), encoding.seen.get(c)) for c in block.columns.tolist()],
            )
            for block in self.components.blocks
        ]


def plan_columns(X: Any, columns: Any, remainder: Any, unseen: str) -> ColumnPlan:
    """Plan the blocks for data, after one look at the values.

    Raises
    ------
    ValueError
        If columns are unknown, in two blocks, or hold names where a block needs numbers; or if a block has no columns.
    """
    if not (isinstance(remainder, str) and remainder in ("drop", "auto")):
        components_of(remainder)  # refuses anything that is not a kind
    names, kinds = survey_kinds(X)
    if not kinds:  # which validation refuses
        return ColumnPlan(ColumnBlocks((), 0), Encoding({}, {}, (), names, unseen))
    if isinstance(columns, str) and columns == "auto":
        triples = _automatic(kinds, np.arange(len(kinds)))
    else:
        triples = [
            (name, family, _resolve(own, X, names, len(kinds), name)) for name, family, own in _check_triples(columns)
        ]
        free = np.setdiff1d(np.arange(len(kinds)), np.concatenate([own for _, _, own in triples]))
        if free.size and isinstance(remainder, str) and remainder == "auto":
            taken = {name for name, _, _ in triples}
            triples += [(_unused(name, taken), family, own) for name, family, own in _automatic(kinds, free)]
        elif free.size and not (isinstance(remainder, str) and remainder == "drop"):
            triples.append(("remainder", remainder, free))
    _check_overlap(triples, names)
    label = _labels(names)
    blocks = tuple(
        ColumnBlock(name, components_of(family), own, getattr(family, "zeros", "error")) for name, family, own in triples
    )
    used = np.concatenate([block.columns for block in blocks])
    categories = _categories(blocks, kinds, label)
    blocks = tuple(
        replace(block, n_names=np.array([len(categories.get(c, ())) for c in block.columns.tolist()])) for block in blocks
    )
    encoding = Encoding(
        categories=categories,
        seen={column: kinds[column].seen for column in categories},
        unused=tuple(int(c) for c in range(len(kinds)) if c not in used and (kinds[c].other or kinds[c].names is not None)),
        names=names,
        unseen=unseen,
    )
    _warn_of_point_masses(blocks, kinds, label)
    _warn_of_identifiers(used, kinds, label)
    return ColumnPlan(ColumnBlocks(blocks, len(kinds)), encoding)


def components_of(family: Any) -> Components:
    """The components that a family, its name, or an unfitted mixture of this package represents."""
    if isinstance(family, BaseMixture):
        _check_template(family)
        return family._get_components()
    if family == "categorical":
        return independent(Categorical("auto"))
    if isinstance(family, (str, ExponentialFamily)):
        return independent(family)
    raise ValueError(
        "A block of columns takes the name of a family, a family, or a mixture of this package such as GaussianMixture(), "
        f"not fitted; got {family!r} of {type(family).__module__}. It comes before the block's columns."
    )


def _check_template(mixture: BaseMixture) -> None:
    """Refuse a mixture with arguments that are invalid, or that do not determine its components."""
    name = type(mixture).__name__
    if isinstance(mixture._get_components(), ColumnBlocks):
        raise ValueError(f"A block of columns cannot be a {name} itself; give its blocks one by one.")
    if hasattr(mixture, "weights_"):
        raise ValueError(f"The {name} of a block has been fitted, but only its kind of components would count; clone it.")
    mixture._check_arguments()
    defaults = {key: parameter.default for key, parameter in signature(type(mixture).__init__).parameters.items()}
    ignored = [
        key
        for key, value in mixture.get_params(deep=False).items()
        if key not in _OF_COMPONENTS and value is not defaults[key] and not np.array_equal(value, defaults[key])
    ]
    if ignored:
        raise ValueError(
            f"{', '.join(ignored)} of the {name} of a block would be ignored; set on the ColumnMixture "
            "those that it has too, and leave out the others."
        )


def _check_triples(columns: Any) -> list[tuple[str, Any, Any]]:
    if not isinstance(columns, Sequence) or isinstance(columns, str) or not len(columns):
        meant = f" For {columns} components write n_components={columns}." if isinstance(columns, Integral) else ""
        raise ValueError(f"columns must be 'auto' or a list of triples (name, family, columns); got {columns!r}.{meant}")
    for triple in columns:
        if not isinstance(triple, Sequence) or len(triple) != 3 or not isinstance(triple[0], str):
            raise ValueError(f"columns must hold triples (name, family, columns), the name a string; got {triple!r}.")
        components_of(triple[1])  # refuses anything that is not a kind, such as the columns of a block
    names = [name for name, _, _ in columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"Names of blocks of columns must differ; {twice[0]!r} appears twice.")
    return [tuple(triple) for triple in columns]


def _resolve(given: Any, X: Any, names: list[Any] | None, n_columns: int, block: str) -> Array:
    """Positions of the columns that the user gives as names, positions, a slice, a mask or a callable."""
    if callable(given):
        given = given(X)
    if isinstance(given, slice):
        start, stop = (_bound(bound, names, block) for bound in (given.start, given.stop))
        if isinstance(given.stop, str):  # a slice of names includes its end, as in pandas
            stop = None if stop is None else stop + 1
        return _not_empty(np.arange(n_columns)[start : stop : given.step], block)
    scalar = isinstance(given, str) or np.ndim(given) == 0
    values = [given] if scalar else list(given)
    if values and all(isinstance(value, bool | np.bool_) for value in values):
        if len(values) != n_columns:
            raise ValueError(f"The mask of block {block!r} has {len(values)} entries, but X has {n_columns} columns.")
        return _not_empty(np.flatnonzero(values), block)
    positions = [_position(value, names, n_columns, block) for value in values]
    return _not_empty(np.array(positions, dtype=int), block)


def _not_empty(positions: Array, block: str) -> Array:
    if not positions.size:
        raise ValueError(f"Block {block!r} has no columns; leave it out.")
    return positions


def _bound(bound: Any, names: list[Any] | None, block: str) -> int | None:
    return _by_name(bound, names, block) if isinstance(bound, str) else bound


def _position(value: Any, names: list[Any] | None, n_columns: int, block: str) -> int:
    if not isinstance(value, int | np.integer):
        return _by_name(value, names, block)
    if not -n_columns <= value < n_columns:
        raise ValueError(f"Block {block!r} has column {value}, but X has {n_columns} columns.")
    return int(value) % n_columns


def _by_name(name: Any, names: list[Any] | None, block: str) -> int:
    if names is None:
        raise ValueError(f"Block {block!r} has column {name!r}, but the columns of X have no names; give its position.")
    if name not in names:
        raise ValueError(f"Block {block!r} has column {name!r}, which X does not have.")
    return names.index(name)


def _labels(names: list[Any] | None) -> Callable[[int], str]:
    return lambda column: f"column {column}" if names is None else f"column {names[column]!r}"


def _check_overlap(triples: list[tuple[str, Any, Array]], names: list[Any] | None) -> None:
    owner: dict[int, str] = {}
    for block, _, own in triples:
        for column in own.tolist():
            if column in owner:
                raise ValueError(f"{_labels(names)(column)} is named twice, in {owner[column]!r} and in {block!r}.")
            owner[column] = block


def _automatic(kinds: list[ColumnKind], columns: Array) -> list[tuple[str, Any, Array]]:
    """Triples of columns by the kinds of their values: bits, names, counts, and other numbers."""

    def family(kind: ColumnKind) -> str:
        if kind.names is not None:
            return "categorical"
        return "bernoulli" if kind.binary else "poisson" if kind.whole else "gaussian"

    chosen = np.array([family(kinds[column]) for column in columns])
    blocks = [(name, name, columns[chosen == name]) for name in _AUTOMATIC]
    return [(name, kind, own) for name, kind, own in blocks if own.size]


def _unused(name: str, taken: set[str]) -> str:
    return name if name not in taken else f"remainder_{name}"


def _categories(
    blocks: tuple[ColumnBlock, ...], kinds: list[ColumnKind], label: Callable[[int], str]
) -> dict[int, tuple[Any, ...]]:
    """Categories of the columns of names; ValueError if the family of a column takes numbers only."""
    categories = {}
    for block in blocks:
        family = getattr(block.components, "family", None)
        for column in block.columns.tolist():
            names = kinds[column].names
            if names is None:
                continue
            if isinstance(family, Bernoulli) and len(names) > 2:
                raise ValueError(f"{label(column)} has {len(names)} values, too many for a Bernoulli family: {names[:3]}.")
            if not isinstance(family, Bernoulli | Categorical):
                held = f"{label(column)} holds names such as {names[0]!r}"
                raise ValueError(f"{held}, but block {block.name!r} takes numbers.")
            if kinds[column].numbers:
                raise ValueError(
                    f"{label(column)} holds numbers in some blocks of rows, and names such as {names[0]!r} in others; make "
                    "it text in all of them."
                )
            categories[column] = names
    return categories


def _warn_of_identifiers(used: Array, kinds: list[ColumnKind], label: Callable[[int], str]) -> None:
    for column in used.tolist():
        kind = kinds[column]
        if kind.names is not None and kind.n_distinct == kind.n_seen >= _MANY:
            warn_of_data(
                f"Each of the {kind.n_seen} rows has a name of its own in {label(column)}: such a column distinguishes no "
                "groups, and costs a probability for each row and component. Leave it out.",
            )


def _warn_of_point_masses(blocks: tuple[ColumnBlock, ...], kinds: list[ColumnKind], label: Callable[[int], str]) -> None:
    for block in blocks:
        if block.components.discrete:
            continue
        for column in block.columns.tolist():
            kind = kinds[column]
            usual = kind.n_seen / max(kind.n_distinct, 1)
            if kind.n_distinct > 1 and kind.mode_share > _POINT_MASS and kind.mode_count >= _TIMES_USUAL * usual:
                warn_of_data(
                    f"{kind.mode_share:.0%} of the values in {label(column)} are {kind.mode:g}: a component of a continuous "
                    "family can collapse onto them. Make the column categorical, or use prior_counts > 0."
                )
