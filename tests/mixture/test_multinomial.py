"""Multinomials: Poissons with the rows' totals as exposures, and a constant of their own."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, special, stats
from sklearn.datasets import load_digits

from skentropy import ColumnMixture, MultinomialMixture, PoissonMixture, rank_models
from skentropy.mixture._fitted import draw_rows

DIGITS = load_digits().data.reshape(-1, 4, 2, 4, 2).sum(axis=(2, 4)).reshape(-1, 16)
WORDS = (
    np.random.default_rng(0).multinomial(30, [[0.5, 0.3, 0.1, 0.1], [0.1, 0.2, 0.3, 0.4]], size=(60, 2)).reshape(-1, 4) * 1.0
)


def log_joint(mixture: Any, X: Any) -> Any:
    """By scipy.stats."""
    columns = [stats.multinomial.logpmf(X, X.sum(axis=1).astype(int), p / p.sum()) for p in mixture.probabilities_]
    return np.log(mixture.weights_) + np.stack(columns, axis=1)


# counts.json, from plain EM to a standstill.
@pytest.mark.parametrize(
    ("n_components", "seed", "log_likelihood", "entropy_sum"),
    [(2, None, -139212.03215719, -77.4691330869), (4, 31, -184402.06316534, -67.7450636169)],
)
def test_reference_from_its_start(n_components: int, seed: int | None, log_likelihood: float, entropy_sum: float) -> None:
    n = len(DIGITS)
    weight = np.ones(n) if seed is None else np.random.RandomState(seed).randint(0, 4, n).astype(float)
    key = DIGITS @ np.arange(16) / DIGITS.sum(axis=1)
    group = np.argsort(np.argsort(key, kind="stable"), kind="stable") * n_components // n
    q = (0.8 * np.eye(n_components)[group] + 0.2 / n_components) * weight[:, np.newaxis]
    sums = q.T @ DIGITS
    start = {
        "probabilities_init": sums / sums.sum(axis=1, keepdims=True),
        "weights_init": q.sum(axis=0) / weight.sum(),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a probability goes to zero
        mixture = MultinomialMixture(n_components, tol=1e-12, **start).fit(DIGITS, sample_weight=weight)
        stored = MultinomialMixture(n_components, tol=1e-12, **start).fit(sparse.csr_matrix(DIGITS), sample_weight=weight)
    np.testing.assert_allclose(mixture.n_samples_ * mixture.lower_bound_, log_likelihood, rtol=1e-12)
    np.testing.assert_allclose(mixture.entropy_sum_score(), entropy_sum, rtol=1e-8)
    np.testing.assert_allclose(stored.lower_bound_, mixture.lower_bound_, rtol=1e-12)


@pytest.mark.parametrize("prior_counts", [0.0, 2.0])
def test_elbo_after_each_m_step_is_the_entropy_sum(prior_counts: float) -> None:
    weight = np.random.default_rng(1).exponential(size=len(WORDS))
    X = WORDS.copy()
    X[3] = 0.0

    def fit(n_steps: int) -> Any:
        options = {"random_state": 0, "n_starts": 1, "tol": 0.0, "accelerate": False, "max_iter": n_steps}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return MultinomialMixture(3, prior_counts=prior_counts, **options).fit(X, sample_weight=weight)

    before = fit(0)
    for step in range(1, 5):
        after = fit(step)
        joint = log_joint(before, X)
        q = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
        direct = np.average((q * log_joint(after, X)).sum(axis=1) + special.entr(q).sum(axis=1), weights=weight)
        np.testing.assert_allclose(after.entropy_sums_[-1].value, direct, rtol=1e-12)
        np.testing.assert_allclose(
            after.lower_bound_, np.average(np.logaddexp.reduce(log_joint(after, X), axis=1), weights=weight), rtol=1e-12
        )
        np.testing.assert_allclose(after.probabilities_.sum(axis=1), 1.0, rtol=1e-12)
        assert (after.entropy_sums_[-1].penalty != 0) == (prior_counts > 0)
        before = after


def test_it_is_the_poisson_mixture_with_totals_as_exposures() -> None:
    total = WORDS.sum(axis=1)
    mixture = MultinomialMixture(2, random_state=0, tol=1e-12).fit(WORDS)
    start = {"rates_init": mixture.probabilities_, "weights_init": mixture.weights_}
    poisson = PoissonMixture(2, tol=1e-12, **start).fit(WORDS, exposure=total)
    np.testing.assert_allclose(
        poisson.lower_bound_ - stats.poisson.logpmf(total, total).mean(), mixture.lower_bound_, rtol=1e-10
    )
    assert mixture.n_parameters_ == 1 + 2 * 3
    assert abs(mixture.stationarity_gap_) < 1e-6


def test_an_empty_row_says_nothing() -> None:
    X = np.vstack([WORDS, np.zeros(4)])
    mixture = MultinomialMixture(2, random_state=0).fit(X)
    np.testing.assert_allclose(mixture.predict_proba(X)[-1], mixture.weights_, rtol=1e-12)
    assert mixture.score_samples(X)[-1] == pytest.approx(0.0, abs=1e-12)
    with pytest.raises(ValueError, match="nothing but zeros"):
        MultinomialMixture(1).fit(np.zeros((5, 3)))
    with pytest.raises(ValueError, match=r"^Negative values in data: .* 4 other values, in column 1\."):
        MultinomialMixture(1).fit(-np.ones((4, 3)) * [0, 1, 0])
    with pytest.raises(ValueError, match="Negative values in data: "):
        MultinomialMixture(1).fit(-np.eye(3))


@pytest.mark.parametrize("stored", [False, True])
def test_gaps_are_refused_by_name(stored: bool) -> None:
    X = WORDS.copy()
    X[4, 2] = np.nan
    data = sparse.csr_matrix(X) if stored else pd.DataFrame(X, columns=list("abcd"))
    with pytest.raises(
        ValueError,
        match=r"none of them missing .* rows out\); X holds 1 other value, in column " + ("2" if stored else "'c'"),
    ):
        MultinomialMixture(2).fit(data)
    mixture = MultinomialMixture(2, random_state=0).fit(WORDS)
    with pytest.raises(ValueError, match="none of them missing"):
        mixture.predict(X)
    with pytest.raises(ValueError, match="exposure is not defined for the multinomial distribution"):
        MultinomialMixture(2).fit(WORDS, exposure=np.ones(len(WORDS)))


def test_standard_errors_of_one_component_are_those_of_shares() -> None:
    mixture = MultinomialMixture(1).fit(WORDS)
    (p,) = mixture.probabilities_
    errors = np.sqrt(np.diag(mixture.standard_errors(WORDS).covariance))[-4:]
    np.testing.assert_allclose(errors, np.sqrt(p * (1 - p) / WORDS.sum()), rtol=1e-6)


def test_what_mixtures_do() -> None:
    mixture = MultinomialMixture(2, random_state=0).fit(WORDS)
    X, labels = mixture.sample(4000, random_state=0)
    assert (X.sum(axis=1) == 1).all()
    drawn, of = draw_rows(mixture, 4000, np.random.RandomState(0), like=np.tile(WORDS, (40, 1))[:4000])
    assert (drawn.sum(axis=1) == 30).all()
    for c, p in enumerate(mixture.probabilities_):
        np.testing.assert_allclose(X[labels == c].mean(axis=0), p, atol=0.05)
        np.testing.assert_allclose(drawn[of == c].mean(axis=0) / 30, p, atol=0.01)
        np.testing.assert_allclose(drawn[of == c].var(axis=0), 30 * p * (1 - p), rtol=0.15)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(mixture)).predict(WORDS), mixture.predict(WORDS))
    assert rank_models([MultinomialMixture(k, random_state=0) for k in (1, 2)], WORDS).best_.n_components == 2
    table = ColumnMixture([("words", MultinomialMixture(), [0, 1, 2, 3]), ("size", "gaussian", [4])], 2, random_state=0)
    values = np.column_stack([WORDS, np.random.default_rng(0).normal(size=len(WORDS))])
    assert abs(table.fit(values).stationarity_gap_) < 1e-6
    with pytest.raises(ValueError, match="probabilities must be non-negative and sum to one over the features"):
        MultinomialMixture.from_parameters([1.0], [[0.5, 0.505]])


def test_a_category_that_never_occurs_is_no_reason_to_refuse_a_table() -> None:
    X = np.array([[3.0, 0.0, 1.0], [1.0, 0.0, 5.0], [4.0, 0.0, 0.0]])
    mixture = MultinomialMixture(1).fit(X)
    np.testing.assert_allclose(mixture.probabilities_, [[8 / 14, 0.0, 6 / 14]], atol=1e-12)
    with pytest.raises(ValueError, match="X holds nothing but zeros"):
        MultinomialMixture(1).fit(0.0 * X)


def test_a_last_category_that_never_occurs_is_never_drawn() -> None:
    mixture = MultinomialMixture.from_parameters([0.5, 0.5], [[0.3, 0.7, 0.0, 0.0], [0.1, 0.2, 0.7, 0.0]])
    components, parameters = (part.components for part in mixture._fitted_model(None))
    p = mixture.probabilities_
    means, variances = components.moments(parameters)
    np.testing.assert_allclose(means, p, atol=1e-12)
    np.testing.assert_allclose(variances, p * (1.0 - p), atol=1e-12)
    totals = np.arange(40.0)
    like = np.zeros((40, 4))
    like[:, 3] = totals
    X = components.sample((p,), np.arange(40) % 2, np.random.RandomState(0), like)
    np.testing.assert_array_equal(X.sum(axis=1), totals)
    assert not X[:, 3].any()
    assert not X[::2, 2].any()


def test_counts_may_be_small_fractions() -> None:
    X = np.array([[3.0, 1.0], [1.0, 5.0], [4.0, 0.0]])
    expected = MultinomialMixture(1).fit(X).probabilities_
    np.testing.assert_allclose(MultinomialMixture(1).fit(1e-4 * X).probabilities_, expected, rtol=1e-12)
