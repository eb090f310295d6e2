"""The estimators as scikit-learn and their users see them."""

import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skentropy.decomposition import PPCA, FactorAnalysis

ESTIMATORS = [PPCA, FactorAnalysis]
degenerate = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def X(load):
    return load("wine")


def assert_same_fit(a, b, rtol=1e-7):
    np.testing.assert_allclose(
        a.get_covariance(), b.get_covariance(), rtol=rtol, atol=rtol * np.abs(b.get_covariance()).max()
    )
    np.testing.assert_allclose(a.mean_, b.mean_, rtol=1e-12, atol=1e-12)
    assert a.lower_bound_ == pytest.approx(b.lower_bound_, rel=1e-10)


VARIANTS = [
    PPCA(2),
    PPCA(2, solver="arpack"),
    PPCA(2, solver="randomized", random_state=0),
    PPCA(2, solver="em", random_state=0, tol=1e-13),
    FactorAnalysis(2),
    FactorAnalysis(2, solver="em", tol=1e-13),
]


@pytest.mark.parametrize("model", VARIANTS, ids=str)
def test_solvers_agree(X, model):
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    fitted = clone(model).fit(Z)
    exact = (PPCA(2) if isinstance(model, PPCA) else FactorAnalysis(2)).fit(Z)
    assert fitted.lower_bound_ == pytest.approx(exact.lower_bound_, abs=1e-9)
    np.testing.assert_allclose(fitted.get_covariance(), exact.get_covariance(), atol=2e-5)


@pytest.mark.parametrize("model", VARIANTS, ids=str)
def test_weights_are_copies(X, model):
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    counts = np.random.default_rng(0).integers(0, 4, len(X))
    rtol = 1e-4 if model.solver == "em" else 1e-7
    assert_same_fit(clone(model).fit(X, sample_weight=counts), clone(model).fit(np.repeat(X, counts, axis=0)), rtol=rtol)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_weights_are_copies_with_gaps(incomplete, estimator):
    X, _ = incomplete
    counts = np.random.default_rng(0).integers(0, 4, len(X))
    a, b = (
        estimator(1, tol=1e-14).fit(X, sample_weight=counts),
        estimator(1, tol=1e-14).fit(np.repeat(X, counts, axis=0)),
    )
    assert a.lower_bound_ == pytest.approx(b.lower_bound_, abs=1e-11)
    assert a.score(X, sample_weight=counts) == pytest.approx(a.lower_bound_, abs=1e-11)
    assert a.bic(X, sample_weight=counts) == pytest.approx(b.bic(np.repeat(X, counts, axis=0)), rel=1e-9)


@pytest.mark.parametrize("model", VARIANTS, ids=str)
def test_far_from_zero(model):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2)) @ rng.uniform(-1.0, 1.0, size=(2, 8)) + rng.normal(size=(400, 8))
    X /= X.std(axis=0)
    far = X + 1e8
    near = far - 1e8
    a, b = clone(model).fit(far), clone(model).fit(near)
    np.testing.assert_allclose(a.components_, b.components_, atol=1e-7)
    assert a.score(far) == pytest.approx(b.score(near), abs=1e-7)
    np.testing.assert_allclose(a.transform(far), b.transform(near), atol=1e-6)
    batches = clone(model).partial_fit(far[:60]).partial_fit(far[60:200]).partial_fit(far[200:])
    np.testing.assert_allclose(batches.get_covariance(), type(model)(2).fit(near).get_covariance(), atol=1e-6)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("splits", [[50], [1, 2, 3, 100], [177]])
def test_any_split_gives_the_same_fit(X, estimator, splits):
    weight = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    model = estimator(2)
    for rows in np.split(np.arange(len(X)), splits):
        with warnings.catch_warnings():
            # Of the first few rows alone any two components explain everything.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.partial_fit(X[rows], sample_weight=weight[rows])
    assert_same_fit(model, estimator(2).fit(X, sample_weight=weight))
    assert_same_fit(estimator(2).fit(X[:90]).partial_fit(X[90:]), estimator(2).fit(X))


def test_streaming_noise_variance_is_that_of_fit(X):
    # 1.5626... with 1 / (n - 1); IncrementalPCA gives 0.717.
    model = PPCA(2).partial_fit(X[:60]).partial_fit(X[60:])
    assert model.noise_variance_ * 178 / 177 == pytest.approx(1.562, abs=1e-3)


