"""Autoencoders with any parameters: posteriors, ELBO, entropy sum, the gap between them, and the polish that closes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import laplace, norm

from skentropy.decomposition._gaussian import LinearGaussian
from skentropy.neural_network import _autoencoder
from skentropy.neural_network._autoencoder import Autoencoder, polish
from skentropy.neural_network._perceptron import ACTIVATIONS
from skentropy.neural_network._vae_observables import GaussianNoise
from skentropy.neural_network._vae_prior import PRIORS
from skentropy.neural_network._vae_start import start_linear
from skentropy.neural_network._vae_sums import Sums
from skentropy.neural_network._vae_training import Nets
from skentropy.neural_network._vae_units import Observations, Units
from tests.common.autoencoders import GAUSSIAN, D, H, divergence, naive_elbo, observations, random_model

with_gaps = pytest.mark.parametrize("gaps", [False, True])


def noise_of(model: Autoencoder) -> Any:
    assert isinstance(model.observable, GaussianNoise)
    return model.observable.noise


def nodes(h: int) -> tuple[Any, Any]:
    """Nodes and weights of the rule that expectations are taken by."""
    axes = np.sqrt(h + 2.0) * np.eye(h)
    return np.vstack([np.zeros(h), axes, -axes]), np.array([2.0, *([0.5] * (2 * h))]) / (h + 2.0)


@with_gaps
@pytest.mark.parametrize("prior", sorted(PRIORS))
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_elbos_are_those_of_the_definition(gaps: bool, prior: str, activation: str) -> None:
    model, (rows, weight) = random_model(activation, prior=prior), observations(gaps)
    posteriors = model.posteriors(rows)
    expected = naive_elbo(model, rows, posteriors.means, posteriors.variances, *nodes(H))
    np.testing.assert_allclose(model.elbo_of_rows(rows), expected, rtol=1e-12)
    assert model.sums(rows, weight).elbo(model.observable) == pytest.approx(np.average(expected, weights=weight), rel=1e-12)


@with_gaps
def test_the_gap_has_a_closed_form_at_any_parameters(gaps: bool) -> None:
    for seed in range(5):
        model, (rows, weight) = random_model(seed=seed), observations(gaps, seed=seed)
        sums = model.sums(rows, weight)
        observed = sums.observed / sums.weight
        second, residual = 2.0 * sums.energy / sums.weight, sums.statistics[0] / sums.observed
        gap = 0.5 * (second - 1.0).sum() + 0.5 * (observed * (residual / noise_of(model) - 1.0)).sum()
        found = sums.entropy_sum(model.observable, ridge=0.0).value - sums.elbo(model.observable)
        assert found == pytest.approx(gap, abs=1e-12)
        assert abs(gap) > 0.01


@with_gaps
@pytest.mark.parametrize("prior", sorted(PRIORS))
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("ridge", [0.0, 0.1])
def test_the_polish_closes_the_gap_and_the_decoder_says_the_same(gaps: bool, prior: str, tied: bool, ridge: float) -> None:
    model, (rows, weight) = random_model(prior=prior), observations(gaps)
    before, said = model.sums(rows, weight), model.posteriors(rows)
    best, sums = polish(model, before, tied=tied, ridge=ridge)
    fresh, again = best.sums(rows, weight), best.posteriors(rows)
    np.testing.assert_allclose(again.expected, said.expected, rtol=1e-10)
    np.testing.assert_allclose(again.statistics, said.statistics, rtol=1e-10)
    np.testing.assert_allclose(fresh.energy / fresh.weight, model.prior.mean_energy, rtol=1e-12)
    np.testing.assert_allclose(fresh.first, sums.first, atol=1e-11)
    if prior == "gaussian":
        np.testing.assert_allclose(fresh.first / fresh.weight, 0.0, atol=1e-12)
    for one in (sums, fresh):
        terms = one.entropy_sum(best.observable, ridge=ridge)
        assert terms.value == pytest.approx(one.elbo(best.observable), abs=1e-11)
    np.testing.assert_allclose(fresh.log_variance, sums.log_variance, rtol=1e-10)
    assert (np.diff(sums.log_variance) >= 0).all()
    # It is the best that offsets, scales and noise can do.
    value = sums.elbo(best.observable) - sums.penalty(best.observable, ridge)
    given = GaussianNoise.of(np.full(D, noise_of(model).mean()) if tied else noise_of(model))
    assert value > before.elbo(given) - before.penalty(given, ridge)
    for factor in (0.99, 1.01):
        other = GaussianNoise.of(noise_of(best) * factor)
        assert sums.elbo(other) - sums.penalty(other, ridge) < value


def test_other_latents_are_the_same_model() -> None:
    model, (rows, _) = random_model(), observations(True)
    c, a, order = np.array([0.3, -1.0]), np.array([2.0, 0.7]), np.array([1, 0])
    other = model.in_latents(c, a, order)
    one, two = model.posteriors(rows), other.posteriors(rows)
    np.testing.assert_allclose((two.means * a[order] + c[order])[:, order], one.means, rtol=1e-9)
    np.testing.assert_allclose((two.variances * a[order] ** 2)[:, order], one.variances, rtol=1e-9)
    np.testing.assert_allclose(two.expected, one.expected, rtol=1e-9)


@with_gaps
def test_steps_of_posteriors_never_lose(gaps: bool) -> None:
    for seed in range(10):
        model, (rows, _) = random_model(seed=seed), observations(gaps, n=40, seed=seed)
        means, variances = model.encode(rows)
        encoded = naive_elbo(model, rows, means, variances, *nodes(H))
        some = rows.mask.any(axis=1)
        gains = (model.elbo_of_rows(rows) - encoded)[some]
        assert (gains >= -1e-9).all()
        assert np.median(gains) > 1e-3


def step_value(model: Autoencoder, m: Any, v: Any, x: Any, mask: Any) -> tuple[float, Any]:
    """What steps of a row's posterior raise, and the decoder's outputs at the nodes."""
    points, shares = nodes(H)
    y = model.decoder(m + np.sqrt(v) * points)
    fit = -0.5 * (shares @ ((x - y) ** 2 * mask / noise_of(model))).sum()
    mean, scale = model.step_prior
    return fit - 0.5 * (((m - mean) ** 2 + v) / scale**2 - np.log(v)).sum(), y


@with_gaps
def test_steps_are_those_of_the_linearised_decoder(gaps: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row by row in plain loops; among the rows are some whose first steps lose, and a shorter one wins."""
    monkeypatch.setattr(_autoencoder, "_STEPS", 4)
    shortened = twice = 0
    given = _autoencoder._SHORTER
    for seed in range(12):
        shorter = 0.3 if seed % 2 else 0.85
        monkeypatch.setattr(_autoencoder, "_SHORTER", given if seed % 2 else shorter)
        model, (rows, _) = random_model(seed=seed), observations(gaps, n=20, seed=seed)
        model = model.in_latents(np.array([0.5, -0.2]), np.array([1.5, 0.6]), [0, 1]).scaled_outputs(3.0)
        found, shares, noise = model.posteriors(rows), nodes(H)[1], noise_of(model)
        prior_mean, prior_precision = model.step_prior[0], model.step_prior[1] ** -2.0
        for n, (x, mask) in enumerate(zip(rows.x, rows.mask, strict=True)):
            if not mask.any():
                continue
            outputs = model.encoder(rows.filled[n : n + 1])[0]
            m, v, length = outputs[:H], np.exp(outputs[H:]), 1.0
            best, y = step_value(model, m, v, x, mask)
            for _ in range(4):
                step = np.sqrt(H + 2.0) * np.sqrt(v)
                slopes = (y[1 : H + 1] - y[H + 1 :]) / (2 * step[:, np.newaxis])
                precision = np.diag(prior_precision) + (slopes * mask / noise) @ slopes.T
                pull = slopes @ ((x - shares @ y) * mask / noise) - prior_precision * (m - prior_mean)
                new_m = m + length * np.linalg.solve(precision, pull)
                new_v = v ** (1 - length) * np.diag(precision) ** -length
                new, new_y = step_value(model, new_m, new_v, x, mask)
                if new > best + 1e-9:
                    shortened += length < 1.0
                    twice += length < shorter
                    m, v, best, y, length = new_m, new_v, new, new_y, 1.0
                else:
                    length *= shorter
            np.testing.assert_allclose(found.means[n], m, rtol=1e-7, atol=1e-9)
            np.testing.assert_allclose(found.variances[n], v, rtol=1e-7)
    assert shortened > 5
    assert twice > 2


