"""``check_family`` passes what is right, also far from order one, and notices what is wrong by 1%."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from scipy import stats

from skentropy.families import (
    Beta,
    Binomial,
    Categorical,
    Exponential,
    ExponentialFamily,
    Gamma,
    Gaussian,
    InverseGaussian,
    LogNormal,
    NegativeBinomial,
    Poisson,
    VonMises,
    check_family,
    get_family,
)
from skentropy.families._nodes import _coordinates, _edge, _end, _upper_limit, nodes
from tests.common.cases import CASES


@pytest.mark.parametrize(
    ("family", "parameters"),
    [
        (Poisson(), ([1e-6, 5000.0],)),
        (Binomial(n_trials=1000), ([1e-4, 0.5, 0.999],)),
        (NegativeBinomial(r=0.1), ([0.01, 0.999],)),
        (NegativeBinomial(r=1e4), ([0.01, 0.5],)),
        (Categorical(n_categories=3), ([[0.98, 0.01, 0.01], [0.2, 0.3, 0.5]],)),
        (Exponential(), ([1e-9, 1e9],)),
        (Gaussian(), ([5.0, -1e3, 0.0], [1e-6, 1.0, 1e6])),
        (LogNormal(), ([100.0, 0.0], [1.0, 1e-4])),
        (Gamma(), ([0.1, 1e4], [3.0, 1e-3])),
        (Beta(), ([0.7, 2e4], [40.0, 1e3])),
        (InverseGaussian(), ([1e-4, 50.0], [100.0, 5.0])),
        (VonMises(), ([3.1, -3.1, 7.0], [1e-3, 2e3, 40.0])),
    ],
    ids=lambda value: repr(value) if isinstance(value, ExponentialFamily) else "",
)
def test_it_passes_far_from_order_one(family: ExponentialFamily, parameters: tuple[Any, ...]) -> None:
    errors = check_family(family, tuple(np.array(values) for values in parameters))
    assert max(errors.values()) < 1e-7


class Rayleigh(ExponentialFamily):
    """p(x) = x / v exp(-x^2 / (2 v)): a user's own family, whose parameter can be multiplied by a power of itself."""

    name = "rayleigh"
    parameter_names = ("scale_squared",)
    support = "positive values"
    lower_limit = 0.0
    discrete = False
    constant_base_measure = False
    base_measure_degree = 1.0
    equivariance = "scale"

    def sufficient_statistics(self, X: Any) -> tuple[Any, ...]:
        return (X**2,)

    def log_partition(self, eta: Any) -> Any:
        return -np.log(-2 * eta[0])

    def mean(self, eta: Any) -> Any:
        return -1 / eta

    def covariance(self, eta: Any) -> Any:
        return (1 / eta**2)[np.newaxis]

    def natural(self, mean: Any) -> Any:
        return -1 / mean

    def to_standard(self, eta: Any) -> tuple[Any, ...]:
        return (-0.5 / eta[0],)

    def from_standard(self, *parameters: Any) -> Any:
        return -0.5 / np.asarray(parameters[0])[np.newaxis]

    def moments(self, eta: Any) -> tuple[Any, Any]:
        v = -0.5 / eta[0]
        return np.sqrt(v * np.pi / 2), (2 - np.pi / 2) * v

    def sample(self, eta: Any, random_state: Any, exposure: Any = None) -> Any:
        return random_state.rayleigh(np.sqrt(-0.5 / eta[0]))

    def in_support(self, X: Any, exposure: Any = 1.0) -> Any:
        return (X > 0) & (np.inf > X)

    def log_base_measure(self, X: Any, exposure: Any = 1.0) -> Any:
        return np.log(X)

    def expected_log_base_measure(self, eta: Any) -> Any:
        return 0.5 * (np.log(-1 / eta[0]) - np.euler_gamma)

    def rescale(self, parameters: Any, location: Any, scale: Any) -> Any:
        return (scale**2 * parameters[0],)


