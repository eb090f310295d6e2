"""Starts of EM: clusters around seeds, or random responsibilities; short runs find the best start.

Seeds are drawn by the family's Bregman divergence (Arthur and Vassilvitskii 2007; Banerjee et al. 2005).
"""

from __future__ import annotations

import numpy as np

from .._data import Block
from .._typing import Array, FloatArray
from ._components import SeedRows
from ._draw import draw
from ._exchanges import search
from ._model import MixtureModel, MixtureParameters
from ._short_runs import ShortRuns

# Concentration of the Dirichlet distribution of random responsibilities.
_CONCENTRATION = 0.3
# Least and largest default number of starts; in between it is limited by the number of operations of a step. An exponential
# counts as several operations.
_STARTS = (16, 32)
_STARTS_COST = 2**22
_ROW_COST = 16
# Number of divergences that are computed at a time.
_ENTRIES = 2**16
# Noise starts with this share of each row.
NOISE = 0.05


def kmeans_plusplus(
    rows: SeedRows, weight: FloatArray, shape: tuple[int, int], random_state: np.random.RandomState
) -> Array:
    """Draw indices of seeds, (runs, components), with probabilities proportional to weight times divergence.

    For each seed a few candidates are drawn, and the one that leaves the smallest divergences is chosen.
    """
    n_runs, n_components = shape
    n_trials = 2 + int(np.log(n_components))
    everywhere = np.broadcast_to(weight, (n_runs, weight.size))
    seeds = draw(everywhere, 1, random_state)
    nearest = rows.divergences(rows.seeds(seeds[:, 0]))
    for _ in range(1, n_components):
        np.put_along_axis(nearest, seeds, 0.0, axis=1)
        potential = weight * nearest
        exhausted = ~potential.any(axis=1)
        if exhausted.any():
            unused = everywhere[exhausted].copy()
            np.put_along_axis(unused, seeds[exhausted], 0.0, axis=1)
            potential[exhausted] = unused
        trials = draw(potential, n_trials, random_state)
        candidates = rows.divergences(rows.seeds(trials.ravel())).reshape(n_runs, n_trials, -1)
        np.minimum(candidates, nearest[:, np.newaxis], out=candidates)
        best = _first_smallest((candidates @ weight).T, float(rows.rounding @ weight))
        seeds = np.column_stack([seeds, trials[np.arange(n_runs), best]])
        nearest = candidates[np.arange(n_runs), best]
    return seeds


def random_rows(rows: SeedRows, weight: FloatArray, shape: tuple[int, int], random_state: np.random.RandomState) -> Array:
    """Draw indices of distinct rows, (runs, components), one after the other, with probabilities proportional to weight."""
    n_runs, n_components = shape
    # The first of independent waiting times with these rates (Efraimidis and Spirakis 2006).
    waiting = random_state.standard_exponential(size=(n_runs, weight.size))
    waiting = np.divide(waiting, weight, out=np.full_like(waiting, np.inf), where=weight > 0)
    return np.argsort(waiting, axis=1, kind="stable")[:, :n_components]


def nearest(rows: SeedRows, seeds: Array) -> Array:
    """Which of a run's seeds (runs, components) is nearest to each row, (runs, n).

    A seed is nearest to itself. Ties go to the first seed.
    """
    labels = []
    step = max(1, _ENTRIES // (seeds.shape[1] * rows.rounding.size))
    for some in (seeds[start : start + step] for start in range(0, len(seeds), step)):
        divergences = rows.divergences(rows.seeds(some.ravel())).reshape(*some.shape, -1)
        np.put_along_axis(divergences, some[:, :, np.newaxis], -1.0, axis=2)
        labels.append(_first_smallest(divergences.swapaxes(0, 1), rows.rounding))
    return np.concatenate(labels)


def initial_parameters(
    model: MixtureModel,
    sample: Block,
    n_components: int,
    init_params: str,
    n_starts: int | str,
    random_state: np.random.RandomState,
) -> MixtureParameters:
    """Parameters from which EM starts: the best of several after short runs on a sample (Biernacki et al. 2003).

    Parameters
    ----------
    model : MixtureModel
    sample : Block
        Distinct rows with their summed weights, in an order that depends only on their contents.
    n_components : int
    init_params : {"k-means++", "random_from_data", "random"}
    n_starts : int or "auto"
    random_state : RandomState
    """
    observations = model.components.read(sample)
    weight = sample.row_weight
    if n_components == 1:
        n_starts = 1  # all starts are the same
    if n_starts == "auto":
        row_cost = _ROW_COST + model.components.row_cost(sample.X.shape[1])
        n_starts = int(np.clip(_STARTS_COST // (sample.n_rows * n_components * row_cost), *_STARTS))
    shape = int(n_starts), n_components
    rows = model.components.seed_rows(sample, observations)
    if init_params == "random":
        q = random_state.standard_gamma(_CONCENTRATION, size=(*shape, sample.n_rows))
        responsibilities = q / q.sum(axis=1, keepdims=True)
    else:
        choose = kmeans_plusplus if init_params == "k-means++" else random_rows
        labels = nearest(rows, choose(rows, weight, shape, random_state))
        responsibilities = (labels[:, np.newaxis] == np.arange(n_components)[:, np.newaxis]).astype(np.float64)
    if model.components.n_fixed:
        noise = np.full((len(responsibilities), model.components.n_fixed, sample.n_rows), NOISE)
        responsibilities = np.concatenate([(1.0 - noise.sum(axis=1, keepdims=True)) * responsibilities, noise], axis=1)
    runs = ShortRuns(model, sample, observations, responsibilities)
    # Half as many proposals as starts, and at most one for each pair of a component that moves and one that is split.
    n_proposals = min(n_components * (n_components - 1), shape[0] // 2)
    return search(runs, rows, weight, n_proposals, random_state)


def _first_smallest(values: Array, rounding: FloatArray | float) -> Array:
    """Index, along the first axis, of the first value that equals the smallest up to rounding errors."""
    return (values <= values.min(axis=0) + rounding).argmax(axis=0)
