"""Entropy sums and numbers of parameters of fitted models: of this package, of scikit-learn, and of registered classes."""

from __future__ import annotations

from functools import singledispatch
from typing import Any

import numpy as np
from scipy.special import entr
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.mixture import GaussianMixture
from sklearn.utils.validation import check_is_fitted

from ._entropy_sum import EntropySum
from ._linalg import LOG_2PI
from ._typing import ArrayLike, FloatArray
from .decomposition._closed_form import count_parameters, noise_floor
from .decomposition._factor_analysis import n_factor_parameters
from .decomposition._gaussian import LinearGaussian

__all__ = ["EntropySum", "entropy_sum", "has_discrete_latents", "n_parameters"]

EntropySum.__module__ = __name__  # where users find it, also by the names in stored models


@singledispatch
def entropy_sum(model: Any, X: ArrayLike = None, sample_weight: ArrayLike | None = None) -> EntropySum:
    """Entropy sum of a fitted model of this package, of scikit-learn, or of a class registered by ``entropy_sum.register``.

    Parameters
    ----------
    model : fitted estimator
        Any estimator of this package, or scikit-learn's ``GaussianMixture``, ``PCA`` or ``FactorAnalysis``.
    X : array-like of shape (n_samples, n_features), default=None
        The data; None if the model has an entropy sum without them.
    sample_weight : array-like of shape (n_samples,), default=None

    Returns
    -------
    EntropySum

    Raises
    ------
    TypeError
        If nothing is registered for models of this type.

    Notes
    -----
    The entropy sum is the ELBO only for the training data of a model that has converged. The ridge ``reg_covar`` of a
    ``GaussianMixture`` appears as ``penalty``. If a fit stopped early, the sum differs from ``model.score(X)``.

    ``register`` is that of ``functools.singledispatch``. ``rank_models`` accepts your own models once a function is
    registered here and another with ``skentropy.entropy.n_parameters``; ``score_samples``, if they have it, gives their
    log-likelihood.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.mixture import GaussianMixture
    >>> from skentropy import entropy_sum
    >>> X = load_iris().data
    >>> mixture = GaussianMixture(3, tol=1e-9, max_iter=1000, random_state=0).fit(X)
    >>> print(round(entropy_sum(mixture, X).value, 5), round(mixture.score(X), 5))
    -1.20124 -1.20124
    """
    check_has_entropy_sum(model)
    terms: EntropySum = model.entropy_sum(X, sample_weight=sample_weight)
    return terms


def has_entropy_sum(model: Any) -> bool:
    """Whether a model, fitted or not, has an entropy sum."""
    return hasattr(type(model), "entropy_sum") or entropy_sum.dispatch(type(model)) is not entropy_sum.dispatch(object)


def check_has_entropy_sum(model: Any) -> None:
    """Refuse models without an entropy sum."""
    if not has_entropy_sum(model):
        if hasattr(model, "steps"):
            raise TypeError(
                "The entropy sum of a pipeline is that of its last step for transformed data: entropy_sum(pipeline[-1], "
                "pipeline[:-1].transform(X)); entropy_sum_scorer and rank_models do so."
            )
        raise TypeError(
            f"There is no entropy sum for {type(model).__name__}. For models of your own use entropy_sum.register on a "
            "function (model, X, sample_weight=None) -> EntropySum, and skentropy.entropy.n_parameters.register."
        )


@singledispatch
def n_parameters(model: Any) -> int:
    """Number of free parameters of a fitted model; register a function for models of your own.

    Parameters
    ----------
    model : estimator

    Returns
    -------
    int
    """
    if hasattr(model, "n_parameters_"):
        return int(model.n_parameters_)
    raise TypeError(f"The number of parameters of {type(model).__name__} is not known; use n_parameters.register.")


@singledispatch
def has_discrete_latents(model: Any) -> bool:
    """Whether a model's latent variables are discrete, so that their posterior entropy is never negative.

    Parameters
    ----------
    model : estimator

    Returns
    -------
    bool
    """
    return hasattr(model, "traits") and bool(model.traits().discrete_latents)


# Models of scikit-learn.


@entropy_sum.register
def _(model: GaussianMixture, X: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> EntropySum:
    """W(39) with Gaussian components; the ridge ``reg_covar`` is a penalty, e / 2 sum_c qbar_c tr(Sigma_c^-1)."""
    check_is_fitted(model)
    if X is None:
        raise ValueError("The posterior entropies of a GaussianMixture of scikit-learn need the data: give X.")
    q = model.predict_proba(X)
    share = np.average(q, axis=0, weights=sample_weight)
    root: FloatArray = model.precisions_cholesky_
    d = model.means_.shape[1]
    if model.covariance_type in ("full", "tied"):
        root = np.broadcast_to(root, (len(share), d, d))
        log_det, trace = -2.0 * np.log(np.diagonal(root, axis1=1, axis2=2)).sum(axis=1), (root**2).sum(axis=(1, 2))
    else:
        width = 1 if model.covariance_type == "diag" else d
        per_feature = root.reshape(len(share), -1)
        log_det, trace = -2.0 * width * np.log(per_feature).sum(axis=1), width * (per_feature**2).sum(axis=1)
    return EntropySum(
        posterior=float(np.average(entr(q).sum(axis=1), weights=sample_weight)),
        prior=float(entr(model.weights_).sum()),
        observable=float(share @ (0.5 * (d * (LOG_2PI + 1.0) + log_det))),
        penalty=float(0.5 * model.reg_covar * share @ trace),
    )


@n_parameters.register
def _(model: GaussianMixture) -> int:
    return int(model._n_parameters())


@has_discrete_latents.register
def _(model: GaussianMixture) -> bool:
    return True


@entropy_sum.register
def _(model: PCA, X: ArrayLike = None, sample_weight: ArrayLike | None = None) -> EntropySum:
    """W(29), its sign corrected, of the maximum-likelihood model with these components.

    ``PCA`` divides by n - 1, and its noise variance is not the maximum-likelihood one for n < d; both are corrected here, so
    that the entropy sum is the log-likelihood that ``PPCA`` would have, not quite ``PCA.score``.
    """
    check_is_fitted(model)
    n, d = model.n_samples_, model.n_features_in_
    variance = model.explained_variance_ * (n - 1) / n
    if not len(variance):
        total = model.noise_variance_ * d * (n - 1) / n
    else:
        total = variance[0] / model.explained_variance_ratio_[0]
    h = len(variance)
    noise = (total - variance.sum()) / (d - h) if h < d else variance[-1]
    noise = max(float(noise), noise_floor(np.array(total / d)))
    lengths = np.sqrt(np.maximum(variance - noise, 0.0))
    loadings = (model.components_ * lengths[:, np.newaxis]).T
    return LinearGaussian.of(model.mean_, loadings, np.full(d, noise)).entropy_sum()


@n_parameters.register
def _(model: PCA) -> int:
    return int(count_parameters(model.n_features_in_, model.n_components_))


@entropy_sum.register
def _(model: FactorAnalysis, X: ArrayLike = None, sample_weight: ArrayLike | None = None) -> EntropySum:
    """W(32) at the fitted parameters, which differs from the ELBO if the fit stopped early."""
    check_is_fitted(model)
    return LinearGaussian.of(model.mean_, model.components_.T, model.noise_variance_).entropy_sum()


@n_parameters.register
def _(model: FactorAnalysis) -> int:
    k, d = model.components_.shape
    return n_factor_parameters(d, k)
