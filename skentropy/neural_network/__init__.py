"""Networks of binary latent variables."""

from ._sigmoid_belief_net import SigmoidBeliefNet

__all__ = ["SigmoidBeliefNet"]
