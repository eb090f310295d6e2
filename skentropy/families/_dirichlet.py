"""The Dirichlet family of compositions."""

from __future__ import annotations

import numpy as np

from .._typing import Array, Matrix
from ._beta import Beta
from ._shapes import LARGEST_CONCENTRATION, mean_logarithms, others, shapes_of_mean_logarithms
from ._special import log_minus_digamma, stirling_remainder, trigamma
from ._vector import Root, VectorFamily, check_bound

_LOG_2PI = float(np.log(2.0 * np.pi))
_BETA = Beta()


class Dirichlet(VectorFamily):
    r"""Positive parts that sum to one, with concentrations :math:`\alpha`.

    .. math::  p(x) = \frac{\Gamma(\sum_d \alpha_d)}{\prod_d \Gamma(\alpha_d)} \prod_d x_d^{\alpha_d - 1}

    :math:`T = \log x`, :math:`\eta = \alpha - 1`, :math:`A = \sum_d \log\Gamma(\alpha_d) - \log\Gamma(\sum_d \alpha_d)`,
    :math:`h = 1`. The sum of the concentrations is held below 1e8.
    """

    name = "dirichlet"
    label = "the Dirichlet distribution"
    parameter_names = ("concentrations",)
    ranks = (2,)
    parameter_limits = ((0.0, np.inf),)
    support = "positive parts, none of them missing (NaN; fill in such gaps, or leave their rows out)"
    row_support = "rows that sum to one (normalize=True divides them by their sums)"
    scale_label = "for rows that sum to one"
    single = "composition"
    likelihood = "composition"
    lower_limit = 0.0
    takes_sparse = False

    def is_outside(self, X: Array) -> Array:
        return ~(X > 0.0)

    def sizes(self, X: Matrix) -> Array:
        with np.errstate(over="ignore"):
            return np.asarray(X.sum(axis=1))

    def statistics(self, X: Matrix) -> Matrix:
        """Logarithms of the parts' shares."""
        largest = X.max(axis=1, keepdims=True)
        return np.log(X) - np.log(largest) - np.log((X / largest).sum(axis=1, keepdims=True))

    def log_partition(self, eta: Array) -> Array:
        # By Stirling's remainders, since logarithms of Gamma(1e8) would leave no digits of their difference.
        a = eta + 1.0
        s = a.sum(axis=-1)
        of_parts = -a * np.log1p(_others(a) / a) - 0.5 * np.log(a) + stirling_remainder(a)
        return of_parts.sum(axis=-1) + self._of_sum(s, a.shape[-1])

    @staticmethod
    def _of_sum(s: Array, n_parts: int) -> Array:
        return 0.5 * np.log(s) + 0.5 * (n_parts - 1.0) * _LOG_2PI - stirling_remainder(s)

    def mean(self, eta: Array) -> Array:
        return np.moveaxis(mean_logarithms(np.moveaxis(eta + 1.0, -1, 0)), 0, -1)

    def natural(self, mean: Array) -> Array:
        return np.moveaxis(shapes_of_mean_logarithms(np.moveaxis(mean, -1, 0)), 0, -1) - 1.0

    def pseudo_entropy(self, eta: Array) -> Array:
        a = eta + 1.0
        s = a.sum(axis=-1)
        log_share = -np.log1p(_others(a) / a)
        excess = log_minus_digamma(a) - log_minus_digamma(s)[..., np.newaxis]
        of_parts = log_share - 0.5 * np.log(a) + stirling_remainder(a) + eta * excess
        return of_parts.sum(axis=-1) + self._of_sum(s, a.shape[-1])

    def root(self, eta: Array) -> Root:
        """For the covariance diag(q) - trigamma(s), where q are the trigammas of the concentrations and s their sum."""
        a = eta + 1.0
        inverse = 1.0 / trigamma(a)
        total = inverse.sum(axis=-1)
        left = np.maximum(1.0 - trigamma(a.sum(axis=-1)) * total, 1e-16)
        lengths = np.sqrt(inverse)
        return Root(lengths, lengths / np.sqrt(total)[..., np.newaxis], 1.0 / np.sqrt(left) - 1.0)

    def spread(self, eta: Array) -> Array:
        return 1.0 / (1.0 + (eta + 1.0).sum(axis=-1))

    def at_bound(self, eta: Array) -> Array:
        return np.asarray((eta + 1.0).sum(axis=-1) >= LARGEST_CONCENTRATION * (1.0 - 1e-6))

    def in_domain(self, eta: Array) -> bool:
        return bool(np.isfinite(eta).all() and (eta > -1.0).all()) and not bool(self.at_bound(eta).any())

    def moments(self, eta: Array) -> tuple[Array, Array]:
        a = eta + 1.0
        s = a.sum(axis=-1, keepdims=True)
        return a / s, a / s * _others(a) / s / (s + 1.0)

    def column_divergences(self, eta_from: Array, eta_to: Array) -> Array:
        """Divergences of beta distributions, the marginal distributions of the columns."""
        each = np.broadcast_arrays(eta_from + 1.0, eta_to + 1.0)
        return _BETA.divergence(*(np.stack([a, _others(a)]) - 1.0 for a in each))

    def to_standard(self, eta: Array) -> tuple[Array, ...]:
        return (eta + 1.0,)

    def from_standard(self, standard: tuple[Array, ...], suffix: str = "") -> Array:
        (a,) = standard
        if not ((a > 0.0) & (a < np.inf)).all():
            raise ValueError(f"concentrations{suffix} must be positive and finite.")
        check_bound(a.sum(axis=-1), LARGEST_CONCENTRATION, f"concentrations{suffix}, summed over a component's columns,")
        return a - 1.0

    def sample(self, eta: Array, random_state: np.random.RandomState) -> Array:
        # Logarithms of gamma variables: for small concentrations the variables themselves are too small for doubles.
        a = eta + 1.0
        log_x = np.log(random_state.standard_gamma(a + 1.0)) + np.log1p(-random_state.uniform(size=a.shape)) / a
        log_x -= log_x.max(axis=1, keepdims=True)
        x = np.maximum(np.exp(log_x), np.finfo(np.float64).tiny)
        return x / x.sum(axis=1, keepdims=True)


def _others(a: Array) -> Array:
    return np.moveaxis(others(np.moveaxis(a, -1, 0)), 0, -1)
