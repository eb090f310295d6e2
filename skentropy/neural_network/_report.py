"""Messages about what went wrong in the fit of a belief net, which name the hidden variable and the column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .._data import RowTotals
from .._em import Run
from .._messages import list_columns
from .._typing import Array, FloatArray

# A column with larger logits is separated.
_SEPARATED = 30.0
# If the expected number of rows in the rarer state of a variable is smaller, this state is less probable in every row.
_NO_ROW = 0.5
_MOST_NAMED = 6


def complaints(estimator: Any, run: Run, totals: RowTotals) -> Iterator[str]:
    """Reasons not to trust the end of a run, one for each kind; ``totals`` are those of the rows before merging."""
    for depth, layer in enumerate(run.state.parameters.net.layers):
        far = np.flatnonzero(np.abs(layer.joined).max(axis=1) > _SEPARATED)
        if estimator.alpha == 0 and far.size:
            places = list_columns(estimator, far) if depth == 0 else f"hidden variables {', '.join(map(str, far))}"
            yield (
                f"SigmoidBeliefNet: weights grow without bound in {places}, whose values the variables above separate "
                "completely; alpha > 0 keeps the weights finite."
            )
    shares = _shares(run)
    # Many rows with normalised weights are still many rows.
    n_rows = max(totals.weight, float(totals.n_rows))
    for state, rare in (("on", 1.0 - shares), ("off", shares)):
        same = np.flatnonzero(n_rows * rare < _NO_ROW)
        if same.size:
            remedy = "Use fewer components" + (", or a smaller alpha" if estimator.alpha > 0 else "")
            yield f"SigmoidBeliefNet: {_list_variables(same, state)} no information. {remedy}."


def _list_variables(variables: Array, state: str) -> str:
    if variables.size == 1:
        return f"hidden variable {variables[0]} is always {state} and carries"
    more = f" and {variables.size - _MOST_NAMED} more" if variables.size > _MOST_NAMED else ""
    return f"hidden variables {', '.join(map(str, variables[:_MOST_NAMED]))}{more} are always {state} and carry"


def _shares(run: Run) -> FloatArray:
    """Shares of the rows in which the hidden variables are on, from the layer next to the data upward."""
    statistics = run.state.statistics
    hidden = [regression.moments[:, -1] / statistics.weight for regression in statistics.regressions[1:]]
    return np.concatenate([*hidden, statistics.top / statistics.weight])
