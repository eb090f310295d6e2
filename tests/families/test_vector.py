"""Families of whole rows: directions and compositions, each formula against another one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse, special, stats

from skentropy.families import VonMises, _von_mises_fisher
from skentropy.families._dirichlet import Dirichlet
from skentropy.families._shapes import mean_logarithms, others, shapes_of_mean_logarithms
from skentropy.families._vector import VectorFamily
from skentropy.families._von_mises_fisher import VonMisesFisher, _log_partition_below, _mode_of_angle

# Natural parameters of a few distributions of rows of four.
ETA = {
    VonMisesFisher(): np.array(
        [[3.0, -1.0, 0.5, 2.0], [1e-3, 0.0, 2e-3, 0.0], [40.0, 30.0, 0.0, -20.0], [0.0, 0.0, 900.0, 9.0]]
    ),
    Dirichlet(): np.array(
        [[0.5, 2.0, -0.3, 1.0], [-0.9, -0.5, 0.0, 3.0], [40.0, 30.0, 1.0, 20.0], [0.0, 500.0, 900.0, 9.0]]
    ),
}
every = pytest.mark.parametrize("family", ETA, ids=lambda family: family.name)

# Dimension, concentration, -log C_D and entropy, by mpmath to 50 digits.
NORMALISERS = [
    (2, 0.5, 1.8994267855948268, 1.7781769793044258),
    (2, 1000.0, 997.4651859562788, -2.03468891852547),
    (3, 1e-06, 2.5310242469694573, 2.531024246969124),
    (3, 7.0, 6.891966085824968, 0.8919544444132197),
    (16, 25.0, 13.654183700647993, -4.840802030922221),
    (300, 0.001, -427.6068404956908, -427.60684049902414),
    (300, 120.0, -405.2008526668442, -447.3185385213557),
    (1000, 2500.0, -539.7379129833176, -2589.5708609683056),
    (1000, 10000000.0, 9992867.01836698, -6633.494083059069),
    (5000, 800.0, -14131.396325118178, -14256.278406159658),
]


@pytest.mark.parametrize(("d", "kappa", "log_partition", "entropy"), NORMALISERS)
def test_normalisers_of_directions_against_mpmath(d: int, kappa: float, log_partition: float, entropy: float) -> None:
    family, eta = VonMisesFisher(), kappa * np.eye(d)[0]
    assert family.log_partition(eta) == pytest.approx(log_partition, rel=1e-12)
    assert family.pseudo_entropy(eta) == pytest.approx(entropy, rel=1e-12)
    np.testing.assert_allclose(family.natural(family.mean(eta)), eta, rtol=1e-8, atol=1e-12 * kappa)


def gradient(function: Any, eta: Any, h: Any) -> Any:
    """Central differences of fourth order along each entry."""
    steps = [
        (8.0 * (function(eta + e) - function(eta - e)) - (function(eta + 2 * e) - function(eta - 2 * e))) for e in np.diag(h)
    ]
    return np.stack(steps, axis=-1) / (12.0 * h)


@every
def test_means_and_covariances_are_derivatives(family: VectorFamily) -> None:
    for eta in ETA[family]:
        h = 1e-3 * np.maximum(np.minimum(np.abs(eta), 1.0), 0.05)
        mean = family.mean(eta)
        np.testing.assert_allclose(gradient(family.log_partition, eta, h), mean, rtol=1e-7, atol=1e-9)
        lengths, v, stretch = family.root(eta)
        W = lengths[:, np.newaxis] * (np.eye(4) + stretch * np.outer(v, v))
        covariance = gradient(family.mean, eta, h)
        np.testing.assert_allclose(W.T @ covariance @ W, np.eye(4), atol=1e-6)
        assert family.pseudo_entropy(eta) == pytest.approx(family.log_partition(eta) - eta @ mean, rel=1e-10, abs=1e-10)


@every
def test_all_at_once_are_each_alone(family: VectorFamily) -> None:
    grid = ETA[family].reshape(2, 2, 4)
    for what in ("log_partition", "mean", "pseudo_entropy", "spread", "at_bound"):
        together = getattr(family, what)(grid)
        for i, j in np.ndindex(2, 2):
            np.testing.assert_allclose(together[i, j], getattr(family, what)(grid[i, j]), rtol=1e-12, err_msg=what)
    mean = family.mean(grid)
    np.testing.assert_allclose(family.natural(mean), grid, rtol=1e-8, atol=1e-8)
    again = family.from_standard(family.to_standard(grid[0]))
    np.testing.assert_allclose(again, grid[0], rtol=1e-12, atol=1e-14)
    assert family.in_domain(grid)
    for eta in grid[0]:
        assert (family.divergence(eta, grid[1]) > 0.0).all()
        assert family.divergence(eta, eta) == pytest.approx(0.0, abs=1e-12)
        assert (family.column_divergences(eta, grid[1]) > 0.0).all()
        np.testing.assert_allclose(family.column_divergences(eta, eta), 0.0, atol=1e-12)


@every
def test_draws_have_the_moments_and_the_mean_statistics(family: VectorFamily) -> None:
    n = 400_000
    for eta in ETA[family]:
        X = family.sample(np.tile(eta, (n, 1)), np.random.RandomState(0))
        np.testing.assert_allclose(family.sizes(X), 1.0, rtol=1e-12)
        assert not family.is_outside(X).any()
        assert (family.lower_limit <= X).all()
        means, variances = family.moments(eta)
        error = np.sqrt(variances / n)
        assert (np.abs(X.mean(axis=0) - means) < 5.0 * error).all()
        fourth = ((X - X.mean(axis=0)) ** 4).mean(axis=0)
        assert (np.abs(X.var(axis=0) - variances) < 5.0 * np.sqrt((fourth - variances**2) / n)).all()
        T = family.statistics(X)
        assert (np.abs(T.mean(axis=0) - family.mean(eta)) < 5.0 * T.std(axis=0) / np.sqrt(n)).all()


@pytest.mark.parametrize("kappa", [0.0, 2.0])
def test_many_draws_along_the_mean_direction(kappa: float) -> None:
    """So many that a constant one percent off is seen, and so in the next test."""
    n, along = 1_000_000, np.array([1.0, 0.0, 0.0])
    family = VonMisesFisher()
    W = family.sample(np.tile(kappa * along, (n, 1)), np.random.RandomState(0))[:, 0]
    means, variances = family.moments(kappa * along)
    for draws, mean in ((W, means[0]), (W**2, variances[0] + means[0] ** 2)):
        assert abs(draws.mean() - mean) < 4.0 * draws.std() / np.sqrt(n)


def test_many_draws_of_one_part_beside_a_large_one() -> None:
    n, a = 2_000_000, np.array([1.0, 50.0])
    X = Dirichlet().sample(np.tile(a - 1.0, (n, 1)), np.random.RandomState(0))
    log_ratio, (own, other) = np.log(X[:, 0] / X[:, 1]), special.digamma(a)
    assert abs(log_ratio.mean() - (own - other)) < 4.0 * log_ratio.std() / np.sqrt(n)


def test_draws_of_small_concentrations_are_in_the_corners() -> None:
    X = Dirichlet().sample(np.full((2000, 4), 1e-3 - 1.0), np.random.RandomState(0))
    assert np.mean(X.max(axis=1) > 0.5) > 0.99
    np.testing.assert_allclose(np.bincount(X.argmax(axis=1)) / 2000, 0.25, atol=0.05)


class Opposite(np.random.RandomState):
    """Draws the direction opposite to the mean, in which rounding errors may exceed the sphere."""

    def beta(self, *shapes: Any, size: Any = None) -> Any:
        return np.ones(size)

    def uniform(self, *limits: Any, size: Any = None) -> Any:
        return np.full(size, 1.0 - 1e-12)


@pytest.mark.parametrize(("d", "kappa"), [(2, 2.0), (400, 500.0)])
def test_the_density_of_proposals_is_nowhere_below_that_of_draws(d: int, kappa: float) -> None:
    """At the one place where the densities touch proposals are accepted whatever the uniform number; beside it not."""

    class Scripted(np.random.RandomState):
        rounds = 0

        def beta(self, a: Any, b: Any, size: Any = None) -> Any:
            self.rounds += 1
            beside = np.geomspace(1e-5, 0.1, 50)
            return [0.5 + np.concatenate([-beside, beside]), np.full(size, 0.5), np.full(size, 0.4)][self.rounds - 1]

        def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
            return np.full(size, [0.0, 1e-9, 1.0 - 1e-15][self.rounds - 1])

    eta = np.tile(kappa * np.eye(d)[0], (100, 1))
    cosines = VonMisesFisher().sample(eta, Scripted(0))[:, 0]
    b = (d - 1.0) / (2.0 * kappa + np.sqrt(4.0 * kappa**2 + (d - 1.0) ** 2))
    np.testing.assert_allclose(cosines, (1.0 - b) / (1.0 + b), rtol=1e-9)  # Wood's x_0


def test_draws_opposite_to_the_mean_are_directions() -> None:
    eta = np.linspace(0.01, 3.0, 500)[:, np.newaxis] * np.array([0.6, 0.8])
    np.testing.assert_allclose(VonMisesFisher().sample(eta, Opposite(0)), np.tile([[-0.6, -0.8]], (500, 1)), atol=1e-6)


def test_draws_of_the_uniform_distribution_point_where_the_noise_does() -> None:
    """But for the part along the first axis, which is drawn before."""
    n, d = 20, 5
    X, rng = VonMisesFisher().sample(np.zeros((n, d)), np.random.RandomState(0)), np.random.RandomState(0)
    z = rng.beta(2.0, 2.0, size=n)
    rng.uniform(size=n)
    across = rng.normal(size=(n, d))[:, 1:]
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    np.testing.assert_allclose(X[:, 0], 1.0 - 2.0 * z, atol=1e-14)
    np.testing.assert_allclose(X[:, 1:], 2.0 * np.sqrt(z * (1.0 - z))[:, np.newaxis] * across, rtol=1e-12)


def test_draws_have_length_one_if_the_noise_is_nearly_along_the_mean() -> None:
    class Along(np.random.RandomState):
        def normal(self, *parameters: Any, size: Any = None) -> Any:
            return np.tile([0.6, 0.8 + 1e-9], (size[0], 1))

    X = VonMisesFisher().sample(np.tile([0.6, 0.8], (50, 1)), Along(0))
    np.testing.assert_allclose((X**2).sum(axis=1), 1.0, rtol=1e-14)


@every
def test_a_single_row_is_held_at_the_bound(family: VectorFamily) -> None:
    row = np.array([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1]])
    with np.errstate(all="raise", under="ignore"):
        eta = family.natural(family.statistics(row))
        assert family.at_bound(eta).all()
        assert not family.in_domain(eta)
        assert np.isfinite(family.pseudo_entropy(eta)).all()
        assert np.isfinite(family.log_partition(eta)).all()
    expected = family.statistics(row) if isinstance(family, VonMisesFisher) else row
    np.testing.assert_allclose(family.moments(eta)[0], expected, rtol=1e-6)


def test_directions_agree_with_scipy() -> None:
    family = VonMisesFisher()
    mean, kappa = np.array([0.6, 0.0, 0.8]), 3.0
    peer = stats.vonmises_fisher(mean, kappa)
    X = peer.rvs(50, random_state=np.random.default_rng(0))
    eta = family.from_standard((mean, np.array(kappa)))
    np.testing.assert_allclose(family.statistics(X) @ eta - family.log_partition(eta), peer.logpdf(X), rtol=1e-12)
    assert family.pseudo_entropy(eta) == pytest.approx(peer.entropy(), rel=1e-12)
    angle = np.array([0.3, 2.0, -1.0])
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    eta = 3.0 * np.array([np.cos(1.0), np.sin(1.0)])
    np.testing.assert_allclose(
        circle @ eta - family.log_partition(eta), stats.vonmises.logpdf(angle, 3.0, loc=1.0), rtol=1e-12
    )


# Natural parameters of two distributions, and the divergences of the columns by adaptive quadrature of scipy over the angle
# from the column's axis, with Bessel functions of scipy.special.
COLUMN_DIVERGENCES = [
    ([3.0, 0.0, 0.0], [-20.0, 0.0, 0.0], [30.553001, 1.417662, 1.417662]),
    ([50.0, 0.0, 0.0], [0.0, 50.0, 0.0], [42.103623, 46.635231, 0.0]),
    ([10.0, 0.0, 0.0], [0.0, 10.0, 0.0], [6.645988, 7.485160, 0.0]),
    ([3.0, 1.0], [-20.0, 7.0], [32.417568, 1.939630]),
    ([0.0, 0.0], [5.0, 5.0], [2.650302, 2.650302]),
    ([300.0, 0.0, 0.0], [0.0, 0.001, 600.0], [557.660421, 0.153217, 595.037694]),
    ([0.0, 0.0, 500.0, 0.0], [500.0, 500.0, 0.0, 0.0], [206.587141, 206.587141, 659.199193, 0.033729]),
    ([-1000.0, 5.0, 0.0], [3.0, 40.0, 0.0], [44.681853, 36.672256, 1.125185]),
    ([300.0, 300.0, 0.0], [0.0, 300.0, 300.0], [123.937283, 0.0, 123.944299]),
]


@pytest.mark.parametrize(("eta", "other", "expected"), COLUMN_DIVERGENCES)
def test_divergences_of_columns_against_adaptive_quadrature(eta: Any, other: Any, expected: Any) -> None:
    found = VonMisesFisher().column_divergences(np.array(eta), np.array([other, eta]))
    np.testing.assert_allclose(found, [expected, np.zeros(len(eta))], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("d", [3, 10, 300])
@pytest.mark.parametrize(("a", "b"), [(3.0, 0.0), (-40.0, 0.0), (0.0, 4.0), (0.0, 300.0), (-5.0, 5.0), (0.5, 0.5)])
def test_modes_of_a_columns_angle(d: int, a: float, b: float) -> None:
    """By a fine grid; of b = 0 the slope -a sin(t) + (d - 2) cot(t) is known."""
    angle = np.linspace(0.0, np.pi, 40_001)[1:-1]
    log_density = a * np.cos(angle) + _log_partition_below(d, b * np.sin(angle)) + (d - 2.0) * np.log(np.sin(angle))
    mode, curvature = _mode_of_angle(np.array(a), np.array(b), d)
    assert abs(mode - angle[log_density.argmax()]) < 0.03 / np.sqrt(curvature) + 1e-4
    if b == 0.0:
        np.testing.assert_allclose(a * np.sin(mode) ** 2, (d - 2.0) * np.cos(mode), rtol=1e-12)
    if a == 0.0:
        h = 0.1 / np.sqrt(curvature)
        near = [_log_partition_below(d, b * np.cos(t)) + (d - 2.0) * np.log(np.cos(t)) for t in np.array([0.0, h])]
        np.testing.assert_allclose(2.0 * (near[0] - near[1]) / h**2, curvature, rtol=0.03)


def test_columns_are_integrated_many_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    widths = []

    def integrate(a: Any, *others: Any) -> Any:
        widths.append(a.shape[-1])
        return np.zeros_like(a)

    monkeypatch.setattr(_von_mises_fisher, "_mean_ratio_across", integrate)
    VonMisesFisher().column_divergences(np.ones((2, 40)), np.ones((2, 40)))
    assert widths == [40]


@pytest.mark.parametrize("d", [2, 3, 20, 300])
@pytest.mark.parametrize("kappa", [0.1, 30.0, 1e4, 9e7])
def test_no_column_tells_directions_apart_better_than_all(d: int, kappa: float) -> None:
    family, (x, y) = VonMisesFisher(), np.eye(d)[:2]
    for other in (kappa * y, 0.5 * kappa * (x + y), 0.3 * kappa * x, -kappa * x):
        of_columns, of_rows = family.column_divergences(kappa * x, other), family.divergence(kappa * x, other)
        assert (of_columns <= of_rows * (1.0 + 1e-6)).all()
    # Of opposite directions the first column tells everything.
    assert of_columns[0] == pytest.approx(of_rows, rel=1e-6)


def test_a_uniform_direction_is_an_area() -> None:
    for d in (2, 3, 10, 400):
        log_area = np.log(2.0) + 0.5 * d * np.log(np.pi) - special.gammaln(0.5 * d)
        assert VonMisesFisher().log_partition(np.zeros(d)) == pytest.approx(log_area, rel=1e-12)
    directions, kappa = VonMisesFisher().to_standard(np.zeros((1, 3)))
    np.testing.assert_array_equal(directions, [[1.0, 0.0, 0.0]])
    assert kappa == 0.0


def test_compositions_agree_with_scipy() -> None:
    family = Dirichlet()
    X = np.random.default_rng(0).dirichlet([1.0, 2.0, 3.0], size=20)
    for a in ([0.5, 0.2, 3.0], [1.0, 1.0, 1.0], [300.0, 1e-3, 5.0]):
        eta = np.array(a) - 1.0
        expected = np.array([stats.dirichlet.logpdf(x / x.sum(), a) for x in X])
        np.testing.assert_allclose(family.statistics(X) @ eta - family.log_partition(eta), expected, rtol=1e-10, atol=1e-10)
        assert family.pseudo_entropy(eta) == pytest.approx(stats.dirichlet.entropy(a), rel=1e-11)
        marginals = [stats.beta(own, sum(a) - own) for own in a]
        np.testing.assert_allclose(family.moments(eta), np.transpose([peer.stats("mv") for peer in marginals]), rtol=1e-12)


def test_divergences_of_parts_are_those_of_beta_distributions() -> None:
    of, to = np.array([0.5, 2.0, 7.0]), np.array([1.5, 0.3, 4.0])
    found = Dirichlet().column_divergences(of - 1.0, to - 1.0)
    for own, a, c in zip(found, of, to, strict=True):
        b, d = of.sum() - a, to.sum() - c
        expected = special.betaln(c, d) - special.betaln(a, b) + (a - c) * special.digamma(a)
        expected += (b - d) * special.digamma(b) + (c - a + d - b) * special.digamma(a + b)
        assert own == pytest.approx(expected, rel=1e-10)


@every
@pytest.mark.parametrize("share", [0.25, 1e-5])
def test_negative_entropies_of_smoothed_rows(family: VectorFamily, share: float) -> None:
    T = family.statistics(np.random.default_rng(0).uniform(0.01, 1.0, size=(20, 4)))
    T[0] *= 1.0 - family.takes_sparse  # a row without a direction
    pooled = T.mean(axis=0) * (0.2 if family.takes_sparse else 1.0)
    eta = family.natural((1.0 - share) * T + share * pooled)
    expected = -family.pseudo_entropy(eta)
    np.testing.assert_allclose(family.smoothed_negative_entropy(T, pooled, share), expected, rtol=1e-9)
    if family.takes_sparse:
        found = family.smoothed_negative_entropy(sparse.csr_matrix(T), pooled, share)
        np.testing.assert_allclose(found, expected, rtol=1e-9)


@every
def test_extrapolations_beyond_all_bounds_are_outside(family: VectorFamily) -> None:
    for wild in (1e300, np.inf, np.nan):
        assert not family.in_domain(np.array([1.0, wild, 2.0]))


def test_parameters_are_refused_beyond_their_limits_alone() -> None:
    (low, high), (least, _) = VonMisesFisher.parameter_limits
    for limit in (low, high):  # of the coordinates of unit vectors
        np.testing.assert_allclose(VonMisesFisher().from_standard((np.array([limit, 0.0]), np.array(3.0)))[0], 3.0 * limit)
    assert low < high
    first = np.array([1.0, 0.0])
    assert VonMisesFisher().from_standard((first, np.array(least))).tolist() == [least, 0.0]
    with pytest.raises(ValueError, match="concentrations must be finite, and not negative"):
        VonMisesFisher().from_standard((first, np.array(least - 1e-3)))
    ((least, _),) = Dirichlet.parameter_limits
    assert np.isfinite(Dirichlet().from_standard((np.array([least + 1e-3, 2.0]),))).all()
    with pytest.raises(ValueError, match="positive"):
        Dirichlet().from_standard((np.array([least, 2.0]),))


def test_variances_of_nearly_uniform_directions_differ_along_the_mean() -> None:
    """A' = 1/3 - kappa^2 / 15 and A / kappa = 1/3 - kappa^2 / 45, to the fourth order."""
    kappa = 0.009
    _, variances = VonMisesFisher().moments(np.array([kappa, 0.0, 0.0]))
    np.testing.assert_allclose(variances, 1 / 3 - kappa**2 / np.array([15.0, 45.0, 45.0]), rtol=1e-8)


