"""What the README, the pages and the examples show is what happens."""

from __future__ import annotations

import doctest
import re
import runpy
import tomllib
from collections.abc import Iterator
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


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    """Leave no figure open, which the next test would take for its own."""
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


@pytest.mark.parametrize("page", PAGES)
def test_pages(page: str) -> None:
    result = doctest.testfile(str(ROOT / page), module_relative=False, optionflags=FLAGS, encoding="utf-8")
    assert result.attempted > 0
    assert result.failed == 0


def test_figures_of_the_landing_page(tmp_path: Path) -> None:
    runpy.run_path(str(ROOT / "docs" / "figures.py"))["main"](tmp_path)
    drawn = {path.name for path in tmp_path.glob("*.png")}
    assert drawn == {path.name for path in (ROOT / "docs" / "_static").glob("*.png")}


def test_figure_of_the_benchmarks_has_the_ratios_of_their_pages(tmp_path: Path) -> None:
    figures = runpy.run_path(str(ROOT / "docs" / "figures.py"))
    problem = """## Two groups
| program | wall s | CPU s | ratio | steps | remark |
| --- | ---: | ---: | ---: | ---: | --- |
| skentropy | 0.2 | 0.2 | 1 | 3 | |
| skentropy, accelerate=False | 0.1 | 0.1 | 0.5 | 3 | |
| other, float32 | 0.4 | 0.4 | 2 | 3 | |
| other, float64 | 0.8 | 0.8 | 4 | 3 | |
| lost | 0.4 | 0.4 | | 3 | ends below |
"""
    elsewhere = problem.replace("| 1 |", "| |").replace("| 0.5 |", "| |").replace("Two", "Three")
    assert figures["quickest"](problem + elsewhere) == {"Two groups": {"other": 4.0}}
    figures["draw_speed"](ROOT / "docs" / "benchmarks", tmp_path / "speed.png")
    assert (tmp_path / "speed.png").stat().st_size > 10_000


def test_seconds_of_the_readme_are_those_of_the_pages() -> None:
    readme = runpy.run_path(str(ROOT / "docs" / "benchmarks" / "readme.py"))
    written = (ROOT / "README.md").read_text(encoding="utf-8")
    assert readme["BEGIN"] + readme["block"]() + readme["END"] in written
    page = """
## Two groups

| program | wall s | CPU s | ratio | steps |
| --- | ---: | ---: | ---: | ---: |
| skentropy | 0.2 | 0.2 | 1 | 3 |
| skentropy, accelerate=False | 0.1 | 0.1 | 0.5 | 3 |
| other, float32 | 0.4 | 0.4 | 2 | 3 |
| third, randomized | 0.3 | 0.3 | 1.5 | 3 |
| lost | 0.4 | 0.4 | | 3 |
| priced | ≈ 4 | ≈ 4 | ≈ 20 | 3 |

## Three
"""
    assert readme["seconds"](page, "Two groups") == {"skentropy": 0.1, "third (randomized)": 0.3, "other": 0.4}


def test_quickstart(capsys: Any) -> None:
    runpy.run_path(str(ROOT / "examples" / "quickstart.py"))
    printed = capsys.readouterr().out
    assert printed.count("entropy sum, nats per sample") == 7
    assert "nan" not in printed


PRINTED = {
    "plot_directions_of_digits.py": ["von Mises-Fisher     one pen 0.65, many pens 0.65"],
    "run_on_a_cluster.py": ["lazy dask.array", "found {'n_components': 8}"],
}
GALLERY = sorted(path.name for path in (ROOT / "examples").glob("*.py") if path.name != "quickstart.py")
# Of letters where a page shows a figure 600 pixels wide, in pixels.
LEAST = 10.0


def letters(figure: Any) -> float:
    """Size of the smallest letters, in pixels, of a figure that is shown at most 600 pixels wide."""
    import matplotlib.text

    drawn = [text for text in figure.findobj(matplotlib.text.Text) if text.get_visible() and text.get_text().strip()]
    points = min((text.get_fontsize() for text in drawn), default=LEAST)
    return float(points * figure.dpi / 72 * min(1.0, 600 / figure.bbox.width))


