"""Gaussian mixtures of full covariances beside scikit-learn's, a mixed table beside stepmix, dispersed counts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from common import is_installed, left_out, setting, table
from sklearn.datasets import load_breast_cancer, load_iris, load_wine
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture
from sklearn.preprocessing import StandardScaler

TITLE = "Gaussian mixtures of full covariances, mixed tables, dispersed counts"
PEERS = ("stepmix", "statsmodels")
NOTES = """\
CPU seconds on one thread: the least of several runs, those of the programs in turn. A step is an E-step and an M-step from parameters of
the true clusters; its seconds are the difference between fits of a few steps and of one, divided by the difference in steps. Wider tables
are left out, since fits of them from there end within these steps. `missing`:
scikit-learn takes no missing entries; its step on the complete rows stands beside ours on the rows with gaps.
{load}
"""
STEPS = 3
# A fit gets there if its mean log-likelihood is within so many nats a sample of the other one's.
NEAR = 1e-5


def clusters(n: int, d: int, n_components: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of clusters with covariances of their own, and which cluster each row is of."""
    rng = np.random.default_rng(0)
    means = 0.5 * rng.normal(size=(n_components, d))  # they overlap, for EM to have something to do
    roots = np.eye(d) + rng.normal(size=(n_components, d, d)) / np.sqrt(d)
    labels = rng.integers(n_components, size=n)
    X = rng.normal(size=(n, d))
    for c in range(n_components):
        X[labels == c] = X[labels == c] @ roots[c].T + means[c]
    return X, labels


def own_fit(X: np.ndarray, start: dict[str, Any], steps: int) -> Any:
    from skentropy import GaussianMixture

    return GaussianMixture(len(start["means_init"]), max_iter=steps, tol=0.0, accelerate=False, **start).fit(X)


def sklearn_fit(X: np.ndarray, start: dict[str, Any], steps: int) -> Any:
    options = {"tol": 0.0, "reg_covar": 0.0, "init_params": "random_from_data", "random_state": 0}
    given = {"weights_init": start["weights_init"], "means_init": start["means_init"]}
    given["precisions_init"] = np.linalg.inv(start["covariances_init"])
    return SklearnGaussianMixture(len(start["means_init"]), max_iter=steps, **given, **options).fit(X)


def least(functions: list[Callable[[], Any]], repeats: int) -> list[float]:
    """The least CPU seconds of functions that take turns."""
    best = [np.inf] * len(functions)
    for _ in range(repeats):
        for i, function in enumerate(functions):
            before = time.process_time()
            function()
            best[i] = min(best[i], time.process_time() - before)
    return best


def step_seconds(fits: list[Callable[[int], Any]], repeats: int) -> list[float]:
    """Seconds of a step of each program."""
    calls = [call for fit in fits for call in (lambda fit=fit: fit(1), lambda fit=fit: fit(1 + STEPS))]
    times = least(calls, repeats)
    return [(times[2 * i + 1] - times[2 * i]) / STEPS for i in range(len(fits))]


def steps(n: int, d: int, n_components: int, repeats: int, share: float = 0.0, n_patterns: int = 0) -> list[str]:
    """A row of the table of steps, with a share of the entries missing, or with so many patterns."""
    X, labels = clusters(n, d, n_components)
    groups = [X[labels == c] for c in range(n_components)]
    start = {
        "weights_init": np.full(n_components, 1.0 / n_components),
        "means_init": np.array([group.mean(axis=0) for group in groups]),
        "covariances_init": np.array([np.cov(group.T) for group in groups]),
    }
    rng = np.random.default_rng(1)
    missing = rng.uniform(size=(n_patterns or n, d)) < share
    if n_patterns:
        missing[0] = False
        missing = missing[rng.integers(n_patterns, size=n)]
    gaps = np.where(missing, np.nan, X)
    own, other = step_seconds(
        [lambda steps: own_fit(gaps, start, steps), lambda steps: sklearn_fit(X, start, steps)], repeats
    )
    kinds = f"{share:.0%} missing, {len(np.unique(missing, axis=0)):,} patterns" if share else "complete"
    return [
        f"{n:,} x {d}, K = {n_components}",
        kinds,
        f"{own:.4f}",
        f"{other:.4f}",
        f"{own / other:.2f}",
        f"{other / own:.2f}",
    ]


def whole_fit(name: str, X: np.ndarray, n_components: int, repeats: int) -> list[str]:
    """A row of the table of whole fits: both from the same start, scikit-learn's with as many steps as it needs."""
    from skentropy import GaussianMixture

    start = start_of_thirds(X, n_components)
    options = {"tol": 1e-9, **start}
    ours = GaussianMixture(n_components, **options).fit(X)
    end = ours.score(X)
    low, high = 0, 1
    while sklearn_fit(X, start, high).score(X) < end - NEAR and high < 4096:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if sklearn_fit(X, start, middle).score(X) >= end - NEAR else (middle, high)
    reached = sklearn_fit(X, start, high).score(X) >= end - NEAR
    low_own, high_own = 0, ours.n_iter_
    while high_own - low_own > 1:
        middle = (low_own + high_own) // 2
        near = GaussianMixture(n_components, max_iter=middle, **options).fit(X).score(X) >= end - NEAR
        low_own, high_own = (low_own, middle) if near else (middle, high_own)
    fit = GaussianMixture(n_components, max_iter=high_own, **options).fit
    own, other = least([lambda: fit(X), lambda: sklearn_fit(X, start, high)], repeats)
    remark = "" if reached else "scikit-learn does not get there"
    title = f"{name}, {len(X)} x {X.shape[1]}, K = {n_components}"
    return [title, f"{own:.4f}", f"{other:.4f}", str(high_own), str(high), f"{other / own:.2f}", remark]


