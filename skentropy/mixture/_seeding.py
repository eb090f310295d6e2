"""Where EM starts: the clusters around a few seeds, or random responsibilities, of which the best is found by short runs.

Seeds are drawn in the family's own Bregman divergence (Arthur and Vassilvitskii 2007; Banerjee et al. 2005).
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from .._data import Block
from .._typing import Array, FloatArray, Matrix
from ..families import ExponentialFamily
from ._model import MixtureModel, MixtureParameters, Observations
from ._short_runs import ShortRuns

# A single row's statistics lie on the border of the mean parameters, where divergences are infinite: they are moved this
# share of the way to the pooled ones.
_TOWARDS_POOLED = 0.25
# What differs by less is equal but for rounding errors, which are not to choose: the first of equals is taken. Relative to
# the largest terms of a divergence.
_EQUAL_DIVERGENCE = 1e-12
# Concentration of the Dirichlet distribution that random responsibilities are drawn from.
_CONCENTRATION = 0.3
# Starts by default: as many as together cost so many operations a step, in which a row's exponential counts for some.
_STARTS = (16, 32)
_STARTS_COST = 2**22
_ROW_COST = 16


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

    def seeds(self, rows: Array) -> FloatArray:
        """Natural parameters (S, L, D) of the distributions of L rows."""
        statistics = np.stack([_dense_rows(T, rows) for T in self._observations.statistics])
        exposure = 1.0 if self._observations.exposure is None else self._observations.exposure[rows, np.newaxis]
        pooled = self._pooled[:, np.newaxis]
        mean = (1.0 - _TOWARDS_POOLED) * statistics / exposure + _TOWARDS_POOLED * pooled
        observed = self._observations.observed
        if observed is not None:
            mask = _dense_rows(observed, rows).astype(bool) != sparse.issparse(observed)
            mean = np.where(mask, mean, pooled)
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

    def nearest(self, seeds: Array) -> Array:
        """Which seed is nearest to each row; a seed is nearest to itself."""
        divergences = self.divergences(self.seeds(seeds))
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
    rows: SmoothedRows, weight: FloatArray, shape: tuple[int, int], random_state: np.random.RandomState
) -> Array:
    """Indices of seeds, (runs, components), drawn with probability proportional to weight times divergence.

    Of a few draws for each seed the one is taken that leaves the smallest divergences.
    """
    n_runs, n_components = shape
    n_trials = 2 + int(np.log(n_components))
    everywhere = np.broadcast_to(weight, (n_runs, weight.size))
    seeds = _draw(everywhere, 1, random_state)
    nearest = rows.divergences(rows.seeds(seeds[:, 0]))
    for _ in range(1, n_components):
        np.put_along_axis(nearest, seeds, 0.0, axis=1)
        potential = weight * nearest
        exhausted = ~potential.any(axis=1)
        if exhausted.any():
            unused = everywhere[exhausted].copy()
            np.put_along_axis(unused, seeds[exhausted], 0.0, axis=1)
            potential[exhausted] = unused
        trials = _draw(potential, n_trials, random_state)
        candidates = rows.divergences(rows.seeds(trials.ravel())).reshape(n_runs, n_trials, -1)
        np.minimum(candidates, nearest[:, np.newaxis], out=candidates)
        best = _first_smallest((candidates @ weight).T, float(rows.rounding @ weight))
        seeds = np.column_stack([seeds, trials[np.arange(n_runs), best]])
        nearest = candidates[np.arange(n_runs), best]
    return seeds


def random_rows(
    rows: SmoothedRows, weight: FloatArray, shape: tuple[int, int], random_state: np.random.RandomState
) -> Array:
    """Indices of distinct rows, (runs, components), drawn one after the other with probability proportional to weight."""
    n_runs, n_components = shape
    # The first of independent waiting times with these rates (Efraimidis and Spirakis 2006).
    waiting = random_state.standard_exponential(size=(n_runs, weight.size))
    waiting = np.divide(waiting, weight, out=np.full_like(waiting, np.inf), where=weight > 0)
    return np.argsort(waiting, axis=1, kind="stable")[:, :n_components]


def _draw(weight: FloatArray, size: int, random_state: np.random.RandomState) -> Array:
    """Indices, (runs, size), drawn with probability proportional to each run's weight."""
    cumulative = np.cumsum(weight, axis=1)
    levels = random_state.uniform(size=(len(weight), size)) * cumulative[:, -1:]
    drawn = [np.searchsorted(row, level, side="right") for row, level in zip(cumulative, levels, strict=True)]
    last = weight.shape[1] - 1 - (weight[:, ::-1] > 0).argmax(axis=1)
    return np.minimum(np.stack(drawn), last[:, np.newaxis])


def initial_parameters(
    model: MixtureModel,
    sample: Block,
    n_components: int,
    init_params: str,
    n_starts: int | str,
    random_state: np.random.RandomState,
) -> MixtureParameters:
    """Where EM starts: the best of several starts after short runs of EM on a sample (Biernacki et al. 2003).

    Parameters
    ----------
    model : MixtureModel
    sample : Block
        Distinct rows in an order that their contents decide, with their summed weights.
    n_components : int
    init_params : {"k-means++", "random_from_data", "random"}
    n_starts : int or "auto"
    random_state : RandomState
    """
    observations = model.observe(sample)
    weight = np.ones(sample.n_rows) if sample.weight is None else sample.weight
    if n_starts == "auto":
        row_cost = _ROW_COST + len(observations.statistics) * sample.X.shape[1]
        n_starts = int(np.clip(_STARTS_COST // (sample.n_rows * n_components * row_cost), *_STARTS))
    shape = int(n_starts), n_components
    if init_params == "random":
        q = random_state.standard_gamma(_CONCENTRATION, size=(*shape, sample.n_rows))
        responsibilities = q / q.sum(axis=1, keepdims=True)
    else:
        rows = SmoothedRows(model.family, observations, model.pooled)
        choose = kmeans_plusplus if init_params == "k-means++" else random_rows
        labels = np.stack([rows.nearest(seeds) for seeds in choose(rows, weight, shape, random_state)])
        responsibilities = np.float64(labels[:, np.newaxis] == np.arange(n_components)[:, np.newaxis])
    return ShortRuns(model, sample, observations, responsibilities).best()


def _first_smallest(values: Array, rounding: FloatArray | float) -> Array:
    """Index, along the first axis, of the first of those that are the smallest but for rounding errors."""
    return (values <= values.min(axis=0) + rounding).argmax(axis=0)


def _dense_rows(T: Matrix, rows: Array) -> Array:
    return T[rows].toarray() if sparse.issparse(T) else T[rows]
