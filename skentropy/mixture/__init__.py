"""Mixtures of exponential families."""

from ._column_mixture import ColumnMixture, make_column_mixture
from ._dirichlet import DirichletMixture
from ._exponential_family import ExponentialFamilyMixture
from ._gamma import GammaMixture
from ._gaussian_mixture import GaussianMixture
from ._multinomial import MultinomialMixture
from ._negative_binomial import NegativeBinomialMixture
from ._poisson import PoissonMixture
from ._prior import NormalInverseWishart
from ._student_mixture import StudentTMixture
from ._von_mises_fisher import VonMisesFisherMixture

__all__ = [
    "ColumnMixture",
    "DirichletMixture",
    "ExponentialFamilyMixture",
    "GammaMixture",
    "GaussianMixture",
    "MultinomialMixture",
    "NegativeBinomialMixture",
    "NormalInverseWishart",
    "PoissonMixture",
    "StudentTMixture",
    "VonMisesFisherMixture",
    "make_column_mixture",
]
