"""A check of everything that models rely on in a family, for the families here and for those of users."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

from .._typing import Array
from ._base import ExponentialFamily

_RTOL = 1e-6
_N_POINTS = 4
_N_DRAWS = 100_000
# Standard errors by which a sampled mean may be off: a false alarm in less than one of 10^10 comparisons.
_Z = 6.5


def check_family(
    family: ExponentialFamily, parameters: tuple[Array, ...] | None = None, *, random_state: int = 0
) -> dict[str, float]:
    r"""Check a family: every formula against another one, and the parameterization criterion.

    Checked are shapes; :math:`\nabla A = m` by finite differences; that ``natural`` inverts ``mean`` and ``from_standard``
    inverts ``to_standard``; that the density sums or integrates to one, with the means, entropies and moments that the
    family says, also by sampling; ``rescale``, exposures and T(0) = 0 where the family claims them; and Definition 1 of
    [1]_: the Jacobian :math:`J = \partial\eta/\partial\theta` has full column rank and some :math:`\beta` solves
    :math:`\eta = J \beta`, Eqn. 7.

    Parameters
    ----------
    family : ExponentialFamily
        An instance.
    parameters : tuple of ndarray of shape (n_points,), default=None
        Standard parameters to check at, one array for each of ``family.parameter_names``. By default a few values between
        0.6 and 0.95, which suit probabilities, rates, shapes and variances alike.
    random_state : int, default=0

    Returns
    -------
    dict of str to float
        The largest relative error of each property.

    Raises
    ------
    AssertionError
        If a property does not hold; the message says which, and by how much.

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
    rng = np.random.RandomState(random_state)
    if parameters is None:
        several = family.n_statistics > len(family.parameter_names)
        shape = (_N_POINTS, family.n_statistics) if several else (_N_POINTS,)
        parameters = tuple(rng.uniform(0.6, 0.95, size=shape) for _ in family.parameter_names)
    parameters = tuple(np.asarray(parameter, dtype=np.float64) for parameter in parameters)
    eta = family.from_standard(*parameters)
    errors: dict[str, float] = {}

    def compare(what: str, actual: Array, expected: Array, rtol: float = _RTOL) -> None:
        actual, expected = np.asarray(actual), np.asarray(expected)
        assert actual.shape == expected.shape, f"{family}: {what} has shape {actual.shape}, not {expected.shape}"
        error = np.max(np.abs(actual - expected) / np.maximum(np.abs(expected), 1.0))
        assert error <= rtol, f"{family}: {what} is off by {error:.1e} relative"
        errors[what] = max(errors.get(what, 0.0), float(error))

    assert eta.shape == (family.n_statistics, len(parameters[0])), f"{family}: from_standard has shape {eta.shape}"
    mean = family.mean(eta)
    compare("mean as the gradient of log_partition", mean, _gradient(family.log_partition, eta))
    compare("natural(mean(eta)), by its means", family.mean(family.natural(mean)), mean)
    compare(
        "from_standard(*to_standard(eta)), by its means", family.mean(family.from_standard(*family.to_standard(eta))), mean
    )

    x, measure = _nodes(family)
    log_p = np.stack([family.log_prob(x, eta[:, [i]]) for i in range(eta.shape[1])])
    p = np.exp(log_p) * measure
    statistics = np.stack(family.sufficient_statistics(x))
    compare("total probability", p.sum(axis=1), np.ones(len(p)))
    compare("mean as E[T]", mean, statistics @ p.T)
    log_h = family.log_base_measure(x)
    compare("pseudo_entropy as -E[log p/h]", family.pseudo_entropy(eta), -(p * (log_p - log_h)).sum(axis=1))
    compare("entropy as -E[log p]", family.entropy(eta), -(p * log_p).sum(axis=1))
    first, second = p @ x, p @ x**2
    compare("moments", np.stack(family.moments(eta)), np.stack([first, second - first**2]))
    if family.constant_base_measure:
        compare("log_base_measure, said to be zero", log_h, np.zeros_like(x))

    draws = family.sample(np.repeat(eta[..., np.newaxis], _N_DRAWS, axis=-1), rng).astype(np.float64)
    assert family.in_support(draws).all(), f"{family}: sample draws values outside the support"
    drawn = np.stack(family.sufficient_statistics(draws))
    z = (drawn.mean(axis=-1) - mean) / (drawn.std(axis=-1) / np.sqrt(_N_DRAWS) + 1e-12)
    assert np.abs(z).max() < _Z, f"{family}: sampled means of T are {np.abs(z).max():.1f} standard errors off"

    _check_claims(family, parameters, eta, draws[:, :50], compare)
    _check_criterion(family, parameters, compare)
    return errors


