"""Warnings of rankings: likelihoods of different kinds, and which of the models a warning is about."""

from __future__ import annotations

import pickle
import warnings
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skentropy import (
    PPCA,
    ColumnMixture,
    DirichletMixture,
    EntropySumSearch,
    ExponentialFamilyMixture,
    FactorAnalysis,
    GammaMixture,
    GaussianMixture,
    MultinomialMixture,
    PoissonMixture,
    VonMisesFisherMixture,
    rank_models,
)
from skentropy._em._monitor import _WatchedRun
from tests.common.data import counts

DISCRETE = {"Poisson": PoissonMixture(1), "geometric": ExponentialFamilyMixture("geometric", 1)}
REAL = {"Gaussian": GaussianMixture(1), "PPCA": PPCA(1), "PCA": PCA(1)}
GIVEN = {"multinomial": MultinomialMixture(1)}
ROWS = {"directions": VonMisesFisherMixture(1), "compositions": DirichletMixture(1, zeros=0.5)}
MIXED = {"columns": ColumnMixture([("a", "gaussian", [0]), ("b", "poisson", [1, 2])], 1)}


ANGLES = {"angles": ExponentialFamilyMixture("von_mises", 1)}


def _table(*blocks: tuple[Any, list[int]]) -> ColumnMixture:
    return ColumnMixture([(str(place), family, columns) for place, (family, columns) in enumerate(blocks)], 1)


@pytest.mark.parametrize(
    ("one", "other", "message"),
    [
        (
            _table((VonMisesFisherMixture(), [0, 1]), ("poisson", [2])),
            _table(("gaussian", [0, 1]), ("poisson", [2])),
            "column 0, column 1 a part of a direction to one of them and a real number to the other",
        ),
        (
            _table(("von_mises", [0]), ("poisson", [1, 2])),
            _table(("gaussian", [0]), ("poisson", [1, 2])),
            "column 0 an angle to one of them and a real number to the other",
        ),
        (
            _table((MultinomialMixture(), [0, 1, 2])),
            _table((MultinomialMixture(), [0, 1]), ("poisson", [2])),
            "column 0, column 1 a count with a given total to both, but together with different columns",
        ),
        (
            _table((DirichletMixture(), [0, 1]), (VonMisesFisherMixture(), [2, 3])),
            _table((VonMisesFisherMixture(), [0, 1]), (DirichletMixture(), [2, 3])),
            "column 0, column 1 a part of a composition to one of them and a part of a direction to the other",
        ),
        (
            _table((VonMisesFisherMixture(), [0, 1]), (VonMisesFisherMixture(), [2, 3])),
            VonMisesFisherMixture(1),
            "column 0, column 1 a part of a direction to both, but together with different columns",
        ),
    ],
)
def test_columns_of_different_kinds_are_refused(one: Any, other: Any, message: str) -> None:
    X = np.column_stack([counts() + 1.0, counts()[:, 0] + 2.0])[:, : one.columns[-1][2][-1] + 1]
    X[:, 0] = np.minimum(X[:, 0], 6.0) if "angle" in message else X[:, 0]
    with pytest.raises(ValueError, match=f"are models of different variables: {message}. Their"):
        rank_models([one, other], X)
    with pytest.raises(ValueError, match="are models of different variables"):
        rank_models([other, one], X)
    assert len(rank_models([one, one], X)) == 2
    assert len(rank_models([other, other], X)) == 2


def test_a_ranking_of_a_model_made_from_parameters_goes_between_processes() -> None:
    model = GammaMixture.from_parameters([1.0], shapes=[[2.0] * 3], rates=[[0.5] * 3])
    ranking = rank_models([model], counts() + 0.5)
    assert pickle.loads(pickle.dumps(ranking)).values_ == ranking.values_


def test_the_kind_is_empty_before_a_fit_chooses_kinds_of_columns() -> None:
    table = ColumnMixture(n_components=1)
    assert table.traits().likelihood == ""
    assert table.fit(counts() + 0.5).traits().likelihood == "density"


def test_zeros_that_were_replaced_by_different_values_are_warned_of() -> None:
    X = counts() + 1.0
    models = {"half": GammaMixture(1, zeros=0.5), "small": GammaMixture(1, zeros=1e-3), "real": GaussianMixture(1)}
    assert rank_models(models, X).flags_ == ["", "", ""], "there is no zero"
    X[0, 1] = 0.0
    told = "replaced zeros by different.*'half': 0.5 in column 1; 'small': 0.001 in column 1; 'real': none. Replace"
    with pytest.warns(UserWarning, match=told):
        ranking = rank_models(models, X)
    assert ranking.flags_ == ["", "other zeros", "other zeros"]
    alike = {name: GammaMixture(k, zeros=1e-3, random_state=0) for name, k in (("one", 1), ("two", 2))}
    assert rank_models(alike, X).flags_ == ["", ""]
    compositions = [DirichletMixture(1, zeros=0.5), DirichletMixture(1, zeros=0.1)]
    with pytest.warns(UserWarning, match="replaced zeros by different values"):
        assert rank_models(compositions, X).flags_ == ["", "other zeros"]
    model = compositions[0].fit(X)
    assert model.traits().zero_substitutes == {1: 0.5}
    assert model.fit(X[1:]).traits().zero_substitutes == {}


