"""Sparse coding: posteriors of rows, EM steps whose objective is a sum of entropies, and fits."""

from __future__ import annotations

import signal
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from skentropy import PPCA, GaussianVAE, RowBlocks
from skentropy._data import Block
from skentropy.inspection._displays import latent_information
from skentropy.neural_network import _sparse_coding
from skentropy.neural_network._linear_decoder import LinearDecoder
from skentropy.neural_network._sparse_coding import SparseCoding, expect, fit_codes
from skentropy.neural_network._vae_prior import PRIORS
from skentropy.neural_network._vae_training import Objective
from skentropy.neural_network._vae_units import Observations, Units
from tests.common.autoencoders import D, H, divergence, observations

RNG = np.random.default_rng(0)
DECODER = LinearDecoder(RNG.normal(size=(H, D)), RNG.normal(size=D), RNG.uniform(0.2, 1.0, size=D))
LAPLACE = PRIORS["laplace"]
UNITS = Units(np.zeros(D), 1.0, (np.zeros(D), np.zeros((D, 1)), np.ones(D)))
with_gaps = pytest.mark.parametrize("gaps", [False, True])


def row_elbo(decoder: LinearDecoder, prior: str, x: Any, mask: Any, m: Any, v: Any) -> float:
    """By its definition; the expectation over z of the squared residuals is a closed form."""
    squares = (x - decoder.offset - m @ decoder.slopes) ** 2 + v @ decoder.slopes**2
    fit = -0.5 * ((np.log(2 * np.pi * decoder.noise) + squares / decoder.noise) @ mask)
    return float(fit - sum(divergence(prior, *pair) for pair in zip(m, v, strict=True)))


def _loss(decoder: LinearDecoder, prior: str, x: Any, mask: Any, q: Any) -> float:
    return -row_elbo(decoder, prior, x, mask, q[:H], np.exp(q[H:]))


@with_gaps
@pytest.mark.parametrize("prior", sorted(PRIORS))
def test_posteriors_are_the_best_gaussians(gaps: bool, prior: str) -> None:
    rows, _ = observations(gaps)
    centre, scale = np.array([0.3, -0.4]), np.array([1.5, 0.7])
    for c, a in ((np.zeros(H), np.ones(H)), (centre, scale)):
        means, variances = DECODER.posteriors(rows, PRIORS[prior], c, a)
        # The same model for the latents (z - c) / a, with the prior as it is.
        plain = LinearDecoder(a[:, np.newaxis] * DECODER.slopes, DECODER.offset + c @ DECODER.slopes, DECODER.noise)
        for x, mask, m, v in zip(rows.x, rows.mask, (means - c) / a, variances / a**2, strict=True):
            best = minimize(partial(_loss, plain, prior, x, mask), np.zeros(2 * H), tol=1e-10)
            assert row_elbo(plain, prior, x, mask, m, v) == pytest.approx(-best.fun, abs=1e-8)
            np.testing.assert_allclose(m, best.x[:H], atol=1e-4)


@pytest.mark.parametrize("size", [10.0, 100.0, 1000.0])
def test_posteriors_are_found_where_whole_steps_go_too_far(size: float) -> None:
    rng = np.random.default_rng(0)
    W, x = rng.normal(size=(H, D)), size * rng.normal(size=(200, D))
    decoder = LinearDecoder(W, np.zeros(D), np.full(D, size))
    m, v = decoder.posteriors(Observations(x, None, x), LAPLACE)
    slope = (x - m @ W) @ W.T / size - LAPLACE.slope(m, v)
    precision = (W**2).sum(axis=1) / size + LAPLACE.curvature(m, v)
    assert abs(slope * np.sqrt(v)).max() < 0.02
    np.testing.assert_allclose(precision * v, 1.0, atol=0.02)


