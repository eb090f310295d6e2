"""Gaussian variational autoencoders with given parameters: posteriors, ELBO, entropy sum, and the polish; all in NumPy."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np

from .._columns import has_nan
from .._typing import FloatArray
from ..decomposition._gaussian import LOG_2PI, LinearGaussian
from ..entropy import EntropySum
from ._perceptron import Perceptron

# Log variances of posteriors that an encoder may say, in the units of the prior.
LOG_VARIANCES = (-30.0, 20.0)
# Steps that each row's posterior takes from where the encoder puts it. On digits the first brings 4.4 nats, a second 0.2.
_STEPS = 2
# A step that gains less than this, in nats, is rounding; one that loses is tried again, so much shorter.
_LEAST_GAIN, _SHORTER = 1e-9, 0.3


@dataclass(frozen=True)
class Observations:
    """Rows in units of their scale.

    Attributes
    ----------
    x : (n, d), zero where nothing is observed
    observed : (n, d) of ones and zeros, or None where all is
    filled : (n, d), what the encoder reads: x, and the conditional means of a linear model in its gaps
    """

    x: FloatArray
    observed: FloatArray | None
    filled: FloatArray

    @property
    def mask(self) -> FloatArray:
        """What is observed, as ones and zeros."""
        return np.ones_like(self.x) if self.observed is None else self.observed


@dataclass(frozen=True)
class Units:
    """Where the data lie and how far they spread, by one number for all columns, and a linear model that fills gaps.

    Attributes
    ----------
    location : (d,)
    scale : float
    filling : tuple of arrays
        Mean (d,), loadings (d, k) and noise variances (d,) of (x - location) / scale.
    """

    location: FloatArray
    scale: float
    filling: tuple[FloatArray, FloatArray, FloatArray]

    def observe(self, X: FloatArray) -> Observations:
        """Rows of the data in these units."""
        x = (X - self.location) / self.scale
        if not has_nan(X):
            return Observations(x, None, x)
        missing = np.isnan(x)
        mean, loadings, _ = self.filling
        expected = LinearGaussian.of(*self.filling).posterior_means(x) @ loadings.T + mean
        return Observations(np.where(missing, 0.0, x), (~missing).astype(np.float64), np.where(missing, expected, x))


@dataclass(frozen=True)
class Posteriors:
    """Gaussian posteriors of n rows with independent latents, and what the decoder says under them.

    Attributes
    ----------
    means, variances : (n, h)
    expected : (n, d), expected means of the observables
    squares : (n, d), expected squared residuals
    """

    means: FloatArray
    variances: FloatArray
    expected: FloatArray
    squares: FloatArray


@dataclass(frozen=True)
class Sums:
    """What ELBO and entropy sum need of rows, each sum with the rows' weights; additive.

    Attributes
    ----------
    weight : float
    observed : (d,), weight of the observed entries
    squares : (d,), of the expected squared residuals of these entries
    first, second, log_variance : (h,), of the posteriors' means, their second moments and log variances
    """

    weight: float
    observed: FloatArray
    squares: FloatArray
    first: FloatArray
    second: FloatArray
    log_variance: FloatArray

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @property
    def is_finite(self) -> bool:
        """Whether nothing overflowed."""
        return all(bool(np.isfinite(getattr(self, field.name)).all()) for field in fields(self))

    def with_empty_rows(self, weight: float) -> Sums:
        """The sums with further rows of which nothing is observed, and whose posterior is the prior."""
        return replace(self, weight=self.weight + weight, second=self.second + weight)

    @classmethod
    def of(cls, posteriors: Posteriors, observations: Observations, weight: FloatArray) -> Sums:
        """The sums over some rows."""
        m, v = posteriors.means, posteriors.variances
        mask = observations.mask
        return cls(
            weight=float(weight.sum()),
            observed=weight @ mask,
            squares=weight @ (posteriors.squares * mask),
            first=weight @ m,
            second=weight @ (m * m + v),
            log_variance=weight @ np.log(v),
        )

    def noise(self, *, tied: bool, ridge: float) -> FloatArray:
        """The noise variances that maximise the ELBO less the ridge's term, (d,)."""
        if tied:
            return np.full(len(self.squares), self.squares.sum() / self.observed.sum() + ridge)
        return np.asarray(self.squares / self.observed + ridge)

    def elbo(self, noise: FloatArray) -> float:
        """Mean ELBO (theory of the linear case: W(25)), in the data's own units of scale."""
        reconstruction = self.observed @ (LOG_2PI + np.log(noise)) + self.squares @ (1.0 / noise)
        divergence = (self.second - self.weight - self.log_variance).sum()
        return float(-0.5 * (reconstruction + divergence) / self.weight)

    def penalty(self, noise: FloatArray, ridge: float) -> float:
        """What the ridge on the noise variances takes from the objective, and adds to the entropy sum."""
        return float(0.5 * ridge * (self.observed @ (1.0 / noise)) / self.weight)

    def entropy_sum(self, noise: FloatArray, *, ridge: float, log_scale: float = 0.0) -> EntropySum:
        """Entropies of posteriors, prior and observables, W(3), of data that were divided by a scale."""
        h = len(self.first)
        return EntropySum(
            posterior=0.5 * (h * (1.0 + LOG_2PI) + float(self.log_variance.sum()) / self.weight),
            prior=0.5 * h * (1.0 + LOG_2PI),
            observable=0.5 * float(self.observed @ (1.0 + LOG_2PI + np.log(noise) + 2.0 * log_scale)) / self.weight,
            penalty=self.penalty(noise, ridge),
        )

    def standardised(self) -> tuple[Sums, FloatArray, FloatArray]:
        """The sums for latents z' = (z - c) / a whose aggregate posterior has mean 0 and second moment 1; c and a."""
        c = self.first / self.weight
        a = np.sqrt(np.maximum(self.second / self.weight - c * c, np.finfo(np.float64).tiny))
        new = replace(
            self,
            first=np.zeros_like(c),
            second=np.full_like(c, self.weight),
            log_variance=self.log_variance - 2.0 * self.weight * np.log(a),
        )
        return new, c, a


