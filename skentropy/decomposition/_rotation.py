"""Rotations of loadings by gradient projection (Jennrich 2001, 2002; Bernaards and Jennrich 2005), and promax."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .._typing import FloatArray

ORTHOGONAL = ("varimax", "quartimax")
OBLIQUE = ("promax", "oblimin", "geomin")

_MAX_STEPS = 5000
# Random starts show which minimum is the lowest long before they are at it.
_ROUGH, _ROUGH_STEPS, _FINE, _TOLERANCE = 1e-3, 100, 1e-5, 1e-9
# Geomin has many minima, of which Mplus looks for the lowest from thirty starts as well.
_RANDOM_STARTS, _GEOMIN_STARTS = 5, 29
_MOST_REFINED = 4
_GEOMIN_DELTA = 0.01
_PROMAX_POWER = 4

Criterion = Callable[[FloatArray], tuple[float, FloatArray]]

# A communality, on the scale of correlations, that is rounding error.
_NOTHING = 1e-20


def varimax(L: FloatArray) -> tuple[float, FloatArray]:
    """Minus a quarter of the columns' variances of squared loadings (Kaiser 1958), and its gradient."""
    deviation = L**2 - (L**2).mean(axis=0)
    return -0.25 * float((deviation**2).sum()), -L * deviation


def quartimax(L: FloatArray) -> tuple[float, FloatArray]:
    """Minus a quarter of the sum of fourth powers (Neuhaus and Wrigley 1954), and its gradient."""
    return -0.25 * float((L**4).sum()), -(L**3)


def oblimin(L: FloatArray) -> tuple[float, FloatArray]:
    """Direct oblimin with gamma = 0, that is quartimin (Jennrich and Sampson 1966), and its gradient."""
    others = (L**2).sum(axis=1, keepdims=True) - L**2
    return 0.25 * float((L**2 * others).sum()), L * others


def geomin(L: FloatArray) -> tuple[float, FloatArray]:
    """The rows' geometric means of squared loadings plus 0.01 (Yates 1987; Browne 2001), and its gradient."""
    squares = L**2 + _GEOMIN_DELTA
    product = np.exp(np.log(squares).mean(axis=1, keepdims=True))
    return float(product.sum()), 2.0 / L.shape[1] * L / squares * product


CRITERIA: dict[str, Criterion] = {"varimax": varimax, "quartimax": quartimax, "oblimin": oblimin, "geomin": geomin}


def rotation_matrix(loadings: FloatArray, method: str, *, kaiser: bool) -> FloatArray:
    """The matrix M for which ``loadings @ M`` is simple; factors are ordered by the variance they explain.

    The rotated factors' correlations are ``inv(M' M)``: the identity for orthogonal rotations.

    Parameters
    ----------
    loadings : ndarray of shape (n_features, n_components)
    method : {"varimax", "quartimax", "promax", "oblimin", "geomin"}
    kaiser : bool
        Give every feature the same communality while rotating.
    """
    k = loadings.shape[1]
    A = loadings_to_rotate(loadings, (loadings**2).sum(axis=1), kaiser=kaiser)
    if np.linalg.matrix_rank(A) < k or k < 2:
        # Loadings that do not span k dimensions have no unique simple form.
        return np.eye(k)
    M = _promax(A) if method == "promax" else _best(A, method)
    rotated = loadings @ M
    order = np.argsort(-(rotated**2).sum(axis=0), kind="stable")
    signs = np.where(rotated[np.abs(rotated).argmax(axis=0), np.arange(k)] < 0, -1.0, 1.0)
    return (M * signs)[:, order]


def loadings_to_rotate(loadings: FloatArray, communalities: FloatArray, *, kaiser: bool) -> FloatArray:
    """The features that a rotation looks at, with ``kaiser`` all with the same communality.

    A feature that has nothing in common with the others, as a constant one, has no say: its loadings are rounding errors,
    which Kaiser's normalisation would lengthen to one.
    """
    common = communalities > _NOTHING
    return loadings[common] / np.sqrt(communalities[common])[:, np.newaxis] if kaiser else loadings[common]


