"""Start a fit with one more component: a fitted mixture plus the component that raises its likelihood most."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import numpy as np
from scipy.special import softmax

from .._data import Block, Rows, hash_rows
from .._em import keep_arguments
from .._typing import FloatArray
from ._components import Components
from ._joint import Sums
from ._model import MixtureModel, MixtureParameters
from ._survey import pooled_summary

# Number of rows around which components are tried, and the share of a new component that is distributed like all rows.
_CANDIDATES, _POOLED = 64, 0.05
# The least and the largest weight with which a new component starts.
_WEIGHTS = (1e-4, 0.5)


def with_one_more(mixture: Any, rows: Rows) -> Any | None:
    r"""A fitted mixture with one more component, for a warm start; None if no candidate would raise the likelihood.

    A component of weight :math:`\epsilon` changes the mean log-likelihood by
    :math:`\epsilon\, E[r_n - 1] - \tfrac12 \epsilon^2 E[(r_n - 1)^2]` to second order, with :math:`r_n` the ratio of its
    density to the mixture's at row n. Among components around single rows the one with the largest gain is chosen
    (Lindsay 1983).
    """
    _, first = np.unique(hash_rows(rows.X, rows.exposure, 0), return_index=True)
    model, parameters = mixture._fitted_model(rows)
    ready = mixture._ready(rows)
    components = model.components.with_pooled(ready.sum(partial(pooled_summary, components=model.components)))
    log_density = ready.map(partial(_log_density, model, parameters))
    chosen = first[np.argsort(log_density[first], kind="stable")[:_CANDIDATES]]
    clusters = components.clusters
    candidates = _around(clusters.for_runs(len(chosen)), ready.take(chosen, np.ones(len(chosen))))
    slope, curvature = ready.sum(partial(_expansion, model, parameters, candidates))
    gain = np.where(slope > 0.0, slope**2 / curvature, 0.0)
    best = int(gain.argmax())
    if not gain[best] > 0.0:
        return None
    weight = float(np.clip(slope[best] / curvature[best], *_WEIGHTS))
    new = clusters.select(candidates.components, np.array([best]), 1)
    counts, statistics = ready.sum(partial(_step, components, parameters, new, weight))
    more = copy.copy(mixture).set_params(n_components=mixture.n_components + 1)
    more.weights_ = (counts / counts.sum()).astype(mixture.weights_.dtype)
    standard = components.standard(components.maximize(statistics))
    for name, value in more._named_parameters(components, standard, more.weights_.dtype).items():
        setattr(more, name, value)
    keep_arguments(more)
    return more


def _around(components: Components, sample: Block) -> MixtureParameters:
    """A component around each row of a sample, each of weight one."""
    n = sample.n_rows
    evidence = components.observe(components.pooled_parameters(n), components.read(sample), np.zeros(n))
    statistics = components.with_average_rows(evidence.accumulate(np.eye(n)), _POOLED, n)
    return MixtureParameters(np.zeros(n), components.maximize(statistics))


def _log_density(model: MixtureModel, parameters: MixtureParameters, block: Block) -> FloatArray:
    return model.posterior(parameters, model.components.read(block))[0]


def _expansion(
    model: MixtureModel, parameters: MixtureParameters, candidates: MixtureParameters, block: Block
) -> FloatArray:
    """Sums of w (r - 1) and w (r - 1)^2 for each candidate, (2, n)."""
    clusters = model.components.clusters
    log_p = clusters.observe(candidates.components, clusters.read(block), candidates.log_weights).log_joint
    with np.errstate(over="ignore"):
        excess = np.expm1(log_p - _log_density(model, parameters, block))
    weight = block.row_weight
    return np.stack([excess @ weight, excess**2 @ weight])


def _step(components: Components, parameters: MixtureParameters, new: Any, weight: float, block: Block) -> Sums:
    """Statistics of an EM step for the mixture and a new component with some weight."""
    observations = components.read(block)
    offsets = parameters.log_weights + np.log1p(-weight)
    log_joint = components.observe(parameters.components, observations, offsets).log_joint
    clusters = components.clusters
    of_new = clusters.observe(new, clusters.read(block), np.log([weight])).log_joint
    log_joint = np.insert(log_joint, len(log_joint) - components.n_fixed, of_new, axis=0)
    q = softmax(log_joint, axis=0)
    if block.weight is not None:
        q *= block.weight
    evidence = components.observe(components.pooled_parameters(len(q)), observations, np.zeros(len(q)))
    return Sums((q.sum(axis=1), evidence.accumulate(q)))
