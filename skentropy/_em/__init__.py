"""Maximisation: accelerated EM, the course of a fit, and what users see of it while it runs."""

from ._arguments import ARGUMENTS, as_fitted, keep_arguments
from ._engine import rounding_error, run_em
from ._fit import Ascent, FitByEM
from ._information import TRIED, climb, derivative, em_eigenpair, largest_eigenpair, leave_saddle
from ._model import End, Evaluate, Finish, Model, Newton, Run, State, Watcher
from ._monitor import Monitor
from ._runs import Interruption, as_part, best_of

__all__ = [
    "ARGUMENTS",
    "TRIED",
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
    "as_fitted",
    "as_part",
    "best_of",
    "climb",
    "derivative",
    "em_eigenpair",
    "keep_arguments",
    "largest_eigenpair",
    "leave_saddle",
    "rounding_error",
    "run_em",
]
