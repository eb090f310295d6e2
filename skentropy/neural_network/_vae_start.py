"""Start an autoencoder at the maximum of the linear model, with nets that do not contribute yet."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._em import as_part
from .._typing import ArrayLike, FloatArray
from ..decomposition import PPCA, FactorAnalysis
from ..decomposition._gaussian import LinearGaussian
from ._vae_observables import NOISE_FLOOR, Canonical
from ._vae_training import Nets
from ._vae_units import Units


def fit_linear(X: ArrayLike, weight: ArrayLike | None, n_components: int, *, tied: bool) -> LinearGaussian:
    """Maximum-likelihood PPCA, or factor analysis, with latents that are independent given complete rows."""
    model = PPCA(n_components) if tied else FactorAnalysis(n_components, random_state=0)
    with as_part(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("ignore", "X has no observed value", UserWarning)
        model.fit(X, sample_weight=weight)
    loadings = np.ascontiguousarray(model.components_.T, dtype=np.float64)
    noise = np.broadcast_to(np.asarray(model.noise_variance_, dtype=np.float64), len(loadings))
    return LinearGaussian.of(np.asarray(model.mean_, dtype=np.float64), loadings, noise).canonical()


def start_linear(nets: Nets, linear: LinearGaussian) -> FloatArray:
    """Set the linear paths in place to a linear model and its posterior; return its noise variances, (d,).

    The posterior is N((W' psi^-1 (x - m)) / l, 1 / l) with l = diag(W' psi^-1 W + I): W(28), where W is in the principal
    axes of psi^-1/2 W.
    """
    h, noise = nets.n_latents, np.maximum(linear.noise, NOISE_FLOOR)
    scaled = linear.loadings / noise[:, np.newaxis]
    precision = 1.0 + (linear.loadings * scaled).sum(axis=0)
    nets.decoder.linear[:] = linear.loadings.T
    nets.decoder.intercepts[-1][: len(linear.mean)] = linear.mean
    nets.encoder.linear[:] = scaled / precision
    nets.encoder.intercepts[-1][:h] = -linear.mean @ nets.encoder.linear
    nets.encoder.intercepts[-1][h:] = -np.log(precision)
    return noise


def start_canonical(nets: Nets, linear: LinearGaussian, units: Units, observable: Canonical) -> Canonical:
    """Set the linear paths in place so that means vary about their averages as in the linear model."""
    start_linear(nets, linear)
    natural = observable.natural(units.location + units.scale * linear.mean)
    nets.decoder.intercepts[-1][:] = natural
    nets.decoder.linear[:] = units.scale * linear.loadings.T / observable.moments(natural)[1]
    return observable
