"""The estimator that all mixtures share: validation, initialisation, restarts, and what a user asks of a fitted mixture."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Self

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import ClassifierTags, check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from .._base import Evaluation, LatentVariableModel, check_counts, list_columns, warn_of_fresh_start
from .._data import (
    Block,
    ColumnSurvey,
    Reader,
    Rows,
    Source,
    check_total_weight,
    required_backend,
    survey_columns,
    thread_pool,
)
from .._em import Run, best_of, run_em
from .._monitor import Monitor
from .._typing import Array, ArrayLike, FloatArray
from ..families import ExponentialFamily
from ..families._base import safe_exp, safe_log
from ._information import missing_information
from ._input import check_columns, check_mixing_weights, check_standard, count_parameters
from ._maximum import Maximum
from ._model import MixtureModel, MixtureParameters, MixtureStatistics, Units
from ._newton import NewtonSteps
from ._report import failures
from ._seeding import initial_parameters
from ._survey import count_outside_support, evaluate, rounding_of, summarize

# Distinct rows that seeds are chosen from: as many as keep choosing cheaper than a few EM steps on large data.
_SAMPLE_ENTRIES = 2**16
_SAMPLE_ROWS = (1024, 8192)
# Probabilities of categories that do not occur are less than this.
_NEVER = 1e-300
# Where the terms of a log-density are larger, their rounding errors are more than 1e-8 nats.
_LARGEST_TERMS = 1e7


class BaseMixture(LatentVariableModel):
    """Mixture of products of one exponential family; a subclass says which, and gives its parameters their names."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
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
    def _get_family(self) -> ExponentialFamily:
        """The family of the observable distribution."""

    def _fitted_family(self) -> ExponentialFamily:
        """The family with what it has learnt from the data."""
        return self._get_family()

    @abstractmethod
    def _get_parameters_init(self) -> dict[str, ArrayLike | None]:
        """The user's initial standard parameters, under the names of the fitted ones without the underscore."""

    def _choose_substitutes(self, columns: ColumnSurvey) -> FloatArray | None:
        """Training values that stand for zeros, one a column; None where zeros stand for themselves."""
        return None

    def _fitted_substitutes(self) -> FloatArray | None:
        """What ``_choose_substitutes`` chose."""
        return None

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
            NaN means that an entry is missing; it is marginalised. Sparse matrices are never made dense.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of k counts as k copies of the row.
        exposure : array-like of shape (n_samples,), default=None
            Exposure s of each row; for count families that have one, such as the Poisson with rates s * rate.

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
        if complete and model.family.discrete and 2 * sample.n_rows <= rows.totals.n_rows:
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
            start = given
            if start is None:
                start = self._seeded_start(model, sample, np.random.RandomState(seeds[init]))
            with thread_pool(n_threads if n_init == 1 else 1) as pool:

                def expect(parameters: MixtureParameters) -> MixtureStatistics:
                    return data.sum(partial(model.expect, parameters), pool)

                def missing(parameters: MixtureParameters) -> FloatArray:
                    return data.sum(partial(missing_information, model, parameters), pool)

                newton = NewtonSteps(model, missing, n_distinct, self.n_components, rows.n_features)
                maximum = Maximum(model, expect, newton, self.tol)
                run = run_em(
                    model,
                    expect,
                    start,
                    tol=self.tol,
                    max_iter=self.max_iter,
                    accelerate=self.accelerate,
                    watcher=monitor.watch(init),
                    newton=newton,
                    refine=maximum,
                )
                run.saddle = maximum.saddle
                return run

        best = best_of(run_once, n_init, n_threads, required_backend(X), tol=self.tol)
        self._replace_fitted(attributes_of(best))
        monitor.close()
        for message in failures(self, model, best):
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
        family = self._get_family()
        if exposure is not None and not family.additive:
            raise ValueError(f"exposure is not defined for the {family.name} family; leave it out.")
        reader = Reader(
            sparse="missing" if family.zero_statistics else "no",
            dtype="numeric",
            row_bytes=self._row_bytes,
            exposure=family.additive,
        )
        return reader.read(self, X, sample_weight, exposure, reset=reset, min_samples=2 if reset else 1)

    def _row_bytes(self, n_features: int) -> int:
        """Bytes that an E-step touches for one row."""
        return 8 * (self._get_family().n_statistics * n_features + 3 * self.n_components)

    def _check_support(
        self, rows: Source, family: ExponentialFamily, *, zeros_allowed: bool, pool: ThreadPoolExecutor | None = None
    ) -> None:
        count = partial(count_outside_support, family=family, zeros_allowed=zeros_allowed)
        self._refuse_outside(family, rows.sum(count, pool))

    def _refuse_outside(self, family: ExponentialFamily, counts: Array) -> None:
        """Raise ValueError if there are values outside the support; counts as from ``count_outside_support``."""
        n_outside, n_too_low = counts
        if n_outside.any():
            negative = "Negative values in data: " if n_too_low.any() and family.lower_limit == 0 else ""
            raise ValueError(
                f"{negative}{type(self).__name__} takes {family.support}; X holds {n_outside.sum():.0f} other values, in "
                f"{list_columns(self, np.flatnonzero(n_outside))}."
            )

    def _prepare(self, rows: Source, salt: int, pool: ThreadPoolExecutor | None) -> tuple[MixtureModel, Block, bool]:
        """The model for these data, a sample of distinct rows to choose seeds from, and whether it holds them all."""
        columns = rows.sum(survey_columns, pool)
        check_columns(self, self._get_family(), columns)
        substitutes = self._choose_substitutes(columns)
        family = self._get_family().for_columns(columns.largest)
        self._check_support(rows, family, zeros_allowed=substitutes is not None, pool=pool)
        model = MixtureModel(
            family,
            units=Units.of_moments(
                family,
                np.where(columns.constant, columns.smallest, columns.mean),
                columns.variance,
                keep_zero=rows.is_sparse,
            ),
            substitutes=substitutes,
            prior_counts=float(self.prior_counts),
        )
        size = max(int(np.clip(_SAMPLE_ENTRIES // rows.n_features, *_SAMPLE_ROWS)), 32 * self.n_components)
        rounding = rounding_of(family, columns)
        summary = rows.sum(partial(summarize, model=model, sample_size=size, salt=salt, rounding=rounding), pool)
        model = replace(
            model,
            pooled=summary.sums / summary.exposures,
            mean_log_base_measure=summary.log_base_measure / rows.totals.weight,
        )
        sample = rows.take(summary.sample.index, summary.sample.weight)
        return model, sample, sample.n_rows < size

    def _given_start(self, model: MixtureModel, n_features: int) -> MixtureParameters | None:
        """The parameters that the user wants EM to start from; None where they are to be found by seeding."""
        names = self._get_family().attribute_names
        warm = self.warm_start and hasattr(self, "weights_")
        if warm and not self._has_shape(names, n_features):
            warn_of_fresh_start(self, n_features)
            warm = False
        if warm:
            weights: FloatArray = self.weights_.astype(np.float64)
            standard, suffix = self._standard_parameters(), "_"
        else:
            init = self._get_parameters_init()
            if all(value is None for value in init.values()):
                return None
            if any(value is None for value in init.values()):
                missing = ", ".join(f"{name}_init" for name, value in init.items() if value is None)
                raise ValueError(f"Initial parameters must be given together; {missing} is missing.")
            standard = tuple(np.asarray(init[name], dtype=np.float64) for name in names)
            weights, suffix = self._initial_weights(), "_init"
        for name, value in zip(names, standard, strict=True):
            if value.shape[:2] != (self.n_components, n_features):
                raise ValueError(
                    f"{name}{suffix} should have the shape (n_components, n_features) = "
                    f"{(self.n_components, n_features)}, but got {value.shape}."
                )
        check_standard(model.family, standard, suffix)
        return model.parameters(safe_log(weights), model.natural(standard))

    def _has_shape(self, names: tuple[str, ...], n_features: int) -> bool:
        """Whether the fitted parameters are those of a family with these names, and as many as a fit is to have."""
        shapes = {np.shape(getattr(self, name + "_", ()))[:2] for name in names}
        return shapes == {(self.n_components, n_features)}

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
        names = (name + "_" for name in model.family.attribute_names)
        standard = (value.astype(dtype) for value in model.standard(state.parameters.eta))
        return {
            "weights_": safe_exp(state.parameters.log_weights).astype(dtype),
            **dict(zip(names, standard, strict=True)),
            "n_parameters_": count_parameters(model.family, model.pooled > 0.0, len(state.parameters.log_weights)),
            "lower_bound_": state.elbo,
            "lower_bounds_": list(run.lower_bounds),
            "entropy_sum_": entropy_sum,
            "entropy_sums_": list(run.entropy_sums),
            "stationarity_gap_": entropy_sum.value - state.elbo,
            "n_iter_": run.n_iter,
            "converged_": run.converged,
            **({} if model.substitutes is None else {"zero_substitutes_": model.substitutes}),
        }

    # The fitted mixture.

    def _standard_parameters(self) -> tuple[FloatArray, ...]:
        names = self._fitted_family().attribute_names
        return tuple(np.asarray(getattr(self, name + "_"), dtype=np.float64) for name in names)

    def _fitted_model(self, rows: Source) -> tuple[MixtureModel, MixtureParameters]:
        """The model that the fitted attributes describe, in units that they alone decide."""
        family, standard = self._fitted_family(), self._standard_parameters()
        weights = np.asarray(self.weights_, dtype=np.float64)
        units = Units.of_mixture(family, weights, standard, keep_zero=rows.is_sparse)
        model = MixtureModel(family, units=units, substitutes=self._fitted_substitutes())
        parameters = model.parameters(safe_log(weights), model.natural(standard))
        size = np.abs(parameters.eta * family.mean(parameters.eta)).sum(axis=0) + np.abs(parameters.log_partition)
        has_form = type(family).stable_log_prob is not ExponentialFamily.stable_log_prob
        if has_form and not rows.is_sparse and not float(size.max()) <= _LARGEST_TERMS:
            model = replace(model, narrow=standard)
        return model, parameters

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
        self._refuse_outside(model.family, sums.outside)
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

    def icl(
        self,
        X: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classification: Literal["map", "posterior"] = "map",
        **row_data: Any,
    ) -> float:
        r"""Integrated completed likelihood of X, in nats; the lower the better.

        .. math::  \mathrm{BIC} - 2 \sum_n w_n \log q_n(\hat c_n)

        with the most probable component :math:`\hat c_n` of each row, as Biernacki et al. (2000) and mclust have it (whose
        sign is the opposite); or in the place of the sum with the posteriors' entropy, a term of the entropy sum.

        Parameters
        ----------
        X, sample_weight, **row_data
            As in ``entropy_sum``.
        classification : {"map", "posterior"}, default="map"

        Returns
        -------
        float
        """
        if classification not in ("map", "posterior"):
            raise ValueError(f"classification must be 'map' or 'posterior', got {classification!r}.")
        check_counts(sample_weight)
        evaluation = self._evaluate(X, sample_weight, **row_data)
        uncertainty = evaluation.classification if classification == "map" else evaluation.entropy_sum.posterior
        return self._bic(evaluation) + 2.0 * evaluation.weight * uncertainty

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
            log_evidence, _ = model.posterior(parameters, model.observe(block))
            return log_evidence + model.log_base_measure(block)

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
            return model.posterior(parameters, model.observe(block))[1].argmax(axis=0)

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
            return np.exp(model.posterior(parameters, model.observe(block))[1]).T

        return self._map_rows(responsibilities, X, exposure)

    def _map_rows(self, function: Callable[..., Array], X: ArrayLike, exposure: ArrayLike | None) -> Array:
        check_is_fitted(self, "weights_")
        rows = self._rows(X, exposure=exposure)
        self._check_support(rows, self._fitted_family(), zeros_allowed=self._fitted_substitutes() is not None)
        model, parameters = self._fitted_model(rows)
        with thread_pool(effective_n_jobs(self.n_jobs)) as pool:
            values = rows.map(partial(function, model, parameters), pool)
        return values.astype(rows.dtype, copy=False) if values.dtype.kind == "f" else values

    def sample(self, n_samples: int = 1, random_state: Any = None) -> tuple[FloatArray, Array]:
        """Draw rows, at exposure 1.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        labels : ndarray of shape (n_samples,)
            The component of each row.
        """
        check_is_fitted(self, "weights_")
        if n_samples < 1:
            raise ValueError(f"n_samples must be at least 1, got {n_samples}.")
        random_state = check_random_state(random_state)
        family = self._fitted_family()
        weights = np.asarray(self.weights_, dtype=np.float64)
        labels = random_state.choice(len(weights), size=n_samples, p=weights / weights.sum())
        eta = family.from_standard(*self._standard_parameters())
        return family.sample(eta[:, labels], random_state).astype(self.weights_.dtype), labels

    @classmethod
    def _from_parameters(cls, mixture: Self, weights: ArrayLike, parameters: dict[str, ArrayLike]) -> Self:
        """Give an unfitted mixture its parameters."""
        family = mixture._get_family()
        names = family.attribute_names
        if set(parameters) != set(names):
            given, wanted = ", ".join(parameters) or "none", ", ".join(names)
            raise ValueError(f"Parameters of the {family.name} family are {wanted}; got {given}.")
        mixture.weights_ = check_mixing_weights(weights, "weights", mixture.n_components)
        values = {name: np.array(parameters[name], dtype=np.float64) for name in names}
        n_features = next(iter(values.values())).shape[1:2]
        for name, value in values.items():
            if value.ndim < 2 or value.shape[:2] != (mixture.n_components, *n_features):
                raise ValueError(
                    f"{name} should have the shape (n_components, n_features) with n_components = "
                    f"{mixture.n_components}, as in weights, and as many columns as {names[0]}, but got {value.shape}."
                )
        standard = tuple(values.values())
        check_standard(family, standard)
        for name, value in values.items():
            setattr(mixture, name + "_", value)
        mixture.n_features_in_ = n_features[0]
        occurs = family.mean(family.from_standard(*standard)) > _NEVER
        mixture.n_parameters_ = count_parameters(family, np.asarray(occurs.any(axis=1)), mixture.n_components)
        return mixture

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        family = self._get_family()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = family.zero_statistics
        tags.input_tags.positive_only = family.lower_limit >= 0
        # scikit-learn's checks read these of everything that has predict_proba.
        tags.classifier_tags = ClassifierTags(multi_class=False)
        return tags
