"""The base of PPCA and FactorAnalysis: validation, fits, and standard errors."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils._param_validation import Interval

from .._base import fit_method
from .._data import (
    Prepared,
    Reader,
    Rows,
    SingleThreadedBLAS,
    Source,
    check_total_weight,
    has_nan,
    survey_rows,
)
from .._em import ARGUMENTS, Monitor, as_fitted
from .._messages import check_observed, check_size, feature_names, warn_of_empty_rows
from .._standard_errors import StandardErrors
from .._typing import Array, ArrayLike, FloatArray
from ._covariance_input import FitsCovariances
from ._em_model import StandardisedData, Table
from ._fit import GaussianFit, Outcome
from ._gaussian import LinearGaussian
from ._moments import Moments
from ._moments import row_bytes as moments_row_bytes
from ._rotation import Rotation
from ._spectrum import Covariance, standard_deviations, without_rounding
from ._standard_errors import standard_errors
from ._weighted_rows import with_weight

NO_MOMENTS = "The fit kept no covariance matrix, since the rows have gaps, are few for their columns, or were fitted by EM"

# Variances must lie between these, so that products of variances, and float32 noise variances at their floors, stay finite.
_VARIANCES = {np.float64: (1e-150, 1e150), np.float32: (1e-30, 1e37)}


class LinearGaussianEstimator(FitsCovariances):
    """Base of the models x = mu + Lambda z + e with Gaussian z and e; subclasses define noise and solvers other than EM."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **ARGUMENTS,
        "forgetting_factor": [Interval(Real, 0.0, 1.0, closed="right")],
    }

    _isotropic: ClassVar[bool]
    # Fitted attributes that only solvers other than EM compute, with the values that EM sets instead.
    _em_attributes: ClassVar[dict[str, Any]]

    n_components: Any
    solver: str
    tol: float
    max_iter: int
    n_init: int
    accelerate: bool
    warm_start: bool
    forgetting_factor: float
    random_state: Any
    n_jobs: int | None
    components_: FloatArray
    mean_: FloatArray
    noise_variance_: Any
    _moments: Moments | None

    @abstractmethod
    def _takes_moments(self, rows: Source) -> bool:
        """Whether the model is fitted to the moments of these rows, if they are complete."""

    @abstractmethod
    def _fit_rows(self, rows: Rows) -> Outcome:
        """Fit complete rows by products with them."""

    @abstractmethod
    def _fit_moments(self, moments: Moments, dtype: Any) -> Outcome:
        """Fit moments."""

    @abstractmethod
    def _em_start(
        self, covariance: Covariance | None, d: int, k: int, random_state: Any, *, imputed: bool
    ) -> LinearGaussian:
        """Parameters from which EM starts, for standardised data; without a covariance they are random.

        ``imputed`` says that the covariance was computed with means in place of missing entries.
        """

    @abstractmethod
    def _em_floor(self, variances: FloatArray) -> FloatArray:
        """The least noise variances in the same units."""

    @abstractmethod
    def _attributes(self, parameters: LinearGaussian, floor: FloatArray, dtype: Any) -> dict[str, Any]:
        """The fitted parameters under their names; ``floor`` are the least noise variances."""

    @abstractmethod
    def _complaints(self, parameters: LinearGaussian, floor: FloatArray) -> list[str]:
        """Reasons not to trust these parameters."""

    @abstractmethod
    def _n_parameters(self, d: int, k: int) -> int:
        """Number of free parameters, the mean included."""

    def _on_bound(self) -> Array:
        """Which features have noise variances at their bound."""
        return np.zeros(len(self.mean_), dtype=bool)

    # Fitting.

    @fit_method
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the model by maximum likelihood.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask array or frame, RowBlocks} of shape (n_samples, n_features)
            NaN marks missing entries, which EM marginalises. Sparse matrices must be complete.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of k counts as k copies of the row.

        Returns
        -------
        self : object
            The fitted model.

        Raises
        ------
        ValueError
            If there are more components than rows or columns, X holds infinite values or a column without observed entries,
            or an argument is out of range.

        Warns
        -----
        ConvergenceWarning
            If ``max_iter`` steps did not suffice, Ctrl-C interrupted the fit, or a noise variance ended at its lower bound.
        """
        rows, moments = self._read(X, sample_weight)
        self._moments = None
        # The mean tells whether there are gaps, without another pass.
        incomplete = self.solver == "em" or (is_incomplete(rows) if moments is None else bool(np.isnan(moments.mean).any()))
        if incomplete:
            outcome = self._fit_em(rows, X)
        else:
            monitor = Monitor(self, 1, lambda run: {}, {"X": X})
            if moments is not None:
                outcome, self._moments = self._fit_moments(moments, rows.dtype), moments
            elif isinstance(rows, Rows):
                outcome = self._fit_rows(rows)
            else:
                raise ValueError(f"solver={self.solver!r} needs X in memory; use 'covariance_eigh' or 'em' here.")
            outcome = replace(outcome, monitor=monitor)
        self._leave(outcome, rows.totals.weight)
        return self

    def _read(self, X: ArrayLike, sample_weight: ArrayLike | None) -> tuple[Source, Moments | None]:
        """Validated rows, and their moments if the model is fitted to these."""
        reader = self._reader(moments_row_bytes)
        read = partial(Reader.read, estimator=self, X=X, sample_weight=sample_weight, reset=True, min_samples=2)
        # The mean of an array tells whether it holds infinities, without another pass.
        by_mean = type(X) is np.ndarray and sample_weight is None
        rows = read(replace(reader, checked=by_mean))
        self._check_n_components(min(rows.totals.n_rows, rows.n_features), "min(n_samples, n_features)")
        with np.errstate(over="ignore", invalid="ignore"):  # refused later, with the names of the columns
            moments = Moments.of_rows(rows) if self._takes_moments(rows) else None
        if by_mean and (moments is None or not np.isfinite(moments.mean).all()):
            rows = read(reader)
        return rows, moments

    @fit_method
    def partial_fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Add a batch of rows to those seen before, and fit them all.

        Only the total weight, the mean and the scatter are kept. The result equals a fit to all rows together, for any split
        of the data and any distance from zero. A ``forgetting_factor`` below 1 first multiplies the weights of all earlier
        rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask array or frame, RowBlocks} of shape (n_samples, n_features)
            Complete rows.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : object
            The fitted model.

        Raises
        ------
        ValueError
            If X has missing values, or an earlier ``fit`` has kept no moments to which rows could be added.
        """
        first = not hasattr(self, "components_")
        rows = self._reader(moments_row_bytes).read(self, X, sample_weight, reset=first)
        self._check_n_components(rows.n_features, "n_features")
        moments = Moments.of_rows(rows)
        check_total_weight(moments.weight)
        if np.isnan(moments.mean).any():
            raise ValueError("partial_fit takes complete rows; X has missing values (NaN). Use fit, or leave such rows out.")
        if not first:
            if self._moments is None:
                raise ValueError(
                    "The last fit kept no moments to which partial_fit could add rows: X had missing values or no more "
                    "rows than columns, or its solver read the rows. Call partial_fit from the first batch on."
                )
            moments = self._moments.discounted(self.forgetting_factor) + moments
        self._keep(moments, rows.dtype)
        return self

    def _fit_to_moments(self, moments: Moments, dtype: Any) -> None:
        self._check_n_components(int(min(moments.weight, len(moments.mean))), "min(n_samples, n_features)")
        self._keep(moments, dtype)

    def _keep(self, moments: Moments, dtype: Any) -> None:
        self._leave(self._fit_moments(moments, dtype), moments.weight)
        self._moments = moments

    def _leave(self, outcome: Outcome, weight: float) -> None:
        attributes = {**outcome.attributes, "n_samples_": weight}
        self._conclude(attributes, outcome.messages, outcome.monitor, at_saddle=outcome.at_saddle)

    def _check_n_components(self, largest: int, what: str) -> None:
        if isinstance(self.n_components, Integral) and int(self.n_components) > largest:
            raise ValueError(
                f"n_components={self.n_components} is too large: it must be at most {what}={largest}; X has "
                f"n_features={self.n_features_in_}."
            )

    def _solution_attributes(
        self,
        parameters: LinearGaussian,
        floor: FloatArray,
        lower_bounds: list[float],
        dtype: Any,
        *,
        converged: bool = True,
    ) -> dict[str, Any]:
        """The fitted attributes of all solvers except EM; the last bound is that of the parameters."""
        terms, elbo = parameters.entropy_sum(), lower_bounds[-1]
        return {
            **self._attributes(parameters, floor, dtype),
            "entropy_sum_": terms,
            "entropy_sums_": [terms],
            "lower_bound_": elbo,
            "lower_bounds_": lower_bounds,
            "stationarity_gap_": terms.value - elbo,
            "n_iter_": len(lower_bounds),
            "n_parameters_": self._n_parameters(*parameters.shape),
            "converged_": converged,
        }

    def _fit_em(self, rows: Source, X: ArrayLike) -> Outcome:
        """Fit rows by EM."""
        if rows.is_sparse:
            raise ValueError("solver='em' needs dense X; for sparse X choose another solver.")
        return GaussianFit(self, self._em_components(), self._standardised(rows), rows, X).outcome()

    def _em_components(self) -> int:
        if not isinstance(self.n_components, Integral):
            raise ValueError(
                f"n_components={self.n_components!r} needs the eigenvalues of complete data; with missing values, or "
                "solver='em', n_components must be an integer or 'bic'."
            )
        return int(self.n_components)

    def _standardised(self, rows: Source) -> StandardisedData:
        """The rows centred and scaled, and the model for them."""
        columns = survey_rows(rows)
        check_observed(self, columns.weight)
        warn_of_empty_rows(columns.n_empty_rows)
        check_scale(self, columns.variance, rows.dtype)
        return self._standardise(
            columns.mean,
            columns.variance,
            lambda location, scale: rows.prepare(partial(Table.of_rows, location=location, scale=scale)),
        )

    def _standardised_moments(self, moments: Moments) -> StandardisedData:
        """Standardised rows with these moments, and the model for them."""
        return self._standardise(
            moments.mean,
            np.diag(moments.covariance),
            lambda location, scale: Table.with_moments(moments.standardised(location, scale)),
        )

    def _standardise(
        self, location: FloatArray, variances: FloatArray, tables: Callable[[FloatArray, FloatArray], Prepared]
    ) -> StandardisedData:
        """Choose the centre and the scale; ``tables`` makes the standardised data from them."""
        variances = without_rounding(variances, location)
        scale = standard_deviations(variances)
        if self._isotropic:
            scale = np.full(len(location), np.sqrt((scale**2).mean()))
        floor = self._em_floor(variances / scale**2)
        return StandardisedData.of(tables(location, scale), location, scale, isotropic=self._isotropic, floor=floor)

    # The fitted model.

    def _standard_errors(
        self, X: ArrayLike | None, sample_weight: ArrayLike | None, rotation: Rotation | None
    ) -> StandardErrors:
        parameters = self._parameters()
        if X is not None:
            data = self._standardised(self._ready_rows(X, sample_weight))
        elif self._moments is not None:
            data = self._standardised_moments(self._moments)
        else:
            raise ValueError(f"{NO_MOMENTS}; give standard_errors the X of the fit.")
        with SingleThreadedBLAS():
            errors = standard_errors(
                data,
                parameters.standardised(data.location, data.scale),
                rotation=rotation,
                on_bound=self._on_bound(),
                names=feature_names(self),
            )
        return replace(errors, title=f"{type(self).__name__}: {errors.title}")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # Gaps need EM, which accepts neither a share of the variance as n_components nor sparse rows.
        n_components = as_fitted(self).n_components
        tags.input_tags.allow_nan = isinstance(n_components, Integral) or n_components == "bic"
        tags.input_tags.sparse = as_fitted(self).solver != "em"
        return tags


def check_scale(estimator: Any, variances: FloatArray, dtype: Any) -> None:
    """Refuse columns whose variances are outside the range of the dtype of the fitted attributes."""
    check_size(estimator, variances, _VARIANCES[np.dtype(dtype).type], dtype)


def is_incomplete(rows: Source) -> bool:
    """Whether rows in memory have gaps."""
    if not isinstance(rows, Rows) or rows.is_sparse:
        return False
    X, _ = with_weight(rows.X, rows.sample_weight)
    return has_nan(X)