def test_forgetting_factor_discounts_earlier_batches(X):
    a = PPCA(2, forgetting_factor=0.5).partial_fit(X[:60]).partial_fit(X[60:120]).partial_fit(X[120:])
    weight = np.repeat([0.25, 0.5, 1.0], [60, 60, 58])
    assert_same_fit(a, PPCA(2).fit(X, sample_weight=weight))


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array])
@pytest.mark.parametrize("shape", [(300, 40), (60, 700)])
@pytest.mark.parametrize("model", [PPCA(3), PPCA(3, solver="arpack"), FactorAnalysis(3, noise_floor=1e-3)], ids=str)
@degenerate
def test_sparse_is_dense(container, shape, model):
    S = sp.random(*shape, density=0.1, random_state=0)
    dense = S.toarray()
    a, b = clone(model).fit(container(S)), clone(model).fit(dense)
    np.testing.assert_allclose(a.components_, b.components_, atol=1e-6)
    assert a.lower_bound_ == pytest.approx(b.lower_bound_, rel=1e-6)
    np.testing.assert_allclose(b.score_samples(container(S)), b.score_samples(dense), rtol=1e-8)
    np.testing.assert_allclose(b.transform(container(S)), b.transform(dense), atol=1e-9)
    randomized = PPCA(3, solver="randomized", random_state=0)
    np.testing.assert_allclose(
        clone(randomized).fit(container(S)).components_, clone(randomized).fit(dense).components_, atol=1e-8
    )


@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csr_array])
@pytest.mark.parametrize("shape", [(300, 12), (60, 700)])
@pytest.mark.parametrize("model", [m for m in VARIANTS if m.solver != "em"], ids=str)
@degenerate
def test_sparse_is_dense_far_from_zero(container, shape, model):
    rng = np.random.default_rng(0)
    dense = rng.normal(size=(shape[0], 2)) @ rng.normal(size=(2, shape[1])) + rng.normal(size=shape)
    dense[:, 0] = 0.1
    dense[:, 1] += 1.7e9
    dense[:, 2] += 1e5
    dense[rng.random(shape[0]) < 0.5, 3] = 0.0
    S, weight = container(dense), rng.uniform(0.5, 2.0, shape[0])
    fits = [(clone(model).fit(S), clone(model).fit(dense))]
    fits += [(clone(model).fit(S, sample_weight=weight), clone(model).fit(dense, sample_weight=weight))]
    fits += [(clone(model).partial_fit(S[:40]).partial_fit(S[40:]), clone(model).partial_fit(dense))]
    for a, b in fits:
        assert_same_fit(a, b)
        assert list(getattr(a, "heywood_", [])) == list(getattr(b, "heywood_", []))
        np.testing.assert_allclose(a.score_samples(S), b.score_samples(dense), rtol=1e-7)
        np.testing.assert_allclose(a.transform(S), b.transform(dense), atol=1e-6)
        np.testing.assert_allclose(a.transform(S[:1]), b.transform(dense[:1]), atol=1e-6)


@pytest.mark.parametrize("shape", [(100, 6), (60, 700)])
@pytest.mark.parametrize("model", VARIANTS, ids=str)
@degenerate
def test_rows_without_weight_are_not_there(shape, model):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(shape[0], 2)) @ rng.normal(size=(2, shape[1])) + rng.normal(size=shape)
    added, weight = np.full((2, shape[1]), 1e17), np.append([0.0, 0.0], rng.uniform(0.5, 2.0, shape[0]))
    added[1, 0] = np.nan
    model = clone(model).set_params(max_iter=20)
    expected = clone(model).fit(X, sample_weight=weight[2:])
    assert_same_fit(clone(model).fit(np.vstack([added, X]), sample_weight=weight), expected)
    if model.solver != "em":
        assert_same_fit(clone(model).fit(sp.csr_array(np.vstack([added[:1], X])), sample_weight=weight[1:]), expected)
    if shape == (100, 6):
        batch = clone(model).partial_fit(np.vstack([added, X]), sample_weight=weight)
        assert_same_fit(batch, clone(model).partial_fit(X, sample_weight=weight[2:]))


@pytest.mark.parametrize("n", [20, 100])
def test_factor_analysis_with_fewer_rows_than_columns(n, log_likelihood):
    rng = np.random.default_rng(n)
    X = rng.normal(size=(n, 3)) @ rng.normal(size=(3, 600)) + rng.normal(size=(n, 600))
    model = FactorAnalysis(3).fit(X)
    assert model._moments is None
    assert model.converged_
    assert model.gradient_ <= 1e-6
    assert model.score(X) == pytest.approx(log_likelihood(X, model.mean_, model.get_covariance()), abs=1e-8)
    if n == 20:
        em = FactorAnalysis(3, solver="em", tol=1e-8).fit(X)
        assert em.lower_bound_ == pytest.approx(model.lower_bound_, abs=1e-4)


