"""Exponential families of whole rows, such as directions or compositions, whose columns depend on each other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import numpy as np

from .._typing import Array, Matrix


class Root(NamedTuple):
    r"""Square roots of inverse covariances, :math:`\operatorname{diag}(a) (I + b v v^T)`: a and v (..., D), b (...)."""

    lengths: Array
    directions: Array
    stretch: Array


def check_bound(values: Array, bound: float, name: str) -> None:
    """Raise ValueError for values that exceed the bound of fits by more than a rounding error of single precision."""
    if not (values <= bound * (1.0 + 1e-5)).all():
        raise ValueError(f"{name} must be at most {bound:g}; got {values.max():g}.")


class VectorFamily(ABC):
    r"""An exponential family of rows of D numbers, :math:`p(x) = \exp(\eta \cdot T(x) - A(\eta))`.

    T has as many entries as the row. Natural and mean parameters have the columns on the last axis, (..., D); quantities
    with one number for each distribution have the shape (...). Rows are first divided by their norm or sum, so that it is
    one.
    """

    name: ClassVar[str]
    label: ClassVar[str]
    # Standard parameters as attributes: names, numbers of axes, and limits of the values.
    parameter_names: ClassVar[tuple[str, ...]]
    ranks: ClassVar[tuple[int, ...]]
    parameter_limits: ClassVar[tuple[tuple[float, float], ...]]
    # Words for messages: the entries of rows, and the rows.
    support: ClassVar[str]
    row_support: ClassVar[str]
    # Words in titles of tables for the quantities that means and parameters describe.
    scale_label: ClassVar[str]
    # Words for the point onto which a component has collapsed.
    single: ClassVar[str]
    # The kind of the likelihood, as in ``Traits.likelihood``.
    likelihood: ClassVar[str]
    lower_limit: ClassVar[float]
    takes_sparse: ClassVar[bool]

    @abstractmethod
    def is_outside(self, X: Array) -> Array:
        """Which entries are outside the support, which includes missing ones."""

    @abstractmethod
    def sizes(self, X: Matrix) -> Array:
        """Norms or sums of rows, shape (n,), by which they are divided."""

    @abstractmethod
    def statistics(self, X: Matrix) -> Matrix:
        """T of the rows of X after division by their sizes, (n, D)."""

    @abstractmethod
    def log_partition(self, eta: Array) -> Array:
        """A(eta)."""

    @abstractmethod
    def mean(self, eta: Array) -> Array:
        """Mean parameters m = grad A(eta)."""

    @abstractmethod
    def natural(self, mean: Array) -> Array:
        """The inverse of ``mean``, the M-step; for a mean that no distribution has, the distribution at the bound."""

    @abstractmethod
    def pseudo_entropy(self, eta: Array) -> Array:
        """A - eta . m, W(51), in a form that does not cancel."""

    @abstractmethod
    def root(self, eta: Array) -> Root:
        """W with W' C W the unit matrix, C the covariance of T."""

    @abstractmethod
    def spread(self, eta: Array) -> Array:
        """The spread of rows: a number that goes to zero as they coincide."""

    @abstractmethod
    def at_bound(self, eta: Array) -> Array:
        """Which distributions have their spread at a numerical bound."""

    @abstractmethod
    def in_domain(self, eta: Array) -> bool:
        """Whether all of eta lies in the natural parameter space, and off the bound."""

    @abstractmethod
    def moments(self, eta: Array) -> tuple[Array, Array]:
        """Means and variances of the columns, each (..., D)."""

    @abstractmethod
    def column_divergences(self, eta_from: Array, eta_to: Array) -> Array:
        """Kullback-Leibler divergences of the columns' marginal distributions, (..., D)."""

    @abstractmethod
    def to_standard(self, eta: Array) -> tuple[Array, ...]:
        """Standard parameters, one array for each of ``parameter_names``."""

    @abstractmethod
    def from_standard(self, standard: tuple[Array, ...], suffix: str = "") -> Array:
        """Natural parameters; ValueError, with the attribute's name and suffix, for values out of range."""

    @abstractmethod
    def sample(self, eta: Array, random_state: np.random.RandomState) -> Array:
        """One draw of each distribution (n, D)."""

    def smoothed_negative_entropy(self, T: Matrix, pooled: Array, share: float) -> Array:
        """eta . m - A, shape (n,), of distributions with the mean parameters (1 - share) T + share ``pooled``."""
        mean = (1.0 - share) * T + share * pooled
        eta = self.natural(mean)
        return np.asarray((eta * mean).sum(axis=1) - self.log_partition(eta))

    def divergence(self, eta_from: Array, eta_to: Array) -> Array:
        """Kullback-Leibler divergences, the Bregman divergence of A."""
        inner = ((eta_from - eta_to) * self.mean(eta_from)).sum(axis=-1)
        return inner - self.log_partition(eta_from) + self.log_partition(eta_to)