def test_posteriors_far_out_and_of_any_block() -> None:
    rows, _ = observations(False)
    far = type(rows)(1e4 * rows.x, None, rows.x)
    means, variances = DECODER.posteriors(far, LAPLACE)
    assert np.isfinite(means).all()
    one, two = (DECODER.posteriors(type(rows)(far.x[part], None, far.x[part]), LAPLACE) for part in (slice(3), slice(2, 9)))
    np.testing.assert_allclose(one[0], means[:3], rtol=1e-12)
    np.testing.assert_allclose(two[1], variances[2:], rtol=1e-12)


@with_gaps
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("ridge", [0.0, 0.2])
@pytest.mark.parametrize("name", sorted(PRIORS))
def test_the_objective_its_gradient_and_its_entropies(gaps: bool, tied: bool, ridge: float, name: str) -> None:
    prior, (rows, weight) = PRIORS[name], observations(gaps, n=30)
    some = rows.mask.any(axis=1)
    X, weight = np.where(rows.mask > 0, rows.x, np.nan)[some], weight[some]
    decoder = LinearDecoder(DECODER.slopes, DECODER.offset, np.full(D, 0.5)) if tied else DECODER
    model = SparseCoding(prior, tied, ridge)
    x, mask = np.nan_to_num(X), ~np.isnan(X)
    observed = np.average(mask, axis=0, weights=weight)

    def statistics_of(decoder: LinearDecoder, part: slice = slice(None)) -> Any:
        return expect(decoder, prior, UNITS, Block(X[part], weight[part], None, start=0))

    def elbo(decoder: LinearDecoder, m: Any, v: Any) -> float:
        pairs = zip(x, mask, m, v, strict=True)
        return float(np.average([row_elbo(decoder, name, *pair) for pair in pairs], weights=weight))

    here, (m, v) = statistics_of(decoder), decoder.posteriors(UNITS.observe(X), prior)
    assert model.elbo(here) == pytest.approx(elbo(decoder, m, v), rel=1e-10)
    assert model.penalty(here) == pytest.approx(0.5 * ridge * (observed / decoder.noise).sum(), rel=1e-10)
    # What is left after offsets, with the scales of prior and noise in closed form.
    energy = np.average(prior.energy(m, v), axis=0, weights=weight)
    scale = energy if name == "laplace" else np.sqrt(2.0 * energy)
    squares = np.average(mask * ((x - decoder.offset - m @ decoder.slopes) ** 2 + v @ decoder.slopes**2), 0, weights=weight)
    noise = np.full(D, squares.sum() / observed.sum() + ridge) if tied else squares / observed + ridge
    scaled = LinearDecoder(scale[:, np.newaxis] * decoder.slopes, decoder.offset, noise)
    terms = model.entropy_sum(here)
    assert terms.value == pytest.approx(elbo(scaled, m / scale, v / scale**2), abs=1e-10)
    assert terms.penalty == pytest.approx(0.5 * ridge * (observed / noise).sum(), rel=1e-10)
    entropy = np.log(np.sqrt(2.0) * np.e) if name == "laplace" else 0.5 * np.log(2.0 * np.pi * np.e)
    assert terms.prior == pytest.approx(H * entropy, rel=1e-12)
    assert terms.value - terms.penalty > model.elbo(here) - model.penalty(here)
    # The gradient, with posteriors that follow the decoder.
    vector, gradient, step = model.pack(decoder), model.gradient(here), 1e-4
    assert len(vector) == len(gradient) == D * (H + 1) + (1 if tied else D)
    for place in range(len(vector)):
        values = []
        for shift in (step, -step):
            moved = vector.copy()
            moved[place] += shift
            statistics = statistics_of(model.unpack(moved, decoder))
            values.append(model.elbo(statistics) - model.penalty(statistics))
        assert gradient[place] == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-4, abs=1e-5)
    summed = statistics_of(decoder, slice(7)) + statistics_of(decoder, slice(7, None))
    assert model.elbo(summed) == pytest.approx(model.elbo(here), rel=1e-12)


