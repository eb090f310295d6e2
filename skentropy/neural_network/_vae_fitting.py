"""The course of an autoencoder's fit: linear start, training, polish; the linear model is kept if nothing beats it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .._em import Interruption, Run, State, Watcher
from .._entropy_sum import EntropySum
from ._autoencoder import Autoencoder, polish
from ._vae_data import TrainingData
from ._vae_observables import Observable
from ._vae_sums import Sums
from ._vae_training import Nets, Objective, Training, train
from ._vae_units import Units

# Largest number of Newton steps for the optimal scale of a decoder's outputs, and the precision that ends them.
_NEWTON_STEPS, _EXACT = 30, 1e-12


@dataclass(frozen=True)
class Fitted:
    """A polished model, and the sums of the training data's posteriors."""

    model: Autoencoder
    sums: Sums


@dataclass(frozen=True)
class Fitting:
    """The data and the objective of a fit.

    Attributes
    ----------
    data : TrainingData
    units : Units
    objective : Objective
    """

    data: TrainingData
    units: Units
    objective: Objective

    def polish(self, model: Autoencoder) -> Fitted:
        """Set the optimal noise variances, scale of the outputs, and offsets and scales of the latents."""
        sums = self.data.sums(model, self.units)
        for _ in range(_NEWTON_STEPS):
            factor = model.observable.output_scale(sums)
            if abs(factor - 1.0) < _EXACT:
                break
            model = model.scaled_outputs(factor)
            sums = self.data.sums(model, self.units)
        model, sums = polish(model, sums, tied=self.objective.tied, ridge=self.objective.ridge)
        return Fitted(model, sums.with_empty_rows(self.data.empty))

    def finish(self, model: Autoencoder, run: Run) -> Fitted:
        """Polish the end of a run. The first Ctrl-C restarts the polish, since no model exists without it."""
        if not run.interrupted:
            with Interruption().caught(run):
                return self.polish(model)
        return self.polish(model)

    def value(self, fitted: Fitted) -> float:
        """The objective: ELBO minus the term of the ridge."""
        observable = fitted.model.observable
        return fitted.sums.elbo(observable) - fitted.sums.penalty(observable, self.objective.ridge)

    def elbo(self, sums: Sums, observable: Observable) -> float:
        """Mean ELBO of the training data in their own units, nats per sample."""
        return sums.elbo(observable) + sums.log_jacobian(self.units)

    def entropy_sum(self, sums: Sums, observable: Observable) -> EntropySum:
        """Entropy sum of the training data in their own units."""
        return sums.entropy_sum(observable, ridge=self.objective.ridge, log_jacobian=sums.log_jacobian(self.units))

    def run_of(self, fitted: Fitted) -> Run:
        """A run that consists of a single step."""
        sums, observable = fitted.sums, fitted.model.observable
        elbo = self.elbo(sums, observable)
        return Run(State(None, None, elbo, elbo), [elbo], [self.entropy_sum(sums, observable)], True)

    def train(
        self,
        training: Training,
        watcher: Watcher,
        rng: np.random.Generator,
        *,
        batch_size: int,
        shuffle: bool,
        n_epochs: int,
        learning_rate: float,
    ) -> Run:
        """Train in place, and return the run; after Ctrl-C the run so far."""
        run = Run(State(training, None, np.nan, np.nan))
        n_batches, batches = self.data.batches(self.units, batch_size, training.nets.vector.dtype)

        def on_epoch(sums: Sums) -> bool:
            terms, elbo = self._of_epoch(sums, training.observable)
            run.entropy_sums.append(terms)
            run.lower_bounds.append(elbo)
            run.state = State(training, None, elbo, elbo)
            return watcher.on_step(run)

        with Interruption().caught(run):
            run.converged = train(
                training,
                self.objective,
                lambda: batches(rng if shuffle else None),
                n_batches=n_batches,
                n_epochs=n_epochs,
                learning_rate=learning_rate,
                rng=rng,
                on_epoch=on_epoch,
            )
        watcher.on_end(run)
        return run

    def _of_epoch(self, sums: Sums, observable: Observable) -> tuple[EntropySum, float]:
        """Entropy sum and ELBO of the posteriors of an epoch, with closed-form parameters only; weights are relative."""
        observable = observable.polish(sums, tied=self.objective.tied, ridge=self.objective.ridge)
        standardised, _, _ = sums.standardised()
        standardised = standardised.with_empty_rows(self.data.empty / self.data.weight * sums.weight)
        return self.entropy_sum(standardised, observable), self.elbo(standardised, observable)


def in_nets(model: Autoencoder, nets: Nets) -> Autoencoder:
    """Put a model without hidden layers into nets with hidden layers, whose last layers are zero."""
    encoder, decoder = (
        replace(copy, intercepts=[*copy.intercepts[:-1], theirs.intercepts[-1]], linear=theirs.linear)
        for copy, theirs in (
            (nets.encoder.astype(np.float64), model.encoder),
            (nets.decoder.astype(np.float64), model.decoder),
        )
    )
    return replace(model, encoder=encoder, decoder=decoder)
