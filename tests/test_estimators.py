"""What holds for every estimator of the package."""

from __future__ import annotations

import pickle
import threading
import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from joblib import Parallel, delayed, parallel_config
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

import skentropy
from skentropy._base import LatentVariableModel, Traits
from skentropy.entropy import has_discrete_latents

from .common.estimators import BY_EM, DEFAULTS, ESTIMATORS, TABLES, EstimatorCase

FURTHER_CHECKS = [
    "check_param_validation",
    "check_parameters_default_constructible",
    "check_dataframe_column_names_consistency",
    "check_n_features_in_after_fitting",
]
TRANSFORMER_CHECKS = [
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_transformer_preserve_dtypes",
]
every = pytest.mark.parametrize("case", ESTIMATORS.values(), ids=ESTIMATORS)
every_table = pytest.mark.parametrize(("case", "X"), TABLES.values(), ids=TABLES)
every_by_em = pytest.mark.parametrize("case", BY_EM.values(), ids=BY_EM)


def said(case: EstimatorCase, model: Any, X: Any) -> Any:
    """What a fitted model says of rows, row by row."""
    return np.column_stack([model.score_samples(X), np.asarray(getattr(model, case.output)(X))])


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(DEFAULTS)
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    if (
        getattr(check, "func", check).__name__ == "check_array_api_input"
        and not estimator.__sklearn_tags__().array_api_support
    ):
        return  # it is for those that claim support; otherwise it only skips itself where SCIPY_ARRAY_API is not set
    check(estimator)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("estimator", DEFAULTS, ids=lambda estimator: type(estimator).__name__)
@pytest.mark.parametrize("check", FURTHER_CHECKS + TRANSFORMER_CHECKS)
def test_checks_that_check_estimator_leaves_out(estimator: Any, check: str) -> None:
    if check in TRANSFORMER_CHECKS and not hasattr(estimator, "transform"):
        assert hasattr(estimator, "predict")
        return
    getattr(estimator_checks, check)(type(estimator).__name__, clone(estimator))


def test_every_estimator_is_here() -> None:
    exported = {name: getattr(skentropy, name) for name in skentropy.__all__ if isinstance(getattr(skentropy, name), type)}
    estimators = {name for name, kind in exported.items() if issubclass(kind, LatentVariableModel)}
    assert estimators == {type(estimator).__name__ for estimator in DEFAULTS}
    assert estimators <= {name.split("-")[0] for name in ESTIMATORS}
    for name in skentropy.__all__:
        assert getattr(skentropy, name) is not None


# The contract: scores, entropy sums, criteria.


@every_table
def test_scores_and_entropy_sums_agree(case: EstimatorCase, X: Any) -> None:
    weight = np.random.RandomState(0).randint(1, 4, size=len(X))
    model = case.make().fit(X, sample_weight=weight)
    loglik = weight @ model.score_samples(X)
    n = weight.sum()
    assert model.converged_
    np.testing.assert_allclose(model.score(X, sample_weight=weight), loglik / n, rtol=1e-10)
    np.testing.assert_allclose(model.lower_bound_, loglik / n, rtol=1e-9)
    assert model.lower_bounds_[-1] == model.lower_bound_
    assert len(model.lower_bounds_) == model.n_iter_
    assert model.entropy_sum() is model.entropy_sum_
    assert model.entropy_sum_score() == model.entropy_sum_.value
    np.testing.assert_allclose(model.entropy_sum(X, sample_weight=weight).value, model.entropy_sum_.value, rtol=1e-9)
    gap = model.entropy_sum_.value - model.lower_bound_
    np.testing.assert_allclose(model.stationarity_gap(), gap, atol=1e-12)
    np.testing.assert_allclose(model.stationarity_gap(X, sample_weight=weight), gap, atol=1e-9)
    assert abs(gap) < 2e-5
    if not case.by_em:
        for criterion in (model.aic, model.bic):
            with pytest.raises(TypeError, match="count by no agreed rule"):
                criterion(X)
        return
    k = model.n_parameters_
    np.testing.assert_allclose(model.aic(X, sample_weight=weight), -2 * loglik + 2 * k, rtol=1e-9)
    np.testing.assert_allclose(model.bic(X, sample_weight=weight), -2 * loglik + k * np.log(n), rtol=1e-9)
    icl = model.bic(X, sample_weight=weight) + 2 * n * model.entropy_sum(X, sample_weight=weight).posterior
    if not hasattr(model, "predict_proba"):
        assert not hasattr(model, "icl")
        return
    np.testing.assert_allclose(model.icl(X, sample_weight=weight, classification="posterior"), icl, rtol=1e-9)
    at_most_probable = weight @ np.log(model.predict_proba(X).max(axis=1))
    icl = model.bic(X, sample_weight=weight) - 2 * at_most_probable
    np.testing.assert_allclose(model.icl(X, sample_weight=weight), icl, rtol=1e-9)
    with pytest.raises(ValueError, match="classification must be 'map' or 'posterior'"):
        model.icl(X, classification="soft")


