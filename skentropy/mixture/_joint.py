"""Blocks of columns as one kind of components: sums over the blocks, or concatenations of their parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._typing import Array, FloatArray
from ._components import ComponentMetric, Evidence, Limits, SeedRows


class Sums(tuple[Any, ...]):
    """Several statistics, which are added one by one."""

    def __add__(self, other: Any) -> Sums:
        return Sums(a + b for a, b in zip(self, other, strict=True))


@dataclass(frozen=True)
class JointEvidence:
    """Log joint densities (K, n) of all columns, and the evidence of each block."""

    log_joint: FloatArray
    parts: list[Evidence]

    def accumulate(self, weights: FloatArray) -> Sums:
        return Sums(part.accumulate(weights) for part in self.parts)


@dataclass(frozen=True)
class JointSeedRows:
    """Rows as seeds: divergences of blocks of columns add."""

    parts: list[SeedRows]

    @property
    def rounding(self) -> FloatArray:
        return np.asarray(sum(part.rounding for part in self.parts))

    def seeds(self, rows: Array) -> list[Any]:
        return [part.seeds(rows) for part in self.parts]

    def divergences(self, seeds: list[Any]) -> FloatArray:
        return np.asarray(sum(part.divergences(own) for part, own in zip(self.parts, seeds, strict=True)))


class JointLimits:
    """The limits of all blocks of columns."""

    def __init__(self, parts: list[Limits], parameters: tuple[Any, ...]) -> None:
        self._parts = parts
        sizes = [part.near(own).size for part, own in zip(parts, parameters, strict=True)]
        self._edges = np.cumsum(sizes)[:-1]

    def near(self, parameters: Any) -> Array:
        return np.concatenate([part.near(own) for part, own in zip(self._parts, parameters, strict=True)])

    def lost(self, parameters: Any) -> Array:
        return np.concatenate([part.lost(own) for part, own in zip(self._parts, parameters, strict=True)])

    def put(self, parameters: Any, places: Array, share: float) -> Any:
        split = np.split(places, self._edges)
        return tuple(part.put(own, at, share) for part, own, at in zip(self._parts, parameters, split, strict=True))

    def growing(self, before: Any, after: Any, faster_than: float) -> Array:
        pairs = zip(self._parts, before, after, strict=True)
        return np.concatenate([part.growing(old, new, faster_than) for part, old, new in pairs])


@dataclass(frozen=True)
class JointMetric:
    """The complete data's information about all blocks of columns, which is block diagonal."""

    parts: list[ComponentMetric]
    edges: Array

    def directions(self, z: FloatArray) -> FloatArray:
        split = np.split(z, self.edges, axis=-1)
        return np.concatenate([part.directions(own) for part, own in zip(self.parts, split, strict=True)], axis=-1)

    def gradient(self, score: FloatArray) -> FloatArray:
        split = np.split(score, self.edges, axis=1)
        return np.concatenate([part.gradient(own) for part, own in zip(self.parts, split, strict=True)], axis=1)
