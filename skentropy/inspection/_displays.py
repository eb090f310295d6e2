"""Displays like scikit-learn's: ``from_...`` computes, ``plot`` draws, ``ax_`` and ``figure_`` hold the figure."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.special import entr
from sklearn.utils.validation import check_is_fitted

from .._data import check_weights
from .._entropy_sum import EntropySum
from .._linalg import LOG_2PI
from .._typing import Array, ArrayLike
from ..decomposition._base import LinearGaussianEstimator
from ..model_selection._assessment import evaluate
from ..model_selection._steps import steps_of
from ._axes import BELOW, INSIDE, new_axes

# A gap below this share of the terms is a rounding error.
_ROUNDING = 1e-12


class EntropyDecompositionDisplay:
    """The terms of the entropy sum in each step of a fit, stacked, with the ELBO and the gap to it.

    Parameters
    ----------
    entropy_sums : list of EntropySum
        One for each step.
    lower_bounds : list of float
        The ELBO after each step, nats per sample.
    gap : float
        The stationarity gap of the fitted model, for the title. The gap drawn for a step is the difference between the
        entropy sum of its posteriors and the ELBO after the step.
    name : str
    step : str, default="EM step"
        The name of a step.

    Attributes
    ----------
    ax_ : matplotlib axes
    gap_ax_ : matplotlib axes or None
        Axes of the absolute gap, with a logarithmic scale on the right; None if all gaps are rounding errors.
    figure_ : matplotlib figure
    """

    def __init__(
        self,
        *,
        entropy_sums: list[EntropySum],
        lower_bounds: list[float],
        gap: float,
        name: str = "",
        step: str = "EM step",
    ) -> None:
        self.entropy_sums, self.lower_bounds, self.gap, self.name = entropy_sums, lower_bounds, gap, name
        self.step = step

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike | None = None,
        *,
        sample_weight: ArrayLike | None = None,
        ax: Any = None,
        **row_data: Any,
    ) -> Self:
        """Draw the history of a fitted estimator, or its evaluation of data.

        Parameters
        ----------
        estimator : fitted estimator, pipeline or search
            Without X it must have ``entropy_sums_``. For an estimator that took no EM steps the final terms are drawn.
        X : array-like of shape (n_samples, n_features), default=None
            If given, the entropy sum and the ELBO of X, which a pipeline transforms first, are drawn instead of the history.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows of X.
        ax : matplotlib axes, default=None
        **row_data
            Further data of the rows of X, such as ``exposure``, as the estimator's ``entropy_sum`` takes them.

        Returns
        -------
        EntropyDecompositionDisplay

        Raises
        ------
        TypeError
            If the estimator keeps no entropy sum of its fit, and X is not given.
        ValueError
            If weights or other data of rows are given without X.
        """
        check_is_fitted(estimator)
        *transformers, estimator = steps_of(estimator)
        given = [name for name, values in {"sample_weight": sample_weight, **row_data}.items() if values is not None]
        if X is None and given:
            raise ValueError(f"{' and '.join(given)} belong to rows: give X too. The history of the fit has its own.")
        if X is not None:
            for transformer in transformers:
                X = transformer.transform(X)
            evaluation = evaluate(estimator, X, sample_weight, **row_data)
            terms, elbo = evaluation.entropy_sum, evaluation.elbo
            name = type(estimator).__name__
            return cls(entropy_sums=[terms], lower_bounds=[elbo], gap=terms.value - elbo, name=name).plot(ax)
        if not hasattr(estimator, "entropy_sum_"):
            raise TypeError(f"This {type(estimator).__name__} keeps no entropy sums of its fit; give X.")
        entropy_sums = list(estimator.entropy_sums_) or [estimator.entropy_sum_]
        # Solvers other than EM only have an entropy sum at the end.
        lower_bounds = list(estimator.lower_bounds_)[-len(entropy_sums) :] or [estimator.lower_bound_]
        return cls(
            entropy_sums=entropy_sums,
            lower_bounds=lower_bounds,
            gap=estimator.stationarity_gap_,
            name=type(estimator).__name__,
            step=estimator.traits().step,
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
        steps = np.arange(1, len(self.entropy_sums) + 1)
        above, below = np.zeros(len(steps)), np.zeros(len(steps))
        for index, (name, sign) in enumerate(EntropySum.SIGNS.items()):
            term = sign * np.array([getattr(terms, name) for terms in self.entropy_sums])
            if not term.any():
                continue
            base = np.where(term >= 0, above, below)
            label = f"{'+' if sign > 0 else '-'} {name.replace('_', ' ')}"
            self.ax_.bar(steps, term, 1.0, base, label=label, color=f"C{index}", alpha=0.6, linewidth=0)
            above, below = above + np.maximum(term, 0.0), below + np.minimum(term, 0.0)
        values = np.array([terms.value for terms in self.entropy_sums])
        self.ax_.plot(steps, values, "k.-", markersize=3, label="entropy sum")
        self.ax_.plot(steps, self.lower_bounds, "k.:", linewidth=2.5, label="ELBO")
        self.ax_.axhline(0.0, color="0.5", linewidth=0.8)
        self.ax_.set(
            xlabel=self.step if len(steps) > 1 else "at the end",
            ylabel="nats per sample",
            title=f"{self.name}: gap {self.gap:.1e}".lstrip(": "),
        )
        self.ax_.set_xlim(0.5, len(steps) + 0.5)
        self.ax_.xaxis.get_major_locator().set_params(integer=True)
        if len(steps) == 1:
            self.ax_.set_xticks([])
        self._plot_gap(steps, np.abs(values - self.lower_bounds))
        lines = [line for ax in (self.ax_, self.gap_ax_) if ax is not None for line in ax.get_legend_handles_labels()[0]]
        self.ax_.legend(handles=lines, **({"ncols": 4, **BELOW} if ax is None else INSIDE))
        return self

    def _plot_gap(self, steps: Array, gaps: Array) -> None:
        self.gap_ax_ = None
        is_rounding = gaps <= _ROUNDING * np.array([terms.magnitude for terms in self.entropy_sums])
        if len(steps) > 1 and not is_rounding.all():
            self.gap_ax_ = self.ax_.twinx()
            self.gap_ax_.plot(steps, np.where(is_rounding, np.nan, gaps), color="C9", marker=".", label="|gap| (right)")
            self.gap_ax_.set(ylabel="|gap|, nats per sample", yscale="log")


class LatentInformationDisplay:
    """Information of each latent variable about a sample: entropy of its prior minus mean entropy of its posterior.

    The units of a mixture are the indicators of the components.

    Parameters
    ----------
    information : ndarray of shape (n_units,)
        Nats per sample.
    names : list of str
    name : str, default=""
        Name of the model, for the title.

    Attributes
    ----------
    ax_ : matplotlib axes
    figure_ : matplotlib figure
    """

    def __init__(self, *, information: Array, names: list[str], name: str = "") -> None:
        self.information, self.names, self.name = information, names, name

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: ArrayLike, *, sample_weight: ArrayLike | None = None, ax: Any = None, **row_data: Any
    ) -> Self:
        """Compute and draw the information of a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator, pipeline or search
        X : array-like of shape (n_samples, n_features)
        sample_weight : array-like of shape (n_samples,), default=None
        ax : matplotlib axes, default=None
        **row_data
            Further data of the rows, such as ``exposure``, as the estimator's ``predict_proba`` takes them.

        Returns
        -------
        LatentInformationDisplay
        """
        information = latent_information(estimator, X, sample_weight, **row_data)
        model = steps_of(estimator)[-1]
        unit = "component" if hasattr(model, "weights_") else "latent"
        names = [f"{unit} {i}" for i in range(len(information))]
        return cls(information=information, names=names, name=type(model).__name__).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib axes, default=None

        Returns
        -------
        self : object
        """
        self.ax_, self.figure_ = new_axes(ax, self.names)
        places = np.arange(len(self.names))
        self.ax_.barh(places, self.information)
        self.ax_.set_yticks(places, self.names)
        self.ax_.invert_yaxis()
        title = "information in each latent variable" + (f", {self.name}" if self.name else "")
        self.ax_.set(xlabel="prior less posterior entropy, nats per sample", title=title)
        return self


