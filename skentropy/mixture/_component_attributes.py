"""The components of a mixture as users see them: fitted attributes and quantities that follow from them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Self

import numpy as np

from .._typing import Array, FloatArray, Matrix
from ._input import check_shapes


class Reported(NamedTuple):
    """A fitted attribute: its name, values, axes, the columns of its features, and the limits of its values.

    ``known`` says that the values were given, not estimated. ``direction`` and ``concentration`` are as in ``Estimate``.
    """

    name: str
    values: FloatArray
    axes: list[tuple[str, int]]
    columns: Array
    limits: tuple[float, float]
    known: bool
    direction: str
    concentration: str


class ComponentAttributes(ABC):
    """Components as users see them; ``Components`` adds how they are fitted."""

    # For attributes whose shapes depend on an argument of the mixture, the name of this argument.
    @property
    def shape_arguments(self) -> Mapping[str, str]:
        return {}

    # Singular names are the family's; these are the names of the fitted attributes without the underscore.
    @property
    @abstractmethod
    def attribute_names(self) -> tuple[str, ...]: ...

    @property
    def given_names(self) -> tuple[str, ...]:
        """Names of attributes that are given, and not fitted."""
        return ()

    @property
    def directions(self) -> dict[str, tuple[str, str]]:
        """For attributes that are directions the kind, as in ``Estimate``, and the attribute that is their concentration."""
        return {}

    @abstractmethod
    def axes(self, n_components: int, n_features: int) -> tuple[list[tuple[str, int]], ...]:
        """For each attribute the names and lengths of its axes."""

    def check_given(self, standard: tuple[FloatArray, ...], suffix: str, n_components: int, n_features: int) -> None:
        """Raise ValueError, by name, for attributes of other shapes or out of range."""
        check_shapes(self.attribute_names, suffix, standard, self.axes(n_components, n_features), self.shape_arguments)
        self.check_standard(standard, suffix)

    @abstractmethod
    def standard(self, parameters: Any) -> tuple[FloatArray, ...]:
        """The fitted attributes, in the data's units."""

    def narrowed(self, standard: tuple[FloatArray, ...], dtype: np.dtype[Any]) -> tuple[FloatArray, ...]:
        """The attributes in the precision of the data, or in double precision if that precision cannot hold them."""
        return tuple(narrow(value, dtype) for value in standard)

    @property
    @abstractmethod
    def standard_limits(self) -> tuple[tuple[float, float], ...]:
        """Lower and upper limits of each attribute's values; for a covariance matrix those of its diagonal."""

    def reported(self, estimator: Any, n_components: int, n_features: int) -> Iterator[Reported]:
        """The fitted attributes of an estimator one by one, in the order of ``standard_changes``."""
        axes = self.axes(n_components, n_features)
        for name, own, limits in zip(self.attribute_names, axes, self.standard_limits, strict=True):
            values = np.asarray(getattr(estimator, name + "_"), dtype=np.float64)
            direction = self.directions.get(name, ("", ""))
            yield Reported(name, values, own, np.arange(n_features), limits, name in self.given_names, *direction)

    @abstractmethod
    def natural(self, standard: tuple[FloatArray, ...]) -> Any:
        """The parameters that belong to attributes."""

    @abstractmethod
    def check_standard(self, standard: tuple[FloatArray, ...], suffix: str = "") -> None:
        """Raise ValueError, by name, for attributes that are out of range."""

    def cautions(self, estimator: Any, standard: tuple[FloatArray, ...]) -> list[str]:
        """Warnings about given attributes, such as that likelihoods lose digits."""
        return []

    @abstractmethod
    def of_fitted(
        self, weights: FloatArray, standard: tuple[FloatArray, ...], *, is_sparse: bool, exposure: float = 1.0
    ) -> Self:
        """These components in units that depend only on the fitted mixture; ``exposure`` is the largest one, if known."""

    @abstractmethod
    def n_parameters(self, n_components: int) -> int:
        """Number of free parameters."""

    @abstractmethod
    def divergence(self, parameters: Any, component: int) -> FloatArray:
        """Kullback-Leibler divergences of all components from one of them, (K,)."""

    @abstractmethod
    def column_divergences(self, parameters: Any, component: int) -> FloatArray:
        """Divergences of single columns, (K, D); infinite where the one component excludes values of the other."""

    @abstractmethod
    def moments(self, parameters: Any) -> tuple[FloatArray, FloatArray]:
        """Means and variances of the columns in the data's units, at an exposure of one; each (K, D)."""

    @property
    def scale_label(self) -> str:
        """Words in titles of tables for the quantities that means and parameters describe."""
        return "in the data's units"

    def relative_columns(self, n_features: int) -> Array:
        """Which columns are modelled relative to the length, the sum or the total of the row."""
        return np.arange(0)

    @property
    def poisson_columns(self) -> Array:
        """Which columns are counts with Poisson distributions, whose rates are the means."""
        return np.arange(0)

    @property
    def circular_columns(self) -> Array:
        """Which columns are angles, whose means are directions and whose variances are mean squared chords."""
        return np.arange(0)

    def category_probabilities(self, parameters: Any) -> dict[int, FloatArray]:
        """Probabilities of the categories, (K, n_categories), of each column whose values are codes of categories."""
        return {}

    def correlated_columns(self, parameters: Any) -> list[tuple[Array, FloatArray]]:
        """Columns that are correlated within components, and their covariances (K, d, d), or (1, d, d) of all components."""
        return []

    @abstractmethod
    def failures(self, estimator: Any, parameters: Any) -> Iterator[str]:
        """Reasons not to trust the parameters at the end of a fit."""

    @abstractmethod
    def sample(
        self,
        standard: tuple[FloatArray, ...],
        labels: Array,
        random_state: np.random.RandomState,
        like: Matrix | None = None,
    ) -> FloatArray:
        """Draw a row of each listed component; given totals are those of the rows ``like``, or one."""


def narrow(values: FloatArray, dtype: np.dtype[Any]) -> FloatArray:
    """The values in this precision, or unchanged if one of them would become zero or infinite."""
    with np.errstate(over="ignore", under="ignore"):
        narrower = values.astype(dtype)
    lost = (np.isinf(narrower) & np.isfinite(values)) | ((narrower == 0.0) & (values != 0.0))
    return values if lost.any() else narrower
