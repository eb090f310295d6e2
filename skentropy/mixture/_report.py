"""Messages about what went wrong in a fit, which name the component and the column."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from .._em import Run
from .._messages import column_label, list_columns, model_name
from .._typing import Array, FloatArray
from ..families import ExponentialFamily

if TYPE_CHECKING:
    from ._model import MixtureModel, MixtureParameters

# Two components are duplicates if the expected log-likelihood ratio of all their rows is smaller.
_DUPLICATE_NATS = 1e-3
# A component that explains fewer rows than this, or than this share of less than one row, is empty.
EMPTY_ROWS = 1e-6
_MOST_NAMED = 3


def failures(estimator: Any, model: MixtureModel, run: Run) -> Iterator[str]:
    """Reasons not to trust the end of a run, one message for each kind."""
    name = type(estimator).__name__
    parameters = run.state.parameters
    # Columns without noise are not a failure.
    empty = np.flatnonzero(are_empty(run.state.statistics.counts)[: estimator.n_components])
    if empty.size:
        yield f"{name}: {_list_components(empty)} empty: no row has any probability of being in it. Use fewer components."
    n_rows = max(run.state.statistics.weight, 1.0)  # weights may be shares
    pairs = [pair for pair in duplicates(model, parameters, n_rows) if not np.isin(pair, empty).any()]
    if pairs:
        listed = ", ".join(f"{a} and {b}" for a, b in pairs[:_MOST_NAMED])
        yield f"{name}: components {listed} are duplicates of each other. Use fewer components."
    yield from model.components.failures(estimator, parameters.components)


def are_empty(counts: FloatArray) -> Array:
    """Which components with these counts of rows (K,) are empty."""
    return np.asarray(counts < EMPTY_ROWS * min(1.0, float(counts.sum())))


def degenerate_features(estimator: Any, family: ExponentialFamily, pooled: FloatArray, eta: FloatArray) -> Iterator[str]:
    """Messages about natural parameters (S, K, D) at a limit of their family; ``pooled`` are the means of all rows."""
    name = model_name(estimator)
    at_bound = family.at_bound(eta)
    constant = np.flatnonzero(family.at_bound(family.natural(pooled)))
    if constant.size:
        yield (
            f"{name}: the values are (nearly) all the same in {list_columns(estimator, constant)}; its parameters are held "
            "at a bound, where the entropy sum is not the ELBO. Leave such columns out."
        )
        at_bound[:, constant] = False
    if at_bound.any():
        yield (
            f"{name}: {places(estimator, at_bound)} collapsed onto (nearly) a single value; its parameters are held at a "
            "bound, where the entropy sum is not the ELBO. Use fewer components, or prior_counts > 0."
        )
    # A column of zeros only, or a category that does not occur, forces a zero.
    possible = pooled > 0.0
    at_zero = family.at_zero(np.where(np.expand_dims(possible, -2), eta, 0.0))
    at_zero &= ~family.at_zero(np.where(possible, family.natural(pooled), 0.0))
    if at_zero.any():
        yield (
            f"{name}: {places(estimator, at_zero)} at the limit where some values have probability zero "
            f"({int(at_zero.sum())} of {at_zero.size} parameters). Rows with such values would be impossible; "
            "prior_counts > 0 smooths."
        )


def degenerate_covariances(estimator: Any, singular: Array, constant: Array) -> Iterator[str]:
    """Messages about the columns (G, d) of (nearly) singular directions of covariances, and about constant columns."""
    name = model_name(estimator)
    if constant.any():
        yield (
            f"{name}: the values are (nearly) all the same in {list_columns(estimator, np.flatnonzero(constant))}; its "
            "variance is held at a bound, where the entropy sum is not the ELBO. Leave such columns out."
        )
    singular = singular & ~constant
    groups = np.flatnonzero(singular.any(axis=1))
    if groups.size:
        listed = [
            ("all components" if len(singular) == 1 else f"component {group}")
            + f" in {list_columns(estimator, np.flatnonzero(singular[group]))}"
            for group in groups[:_MOST_NAMED]
        ]
        more = f"; and of {len(groups) - _MOST_NAMED} more" if len(groups) > _MOST_NAMED else ""
        yield (
            f"{name}: the covariance of {'; of '.join(listed)}{more} is (nearly) singular; its smallest variance is held at "
            "a bound, where the entropy sum is not the ELBO. Use prior_counts > 0, fewer components, or a covariance_type "
            "with fewer parameters."
        )


def heywood_cases(estimator: Any, on_floor: Array) -> Iterator[str]:
    """A message about noise variances (K, d) at their floors, in components that have not collapsed."""
    if on_floor.any():
        yield (
            f"{model_name(estimator)}: {places(estimator, on_floor)} explained by the factors alone (a Heywood case, with "
            "a noise variance on its floor). Use fewer factors or components, or covariance_type='ppca'."
        )


def duplicates(model: MixtureModel, parameters: MixtureParameters, n_rows: float) -> list[tuple[int, int]]:
    """Pairs of components that the data cannot distinguish: n times the smaller weight times their divergence is small."""
    weights = np.exp(parameters.log_weights)
    pairs = []
    K = len(weights) - model.components.n_fixed
    weights = weights[:K]
    for a in range(K):
        divergence = model.components.divergence(parameters.components, a)[:K]
        evidence = n_rows * np.minimum(weights, weights[a]) * divergence
        pairs += [(a, int(b)) for b in np.flatnonzero(evidence < _DUPLICATE_NATS) if b > a]
    return pairs


def n_clusters(estimator: Any) -> int:
    """Number of components of a fitted mixture without fixed ones."""
    return len(estimator.weights_) - int(estimator._components.n_fixed)


def component_names(estimator: Any) -> list[str]:
    """Names of the components of a fitted mixture: numbers, and at the end the name of a fixed component."""
    names = [str(c) for c in range(n_clusters(estimator))]
    return [*names, *[estimator._components.fixed_name] * (len(estimator.weights_) - len(names))]


def component_labels(estimator: Any) -> list[str]:
    """Labels of the components: "component 0", "noise"."""
    return [f"component {name}" if name.isdigit() else name for name in component_names(estimator)]


def _list_components(components: Array) -> str:
    listed = ", ".join(map(str, components))
    return f"component {listed} is" if len(components) == 1 else f"components {listed} are"


def places(estimator: Any, mask: Array) -> str:
    """Words for a mask (K, D) of components and columns."""
    components, columns = np.nonzero(mask)
    listed = [
        f"component {component} in {column_label(estimator, int(column))}"
        for component, column in zip(components[:_MOST_NAMED], columns[:_MOST_NAMED], strict=True)
    ]
    more = len(components) - len(listed)
    return ", ".join(listed) + (f" and {more} more" if more else "") + (" is" if len(components) == 1 else " are")
