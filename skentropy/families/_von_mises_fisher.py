"""The von Mises-Fisher family of directions in any number of dimensions."""

from __future__ import annotations

import numpy as np
from scipy import sparse, special

from .._typing import Array, Matrix
from ._base import positive_or_one
from ._bessel import LARGEST_CONCENTRATION, BesselTerms, concentration_of_length
from ._shapes import others
from ._vector import Root, VectorFamily, check_bound

_LOG_2PI = float(np.log(2.0 * np.pi))
# Larger sums of squares have lost no digits.
_SAFE = 1e-200
# Gauss-Legendre nodes between 0 and 1, and the number of standard deviations of a column's angle that they cover on either
# side.
_NODES, _NODE_WEIGHTS = special.roots_sh_legendre(32)
_REACH = 8.0
# Number of nodes at which columns are integrated at a time.
_NODES_AT_ONCE = 5000


class VonMisesFisher(VectorFamily):
    r"""Unit vectors with mean direction :math:`\mu` and concentration :math:`\kappa`.

    .. math::

        p(x) = C_D(\kappa) \exp(\kappa \mu \cdot x), \qquad
        C_D(\kappa) = \frac{\kappa^{D/2 - 1}}{(2 \pi)^{D/2} I_{D/2-1}(\kappa)}

    :math:`T = x`, :math:`\eta = \kappa\mu`, :math:`A = -\log C_D(\kappa)`, :math:`h = 1`. Concentrations are held below 1e8.
    """

    name = "von_mises_fisher"
    label = "the von Mises-Fisher distribution"
    parameter_names = ("means", "concentrations")
    ranks = (2, 1)
    parameter_limits = ((-1.0, 1.0), (0.0, np.inf))
    support = "finite numbers, none of them missing (NaN; fill in such gaps, or leave their rows out)"
    row_support = "rows of unit length (sklearn.preprocessing.normalize, or normalize=True, makes them)"
    scale_label = "for rows of length one"
    single = "direction"
    likelihood = "direction"
    lower_limit = -np.inf
    takes_sparse = True

    def is_outside(self, X: Array) -> Array:
        return np.isnan(X)

    def sizes(self, X: Matrix) -> Array:
        largest, scaled = _scaled(X)
        return largest * np.sqrt(_square_sums(scaled))

    def statistics(self, X: Matrix) -> Matrix:
        """Rows of length one; a row of zeros, which has no direction, stays zero."""
        squares = _square_sums(X)
        if ((squares > _SAFE) & np.isfinite(squares)).all():
            return _divided(X, np.sqrt(squares))
        _, scaled = _scaled(X)
        return _divided(scaled, np.sqrt(_square_sums(scaled)))

    def _terms(self, eta: Array) -> tuple[Array, BesselTerms]:
        kappa = np.sqrt((eta**2).sum(axis=-1))
        return kappa, BesselTerms.of(0.5 * eta.shape[-1] - 1.0, kappa)

    def log_partition(self, eta: Array) -> Array:
        kappa, terms = self._terms(eta)
        return kappa + terms.log_scaled + 0.5 * eta.shape[-1] * _LOG_2PI

    def mean(self, eta: Array) -> Array:
        return eta * self._terms(eta)[1].ratio[..., np.newaxis]

    def natural(self, mean: Array) -> Array:
        D = mean.shape[-1]
        length = np.sqrt((mean**2).sum(axis=-1))
        kappa = concentration_of_length(0.5 * D - 1.0, length, 1.0 - length)
        # Where squares vanish, kappa is D times the length.
        return mean * np.where(length > 0.0, kappa / positive_or_one(length), float(D))[..., np.newaxis]

    def pseudo_entropy(self, eta: Array) -> Array:
        kappa, terms = self._terms(eta)
        return terms.log_scaled + 0.5 * eta.shape[-1] * _LOG_2PI + kappa * terms.complement

    def root(self, eta: Array) -> Root:
        """For the covariance with A' along the mean direction and A / kappa across it."""
        kappa, terms = self._terms(eta)
        along = eta / positive_or_one(kappa)[..., np.newaxis]
        lengths = np.broadcast_to(1.0 / np.sqrt(terms.ratio)[..., np.newaxis], eta.shape)
        return Root(lengths, along, np.sqrt(terms.ratio / terms.slope) - 1.0)

    def smoothed_negative_entropy(self, T: Matrix, pooled: Array, share: float) -> Array:
        """Computed from the lengths of the means, without a dense table."""
        # |m|^2 = (1 - t)^2 |T|^2 + 2 t (1 - t) T . pooled + t^2 |pooled|^2, with |T| = 1 or 0
        squares = (1.0 - share) ** 2 * _square_sums(T) + 2.0 * share * (1.0 - share) * (T @ pooled)
        length = np.sqrt(np.maximum(squares + share**2 * (pooled @ pooled), 0.0))
        order = 0.5 * len(pooled) - 1.0
        kappa = concentration_of_length(order, length, 1.0 - length)
        log_scaled = BesselTerms.of(order, kappa).log_scaled
        return np.asarray(kappa * (length - 1.0) - log_scaled - 0.5 * len(pooled) * _LOG_2PI)

    def spread(self, eta: Array) -> Array:
        return self._terms(eta)[1].complement

    def at_bound(self, eta: Array) -> Array:
        # The squares of an extrapolation beyond all bounds would overflow.
        eta = np.clip(eta, -LARGEST_CONCENTRATION, LARGEST_CONCENTRATION)
        return np.asarray(np.sqrt((eta**2).sum(axis=-1)) >= LARGEST_CONCENTRATION * (1.0 - 1e-6))

    def in_domain(self, eta: Array) -> bool:
        return bool(np.isfinite(eta).all()) and not bool(self.at_bound(eta).any())

    def moments(self, eta: Array) -> tuple[Array, Array]:
        kappa, terms = self._terms(eta)
        along = eta / positive_or_one(kappa)[..., np.newaxis]
        ratio, slope = terms.ratio[..., np.newaxis], terms.slope[..., np.newaxis]
        return eta * ratio, ratio + (slope - ratio) * along**2

    def column_divergences(self, eta_from: Array, eta_to: Array) -> Array:
        """Divergences by quadrature."""
        D, across, across_to = eta_from.shape[-1], _lengths_of_others(eta_from), _lengths_of_others(eta_to)
        # E log p / q, with p(t) = C_D(kappa) exp(a t) (1 - t^2)^((D-3)/2) / C_{D-1}(b sqrt(1 - t^2)).
        result = (self.log_partition(eta_to) - self.log_partition(eta_from))[..., np.newaxis]
        result = result + (eta_from - eta_to) * self.mean(eta_from)
        width = max(1, _NODES_AT_ONCE * D // (_NODES.size * result.size))
        for start in range(0, D, width):
            own = (..., slice(start, start + width))
            result[own] += _mean_ratio_across(eta_from[own], across[own], across_to[own], D)
        return np.maximum(result, 0.0)

    def to_standard(self, eta: Array) -> tuple[Array, ...]:
        kappa = np.sqrt((eta**2).sum(axis=-1))
        uniform = kappa == 0.0  # of which any direction is the mean
        first = np.zeros(eta.shape[-1])
        first[0] = 1.0
        directions = np.where(uniform[..., np.newaxis], first, eta / positive_or_one(kappa)[..., np.newaxis])
        return directions, kappa

    def from_standard(self, standard: tuple[Array, ...], suffix: str = "") -> Array:
        means, kappa = standard
        lengths = np.sqrt((means**2).sum(axis=-1))
        if not np.allclose(lengths, 1.0, rtol=0.0, atol=1e-5):
            raise ValueError(f"means{suffix} must be unit vectors; got lengths from {lengths.min():g} to {lengths.max():g}.")
        if not ((kappa >= 0.0) & (kappa < np.inf)).all():
            raise ValueError(f"concentrations{suffix} must be finite, and not negative.")
        check_bound(kappa, LARGEST_CONCENTRATION, f"concentrations{suffix}")
        return means * (kappa / lengths)[..., np.newaxis]

    def sample(self, eta: Array, random_state: np.random.RandomState) -> Array:
        """Wood (1994), "Simulation of the von Mises Fisher distribution"."""
        n, D = eta.shape
        means, kappa = self.to_standard(eta)
        b = (D - 1.0) / (2.0 * kappa + np.sqrt(4.0 * kappa**2 + (D - 1.0) ** 2))
        short = 2.0 * b / (1.0 + b)  # 1 - x_0
        drop, left = np.empty(n), np.arange(n)  # 1 - W
        while left.size:
            z = random_state.beta(0.5 * (D - 1.0), 0.5 * (D - 1.0), size=left.size)
            own, at = b[left], short[left]
            w = np.minimum(2.0 * own * z / (1.0 - (1.0 - own) * z), 2.0)
            log_ratio = np.log((at + (1.0 - at) * w) / (at * (2.0 - at)))
            accepted = kappa[left] * (at - w) + (D - 1.0) * log_ratio >= np.log1p(-random_state.uniform(size=left.size))
            drop[left[accepted]] = w[accepted]
            left = left[~accepted]
        across = random_state.normal(size=(n, D))
        across -= (across * means).sum(axis=1, keepdims=True) * means
        across /= np.sqrt((across**2).sum(axis=1, keepdims=True))
        X = (1.0 - drop)[:, np.newaxis] * means + np.sqrt(drop * (2.0 - drop))[:, np.newaxis] * across
        return X / np.sqrt((X**2).sum(axis=1, keepdims=True))


def _scaled(X: Matrix) -> tuple[Array, Matrix]:
    """The largest absolute value of each row, and the rows over it, whose squares neither overflow nor vanish."""
    largest = abs(X).max(axis=1)
    largest = np.asarray(largest.toarray()).ravel() if sparse.issparse(largest) else largest
    return largest, _divided(X, largest)


def _divided(X: Matrix, sizes: Array) -> Matrix:
    """Rows over their sizes; rows of size zero stay zero."""
    sizes = positive_or_one(sizes)
    if not sparse.issparse(X):
        return X / sizes[:, np.newaxis]
    return type(X)((X.data / np.repeat(sizes, np.diff(X.indptr)), X.indices, X.indptr), shape=X.shape)


def _square_sums(X: Matrix) -> Array:
    with np.errstate(over="ignore", under="ignore"):
        if not sparse.issparse(X):
            return np.einsum("ij,ij->i", X, X)
        return np.asarray(X.multiply(X).sum(axis=1), dtype=np.float64).ravel()


def _lengths_of_others(eta: Array) -> Array:
    """The lengths of natural parameters without one column each."""
    return np.sqrt(np.moveaxis(others(np.moveaxis(eta**2, -1, 0)), 0, -1))


def _mean_ratio_across(a: Array, b: Array, b_to: Array, D: int) -> Array:
    r"""The mean of :math:`\log C_{D-1}(b' \sin\theta) - \log C_{D-1}(b \sin\theta)`, elementwise, by quadrature.

    The column is :math:`\cos\theta`; a is its natural parameter, b the length of the others.
    """
    mode, curvature = _mode_of_angle(a, b, D)
    reach = _REACH / np.sqrt(np.maximum(curvature, np.finfo(np.float64).tiny))
    low, high = np.maximum(mode - reach, 0.0)[..., np.newaxis], np.minimum(mode + reach, np.pi)[..., np.newaxis]
    theta = low + (high - low) * _NODES
    sine = np.sin(theta)
    own, other = _log_partition_below(D, b[..., np.newaxis] * sine), _log_partition_below(D, b_to[..., np.newaxis] * sine)
    log_density = a[..., np.newaxis] * np.cos(theta) + own + (D - 2.0) * np.log(sine)
    weights = _NODE_WEIGHTS * special.softmax(log_density, axis=-1)
    return np.asarray((weights * (own - other)).sum(axis=-1) / weights.sum(axis=-1))


def _mode_of_angle(a: Array, b: Array, D: int) -> tuple[Array, Array]:
    r"""The approximate mode of :math:`\theta`, exact where a or b is zero, and hardly more than the curvature there.

    With :math:`A(k) \approx k / (h + \sqrt{h^2 + k^2})`, where :math:`h = D / 2 - 1`.
    """
    half = 0.5 * D - 1.0
    curvature = half + np.sqrt(half**2 + a**2 + b**2)
    return np.arctan2(np.sqrt(2.0 * half * curvature + b**2), a), curvature


def _log_partition_below(D: int, kappa: Array) -> Array:
    """-log C_{D-1} up to a constant; for D = 2 that of the sphere in one dimension, which is two points."""
    if D == 2:
        return np.logaddexp(kappa, -kappa)
    return kappa + BesselTerms.of(0.5 * (D - 3.0), kappa).log_scaled
