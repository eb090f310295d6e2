"""Data that several test modules draw."""

from __future__ import annotations

from typing import Any

import numpy as np


def counts(n: int = 400) -> Any:
    """Counts of two kinds of rows."""
    rng = np.random.RandomState(0)
    return rng.poisson(np.where(rng.uniform(size=(n, 1)) < 0.4, [1.0, 8.0, 3.0], [6.0, 2.0, 3.0])).astype(float)
