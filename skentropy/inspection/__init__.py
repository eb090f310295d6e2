"""Figures of fits; matplotlib is imported only when one is drawn."""

from ._displays import EntropyDecompositionDisplay, LatentInformationDisplay
from ._ranking_display import ModelRankingDisplay

__all__ = ["EntropyDecompositionDisplay", "LatentInformationDisplay", "ModelRankingDisplay"]
