"""Codes of many categories as sparse indicators against arrays of zeros and ones."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from skentropy import ExponentialFamilyMixture
from skentropy._data import Block
from skentropy.families import Categorical, Poisson
from skentropy.mixture import _one_hot
from skentropy.mixture._independent import Independent
from skentropy.mixture._model import MixtureModel
from skentropy.mixture._newton import NewtonSteps
from skentropy.mixture._observations import Observations
from skentropy.mixture._one_hot import OneHotRows, OneHotSeedRows, has_many_categories
from skentropy.mixture._seed_rows import SmoothedRows

S, K, D, N = 9, 3, 2, 40


def rows(*, gaps: bool) -> tuple[Independent, Any, Any]:
    """Components, and rows with and without indicators."""
    rng = np.random.default_rng(0)
    family = Categorical((S, 4))
    X = np.stack([rng.integers(S, size=N), rng.integers(4, size=N)], axis=1).astype(np.float64)
    if gaps:
        X[rng.uniform(size=X.shape) < 0.3] = np.nan
    pooled = np.zeros((S, D))
    pooled[:7, 0], pooled[:4, 1] = rng.dirichlet(np.ones(7)), rng.dirichlet(np.ones(4))
    dense = Observations(family.sufficient_statistics(X), None, np.isnan(X) if gaps else None)
    return Independent(family, pooled=pooled), dense, OneHotRows.of(family, X)


@pytest.mark.parametrize("gaps", [False, True])
def test_indicators_have_the_sums_of_arrays(gaps: bool) -> None:
    _, dense, found = rows(gaps=gaps)
    rng = np.random.default_rng(1)
    eta, weights = rng.normal(size=(S, K, D)), rng.uniform(size=(K, N))
    np.testing.assert_allclose(found.inner(eta), dense.inner(eta), rtol=1e-13)
    np.testing.assert_allclose(found.sums(weights), dense.sums(weights), rtol=1e-13)
    np.testing.assert_allclose(found.column_sums(weights), dense.column_sums(weights), rtol=1e-13)
    np.testing.assert_allclose(found.row_sums(eta[0]), dense.row_sums(eta[0]), rtol=1e-13)
    for some in (slice(None), slice(3, 9), np.array([4, 0, 4])):
        np.testing.assert_array_equal(found.features(some), dense.features(some))
        np.testing.assert_array_equal(found.seen(some), dense.seen(some))


@pytest.mark.parametrize("gaps", [False, True])
def test_divergences_from_seeds_are_those_of_arrays(gaps: bool) -> None:
    components, dense, found = rows(gaps=gaps)
    of_dense = SmoothedRows(components.family, dense, components.pooled)
    of_found = OneHotSeedRows(components.family, found, components.pooled)
    np.testing.assert_allclose(of_found.rounding, of_dense.rounding, rtol=1e-12)
    seeds = of_dense.seeds(np.arange(6))
    np.testing.assert_array_equal(of_found.seeds(np.arange(6)), seeds)
    np.testing.assert_allclose(of_found.divergences(seeds), of_dense.divergences(seeds), rtol=1e-12, atol=1e-12)


def test_rows_of_many_categories_are_read_as_indicators() -> None:
    assert has_many_categories(Categorical(S))
    assert not has_many_categories(Categorical(S - 1))
    assert not has_many_categories(Poisson())
    block = Block(np.array([[7.0], [np.nan]]), None, None, 0)
    for size, many in ((S - 1, False), (S, True)):
        components = Independent(Categorical(size), pooled=np.full((size, 1), 1.0 / size))
        found = components.read(block)
        assert isinstance(found, OneHotRows) == isinstance(components.seed_rows(block, found), OneHotSeedRows) == many
    assert Independent(Categorical(S)).row_bytes(2, 3) == Independent(Categorical(10 * S)).row_bytes(2, 3)


def test_fits_do_not_depend_on_how_rows_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    truth = rng.dirichlet(0.3 * np.ones(12), size=(2, 4))
    labels = rng.integers(2, size=500)
    X = np.array([[rng.choice(12, p=truth[label, d]) for d in range(4)] for label in labels], dtype=np.float64)
    X[rng.uniform(size=X.shape) < 0.1] = np.nan
    mixture = ExponentialFamilyMixture("categorical", n_components=2, prior_counts=1.0, random_state=0)
    found = mixture.fit(X).lower_bound_, mixture.probabilities_, mixture.standard_errors(X)["probabilities"]
    monkeypatch.setattr(_one_hot, "FEW", 12)
    mixture.fit(X)
    np.testing.assert_allclose(found[0], mixture.lower_bound_, rtol=1e-11)
    np.testing.assert_allclose(found[1], mixture.probabilities_, atol=1e-5)
    np.testing.assert_allclose(found[2], mixture.standard_errors(X)["probabilities"], rtol=1e-4)


def test_fits_of_thousands_of_categories_take_little_memory() -> None:
    size = 5000
    X = np.concatenate([np.arange(size), np.random.default_rng(3).integers(size // 2, size=size)])[:, np.newaxis]
    tracemalloc.start()
    mixture = ExponentialFamilyMixture("categorical", n_components=1, random_state=0).fit(X)
    impute = mixture.impute(np.full((3000, 1), np.nan))
    drawn, _ = mixture.sample(3000, random_state=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    expected = np.bincount(X[:, 0]) / len(X)
    np.testing.assert_allclose(mixture.probabilities_[0, 0], expected, rtol=1e-12)
    assert mixture.lower_bound_ == pytest.approx((expected * np.log(expected)).sum(), rel=1e-12)
    assert (impute == expected.argmax()).all()
    uniform = np.random.RandomState(0).uniform(size=(2, 3000))[1]  # after the labels
    np.testing.assert_array_equal(drawn[:, 0], np.searchsorted(expected.cumsum(), uniform, side="right"))
    assert peak < 200 * X.nbytes


def test_matrices_of_too_many_parameters_are_refused() -> None:
    X = np.arange(10_000.0)[:, np.newaxis]
    mixture = ExponentialFamilyMixture("categorical", n_components=1).fit(X)
    with pytest.raises(ValueError, match="10001 parameters, and at most 10000 are possible"):
        mixture.standard_errors(X)
    assert not NewtonSteps(MixtureModel(Independent(Categorical())), pytest.fail, 10, 1, 10_000).pays(10**12)
    assert NewtonSteps(MixtureModel(Independent(Categorical())), pytest.fail, 10, 1, 9_999).pays(10**12)