def _check_claims(
    family: ExponentialFamily, parameters: tuple[Array, ...], eta: Array, draws: Array, compare: Callable[..., None]
) -> None:
    """Check what the family's class attributes say of it."""
    if family.equivariance != "none":
        scale = 2.5
        location = 1.3 if family.equivariance == "affine" else 0.0
        moved = family.from_standard(*family.rescale(parameters, np.array(location), np.array(scale)))
        expected = family.log_prob(draws, eta[..., np.newaxis]) - np.log(scale)
        compare("density of rescaled values", family.log_prob(location + scale * draws, moved[..., np.newaxis]), expected)
        degree = family.log_base_measure(scale * draws) - family.log_base_measure(draws)
        compare("base_measure_degree", degree, np.full_like(degree, family.base_measure_degree * np.log(scale)))
    if family.additive:
        x, measure = _nodes(family, 3.0)
        statistics = np.stack(family.sufficient_statistics(x))
        for i in range(eta.shape[1]):
            p = np.exp(family.log_prob(x, eta[:, [i]], 3.0)) * measure
            compare("total probability under exposure", p.sum(), 1.0)
            compare("E[T] under exposure", statistics @ p, 3.0 * family.mean(eta)[:, i])
    if family.zero_statistics:
        at_zero = np.stack(family.sufficient_statistics(np.zeros(1)))
        compare("T(0), said to be zero", at_zero, np.zeros_like(at_zero))


def _check_criterion(family: ExponentialFamily, parameters: tuple[Array, ...], compare: Callable[..., None]) -> None:
    """Check W Definition 1 (B) for one distribution at each point."""
    for i in range(len(parameters[0])):
        theta = np.concatenate([np.atleast_1d(parameter[i]) for parameter in parameters])
        sizes = np.cumsum([np.size(parameter[i]) for parameter in parameters])[:-1]
        shapes = [parameter[i].shape for parameter in parameters]

        def natural_of(theta: Array, sizes: Array = sizes, shapes: list[tuple[int, ...]] = shapes) -> Array:
            parts = np.split(theta, sizes)
            return family.from_standard(*(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)))

        steps = 1e-5 * np.eye(len(theta))
        jacobian = np.stack([(natural_of(theta + h) - natural_of(theta - h)) / 2e-5 for h in steps], axis=1)
        eta = natural_of(theta)
        smallest = np.linalg.svd(jacobian, compute_uv=False)[-1]
        assert smallest > 1e-8, f"{family}: the Jacobian of eta is singular, so W Definition 1 fails"
        beta = np.linalg.lstsq(jacobian, eta, rcond=None)[0]
        compare("eta = J beta, W(7)", jacobian @ beta, eta)


def _gradient(function: Callable[[Array], Array], eta: Array) -> Array:
    step = 1e-5 * np.maximum(np.abs(eta), 0.1)
    columns = []
    for s in range(len(eta)):
        h = np.zeros_like(eta)
        h[s] = step[s]
        columns.append((function(eta + h) - function(eta - h)) / (2.0 * step[s]))
    return np.stack(columns)


def _nodes(family: ExponentialFamily, exposure: float = 1.0) -> tuple[Array, Array]:
    """Points in the support, and what each counts for in a sum or in the trapezoidal rule."""
    if family.discrete:
        x = np.arange(3000.0)
        measure = np.ones_like(x)
    else:
        t = np.arange(-90.0, 60.0, 0.02)
        if family.in_support(np.array([-1.0])).all():
            t = t[np.abs(t) < 30]
            x, measure = np.sinh(t), 0.02 * np.cosh(t)
        elif family.in_support(np.array([2.0])).all():
            x, measure = np.exp(t), 0.02 * np.exp(t)
        else:
            x, measure = special.expit(t), 0.02 * special.expit(t) * special.expit(-t)
    inside = family.in_support(x, exposure)
    return x[inside], measure[inside]
