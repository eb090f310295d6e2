"""What fits are put together from, by plain matrices: a wrong part may cost digits or steps, and change no result."""

from dataclasses import fields

import numpy as np
import pytest
from scipy import sparse, stats

from skentropy._data import Rows
from skentropy._em import State
from skentropy.decomposition import PPCA, FactorAnalysis, _em_model
from skentropy.decomposition._closed_form import bic_path, count_parameters, entropy_sum_path, noise_floor
from skentropy.decomposition._curvature import curves_upwards, expected_information
from skentropy.decomposition._em_model import GaussianModel, GaussianStatistics, StandardisedData, Table, TableTotals
from skentropy.decomposition._factor_analysis import _on_floor, n_factor_parameters
from skentropy.decomposition._finish import Finish
from skentropy.decomposition._gaussian import LinearGaussian
from skentropy.decomposition._moments import Moments
from skentropy.decomposition._profile import Profile, best_profile, inverse_and_log_det, starting_uniquenesses
from skentropy.decomposition._saturated import Unrestricted, _Model
from skentropy.decomposition._spectrum import ACCURACY, MatrixCovariance, RowsCovariance, Spectrum
from tests.common.data import rows_of_factors


def test_many_patterns_are_worked_on_in_chunks(monkeypatch):
    rng = np.random.default_rng(0)
    X, weight = rows_of_factors(500, 9)
    X[rng.random(X.shape) < 0.4] = np.nan
    patterns = Table.of(X, weight)
    p = LinearGaussian.of(rng.normal(size=9), rng.normal(size=(9, 2)), rng.uniform(0.5, 1.5, 9))
    model = GaussianModel(TableTotals.of(patterns), isotropic=False, floor=np.zeros(9), log_scale=np.zeros(9))
    whole = model.expect(p, patterns)
    assert patterns.chunks(9) == [(0, len(patterns.patterns))]
    monkeypatch.setattr(_em_model, "_CHUNK_SIZE", 2**10)
    chunks = patterns.chunks(9)
    assert [first for first, _ in chunks[1:]] == [last for _, last in chunks[:-1]]
    assert (chunks[0][0], chunks[-1][1]) == (0, len(patterns.patterns))
    assert len(chunks) > 2
    # As many patterns as fit; and 64 rows, however long.
    for rows, ranges in ((2**10 // 9, chunks), (64, patterns.chunks(2**20))):
        for first, last in ranges[:-1]:
            start, stop, after = patterns.starts[[first, last, last + 1]]
            assert stop - start <= rows < after - start
    for field in fields(whole):
        np.testing.assert_allclose(getattr(model.expect(p, patterns), field.name), getattr(whole, field.name), rtol=1e-11)


def test_parts_of_the_data_add_up(incomplete):
    X, weight = incomplete
    rng = np.random.default_rng(0)
    p = LinearGaussian.of(rng.normal(size=6), rng.normal(size=(6, 2)), rng.uniform(0.5, 1.5, 6))
    whole, first, second = (Table.of(X[rows], weight[rows]) for rows in (slice(None), slice(0, 50), slice(50, None)))
    totals = TableTotals.of(first) + TableTotals.of(second)
    log_scale = np.linspace(-1.0, 1.0, 6)
    of_whole, *of_parts = (GaussianStatistics.of(part, p, log_scale) for part in (whole, first, second))
    for found, expected in ((totals, TableTotals.of(whole)), (of_parts[0] + of_parts[1], of_whole)):
        for field in fields(expected):
            np.testing.assert_allclose(getattr(found, field.name), getattr(expected, field.name), rtol=1e-10, atol=1e-10)


def test_magnitude_of_terms(incomplete):
    """The sum of what the entropy sum adds up, with nothing cancelled."""
    X, weight = incomplete
    log_scale = np.array([1.0, -2.0, 0.0, 0.5, 3.0, -1.0])
    noise = np.array([0.1, 3.0, 1.0, 0.5, 2.0, 0.7])
    data = StandardisedData.of(Table.of(X, weight), np.zeros(6), np.exp(log_scale), isotropic=False, floor=np.zeros(6))
    p = LinearGaussian.of(np.zeros(6), np.eye(6)[:, :2], noise)
    model, statistics = data.model, data.expect(p)
    terms = model.entropy_sum(p, statistics)
    seen = weight @ ~np.isnan(X) / weight.sum()
    one_by_one = [
        0.5 * seen[d] * part
        for d in range(6)
        for part in (abs(np.log(noise[d])), np.log(2 * np.pi * np.e), 2 * abs(log_scale[d]))
    ]
    expected = abs(terms.posterior) + terms.prior + sum(one_by_one)
    assert model.magnitude(p, statistics) == pytest.approx(expected, rel=1e-12)
    assert model.log_prior(p, statistics) == 0.0


@pytest.mark.parametrize(
    ("true", "noise", "floor", "tried"),
    [
        (1e-9, 0.0199, 1e-8, True),
        (1e-9, 0.0201, 1e-8, False),
        (1e-9, 0.01 * 1.005, 0.01, True),
        (1e-9, 0.01, 0.01, False),
        (0.01, 0.01 * (1.0 - 1e-6), 1e-8, False),
    ],
)
def test_low_noise_that_falls_is_tried_on_the_floor(true, noise, floor, tried):
    """From two hundredths of the variance down to the floor itself; not if it rises, however slowly."""
    true = LinearGaussian.of(np.zeros(4), np.full((4, 1), 0.8), np.array([true, 0.5, 0.5, 0.5]))
    tables = Table.with_moments(Moments(100.0, np.zeros(4), 100.0 * true.covariance()))
    data = StandardisedData.of(tables, np.zeros(4), np.ones(4), isotropic=False, floor=np.full(4, floor))
    p = LinearGaussian.of(true.mean, true.loadings, np.array([noise, 0.5, 0.5, 0.5]))
    model, statistics = data.model, data.expect(p)
    state = State(p, statistics, model.elbo(statistics), model.elbo(statistics))
    found = Finish(data, 1e-9, accelerate=True)._from_floor(state)
    assert (found is not None) == tried
    if found is not None:
        assert found.parameters.noise[0] == pytest.approx(floor, rel=1e-6)
        assert found.objective > state.objective


def test_extrapolated_parameters_that_are_no_model_are_refused(incomplete):
    X, weight = incomplete
    totals = TableTotals.of(Table.of(X, weight))
    model = GaussianModel(totals, isotropic=False, floor=np.full(6, 1e-3), log_scale=np.zeros(6))
    p = LinearGaussian.of(np.arange(6.0), np.ones((6, 2)), np.full(6, 0.5))
    vector = model.pack(p)
    np.testing.assert_allclose(model.unpack(vector, p).noise, p.noise)
    for log_noise, expected in ((-800.0, 1e-3), (49.9, np.exp(49.9)), (50.1, None), (800.0, None), (np.nan, None)):
        vector[-1] = log_noise
        unpacked = model.unpack(vector, p)
        assert (unpacked is None) == (expected is None)
        if unpacked is not None:
            assert unpacked.noise[-1] == pytest.approx(expected, rel=1e-12)


def test_em_starts_from_factors_that_explain_nearly_all_or_nothing_much():
    model, k = PPCA(3), 3
    for estimator, noise in ((model, 1.0), (FactorAnalysis(3), 0.5)):
        start = estimator._em_start(None, 20_000, k, np.random.RandomState(0), imputed=True)
        assert (start.loadings**2).sum(axis=1).mean() == pytest.approx(k / (k + 1), rel=0.02)
        np.testing.assert_array_equal(start.noise, noise)
    # Imputed data that have no noise left are given some.
    X, _ = rows_of_factors(30, 3)
    flat = np.column_stack([X, X])
    covariance = MatrixCovariance(flat.mean(axis=0), np.cov(flat.T, bias=True))
    start = model._em_start(covariance, 6, k, np.random.RandomState(0), imputed=True)
    np.testing.assert_array_equal(start.noise, 0.01)


def test_em_for_factors_starts_from_their_maximum_in_any_units(load):
    """But for a floor of a thousandth, on which constant features have their share of a typical variance."""
    X = load("wine")
    X[:, 5], scale = 7.0, np.linspace(0.2, 3.0, 13)
    covariance = np.cov((X / X.std(axis=0).clip(1e-9)).T, bias=True)
    plain, scaled = (
        FactorAnalysis(2)._em_start(MatrixCovariance(mean, matrix), 13, 2, None, imputed=True)
        for mean, matrix in ((X.mean(axis=0), covariance), (scale * X.mean(axis=0), covariance * np.outer(scale, scale)))
    )
    varies = np.arange(13) != 5
    np.testing.assert_allclose(np.diag(plain.covariance())[varies], 1.0, rtol=2e-3)
    np.testing.assert_allclose(scaled.mean, scale * plain.mean)
    np.testing.assert_allclose(scaled.loadings, scale[:, np.newaxis] * plain.loadings, atol=1e-6)
    np.testing.assert_allclose(scaled.noise[varies], (scale**2 * plain.noise)[varies], rtol=1e-5)
    assert scaled.noise[5] == pytest.approx(1e-3 * (scale[varies] ** 2).mean(), rel=1e-9)


@pytest.mark.parametrize(
    ("k", "shape", "solver"),
    [
        (99, (1000, 1000), "covariance_eigh"),
        (99, (1001, 1001), "arpack"),
        (109, (2000, 1100), "arpack"),
        (109, (1100, 2000), "arpack"),
        (111, (1100, 1100), "covariance_eigh"),
        ("bic", (2000, 2000), "covariance_eigh"),
    ],
)
def test_few_components_of_large_data_are_found_by_products(k, shape, solver):
    assert PPCA(k)._choose_solver(Rows(np.broadcast_to(0.0, shape))) == solver
    assert PPCA(k, solver="em")._choose_solver(Rows(np.broadcast_to(0.0, shape))) == "em"


@pytest.mark.parametrize(("times", "h"), [(1005.0, 5), (995.0, 4)])
def test_bic_chooses_among_models_that_leave_some_noise(times, h):
    """A thousand times the floor, which is a share of 1e-12 of the mean variance."""
    values = np.repeat([1.0, times * 0.5e-12], 5)
    covariance = MatrixCovariance(np.zeros(10), np.diag(values))
    assert PPCA("bic")._choose_n_components(Spectrum(values, np.eye(10), 0.0), covariance, 100.0) == (h, [])


@pytest.mark.parametrize("k", [1, 2, 4])
def test_start_of_factor_analysis(load, k):
    R = np.corrcoef(load("wine").T)
    multiple = 1.0 - 1.0 / np.diag(np.linalg.inv(R))
    start = starting_uniquenesses(MatrixCovariance(np.zeros(13), R), k)
    np.testing.assert_allclose(start, (1.0 - multiple) * (1.0 - k / 26), rtol=1e-10)
    twice = np.block([[R, R], [R, R]])
    start = starting_uniquenesses(MatrixCovariance(np.zeros(26), twice), k)
    values, vectors = np.linalg.eigh(twice)
    noise = values[:-k].sum() / (26 - k)
    W = vectors[:, -k:] * np.sqrt(values[-k:] - noise)
    np.testing.assert_allclose(start, np.clip(1.0 - (W**2).sum(axis=1), 1e-2, 1.0), rtol=1e-8)


def test_start_of_factor_analysis_is_no_closer_to_zero():
    nearly, equal = (np.full((4, 4), share) + (1.0 - share) * np.eye(4) for share in (0.9999, 1.0))
    for R, least in ((nearly, 1e-3), (equal, 1e-2)):
        np.testing.assert_array_equal(starting_uniquenesses(MatrixCovariance(np.zeros(4), R), 1), least)


def test_inverse_and_log_determinant(load):
    R = np.corrcoef(load("wine").T)
    inverse, log_det = inverse_and_log_det(R)
    np.testing.assert_allclose(inverse, np.linalg.inv(R), rtol=1e-10)
    assert log_det == pytest.approx(np.linalg.slogdet(R)[1], rel=1e-12)
    # The pivot of the second of two features is 1 - r^2.
    for pivot, singular in ((2e-9, False), (5e-10, True), (0.0, True), (-1e-9, True)):
        r = np.sqrt(1.0 - pivot)
        inverse, log_det = inverse_and_log_det(np.array([[1.0, r], [r, 1.0]]))
        assert (inverse is None) == singular
        assert log_det == (-np.inf if singular else pytest.approx(np.log(pivot), rel=1e-6))


@pytest.mark.parametrize("rows", [False, True])
def test_searches_stay_in_the_box(monkeypatch, rows):
    """Uniquenesses between the floor and one, also of features that have nothing in common."""
    X = np.random.default_rng(0).normal(size=(200, 8))
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    covariance = RowsCovariance.of(X, None) if rows else MatrixCovariance(np.zeros(8), np.corrcoef(X.T))
    seen = []

    class Recorded(Profile):
        def value_and_gradient(self, x):
            seen.append(x.copy())
            return super().value_and_gradient(x)

        def hessian(self, x):
            seen.append(x.copy())
            return super().hessian(x)

    for start in (0.01, 0.5, 0.99):
        assert Recorded(covariance, 2, 1e-3).maximize(np.full(8, start), gtol=1e-6, max_iter=1000).converged
    for seed in range(10):  # from where Newton's steps are too long
        x = np.log(np.random.default_rng(seed).uniform(0.1, 1.0, 8))
        Recorded(MatrixCovariance(np.zeros(8), np.corrcoef(X.T)), 2, 1e-3)._newton(x, 1e-6, 50)
    assert np.min(seen) >= np.log(1e-3)
    assert np.max(seen) == 0.0


@pytest.mark.parametrize("data", [12, 59, 66, 143, 146])
def test_no_end_of_the_profile_is_below_what_lifting_a_low_uniqueness_gives(data):
    """Next to the floor the gradient in log psi is as small as psi itself, whatever there is to gain."""
    R, k = correlations_with_low_uniquenesses(data)
    covariance = MatrixCovariance(np.zeros(len(R)), R)
    fit = Profile(covariance, k, 1e-8).maximize(starting_uniquenesses(covariance, k), gtol=1e-6, max_iter=1000)
    assert fit.converged
    low = np.flatnonzero(fit.noise < 1e-4)
    assert low.size
    profile = Profile(covariance, k, 1e-8)
    for i in low:
        for lift in (3.0, 6.0, 9.0, 12.0):
            x = np.log(fit.noise)
            x[i] += lift
            assert -0.5 * profile.value_and_gradient(x)[0] <= fit.log_likelihood + 1e-9


def correlations_with_low_uniquenesses(seed):
    rng = np.random.default_rng(seed)
    d = int(rng.integers(4, 30))
    k, n = int(rng.integers(1, max(2, d // 2))), int(rng.integers(d // 2 + 2, 6 * d))
    X = rng.normal(size=(n, 2)) @ rng.normal(size=(2, d)) + rng.normal(size=(n, d)) * rng.uniform(0.05, 2.0, d)
    return np.corrcoef(X.T), k


@pytest.mark.parametrize("data", ["iris", 2, 44, 59])
def test_newtons_method_takes_few_steps_where_uniquenesses_fall_to_zero(load, monkeypatch, data):
    R, k = (np.corrcoef(load(data).T), 1) if data == "iris" else correlations_with_low_uniquenesses(data)
    seen = []
    monkeypatch.setattr(Profile, "hessian", lambda self, x, hessian=Profile.hessian: (seen.append(x), hessian(self, x))[1])
    covariance = MatrixCovariance(np.zeros(len(R)), R)
    fit = Profile(covariance, k, 1e-8).maximize(starting_uniquenesses(covariance, k), gtol=1e-6, max_iter=1000)
    assert fit.converged
    assert fit.noise.min() == pytest.approx(1e-8)
    assert 1 < len(seen) < 100


def test_what_falls_without_newtons_method_is_tried_on_the_floor(load):
    X = load("iris")
    profile = Profile(RowsCovariance.of((X - X.mean(axis=0)) / X.std(axis=0), None), 1, 1e-8)
    x = np.log(profile.maximize(np.full(4, 0.5), gtol=1e-6, max_iter=1000).noise)
    low = np.where(np.arange(4) == 2, np.log(1e-4), x)
    assert 0.0 < profile.value_and_gradient(low)[1][2] < 1e-3
    found = profile._try_floor(low, 1e-6, 1000)
    assert found[2] < np.log(1e-7)
    np.testing.assert_allclose(found[[0, 1, 3]], x[[0, 1, 3]], atol=1e-4)


def test_nothing_is_tried_on_the_floor_where_nothing_is_low():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 1)) + rng.normal(size=(100, 6))
    profile = Profile(RowsCovariance.of((X - X.mean(axis=0)) / X.std(axis=0), None), 1, 1e-8)
    x = np.log(profile.maximize(np.full(6, 0.5), gtol=1e-6, max_iter=1000).noise)
    assert np.exp(x).min() > 0.1
    assert (profile.value_and_gradient(x)[1] > 0.0).any()  # it is never quite zero
    steps = len(profile.history)
    assert profile._try_floor(x, 1e-6, 1000) is x
    assert len(profile.history) == steps


@pytest.mark.parametrize(("least", "by_factor"), [(0.0502, False), (0.0498, True)])
def test_twice_the_digits_are_computed_where_a_uniqueness_is_low(least, by_factor):
    X, _ = rows_of_factors(9, 13)
    profile = Profile(MatrixCovariance(np.zeros(13), np.corrcoef(X.T)), 2, 1e-8)
    profile.hessian(np.log(np.linspace(least, 0.9, 13)))
    assert ("_factor" in vars(profile)) == by_factor


def test_projected_gradient_is_that_of_the_mean_log_likelihood_in_the_box():
    profile = Profile(MatrixCovariance(np.zeros(6), np.eye(6)), 1, 0.01)
    low = np.log(0.01)
    x = np.array([-1.0, -1.0, low, low, 0.0, 0.0])
    found = profile.projected(x, np.array([3.0, -3.0, 3.0, -3.0, 3.0, -3.0]))
    np.testing.assert_array_equal(found, [1.5, -1.5, 0.0, -1.5, 1.5, 0.0])


@pytest.mark.parametrize("rows", [False, True])
def test_how_a_search_has_ended(load, rows):
    Z = load("wine")
    Z = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    covariance = RowsCovariance.of(Z, None) if rows else MatrixCovariance(np.zeros(13), np.corrcoef(Z.T))
    for max_iter in (0, 3, 1000):
        profile = Profile(covariance, 2, 1e-8)
        fit = profile.maximize(np.full(13, 0.5), gtol=1e-6, max_iter=max_iter)
        assert (fit.noise == pytest.approx(0.5, rel=1e-12)) == (max_iter == 0)
        value, gradient = profile.value_and_gradient(np.log(fit.noise))
        assert fit.log_likelihood == pytest.approx(-0.5 * value, rel=1e-12)
        assert fit.history[-1] == pytest.approx(fit.log_likelihood, rel=1e-12)
        assert len(fit.history) <= max(max_iter, 1)
        assert (np.diff(fit.history) >= 0.0).all()
        steepest = np.abs(profile.projected(np.log(fit.noise), gradient)).max()
        assert fit.gradient == pytest.approx(steepest, rel=1e-6, abs=1e-9)
        assert fit.converged == (max_iter == 1000)
    assert len(fit.history) > 4
    assert fit.history[0] < fit.history[-1]


def test_no_search_takes_more_steps_than_it_may(load):
    X = load("iris")
    covariance = RowsCovariance.of((X - X.mean(axis=0)) / X.std(axis=0), None)
    for max_iter in (1, 4, 8, 12, 16, 20, 24, 30):
        fit = Profile(covariance, 1, 1e-8).maximize(np.full(4, 0.5), gtol=1e-9, max_iter=max_iter)
        assert len(fit.history) <= max_iter


@pytest.mark.parametrize("third", [None, 1.005, 0.995])
def test_profile_leaves_out_factors_that_explain_nothing(third):
    """Eigenvalues of psi^-1/2 R psi^-1/2 below one are no factors'; from the leading eigenpairs and from all."""
    X, _ = rows_of_factors(9, 13)
    R = np.corrcoef(X.T)
    x = np.log(np.random.default_rng(0).uniform(0.6, 0.9, 13))
    if third is not None:
        x = np.full(13, np.log(np.linalg.eigvalsh(R)[-3] / third))
    theta = np.linalg.eigvalsh(R / np.exp(0.5 * x) / np.exp(0.5 * x)[:, np.newaxis])[::-1][:8]
    assert theta[0] > 1.0 > theta[7]
    factors = theta[theta > 1.0]
    expected = 13 * np.log(2 * np.pi) + (x + np.exp(-x)).sum() + (np.log(factors) + 1.0 - factors).sum()
    profile = Profile(MatrixCovariance(np.zeros(13), R), 8, 1e-8)
    assert profile._inverse is None
    value, gradient = profile.value_and_gradient(x)
    assert value == pytest.approx(expected, rel=1e-11)
    by_all = profile.hessian(x)
    assert by_all[0] == pytest.approx(expected, rel=1e-11)
    np.testing.assert_allclose(by_all[1], gradient, atol=1e-10)
    for d, step in enumerate(1e-6 * np.eye(13)):
        up, down = profile.value_and_gradient(x + step), profile.value_and_gradient(x - step)
        assert gradient[d] == pytest.approx((up[0] - down[0]) / 2e-6, abs=1e-6)
        np.testing.assert_allclose(by_all[2][d], (up[1] - down[1]) / 2e-6, atol=1e-5)


@pytest.mark.parametrize("singular", [False, True])
def test_newtons_method_ends_in_few_steps(load, singular):
    """Each step from near the maximum squares the distance from it."""
    R = np.corrcoef(load("wine").T)
    if singular:
        R = R[np.ix_([*range(13), 0], [*range(13), 0])]
    profile = Profile(MatrixCovariance(np.zeros(len(R)), R), 2, 1e-3)
    fit = profile.maximize(np.full(len(R), 0.5), gtol=1e-9, max_iter=1000)
    assert fit.converged
    profile.history.clear()
    free = fit.noise > 2e-3
    near = np.where(free, np.clip(fit.noise * np.where(np.arange(len(R)) % 2, 1.05, 0.95), 0.0, 1.0), fit.noise)
    x = profile._newton(np.log(near), 1e-9, 100)
    np.testing.assert_allclose(np.exp(x), fit.noise, rtol=1e-6)
    assert len(profile.history) <= 5


def test_rough_eigenpairs_do_not_outlive_the_steps_that_they_are_for():
    accuracies = []

    class Recording(Profile):
        def spectrum(self, x):
            accuracies.append(self._accuracy)
            return super().spectrum(x)

    X, _ = rows_of_factors(500, 40)
    profile = Recording(MatrixCovariance(np.zeros(40), np.corrcoef(X.T)), 3, 1e-8)
    x = profile._by_expected_information(np.full(40, np.log(0.5)), 1e-3, 3)
    profile._at(x)
    assert accuracies[-1] == ACCURACY < accuracies[0]


@pytest.mark.parametrize("seed", range(5))
def test_what_curves_upwards_by_its_leading_eigenpairs_does_by_all(seed):
    """Weak factors leave some of it open, and what is open may curve downwards."""
    rng = np.random.default_rng(seed)
    open_, said = [], []
    for strength in (0.3, 1.0, 2.0, 4.0):
        X = strength * rng.normal(size=(600, 2)) @ rng.normal(size=(2, 40)) + rng.normal(size=(600, 40))
        profile = Profile(MatrixCovariance(np.zeros(40), np.corrcoef(X.T)), 2, 1e-8)
        for x in (
            np.log(rng.uniform(0.05, 0.9, 40)),
            np.log(profile.maximize(np.full(40, 0.5), gtol=1e-6, max_iter=99).noise),
        ):
            theta, U = profile._decompose(x)
            free = rng.random(40) < 0.8
            spectrum = Spectrum(theta[:2], U[:, :2], 0.0, None, 0.6 * theta[2])
            upwards = np.linalg.eigvalsh(profile.hessian(x)[2][np.ix_(free, free)])[0] > 0.0
            if curves_upwards(np.exp(-x), spectrum, free):
                assert upwards
                said.append(strength)
            else:
                open_.append(upwards)
            assert not curves_upwards(np.exp(-x), Spectrum(theta[:2], U[:, :2], 0.0), free)
    assert said
    assert open_


def test_the_expected_information_is_the_hessian_of_what_the_model_expects():
    rng = np.random.default_rng(0)
    loadings, psi = rng.normal(size=(9, 2)), rng.uniform(0.2, 0.8, 9)
    scale = np.sqrt((loadings**2).sum(axis=1) / (1.0 - psi))
    loadings /= scale[:, np.newaxis]
    profile = Profile(MatrixCovariance(np.zeros(9), loadings @ loadings.T + np.diag(psi)), 2, 1e-8)
    theta, U = profile._decompose(np.log(psi))
    found = expected_information(Spectrum(theta[:2], U[:, :2], 0.0))
    np.testing.assert_allclose(found, np.diag(profile.hessian(np.log(psi))[2]), rtol=1e-9)


def test_many_features_take_few_evaluations(monkeypatch):
    n, d = shape = (1000, 310)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3)) @ rng.normal(size=(3, d)) + rng.normal(size=shape) * rng.uniform(0.5, 2.0, d)
    rows = RowsCovariance.of((X - X.mean(axis=0)) / X.std(axis=0), None)
    seen = []
    spectrum = Profile.spectrum
    monkeypatch.setattr(Profile, "spectrum", lambda self, x: (seen.append(x), spectrum(self, x))[1])
    fit = best_profile(rows, 3, 1e-8, gtol=1e-6, max_iter=100, n_init=1, random_state=None)
    assert len(seen) < 9
    assert fit.converged
    of_matrix = MatrixCovariance(np.zeros(d), np.corrcoef(X.T))
    again = Profile(of_matrix, 3, 1e-8).maximize(np.full(d, 0.5), gtol=1e-9, max_iter=1000)
    assert fit.log_likelihood == pytest.approx(again.log_likelihood, abs=1e-9)
    np.testing.assert_allclose(fit.noise, again.noise, rtol=1e-4)


@pytest.mark.parametrize("noise", [0.5, 1e-3])
def test_factors_that_correlate_have_the_density_and_posteriors_of_plain_matrices(noise):
    rng = np.random.default_rng(0)
    p = LinearGaussian(
        rng.normal(size=4), rng.normal(size=(4, 2)), noise * rng.uniform(0.5, 2.0, 4), np.array([[1.0, 0.6], [0.6, 1.5]])
    )
    covariance = p.loadings @ p.correlation @ p.loadings.T + np.diag(p.noise)
    np.testing.assert_allclose(p.precision() @ covariance, np.eye(4), atol=1e-11)
    X = rng.normal(size=(6, 4))
    gaps = np.where(rng.uniform(size=X.shape) < 0.3, np.nan, X)
    for rows, whole in ((X, X), (sparse.csr_array(X), X), (gaps, gaps)):
        found, means = p.evaluate(rows), p.posterior_means(rows)
        for row, terms, mean in zip(whole, found, means, strict=True):
            o = ~np.isnan(row)
            inside = covariance[np.ix_(o, o)]
            gain = p.correlation @ p.loadings[o].T @ np.linalg.inv(inside)
            left = p.correlation - gain @ p.loadings[o] @ p.correlation
            np.testing.assert_allclose(mean, gain @ (row - p.mean)[o], rtol=1e-8)
            entropies = [
                stats.multivariate_normal(cov=left).entropy(),
                stats.norm(scale=np.sqrt(p.noise[o])).entropy().sum(),
            ]
            log_density = stats.multivariate_normal(p.mean[o], inside).logpdf(row[o])
            np.testing.assert_allclose(terms, [log_density, *entropies], rtol=1e-8)
    of_prior = stats.multivariate_normal(cov=p.correlation).entropy()
    assert p.entropy_sum().prior == pytest.approx(of_prior)
    location, scale = np.array([1.0, -2.0, 0.5, 3.0]), np.array([0.5, 2.0, 3.0, 0.1])
    moved = p.standardised(location, scale)
    np.testing.assert_allclose(moved.mean, (p.mean - location) / scale)
    np.testing.assert_allclose(moved.covariance(), covariance / scale / scale[:, np.newaxis])
    again = moved.rescaled(location, scale)
    np.testing.assert_allclose(again.mean, p.mean)
    np.testing.assert_allclose(again.covariance(), covariance)


@pytest.mark.parametrize(("d", "k"), [(6, 0), (6, 1), (6, 2), (9, 3), (3, 2), (4, 3), (5, 5)])
def test_parameters_are_the_directions_in_which_the_model_changes(d, k):
    """The rank of the derivatives of covariance and mean, at most that of all covariances."""
    rng = np.random.default_rng(0)
    W, psi = rng.normal(size=(d, k)), rng.uniform(0.5, 2.0, d)
    units = np.eye(d)
    changes = [np.outer(units[i], W[:, j]) + np.outer(W[:, j], units[i]) for i in range(d) for j in range(k)]
    pairs = np.tril_indices(d)

    def rank(noise):
        return np.linalg.matrix_rank(np.array([change[pairs] for change in [*changes, *noise]]), tol=1e-9)

    assert n_factor_parameters(d, k) == rank([np.outer(unit, unit) * v for unit, v in zip(units, psi, strict=True)]) + d
    assert count_parameters(d, k) == rank([np.eye(d)]) + d


def test_floors_and_what_is_on_them():
    assert noise_floor(np.array([1.0, 3.0])) == pytest.approx(2e-12, abs=0.0)
    assert noise_floor(np.zeros(2)) == 1e-12
    # On their floors, with half of the variance or less; nearly without noise; with loadings that hide noise, or not; and
    # next to the floor.
    loadings = np.array([[np.sqrt(1.005e-6)], [np.sqrt(0.995e-6)], [1.0], [10.0], [0.0], [1e-3]])
    noise = np.array([1e-6, 1e-6, 1e-20, 1e-3, 1e-3, 1.005e-6])
    p = LinearGaussian.of(np.zeros(6), loadings, noise)
    heywood, constant = _on_floor(p, np.full(6, 1e-6))
    assert (heywood.tolist(), constant.tolist()) == ([0, 2], [1])


def test_an_unrestricted_gaussian_is_fitted_to_complete_rows_in_one_step():
    X, weight = rows_of_factors(60, 4)
    model = _Model(weight.sum())
    start = Unrestricted(np.full(4, 0.3), 2.0 * np.eye(4) + 0.5)
    statistics = model.expect(start, Table.of(X, weight))
    mean, covariance = np.average(X, axis=0, weights=weight), np.cov(X.T, aweights=weight, bias=True)
    assert model.elbo(statistics) == pytest.approx(
        np.average(stats.multivariate_normal(start.mean, start.covariance).logpdf(X), weights=weight), rel=1e-10
    )
    end = model.maximize(statistics)
    np.testing.assert_allclose(end.mean, mean, rtol=1e-10)
    np.testing.assert_allclose(end.covariance, covariance, rtol=1e-10, atol=1e-12)
    at_end = model.expect(end, Table.of(X, weight))
    terms = model.entropy_sum(end, at_end)
    assert terms.value == pytest.approx(model.elbo(at_end), rel=1e-10)
    assert model.magnitude(end, at_end) == pytest.approx(terms.magnitude + 4, rel=1e-14)
    assert model.log_prior(end, at_end) == 0.0
    again = model.unpack(model.pack(end), start)
    np.testing.assert_allclose(again.mean, end.mean, rtol=1e-12)
    np.testing.assert_allclose(again.covariance, end.covariance, rtol=1e-10, atol=1e-12)
    for largest, refused in ((49.9, False), (50.1, True)):
        wild = model.pack(end)
        wild[4:8] = [largest, 0.0, 0.0, 0.0]
        assert (model.unpack(wild, start) is None) == refused


def test_paths_of_ppca_are_those_of_its_eigenvalues():
    values, d, n = np.array([5.0, 3.0, 1.5, 0.7, 0.3]), 5, 40
    spectrum = Spectrum(values, np.eye(5), 0.0)
    path = entropy_sum_path(spectrum, d, 1e-6)
    expected = []
    for h in range(d):
        logs = np.log(values[:h]).sum() + (d - h) * np.log(values[h:].mean())
        expected.append(-0.5 * (logs + d * np.log(2 * np.pi * np.e)))
    np.testing.assert_allclose(path, expected, rtol=1e-12)
    parameters = [d * h - h * (h - 1) // 2 + 1 + d for h in range(d)]
    np.testing.assert_allclose(bic_path(path, d, n), -2.0 * n * np.array(expected) + np.log(n) * np.array(parameters))
    # Without rows enough the last number of components is that of all eigenvalues.
    assert len(entropy_sum_path(Spectrum(values[:3], np.eye(5)[:, :3], 0.0), d, 1e-6)) == 4


def test_floors_and_scales_of_em_are_those_of_the_variances():
    np.testing.assert_allclose(PPCA(1)._em_floor(np.array([1.0, 3.0])), np.full(2, 2e-9), rtol=1e-12)
    np.testing.assert_allclose(FactorAnalysis(1, noise_floor=1e-5)._em_floor(np.array([1.0, 3.0])), np.full(2, 1e-5))
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 1)) * [1.0, 2.0, 3.0, 4.0] + rng.normal(size=(90, 4))
    single, tied = (model._standardised(model.fit(X)._ready_rows(X)) for model in (FactorAnalysis(1), PPCA(1)))
    np.testing.assert_allclose(single.scale, X.std(axis=0), rtol=1e-10)
    np.testing.assert_allclose(tied.scale, np.full(4, np.sqrt(X.var(axis=0).mean())), rtol=1e-10)
    np.testing.assert_allclose(tied.model.floor, np.full(4, 1e-9), rtol=1e-10)
    np.testing.assert_allclose(tied.model.log_scale, np.log(tied.scale), rtol=1e-12)


