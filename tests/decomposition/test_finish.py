"""Where factor models end: at maxima, soon, with gaps and without."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from skentropy import FactorAnalysis
from skentropy._em import State
from skentropy.decomposition._finish import _Metric, _Vector

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
    data = model._standardised(model._read(X))
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
        return metric.whitened(coordinates.gradient(at)) / gaussian.total_weight

    columns = []
    for unit in np.eye(len(origin)):
        z = metric.without_rotations(unit)
        columns.append(metric.without_rotations(z + (gradient(h * z) - gradient(-h * z)) / (2.0 * h)))
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
