"""Shapes of beta and Dirichlet distributions; statistics, or parts, are on the first axis."""

from __future__ import annotations

import numpy as np
from scipy import special

from .._typing import Array
from ._special import log_minus_digamma, trigamma

# Concentrations, the sums of shapes, are held below this: shares then have standard deviations of 5e-5 at most, and the
# entropies of still larger ones lose the digits that the identity is checked to.
LARGEST_CONCENTRATION = 1e8
# Smaller shapes are lost in eta = shape - 1. They arise only from a single value next to 0 or 1.
SMALLEST_SHAPE = 1e-15
# Number of Newton steps for shapes, the longest, as a change of logarithms, and the change that ends them; the remaining
# error is its square.
_NEWTON_STEPS = 40
_LONGEST_STEP = 2.0
_SETTLED = 1e-8


def others(shapes: Array) -> Array:
    """Sums of all shapes but one, without a difference that would cancel."""
    before, after = np.zeros_like(shapes), np.zeros_like(shapes)
    before[1:] = np.cumsum(shapes[:-1], axis=0)
    after[:-1] = np.cumsum(shapes[:0:-1], axis=0)[::-1]
    return before + after


def mean_logarithms(shapes: Array) -> Array:
    r""":math:`E[\log x_d] = \psi(\alpha_d) - \psi(\sum_e \alpha_e)`, to nearly full precision for small and large shapes."""
    rest = others(shapes)
    far = log_minus_digamma(shapes + rest) - log_minus_digamma(shapes) - np.log1p(rest / shapes)
    near = rest < 1e-3 * shapes
    if np.any(near):
        # The sum would lose the digits of the rest. The relative error of Gauss' rule of two points is (rest / shape)^4 /
        # 36.
        middle, reach = shapes + 0.5 * rest, rest * np.sqrt(1.0 / 12.0)
        return np.where(near, -0.5 * rest * (trigamma(middle - reach) + trigamma(middle + reach)), far)
    return far


def _start(mean: Array) -> Array:
    """Approximate shapes, exact where all are small and where all are large."""
    # digamma(a) = -1 / a for small shapes: they are 1 / (1 / s - mean), with the s for which that is their sum.
    n_free = len(mean) - 1.0
    s = n_free / -mean.mean(axis=0)
    for _ in range(6):  # from below, on a convex function
        q = 1.0 / (1.0 - s * mean)
        s = s + (q.sum(axis=0) - 1.0) / -(mean * q * q).sum(axis=0)
    # For large ones the sum of exp(E[log x]) is 1 - (D - 1) / (2 s).
    geometric = np.exp(mean)
    deficit = -np.expm1(mean[0]) - geometric[1:].sum(axis=0)
    large = geometric / np.maximum(2.0 * deficit / n_free, 1.0 / LARGEST_CONCENTRATION)
    return np.maximum(large, s / (1.0 - s * mean))


def shapes_of_mean_logarithms(mean: Array) -> Array:
    r"""Solve :math:`\psi(\alpha_d) - \psi(\sum_e \alpha_e) = E[\log x_d]`, elementwise on the trailing axes.

    Newton's method with multiplicative steps, whose Hessian is a diagonal plus a rank-one matrix (Minka 2000,
    "Estimating a Dirichlet distribution"); about ten steps for shapes above 1e-4, and more for still smaller ones.
    """
    shapes = np.maximum(_start(mean), SMALLEST_SHAPE)
    for _ in range(_NEWTON_STEPS):
        curvature = trigamma(shapes)
        residual = (mean - mean_logarithms(shapes)) / curvature
        slope = trigamma(shapes.sum(axis=0))
        remainder = 1.0 - slope * (1.0 / curvature).sum(axis=0)  # positive, (D - 1) / (2 s) for large shapes
        common = slope * residual.sum(axis=0) / np.maximum(remainder, 1e-16)
        step = (residual + common / curvature) / shapes
        shapes = np.maximum(shapes * np.exp(np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)), SMALLEST_SHAPE)
        if (np.abs(step) < _SETTLED).all():
            break
    beyond = shapes.sum(axis=0) > LARGEST_CONCENTRATION
    shapes = np.where(beyond, LARGEST_CONCENTRATION * special.softmax(mean, axis=0), shapes)
    return np.maximum(shapes, SMALLEST_SHAPE)
