"""What factor models refuse or leave out, in any units, and terms of parameters that are no maximum."""

from contextlib import nullcontext

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone

from skentropy._em import _fit
from skentropy.decomposition import PPCA, FactorAnalysis, _rotation
from skentropy.decomposition._covariance_input import check_covariance
from skentropy.decomposition._em_model import StandardisedData, Table
from skentropy.decomposition._finish import LEFT_OVER
from skentropy.decomposition._gaussian import LinearGaussian
from skentropy.decomposition._n_components import _redundant, _total
from skentropy.decomposition._rotation import _GEOMETRIES, _long_step, _lowest
from skentropy.decomposition._spectrum import MatrixCovariance, RowsCovariance, SparseCovariance


@pytest.mark.parametrize("estimator", [PPCA, FactorAnalysis])
@pytest.mark.parametrize("shape", [(3, 10), (10, 3)])
def test_more_components_than_rows_or_columns_are_refused(estimator, shape):
    X = np.random.default_rng(0).normal(size=shape)
    with pytest.raises(ValueError, match="n_components=4"):
        estimator(4).fit(X)


@pytest.mark.parametrize("unit", [1e-8, 1.0, 1e8])
def test_covariances_are_checked_on_the_scale_of_correlations(unit):
    with pytest.raises(ValueError, match="must be symmetric"):
        PPCA(1).fit_covariance(unit * np.array([[1.0, 0.5], [0.4, 1.0]]), 50)
    with pytest.raises(ValueError, match=r"it has the eigenvalue -1\."):
        PPCA(1).fit_covariance(unit * np.array([[1.0, 2.0], [2.0, 1.0]]), 50)


@pytest.mark.parametrize(("least", "refused"), [(-2.985e-8, False), (-3.015e-8, True)])
def test_an_eigenvalue_below_zero_by_rounding_is_none(least, refused):
    """Of 1e-8 for each column."""
    correlation = 0.5 * (least - 1.0)
    R = np.full((3, 3), correlation) + (1.0 - correlation) * np.eye(3)
    with pytest.raises(ValueError, match="positive semidefinite") if refused else nullcontext():
        check_covariance(R)


@pytest.mark.parametrize("unit", [1e-5, 1.0, 1e5])
def test_totals_are_found_in_any_units(unit):
    assert _total(unit * np.array([1.0, 1.0, -2.0, 1e-8, 1.0])) == 2
    assert _total(unit * np.array([1.0, 1.001, -2.0])) is None
    # Either of two columns that are multiples of each other.
    assert _total(unit * np.array([1.0, 0.0, 3.0])) is None


@pytest.mark.parametrize(("n", "told"), [(6, False), (7, True), (8, True)])
def test_a_sum_of_columns_is_told_from_too_few_rows(n, told):
    X = np.random.default_rng(0).normal(size=(n, 5))
    X = np.column_stack([X, X[:, 0] + X[:, 1]])
    X -= X.mean(axis=0)
    found = _redundant(MatrixCovariance(np.zeros(6), X.T @ X / n), float(n))
    assert found.tolist() == [False] * 5 + [told]


@pytest.mark.parametrize(("weight", "told"), [(5.995, False), (6.005, True)])
def test_rows_with_weights_that_sum_to_no_whole_number(weight, told):
    R = np.eye(6)
    R[4, 5] = R[5, 4] = 0.99  # nearly the same
    R[0] = R[:, 0] = [1.0, *np.full(3, 1.0 / np.sqrt(3.0)), 0.0, 0.0]  # a sum of three others
    found = _redundant(MatrixCovariance(np.zeros(6), R), weight)
    assert found.tolist() == [told] + [False] * 5


def test_of_columns_that_are_the_same_the_first_is_kept_however_few_the_rows():
    assert _redundant(MatrixCovariance(np.zeros(3), np.ones((3, 3))), 2.0).tolist() == [False, True, True]


@pytest.mark.parametrize("isotropic", [False, True])
def test_entropies_of_parameters_that_are_no_maximum_are_those_of_their_own_posteriors(incomplete, isotropic):
    X, weight = incomplete
    rng = np.random.default_rng(0)
    location, scale = rng.normal(size=6), np.full(6, 1.7) if isotropic else rng.uniform(0.5, 2.0, 6)
    noise = np.full(6, 0.7) if isotropic else rng.uniform(0.5, 1.5, 6)
    p = LinearGaussian.of(rng.normal(size=6), rng.normal(size=(6, 2)), noise)
    tables = Table.of((X - location) / scale, weight)
    data = StandardisedData.of(tables, location, scale, isotropic=isotropic, floor=np.zeros(6))
    terms = data.model.fresh_entropy_sum(p, data.expect(p))
    _, posterior, observable = np.average(p.rescaled(location, scale).evaluate(X), axis=0, weights=weight)
    assert terms.posterior == pytest.approx(posterior, rel=1e-10)
    assert terms.observable == pytest.approx(observable, rel=1e-10)
    assert terms.prior == pytest.approx(np.log(2.0 * np.pi * np.e), rel=1e-12)


