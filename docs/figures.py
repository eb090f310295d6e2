"""The figures of the landing page and of the README: ``python docs/figures.py`` writes them into ``docs/_static``.

Each is drawn from data and a fit, large enough to be read at a width of 300 pixels. The figure of the benchmarks is drawn
from their results whenever the site is built.
"""

import re
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from sklearn.datasets import load_iris, load_wine

from skentropy import FactorAnalysis, GaussianMixture, PoissonMixture

STYLE = {"font.size": 13, "axes.spines.top": False, "axes.spines.right": False, "lines.linewidth": 2.5}
BLUE, ORANGE, GREY = "#1f77b4", "#e8801a", "#c9c9c9"


def draw_counts(ax: Axes) -> None:
    """Death notices a day in the London *Times*, 1910 to 1912, and a mixture of two Poisson distributions."""
    notices, days = np.arange(10), np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1])
    one, two = (PoissonMixture(k, random_state=0).fit(notices[:, np.newaxis], sample_weight=days) for k in (1, 2))
    ax.bar(notices, days, color=GREY, label="days")
    for model, label, colour in ((one, "one rate", ORANGE), (two, "two rates", BLUE)):
        expected = days.sum() * np.exp(model.score_samples(notices[:, np.newaxis]))
        ax.plot(notices, expected, "o-", markersize=6, color=colour, label=label)
    ax.set(xlabel="death notices in a day", ylabel="days", xticks=range(0, 10, 2))
    ax.legend(frameon=False)


def draw_gaps(ax: Axes) -> None:
    """A table with gaps above, and below it with the gaps filled in by a mixture."""
    X = load_iris().data[::7]
    gaps = np.where(np.random.default_rng(3).random(X.shape) < 0.2, np.nan, X)
    filled = GaussianMixture(2, prior_counts=1, random_state=0).fit(gaps).impute(gaps)
    scale = (X.min(axis=0), np.ptp(X, axis=0))
    colours = ListedColormap(plt.get_cmap("Blues")(np.linspace(0.15, 0.95, 256))).with_extremes(bad=ORANGE)
    for place, table in enumerate((gaps, filled, X)):
        left = 5.2 * place
        values = (table - scale[0]) / scale[1]
        ax.imshow(
            values, cmap=colours, vmin=0, vmax=1, extent=(left, left + 4, 0, 11), aspect="auto", interpolation="nearest"
        )
    ax.set(xlim=(0, 14.4), ylim=(0, 11), yticks=[], ylabel="flowers")
    ax.set_xticks([2, 7.2, 12.4], ["with gaps", "filled in", "truth"])
    ax.tick_params(length=0)
    for side in ax.spines.values():
        side.set_visible(False)


def draw_factors(ax: Axes) -> None:
    """Loadings of two factors of thirteen measurements of wines."""
    wine = load_wine()
    X = (wine.data - wine.data.mean(axis=0)) / wine.data.std(axis=0)
    loadings = FactorAnalysis(2, rotation="varimax").fit(X).components_.T
    chosen = {6: "flavanoids", 5: "phenols", 11: "OD280", 0: "alcohol", 9: "colour", 12: "proline", 3: "alcalinity"}
    places = np.arange(len(chosen))
    for factor, (colour, shift) in enumerate(((BLUE, -0.18), (ORANGE, 0.18))):
        ax.barh(places + shift, loadings[list(chosen), factor], 0.34, color=colour, label=f"factor {factor + 1}")
    ax.axvline(0, color="0.4", linewidth=1)
    ax.set_yticks(places, chosen.values())
    ax.set(xlabel="loading", ylim=(len(chosen) - 0.4, -0.6))
    ax.legend(frameon=False, fontsize=11)


