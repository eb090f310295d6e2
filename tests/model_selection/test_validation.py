"""Models compared by rows that they were not fitted to."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import ShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skentropy import PPCA, EntropySumSearch, FactorAnalysis, GaussianVAE, PoissonMixture, RowBlocks, rank_models

WINE = load_wine().data / load_wine().data.std(axis=0)
VAE = GaussianVAE(2, hidden_layer_sizes=(8,), max_iter=10, random_state=0)
FITTED, HELD = next(ShuffleSplit(1, test_size=0.3, random_state=1).split(WINE))


def test_ranked_by_rows_that_were_held_out() -> None:
    weight = np.random.RandomState(0).uniform(0.5, 2.0, size=len(WINE))
    models = [VAE, PPCA(1), PPCA(2), FactorAnalysis(2), make_pipeline(StandardScaler(), PPCA(3))]
    options = {"validation_fraction": 0.3, "random_state": 1}
    ranking = rank_models(models, WINE, "validation", sample_weight=weight, change_of_variables="correct", **options)
    assert list(ranking.values_) == sorted(ranking.values_, reverse=True)
    for row in ranking:
        if row.log_jacobian == 0.0:
            model = clone(row.model).fit(WINE[FITTED], sample_weight=weight[FITTED])
            assert row.validation == pytest.approx(model.score(WINE[HELD], sample_weight=weight[HELD]), rel=1e-9)
            assert row.log_likelihood == pytest.approx(model.score(WINE[FITTED], sample_weight=weight[FITTED]), rel=1e-9)
        else:
            scaler = StandardScaler().fit(WINE[FITTED])
            model = PPCA(3).fit(scaler.transform(WINE[FITTED]), sample_weight=weight[FITTED])
            score = model.score(scaler.transform(WINE[HELD]), sample_weight=weight[HELD]) - np.log(scaler.scale_).sum()
            assert row.validation == pytest.approx(score, rel=1e-9)
    assert np.isnan(next(row.n_parameters for row in ranking if row.model.__class__ is GaussianVAE))
    assert "validation" in ranking.to_dict()
    assert "nan" not in str(ranking)


def test_search_fits_the_best_to_all() -> None:
    frame = pd.DataFrame(WINE).add_prefix("x")
    grid = {"n_components": [1, 2, 4]}
    search = EntropySumSearch(VAE, grid, criterion="validation", random_state=0).fit(frame)
    assert search.best_score_ == max(row.validation for row in search.ranking_)
    assert list(search.results_["score"]) == list(search.results_["validation"])
    alone = clone(VAE).set_params(**search.best_params_).fit(frame)
    np.testing.assert_array_equal(search.score_samples(frame), alone.score_samples(frame))
    assert list(search.feature_names_in_) == list(frame.columns)


def test_sparse_rows_of_any_format_are_held_out() -> None:
    X = sparse.coo_matrix(np.random.RandomState(0).poisson(2.0, size=(60, 3)))
    models = [PoissonMixture(1), PoissonMixture(2, random_state=0)]
    rows, dense = (rank_models(models, data, "validation", random_state=0) for data in (X, X.toarray()))
    np.testing.assert_allclose(rows.values_, dense.values_)


def test_few_rows_are_enough_to_hold_out() -> None:
    ranking = rank_models([PPCA(1)], WINE, "validation", validation_fraction=0.006, random_state=0)
    assert ranking[0].n_samples == len(WINE) - 2


def test_what_is_refused() -> None:
    for criterion in ("bic", "aic", "aicc"):
        told = f"GaussianVAE.* no agreed rule, so that '{criterion}'.*'validation'"
        with pytest.raises(ValueError, match=told):
            rank_models([VAE], WINE, criterion)
        with pytest.warns(FitFailedWarning, match=told):
            ranking = rank_models([VAE, PPCA(2)], WINE, criterion)
        assert (ranking.best_name_, ranking.flags_) == ("PPCA(n_components=2)", ["", "failed"])
        assert "no agreed rule" in ranking[1].error
        with pytest.raises(ValueError, match="no agreed rule"):
            EntropySumSearch(VAE, {"n_components": [1]}, criterion=criterion).fit(WINE)
    with pytest.raises(ValueError, match="has been fitted"):
        rank_models([PPCA(2).fit(WINE)], WINE, "validation")
    with pytest.raises(ValueError, match="must be in memory"):
        rank_models([PPCA(2)], RowBlocks(lambda: [WINE]), "validation")
    with pytest.raises(ValueError, match="validation_fraction must lie between 0 and 1"):
        rank_models([PPCA(2)], WINE, "validation", validation_fraction=1.0)
    assert np.isnan(rank_models([PPCA(2)], WINE)[0].validation)
    assert not np.isnan(rank_models([VAE], WINE, "elbo").values_[0])
