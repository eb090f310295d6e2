"""A test for the number of components: the bootstrap of the likelihood ratio (McLachlan 1987)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._em import as_part
from .._messages import warn
from .._tables import wrap
from .._typing import ArrayLike, FloatArray
from ..mixture._base import BaseMixture
from ..mixture._fitted import rows_in_memory
from ..mixture._one_more import with_one_more
from ._resampling import Sample, Simulations, check_number, replicate, seeds, split_steps, unfitted, warm

# A smaller statistic is within the precision of convergence, and means that another component gains nothing.
_NOTHING = 1e-3
# The result is clear once this many replicates are at least as large as the statistic.
_CLEAR = 20


@dataclass(frozen=True, repr=False)
class BootstrapLRTResult:
    """Bootstrap test of K components against K + 1; prints as a sentence.

    Attributes
    ----------
    statistic : float
        Twice the difference of the log-likelihoods.
    pvalue : float
    null_distribution : ndarray of shape (n_replicates,)
        The statistics of data drawn from the mixture of K components, as many as were needed.
    n_components : int
        K.
    title : str
        The test.
    """

    statistic: float
    pvalue: float
    null_distribution: FloatArray
    n_components: int
    title: str

    def __str__(self) -> str:
        larger, n = int((self.null_distribution >= self.statistic).sum()), len(self.null_distribution)
        verdict = f"2 log likelihood ratio {self.statistic:.4f}, p = {self.pvalue:.4f}"
        of = f"{larger} of {n} simulated data sets have one as large"
        return "\n".join([*wrap(self.title), *wrap(f"{verdict}: {of}")])

    def __repr__(self) -> str:
        return str(self)


def bootstrap_lrt(
    model: Any,
    X: ArrayLike,
    n_boot: int = 99,
    *,
    sample_weight: ArrayLike | None = None,
    stop_early: bool = True,
    n_jobs: int | None = None,
    random_state: Any = None,
    verbose: int = 0,
) -> BootstrapLRTResult:
    r"""Test whether data need more components than a mixture has, by the bootstrap of the likelihood ratio.

    The statistic :math:`2 (\log L_{K+1} - \log L_K)` has no chi-square distribution, since under the null hypothesis K + 1
    components are not identified. It is compared with the statistics of data drawn from the fitted mixture of K components
    [1]_. If m of these are at least as large, p is :math:`(m + 1) / (n_{boot} + 1)`. If 20 are as large before all are
    drawn, the test ends, and p is 20 divided by the number drawn so far [2]_. Both tests hold the level.

    Parameters
    ----------
    model : mixture, pipeline or search
        Its ``n_components`` is K. The test fits mixtures of K and K + 1 components with its other arguments. A pipeline must
        be fitted; its transformers are not refitted.
    X : array-like of shape (n_samples, n_features)
        The data, in memory.
    n_boot : int, default=99
        Largest number of data sets that are drawn. The smallest possible p is ``1 / (n_boot + 1)``.
    sample_weight : array-like of shape (n_samples,), default=None
        The number of rows for which each row stands, a whole number.
    stop_early : bool, default=True
        Whether the test ends with the twentieth statistic that is at least as large.
    n_jobs : int, default=None
        Number of processes, by joblib. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
    verbose : int, default=0
        1 prints a line after each tenth of ``n_boot``.

    Returns
    -------
    BootstrapLRTResult
        With the attributes ``statistic`` and ``pvalue``.

    Raises
    ------
    TypeError
        If the model is not a mixture.
    ValueError
        If ``n_boot`` is less than 1, the mixture has initial parameters, which fix the number of components, X is not in
        memory, or weights are not whole numbers.

    Warns
    -----
    ConvergenceWarning
        If fits of K + 1 components did not converge, or ended in degenerate solutions. Their statistics are included
        nevertheless.

    See Also
    --------
    skentropy.rank_models : Numbers of components by information criteria, at the cost of one fit each.

    Notes
    -----
    Statistics below 0.001 count as zero: another component gains nothing. If the statistic of X itself counts as zero, p is
    1.

    References
    ----------
    .. [1] McLachlan (1987), "On Bootstrapping the Likelihood Ratio Test Statistic for the Number of Components in a Normal
       Mixture".
    .. [2] Besag, Clifford (1991), "Sequential Monte Carlo p-values".

    Examples
    --------
    Counts of deaths per day, 1910 to 1912, are not a sample of one Poisson distribution:

    >>> import numpy as np
    >>> from skentropy import PoissonMixture
    >>> from skentropy.model_selection import bootstrap_lrt
    >>> deaths, days = np.arange(10)[:, np.newaxis], [162, 267, 271, 185, 111, 61, 27, 8, 3, 1]
    >>> bootstrap_lrt(PoissonMixture(1), deaths, sample_weight=days, random_state=0)
    PoissonMixture: bootstrap test of 1 against 2 components, 1096 rows
    2 log likelihood ratio 22.9040, p = 0.0100: 0 of 99 simulated data sets have one as large
    """
    check_number("n_boot", n_boot, 1)
    mixture, X = split_steps(model, X, "bootstrap_lrt tests the number of components")
    _check_starts(mixture)
    K, name = mixture.n_components, type(mixture).__name__
    first, *others = seeds(random_state, 1 + int(n_boot))
    with as_part():
        null = unfitted(mixture, random_state=first).fit(X, sample_weight=sample_weight)
    rows = rows_in_memory(null, X, sample_weight, None)
    table = X if null.learns_categories else rows.X
    observed, *_ = _test(null, Sample(table, rows.sample_weight, None), first)
    fits = replicate(
        partial(_replicate, null, Simulations.of(null, table, rows)),
        others,
        n_jobs=n_jobs,
        verbose=verbose,
        name=f"bootstrap of {name}",
        enough=lambda fits: stop_early and sum(fit[0] >= observed for fit in fits) >= _CLEAR,
    )
    statistics, converged, degenerate = map(np.array, zip(*fits, strict=True))
    for problem, count in (("did not converge", (~converged).sum()), ("ended in degenerate solutions", degenerate.sum())):
        if count:
            warn(
                f"{count} of {len(fits)} fits of {K + 1} components {problem}; their statistics are included nevertheless.",
                ConvergenceWarning,
            )
    larger = int((statistics >= observed).sum())
    pvalue = larger / len(fits) if stop_early and larger == _CLEAR else (larger + 1) / (len(fits) + 1)
    title = f"{name}: bootstrap test of {K} against {K + 1} components, {rows.totals.weight:.8g} rows"
    return BootstrapLRTResult(observed, pvalue, statistics, K, title)


def _check_starts(mixture: BaseMixture) -> None:
    """Refuse initial parameters, which cannot start a fit with another number of components."""
    given = [name for name, value in mixture.get_params(deep=False).items() if name.endswith("_init") and value is not None]
    given = [name for name in given if name != "n_init"]
    if given:
        raise ValueError(
            f"{', '.join(given)} set {mixture.n_components} components, and the test also fits "
            f"{mixture.n_components + 1}; leave them out."
        )


def _replicate(null: BaseMixture, draws: Simulations, seed: int) -> tuple[float, bool, bool]:
    """The statistic of simulated data, and whether the fit with one more component converged, and is degenerate."""
    sample = draws.draw(np.random.RandomState(seed))
    return _test(sample.fit(warm(null)), sample, seed)


def _test(null: BaseMixture, sample: Sample, seed: int) -> tuple[float, bool, bool]:
    """Twice the log-likelihood ratio of a fit with one more component and a fitted mixture; zero if it gains nothing.

    If a fit gains nothing, another fit starts from the mixture plus the component that would raise its likelihood most, if
    there is one. Starts from clusters may not reach maxima at limits, such as a rate of zero.
    """
    fit = sample.fit(unfitted(null, n_components=null.n_components + 1, random_state=seed))
    statistic = _statistic(null, fit)
    if not statistic:
        more = with_one_more(null, rows_in_memory(null, sample.X, sample.weight, None))
        if more is not None:
            fit = sample.fit(warm(more))
            statistic = _statistic(null, fit)
    return statistic, fit.converged_, fit.is_degenerate


def _statistic(null: BaseMixture, alternative: BaseMixture) -> float:
    statistic = 2.0 * null.n_samples_ * (alternative.lower_bound_ - null.lower_bound_)
    return statistic if statistic > _NOTHING else 0.0
