"""Latent-variable estimators whose evidence lower bound is, once learning has converged, a sum of entropies."""

from .entropy import EntropySum
from .mixture import ExponentialFamilyMixture, GammaMixture, PoissonMixture

__version__ = "0.1.0"

__all__ = ["EntropySum", "ExponentialFamilyMixture", "GammaMixture", "PoissonMixture", "__version__"]