@pytest.mark.filterwarnings("ignore:.*non-interactive:UserWarning")
@pytest.mark.parametrize("script", GALLERY)
def test_gallery(script: str, capsys: Any) -> None:
    import matplotlib.pyplot as plt

    source = (ROOT / "examples" / script).read_text(encoding="utf-8")
    introduction, *_, conclusion = re.split(r"^# %%\n", source, flags=re.MULTILINE)
    assert "**Question:**" in introduction.split('"""')[1]
    assert re.fullmatch(r"# \*\*Answer:\*\* .*\n(# .*\n)*", conclusion)

    # What only the script itself does: the processes of a cluster import it.
    runpy.run_path(str(ROOT / "examples" / script)).get("main", lambda: None)()
    figures = [plt.figure(number) for number in plt.get_fignums()]
    assert figures
    assert all(letters(figure) >= LEAST for figure in figures)
    printed = capsys.readouterr().out
    for expected in PRINTED.get(script, []):
        assert expected in printed
    # Here as there: the streamed fit and that in memory, the fit on a cluster and that in one process.
    scores = re.findall(r"(?:streamed|in memory|cluster: score|process: score) (-\d+\.\d+)", printed)
    assert len(scores) == (2 if script in ("run_on_a_cluster.py", "stream_parquet.py") else 0)
    assert len(set(scores)) <= 1


def test_one_version_everywhere() -> None:
    version = re.escape(skentropy.__version__)
    for name, pattern in (("CITATION.cff", rf"^version: {version}$"), ("CHANGELOG.md", rf"^## {version}\b")):
        assert re.search(pattern, (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE), name


def test_conda_recipe_asks_for_what_the_package_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    recipe = (ROOT / "docs" / "conda" / "meta.yaml").read_text(encoding="utf-8")
    found = re.search(r"regex_pattern='([^']*)'", recipe)
    assert found is not None
    file = re.search(r'load_file="([^"]*)".* from_recipe_dir=True', recipe)
    assert file is not None
    version = re.search(found[1], (ROOT / "docs" / "conda" / file[1]).read_text(encoding="utf-8"))
    assert version is not None
    assert version[1] == skentropy.__version__
    for key, value in (("name", "name"), ("license", "license"), ("summary", "description")):
        assert f"  {key}: {project['project'][value]}\n" in recipe
    named = [*re.findall("license_file: (.*)", recipe), *re.findall(r"    - (examples/.*)", recipe)]
    assert named
    assert all((ROOT / name).is_file() for name in named)
    run = re.search(r"  run:\n((?:    - .*\n)+)", recipe)
    assert run is not None
    needed = [f"python {project['project']['requires-python']}", *project["project"]["dependencies"]]
    assert [line.replace(" ", "") for line in re.findall("- (.*)", run[1])] == [line.replace(" ", "") for line in needed]
    assert all(own.replace(">=", " >=") in recipe for own in project["build-system"]["requires"])


def test_links_of_the_site_are_checked(tmp_path: Path) -> None:
    broken = runpy.run_path(str(ROOT / "docs" / "check_site.py"))["broken"]
    (tmp_path / "a.html").write_text('<p id="here"></p><a href="b.html#there">b</a><a href="#here">here</a>')
    (tmp_path / "b.html").write_text('<a href="a.html">a</a><a href="https://example.org">elsewhere</a><h1 id="there"></h1>')
    assert broken(tmp_path) == []
    (tmp_path / "b.html").write_text('<a href="c.html">c</a><script src="https://example.org/x.js"></script>')
    assert broken(tmp_path) == [
        "a.html: b.html#there has no such place",
        "b.html: c.html has no file",
        "b.html: https://example.org/x.js is loaded from elsewhere",
    ]
