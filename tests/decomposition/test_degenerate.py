"""Inputs at the edge: what is refused says why, and what is not ends finite."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from skentropy.decomposition import PPCA, FactorAnalysis

MODELS = [(PPCA, "auto"), (PPCA, "em"), (FactorAnalysis, "auto"), (FactorAnalysis, "em")]
both = pytest.mark.parametrize(("estimator", "solver"), MODELS)


@pytest.fixture
def X():
    rng = np.random.default_rng(1)
    return rng.normal(size=(50, 1)) @ np.array([[0.8, 0.9, 1.0, -1.1, 1.2]]) + rng.normal(size=(50, 5))


def assert_finite(model, X):
    for name in ("components_", "mean_", "noise_variance_", "lower_bound_", "stationarity_gap_"):
        assert np.isfinite(getattr(model, name)).all()
    assert (np.asarray(model.noise_variance_) > 0).all()
    assert np.isfinite(model.transform(X)).all()
    assert np.isfinite(model.score_samples(X)).all()


@both
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("case", ["constant", "all constant", "duplicated", "two rows", "two rows, k = 2", "fewer rows"])
def test_finite(X, estimator, solver, case):
    X, k = {
        "constant": (np.c_[X, np.full(50, 3.3)], 2),
        "all constant": (np.full((20, 3), 7.1), 2),
        "duplicated": (np.c_[X, X[:, :2]], 2),
        "two rows": (X[:2], 1),
        "two rows, k = 2": (X[:2], 2),
        "fewer rows": (np.random.default_rng(0).normal(size=(20, 600)), 3),
    }[case]
    model = estimator(k, solver=solver, random_state=0).fit(X)
    assert_finite(model, X)
    assert model.lower_bound_ == pytest.approx(model.score(X), rel=1e-3)


@both
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("columns", "k"), [(1, 0), (1, 1), (5, 0), (5, 4), (5, 5)])
def test_extreme_numbers_of_components(X, log_likelihood, estimator, solver, columns, k):
    X = X[:, :columns]
    model = estimator(k, solver=solver, random_state=0).fit(X)
    assert_finite(model, X)
    assert model.score(X) == pytest.approx(log_likelihood(X, model.mean_, model.get_covariance()), abs=1e-9)
    if k >= columns - 1:
        saturated = log_likelihood(X, X.mean(axis=0), np.cov(X.T, bias=True).reshape(columns, columns))
        assert model.score(X) == pytest.approx(saturated, abs=1e-7)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("shape", [(300, 300), (300, 600)])
@pytest.mark.parametrize("model", [PPCA(1, solver="arpack"), PPCA(1, solver="randomized"), FactorAnalysis(1)], ids=str)
def test_large_data_without_variance(shape, model):
    for container in (np.asarray, sp.csr_array):
        X = container(np.full(shape, 7.1))
        model.fit(X)
        assert_finite(model, X)
        assert not model.components_.any()


def test_constant_columns_are_reported(load):
    X = load("mtcars")
    X = X / X.std(axis=0)
    with pytest.warns(ConvergenceWarning, match="column 11 constant; its noise variance is on its floor") as caught:
        model = FactorAnalysis(1).fit(np.c_[X, np.full(32, 3.3)])
    assert len(caught) == 1
    assert not len(model.heywood_)
    assert model.components_[0, 11] == pytest.approx(0.0, abs=1e-12)
    # A value that always equals its mean is half a nat less than a Gaussian's mean surprise away.
    assert model.stationarity_gap_ == pytest.approx(-0.5, abs=1e-6)
    np.testing.assert_allclose(model.noise_variance_[:11], FactorAnalysis(1).fit(X).noise_variance_, rtol=1e-5)


def test_heywood_cases_are_named(load):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(load("iris"), columns=["sl", "sw", "pl", "pw"])
    with pytest.warns(ConvergenceWarning, match="on its floor.*column 'pl'") as caught:
        model = FactorAnalysis(1).fit(frame)
    assert len(caught) == 1
    assert list(model.heywood_) == ["pl"]
    assert model.converged_
    with pytest.warns(ConvergenceWarning, match="'pl'"):
        em = FactorAnalysis(1, solver="em", tol=1e-12, max_iter=5000).fit(frame)
    assert em.lower_bound_ == pytest.approx(model.lower_bound_, abs=1e-6)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_em_puts_on_the_floor_what_falls_and_nothing_else():
    rng = np.random.default_rng(31)
    X = rng.normal(size=(100, 2)) @ rng.normal(size=(2, 10)) + rng.normal(size=(100, 10)) * rng.uniform(0.1, 2.0, 10)
    profile, em = FactorAnalysis(4).fit(X), FactorAnalysis(4, solver="em").fit(X)
    assert list(profile.heywood_) == list(em.heywood_) == [7]
    assert em.lower_bound_ == pytest.approx(profile.lower_bound_, abs=1e-7)
    # It starts at the maximum above a floor of 1e-3, from where there is little to do.
    assert em.n_iter_ < 15


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_callbacks_stop_every_run_of_em(load):
    pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from version 1.9")
    X = load("iris")

    class Stop:
        def __init__(self, last):
            self.last, self.steps = last, []

        def setup(self, estimator, context):
            pass

        def on_fit_task_begin(self, estimator, context):
            pass

        def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
            if context.task_name != "iteration":
                return False
            self.steps.append(fitted_estimator.n_iter_)
            return len(self.steps) == self.last

        def teardown(self, estimator, context):
            pass

    whole = FactorAnalysis(1, solver="em").fit(X).n_iter_
    for last in range(1, whole + 2):
        stop = Stop(last)
        model = FactorAnalysis(1, solver="em").set_callbacks(stop).fit(X)
        assert stop.steps == list(range(1, min(last, whole) + 1))
        assert model.n_iter_ <= len(stop.steps)


def test_floor_is_relative_to_each_variance(load):
    X = load("iris")
    scale = np.array([1e-4, 1.0, 1e5, 1e2])
    with pytest.warns(ConvergenceWarning):
        a, b = FactorAnalysis(1).fit(X), FactorAnalysis(1).fit(X * scale)
    np.testing.assert_allclose(b.noise_variance_ / scale**2, a.noise_variance_, rtol=1e-5)
    assert a.noise_variance_[2] == pytest.approx(1e-8 * X[:, 2].var(), rel=1e-6)


def test_ppca_without_noise_warns(X):
    with pytest.warns(ConvergenceWarning, match="explains the data completely"):
        model = PPCA(4).fit(X[:4])
    with pytest.raises(ValueError, match="no standard errors if the components explain"):
        model.standard_errors(X[:4])


def test_noise_floor_of_ppca_is_a_share_of_the_mean_variance(X):
    flat = np.column_stack([X[:, :2] @ np.array([[1.0, 2.0, 0.0, -1.0], [0.5, 0.0, 1.0, 1.0]]), np.full(len(X), 7.0)])
    with pytest.warns(ConvergenceWarning, match="explains the data completely"):
        model = PPCA(2).fit(flat)
    assert model.noise_variance_ == pytest.approx(1e-12 * flat.var(axis=0).mean(), rel=1e-6)
    with pytest.warns(ConvergenceWarning):
        nothing = PPCA(1).fit(np.full((10, 3), 2.0))
    assert nothing.noise_variance_ == 1e-12


def test_duplicated_column_keeps_ppca_proper(X):
    model = PPCA(2).fit(np.c_[X, X[:, 0]])
    assert model.stationarity_gap_ == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("estimator", [PPCA, FactorAnalysis])
def test_messages(X, estimator):
    gaps = X.copy()
    gaps[0, 1] = np.nan
    with pytest.raises(ValueError, match=r"n_components=6 is too large: it must be at most min\(n_samples, n_features\)=5"):
        estimator(6).fit(X)
    with pytest.raises(ValueError, match=r"n_components=6 is too large: .* n_features=5"):
        estimator(6).partial_fit(X)
    with pytest.raises(ValueError, match="infinity"):
        estimator().fit(np.where(X > 2, np.inf, X))
    with pytest.raises(ValueError, match="partial_fit takes complete rows"):
        estimator().partial_fit(gaps)
    with pytest.raises(ValueError, match="no observed value in column 1"):
        estimator().fit(np.where(np.arange(5) == 1, np.nan, X))
    with pytest.raises(ValueError, match="Sparse X must be complete"):
        estimator().fit(sp.csr_array(gaps))
    with pytest.raises(ValueError, match="needs dense X"):
        estimator(solver="em").fit(sp.csr_array(X))
    with pytest.raises(ValueError, match=r"non-zero|sample_weight is zero"):
        estimator().fit(X, sample_weight=np.zeros(50))
    with pytest.raises(ValueError, match="has 3 columns, but the model has 1 components"):
        estimator(1).fit(X).inverse_transform(np.zeros((4, 3)))
    with pytest.raises(ValueError, match="kept no moments"):
        estimator(1).fit(gaps).partial_fit(X)
    with pytest.raises(ValueError, match="give standard_errors the X"):
        estimator(1).fit(gaps).standard_errors()
    with pytest.raises(ValueError, match="1 sample"):
        estimator(1).fit(X[:1])
    with pytest.warns(ConvergenceWarning, match="did not converge within max_iter=2"):
        estimator(2, max_iter=2, solver="em", tol=0.0, random_state=0).fit(X)
    gaps[7] = np.nan
    with pytest.warns(UserWarning, match="no observed value in 1 of its rows"):
        model = estimator(1).fit(gaps)
    assert model.score_samples(gaps)[7] == 0.0
    np.testing.assert_allclose(model.inverse_transform(model.transform(gaps))[7], model.mean_)


@pytest.mark.parametrize(("estimator", "solver"), MODELS)
@pytest.mark.parametrize(
    ("dtype", "refused", "taken"),
    [(np.float64, (1e200, 1e-160), (1e72, 1e-72)), (np.float32, (1e20, 1e-16), (1e18, 1e-14))],
)
def test_scales_beyond_the_precision_are_refused(X, estimator, solver, dtype, refused, taken):
    model = estimator(1, solver=solver, random_state=0)
    for factor, near, word in zip(refused, taken, ("large", "small"), strict=True):
        with pytest.raises(ValueError, match=f"too {word} for {np.dtype(dtype)} in column 0.*rescale"):
            model.fit((X * factor).astype(dtype))
        rows = (X * near).astype(dtype)
        assert model.fit(rows).score(rows) == pytest.approx(model.lower_bound_, abs=1e-4)


def test_a_refit_leaves_nothing_of_the_fit_before(X):
    model = PPCA(2, solver="em", random_state=0).fit(X)
    assert len(model.entropy_sums_) == model.n_iter_
    model.set_params(solver="auto").fit(X)
    assert model.entropy_sums_ == [model.entropy_sum_]


def test_messages_of_each(X, load):
    gaps = X.copy()
    gaps[0, 1] = np.nan
    with pytest.raises(ValueError, match="needs all eigenvalues"):
        PPCA("bic", solver="arpack").fit(X)
    with pytest.raises(ValueError, match="needs the eigenvalues of complete data"):
        PPCA(0.5).fit(gaps)
    with pytest.raises(ValueError, match="no standard errors for promax"):
        FactorAnalysis(2, rotation="promax").fit(load("wine")).standard_errors()
    with pytest.warns(ConvergenceWarning, match="projected gradient"):
        FactorAnalysis(2, max_iter=1, gtol=1e-14).fit(np.random.default_rng(1).normal(size=(40, 600)))


@pytest.mark.parametrize("shape", [(178, 13), (40, 600)])
@pytest.mark.parametrize("max_iter", [1, 7, 12])
def test_max_iter_bounds_steps_of_every_kind(load, shape, max_iter):
    X = load("wine") if shape == (178, 13) else np.random.default_rng(1).normal(size=shape)
    with pytest.warns(ConvergenceWarning, match=rf"stopped after {max_iter} steps.*increase max_iter"):
        model = FactorAnalysis(5, max_iter=max_iter, gtol=1e-12).fit(X)
    assert model.n_iter_ == len(model.lower_bounds_) == max_iter
    assert (np.diff(model.lower_bounds_) >= 0).all()
    assert model.lower_bounds_[-1] == model.lower_bound_ == pytest.approx(model.score(X), rel=1e-10)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_heywood_cases_of_singular_covariances_keep_their_digits():
    rng = np.random.RandomState(42)
    X, counts = rng.rand(15, 30), np.array([3, 3, 4, 0, 0, 2, 4, 3, 0, 3, 0, 0, 0, 4, 1])
    weighted, repeated = FactorAnalysis().fit(X, sample_weight=counts), FactorAnalysis().fit(np.repeat(X, counts, axis=0))
    assert weighted.heywood_.tolist() == [17]
    np.testing.assert_allclose(weighted.noise_variance_, repeated.noise_variance_, rtol=1e-10)
    assert weighted.lower_bound_ == pytest.approx(repeated.lower_bound_, abs=1e-11, rel=0)
    assert weighted.gradient_ < 1e-10


def test_no_more_parameters_than_any_normal_distribution_has():
    X = np.random.default_rng(0).normal(size=(60, 6))
    with pytest.warns(ConvergenceWarning):
        counts = [FactorAnalysis(k).fit(X).n_parameters_ for k in range(7)]
    assert counts == [12, 18, 23, 27, 27, 27, 27]


@pytest.mark.parametrize("rotation", ["varimax", "oblimin"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_constant_columns_leave_the_errors_of_rotated_loadings(load, rotation):
    X = load("mtcars")
    X = X / X.std(axis=0)
    errors = FactorAnalysis(2, rotation=rotation).fit(np.c_[X, np.full(32, 3.3)]).standard_errors()
    without = FactorAnalysis(2, rotation=rotation).fit(X).standard_errors()
    assert np.isfinite(errors["components"][:, :-1]).all()  # not the same: varimax depends on the number of columns
    np.testing.assert_allclose(errors["noise_variance"][:-1], without["noise_variance"], rtol=1e-3)


class TestChoiceByBIC:
    """Columns that tell nothing of their own, and too few rows, are named, and do not move the choice."""

    @staticmethod
    def factors(n, d, k, seed=0):
        rng = np.random.default_rng(seed)
        return 2.0 * rng.normal(size=(n, k)) @ rng.normal(size=(k, d)) + rng.normal(size=(n, d))

    @pytest.mark.filterwarnings("ignore:PPCA with 1 components explains the data completely")
    def test_collinear_columns_have_one_component(self):
        X = np.outer(np.random.default_rng(0).normal(size=50), np.arange(1.0, 21.0))
        with pytest.warns(ConvergenceWarning, match="column 1, column 2, column 3 and 16 more constant or a multiple"):
            model = PPCA("bic").fit(X)
        assert model.n_components_ == 1
        assert model.transform(X).shape == (50, 1)

    @pytest.mark.parametrize(
        "extra", [lambda X: X[:, [2]], lambda X: 3.0 - 2.0 * X[:, [2]], lambda X: np.full((len(X), 1), 7.1)]
    )
    def test_a_column_that_tells_nothing_new_changes_nothing(self, extra):
        X = self.factors(200, 10, 4)
        expected = PPCA("bic").fit(X).n_components_
        assert expected == 4
        with pytest.warns(ConvergenceWarning, match="column 10 constant or a multiple of another column"):
            assert PPCA("bic").fit(np.column_stack([X, extra(X)])).n_components_ == 4

    def test_one_row_more_than_columns_still_shows_a_total(self):
        X = np.random.default_rng(0).normal(size=(6, 4))
        with pytest.warns(ConvergenceWarning, match="column 4 constant or a multiple of another column or a sum"):
            PPCA("bic").fit(np.column_stack([X, X.sum(axis=1)]))

    @pytest.mark.parametrize("position", [0, 4, 10])
    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_totals_of_other_columns_change_nothing(self, seed, position):
        """Nor do their means, also where parts vary more than their total, or several totals overlap."""
        X = self.factors(200, 10, 4, seed)
        expected = PPCA("bic").fit(X).n_components_
        for total in (X[:, :5].sum(axis=1), X[:, 2:8].mean(axis=1) + 4.0):
            one = np.insert(X, position, total, axis=1)
            with pytest.warns(ConvergenceWarning, match=f"column {position} constant or .* or a sum of such multiples"):
                assert PPCA("bic").fit(one).n_components_ == expected
            others = [1e-3 * X[:, [1, 8, 9]].sum(axis=1), X.sum(axis=1)]
            with pytest.warns(ConvergenceWarning, match=f"column {position}, column 11, column 12 constant or"):
                assert PPCA("bic").fit(np.column_stack([one, *others])).n_components_ == expected

    def test_one_column_of_other_dependences_is_left_out(self):
        X = self.factors(200, 10, 4)
        contrast = X[:, 0] - 2.0 * X[:, 1] + 0.5 * X[:, 2]
        with pytest.warns(ConvergenceWarning, match=r"PPCA: column \d+ constant or"):
            PPCA("bic").fit(np.column_stack([X, contrast]))

    def test_nearly_a_total_is_a_column_of_its_own(self):
        X = self.factors(200, 10, 4)
        near = X.sum(axis=1) * (1.0 + 1e-5 * np.random.default_rng(1).normal(size=200))
        PPCA("bic").fit(np.column_stack([X, near]))

    def test_few_rows_make_no_column_a_sum_of_others(self):
        PPCA("bic").fit(self.factors(11, 10, 1))
        with pytest.warns(ConvergenceWarning) as caught:
            PPCA("bic").fit(self.factors(8, 10, 1))
        assert ["too few" in str(warning.message) for warning in caught] == [True]

    @pytest.mark.parametrize("k", [1, 2])
    def test_fewer_rows_than_columns(self, k):
        X = self.factors(20, 60, k)
        with pytest.warns(ConvergenceWarning, match="X has 20 rows for 60 columns, too few"):
            assert PPCA("bic").fit(X).n_components_ == k

    @pytest.mark.filterwarnings("ignore:PPCA. X has 12 rows for 30 columns")
    def test_of_few_rows_it_is_that_of_the_eigenvalues_of_their_products(self):
        """Twelve rows about their mean have eleven eigenvalues, which count as those of eleven columns in thirty rows."""
        chosen = set()
        for seed in range(30):
            rng = np.random.default_rng(seed)
            X = rng.normal(size=(12, 30)) * rng.uniform(0.2, 3.0, 30) * rng.uniform(0.2, 1.0, (12, 1))
            values = np.linalg.svd(X - X.mean(axis=0), compute_uv=False)[:11] ** 2 / 12
            criteria = []
            for h in range(11):
                logs = np.log(values[:h]).sum() + (11 - h) * np.log(values[h:].mean())
                parameters = 11 * h - h * (h - 1) // 2 + 1 + 11
                criteria.append(30 * (logs + 11 * np.log(2 * np.pi * np.e)) + np.log(30) * parameters)
            expected = max(int(np.argmin(criteria)), 1)
            assert PPCA("bic").fit(X).n_components_ == expected
            chosen.add(expected)
        assert len(chosen) > 3

    def test_noise_has_one_component_all_the_same(self):
        assert PPCA("bic").fit(np.random.default_rng(0).normal(size=(500, 6))).n_components_ == 1