def test_large_dense_products_agree_with_full_decomposition():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1200, 3)) @ rng.normal(size=(3, 1100)) + rng.normal(size=(1200, 1100))
    model = PPCA(3).fit(X)
    assert len(model.entropy_sum_path_) == 4
    full = PPCA(3, solver="covariance_eigh").fit(X)
    np.testing.assert_allclose(model.components_, full.components_, atol=1e-8)
    assert model.score(X) == pytest.approx(full.score(X), rel=1e-12)


@pytest.mark.parametrize("model", [PPCA(3), FactorAnalysis(3), FactorAnalysis(3, rotation="geomin")], ids=str)
def test_posteriors(X, model, log_likelihood):
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    model = clone(model).fit(X)
    phi = getattr(model, "factor_correlation_", np.eye(3))
    W, covariance = model.components_.T, model.get_covariance()
    np.testing.assert_allclose(W @ phi @ W.T + np.eye(13) * model.noise_variance_, covariance, atol=1e-12)
    np.testing.assert_allclose(model.get_precision() @ covariance, np.eye(13), atol=1e-10)
    gain = phi @ W.T @ np.linalg.inv(covariance)
    np.testing.assert_allclose(model.transform(X), (X - model.mean_) @ gain.T, atol=1e-10)
    np.testing.assert_allclose(model.posterior_covariance_, phi - gain @ W @ phi, atol=1e-12)
    np.testing.assert_allclose(model.inverse_transform(model.transform(X)), model.transform(X) @ W.T + model.mean_)
    assert list(model.get_feature_names_out()) == [f"{type(model).__name__.lower()}{i}" for i in range(3)]
    gaps = X.copy()
    gaps[::3, 4] = gaps[::3, 7] = np.nan
    seen = ~np.isnan(gaps[0])
    gain = phi @ W[seen].T @ np.linalg.inv(covariance[np.ix_(seen, seen)])
    np.testing.assert_allclose(model.transform(gaps)[0], gain @ (X[0] - model.mean_)[seen], atol=1e-10)
    np.testing.assert_allclose(model.transform(gaps)[1], model.transform(X)[1], atol=1e-12)
    for rows in (X[:9], gaps[:9]):
        expected = [log_likelihood(row[np.newaxis], model.mean_, covariance) for row in rows]
        np.testing.assert_allclose(model.score_samples(rows), expected, rtol=1e-10)
    conditional = model.mean_[4] + covariance[4, seen] @ np.linalg.solve(
        covariance[np.ix_(seen, seen)], (X[0] - model.mean_)[seen]
    )
    assert model.inverse_transform(model.transform(gaps))[0, 4] == pytest.approx(conditional)


@pytest.mark.parametrize("solver", ["covariance_eigh", "arpack", "em"])
def test_explained_variances_are_eigenvalues(X, solver):
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    model = PPCA(3, solver=solver, tol=1e-13, random_state=0).fit(X)
    values = np.linalg.eigvalsh(np.corrcoef(X.T))[::-1]
    np.testing.assert_allclose(model.explained_variance_, values[:3], rtol=1e-5)
    assert model.noise_variance_ == pytest.approx(values[3:].mean(), rel=1e-5)


def test_without_factors_features_are_independent(X):
    model = PPCA(0).fit(X)
    np.testing.assert_allclose(model.get_covariance(), X.var(axis=0).mean() * np.eye(13), rtol=1e-12)
    np.testing.assert_allclose(model.get_precision() @ model.get_covariance(), np.eye(13), rtol=1e-12)


@pytest.mark.parametrize("model", [PPCA(2), FactorAnalysis(2), FactorAnalysis(2, rotation="promax")], ids=str)
def test_samples_have_the_moments_of_the_model(X, model):
    model = clone(model).fit((X - X.mean(axis=0)) / X.std(axis=0) + np.arange(13))
    sample = model.sample(200_000, random_state=0)
    np.testing.assert_allclose(sample.mean(axis=0), model.mean_, atol=0.02)
    np.testing.assert_allclose(np.cov(sample.T), model.get_covariance(), atol=0.02)
    np.testing.assert_array_equal(model.sample(3, 1), model.sample(3, 1))


