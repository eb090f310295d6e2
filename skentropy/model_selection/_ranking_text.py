"""Rankings as text: one table if it fits a page, else two tables that ranks connect."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .._entropy_sum import EntropySum
from .._tables import WIDTH, align, columns_of, html_table, shorten, wrap

if TYPE_CHECKING:
    from ._ranking import ModelRanking, RankedModel

# Least number of characters of a cut name; the whole name is then printed below.
_NAME = 30


def print_ranking(ranking: ModelRanking) -> str:
    """The ranking in lines of a page's width."""
    header, cells = _cells(ranking)
    numbered, rows = ["rank", *header], [[str(i), *line] for i, line in enumerate(cells, start=1)]
    one, lines = align(header, cells, left=["flag"]), [ranking._title]
    legend = ["", *wrap(_legend(ranking))] if _terms(ranking) else []
    if max(map(len, one)) <= WIDTH and not _is_cut(one, cells):
        lines += [*one, *legend]
    else:
        n_terms = len(_terms(ranking)) + 2
        ranks = [0, 1, 2, *range(len(numbered) - 3, len(numbered))]
        lines += _with_whole_names(*columns_of(ranks, numbered, rows))
        fitted = [line for row, line in zip(ranking, rows, strict=True) if not row.error]
        if fitted:
            lines += [*legend, *align(*columns_of([0, *range(3, 3 + n_terms)], numbered, fitted))]
    return "\n".join([*lines, *(line for row in ranking if row.error for line in wrap(f"{row.name}: {_error(row)}"))])


def ranking_html(ranking: ModelRanking) -> str:
    """The table for notebooks."""
    header, cells = _cells(ranking)
    for row, line in zip(ranking, cells, strict=True):
        if row.error:
            line[-1] = f"failed: {_error(row)}"
    return html_table(f"{ranking._title}. {_legend(ranking)}", header, cells)


def _terms(ranking: Sequence[RankedModel]) -> list[str]:
    """The terms that at least one model's entropy sum has."""
    sums = [row.entropy_sum for row in ranking if row.entropy_sum is not None]
    terms = [name for name in EntropySum.SIGNS if any(getattr(terms, name) for terms in sums)]
    return terms + ["log_jacobian"] * any(row.log_jacobian for row in ranking)


def _legend(ranking: Sequence[RankedModel]) -> str:
    """A legend: how the terms add up to the entropy sum, in nats per sample."""
    signs = {**EntropySum.SIGNS, "log_jacobian": 1}
    summed = " ".join(f"{'+' if signs[term] > 0 else '-'} {term.replace('_', ' ')}" for term in _terms(ranking))
    return f"entropy sum = {summed.removeprefix('+ ')}; gap = entropy sum - log-likelihood"


def _cells(ranking: ModelRanking) -> tuple[list[str], list[list[str]]]:
    """Header and cells: name and criterion, terms, log-likelihood and gap, and three columns about the fit."""
    terms = _terms(ranking)
    header = ["model", ranking.criterion_name, *(term.replace("_", " ") for term in terms)]
    header += ["log-likelihood", "gap", "parameters", "seconds", "flag"]
    cells = []
    for row, value, flag in zip(ranking, ranking.values_, ranking.flags_, strict=True):
        if row.entropy_sum is None:
            cells.append([row.name, *[""] * (len(header) - 2), flag])
            continue
        own = [row.log_jacobian if term == "log_jacobian" else getattr(row.entropy_sum, term) for term in terms]
        numbers = [f"{number:z.4f}" for number in (value, *own, row.log_likelihood)]  # z: zero has no sign
        parameters = "" if np.isnan(row.n_parameters) else f"{row.n_parameters:.0f}"
        cells.append([row.name, *numbers, f"{row.gap:.1e}", parameters, f"{row.fit_time:.2f}", flag])
    return header, cells


def _is_cut(lines: Sequence[str], cells: list[list[str]]) -> bool:
    """Whether a table cuts some name."""
    return any(not line.startswith(cell[0]) for line, cell in zip(lines[1:], cells, strict=True))


def _with_whole_names(header: list[str], cells: list[list[str]]) -> list[str]:
    """A table of ranks, names and numbers, and below it the whole names that the table cuts."""
    rest = max(map(len, align([header[0], *header[2:]], [[line[0], *line[2:]] for line in cells], left=["flag"])))
    room = max(WIDTH - rest - 2, _NAME)
    names = shorten([line[1] for line in cells], room)
    whole = [line for name, line in zip(names, cells, strict=True) if name != line[1]]
    cells = [[line[0], name, *line[2:]] for name, line in zip(names, cells, strict=True)]
    table = align(header, cells, left=["model", "flag"])
    return [*table, *[""] * bool(whole), *(part for line in whole for part in wrap(f"{line[0]}: {line[1]}"))]


def _error(row: RankedModel) -> str:
    return row.error.splitlines()[0]
