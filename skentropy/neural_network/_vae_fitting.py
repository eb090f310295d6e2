"""The course of an autoencoder's fit: linear start, training, polish; and the linear model where nothing beats it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .._em import Run, State, Watcher
from .._typing import FloatArray
from ..decomposition._gaussian import LinearGaussian
from ..entropy import EntropySum
from ._autoencoder import Autoencoder, Sums, Units, polished
from ._vae_data import TrainingData
from ._vae_start import start_linear
from ._vae_training import NOISE_FLOOR, Nets, Objective, Training, train


@dataclass(frozen=True)
class Fitted:
    """A polished model, and the sums of the training data's posteriors."""

    model: Autoencoder
    sums: Sums


@dataclass(frozen=True)
class Fitting:
    """One fit's data and what it maximises.

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
        """The model with the best noise variances, offsets and scales of the latents."""
        tied, ridge = self.objective.tied, self.objective.ridge
        model, sums = polished(model, self.data.sums(model, self.units), tied=tied, ridge=ridge, floor=NOISE_FLOOR)
        return Fitted(model, sums.with_empty_rows(self.data.empty))

    def linear(self, linear: LinearGaussian, activation: str) -> Fitted:
        """The linear model as an autoencoder without hidden layers."""
        d, h = linear.shape
        nets = Nets.of_sizes((d, 2 * h), (h, d), activation)
        noise = start_linear(nets, linear)
        return self.polish(Autoencoder.trained(nets.encoder, nets.decoder, noise))

    def value(self, fitted: Fitted) -> float:
        """The objective: ELBO less the term of the ridge."""
        noise = fitted.model.noise
        return fitted.sums.elbo(noise) - fitted.sums.penalty(noise, self.objective.ridge)

    def elbo(self, fitted: Fitted) -> float:
        """Mean ELBO of the training data, nats per sample."""
        sums = fitted.sums
        return sums.elbo(fitted.model.noise) - float(sums.observed.sum()) / sums.weight * np.log(self.units.scale)

    def entropy_sum(self, sums: Sums, noise: FloatArray) -> EntropySum:
        """Entropy sum of the training data in the data's units."""
        return sums.entropy_sum(noise, ridge=self.objective.ridge, log_scale=float(np.log(self.units.scale)))

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
        """Train in place, and return the course of it; after Ctrl-C what there is."""
        run = Run(State(training, None, -np.inf, -np.inf))
        n_batches, batches = self.data.batches(self.units, batch_size, training.nets.vector.dtype)

        def on_epoch(sums: Sums) -> bool:
            terms = self._of_epoch(sums)
            run.entropy_sums.append(terms)
            run.lower_bounds.append(terms.value)
            run.state = State(training, None, terms.value, terms.value)
            return watcher.on_step(run)

        try:
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
        except KeyboardInterrupt:
            message = f"Training was interrupted after {run.n_iter} epochs; the model is that of the moment."
            warnings.warn(message, ConvergenceWarning, stacklevel=5)
        watcher.on_end(run)
        return run

    def _of_epoch(self, sums: Sums) -> EntropySum:
        """Entropy sum of the posteriors of an epoch, as a polish would leave it; the weights of the rows are relative."""
        noise = np.maximum(sums.noise(tied=self.objective.tied, ridge=self.objective.ridge), NOISE_FLOOR)
        polished_sums, _, _ = sums.standardised()
        empty = self.data.empty / self.data.weight
        return self.entropy_sum(polished_sums.with_empty_rows(empty * sums.weight), noise)


def in_nets(model: Autoencoder, nets: Nets) -> Autoencoder:
    """A model without hidden layers in nets that have some, whose last layers are zero."""
    encoder, decoder = (
        replace(copy, intercepts=[*copy.intercepts[:-1], theirs.intercepts[-1]], linear=theirs.linear)
        for copy, theirs in (
            (nets.encoder.astype(np.float64), model.encoder),
            (nets.decoder.astype(np.float64), model.decoder),
        )
    )
    return replace(model, encoder=encoder, decoder=decoder)
