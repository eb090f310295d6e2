"""What the log joint gains when one latent variable of a state is switched on or off."""

from __future__ import annotations

import numpy as np

from .._typing import FloatArray
from ..families._special import softplus
from ._layers import LARGEST_LOG, BeliefNet, logistic

# The product over so many variables of 1 - p + p exp(w) is a sum of 2^3 terms, each a product of a factor of the state and
# one of the weights: a matrix product.
_GROUP = 3
# Number of ratios that are processed at a time, so that they stay in the cache.
_IN_CACHE = 2**15


class Flips:
    """Changes of the log joint by switching one variable, without the term of row and state, x W s."""

    def __init__(self, net: BeliefNet) -> None:
        self._net = net
        self._ratios = [Ratios(layer.weights) for layer in net.layers]

    def changes(self, states: FloatArray, m: FloatArray | None = None) -> FloatArray:
        """The changes for each variable of states (U, B), which are seen by the observed entries m (U, D) alone; (U, B)."""
        net, layers, parts = self._net, self._net.split_states(states), []
        for level, (above, layer, ratios) in enumerate(zip(layers, net.layers, self._ratios, strict=True)):
            top = level == len(layers) - 1
            slopes = net.prior_logits if top else net.layers[level + 1].logits(layers[level + 1])
            if level > 0:
                slopes = slopes + layers[level - 1] @ layer.weights
            up, down = ratios.logarithms(layer.logits(above), m if level == 0 else None)
            parts.append(np.where(above == 0.0, slopes - up, -slopes - down))
        return np.concatenate(parts, axis=1)


class Ratios:
    """Sums over variables d of log(1 + exp(a_d + w_dh)) - log(1 + exp(a_d)), and the same for -w_dh.

    With p = S(a) they are the logarithms of products of 1 - p + p exp(w), whose terms are positive. Such a product lies
    within exp(-sum_d |w_d|) and exp(sum_d |w_d|), whatever a.
    """

    def __init__(self, weights: FloatArray) -> None:
        n_features, self._n_units = weights.shape
        n_groups = -(-n_features // _GROUP)
        self._weights, self._shape = weights, (n_groups, _GROUP)
        padded = np.zeros((n_groups * _GROUP, 2 * self._n_units))
        padded[:n_features, : self._n_units], padded[:n_features, self._n_units :] = weights, -weights
        sizes = np.abs(padded).reshape(n_groups, _GROUP, -1).sum(axis=1)
        self._fits = bool(sizes.max(initial=0.0) <= LARGEST_LOG)
        if self._fits:
            self._starts = _starts(sizes)
            self._terms = self._products(np.ones_like(padded), np.exp(padded))

    def _products(self, off: FloatArray, on: FloatArray) -> FloatArray:
        """All products of one of two factors of each variable, (variables, C) -> (groups, 2^3, C)."""
        first, second, third = np.stack([off, on]).reshape(2, *self._shape, -1).transpose(2, 1, 0, 3)
        pairs = first[:, :, np.newaxis] * second[:, np.newaxis]
        products = pairs[:, :, :, np.newaxis] * third[:, np.newaxis, np.newaxis]
        return products.reshape(len(first), 2**_GROUP, -1)

    def logarithms(self, a: FloatArray, m: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
        """The sums for logits (U, D), over the variables for which m (U, D) is 1; (U, H), with w and with -w."""
        total = np.empty((len(a), 2 * self._n_units))
        step = max(_IN_CACHE // max(total.shape[1], a.shape[1]), 1)
        for start in range(0, len(a), step):
            part = slice(start, start + step)
            of_part = a[part], None if m is None else m[part]
            total[part] = self._by_products(*of_part) if self._fits else self._one_by_one(*of_part)
        return total[:, : self._n_units], total[:, self._n_units :]

    def _by_products(self, a: FloatArray, m: FloatArray | None) -> FloatArray:
        on, off = np.zeros((np.prod(self._shape), len(a))), np.ones((np.prod(self._shape), len(a)))
        on[: a.shape[1]], off[: a.shape[1]] = logistic(a.T), logistic(-a.T)
        if m is not None:
            on[: a.shape[1]] *= m.T
            off[: a.shape[1]][m.T == 0.0] = 1.0
        factors = self._products(off, on)
        total, product, more = np.zeros((3, len(a), 2 * self._n_units))
        for start, end in zip(self._starts, [*self._starts[1:], len(factors)], strict=True):
            np.matmul(factors[start].T, self._terms[start], out=product)
            for group in range(start + 1, end):
                product *= np.matmul(factors[group].T, self._terms[group], out=more)
            total += np.log(product, out=product)
        return total

    def _one_by_one(self, a: FloatArray, m: FloatArray | None) -> FloatArray:
        """The same where exponentials overflow."""
        m = np.ones_like(a) if m is None else m
        before = (m * softplus(a)).sum(axis=1)
        moved = [(m * softplus(a + w)).sum(axis=1) - before for w in [*self._weights.T, *-self._weights.T]]
        return np.column_stack(moved)


def _starts(sizes: FloatArray) -> list[int]:
    """Where to start new products, given the sum of absolute logarithms of each factor, so that none is beyond exp(700)."""
    starts, so_far = [0], np.zeros(sizes.shape[1])
    for group, size in enumerate(sizes):
        so_far = so_far + size
        if so_far.max(initial=0.0) > LARGEST_LOG:
            starts.append(group)
            so_far = size
    return starts
