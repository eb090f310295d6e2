"""Standard errors, confidence intervals and their table, for all models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit, ndtri

from ._tables import Column, Table, decimals_for_each
from ._typing import Array, FloatArray

# The place, in the covariance, of an entry that is known and not estimated.
KNOWN = -1


@dataclass(frozen=True)
class Estimate:
    """One fitted attribute.

    Attributes
    ----------
    name : str
        The name of the attribute without its underscore.
    values : ndarray
    axes : sequence of sequence of str
        Labels along each axis.
    places : ndarray of int
        The row of the covariance that belongs to each entry; ``KNOWN`` if the entry is not estimated.
    low, high : ndarray or float
        Limits of the values; they broadcast against the values.
    categories : sequence of sequence of str, default=()
        For each feature the labels along the last axis, if that axis holds categories.
    direction : {"", "angle", "unit vector", "factors"}
        Whether the values are directions: angles in radians, the entries of unit vectors, or loadings, whose last axis holds
        factors of arbitrary signs.
    concentration : str, default=""
        The estimate that is the concentration of these directions.
    """

    name: str
    values: FloatArray
    axes: Sequence[Sequence[str]]
    places: Array
    low: FloatArray | float = -np.inf
    high: FloatArray | float = np.inf
    categories: Sequence[Sequence[str]] = ()
    direction: str = ""
    concentration: str = ""

    def label(self, index: tuple[int, ...]) -> str:
        """The label of an entry, such as "means[0, eruptions]"."""
        if not index:
            return self.name
        labels = [own[i] for own, i in zip(self.axes, index, strict=False)]
        if self.categories:
            labels.append(self.categories[index[-2]][index[-1]])
        return f"{self.name}[{', '.join(labels)}]"

    def interval(self, errors: FloatArray, level: float) -> FloatArray:
        """Lower and upper ends, on the last axis, by the delta method; symmetric for parameters without limits.

        Intervals of angles are at most one turn long. Intervals of entries of unit vectors are computed for the angles from
        the axes.
        """
        ends = ndtri(np.array([0.5 - 0.5 * level, 0.5 + 0.5 * level]))
        if self.direction == "unit vector":
            # d arccos x = -dx / (1 - x^2)^(1/2)
            angle = np.arccos(np.clip(self.values, -1.0, 1.0))
            with np.errstate(all="ignore"):
                of_angle = np.where(errors == 0.0, 0.0, errors / np.sin(angle))
            reach = np.multiply.outer(of_angle, ends[::-1])
            return np.asarray(np.cos(np.clip(angle[..., np.newaxis] + reach, 0.0, np.pi)))
        x, low, high = (np.asarray(value, dtype=np.float64) for value in (self.values, self.low, self.high))
        steps = np.multiply.outer(errors, ends)
        steps = np.clip(steps, -np.pi, np.pi) if self.direction == "angle" else steps
        x, low, high = (np.broadcast_to(value, errors.shape)[..., np.newaxis] for value in (x, low, high))
        both, below = np.isfinite(low) & np.isfinite(high), np.isfinite(low) & ~np.isfinite(high)
        with np.errstate(all="ignore"):
            # d log(x - l) = dx / (x - l), d logit((x - l) / (h - l)) = dx (h - l) / ((x - l) (h - x))
            of_log = low + (x - low) * np.exp(steps / (x - low))
            of_logit = low + (high - low) * expit(
                logit((x - low) / (high - low)) + steps * (high - low) / ((x - low) * (high - x))
            )
        ends = np.where(both, of_logit, np.where(below, of_log, x + steps))
        return np.where(errors[..., np.newaxis] == 0.0, x, ends)


def check_level(level: float) -> None:
    """Raise ValueError unless a level is a share."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must be between 0 and 1, got {level!r}.")


