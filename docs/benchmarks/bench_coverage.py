"""Standard errors of mixtures: how often 95% intervals hold the values that data are drawn with."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from common import setting, table

from skentropy import ExponentialFamilyMixture, GaussianMixture, PoissonMixture

TITLE = "Coverage of confidence intervals"
METHODS = ("information", "scores", "sandwich")
NOTES = """\
Share of simulated data sets whose 95% intervals hold the true value, in percent: the mean over the parameters of an attribute, and
the least and the largest of them; {n} data sets, so that a share of 95 has a standard error of {error:.1f}. Fits start at the truth, which
keeps the order of the components. "spread" is the mean ratio of the standard errors to the standard deviations of the estimates,
"ms" the time of one call. The last two cases have fewer rows than their overlapping components need for estimates that are normal.
"""


def poisson() -> Any:
    """Counts of three columns, two components that overlap."""
    return PoissonMixture.from_parameters([0.3, 0.7], [[2.0, 1.0, 5.0], [6.0, 2.0, 4.0]])


def gaussian() -> Any:
    """Two correlated columns; a tenth of the entries is then missing."""
    covariances = [[[1.0, 0.5], [0.5, 1.0]], [[2.0, -0.8], [-0.8, 1.0]]]
    return GaussianMixture.from_parameters([0.4, 0.6], [[0.0, 0.0], [3.0, 2.0]], covariances)


def classes() -> Any:
    """Two latent classes of six yes/no answers."""
    probabilities = [[0.8, 0.7, 0.9, 0.8, 0.6, 0.7], [0.2, 0.3, 0.3, 0.1, 0.2, 0.4]]
    return ExponentialFamilyMixture.from_parameters("bernoulli", [0.35, 0.65], probabilities=probabilities)


def deaths() -> Any:
    """One column of counts whose components are hard to tell apart."""
    return PoissonMixture.from_parameters([0.36, 0.64], [[1.256], [2.663]])


CASES = [
    ("Poisson, 3 columns", poisson, 1000),
    ("full Gaussians, 2 columns, 10% missing", gaussian, 1000),
    ("latent classes, 6 answers", classes, 1000),
    ("Poisson, 3 columns", poisson, 500),
    ("deaths in the Times, 1 column", deaths, 1096),
]


def started_at(truth: Any) -> Any:
    """An unfitted mixture whose fits start at the truth."""
    parameters = {name: getattr(truth, name + "_") for name in truth._get_components().attribute_names}
    mixture = type(truth)(**truth.get_params()).set_params(weights_init=truth.weights_)
    if isinstance(truth, ExponentialFamilyMixture):
        return mixture.set_params(parameters_init=parameters)
    return mixture.set_params(**{name + "_init": value for name, value in parameters.items()})


def simulate(truth: Any, n_rows: int, n_sets: int) -> tuple[dict[Any, Any], float]:
    """Of each method and attribute which intervals hold the truth, and the estimates and errors; milliseconds of one call."""
    found: dict[Any, Any] = {}
    seconds = 0.0
    for seed in range(n_sets):
        X, _ = truth.sample(n_rows, random_state=seed)
        if isinstance(truth, GaussianMixture):
            missing = np.random.RandomState(seed).uniform(size=X.shape) < 0.1
            X = np.where(missing & ~missing.all(axis=1, keepdims=True), np.nan, X)
        mixture = started_at(truth).fit(X)
        for method in METHODS:
            started = time.perf_counter()
            errors = mixture.standard_errors(X, method=method)
            seconds += time.perf_counter() - started
            for name, interval in errors.confidence_intervals().items():
                true = getattr(truth, name + "_")
                inside = (interval[..., 0] <= true) & (true <= interval[..., 1])
                found.setdefault((method, name), []).append((inside, errors.estimates[name], errors[name]))
    return found, 1e3 * seconds / n_sets / len(METHODS)


def page(quick: bool) -> Iterator[str]:
    n = 20 if quick else 1000
    yield setting() + "\n"
    yield NOTES.format(n=n, error=100 * np.sqrt(0.05 * 0.95 / n))
    rows = []
    for case, make, n_rows in CASES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found, milliseconds = simulate(make(), n_rows, n)
        for (method, name), sets in found.items():
            inside, estimates, errors = (np.stack(values) for values in zip(*sets, strict=True))
            share = 100 * inside.mean(axis=0)
            spread = np.nanmedian(errors, axis=0) / estimates.std(axis=0)
            shares = f"{share.mean():.1f} ({share.min():.1f} to {share.max():.1f})"
            rows.append([case, method, name, f"{n_rows}", shares, f"{spread.mean():.2f}", f"{milliseconds:.1f}"])
    yield from table(["model", "method", "attribute", "rows", "coverage, %", "spread", "ms"], rows, text=3)
