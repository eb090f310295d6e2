"""Short runs of EM side by side on a sample of rows; runs that fall behind are dropped."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._data import Block
from .._typing import Array, FloatArray
from ..families._base import exp_or_zero, safe_log
from ._model import MixtureModel, MixtureParameters

# This share of an average cluster, distributed like all rows, is added to each cluster that starts a run.
_CLUSTER_PRIOR = 0.05
# Number of EM steps before the first comparison, the factor by which it grows before each further comparison, and its limit.
_FIRST_STEPS = 10
_FIRST_STEPS_OF_CHALLENGERS = 6
_MORE_STEPS = 1.5
_MOST_STEPS = 40
# Number of further steps of the winner, which show whether it collapses.
_LAST_STEPS = 20
# A run is dropped if it is behind by more than this multiple of the gain of the second half of its last steps.
_CATCHES_UP = 5.0
# Runs whose objectives differ by fewer nats per sample have found the same maximum. The difference is absolute, since
# objectives contain the logarithms of units.
_SAME_MAXIMUM = 1e-5
# The objective of a run that loses to all others.
_LAST = -1e300


class ShortRuns:
    """Plain EM for several mixtures at once: except in the E-step, R runs of K components are one mixture of R K components.

    Parameters
    ----------
    model : MixtureModel
    sample : Block
    observations
        The sample as the components have read it.
    responsibilities : ndarray of shape (R, K, n_rows)
        The responsibilities from which each run starts.
    """

    def __init__(self, model: MixtureModel, sample: Block, observations: Any, responsibilities: FloatArray) -> None:
        self._model_components, self._observations = model.components, observations
        self._weight = sample.row_weight
        self._total = self._weight.sum()
        self.collapses = False  # whether all runs of the last race did
        self._given_up: list[tuple[float, MixtureParameters]] = []
        self.start(responsibilities)

    def start(self, responsibilities: FloatArray) -> None:
        """Start runs, which replace the earlier ones."""
        n_runs, self._n_components, _ = responsibilities.shape
        self._components = self._model_components.for_runs(n_runs)
        n_all = n_runs * self._n_components
        pooled = self._components.pooled_parameters(n_all)
        self._evidence = self._components.observe(pooled, self._observations, np.zeros(n_all))
        self._responsibilities = responsibilities * self._weight
        self._parameters = self._maximize(_CLUSTER_PRIOR)
        self._expect()

    def objectives(self) -> FloatArray:
        """The objective of each run, nats per sample, up to a constant of the data."""
        log_likelihoods = (np.log(self._normaliser) + self._largest) @ self._weight
        log_prior = self._components.log_prior(self._parameters.components, None)
        return np.asarray((log_likelihoods + log_prior.reshape(len(log_likelihoods), -1).sum(axis=1)) / self._total)

    def log_joint(self) -> FloatArray:
        """Log joint densities (K, n_rows) of the remaining run."""
        parameters = self._parameters
        return self._components.observe(parameters.components, self._observations, parameters.log_weights).log_joint

    def race(self) -> None:
        """Let the runs compete until one is left; each comparison drops at least half of them.

        Of runs that have found the same maximum the first one continues. A run with a collapsing component loses to all
        others.
        """
        if len(self._responsibilities) > 1:
            self._compete(_FIRST_STEPS, -np.inf)

    def challenge(self, responsibilities: FloatArray) -> bool:
        """Let runs from other starts compete, and the one that is left then with that before; return whether it wins."""
        objective, parameters = float(self.objectives()[0]), self._parameters
        to_beat = objective + _SAME_MAXIMUM
        self.start(responsibilities)
        if self._compete(_FIRST_STEPS_OF_CHALLENGERS, to_beat) > to_beat:
            self._given_up.append((objective, parameters))
            return True
        self._set(parameters, 1)
        return False

    def _compete(self, n_steps: float, to_beat: float) -> float:
        """Let the runs compete until one is left; return its objective, or minus infinity if none can reach ``to_beat``."""
        while True:
            objectives, gains, collapses = self._run(int(n_steps))
            ahead = np.where(collapses | np.isnan(objectives), _LAST, objectives)
            within_reach = ahead + _CATCHES_UP * np.fmax(gains, 0.0) >= to_beat
            survivors = [run for run in self._survivors(ahead, gains) if within_reach[run]]
            if not survivors:
                return -np.inf
            highest = float(ahead[survivors].max())
            others = np.flatnonzero((ahead < highest - _SAME_MAXIMUM) & (ahead > _LAST))
            others = others[~np.isin(others, survivors)]
            if others.size:
                best = int(others[ahead[others].argmax()])
                self._given_up.append((float(ahead[best]), self._of_runs([best])))
            self.collapses = highest == _LAST
            self._set(self._of_runs(survivors), len(survivors))
            if len(survivors) == 1:
                return highest
            n_steps = min(_MORE_STEPS * n_steps, _MOST_STEPS)

    def best(self) -> MixtureParameters:
        """Parameters of the remaining run; if it collapses, those of the best run that was dropped."""
        winner = self._parameters
        if not self._given_up or self._components.discrete:
            return winner
        for other in [winner, *(given_up for _, given_up in sorted(self._given_up, key=lambda pair: -pair[0]))]:
            self._set(other, 1)
            if not self._run(_LAST_STEPS)[2].any():
                return self._parameters
        return winner

    def _run(self, n_steps: int) -> tuple[FloatArray, FloatArray, Array]:
        """Take some steps; return the objectives, the gains of the second half of the steps, and which runs collapse."""
        for step in range(n_steps):
            if step == n_steps // 2:
                halfway, before = self.objectives(), self._parameters
            self._parameters = self._maximize()
            self._expect()
        objectives = self.objectives()
        collapsed = self._components.collapsed(before.components, self._parameters.components)
        return objectives, objectives - halfway, np.any(collapsed.reshape(len(objectives), -1), axis=1)

    @staticmethod
    def _survivors(ahead: FloatArray, gains: FloatArray) -> list[int]:
        remaining, survivors = list(range(len(ahead))), list[int]()
        while remaining and len(survivors) < max(1, len(ahead) // 2):
            highest = ahead[remaining].max()
            first = next(run for run in remaining if ahead[run] >= highest - _SAME_MAXIMUM)
            if survivors and not ahead[survivors[0]] - ahead[first] <= _CATCHES_UP * gains[first]:
                break
            survivors.append(first)
            remaining = [run for run in remaining if run != first and not ahead[first] - ahead[run] <= _SAME_MAXIMUM]
        return sorted(survivors)

    def _of_runs(self, runs: list[int]) -> MixtureParameters:
        components = (np.array(runs)[:, np.newaxis] * self._n_components + np.arange(self._n_components)).ravel()
        parameters = self._parameters
        return MixtureParameters(
            parameters.log_weights[components],
            self._components.select(parameters.components, components, len(runs)),
        )

    def _set(self, parameters: MixtureParameters, n_runs: int) -> None:
        """Continue with other parameters."""
        self._components, self._parameters = self._components.for_runs(n_runs), parameters
        self._expect()

    def _expect(self) -> None:
        """Weighted responsibilities."""
        parameters = self._parameters
        self._evidence = self._components.observe(parameters.components, self._observations, parameters.log_weights)
        log_joint = self._evidence.log_joint.reshape(-1, self._n_components, self._weight.size)
        largest = log_joint.max(axis=1)
        log_joint -= largest[:, np.newaxis]
        q = exp_or_zero(log_joint, out=log_joint)
        self._normaliser, self._largest = q.sum(axis=1), largest
        q *= (self._weight / self._normaliser)[:, np.newaxis]
        self._responsibilities = q

    def _maximize(self, average: float = 0.0) -> MixtureParameters:
        """M-step for all runs; each component also gets a share of an average component, distributed like all rows."""
        n_runs = len(self._responsibilities)
        q = self._responsibilities.reshape(-1, self._weight.size)
        statistics = self._evidence.accumulate(q)
        if average:
            statistics = self._components.with_average_rows(statistics, average, n_runs)
        log_weights = safe_log(q.sum(axis=1) / self._total)
        return MixtureParameters(log_weights, self._components.maximize(statistics))
