"""A component at zero, for counts with extra rows of zeros."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from scipy import sparse

from .._data import Block
from .._typing import Array, FloatArray, Matrix
from ._fixed import FixedRows, WithFixed, append_zeros

# The log-density of impossible rows; it is finite, so that its product with zero is defined.
_IMPOSSIBLE = -1e300


@dataclass(frozen=True)
class WithZeros(WithFixed):
    """Components of counts, and after them one that is zero in all columns, whose entropy is zero.

    A row can belong to it only if all its observed entries are zero.

    Parameters
    ----------
    own, n_runs
        As of ``WithFixed``.
    """

    fixed_name: ClassVar[str] = "zeros"

    def log_fixed(self, block: Block) -> FloatArray:
        return np.where(_is_empty(block.X), 0.0, _IMPOSSIBLE)

    def expected_rows(self, parameters: Any, observations: FixedRows, responsibilities: FloatArray) -> FloatArray:
        return self.own.expected_rows(parameters, observations.own, responsibilities[:-1])

    def column_divergences(self, parameters: Any, component: int) -> FloatArray:
        """Divergences; from the zeros minus the log-probability of a zero, and to the zeros infinity."""
        means = self.own.moments(parameters)[0]
        if component < len(means):
            of_own = self.own.column_divergences(parameters, component)
            return np.vstack([of_own, np.where(means[component] > 0.0, np.inf, 0.0)])
        # One row for each column, in which nothing else is observed.
        zeros = Block(np.where(np.eye(means.shape[1], dtype=bool), 0.0, np.nan), None, None, start=0)
        log_joint = self.own.observe(parameters, self.own.read(zeros), np.zeros(len(means))).log_joint
        return append_zeros(-(log_joint + self.own.log_base_measure(zeros)))

    def moments(self, parameters: Any) -> tuple[FloatArray, FloatArray]:
        means, variances = self.own.moments(parameters)
        return append_zeros(means), append_zeros(variances)

    def sample(
        self,
        standard: tuple[FloatArray, ...],
        labels: Array,
        random_state: np.random.RandomState,
        like: Matrix | None = None,
    ) -> FloatArray:
        """Draw rows; the fixed component gives rows of zeros."""
        X = np.zeros((len(labels), standard[0].shape[1]))
        X[labels >= 0] = self.own.sample(standard, labels[labels >= 0], random_state)
        return X


def _is_empty(X: Matrix) -> Array:
    """Which rows (n,) have no observed entries except zeros."""
    if not sparse.issparse(X):
        return np.asarray(((X == 0) | np.isnan(X)).all(axis=1))
    rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    positive = (X.data != 0) & ~np.isnan(X.data)
    return np.bincount(rows[positive], minlength=X.shape[0]) == 0
