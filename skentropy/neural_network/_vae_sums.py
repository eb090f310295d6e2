"""Posteriors of rows, and the sums over rows that ELBO and entropy sum need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np

from .._entropy_sum import EntropySum
from .._linalg import LOG_2PI
from .._typing import FloatArray
from ._vae_observables import Observable
from ._vae_prior import Prior
from ._vae_units import Observations, Units


@dataclass(frozen=True)
class Posteriors:
    """Gaussian posteriors of n rows with independent latents, and the decoder's statistics under them.

    Attributes
    ----------
    means, variances : (n, h)
    expected : (n, d), expected means of the observables
    statistics : (k, n, d), see ``Observable``
    """

    means: FloatArray
    variances: FloatArray
    expected: FloatArray
    statistics: FloatArray


@dataclass(frozen=True)
class Sums:
    """Additive sums over rows, with their weights, that ELBO and entropy sum need.

    Attributes
    ----------
    prior : Prior
        The prior of the latents.
    weight : float
    observed : (d,), weight of the observed entries
    statistics : (k, d), of these entries
    first, energy, log_variance : (h,), of the posteriors' means, their expected energies and log variances
    """

    prior: Prior
    weight: float
    observed: FloatArray
    statistics: FloatArray
    first: FloatArray
    energy: FloatArray
    log_variance: FloatArray

    def _combine(self, function: Callable[..., Any], *others: Sums) -> Sums:
        """Combine every sum with those of others by a function."""
        all_sums = (self, *others)
        return Sums(self.prior, *(function(*[getattr(sums, name) for sums in all_sums]) for name in _ADDITIVE))

    def __add__(self, other: Sums) -> Sums:
        return self._combine(lambda mine, theirs: mine + theirs, other)

    def in_double(self) -> Sums:
        """The sums in double precision."""
        return self._combine(partial(np.asarray, dtype=np.float64))

    def followed_by(self, other: Sums, keep: float) -> Sums:
        """A running average: the share ``keep`` of these sums plus the remaining share of the others."""
        return self._combine(lambda mine, theirs: keep * mine + (1.0 - keep) * theirs, other)

    @property
    def is_finite(self) -> bool:
        """Whether nothing has overflowed."""
        return all(bool(np.isfinite(getattr(self, name)).all()) for name in _ADDITIVE)

    def with_empty_rows(self, weight: float) -> Sums:
        """Add rows without observed entries, whose posterior is the Gaussian nearest to the prior."""
        prior = self.prior
        return replace(
            self,
            weight=self.weight + weight,
            energy=self.energy + prior.mean_energy * weight,
            log_variance=self.log_variance + np.log(prior.nearest_variance) * weight,
        )

    @classmethod
    def of(cls, prior: Prior, posteriors: Posteriors, observations: Observations, weight: FloatArray) -> Sums:
        """The sums over some rows."""
        m, v, mask = posteriors.means, posteriors.variances, observations.mask
        return cls(
            prior,
            weight=float(weight.sum()),
            observed=weight @ mask,
            statistics=np.stack([weight @ (values * mask) for values in posteriors.statistics]),
            first=weight @ m,
            energy=weight @ prior.energy(m, v),
            log_variance=weight @ np.log(v),
        )

    @property
    def information(self) -> FloatArray:
        """Entropy of each latent's prior minus the mean entropy of its posteriors, (h,)."""
        return self.prior.information(self.log_variance / self.weight)

    def elbo(self, observable: Observable) -> float:
        """Mean ELBO in the units of the likelihood: expected log-likelihood minus divergence from the prior."""
        divergence = float((self.weight * (self.prior.excess - 0.5) + self.energy - 0.5 * self.log_variance).sum())
        return (observable.log_likelihood(self) - divergence) / self.weight

    def penalty(self, observable: Observable, ridge: float) -> float:
        """The ridge's term, which is subtracted from the objective, and added to the entropy sum."""
        return observable.penalty(self, ridge) / self.weight

    def log_jacobian(self, units: Units) -> float:
        """The term by which the ELBO of the data in their own units differs."""
        return float(self.observed.sum()) / self.weight * units.log_jacobian

    def entropy_sum(self, observable: Observable, *, ridge: float, log_jacobian: float = 0.0) -> EntropySum:
        """Entropies of posteriors and prior, pseudo entropy of the observables, and base measure, W(3), W(49), W(50)."""
        h = len(self.first)
        return EntropySum(
            posterior=0.5 * (h * (1.0 + LOG_2PI) + float(self.log_variance.sum()) / self.weight),
            prior=h * self.prior.entropy,
            observable=observable.pseudo_entropy(self) / self.weight - log_jacobian,
            base_measure=observable.base_measure(self) / self.weight,
            penalty=self.penalty(observable, ridge),
        )

    def standardised(self) -> tuple[Sums, FloatArray, FloatArray]:
        """The sums for the latents z' = (z - c) / a for which the prior is optimal; and c and a.

        Their mean energy is that of the prior, so the divergence consists of entropies only.
        """
        prior, weight = self.prior, self.weight
        c, a = prior.best_units(self.first / weight, self.energy / weight)
        new = replace(
            self,
            first=(self.first - weight * c) / a,
            energy=np.full_like(c, weight * prior.mean_energy),
            log_variance=self.log_variance - 2.0 * weight * np.log(a),
        )
        return new, c, a


# All fields except the prior.
_ADDITIVE = tuple(field.name for field in fields(Sums))[1:]
