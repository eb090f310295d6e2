"""Gaussian features in each component's own frame, which preserves digits that common units would lose.

After a fit in common units each component computes its statistics from u = (x - its own mean) / its own standard deviation.
Its second moments then do not cancel, however far it lies from the other components.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from .._data import Block, has_nan
from .._typing import Array, FloatArray
from ..families import Gaussian, LogNormal
from ._columns import ColumnBlocks
from ._components import Components
from ._diagonal import DiagonalGaussian
from ._feature_attributes import NaturalParameters
from ._independent import FeatureSums, Independent
from ._observations import Observations, Units

# If the ratio of a squared mean to a variance is larger, sums of squares give the variance to fewer than ten digits.
_FAR = 1e5


@dataclass(frozen=True)
class OwnEvidence:
    """Log joint densities (K, n) of a block, and its statistics in the components' frames."""

    log_joint: FloatArray
    observations: Observations
    components: OwnFrames

    def accumulate(self, weights: FloatArray) -> FeatureSums:
        statistics = (self.components.statistics(self.observations, c) for c in range(len(weights)))
        sums = np.stack([np.einsum("n,snd->sd", r, T) for r, T in zip(weights, statistics, strict=True)], axis=1)
        return FeatureSums(self.observations.column_sums(weights), sums)


@dataclass(frozen=True)
class OwnFrames(Independent):
    """Independent features with ``units`` (K, D) for each component.

    Parameters
    ----------
    own_pooled : ndarray of shape (S, K, D)
        Mean statistics of all rows in each component's frame, which are also those of the pseudo-observations.
    """

    own_pooled: FloatArray = field(default_factory=lambda: np.zeros((1, 1, 1)))

    @property
    def pooled_rows(self) -> FloatArray:
        return self.own_pooled

    def read(self, block: Block) -> Observations:
        X = block.X
        return Observations((), None, missing=np.isnan(X) if has_nan(X) else None, values=X)

    @staticmethod
    def _values(observations: Observations) -> FloatArray:
        assert observations.values is not None
        return observations.values

    def statistics(self, observations: Observations, component: int) -> FloatArray:
        """(S, n, D) in the frame of a component; zero where an entry is missing."""
        assert self.units is not None
        u = (self._values(observations) - self.units.location[component]) / self.units.scale[component]
        T = np.stack(self.family.sufficient_statistics(u))
        return T if observations.missing is None else np.where(np.isnan(T), 0.0, T)

    def observe(
        self,
        parameters: NaturalParameters,
        observations: Observations,
        offsets: FloatArray,
        out: FloatArray | None = None,
    ) -> Any:
        # log pi_c + sum_d [eta_cd T(u_cnd) - m_nd A(eta_cd)], W(54), W(58)
        log_joint = offsets[:, np.newaxis] - observations.row_sums(parameters.log_partition)
        log_joint = np.broadcast_to(log_joint, (len(offsets), len(self._values(observations)))).copy()
        for c, row in enumerate(log_joint):
            row += np.einsum("sd,snd->n", parameters.eta[:, c], self.statistics(observations, c))
        return OwnEvidence(log_joint, observations, self)

    def mean_parameters(self, statistics: FeatureSums) -> FloatArray:
        means = super().mean_parameters(statistics)
        empty = statistics.exposures + self.prior_counts <= 0.0
        return np.where(empty, self.own_pooled, means)

    def row_scores(self, parameters: NaturalParameters, observations: Observations) -> Any:
        mean, seen = self.family.mean(parameters.eta), observations.seen(slice(None))
        for c in range(mean.shape[1]):
            t = self.statistics(observations, c) - mean[:, c, np.newaxis] * seen
            yield np.moveaxis(t, 0, 1).reshape(t.shape[1], -1)

    def expected_rows(
        self, parameters: NaturalParameters, observations: Observations, responsibilities: FloatArray
    ) -> FloatArray:
        means, _ = self.family.moments(self.family.from_standard(*self._by_feature(self.standard(parameters))))
        return responsibilities.T @ means

    def natural(self, standard: tuple[FloatArray, ...]) -> NaturalParameters:
        assert self.units is not None
        return self.parameters(_in_frame(self.family, self._by_feature(standard), self.units.location, self.units.scale))

    def divergence(self, parameters: NaturalParameters, component: int) -> FloatArray:
        return np.asarray(self.column_divergences(parameters, component).sum(axis=-1))

    def column_divergences(self, parameters: NaturalParameters, component: int) -> FloatArray:
        assert self.units is not None
        frame = self.units.location[component], self.units.scale[component]
        eta = _in_frame(self.family, self._by_feature(self.standard(parameters)), *frame)
        return np.asarray(self.family.divergence(eta[:, [component]], eta))


@dataclass(frozen=True)
class DiagonalOwnFrames(OwnFrames, DiagonalGaussian):
    """Own frames for Gaussians whose components or features may share variances."""


def in_own_frames(components: Components, parameters: Any) -> Components:
    """Put Gaussian features into the components' own frames, if common units would cost digits."""
    if isinstance(components, ColumnBlocks):
        return components.changed(in_own_frames, parameters)
    return _own(components, parameters) or components if isinstance(components, Independent) else components


def _own(components: Independent, parameters: NaturalParameters) -> OwnFrames | None:
    family, units = components.family, components.units
    if not isinstance(family, (Gaussian, LogNormal)) or units is None:
        return None
    variances = -0.5 / parameters.eta[1]
    first = family.mean(parameters.eta)[0]
    bound = np.broadcast_to(family.at_bound(parameters.eta), first.shape)
    if not (~bound & (first**2 > _FAR * variances)).any():
        return None
    standard = components._by_feature(components.standard(parameters))
    own = _frames(components, standard, components.held_together(bound))
    pooled = family.rescale(family.to_standard(family.natural(components.pooled)), units.location, units.scale)
    shape = first.shape
    own_pooled = family.mean(
        _in_frame(family, tuple(np.broadcast_to(value, shape) for value in pooled), own.location, own.scale)
    )
    kind = DiagonalOwnFrames if isinstance(components, DiagonalGaussian) else OwnFrames
    arguments = {f.name: getattr(components, f.name) for f in fields(components)}
    return kind(**{**arguments, "units": own, "own_pooled": own_pooled})


def _frames(components: Independent, standard: tuple[FloatArray, ...], held: Array) -> Units:
    """Means and standard deviations; a variance held at a bound has the common scale, so that it stays there."""
    assert components.units is not None
    if isinstance(components.family, LogNormal):
        return Units(np.zeros_like(standard[0]), np.exp(standard[0]))
    return Units(standard[0], np.where(held, components.units.scale, np.sqrt(standard[1])))


def _in_frame(family: Any, standard: tuple[FloatArray, ...], location: FloatArray, scale: FloatArray) -> FloatArray:
    """Natural parameters of u = (x - location) / scale, where x has these standard parameters."""
    zero = np.zeros_like(location)
    centred = family.rescale(standard, -location, np.ones_like(scale)) if location.any() else standard
    return np.asarray(family.from_standard(*family.rescale(centred, zero, 1.0 / scale)))
