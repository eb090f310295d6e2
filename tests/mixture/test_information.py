"""Score and information of mixtures against differences of the likelihood and of the score."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy import linalg, sparse

from skentropy._data import Block, Rows
from skentropy._em import State
from skentropy.mixture import _information
from skentropy.mixture._changes import differences
from skentropy.mixture._independent import Independent
from skentropy.mixture._information import Metric, missing_information, score, score_products
from skentropy.mixture._model import MixtureModel, MixtureParameters
from skentropy.mixture._newton import Curvature
from tests.common.cases import CASES

N, D = 80, 3


def problem(name: str, *, as_sparse: bool = False) -> tuple[Any, MixtureParameters, Rows]:
    """Two components, rows with weights, gaps and exposures, and a prior."""
    case, rng = CASES[name], np.random.RandomState(0)
    exposure = rng.randint(1, 4, size=N).astype(float) if case.family.additive else None
    X = case.draw(N, D, rng, exposure)
    X[rng.uniform(size=X.shape) < 0.2] = np.nan
    rows = Rows(sparse.csr_matrix(X) if as_sparse else X, rng.exponential(size=N), exposure)
    standard = [
        np.stack(
            [np.broadcast_to(np.asarray(component[i], float), (D, *np.shape(component[i]))) for component in case.components]
        )
        for i in range(len(case.components[0]))
    ]
    eta = case.family.from_standard(*standard)
    pooled = case.family.mean(eta).mean(axis=1)
    components = Independent(case.family, prior_counts=1.5, pooled=pooled)
    return MixtureModel(components), MixtureParameters(np.log([0.3, 0.7]), components.parameters(eta)), rows


def along(model: Any, parameters: MixtureParameters, direction: Any, h: float) -> MixtureParameters:
    moved = model.moved(parameters, h * direction)
    assert moved is not None
    return moved


def difference(function: Any, h: float) -> Any:
    return (8 * (function(h) - function(-h)) - (function(2 * h) - function(-2 * h))) / (12 * h)


def directions(parameters: MixtureParameters) -> Any:
    n_components = len(parameters.log_weights)
    size = n_components * (1 + parameters.components.eta[:, 0].size)
    return np.eye(size).reshape(size, n_components, -1)


@pytest.mark.parametrize("name", list(CASES))
def test_score_is_the_gradient_of_the_objective(name: str) -> None:
    model, parameters, rows = problem(name)

    def objective(moved: MixtureParameters) -> float:
        statistics = rows.sum(partial(model.expect, moved))
        return (model.elbo(statistics) + model.log_prior(moved, statistics)) * statistics.weight

    found = score(model, parameters, rows.sum(partial(model.expect, parameters)))
    expected = [difference(lambda h, e=e: objective(along(model, parameters, e, h)), 1e-4) for e in directions(parameters)]
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-7, atol=1e-7 * np.abs(expected).max())


@pytest.mark.parametrize("name", list(CASES))
def test_observed_information_is_the_derivative_of_the_score(name: str) -> None:
    model, parameters, rows = problem(name)
    statistics = rows.sum(partial(model.expect, parameters))

    def score_at(h: float, direction: Any) -> Any:
        moved = along(model, parameters, direction, h)
        return score(model, moved, rows.sum(partial(model.expect, moved))).ravel()

    observed = np.stack([-difference(partial(score_at, direction=e), 3e-4) for e in directions(parameters)], axis=1)
    missing = rows.sum(partial(missing_information, model, parameters))
    metric = Metric.at(model, parameters, statistics)
    W = metric.matrix()
    free = np.diag(W.T @ W) > 0
    # In coordinates in which the complete data's information is one, the observed is what is not missing.
    np.testing.assert_allclose(W.T @ (observed + missing) @ W, np.diag(free.astype(float)), atol=1e-8)
    for _ in range(3):
        z = np.random.RandomState(1).normal(size=(2, len(W) // 2))
        np.testing.assert_allclose(metric.directions(z).ravel(), W @ z.ravel(), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(metric.gradient(z).ravel(), W.T @ z.ravel(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("name", list(CASES))
def test_products_of_scores_are_those_of_single_rows(name: str, power: int) -> None:
    model, parameters, rows = problem(name)
    statistics = rows.sum(partial(model.expect, parameters))
    model = MixtureModel(model.components.with_prior(0.0, statistics.components))
    found = rows.sum(partial(score_products, model, parameters, power=power))
    expected = np.zeros_like(found)
    assert rows.sample_weight is not None
    for n, weight in enumerate(rows.sample_weight):
        exposure = None if rows.exposure is None else rows.exposure[[n]]
        row = Rows(rows.X[[n]], None, exposure)
        of_row = score(model, parameters, row.sum(partial(model.expect, parameters))).ravel()
        expected += weight**power * np.outer(of_row, of_row)
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("name", [name for name in CASES if CASES[name].family.zero_statistics])
def test_sparse_rows_miss_the_same_information(name: str) -> None:
    model, parameters, rows = problem(name)
    _, _, stored = problem(name, as_sparse=True)
    dense = rows.sum(partial(missing_information, model, parameters))
    np.testing.assert_allclose(
        stored.sum(partial(missing_information, model, parameters)), dense, rtol=1e-10, atol=1e-10 * np.abs(dense).max()
    )


def test_information_is_a_sum_over_blocks() -> None:
    model, parameters, rows = problem("poisson")
    whole = rows.sum(partial(missing_information, model, parameters))
    assert rows.sample_weight is not None
    assert rows.exposure is not None
    parts = [
        Rows(rows.X[part], rows.sample_weight[part], rows.exposure[part]).sum(
            partial(missing_information, model, parameters)
        )
        for part in (slice(0, 30), slice(30, N))
    ]
    np.testing.assert_allclose(parts[0] + parts[1], whole, rtol=1e-12, atol=1e-12)


def test_information_is_a_sum_over_parts_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of seven rows each, of which eighty are no multiple."""
    model, parameters, rows = problem("gamma")
    sums = (partial(missing_information, model, parameters), partial(score_products, model, parameters, power=2))
    whole = [rows.sum(of_block) for of_block in sums]
    monkeypatch.setattr(_information, "_CHUNK_ENTRIES", 100)
    parts = _information._parts(model, parameters, Block(rows.X, None, None, 0), 14)
    assert [part.n_rows for part, *_ in parts] == [7] * 11 + [3]
    for of_block, expected in zip(sums, whole, strict=True):
        np.testing.assert_allclose(rows.sum(of_block), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", list(CASES))
def test_curvature_is_that_of_dense_matrices(name: str) -> None:
    """Steps, and the distance from the maximum, of the absolute information (Dauphin et al. 2014)."""
    model, parameters, rows = problem(name)
    statistics = rows.sum(partial(model.expect, parameters))
    missing = rows.sum(partial(missing_information, model, parameters))
    found = Curvature.at(model, lambda _: missing, State(parameters, statistics, 0.0, 0.0))
    assert found is not None
    W = Metric.at(model, parameters, statistics).matrix()
    J, g = np.eye(len(W)) - W.T @ missing @ W, W.T @ score(model, parameters, statistics).ravel()
    size = linalg.sqrtm(J @ J).real
    assert found.remaining_gain == pytest.approx(0.5 * g @ np.linalg.solve(size, g) / statistics.weight, rel=1e-6)
    for damping in (1e-2, 3.0):
        step = W @ np.linalg.solve(size + damping * np.eye(len(W)), g)
        np.testing.assert_allclose(found.step(damping).ravel(), step, rtol=1e-7, atol=1e-9 * np.abs(step).max())


def test_what_has_no_slope_is_held() -> None:
    """A probability of zero has none in log-odds, nor has anything of a component that is empty."""
    family = CASES["bernoulli"].family
    model = MixtureModel(Independent(family))
    eta = family.from_standard(np.array([[0.0, 0.4], [0.5, 0.5], [0.3, 0.3]]))
    parameters = MixtureParameters(np.log([0.5, 0.5, 5e-324]), Independent(family).parameters(eta))
    rows = Rows(np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]))
    metric = Metric.at(model, parameters, rows.sum(partial(model.expect, parameters)))
    changes = metric.directions(np.ones((3, 3)))
    assert changes[0, 1] == 0.0
    assert (changes[2] == 0.0).all()
    assert changes[0, 2] != 0.0


