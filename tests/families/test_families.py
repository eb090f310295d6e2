"""Every family, by the registry: formulas against scipy.stats and against each other, and at their limits."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats
from scipy.special import expit
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skentropy import ExponentialFamilyMixture
from skentropy.families import (
    FAMILIES,
    Binomial,
    Categorical,
    ExponentialFamily,
    NegativeBinomial,
    Weibull,
    check_family,
    get_family,
)
from skentropy.families._base import exp_or_zero, positive_or_one
from skentropy.families._circle import mean_direction, turned
from skentropy.families._roots import RootCoordinates
from tests.common.cases import CASES

INSTANCES = [
    *(case.family for case in CASES.values()),
    Binomial(),
    Binomial(n_trials=7),
    NegativeBinomial(r=1.0),
    Categorical(2),
    Categorical(4),
    Weibull(0.7),
]


PARAMETERS = [(0.8, 0.7), (0.05, 0.4), (0.95, 0.02)]
NAMED = [name for name in FAMILIES if name != "categorical"]


@pytest.mark.parametrize("family", INSTANCES, ids=repr)
def test_check_family_passes(family: ExponentialFamily) -> None:
    errors = check_family(family)
    assert len(errors) >= 8
    assert max(errors.values()) < 1e-8


@pytest.mark.parametrize("values", PARAMETERS)
@pytest.mark.parametrize("name", NAMED)
def test_log_prob_and_entropy_agree_with_scipy(name: str, values: tuple[float, float]) -> None:
    family, points = CASES[name].family, CASES[name].points
    parameters = values[: len(family.parameter_names)]
    eta = family.from_standard(*parameters)
    peer = CASES[name].distribution(1.0, *parameters)
    x = np.array(points, dtype=float)
    expected = peer.logpmf(x) if family.discrete else peer.logpdf(x)
    np.testing.assert_allclose(family.log_prob(x, eta.reshape(-1, 1)), expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(family.entropy(eta), peer.entropy(), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(family.moments(eta), peer.stats("mv"), rtol=1e-9)


@pytest.mark.parametrize("values", PARAMETERS[:2])
@pytest.mark.parametrize("name", NAMED)
def test_draws_have_the_distribution_of_scipy(name: str, values: tuple[float, float]) -> None:
    """So many draws that a parameter one percent off is seen."""
    family, n = CASES[name].family, 1_000_000
    parameters = values[: len(family.parameter_names)]
    peer = CASES[name].distribution(1.0, *parameters)
    eta = np.broadcast_to(family.from_standard(*parameters)[:, np.newaxis], (family.n_statistics, n))
    draws = np.sort(family.sample(eta, np.random.RandomState(0)))
    if family.discrete:
        cells = np.unique(draws)
        cells = cells[n * peer.pmf(cells) > 20]
        share = np.array([np.mean(draws == cell) for cell in cells])
        z = (share - peer.pmf(cells)) / np.sqrt(peer.pmf(cells) * (1 - peer.pmf(cells)) / n)
        assert np.abs(z).max() < 4
    else:
        # The distance of Kolmogorov and Smirnov, which is larger once in ten thousand times.
        expected = peer.cdf(draws)
        assert np.abs(expected - (np.arange(n) + 0.5) / n).max() < 2.23 / np.sqrt(n)


def test_categorical_is_a_table_of_probabilities() -> None:
    p = np.array([0.1, 0.2, 0.7])
    family = Categorical(3)
    eta = family.from_standard(p)
    np.testing.assert_allclose(family.log_prob(np.arange(3.0), eta[:, np.newaxis]), np.log(p), rtol=1e-14)
    np.testing.assert_allclose(family.entropy(eta), stats.entropy(p), rtol=1e-14)


def _perturbed(family: ExponentialFamily, method: str) -> ExponentialFamily:
    """The same family with one formula 1% off (5% for what is checked by sampling)."""
    original = getattr(type(family), method)

    def wrong(self: ExponentialFamily, *arguments: object) -> object:
        value = original(self, *arguments)
        if method == "moments":
            return value[0], 1.01 * value[1]
        if isinstance(value, tuple):
            return (1.01 * value[0], *value[1:])
        return (1.05 if method == "sample" else 1.01) * value

    broken = type("Broken" + type(family).__name__, (type(family),), {method: wrong})
    instance = copy.copy(family)
    instance.__class__ = broken
    return instance


FORMULAS = ["log_partition", "mean", "natural", "to_standard", "moments", "sufficient_statistics", "pseudo_entropy"]


@pytest.mark.parametrize("method", FORMULAS)
@pytest.mark.parametrize("family", INSTANCES, ids=repr)
def test_check_family_notices_a_formula_that_is_one_percent_off(family: ExponentialFamily, method: str) -> None:
    if isinstance(family, Categorical) and method == "to_standard":
        family = Categorical(family.n_categories)
        broken = type(
            "Broken", (Categorical,), {"to_standard": lambda self, eta: (1 + Categorical.to_standard(self, eta)[0],)}
        )
        with pytest.raises(AssertionError):
            check_family(broken(family.n_categories))
        return
    with pytest.raises(AssertionError):
        check_family(_perturbed(family, method))


@pytest.mark.parametrize("family", [f for f in INSTANCES if not f.constant_base_measure], ids=repr)
def test_check_family_notices_a_wrong_base_measure(family: ExponentialFamily) -> None:
    if isinstance(family, Binomial) and family.n_trials == 1:
        family = Binomial(n_trials=3)
    if isinstance(family, NegativeBinomial) and family.r == 1.0:
        family = NegativeBinomial(r=1.5)
    with pytest.raises(AssertionError):
        check_family(_perturbed(family, "log_base_measure"))


@pytest.mark.parametrize("name", ["gaussian", "gamma", "exponential", "log_normal", "inverse_gaussian"])
def test_check_family_notices_a_wrong_rescaling(name: str) -> None:
    with pytest.raises(AssertionError, match="rescaled"):
        check_family(_perturbed(CASES[name].family, "rescale"))


@pytest.mark.parametrize("family", [get_family("poisson"), get_family("exponential"), get_family("gamma")], ids=repr)
def test_check_family_notices_wrong_sampling(family: ExponentialFamily) -> None:
    def wrong(self: ExponentialFamily, *arguments: object) -> object:
        return np.ceil(1.05 * type(family).sample(self, *arguments))

    broken = type("Broken", (type(family),), {"sample": wrong})
    with pytest.raises(AssertionError, match="sample"):
        check_family(broken())


def test_check_family_notices_a_singular_jacobian() -> None:
    class Singular(type(get_family("poisson"))):  # type: ignore[misc]
        def from_standard(self, *parameters: np.ndarray) -> np.ndarray:
            return np.log(0.8 * np.ones((1, *np.shape(parameters[0]))))

    with pytest.raises(AssertionError, match="Jacobian"):
        check_family(Singular())


class Rayleigh(ExponentialFamily):
    """p(x) = x / v exp(-x^2 / (2 v)): a user's own family."""

    name = "rayleigh"
    parameter_names = ("scale_squared",)
    support = "positive values"
    lower_limit = 0.0
    discrete = False
    constant_base_measure = False

    def sufficient_statistics(self, X):  # type: ignore[no-untyped-def]
        return (X**2,)

    def log_partition(self, eta):  # type: ignore[no-untyped-def]
        return -np.log(-2 * eta[0])

    def mean(self, eta):  # type: ignore[no-untyped-def]
        return -1 / eta

    def covariance(self, eta):  # type: ignore[no-untyped-def]
        return (1 / eta**2)[np.newaxis]

    def natural(self, mean):  # type: ignore[no-untyped-def]
        return -1 / mean

    def to_standard(self, eta):  # type: ignore[no-untyped-def]
        return (-0.5 / eta[0],)

    def from_standard(self, *parameters):  # type: ignore[no-untyped-def]
        return -0.5 / np.asarray(parameters[0])[np.newaxis]

    def moments(self, eta):  # type: ignore[no-untyped-def]
        v = -0.5 / eta[0]
        return np.sqrt(v * np.pi / 2), (2 - np.pi / 2) * v

    def sample(self, eta, random_state, exposure=None):  # type: ignore[no-untyped-def]
        return random_state.rayleigh(np.sqrt(-0.5 / eta[0]))

    def in_support(self, X, exposure=1.0):  # type: ignore[no-untyped-def]
        return (X > 0) & (np.inf > X)

    def log_base_measure(self, X, exposure=1.0):  # type: ignore[no-untyped-def]
        return np.log(X)

    def expected_log_base_measure(self, eta):  # type: ignore[no-untyped-def]
        return 0.5 * (np.log(-1 / eta[0]) - np.euler_gamma)