def test_means_of_no_length_to_speak_of() -> None:
    """The concentration is as many times the length as there are dimensions."""
    np.testing.assert_allclose(VonMises().natural(np.array([[3e-201], [4e-201]])), [[6e-201], [8e-201]], rtol=1e-12)
    for d in (2, 3, 40):
        mean = np.full(d, 1e-201)
        np.testing.assert_allclose(VonMisesFisher().natural(mean), d * mean, rtol=1e-12)
        short = 1e198 * mean
        np.testing.assert_allclose(VonMisesFisher().mean(VonMisesFisher().natural(short)), short, rtol=1e-12)


def test_the_bound_is_one_of_the_sum_of_many_concentrations() -> None:
    a = np.full(1000, 1e5)
    for beyond, held in ((-5.0, False), (5.0, True)):
        assert Dirichlet().at_bound(a * (1.0 - 1e-6 + beyond / 1e8) - 1.0) == held


def test_bounds_and_domains_are_those_of_the_documentation() -> None:
    for family, place in ((VonMisesFisher(), np.array([0.6, -0.8])), (Dirichlet(), np.array([0.3, 0.7]))):
        parameters = (place, np.array(1e8)) if isinstance(family, VonMisesFisher) else (1e8 * place,)
        for share, held in ((0.1, False), (1.0 - 1e-5, False), (1.0 - 1e-7, True)):
            eta = family.from_standard((*parameters[:-1], share * parameters[-1]))
            assert family.at_bound(eta) == held
            assert family.in_domain(eta) != held
        beyond = [(1.0 + share) * parameters[-1] for share in (0.9e-5, 1.1e-5)]
        family.from_standard((*parameters[:-1], beyond[0]))
        with pytest.raises(ValueError, match="must be at most 1e"):
            family.from_standard((*parameters[:-1], beyond[1]))
    np.testing.assert_array_equal(Dirichlet().is_outside(np.array([0.0, 1e-300, 1.0])), [True, False, False])
    assert Dirichlet().in_domain(np.array([-0.999, 5.0]))
    assert not Dirichlet().in_domain(np.array([-1.001, 5.0]))


