"""Where EM starts: k-means++ seeds in the family's own Bregman divergence (Arthur and Vassilvitskii 2007; Banerjee 2005)."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from .._data import Block
from .._typing import Array, FloatArray, Matrix
from ..families import ExponentialFamily
from ._model import MixtureModel, MixtureParameters, MixtureStatistics, Observations

# A single row's statistics lie on the border of the mean parameters, where divergences are infinite: they are moved this
# share of the way to the pooled ones. A hard cluster's are moved as if it had seen this share of an average cluster more.
_TOWARDS_POOLED = 0.25
_CLUSTER_PRIOR = 0.05
# Seedings that compete, and the EM steps that each is given on the sample before they are compared.
_SEEDINGS = 8
# What differs by less is equal but for rounding errors, which are not to choose: the first of equals is taken. Relative to
# the largest terms of a divergence, and to an objective after a few steps.
_EQUAL_DIVERGENCE = 1e-12
_EQUAL_OBJECTIVE = 1e-9
_SHORT_RUN = 4


class SmoothedRows:
    """Rows as distributions of the family, and their divergences to some of them.

    A row with statistics T stands for the mean parameters mu = (1 - t) T / s + t Tbar, t the share that is moved; entries
    that are missing count for nothing, and an entry with exposure s counts s times.
    """

    def __init__(self, family: ExponentialFamily, observations: Observations, pooled: FloatArray) -> None:
        self._family = family
        self._observations = observations
        self._pooled = pooled
        self._negative_entropy = self._row_negative_entropies()
        # Rounding errors of each row's divergences.
        self.rounding = _EQUAL_DIVERGENCE * (1.0 + np.abs(self._negative_entropy))

    def seed(self, row: int) -> FloatArray:
        """Natural parameters (S, D) of one row's distribution."""
        statistics = np.stack([_dense_row(T, row) for T in self._observations.statistics])
        exposure = 1.0 if self._observations.exposure is None else self._observations.exposure[row]
        mean = (1.0 - _TOWARDS_POOLED) * statistics / exposure + _TOWARDS_POOLED * self._pooled
        observed = self._observations.observed
        if observed is not None:
            mask = _dense_row(observed, row).astype(bool) != sparse.issparse(observed)
            mean = np.where(mask, mean, self._pooled)
        return self._family.natural(mean)

    def divergences(self, eta: FloatArray) -> FloatArray:
        """Kullback-Leibler divergences of all rows (columns of the result) from seeds eta (S, L, D)."""
        cross = self._observations.row_sums(
            (_TOWARDS_POOLED * self._pooled[:, np.newaxis] * eta).sum(axis=0) - self._family.log_partition(eta)
        )
        for eta_s, T in zip(eta, self._observations.statistics, strict=True):
            cross = cross + (1.0 - _TOWARDS_POOLED) * (T @ eta_s.T).T
        divergences = self._negative_entropy - cross
        return np.where(divergences > self.rounding, divergences, 0.0)

    def nearest(self, seeds: list[int]) -> Array:
        """Which seed is nearest to each row; a seed is nearest to itself."""
        divergences = self.divergences(np.stack([self.seed(row) for row in seeds], axis=1))
        divergences[np.arange(len(seeds)), seeds] = -1.0
        return _first_smallest(divergences, self.rounding)

    def _row_negative_entropies(self) -> FloatArray:
        """sum_d s m (eta . mu - A), the convex conjugate of A at every row's mean parameters."""
        first = self._observations.statistics[0]
        exposure = self._observations.exposure
        if not sparse.issparse(first):
            statistics = np.stack(self._observations.statistics)
            share = 1.0 if exposure is None else exposure[:, np.newaxis]
            values = share * self._conjugate(statistics / share, self._pooled[:, np.newaxis])
            observed = self._observations.observed
            return values.sum(axis=1) if observed is None else (values * observed).sum(axis=1)
        # What is not stored is zero, and all zeros of a column have one value.
        at_zero = self._conjugate(np.zeros_like(self._pooled), self._pooled)
        rows = np.repeat(np.arange(first.shape[0]), np.diff(first.indptr))
        share = np.ones(first.nnz) if exposure is None else exposure[rows]
        data = np.stack([T.data for T in self._observations.statistics])
        stored = share * (self._conjugate(data / share, self._pooled[:, first.indices]) - at_zero[first.indices])
        if self._observations.observed is not None:
            stored = np.where(self._observations.observed.data, 0.0, stored)
        extra = np.bincount(rows, weights=stored, minlength=first.shape[0])
        return extra + self._observations.row_sums(at_zero[np.newaxis])[0]

    def _conjugate(self, statistics: Array, pooled: FloatArray) -> FloatArray:
        mean = (1.0 - _TOWARDS_POOLED) * statistics + _TOWARDS_POOLED * pooled
        eta = self._family.natural(mean)
        return (eta * mean).sum(axis=0) - self._family.log_partition(eta)


