"""Check everything on which models rely in a family, for the families of this package and of users."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from scipy import sparse

from .._typing import Array
from ._base import ExponentialFamily
from ._circle import mean_direction, turned
from ._differences import difference, gradient
from ._nodes import nodes

_RTOL = 1e-6
_EPS = float(np.finfo(np.float64).eps)
_N_POINTS = 4
_N_DRAWS = 400_000
# Number of standard errors by which a sampled mean may be off: a correct family fails one of 10^6 comparisons. A sampler
# that is 1% off is 6.3 standard errors off if the standard deviation of T equals its mean.
_Z = 4.9
_EXPOSURE = 3.0
# The attributes that every family must state: their types, and words for them.
_ATTRIBUTES: dict[str, tuple[Any, str]] = {
    "name": (str, "a string, the family's name in messages"),
    "parameter_names": (tuple, 'a tuple of strings in the singular, such as ("rate",)'),
    "support": (str, 'what data may be, in words, such as "non-negative values"'),
    "lower_limit": (Real, "a number that no value is below, such as -np.inf"),
    "discrete": ((bool, np.bool_), "True for probability masses, False for densities"),
}


def check_family(
    family: ExponentialFamily, parameters: tuple[Array, ...] | None = None, *, random_state: int = 0
) -> dict[str, float]:
    r"""Check every formula of a family against another one, and the parameterization criterion.

    The function checks the attributes that every family states, such as ``name`` and ``support``; shapes and types;
    :math:`\nabla A = m` by finite differences; that ``natural`` inverts ``mean`` and ``from_standard`` inverts
    ``to_standard``, and that ``natural`` is finite for a single repeated value; that the density sums or integrates to one
    and has the means, entropies and moments that the family states, also by sampling; the support; directions of angles;
    ``rescale``, exposures and T(0) = 0 if the family claims them; and Definition 1 of [1]_: the Jacobian
    :math:`J = \partial\eta/\partial\theta` has full column rank and some :math:`\beta` solves :math:`\eta = J \beta`,
    Eqn. 7.

    Parameters
    ----------
    family : ExponentialFamily
        An instance.
    parameters : tuple of ndarray of shape (n_points,), default=None
        Standard parameters at which the family is checked, one array for each of ``family.parameter_names``. The default is
        a few values between 0.6 and 0.95, which suit probabilities, rates, shapes and variances alike.
    random_state : int, default=0
        Seed of the points and of the draws. A correct family fails the comparisons with drawn means for one seed in about
        100,000.

    Returns
    -------
    dict of str to float
        The largest relative error of each property.

    Raises
    ------
    AssertionError
        If a property does not hold; the message says which, where, and by how much.

    References
    ----------
    .. [1] Warnken, Velychko, Damm, Fischer, Lücke (2024), "Generative Models with ELBOs Converging to Entropy Sums".

    Examples
    --------
    >>> from skentropy.families import Gamma, check_family
    >>> errors = check_family(Gamma())
    >>> max(errors.values()) < 1e-6
    True
    """
    _check_attributes(family)
    rng = np.random.RandomState(random_state)
    if parameters is None:
        several = family.n_statistics > len(family.parameter_names)
        shape = (_N_POINTS, family.n_statistics) if several else (_N_POINTS,)
        parameters = tuple(rng.uniform(0.6, 0.95, size=shape) for _ in family.parameter_names)
    parameters = tuple(np.asarray(parameter, dtype=np.float64) for parameter in parameters)
    eta = family.from_standard(*parameters)
    errors: dict[str, float] = {}
    _check_value(family)
    _check_limits(family, parameters, eta)
    _check_shapes(family, eta, len(parameters[0]))
    _check_angles(family, eta, np.random.RandomState(random_state))
    for i in range(eta.shape[1]):
        theta = tuple(parameter[i] for parameter in parameters)
        point = _point(family, theta, eta[:, i], errors, rng)
        # Overflow shows in the comparisons, which NaN never passes.
        with np.errstate(all="ignore"):
            _check_formulas(point)
            _check_claims(point, rng)
            _check_criterion(point)
    return errors


@dataclass(frozen=True)
class _Point:
    """One distribution of the family, with draws from it, and nodes and weights for sums or integrals over its support."""

    family: ExponentialFamily
    theta: tuple[Array, ...]
    eta: Array
    errors: dict[str, float]
    draws: Array
    x: Array
    weight: Array
    # The probability of tails that floating-point numbers cannot represent.
    lost: float

    def require(self, condition: bool, message: str) -> None:
        _require(condition, f"{self._place()}: {message}")

    def compare(self, what: str, actual: Array, expected: Array, unit: Array | float = 1.0, noise: float = 0.0) -> None:
        """Require equality up to rounding, relative to the expected value or to the unit, whichever is larger."""
        actual, expected = np.asarray(actual), np.asarray(expected)
        self.require(actual.shape == expected.shape, f"{what} has shape {actual.shape}, not {expected.shape}")
        error = float(np.max(np.abs(actual - expected) / np.maximum(np.abs(expected), unit)))
        self.require(error <= _RTOL + noise + 1e3 * self.lost, f"{what} is off by {error:.1e} relative")
        self.errors[what] = max(self.errors.get(what, 0.0), error)

    def _place(self) -> str:
        return f"{self.family!r} at " + ", ".join(
            f"{name} {value}" for name, value in zip(self.family.parameter_names, self.theta, strict=True)
        )


def _require(condition: bool, message: str) -> None:
    # Not an assert statement, which Python drops under -O.
    if not condition:
        raise AssertionError(message)


def _point(
    family: ExponentialFamily, theta: tuple[Array, ...], eta: Array, errors: dict[str, float], rng: np.random.RandomState
) -> _Point:
    draws = family.sample(np.repeat(eta[:, np.newaxis], _N_DRAWS, axis=1), rng)
    _require(np.shape(draws) == (_N_DRAWS,), f"{family!r}: sample has shape {np.shape(draws)}, not {(_N_DRAWS,)}")
    draws = draws.astype(np.float64)
    _require(bool(family.in_support(draws).all()), f"{family!r}: sample draws values outside the support")
    _require(draws.min() >= family.lower_limit, f"{family!r}: sample draws values below lower_limit = {family.lower_limit}")
    with np.errstate(all="ignore"):
        x, weight, lost = nodes(family, eta, draws)
    _require(
        np.isfinite(lost),
        f"{family!r}: the density ends abruptly at {x.min():g} or {x.max():g}; check lower_limit and in_support",
    )
    return _Point(family, theta, eta, errors, draws, x, weight, lost)


def _check_attributes(family: ExponentialFamily) -> None:
    """Check the attributes that every family must state, before the checks that need them."""
    of = type(family).__name__
    for name, (kinds, wanted) in _ATTRIBUTES.items():
        value = getattr(family, name, None)
        _require(value is not None, f"{of}: the attribute {name} is missing; it is {wanted}")
        _require(isinstance(value, kinds), f"{of}: {name} is {value!r}, not {wanted}")
    names = family.parameter_names
    _require(
        bool(names) and all(isinstance(name, str) for name in names), f"{of}: parameter_names are {names!r}, not strings"
    )
    _require(
        len(family.parameter_limits) in (0, len(names)),
        f"{of}: parameter_limits has {len(family.parameter_limits)} entries for {len(names)} parameters",
    )
    kinds = ("none", "scale", "affine")
    _require(family.equivariance in kinds, f"{of}: equivariance is {family.equivariance!r}, none of {kinds}")
    for name, method in vars(ExponentialFamily).items():
        derived = getattr(method, "__final__", False) and getattr(type(family), name) is not method
        _require(not derived, f"{of}: {name} follows from the other methods; leave it as ExponentialFamily has it")
        lost = callable(method) and not callable(getattr(family, name))
        _require(not lost, f"{of}: {name} is {getattr(family, name)!r}, not a method")
    with np.errstate(all="ignore"):
        statistics = family.sufficient_statistics(np.ones(1))
    _require(isinstance(statistics, tuple), f"{of}: sufficient_statistics returns {type(statistics)}, not a tuple of arrays")


def _check_value(family: ExponentialFamily) -> None:
    again = copy.deepcopy(family)
    _require(again == family and hash(again) == hash(family), f"{family!r}: a copy is not equal to it, or has another hash")
    infinite = family.in_support(np.array([-np.inf, np.inf]))
    _require(not infinite.any(), f"{family!r}: infinite values are in the support")


def _check_limits(family: ExponentialFamily, parameters: tuple[Array, ...], eta: Array) -> None:
    """Check the limits that are stated of values, of standard parameters and of mean parameters."""
    low = family.lower_limit
    if np.isfinite(low):
        below = low - np.array([1.0, 2.0, 1e-6 * max(1.0, abs(low))])
        _require(not family.in_support(below).any(), f"{family!r}: in_support takes values below lower_limit = {low}")
    for name, values, (least, most) in zip(family.parameter_names, parameters, family.parameter_limits, strict=False):
        inside = bool(((values >= least) & (values <= most)).all())
        _require(inside, f"{family!r}: {name} {values.ravel()} is not within its parameter_limits, {(least, most)}")
    largest = float(family.mean(eta).max())
    _require(
        largest <= family.upper_limit * (1.0 + _RTOL),
        f"{family!r}: upper_limit is {family.upper_limit}, and a mean parameter is {largest:g}",
    )


def _check_shapes(family: ExponentialFamily, eta: Array, n_points: int) -> None:
    """Check that all methods work elementwise on the trailing axes of eta."""
    _require(eta.shape == (family.n_statistics, n_points), f"{family!r}: from_standard has shape {eta.shape}")
    _require(family.in_domain(eta), f"{family!r}: from_standard is not in the domain")

    def evaluate(eta: Array) -> dict[str, tuple[Array, ...]]:
        mean = family.mean(eta)
        return {
            "log_partition": (family.log_partition(eta),),
            "mean": tuple(mean),
            "covariance": tuple(value for row in family.covariance(eta) for value in row),
            "natural": tuple(family.natural(mean)),
            "to_standard": family.to_standard(eta),
            "moments": family.moments(eta),
            "expected_log_base_measure": (family.expected_log_base_measure(eta),),
            "at_zero": (family.at_zero(eta),),
            "at_bound": (family.at_bound(eta),),
        }

    grid = np.stack([eta, eta[:, ::-1]], axis=1)
    for (what, values), expected in zip(evaluate(grid).items(), evaluate(eta).values(), strict=True):
        for value, row in zip(values, expected, strict=True):
            # A parameter with one entry for each of several statistics has one more axis.
            _require(np.shape(value)[:2] == grid.shape[1:], f"{family!r}: {what} has shape {np.shape(value)}")
            same = np.allclose(value[0], row, rtol=1e-9, atol=0.0) and np.allclose(value[1], row[::-1], rtol=1e-9, atol=0.0)
            _require(same, f"{family!r}: {what} is not elementwise on the trailing axes of eta")
    n_standard = len(family.to_standard(eta))
    _require(n_standard == len(family.parameter_names), f"{family!r}: to_standard returns {n_standard} arrays")


def _check_angles(family: ExponentialFamily, eta: Array, rng: np.random.RandomState) -> None:
    """Check that the first standard parameter of angles is their direction, and that directions are averaged as such."""
    if not family.circular:
        return
    direction, variance = family.moments(eta)
    first = family.to_standard(eta)[0]
    is_direction = np.shape(first) == direction.shape and np.allclose(turned(first, direction), direction, atol=_RTOL)
    _require(is_direction, f"{family!r}: the first of parameter_names, {family.parameter_names[0]!r}, is not the direction")
    weights = rng.dirichlet(np.ones(eta.shape[1]), size=5)
    expected = mean_direction(weights, direction, variance)[0][:, np.newaxis]
    predicted = family.predict(eta[..., np.newaxis], weights.T)
    is_mean = np.shape(predicted) == expected.shape and np.allclose(turned(predicted, expected), expected, atol=_RTOL)
    _require(is_mean, f"{family!r}: predict returns no mean directions")


def _check_formulas(point: _Point) -> None:
    family, eta, compare, x = point.family, point.eta[:, np.newaxis], point.compare, point.x
    log_p = family.log_prob(x, eta)
    log_h = family.log_base_measure(x)
    p = np.exp(log_p) * point.weight
    T = np.stack(family.sufficient_statistics(x))
    m = family.mean(eta)[:, 0]
    # The rounding error where terms of the log-density cancel.
    noise = 20.0 * _EPS * float(np.abs(family.log_partition(eta)[0]) + np.abs(eta[:, 0] * m).sum() + np.abs(log_h @ p))
    compare("total probability", p.sum(), np.ones(()), noise=noise)
    centred = T - m[:, np.newaxis]
    deviation = np.sqrt(centred**2 @ p)
    compare("mean as E[T]", m, T @ p, deviation, noise)
    # A changes over the first of these lengths, and its curvature over the second.
    length = np.minimum(1.0 / deviation, deviation**2 / np.maximum(np.abs(centred**3 @ p), 1e-300))
    slopes, uncertainty = gradient(family.log_partition, eta, 0.02 * length)
    rounding = float(np.max(uncertainty / deviation))
    compare("mean as the gradient of log_partition", m, slopes, deviation, rounding)
    scatter = (p * centred) @ centred.T
    unit = deviation * deviation[:, np.newaxis]
    compare("covariance as that of T", family.covariance(eta)[..., 0], scatter, unit, noise)
    compare("natural(mean(eta)), by its means", family.mean(family.natural(family.mean(eta)))[:, 0], m, deviation)
    again = family.from_standard(*(np.asarray(parameter)[np.newaxis] for parameter in point.theta))
    compare("from_standard(*to_standard(eta)), by its means", family.mean(again)[:, 0], m, deviation)
    again = family.from_standard(*family.to_standard(eta))
    compare("from_standard(*to_standard(eta)), by its means", family.mean(again)[:, 0], m, deviation)
    compare("pseudo_entropy as -E[log p/h]", family.pseudo_entropy(eta)[0], -p @ (log_p - log_h), noise=noise)
    compare("entropy as -E[log p]", family.entropy(eta)[0], -p @ log_p, noise=noise)
    first, variance = _first_moments(family, x, p)
    mean_x, variance_x = (moment[0] for moment in family.moments(eta))
    finite = bool(np.isfinite(mean_x) and np.isfinite(variance_x))
    point.require(finite, "moments are not finite here; the second argument takes parameters where they are")
    compare("moments", mean_x, first, np.sqrt(variance), noise)
    compare("variance of moments", variance_x, variance, variance, noise)
    if family.constant_base_measure:
        compare("log_base_measure, said to be zero", log_h, np.zeros_like(x))
    _check_drawn_means(point, point.draws, m, deviation)

    for value in [point.draws.min(), point.draws.max(), *point.draws[:3]]:
        single = np.full(1, value)
        at_limit = family.natural(np.stack(family.sufficient_statistics(single)))
        results = [at_limit, family.pseudo_entropy(at_limit), family.log_prob(single, at_limit)]
        finite = all(np.isfinite(result).all() for result in results)
        point.require(finite, f"natural, or what follows from it, is not finite for the single value {value}")
    single_precision = point.draws[:50].astype(np.float32)
    for statistic in family.sufficient_statistics(single_precision):
        point.require(statistic.dtype == np.float32, f"sufficient_statistics of float32 values are {statistic.dtype}")


def _first_moments(family: ExponentialFamily, x: Array, p: Array) -> tuple[Array, Array]:
    """Mean and variance of values with probabilities; for angles the mean direction, and the mean squared chord from it."""
    if not family.circular:
        first = p @ x
        return first, p @ (x - first) ** 2
    first = np.angle(p @ np.exp(1j * x))
    return first, p @ (2.0 * np.sin(0.5 * (x - first))) ** 2


def _check_drawn_means(point: _Point, draws: Array, mean: Array, deviation: Array) -> None:
    drawn = np.stack(point.family.sufficient_statistics(draws))
    distance = np.abs(drawn.mean(axis=1) - mean)
    # The second term is for rare events, whose mean is not Gaussian (Bernstein's inequality).
    largest = np.abs(drawn - mean[:, np.newaxis]).max(axis=1)
    allowed = _Z * deviation / np.sqrt(draws.size) + _Z**2 / 3.0 * largest / draws.size + _RTOL * np.abs(mean)
    z = float(np.max(distance / (deviation / np.sqrt(draws.size))))
    point.require(bool((distance <= allowed).all()), f"means of T over what sample draws are {z:.1f} standard errors off")


def _check_claims(point: _Point, rng: np.random.RandomState) -> None:
    """Check the claims of the family's class attributes."""
    family, eta, compare = point.family, point.eta[:, np.newaxis], point.compare
    draws = point.draws[:50]
    if family.equivariance != "none":
        scale, location = np.array(2.5), np.array(1.3 if family.equivariance == "affine" else 0.0)
        moved = family.from_standard(*(np.reshape(p, -1) for p in family.rescale(point.theta, location, scale)))
        expected = family.log_prob(draws, eta) - np.log(scale)
        unit = 1.0 + np.abs(family.log_partition(eta)) + np.abs(family.log_partition(moved))
        compare("density of rescaled values", family.log_prob(location + scale * draws, moved), expected, unit)
        degree = family.log_base_measure(scale * draws) - family.log_base_measure(draws)
        compare("base_measure_degree", degree, np.full_like(degree, family.base_measure_degree * np.log(scale)))
    if family.additive:
        exposed = family.sample(np.repeat(eta, _N_DRAWS, axis=1), rng, np.full(_N_DRAWS, _EXPOSURE)).astype(np.float64)
        point.require(bool(family.in_support(exposed, _EXPOSURE).all()), "sample under exposure leaves the support")
        x, weight, _ = nodes(family, point.eta, exposed, _EXPOSURE)
        p = np.exp(family.log_prob(x, eta, _EXPOSURE)) * weight
        T = np.stack(family.sufficient_statistics(x))
        m = _EXPOSURE * family.mean(eta)[:, 0]
        deviation = np.sqrt(((T - m[:, np.newaxis]) ** 2) @ p)
        log_h = family.log_base_measure(x, _EXPOSURE)
        noise = 20.0 * _EPS * float(np.abs(point.eta * m).sum() + np.abs(log_h @ p))
        compare("total probability under exposure", p.sum(), np.ones(()), noise=noise)
        compare("E[T] under exposure", T @ p, m, deviation, noise)
        _check_drawn_means(point, exposed, m, deviation)
    if family.zero_statistics:
        at_zero = np.stack(family.sufficient_statistics(np.zeros(1)))
        compare("T(0), said to be zero", at_zero, np.zeros_like(at_zero))
        stored = draws.copy()
        stored[0] = 0.0  # stored all the same
        X = sparse.csr_matrix((stored, np.arange(50), np.array([0, 25, 50])), shape=(2, 60))
        dense = family.sufficient_statistics(stored)
        try:
            of_sparse = family.sufficient_statistics(X)
        except (TypeError, ValueError) as error:
            raise AssertionError(f"{family!r}: sufficient_statistics of a CSR matrix: {error}") from error
        for actual, expected in zip(of_sparse, dense, strict=True):
            same = sparse.issparse(actual) and actual.format == "csr" and np.array_equal(actual.indices, X.indices)
            point.require(same, "sufficient_statistics of a CSR matrix are no CSR matrix of the same structure")
            compare("sufficient_statistics of sparse data", actual.data, expected)


