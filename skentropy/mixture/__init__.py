"""Mixtures of exponential families."""

from ._exponential_family import ExponentialFamilyMixture
from ._gamma import GammaMixture
from ._gaussian_mixture import GaussianMixture
from ._poisson import PoissonMixture

__all__ = ["ExponentialFamilyMixture", "GammaMixture", "GaussianMixture", "PoissonMixture"]