def test_log_variances_have_limits() -> None:
    model, (rows, _) = random_model(), observations(False)
    model.encoder.intercepts[-1][H:] = [100.0, -100.0]
    variances = model.encode(rows)[1]
    np.testing.assert_allclose(variances, np.broadcast_to(np.exp([20.0, -30.0]), variances.shape))


def test_the_encoder_reads_conditional_means_in_gaps() -> None:
    rng = np.random.default_rng(0)
    mean, loadings, noise = rng.normal(size=D), rng.normal(size=(D, H)), rng.uniform(0.5, 2.0, size=D)
    location, X = rng.normal(size=D), rng.normal(size=(8, D))
    X[rng.uniform(size=X.shape) < 0.4] = np.nan
    covariance = loadings @ loadings.T + np.diag(noise)
    for standardised in (True, False):
        rows = Units(location, 2.0, (mean, loadings, noise), standardised).observe(X)
        z = (X - location) / 2.0
        for n, (missing, row) in enumerate(zip(np.isnan(X), z, strict=True)):
            expected, seen = row.copy(), ~missing
            gain = covariance[np.ix_(missing, seen)] @ np.linalg.inv(covariance[np.ix_(seen, seen)])
            expected[missing] = mean[missing] + gain @ (row - mean)[seen]
            np.testing.assert_allclose(rows.filled[n], expected, rtol=1e-10)
            np.testing.assert_array_equal(rows.mask[n], seen)
            np.testing.assert_array_equal(rows.x[n], np.where(missing, 0.0, (row if standardised else X[n])))