def test_a_users_own_family_is_checked_and_fitted() -> None:
    from skentropy import ExponentialFamilyMixture

    check_family(Rayleigh())
    rng = np.random.RandomState(0)
    X = np.r_[rng.rayleigh(1.0, 400), rng.rayleigh(8.0, 600)][:, np.newaxis]
    mixture = ExponentialFamilyMixture(Rayleigh(), random_state=0).fit(X)
    np.testing.assert_allclose(np.sort(mixture.scale_squareds_.ravel()), [1.0, 64.0], rtol=0.2)
    assert abs(mixture.stationarity_gap_) < 1e-4


@pytest.mark.parametrize("name", [n for n in NAMED if CASES[n].family.discrete])
def test_zero_times_log_zero_is_zero(name: str) -> None:
    family = CASES[name].family
    with np.errstate(all="raise", under="ignore"):
        eta = family.natural(np.zeros((1, 2)))
        assert np.isfinite(eta).all()
        assert family.at_zero(eta).all()
        assert not family.at_bound(eta).any()
        np.testing.assert_allclose(family.pseudo_entropy(eta), 0.0, atol=1e-300)
        np.testing.assert_allclose(family.log_prob(np.full(2, family.lower_limit), eta), 0.0, atol=1e-300)
        assert not family.at_zero(family.natural(np.full((1, 2), 0.5))).any()