class Pareto(Rayleigh):
    """p(x) = a / x^(a + 1) for x > 1: a support that starts with a jump, away from zero."""

    parameter_names = ("shape",)
    lower_limit = 1.0
    constant_base_measure = True
    equivariance = "none"

    def sufficient_statistics(self, X: Any) -> tuple[Any, ...]:
        return (np.log(X),)

    def log_partition(self, eta: Any) -> Any:
        return -np.log(-eta[0] - 1)

    def mean(self, eta: Any) -> Any:
        return -1 / (eta + 1)

    def covariance(self, eta: Any) -> Any:
        return (1 / (eta + 1) ** 2)[np.newaxis]

    def natural(self, mean: Any) -> Any:
        return -1 - 1 / np.maximum(mean, 1e-10)

    def to_standard(self, eta: Any) -> tuple[Any, ...]:
        return (-eta[0] - 1,)

    def from_standard(self, *parameters: Any) -> Any:
        return -1 - np.asarray(parameters[0])[np.newaxis]

    def moments(self, eta: Any) -> tuple[Any, Any]:
        a = -eta[0] - 1
        return a / (a - 1), a / ((a - 1) ** 2 * (a - 2))

    def sample(self, eta: Any, random_state: Any, exposure: Any = None) -> Any:
        return np.maximum(np.exp(random_state.exponential(-1 / (eta[0] + 1))), np.nextafter(1.0, 2.0))

    def in_support(self, X: Any, exposure: Any = 1.0) -> Any:
        return (X > 1) & (np.inf > X)

    def log_base_measure(self, X: Any, exposure: Any = 1.0) -> Any:
        return np.zeros(np.shape(X))

    def expected_log_base_measure(self, eta: Any) -> Any:
        return np.zeros(eta.shape[1:])


def test_a_users_own_families_pass() -> None:
    assert max(check_family(Rayleigh()).values()) < 1e-8
    assert max(check_family(Rayleigh(), (np.array([1e-8, 1e8]),)).values()) < 1e-8
    assert max(check_family(Pareto(), (np.array([9.0, 30.0]),)).values()) < 1e-7


