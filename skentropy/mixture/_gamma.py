"""Gamma mixtures."""

from __future__ import annotations

import warnings
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.utils._param_validation import Interval, StrOptions

from .._base import list_columns
from .._typing import FloatArray
from ..families import ExponentialFamily, Gamma
from ._base import BaseMixture
from ._survey import ColumnSurvey


class GammaMixture(BaseMixture):
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMixture._parameter_constraints,
        "shapes_init": ["array-like", None],
        "rates_init": ["array-like", None],
        "zeros": [StrOptions({"warn", "error"}), Interval(Real, 0.0, None, closed="neither")],
    }

    shapes_: FloatArray
    rates_: FloatArray
    zero_substitutes_: FloatArray

    def __init__(
        self,
        n_components: int = 2,
        *,
        zeros: str | float = "warn",
        tol: float = 1e-9,
        max_iter: int = 1000,
        n_init: int = 1,
        init_params: str = "k-means++",
        weights_init: npt.ArrayLike | None = None,
        shapes_init: npt.ArrayLike | None = None,
        rates_init: npt.ArrayLike | None = None,
        prior_counts: float = 0.0,
        accelerate: bool = True,
        warm_start: bool = False,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None:
        super().__init__(
            n_components,
            tol=tol,
            max_iter=max_iter,
            n_init=n_init,
            init_params=init_params,
            weights_init=weights_init,
            prior_counts=prior_counts,
            accelerate=accelerate,
            warm_start=warm_start,
            random_state=random_state,
            n_jobs=n_jobs,
            verbose=verbose,
            verbose_interval=verbose_interval,
        )
        self.zeros = zeros
        self.shapes_init = shapes_init
        self.rates_init = rates_init

    def _get_family(self) -> ExponentialFamily:
        return Gamma()

    def _get_parameters_init(self) -> dict[str, npt.ArrayLike | None]:
        return {"shapes": self.shapes_init, "rates": self.rates_init}

    def _choose_substitutes(self, columns: ColumnSurvey) -> FloatArray | None:
        if self.zeros == "error":
            return None
        if self.zeros != "warn":
            return np.full(len(columns.mean), float(self.zeros))
        with_zeros = np.flatnonzero(columns.n_zeros)
        if with_zeros.size:
            warnings.warn(
                f"{int(columns.n_zeros.sum())} zeros in {list_columns(self, with_zeros)} are replaced by half the column's "
                "smallest positive value; set zeros to 'error' or to a value to decide otherwise.",
                UserWarning,
                stacklevel=6,
            )
        return np.where(np.isfinite(columns.smallest_positive), 0.5 * columns.smallest_positive, 1.0)

    def _fitted_substitutes(self) -> FloatArray | None:
        return getattr(self, "zero_substitutes_", None)

    @classmethod
    def from_parameters(cls, weights: npt.ArrayLike, shapes: npt.ArrayLike, rates: npt.ArrayLike) -> Self:
        return cls._from_parameters(cls(len(weights)), weights, {"shapes": shapes, "rates": rates})