@pytest.mark.parametrize(
    ("name", "mean"),
    [
        ("gaussian", [2.0, 4.0]),
        ("gamma", [np.log(3.0), 3.0]),
        ("log_normal", [2.0, 4.0]),
        ("inverse_gaussian", [2.0, 0.5]),
        ("beta", [np.log(0.25), np.log(0.75)]),
        ("exponential", [0.0]),
        ("von_mises", [np.cos(3.0), np.sin(3.0)]),
    ],
)
def test_a_single_value_is_held_at_a_bound(name: str, mean: list[float]) -> None:
    family = CASES[name].family
    eta = family.natural(np.array(mean)[:, np.newaxis])
    assert np.isfinite(eta).all()
    assert family.at_bound(eta).all()
    assert not family.in_domain(eta)
    assert np.isfinite(family.entropy(eta)).all()


@pytest.mark.parametrize("name", [n for n in FAMILIES if CASES[n].family.zero_statistics])
@pytest.mark.parametrize("container", [sparse.csr_matrix, sparse.csr_array])
def test_statistics_of_sparse_data_keep_structure_and_dtype(name: str, container: type) -> None:
    X = np.array([[0, 1, 0], [1, 0, 0]], dtype=np.float32)
    for T, dense in zip(
        CASES[name].family.sufficient_statistics(container(X)), CASES[name].family.sufficient_statistics(X), strict=True
    ):
        assert sparse.issparse(T)
        assert T.dtype == dense.dtype == np.float32
        np.testing.assert_array_equal(T.toarray(), dense)