def kmeans_plusplus(
    rows: SmoothedRows, weight: FloatArray, n_components: int, random_state: np.random.RandomState
) -> list[int]:
    """Indices of seeds drawn with probability proportional to weight times divergence, the best of a few draws each."""
    n_trials = 2 + int(np.log(n_components))
    seeds = [int(_draw(weight, 1, random_state)[0])]
    nearest = rows.divergences(rows.seed(seeds[0])[:, np.newaxis])[0]
    for _ in range(1, n_components):
        nearest[seeds] = 0.0
        potential = weight * nearest
        if not potential.any():
            potential = np.where(np.isin(np.arange(len(weight)), seeds), 0.0, weight)
        trials = _draw(potential, n_trials, random_state)
        candidates = np.minimum(nearest, rows.divergences(np.stack([rows.seed(trial) for trial in trials], axis=1)))
        best = int(_first_smallest(candidates @ weight, float(rows.rounding @ weight)))
        seeds.append(int(trials[best]))
        nearest = candidates[best]
    return seeds


def random_rows(rows: SmoothedRows, weight: FloatArray, n_components: int, random_state: np.random.RandomState) -> list[int]:
    """Indices of distinct rows drawn with probability proportional to weight."""
    remaining = weight.copy()
    seeds = []
    for _ in range(n_components):
        seeds.append(int(_draw(remaining, 1, random_state)[0]))
        remaining[seeds[-1]] = 0.0
    return seeds


def _draw(weight: FloatArray, size: int, random_state: np.random.RandomState) -> Array:
    cumulative = np.cumsum(weight)
    return np.searchsorted(cumulative, random_state.uniform(size=size) * cumulative[-1], side="right").clip(
        max=int(np.flatnonzero(weight)[-1])
    )


def initial_parameters(
    model: MixtureModel, sample: Block, n_components: int, init_params: str, random_state: np.random.RandomState
) -> MixtureParameters:
    """Where EM starts: the best of several seedings after a few EM steps on a sample (Biernacki et al. 2003).

    Parameters
    ----------
    model : MixtureModel
    sample : Block
        Distinct rows in an order that their contents decide, with their summed weights.
    n_components : int
    init_params : {"k-means++", "random_from_data"}
    random_state : RandomState
    """
    observations = model.observe(sample)
    rows = SmoothedRows(model.family, observations, model.pooled)
    weight = np.ones(sample.n_rows) if sample.weight is None else sample.weight
    choose = kmeans_plusplus if init_params == "k-means++" else random_rows
    best, highest = None, -np.inf
    for _ in range(_SEEDINGS):
        seeds = choose(rows, weight, n_components, random_state)
        parameters = _of_hard_clusters(model, observations, weight, rows.nearest(seeds))
        for _ in range(_SHORT_RUN):
            parameters = model.maximize(model.expect(parameters, sample))
        statistics = model.expect(parameters, sample)
        objective = model.elbo(statistics) + model.log_prior(parameters, statistics)
        if best is None or objective > highest + _EQUAL_OBJECTIVE * (1.0 + abs(highest)):
            best, highest = parameters, objective
    assert best is not None
    return best


def _of_hard_clusters(
    model: MixtureModel, observations: Observations, weight: FloatArray, labels: Array
) -> MixtureParameters:
    """Parameters of clusters of rows, each joined by a small share of an average one."""
    q = weight * (np.arange(labels.max() + 1)[:, np.newaxis] == labels)
    exposures = observations.column_sums(q)
    sums = np.stack([(T.T @ q.T).T for T in observations.statistics])
    prior = _CLUSTER_PRIOR * exposures.mean(axis=0)
    return model.maximize(
        MixtureStatistics(
            weight=float(weight.sum()),
            log_likelihood=0.0,
            posterior_entropy=0.0,
            classification=0.0,
            counts=q.sum(axis=1),
            exposures=exposures + prior,
            sums=sums + prior * model.pooled[:, np.newaxis],
        )
    )


def _first_smallest(values: Array, rounding: FloatArray | float) -> Array:
    """Index, along the first axis, of the first of those that are the smallest but for rounding errors."""
    return (values <= values.min(axis=0) + rounding).argmax(axis=0)


def _dense_row(T: Matrix, row: int) -> Array:
    return T[[row]].toarray()[0] if sparse.issparse(T) else T[row]
