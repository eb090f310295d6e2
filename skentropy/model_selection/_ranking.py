"""Models of any class side by side, ranked by the closed form of their ELBO."""

from __future__ import annotations

import html
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn import get_config
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import FitFailedWarning, NotFittedError
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import _num_samples, check_is_fitted

from .._typing import ArrayLike
from ..entropy import EntropySum, entropy_sum, has_discrete_latents, n_parameters
from ._jacobian import log_jacobian

Criterion = str | Callable[["RankedModel"], float]
# A gap of more than this share of the difference to the next model makes a rank uncertain.
_GAP_SHARE = 0.1


@dataclass(frozen=True)
class RankedModel:
    """One model on the data: its entropy sum term by term, and what goes with it; all but counts in nats per sample.

    Attributes
    ----------
    name : str
    model : fitted estimator, or None if it failed to fit
    entropy_sum : EntropySum or None
    log_likelihood : float
        Mean log-likelihood (ELBO where it is intractable), by the model's own ``score``.
    n_parameters : int
    n_samples : float
        Total weight of the rows.
    log_jacobian : float
        Already added to the log-likelihood and the value of the entropy sum.
    discrete : bool
        Whether the latent variables are discrete.
    fit_time : float
        Seconds; zero for models that came fitted.
    converged : bool
    error : str
        What went wrong in fitting, or nothing.
    """

    name: str
    model: Any
    entropy_sum: EntropySum | None
    log_likelihood: float = np.nan
    n_parameters: int = 0
    n_samples: float = np.nan
    log_jacobian: float = 0.0
    discrete: bool = False
    fit_time: float = 0.0
    converged: bool = False
    error: str = ""

    @property
    def elbo(self) -> float:
        """The entropy sum, that of untransformed data."""
        return np.nan if self.entropy_sum is None else self.entropy_sum.value + self.log_jacobian

    @property
    def gap(self) -> float:
        """Entropy sum less log-likelihood."""
        return self.elbo - self.log_likelihood

    @property
    def bic(self) -> float:
        """``elbo - k log(n) / 2n`` with k parameters and n samples."""
        return self.elbo - 0.5 * self.n_parameters * float(np.log(self.n_samples)) / self.n_samples

    @property
    def aic(self) -> float:
        """``elbo - k / n``."""
        return self.elbo - self.n_parameters / self.n_samples

    @property
    def aicc(self) -> float:
        """``elbo - k / (n - k - 1)``, for small samples; minus infinity unless n > k + 1."""
        rest = self.n_samples - self.n_parameters - 1.0
        return self.elbo - self.n_parameters / rest if rest > 0 else -np.inf

    @property
    def icl(self) -> float:
        """``bic`` less the entropy of the posteriors, which is one of the terms; NaN unless the latents are discrete."""
        return self.bic - self.entropy_sum.posterior if self.discrete and self.entropy_sum is not None else np.nan

    def criterion(self, criterion: Criterion) -> float:
        """The value of a criterion; higher is better."""
        if self.entropy_sum is None:
            return np.nan
        value = criterion(self) if callable(criterion) else getattr(self, criterion)
        if criterion == "icl" and not self.discrete:
            raise ValueError(
                f"The integrated completed likelihood is for models with discrete latent variables, and {self.name} has "
                "continuous ones; rank by 'bic'."
            )
        return float(value)


CRITERIA = ("elbo", "bic", "aic", "aicc", "icl")


