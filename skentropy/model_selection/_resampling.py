"""Random weightings and simulations of a table, and many fits to them, in parallel, in order and with progress."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Protocol, TypeVar

import numpy as np
from joblib import Parallel, delayed, effective_n_jobs
from sklearn import config_context
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state

from .._data import Rows, SingleThreadedBLAS, table_values, with_values
from .._em import as_fitted, as_part
from .._messages import are_normalised
from .._typing import Array, ArrayLike, FloatArray, Matrix
from ..mixture._base import BaseMixture
from ..mixture._fitted import draw_rows
from ._steps import steps_of

Result = TypeVar("Result")

# Weight of rows that are added only to show a fit all kinds and categories of columns.
_UNSEEN = 1e-12
# Least share of the total weight that a row gets: with small counts, shares may be smaller than any weight may be.
_LEAST_SHARE = 1e-50
# Number of fits of each process between two checks of whether there are enough, and number of progress lines.
_PER_ROUND, _LINES = 5, 10


@dataclass(frozen=True)
class Sample:
    """The data of a fit."""

    X: Any
    weight: FloatArray | None
    exposure: FloatArray | None

    def fit(self, mixture: Any) -> Any:
        """Fit a mixture to the sample without warnings; the caller counts failures."""
        with as_part(), config_context(skip_parameter_validation=True), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return mixture.fit(self.X, sample_weight=self.weight, exposure=self.exposure)


class Draws(Protocol):
    """Random samples that stand for other data from the same source."""

    def draw(self, random_state: np.random.RandomState) -> Sample: ...


@dataclass(frozen=True)
class Weightings:
    """The rows with random weights: n units get shares from the uniform Dirichlet distribution.

    A row that stands for w units gets the sum of their shares, so copies and weights have the same effect.
    """

    X: Any
    counts: FloatArray
    exposure: FloatArray | None

    @classmethod
    def of(cls, X: Any, rows: Rows) -> Weightings:
        if are_normalised(rows.totals.weight):
            raise ValueError(
                f"sample_weight sums to {rows.totals.weight:g}. Weights are counts, and their sum is the number of rows, "
                "which must be more than one to be weighted at random. Do not normalise them."
            )
        return cls(X, rows.row_weight, rows.exposure)

    def draw(self, random_state: np.random.RandomState) -> Sample:
        shares = random_state.standard_gamma(self.counts)
        shares = np.where(self.counts > 0.0, np.maximum(shares, _LEAST_SHARE * shares.sum()), 0.0)
        return Sample(self.X, shares * (self.counts.sum() / shares.sum()), self.exposure)


@dataclass(frozen=True)
class Simulations:
    """Rows drawn from a fitted mixture: as many as the data have, with the same gaps, and with the same totals if given.

    Attributes
    ----------
    mixture : fitted mixture
    rows : ndarray or sparse matrix of shape (n_rows, n_features)
    known : table or None
        The data, if a fit learns kinds or categories of columns from them, so that draws keep these; else None.
    counts : ndarray of int, of shape (n_rows,)
        The number of rows for which each row stands.
    missing : ndarray of bool, of shape (n_rows, n_features), or None
    """

    mixture: Any
    rows: Matrix
    known: Any
    counts: Array
    missing: Array | None

    @classmethod
    def of(cls, mixture: BaseMixture, X: Any, rows: Rows) -> Simulations:
        if rows.exposure is not None:
            raise ValueError(
                "Rows are simulated at an exposure of one; leave exposure out. bootstrap(kind='weighted') takes exposures."
            )
        counts = rows.row_weight
        if not (counts == np.floor(counts)).all():
            raise ValueError(
                "Rows are simulated as many times as sample_weight says, which must be whole numbers; "
                "bootstrap(kind='weighted') takes any weights."
            )
        missing = None if rows.is_sparse else np.isnan(rows.X)
        known = X if mixture.learns_categories else None
        return cls(mixture, rows.X, known, counts.astype(int), missing if missing is not None and missing.any() else None)

    def draw(self, random_state: np.random.RandomState) -> Sample:
        n = int(self.counts.sum())
        like = self.rows[np.arange(len(self.counts)).repeat(self.counts)]
        values, _ = draw_rows(self.mixture, n, random_state, like)
        if self.missing is not None:
            values[self.missing.repeat(self.counts, axis=0)] = np.nan
        if self.known is None:
            return Sample(values, None, None)
        known = table_values(self.known)
        weight = np.concatenate([np.ones(n), np.full(len(known), _UNSEEN)])
        return Sample(with_values(self.known, np.concatenate([values, known])), weight, None)


def split_steps(model: Any, X: ArrayLike, purpose: str) -> tuple[BaseMixture, Any]:
    """The mixture at the end of a pipeline or search, and the data that reach it.

    For other models the TypeError says what the purpose of the caller is: "bootstrap gives intervals for the parameters".
    """
    *transformers, mixture = steps_of(model)
    if not isinstance(mixture, BaseMixture):
        raise TypeError(f"{purpose} of a mixture; {type(mixture).__name__} is not a mixture.")
    for transformer in transformers:
        try:
            X = transformer.transform(X)
        except NotFittedError as error:
            raise NotFittedError(
                f"Give a fitted pipeline, pipeline.fit(X). Its transformers are not refitted, and its "
                f"{type(transformer).__name__} is not fitted."
            ) from error
    return mixture, X


def unfitted(mixture: Any, **options: Any) -> Any:
    """An unfitted copy of a mixture, for a silent fit in one thread."""
    quiet = {"n_jobs": None, "verbose": 0, "warm_start": False}
    return type(mixture)(**{**mixture.get_params(deep=False), **quiet, **options})


def warm(mixture: Any) -> Any:
    """A copy of a mixture whose next fit starts from this one."""
    again = copy.copy(as_fitted(mixture)).set_params(n_jobs=None, verbose=0, warm_start=True, random_state=0)
    vars(again).pop("_skl_callbacks", None)
    return again


def check_number(name: str, value: Any, least: int) -> None:
    """Raise ValueError unless a number of fits is whole and large enough."""
    if not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}.")


def seeds(random_state: Any, n: int) -> list[int]:
    """``n`` seeds, which depend only on ``random_state``."""
    return [int(seed) for seed in check_random_state(random_state).randint(np.iinfo(np.int32).max, size=n)]


def replicate(
    function: Callable[[int], Result],
    seeds: Sequence[int],
    *,
    n_jobs: int | None,
    verbose: int,
    name: str,
    enough: Callable[[list[Result]], bool] = lambda results: False,
) -> list[Result]:
    """function(seed) for the seeds in order, until there are enough; results do not depend on the number of processes."""
    n_processes, started = effective_n_jobs(n_jobs), time.perf_counter()
    step = _PER_ROUND * n_processes if n_processes > 1 else 1
    results: list[Result] = []
    printed = 0
    with Parallel(n_jobs=n_jobs) as parallel, SingleThreadedBLAS():
        while len(results) < len(seeds):
            chunk = seeds[len(results) : len(results) + step]
            made = [function(seed) for seed in chunk] if step == 1 else parallel(delayed(function)(s) for s in chunk)
            for result in made:
                results.append(result)
                if enough(results):
                    return results
            if verbose and len(results) * _LINES // len(seeds) > printed:
                printed = len(results) * _LINES // len(seeds)
                print(f"{name}: {len(results)} of {len(seeds)} fits, {time.perf_counter() - started:.1f} s", flush=True)
    return results
