"""Scorers for searches of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skentropy import PPCA, entropy_sum_scorer
from skentropy.model_selection import stationarity_gap_scorer


def test_scorers() -> None:
    X = load_iris().data
    model = PPCA(2).fit(X)
    assert entropy_sum_scorer(model, X) == pytest.approx(model.score(X), abs=1e-10)
    assert stationarity_gap_scorer(model, X) == pytest.approx(0.0, abs=1e-9)
    assert stationarity_gap_scorer(model, X[::3]) < -1e-3
    with pytest.raises(ValueError, match="quantity must be"):
        clone(entropy_sum_scorer).set_params(quantity="gap")(model, X)
    pipeline = make_pipeline(StandardScaler(), PPCA(2)).fit(X)
    assert entropy_sum_scorer(pipeline, X) == pytest.approx(pipeline.score(X), abs=1e-10)
    weight = np.random.RandomState(0).uniform(size=len(X))
    assert np.isfinite(entropy_sum_scorer(model, X, sample_weight=weight))
    scoring = {"closed": entropy_sum_scorer, "gap": stationarity_gap_scorer}
    search = GridSearchCV(pipeline, {"ppca__n_components": [1, 2, 3]}, scoring=scoring, refit="closed", cv=3).fit(X)
    # Of held-out data it favours the largest model.
    assert search.best_params_ == {"ppca__n_components": 3}
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = clone(entropy_sum_scorer).set_score_request(sample_weight=True)
        model = PPCA().set_fit_request(sample_weight=True)
        routed = GridSearchCV(model, {"n_components": [1, 2]}, scoring=scorer, cv=3).fit(X, sample_weight=weight)
        assert np.isfinite(routed.best_score_)