@dataclass(frozen=True)
class Autoencoder:
    """z ~ N(0, I), x | z ~ N(decoder(z), diag(noise)), and posteriors that start from an encoder.

    The encoder's posteriors are refined by a few steps, the same for a row whatever the other rows are. These steps go by
    the model as it was before its polish, whose noise and whose prior in the present coordinates are kept for them.

    Attributes
    ----------
    encoder : Perceptron
        Filled rows -> means and log variances of the posteriors.
    decoder : Perceptron
        Latents -> means of the observables.
    noise : (d,)
    step_noise : (d,)
    step_prior : tuple of (h,), (h,)
        Mean and precision.
    """

    encoder: Perceptron
    decoder: Perceptron
    noise: FloatArray
    step_noise: FloatArray
    step_prior: tuple[FloatArray, FloatArray]

    @classmethod
    def trained(cls, encoder: Perceptron, decoder: Perceptron, noise: FloatArray) -> Self:
        """The model as training left it."""
        h = len(decoder.coefs[0])
        return cls(encoder.astype(np.float64), decoder.astype(np.float64), noise, noise, (np.zeros(h), np.ones(h)))

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> Self:
        """The inverse of ``dataclasses.asdict``."""
        nets = {name: Perceptron(**state[name]) for name in ("encoder", "decoder")}
        return cls(**{**state, **nets})

    @property
    def n_latents(self) -> int:
        return len(self.decoder.coefs[0])

    def encode(self, observations: Observations) -> tuple[FloatArray, FloatArray]:
        """Means and variances as the encoder has them."""
        h, outputs = self.n_latents, self.encoder(observations.filled)
        return outputs[:, :h], np.exp(np.clip(outputs[:, h:], *LOG_VARIANCES))

    def posteriors(self, observations: Observations) -> Posteriors:
        """Refined posteriors; where nothing of a row is observed, the prior."""
        x, mask = observations.x, observations.mask
        means, variances = self.encode(observations)
        best = _Expansion.at(self, means, variances, x)
        score, length = self._step_score(best, mask), np.ones(len(x))
        for _ in range(_STEPS):
            target, precision = self._linear_posterior(best, x, mask)
            means = best.means + length[:, np.newaxis] * (target - best.means)
            log_variances = np.log(best.variances) - length[:, np.newaxis] * np.log(precision * best.variances)
            tried = _Expansion.at(self, means, np.exp(log_variances), x)
            new = self._step_score(tried, mask)
            better = new > score + _LEAST_GAIN
            best, score = best.replaced(tried, better), np.where(better, new, score)
            length = np.where(better, 1.0, _SHORTER * length)
        if observations.observed is not None:
            empty = ~mask.any(axis=1)
            if empty.any():
                h = self.n_latents
                best = best.replaced(_Expansion.at(self, np.zeros((len(x), h)), np.ones((len(x), h)), x), empty)
        return Posteriors(best.means, best.variances, best.expected, best.squares)

    def _step_score(self, expansion: _Expansion, mask: FloatArray) -> FloatArray:
        """Of each row the ELBO that steps are judged by, less what they do not change."""
        mean, precision = self.step_prior
        fit = (expansion.squares * mask) @ (1.0 / self.step_noise)
        divergence = ((expansion.means - mean) ** 2 + expansion.variances) @ precision - np.log(expansion.variances).sum(1)
        return np.asarray(-0.5 * (fit + divergence))

    def _linear_posterior(self, expansion: _Expansion, x: FloatArray, mask: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means and precisions of the best independent Gaussians for the decoder's statistical linearisation."""
        mean, precision = self.step_prior
        slopes = expansion.slopes * np.sqrt(mask / self.step_noise)[:, np.newaxis, :]
        gram = slopes @ slopes.transpose(0, 2, 1)
        gram += np.diag(precision)
        residual = (x - expansion.expected) * mask / self.step_noise
        pull = np.matmul(expansion.slopes, residual[:, :, np.newaxis])[:, :, 0] - precision * (expansion.means - mean)
        step = np.linalg.solve(gram, pull[:, :, np.newaxis])[:, :, 0]
        return expansion.means + step, np.diagonal(gram, axis1=1, axis2=2)

    def sums(self, observations: Observations, weight: FloatArray) -> Sums:
        """What ELBO and entropy sum need of some rows."""
        return Sums.of(self.posteriors(observations), observations, weight)

    def elbo_of_rows(self, observations: Observations) -> FloatArray:
        """ELBO of each row, in the data's own units of scale."""
        posteriors = self.posteriors(observations)
        m, v = posteriors.means, posteriors.variances
        logs = observations.mask @ (LOG_2PI + np.log(self.noise))
        fit = (posteriors.squares * observations.mask) @ (1.0 / self.noise)
        return np.asarray(-0.5 * (logs + fit + (m * m + v - 1.0 - np.log(v)).sum(axis=1)))

    def importance_weighted(self, observations: Observations, n_samples: int, rng: Any) -> FloatArray:
        """Logarithm of each row's mean importance weight, p(x, z) / q(z) with z from q (Burda et al. 2016, Eqn. 8)."""
        posteriors, mask = self.posteriors(observations), observations.mask
        m, tau = posteriors.means, np.sqrt(posteriors.variances)
        logs = mask @ (LOG_2PI + np.log(self.noise)) - 2.0 * np.log(tau).sum(axis=1)
        weights = np.empty((n_samples, len(m)))
        for sample in range(n_samples):
            draws = rng.standard_normal(m.shape)
            z = m + tau * draws
            fit = ((observations.x - self.decoder(z)) ** 2 * mask) @ (1.0 / self.noise)
            weights[sample] = -0.5 * (logs + fit + (z * z - draws * draws).sum(axis=1))
        largest = weights.max(axis=0)
        return np.asarray(largest + np.log(np.exp(weights - largest).mean(axis=0)))

    def in_latents(self, c: FloatArray, a: FloatArray, order: Any) -> Self:
        """The same model of the data for the latents (z - c) / a, in another order, under a standard normal prior."""
        h, encoder, decoder = self.n_latents, self.encoder, self.decoder
        mean, precision = self.step_prior
        last, offsets = encoder.coefs[-1].copy(), encoder.intercepts[-1].copy()
        last[:, :h] /= a
        offsets[:h] = (offsets[:h] - c) / a
        offsets[h:] -= 2.0 * np.log(a)
        both = np.concatenate([order, h + np.asarray(order)])
        new_encoder = replace(
            encoder,
            coefs=[*encoder.coefs[:-1], last[:, both]],
            intercepts=[*encoder.intercepts[:-1], offsets[both]],
            linear=(encoder.linear / a)[:, order],
        )
        shifted = [*decoder.intercepts]
        shifted[0] = shifted[0] + c @ decoder.coefs[0]
        shifted[-1] = shifted[-1] + c @ decoder.linear
        new_decoder = replace(
            decoder,
            coefs=[(a[:, np.newaxis] * decoder.coefs[0])[order], *decoder.coefs[1:]],
            intercepts=shifted,
            linear=(a[:, np.newaxis] * decoder.linear)[order],
        )
        prior = (((mean - c) / a)[order], (precision * a * a)[order])
        return replace(self, encoder=new_encoder, decoder=new_decoder, step_prior=prior)


@dataclass(frozen=True)
class _Expansion:
    """The decoder under the posteriors of n rows, by the 2 H + 1 nodes of a cubature rule of degree 3.

    The nodes are the mean, with weight 2 / (H + 2), and the mean plus and minus sqrt(H + 2) standard deviations along each
    latent, with weight 1 / (2 (H + 2)).

    Attributes
    ----------
    means, variances : (n, h)
    expected : (n, d), of the decoder's outputs
    squares : (n, d), expected squared residuals
    slopes : (n, h, d), of the decoder's best linear approximation under the posterior
    """

    means: FloatArray
    variances: FloatArray
    expected: FloatArray
    squares: FloatArray
    slopes: FloatArray

    @classmethod
    def at(cls, model: Autoencoder, means: FloatArray, variances: FloatArray, x: FloatArray) -> Self:
        n, h = means.shape
        radius = np.sqrt(h + 2.0)
        offsets = radius * np.sqrt(variances)
        z = np.repeat(means[np.newaxis], 2 * h + 1, axis=0)
        latents = np.arange(h)
        z[1 + latents, :, latents] += offsets.T
        z[1 + h + latents, :, latents] -= offsets.T
        y = model.decoder(z.reshape(-1, h)).reshape(2 * h + 1, n, -1)
        slopes = (y[1 : h + 1] - y[h + 1 :]).transpose(1, 0, 2) / (2.0 * offsets[:, :, np.newaxis])
        centre, side = 2.0 / (h + 2.0), 0.5 / (h + 2.0)
        expected = centre * y[0] + side * y[1:].sum(axis=0)
        y -= x
        y *= y
        return cls(means, variances, expected, centre * y[0] + side * y[1:].sum(axis=0), slopes)

    def replaced(self, other: _Expansion, rows: Any) -> _Expansion:
        """The rows that are marked from another expansion."""
        return _Expansion(
            *(
                np.where(rows.reshape(-1, *[1] * (mine.ndim - 1)), theirs, mine)
                for mine, theirs in ((getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
            )
        )


def polished(model: Autoencoder, sums: Sums, *, tied: bool, ridge: float, floor: float) -> tuple[Autoencoder, Sums]:
    """Best noise variances, and best offsets and scales of the latents, for the posteriors that the sums are of.

    Afterwards the ELBO of these posteriors is their entropy sum, whatever was trained and however long, and the decoder
    says the same of the data as before. The latents are put in the order of their information.
    """
    noise = np.maximum(sums.noise(tied=tied, ridge=ridge), floor)
    new, c, a = sums.standardised()
    order = np.argsort(new.log_variance, kind="stable")
    new = replace(new, log_variance=new.log_variance[order])
    return replace(model.in_latents(c, a, order), noise=noise), new
