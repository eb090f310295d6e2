"""What is to be known of columns before a fit, against plain NumPy."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from skentropy._data import Block, RowBlocks, sort_rows, survey_columns, unique_rows
from skentropy._data._checks import check_total_weight, check_weights
from skentropy._data._named import ColumnKind, Encoding, survey_kinds


def table() -> tuple[Any, Any]:
    rng = np.random.RandomState(0)
    X = rng.poisson(1.5, size=(40, 5)).astype(float)
    X[:, 3] += 1.0  # nothing that is not stored
    X[:, 4] = 0.0
    X *= 1.0 + 0.01 * np.arange(40)[::-1, np.newaxis]  # extreme values are in the last rows
    X[rng.uniform(size=X.shape) < 0.1] = np.nan
    return X, rng.randint(0, 4, size=40).astype(float)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("cut", [0, 15])
def test_surveys_are_those_of_the_copied_rows(form: Any, weighted: bool, cut: int) -> None:
    X, weight = table()
    X[[3, 20, 33]] = np.nan
    weight = weight if weighted else np.ones(len(X))
    exposure = np.random.RandomState(1).uniform(0.5, 2.0, len(X)) if form is np.asarray else None
    parts = [slice(0, cut), slice(cut, None)] if cut else [slice(None)]
    surveys = []
    for part in parts:
        of_part = None if exposure is None else exposure[part]
        surveys.append(survey_columns(Block(form(X[part]), weight[part] if weighted else None, of_part, 0)))
    survey = sum(surveys[1:], surveys[0])
    if exposure is None:  # of which sparse tables have none, and in which zeros and empty rows are not counted
        exposure = np.ones(len(X))
    else:
        np.testing.assert_array_equal(survey.n_zeros, (X == 0.0).sum(axis=0))
        assert survey.n_empty_rows == 3
    np.testing.assert_allclose(survey.exposure, (weight * exposure) @ ~np.isnan(X), rtol=1e-12)
    np.testing.assert_allclose(survey.rate, weight @ np.nan_to_num(X) / survey.exposure, rtol=1e-12)
    copies = np.repeat(X, weight.astype(int), axis=0)
    np.testing.assert_allclose(survey.weight, (~np.isnan(copies)).sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(survey.mean, np.nanmean(copies, axis=0), rtol=1e-12)
    np.testing.assert_allclose(survey.scatter, np.nansum((copies - np.nanmean(copies, axis=0)) ** 2, axis=0), rtol=1e-12)
    np.testing.assert_allclose(survey.variance, np.nanvar(copies, axis=0), rtol=1e-12)
    np.testing.assert_array_equal(survey.smallest, np.nanmin(copies, axis=0))
    np.testing.assert_array_equal(survey.largest, np.nanmax(copies, axis=0))
    np.testing.assert_array_equal(survey.largest_of_all, np.nanmax(X, axis=0))
    positive = np.nanmin(np.where(copies > 0, copies, np.inf), axis=0)
    np.testing.assert_array_equal(survey.smallest_positive, positive)
    assert survey.constant.tolist() == [False] * 4 + [True]


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_values_whose_squares_overflow_are_surveyed(form: Any) -> None:
    survey = survey_columns(Block(form(1e200 * np.arange(4.0)[:, np.newaxis]), None, None, start=0))
    assert survey.mean.item() == 1.5e200
    assert survey.scatter.item() == np.inf


@pytest.mark.parametrize("container", [list, tuple])
def test_numbers_beside_names_stay_numbers(container: Any) -> None:
    _, (number, name) = survey_kinds(container([(1, "a"), (2, "b"), (0, "a")]))
    assert number.names is None
    assert number.whole
    assert name.names == ("a", "b")


def test_kinds_of_numbers() -> None:
    kinds = [ColumnKind.of(np.array(values)) for values in ([0.0, 1.0, np.nan], [1.0, 1.01], [0.0, 2.0], [-1.0, 1.0])]
    assert [kind.binary for kind in kinds] == [True, False, False, False]
    assert [kind.whole for kind in kinds] == [True, False, True, False]
    assert not ColumnKind.of(np.array([0.0, 0.01])).binary
    assert ColumnKind.of(np.array([0.5, 0.5, 0.5, 1.5, np.nan])).mode_share == 0.75
    assert ColumnKind(None).mode_share == 0.0


def test_kinds_of_blocks_are_those_of_all_rows() -> None:
    parts: list[Any] = [[0.5, 0.5, 1.5], [0.5, 2.5], [3.5, 3.5, 3.5, 3.5]]
    kinds = [ColumnKind.of(np.array(part)) for part in parts]
    joint = kinds[0] + kinds[1]
    assert (joint.mode, joint.mode_count, joint.n_seen, joint.n_distinct) == (0.5, 3, 5, 2)
    joint = joint + kinds[2]
    assert (joint.mode, joint.mode_count, joint.n_seen, joint.n_distinct) == (3.5, 4, 9, 2)
    _, (of_blocks,) = survey_kinds(RowBlocks(lambda: [np.array(part)[:, np.newaxis] for part in parts[:2]]))
    assert of_blocks == kinds[0] + kinds[1]
    names = ColumnKind.of(np.array(["b", "a", "b"], dtype=object)) + ColumnKind.of(np.array(["c", "a"], dtype=object))
    assert (names.names, names.n_seen, names.n_distinct) == (("a", "b", "c"), 5, 3)


def test_values_that_the_fit_has_not_seen_are_restored_as_given() -> None:
    """Also where they come in blocks."""
    encoding = Encoding({1: ("a", "b")}, {1: frozenset("ab")}, (), None, "missing")
    given = np.array([[1.0, "a"], [2.0, "c"], [3.0, "d"], [4.0, None], [5.0, "b"]], dtype=object)
    codes = np.array([[1.0, 0.0], [2.0, np.nan], [3.0, np.nan], [4.0, 0.0], [5.0, 1.0]])
    expected = given.copy()
    expected[3, 1] = "a"
    for source in (given, RowBlocks(lambda: [given[:2], given[2:4], given[4:]])):
        np.testing.assert_array_equal(encoding.restore(codes, source), expected)


def test_blocks_know_their_rows_and_weights() -> None:
    X, weight = np.arange(12.0).reshape(6, 2), np.arange(1.0, 7.0)
    part = Block(X, weight, None, 100)[2:5]
    assert (part.start, part.index.tolist()) == (102, [102, 103, 104])
    np.testing.assert_array_equal(part.X, X[2:5])
    assert part.weighted_sum(X[2:5, 0]) == weight[2:5] @ X[2:5, 0]
    assert Block(X, None, None, 0).weighted_sum(X[:, 0]) == X[:, 0].sum()


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_exposures_of_one_are_none(form: Any) -> None:
    X = form(np.eye(3))
    for exposure, exposed in ((None, False), (np.ones(3), False), (np.array([1.0, 1.01, 1.0]), True)):
        assert survey_columns(Block(X, None, exposure, 0)).exposed is exposed


@pytest.mark.parametrize(
    ("weight", "taken"),
    [([1e-99, 0.0, 1e99], True), ([1e-101, 1.0, 1.0], False), ([1.0, 1e101, 1.0], False), ([1.0, 1e101, 1e-101], False)],
)
def test_weights_lie_between_limits(weight: list[float], taken: bool) -> None:
    with nullcontext() if taken else pytest.raises(ValueError, match="must lie between"):
        np.testing.assert_array_equal(check_weights(np.array(weight), np.zeros((3, 2))), weight)


def test_a_total_weight_of_nothing_is_refused() -> None:
    check_total_weight(0.01)
    with pytest.raises(ValueError, match="All of sample_weight is zero"):
        check_total_weight(0.0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [(-1.0, "Negative values in data"), (np.inf, "sample_weight contains infinity"), (np.nan, "sample_weight contains NaN")],
)
def test_weights_that_are_none_are_refused(wrong: float, message: str) -> None:
    weight = np.full(6, 2.0)
    weight[2] = wrong
    with pytest.raises(ValueError, match=message):
        check_weights(weight, np.zeros((6, 2)))


@pytest.mark.parametrize("n_columns", [1, 20, 64, 65, 200])
def test_equal_rows_of_a_mask_follow_each_other(n_columns: int) -> None:
    rng = np.random.RandomState(0)
    rows = rng.uniform(size=(30, n_columns)) < 0.3
    rows[1:3] = rows[0]
    rows[1, -1] ^= True
    mask = rows[rng.randint(0, 30, size=500)]
    order, distinct, counts = sort_rows(mask)
    np.testing.assert_array_equal(mask[order], np.repeat(distinct, counts, axis=0))
    expected, expected_counts = np.unique(mask, axis=0, return_counts=True)
    assert sorted(zip(distinct.tolist(), counts, strict=True)) == list(zip(expected.tolist(), expected_counts, strict=True))
    found, index = unique_rows(mask)
    np.testing.assert_array_equal(found[index], mask)
    assert len(found) == len(expected)