@every
def test_columns_of_one_name_are_refused(case: EstimatorCase) -> None:
    frame = pd.DataFrame(case.X)
    frame.columns = [f"x{i // 2}" for i in range(frame.shape[1])]
    with pytest.raises(ValueError, match="different names, but several are called x0"):
        case.make().fit(frame)
    blocks = skentropy.RowBlocks(lambda: iter([frame]))
    with pytest.raises(ValueError, match="different names, but several are called x0"):
        case.make().fit(blocks)


@every
def test_the_penalty_is_that_of_the_training_data_on_any_data(case: EstimatorCase) -> None:
    model = case.make().fit(case.X)
    assert model.entropy_sum(case.X[:30]).penalty == pytest.approx(model.entropy_sum_.penalty, rel=1e-9)
    if "prior_counts" in model.get_params():
        smooth = case.make(prior_counts=2.0).fit(case.X)
        assert smooth.entropy_sum_.penalty != 0.0
        assert smooth.entropy_sum(case.X[:30]).penalty == smooth.entropy_sum_.penalty


@every
def test_a_second_fit_leaves_nothing_of_the_first(case: EstimatorCase) -> None:
    model = case.make().fit(case.X)
    first = set(vars(model))
    model.stale_ = 1.0
    model.fit(case.X)
    assert set(vars(model)) == first


@every_by_em
def test_weights_that_are_normalised_are_no_counts(case: EstimatorCase) -> None:
    model = case.make().fit(case.X)
    share = np.full(len(case.X), 1.0 / len(case.X))
    for criterion in [model.bic, *([model.icl] if hasattr(model, "icl") else [])]:
        with pytest.warns(UserWarning, match="Weights are counts"):
            criterion(case.X, sample_weight=share)


@every
def test_summaries_can_be_read(case: EstimatorCase) -> None:
    """Named features, no line too long, HTML, frames, what the likelihood is, and what was warned of."""
    names = [f"feature {d} of {case.X.shape[1]}" for d in range(case.X.shape[1])]
    model = case.make()
    with pytest.raises(NotFittedError):
        model.summary()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        model.fit(pd.DataFrame(case.X, columns=names))
    summary = model.summary()
    text = str(summary)
    assert max(map(len, text.splitlines())) <= 100
    assert text.startswith(f"{type(model).__name__}: ")
    assert f"{model.lower_bound_:.6f}" in text
    assert f"{model.entropy_sum_.value:.6f}" in text
    assert "nats" in text
    assert any(name in text for name in names)
    page, frames = summary._repr_html_(), summary.to_frames()
    assert page.count("<table>") == len(summary.tables) == len(frames) > 1
    assert [list(frame.columns) for frame in frames.values()] == [
        [column.name for column in table.columns] for table in summary.tables.values()
    ]
    if case.by_em and hasattr(model, "weights_"):
        assert all(" ".join(str(warning.message).split()) in " ".join(text.split()) for warning in caught)


@every_by_em
def test_bounds_never_fall_and_interleave_with_entropy_sums(case: EstimatorCase) -> None:
    X, rounding = case.hardest, 1e-11
    model = case.make(accelerate=False, tol=1e-7).fit(X)
    bounds, sums = model.lower_bounds_, [terms.value for terms in model.entropy_sums_]
    assert len(bounds) == len(sums) == model.n_iter_ > 1
    if any(terms.penalty for terms in model.entropy_sums_):
        # What rises is the penalised objective; the bounds need not.
        assert abs(sums[-1] - bounds[-1]) < 1e-3
        return
    assert np.all(np.diff(bounds) >= -rounding * np.abs(bounds[0]))
    assert np.all(np.less_equal(sums, np.array(bounds) + rounding * np.abs(bounds[0])))
    assert np.all(np.less_equal(bounds[:-1], np.array(sums[1:]) + rounding * np.abs(bounds[0])))


