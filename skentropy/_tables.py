"""Tables and summaries as users read them: aligned text of 100 columns at most, HTML in notebooks, pandas frames."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np

from ._typing import Array

# Characters of a printed line. Its first column, of names, has at least the second number of characters, or the third where
# the other columns need several blocks.
WIDTH, _NAME, _LONG_NAME = 100, 20, 30
_GAP = "  "
# Least number of characters of each part of a name that is cut.
_LEAST_PART = 8
# Printed digits of typical errors and deviations, the least and the most of any that share a format, and the largest number
# of decimals.
_DIGITS, _LEAST_DIGITS, _MOST_DIGITS, _MOST_DECIMALS = 3, 2, 5, 7


@dataclass(frozen=True)
class Column:
    """Numbers or words of one column of a table.

    Attributes
    ----------
    name : str
    values : sequence
        Values of type float, int or str; None for an empty cell.
    format : str or sequence of str, default=".3f"
        The format of floats, for all rows or for each; NaN is not printed.
    cutoff : float, default=0.0
        Numbers with a smaller absolute value are not printed.
    """

    name: str
    values: Sequence[Any] | Array
    format: str | Sequence[str] = ".3f"
    cutoff: float = 0.0

    @property
    def cells(self) -> list[str]:
        """The printed cells."""
        formats = [self.format] * len(self.values) if isinstance(self.format, str) else self.format
        return [self._cell(value, spec) for value, spec in zip(self.values, formats, strict=True)]

    @property
    def is_text(self) -> bool:
        """Whether the column holds words, which are aligned on the left."""
        return any(isinstance(value, str) for value in self.values)

    def _cell(self, value: Any, spec: str) -> str:
        if value is None or isinstance(value, str):
            return value or ""
        if isinstance(value, bool | np.bool_):
            return "yes" if value else "no"
        if np.isnan(value) or abs(value) < self.cutoff:
            return ""
        if isinstance(value, int | np.integer):
            return str(int(value))
        # Twelve digits, so that rounding errors do not decide how 0.25 is rounded. z: zero has no sign.
        return format(float(f"{value:.12g}"), "z" + spec)


@dataclass(frozen=True, repr=False)
class Table:
    """A table with named rows, which prints as text or HTML and converts to a frame.

    Attributes
    ----------
    title : str
        What the table shows, with units.
    rows : sequence of str
        Names of the rows.
    columns : sequence of Column
    row_head : str, default=""
        What the names of the rows are, such as "parameter".
    """

    title: str
    rows: Sequence[str]
    columns: Sequence[Column]
    row_head: str = ""

    def to_frame(self) -> Any:
        """The table as a pandas frame, with all digits and without cutoffs, one row for each name.

        Returns
        -------
        pandas.DataFrame
        """
        import pandas

        index = pandas.Index(list(self.rows), name=self.row_head or None)
        return pandas.DataFrame({column.name: list(column.values) for column in self.columns}, index=index)

    @property
    def _header(self) -> list[str]:
        return [self.row_head, *(column.name for column in self.columns)]

    @property
    def _cells(self) -> list[list[str]]:
        return [list(line) for line in zip(self.rows, *(column.cells for column in self.columns), strict=True)]

    def __str__(self) -> str:
        header, cells = self._header, self._cells
        left = {column.name for column in self.columns if column.is_text}
        lines = wrap(self.title)
        room = _room_for_names(_widths(header, cells))
        blocks = _blocks(_widths(header, cells), room)
        if len(blocks) > 1:
            names = shorten([line[0] for line in cells], room)
            cells = [[name, *line[1:]] for name, line in zip(names, cells, strict=True)]
        for i, block in enumerate(blocks):
            lines += [""] * (i > 0) + align(*columns_of([0, *block], header, cells), left=left)
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return html_table(self.title, self._header, self._cells)


@dataclass(frozen=True, repr=False)
class Summary:
    """A summary of a fitted model in several tables; ``summary["name"]`` is one of them.

    Attributes
    ----------
    title : str
    tables : mapping of str to Table
    facts : mapping of str to str, default={}
        Single values, which are printed before the tables.
    notes : sequence of str, default=()
        Notes after the tables, such as warnings.
    """

    title: str
    tables: Mapping[str, Table]
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def __getitem__(self, name: str) -> Table:
        if name not in self.tables:
            raise KeyError(f"There is no table {name!r} in this summary; it has {', '.join(self.tables)}.")
        return self.tables[name]

    def to_frames(self) -> dict[str, Any]:
        """All tables as pandas frames.

        Returns
        -------
        dict of str to pandas.DataFrame
        """
        return {name: table.to_frame() for name, table in self.tables.items()}

    def __str__(self) -> str:
        width = max(map(len, self.facts), default=0)
        facts = [line for name, fact in self.facts.items() for line in wrap(f"{name.ljust(width)}{_GAP}{fact}")]
        parts = ["\n".join([*wrap(self.title), *facts]), *map(str, self.tables.values())]
        parts += ["\n".join(wrap(note)) for note in self.notes]
        return "\n\n".join(parts)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        facts = "".join(f"<li>{html.escape(name)}: {html.escape(fact)}</li>" for name, fact in self.facts.items())
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        tables = "".join(table._repr_html_() for table in self.tables.values())
        return f"<p><b>{html.escape(self.title)}</b></p><ul>{facts}</ul>{tables}{notes}"


def align(header: list[str], cells: list[list[str]], left: Collection[str] = ()) -> list[str]:
    """Lines of a table; names in the first column are cut as far as possible to fit the width of a page.

    Columns are aligned on the right, except for the first one and those named in ``left``.
    """
    widths = _widths(header, cells)
    rest = sum(len(_GAP) + width for width in widths[1:])
    names = shorten([line[0] for line in cells], max(WIDTH - rest, _NAME))
    width = max(map(len, [header[0], *names]))

    def line(first: str, values: list[str]) -> str:
        others = [
            value.ljust(width) if name in left else value.rjust(width)
            for name, value, width in zip(header[1:], values, widths[1:], strict=True)
        ]
        return _GAP.join([first.ljust(width), *others]).rstrip()

    return [line(header[0], header[1:]), *(line(name, cell[1:]) for name, cell in zip(names, cells, strict=True))]


def columns_of(index: Sequence[int], header: list[str], cells: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Some columns of a table."""
    return [header[i] for i in index], [[line[i] for i in index] for line in cells]


