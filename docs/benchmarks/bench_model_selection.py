"""How often the closed form chooses the truth, beside cross-validation, and what each costs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from common import clock, setting, table
from sklearn.model_selection import GridSearchCV

from skentropy import PPCA, EntropySumSearch, FactorAnalysis, GammaMixture, PoissonMixture, SigmoidBeliefNet
from skentropy.entropy import has_discrete_latents

TITLE = "Choosing the truth by the closed form and by cross-validation"
NOTES = """\
Shares of data sets in which the true number of components was chosen: by the BIC and the ICL of `EntropySumSearch` (one fit a
candidate), and by `GridSearchCV(cv=5, scoring=None)`; wall seconds for the whole choice, serial. The other packages have no
search by a closed form to compare with.
"""


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


# name: data, estimator, candidates, truth, sizes, number of data sets of each size.
PROBLEMS = {
    "Poisson mixture": (poisson, PoissonMixture(random_state=0, prior_counts=0.01), range(1, 9), 3, (100, 300, 1000), 50),
    "gamma mixture": (gamma, GammaMixture(random_state=0), range(1, 6), 2, (100, 300, 1000), 50),
    "PPCA": (ppca, PPCA(), range(1, 10), 4, (50, 200, 1000), 50),
    "factor analysis": (factors, FactorAnalysis(), range(1, 7), 3, (50, 200, 1000), 50),
    "sigmoid belief net": (belief_net, SigmoidBeliefNet(random_state=0, alpha=0.1), range(1, 7), 4, (500, 1000, 2000), 50),
}
QUICK_PROBLEMS = {"PPCA": (ppca, PPCA(), range(1, 6), 4, (50,), 2)}


def choices(name, problem) -> Iterator[list[str]]:
    draw, estimator, candidates, truth, sizes, n_sets = problem
    grid = {"n_components": list(candidates)}
    discrete = has_discrete_latents(estimator)
    for n in sizes:
        right, seconds = {"bic": 0, "icl": 0, "cv": 0}, {"closed": 0.0, "cv": 0.0}
        for seed in range(n_sets):
            X = draw(n, np.random.RandomState(seed))
            search, wall, _ = clock(lambda X=X: EntropySumSearch(estimator, grid).fit(X), at_most=1)
            seconds["closed"] += wall / n_sets
            right["bic"] += search.best_params_["n_components"] == truth
            if discrete:
                icl = [row.icl_score for row in sorted(search.ranking_, key=lambda row: row.n_parameters)]
                right["icl"] += list(candidates)[int(np.argmax(icl))] == truth
            folds, wall, _ = clock(lambda X=X: GridSearchCV(estimator, grid, cv=5, scoring=None).fit(X), at_most=1)
            seconds["cv"] += wall / n_sets
            right["cv"] += folds.best_params_["n_components"] == truth
        shares = [
            f"{right['bic'] / n_sets:.0%}",
            f"{right['icl'] / n_sets:.0%}" if discrete else "",
            f"{right['cv'] / n_sets:.0%}",
        ]
        costs = [f"{seconds['closed']:.3f}", f"{seconds['cv']:.3f}", f"{seconds['closed'] / seconds['cv']:.2f}"]
        yield [name, f"{truth} of {candidates[0]}..{candidates[-1]}", f"{n:,}", str(n_sets), *shares, *costs]


def page(quick: bool) -> Iterator[str]:
    yield setting("skentropy", "sklearn") + "\n"
    yield NOTES
    problems = QUICK_PROBLEMS if quick else PROBLEMS
    rows = (row for name, problem in problems.items() for row in choices(name, problem))
    columns = ["model", "truth", "n", "data sets", "BIC", "ICL", "5-fold CV", "closed form s", "CV s", "ratio"]
    yield from table(columns, rows, text=2)
