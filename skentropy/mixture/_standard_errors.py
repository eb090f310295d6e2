"""Standard errors of the fitted attributes of mixtures: observed information (Louis 1982), scores, sandwich."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np

from .._data import Additive, Block, BlockSource, check_total_weight
from .._em import as_fitted
from .._messages import feature_names, warn
from .._standard_errors import KNOWN, Estimate, StandardErrors
from .._typing import Array, FloatArray
from ._categories import category_name
from ._changes import differences
from ._information import Metric, check_size, missing_information, score, score_products
from ._model import MixtureModel, MixtureParameters, MixtureStatistics
from ._profiles import expectations
from ._report import EMPTY_ROWS, are_empty, component_names
from ._survey import QuerySums, evaluate, pooled_summary

METHODS = ("information", "scores", "sandwich")
# A direction with less than this share of the complete data's information is not identified. Its errors would be at least
# ten thousand times larger, and not normally distributed.
_UNIDENTIFIED = 1e-8
# A parameter that such directions move by more than this share is not identified.
_MOVES = 1e-4
# Errors are computed only at most this many nats below the maximum, which correspond to a seventh of a standard error.
_NEAR_MAXIMUM = 1e-2
# Curvature of the wrong sign is more than a rounding error if it exceeds this.
_NO_CURVATURE = 1e-6
_MOST_NAMED = 3


@dataclass(frozen=True)
class PriorSums(Additive):
    """Sums over the rows at which a prior is centred; ``pooled`` is as from ``Components.summarize``."""

    query: QuerySums
    pooled: Any

    @classmethod
    def of_block(cls, block: Block, model: MixtureModel, parameters: MixtureParameters) -> Self:
        query = evaluate(block, model, parameters)
        return cls(query, pooled_summary(block[:0] if query.outside[0].any() else block, model.components))


@dataclass(frozen=True)
class InformationSums(Additive):
    """Sums from one pass over the rows.

    Attributes
    ----------
    query : QuerySums
    missing : as from ``missing_information``
    products : as from ``score_products``
    """

    query: QuerySums
    missing: FloatArray
    products: FloatArray

    @classmethod
    def of_block(cls, block: Block, model: MixtureModel, parameters: MixtureParameters, method: str, power: int) -> Self:
        """The sums over one block; those that the method does not need are zero."""
        query = evaluate(block, model, parameters)
        if query.outside[0].any():
            block = block[:0]
        missing: FloatArray = np.zeros((1, 1))
        products = missing
        if method != "scores":
            missing = missing_information(model, parameters, block)
        if method != "information":
            products = score_products(model, parameters, block, power)
        return cls(query, missing, products)


@dataclass(frozen=True)
class Directions:
    """Directions z, as columns: those whose squares add up to the covariance, and those that are not identified.

    ``root`` is a root of the inverse information, or of the inverse products of scores; ``curvature`` is the smallest
    eigenvalue of the information, or of the products.
    """

    errors: FloatArray
    root: FloatArray
    unidentified: FloatArray
    curvature: float

    @classmethod
    def of(cls, metric: Metric, sums: InformationSums, method: str) -> Self:
        r"""The directions of the covariance :math:`J^{-1}`, :math:`M^{-1}` or :math:`J^{-1} M J^{-1}`.

        In the coordinates z the observed information J is :math:`1 - W^\top \mathrm{missing}\, W`, and M is
        :math:`W^\top (\sum_n w_n^p s_n s_n^\top) W`.
        """
        W = metric.matrix()
        of_scores = method == "scores"
        values, vectors = np.linalg.eigh(W.T @ sums.products @ W if of_scores else np.eye(len(W)) - W.T @ sums.missing @ W)
        free = values > _UNIDENTIFIED
        root = errors = vectors[:, free] / np.sqrt(values[free])
        if method == "sandwich":
            errors = root @ (root.T @ _root(W.T @ sums.products @ W))
        return cls(errors, root, vectors[:, ~free], float(values[0]))


def _root(matrix: FloatArray) -> FloatArray:
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


@dataclass(frozen=True)
class _Information:
    """The information of rows about the parameters of a fitted mixture: its model, and coordinates z of directions."""

    model: MixtureModel
    parameters: MixtureParameters
    statistics: MixtureStatistics
    metric: Metric
    directions: Directions

    @classmethod
    def of(
        cls,
        estimator: Any,
        rows: BlockSource,
        model: MixtureModel,
        parameters: MixtureParameters,
        pool: Any,
        method: str = "information",
        weights: str = "counts",
    ) -> Self:
        """The information of some rows, from one pass over them, and another with a prior."""
        check_size(estimator, model, parameters)
        if _has_prior(estimator):
            model = _with_prior(estimator, rows, model, parameters, pool)
        of_block = partial(
            InformationSums.of_block,
            model=model,
            parameters=parameters,
            method=method,
            power=2 if weights == "survey" else 1,
        )
        sums = rows.sum(of_block, pool)
        estimator._refuse_outside(model.components, sums.query.outside)
        statistics = sums.query.statistics
        check_total_weight(statistics.weight)
        metric = Metric.at(model, parameters, statistics)
        return cls(model, parameters, statistics, metric, Directions.of(metric, sums, method))

    def at_maximum(self, estimator: Any) -> bool:
        """Whether the parameters are near a maximum for these rows."""
        directions = self.directions
        if not directions.curvature >= -_NO_CURVATURE:
            return False
        if _has_prior(estimator):
            return True
        gradient = self.metric.gradient(score(self.model, self.parameters, self.statistics)).ravel()
        return bool(0.5 * _lengths(gradient, directions.root) ** 2 <= _NEAR_MAXIMUM)

    def along(self) -> tuple[FloatArray, FloatArray]:
        """The coordinates z as directions of the logits of the weights (K, M), and of the components (M, K, P)."""
        counts, W = self.statistics.counts, self.metric.matrix()
        by_component = W.reshape(len(counts), -1, len(W))
        # Steps with the length of one row's information.
        return by_component[:, 0], np.moveaxis(by_component[:, 1:] * self.scale, -1, 0)

    @property
    def scale(self) -> FloatArray:
        """Ratios of the lengths of components' directions to those of the coordinates, (M,)."""
        counts = self.statistics.counts
        return np.sqrt(np.maximum(counts, EMPTY_ROWS)).repeat(1 + self.metric.n_directions)


