"""Methods of a fitted mixture for rows: likelihoods, responsibilities, imputations, draws."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from joblib import effective_n_jobs
from sklearn.utils import ClassifierTags, check_random_state
from sklearn.utils.validation import check_is_fitted

from .._base import Evaluation
from .._data import Block, BlockSource, Reader, RowBlocks, Rows, Source, check_total_weight, fill_frame, is_dask, thread_pool
from .._em import as_fitted
from .._messages import check_n_samples, list_columns, warn
from .._typing import Array, ArrayLike, FloatArray, Matrix
from ..families._base import safe_log
from ._components import Components
from ._model import MixtureModel, MixtureParameters
from ._own_frames import in_own_frames
from ._report import n_clusters
from ._reported import ReportedMixture
from ._survey import evaluate, map_inside
from ._zero_substitutes import Substitutes


class FittedMixture(ReportedMixture):
    """Methods of a mixture with known weights and parameters: likelihoods, responsibilities, imputations, draws."""

    n_components: int
    zero_substitutes_: FloatArray

    # For each column whose zeros the last fit has replaced, the value that replaces them.
    _zeros_replaced: Mapping[int, float] = MappingProxyType({})

    @abstractmethod
    def _get_components(self) -> Components:
        """The kind of components that the arguments specify."""

    @property
    def _components(self) -> Components:
        """The kind of components of the fit; before a fit that which the arguments specify."""
        return as_fitted(self)._get_components()

    @property
    def _likelihood(self) -> str:
        return self._components.likelihood

    @property
    def _replaced_zeros(self) -> Mapping[int, float]:
        return dict(self._zeros_replaced)

    def _fitted_components(self) -> Components:
        """The components, with the arguments that the fit took from the data."""
        return self._components

    @property
    def scale_label(self) -> str:
        """The units of the numbers in tables."""
        return self._fitted_components().scale_label

    def _read(
        self,
        X: ArrayLike,
        sample_weight: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        *,
        reset: bool = False,
    ) -> Source:
        """Validated data, to be read by blocks."""
        components = self._components
        if exposure is not None and not components.allows_exposure:
            raise ValueError(f"exposure is not defined for {components.label}; leave it out.")
        if exposure is None and self._exposed and not reset and not isinstance(X, RowBlocks):
            warn(
                f"{type(self).__name__} was fitted with exposures, and X comes without: each row counts as observed at an "
                "exposure of 1. Pass exposure as in fit, or exposure=np.ones(len(X)) if that is right."
            )
        reader = Reader(
            sparse="missing" if components.allows_sparse else "no",
            dtype="numeric",
            row_bytes=self._row_bytes,
            exposure=components.allows_exposure,
            any_names=not reset and not hasattr(self, "entropy_sum_"),
            surveys=True,
        )
        return reader.read(self, X, sample_weight, exposure, reset=reset, min_samples=2 if reset else 1)

    def _ready_rows(
        self, X: ArrayLike, sample_weight: ArrayLike | None = None, exposure: ArrayLike | None = None
    ) -> BlockSource:
        """Validated data as the fitted components take them."""
        return self._ready(self._read(X, sample_weight, exposure))

    def _ready(self, rows: Source) -> BlockSource:
        """Rows as the fitted components take them."""
        return rows.view(Substitutes(self.zero_substitutes_)) if hasattr(self, "zero_substitutes_") else rows

    def _row_bytes(self, n_features: int) -> int:
        """Bytes that an E-step touches for one row."""
        return self._components.row_bytes(n_features, as_fitted(self).n_components)

    def _refuse_outside(self, components: Components, counts: Array) -> None:
        """Raise ValueError if values or rows are outside the support, given the result of ``Components.count_outside``."""
        n_outside, n_too_low, *of_rows = counts
        if n_outside.any():
            columns = np.flatnonzero(n_outside)
            negative = "Negative values in data: " if n_too_low.any() and components.lower_limit == 0 else ""
            of_family = f" of {components.label}" if hasattr(self, "family") else ""
            raise ValueError(
                f"{negative}{type(self).__name__}{of_family} takes {components.support_of(columns)}; X holds "
                f"{_others(n_outside.sum(), 'value')}, in {list_columns(self, columns)}."
            )
        if of_rows and of_rows[0].any():
            n_rows = _others(of_rows[0].max(), "row")
            raise ValueError(f"{type(self).__name__} takes {components.row_support}; X holds {n_rows}.")

    def _standard_parameters(self, components: Components | None = None) -> Any:
        """The fitted attributes as ``Components.natural`` takes them, for these components or for those of the fit."""
        names = (components or self._fitted_components()).attribute_names
        return tuple(np.asarray(getattr(self, name + "_", np.nan), dtype=np.float64) for name in names)

    def _fitted_model(self, rows: BlockSource | None) -> tuple[MixtureModel, MixtureParameters]:
        """The model that the fitted attributes describe, in units that depend only on them, to evaluate ``rows``."""
        standard = self._standard_parameters()
        weights = np.asarray(self.weights_, dtype=np.float64)
        known = rows.exposure if isinstance(rows, Rows) else None
        exposure = 1.0 if known is None else float(known.max())
        is_sparse = rows is not None and rows.is_sparse
        components = self._fitted_components().of_fitted(weights, standard, is_sparse=is_sparse, exposure=exposure)
        if not is_sparse:
            components = in_own_frames(components, components.natural(standard))
        return MixtureModel(components), MixtureParameters(safe_log(weights), components.natural(standard))

    def _evaluate(
        self, X: ArrayLike, sample_weight: ArrayLike | None, exposure: ArrayLike | None = None, **row_data: Any
    ) -> Evaluation:
        if row_data:
            raise TypeError(f"{type(self).__name__} takes no {', '.join(row_data)}.")
        check_is_fitted(self, "weights_")
        return self._evaluate_rows(self._ready_rows(X, sample_weight, exposure))

    def _evaluate_rows(self, rows: BlockSource) -> Evaluation:
        model, parameters = self._fitted_model(rows)
        with thread_pool(effective_n_jobs(self.n_jobs)) as pool:
            sums = rows.sum(partial(evaluate, model=model, parameters=parameters), pool)
        self._refuse_outside(model.components, sums.outside)
        statistics = sums.statistics
        check_total_weight(statistics.weight)
        model = replace(model, mean_log_base_measure=sums.log_base_measure / statistics.weight)
        terms = model.entropy_sum(parameters, statistics)
        terms = replace(terms, penalty=self._fitted_penalty)
        classification = statistics.classification / statistics.weight
        return Evaluation(model.elbo(statistics), terms, statistics.weight, classification)

    def score(
        self,
        X: ArrayLike,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
    ) -> float:
        """Weighted mean log-likelihood of X, including the base measure, in nats per sample.

        Parameters
        ----------
        X, sample_weight, exposure
            As in ``fit``.
        y : Ignored

        Returns
        -------
        float
        """
        return self._evaluate(X, sample_weight, exposure).elbo

    def score_samples(self, X: ArrayLike, exposure: ArrayLike | None = None) -> FloatArray:
        """Log-likelihood of each row, including the base measure, in nats.

        Parameters
        ----------
        X, exposure
            As in ``fit``.

        Returns
        -------
        ndarray, or lazy Dask array, of shape (n_samples,)
        """

        def log_likelihood(model: MixtureModel, parameters: MixtureParameters, block: Block) -> FloatArray:
            log_evidence, _ = model.posterior(parameters, model.components.read(block))
            return log_evidence + model.components.log_base_measure(block)

        return self._map_rows(log_likelihood, X, exposure)

    def predict(self, X: ArrayLike, exposure: ArrayLike | None = None) -> Array:
        """Index of the most probable component of each row.

        Parameters
        ----------
        X, exposure
            As in ``fit``.

        Returns
        -------
        ndarray, or lazy Dask array, of shape (n_samples,)
        """

        def most_probable(model: MixtureModel, parameters: MixtureParameters, block: Block) -> Array:
            return self._labels(model.posterior(parameters, model.components.read(block))[1].argmax(axis=0))

        return self._map_rows(most_probable, X, exposure)

    def _labels(self, components: Array) -> Array:
        """Labels for indices of components: -1 for noise, which is the last component."""
        return np.where(components >= n_clusters(self), -1, components)

    def predict_proba(self, X: ArrayLike, exposure: ArrayLike | None = None) -> FloatArray:
        """Responsibilities: the posterior probability of each component for each row.

        Parameters
        ----------
        X, exposure
            As in ``fit``.

        Returns
        -------
        ndarray, or lazy Dask array, of shape (n_samples, n_components)
        """

        def responsibilities(model: MixtureModel, parameters: MixtureParameters, block: Block) -> FloatArray:
            return np.exp(model.posterior(parameters, model.components.read(block))[1]).T

        return self._map_rows(responsibilities, X, exposure)

    def impute(self, X: ArrayLike, exposure: ArrayLike | None = None) -> Any:
        """The rows with missing entries replaced by their expectations given the observed entries.

        A missing category is replaced by the most probable one.

        Parameters
        ----------
        X, exposure
            As in ``fit``.

        Returns
        -------
        ndarray, pandas or polars frame, or lazy Dask array, of shape (n_samples, n_features)
            A frame if X is one; columns without gaps stay unchanged. In Dask collections names become codes.
        """

        def filled(model: MixtureModel, parameters: MixtureParameters, block: Block) -> FloatArray:
            observations = model.components.read(block)
            q = np.exp(model.posterior(parameters, observations)[1])
            X = block.as_given.dense
            return np.where(np.isnan(X), model.components.expected_rows(parameters.components, observations, q), X)

        values = self._map_rows(filled, X, exposure)
        return values if is_dask(X) else fill_frame(X, self._with_names(values, X), self._modelled_columns)

    def _with_names(self, X: FloatArray, given: Any = None) -> Array:
        """Decode the columns of names in rows of numbers; names in the rows as given that no fit has seen are kept."""
        return X

    def _map_rows(self, function: Callable[..., Array], X: ArrayLike, exposure: ArrayLike | None) -> Array:
        check_is_fitted(self, "weights_")
        rows = self._ready_rows(X, exposure=exposure)
        model, parameters = self._fitted_model(rows)
        with thread_pool(effective_n_jobs(self.n_jobs)) as pool:
            refuse = partial(self._refuse_outside, model.components)
            values = map_inside(rows, partial(function, model, parameters), model.components, refuse, pool)
        return values.astype(rows.dtype, copy=False) if values.dtype.kind == "f" else values

    def sample(self, n_samples: int = 1, random_state: Any = None) -> tuple[Array, Array]:
        """Draw rows with an exposure of 1, or with a total of 1 if the model takes totals as given.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The dtype is object if any column holds names. Columns that the mixture leaves out are NaN.
        labels : ndarray of shape (n_samples,)
            The component of each row.
        """
        check_is_fitted(self, "weights_")
        check_n_samples(n_samples)
        return draw_rows(self, n_samples, check_random_state(random_state))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        components = self._components
        tags.input_tags.allow_nan = components.allows_gaps
        tags.input_tags.sparse = components.allows_sparse
        tags.input_tags.positive_only = components.lower_limit >= 0
        # scikit-learn's checks read these attributes of every estimator with predict_proba.
        tags.classifier_tags = ClassifierTags(multi_class=False)
        return tags


def draw_rows(
    mixture: FittedMixture, n_samples: int, random_state: np.random.RandomState, like: Matrix | None = None
) -> tuple[Array, Array]:
    """Draw rows and their components; given totals are those of the rows ``like``."""
    weights = np.asarray(mixture.weights_, dtype=np.float64)
    labels = mixture._labels(random_state.choice(len(weights), size=n_samples, p=weights / weights.sum()))
    X = mixture._fitted_components().sample(mixture._standard_parameters(), labels, random_state, like)
    return mixture._with_names(X.astype(mixture.weights_.dtype)), labels


def rows_in_memory(mixture: FittedMixture, X: Any, sample_weight: ArrayLike | None, exposure: ArrayLike | None) -> Rows:
    """Validated rows of a fitted mixture's data, as the user gave them; ValueError if they are not in memory."""
    rows = mixture._read(X, sample_weight, exposure)
    if not isinstance(rows, Rows):
        raise ValueError(f"The rows of X can be resampled only in memory, and X is a {type(X).__name__}; take a sample.")
    return rows


def _others(n: float, what: str) -> str:
    return f"{n:.0f} other {what}{'s' if n != 1 else ''}"
