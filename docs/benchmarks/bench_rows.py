"""From ten thousand rows to a thousand million: a step of every estimator, threads beside the memory's speed, and what a cluster adds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from common import fresh, is_installed, left_out, setting, table

TITLE = "From ten thousand rows to a thousand million"
COLUMNS, COMPONENTS = 50, 5
SIZES, QUICK_SIZES = [10**4, 10**5, 10**6, 10**7], [200, 400, 800]
# Rows that are drawn; further ones are these with their columns rotated, which are other rows.
DRAWN = 10**5
# A size is left out where two fits of it would take longer than so many seconds.
LIMIT = 60.0
# The exponent is fitted to so many of the largest sizes.
UPPER = 3
THREADED = {"rows": 10**6, "columns": 50, "components": COMPONENTS}
MANY, WORKERS = 10**9, [1, 10, 100, 1000]
PARTITIONS, FEW = [8, 64], 100


def draw(kind: str, n: int, d: int = COLUMNS) -> np.ndarray:
    """Rows in single precision: counts, positive or real values, with gaps or without, zeros and ones, shares or directions."""
    rng = np.random.default_rng(0)
    size = min(n, DRAWN)
    labels = rng.integers(COMPONENTS, size=size)
    apart = 0.2 * rng.normal(size=(COMPONENTS, d))[labels]  # little: EM takes all the steps that it is given
    level = rng.gamma(4.0, 0.75, size=d) * np.exp(apart)
    X = {
        "counts": lambda: rng.poisson(level),
        "positive": lambda: rng.gamma(1.0 + level),
        "real": lambda: apart + rng.normal(size=(size, d)),
        "gaps": lambda: np.where(rng.random((size, d)) < 0.05, np.nan, apart + rng.normal(size=(size, d))),
        "binary": lambda: rng.random((size, d)) < 1.0 / (1.0 + np.exp(-apart)),
        "shares": lambda: rng.gamma(1.0 + level),
        "directions": lambda: apart + rng.normal(size=(size, d)),
    }[kind]().astype(np.float32)
    if kind == "shares":
        X /= X.sum(axis=1, keepdims=True)
    elif kind == "directions":
        X /= np.linalg.norm(X, axis=1, keepdims=True)
    rows = np.empty((n, d), np.float32)
    for turn, start in enumerate(range(0, n, DRAWN)):
        rows[start : start + DRAWN] = np.roll(X, turn, axis=1)[: n - start]
    return rows


@dataclass(frozen=True)
class Case:
    """An estimator, its kind of rows, and what is timed: an EM step, an epoch, or a fit in closed form."""

    rows: str
    unit: str
    model: Any


def cases() -> dict[str, Case]:
    import skentropy as sk

    K, net = COMPONENTS, {"tol": 0.0, "accelerate": False, "random_state": 0}
    plain = {**net, "n_starts": 1}
    blocks = [("reals", "gaussian", [*range(25)]), ("counts", "poisson", [*range(25, 50)])]
    return {
        "PoissonMixture": Case("counts", "step", sk.PoissonMixture(K, **plain)),
        "MultinomialMixture": Case("counts", "step", sk.MultinomialMixture(K, **plain)),
        "NegativeBinomialMixture": Case("counts", "step", sk.NegativeBinomialMixture(K, **plain)),
        "GammaMixture": Case("positive", "step", sk.GammaMixture(K, **plain)),
        "ExponentialFamilyMixture, Bernoulli": Case("binary", "step", sk.ExponentialFamilyMixture("bernoulli", K, **plain)),
        "GaussianMixture, diagonal": Case("real", "step", sk.GaussianMixture(K, covariance_type="diag", **plain)),
        "GaussianMixture, full": Case("real", "step", sk.GaussianMixture(K, **plain)),
        "StudentTMixture": Case("real", "step", sk.StudentTMixture(K, **plain)),
        "DirichletMixture": Case("shares", "step", sk.DirichletMixture(K, **plain)),
        "VonMisesFisherMixture": Case("directions", "step", sk.VonMisesFisherMixture(K, **plain)),
        "ColumnMixture, 25 Gaussian and 25 Poisson": Case("counts", "step", sk.ColumnMixture(blocks, K, **plain)),
        "PPCA, 5% missing": Case("gaps", "step", sk.PPCA(K, **net)),
        "SigmoidBeliefNet": Case("binary", "step", sk.SigmoidBeliefNet(K, **net)),
        "PPCA": Case("real", "fit", sk.PPCA(K)),
        "FactorAnalysis": Case("real", "fit", sk.FactorAnalysis(K)),
        "GaussianVAE": Case("real", "epoch", sk.GaussianVAE(K, random_state=0)),
    }


def seconds_of(fit: Callable[[], Any], repeats: int = 1) -> float:
    """The least of so many calls."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        fit()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def seconds_of_unit(case: Case, X: Any, repeats: int) -> float:
    """Seconds of a fit, or of a step: the difference between fits of few and of more steps from the same start."""
    if case.unit == "fit":
        return seconds_of(lambda: case.model.fit(X), repeats)
    few, many = (1, 3) if case.unit == "epoch" else (2, 12 if X.shape[0] <= DRAWN else 7)
    short, long = (
        seconds_of(lambda steps=steps: case.model.set_params(max_iter=steps).fit(X), repeats) for steps in (few, many)
    )
    if case.model.n_iter_ != many and X.shape[0] >= SIZES[0]:  # fits of the few rows of a trial may end before
        raise RuntimeError(f"{case.model} ended after {case.model.n_iter_} of {many} steps")
    return max(long - short, 1e-9) / (many - few)  # noise can make the short fit the longer one


