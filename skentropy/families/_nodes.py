"""Sums and integrals over the support of a family, by its methods only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

from .._typing import Array
from ._base import ExponentialFamily

# Densities below exp(-100) of the largest one are negligible, even in the second moment.
_NEGLIGIBLE = 100.0
_N_NODES = 8000
# Where a support ends for doubles alone, logarithms and log-odds are larger than this.
_FAR = 30.0

Function = Callable[[Array], Array]


def nodes(family: ExponentialFamily, eta: Array, draws: Array, exposure: float = 1.0) -> tuple[Array, Array, float]:
    """Nodes in the support, their weights, and the probability of values too close to its end for doubles.

    That probability is infinite if the density ends abruptly within the limits of the support.

    For densities the rule is the trapezoidal rule in x, log x or the log-odds of x, whichever maps the support to the whole
    line, where the rule converges exponentially. The range is that of the draws, extended as far as the density is not
    negligible. For angles the range is one full turn, on which the rule converges exponentially, too.
    """
    if family.circular:
        x = np.linspace(-np.pi, np.pi, _N_NODES, endpoint=False)
        return x, np.full(_N_NODES, 2.0 * np.pi / _N_NODES), 0.0
    to_line, from_line, slope = _coordinates(family, draws)

    def log_density(t: Array) -> Array:
        x = from_line(t)
        inside = family.in_support(x, exposure)
        result = np.full(t.shape, -np.inf)
        result[inside] = family.log_prob(x[inside], eta[:, np.newaxis], exposure) + np.log(slope(t[inside]))
        return result

    line = to_line(draws)
    low, high = float(line.min()), float(line.max())
    step = max(0.25 * (high - low), 1e-12)
    if family.discrete:
        low, high, step = np.floor(low), np.ceil(high), np.ceil(step)
    tolerance = step if family.discrete else 0  # counts continue in whole steps
    negligible = float(log_density(line[:1000]).max()) - _NEGLIGIBLE
    low, lost_low = _end(log_density, low, -step, tolerance, negligible)
    high, lost_high = _end(log_density, high, step, tolerance, negligible)
    if family.discrete:
        # The ends are found up to one step, so that one more step at either side includes all values that matter.
        t, spacing, lost = np.arange(low - step, high + step), 1.0, 0.0
    else:
        t, spacing = np.linspace(low, high, _N_NODES, retstep=True)
        lost = sum(p if p == 0.0 or abs(end) > _FAR else np.inf for end, p in ((low, lost_low), (high, lost_high)))
    x = from_line(t)
    inside = family.in_support(x, exposure)
    return x[inside], spacing * slope(t[inside]), lost


def _end(log_density: Function, end: float, step: float, tolerance: float, negligible: float) -> tuple[float, float]:
    """Go outwards while the density is not negligible; if the support ends earlier, return the tail's probability."""

    def at(t: float) -> float:
        return float(log_density(np.array([t]))[0])

    for _ in range(1000):
        if not at(end) > negligible:
            break
        if at(end + step) > -np.inf:
            end += step
            continue
        end, beyond = _edge(lambda t: at(t) > negligible, end, end + step, tolerance)
        if at(beyond) > -np.inf:
            break
        decay = (at(end - step) - at(end)) / abs(step)
        return end, float(np.exp(at(end)) / decay) if decay > 0 else np.inf
    return end, 0.0


def _edge(inside: Callable[[float], bool], here: float, beyond: float, tolerance: float) -> tuple[float, float]:
    """The last point inside and the first point outside, as close to each other as the tolerance, or doubles, allow."""
    for _ in range(500):
        middle = 0.5 * (here + beyond)
        if abs(beyond - here) <= tolerance or middle in (here, beyond):
            break
        here, beyond = (middle, beyond) if inside(middle) else (here, middle)
    return here, beyond


def _coordinates(family: ExponentialFamily, draws: Array) -> tuple[Function, Function, Function]:
    """A map of the support to the line, its inverse, and the inverse's slope."""
    low = family.lower_limit
    if family.discrete or np.isinf(low):
        return np.asarray, np.asarray, np.ones_like
    high = _upper_limit(family, draws)
    if np.isinf(high):
        return lambda x: np.log(np.maximum(x - low, np.finfo(np.float64).tiny)), lambda t: low + np.exp(t), np.exp
    width = high - low
    return (
        lambda x: special.logit((x - low) / width),
        lambda t: low + width * special.expit(t),
        lambda t: width * special.expit(t) * special.expit(-t),
    )


def _upper_limit(family: ExponentialFamily, draws: Array) -> float:
    """The upper end of the support."""

    def inside(x: float) -> bool:
        return bool(family.in_support(np.array([x])).all())

    largest = 1e100
    return np.inf if inside(largest) else round(_edge(inside, float(draws[0]), largest, tolerance=0)[1], 12)
