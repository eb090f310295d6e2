"""Where fits end: not on zeros that would grow, not on saddle points, and no lower than plain EM."""

from __future__ import annotations

import copy
import warnings
from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy.special import logsumexp, xlogy

from skentropy import ExponentialFamilyMixture, PoissonMixture
from skentropy._data import Rows
from skentropy._em import End, State, rounding_error, run_em
from skentropy.families import Binomial, Categorical, NegativeBinomial, Poisson
from skentropy.mixture._independent import Independent
from skentropy.mixture._information import Metric, missing_information, score
from skentropy.mixture._maximum import Maximum, Neighbourhood
from skentropy.mixture._model import MixtureModel, MixtureParameters
from skentropy.mixture._newton import NewtonSteps
from tests.common.cases import CASES
from tests.common.components import problem


def codes(n: int = 300, seed: int = 0) -> Any:
    """Answers of three classes to four questions with three answers each, some of them never given."""
    rng = np.random.default_rng(seed)
    P = rng.dirichlet(np.full(3, 0.4), size=(3, 4))
    z = rng.integers(3, size=n)
    return np.array([[rng.choice(3, p=P[k, d]) for d in range(4)] for k in z], dtype=float)


def random_start(X: Any, n_components: int, n_categories: int, seed: int) -> tuple[Any, Any]:
    Q = np.random.default_rng(seed).dirichlet(np.full(n_components, 0.3), size=len(X)).T
    seen = ~np.isnan(X)
    counts = np.stack([Q @ (code == X) for code in range(n_categories)], axis=-1)
    return Q.mean(axis=1), np.clip(counts / (Q @ seen)[..., np.newaxis], 1e-12, None)


def plain_em(X: Any, weights: Any, P: Any, n_steps: int = 6000) -> float:
    """EM for categories with gaps as in a textbook; returns the mean log-likelihood where it stands still."""
    seen = ~np.isnan(X)
    T = np.stack([(code == X) & seen for code in range(P.shape[-1])], axis=-1).astype(float)
    last = -np.inf
    for _ in range(n_steps):
        joint = np.log(weights) + np.stack([xlogy(T, p).sum(axis=(1, 2)) for p in P], axis=1)
        evidence = logsumexp(joint, axis=1)
        if evidence.mean() - last < 1e-12:
            break
        last = evidence.mean()
        Q = np.exp(joint - evidence[:, np.newaxis])
        weights = Q.mean(axis=0)
        counts = np.einsum("nk,ndc->kdc", Q, T)
        P = np.maximum(counts / counts.sum(axis=-1, keepdims=True), 1e-300)
    return float(evidence.mean())


