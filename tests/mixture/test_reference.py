"""Fits against other people's programs, from default settings."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris, load_linnerud, load_wine

from skentropy import ExponentialFamilyMixture, GammaMixture, PoissonMixture

REFERENCE = json.loads((Path(__file__).parent / "reference.json").read_text())
BUNDLED = {
    "linnerud": lambda: load_linnerud().data,
    "iris10_counts": lambda: np.round(10 * load_iris().data),
    "gamma_iris_petal_length": lambda: load_iris().data[:, [2]],
    "gamma_wine_proline": lambda: load_wine().data[:, [12]],
    "gauss_diag_iris4d": lambda: load_iris().data,
}


def load(key: str) -> tuple[Any, Any]:
    name = key.rsplit("_C", 1)[0]
    if name in BUNDLED:
        return BUNDLED[name](), None
    table = REFERENCE["data"][name]
    return np.array(table["values"])[:, np.newaxis], table.get("weights")


def make(family: str, n_components: int, **options: Any) -> Any:
    if family == "poisson":
        return PoissonMixture(n_components, **options)
    if family == "gamma":
        return GammaMixture(n_components, **options)
    return ExponentialFamilyMixture("gaussian", n_components, **options)


def standard(mixture: Any, family: str) -> np.ndarray:
    if family == "poisson":
        return mixture.rates_[..., np.newaxis]
    if family == "gamma":
        return np.stack([mixture.shapes_, 1 / mixture.rates_], axis=-1)
    return np.stack([mixture.means_, mixture.variances_], axis=-1)


@pytest.mark.parametrize("random_state", [0, 1, 2])
@pytest.mark.parametrize("key", list(REFERENCE["fits"]))
def test_default_settings_reach_the_reference(key: str, random_state: int) -> None:
    fit = REFERENCE["fits"][key]
    X, weight = load(key)
    mixture = make(fit["family"], fit["C"], random_state=random_state).fit(X, sample_weight=weight)
    assert mixture.converged_
    np.testing.assert_allclose(fit["N"] * mixture.lower_bound_, fit["loglik"], rtol=1e-8)
    np.testing.assert_allclose(fit["N"] * mixture.score(X, sample_weight=weight), fit["loglik"], rtol=1e-8)
    np.testing.assert_allclose(mixture.entropy_sum_score(), fit["entropy_sum"], rtol=2e-6)
    terms = mixture.entropy_sum()
    # A likelihood exact to 1e-8 leaves the terms, and the parameters, exact to about its square root.
    np.testing.assert_allclose(terms.posterior, fit["mean_posterior_entropy"], rtol=1e-3, atol=1e-8)
    np.testing.assert_allclose(terms.prior, fit["prior_entropy"], rtol=1e-3, atol=1e-12)
    np.testing.assert_allclose(-terms.base_measure, fit["mean_log_base"], rtol=1e-12, atol=1e-12)
    params = standard(mixture, fit["family"])
    order = np.argsort(params[:, 0, 0])
    expected = np.array(fit["params"])
    expected_order = np.argsort(expected[:, 0, 0])
    np.testing.assert_allclose(params[order], expected[expected_order], rtol=1e-3)
    np.testing.assert_allclose(mixture.weights_[order], np.array(fit["weights"])[expected_order], rtol=1e-3)


def test_slow_em_is_not_mistaken_for_convergence() -> None:
    """A loose tolerance stops at -1990.03 and looks converged; plain EM takes thousands of steps."""
    X, weight = load("london_times_C2")
    loglik = REFERENCE["fits"]["london_times_C2"]["loglik"]
    plain = PoissonMixture(2, accelerate=False, max_iter=20_000, random_state=0).fit(X, sample_weight=weight)
    accelerated = PoissonMixture(2, random_state=0).fit(X, sample_weight=weight)
    for mixture in (plain, accelerated):
        assert mixture.converged_
        np.testing.assert_allclose(1096 * mixture.lower_bound_, loglik, rtol=1e-8)
    assert accelerated.n_iter_ < 30 < 500 < plain.n_iter_


def test_duplicate_components_are_reported_not_polished() -> None:
    X, weight = load("london_times_C2")
    with pytest.warns(UserWarning, match="duplicates of each other"):
        mixture = PoissonMixture(3, random_state=0).fit(X, sample_weight=weight)
    assert mixture.n_iter_ < 100
    assert 1096 * mixture.lower_bound_ > -1989.9459


def test_a_rate_that_goes_to_zero_is_reported() -> None:
    X, weight = load("london_times_C2")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mixture = PoissonMixture(3, rates_init=[[1e-3], [1.3], [2.7]], weights_init=[0.01, 0.39, 0.6]).fit(
            X, sample_weight=weight
        )
    np.testing.assert_allclose(1096 * mixture.lower_bound_, -1989.92710511747, rtol=1e-8)
    assert mixture.n_iter_ < 500
    assert any("probability zero" in str(w.message) and "component 0 in column 0" in str(w.message) for w in caught)
    assert mixture.rates_.min() == 0.0
    assert abs(mixture.stationarity_gap_) < 1e-5
