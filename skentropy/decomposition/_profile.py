"""Factor analysis by its profile likelihood over log psi (Lawley and Maxwell 1971, chapter 4; Joreskog 1967)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import linalg
from scipy.optimize import OptimizeResult, minimize
from sklearn.utils import check_random_state

from .._em import largest_eigenpair
from .._linalg import LOG_2PI
from .._typing import Array, FloatArray
from ._curvature import curves_upwards, expected_information
from ._spectrum import ACCURACY, Covariance, MatrixCovariance, Scaled, Spectrum

# Up to this many features the last steps are Newton's, from a full decomposition.
_NEWTON_FEATURES = 300
# A falling uniqueness below this share is tried at the floor.
_LOW = 0.05
# A log psi this close to the floor is tried there whatever its curvature, which says little so far down.
_NEAR = 7.0
# A log psi as close to the floor that would rise is lifted by the best of these.
_LIFTS = (4.0, 8.0, 12.0)
# Curvature is examined only where the gradient is smaller than the first number. An end where F curves downwards in log psi
# by more than the second number is a saddle point. The others are the lengths of differences, and of steps away from it.
_STATIONARY = 1e-4
_UPWARD = 1e-6
_DIFFERENCE = 1e-5
_LEAVES = (0.03, 0.1, 0.3, 1.0)
_MOST_SADDLES = 5
# Newton's method ends after this many consecutive steps that are within the tolerance and lower F by less than _IDLE. Near a
# maximum there are few such steps, since each squares the distance; next to a floor they can go on for ever.
_MOST_IDLE, _IDLE = 5, 1e-11
# A low uniqueness falls fast if its step in log psi is longer.
_STEEP = 0.3
# Steps by the expected information are no longer in log psi than the first number, and use no less information than the
# second. They continue as long as each multiplies the gradient by at most the third.
_LONGEST_STEP, _LEAST_INFORMATION, _FAST = 1.0, 1e-2, 0.3
# Eigenpairs may have relative errors of the first number times the gradient, but no larger ones than the second number.
_SHARE_OF_GRADIENT, _ROUGH = 1e-4, 1e-4
# A uniqueness counts as falling if its gradient is more than this share of its expected information.
_FLAT = 0.1
# Rounding errors of the gradient, relative to the largest eigenvalue.
_ROUNDING = 1.5e-14
# Searches start no lower than the first number for regular correlation matrices, and the second for singular ones.
_LEAST_START, _LEAST_START_SINGULAR = 1e-3, 1e-2
# Random starts are between these.
_RANDOM_UNIQUENESSES = (0.02, 0.95)
# A correlation matrix whose Cholesky pivots are below this is treated as singular.
_LEAST_PIVOT = 1e-9


@dataclass(frozen=True)
class ProfileFit:
    """Uniquenesses and loadings on the scale of the given covariance, and how the search ended.

    ``gradient`` is the largest entry of the projected gradient of the mean log-likelihood with respect to log psi;
    ``converged`` says that it is below the tolerance, or below its own rounding error.
    """

    noise: FloatArray
    loadings: FloatArray
    log_likelihood: float
    gradient: float
    converged: bool
    history: tuple[float, ...]
    saddle: bool = False


class Profile:
    """Minus twice the mean log-likelihood of a correlation matrix R, with optimal loadings, as a function of log psi.

    With the k leading eigenpairs theta, u of psi^-1/2 R psi^-1/2 the loadings are psi^1/2 u (theta - 1)^1/2, and
    ``F = d log 2 pi + sum_i (log psi_i + R_ii / psi_i) + sum_j (log theta_j + 1 - theta_j)`` over those theta_j > 1.
    The gradient in psi is that of F with the loadings held fixed.
    """

    def __init__(self, correlation: Covariance, k: int, floor: float, start: Spectrum | None = None) -> None:
        self.correlation, self.k = correlation, k
        self.lower = float(np.log(floor))
        self.history: list[float] = []
        self.saddle = False
        self._start = start
        self._accuracy = ACCURACY
        self._last: tuple[FloatArray, float, FloatArray, Spectrum] | None = None
        self._inverse: FloatArray | None = None
        if isinstance(correlation, MatrixCovariance) and correlation.n_features <= _NEWTON_FEATURES:
            self._inverse, self._log_det = inverse_and_log_det(correlation.matrix)

    @cached_property
    def _factor(self) -> FloatArray:
        assert isinstance(self.correlation, MatrixCovariance)
        return self.correlation.factor()

    def spectrum(self, x: FloatArray) -> Spectrum:
        """The leading eigenpairs of psi^-1/2 R psi^-1/2."""
        scale = np.exp(-0.5 * x)
        large = isinstance(self.correlation, MatrixCovariance) and len(x) > _NEWTON_FEATURES
        scaled = Scaled(self.correlation, scale) if large else self.correlation.scaled(scale)
        spectrum = scaled.leading(self.k, self._start, self._accuracy)
        if spectrum.vectors.size:
            self._start = spectrum
        return spectrum

    def value_and_gradient(self, x: FloatArray) -> tuple[float, FloatArray]:
        """F and its gradient."""
        if self._inverse is not None:
            return self._from_all(*self._decompose(x), x)
        return self._at(x)[:2]

    def _at(self, x: FloatArray) -> tuple[float, FloatArray, Spectrum]:
        """F, its gradient and the leading eigenpairs; the values at the last x are kept."""
        if self._last is None or not np.array_equal(self._last[0], x):
            spectrum = self.spectrum(x)
            excess = np.maximum(spectrum.values, 1.0) - 1.0
            ratio = self.correlation.variances * np.exp(-x)
            value = len(x) * LOG_2PI + float((x + ratio).sum() + (np.log1p(excess) - excess).sum())
            self._last = x.copy(), value, 1.0 - ratio + spectrum.vectors**2 @ excess, spectrum
        return self._last[1:]

    def _decompose(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """All eigenpairs of psi^-1/2 R psi^-1/2, from the inverse of R where there is one.

        A uniqueness near zero makes one eigenvalue huge, and the absolute error of all others as large as that of this one.
        In the inverse this eigenvalue is the smallest, and does no harm.
        """
        if self._inverse is not None:
            scale = np.exp(0.5 * x)
            reciprocal, U = np.linalg.eigh(self._inverse * scale * scale[:, np.newaxis])
            return 1.0 / np.maximum(reciprocal, np.finfo(np.float64).tiny), U
        assert isinstance(self.correlation, MatrixCovariance)
        if x.min() < np.log(_LOW):  # the singular values of a factor have twice the digits of their squares
            _, sigma, Vt = np.linalg.svd(self._factor * np.exp(-0.5 * x))
            return sigma**2, Vt.T
        scale = np.exp(-0.5 * x)
        theta, U = np.linalg.eigh(self.correlation.matrix * scale * scale[:, np.newaxis])
        return theta[::-1], U[:, ::-1]

    def _from_all(self, theta: FloatArray, U: FloatArray, x: FloatArray) -> tuple[float, FloatArray]:
        """F = d log 2 pi + log det R + k + sum (theta_j - log theta_j) over eigenvalues without a factor.

        Unlike in the form above, no large numbers cancel in it or its gradient where a uniqueness is near zero.
        """
        k = int((theta[: self.k] > 1.0).sum())
        head, tail = theta[:k], theta[k:]
        # log det R minus the sum of log theta_j: the large eigenvalues give it, or with an inverse the small ones.
        value = float(x.sum() + np.log(head).sum() if self._inverse is None else self._log_det - np.log(tail).sum())
        value += len(x) * LOG_2PI + k + float(tail.sum())
        return value, U[:, k:] ** 2 @ (1.0 - tail)

    def hessian(self, x: FloatArray) -> tuple[float, FloatArray, FloatArray]:
        """F, its gradient and its exact Hessian, from all eigenpairs."""
        theta, U = self._decompose(x)
        k = int((theta[: self.k] > 1.0).sum())
        excess = theta[:k] - 1.0
        ratio = self.correlation.variances * np.exp(-x)
        value, gradient = self._from_all(theta, U, x)
        head, tail = U[:, :k], U[:, k:]
        hessian = np.diag(ratio) - (head @ head.T) * ((head * theta[:k]) @ head.T)
        for j in range(k):
            coefficients = excess[j] * (theta[j] + theta[k:]) / np.maximum(theta[j] - theta[k:], 1e-12)
            hessian -= np.outer(head[:, j], head[:, j]) * ((tail * coefficients) @ tail.T)
        return value, gradient, hessian

    def projected(self, x: FloatArray, gradient: FloatArray) -> FloatArray:
        """The gradient of the mean log-likelihood, without the entries that point out of the box."""
        outward = ((x <= self.lower + 1e-7) & (gradient > 0)) | ((x >= 0.0) & (gradient < 0))
        return 0.5 * np.where(outward, 0.0, gradient)

    def maximize(self, psi: FloatArray, *, gtol: float, max_iter: int) -> ProfileFit:
        """Maximise from starting uniquenesses, as shares of the variances, in at most ``max_iter`` steps of any kind."""
        x = np.maximum(np.log(psi), self.lower)
        newton = isinstance(self.correlation, MatrixCovariance) and len(x) <= _NEWTON_FEATURES
        if not newton:
            x = self._by_expected_information(x, gtol, max_iter)
        x = self._quasi_newton(x, max(gtol, 1e-4) if newton else gtol, max_iter)
        x = self._newton(x, gtol, max_iter) if newton else self._try_floor(x, gtol, max_iter)
        for _ in range(_MOST_SADDLES):
            away = self._lift(x, *self.value_and_gradient(x))
            if away is None:
                away = self._leave_saddle(x, exact=newton)
            if away is None or len(self.history) >= max_iter:
                break
            x = self._newton(away, gtol, max_iter) if newton else self._quasi_newton(away, gtol, max_iter)
        if newton:
            theta, U = self._decompose(x)
            value, gradient = self._from_all(theta, U, x)
            theta, U = theta[: self.k], U[:, : self.k]
        else:
            value, gradient, spectrum = self._at(x)
            theta, U = spectrum.values, spectrum.vectors
        loadings = np.exp(0.5 * x)[:, np.newaxis] * U * np.sqrt(np.maximum(theta, 1.0) - 1.0)
        steepest = float(np.abs(self.projected(x, gradient)).max())
        rounding = _ROUNDING if newton or not theta.size else _ROUNDING * float(theta[0])
        return ProfileFit(
            np.exp(x),
            loadings,
            -0.5 * value,
            steepest,
            steepest <= max(gtol, rounding),
            tuple(np.maximum.accumulate(self.history or [-0.5 * value])),
            self.saddle,
        )

    def _by_expected_information(self, x: FloatArray, gtol: float, max_iter: int) -> FloatArray:
        """Newton's method with the diagonal of the expected information, as long as that makes the gradient fall fast.

        The diagonal entries are (1 - h_i)^2 with h_i = sum_j u_ij^2 over the factors. If there are many features, the other
        entries, squares of sum_j u_ij u_kj, are small in comparison (Lawley and Maxwell 1971, section 4.3).
        """
        self._accuracy = _ROUGH
        value, gradient, spectrum = self._at(x)
        while len(self.history) < max_iter:
            steepest = np.abs(self.projected(x, gradient)).max()
            if steepest <= gtol:
                break
            information = expected_information(spectrum)
            step = np.clip(gradient / np.maximum(information, _LEAST_INFORMATION), -_LONGEST_STEP, _LONGEST_STEP)
            trial = np.clip(x - step, self.lower, 0.0)
            self._accuracy = float(np.clip(_SHARE_OF_GRADIENT * steepest, ACCURACY, _ROUGH))
            new_value, gradient, spectrum = self._at(trial)
            if not new_value < value:
                break
            x, value = trial, new_value
            self.history.append(-0.5 * value)
            if np.abs(self.projected(x, gradient)).max() > _FAST * steepest:
                break
        self._accuracy, self._last = ACCURACY, None
        return x

    def _quasi_newton(self, x: FloatArray, gtol: float, max_iter: int) -> FloatArray:
        remaining = max_iter - len(self.history)
        if not remaining:
            return x

        def record(intermediate_result: OptimizeResult) -> None:
            self.history.append(-0.5 * float(intermediate_result.fun))

        result = minimize(
            self.value_and_gradient,
            x,
            jac=True,
            method="L-BFGS-B",
            bounds=[(self.lower, 0.0)] * len(x),
            callback=record,
            options={"gtol": 2.0 * gtol, "ftol": 0.0, "maxiter": remaining, "maxfun": np.inf, "maxcor": 20},
        )
        return np.asarray(result.x)

    def _try_floor(self, x: FloatArray, gtol: float, max_iter: int) -> FloatArray:
        """Put falling uniquenesses at the floor: F is so flat in log psi near the floor that they look converged."""
        value, gradient, spectrum = self._at(x)
        falling = (x > self.lower) & (x < np.log(_LOW)) & (gradient > _FLAT * expected_information(spectrum))
        if not falling.any():
            return x
        trial = self._quasi_newton(np.where(falling, self.lower, x), gtol, max_iter)
        return trial if self.value_and_gradient(trial)[0] <= value else x

    def _newton(self, x: FloatArray, gtol: float, max_iter: int) -> FloatArray:
        """Newton's method on the features that are free, with those that fall towards zero tried on the floor."""
        value, gradient, hessian = self.hessian(x)
        idle = 0
        while len(self.history) < max_iter:
            lifted = self._lift(x, value, gradient)
            if lifted is not None:
                x, (value, gradient, hessian) = lifted, self.hessian(lifted)
                self.history.append(-0.5 * value)
                continue
            projected = self.projected(x, gradient)
            free = (x > self.lower) | (projected != 0.0)
            step = np.zeros_like(x)
            if free.any():
                curvature, directions = np.linalg.eigh(hessian[np.ix_(free, free)])
                damped = np.maximum(np.abs(curvature), 1e-10)
                step[free] = -directions @ ((directions.T @ gradient[free]) / damped)
            falling = free & self._goes_to_floor(x, gradient, step)
            trials = [np.where(falling, self.lower, x + step)] if falling.any() else []
            trials += [x + 0.5**halving * step for halving in range(12)]
            for trial in trials:
                trial = np.clip(trial, self.lower, 0.0)
                new = self.hessian(trial)
                if new[0] <= value + 1e-12:
                    break
            else:
                return x
            stalled = np.abs(self.projected(trial, new[1])).max() >= np.abs(projected).max() and new[0] >= value
            if stalled:
                return x
            is_idle = value - new[0] <= _IDLE and np.abs(self.projected(trial, new[1])).max() <= gtol
            idle = idle + 1 if is_idle else 0
            x, (value, gradient, hessian) = trial, new
            self.history.append(-0.5 * value)
            if idle == _MOST_IDLE or np.abs(self.projected(x, gradient)).max() <= 1e-3 * gtol:
                return x
        return x

    def _goes_to_floor(self, x: FloatArray, gradient: FloatArray, step: FloatArray) -> Array:
        """Which uniquenesses a step of Newton's method tries on the floor: low ones that fall fast, or are near the floor.

        Where F is linear in psi, the step in log psi is -1 each time; the trial goes the whole way at once.
        """
        return (x < np.log(_LOW)) & (gradient > 0.0) & ((step < -_STEEP) | (x < self.lower + _NEAR))

    def _lift(self, x: FloatArray, value: float, gradient: FloatArray) -> FloatArray | None:
        """Lift uniquenesses next to the floor that would rise, where F is flat, too; None if that gains nothing."""
        rising = (x < self.lower + _NEAR) & (gradient < 0.0)
        if not rising.any():
            return None
        trials = [np.where(rising, np.minimum(x + lift, 0.0), x) for lift in _LIFTS]
        found = [self.value_and_gradient(trial)[0] for trial in trials]
        best = int(np.argmin(found))
        return trials[best] if found[best] < value - _IDLE else None

    def _leave_saddle(self, x: FloatArray, *, exact: bool) -> FloatArray | None:
        """The best of a few points along the direction in which F curves downwards most; None if there is none."""
        value, gradient = self.value_and_gradient(x)
        free = (x > self.lower) & (x < 0.0)
        if not free.any() or np.abs(self.projected(x, gradient)).max() > _STATIONARY:
            return None
        if not exact and curves_upwards(self.correlation.variances * np.exp(-x), self._at(x)[2], free):
            return None
        if exact:
            values, vectors = np.linalg.eigh(self.hessian(x)[2][np.ix_(free, free)])
            upward, direction = -values[0], vectors[:, 0]
        else:

            def minus_hessian(v: FloatArray) -> FloatArray:
                step = np.zeros_like(x)
                step[free] = _DIFFERENCE * v
                return (gradient - self.value_and_gradient(x + step)[1])[free] / _DIFFERENCE

            start = np.random.RandomState(0).normal(size=int(free.sum()))
            upward, direction = largest_eigenpair(minus_hessian, start)
        if upward < _UPWARD:
            return None
        along = np.zeros_like(x)
        along[free] = direction / np.abs(direction).max()
        trials = [np.clip(x + length * along, self.lower, 0.0) for length in np.outer(_LEAVES, [1.0, -1.0]).ravel()]
        found = [self.value_and_gradient(trial)[0] for trial in trials]
        best = int(np.argmin(found))
        self.saddle = found[best] >= value - 1e-12
        return None if self.saddle else trials[best]