def _has_prior(estimator: Any) -> bool:
    fitted = as_fitted(estimator)
    return bool(fitted.prior_counts) or getattr(fitted, "prior", None) is not None


def _with_prior(
    estimator: Any, rows: BlockSource, model: MixtureModel, parameters: MixtureParameters, pool: Any
) -> MixtureModel:
    """The model with the prior of its fit, from one pass over the rows, at which the prior is centred."""
    sums = rows.sum(partial(PriorSums.of_block, model=model, parameters=parameters), pool)
    estimator._refuse_outside(model.components, sums.query.outside)
    components = model.components.with_pooled(sums.pooled)
    return MixtureModel(components.with_prior(float(as_fitted(estimator).prior_counts), sums.query.statistics.components))


def _lengths(changes: FloatArray, directions: FloatArray) -> FloatArray:
    """Lengths (...) of derivatives (..., M) along directions, which are columns."""
    return np.asarray(np.linalg.norm(changes @ directions, axis=-1))


def mixture_standard_errors(
    estimator: Any,
    rows: BlockSource,
    model: MixtureModel,
    parameters: MixtureParameters,
    method: str,
    weights: str,
    pool: Any,
) -> StandardErrors:
    """Standard errors of a fitted mixture, from one pass over the rows."""
    information = _Information.of(estimator, rows, model, parameters, pool, method, weights)
    model, statistics, directions = information.model, information.statistics, information.directions
    estimates = list(mixture_estimates(estimator, model, parameters))
    changes = _changes(information, estimates)
    none = _Absent.of(estimates, changes, directions, statistics.counts)
    for message in none.messages(estimator, estimates, information.at_maximum(estimator)):
        warn(message)
    spread = changes @ directions.errors
    covariance = spread @ spread.T
    covariance[none.all] = covariance[:, none.all] = np.nan
    by = {"information": "observed information", "scores": "products of scores", "sandwich": "the sandwich"}[method]
    return StandardErrors(
        f"{type(estimator).__name__}: standard errors by {by}, {statistics.weight:.8g} rows, {model.components.scale_label}",
        covariance,
        estimates,
    )