@dataclass(frozen=True, repr=False)
class StandardErrors:
    """Estimates of a fitted model with their standard errors; prints as a table.

    ``errors["means"]`` are the standard errors of ``means_``. They are NaN if there is no standard error, and zero if a
    value is not estimated, such as the weight of a single component.

    Attributes
    ----------
    title : str
        Of the table.
    covariance : ndarray of shape (n_estimates, n_estimates)
        Covariance of the estimates in the order of ``names``; NaN if there is none.
    parameters : sequence of Estimate
        The fitted attributes, and the places of their entries in ``covariance``.
    """

    title: str
    covariance: FloatArray
    parameters: Sequence[Estimate]

    @property
    def estimates(self) -> dict[str, FloatArray]:
        """The fitted attributes, by their names without the underscore."""
        return {parameter.name: parameter.values for parameter in self.parameters}

    @property
    def standard_errors(self) -> dict[str, FloatArray]:
        """Their standard errors, of the same shapes."""
        errors = np.append(np.sqrt(np.diag(self.covariance)), 0.0)
        return {parameter.name: errors[parameter.places] for parameter in self.parameters}

    def __getitem__(self, name: str) -> FloatArray:
        """The standard errors of one attribute."""
        errors = self.standard_errors
        if name not in errors:
            raise KeyError(f"There are no standard errors of {name!r}; there are those of {', '.join(errors)}.")
        return errors[name]

    @property
    def names(self) -> list[str]:
        """Labels of the estimates, in the order of ``covariance``."""
        return [parameter.label(index) for parameter, index in self._entries]

    @property
    def _entries(self) -> list[tuple[Estimate, tuple[int, ...]]]:
        """The parameter and the index of each row of the covariance."""
        entries: dict[int, tuple[Estimate, tuple[int, ...]]] = {}
        for parameter in self.parameters:
            for index, place in np.ndenumerate(parameter.places):
                if place != KNOWN:
                    entries.setdefault(int(place), (parameter, index))
        return [entries[place] for place in range(len(self.covariance))]

    def confidence_intervals(self, level: float = 0.95) -> dict[str, FloatArray]:
        """Confidence intervals from the normal distribution of the estimates, inside the range of each parameter.

        Intervals are computed for the logarithms of positive parameters, the log-odds of probabilities, and the angles of
        mean directions from the axes, and are transformed back. Intervals of angles are at most one turn long.

        Parameters
        ----------
        level : float, default=0.95
            Share of intervals that contain the true value, in large samples.

        Returns
        -------
        dict of str to ndarray
            For each attribute the lower and the upper ends, on an additional last axis of length 2.

        Raises
        ------
        ValueError
            If the level is not between 0 and 1.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from skentropy import PPCA
        >>> intervals = PPCA(1).fit(load_wine().data[:, :4]).standard_errors().confidence_intervals()
        >>> intervals["mean"].round(1)
        array([[12.9, 13.1],
               [ 2.2,  2.5],
               [ 2.3,  2.5],
               [19. , 20. ]])
        """
        check_level(level)
        errors = self.standard_errors
        return {parameter.name: parameter.interval(errors[parameter.name], level) for parameter in self.parameters}

    def table(self, level: float = 0.95) -> Table:
        """All estimates with their standard errors and intervals.

        Parameters
        ----------
        level : float, default=0.95
            Of the intervals.

        Returns
        -------
        Table
        """
        intervals, errors = self.confidence_intervals(level), self.standard_errors
        entries = self._entries
        formats = {parameter.name: decimals_for_each(errors[parameter.name]) for parameter in self.parameters}
        each = [formats[parameter.name][index] for parameter, index in entries]
        values = {
            "estimate": [parameter.values[index] for parameter, index in entries],
            "standard error": [errors[parameter.name][index] for parameter, index in entries],
            f"lower {100 * level:g}%": [intervals[parameter.name][(*index, 0)] for parameter, index in entries],
            f"upper {100 * level:g}%": [intervals[parameter.name][(*index, 1)] for parameter, index in entries],
        }
        return Table(self.title, self.names, [Column(name, column, each) for name, column in values.items()], "parameter")

    def to_frame(self, level: float = 0.95) -> Any:
        """The table as a pandas frame, with all digits.

        Parameters
        ----------
        level : float, default=0.95
            Of the intervals.

        Returns
        -------
        pandas.DataFrame
        """
        return self.table(level).to_frame()

    def __str__(self) -> str:
        return str(self.table())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()
