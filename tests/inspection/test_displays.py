"""The displays draw what the models say."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from typing import Any

import matplotlib
import numpy as np
import pytest
from scipy import sparse
from sklearn.datasets import load_digits, load_wine
from sklearn.exceptions import NotFittedError
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skentropy import (
    PPCA,
    EntropySum,
    EntropySumSearch,
    FactorAnalysis,
    GaussianVAE,
    PoissonMixture,
    SigmoidBeliefNet,
    entropy_sum,
    rank_models,
)
from skentropy.inspection import EntropyDecompositionDisplay, LatentInformationDisplay, ModelRankingDisplay
from skentropy.inspection._displays import latent_information

matplotlib.use("Agg")
WINE = load_wine().data / load_wine().data.std(axis=0)


def binary_entropy(p: Any) -> Any:
    return -(p * np.log(np.maximum(p, 1e-300)) + (1 - p) * np.log(np.maximum(1 - p, 1e-300)))


@pytest.fixture(autouse=True)
def _close() -> Any:
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def test_decomposition() -> None:
    counts = load_digits().data[:300, 10:13]
    model = PoissonMixture(2, n_starts=1, random_state=0, prior_counts=0.1).fit(counts)
    display = EntropyDecompositionDisplay.from_estimator(model)
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels[-2:] == ["entropy sum", "ELBO"] or {"entropy sum", "ELBO"} <= set(labels)
    assert {"+ posterior", "- prior", "- observable", "+ base measure", "+ penalty"} <= set(labels)
    assert "nats per sample" in display.ax_.get_ylabel()
    bars = display.ax_.patches
    assert sum(bar.get_height() for bar in bars) == pytest.approx(sum(s.value for s in model.entropy_sums_), rel=1e-9)
    above, below = np.zeros(len(model.entropy_sums_)), np.zeros(len(model.entropy_sums_))
    for container in display.ax_.containers:  # each on top of those before it, or below these
        heights = np.array([bar.get_height() for bar in container])
        np.testing.assert_allclose([bar.get_y() for bar in container], np.where(heights < 0.0, below, above), atol=1e-12)
        above, below = above + np.clip(heights, 0.0, None), below + np.clip(heights, None, 0.0)
    assert [bar.get_width() for bar in bars] == pytest.approx([1.0] * len(bars))
    assert display.ax_.get_xlim() == (0.5, len(above) + 0.5)
    assert any(tuple(line.get_ydata()) == (0.0, 0.0) for line in display.ax_.lines)
    line = next(line for line in display.ax_.lines if line.get_label() == "ELBO")
    np.testing.assert_array_equal(line.get_ydata(), model.lower_bounds_)
    sums = [terms.value for terms in model.entropy_sums_]
    line = next(line for line in display.ax_.lines if line.get_label() == "entropy sum")
    np.testing.assert_array_equal(line.get_ydata(), sums)
    assert f"{model.stationarity_gap_:.1e}" in display.ax_.get_title()
    (gaps,) = display.gap_ax_.lines
    expected = np.abs(np.subtract(sums, model.lower_bounds_))
    drawn = ~np.isnan(gaps.get_ydata())
    assert drawn.any()
    np.testing.assert_allclose(gaps.get_ydata()[drawn], expected[drawn])
    assert (expected[~drawn] < 1e-9).all()
    assert "|gap|" in display.gap_ax_.get_ylabel()
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    again = EntropyDecompositionDisplay.from_estimator(PPCA(2).fit(WINE), ax=axes)
    assert again.ax_ is axes
    assert again.figure_ is figure
    assert again.gap_ax_ is None


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_decomposition_of_fits_without_steps() -> None:
    counts = load_digits().data[:300, 10:13]
    model = PoissonMixture(2, max_iter=0, random_state=0).fit(counts)
    display = EntropyDecompositionDisplay.from_estimator(model)
    assert display.lower_bounds == [model.lower_bound_]
    assert display.entropy_sums == [model.entropy_sum_]
    mixture = GaussianMixture(2, random_state=0).fit(WINE)
    with pytest.raises(TypeError, match=r"GaussianMixture keeps no entropy sums.*give X"):
        EntropyDecompositionDisplay.from_estimator(mixture)
    display = EntropyDecompositionDisplay.from_estimator(mixture, WINE[:50])
    terms = entropy_sum(mixture, WINE[:50])
    assert display.entropy_sums == [terms]
    assert display.lower_bounds == [pytest.approx(mixture.score(WINE[:50]))]
    assert display.gap == pytest.approx(terms.value - mixture.score(WINE[:50]))
    with pytest.raises(NotFittedError):
        EntropyDecompositionDisplay.from_estimator(PoissonMixture())


def test_gaps_that_are_rounding_errors_are_not_drawn() -> None:
    """Those of less than 1e-12 of what is added up, here of 8000."""
    terms = [EntropySum(posterior=-2000.0, prior=2000.0, observable=4000.0)] * 3
    value = terms[0].value
    bounds = [value - 7.9e-9, value - 8.1e-9, value - 1.0]
    display = EntropyDecompositionDisplay(entropy_sums=terms, lower_bounds=bounds, gap=1.0, name="model").plot()
    (gaps,) = display.gap_ax_.lines
    np.testing.assert_array_equal(np.isnan(gaps.get_ydata()), [True, False, False])
    same = EntropyDecompositionDisplay(entropy_sums=terms, lower_bounds=bounds[:1] * 3, gap=0.0, name="model")
    assert same.plot().gap_ax_ is None


def test_decomposition_of_a_search_that_is_no_em() -> None:
    model = FactorAnalysis(2).fit(WINE)
    display = EntropyDecompositionDisplay.from_estimator(model)
    assert len(model.lower_bounds_) > 1
    assert display.lower_bounds == [model.lower_bound_]


def test_pipelines_and_searches() -> None:
    pipeline = make_pipeline(StandardScaler(), PPCA()).fit(WINE)
    search = EntropySumSearch(pipeline, {"ppca__n_components": [2]}).fit(WINE)
    scaled = StandardScaler().fit_transform(WINE)
    model = PPCA(2).fit(scaled)
    np.testing.assert_allclose(latent_information(search, WINE), latent_information(model, scaled), rtol=1e-9)
    display = LatentInformationDisplay.from_estimator(search, WINE)
    assert "PPCA" in display.ax_.get_title()
    assert EntropyDecompositionDisplay.from_estimator(search).lower_bounds == [pytest.approx(model.lower_bound_)]
    display = EntropyDecompositionDisplay.from_estimator(search, WINE)
    assert display.lower_bounds == [pytest.approx(model.lower_bound_)]
    assert display.entropy_sums[0].value == pytest.approx(model.entropy_sum_.value)
    with pytest.raises(NotFittedError):
        latent_information(make_pipeline(StandardScaler(), PPCA()), WINE)


def test_ranking() -> None:
    ranking = rank_models([PPCA(2), FactorAnalysis(2), FactorAnalysis(3)], WINE)
    display = ranking.plot()
    assert isinstance(display, ModelRankingDisplay)
    assert [label.get_text().split("  (")[0] for label in display.ax_.get_yticklabels()] == [row.name for row in ranking]
    entropy_sums, values = display.ax_.collections[1:]
    np.testing.assert_array_equal(values.get_offsets()[:, 0], ranking.values_)
    np.testing.assert_array_equal(entropy_sums.get_offsets()[:, 0], [row.elbo for row in ranking])


def test_long_names_leave_room() -> None:
    models = {f"a pipeline with a name of many words and parameters, number {i}, " * 3: PPCA(i) for i in (1, 2, 3)}
    display = rank_models(models, WINE).plot()
    display.figure_.canvas.draw()
    assert display.ax_.get_position().width > 0.4
    page = display.figure_.bbox
    for artist in (display.ax_.title, display.ax_.get_legend(), *display.ax_.get_yticklabels()):
        box = artist.get_window_extent()
        assert page.x0 <= box.x0 < box.x1 <= page.x1
        assert page.y0 <= box.y0 < box.y1 <= page.y1
    labels = [label.get_window_extent() for label in display.ax_.get_yticklabels()]
    assert not any(upper.overlaps(lower) for upper, lower in pairwise(labels))


def test_information_in_latents() -> None:
    for model in (PPCA(3).fit(WINE), FactorAnalysis(3).fit(WINE)):
        information = latent_information(model, WINE)
        assert information.shape == (3,)
        assert (information > 0).all()
    ppca = PPCA(3).fit(WINE)
    share = ppca.explained_variance_ / ppca.noise_variance_
    np.testing.assert_allclose(latent_information(ppca, WINE), 0.5 * np.log(share), rtol=1e-9)
    X = (load_digits().data[:300] > 7).astype(float)
    net = SigmoidBeliefNet(3, random_state=0).fit(X)
    q = net.transform(X)
    expected = binary_entropy(net.prior_) - binary_entropy(q).mean(axis=0)
    np.testing.assert_allclose(latent_information(net, X), expected, atol=1e-9)
    display = LatentInformationDisplay.from_estimator(net, X)
    assert len(display.ax_.patches) == 3
    deep = SigmoidBeliefNet((3, 2), random_state=0, tol=1e-3).fit(X)
    q = deep.transform(X)
    prior = np.concatenate([q[:, :3].mean(axis=0), deep.prior_])
    np.testing.assert_allclose(latent_information(deep, X), binary_entropy(prior) - binary_entropy(q).mean(axis=0))
    counts = load_digits().data[:300, 10:13]
    mixture = PoissonMixture(3, random_state=0).fit(counts)
    expected = binary_entropy(mixture.weights_) - binary_entropy(mixture.predict_proba(counts)).mean(axis=0)
    np.testing.assert_allclose(latent_information(mixture, counts), expected)
    with pytest.raises(TypeError, match="object"):
        latent_information(object(), X)


def test_missing_entries_tell_nothing() -> None:
    model = FactorAnalysis(2).fit(WINE)
    X = WINE[:5].copy()
    X[0, 1:] = np.nan
    X[1, :7] = np.nan
    expected = np.zeros(2)
    for row in X:
        seen = ~np.isnan(row)
        W = model.components_.T[seen]
        # cov(z) - cov(z, x) cov(x)^-1 cov(x, z)
        posterior = np.eye(2) - W.T @ np.linalg.solve(W @ W.T + np.diag(model.noise_variance_[seen]), W)
        expected -= 0.5 * np.log(np.diag(posterior)) / len(X)
    np.testing.assert_allclose(latent_information(model, X), expected, rtol=1e-9)
    np.testing.assert_allclose(
        latent_information(model, sparse.csr_matrix(WINE)), latent_information(model, WINE), rtol=1e-12
    )


def test_weights_are_copies_of_rows() -> None:
    counts = load_digits().data[:300, 10:13]
    weight = np.arange(len(counts)) % 3
    exposure = 1.0 + np.arange(len(counts)) % 2
    net = SigmoidBeliefNet(2, random_state=0, tol=1e-3).fit(np.median(WINE, axis=0) < WINE)
    mixture = PoissonMixture(2, random_state=0).fit(counts, exposure=exposure)
    vae = GaussianVAE(2, hidden_layer_sizes=(8,), max_iter=2, random_state=0).fit(WINE)
    models = ((PPCA(2).fit(WINE), WINE), (net, 1.0 * (np.median(WINE, axis=0) < WINE)), (vae, WINE), (mixture, counts))
    for model, X in models:
        of_rows = {"exposure": exposure} if model is mixture else {}
        w = weight[: len(X)]
        copies = {name: np.repeat(values, w) for name, values in of_rows.items()}
        of_copies = np.repeat(X, w, axis=0)
        display = LatentInformationDisplay.from_estimator(model, X, sample_weight=w, **of_rows)
        np.testing.assert_allclose(display.information, latent_information(model, of_copies, **copies), rtol=1e-9)
        weighted = EntropyDecompositionDisplay.from_estimator(model, X, sample_weight=w, **of_rows)
        repeated = EntropyDecompositionDisplay.from_estimator(model, of_copies, **copies)
        assert weighted.lower_bounds == pytest.approx(repeated.lower_bounds, rel=1e-9)
        assert weighted.entropy_sums[0].value == pytest.approx(repeated.entropy_sums[0].value, rel=1e-9)
    with pytest.raises(ValueError, match=r"sample_weight and exposure belong to rows: give X too"):
        EntropyDecompositionDisplay.from_estimator(mixture, sample_weight=weight, exposure=exposure)
    with pytest.raises(TypeError, match=r"PPCA takes no exposure"):
        latent_information(PPCA(2).fit(WINE), WINE, exposure=exposure)
    with pytest.raises(ValueError, match="sample_weight"):
        latent_information(vae, WINE, sample_weight=weight)


def test_matplotlib_is_imported_only_to_draw() -> None:
    code = "import sys, skentropy, skentropy.inspection; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False).returncode == 0


def test_autoencoders() -> None:
    model = GaussianVAE(2, hidden_layer_sizes=(8,), max_iter=5, random_state=0).fit(WINE)
    np.testing.assert_allclose(latent_information(model, WINE), model.information_, rtol=1e-9)
    assert len(LatentInformationDisplay.from_estimator(model, WINE).ax_.patches) == 2
    display = EntropyDecompositionDisplay.from_estimator(model)
    assert display.ax_.get_xlabel() == "epoch"
    assert display.gap_ax_ is None
