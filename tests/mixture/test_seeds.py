"""Rows as seeds of clusters."""

from __future__ import annotations

import numpy as np
import pytest

from skentropy._data import Block
from skentropy.mixture._independent import Independent
from skentropy.mixture._seed_rows import SmoothedRows
from skentropy.mixture._seeding import nearest
from tests.common.cases import CASES


@pytest.mark.parametrize("name", list(CASES))
def test_a_seed_is_nearest_to_itself(name: str) -> None:
    family = CASES[name].family
    X = CASES[name].draw(12, 2, np.random.RandomState(0), None)
    X = np.concatenate([X, X])  # the nearest of two equal rows is each itself
    statistics = family.sufficient_statistics(X)
    pooled = np.stack([T.mean(axis=0) for T in statistics])
    rows = SmoothedRows(family, Independent(family).read(Block(X, None, None, 0)), pooled)
    seeds = np.array([3, 0, 15, 7])
    np.testing.assert_array_equal(nearest(rows, seeds[np.newaxis])[0, seeds], np.arange(4))