def decimals_for(errors: Array) -> str:
    """A format with enough decimals for three digits of a typical one of these uncertainties or spreads."""
    known = errors[np.isfinite(errors) & (errors > 0.0)]
    return _fixed(int(_DIGITS - 1 - _exponent(np.median(known)))) if known.size else ".4g"


def decimals_for_each(errors: Array) -> Array:
    """The formats of these uncertainties: that of a typical one, unless it would print too few or too many digits of one."""
    formats, known = np.full(errors.shape, decimals_for(errors), dtype=object), np.isfinite(errors) & (errors > 0.0)
    if known.any():
        typical, own = _exponent(np.median(errors[known])), _exponent(errors[known])
        decimals = np.clip(_DIGITS - 1 - typical, _LEAST_DIGITS - 1 - own, _MOST_DIGITS - 1 - own)
        formats[known] = [_fixed(each) for each in decimals]
    return formats


def _exponent(values: Any) -> Any:
    """The power of ten of the first digit."""
    return np.floor(np.log10(values)).astype(int)


def _fixed(decimals: int) -> str:
    """A format with this number of decimals, or none if it is negative; with four digits if there are too many."""
    return f".{max(decimals, 0)}f" if decimals <= _MOST_DECIMALS else ".4g"


def html_table(caption: str, header: list[str], cells: list[list[str]]) -> str:
    """A table in HTML."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in cells)
    return f"<table><caption>{html.escape(caption)}</caption><tr>{head}</tr>{body}</table>"


def wrap(text: str) -> list[str]:
    """Break a text into lines of a page's width."""
    return textwrap.wrap(text, WIDTH, break_on_hyphens=False) or [""]


def unique_names(names: Sequence[str]) -> list[str]:
    """Unique names: names that recur get a number."""
    unique: dict[str, None] = {}
    for name in names:
        numbered = (f"{name} #{n}" for n in count(2))
        unique[name if name not in unique else next(new for new in numbered if new not in unique)] = None
    return list(unique)


def shorten(names: Sequence[str], room: int) -> list[str]:
    """Cut names in the middle to at most ``room`` characters, so that they still differ from each other."""
    cuts = [cut(name, room) for name in names]
    return cuts if len(set(cuts)) == len(set(names)) else unique_names([cut(name, room - 4) for name in names])


def cut(name: str, room: int) -> str:
    """Cut a name to at most ``room`` characters: its longest parts, between brackets and commas, lose their middles."""
    parts = re.split(r"(\[|\]|, )", name)
    for most in range(max(map(len, parts)), _LEAST_PART - 1, -1):
        if sum(min(len(part), most) for part in parts) <= room:
            return "".join(_without_middle(part, most) for part in parts)
    return _without_middle(name, room)


def _without_middle(name: str, room: int) -> str:
    return name if len(name) <= room else f"{name[: room // 2 - 1]}..{name[len(name) - (room - room // 2 - 1) :]}"


def _widths(header: list[str], cells: list[list[str]]) -> list[int]:
    return [max(len(line[i]) for line in [header, *cells]) for i in range(len(header))]


def _room_for_names(widths: list[int]) -> int:
    """How long names may be: as long as they are, unless cutting them saves a block of columns."""
    least = min(widths[0], _LONG_NAME)
    fewest = len(_blocks(widths, least))
    return max(room for room in range(least, widths[0] + 1) if len(_blocks(widths, room)) == fewest)


def _blocks(widths: list[int], first: int) -> list[list[int]]:
    """Blocks of columns, printed below each other, none of them wider than a page; the first column has this width."""
    blocks: list[list[int]] = [[]]
    room = WIDTH - first
    for i, width in enumerate(widths[1:], start=1):
        if blocks[-1] and room < len(_GAP) + width:
            blocks.append([])
            room = WIDTH - first
        room -= len(_GAP) + width
        blocks[-1].append(i)
    return blocks
