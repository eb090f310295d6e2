"""Mixtures of directions and of compositions."""

from __future__ import annotations

import tracemalloc
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, special, stats
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import normalize

from skentropy import ColumnMixture, DirichletMixture, RowBlocks, VonMisesFisherMixture, rank_models
from skentropy.mixture import ExponentialFamilyMixture
from skentropy.mixture._vector import _has_values
from tests.common.components import problem

RNG = np.random.default_rng(0)
SHARES = np.concatenate([RNG.dirichlet([9.0, 3.0, 3.0], 70), RNG.dirichlet([2.0, 2.0, 16.0], 50)])
DIRECTIONS = normalize(np.concatenate([RNG.normal([2, 0, 1], 1.0, size=(70, 3)), RNG.normal([-1, 1, 1], 0.5, size=(50, 3))]))
DATA = {DirichletMixture: SHARES, VonMisesFisherMixture: DIRECTIONS}
every = pytest.mark.parametrize("kind", DATA)


def log_joint(mixture: Any, X: Any) -> Any:
    """By scipy.stats, one column a component."""
    if isinstance(mixture, DirichletMixture):
        columns = [stats.dirichlet.logpdf((X / X.sum(axis=1, keepdims=True)).T, a) for a in mixture.concentrations_]
    else:
        pairs = zip(mixture.means_, mixture.concentrations_, strict=True)
        columns = [stats.vonmises_fisher(mu / np.linalg.norm(mu), kappa).logpdf(X) for mu, kappa in pairs]
    return np.log(mixture.weights_) + np.stack(columns, axis=1)


@pytest.mark.parametrize("prior_counts", [0.0, 2.5])
@every
def test_elbo_after_each_m_step_is_the_entropy_sum(kind: Any, prior_counts: float) -> None:
    X = DATA[kind]
    weight = np.random.default_rng(1).exponential(size=len(X))

    def fit(n_steps: int) -> Any:
        options = {"random_state": 0, "n_starts": 1, "tol": 0.0, "accelerate": False, "max_iter": n_steps}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return kind(3, prior_counts=prior_counts, **options).fit(X, sample_weight=weight)

    before = fit(0)
    for step in range(1, 5):
        after = fit(step)
        joint = log_joint(before, X)
        q = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
        direct = np.average((q * log_joint(after, X)).sum(axis=1) + special.entr(q).sum(axis=1), weights=weight)
        assert after.entropy_sums_[-1].value == pytest.approx(direct, abs=1e-10)
        likelihood = np.average(np.logaddexp.reduce(log_joint(after, X), axis=1), weights=weight)
        assert after.lower_bound_ == pytest.approx(likelihood, abs=1e-10)
        assert (after.entropy_sums_[-1].penalty != 0) == (prior_counts > 0)
        before = after


def test_one_component_is_the_fit_of_other_programs() -> None:
    mean, kappa = stats.vonmises_fisher.fit(DIRECTIONS)
    mixture = VonMisesFisherMixture(1).fit(DIRECTIONS)
    np.testing.assert_allclose(mixture.means_[0], mean, rtol=1e-10)
    assert mixture.concentrations_[0] == pytest.approx(kappa, rel=1e-8)
    # The package dirichlet 0.9, its log-likelihood divided by the number of rows.
    shares = np.random.default_rng(3).dirichlet([0.7, 4.0, 2.0, 1.5], size=200)
    composition = DirichletMixture(1).fit(shares)
    np.testing.assert_allclose(composition.concentrations_, [[0.65393076, 4.10099048, 2.0961834, 1.64460836]], rtol=1e-7)
    assert composition.score(shares) == pytest.approx(3.101299270296609, rel=1e-12)


def test_directions_in_two_dimensions_are_angles() -> None:
    angle = np.concatenate([RNG.vonmises(3.0, 4.0, 80), RNG.vonmises(0.5, 9.0, 60)])
    X = np.column_stack([np.cos(angle), np.sin(angle)])
    of_angles = ExponentialFamilyMixture("von_mises", random_state=0, tol=1e-12).fit(angle[:, np.newaxis])
    mixture = VonMisesFisherMixture(random_state=0, tol=1e-12).fit(X)
    assert mixture.lower_bound_ == pytest.approx(of_angles.lower_bound_, abs=1e-10)
    assert mixture.n_parameters_ == of_angles.n_parameters_
    order = np.argsort(mixture.concentrations_)
    expected = of_angles.means_[np.argsort(of_angles.concentrations_[:, 0]), 0]
    np.testing.assert_allclose(np.arctan2(mixture.means_[order, 1], mixture.means_[order, 0]), expected, atol=1e-4)


