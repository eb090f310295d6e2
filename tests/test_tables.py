"""Tables that are printed: their width, their alignment, and what of them goes into frames and notebooks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from skentropy._tables import Column, Summary, Table, align, cut, decimals_for, decimals_for_each, shorten, unique_names

TABLE = Table(
    "lengths, cm",
    ["a", "a longer name"],
    [
        Column("wide", [0.12345, -12.0], ".2f"),
        Column("small", [-0.00001, 0.2], cutoff=0.1),
        Column("n", np.array([3, 14])),
        Column("word", ["one", None]),
        Column("none", [np.nan, None]),
        Column("good", [True, np.False_]),
    ],
    row_head="feature",
)


def test_a_table_is_aligned() -> None:
    assert str(TABLE).splitlines() == [
        "lengths, cm",
        "feature          wide  small   n  word  none  good",
        "a                0.12          3  one          yes",
        "a longer name  -12.00  0.200  14                no",
    ]
    assert repr(TABLE) == str(TABLE)


def test_no_zero_has_a_sign() -> None:
    assert Column("x", [-0.0001]).cells == ["0.000"]


def test_a_frame_has_all_digits() -> None:
    frame = TABLE.to_frame()
    assert frame.index.name == "feature"
    assert frame.loc["a", "wide"] == 0.12345
    assert frame.loc["a", "small"] == -0.00001
    assert list(frame.columns) == ["wide", "small", "n", "word", "none", "good"]


@pytest.mark.parametrize("n_columns", [1, 9, 40])
def test_no_line_is_wider_than_a_page(n_columns: int) -> None:
    rows = [f"{'very ' * 12}long name {i}" for i in range(3)]
    columns = [Column(f"component{j}", [100.0 * j, 0.0, -1.0]) for j in range(n_columns)]
    lines = str(Table("title " * 30, rows, columns)).splitlines()
    assert max(map(len, lines)) <= 100
    text = "\n".join(lines)
    assert all(f"component{j}" in text for j in range(n_columns))
    names = [line.split("  ")[0] for line in lines if line.startswith("very")]
    assert len(set(names)) == 3
    # Columns of a block end where their heads do.
    for head, line in pairwise(lines):
        if "component" in head and "." in line:
            assert len(head) == len(line)


def test_a_summary() -> None:
    summary = Summary("Model", {"first": TABLE, "second": TABLE}, {"rows": "10", "BIC": "12.5 nats"}, ["A <note>. " * 30])
    lines = str(summary).splitlines()
    assert lines[:5] == ["Model", "rows  10", "BIC   12.5 nats", "", "lengths, cm"]
    assert max(map(len, lines)) <= 100
    assert summary["second"] is TABLE
    assert list(summary.to_frames()) == ["first", "second"]
    with pytest.raises(KeyError, match="no table 'third' in this summary; it has first, second"):
        summary["third"]
    page = summary._repr_html_()
    assert page.count("<table>") == 2
    assert "A &lt;note&gt;." in page
    assert "<td>a longer name</td><td>-12.00</td>" in page


def test_long_names_keep_what_tells_them_apart() -> None:
    question = "how often do you go to the cinema"
    names = [f"probabilities[{c}, {question}, {answer}]" for c in range(2) for answer in ("never", "always")]
    short = shorten(names, 40)
    assert all(len(name) <= 40 for name in short)
    assert [name[:15] for name in short] == ["probabilities[0", "probabilities[0", "probabilities[1", "probabilities[1"]
    assert [name.endswith(end) for name, end in zip(short, ["never]", "always]"] * 2, strict=True)] == [True] * 4
    assert cut("one, two", 4) == "o..o"
    # Parts keep eight characters, or the middle of all of them is left out.
    assert cut("a" * 20 + ", " + "b" * 20, 18) == "aaa..aaa, bbb..bbb"
    assert cut("a" * 20 + ", " + "b" * 20, 17) == "aaaaaaa..bbbbbbbb"


@pytest.mark.parametrize(
    ("errors", "spec"),
    [
        ([0.0123, 0.5, 0.04], ".4f"),
        ([1.0], ".2f"),
        ([9.99, 9.99], ".2f"),
        ([250.0, 2500.0, 0.1], ".0f"),
        ([31000.0], ".0f"),
        ([1e-5], ".7f"),
        ([9e-6], ".4g"),
        ([0.0, np.nan, np.inf, 0.2], ".3f"),
        ([0.0, np.nan], ".4g"),
    ],
)
def test_decimals_are_three_digits_of_the_typical_error(errors: list[float], spec: str) -> None:
    assert decimals_for(np.array(errors)) == spec


def test_errors_of_columns_in_other_units_have_two_to_five_digits() -> None:
    errors = np.array([[1.0, 1.0, 1.0], [0.1, 0.05, 999.0], [1e3, 4e8, 1e-8], [0.0, np.nan, np.inf]])
    expected = [[".2f", ".2f", ".2f"], [".2f", ".3f", ".2f"], [".1f", ".0f", ".4g"], [".2f", ".2f", ".2f"]]
    assert decimals_for_each(errors).tolist() == expected
    assert decimals_for_each(np.zeros(2)).tolist() == [".4g", ".4g"]


def test_names_are_cut_to_what_is_left_of_a_page() -> None:
    """No shorter than twenty characters, to the last one of the hundred, and in their middles."""
    name = "".join(chr(ord("a") + i % 26) for i in range(90))
    for width, room in ((10, 88), (57, 41), (85, 20)):
        _, line = align(["", "x"], [[name, "1".rjust(width)]])
        own, _, value = line.partition("  ")
        assert len(own) == room
        assert value == "1".rjust(width)
        assert own == f"{name[: room // 2 - 1]}..{name[-(room - room // 2 - 1) :]}"
        assert len(line) == (100 if room > 20 else 20 + 2 + width)
    assert len(cut(name, 31)) == 31
    assert cut(name, 90) == name
    assert cut(f"{name}[b, c]", 50) == f"{cut(name, 44)}[b, c]"


def test_names_that_recur_are_numbered() -> None:
    assert unique_names(["a", "b", "a", "a"]) == ["a", "b", "a #2", "a #3"]
    assert unique_names(["a", "a #2", "a", "a #2"]) == ["a", "a #2", "a #3", "a #2 #2"]
    assert shorten(["x" * 30 + "a" + "x" * 30, "x" * 30 + "b" + "x" * 30], 20) == [
        "xxxxxxx..xxxxxxx",
        "xxxxxxx..xxxxxxx #2",
    ]


def test_columns_fill_a_page_before_they_go_below() -> None:
    """Eight columns of ten characters and their gaps beside a name of four are a hundred."""
    for n, length, blocks in ((8, 4, 1), (9, 4, 2), (8, 5, 2)):
        table = Table("title", ["r" * length], [Column(f"column {j:03d}", [j]) for j in range(n)])
        assert len(str(table).splitlines()) == 1 + 3 * blocks - 1


def test_names_are_cut_only_where_that_saves_a_block_of_columns() -> None:
    """Columns of ten characters and their gaps beside a name of 90; a name of 30 leaves room for five in a block."""
    for n, counts, length in ((7, [4, 3], 52), (10, [5, 5], 40), (11, [4, 4, 3], 52)):
        table = Table("title", ["".join(map(str, range(50)))], [Column(f"column {j:03d}", [j]) for j in range(n)])
        lines = str(table).splitlines()
        assert [line.count("column") for line in lines if "column" in line] == counts
        assert {len(line.split()[0]) for line in lines if line.startswith("0123")} == {length}
    whole = "correlation of regression scores with factors"
    assert str(Table("title", [whole], [Column(f"factor{j}", [0.5]) for j in range(10)])).count(whole) == 2
