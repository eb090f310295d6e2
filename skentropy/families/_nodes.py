"""Sums and integrals over the support of a family that is known by its methods alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

from .._typing import Array
from ._base import ExponentialFamily

# Densities of exp(-100) of the largest count for nothing, also in the second moment.
_NEGLIGIBLE = 100.0
_N_NODES = 8000

Function = Callable[[Array], Array]


def nodes(family: ExponentialFamily, eta: Array, draws: Array, exposure: float = 1.0) -> tuple[Array, Array, float]:
    """Points in the support, what each counts for, and the probability of values too close to its end for doubles.

    For densities this is the trapezoidal rule in x, log x or the log-odds of x, whichever maps the support to the whole
    line: there it converges exponentially. The range is that of the draws and, from there on, as far as the density is not
    negligible.
    """
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
        low, high, step = np.floor(low), np.ceil(high), np.ceil(step + 4.0)
    negligible = float(log_density(line[:1000]).max()) - _NEGLIGIBLE
    # Counts go on in whole steps; where they end within one, the last of them are in it.
    smallest = step if family.discrete else 1e-3 * step
    low, lost_low = _end(log_density, low, -step, smallest, negligible)
    high, lost_high = _end(log_density, high, step, smallest, negligible)
    if family.discrete:
        t, spacing, lost = np.arange(low - step, high + step + 1.0), 1.0, 0.0
    else:
        t, spacing = np.linspace(low, high, _N_NODES, retstep=True)
        lost = lost_low + lost_high
    x = from_line(t)
    inside = family.in_support(x, exposure)
    return x[inside], spacing * slope(t[inside]), lost


def _end(log_density: Function, end: float, step: float, smallest: float, negligible: float) -> tuple[float, float]:
    """Go outwards while the density is not negligible; where it ends before, say how much its tail would hold."""
    inwards = -step
    for _ in range(1000):
        inner, here, beyond = log_density(np.array([end + inwards, end, end + step]))
        if not here > negligible:
            break
        if beyond > -np.inf:
            end += step
        elif abs(step) > smallest:
            step *= 0.5
        else:
            decay = max((inner - here) / abs(inwards), 1e-3)
            return end, float(np.exp(here) / decay)
    return end, 0.0


def _coordinates(family: ExponentialFamily, draws: Array) -> tuple[Function, Function, Function]:
    """Map of the support to the line, its inverse, and the inverse's slope."""
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
    """Where the support ends, by doubling and bisection."""
    inside = float(draws.max())
    outside = inside + 1.0 + abs(inside)
    while family.in_support(np.array([outside])).all():
        if outside > 1e100:
            return np.inf
        inside, outside = outside, 2.0 * outside + 1.0
    for _ in range(100):
        middle = 0.5 * (inside + outside)
        inside, outside = (middle, outside) if family.in_support(np.array([middle])).all() else (inside, middle)
    return round(outside, 12)