def inverse_and_log_det(matrix: FloatArray) -> tuple[FloatArray | None, float]:
    """Inverse and log determinant of a correlation matrix; None and minus infinity where it is singular."""
    factor, info = linalg.lapack.dpotrf(matrix, lower=1)
    pivots = np.diag(factor) ** 2
    if info != 0 or pivots.min() < _LEAST_PIVOT:
        return None, -np.inf
    inverse, _ = linalg.lapack.dpotri(factor, lower=1)
    return np.tril(inverse) + np.tril(inverse, -1).T, float(np.log(pivots).sum())


def starting_uniquenesses(correlation: Covariance, k: int) -> FloatArray:
    """One minus the squared multiple correlations; from PPCA if the matrix is singular."""
    return _start(correlation, k)[0]


def _start(correlation: Covariance, k: int) -> tuple[FloatArray, Spectrum | None]:
    """The starting uniquenesses, and the spectrum from which they are computed."""
    if isinstance(correlation, MatrixCovariance):
        precision, _ = inverse_and_log_det(correlation.matrix)
        if precision is not None:
            # Jöreskog (1963): the uniqueness is a share of the unexplained variance, which falls with the number of factors.
            return np.maximum((1.0 - 0.5 * k / correlation.n_features) / np.diag(precision), _LEAST_START), None
    spectrum = correlation.leading(k, accuracy=_ROUGH)
    noise = spectrum.rest / max(correlation.n_features - k, 1)
    communalities = spectrum.vectors**2 @ (spectrum.values - noise)
    return np.maximum(correlation.variances - communalities, _LEAST_START_SINGULAR), spectrum


def best_profile(
    correlation: Covariance, k: int, floor: float, *, gtol: float, max_iter: int, n_init: int, random_state: Any
) -> ProfileFit:
    """The best of several fits of k factors: the first from ``starting_uniquenesses``, the others from random ones."""
    random_state = check_random_state(random_state)
    fits = []
    for init in range(n_init):
        if init == 0:
            start, spectrum = _start(correlation, k)
        else:
            start = np.exp(random_state.uniform(*np.log(_RANDOM_UNIQUENESSES), size=correlation.n_features))
        fits.append(Profile(correlation, k, floor, spectrum).maximize(start, gtol=gtol, max_iter=max_iter))
    return max(fits, key=lambda fit: fit.log_likelihood)
