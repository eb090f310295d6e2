"""Data of the reference values, and a brute-force ELBO written for the tests alone."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets

DATA = Path(__file__).parent / "data"
BUNDLED = {
    "iris": datasets.load_iris,
    "wine": datasets.load_wine,
    "digits": datasets.load_digits,
    "breast_cancer": datasets.load_breast_cancer,
}


def load_table(name):
    name = name.removesuffix(".csv")
    if name == "digits_first50":
        return datasets.load_digits().data[:50]
    if name in BUNDLED:
        return BUNDLED[name]().data
    return pd.read_csv(DATA / f"{name}.csv").to_numpy(dtype=float)


@pytest.fixture(scope="session")
def load():
    return load_table


def brute_force_log_likelihood(X, mean, covariance, weight=None):
    """Mean log-density of rows with NaN under N(mean, covariance), row by row, by dense matrices only."""
    total = 0.0
    weight = np.ones(len(X)) if weight is None else weight
    for x, w in zip(X, weight, strict=True):
        seen = ~np.isnan(x)
        residual = x[seen] - mean[seen]
        block = covariance[np.ix_(seen, seen)]
        quadratic = residual @ np.linalg.solve(block, residual)
        total -= 0.5 * w * (seen.sum() * np.log(2 * np.pi) + np.linalg.slogdet(block)[1] + quadratic)
    return total / weight.sum()


def brute_force_elbo(X, q, parameters, weight):
    """Mean of E_q log p(x, z) + H[q], with the q of one parameter set and the p of another, row by row."""
    (m_q, W_q, psi_q), (m, W, psi) = q, parameters
    k, total = W.shape[1], 0.0
    for x, w in zip(X, weight, strict=True):
        seen = ~np.isnan(x)
        V = np.linalg.inv(np.eye(k) + W_q[seen].T @ np.diag(1 / psi_q[seen]) @ W_q[seen])
        z = V @ W_q[seen].T @ ((x - m_q)[seen] / psi_q[seen])
        squared = (x - m - W @ z)[seen] ** 2 + np.diag(W @ V @ W.T)[seen]
        value = -0.5 * (np.log(2 * np.pi * psi[seen]) + squared / psi[seen]).sum()
        value -= 0.5 * (k * np.log(2 * np.pi) + z @ z + np.trace(V))
        value += 0.5 * (k * np.log(2 * np.pi * np.e) + np.linalg.slogdet(V)[1])
        total += w * value
    return total / weight.sum()


@pytest.fixture(scope="session")
def log_likelihood():
    return brute_force_log_likelihood


@pytest.fixture(scope="session")
def elbo():
    return brute_force_elbo


@pytest.fixture
def incomplete():
    """Rows of two factors with gaps and weights; half of the rows are complete, so that patterns repeat."""
    rng = np.random.default_rng(3)
    X = 2.0 + rng.normal(size=(80, 2)) @ rng.normal(size=(2, 6)) + rng.normal(size=(80, 6)) * rng.uniform(0.5, 1.5, 6)
    X[:40][rng.random((40, 6)) < 0.2] = np.nan
    return X, rng.uniform(0.2, 2.0, 80)