@pytest.mark.filterwarnings("ignore:PPCA. column 0, column 32, column 39 constant")
def test_choice_of_dimension(load):
    X = load("digits")
    by_share = PPCA(0.8).fit(X)
    ratio = np.sort(np.linalg.eigvalsh(np.cov(X.T)))[::-1]
    expected = np.searchsorted(np.cumsum(ratio) / ratio.sum(), 0.8) + 1
    assert by_share.n_components_ == expected == len(by_share.components_)
    by_bic = PPCA("bic").fit(X)
    varying = PPCA("bic").fit(X[:, X.std(axis=0) > 0])
    assert by_bic.n_components_ == varying.n_components_ == varying.bic_path_.argmin()
    for h in (5, by_bic.n_components_):
        assert by_bic.bic_path_[h] == pytest.approx(PPCA(h).fit(X).bic(X), rel=1e-10)
    rng = np.random.default_rng(0)
    simulated = rng.normal(size=(500, 4)) @ rng.normal(size=(4, 12)) + 0.3 * rng.normal(size=(500, 12))
    assert PPCA("bic").fit(simulated).n_components_ == 4


def test_number_of_parameters_and_criteria(X):
    a, b = PPCA(3).fit(X), FactorAnalysis(3).fit(X)
    assert a.n_parameters_ == 13 * 3 - 3 + 1 + 13
    # 12 components and the noise are any covariance.
    assert PPCA(11).fit(X).n_parameters_ == 13 * 14 // 2 + 13 - 2
    assert PPCA(12).fit(X).n_parameters_ == PPCA(13).fit(X).n_parameters_ == 13 * 14 // 2 + 13
    assert b.n_parameters_ == 13 * 3 - 3 + 13 + 13
    assert b.aic(X) == pytest.approx(-2 * 178 * b.score(X) + 2 * b.n_parameters_)


def test_warm_start_restarts_and_monitor(incomplete, capsys):
    X, _ = incomplete
    model = FactorAnalysis(2, warm_start=True, tol=1e-10).fit(X)
    n_iter, bound = model.n_iter_, model.lower_bound_
    assert model.fit(X).n_iter_ < n_iter
    assert model.lower_bound_ == pytest.approx(bound, abs=1e-9)
    several = FactorAnalysis(2, n_init=4, random_state=0, tol=1e-10, n_jobs=2).fit(X)
    assert several.lower_bound_ >= bound - 1e-9
    PPCA(2, verbose=2, verbose_interval=1).fit(X)
    printed = capsys.readouterr().out
    assert "Initialization 0" in printed
    assert "Iteration 1" in printed
    several = FactorAnalysis(2, n_init=5, random_state=0).fit(np.nan_to_num(X))
    assert several.lower_bound_ >= FactorAnalysis(2).fit(np.nan_to_num(X)).lower_bound_ - 1e-12


def test_no_numbers_of_components_give_no_models(load):
    assert PPCA().fit_path(load("iris"), []) == []


def test_tags_say_what_fit_takes():
    assert not FactorAnalysis(solver="em").__sklearn_tags__().input_tags.sparse
    assert FactorAnalysis().__sklearn_tags__().input_tags.sparse
    assert PPCA("bic").__sklearn_tags__().input_tags.allow_nan
    assert not PPCA(0.9).__sklearn_tags__().input_tags.allow_nan
    assert PPCA(2).__sklearn_tags__().input_tags.allow_nan


def test_no_scatter_is_formed_of_rows_with_gaps(monkeypatch):
    from skentropy.decomposition import _moments

    def gram(*_):
        raise AssertionError("a scatter matrix of rows with gaps")

    X = np.random.default_rng(0).normal(size=(60, 4))
    X[5, 2] = np.nan
    monkeypatch.setattr(_moments, "_gram", gram)
    assert np.isnan(_moments.Moments.of(X).mean).tolist() == [False, False, True, False]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_partial_fit_after_a_fit_that_kept_no_moments(load):
    X = load("iris").copy()
    X[0, 0] = np.nan
    with pytest.raises(ValueError, match="kept no moments to which partial_fit could add rows: X had missing values"):
        FactorAnalysis(1).fit(X).partial_fit(load("iris"))


@pytest.mark.parametrize("rotation", [None, "oblimin"])
def test_posteriors_are_those_of_what_is_observed(incomplete, rotation):
    X, _ = incomplete
    model = FactorAnalysis(2, rotation=rotation).fit(X)
    means, variances = model.posterior(X)
    np.testing.assert_allclose(means, model.transform(X), rtol=1e-12)
    loadings, noise = model.components_.T, model.noise_variance_
    for row, variance in zip(X[:20], variances[:20], strict=True):
        seen = ~np.isnan(row)
        precision = np.linalg.inv(model.factor_correlation_) + (loadings[seen].T / noise[seen]) @ loadings[seen]
        np.testing.assert_allclose(variance, np.diag(np.linalg.inv(precision)), rtol=1e-9)
    complete = np.where(np.isnan(X), 0.0, X)
    np.testing.assert_allclose(model.posterior(complete)[1][0], np.diag(model.posterior_covariance_), rtol=1e-12)
