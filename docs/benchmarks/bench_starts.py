"""Where fits of mixtures start: how often one fit finds the best known maximum, by how its starts are found."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from common import is_installed
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_linnerud, load_wine

from skentropy import ExponentialFamilyMixture
from skentropy.families import Binomial, Categorical, NegativeBinomial

TITLE = "Starts of mixtures"
STRATEGIES: dict[str, dict[str, Any]] = {
    "default": {},
    "one start": {"n_starts": 1},
    "four fits of one start": {"n_starts": 1, "n_init": 4},
    "8 starts": {"n_starts": 8},
    "random rows": {"init_params": "random_from_data"},
    "random responsibilities": {"init_params": "random"},
    "`n_init=10`": {"n_init": 10},
}
NEAR = 1e-3
NOTES = f"""\
Share of the fits that end within {NEAR:g} nats a row of the best end of all fits of the table, and the milliseconds of one fit;
{{n_fits}} fits, of `n_init=10` {{n_best}}. The default is up to 32 starts from k-means++ seeds, of which short runs of EM choose one, and
rounds of half as many mixtures in which one or two of its components have moved, which challenge it. "random rows" and "random
responsibilities" are as many starts of these kinds, "four fits of one start" runs four to the end and keeps the best. Fits in which a
component collapses onto a single value, or has fewer than ten rows and less than one in a hundred, are left out of what is best.
"""


def with_gaps(X: np.ndarray) -> np.ndarray:
    X = np.where(np.random.default_rng(1).random(X.shape) < 0.2, np.nan, X)
    return X[~np.isnan(X).all(axis=1)]


def simulated(family: str, n: int, d: int, n_components: int, apart: float, seed: int) -> np.ndarray:
    """Rows of components whose parameters are drawn at random."""
    rng = np.random.default_rng(seed)
    centres = apart * rng.normal(size=(n_components, d))
    labels = rng.choice(n_components, p=rng.dirichlet(np.full(n_components, 3.0)), size=n)
    c = centres[labels]
    if family == "categorical":
        p = rng.dirichlet(np.full(4, 0.7), size=(n_components, d)).cumsum(axis=-1)[labels]
        return (rng.random((n, d, 1)) > p).sum(axis=-1).astype(float)
    draw: dict[str, Callable[[], np.ndarray]] = {
        "poisson": lambda: rng.poisson(np.exp(1.0 + c)),
        "bernoulli": lambda: rng.random((n, d)) < 1.0 / (1.0 + np.exp(-2.0 * c)),
        "binomial": lambda: rng.binomial(16, 1.0 / (1.0 + np.exp(-c))),
        "geometric": lambda: rng.geometric(1.0 / (1.0 + np.exp(1.0 + c))) - 1,
        "negative_binomial": lambda: rng.negative_binomial(2.0, 1.0 / (1.0 + np.exp(1.0 + c))),
        "gamma": lambda: rng.gamma(3.0, np.exp(c)),
        "exponential": lambda: rng.exponential(np.exp(2.0 * c)),
        "beta": lambda: np.clip(rng.beta(4.0 / (1.0 + np.exp(-c)), 4.0 / (1.0 + np.exp(c))), 1e-6, 1.0 - 1e-6),
        "gaussian": lambda: 2.0 * c + rng.normal(size=(n, d)),
        "log_normal": lambda: np.exp(c + 0.5 * rng.normal(size=(n, d))),
        "inverse_gaussian": lambda: rng.wald(np.exp(c), 2.0),
    }
    return draw[family]().astype(float)


def tables() -> Iterator[tuple[str, Any, np.ndarray, int]]:
    """Name, family, rows and number of components."""
    digits, iris, wine, cancer = load_digits().data, load_iris().data, load_wine().data, load_breast_cancer().data
    pixels = digits[:500][:, digits.std(axis=0) > 2.0]
    yield "iris", "gaussian", iris, 3
    yield "iris", "gamma", iris, 3
    for family, n_components in (("gaussian", 4), ("gamma", 5), ("log_normal", 3), ("inverse_gaussian", 4)):
        yield "wine", family, wine, n_components
    yield "breast cancer", "gaussian", cancer, 4
    yield "breast cancer, 10 columns, 20% missing", "gaussian", with_gaps(cancer[:, :10]), 3
    yield "breast cancer, 6 columns", "gamma", cancer[:, :6], 4
    yield "diabetes", "gaussian", load_diabetes().data[:, [0, 2, 3, 4, 5, 6, 8, 9]], 3
    yield "linnerud", "poisson", load_linnerud().data, 3
    yield "digits, 16 pixels, 0/1", "bernoulli", (pixels[:, :16] > 7) * 1.0, 5
    yield "the same, 20% missing", "bernoulli", with_gaps((pixels[:, :16] > 7) * 1.0), 5
    yield "digits, 0/1", "bernoulli", (digits[:1000] > 7) * 1.0, 10
    yield "digits, 8 pixels, quartiles", Categorical(4), np.minimum(pixels[:, :8] // 5, 3), 4
    yield "digits, 12 pixels", "poisson", pixels[:, :12], 5
    yield "digits", "poisson", digits[:1000, digits.std(axis=0) > 0], 10
    yield "digits, 8 pixels", Binomial(16), pixels[:, :8], 4
    yield "digits, 8 pixels", "geometric", pixels[:, :8], 4
    if is_installed("statsmodels"):
        from statsmodels.datasets import anes96, fair, randhie

        votes = anes96.load_pandas().data[["selfLR", "ClinLR", "DoleLR"]].to_numpy(float)[:500] - 1.0
        yield "anes96, 3 scales", Categorical(7), votes, 5
        yield "the same, 20% missing", Categorical(7), with_gaps(votes), 4
        columns = fair.load_pandas().data[["rate_marriage", "religious", "occupation", "educ"]].to_numpy()[:1500]
        codes = np.stack([np.unique(column, return_inverse=True)[1] for column in columns.T], axis=1).astype(float)
        yield "fair", Categorical(int(codes.max()) + 1), codes, 4
        visits = randhie.load_pandas().data[["mdvis"]].to_numpy(float)[::10]
        yield "randhie, visits", "poisson", visits, 4
        yield "randhie, visits", NegativeBinomial(r=1.0), visits, 3
    for seed, (family, n, d, n_components, apart) in enumerate(
        [
            ("poisson", 600, 6, 5, 0.5),
            ("bernoulli", 600, 8, 4, 0.9),
            ("binomial", 400, 5, 4, 0.7),
            ("gamma", 500, 5, 6, 0.5),
            ("exponential", 500, 6, 4, 0.6),
            ("beta", 400, 5, 3, 1.0),
            ("geometric", 600, 6, 4, 0.7),
            ("negative_binomial", 600, 6, 3, 0.9),
            ("gaussian", 500, 6, 8, 0.7),
            ("log_normal", 500, 5, 6, 0.4),
            ("inverse_gaussian", 500, 5, 4, 0.5),
            ("categorical", 600, 6, 5, 0.0),
        ]
    ):
        known: dict[str, Any] = {
            "binomial": Binomial(16),
            "negative_binomial": NegativeBinomial(r=2.0),
            "categorical": Categorical(4),
        }
        X = simulated(family, n, d, n_components, apart, seed)
        yield "simulated", known.get(family, family), X, n_components


def fits(family: Any, X: np.ndarray, n_components: int, n_fits: int, options: dict[str, Any]) -> tuple[np.ndarray, float]:
    """Where fits end, minus infinity where a component means nothing, and the milliseconds of one."""
    ends, started = [], time.process_time()
    for seed in range(n_fits):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            mixture = ExponentialFamilyMixture(family, n_components, random_state=seed, **options).fit(X)
        collapsed = any("collapsed" in str(warning.message) for warning in caught)
        # A component of a few rows explains single ones, as one does that has collapsed.
        smallest = mixture.weights_.min()
        spurious = smallest < 0.01 and smallest * len(X) < 10.0
        ends.append(-np.inf if collapsed or spurious else mixture.lower_bound_)
    return np.array(ends), 1e3 * (time.process_time() - started) / n_fits


def page(quick: bool) -> Iterator[str]:
    n_fits, n_best = (2, 1) if quick else (10, 3)
    problems = list(tables())[:3] if quick else list(tables())
    yield NOTES.format(n_fits=n_fits, n_best=n_best)
    yield f"| table | family, K | {' | '.join(STRATEGIES)} |"
    yield f"| --- | --- |{' ---: |' * len(STRATEGIES)}"
    shares, times = [], []
    for name, family, X, n_components in problems:
        results = [
            fits(family, X, n_components, n_best if "n_init=10" in strategy else n_fits, options)
            for strategy, options in STRATEGIES.items()
        ]
        best = max(ends.max() for ends, _ in results)
        shares.append([float((ends >= best - NEAR).mean()) for ends, _ in results])
        times.append([milliseconds for _, milliseconds in results])
        cells = [f"{share:.0%}, {ms:.0f}" for share, ms in zip(shares[-1], times[-1], strict=True)]
        yield f"| {name} | {getattr(family, 'name', family)}, {n_components} | {' | '.join(cells)} |"
    means = zip(np.mean(shares, axis=0), np.mean(times, axis=0), strict=True)
    yield f"| **mean** | {len(shares)} tables | {' | '.join(f'**{share:.0%}, {ms:.0f}**' for share, ms in means)} |"
    yield f"| **least** | | {' | '.join(f'**{share:.0%}**' for share in np.min(shares, axis=0))} |"
    yield ""