def _best(A: FloatArray, method: str) -> FloatArray:
    """The lowest minimum from the identity and some random starts, always the same ones."""
    criterion, k = CRITERIA[method], A.shape[1]
    random_state = np.random.RandomState(0)
    n_random = _GEOMIN_STARTS if method == "geomin" else _RANDOM_STARTS
    starts = [np.eye(k)] + [np.linalg.qr(random_state.normal(size=(k, k)))[0] for _ in range(n_random)]
    project = _orthogonal if method in ORTHOGONAL else _oblique
    refined: list[tuple[float, FloatArray]] = []
    last = 0.0
    for value, T in sorted(
        (project(A, criterion, start, _ROUGH, _ROUGH_STEPS) for start in starts), key=lambda found: found[0]
    ):
        if not refined or (value > last + _ROUGH * abs(last) and len(refined) < _MOST_REFINED):
            refined.append(project(A, criterion, T, _FINE))
            last = value
    # The first of equals, so that rounding does not choose between them.
    lowest = min(value for value, _ in refined)
    T = next(T for value, T in refined if value <= lowest + 1e-6 * abs(lowest))
    _, T = project(A, criterion, T, _TOLERANCE)
    return T if method in ORTHOGONAL else np.linalg.inv(T).T


def _orthogonal(
    A: FloatArray, criterion: Criterion, T: FloatArray, tolerance: float, max_steps: int = _MAX_STEPS
) -> tuple[float, FloatArray]:
    value, gradient = criterion(A @ T)
    step, last = 1.0, None
    for _ in range(max_steps):
        G = A.T @ gradient
        symmetric = T.T @ G
        direction = G - T @ (0.5 * (symmetric + symmetric.T))
        slope = float((direction**2).sum())
        if slope <= (tolerance * max(1.0, abs(value))) ** 2:
            break
        step = _long_step(step, T, direction, last)
        last = T, direction
        for _ in range(40):
            left, _, right = np.linalg.svd(T - step * direction)
            trial = left @ right
            new_value, new_gradient = criterion(A @ trial)
            if new_value <= value - 1e-4 * step * slope:
                break
            step *= 0.5
        else:
            break
        T, value, gradient = trial, new_value, new_gradient
    return value, T


def _oblique(
    A: FloatArray, criterion: Criterion, T: FloatArray, tolerance: float, max_steps: int = _MAX_STEPS
) -> tuple[float, FloatArray]:
    """Factors with unit columns of T as their axes: loadings A inv(T)', correlations T'T."""
    inverse = np.linalg.inv(T)
    L = A @ inverse.T
    value, gradient = criterion(L)
    step, last = 1.0, None
    for _ in range(max_steps):
        G = -(L.T @ gradient @ inverse).T
        direction = G - T * (T * G).sum(axis=0)
        slope = float((direction**2).sum())
        if slope <= (tolerance * max(1.0, abs(value))) ** 2:
            break
        step = _long_step(step, T, direction, last)
        last = T, direction
        for _ in range(40):
            trial = T - step * direction
            trial /= np.linalg.norm(trial, axis=0)
            inverse = np.linalg.inv(trial)
            L = A @ inverse.T
            new_value, new_gradient = criterion(L)
            if new_value <= value - 1e-4 * step * slope:
                break
            step *= 0.5
        else:
            break
        T, value, gradient = trial, new_value, new_gradient
    return value, T


def _long_step(step: float, T: FloatArray, direction: FloatArray, last: tuple[FloatArray, FloatArray] | None) -> float:
    """The length of a secant step (Barzilai and Borwein 1988); twice the last one where there is none."""
    if last is not None:
        change = float(((T - last[0]) * (direction - last[1])).sum())
        if change > 0.0:
            return min(float(((T - last[0]) ** 2).sum()) / change, 1e3 * step)
    return 2.0 * step


def _promax(A: FloatArray) -> FloatArray:
    """Hendrickson and White (1964): towards the fourth powers of the varimax loadings."""
    T = _best(A, "varimax")
    V = A @ T
    U = np.linalg.lstsq(V, V * np.abs(V) ** (_PROMAX_POWER - 1), rcond=None)[0]
    return T @ (U * np.sqrt(np.diag(np.linalg.inv(U.T @ U))))


def factor_correlation(M: FloatArray) -> FloatArray:
    """Correlations of the factors after a rotation by M."""
    correlation = np.linalg.inv(M.T @ M)
    scale = np.sqrt(np.diag(correlation))
    return correlation / scale / scale[:, np.newaxis]