@pytest.mark.parametrize("gaps", [False, True])
def test_no_worse_than_plain_em_from_the_same_start(gaps: bool) -> None:
    X = codes()
    if gaps:
        X = np.where(np.random.default_rng(1).uniform(size=X.shape) < 0.2, np.nan, X)
    differences, steps = [], []
    for seed in range(20):
        weights, P = random_start(X, 3, 3, seed)
        mixture = ExponentialFamilyMixture(
            Categorical(3), 3, weights_init=weights, parameters_init={"probabilities": P}, max_iter=2000
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of zeros
            mixture.fit(X)
        assert mixture.converged_
        differences.append(mixture.lower_bound_ - plain_em(X, weights, P))
        steps.append(mixture.n_iter_)
    assert np.mean(np.array(differences) < -1e-3) <= 0.05
    assert np.mean(differences) > -1e-4
    assert np.median(steps) < 150


_CLASSES = {"probabilities": [[[0.3, 0.4, 0.3], [0.5, 0.3, 0.2]], [[0.0, 0.5, 0.5], [0.1, 0.2, 0.7]]]}
COUNTS: dict[str, tuple[Any, Any]] = {
    # A family, and standard parameters of two components of which the second has a false zero.
    "poisson": ("poisson", {"rates": [[3.0, 1.0], [0.0, 4.0]]}),
    "binomial": (Binomial(5), {"probabilities": [[0.6, 0.2], [0.0, 0.8]]}),
    "binomial, from above": (Binomial(5), {"probabilities": [[0.3, 0.2], [1.0, 0.8]]}),
    "bernoulli": ("bernoulli", {"probabilities": [[0.6, 0.2], [0.0, 0.8]]}),
    "geometric": ("geometric", {"probabilities": [[0.3, 0.5], [1.0, 0.2]]}),
    "negative_binomial": (NegativeBinomial(1.0), {"probabilities": [[0.6, 0.3], [0.0, 0.7]]}),
    "categorical": (
        Categorical(3),
        {"probabilities": [[[0.3, 0.4, 0.3], [0.5, 0.3, 0.2]], [[0.0, 0.5, 0.5], [0.1, 0.2, 0.7]]]},
    ),
}


@pytest.mark.parametrize("accelerate", [True, False])
@pytest.mark.parametrize("name", list(COUNTS))
def test_no_zero_would_grow_at_the_end_of_a_fit(name: str, accelerate: bool) -> None:
    """EM cannot move a zero that a start has; at the end no likelihood rises where one is moved inwards."""
    family, start = COUNTS[name]
    rng = np.random.RandomState(3)
    z = rng.randint(2, size=(400, 1))
    if name == "categorical":
        X = np.where(
            z == 1, rng.choice(3, p=[0.1, 0.3, 0.6], size=(400, 2)), rng.choice(3, p=[0.6, 0.3, 0.1], size=(400, 2))
        )
    else:
        X = np.where(z == 1, *(CASES[name.split(",")[0]].draw(400, 2, rng, None) for _ in range(2)))
    options: dict[str, Any] = {"accelerate": accelerate, "max_iter": 20_000, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixture = ExponentialFamilyMixture(family, 2, parameters_init=start, **options).fit(X)
        stuck = ExponentialFamilyMixture(family, 2, parameters_init=start, max_iter=300, accelerate=False, tol=0.0).fit(X)
    key = next(iter(start))
    end = getattr(mixture, f"{key}_")
    for index in zip(*np.nonzero((end < 1e-12) | ((end > 1 - 1e-12) & ("rates" not in start))), strict=True):
        moved = end.copy()
        moved[index] = 1e-7 if end[index] < 0.5 else 1.0 - 1e-7
        other = ExponentialFamilyMixture.from_parameters(family=family, weights=mixture.weights_, **{key: moved})
        assert other.score(X) <= mixture.score(X) + 1e-12
    # Plain EM alone would have stayed on the zero it was given, and no higher.
    assert mixture.lower_bound_ >= stuck.lower_bound_ - 1e-9


def test_zeros_that_would_not_grow_are_exactly_zero_and_reported() -> None:
    rng = np.random.RandomState(0)
    X = np.where(
        rng.randint(2, size=(300, 1)) == 1, rng.poisson([5.0, 0.0], size=(300, 2)), rng.poisson([0.0, 6.0], size=(300, 2))
    )
    with pytest.warns(UserWarning, match="at the limit where some values have probability zero"):
        mixture = PoissonMixture(2, random_state=0).fit(X)
    assert (mixture.rates_ == 0.0).sum() == 2
    assert mixture.converged_


@pytest.mark.parametrize(
    "start",
    [
        {"weights_init": [0.5, 0.5], "rates_init": [[0.0], [3.0]]},
        {"weights_init": [0.0, 1.0], "rates_init": [[1.0], [3.0]]},
        {"weights_init": [1e-300, 1.0], "rates_init": [[1e-310], [3.0]]},
    ],
)
@pytest.mark.parametrize("X", [[0, 0, 0, 2, 3, 4, 5, 3], [1, 2, 2, 3, 3, 3, 4, 5]])
def test_what_is_just_above_zero_is_zero_and_reported(start: Any, X: Any) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        mixture = PoissonMixture(2, **start).fit(np.array(X)[:, np.newaxis])
    said = " ".join(str(message.message) for message in caught)
    for values, word in ((mixture.rates_, "limit"), (mixture.weights_, "empty")):
        assert (values[values < 1e-6] == 0.0).all()
        assert (word in said) == bool((values == 0.0).any())


@pytest.mark.parametrize("share", [0.03, 0.4])
def test_a_weight_of_zero_grows_if_that_explains_rows_between_the_others(share: float) -> None:
    """Also that of a rare component, which would fall if its weight were large."""
    rng = np.random.RandomState(0)
    labels = rng.choice(3, size=500, p=[0.5 - share / 2.0, 0.5 - share / 2.0, share])
    X = rng.poisson(np.array([1.0, 30.0, 15.0])[labels, np.newaxis], size=(500, 2)).astype(float)
    rates = [[1.0, 1.0], [30.0, 30.0], [15.0, 15.0]]
    expected = PoissonMixture(3, weights_init=[0.4, 0.4, 0.2], rates_init=rates, tol=1e-10).fit(X)
    found = PoissonMixture(3, weights_init=[0.5, 0.5, 0.0], rates_init=rates, tol=1e-10).fit(X)
    assert found.lower_bound_ == pytest.approx(expected.lower_bound_, abs=1e-9)
    assert found.weights_[2] == pytest.approx(share, abs=0.05)


def dense_rates(model: Any, rows: Rows, parameters: Any, statistics: Any) -> Any:
    """Eigenvalues of the EM map, from differences of the score in an orthonormal basis of the complete data's metric."""
    W = Metric.at(model, parameters, statistics).matrix()
    W = W[:, np.abs(W).max(axis=0) > 0]
    n_components, length = len(parameters.log_weights), 1e-4 * np.sqrt(statistics.weight)

    def score_at(z: Any) -> Any:
        moved = model.moved(parameters, (W @ z).reshape(n_components, -1))
        return W.T @ score(model, moved, rows.sum(partial(model.expect, moved))).ravel()

    columns = [(score_at(length * e) - score_at(-length * e)) / (2 * length) for e in np.eye(W.shape[1])]
    observed = -np.array(columns)
    return 1.0 - np.linalg.eigvalsh((observed + observed.T) / 2)


class Dear(NewtonSteps):
    """The information costs too much: differences of the score must do."""

    look_pays = False


def ends(name: str, seed: int, *, symmetric: bool) -> tuple[Any, Rows, Any, Any]:
    """An end of plain EM: with all components alike but their weights it is a saddle point."""
    rng = np.random.RandomState(seed)
    X = CASES[name].draw(60, 3, rng, None)
    family = CASES[name].family
    T = np.stack(family.sufficient_statistics(X))
    components = Independent(family, pooled=T.mean(axis=1))
    model = MixtureModel(components)
    q = np.full((2, 60), [[0.4], [0.6]]) if symmetric else rng.dirichlet([1.0, 1.0], 60).T
    mean = np.stack([q @ t / q.sum(axis=1)[:, np.newaxis] for t in T])
    rows = Rows(X)
    start = MixtureParameters(np.log(q.mean(axis=1)), components.parameters(family.natural(mean)))

    def expect(parameters: Any) -> Any:
        return rows.sum(partial(model.expect, parameters))

    end = run_em(model, expect, start, tol=1e-13, max_iter=20_000, accelerate=False).state.parameters
    if family.discrete:  # what is next to zero is zero
        eta = end.components.eta
        eta = np.where(family.mean(eta) < 1e-8, family.natural(0.0 * mean), eta)
        end = model.normalised(end.log_weights, components.parameters(eta))
    statistics = expect(end)
    return model, rows, State(end, statistics, model.elbo(statistics), model.elbo(statistics)), family


@pytest.mark.parametrize("dense", [True, False])
@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("name", list(CASES))
def test_saddle_points_are_seen_and_maxima_are_not_flagged(name: str, symmetric: bool, dense: bool) -> None:
    for seed in range(3):
        model, rows, state, family = ends(name, seed, symmetric=symmetric)
        if family.at_bound(state.parameters.components.eta).any():
            continue
        largest = dense_rates(model, rows, state.parameters, state.statistics)[0]
        newton = (NewtonSteps if dense else Dear)(
            model, lambda p, m=model, r=rows: r.sum(partial(missing_information, m, p)), 60, 2, 3 * family.n_statistics
        )
        calls = []

        def evaluate(parameters: Any, model: Any = model, rows: Any = rows, calls: Any = calls) -> State:
            calls.append(1)
            statistics = rows.sum(partial(model.expect, parameters))
            elbo = model.elbo(statistics)
            return State(parameters, statistics, elbo, elbo + model.log_prior(parameters, statistics))

        maximum = Maximum(model, newton, 1e-9)
        end = maximum.settle_zeros(state, evaluate)
        if not end.goes_on:
            end = maximum.leave_saddle(end.state, evaluate)
        assert len(calls) <= 20
        if largest > 1.01:
            assert end.goes_on
            assert end.state.objective > state.objective
        if largest < 0.999:
            assert not end.goes_on
            assert end.state.objective <= state.objective + 1e-9


@pytest.mark.parametrize("name", list(CASES))
def test_fits_from_a_saddle_point_go_on_to_a_maximum(name: str) -> None:
    """Components alike but for their weights: EM alone would stay there."""
    case = CASES[name]
    X = case.draw(200, 3, np.random.RandomState(0), None)
    family = case.family
    pooled = np.stack(family.sufficient_statistics(X)).mean(axis=1)
    alike = [np.stack([value, value]) for value in family.to_standard(family.natural(pooled))]
    start = dict(zip(family.attribute_names, alike, strict=True))
    one = ExponentialFamilyMixture(family, 1).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        two = ExponentialFamilyMixture(family, 2, weights_init=[0.4, 0.6], parameters_init=start, max_iter=5000).fit(X)
    assert two.lower_bound_ > one.lower_bound_ + 1e-3


def test_repeated_rows_are_fitted_once() -> None:
    X = codes(600)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = [ExponentialFamilyMixture(Categorical(3), 3, random_state=0).fit(X)]
        distinct, counts = np.unique(X, axis=0, return_counts=True)
        assert 2 * len(distinct) < len(X)
        fits.append(ExponentialFamilyMixture(Categorical(3), 3, random_state=0).fit(distinct, sample_weight=counts))
    np.testing.assert_allclose(fits[0].lower_bound_, fits[1].lower_bound_, rtol=1e-10)
    np.testing.assert_allclose(fits[0].score(X), fits[0].lower_bound_, rtol=1e-12)
    assert fits[0].n_iter_ == fits[1].n_iter_


def test_a_warm_refit_of_few_distinct_rows_takes_few_steps() -> None:
    """Newton's method costs no more than a few EM steps there, of which each other weighting would take dozens."""
    X, days = np.arange(10.0)[:, np.newaxis], [162, 267, 271, 185, 111, 61, 27, 8, 3, 1]
    mixture = PoissonMixture(2, random_state=0, warm_start=True).fit(X, sample_weight=days)
    for seed in range(5):
        weight = np.random.RandomState(seed).multinomial(1096, np.divide(days, 1096)).astype(float)
        plain = copy.copy(mixture).set_params(accelerate=False, max_iter=20_000).fit(X, sample_weight=weight)
        fit = copy.copy(mixture).fit(X, sample_weight=weight)
        assert fit.n_iter_ < 15 < plain.n_iter_
        assert fit.lower_bound_ >= plain.lower_bound_ - 1e-9


@pytest.mark.parametrize("weights", [[0.5, 0.5], [1e-6, 1.0 - 1e-6]])
def test_no_newton_step_moves_a_logarithm_further_than_five(weights: list[float]) -> None:
    """Where curvature is next to nothing a step would; of rates, or of weights."""
    X = np.random.RandomState(0).poisson(np.repeat([[1.0], [30.0]], 40, axis=0)).astype(float)
    components = Independent(Poisson())
    model = MixtureModel(components)
    eta = np.log([[[2.0], [9.0]]])
    parameters = MixtureParameters(np.log(weights), components.parameters(eta))
    block = Rows(X)
    statistics = block.sum(partial(model.expect, parameters))

    def nearly_all(parameters: MixtureParameters) -> Any:
        inverse = np.linalg.pinv(Metric.at(model, parameters, statistics).matrix())
        return (1.0 - 1e-9) * inverse.T @ inverse

    newton = NewtonSteps(model, nearly_all, len(X), 2, 1)
    newton._damping = 1e-6
    state = State(parameters, statistics, model.elbo(statistics), model.elbo(statistics))
    moved, _ = newton.propose(state, lambda parameters: state)
    assert moved is not None
    step = newton.latest(state.objective, 0.0).step(1e-6)
    assert np.abs(step).max() > 50.0
    changes = np.column_stack([step[:, :1], moved.components.eta[0] - eta[0]])
    share = changes[0, 1] / step[0, 1]
    assert share * np.abs(step).max() == pytest.approx(5.0, rel=1e-9)


class Far(NewtonSteps):
    """Of which no curvature is known."""

    look_pays = False

    def latest(self, objective: float, tol: float) -> Any:
        self.asked = tol
        return None


def nothing(*_: Any) -> Any:
    raise AssertionError


@pytest.mark.parametrize(("tol", "least"), [(1e-2, 1e-9), (5e-7, 5e-10), (1e-15, 0.0)])
def test_a_step_from_a_saddle_gains_a_thousandth_of_the_tolerance(
    tol: float, least: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or a billionth, if that is less, and more than rounding errors; only where gradients say that EM stands still."""
    model, rows, state, family = ends("poisson", 0, symmetric=True)
    tried: list[Any] = []
    monkeypatch.setattr(
        "skentropy.mixture._maximum.leave_saddle",
        lambda around, state, evaluate, eigenpair, least_gain: tried.append((eigenpair, least_gain)) or End(state, False),
    )
    monkeypatch.setattr("skentropy.mixture._maximum.em_eigenpair", lambda *_: (1.5, None))
    noise = rounding_error(model, state.parameters, state.statistics)
    for newton, eigenvalue in ((NewtonSteps, None), (Dear, 1.5)):
        end = newton(model, lambda p: rows.sum(partial(missing_information, model, p)), 60, 2, 3 * family.n_statistics)
        Maximum(model, end, tol).leave_saddle(state, nothing)
        (rate, _), least_gain = tried.pop()
        assert least_gain == pytest.approx(max(least, noise), rel=1e-12)
        expected = eigenvalue or dense_rates(model, rows, state.parameters, state.statistics)[0]
        assert rate == pytest.approx(expected, rel=1e-5)
    far = Far(model, nothing, 60, 2, 3 * family.n_statistics)
    for length, looked in ((0.998 * 2e-4, True), (1.002 * 2e-4, False)):
        monkeypatch.setattr(Neighbourhood, "gradient", lambda *_, length=length: np.sqrt([0.6 * length, 0.4 * length]))
        end = Maximum(model, far, tol).leave_saddle(state, nothing)
        assert len(tried) == looked
        tried.clear()
        assert far.asked == max(tol, noise)
        assert not end.goes_on


def test_the_gradient_of_a_neighbourhood_is_that_of_the_objective_and_what_is_held_is_not_identified() -> None:
    model, _, parameters, block = problem("PoissonMixture")
    statistics = model.expect(parameters, block)

    def objective(at: Any) -> float:
        return model.elbo(model.expect(at, block))

    around = Neighbourhood.of(model, State(parameters, statistics, objective(parameters), objective(parameters)), None)
    gradient, h = around.gradient(around.state), 1e-4
    for k, e in enumerate(np.eye(gradient.size)[::3]):
        slope = (objective(around.parameters(h * e)) - objective(around.parameters(-h * e))) / (2.0 * h)
        assert gradient[3 * k] == pytest.approx(slope, rel=1e-5, abs=1e-8)
    log_weights = parameters.log_weights.copy()
    log_weights[0] = -np.inf
    empty = model.normalised(log_weights, parameters.components)
    for at in (parameters, empty):
        around = Neighbourhood.of(model, State(at, model.expect(at, block), 0.0, 0.0), None)
        moves = np.abs(around.metric.matrix()).max(axis=0) > 0.0
        z = np.random.default_rng(0).uniform(0.2, 0.8, size=gradient.size)
        found = around.identified(z)
        np.testing.assert_array_equal(found, np.where(moves, z, 0.0))
    assert not found[: 1 + parameters.components.eta.shape[2]].any()