@pytest.mark.parametrize("models", [DISCRETE, REAL, GIVEN, MIXED])
def test_likelihoods_of_one_kind_are_ranked_without_a_word(models: dict[str, Any]) -> None:
    assert len(rank_models(models, counts())) == len(models)


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (
            DISCRETE | REAL,
            "of counts or categories: 'Poisson', 'geometric'; Densities .*: 'Gaussian', 'PPCA', 'PCA'. Rank each",
        ),
        (REAL | ROWS, "Densities of directions, on a sphere: 'directions'; Densities of comp.*: 'compositions'. Rank each"),
        (DISCRETE | GIVEN, "given the totals of the rows: 'multinomial'"),
        (REAL | MIXED, "Likelihoods of different kinds in different columns: 'columns'"),
        (REAL | ANGLES, "Densities of real numbers: 'Gaussian', 'PPCA', 'PCA'; Densities of angles, on a circle: 'angles'"),
        (
            DISCRETE | {"a": PoissonMixture(1), "b": PoissonMixture(1)} | GIVEN,
            "'Poisson', 'geometric', 'a' and 1 more; Prob",
        ),
    ],
)
def test_likelihoods_of_different_kinds_are_warned_of(models: dict[str, Any], message: str) -> None:
    X = np.minimum(counts(), 6)
    with pytest.warns(UserWarning, match=f"different kinds, and their values are not comparable.*{message}"):
        ranking = rank_models(models, X)
    assert len(ranking) == len(models)
    other = [row.likelihood != ranking[0].likelihood for row in ranking]
    assert any(other)
    flagged = [flag == "other kind" for flag in ranking.flags_]
    assert flagged == [is_other and flag != "gap" for is_other, flag in zip(other, ranking.flags_, strict=True)]
    assert any(flagged)
    own = rank_models(models, X, criterion=lambda row: -row.n_parameters)  # which is not of likelihoods
    assert len(own) == len(models)
    assert "other kind" not in own.flags_


def test_warnings_begin_with_the_name_of_the_model() -> None:
    quick = {"tol": 0.0, "max_iter": 1, "random_state": 0}
    models = {"two": PoissonMixture(2, **quick), "three": PoissonMixture(3, **quick), "one": PoissonMixture(1)}
    with pytest.warns(ConvergenceWarning) as told:
        rank_models(models, counts())
    assert [str(warning.message).split(":")[0] for warning in told] == ["model 'two'", "model 'three'"]
    assert {warning.filename for warning in told} == {__file__}
    with pytest.warns(ConvergenceWarning) as told:
        EntropySumSearch(PoissonMixture(**quick), {"n_components": [2, 3]}).fit(counts())
    assert [str(warning.message)[:38] for warning in told] == [f"model 'n_components={k}': PoissonMixture" for k in (2, 3)]
    X = np.vstack([counts().astype(float), np.full((1, 3), np.nan)])
    with pytest.warns(
        UserWarning, match=r"^models 'PPCA\(n_components=1\)', 'PPCA.*: X has no observed value in 1 of its rows"
    ):
        rank_models([PPCA(1), PPCA(2)], X)
    with pytest.warns(ConvergenceWarning, match="^PoissonMixture did not"):
        PoissonMixture(2, **quick).fit(counts())


def test_warnings_point_to_the_line_of_the_user_through_pipelines_and_searches() -> None:
    quick = PoissonMixture(2, tol=0.0, max_iter=1, random_state=0)
    pipeline = make_pipeline(FunctionTransformer(), quick)
    net = make_pipeline(FactorAnalysis(1), GaussianMixture(1)).set_output(transform="pandas")
    X = np.column_stack([counts(), counts()[:, 0]])
    for fit in (
        lambda: pipeline.fit(counts()),
        lambda: GridSearchCV(quick, {"n_components": [2]}, cv=2).fit(counts()),
        lambda: net.fit(X),
    ):
        with pytest.warns(ConvergenceWarning) as told:
            fit()
        assert {warning.filename for warning in told} == {__file__}


def test_a_fit_that_stops_before_the_last_step_does_not_blame_the_number_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_WatchedRun, "on_step", lambda self, run: run.n_iter == 2)
    with pytest.warns(ConvergenceWarning, match="PoissonMixture stopped after 2 of 1000 steps and did not converge") as told:
        PoissonMixture(3, tol=0.0, random_state=0).fit(counts())
    assert "max_iter" not in "".join(str(warning.message) for warning in told)
    with pytest.warns(ConvergenceWarning, match="did not converge within max_iter=2 steps"):
        PoissonMixture(3, tol=0.0, max_iter=2, random_state=0).fit(counts())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PoissonMixture(3, max_iter=0, random_state=0).fit(counts())
