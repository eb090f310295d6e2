"""Training of autoencoders: gradients against differences, Adam, running noise variances."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from skentropy.neural_network import _vae_fitting
from skentropy.neural_network._perceptron import ACTIVATIONS
from skentropy.neural_network._vae_fitting import Fitting
from skentropy.neural_network._vae_observables import GaussianNoise
from skentropy.neural_network._vae_training import Adam, Batch, Nets, Objective, Training, train
from tests.common.autoencoders import GAUSSIAN, D, H, N, observations, random_nets


def batch_of(gaps: bool, weighted: bool = True) -> Batch:
    rows, weight = observations(gaps)
    return Batch.of(rows, weight / 5.0 if weighted else np.ones(N), np.float64)


def sampled_objective(nets: Nets, noise: Any, batch: Batch, draws: Any, objective: Objective) -> float:
    """ELBO of one draw a row, by its definition, less the decay."""
    total = 0.0
    for n in range(len(batch.x)):
        outputs = nets.encoder(batch.filled[n : n + 1])[0]
        m, log_variance = outputs[:H], outputs[H:]
        y = nets.decoder((m + np.exp(0.5 * log_variance) * draws[n])[np.newaxis])[0]
        seen = np.ones(D) if batch.mask is None else batch.mask[n]
        fit = -0.5 * (seen * ((batch.x[n] - y) ** 2 / noise + np.log(2 * np.pi * noise))).sum()
        divergence = 0.5 * (m**2 + np.exp(log_variance) - 1.0 - log_variance).sum()
        total += batch.weight[n] * (fit - objective.beta * divergence)
    weights = [coefs for net in (nets.encoder, nets.decoder) for coefs in net.coefs]
    return total - 0.5 * objective.decay * sum(float((coefs**2).sum()) for coefs in weights)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize(("beta", "decay"), [(1.0, 0.0), (0.5, 0.3)])
def test_gradients_are_those_of_differences(gaps: bool, weighted: bool, activation: str, beta: float, decay: float) -> None:
    rng = np.random.default_rng(0)
    nets, gradient, batch = random_nets(activation), random_nets(activation), batch_of(gaps, weighted)
    noise, draws = rng.uniform(0.5, 2.0, size=D), rng.normal(size=(N, H))
    objective = Objective(beta, decay, tied=False, ridge=0.1, prior=GAUSSIAN)
    sums = objective.gradient(nets, GaussianNoise.of(noise), batch, draws, gradient)
    outputs, weight = nets.encoder(batch.filled), batch.weight
    m, log_variance = outputs[:, :H], outputs[:, H:]
    seen = np.ones((N, D)) if batch.mask is None else batch.mask
    squares = (batch.x - nets.decoder(m + np.exp(0.5 * log_variance) * draws)) ** 2
    expected = (weight.sum(), weight @ seen, [weight @ (squares * seen)], weight @ m)
    expected += (0.5 * weight @ (m**2 + np.exp(log_variance)), weight @ log_variance)
    for found, value in zip(list(vars(sums).values())[1:], expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-12)
    for place in range(nets.vector.size):
        at, step = nets.vector[place], 1e-5
        values = []
        for moved in (at + step, at - step):
            nets.vector[place] = moved
            values.append(sampled_objective(nets, noise, batch, draws, objective))
        nets.vector[place] = at
        assert gradient.vector[place] == pytest.approx((values[0] - values[1]) / (2 * step), abs=2e-6)


def test_log_variances_out_of_range_have_no_gradient() -> None:
    nets, gradient, batch = random_nets(), random_nets(), batch_of(False)
    nets.encoder.intercepts[-1][H] = 100.0
    sums = Objective(1.0, 0.0, True, 0.0, GAUSSIAN).gradient(
        nets, GaussianNoise.of(np.ones(D)), batch, np.zeros((N, H)), gradient
    )
    assert gradient.encoder.intercepts[-1][H] == 0.0
    assert gradient.encoder.intercepts[-1][H + 1] != 0.0
    assert sums.log_variance[0] == pytest.approx(20.0 * batch.weight.sum())


def test_adam_is_that_of_the_paper() -> None:
    rng = np.random.default_rng(0)
    vector, expected, n_steps = np.array([1.0, -1.0, 0.5]), np.array([1.0, -1.0, 0.5]), 60
    adam, mean, square = Adam(vector, 0.1, n_steps), np.zeros(3), np.zeros(3)
    for t in range(1, n_steps + 5):
        gradient = rng.normal(size=3) * [1.0, 1e-3, 1e-8]
        adam.step(gradient.copy())
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        rise = min(1.0, t / (0.02 * n_steps + 1.0))
        fall = 0.5 * (1.0 + np.cos(np.pi * min(t / n_steps, 1.0)))
        expected += 0.1 * rise * fall * (mean / (1 - 0.9**t)) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
        np.testing.assert_allclose(vector, expected, rtol=1e-12)


def test_adam_climbs_and_passes_over_what_is_not_finite() -> None:
    vector = np.array([3.0, -2.0])
    adam = Adam(vector, 0.1, 200)
    for step in range(200):
        adam.step(-vector.copy())
        if step == 3:
            before = vector.copy()
            adam.step(np.array([np.nan, 1.0]))
            np.testing.assert_array_equal(vector, before)
    assert abs(vector).max() < 0.1


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(("n_batches", "keep"), [(1, 0.9), (20, 0.95)])
def test_noise_variances_follow_their_closed_form(tied: bool, n_batches: int, keep: float) -> None:
    nets = random_nets()
    training, batch, seen = Training(nets, GaussianNoise.of(np.ones(D)), GAUSSIAN), batch_of(True), []
    objective = Objective(1.0, 0.0, tied, ridge=0.2, prior=GAUSSIAN)
    finished = train(
        training,
        objective,
        lambda: [batch],
        n_batches=n_batches,
        n_epochs=3,
        learning_rate=1e-6,
        rng=np.random.default_rng(0),
        on_epoch=lambda sums: bool(seen.append(sums)),
    )
    assert finished
    assert len(seen) == 3
    one, two, three = (sums.statistics[0] for sums in seen)
    squares = keep * (keep * one + (1 - keep) * two) + (1 - keep) * three
    r = squares / seen[0].observed
    if tied:
        r = np.full(D, squares.sum() / seen[0].observed.sum())
    assert isinstance(training.observable, GaussianNoise)
    np.testing.assert_allclose(training.observable.noise, r + 0.2, rtol=1e-12)
    np.testing.assert_array_equal(training.observable.step_noise, training.observable.noise)


def test_columns_that_no_batch_has_observed_yet_wait() -> None:
    nets, rows = random_nets(), observations(True)[0]
    assert rows.missing is not None
    rows.missing[:, 1] = True
    training = Training(nets, GaussianNoise.of(np.ones(D)), GAUSSIAN)
    batch = Batch.of(rows, np.ones(N), np.float64)
    train(
        training,
        Objective(1.0, 0.0, False, ridge=0.0, prior=GAUSSIAN),
        lambda: [batch],
        n_batches=1,
        n_epochs=1,
        learning_rate=1e-6,
        rng=np.random.default_rng(0),
        on_epoch=lambda sums: True,
    )
    assert isinstance(training.observable, GaussianNoise)
    assert training.observable.noise[1] == 1.0
    assert np.isfinite(training.observable.noise).all()


def test_batches() -> None:
    batch = batch_of(True)
    parts = list(batch.split(4, np.random.default_rng(0)))
    assert [len(part.x) for part in parts] == [3, 3, 3]
    order = np.random.default_rng(0).permutation(N)
    np.testing.assert_array_equal(np.concatenate([part.x for part in parts]), batch.x[order])
    np.testing.assert_array_equal(np.concatenate([part.weight for part in batch.split(4, None)]), batch.weight)


def test_what_is_compared_is_the_elbo_less_the_term_of_the_ridge() -> None:
    sums = SimpleNamespace(elbo=lambda observable: observable.elbo, penalty=lambda observable, ridge: 10.0 * ridge)
    fitted: Any = SimpleNamespace(model=SimpleNamespace(observable=SimpleNamespace(elbo=-3.0)), sums=sums)
    nothing: Any = None
    objective: Any = SimpleNamespace(ridge=0.1)
    assert Fitting(nothing, nothing, objective).value(fitted) == -4.0


def test_rounding_errors_of_a_start_are_left_out() -> None:
    nets, other = random_nets(), random_nets()
    nets.encoder.linear[0, 0], other.encoder.linear[0, 0] = 1e-15, -1e-16
    other.vector[1:] *= 1.0 + 1e-14
    one, two = nets.rounded(), other.rounded()
    np.testing.assert_array_equal(one.vector, two.vector)
    assert one.encoder.linear[0, 0] == 0.0
    assert one.vector.dtype == np.float32
    np.testing.assert_allclose(one.vector, nets.vector, atol=abs(nets.vector).max() * 2.0**-14)
    for given, rounded in zip(nets.encoder.arrays, one.encoder.arrays, strict=True):
        steps = np.ldexp(rounded.astype(np.float64), 14 - np.frexp(abs(given).max())[1])
        np.testing.assert_array_equal(steps, np.round(steps))
    nets.vector[:] = nets.vector * 2.0**-20
    np.testing.assert_array_equal(nets.rounded().vector, one.vector * np.float32(2.0**-20))
    zeros = nets.zeros().rounded()
    assert not zeros.vector.any()


def test_newtons_method_for_the_scale_ends_once_it_has_arrived(monkeypatch: pytest.MonkeyPatch) -> None:
    factors, passes = iter([1.3, 0.9, 1.0]), []

    class Model:
        observable: Any = SimpleNamespace(output_scale=lambda sums: next(factors))

        def scaled_outputs(self, factor: float) -> Model:
            return self

    data: Any = SimpleNamespace(sums=lambda model, units: passes.append(1), empty=0.0)
    monkeypatch.setattr(
        _vae_fitting, "polish", lambda *_, **options: (None, SimpleNamespace(with_empty_rows=lambda n: None))
    )
    Fitting(data, cast(Any, None), Objective(1.0, 0.0, False, 0.0, GAUSSIAN)).polish(cast(Any, Model()))
    assert len(passes) == 3
