"""The metric and the scores of factor-analytic covariances, which need no matrix of all parameters."""

from __future__ import annotations

import numpy as np
import pytest

from skentropy._data import Block
from skentropy._typing import Array, FloatArray
from skentropy.mixture._factor_metric import FactorMetric
from skentropy.mixture._factor_parameters import FactorParameters, pack_slopes
from skentropy.mixture._factors import FactorGaussian
from skentropy.mixture._observations import Units
from tests.common.components import factor_parameters

D = 6
MEANS, COVARIANCES = np.array([8.0, 12.0]), np.array([7.0, 11.0])


def parameters(k: int, *, isotropic: bool, with_zeros: bool) -> FactorParameters:
    """Two components; with zeros a column of loadings of the first one is zero, and a noise variance at its floor."""
    on_floor = np.zeros((2, D), dtype=bool)
    on_floor[1, 2] = with_zeros and not isotropic
    own = factor_parameters(on_floor, k)
    loadings, noise = own.loadings.copy(), own.noise
    if with_zeros:
        loadings[0, :, -1] = 0.0
    if isotropic:
        noise = np.repeat(noise[:, :1], D, axis=1)
    return FactorParameters.of_factors(own.means, loadings, noise, on_floor)


def dense_information(own: FactorParameters, *, isotropic: bool) -> FloatArray:
    """n / 2 tr D_p D_q for all pairs of parameters."""
    L = pack_slopes(own.slopes(isotropic=isotropic))
    P = D + L.shape[2]
    information = np.zeros((2, P, P))
    information[:, np.arange(D), np.arange(D)] = MEANS[:, np.newaxis]
    information[:, D:, D:] = COVARIANCES[:, np.newaxis, np.newaxis] * (L.transpose(0, 2, 1) @ L)
    return information


def on_units(function: object, P: int) -> Array:
    """The values of a function of (2, P) at all unit vectors, in columns, (2, P, P)."""
    assert callable(function)
    return np.stack([function(np.tile(e, (2, 1))) for e in np.eye(P)], axis=-1)


@pytest.mark.parametrize("size", [1.0, 1e-3])
@pytest.mark.parametrize("with_zeros", [False, True])
@pytest.mark.parametrize("isotropic", [False, True])
@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_information_is_one_in_its_coordinates(k: int, isotropic: bool, with_zeros: bool, size: float) -> None:
    """As many coordinates move as the information has ranks, and the gradient is the transpose of the directions."""
    own = parameters(k, isotropic=isotropic, with_zeros=with_zeros)
    own = FactorParameters.of_factors(own.means, size * own.loadings, own.noise, own.bounds > 0.0)
    metric = FactorMetric.at(own, MEANS, COVARIANCES, isotropic=isotropic)
    information = dense_information(own, isotropic=isotropic)
    P = information.shape[1]
    W = on_units(metric.directions, P)
    moves = np.abs(W).sum(axis=1) > 0.0
    # Small loadings move by long steps, which magnify rounding errors of the information.
    found = W.transpose(0, 2, 1) @ information @ W
    np.testing.assert_allclose(found, moves[:, np.newaxis] * np.eye(P), atol=1e-12 / size)
    ranks = np.linalg.matrix_rank(information, hermitian=True, tol=1e-9)
    np.testing.assert_array_equal(moves.sum(axis=1), ranks)
    np.testing.assert_allclose(on_units(metric.gradient, P), W.transpose(0, 2, 1), atol=1e-12)
    # Coordinates may have further first axes.
    z = np.random.default_rng(0).normal(size=(4, 2, P))
    np.testing.assert_allclose(metric.directions(z), np.stack([metric.directions(own) for own in z]), atol=1e-12)


def test_nothing_rests_on_no_rows() -> None:
    own, none = parameters(2, isotropic=False, with_zeros=False), np.array([0.0, 1.0])
    z = np.ones((2, 4 * D))
    for counts in ((none, none), (none, MEANS), (MEANS, none)):
        metric = FactorMetric.at(own, *counts, isotropic=False)
        moves = metric.directions(z) != 0.0
        np.testing.assert_array_equal(moves[0, :D], counts[0][0] > 0.0)
        np.testing.assert_array_equal(moves[0, D:], counts[1][0] > 0.0)
        assert moves[1].all()


@pytest.mark.parametrize("isotropic", [False, True])
@pytest.mark.parametrize("k", [1, 2])
def test_scores_are_those_of_free_covariances_along_the_slopes(k: int, isotropic: bool) -> None:
    own = parameters(k, isotropic=isotropic, with_zeros=True)
    components = FactorGaussian(units=Units(np.zeros(D), np.ones(D)), n_factors=k, isotropic=isotropic)
    scores = np.random.default_rng(0).normal(size=(5, D + D * (D + 1) // 2))
    along = components._of_structure(own)
    for c, L in enumerate(pack_slopes(own.slopes(isotropic=isotropic))):
        expected = np.concatenate([scores[:, :D], scores[:, D:] @ L], axis=1)
        np.testing.assert_allclose(along(scores, c), expected, atol=1e-12)
        np.testing.assert_allclose(along(scores[0], c), expected[0], atol=1e-12)


@pytest.mark.parametrize("isotropic", [False, True])
def test_metric_and_score_form_no_slopes_of_all_parameters(monkeypatch: pytest.MonkeyPatch, isotropic: bool) -> None:
    """They take (K, P, d, d): a gigabyte for 150 columns, at the end of every fit."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(FactorParameters, "slopes", refuse)
    own = parameters(2, isotropic=isotropic, with_zeros=False)
    components = FactorGaussian(units=Units(np.zeros(D), np.ones(D)), n_factors=2, isotropic=isotropic)
    rows = components.read(Block(np.random.default_rng(0).normal(size=(20, D)), None, None, 0))
    q = np.full((2, 20), 0.5)
    statistics = components.observe(own, rows, np.zeros(2)).accumulate(q)
    score = components.score(own, statistics)
    assert np.isfinite(components.metric(own, statistics, q.sum(axis=1)).gradient(score)).all()