@pytest.mark.parametrize("name", [name for name, case in ESTIMATORS.items() if case.takes_gaps])
def test_missing_entries_are_marginalised(name: str) -> None:
    case = ESTIMATORS[name]
    model = case.make().fit(case.gaps)
    assert np.isfinite(said(case, model, case.gaps)).all()
    nothing = np.full((2, case.X.shape[1]), np.nan)
    np.testing.assert_allclose(model.score_samples(nothing), 0.0, atol=1e-12)
    # Draws of the model with entries deleted at random: the density of what is left is that of the marginal, so that
    # log-densities of a feature alone add up to no more than the joint one on average.
    drawn = model.sample(4000, random_state=0)
    X = drawn[0] if isinstance(drawn, tuple) else drawn
    marginals = np.zeros(len(X))
    for column in range(X.shape[1]):
        alone = np.full(X.shape, np.nan)
        alone[:, column] = X[:, column]
        marginals += model.score_samples(alone)
    assert marginals.mean() < model.score(X)


@every
def test_gaps_are_declared_and_refused_where_they_are_not_taken(case: EstimatorCase) -> None:
    assert get_tags(case.make()).input_tags.allow_nan == case.takes_gaps
    if case.takes_gaps:
        return
    model = case.make().fit(case.X)
    X = case.X.copy()
    X[[3, 5], 1] = np.nan
    frame, table = pd.DataFrame(X).add_prefix("v"), skentropy.RowBlocks(lambda: [X[:4], X[4:]])
    message = rf"^{type(model).__name__} takes .*none of them missing .* rows out\); X holds 2 other values, in "
    for use in (case.make().fit, model.score, model.score_samples, model.entropy_sum, getattr(model, case.output)):
        for rows in (X, table):
            with pytest.raises(ValueError, match=message + "column 1"):
                use(rows)
    with pytest.raises(ValueError, match=message + "column 'v1'"):
        case.make().fit(frame)


@every
def test_what_model_selection_and_displays_read_is_declared(case: EstimatorCase) -> None:
    model = case.make()
    before = model.traits()
    assert isinstance(before, Traits)
    model.fit(case.X)
    after = model.traits()
    assert (after.discrete_latents, after.step, after.why_no_criteria) == (
        before.discrete_latents,
        before.step,
        before.why_no_criteria,
    )
    discrete = hasattr(model, "predict_proba") or hasattr(model, "prior_")
    assert has_discrete_latents(model) == after.discrete_latents == discrete
    assert after.step == ("EM step" if case.by_em else "epoch")
    assert bool(after.why_no_criteria) != case.by_em
    assert isinstance(after.binarizes, bool)
    whole_numbers = "given totals" if case.given_totals else "probability"
    others = case.of_rows or ("density" if after.columns is None else "mixed")
    assert after.likelihood == (whole_numbers if (np.round(case.X) == case.X).all() else others)
    assert after.columns is None or set(after.columns) <= set(range(case.X.shape[1]))
    weight = np.random.RandomState(0).randint(1, 4, size=len(case.X))
    evaluation = model.evaluate(case.X, sample_weight=weight)
    assert evaluation.weight == weight.sum()
    assert evaluation.elbo == model.score(case.X, sample_weight=weight)
    assert evaluation.entropy_sum == model.entropy_sum(case.X, sample_weight=weight)
    assert np.isfinite(evaluation.classification) == hasattr(model, "predict_proba")


@every
def test_warnings_point_to_the_line_that_called(case: EstimatorCase) -> None:
    X = case.X.copy()
    X[:, -1] = X[0, -1]
    if case.takes_gaps:
        X = np.vstack([X, np.full((1, X.shape[1]), np.nan)])
    said = []
    for options in ({}, {"max_iter": 1}):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            case.make(**options).fit(X)
        said += [(warning.filename, str(warning.message)) for warning in caught]
    assert len(said) >= 1 + case.takes_gaps
    assert {file for file, _ in said} == {__file__}, said


# What does not matter.


@every
def test_weights_are_copies_and_order_is_nothing(case: EstimatorCase) -> None:
    X, rng = case.X, np.random.RandomState(1)
    repeats = rng.randint(0, 4, size=len(X))
    order = rng.permutation(len(X))
    weighted = case.make().fit(X, sample_weight=repeats)
    for other in (
        case.make().fit(np.repeat(X, repeats, axis=0)),
        case.make().fit(np.r_[X, X], sample_weight=np.r_[repeats, repeats] / 2),
        case.make().fit(X[order], sample_weight=repeats[order]),
        case.make().fit(X[repeats > 0], sample_weight=repeats[repeats > 0]),
    ):
        np.testing.assert_allclose(other.lower_bound_, weighted.lower_bound_, rtol=1e-9)
        np.testing.assert_allclose(other.score_samples(X), weighted.score_samples(X), rtol=1e-3, atol=1e-3)


