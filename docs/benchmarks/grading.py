"""Who grades the fits: log-likelihoods, gradients and plain EM, by NumPy and SciPy alone, the same for all programs.

Gradients are those of the mean log-likelihood with respect to parameters without units and, but for the means, without
constraints, so that they are comparable and vanish where a probability or a rate is zero: logits of mixing weights and of
probabilities, logarithms of rates, shapes and variances, means and loadings in standard deviations. The largest entry counts.
"""

from __future__ import annotations

import numpy as np
from scipy import special

# Parameters of a component of each family, by name, in the order in which all functions here have them.
PARAMETERS = {
    "poisson": ("rates",),
    "gamma": ("shapes", "rates"),
    "gaussian": ("means", "variances"),
    "bernoulli": ("probabilities",),
    "categorical": ("probabilities",),
}
# How near to its end plain EM is taken, nats a sample.
END = 1e-9
# Uniquenesses below this share of a column's variance are at the limit of the model: no gradient is counted that pushes them on.
SMALLEST_UNIQUENESS = 1e-6


def log_densities(family: str, X: np.ndarray, parameters: list[np.ndarray]) -> np.ndarray:
    """Log-density of each entry of the rows under one component; zero for a missing entry."""
    if family == "poisson":
        (rate,) = parameters
        values = special.xlogy(X, rate) - rate - special.gammaln(X + 1.0)
    elif family == "gamma":
        shape, rate = parameters
        values = (shape - 1.0) * np.log(X) - rate * X + shape * np.log(rate) - special.gammaln(shape)
    elif family == "gaussian":
        mean, variance = parameters
        values = -0.5 * ((X - mean) ** 2 / variance + np.log(2.0 * np.pi * variance))
    elif family == "bernoulli":
        values = special.xlogy(X, parameters[0]) + special.xlog1py(1.0 - X, -parameters[0])
    else:
        codes = np.nan_to_num(X).astype(int)
        values = np.log(parameters[0] / parameters[0].sum(axis=-1, keepdims=True))[np.arange(X.shape[1]), codes]
    return np.where(np.isnan(X), 0.0, values)


def scores(family: str, X: np.ndarray, parameters: list[np.ndarray]) -> list[np.ndarray]:
    """Derivatives of the log-density of each entry with respect to a component's parameters, in the coordinates above."""
    if family == "poisson":
        gradients = [X - parameters[0]]
    elif family == "gamma":
        shape, rate = parameters
        gradients = [shape * (np.log(rate) + np.log(X) - special.digamma(shape)), shape - rate * X]
    elif family == "gaussian":
        z = (X - parameters[0]) / np.sqrt(parameters[1])
        gradients = [z, 0.5 * (z**2 - 1.0)]
    elif family == "bernoulli":
        gradients = [X - parameters[0]]
    else:
        gradients = [(code == X) - parameters[0][:, code] for code in range(parameters[0].shape[-1])]
    return [np.where(np.isnan(X), 0.0, gradient) for gradient in gradients]


def e_step(family: str, X: np.ndarray, weights: np.ndarray, parameters: list[np.ndarray]) -> tuple[float, np.ndarray]:
    """Mean log-likelihood, nats a sample, and the posterior of the components of each row."""
    components = [[value[c] for value in parameters] for c in range(len(weights))]
    with np.errstate(divide="ignore"):
        joint = np.stack([log_densities(family, X, own).sum(axis=1) for own in components], axis=1) + np.log(weights)
    log_likelihood = special.logsumexp(joint, axis=1)
    return float(log_likelihood.mean()), np.exp(joint - log_likelihood[:, np.newaxis])


