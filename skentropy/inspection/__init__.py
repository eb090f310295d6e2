"""Figures of fits, for which matplotlib is imported when one is drawn, and the summaries that ``summary()`` returns."""

from .._tables import Column, Summary, Table
from ._displays import EntropyDecompositionDisplay, LatentInformationDisplay
from ._loadings_display import BiplotDisplay, LoadingsDisplay
from ._profile_display import ComponentProfileDisplay
from ._ranking_display import ModelRankingDisplay

__all__ = [
    "BiplotDisplay",
    "Column",
    "ComponentProfileDisplay",
    "EntropyDecompositionDisplay",
    "LatentInformationDisplay",
    "LoadingsDisplay",
    "ModelRankingDisplay",
    "Summary",
    "Table",
]
