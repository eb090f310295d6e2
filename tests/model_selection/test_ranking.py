"""Rankings."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import pytest
import sklearn
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.decomposition import FactorAnalysis as SklearnFactorAnalysis
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from skentropy import (
    PPCA,
    EntropySum,
    EntropySumSearch,
    ExponentialFamilyMixture,
    FactorAnalysis,
    GammaMixture,
    PoissonMixture,
    SigmoidBeliefNet,
    entropy_sum,
    entropy_sum_scorer,
    rank_models,
)
from skentropy.entropy import n_parameters
from skentropy.model_selection import ModelRanking, RankedModel, log_jacobian
from tests.common.data import counts

WINE = load_wine().data


def test_criteria_are_those_of_the_models() -> None:
    X = counts()
    models = [PoissonMixture(k, random_state=0) for k in (1, 2)]
    ranking = rank_models(models, X)
    assert ranking.best_name_ == "PoissonMixture(n_components=2)"
    assert ranking.best_.n_components == 2
    for row in ranking:
        model, n, k = row.model, len(X), row.n_parameters
        assert row.elbo == model.entropy_sum_score()
        for name in ("bic", "aic", "icl"):
            assert getattr(row, name) == pytest.approx(getattr(model, name)(X), abs=1e-3)
            assert getattr(row, name + "_score") == pytest.approx(-getattr(model, name)(X) / (2 * n), abs=1e-6)
        assert row.aicc_score == pytest.approx(row.aic_score - k * (k + 1) / (n - k - 1) / n, abs=1e-12)
        assert row.gap == pytest.approx(model.stationarity_gap(), abs=1e-9)
        assert row.fit_time > 0
        assert row.converged
    by_own = rank_models(models, X, criterion=lambda row: -row.n_parameters)
    assert by_own.best_.n_components == 1
    by_elbo = rank_models({"small": models[0], "large": models[1]}, X, criterion="elbo")
    assert by_elbo.best_name_ == "large"
    assert rank_models(models, X, criterion="icl").best_.n_components == 2


def test_fitted_models_are_taken_as_they_are() -> None:
    X = counts()
    fitted = PoissonMixture(2, random_state=0).fit(X)
    ranking = rank_models([fitted, PoissonMixture(3, random_state=0, prior_counts=0.1)], X)
    row = next(row for row in ranking if row.model is fitted)
    assert row.fit_time == 0.0


def test_models_of_many_classes_and_the_table() -> None:
    X = WINE / WINE.std(axis=0)
    models = {
        "PPCA": PPCA("bic"),
        "PCA": PCA(7),
        "FA": FactorAnalysis(3),
        "Gaussian": GaussianMixture(3, reg_covar=0.01, random_state=0),
        "families": ExponentialFamilyMixture("gaussian", 3, random_state=0),
    }
    ranking = rank_models(models, X, n_jobs=2)
    serial = rank_models(models, X)
    assert [row.name for row in ranking] == [row.name for row in serial]
    np.testing.assert_array_equal(ranking.values_, serial.values_)
    text, page = str(ranking), ranking._repr_html_()
    for name in models:
        assert name in text
        assert name in page
    assert "nats per sample" in text
    frame = ranking.to_frame()
    assert list(frame["model"]) == [row.name for row in ranking]
    assert list(frame["bic_score"]) == sorted(frame["bic_score"], reverse=True)
    assert list(frame["bic"]) == sorted(frame["bic"])
    assert np.isnan(frame.set_index("model").loc["PPCA", "icl_score"])
    # The closed form of PCA is that of PPCA; its own density has another denominator.
    rows = {row.name: row for row in ranking}
    certainty = np.log(rows["Gaussian"].model.predict_proba(X).max(axis=1)).mean()
    assert rows["Gaussian"].icl_score == pytest.approx(rows["Gaussian"].bic_score + certainty, abs=1e-12)
    assert rows["PCA"].elbo == pytest.approx(rows["PPCA"].elbo, abs=1e-9)
    assert ranking.flags_[[row.name for row in ranking].index("PCA")] == "gap"


def test_icl_ranks_the_models_that_have_one() -> None:
    X = counts()
    models = {"PPCA": PPCA(1), "one": PoissonMixture(1), "two": PoissonMixture(2, random_state=0)}
    with pytest.warns(FitFailedWarning, match="PPCA could not be fitted and evaluated.*PPCA has continuous ones"):
        ranking = rank_models(models, X, criterion="icl")
    assert [row.name for row in ranking] == [
        row.name for row in rank_models({name: models[name] for name in ("one", "two")}, X, criterion="icl")
    ] + ["PPCA"]
    assert ranking.flags_[-1] == "failed"
    with pytest.raises(ValueError, match="PPCA has continuous ones"):
        rank_models({"PPCA": PPCA(1)}, X, criterion="icl")


def test_a_warning_about_the_data_names_all_models() -> None:
    X = np.random.default_rng(0).gamma(3.0, size=(50, 2))
    X[:3, 1] = 0.0
    models = {f"K = {k}": GammaMixture(k, random_state=0) for k in (1, 2)}
    models["other"] = GammaMixture(1, zeros=1.0)
    for n_jobs in (None, 2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            rank_models(models, X, n_jobs=n_jobs)
        told = [str(warning.message) for warning in caught if "3 zeros" in str(warning.message)]
        assert len(told) == 1
        assert told[0].startswith("models 'K = 1', 'K = 2': 3 zeros in column 1 are replaced")
    gaps = np.where(np.arange(50)[:, np.newaxis] < 2, np.nan, X + 1.0)
    with pytest.warns(UserWarning, match=r"models 'a', 'b', 'c' and 1 more: X has no observed value in 2 of its rows"):
        rank_models(
            dict(zip("abcd", [PPCA(0), PPCA(1), GammaMixture(1), ExponentialFamilyMixture("gaussian", 1)], strict=True)),
            gaps,
        )


def test_weights() -> None:
    X, weight = counts(), np.random.RandomState(1).randint(0, 3, size=400)
    models = [PoissonMixture(k, random_state=0) for k in (1, 2)]
    weighted = rank_models(models, X, sample_weight=weight)
    copied = rank_models(models, np.repeat(X, weight, axis=0))
    np.testing.assert_allclose(weighted.values_, copied.values_, rtol=1e-9)
    piped = rank_models([make_pipeline(FunctionTransformer(), model) for model in models], X, sample_weight=weight)
    np.testing.assert_allclose(piped.values_, weighted.values_, rtol=1e-12)


def test_changes_of_variables() -> None:
    X = np.abs(WINE[:, 5:12]) + 0.5
    plain = FactorAnalysis(1).fit(X)
    pipelines = {
        "plain": FactorAnalysis(1),
        "standard": make_pipeline(StandardScaler(), FactorAnalysis(1)),
        "robust": make_pipeline(RobustScaler(), MinMaxScaler(), FactorAnalysis(1)),
    }
    with pytest.raises(ValueError, match=r"transform the data differently.*change_of_variables='correct'"):
        rank_models(pipelines, X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ranking = rank_models(pipelines, X, change_of_variables="correct")
    for row in ranking:
        # Factor analysis is equivariant to scale: corrected densities are one and the same.
        assert row.elbo == pytest.approx(plain.entropy_sum_score(), abs=1e-6)
        assert row.log_likelihood == pytest.approx(plain.score(X), abs=1e-6)
    log_normal = ExponentialFamilyMixture("log_normal", 2, random_state=0)
    log = make_pipeline(FunctionTransformer(np.log), ExponentialFamilyMixture("gaussian", 2, random_state=0))
    ranking = rank_models([log_normal, log], X, change_of_variables="correct")
    assert ranking[0].elbo == pytest.approx(ranking[1].elbo, abs=1e-5)
    with pytest.raises(ValueError, match="QuantileTransformer is not known"):
        log_jacobian(QuantileTransformer(), X)
    weight = np.random.RandomState(0).uniform(size=len(X))
    each = -np.log(X + 1).sum(axis=1)
    for rows in (X, sparse.csr_matrix(X)):
        assert log_jacobian(FunctionTransformer(np.log1p), rows) == pytest.approx(each.mean())
        assert log_jacobian(FunctionTransformer(np.log1p), rows, weight) == pytest.approx(each @ weight / weight.sum())
    assert log_jacobian(MaxAbsScaler().fit(X), sparse.csr_matrix(X)) == pytest.approx(-np.log(X.max(axis=0)).sum())
    assert log_jacobian("passthrough", X) == log_jacobian(StandardScaler(with_std=False).fit(X), X) == 0.0


def test_changes_of_variables_of_what_is_observed() -> None:
    X = np.abs(WINE[:, 5:9]) + 0.5
    X[np.random.RandomState(0).uniform(size=X.shape) < 0.3] = np.nan
    X = X[~np.isnan(X).all(axis=1)]
    weight = np.random.RandomState(1).uniform(0.5, 2.0, size=len(X))
    models = {
        "plain": FactorAnalysis(1, tol=1e-11),
        "scaled": make_pipeline(StandardScaler(), FactorAnalysis(1, tol=1e-11)),
        "log normal": ExponentialFamilyMixture("log_normal", 1),
        "log": make_pipeline(FunctionTransformer(np.log), ExponentialFamilyMixture("gaussian", 1)),
    }
    ranking = rank_models(models, X, sample_weight=weight, change_of_variables="correct")
    elbo = {row.name: row.elbo for row in ranking}
    assert elbo["plain"] == pytest.approx(elbo["scaled"], abs=1e-6)
    assert elbo["log normal"] == pytest.approx(elbo["log"], abs=1e-6)


class Breaks(PPCA):
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        raise RuntimeError("on purpose")


def test_what_is_refused_and_what_fails() -> None:
    X = counts()
    with pytest.raises(ValueError, match="no models"):
        rank_models([], X)
    with pytest.raises(TypeError, match="must be estimators, but got 'a'"):
        rank_models("abc", X)
    with pytest.raises(ValueError, match="criterion must be one of"):
        rank_models([PPCA()], X, criterion="evidence")
    with pytest.raises(ValueError, match=r"got 'bci'\. Did you mean 'bic'\?"):
        rank_models([PPCA()], X, criterion="bci")
    with pytest.raises(ValueError, match="change_of_variables must be"):
        rank_models([PPCA()], X, change_of_variables="ignore")
    with pytest.raises(TypeError, match="supervised"):
        rank_models([LogisticRegression()], X)
    with pytest.raises(TypeError, match=r"KMeans.*entropy_sum\.register"):
        rank_models([KMeans()], X)
    with pytest.raises(ValueError, match="fitted to 2 features, but X has 3"):
        rank_models([PPCA(1).fit(X[:, :2])], X)
    with pytest.warns(FitFailedWarning, match="on purpose"):
        ranking = rank_models([PPCA(1), Breaks()], X)
    assert ranking[1].error == "RuntimeError: on purpose"
    assert "on purpose" in str(ranking)
    assert ranking.flags_[1] == "failed"
    with pytest.warns(FitFailedWarning), pytest.raises(ValueError, match="None of the 1 models"):
        rank_models([Breaks()], X).best_  # noqa: B018
    with pytest.warns(UserWarning, match="converge"):
        assert rank_models([PoissonMixture(2, max_iter=1, tol=0.0, random_state=0)], X).flags_ == ["not converged"]


def test_other_data_are_refused() -> None:
    X = WINE / WINE.std(axis=0)
    scaled = make_pipeline(StandardScaler(), GaussianMixture(2, random_state=0))
    for model in (PPCA(2), FactorAnalysis(2), PCA(2), SklearnFactorAnalysis(2), GaussianMixture(2, random_state=0), scaled):
        assert len(rank_models([clone(model).fit(X), PPCA(1)], X, change_of_variables="correct")) == 2
        with pytest.raises(ValueError, match="fitted to other data than X"):
            rank_models([clone(model).fit(X / 100), PPCA(1)], X, change_of_variables="correct")
    with pytest.raises(ValueError, match="fitted to other data than X"):
        rank_models([PPCA(2).fit(X, sample_weight=np.arange(len(X)))], X)
    # What has not converged, or was never fitted to anything, has only its gap to show.
    with pytest.warns(ConvergenceWarning):
        early = GaussianMixture(2, max_iter=2, init_params="random", random_state=0).fit(X)
    stopped = SklearnFactorAnalysis(3, max_iter=2)
    with pytest.warns(ConvergenceWarning):
        ranking = rank_models([early, stopped], X)
    assert ranking.flags_ == ["not converged"] * 2
    made = PoissonMixture.from_parameters([0.5, 0.5], [[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]])
    assert rank_models([made], counts()).flags_ == ["gap"]


def test_flags_and_order() -> None:
    def row(name: str, elbo: float, gap: float = 0.0, **options: Any) -> RankedModel:
        terms = EntropySum(posterior=elbo, prior=0.0, observable=0.0)
        return RankedModel(name, None, terms, elbo - gap, n_samples=100.0, **{"converged": True, **options})

    failed = RankedModel("failed", None, None, error="for a reason")
    rows = [failed, row("nan", np.nan), row("c", 1.0, gap=2e-4), row("b", 1.0025), row("a", 1.0045, gap=-1.99e-4)]
    ranking = ModelRanking([*rows, row("far", 0.0, gap=0.01005), row("early", -1.0, converged=False)], "elbo")
    assert [row.name for row in ranking] == ["a", "b", "c", "far", "early", "nan", "failed"]
    # A tenth of the difference to the nearest is allowed, but never more than 0.01 nats.
    assert ranking.flags_ == ["", "", "", "gap", "not converged", "no likelihood", "failed"]
    assert [row.flag for row in ranking] == ranking.flags_
    assert ranking["far"] is ranking[3]
    with pytest.raises(KeyError, match="no model 'other', but 'a', 'b', 'c' and 4 more"):
        ranking["other"]
    assert ModelRanking([row("b", 1.0025), row("a", 1.0045, gap=-2.01e-4)], "elbo").flags_ == ["gap", ""]
    # Of two neighbours the nearer one counts, on either side.
    for elbos, middle in ([1.2, 1.1995, 1.0], "gap"), ([1.2, 1.0005, 1.0], "gap"), ([1.2, 1.1, 1.0], ""):
        ranking = ModelRanking([row(str(elbo), elbo, gap=1e-4 * (elbo == elbos[1])) for elbo in elbos], "elbo")
        assert ranking.flags_ == ["", middle, ""]
    assert ModelRanking([row("alone", 1.0, gap=0.00995)], "elbo").flags_ == [""]


def test_weights_that_are_normalised_are_no_counts() -> None:
    X = counts()
    models, share = [PoissonMixture(k, random_state=0) for k in (1, 2)], np.full(len(X), 1.0 / len(X))
    with pytest.warns(UserWarning, match="Weights are counts"):
        rank_models(models, X, sample_weight=share)
    with pytest.warns(UserWarning, match="Weights are counts"):
        EntropySumSearch(models[0], {"n_components": [1, 2]}).fit(X, sample_weight=share)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rank_models(models, X, "elbo", sample_weight=share)
        rank_models(models, X, sample_weight=np.ones(len(X)))


def test_weights_of_models_that_score_without() -> None:
    X, weight = WINE / WINE.std(axis=0), np.random.RandomState(0).randint(0, 3, size=len(WINE))
    copies = np.repeat(X, weight, axis=0)
    for model in (GaussianMixture(2, random_state=0), PCA(2)):
        model.fit(X)
        (row,) = rank_models([model], X, sample_weight=weight)
        assert row.log_likelihood == pytest.approx(model.score(copies), rel=1e-12)
        assert row.n_samples == len(copies)
        assert entropy_sum_scorer(model, X, sample_weight=weight) == pytest.approx(row.elbo, rel=1e-12)


def test_models_of_users() -> None:
    class Mine(BaseEstimator):
        def fit(self, X: Any) -> Any:
            self.mean_ = X.mean(axis=0)
            return self

    @entropy_sum.register(Mine)
    def _(model: Any, X: Any, sample_weight: Any = None) -> EntropySum:
        return EntropySum(1.0, 2.0, 3.0)

    assert entropy_sum_scorer(Mine().fit(WINE), WINE) == -4.0
    with pytest.warns(FitFailedWarning, match=r"n_parameters\.register"):
        rank_models([Mine()], WINE)
    n_parameters.register(Mine)(lambda model: 2)
    ranking = rank_models([Mine()], WINE)
    assert ranking[0].aic_score == -4.0 - 2 / len(WINE)
    assert ranking.flags_ == ["no likelihood"]


def test_what_cannot_be_evaluated_stays_in_the_table() -> None:
    X = np.random.RandomState(0).normal(size=(10, 20))
    with pytest.warns(FitFailedWarning, match="not known here"):
        ranking = rank_models(
            [make_pipeline(QuantileTransformer(n_quantiles=5), PPCA(2)), PPCA(2)], X, change_of_variables="correct"
        )
    assert ranking.best_name_ == "PPCA(n_components=2)"
    with pytest.warns(FitFailedWarning, match="500"):
        ranking = rank_models([PoissonMixture(500), PPCA(3)], counts(10), criterion="aicc")
    assert ranking.best_name_ == "PPCA(n_components=3)"
    assert ranking.values_[0] == -np.inf
    with pytest.warns(FitFailedWarning):
        ranking = rank_models([Breaks()], X)
    with pytest.raises(ValueError, match="on purpose"):
        ranking.best_name_  # noqa: B018
    ranking = rank_models([PPCA(2)], X, criterion=lambda row: np.nan)
    with pytest.raises(ValueError, match="that is a number"):
        ranking.best_  # noqa: B018
    with pytest.raises(TypeError, match="several estimators, in a list or a dict, but got PPCA"):
        rank_models(PPCA(), X)  # type: ignore[arg-type]
    with pytest.warns(FitFailedWarning, match="Expected 2D array"):
        assert len(str(rank_models([PPCA(2).fit(X)], X[:, 0])).splitlines()) == 4


def test_pipelines_in_pipelines_and_searches() -> None:
    search = EntropySumSearch(PPCA(), {"n_components": [1, 2]}, error_score="raise")
    nested = make_pipeline(StandardScaler(), make_pipeline("passthrough", MinMaxScaler(), search))
    plain = rank_models([make_pipeline(StandardScaler(), MinMaxScaler(), PPCA(2))], WINE)
    assert rank_models([nested], WINE)[0].elbo == pytest.approx(plain[0].elbo, rel=1e-12)
    nested.fit(WINE)
    assert entropy_sum_scorer(nested, WINE) == pytest.approx(plain[0].elbo, rel=1e-12)
    scores = cross_validate(search, WINE, scoring=entropy_sum_scorer, cv=3, error_score="raise")["test_score"]
    assert np.isfinite(scores).all()
    weight = np.random.RandomState(0).randint(1, 3, size=len(WINE))
    (weighted,) = rank_models([clone(nested).set_params(standardscaler="passthrough")], WINE, sample_weight=weight)
    copied = rank_models([make_pipeline(MinMaxScaler().fit(WINE), PPCA(2))], np.repeat(WINE, weight, axis=0))
    assert weighted.elbo == pytest.approx(copied[0].elbo, rel=1e-9)


def test_models_of_one_kind_share_a_decomposition(monkeypatch: Any) -> None:
    calls, fit = [], PPCA.fit

    def counted(self: Any, *arguments: Any, **options: Any) -> Any:
        calls.append(self.n_components)
        return fit(self, *arguments, **options)

    monkeypatch.setattr(PPCA, "fit", counted)
    models = [*map(PPCA, range(1, 5)), PPCA(2, solver="em", tol=1e-6), PPCA("bic"), FactorAnalysis(1)]
    ranking = rank_models(models, WINE / WINE.std(axis=0))
    assert sorted(map(str, calls)) == ["2", "4", "bic"]
    assert ranking.best_.n_components == "bic"
    calls.clear()
    gaps = np.where(np.random.RandomState(0).uniform(size=WINE.shape) < 0.1, np.nan, WINE / WINE.std(axis=0))
    rank_models([PPCA(1, tol=1e-6), PPCA(2, tol=1e-6)], gaps)
    assert sorted(calls) == [1, 2]


def test_models_are_left_alone_and_errors_raise_nothing_in_workers() -> None:
    X = WINE / WINE.std(axis=0)
    models = [PPCA(1), Breaks()]
    with pytest.warns(FitFailedWarning, match="on purpose"):
        ranking = rank_models(models, X, n_jobs=2)
    assert ranking.flags_ == ["", "failed"]
    assert not hasattr(models[0], "components_")
    weight = np.random.RandomState(0).randint(0, 3, size=len(X))
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=True)
        pipelines = [make_pipeline(scaler, PPCA(k).set_fit_request(sample_weight=True)) for k in (1, 2)]
        serial, parallel = (rank_models(pipelines, X, sample_weight=weight, n_jobs=n_jobs) for n_jobs in (1, 2))
    assert [row.error for row in parallel] == ["", ""]
    np.testing.assert_array_equal(serial.values_, parallel.values_)
    copied = rank_models([make_pipeline(StandardScaler(), PPCA(k)) for k in (1, 2)], np.repeat(X, weight, axis=0))
    np.testing.assert_allclose(serial.values_, copied.values_, rtol=1e-9)


def test_models_of_one_name_get_numbers() -> None:
    ranking = rank_models((PPCA(1) for _ in range(2)), counts())
    assert sorted(row.name for row in ranking) == ["PPCA(n_components=1)", "PPCA(n_components=1) #2"]
    # That they tie is no reason for doubt.
    assert ranking.flags_ == ["", ""]


def test_models_that_binarize_are_not_compared_with_those_that_do_not():
    X = np.random.default_rng(0).poisson(3.0, size=(100, 3))
    models = [SigmoidBeliefNet(1, random_state=0), PoissonMixture(1)]
    with pytest.raises(ValueError, match=r"SigmoidBeliefNet.* has converted the data to zeros and ones, and PoissonMixture"):
        rank_models(models, X)
    assert len(rank_models(models, (X > 2).astype(float))) == 2


def test_ties_are_not_uncertain():
    mixtures = [ExponentialFamilyMixture("gaussian", 2, random_state=0) for _ in range(2)]
    ranking = rank_models(mixtures, WINE)
    assert 0.0 < abs(ranking[0].gap) < 1e-6
    assert ranking.flags_ == ["", ""]


def test_entropy_sums_that_need_something_say_what():
    with pytest.raises(ValueError, match="give X"):
        entropy_sum(GaussianMixture(2, random_state=0).fit(WINE))
    with pytest.raises(TypeError, match=r"pipeline\[-1\]"):
        entropy_sum(make_pipeline(StandardScaler(), PPCA(2)).fit(WINE), WINE)


def test_searches_over_pipelines_beside_pipelines():
    pipeline = Pipeline([("scale", StandardScaler()), ("model", PPCA(2))])
    weight = np.random.default_rng(0).uniform(0.1, 3.0, size=len(WINE))
    for search in (
        EntropySumSearch(pipeline, {"model__n_components": [2]}),
        GridSearchCV(pipeline, {"model__n_components": [2]}, cv=2),
    ):
        ranking = rank_models({"pipeline": pipeline, "search": search}, WINE, sample_weight=weight)
        assert ranking[0].log_likelihood == pytest.approx(ranking[1].log_likelihood, abs=1e-12)
        assert ranking[0].n_samples == ranking[1].n_samples == pytest.approx(weight.sum())
    swapped = EntropySumSearch(pipeline, {"scale": [MinMaxScaler()]})
    with pytest.raises(ValueError, match="transform the data differently"):
        rank_models({"pipeline": pipeline, "search": swapped}, WINE)


def test_transformers_are_compared_to_the_last_number():
    shifts = np.zeros(5000), np.zeros(5000)
    shifts[1][2500] = 9.0
    pipelines = [make_pipeline(FunctionTransformer(np.add, kw_args={"x2": shift[2500]}), PPCA(1)) for shift in shifts]
    long = [make_pipeline(FunctionTransformer(np.negative, kw_args={"where": shift == 0}), PPCA(1)) for shift in shifts]
    for pair in (pipelines, long):
        with pytest.raises(ValueError, match="transform the data differently"):
            rank_models(pair, WINE)


def test_how_near_the_data_of_fitted_models_must_be() -> None:
    def is_taken(model: Any, table: Any = WINE, **options: Any) -> bool:
        try:
            rank_models([model], table, **options)
        except ValueError:
            return False
        return True

    # Bounds are of transformed data, in which a thousandth of their size is a rounding error of single precision.
    assert is_taken(make_pipeline(StandardScaler(), PPCA(2)).fit(WINE), change_of_variables="correct")
    for share, taken in ((0.000995, True), (-0.000995, True), (0.001005, False), (-0.001005, False)):
        ppca = PPCA(2).fit(WINE)
        ppca.lower_bound_ += share * (1.0 + abs(ppca.lower_bound_))
        assert is_taken(ppca) == taken
    # Ten times the tolerance of a fit is far, and of small bounds a thousandth of one.
    units = WINE * np.exp(PPCA(2).fit(WINE).lower_bound_ / WINE.shape[1])
    for table, tol, size in ((WINE, 1e4, 1e5), (units, 1e-9, 1e-3)):
        for share, taken in ((0.995, True), (1.005, False)):
            ppca = PPCA(2).fit(table).set_params(tol=tol)
            ppca.lower_bound_ -= share * size
            assert is_taken(ppca, table) == taken
    # Without a bound the means tell, to a millionth of the largest value.
    for share, taken in ((5e-7, True), (2e-6, False)):
        pca = PCA(2).fit(WINE)
        pca.mean_ = pca.mean_ + share * WINE.max()
        assert is_taken(pca) == taken


def test_seconds_are_those_of_the_fits() -> None:
    start = time.perf_counter()
    ranking = rank_models([*map(PPCA, range(1, 11)), FactorAnalysis(1)], WINE)
    seconds = time.perf_counter() - start
    assert 0.0 < sum(row.fit_time for row in ranking) < seconds


def test_icl_of_mixtures_of_others() -> None:
    mixture = GaussianMixture(2, random_state=0).fit(WINE)
    (row,) = rank_models([mixture], WINE)
    certainty = np.log(mixture.predict_proba(WINE).max(axis=1)).mean()
    assert certainty < 0.0
    assert row.icl_score == pytest.approx(row.bic_score + certainty, abs=1e-12)


def test_warnings_of_candidates_point_to_the_line_that_ranked():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        rank_models([FactorAnalysis(1, max_iter=1), PoissonMixture(2, max_iter=1, n_starts=1)], load_iris().data.round())
    assert len(caught) >= 1
    assert {warning.filename for warning in caught} == {__file__}


def test_exposures_reach_each_model_and_the_last_steps_of_pipelines():
    rng = np.random.default_rng(0)
    exposure = rng.uniform(0.5, 8.0, size=200)
    X = rng.poisson(rng.choice([0.3, 2.0], size=200) * exposure)[:, np.newaxis].astype(float)
    models = {k: PoissonMixture(k, random_state=0) for k in (1, 2)}
    models["piped"] = make_pipeline("passthrough", PoissonMixture(2, random_state=0))
    models["fitted"] = PoissonMixture(2, random_state=0).fit(X, exposure=exposure)
    ranking = rank_models(models, X, exposure=exposure)
    for row in ranking:
        own = PoissonMixture(1 if row.name == "1" else 2, random_state=0).fit(X, exposure=exposure)
        assert row.log_likelihood == pytest.approx(own.score(X, exposure=exposure), rel=1e-12)
        # That of a ranking is by the entropy sum, that of a model by the likelihood.
        assert row.bic == pytest.approx(own.bic(X, exposure=exposure) - 2 * len(X) * row.gap, rel=1e-12)
    assert ranking[3].name == "1"
    held_out = rank_models({k: models[k] for k in (1, 2)}, X, "validation", exposure=exposure, random_state=0)
    assert held_out.best_name_ == "2"
    with pytest.warns(FitFailedWarning, match="could not be fitted.*exposure"):
        assert rank_models([PPCA(1), models[1]], np.hstack([X, X]), exposure=exposure)[1].error