def plain_em(log_density: Any, maximize: Any, parameters: Any, X: Any, steps: int) -> float:
    """Mean log-likelihood after steps of EM from two components; log_density and maximize are of one."""
    w = np.full(2, 0.5)
    for _ in range(steps):
        joint = np.log(w) + np.stack([log_density(X, own) for own in parameters], axis=1)
        q = np.exp(joint - np.logaddexp.reduce(joint, axis=1, keepdims=True))
        w, parameters = q.mean(axis=0), [maximize(X, r) for r in q.T]
    joint = np.log(w) + np.stack([log_density(X, own) for own in parameters], axis=1)
    return float(np.logaddexp.reduce(joint, axis=1).mean())


def test_two_components_are_those_of_plain_em() -> None:
    def direction(X: Any, r: Any) -> Any:
        """In three dimensions the mean length is coth(k) - 1 / k."""
        m = r @ X / r.sum()
        low, high = 1e-6, 1e4
        for _ in range(80):
            k = 0.5 * (low + high)
            low, high = (k, high) if 1.0 / np.tanh(k) - 1.0 / k < np.linalg.norm(m) else (low, k)
        return m / np.linalg.norm(m), k

    def log_direction(X: Any, own: Any) -> Any:
        mu, k = own
        return k * (X @ mu) + np.log(k / (2.0 * np.pi)) - k - np.log1p(-np.exp(-2.0 * k))

    mixture = VonMisesFisherMixture(random_state=0, tol=1e-12).fit(DIRECTIONS)
    start = [direction(DIRECTIONS, np.arange(120) < 70), direction(DIRECTIONS, np.arange(120) >= 70)]
    expected = plain_em(log_direction, direction, start, DIRECTIONS, 200)
    assert mixture.score(DIRECTIONS) == pytest.approx(expected, abs=1e-9)

    def composition(X: Any, r: Any) -> Any:
        """The fixed point of Minka (2000), Eqn. 9, with digamma inverted by bisection."""
        mean, a = r @ np.log(X) / r.sum(), np.ones(3)
        for _ in range(300):
            target, low, high = special.digamma(a.sum()) + mean, np.full(3, 1e-6), np.full(3, 1e4)
            for _ in range(50):
                a = 0.5 * (low + high)
                low, high = np.where(special.digamma(a) < target, a, low), np.where(special.digamma(a) < target, high, a)
        return a

    mixture = DirichletMixture(random_state=0, tol=1e-12).fit(SHARES)
    start = [composition(SHARES, np.arange(120) < 70), composition(SHARES, np.arange(120) >= 70)]
    expected = plain_em(lambda X, a: stats.dirichlet.logpdf(X.T, a), composition, start, SHARES, 15)
    assert mixture.score(SHARES) == pytest.approx(expected, abs=1e-8)


@every
def test_lengths_are_nothing_or_refused(kind: Any) -> None:
    X = DATA[kind]
    rows = np.random.default_rng(0).uniform(0.1, 9.0, size=(len(X), 1)) * X
    fits = [kind(random_state=0, tol=1e-12).fit(rows), kind(random_state=0, tol=1e-12, normalize=False).fit(X)]
    assert fits[0].lower_bound_ == pytest.approx(fits[1].lower_bound_, rel=1e-10)
    message = (
        rf"^{kind.__name__} takes rows (of unit length|that sum to one) \(.*normalize=True.*\); X holds 120 other rows\.$"
    )
    strict = kind(normalize=False)
    for use in (strict.fit, fits[1].score, fits[1].predict, fits[1].entropy_sum):
        with pytest.raises(ValueError, match=message):
            use(rows)
    # Rounding in single precision is none of that.
    strict.fit(X.astype(np.float32))
    block = ColumnMixture([("rows", kind(normalize=False), [0, 1, 2])])
    with pytest.raises(ValueError, match=r"ColumnMixture takes in block 'rows' rows .*; X holds 120 other rows"):
        block.fit(rows)


