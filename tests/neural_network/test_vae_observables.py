"""What decoders say: densities, statistics, gradients, and the scale of the outputs that closes the gap."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from scipy.special import gammaln

from skentropy.decomposition._gaussian import LinearGaussian
from skentropy.neural_network._autoencoder import Autoencoder, polish
from skentropy.neural_network._perceptron import ACTIVATIONS
from skentropy.neural_network._vae_observables import (
    BernoulliOutputs,
    Canonical,
    GaussianNoise,
    HeteroscedasticNoise,
    PoissonOutputs,
    best_noise,
)
from skentropy.neural_network._vae_prior import PRIORS
from skentropy.neural_network._vae_start import start_canonical
from skentropy.neural_network._vae_training import Batch, Nets, Objective
from skentropy.neural_network._vae_units import Observations, Units
from tests.common.autoencoders import GAUSSIAN, D, H, N, divergence, naive_elbo, observations, random_nets
from tests.neural_network.test_autoencoder import nodes

NOISE = GaussianNoise(np.array([0.5, 1.0, 2.0, 0.3]), np.array([0.4, 1.5, 1.0, 0.6]))
KINDS: dict[str, Any] = {
    "gaussian": NOISE,
    "heteroscedastic": HeteroscedasticNoise(NOISE.noise, NOISE.step_noise),
    "bernoulli": BernoulliOutputs(0.7),
    "poisson": PoissonOutputs(0.7),
}
RIDGE = 0.3
every = pytest.mark.parametrize("kind", KINDS)
canonical = pytest.mark.parametrize("kind", ["bernoulli", "poisson"])


def rows_of(kind: str, gaps: bool, n: int = N) -> tuple[Observations, Any]:
    rows, weight = observations(gaps, n)
    rng = np.random.default_rng(7)
    if kind in ("gaussian", "heteroscedastic"):
        return rows, weight
    x = rng.integers(0, 2 if kind == "bernoulli" else 6, size=rows.x.shape).astype(float)
    return replace(rows, x=x * rows.mask), weight


def log_density(kind: str, y: Any, x: Any) -> Any:
    if kind == "gaussian":
        return stats.norm.logpdf(x, y, np.sqrt(NOISE.noise))
    if kind == "heteroscedastic":
        return stats.norm.logpdf(x, y[..., :D], np.sqrt(NOISE.noise * np.exp(y[..., D:])))
    if kind == "bernoulli":
        return stats.bernoulli.logpmf(x, 1 / (1 + np.exp(-y)))
    return stats.poisson.logpmf(x, np.exp(y))


@every
def test_densities_and_expectations(kind: str) -> None:
    rng, observable = np.random.default_rng(0), KINDS[kind]
    (rows, _), shares = rows_of(kind, False), np.array([0.2, 0.5, 0.3])
    y, x = rng.normal(size=(3, N, observable.n_outputs * D)), rows.x
    np.testing.assert_allclose(observable.log_density(y[0], x), log_density(kind, y[0], x), rtol=1e-10)
    fit, expected, statistics = observable.expect(y.copy(), x, shares)
    exact = sum(share * log_density(kind, one, x) for share, one in zip(shares, y, strict=True))
    np.testing.assert_allclose(observable.expected_log_density(statistics, x), exact, rtol=1e-10)
    means = {"gaussian": y, "heteroscedastic": y[..., :D], "bernoulli": 1 / (1 + np.exp(-y)), "poisson": np.exp(y)}[kind]
    np.testing.assert_allclose(expected, np.tensordot(shares, means, axes=1), rtol=1e-10)
    np.testing.assert_allclose(observable.mean(y), means, rtol=1e-12)
    if kind in ("gaussian", "heteroscedastic"):
        by_steps = replace(observable, noise=observable.step_noise).expected_log_density(statistics, x)
        np.testing.assert_allclose(fit.value, by_steps + 0.5 * np.log(2 * np.pi * observable.step_noise), rtol=1e-10)
    # What steps go by: value, and its first two derivatives in a shift of all outputs of a kind.
    step = 1e-3
    for part in range(observable.n_outputs):
        outputs = slice(part * D, (part + 1) * D)
        shift = np.zeros(y.shape[-1])
        shift[outputs] = step
        up, down = (observable.expect(shifted, x, shares)[0].value for shifted in (y + shift, y - shift))
        np.testing.assert_allclose(fit.pull[:, outputs], (up - down) / (2 * step), rtol=1e-5, atol=1e-5)
        curvature = np.broadcast_to(fit.curvature, fit.pull.shape)[:, outputs]
        np.testing.assert_allclose(curvature, -(up + down - 2 * fit.value) / step**2, rtol=1e-4, atol=1e-4)


def test_steps_see_no_slope_where_variances_are_at_their_limits() -> None:
    observable, shares, x = KINDS["heteroscedastic"], np.array([0.3, 0.7]), np.full((1, D), 1.5)
    y = np.array([[0.2] * D + [9.0, -9.0, 0.5, 9.0], [0.4] * D + [9.0, -9.0, 0.4, 0.3]])[:, np.newaxis]
    fit = observable.expect(y.copy(), x, shares)[0]
    step = 1e-4 * np.concatenate([np.zeros(D), np.ones(D)])
    up, down = (observable.expect(shifted, x, shares)[0].value for shifted in (y + step, y - step))
    np.testing.assert_allclose(fit.pull[:, D:], (up - down) / 2e-4, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(fit.curvature[:, D:], -(up + down - 2 * fit.value) / 1e-8, rtol=1e-4, atol=1e-6)


def test_rates_that_are_limited_are_those_of_the_density() -> None:
    observable, x, y = PoissonOutputs(0.5), np.array([[1e15]]), np.array([[60.0]])
    expected = 30.0 * 1e15 - np.exp(30.0) - gammaln(1e15 + 1.0)
    np.testing.assert_allclose(observable.log_density(y, x), expected, rtol=1e-12)
    fit, means, statistics = observable.expect(2.0 * y[np.newaxis], x, np.ones(1))
    np.testing.assert_allclose(observable.expected_log_density(statistics, x), expected, rtol=1e-12)
    np.testing.assert_allclose(fit.value, expected + gammaln(1e15 + 1.0), rtol=1e-12)
    np.testing.assert_allclose(means, np.exp(30.0), rtol=1e-12)
    np.testing.assert_allclose(observable.pull(y.copy(), x)[1][0], expected + gammaln(1e15 + 1.0), rtol=1e-12)


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
@pytest.mark.parametrize("prior", sorted(PRIORS))
@pytest.mark.parametrize("gaps", [False, True])
def test_training_gradients(kind: str, prior: str, gaps: bool) -> None:
    rows, weight = rows_of(kind, gaps)
    nets, gradient = (random_nets(n_outputs=KINDS[kind].n_outputs * D) for _ in range(2))
    draws, batch = np.random.default_rng(1).normal(size=(N, H)), Batch.of(rows, weight, np.float64)
    sums = Objective(0.7, 0.1, True, RIDGE, PRIORS[prior]).gradient(nets, KINDS[kind], batch, draws, gradient)

    def value() -> float:
        outputs = nets.encoder(rows.filled)
        m, log_variance = outputs[:, :H], outputs[:, H:]
        y = nets.decoder(m + np.exp(0.5 * log_variance) * draws)
        fit = log_density(kind, y, rows.x) * rows.mask
        if kind == "heteroscedastic":
            fit -= 0.5 * RIDGE * np.exp(-y[:, D:]) / NOISE.noise * rows.mask
        v = np.exp(log_variance)
        distance = [sum(divergence(prior, *pair) for pair in zip(*row, strict=True)) for row in zip(m, v, strict=True)]
        decay = sum(float((coefs**2).sum()) for net in (nets.encoder, nets.decoder) for coefs in net.coefs)
        return float(weight @ (fit.sum(axis=1) - 0.7 * np.array(distance))) - 0.05 * decay

    fit = log_density(kind, nets.decoder(_latents(nets, rows, draws)), rows.x) * rows.mask
    assert KINDS[kind].log_likelihood(sums) == pytest.approx(float(weight @ fit.sum(axis=1)), rel=1e-9)
    for place in range(0, nets.vector.size, 3):
        at, step, values = nets.vector[place], 1e-5, []
        for moved in (at + step, at - step):
            nets.vector[place] = moved
            values.append(value())
        nets.vector[place] = at
        assert gradient.vector[place] == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("prior", sorted(PRIORS))
@pytest.mark.parametrize("ridge", [0.0, RIDGE])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_variances_that_depend_on_the_latents(gaps: bool, prior: str, ridge: float, activation: str) -> None:
    rows, weight = rows_of("heteroscedastic", gaps)
    nets = random_nets(activation, n_outputs=2 * D)
    model = Autoencoder.trained(nets.encoder, nets.decoder, KINDS["heteroscedastic"].as_trained(), PRIORS[prior])
    before, sums = model.posteriors(rows), model.sums(rows, weight)
    elbo = np.average(naive_elbo(model, rows, before.means, before.variances, *nodes(H)), weights=weight)
    assert sums.elbo(model.observable) == pytest.approx(elbo, rel=1e-10)
    shrunk = np.exp(-model.decoder(before.means)[:, D:])
    assert sums.penalty(model.observable, ridge) == pytest.approx(
        0.5 * ridge * np.average((shrunk / NOISE.noise * rows.mask).sum(axis=1), weights=weight), rel=0.5
    )
    best, polished_sums = polish(model, sums, tied=False, ridge=ridge)
    np.testing.assert_allclose(best.posteriors(rows).expected, before.expected, rtol=1e-9)
    for one in (polished_sums, best.sums(rows, weight)):
        terms = one.entropy_sum(best.observable, ridge=ridge)
        assert terms.value == pytest.approx(one.elbo(best.observable), abs=1e-11)
    # It is the best that offsets of the log variances can do.
    value = polished_sums.elbo(best.observable) - polished_sums.penalty(best.observable, ridge)
    for factor in (0.99, 1.01):
        other = HeteroscedasticNoise.of(best.observable.noise * factor)
        assert polished_sums.elbo(other) - polished_sums.penalty(other, ridge) < value


def test_draws_with_variances_that_depend_on_the_latents() -> None:
    y = np.broadcast_to(np.concatenate([np.arange(4.0), [-1.0, 0.1, 1.0, 20.0]]), (50_000, 8))
    drawn = KINDS["heteroscedastic"].draw(y, np.random.RandomState(0))
    np.testing.assert_allclose(drawn.mean(axis=0), np.arange(4.0), atol=0.5)
    variances = NOISE.noise * np.exp([-1.0, 0.1, 1.0, 8.0])  # no more than exp(8) times the noise
    np.testing.assert_allclose(drawn.var(axis=0), variances, rtol=0.03)
    pull = KINDS["heteroscedastic"].pull(y[:1].copy(), np.zeros((1, D)))[0]
    assert pull[0, -1] == 0.0
    assert (pull[0, D:-1] != 0.0).all()


def _latents(nets: Any, rows: Observations, draws: Any) -> Any:
    outputs = nets.encoder(rows.filled)
    return outputs[:, :H] + np.exp(0.5 * outputs[:, H:]) * draws


@canonical
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_the_best_scale_closes_the_gap_at_any_parameters(kind: str, gaps: bool, activation: str) -> None:
    rows, weight = rows_of(kind, gaps)
    nets = random_nets(activation)
    model = Autoencoder.trained(nets.encoder, nets.decoder, type(KINDS[kind])(), GAUSSIAN)
    before = model.posteriors(rows)
    elbo = np.average(naive_elbo(model, rows, before.means, before.variances, *nodes(H)), weights=weight)
    assert model.sums(rows, weight).elbo(model.observable) == pytest.approx(elbo, rel=1e-10)
    for _ in range(30):
        model = model.scaled_outputs(model.observable.output_scale(model.sums(rows, weight)))
    after = model.posteriors(rows)  # the same: steps know nothing of the scale
    np.testing.assert_allclose(after.means, before.means, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(after.variances, before.variances, rtol=1e-8)
    best, sums = polish(model, model.sums(rows, weight), tied=True, ridge=0.0)
    for one in (sums, best.sums(rows, weight)):
        terms = one.entropy_sum(best.observable, ridge=0.0)
        assert terms.value == pytest.approx(one.elbo(best.observable), abs=1e-9)
    assert terms.value > elbo
    assert (terms.base_measure != 0.0) == (kind == "poisson")
    for factor in (0.99, 1.01):
        other = best.scaled_outputs(factor)
        assert other.sums(rows, weight).elbo(other.observable) < terms.value


@every
@pytest.mark.parametrize("prior", sorted(PRIORS))
def test_steps_raise_the_elbo(kind: str, prior: str) -> None:
    rows, _ = rows_of(kind, True, n=40)
    nets = random_nets(n_outputs=KINDS[kind].n_outputs * D)
    observable = KINDS[kind].as_trained() if kind in ("gaussian", "heteroscedastic") else type(KINDS[kind])()
    model = Autoencoder.trained(nets.encoder, nets.decoder, observable, PRIORS[prior])
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
    near = np.array([0.0, 0.0199, 0.0201])  # a fiftieth is the least mean
    np.testing.assert_allclose(observable.mean(observable.natural(near)), [0.02, 0.02, 0.0201], rtol=1e-10)
    limits = observable.natural(np.array([0.0, 1.0]))
    assert np.isfinite(limits).all()
    assert limits.sum() == pytest.approx(0.0 if kind == "bernoulli" else np.log(0.02), abs=1e-9)
    y = np.broadcast_to(observable.natural(means), (50_000, 3))
    np.testing.assert_allclose(observable.draw(y, np.random.RandomState(0)).mean(axis=0), means, atol=0.02)


@pytest.mark.parametrize("kind", ["gaussian", "heteroscedastic"])
def test_draws_have_their_variances(kind: str) -> None:
    v = np.array([0.3, -0.5, 0.0, 1.0]) if kind == "heteroscedastic" else np.zeros(0)
    y = np.broadcast_to(np.concatenate([np.arange(4.0), v]), (50_000, 4 + len(v)))
    drawn = KINDS[kind].draw(y, np.random.RandomState(0))
    variances = NOISE.noise * np.exp(v) if len(v) else NOISE.noise
    np.testing.assert_allclose(drawn.mean(axis=0), np.arange(4.0), atol=0.03)
    np.testing.assert_allclose(drawn.var(axis=0), variances, rtol=0.03)
    noise = np.random.RandomState(0).normal(size=(50_000, 4))
    np.testing.assert_allclose(drawn, np.arange(4.0) + noise * np.sqrt(variances), rtol=1e-12)


@every
def test_outputs_that_no_scale_changes_keep_theirs(kind: str) -> None:
    sums: Any = SimpleNamespace(statistics=np.zeros((4, D)))
    assert KINDS[kind].output_scale(sums) == 1.0


@canonical
@pytest.mark.parametrize(("slope", "factor"), [(9.0, 1.5), (0.3, 1.1), (-0.3, 0.9), (-9.0, 0.5)])
def test_outputs_are_scaled_by_a_half_to_one_and_a_half(kind: str, slope: float, factor: float) -> None:
    sums: Any = SimpleNamespace(statistics=np.array([[0.0, slope], [0.0, 0.0], [1.0, 2.0], [0.0, 0.0]]))
    assert KINDS[kind].output_scale(sums) == pytest.approx(factor)


@canonical
def test_steps_with_other_scales_change_no_expected_mean(kind: str) -> None:
    y, x = np.random.default_rng(0).normal(size=(2, N, D)), rows_of(kind, False)[0].x
    for scale in (0.5, 1.0, 1.01):
        observable = type(KINDS[kind])(scale)
        _, expected, _ = observable.expect(y.copy(), x, np.array([0.4, 0.6]))
        np.testing.assert_allclose(expected, 0.4 * observable.mean(y[0]) + 0.6 * observable.mean(y[1]), rtol=1e-12)


def test_the_noise_of_what_is_never_observed_is_one() -> None:
    squares, observed = np.array([6.0, 0.0]), np.array([2.0, 0.0])
    np.testing.assert_array_equal(best_noise(squares, np.array([1.0, 0.0]), observed, tied=False), [3.5, 1.0])
    np.testing.assert_array_equal(best_noise(squares, np.array([1.0, 0.0]), observed, tied=True), [3.5, 3.5])


@canonical
def test_decoders_start_with_the_means_and_slopes_of_the_linear_model(kind: str) -> None:
    rng, observable = np.random.default_rng(0), KINDS[kind]
    linear = LinearGaussian.of(0.1 * rng.normal(size=D), rng.normal(size=(D, H)), rng.uniform(0.5, 1.0, size=D)).canonical()
    units = Units(np.full(D, 0.4), 0.3, (linear.mean, linear.loadings, linear.noise), False)
    nets = Nets.of_sizes([D, 2 * H], [H, D], "silu")
    start_canonical(nets, linear, units, observable)
    np.testing.assert_allclose(observable.mean(nets.decoder(np.zeros((1, H))))[0], 0.4 + 0.3 * linear.mean, rtol=1e-12)
    step = 1e-5 * np.eye(H)
    slopes = (observable.mean(nets.decoder(step)) - observable.mean(nets.decoder(-step))) / 2e-5
    np.testing.assert_allclose(slopes, 0.3 * linear.loadings.T, rtol=1e-6)


def test_units_that_the_likelihood_does_not_see() -> None:
    X = np.array([[0.0, 1.0, np.nan, 1.0]])
    units = Units(np.full(4, 0.5), 0.25, (np.zeros(4), np.zeros((4, 1)), np.ones(4)), False)
    rows = units.observe(X)
    np.testing.assert_array_equal(rows.x, [[0.0, 1.0, 0.0, 1.0]])
    np.testing.assert_array_equal(rows.filled, [[-2.0, 2.0, 0.0, 2.0]])
    assert units.log_jacobian == 0.0
    np.testing.assert_array_equal(units.original(rows.x), rows.x)
