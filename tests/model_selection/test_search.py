"""The search."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_wine
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, ParameterGrid, ParameterSampler
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    StandardScaler,
)
from sklearn.utils.estimator_checks import parametrize_with_checks

from skentropy import (
    PPCA,
    EntropySumSearch,
    ExponentialFamilyMixture,
    FactorAnalysis,
    GammaMixture,
    PoissonMixture,
)
from tests.common.data import counts

WINE = load_wine().data


def test_search_has_the_interface_of_grid_search() -> None:
    X = counts()
    grid = {"n_components": [1, 2, 3], "tol": [1e-8]}
    search = EntropySumSearch(PoissonMixture(random_state=0, prior_counts=0.1), grid).fit(X)
    assert search.best_params_ == {"n_components": 2, "tol": 1e-8}
    assert search.best_index_ == 1
    assert search.best_score_ == search.results_["score"].max()
    np.testing.assert_array_equal(search.results_["rank_score"], np.argsort(np.argsort(-search.results_["score"])) + 1)
    for index, h in enumerate(grid["n_components"]):
        single = PoissonMixture(h, random_state=0, prior_counts=0.1, tol=1e-8).fit(X)
        for name in ("posterior", "prior", "observable", "base_measure", "penalty"):
            assert search.results_[name][index] == pytest.approx(getattr(single.entropy_sum_, name), abs=1e-4)
            assert getattr(single.entropy_sum_, name) or h == 1
    assert list(search.results_["param_n_components"]) == [1, 2, 3]
    assert search.results_["params"][2] == {"n_components": 3, "tol": 1e-8}
    best = search.best_estimator_
    np.testing.assert_array_equal(search.predict(X), best.predict(X))
    np.testing.assert_array_equal(search.predict_proba(X), best.predict_proba(X))
    np.testing.assert_array_equal(search.score_samples(X), best.score_samples(X))
    assert search.score(X) == best.score(X)
    assert not hasattr(search, "transform")
    assert search.n_features_in_ == 3
    parallel = clone(search).set_params(n_jobs=2).fit(X)
    np.testing.assert_array_equal(parallel.results_["score"], search.results_["score"])
    weight = np.random.RandomState(0).randint(1, 3, size=len(X))
    weighted = clone(search).fit(X, sample_weight=weight)
    copied = clone(search).fit(np.repeat(X, weight, axis=0))
    np.testing.assert_allclose(weighted.results_["score"], copied.results_["score"], rtol=1e-9)
    bare = clone(search).fit(X).set_params(refit=False).fit(np.column_stack([X, X[::-1, 2]]))
    assert bare.n_features_in_ == 4
    assert [row.model for row in bare.ranking_] == [None] * 3
    assert not hasattr(bare, "best_estimator_")
    assert not hasattr(bare, "predict")
    assert bare.best_params_ == search.best_params_


def test_results_under_the_names_of_grid_search() -> None:
    X = WINE / WINE.std(axis=0)
    search = EntropySumSearch(PPCA(), ParameterGrid({"n_components": [1, 3, 5]}))
    assert not hasattr(search, "cv_results_")
    results = search.fit(X).cv_results_
    grid = GridSearchCV(PPCA(), {"n_components": [1, 3, 5]}, cv=2).fit(X)
    missing = {name for name in grid.cv_results_ if name not in results and not name.startswith("split1")}
    assert missing == {"mean_score_time", "std_score_time"}
    np.testing.assert_array_equal(results["mean_test_score"], results["split0_test_score"])
    np.testing.assert_array_equal(results["mean_test_score"], [row["score"] for row in _rows(search.results_)])
    np.testing.assert_array_equal(results["rank_test_score"], search.results_["rank_score"])
    np.testing.assert_array_equal(results["mean_fit_time"], search.results_["fit_time"])
    assert not results["std_test_score"].any()
    assert not results["std_fit_time"].any()
    sampler = ParameterSampler({"n_components": range(1, 9)}, n_iter=3, random_state=0)
    assert EntropySumSearch(PPCA(), sampler).fit(X).results_["params"] == list(sampler)


def _rows(results: Any) -> list[dict[str, Any]]:
    return [dict(zip(results, row, strict=True)) for row in zip(*results.values(), strict=True)]


def test_a_callable_refit_chooses() -> None:
    X, grid = counts(), {"n_components": [2, 500, 1]}
    simplest = _simplest_within(10.0)
    with pytest.warns(FitFailedWarning):
        search = EntropySumSearch(PoissonMixture(random_state=0), grid, refit=simplest).fit(X)
    assert search.best_index_ == 2
    assert search.best_estimator_.n_components == 1
    assert search.best_score_ == search.results_["score"][2] < search.results_["score"][0]
    for chosen, error in (("a", TypeError), (3, IndexError), (1, ValueError)):
        with pytest.warns(FitFailedWarning), pytest.raises(error, match="refit"):
            clone(search).set_params(refit=lambda _, chosen=chosen: chosen).fit(X)
    held = EntropySumSearch(PPCA(), {"n_components": [1, 2]}, refit=lambda _: 0, criterion="validation", random_state=0)
    np.testing.assert_allclose(held.fit(X).best_estimator_.noise_variance_, PPCA(1).fit(X).noise_variance_)


def _simplest_within(tolerance: float) -> Any:
    def choose(results: Any) -> int:
        scores = results["mean_test_score"]
        near = np.flatnonzero(scores >= np.nanmax(scores) - tolerance)
        return int(near[np.argmin(results["n_parameters"][near])])

    return choose


def test_the_best_model_is_asked_with_what_its_methods_take() -> None:
    X, exposure = counts(), np.random.RandomState(0).uniform(0.2, 5.0, size=400)
    search = EntropySumSearch(PoissonMixture(random_state=0), {"n_components": [2]})
    labels = search.fit_predict(X, exposure=exposure)
    best = search.best_estimator_
    np.testing.assert_array_equal(labels, best.predict(X, exposure=exposure))
    assert (labels != best.predict(X, exposure=np.ones(400))).any()
    for method in ("predict", "predict_proba", "score_samples"):
        np.testing.assert_array_equal(
            getattr(search, method)(X, exposure=exposure), getattr(best, method)(X, exposure=exposure)
        )
    for method in ("bic", "aic", "icl", "score"):
        assert getattr(search, method)(X, exposure=exposure) == getattr(best, method)(X, exposure=exposure)
    posterior = [model.icl(X, exposure=exposure, classification="posterior") for model in (search, best)]
    assert posterior[0] == posterior[1]
    np.testing.assert_array_equal(search.sample(5, random_state=1)[0], best.sample(5, random_state=1)[0])
    assert not hasattr(EntropySumSearch(PPCA(), {}), "icl")
    pipeline = Pipeline([("same", FunctionTransformer(np.sqrt)), ("model", PoissonMixture(2, random_state=0))])
    piped = EntropySumSearch(pipeline, {"model__tol": [1e-6]})
    expected = clone(pipeline[-1]).set_params(tol=1e-6).fit(np.sqrt(X), exposure=exposure)
    labels = piped.fit_predict(X, model__exposure=exposure)
    np.testing.assert_array_equal(labels, expected.predict(np.sqrt(X), exposure=exposure))
    np.testing.assert_array_equal(piped.predict(X, exposure=exposure), labels)
    with sklearn.config_context(enable_metadata_routing=True):
        model = PoissonMixture(random_state=0).set_fit_request(exposure=True).set_predict_request(exposure=True)
        routed = EntropySumSearch(model, {"n_components": [2]})
        labels = search.best_estimator_.predict(X, exposure=exposure)
        np.testing.assert_array_equal(routed.fit_predict(X, exposure=exposure), labels)
        np.testing.assert_array_equal(routed.predict(X, exposure=exposure), labels)
        with pytest.raises(ValueError, match="exposure"):
            search.predict(X, exposure=exposure)


def test_verbose_tells_how_far_it_is(capsys: Any) -> None:
    X = counts()
    for verbose, n_lines in ((0, 0), (1, 1), (2, 3)):
        with pytest.warns(FitFailedWarning):
            EntropySumSearch(PoissonMixture(random_state=0), {"n_components": [1, 500]}, verbose=verbose).fit(X)
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == n_lines
    assert lines[0] == "2 candidates, each fitted once"
    assert lines[1].startswith("[1/2] n_components=1: entropy sum -")
    assert lines[2].startswith("[2/2] n_components=500: ValueError")


def test_search_over_models_pipelines_and_lists_of_grids() -> None:
    X = WINE / WINE.std(axis=0)
    pipeline = Pipeline([("scale", StandardScaler()), ("model", PPCA())])
    grid = [
        {"model": [PPCA(solver="covariance_eigh")], "model__n_components": [2, 7]},
        {"model": [FactorAnalysis()], "model__n_components": [2, 3]},
    ]
    search = EntropySumSearch(pipeline, grid).fit(X)
    assert len(search.results_["params"]) == 4
    assert isinstance(search.best_params_["model"], (PPCA, FactorAnalysis))
    assert search.transform(X).shape[1] == search.best_params_["model__n_components"]
    # One line a candidate, however long what is chosen from.
    longer = ExponentialFamilyMixture("gaussian", 2, tol=1e-6, max_iter=500, prior_counts=0.1, random_state=0)
    ranks, _, terms = str(EntropySumSearch(pipeline, {"model": [longer, PPCA()]}).fit(X).ranking_).partition("\n\n")
    assert len(ranks.splitlines()) == 4
    assert len(terms.splitlines()) in (0, 4)
    outer = make_pipeline(StandardScaler(), EntropySumSearch(PPCA(), {"n_components": [1, 2, 3]}))
    assert outer.fit(X).transform(X).shape == (178, 3)
    scores = GridSearchCV(EntropySumSearch(PPCA(), {"n_components": [1, 2]}), {"criterion": ["bic", "aic"]}, cv=3).fit(X)
    assert np.isfinite(scores.best_score_)


@pytest.mark.parametrize("weight", [None, np.random.RandomState(0).uniform(0.5, 2.0, size=178)])
def test_the_path_of_ppca_is_what_each_fit_gives(weight: Any) -> None:
    X = WINE / WINE.std(axis=0)
    sizes = [1, 4, 7, 12]
    path = PPCA().fit_path(X, sizes, sample_weight=weight)
    for h, model in zip(sizes, path, strict=True):
        single = PPCA(h).fit(X, sample_weight=weight)
        np.testing.assert_allclose(model.components_, single.components_, atol=1e-12)
        assert model.entropy_sum_.value == pytest.approx(single.entropy_sum_.value, rel=1e-13)
        assert model.get_params() == single.get_params()
        assert model.n_features_in_ == 13
    with pytest.raises(ValueError, match="solver='covariance_eigh'"):
        PPCA(solver="em").fit_path(X, sizes)
    calls = []
    original = PPCA.fit

    def counted(self: Any, *arguments: Any, **options: Any) -> Any:
        calls.append(self.n_components)
        return original(self, *arguments, **options)

    try:
        PPCA.fit = counted  # type: ignore[method-assign]
        search = EntropySumSearch(PPCA(), {"n_components": sizes}).fit(X, sample_weight=weight)
    finally:
        PPCA.fit = original  # type: ignore[method-assign]
    assert calls == [12]
    expected = [PPCA(h).fit(X, sample_weight=weight).entropy_sum_.value for h in sizes]
    np.testing.assert_allclose(search.results_["elbo"], expected, rtol=1e-12)


def _hundredth(X: Any) -> Any:
    return X / 100


def test_search_refuses_and_reports() -> None:
    X = counts()
    with pytest.raises(ValueError, match="no candidates"):
        EntropySumSearch(PPCA(), []).fit(X)
    with pytest.raises(TypeError, match="supervised"):
        EntropySumSearch(LogisticRegression(), {"C": [1.0]}).fit(X)
    with pytest.raises(TypeError, match="register"):
        EntropySumSearch(KMeans(), {"n_clusters": [2]}).fit(X)
    grid = {"n_components": [2, 500]}
    with pytest.warns(FitFailedWarning, match="500"):
        search = EntropySumSearch(PoissonMixture(random_state=0), grid).fit(X)
    assert search.best_params_ == {"n_components": 2}
    assert np.isnan(search.results_["score"][1])
    with pytest.warns(FitFailedWarning, match="500"):
        search = EntropySumSearch(PPCA(), {"n_components": [1, 500, 2]}, error_score=0.0).fit(X)
    assert search.best_params_ == {"n_components": 1}
    assert search.results_["score"][1] == 0.0 > search.best_score_
    assert search.results_["rank_score"].tolist() == [1, 3, 2]
    assert EntropySumSearch(PPCA(solver="em"), {"n_components": [1, 2]}).fit(X).best_params_ == {"n_components": 1}
    with pytest.raises(ValueError, match="that is a number"):
        EntropySumSearch(PPCA(), {"n_components": [1, 2]}, criterion=lambda row: np.nan).fit(X)
    with pytest.raises(ValueError, match="discrete latent"):
        EntropySumSearch(PPCA(), {"n_components": [1, 2]}, criterion="icl").fit(X)
    scalers = {"s": ["passthrough", StandardScaler(), FunctionTransformer(_hundredth)]}
    pipeline = Pipeline([("s", StandardScaler()), ("m", PPCA(1))])
    with pytest.raises(ValueError, match="transform the data differently"):
        EntropySumSearch(pipeline, scalers).fit(X)
    del scalers["s"][2]
    refitted = EntropySumSearch(PPCA(), {"n_components": [1]}).fit(X)
    before = dict(vars(refitted))
    with pytest.raises(ValueError, match="Expected 2D array"), pytest.warns(FitFailedWarning):
        refitted.fit(X[:, 0])
    assert vars(refitted) == before
    corrected = EntropySumSearch(pipeline, scalers, change_of_variables="correct").fit(X)
    assert corrected.best_params_["s"] == "passthrough"
    plain = EntropySumSearch(PPCA(), {"n_components": [1]}).fit(X)
    assert corrected.results_["elbo"][0] == pytest.approx(plain.results_["elbo"][0])
    assert "500" in search.results_["error"][1]
    with pytest.raises(ValueError, match="500"):
        EntropySumSearch(PoissonMixture(random_state=0), grid, error_score="raise").fit(X)
    with pytest.warns(FitFailedWarning), pytest.raises(ValueError, match="None of the 1 models"):
        EntropySumSearch(PoissonMixture(), {"n_components": [500]}).fit(X)


def test_metadata_are_routed() -> None:
    X, weight = counts(), np.random.RandomState(0).randint(1, 3, size=400)
    expected = EntropySumSearch(PoissonMixture(random_state=0), {"n_components": [2]}).fit(X, sample_weight=weight)
    with sklearn.config_context(enable_metadata_routing=True):
        model = PoissonMixture(random_state=0).set_fit_request(sample_weight=True)
        routed = EntropySumSearch(model, {"n_components": [2]}).fit(X, sample_weight=weight)
        assert routed.best_score_ == expected.best_score_
        refusing = EntropySumSearch(PoissonMixture(random_state=0), {"n_components": [2]})
        with pytest.raises(ValueError, match="sample_weight"):
            refusing.fit(X, sample_weight=weight)

        alias = PPCA().set_fit_request(sample_weight="copies").set_score_request(sample_weight=True)
        pipeline = Pipeline([("same", FunctionTransformer()), ("model", alias)])
        aliased = EntropySumSearch(pipeline, {"model__n_components": [1, 2]}).fit(X, copies=weight)
        copied = EntropySumSearch(PPCA(), {"n_components": [1, 2]}).fit(np.repeat(X, weight, axis=0))
        np.testing.assert_allclose(aliased.results_["score"], copied.results_["score"], rtol=1e-9)
        outer = Pipeline([("search", aliased)])
        expected = copied.results_["log_likelihood"][copied.best_index_]
        assert outer.score(X, sample_weight=weight) == pytest.approx(expected, rel=1e-9)
        alias = clone(alias).set_score_request(sample_weight="copies")
        bare = EntropySumSearch(alias, {"n_components": [1, 2]}).fit(X, copies=weight)
        assert bare.score(X, copies=weight) == pytest.approx(expected, rel=1e-9)


def test_metadata_without_routing() -> None:
    X, rng = counts(), np.random.RandomState(0)
    weight, exposure = rng.randint(1, 3, size=400), rng.uniform(0.5, 2.0, size=400)
    pipeline = Pipeline([("same", FunctionTransformer()), ("model", PPCA())])
    grid = {"model__n_components": [1, 2]}
    copied = EntropySumSearch(pipeline, grid).fit(np.repeat(X, weight, axis=0))
    for name in ("sample_weight", "model__sample_weight"):
        weighted = EntropySumSearch(pipeline, grid).fit(X, **{name: weight})
        np.testing.assert_allclose(weighted.results_["score"], copied.results_["score"], rtol=1e-9)
    exposed = EntropySumSearch(PoissonMixture(), {"n_components": [1]}).fit(X, exposure=exposure)
    single = PoissonMixture(1).fit(X, exposure=exposure)
    assert exposed.results_["elbo"][0] == pytest.approx(single.entropy_sum_.value, rel=1e-12)
    assert exposed.results_["log_likelihood"][0] == pytest.approx(single.lower_bound_, rel=1e-12)
    with pytest.warns(FitFailedWarning, match="exposure"), pytest.raises(ValueError, match="exposure"):
        EntropySumSearch(PPCA(), {"n_components": [1]}).fit(X, exposure=exposure)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_callbacks_follow_the_candidates(n_jobs: int, capsys: Any) -> None:
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from version 1.9")
    search = EntropySumSearch(PoissonMixture(tol=1e-2, random_state=0), {"n_components": [1, 2]}, n_jobs=n_jobs)
    search.set_callbacks(callback.ProgressBar()).fit(counts())
    printed = capsys.readouterr().out
    assert "EntropySumSearch - fit" in printed
    assert printed.count("EntropySumSearch - candidate | PoissonMixture - fit") >= 2
    assert not hasattr(search.best_estimator_, "_skl_callbacks")


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        EntropySumSearch(PPCA(), {"n_components": [0, 1]}, error_score="raise"),
        EntropySumSearch(GammaMixture(random_state=0), {"tol": [1e-3]}, error_score="raise"),
    ]
)
def test_scikit_learns_checks(estimator: Any, check: Any) -> None:
    if getattr(check, "func", check).__name__ == "check_array_api_input":
        return  # for those that claim support
    check(estimator)