@every
def test_spread_is_what_the_moments_say(family: VectorFamily) -> None:
    for eta in ETA[family]:
        mean, variance = family.moments(eta)
        directions = isinstance(family, VonMisesFisher)
        expected = 1.0 - np.linalg.norm(mean) if directions else (variance / mean / (1.0 - mean))[0]
        assert family.spread(eta) == pytest.approx(expected, rel=1e-9)


def test_directions_given_to_five_digits_keep_their_concentration() -> None:
    eta = VonMisesFisher().from_standard((np.array([0.600003, 0.8]), np.array(7.0)))
    assert np.linalg.norm(eta) == pytest.approx(7.0, rel=1e-14)
    with pytest.raises(ValueError, match="means must be unit vectors"):
        VonMisesFisher().from_standard((np.array([0.6001, 0.8]), np.array(7.0)))


def test_sizes_do_not_overflow() -> None:
    rows = np.array([[3.0, 4.0], [0.6, 0.8], [2.0, 0.0]])
    for scale in (1e-300, 1e-160, 1.0, 1e200):
        for X in (scale * rows, sparse.csr_matrix(scale * rows)):
            found = VonMisesFisher().statistics(X)
            found = found.toarray() if sparse.issparse(found) else found
            np.testing.assert_allclose(found, [[0.6, 0.8], [0.6, 0.8], [1.0, 0.0]], rtol=1e-14)
            np.testing.assert_allclose(VonMisesFisher().sizes(X), scale * np.array([5.0, 1.0, 2.0]), rtol=1e-14)
        np.testing.assert_allclose(Dirichlet().statistics(scale * rows[:2]), np.log([[3 / 7, 4 / 7]] * 2), rtol=1e-13)


