"""Whatever container X comes in: nulls are missing entries, and what is no number is refused by the name of its column."""

from __future__ import annotations

import warnings
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import get_tags

from skentropy import PPCA, BernoulliVAE, FactorAnalysis, PoissonMixture, RowBlocks, SigmoidBeliefNet
from skentropy._data import as_numbers

from .common.estimators import ESTIMATORS, EstimatorCase

MADE = PoissonMixture.from_parameters([0.5, 0.5], [[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]])
every = pytest.mark.parametrize("case", ESTIMATORS.values(), ids=ESTIMATORS)
NAMES = ["a", "b", "c"]
ROWS = [[1.0, 0.0, 3.0], [0.0, None, 1.0], [None, 1.0, 2.0], [1.0, 1.0, 2.0]]
NUMBERS = np.array(ROWS, dtype=float)


def with_null(null: Any) -> Any:
    return np.array([[null if value is None else value for value in row] for row in ROWS], dtype=object)


def as_polars(rows: Any, **casts: Any) -> Any:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(rows, schema=NAMES, orient="row")
    return frame.with_columns(**{name: polars.col(name).cast(getattr(polars, kind)) for name, kind in casts.items()})


def as_arrow(rows: Any) -> Any:
    arrow = pytest.importorskip("pyarrow")
    return arrow.table({name: list(column) for name, column in zip(NAMES, zip(*rows, strict=True), strict=True)})


TABLES = {
    "list": lambda: ROWS,
    "tuple": lambda: tuple(map(tuple, ROWS)),
    "None": lambda: with_null(None),
    "pd.NA": lambda: with_null(pd.NA),
    "Decimal": lambda: np.array([[value and Decimal(value) for value in row] for row in ROWS], dtype=object),
    "longdouble": lambda: NUMBERS.astype(np.longdouble),
    "sparse longdouble": lambda: sparse.csr_matrix(NUMBERS).astype(np.longdouble),
    "frame of objects": lambda: pd.DataFrame(with_null(pd.NA), columns=NAMES),
    "frame of longdouble": lambda: pd.DataFrame(NUMBERS.astype(np.longdouble), columns=NAMES),
    "nullable": lambda: pd.DataFrame(NUMBERS, columns=NAMES).astype({"a": "boolean", "b": "Int64", "c": "Float64"}),
    "categories of numbers": lambda: pd.DataFrame(NUMBERS, columns=NAMES).astype({"a": "category", "c": "category"}),
    "polars": lambda: as_polars(ROWS),
    "polars booleans": lambda: as_polars(ROWS, a="Boolean", b="Boolean"),
    "polars integers": lambda: as_polars(ROWS, b="Int64", c="Int8"),
    "polars decimals": lambda: as_polars([[value and Decimal(value) for value in row] for row in ROWS]),
    "arrow": lambda: as_arrow(ROWS),
    "arrow booleans": lambda: as_arrow([[None if a is None else bool(a), b, c] for a, b, c in ROWS]),
}


@pytest.mark.parametrize("name", TABLES)
def test_nulls_are_missing(name: str) -> None:
    numbers = as_numbers(TABLES[name]())
    dense = numbers.toarray() if sparse.issparse(numbers) else numbers
    assert dense.dtype == np.float64
    np.testing.assert_array_equal(dense, NUMBERS)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int8", "bool", ">f8"])
def test_plain_numbers_are_left_alone(dtype: str) -> None:
    X = np.ones((4, 3), dtype=dtype)
    assert as_numbers(sparse_frame := pd.DataFrame(X).astype(pd.SparseDtype(float, 0.0))) is sparse_frame
    for table in (X, sparse.csr_matrix(X.astype(X.dtype.newbyteorder("=")))):
        assert as_numbers(table) is table
    frame = pd.DataFrame(X)
    np.testing.assert_array_equal(as_numbers(frame), X)
    if dtype != ">f8":
        assert np.shares_memory(as_numbers(frame), frame.to_numpy())
        assert as_numbers(as_polars(X.tolist())).shape == (4, 3)


