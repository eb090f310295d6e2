"""Mixtures of any exponential family."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils._param_validation import StrOptions

from .._em import Run, as_fitted
from .._typing import ArrayLike
from ..families import FAMILIES, ExponentialFamily
from ._base import BaseMixture
from ._families import independent
from ._independent import Independent
from ._model import MixtureModel


class ExponentialFamilyMixture(BaseMixture):
    r"""Mixture of products of one exponential family.

    .. math::

        p(x) = \sum_{c=1}^{K} \pi_c \prod_{d=1}^{D} h(x_d) \exp(\eta_{cd} \cdot T(x_d) - A(\eta_{cd})),

    Eqns. 37 and 38 of [1]_: given the component, features are independent and of the same family. Once EM has converged
    the log-likelihood, which for exact posteriors is the ELBO, equals a sum of entropies in closed form, Eqns. 39 and 52.

    Parameters
    ----------
    family : str or ExponentialFamily, default="poisson"
        A name in ``skentropy.families.FAMILIES`` ("bernoulli", "gamma", "gaussian", ...), or an instance such as
        ``NegativeBinomial(r=2.0)`` or one of your own.
    n_components : int, default=2
        Number of components K.
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
    parameters_init : dict of array-like, default=None
        Initial standard parameters, each of shape (n_components, n_features), under the names of the fitted attributes
        without the underscore, such as ``{"rates": ...}``. They replace ``init_params`` and ``n_init``.
    prior_counts : float, default=0.0
        Number of pseudo-observations that a conjugate prior adds to every component, at the pooled mean statistics. They
        keep rates and probabilities from becoming zero, and variances from collapsing. The prior's term in the entropy sum
        is ``penalty``.
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
    family_ : ExponentialFamily
        The family, with the arguments that the data determine, such as the numbers of categories.
    <parameters>_ : ndarray of shape (n_components, n_features)
        The family's standard parameters in the plural: ``rates_`` (Poisson), ``shapes_`` and ``rates_`` (gamma),
        ``means_`` and ``variances_`` (Gaussian), ``probabilities_`` (Bernoulli; one more axis for categories), ...
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
    PoissonMixture : The same for counts.
    GammaMixture : The same for positive values, zeros included.

    References
    ----------
    .. [1] Warnken, Velychko, Damm, Fischer, Lücke (2024), "Generative Models with ELBOs Converging to Entropy Sums".

    Examples
    --------
    >>> import numpy as np
    >>> from skentropy import ExponentialFamilyMixture
    >>> answers = np.array(
    ...     [[1, 1, 1, 0], [1, 1, 0, 1], [1, 1, 1, 1], [0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0]]
    ... )
    >>> mixture = ExponentialFamilyMixture("bernoulli", prior_counts=1.0, random_state=0).fit(answers)
    >>> mixture.probabilities_.shape
    (2, 4)
    >>> labels = mixture.predict(answers)
    >>> bool(labels[0] == labels[1] != labels[4])
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMixture._parameter_constraints,
        "family": [StrOptions(set(FAMILIES)), ExponentialFamily],
        "parameters_init": [dict, None],
    }

    def __init__(
        self,
        family: str | ExponentialFamily = "poisson",
        n_components: int = 2,
        *,
        tol: float = 1e-9,
        max_iter: int = 1000,
        n_init: int = 1,
        init_params: str = "k-means++",
        n_starts: int | str = "auto",
        weights_init: ArrayLike | None = None,
        parameters_init: Mapping[str, ArrayLike] | None = None,
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
        self.family = family
        self.parameters_init = parameters_init

    def _hints(self) -> Iterator[str]:
        yield from super()._hints()
        given: Any = self.family
        if isinstance(given, Integral):
            yield f" The first argument is the family; for {given} components write n_components={given}."

    def _get_components(self) -> Independent:
        return independent(self.family)

    def _fitted_components(self) -> Independent:
        return independent(getattr(self, "family_", None) or as_fitted(self).family)

    def _fitted_attributes(self, model: MixtureModel, dtype: np.dtype[Any], run: Run) -> dict[str, Any]:
        assert isinstance(model.components, Independent)
        return {**super()._fitted_attributes(model, dtype, run), "family_": model.components.family.absolute}

    def _get_parameters_init(self) -> dict[str, ArrayLike | None]:
        names = self._get_components().attribute_names
        given = dict(self.parameters_init or {})
        unknown = sorted(set(given) - set(names))
        if unknown:
            raise ValueError(f"parameters_init has unknown keys {unknown}; the family's are {list(names)}.")
        return {name: given.get(name) for name in names}

    @classmethod
    def from_parameters(cls, family: str | ExponentialFamily, weights: ArrayLike, **parameters: ArrayLike) -> Self:
        """Make a mixture that scores, predicts and samples without ``fit``.

        Parameters
        ----------
        family : str or ExponentialFamily
        weights : array-like of shape (n_components,)
            Mixing weights; they sum to one.
        **parameters : array-like of shape (n_components, n_features)
            The family's standard parameters under the names of the fitted attributes without the underscore.

        Returns
        -------
        ExponentialFamilyMixture

        Examples
        --------
        >>> from skentropy import ExponentialFamilyMixture
        >>> rates = [[1.0], [10.0]]
        >>> mixture = ExponentialFamilyMixture.from_parameters("exponential", [0.5, 0.5], rates=rates)
        >>> mixture.predict([[0.1], [2.0]])
        array([1, 0])
        """
        return cls._from_parameters(cls(family, len(np.atleast_1d(weights))), weights, parameters)
