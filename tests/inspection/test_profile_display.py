"""Profiles of components: what is drawn is what the mixtures expect, with the errors of that."""

from __future__ import annotations

import warnings
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.datasets import load_iris, load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skentropy import (
    PPCA,
    ColumnMixture,
    EntropySumSearch,
    ExponentialFamilyMixture,
    GammaMixture,
    GaussianMixture,
    StudentTMixture,
)
from skentropy.inspection import ComponentProfileDisplay
from tests.common.estimators import ESTIMATORS

matplotlib.use("Agg")
MIXTURES = [name for name, case in ESTIMATORS.items() if case.output == "predict_proba"]
IRIS: Any = load_iris(as_frame=True).data


@pytest.fixture(autouse=True)
def _close() -> Any:
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def test_gaussians() -> None:
    model = GaussianMixture(3, random_state=0).fit(IRIS)
    display = ComponentProfileDisplay.from_estimator(model, IRIS, level=0.9, sort=False)
    mean, sd = IRIS.mean().to_numpy(), IRIS.std(ddof=0).to_numpy()  # at a maximum the mixture's
    z = (model.means_ - mean) / sd
    np.testing.assert_allclose(display.profiles, z, atol=1e-4)
    assert display.intervals is not None
    half = stats.norm.ppf(0.95) * model.standard_errors(IRIS)["means"] / sd
    np.testing.assert_allclose(display.intervals, np.stack([z - half, z + half], axis=-1), atol=1e-4)
    variances = np.diagonal(model.covariances_, axis1=1, axis2=2)
    np.testing.assert_allclose(display.spreads, np.sqrt(variances) / sd, rtol=1e-4)
    bars = np.array([(bar.get_x(), bar.get_width(), bar.get_y() + 0.5 * bar.get_height()) for bar in display.ax_.patches])
    lefts, widths, places = np.moveaxis(bars.reshape(3, 4, 3), -1, 0)
    np.testing.assert_allclose(lefts, display.profiles - display.spreads)
    np.testing.assert_allclose(widths, 2.0 * display.spreads)
    np.testing.assert_allclose(places.mean(axis=0), np.arange(4.0), atol=1e-12)
    np.testing.assert_allclose(np.diff(places, axis=0), 0.7 / 3)
    assert [bar.get_height() for bar in display.ax_.patches] == pytest.approx([0.7 / 3] * 12)
    # A line at zero, and one between each two rows, from the left to the right; rows are as high as each other.
    assert any(tuple(line.get_xdata()) == (0.0, 0.0) for line in display.ax_.lines)
    segments = [np.array(lines.get_segments()) for lines in display.ax_.collections]
    between = next(ends for ends in segments if len(ends) == 3 and (ends[:, :, 0] == [0.0, 1.0]).all())
    np.testing.assert_array_equal(between[:, :, 1], [[0.5, 0.5], [1.5, 1.5], [2.5, 2.5]])
    assert display.ax_.get_ylim() == (3.5, -0.5)
    assert display.rows == list(IRIS.columns)
    ordered = ComponentProfileDisplay.from_estimator(model, most=2)
    assert ordered.intervals is None
    assert ordered.rows == [IRIS.columns[d] for d in np.argsort(-(model.weights_ @ z**2))[:2]]
    assert [label.get_text() for label in ordered.ax_.get_yticklabels()] == ordered.rows
    legend = [text.get_text() for text in ordered.ax_.get_legend().get_texts()]
    assert legend == [f"component {c} ({weight:.0%})" for c, weight in enumerate(model.weights_)]
    dots = [line.get_xdata() for line in ordered.ax_.lines if line.get_marker() == "o"]
    np.testing.assert_array_equal(dots, ordered.profiles)


def test_rows_do_not_depend_on_units() -> None:
    plain, small = (GaussianMixture(3, random_state=0).fit(unit * IRIS) for unit in (1.0, 1e-6))
    display, expected = ComponentProfileDisplay.from_estimator(small), ComponentProfileDisplay.from_estimator(plain)
    assert display.rows == expected.rows
    np.testing.assert_allclose(display.profiles, expected.profiles, atol=1e-3)


def test_means_that_are_no_parameter() -> None:
    """The mean of one gamma distribution, shape / rate, is estimated by that of the rows."""
    x = load_wine().data[:, [12]]
    model = GammaMixture(1).fit(x)
    (shape,) = model.shapes_.ravel()
    profiles, errors = model.profiles(x)
    assert profiles.expected.item() == pytest.approx(x.mean(), rel=1e-9)
    assert profiles.deviations.item() == pytest.approx(x.mean() / np.sqrt(shape), rel=1e-6)
    assert errors is not None
    assert errors.item() == pytest.approx(x.mean() / np.sqrt(shape * len(x)), rel=1e-6)