@pytest.mark.parametrize("model", [PPCA(3), FactorAnalysis(3), FactorAnalysis(3, rotation="oblimin")], ids=str)
def test_errors_and_estimates_are_in_the_units_of_the_data(load, model):
    X = load("wine") / load("wine").std(axis=0)
    errors = clone(model).fit(X).standard_errors()
    fitted = clone(model).fit(X)
    for name, values in errors.estimates.items():
        np.testing.assert_allclose(values, getattr(fitted, f"{name}_", np.eye(3)), rtol=1e-6, atol=1e-9)
    assert len(set(errors.names)) == len(errors.names) == len(errors.covariance)
    intervals = errors.confidence_intervals()
    noise, steps = errors.estimates["noise_variance"], 1.959963984540054 * errors["noise_variance"]
    of_noise = [noise * np.exp(-steps / noise), noise * np.exp(steps / noise)]
    np.testing.assert_allclose(intervals["noise_variance"], np.stack(of_noise, axis=-1), rtol=1e-8)
    assert np.abs(intervals["factor_correlation"]).max() <= 1.0 + 1e-12
    # The same in other units, from another place.
    units = np.full(13, 7.0) if isinstance(model, PPCA) else np.random.default_rng(0).uniform(0.2, 5.0, 13)
    moved = clone(model).fit(X * units + 3.0).standard_errors()
    squares = units[0] ** 2 if isinstance(model, PPCA) else units**2
    for name, factor in (("components", units), ("noise_variance", squares), ("mean", units), ("factor_correlation", 1.0)):
        np.testing.assert_allclose(moved[name], errors[name] * factor, rtol=1e-3, atol=1e-9)
        shift = 3.0 if name == "mean" else 0.0
        np.testing.assert_allclose(moved.estimates[name], errors.estimates[name] * factor + shift, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("estimator", [PPCA, FactorAnalysis])
def test_estimates_with_gaps_are_those_of_the_fit(incomplete, estimator):
    X, weight = incomplete
    model = estimator(1).fit(X, sample_weight=weight)
    estimates = model.standard_errors(X, weight).estimates
    assert np.abs(model.mean_ - np.nanmean(X, axis=0)).max() > 0.01
    for name in ("mean", "components", "noise_variance"):
        np.testing.assert_allclose(estimates[name], getattr(model, f"{name}_"), rtol=1e-10)


@pytest.mark.parametrize(("ratio", "level"), [(999.0, True), (1001.0, False)])
@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e4])
def test_variances_of_one_order_are_within_a_thousand(ratio, level, unit):
    variances = unit * np.array([1.0, 30.0, 0.0, ratio])
    assert MatrixCovariance(np.zeros(4), np.diag(variances))._is_level() is level


