"""The distinct values of columns: an entry has the level of its value, whatever other blocks hold."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from skentropy import ExponentialFamilyMixture, RowBlocks
from skentropy.mixture._levels import Levels, LevelSums


def fit(family: str, X: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ExponentialFamilyMixture(family, 2, random_state=0).fit(X)


def test_a_whole_number_is_the_position_of_its_level_only_if_all_levels_are_whole() -> None:
    levels = Levels.of_columns([np.array([0.5, 1.0, 1.5, 2.0])])
    found, indicators = levels.indicators(np.array([[1.0], [2.0]]))
    np.testing.assert_array_equal(found.values[indicators.indices], [1.0, 2.0])


def test_the_sum_is_whole_if_both_levels_are() -> None:
    def sums(levels: Levels | None) -> LevelSums:
        assert levels is not None
        return LevelSums(levels, np.ones(len(levels.values)))

    whole = sums(Levels.up_to(np.array([3.0]))) + sums(Levels.up_to(np.array([1.0])))
    assert whole.levels.whole
    assert not (whole + sums(Levels.of_columns([np.array([0.5])]))).levels.whole


@pytest.mark.parametrize("first", [np.arange(300.0) * 211.0, np.arange(300.0) / 4.0], ids=["large counts", "fractions"])
@pytest.mark.parametrize("family", ["negative_binomial", "weibull"])
def test_blocks_of_small_whole_numbers_and_of_others_are_one_table(family: str, first: Any) -> None:
    blocks = [1.0 + first[:, np.newaxis], 1.0 + np.random.default_rng(0).poisson(3.0, size=(60, 1))]
    table = np.concatenate(blocks)
    one, several = fit(family, table), fit(family, RowBlocks(lambda: iter(blocks)))
    assert several.lower_bound_ == pytest.approx(one.lower_bound_, rel=1e-9)
    assert several.score(table) == pytest.approx(several.lower_bound_, rel=1e-9)
