"""How the seconds of a step grow with rows, columns and components: exponents, a picture, and a step beside its matrix products."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from bench_decomposition import factor_rows
from bench_mixture import simulated, start_of
from common import HERE, clock, fresh, is_installed, left_out, setting, table
from programs import PROGRAMS, Problem

TITLE = "How time grows with rows, columns and components"
PEERS = ("sklearn", "pomegranate", "stepmix")
PICTURE = HERE / "scaling.png"
# Seconds that a point may take, all repetitions of it; larger sizes are left out when one took longer.
LIMIT = 4.0
# The exponent is fitted to so many of the largest sizes.
UPPER = 3
AXES = {"n": "rows", "d": "columns", "K": "components"}
SIZES = {
    "n": [1_000, 3_000, 10_000, 30_000, 100_000, 300_000],
    "d": [5, 10, 20, 40, 80, 160],
    "K": [2, 4, 8, 16, 32, 64],
}
QUICK_SIZES = {"n": [200, 400, 800], "d": [4, 6, 8], "K": [2, 3, 4]}
BASE, QUICK_BASE = {"n": 20_000, "d": 20, "K": 5}, {"n": 300, "d": 8, "K": 2}
# Factors have to be fewer than columns.
WIDE, QUICK_WIDE = 100, 8


@dataclass(frozen=True)
class Curve:
    """What is timed: a step of a program of ``PROGRAMS`` on a family, or of this package on what is named otherwise."""

    label: str
    program: str
    family: str
    package: str
    color: str
    marker: str


# Colours of Okabe and Ito, which people with any colour vision tell apart.
CURVES = [
    Curve("skentropy, Poisson mixture, step", "skentropy, accelerate=False", "poisson", "skentropy", "#0072B2", "o"),
    Curve("pomegranate, Poisson mixture, step", "pomegranate, float32", "poisson", "pomegranate", "#56B4E9", "v"),
    Curve("skentropy, Gaussian mixture, step", "skentropy, accelerate=False", "gaussian", "skentropy", "#D55E00", "s"),
    Curve("scikit-learn, Gaussian mixture, step", "scikit-learn", "gaussian", "sklearn", "#E69F00", "^"),
    Curve("stepmix, Gaussian mixture, step", "stepmix", "gaussian", "stepmix", "#CC79A7", "D"),
    Curve("skentropy, PPCA with 5% missing, step", "", "ppca", "skentropy", "#009E73", "P"),
    Curve("skentropy, FactorAnalysis, whole fit", "", "factors", "skentropy", "#000000", "X"),
]


def a_step(fit: Callable[[int], tuple[np.ndarray, ...]]) -> float:
    """Wall seconds: the difference between fits of different lengths by the difference in length."""
    short = clock(lambda: fit(1), seconds=LIMIT / 4)[1]
    more = int(np.clip(0.03 / short, 5, 50))  # so many that their time stands out
    while more > 1 and all(map(np.array_equal, fit(more), fit(1 + more))):
        more //= 2  # it ended before
    long = clock(lambda: fit(1 + more), seconds=LIMIT / 2)[1]
    return max(long - short, 1e-9) / more  # noise can make a short fit the longer one


def mixture_step(program: str, family: str, n: int, d: int, K: int) -> float:
    X = simulated(family, n, d, K)
    problem = Problem(family, K, X, start_of(family, X[:5000], K))
    return a_step(next(own for own in PROGRAMS if own.name == program).prepare(problem))


def ppca_step(n: int, d: int, K: int) -> float:
    from skentropy import PPCA

    X = factor_rows(n, d, K)
    X[np.random.default_rng(1).random(X.shape) < 0.05] = np.nan
    return a_step(lambda steps: (PPCA(K, tol=0.0, max_iter=steps, accelerate=False).fit(X).components_,))


def factors_fit(n: int, d: int, K: int) -> float:
    from skentropy import FactorAnalysis

    X = factor_rows(n, d, K)
    return clock(lambda: FactorAnalysis(K).fit(X))[1]


OTHERS = {"ppca": ppca_step, "factors": factors_fit}


def time_curves(
    package: str, sizes: dict[str, list[int]], base: dict[str, int], wide: int
) -> dict[str, dict[str, list[float]]]:
    """Seconds of a package's curves at each size along each axis, in this process, until they are too many."""
    seconds: dict[str, dict[str, list[float]]] = {}
    for curve in (own for own in CURVES if own.package == package):
        seconds[curve.label] = {axis: [] for axis in sizes}
        for axis, size in ((axis, size) for axis, own in sizes.items() for size in own):
            points = seconds[curve.label][axis]
            if not points or points[-1] < LIMIT / 8:
                shape = {**base, **({"d": wide} if axis == "K" and not curve.program else {}), axis: size}
                points.append(
                    mixture_step(curve.program, curve.family, **shape) if curve.program else OTHERS[curve.family](**shape)
                )
    return seconds


def exponent(sizes: list[int], seconds: list[float]) -> float:
    """Least squares of the logarithms, over the largest sizes."""
    sizes, seconds = sizes[: len(seconds)][-UPPER:], seconds[-UPPER:]
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0]) if len(seconds) == UPPER else np.nan