@pytest.mark.parametrize("name", NAMED)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(data=st.data())
def test_natural_inverts_mean_over_a_wide_range(name: str, data: st.DataObject) -> None:
    family = CASES[name].family
    unit = st.floats(1e-3, 0.999)
    wide = unit if "probability" in family.parameter_names else st.floats(1e-3, 1e3)
    parameters = [np.array([data.draw(wide)]) for _ in family.parameter_names]
    eta = family.from_standard(*parameters)
    mean = family.mean(eta)
    again = family.natural(mean)
    # The divergence between the two is what the loss of digits costs, in nats.
    assert np.all(np.abs(family.divergence(eta, again)) < 1e-9 * (1 + np.abs(family.log_partition(eta))))
    if not np.any(family.at_bound(again)):
        np.testing.assert_allclose(family.mean(again), mean, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", NAMED)
def test_divergence_is_zero_only_between_equals(name: str) -> None:
    family = CASES[name].family
    rng = np.random.RandomState(0)
    a, b = (family.from_standard(*(rng.uniform(0.1, 0.9, 50) for _ in family.parameter_names)) for _ in range(2))
    assert (family.divergence(a, b) > 0).all()
    np.testing.assert_allclose(family.divergence(a, a), 0.0, atol=1e-12)


@pytest.mark.parametrize("family", INSTANCES, ids=repr)
def test_families_are_values(family: ExponentialFamily) -> None:
    for again in (copy.deepcopy(family), pickle.loads(pickle.dumps(family))):
        assert again == family
        assert hash(again) == hash(family)
    assert family != Binomial(n_trials=99)


def test_angles_go_to_log_odds_and_back() -> None:
    """A probability and its complement are at least halved, also where the angle has left the quadrant."""
    family = Binomial(n_trials=7)
    p = np.array([0.2, 0.5, 0.9])
    eta = family.from_standard(p)
    np.testing.assert_allclose(family.coordinates(eta)[0], np.arcsin(np.sqrt(p)), rtol=1e-14)
    np.testing.assert_allclose(family.from_coordinates(family.coordinates(eta), eta), eta, atol=1e-14)
    angle = np.arcsin(np.sqrt([[0.3, 0.4, 0.85]]))
    np.testing.assert_allclose(expit(family.from_coordinates(angle, eta)), [[0.3, 0.4, 0.85]], rtol=1e-13)
    for beyond, halved in ((-0.1, p / 2.0), (1.7, 1.0 - (1.0 - p) / 2.0)):
        moved = family.from_coordinates(np.full((1, 3), beyond), eta)
        np.testing.assert_allclose(expit(moved)[0], halved, rtol=1e-13)


def test_coordinates_lead_back_from_anywhere_near() -> None:
    """Also next to the limits, from origins whose distance from these is less than twice as large."""
    for family in INSTANCES:
        if isinstance(family, Categorical):
            weights = np.ones((1, family.n_statistics - 1))
            values = [(np.insert(weights, 0, least, axis=1),) for least in (1e-6, 0.7e-6)]
        else:
            kinds = [[1e-6, 0.5, 1 - 1e-6], [0.7e-6, 0.4, 1 - 0.7e-6]]
            values = [(np.array(kind),) * len(family.parameter_names) for kind in kinds]
        origin, target = (family.from_standard(*parameters) for parameters in values)
        again = family.from_coordinates(family.coordinates(target), origin)
        expected = family.to_standard(target)
        np.testing.assert_allclose(family.to_standard(again), expected, rtol=1e-9, err_msg=repr(family))


@pytest.mark.parametrize("family", [f for f in INSTANCES if isinstance(f, RootCoordinates)], ids=repr)
def test_coordinates_beyond_the_limit_leave_half_of_the_mean(family: ExponentialFamily) -> None:
    # One of several probabilities goes, and the others, which are weights, stay in proportion.
    several = isinstance(family, Categorical)
    p = np.full((1, family.n_statistics), 1.0 / family.n_statistics) if several else np.array([0.2, 0.7])
    origin = family.from_standard(p)
    coordinates, mean = family.coordinates(origin).copy(), family.mean(origin).copy()
    coordinates[0], mean[0] = -0.3, 0.5 * mean[0]
    moved = family.mean(family.from_coordinates(coordinates, origin))
    np.testing.assert_allclose(moved, mean / mean.sum() if several else mean, rtol=1e-12)


@pytest.mark.parametrize("family", [f for f in INSTANCES if f.parameter_limits], ids=repr)
def test_parameters_are_refused_beyond_their_limits_alone(family: ExponentialFamily) -> None:
    several = isinstance(family, Categorical)  # of which weights above one are none
    inside = [np.full((1, family.n_statistics) if several else 1, 0.5) for _ in family.parameter_names]
    for place, (low, high) in enumerate(family.parameter_limits):
        assert low < high
        for limit, inwards in ((low, 1e-3), (high, -1e-3)):
            near = [values.copy() for values in inside]
            near[place][..., 0] = np.clip(limit, -1e6, 1e6) + inwards
            assert np.isfinite(family.from_standard(*near)).all()
            near[place][..., 0] = limit - inwards
            if several and limit == high:
                certain = np.eye(family.n_statistics)[:1]
                assert family.to_standard(family.from_standard(certain))[0].max() == high
            elif np.isfinite(limit):
                with pytest.raises(ValueError, match=f"Every {family.parameter_names[place]} must lie in"):
                    family.from_standard(*near)


def test_supports_end_at_their_limits() -> None:
    for family in INSTANCES:
        for limit, outwards in ((family.lower_limit, -1e-9), (family.upper_limit, 1e-9)):
            if np.isfinite(limit):
                inside = limit if family.discrete else limit - outwards
                assert family.in_support(np.array([inside])).all(), family
                assert not family.in_support(np.array([limit + outwards])).any(), family


def test_what_learns_from_the_columns() -> None:
    """Numbers of categories from the largest codes, parameters that are counted, and the rounding of counts."""
    with pytest.raises(ValueError, match="X holds the code 10000; n_categories='auto' takes codes below 10000"):
        Categorical("auto").for_columns(np.array([0.0, 10_000.0, 1.0]))
    learnt = Categorical("auto").for_columns(np.array([0.0, 3.0, 1.0]))
    assert learnt == Categorical((1, 4, 2))
    assert learnt.n_statistics == 4
    eps = np.finfo(np.float64).eps
    for family in INSTANCES:
        occurs = np.ones((family.n_statistics, 4), dtype=bool)
        several = isinstance(family, Categorical)
        assert family.count_parameters(occurs) == 4 * (family.n_statistics - several), family
        # Beyond ten times its r, the logarithm of a negative binomial probability hardly depends on the count.
        counts = {"poisson": 1e6, "zero_truncated_poisson": 64e6, "negative_binomial": 10.0 * getattr(family, "r", 0.0)}
        per_count = eps * counts.get(family.name, getattr(family, "n_trials", 0.0))
        error = family.rounding_error(np.array([0.0, 1e6]))
        np.testing.assert_allclose(error, [0.0, per_count], atol=0.0, err_msg=repr(family))
    assert Binomial(7).rounding_error(np.array(0.005)) == 7 * eps  # counts may be fractions


def test_predictions_of_mixtures() -> None:
    """Of values by their means, of categories by their votes, of angles by the mean of directions on the circle."""
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(2), size=5).T
    for family in INSTANCES:
        several = isinstance(family, Categorical)
        shape = (2, 3, family.n_statistics) if several else (2, 3)
        eta = family.from_standard(*(rng.uniform(0.2, 0.8, size=shape) for _ in family.parameter_names))
        if several:
            share = np.moveaxis(family.to_standard(eta)[0], -1, 0)
            expected = np.einsum("skd,kn->snd", share, weights).argmax(axis=0)
        else:
            expected = np.einsum("kd,kn->nd", family.moments(eta)[0], weights)
        if family.circular:
            x = np.linspace(-np.pi, np.pi, 400, endpoint=False).reshape(-1, 1, 1)
            density = np.exp(family.log_prob(x, eta[:, np.newaxis]))
            moment = (2.0 * np.pi / 400 * density * np.exp(1j * x)).sum(axis=0)
            expected = np.angle(weights.T @ moment)
            spread = 2.0 - 2.0 * np.abs(weights.T @ moment)
            np.testing.assert_allclose(mean_direction(weights.T, *family.moments(eta)), (expected, spread), rtol=1e-9)
        np.testing.assert_allclose(family.predict(eta, weights), expected, rtol=1e-9, err_msg=repr(family))


