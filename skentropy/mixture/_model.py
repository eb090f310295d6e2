"""The mixture as a model that the EM engine maximises: E-step, M-step and entropy sum, pure functions of arrays."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import sparse
from scipy.special import logsumexp

from .._data import Block, Scratch, has_nan
from .._typing import Array, FloatArray, Matrix
from ..entropy import EntropySum
from ..families import ExponentialFamily
from ..families._base import TINY, safe_log

# A component with less than this share of the weight has no statistics worth dividing.
_EMPTY = 1e-100
LOG_TINY = float(np.log(TINY))
_SCRATCH = Scratch()


@dataclass(frozen=True)
class MixtureParameters:
    """Log weights (K,), natural parameters (S, K, D) in the model's units, and their log-partition (K, D)."""

    log_weights: FloatArray
    eta: FloatArray
    log_partition: FloatArray


@dataclass(frozen=True)
class MixtureStatistics:
    """What an E-step leaves, summed over rows with their weights w; S statistics, K components, D features.

    Attributes
    ----------
    weight : sum of w
    log_likelihood : sum of w log p(x), the base measure left out
    posterior_entropy : sum of w H[q]
    classification : sum of -w log max_c q(c)
    counts : sum of w q, shape (K,)
    exposures : sum of w q s m, s the exposures and m which entries are observed; (K, D), or (K, 1) where all columns agree
    sums : sum of w q m T(x), shape (S, K, D)
    """

    weight: float
    log_likelihood: float
    posterior_entropy: float
    classification: float
    counts: FloatArray
    exposures: FloatArray
    sums: FloatArray

    def __add__(self, other: MixtureStatistics) -> MixtureStatistics:
        return MixtureStatistics(
            self.weight + other.weight,
            self.log_likelihood + other.log_likelihood,
            self.posterior_entropy + other.posterior_entropy,
            self.classification + other.classification,
            self.counts + other.counts,
            self.exposures + other.exposures,
            self.sums + other.sums,
        )


@dataclass(frozen=True)
class Observations:
    """Sufficient statistics of a block, zero where an entry is missing.

    ``observed`` is None where nothing is missing; for dense data the mask m of what is observed, for sparse data the
    *missing* entries, since those are few. ``values`` are the rows themselves, NaN where missing, for models that need them.
    """

    statistics: tuple[Matrix, ...]
    exposure: FloatArray | None
    observed: Matrix | None
    values: FloatArray | None = None

    def row_sums(self, coefficients: FloatArray) -> FloatArray:
        """sum_d s_n m_nd c_kd, shape (K, n_rows) or (K, 1)."""
        total = coefficients.sum(axis=1)[:, np.newaxis]
        if self.observed is not None:
            product = (self.observed @ coefficients.T).T
            total = total - product if sparse.issparse(self.observed) else product
        return total if self.exposure is None else total * self.exposure

    def column_sums(self, weights: FloatArray) -> FloatArray:
        """sum_n r_kn s_n m_nd, shape (K, D) or (K, 1)."""
        if self.exposure is not None:
            weights = weights * self.exposure
        total = weights.sum(axis=1)[:, np.newaxis]
        if self.observed is None:
            return total
        product = (self.observed.T @ weights.T).T
        return total - product if sparse.issparse(self.observed) else product


@dataclass(frozen=True)
class Units:
    """u = (x - location) / scale, column by column: the units in which natural parameters are of order one."""

    location: FloatArray
    scale: FloatArray

    @classmethod
    def of_moments(
        cls, family: ExponentialFamily, mean: FloatArray, variance: FloatArray, *, keep_zero: bool = False
    ) -> Units | None:
        """Units in which columns of these means and variances are of order one; None if the family has none.

        With ``keep_zero`` zeros stay zeros, as sparse data need.
        """
        if family.equivariance == "none":
            return None
        affine = family.equivariance == "affine"
        scale = np.sqrt(variance) if affine else mean
        scale = np.where(np.isfinite(scale) & (scale > 0), scale, 1.0)
        location = mean if affine and not keep_zero else np.zeros_like(mean)
        return cls(location, scale)

    @classmethod
    def of_mixture(
        cls,
        family: ExponentialFamily,
        weights: FloatArray,
        standard: tuple[FloatArray, ...],
        *,
        keep_zero: bool = False,
    ) -> Units | None:
        """Units for data of a mixture with these standard parameters."""
        if family.equivariance == "none":
            return None
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            means, variances = family.moments(family.from_standard(*standard))
            mean = weights @ means
            variance = weights @ (variances + (means - mean) ** 2)
        return cls.of_moments(family, mean, variance, keep_zero=keep_zero)

    def apply(self, X: Matrix) -> Matrix:
        if sparse.issparse(X):
            return with_data(X, X.data / self.scale[X.indices])
        if self.location.any():
            return (X - self.location) / self.scale
        return X / self.scale