@with_gaps
def test_posteriors_of_linear_decoders_are_exact(gaps: bool) -> None:
    rng = np.random.default_rng(0)
    linear = LinearGaussian.of(rng.normal(size=D), rng.normal(size=(D, H)), rng.uniform(0.5, 2.0, size=D)).canonical()
    nets = Nets.of_sizes((D, 2 * H), (H, D), "silu")
    noise = GaussianNoise.of(start_linear(nets, linear))
    model = Autoencoder.trained(nets.encoder, nets.decoder, noise, GAUSSIAN)
    rows, _ = observations(gaps)
    X = np.where(rows.mask > 0, rows.x, np.nan)
    rows = Units(np.zeros(D), 1.0, (linear.mean, linear.loadings, linear.noise)).observe(X)
    posteriors = model.posteriors(rows)
    np.testing.assert_allclose(posteriors.means, linear.posterior_means(X), atol=1e-10)
    for n, mask in enumerate(rows.mask):
        precision = np.eye(H) + (linear.loadings.T * mask / linear.noise) @ linear.loadings
        np.testing.assert_allclose(posteriors.variances[n], 1.0 / np.diag(precision), rtol=1e-9)
    if not gaps:  # W(28): independent, so that the ELBO is the log-likelihood
        np.testing.assert_allclose(model.elbo_of_rows(rows), linear.log_likelihood(X), rtol=1e-10)


def test_encoders_start_at_the_posteriors_of_the_linear_model() -> None:
    rng, (rows, _) = np.random.default_rng(2), observations(False)
    nets = Nets.of_sizes([D, 2 * H], [H, D], "silu")
    loadings, noise = rng.normal(size=(D, H)), rng.uniform(0.5, 2.0, size=D)
    noise = start_linear(nets, LinearGaussian.of(rng.normal(size=D), loadings, noise).canonical())
    model = Autoencoder.trained(nets.encoder, nets.decoder, GaussianNoise.of(noise), PRIORS["gaussian"])
    posteriors = model.posteriors(rows)
    np.testing.assert_allclose(model.encode(rows)[0], posteriors.means, atol=1e-10)
    np.testing.assert_allclose(model.encode(rows)[1], posteriors.variances, rtol=1e-10)


@pytest.mark.parametrize(("prior", "nearest"), [("gaussian", 1.0), ("laplace", np.pi / 4)])
def test_rows_without_anything_observed_have_the_gaussian_next_to_the_prior(prior: str, nearest: float) -> None:
    model, (rows, weight) = random_model(prior=prior), observations(False)
    missing = np.zeros(rows.x.shape, bool)
    missing[2] = True
    hollow = Observations(np.where(missing, 0.0, rows.x), missing, rows.x)
    posteriors = model.posteriors(hollow)
    np.testing.assert_array_equal(posteriors.means[2], 0.0)
    np.testing.assert_array_equal(posteriors.variances[2], nearest)
    assert model.elbo_of_rows(hollow)[2] == pytest.approx(-H * divergence(prior, 0.0, nearest), abs=1e-12)
    some = ~missing.all(axis=1)
    without = Observations(rows.x[some], missing[some], rows.x[some])
    sums = model.sums(without, weight[some]).with_empty_rows(weight[2])
    for name, value in list(vars(model.sums(hollow, weight)).items())[1:]:
        np.testing.assert_allclose(getattr(sums, name), value, atol=1e-12)


