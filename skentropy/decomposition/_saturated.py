"""The maximum-likelihood Gaussian with unrestricted mean and covariance for rows with missing entries, by EM."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import numpy as np

from .._data import Additive, Prepared, SingleThreadedBLAS
from .._em import run_em
from .._entropy_sum import EntropySum
from .._linalg import LOG_2PI
from .._typing import FloatArray
from ._em_model import StandardisedData, Table
from ._moments import Moments
from ._spectrum import Covariance, MatrixCovariance, RowsCovariance

_TOL, _MAX_ITER = 1e-12, 5000


@dataclass(frozen=True)
class Unrestricted:
    """Mean (d,) and covariance (d, d), and their mean log-likelihood if it is known."""

    mean: FloatArray
    covariance: FloatArray
    log_likelihood: float = np.nan


@dataclass(frozen=True)
class _Statistics(Additive):
    """Sums over rows of log-likelihood, entropy of missing entries, completed rows about a mean, and their products."""

    _shared: ClassVar[tuple[str, ...]] = ("about",)

    about: FloatArray
    log_likelihood: float
    entropy: float
    first: FloatArray
    second: FloatArray

    @classmethod
    def of(cls, table: Table, p: Unrestricted) -> _Statistics:
        """E-step on one table, pattern by pattern (Little and Rubin 2019, Section 11.2)."""
        d, weights = len(p.mean), table.pattern_weight
        log_likelihood, entropy, first, second = 0.0, 0.0, np.zeros(d), np.zeros((d, d))
        for index, pattern in enumerate(table.patterns.astype(bool)):
            rows = slice(table.starts[index], table.starts[index + 1])
            seen, gaps, weight = np.flatnonzero(pattern), np.flatnonzero(~pattern), table.weight[rows]
            completed = table.values[rows] - p.mean
            known = completed[:, seen]
            root = np.linalg.cholesky(p.covariance[np.ix_(seen, seen)])
            distance = weight @ (np.linalg.solve(root, known.T) ** 2).sum(axis=0)
            log_det = 2.0 * float(np.log(np.diag(root)).sum())
            log_likelihood -= 0.5 * (float(distance) + weights[index] * (len(seen) * LOG_2PI + log_det))
            if len(gaps):
                shared = p.covariance[np.ix_(seen, gaps)]
                regression = np.linalg.solve(p.covariance[np.ix_(seen, seen)], shared)
                left = p.covariance[np.ix_(gaps, gaps)] - shared.T @ regression
                completed[:, gaps] = known @ regression
                second[np.ix_(gaps, gaps)] += weights[index] * left
                entropy += 0.5 * weights[index] * (len(gaps) * (1.0 + LOG_2PI) + float(np.linalg.slogdet(left)[1]))
            first += weight @ completed
            second += (completed.T * weight) @ completed
        return cls(p.mean, log_likelihood, entropy, first, second)


class _Model:
    """The unrestricted Gaussian as the engine's ``Model``."""

    def __init__(self, weight: float) -> None:
        self.weight = weight

    def expect(self, p: Unrestricted, table: Table) -> _Statistics:
        return _Statistics.of(table, p)

    def maximize(self, statistics: _Statistics) -> Unrestricted:
        step = statistics.first / self.weight
        return Unrestricted(statistics.about + step, statistics.second / self.weight - np.outer(step, step))

    def entropy_sum(self, p: Unrestricted, statistics: _Statistics) -> EntropySum:
        """Entropy of N(m, S) for the completed rows, minus that of the missing entries."""
        observable = 0.5 * (len(p.mean) * (1.0 + LOG_2PI) + float(np.linalg.slogdet(p.covariance)[1]))
        return EntropySum(posterior=statistics.entropy / self.weight, prior=0.0, observable=observable)

    def elbo(self, statistics: _Statistics) -> float:
        return statistics.log_likelihood / self.weight

    def elbo_of_step(self, p: Unrestricted, statistics: _Statistics) -> float:
        return self.entropy_sum(p, statistics).value

    def magnitude(self, p: Unrestricted, statistics: _Statistics) -> float:
        return self.entropy_sum(p, statistics).magnitude + len(p.mean)

    def log_prior(self, p: Unrestricted, statistics: Any) -> float:
        return 0.0

    def pack(self, p: Unrestricted) -> FloatArray:
        root = np.linalg.cholesky(p.covariance)
        below = root[np.tril_indices(len(root), -1)]
        return np.concatenate([p.mean, np.log(np.diag(root)), below])

    def unpack(self, vector: FloatArray, like: Unrestricted) -> Unrestricted | None:
        d = len(like.mean)
        mean, log_diagonal, below = np.split(vector, [d, 2 * d])
        if not np.isfinite(vector).all() or log_diagonal.max() > 50.0:
            return None
        root = np.diag(np.exp(log_diagonal))
        root[np.tril_indices(d, -1)] = below
        return Unrestricted(mean, root @ root.T)


def likeliest_gaussian(data: StandardisedData) -> Unrestricted | None:
    """The maximum-likelihood Gaussian for standardised data, in their units.

    Its mean log-likelihood is that of the data in their own units. None if the covariance becomes singular, so that the
    likelihood has no maximum.
    """
    model, tables = data.model, data.tables
    start = imputed_covariance(tables)
    if not isinstance(start, MatrixCovariance):
        return None
    unrestricted = _Model(model.total_weight)

    def expect(p: Unrestricted) -> _Statistics:
        statistics: _Statistics = tables.sum(partial(unrestricted.expect, p))
        return statistics

    first = Unrestricted(start.mean, start.matrix)
    try:
        with SingleThreadedBLAS():
            state = run_em(unrestricted, expect, first, tol=_TOL, max_iter=_MAX_ITER).state
    except np.linalg.LinAlgError:
        return None
    log_scale = float(model.feature_weight @ model.log_scale) / model.total_weight
    return Unrestricted(state.parameters.mean, state.parameters.covariance, state.elbo - log_scale)


def imputed_covariance(tables: Prepared) -> Covariance:
    """The covariance with means in place of missing entries, for starts."""
    n, d = tables.sum(lambda table: len(table.values)), tables.sum(lambda table: table.values.shape[1:])[0]
    if n < d:
        table = tables.sum(lambda table: [table])
        X, weight = (np.concatenate([getattr(part, name) for part in table]) for name in ("values", "weight"))
        return RowsCovariance.of(X, weight)
    moments = tables.sum(lambda table: Moments.of_table(table.values, table.weight))
    return MatrixCovariance(moments.mean, moments.covariance)