class ModelRanking(Sequence[RankedModel]):
    """Models ranked by a criterion, best first; models that failed to fit come last.

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
        The criterion of each, nats per sample; higher is better.
    flags_ : list of str
        Why a rank is uncertain: "not converged", or "gap" where the entropy sum is further from the log-likelihood than a
        tenth of the difference to the next model. Empty where nothing is wrong.
    """

    def __init__(self, rows: Sequence[RankedModel], criterion: Criterion = "bic") -> None:
        self.criterion = criterion
        values = [row.criterion(criterion) for row in rows]
        order = sorted(range(len(rows)), key=lambda i: -np.inf if np.isnan(values[i]) else values[i], reverse=True)
        self._rows = [rows[i] for i in order]
        self.values_ = [values[i] for i in order]
        self.flags_ = [self._flag(rank) for rank in range(len(rows))]

    def _flag(self, rank: int) -> str:
        row = self._rows[rank]
        if row.error:
            return "failed"
        if not row.converged:
            return "not converged"
        neighbours = [self.values_[i] for i in (rank - 1, rank + 1) if 0 <= i < len(self.values_)]
        distances = [abs(value - self.values_[rank]) for value in neighbours if np.isfinite(value)]
        return "gap" if distances and abs(row.gap) > _GAP_SHARE * min(distances) else ""

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rank: Any) -> Any:
        return self._rows[rank]

    @property
    def best_(self) -> Any:
        if self._rows[0].error:
            raise ValueError(f"None of the {len(self)} models could be fitted; the first failed with: {self._rows[0].error}")
        return self._rows[0].model

    @property
    def best_name_(self) -> str:
        return self._rows[0].name

    @property
    def criterion_name(self) -> str:
        """What the criterion is called."""
        return getattr(self.criterion, "__name__", "criterion") if callable(self.criterion) else self.criterion

    def to_dict(self) -> dict[str, list[Any]]:
        """The table by columns."""
        names = ("posterior", "prior", "hidden", "observable", "base_measure", "penalty")
        columns: dict[str, list[Any]] = {"model": [row.name for row in self._rows], self.criterion_name: self.values_}
        for name in names:
            columns[name] = [np.nan if row.entropy_sum is None else getattr(row.entropy_sum, name) for row in self._rows]
        for name in ("log_jacobian", "elbo", "log_likelihood", "gap", "n_parameters", "bic", "aic", "aicc", "icl"):
            columns.setdefault(name, [getattr(row, name) for row in self._rows])
        for name in ("fit_time", "converged", "error"):
            columns[name] = [getattr(row, name) for row in self._rows]
        columns["flag"] = self.flags_
        return columns

    def to_frame(self) -> Any:
        """The table as a pandas frame."""
        import pandas

        return pandas.DataFrame(self.to_dict())

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Header and cells of the table that is printed, without terms that no model has."""
        terms = [
            name
            for name in ("posterior", "prior", "hidden", "observable", "base_measure", "penalty")
            if any(row.entropy_sum is not None and getattr(row.entropy_sum, name) for row in self._rows)
        ]
        header = ["model", self.criterion_name, *(term.replace("_", " ") for term in terms)]
        header += ["log-likelihood", "gap", "parameters", "seconds", "flag"]
        cells = []
        for row, value, flag in zip(self._rows, self.values_, self.flags_, strict=True):
            if row.entropy_sum is None:
                cells.append([row.name, *[""] * (len(header) - 2), f"failed: {row.error}"])
                continue
            numbers = [value, *(getattr(row.entropy_sum, term) for term in terms), row.log_likelihood]
            cells.append(
                [
                    row.name,
                    *(f"{round(number, 4) + 0.0:.4f}" for number in numbers),
                    f"{row.gap:.1e}",
                    str(row.n_parameters),
                    f"{row.fit_time:.2f}",
                    flag,
                ]
            )
        return header, cells

    def __str__(self) -> str:
        header, cells = self._cells()
        widths = [max(len(line[i]) for line in [header, *cells]) for i in range(len(header) - 1)]

        def line(values: list[str]) -> str:
            first, *numbers = (value for value in values[:-1])
            padded = [value.rjust(width) for value, width in zip(numbers, widths[1:], strict=True)]
            return "  ".join([first.ljust(widths[0]), *padded, values[-1]]).rstrip()

        return "\n".join([f"{len(self)} models by {self.criterion_name}, nats per sample", *map(line, [header, *cells])])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        header, cells = self._cells()
        head = "".join(f"<th>{html.escape(name)}</th>" for name in header)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in cells)
        caption = f"<caption>{len(self)} models by {html.escape(self.criterion_name)}, nats per sample</caption>"
        return f"<table>{caption}<tr>{head}</tr>{body}</table>"

    def plot(self, ax: Any = None) -> Any:
        """Draw the ranking; see ``ModelRankingDisplay``.

        Parameters
        ----------
        ax : matplotlib axes, default=None

        Returns
        -------
        ModelRankingDisplay
        """
        from ..inspection import ModelRankingDisplay

        return ModelRankingDisplay.from_ranking(self, ax=ax)


def rank_models(
    models: Sequence[Any] | Mapping[str, Any],
    X: ArrayLike,
    criterion: Criterion = "bic",
    *,
    sample_weight: ArrayLike | None = None,
    n_jobs: int | None = None,
    change_of_variables: str = "refuse",
) -> ModelRanking:
    r"""Rank models of any class by the closed form of their ELBO, each fitted once on all of X.

    The criteria are the entropy sum, in nats per sample, and its penalised forms; higher is better. The default penalises,
    since an unpenalised ELBO of training data grows with every parameter.

    Parameters
    ----------
    models : sequence of estimators or pipelines, or dict of them with names
        Fitted ones are taken as they are; they must have been fitted to X. Others are cloned and fitted.
    X : array-like of shape (n_samples, n_features)
    criterion : {"elbo", "bic", "aic", "aicc", "icl"} or callable, default="bic"
        With k parameters, n samples and entropy sum E: "elbo" is E, "bic" :math:`E - k \log n / 2n`, "aic"
        :math:`E - k / n`, "aicc" :math:`E - k / (n - k - 1)`, "icl" the BIC less the entropy of the posteriors, for models
        with discrete latent
        variables. A callable takes a ``RankedModel``.
    sample_weight : array-like of shape (n_samples,), default=None
    n_jobs : int or None, default=None
        Models that are fitted at a time, by joblib.
    change_of_variables : {"refuse", "correct"}, default="refuse"
        Densities of differently transformed data are not comparable. "refuse" raises an error if pipelines transform the
        data differently; "correct" adds the log-Jacobian of the transformers (see ``log_jacobian``), so that all are
        densities of X.

    Returns
    -------
    ModelRanking

    Raises
    ------
    TypeError
        If a model has no entropy sum, or is supervised.
    ValueError
        If there are no models, or they were fitted to different data or transformations of them.

    Warns
    -----
    FitFailedWarning
        If a model cannot be fitted; it stays in the table, with its error.

    Notes
    -----
    A probability of counts and a density of real numbers are not comparable either, which nothing here can detect.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skentropy import PPCA, FactorAnalysis, rank_models
    >>> X = load_wine().data
    >>> ranking = rank_models([PPCA(2), FactorAnalysis(2), FactorAnalysis(3)], X)
    >>> ranking.best_name_
    'FactorAnalysis(n_components=3)'
    """
    if not callable(criterion) and criterion not in CRITERIA:
        raise ValueError(f"criterion must be one of {', '.join(map(repr, CRITERIA))} or callable, got {criterion!r}.")
    if change_of_variables not in ("refuse", "correct"):
        raise ValueError(f"change_of_variables must be 'refuse' or 'correct', got {change_of_variables!r}.")
    if isinstance(models, Mapping):
        named = list(models.items())
    else:
        named = list(zip(unique_names([short_name(model) for model in models]), models, strict=True))
    if not named:
        raise ValueError("There are no models to rank.")
    for _, model in named:
        check_model(model)
    correct = change_of_variables == "correct"
    if not correct:
        check_same_transformation(named)
    rows = Parallel(n_jobs=n_jobs)(
        delayed(assess)(name, model, X, sample_weight, refit=not is_fitted(model), correct=correct) for name, model in named
    )
    return ModelRanking(rows, criterion)


def final_step(model: Any) -> Any:
    """The model itself, or the last step of a pipeline."""
    return model.steps[-1][1] if isinstance(model, Pipeline) else model


def transformers(model: Any) -> list[Any]:
    """The steps before it."""
    return [step for _, step in model.steps[:-1] if step not in (None, "passthrough")] if isinstance(model, Pipeline) else []


def check_model(model: Any) -> None:
    """Refuse what cannot be ranked."""
    last = final_step(model)
    if not hasattr(last, "fit"):
        raise TypeError(f"Models to rank must be estimators, but got {model!r}.")
    if is_classifier(last) or is_regressor(last):
        raise TypeError(f"{type(last).__name__} is supervised; only generative models of X have an entropy sum.")
    if not entropy_sum.knows(last):
        raise TypeError(
            f"There is no entropy sum for {type(last).__name__}. For models of your own use entropy_sum.register "
            "on a function (model, X, sample_weight=None) -> EntropySum."
        )


def check_same_transformation(named: Sequence[tuple[str, Any]]) -> None:
    """Refuse pipelines that transform the data differently."""
    first = [repr(step) for step in transformers(named[0][1])]
    for name, model in named[1:]:
        if [repr(step) for step in transformers(model)] != first:
            raise ValueError(
                f"{named[0][0]} and {name} transform the data differently, and densities of different variables are not "
                "comparable: log p(x) = log p(T(x)) + log |det dT/dx|. Transform alike, or set "
                "change_of_variables='correct'."
            )


def is_fitted(model: Any) -> bool:
    """Whether a model has been fitted."""
    try:
        check_is_fitted(final_step(model))
    except NotFittedError:
        return False
    return True


def assess(
    name: str,
    model: Any,
    X: ArrayLike,
    sample_weight: ArrayLike | None,
    *,
    refit: bool,
    correct: bool = False,
    raise_error: bool = False,
) -> RankedModel:
    """Fit a model if need be, and evaluate it on the data that it was fitted to."""
    seconds = 0.0
    if refit:
        model = clone(model)
        start = time.perf_counter()
        try:
            fit(model, X, sample_weight)
        except Exception as error:
            if raise_error:
                raise
            warnings.warn(f"{name} could not be fitted: {error}", FitFailedWarning, stacklevel=2)
            return RankedModel(name, None, None, error=f"{type(error).__name__}: {error}")
        seconds = time.perf_counter() - start
    return replace(evaluate(name, model, X, sample_weight, correct=correct), fit_time=seconds)


def fit(model: Any, X: ArrayLike, sample_weight: ArrayLike | None) -> Any:
    """Fit, with weights where there are any."""
    if sample_weight is None:
        return model.fit(X)
    routed = get_config()["enable_metadata_routing"] or not isinstance(model, Pipeline)
    name = "sample_weight" if routed else f"{model.steps[-1][0]}__sample_weight"
    return model.fit(X, **{name: sample_weight})


def evaluate(
    name: str, model: Any, X: ArrayLike, sample_weight: ArrayLike | None = None, *, correct: bool = False
) -> RankedModel:
    """What a fitted model says of data."""
    jacobian = 0.0
    for transformer in transformers(model):
        jacobian += log_jacobian(transformer, X, sample_weight) if correct else 0.0
        X = transformer.transform(X)
    last = final_step(model)
    expected, given = getattr(last, "n_features_in_", None), getattr(X, "shape", (0, None))[1]
    if expected is not None and given is not None and expected != given:
        raise ValueError(
            f"{name} was fitted to {expected} features, but X has {given}; models of other data cannot be ranked."
        )
    terms = entropy_sum(last, X, sample_weight)
    options = {} if sample_weight is None else {"sample_weight": sample_weight}
    return RankedModel(
        name=name,
        model=model,
        entropy_sum=terms,
        log_likelihood=float(last.score(X, **options)) + jacobian,
        n_parameters=n_parameters(last),
        n_samples=float(_num_samples(X) if sample_weight is None else np.sum(sample_weight)),
        log_jacobian=jacobian,
        discrete=has_discrete_latents(last),
        converged=bool(getattr(last, "converged_", True)),
    )


def short_name(model: Any) -> str:
    """A model's representation on one line."""
    return " ".join(repr(model).split())


def unique_names(names: Sequence[str]) -> list[str]:
    """Names with a number where they recur."""
    counts: dict[str, int] = {}
    unique = []
    for name in names:
        counts[name] = counts.get(name, 0) + 1
        unique.append(name if counts[name] == 1 else f"{name} #{counts[name]}")
    return unique