def expectation_errors(
    estimator: Any, rows: BlockSource, model: MixtureModel, parameters: MixtureParameters, pool: Any
) -> FloatArray:
    """Standard errors (K, R) of the expectations of a profile; NaN where they are not identified."""
    information = _Information.of(estimator, rows, model, parameters, pool)
    if not information.at_maximum(estimator):
        warn(_not_at_maximum(estimator))
    components, directions = information.model.components, information.directions
    here = expectations(components, parameters.components)
    (change,) = differences(
        components, parameters.components, information.along()[1], lambda own: (expectations(components, own, near=here),)
    )
    changes = change.reshape(len(change), -1).T / information.scale
    unidentified = _lengths(changes, directions.unidentified) > _MOVES * np.linalg.norm(changes, axis=1)
    errors = np.where(unidentified, np.nan, _lengths(changes, directions.errors))
    return np.asarray(errors.reshape(change.shape[1:]))


def check_method(method: str, weights: str) -> None:
    """Raise ValueError for unknown methods."""
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}; got {method!r}.")
    if weights not in ("counts", "survey"):
        raise ValueError(f"weights must be 'counts' or 'survey', got {weights!r}.")
    if weights == "survey" and method != "sandwich":
        raise ValueError(
            "Weights of a survey say how many units a row stands for, not how many were seen: their standard errors are "
            "those of method='sandwich'."
        )


def mixture_estimates(estimator: Any, model: MixtureModel, parameters: MixtureParameters) -> Iterator[Estimate]:
    """The fitted attributes, each entry with its place in the covariance, which symmetric entries share.

    Categories that a column does not have, and given values, are not estimates.
    """
    components, K = model.components, len(estimator.weights_)
    components_of = component_names(estimator)
    places = np.arange(K) if K > 1 else np.full(1, KNOWN)
    yield Estimate("weights", np.asarray(estimator.weights_, dtype=np.float64), [components_of], places, 0.0, 1.0)
    n_before = K if K > 1 else 0
    names = feature_names(estimator)
    probabilities = components.category_probabilities(parameters.components)
    for name, values, axes, columns, (low, high), known, *direction in components.reported(estimator, K, len(names)):
        labels = {"n_components": components_of, "n_features": [names[column] for column in columns]}
        own = [labels.get(axis, [f"factor {i}" for i in range(n)])[:n] for axis, n in axes]
        lower, upper = np.full(values.shape, low), np.full(values.shape, high)
        index: Array = np.arange(values.size).reshape(values.shape)
        if [axis for axis, _ in axes[-2:]] == ["n_features", "n_features"]:
            off = ~np.eye(len(columns), dtype=bool)
            lower[..., off], upper[..., off] = -np.inf, np.inf
            index = np.minimum(index, np.swapaxes(index, -1, -2))
        categories = []
        if values.ndim > len(axes):
            sizes = [probabilities[column].shape[1] if column in probabilities else values.shape[-1] for column in columns]
            categories = [
                [str(category_name(estimator, column, code)) for code in range(size)]
                for column, size in zip(columns, sizes, strict=True)
            ]
            index = np.where(np.arange(values.shape[-1]) < np.array(sizes)[:, np.newaxis], index, KNOWN)
        if known:
            index = np.full(index.shape, KNOWN)
        distinct = np.unique(index[index != KNOWN])
        places = np.where(index == KNOWN, KNOWN, n_before + np.searchsorted(distinct, index))
        yield Estimate(name, values, own, places, lower, upper, categories, *direction)
        n_before += len(distinct)


def _changes(information: _Information, estimates: Sequence[Estimate]) -> FloatArray:
    """Derivatives of the estimates along the coordinates z, one row for each place in the covariance."""
    parameters = information.parameters
    of_logits, along = information.along()
    M, pi = len(along), np.exp(parameters.log_weights)
    # d pi_c = pi_c (d alpha_c - sum_b pi_b d alpha_b)
    values = [(pi[:, np.newaxis] * (of_logits - pi @ of_logits)).T]
    for change in information.model.components.standard_changes(parameters.components, along):
        values.append((change.reshape(M, -1).T / information.scale).T)
    size = 1 + max(int(estimate.places.max(initial=KNOWN)) for estimate in estimates)
    changes = np.zeros((size, M))
    for estimate, value in zip(estimates, values, strict=True):
        place = estimate.places.ravel()
        changes[place[place != KNOWN]] = value[:, place != KNOWN].T
    return changes


