"""The categorical family."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from scipy import special

from .._typing import Array, Matrix
from ._base import LOG_ZERO, safe_log
from ._checks import check_parameter, is_number
from ._roots import RootCoordinates

# Probabilities up to this are held to be zero.
_ZERO = float(np.exp(LOG_ZERO))


class Categorical(RootCoordinates):
    r"""Codes x = 0, ..., K - 1 of categories with probabilities :math:`p_0, \ldots, p_{K-1}`.

    .. math::  p(x) = p_x

    :math:`T` is the one-hot code, K arrays; :math:`\eta = \log p`, :math:`A = \log\sum_k \exp\eta_k`, which is 0 where
    the probabilities sum to one, and :math:`h = 1`. With the log-partition written so, any positive weights will do
    for the probabilities that they are proportional to.

    Parameters
    ----------
    n_categories : int, default=2
        The number of categories K, at least 2.

    Examples
    --------
    >>> import numpy as np
    >>> from skentropy.families import Categorical
    >>> family = Categorical(n_categories=3)
    >>> eta = family.from_standard([0.5, 0.3, 0.2])
    >>> family.log_prob(np.array([0.0, 2.0]), eta).round(4)
    array([-0.6931, -1.6094])
    >>> print(f"{family.entropy(eta):.4f}")
    1.0297
    """

    name = "categorical"
    parameter_names = ("probability",)
    lower_limit = 0.0
    discrete = True

    def __init__(self, n_categories: int = 2) -> None:
        if not is_number(n_categories, Integral, low=2):
            raise ValueError(f"n_categories must be an integer of at least 2; got {n_categories!r}.")
        self.n_categories = n_categories

    @property
    def support(self) -> str:  # type: ignore[override]
        return f"codes from 0 to {self.n_categories - 1} (n_categories={self.n_categories})"

    @property
    def n_statistics(self) -> int:
        return int(self.n_categories)

    @property
    def n_parameters(self) -> int:
        return self.n_statistics - 1

    def sufficient_statistics(self, X: Matrix) -> tuple[Matrix, ...]:
        X = np.asarray(X)
        return tuple((code == X).astype(X.dtype) for code in range(self.n_statistics))

    def log_partition(self, eta: Array) -> Array:
        largest = eta.max(axis=0)
        return largest + np.log(np.exp(eta - largest).sum(axis=0))

    def mean(self, eta: Array) -> Array:
        return special.softmax(eta, axis=0)

    def covariance(self, eta: Array) -> Array:
        probability = self.mean(eta)
        diagonal = np.eye(len(eta)).reshape(len(eta), len(eta), *(1,) * (eta.ndim - 1))
        return probability * diagonal - probability * probability[:, np.newaxis]

    def natural(self, mean: Array) -> Array:
        return safe_log(mean)

    def to_standard(self, eta: Array) -> tuple[Array, ...]:
        """The probabilities, with the categories on the last axis."""
        probability = np.moveaxis(self.mean(eta), 0, -1)
        return (np.where(probability <= _ZERO, 0.0, probability),)

    def from_standard(self, *parameters: Array) -> Array:
        """Natural parameters of probabilities with the categories on the last axis; they need not sum to one."""
        (probability,) = parameters
        probability = check_parameter(probability, "probability", low=0.0)
        if probability.shape[-1:] != (self.n_categories,):
            raise ValueError(
                f"The last axis of probability must hold {self.n_categories} categories; got shape {probability.shape}."
            )
        if not (probability > 0.0).any(axis=-1).all():
            raise ValueError("At least one probability of each distribution must be positive.")
        return safe_log(np.moveaxis(probability, -1, 0))

    def moments(self, eta: Array) -> tuple[Array, Array]:
        """Mean and variance of the codes."""
        (probability,) = self.to_standard(eta)
        codes = np.arange(self.n_statistics)
        mean = probability @ codes
        return mean, (probability * (codes - mean[..., np.newaxis]) ** 2).sum(axis=-1)

    def sample(self, eta: Array, random_state: np.random.RandomState, exposure: Array | None = None) -> Array:
        (probability,) = self.to_standard(eta)
        cumulative = probability.cumsum(axis=-1)
        uniform = random_state.uniform(size=eta.shape[1:])[..., np.newaxis]
        return (uniform >= cumulative / cumulative[..., -1:]).sum(axis=-1)

    def in_support(self, X: Array, exposure: Array | float = 1.0) -> Array:
        return (X >= 0) & (self.n_categories > X) & (np.floor(X) == X)

    def at_zero(self, eta: Array) -> Array:
        return (self.to_standard(eta)[0] == 0.0).any(axis=-1)
