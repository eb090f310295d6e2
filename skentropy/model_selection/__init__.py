"""Choosing among models by the closed form of their ELBO."""

from ._jacobian import log_jacobian
from ._rank_models import rank_models
from ._ranking import ModelRanking, RankedModel
from ._scorer import entropy_sum_scorer, stationarity_gap_scorer
from ._search import EntropySumSearch

__all__ = [
    "EntropySumSearch",
    "ModelRanking",
    "RankedModel",
    "entropy_sum_scorer",
    "log_jacobian",
    "rank_models",
    "stationarity_gap_scorer",
]