@pytest.mark.parametrize("shape", [(8, 5), (5, 8), (300, 280)], ids=str)
def test_scaled_rows_have_scaled_means_and_moments(shape):
    """Also where they are not copied; and nothing is left of rows that a few directions explain."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(shape[0], 2)) @ rng.normal(size=(2, shape[1])) + 3.0
    scale = rng.uniform(1e-4, 1e-3, shape[1])
    kinds = [RowsCovariance.of(X, None), SparseCovariance.of(sparse.csr_array(X), None)]
    kinds.append(MatrixCovariance(X.mean(axis=0), np.cov(X.T, bias=True)))
    for covariance in kinds:
        scaled = covariance.scaled(scale).scaled(np.full(shape[1], 2.0))
        np.testing.assert_allclose(scaled.mean, 2.0 * scale * X.mean(axis=0), rtol=1e-10)
        expected = np.cov((2.0 * scale * X).T, bias=True)
        np.testing.assert_allclose(scaled.variances, np.diag(expected), rtol=1e-9)
        np.testing.assert_allclose(scaled.product(np.eye(shape[1])), expected, atol=1e-9 * expected.max())
        assert scaled.leading(2).rest < 1e-9 * np.trace(expected)


def test_factors_that_correlate_at_all_have_a_table(load):
    X = load("wine")
    assert "correlations" not in FactorAnalysis(2, rotation="varimax").fit(X).summary().to_frames()
    model = FactorAnalysis(2, rotation="oblimin").fit(X)
    model.factor_correlation_ = np.array([[1.0, 0.003], [0.003, 1.0]])
    np.testing.assert_array_equal(model.summary()["correlations"].to_frame(), model.factor_correlation_)


def test_summaries_of_factors_that_explain_nearly_nothing(load):
    """Complexities and shares do not depend on how much is explained; factors are then hardly determined."""
    model = FactorAnalysis(2).fit(load("wine"))
    before = model.summary()
    model.components_ = 1e-2 * model.components_
    after, loadings = model.summary(), model.loadings_
    assert loadings.max() < 0.1
    squares = loadings**2
    complexity = squares.sum(axis=1) ** 2 / (squares**2).sum(axis=1)
    np.testing.assert_allclose(after["loadings"].to_frame()["complexity"], complexity, rtol=1e-9)
    share = squares.sum(axis=0) / squares.sum()
    np.testing.assert_allclose(after["variance"].to_frame().loc["proportion of what is explained"], share, rtol=1e-9)
    scale = np.sqrt(np.diag(model.get_covariance()))
    correlation = model.get_covariance() / scale / scale[:, np.newaxis]
    determined = np.diag(loadings.T @ np.linalg.solve(correlation, loadings))
    assert determined.max() < 0.01
    scores = after["scores"].to_frame().to_numpy()
    np.testing.assert_allclose(scores, [np.sqrt(determined), determined, 2.0 * determined - 1.0], rtol=1e-9)
    assert before["scores"].to_frame().to_numpy()[1].min() > 0.5


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("accelerate", "tol", "passed_on"), [(True, 1e-12, None), (True, 1.0, 1.0), (False, 1e-12, 1e-12)])
def test_em_leaves_to_the_climb_what_is_less_than_it_takes(monkeypatch, load, accelerate, tol, passed_on):
    """But no less than the user allows."""
    asked = []
    monkeypatch.setattr(
        _fit, "run_em", lambda *_, run=_fit.run_em, **options: (asked.append(options["tol"]), run(*_, **options))[1]
    )
    FactorAnalysis(1, solver="em", accelerate=accelerate, tol=tol, max_iter=20).fit(load("wine")[:, :5])
    assert asked[:1] == [LEFT_OVER if passed_on is None else passed_on]
    assert tol < LEFT_OVER or passed_on == 1.0


def test_secant_steps_of_rotations():
    """The length over the curvature, at most a thousand times the last one; twice that without curvature."""
    moves = np.array([[[0.3, -0.1]], [[0.3, 0.0]], [[0.3, 0.0]]])
    changes = np.array([[[0.6, 0.2]], [[1e-9, 5.0]], [[-0.1, 0.0]]])
    found = _long_step(np.array([0.5, 0.25, 0.5]), moves, changes)
    np.testing.assert_allclose(found, [0.1 / 0.16, 250.0, 1.0], rtol=1e-12)


def test_of_the_ends_of_rough_rotations_those_near_the_best_go_on(monkeypatch):
    """Within a hundredth of its value; of equal ends the first is taken."""
    given, values = [], [np.full(31, 9.0), np.array([2.0, 1.5, 1.5 + 1e-7]), np.array([1.5])]
    values[0][[3, 8, 20, 30]] = [2.0, 2.019, 2.01, 2.021]

    def descend(A, criterion, geometry, starts, tolerance, max_steps):
        given.append((len(starts), tolerance))
        marks = np.arange(31.0)[:, np.newaxis, np.newaxis] * np.ones((1, 2, 2))
        return values[len(given) - 1], marks if len(given) == 1 else starts

    monkeypatch.setattr(_rotation, "_descend", descend)
    found = _lowest(np.eye(5)[:, :2], lambda L: L, _GEOMETRIES[False])
    assert given == [(31, 1e-3), (3, 1e-5), (1, 1e-9)]
    np.testing.assert_array_equal(found, 8.0)
    values[0][:], values[1] = -values[0], -values[1]
    values[0][[3, 8, 20, 30]] = [-20.0, -19.9, -19.81, -19.79]
    given.clear()
    _lowest(np.eye(5)[:, :2], lambda L: L, _GEOMETRIES[False])
    assert given == [(31, 1e-3), (3, 1e-5), (1, 1e-9)]


@pytest.mark.parametrize("estimator", [PPCA, FactorAnalysis])
@pytest.mark.parametrize("missing", [0, 5])
def test_posteriors_without_components(estimator, missing):
    X = np.random.default_rng(0).normal(size=(20, 3))
    X[:missing, 0] = np.nan
    means, variances = estimator(0).fit(X).posterior(X)
    assert means.shape == variances.shape == (20, 0)