def test_angles_that_are_all_the_same_vary_by_nothing() -> None:
    mean = np.linspace(-3.0, 3.0, 2001)[np.newaxis]  # the sines and cosines of some have a length of more than one
    _, variance = mean_direction(np.ones(1), mean, np.zeros_like(mean))
    assert (variance >= 0.0).all()


def test_typical_values_are_within_the_draws() -> None:
    for family in INSTANCES:
        p = np.full((1, family.n_statistics), 0.7) if isinstance(family, Categorical) else np.full(1, 0.7)
        eta = family.from_standard(*[p] * len(family.parameter_names))
        draws = family.sample(np.tile(eta, (1, 200)), np.random.RandomState(0))
        low, high = np.quantile(draws, [0.1, 0.9])
        assert low <= family.typical_value(eta)[0] <= high, family


def test_angles_are_turned_to_the_nearest() -> None:
    towards = np.linspace(-20.0, 20.0, 50)
    for angle in (-3.0, 0.5, 9.0):
        found = turned(np.array(angle), towards)
        assert (np.abs(found - towards) <= np.pi + 1e-9).all()
        np.testing.assert_allclose(np.exp(1j * found), np.exp(1j * angle), atol=1e-13)


def test_categories_that_never_occur_are_no_parameters() -> None:
    occurs = np.array([[1, 1, 1], [1, 0, 1], [1, 0, 0]], dtype=bool)
    assert Categorical((3, 3, 3)).count_parameters(occurs) == 2 + 0 + 1
    assert Binomial(3).count_parameters(np.ones((1, 4), dtype=bool)) == 4


