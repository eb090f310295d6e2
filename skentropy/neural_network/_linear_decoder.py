"""Linear decoders of Gaussian observables, for which the optimal posterior of a row needs no encoder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._typing import FloatArray
from ..decomposition._gaussian import LinearGaussian
from ._vae_prior import Prior
from ._vae_units import Observations

# Largest number of steps of a row's posterior. It has converged when a step gains fewer nats than the second number, or
# would have to be shorter than the third.
_MOST_STEPS, _LEAST_GAIN, _SHORTEST = 100, 1e-9, 1e-4
# A step that loses is repeated, shorter by this factor.
_SHORTER = 0.3


@dataclass(frozen=True)
class LinearDecoder:
    """x | z ~ N(z W + offset, diag(noise)).

    Attributes
    ----------
    slopes : (h, d), W
    offset, noise : (d,)
    """

    slopes: FloatArray
    offset: FloatArray
    noise: FloatArray

    @property
    def linear_gaussian(self) -> LinearGaussian:
        """The linear model with this decoder."""
        return LinearGaussian.of(self.offset, self.slopes.T, self.noise)

    def posteriors(
        self, observations: Observations, prior: Prior, centre: FloatArray | float = 0.0, scale: FloatArray | float = 1.0
    ) -> tuple[FloatArray, FloatArray]:
        """The optimal independent Gaussians for each row, means and variances (n, h); the prior's centre and scale are (h,).

        The ELBO is concave in means and standard deviations. Each step is Newton's step in the means, and sets the variances
        that would be optimal if the curvature of the prior's energy did not change.
        """
        rows = _RowProblems.of(self, observations, prior, centre, scale)
        m, v, length = *rows.start, np.ones(len(rows.pull))
        value = rows.value(m, v)
        for _ in range(_MOST_STEPS):
            active = np.flatnonzero(length >= _SHORTEST)
            if not active.size:
                break
            some, share = rows.take(active), length[active, np.newaxis]
            target, precision = some.target(m[active], v[active])
            new_m = m[active] + share * (target - m[active])
            new_v = v[active] * (precision * v[active]) ** -share
            gain = some.value(new_m, new_v) - value[active]
            # The last step is taken even if rounding errors make its gain negative.
            kept = gain > -_LEAST_GAIN
            m[active[kept]], v[active[kept]] = new_m[kept], new_v[kept]
            value[active[kept]] += gain[kept]
            # One after a gain; zero, with which a row is done, after less.
            length[active] = np.where(kept, gain > _LEAST_GAIN, _SHORTER * length[active])
        return m, v


@dataclass(frozen=True)
class _RowProblems:
    """For each row the maximum over N(m, diag(v)) of m pull - m G m / 2 - diag(G) v / 2 - divergence from the prior.

    Attributes
    ----------
    prior : Prior
    centre, scale : (h,)
    gram : (n, h, h), or (1, h, h) if all rows share it; G = W diag(1 / noise) W' over the observed entries
    pull : (n, h)
    """

    prior: Prior
    centre: FloatArray
    scale: FloatArray
    gram: FloatArray
    pull: FloatArray

    @classmethod
    def of(cls, decoder: LinearDecoder, observations: Observations, prior: Prior, centre: Any, scale: Any) -> _RowProblems:
        W, (h, d) = decoder.slopes, decoder.slopes.shape
        mask = np.ones((1, d)) if observations.missing is None else observations.mask
        precision = mask / decoder.noise
        gram = (precision @ (W[:, np.newaxis] * W).reshape(h * h, d).T).reshape(-1, h, h)
        pull = ((observations.x - decoder.offset) * precision) @ W.T
        return cls(prior, np.broadcast_to(centre, h), np.broadcast_to(scale, h), gram, pull)

    @property
    def start(self) -> tuple[FloatArray, FloatArray]:
        """The Gaussian nearest to the prior."""
        variance = self.prior.nearest_variance * self.scale**2
        return np.broadcast_to(self.centre, self.pull.shape).copy(), np.broadcast_to(variance, self.pull.shape).copy()

    def take(self, index: Any) -> _RowProblems:
        """The problems for some rows."""
        return replace(self, gram=self.gram if len(self.gram) == 1 else self.gram[index], pull=self.pull[index])

    def value(self, m: FloatArray, v: FloatArray) -> FloatArray:
        """The objective of each row, (n,)."""
        fit = m * (self.pull - 0.5 * self._times(m)) - 0.5 * v * self._diagonal
        divergence = self.prior.divergence((m - self.centre) / self.scale, v / self.scale**2)
        return np.asarray((fit - divergence).sum(axis=1))

    def target(self, m: FloatArray, v: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means and precisions at which a step ends, (n, h)."""
        z, variance = (m - self.centre) / self.scale, v / self.scale**2
        curvature = self.prior.curvature(z, variance) / self.scale**2
        slope = self.pull - self._times(m) - self.prior.slope(z, variance) / self.scale
        hessian = self.gram + curvature[:, :, np.newaxis] * np.eye(m.shape[1])
        return m + np.linalg.solve(hessian, slope[:, :, np.newaxis])[:, :, 0], self._diagonal + curvature

    @property
    def _diagonal(self) -> FloatArray:
        return np.diagonal(self.gram, axis1=1, axis2=2)

    def _times(self, m: FloatArray) -> FloatArray:
        return np.matmul(self.gram, m[:, :, np.newaxis])[:, :, 0] if len(self.gram) > 1 else m @ self.gram[0]
