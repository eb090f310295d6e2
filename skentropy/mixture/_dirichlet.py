"""Dirichlet mixtures."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from .._data import ColumnSurvey
from .._typing import ArrayLike, FloatArray
from ..families._dirichlet import Dirichlet
from ._base import BaseMixture
from ._vector import VectorComponents
from ._zero_substitutes import choose_substitutes


class DirichletMixture(BaseMixture):
    r"""Mixture of Dirichlet distributions, for compositions: rows of positive parts of a whole.

    .. math::

        p(x) = \sum_{c=1}^{K} \pi_c \frac{\Gamma(\sum_d \alpha_{cd})}{\prod_d \Gamma(\alpha_{cd})}
        \prod_{d=1}^{D} x_d^{\alpha_{cd} - 1}

    for rows with :math:`x_d > 0` and :math:`\sum_d x_d = 1`, such as shares of a budget, of time, of minerals or of topics.
    The density is that of all parts but one. Once EM has converged the log-likelihood, which for exact posteriors is the
    ELBO, equals a sum of entropies in closed form, Eqns. 39 and 52 of [1]_, with the entropies of the components.

    Parameters
    ----------
    n_components : int, default=2
        Number of components K.
    normalize : bool, default=True
        Whether rows are divided by their sums. The mixture then models the shares and not the sums. A row of zeros has no
        shares, whatever ``zeros`` is; its log-likelihood is zero, and its posterior is the mixing weights. False refuses all
        rows that do not sum to one.
    zeros : {"warn", "error"} or float, default="warn"
        The treatment of zeros, which are outside the support. "warn" replaces them by half of the column's smallest positive
        training value, also in later data, and warns once of their number; "error" refuses them; a positive number is the
        replacement. Rows are then divided by their sums. With ``normalize=False`` rows must sum to one before the
        replacement.
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
    concentrations_init : array-like of shape (n_components, n_features), default=None
        Initial concentrations. They replace ``init_params`` and ``n_init``.
    prior_counts : float, default=0.0
        Number of pseudo-observations that a conjugate prior adds to every component, at the mean logarithms of all rows.
        They keep components from collapsing onto one composition. The prior's term in the entropy sum is ``penalty``.
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
        Mixing weights.
    concentrations_ : ndarray of shape (n_components, n_features)
        :math:`\alpha_{cd}`. The mean shares of a component are its concentrations over their sum; the larger the sum, the
        closer the rows are to the means. If a component collapses onto one composition, the sum ends at the bound of 1e8,
        and a warning reports it.
    zero_substitutes_ : ndarray of shape (n_features,)
        The substitutes of zeros, unless ``zeros="error"``.
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
    MultinomialMixture : For counts, which may be zero.
    VonMisesFisherMixture : For directions.

    Notes
    -----
    The M-step is Newton's method with the structure of [2]_. Rows must be complete: with missing parts the shares of the
    others are unknown.

    References
    ----------
    .. [1] Warnken, Velychko, Damm, Fischer, Lücke (2024), "Generative Models with ELBOs Converging to Entropy Sums".
    .. [2] Minka (2000), "Estimating a Dirichlet distribution".

    Examples
    --------
    >>> import numpy as np
    >>> from skentropy import DirichletMixture
    >>> rng = np.random.default_rng(0)
    >>> shares = np.concatenate([rng.dirichlet([9, 3, 3], 60), rng.dirichlet([2, 2, 16], 40)])
    >>> mixture = DirichletMixture(2, random_state=0).fit(shares)
    >>> print(mixture.weights_.round(1))
    [0.4 0.6]
    >>> print(f"{mixture.score(shares):.6f} {mixture.entropy_sum_score():.6f}")
    1.735636 1.735636
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMixture._parameter_constraints,
        "concentrations_init": ["array-like", None],
        "normalize": ["boolean"],
        "zeros": [StrOptions({"warn", "error"}), Interval(Real, 0.0, None, closed="neither")],
    }

    concentrations_: FloatArray

    def __init__(
        self,
        n_components: int = 2,
        *,
        normalize: bool = True,
        zeros: str | float = "warn",
        tol: float = 1e-9,
        max_iter: int = 1000,
        n_init: int = 1,
        init_params: str = "k-means++",
        n_starts: int | str = "auto",
        weights_init: ArrayLike | None = None,
        concentrations_init: ArrayLike | None = None,
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
        self.normalize = normalize
        self.zeros = zeros
        self.concentrations_init = concentrations_init

    def _get_components(self) -> VectorComponents:
        return VectorComponents(Dirichlet(), self.normalize)

    def _choose_substitutes(self, columns: ColumnSurvey) -> FloatArray | None:
        return choose_substitutes(self, self.zeros, columns)

    def _get_parameters_init(self) -> dict[str, ArrayLike | None]:
        return {"concentrations": self.concentrations_init}

    @classmethod
    def from_parameters(cls, weights: ArrayLike, concentrations: ArrayLike, normalize: bool = True) -> Self:
        """Make a mixture that scores, predicts and samples without ``fit``.

        Parameters
        ----------
        weights : array-like of shape (n_components,)
            Mixing weights; they sum to one.
        concentrations : array-like of shape (n_components, n_features)
            At least two columns; the sum over the columns is at most 1e8.
        normalize : bool, default=True
            As in the constructor.

        Returns
        -------
        DirichletMixture

        Examples
        --------
        >>> from skentropy import DirichletMixture
        >>> mixture = DirichletMixture.from_parameters([0.5, 0.5], [[9.0, 3.0, 3.0], [2.0, 2.0, 16.0]])
        >>> mixture.predict([[0.7, 0.2, 0.1], [0.1, 0.2, 0.7]])
        array([0, 1])
        """
        mixture = cls(len(np.atleast_1d(weights)), normalize=normalize)
        return cls._from_parameters(mixture, weights, {"concentrations": concentrations})