TEXT = [["x", 1.0, 2.0], ["y", 2.0, 0.0]]
DATES = pd.date_range("2020", periods=2)
NOT_NUMBERS = {
    "list": (lambda: TEXT, ["0"]),
    "array": (lambda: np.array(TEXT, dtype=object), ["0"]),
    "text": (lambda: np.array([["x", "y"], ["1", "2"]]), ["0", "1"]),
    "dates": (lambda: np.array([DATES, DATES]), ["0", "1"]),
    "frame": (lambda: pd.DataFrame(TEXT, columns=NAMES), ["'a'"]),
    "category": (lambda: pd.DataFrame(TEXT, columns=NAMES).astype({"a": "category"}), ["'a'"]),
    "frame of dates": (lambda: pd.DataFrame({"a": [1.0, 2.0], "b": DATES, "c": DATES - DATES[0]}), ["'b'", "'c'"]),
    "polars": (lambda: as_polars(TEXT), ["'a'"]),
    "polars category": (lambda: as_polars(TEXT, a="Categorical"), ["'a'"]),
    "polars date": (lambda: as_polars([[1, 2, 3], [4, 5, 6]], b="Date"), ["'b'"]),
    "arrow": (lambda: as_arrow(TEXT), ["'a'"]),
}


@pytest.mark.parametrize("name", NOT_NUMBERS)
def test_what_is_no_number_is_refused_by_column(name: str) -> None:
    make, columns = NOT_NUMBERS[name]
    message = "X must hold numbers, but " + ", ".join(f"column {column}" for column in columns) + " cannot be made numbers"
    with pytest.raises((TypeError, ValueError), match=message):
        as_numbers(make())


def test_text_is_for_tables_of_mixed_columns() -> None:
    with pytest.raises(ValueError, match=r"column 0 cannot be made numbers: .* float: 'a'. ColumnMixture takes text as cat"):
        as_numbers(np.array([["a", "1"], ["b", "2"]]))


def test_many_columns_are_counted() -> None:
    with pytest.raises(ValueError, match="column 0, column 1, column 2 and 3 more cannot"):
        as_numbers(np.array([["x"] * 6], dtype=object))


@pytest.mark.parametrize(
    "name", [name for name, case in ESTIMATORS.items() if case.takes_gaps and hasattr(case.make(), "impute")]
)
def test_a_frame_is_imputed_as_a_frame(name: str) -> None:
    case = ESTIMATORS[name]
    X = pd.DataFrame(case.X, index=np.arange(len(case.X)) + 7).add_prefix("x")
    model = case.make().fit(X)
    gaps = X.mask(np.eye(*X.shape) == 1).assign(x0=X["x0"])
    filled = model.impute(gaps)
    pd.testing.assert_frame_equal(filled.where(gaps.notna()), gaps)
    assert filled.notna().all(axis=None)
    polars = pytest.importorskip("polars")
    other = model.impute(polars.DataFrame(gaps.to_dict("list")))
    assert isinstance(other, polars.DataFrame)
    np.testing.assert_array_equal(other.to_numpy(), filled)


@every
def test_blocks_of_rows_need_row_blocks(case: EstimatorCase) -> None:
    for X, name in ((iter([case.X]), "list_iterator"), (lambda: iter([case.X]), "function")):
        with pytest.raises(TypeError, match=rf"^X is a {name} and not a table.*RowBlocks\(read\)"):
            case.make().fit(X)


