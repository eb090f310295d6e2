"""Sigmoid belief nets with truncated posteriors: many hidden units."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from bench_belief_net import DIGITS, bars, n_found
from common import clock, setting, table

from skentropy import SigmoidBeliefNet

TITLE = "Sigmoid belief nets with truncated posteriors"
# Of a prototype in NumPy, without a ridge.
PROTOTYPE = {30: -16.285, 60: -15.290, 100: -14.5}
SIZES = [(12, 20, 0.01, 1000), (30, 50, 0.01, 1000), (60, 20, 0.01, 1000), (100, 15, 0.01, 1000)]
NOTES = """\
All digits of scikit-learn, 1 where a pixel is at least 8; nats per image. The ELBO after a fit is a lower bound of the log-likelihood;
`score` searches the states of each image anew, and up to 12 hidden units the log-likelihood can be had exactly.
"""


def fits(X: np.ndarray, sizes: list[tuple[int, int, float, int]]) -> Iterator[list[str]]:
    for h, k, alpha, steps in sizes:
        net = SigmoidBeliefNet(h, posterior="truncated", n_states=k, alpha=alpha, max_iter=steps, random_state=0)
        _, wall, cpu = clock(lambda net=net: net.fit(X), at_most=1)
        elbo, score, exact = net.lower_bound_, net.score(X), ""
        if h <= 12:
            net.score_is_exact_ = True
            exact = f"{net.score(X):.4f}"
        end = [str(net.n_iter_), str(net.converged_), f"{elbo:.4f}", f"{net.stationarity_gap_:.0e}", f"{score:.4f}", exact]
        yield [str(h), str(k), f"{alpha:g}", f"{wall:.0f}", f"{cpu:.0f}", *end, str(PROTOTYPE.get(h, ""))]


def page(quick: bool) -> Iterator[str]:
    yield setting("skentropy", "sklearn") + "\n"
    yield NOTES
    columns = ["H", "states", "alpha", "wall s", "CPU s", "EM steps", "converged", "ELBO after fit", "gap"]
    columns += ["score by search", "exact at these parameters", "prototype (no ridge)"]
    yield from table(columns, fits(DIGITS[:200], [(4, 4, 0.01, 3)]) if quick else fits(DIGITS, SIZES))
    n, size = (200, 3) if quick else (2000, 8)
    X, images = bars(n, 0, size)
    net = SigmoidBeliefNet(2 * size, posterior="truncated", random_state=0, **({"max_iter": 5} if quick else {}))
    fit, wall, cpu = clock(lambda: net.fit(X), at_most=1)
    found = n_found(fit.components_, images)
    yield f"Bars of {size} x {size} images, n = {n:,}: {found} of {2 * size} found in {wall:.1f} s, {cpu:.1f} of them of CPU time.\n"
