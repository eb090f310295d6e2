"""Mixtures of exponential families."""

from ._column_mixture import ColumnMixture, make_column_mixture
from ._exponential_family import ExponentialFamilyMixture
from ._gamma import GammaMixture
from ._gaussian_mixture import GaussianMixture
from ._multinomial import MultinomialMixture
from ._negative_binomial import NegativeBinomialMixture
from ._poisson import PoissonMixture
from ._prior import NormalInverseWishart
from ._student_mixture import StudentTMixture

__all__ = [
    "ColumnMixture",
    "ExponentialFamilyMixture",
    "GammaMixture",
    "GaussianMixture",
    "MultinomialMixture",
    "NegativeBinomialMixture",
    "NormalInverseWishart",
    "PoissonMixture",
    "StudentTMixture",
    "make_column_mixture",
]
