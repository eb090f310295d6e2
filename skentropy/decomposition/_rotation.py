"""Rotations of loadings by gradient projection (Jennrich 2001, 2002; Bernaards and Jennrich 2005), and promax."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np

from .._typing import FloatArray

ORTHOGONAL = ("varimax", "quartimax")
OBLIQUE = ("promax", "oblimin", "geomin")

_MAX_STEPS = 5000
_MAX_HALVINGS = 40
# Random starts show which minima can be the lowest long before they are at them, and which is before it is exact.
_ROUGH, _CLOSE, _TOLERANCE = 1e-3, 1e-5, 1e-9
_ROUGH_STEPS = 300
_CONTENDER = 0.01
# Minima that differ by less, as a share, are the same one.
_TIE = 1e-6
_RANDOM_STARTS = 30
# Of a criterion, relative: next to a minimum it tells no longer which of two steps is the better one.
_ROUNDING = 1e-14
_GEOMIN_DELTA = 0.01
_PROMAX_POWER = 4

# Loadings, or a stack of them, to values and gradients.
Criterion = Callable[[FloatArray], tuple[FloatArray, FloatArray]]

# A communality, on the scale of correlations, that is rounding error.
_NOTHING = 1e-20


def varimax(L: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Minus a quarter of the columns' variances of squared loadings (Kaiser 1958), and its gradient."""
    deviation = L**2 - (L**2).mean(axis=-2, keepdims=True)
    return -0.25 * (deviation**2).sum(axis=(-2, -1)), -L * deviation


