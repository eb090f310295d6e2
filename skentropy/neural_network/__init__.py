"""Networks of latent variables."""

from ._discrete_vae import BernoulliVAE, PoissonVAE
from ._gaussian_vae import GaussianVAE
from ._sigmoid_belief_net import SigmoidBeliefNet

__all__ = ["BernoulliVAE", "GaussianVAE", "PoissonVAE", "SigmoidBeliefNet"]