@every
@pytest.mark.parametrize("table", [False, True])
def test_fits_are_the_same_whatever_the_lengths_of_rows(kind: Any, table: bool) -> None:
    """From single starts, which would differ if seeds did."""
    rng = np.random.default_rng(0)
    X, y = np.tile(DATA[kind], (2, 1)) * rng.uniform(0.8, 1.2, size=(240, 3)), rng.exponential(size=(240, 1))
    lengths = rng.uniform(0.1, 9.0, size=(240, 1))
    for seed in range(4):
        options = {"n_components": 4, "random_state": seed, "n_starts": 1, "tol": 1e-12}
        model = ColumnMixture([("rows", kind(), [0, 1, 2]), ("y", "gamma", [3])], **options) if table else kind(**options)
        fits = [clone(model).fit(np.hstack([rows, y]) if table else rows) for rows in (X, 4.0 * X, lengths * X)]
        for other in fits[1:]:
            np.testing.assert_allclose(other.weights_, fits[0].weights_, rtol=1e-6)


@every
def test_a_row_of_zeros_says_nothing(kind: Any) -> None:
    X = np.vstack([DATA[kind], np.zeros((2, 3))])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of zeros
        mixture = kind(random_state=0, tol=1e-12).fit(X)
    without = kind(random_state=0, tol=1e-12).fit(DATA[kind])
    np.testing.assert_allclose(mixture.predict_proba(X)[-2:], np.tile(mixture.weights_, (2, 1)), rtol=1e-12)
    np.testing.assert_allclose(mixture.score_samples(X)[-2:], 0.0, atol=1e-12)
    assert mixture.lower_bound_ * len(X) == pytest.approx(without.lower_bound_ * (len(X) - 2), rel=1e-9)
    assert abs(mixture.stationarity_gap_) < 1e-6
    with pytest.raises(ValueError, match="nothing but zeros"):
        kind().fit(np.zeros((5, 3)))


def test_a_composition_of_zeros_says_nothing_in_a_table_either() -> None:
    X = np.column_stack([np.vstack([SHARES, np.zeros((2, 3))]), np.random.default_rng(0).normal(size=122)])
    with pytest.warns(UserWarning, match="6 zeros in column 0, column 1, column 2"):
        mixture = ColumnMixture([("shares", DirichletMixture(), [0, 1, 2]), ("x", "gaussian", [3])], random_state=0).fit(X)
    alone = ExponentialFamilyMixture("gaussian").from_parameters("gaussian", mixture.weights_, **mixture.parameters_["x"])
    np.testing.assert_allclose(mixture.score_samples(X)[-2:], alone.score_samples(X[-2:, 3:]), rtol=1e-9)


def test_zeros_of_compositions() -> None:
    X = SHARES.copy()
    X[:4, 1] = 0.0
    with pytest.warns(UserWarning, match="4 zeros in column 1 are replaced by half of the column's smallest positive"):
        mixture = DirichletMixture(random_state=0).fit(X)
    filled = X.copy()
    filled[:4, 1] = 0.5 * X[4:, 1].min()
    assert DirichletMixture(random_state=0).fit(filled).lower_bound_ == pytest.approx(mixture.lower_bound_, rel=1e-9)
    with pytest.raises(
        ValueError,
        match=r"takes positive parts, none .* rows out\); X holds 4 other values, in column 1",
    ):
        DirichletMixture(zeros="error").fit(X)
    with pytest.raises(ValueError, match=r"Negative values in data: .* 120 other values, in column 'b'"):
        DirichletMixture().fit(pd.DataFrame(SHARES * [1, -1, 1], columns=list("abc")))


