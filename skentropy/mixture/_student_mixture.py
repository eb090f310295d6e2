"""Student t mixtures."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from .._typing import ArrayLike, FloatArray
from ._base import BaseMixture
from ._components import Components
from ._student import MOST_GIVEN_DEGREES, StudentT


class StudentTMixture(BaseMixture):
    r"""Mixture of multivariate Student t distributions, for clusters with outliers.

    .. math::

        p(x) = \sum_{c=1}^{K} \pi_c\, t(x; \mu_c, \Sigma_c, \nu_c), \qquad
        x \mid u \sim N(\mu_c, \Sigma_c / u), \quad u \sim \operatorname{Gamma}(\nu_c / 2, \nu_c / 2)

    Each row has a latent scale u, which is small for outliers, so outliers have less weight in means and scale matrices.
    Missing entries (NaN) are latent, too. The fit uses parameter-expanded EM [2]_: the M-step frees the mean of u and
    absorbs it into :math:`\Sigma_c`. After each step the ELBO equals a sum of entropies, Eqn. 3 of [1]_,

    .. math::

        & \frac1N \sum_n \mathcal H[q_n(c)] - \mathcal H[\pi]
        - \frac1N \sum_n \sum_c q_n(c) \Big( \tfrac12 \log\det(2\pi e \Sigma_c) \\
        & \quad - \tfrac{D}{2} E[\log u] + \mathcal H[\operatorname{Gamma}(\nu_c / 2, \nu_c / 2)]
        - \mathcal H[q_n(u | c)] \Big),

    in which the sum over components is the term ``observable``. If degrees of freedom are given, scale matrices are tied, or
    there is a prior, :math:`-E[\log p(u)]` replaces the entropy of the gamma distribution.

    Parameters
    ----------
    n_components : int, default=2
        Number of components K.
    scale_type : {"full", "tied"}, default="full"
        Whether each component has its own scale matrix, or all share one.
    degrees_of_freedom : float, default=None
        :math:`\nu` of all components, at most a million (Gaussian to six digits). None fits a value between 0.1 and 10,000
        for each component.
    tol : float, default=1e-9
        EM has converged when the estimated gain of all steps still to come is less than this, in nats per sample.
    max_iter : int, default=1000
        Largest number of steps, including those of Newton's method.
    n_init : int, default=1
        Number of runs from different starts; the best is kept.
    init_params : {"k-means++", "random_from_data", "random"}, default="k-means++"
        As in ``GaussianMixture``.
    n_starts : int or "auto", default="auto"
        Number of starts that compete in each run, as in ``GaussianMixture``.
    weights_init : array-like of shape (n_components,), default=None
        Initial mixing weights.
    means_init : array-like of shape (n_components, n_features), default=None
        Initial means. They replace ``init_params`` and ``n_init``.
    scales_init : array-like, default=None
        Initial scale matrices, of the shape of ``scales_``. If only ``means_init`` is given, they are the covariance of all
        rows.
    prior_counts : float, default=0.0
        Number of pseudo-observations of scale one that a conjugate prior adds to every component, with the mean and
        covariance of all rows.
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
    means_ : ndarray of shape (n_components, n_features)
        Locations :math:`\mu_c`, which are means for :math:`\nu_c > 1`.
    scales_ : ndarray of shape (n_components, n_features, n_features), or (n_features, n_features) if "tied"
        Scale matrices :math:`\Sigma_c`. Covariances are :math:`\Sigma_c\, \nu_c / (\nu_c - 2)` for :math:`\nu_c > 2`.
    degrees_of_freedom_ : ndarray of shape (n_components,)
        :math:`\nu_c`; 10,000 if the tails are those of a Gaussian.
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
    GaussianMixture : With ``noise_volume`` for outliers that lie anywhere.

    References
    ----------
    .. [1] Warnken, Velychko, Damm, Fischer, Lücke (2024), "Generative Models with ELBOs Converging to Entropy Sums".
    .. [2] Peel, McLachlan (2000), "Robust Mixture Modelling Using the t Distribution"; Liu, Rubin, Wu (1998), "Parameter
       Expansion to Accelerate EM: The PX-EM Algorithm".

    Examples
    --------
    Two clusters, and a few rows far from both:

    >>> import numpy as np
    >>> from skentropy import StudentTMixture
    >>> rng = np.random.default_rng(0)
    >>> clusters, outliers = rng.normal(size=(200, 2)), 30 * rng.normal(size=(10, 2))
    >>> clusters[100:] += 8
    >>> X = np.concatenate([clusters, outliers])
    >>> mixture = StudentTMixture(2, random_state=0).fit(X)
    >>> np.sort(mixture.means_[:, 0]).round()
    array([-0.,  8.])
    >>> print(f"{mixture.score(X):.4f} {mixture.entropy_sum_score():.4f}")
    -4.1022 -4.1022
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMixture._parameter_constraints,
        "scale_type": [StrOptions({"full", "tied"})],
        "degrees_of_freedom": [Interval(Real, 0.0, MOST_GIVEN_DEGREES, closed="right"), None],
        "means_init": ["array-like", None],
        "scales_init": ["array-like", None],
    }

    means_: FloatArray
    scales_: FloatArray
    degrees_of_freedom_: FloatArray

    def __init__(
        self,
        n_components: int = 2,
        *,
        scale_type: str = "full",
        degrees_of_freedom: float | None = None,
        tol: float = 1e-9,
        max_iter: int = 1000,
        n_init: int = 1,
        init_params: str = "k-means++",
        n_starts: int | str = "auto",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        scales_init: ArrayLike | None = None,
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
        self.scale_type = scale_type
        self.degrees_of_freedom = degrees_of_freedom
        self.means_init = means_init
        self.scales_init = scales_init

    def _get_components(self) -> Components:
        return StudentT(tied=self.scale_type == "tied", degrees_of_freedom=self.degrees_of_freedom)

    def _get_parameters_init(self) -> dict[str, ArrayLike | None]:
        return {"means": self.means_init, "scales": self.scales_init}

    def _complete_init(self, init: dict[str, ArrayLike | None], components: Components) -> dict[str, ArrayLike | None]:
        _, scales, degrees = components.standard(components.pooled_parameters(self.n_components))
        return {"degrees_of_freedom": degrees, **init, "scales": scales if init["scales"] is None else init["scales"]}

    @classmethod
    def from_parameters(
        cls,
        weights: ArrayLike,
        means: ArrayLike,
        scales: ArrayLike,
        degrees_of_freedom: float | ArrayLike,
        scale_type: str = "full",
    ) -> Self:
        """Make a mixture that scores, predicts and samples without ``fit``.

        Parameters
        ----------
        weights : array-like of shape (n_components,)
            Mixing weights; they sum to one.
        means : array-like of shape (n_components, n_features)
        scales : array-like
            Of the shape of ``scales_``.
        degrees_of_freedom : float or array-like of shape (n_components,)
            A single number applies to all components. As in the constructor, it is given and does not count as a parameter.
        scale_type : {"full", "tied"}, default="full"
            As in the constructor.

        Returns
        -------
        StudentTMixture

        Examples
        --------
        >>> import numpy as np
        >>> from skentropy import StudentTMixture
        >>> scales = [[[1.0]], [[1.0]]]
        >>> mixture = StudentTMixture.from_parameters([0.5, 0.5], [[0.0], [9.0]], scales, [3.0, 3.0])
        >>> mixture.predict([[1.0], [30.0]])
        array([0, 1])
        """
        if scale_type not in ("full", "tied"):
            raise ValueError(f"scale_type must be 'full' or 'tied', got {scale_type!r}.")
        n_components = len(np.atleast_1d(weights))
        mixture = cls(n_components, scale_type=scale_type)
        if np.ndim(degrees_of_freedom) == 0:
            if isinstance(degrees_of_freedom, bool) or not isinstance(degrees_of_freedom, Real):
                raise ValueError(f"degrees_of_freedom must be a number or an array of them, got {degrees_of_freedom!r}.")
            mixture.degrees_of_freedom = float(degrees_of_freedom)
            degrees_of_freedom = np.full(n_components, degrees_of_freedom)
        parameters = {"means": means, "scales": scales, "degrees_of_freedom": degrees_of_freedom}
        return cls._from_parameters(mixture, weights, parameters)
