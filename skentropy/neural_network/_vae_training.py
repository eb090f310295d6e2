"""Training of autoencoders: one draw for each row, backpropagation, Adam, noise variances in closed form."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._typing import FloatArray
from ._autoencoder import LOG_VARIANCES, Autoencoder
from ._perceptron import Perceptron
from ._vae_observables import Observable
from ._vae_prior import Prior
from ._vae_sums import Sums
from ._vae_units import Observations

# Adam's decay rates of gradients and of their squares (Kingma and Ba 2015).
_MOMENTUM, _SQUARES, _EPSILON = 0.9, 0.999, 1e-8
# The learning rate rises over this share of all steps, and then falls like a cosine.
_WARM_UP = 0.02
# Number of binary digits of a layer's largest weight to which its weights are rounded at the start of training. Rounding
# errors, which depend on the unit of measurement, are in later digits.
_START_BITS = 14
# Running sums follow the batches at least this fast.
_FORGETTING = 0.9


@dataclass(frozen=True)
class Batch:
    """Rows in the precision of the nets, as the likelihood and as the encoder see them, and their weights.

    The mask is 0 for missing entries and 1 for others; it is None if nothing is missing. The weights are relative: those of
    a batch add up to 1 on average over the batches of an epoch.
    """

    x: FloatArray
    mask: FloatArray | None
    filled: FloatArray
    weight: FloatArray

    @classmethod
    def of(cls, observations: Observations, weight: FloatArray, dtype: Any) -> Batch:
        """All rows as one batch."""
        x = observations.x.astype(dtype)
        if observations.missing is None:
            filled = x if observations.filled is observations.x else observations.filled.astype(dtype)
            return cls(x, None, filled, weight.astype(dtype))
        return cls(x, observations.mask.astype(dtype), observations.filled.astype(dtype), weight.astype(dtype))

    def take(self, index: Any) -> Batch:
        """Some of the rows."""
        x, weight = self.x[index], self.weight[index]
        filled = x if self.filled is self.x else self.filled[index]
        return Batch(x, None if self.mask is None else self.mask[index], filled, weight)

    def split(self, size: int, rng: np.random.Generator | None) -> Iterator[Batch]:
        """Split the rows into batches of about equal size, shuffled if there is a generator."""
        n = len(self.x)
        order = np.arange(n) if rng is None else rng.permutation(n)
        for index in np.array_split(order, -(-n // size)):
            yield self.take(index)


@dataclass(frozen=True)
class Objective:
    """The objective of training: mean ELBO, with beta times the divergence, minus decay / 2 |V|^2 for the nets' weights V.

    Intercepts and linear paths do not decay, so a strong decay leaves the linear model.

    Attributes
    ----------
    beta : float
    decay : float
        Per unit of weight of the data.
    tied : bool
        Whether all features have one noise variance.
    ridge : float
        On the noise variances.
    prior : Prior
    """

    beta: float
    decay: float
    tied: bool
    ridge: float
    prior: Prior

    def gradient(self, nets: Nets, observable: Observable, batch: Batch, draws: FloatArray, gradient: Nets) -> Sums:
        """Set the gradient for one draw from each posterior, and return the sums of the rows."""
        encoder, decoder, prior, h = nets.encoder, nets.decoder, self.prior, nets.n_latents
        outputs, encoded = encoder.trace(batch.filled)
        m, log_variance = outputs[:, :h], np.clip(outputs[:, h:], *LOG_VARIANCES)
        tau = np.exp(0.5 * log_variance)
        v = tau * tau
        y, decoded = decoder.trace(m + tau * draws)
        pull, statistics = observable.pull(y, batch.x, self.ridge)
        observed = np.full(batch.x.shape[1], batch.weight.sum())
        if batch.mask is not None:
            pull = pull * np.tile(batch.mask, observable.n_outputs)
            statistics = statistics * batch.mask
            observed = batch.weight @ batch.mask
        sums = Sums(
            prior,
            float(batch.weight.sum()),
            observed,
            np.stack([batch.weight @ values for values in statistics]),
            *(batch.weight @ values for values in (m, prior.energy(m, v), log_variance)),
        )
        share = batch.weight[:, np.newaxis]
        pull *= share
        through = decoder.input_derivative(decoder.backward(decoded, pull, gradient.decoder), pull)
        divergence = m.dtype.type(self.beta) * share
        derivative = np.empty_like(outputs)
        derivative[:, :h] = through - divergence * prior.slope(m, v)
        derivative[:, h:] = 0.5 * (through * draws * tau - divergence * (prior.curvature(m, v) * v - 1))
        clipped = (outputs[:, h:] < LOG_VARIANCES[0]) | (outputs[:, h:] > LOG_VARIANCES[1])
        derivative[:, h:][clipped] = 0
        encoder.backward(encoded, derivative, gradient.encoder)
        if self.decay:
            gradient.vector[:] -= nets.decaying * (m.dtype.type(self.decay) * nets.vector)
        return sums


@dataclass(frozen=True)
class Nets:
    """Encoder and decoder, whose parameters are views of one vector."""

    vector: FloatArray
    encoder: Perceptron
    decoder: Perceptron
    decaying: FloatArray

    @classmethod
    def of_sizes(
        cls, encoder_sizes: Sequence[int], decoder_sizes: Sequence[int], activation: str, dtype: Any = np.float64
    ) -> Nets:
        """Nets whose parameters are all zero."""
        linear = (decoder_sizes[0], encoder_sizes[0])  # to the latents' means, and to the features'
        shapes = [Perceptron.shapes(sizes, n) for sizes, n in zip((encoder_sizes, decoder_sizes), linear, strict=True)]
        n_encoder, n_decoder = (sum(int(np.prod(shape)) for shape in of_net) for of_net in shapes)
        decaying = [
            np.full(int(np.prod(shape)), float(is_weight))
            for *layers, path in shapes
            for shape, is_weight in [*((shape, len(shape) == 2) for shape in layers), (path, False)]
        ]
        vector = np.zeros(n_encoder + n_decoder, dtype)
        return cls(
            vector,
            Perceptron.of_vector(vector[:n_encoder], encoder_sizes, linear[0], activation),
            Perceptron.of_vector(vector[n_encoder:], decoder_sizes, linear[1], activation),
            np.concatenate(decaying).astype(dtype),
        )

    @property
    def n_latents(self) -> int:
        return len(self.decoder.coefs[0])

    def initialise(self, rng: np.random.Generator) -> None:
        """Draw the hidden layers in place; all else is zero."""
        self.encoder.initialise(rng)
        self.decoder.initialise(rng)

    def zeros(self) -> Nets:
        """Nets of the same sizes, all zero."""
        return Nets.of_sizes(self.encoder.sizes, self.decoder.sizes, self.encoder.activation, self.vector.dtype)

    def rounded(self) -> Nets:
        """A copy in single precision, rounded so that training does not amplify the start's rounding errors."""
        new = Nets.of_sizes(self.encoder.sizes, self.decoder.sizes, self.encoder.activation, np.float32)
        for mine, copy in ((self.encoder, new.encoder), (self.decoder, new.decoder)):
            for array, rounded in zip(mine.arrays, copy.arrays, strict=True):
                grid = np.ldexp(1.0, np.frexp(abs(array).max(initial=0.0))[1] - _START_BITS)
                rounded[:] = grid * np.round(array / grid)
        return new


