"""What a summary says of counts that vary more than Poisson distributions do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from skentropy import ColumnMixture, MultinomialMixture, NegativeBinomialMixture, PoissonMixture
from skentropy._data import Block
from skentropy.mixture._excess import Excess

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {"visits": RNG.negative_binomial(2, 0.3, 300), "calls": RNG.poisson(3.0, 300), "size": RNG.normal(size=300)}
)


def notes(mixture: Any, X: Any, **row_data: Any) -> list[str]:
    return [note for note in mixture.summary(X, **row_data).notes if "vary more" in note]


@pytest.mark.parametrize("stored", [False, True])
def test_the_statistic_by_its_definition(stored: bool) -> None:
    X = RNG.poisson(2.0, size=(60, 3)).astype(float)
    X[RNG.random(X.shape) < 0.2] = np.nan
    q, w, s = RNG.dirichlet([1.0, 1.0], size=60).T, RNG.exponential(size=60), RNG.uniform(0.5, 2.0, size=60)
    rates, columns = np.array([[1.0, 0.005], [2.5, 0.0]]), np.array([2, 0])
    block = Block(sparse.csr_matrix(X) if stored else X, w, s, start=0)
    found = Excess.of_block(block, q, rates, columns)
    squares, entries = np.zeros(2), np.zeros(2)
    for n, c, d in np.ndindex(60, 2, 2):
        x, mean = X[n, columns[d]], s[n] * rates[c, d]
        if mean > 0.0 and not np.isnan(x):
            squares[d] += w[n] * q[c, n] * (x - mean) ** 2 / mean
            entries[d] += w[n] * q[c, n]
    np.testing.assert_allclose(found.squares, squares, rtol=1e-12)
    np.testing.assert_allclose(found.entries, entries, rtol=1e-12)


def test_what_is_chosen_by_itself_is_told_of() -> None:
    mixture = ColumnMixture("auto", 1).fit(TABLE)
    (note,) = notes(mixture, TABLE)
    ratio = TABLE["visits"].var(ddof=0) / TABLE["visits"].mean()
    assert f"{ratio:.1f} times in column 'visits'. Negative binomials fit this too" in note
    better = ColumnMixture([("visits", "negative_binomial", ["visits"]), ("calls", "poisson", ["calls"])], 1).fit(TABLE)
    assert notes(better, TABLE) == []
    assert notes(ColumnMixture("auto", 1).fit(TABLE[["calls", "size"]]), TABLE[["calls", "size"]]) == []
    assert not any("vary more" in note for note in mixture.summary().notes)


def test_what_components_or_exposures_explain_is_not() -> None:
    label, s = RNG.random(400) < 0.5, RNG.uniform(0.2, 5.0, size=400)
    two = RNG.poisson(np.where(label, 1.0, 12.0))[:, np.newaxis]
    assert len(notes(PoissonMixture(1).fit(two), two)) == 1
    assert notes(PoissonMixture(2, random_state=0).fit(two), two) == []
    exposed = RNG.poisson(4.0 * s)[:, np.newaxis]
    assert len(notes(PoissonMixture(1).fit(exposed), exposed)) == 1
    assert notes(PoissonMixture(1).fit(exposed, exposure=s), exposed, exposure=s) == []
    zeros = np.where(label[:, np.newaxis], 0, two)
    assert notes(PoissonMixture(1, zero_inflated=True).fit(zeros), zeros) == []
    counts = RNG.negative_binomial(1, 0.2, size=(300, 3)) + 1
    assert notes(NegativeBinomialMixture(1).fit(counts), counts) == notes(MultinomialMixture(1).fit(counts), counts) == []


def test_many_columns_are_counted() -> None:
    counts = RNG.negative_binomial(1, 0.2, size=(300, 5))
    (note,) = notes(PoissonMixture(1).fit(counts), counts)
    assert note.count("times in column") == 3
    assert " and in 2 more. Negative binomials" in note


def test_grades_vary_too_little() -> None:
    grades = pd.DataFrame({"grade": RNG.integers(3, 6, size=300), "calls": RNG.poisson(3.0, 300)})
    mixture = ColumnMixture("auto", 1).fit(grades)
    (note,) = [note for note in mixture.summary(grades).notes if "vary less" in note]
    ratio = grades["grade"].var(ddof=0) / grades["grade"].mean()
    assert f"{ratio:.1f} times in column 'grade'. Grades and codes are not counts" in note


@pytest.mark.parametrize(
    ("ratio", "entries", "mean", "told"),
    [
        (1.501, 1e6, 1.0, "vary more"),
        (1.499, 1e6, 1.0, ""),
        (0.499, 1e6, 1.0, "vary less"),
        (0.501, 1e6, 1.0, ""),
        # Five standard deviations, the root of (2 + 1 / mean) over the entries: 0.433 and 1.25.
        (1.0 + 5.0 * np.sqrt(3.0 / 48.0) + 1e-3, 48.0, 1.0, "vary more"),
        (1.0 + 5.0 * np.sqrt(3.0 / 48.0) - 1e-3, 48.0, 1.0, ""),
        (1.0 + 5.0 * np.sqrt(12.0 / 48.0) + 1e-3, 48.0, 0.1, "vary more"),
        (1.0 + 5.0 * np.sqrt(12.0 / 48.0) - 1e-3, 48.0, 0.1, ""),
        # Of less than one entry as of one.
        (1.0 + 5.0 * np.sqrt(3.0) + 1e-3, 0.005, 1.0, "vary more"),
        (1.0 + 5.0 * np.sqrt(3.0) - 1e-3, 0.005, 1.0, ""),
        (0.0, 0.0, 1.0, ""),
    ],
)
def test_what_is_told_of_is_notable_and_sure(ratio: float, entries: float, mean: float, told: str) -> None:
    model = PoissonMixture(1).fit(TABLE[["calls"]])
    excess = Excess(np.array([ratio * entries]), np.array([entries]))
    notes = list(excess.notes(model, np.array([mean]), np.array([0])))
    assert len(notes) == bool(told)
    assert all(told in note and f"{ratio:.1f} times in column 'calls'" in note for note in notes)


def test_the_largest_are_named_first() -> None:
    model = PoissonMixture(1).fit(pd.DataFrame(dict.fromkeys("abcdef", TABLE["calls"])))
    excess = Excess(1e4 * np.array([2.0, 9.0, 4.0, 3.0, 0.3, 0.1]), np.full(6, 1e4))
    more, less = excess.notes(model, np.ones(6), np.arange(6))
    assert "9.0 times in column 'b', 4.0 times in column 'c', 3.0 times in column 'd' and in 1 more" in more
    assert "0.1 times in column 'f', 0.3 times in column 'e'" in less