def test_errors_name_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="rate must lie in"):
        get_family("gamma").from_standard(1.0, -1.0)
    with pytest.raises(ValueError, match="Unknown family 'cauchy'"):
        get_family("cauchy")
    with pytest.raises(TypeError, match="instance of an ExponentialFamily"):
        get_family(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="n_trials"):
        Binomial(n_trials=0)
    with pytest.raises(ValueError, match="r must be"):
        NegativeBinomial(r=-1.0)
    with pytest.raises(ValueError, match="n_categories"):
        Categorical(1)


@pytest.mark.parametrize("shape", [0.5, 1.0, 1.5, 4.0])
def test_weibull_agrees_with_scipy(shape: float) -> None:
    family, peer = Weibull(shape), stats.weibull_min(shape, scale=2.0)
    eta = family.from_standard(2.0)
    x = np.array([1e-3, 0.7, 2.0, 9.0])
    np.testing.assert_allclose(family.log_prob(x, eta), peer.logpdf(x), rtol=1e-12)
    np.testing.assert_allclose(family.entropy(eta), peer.entropy(), rtol=1e-10)
    np.testing.assert_allclose(family.moments(eta), [peer.mean(), peer.var()], rtol=1e-10)


@pytest.mark.parametrize("shape", [0.0, -1.0, 1e3, np.nan, "2"])
def test_weibull_refuses_shapes_that_are_none(shape: Any) -> None:
    with pytest.raises(ValueError, match=r"shape must be a number from 0\.01 to 100"):
        Weibull(shape)


def test_arguments_are_set_and_searched_over_as_those_of_estimators() -> None:
    X = np.random.default_rng(0).negative_binomial(5, 0.4, size=(80, 2))
    mixture = ExponentialFamilyMixture(NegativeBinomial(1.0), 1)
    search = GridSearchCV(mixture, {"family__r": [0.5, 5.0, 500.0]}, cv=3).fit(X)
    assert search.best_params_ == {"family__r": 5.0}
    assert mixture.family == NegativeBinomial(1.0)
    assert search.best_estimator_.family == NegativeBinomial(5.0)
    for family in (Categorical((2, 3)), Binomial(7), Weibull(2.0), get_family("gamma")):
        assert clone(family, safe=False) == family
    with pytest.raises(ValueError, match="r must be a positive finite number"):
        mixture.set_params(family__r=-1.0)
    with pytest.raises(ValueError, match=r"NegativeBinomial has no parameters \['q'\]; it has \['r'\]"):
        mixture.set_params(family__q=1.0)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (NegativeBinomial, "r"),
        (Binomial, "n_trials"),
        (Weibull, "shape"),
        (lambda flag: Categorical((flag, 2)), "n_categories"),
    ],
)
def test_a_flag_is_no_number(make: Any, name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name} must be .*True"):
        make(True)


@pytest.mark.parametrize("lowest", [-600.0, -703.0, -709.0, -5000.0, -np.inf])
def test_exponentials_that_would_underflow_are_zero(lowest: float) -> None:
    x = np.append(np.linspace(-650.0, 0.0, 501), [lowest, -690.0])
    q = exp_or_zero(x.copy())
    np.testing.assert_array_equal(q[:501], np.exp(x[:501]))
    assert q[501] == (np.exp(lowest) if lowest > -700.0 else 0.0)
    np.testing.assert_allclose(q[-1], np.exp(-690.0), rtol=1e-4)
    assert exp_or_zero(x, out=x) is x
    np.testing.assert_array_equal(x, q)
    assert exp_or_zero(np.empty((2, 0))).shape == (2, 0)


def test_ones_stand_in_for_values_that_are_not_positive_or_count_as_zero() -> None:
    tiny = np.finfo(np.float64).tiny
    x = np.array([-1.0, 0.0, 5e-324, 0.9 * tiny, tiny, 0.005, 2.0, np.inf, np.nan])
    np.testing.assert_array_equal(positive_or_one(x), [1.0, 1.0, 1.0, 1.0, tiny, 0.005, 2.0, np.inf, np.nan])
