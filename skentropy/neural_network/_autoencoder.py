"""Variational autoencoders with given parameters: posteriors, ELBO, entropy sum and polish, in NumPy."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

import numpy as np

from .._linalg import LOG_2PI
from .._typing import FloatArray
from ._linear_decoder import LinearDecoder
from ._perceptron import Perceptron
from ._vae_observables import OBSERVABLES, GaussianNoise, Observable
from ._vae_prior import PRIORS, Prior
from ._vae_sums import Posteriors, Sums
from ._vae_units import Observations

# Limits of an encoder's log variances, in the units of the prior.
LOG_VARIANCES = (-30.0, 20.0)
# Number of steps of each row's posterior from that of the encoder. On digits the first gains 4.4 nats, the second 0.2.
_STEPS = 2
# A gain below the first number, in nats, is a rounding error. A step that loses is repeated, shorter by the second.
_LEAST_GAIN, _SHORTER = 1e-9, 0.3


@dataclass(frozen=True)
class Autoencoder:
    """z ~ prior, x | z ~ p(x | decoder(z)), and Gaussian posteriors that start from an encoder.

    A few steps refine the encoder's posteriors; the steps of a row do not depend on other rows. The steps use the model
    before its polish: the observable stores its earlier parameters, and ``step_prior`` the earlier prior in the current
    coordinates.

    Attributes
    ----------
    encoder : Perceptron
        Filled rows -> means and log variances of the posteriors.
    decoder : Perceptron
        Latents -> means, or natural parameters, of the observables.
    observable : Observable
    prior : Prior
    step_prior : tuple of (h,), (h,)
        Centre and scale of the prior that the steps use.
    """

    encoder: Perceptron
    decoder: Perceptron
    observable: Observable
    prior: Prior
    step_prior: tuple[FloatArray, FloatArray]

    @classmethod
    def trained(cls, encoder: Perceptron, decoder: Perceptron, observable: Observable, prior: Prior) -> Self:
        """The model at the end of training."""
        h = len(decoder.coefs[0])
        return cls(encoder.astype(np.float64), decoder.astype(np.float64), observable, prior, (np.zeros(h), np.ones(h)))

    @property
    def state(self) -> dict[str, Any]:
        """The model as a dict of arrays and names only."""
        return {
            "encoder": asdict(self.encoder),
            "decoder": asdict(self.decoder),
            "observable": (type(self.observable).__name__, vars(self.observable)),
            "prior": self.prior.name,
            "step_prior": self.step_prior,
        }

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> Self:
        """The inverse of ``state``."""
        kind, parameters = state["observable"]
        return cls(
            Perceptron(**state["encoder"]),
            Perceptron(**state["decoder"]),
            OBSERVABLES[kind](**parameters),
            PRIORS[state["prior"]],
            state["step_prior"],
        )

    @property
    def n_latents(self) -> int:
        return len(self.decoder.coefs[0])

    def encode(self, observations: Observations) -> tuple[FloatArray, FloatArray]:
        """Means and variances from the encoder."""
        h, outputs = self.n_latents, self.encoder(observations.filled)
        return outputs[:, :h], np.exp(np.clip(outputs[:, h:], *LOG_VARIANCES))

    def posteriors(self, observations: Observations) -> Posteriors:
        """Refined posteriors; for a row without observed entries the Gaussian nearest to the prior."""
        if self._has_linear_decoder:
            best = _Expansion.at(self, *self._exact_posteriors(observations), observations.x)
        else:
            best = self._refine(observations)
        if observations.missing is not None:
            empty = observations.missing.all(axis=1)
            if empty.any():
                centre = np.zeros_like(best.means)
                nearest = np.full_like(best.means, self.prior.nearest_variance)
                best = best.replaced(_Expansion.at(self, centre, nearest, observations.x), empty)
        return Posteriors(best.means, best.variances, best.expected, np.moveaxis(best.statistics, 1, 0))

    @property
    def _has_linear_decoder(self) -> bool:
        return self.decoder.is_linear and type(self.observable) is GaussianNoise

    @property
    def linear_decoder(self) -> LinearDecoder:
        """The decoder as a linear decoder with its noise variances."""
        assert isinstance(self.observable, GaussianNoise)
        return LinearDecoder(self.decoder.slopes, self.decoder.intercepts[-1], self.observable.noise)

    def _exact_posteriors(self, observations: Observations) -> tuple[FloatArray, FloatArray]:
        """The optimal means and variances for a linear decoder."""
        assert isinstance(self.observable, GaussianNoise)
        decoder = replace(self.linear_decoder, noise=self.observable.step_noise)
        return decoder.posteriors(observations, self.prior, *self.step_prior)

    def _refine(self, observations: Observations) -> _Expansion:
        """Refine the encoder's posteriors by steps, each towards the optimal posterior for the linearised decoder."""
        x, mask = observations.x, observations.mask
        best = _Expansion.at(self, *self.encode(observations), x)
        score, length = self._step_score(best, mask), np.ones(len(x))
        for _ in range(_STEPS):
            target, precision = self._linear_posterior(best, mask)
            means = best.means + length[:, np.newaxis] * (target - best.means)
            log_variances = np.log(best.variances) - length[:, np.newaxis] * np.log(precision * best.variances)
            tried = _Expansion.at(self, means, np.exp(log_variances), x)
            new = self._step_score(tried, mask)
            better = new > score + _LEAST_GAIN
            best, score = best.replaced(tried, better), np.where(better, new, score)
            length = np.where(better, 1.0, _SHORTER * length)
        return best

    def _step_score(self, expansion: _Expansion, mask: FloatArray) -> FloatArray:
        """The part of each row's ELBO that steps change, which decides whether a step is kept."""
        centre, scale = self.step_prior
        m, v = (expansion.means - centre) / scale, expansion.variances / scale**2
        return np.asarray((expansion.value * mask).sum(axis=1) - self.prior.divergence(m, v).sum(axis=1))

    def _linear_posterior(self, expansion: _Expansion, mask: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means and precisions of the optimal independent Gaussians for the decoder's statistical linearisation."""
        centre, scale = self.step_prior
        m, v = (expansion.means - centre) / scale, expansion.variances / scale**2
        mask = np.tile(mask, self.observable.n_outputs)
        slopes = expansion.slopes * np.sqrt(mask * expansion.curvature)[:, np.newaxis, :]
        gram = slopes @ slopes.transpose(0, 2, 1)
        latents = np.arange(self.n_latents)
        gram[:, latents, latents] += self.prior.curvature(m, v) / scale**2
        pull = np.matmul(expansion.slopes, (expansion.pull * mask)[:, :, np.newaxis])[:, :, 0]
        pull -= self.prior.slope(m, v) / scale
        step = np.linalg.solve(gram, pull[:, :, np.newaxis])[:, :, 0]
        return expansion.means + step, gram[:, latents, latents]

    def sums(self, observations: Observations, weight: FloatArray) -> Sums:
        """The sums over rows that ELBO and entropy sum need."""
        return Sums.of(self.prior, self.posteriors(observations), observations, weight)

    def elbo_of_rows(self, observations: Observations) -> FloatArray:
        """ELBO of each row, in the units of the likelihood."""
        posteriors = self.posteriors(observations)
        fit = self.observable.expected_log_density(posteriors.statistics, observations.x) * observations.mask
        divergence = self.prior.divergence(posteriors.means, posteriors.variances)
        return np.asarray(fit.sum(axis=1) - divergence.sum(axis=1))

    def importance_weighted(self, observations: Observations, n_samples: int, rng: Any) -> FloatArray:
        """Logarithm of each row's mean importance weight, p(x, z) / q(z) with z from q (Burda et al. 2016, Eqn. 8)."""
        posteriors, mask = self.posteriors(observations), observations.mask
        m, tau = posteriors.means, np.sqrt(posteriors.variances)
        log_tau = (np.log(tau) + 0.5 * LOG_2PI).sum(axis=1)
        weights = np.empty((n_samples, len(m)))
        for sample in range(n_samples):
            draws = rng.standard_normal(m.shape)
            z = m + tau * draws
            fit = (self.observable.log_density(self.decoder(z), observations.x) * mask).sum(axis=1)
            weights[sample] = fit + log_tau + (self.prior.log_density(z) + 0.5 * draws * draws).sum(axis=1)
        largest = weights.max(axis=0)
        return np.asarray(largest + np.log(np.exp(weights - largest).mean(axis=0)))

    def in_latents(self, c: FloatArray, a: FloatArray, order: Any) -> Self:
        """The same model of the data with the latents (z - c) / a, in another order, under the same prior."""
        h, encoder, decoder = self.n_latents, self.encoder, self.decoder
        centre, scale = self.step_prior
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
        through = c @ decoder.linear
        shifted[-1] = shifted[-1] + np.pad(through, (0, len(shifted[-1]) - len(through)))
        new_decoder = replace(
            decoder,
            coefs=[(a[:, np.newaxis] * decoder.coefs[0])[order], *decoder.coefs[1:]],
            intercepts=shifted,
            linear=(a[:, np.newaxis] * decoder.linear)[order],
        )
        step_prior = (((centre - c) / a)[order], (scale / a)[order])
        return replace(self, encoder=new_encoder, decoder=new_decoder, step_prior=step_prior)

    def scaled_outputs(self, factor: float) -> Self:
        """The model with the decoder's outputs multiplied by a factor, with the same posteriors."""
        decoder = self.decoder
        new = replace(
            decoder,
            coefs=[*decoder.coefs[:-1], factor * decoder.coefs[-1]],
            intercepts=[*decoder.intercepts[:-1], factor * decoder.intercepts[-1]],
            linear=factor * decoder.linear,
        )
        return replace(self, decoder=new, observable=self.observable.scaled(factor))


@dataclass(frozen=True)
class _Expansion:
    """The decoder under the posteriors of n rows, by the 2 H + 1 nodes of a cubature rule of degree 3.

    The nodes are the mean, with weight 2 / (H + 2), and the mean plus and minus sqrt(H + 2) standard deviations along each
    latent, with weight 1 / (2 (H + 2)).

    Attributes
    ----------
    means, variances : (n, h)
    expected : (n, d), expected means of the observables
    statistics : (n, k, d), see ``Observable``
    value : (n, d), pull, curvature : (n, o), see ``Fit``
    slopes : (n, h, o), of the best linear approximation of the decoder's outputs under the posterior
    """

    means: FloatArray
    variances: FloatArray
    expected: FloatArray
    statistics: FloatArray
    value: FloatArray
    pull: FloatArray
    curvature: FloatArray
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
        y = model.decoder(z.reshape(-1, h))
        y = y.reshape(2 * h + 1, n, y.shape[-1])
        slopes = (y[1 : h + 1] - y[h + 1 :]).transpose(1, 0, 2) / (2.0 * offsets[:, :, np.newaxis])
        shares = np.full(2 * h + 1, 0.5 / (h + 2.0))
        shares[0] = 2.0 / (h + 2.0)
        fit, expected, statistics = model.observable.expect(y, x, shares)
        curvature = np.broadcast_to(fit.curvature, fit.pull.shape)
        return cls(means, variances, expected, np.moveaxis(statistics, 0, 1), fit.value, fit.pull, curvature, slopes)

    def replaced(self, other: _Expansion, rows: Any) -> _Expansion:
        """Take the marked rows from another expansion."""
        return _Expansion(
            *(
                np.where(rows.reshape(-1, *[1] * (mine.ndim - 1)), theirs, mine)
                for mine, theirs in ((getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
            )
        )


def polish(model: Autoencoder, sums: Sums, *, tied: bool, ridge: float) -> tuple[Autoencoder, Sums]:
    """Set the optimal noise variances, and the optimal offsets and scales of the latents, for the posteriors of the sums.

    Afterwards the ELBO of these posteriors is their entropy sum, after training of any length. The new offsets and scales do
    not change the decoder's distribution of the data. The latents are ordered by their information.
    """
    observable = model.observable.polish(sums, tied=tied, ridge=ridge)
    new, c, a = sums.standardised()
    order = np.argsort(new.log_variance, kind="stable")
    new = replace(new, first=new.first[order], log_variance=new.log_variance[order])
    return replace(model.in_latents(c, a, order), observable=observable), new