@every
def test_every_estimator(case: EstimatorCase) -> None:
    names = [f"v{column}" for column in range(case.X.shape[1])]
    objects = np.where(np.isnan(case.hardest), pd.NA, case.hardest.astype(object))
    model = case.make(max_iter=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one step
        expected = model.fit(case.hardest).score_samples(case.hardest)
        table = pd.DataFrame(objects, columns=names)
        blocks = RowBlocks(lambda: (table[:50], table[50:]))
        lists = RowBlocks(lambda: [[list(row) for row in objects[:50]], [list(row) for row in objects[50:]]])
        for X in (objects, table, blocks, lists, case.hardest.astype(np.longdouble)):
            np.testing.assert_allclose(model.fit(X).score_samples(X), expected, rtol=1e-9, atol=1e-9)
            assert list(getattr(model, "feature_names_in_", names)) == names
    if get_tags(model).input_tags.string:
        return
    text = table.astype({"v2": str})
    text["v2"] = "x"
    with pytest.raises(ValueError, match=r"column 'v2' cannot be made numbers"):
        model.fit(text)
    with pytest.raises(ValueError, match=r"Block 1 of X, counted from 0: X must hold numbers, but column 'v2' cannot"):
        model.fit(RowBlocks(lambda: [table[:50], text[50:]]))


def test_names_are_compared_in_whatever_container() -> None:
    model = PPCA(1).fit(as_polars((NUMBERS[[0, 3, 3, 0]] + np.eye(4, 3)).tolist()))
    assert list(model.feature_names_in_) == NAMES
    with pytest.raises(ValueError, match="feature names"):
        model.transform(as_polars(ROWS).select(["b", "a", "c"]))
    with pytest.raises(ValueError, match="minimum of 2"):
        PPCA(1).fit([[1.0, None, 2.0]])


def test_partitions_of_objects() -> None:
    dd = pytest.importorskip("dask.dataframe")
    case = ESTIMATORS["PoissonMixture"]
    table = pd.DataFrame(case.gaps[:, :3], columns=NAMES)
    text = table.astype({"b": object})
    text["b"] = "x"
    with pytest.raises(ValueError, match=r"Block [01] of X, counted from 0: .* column 'b' cannot be made numbers"):
        PoissonMixture().fit(dd.from_pandas(text, npartitions=2))
    lazy = dd.from_pandas(table, npartitions=2).astype("Int64")
    reference = PoissonMixture(2, random_state=0).fit(table)
    np.testing.assert_allclose(PoissonMixture(2, random_state=0).fit(lazy).lower_bound_, reference.lower_bound_, rtol=1e-10)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("model", [SigmoidBeliefNet, BernoulliVAE])
def test_a_threshold_that_tells_nothing_is_warned_of(model: Any) -> None:
    X = load_iris().data
    with pytest.warns(UserWarning, match=r"binarize=0 turns every value into 1 in column 0, column 1, column 2 and 1 more"):
        model(2, max_iter=1).fit(X)
    with pytest.warns(UserWarning, match="binarize=99 turns every value of X into 0"):
        model(2, binarize=99.0, max_iter=1).fit(X)
    with pytest.warns(UserWarning, match="turns every value into 1 in column 1, which"):
        model(2, max_iter=1).fit(np.column_stack([X[:, 0] - X[:, 0].mean(), X[:, 1]]))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        model(2, max_iter=2).fit(X - X.mean(axis=0))
        model(2, max_iter=2).fit(np.sign(X - X.mean(axis=0)).clip(0))
        model(2, binarize=None, max_iter=2).fit(np.column_stack([np.ones(len(X)), X[:, 0] > 6]))


def test_products_of_longdouble() -> None:
    X = ESTIMATORS["PPCA"].gaps
    for model in (PPCA(2, solver="em", max_iter=5), FactorAnalysis(2, max_iter=5)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert model.fit(X.astype(np.longdouble)).lower_bound_ == model.fit(X).lower_bound_


@pytest.mark.parametrize("extreme", [1e-110, 1e110])
def test_weights_of_extreme_sizes_are_refused(extreme: float) -> None:
    X = load_iris().data
    weight = np.ones(len(X))
    weight[3] = extreme
    with pytest.raises(ValueError, match=r"must lie between 1e-100 and 1e\+100, but range from .*; rescale them"):
        PPCA(1).fit(X, sample_weight=weight)


@pytest.mark.parametrize(
    "make", [lambda: pd.DataFrame(ROWS, columns=NAMES), lambda: as_polars(ROWS), lambda: as_arrow(ROWS)]
)
def test_a_model_that_was_made_from_parameters_takes_columns_of_any_names(make: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert MADE.score(make()) == pytest.approx(MADE.score(NUMBERS), abs=1e-12)
        assert MADE.score(RowBlocks(lambda: [make()])) == pytest.approx(MADE.score(NUMBERS), abs=1e-12)
        fitted = clone(MADE).set_params(n_components=1).fit(make())
    with pytest.raises(ValueError, match="expecting 3 features"):
        MADE.score(pd.DataFrame({"a": [1.0]}))
    with pytest.raises(ValueError, match="feature names should match"):
        fitted.score(pd.DataFrame(ROWS, columns=["a", "c", "b"]))