class Adam:
    """Ascent by Adam over a given number of steps; the learning rate first rises, and then falls to zero."""

    def __init__(self, vector: FloatArray, learning_rate: float, n_steps: int) -> None:
        self._vector, self._rate, self._n_steps = vector, learning_rate, n_steps
        self._mean, self._square = np.zeros_like(vector), np.zeros_like(vector)
        self._step = 0

    def step(self, gradient: FloatArray) -> None:
        """Move the vector along a gradient, which is overwritten; a gradient that is not finite is skipped."""
        if not np.isfinite(gradient).all():
            return
        self._step += 1
        t, whole = self._step, self._n_steps
        rate = self._rate * 0.5 * (1.0 + np.cos(np.pi * min(t / whole, 1.0))) * min(1.0, t / (_WARM_UP * whole + 1.0))
        self._mean *= _MOMENTUM
        self._mean += (1.0 - _MOMENTUM) * gradient
        gradient *= gradient
        self._square *= _SQUARES
        self._square += (1.0 - _SQUARES) * gradient
        root = np.sqrt(self._square / (1.0 - _SQUARES**t))
        root += _EPSILON
        self._vector += (rate / (1.0 - _MOMENTUM**t)) * self._mean / root


@dataclass
class Training:
    """The state of training: nets, and observables with running parameters."""

    nets: Nets
    observable: Observable
    prior: Prior

    @property
    def model(self) -> Autoencoder:
        """The current model."""
        return Autoencoder.trained(self.nets.encoder, self.nets.decoder, self.observable, self.prior)


def train(
    training: Training,
    objective: Objective,
    batches: Callable[[], Iterable[Batch]],
    *,
    n_batches: int,
    n_epochs: int,
    learning_rate: float,
    rng: np.random.Generator,
    on_epoch: Callable[[Sums], bool],
) -> bool:
    """Train in place; returns whether all epochs were run.

    Parameters
    ----------
    training : Training
    objective : Objective
    batches : callable
        Returns the batches of an epoch.
    n_batches : int
        The number of batches.
    n_epochs : int
    learning_rate : float
    rng : Generator
        For the draws from the posteriors.
    on_epoch : callable
        Called after each epoch with the sums of its rows, each evaluated in its batch; true ends training.
    """
    nets, gradient = training.nets, training.nets.zeros()
    adam = Adam(nets.vector, learning_rate, n_epochs * n_batches)
    keep = max(1.0 - 1.0 / n_batches, _FORGETTING)
    running: Sums | None = None
    for _ in range(n_epochs):
        epoch: Sums | None = None
        for batch in batches():
            draws = rng.standard_normal((len(batch.x), nets.n_latents), dtype=np.float32)
            sums = objective.gradient(nets, training.observable, batch, draws, gradient).in_double()
            adam.step(gradient.vector)
            if sums.is_finite:
                running = (running or sums).followed_by(sums, keep)
                training.observable = training.observable.polish(
                    running, tied=objective.tied, ridge=objective.ridge
                ).as_trained()
                epoch = sums if epoch is None else epoch + sums
        if epoch is None:
            return False
        if on_epoch(epoch):
            return False
    return True
