"""The categorical family."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Literal

import numpy as np

from .._typing import Array, Matrix
from ._arguments import check_parameter, is_number
from ._base import LOG_ZERO, exp_or_zero, safe_log
from ._roots import RootCoordinates

# Smaller probabilities count as zero.
_ZERO = float(np.exp(LOG_ZERO))
# Larger codes are rather numbers than categories.
_MOST_CATEGORIES = 10_000
# Number of probabilities of rows that are computed at a time.
_ENTRIES = 2**18


class Categorical(RootCoordinates):
    r"""Codes x = 0, ..., K - 1 of categories with probabilities :math:`p_0, \ldots, p_{K-1}`.

    .. math::  p(x) = p_x

    :math:`T` is the one-hot code, K arrays; :math:`\eta = \log p`, :math:`A = \log\sum_k \exp\eta_k`, which is 0 if
    the probabilities sum to one, and :math:`h = 1`. With this log-partition, weights need only be proportional to the
    probabilities.

    Parameters
    ----------
    n_categories : int, sequence of int or "auto", default="auto"
        The number of categories K: at least 2, the same for all columns, or a sequence of positive integers, one for each
        column. "auto" takes it from the data of a fit, as the largest code of each column plus one, which is at most 10,000;
        codes that occur only in rows of weight zero have probability zero.
        Give the number if other rows, such as those of a validation, may hold codes that the rows of a fit do not.
        If columns differ, arrays have the size of the largest K, and probabilities of categories that a column does not
        have are zero.
        Categories that do not occur in the data do not count as parameters.

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
    parameter_limits = ((0.0, 1.0),)
    lower_limit = 0.0
    discrete = True

    def __init__(self, n_categories: int | Sequence[int] | Literal["auto"] = "auto") -> None:
        if isinstance(n_categories, (Sequence, np.ndarray)) and not isinstance(n_categories, str):
            n_categories = tuple(n_categories)
            valid = len(n_categories) > 0 and all(is_number(number, Integral, low=1) for number in n_categories)
        else:
            valid = n_categories == "auto" or is_number(n_categories, Integral, low=2)
        if not valid:
            raise ValueError(
                "n_categories must be an integer of at least 2, a sequence with a positive integer for each column, or "
                f"'auto'; got {n_categories!r}."
            )
        self.n_categories = n_categories

    @property
    def support(self) -> str:  # type: ignore[override]
        if self.n_categories == "auto":
            return "codes 0, 1, 2, ..."
        if isinstance(self.n_categories, tuple):
            return f"codes from 0 to one less than the column's number of categories (n_categories={self.n_categories})"
        return f"codes from 0 to {self.n_statistics - 1} (n_categories={self.n_categories})"

    @property
    def n_statistics(self) -> int:
        """The largest number of categories; 2 if the data have yet to determine it."""
        if self.n_categories == "auto":
            return 2
        return int(np.max(self.n_categories))

    @property
    def n_parameters(self) -> int:
        return self.n_statistics - 1

    def for_columns(self, largest: Array) -> Categorical:
        if self.n_categories == "auto":
            if largest.max() >= _MOST_CATEGORIES:
                raise ValueError(
                    f"X holds the code {largest.max():.0f}; n_categories='auto' takes codes below {_MOST_CATEGORIES}. "
                    "Number the categories 0, 1, 2, ..., as sklearn.preprocessing.OrdinalEncoder does, or give n_categories."
                )
            return Categorical(tuple(max(int(code), 0) + 1 for code in largest))
        if isinstance(self.n_categories, tuple) and len(self.n_categories) != len(largest):
            raise ValueError(f"n_categories has {len(self.n_categories)} entries, but X has {len(largest)} columns.")
        return self

    def for_parameters(self, parameters: tuple[Array, ...]) -> Categorical:
        if self.n_categories == "auto":
            _, n_features, n_categories = parameters[0].shape
            return Categorical((n_categories,) * n_features)
        return self

    def count_parameters(self, occurs: Array) -> int:
        return int(np.maximum(occurs.sum(axis=0) - 1, 0).sum())

    def sufficient_statistics(self, X: Matrix) -> tuple[Matrix, ...]:
        X = np.asarray(X)
        return tuple((code == X).astype(X.dtype) for code in range(self.n_statistics))

    def log_partition(self, eta: Array) -> Array:
        largest = eta.max(axis=0)
        return largest + np.log(exp_or_zero(eta - largest).sum(axis=0))

    def mean(self, eta: Array) -> Array:
        shares = np.exp(eta - eta.max(axis=0))  # scipy's softmax takes many times as long for few categories
        return np.asarray(shares / shares.sum(axis=0))

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
        if self.n_categories != "auto" and probability.shape[-1:] != (self.n_statistics,):
            raise ValueError(
                f"The last axis of probability must hold {self.n_statistics} categories; got shape {probability.shape}."
            )
        if not (probability > 0.0).any(axis=-1).all():
            raise ValueError("At least one probability of each distribution must be positive.")
        return safe_log(np.moveaxis(probability, -1, 0))

    def moments(self, eta: Array) -> tuple[Array, Array]:
        """Mean and variance of the codes."""
        (probability,) = self.to_standard(eta)
        codes = np.arange(len(eta))
        mean = probability @ codes
        return mean, (probability * (codes - mean[..., np.newaxis]) ** 2).sum(axis=-1)

    def predict(self, eta: Array, weights: Array) -> Array:
        """The most probable category."""
        probability = self.mean(eta)
        step = max(1, _ENTRIES // probability[:, 0].size)
        parts = (weights[:, start : start + step] for start in range(0, max(weights.shape[1], 1), step))
        codes = [np.einsum("kn,skd->snd", part, probability).argmax(axis=0) for part in parts]
        return np.concatenate(codes).astype(np.float64)

    def sample(self, eta: Array, random_state: np.random.RandomState, exposure: Array | None = None) -> Array:
        (probability,) = self.to_standard(eta)
        cumulative = probability.cumsum(axis=-1)
        uniform = random_state.uniform(size=eta.shape[1:])[..., np.newaxis]
        return (uniform >= cumulative / cumulative[..., -1:]).sum(axis=-1)

    def in_support(self, X: Array, exposure: Array | float = 1.0) -> Array:
        n_categories = np.inf if self.n_categories == "auto" else np.asarray(self.n_categories)
        return (X >= 0) & (n_categories > X) & (np.floor(X) == X)

    def at_zero(self, eta: Array) -> Array:
        return (self.to_standard(eta)[0] == 0.0).any(axis=-1)
