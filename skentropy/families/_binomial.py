"""The binomial family."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from scipy import special

from .._typing import Array, Matrix
from ._arguments import check_probability, is_number
from ._base import LOG_ZERO, ExponentialFamily
from ._relative import EPS, RelativeBinomial
from ._roots import AngleCoordinates
from ._special import expected_log_gamma, log_factorial, log_odds, log_rising, softplus


class Binomial(AngleCoordinates):
    r"""Counts of successes in n trials, each with probability p.

    .. math::  p(x) = \binom{n}{x} p^x (1 - p)^{n - x}

    :math:`T = x`, :math:`\eta = \log\frac{p}{1-p}`, :math:`A = -n \log(1 - p)`, :math:`h = \binom{n}{x}`. Fractional
    counts are allowed, with gamma functions for the factorials. Under an exposure s there are :math:`s n` trials, which must
    be a whole number.

    Parameters
    ----------
    n_trials : int, default=1
        The number of trials n, at least 1.

    Examples
    --------
    >>> from skentropy.families import Binomial
    >>> family = Binomial(n_trials=10)
    >>> eta = family.from_standard(0.25)
    >>> print(f"{family.log_prob(3.0, eta):.4f} {family.entropy(eta):.4f}")
    -1.3852 1.7144
    """

    name = "binomial"
    parameter_names = ("probability",)
    parameter_limits = ((0.0, 1.0),)
    lower_limit = 0.0
    discrete = True
    constant_base_measure = False
    additive = True
    zero_statistics = True

    def __init__(self, n_trials: int = 1) -> None:
        if not is_number(n_trials, Integral, low=1):
            raise ValueError(f"n_trials must be an integer of at least 1; got {n_trials!r}.")
        self.n_trials = n_trials

    @property
    def upper_limit(self) -> float:  # type: ignore[override]
        return float(self.n_trials)

    @property
    def support(self) -> str:  # type: ignore[override]
        return f"values from 0 to the number of trials (n_trials={self.n_trials})"

    def relative_to(self, mean: Array, largest: float) -> ExponentialFamily:
        return RelativeBinomial.where_large(self, mean, largest)

    def rounding_error(self, largest: Array) -> Array:
        return np.asarray(EPS * np.where(largest > 0.0, self.n_trials, 0.0))

    def sufficient_statistics(self, X: Matrix) -> tuple[Matrix, ...]:
        return (X,)

    def log_partition(self, eta: Array) -> Array:
        return self.n_trials * softplus(eta[0])

    def mean(self, eta: Array) -> Array:
        return self.n_trials * special.expit(eta)

    def covariance(self, eta: Array) -> Array:
        return (self.n_trials * special.expit(eta) * special.expit(-eta))[np.newaxis]

    def natural(self, mean: Array) -> Array:
        return log_odds(mean / self.n_trials)

    def to_standard(self, eta: Array) -> tuple[Array, ...]:
        probability = special.expit(eta[0])
        return (np.where(eta[0] <= LOG_ZERO, 0.0, probability),)

    def from_standard(self, *parameters: Array) -> Array:
        (probability,) = parameters
        return log_odds(check_probability(probability))[np.newaxis]

    def moments(self, eta: Array) -> tuple[Array, Array]:
        mean = self.n_trials * special.expit(eta[0])
        return mean, mean * special.expit(-eta[0])

    def sample(self, eta: Array, random_state: np.random.RandomState, exposure: Array | None = None) -> Array:
        trials = np.asarray(self.n_trials * (1.0 if exposure is None else exposure))
        whole = np.rint(trials)
        if (fractional := ~np.isclose(whole, trials, rtol=1e-9, atol=0.0)).any():
            raise ValueError(f"n_trials times the exposure must be whole; got {trials[fractional][0]}.")
        return random_state.binomial(whole.astype(np.int64), special.expit(eta[0]))

    def in_support(self, X: Array, exposure: Array | float = 1.0) -> Array:
        return (X >= 0) & (self.n_trials * exposure >= X)

    def log_base_measure(self, X: Array, exposure: Array | float = 1.0) -> Array:
        n_trials = self.n_trials * exposure
        fewer = np.minimum(X, n_trials - X, dtype=np.float64)
        return log_rising(fewer, n_trials - fewer + 1.0) - log_factorial(fewer)

    def expected_log_base_measure(self, eta: Array) -> Array:
        def expected_log_factorial(p: Array) -> Array:
            return expected_log_gamma(lambda w: self.n_trials * np.log1p(-p * w), self.n_trials * p)

        successes, failures = special.expit(eta[0]), special.expit(-eta[0])
        return log_factorial(self.n_trials) - expected_log_factorial(successes) - expected_log_factorial(failures)

    def at_zero(self, eta: Array) -> Array:
        return np.abs(eta[0]) >= -LOG_ZERO