def _method(name: str, wrong: Any) -> ExponentialFamily:
    """A Rayleigh family with one method replaced: it gets the right value, and the arguments."""

    def method(self: Any, *arguments: Any, **keywords: Any) -> Any:
        return wrong(getattr(Rayleigh, name)(self, *arguments, **keywords), *arguments)

    return type("Broken", (Rayleigh,), {name: method})()


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("log_partition", lambda A, eta: 1.01 * A, "total probability"),
        ("log_partition", lambda A, eta: A + 0.01, "total probability"),
        ("log_partition", lambda A, eta: A.sum(), "log_partition has shape"),
        ("log_partition", lambda A, eta: A + np.arange(A.size).reshape(A.shape), "log_partition is not elementwise"),
        ("log_base_measure", lambda h, X, s=1.0: 1.01 * h, "total probability"),
        ("mean", lambda m, eta: 1.01 * m, r"mean as E\[T\]"),
        ("covariance", lambda covariance, eta: 1.01 * covariance, "covariance as that of T"),
        ("natural", lambda eta, m: 1.01 * eta, "natural"),
        ("natural", lambda eta, m: np.where(m < 1e-2, np.nan, eta), "single value"),
        ("to_standard", lambda theta, eta: (1.01 * theta[0],), "to_standard"),
        ("to_standard", lambda theta, eta: (*theta, *theta), "shorter|to_standard returns 2"),
        ("from_standard", lambda eta, theta: 1.01 * eta, "to_standard"),
        ("moments", lambda moments, eta: (1.01 * moments[0], moments[1]), "moments"),
        ("moments", lambda moments, eta: (moments[0], 1.01 * moments[1]), "variance of moments"),
        ("moments", lambda moments, eta: (np.inf * moments[0], moments[1]), "not finite here; the second argument takes"),
        ("expected_log_base_measure", lambda h, eta: h + 0.01, "entropy"),
        ("pseudo_entropy", lambda H, eta: 1.01 * H, "pseudo_entropy"),
        ("sample", lambda x, *_: 1.01 * x, "standard errors"),
        ("sample", lambda x, *_: -x, "outside the support"),
        ("in_support", lambda inside, X, s=1.0: X > 0, "infinite"),
        ("in_support", lambda inside, X, s=1.0: np.isfinite(X), "in_support takes values below lower_limit = 0"),
        ("sufficient_statistics", lambda T, X: T[0], "ndarray.*, not a tuple of arrays"),
        ("sufficient_statistics", lambda T, X: (T[0].astype(np.float64),), "float32"),
        ("rescale", lambda theta, *_: (1.01 * theta[0],), "rescaled"),
    ],
)
def test_it_notices(name: str, wrong: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_family(_method(name, wrong))


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("constant_base_measure", True, "log_base_measure"),
        ("base_measure_degree", 1.01, "base_measure_degree"),
        ("lower_limit", 0.5, "lower_limit"),
        ("upper_limit", 0.5, "upper_limit is 0.5, and a mean parameter is"),
        ("parameter_limits", ((0.0, 0.5),), "not within its parameter_limits"),
        ("additive", True, "exposure"),
        ("moments", None, "moments is None, not a method"),
    ],
)
def test_it_notices_a_wrong_claim(attribute: str, value: object, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_family(type("Broken", (Rayleigh,), {attribute: value})())


def test_it_notices_a_support_that_begins_above_the_lower_limit() -> None:
    """Integrals over such a jump are not exact enough to notice wrong formulas."""
    broken = type("Broken", (Pareto,), {"lower_limit": 0.0})
    with pytest.raises(AssertionError, match=r"ends abruptly at 1 or .*; check lower_limit and in_support"):
        check_family(broken(), (np.array([9.0, 30.0]),))

    class Late(Exponential):
        """On the scale of logarithms the density rises where it begins."""

        def in_support(self, X: Any, exposure: Any = 1.0) -> Any:
            return (X > 1.0) & (np.inf > X)

    assert nodes(Late(), np.array([-0.5]), 1.0 + np.random.RandomState(0).exponential(2.0, 1000))[2] == np.inf


@pytest.mark.parametrize("attribute", ["name", "parameter_names", "support", "lower_limit", "discrete"])
def test_it_demands_what_every_family_states(attribute: str) -> None:
    stated = {name: value for name, value in vars(Rayleigh).items() if name not in (attribute, "__dict__", "__weakref__")}
    with pytest.raises(AssertionError, match=f"^Silent: the attribute {attribute} is missing; it is "):
        check_family(type("Silent", (ExponentialFamily,), stated)())


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("name", 3, "name is 3, not a string"),
        ("parameter_names", "rate", "parameter_names is 'rate', not a tuple"),
        ("parameter_names", (), r"parameter_names are \(\)"),
        ("parameter_names", (1,), r"parameter_names are \(1,\)"),
        ("parameter_limits", ((0.0, 1.0), (0.0, 1.0)), "2 entries for 1 parameters"),
        ("lower_limit", "zero", "lower_limit is 'zero', not a number"),
        ("discrete", "no", "discrete is 'no', not True"),
        ("equivariance", "shift", "equivariance is 'shift', none of"),
    ],
)
def test_it_notices_attributes_of_other_kinds(attribute: str, value: object, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_family(type("Broken", (Rayleigh,), {attribute: value})())


@pytest.mark.parametrize("name", ["log_prob", "entropy", "pseudo_entropy", "divergence"])
def test_it_notices_what_is_overridden_though_it_follows(name: str) -> None:
    with pytest.raises(AssertionError, match=f"Broken: {name} follows from the other methods"):
        check_family(_method(name, lambda value, *_: value))


def test_help_shows_what_a_family_states() -> None:
    section = inspect.getdoc(ExponentialFamily).split("Attributes\n----------\n")[1].split("\n\n")[0]
    documented = re.findall(r"^(\w+) : ", section, flags=re.MULTILINE)
    assert documented == list(ExponentialFamily.__annotations__)


class Quantile(Rayleigh):
    """The scale of a Rayleigh distribution as 1 + (theta - 0.8)^3, whose derivative is zero at 0.8."""

    equivariance = "none"

    def to_standard(self, eta: Any) -> tuple[Any, ...]:
        return (0.8 + np.cbrt(-0.5 / eta[0] - 1),)

    def from_standard(self, *parameters: Any) -> Any:
        return -0.5 / (1 + (np.asarray(parameters[0])[np.newaxis] - 0.8) ** 3)


def test_it_notices_a_jacobian_that_is_singular_at_one_point() -> None:
    assert check_family(Quantile(), (np.array([0.5, 1.2]),))
    with pytest.raises(AssertionError, match="Jacobian of eta is singular"):
        check_family(Quantile(), (np.array([0.5, 0.8]),))


class OneParameter(Gaussian):
    """A Gaussian whose mean is given or follows from the variance: two statistics, one parameter."""

    parameter_names = ("variance",)
    parameter_limits = ((0.0, np.inf),)
    equivariance = "none"

    def __init__(self, mean_is_twice_the_variance: bool) -> None:
        self.mean_is_twice_the_variance = mean_is_twice_the_variance

    @property
    def n_statistics(self) -> int:
        return 2

    def log_partition(self, eta: Any) -> Any:
        return Gaussian().log_partition(eta)

    def mean(self, eta: Any) -> Any:
        return Gaussian().mean(eta)

    def moments(self, eta: Any) -> Any:
        return Gaussian().moments(eta)

    def sample(self, eta: Any, random_state: Any, exposure: Any = None) -> Any:
        return Gaussian().sample(eta, random_state)

    def to_standard(self, eta: Any) -> tuple[Any, ...]:
        return (-0.5 / eta[1],)

    def from_standard(self, *parameters: Any) -> Any:
        variance = np.asarray(parameters[0])
        mean = 2.0 * variance if self.mean_is_twice_the_variance else 2.0
        return Gaussian().from_standard(mean, variance)


def test_with_fewer_parameters_than_statistics_eta_must_be_a_multiple_of_its_derivative() -> None:
    assert check_family(OneParameter(mean_is_twice_the_variance=False), (np.array([0.5, 1.0]),))
    # eta = (2, -1/(2 v)) and its derivative (0, 1/(2 v^2)): no beta.
    with pytest.raises(AssertionError, match="eta = J beta"):
        check_family(OneParameter(mean_is_twice_the_variance=True), (np.array([0.5, 1.0]),))


def test_it_notices_statistics_that_are_not_zero_at_zero() -> None:
    with pytest.raises(AssertionError, match=r"T\(0\)"):
        check_family(type("Broken", (Categorical,), {"zero_statistics": True})(3))


def test_it_notices_sampling_that_ignores_the_exposure() -> None:
    class Broken(Poisson):
        def sample(self, eta: Any, random_state: Any, exposure: Any = None) -> Any:
            return super().sample(eta, random_state)

    with pytest.raises(AssertionError, match="standard errors"):
        check_family(Broken())


def test_it_notices_statistics_that_drop_stored_zeros() -> None:
    class Broken(Gaussian):
        def sufficient_statistics(self, X: Any) -> tuple[Any, ...]:
            return (X, X.multiply(X).tocsr()) if hasattr(X, "multiply") else super().sufficient_statistics(X)

    with pytest.raises(AssertionError, match="structure"):
        check_family(Broken())


def test_it_notices_under_optimisation_too() -> None:
    script = """
from skentropy.families import Poisson, check_family

class Broken(Poisson):
    def mean(self, eta):
        return 1.01 * super().mean(eta)

check_family(Broken())
"""
    result = subprocess.run([sys.executable, "-O", "-c", script], capture_output=True, text=True, check=False)
    assert "AssertionError: Broken() at rate" in result.stderr


# Sums and integrals over the support.


@pytest.mark.parametrize("family", [case.family for name, case in CASES.items() if name != "categorical"], ids=repr)
@pytest.mark.parametrize("parameters", [(0.8, 0.7), (0.05, 0.4), (0.95, 0.5)])
def test_nodes_hold_all_of_the_probability(family: Any, parameters: tuple[float, float]) -> None:
    eta = family.from_standard(*parameters[: len(family.parameter_names)])
    many = np.broadcast_to(eta[:, np.newaxis], (len(eta), 1000))
    draws = family.sample(many, np.random.RandomState(0)).astype(float)
    x, counts, lost = nodes(family, eta, draws)
    assert family.in_support(x).all()
    log_p = family.log_prob(x, eta[:, np.newaxis])
    p = counts * np.exp(log_p)
    assert p.sum() + lost == pytest.approx(1.0, abs=1e-9 + 0.5 * lost)
    mean, variance = family.moments(eta)
    if family.circular:
        assert p @ np.exp(1j * x) == pytest.approx((1.0 - 0.5 * variance) * np.exp(1j * mean), rel=1e-12)
        return
    assert p @ x == pytest.approx(mean, rel=1e-6 + 2.0 * lost)
    assert p @ (x - mean) ** 2 == pytest.approx(variance, rel=1e-6 + 10.0 * lost)
    # Nothing of weight is beyond the ends, unless the support ends there or doubles do.
    if np.isinf(family.lower_limit):
        assert log_p[0] < log_p.max() - 90
    if not family.in_support(np.array([x[-1] + 1.0])).all():
        return
    assert log_p[-1] < log_p.max() - 90


@pytest.mark.parametrize(("low", "high"), [(2.0, 7.0), (-3.0, -2.5), (-1.0, 4.0)])
def test_nodes_of_supports_that_begin_elsewhere(low: float, high: float) -> None:
    class Moved(Beta):
        lower_limit = low

        def sufficient_statistics(self, X: Any) -> Any:
            return super().sufficient_statistics((X - low) / (high - low))

        def log_base_measure(self, X: Any, exposure: Any = 1.0) -> Any:
            return np.full(np.shape(X), -np.log(high - low))

        def in_support(self, X: Any, exposure: Any = 1.0) -> Any:
            return (low < X) & (high > X)

    family = Moved()
    eta = family.from_standard(2.0, 3.0)
    draws = low + (high - low) * np.random.RandomState(0).beta(2.0, 3.0, 1000)
    x, counts, lost = nodes(family, eta, draws)
    p = counts * np.exp(family.log_prob(x, eta[:, np.newaxis]))
    assert len(x) > 1000
    assert p.sum() == pytest.approx(1.0, abs=1e-12)
    assert lost < 1e-12
    assert p @ x == pytest.approx(low + 0.4 * (high - low), rel=1e-12)

    class Later(Exponential):
        lower_limit = low

        def sufficient_statistics(self, X: Any) -> Any:
            return super().sufficient_statistics(X - low)

        def in_support(self, X: Any, exposure: Any = 1.0) -> Any:
            return (low < X) & (np.inf > X)

    x, counts, lost = nodes(Later(), np.array([-0.5]), low + np.random.RandomState(0).exponential(2.0, 1000))
    p = counts * np.exp(Later().log_prob(x, np.array([[-0.5]])))
    assert p.sum() + lost == pytest.approx(1.0, abs=1e-9)
    assert p @ x == pytest.approx(low + 2.0, abs=1e-9)


def test_end_of_a_density_is_where_it_is_negligible() -> None:
    def log_normal(t: Any) -> Any:
        return -0.5 * t**2

    def exponential(t: Any) -> Any:
        return np.where(t < 0, -np.inf, -2.0 * t)

    for step in (0.5, -0.5):
        end, lost = _end(log_normal, 3.0 * step, step, 0.001, -50.0)
        assert lost == 0.0
        assert 10.0 <= abs(end) <= 10.5
    # Where it stops before: the tail at the last place, on the assumption that it decays as it did so far.
    end, lost = _end(exponential, 1.0, -0.25, 0.001, -50.0)
    assert 0.0 <= end <= 0.25 * 2**-8
    assert lost == np.inf  # it does not decay

    def cut(t: Any) -> Any:
        return np.where(t > 1.0, -np.inf, -2.0 * t)

    end, lost = _end(cut, 0.0, 0.25, 1e-6, -50.0)
    assert end == pytest.approx(1.0, abs=1e-5)
    assert lost == pytest.approx(np.exp(-2.0) / 2.0, rel=1e-4)
    # Where it is negligible before it ends, within one step, nothing is lost.
    end, lost = _end(lambda t: np.where(t > 20.0, -np.inf, log_normal(t)), 0.0, 30.0, 1e-6, -50.0)
    assert end == pytest.approx(10.0, abs=1e-5)
    assert lost == 0.0


@pytest.mark.parametrize(("reach", "end"), [(14.1, 1.5 * 14.1), (14.18, 14.18), (15.0, 15.0)])
def test_nodes_go_on_from_the_draws_while_the_density_is_not_negligible(reach: float, end: float) -> None:
    """By a quarter of the range of the draws, as long as it is more than e^-100 of its largest value at a draw."""
    family = Gaussian()
    x, counts, lost = nodes(family, family.from_standard(0.0, 1.0), np.array([-reach, 0.0, 2.0, reach]))
    np.testing.assert_allclose(x, np.linspace(-end, end, 8000), rtol=1e-12)
    np.testing.assert_allclose(counts, 2.0 * end / 7999, rtol=1e-12)
    assert lost == 0.0


@pytest.mark.parametrize("draws", [[0], [3, 3], [5, 6], [2, 9], [0, 4, 9]])
def test_nodes_of_counts_are_whole_and_all_there_are(draws: list[int]) -> None:
    line = np.array(draws, dtype=float)
    for family, eta in (
        (Categorical(10), np.full(10, -np.log(10.0))),
        (Binomial(9), np.array([0.3])),
        (Poisson(), np.array([0.5])),
    ):
        x, counts, lost = nodes(family, eta, line)
        np.testing.assert_array_equal(x, np.arange(len(x)))
        np.testing.assert_array_equal(counts, 1.0)
        assert lost == 0.0
        if family != Poisson():
            assert len(x) == 10
        else:
            assert family.log_prob(x[-1:], eta)[0] < family.log_prob(line, eta).max() - 100.0


@pytest.mark.parametrize("b", [0.3, 0.5, 0.9])
def test_nodes_reach_the_last_number_of_the_support(b: float) -> None:
    """That of 1 / (1 + exp(-t)); what lies beyond, within half a unit of one, is known roughly."""
    family = Beta()
    x, _, lost = nodes(family, family.from_standard(0.8, b), np.random.RandomState(0).beta(0.8, b, 1000))
    assert x[-1] == pytest.approx(1.0 - 2.0**-52, abs=2.0**-52, rel=0)
    assert x[-1] < 1.0
    assert lost == pytest.approx(stats.beta(b, 0.8).cdf(2.0**-53), rel=0.5)


@pytest.mark.parametrize(
    ("family", "x"),
    [
        (Gaussian(), [-3.0, 0.5]),
        (Gamma(), [1e-9, 7.0]),
        (Pareto(), [1.5, 9.0]),
        (Beta(), [1e-9, 0.7]),
        (Poisson(), [0.0, 7.0]),
    ],
    ids=repr,
)
def test_supports_are_mapped_to_the_line_and_back(family: ExponentialFamily, x: list[float]) -> None:
    to_line, from_line, slope = _coordinates(family, np.array(x))
    t = to_line(np.array(x))
    np.testing.assert_allclose(from_line(t), x, rtol=1e-12)
    np.testing.assert_allclose(slope(t), (from_line(t + 1e-5) - from_line(t - 1e-5)) / 2e-5, rtol=1e-6)


def test_edges_are_found_to_the_tolerance() -> None:
    assert _edge(lambda x: x < 1.0, 0.0, 3.0, 0.5) == (0.75, 1.125)
    assert _edge(lambda x: x > -1.0, 0.0, -3.0, 0.5) == (-0.75, -1.125)
    assert _edge(lambda x: x < 1.0, -3.0, 3.0, 6.0) == (-3.0, 3.0)
    assert _edge(lambda x: x < 1.0, 0.0, 1e100, 0.0) == (np.nextafter(1.0, 0.0), 1.0)


@pytest.mark.parametrize(("limit", "largest"), [(1.0, 0.9), (7.0, 6.5), (1000.0, 3.0)])
def test_upper_limit_is_found(limit: float, largest: float) -> None:
    class Bounded(type(get_family("beta"))):  # type: ignore[misc]
        def in_support(self, X: Any, exposure: Any = 1.0) -> Any:
            return (X > 0) & (limit > X)

    assert _upper_limit(Bounded(), np.array([0.1, largest])) == limit
    assert _upper_limit(get_family("gamma"), np.array([0.1, largest])) == np.inf


class Wrapped(VonMises):
    """The same angles by other standard parameters."""

    parameter_names = ("concentration", "mean")
    parameter_limits = ((0.0, np.inf), (-np.inf, np.inf))

    def to_standard(self, eta: Any) -> tuple[Any, ...]:
        return super().to_standard(eta)[::-1]

    def from_standard(self, *parameters: Any) -> Any:
        return super().from_standard(*parameters[::-1])

    def moments(self, eta: Any) -> tuple[Any, Any]:
        return VonMises().moments(eta)

    def sample(self, eta: Any, random_state: Any, exposure: Any = None) -> Any:
        return VonMises().sample(eta, random_state)

    def stable_log_prob(self, X: Any, parameters: tuple[Any, ...]) -> Any:
        return super().stable_log_prob(X, parameters[::-1])


class Averaged(VonMises):
    """Angles whose predictions are arithmetic means."""

    def predict(self, eta: Any, weights: Any) -> Any:
        return weights.T @ self.moments(eta)[0]


def test_angles_have_their_direction_first_and_are_averaged_as_directions() -> None:
    with pytest.raises(AssertionError, match="the first of parameter_names, 'concentration', is not the direction"):
        check_family(Wrapped())
    with pytest.raises(AssertionError, match="predict returns no mean directions"):
        check_family(Averaged())


def test_every_family_of_angles_predicts_directions() -> None:
    """A family of one's own that says no more than that its values are angles."""
    family = type("Angles", (VonMises,), {})()
    assert "predict" not in vars(VonMises)
    eta = family.from_standard(np.array([[3.0], [-3.0]]), np.array([[50.0], [50.0]]))
    predicted = family.predict(eta, np.array([[0.5, 1.0], [0.5, 0.0]]))
    np.testing.assert_allclose(np.cos(predicted), np.cos([[np.pi], [3.0]]), rtol=1e-12)
