"""Every family: its distribution by another program, and data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special, stats

from skentropy.families import FAMILIES, Binomial, Categorical, ExponentialFamily, NegativeBinomial, Weibull


@dataclass(frozen=True)
class Case:
    """A family, its distribution(exposure, *standard parameters) by scipy.stats, two components, and values to ask for."""

    family: ExponentialFamily
    distribution: Callable[..., Any]
    components: tuple[Any, Any]
    points: tuple[float, ...]  # inside the support, and as near to its ends as the peer is right

    def log_density(self, x: Any, exposure: Any, *parameters: Any) -> Any:
        peer = self.distribution(exposure, *parameters)
        return peer.logpmf(x) if self.family.discrete else peer.logpdf(x)

    def draw(self, n: int, n_features: int, rng: np.random.RandomState, exposure: Any = None) -> Any:
        labels = rng.randint(2, size=n)
        X = np.empty((n, n_features))
        for c, parameters in enumerate(self.components):
            rows = np.flatnonzero(labels == c)
            eta = self.family.from_standard(*(np.asarray(p, dtype=float) for p in parameters))
            eta = eta.reshape(len(eta), 1, 1) * np.ones((1, len(rows), n_features))
            s = None if exposure is None else exposure[rows, np.newaxis]
            X[rows] = self.family.sample(eta, rng, s)
        return X


class _Codes:
    """Categorical distributions, which are tables of probabilities."""

    def __init__(self, p: Any) -> None:
        self._p = p

    def logpmf(self, x: Any) -> Any:
        index = np.broadcast_to(np.nan_to_num(x), self._p.shape[:-1]).astype(int)[..., np.newaxis]
        return np.log(np.take_along_axis(self._p, index, axis=-1)[..., 0])


class _WithoutZero(stats.rv_discrete):
    """Poisson distributions given that they are not zero."""

    def _pmf(self, x: Any, rate: Any) -> Any:
        return np.exp(self._logpmf(x, rate))

    def _logpmf(self, x: Any, rate: Any) -> Any:
        return stats.poisson.logpmf(x, rate) - np.log(stats.poisson.sf(0, rate))


class _Angles:
    """Von Mises distributions of angles from -pi to pi, with the moments of directions."""

    def __init__(self, mean: Any, concentration: Any) -> None:
        self._peer = stats.vonmises(concentration, loc=mean)
        self._moments = mean, 2.0 - 2.0 * special.i1e(concentration) / special.i0e(concentration)
        self.logpdf, self.entropy = self._peer.logpdf, self._peer.entropy

    def stats(self, _: str) -> tuple[Any, Any]:
        return self._moments

    def cdf(self, x: Any) -> Any:
        return self._peer.cdf(x) - self._peer.cdf(-np.pi)


def _named(name: str, *arguments: Any) -> tuple[str, Case]:
    return name, Case(FAMILIES[name](), *arguments)


def _given(family: ExponentialFamily, *arguments: Any) -> tuple[str, Case]:
    return family.name, Case(family, *arguments)


CASES = dict(
    [
        _named("bernoulli", lambda s, p: stats.bernoulli(p), ((0.2,), (0.8,)), (0, 1)),
        _named("beta", lambda s, a, b: stats.beta(a, b), ((2, 6), (7, 3)), (1e-12, 0.3, 1 - 1e-12)),
        _given(Binomial(n_trials=5), lambda s, p: stats.binom(5 * s, p), ((0.2,), (0.7,)), (0, 1, 3, 5)),
        _given(Categorical(3), lambda s, p: _Codes(p), (([0.6, 0.3, 0.1],), ([0.1, 0.2, 0.7],)), ()),
        _named("exponential", lambda s, rate: stats.expon(scale=1 / rate), ((1,), (9,)), (0, 1e-300, 1, 700)),
        _named("gamma", lambda s, a, b: stats.gamma(a, scale=1 / b), ((2, 1), (9, 1)), (1e-300, 1e-3, 1, 1e3)),
        _named("gaussian", lambda s, m, v: stats.norm(m, np.sqrt(v)), ((0, 1), (3, 2)), (-1e3, 0, 0.5, 1e3)),
        _named("geometric", lambda s, p: stats.geom(p, loc=-1), ((0.7,), (0.15,)), (0, 1, 50)),
        _named("inverse_gaussian", lambda s, m, k: stats.invgauss(m / k, scale=k), ((1, 3), (4, 9)), (1e-2, 1, 50)),
        _named(
            "log_normal",
            lambda s, m, v: stats.lognorm(np.sqrt(v), scale=np.exp(m)),
            ((0, 0.5), (2, 0.3)),
            (1e-300, 1, 1e300),
        ),
        _given(NegativeBinomial(r=2.5), lambda s, p: stats.nbinom(2.5 * s, 1 - p), ((0.3,), (0.8,)), (0, 1, 50)),
        _named("poisson", lambda s, rate: stats.poisson(s * rate), ((1,), (5,)), (0, 1, 50, 1000)),
        _named("von_mises", lambda s, m, k: _Angles(m, k), ((3.0, 2.0), (-1.0, 5.0)), (-3.0, 0, 0.5, 3.0)),
        _given(Weibull(1.5), lambda s, b: stats.weibull_min(1.5, scale=b), ((1,), (6,)), (1e-300, 1e-3, 1, 30)),
        _named("zero_truncated_poisson", lambda s, rate: _WithoutZero(a=1)(rate), ((0.5,), (6,)), (1, 2, 50, 1000)),
    ]
)


def log_joint(case: Case, X: Any, mixture: Any, exposure: Any = None) -> Any:
    """log pi_c + log p(x_n | c), one column a component, missing entries left out; in plain loops over components."""
    s = np.ones((len(X), 1)) if exposure is None else exposure[:, np.newaxis]
    columns = []
    for c, weight in enumerate(mixture.weights_):
        parameters = [getattr(mixture, name + "_")[c] for name in case.family.attribute_names]
        if isinstance(case.family, Categorical):
            parameters = [np.broadcast_to(parameters[0], (len(X), *parameters[0].shape))]
        log_p = case.log_density(X, s, *parameters)
        columns.append(np.log(weight) + np.where(np.isnan(X), 0.0, log_p).sum(axis=1))
    return np.stack(columns, axis=1)


def elbo(case: Case, X: Any, q: Any, mixture: Any, weight: Any = None, exposure: Any = None) -> float:
    """ELBO of given posteriors q and a mixture's parameters, W(2), by its definition."""
    joint = log_joint(case, X, mixture, exposure)
    values = (q * joint).sum(axis=1) + special.entr(q).sum(axis=1)
    return float(np.average(values, weights=weight))
