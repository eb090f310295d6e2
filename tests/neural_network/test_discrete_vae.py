"""Autoencoders of zeros and ones and of counts, as users see them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skentropy import BernoulliVAE, PoissonVAE, RowBlocks

COUNTS = load_digits().data
TRAIN, TEST = train_test_split(COUNTS, test_size=0.25, random_state=0)
SHORT: dict[str, Any] = {"hidden_layer_sizes": (16,), "max_iter": 10, "random_state": 0}
both = pytest.mark.parametrize("kind", [BernoulliVAE, PoissonVAE])


def test_zeros_and_ones() -> None:
    model = BernoulliVAE(5, binarize=7.5, max_iter=30, random_state=0).fit(TRAIN)
    assert model.score(TEST) > -20.0  # SigmoidBeliefNet(5, alpha=1.0) has -20.9
    assert set(np.unique(model.sample(100, random_state=0))) == {0.0, 1.0}
    means = model.inverse_transform(model.transform(TEST))
    assert ((means > 0.5) == (TEST > 7.5)).mean() > 0.85
    again = BernoulliVAE(5, binarize=None, max_iter=30, random_state=0).fit((TRAIN > 7.5).astype(float))
    np.testing.assert_array_equal(again.score_samples((TEST > 7.5).astype(float)), model.score_samples(TEST))


def test_counts() -> None:
    model = PoissonVAE(5, max_iter=30, random_state=0).fit(TRAIN)
    assert model.score(TEST) > -112.0  # PoissonMixture(20) has -131
    drawn = model.sample(100, random_state=0)
    assert (drawn == drawn.round()).all()
    gaps = np.where(np.random.RandomState(0).uniform(size=TEST.shape) < 0.2, np.nan, TEST)
    missing = np.isnan(gaps)
    error, spread = (np.mean((values - TEST)[missing] ** 2) for values in (model.impute(gaps), TRAIN.mean(axis=0)))
    assert error < 0.4 * spread


@both
@pytest.mark.parametrize("options", [{}, {"hidden_layer_sizes": ()}, {"beta": 0.3, "alpha": 0.0}, {"max_iter": 1}])
@pytest.mark.parametrize("gaps", [False, True])
def test_the_elbo_is_the_entropy_sum(kind: Any, options: dict[str, Any], gaps: bool) -> None:
    X = COUNTS[:150, 8:40]
    weight = np.random.RandomState(1).uniform(0.5, 2.0, size=len(X))
    if gaps:
        X = np.where(np.random.RandomState(0).uniform(size=X.shape) < 0.2, np.nan, X)
    model = kind(2, **{**SHORT, **options}).fit(X, sample_weight=weight)
    elbo = np.average(model.score_samples(X), weights=weight)
    assert abs(model.stationarity_gap_) < 1e-9
    assert model.lower_bound_ == pytest.approx(elbo, abs=1e-9)
    assert model.entropy_sum(X, sample_weight=weight).value == pytest.approx(elbo, abs=1e-9)
    assert model.importance_weighted_score(X, sample_weight=weight, random_state=0) > elbo
    assert len(model.entropy_sums_) == len(model.lower_bounds_) == model.n_iter_
    assert np.isfinite(model.lower_bounds_).all()


@both
@pytest.mark.parametrize("rate", [0.02, 0.1])
@pytest.mark.filterwarnings("ignore:binarize=0 turns every value into 1")
def test_degenerate_tables(kind: Any, rate: float) -> None:
    X = COUNTS[:30]
    for table in (X, X[:3], np.repeat(X[:3], 10, axis=0), np.where(np.arange(64) < 9, 1.0, X), np.sign(X) * 1000.0):
        model = kind(2, learning_rate_init=rate, **SHORT).fit(table)
        assert np.isfinite(model.lower_bound_)
        assert np.isfinite(model.score_samples(COUNTS[:100])).all()


@both
def test_streams_and_warm_start(kind: Any, monkeypatch: Any) -> None:
    from skentropy.neural_network import _vae_data

    X = (COUNTS[:150, 8:40] > 7).astype(float)
    model = kind(2, warm_start=True, **SHORT).fit(X)
    bound = model.lower_bound_
    assert model.fit(X).lower_bound_ >= bound - 1e-9
    monkeypatch.setattr(_vae_data, "IN_MEMORY_BYTES", 0)
    streamed = kind(2, **SHORT).fit(RowBlocks(lambda: [X[:70], X[70:]]))
    assert abs(streamed.stationarity_gap(X)) < 1e-9


@pytest.mark.parametrize("threshold", [-1.0, 0.0, 7.0])
@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.filterwarnings("ignore:binarize=-1 turns every value into 1")
@pytest.mark.filterwarnings("ignore:X has no observed value")
def test_values_are_made_binary_as_they_are_read(threshold: float, gaps: bool, streams: bool, monkeypatch: Any) -> None:
    from skentropy.neural_network import _vae_data

    X = COUNTS[:150, 8:24]
    if gaps:
        X = np.where(np.random.RandomState(0).uniform(size=X.shape) < 0.2, np.nan, X)
    zeros_and_ones = np.where(np.isnan(X), np.nan, threshold < X)
    if streams:
        monkeypatch.setattr(_vae_data, "IN_MEMORY_BYTES", 0)
        monkeypatch.setattr(_vae_data, "_SHUFFLED_ROWS", 60)
    options = {**SHORT, "hidden_layer_sizes": (8,), "max_iter": 3}
    expected = BernoulliVAE(2, binarize=None, **options).fit(RowBlocks(lambda: [zeros_and_ones[:70], zeros_and_ones[70:]]))
    model = BernoulliVAE(2, binarize=threshold, **options).fit(RowBlocks(lambda: [X[:70], X[70:]]))
    np.testing.assert_allclose(model.score_samples(X), expected.score_samples(zeros_and_ones), rtol=1e-6)
    np.testing.assert_array_equal(model.score_samples(X), model.score_samples(threshold + zeros_and_ones))
    assert (model.traits().binarizes, expected.traits().binarizes) == (True, False)
    assert not BernoulliVAE(2, **options).fit(zeros_and_ones).traits().binarizes
    filled = model.impute(X)
    np.testing.assert_array_equal(filled[~np.isnan(X)], X[~np.isnan(X)])
    assert ((filled > 0) & (filled < 1))[np.isnan(X)].all()


def test_thresholds_that_tell_nothing_are_warned_of() -> None:
    X = np.column_stack([COUNTS[:50, 10:14], np.arange(50.0) + 1.0, np.ones(50)])
    with pytest.warns(UserWarning, match=r"binarize=0 turns every value into 1 in .*column 4, which then carries no"):
        BernoulliVAE(2, **SHORT).fit(X)
    with pytest.warns(UserWarning, match="binarize=99 turns every value of X into 0"):
        BernoulliVAE(2, binarize=99.0, **SHORT).fit(X)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"other values in column 1, column 2, column 3 and 55 more; set binarize"):
        BernoulliVAE(binarize=None).fit(COUNTS)
    with pytest.raises(ValueError, match=r"must hold zeros and ones only \(and NaN where missing\)\.$"):
        BernoulliVAE(binarize=None, **SHORT).fit(COUNTS[:50] > 7).score(COUNTS[:50])
    with pytest.raises(ValueError, match=r"Negative values in data: .* column 3"):
        PoissonVAE().fit(np.where(np.arange(64) == 3, -1.0, COUNTS))
    negative, weight = COUNTS[:50].copy(), np.append(0.0, np.ones(49))
    negative[0, 3] = -0.5
    with pytest.raises(ValueError, match=r"Negative values in data: .* column 3"):
        PoissonVAE().fit(negative, sample_weight=weight)
    vae = PoissonVAE(2, **SHORT).fit(COUNTS[:50])
    for method in (vae.score, vae.score_samples, vae.transform, vae.impute):
        with pytest.raises(ValueError, match=r"Negative values in data: .* column 3\.$"):
            method(negative)
    for method in (vae.score, vae.fit):
        with pytest.raises(ValueError, match=r"PoissonVAE takes counts up to 1\.07e\+13; see column 3\.$"):
            method(np.where(np.arange(64) == 3, 2e13, COUNTS[:50]))
    with pytest.raises(TypeError, match="for PoissonVAE"):
        vae.bic(COUNTS[:50])
