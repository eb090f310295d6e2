"""Components whose features are independent, all of one exponential family: the products of W(37)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from scipy import sparse

from .._data import Additive, Block, ColumnSurvey, Rounding, has_nan
from .._typing import Array, FloatArray, Matrix
from ..families._base import positive_or_one
from ._components import EMPTY, LEAST_WEIGHT, ComponentMetric, Limits, NoLimits, is_collapsing
from ._feature_attributes import FeatureAttributes, NaturalParameters
from ._feature_limits import FeatureLimits
from ._feature_metric import feature_metric
from ._input import check_columns, is_outside
from ._large_counts import relative_to_data
from ._model import LOG_TINY
from ._observations import Observations, Units, with_data, zero_where
from ._one_hot import FEW, OneHotRows, OneHotSeedRows, has_many_categories
from ._seed_rows import SmoothedRows


@dataclass(frozen=True)
class FeatureSums(Additive):
    """Additive statistics of rows, for S statistics, K components, D features, and responsibilities r = w q.

    Attributes
    ----------
    exposures : sum of r s m, with exposures s and the mask m of observed entries; (K, D), or (K, 1) if all columns agree
    sums : sum of r m T(x), shape (S, K, D)
    """

    exposures: FloatArray
    sums: FloatArray


@dataclass(frozen=True)
class FeatureEvidence:
    """Log joint densities (K, n) of a block, and its statistics."""

    log_joint: FloatArray
    observations: Observations

    def accumulate(self, weights: FloatArray) -> FeatureSums:
        return FeatureSums(
            exposures=self.observations.column_sums(weights),
            sums=self.observations.sums(weights),
        )


@dataclass(frozen=True)
class Independent(FeatureAttributes):
    r"""Products of one exponential family, :math:`p(x|c) = \prod_d h(x_d) \exp(\eta_{cd} \cdot T(x_d) - A(\eta_{cd}))`.

    Parameters
    ----------
    family : ExponentialFamily
    units : Units or None
        None where the family has no units to choose.
    prior_counts : float
        Number of pseudo-observations of a conjugate prior on every component.
    pooled : ndarray of shape (S, D)
        Mean statistics of all rows, which are also those of the pseudo-observations.
    narrow : tuple of ndarray of shape (K, D), or None
        Standard parameters, in the data's units, of components so narrow that sums of natural parameters times statistics
        would lose digits; densities are then computed from the standard parameters.
    """

    prior_counts: float = 0.0

    @property
    def pooled_rows(self) -> FloatArray:
        """Mean statistics of all rows for each component, which broadcast to (S, K, D)."""
        return np.expand_dims(self.pooled, -2)

    def held_together(self, held: Array) -> Array:
        """Which variances are held at a bound if these (K, D) are."""
        return held

    # Before a fit.

    def prepare(self, estimator: Any, columns: ColumnSurvey, *, is_sparse: bool, prior_counts: float) -> Self:
        check_columns(estimator, self.family, columns)
        family = self.family.for_columns(columns.largest_of_all)
        family = relative_to_data(estimator, family, columns, is_sparse=is_sparse)
        mean = np.where(columns.constant, columns.smallest, columns.mean)
        components = replace(self, family=family, prior_counts=prior_counts)
        return components._in_units(Units.of_moments(family, mean, columns.variance, keep_zero=is_sparse))

    def count_outside(self, block: Block) -> Array:
        X, family = block.X, self.family
        exposure: Array | float = 1.0
        if sparse.issparse(X):
            if block.exposure is not None:
                exposure = np.repeat(block.exposure, np.diff(X.indptr))
            masks = is_outside(family, X.data, exposure), X.data < family.lower_limit
            return np.stack([np.bincount(X.indices[mask], minlength=X.shape[1]) for mask in masks])
        if block.exposure is not None:
            exposure = block.exposure[:, np.newaxis]
        masks = is_outside(family, X, exposure), family.lower_limit > X
        return np.stack([mask.sum(axis=0) for mask in masks])

    def summarize(self, observations: Observations, weight: FloatArray) -> FeatureSums:
        weights = weight[np.newaxis]
        return FeatureSums(observations.column_sums(weights)[0], observations.sums(weights)[:, 0])

    def with_pooled(self, summary: FeatureSums) -> Self:
        return replace(self, pooled=summary.sums / summary.exposures)

    def with_prior(self, prior_counts: float, statistics: Any) -> Self:
        return replace(self, prior_counts=prior_counts)

    def rounding(self, columns: ColumnSurvey) -> Rounding | None:
        units = Units.of_moments(self.family, columns.mean, columns.variance)
        return None if units is None else Rounding(units.location, units.scale, self.family.equivariance == "scale")

    def seed_rows(self, block: Block, observations: Observations) -> SmoothedRows:
        rows = OneHotSeedRows if isinstance(observations, OneHotRows) else SmoothedRows
        return rows(self.family, observations, self.pooled)

    def row_cost(self, n_features: int) -> int:
        return self.family.n_statistics * n_features

    def row_bytes(self, n_features: int, n_components: int) -> int:
        n_statistics = FEW if has_many_categories(self.family) else self.family.n_statistics
        return 8 * (n_statistics * n_features + 3 * n_components)

    # EM.

    def read(self, block: Block) -> Observations:
        X = block.X
        if has_many_categories(self.family):
            return OneHotRows.of(self.family, X)
        if self.units is not None:
            X = self.units.apply(X)
            self._check_digits(X, block.X)
        if self.narrow is None and not has_nan(X):
            return Observations(self.family.sufficient_statistics(X), block.exposure)
        missing = np.isnan(X.data if sparse.issparse(X) else X)
        if sparse.issparse(X):
            statistics = self.family.sufficient_statistics(X)
            filled = tuple(with_data(T, zero_where(missing, T.data)) for T in statistics)
            return Observations(filled, block.exposure, missing=with_data(X, missing.astype(X.dtype)))
        if self.family.zero_statistics:
            filled = self.family.sufficient_statistics(zero_where(missing, X))
        else:
            filled = tuple(zero_where(missing, T) for T in self.family.sufficient_statistics(X))
        kept = None if self.narrow is None else block.X
        return Observations(filled, block.exposure, missing=missing, values=kept)

    def _check_digits(self, X: Matrix, given: Matrix) -> None:
        """Refuse values that are zero in these units, if the family needs their logarithms or inverses."""
        if sparse.issparse(X) or self.family.in_support(np.zeros(1)).all() or X.all():
            return
        lost = np.flatnonzero(((X == 0.0) & (given != 0.0)).any(axis=0))
        if lost.size:
            raise ValueError(
                f"Values in column {lost[0]} are too small beside the mean of the {self.family.name} components, more than "
                "1e308 times smaller; leave them out."
            )

    def observe(
        self,
        parameters: NaturalParameters,
        observations: Observations,
        offsets: FloatArray,
        out: FloatArray | None = None,
    ) -> FeatureEvidence:
        if observations.values is not None:
            return FeatureEvidence(self._log_joint_of_narrow(offsets, observations.values), observations)
        eta = parameters.eta
        # log pi_c + sum_d [eta_cd T(x_nd) - s_n m_nd A(eta_cd)], W(54), W(58)
        log_joint = observations.inner(eta, out)
        log_joint += offsets[:, np.newaxis] - observations.row_sums(parameters.log_partition)
        return FeatureEvidence(log_joint, observations)

    def _log_joint_of_narrow(self, offsets: FloatArray, values: FloatArray) -> FloatArray:
        """Log joint densities from the standard parameters, component by component."""
        assert self.narrow is not None
        log_joint = np.empty((len(offsets), len(values)))
        for c, offset in enumerate(offsets):
            log_p = self.family.stable_log_prob(values, tuple(parameter[c] for parameter in self.narrow))
            assert log_p is not None
            log_joint[c] = offset + np.nansum(log_p, axis=1)
        return log_joint

    def pooled_parameters(self, n_components: int) -> NaturalParameters:
        return self.parameters(self.family.natural(self.pooled[:, np.newaxis].repeat(n_components, axis=1)))

    def expected_rows(
        self, parameters: NaturalParameters, observations: Observations, responsibilities: FloatArray
    ) -> FloatArray:
        """Expectations of all entries: given the component, the observed entries say nothing about the others."""
        expected = self.family.predict(parameters.eta, responsibilities)
        if self.units is not None:
            expected = self.units.scale * expected + np.outer(responsibilities.sum(axis=0), self.units.location)
        return expected if observations.exposure is None else expected * observations.exposure[:, np.newaxis]

    def mean_parameters(self, statistics: FeatureSums) -> FloatArray:
        """Mean parameters (S, K, D) of the components; the pooled ones for empty components."""
        exposures, sums = statistics.exposures, statistics.sums
        if self.prior_counts:
            exposures = exposures + self.prior_counts
            sums = sums + self.prior_counts * self.pooled_rows
        total = statistics.exposures.sum(axis=0)
        seen = total > LEAST_WEIGHT  # otherwise a given component explains all rows
        empty = (exposures <= EMPTY * total) | ~seen
        if not empty.any():
            return np.asarray(sums / exposures)
        pooled = np.where(seen, statistics.sums.sum(axis=1, keepdims=True) / positive_or_one(total), self.pooled_rows)
        return np.divide(sums, exposures, out=np.where(empty, pooled, sums), where=~empty)

    def maximize(self, statistics: FeatureSums) -> NaturalParameters:
        """M-step: mean parameters equal the posteriors' weighted means of T, smoothed by the prior's pseudo-counts."""
        return self.parameters(self.family.natural(self.mean_parameters(statistics)))

    def log_base_measure(self, block: Block) -> FloatArray:
        if self.family.constant_base_measure:
            return np.zeros(block.n_rows)
        X = block.X
        exposure: Array | float = 1.0 if block.exposure is None else block.exposure
        if sparse.issparse(X):
            if block.exposure is not None:
                exposure = np.repeat(block.exposure, np.diff(X.indptr))
            log_h = with_data(X, np.nan_to_num(self.family.log_base_measure(X.data, exposure)))
            return np.asarray(log_h.sum(axis=1)).ravel()
        if block.exposure is not None:
            exposure = block.exposure[:, np.newaxis]
        return np.nansum(self.family.log_base_measure(X, exposure), axis=1)

    def entropy(self, parameters: NaturalParameters, statistics: FeatureSums) -> float:
        """Pseudo entropies, W(51), weighted by each component's observed exposure of each feature, W(52)."""
        pseudo_entropy = parameters.log_partition - (parameters.eta * self.family.mean(parameters.eta)).sum(axis=0)
        return float((statistics.exposures * pseudo_entropy).sum())

    def log_density(self, parameters: NaturalParameters, statistics: FeatureSums) -> float:
        inner = float((parameters.eta * statistics.sums).sum())
        return inner - float((statistics.exposures * parameters.log_partition).sum())

    def magnitude(self, parameters: NaturalParameters, statistics: FeatureSums) -> float:
        inner = float(np.abs(parameters.eta * statistics.sums).sum())
        return inner + float(np.abs(statistics.exposures * parameters.log_partition).sum())

    def log_prior(self, parameters: NaturalParameters, statistics: FeatureSums | None) -> FloatArray:
        if not self.prior_counts:
            return np.zeros(parameters.eta.shape[1])
        inner = (parameters.eta * self.pooled_rows).sum(axis=0)
        return self.prior_counts * (inner - parameters.log_partition).sum(axis=-1)

    def penalty(self, parameters: NaturalParameters, statistics: FeatureSums) -> float:
        r"""With :math:`\nu` pseudo-counts at :math:`\bar T`, :math:`\nu \sum_{cd} \eta_{cd} \cdot (m_{cd} - \bar T_d)`."""
        if not self.prior_counts:
            return 0.0
        towards = self.family.mean(parameters.eta) - self.pooled_rows
        return self.prior_counts * float((parameters.eta * towards).sum())

    def pack(self, parameters: NaturalParameters) -> FloatArray:
        return self.family.coordinates(parameters.eta).ravel()

    def unpack(self, vector: FloatArray, like: NaturalParameters) -> NaturalParameters | None:
        return self._at(self.family.from_coordinates(vector.reshape(like.eta.shape), like.eta))

    def _at(self, eta: FloatArray) -> NaturalParameters | None:
        if self.discrete:
            # If probabilities are zero, the terms are only rounding errors.
            eta = np.clip(eta, LOG_TINY, -LOG_TINY)
        return self.parameters(eta) if self.family.in_domain(eta) else None

    # The end of a fit.

    def limits(self, parameters: NaturalParameters) -> Limits:
        return FeatureLimits(self, parameters) if self.discrete else NoLimits()

    def n_directions(self, parameters: NaturalParameters) -> int:
        n_statistics, _, n_features = parameters.eta.shape
        return n_statistics * n_features

    def score(self, parameters: NaturalParameters, statistics: FeatureSums) -> FloatArray:
        mean = self.family.mean(parameters.eta)
        sums = statistics.sums - statistics.exposures * mean
        if self.prior_counts:
            sums = sums + self.prior_counts * (self.pooled_rows - mean)
        return _flat(sums)

    def row_scores(self, parameters: NaturalParameters, observations: Observations) -> Iterator[FloatArray]:
        """T(x_n) - s_n m_nd m_cd, component by component."""
        T, seen = observations.features(slice(None)), observations.seen(slice(None))
        if observations.exposure is not None:
            seen = seen * observations.exposure[:, np.newaxis]
        mean = self.family.mean(parameters.eta)
        for c in range(mean.shape[1]):
            t = T - mean[:, c, np.newaxis] * seen
            yield t.swapaxes(0, 1).reshape(t.shape[1], -1)

    def metric(self, parameters: NaturalParameters, statistics: FeatureSums, counts: FloatArray) -> ComponentMetric:
        return feature_metric(self.family, parameters.eta, statistics.exposures + self.prior_counts, counts)

    def moved(self, parameters: NaturalParameters, direction: FloatArray) -> NaturalParameters | None:
        """Move parameters along a direction, except those that a bound holds."""
        S, K, D = parameters.eta.shape
        eta = direction.reshape(K, S, D).swapaxes(0, 1)
        inside = ~self.family.at_bound(parameters.eta)
        if not self.discrete and not self.family.in_domain((parameters.eta + eta)[:, inside]):
            return None
        changed = parameters.eta + np.where(inside, eta, 0.0)
        return self._at(changed) if self.discrete else self.parameters(changed)

    def stride(self, parameters: NaturalParameters, direction: FloatArray) -> float:
        return float(np.abs(direction).max()) if self.discrete else 0.0

    # Several runs at once.

    def for_runs(self, n_runs: int) -> Self:
        return self

    def select(self, parameters: NaturalParameters, components: Array, n_runs: int) -> NaturalParameters:
        return NaturalParameters(parameters.eta[:, components], parameters.log_partition[components])

    def with_average_rows(self, statistics: FeatureSums, share: float, n_runs: int) -> FeatureSums:
        exposures = statistics.exposures
        by_run = exposures.reshape(n_runs, -1, exposures.shape[1])
        added = share * by_run.mean(axis=1).repeat(by_run.shape[1], axis=0)
        return FeatureSums(exposures + added, statistics.sums + added * self.pooled[:, np.newaxis])

    def collapsed(self, before: NaturalParameters, parameters: NaturalParameters) -> Array:
        family, pooled = self.family, self.family.natural(self.pooled)
        collapsed = family.at_bound(parameters.eta)
        if not self.discrete:
            with np.errstate(all="ignore"):
                collapsed |= is_collapsing(*(family.moments(eta)[1] for eta in (parameters.eta, before.eta, pooled)))
        return np.any(collapsed & ~family.at_bound(pooled), axis=1)

    def degenerate(self, parameters: NaturalParameters) -> bool:
        at_bound = self.family.at_bound(parameters.eta) & ~self.family.at_bound(self.family.natural(self.pooled))
        return bool(at_bound.any())


def _flat(of_eta: FloatArray) -> FloatArray:
    """An array (S, K, D) with one row for each component."""
    return of_eta.swapaxes(0, 1).reshape(of_eta.shape[1], -1)
