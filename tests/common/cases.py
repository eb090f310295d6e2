"""Data for every family, and its log-density by another program's formulas."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special, stats

from skentropy.families import FAMILIES, Binomial, Categorical, ExponentialFamily, NegativeBinomial, Weibull, get_family


@dataclass(frozen=True)
class Case:
    """A family, log-density(x, exposure, *standard parameters) by scipy.stats, and parameters of two components."""

    family: ExponentialFamily
    log_density: Callable[..., Any]
    components: tuple[Any, Any]

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


def _binomial(n: int) -> Callable[..., Any]:
    return lambda x, s, p: stats.binom.logpmf(x, n * s, p)


def _categorical(x: Any, s: Any, p: Any) -> Any:
    index = np.broadcast_to(np.nan_to_num(x), p.shape[:-1]).astype(int)[..., np.newaxis]
    return np.log(np.take_along_axis(np.broadcast_to(p, (*p.shape[:-1], p.shape[-1])), index, axis=-1)[..., 0])


CASES = {
    "bernoulli": Case(FAMILIES["bernoulli"](), lambda x, s, p: stats.bernoulli.logpmf(x, p), ((0.2,), (0.8,))),
    "beta": Case(FAMILIES["beta"](), lambda x, s, a, b: stats.beta.logpdf(x, a, b), ((2, 6), (7, 3))),
    "binomial": Case(Binomial(n_trials=5), _binomial(5), ((0.2,), (0.7,))),
    "categorical": Case(Categorical(3), _categorical, (([0.6, 0.3, 0.1],), ([0.1, 0.2, 0.7],))),
    "exponential": Case(FAMILIES["exponential"](), lambda x, s, r: stats.expon.logpdf(x, scale=1 / r), ((1,), (9,))),
    "gamma": Case(FAMILIES["gamma"](), lambda x, s, a, b: stats.gamma.logpdf(x, a, scale=1 / b), ((2, 1), (9, 1))),
    "gaussian": Case(FAMILIES["gaussian"](), lambda x, s, m, v: stats.norm.logpdf(x, m, np.sqrt(v)), ((0, 1), (3, 2))),
    "geometric": Case(FAMILIES["geometric"](), lambda x, s, p: stats.geom.logpmf(x, p, loc=-1), ((0.7,), (0.15,))),
    "inverse_gaussian": Case(
        FAMILIES["inverse_gaussian"](), lambda x, s, m, k: stats.invgauss.logpdf(x, m / k, scale=k), ((1, 3), (4, 9))
    ),
    "log_normal": Case(
        FAMILIES["log_normal"](),
        lambda x, s, m, v: stats.lognorm.logpdf(x, np.sqrt(v), scale=np.exp(m)),
        ((0, 0.5), (2, 0.3)),
    ),
    "negative_binomial": Case(
        NegativeBinomial(r=2.5), lambda x, s, p: stats.nbinom.logpmf(x, 2.5 * s, 1 - p), ((0.3,), (0.8,))
    ),
    "von_mises": Case(
        FAMILIES["von_mises"](), lambda x, s, m, k: stats.vonmises.logpdf(x, k, loc=m), ((3.0, 2.0), (-1.0, 5.0))
    ),
    "weibull": Case(Weibull(1.5), lambda x, s, b: stats.weibull_min.logpdf(x, 1.5, scale=b), ((1,), (6,))),
    "zero_truncated_poisson": Case(
        FAMILIES["zero_truncated_poisson"](),
        lambda x, s, r: stats.poisson.logpmf(x, r) - np.log(-np.expm1(-r)),
        ((0.5,), (6,)),
    ),
    "poisson": Case(FAMILIES["poisson"](), lambda x, s, r: stats.poisson.logpmf(x, s * r), ((1,), (5,))),
}


def named_family(name: str) -> ExponentialFamily:
    """The family of a name; those whose names leave a parameter to be fitted with r = 1 and a shape of 1.5."""
    known = {"negative_binomial": NegativeBinomial(1.0), "weibull": Weibull(1.5)}
    return known[name] if name in known else get_family(name)


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
