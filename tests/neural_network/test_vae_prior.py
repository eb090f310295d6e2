"""Priors of latents: energies under Gaussians, their derivatives, scales in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import trapezoid

from skentropy.neural_network._vae_prior import PRIORS
from tests.common.autoencoders import divergence

SCIPY: dict[str, Any] = {"gaussian": stats.norm(), "laplace": stats.laplace(scale=1.0 / np.sqrt(2.0))}
MEANS, VARIANCES = np.array([0.0, 0.4, -2.0, 5.0]), np.array([1.0, 0.3, 2.0, 0.01])
every = pytest.mark.parametrize("name", sorted(PRIORS))


@every
def test_densities_entropies_and_draws(name: str) -> None:
    prior, z = PRIORS[name], np.linspace(-3.0, 3.0, 7)
    np.testing.assert_allclose(prior.log_density(z), SCIPY[name].logpdf(z), rtol=1e-12)
    assert prior.entropy == pytest.approx(SCIPY[name].entropy(), rel=1e-12)
    assert SCIPY[name].var() == pytest.approx(1.0)
    drawn = prior.draw(np.random.RandomState(0), (40_000,))
    assert stats.kstest(drawn, SCIPY[name].cdf).pvalue > 0.01


@every
def test_energies_and_divergences(name: str) -> None:
    prior, log_norm = PRIORS[name], -SCIPY[name].logpdf(0.0)
    grid = np.linspace(-12.0, 12.0, 200_001)
    for m, v in zip(MEANS, VARIANCES, strict=True):
        # By quadrature over the posterior.
        z = m + np.sqrt(v) * grid
        exact = trapezoid(-SCIPY[name].logpdf(z) * stats.norm.pdf(grid), grid) - log_norm
        assert prior.energy(np.array(m), np.array(v)) == pytest.approx(exact, rel=1e-7)
        found = prior.divergence(np.array(m), np.array(v))
        assert found == pytest.approx(divergence(name, m, v), rel=1e-9, abs=1e-12)
    mean = float(trapezoid(-SCIPY[name].logpdf(grid) * SCIPY[name].pdf(grid), grid)) - log_norm
    assert prior.mean_energy == pytest.approx(mean, rel=1e-5)


@every
def test_derivatives_of_energies(name: str) -> None:
    prior, step = PRIORS[name], 1e-4
    up, down = (prior.energy(MEANS + shift, VARIANCES) for shift in (step, -step))
    np.testing.assert_allclose(prior.slope(MEANS, VARIANCES), (up - down) / (2 * step), rtol=1e-6, atol=1e-9)
    curvature = prior.curvature(MEANS, VARIANCES)
    second = (up + down - 2 * prior.energy(MEANS, VARIANCES)) / step**2
    np.testing.assert_allclose(curvature, second, rtol=1e-5, atol=1e-5)
    up, down = (prior.energy(MEANS, VARIANCES * (1 + shift)) for shift in (step, -step))
    np.testing.assert_allclose(0.5 * curvature, (up - down) / (2 * step * VARIANCES), rtol=1e-6, atol=1e-6)
    assert (prior.curvature(np.array([100.0]), np.array([1e-3])) > 0.0).all()


@every
def test_the_nearest_gaussian(name: str) -> None:
    prior = PRIORS[name]
    nearest = prior.nearest_variance
    least = divergence(name, 0.0, nearest)
    for m, v in ((0.0, 1.01 * nearest), (0.0, 0.99 * nearest), (0.05, nearest)):
        assert divergence(name, m, v) > least
    assert prior.energy(np.array(0.0), np.array(nearest)) == pytest.approx(prior.mean_energy, rel=1e-12)
    assert prior.least_information == pytest.approx(least, abs=1e-12)
    information = prior.information(np.log(VARIANCES))
    np.testing.assert_allclose(
        information, SCIPY[name].entropy() - stats.norm(scale=np.sqrt(VARIANCES)).entropy(), atol=1e-12
    )


@every
def test_the_best_units(name: str) -> None:
    """The divergences of all posteriors from the prior are least, over offsets for the Gaussian, and made of entropies."""
    prior, rng = PRIORS[name], np.random.default_rng(0)
    m, v, weight = 1.0 + 3.0 * rng.normal(size=(50, 1)), rng.uniform(0.5, 2.0, size=(50, 1)), rng.uniform(size=50)
    weight /= weight.sum()
    c, a = prior.best_units(weight @ m, weight @ prior.energy(m, v))

    def mean_divergence(c: Any, a: Any) -> float:
        pairs = zip(((m - c) / a).ravel(), (v / a**2).ravel(), strict=True)
        return float(weight @ [divergence(name, *pair) for pair in pairs])

    # ``divergence`` is of z', to which z has the same but for the unit, which cancels.
    best = mean_divergence(c, a)
    assert best == pytest.approx(
        float(prior.entropy - (weight @ stats.norm.entropy(scale=np.sqrt(v) / a)).item()), rel=1e-10
    )
    for other in (0.98 * a, 1.02 * a):
        assert mean_divergence(c, other) > best
    if name == "gaussian":
        assert mean_divergence(c + 0.05, a) > best


def test_draws_of_the_laplace_prior_have_its_scale() -> None:
    found = PRIORS["laplace"].draw(np.random.RandomState(0), (3, 2))
    np.testing.assert_allclose(found, np.random.RandomState(0).laplace(size=(3, 2)) * np.sqrt(0.5))
