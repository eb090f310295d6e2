"""Latent-variable estimators whose evidence lower bound is, once learning has converged, a sum of entropies."""

from ._data import RowBlocks
from ._em._checkpoint import Checkpoint
from ._standard_errors import StandardErrors
from .decomposition import PPCA, FactorAnalysis
from .entropy import EntropySum, entropy_sum
from .mixture import (
    ColumnMixture,
    DirichletMixture,
    ExponentialFamilyMixture,
    GammaMixture,
    GaussianMixture,
    MultinomialMixture,
    NegativeBinomialMixture,
    PoissonMixture,
    StudentTMixture,
    VonMisesFisherMixture,
    make_column_mixture,
)
from .model_selection import EntropySumSearch, ModelRanking, entropy_sum_scorer, rank_models
from .neural_network import BernoulliVAE, GaussianVAE, PoissonVAE, SigmoidBeliefNet

__version__ = "0.2.0"

__all__ = [
    "PPCA",
    "BernoulliVAE",
    "Checkpoint",
    "ColumnMixture",
    "DirichletMixture",
    "EntropySum",
    "EntropySumSearch",
    "ExponentialFamilyMixture",
    "FactorAnalysis",
    "GammaMixture",
    "GaussianMixture",
    "GaussianVAE",
    "ModelRanking",
    "MultinomialMixture",
    "NegativeBinomialMixture",
    "PoissonMixture",
    "PoissonVAE",
    "RowBlocks",
    "SigmoidBeliefNet",
    "StandardErrors",
    "StudentTMixture",
    "VonMisesFisherMixture",
    "__version__",
    "entropy_sum",
    "entropy_sum_scorer",
    "make_column_mixture",
    "rank_models",
]
