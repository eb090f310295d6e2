"""The table of seconds in the README, from the pages of results: ``python docs/benchmarks/readme.py`` writes it.

``run.py`` does so after it has written a page.
"""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
README = HERE.parents[1] / "README.md"
BEGIN, END = "<!-- seconds, written by docs/benchmarks/readme.py -->\n", "<!-- end of seconds -->\n"
# Part, title on its page, and what the README calls the problem.
PROBLEMS = [
    ("mixture", "Poisson, simulated counts", "Poisson mixture, 10,000 x 20, K = 5"),
    ("mixture", "Gamma, simulated amounts", "gamma mixture, 10,000 x 20, K = 5"),
    ("mixture", "Gaussian with diagonal covariance, simulated", "Gaussian mixture, diagonal, 10,000 x 20, K = 5"),
    ("mixture", "Gaussian with diagonal covariance, breast cancer", "the same, breast cancer, 569 x 30, K = 3"),
    ("mixture", "Bernoulli, the simulated answers with 20% missing", "latent classes, 10,000 x 20, 20% missing, K = 5"),
    ("decomposition", "Factor analysis: 100,000 x 50, 5 components", "factor analysis, 100,000 x 50, 5 factors"),
    ("decomposition", "Factor analysis: 2,000 x 2,000, 10 components", "factor analysis, 2,000 x 2,000, 10 factors"),
]
# What mixtures are a detour for.
_OF_SEQUENCES = {"hmmlearn"}
# Variants of programs that tell a reader of the README nothing.
_SILENT = {"float32", "float64", "lapack", "ml", "accelerate=False"}


def seconds(page: str, title: str) -> dict[str, float]:
    """Wall seconds of the quickest variant of each program that comes to the log-likelihood; those that are priced do not."""
    section = page.split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| ")]
    quickest: dict[str, tuple[float, str]] = {}
    for program, wall, _, ratio, *_ in rows[2:]:
        package, _, variant = program.partition(", ")
        if ratio and "≈" not in wall and package not in _OF_SEQUENCES:
            name = package if not variant or variant in _SILENT else f"{package} ({variant})"
            quickest[package] = min(quickest.get(package, (float("inf"), "")), (float(wall), name))
    return dict(sorted(((name, value) for value, name in quickest.values()), key=lambda pair: pair[1]))


def block() -> str:
    """The table, and what it was measured with."""
    pages = {part: (HERE / f"results_{part}.md").read_text(encoding="utf-8") for part, *_ in PROBLEMS}
    lines = ["| problem | skentropy | others |", "| --- | ---: | --- |"]
    for part, title, name in PROBLEMS:
        found = seconds(pages[part], title)
        own = found.pop("skentropy", None)
        if own is None:  # it ends elsewhere
            continue
        others = [
            f"**{other} {_digits(wall)}**" if wall < own else f"{other} {_digits(wall)}" for other, wall in found.items()
        ]
        lines.append(f"| {name} | {_digits(own)} | {', '.join(others)} |")
    settings = {part: _setting(page) for part, page in pages.items()}
    same = len(set(settings.values())) == 1
    measured = next(iter(settings.values())) if same else ", ".join(f"{part}: {how}" for part, how in settings.items())
    command = '`pip install ".[bench]" && python docs/benchmarks/run.py`'
    return "\n".join([*lines, "", f"Measured with {measured}. {command} repeats the measurement and rewrites this table.\n"])


def _setting(page: str) -> str:
    """What a page of results was measured with."""
    found = re.search(r"^skentropy (\S+),.*?; (\d+ cores)", page, re.MULTILINE)
    assert found is not None
    return f"version {found[1]} on {found[2]}"


def _digits(wall: float) -> str:
    return f"{wall:.2g}" if wall < 10.0 else f"{wall:.0f}"


def write() -> None:
    before, rest = README.read_text(encoding="utf-8").split(BEGIN)
    README.write_text(before + BEGIN + block() + END + rest.split(END)[1], encoding="utf-8")


if __name__ == "__main__":
    write()
