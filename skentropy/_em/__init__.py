"""Maximisation: EM with acceleration, the course of a fit, and what is seen of it while it runs."""

from ._curvature import largest_eigenpair
from ._engine import ROUNDING, run_em
from ._fit import Ascent, FitByEM
from ._model import End, Evaluate, Finish, Model, Newton, Run, State, Watcher
from ._monitor import Monitor
from ._runs import Interruption, as_part, best_of

__all__ = [
    "ROUNDING",
    "Ascent",
    "End",
    "Evaluate",
    "Finish",
    "FitByEM",
    "Interruption",
    "Model",
    "Monitor",
    "Newton",
    "Run",
    "State",
    "Watcher",
    "as_part",
    "best_of",
    "largest_eigenpair",
    "run_em",
]