@every
def test_containers_give_the_same_fit(case: EstimatorCase, tmp_path: Any) -> None:
    X = case.X
    reference = case.make().fit(X)
    on_disk = np.memmap(tmp_path / "x", dtype=np.float64, mode="w+", shape=X.shape)
    on_disk[:] = X
    names = [f"column {j}" for j in range(X.shape[1])]
    frames = [pd.DataFrame(X, columns=names), pl.DataFrame(X, schema=names)]
    matrices = [sparse.csr_matrix(X), sparse.csr_array(X), sparse.csc_matrix(X)] if case.sparse else []
    for other in (on_disk, np.asfortranarray(X), X.tolist(), X[::-1][::-1], *frames, *matrices):
        fit = case.make().fit(other)
        np.testing.assert_allclose(fit.lower_bound_, reference.lower_bound_, rtol=1e-9)
        np.testing.assert_allclose(said(case, fit, other), said(case, reference, X), rtol=1e-5, atol=1e-5)
        if any(other is frame for frame in frames):
            assert list(fit.feature_names_in_) == names


@every
def test_float32_stays_float32(case: EstimatorCase) -> None:
    X = case.X.astype(np.float32)
    single, double = case.make().fit(X), case.make().fit(X.astype(np.float64))
    assert single.score_samples(X).dtype == getattr(single, case.output)(X).dtype == np.float32
    # Half of the smallest positive single is no single; criteria of all models at once are scores, not parameters.
    double_anyway = {"zero_substitutes_", "entropy_sum_path_", "bic_path_"}
    for name, value in vars(single).items():
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and not name.startswith("_"):
            assert value.dtype == (np.float64 if name in double_anyway else np.float32), name
    np.testing.assert_allclose(single.lower_bound_, double.lower_bound_, rtol=1e-9)
    np.testing.assert_allclose(single.score(X), double.score(X), rtol=1e-5)


@every
def test_rows_are_scored_each_alone(case: EstimatorCase) -> None:
    model = case.make().fit(case.X)
    X = case.hardest
    whole = said(case, model, X)
    np.testing.assert_allclose(said(case, model, X[::-1])[::-1], whole, rtol=1e-9, atol=1e-12)
    some = np.concatenate([said(case, model, X[i : i + 1]) for i in range(0, 40)])
    np.testing.assert_allclose(some, whole[:40], rtol=1e-9, atol=1e-12)


# Processes, threads, copies.


@every
def test_copies(case: EstimatorCase) -> None:
    model = case.make().fit(case.X)
    for again in (pickle.loads(pickle.dumps(model)), clone(model).fit(case.X)):
        np.testing.assert_array_equal(said(case, again, case.X), said(case, model, case.X))
        assert again.entropy_sum() == model.entropy_sum()


@every
def test_skops_needs_few_trusted_types(case: EstimatorCase) -> None:
    sio = pytest.importorskip("skops.io")
    model = case.make().fit(case.X)
    data = sio.dumps(model)
    untrusted = sio.get_untrusted_types(data=data)
    assert all(name.startswith("skentropy.") for name in untrusted)
    # A table's blocks bring the kinds of components that are in them.
    assert len(untrusted) <= 3 + 3 * len(getattr(model, "families_", {}))
    again = sio.loads(data, trusted=untrusted)
    np.testing.assert_array_equal(said(case, again, case.X), said(case, model, case.X))
    assert again.entropy_sum_ == model.entropy_sum_