def test_a_fit_of_decoders_begins_where_it_is_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its objective is the ELBO less the ridge's term, which is minus what L-BFGS minimises."""
    rows, weight = observations(False, n=30)
    block, losses = Block(rows.x, weight, None, start=0), []

    def minimize(loss: Any, x: Any, **options: Any) -> Any:
        losses.append(loss(x)[0])
        return SimpleNamespace(status=0)

    monkeypatch.setattr(_sparse_coding, "minimize", minimize)
    data = SimpleNamespace(reduce=lambda function: function(block))
    fitting: Any = SimpleNamespace(objective=Objective(1.0, 0.0, False, 0.3, LAPLACE), data=data, units=UNITS)
    watcher: Any = SimpleNamespace(on_end=lambda run: None)
    run = fit_codes(fitting, DECODER, 9, watcher)
    for name in ("slopes", "offset", "noise"):
        np.testing.assert_allclose(getattr(run.state.parameters, name), getattr(DECODER, name), rtol=1e-12)
    statistics = expect(DECODER, LAPLACE, UNITS, block)
    expected = SparseCoding(LAPLACE, False, 0.3)
    assert run.state.objective == pytest.approx(expected.elbo(statistics) - expected.penalty(statistics), rel=1e-10)
    assert losses == [pytest.approx(-run.state.objective, rel=1e-12)]


def test_residuals_may_be_as_small_as_they_are() -> None:
    X, slopes = RNG.normal(size=(40, D)), DECODER.slopes.copy()
    X[:, 1] = DECODER.offset[1] + 1e-3 * X[:, 1]
    slopes[:, 1] = 0.0
    found = expect(LinearDecoder(slopes, DECODER.offset, DECODER.noise), LAPLACE, UNITS, Block(X, None, None, start=0))
    assert found.residuals[1] == pytest.approx(((X[:, 1] - DECODER.offset[1]) ** 2).sum(), rel=1e-6)


def sparse_rows(n: int, seed: int = 0) -> tuple[Any, Any]:
    """Laplace sources mixed by orthogonal directions, and the directions."""
    rng = np.random.default_rng(seed)
    W = np.linalg.qr(rng.normal(size=(8, 3)))[0].T
    return rng.laplace(size=(n, 3)) @ W + 0.1 * rng.normal(size=(n, 8)) + 5.0, W


def test_sources_are_found() -> None:
    X, W = sparse_rows(3000)
    model = GaussianVAE(3, prior="laplace", hidden_layer_sizes=(), reg_covar=0.0, max_iter=500).fit(X)
    assert model.converged_
    assert model.is_linear_
    found = model.decoder_linear_ / np.linalg.norm(model.decoder_linear_, axis=1, keepdims=True)
    cosines = abs(found @ W.T)
    assert cosines.max(axis=1).min() > 0.995
    assert cosines.max(axis=0).min() > 0.995
    linear = PPCA(3).fit(X)
    gain = 3 * (0.5 * np.log(4 * np.pi * np.e) - np.log(2 * np.e))  # of three sources that are not Gaussian
    assert model.score(X) == pytest.approx(linear.score(X) + gain, abs=0.05)
    np.testing.assert_allclose([terms.value for terms in model.entropy_sums_], model.lower_bounds_, atol=1e-9)
    assert model.lower_bounds_[0] < model.lower_bounds_[-1]
    assert model.lower_bounds_[-2] == pytest.approx(model.lower_bound_, abs=1e-4)
    assert model.noise_variance_ == pytest.approx(0.01, rel=0.05)
    drawn = model.sample(20_000, random_state=0)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(X.T), atol=0.15)
    kurtosis = ((drawn - drawn.mean(axis=0)) @ W.T / np.sqrt(2.0)) ** 4
    assert (kurtosis.mean(axis=0) > 4.5).all()
    assert model.importance_weighted_score(X, 20, random_state=0) > model.lower_bound_


