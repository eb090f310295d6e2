"""Figures of the loadings of factor models."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._typing import ArrayLike, FloatArray
from ..decomposition._base import LinearGaussianEstimator
from ..decomposition._summary import feature_names, loading_order
from ..model_selection._steps import steps_of
from ._axes import new_axes

# Heat maps with more cells show no numbers. The second number is the size of a cell in inches.
_MOST_NUMBERS, _CELL = 400, (0.75, 0.3)
# The longest arrow of a biplot, in standard deviations of the scores.
_ARROW = 2.5


class LoadingsDisplay:
    """Heat map of loadings on the scale of correlations; features are ordered by the factor on which they load most.

    Parameters
    ----------
    loadings : ndarray of shape (n_features, n_components)
        Between -1 and 1, except that oblique factors can have larger loadings.
    features, factors : list of str
    cutoff : float, default=0.3
        Loadings that are smaller in absolute value are coloured, but their numbers are not printed.

    Attributes
    ----------
    ax_ : matplotlib axes
    figure_ : matplotlib figure
    """

    def __init__(self, *, loadings: FloatArray, features: list[str], factors: list[str], cutoff: float = 0.3) -> None:
        self.loadings, self.features, self.factors, self.cutoff = loadings, features, factors, cutoff

    @classmethod
    def from_estimator(cls, estimator: Any, *, sort: bool = True, cutoff: float = 0.3, ax: Any = None) -> Self:
        """Draw the loadings of a fitted model.

        Parameters
        ----------
        estimator : fitted FactorAnalysis or PPCA, or a pipeline that ends in one
            Loadings of PPCA are divided by the features' standard deviations, so that they are correlations.
        sort : bool, default=True
        cutoff : float, default=0.3
        ax : matplotlib axes, default=None

        Returns
        -------
        LoadingsDisplay
        """
        model, loadings, factors = _loadings_of(estimator)
        order = loading_order(np.abs(loadings)) if sort else np.arange(len(loadings))
        features = np.array(feature_names(model))[order].tolist()
        return cls(loadings=loadings[order], features=features, factors=factors, cutoff=cutoff).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib axes, default=None

        Returns
        -------
        self : object
        """
        is_new = ax is None
        self.ax_, self.figure_ = new_axes(ax)
        d, k = self.loadings.shape
        if is_new:
            self.figure_.set_size_inches(2.5 + _CELL[0] * k + 0.08 * max(map(len, self.features)), 1.2 + _CELL[1] * d)
        limit = float(np.abs(self.loadings).max(initial=1.0))
        image = self.ax_.imshow(self.loadings, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
        self.ax_.set_xticks(range(k), self.factors, rotation=45 if k > 5 else 0)
        self.ax_.set_yticks(range(d), self.features)
        for i, j in np.ndindex(*self.loadings.shape):
            loading = float(self.loadings[i, j])
            if d * k <= _MOST_NUMBERS and abs(loading) >= self.cutoff:
                shade = "white" if abs(loading) > 0.6 * limit else "black"
                self.ax_.text(j, i, f"{loading:.2f}", ha="center", va="center", color=shade, fontsize="small")
        self.figure_.colorbar(image, ax=self.ax_, label="loading, on the scale of correlations")
        return self


class BiplotDisplay:
    """Scores of two factors as points, and the features' loadings on them as arrows.

    Parameters
    ----------
    scores : ndarray of shape (n_samples, 2)
    loadings : ndarray of shape (n_features, 2)
        On the scale of correlations.
    features, factors : list of str

    Attributes
    ----------
    ax_ : matplotlib axes
    figure_ : matplotlib figure
    """

    def __init__(self, *, scores: FloatArray, loadings: FloatArray, features: list[str], factors: list[str]) -> None:
        self.scores, self.loadings, self.features, self.factors = scores, loadings, features, factors

    @classmethod
    def from_estimator(cls, estimator: Any, X: ArrayLike, *, factors: tuple[int, int] = (0, 1), ax: Any = None) -> Self:
        """Draw the scores of X and the loadings of a fitted model.

        Parameters
        ----------
        estimator : fitted FactorAnalysis or PPCA, or a pipeline that ends in one
        X : array-like of shape (n_samples, n_features)
            Input of the estimator, or of the first step of the pipeline; scores are the output of ``transform``.
        factors : tuple of int, default=(0, 1)
            The two factors to draw.
        ax : matplotlib axes, default=None

        Returns
        -------
        BiplotDisplay

        Raises
        ------
        ValueError
            If the model has no such two factors.
        """
        model, loadings, names = _loadings_of(estimator)
        first, second = factors
        if not (0 <= first < len(names) and 0 <= second < len(names) and first != second):
            raise ValueError(f"factors must be two different ones of the {len(names)}, counted from 0, got {factors!r}.")
        pair = [first, second]
        return cls(
            scores=np.asarray(estimator.transform(X))[:, pair],
            loadings=loadings[:, pair],
            features=feature_names(model),
            factors=[names[j] for j in pair],
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
        self.ax_, self.figure_ = new_axes(ax)
        self.ax_.scatter(*self.scores.T, s=9, color="0.6", alpha=0.7, linewidths=0)
        lengths = np.linalg.norm(self.loadings, axis=1)
        stretch = _ARROW * float(np.nanstd(self.scores)) / float(lengths.max(initial=1e-12))
        for (x, y), name in zip(stretch * self.loadings, self.features, strict=True):
            self.ax_.annotate("", (x, y), (0.0, 0.0), arrowprops={"arrowstyle": "->", "color": "C3"})
            sides = {"ha": "left" if x >= 0 else "right", "va": "bottom" if y >= 0 else "top"}
            self.ax_.annotate(name, (x, y), color="C3", fontsize="small", annotation_clip=False, **sides)
            self.ax_.update_datalim([(1.2 * x, 1.2 * y)])
        self.ax_.axhline(0.0, color="0.85", linewidth=0.8, zorder=0)
        self.ax_.axvline(0.0, color="0.85", linewidth=0.8, zorder=0)
        self.ax_.margins(0.22, 0.08)  # for the names
        self.ax_.autoscale_view()
        self.ax_.set_xlabel(f"score of {self.factors[0]}")
        self.ax_.set_ylabel(f"score of {self.factors[1]}")
        self.ax_.set_title(f"arrows: loadings, {stretch:.2g} times as long", fontsize="small")
        return self


def _loadings_of(estimator: Any) -> tuple[LinearGaussianEstimator, FloatArray, list[str]]:
    """The model, its loadings on the scale of correlations, and the names of its latent variables."""
    *_, model = steps_of(estimator)
    if not isinstance(model, LinearGaussianEstimator):
        raise TypeError(f"Only FactorAnalysis and PPCA have loadings; {type(model).__name__} has none.")
    check_is_fitted(model, "components_")
    scale = np.sqrt(np.diag(model.get_covariance()))
    word = "factor" if hasattr(model, "factor_correlation_") else "component"
    names = [f"{word}{j}" for j in range(len(model.components_))]
    return model, np.asarray(model.components_.T / scale[:, np.newaxis]), names
