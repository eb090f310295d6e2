"""Variational autoencoders of digits in PyTorch: a loop as one writes it, and pythae; each bound by draws from the posteriors.

Both are called in processes of their own, and return held-out ELBO, importance-weighted bound, and CPU seconds.
"""

from __future__ import annotations

import contextlib
import logging
import math
import tempfile
import time
from collections.abc import Callable
from typing import Any

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

HIDDEN, BATCH, DRAWS = 128, 100, 100
LOG_2PI = math.log(2.0 * math.pi)
Result = tuple[float, float, float]


def digits() -> tuple[torch.Tensor, torch.Tensor]:
    parts = train_test_split(load_digits().data / 16, test_size=0.25, random_state=0)
    return tuple(torch.tensor(part, dtype=torch.float32) for part in parts)


@torch.no_grad()
def bounds(encode: Callable[..., Any], decode: Callable[..., Any], log_noise: Any, X: torch.Tensor) -> tuple[float, float]:
    """Mean ELBO and importance-weighted bound of rows, nats per row."""
    m, log_v = encode(X)
    weights = []
    for _ in range(DRAWS):
        draw = torch.randn_like(m)
        z = m + torch.exp(0.5 * log_v) * draw
        fit = -0.5 * (LOG_2PI + log_noise + (X - decode(z)) ** 2 * math.exp(-log_noise)).sum(1)
        weights.append(fit - 0.5 * (z**2 - draw**2 - log_v).sum(1))
    weights = torch.stack(weights)
    return float(weights.mean()), float((torch.logsumexp(weights, 0) - math.log(DRAWS)).mean())


def loop(h: int, epochs: int, learning_rate: float, seed: int) -> Result:
    """The nets of ``GaussianVAE`` without its linear paths, and Adam on the ELBO of one draw a row, slowing as a cosine does."""
    torch.manual_seed(seed)
    train, test = digits()
    d = train.shape[1]
    encoder = nn.Sequential(nn.Linear(d, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, 2 * h))
    decoder = nn.Sequential(nn.Linear(h, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, d))
    log_noise = nn.Parameter(torch.zeros(()))
    started = time.process_time()
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters(), log_noise], lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for _ in range(epochs):
        for index in torch.randperm(len(train)).split(BATCH):
            x = train[index]
            m, log_v = encoder(x).chunk(2, dim=1)
            squares = (x - decoder(m + torch.exp(0.5 * log_v) * torch.randn_like(m))) ** 2
            loss = 0.5 * (LOG_2PI + log_noise + squares * torch.exp(-log_noise)).sum()
            divergence = 0.5 * (m**2 + torch.exp(log_v) - 1.0 - log_v).sum()
            optimizer.zero_grad()
            ((loss + divergence) / len(x)).backward()
            optimizer.step()
        schedule.step()
    seconds = time.process_time() - started
    return *bounds(lambda X: encoder(X).chunk(2, dim=1), decoder, float(log_noise.detach()), test), seconds


def pythae(h: int, epochs: int, learning_rate: float, seed: int, noise: float) -> Result:
    """pythae's ``VAE`` with its own encoder, and a decoder that is not confined to probabilities as its own is.

    Its noise variance is 1, so that it is given data in such units that ``noise`` is 1.
    """
    from pythae.models import VAE, VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder
    from pythae.pipelines import TrainingPipeline
    from pythae.trainers import BaseTrainerConfig

    class Decoder(BaseDecoder):
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(h, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, 64))

        def forward(self, z: torch.Tensor) -> ModelOutput:
            return ModelOutput(reconstruction=self.net(z))

    logging.disable(logging.INFO)
    torch.manual_seed(seed)
    train, test = (part / math.sqrt(noise) for part in digits())
    model = VAE(VAEConfig(input_dim=(train.shape[1],), latent_dim=h), decoder=Decoder())
    with tempfile.TemporaryDirectory() as folder, open("/dev/null", "w") as nowhere:
        config = BaseTrainerConfig(
            output_dir=folder,
            num_epochs=epochs,
            learning_rate=learning_rate,
            per_device_train_batch_size=BATCH,
            seed=seed,
            no_cuda=True,
        )
        started = time.process_time()
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            TrainingPipeline(training_config=config, model=model)(train_data=train)
        seconds = time.process_time() - started
    model.eval()

    def encode(X: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        outputs = model.encoder(X)
        return outputs.embedding, outputs.log_covariance

    elbo, importance_weighted = bounds(encode, lambda z: model.decoder(z).reconstruction, 0.0, test)
    jacobian = -0.5 * train.shape[1] * math.log(noise)
    return elbo + jacobian, importance_weighted + jacobian, seconds
