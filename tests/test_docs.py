"""What the README, the pages and the examples show is what happens."""

from __future__ import annotations

import doctest
import re
import runpy
from pathlib import Path
from typing import Any

import matplotlib
import pytest

import skentropy

ROOT = Path(__file__).parents[1]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


PAGES = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("**/*.md"))
    if ">>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("page", PAGES)
def test_pages(page: str) -> None:
    result = doctest.testfile(str(ROOT / page), module_relative=False, optionflags=FLAGS, encoding="utf-8")
    assert result.attempted > 0
    assert result.failed == 0


def test_figures_of_the_landing_page(tmp_path: Path) -> None:
    runpy.run_path(str(ROOT / "docs" / "figures.py"))["main"](tmp_path)
    drawn = {path.name for path in tmp_path.glob("*.png")}
    assert drawn == {path.name for path in (ROOT / "docs" / "_static").glob("*.png")}


def test_quickstart(capsys: Any) -> None:
    runpy.run_path(str(ROOT / "examples" / "quickstart.py"))
    printed = capsys.readouterr().out
    assert printed.count("entropy sum, nats per sample") == 7
    assert "nan" not in printed


def test_stream(capsys: Any) -> None:
    runpy.run_path(str(ROOT / "examples" / "stream_parquet.py"))
    *_, (_, streamed, _, _, in_memory) = (line.split() for line in capsys.readouterr().out.splitlines())
    assert streamed == in_memory


def test_cluster(capsys: Any) -> None:
    runpy.run_path(str(ROOT / "examples" / "run_on_a_cluster.py"))["main"]()
    printed = capsys.readouterr().out
    assert "lazy dask.array" in printed
    assert "found {'n_components': 8}" in printed


@pytest.mark.filterwarnings("ignore:.*non-interactive:UserWarning")
@pytest.mark.parametrize("script", sorted(path.name for path in (ROOT / "examples").glob("plot_*.py")))
def test_figures(script: str) -> None:
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    runpy.run_path(str(ROOT / "examples" / script))
    assert plt.get_fignums()
    plt.close("all")


def test_one_version_everywhere() -> None:
    version = re.escape(skentropy.__version__)
    for name, pattern in (("CITATION.cff", rf"^version: {version}$"), ("CHANGELOG.md", rf"^## {version}\b")):
        assert re.search(pattern, (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE), name
