"""The bootstrap test of the number of components: how often it rejects what is true, its verdicts on known data, and its time."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from copy import copy
from typing import Any

import numpy as np
from bench_mixture import LONDON_TIMES
from common import setting, table
from plain_lrt import from_starts, maxima, promised, simulated

from skentropy import GaussianMixture, PoissonMixture
from skentropy.model_selection import bootstrap, bootstrap_lrt

TITLE = "The bootstrap test of the number of components"
LEVELS = (0.05, 0.1, 0.5)
NOTES = """\
Rows are drawn from K components, and K is tested against K + 1 with at most {n_boot} replicates. A test ends early
with the twentieth statistic that is as large. The columns hold the shares of {n} data sets whose p is at most 0.05, 0.1 and 0.5, with
their standard errors. A test holds its level if a share is no larger than its bound. p is 1 where K + 1 components gain nothing.
"""
NOTES_PLAIN = """\
The same test of 2 against 3 by a program that shares nothing with this package: EM in NumPy, {n} data sets from the fit of two
components, and the statistic of the data and of all of them computed in the same way.

At their maxima, with plain EM of 63,000 steps from the best of many starts, p is what the package says. It cannot be much larger: the
likelihood is concave in the mixing distribution, and where no further rate promises a gain at the fit of two components no third one
can bring any (Lindsay 1983). In {none:.0%} of the data sets none promises as much as the statistic of the data, {statistic:.4f}, so
that p is at most {most:.3f}, whatever one fits and however long.

A value of 0.84 has been reported. It is not the p of this test at the maxima. Such values come from EM that is stopped early. The
likelihoods of two and of three components differ by hundredths of a nat, which is less than what is still to come when steps are small.
The statistic of the data is then about zero or negative, and p tells how the fits were stopped, and nothing of the data. At the maxima
negative statistics are rounding errors of zero.
"""
NOTES_TIMES = """\
Deaths in The Times of London, 1,096 days as frequencies of ten counts, one process. A refit is warm: it starts at the maximum.
"""


def one_poisson() -> tuple[Any, int]:
    return PoissonMixture.from_parameters([1.0], [[2.157]]), 300


def one_gaussian() -> tuple[Any, int]:
    return GaussianMixture.from_parameters([1.0], [[0.0, 0.0]], [1.0], "tied_spherical"), 100


CASES = [
    ("1 Poisson, 300 rows, 1 column", one_poisson),
    ("1 Gaussian of one variance, 100 rows, 2 columns", one_gaussian),
]


def levels(n: int, n_boot: int) -> Iterator[list[str]]:
    for name, make in CASES:
        truth, n_rows = make()
        mixture = type(truth)(**truth.get_params())
        started, pvalues, made = time.process_time(), [], 0
        for seed in range(n):
            X, _ = truth.sample(n_rows, random_state=seed)
            test = bootstrap_lrt(mixture, X, n_boot, random_state=seed)
            pvalues.append(test.pvalue)
            made += len(test.null_distribution)
        seconds = (time.process_time() - started) / n
        shares = [float(np.mean(np.array(pvalues) <= level)) for level in LEVELS]
        told = [f"{share:.3f} ± {np.sqrt(level * (1 - level) / n):.3f}" for share, level in zip(shares, LEVELS, strict=True)]
        yield [name, *told, f"{np.mean(np.array(pvalues) == 1.0):.2f}", f"{made / n:.0f}", f"{seconds:.2f}"]


def deaths(quick: bool) -> Iterator[list[str]]:
    X, weight = np.arange(10.0)[:, np.newaxis], np.array(LONDON_TIMES, dtype=float)
    for K, early in ((1, True), (2, True), (2, False)):
        n_boot = 3 if quick else 99 if early else 499
        bootstrap_lrt(PoissonMixture(K), X, 2, sample_weight=weight)
        started = time.process_time()
        test = bootstrap_lrt(PoissonMixture(K), X, n_boot, sample_weight=weight, stop_early=early, random_state=0)
        seconds = time.process_time() - started
        what = f"{K} against {K + 1}, at most {n_boot} replicates{'' if early else ', all made'}"
        yield [what, f"{test.statistic:.4f}", f"{test.pvalue:.3f}", f"{len(test.null_distribution)}", f"{seconds:.2f}"]


def by_numpy(quick: bool) -> Iterator[str]:
    """The test of 2 against 3 on the same data, without this package."""
    n, n_steps, rng = 5 if quick else 500, 300 if quick else 20_000, np.random.default_rng(0)
    observed = np.array([[*LONDON_TIMES]], dtype=float)
    (_, weights, rates), _ = maxima(observed, quick)
    days = simulated(n, weights[0], rates[0], int(observed.sum()), rng)
    days = np.concatenate([np.pad(observed, ((0, 0), (0, days.shape[1] - observed.shape[1]))), days])
    two, three = maxima(days, quick)

    def row(how: str, ratio: np.ndarray) -> list[str]:
        p = (1 + np.sum(ratio[1:] >= ratio[0] - 1e-6)) / (n + 1)
        return [how, f"{ratio[0]:.4f}", f"{p:.3f}", f"{np.mean(ratio[1:] < 0):.2f}"]

    ratio = 2.0 * (three[0] - two[0])
    rows = [row("at the maxima", ratio)]
    for tol in (1e-2, 1e-3, 1e-5):
        for n_starts in (1, 10):
            two_stopped, three_stopped = (from_starts(days, K, n_starts, n_steps, rng, tol)[0] for K in (2, 3))
            how = f"{n_starts} start{'s' * (n_starts > 1)}, until a step gains {tol:g} nats in total"
            rows.append(row(how, 2.0 * (three_stopped - two_stopped)))
    none = float(np.mean(2.0 * promised(days, *two[1:])[0][1:] < ratio[0]))
    yield NOTES_PLAIN.format(n=n, none=none, statistic=ratio[0], most=(1 + n * (1.0 - none)) / (n + 1))
    yield from table(["fits", "statistic of the data", "p", "negative statistics"], rows)


def refits(quick: bool) -> Iterator[list[str]]:
    X, weight = np.arange(10.0)[:, np.newaxis], np.array(LONDON_TIMES, dtype=float)
    mixture = PoissonMixture(2, random_state=0, warm_start=True).fit(X, sample_weight=weight)
    times = []
    for _ in range(5 if quick else 200):
        started = time.process_time()
        mixture.fit(X, sample_weight=weight)
        times.append(time.process_time() - started)
    yield ["refit to the same frequencies", f"{1e3 * min(times):.2f}", f"{1e3 * np.median(times):.2f}"]
    drawn = np.random.default_rng(0).multinomial(int(weight.sum()), weight / weight.sum(), size=5 if quick else 200)
    times = []
    for resampled in drawn.astype(float):
        again = copy(mixture)
        started = time.process_time()
        again.fit(X, sample_weight=resampled)
        times.append(time.process_time() - started)
    yield ["refit to rows drawn again", f"{1e3 * min(times):.2f}", f"{1e3 * np.median(times):.2f}"]
    n = 5 if quick else 200
    times = []
    for seed in range(3):
        started = time.process_time()
        bootstrap(mixture, X, n, sample_weight=weight, random_state=seed)
        times.append((time.process_time() - started) / n)
    yield ["bootstrap by random weights, each fit", f"{1e3 * min(times):.2f}", f"{1e3 * np.median(times):.2f}"]


def page(quick: bool) -> Iterator[str]:
    n, n_boot = (2, 3) if quick else (100, 39)
    yield setting() + "\n"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield "## Known data\n"
        yield NOTES_TIMES
        yield from table(["test", "statistic", "p", "replicates", "CPU seconds"], deaths(quick))
        yield from table(["fit", "least CPU ms", "median CPU ms"], refits(quick))
        yield "## The Times by NumPy alone\n"
        yield from by_numpy(quick)
        yield "## Level\n"
        yield NOTES.format(n=n, n_boot=n_boot)
        heads = [f"p <= {level}" for level in LEVELS]
        yield from table(["model", *heads, "p = 1", "replicates", "CPU seconds a test"], levels(n, n_boot))
