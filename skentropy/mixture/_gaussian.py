"""Gaussian mixtures: scikit-learn's, with entropy sums."""

from __future__ import annotations

from typing import Any

from sklearn import mixture
from sklearn.utils.validation import check_is_fitted

from .._typing import ArrayLike
from ..entropy import EntropySum, entropy_sum, n_parameters


class GaussianMixture(mixture.GaussianMixture):
    r"""scikit-learn's Gaussian mixture with the entropy sum of its fit.

    .. math::

        p(x) = \sum_c \pi_c\, N(x; \mu_c, \Sigma_c)

    Fitted and used as ``sklearn.mixture.GaussianMixture``, whose parameters and attributes it has, and nothing else; the
    methods added are those that all estimators of this package have. Eqn. 39 of [1]_; the ridge ``reg_covar`` has its own
    term, ``penalty``.

    See Also
    --------
    ExponentialFamilyMixture : With family "gaussian": missing values, weights, and a prior in the place of the ridge.

    References
    ----------
    .. [1] Warnken, Velychko, Damm, Fischer, Lücke (2024), "Generative Models with ELBOs Converging to Entropy Sums".

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skentropy import GaussianMixture
    >>> X = load_iris().data
    >>> mixture = GaussianMixture(3, tol=1e-9, max_iter=1000, random_state=0).fit(X)
    >>> print(round(mixture.entropy_sum_score(X), 5), round(mixture.score(X), 5))
    -1.20124 -1.20124
    """

    @property
    def n_parameters_(self) -> int:
        """Number of free parameters."""
        return n_parameters.dispatch(mixture.GaussianMixture)(self)

    def entropy_sum(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> EntropySum:
        """Entropy sum, term by term, nats per sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The training data; on others it is not the ELBO.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        EntropySum
        """
        check_is_fitted(self)
        function: Any = entropy_sum._function(mixture.GaussianMixture())
        terms: EntropySum = function(self, X, sample_weight)
        return terms

    def entropy_sum_score(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> float:
        """Value of the entropy sum, nats per sample.

        Parameters
        ----------
        X, sample_weight
            As in ``entropy_sum``.
        y : Ignored

        Returns
        -------
        float
        """
        return self.entropy_sum(X, sample_weight).value

    def stationarity_gap(self, X: ArrayLike) -> float:
        """Entropy sum less log-likelihood, signed, nats per sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        float
        """
        return self.entropy_sum(X).value - float(self.score(X))
