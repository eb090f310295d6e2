"""Displays in the manner of scikit-learn's: ``from_...`` computes, ``plot`` draws, ``ax_`` and ``figure_`` hold it."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from scipy.special import entr
from sklearn.utils.validation import check_is_fitted

from .._typing import Array, ArrayLike
from ..entropy import EntropySum

_TERMS = [
    ("posterior", 1.0),
    ("prior", -1.0),
    ("hidden", -1.0),
    ("observable", -1.0),
    ("base_measure", 1.0),
    ("penalty", 1.0),
]


def _axes(ax: Any) -> tuple[Any, Any]:
    """Axes to draw in, and their figure."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("Drawing needs matplotlib; install it by pip install 'skentropy[plot]'.") from error
    ax = plt.subplots(layout="constrained")[1] if ax is None else ax
    return ax, ax.figure


class EntropyDecompositionDisplay:
    """The terms of the entropy sum over the steps of a fit, stacked, with the ELBO and the gap to it.

    Parameters
    ----------
    entropy_sums : list of EntropySum
        One for each step.
    lower_bounds : list of float
        The ELBO after each step, nats per sample.
    name : str

    Attributes
    ----------
    ax_ : matplotlib axes
    figure_ : matplotlib figure
    """

    def __init__(self, *, entropy_sums: list[EntropySum], lower_bounds: list[float], name: str = "") -> None:
        self.entropy_sums, self.lower_bounds, self.name = entropy_sums, lower_bounds, name

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Draw the history of a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator
            With ``entropy_sums_``, or at least ``entropy_sum_``.
        ax : matplotlib axes, default=None

        Returns
        -------
        EntropyDecompositionDisplay
        """
        check_is_fitted(estimator, "entropy_sum_")
        sums = list(getattr(estimator, "entropy_sums_", [estimator.entropy_sum_]))
        bounds = list(estimator.lower_bounds_)[-len(sums) :]
        return cls(entropy_sums=sums, lower_bounds=bounds, name=type(estimator).__name__).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib axes, default=None

        Returns
        -------
        self : object
        """
        self.ax_, self.figure_ = _axes(ax)
        steps = np.arange(1, len(self.entropy_sums) + 1)
        values = {name: sign * np.array([getattr(s, name) for s in self.entropy_sums]) for name, sign in _TERMS}
        above, below = np.zeros(len(steps)), np.zeros(len(steps))
        for index, (name, sign) in enumerate(_TERMS):
            term = values[name]
            if not term.any():
                continue
            base = np.where(term >= 0, above, below)
            label = f"{'+' if sign > 0 else '-'} {name.replace('_', ' ')}"
            self.ax_.bar(steps, term, 1.0, base, label=label, color=f"C{index}", alpha=0.6, linewidth=0)
            above, below = above + np.maximum(term, 0.0), below + np.minimum(term, 0.0)
        self.ax_.plot(steps, [s.value for s in self.entropy_sums], "k-", label="entropy sum")
        self.ax_.plot(steps, self.lower_bounds, "k:", linewidth=2.5, label="ELBO")
        self.ax_.axhline(0.0, color="0.5", linewidth=0.8)
        gap = self.entropy_sums[-1].value - self.lower_bounds[-1]
        self.ax_.set(xlabel="EM step", ylabel="nats per sample", title=f"{self.name}: last gap {gap:.1e}".lstrip(": "))
        self.ax_.set_xlim(0.5, len(steps) + 0.5)
        self.ax_.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
        return self


class ModelRankingDisplay:
    """Models by their criterion, as a dot each, with what the penalty takes from the entropy sum.

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
        ranking : ModelRanking
        ax : matplotlib axes, default=None

        Returns
        -------
        ModelRankingDisplay
        """
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
        self.ax_, self.figure_ = _axes(ax)
        places = np.arange(len(self.names))
        self.ax_.hlines(places, self.values, self.elbos, color="0.75", linewidth=2, label="penalty", zorder=1)
        self.ax_.scatter(self.elbos, places, color="C0", marker="|", s=80, label="entropy sum", zorder=2)
        self.ax_.scatter(self.values, places, color="C1", label=self.criterion, zorder=2)
        labels = [f"{name}  ({flag})" if flag else name for name, flag in zip(self.names, self.flags, strict=True)]
        self.ax_.set_yticks(places, labels)
        self.ax_.invert_yaxis()
        self.ax_.set(xlabel="nats per sample", title=f"ranked by {self.criterion}, higher is better")
        self.ax_.legend(fontsize="small", loc="best")
        return self


class LatentInformationDisplay:
    """What each latent variable tells about a sample: entropy of its prior less mean entropy of its posterior.

    Of a mixture the units are the indicators of the components.

    Parameters
    ----------
    information : ndarray of shape (n_units,)
        Nats per sample.
    names : list of str

    Attributes
    ----------
    ax_ : matplotlib axes
    figure_ : matplotlib figure
    """

    def __init__(self, *, information: Array, names: list[str]) -> None:
        self.information, self.names = information, names

    @classmethod
    def from_estimator(cls, estimator: Any, X: ArrayLike, *, ax: Any = None) -> Self:
        """Compute and draw it for a fitted estimator.

        Parameters
        ----------
        estimator : fitted estimator
        X : array-like of shape (n_samples, n_features)
        ax : matplotlib axes, default=None

        Returns
        -------
        LatentInformationDisplay
        """
        information = latent_information(estimator, X)
        unit = "component" if hasattr(estimator, "weights_") else "latent"
        return cls(information=information, names=[f"{unit} {i}" for i in range(len(information))]).plot(ax)

    def plot(self, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib axes, default=None

        Returns
        -------
        self : object
        """
        self.ax_, self.figure_ = _axes(ax)
        places = np.arange(len(self.names))
        self.ax_.barh(places, self.information)
        self.ax_.set_yticks(places, self.names)
        self.ax_.invert_yaxis()
        self.ax_.set(xlabel="prior less posterior entropy, nats per sample", title="information in each latent variable")
        return self


def latent_information(estimator: Any, X: ArrayLike) -> Array:
    """Entropy of each latent variable's prior less the mean entropy of its posterior, nats per sample.

    Parameters
    ----------
    estimator : fitted estimator
    X : array-like of shape (n_samples, n_features)

    Returns
    -------
    ndarray of shape (n_units,)
    """
    if hasattr(estimator, "predict_proba"):
        return np.asarray(_binary(estimator.weights_) - _binary(estimator.predict_proba(X)).mean(axis=0))
    if hasattr(estimator, "prior_"):
        means = estimator.transform(X)
        # Below the top layer the prior is the marginal one, for which the posteriors' mean stands.
        priors = np.concatenate([means.mean(axis=0)[: means.shape[1] - len(estimator.prior_)], estimator.prior_])
        return np.asarray(_binary(priors) - _binary(means).mean(axis=0))
    if hasattr(estimator, "posterior_covariance_"):
        return np.asarray(-0.5 * np.log(np.diag(estimator.posterior_covariance_)))
    raise TypeError(f"The latent variables of {type(estimator).__name__} are not known here.")


def _binary(p: Array) -> Array:
    return np.asarray(entr(p) + entr(1.0 - np.asarray(p)))
