"""Short runs of EM side by side on one sample of rows, of which those that fall behind are given up."""

from __future__ import annotations

import numpy as np

from .._data import Block
from .._typing import Array, FloatArray
from ._model import MixtureModel, MixtureParameters, MixtureStatistics, Observations

# A cluster that starts a run is joined by this share of an average one, that is like all rows.
_CLUSTER_PRIOR = 0.05
# EM steps before the first comparison; from one to the next there are so many times more, up to a limit.
_FIRST_STEPS = 10
_MORE_STEPS = 1.5
_MOST_STEPS = 40
# Steps in which the winner shows whether it collapses.
_LAST_STEPS = 20
# A run that is behind by more than this many times what it gained in the second half of its last steps is given up.
_CATCHES_UP = 5.0
# Nats per sample: runs that differ by less have found the same maximum. Absolute, since a unit's logarithm is in objectives.
_SAME_MAXIMUM = 1e-5
# A component that has this share of the pooled variance, and of that of a few steps ago, collapses onto a single value.
_COLLAPSED = 1e-3
_COLLAPSING = 0.5
# The objective of a run that any other overtakes.
_LAST = -1e300


class ShortRuns:
    """Plain EM for several mixtures at once: R runs of K components are one mixture of R K components, but in the E-step.

    Parameters
    ----------
    model : MixtureModel
    sample : Block
    observations : Observations
        Those of the sample.
    responsibilities : ndarray of shape (R, K, n_rows)
        Of the rows for the components that each run starts from.
    """

    def __init__(self, model: MixtureModel, sample: Block, observations: Observations, responsibilities: FloatArray) -> None:
        self._model, self._observations = model, observations
        self._weight = np.ones(sample.n_rows) if sample.weight is None else sample.weight
        self._n_components = responsibilities.shape[1]
        self._parameters = self._maximize(responsibilities * self._weight, _CLUSTER_PRIOR)
        self._responsibilities, self._objectives = self._expect()

    def best(self) -> MixtureParameters:
        """Parameters of the run that wins a race in which at least half of the runs are given up at a time.

        Of runs that have come to the same maximum the first goes on. A run in which a component collapses is overtaken by
        all others; one that wins and collapses then gives way to the best of those that were given up.
        """
        n_steps = float(_FIRST_STEPS)
        given_up: list[tuple[float, MixtureParameters]] = []
        while len(self._objectives) > 1:
            gains, collapses = self._run(int(n_steps))
            ahead = np.where(collapses | np.isnan(self._objectives), _LAST, self._objectives)
            survivors = self._survivors(ahead, gains)
            others = np.flatnonzero((ahead < ahead[survivors].max() - _SAME_MAXIMUM) & (ahead > _LAST))
            others = others[~np.isin(others, survivors)]
            if others.size:
                best = int(others[ahead[others].argmax()])
                given_up.append((float(ahead[best]), self._of_runs([best])))
            self._parameters = self._of_runs(survivors)
            self._responsibilities, self._objectives = self._responsibilities[survivors], self._objectives[survivors]
            n_steps = min(_MORE_STEPS * n_steps, _MOST_STEPS)
        if not given_up or self._model.family.discrete:
            return self._parameters
        winner = self._parameters
        for _, other in [(0.0, winner), *sorted(given_up, key=lambda pair: -pair[0])]:
            self._parameters = other
            self._responsibilities, self._objectives = self._expect()
            if not self._run(_LAST_STEPS)[1].any():
                return self._parameters
        return winner

    def _run(self, n_steps: int) -> tuple[FloatArray, Array]:
        """What the second half of so many steps has gained, and whether a component collapses."""
        for step in range(n_steps):
            if step == n_steps // 2:
                halfway, variances = self._objectives, self._variances()
            self._parameters = self._maximize(self._responsibilities)
            self._responsibilities, self._objectives = self._expect()
        return self._objectives - halfway, self._degenerate(variances)

    @staticmethod
    def _survivors(ahead: FloatArray, gains: FloatArray) -> list[int]:
        remaining, survivors = list(range(len(ahead))), list[int]()
        while remaining and len(survivors) < len(ahead) // 2:
            highest = ahead[remaining].max()
            first = next(run for run in remaining if ahead[run] >= highest - _SAME_MAXIMUM)
            if survivors and not ahead[survivors[0]] - ahead[first] <= _CATCHES_UP * gains[first]:
                break
            survivors.append(first)
            remaining = [run for run in remaining if run != first and not ahead[first] - ahead[run] <= _SAME_MAXIMUM]
        return sorted(survivors)

    def _variances(self) -> FloatArray | None:
        """Of all components and columns; None where the family is discrete, and nothing can collapse."""
        family = self._model.family
        with np.errstate(all="ignore"):
            return None if family.discrete else family.moments(self._parameters.eta)[1]

    def _degenerate(self, variances_before: FloatArray | None) -> Array:
        family, variances = self._model.family, self._variances()
        n_runs, pooled = len(self._objectives), family.natural(self._model.pooled)
        collapsed = family.at_bound(self._parameters.eta)
        if variances is not None and variances_before is not None:
            with np.errstate(all="ignore"):
                narrow = variances < _COLLAPSED * family.moments(pooled)[1]
            collapsed |= narrow & (variances < _COLLAPSING * variances_before)
        return np.any((collapsed & ~family.at_bound(pooled)).reshape(n_runs, -1), axis=1)

    def _of_runs(self, runs: list[int]) -> MixtureParameters:
        components = (np.array(runs)[:, np.newaxis] * self._n_components + np.arange(self._n_components)).ravel()
        parameters = self._parameters
        return MixtureParameters(
            parameters.log_weights[components], parameters.eta[:, components], parameters.log_partition[components]
        )

    def _expect(self) -> tuple[FloatArray, FloatArray]:
        """Weighted responsibilities, and what each run maximises up to a constant of the data, nats per sample."""
        model, parameters = self._model, self._parameters
        log_joint, largest = model.log_joint(parameters, self._observations)
        log_joint = log_joint.reshape(-1, self._n_components, self._weight.size)
        own_largest = log_joint.max(axis=1)
        log_joint -= own_largest[:, np.newaxis]
        q = np.exp(log_joint, out=log_joint)
        normaliser = q.sum(axis=1)
        objectives = (np.log(normaliser) + own_largest + largest) @ self._weight
        if model.prior_counts:
            inner = (parameters.eta * np.expand_dims(model.pooled, -2)).sum(axis=0)
            log_prior = (inner - parameters.log_partition).reshape(len(q), -1).sum(axis=1)
            objectives = objectives + model.prior_counts * log_prior
        q *= (self._weight / normaliser)[:, np.newaxis]
        return q, objectives / self._weight.sum()

    def _maximize(self, responsibilities: FloatArray, prior: float = 0.0) -> MixtureParameters:
        """M-step for all runs; ``prior`` is a share of an average component that is added to each, like all rows."""
        q = responsibilities.reshape(-1, self._weight.size)
        exposures = self._observations.column_sums(q)
        sums = np.stack([(T.T @ q.T).T for T in self._observations.statistics])
        if prior:
            by_run = exposures.reshape(-1, self._n_components, exposures.shape[1])
            added = prior * by_run.mean(axis=1).repeat(self._n_components, axis=0)
            exposures, sums = exposures + added, sums + added * self._model.pooled[:, np.newaxis]
        return self._model.maximize(
            MixtureStatistics(
                weight=float(self._weight.sum()),
                log_likelihood=0.0,
                posterior_entropy=0.0,
                classification=0.0,
                counts=q.sum(axis=1),
                exposures=exposures,
                sums=sums,
            )
        )
