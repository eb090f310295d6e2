"""Figures of rankings."""

from __future__ import annotations

import textwrap
from typing import Any, Self

import numpy as np

from ._axes import BELOW, INSIDE, WRAP, new_axes


class ModelRankingDisplay:
    """Models in the order of their criterion, each as a dot, with a line for the penalty on the entropy sum.

    Parameters
    ----------
    names : list of str
    values : list of float
        The criterion, nats per sample.
    elbos : list of float
        The entropy sums.
    flags : list of str
    criterion : str

    Attributes
    ----------
    ax_ : matplotlib axes
    figure_ : matplotlib figure
    """

    def __init__(
        self, *, names: list[str], values: list[float], elbos: list[float], flags: list[str], criterion: str = "bic"
    ) -> None:
        self.names, self.values, self.elbos, self.flags, self.criterion = names, values, elbos, flags, criterion

    @classmethod
    def from_ranking(cls, ranking: Any, *, ax: Any = None) -> Self:
        """Draw a ranking.

        Parameters
        ----------
        ranking : ModelRanking or fitted EntropySumSearch
        ax : matplotlib axes, default=None

        Returns
        -------
        ModelRankingDisplay
        """
        ranking = getattr(ranking, "ranking_", ranking)
        kept = [i for i, value in enumerate(ranking.values_) if np.isfinite(value)]
        return cls(
            names=[ranking[i].name for i in kept],
            values=[ranking.values_[i] for i in kept],
            elbos=[ranking[i].elbo for i in kept],
            flags=[ranking.flags_[i] for i in kept],
            criterion=ranking.criterion_name,
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
        flagged = [f"{name}  ({flag})" if flag else name for name, flag in zip(self.names, self.flags, strict=True)]
        labels = [textwrap.fill(label, WRAP) for label in flagged]
        self.ax_, self.figure_ = new_axes(ax, labels)
        places = np.arange(len(self.names))
        self.ax_.hlines(places, self.values, self.elbos, color="0.75", linewidth=2, label="penalty", zorder=1)
        self.ax_.scatter(self.elbos, places, color="C0", marker="|", s=80, label="entropy sum", zorder=2)
        self.ax_.scatter(self.values, places, color="C1", label=self.criterion, zorder=2)
        self.ax_.set_yticks(places, labels)
        self.ax_.invert_yaxis()
        self.ax_.set(xlabel="nats per sample", title=f"ranked by {self.criterion}, higher is better")
        self.ax_.legend(**({"ncols": 3, **BELOW} if ax is None else INSIDE))
        return self
