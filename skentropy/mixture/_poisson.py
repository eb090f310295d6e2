"""Poisson mixtures."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy.typing as npt

from .._typing import FloatArray
from ..families import ExponentialFamily, Poisson
from ._base import BaseMixture


class PoissonMixture(BaseMixture):
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **BaseMixture._parameter_constraints,
        "rates_init": ["array-like", None],
    }

    rates_: FloatArray

    def __init__(
        self,
        n_components: int = 2,
        *,
        tol: float = 1e-9,
        max_iter: int = 1000,
        n_init: int = 1,
        init_params: str = "k-means++",
        weights_init: npt.ArrayLike | None = None,
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
        self.rates_init = rates_init

    def _get_family(self) -> ExponentialFamily:
        return Poisson()

    def _get_parameters_init(self) -> dict[str, npt.ArrayLike | None]:
        return {"rates": self.rates_init}

    @classmethod
    def from_parameters(cls, weights: npt.ArrayLike, rates: npt.ArrayLike) -> Self:
        return cls._from_parameters(cls(len(weights)), weights, {"rates": rates})
