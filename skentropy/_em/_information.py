"""The observed information of models with a gradient: a way up, a maximum or a saddle point at its end, derivatives.

All coordinates z are such that the complete data's information of one row is the unit matrix. In them the observed
information is one minus the Jacobian of the EM map, and the gradient is as well scaled as an EM step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.optimize import minimize

from .._typing import FloatArray
from ._model import End, Evaluate, State

# A vector lies in the span of the basis if less than this share of it, relative to the operator, is orthogonal to the basis.
_EXHAUSTED = 1e-10
# A direction is tried if its eigenvalue of the EM map exceeds the first number. If that gains nothing, the fit counts as
# ended at a saddle point if the eigenvalue exceeds the second number.
TRIED = 1.0 + 1e-4
_SADDLE = 1.0 + 1e-3
# Lengths of the steps away from a saddle point, in units in which the complete data's information of one row is one.
_LEAVES = (0.03, 0.1, 0.3, 1.0)


class Neighbourhood(Protocol):
    """Parameters around a state, in coordinates z."""

    def parameters(self, z: FloatArray) -> Any | None:
        """The parameters at z, where zero stands for those of the state; None outside the domain."""

    def gradient(self, state: State) -> FloatArray:
        """Gradient of the objective in the coordinates z, at a state nearby."""

    def identified(self, z: FloatArray) -> FloatArray:
        """The part of z along which the objective changes."""


def em_eigenpair(
    around: Neighbourhood,
    state: State,
    evaluate: Evaluate,
    n_parameters: int,
    *,
    n_steps: int = 8,
    difference: float = 1e-5,
    central: bool = False,
) -> tuple[float, FloatArray]:
    """The largest eigenvalue of the EM map that a few Lanczos steps find, and its direction; 0 where nothing is identified.

    The EM map's Jacobian is one plus the derivative of the gradient. It is computed from differences of the gradient over a
    length ``difference``, to both sides if ``central``.
    """

    def gradient(z: FloatArray) -> FloatArray | None:
        moved = around.parameters(z)
        return None if moved is None else around.gradient(evaluate(moved))

    here = None if central else around.gradient(state)
    step = 2.0 * difference if central else difference

    def em_map(z: FloatArray) -> FloatArray:
        z = around.identified(z)
        ahead, behind = gradient(difference * z), gradient(-difference * z) if here is None else here
        if ahead is None or behind is None:
            return np.zeros_like(z)
        return around.identified(z + (ahead - behind) / step)

    start = around.identified(np.random.RandomState(0).normal(size=n_parameters))
    if not start.any():
        return 0.0, start
    largest, z = largest_eigenpair(em_map, start, n_steps)
    return largest, around.identified(z)


def leave_saddle(
    around: Neighbourhood,
    state: State,
    evaluate: Evaluate,
    eigenpair: tuple[float, FloatArray],
    *,
    least_gain: float,
    tried: float = TRIED,
) -> End:
    """The given state if it is a maximum; else the best of a few states on both sides along the direction that EM stretches.

    ``eigenpair`` is the largest eigenvalue of the EM map and its unit vector. A step away is accepted only if it gains
    ``least_gain`` nats per sample, also over the steps tried before it: the two sides are often equivalent.
    """
    largest, z = eigenpair
    if largest < tried:
        return End(state, goes_on=False)
    best = state
    for length in np.outer(_LEAVES, [1.0, -1.0]).ravel():
        parameters = around.parameters(length * z)
        if parameters is not None:
            trial = evaluate(parameters)
            best = trial if trial.objective > best.objective + least_gain else best
    return End(best, goes_on=best is not state, saddle=best is state and largest > _SADDLE)


def climb(
    around: Neighbourhood,
    evaluate: Evaluate,
    n_parameters: int,
    options: Mapping[str, float],
    *,
    bounds: Sequence[tuple[float | None, float | None]] | None = None,
    callback: Callable[..., None] | None = None,
) -> State:
    """The state to which L-BFGS leads from z = 0; options, bounds and callback are those of ``scipy.optimize.minimize``."""

    def loss(z: FloatArray) -> tuple[float, FloatArray]:
        state = evaluate(around.parameters(z))
        return -state.objective, -around.gradient(state)

    end = minimize(
        loss,
        np.zeros(n_parameters),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        callback=callback,
        options={"ftol": 0.0, **options},
    )
    return evaluate(around.parameters(end.x))


def derivative(along: Callable[[float], FloatArray], step: float) -> FloatArray:
    """Derivative at zero of a function of one variable, by a fourth-order central difference."""
    near, far = along(step) - along(-step), along(2.0 * step) - along(-2.0 * step)
    return (8.0 * near - far) / (12.0 * step)


def largest_eigenpair(
    apply: Callable[[FloatArray], FloatArray], start: FloatArray, n_steps: int = 8
) -> tuple[float, FloatArray]:
    """The largest Ritz value of a symmetric operator and its unit vector, by Lanczos with full orthogonalisation.

    Parameters
    ----------
    apply : callable
        The operator: a vector -> a vector of the same size. It is called once a step.
    start : ndarray of shape (n,)
        Where the Krylov space starts, not zero.
    n_steps : int, default=8
        Largest number of steps.
    """
    basis = [start / np.linalg.norm(start)]
    diagonal: list[float] = []
    off_diagonal: list[float] = []
    for _ in range(min(n_steps, start.size)):
        image = apply(basis[-1])
        diagonal.append(float(image @ basis[-1]))
        span = np.stack(basis)
        for _ in range(2):
            image = image - span.T @ (span @ image)
        off_diagonal.append(float(np.linalg.norm(image)))
        if off_diagonal[-1] <= _EXHAUSTED * np.abs(diagonal).max():
            break
        basis.append(image / off_diagonal[-1])
    values, vectors = eigh_tridiagonal(diagonal, off_diagonal[: len(diagonal) - 1])
    return float(values[-1]), vectors[:, -1] @ np.stack(basis[: len(diagonal)])