def draw_steps(ax: Axes) -> None:
    """The log-likelihood and the entropy sum of each plain EM step."""
    notices, days = np.arange(10)[:, np.newaxis], [162, 267, 271, 185, 111, 61, 27, 8, 3, 1]
    start = {"weights_init": [0.3, 0.7], "rates_init": [[0.3], [4.0]]}
    mixture = PoissonMixture(2, accelerate=False, tol=1e-5, **start).fit(notices, sample_weight=days)
    steps = np.arange(1, mixture.n_iter_ + 1)[:12]
    sums = [terms.value for terms in mixture.entropy_sums_]
    ax.plot(steps, mixture.lower_bounds_[:12], "o-", color=BLUE, label="log-likelihood after the step")
    ax.plot(steps, sums[:12], "o--", color=ORANGE, label="entropy sum of the step")
    ax.set(xlabel="EM step", ylabel="nats per day")
    ax.legend(frameon=False)


def quickest(results: str) -> dict[str, dict[str, float]]:
    """Of each problem of a page of results: the ratio of each package's quickest program to this one's seconds.

    Programs that do not come to the same log-likelihood have no ratio, and problems to which this package does not come are
    left out.
    """
    problems: dict[str, dict[str, float]] = {}
    for section in re.split(r"^## ", results, flags=re.MULTILINE)[1:]:
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("|")]
        if not rows or rows[0][:4] != ["program", "wall s", "CPU s", "ratio"]:
            continue
        packages: dict[str, float] = {}
        for program, _, _, ratio, *_ in rows[2:]:
            package = program.split(",")[0]
            if ratio:
                packages[package] = min(packages.get(package, np.inf), float(ratio.lstrip("≈ ")))
        own = packages.pop("skentropy", None)
        if own and packages:
            problems[section.splitlines()[0]] = {package: ratio / own for package, ratio in packages.items()}
    return problems


def draw_speed(pages: Path, file: Path) -> None:
    """How many times the seconds of this package others need, from the pages of results."""
    problems: dict[str, dict[str, float]] = {}
    for name in ("mixture", "decomposition"):
        problems |= quickest((pages / f"results_{name}.md").read_text(encoding="utf-8"))
    figure, ax = plt.subplots(figsize=(6, 1.2 + 0.34 * len(problems)), layout="constrained")
    for marker, package in zip(
        "os^vDPX", sorted({package for ratios in problems.values() for package in ratios}), strict=False
    ):
        drawn = [(ratios[package], place) for place, ratios in enumerate(problems.values()) if package in ratios]
        ax.plot(*zip(*drawn, strict=True), marker, label=package, markersize=6)
    ax.axvline(1.0, color="0.4", linewidth=1)
    labels = [
        re.sub(r"^(PPCA) and PCA|(Factor analysis)", r"\1\2", problem).replace(" components", "") for problem in problems
    ]
    ax.set_yticks(range(len(problems)), labels, fontsize=8)
    ax.set(xscale="log", xlabel="seconds of others / seconds of skentropy", ylim=(len(problems) - 0.5, -0.5))
    ax.grid(axis="y", color="0.9")
    figure.legend(loc="outside lower center", ncols=4, fontsize=8)
    figure.savefig(file, dpi=100, metadata={"Software": None})
    plt.close(figure)


def main(folder: Path) -> None:
    with plt.rc_context(STYLE):
        for name, draw in (("counts", draw_counts), ("gaps", draw_gaps), ("factors", draw_factors), ("steps", draw_steps)):
            figure, ax = plt.subplots(figsize=(5.4, 3.8), layout="constrained")
            draw(ax)
            figure.savefig(folder / f"{name}.png", dpi=120, metadata={"Software": None})
            plt.close(figure)
        figure, axes = plt.subplots(1, 3, figsize=(15, 4), layout="constrained")
        titles = ("count data", "tables with gaps", "factors")
        for ax, title, draw in zip(axes, titles, (draw_counts, draw_gaps, draw_factors), strict=True):
            draw(ax)
            ax.set_title(title, fontsize=15)
        figure.savefig(folder / "overview.png", dpi=80, metadata={"Software": None})
        plt.close(figure)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "_static")
