"""Loadings are drawn as the models have them."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skentropy import PPCA, FactorAnalysis, PoissonMixture
from skentropy.inspection import BiplotDisplay, LoadingsDisplay

matplotlib.use("Agg")
FRAME: Any = load_wine(as_frame=True).data


@pytest.fixture(autouse=True)
def _close() -> Any:
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def test_a_heat_map_is_sorted_and_named() -> None:
    model = FactorAnalysis(3, rotation="oblimin").fit(FRAME)
    display = LoadingsDisplay.from_estimator(model, cutoff=0.4)
    names = [label.get_text() for label in display.ax_.get_yticklabels()]
    expected = model.summary(sort=True)["loadings"].to_frame()
    assert names == list(expected.index)
    assert [label.get_text() for label in display.ax_.get_xticklabels()] == ["factor0", "factor1", "factor2"]
    drawn = display.ax_.images[0].get_array()
    np.testing.assert_allclose(drawn, expected[["factor0", "factor1", "factor2"]])
    assert len(display.ax_.texts) == (np.abs(model.loadings_) >= 0.4).sum()
    low, high = display.ax_.images[0].get_clim()
    assert low == -high == -max(1.0, np.abs(model.loadings_).max())
    unsorted = LoadingsDisplay.from_estimator(model, sort=False)
    assert unsorted.features == list(FRAME.columns)


def test_components_are_drawn_as_correlations() -> None:
    pipeline = make_pipeline(StandardScaler().set_output(transform="pandas"), PPCA(2)).fit(FRAME)
    display = LoadingsDisplay.from_estimator(pipeline, sort=False)
    model = pipeline[-1]
    np.testing.assert_allclose(display.loadings, model.components_.T / np.sqrt(np.diag(model.get_covariance()))[:, None])
    assert display.factors == ["component0", "component1"]
    assert display.features == list(FRAME.columns)


def test_a_biplot() -> None:
    import matplotlib.pyplot as plt

    pipeline = make_pipeline(StandardScaler(), FactorAnalysis(3)).fit(FRAME)
    figure, axes = plt.subplots()
    display = BiplotDisplay.from_estimator(pipeline, FRAME, factors=(2, 0), ax=axes)
    assert display.figure_ is figure
    np.testing.assert_allclose(display.ax_.collections[0].get_offsets(), pipeline.transform(FRAME)[:, [2, 0]])
    assert display.ax_.get_xlabel() == "score of factor2"
    arrows = {text.get_text(): text.xy for text in display.ax_.texts if text.get_text()}
    lengths = np.array([arrows[f"x{i}"] for i in range(13)])
    ratio = lengths / pipeline[-1].loadings_[:, [2, 0]]
    np.testing.assert_allclose(ratio, ratio[0, 0])
    assert np.linalg.norm(lengths, axis=1).max() == pytest.approx(2.5 * display.scores.std())
    across, up = display.ax_.lines
    assert (*across.get_ydata(), *up.get_xdata()) == (0.0, 0.0, 0.0, 0.0)
    starts = [text.xyann for text in display.ax_.texts if not text.get_text()]
    assert starts == [(0.0, 0.0)] * 13


def test_large_and_many_loadings() -> None:
    names = [f"x{i}" for i in range(30)]
    few = LoadingsDisplay(loadings=np.array([[1.5, 0.1], [-0.4, 0.5]]), features=names[:2], factors=["a", "b"], cutoff=0.0)
    assert few.plot().ax_.images[0].get_clim() == (-1.5, 1.5)
    assert [text.get_color() for text in few.ax_.texts] == ["white", "black", "black", "black"]
    few = LoadingsDisplay(
        loadings=np.array([[1.5, 0.905], [-0.905, 0.895]]), features=names[:2], factors=["a", "b"], cutoff=0.0
    )
    assert [text.get_color() for text in few.plot().ax_.texts] == ["white", "white", "white", "black"]
    many = LoadingsDisplay(loadings=np.full((30, 14), 0.5), features=names, factors=names[:14], cutoff=0.0)
    assert not many.plot().ax_.texts


@pytest.mark.parametrize("factors", [(0, 0), (0, 2), (-1, 1)])
def test_factors_that_there_are_not(factors: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="factors must be two different ones of the 2"):
        BiplotDisplay.from_estimator(FactorAnalysis(2).fit(FRAME), FRAME, factors=factors)


def test_models_without_loadings() -> None:
    mixture = PoissonMixture(1).fit(pd.DataFrame({"a": [1, 2, 3]}))
    with pytest.raises(TypeError, match="PoissonMixture has none"):
        LoadingsDisplay.from_estimator(mixture)
