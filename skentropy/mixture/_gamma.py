"""Gamma mixtures."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from .._data import ColumnSurvey
from .._typing import ArrayLike, FloatArray
from ..families import Gamma
from ._base import BaseMixture
from ._independent import Independent
from ._zero_substitutes import choose_substitutes


class GammaMixture(BaseMixture):
    r"""Mixture of products of gamma distributions, for positive values such as durations and amounts.

    .. math::

        p(x) = \sum_{c=1}^{K} \pi_c \prod_{d=1}^{D}
        \frac{\beta_{cd}^{\alpha_{cd}}}{\Gamma(\alpha_{cd})} x_d^{\alpha_{cd} - 1} e^{-\beta_{cd} x_d}

    Once EM has converged the log-likelihood, which for exact posteriors is the ELBO, equals a sum of entropies in closed
    form, Eqn. 56 of [1]_ with the entropies of Eqn. 57. The fit is equivariant to the units of each column.

    Parameters
    ----------
    n_components : int, default=2
        Number of components K.
    zeros : {"warn", "error"} or float, default="warn"
        The treatment of zeros, which are outside the support. "warn" replaces them by half of the column's smallest positive
        training value, also in later data, and warns once of their number; "error" refuses them; a positive number is the
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
    shapes_init, rates_init : array-like of shape (n_components, n_features), default=None
        Initial shapes and rates, both or neither. They replace ``init_params`` and ``n_init``.
    prior_counts : float, default=0.0
        Number of pseudo-observations that a conjugate prior adds to every component, at the pooled mean statistics. They
        keep components from collapsing onto a single value. The prior's term in the entropy sum is ``penalty``.
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
    shapes_, rates_ : ndarray of shape (n_components, n_features)
        Shapes and rates; the means are ``shapes_ / rates_``. If a component collapses onto one value, its shape ends at the
        bound of 1e8, and a warning reports it.
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
    ExponentialFamilyMixture : The same for any exponential family, such as the log-normal.

    References
    ----------
    .. [1] Warnken, Velychko, Damm, Fischer, Lücke (2024), "Generative Models with ELBOs Converging to Entropy Sums".

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skentropy import GammaMixture
    >>> petal_length = load_iris().data[:, 2:3]
    >>> mixture = GammaMixture(2, random_state=0).fit(petal_length)
    >>> print(f"{mixture.score(petal_length):.6f}")
    -1.336892
    >>> print(mixture.entropy_sum())
    entropy sum, nats per sample
      + posterior         0.000021
      - prior             0.636513
      - observable        0.700400
      = value            -1.336892
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMixture._parameter_constraints,
        "shapes_init": ["array-like", None],
        "rates_init": ["array-like", None],
        "zeros": [StrOptions({"warn", "error"}), Interval(Real, 0.0, None, closed="neither")],
    }

    shapes_: FloatArray
    rates_: FloatArray

    def __init__(
        self,
        n_components: int = 2,
        *,
        zeros: str | float = "warn",
        tol: float = 1e-9,
        max_iter: int = 1000,
        n_init: int = 1,
        init_params: str = "k-means++",
        n_starts: int | str = "auto",
        weights_init: ArrayLike | None = None,
        shapes_init: ArrayLike | None = None,
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
        self.zeros = zeros
        self.shapes_init = shapes_init
        self.rates_init = rates_init

    def _get_components(self) -> Independent:
        return Independent(Gamma())

    def _choose_substitutes(self, columns: ColumnSurvey) -> FloatArray | None:
        return choose_substitutes(self, self.zeros, columns)

    def _get_parameters_init(self) -> dict[str, ArrayLike | None]:
        return {"shapes": self.shapes_init, "rates": self.rates_init}

    @classmethod
    def from_parameters(cls, weights: ArrayLike, shapes: ArrayLike, rates: ArrayLike) -> Self:
        """Make a mixture that scores, predicts and samples without ``fit``.

        Parameters
        ----------
        weights : array-like of shape (n_components,)
            Mixing weights; they sum to one.
        shapes, rates : array-like of shape (n_components, n_features)

        Returns
        -------
        GammaMixture

        Examples
        --------
        >>> from skentropy import GammaMixture
        >>> mixture = GammaMixture.from_parameters([0.3, 0.7], [[2.0], [20.0]], [[1.0], [1.0]])
        >>> mixture.predict([[1.0], [25.0]])
        array([0, 1])
        """
        return cls._from_parameters(cls(len(np.atleast_1d(weights))), weights, {"shapes": shapes, "rates": rates})
