"""The base of the models whose posterior means are new features."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, final

import numpy as np
from joblib import effective_n_jobs
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state

from ._base import Evaluation, LatentVariableModel
from ._data import Block, BlockSource, thread_pool
from ._messages import check_n_samples
from ._typing import Array, ArrayLike, FloatArray


class LatentTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, LatentVariableModel):
    """A latent-variable model with ``transform``; a subclass says how its rows are read, evaluated and drawn."""

    @abstractmethod
    def _ready_rows(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> BlockSource:
        """Validated data as the fitted model takes them."""

    @abstractmethod
    def _evaluate_rows(self, rows: BlockSource, pool: ThreadPoolExecutor | None) -> Evaluation:
        """Evaluate the fitted model on rows."""

    @abstractmethod
    def _draw(self, n_samples: int, random_state: np.random.RandomState) -> FloatArray:
        """Draw ``n_samples`` rows."""

    @property
    @abstractmethod
    def _n_features_out(self) -> int:
        """The number of latent variables."""

    @property
    def _n_threads(self) -> int:
        return int(effective_n_jobs(getattr(self, "n_jobs", 1)))

    @final
    def _evaluate(self, X: ArrayLike, sample_weight: ArrayLike | None, **row_data: Any) -> Evaluation:
        if row_data:
            raise TypeError(f"{type(self).__name__} takes no {', '.join(row_data)}.")
        rows = self._ready_rows(X, sample_weight)
        with thread_pool(self._n_threads) as pool:
            return self._evaluate_rows(rows, pool)

    @final
    def _map_rows(self, function: Callable[[Block], Array], X: ArrayLike) -> Any:
        """Map all blocks of rows by a function; the result has the precision of the rows."""
        rows = self._ready_rows(X)
        with thread_pool(self._n_threads) as pool:
            return rows.map(function, pool).astype(rows.dtype, copy=False)

    @final
    def sample(self, n_samples: int = 1, random_state: Any = None) -> FloatArray:
        """Draw rows.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None

        Returns
        -------
        ndarray of shape (n_samples, n_features)
        """
        check_n_samples(n_samples)
        return self._draw(n_samples, check_random_state(random_state))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags
