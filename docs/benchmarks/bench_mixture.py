"""Seconds of one EM iteration of mixtures, beside the matrix products that it cannot do without, and beside peers.

Run from a checkout: ``python docs/benchmarks/bench_mixture.py``. It prints a table and writes it to ``results_mixture.md`` beside this
file. BLAS is held to one thread throughout, but for the lines that say otherwise; ratios are between rows of the same run. An
iteration's time is the difference between two fits of different lengths from the same start, divided by the difference in
length; the least of several repetitions is given.
"""

from __future__ import annotations

import platform
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy
import sklearn
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

from skentropy import ExponentialFamilyMixture, PoissonMixture

N, D, K = 100_000, 50, 10
REPEATS = 5


def clock(function: Callable[[], Any]) -> tuple[float, float]:
    """Wall and CPU seconds of the fastest of several calls."""
    times = []
    for _ in range(REPEATS):
        wall, cpu = time.perf_counter(), time.process_time()
        function()
        times.append((time.perf_counter() - wall, time.process_time() - cpu))
    return min(times)


def an_iteration(fit: Callable[[int], Any], few: int = 2, many: int = 12) -> tuple[float, float]:
    short, long = clock(lambda: fit(few)), clock(lambda: fit(many))
    return (long[0] - short[0]) / (many - few), (long[1] - short[1]) / (many - few)


def products(statistics: list[Any]) -> Callable[[], Any]:
    """The two products of an iteration: (n, S D) with (S D, K), and (K, n) with (n, S D)."""
    eta, q = np.ones((D, K)), np.ones((K, N))

    def run() -> None:
        for T in statistics:
            T @ eta
            q @ T

    return run


def skentropy_fit(family: str, X: Any, init: dict[str, Any], n_jobs: int = 1) -> Callable[[int], Any]:
    def fit(n: int) -> None:
        mixture = ExponentialFamilyMixture(
            family, K, tol=0.0, max_iter=n, accelerate=False, parameters_init=init, n_jobs=n_jobs
        ).fit(X)
        assert mixture.n_iter_ == n

    return fit


def pomegranate_fit(X: Any, rates: Any) -> Callable[[int], Any] | None:
    try:
        import torch
        from pomegranate.distributions import Poisson
        from pomegranate.gmm import GeneralMixtureModel
    except ImportError as error:
        print(f"pomegranate is left out: {error}")
        return None
    torch.set_num_threads(1)
    data = torch.tensor(X, dtype=torch.float32)

    def fit(n: int) -> None:
        distributions = [Poisson(torch.tensor(rate, dtype=torch.float32)) for rate in rates]
        GeneralMixtureModel(distributions, max_iter=n, tol=-np.inf).fit(data)

    return fit


def main() -> None:
    warnings.simplefilter("ignore")
    rng = np.random.RandomState(0)
    truth = rng.gamma(400.0, 3.0 / 400.0, size=(K, D))  # components that overlap, for EM to have something to do
    counts = rng.poisson(truth[rng.randint(K, size=N)]).astype(float)
    amounts = rng.gamma(2.0 + truth[rng.randint(K, size=N)])
    rates = truth * rng.uniform(0.8, 1.2, size=(K, D))
    poisson, gamma = {"rates": rates}, {"shapes": 2.0 + rates, "rates": np.ones((K, D))}
    rows: list[tuple[str, tuple[float, float]]] = []
    with threadpool_limits(1):
        rows.append(("two products, Poisson", clock(products([counts]))))
        rows.append(("skentropy, Poisson", an_iteration(skentropy_fit("poisson", counts, poisson))))
        rows.append(("skentropy, Poisson, n_jobs=2", an_iteration(skentropy_fit("poisson", counts, poisson, 2))))
        rows.append(("two products, gamma", clock(products([np.log(amounts), amounts]))))
        rows.append(("skentropy, gamma", an_iteration(skentropy_fit("gamma", amounts, gamma))))
        rows.append(("skentropy, gamma, n_jobs=2", an_iteration(skentropy_fit("gamma", amounts, gamma, 2))))
        peer = {"covariance_type": "diag", "init_params": "random_from_data", "tol": 0.0, "random_state": 0}
        rows.append(
            (
                "scikit-learn GaussianMixture, diag",
                an_iteration(lambda n: GaussianMixture(K, max_iter=n, **peer).fit(counts)),
            )
        )
        if (fit := pomegranate_fit(counts, rates)) is not None:
            rows.append(("pomegranate, Poisson", an_iteration(fit, 2, 4)))

    seconds = dict(rows)
    lines = [
        f"{N:,} x {D}, {K} components, float64. Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}, "
        f"scikit-learn {sklearn.__version__}.",
        "",
        "| one iteration | wall, ms | CPU, ms | wall / its products | wall / skentropy Poisson |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, (wall, cpu) in rows:
        base = seconds["two products, gamma" if "gamma" in name else "two products, Poisson"][0]
        lines.append(
            f"| {name} | {1e3 * wall:.1f} | {1e3 * cpu:.1f} | {wall / base:.2f} | {wall / seconds['skentropy, Poisson'][0]:.2f} |"
        )
    lines += ["", "| peak memory of fit beyond the data, n_jobs=1 | MB | of the data |", "| --- | ---: | ---: |"]
    for family, X, init in (("poisson", counts, poisson), ("gamma", amounts, gamma)):
        for start, options in (("given start", {"parameters_init": init}), ("seeded start", {})):
            tracemalloc.start()
            ExponentialFamilyMixture(family, K, max_iter=2, random_state=0, **options).fit(X)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            lines.append(f"| {family}, {start} | {peak / 1e6:.1f} | {peak / X.nbytes:.2f} |")
    counts = np.arange(10).reshape(-1, 1)
    days = [162, 267, 271, 185, 111, 61, 27, 8, 3, 1]
    wall, _ = clock(lambda: PoissonMixture(2, random_state=0).fit(counts, sample_weight=days))
    mixture = PoissonMixture(2, random_state=0).fit(counts, sample_weight=days)
    lines += ["", f"London Times, C = 2, default settings: {1e3 * wall:.1f} ms, {mixture.n_iter_} EM steps, log-likelihood "]
    lines[-1] += f"{1096 * mixture.lower_bound_:.8f} (reference -1989.94585988)."
    table = "\n".join(lines)
    print(table)
    path = Path(__file__).parent / "results_mixture.md"
    path.write_text(f"# Mixtures\n\nWritten by `python docs/benchmarks/bench_mixture.py`.\n\n{table}\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
