"""Log-probabilities of large counts, and of mixtures of them, in decimal arithmetic of as many digits as the context has."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np

from skentropy.families import Binomial, Poisson


def log_gamma(x: Decimal) -> Decimal:
    """Of large arguments, by Stirling's series."""
    half_log_2pi = Decimal("0.91893853320467274178032973640561763986139747363778")
    return (x - Decimal("0.5")) * x.ln() - x + half_log_2pi + 1 / (12 * x) - 1 / (360 * x**3) + 1 / (1260 * x**5)


def exact_log_prob(family: Any, x: float, parameter: float, exposure: int = 1) -> Decimal:
    count, p = Decimal(x), Decimal(parameter)
    if isinstance(family, Poisson):
        return count * (exposure * p).ln() - exposure * p - log_gamma(count + 1)
    if isinstance(family, Binomial):
        n = exposure * Decimal(family.n_trials)
        return (
            log_gamma(n + 1) - log_gamma(count + 1) - log_gamma(n - count + 1) + count * p.ln() + (n - count) * (1 - p).ln()
        )
    r = exposure * Decimal(family.r)
    return log_gamma(count + r) - log_gamma(r) - log_gamma(count + 1) + count * p.ln() + r * (1 - p).ln()


def exact_log_likelihood(family: Any, row: Any, weights: Any, parameters: Any, exposure: int = 1) -> Decimal:
    """Of a row under a mixture; NaN is left out."""
    total = Decimal(0)
    for weight, of_component in zip(weights, parameters, strict=True):
        log_joint = Decimal(float(weight)).ln()
        for x, parameter in zip(row, of_component, strict=True):
            if not np.isnan(x):
                log_joint += exact_log_prob(family, float(x), float(parameter), exposure)
        total += log_joint.exp()
    return total.ln()