def growth(name: str, sizes: list[int]) -> list[float]:
    """Seconds of an estimator's unit at growing sizes, as long as they are not too many."""
    case = cases()[name]
    seconds: list[float] = []
    spent = 0.0
    case.model.fit(draw(case.rows, sizes[0]))  # to have imported all there is
    for n in sizes:
        if seconds and spent * n / sizes[len(seconds) - 1] > LIMIT:
            break
        X = draw(case.rows, n)
        repeats = {10**4: 20, 10**5: 5}.get(n, 1)
        start = time.perf_counter()
        seconds.append(seconds_of_unit(case, X, repeats))
        spent = (time.perf_counter() - start) / repeats
    return seconds


def exponent(sizes: list[int], seconds: list[float]) -> float:
    """Least squares of the logarithms, over the largest sizes."""
    sizes = sizes[: len(seconds)]
    return float(np.polyfit(np.log(sizes[-UPPER:]), np.log(seconds[-UPPER:]), 1)[0])


def rows_of_growth(names: list[str], sizes: list[int], per_row: dict[str, tuple[str, float]]) -> Iterator[list[str]]:
    for name in names:
        case = cases()[name]
        seconds = fresh(growth, name, sizes)
        per_row[name] = case.unit, seconds[-1] / sizes[len(seconds) - 1]
        shown = [f"{value:.3g}" for value in seconds] + [""] * (len(sizes) - len(seconds))
        yield [name, case.unit, *shown, f"{exponent(sizes, seconds):.2f}", f"{1e9 * per_row[name][1]:.0f}"]


def threads(kind: str, name: str, n: int, d: int, K: int) -> list[float]:
    """Seconds of a step with one and with two threads: in turns, the least of several, each in this process."""
    import skentropy as sk

    X = draw(kind, n, d).astype(np.float64)
    options = {"tol": 0.0, "n_starts": 1, "accelerate": False, "random_state": 0}
    if name == "GaussianMixture":
        options["covariance_type"] = "diag"
    least = {}
    for _ in range(3):
        for n_jobs in (1, 2):
            case = Case(kind, "step", getattr(sk, name)(K, n_jobs=n_jobs, **options))
            least[n_jobs] = min(least.get(n_jobs, np.inf), seconds_of_unit(case, X, 1))
    return [least[1], least[2]]


def bandwidth(n: int, d: int, n_threads: int) -> float:
    """Bytes a second that so many threads read of a table in memory: the most of several passes."""
    X = np.ones((n, d))
    parts = np.array_split(X, n_threads)
    with ThreadPoolExecutor(n_threads) as pool:
        return X.nbytes / seconds_of(lambda: [*pool.map(np.max, parts)], 10)


