"""How often the closed form chooses the truth, beside cross-validation, and what each costs.

Run ``python docs/benchmarks/bench_model_selection.py``; it prints the table and writes results_model_selection.md beside itself.
``--seeds`` sets the number of data sets of each size. BLAS is held to one thread.
"""

from __future__ import annotations

import argparse
import platform
import time
import warnings
from pathlib import Path

import numpy as np
import sklearn
from sklearn.model_selection import GridSearchCV
from threadpoolctl import threadpool_limits

from skentropy import PPCA, EntropySumSearch, FactorAnalysis, GammaMixture, PoissonMixture, SigmoidBeliefNet


def poisson(n, rng):
    rates = rng.gamma(2.0, 3.0, size=(3, 6))
    return rng.poisson(rates[rng.randint(3, size=n)]).astype(float)


def gamma(n, rng):
    means = np.array([[2.0] * 4, [4.0] * 4]) * rng.uniform(0.8, 1.25, size=(2, 4))
    shapes = np.array([[6.0] * 4, [10.0] * 4])
    labels = rng.randint(2, size=n)
    return rng.gamma(shapes[labels], (means / shapes)[labels])


def ppca(n, rng):
    return rng.normal(size=(n, 4)) @ rng.normal(size=(4, 10)) + rng.normal(size=(n, 10))


def factors(n, rng):
    return rng.normal(size=(n, 3)) @ rng.normal(size=(3, 12)) + rng.normal(size=(n, 12)) * rng.uniform(0.5, 2.0, 12)


def belief_net(n, rng):
    weights, on = 4.0 * (rng.uniform(size=(4, 16)) < 0.35), rng.uniform(size=(n, 4)) < 0.4
    p = 1.0 / (1.0 + np.exp(2.5 - on @ weights))
    return (rng.uniform(size=p.shape) < p).astype(float)


# name: data, estimator, candidates, truth, sizes, share of the seeds.
PROBLEMS = {
    "Poisson mixture": (poisson, PoissonMixture(random_state=0, prior_counts=0.01), range(1, 9), 3, (100, 300, 1000), 1.0),
    "gamma mixture": (gamma, GammaMixture(random_state=0), range(1, 6), 2, (100, 300, 1000), 1.0),
    "PPCA": (ppca, PPCA(), range(1, 10), 4, (50, 200, 1000), 1.0),
    "factor analysis": (factors, FactorAnalysis(), range(1, 7), 3, (50, 200, 1000), 1.0),
    "sigmoid belief net": (belief_net, SigmoidBeliefNet(random_state=0, alpha=0.1), range(1, 7), 4, (500, 1000, 2000), 1.0),
}


def compare(name: str, n: int, seeds: int):
    draw, estimator, candidates, truth, _, _ = PROBLEMS[name]
    grid = {"n_components": list(candidates)}
    discrete = hasattr(estimator, "_discrete_latents")
    right, seconds = {"bic": 0, "icl": 0, "cv": 0}, {"closed": 0.0, "cv": 0.0}
    for seed in range(seeds):
        X = draw(n, np.random.RandomState(seed))
        start = time.perf_counter()
        search = EntropySumSearch(estimator, grid).fit(X)
        seconds["closed"] += time.perf_counter() - start
        right["bic"] += search.best_params_["n_components"] == truth
        if discrete:
            icl = [row.icl for row in sorted(search.ranking_, key=lambda row: row.n_parameters)]
            right["icl"] += list(candidates)[int(np.argmax(icl))] == truth
        start = time.perf_counter()
        folds = GridSearchCV(estimator, grid, cv=5, scoring=None).fit(X)
        seconds["cv"] += time.perf_counter() - start
        right["cv"] += folds.best_params_["n_components"] == truth
    icl_share = f"{right['icl'] / seeds:.0%}" if discrete else "-"
    closed, cv = seconds["closed"] / seeds, seconds["cv"] / seeds
    shares = f"{right['bic'] / seeds:.0%} | {icl_share} | {right['cv'] / seeds:.0%}"
    return f"| {name} | {truth} of {candidates[0]}..{candidates[-1]} | {n} | {seeds} | {shares} | {closed:.3f} | {cv:.3f} | {closed / cv:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=50)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    lines = [
        "# Choosing the truth by the closed form and by cross-validation\n",
        f"Python {platform.python_version()}, NumPy {np.__version__}, scikit-learn {sklearn.__version__}; one BLAS thread, serial. Shares of "
        "data sets in which the true number of components was chosen: by the BIC and the ICL of `EntropySumSearch` (one fit a candidate), and "
        "by `GridSearchCV(cv=5, scoring=None)`; seconds for the whole choice.\n",
        "| model | truth | n | data sets | BIC | ICL | 5-fold CV | closed form s | CV s | ratio |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    print("\n".join(lines))
    with threadpool_limits(1):
        for name, problem in PROBLEMS.items():
            for n in problem[4]:
                lines.append(compare(name, n, max(int(problem[5] * arguments.seeds), 1)))
                print(lines[-1], flush=True)
    (Path(__file__).parent / "results_model_selection.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
