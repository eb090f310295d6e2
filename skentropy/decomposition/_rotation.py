"""Rotations of loadings by gradient projection (Jennrich 2001, 2002; Bernaards and Jennrich 2005), and promax."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from numbers import Real
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from . import _criteria
from ._criteria import Criterion

ORTHOGONAL = ("varimax", "quartimax", "equamax", "oblimax", "geomin_orthogonal", "bifactor", "target_orthogonal")
OBLIQUE = ("promax", "oblimin", "geomin", "target")

CRITERIA: dict[str, Callable[..., tuple[FloatArray, FloatArray]]] = {
    "varimax": _criteria.varimax,
    "quartimax": _criteria.quartimax,
    "equamax": _criteria.equamax,
    "oblimax": _criteria.oblimax,
    "geomin_orthogonal": _criteria.geomin,
    "bifactor": _criteria.bifactor,
    "target_orthogonal": _criteria.target,
    "oblimin": _criteria.oblimin,
    "geomin": _criteria.geomin,
    "target": _criteria.target,
}
# The parameters of rotations: the rotations that have them, and the allowed values in words and as a test.
_OPTIONS: dict[str, tuple[tuple[str, ...], str, Callable[[Any], bool]]] = {
    "gamma": (("oblimin",), "a number of at most 1", lambda value: isinstance(value, Real) and float(value) <= 1),
    "epsilon": (
        ("geomin", "geomin_orthogonal"),
        "a number above 0",
        lambda value: isinstance(value, Real) and float(value) > 0,
    ),
    "power": (("promax",), "a number above 1", lambda value: isinstance(value, Real) and float(value) > 1),
    "variant": (("promax",), "'psych' or 'factanal'", lambda value: value in ("psych", "factanal")),
    "target": (("target", "target_orthogonal"), "an array of loadings", lambda value: value is not None),
}

_MAX_STEPS = 5000
_MAX_HALVINGS = 40
# Descents from random starts are compared at the first two of these gradients, long before they reach their minima; those
# that may reach the lowest minimum continue to the third. The comparison allows for this share of the values.
_ROUGH, _CLOSE, _TOLERANCE = 1e-3, 1e-5, 1e-9
_ROUGH_STEPS = 300
_CONTENDER = 0.01
# Minima are the same if their values differ by less, as a share.
_TIE = 1e-6
_RANDOM_STARTS = 30
# Relative rounding error of a criterion; closer to a minimum the criterion cannot decide which of two steps is better.
_ROUNDING = 1e-14
_PROMAX_POWER = 4
# A smaller communality, on the scale of correlations, is a rounding error.
_NOTHING = 1e-20
# If the axes of oblique factors have a larger condition number, factors coincide.
_COLLAPSED = 1e4


@dataclass(frozen=True)
class Rotation:
    """A rotation with its parameters.

    Parameters
    ----------
    method : str
        One of ``ORTHOGONAL`` or ``OBLIQUE``.
    kaiser : bool
        Give every feature the same communality while rotating.
    options : mapping
        ``gamma`` of oblimin, ``epsilon`` of geomin, ``power`` and ``variant`` of promax, ``target`` of target rotations.
    """

    method: str
    kaiser: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.options.items():
            methods, words, is_allowed = _OPTIONS.get(name, ((), "", bool))
            if self.method not in methods:
                known = " and ".join(option for option in _OPTIONS if self.method in _OPTIONS[option][0]) or "nothing"
                raise ValueError(f"rotation={self.method!r} has no parameter {name!r}: rotation_params may hold {known}.")
            if not is_allowed(value):
                raise ValueError(f"rotation_params[{name!r}] of rotation={self.method!r} must be {words}, got {value!r}.")
        if self.method in _OPTIONS["target"][0] and "target" not in self.options:
            raise ValueError(
                f"rotation={self.method!r} needs rotation_params={{'target': array of shape (n_features, n_components)}}, "
                "with NaN for loadings that may be anything."
            )

    @property
    def is_oblique(self) -> bool:
        """Whether factors may correlate."""
        return self.method in OBLIQUE

    def check_shape(self, shape: tuple[int, ...]) -> None:
        """Raise ValueError if the rotation does not apply to loadings of shape (n_features, n_components)."""
        if self.method == "bifactor" and shape[1] == 2:
            raise ValueError(
                "rotation='bifactor' needs n_components of at least 3, a general factor and two groups: with one group "
                "every rotation is as good as another."
            )
        if "target" in self.options and self._target.shape != shape:
            raise ValueError(
                f"rotation_params['target'] has shape {self._target.shape}, but the loadings have shape (n_features, "
                f"n_components)={shape}."
            )

    @property
    def _target(self) -> FloatArray:
        return np.asarray(self.options["target"], dtype=np.float64)

    def matrix(self, loadings: FloatArray) -> FloatArray:
        """The matrix M for which ``loadings @ M`` is simple; factors are ordered by the variance they explain.

        The correlations of the rotated factors are ``inv(M' M)``, the identity for orthogonal rotations. Factors of a target
        rotation have the order and signs of the target, and the general factor of a bifactor rotation is the first.
        """
        k = loadings.shape[1]
        self.check_shape(loadings.shape)
        A, criterion = self.problem(loadings, (loadings**2).sum(axis=1))
        if np.linalg.matrix_rank(A) < k or k < 2:
            # Loadings that do not span k dimensions have no unique simple form.
            return np.eye(k)
        M = self._promax(loadings, A) if self.method == "promax" else _best(A, criterion, _GEOMETRIES[self.is_oblique])
        if not np.isfinite(M).all():
            raise ValueError(
                f"rotation={self.method!r} makes factors of these loadings fall together, for which its criterion has no "
                "minimum; choose a lower gamma, zero at most, or another rotation."
            )
        if "target" in self.options:
            return M
        rotated = loadings @ M
        general = int(self.method == "bifactor")
        order = np.argsort(-(rotated[:, general:] ** 2).sum(axis=0), kind="stable") + general
        is_negative = rotated[np.abs(rotated).argmax(axis=0), np.arange(k)] < 0
        return np.where(is_negative, -M, M)[:, [*range(general), *order]]

    def problem(self, loadings: FloatArray, communalities: FloatArray) -> tuple[FloatArray, Criterion]:
        """The loadings that the rotation uses, with ``kaiser`` all of the same communality, and the criterion for them.

        A feature that has nothing in common with the others, such as a constant one, is left out: its loadings are rounding
        errors, which Kaiser's normalisation would scale up to length one.
        """
        common = communalities > _NOTHING
        lengths = np.sqrt(communalities[common])[:, np.newaxis] if self.kaiser else np.ones((int(common.sum()), 1))
        return loadings[common] / lengths, self._criterion(common, lengths)

    def _criterion(self, common: Array, lengths: FloatArray) -> Criterion:
        if self.method == "promax":
            return _criteria.varimax
        if "target" not in self.options:
            return partial(CRITERIA[self.method], **self.options)
        return partial(_criteria.target, wanted=self._target[common] / lengths)

    def _promax(self, loadings: FloatArray, A: FloatArray) -> FloatArray:
        """Hendrickson and White (1964): from varimax loadings V towards V |V|^(power - 1).

        The second step uses the same normalised rows as varimax, like psych's "promax", or the rows without normalisation,
        like ``factanal``.
        """
        T = _best(A, _criteria.varimax, _GEOMETRIES[False])
        V = (loadings if self.options.get("variant", "psych") == "factanal" else A) @ T
        power = self.options.get("power", _PROMAX_POWER)
        U = np.linalg.lstsq(V, V * np.abs(V) ** (power - 1), rcond=None)[0]
        return T @ (U * np.sqrt(np.diag(np.linalg.inv(U.T @ U))))


def _best(A: FloatArray, criterion: Criterion, geometry: _Geometry) -> FloatArray:
    """The rotation at the lowest minimum found from the identity and from random starts, which are always the same.

    It is infinite if axes coincide during the descent.
    """
    k = A.shape[1]
    try:
        best = _lowest(A, criterion, geometry)
    except np.linalg.LinAlgError:
        return np.full((k, k), np.inf)
    return geometry.rotation(best) if np.linalg.cond(best) < _COLLAPSED else np.full((k, k), np.inf)


def _lowest(A: FloatArray, criterion: Criterion, geometry: _Geometry) -> FloatArray:
    k = A.shape[1]
    random_state = np.random.RandomState(0)
    starts = np.stack([np.eye(k)] + [np.linalg.qr(random_state.normal(size=(k, k)))[0] for _ in range(_RANDOM_STARTS)])
    values, T = _descend(A, criterion, geometry, starts, _ROUGH, _ROUGH_STEPS)
    contenders = T[values <= _slightly_above(values.min(), _CONTENDER)]
    values, T = _descend(A, criterion, geometry, contenders, _CLOSE, _MAX_STEPS)
    # Take the first of equal minima, so that rounding errors do not choose.
    first = np.flatnonzero(values <= _slightly_above(values.min(), _TIE))[:1]
    return _descend(A, criterion, geometry, T[first], _TOLERANCE, _MAX_STEPS)[1][0]


def _slightly_above(value: float, share: float) -> float:
    return value + share * abs(value)


def _transposed(matrices: FloatArray) -> FloatArray:
    return np.swapaxes(matrices, -1, -2)


class _Geometry(ABC):
    """The set of matrices T in which a rotation is sought; methods take stacks of them."""

    @abstractmethod
    def loadings(self, A: FloatArray, T: FloatArray) -> FloatArray:
        """A rotated by T."""

    @abstractmethod
    def direction(self, A: FloatArray, T: FloatArray, L: FloatArray, gradient: FloatArray) -> FloatArray:
        """The gradient by T, projected on the tangent space, given the gradient by the loadings L."""

    @abstractmethod
    def retract(self, T: FloatArray) -> FloatArray:
        """The matrices nearest to T."""

    @abstractmethod
    def rotation(self, T: FloatArray) -> FloatArray:
        """The matrix M of one T for which loadings are A M."""


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

    def rotation(self, T: FloatArray) -> FloatArray:
        return T


class _Oblique(_Geometry):
    """Factors with unit columns of T as their axes: loadings A inv(T)', correlations T'T."""

    def loadings(self, A: FloatArray, T: FloatArray) -> FloatArray:
        return A @ _transposed(np.linalg.inv(T))

    def direction(self, A: FloatArray, T: FloatArray, L: FloatArray, gradient: FloatArray) -> FloatArray:
        G = -_transposed(_transposed(L) @ gradient @ np.linalg.inv(T))
        return np.asarray(G - T * (T * G).sum(axis=-2, keepdims=True))

    def retract(self, T: FloatArray) -> FloatArray:
        return np.asarray(T / np.linalg.norm(T, axis=-2, keepdims=True))

    def rotation(self, T: FloatArray) -> FloatArray:
        return np.asarray(np.linalg.inv(T).T)


# Whether factors may correlate.
_GEOMETRIES: dict[bool, _Geometry] = {False: _Orthogonal(), True: _Oblique()}


def _descend(
    A: FloatArray, criterion: Criterion, geometry: _Geometry, starts: FloatArray, tolerance: float, max_steps: int
) -> tuple[FloatArray, FloatArray]:
    """Gradient projection from all starts (S, k, k) at once; the values (S,) and the matrices at its ends."""
    T, step = starts.copy(), np.ones(len(starts))
    L = geometry.loadings(A, T)
    values, gradient = criterion(L)
    direction = geometry.direction(A, T, L, gradient)
    left = np.arange(len(T))  # those that have not converged
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
    """The length of a secant step (Barzilai and Borwein 1988); twice the last one if the curvature is not positive."""
    curvature = (moves * changes).sum(axis=(1, 2))
    secant = np.divide((moves**2).sum(axis=(1, 2)), curvature, out=step.copy(), where=curvature > 0.0)
    return np.where(curvature > 0.0, np.minimum(secant, 1e3 * step), 2.0 * step)


def factor_correlation(M: FloatArray) -> FloatArray:
    """Correlations of the factors after a rotation by M."""
    correlation = np.linalg.inv(M.T @ M)
    scale = np.sqrt(np.diag(correlation))
    return correlation / scale / scale[:, np.newaxis]