def test_a_latent_that_tells_nothing_has_collapsed() -> None:
    X = np.outer(np.random.default_rng(0).laplace(size=300), [1.0, 2.0, 0.0])
    model = GaussianVAE(2, prior="laplace", hidden_layer_sizes=(), max_iter=500).fit(X)
    np.testing.assert_array_equal(model.collapsed_, [False, True])
    assert model.information_[1] == pytest.approx(divergence("laplace", 0.0, np.pi / 4), abs=1e-3)


def _warns(model: GaussianVAE) -> Any:
    is_em = not model.hidden_layer_sizes and model.covariance_type != "heteroscedastic"
    return pytest.warns(ConvergenceWarning, match="raise max_iter") if is_em else nullcontext()


@with_gaps
@pytest.mark.parametrize("covariance_type", ["scalar", "diag", "heteroscedastic"])
@pytest.mark.parametrize("hidden", [(), (16,)])
def test_the_elbo_is_the_entropy_sum(gaps: bool, covariance_type: str, hidden: tuple[int, ...]) -> None:
    X, _ = sparse_rows(300)
    weight = np.random.RandomState(1).uniform(0.5, 2.0, size=len(X))
    if gaps:
        X[np.random.RandomState(0).uniform(size=X.shape) < 0.2] = np.nan
    options: dict[str, Any] = {"prior": "laplace", "hidden_layer_sizes": hidden, "random_state": 0, "max_iter": 8}
    model = GaussianVAE(2, covariance_type=covariance_type, **options)
    with _warns(model):
        model.fit(X, sample_weight=weight)
    elbo = np.average(model.score_samples(X), weights=weight)
    for value in (model.entropy_sum(X, sample_weight=weight).value, model.entropy_sum_.value, model.lower_bound_):
        assert value == pytest.approx(elbo, abs=1e-9)
    assert abs(model.stationarity_gap_) < 1e-10
    # Of a row that says nothing the posterior is the Gaussian next to the prior.
    assert model.score_samples(np.full((1, 8), np.nan)) == pytest.approx(
        -2 * divergence("laplace", 0.0, np.pi / 4), abs=1e-9
    )
    # The closed-form scale: E|z| is that of a Laplace variable of variance 1.
    m, v = model.posterior(X)
    np.testing.assert_allclose(np.average(LAPLACE.energy(m, v), axis=0, weights=weight), 1.0, rtol=1e-8)
    if not gaps:
        fresh = GaussianVAE(2, covariance_type=covariance_type, **options)
        with _warns(fresh):
            fresh.fit(X)
        np.testing.assert_allclose(latent_information(fresh, X), fresh.information_, rtol=1e-9)


def test_streams_callbacks_and_ctrl_c(monkeypatch: Any) -> None:
    from skentropy.neural_network import _sparse_coding, _vae_data

    X, _ = sparse_rows(300)
    make = partial(GaussianVAE, 2, prior="laplace", hidden_layer_sizes=(), max_iter=500)
    inside = make().fit(X)
    monkeypatch.setattr(_vae_data, "IN_MEMORY_BYTES", 0)
    streamed = make().fit(RowBlocks(lambda: [X[:70], X[70:]]))
    assert streamed.lower_bound_ == pytest.approx(inside.lower_bound_, abs=1e-5)
    assert abs(streamed.stationarity_gap(X)) < 1e-9
    passes, step = [], _sparse_coding.expect

    def interrupted(*arguments: Any) -> Any:
        passes.append(1)
        if len(passes) == 10:
            signal.raise_signal(signal.SIGINT)
        return step(*arguments)

    monkeypatch.setattr(_sparse_coding, "expect", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # which processes in the background ignore
    try:
        with pytest.warns(ConvergenceWarning, match="interrupted after"):
            model = make().fit(X)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not model.converged_
    assert abs(model.stationarity_gap(X)) < 1e-9
