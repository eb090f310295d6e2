"""Factor analysis by its profile: single steps, what is tried beside a saddle point, starts, the course that is told."""

import numpy as np
import pytest

from skentropy.decomposition import _profile
from skentropy.decomposition._curvature import curves_upwards, expected_information
from skentropy.decomposition._profile import Profile, ProfileFit, best_profile
from skentropy.decomposition._spectrum import ACCURACY, MatrixCovariance, Spectrum

FALLING = 0.4 ** np.abs(np.subtract.outer(np.arange(4), np.arange(4)))


def correlations(seed, d=8, k=2):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(60, k)) @ rng.normal(size=(k, d)) + rng.normal(size=(60, d)) * rng.uniform(0.3, 2.0, d)
    return np.corrcoef(X.T)


def profile_of(R, k=2, floor=1e-6):
    return Profile(MatrixCovariance(np.zeros(len(R)), R), k, floor)


@pytest.mark.parametrize("start", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("seed", range(4))
def test_a_step_by_the_expected_information(seed, start):
    """No longer than one in log psi, by a hundredth of a unit of information at least, inside the box, if F falls."""
    profile, x = profile_of(correlations(seed)), np.full(8, np.log(start))
    value, gradient, spectrum = profile._at(x)
    information = np.maximum(expected_information(spectrum), 1e-2)
    trial = np.clip(x - np.clip(gradient / information, -1.0, 1.0), np.log(1e-6), 0.0)
    falls = profile._at(trial)[0] < value
    accuracies, spectrum = [], Profile.spectrum
    profile = profile_of(correlations(seed))

    def recorded(x):
        accuracies.append(profile._accuracy)
        return spectrum(profile, x)

    profile.spectrum = recorded
    found = profile._by_expected_information(x, 1e-9, 1)
    steepest = np.abs(profile.projected(x, gradient)).max()
    assert accuracies == [1e-4, pytest.approx(np.clip(1e-4 * steepest, ACCURACY, 1e-4))]
    np.testing.assert_allclose(found, trial if falls else x, rtol=1e-6)
    assert len(profile.history) == falls
    if falls:
        assert profile.history[0] == pytest.approx(-0.5 * profile._at(trial)[0], rel=1e-6)
    # A gradient that is within the tolerance but for one entry is not.
    tolerance = 0.9 * steepest
    assert (np.abs(profile.projected(x, gradient)) < tolerance).any()
    profile.history.clear()
    profile._by_expected_information(x, tolerance, 1)
    assert len(profile.history) == falls


@pytest.mark.parametrize("seed", [12, 44, 59, 66])
def test_the_course_has_the_likelihoods_of_its_steps(seed):
    from tests.decomposition.test_parts import correlations_with_low_uniquenesses

    R, k = correlations_with_low_uniquenesses(seed)
    seen = []

    class Recorded(Profile):
        def hessian(self, x):
            found = super().hessian(x)
            seen.append(-0.5 * found[0])
            return found

        def value_and_gradient(self, x):
            found = super().value_and_gradient(x)
            seen.append(-0.5 * found[0])
            return found

    for start in (0.5, 1e-5):
        profile = Recorded(MatrixCovariance(np.zeros(len(R)), R), k, 1e-8)
        fit = profile.maximize(np.full(len(R), start), gtol=1e-6, max_iter=1000)
        assert len(profile.history) > 1
        assert np.abs(np.subtract.outer(profile.history, seen)).min(axis=1).max() < 1e-9
        assert fit.history[-1] == pytest.approx(fit.log_likelihood, abs=1e-9)
        assert (np.diff(fit.history) >= 0.0).all()


def saddle():
    """Uniquenesses at the symmetric saddle point of one factor of correlations that fall, and a feature without any."""
    R = np.eye(5)
    R[:4, :4] = FALLING
    profile = profile_of(R, k=1)
    x = np.array([0.75, 0.6, 0.6, 0.75, 1.0])
    for _ in range(200):  # EM of the uniquenesses keeps the symmetry
        theta, U = profile._decompose(np.log(x))
        loadings = np.sqrt(x) * U[:, 0] * np.sqrt(max(theta[0], 1.0) - 1.0)
        x = 0.5 * (x + np.clip(1.0 - loadings**2, 1e-6, 1.0))
    return profile, np.log(x)


@pytest.mark.parametrize("exact", [False, True])
def test_a_saddle_point_is_left_only_from_where_it_is(monkeypatch, exact):
    profile, x = saddle()
    value, gradient = profile.value_and_gradient(x)
    assert np.abs(profile.projected(x, gradient)).max() < 1e-6
    away = profile._leave_saddle(x, exact=exact)
    assert profile.value_and_gradient(away)[0] < value - 1e-7
    assert not profile.saddle
    assert profile._leave_saddle(np.append(x[:4] + 1e-3, 0.0), exact=exact) is None
    assert not profile.saddle
    # Steps that are too short to gain anything.
    monkeypatch.setattr(_profile, "_LEAVES", (1e-9,))
    assert profile._leave_saddle(x, exact=exact) is None
    assert profile.saddle


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_the_best_of_eight_points_on_the_line_that_curves_downwards(monkeypatch, seed, exact):
    monkeypatch.setattr(_profile, "_STATIONARY", np.inf)
    rng, profile = np.random.default_rng(seed), profile_of(correlations(seed))
    x = np.log(rng.uniform(0.02, 0.9, 8))
    x[rng.choice(8, 3, replace=False)] = [0.0, 0.0, np.log(1e-6)]
    free = (x > np.log(1e-6)) & (x < 0.0)
    value = profile.value_and_gradient(x)[0]
    values, vectors = np.linalg.eigh(profile.hessian(x)[2][np.ix_(free, free)])
    away = profile._leave_saddle(x, exact=exact)
    if values[0] >= 0.0:
        assert away is None
        return
    along = np.zeros(8)
    along[free] = vectors[:, 0] / np.abs(vectors[:, 0]).max()
    points = [np.clip(x + step * along, np.log(1e-6), 0.0) for step in np.outer([0.03, 0.1, 0.3, 1.0], [1.0, -1.0]).ravel()]
    best = min(points, key=lambda point: profile.value_and_gradient(point)[0])
    assert (away is None) == (profile.value_and_gradient(best)[0] >= value)
    if away is not None:
        np.testing.assert_allclose(away, best, atol=1e-3)


def test_factors_that_explain_nothing_have_no_loadings():
    loadings = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    R = np.outer(loadings, loadings)
    np.fill_diagonal(R, 1.0)
    fit = profile_of(R, 3).maximize(1.0 - loadings**2, gtol=1e-9, max_iter=0)
    np.testing.assert_allclose(np.abs(fit.loadings[:, 0]), loadings, rtol=1e-12)
    np.testing.assert_allclose(fit.loadings[:, 1:], 0.0, atol=1e-6)
    assert fit.converged


def test_of_several_starts_the_best_is_kept(monkeypatch):
    """The first is where the correlations say; the others lie between 0.02 and 0.95."""
    starts, values = [], iter([-3.0, -1.0, -2.0] + [-5.0] * 32)

    def maximize(self, psi, *, gtol, max_iter):
        starts.append(psi)
        return ProfileFit(psi, np.zeros((8, 2)), next(values), 0.0, True, (), False)

    monkeypatch.setattr(Profile, "maximize", maximize)
    covariance = MatrixCovariance(np.zeros(8), correlations(0))
    fit = best_profile(covariance, 2, 1e-6, gtol=1e-6, max_iter=9, n_init=33, random_state=0)
    assert fit.log_likelihood == -1.0
    drawn = np.array(starts[1:])
    assert 0.02 < drawn.min() < 0.03 < 0.85 < drawn.max() < 0.95
    np.testing.assert_allclose(np.median(drawn), np.sqrt(0.02 * 0.95), rtol=0.3)

    class Ends(np.random.RandomState):
        def uniform(self, low, high, size):
            return np.repeat([low, high], size // 2)

    best_profile(covariance, 2, 1e-6, gtol=1e-6, max_iter=9, n_init=2, random_state=Ends())
    np.testing.assert_allclose(starts[-1], np.repeat([0.02, 0.95], 4), rtol=1e-12)


@pytest.mark.parametrize("beyond", [0.1, 0.4, 0.51, 0.7])
@pytest.mark.parametrize("seed", range(4))
def test_what_curves_upwards_is_a_matter_of_the_least_entry(seed, beyond):
    """Entry by entry: ratio_i less the sum of c_j u_ij^2 over the factors; features that are held do not count."""
    rng = np.random.default_rng(seed)
    theta, U = np.array([6.0, 2.5, 1.025, 0.9]), np.linalg.qr(rng.normal(size=(9, 4)))[0]
    free = rng.random(9) < 0.7
    t = max(2.0 * beyond, 1.0)
    lost = np.zeros(9)
    for i in range(9):
        for j in range(3):
            lost[i] += (theta[j] - 1.0) * (theta[j] + t) / (theta[j] - t) * U[i, j] ** 2
    spectrum = Spectrum(theta, U, 0.0, None, beyond)
    for margin, upwards in ((1e-3, True), (1e-9, True), (-1e-9, False)):
        said = curves_upwards(np.where(free, lost + margin, -9.0), spectrum, free)
        assert said == (upwards and t < 1.025)


class Given(Profile):
    """A profile of two features whose F and gradient are given, with an information of one; F falls at each call."""

    def __init__(self, value=None, gradient=None, vectors=None):
        super().__init__(MatrixCovariance(np.zeros(2), np.eye(2)), 1, 1e-8)
        self.calls, self.starts = 0, []
        self.value = value or (lambda x: -float(self.calls))
        self.gradient = gradient or (lambda x: np.zeros(2))
        self.vectors = np.zeros((2, 1)) if vectors is None else vectors

    def value_and_gradient(self, x):
        return self._at(x)[:2]

    def _at(self, x):
        value, gradient = self.value(x), self.gradient(x)
        self.calls += 1
        return value, gradient, Spectrum(np.array([2.0]), self.vectors, 0.0)

    def hessian(self, x):
        return *self.value_and_gradient(x), np.eye(2)


LOWER = np.log(1e-8)


@pytest.mark.parametrize("lift", [4.0, 8.0, 12.0])
def test_a_uniqueness_on_the_floor_is_lifted_by_the_best_of_three(lift):
    profile = Given(lambda x: (x[0] - LOWER - lift) ** 2)
    found = profile._lift(np.array([LOWER, -1.0]), lift**2, np.array([-1.0, 0.0]))
    np.testing.assert_allclose(found, [LOWER + lift, -1.0])


@pytest.mark.parametrize(
    ("above", "gradient", "gain", "lifted"),
    [
        (0.0, -1.0, 2e-11, True),
        (0.0, -1.0, 0.5e-11, False),
        (0.0, 0.005, 2e-11, False),
        (6.97, -1.0, 2e-11, True),
        (7.03, -1.0, 2e-11, False),
    ],
)
def test_what_rises_next_to_the_floor_is_lifted_if_that_gains_something(above, gradient, gain, lifted):
    found = Given(lambda x: -gain)._lift(np.array([LOWER + above, -1.0]), 0.0, np.array([gradient, 0.0]))
    assert (found is not None) == lifted


@pytest.mark.parametrize(
    ("psi", "gradient", "step", "tried"),
    [
        (0.0498, 0.005, -0.3015, True),
        (0.0502, 0.005, -0.3015, False),
        (0.0498, 0.005, -0.2985, False),
        (0.0498, -0.005, -0.3015, False),
        (1e-8 * np.exp(6.97), 0.005, 0.0, True),
        (1e-8 * np.exp(7.03), 0.005, 0.0, False),
    ],
)
def test_newtons_method_tries_what_is_low_on_the_floor_where_it_falls_fast_or_is_near(psi, gradient, step, tried):
    (found,) = Given()._goes_to_floor(np.array([np.log(psi)]), np.array([gradient]), np.array([step]))
    assert found == tried


@pytest.mark.parametrize(
    ("psi", "gradient", "tried"), [(0.0498, 0.1005, True), (0.0502, 0.1005, False), (0.0498, 0.0995, False)]
)
def test_other_searches_try_what_is_low_on_the_floor_where_it_is_not_flat(psi, gradient, tried):
    """By a tenth of its expected information."""
    profile = Given(gradient=lambda x: np.array([gradient, 1.0]))
    profile._quasi_newton = lambda x, gtol, max_iter: profile.starts.append(x) or x
    profile._try_floor(np.log([psi, 0.5]), 1e-6, 9)
    assert len(profile.starts) == tried
    if tried:
        np.testing.assert_allclose(profile.starts[0], np.log([1e-8, 0.5]))


@pytest.mark.parametrize("length", [0.03, 0.1, 0.3, 1.0])
def test_a_saddle_point_is_left_by_the_best_of_four_steps(length):
    """In the direction that curves downwards, which is that of the first feature here; inside the box."""
    for start, distance in ((-2.0, length), (-0.5 * length, 0.5 * length)):
        x = np.array([start, -1.0])
        profile = Given(lambda at, x=x, start=start: abs(abs(at[0] - start) - length) + (at[0] < x[0]))
        profile.hessian = lambda at: (0.0, np.zeros(2), np.diag([-1.0, 1.0]))
        np.testing.assert_allclose(profile._leave_saddle(x, exact=True) - x, [distance, 0.0], atol=1e-12)


@pytest.mark.parametrize("seed", [12, 17, 20, 26])
def test_a_step_of_newtons_method_is_halved_until_f_falls(seed):
    profile, x = profile_of(correlations(seed)), np.log(np.random.default_rng(seed).uniform(0.1, 0.9, 8))
    value, gradient, hessian = profile.hessian(x)
    curvature, directions = np.linalg.eigh(hessian)
    step = -directions @ (directions.T @ gradient / np.abs(curvature))
    points = [np.clip(x + step / 2**halving, np.log(1e-6), 0.0) for halving in range(12)]
    expected = next(point for point in points if profile.hessian(point)[0] <= value)
    np.testing.assert_allclose(profile._newton(x, 1e-9, 1), expected, rtol=1e-9)


def test_newtons_method_ends_after_five_steps_that_gain_nothing():
    """They are within the tolerance, which the first one here is not yet: the gradient shrinks by a tenth each time."""
    profile = Given(lambda x: 5.0, lambda x: np.array([0.0, 2.4e-6 * 0.9**profile.calls]))
    profile._newton(np.full(2, -1.0), 1e-6, 99)
    assert len(profile.history) == 6


def test_newtons_method_ends_where_neither_f_nor_its_gradient_falls():
    profile, x = Given(lambda x: 5.0, lambda x: np.array([0.0, 0.1])), np.full(2, -1.0)
    assert profile._newton(x, 1e-6, 99) is x
    assert not profile.history


@pytest.mark.parametrize(("share", "n_steps"), [(0.000995, 1), (0.001005, 2)])
def test_newtons_method_ends_with_a_gradient_of_a_thousandth_of_the_tolerance(share, n_steps):
    profile = Given(gradient=lambda x: np.array([0.0, 2e-6 * (share if profile.calls else 1.0)]))
    profile._newton(np.full(2, -1.0), 1e-6, 2)
    assert len(profile.history) == n_steps


@pytest.mark.parametrize(("share", "moves"), [(1.005, False), (0.995, True)])
def test_the_quasi_newton_method_moves_only_outside_the_tolerance(share, moves):
    profile, x = profile_of(correlations(0)), np.full(8, np.log(0.5))
    steepest = np.abs(profile.projected(x, profile.value_and_gradient(x)[1])).max()
    profile._quasi_newton(x, share * steepest, 1)
    assert len(profile.history) == moves


@pytest.mark.parametrize(("rate", "n_steps"), [(0.2985, 2), (0.3015, 1)])
def test_steps_by_the_expected_information_go_on_while_the_gradient_falls_fast(rate, n_steps):
    """By seven tenths each time."""
    profile = Given(gradient=lambda x: np.array([rate**profile.calls, 0.0]))
    profile._by_expected_information(np.full(2, -1.0), 1e-9, 2)
    assert len(profile.history) == n_steps


def test_no_step_uses_less_information_than_a_hundredth():
    vectors = np.sqrt(1.0 - np.sqrt([[0.005], [0.5]]))
    profile = Given(gradient=lambda x: np.array([0.002, 0.002]), vectors=vectors)
    found = profile._by_expected_information(np.full(2, -1.0), 1e-9, 1)
    np.testing.assert_allclose(found, [-1.2, -1.004], rtol=1e-12)
