"""Latent-variable estimators whose evidence lower bound is, once learning has converged, a sum of entropies."""

from ._reading import RowBlocks
from .decomposition import PPCA, FactorAnalysis
from .entropy import EntropySum
from .mixture import ExponentialFamilyMixture, GammaMixture, PoissonMixture
from .neural_network import SigmoidBeliefNet

__version__ = "0.1.0"

__all__ = [
    "PPCA",
    "EntropySum",
    "ExponentialFamilyMixture",
    "FactorAnalysis",
    "GammaMixture",
    "PoissonMixture",
    "RowBlocks",
    "SigmoidBeliefNet",
    "__version__",
]
