"""The displays draw what the models say."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import matplotlib
import numpy as np
import pytest
from sklearn.datasets import load_digits, load_wine

from skentropy import PPCA, FactorAnalysis, PoissonMixture, SigmoidBeliefNet, rank_models
from skentropy.inspection import EntropyDecompositionDisplay, LatentInformationDisplay, ModelRankingDisplay
from skentropy.inspection._displays import latent_information

matplotlib.use("Agg")
WINE = load_wine().data / load_wine().data.std(axis=0)


@pytest.fixture(autouse=True)
def _close() -> Any:
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def test_decomposition() -> None:
    counts = load_digits().data[:300, 10:13]
    model = PoissonMixture(2, random_state=0, prior_counts=0.1).fit(counts)
    display = EntropyDecompositionDisplay.from_estimator(model)
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels[-2:] == ["entropy sum", "ELBO"] or {"entropy sum", "ELBO"} <= set(labels)
    assert {"+ posterior", "- prior", "- observable", "+ base measure", "+ penalty"} <= set(labels)
    assert "nats per sample" in display.ax_.get_ylabel()
    bars = display.ax_.patches
    assert sum(bar.get_height() for bar in bars) == pytest.approx(sum(s.value for s in model.entropy_sums_), rel=1e-9)
    line = next(line for line in display.ax_.lines if line.get_label() == "ELBO")
    np.testing.assert_array_equal(line.get_ydata(), model.lower_bounds_)
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    again = EntropyDecompositionDisplay.from_estimator(PPCA(2).fit(WINE), ax=axes)
    assert again.ax_ is axes
    assert again.figure_ is figure


def test_ranking() -> None:
    ranking = rank_models([PPCA(2), FactorAnalysis(2), FactorAnalysis(3)], WINE)
    display = ranking.plot()
    assert isinstance(display, ModelRankingDisplay)
    assert [label.get_text().split("  (")[0] for label in display.ax_.get_yticklabels()] == [row.name for row in ranking]


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
    expected = -(net.prior_ * np.log(net.prior_) + (1 - net.prior_) * np.log(1 - net.prior_))
    expected -= -(q * np.log(np.maximum(q, 1e-300)) + (1 - q) * np.log(np.maximum(1 - q, 1e-300))).mean(axis=0)
    np.testing.assert_allclose(latent_information(net, X), expected, atol=1e-9)
    display = LatentInformationDisplay.from_estimator(net, X)
    assert len(display.ax_.patches) == 3
    deep = SigmoidBeliefNet((3, 2), alpha=1.0, random_state=0, tol=1e-3).fit(X)
    assert latent_information(deep, X).shape == (5,)
    counts = load_digits().data[:300, 10:13]
    assert latent_information(PoissonMixture(2, random_state=0).fit(counts), counts).shape == (2,)
    with pytest.raises(TypeError, match="object"):
        latent_information(object(), X)


def test_matplotlib_is_imported_only_to_draw() -> None:
    code = "import sys, skentropy, skentropy.inspection; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False).returncode == 0
