"""Training of autoencoders: gradients against differences, Adam, running noise variances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skentropy.neural_network._perceptron import ACTIVATIONS
from skentropy.neural_network._vae_training import Adam, Batch, Nets, Objective, Training, train
from tests.common.autoencoders import D, H, N, observations, random_nets


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
        seen = np.ones(D) if batch.observed is None else batch.observed[n]
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
    objective = Objective(beta, decay, tied=False, ridge=0.1)
    objective.gradient(nets, noise, batch, draws, gradient)
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
    sums = Objective(1.0, 0.0, True, 0.0).gradient(nets, np.ones(D), batch, np.zeros((N, H)), gradient)
    assert gradient.encoder.intercepts[-1][H] == 0.0
    assert gradient.encoder.intercepts[-1][H + 1] != 0.0
    assert sums.log_variance[0] == pytest.approx(20.0 * batch.weight.sum())


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
def test_noise_variances_follow_their_closed_form(tied: bool) -> None:
    nets = random_nets()
    training, batch, seen = Training(nets, np.ones(D)), batch_of(True), []
    objective = Objective(1.0, 0.0, tied, ridge=0.2)
    finished = train(
        training,
        objective,
        lambda: [batch],
        n_batches=1,
        n_epochs=3,
        learning_rate=1e-6,
        rng=np.random.default_rng(0),
        on_epoch=lambda sums: bool(seen.append(sums)),
    )
    assert finished
    assert len(seen) == 3
    squares = 0.9 * (0.9 * seen[0].squares + 0.1 * seen[1].squares) + 0.1 * seen[2].squares
    r = squares / seen[0].observed
    if tied:
        r = np.full(D, squares.sum() / seen[0].observed.sum())
    np.testing.assert_allclose(training.noise, r + 0.2, rtol=1e-12)
    np.testing.assert_array_equal(training.model.step_noise, training.noise)


def test_columns_that_no_batch_has_observed_yet_wait() -> None:
    nets, rows = random_nets(), observations(True)[0]
    assert rows.observed is not None
    rows.observed[:, 1] = 0.0
    training = Training(nets, np.ones(D))
    batch = Batch.of(rows, np.ones(N), np.float64)
    train(
        training,
        Objective(1.0, 0.0, False, ridge=0.0),
        lambda: [batch],
        n_batches=1,
        n_epochs=1,
        learning_rate=1e-6,
        rng=np.random.default_rng(0),
        on_epoch=lambda sums: True,
    )
    assert training.noise[1] == 1.0
    assert np.isfinite(training.noise).all()


def test_batches() -> None:
    batch = batch_of(True)
    parts = list(batch.split(4, np.random.default_rng(0)))
    assert [len(part.x) for part in parts] == [3, 3, 3]
    order = np.random.default_rng(0).permutation(N)
    np.testing.assert_array_equal(np.concatenate([part.x for part in parts]), batch.x[order])
    np.testing.assert_array_equal(np.concatenate([part.weight for part in batch.split(4, None)]), batch.weight)