def rows_of_threads(shape: dict[str, int]) -> Iterator[list[str]]:
    n, d, K = shape.values()
    for name, kind in {"PoissonMixture": "counts", "GammaMixture": "positive", "GaussianMixture": "real"}.items():
        one, two = fresh(threads, kind, name, n, d, K)
        read = [f"{8 * n * d / seconds / 1e9:.1f}" for seconds in (one, two)]
        yield [name, f"{one:.3f}", f"{two:.3f}", f"{one / two:.2f}", *read]
    one, two = (8 * n * d / fresh(bandwidth, n, d, n_threads) for n_threads in (1, 2))
    yield [
        "reading the table",
        f"{one:.3f}",
        f"{two:.3f}",
        f"{one / two:.2f}",
        *(f"{8 * n * d / s / 1e9:.1f}" for s in (one, two)),
    ]


def cost_of_a_partition() -> float:
    """Seconds that a step on Dask takes for each partition of few rows: the slope between few and many of them."""
    import dask.array as da
    from distributed import Client, LocalCluster, wait

    from skentropy import PoissonMixture

    rng = np.random.default_rng(0)
    X = rng.poisson(3.0, size=(FEW * max(PARTITIONS), COLUMNS)).astype(float)
    rates = 3.0 * rng.uniform(0.95, 1.05, size=(COMPONENTS, COLUMNS))  # near to each other: EM takes all the steps
    case = Case("counts", "step", PoissonMixture(COMPONENTS, tol=0.0, accelerate=False, rates_init=rates))
    local = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    steps = []
    with LocalCluster(**local) as cluster, Client(cluster) as client:
        for count in PARTITIONS:
            rows = client.persist(da.from_array(X[: FEW * count], chunks=(FEW, COLUMNS)))
            wait([rows])
            steps.append(seconds_of_unit(case, rows, 5))
    return (steps[1] - steps[0]) / (PARTITIONS[1] - PARTITIONS[0])


def rows_of_many(per_row: dict[str, tuple[str, float]], partition: float) -> Iterator[list[str]]:
    for name, (unit, seconds) in per_row.items():
        if unit == "epoch":  # of small batches, one after the other, in one process
            continue
        yield [name, unit, *(f"{seconds * MANY / workers + partition * workers:.3g}" for workers in WORKERS)]


def page(quick: bool) -> Iterator[str]:
    sizes = QUICK_SIZES if quick else SIZES
    names = [*cases()][:: 6 if quick else 1]
    yield setting("skentropy", "dask", "distributed") + "\n"
    yield from left_out(["distributed"])
    yield (
        f"Seconds of one EM step of every estimator, of an epoch, or of a fit where there are no steps: {COLUMNS} columns in single precision, "
        f"{COMPONENTS} components, one thread. A step is one of plain EM, and the difference between fits of different lengths by the difference in "
        f"length. The exponent is that of time over rows at the {UPPER} largest sizes; a row ends where fits would take more than "
        f"{LIMIT:.0f} s.\n"
    )
    per_row: dict[str, tuple[str, float]] = {}
    columns = ["estimator", "unit", *(f"{n:,} rows" for n in sizes), "exponent", "ns a row"]
    yield from table(columns, rows_of_growth(names, sizes, per_row), text=2)
    shape = {"rows": 2_000, "columns": 5, "components": 2} if quick else THREADED
    yield "## Two threads, and the speed of memory: {rows:,} x {columns} in double precision, {components} components\n".format(
        **shape
    )
    yield "A step reads the table once. With two threads it cannot read faster than two threads that do nothing else.\n"
    columns = ["what", "s, one thread", "s, two threads", "times as fast", "GB/s, one thread", "GB/s, two threads"]
    yield from table(columns, rows_of_threads(shape))
    if quick or not is_installed("distributed"):
        return
    partition = cost_of_a_partition()
    yield f"## {MANY:,} rows, computed\n"
    yield (
        f"Seconds of the same units on so many workers of one core, of which each holds its rows in memory ({MANY * COLUMNS * 4 / 1e9:.0f} GB in all, in single "
        f"precision): nanoseconds a row of the first table, by the number of workers, and {1e3 * partition:.1f} ms for each worker's partition. So much a "
        f"partition adds to a step on Dask, measured as the slope between {PARTITIONS[0]} and {PARTITIONS[1]} partitions of {FEW} rows on two workers. "
        "It is not measured here how a network between the workers would slow this down; a step sends only sums to and fro.\n"
    )
    yield from table(
        ["estimator", "unit", *(f"workers: {workers:,}" for workers in WORKERS)], rows_of_many(per_row, partition), text=2
    )
