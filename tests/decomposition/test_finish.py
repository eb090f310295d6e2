"""Where factor models end: at maxima, soon, with gaps and without."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from skentropy._em import State, rounding_error
from skentropy.decomposition import FactorAnalysis, _finish
from skentropy.decomposition._em_model import GaussianModel, StandardisedData, Table, TableTotals
from skentropy.decomposition._finish import Finish, Neighbourhood, _Metric, _Vector
from skentropy.decomposition._gaussian import LinearGaussian

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def rows_with_covariance(covariance, n=200):
    Z = np.random.default_rng(0).normal(size=(n, len(covariance)))
    Z -= Z.mean(axis=0)
    Z = Z @ np.linalg.inv(np.linalg.cholesky(Z.T @ Z / n)).T
    return Z @ np.linalg.cholesky(covariance).T


@pytest.mark.parametrize("options", [{}, {"solver": "em"}, {"solver": "em", "accelerate": False}], ids=str)
def test_the_symmetric_saddle_point_is_left(options):
    """Correlations of 0.4^|i - j|: the symmetric solution, -5.4775659, is a saddle point."""
    X = rows_with_covariance(0.4 ** np.abs(np.subtract.outer(np.arange(4), np.arange(4))))
    model = FactorAnalysis(1, **options).fit(X)
    assert model.lower_bound_ == pytest.approx(-5.4775648691, abs=1e-9)
    assert model.converged_
    assert np.isfinite(model.standard_errors(X)["components"]).all()


def test_em_is_finished():
    X = load_diabetes().data
    best = FactorAnalysis(4).fit(X).lower_bound_
    assert best == pytest.approx(20.0944397, abs=1e-7)
    model = FactorAnalysis(4, solver="em").fit(X)
    assert model.converged_
    assert model.lower_bound_ == pytest.approx(best, abs=1e-7)


def test_plain_em_does_not_say_that_it_has_converged_before_it_has():
    X = load_diabetes().data
    model = FactorAnalysis(4, solver="em", accelerate=False, max_iter=500).fit(X)
    assert not model.converged_ or model.lower_bound_ == pytest.approx(20.0944397, abs=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_with_gaps_the_first_start_ends_at_the_best_of_nine(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(70, 2)) @ rng.normal(size=(2, 6)) + rng.normal(size=(70, 6)) * rng.uniform(0.3, 1.0, 6)
    X[np.random.default_rng(seed).uniform(size=X.shape) < 0.5] = np.nan
    X = X[~np.isnan(X).all(axis=1)]
    model = FactorAnalysis(2).fit(X)
    assert model.converged_
    assert model.lower_bound_ > FactorAnalysis(2, n_init=9, random_state=0).fit(X).lower_bound_ - 2e-7


def largest_rate(model, X):
    """The largest eigenvalue of the EM map at the end of a fit, rotations and floors left out, by dense differences."""
    data = model._standardised(model._ready_rows(X))
    gaussian, p = data.model, model._parameters(orthogonal=True).standardised(data.location, data.scale)
    statistics = data.expect(p)
    coordinates = _Vector(gaussian, p)
    state = State(p, statistics, gaussian.elbo(statistics), gaussian.elbo(statistics))
    metric = _Metric.at(gaussian, coordinates, state)
    origin, h = coordinates.pack(p), 1e-4

    def gradient(z):
        q = coordinates.unpack(origin + metric.direction(z))
        moved = data.expect(q)
        at = State(q, moved, gaussian.elbo(moved), gaussian.elbo(moved))
        return metric.gradient(coordinates.gradient(at)) / gaussian.total_weight

    columns = []
    for unit in np.eye(len(origin)):
        z = metric.identified(unit)
        columns.append(metric.identified(z + (gradient(h * z) - gradient(-h * z)) / (2.0 * h)))
    rates = np.array(columns)
    return np.linalg.eigvalsh(0.5 * (rates + rates.T))[-1]


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("k", [1, 2])
def test_small_fits_end_at_no_saddle_point(k, gaps):
    """Sixteen tables each: of noise, of equal correlations, of correlations that fall with distance, and of factors."""
    flagged = 0
    for seed in range(16):
        rng = np.random.default_rng(seed)
        d = 6
        kinds = (
            np.eye(d),
            0.3 + 0.7 * np.eye(d),
            0.5 ** np.abs(np.subtract.outer(np.arange(d), np.arange(d))),
            np.eye(d) + 2.0 * np.outer(rng.normal(size=d), rng.normal(size=d)) ** 2,
        )
        root = np.linalg.cholesky(kinds[seed % 4] @ kinds[seed % 4].T)
        X = rng.normal(size=(80, d)) @ root.T
        if gaps:
            X[rng.uniform(size=X.shape) < 0.15] = np.nan
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = FactorAnalysis(k).fit(X)
        flagged += any("saddle" in str(message.message) for message in caught)
        if not len(model.heywood_):
            assert largest_rate(model, X) < 1.01
    assert flagged == 0


class Around:
    """A state of a model of two factors, with gaps and weights, and its neighbourhood; one noise is on its floor."""

    def __init__(self, *, isotropic):
        rng = np.random.default_rng(0)
        X = rng.normal(size=(40, 2)) @ rng.normal(size=(2, 5)) + rng.normal(size=(40, 5))
        X[rng.uniform(size=X.shape) < 0.2] = np.nan
        self.X, self.weight = X, rng.uniform(0.5, 2.0, 40)
        table = Table.of(X, self.weight)
        totals = TableTotals.of(table)
        self.model = GaussianModel(totals, isotropic=isotropic, floor=np.full(5, 1e-3), log_scale=rng.normal(size=5))
        self.table = table
        noise = np.full(5, 0.7) if isotropic else np.array([0.5, 0.9, 1e-3, 1.2, 0.7])
        self.parameters = LinearGaussian.of(rng.normal(size=5), rng.normal(size=(5, 2)), noise)
        self.state = self.at(self.parameters)
        self.neighbourhood = Neighbourhood.of(self.model, self.state)

    def at(self, parameters):
        statistics = self.model.expect(parameters, self.table)
        return State(parameters, statistics, self.model.elbo(statistics), self.model.elbo(statistics))

    def finish(self, tol=1e-9):
        return Finish(StandardisedData(self.model, self.table, np.zeros(5), np.ones(5)), tol, accelerate=True)


@pytest.mark.parametrize("isotropic", [False, True])
def test_a_climb_goes_by_the_slopes_of_the_likelihood(isotropic):
    around = Around(isotropic=isotropic)
    neighbourhood, h = around.neighbourhood, 1e-5
    start = np.zeros(len(neighbourhood.origin))
    here = neighbourhood.parameters(start)
    np.testing.assert_allclose(here.loadings, around.parameters.loadings, rtol=1e-14)
    np.testing.assert_allclose(here.mean, around.parameters.mean, rtol=1e-14)
    np.testing.assert_allclose(here.noise, np.maximum(around.parameters.noise, 1e-3), rtol=1e-14)
    state = around.at(here)
    slopes = neighbourhood.gradient(state)
    for unit, slope in zip(np.eye(len(start)), slopes, strict=True):
        above, below = (around.at(neighbourhood.parameters(step * unit)).objective for step in (h, -h))
        if not (unit[-3] and not isotropic):  # what the floor holds
            assert (above - below) / (2.0 * h) == pytest.approx(slope, abs=1e-7)


@pytest.mark.parametrize("isotropic", [False, True])
def test_a_climb_starts_where_the_information_of_a_row_is_one(isotropic):
    around = Around(isotropic=isotropic)
    p, metric = around.parameters, around.neighbourhood.metric
    observed, total = ~np.isnan(around.X), around.weight.sum()
    products = []  # E[u u'] of each row, u = (z, 1)
    for x, seen in zip(around.X, observed, strict=True):
        scaled = p.loadings[seen] / p.noise[seen, np.newaxis]
        covariance = np.linalg.inv(np.eye(2) + scaled.T @ p.loadings[seen])
        u = np.append(covariance @ scaled.T @ (x[seen] - p.mean[seen]), 1.0)
        products.append(np.outer(u, u) + np.pad(covariance, (0, 1)))
    for i, W in enumerate(metric.of_coefficients):
        information = np.einsum("n,nst->st", around.weight * observed[:, i], products) / total / p.noise[i]
        np.testing.assert_allclose(W.T @ information @ W, np.eye(3), atol=1e-8)
    share = around.weight @ observed / total
    information = 0.5 * (share.sum(keepdims=True) if isotropic else share)
    np.testing.assert_allclose(metric.of_log_noise**2 * information, 1.0)
    np.testing.assert_array_equal(metric.free, [True] if isotropic else [True, True, False, True, True])


@pytest.mark.parametrize("isotropic", [False, True])
def test_no_step_to_the_side_of_a_saddle_is_a_rotation(isotropic):
    around = Around(isotropic=isotropic)
    neighbourhood, metric = around.neighbourhood, around.neighbourhood.metric
    (turn,) = metric.rotations
    assert turn @ turn == pytest.approx(1.0)
    moved = metric.direction(turn)
    p = around.parameters
    tangent = np.column_stack([p.loadings[:, 1], -p.loadings[:, 0], np.zeros(5)]).ravel()
    along = moved[:15] @ tangent / (tangent @ tangent)
    np.testing.assert_allclose(moved[:15], along * tangent, atol=1e-6 * abs(along))
    np.testing.assert_array_equal(moved[15:], 0.0)
    z = np.random.default_rng(1).normal(size=len(turn))
    still = np.zeros(len(turn), dtype=bool)  # what belongs to the feature on its floor
    if not isotropic:
        still[6:9] = still[17] = True
    moves = np.where(still, 0.0, z)
    np.testing.assert_allclose(neighbourhood.identified(z), moves - turn * (turn @ moves), atol=1e-12)


@pytest.mark.parametrize("isotropic", [False, True])
def test_a_climb_may_go_down_to_the_floors(isotropic):
    neighbourhood = Around(isotropic=isotropic).neighbourhood
    coordinates, bounds = neighbourhood.coordinates, neighbourhood.bounds()
    split = coordinates.split
    assert bounds[:split] == [(None, None)] * split
    assert {largest for _, largest in bounds[split:]} == {None}
    lowest = np.append(np.zeros(split), [least for least, _ in bounds[split:]])
    np.testing.assert_allclose(
        (neighbourhood.origin + neighbourhood.metric.direction(lowest))[split:], coordinates.log_floor
    )
    coordinates.log_floor = coordinates.log_floor + 9.0  # above what is there
    assert {least for least, _ in neighbourhood.bounds()[split:]} == {0.0}


def test_the_noise_that_a_climb_tries_does_not_overflow():
    around = Around(isotropic=False)
    vector = around.neighbourhood.origin.copy()
    vector[-2:] = [1000.0, 49.0]
    np.testing.assert_allclose(around.neighbourhood.coordinates.unpack(vector).noise[-2:], np.exp([50.0, 49.0]), rtol=1e-12)


@pytest.mark.parametrize("size", [1e-7, 1.0])
def test_factors_that_explain_next_to_nothing_may_be_turned_too(size):
    around = Around(isotropic=False)
    p = replace(around.parameters, loadings=size * around.parameters.loadings)
    assert len(Neighbourhood.of(around.model, around.at(p)).metric.rotations) == 1
    none = replace(p, loadings=np.zeros((5, 2)))
    assert len(Neighbourhood.of(around.model, around.at(none)).metric.rotations) == 0


@pytest.mark.parametrize(("share", "n_climbs"), [(0.995, 1), (1.005, 4), (-1.0, 1)])
def test_climbs_are_repeated_until_one_gains_less_than_tol(share, n_climbs):
    around, starts = Around(isotropic=False), []
    finish = around.finish(tol=1e-6)

    def climb_once(state, evaluate):
        starts.append(state)
        return replace(state, objective=state.objective + share * 1e-6)

    finish._climb_once = climb_once
    end, at_end = finish._climb(around.state, around.at)
    assert (len(starts), at_end) == (n_climbs, n_climbs == 1)
    assert end.objective == pytest.approx(around.state.objective + max(n_climbs * share, 0.0) * 1e-6, abs=1e-12)


@pytest.mark.parametrize(("falls", "n_steps"), [(0.0, 3), (0.9, 3), (1.1, 1)])
def test_a_few_em_steps_settle_what_a_climb_has_reached(falls, n_steps):
    """As long as none of them falls by more than rounding."""
    around = Around(isotropic=False)
    state, steps = around.state, []
    rounding = rounding_error(around.model, state.parameters, state.statistics)

    def evaluate(parameters):
        steps.append(replace(state, parameters=parameters, objective=state.objective - falls * rounding * (len(steps) + 1)))
        return steps[-1]

    end = around.finish()._settle(state, evaluate)
    assert len(steps) == n_steps
    assert end is (steps[-1] if n_steps == 3 else state)


@pytest.mark.parametrize(("rate", "n_tried"), [(0.999995, 0), (1.005, 8)])
def test_a_direction_that_em_stretches_is_tried_on_both_sides(monkeypatch, rate, n_tried):
    around, tried = Around(isotropic=False), []
    direction = np.eye(len(around.neighbourhood.origin))[0]
    monkeypatch.setattr(_finish, "em_eigenpair", lambda *arguments, **options: (rate, direction))
    around.finish().leave_saddle(around.state, lambda p: tried.append(p) or around.state)
    assert len(tried) == n_tried
