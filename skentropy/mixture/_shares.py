"""Multinomial components: Poisson rates per unit of the rows' totals; the rates sum to one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from scipy import sparse, special

from .._data import Block, ColumnSurvey
from .._typing import Array, FloatArray, Matrix
from ..families import ExponentialFamily, Poisson
from ._components import Components
from ._feature_attributes import NEVER, NaturalParameters
from ._independent import Independent
from ._observations import Observations
from ._seed_rows import SmoothedRows

# The divisor that replaces the total of an empty row.
_NO_TOTAL = 1e-300


class Shares(Poisson):
    """The Poisson family without a reference measure: rates that sum to one are moderate for any counts."""

    def relative_to(self, mean: Array, largest: float) -> ExponentialFamily:
        return self


@dataclass(frozen=True)
class Multinomial(Independent):
    r"""Counts of rows with given totals s, :math:`p(x|c) = s! \prod_d p_{cd}^{x_d} / x_d!`.

    On the simplex :math:`\eta = \log p` and :math:`A = 0`. Poisson components with the totals as exposures have the same
    posteriors and the same M-step, whose rates automatically sum to one.
    """

    attribute_names = ("probabilities",)
    label = "the multinomial distribution"
    support = "non-negative counts, none of them missing (NaN; fill in such gaps, or leave their rows out)"
    likelihood = "given totals"
    allows_exposure = False
    allows_gaps = False
    standard_limits = ((0.0, 1.0),)
    scale_label = "for rows with a total of one"

    def relative_columns(self, n_features: int) -> Array:
        return np.arange(n_features)

    def prepare(self, estimator: Any, columns: ColumnSurvey, *, is_sparse: bool, prior_counts: float) -> Self:
        if not (columns.largest.max() > 0.0 or columns.smallest.min() < 0.0):  # negative values are refused later
            raise ValueError("X holds nothing but zeros; there must be a row with a positive total.")
        return super().prepare(estimator, columns, is_sparse=is_sparse, prior_counts=prior_counts)

    def count_outside(self, block: Block) -> Array:
        """Numbers of values outside the support; missing entries are included, since they leave a row's total unknown."""
        outside = super().count_outside(block)
        X = block.X
        if sparse.issparse(X):
            missing = np.bincount(X.indices[np.isnan(X.data)], minlength=X.shape[1])
        else:
            missing = np.isnan(X).sum(axis=0)
        return outside + np.stack([missing, np.zeros_like(missing)])

    def read(self, block: Block) -> Observations:
        return super().read(replace(block, exposure=_totals(block.X)))

    def seed_rows(self, block: Block, observations: Observations) -> SmoothedRows:
        assert observations.exposure is not None
        exposure = np.maximum(observations.exposure, _NO_TOTAL)
        return super().seed_rows(block, replace(observations, exposure=exposure))

    def parameters(self, eta: Array) -> NaturalParameters:
        eta = eta - special.logsumexp(eta, axis=-1, keepdims=True)
        return NaturalParameters(eta, np.zeros(eta.shape[1:]))

    def log_base_measure(self, block: Block) -> FloatArray:
        total = _totals(block.X)
        return super().log_base_measure(replace(block, exposure=None)) + special.gammaln(total + 1.0)

    def check_standard(self, standard: tuple[FloatArray, ...], suffix: str = "") -> None:
        (probabilities,) = standard
        sums = probabilities.sum(axis=-1)
        if not ((probabilities >= 0.0).all() and np.allclose(sums, 1.0, rtol=0.0, atol=1e-6)):
            raise ValueError(
                f"probabilities{suffix} must be non-negative and sum to one over the features; got sums from "
                f"{sums.min():g} to {sums.max():g}."
            )

    def standard_changes(self, parameters: Any, directions: FloatArray) -> tuple[FloatArray, ...]:
        return Components.standard_changes(self, parameters, directions)

    def n_parameters(self, n_components: int) -> int:
        return n_components * (int((self.pooled > NEVER).sum()) - 1)

    def moments(self, parameters: Any) -> tuple[FloatArray, FloatArray]:
        """Means and variances for a row with a total of one."""
        (p,) = self.standard(parameters)
        return p, p * (1.0 - p)

    def sample(
        self,
        standard: tuple[FloatArray, ...],
        labels: Array,
        random_state: np.random.RandomState,
        like: Matrix | None = None,
    ) -> FloatArray:
        """Draw rows: column by column a binomial share of the rest of their totals, which are rounded."""
        (p,) = standard
        with np.errstate(invalid="ignore"):
            share = np.nan_to_num(p / np.cumsum(p[:, ::-1], axis=1)[:, ::-1])[labels]  # one in the last possible column
        left = np.ones(len(labels), dtype=np.int64) if like is None else np.rint(_totals(like)).astype(np.int64)
        X = np.empty(share.shape)
        for d in range(p.shape[1]):
            X[:, d] = drawn = random_state.binomial(left, share[:, d])
            left = left - drawn
        return X


def _totals(X: Matrix) -> FloatArray:
    if sparse.issparse(X):
        return np.asarray(X.sum(axis=1), dtype=np.float64).ravel()
    return np.asarray(X.sum(axis=1), dtype=np.float64)
