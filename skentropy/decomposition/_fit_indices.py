"""Goodness of fit of a factor model, compared with an unrestricted covariance and with independent features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, stats

from .._tables import Column, Table
from .._typing import FloatArray


@dataclass(frozen=True, repr=False)
class GoodnessOfFit:
    """Goodness of fit of a factor model.

    It prints as a table, and ``to_frame`` returns a pandas frame. Indices are NaN if there are no degrees of freedom.

    Attributes
    ----------
    n_samples : float
        Number of rows n, or their total weight.
    n_features, n_components : int
        D features, and k factors.
    correction : {"bartlett"} or None
        The correction of the two chi-squares.
    criterion : float
        The discrepancy F: twice the difference between the mean log-likelihoods of an unrestricted covariance and of the
        model.
    statistic : float
        Chi-square of the test that the model holds: ``n * F``, or with Bartlett's correction [1]_ ``(n - 1 - (2 D + 5) / 6
        - 2 k / 3) * F``, as in ``factanal`` and psych.
    dof : int
        Its degrees of freedom, ``((D - k)**2 - D - k) / 2``.
    pvalue : float
    baseline_statistic, baseline_dof : float, int
        The same for the baseline model of independent features, which has D (D - 1) / 2 degrees of freedom.
    rmsea : float
        Root mean square error of approximation [2]_: the root of ``statistic / (n dof) - 1 / n``, at least 0, as in lavaan;
        with Bartlett's correction the root of ``statistic / (n dof) - 1 / (n - 1)``, as in psych.
    rmsea_interval : tuple of float
        The interval of the RMSEA, from the noncentrality parameters for which the statistic is a quantile of the noncentral
        chi-square, divided by ``n dof``, or with the correction by ``(n - 1) dof``.
    level : float
        Level of that interval.
    cfi : float
        Comparative fit index [3]_, ``1 - max(statistic - dof, 0) / max(baseline_statistic - baseline_dof, statistic - dof,
        0)``.
    tli : float
        Tucker-Lewis index [4]_, the non-normed fit index, ``(B - statistic / dof) / (B - 1)``, where B is the baseline's
        statistic over its degrees of freedom, with the same correction as the model's.
    srmr : float
        Standardised root mean square residual of the correlations on and below the diagonal, as in lavaan (without the
        means; lavaan's ``srmr_bentler_nomean``).
    rmsr : float
        Root mean square residual of the correlations below the diagonal, as in psych.
    log_likelihood, saturated_log_likelihood : float
        Total log-likelihoods, in nats, of the model and of the unrestricted mean and covariance.
    n_parameters : int
        Number of free parameters, including the means, which lavaan's ``efa`` leaves out.
    aic, bic : float
        Information criteria of the model, in nats; the lower the better.
    bic_difference : float
        ``statistic - dof * log(n)``, which psych calls BIC; below zero it favours the model over an unrestricted covariance.

    References
    ----------
    .. [1] Bartlett (1951), "The Effect of Standardization on a Chi-square Approximation in Factor Analysis", Biometrika 38.
    .. [2] Steiger, Lind (1980); Browne, Cudeck (1992), "Alternative Ways of Assessing Model Fit", Sociological Methods &
       Research 21.
    .. [3] Bentler (1990), "Comparative Fit Indexes in Structural Models", Psychological Bulletin 107.
    .. [4] Tucker, Lewis (1973), "A Reliability Coefficient for Maximum Likelihood Factor Analysis", Psychometrika 38.
    """

    n_samples: float
    n_features: int
    n_components: int
    correction: str | None
    criterion: float
    statistic: float
    dof: int
    pvalue: float
    baseline_statistic: float
    baseline_dof: int
    rmsea: float
    rmsea_interval: tuple[float, float]
    level: float
    cfi: float
    tli: float
    srmr: float
    rmsr: float
    log_likelihood: float
    saturated_log_likelihood: float
    n_parameters: int
    aic: float
    bic: float
    bic_difference: float

    @property
    def table(self) -> Table:
        """The numbers with their descriptions, as a table."""
        corrected = "Bartlett's correction" if self.correction else "no correction"
        low, high = self.rmsea_interval
        interval = "" if np.isnan(low) else f"{100 * self.level:g}% interval {low:.3f} to {high:.3f}"
        rows: list[tuple[str, Any, str]] = [
            ("chi-square", self.statistic, f"test of the model; {corrected}"),
            ("degrees of freedom", self.dof, "" if self.dof > 0 else "nothing is left to test; take fewer factors"),
            ("p-value", self.pvalue, ""),
            ("chi-square of the baseline", self.baseline_statistic, f"independent features; {corrected}"),
            ("degrees of freedom of the baseline", self.baseline_dof, ""),
            ("RMSEA", self.rmsea, interval),
            ("CFI", self.cfi, ""),
            ("TLI", self.tli, ""),
            ("SRMR", self.srmr, "of correlations, diagonal included"),
            ("RMSR", self.rmsr, "of correlations, diagonal left out"),
            ("log-likelihood", self.log_likelihood, "nats, in total"),
            ("log-likelihood of any covariance", self.saturated_log_likelihood, "nats, in total"),
            ("AIC", self.aic, "nats; lower is better"),
            ("BIC", self.bic, "nats; lower is better"),
            ("BIC less that of any covariance", self.bic_difference, "chi-square - dof log n; below 0 favours the model"),
        ]
        names, values, words = zip(*rows, strict=True)
        title = f"goodness of fit of {self.n_components} factors to {self.n_features} features in {self.n_samples:g} rows"
        formats = [".3g" if name == "p-value" else ".3f" for name in names]
        return Table(title, names, [Column("value", values, formats), Column("", words)])

    def to_frame(self) -> Any:
        """All numbers as a pandas frame with one row, to be stacked with those of other models.

        Returns
        -------
        pandas.DataFrame
        """
        import pandas

        values = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "rmsea_interval"}
        low, high = self.rmsea_interval
        return pandas.DataFrame([{**values, "rmsea_lower": low, "rmsea_upper": high}])

    def __str__(self) -> str:
        return str(self.table)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return self.table._repr_html_()


@dataclass(frozen=True)
class Discrepancy:
    """The numbers from which fit indices are computed.

    Attributes
    ----------
    n_samples : float
    n_components : int
    n_parameters : int
    model, saturated, baseline : float
        Mean log-likelihoods.
    residual : ndarray of shape (d, d)
        Covariance of the data minus that of the model, on the scale of the data's correlations.
    """

    n_samples: float
    n_components: int
    n_parameters: int
    model: float
    saturated: float
    baseline: float
    residual: FloatArray


def fit_indices(of: Discrepancy, *, bartlett: bool, level: float) -> GoodnessOfFit:
    """The indices, by the formulas in ``GoodnessOfFit``."""
    n, k, d = float(of.n_samples), of.n_components, len(of.residual)
    criterion, of_baseline = float(2.0 * (of.saturated - of.model)), float(2.0 * (of.saturated - of.baseline))
    scale = n - 1.0 - (2.0 * d + 5.0) / 6.0 if bartlett else n
    of_model = scale - 2.0 * k / 3.0 if bartlett else scale
    statistic = of_model * criterion
    dof, baseline, baseline_dof = ((d - k) ** 2 - d - k) // 2, scale * of_baseline, d * (d - 1) // 2
    pvalue = rmsea = cfi = tli = np.nan
    interval = (np.nan, np.nan)
    degrees = n - 1.0 if bartlett else n
    if dof > 0:
        pvalue = float(stats.chi2.sf(statistic, dof))
        rmsea = float(np.sqrt(max(statistic / (n * dof) - 1.0 / degrees, 0.0)))
        low, high = (noncentrality(statistic, dof, p) for p in (0.5 + 0.5 * level, 0.5 - 0.5 * level))
        interval = (float(np.sqrt(low / (degrees * dof))), float(np.sqrt(high / (degrees * dof))))
        excess, of_independent = max(statistic - dof, 0.0), max(baseline - baseline_dof, 0.0)
        cfi = 1.0 - excess / max(excess, of_independent) if excess else 1.0
        # Tucker and Lewis, and psych after them, correct both chi-squares in the same way.
        ratio = of_model * of_baseline / baseline_dof
        tli = (ratio - statistic / dof) / (ratio - 1.0)
    below = of.residual[np.tril_indices(d, -1)]
    total = float(n * of.model)
    return GoodnessOfFit(
        n_samples=n,
        n_features=d,
        n_components=k,
        correction="bartlett" if bartlett else None,
        criterion=criterion,
        statistic=statistic,
        dof=dof,
        pvalue=pvalue,
        baseline_statistic=baseline,
        baseline_dof=baseline_dof,
        rmsea=rmsea,
        rmsea_interval=interval,
        level=level,
        cfi=cfi,
        tli=tli,
        srmr=float(np.sqrt((of.residual[np.tril_indices(d)] ** 2).mean())),
        rmsr=float(np.sqrt((below**2).mean())) if below.size else 0.0,
        log_likelihood=total,
        saturated_log_likelihood=float(n * of.saturated),
        n_parameters=of.n_parameters,
        aic=2.0 * of.n_parameters - 2.0 * total,
        bic=float(np.log(n)) * of.n_parameters - 2.0 * total,
        bic_difference=statistic - dof * float(np.log(n)),
    )


def noncentrality(statistic: float, dof: int, probability: float) -> float:
    """The noncentrality for which a statistic is the chi-square's quantile at a probability; 0 if there is none."""

    def excess(noncentral: float) -> float:
        return float(stats.ncx2.cdf(statistic, dof, noncentral)) - probability

    if stats.chi2.cdf(statistic, dof) <= probability:
        return 0.0
    above = statistic
    while excess(above) > 0.0:
        above *= 2.0
    return float(optimize.brentq(excess, 0.0, above, xtol=1e-12, rtol=1e-13))
