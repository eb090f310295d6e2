"""PPCA and FactorAnalysis beside scikit-learn, factor_analyzer and statsmodels: seconds to the same log-likelihood."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from common import clock, fresh, left_out, setting, table
from comparison import EXPLANATION, compare
from programs import Problem
from sklearn.datasets import load_breast_cancer, load_digits

TITLE = "PPCA and FactorAnalysis beside other packages"
PEERS = ("sklearn", "factor_analyzer", "statsmodels")
LIMIT = 10.0
NOTES = """\
Factor analysis has no common start: each program begins in its own way, and the reference is this package's own fit with `gtol=1e-9`; a
negative gap would say that another went further. `FactorAnalysis` of this package runs until it stops by itself, at a gradient
of 1e-6, and so does factor_analyzer; scikit-learn (`tol=0`) and statsmodels (`gtol=0`) are given the steps that they need.
factor_analyzer holds uniquenesses above 0.005 of a column's variance. PPCA is in closed form, and scikit-learn's `PCA` is the same
model: there are no steps to count, only ways to the eigenvectors.
"""


def factor_rows(n: int, d: int, K: int) -> np.ndarray:
    """Rows that K factors explain but for noise, of a different size in each column."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, K)) @ rng.normal(size=(K, d)) + rng.normal(size=(n, d)) * rng.uniform(0.5, 2.0, size=d)


def load(data: str) -> np.ndarray:
    if data == "digits":
        X = load_digits().data
        return X[:, X.std(axis=0) > 0]  # with constant columns the likelihood depends on the floor alone
    if data == "breast cancer":
        return load_breast_cancer().data
    n, d = (int(size.replace(",", "")) for size in data.split(" x "))
    return factor_rows(n, d, 5 if d <= 50 else 10)


def problems(quick: bool) -> Iterator[tuple[str, str, str, int]]:
    """Title, model, data and number of components."""
    if quick:
        yield "Factor analysis", "factors", "200 x 10", 2
        return
    sizes = [("100,000 x 50", 5), ("20,000 x 500", 10), ("2,000 x 2,000", 10)]
    for data, k in [*sizes, ("digits", 10), ("breast cancer", 5)]:
        yield "Factor analysis", "factors", data, k
    for data, k in [*sizes, ("digits", 10)]:
        yield "PPCA and PCA", "pca", data, k


def fit_with_missing(data: str, model: str, k: int) -> dict[str, float]:
    import skentropy

    X = load(data)
    X[np.random.default_rng(1).random(X.shape) < 0.05] = np.nan
    fitted, wall, cpu = clock(lambda: getattr(skentropy, model)(k).fit(X), at_most=3)
    patterns = len(np.unique(np.isnan(X), axis=0))
    return {"wall": wall, "cpu": cpu, "steps": fitted.n_iter_, "gap": fitted.stationarity_gap_, "patterns": patterns}


def with_missing(data: str, models: list[tuple[str, int]]) -> Iterator[list[str]]:
    for model, k in models:
        r = fresh(fit_with_missing, data, model, k)
        numbers = [f"{r['patterns']:,}", f"{r['wall']:.3g}", f"{r['cpu']:.3g}", str(r["steps"]), f"{r['gap']:.0e}"]
        yield [model, str(k), *numbers]


def page(quick: bool) -> Iterator[str]:
    yield setting("skentropy", *PEERS) + "\n"
    yield from left_out(PEERS)
    yield NOTES
    yield EXPLANATION + "\n"
    for title, model, data, k in problems(quick):
        yield f"## {title}: {data}, {k} components\n"
        yield from compare(Problem(model, k, load(data), []), 1.0 if quick else LIMIT)
    data = "500 x 10" if quick else "20,000 x 50"
    yield f"## With missing values: {data}, 5% missing completely at random\n"
    yield "None of the packages above fits these models with missing values.\n"
    columns = ["model", "components", "patterns", "wall s", "CPU s", "EM steps", "entropy sum - ELBO"]
    yield from table(columns, with_missing(data, [("PPCA", 5)] if quick else [("PPCA", 5), ("FactorAnalysis", 5)]))
