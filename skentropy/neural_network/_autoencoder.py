"""Variational autoencoders with given parameters: posteriors, ELBO, entropy sum, and the polish; all in NumPy."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np

from .._data import has_nan
from .._linalg import LOG_2PI
from .._typing import FloatArray
from ..decomposition._gaussian import LinearGaussian
from ..entropy import EntropySum
from ._perceptron import Perceptron
from ._vae_observables import Observable

# Log variances of posteriors that an encoder may say, in the units of the prior.
LOG_VARIANCES = (-30.0, 20.0)
# Steps that each row's posterior takes from where the encoder puts it. On digits the first brings 4.4 nats, a second 0.2.
_STEPS = 2
# A step that gains less than this, in nats, is rounding; one that loses is tried again, so much shorter.
_LEAST_GAIN, _SHORTER = 1e-9, 0.3


@dataclass(frozen=True)
class Observations:
    """Rows in the units of their likelihood.

    Attributes
    ----------
    x : (n, d), zero where nothing is observed
    observed : (n, d) of ones and zeros, or None where all is
    filled : (n, d), what the encoder reads: standardised rows, and the conditional means of a linear model in their gaps
    """

    x: FloatArray
    observed: FloatArray | None
    filled: FloatArray

    @property
    def mask(self) -> FloatArray:
        """What is observed, as ones and zeros."""
        return np.ones_like(self.x) if self.observed is None else self.observed


def binary(X: FloatArray, threshold: float | None) -> FloatArray:
    """1 above a threshold, 0 elsewhere, NaN where it is; X itself without a threshold."""
    return X if threshold is None else np.where(np.isnan(X), np.nan, threshold < X)


@dataclass(frozen=True)
class Units:
    """Where the data lie and how far they spread, by one number for all columns, and a linear model that fills gaps.

    Attributes
    ----------
    location : (d,)
    scale : float
    filling : tuple of arrays
        Mean (d,), loadings (d, k) and noise variances (d,) of (x - location) / scale.
    standardised : bool
        Whether the likelihood, too, is of (x - location) / scale.
    threshold : float or None
        Values above it are 1, others 0.
    """

    location: FloatArray
    scale: float
    filling: tuple[FloatArray, FloatArray, FloatArray]
    standardised: bool = True
    threshold: float | None = None

    @property
    def log_jacobian(self) -> float:
        """What each observed entry adds to the log-density in the data's own units."""
        return -float(np.log(self.scale)) if self.standardised else 0.0

    def observe(self, X: FloatArray) -> Observations:
        """Rows of the data in these units."""
        X = binary(X, self.threshold)
        z = (X - self.location) / self.scale
        x = z if self.standardised else X
        if not has_nan(X):
            return Observations(x, None, z)
        missing = np.isnan(z)
        mean, loadings, _ = self.filling
        expected = LinearGaussian.of(*self.filling).posterior_means(z) @ loadings.T + mean
        return Observations(np.where(missing, 0.0, x), (~missing).astype(np.float64), np.where(missing, expected, z))

    def original(self, x: FloatArray) -> FloatArray:
        """Values of the likelihood in the data's own units."""
        return x * self.scale + self.location if self.standardised else x


