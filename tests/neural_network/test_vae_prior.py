"""Priors of latents: energies under Gaussians, their derivatives, scales in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import trapezoid

from skentropy.neural_network._linear_decoder import _RowProblems
from skentropy.neural_network._vae_prior import PRIORS
from skentropy.neural_network._vae_sums import Sums
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
def test_a_latent_with_less_than_a_hundredth_of_a_nat_has_collapsed(name: str) -> None:
    prior = PRIORS[name]
    information = prior.least_information + np.array([0.0, 0.00995, 0.01005, 0.5])
    np.testing.assert_array_equal(prior.has_collapsed(information), [True, True, False, False])


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


@every
@pytest.mark.parametrize("shared", [True, False])
def test_problems_of_rows_are_those_of_latents_moved_and_stretched(name: str, shared: bool) -> None:
    """With z = (m - centre) / scale in place of m the objective differs by a constant, and steps end at the same points."""
    rng, prior, h = np.random.default_rng(0), PRIORS[name], 3
    roots = rng.normal(size=(1 if shared else 5, h, h))
    gram, pull = roots @ roots.transpose(0, 2, 1), rng.normal(size=(5, h))
    centre, scale = np.array([0.4, -1.0, 2.0]), np.array([0.5, 2.0, 3.0])
    problems = _RowProblems(prior, centre, scale, gram, pull)
    moved = scale * (pull - gram @ centre)
    plain = _RowProblems(prior, np.zeros(h), np.ones(h), gram * scale * scale[:, np.newaxis], moved)
    z, variances = rng.normal(size=(5, h)), rng.uniform(0.2, 2.0, (5, h))
    m, v = centre + scale * z, scale**2 * variances
    constant = pull @ centre - 0.5 * np.einsum("i,nij,j->n", centre, gram, centre)
    np.testing.assert_allclose(problems.value(m, v) - plain.value(z, variances), constant, rtol=1e-10)
    (means, precisions), (plain_means, plain_precisions) = problems.target(m, v), plain.target(z, variances)
    np.testing.assert_allclose(means, centre + scale * plain_means, rtol=1e-10)
    np.testing.assert_allclose(precisions * scale**2, plain_precisions, rtol=1e-10)
    np.testing.assert_array_equal(problems.start[0], np.tile(centre, (5, 1)))
    np.testing.assert_allclose(problems.start[1], np.tile(prior.nearest_variance * scale**2, (5, 1)), rtol=1e-14)
    # Against the definition, for means that are where the prior is and variances that are the prior's.
    fit = (m * (pull - 0.5 * np.einsum("nij,nj->ni", np.broadcast_to(gram, (5, h, h)), m))).sum(axis=1)
    fit -= 0.5 * (v * np.broadcast_to(np.diagonal(gram, axis1=1, axis2=2), (5, h))).sum(axis=1)
    expected = [sum(divergence(name, *pair) for pair in zip(*row, strict=True)) for row in zip(z, variances, strict=True)]
    np.testing.assert_allclose(problems.value(m, v), fit - expected, rtol=1e-8, atol=1e-10)


@every
def test_rows_without_entries_have_the_posterior_nearest_to_the_prior(name: str) -> None:
    prior, h = PRIORS[name], 2
    none = Sums(prior, 0.0, np.zeros(3), np.zeros((2, 3)), *(np.zeros(h) for _ in range(3)))
    sums = none.with_empty_rows(2.5)
    assert sums.weight == 2.5
    nothing, variance = np.zeros(h), np.full(h, prior.nearest_variance)
    np.testing.assert_allclose(sums.energy, 2.5 * prior.energy(nothing, variance), rtol=1e-12)
    np.testing.assert_allclose(sums.log_variance, 2.5 * np.log(variance), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(sums.first, 0.0)
