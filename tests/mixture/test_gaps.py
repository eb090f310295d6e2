"""Gaussian rows with gaps, completed by each component's conditional expectations."""

from __future__ import annotations

import numpy as np
import pytest

from skentropy._data import Block
from skentropy._typing import FloatArray
from skentropy.mixture import _gaussian_parameters
from skentropy.mixture._gaussian import CorrelatedGaussian
from skentropy.mixture._gaussian_parameters import GaussianParameters
from skentropy.mixture._gaussian_rows import CompletedRows
from skentropy.mixture._observations import Units


@pytest.mark.parametrize("n_covariances", [1, 3])
@pytest.mark.parametrize("rows_of_pattern", [1, 1000])
def test_rows_are_completed_by_definition(n_covariances: int, rows_of_pattern: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether each pattern has a map of its own, or each row is completed."""
    monkeypatch.setattr(_gaussian_parameters, "_ROWS_OF_PATTERN", rows_of_pattern)
    rng, n, d, K = np.random.default_rng(0), 90, 5, 3
    patterns = rng.random((7, d)) < 0.4
    patterns[0], patterns[1] = False, np.arange(d) > 0
    missing = patterns[rng.integers(7, size=n)]
    full = 10.0 + rng.normal(size=(n, d))
    roots = rng.normal(size=(n_covariances, d, d))
    covariances = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(d)
    parameters = GaussianParameters.of(10.0 + rng.normal(size=(K, d)), covariances, np.zeros((n_covariances, d)))
    kind = CorrelatedGaussian(units=Units(np.zeros(d), np.ones(d)), tied=n_covariances == 1)
    rows = kind.read(Block(np.where(missing, np.nan, full), None, None, 0))
    completed = CompletedRows(parameters, rows)
    if completed._maps is not None:
        # Exactly zero, since the mean that stands where an entry is missing may be large.
        assert not (completed._maps * rows.gaps.patterns[:, np.newaxis]).any()
    y = rows.unsorted(completed.in_frames(slice(0, K)))
    for c, mean in enumerate(parameters.means):
        S = covariances[parameters.group[c]]
        for n, m in enumerate(missing):
            x = full[n] - mean
            x[m] = S[np.ix_(m, ~m)] @ np.linalg.solve(S[np.ix_(~m, ~m)], x[~m])
            np.testing.assert_allclose(np.linalg.cholesky(S) @ y[c, :, n], x, rtol=1e-9, atol=1e-9)


def test_blocks_of_rows_share_what_follows_from_their_patterns() -> None:
    """Whether a block has the patterns of the last one, in the same numbers or others, or other patterns."""
    rng, d, K = np.random.default_rng(0), 4, 2
    kind = CorrelatedGaussian(units=Units(np.zeros(d), np.ones(d)))
    roots = rng.normal(size=(K, d, d))
    moments = rng.normal(size=(K, d)), roots @ roots.transpose(0, 2, 1) + np.eye(d), np.zeros((K, d))
    kept = GaussianParameters.of(*moments)
    blocks = []
    for patterns in ([0, 1, 2], [0, 1, 2], [1, 0, 2], [0, 3, 2], [0, 1, 2], [3]):
        masks = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]], dtype=bool)[patterns]
        missing = masks[rng.integers(len(masks), size=400)]
        blocks.append(kind.read(Block(np.where(missing, np.nan, rng.normal(size=(400, d))), None, None, 0)))
    shared = []
    for rows in blocks:
        weights = rng.exponential(size=(K, 400))
        mine, alone = CompletedRows(kept, rows), CompletedRows(GaussianParameters.of(*moments), rows)
        shared.append(mine._conditionals)
        for one, other in zip(results(mine, weights), results(alone, weights), strict=True):
            np.testing.assert_array_equal(one, other)
    assert shared[0] is shared[1] is shared[2]


def results(rows: CompletedRows, weights: FloatArray) -> list[FloatArray]:
    """What follows from gaps."""
    everyone = slice(0, len(weights))
    return [
        rows.in_frames(everyone),
        rows.deviations(everyone).copy(),
        rows.spread(weights),
        rows.missing_entropies(weights),
        rows.log_det_precisions(),
        np.concatenate([roots.ravel() for _, roots in rows.roots(1)]),
    ]
