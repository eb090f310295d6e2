"""Gaussian mixtures: scikit-learn's, with entropy sums."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from sklearn import mixture

from .._data import RowBlocks, is_dask
from .._typing import Array, ArrayLike
from ..entropy import EntropySum, entropy_sum


class GaussianMixture(mixture.GaussianMixture):
    r"""scikit-learn's Gaussian mixture with the entropy sum of its fit.

    .. math::

        p(x) = \sum_c \pi_c\, N(x; \mu_c, \Sigma_c)

    Fitted and used as ``sklearn.mixture.GaussianMixture``, whose parameters and attributes it has. Added are
    ``n_parameters_`` and the methods below, which keep nothing of the fit and so need X. Eqn. 39 of [1]_; the ridge
    ``reg_covar`` has its own term, ``penalty``.

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

    def fit_predict(self, X: ArrayLike, y: Any = None) -> Array:
        """Fit, and return the component of each row; ``fit`` is the same.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored

        Returns
        -------
        ndarray of shape (n_samples,)

        Raises
        ------
        TypeError
            If X is a Dask collection, which would be gathered, or ``RowBlocks``.
        """
        if is_dask(X) or isinstance(X, RowBlocks):
            raise TypeError(
                f"GaussianMixture takes arrays in memory, but got a {type(X).__module__.split('.')[0]} {type(X).__name__}; "
                'ExponentialFamilyMixture("gaussian"), of diagonal covariances, takes it where it is.'
            )
        return np.asarray(super().fit_predict(X))

    @property
    def n_parameters_(self) -> int:
        """Number of free parameters."""
        return int(self._n_parameters())

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
        terms: EntropySum = entropy_sum.dispatch(mixture.GaussianMixture)(self, X, sample_weight)
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

    def stationarity_gap(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Entropy sum less log-likelihood, signed, nats per sample.

        Parameters
        ----------
        X, sample_weight
            As in ``entropy_sum``.

        Returns
        -------
        float
        """
        log_likelihood = float(np.average(self.score_samples(X), weights=sample_weight))
        return self.entropy_sum(X, sample_weight).value - log_likelihood

    def icl(self, X: ArrayLike, classification: Literal["map", "posterior"] = "map") -> float:
        r"""Integrated completed likelihood of X, in nats; the lower the better.

        .. math::  \mathrm{BIC} - 2 \sum_n \log q_n(\hat c_n)

        with the most probable component :math:`\hat c_n` of each row, as Biernacki et al. (2000) have it; or in the place
        of the sum with the posteriors' entropy, a term of the entropy sum.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        classification : {"map", "posterior"}, default="map"

        Returns
        -------
        float
        """
        if classification not in ("map", "posterior"):
            raise ValueError(f"classification must be 'map' or 'posterior', got {classification!r}.")
        q = self.predict_proba(X)
        uncertainty = -np.log(q.max(axis=1)).mean() if classification == "map" else self.entropy_sum(X).posterior
        return float(self.bic(X)) + 2.0 * len(q) * float(uncertainty)
