"""Gaussian mixtures."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from .._em import Run
from .._typing import ArrayLike, FloatArray
from ._base import BaseMixture
from ._components import Components
from ._covariance_types import COVARIANCE_TYPES, clusters, derived_attributes, initial_covariances
from ._factors import FactorGaussian
from ._model import MixtureModel
from ._noise import WithNoise
from ._prior import NormalInverseWishart


class GaussianMixture(BaseMixture):
    r"""Mixture of Gaussians whose covariances are full, tied, diagonal, spherical or factor-analytic.

    .. math::

        p(x) = \sum_{c=1}^{K} \pi_c\, N(x; \mu_c, \Sigma_c)

    Missing entries (NaN) are latent variables: the fit maximises the likelihood of the observed entries, and ``impute``
    returns the expectations of the others. Once EM has converged, the log-likelihood equals a sum of entropies, Eqn. 39 of
    [1]_,

    .. math::

        \frac1N \sum_n \mathcal H[q_n] - \mathcal H[\pi] - \sum_c \bar q_c\, \tfrac12 \log\det(2\pi e \Sigma_c)
        + \frac1N \sum_n \sum_c q_n(c)\, \tfrac12 \log\det(2\pi e \Sigma_{c, m_n|o_n}),

    whose last term, the entropy of the missing entries given the observed ones, vanishes for complete rows.

    Parameters
    ----------
    n_components : int, default=2
        Number of components K.
    covariance_type : {"full", "tied", "diag", "spherical", "tied_diag", "tied_spherical", "ppca", "fa"}, default="full"
        "full": each component has its own covariance; "tied": all components share one; "diag": features are uncorrelated
        given the component; "spherical": they also have the same variance; "tied_diag" and "tied_spherical": all components
        share such a covariance. "ppca" and "fa": :math:`\Sigma_c = \Lambda_c \Lambda_c^\top + \Psi_c` with a few factors for
        each component. The noise has one variance with "ppca", a mixture of probabilistic PCAs [2]_, and one variance for
        each feature with "fa", a mixture of factor analysers [3]_.
    n_factors : int, default=1
        Number of factors of each component, less than the number of features; only for "ppca" and "fa".
    tol : float, default=1e-9
        EM has converged when the estimated gain of all steps still to come is less than this, in nats per sample.
    max_iter : int, default=1000
        Largest number of steps, including those of Newton's method.
    n_init : int, default=1
        Number of runs from different starts; the best is kept.
    init_params : {"k-means++", "random_from_data", "random"}, default="k-means++"
        The starts of EM: clusters around rows that k-means++ chooses, with each column in units of its standard deviation,
        clusters around random rows, or random responsibilities. Starts depend only on the contents of the rows and on
        ``random_state``, not on the order of the rows or on whether a row occurs twice or has twice the weight.
    n_starts : int or "auto", default="auto"
        Number of starts that compete in each run. All take a few EM steps on a sample of the rows; those that fall behind
        are dropped, until one is left. Mixtures in which one or two of its components have moved, half as many at a time,
        then challenge it, until they have lost four times in a row. "auto" takes 16 to 32 starts, fewer if many components
        or features make them costly. With 1 there is no competition, and no component is moved.
    weights_init : array-like of shape (n_components,), default=None
        Initial mixing weights.
    means_init : array-like of shape (n_components, n_features), default=None
        Initial means. They replace ``init_params`` and ``n_init``.
    covariances_init : array-like, default=None
        Initial covariances, of the shape of ``covariances_``. If only ``means_init`` is given, they are those of all rows.
        For "ppca" and "fa" EM starts from the maximum-likelihood factors for these covariances.
    precisions_init : array-like, default=None
        Initial inverse covariances, of the same shape, instead of ``covariances_init``.
    prior_counts : float, default=0.0
        Number of pseudo-observations that a conjugate prior (normal inverse Wishart) adds to every component, with the mean
        and covariance of all rows. They keep covariances from becoming singular. The term in the entropy sum is ``penalty``.
    prior : NormalInverseWishart, default=None
        A prior that replaces ``prior_counts``, with mclust's defaults; not for diagonal covariances.
    reg_covar : float, default=0.0
        Added to the variances in each M-step, as in scikit-learn; its term in the entropy sum is ``penalty``. With it EM
        maximises no objective, and is not accelerated; prefer ``prior_counts``.
    noise_volume : {"box"} or float, default=None
        Adds a noise component for outliers, with the constant density 1 / V everywhere [4]_. V is the given number, or with
        "box" the volume of the box that contains all rows. The weight is fitted. Noise rows are labelled -1, and the weight
        and the responsibilities of the noise come last.
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
        Mixing weights; with noise their shape is (n_components + 1,), and the weight of the noise is last.
    means_ : ndarray of shape (n_components, n_features)
    covariances_ : ndarray
        (n_components, n_features, n_features) if "full", "ppca" or "fa", (n_features, n_features) if "tied",
        (n_components, n_features) if "diag", (n_components,) if "spherical", (n_features,) if "tied_diag", and a number if
        "tied_spherical".
    precisions_ : ndarray
        Inverse covariances, of the same shape.
    precisions_cholesky_ : ndarray
        Upper triangular factors U of the inverse covariances U U', or square roots of these if features are uncorrelated.
    loadings_ : ndarray of shape (n_components, n_features, n_factors)
        Loadings :math:`\Lambda_c`, rotated so that :math:`\Lambda_c^\top \Psi_c^{-1} \Lambda_c` is diagonal and descending;
        only for "ppca" and "fa", like ``noise_variances_``.
    noise_variances_ : ndarray of shape (n_components,) if "ppca", (n_components, n_features) if "fa"
    noise_box_ : ndarray of shape (2, n_features)
        Edges of a box of volume V, from which ``sample`` draws noise; only with ``noise_volume``.
    lower_bound_ : float
        Mean log-likelihood of the training data under the returned parameters, nats per sample.
    lower_bounds_ : list of float
        The ELBO after each EM step, which never falls without a prior and ``reg_covar``.
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
    ExponentialFamilyMixture : With family "gaussian" for uncorrelated features and sparse data.

    References
    ----------
    .. [1] Warnken, Velychko, Damm, Fischer, Lücke (2024), "Generative Models with ELBOs Converging to Entropy Sums".
    .. [2] Tipping, Bishop (1999), "Mixtures of Probabilistic Principal Component Analyzers".
    .. [3] Ghahramani, Hinton (1996), "The EM Algorithm for Mixtures of Factor Analyzers".
    .. [4] Banfield, Raftery (1993), "Model-Based Gaussian and Non-Gaussian Clustering".

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_iris
    >>> from skentropy import GaussianMixture
    >>> X = load_iris().data
    >>> mixture = GaussianMixture(3, random_state=0).fit(X)
    >>> print(round(mixture.entropy_sum_score(), 5), round(mixture.score(X), 5))
    -1.20124 -1.20124

    A tenth of the entries missing:

    >>> gaps = np.where(np.random.RandomState(0).uniform(size=X.shape) < 0.1, np.nan, X)
    >>> mixture = GaussianMixture(3, random_state=0).fit(gaps)
    >>> print(f"{np.abs(mixture.impute(gaps) - X)[np.isnan(gaps)].mean():.2f}")
    0.16
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMixture._parameter_constraints,
        "covariance_type": [StrOptions(set(COVARIANCE_TYPES))],
        "n_factors": [Interval(Integral, 1, None, closed="left")],
        "means_init": ["array-like", None],
        "covariances_init": ["array-like", Real, None],
        "precisions_init": ["array-like", Real, None],
        "prior": [NormalInverseWishart, None],
        "noise_volume": [StrOptions({"box"}), Interval(Real, 0.0, None, closed="neither"), None],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
    }

    means_: FloatArray
    covariances_: FloatArray
    noise_box_: FloatArray

    def __init__(
        self,
        n_components: int = 2,
        *,
        covariance_type: str = "full",
        n_factors: int = 1,
        tol: float = 1e-9,
        max_iter: int = 1000,
        n_init: int = 1,
        init_params: str = "k-means++",
        n_starts: int | str = "auto",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        covariances_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        prior_counts: float = 0.0,
        prior: NormalInverseWishart | None = None,
        reg_covar: float = 0.0,
        noise_volume: float | str | None = None,
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
        self.covariance_type = covariance_type
        self.n_factors = n_factors
        self.means_init = means_init
        self.covariances_init = covariances_init
        self.precisions_init = precisions_init
        self.prior = prior
        self.reg_covar = reg_covar
        self.noise_volume = noise_volume

    def _get_components(self) -> Components:
        own = self._get_clusters()
        return own if self.noise_volume is None else WithNoise(own, volume=self.noise_volume)

    def _fitted_components(self) -> Components:
        components = self._components
        return replace(components, box=self.noise_box_) if isinstance(components, WithNoise) else components

    def _get_clusters(self) -> Components:
        return clusters(self.covariance_type, prior=self.prior, reg_covar=self.reg_covar, n_factors=self.n_factors)

    def _get_parameters_init(self) -> dict[str, ArrayLike | None]:
        covariances = initial_covariances(self.covariances_init, self.precisions_init, self.covariance_type)
        return {"means": self.means_init, "covariances": covariances}

    def _complete_init(self, init: dict[str, ArrayLike | None], components: Components) -> dict[str, ArrayLike | None]:
        names = components.attribute_names[1:]
        components = components.clusters
        if init["covariances"] is None:
            own = components.standard(components.pooled_parameters(self.n_components))[1:]
        elif isinstance(components, FactorGaussian):
            own = components.of_covariances(np.asarray(init["covariances"], dtype=np.float64), "covariances_init")
        else:
            own = (init["covariances"],)
        return {"means": init["means"], **dict(zip(names, own, strict=True))}

    def _fitted_attributes(self, model: MixtureModel, dtype: np.dtype[Any], run: Run) -> dict[str, Any]:
        attributes = super()._fitted_attributes(model, dtype, run)
        if isinstance(model.components, WithNoise):
            attributes["noise_box_"] = model.components.box.astype(dtype)
        return {**attributes, **derived_attributes(attributes, self.covariance_type, dtype)}

    @classmethod
    def from_parameters(
        cls,
        weights: ArrayLike,
        means: ArrayLike,
        covariances: ArrayLike | None = None,
        covariance_type: str = "full",
        *,
        loadings: ArrayLike | None = None,
        noise_variances: ArrayLike | None = None,
        noise_box: ArrayLike | None = None,
    ) -> Self:
        """Make a mixture that scores, predicts and samples without ``fit``.

        Parameters
        ----------
        weights : array-like of shape (n_components,)
            Mixing weights; they sum to one.
        means : array-like of shape (n_components, n_features)
        covariances : array-like
            Of the shape of ``covariances_``; not for "ppca" and "fa".
        covariance_type : str, default="full"
            As in the constructor.
        loadings, noise_variances : array-like
            Of the shapes of ``loadings_`` and ``noise_variances_``; only for "ppca" and "fa".
        noise_box : array-like of shape (2, n_features)
            Edges of the box of a noise component, whose weight is the last of ``weights``.

        Returns
        -------
        GaussianMixture

        Examples
        --------
        >>> from skentropy import GaussianMixture
        >>> mixture = GaussianMixture.from_parameters([0.5, 0.5], [[0, 0], [0, 0]], [1, 9], "spherical")
        >>> mixture.predict([[0.5, 0.5], [4.0, 4.0]])
        array([0, 1])
        """
        if covariance_type not in COVARIANCE_TYPES:
            raise ValueError(f"covariance_type must be one of {', '.join(COVARIANCE_TYPES)}, got {covariance_type!r}.")
        given = {"covariances": covariances, "loadings": loadings, "noise_variances": noise_variances}
        parameters = {"means": means, **{name: value for name, value in given.items() if value is not None}}
        shape = () if loadings is None else np.shape(loadings)
        n_factors = shape[2] if len(shape) == 3 else 1
        n_components = len(np.atleast_1d(weights)) - (noise_box is not None)
        mixture = cls(n_components, covariance_type=covariance_type, n_factors=n_factors)
        if noise_box is not None:
            mixture.noise_box_ = _check_box(noise_box, np.shape(means)[-1])
            mixture.noise_volume = float(np.prod(mixture.noise_box_[1] - mixture.noise_box_[0]))
        cls._from_parameters(mixture, weights, parameters)
        for name, value in derived_attributes(vars(mixture), covariance_type, mixture.weights_.dtype).items():
            setattr(mixture, name, value)
        return mixture


def _check_box(box: ArrayLike, n_features: int) -> FloatArray:
    """Check the edges of a box, and return them as an array."""
    edges = np.array(box, dtype=np.float64)
    if edges.shape != (2, n_features) or not (np.isfinite(edges).all() and (edges[1] > edges[0]).all()):
        raise ValueError(f"noise_box must hold finite lower and higher edges, of the shape (2, {n_features}); got {box!r}.")
    return edges