def draw(results: dict[str, dict[str, tuple[list[int], list[float]]]]) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(AXES), figsize=(11, 5.2), sharey=True, layout="constrained")
    for panel, (axis, name) in zip(panels, AXES.items(), strict=True):
        for curve in CURVES:
            if curve.label in results:
                sizes, seconds = results[curve.label][axis]
                panel.loglog(
                    sizes, 1e3 * np.array(seconds), color=curve.color, marker=curve.marker, label=curve.label, lw=1.5, ms=6
                )
        ends = np.array(SIZES[axis][-4:-2])
        panel.plot(ends, 0.2 * ends / ends[0], color="0.4", ls="--", lw=1, label="in proportion to size")
        panel.set_xticks(SIZES[axis], [f"{size // 1000}k" if size >= 1000 else str(size) for size in SIZES[axis]])
        panel.minorticks_off()
        others = ", ".join(f"{symbol} = {value:,}" for symbol, value in BASE.items() if symbol != axis)
        panel.set(xlabel=f"{axis}, {name}", title=others + (f" (factors: {WIDE})" if axis == "K" else ""))
        panel.grid(True, color="0.88")
    panels[0].set_ylabel("milliseconds")
    panels[0].yaxis.set_major_formatter("{x:g}")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(PICTURE, dpi=90, pil_kwargs={"optimize": True})
    plt.close(figure)


def rows_of_exponents(
    results: dict[str, Any], sizes: dict[str, list[int]], base: dict[str, int], wide: int
) -> Iterator[list[str]]:
    for package in dict.fromkeys(curve.package for curve in CURVES):
        if not is_installed(package):
            continue
        for label, own in fresh(time_curves, package, sizes, base, wide).items():
            results[label] = {axis: (sizes[axis][: len(seconds)], seconds) for axis, seconds in own.items()}
            exponents = [f"{exponent(*results[label][axis]):.2f}" for axis in AXES]
            largest = [f"{1e3 * seconds[-1]:.3g} ({points[-1]:,})" for points, seconds in results[label].values()]
            yield [label, *exponents, *largest]


def beside_products(families: list[str], n: int, d: int, K: int) -> list[tuple[str, str, float, float]]:
    """Wall and CPU seconds of a step, and of its products: (n, S D) with (S D, K), and (K, n) with (n, S D)."""
    plain = next(own for own in PROGRAMS if own.name == "skentropy, accelerate=False")
    eta, q = np.ones((d, K)), np.ones((K, n))
    seconds = []
    for family in families:
        X = simulated(family, n, d, K)
        problem = Problem(family, K, X, start_of(family, X[:5000], K))
        statistics = [np.log(X), X] if family == "gamma" else [X]
        products = clock(lambda own=statistics: [(T @ eta, q @ T) for T in own])[1:]
        seconds.append((family, "the two products alone", *products))
        for name, options in {"skentropy": {}, "skentropy, n_jobs=2": {"n_jobs": 2}}.items():
            fit = plain.prepare(problem, **options)
            short, long = clock(lambda fit=fit: fit(2)), clock(lambda fit=fit: fit(12))
            seconds.append((family, name, *((long[i] - short[i]) / 10 for i in (1, 2))))
    return seconds


def rows_beside_products(shape: dict[str, int]) -> Iterator[list[str]]:
    seconds = fresh(beside_products, ["poisson", "gamma"], *shape.values())
    products = {family: wall for family, name, wall, _ in seconds if name == "the two products alone"}
    for family, name, wall, cpu in seconds:
        yield [family, name, f"{1e3 * wall:.2f}", f"{1e3 * cpu:.2f}", f"{wall / products[family]:.2f}"]


def page(quick: bool) -> Iterator[str]:
    sizes, base, wide = (QUICK_SIZES, QUICK_BASE, QUICK_WIDE) if quick else (SIZES, BASE, WIDE)
    yield setting("skentropy", *PEERS, "torch") + "\n"
    yield from left_out(PEERS)
    varied = "; ".join(
        f"{axis} (number of {name}) from {sizes[axis][0]:,} to {sizes[axis][-1]:,}" for axis, name in AXES.items()
    )
    yield (
        f"{varied}; where one varies the others are {', '.join(f'{axis} = {size:,}' for axis, size in base.items())}, but for the "
        f"factors of PPCA and FactorAnalysis, which vary with d = {wide}. A step is one of plain EM: the difference between fits of "
        f"different lengths by the difference in length, the fastest of up to five. The exponent is that of time over size by least "
        f"squares of the logarithms at the {UPPER} largest sizes; a curve ends where a point takes too long. A whole fit of "
        "`FactorAnalysis` forms the covariances once and then no more depends on n.\n"
    )
    results: dict[str, Any] = {}
    columns = ["what", *(f"exponent in {axis}" for axis in AXES), *(f"ms at the largest {axis}" for axis in AXES)]
    yield from table(columns, rows_of_exponents(results, sizes, base, wide))
    if not quick:
        draw(results)
        yield f"![Milliseconds over rows, columns and components, on logarithmic axes]({PICTURE.name})\n"
    shape = {"n": 2_000, "d": 10, "K": 3} if quick else {"n": 100_000, "d": 50, "K": 10}
    yield f"## A step beside the matrix products that it cannot do without: {shape['n']:,} x {shape['d']}, {shape['K']} components\n"
    yield from table(
        ["family", "what", "wall ms", "CPU ms", "wall by that of the products"], rows_beside_products(shape), text=2
    )