@every_by_em
def test_threads_and_processes_change_no_bit(case: EstimatorCase) -> None:
    alone = case.make(n_init=2).fit(case.X)
    fits = [case.make(n_init=2, n_jobs=2).fit(case.X)]
    threads = [threading.Thread(target=lambda: fits.append(case.make(n_init=2).fit(case.X))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fits) == 5
    for fit in fits:
        np.testing.assert_array_equal(said(case, fit, case.X), said(case, alone, case.X))


def test_loky() -> None:
    cases = list(ESTIMATORS.values())
    with parallel_config(backend="loky"):
        fits = Parallel(n_jobs=2)(delayed(case.make().fit)(case.X) for case in cases)
    for case, fit in zip(cases, fits, strict=True):
        np.testing.assert_array_equal(said(case, fit, case.X), said(case, case.make().fit(case.X), case.X))


# As part of scikit-learn.


@every
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_grid_search_and_pipeline(case: EstimatorCase) -> None:
    pipeline = make_pipeline(FunctionTransformer(), case.make())
    name = pipeline.steps[-1][0]
    search = GridSearchCV(pipeline, {f"{name}__n_components": [1, 2]}, cv=3).fit(case.X)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    np.testing.assert_allclose(search.score(case.X), search.best_estimator_[-1].score(case.X))
    assert len(getattr(search, case.output)(case.X)) == len(case.X)


@every
def test_sample(case: EstimatorCase) -> None:
    model = case.make().fit(case.X)
    first, again = (model.sample(20_000, random_state=1) for _ in range(2))
    X, same = (drawn[0] if isinstance(drawn, tuple) else drawn for drawn in (first, again))
    np.testing.assert_array_equal(X, same)
    rows = case.X / case.X.sum(axis=1, keepdims=True) if case.given_totals else case.X
    deviation = (X.mean(axis=0) - rows.mean(axis=0)) / (rows.std(axis=0) + 1e-9)
    assert np.abs(deviation[rows.std(axis=0) > 0]).max() < 0.1
    if case.by_em:
        # For the model's own rows its parameters are the best, up to sampling error.
        assert abs(model.stationarity_gap(X)) < 0.2
    with pytest.raises(ValueError, match="n_samples"):
        model.sample(0)
    for wrong in (2.5, True):
        with pytest.raises(TypeError, match="n_samples"):
            model.sample(wrong)


@every_by_em
def test_a_warm_start_of_another_shape_starts_afresh_and_says_so(case: EstimatorCase) -> None:
    shape = case.make().n_components, case.X.shape[1]
    model = case.make(warm_start=True, tol=1e-3).fit(case.hardest)
    for n_components, X in ((2, case.hardest), (2, case.hardest[:, 1:]), (1, case.hardest[:, 1:])):
        last, shape = shape, (n_components, X.shape[1])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.set_params(n_components=n_components).fit(X)
        said = [str(warning.message) for warning in caught if "starts afresh" in str(warning.message)]
        assert len(said) == (shape != last)
        assert all(f"n_components={n_components} and {X.shape[1]} columns" in message for message in said)
        if shape != last:
            assert model.lower_bounds_ == case.make(tol=1e-3, n_components=n_components).fit(X).lower_bounds_


@every_by_em
def test_warm_start_and_verbose(case: EstimatorCase, capsys: pytest.CaptureFixture[str]) -> None:
    X = case.hardest
    model = case.make(warm_start=True, verbose=2, verbose_interval=1).fit(X)
    printed = capsys.readouterr().out
    for word in ("Initialization 0", "Iteration 1", "time lapse", "ll change", "converged"):
        assert word in printed
    steps, bound = model.n_iter_, model.lower_bound_
    model.fit(X)
    assert model.n_iter_ <= steps + 5
    # Under a penalty it is not the bound that is stationary.
    np.testing.assert_allclose(model.lower_bound_, bound, rtol=1e-5 if model.entropy_sum_.penalty else 1e-8)
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        case.make(max_iter=1, tol=0.0, accelerate=False).fit(X)


@every_by_em
@pytest.mark.parametrize("n_init", [1, 3])
def test_callbacks(case: EstimatorCase, n_init: int) -> None:
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from version 1.9")
    X = case.hardest

    class Recorder:
        scores: list[float]
        given: list[Any]

        def setup(self, estimator: Any, context: Any) -> None:
            self.scores, self.given = [], []

        def on_fit_task_begin(self, estimator: Any, context: Any, *, X: Any = None) -> None:
            self.given.append(X)

        def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> bool:
            if context.task_name == "iteration":
                self.scores.append(fitted_estimator.score(X))
            return False

        def teardown(self, estimator: Any, context: Any) -> None:
            pass

    recorder = Recorder()
    model = case.make(n_init=n_init, accelerate=False, tol=1e-4)
    model.set_callbacks(recorder, callback.ProgressBar()).fit(X)
    assert len(recorder.scores) >= model.n_iter_
    assert all(data is X for data in recorder.given)
    if n_init == 1:
        same = np.isclose(recorder.scores, model.lower_bounds_, rtol=1e-9, atol=0.0)
        assert same[-1]
        assert same.sum() >= len(same) - 1  # an attempt at a limit that is not kept shows for one step


class Failing:
    """A callback with a hook that fails; ``ended`` tells whether scikit-learn has let it end."""

    def __init__(self, hook: str) -> None:
        self.hook, self.ended = hook, False

    def _call(self, hook: str) -> None:
        if hook == self.hook:
            raise ZeroDivisionError(hook)

    def setup(self, estimator: Any, context: Any) -> None:
        self._call("setup")

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
        self._call("on_fit_task_begin")

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        self._call("on_fit_task_end")

    def teardown(self, estimator: Any, context: Any) -> None:
        self.ended = True


@every
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("hook", ["setup", "on_fit_task_begin", "on_fit_task_end"])
def test_callbacks_end_if_one_of_them_fails(case: EstimatorCase, hook: str) -> None:
    """A progress bar that is not ended keeps a thread, and so the process, alive."""
    pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from version 1.9")
    others, failing = [Failing(""), Failing("")], Failing(hook)
    model = case.make().set_callbacks(others[0], failing, others[1])
    search = skentropy.EntropySumSearch(case.make(), {"n_components": [1]}, criterion="validation")
    for fitted in (model, search.set_callbacks(others[0], failing, others[1])):
        before = dict(vars(fitted))
        with pytest.raises((ZeroDivisionError, ValueError), match=hook):  # a search tells of candidates that fail
            fitted.fit(case.X)
        assert others[0].ended
        assert others[1].ended == (hook != "setup")
        assert vars(fitted) == before
        others[0].ended = others[1].ended = False


# Bad input.


@every
def test_bad_input(case: EstimatorCase) -> None:
    X = case.X
    with pytest.raises(NotFittedError):
        case.make().score(X)
    with pytest.raises(NotFittedError):
        case.make().entropy_sum()
    infinite = np.array(X, dtype=float)
    infinite[3, 1] = np.inf
    with pytest.raises(ValueError, match=r"infinity.* in column 1\. Make it NaN"):
        case.make().fit(infinite)
    with pytest.raises(ValueError, match=r"infinity.* in column 'b'\. Make it NaN"):
        case.make().fit(pd.DataFrame(infinite, columns=list("abcdefghijklmnopqrstuvwxyz"[: X.shape[1]])))
    with pytest.raises(ValueError, match=r"frame with 0 feature\(s\)"):
        case.make().fit(pd.DataFrame(index=range(9)))
    with pytest.raises(ValueError, match="sample_weight is zero"):
        case.make().fit(X, sample_weight=np.zeros(len(X)))
    with pytest.raises(ValueError, match=r"[Nn]egative|non-negative"):
        case.make().fit(X, sample_weight=np.linspace(-1, 1, len(X)))
    with pytest.raises(ValueError, match="sample_weight"):
        case.make().fit(X, sample_weight=np.ones(3))
    hollow = X.copy()
    hollow[:, 1] = np.nan
    with pytest.raises(ValueError, match="column 1"):
        case.make().fit(hollow)
    with pytest.raises(ValueError, match="n_components"):
        case.make(n_components=-1).fit(X)
    with pytest.raises(ValueError, match="features"):
        case.make().fit(X).score(X[:, 1:])


@every
def test_fit_leaves_its_input_alone(case: EstimatorCase) -> None:
    for X in (case.X.copy(), case.hardest.copy()):
        before = X.copy()
        X.setflags(write=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            case.make().fit(X)
        np.testing.assert_array_equal(X, before)


@every
def test_a_fit_that_fails_leaves_the_model_as_it_was(case: EstimatorCase) -> None:
    X = np.asarray(case.X, dtype=float)
    infinite = X.copy()
    infinite[3, 1] = np.inf
    wider, no_weight = np.column_stack([infinite, X[:, :1]]), np.zeros(len(X))
    model = case.make().fit(case.X)
    before, score = dict(vars(model)), model.score(case.X)
    for table, weights, message in ((infinite, None, "infinity"), (wider, None, "infinity"), (X[:, :-1], no_weight, "zero")):
        for fitted in (model, case.make()):
            attributes = dict(vars(fitted))
            with pytest.raises(ValueError, match=message):
                fitted.fit(table, sample_weight=weights)
            assert vars(fitted) == attributes
    assert vars(model) == before
    assert model.score(case.X) == score
