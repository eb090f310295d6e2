"""Messages: how they name estimators and columns, sentences that several estimators use, and where warnings point to."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from difflib import get_close_matches
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import check_scalar

from ._typing import ArrayLike, FloatArray

# Frames between a user's line and the origin of a warning belong to the package, to scikit-learn or to joblib.
_INSIDE = (f"{__package__}.", "sklearn.", "joblib.")
# The name of the fit that warns, where the user has started several at once.
_OF = ContextVar("_OF", default="")
# Where warnings about the data are kept, if several fits to the same data would repeat them.
_KEPT: ContextVar[list[str] | None] = ContextVar("_KEPT", default=None)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn; the warning points to the line that called the package, however deep in the package it arises."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and f"{frame.f_globals.get('__name__', '')}.".startswith(_INSIDE):
        frame, level = frame.f_back, level + 1
    warnings.warn(_OF.get() + message, category, stacklevel=level)


@contextmanager
def warnings_of(name: str) -> Iterator[None]:
    """Warnings in this context begin with the name of the fit that they are about."""
    token = _OF.set(f"{name}: ")
    try:
        yield
    finally:
        _OF.reset(token)


def warn_of_data(message: str) -> None:
    """Warn of a property of the data; if fits to the same data are compared, one warning stands for all of them."""
    kept = _KEPT.get()
    if kept is None:
        warn(message)
    else:
        kept.append(message)


@contextmanager
def keeping_data_warnings(kept: list[str]) -> Iterator[None]:
    """Warnings about the data are appended to a list in this context, for ``warn_once``."""
    token = _KEPT.set(kept)
    try:
        yield
    finally:
        _KEPT.reset(token)


def warn_once(by_name: Mapping[str, Iterable[str]]) -> None:
    """Give the warnings about the data, collected by the name of the fit, each message once."""
    by_message: dict[str, list[str]] = {}
    for name, messages in by_name.items():
        for message in dict.fromkeys(messages):
            by_message.setdefault(message, []).append(name)
    for message, names in by_message.items():
        warn(f"model{'s' * (len(names) > 1)} {list_names(names)}: {message}")


def list_names(names: Sequence[str], most: int = 3) -> str:
    """Names of several models for messages."""
    return ", ".join(map(repr, names[:most])) + (f" and {len(names) - most} more" if len(names) > most else "")


def are_normalised(total: float) -> bool:
    """Whether weights with this sum are shares rather than counts; a sum of shares is one but for rounding."""
    return total <= 1.0 + 1e-6


def warn_of_normalised(total: float) -> None:
    """Warn if weights sum to one at most: criteria penalise each parameter with the logarithm of this sum."""
    if are_normalised(total):
        warn(
            f"sample_weight sums to {total:g}. Weights are counts, and their sum is the number of samples: "
            "with one sample or less the Bayesian information criterion does not penalise parameters. Do not normalise them."
        )


def check_n_samples(n_samples: Any) -> None:
    """Raise unless a number of rows to draw is an integer of at least 1, and no bool."""
    if isinstance(n_samples, bool):
        raise TypeError(f"n_samples must be an integer, got {n_samples!r}.")
    check_scalar(n_samples, "n_samples", Integral, min_val=1)


def check_counts(sample_weight: ArrayLike | None) -> None:
    """Warn of weights that are normalised, as ``warn_of_normalised`` does."""
    if sample_weight is not None:
        warn_of_normalised(float(np.sum(sample_weight)))


def warn_of_fresh_start(estimator: Any, n_features: int) -> None:
    """Warn that this fit cannot start from the last one."""
    warn(
        f"warm_start=True, but the last fit had other numbers of components or columns than this fit, with "
        f"n_components={estimator.n_components} and {n_features} columns. This fit therefore starts afresh."
    )


def check_observed(estimator: Any, weight: FloatArray) -> None:
    """Raise ValueError for columns in which the observed entries have no weight."""
    if not weight.all():
        unobserved = list_columns(estimator, np.flatnonzero(weight == 0))
        raise ValueError(f"X has no observed value in {unobserved}; leave such columns out.")


def check_size(estimator: Any, sizes: FloatArray, limits: tuple[float, float], dtype: Any) -> None:
    """Raise ValueError for columns whose sizes, such as their variances, are outside the limits for a dtype; 0 is inside."""
    least, largest = limits
    for word, columns in (("large", ~(sizes <= largest)), ("small", (sizes > 0) & (sizes < least))):
        if columns.any():
            listed = list_columns(estimator, np.flatnonzero(columns))
            raise ValueError(f"The values are too {word} for {np.dtype(dtype)} in {listed}; rescale the data.")


def warn_of_empty_rows(n_empty: float) -> None:
    """Warn of rows without any observed value."""
    if n_empty:
        warn_of_data(f"X has no observed value in {n_empty:.0f} of its rows; they carry no information.")


def saddle_message(estimator: Any) -> str:
    """The message for a fit that ended at a saddle point which it could not leave."""
    return (
        f"{type(estimator).__name__} ended at a saddle point of the likelihood, and found no way to leave it; a higher "
        "maximum may be near. Try another random_state, or n_init > 1."
    )


def unfinished_message(estimator: Any, n_iter: int) -> str:
    """The message for a fit that ended before ``max_iter``, because a callback ended it or it was given up."""
    return (
        f"{type(estimator).__name__} stopped after {n_iter} of {estimator.max_iter} steps and did not converge: a callback "
        "stopped it, or no point that it reached was a maximum. Set warm_start=True to go on, or try another random_state."
    )


def interruption_message(estimator: Any, n_iter: int, step: str = "EM step") -> str:
    """The message for a fit that Ctrl-C has ended."""
    return (
        f"{type(estimator).__name__} was interrupted after {n_iter} {step}{'' if n_iter == 1 else 's'}; the model is the "
        "best so far."
    )


def feature_names(estimator: Any) -> list[str]:
    """Names of the features of a fitted model; ``x0``, ``x1``, ... if X had none."""
    names = getattr(estimator, "feature_names_in_", None)
    return [f"x{i}" for i in range(estimator.n_features_in_)] if names is None else list(map(str, names))


@dataclass(frozen=True)
class NamedColumns:
    """The name of an estimator, and the names of some of its columns, for messages about a part of the columns."""

    name: str
    labels: tuple[str, ...]

    @classmethod
    def of(cls, estimator: Any, columns: Any) -> NamedColumns:
        """The names of some columns of an estimator."""
        return cls(model_name(estimator), tuple(column_label(estimator, int(column)) for column in columns))


def model_name(estimator: Any) -> str:
    """The name of an estimator in messages."""
    return estimator.name if isinstance(estimator, NamedColumns) else type(estimator).__name__


def column_label(estimator: Any, column: int) -> str:
    """How messages refer to a column: by its name if it has one."""
    if isinstance(estimator, NamedColumns):
        return estimator.labels[column]
    names = getattr(estimator, "feature_names_in_", None)
    return f"column {column}" if names is None else f"column {names[column]!r}"


def did_you_mean(value: Any, known: Iterable[str]) -> str:
    """The end of a message about an unknown name: the known name that is most like it, if there is one."""
    nearest = get_close_matches(value, sorted(known), n=1) if isinstance(value, str) else []
    return f" Did you mean {nearest[0]!r}?" if nearest else ""


def list_columns(estimator: Any, columns: Any, most: int = 3) -> str:
    """How messages refer to several columns."""
    labels = [column_label(estimator, int(column)) for column in columns[:most]]
    rest = len(columns) - len(labels)
    return ", ".join(labels) + (f" and {rest} more" if rest else "")