@pytest.mark.parametrize("d", [2, 3, 30])
@pytest.mark.parametrize("size", [1e-4, 1e-2, 1.0, 1e2, 1e5])
def test_shapes_are_found_from_everywhere(d: int, size: float) -> None:
    shapes = size * np.random.default_rng(d).lognormal(sigma=1.5, size=(d, 50)) / d
    again = shapes_of_mean_logarithms(mean_logarithms(shapes))
    np.testing.assert_allclose(again, shapes, rtol=1e-9)
    np.testing.assert_allclose(others(shapes), shapes.sum(axis=0) - shapes, rtol=1e-9)


@pytest.mark.parametrize(("d", "concentration", "n"), [(2, 0.5, 400_000), (30, 30.0, 100_000)])
def test_cosines_of_many_draws_have_their_moments(d: int, concentration: float, n: int) -> None:
    """Of the density exp(kappa w) (1 - w^2)^((d - 3) / 2), by quadrature in the angle."""
    mean = np.eye(d)[0]
    eta = VonMisesFisher().from_standard((mean, np.array(concentration)))
    w = VonMisesFisher().sample(np.broadcast_to(eta, (n, d)), np.random.RandomState(0)) @ mean
    angle = (np.arange(20_000) + 0.5) * np.pi / 20_000
    density = np.exp(concentration * (np.cos(angle) - 1.0)) * np.sin(angle) ** (d - 2)
    moments = [np.average(np.cos(angle) ** k, weights=density) for k in range(1, 5)]
    for k in (1, 2):
        error = np.sqrt((moments[2 * k - 1] - moments[k - 1] ** 2) / n)
        assert abs((w**k).mean() - moments[k - 1]) < 3.5 * error
