"""The estimator that all mixtures share: validation, initialisation, restarts, and what a user asks of a fitted mixture."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from joblib import effective_n_jobs
from scipy import sparse
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import ClassifierTags, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from .._base import Evaluation, list_columns, warn_of_fresh_start
from .._data import (
    Block,
    Reader,
    Rows,
    Source,
    check_total_weight,
    fill_frame,
    is_dask,
    required_backend,
    survey_columns,
    thread_pool,
)
from .._em import Run, best_of, run_em
from .._monitor import Monitor
from .._typing import Array, ArrayLike, FloatArray
from ..families._base import safe_exp, safe_log
from ._components import Components
from ._information import missing_information
from ._input import check_mixing_weights, warn_of_empty_rows
from ._maximum import Maximum
from ._model import MixtureModel, MixtureParameters, MixtureStatistics
from ._newton import NewtonSteps
from ._report import failures
from ._reported import ReportedMixture
from ._seeding import initial_parameters
from ._survey import evaluate, map_inside, summarize

# Distinct rows that seeds are chosen from: as many as keep choosing cheaper than a few EM steps on large data.
_SAMPLE_ENTRIES = 2**16
_SAMPLE_ROWS = (1024, 8192)


class BaseMixture(ReportedMixture):
    """Mixture of components of one kind; a subclass says which, and gives their parameters their names."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "init_params": [StrOptions({"k-means++", "random_from_data", "random"})],
        "n_starts": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "weights_init": ["array-like", None],
        "prior_counts": [Interval(Real, 0.0, None, closed="left")],
        "accelerate": ["boolean"],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "n_jobs": [None, Integral],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
    }

    weights_: FloatArray
    _discrete_latents: ClassVar[bool] = True

    def __init__(
        self,
        n_components: int,
        *,
        tol: float,
        max_iter: int,
        n_init: int,
        init_params: str,
        n_starts: int | str,
        weights_init: ArrayLike | None,
        prior_counts: float,
        accelerate: bool,
        warm_start: bool,
        random_state: Any,
        n_jobs: int | None,
        verbose: int,
        verbose_interval: int,
    ) -> None:
        self.n_components = n_components
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.n_starts = n_starts
        self.weights_init = weights_init
        self.prior_counts = prior_counts
        self.accelerate = accelerate
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    @abstractmethod
    def _get_components(self) -> Components:
        """The kind of components, as the arguments say."""

    def _fitted_components(self) -> Components:
        """The components with what they have learnt from the data."""
        return self._get_components()

    @abstractmethod
    def _get_parameters_init(self) -> dict[str, ArrayLike | None]:
        """The user's initial standard parameters, under the names of the fitted ones without the underscore."""

    # Fitting.

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
    ) -> Self:
        """Fit the mixture by maximum likelihood with accelerated EM.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask array or frame, RowBlocks} of shape (n_samples, n_features)
            NaN means that an entry is missing; it is marginalised. Sparse matrices are taken for families whose zeros add
            nothing to sums, and never made dense.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of k counts as k copies of the row.
        exposure : array-like of shape (n_samples,), default=None
            Exposure s of each row; for count families that have one, such as the Poisson with rates s * rate. Others
            refuse it.

        Returns
        -------
        self : object
            The fitted mixture.

        Raises
        ------
        ValueError
            If X holds values outside the support of the family, infinite values, a column with nothing observed or fewer
            distinct rows than components, or if an argument is out of range. The message names the column or argument.

        Warns
        -----
        ConvergenceWarning
            If ``max_iter`` steps did not suffice, or the fit ended in a degenerate solution, which is named.
        """
        self._fit(X, sample_weight, exposure)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def fit_predict(
        self,
        X: ArrayLike,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
    ) -> Array:
        """Fit the mixture and return the most probable component of each row.

        Parameters
        ----------
        X, sample_weight, exposure
            As in ``fit``.
        y : Ignored

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        self._fit(X, sample_weight, exposure)
        return self.predict(X, exposure=exposure)

    def _fit(self, X: ArrayLike, sample_weight: ArrayLike | None, exposure: ArrayLike | None) -> None:
        rows = self._rows(X, sample_weight, exposure, reset=True)
        n_threads = effective_n_jobs(self.n_jobs)
        salt, *seeds = check_random_state(self.random_state).randint(np.iinfo(np.int32).max, size=1 + self.n_init)
        with thread_pool(n_threads) as pool:
            model, sample, complete = self._prepare(rows, int(salt), pool)
        data = rows
        if complete and model.components.discrete and 2 * sample.n_rows <= rows.totals.n_rows:
            # Rows that repeat are fitted once, with their weights.
            data = Rows(sample.X, sample.weight, sample.exposure, row_bytes=self._row_bytes(rows.n_features))
        # Copies of rows count once, so that a fit takes the course of one with weights.
        n_distinct = sample.n_rows if complete else rows.totals.n_rows
        given = self._given_start(model, rows.n_features)
        if given is None and sample.n_rows < self.n_components:
            raise ValueError(
                f"n_components={self.n_components} is more than the {sample.n_rows} distinct rows of X with a positive "
                "weight; choose fewer components."
            )
        n_init = self.n_init if given is None else 1
        attributes_of = partial(self._fitted_attributes, model, rows.dtype)
        monitor = Monitor(self, n_init, attributes_of, {"X": X})

        def run_once(init: int) -> Run:
            with thread_pool(n_threads if n_init == 1 else 1) as pool:
                start = given
                if start is None:
                    start = self._seeded_start(model, sample, np.random.RandomState(seeds[init]))
                n_directions = model.components.n_directions(start.components)

                def expect(parameters: MixtureParameters) -> MixtureStatistics:
                    return data.sum(partial(model.expect, parameters), pool)

                def missing(parameters: MixtureParameters) -> FloatArray:
                    return data.sum(partial(missing_information, model, parameters), pool)

                newton = NewtonSteps(model, missing, n_distinct, self.n_components, n_directions)
                maximum = Maximum(model, expect, newton, self.tol)
                climbs = model.components.climbs
                run = run_em(
                    model,
                    expect,
                    start,
                    tol=self.tol,
                    max_iter=self.max_iter,
                    accelerate=self.accelerate and climbs,
                    watcher=monitor.watch(init),
                    newton=newton,
                    refine=maximum if climbs else None,
                )
                run.saddle = maximum.saddle
                run.degenerate = model.components.degenerate(run.state.parameters.components)
                return run

        best = best_of(run_once, n_init, n_threads, required_backend(X), tol=self.tol)
        self._replace_fitted(attributes_of(best))
        monitor.close()
        self._failures = list(failures(self, model, best))
        for message in self._failures:
            warnings.warn(message, ConvergenceWarning, stacklevel=4)

    def _rows(
        self,
        X: ArrayLike,
        sample_weight: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        *,
        reset: bool = False,
    ) -> Source:
        """Validated data, to be read by blocks."""
        components = self._get_components()
        if exposure is not None and not components.allows_exposure:
            raise ValueError(f"exposure is not defined for {components.label}; leave it out.")
        reader = Reader(
            sparse="missing" if components.allows_sparse else "no",
            dtype="numeric",
            row_bytes=self._row_bytes,
            exposure=components.allows_exposure,
        )
        return reader.read(self, X, sample_weight, exposure, reset=reset, min_samples=2 if reset else 1)

    def _row_bytes(self, n_features: int) -> int:
        """Bytes that an E-step touches for one row."""
        return self._get_components().row_bytes(n_features, self.n_components)

    def _refuse_outside(self, components: Components, counts: Array) -> None:
        """Raise ValueError if there are values outside the support; counts as from ``Components.count_outside``."""
        n_outside, n_too_low = counts
        if n_outside.any():
            negative = "Negative values in data: " if n_too_low.any() and components.lower_limit == 0 else ""
            raise ValueError(
                f"{negative}{type(self).__name__} takes {components.support}; X holds {n_outside.sum():.0f} other values, "
                f"in {list_columns(self, np.flatnonzero(n_outside))}."
            )

    def _prepare(self, rows: Source, salt: int, pool: ThreadPoolExecutor | None) -> tuple[MixtureModel, Block, bool]:
        """The model for these data, a sample of distinct rows to choose seeds from, and whether it holds them all."""
        columns = rows.sum(survey_columns, pool)
        warn_of_empty_rows(columns)
        components = self._get_components().prepare(
            self, columns, is_sparse=rows.is_sparse, prior_counts=float(self.prior_counts)
        )
        self._refuse_outside(components, rows.sum(components.count_outside, pool))
        size = max(int(np.clip(_SAMPLE_ENTRIES // rows.n_features, *_SAMPLE_ROWS)), 32 * self.n_components)
        rounding = components.rounding(columns)
        summary = rows.sum(partial(summarize, components=components, sample_size=size, salt=salt, rounding=rounding), pool)
        model = MixtureModel(
            components.with_pooled(summary.pooled),
            mean_log_base_measure=summary.log_base_measure / rows.totals.weight,
        )
        sample = rows.take(summary.sample.index, summary.sample.weight)
        return model, sample, sample.n_rows < size

    def _given_start(self, model: MixtureModel, n_features: int) -> MixtureParameters | None:
        """The parameters that the user wants EM to start from; None where they are to be found by seeding."""
        components = model.components
        warm = self.warm_start and hasattr(self, "weights_")
        if warm and not components.fits(self._standard_parameters(components), self.n_components):
            warn_of_fresh_start(self, n_features)
            warm = False
        if warm:
            weights: FloatArray = self.weights_.astype(np.float64)
            standard, suffix = self._standard_parameters(), "_"
        else:
            given = self._initial_standard(components)
            if given is None:
                return None
            standard, weights, suffix = given, self._initial_weights(), "_init"
        components.check_given(standard, suffix, self.n_components, n_features)
        return MixtureParameters(safe_log(weights), components.natural(standard))

    def _initial_standard(self, components: Components) -> Any | None:
        """The user's initial parameters as ``Components.natural`` takes them; None if there are none."""
        init = self._get_parameters_init()
        if all(value is None for value in init.values()):
            return None
        init = self._complete_init(init, components)
        if any(value is None for value in init.values()):
            missing = ", ".join(f"{name}_init" for name, value in init.items() if value is None)
            raise ValueError(f"Initial parameters must be given together; {missing} is missing.")
        return tuple(np.asarray(init[name], dtype=np.float64) for name in components.attribute_names)

    def _complete_init(self, init: dict[str, ArrayLike | None], components: Components) -> dict[str, ArrayLike | None]:
        """Initial parameters of which some are given, with those that follow from the data."""
        return init

    def _initial_weights(self) -> FloatArray:
        if self.weights_init is None:
            return np.full(self.n_components, 1.0 / self.n_components)
        return check_mixing_weights(self.weights_init, "weights_init", self.n_components)

    def _seeded_start(self, model: MixtureModel, sample: Block, random_state: np.random.RandomState) -> MixtureParameters:
        start = initial_parameters(model, sample, self.n_components, self.init_params, self.n_starts, random_state)
        return start if self.weights_init is None else replace(start, log_weights=safe_log(self._initial_weights()))

    def _fitted_attributes(self, model: MixtureModel, dtype: np.dtype[Any], run: Run) -> dict[str, Any]:
        """What fit leaves, for a run that is over or as if it were."""
        state = run.state
        entropy_sum = model.entropy_sum(state.parameters, state.statistics)
        components, weights = model.components, safe_exp(state.parameters.log_weights)
        return {
            "weights_": weights.astype(dtype),
            **self._named_parameters(components, components.standard(state.parameters.components), dtype),
            "n_parameters_": len(weights) - 1 + components.n_parameters(len(weights)),
            "lower_bound_": state.elbo,
            "lower_bounds_": list(run.lower_bounds),
            "entropy_sum_": entropy_sum,
            "entropy_sums_": list(run.entropy_sums),
            "stationarity_gap_": entropy_sum.value - state.elbo,
            "n_samples_": state.statistics.weight,
            "n_iter_": run.n_iter,
            "converged_": run.converged,
            "_classification": state.statistics.classification / state.statistics.weight,
        }

    def _named_parameters(self, components: Components, standard: Any, dtype: np.dtype[Any]) -> dict[str, Any]:
        """Fitted attributes of what ``Components.standard`` gives."""
        names = (name + "_" for name in components.attribute_names)
        return dict(zip(names, (value.astype(dtype) for value in standard), strict=True))

    # The fitted mixture.

    def _standard_parameters(self, components: Components | None = None) -> Any:
        """The fitted attributes as ``Components.natural`` takes them, of these components or those of the fit."""
        names = (components or self._fitted_components()).attribute_names
        return tuple(np.asarray(getattr(self, name + "_", np.nan), dtype=np.float64) for name in names)

    def _fitted_model(self, rows: Source | None) -> tuple[MixtureModel, MixtureParameters]:
        """The model that the fitted attributes describe, in units that they alone decide; rows are those to come."""
        standard = self._standard_parameters()
        weights = np.asarray(self.weights_, dtype=np.float64)
        known = rows.exposure if isinstance(rows, Rows) else None
        exposure = 1.0 if known is None else float(known.max())
        is_sparse = rows is not None and rows.is_sparse
        components = self._fitted_components().of_fitted(weights, standard, is_sparse=is_sparse, exposure=exposure)
        return MixtureModel(components), MixtureParameters(safe_log(weights), components.natural(standard))

    def _evaluate(
        self, X: ArrayLike, sample_weight: ArrayLike | None, exposure: ArrayLike | None = None, **row_data: Any
    ) -> Evaluation:
        if row_data:
            raise TypeError(f"{type(self).__name__} takes no {', '.join(row_data)}.")
        check_is_fitted(self, "weights_")
        rows = self._rows(X, sample_weight, exposure)
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
        """Weighted mean log-likelihood of X, nats per sample, the base measure included.

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
        """Log-likelihood of each row, in nats, the base measure included.

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
            return model.posterior(parameters, model.components.read(block))[1].argmax(axis=0)

        return self._map_rows(most_probable, X, exposure)

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
        """The rows with their missing entries replaced by their expectations given what is observed.

        A missing category is replaced by the most probable one.

        Parameters
        ----------
        X, exposure
            As in ``fit``.

        Returns
        -------
        ndarray, pandas or polars frame, or lazy Dask array, of shape (n_samples, n_features)
            A frame where X is one, whose columns without gaps stay as they are. Dask collections of names become codes.
        """

        def filled(model: MixtureModel, parameters: MixtureParameters, block: Block) -> FloatArray:
            observations = model.components.read(block)
            q = np.exp(model.posterior(parameters, observations)[1])
            X = block.X.toarray() if sparse.issparse(block.X) else block.X
            return np.where(np.isnan(X), model.components.expected_rows(parameters.components, observations, q), X)

        values = self._map_rows(filled, X, exposure)
        return values if is_dask(X) else fill_frame(X, self._with_names(values), self._modelled_columns)

    def _with_names(self, X: FloatArray) -> Array:
        """Rows of numbers with names in the place of their codes, where there are names."""
        return X

    def _map_rows(self, function: Callable[..., Array], X: ArrayLike, exposure: ArrayLike | None) -> Array:
        check_is_fitted(self, "weights_")
        rows = self._rows(X, exposure=exposure)
        model, parameters = self._fitted_model(rows)
        with thread_pool(effective_n_jobs(self.n_jobs)) as pool:
            refuse = partial(self._refuse_outside, model.components)
            values = map_inside(rows, partial(function, model, parameters), model.components, refuse, pool)
        return values.astype(rows.dtype, copy=False) if values.dtype.kind == "f" else values

    def sample(self, n_samples: int = 1, random_state: Any = None) -> tuple[Array, Array]:
        """Draw rows, at exposure 1.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Of objects if any column holds names; NaN in columns that the mixture leaves out.
        labels : ndarray of shape (n_samples,)
            The component of each row.
        """
        check_is_fitted(self, "weights_")
        if n_samples < 1:
            raise ValueError(f"n_samples must be at least 1, got {n_samples}.")
        random_state = check_random_state(random_state)
        weights = np.asarray(self.weights_, dtype=np.float64)
        labels = random_state.choice(len(weights), size=n_samples, p=weights / weights.sum())
        X = self._fitted_components().sample(self._standard_parameters(), labels, random_state)
        return self._with_names(X.astype(self.weights_.dtype)), labels

    @classmethod
    def _from_parameters(cls, mixture: Self, weights: ArrayLike, parameters: dict[str, ArrayLike]) -> Self:
        """Give an unfitted mixture its parameters."""
        components = mixture._get_components()
        names = components.attribute_names
        if set(parameters) != set(names):
            given, wanted = ", ".join(parameters) or "none", ", ".join(names)
            raise ValueError(f"Parameters of {components.label} are {wanted}; got {given}.")
        mixture.weights_ = check_mixing_weights(weights, "weights", mixture.n_components)
        standard = tuple(np.array(parameters[name], dtype=np.float64) for name in names)
        if standard[0].ndim < 2:
            raise ValueError(f"{names[0]} should have the shape (n_components, n_features), but got {standard[0].shape}.")
        n_features = standard[0].shape[1]
        components.check_given(standard, "", mixture.n_components, n_features)
        for message in components.cautions(mixture, standard):
            warnings.warn(message, UserWarning, stacklevel=3)
        for name, value in zip(names, standard, strict=True):
            setattr(mixture, name + "_", value)
        mixture.n_features_in_ = n_features
        uniform = np.full(mixture.n_components, 1.0 / mixture.n_components)
        known = components.of_fitted(uniform, standard, is_sparse=False)
        mixture.n_parameters_ = mixture.n_components - 1 + known.n_parameters(mixture.n_components)
        return mixture

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        components = self._get_components()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = components.allows_sparse
        tags.input_tags.positive_only = components.lower_limit >= 0
        # scikit-learn's checks read these of everything that has predict_proba.
        tags.classifier_tags = ClassifierTags(multi_class=False)
        return tags