def test_categories_have_rows_of_their_own() -> None:
    rng = np.random.default_rng(0)
    kind = rng.choice(2, size=300)
    X = pd.DataFrame(
        {
            "size": np.where(rng.random(300) < 0.7, np.array(["small", "large"])[kind], "middle"),
            "answer": np.where(rng.random(300) < 0.2 + 0.6 * kind, "yes", "no"),
            "length": 2.0 * kind + rng.normal(size=300),
        }
    )
    model = ColumnMixture(random_state=0, prior_counts=0.5).fit(X)
    display = ComponentProfileDisplay.from_estimator(model, X, sort=False)
    assert display.rows == ["size = large", "size = middle", "size = small", "answer = yes", "length"]
    p = model.parameters_["categorical"]["probabilities"]
    errors = model.standard_errors(X)
    mean = model.weights_ @ p[:, 1, 1]
    sd = np.sqrt(mean * (1.0 - mean))
    np.testing.assert_allclose(display.profiles[:, 3], (p[:, 1, 1] - mean) / sd, rtol=1e-9)
    assert display.intervals is not None
    width = display.intervals[:, :, 1] - display.intervals[:, :, 0]
    z = 2.0 * stats.norm.ppf(0.975)
    np.testing.assert_allclose(width[:, 3], z * errors["categorical: probabilities"][:, 1, 1] / sd, rtol=1e-6)
    np.testing.assert_allclose(width[:, 4], z * errors["gaussian: means"][:, 0] / X["length"].std(ddof=0), rtol=0.01)
    assert np.isnan(display.spreads[:, :4]).all()
    assert np.isfinite(display.spreads[:, 4]).all()


@pytest.mark.parametrize("name", MIXTURES)
def test_all_mixtures(name: str) -> None:
    case = ESTIMATORS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = case.make().fit(case.hardest)
    display = ComponentProfileDisplay.from_estimator(model, case.hardest)
    weights = model.weights_
    # Means between components are zero, and so are the sums of squares beyond one.
    np.testing.assert_allclose(weights @ display.profiles, 0.0, atol=1e-9)
    assert (weights @ display.profiles**2 <= 1.0 + 1e-9).all()
    spread = weights @ (display.profiles**2 + display.spreads**2)
    np.testing.assert_allclose(spread[np.isfinite(spread)], 1.0, rtol=1e-9)
    assert display.intervals is not None
    inside = (display.intervals[..., 0] <= display.profiles) & (display.profiles <= display.intervals[..., 1])
    assert (inside | np.isnan(display.intervals).any(axis=-1)).all()
    assert np.isfinite(display.intervals).mean() > 0.9


@pytest.mark.parametrize(("name", "fixed"), [("PoissonMixture-zero_inflated", "zeros"), ("GaussianMixture-noise", "noise")])
def test_what_is_no_cluster_has_one_name_everywhere(name: str, fixed: str) -> None:
    case = ESTIMATORS[name]
    model = case.make().fit(case.X)
    display = ComponentProfileDisplay.from_estimator(model)
    assert [label.split(" (")[0] for label in display.components] == ["component 0", "component 1", fixed]
    tables = model.summary(case.X).to_frames()
    assert list(tables["components"].index) == list(tables["classification"].index) == ["0", "1", fixed]
    assert list(tables["classification"].columns) == ["rows", "component 0", "component 1", fixed]
    assert f"labels the rows of {fixed} -1" in model.summary()["components"].title
    assert f"weights[{fixed}]" in model.standard_errors(case.X).names


def test_pipelines_searches_and_others() -> None:
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(2, random_state=0)).fit(IRIS)
    search = EntropySumSearch(GaussianMixture(random_state=0), {"n_components": [2]}).fit(IRIS)
    own = ComponentProfileDisplay.from_estimator(GaussianMixture(2, random_state=0).fit(IRIS), IRIS)
    for estimator in (pipeline, search):
        found = ComponentProfileDisplay.from_estimator(estimator, IRIS)
        np.testing.assert_allclose(found.profiles, own.profiles, atol=1e-4)
        np.testing.assert_allclose(found.intervals, own.intervals, atol=1e-3)
    with pytest.raises(TypeError, match="PPCA is not a mixture"):
        ComponentProfileDisplay.from_estimator(PPCA(2).fit(IRIS))
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        ComponentProfileDisplay.from_estimator(search, level=95)


def test_distributions_without_variance_have_no_profile() -> None:
    mixture = StudentTMixture.from_parameters([0.5, 0.5], [[0.0], [9.0]], [[[1.0]], [[1.0]]], [2.0, 9.0])
    with pytest.raises(ValueError, match="at most two degrees of freedom"):
        ComponentProfileDisplay.from_estimator(mixture)


def test_other_data_are_told() -> None:
    model = GaussianMixture(2, random_state=0).fit(IRIS)
    with pytest.warns(UserWarning, match="not at a maximum"):
        ComponentProfileDisplay.from_estimator(model, IRIS[:100])


def test_what_is_not_identified_has_no_interval() -> None:
    counts = np.array([40, 25, 15, 20])
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float).repeat(counts, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ExponentialFamilyMixture("bernoulli", 2, random_state=0, tol=1e-13).fit(X)
    assert np.isnan(ComponentProfileDisplay.from_estimator(model, X).intervals).all()
