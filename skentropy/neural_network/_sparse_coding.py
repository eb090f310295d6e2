"""Sparse coding: linear decoders of non-Gaussian latents, at the maximum of an ELBO that consists of entropies only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np
from scipy.optimize import minimize
from sklearn.exceptions import ConvergenceWarning

from .._data import Additive, Block
from .._em import Interruption, Run, State, Watcher
from .._entropy_sum import EntropySum
from .._linalg import LOG_2PI
from .._messages import warn
from .._typing import FloatArray
from ._linear_decoder import LinearDecoder
from ._vae_fitting import Fitting
from ._vae_observables import NOISE_FLOOR, best_noise
from ._vae_prior import Prior
from ._vae_units import Units

# L-BFGS ends when a step gains less than this (relative if there are many nats), or when no derivative is larger; the last
# number is that of the steps that it remembers.
_TOLERANCE, _MEMORY = 1e-8, 20


@dataclass(frozen=True)
class CodeStatistics(Additive):
    """Weighted sums over rows and their posteriors that the ELBO and its gradient need.

    Attributes
    ----------
    at : LinearDecoder
        The decoder that gave the posteriors.
    weight : float
    observed, squares : (d,), sums of 1 and x^2
    regressors : (d, 1 + h, 1 + h), or (1, 1 + h, 1 + h) if nothing is missing; sums of E[(1, z) (1, z)']
    products : (d, 1 + h), sums of x E[(1, z)]
    energy, log_variance : (h,)
    """

    _shared: ClassVar[tuple[str, ...]] = ("at",)

    at: LinearDecoder
    weight: float
    observed: FloatArray
    squares: FloatArray
    regressors: FloatArray
    products: FloatArray
    energy: FloatArray
    log_variance: FloatArray

    @property
    def explained(self) -> FloatArray:
        """The part of the products that the decoder explains, (d, 1 + h)."""
        return np.matmul(self.regressors, self._coefficients[:, :, np.newaxis])[:, :, 0]

    @property
    def residuals(self) -> FloatArray:
        """Expected squared residuals, (d,)."""
        squares = self.squares + (self._coefficients * (self.explained - 2.0 * self.products)).sum(axis=1)
        return np.maximum(squares, 0.0)

    @property
    def _coefficients(self) -> FloatArray:
        return np.column_stack([self.at.offset, self.at.slopes.T])


def expect(decoder: LinearDecoder, prior: Prior, units: Units, block: Block) -> CodeStatistics:
    """Statistics of a block of rows with optimal posteriors."""
    observations, weight = units.observe(block.X), block.row_weight
    m, v = decoder.posteriors(observations, prior)
    n, h = m.shape
    z = np.column_stack([np.ones(n), m])
    moments = z[:, :, np.newaxis] * z[:, np.newaxis]
    latents = 1 + np.arange(h)
    moments[:, latents, latents] += v
    mask = np.ones((n, 1)) if observations.missing is None else observations.mask
    counted = (weight[:, np.newaxis] * mask).T
    return CodeStatistics(
        decoder,
        float(weight.sum()),
        np.broadcast_to(counted.sum(axis=1), decoder.offset.shape),
        weight @ observations.x**2,
        (counted @ moments.reshape(n, -1)).reshape(-1, 1 + h, 1 + h),
        (weight[:, np.newaxis] * observations.x).T @ z,
        weight @ prior.energy(m, v),
        weight @ np.log(v),
    )


@dataclass(frozen=True)
class SparseCoding:
    """The objective for decoders: the ELBO of the optimal posteriors, minus the ridge's term.

    Attributes
    ----------
    prior : Prior
    tied : bool
        Whether all features have one noise variance.
    ridge : float
        On the noise variances.
    """

    prior: Prior
    tied: bool
    ridge: float

    def elbo(self, statistics: CodeStatistics) -> float:
        """Mean ELBO, nats per sample."""
        weight, noise = statistics.weight, statistics.at.noise
        fit = statistics.observed @ (LOG_2PI + np.log(noise)) + statistics.residuals @ (1.0 / noise)
        divergence = weight * (self.prior.excess - 0.5) + statistics.energy - 0.5 * statistics.log_variance
        return float(-0.5 * fit - divergence.sum()) / weight

    def penalty(self, statistics: CodeStatistics) -> float:
        """The ridge's term in the objective."""
        return 0.5 * self.ridge * float(statistics.observed @ (1.0 / statistics.at.noise)) / statistics.weight

    def entropy_sum(self, statistics: CodeStatistics) -> EntropySum:
        """Entropies of posteriors, and of prior and noise with closed-form scales, which make up their ELBO, W(3)."""
        weight, observed = statistics.weight, statistics.observed
        noise = np.maximum(best_noise(statistics.residuals, self.ridge * observed, observed, tied=self.tied), NOISE_FLOOR)
        log_scale = np.log(self.prior.best_scale(statistics.energy / weight))
        return EntropySum(
            posterior=float((0.5 * (1.0 + LOG_2PI + statistics.log_variance / weight) - log_scale).sum()),
            prior=len(log_scale) * self.prior.entropy,
            observable=0.5 * float(observed @ (1.0 + LOG_2PI + np.log(noise))) / weight,
            penalty=0.5 * self.ridge * float(observed @ (1.0 / noise)) / weight,
        )

    def gradient(self, statistics: CodeStatistics) -> FloatArray:
        """Gradient of the objective by slopes, offset and log noise, (h d + d + 1 or d,), at the optimal posteriors."""
        noise, weight = statistics.at.noise, statistics.weight
        of_coefficients = (statistics.products - statistics.explained) / noise[:, np.newaxis]
        of_noise = 0.5 * ((statistics.residuals + self.ridge * statistics.observed) / noise - statistics.observed)
        of_noise = of_noise.sum(keepdims=True) if self.tied else of_noise
        return np.concatenate([of_coefficients[:, 1:].T.ravel(), of_coefficients[:, 0], of_noise]) / weight

    def pack(self, decoder: LinearDecoder) -> FloatArray:
        """Slopes, offset and log noise as one vector."""
        log_noise = np.log(decoder.noise)
        return np.concatenate([decoder.slopes.ravel(), decoder.offset, log_noise[:1] if self.tied else log_noise])

    def unpack(self, vector: FloatArray, like: LinearDecoder) -> LinearDecoder:
        """The inverse of ``pack`` for a decoder of the same size."""
        h, d = like.slopes.shape
        noise = np.broadcast_to(np.exp(vector[(h + 1) * d :]), d)
        return LinearDecoder(vector[: h * d].reshape(h, d), vector[h * d : (h + 1) * d], noise)


def fit_codes(fitting: Fitting, start: LinearDecoder, max_iter: int, watcher: Watcher) -> Run:
    """Fit decoders by L-BFGS; they are the parameters of the states. After Ctrl-C the run ends after its last step."""
    objective = fitting.objective
    model = SparseCoding(objective.prior, objective.tied, objective.ridge)
    first = model.pack(start)
    n_free = start.slopes.size + start.offset.size
    # In units of the noise the objective has similar curvature along slopes and along logarithms of variances.
    size = np.sqrt(start.noise)
    units = np.concatenate([np.tile(size, len(start.slopes) + 1), np.ones(len(first) - n_free)])
    seen: dict[bytes, CodeStatistics] = {}

    def statistics_at(x: FloatArray) -> CodeStatistics:
        if x.tobytes() not in seen:
            decoder = model.unpack(x * units, start)
            seen.clear()
            seen[x.tobytes()] = fitting.data.reduce(partial(expect, decoder, model.prior, fitting.units))
        return seen[x.tobytes()]

    def loss(x: FloatArray) -> tuple[float, FloatArray]:
        statistics = statistics_at(x)
        return model.penalty(statistics) - model.elbo(statistics), -units * model.gradient(statistics)

    def state_at(statistics: CodeStatistics) -> State:
        return State(statistics.at, None, model.elbo(statistics), model.elbo(statistics) - model.penalty(statistics))

    def on_step(x: FloatArray) -> None:
        statistics = statistics_at(x)
        terms, log_jacobian = model.entropy_sum(statistics), statistics.observed.sum() * fitting.units.log_jacobian
        terms = replace(terms, observable=terms.observable - log_jacobian / statistics.weight)
        run.state = state_at(statistics)
        run.entropy_sums.append(terms)
        run.lower_bounds.append(terms.value)
        if watcher.on_step(run):
            raise StopIteration

    run = Run(state_at(statistics_at(first / units)))
    bounds = [(None, None)] * n_free + [(np.log(NOISE_FLOOR), None)] * (len(first) - n_free)
    options = {"maxiter": max_iter, "maxcor": _MEMORY, "ftol": _TOLERANCE, "gtol": _TOLERANCE, "maxfun": 20 * max_iter}
    with Interruption().caught(run):
        end = minimize(loss, first / units, jac=True, method="L-BFGS-B", bounds=bounds, callback=on_step, options=options)
        run.converged = end.status == 0
    if not (run.converged or run.interrupted):
        warn(f"The linear decoder has not converged after {max_iter} steps; raise max_iter.", ConvergenceWarning)
    watcher.on_end(run)
    return run
