"""The arguments of estimators: those of the course of a fit, and those of the model, which a fit keeps."""

from __future__ import annotations

from copy import copy, deepcopy
from numbers import Integral, Real
from typing import Any, TypeVar

from sklearn.utils._param_validation import Interval

_Estimator = TypeVar("_Estimator")

# The constraints of the arguments that all fits by EM have, in scikit-learn's terms.
ARGUMENTS: dict[str, list[Any]] = {
    "tol": [Interval(Real, 0.0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "n_init": [Interval(Integral, 1, None, closed="left")],
    "accelerate": ["boolean"],
    "warm_start": ["boolean"],
    "random_state": ["random_state"],
    "n_jobs": [None, Integral],
    "verbose": ["verbose"],
    "verbose_interval": [Interval(Integral, 1, None, closed="left")],
}


def model_arguments(estimator: Any) -> dict[str, Any]:
    """Copies of the arguments that describe the model, and not the course of a fit."""
    given = estimator.get_params(deep=False)
    return {name: _copied(given[name]) for name in given if name not in ARGUMENTS and not name.endswith("_init")}


def _copied(argument: Any) -> Any:
    try:
        return deepcopy(argument)
    except TypeError:  # a family of one's own may hold what cannot be copied
        return copy(argument)


def keep_arguments(estimator: Any) -> None:
    """Let an estimator, which has its fitted attributes, keep the arguments of its model."""
    estimator._fitted_arguments = model_arguments(estimator)


def as_fitted(estimator: _Estimator) -> _Estimator:
    """The estimator with the arguments of its fit, which methods after the fit read, whatever has been set since."""
    kept = getattr(estimator, "_fitted_arguments", None)
    if kept is None:
        return estimator
    estimator = copy(estimator)
    estimator.__dict__.update(kept)
    return estimator