@dataclass(frozen=True)
class Posteriors:
    """Gaussian posteriors of n rows with independent latents, and what the decoder says under them.

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
    """What ELBO and entropy sum need of rows, each sum with the rows' weights; additive.

    Attributes
    ----------
    weight : float
    observed : (d,), weight of the observed entries
    statistics : (k, d), of these entries
    first, second, log_variance : (h,), of the posteriors' means, their second moments and log variances
    """

    weight: float
    observed: FloatArray
    statistics: FloatArray
    first: FloatArray
    second: FloatArray
    log_variance: FloatArray

    def __add__(self, other: Sums) -> Sums:
        return Sums(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def in_double(self) -> Sums:
        """The sums in double precision."""
        double: dict[str, Any] = {
            field.name: np.asarray(getattr(self, field.name), dtype=np.float64) for field in fields(self)
        }
        return Sums(**double)

    def followed_by(self, other: Sums, keep: float) -> Sums:
        """A running average: this by a share, and the other by the rest."""
        names = [field.name for field in fields(self)]
        return Sums(*(keep * getattr(self, name) + (1.0 - keep) * getattr(other, name) for name in names))

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
        m, v, mask = posteriors.means, posteriors.variances, observations.mask
        return cls(
            weight=float(weight.sum()),
            observed=weight @ mask,
            statistics=np.stack([weight @ (values * mask) for values in posteriors.statistics]),
            first=weight @ m,
            second=weight @ (m * m + v),
            log_variance=weight @ np.log(v),
        )

    def elbo(self, observable: Observable) -> float:
        """Mean ELBO in the units of the likelihood: expected log-likelihood less divergence from the prior."""
        divergence = 0.5 * float((self.second - self.weight - self.log_variance).sum())
        return (observable.log_likelihood(self) - divergence) / self.weight

    def penalty(self, observable: Observable, ridge: float) -> float:
        """What the ridge takes from the objective, and adds to the entropy sum."""
        return observable.penalty(self, ridge) / self.weight

    def log_jacobian(self, units: Units) -> float:
        """What the ELBO of the data in their own units has more."""
        return float(self.observed.sum()) / self.weight * units.log_jacobian

    def entropy_sum(self, observable: Observable, *, ridge: float, log_jacobian: float = 0.0) -> EntropySum:
        """Entropies of posteriors and prior, pseudo entropy of the observables, and base measure, W(3), W(49), W(50)."""
        h = len(self.first)
        return EntropySum(
            posterior=0.5 * (h * (1.0 + LOG_2PI) + float(self.log_variance.sum()) / self.weight),
            prior=0.5 * h * (1.0 + LOG_2PI),
            observable=observable.pseudo_entropy(self) / self.weight - log_jacobian,
            base_measure=observable.base_measure(self) / self.weight,
            penalty=self.penalty(observable, ridge),
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
    """z ~ N(0, I), x | z ~ p(x | decoder(z)), and posteriors that start from an encoder.

    The encoder's posteriors are refined by a few steps, the same for a row whatever the other rows are. These steps go by
    the model as it was before its polish: the observable knows it, and its prior in the present coordinates is kept.

    Attributes
    ----------
    encoder : Perceptron
        Filled rows -> means and log variances of the posteriors.
    decoder : Perceptron
        Latents -> means, or natural parameters, of the observables.
    observable : Observable
    step_prior : tuple of (h,), (h,)
        Mean and precision.
    """

    encoder: Perceptron
    decoder: Perceptron
    observable: Observable
    step_prior: tuple[FloatArray, FloatArray]

    @classmethod
    def trained(cls, encoder: Perceptron, decoder: Perceptron, observable: Observable) -> Self:
        """The model as training left it."""
        h = len(decoder.coefs[0])
        return cls(encoder.astype(np.float64), decoder.astype(np.float64), observable, (np.zeros(h), np.ones(h)))

    @classmethod
    def of_state(cls, state: dict[str, Any], observable: type[Observable]) -> Self:
        """The inverse of ``dataclasses.asdict`` for a kind of observables."""
        nets = {name: Perceptron(**state[name]) for name in ("encoder", "decoder")}
        return cls(**{**state, **nets, "observable": observable(**state["observable"])})

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
            target, precision = self._linear_posterior(best, mask)
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
        return Posteriors(best.means, best.variances, best.expected, np.moveaxis(best.statistics, 1, 0))

    def _step_score(self, expansion: _Expansion, mask: FloatArray) -> FloatArray:
        """Of each row the ELBO that steps are judged by, less what they do not change."""
        mean, precision = self.step_prior
        divergence = ((expansion.means - mean) ** 2 + expansion.variances) @ precision - np.log(expansion.variances).sum(1)
        return np.asarray((expansion.value * mask).sum(axis=1) - 0.5 * divergence)

    def _linear_posterior(self, expansion: _Expansion, mask: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Means and precisions of the best independent Gaussians for the decoder's statistical linearisation."""
        mean, precision = self.step_prior
        slopes = expansion.slopes * np.sqrt(mask * expansion.curvature)[:, np.newaxis, :]
        gram = slopes @ slopes.transpose(0, 2, 1)
        gram += np.diag(precision)
        pull = np.matmul(expansion.slopes, (expansion.pull * mask)[:, :, np.newaxis])[:, :, 0]
        pull -= precision * (expansion.means - mean)
        step = np.linalg.solve(gram, pull[:, :, np.newaxis])[:, :, 0]
        return expansion.means + step, np.diagonal(gram, axis1=1, axis2=2)

    def sums(self, observations: Observations, weight: FloatArray) -> Sums:
        """What ELBO and entropy sum need of some rows."""
        return Sums.of(self.posteriors(observations), observations, weight)

    def elbo_of_rows(self, observations: Observations) -> FloatArray:
        """ELBO of each row, in the units of the likelihood."""
        posteriors = self.posteriors(observations)
        m, v = posteriors.means, posteriors.variances
        fit = self.observable.expected_log_density(posteriors.statistics, observations.x) * observations.mask
        return np.asarray(fit.sum(axis=1) - 0.5 * (m * m + v - 1.0 - np.log(v)).sum(axis=1))

    def importance_weighted(self, observations: Observations, n_samples: int, rng: Any) -> FloatArray:
        """Logarithm of each row's mean importance weight, p(x, z) / q(z) with z from q (Burda et al. 2016, Eqn. 8)."""
        posteriors, mask = self.posteriors(observations), observations.mask
        m, tau = posteriors.means, np.sqrt(posteriors.variances)
        log_tau = np.log(tau).sum(axis=1)
        weights = np.empty((n_samples, len(m)))
        for sample in range(n_samples):
            draws = rng.standard_normal(m.shape)
            z = m + tau * draws
            fit = (self.observable.log_density(self.decoder(z), observations.x) * mask).sum(axis=1)
            weights[sample] = fit + log_tau - 0.5 * (z * z - draws * draws).sum(axis=1)
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

    def scaled_outputs(self, factor: float) -> Self:
        """The model whose decoder says so many times as much, with the same posteriors."""
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
    value, pull, curvature : (n, d), see ``Fit``
    slopes : (n, h, d), of the decoder's best linear approximation under the posterior
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
        y = model.decoder(z.reshape(-1, h)).reshape(2 * h + 1, n, -1)
        slopes = (y[1 : h + 1] - y[h + 1 :]).transpose(1, 0, 2) / (2.0 * offsets[:, :, np.newaxis])
        shares = np.full(2 * h + 1, 0.5 / (h + 2.0))
        shares[0] = 2.0 / (h + 2.0)
        fit, expected, statistics = model.observable.expect(y, x, shares)
        curvature = np.broadcast_to(fit.curvature, x.shape)
        return cls(means, variances, expected, np.moveaxis(statistics, 0, 1), fit.value, fit.pull, curvature, slopes)

    def replaced(self, other: _Expansion, rows: Any) -> _Expansion:
        """The rows that are marked from another expansion."""
        return _Expansion(
            *(
                np.where(rows.reshape(-1, *[1] * (mine.ndim - 1)), theirs, mine)
                for mine, theirs in ((getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
            )
        )


def polished(model: Autoencoder, sums: Sums, *, tied: bool, ridge: float) -> tuple[Autoencoder, Sums]:
    """Best noise variances, and best offsets and scales of the latents, for the posteriors that the sums are of.

    Afterwards the ELBO of these posteriors is their entropy sum, whatever was trained and however long, and the decoder
    says the same of the data as before. The latents are put in the order of their information.
    """
    observable = model.observable.polished(sums, tied=tied, ridge=ridge)
    new, c, a = sums.standardised()
    order = np.argsort(new.log_variance, kind="stable")
    new = replace(new, log_variance=new.log_variance[order])
    return replace(model.in_latents(c, a, order), observable=observable), new
