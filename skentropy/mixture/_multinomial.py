"""Multinomial mixtures."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np

from .._typing import ArrayLike, FloatArray
from ._base import BaseMixture
from ._shares import Multinomial, Shares


class MultinomialMixture(BaseMixture):
    r"""Mixture of multinomial distributions, for rows of counts with uninformative totals: documents, allele counts.

    .. math::  p(x \mid s) = \sum_{c=1}^{K} \pi_c \frac{s!}{\prod_d x_d!} \prod_{d=1}^{D} p_{cd}^{x_d}, \qquad s = \sum_d x_d

    The model is ``PoissonMixture`` with the totals as exposures, except that the log-likelihood of the latter also contains
    :math:`\log \mathrm{Pois}(s; s)`. The entropy sum is Eqn. 52 of [1]_, with the term :math:`s H(p_c)` for a row with
    total s. Rows with total zero are allowed; their posterior probabilities are the mixing weights. Counts need not be
    whole: fractions are accepted without a warning.

    Parameters
    ----------
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
    probabilities_init : array-like of shape (n_components, n_features), default=None
        Initial probabilities. They replace ``init_params`` and ``n_init``.
    prior_counts : float, default=0.0
        Number of pseudo-observations that a conjugate prior adds to every component, at the pooled mean of the data. They
        keep probabilities from becoming zero. The prior's term in the entropy sum is ``penalty``.
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
    probabilities_ : ndarray of shape (n_components, n_features)
        Probabilities; those of a component sum to one. A warning reports probabilities of exactly 0.
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
    PoissonMixture : The same for rows whose totals are informative.

    Notes
    -----
    Rows must be complete: with missing entries their totals are unknown.

    References
    ----------
    .. [1] Warnken, Velychko, Damm, Fischer, Lücke (2024), "Generative Models with ELBOs Converging to Entropy Sums".

    Examples
    --------
    >>> import numpy as np
    >>> from skentropy import MultinomialMixture
    >>> words = np.array([[9, 1, 0], [18, 1, 2], [4, 0, 1], [1, 8, 9], [0, 3, 2], [2, 12, 9]])
    >>> mixture = MultinomialMixture(2, prior_counts=0.5, random_state=0).fit(words)
    >>> labels = mixture.predict(words)
    >>> bool(labels[0] == labels[1] == labels[2] != labels[3])
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMixture._parameter_constraints,
        "probabilities_init": ["array-like", None],
    }

    probabilities_: FloatArray

    def __init__(
        self,
        n_components: int = 2,
        *,
        tol: float = 1e-9,
        max_iter: int = 1000,
        n_init: int = 1,
        init_params: str = "k-means++",
        n_starts: int | str = "auto",
        weights_init: ArrayLike | None = None,
        probabilities_init: ArrayLike | None = None,
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
        self.probabilities_init = probabilities_init

    def _get_components(self) -> Multinomial:
        return Multinomial(Shares())

    def _get_parameters_init(self) -> dict[str, ArrayLike | None]:
        return {"probabilities": self.probabilities_init}

    @classmethod
    def from_parameters(cls, weights: ArrayLike, probabilities: ArrayLike) -> Self:
        """Make a mixture that scores, predicts and samples without ``fit``.

        Parameters
        ----------
        weights : array-like of shape (n_components,)
            Mixing weights; they sum to one.
        probabilities : array-like of shape (n_components, n_features)

        Returns
        -------
        MultinomialMixture

        Examples
        --------
        >>> from skentropy import MultinomialMixture
        >>> mixture = MultinomialMixture.from_parameters([0.5, 0.5], [[0.9, 0.1], [0.2, 0.8]])
        >>> mixture.predict([[5, 1], [10, 30]])
        array([0, 1])
        """
        return cls._from_parameters(cls(len(np.atleast_1d(weights))), weights, {"probabilities": probabilities})