def start_of_thirds(X: np.ndarray, n_components: int) -> dict[str, Any]:
    """Means and covariances of rows in the order of the sum of their standardised columns, cut into equal parts."""
    order = np.argsort(((X - X.mean(axis=0)) / X.std(axis=0)).sum(axis=1), kind="stable")
    parts = [X[part] for part in np.array_split(order, n_components)]
    return {
        "weights_init": np.array([len(part) for part in parts]) / len(X),
        "means_init": np.array([part.mean(axis=0) for part in parts]),
        "covariances_init": np.array([np.cov(part.T, bias=True) for part in parts]),
    }


def mixed_table(repeats: int) -> Iterator[str]:
    """The American National Election Study of 1996: two measurements, a vote, two answers of seven categories."""
    from statsmodels.datasets import anes96
    from stepmix.stepmix import StepMix
    from stepmix.utils import get_mixed_descriptor

    from skentropy import ColumnMixture
    from skentropy.families import Categorical

    frame = anes96.load_pandas().data[["age", "income", "vote", "PID", "educ"]].astype(float)
    frame["educ"] -= 1.0
    kinds = {"continuous": ["age", "income"], "binary": ["vote"], "categorical": ["PID", "educ"]}
    data, descriptor = get_mixed_descriptor(frame, **kinds)
    blocks = [("measures", "gaussian", [0, 1]), ("vote", "bernoulli", [2]), ("answers", Categorical(7), [3, 4])]
    X = frame.to_numpy()

    def own() -> Any:
        return ColumnMixture(blocks, 2, random_state=0).fit(X)

    ours = own().score(X)

    def other(seed: int) -> Any:
        options = {"n_init": 1, "abs_tol": 1e-8, "rel_tol": 0.0, "max_iter": 5000, "progress_bar": 0, "random_state": seed}
        return StepMix(2, measurement=descriptor, **options).fit(data)

    scores = [other(seed).score(data) for seed in range(5)]
    best = int(np.argmax(scores))
    own_seconds, other_seconds = least([own, lambda: other(best)], repeats)
    yield from table(
        ["program", "CPU s", "ratio", "log-likelihood"],
        [
            ["skentropy, default fit: 32 starts", f"{own_seconds:.4f}", "1", f"{ours:.6f}"],
            [
                "stepmix, one start, the best of 5",
                f"{other_seconds:.4f}",
                f"{other_seconds / own_seconds:.1f}",
                f"{max(scores):.6f}",
            ],
        ],
    )


def dispersed_counts(repeats: int) -> Iterator[str]:
    """Visits to doctors of the RAND experiment."""
    from statsmodels.datasets import randhie

    from skentropy import NegativeBinomialMixture

    X = randhie.load_pandas().data[["mdvis"]].to_numpy(float)
    model = NegativeBinomialMixture(2, random_state=0)
    (seconds,) = least([lambda: model.fit(X)], repeats)
    rows = [[f"{len(X):,} x 1, K = 2", f"{seconds:.3f}", f"{model.score(X):.6f}"]]
    yield from table(["default fit of NegativeBinomialMixture", "CPU s", "log-likelihood"], rows)


def page(quick: bool) -> Iterator[str]:
    yield setting("skentropy", "sklearn", *PEERS) + "\n"
    yield from left_out(PEERS)
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    shared = "The machine was shared: seconds are less certain than ratios, and these are rough." if load > cores else ""
    yield NOTES.format(load=f"At the start {load:.0f} processes ran or waited on {cores} cores. {shared}".rstrip())
    repeats = 2 if quick else 3
    n = 2_000 if quick else 100_000
    yield "## Steps\n"
    columns = ["rows", "kind", "skentropy s", "scikit-learn s", "time by scikit-learn's", "times as fast"]
    shapes = [(n, 3, 3)] if quick else [(n, 2, 3), (n, 5, 3), (50_000, 10, 3)]
    rows = [
        steps(n, 20, 10, repeats),
        steps(n, 20, 10, repeats, share=0.1),
        steps(n, 20, 10, repeats, share=0.1, n_patterns=8),
        *(steps(*shape, repeats) for shape in shapes),
    ]
    yield from table(columns, rows, text=2)
    yield "## Whole fits from a common start to the same log-likelihood\n"
    columns = ["table", "skentropy s", "scikit-learn s", "steps", "its steps", "times as fast", "remark"]
    tables: list[tuple[str, Any, int]] = [("iris", load_iris().data, 3), ("wine, standardised", scaled(load_wine().data), 3)]
    tables.append(("breast cancer, five columns", load_breast_cancer().data[:, :5], 2))
    fits = (whole_fit(name, X, K, 2 if quick else 15) for name, X, K in (tables[:1] if quick else tables))
    yield from table(columns, fits)
    if is_installed("statsmodels") and not quick:
        if is_installed("stepmix"):
            yield "## A mixed table, anes96, 944 x 5, K = 2\n"
            yield from mixed_table(repeats)
        yield "## Dispersed counts, randhie\n"
        yield from dispersed_counts(repeats)


def scaled(X: np.ndarray) -> np.ndarray:
    return StandardScaler().fit_transform(X)
