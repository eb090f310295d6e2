"""Mixtures beside scikit-learn, pomegranate, stepmix and hmmlearn: seconds to the same log-likelihood from the same start."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from common import left_out, setting
from comparison import EXPLANATION, compare
from grading import m_step
from programs import Problem
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_digits

TITLE = "Mixtures beside other packages"
PEERS = ("sklearn", "pomegranate", "stepmix", "hmmlearn")
LIMIT = 20.0
# Deaths of women over 80 reported in The Times of London, 1910-1912: days with 0, 1, ... of them (Hasselblad 1969).
LONDON_TIMES = [162, 267, 271, 185, 111, 61, 27, 8, 3, 1]
NOTES = f"""\
All start from the same parameters: those of the clusters of one run of scikit-learn's `KMeans` of the standardised columns, smoothed by half an observation,
and equal weights. The reference is where EM ends from there if nothing is done to speed it up, computed by NumPy and SciPy alone. Only the maximum likelihood is sought: no prior, no floor under
variances (`reg_covar=0`; `covars_prior=0` for hmmlearn). stepmix has no argument for a start; it is put in by a subclass.
pomegranate is given its own float32 and, by PyTorch's default type, float64. A fit that would take a program more than {LIMIT:.0f} s
is not run to the end: where its first three steps are those of plain EM, the rest are priced as these (≈).

Digits have pixels that are never on, or always, in some components: rates and probabilities go to their limits. This package ends at
these limits, which EM by itself only approaches. pomegranate's parameters become NaN there.

Not in the tables, because they do not do the job: hmmlearn for gamma distributions and for several yes/no or categorical
columns; stepmix for counts and gamma distributions; scikit-learn for anything but Gaussians; pomegranate for missing values, of which
its matrix products cannot make anything. A hidden Markov model is a mixture if every sequence has one row, which is what hmmlearn
is given; it is made for few long sequences, and its time goes into the loop over them. Taking all rows for one sequence
with equal rows of the transition matrix would be quicker, but then the mixing weights could not be learned.
"""


def start_of(family: str, X: np.ndarray, n_components: int) -> list[np.ndarray]:
    """Parameters of the clusters of k-means, to each of which half an observation is added that is like all rows."""
    filled = np.where(np.isnan(X), np.nanmean(X, axis=0), X)
    labels = KMeans(n_components, n_init=1, random_state=0).fit((filled - filled.mean(axis=0)) / filled.std(axis=0)).labels_
    return m_step(family, X, np.eye(n_components)[labels] + 0.5 / len(X))


def simulated(family: str, n: int, d: int = 20, n_components: int = 5) -> np.ndarray:
    """Components that overlap, for EM to have something to do."""
    rng = np.random.default_rng(0)
    apart = rng.normal(size=(n_components, d))
    labels = rng.integers(n_components, size=n)
    level = rng.gamma(4.0, 0.75, size=d)
    if family == "poisson":
        return rng.poisson((level * np.exp(0.2 * apart))[labels]).astype(float)
    if family == "gamma":
        return rng.gamma((1.0 + level * np.exp(0.25 * apart))[labels])
    if family == "gaussian":
        return 0.4 * apart[labels] + rng.normal(size=(n, d)) * rng.uniform(0.7, 1.3, size=(n_components, d))[labels]
    if family == "bernoulli":
        return (rng.uniform(size=(n, d)) < (1.0 / (1.0 + np.exp(-apart)))[labels]).astype(float)
    p = rng.dirichlet(np.full(4, 2.0), size=(n_components, d)).cumsum(axis=-1)[labels]
    return (rng.uniform(size=(n, d, 1)) > p).sum(axis=-1).astype(float)


def without_some(X: np.ndarray, share: float = 0.2) -> np.ndarray:
    """Entries missing completely at random."""
    return np.where(np.random.default_rng(1).uniform(size=X.shape) < share, np.nan, X)


def problems(quick: bool) -> Iterator[tuple[str, str, np.ndarray, int]]:
    """Title, family, rows and number of components."""
    if quick:
        yield "Gaussian, simulated", "gaussian", simulated("gaussian", 300, 4, 2), 2
        return
    n = 10_000
    cancer = load_breast_cancer().data
    digits = load_digits().data
    digits = digits[:, digits.std(axis=0) > 0]
    answers = (digits >= 8).astype(float)
    answers = answers[:, answers.std(axis=0) > 0]
    yield "Poisson, simulated counts", "poisson", simulated("poisson", n), 5
    yield "Poisson, The Times of London", "poisson", np.repeat(np.arange(10.0), LONDON_TIMES)[:, np.newaxis], 2
    yield "Poisson, digits", "poisson", digits, 10
    yield "Gamma, simulated amounts", "gamma", simulated("gamma", n), 5
    yield "Gamma, breast cancer, its positive columns", "gamma", cancer[:, (cancer > 0).all(axis=0)], 3
    yield "Gaussian with diagonal covariance, simulated", "gaussian", simulated("gaussian", n), 5
    yield "Gaussian with diagonal covariance, breast cancer", "gaussian", cancer / cancer.std(axis=0), 3
    yield "Bernoulli (latent classes), simulated answers", "bernoulli", simulated("bernoulli", n), 5
    yield "Bernoulli (latent classes), digits, pixels of at least 8", "bernoulli", answers, 10
    yield "Bernoulli, the simulated answers with 20% missing", "bernoulli", without_some(simulated("bernoulli", n)), 5
    yield "Bernoulli, the digits with 20% missing", "bernoulli", without_some(answers), 10
    yield "Categorical, simulated answers of 4 categories", "categorical", simulated("categorical", n, 10, 3), 3
    yield "Gaussian, the simulated rows with 20% missing", "gaussian", without_some(simulated("gaussian", n)), 5


def page(quick: bool) -> Iterator[str]:
    yield setting("skentropy", *PEERS, "torch") + "\n"
    yield from left_out(PEERS)
    yield NOTES
    yield EXPLANATION + "\n"
    for title, family, X, n_components in problems(quick):
        yield f"## {title}\n"
        yield f"{len(X):,} x {X.shape[1]}, {n_components} components."
        yield from compare(Problem(family, n_components, X, start_of(family, X, n_components)), 2.0 if quick else LIMIT)
