"""The identity: after every exact M-step the ELBO is the entropy sum, for every family and every kind of data."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from skentropy import ExponentialFamilyMixture
from skentropy.families import FAMILIES
from tests.common.cases import CASES, elbo, log_joint

N_STEPS = 6


def test_every_registered_family_has_a_case() -> None:
    assert set(FAMILIES) <= set(CASES)


def make_data(name: str, *, weighted: bool, missing: bool, exposed: bool, n: int = 120) -> tuple[Any, Any, Any]:
    rng = np.random.RandomState(7)
    exposure = rng.randint(1, 5, size=n).astype(float) if exposed else None
    X = CASES[name].draw(n, 3, rng, exposure)
    if missing:
        X[rng.uniform(size=X.shape) < 0.2] = np.nan
        X[0] = np.nan
    return X, rng.exponential(size=n) if weighted else None, exposure


def fit(name: str, X: Any, weight: Any, exposure: Any, **options: Any) -> ExponentialFamilyMixture:
    options = {"n_components": 3, "n_starts": 1, "random_state": 0, "tol": 0.0, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ExponentialFamilyMixture(CASES[name].family, **options).fit(X, sample_weight=weight, exposure=exposure)


def kinds(name: str) -> list[dict[str, bool]]:
    additive = CASES[name].family.additive
    plain = {"weighted": False, "missing": False, "exposed": False}
    return [
        plain,
        {**plain, "weighted": True},
        {**plain, "missing": True},
        {"weighted": True, "missing": True, "exposed": additive},
    ]


EVERY = [
    pytest.param(name, kind, id=f"{name}-{'-'.join(k for k, on in kind.items() if on)}")
    for name in CASES
    for kind in kinds(name)
]


@pytest.mark.parametrize("prior_counts", [0.0, 2.5])
@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_elbo_after_each_m_step_is_the_entropy_sum(name: str, kind: dict[str, bool], prior_counts: float) -> None:
    X, weight, exposure = make_data(name, **kind)
    options = {"accelerate": False, "prior_counts": prior_counts}
    before = fit(name, X, weight, exposure, max_iter=0, **options)
    for step in range(1, N_STEPS):
        after = fit(name, X, weight, exposure, max_iter=step, **options)
        joint = log_joint(CASES[name], X, before, exposure)
        q = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
        direct = elbo(CASES[name], X, q, after, weight, exposure)
        terms = after.entropy_sums_[-1]
        np.testing.assert_allclose(terms.value, direct, rtol=1e-10)
        # Exact posteriors: the ELBO of fresh ones is the log-likelihood.
        log_likelihood = np.average(np.logaddexp.reduce(log_joint(CASES[name], X, after, exposure), axis=1), weights=weight)
        np.testing.assert_allclose(after.lower_bound_, log_likelihood, rtol=1e-10)
        if not prior_counts:
            assert before.lower_bound_ <= terms.value + 1e-12
            assert terms.value <= after.lower_bound_ + 1e-12
        assert (terms.penalty != 0) == (prior_counts > 0)
        before = after


@pytest.mark.parametrize("accelerate", [True, False])
@pytest.mark.parametrize(("name", "kind"), EVERY)
def test_entropy_sums_lie_between_log_likelihoods_all_the_way(name: str, kind: dict[str, bool], accelerate: bool) -> None:
    mixture = fit(name, *make_data(name, **kind), n_components=2, max_iter=60, accelerate=accelerate, tol=1e-9)
    sums = np.array([terms.value for terms in mixture.entropy_sums_])
    bounds = np.array(mixture.lower_bounds_)
    rounding = 1e-12 * mixture.entropy_sum_.magnitude
    assert len(sums) == len(bounds) == mixture.n_iter_
    assert (sums <= bounds + rounding).all()
    assert (bounds[:-1] <= sums[1:] + rounding).all()
    assert mixture.lower_bounds_[-1] == mixture.lower_bound_


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].family.zero_statistics])
def test_everything_at_once_with_sparse_data(name: str) -> None:
    X, weight, exposure = make_data(name, weighted=True, missing=True, exposed=CASES[name].family.additive)
    # Units that shift would make zeros non-zero: compare a fit of few steps, which have no time to differ by rounding.
    dense = fit(name, X, weight, exposure, max_iter=4, accelerate=False, prior_counts=1.0)
    for container in (sparse.csr_matrix, sparse.csr_array):
        for_sparse = fit(name, container(X), weight, exposure, max_iter=4, accelerate=False, prior_counts=1.0)
        np.testing.assert_allclose(for_sparse.lower_bounds_, dense.lower_bounds_, rtol=1e-10)
        np.testing.assert_allclose(
            [t.value for t in for_sparse.entropy_sums_], [t.value for t in dense.entropy_sums_], rtol=1e-10
        )
        np.testing.assert_allclose(
            for_sparse.score_samples(container(X), exposure=exposure),
            dense.score_samples(X, exposure=exposure),
            rtol=1e-9,
            atol=1e-12,
        )


@pytest.mark.parametrize("name", list(CASES))
def test_a_formula_that_is_one_percent_off_breaks_the_identity(name: str) -> None:
    """The test above can fail: a wrong entropy, or a wrong M-step, is seen at once."""
    case = CASES[name]
    X, weight, _ = make_data(name, weighted=True, missing=False, exposed=False)

    def violation(**methods: Any) -> float:
        family = case.family
        broken = type("Broken", (type(family),), methods)(**vars(family))
        run = {"n_components": 2, "n_starts": 1, "random_state": 0, "accelerate": False, "tol": 0.0}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            start = ExponentialFamilyMixture(broken, max_iter=1, **run).fit(X, sample_weight=weight)
            after = ExponentialFamilyMixture(broken, max_iter=2, **run).fit(X, sample_weight=weight)
        joint = log_joint(case, X, start)
        q = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
        return abs(after.entropy_sums_[-1].value / elbo(case, X, q, after, weight) - 1)

    base = type(case.family)
    assert violation() < 1e-10
    assert violation(mean=lambda self, eta: 1.01 * base.mean(self, eta)) > 1e-6
    wrong = (lambda mean: mean**1.01) if name == "categorical" else (lambda mean: 1.01 * mean)
    assert violation(natural=lambda self, mean: base.natural(self, wrong(mean))) > 1e-6


def test_converged_entropy_sum_is_the_log_likelihood() -> None:
    X, weight, exposure = make_data("poisson", weighted=True, missing=True, exposed=True)
    mixture = fit("poisson", X, weight, exposure, n_components=2, tol=1e-14)
    assert mixture.converged_
    assert abs(mixture.stationarity_gap_) < 1e-7
    np.testing.assert_allclose(
        mixture.entropy_sum(X, sample_weight=weight, exposure=exposure).value, mixture.lower_bound_, atol=1e-7
    )
    assert mixture.entropy_sum() is mixture.entropy_sum_


def test_before_convergence_the_fresh_entropy_sum_is_no_bound() -> None:
    """Theory: after ten plain steps on the Times data it exceeds the log-likelihood by 0.156 nats."""
    counts, days = np.arange(10.0).reshape(-1, 1), np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1])
    with pytest.warns(UserWarning, match="did not converge"):
        mixture = ExponentialFamilyMixture(
            "poisson", weights_init=[0.3, 0.7], parameters_init={"rates": [[1.0], [2.5]]}, accelerate=False, max_iter=10
        ).fit(counts, sample_weight=days)
    assert 0.1 < 1096 * mixture.stationarity_gap_ < 0.3
