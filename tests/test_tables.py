"""Tables that are printed: their width, their alignment, and what of them goes into frames and notebooks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from skentropy._tables import Column, Summary, Table, cut, shorten

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
