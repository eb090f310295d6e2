"""Draw rows."""

from __future__ import annotations

import numpy as np

from .._typing import Array, FloatArray


def draw(weight: FloatArray, size: int, random_state: np.random.RandomState) -> Array:
    """Draw indices, (runs, size), with probabilities proportional to each run's weights."""
    cumulative = np.cumsum(weight, axis=1)
    levels = random_state.uniform(size=(len(weight), size)) * cumulative[:, -1:]
    drawn = [np.searchsorted(row, level, side="right") for row, level in zip(cumulative, levels, strict=True)]
    last = weight.shape[1] - 1 - (weight[:, ::-1] > 0).argmax(axis=1)
    return np.minimum(np.stack(drawn), last[:, np.newaxis])
