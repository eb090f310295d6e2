"""Poisson mixtures."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from .._typing import ArrayLike, FloatArray
from ..families import Poisson
from ._base import BaseMixture
from ._components import Components
from ._independent import Independent
from ._zero_inflated import WithZeros


class PoissonMixture(BaseMixture):
    r"""Mixture of products of Poisson distributions, for counts.

    .. math::  p(x) = \sum_{c=1}^{K} \pi_c \prod_{d=1}^{D} \frac{\lambda_{cd}^{x_d} e^{-\lambda_{cd}}}{x_d!}

    Once EM has converged the log-likelihood, which for exact posteriors is the ELBO, equals a sum of entropies in closed
    form, Eqn. 62 of [1]_ with the pseudo entropies of Eqn. 61. Rows may have exposures s (lengths of documents, sizes of
    libraries, times at risk); their rates are then :math:`s \lambda_{cd}`. Counts need not be whole: fractions, such as
    means of counts, are accepted without a warning, with :math:`x! = \Gamma(x + 1)`.

    Parameters
    ----------
    n_components : int, default=2
        Number of components K.
    zero_inflated : bool, default=False
        Whether to add a component that is zero in all columns, for more rows of zeros than the other components explain.
        Only its weight is fitted. Its rows are labelled -1, and its weight and responsibilities come last.
    tol : float, default=1e-9
        EM has converged when the estimated gain of all steps still to come is less than this, in nats per sample.
    max_iter : int, default=1000
        Largest number of steps, including those of Newton's method.
    n_init : int, default=1
        Number of runs from different starts; the best is kept.
    init_params : {"k-means++", "random_from_data", "random"}, default="k-means++"
        The starts of EM: clusters around rows that k-means++ chooses by the family's Bregman divergence, clusters around
        random rows, or random responsibilities. Starts depend only on the contents of the rows and on ``random_state``, not
        on the order of the rows or on whether a row occurs twice or has twice the weight.
    n_starts : int or "auto", default="auto"
        Number of starts that compete in each run. All take a few EM steps on a sample of the rows; those that fall behind
        are dropped, until one is left. Mixtures in which one or two of its components have moved, half as many at a time,
        then challenge it, until they have lost four times in a row. "auto" takes 16 to 32 starts, fewer if many components
        or features make them costly. With 1 there is no competition, and no component is moved.
    weights_init : array-like of shape (n_components,), default=None
        Initial mixing weights.
    rates_init : array-like of shape (n_components, n_features), default=None
        Initial rates. They replace ``init_params`` and ``n_init``.
    prior_counts : float, default=0.0
        Number of pseudo-observations that a conjugate prior adds to every component, at the pooled mean of the data. They
        keep rates from becoming zero. The prior's term in the entropy sum is ``penalty``.
    accelerate : bool, default=True
        Whether to extrapolate EM steps, and to finish a slow fit by Newton's method. The objective never falls either way.
    warm_start : bool, default=False
        Whether ``fit`` starts from the parameters of the last fit. If that had other numbers of components or columns,
        ``fit`` starts anew and warns.
    random_state : int, RandomState instance or None, default=None
        Determines the starts.
    n_jobs : int, default=None
        Number of threads, which share the runs or the blocks of rows. Results are bit-identical for every number.
    verbose : int, default=0
        1 prints a line every ``verbose_interval`` steps; 2 adds times and gains.
    verbose_interval : int, default=10

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Mixing weights; with zero inflation their shape is (n_components + 1,), and the weight of the zeros is last.
    rates_ : ndarray of shape (n_components, n_features)
        Rates per unit of exposure. A warning reports rates of exactly 0.
    lower_bound_ : float
        Mean log-likelihood of the training data under the returned parameters, nats per sample.
    lower_bounds_ : list of float
        The ELBO after each EM step, which never falls without a prior; with ``prior_counts`` the penalised ELBO never falls.
    entropy_sum_ : EntropySum
        Entropy sum of the training data.
    entropy_sums_ : list of EntropySum
        For each EM step the entropy sum of its posteriors and new parameters, which is their ELBO.
    stationarity_gap_ : float
        ``entropy_sum_.value - lower_bound_``.
    n_samples_ : float
        Number of rows, or the sum of their weights.
    n_iter_ : int
        Number of steps.
    converged_ : bool
    n_parameters_ : int
        Number of free parameters.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    NegativeBinomialMixture : The same for counts more dispersed than Poisson counts.
    ExponentialFamilyMixture : The same for any exponential family.

    References
    ----------
    .. [1] Warnken, Velychko, Damm, Fischer, Lücke (2024), "Generative Models with ELBOs Converging to Entropy Sums".

    Examples
    --------
    Death notices of women over 80 in the London *Times* on 1,096 days: days by number of notices.

    >>> import numpy as np
    >>> from skentropy import PoissonMixture
    >>> notices = np.arange(10).reshape(-1, 1)
    >>> days = [162, 267, 271, 185, 111, 61, 27, 8, 3, 1]
    >>> mixture = PoissonMixture(2, random_state=0).fit(notices, sample_weight=days)
    >>> print(np.sort(mixture.rates_.ravel()).round(3))
    [1.256 2.663]
    >>> print(f"{1096 * mixture.score(notices, sample_weight=days):.6f}")
    -1989.945860
    >>> print(f"{1096 * mixture.entropy_sum_score():.3f}")
    -1989.946
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMixture._parameter_constraints,
        "zero_inflated": ["boolean"],
        "rates_init": ["array-like", None],
    }

    rates_: FloatArray

    def __init__(
        self,
        n_components: int = 2,
        *,
        zero_inflated: bool = False,
        tol: float = 1e-9,
        max_iter: int = 1000,
        n_init: int = 1,
        init_params: str = "k-means++",
        n_starts: int | str = "auto",
        weights_init: ArrayLike | None = None,
        rates_init: ArrayLike | None = None,
        prior_counts: float = 0.0,
        accelerate: bool = True,
        warm_start: bool = False,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None:
        super().__init__(
            n_components,
            tol=tol,
            max_iter=max_iter,
            n_init=n_init,
            init_params=init_params,
            n_starts=n_starts,
            weights_init=weights_init,
            prior_counts=prior_counts,
            accelerate=accelerate,
            warm_start=warm_start,
            random_state=random_state,
            n_jobs=n_jobs,
            verbose=verbose,
            verbose_interval=verbose_interval,
        )
        self.zero_inflated = zero_inflated
        self.rates_init = rates_init

    def _get_components(self) -> Components:
        components = Independent(Poisson())
        return WithZeros(components) if self.zero_inflated else components

    def _get_parameters_init(self) -> dict[str, ArrayLike | None]:
        return {"rates": self.rates_init}

    @classmethod
    def from_parameters(cls, weights: ArrayLike, rates: ArrayLike, *, zero_inflated: bool = False) -> Self:
        """Make a mixture that scores, predicts and samples without ``fit``.

        Parameters
        ----------
        weights : array-like of shape (n_components,)
            Mixing weights; they sum to one.
        rates : array-like of shape (n_components, n_features)
        zero_inflated : bool, default=False
            Whether the last weight is that of a component at zero, which has no rates.

        Returns
        -------
        PoissonMixture

        Examples
        --------
        >>> from skentropy import PoissonMixture
        >>> PoissonMixture.from_parameters([0.3, 0.7], [[1.0], [9.0]]).predict([[0], [5], [12]])
        array([0, 1, 1])
        """
        mixture = cls(len(np.atleast_1d(weights)) - zero_inflated, zero_inflated=zero_inflated)
        return cls._from_parameters(mixture, weights, {"rates": rates})
