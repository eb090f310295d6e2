"""Rows as seeds of clusters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from skentropy._data import Block
from skentropy.families import Gaussian
from skentropy.families._dirichlet import Dirichlet
from skentropy.families._von_mises_fisher import VonMisesFisher
from skentropy.mixture._gaussian import CorrelatedGaussian
from skentropy.mixture._independent import Independent
from skentropy.mixture._observations import Units
from skentropy.mixture._seed_rows import SmoothedRows
from skentropy.mixture._seeding import nearest
from skentropy.mixture._vector import VectorComponents
from tests.common.cases import CASES


@pytest.mark.parametrize("name", list(CASES))
def test_a_seed_is_nearest_to_itself(name: str) -> None:
    family = CASES[name].family
    X = CASES[name].draw(12, 2, np.random.RandomState(0), None)
    X = np.concatenate([X, X])  # the nearest of two equal rows is each itself
    statistics = family.sufficient_statistics(X)
    pooled = np.stack([T.mean(axis=0) for T in statistics])
    rows = SmoothedRows(family, Independent(family).read(Block(X, None, None, 0)), pooled)
    seeds = np.array([3, 0, 15, 7])
    np.testing.assert_array_equal(nearest(rows, seeds[np.newaxis])[0, seeds], np.arange(4))


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("name", list(CASES))
def test_divergences_are_those_of_the_family_between_smoothed_rows(name: str, as_sparse: bool) -> None:
    """An entry counts as often as its exposure says, and a gap for nothing."""
    family = CASES[name].family
    if as_sparse and not family.zero_statistics:
        return
    rng = np.random.RandomState(0)
    exposure = rng.randint(1, 4, size=15).astype(float) if family.additive else None
    X = CASES[name].draw(15, 3, rng, exposure)
    X[[1, 4, 9], [0, 2, 2]] = np.nan
    s = np.ones((15, 1)) if exposure is None else exposure[:, np.newaxis]
    T = np.stack(family.sufficient_statistics(np.where(np.isnan(X), X[0, 0], X)))
    seen = ~np.isnan(X)
    pooled = (T * seen).sum(axis=1) / (s * seen).sum(axis=0)
    mean = np.where(seen, 0.75 * T / s + 0.25 * pooled[:, np.newaxis], pooled[:, np.newaxis])
    eta = family.natural(mean)
    table = sparse.csr_matrix(X) if as_sparse else X
    rows = SmoothedRows(family, Independent(family).read(Block(table, None, exposure, 0)), pooled)
    chosen = np.array([1, 7, 4])
    seeds = rows.seeds(chosen)
    np.testing.assert_allclose(seeds, eta[:, chosen], rtol=1e-10, atol=1e-12)
    expected = [(s * seen * family.divergence(eta, eta[:, [i]])).sum(axis=1) for i in chosen]
    found = rows.divergences(seeds)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9)
    entropies = (s * seen * ((eta * mean).sum(axis=0) - family.log_partition(eta))).sum(axis=1)
    assert (rows.rounding < 2e-12 * (1.0 + np.abs(entropies))).all()


def test_correlated_gaussians_have_the_seeds_of_uncorrelated_ones() -> None:
    X = np.random.RandomState(0).normal([3.0, -2.0, 0.5], [1.0, 2.0, 0.3], size=(40, 3))
    block = Block(X, None, None, 0)
    components = CorrelatedGaussian(units=Units(np.array([1.0, 0.0, 0.0]), np.array([1.0, 2.0, 1.0])))
    components = components.with_pooled(components.summarize(components.read(block), np.ones(40)))
    diagonal = Independent(Gaussian(), units=components.units)
    u = components.units.apply(X)
    pooled = np.stack([u.mean(axis=0), (u**2).mean(axis=0)])
    expected = SmoothedRows(Gaussian(), diagonal.read(block), pooled)
    found = components.seed_rows(block, components.read(block))
    np.testing.assert_allclose(found.seeds(np.arange(5)), expected.seeds(np.arange(5)), rtol=1e-9)


@pytest.mark.parametrize("family", [VonMisesFisher(), Dirichlet()])
def test_rows_as_seeds_go_a_quarter_of_the_way_to_all_rows(family: Any) -> None:
    """Rows of zeros go all of it, and are as far from all seeds."""
    rng = np.random.default_rng(0)
    X = rng.dirichlet([2.0, 3.0, 4.0, 1.0], size=12)
    X = X if family.likelihood == "composition" else X / np.linalg.norm(X, axis=1, keepdims=True)
    X[3] = 0.0
    components = VectorComponents(family, normalize=True)
    block = Block(X, rng.exponential(size=12), None, 0)
    observations = components.read(block)
    components = components.with_pooled(components.summarize(observations, block.weight))
    seen = np.arange(12) != 3
    T = family.statistics(X[seen])
    pooled = np.average(T, axis=0, weights=block.row_weight[seen])
    np.testing.assert_allclose(components.pooled, pooled, rtol=1e-12)
    mean = np.tile(pooled, (12, 1))
    mean[seen] = 0.75 * T + 0.25 * pooled
    eta = family.natural(mean)
    rows = components.seed_rows(block, observations)
    np.testing.assert_allclose(rows.seeds(np.arange(12)), eta, rtol=1e-10)
    chosen = np.array([0, 3, 7])
    towards = np.stack([[family.divergence(eta[n], eta[[i]])[0] if seen[n] else 0.0 for n in range(12)] for i in chosen])
    np.testing.assert_allclose(rows.divergences(eta[chosen]), towards, rtol=1e-7, atol=1e-10)
    assert not rows.divergences(eta)[np.arange(12), np.arange(12)].any()
    entropies = (eta * mean).sum(axis=1) - family.log_partition(eta)
    np.testing.assert_allclose(rows.rounding, 1e-12 * (1.0 + seen * np.abs(entropies)), rtol=1e-9)
