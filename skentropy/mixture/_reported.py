"""Reports of a fitted mixture: criteria, standard errors, summary, residuals."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from functools import partial
from typing import Any, Literal

from joblib import effective_n_jobs
from sklearn.utils.validation import check_is_fitted

from .._base import Evaluation, LatentVariableModel
from .._data import BlockSource, thread_pool
from .._messages import check_counts
from .._standard_errors import Estimate, StandardErrors
from .._tables import Summary, Table
from .._typing import Array, ArrayLike, FloatArray
from ._components import Components
from ._model import MixtureModel, MixtureParameters
from ._profiles import Profiles
from ._residuals import PairTables
from ._standard_errors import check_method, expectation_errors, mixture_estimates, mixture_standard_errors
from ._summary import summarize_mixture


class ReportedMixture(LatentVariableModel):
    """Methods of a fitted mixture for reports: criteria, standard errors, summary, residuals."""

    weights_: FloatArray
    n_samples_: float
    n_jobs: int | None
    _classification: float
    _fault_of_fit: str

    # Whether rows of the last fit had exposures other than 1.
    _exposed: bool = False

    @abstractmethod
    def _ready_rows(
        self, X: ArrayLike, sample_weight: ArrayLike | None = None, exposure: ArrayLike | None = None
    ) -> BlockSource:
        """Validated data as the fitted components take them."""

    @abstractmethod
    def _evaluate_rows(self, rows: BlockSource) -> Evaluation:
        """Evaluate the fitted mixture on rows from ``_ready_rows``."""

    @abstractmethod
    def _fitted_model(self, rows: BlockSource | None) -> tuple[MixtureModel, MixtureParameters]:
        """The model that the fitted attributes describe."""

    @abstractmethod
    def _refuse_outside(self, components: Components, counts: Array) -> None:
        """Raise ValueError if there are values outside the support."""

    def icl(
        self,
        X: ArrayLike,
        sample_weight: ArrayLike | None = None,
        classification: Literal["map", "posterior"] = "map",
        **row_data: Any,
    ) -> float:
        r"""Integrated completed likelihood of X, in nats; the lower the better.

        .. math::  \mathrm{BIC} - 2 \sum_n w_n \log q_n(\hat c_n)

        with the most probable component :math:`\hat c_n` of each row, as in Biernacki et al. (2000) and in mclust (with the
        opposite sign). "posterior" replaces the sum by the entropy of the posteriors, a term of the entropy sum.

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

    def standard_errors(
        self,
        X: ArrayLike,
        sample_weight: ArrayLike | None = None,
        method: Literal["information", "scores", "sandwich"] = "information",
        weights: Literal["counts", "survey"] = "counts",
        exposure: ArrayLike | None = None,
    ) -> StandardErrors:
        r"""Standard errors of the weights and the components' parameters, from one pass over the training data.

        Let :math:`s_n` be the gradient of row n's log-likelihood, J minus the sum of the second derivatives [1]_, and
        :math:`M = \sum_n w_n s_n s_n^\top`. The covariance of the estimates is :math:`J^{-1}`, :math:`M^{-1}` or, for any
        distribution of the rows, :math:`J^{-1} M J^{-1}`. With ``prior_counts`` J is that of the posterior density.
        Memory grows with the square of the number of parameters, time with its cube: 3,000 take 0.5 GB and a minute or two.
        More than 10,000 are refused; ``skentropy.model_selection.bootstrap`` takes any number.

        Parameters
        ----------
        X, sample_weight, exposure
            As given to ``fit``.
        method : {"information", "scores", "sandwich"}, default="information"
            The three covariances, in this order. "information" is the method of flexmix's ``refit``; "scores" is fast and
            rough.
        weights : {"counts", "survey"}, default="counts"
            Whether weights count copies of a row, or units of a population for which the row stands. For "survey"
            :math:`M = \sum_n w_n^2 s_n s_n^\top`, and ``method`` must be "sandwich".

        Returns
        -------
        StandardErrors
            It prints as a table with intervals.

        Warns
        -----
        UserWarning
            If parameters have no standard errors (NaN), because they are at a limit, such as a rate of zero, or at a bound,
            belong to an empty component, or are not identified. The message names them.

        References
        ----------
        .. [1] Louis (1982), "Finding the Observed Information Matrix when Using the EM Algorithm".

        Examples
        --------
        Counts of deaths per day, 1910 to 1912:

        >>> import numpy as np
        >>> from skentropy import PoissonMixture
        >>> deaths, days = np.arange(10)[:, np.newaxis], [162, 267, 271, 185, 111, 61, 27, 8, 3, 1]
        >>> mixture = PoissonMixture(2, random_state=0).fit(deaths, sample_weight=days)
        >>> mixture.standard_errors(deaths, sample_weight=days)["rates"].round(2)
        array([[0.25],
               [0.35]])
        """
        check_method(method, weights)
        check_is_fitted(self, "weights_")
        rows = self._ready_rows(X, sample_weight, exposure)
        model, parameters = self._fitted_model(rows)
        with thread_pool(effective_n_jobs(self.n_jobs)) as pool:
            return mixture_standard_errors(self, rows, model, parameters, method, weights, pool)

    def summary(
        self,
        X: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        *,
        standard_errors: bool = False,
    ) -> Summary:
        """Summary of a mixture, as text, as HTML in notebooks, or as frames.

        Parameters
        ----------
        X, sample_weight, exposure
            The training data, or other data that the mixture describes. Without X the numbers are those of the fit, and
            there is no table about the classification of rows.
        standard_errors : bool, default=False
            Add the parameters with their standard errors; needs X.

        Returns
        -------
        Summary
            ``summary["components"].to_frame()`` is the table of this name. Others are "means" and "probabilities" of the
            columns by component, the largest "correlations" within Gaussian components, and "features", which shows how well
            columns distinguish components. With X there are also "classification", "observed" moments of the data,
            "residuals" of latent classes, and "standard errors". ``summary.facts`` holds single numbers; for latent classes
            with complete rows and at most 4,096 patterns these include tests of the table of all patterns.

        Raises
        ------
        ValueError
            If standard errors are requested without X.

        See Also
        --------
        bivariate_residuals : The residuals of all pairs of columns.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from skentropy import GaussianMixture
        >>> X, _ = load_iris(return_X_y=True, as_frame=True)
        >>> summary = GaussianMixture(2, random_state=0).fit(X).summary(X)
        >>> print(summary["features"])
        how well each column tells components apart: Kullback-Leibler divergence, in nats, averaged over
        pairs of components drawn by their weights
        feature            divergence
        petal length (cm)      48.862
        petal width (cm)       23.755
        sepal length (cm)       2.048
        sepal width (cm)        0.564
        """
        check_is_fitted(self, "weights_")
        if X is None and (standard_errors or sample_weight is not None or exposure is not None):
            raise ValueError("standard_errors, sample_weight and exposure go with X; give X as well.")
        rows = None if X is None else self._ready_rows(X, sample_weight, exposure)
        evaluation = _evaluation_of_fit(self) if rows is None else self._evaluate_rows(rows)
        model, parameters = self._fitted_model(rows)
        with thread_pool(effective_n_jobs(self.n_jobs)) as pool:
            summary = summarize_mixture(self, model, parameters, evaluation, rows, pool, self._warned)
            if rows is None or not standard_errors:
                return summary
            errors = mixture_standard_errors(self, rows, model, parameters, "information", "counts", pool)
        return replace(summary, tables={**summary.tables, "standard errors": errors.table()})

    def bivariate_residuals(
        self, X: ArrayLike, sample_weight: ArrayLike | None = None, exposure: ArrayLike | None = None
    ) -> Table:
        r"""Pairs of categorical columns that are dependent given the component, contrary to the model.

        The residual of a pair is Pearson's chi-square divided by its degrees of freedom,

        .. math::  \frac{1}{(A - 1)(B - 1)} \sum_{ab} \frac{(n_{ab} - e_{ab})^2}{e_{ab}}, \qquad
            e_{ab} = n \sum_c \pi_c\, p_{cda}\, p_{ceb},

        for the n rows in which both columns are observed, with their weights. The residual has no exact distribution. By
        chance it is usually smaller than one; pairs above about 4 deserve a look [1]_.

        Parameters
        ----------
        X, sample_weight, exposure
            The training data.

        Returns
        -------
        Table
            One row for each pair, the largest residual first.

        Raises
        ------
        TypeError
            If there are fewer than two columns of categories.

        References
        ----------
        .. [1] Vermunt, Magidson (2016), "Technical Guide for Latent GOLD 5.1".

        Examples
        --------
        >>> import numpy as np
        >>> from skentropy import ExponentialFamilyMixture
        >>> rng = np.random.default_rng(0)
        >>> answers = (rng.random((500, 6)) < rng.choice([0.2, 0.8], size=(500, 1))).astype(float)
        >>> answers[:, 5] = np.where(rng.random(500) < 0.3, answers[:, 4], answers[:, 5])
        >>> mixture = ExponentialFamilyMixture("bernoulli", 2, random_state=0).fit(answers)
        >>> mixture.bivariate_residuals(answers).rows[0]
        'x4, x5'
        """
        check_is_fitted(self, "weights_")
        rows = self._ready_rows(X, sample_weight, exposure)
        model, parameters = self._fitted_model(rows)
        probabilities = model.components.category_probabilities(parameters.components)
        if len(probabilities) < 2:
            raise TypeError(f"Bivariate residuals need two columns of categories, which {model.components.label} lacks.")
        sizes = {feature: values.shape[1] for feature, values in probabilities.items()}
        with thread_pool(effective_n_jobs(self.n_jobs)) as pool:
            self._refuse_outside(model.components, rows.sum(model.components.count_outside, pool))
            pairs = rows.sum(partial(PairTables.of_block, sizes=sizes), pool)
        return pairs.table(self, probabilities)

    def estimates(self) -> list[Estimate]:
        """The fitted attributes with the names and the order that standard errors and the bootstrap use.

        Returns
        -------
        list of Estimate
        """
        return list(mixture_estimates(self, *self._fitted_model(None)))

    def profiles(
        self,
        X: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
    ) -> tuple[Profiles, FloatArray | None]:
        """The expectations of each column within components, and, given the training data, their standard errors.

        Parameters
        ----------
        X, sample_weight, exposure
            The arguments of ``fit``, or None.

        Returns
        -------
        profiles : Profiles
        errors : ndarray of the shape of ``profiles.expectations``, or None
        """
        check_is_fitted(self, "weights_")
        rows = None if X is None else self._ready_rows(X, sample_weight, exposure)
        model, parameters = self._fitted_model(rows)
        profiles = Profiles.of(self, model, parameters)
        if rows is None:
            return profiles, None
        with thread_pool(effective_n_jobs(self.n_jobs)) as pool:
            return profiles, expectation_errors(self, rows, model, parameters, pool)

    @property
    def is_degenerate(self) -> bool:
        """Whether a component of the fitted mixture has collapsed."""
        return self._fault == "degenerate"

    @property
    def _fault(self) -> str:
        if hasattr(self, "_fault_of_fit"):  # the attributes are rounded
            return self._fault_of_fit
        model, parameters = self._fitted_model(None)
        return model.components.fault(parameters.components)

    @property
    def _doubt(self) -> str:
        if not hasattr(self, "weights_"):
            return ""
        return self._fault if self.is_degenerate else super()._doubt or self._fault

    @property
    def learns_categories(self) -> bool:
        """Whether a fit determines kinds or categories of columns from the values."""
        model, parameters = self._fitted_model(None)
        return self._modelled_columns is not None or bool(model.components.category_probabilities(parameters.components))


def _evaluation_of_fit(mixture: ReportedMixture) -> Evaluation | None:
    """The evaluation of the training data that the fit has kept; None without a fit."""
    if not hasattr(mixture, "entropy_sum_"):
        return None
    return Evaluation(mixture.lower_bound_, mixture.entropy_sum_, mixture.n_samples_, mixture._classification)
