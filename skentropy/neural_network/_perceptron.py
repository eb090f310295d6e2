"""Multilayer perceptrons with an additional linear path, and their gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.special import expit

from .._typing import FloatArray

# Standard deviation of the first weights, times the square root of the number of inputs. With the few inputs of a decoder
# hidden units with smaller weights would be almost linear.
_GAIN = 1.4


Pair = tuple[FloatArray, FloatArray]


def _silu(a: FloatArray) -> Pair:
    gate = expit(a)
    return a * gate, gate


def _silu_slope(h: FloatArray, gate: FloatArray) -> FloatArray:
    slope = 1 - gate
    slope *= h
    slope += gate
    return slope


def _tanh(a: FloatArray) -> Pair:
    h = np.tanh(a)
    return h, h


def _relu(a: FloatArray) -> Pair:
    return np.maximum(a, 0), a


def _softplus(a: FloatArray) -> Pair:
    return np.logaddexp(a, a.dtype.type(0)), a


@dataclass(frozen=True)
class Activation:
    """An activation function, which also returns the intermediate values that its derivative needs, and the derivative."""

    function: Callable[[FloatArray], Pair]
    slope: Callable[[FloatArray, FloatArray], FloatArray]


ACTIVATIONS = {
    "tanh": Activation(_tanh, lambda h, _: 1 - h * h),
    "relu": Activation(_relu, lambda _, a: (a > 0).astype(a.dtype)),
    "softplus": Activation(_softplus, lambda _, a: expit(a)),
    "silu": Activation(_silu, _silu_slope),
}


@dataclass(frozen=True)
class Perceptron:
    """Layers ``f(x W + b)``, the last without f, plus a linear path from the inputs to the first of the outputs.

    Attributes
    ----------
    coefs, intercepts : sequences of arrays
        Weights (n_in, n_out) and offsets (n_out,) of each layer.
    linear : (n_inputs, n_linear)
        The linear path.
    activation : str
    """

    coefs: Sequence[FloatArray]
    intercepts: Sequence[FloatArray]
    linear: FloatArray
    activation: str

    @staticmethod
    def shapes(sizes: Sequence[int], n_linear: int) -> list[tuple[int, ...]]:
        """Shapes of the layers' weights and offsets in turn, then of the linear path."""
        shapes: list[tuple[int, ...]] = []
        for n_in, n_out in pairwise(sizes):
            shapes += [(n_in, n_out), (n_out,)]
        return [*shapes, (sizes[0], n_linear)]

    @classmethod
    def of_vector(cls, vector: FloatArray, sizes: Sequence[int], n_linear: int, activation: str) -> Perceptron:
        """The net whose parameters are views of a vector."""
        arrays, start = [], 0
        for shape in cls.shapes(sizes, n_linear):
            size = int(np.prod(shape))
            arrays.append(vector[start : start + size].reshape(shape))
            start += size
        return cls(arrays[:-1:2], arrays[1:-1:2], arrays[-1], activation)

    @property
    def sizes(self) -> list[int]:
        """Numbers of units from the inputs to the outputs."""
        return [len(self.coefs[0]), *(coefs.shape[1] for coefs in self.coefs)]

    @property
    def is_linear(self) -> bool:
        """Whether there are no hidden layers, or they add nothing."""
        return len(self.coefs) == 1 or not self.coefs[-1].any()

    @property
    def slopes(self) -> FloatArray:
        """The slopes of a linear net whose linear path leads to all outputs, (n_inputs, n_outputs)."""
        return self.coefs[0] + self.linear if len(self.coefs) == 1 else self.linear

    @property
    def arrays(self) -> list[FloatArray]:
        """All parameters, in the order of ``shapes``."""
        layers = zip(self.coefs, self.intercepts, strict=True)
        return [array for pair in layers for array in pair] + [self.linear]

    def pack(self) -> FloatArray:
        """All parameters as one vector."""
        return np.concatenate([array.ravel() for array in self.arrays])

    def astype(self, dtype: Any) -> Perceptron:
        """A copy in another precision."""
        return replace(
            self,
            coefs=[array.astype(dtype) for array in self.coefs],
            intercepts=[array.astype(dtype) for array in self.intercepts],
            linear=self.linear.astype(dtype),
        )

    def initialise(self, rng: np.random.Generator) -> None:
        """Draw the hidden layers in place, scaled by their numbers of inputs; last layer and linear path are zero."""
        for coefs, intercepts in zip(self.coefs[:-1], self.intercepts[:-1], strict=True):
            coefs[:] = rng.normal(size=coefs.shape) * (_GAIN / np.sqrt(len(coefs)))
            intercepts[:] = rng.uniform(-1.0, 1.0, size=intercepts.shape)
        self.coefs[-1][:] = self.intercepts[-1][:] = self.linear[:] = 0.0

    def __call__(self, X: FloatArray) -> FloatArray:
        """Outputs, (n, n_outputs)."""
        return self.trace(X)[0]

    def trace(self, X: FloatArray) -> tuple[FloatArray, list[Pair]]:
        """Outputs, and the values that ``backward`` needs: for each layer its inputs and intermediate values."""
        function, h, kept = ACTIVATIONS[self.activation].function, X, X
        traced = []
        for coefs, intercepts in zip(self.coefs[:-1], self.intercepts[:-1], strict=True):
            traced.append((h, kept))
            a = h @ coefs
            a += intercepts
            h, kept = function(a)
        traced.append((h, kept))
        outputs = h @ self.coefs[-1]
        outputs += self.intercepts[-1]
        outputs[:, : self.linear.shape[1]] += X @ self.linear
        return outputs, traced

    def backward(self, traced: list[Pair], derivative: FloatArray, gradient: Perceptron) -> FloatArray:
        """Set a gradient from the derivative by the outputs; return the derivative by the first layer's sums."""
        slope, X, through = ACTIVATIONS[self.activation].slope, traced[0][0], derivative
        for depth in range(len(self.coefs) - 1, -1, -1):
            h, kept = traced[depth]
            np.matmul(h.T, through, out=gradient.coefs[depth])
            through.sum(axis=0, out=gradient.intercepts[depth])
            if depth:
                through = through @ self.coefs[depth].T
                through *= slope(h, kept)
        np.matmul(X.T, derivative[:, : self.linear.shape[1]], out=gradient.linear)
        return through

    def input_derivative(self, first: FloatArray, derivative: FloatArray) -> FloatArray:
        """Derivative by the inputs, from those by the first layer's sums and by the outputs."""
        return np.asarray(first @ self.coefs[0].T + derivative[:, : self.linear.shape[1]] @ self.linear.T)
