"""Distributions of an autoencoder's observables: Gaussians, and one-parameter families with canonical link."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from scipy.special import expit, gammaln, logit

from .._linalg import LOG_2PI
from .._typing import FloatArray

if TYPE_CHECKING:
    from ._vae_sums import Sums

# The least noise variance, in units of the data's scale.
NOISE_FLOOR = 1e-10
# The largest rate of counts: with larger ones products of the nets would leave single precision.
LARGEST_RATE = float(np.exp(30.0))
# The least mean of a column at the start, from which training can still move away.
_LEAST_MEAN = 0.02


@dataclass(frozen=True)
class Fit:
    """The fit of a decoder's outputs to rows, and its derivatives, for the steps of posteriors.

    Attributes
    ----------
    value : (n, d), expected log-likelihood, without terms that outputs do not change
    pull : (n, o), its derivative in the outputs
    curvature : (n, o) or (o,), minus its second derivative
    """

    value: FloatArray
    pull: FloatArray
    curvature: FloatArray


class Observable(ABC):
    """p(x | y) with the outputs y of a decoder, ``n_outputs`` for each feature; features are independent.

    ELBO and entropy sum need sums over rows of ``n_statistics`` numbers for each entry.
    """

    n_outputs: ClassVar[int] = 1
    n_statistics: ClassVar[int]

    @abstractmethod
    def expect(self, y: FloatArray, x: FloatArray, shares: FloatArray) -> tuple[Fit, FloatArray, FloatArray]:
        """Fit, expected means (n, d) and statistics (k, n, d), for outputs (s, n, o) at nodes with shares (s,).

        ``y`` is overwritten.
        """

    @abstractmethod
    def expected_log_density(self, statistics: FloatArray, x: FloatArray) -> FloatArray:
        """Expected log-densities (n, d)."""

    @abstractmethod
    def log_density(self, y: FloatArray, x: FloatArray) -> FloatArray:
        """log p(x | y), entry by entry."""

    @abstractmethod
    def draw(self, y: FloatArray, random_state: Any) -> FloatArray:
        """Observables for outputs."""

    @abstractmethod
    def mean(self, y: FloatArray) -> FloatArray:
        """Expected observables for outputs."""

    # Functions of sums over rows.

    @abstractmethod
    def log_likelihood(self, sums: Sums) -> float:
        """Sum of the expected log-densities."""

    @abstractmethod
    def pseudo_entropy(self, sums: Sums) -> float:
        """Sum of the expected pseudo entropies, W(51)."""

    def base_measure(self, sums: Sums) -> float:
        """Sum of the logarithms of the base measure."""
        return 0.0

    def penalty(self, sums: Sums, ridge: float) -> float:
        """The ridge's term, which is subtracted from the sum of log-likelihoods, and added to the entropy sum."""
        return 0.0

    def polish(self, sums: Sums, *, tied: bool, ridge: float) -> Observable:
        """Set the optimal values of the parameters that do not belong to the decoder."""
        return self

    def as_trained(self) -> Observable:
        """The same observables, with the steps of posteriors using the current parameters."""
        return self

    def output_scale(self, sums: Sums) -> float:
        """The factor by which to multiply the outputs: a Newton step towards the optimum."""
        return 1.0

    def scaled(self, factor: float) -> Self:
        """The observables for outputs multiplied by a factor, which must not affect the steps of posteriors."""
        return self

    # For training.

    @abstractmethod
    def pull(self, y: FloatArray, x: FloatArray, ridge: float = 0.0) -> tuple[FloatArray, FloatArray]:
        """Derivative in y (n, o) of log p(x | y) minus the ridge's term, and statistics (k, n, d); ``y`` is overwritten."""