@dataclass(frozen=True)
class _Absent:
    """Which estimates have no standard errors, and why; masks over the rows of the covariance."""

    empty: Array
    limit: Array
    bound: Array
    unidentified: Array
    undirected: Array
    impossible: Array

    @classmethod
    def of(cls, estimates: Sequence[Estimate], changes: FloatArray, directions: Directions, counts: FloatArray) -> Self:
        is_empty = are_empty(counts)
        length = np.linalg.norm(changes, axis=1)
        moved = _lengths(changes, directions.unidentified)
        empty, limit, impossible = (np.zeros(len(changes), dtype=bool) for _ in range(3))
        for estimate in estimates:
            seen, values = estimate.places != KNOWN, np.asarray(estimate.values)
            at_limit = (values == estimate.low) | (values == estimate.high)
            limit[estimate.places[seen]] = at_limit[seen]
            if values.ndim and len(values) == len(is_empty) and len(estimate.axes[0]) == len(is_empty):
                own = np.broadcast_to(is_empty.reshape(-1, *(1,) * (values.ndim - 1)), values.shape)
                empty[estimate.places[seen]] = own[seen]
                everywhere = np.broadcast_to((values == estimate.low).all(axis=0), values.shape)
                impossible[estimate.places[seen]] = everywhere[seen]
        undirected = _undirected(estimates, _lengths(changes, directions.errors), counts) & ~empty
        still = ~(length > 0.0)
        limit &= still
        unidentified = moved > _MOVES * length
        other = ~(empty | undirected)
        return cls(empty, limit & other, still & ~limit & other, unidentified & ~still & other, undirected, impossible)

    @property
    def all(self) -> Array:
        return self.empty | self.limit | self.bound | self.unidentified | self.undirected

    def messages(self, estimator: Any, estimates: Sequence[Estimate], at_maximum: bool) -> Iterator[str]:
        """Messages about these estimates, except those of categories that no component has."""
        name = type(estimator).__name__
        if not at_maximum:
            yield _not_at_maximum(estimator)
        reasons = {
            "of an empty component, no row has any probability of being in it. Use fewer components": self.empty,
            "at the limit of its range, where an estimate is not normal; prior_counts > 0 moves it inside": self.limit,
            "of a mean direction that is known only to about a radian, since the directions are nearly uniform": (
                self.undirected
            ),
            "held at a bound; use fewer components, or prior_counts > 0": self.bound,
        }
        if at_maximum:
            reasons["not identified: other values explain the data as well. Use fewer components"] = self.unidentified
        labels = StandardErrors("", np.zeros((len(self.empty),) * 2), estimates).names
        for reason, mask in reasons.items():
            places = np.flatnonzero(mask & ~self.impossible)
            if places.size:
                listed = ", ".join(labels[place] for place in places[:_MOST_NAMED])
                more = f" and {len(places) - _MOST_NAMED} more" if len(places) > _MOST_NAMED else ""
                yield f"{name}: there is no standard error of {listed}{more}, {reason}."


def _undirected(estimates: Sequence[Estimate], errors: FloatArray, counts: FloatArray) -> Array:
    """Which estimates are mean directions that may point anywhere, or their concentrations, which are near their limit.

    The error of a direction in D dimensions is a radian if n k^2 = D, with n rows of concentration k.
    """
    mask, by_name = np.zeros(len(errors), dtype=bool), {estimate.name: estimate for estimate in estimates}
    for direction in estimates:
        concentration = by_name.get(direction.concentration)
        if not direction.direction or concentration is None or (direction.places == KNOWN).any():
            continue
        squares, n_dimensions = errors[direction.places] ** 2, 2
        if direction.direction == "unit vector":
            n_dimensions = direction.values.shape[1]
            squares = squares.sum(axis=1) / (n_dimensions - 1)
        n = counts.reshape(-1, *(1,) * (squares.ndim - 1))
        anywhere = ~(squares <= 1.0) | (n * concentration.values**2 <= n_dimensions)
        mask[concentration.places[anywhere]] = mask[direction.places[anywhere]] = True
    return mask


def _not_at_maximum(estimator: Any) -> str:
    name = type(estimator).__name__
    if estimator.is_degenerate:
        return f"{name} is degenerate, and standard errors belong to a maximum: use fewer components, or prior_counts > 0."
    return (
        f"{name} is not at a maximum of the likelihood of these data, to which standard errors belong. "
        "Give the data that it was fitted to, with its weights and exposures, and fit until it converges, without reg_covar."
    )
