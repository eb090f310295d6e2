"""Figures of fits, and the classes of summaries; matplotlib is only imported when a figure is drawn."""

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
