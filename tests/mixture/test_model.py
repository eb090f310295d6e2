"""What mixtures are fitted with, part by part: a wrong part may cost digits or steps, and change no result."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from skentropy._data import Block
from skentropy.families import get_family
from skentropy.mixture._independent import FeatureSums, Independent
from skentropy.mixture._model import MixtureModel, MixtureParameters, MixtureStatistics
from skentropy.mixture._observations import Units
from tests.common.cases import CASES


def fitted(name: str) -> tuple[Any, MixtureParameters, MixtureStatistics]:
    """Parameters of some posteriors, and what the next E-step leaves."""
    family, rng = CASES[name].family, np.random.RandomState(0)
    X = CASES[name].draw(60, 3, rng, None)
    model = MixtureModel(Independent(family))
    q = rng.dirichlet([1.0, 1.0], 60)
    mean = np.stack([q.T @ T / q.sum(axis=0)[:, np.newaxis] for T in family.sufficient_statistics(X)])
    parameters = MixtureParameters(np.log([0.3, 0.7]), Independent(family).parameters(family.natural(mean)))
    return model, parameters, model.expect(parameters, Block(X, None, None, 0))


def test_small_tables_are_read_once_by_the_same_components() -> None:
    block = Block(np.array([[1.0], [4.0]]), None, None, 0, kept=[])
    models = [
        MixtureModel(Independent(get_family("gaussian"), units=Units(np.zeros(1), np.array([scale]))))
        for scale in (1.0, 2.0)
    ]
    assert models[0].read(block) is models[0].read(block)
    np.testing.assert_allclose(models[1].read(block).statistics[0], [[0.5], [2.0]])
    np.testing.assert_allclose(models[0].read(block).statistics[0], block.X)


@pytest.mark.parametrize("name", list(CASES))
def test_parameters_as_a_vector_and_back(name: str) -> None:
    model, parameters, _ = fitted(name)
    vector = model.pack(parameters)
    again = model.unpack(vector, parameters)
    assert again is not None
    np.testing.assert_allclose(again.log_weights, parameters.log_weights, rtol=1e-13, atol=1e-14)
    for field in ("eta", "log_partition"):
        found, expected = getattr(again.components, field), getattr(parameters.components, field)
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-14)
    # Extrapolated weights are made to sum to one, those that vanish are held; nothing leaves the domain.
    for shift in (5.0, -5.0):
        vector[:2] = parameters.log_weights + shift
        normalised = model.unpack(vector, parameters)
        assert normalised is not None
        np.testing.assert_allclose(normalised.log_weights, parameters.log_weights, rtol=1e-13)
    vector[:2] = 0.0, -1e5
    vanishing = model.unpack(vector, parameters)
    assert vanishing is not None
    np.testing.assert_allclose(vanishing.log_weights, [0.0, -744.44], atol=0.01)
    vector[2:] = 1e9
    outside = model.unpack(vector, parameters)
    if model.components.family.discrete:
        assert outside is not None
        assert model.components.family.in_domain(outside.components.eta)
    else:
        assert outside is None


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].family.discrete])
def test_no_extrapolation_comes_nearer_to_a_limit_than_half_as_near(name: str) -> None:
    model, parameters, _ = fitted(name)
    before = model.components.family.mean(parameters.components.eta)
    for far, sign in ((-1e9, 1.0), (1e9, -1.0)):
        if sign < 0 and not np.isfinite(model.components.family.upper_limit):
            continue
        vector = model.pack(parameters)
        vector[2:] = far
        moved = model.unpack(vector, parameters)
        assert moved is not None
        after = model.components.family.mean(moved.components.eta)
        if name == "categorical":  # all of them halved are the same as before
            np.testing.assert_allclose(after, before, rtol=1e-12)
            continue
        limit = 0.0 if sign > 0 else model.components.family.upper_limit
        np.testing.assert_allclose(np.abs(after - limit), 0.5 * np.abs(before - limit), rtol=1e-12)


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].family.discrete])
def test_zero_is_at_a_finite_distance(name: str) -> None:
    """In the coordinates of extrapolation a mean parameter of 1e-300 is next to one of 1e-12."""
    family = CASES[name].family
    mean = np.full((family.n_statistics, 2), 0.3)
    mean[0] = 1e-300, 1e-12
    coordinates = family.coordinates(family.natural(mean))
    assert np.abs(coordinates[0]).max() < 2e-6


@pytest.mark.parametrize("name", list(CASES))
def test_densities_and_posteriors_of_rows(name: str) -> None:
    model, parameters, _ = fitted(name)
    family, eta = model.components.family, parameters.components.eta
    X = CASES[name].draw(50, 3, np.random.RandomState(1), None)
    log_evidence, log_q = model.posterior(parameters, model.components.read(Block(X, None, None, 0)))
    log_evidence = log_evidence + model.components.log_base_measure(Block(X, None, None, 0))
    for n, x in enumerate(X):
        log_p = [sum(family.log_prob(x[d], eta[:, k, d]) for d in range(3)) for k in range(2)]
        joint = np.array([0.3, 0.7]) * np.exp(log_p)
        assert log_evidence[n] == pytest.approx(np.log(joint.sum()), rel=1e-10, abs=1e-10)
        np.testing.assert_allclose(np.exp(log_q[:, n]), joint / joint.sum(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", list(CASES))
def test_blocks_add_up(name: str) -> None:
    model, parameters, _ = fitted(name)
    X, weight = CASES[name].draw(50, 3, np.random.RandomState(1), None), np.random.RandomState(2).exponential(size=50)
    whole = model.expect(parameters, Block(X, weight, None, 0))
    parts = [model.expect(parameters, Block(X[rows], weight[rows], None, 0)) for rows in (slice(0, 20), slice(20, 50))]
    added = parts[0] + parts[1]
    for found, expected in ((added, whole), (added.components, whole.components)):
        for field in fields(found):
            if field.name != "components":
                total, value = getattr(found, field.name), getattr(expected, field.name)
                np.testing.assert_allclose(total, value, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", list(CASES))
def test_magnitude_is_the_sum_of_absolute_terms(name: str) -> None:
    model, parameters, statistics = fitted(name)
    model = MixtureModel(model.components, mean_log_base_measure=-1.5)
    expected = 1.5 + 1.0
    for k in range(2):
        for d in range(3):
            for eta, total in zip(parameters.components.eta[:, k, d], statistics.components.sums[:, k, d], strict=True):
                expected += abs(eta * total) / 60
            expected += abs(statistics.counts[k] * parameters.components.log_partition[k, d]) / 60
    assert model.magnitude(parameters, statistics) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", list(CASES))
def test_density_of_the_conjugate_prior(name: str) -> None:
    model, parameters, statistics = fitted(name)
    assert model.log_prior(parameters, statistics) == 0.0
    pooled = statistics.components.sums.sum(axis=1) / 60.0
    found = MixtureModel(Independent(model.components.family, prior_counts=5.0, pooled=pooled)).log_prior(
        parameters, statistics
    )
    expected = 0.0
    for k in range(2):
        for d in range(3):
            expected += (
                5.0 * (parameters.components.eta[:, k, d] @ pooled[:, d] - parameters.components.log_partition[k, d]) / 60.0
            )
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", list(CASES))
def test_a_component_that_has_seen_nothing_is_like_all(name: str) -> None:
    model, _, statistics = fitted(name)
    seen = np.array([0.0, 1.0])[:, np.newaxis]
    sums = statistics.components
    of_one = FeatureSums(sums.exposures * seen, sums.sums * seen)
    mean = model.components.mean_parameters(of_one)
    np.testing.assert_array_equal(mean[:, 1], model.components.mean_parameters(sums)[:, 1])
    np.testing.assert_allclose(mean[:, 0], mean[:, 1], rtol=1e-14)
    # Nothing is less than a share of 1e-100 of all, however much or little that is.
    for weight in (1e-50, 1.0, 1e50):
        for share, like_all in ((1e-90, False), (1e-110, True)):
            shares = weight * np.array([share, 1.0])[:, np.newaxis]
            little = FeatureSums(sums.exposures * shares, sums.sums * shares)
            other = 1 if like_all else 0
            expected = model.components.mean_parameters(sums)[:, other]
            np.testing.assert_allclose(model.components.mean_parameters(little)[:, 0], expected, rtol=1e-9)
    pooled = statistics.components.sums.sum(axis=1) / 60.0
    smooth = Independent(model.components.family, prior_counts=5.0, pooled=pooled).mean_parameters(sums)
    for k in range(2):
        expected = (sums.sums[:, k] + 5.0 * pooled) / (statistics.counts[k] + 5.0)
        np.testing.assert_allclose(smooth[:, k], expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["gaussian", "gamma", "exponential", "log_normal", "inverse_gaussian", "poisson"])
def test_units_are_those_of_the_whole_mixture(name: str) -> None:
    family, weights = get_family(name), np.array([0.3, 0.7])
    means = np.array([[2.0, 5.0], [7.0, 1.0]])
    standard: dict[str, Any] = {
        "gaussian": (means, means**2),
        "gamma": (np.full((2, 2), 3.0), 3.0 / means),
        "exponential": (1.0 / means,),
        "log_normal": (np.log(means) - 0.25, np.full((2, 2), 0.5)),
        "inverse_gaussian": (means, means),
        "poisson": (means,),
    }[name]
    units = Units.of_mixture(family, weights, standard)
    if name == "poisson":
        assert units is None
        return
    assert units is not None
    mean = weights @ means
    if name == "log_normal":
        np.testing.assert_allclose(units.scale, weights @ np.exp(standard[0]), rtol=1e-12)
        return
    if name != "gaussian":
        np.testing.assert_array_equal(units.location, 0.0)
        np.testing.assert_allclose(units.scale, mean, rtol=1e-12)
        return
    # E[x^2] - E[x]^2 with E[x^2] = 2 mean^2 for each component.
    scale = np.sqrt(weights @ (2.0 * means**2) - mean**2)
    np.testing.assert_allclose(units.location, mean, rtol=1e-12)
    np.testing.assert_allclose(units.scale, scale, rtol=1e-12)
    X = np.arange(6.0).reshape(3, 2)
    np.testing.assert_allclose(units.apply(X), (X - mean) / scale, rtol=1e-12)
    kept = Units.of_mixture(family, weights, standard, keep_zero=True)
    assert kept is not None
    np.testing.assert_array_equal(kept.location, 0.0)
    np.testing.assert_allclose(kept.scale, scale, rtol=1e-12)


@pytest.mark.parametrize("name", ["gaussian", "gamma"])
def test_columns_without_a_scale_keep_their_unit(name: str) -> None:
    mean, variance = np.array([3.0, 0.0, 3.0, np.inf]), np.array([4.0, 0.0, 0.0, np.inf])
    units = Units.of_moments(get_family(name), mean, variance)
    assert units is not None
    scale = {"gaussian": [2.0, 1.0, 1.0, 1.0], "gamma": [3.0, 1.0, 3.0, 1.0]}[name]
    np.testing.assert_array_equal(units.scale, scale)


@pytest.mark.parametrize("name", ["gamma", "gaussian", "exponential", "beta"])
def test_directions_out_of_the_domain_go_nowhere(name: str) -> None:
    """Each natural parameter to beyond its limit and, the same way back, further inside."""
    model, parameters, _ = fitted(name)
    components, own = model.components, parameters.components
    S, K, D = own.eta.shape
    for s in range(S):
        direction = np.zeros((K, S, D))
        direction[0, s, 1] = -1.5 * own.eta[s, 0, 1]
        for sign in (1.0, -1.0):
            changed = own.eta + sign * direction.swapaxes(0, 1)
            moved = components.moved(own, sign * direction.reshape(K, -1))
            assert (moved is not None) == components.family.in_domain(changed)
            if moved is not None:
                np.testing.assert_allclose(moved.eta, changed, rtol=1e-12)


@pytest.mark.parametrize("name", ["poisson", "gaussian", "binomial", "gamma"])
def test_expected_rows_are_means_at_the_rows_exposures(name: str) -> None:
    """In the data's units, by the components' shares."""
    model, parameters, _ = fitted(name)
    components, family = model.components, model.components.family
    X = CASES[name].draw(20, 3, np.random.RandomState(1), None)
    exposure = np.arange(1.0, 21.0) if family.additive else None
    q = np.random.RandomState(2).dirichlet([1.0, 2.0], 20).T
    expected = q.T @ family.moments(parameters.components.eta)[0]
    if exposure is not None:
        expected = expected * exposure[:, np.newaxis]
    rows = components.read(Block(X, None, exposure, 0))
    np.testing.assert_allclose(components.expected_rows(parameters.components, rows, q), expected, rtol=1e-12)
    if name == "gaussian":
        units = Units(np.array([1.0, -2.0, 0.5]), np.array([3.0, 0.1, 2.0]))
        scaled = Independent(family, units=units)
        found = scaled.expected_rows(parameters.components, scaled.read(Block(X, None, None, 0)), q)
        np.testing.assert_allclose(found, units.location + units.scale * expected, rtol=1e-12)
