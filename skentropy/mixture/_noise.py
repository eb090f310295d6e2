"""A uniform noise component, for rows that belong to no cluster."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np

from .._data import Block, ColumnSurvey
from .._typing import Array, FloatArray, Matrix
from ._fixed import FixedRows, WithFixed, append_zeros


@dataclass(frozen=True)
class WithNoise(WithFixed):
    r"""Components, and after them one of constant density :math:`1 / V` for a volume V (Banfield and Raftery 1993).

    The density is the same outside the box. For a row with missing entries it is that of the box in the observed columns.

    Parameters
    ----------
    own, n_runs
        As of ``WithFixed``.
    volume : float or "box"
        V; with "box" it is the volume of the box that contains all rows. A box of another volume has the same proportions.
    box : ndarray of shape (2, D)
        Lower and upper edges.
    """

    volume: float | str = "box"
    box: FloatArray = field(default_factory=lambda: np.array([[0.0], [1.0]]))

    fixed_name: ClassVar[str] = "noise"

    @property
    def allows_sparse(self) -> bool:
        return False

    @property
    def allows_exposure(self) -> bool:
        return False

    def prepare(self, estimator: Any, columns: ColumnSurvey, *, is_sparse: bool, prior_counts: float) -> Self:
        own = self.own.prepare(estimator, columns, is_sparse=is_sparse, prior_counts=prior_counts)
        box = np.stack([columns.smallest, columns.largest])
        # A column without spread is ignored; the components report it as a failure.
        box = np.where(box[1] > box[0], box, box[0] + np.array([[-0.5], [0.5]]))
        if isinstance(self.volume, str):
            return replace(self, own=own, box=box)
        log_ratio = (np.log(self.volume) - np.log(box[1] - box[0]).sum()) / len(box[0])
        half = 0.5 * (box[1] - box[0]) * np.exp(log_ratio)
        box = box.mean(axis=0) + np.outer([-1.0, 1.0], half)
        if not (box[1] > box[0]).all():
            raise ValueError(f"noise_volume={self.volume} is too small: its box has no extent beside the data.")
        return replace(self, own=own, box=box)

    def log_fixed(self, block: Block) -> FloatArray:
        return np.asarray(~np.isnan(block.X) @ -np.log(self.box[1] - self.box[0]))

    def expected_rows(self, parameters: Any, observations: FixedRows, responsibilities: FloatArray) -> FloatArray:
        """Expectations; that of noise is the middle of the box."""
        expected = self.own.expected_rows(parameters, observations.own, responsibilities[:-1])
        return np.asarray(expected + np.outer(responsibilities[-1], self.box.mean(axis=0)))

    def column_divergences(self, parameters: Any, component: int) -> FloatArray:
        """Divergences; for those from and to noise each column of the noise counts as Gaussian with its moments."""
        means, variances = self.moments(parameters)
        log_sides, log_scales = np.log(self.box[1] - self.box[0]), 0.5 * np.log(2.0 * np.pi * variances)
        if component == len(means) - 1:
            spread = (variances[-1] + (means[-1] - means[:-1]) ** 2) / (2.0 * variances[:-1])
            return append_zeros(log_scales[:-1] + spread - log_sides)  # more than 0.17
        to_noise = np.maximum(log_sides - log_scales[component] - 0.5, 0.0)
        return np.vstack([self.own.column_divergences(parameters, component), to_noise])

    def moments(self, parameters: Any) -> tuple[FloatArray, FloatArray]:
        means, variances = self.own.moments(parameters)
        middle, variance = self.box.mean(axis=0), (self.box[1] - self.box[0]) ** 2 / 12.0
        return np.vstack([means, middle]), np.vstack([variances, variance])

    def correlated_columns(self, parameters: Any) -> list[tuple[Array, FloatArray]]:
        variance = np.diag((self.box[1] - self.box[0]) ** 2 / 12.0)
        K = len(self.own.moments(parameters)[0])
        return [
            (columns, np.concatenate([np.broadcast_to(S, (K, *S.shape[1:])), variance[np.newaxis]]))
            for columns, S in self.own.correlated_columns(parameters)
        ]

    def sample(
        self,
        standard: tuple[FloatArray, ...],
        labels: Array,
        random_state: np.random.RandomState,
        like: Matrix | None = None,
    ) -> FloatArray:
        """Draw rows; noise is drawn from the box."""
        X = np.empty((len(labels), self.box.shape[1]))
        is_fixed = labels < 0
        X[~is_fixed] = self.own.sample(standard, labels[~is_fixed], random_state)
        X[is_fixed] = self.box[0] + (self.box[1] - self.box[0]) * random_state.uniform(size=X[is_fixed].shape)
        return X
