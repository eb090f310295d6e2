"""What a fitted mixture says in the numbers that are reported."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

from joblib import effective_n_jobs
from sklearn.utils.validation import check_is_fitted

from .._base import LatentVariableModel
from .._data import Source, thread_pool
from .._standard_errors import StandardErrors
from .._typing import ArrayLike, FloatArray
from ._model import MixtureModel, MixtureParameters
from ._standard_errors import check_method, mixture_standard_errors


class ReportedMixture(LatentVariableModel):
    """Adds to a mixture what is told of it."""

    weights_: FloatArray
    n_jobs: int | None

    @abstractmethod
    def _rows(
        self, X: ArrayLike, sample_weight: ArrayLike | None = None, exposure: ArrayLike | None = None, *, reset: bool = False
    ) -> Source:
        """Validated data, to be read by blocks."""

    @abstractmethod
    def _fitted_model(self, rows: Source) -> tuple[MixtureModel, MixtureParameters]:
        """The model that the fitted attributes describe."""

    def standard_errors(
        self,
        X: ArrayLike,
        sample_weight: ArrayLike | None = None,
        method: Literal["information", "scores", "sandwich"] = "information",
        weights: Literal["counts", "survey"] = "counts",
        exposure: ArrayLike | None = None,
    ) -> StandardErrors:
        r"""Standard errors of the weights and the components' parameters, from one pass over the training data.

        With :math:`s_n` the gradient of row n's log-likelihood, J minus the sum of its second derivatives [1]_, and
        :math:`M = \sum_n w_n s_n s_n^\top`, the covariance of the estimates is :math:`J^{-1}`, :math:`M^{-1}` or, whatever
        the rows' distribution is, :math:`J^{-1} M J^{-1}`. Under ``prior_counts`` J is that of the posterior's mode.

        Parameters
        ----------
        X, sample_weight, exposure
            Those of ``fit``.
        method : {"information", "scores", "sandwich"}, default="information"
            Which of the three. "information" is what flexmix's ``refit`` uses, "scores" is quick and rough.
        weights : {"counts", "survey"}, default="counts"
            What the weights of rows are: numbers of copies, or of units of a population that each row stands for. Then
            :math:`M = \sum_n w_n^2 s_n s_n^\top`, and ``method`` is "sandwich".

        Returns
        -------
        StandardErrors
            Which prints as a table with intervals.

        Warns
        -----
        UserWarning
            If parameters have none (NaN): those at a limit, such as a rate of zero, or at a bound, those of an empty
            component, and those that are not identified. The message names them.

        References
        ----------
        .. [1] Louis (1982), "Finding the Observed Information Matrix when Using the EM Algorithm".

        Examples
        --------
        Counts of deaths a day, 1910 to 1912:

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
        rows = self._rows(X, sample_weight, exposure)
        model, parameters = self._fitted_model(rows)
        with thread_pool(effective_n_jobs(self.n_jobs)) as pool:
            return mixture_standard_errors(self, rows, model, parameters, method, weights, pool)