@with_gaps
def test_nodes_come_near_to_quadrature(gaps: bool) -> None:
    model, (rows, _) = random_model(), observations(gaps)
    posteriors = model.posteriors(rows)
    x, w = np.polynomial.hermite_e.hermegauss(20)
    grid = np.stack(np.meshgrid(x, x), axis=-1).reshape(-1, 2)
    shares = np.outer(w, w).ravel() / (2 * np.pi)
    exact = naive_elbo(model, rows, posteriors.means, posteriors.variances, grid, shares)
    assert abs(model.elbo_of_rows(rows) - exact).max() < 0.02


def test_importance_weights_reach_the_likelihood() -> None:
    model, (rows, _) = random_model(), observations(True, n=6)
    bounds = [model.importance_weighted(rows, n, np.random.default_rng(0)).mean() for n in (1, 10, 1000)]
    assert bounds[0] < bounds[1] < bounds[2]
    assert model.elbo_of_rows(rows).mean() < bounds[2]
    draws = np.random.default_rng(1).normal(size=(200_000, H))
    y = model.decoder(draws)
    for n in range(6):
        log_p = -0.5 * ((np.log(2 * np.pi * noise_of(model)) + (rows.x[n] - y) ** 2 / noise_of(model)) @ rows.mask[n])
        exact = np.log(np.exp(log_p).mean())
        found = model.importance_weighted(rows, 5000, np.random.default_rng(2))[n]
        assert found == pytest.approx(exact, abs=0.05)


@with_gaps
@pytest.mark.parametrize("prior", sorted(PRIORS))
def test_importance_weights_are_those_of_the_definition(gaps: bool, prior: str) -> None:
    model, (rows, _) = random_model(prior=prior), observations(gaps)
    posteriors, rng = model.posteriors(rows), np.random.default_rng(3)
    q = norm(posteriors.means, np.sqrt(posteriors.variances))
    log_prior = norm.logpdf if prior == "gaussian" else laplace(scale=np.sqrt(0.5)).logpdf
    weights = []
    for _ in range(4):
        z = posteriors.means + np.sqrt(posteriors.variances) * rng.standard_normal((len(rows.x), H))
        fit = norm.logpdf(rows.x, model.decoder(z), np.sqrt(noise_of(model))) * rows.mask
        weights.append(np.exp(fit.sum(axis=1) + (log_prior(z) - q.logpdf(z)).sum(axis=1)))
    found = model.importance_weighted(rows, 4, np.random.default_rng(3))
    np.testing.assert_allclose(found, np.log(np.mean(weights, axis=0)), rtol=1e-10)


def test_importance_weights_do_not_overflow() -> None:
    model, (rows, _) = random_model(), observations(False)
    far = Observations(rows.x + 1e5, None, rows.filled + 1e5)
    assert np.isfinite(model.importance_weighted(far, 20, np.random.default_rng(0))).all()


def test_steps_that_gain_but_rounding_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (rows, _) = random_model(), observations(False)
    # So little is not linear that the first step arrives, up to rounding.
    *first, last = model.decoder.coefs
    model = replace(model, decoder=replace(model.decoder, coefs=[*first, 1e-9 * last]))
    found = []
    for n_steps in (1, 4):
        monkeypatch.setattr(_autoencoder, "_STEPS", n_steps)
        found.append(model.posteriors(rows).means)
    assert (found[0] != model.encode(rows)[0]).all()
    np.testing.assert_array_equal(*found)


def test_sums_add_up() -> None:
    model, (rows, weight) = random_model(), observations(True)
    whole = model.sums(rows, weight)

    def part(piece: slice) -> Sums:
        assert rows.missing is not None
        return model.sums(Observations(rows.x[piece], rows.missing[piece], rows.filled[piece]), weight[piece])

    for name, value in list(vars(part(slice(0, 4)) + part(slice(4, None))).items())[1:]:
        np.testing.assert_allclose(getattr(whole, name), value, rtol=1e-12)
    assert whole.is_finite
    assert not replace(whole, first=np.array([np.nan, 0.0])).is_finite
