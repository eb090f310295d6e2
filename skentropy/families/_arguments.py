"""Checks of the arguments of families and their distributions, and objects that are defined by their arguments."""

from __future__ import annotations

from inspect import signature
from typing import Any, Self, final

import numpy as np

from .._typing import Array


class HasArguments:
    """Arguments that can be read, set and searched, such as ``family__r``; objects with equal arguments are equal."""

    @final
    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the arguments of the constructor, as estimators do.

        Parameters
        ----------
        deep : bool, default=True
            Has no effect.

        Returns
        -------
        dict
        """
        names = list(signature(type(self)).parameters)
        return {name: getattr(self, name) for name in names}

    @final
    def set_params(self, **params: Any) -> Self:
        """Set arguments of the constructor, which checks them.

        Parameters
        ----------
        **params
            The arguments to change.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If there is no such argument, or it is out of range.
        """
        known = self.get_params()
        unknown = sorted(set(params) - set(known))
        if unknown:
            raise ValueError(f"{type(self).__name__} has no parameters {unknown}; it has {list(known)}.")
        type(self).__init__(self, **{**known, **params})
        return self

    @final
    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({arguments})"

    @final
    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    @final
    def __hash__(self) -> int:
        return hash((type(self), *sorted(vars(self).items())))


def check_parameter(
    value: Array, name: str, *, low: float, high: float = np.inf, open_low: bool = False, open_high: bool = True
) -> Array:
    """Return a standard parameter as an array of floats; raise ValueError if values are outside its range.

    Parameters
    ----------
    value : array-like
    name : str
        In the singular, for the message.
    low, high : float
        The ends of the range.
    open_low, open_high : bool
        Whether the range excludes its ends; by default it includes the lower end, and excludes the upper one.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If a value lies outside, or is NaN.

    Examples
    --------
    >>> from skentropy.families import check_parameter
    >>> check_parameter([0.5, 2], "rate", low=0.0)
    array([0.5, 2. ])
    >>> check_parameter([0.5, -2], "rate", low=0.0)
    Traceback (most recent call last):
        ...
    ValueError: Every rate must lie in [0, inf); got -2.0.
    """
    value = np.asarray(value, dtype=np.float64)
    too_low = value <= low if open_low else value < low
    too_high = value >= high if open_high else value > high
    bad = too_low | too_high | np.isnan(value)
    if bad.any():
        interval = f"{'(' if open_low else '['}{low:g}, {high:g}{')' if open_high else ']'}"
        raise ValueError(f"Every {name} must lie in {interval}; got {float(value[bad].flat[0])!r}.")
    return value


def check_probability(value: Array, name: str = "probability", *, open_low: bool = False, open_high: bool = False) -> Array:
    """Return probabilities as an array of floats; raise ValueError if values are outside their range.

    Parameters
    ----------
    value : array-like
    name : str, default="probability"
        In the singular, for the message.
    open_low, open_high : bool, default=False
        Whether 0 and 1 are refused.

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If a value lies outside, or is NaN.
    """
    return check_parameter(value, name, low=0.0, high=1.0, open_low=open_low, open_high=open_high)


def is_number(value: Any, kind: Any, *, low: float) -> bool:
    """Whether an argument, but no bool, is a finite number of a kind (``Integral``, ``Real``), and at least ``low``."""
    return bool(isinstance(value, kind) and not isinstance(value, bool) and low <= value < np.inf)