@dataclass(frozen=True)
class GaussianNoise(Observable):
    """N(y, diag(noise)); its statistics are expected squared residuals.

    Attributes
    ----------
    noise, step_noise : (d,)
        Noise variances, and those of the model before its polish, which the steps of posteriors use.
    """

    noise: FloatArray
    step_noise: FloatArray

    n_statistics: ClassVar[int] = 1

    @classmethod
    def of(cls, noise: FloatArray) -> Self:
        """Noise with these variances, also for the steps of posteriors."""
        return cls(noise, noise)

    def expect(self, y: FloatArray, x: FloatArray, shares: FloatArray) -> tuple[Fit, FloatArray, FloatArray]:
        expected = np.tensordot(shares, y, axes=1)
        y -= x
        y *= y
        squares = np.tensordot(shares, y, axes=1)
        precision = 1.0 / self.step_noise
        return Fit(-0.5 * squares * precision, (x - expected) * precision, precision), expected, squares[np.newaxis]

    def expected_log_density(self, statistics: FloatArray, x: FloatArray) -> FloatArray:
        return np.asarray(-0.5 * (LOG_2PI + np.log(self.noise) + statistics[0] / self.noise))

    def log_density(self, y: FloatArray, x: FloatArray) -> FloatArray:
        return np.asarray(-0.5 * (LOG_2PI + np.log(self.noise) + (x - y) ** 2 / self.noise))

    def draw(self, y: FloatArray, random_state: Any) -> FloatArray:
        return np.asarray(y + random_state.normal(size=y.shape) * np.sqrt(self.noise))

    def mean(self, y: FloatArray) -> FloatArray:
        return y

    def log_likelihood(self, sums: Sums) -> float:
        return float(-0.5 * (sums.observed @ (LOG_2PI + np.log(self.noise)) + sums.statistics[0] @ (1.0 / self.noise)))

    def pseudo_entropy(self, sums: Sums) -> float:
        return float(0.5 * sums.observed @ (1.0 + LOG_2PI + np.log(self.noise)))

    def penalty(self, sums: Sums, ridge: float) -> float:
        return float(0.5 * ridge * self._exposure(sums) @ (1.0 / self.noise))

    def polish(self, sums: Sums, *, tied: bool, ridge: float) -> Self:
        best = best_noise(sums.statistics[0], ridge * self._exposure(sums), sums.observed, tied=tied)
        return replace(self, noise=np.maximum(best, NOISE_FLOOR))

    def _exposure(self, sums: Sums) -> FloatArray:
        """The weights (d,) with which the ridge on the noise variances counts."""
        return sums.observed

    def as_trained(self) -> Self:
        return self.of(self.noise)

    def pull(self, y: FloatArray, x: FloatArray, ridge: float = 0.0) -> tuple[FloatArray, FloatArray]:
        y -= x
        squares = y * y
        y /= -self.noise.astype(y.dtype)
        return y, squares[np.newaxis]


