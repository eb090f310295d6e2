"""What decoders say: densities, statistics, gradients, and the scale of the outputs that closes the gap."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from skentropy.neural_network._autoencoder import Autoencoder, Observations, Units, polished
from skentropy.neural_network._perceptron import ACTIVATIONS
from skentropy.neural_network._vae_observables import BernoulliOutputs, Canonical, GaussianNoise, PoissonOutputs
from skentropy.neural_network._vae_training import Batch, Objective
from tests.common.autoencoders import D, H, N, naive_elbo, observations, random_nets
from tests.neural_network.test_autoencoder import nodes

NOISE = GaussianNoise(np.array([0.5, 1.0, 2.0, 0.3]), np.array([0.4, 1.5, 1.0, 0.6]))
KINDS: dict[str, Any] = {"gaussian": NOISE, "bernoulli": BernoulliOutputs(0.7), "poisson": PoissonOutputs(0.7)}
every = pytest.mark.parametrize("kind", KINDS)
canonical = pytest.mark.parametrize("kind", ["bernoulli", "poisson"])


def rows_of(kind: str, gaps: bool, n: int = N) -> tuple[Observations, Any]:
    rows, weight = observations(gaps, n)
    rng = np.random.default_rng(7)
    if kind == "gaussian":
        return rows, weight
    x = rng.integers(0, 2 if kind == "bernoulli" else 6, size=rows.x.shape).astype(float)
    return replace(rows, x=x * rows.mask), weight


def log_density(kind: str, y: Any, x: Any) -> Any:
    if kind == "gaussian":
        return stats.norm.logpdf(x, y, np.sqrt(NOISE.noise))
    if kind == "bernoulli":
        return stats.bernoulli.logpmf(x, 1 / (1 + np.exp(-y)))
    return stats.poisson.logpmf(x, np.exp(y))


@every
def test_densities_and_expectations(kind: str) -> None:
    rng, observable = np.random.default_rng(0), KINDS[kind]
    (rows, _), shares = rows_of(kind, False), np.array([0.2, 0.5, 0.3])
    y, x = rng.normal(size=(3, N, D)), rows.x
    np.testing.assert_allclose(observable.log_density(y[0], x), log_density(kind, y[0], x), rtol=1e-10)
    fit, expected, statistics = observable.expect(y.copy(), x, shares)
    exact = sum(share * log_density(kind, one, x) for share, one in zip(shares, y, strict=True))
    np.testing.assert_allclose(observable.expected_log_density(statistics, x), exact, rtol=1e-10)
    means = {"gaussian": y, "bernoulli": 1 / (1 + np.exp(-y)), "poisson": np.exp(y)}[kind]
    np.testing.assert_allclose(expected, np.tensordot(shares, means, axes=1), rtol=1e-10)
    np.testing.assert_allclose(observable.mean(y), means, rtol=1e-12)
    # What steps go by: value, and its first two derivatives in a shift of all outputs.
    step = 1e-3
    up, down = (observable.expect(y + shift, x, shares)[0].value for shift in (step, -step))
    np.testing.assert_allclose(fit.pull, (up - down) / (2 * step), rtol=1e-5, atol=1e-5)
    curvature = np.broadcast_to(fit.curvature, x.shape)
    np.testing.assert_allclose(curvature, -(up + down - 2 * fit.value) / step**2, rtol=1e-4, atol=1e-4)


@canonical
def test_pseudo_entropies(kind: str) -> None:
    observable, y = KINDS[kind], np.array([[-1.0, 0.3, 2.0, 0.0]])
    statistics = observable.expect(y[np.newaxis].copy(), np.zeros((1, D)), np.ones(1))[2]
    if kind == "bernoulli":
        p = 1 / (1 + np.exp(-y))
        np.testing.assert_allclose(statistics[1], -(p * np.log(p) + (1 - p) * np.log(1 - p)), rtol=1e-10)
    else:  # W(51): the entropy less what the base measure adds to it
        np.testing.assert_allclose(statistics[1], np.exp(y) - y * np.exp(y), rtol=1e-10)


@every
@pytest.mark.parametrize("gaps", [False, True])
def test_training_gradients(kind: str, gaps: bool) -> None:
    rows, weight = rows_of(kind, gaps)
    nets, gradient, draws = random_nets(), random_nets(), np.random.default_rng(1).normal(size=(N, H))
    batch = Batch.of(rows, weight, np.float64)
    sums = Objective(0.7, 0.1, True, 0.0).gradient(nets, KINDS[kind], batch, draws, gradient)

    def value() -> float:
        outputs = nets.encoder(rows.filled)
        m, log_variance = outputs[:, :H], outputs[:, H:]
        fit = log_density(kind, nets.decoder(m + np.exp(0.5 * log_variance) * draws), rows.x) * rows.mask
        divergence = 0.5 * (m**2 + np.exp(log_variance) - 1 - log_variance).sum(axis=1)
        decay = sum(float((coefs**2).sum()) for net in (nets.encoder, nets.decoder) for coefs in net.coefs)
        return float(weight @ (fit.sum(axis=1) - 0.7 * divergence)) - 0.05 * decay

    fit = log_density(kind, nets.decoder(_latents(nets, rows, draws)), rows.x) * rows.mask
    assert KINDS[kind].log_likelihood(sums) == pytest.approx(float(weight @ fit.sum(axis=1)), rel=1e-9)
    for place in range(0, nets.vector.size, 3):
        at, step, values = nets.vector[place], 1e-5, []
        for moved in (at + step, at - step):
            nets.vector[place] = moved
            values.append(value())
        nets.vector[place] = at
        assert gradient.vector[place] == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-4, abs=1e-4)


def _latents(nets: Any, rows: Observations, draws: Any) -> Any:
    outputs = nets.encoder(rows.filled)
    return outputs[:, :H] + np.exp(0.5 * outputs[:, H:]) * draws


@canonical
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_the_best_scale_closes_the_gap_at_any_parameters(kind: str, gaps: bool, activation: str) -> None:
    rows, weight = rows_of(kind, gaps)
    nets = random_nets(activation)
    model = Autoencoder.trained(nets.encoder, nets.decoder, type(KINDS[kind])())
    before = model.posteriors(rows)
    elbo = np.average(naive_elbo(model, rows, before.means, before.variances, *nodes(H)), weights=weight)
    assert model.sums(rows, weight).elbo(model.observable) == pytest.approx(elbo, rel=1e-10)
    for _ in range(30):
        model = model.scaled_outputs(model.observable.output_scale(model.sums(rows, weight)))
    after = model.posteriors(rows)  # the same: steps know nothing of the scale
    np.testing.assert_allclose(after.means, before.means, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(after.variances, before.variances, rtol=1e-8)
    best, sums = polished(model, model.sums(rows, weight), tied=True, ridge=0.0)
    for one in (sums, best.sums(rows, weight)):
        terms = one.entropy_sum(best.observable, ridge=0.0)
        assert terms.value == pytest.approx(one.elbo(best.observable), abs=1e-9)
    assert terms.value > elbo
    assert (terms.base_measure != 0.0) == (kind == "poisson")
    for factor in (0.99, 1.01):
        other = best.scaled_outputs(factor)
        assert other.sums(rows, weight).elbo(other.observable) < terms.value


@canonical
def test_steps_raise_the_elbo(kind: str) -> None:
    rows, _ = rows_of(kind, True, n=40)
    nets = random_nets()
    model = Autoencoder.trained(nets.encoder, nets.decoder, type(KINDS[kind])())
    means, variances = model.encode(rows)
    gains = model.elbo_of_rows(rows) - naive_elbo(model, rows, means, variances, *nodes(H))
    some = rows.mask.any(axis=1)
    assert (gains[some] > -1e-9).all()
    assert np.median(gains) > 1e-2


@canonical
def test_natural_parameters_and_draws(kind: str) -> None:
    observable: Canonical = KINDS[kind]
    means = np.array([0.1, 0.5, 0.9])
    np.testing.assert_allclose(observable.mean(observable.natural(means)), means, rtol=1e-12)
    assert np.isfinite(observable.natural(np.array([0.0, 1.0]))).all()
    y = np.broadcast_to(observable.natural(means), (50_000, 3))
    np.testing.assert_allclose(observable.draw(y, np.random.RandomState(0)).mean(axis=0), means, atol=0.02)


def test_thresholds_and_units() -> None:
    X = np.array([[0.0, 3.0, np.nan, 8.0]])
    units = Units(np.full(4, 0.5), 0.25, (np.zeros(4), np.zeros((4, 1)), np.ones(4)), False, 2.5)
    rows = units.observe(X)
    np.testing.assert_array_equal(rows.x, [[0.0, 1.0, 0.0, 1.0]])
    np.testing.assert_array_equal(rows.filled, [[-2.0, 2.0, 0.0, 2.0]])
    assert units.log_jacobian == 0.0
    np.testing.assert_array_equal(units.original(rows.x), rows.x)
