"""Mixtures of exponential families."""

from ._gamma import GammaMixture
from ._poisson import PoissonMixture

__all__ = ["GammaMixture", "PoissonMixture"]
