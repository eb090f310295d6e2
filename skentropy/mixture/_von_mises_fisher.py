"""Von Mises-Fisher mixtures."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from .._typing import ArrayLike, FloatArray
from ..families._von_mises_fisher import VonMisesFisher
from ._base import BaseMixture
from ._components import Components
from ._vector import VectorComponents


class VonMisesFisherMixture(BaseMixture):
    r"""Mixture of von Mises-Fisher distributions, for directions: rows with uninformative lengths.

    .. math::

        p(x) = \sum_{c=1}^{K} \pi_c \, C_D(\kappa_c) \exp(\kappa_c \mu_c \cdot x), \qquad
        C_D(\kappa) = \frac{\kappa^{D/2 - 1}}{(2 \pi)^{D/2} I_{D/2-1}(\kappa)}

    for rows x with :math:`\|x\| = 1`. The mixture clusters by cosines; it is for normalised word counts, embeddings, spectra
    and directions in space. Once EM has converged the log-likelihood, which for exact posteriors is the ELBO, equals a sum
    of entropies in closed form, Eqns. 39 and 52 of [1]_, with the entropies :math:`-\log C_D(\kappa) - \kappa A_D(\kappa)`
    of the components, :math:`A_D = I_{D/2} / I_{D/2-1}`.

    Parameters
    ----------
    n_components : int, default=2
        Number of components K.
    normalize : bool, default=True
        Whether rows are divided by their lengths. The mixture then models the directions and not the lengths. A row of zeros
        has no direction; its log-likelihood is zero, and its posterior is the mixing weights. False refuses all rows whose
        length is not one.
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
    means_init : array-like of shape (n_components, n_features), default=None
        Initial mean directions, of length one. They replace ``init_params`` and ``n_init``.
    concentrations_init : array-like of shape (n_components,), default=None
        Initial concentrations. If only ``means_init`` is given, they all equal the concentration of all rows.
    prior_counts : float, default=0.0
        Number of pseudo-observations that a conjugate prior adds to every component, at the mean of all directions. They
        keep components from collapsing onto one direction. The prior's term in the entropy sum is ``penalty``.
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
        Mean directions :math:`\mu_c`, of length one.
    concentrations_ : ndarray of shape (n_components,)
        :math:`\kappa_c`. If a component collapses onto one direction, its concentration ends at the bound of 1e8, and a
        warning reports it.
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
    ExponentialFamilyMixture : With the family "von_mises", for angles.
    MultinomialMixture : For counts, whose totals say how certain the direction of a row is.

    Notes
    -----
    Bessel functions are computed by Debye's uniform expansion, to twelve digits in thousands of dimensions. Rows must be
    complete: with missing entries their lengths are unknown. CSR matrices are never made dense.

    References
    ----------
    .. [1] Warnken, Velychko, Damm, Fischer, Lücke (2024), "Generative Models with ELBOs Converging to Entropy Sums".
    .. [2] Banerjee, Dhillon, Ghosh, Sra (2005), "Clustering on the Unit Hypersphere using von Mises-Fisher Distributions".

    Examples
    --------
    >>> import numpy as np
    >>> from skentropy import VonMisesFisherMixture
    >>> words = np.array([[9, 1, 0], [18, 1, 2], [4, 0, 1], [1, 8, 9], [0, 3, 2], [2, 12, 9]])
    >>> mixture = VonMisesFisherMixture(2, random_state=0).fit(words)
    >>> labels = mixture.predict(words)
    >>> bool(labels[0] == labels[1] == labels[2] != labels[3])
    True
    >>> print(f"{mixture.score(words):.6f} {mixture.entropy_sum_score():.6f}")
    1.472298 1.472298
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMixture._parameter_constraints,
        "means_init": ["array-like", None],
        "concentrations_init": ["array-like", None],
        "normalize": ["boolean"],
    }

    means_: FloatArray
    concentrations_: FloatArray

    def __init__(
        self,
        n_components: int = 2,
        *,
        normalize: bool = True,
        tol: float = 1e-9,
        max_iter: int = 1000,
        n_init: int = 1,
        init_params: str = "k-means++",
        n_starts: int | str = "auto",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
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
        self.means_init = means_init
        self.concentrations_init = concentrations_init

    def _get_components(self) -> VectorComponents:
        return VectorComponents(VonMisesFisher(), self.normalize)

    def _get_parameters_init(self) -> dict[str, ArrayLike | None]:
        return {"means": self.means_init, "concentrations": self.concentrations_init}

    def _complete_init(self, init: dict[str, ArrayLike | None], components: Components) -> dict[str, ArrayLike | None]:
        _, concentrations = components.standard(components.pooled_parameters(self.n_components))
        given = init["concentrations"]
        return {**init, "concentrations": concentrations if given is None else given}

    @classmethod
    def from_parameters(
        cls, weights: ArrayLike, means: ArrayLike, concentrations: ArrayLike, normalize: bool = True
    ) -> Self:
        """Make a mixture that scores, predicts and samples without ``fit``.

        Parameters
        ----------
        weights : array-like of shape (n_components,)
            Mixing weights; they sum to one.
        means : array-like of shape (n_components, n_features)
            Mean directions, of length one, with at least two columns.
        concentrations : array-like of shape (n_components,)
            At most 1e8.
        normalize : bool, default=True
            As in the constructor.

        Returns
        -------
        VonMisesFisherMixture

        Examples
        --------
        >>> from skentropy import VonMisesFisherMixture
        >>> means = [[1.0, 0.0], [0.6, 0.8]]
        >>> mixture = VonMisesFisherMixture.from_parameters([0.5, 0.5], means, [9.0, 9.0])
        >>> mixture.predict([[5.0, 1.0], [2.0, 3.0]])
        array([0, 1])
        """
        mixture = cls(len(np.atleast_1d(weights)), normalize=normalize)
        return cls._from_parameters(mixture, weights, {"means": means, "concentrations": concentrations})
