"""Entropy sums of scikit-learn's fitted models."""

from __future__ import annotations

import numpy as np
from scipy.special import entr
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.mixture import GaussianMixture
from sklearn.utils.validation import check_is_fitted

from ._linalg import LOG_2PI
from ._typing import ArrayLike, FloatArray
from .decomposition._closed_form import count_parameters, noise_floor
from .decomposition._factor_analysis import n_factor_parameters
from .decomposition._gaussian import LinearGaussian
from .entropy import EntropySum, entropy_sum, has_discrete_latents, n_parameters


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
