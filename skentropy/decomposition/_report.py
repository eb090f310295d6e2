"""Reports of fitted factor models: shares of variance, standard errors, fit indices, summaries."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from sklearn.utils.validation import check_is_fitted

from .._data import SingleThreadedBLAS, Source
from .._linalg import LOG_2PI
from .._messages import list_columns, warn
from .._standard_errors import StandardErrors
from .._tables import Summary
from .._typing import Array, ArrayLike, FloatArray
from ._base import NO_MOMENTS, LinearGaussianEstimator, is_incomplete
from ._covariance_input import check_total
from ._fit_indices import Discrepancy, GoodnessOfFit, fit_indices
from ._gaussian import LinearGaussian
from ._moments import Moments
from ._profile import inverse_and_log_det
from ._rotation import Rotation
from ._saturated import likeliest_gaussian
from ._spectrum import MatrixCovariance, without_rounding
from ._summary import summarize_components, summarize_factors


class ReportedComponents(LinearGaussianEstimator):
    """Methods of a fitted PPCA for reports."""

    explained_variance_: FloatArray
    _on_floor: bool

    @property
    def explained_variance_ratio_(self) -> FloatArray:
        """Share of the variance of all features along each component, the noise there included."""
        check_is_fitted(self, "components_")
        total = float((self.components_.astype(np.float64) ** 2).sum()) + len(self.mean_) * self.noise_variance_
        return np.asarray(self.explained_variance_ / total)

    def summary(self, *, cutoff: float = 0.0, sort: bool = False) -> Summary:
        """The report of a PPCA, as text, as HTML in notebooks, or as frames.

        Parameters
        ----------
        cutoff : float, default=0.0
            Loadings that are smaller in absolute value are not printed; frames have all.
        sort : bool, default=False
            Order the features by the component on which they load most, and on each by descending absolute loading.

        Returns
        -------
        Summary
            With the tables "variance" and "loadings".
        """
        check_is_fitted(self, "components_")
        return summarize_components(self, cutoff=cutoff, sort=sort)

    def standard_errors(self, X: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> StandardErrors:
        """Standard errors of the loadings, the mean and the noise variance from the observed information.

        Loadings are identified by their orthogonality. If two components explain almost the same variance, the errors of
        their loadings are large.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), default=None
            The training data; needed if they had missing values or fewer rows than columns, or the solver kept no
            moments.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the training data.

        Returns
        -------
        StandardErrors

        Raises
        ------
        ValueError
            If X is needed, or the components explain the data completely.
        """
        check_is_fitted(self, "components_")
        if self._on_floor:
            raise ValueError(
                "There are no standard errors if the components explain the data completely, since the likelihood has no "
                "maximum; use fewer components."
            )
        return self._standard_errors(X, sample_weight, None)


class ReportedFactors(LinearGaussianEstimator):
    """Methods of a fitted factor analysis for reports."""

    rotation: str | None
    factor_correlation_: FloatArray

    @property
    @abstractmethod
    def _rotation(self) -> Rotation | None:
        """The rotation of the loadings; None without one."""

    @property
    def loadings_(self) -> FloatArray:
        """Loadings on the scale of correlations, the pattern matrix, of shape (n_features, n_components)."""
        p = self._parameters()
        scale = np.sqrt(((p.loadings @ p.correlation) * p.loadings).sum(axis=1) + p.noise)
        return np.asarray(p.loadings / scale[:, np.newaxis])

    @property
    def structure_(self) -> FloatArray:
        """Correlations of features and factors, of shape (n_features, n_components)."""
        return np.asarray(self.loadings_ @ self.factor_correlation_)

    @property
    def communalities_(self) -> FloatArray:
        """Share of each feature's variance that the factors explain; the rest is its uniqueness."""
        return np.asarray((self.loadings_ * self.structure_).sum(axis=1))

    @property
    def explained_variance_(self) -> FloatArray:
        """The variance that each rotated factor explains, in variances of a feature, ``diag(Phi L'L)``.

        For orthogonal factors these are sums of squared loadings. Oblique factors split the variance they share, so that the
        sum over factors is that of the communalities.
        """
        return np.asarray((self.loadings_ * self.structure_).sum(axis=0))

    @property
    def explained_variance_ratio_(self) -> FloatArray:
        """The same as a share of the variance of all features, each on the scale of correlations."""
        return self.explained_variance_ / len(self.mean_)

    def goodness_of_fit(
        self,
        X: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        correction: str | None = "bartlett",
        level: float = 0.9,
    ) -> GoodnessOfFit:
        """Test of the model and indices of its fit: chi-square, RMSEA, CFI, TLI, SRMR, BIC.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), default=None
            The training data; needed if they had missing values or fewer rows than columns.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the training data, as counts.
        correction : {"bartlett"} or None, default="bartlett"
            Bartlett's correction gives the numbers of R's ``factanal`` and psych, None those of lavaan. With missing values
            there is no correction, and the chi-square is that of full-information maximum likelihood.
        level : float, default=0.9
            Level of the interval of the RMSEA.

        Returns
        -------
        GoodnessOfFit
            It prints as a table.

        Raises
        ------
        ValueError
            If X is needed, the covariance of the data is singular, or weights are normalised.

        Examples
        --------
        >>> from sklearn.datasets import load_wine
        >>> from skentropy import FactorAnalysis
        >>> fit = FactorAnalysis(3).fit(load_wine().data).goodness_of_fit()
        >>> fit.dof, round(fit.rmsea, 3), round(fit.cfi, 3)
        (42, 0.125, 0.906)
        """
        check_is_fitted(self, "components_")
        if correction not in ("bartlett", None):
            raise ValueError(f"correction must be 'bartlett' or None, got {correction!r}.")
        if not 0.0 < level < 1.0:
            raise ValueError(f"level must be between 0 and 1, got {level!r}.")
        discrepancy, complete = self._discrepancy(X, sample_weight)
        check_total(discrepancy.n_samples)
        return fit_indices(discrepancy, bartlett=correction is not None and complete, level=level)

    def summary(
        self,
        X: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        cutoff: float = 0.0,
        sort: bool = False,
        standard_errors: bool = False,
    ) -> Summary:
        """The report of a factor analysis, as text, as HTML in notebooks, or as frames.

        Parameters
        ----------
        X, sample_weight
            The training data, as in ``goodness_of_fit``; the indices of fit are left out if they need X and it is not given.
        cutoff : float, default=0.0
            Loadings that are smaller in absolute value are not printed; frames have all.
        sort : bool, default=False
            Order the features by the factor on which they load most, and on each by descending absolute loading.
        standard_errors : bool, default=False
            Add the loadings of ``components_``, in the data's units, with their standard errors.

        Returns
        -------
        Summary
            ``summary["loadings"].to_frame()`` is the table of that name; others are "variance", "correlations" of oblique
            factors, "scores", "fit" and "standard errors".
        """
        check_is_fitted(self, "components_")
        has_indices = self.n_samples_ >= 2.0 and (X is not None or self._has_indices())
        fit = self.goodness_of_fit(X, sample_weight) if has_indices else None
        errors = self.standard_errors(X, sample_weight) if standard_errors else None
        return summarize_factors(self, fit, errors, cutoff=cutoff, sort=sort)

    def standard_errors(self, X: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> StandardErrors:
        """Standard errors of loadings, uniquenesses, mean and factor correlations from the observed information.

        Loadings are those of ``components_``, including the rotation. A uniqueness at its floor counts as known.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), default=None
            The training data; needed if they had missing values or fewer rows than columns.
        sample_weight : array-like of shape (n_samples,), default=None
            The weights of the training data.

        Returns
        -------
        StandardErrors

        Raises
        ------
        ValueError
            If X is needed, or the rotation is promax, which optimises no single criterion.
        """
        if self._rotation is not None and self._rotation.method == "promax":
            raise ValueError("There are no standard errors for promax, which optimises no single criterion; try oblimin.")
        if not self._is_identified:
            d, k = len(self.mean_), len(self.components_)
            warn(
                f"{k} factors of {d} columns are not identified: loadings and uniquenesses are more parameters than a "
                "covariance matrix has, and have no standard errors. Use fewer components."
            )
        return self._standard_errors(X, sample_weight, self._rotation)

    @property
    def _is_identified(self) -> bool:
        """Whether loadings, up to rotation, and uniquenesses are no more parameters than a covariance matrix (Ledermann)."""
        d, k = len(self.mean_), len(self.components_)
        return d * k - k * (k - 1) // 2 + d <= d * (d + 1) // 2

    @property
    def _doubt(self) -> str:
        fitted = hasattr(self, "components_")
        return super()._doubt or ("not identified" if fitted and not self._is_identified else "")

    def _has_indices(self) -> bool:
        """Whether indices of fit can be computed without X."""
        return self._moments is not None and inverse_and_log_det(_correlation(self._moments))[0] is not None

    def _discrepancy(self, X: ArrayLike | None, sample_weight: ArrayLike | None) -> tuple[Discrepancy, bool]:
        """The log-likelihoods and residuals that indices of fit need, and whether the data are complete."""
        parameters = self._parameters(orthogonal=True)
        if X is None:
            if self._moments is None:
                raise ValueError(f"{NO_MOMENTS}; give the X that it was fitted to.")
            moments = self._moments
        else:
            rows = self._ready_rows(X, sample_weight)
            if is_incomplete(rows):
                return self._discrepancy_with_gaps(parameters, rows), False
            moments = Moments.of_rows(rows)
            if np.isnan(moments.mean).any():
                return self._discrepancy_with_gaps(parameters, rows), False
        self._refuse_constant(without_rounding(np.diag(moments.covariance), moments.mean) == 0.0)
        return discrepancy_of_moments(parameters, moments, self.n_parameters_), True

    def _refuse_constant(self, constant: Array) -> None:
        if constant.any():
            columns = list_columns(self, np.flatnonzero(constant))
            raise ValueError(f"Indices of fit need columns that vary, but {columns} is constant; leave such columns out.")

    def _discrepancy_with_gaps(self, parameters: LinearGaussian, rows: Source) -> Discrepancy:
        data = self._standardised(rows)
        self._refuse_constant(data.constant())
        model, standardised = data.model, parameters.standardised(data.location, data.scale)
        saturated = likeliest_gaussian(data)
        if saturated is None:
            raise ValueError(_SINGULAR)
        with SingleThreadedBLAS():
            of_model = model.elbo(data.expect(standardised))
        share = model.feature_weight / model.total_weight
        return Discrepancy(
            n_samples=model.total_weight,
            n_components=parameters.shape[1],
            n_parameters=self.n_parameters_,
            model=of_model,
            saturated=saturated.log_likelihood,
            # Standardised features have variances of one.
            baseline=-0.5 * float(share @ (LOG_2PI + 1.0 + 2.0 * model.log_scale)),
            residual=_residual(saturated.covariance, standardised),
        )


_SINGULAR = (
    "The covariance of the data is singular: there are no more rows than columns, or columns that depend on each other. No "
    "model can be tested against it; leave columns out, or give more rows."
)


def discrepancy_of_moments(parameters: LinearGaussian, moments: Moments, n_parameters: int) -> Discrepancy:
    """The discrepancy of a model and complete rows with these moments."""
    scale = np.sqrt(np.diag(moments.covariance))
    standardised = parameters.standardised(moments.mean, scale)
    correlation = _correlation(moments)
    inverse, log_det = inverse_and_log_det(correlation)
    if inverse is None:
        raise ValueError(_SINGULAR)
    d = len(scale)
    baseline = -0.5 * d * (LOG_2PI + 1.0) - float(np.log(scale).sum())
    precision, of_mean = standardised.precision(), standardised.mean
    distance = float((precision * correlation).sum() + of_mean @ precision @ of_mean)
    log_det_model = float(np.linalg.slogdet(standardised.covariance())[1])
    return Discrepancy(
        n_samples=moments.weight,
        n_components=parameters.shape[1],
        n_parameters=n_parameters,
        model=baseline - 0.5 * (log_det_model + distance - d),
        saturated=baseline - 0.5 * log_det,
        baseline=baseline,
        residual=_residual(correlation, standardised),
    )


def _correlation(moments: Moments) -> FloatArray:
    return MatrixCovariance(moments.mean, moments.covariance).correlation().product(np.eye(len(moments.mean)))


def _residual(covariance: FloatArray, parameters: LinearGaussian) -> FloatArray:
    scale = np.sqrt(np.diag(covariance))
    return np.asarray((covariance - parameters.covariance()) / scale / scale[:, np.newaxis])
