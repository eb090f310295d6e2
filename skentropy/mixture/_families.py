"""The components of a family."""

from __future__ import annotations

from copy import copy

from ..families import ExponentialFamily, NegativeBinomial, Weibull, get_family
from ..families._dispersion import DispersedPoisson
from ._dispersed import Dispersed
from ._fitted_weibull import FittedWeibull, PooledWeibull
from ._independent import Independent


def independent(family: str | ExponentialFamily) -> Independent:
    """Components of a family or of its name; if the base measure has parameters, the components fit these, too."""
    family = copy(get_family(family))  # setting an argument changes the user's
    if isinstance(family, NegativeBinomial) and family.r is None:
        return Dispersed(DispersedPoisson())
    if isinstance(family, Weibull) and family.shape is None:
        return FittedWeibull(PooledWeibull(1.0))
    return Independent(family)
