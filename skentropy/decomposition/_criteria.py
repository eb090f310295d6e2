"""Criteria that rotations minimise, and their gradients, for a matrix of loadings or a stack of matrices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._typing import FloatArray

# A function from loadings, or a stack of them, to values and gradients.
Criterion = Callable[[FloatArray], tuple[FloatArray, FloatArray]]


def varimax(L: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Minus a quarter of the columns' variances of squared loadings (Kaiser 1958), and its gradient."""
    deviation = L**2 - (L**2).mean(axis=-2, keepdims=True)
    return -0.25 * (deviation**2).sum(axis=(-2, -1)), -L * deviation


def quartimax(L: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Minus a quarter of the sum of fourth powers (Neuhaus and Wrigley 1954), and its gradient."""
    return -0.25 * (L**4).sum(axis=(-2, -1)), -(L**3)


def equamax(L: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Complexity of rows and of columns in the proportion of Saunders (1962), and its gradient.

    It is the criterion of Crawford and Ferguson (1970) with kappa = k / 2p for p rows and k columns.
    """
    kappa = L.shape[-1] / (2.0 * L.shape[-2])
    squares = L**2
    complexity = (1.0 - kappa) * (squares.sum(axis=-1, keepdims=True) - squares)
    complexity += kappa * (squares.sum(axis=-2, keepdims=True) - squares)
    return 0.25 * (squares * complexity).sum(axis=(-2, -1)), L * complexity


def oblimax(L: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Minus the log of the loadings' kurtosis (Saunders 1961), and its gradient."""
    fourth, second = ((L**power).sum(axis=(-2, -1), keepdims=True) for power in (4, 2))
    value = 2.0 * np.log(second) - np.log(fourth)
    return value[..., 0, 0], 4.0 * L / second - 4.0 * L**3 / fourth


def oblimin(L: FloatArray, gamma: float = 0.0) -> tuple[FloatArray, FloatArray]:
    """Direct oblimin (Jennrich and Sampson 1966), quartimin where gamma = 0, and its gradient."""
    others = (L**2).sum(axis=-1, keepdims=True) - L**2
    others -= gamma * others.mean(axis=-2, keepdims=True)
    return 0.25 * (L**2 * others).sum(axis=(-2, -1)), L * others


def geomin(L: FloatArray, epsilon: float = 0.01) -> tuple[FloatArray, FloatArray]:
    """The rows' geometric means of squared loadings plus epsilon (Yates 1987; Browne 2001), and its gradient."""
    squares = L**2 + epsilon
    product = np.exp(np.log(squares).mean(axis=-1, keepdims=True))
    return product.sum(axis=(-2, -1)), 2.0 / L.shape[-1] * L / squares * product


def bifactor(L: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Quartimin of all columns except the first, the bi-quartimin of Jennrich and Bentler (2011), and its gradient."""
    value, of_groups = oblimin(L[..., 1:])
    return value, np.concatenate([np.zeros_like(L[..., :1]), of_groups], axis=-1)


def target(L: FloatArray, wanted: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Squared distance to the target's loadings, where these are not NaN (Browne 1972), and its gradient."""
    distance = np.where(np.isnan(wanted), 0.0, L - wanted)
    return (distance**2).sum(axis=(-2, -1)), 2.0 * distance