def latent_information(estimator: Any, X: ArrayLike, sample_weight: ArrayLike | None = None, **row_data: Any) -> Array:
    """Entropy of each latent variable's prior minus the mean entropy of its posterior, nats per sample.

    Parameters
    ----------
    estimator : fitted estimator, pipeline or search
    X : array-like of shape (n_samples, n_features)
        Missing entries (NaN) give no information.
    sample_weight : array-like of shape (n_samples,), default=None
    **row_data
        Further data of the rows, such as ``exposure``, as the estimator's ``predict_proba`` takes them.

    Returns
    -------
    ndarray of shape (n_units,)
    """
    *transformers, estimator = steps_of(estimator)
    for transformer in transformers:
        X = transformer.transform(X)
    check_is_fitted(estimator)

    def mean(values: Array) -> Array:
        return np.asarray(np.average(values, axis=0, weights=check_weights(sample_weight, values)))

    if hasattr(estimator, "predict_proba"):
        return np.asarray(_binary(estimator.weights_) - mean(_binary(estimator.predict_proba(X, **row_data))))
    if row_data:
        raise TypeError(f"{type(estimator).__name__} takes no {', '.join(row_data)}.")
    if hasattr(estimator, "prior_"):
        means = np.asarray(estimator.transform(X))
        # Below the top layer the prior is the marginal distribution, estimated by the mean of the posteriors.
        priors = np.concatenate([mean(means)[: means.shape[1] - len(estimator.prior_)], estimator.prior_])
        return np.asarray(_binary(priors) - mean(_binary(means)))
    if isinstance(estimator, LinearGaussianEstimator):
        return -0.5 * mean(np.log(estimator.posterior(X)[1]))
    if hasattr(estimator, "posterior"):
        log_variances = np.log(estimator.posterior(X)[1])
        prior = estimator.entropy_sum_.prior / log_variances.shape[1]
        return prior - 0.5 * (1.0 + LOG_2PI) - 0.5 * mean(log_variances)
    raise TypeError(f"The latent variables of {type(estimator).__name__} are not known here.")


def _binary(p: Array) -> Array:
    return np.asarray(entr(p) + entr(1.0 - np.asarray(p)))
