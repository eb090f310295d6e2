"""The interface between a mixture and its components."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar, Protocol, Self

import numpy as np

from .._data import Block, ColumnSurvey, Rounding
from .._typing import Array, FloatArray
from ._changes import differences
from ._component_attributes import ComponentAttributes

# A component with less than this share of the weight counts as empty.
EMPTY = 1e-100
# If all components together have less weight, they count as empty.
LEAST_WEIGHT = 1e-200
# A component collapses onto a single value if its spread is less than these shares of the spread of all rows, and of its
# own earlier spread.
_COLLAPSED = 1e-3
_COLLAPSING = 0.5


class Evidence(Protocol):
    """The log joint densities of a block of n rows, and the way to their statistics.

    Attributes
    ----------
    log_joint : ndarray of shape (K, n)
        log p(x_n | c) without the base measure, plus the component's offset. The caller may overwrite it.
    """

    @property
    def log_joint(self) -> FloatArray: ...

    def accumulate(self, weights: FloatArray) -> Any:
        """Additive statistics of the rows, weighted with an array of shape (K, n): rows' weights times responsibilities."""


class Limits(Protocol):
    """Limits of parameters that EM multiplies, such as a rate of zero; masks are flat arrays of the same length."""

    def near(self, parameters: Any) -> Array:
        """Mask of parameters close enough to their limits that they must be examined."""

    def lost(self, parameters: Any) -> Array:
        """Mask of parameters at their limits, up to rounding."""

    def put(self, parameters: Any, places: Array, share: float) -> Any:
        """Put some parameters at a share of the pooled distance from their limits."""

    def growing(self, before: Any, after: Any, faster_than: float) -> Array:
        """Mask of parameters whose distance from the limit grows in a step by more than a factor, given as a logarithm."""


class NoLimits:
    """The limits of components whose parameters EM does not multiply: there are none."""

    def near(self, parameters: Any) -> Array:
        return np.zeros(0, dtype=bool)

    def lost(self, parameters: Any) -> Array:
        return np.zeros(0, dtype=bool)

    def put(self, parameters: Any, places: Array, share: float) -> Any:
        return parameters

    def growing(self, before: Any, after: Any, faster_than: float) -> Array:
        return np.zeros(0, dtype=bool)


class SeedRows(Protocol):
    """Rows as distributions, and their divergences to some of them.

    Attributes
    ----------
    rounding : ndarray of shape (n,)
        Rounding errors of each row's divergences.
    """

    @property
    def rounding(self) -> FloatArray: ...

    def seeds(self, rows: Array) -> Any:
        """The distributions of some rows."""

    def divergences(self, seeds: Any) -> FloatArray:
        """Kullback-Leibler divergences of all rows (columns of the result) from the seeds."""


class ComponentMetric(Protocol):
    """Coordinates z of directions of all components' parameters, in which the complete data's information is one.

    Directions and z are arrays with one row for each component. Coordinates of directions along which nothing changes move
    nothing.
    """

    def directions(self, z: FloatArray) -> FloatArray:
        """The direction W z; for z with further first axes, one direction for each."""

    def gradient(self, score: FloatArray) -> FloatArray:
        """The score in the coordinates z, W' g."""


def is_collapsing(spread: Any, before: Any, pooled: Any) -> Any:
    """Where a spread, such as a variance, has become much smaller than before and than that of all rows."""
    return (spread < _COLLAPSED * pooled) & (spread < _COLLAPSING * before)