def quartimax(L: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Minus a quarter of the sum of fourth powers (Neuhaus and Wrigley 1954), and its gradient."""
    return -0.25 * (L**4).sum(axis=(-2, -1)), -(L**3)


def oblimin(L: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Direct oblimin with gamma = 0, that is quartimin (Jennrich and Sampson 1966), and its gradient."""
    others = (L**2).sum(axis=-1, keepdims=True) - L**2
    return 0.25 * (L**2 * others).sum(axis=(-2, -1)), L * others


def geomin(L: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The rows' geometric means of squared loadings plus 0.01 (Yates 1987; Browne 2001), and its gradient."""
    squares = L**2 + _GEOMIN_DELTA
    product = np.exp(np.log(squares).mean(axis=-1, keepdims=True))
    return product.sum(axis=(-2, -1)), 2.0 / L.shape[-1] * L / squares * product


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
    """The lowest minimum from the identity and random starts, always the same ones."""
    criterion, k = CRITERIA[method], A.shape[1]
    geometry: _Geometry = _Orthogonal() if method in ORTHOGONAL else _Oblique()
    random_state = np.random.RandomState(0)
    starts = np.stack([np.eye(k)] + [np.linalg.qr(random_state.normal(size=(k, k)))[0] for _ in range(_RANDOM_STARTS)])
    values, T = _descend(A, criterion, geometry, starts, _ROUGH, _ROUGH_STEPS)
    contenders = T[values <= values.min() + _CONTENDER * abs(values.min())]
    values, T = _descend(A, criterion, geometry, contenders, _CLOSE, _MAX_STEPS)
    # The first of equals, so that rounding does not choose between them.
    first = np.flatnonzero(values <= values.min() + _TIE * abs(values.min()))[:1]
    _, (best,) = _descend(A, criterion, geometry, T[first], _TOLERANCE, _MAX_STEPS)
    return best if method in ORTHOGONAL else np.linalg.inv(best).T


def _transposed(matrices: FloatArray) -> FloatArray:
    return np.swapaxes(matrices, -1, -2)


class _Geometry(ABC):
    """The matrices T among which a rotation is sought, in stacks."""

    @abstractmethod
    def loadings(self, A: FloatArray, T: FloatArray) -> FloatArray:
        """A rotated by T."""

    @abstractmethod
    def direction(self, A: FloatArray, T: FloatArray, L: FloatArray, gradient: FloatArray) -> FloatArray:
        """The gradient in T, projected on the tangent space, from that in the loadings L."""

    @abstractmethod
    def retract(self, T: FloatArray) -> FloatArray:
        """The matrices nearest to T."""


class _Orthogonal(_Geometry):
    """Orthogonal matrices, loadings A T."""

    def loadings(self, A: FloatArray, T: FloatArray) -> FloatArray:
        return A @ T

    def direction(self, A: FloatArray, T: FloatArray, L: FloatArray, gradient: FloatArray) -> FloatArray:
        G = A.T @ gradient
        product = _transposed(T) @ G
        return np.asarray(G - T @ (0.5 * (product + _transposed(product))))

    def retract(self, T: FloatArray) -> FloatArray:
        left, _, right = np.linalg.svd(T)
        return np.asarray(left @ right)


class _Oblique(_Geometry):
    """Factors with unit columns of T as their axes: loadings A inv(T)', correlations T'T."""

    def loadings(self, A: FloatArray, T: FloatArray) -> FloatArray:
        return A @ _transposed(np.linalg.inv(T))

    def direction(self, A: FloatArray, T: FloatArray, L: FloatArray, gradient: FloatArray) -> FloatArray:
        G = -_transposed(_transposed(L) @ gradient @ np.linalg.inv(T))
        return np.asarray(G - T * (T * G).sum(axis=-2, keepdims=True))

    def retract(self, T: FloatArray) -> FloatArray:
        return np.asarray(T / np.linalg.norm(T, axis=-2, keepdims=True))


def _descend(
    A: FloatArray, criterion: Criterion, geometry: _Geometry, starts: FloatArray, tolerance: float, max_steps: int
) -> tuple[FloatArray, FloatArray]:
    """Gradient projection from all starts (S, k, k) at once: the values (S,) and matrices where it ends."""
    T, step = starts.copy(), np.ones(len(starts))
    L = geometry.loadings(A, T)
    values, gradient = criterion(L)
    direction = geometry.direction(A, T, L, gradient)
    left = np.arange(len(T))  # those that are still on their way
    moves, changes = np.zeros_like(T), np.zeros_like(T)
    for _ in range(max_steps):
        slope = (direction[left] ** 2).sum(axis=(1, 2))
        left = left[slope > (tolerance * np.maximum(1.0, np.abs(values[left]))) ** 2]
        if not left.size:
            break
        slope = (direction[left] ** 2).sum(axis=(1, 2))
        step[left] = _long_step(step[left], moves[left], changes[left])
        before, moved = (T.copy(), direction.copy()), np.zeros(len(left), dtype=bool)
        for _ in range(_MAX_HALVINGS):
            tried = left[~moved]
            trial = geometry.retract(T[tried] - step[tried, np.newaxis, np.newaxis] * direction[tried])
            L = geometry.loadings(A, trial)
            new_values, new_gradient = criterion(L)
            rounding = _ROUNDING * np.abs(values[tried])
            lower = new_values <= values[tried] - 1e-4 * step[tried] * slope[~moved] + rounding
            done = tried[lower]
            direction[done] = geometry.direction(A, trial[lower], L[lower], new_gradient[lower])
            T[done], values[done] = trial[lower], new_values[lower]
            step[tried[~lower]] *= 0.5
            moved[np.flatnonzero(~moved)[lower]] = True
            if moved.all():
                break
        left = left[moved]
        moves, changes = T - before[0], direction - before[1]
    return values, T


def _long_step(step: FloatArray, moves: FloatArray, changes: FloatArray) -> FloatArray:
    """The length of a secant step (Barzilai and Borwein 1988); twice the last one where there is no curvature to go by."""
    curvature = (moves * changes).sum(axis=(1, 2))
    secant = np.divide((moves**2).sum(axis=(1, 2)), curvature, out=2.0 * step, where=curvature > 0.0)
    return np.where(curvature > 0.0, np.minimum(secant, 1e3 * step), 2.0 * step)


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
