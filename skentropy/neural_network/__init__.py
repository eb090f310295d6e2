"""Networks of latent variables."""

from ._gaussian_vae import GaussianVAE
from ._sigmoid_belief_net import SigmoidBeliefNet

__all__ = ["GaussianVAE", "SigmoidBeliefNet"]