@pytest.mark.parametrize("stride", [0.0, 0.5, 8.0])
def test_differences_are_exact_for_polynomials_and_zero_for_what_does_not_move(stride: float) -> None:
    """Of fourth order, from steps of a thousandth, or of less where a logarithm would change by more."""
    rng = np.random.default_rng(0)
    fixed, steps = rng.normal(size=200), []

    class Polynomial:
        def standard(self, parameters: Any) -> tuple[Any, ...]:
            return 3.0 * parameters**4 - parameters, fixed

        def moved(self, parameters: Any, direction: Any) -> Any:
            steps.append(direction[0, 0])
            return parameters + direction[:, 0]

        def stride(self, parameters: Any, direction: Any) -> float:
            return stride

    at, directions = rng.normal(size=3), rng.normal(size=(2, 3, 1))
    directions[1] = 0.0
    found, nothing = differences(Polynomial(), at, directions)
    np.testing.assert_allclose(found, (12.0 * at**3 - 1.0) * directions[..., 0], rtol=1e-8, atol=1e-8)
    assert not nothing.any()
    lengths = np.sort(np.array(steps) / directions[0, 0])
    np.testing.assert_allclose(lengths, np.array([-2.0, -1.0, 1.0, 2.0]) * 1e-3 / max(stride, 1.0), rtol=1e-12)