def m_step(family: str, X: np.ndarray, q: np.ndarray) -> list[np.ndarray]:
    """The parameters that are most likely where row n belongs to component c as much as q[n, c] says."""
    counts = q.T @ ~np.isnan(X)

    def mean(values: np.ndarray) -> np.ndarray:
        return q.T @ np.nan_to_num(values) / counts

    if family == "categorical":
        return [np.stack([mean(1.0 * (code == X)) for code in range(int(np.nanmax(X)) + 1)], axis=-1)]
    means = mean(X)
    if family == "gaussian":
        return [means, np.stack([own @ np.nan_to_num(X - m) ** 2 for own, m in zip(q.T, means, strict=True)]) / counts]
    if family == "gamma":
        excess = np.log(means) - mean(np.log(X))
        inverse = 2.0 * excess
        for _ in range(30):  # Newton's method for log(a) - digamma(a) = excess, in 1 / a (Minka 2002)
            shape = 1.0 / inverse
            inverse += (np.log(shape) - special.digamma(shape) - excess) / (
                shape**2 * (1.0 / shape - special.polygamma(1, shape))
            )
        return [1.0 / inverse, 1.0 / inverse / means]
    return [means]


def plain_em(family: str, X: np.ndarray, parameters: list[np.ndarray], most: int = 20_000) -> list[float]:
    """Log-likelihoods of EM without any acceleration, from equal weights, until the rest of the way is below ``END``."""
    weights = np.full(len(parameters[0]), 1.0 / len(parameters[0]))
    values, near = [], 0
    while len(values) < most and near < 5:
        value, q = e_step(family, X, weights, parameters)
        values.append(value)
        weights, parameters = q.mean(axis=0), m_step(family, X, q)
        if len(values) > 10:
            gain, before = values[-1] - values[-2], values[-2] - values[-3]
            # What is left if gains go on to shrink as they do; by rounding alone they are of either sign.
            near = near + 1 if gain < 1e-13 or (gain < before and gain**2 < END * (before - gain)) else 0
    return values


def grade_mixture(family: str, X: np.ndarray, weights: np.ndarray, parameters: list[np.ndarray]) -> tuple[float, float]:
    """Mean log-likelihood, nats a sample, and the largest entry of its gradient."""
    weights = np.asarray(weights, dtype=float)
    parameters = [np.asarray(value, dtype=float) for value in parameters]
    if family == "bernoulli":  # sums of roundings may exceed one
        parameters = [np.clip(value, 0.0, 1.0) for value in parameters]
    log_likelihood, q = e_step(family, X, weights, parameters)
    gradients = [np.abs(q.mean(axis=0) - weights).max()]
    for c in range(len(weights)):
        own = [value[c] for value in parameters]
        gradients += [np.abs(q[:, c] @ score).max() / len(X) for score in scores(family, X, own)]
    return log_likelihood, float(max(gradients))


def grade_factors(X: np.ndarray, loadings: np.ndarray, noise: np.ndarray, *, isotropic: bool = False) -> tuple[float, float]:
    """The same for a Gaussian with covariance L L' + diag(noise), L of shape (n_features, n_factors), and the mean of the data.

    ``isotropic`` says that the noise is one parameter. All is computed for standardised columns, and the logarithms of their
    scales added at the end.
    """
    scale = X.std(axis=0)
    loadings, noise = loadings / scale[:, np.newaxis], noise / scale**2
    correlation = np.corrcoef(X, rowvar=False)
    scaled = loadings / np.sqrt(noise)[:, np.newaxis]
    inner = np.eye(loadings.shape[1]) + scaled.T @ scaled  # Woodbury: stable where the noise is small
    root = np.linalg.solve(np.linalg.cholesky(inner), scaled.T) / np.sqrt(noise)
    precision = np.diag(1.0 / noise) - root.T @ root
    log_determinant = np.log(noise).sum() + np.linalg.slogdet(inner)[1]
    value = -0.5 * (len(scale) * np.log(2.0 * np.pi) + log_determinant + (precision * correlation).sum())
    slope = -(precision - precision @ correlation @ precision)
    of_noise = 0.5 * noise * np.diag(slope)
    if isotropic:
        of_noise = of_noise.sum(keepdims=True)
    else:
        of_noise[(noise <= SMALLEST_UNIQUENESS) & (of_noise < 0)] = 0.0
    gradient = max(np.abs(of_noise).max(), np.abs(slope @ loadings).max())
    return float(value - np.log(scale).sum()), float(gradient)
