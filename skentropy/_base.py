"""What every estimator of the package offers its users."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, wraps
from numbers import Integral, Real
from typing import Any, ClassVar, TypeVar, cast, final

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import Interval, InvalidParameterError, StrOptions
from sklearn.utils.validation import check_is_fitted

from ._em import Monitor, keep_arguments
from ._em._callbacks import CallbackSupportMixin
from ._entropy_sum import EntropySum
from ._messages import check_counts, did_you_mean, warn
from ._typing import ArrayLike

# The kind of each column, and the columns with which it forms a unit, as in ``Traits.columns``.
ColumnKinds = dict[int, tuple[str, tuple[int, ...]]]
# The kinds of likelihoods of columns together, which have a length, a sum or a total in common.
JOINT_KINDS = ("direction", "composition", "given totals")
# Fitted attributes that validation sets before a fit starts.
_OF_COLUMNS = {"n_features_in_", "feature_names_in_"}
_Method = TypeVar("_Method", bound=Callable[..., Any])


def unchanged_by_failure(method: _Method) -> _Method:
    """Make a method leave the estimator as it was if it fails."""

    @wraps(method)
    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        before = dict(vars(self))
        try:
            return method(self, *args, **kwargs)
        except BaseException:
            vars(self).clear()
            vars(self).update(before)
            raise

    return cast(_Method, fit)


def fit_method(method: _Method) -> _Method:
    """Make a method that fits: it validates the arguments first, and a failure leaves the estimator unchanged."""

    @wraps(method)
    def fit(self: Any, *args: Any, **kwargs: Any) -> Any:
        vars(self).pop("_fitted_arguments", None)
        return method(self, *args, **kwargs)

    # The context ends callbacks by attributes that it has set, so these must outlast it.
    return cast(_Method, unchanged_by_failure(_fit_context(prefer_skip_nested_validation=True)(fit)))


@dataclass(frozen=True)
class Evaluation:
    """A fitted model on some data: its ELBO, its entropy sum with new posteriors, and the total weight of the data.

    ``classification`` is the mean of -log q(c) at each row's most probable component c, for mixtures; else NaN.
    """

    elbo: float
    entropy_sum: EntropySum
    weight: float
    classification: float = np.nan


@dataclass(frozen=True)
class Traits:
    """The properties of a model that comparisons and displays need.

    Attributes
    ----------
    discrete_latents : bool
        Whether the latent variables are discrete, so that their posterior entropy is never negative.
    step : str
        What ``n_iter_`` counts.
    why_no_criteria : str
        Why there are no information criteria, if no agreed rule counts the parameters; otherwise empty.
    binarizes : bool
        Whether the fit has converted other values to zeros and ones.
    likelihood : str
        The kind of the likelihood of a row: the "probability" of counts or categories, the probability of counts "given
        totals", the "density" of real numbers, of an "angle", a "direction" or a "composition", or "mixed" if columns
        differ. Only likelihoods of one kind are comparable. Empty if only a fit can choose the kinds of the columns.
    columns : dict of int to tuple, or None
        Keys are the positions of the columns that the fitted model describes; None stands for all columns. Each value holds
        the kind of the column's likelihood, in the words above, and the columns that together with it form a direction, a
        composition or the counts of a total; there are none if the column stands by itself.
    zero_substitutes : mapping of int to float
        For each column whose zeros the fit has replaced, the value that replaces them.
    doubt : str
        Why the fit should not be compared with others: it ended at a "saddle point", it is "degenerate" because a component
        has collapsed, it is a "Heywood" case with a noise variance at its floor, or its factors are "not identified", since
        they have more parameters than a covariance matrix. Empty if there is no such problem.
    """

    discrete_latents: bool
    step: str
    why_no_criteria: str
    binarizes: bool
    likelihood: str
    columns: ColumnKinds | None
    zero_substitutes: Mapping[int, float]
    doubt: str


class LatentVariableModel(CallbackSupportMixin, DensityMixin, BaseEstimator):
    """Base of all estimators: scores, entropy sums and information criteria from one evaluation of the data.

    A subclass supplies ``fit``, which sets ``lower_bound_``, ``entropy_sum_``, ``stationarity_gap_``, ``n_parameters_`` and
    ``converged_``. It also supplies ``score_samples``, ``sample`` and ``_evaluate``, and overrides the class attributes
    behind ``traits`` where their defaults do not hold. Model selection and displays read only these and the documented
    attributes.
    """

    n_parameters_: int
    entropy_sum_: EntropySum
    lower_bound_: float
    stationarity_gap_: float

    # The warnings of the last fit.
    _warned: Sequence[str] = ()
    # Whether it ended at a saddle point.
    _at_saddle: bool = False

    @classmethod
    @cache
    def _get_param_names(cls) -> list[str]:
        """The names of the arguments, cached: to look them up takes longer than a step of a small fit."""
        names: list[str] = super()._get_param_names()
        return names

    def _validate_params(self) -> None:
        """Validate the arguments; the message about an unknown name ends with the name that may be meant."""
        try:
            super()._validate_params()
        except InvalidParameterError as error:
            raise InvalidParameterError(f"{error}{''.join(self._hints())}") from None
        # Python counts True and False as integers.
        flags = {name: value for name, value in self.get_params(deep=False).items() if isinstance(value, bool)}
        for name, value in flags.items():
            rules = self._parameter_constraints.get(name, [])
            is_number = any(isinstance(rule, Interval) or rule in (Integral, Real) for rule in rules)
            if is_number and "boolean" not in rules:
                raise InvalidParameterError(f"{name} must be a number, got {value!r}.")

    def _hints(self) -> Iterator[str]:
        """What users may have meant by invalid arguments."""
        for name, value in self.get_params(deep=False).items():
            rules = self._parameter_constraints.get(name, [])
            known = [option for rule in rules if isinstance(rule, StrOptions) for option in rule.options]
            yield did_you_mean(value, known) if isinstance(value, str) and value not in known else ""

    @final
    def _replace_fitted(self, attributes: dict[str, Any]) -> None:
        """Set the fitted attributes, and delete those of an earlier fit, except what validation has set of the columns."""
        for name in [name for name in vars(self) if name.endswith("_") and name not in _OF_COLUMNS | attributes.keys()]:
            delattr(self, name)
        for name, value in attributes.items():
            setattr(self, name, value)

    @final
    def _conclude(
        self, attributes: dict[str, Any], messages: Iterable[str], monitor: Monitor | None = None, *, at_saddle: bool = False
    ) -> None:
        """End a fit: set its attributes, close its monitor, and warn."""
        self._replace_fitted(attributes)
        keep_arguments(self)
        for name in ("_at_saddle", "_warned"):
            self.__dict__.pop(name, None)
        warned = list(messages)
        if at_saddle:
            self._at_saddle = True
        if warned:
            self._warned = warned
        if monitor is not None:
            monitor.close()
        for message in warned:
            warn(message, ConvergenceWarning)

    @abstractmethod
    def _evaluate(self, X: ArrayLike, sample_weight: ArrayLike | None, **row_data: Any) -> Evaluation:
        """Evaluate the fitted model on X."""

    @property
    def _fitted_penalty(self) -> float:
        """The penalty per sample of the training data, which is part of the entropy sum of any data."""
        return self.entropy_sum_.penalty if hasattr(self, "entropy_sum_") else 0.0

    @final
    def evaluate(self, X: ArrayLike, sample_weight: ArrayLike | None = None, **row_data: Any) -> Evaluation:
        """ELBO, entropy sum and total weight of X under the fitted model, from one pass over the rows.

        Parameters
        ----------
        X, sample_weight, **row_data
            As in ``entropy_sum``.

        Returns
        -------
        Evaluation
        """
        return self._evaluate(X, sample_weight, **row_data)

    # The values that ``traits`` returns.
    _discrete_latents: ClassVar[bool] = False
    _step_name: ClassVar[str] = "EM step"
    _why_no_criteria: ClassVar[str] = ""
    _binarizes: bool = False

    @property
    def _likelihood(self) -> str:
        return "density"

    @property
    def _modelled_columns(self) -> ColumnKinds | None:
        return None

    @property
    def _replaced_zeros(self) -> Mapping[int, float]:
        return {}

    @property
    def _doubt(self) -> str:
        return "saddle point" if self._at_saddle else ""

    @final
    def traits(self) -> Traits:
        """The properties of the model, fitted or not, that comparisons and displays need.

        Returns
        -------
        Traits
        """
        return Traits(
            discrete_latents=self._discrete_latents,
            step=self._step_name,
            why_no_criteria=self._why_no_criteria,
            binarizes=self._binarizes,
            likelihood=self._likelihood,
            columns=self._modelled_columns,
            zero_substitutes=self._replaced_zeros,
            doubt=self._doubt,
        )

    @final
    def _check_criteria(self) -> None:
        if self._why_no_criteria:
            raise TypeError(f"Information criteria are not defined for {type(self).__name__}, {self._why_no_criteria}")

    def score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Weighted mean log-likelihood of X, including the base measure, in nats per sample.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask array or frame, RowBlocks} of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
        """
        return self._evaluate(X, sample_weight).elbo

    @final
    def entropy_sum(self, X: ArrayLike | None = None, sample_weight: ArrayLike | None = None, **row_data: Any) -> EntropySum:
        """Entropy sum, term by term, nats per sample.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask array or frame, RowBlocks} of shape (n_samples, n_features), default=None
            None gives the entropy sum of the training data, which ``fit`` has stored. Otherwise the posteriors of X are
            computed. The entropy sum of data other than the training data is *not* an ELBO.
        sample_weight : array-like of shape (n_samples,), default=None
        **row_data
            Further arrays of shape (n_samples,) that the model takes, such as ``exposure``.

        Returns
        -------
        EntropySum
        """
        check_is_fitted(self)
        if X is None:
            if sample_weight is not None or row_data:
                raise TypeError("sample_weight and other arrays of rows go with X; give X as well.")
            if not hasattr(self, "entropy_sum_"):
                raise ValueError(f"This {type(self).__name__} was made from parameters, not fitted to data; pass X.")
            return self.entropy_sum_
        return self._evaluate(X, sample_weight, **row_data).entropy_sum

    @final
    def entropy_sum_score(
        self,
        X: ArrayLike | None = None,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        **row_data: Any,
    ) -> float:
        """Value of the entropy sum, nats per sample; for the training data, at convergence, it is the ELBO.

        Do not use it for cross-validation: on held-out data the entropy sum is not a bound, and it favours the largest
        model. Use ``score`` instead.

        Parameters
        ----------
        X, sample_weight, **row_data
            As in ``entropy_sum``.
        y : Ignored

        Returns
        -------
        float
        """
        return self.entropy_sum(X, sample_weight, **row_data).value

    @final
    def stationarity_gap(self, X: ArrayLike | None = None, sample_weight: ArrayLike | None = None, **row_data: Any) -> float:
        """Entropy sum minus ELBO, nats per sample.

        The gap of the training data is zero at convergence. A gap of zero is necessary for convergence but not sufficient.
        On other data the gap measures how far they are from data for which the parameters are stationary.

        Parameters
        ----------
        X, sample_weight, **row_data
            As in ``entropy_sum``.

        Returns
        -------
        float
        """
        if X is None:
            terms = self.entropy_sum(X, sample_weight, **row_data)
            return terms.value - self.lower_bound_
        check_is_fitted(self)
        evaluation = self._evaluate(X, sample_weight, **row_data)
        return evaluation.entropy_sum.value - evaluation.elbo

    @final
    def bic(self, X: ArrayLike, sample_weight: ArrayLike | None = None, **row_data: Any) -> float:
        """Bayesian information criterion of X, in nats; the lower the better.

        Sample weights are counts: their sum is the number of samples, and a sum of at most one gives a warning.

        Parameters
        ----------
        X, sample_weight, **row_data
            As in ``entropy_sum``.

        Returns
        -------
        float
        """
        self._check_criteria()
        check_counts(sample_weight)
        evaluation = self._evaluate(X, sample_weight, **row_data)
        return self._bic(evaluation)

    @final
    def aic(self, X: ArrayLike, sample_weight: ArrayLike | None = None, **row_data: Any) -> float:
        """Akaike information criterion of X, in nats; the lower the better.

        Parameters
        ----------
        X, sample_weight, **row_data
            As in ``entropy_sum``.

        Returns
        -------
        float
        """
        self._check_criteria()
        evaluation = self._evaluate(X, sample_weight, **row_data)
        return -2.0 * evaluation.weight * evaluation.elbo + 2.0 * self.n_parameters_

    @final
    def _bic(self, evaluation: Evaluation) -> float:
        return -2.0 * evaluation.weight * evaluation.elbo + float(np.log(evaluation.weight)) * self.n_parameters_
