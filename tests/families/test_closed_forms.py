"""The closed forms that the guide tabulates, docs/guide/closed_form.md: pseudo entropies and base measures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.special import betaln, binom, digamma, gammaln, iv, xlogy

from skentropy.families import Binomial, Categorical, NegativeBinomial, Weibull, get_family
from skentropy.families._dirichlet import Dirichlet
from skentropy.families._von_mises_fisher import VonMisesFisher

X = 2.0


def bernoulli(p: float) -> float:
    return -p * np.log(p) - (1.0 - p) * np.log(1.0 - p)


def negative_binomial(mean: float, r: float) -> float:
    return float((mean + r) * np.log(mean + r) - mean * np.log(mean) - r * np.log(r))


# Family, standard parameters, pseudo entropy, log h(2).
TABLE: dict[str, tuple[Any, tuple[Any, ...], Callable[..., float], float]] = {
    "bernoulli": ("bernoulli", (0.3,), bernoulli, 0.0),
    "beta": (
        "beta",
        (1.4, 2.3),
        lambda a, b: betaln(a, b) - (a - 1) * digamma(a) - (b - 1) * digamma(b) + (a + b - 2) * digamma(a + b),
        0.0,
    ),
    "binomial": (Binomial(n_trials=5), (0.3,), lambda p: 5 * bernoulli(p), np.log(10.0)),
    "exponential": ("exponential", (1.7,), lambda b: 1 - np.log(b), 0.0),
    "gamma": ("gamma", (1.4, 2.3), lambda a, b: a - np.log(b) + gammaln(a) + (1 - a) * digamma(a), 0.0),
    "gaussian": ("gaussian", (0.3, 1.7), lambda m, v: 0.5 * np.log(2 * np.pi * np.e * v), 0.0),
    "geometric": ("geometric", (0.3,), lambda p: -np.log(p) - (1 - p) / p * np.log(1 - p), 0.0),
    "inverse_gaussian": ("inverse_gaussian", (0.3, 1.7), lambda m, k: 0.5 * np.log(2 * np.pi * np.e / k), -1.5 * np.log(X)),
    "log_normal": ("log_normal", (0.3, 1.7), lambda m, v: m + 0.5 * np.log(2 * np.pi * np.e * v), 0.0),
    "poisson": ("poisson", (3.0,), lambda rate: rate * (1 - np.log(rate)), -gammaln(X + 1)),
    "von_mises": ("von_mises", (0.3, 1.7), lambda m, k: np.log(2 * np.pi * iv(0, k)) - k * iv(1, k) / iv(0, k), 0.0),
    "weibull": (Weibull(shape=1.7), (3.0,), lambda scale: 1 + 1.7 * np.log(scale), np.log(1.7) + 0.7 * np.log(X)),
    "zero_truncated_poisson": (
        "zero_truncated_poisson",
        (3.0,),
        lambda rate: np.log(np.expm1(rate)) + rate / np.expm1(-rate) * np.log(rate),
        -gammaln(X + 1),
    ),
}


@pytest.mark.parametrize("name", list(TABLE))
def test_terms_of_a_family(name: str) -> None:
    family, parameters, pseudo_entropy, log_h = TABLE[name]
    family = get_family(family) if isinstance(family, str) else family
    eta = family.from_standard(*(np.array([value]) for value in parameters))
    assert family.pseudo_entropy(eta).item() == pytest.approx(pseudo_entropy(*parameters), rel=1e-12)
    log_base_measure = np.broadcast_to(family.log_base_measure(np.array([[X]])), (1, 1)).item()
    assert log_base_measure == pytest.approx(log_h, abs=1e-12)


def test_terms_of_counts_with_dispersions_and_of_categories() -> None:
    r, p = 2.5, 0.4
    family = NegativeBinomial(r=r)
    mean = r * p / (1 - p)
    assert family.pseudo_entropy(family.from_standard(np.array([p]))).item() == pytest.approx(negative_binomial(mean, r))
    assert family.log_base_measure(np.array([[X]])).item() == pytest.approx(np.log(binom(X + r - 1, X)))
    shares = np.array([0.2, 0.3, 0.5])
    categorical = Categorical(n_categories=3)
    eta = categorical.from_standard(shares[np.newaxis, np.newaxis])
    assert categorical.pseudo_entropy(eta).sum() == pytest.approx(-xlogy(shares, shares).sum())


def test_terms_of_whole_rows() -> None:
    kappa, direction = 2.3, np.full(4, 0.5)
    expected = 2.0 * np.log(2 * np.pi) - np.log(kappa) + np.log(iv(1, kappa)) - kappa * iv(2, kappa) / iv(1, kappa)
    assert VonMisesFisher().pseudo_entropy((kappa * direction)[np.newaxis]).item() == pytest.approx(expected, rel=1e-12)
    a = np.array([0.5, 1.5, 2.2])
    expected = gammaln(a).sum() - gammaln(a.sum()) - ((a - 1) * (digamma(a) - digamma(a.sum()))).sum()
    assert Dirichlet().pseudo_entropy((a - 1)[np.newaxis]).item() == pytest.approx(expected, rel=1e-12)
