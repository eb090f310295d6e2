"""PPCA's number of components by the Bayesian information criterion where entries are missing."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from skentropy import Checkpoint
from skentropy.decomposition import PPCA, _n_components
from skentropy.decomposition._saturated import likeliest_gaussian


def test_it_is_the_best_of_all_numbers(load):
    X = load("wine_miss_std")
    model = PPCA("bic").fit(X)
    criteria = [PPCA(h).fit(X).bic(X) for h in range(1, 13)]
    assert model.n_components_ == 1 + int(np.argmin(criteria)) == 7
    fitted = ~np.isnan(model.bic_path_)
    np.testing.assert_allclose(model.bic_path_[fitted], np.array([np.nan, *criteria])[fitted], rtol=1e-8)
    assert fitted[1:10].all()
    assert not fitted[10:].any()
    assert model.bic(X) == pytest.approx(model.bic_path_[7], rel=1e-10)
    assert model.entropy_sum_path_[7] == model.entropy_sum_.value
    assert model.components_.shape == (7, 13)


def test_of_complete_data_it_is_the_choice_of_their_eigenvalues(load):
    X = load("wine") / load("wine").std(axis=0)
    by_em, exact = PPCA("bic", solver="em", random_state=0).fit(X), PPCA("bic").fit(X)
    assert by_em.n_components_ == exact.n_components_
    fitted = ~np.isnan(by_em.bic_path_)
    np.testing.assert_allclose(by_em.bic_path_[fitted], exact.bic_path_[fitted], rtol=1e-8)


def test_weights_are_counts(load):
    X = load("bfi")[:150, :6]
    weight = np.random.default_rng(0).integers(1, 4, len(X))
    weighted, repeated = PPCA("bic").fit(X, sample_weight=weight), PPCA("bic").fit(np.repeat(X, weight, axis=0))
    assert weighted.n_components_ == repeated.n_components_
    np.testing.assert_allclose(weighted.bic_path_, repeated.bic_path_, rtol=1e-8)


def test_few_rows_and_columns():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(8, 2)) @ rng.normal(size=(2, 6)) + 0.1 * rng.normal(size=(8, 6))
    X[0, 0] = np.nan
    assert 1 <= PPCA("bic").fit(X).n_components_ < 6
    two = rng.normal(size=(30, 2))
    two[0, 0] = np.nan
    assert PPCA("bic").fit(two).n_components_ == 1
    assert PPCA("bic", solver="em", random_state=0).fit(two[1:, :1]).n_components_ == 1


def test_a_warm_start_and_callbacks_take_any_number(load, tmp_path):
    X = load("bfi")[:100, :6]
    model = PPCA("bic", warm_start=True).fit(X)
    again = model.bic_path_
    np.testing.assert_allclose(model.fit(X).bic_path_, again, rtol=1e-7)
    if hasattr(model, "set_callbacks"):
        saved = PPCA("bic").set_callbacks(Checkpoint(tmp_path / "model", interval=0.0)).fit(X)
        np.testing.assert_allclose(saved.bic_path_, again, rtol=1e-7)


def test_the_likeliest_gaussian_is_a_stationary_point_of_the_likelihood(load):
    X = load("wine_miss_std")[:60, :4]
    data = PPCA(1)._standardised(PPCA(1).fit(X)._ready_rows(X))
    found, location, scale = likeliest_gaussian(data), data.location, data.scale
    mean, covariance = location + scale * found.mean, found.covariance * scale * scale[:, np.newaxis]

    def log_likelihood(mean, covariance):
        rows = [(x, ~np.isnan(x)) for x in X]
        return np.mean(
            [multivariate_normal.logpdf(x[s], mean[s], covariance[np.ix_(s, s)]) if s.any() else 0 for x, s in rows]
        )

    assert found.log_likelihood == pytest.approx(log_likelihood(mean, covariance), abs=1e-10)
    for i in range(4):
        step = 1e-4 * np.eye(4)[i]
        slope = (log_likelihood(mean + step, covariance) - log_likelihood(mean - step, covariance)) / 2e-4
        assert slope == pytest.approx(0.0, abs=1e-6)
        for j in range(i + 1):
            change = 1e-4 * (np.outer(np.eye(4)[i], np.eye(4)[j]) + np.outer(np.eye(4)[j], np.eye(4)[i]))
            slope = (log_likelihood(mean, covariance + change) - log_likelihood(mean, covariance - change)) / 2e-4
            assert slope == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize("last", [2, 4, 6])
@pytest.mark.parametrize("more", [True, False])
def test_no_number_is_fitted_that_cannot_be_better(monkeypatch, last, more):
    """It would need a higher likelihood than a Gaussian with any covariance; here this is so at one number of components."""
    d, n = 9, 150.0
    bounds = np.array([np.nan, -9.0, -8.5, -8.2, -8.19, -8.18, -8.17, -8.16, -8.15])
    penalties = np.array([np.log(n) * (d + 1 + d * h - h * (h - 1) / 2) for h in range(d + 1)])
    criteria = penalties[:d] - 2.0 * n * bounds
    highest = (penalties[last + 1] - np.nanmin(criteria[: last + 1])) / (2.0 * n) + (1e-9 if more else -1e-9)
    monkeypatch.setattr(_n_components, "likeliest_gaussian", lambda data: SimpleNamespace(log_likelihood=highest))
    made = []

    def fit_of(h):
        made.append(h)
        attributes = {"_on_floor": False, "entropy_sum_": SimpleNamespace(value=bounds[h]), "lower_bound_": bounds[h]}
        outcome = SimpleNamespace(attributes=attributes, messages=[], pass_over=lambda: None)
        return SimpleNamespace(outcome=lambda: outcome, interrupted=False)

    data = SimpleNamespace(scale=np.ones(d), model=SimpleNamespace(total_weight=n))
    found = _n_components.fit_by_bic(None, data, fit_of).attributes
    stops = [h for h in range(1, d) if penalties[h + 1] - 2.0 * n * highest >= np.nanmin(criteria[: h + 1])]
    assert made == list(range(1, (stops or [d - 1])[0] + 1))
    assert (made[-1] == last) == (not more)
    np.testing.assert_allclose(found["bic_path_"][1 : made[-1] + 1], criteria[1 : made[-1] + 1], rtol=1e-14)
    assert np.isnan(found["bic_path_"][made[-1] + 1 :]).all()
    assert found["lower_bound_"] == bounds[np.nanargmin(criteria[: made[-1] + 1])]
