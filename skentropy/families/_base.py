"""The base class of exponential families, which every model of the package uses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal, final

import numpy as np

from .._typing import Array, Matrix
from ._arguments import HasArguments
from ._circle import mean_direction

# The smallest positive double, 2^-1074. It stands for a probability or a rate of zero, so that the logarithm is finite, and
# 0 * log(0) is 0, the limit that the entropies need.
TINY = 5e-324
# Doubles below this, 2^-1022, have fewer digits: a smaller probability or rate counts as zero.
SMALLEST_NORMAL = float(np.finfo(np.float64).tiny)
# The largest logarithm of a number that counts as zero.
LOG_ZERO = float(np.log(SMALLEST_NORMAL))
# Numbers below exp(-700) can count as zero. Exponentials that underflow take up to a hundred times as long.
_LOWEST = -700.0
_SMALLEST = np.exp(np.full(8, _LOWEST))[0]


def safe_log(x: Array) -> Array:
    """Logarithm, in double precision, whose value at 0, and at subnormal numbers, is log(5e-324) = -744.44."""
    x = np.asarray(x, dtype=np.float64)
    return np.log(np.where(x < SMALLEST_NORMAL, TINY, x))


def safe_exp(x: Array) -> Array:
    """Exponential, the inverse of ``safe_log``: exactly 0 for its logarithm of 0."""
    value = np.exp(x)
    return np.where(value < SMALLEST_NORMAL, 0.0, value)


def exp_or_zero(x: Array, out: Array | None = None) -> Array:
    """exp(x), or zero if that is less than exp(-700), in as little time; ``out`` may be x."""
    if x.size == 0 or x.min() >= _LOWEST:
        return np.asarray(np.exp(x, out=out))
    p = np.asarray(np.maximum(x, _LOWEST, out=out))
    np.exp(p, out=p)
    p -= _SMALLEST
    return p


def positive_or_one(x: Array) -> Array:
    """x, with ones in the place of values that count as zero or are negative, whose quotients or logarithms are not used."""
    return np.where(x < SMALLEST_NORMAL, 1.0, x)


class ExponentialFamily(HasArguments, ABC):
    r"""A univariate exponential family, the observable distribution of one feature.

    .. math::  p(x; \eta) = h(x) \exp(\eta \cdot T(x) - A(\eta)).

    A subclass supplies the sufficient statistics :math:`T`, the log-partition :math:`A`, its gradient :math:`m = \nabla
    A(\eta)` (the mean parameters) and the inverse of that map (the M-step), the base measure :math:`h`, and the map
    between :math:`\eta` and the standard parameters. ``log_prob``, ``pseudo_entropy`` and, for constant :math:`h`,
    ``entropy`` are derived from these here.

    **Shapes.** Natural and mean parameters are *statistic-first*: arrays of shape ``(n_statistics, ...)``, one
    distribution for each trailing index, in mixtures ``(n_statistics, n_components, n_features)``. All methods work
    elementwise on the trailing axes. All values are in nats.

    Attributes
    ----------
    name : str
        The key of the family in the registry, and its name in tables and messages.
    parameter_names : tuple of str
        Usual names of the standard parameters, in the order of ``to_standard``; singular, as in "rate".
    parameter_limits : tuple of (float, float)
        The limits of each parameter, which confidence intervals respect. Empty, the default, if there are no limits.
    support : str
        The support in messages, such as "non-negative values".
    lower_limit : float
        No value is below this.
    upper_limit : float
        No mean parameter is above this; infinite by default. If it is finite, the natural parameter must be the log-odds of
        the mean divided by the limit.
    discrete : bool
        Whether the distribution lives on integers (probability mass) or on reals (density).
    constant_base_measure : bool
        Whether h(x) = 1, the default: the pseudo entropy is then the entropy.
    equivariance : {"none", "scale", "affine"}
        Transformations that map the family to itself: x -> b x, x -> a + b x, or neither, the default. Fits use units in
        which the data are of order one, and are therefore exactly equivariant to these transformations.
    additive : bool
        Whether p(x; s) = h(x; s) exp(eta T(x) - s A(eta)) is a distribution for every exposure s > 0; False by default.
    zero_statistics : bool
        Whether T(0) = 0, so that entries that a sparse matrix does not store add nothing to any sum; False by default.
    circular : bool
        Whether values are angles in radians, which are the same if they differ by a whole turn; False by default. Their
        means are directions, and their variances mean squared chords. The first standard parameter must be the mean
        direction.

    See Also
    --------
    check_family : Checks your own subclass against these requirements.

    References
    ----------
    Warnken et al. (2024), "Generative Models with ELBOs Converging to Entropy Sums", Definition 1 and Eqn. 51.
    """

    name: ClassVar[str]
    parameter_names: ClassVar[tuple[str, ...]]
    parameter_limits: tuple[tuple[float, float], ...] = ()
    support: ClassVar[str]
    lower_limit: ClassVar[float]
    upper_limit: float = np.inf
    discrete: ClassVar[bool]
    constant_base_measure: ClassVar[bool] = True
    equivariance: ClassVar[Literal["none", "scale", "affine"]] = "none"
    additive: ClassVar[bool] = False
    zero_statistics: ClassVar[bool] = False
    circular: ClassVar[bool] = False

    @property
    def n_statistics(self) -> int:
        """Number of sufficient statistics of one feature."""
        return len(self.parameter_names)

    @property
    def n_parameters(self) -> int:
        """Number of free parameters of one feature."""
        return self.n_statistics

    @property
    def base_measure_degree(self) -> float:
        """The degree in h(b x) = b^degree h(x); read only where ``equivariance`` is not "none"."""
        return 0.0

    def for_columns(self, largest: Array) -> ExponentialFamily:
        """The family for data with these largest values of the columns; itself, unless it depends on them."""
        return self

    def for_parameters(self, parameters: tuple[Array, ...]) -> ExponentialFamily:
        """The family of these standard parameters (K, D) of K components; itself, unless it depends on their shapes."""
        return self

    @property
    def absolute(self) -> ExponentialFamily:
        """The family with its own base measure; itself, unless it is relative to a reference distribution."""
        return self

    def relative_to(self, mean: Array, largest: float) -> ExponentialFamily:
        """The family with the distributions of these means as base measures, for counts as large as ``largest``.

        The family itself, unless sums of natural parameters times such counts would lose digits that it can keep.
        """
        return self

    def rounding_error(self, largest: Array) -> Array:
        """Errors, in nats, that rounding leaves in log-probabilities relative to counts as large as these; elementwise."""
        return np.zeros(np.shape(largest))

    def count_parameters(self, occurs: Array) -> int:
        """Number of free parameters of several features; ``occurs``, (S, D), says which statistics are ever positive."""
        return occurs.shape[1] * self.n_parameters

    @final
    @property
    def attribute_names(self) -> tuple[str, ...]:
        """Plurals of ``parameter_names``, under which mixtures keep their fitted values: rate -> rates."""
        return tuple(name[:-1] + "ies" if name.endswith("y") else name + "s" for name in self.parameter_names)

    @abstractmethod
    def sufficient_statistics(self, X: Matrix) -> tuple[Matrix, ...]:
        """T(x) of every entry: a tuple of ``n_statistics`` arrays shaped like X, of its dtype (sparse for sparse X)."""

    @abstractmethod
    def log_partition(self, eta: Array) -> Array:
        """A(eta), shape ``eta.shape[1:]``."""

    @abstractmethod
    def mean(self, eta: Array) -> Array:
        """Mean parameters m = E[T(x)] = grad A(eta), shaped like eta."""

    @abstractmethod
    def covariance(self, eta: Array) -> Array:
        """Covariance of T(x), the curvature of A: its second derivatives, shape ``(n_statistics, *eta.shape)``.

        It is the Fisher information of the natural parameters, which standard errors and Newton steps use.
        """

    @abstractmethod
    def natural(self, mean: Array) -> Array:
        """Natural parameters with the given mean parameters, the inverse of ``mean``: the M-step.

        Some mean parameters belong to no distribution of the family, such as those of a single repeated value. For these the
        result is the nearest allowed natural parameters (``at_bound`` or ``at_zero`` is then true), and never NaN.
        """

    @abstractmethod
    def to_standard(self, eta: Array) -> tuple[Array, ...]:
        """Standard parameters, one array for each of ``parameter_names``."""

    @abstractmethod
    def from_standard(self, *parameters: Array) -> Array:
        """Natural parameters of the given standard parameters.

        Raises
        ------
        ValueError
            If a parameter lies outside its range; the message names it.
        """

    @abstractmethod
    def moments(self, eta: Array) -> tuple[Array, Array]:
        """Mean and variance of x, each of shape ``eta.shape[1:]``."""

    def typical_value(self, eta: Array) -> Array:
        """A value of the size of typical draws, which determines units; the mean unless overridden."""
        return self.moments(eta)[0]

    @abstractmethod
    def sample(self, eta: Array, random_state: np.random.RandomState, exposure: Array | None = None) -> Array:
        """One draw for each distribution, shape ``eta.shape[1:]``; exposures broadcast against it.

        Draws lie in the support: a draw that double precision would round onto the boundary is moved to the nearest value
        inside.
        """

    @abstractmethod
    def in_support(self, X: Array, exposure: Array | float = 1.0) -> Array:
        """Boolean array: which entries have positive density. Infinite values have none; the caller treats NaN."""

    def log_base_measure(self, X: Array, exposure: Array | float = 1.0) -> Array:
        """log h(x), or log h(x; s) under an exposure s; elementwise. Zero unless the family overrides it."""
        return np.zeros(np.shape(X))

    def expected_log_base_measure(self, eta: Array) -> Array:
        """E[log h(x)], shape ``eta.shape[1:]``. Zero unless the family overrides it."""
        return np.zeros(eta.shape[1:])

    def in_domain(self, eta: Array) -> bool:
        """Whether all of eta lies in the natural parameter space, a convex set; the whole space unless overridden."""
        return bool(np.isfinite(eta).all())

    def at_zero(self, eta: Array) -> Array:
        """Which distributions have reached a limit of the family, at which some values have probability zero.

        The entropy identity still holds in this limit, since 0 log 0 = 0.
        """
        return np.zeros(eta.shape[1:], dtype=bool)

    def at_bound(self, eta: Array) -> Array:
        """Which distributions have a parameter at a numerical bound, such as a variance floor, where the identity fails."""
        return np.zeros(eta.shape[1:], dtype=bool)

    def coordinates(self, eta: Array) -> Array:
        """Coordinates, shaped like eta, in which EM is extrapolated; the natural parameters unless overridden.

        The limits of a family must be at a finite distance in these coordinates.
        """
        return eta

    def from_coordinates(self, coordinates: Array, origin: Array) -> Array:
        """Natural parameters of extrapolated coordinates; they keep at least half of the origin's distance from limits."""
        return coordinates

    def rescale(self, parameters: tuple[Array, ...], location: Array, scale: Array) -> tuple[Array, ...]:
        """Standard parameters of ``location + scale * x`` where x has the given ones (see ``equivariance``)."""
        return parameters

    def stable_log_prob(self, X: Array, parameters: tuple[Array, ...]) -> Array | None:
        r"""log p(x) - log h(x) for standard parameters, elementwise, in a form that does not cancel; None if there is none.

        If a distribution is narrow compared with its distance from the origin, :math:`\eta \cdot T(x) - A` is a small
        difference of large numbers.
        """
        return None

    def predict(self, eta: Array, weights: Array) -> Array:
        """Expectations of x, (n, D), in mixtures with weights (K, n) of distributions (S, K, D).

        Expectations of angles are mean directions. A family whose values are codes of names returns the most probable code.
        """
        if self.circular:
            return mean_direction(weights.T, *self.moments(eta))[0]
        return np.asarray(weights.T @ self.moments(eta)[0])

    # What follows from the above.

    @final
    def log_prob(self, X: Array, eta: Array, exposure: Array | float = 1.0) -> Array:
        r"""Log-density of every entry: :math:`\eta \cdot T(x) - s A(\eta) + \log h(x; s)`.

        X and the exposures broadcast against ``eta.shape[1:]``. X must lie in the support, which is not checked. The
        smallest positive double stands for a probability of zero, so that forbidden values have -744 or less, but not -inf.
        """
        inner = sum(t * e for t, e in zip(self.sufficient_statistics(X), eta, strict=True))
        return inner - exposure * self.log_partition(eta) + self.log_base_measure(X, exposure)

    @final
    def pseudo_entropy(self, eta: Array) -> Array:
        r""":math:`\tilde{\mathcal H} = A(\eta) - \eta \cdot m`, W(51), shape ``eta.shape[1:]``; the entropy where h = 1."""
        return self.log_partition(eta) - (eta * self.mean(eta)).sum(axis=0)

    @final
    def entropy(self, eta: Array) -> Array:
        r"""Entropy :math:`\mathcal H = \tilde{\mathcal H} - E[\log h(x)]`, W(49), shape ``eta.shape[1:]``."""
        return self.pseudo_entropy(eta) - self.expected_log_base_measure(eta)

    @final
    def divergence(self, eta_from: Array, eta_to: Array) -> Array:
        r"""Kullback-Leibler divergence, the Bregman divergence of A, shape ``eta.shape[1:]``.

        .. math::  (\eta_0 - \eta_1) \cdot m_0 - A(\eta_0) + A(\eta_1)
        """
        inner = ((eta_from - eta_to) * self.mean(eta_from)).sum(axis=0)
        return inner - self.log_partition(eta_from) + self.log_partition(eta_to)