def _check_criterion(point: _Point) -> None:
    """Check W Definition 1 (B), for the standard parameters of one distribution as theta."""
    sizes = np.cumsum([np.size(parameter) for parameter in point.theta])[:-1]
    shapes = [np.shape(parameter) for parameter in point.theta]

    def natural_of(theta: Array) -> Array:
        parts = np.split(theta, sizes)
        return point.family.from_standard(*(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)))

    theta = np.concatenate([np.ravel(parameter) for parameter in point.theta])
    columns = []
    for direction in np.diag(np.where(theta == 0.0, 1.0, np.abs(theta))):
        step = 1e-3
        while not _accepts(natural_of, theta, 3.0 * step * direction):
            step /= 2.0
        columns.append(difference(natural_of, theta, step * direction) / step)
    jacobian, eta = np.stack(columns, axis=1), natural_of(theta)
    unit = np.maximum(np.abs(eta), np.abs(jacobian).max(axis=1))
    unit = np.where(unit > 0.0, unit, 1.0)
    smallest = np.linalg.svd(jacobian / unit[:, np.newaxis], compute_uv=False)[-1]
    point.require(bool(smallest > 1e-8), "the Jacobian of eta is singular, so W Definition 1 fails")
    beta = np.linalg.lstsq(jacobian / unit[:, np.newaxis], eta / unit, rcond=None)[0]
    point.compare("eta = J beta, W(7)", jacobian @ beta, eta, unit)


def _accepts(function: Callable[[Array], Array], x: Array, step: Array) -> bool:
    try:
        function(x + step), function(x - step)
    except ValueError:
        return False
    return True