class Components(ComponentAttributes):
    """K distributions of a row, of one kind, which can be fitted to weighted rows.

    Parameters and statistics are opaque to the mixture. A block of rows is read once (``read``). For given parameters it
    yields log joint densities (``observe``), and for given responsibilities additive statistics (``Evidence.accumulate``).
    Everything else that depends on the data, such as units, is chosen before a fit (``prepare``, ``with_pooled``). These
    methods do not change the components, but return others.
    """

    # The name of the components in messages.
    @property
    @abstractmethod
    def label(self) -> str: ...

    # The support in messages, such as "non-negative values".
    @property
    @abstractmethod
    def support(self) -> str: ...

    def support_of(self, columns: Array) -> str:
        """The support of some columns in messages."""
        return self.support

    # The support of whole rows in messages; empty if every combination of values is allowed.
    @property
    def row_support(self) -> str:
        return ""

    # No value is below this.
    @property
    @abstractmethod
    def lower_limit(self) -> float: ...

    # Whether values are counts or categories: no component can then collapse onto a single value.
    @property
    @abstractmethod
    def discrete(self) -> bool: ...

    @property
    def likelihood(self) -> str:
        """The kind of a row's likelihood, as in ``Traits.likelihood``."""
        return "probability" if self.discrete else "density"

    # Whether sparse data are taken, and exposures.
    @property
    @abstractmethod
    def allows_sparse(self) -> bool: ...

    @property
    @abstractmethod
    def allows_exposure(self) -> bool: ...

    # Whether entries may be missing.
    @property
    def allows_gaps(self) -> bool:
        return True

    # Number of components at the end that are not clusters: their parameters are given, and their rows are labelled -1.
    n_fixed: ClassVar[int] = 0
    fixed_name: ClassVar[str] = ""

    @property
    def clusters(self) -> Components:
        """The components without those that are given."""
        return self

    # Before a fit.

    @abstractmethod
    def prepare(self, estimator: Any, columns: ColumnSurvey, *, is_sparse: bool, prior_counts: float) -> Self:
        """These components for data with such columns; ValueError, which names the columns, if they cannot be fitted."""

    @abstractmethod
    def count_outside(self, block: Block) -> Array:
        """Numbers of values outside the support, and of values that are too low, for each column, shape (2, D).

        If whole rows can be outside the support, a third line repeats their number for each column.
        """

    @abstractmethod
    def summarize(self, observations: Any, weight: FloatArray) -> Any:
        """Additive statistics of all rows together."""

    @abstractmethod
    def with_pooled(self, summary: Any) -> Self:
        """These components with the summary of all rows, at which a conjugate prior is centred."""

    @abstractmethod
    def with_prior(self, prior_counts: float, statistics: Any) -> Self:
        """These components with a prior of ``prior_counts`` pseudo-observations with the mean statistics of all rows."""

    def as_seeds(self, block: Block, observations: Any) -> Block:
        """The values from which seeds are drawn: those of the user, without substitutes of zeros."""
        return block.as_given

    @abstractmethod
    def rounding(self, columns: ColumnSurvey) -> Rounding | None:
        """A rounding of values that makes them independent of units; None if there are no units."""

    @abstractmethod
    def seed_rows(self, block: Block, observations: Any) -> SeedRows:
        """The rows of a block as seeds."""

    # Cost of an E-step for a row.

    @abstractmethod
    def row_cost(self, n_features: int) -> int:
        """Multiplications for one component."""

    @abstractmethod
    def row_bytes(self, n_features: int, n_components: int) -> int:
        """Bytes touched."""

    # EM.

    @abstractmethod
    def read(self, block: Block) -> Any:
        """The values of a block of rows that an E-step needs, for any parameters."""

    @abstractmethod
    def observe(self, parameters: Any, observations: Any, offsets: FloatArray, out: FloatArray | None = None) -> Evidence:
        """Log joint densities of a block; an offset for each component is added."""

    @abstractmethod
    def pooled_parameters(self, n_components: int) -> Any:
        """Parameters of ``n_components`` components that are all distributed like the pooled rows."""

    @abstractmethod
    def expected_rows(self, parameters: Any, observations: Any, responsibilities: FloatArray) -> FloatArray:
        """Expectation of each row given its observed entries and responsibilities (K, n); (n, D), in the data's units."""

    @abstractmethod
    def maximize(self, statistics: Any) -> Any:
        """M-step: parameters that maximise the expected log-density, plus the log prior."""

    @abstractmethod
    def log_base_measure(self, block: Block) -> FloatArray:
        """log h of each row, without the part that depends on parameters."""

    def base_measure(self, parameters: Any, statistics: Any) -> float:
        """The part of the expected log base measures that depends on parameters, summed over rows with their weights."""
        return 0.0

    @abstractmethod
    def entropy(self, parameters: Any, statistics: Any) -> float:
        """Sum of the rows' weights times the expected pseudo entropies of their observed entries."""

    @abstractmethod
    def log_density(self, parameters: Any, statistics: Any) -> float:
        """Expected log-density of the rows under other parameters, with the posteriors of the statistics."""

    @abstractmethod
    def magnitude(self, parameters: Any, statistics: Any) -> float:
        """Sum of the absolute values that ``log_density`` adds up."""

    @abstractmethod
    def log_prior(self, parameters: Any, statistics: Any | None) -> FloatArray:
        """Log-density of each component's parameters under the prior, up to its constant, shape (K,)."""

    @abstractmethod
    def penalty(self, parameters: Any, statistics: Any) -> float:
        """The prior's term in the sum of entropies: minus the derivative of its logarithm along the scale."""

    @abstractmethod
    def pack(self, parameters: Any) -> FloatArray:
        """Parameters as a vector in which EM is extrapolated."""

    @abstractmethod
    def unpack(self, vector: FloatArray, like: Any) -> Any | None:
        """The inverse of ``pack``; None outside the domain."""

    @property
    def climbs(self) -> bool:
        """Whether EM maximises an objective, so that steps can be extrapolated and a maximum can be verified."""
        return True

    # The end of a fit.

    @abstractmethod
    def limits(self, parameters: Any) -> Limits:
        """The limits that parameters may have reached."""

    @abstractmethod
    def n_directions(self, parameters: Any) -> int:
        """Number P of directions of one component's parameters."""

    @abstractmethod
    def score(self, parameters: Any, statistics: Any) -> FloatArray:
        """Gradient of the objective along the directions of the parameters, times the total weight; (K, P)."""

    @abstractmethod
    def row_scores(self, parameters: Any, observations: Any) -> Iterator[FloatArray]:
        """For each component in turn, the expected gradients of the rows' complete log-densities, (n, P)."""

    def latent_information(self, parameters: Any, observations: Any, weights: FloatArray) -> FloatArray | None:
        """Weighted sums of the gradients' covariances over a component's latent variables, (K, P, P), or None."""
        return None

    @abstractmethod
    def metric(self, parameters: Any, statistics: Any, counts: FloatArray) -> ComponentMetric:
        """The complete data's information, for components with these counts of rows."""

    @abstractmethod
    def moved(self, parameters: Any, direction: FloatArray) -> Any | None:
        """Parameters moved along a direction (K, P); None outside the domain."""

    def stride(self, parameters: Any, direction: FloatArray) -> float:
        """The largest change of a logarithm along a direction; zero if no direction changes a logarithm."""
        return 0.0

    # Several runs at once: R runs of K components are R K components.

    @abstractmethod
    def for_runs(self, n_runs: int) -> Self:
        """These components for ``n_runs`` runs side by side."""

    @abstractmethod
    def select(self, parameters: Any, components: Array, n_runs: int) -> Any:
        """The parameters of some components, which together form ``n_runs`` runs."""

    @abstractmethod
    def with_average_rows(self, statistics: Any, share: float, n_runs: int) -> Any:
        """Add to each component a share of the run's average component, with rows distributed like all rows."""

    @abstractmethod
    def collapsed(self, before: Any, parameters: Any) -> Array:
        """Which components are about to collapse onto a single value, compared with earlier parameters; (K,)."""

    @abstractmethod
    def degenerate(self, parameters: Any) -> bool:
        """Whether a bound holds a component, but would not hold the distribution of all rows."""

    def is_heywood(self, parameters: Any) -> bool:
        """Whether factors alone explain a column of a component that has not collapsed."""
        return False

    def fault(self, parameters: Any) -> str:
        """The fault of the parameters, as in ``Traits.doubt``; empty if there is none."""
        return "degenerate" if self.degenerate(parameters) else "Heywood" if self.is_heywood(parameters) else ""

    # Fitted attributes of parameters that can be moved.

    def fits(self, standard: tuple[FloatArray, ...], n_components: int) -> bool:
        """Whether attributes have the shapes of a fit with ``n_components`` of these components."""
        shapes = [value.shape for value in self.standard(self.pooled_parameters(n_components))]
        return [np.shape(value) for value in standard] == shapes

    def standard_changes(self, parameters: Any, directions: FloatArray) -> tuple[FloatArray, ...]:
        """Derivatives of the fitted attributes along directions (M, K, P), each with a further first axis of length M."""
        return differences(self, parameters, directions)
