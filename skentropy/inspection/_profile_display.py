"""Figures of the components of mixtures."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.special import ndtri

from .._standard_errors import check_level
from .._typing import Array, ArrayLike, FloatArray
from ..mixture._base import BaseMixture
from ..mixture._report import component_labels
from ..model_selection._steps import steps_of
from ._axes import BELOW, INSIDE, new_axes

# Share of a row's height that the components use; inches of a row with one component, and of each further component.
_HEIGHT, _ROW, _MORE = 0.7, 0.28, 0.07


class ComponentProfileDisplay:
    r"""Expectations of the columns within the components of a mixture, in standard deviations from its mean.

    .. math::  \frac{E[x_d | c] - E[x_d]}{\sqrt{\operatorname{Var} x_d}}

    A dot is an expectation, a line its confidence interval, and a pale bar one standard deviation of the component's rows to
    either side. A column of categories has one row for the probability of each category, without bars. Rows are sorted by
    how much they differ between components.

    Parameters
    ----------
    profiles : ndarray of shape (n_components, n_rows)
        Standardised expectations.
    intervals : ndarray of shape (n_components, n_rows, 2) or None
        Their confidence intervals.
    spreads : ndarray of shape (n_components, n_rows)
        Standard deviations of the components' rows, in units of those of the mixture; NaN for categories.
    rows : list of str
        Names of columns and categories.
    components : list of str
    level : float, default=0.95
        Level of the intervals.

    Attributes
    ----------
    ax_ : matplotlib axes
    figure_ : matplotlib figure
    """

    def __init__(
        self,
        *,
        profiles: FloatArray,
        intervals: FloatArray | None,
        spreads: FloatArray,
        rows: list[str],
        components: list[str],
        level: float = 0.95,
    ) -> None:
        self.profiles, self.intervals, self.spreads = profiles, intervals, spreads
        self.rows, self.components, self.level = rows, components, level

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        level: float = 0.95,
        sort: bool = True,
        most: int = 30,
        ax: Any = None,
    ) -> Self:
        """Draw the components of a fitted mixture.

        Parameters
        ----------
        estimator : fitted mixture, pipeline or search
        X : array-like of shape (n_samples, n_features), default=None
            The training data, for confidence intervals by the observed information; none are drawn without it.
        sample_weight, exposure : array-like of shape (n_samples,), default=None
            The arrays given to ``fit``.
        level : float, default=0.95
            Share of intervals that contain the true value, in large samples.
        sort : bool, default=True
            Whether the rows that differ most come first; otherwise rows are in the order of the columns.
        most : int, default=30
            Largest number of rows to draw; those that differ most are drawn.
        ax : matplotlib axes, default=None

        Returns
        -------
        ComponentProfileDisplay

        Raises
        ------
        TypeError
            If the model is not a mixture.
        ValueError
            If the level is not between 0 and 1, or the mixture has no finite standard deviations.

        Warns
        -----
        UserWarning
            If the mixture is not at a maximum of the likelihood of X.
        """
        check_level(level)
        *transformers, mixture = steps_of(estimator)
        if not isinstance(mixture, BaseMixture):
            raise TypeError(f"Only mixtures have components to draw, and {type(mixture).__name__} is not a mixture.")
        if X is not None:
            for transformer in transformers:
                X = transformer.transform(X)
        profiles, errors = mixture.profiles(X, sample_weight, exposure)
        if not np.isfinite(profiles.deviation).all():
            raise ValueError(
                "The standard deviations of the mixture, in which profiles are drawn, are infinite: t distributions of at "
                "most two degrees of freedom have none."
            )
        varies = np.flatnonzero(profiles.deviation > 0.0)
        mean, deviation = profiles.mean[varies], profiles.deviation[varies]
        weights = np.asarray(mixture.weights_, dtype=np.float64)
        z = (profiles.expected[:, varies] - mean) / deviation
        order = np.argsort(-(weights @ z**2), kind="stable")[:most]
        order = order if sort else np.sort(order)
        intervals = None
        if errors is not None:
            half = ndtri(0.5 + 0.5 * level) * errors[:, varies] / deviation
            intervals = np.stack([z - half, z + half], axis=-1)[:, order]
        spreads = np.where(profiles.is_category, np.nan, profiles.deviations)[:, varies] / deviation
        return cls(
            profiles=z[:, order],
            intervals=intervals,
            spreads=spreads[:, order],
            rows=[profiles.names[r] for r in varies[order]],
            components=[f"{label} ({weight:.0%})" for label, weight in zip(component_labels(mixture), weights, strict=True)],
            level=level,
        ).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib axes, default=None

        Returns
        -------
        self : object
        """
        self.ax_, self.figure_ = new_axes(ax, self.rows)
        K, n = self.profiles.shape
        if ax is None:
            width, _ = self.figure_.get_size_inches()
            self.figure_.set_size_inches(max(width + 1.0, 7.0), 1.8 + n * (_ROW + _MORE * (K - 1)))
        shifts: Array = _HEIGHT * ((np.arange(K) + 0.5) / K - 0.5)
        for c, name in enumerate(self.components):
            places, z, colour = np.arange(n) + shifts[c], self.profiles[c], f"C{c}"
            self.ax_.barh(
                places, 2.0 * self.spreads[c], _HEIGHT / K, z - self.spreads[c], color=colour, alpha=0.2, linewidth=0
            )
            if self.intervals is not None:
                self.ax_.hlines(places, *self.intervals[c].T, color=colour, linewidth=2.0)
            self.ax_.plot(z, places, "o", color=colour, markersize=4, label=name)
        self.ax_.use_sticky_edges = False
        self.ax_.axvline(0.0, color="0.5", linewidth=0.8)
        self.ax_.hlines(np.arange(n - 1) + 0.5, 0.0, 1.0, color="0.9", transform=self.ax_.get_yaxis_transform(), zorder=0)
        self.ax_.set_yticks(np.arange(n), self.rows)
        self.ax_.set_ylim(n - 0.5, -0.5)
        lines = "" if self.intervals is None else f"; lines: {self.level:.0%} intervals"
        bars = "\nbars: one standard deviation of its rows" * bool(np.isfinite(self.spreads).any())
        self.ax_.set_title(f"dots: expectations of each component{lines}{bars}", fontsize="small")
        self.ax_.set_xlabel("standard deviations of the mixture from its mean")
        self.ax_.legend(**({"ncols": 3, **BELOW} if ax is None else INSIDE))
        return self
