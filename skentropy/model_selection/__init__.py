"""Choose among models by the closed form of their ELBO."""

from ._bootstrap import BootstrapResult, bootstrap
from ._bootstrap_lrt import BootstrapLRTResult, bootstrap_lrt
from ._jacobian import log_jacobian
from ._rank_models import rank_models
from ._ranking import ModelRanking, RankedModel
from ._scorer import entropy_sum_scorer, stationarity_gap_scorer
from ._search import EntropySumSearch
from ._stability import StabilityResult, stability

__all__ = [
    "BootstrapLRTResult",
    "BootstrapResult",
    "EntropySumSearch",
    "ModelRanking",
    "RankedModel",
    "StabilityResult",
    "bootstrap",
    "bootstrap_lrt",
    "entropy_sum_scorer",
    "log_jacobian",
    "rank_models",
    "stability",
    "stationarity_gap_scorer",
]