@pytest.mark.parametrize("zeros", ["warn", 1e-3])
def test_rows_that_sum_to_one_may_hold_zeros(zeros: Any) -> None:
    """Substitutes of zeros raise the sums, which are checked before."""
    X = SHARES.copy()
    X[:4] = [0.5, 0.5, 0.0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of zeros
        strict, lenient = (DirichletMixture(normalize=n, zeros=zeros, random_state=0).fit(X) for n in (False, True))
    np.testing.assert_allclose(strict.score_samples(X), lenient.score_samples(X), rtol=1e-9)
    with pytest.raises(ValueError, match=r"X holds 3 other rows"):
        strict.score(np.vstack([X, np.tile([0.5, 0.4, 0.0], (3, 1))]))


def test_a_composition_of_zeros_says_nothing_where_zeros_are_refused() -> None:
    mixture = DirichletMixture(zeros="error", random_state=0).fit(np.vstack([SHARES, np.zeros((1, 3))]))
    for own in (mixture, DirichletMixture.from_parameters(mixture.weights_, mixture.concentrations_)):
        np.testing.assert_allclose(own.score_samples(np.zeros((2, 3))), 0.0, atol=1e-12)
        np.testing.assert_allclose(own.predict_proba([[0.0, 0.0, 0.0]]), [mixture.weights_], rtol=1e-12)
        with pytest.raises(ValueError, match="holds 1 other value"):
            own.score_samples([[0.0, 0.5, 0.5], [0.0, 0.0, 0.0]])


@every
def test_one_column_is_no_row(kind: Any) -> None:
    with pytest.raises(ValueError, match=r"two columns or more; got 1 feature"):
        kind().fit(DATA[kind][:, :1])


@every
def test_gaps_are_refused_as_gaps(kind: Any) -> None:
    X = np.column_stack([DATA[kind], np.ones(120)])
    X[0, 1] = np.nan
    with pytest.raises(
        ValueError, match=rf"^{kind.__name__} takes (?!rows).*missing .* rows out\); X holds 1 other value, in"
    ):
        kind().fit(X[:, :3])
    blocks = [("all", kind(), [0, 1, 2]), ("x", "gaussian", [3])]
    with pytest.raises(ValueError, match=r"missing .*\) in block 'all' \(.*\); X holds 1 other value, in column 1"):
        ColumnMixture(blocks).fit(X)


def test_only_blocks_that_may_refuse_rows_are_named() -> None:
    blocks = [("a", VonMisesFisherMixture(normalize=False), [0, 1]), ("b", VonMisesFisherMixture(), [2, 3])]
    X = normalize(np.random.default_rng(0).normal(size=(30, 4)))
    X[:-1, :2] = normalize(X[:-1, :2])
    message = r"takes in block 'a' rows of unit length [^;]*; X holds 1 other row\.$"
    with pytest.raises(ValueError, match=message):
        ColumnMixture(blocks).fit(X)


@every
def test_rows_that_coincide_are_reported(kind: Any) -> None:
    X = DATA[kind].copy()
    X[:30] = X[0]
    start = {"concentrations_init": [1e4 * X[0], np.ones(3)]}
    if kind is VonMisesFisherMixture:
        start = {"means_init": X[[0, -1]], "concentrations_init": [1e4, 1.0]}
    with pytest.warns(ConvergenceWarning, match="collapsed onto .* a single (direction|composition).*prior_counts"):
        mixture = kind(**start).fit(X)
    assert np.isfinite(mixture.score_samples(X)).all()
    assert mixture.is_degenerate
    assert mixture.concentrations_.reshape(2, -1).sum(axis=1).max() == pytest.approx(1e8, rel=1e-6)
    smooth = kind(random_state=0, prior_counts=1.0).fit(X)
    assert not smooth.is_degenerate
    with pytest.warns(ConvergenceWarning, match="all rows have .* the same"):
        kind(1).fit(np.tile(X[:1], (9, 1)))


def second_differences(function: Any, at: Any, h: float) -> Any:
    """Matrix of second derivatives, to second order."""
    steps = h * np.eye(len(at))
    return np.array(
        [
            [function(at + a + b) - function(at + a - b) - function(at - a + b) + function(at - a - b) for a in steps]
            for b in steps
        ]
    ) / (4.0 * h * h)


@every
def test_standard_errors_are_those_of_the_curvature(kind: Any) -> None:
    """In natural parameters and a logit, by differences of the likelihood."""
    X = DATA[kind]
    mixture = kind(random_state=0, tol=1e-13, max_iter=5000).fit(X)
    family = mixture._get_components().family
    standard = [getattr(mixture, name + "_") for name in family.parameter_names]

    def log_likelihood(at: Any) -> float:
        w = special.expit([at[0], -at[0]])
        given = family.to_standard(at[1:].reshape(2, 3))
        return len(X) * kind.from_parameters(w, *given).score(X)

    at = np.append(special.logit(mixture.weights_[0]), family.from_standard(tuple(standard)))
    covariance = np.linalg.inv(-second_differences(log_likelihood, at, 1e-3))
    errors = mixture.standard_errors(X)
    along = np.eye(7)[1:] if kind is DirichletMixture else np.zeros((2, 7))
    if kind is VonMisesFisherMixture:
        along[0, 1:4], along[1, 4:] = mixture.means_
    expected = np.sqrt(np.einsum("ij,jk,ik->i", along, covariance, along))
    np.testing.assert_allclose(np.ravel(errors["concentrations"]), expected, rtol=1e-3)
    (w, _), of_logit = mixture.weights_, np.sqrt(covariance[0, 0])
    np.testing.assert_allclose(errors["weights"][0], w * (1.0 - w) * of_logit, rtol=1e-3)


def test_standard_error_of_one_concentration() -> None:
    """1 / (n A'(k)), and in three dimensions A' = 1 / k^2 - 1 / sinh^2 k."""
    mixture = VonMisesFisherMixture(1).fit(DIRECTIONS)
    (k,) = mixture.concentrations_
    expected = 1.0 / np.sqrt(len(DIRECTIONS) * (k**-2 - np.sinh(k) ** -2))
    assert mixture.standard_errors(DIRECTIONS)["concentrations"][0] == pytest.approx(expected, rel=1e-6)


def test_intervals_of_mean_directions_are_those_of_angles() -> None:
    """Next to a limit of the entries the interval is as long as the angle's, not its square root."""
    rng = np.random.default_rng(1)
    X = normalize(np.array([-1.0, 0.03, 0.0]) + 0.3 * rng.normal(size=(300, 3)))
    mixture = VonMisesFisherMixture(1).fit(X)
    low, high = mixture.standard_errors(X).confidence_intervals()["means"][0].T
    assert (low <= mixture.means_[0]).all()
    assert (mixture.means_[0] <= high).all()
    means = np.array([rng.choice(X, len(X)).sum(axis=0) for _ in range(400)])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    expected = np.quantile(means, [0.025, 0.975], axis=0)
    assert low[0] >= -1.0
    assert high[0] + 1.0 < 3.0 * (expected[1, 0] + 1.0)
    np.testing.assert_allclose(high[1:] - low[1:], np.diff(expected, axis=0)[0, 1:], rtol=0.2)


def test_documents_stay_sparse() -> None:
    n, D = 1000, 20_000
    rng = np.random.default_rng(0)
    topics = np.repeat([[0], [1]], n // 2, axis=0)
    words = rng.integers(100, size=(n, 30)) + 10_000 * topics
    X = sparse.csr_matrix((np.ones(30 * n), words.ravel(), np.arange(0, 30 * n + 1, 30)), shape=(n, D))
    X.sum_duplicates()
    tracemalloc.start()
    mixture = VonMisesFisherMixture(random_state=0, n_starts=4).fit(X)
    labels, peak = mixture.predict(X), tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.unique(labels[: n // 2]).size == np.unique(labels[n // 2 :]).size == 1
    assert labels[0] != labels[-1]
    assert abs(mixture.stationarity_gap_) < 1e-6
    assert peak < 0.3 * 8 * n * D  # of a dense table
    few = X[::10][:, X.getnnz(axis=0) > 0]
    sparse_fit, dense_fit = (VonMisesFisherMixture(random_state=0).fit(rows) for rows in (few, few.toarray()))
    assert dense_fit.lower_bound_ == pytest.approx(sparse_fit.lower_bound_, rel=1e-10)


def test_digits_are_told_apart_by_their_directions() -> None:
    X, y = load_digits(return_X_y=True)
    mixture = VonMisesFisherMixture(10, random_state=0).fit(X)
    assert mixture.converged_
    assert abs(mixture.stationarity_gap_) < 1e-6
    purity = sum(np.bincount(y[mixture.predict(X) == c]).max() for c in range(10)) / len(y)
    assert purity > 0.75


@every
def test_blocks_of_tables_weights_and_streams(kind: Any) -> None:
    rng = np.random.default_rng(0)
    X = np.column_stack([DATA[kind], rng.normal(size=120), rng.poisson(3.0, size=120)])
    X[::9, 3] = np.nan
    weight = rng.integers(1, 4, size=120)
    blocks = [("rows", kind(), [0, 1, 2]), ("size", "gaussian", [3]), ("count", "poisson", [4])]
    mixture = ColumnMixture(blocks, accelerate=False, tol=1e-7, random_state=0).fit(X, sample_weight=weight)
    sums, bounds = np.array([terms.value for terms in mixture.entropy_sums_]), np.array(mixture.lower_bounds_)
    assert np.all(sums <= bounds + 1e-10)
    assert np.all(bounds[:-1] <= sums[1:] + 1e-10)
    assert mixture.families_["rows"] in ("von_mises_fisher", "dirichlet")
    assert set(mixture.parameters_["rows"]) <= {"means", "concentrations"}
    drawn, _ = mixture.sample(50, random_state=0)
    assert drawn.shape == (50, 5)
    stream = RowBlocks(lambda: [DATA[kind][:50], DATA[kind][50:]])
    assert kind(random_state=0).fit(stream).lower_bound_ == pytest.approx(kind(random_state=0).fit(DATA[kind]).lower_bound_)
    assert rank_models([kind(k, random_state=0) for k in (1, 2)], DATA[kind]).best_.n_components == 2


@every
def test_given_parameters(kind: Any) -> None:
    fitted = kind(random_state=0, tol=1e-12).fit(DATA[kind])
    names = ["means", "concentrations"] if kind is VonMisesFisherMixture else ["concentrations"]
    given = {name: getattr(fitted, name + "_") for name in names}
    same = kind.from_parameters(fitted.weights_, **given)
    np.testing.assert_allclose(same.score_samples(DATA[kind]), fitted.score_samples(DATA[kind]), rtol=1e-9, atol=1e-12)
    assert same.n_parameters_ == fitted.n_parameters_ == 7
    start = {f"{name}_init": value for name, value in given.items()}
    again = kind(2, weights_init=fitted.weights_, **start).fit(DATA[kind])
    assert again.n_iter_ <= 3
    with pytest.raises(ValueError, match=r"concentrations.* must be at most 1e\+08; got"):
        kind.from_parameters(fitted.weights_, **{**given, "concentrations": 1e9 * given["concentrations"]})
    narrow = {name: np.asarray(value)[:, :1] if np.ndim(value) > 1 else value for name, value in given.items()}
    with pytest.raises(ValueError, match="two columns or more; got 1 feature"):
        kind.from_parameters(fitted.weights_, **narrow)
    with pytest.raises(ValueError, match="concentrations must be"):
        kind.from_parameters(fitted.weights_, **{**given, "concentrations": -given["concentrations"]})
    if kind is VonMisesFisherMixture:
        with pytest.raises(ValueError, match=r"means must be unit vectors; got lengths from 2 to 2"):
            kind.from_parameters(fitted.weights_, 2.0 * given["means"], given["concentrations"])
        halfway = kind(2, means_init=given["means"]).fit(DATA[kind])
        assert halfway.lower_bound_ == pytest.approx(fitted.lower_bound_, rel=1e-6)


@pytest.mark.parametrize("name", ["DirichletMixture", "VonMisesFisherMixture"])
def test_what_is_held_at_a_bound_stays_there(name: str) -> None:
    components = problem(name)[0].components
    own = problem(name)[1].components
    free, held = own.eta[1], 1e12 * (own.eta[0] + 1.0)
    at = components.parameters(np.stack([held, free]))
    np.testing.assert_array_equal(components.family.at_bound(at.eta), [True, False])
    moved = components.moved(at, np.full_like(at.eta, 1e-3))
    np.testing.assert_array_equal(moved.eta[0], held)
    np.testing.assert_allclose(moved.eta[1], free + 1e-3, rtol=1e-12)


def test_rows_of_stored_zeros_hold_no_values() -> None:
    X = sparse.csr_matrix((np.array([0.0, 0.01, 0.0, 2.0]), np.array([0, 1, 0, 1]), np.array([0, 1, 2, 2, 4])), shape=(4, 3))
    np.testing.assert_array_equal(_has_values(X), [False, True, False, True])
    np.testing.assert_array_equal(_has_values(X.toarray()), [False, True, False, True])
