"""Linear latent-variable models with Gaussian observables."""

from ._factor_analysis import FactorAnalysis
from ._factorability import (
    ParallelAnalysis,
    SamplingAdequacy,
    SphericityTest,
    bartlett_sphericity,
    kmo,
    parallel_analysis,
)
from ._fit_indices import GoodnessOfFit
from ._ppca import PPCA

__all__ = [
    "PPCA",
    "FactorAnalysis",
    "GoodnessOfFit",
    "ParallelAnalysis",
    "SamplingAdequacy",
    "SphericityTest",
    "bartlett_sphericity",
    "kmo",
    "parallel_analysis",
]
