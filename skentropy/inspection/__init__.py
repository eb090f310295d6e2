"""Figures of fits; matplotlib is imported only when one is drawn."""

from ._displays import EntropyDecompositionDisplay, LatentInformationDisplay, ModelRankingDisplay

__all__ = ["EntropyDecompositionDisplay", "LatentInformationDisplay", "ModelRankingDisplay"]