@dataclass(frozen=True)
class MixtureModel:
    r"""A mixture of products of one exponential family, W(37) and W(38), for given data.

    Parameters
    ----------
    family : ExponentialFamily
    units : Units or None
        None where the family has no units to choose.
    substitutes : ndarray of shape (D,) or None
        What stands for a zero, for families of positive values.
    mean_log_base_measure : float
        A constant of the data, not of the parameters; per sample.
    prior_counts : float
        Number of pseudo-observations of a conjugate prior on every component.
    pooled : ndarray of shape (S, D)
        Mean statistics of all rows; those of the pseudo-observations.
    narrow : tuple of ndarray of shape (K, D), or None
        Standard parameters, in the data's units, of components so narrow that sums of natural parameters times statistics
        would lose their digits: densities are then computed from these.
    """

    family: ExponentialFamily
    units: Units | None = None
    substitutes: FloatArray | None = None
    mean_log_base_measure: float = 0.0
    prior_counts: float = 0.0
    pooled: FloatArray = field(default_factory=lambda: np.zeros((1, 1)))
    narrow: tuple[FloatArray, ...] | None = None

    def parameters(self, log_weights: Array, eta: Array) -> MixtureParameters:
        """Parameters with their log-partition, that of the data's own units: p(x) = h(x) exp(eta T(u) - A)."""
        log_partition = self.family.log_partition(eta)
        if self.units is not None:
            # h(x) = h(u) scale^degree and dx = scale du.
            log_partition = log_partition + (1.0 + self.family.base_measure_degree) * np.log(self.units.scale)
        return MixtureParameters(log_weights, eta, log_partition)

    def values(self, X: Matrix) -> Matrix:
        """The values in the support that stand for X; NaN stays."""
        if self.substitutes is None:
            return X
        return np.where(X == 0, self.substitutes, X)

    def natural(self, standard: tuple[FloatArray, ...]) -> FloatArray:
        """Natural parameters, in the model's units, of standard parameters in the data's."""
        if self.units is not None:
            standard = self.family.rescale(standard, -self.units.location / self.units.scale, 1.0 / self.units.scale)
        return self.family.from_standard(*standard)

    def standard(self, eta: FloatArray) -> tuple[FloatArray, ...]:
        """Standard parameters, in the data's units, of natural parameters in the model's."""
        standard = self.family.to_standard(eta)
        if self.units is None:
            return standard
        with np.errstate(over="ignore"):
            rescaled = self.family.rescale(standard, self.units.location, self.units.scale)
        return tuple(np.nan_to_num(value, nan=np.nan) for value in rescaled)

    def observe(self, block: Block) -> Observations:
        """Sufficient statistics of a block of rows."""
        X = values = self.values(block.X)
        if self.units is not None:
            X = self.units.apply(X)
        statistics = self.family.sufficient_statistics(X)
        if self.narrow is not None:
            missing = np.isnan(values)
            filled = tuple(np.where(missing, 0, T) for T in statistics)
            return Observations(filled, block.exposure, (~missing).astype(np.float64), values)
        if not has_nan(X):
            return Observations(statistics, block.exposure, None)
        missing = np.isnan(X.data if sparse.issparse(X) else X)
        if sparse.issparse(X):
            filled = tuple(with_data(T, np.where(missing, 0, T.data)) for T in statistics)
            return Observations(filled, block.exposure, with_data(X, missing.astype(X.dtype)))
        filled = tuple(np.where(missing, 0, T) for T in statistics)
        return Observations(filled, block.exposure, (~missing).astype(X.dtype))

    def log_base_measure(self, block: Block) -> FloatArray:
        """Sum over the observed features of log h, one value for each row."""
        if self.family.constant_base_measure:
            return np.zeros(block.n_rows)
        X = self.values(block.X)
        exposure: Array | float = 1.0 if block.exposure is None else block.exposure
        if sparse.issparse(X):
            if block.exposure is not None:
                exposure = np.repeat(block.exposure, np.diff(X.indptr))
            log_h = with_data(X, np.nan_to_num(self.family.log_base_measure(X.data, exposure)))
            return np.asarray(log_h.sum(axis=1)).ravel()
        if block.exposure is not None:
            exposure = block.exposure[:, np.newaxis]
        return np.nansum(self.family.log_base_measure(X, exposure), axis=1)

    def total_log_base_measure(self, block: Block) -> float:
        """Weighted sum over the rows of the log base measure."""
        return block.weighted_sum(self.log_base_measure(block))

    def log_joint(
        self, parameters: MixtureParameters, observations: Observations, out: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """log p(c, x_n) without the base measure, less its largest value of each row, (K, n_rows); and those, (n_rows,)."""
        if self.narrow is not None and observations.values is not None:
            log_joint = self._log_joint_of_narrow(parameters, observations.values)
            largest = log_joint.max(axis=0)
            log_joint -= largest
            return log_joint, largest
        eta = parameters.eta
        # log pi_c + sum_d [eta_cd T(x_nd) - s_n m_nd A(eta_cd)], W(54), W(58)
        log_joint = _product(eta[0], observations.statistics[0], out)
        for eta_s, T in zip(eta[1:], observations.statistics[1:], strict=True):
            log_joint += _product(eta_s, T)
        log_joint += parameters.log_weights[:, np.newaxis] - observations.row_sums(parameters.log_partition)
        largest = log_joint.max(axis=0)
        log_joint -= largest
        return log_joint, largest

    def _log_joint_of_narrow(self, parameters: MixtureParameters, values: FloatArray) -> FloatArray:
        """log p(c, x_n) without the base measure, (K, n_rows), component by component from the standard parameters."""
        assert self.narrow is not None
        log_joint = np.empty((len(parameters.log_weights), len(values)))
        for c, log_weight in enumerate(parameters.log_weights):
            log_p = self.family.stable_log_prob(values, tuple(parameter[c] for parameter in self.narrow))
            assert log_p is not None
            log_joint[c] = log_weight + np.nansum(log_p, axis=1)
        return log_joint

    def posterior(self, parameters: MixtureParameters, observations: Observations) -> tuple[FloatArray, FloatArray]:
        """log p(x_n) without the base measure, shape (n_rows,), and log q_n(c), shape (K, n_rows)."""
        log_joint, largest = self.log_joint(parameters, observations)
        log_normaliser = np.log(np.exp(log_joint).sum(axis=0))
        log_joint -= log_normaliser
        return log_normaliser + largest, log_joint

    def expect(self, parameters: MixtureParameters, block: Block) -> MixtureStatistics:
        """E-step on one block of rows: exact posteriors, reduced to their statistics."""
        observations = self.observe(block)
        shape = (parameters.log_weights.size, block.n_rows)
        log_joint, largest = self.log_joint(parameters, observations, _SCRATCH.array("log_joint", shape))
        q = np.exp(log_joint, out=_SCRATCH.array("q", shape))
        normaliser = q.sum(axis=0)
        q /= normaliser
        if block.weight is not None:
            q *= block.weight
        log_normaliser = np.log(normaliser)
        total_log_normaliser = block.weighted_sum(log_normaliser)
        return MixtureStatistics(
            weight=block.total_weight,
            log_likelihood=total_log_normaliser + block.weighted_sum(largest),
            # log q = log_joint - log_normaliser
            posterior_entropy=total_log_normaliser - float(np.vdot(q, log_joint)),
            classification=total_log_normaliser,  # the largest of each row's log_joint is 0
            counts=q.sum(axis=1),
            exposures=observations.column_sums(q),
            sums=np.stack([_transposed_product(q, T) for T in observations.statistics]),
        )

    def mean_parameters(self, statistics: MixtureStatistics) -> FloatArray:
        """Mean parameters (S, K, D) of the components; the pooled ones where a component has seen nothing."""
        exposures = statistics.exposures + self.prior_counts
        sums = statistics.sums + self.prior_counts * np.expand_dims(self.pooled, -2)
        pooled = statistics.sums.sum(axis=1, keepdims=True) / statistics.exposures.sum(axis=0)
        empty = exposures <= _EMPTY * statistics.weight
        return np.divide(sums, exposures, out=np.where(empty, pooled, sums), where=~empty)

    def maximize(self, statistics: MixtureStatistics) -> MixtureParameters:
        """M-step: mean parameters equal the posteriors' weighted means of T, smoothed by the prior's pseudo-counts."""
        eta = self.family.natural(self.mean_parameters(statistics))
        return self.parameters(safe_log(statistics.counts / statistics.weight), eta)

    def entropy_sum(self, parameters: MixtureParameters, statistics: MixtureStatistics) -> EntropySum:
        r"""Sum of entropies, W(39) and W(52), generalised to exposures, missing entries and a conjugate prior.

        The observable term weights the pseudo entropy of a component's feature, W(51), by what the posteriors say was
        observed of it, :math:`\sum_n w_n q_n(c) s_n m_{nd} / \sum_n w_n`. With :math:`\nu` pseudo-counts at :math:`\bar T`
        the penalty's term is :math:`\nu \sum_{cd} \eta_{cd} \cdot (m_{cd} - \bar T_d) / \sum_n w_n`.
        """
        eta, weight = parameters.eta, statistics.weight
        mean = self.family.mean(eta)
        pseudo_entropy = parameters.log_partition - (eta * mean).sum(axis=0)  # W(51)
        prior = -float(np.exp(parameters.log_weights) @ parameters.log_weights)
        observable = float((statistics.exposures * pseudo_entropy).sum()) / weight
        penalty = 0.0
        if self.prior_counts:
            towards = mean - np.expand_dims(self.pooled, -2)
            penalty = self.prior_counts * float((eta * towards).sum()) / weight
        return EntropySum(
            posterior=statistics.posterior_entropy / weight,
            prior=prior,
            observable=observable,
            base_measure=self.mean_log_base_measure,
            penalty=penalty,
        )

    def elbo(self, statistics: MixtureStatistics) -> float:
        """Mean log-likelihood of the parameters that the statistics were computed from: exact posteriors leave no gap."""
        return statistics.log_likelihood / statistics.weight + self.mean_log_base_measure

    def elbo_of_step(self, parameters: MixtureParameters, statistics: MixtureStatistics) -> float:
        """ELBO of other parameters with the statistics' posteriors, W(2) term by term.

        After an exact M-step it is the entropy sum; where a parameter is held by a bound it is not.
        """
        log_prior = float(statistics.counts @ parameters.log_weights)
        inner = float((parameters.eta * statistics.sums).sum())
        observed = inner - float((statistics.exposures * parameters.log_partition).sum())
        total = statistics.posterior_entropy + log_prior + observed
        return total / statistics.weight + self.mean_log_base_measure

    def magnitude(self, parameters: MixtureParameters, statistics: MixtureStatistics) -> float:
        """Sum of the absolute values that ``elbo_of_step`` adds up, the scale of its rounding error."""
        inner = float(np.abs(parameters.eta * statistics.sums).sum())
        observed = inner + float(np.abs(statistics.exposures * parameters.log_partition).sum())
        return observed / statistics.weight + abs(self.mean_log_base_measure) + 1.0

    def log_prior(self, parameters: MixtureParameters, statistics: MixtureStatistics) -> float:
        """Log-density of the conjugate prior up to its constant, per sample."""
        if not self.prior_counts:
            return 0.0
        inner = (parameters.eta * np.expand_dims(self.pooled, -2)).sum(axis=0)
        return self.prior_counts * float((inner - parameters.log_partition).sum()) / statistics.weight

    def pack(self, parameters: MixtureParameters) -> FloatArray:
        return np.concatenate([parameters.log_weights, self.family.coordinates(parameters.eta).ravel()])

    def unpack(self, vector: FloatArray, like: MixtureParameters) -> MixtureParameters | None:
        log_weights, coordinates = np.split(vector, [like.log_weights.size])
        eta = self.family.from_coordinates(coordinates.reshape(like.eta.shape), like.eta)
        return self.at(log_weights, eta)

    def moved(self, parameters: MixtureParameters, logits: FloatArray, eta: FloatArray) -> MixtureParameters | None:
        """Parameters with these changes; None if any leaves the domain that was not held on its bound before."""
        inside = ~self.family.at_bound(parameters.eta)
        if not self.family.discrete and not self.family.in_domain((parameters.eta + eta)[:, inside]):
            return None
        changed = parameters.eta + np.where(inside, eta, 0.0)
        if self.family.discrete:
            return self.at(parameters.log_weights + logits, changed)
        return self.normalised(parameters.log_weights + logits, changed)

    def at(self, logits: FloatArray, eta: FloatArray) -> MixtureParameters | None:
        """Parameters with weights of these logits; None where the natural parameters lie outside the domain."""
        if self.family.discrete:
            # Beyond where probabilities are zero there is nothing but rounding errors.
            eta = np.clip(eta, LOG_TINY, -LOG_TINY)
        if not self.family.in_domain(eta):
            return None
        return self.normalised(logits, eta)

    def normalised(self, logits: FloatArray, eta: FloatArray) -> MixtureParameters:
        """Parameters with weights of these logits, held where weights are zero."""
        return self.parameters(np.maximum(logits - logsumexp(logits), LOG_TINY), eta)


def with_data(X: Matrix, data: FloatArray) -> Matrix:
    """A sparse matrix of the structure of X with other values."""
    return type(X)((data, X.indices, X.indptr), shape=X.shape)


def _product(coefficients: FloatArray, T: Matrix, out: FloatArray | None = None) -> FloatArray:
    """(K, D) times the transpose of (n_rows, D), as a C-contiguous (K, n_rows)."""
    if sparse.issparse(T):
        return np.ascontiguousarray((T @ coefficients.T).T)
    return np.matmul(coefficients, T.T, out=out)


def _transposed_product(weights: FloatArray, T: Matrix) -> FloatArray:
    """(K, n_rows) times (n_rows, D)."""
    if sparse.issparse(T):
        return (T.T @ weights.T).T
    if T.strides[0] == T.itemsize:
        return np.matmul(weights, T)  # of columns dot would take a copy; of what has gaps in both directions it must
    return np.dot(weights, T)  # unlike matmul it lets other threads run however small the result is