@pytest.mark.parametrize("rotation", [None, "oblimin"])
def test_draws_are_made_of_factors_and_noise_in_this_order(load, rotation):
    model = FactorAnalysis(2, rotation=rotation).fit(load("wine"))
    random_state = np.random.RandomState(5)
    z, e = random_state.normal(size=(4, 2)), random_state.normal(size=(4, 13))
    root = np.linalg.cholesky(model.factor_correlation_)
    expected = model.mean_ + z @ root.T @ model.components_ + e * np.sqrt(model.noise_variance_)
    np.testing.assert_allclose(model.sample(4, random_state=5), expected, rtol=1e-10)


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e4])
def test_the_precision_of_nearly_exact_factors_keeps_its_digits_in_any_units(unit):
    W, noise = np.array([[1.0], [0.8], [0.6]]), np.array([1e-10, 0.3, 0.4])
    p = LinearGaussian.of(np.zeros(3), unit * W, unit**2 * noise)
    # By the first feature, which is the factor: the others are regressions on it.
    rest = W[1:, 0]
    expected = np.block(
        [
            [1.0 + rest @ (rest / noise[1:]), -rest / noise[1:]],
            [-(rest / noise[1:])[:, np.newaxis], np.diag(1.0 / noise[1:])],
        ]
    )
    np.testing.assert_allclose(p.precision() * unit**2, expected, rtol=1e-8, atol=1e-8)
