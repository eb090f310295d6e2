"""Negative binomial mixtures with fitted dispersions."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils._param_validation import StrOptions

from .._typing import ArrayLike, FloatArray
from ..families._dispersion import DispersedPoisson
from ._base import BaseMixture
from ._components import Components
from ._dispersed import TIES, Dispersed
from ._zero_inflated import WithZeros


class NegativeBinomialMixture(BaseMixture):
    r"""Mixture of products of negative binomial distributions, for counts more dispersed than Poisson counts.

    .. math::

        p(x) = \sum_{c=1}^{K} \pi_c \prod_{d=1}^{D} \binom{x_d + r_{cd} - 1}{x_d}
        \frac{\mu_{cd}^{x_d} r_{cd}^{r_{cd}}}{(\mu_{cd} + r_{cd})^{x_d + r_{cd}}}, \qquad r_{cd} = 1 / a_{cd},

    with means :math:`\mu` and dispersions a: variances are :math:`\mu + a \mu^2`, and a = 0 is the Poisson distribution.
    Both are fitted by maximum likelihood. Once EM has converged the log-likelihood equals a sum of entropies for any
    dispersions, since Eqn. 49 of [1]_ requires only stationary means; the term ``base_measure`` depends on the dispersions.
    Counts need not be whole: fractions are accepted without a warning, with gamma functions for the factorials.

    Parameters
    ----------
    n_components : int, default=2
        Number of components K.
    dispersion_type : {"full", "feature", "component", "tied"}, default="full"
        What has its own dispersion: each component and feature, each feature, or each component; "tied" is one for all.
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
    means_init, dispersions_init : array-like of shape (n_components, n_features), default=None
        Initial means and dispersions, both or neither. They replace ``init_params`` and ``n_init``.
    prior_counts : float, default=0.0
        Number of pseudo-observations, distributed like the pooled rows, that a prior adds to every component. They keep
        means from becoming zero. The prior's term in the entropy sum is ``penalty``.
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
    means_ : ndarray of shape (n_components, n_features)
        Means. A warning reports means of exactly 0.
    dispersions_ : ndarray of shape (n_components, n_features)
        Dispersions, 0 or between 1e-7 and 2981; tied ones are repeated. A warning reports dispersions of exactly 0, which
        mean that the counts are no more dispersed than Poisson counts.
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
    PoissonMixture : The same without dispersions, with exposures.
    ExponentialFamilyMixture : With ``NegativeBinomial(r=...)`` the same for a known r.

    Notes
    -----
    For each component and column an E-step counts how often each distinct value was seen. Its memory therefore grows with
    the number of distinct values.

    References
    ----------
    .. [1] Warnken, Velychko, Damm, Fischer, Lücke (2024), "Generative Models with ELBOs Converging to Entropy Sums".

    Examples
    --------
    >>> import numpy as np
    >>> from skentropy import NegativeBinomialMixture
    >>> rng = np.random.default_rng(0)
    >>> few = rng.negative_binomial(1, 0.5, size=(500, 3))
    >>> many = rng.negative_binomial(4, 0.2, size=(300, 3))
    >>> visits = np.concatenate([few, many])
    >>> mixture = NegativeBinomialMixture(2, random_state=0).fit(visits)
    >>> print(np.sort(mixture.means_, axis=0).round(1))
    [[ 0.9  1.   1. ]
     [15.9 16.3 15.6]]
    >>> print(np.sort(mixture.dispersions_, axis=0).round(1))
    [[0.3 0.2 0.3]
     [1.3 0.9 1. ]]
    >>> print(f"{mixture.score(visits):.6f} {mixture.entropy_sum_score():.6f}")
    -7.218001 -7.218001
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMixture._parameter_constraints,
        "dispersion_type": [StrOptions(set(TIES))],
        "zero_inflated": ["boolean"],
        "means_init": ["array-like", None],
        "dispersions_init": ["array-like", None],
    }

    means_: FloatArray
    dispersions_: FloatArray

    def __init__(
        self,
        n_components: int = 2,
        *,
        dispersion_type: str = "full",
        zero_inflated: bool = False,
        tol: float = 1e-9,
        max_iter: int = 1000,
        n_init: int = 1,
        init_params: str = "k-means++",
        n_starts: int | str = "auto",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        dispersions_init: ArrayLike | None = None,
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
        self.dispersion_type = dispersion_type
        self.zero_inflated = zero_inflated
        self.means_init = means_init
        self.dispersions_init = dispersions_init

    def _get_components(self) -> Components:
        components = Dispersed(DispersedPoisson(), tied=TIES[self.dispersion_type])
        return WithZeros(components) if self.zero_inflated else components

    def _get_parameters_init(self) -> dict[str, ArrayLike | None]:
        return {"means": self.means_init, "dispersions": self.dispersions_init}

    @classmethod
    def from_parameters(
        cls,
        weights: ArrayLike,
        means: ArrayLike,
        dispersions: ArrayLike,
        *,
        dispersion_type: str = "full",
        zero_inflated: bool = False,
    ) -> Self:
        """Make a mixture that scores, predicts and samples without ``fit``.

        Parameters
        ----------
        weights : array-like of shape (n_components,)
            Mixing weights; they sum to one.
        means, dispersions : array-like of shape (n_components, n_features)
        dispersion_type : {"full", "feature", "component", "tied"}, default="full"
            As in the constructor. Tied dispersions are repeated, and count once as parameters.
        zero_inflated : bool, default=False
            Whether the last weight is that of a component at zero, which has no mean.

        Returns
        -------
        NegativeBinomialMixture

        Examples
        --------
        >>> from skentropy import NegativeBinomialMixture
        >>> mixture = NegativeBinomialMixture.from_parameters([0.3, 0.7], [[1.0], [9.0]], [[0.0], [0.5]])
        >>> mixture.predict([[0], [5], [12]])
        array([0, 1, 1])
        """
        if dispersion_type not in TIES:
            raise ValueError(f"dispersion_type must be one of {', '.join(map(repr, TIES))}, got {dispersion_type!r}.")
        n_components = len(np.atleast_1d(weights)) - zero_inflated
        mixture = cls(n_components, dispersion_type=dispersion_type, zero_inflated=zero_inflated)
        return cls._from_parameters(mixture, weights, {"means": means, "dispersions": dispersions})