@dataclass(frozen=True)
class HeteroscedasticNoise(GaussianNoise):
    """N(mu, diag(noise exp(v))) with the outputs y = (mu, v) of a decoder.

    Its statistics are the expected (x - mu)^2 exp(-v), v and exp(-v). ``noise`` replaces an offset of v, and has a closed
    form.
    """

    n_outputs: ClassVar[int] = 2
    n_statistics: ClassVar[int] = 3

    # The largest deviation of logarithms of variances from those of the noise.
    _LARGEST: ClassVar[float] = 8.0

    def _split(self, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        mu, v = np.split(y, 2, axis=-1)
        return mu, np.clip(v, -self._LARGEST, self._LARGEST)

    def expect(self, y: FloatArray, x: FloatArray, shares: FloatArray) -> tuple[Fit, FloatArray, FloatArray]:
        mu, v = self._split(y)
        residual, shrink = x - mu, np.exp(-v)
        squares, mean_v, mean_shrink = (np.tensordot(shares, s, axes=1) for s in (residual * residual * shrink, v, shrink))
        precision = 1.0 / self.step_noise
        # In v the derivatives are those of -1/2 (v + r^2 exp(-v) / noise), and zero where v is at a limit.
        inside = np.abs(v) < self._LARGEST
        share, bend = (np.tensordot(shares, s * inside, axes=1) for s in (np.ones_like(v), residual * residual * shrink))
        pull = [np.tensordot(shares, residual * shrink, axes=1) * precision, 0.5 * (bend * precision - share)]
        curvature = [mean_shrink * precision, 0.5 * bend * precision]
        fit = Fit(-0.5 * (mean_v + squares * precision), np.hstack(pull), np.hstack(curvature))
        return fit, np.tensordot(shares, mu, axes=1), np.stack([squares, mean_v, mean_shrink])

    def expected_log_density(self, statistics: FloatArray, x: FloatArray) -> FloatArray:
        return super().expected_log_density(statistics, x) - 0.5 * statistics[1]

    def log_density(self, y: FloatArray, x: FloatArray) -> FloatArray:
        mu, v = self._split(y)
        return np.asarray(-0.5 * (LOG_2PI + np.log(self.noise) + v + (x - mu) ** 2 * np.exp(-v) / self.noise))

    def draw(self, y: FloatArray, random_state: Any) -> FloatArray:
        mu, v = self._split(y)
        return np.asarray(mu + random_state.normal(size=mu.shape) * np.sqrt(self.noise * np.exp(v)))

    def mean(self, y: FloatArray) -> FloatArray:
        return self._split(y)[0]

    def log_likelihood(self, sums: Sums) -> float:
        return super().log_likelihood(sums) - 0.5 * float(sums.statistics[1].sum())

    def pseudo_entropy(self, sums: Sums) -> float:
        return super().pseudo_entropy(sums) + 0.5 * float(sums.statistics[1].sum())

    def _exposure(self, sums: Sums) -> FloatArray:
        return np.asarray(sums.statistics[2])

    def pull(self, y: FloatArray, x: FloatArray, ridge: float = 0.0) -> tuple[FloatArray, FloatArray]:
        mu, v = self._split(y)
        residual, shrink, noise = x - mu, np.exp(-v), self.noise.astype(y.dtype)
        squares = residual * residual * shrink
        bend = 0.5 * ((squares + y.dtype.type(ridge) * shrink) / noise - 1)
        bend[abs(v) >= self._LARGEST] = 0
        return np.hstack([residual * shrink / noise, bend]), np.stack([squares, v, shrink])


def best_noise(squares: FloatArray, ridges: FloatArray, observed: FloatArray, *, tied: bool) -> FloatArray:
    """The noise variances that maximise the likelihood minus the ridge's term, (d,); 1 if nothing was observed.

    ``squares`` and ``ridges`` are sums over the rows.
    """
    if tied:
        return np.full(len(squares), (squares + ridges).sum() / observed.sum())
    return np.divide(squares + ridges, observed, out=np.ones_like(squares), where=observed > 0)


@dataclass(frozen=True)
class Canonical(Observable):
    """A family log p(x | y) = x y - A(y) + log h(x), y its natural parameter.

    Its statistics are x y - A(y), the pseudo entropy A(y) - y A'(y), y^2 A''(y) and log h(x).

    Attributes
    ----------
    step_scale : float
        The factor of the outputs in the steps of posteriors, which use the model before its polish.
    """

    step_scale: float = 1.0

    n_statistics: ClassVar[int] = 4

    @abstractmethod
    def log_partition(self, y: FloatArray) -> FloatArray:
        """A(y)."""

    @abstractmethod
    def moments(self, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        """A'(y) and A''(y)."""

    @abstractmethod
    def natural(self, mean: FloatArray) -> FloatArray:
        """y for means, which are kept away from their limits."""

    @abstractmethod
    def log_base_measure(self, x: FloatArray) -> FloatArray:
        """log h(x)."""

    def limited(self, y: FloatArray) -> FloatArray:
        """The natural parameters of outputs, which may have limits."""
        return y

    def _statistics(self, y: FloatArray, x: FloatArray, mean: FloatArray, variance: FloatArray) -> list[FloatArray]:
        partition = self.log_partition(y)
        return [x * y - partition, partition - y * mean, y * y * variance]

    def expect(self, y: FloatArray, x: FloatArray, shares: FloatArray) -> tuple[Fit, FloatArray, FloatArray]:
        n, d = x.shape
        expected, curvature, value = np.zeros((n, d)), np.zeros((n, d)), np.zeros((n, d))
        means, statistics = np.zeros((n, d)), np.zeros((self.n_statistics, n, d))
        for share, outputs in zip(shares, y, strict=True):
            step, own = self.limited(self.step_scale * outputs), self.limited(outputs)
            mean, variance = self.moments(step)
            expected += share * mean
            curvature += share * self.step_scale**2 * variance
            value += share * (x * step - self.log_partition(step))
            if self.step_scale != 1.0:
                mean, variance = self.moments(own)
            means += share * mean
            statistics[:3] += share * np.stack(self._statistics(own, x, mean, variance))
        statistics[3] = self.log_base_measure(x)
        return Fit(value, self.step_scale * (x - expected), curvature), means, statistics

    def expected_log_density(self, statistics: FloatArray, x: FloatArray) -> FloatArray:
        return np.asarray(statistics[0] + statistics[3])

    def log_density(self, y: FloatArray, x: FloatArray) -> FloatArray:
        y = self.limited(y)
        return x * y - self.log_partition(y) + self.log_base_measure(x)

    def mean(self, y: FloatArray) -> FloatArray:
        return self.moments(y)[0]

    def log_likelihood(self, sums: Sums) -> float:
        return float(sums.statistics[0].sum() + sums.statistics[3].sum())

    def pseudo_entropy(self, sums: Sums) -> float:
        return float(sums.statistics[1].sum())

    def base_measure(self, sums: Sums) -> float:
        return float(sums.statistics[3].sum())

    def output_scale(self, sums: Sums) -> float:
        # The derivative of the likelihood in the factor is E[x y - y A'(y)]: the first two statistics together.
        slope, curvature = float(sums.statistics[:2].sum()), float(sums.statistics[2].sum())
        return 1.0 + float(np.clip(slope / curvature, -0.5, 0.5)) if curvature > 0 else 1.0

    def scaled(self, factor: float) -> Self:
        return replace(self, step_scale=self.step_scale / factor)

    def pull(self, y: FloatArray, x: FloatArray, ridge: float = 0.0) -> tuple[FloatArray, FloatArray]:
        y = self.limited(y)
        mean, variance = self.moments(y)
        return x - mean, np.stack([*self._statistics(y, x, mean, variance), self.log_base_measure(x)])


class BernoulliOutputs(Canonical):
    """Zeros and ones; y are logits."""

    def log_partition(self, y: FloatArray) -> FloatArray:
        return np.maximum(y, 0) + np.log(1 + np.exp(-np.abs(y)))

    def moments(self, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        p = expit(y)
        return p, p * (1 - p)

    def natural(self, mean: FloatArray) -> FloatArray:
        return np.asarray(logit(np.clip(mean, _LEAST_MEAN, 1.0 - _LEAST_MEAN)))

    def log_base_measure(self, x: FloatArray) -> FloatArray:
        return np.zeros_like(x)

    def draw(self, y: FloatArray, random_state: Any) -> FloatArray:
        return (random_state.uniform(size=y.shape) < expit(y)).astype(np.float64)


class PoissonOutputs(Canonical):
    """Counts; y are the logarithms of rates."""

    def limited(self, y: FloatArray) -> FloatArray:
        return np.minimum(y, y.dtype.type(np.log(LARGEST_RATE)))

    def log_partition(self, y: FloatArray) -> FloatArray:
        return np.exp(self.limited(y))

    def moments(self, y: FloatArray) -> tuple[FloatArray, FloatArray]:
        rate = self.log_partition(y)
        return rate, rate

    def natural(self, mean: FloatArray) -> FloatArray:
        return np.log(np.maximum(mean, _LEAST_MEAN))

    def log_base_measure(self, x: FloatArray) -> FloatArray:
        return np.asarray(-gammaln(x + 1))

    def draw(self, y: FloatArray, random_state: Any) -> FloatArray:
        return np.asarray(random_state.poisson(self.log_partition(y)), dtype=np.float64)


OBSERVABLES = {kind.__name__: kind for kind in (GaussianNoise, HeteroscedasticNoise, BernoulliOutputs, PoissonOutputs)}
