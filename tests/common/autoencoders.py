"""Autoencoders with random parameters, data for them, and their ELBO by its definition."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import stats

from skentropy.neural_network._autoencoder import Autoencoder
from skentropy.neural_network._vae_observables import GaussianNoise
from skentropy.neural_network._vae_prior import PRIORS
from skentropy.neural_network._vae_training import Nets
from skentropy.neural_network._vae_units import Observations

N, D, H = 9, 4, 2
GAUSSIAN = PRIORS["gaussian"]


def random_nets(activation: str = "silu", dtype: Any = np.float64, seed: int = 0, n_outputs: int = D) -> Nets:
    nets = Nets.of_sizes((D, 5, 2 * H), (H, 6, 3, n_outputs), activation, dtype)
    nets.vector[:] = 0.5 * np.random.default_rng(seed).normal(size=nets.vector.size)
    return nets


def random_model(activation: str = "silu", seed: int = 0, prior: str = "gaussian") -> Autoencoder:
    nets = random_nets(activation, seed=seed)
    noise = np.random.default_rng(seed + 1).uniform(0.2, 2.0, size=D)
    return Autoencoder.trained(nets.encoder, nets.decoder, GaussianNoise.of(noise), PRIORS[prior])


def observations(gaps: bool, n: int = N, seed: int = 3) -> tuple[Observations, Any]:
    rng = np.random.default_rng(seed)
    x, weight = rng.normal(size=(n, D)), rng.uniform(0.5, 2.0, size=n)
    if not gaps:
        return Observations(x, None, x), weight
    observed = (rng.uniform(size=x.shape) < 0.7).astype(float)
    observed[0] = 1.0
    return Observations(x * observed, observed == 0, x), weight


def naive_elbo(model: Autoencoder, rows: Observations, means: Any, variances: Any, draws: Any, shares: Any) -> Any:
    """ELBO of each row, in plain loops: draws (s, h) from a standard normal with shares (s,), the same for all rows."""
    values = []
    for n in range(len(rows.x)):
        total = 0.0
        for draw, share in zip(draws, shares, strict=True):
            z = means[n] + np.sqrt(variances[n]) * draw
            y = model.decoder(z[np.newaxis])[0]
            log_p = model.observable.log_density(y, rows.x[n])
            total += share * float(log_p @ rows.mask[n])
        values.append(total - sum(divergence(model.prior.name, m, v) for m, v in zip(means[n], variances[n], strict=True)))
    return np.array(values)


def divergence(prior: str, m: float, v: float) -> float:
    """Of N(m, v) from a prior of unit variance, by SciPy."""
    if prior == "gaussian":
        return 0.5 * float(m**2 + v - 1.0 - np.log(v))
    absolute = stats.foldnorm.mean(abs(m) / np.sqrt(v), scale=np.sqrt(v))
    b = 1.0 / np.sqrt(2.0)
    return float(absolute / b + np.log(2.0 * b) - stats.norm.entropy(scale=np.sqrt(v)))
