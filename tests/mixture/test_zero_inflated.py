"""Zero inflation: a component at zero beside those that are fitted."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy import sparse, special, stats

from skentropy import ColumnMixture, NegativeBinomialMixture, PoissonMixture, rank_models
from skentropy.mixture._zero_inflated import WithZeros
from skentropy.model_selection import bootstrap_lrt

NOTICES = np.arange(10.0)[:, np.newaxis]
DAYS = np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1])
STAYS = np.arange(12.0)[:, np.newaxis]
PEOPLE = np.array([500, 90, 80, 75, 60, 55, 40, 30, 25, 12, 8, 5])
RNG = np.random.default_rng(0)
VISITS = np.where(RNG.random((400, 1)) < 0.35, 0.0, RNG.negative_binomial(2.0, 0.3, size=(400, 3)))
GAPS = np.where(RNG.random(VISITS.shape) < 0.15, np.nan, VISITS)
GAPS[5] = np.nan
WEIGHT = RNG.exponential(size=len(VISITS))
EXPOSURE = RNG.uniform(0.5, 2.0, size=len(VISITS))


def fit(kind: Any, X: Any, n_components: int, weight: Any = None, exposure: Any = None, **options: Any) -> Any:
    options = {"random_state": 0, "tol": 1e-13, **options}
    given = {} if exposure is None else {"exposure": exposure}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return kind(n_components, zero_inflated=True, **options).fit(X, sample_weight=weight, **given)


def log_joint(mixture: Any, X: Any, exposure: Any = None) -> Any:
    """By scipy.stats, gaps left out; -1e300 where it is impossible."""
    s, x = np.ones((len(X), 1, 1)) if exposure is None else exposure[:, np.newaxis, np.newaxis], X[:, np.newaxis]
    if isinstance(mixture, PoissonMixture):
        log_p = stats.poisson.logpmf(x, s * mixture.rates_)
    else:
        a = np.maximum(mixture.dispersions_, 1e-9)
        log_p = stats.nbinom.logpmf(x, 1.0 / a, 1.0 / (1.0 + a * mixture.means_))
    log_p = np.where(np.isnan(x), 0.0, log_p).sum(axis=2)
    certain = np.where(((X == 0) | np.isnan(X)).all(axis=1), 0.0, -1e300)
    return np.log(mixture.weights_) + np.column_stack([log_p, certain])


def test_one_free_component_is_that_of_statsmodels() -> None:
    """ZeroInflatedPoisson of statsmodels 0.15.0 with a constant inflation; errors by differences of the likelihood."""
    mixture = fit(PoissonMixture, NOTICES, 1, DAYS)
    assert DAYS.sum() * mixture.lower_bound_ == pytest.approx(-1994.0515432101743, abs=1e-9)
    np.testing.assert_allclose(mixture.weights_[1], special.expit(-2.95374565), rtol=1e-7)
    np.testing.assert_allclose(mixture.rates_, [[np.exp(0.81951792)]], rtol=1e-7)
    assert mixture.n_parameters_ == 2
    errors = mixture.standard_errors(NOTICES, sample_weight=DAYS)
    share, rate = mixture.weights_[1], mixture.rates_[0, 0]
    np.testing.assert_allclose(errors["weights"], share * (1.0 - share) * 0.2835483, rtol=1e-5)
    np.testing.assert_allclose(errors["rates"][0], rate * 0.02393555, rtol=1e-5)
    assert errors.names == ["weights[0]", "weights[zeros]", "rates[0, x0]"]


def test_one_free_negative_binomial_is_that_of_statsmodels() -> None:
    """ZeroInflatedNegativeBinomialP of statsmodels 0.15.0, p=2."""
    mixture = fit(NegativeBinomialMixture, STAYS, 1, PEOPLE)
    assert PEOPLE.sum() * mixture.lower_bound_ == pytest.approx(-1723.6434428508524, abs=1e-9)
    np.testing.assert_allclose(mixture.weights_[1], special.expit(-0.1337907), rtol=1e-6)
    np.testing.assert_allclose(mixture.means_[0], np.exp(1.28155662), rtol=1e-6)
    np.testing.assert_allclose(mixture.dispersions_[0], 0.27471034, rtol=1e-6)


@pytest.mark.parametrize("prior_counts", [0.0, 1.5])
@pytest.mark.parametrize("kind", [PoissonMixture, NegativeBinomialMixture])
def test_elbo_after_each_m_step_is_the_entropy_sum(kind: Any, prior_counts: float) -> None:
    options = {"prior_counts": prior_counts, "n_starts": 1, "tol": 0.0, "accelerate": False}
    exposure = EXPOSURE if kind is PoissonMixture else None
    before = fit(kind, GAPS, 2, WEIGHT, exposure, max_iter=0, **options)
    for step in range(1, 6):
        after = fit(kind, GAPS, 2, WEIGHT, exposure, max_iter=step, **options)
        joint = log_joint(before, GAPS, exposure)
        q = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
        now = log_joint(after, GAPS, exposure)
        direct = np.average((q * now).sum(axis=1) + special.entr(q).sum(axis=1), weights=WEIGHT)
        terms = after.entropy_sums_[-1]
        assert (terms.penalty != 0.0) == (prior_counts > 0.0)
        # scipy's negative binomial loses digits where a dispersion is near zero.
        assert terms.value == pytest.approx(direct, abs=1e-11 if kind is PoissonMixture else 1e-7)
        assert after.lower_bound_ == pytest.approx(
            np.average(np.logaddexp.reduce(now, axis=1), weights=WEIGHT), abs=1e-11 if kind is PoissonMixture else 1e-7
        )
        if not prior_counts:
            assert terms.value <= after.lower_bound_ + 1e-11
        before = after


def test_a_fit_ends_where_the_gap_is_closed() -> None:
    for mixture in (fit(PoissonMixture, GAPS, 3, WEIGHT, EXPOSURE), fit(NegativeBinomialMixture, GAPS, 1, WEIGHT)):
        assert abs(mixture.stationarity_gap_) < 1e-6
        assert mixture.converged_


def test_large_counts_have_other_base_measures_and_the_same_zeros() -> None:
    x = np.concatenate([np.zeros(40), np.random.default_rng(1).poisson(3e6, size=60)])[:, np.newaxis]
    mixture = fit(PoissonMixture, x, 1)
    np.testing.assert_allclose(mixture.weights_, [0.6, 0.4], rtol=1e-9)
    expected = 0.6 * (np.log(0.6) + stats.poisson.logpmf(x[40:], x[40:].mean()).mean()) + 0.4 * np.log(0.4)
    assert mixture.lower_bound_ == pytest.approx(expected, abs=1e-7)
    assert mixture.entropy_sum_.value == pytest.approx(expected, abs=1e-7)
    assert mixture.score(x) == pytest.approx(expected, abs=1e-7)


def test_only_rows_of_zeros_belong_to_it() -> None:
    mixture = fit(PoissonMixture, VISITS, 2)
    q = mixture.predict_proba(VISITS)
    empty = (VISITS == 0).all(axis=1)
    assert (q[~empty, -1] == 0.0).all()
    assert (q[empty, -1] > 0.5).all()
    np.testing.assert_allclose(mixture.predict_proba([[np.nan] * 3])[0], mixture.weights_, rtol=1e-12)
    np.testing.assert_array_equal(mixture.predict(VISITS) == -1, empty)
    drawn, labels = mixture.sample(500, random_state=0)
    assert set(labels) == {-1, 0, 1}
    assert (drawn[labels == -1] == 0.0).all()
    assert (drawn[labels >= 0] > 0.0).any(axis=1).mean() > 0.8
    assert (mixture.impute([[np.nan, 0.0, 5.0]])[0, 0]) > 0.5
    for X in (VISITS, GAPS[np.arange(len(GAPS)) != 5]):
        dense, stored = fit(PoissonMixture, X, 2), fit(PoissonMixture, sparse.csr_matrix(X), 2)
        assert stored.lower_bound_ == pytest.approx(dense.lower_bound_, abs=1e-11)
        np.testing.assert_allclose(stored.predict_proba(sparse.csr_matrix(X)), dense.predict_proba(X), atol=1e-6)


def test_divergences_are_those_of_scipy() -> None:
    for mixture in (fit(PoissonMixture, VISITS, 2), fit(NegativeBinomialMixture, VISITS, 2)):
        model, parameters = mixture._fitted_model(None)
        found = model.components.column_divergences(parameters.components, 2)
        if isinstance(mixture, PoissonMixture):
            expected = mixture.rates_
        else:
            a = np.where(mixture.dispersions_ > 0.0, mixture.dispersions_, 1.0)
            expected = np.where(mixture.dispersions_ > 0.0, np.log1p(a * mixture.means_) / a, mixture.means_)
        np.testing.assert_allclose(found[:2], expected, rtol=1e-12)
        assert (found[2] == 0.0).all()
        assert np.isinf(model.components.column_divergences(parameters.components, 0)[2]).all()


def test_starts_and_models_side_by_side() -> None:
    mixture = fit(PoissonMixture, VISITS, 2)
    start = {"rates_init": mixture.rates_, "weights_init": mixture.weights_, "tol": 1e-12}
    again = PoissonMixture(2, zero_inflated=True, **start).fit(VISITS)
    assert again.lower_bound_ == pytest.approx(mixture.lower_bound_, abs=1e-10)
    assert again.n_iter_ <= 5
    made = PoissonMixture.from_parameters(mixture.weights_, mixture.rates_, zero_inflated=True)
    np.testing.assert_allclose(made.score_samples(GAPS), mixture.score_samples(GAPS), rtol=1e-12, atol=1e-12)
    assert made.n_parameters_ == mixture.n_parameters_ == 2 + 2 * 3
    other = fit(NegativeBinomialMixture, VISITS, 1)
    made = NegativeBinomialMixture.from_parameters(other.weights_, other.means_, other.dispersions_, zero_inflated=True)
    np.testing.assert_allclose(made.score_samples(GAPS), other.score_samples(GAPS), rtol=1e-12, atol=1e-12)
    names = {"Poisson": PoissonMixture(2, random_state=0), "inflated": PoissonMixture(1, zero_inflated=True)}
    assert rank_models(names, NOTICES, sample_weight=DAYS).best_name_ == "Poisson"
    people = np.round(1000 * (0.4 * (STAYS[:, 0] == 0) + 0.6 * stats.poisson.pmf(STAYS[:, 0], 4.0)))
    names["Poisson"] = PoissonMixture(1)
    assert rank_models(names, STAYS, sample_weight=people).best_name_ == "inflated"
    one = PoissonMixture(1, zero_inflated=True, random_state=0)
    test = bootstrap_lrt(one, NOTICES, 5, sample_weight=DAYS, random_state=0)
    assert 0.0 < test.pvalue <= 1.0


def test_in_tables_it_is_refused() -> None:
    with pytest.raises(ValueError, match="zero_inflated of the PoissonMixture of a block would be ignored"):
        ColumnMixture([("visits", PoissonMixture(zero_inflated=True), [0, 1, 2])], 2).fit(VISITS)


def test_from_any_rate_but_zero_the_zeros_are_infinitely_far() -> None:
    mixture = PoissonMixture.from_parameters([1.0], [[0.0, 0.005, 3.0]])
    components, parameters = (part.components for part in mixture._fitted_model(None))
    found = WithZeros(components).column_divergences(parameters, 0)
    np.testing.assert_array_equal(found, [[0.0, 0.0, 0.0], [0.0, np.inf, np.inf]])
    from_zeros = WithZeros(components).column_divergences(parameters, 1)
    np.testing.assert_allclose(from_zeros, [[0.0, 0.005, 3.0], [0.0] * 3], atol=1e-300)


def test_zeros_of_no_weight_are_no_saddle_point() -> None:
    """The weight has become the smallest number there is, of which nothing can be computed."""
    X = np.random.default_rng(40).negative_binomial(0.5, 0.1, size=(300, 1)).astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mixture = NegativeBinomialMixture(1, zero_inflated=True).fit(X)
    assert mixture.weights_[-1] == 0.0
