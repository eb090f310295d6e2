"""Gaussian features in frames of their own: the same components, with the digits that common units lose."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skentropy._data import Block
from skentropy.families import Gaussian, LogNormal
from skentropy.mixture._diagonal import DiagonalGaussian
from skentropy.mixture._independent import Independent
from skentropy.mixture._observations import Units
from skentropy.mixture._own_frames import OwnFrames, in_own_frames

KINDS = {
    "gaussian": Independent(Gaussian()),
    "log_normal": Independent(LogNormal()),
    "diag": DiagonalGaussian(Gaussian()),
    "tied_diag": DiagonalGaussian(Gaussian(), over_components=True),
    "spherical": DiagonalGaussian(Gaussian(), over_features=True),
    "ridge": DiagonalGaussian(Gaussian(), reg_covar=0.3),
}


def problem(name: str, prior_counts: float) -> tuple[Any, Any, Any, Block]:
    """The same components in common units and in their own frames, standard parameters, and rows with gaps and weights."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(40, 2)), np.array([1200.0, 900.0]) + rng.normal(size=(30, 2))])
    X[rng.uniform(size=X.shape) < 0.1] = np.nan
    means, variances = np.array([[0.1, -0.2], [1200.2, 900.1]]), np.array([[0.9, 1.2], [1.1, 0.8]])
    if name == "log_normal":
        X, means = np.exp(0.05 * X), 0.05 * means
        variances = 0.0025 * variances
    if name == "tied_diag":
        variances = variances[:1].repeat(2, axis=0)
    if name == "spherical":
        variances = variances[:, :1].repeat(2, axis=1)
    block = Block(X, rng.exponential(size=len(X)), None, 0)
    components = KINDS[name]
    family = components.family
    moments = (means.mean(axis=0), np.full(2, 3e5)) if name != "log_normal" else (np.full(2, np.exp(30.0)), np.ones(2))
    components = components._in_units(Units.of_moments(family, *moments))
    components = components.with_pooled(components.summarize(components.read(block), block.weight))
    components = components.with_prior(prior_counts, None)
    parameters = components.natural(
        {"tied_diag": (means, variances[0]), "spherical": (means, variances[:, 0])}.get(name, (means, variances))
    )
    own = in_own_frames(components, parameters)
    assert isinstance(own, OwnFrames)
    return components, own, parameters, block


@pytest.mark.parametrize("weight", [1.0, 1e-3, 1e-6])
@pytest.mark.parametrize("prior_counts", [0.0, 1.5])
@pytest.mark.parametrize("name", list(KINDS))
def test_they_are_the_same_components(name: str, prior_counts: float, weight: float) -> None:
    """As far as common units have digits: a millionth, and with a prior that outweighs the rows as well."""
    common, own, parameters, block = problem(name, prior_counts)
    offsets = np.log([0.4, 0.6])
    own_parameters = own.natural(common.standard(parameters))
    q = weight * block.weight * np.random.default_rng(1).dirichlet(np.ones(2), size=block.n_rows).T
    found, of_rows = [], []
    for components, at in ((common, parameters), (own, own_parameters)):
        evidence = components.observe(at, components.read(block), offsets)
        statistics = evidence.accumulate(q)
        after = components.maximize(statistics)
        of_rows.append(evidence.log_joint + components.log_base_measure(block))
        # Natural parameters, densities and prior are in other units, which the entropies of both count.
        density = components.log_density(after, statistics) - components.log_density(at, statistics)
        prior = components.log_prior(after, statistics) - components.log_prior(at, statistics)
        entropy = components.entropy(after, statistics) - components.entropy(at, statistics)
        terms = [density, *prior, entropy, components.penalty(after, statistics)]
        found.append(([*components.standard(after)], terms, components.column_divergences(after, 1)))
    for one, other in zip(found[0][0], found[1][0], strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-6)
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=1e-5, atol=1e-5 * weight)
    np.testing.assert_allclose(found[1][2], found[0][2], rtol=1e-6, atol=1e-7)
    difference = of_rows[1] - of_rows[0]
    np.testing.assert_allclose(difference, np.broadcast_to(difference[:, :1], difference.shape), atol=1e-3)


def test_one_narrow_component_far_away_on_either_side_is_enough() -> None:
    """Its distance from all rows is a multiple of its width; common units keep ten digits up to the root of 1e5."""
    components = Independent(Gaussian(), pooled=np.array([[0.0], [1.0]]))._in_units(Units(np.zeros(1), np.ones(1)))
    for mean in (-1.0, 1.0):
        for variance, own in ((0.995e-5, True), (1.005e-5, False)):
            parameters = components.natural((np.array([[mean], [-mean]]), np.array([[variance], [1.0]])))
            assert isinstance(in_own_frames(components, parameters), OwnFrames) == own
