"""A sigmoid belief net as layers of Bernoulli variables: parameters, logits, entropies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit

from .._typing import Array, FloatArray
from ..families._special import softplus

# The exponential of this is finite.
LARGEST_LOG = 700.0


@dataclass(frozen=True)
class Layer:
    """Variables x_d ~ Bern(S(W_d z + mu_d)) given the layer above, W(9), W(19), W(20).

    Attributes
    ----------
    weights : (D, H), W
    offsets : (D,), mu
    """

    weights: FloatArray
    offsets: FloatArray

    def logits(self, states: Array) -> FloatArray:
        """Logits of the layer's variables for states of the layer above; (S, H) -> (S, D)."""
        logits = np.asarray(states @ self.weights.T)
        logits += self.offsets
        return logits

    @cached_property
    def joined(self) -> FloatArray:
        """V = [W, mu], (D, H + 1)."""
        return np.column_stack([self.weights, self.offsets])

    @cached_property
    def odds_by_byte(self) -> FloatArray | None:
        """Factors of exp(W s + mu) for all states of each eight units, (bytes, 256, D); None if products may overflow."""
        if np.abs(self.joined).sum(axis=1).max(initial=0.0) > LARGEST_LOG:
            return None
        n_features, n_units = self.weights.shape
        n_bytes = -(-n_units // 8)
        padded = np.zeros((n_features, 8 * n_bytes))
        padded[:, :n_units] = self.weights
        bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, np.newaxis], axis=1).astype(np.float64)
        logits = np.matmul(bits, padded.reshape(n_features, n_bytes, 8).transpose(1, 2, 0))
        logits[0] += self.offsets
        return np.exp(logits, out=logits)

    @classmethod
    def split(cls, joined: FloatArray) -> Layer:
        """The layer with these V."""
        return cls(joined[:, :-1], joined[:, -1])


@dataclass(frozen=True)
class BeliefNet:
    """Logits of the prior of the top layer (H,), and the layers from the data upward."""

    prior_logits: FloatArray
    layers: tuple[Layer, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of latent variables, from the layer next to the data upward."""
        return tuple(layer.weights.shape[1] for layer in self.layers)

    @property
    def n_features(self) -> int:
        return len(self.layers[0].offsets)

    @property
    def square(self) -> float:
        """The sum of squares of all weights and offsets, |V|^2."""
        return float(sum((layer.joined**2).sum() for layer in self.layers))

    def log_prior(self, states: Array) -> FloatArray:
        """log p of states of the top layer, (S, H) -> (S,)."""
        return np.asarray(states @ self.prior_logits - softplus(self.prior_logits).sum())

    def pack(self) -> FloatArray:
        """All parameters as a vector."""
        return np.concatenate([self.prior_logits, *(layer.joined.ravel() for layer in self.layers)])

    def unpack(self, vector: FloatArray) -> BeliefNet:
        """The net of the same shape with these parameters."""
        prior, rest = np.split(vector, [len(self.prior_logits)])
        layers = []
        for layer in self.layers:
            shape = layer.joined.shape
            size = shape[0] * shape[1]
            layers.append(Layer.split(rest[:size].reshape(shape)))
            rest = rest[size:]
        return BeliefNet(prior, tuple(layers))

    def split_states(self, states: Array) -> tuple[Array, ...]:
        """States of all latent variables as those of each layer, from the data upward."""
        return tuple(np.split(states, np.cumsum(self.sizes)[:-1], axis=-1))


def enumerate_states(n: int) -> FloatArray:
    """All states of n binary variables, (2^n, n)."""
    return ((np.arange(2**n)[:, np.newaxis] >> np.arange(n)) & 1).astype(np.float64)


def total_softplus(a: FloatArray) -> FloatArray:
    """Sums of log(1 + exp(a)) over columns, (S, D) -> (S,), as logarithms of products that stay finite."""
    largest = float(a.max(initial=0.0)) + 1.0
    if largest > LARGEST_LOG:
        return np.asarray(softplus(a).sum(axis=1))
    factors = np.exp(a)
    factors += 1.0
    return total_log(factors, largest)


def total_log(factors: FloatArray, largest: float) -> FloatArray:
    """Sums of the logarithms of factors over columns, (S, D) -> (S,), none of them beyond ``largest`` > 0."""
    starts = np.arange(0, factors.shape[1], max(int(LARGEST_LOG / max(largest, 1.0)), 1))
    return np.asarray(np.log(np.multiply.reduceat(factors, starts, axis=1)).sum(axis=1))


def logistic(a: FloatArray) -> FloatArray:
    """1 / (1 + exp(-a)), several times faster than ``scipy.special.expit`` on large arrays."""
    p = np.negative(a)
    with np.errstate(over="ignore"):
        np.exp(p, out=p)
    p += 1.0
    return np.reciprocal(p, out=p)


def bernoulli_entropy(logits: FloatArray) -> FloatArray:
    """Entropy of Bernoulli variables."""
    return np.asarray(softplus(logits) - logits * expit(logits))
