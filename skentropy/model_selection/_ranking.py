"""Rankings of models of any class by the closed form of their ELBO."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .._entropy_sum import EntropySum
from .._messages import list_names
from ._ranking_text import print_ranking, ranking_html

Criterion = str | Callable[["RankedModel"], float]
# A rank is uncertain if the gap is larger than this share of the difference to the nearest model.
_GAP_SHARE = 0.1
# A gap of this many nats per sample always shows that the fit has not converged, or was to other data.
_GAP = 0.01
# Models whose values differ by less are tied. A tenth of this is more than the gap that default fits leave: the gap is of
# first order in the remaining distance to the maximum, while the likelihood is of second order.
_TIE = 1e-5
# A gap below this share of the terms is a rounding error.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class RankedModel:
    """One model of a ranking: its entropy sum term by term, and other quantities, in nats per sample unless stated.

    Attributes
    ----------
    name : str
    model : fitted estimator, or None if it failed or was not kept
    entropy_sum : EntropySum or None
    log_likelihood : float
        Mean log-likelihood (or ELBO, if it is intractable) from the model; NaN if the model has no ``score_samples``.
    n_parameters : int
        NaN if there is no agreed rule for counting them, as for an autoencoder.
    n_samples : float
        Total weight of the rows.
    log_jacobian : float
        The log-Jacobian, which is already part of the log-likelihood and of the value of the entropy sum.
    validation : float
        Mean log-likelihood, or ELBO, of rows that were held out; NaN if none were.
    discrete : bool
        Whether the latent variables are discrete.
    classification : float
        Mean of -log q(c) at the most probable component c of each row, for mixtures; else NaN.
    fit_time : float
        Seconds of the fit; zero for models that were already fitted.
    converged : bool
    doubt : str
        Why the fit should not be compared with others: it ended at a "saddle point", it is "degenerate" because a component
        has collapsed, it is a "Heywood" case (a noise variance is at its floor, and the likelihood has no interior maximum),
        or its factors are "not identified", since they have more parameters than a covariance matrix.
    error : str
        The error of the fit or the evaluation; empty if there was none.
    likelihood : str
        The kind of the likelihood, such as "density" or "probability"; empty if the model does not provide it.
    zero_substitutes : mapping of int to float
        For each column whose zeros the fit has replaced, the value that replaces them.
    flag : str
        Why the rank in the ``ModelRanking`` that holds the row is uncertain; empty if it is certain.
    """

    name: str
    model: Any
    entropy_sum: EntropySum | None
    log_likelihood: float = np.nan
    n_parameters: float = 0
    n_samples: float = np.nan
    log_jacobian: float = 0.0
    validation: float = np.nan
    discrete: bool = False
    classification: float = np.nan
    fit_time: float = 0.0
    converged: bool = False
    doubt: str = ""
    error: str = ""
    likelihood: str = ""
    zero_substitutes: Mapping[int, float] = field(default_factory=dict)
    flag: str = ""

    def __str__(self) -> str:
        if self.error:
            return f"{self.name}: {self.error}"
        numbers = {"log-likelihood": self.log_likelihood, "bic_score": self.bic_score, "validation": self.validation}
        known = [f"{name} {number:.4f}" for name, number in numbers.items() if np.isfinite(number)]
        size = f"; {self.n_parameters:.0f} parameters" if np.isfinite(self.n_parameters) else ""
        return f"{self.name}: {', '.join(known)} nats per sample{size}{self.flag and f'; {self.flag}'}"

    @property
    def elbo(self) -> float:
        """The entropy sum of the untransformed data."""
        return np.nan if self.entropy_sum is None else self.entropy_sum.value + self.log_jacobian

    @property
    def gap(self) -> float:
        """Entropy sum minus log-likelihood."""
        return self.elbo - self.log_likelihood

    @property
    def bic_score(self) -> float:
        """``elbo - k log(n) / 2n`` with k parameters and n samples; higher is better, as for all scores."""
        return self.elbo - 0.5 * self.n_parameters * float(np.log(self.n_samples)) / self.n_samples

    @property
    def aic_score(self) -> float:
        """``elbo - k / n``."""
        return self.elbo - self.n_parameters / self.n_samples

    @property
    def aicc_score(self) -> float:
        """``elbo - k / (n - k - 1)``, for small samples; minus infinity unless n > k + 1."""
        rest = self.n_samples - self.n_parameters - 1.0
        return self.elbo - self.n_parameters / rest if rest > 0 else -np.inf

    @property
    def icl_score(self) -> float:
        """``bic_score`` minus the uncertainty of the classification; NaN unless the latent variables are discrete.

        For mixtures the uncertainty is that of the most probable components, as in their ``icl``; else the posteriors'
        entropy.
        """
        if not self.discrete or self.entropy_sum is None:
            return np.nan
        return self.bic_score - (self.entropy_sum.posterior if np.isnan(self.classification) else self.classification)

    @property
    def bic(self) -> float:
        """Bayesian information criterion, in nats in total, as from the model; the lower the better."""
        return -2.0 * self.n_samples * self.bic_score

    @property
    def aic(self) -> float:
        """Akaike information criterion, in nats in total; the lower the better."""
        return -2.0 * self.n_samples * self.aic_score

    @property
    def icl(self) -> float:
        """Integrated completed likelihood, in nats in total; the lower the better."""
        return -2.0 * self.n_samples * self.icl_score

    def criterion(self, criterion: Criterion) -> float:
        """The value of a criterion; higher is better."""
        if self.entropy_sum is None:
            return np.nan
        return float(criterion(self) if callable(criterion) else getattr(self, CRITERIA[criterion]))


# Names of the criteria in tables and results; scores are per sample, and higher is better.
CRITERIA = {
    "elbo": "elbo",
    "bic": "bic_score",
    "aic": "aic_score",
    "aicc": "aicc_score",
    "icl": "icl_score",
    "validation": "validation",
}


class ModelRanking(Sequence[RankedModel]):
    """Models ranked by a criterion, best first; then models whose criterion is NaN, then those that failed.

    ``ranking[0]`` is the row of the best model, and ``ranking["a name"]`` that of the model with this name.

    Parameters
    ----------
    rows : sequence of RankedModel
        In any order.
    criterion : str or callable

    Attributes
    ----------
    best_ : fitted estimator
    best_name_ : str
    values_ : list of float
        The criterion of each model, nats per sample; higher is better.
    flags_ : list of str
        Why a rank is uncertain: "failed", "not converged", the ``doubt`` of the model ("saddle point", "degenerate",
        "Heywood", "not identified"), "no likelihood" if the model does not provide it, or "gap" if the entropy sum and the
        log-likelihood differ by more than 0.01 nats per sample, or by more than a tenth of the difference to the nearest
        model, at least 1e-5 (unless the gap is a rounding error). If none of these applies and the criterion is not a
        callable, "other kind" says that the likelihood is of another kind than the best model's, and "other zeros" that
        other values have replaced zeros. Otherwise empty.
    """

    def __init__(self, rows: Sequence[RankedModel], criterion: Criterion = "bic") -> None:
        self.criterion = criterion
        values = [row.criterion(criterion) for row in rows]
        order = sorted(range(len(rows)), key=lambda i: (bool(rows[i].error), bool(np.isnan(values[i])), -values[i]))
        self._ranked = [rows[i] for i in order]
        self.values_ = [values[i] for i in order]
        self.flags_ = [self._flag(rank) for rank in range(len(rows))]
        self._ranked = [replace(row, flag=flag) for row, flag in zip(self._ranked, self.flags_, strict=True)]

    def _flag(self, rank: int) -> str:
        row = self._ranked[rank]
        if row.error:
            return "failed"
        if not row.converged:
            return "not converged"
        if row.doubt:
            return row.doubt
        if np.isnan(row.gap):
            return "no likelihood"
        assert row.entropy_sum is not None
        neighbours = [self.values_[i] for i in (rank - 1, rank + 1) if 0 <= i < len(self.values_)]
        distances = [max(abs(value - self.values_[rank]), _TIE) for value in neighbours if np.isfinite(value)]
        allowed = max(min([_GAP, *(_GAP_SHARE * distance for distance in distances)]), _ROUNDING * row.entropy_sum.magnitude)
        return "gap" if abs(row.gap) > allowed else self._incomparable(row)

    def _incomparable(self, row: RankedModel) -> str:
        """Why the value of a model is not comparable with that of the best model."""
        best = self._ranked[0]
        if callable(self.criterion):
            return ""
        if row.likelihood and best.likelihood and row.likelihood != best.likelihood:
            return "other kind"
        return "other zeros" if row.zero_substitutes != best.zero_substitutes else ""

    def __len__(self) -> int:
        return len(self._ranked)

    def __getitem__(self, rank: Any) -> Any:
        if not isinstance(rank, str):
            return self._ranked[rank]
        rows = {row.name: row for row in self}
        if rank not in rows:
            raise KeyError(f"The ranking has no model {rank!r}, but {list_names(list(rows))}.")
        return rows[rank]

    @property
    def best_row(self) -> RankedModel:
        """The first row; ValueError if no row has a value."""
        first = self._ranked[0]
        if first.error:
            raise ValueError(f"None of the {len(self)} models could be fitted; the first failed with: {first.error}")
        if np.isnan(self.values_[0]):
            raise ValueError(f"None of the {len(self)} models has a value of {self.criterion_name} that is a number.")
        return first

    @property
    def best_(self) -> Any:
        return self.best_row.model

    @property
    def best_name_(self) -> str:
        return self.best_row.name

    @property
    def criterion_name(self) -> str:
        """The name of the criterion in the table."""
        return getattr(self.criterion, "__name__", "criterion") if callable(self.criterion) else CRITERIA[self.criterion]

    @property
    def _title(self) -> str:
        """The title: the criterion of the ranking."""
        return f"{len(self)} models by {self.criterion_name}, nats per sample, higher is better"

    def to_dict(self) -> dict[str, list[Any]]:
        """The table by columns: ``bic``, ``aic`` and ``icl`` in nats in total, all other terms and scores per sample."""
        columns: dict[str, list[Any]] = {"model": [row.name for row in self._ranked], self.criterion_name: self.values_}
        for name in EntropySum.SIGNS:
            columns[name] = [np.nan if row.entropy_sum is None else getattr(row.entropy_sum, name) for row in self._ranked]
        for name in (
            *("log_jacobian", "elbo", "log_likelihood", "validation", "gap", "n_parameters"),
            *("bic_score", "aic_score", "aicc_score", "icl_score", "bic", "aic", "icl"),
        ):
            columns.setdefault(name, [getattr(row, name) for row in self._ranked])
        for name in ("fit_time", "converged", "error"):
            columns[name] = [getattr(row, name) for row in self._ranked]
        columns["flag"] = self.flags_
        return columns

    def to_frame(self) -> Any:
        """The table as a pandas frame."""
        import pandas

        return pandas.DataFrame(self.to_dict())

    def __str__(self) -> str:
        return print_ranking(self)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return ranking_html(self)

    def plot(self, ax: Any = None) -> Any:
        """Draw the ranking; see ``ModelRankingDisplay``.

        Parameters
        ----------
        ax : matplotlib axes, default=None

        Returns
        -------
        ModelRankingDisplay
        """
        from ..inspection._ranking_display import ModelRankingDisplay

        return ModelRankingDisplay.from_ranking(self, ax=ax)
