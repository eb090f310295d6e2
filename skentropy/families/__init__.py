"""The exponential families that models are made of: a family is one file, and one line here."""

from __future__ import annotations

from ._arguments import check_parameter, check_probability
from ._base import ExponentialFamily
from ._bernoulli import Bernoulli
from ._beta import Beta
from ._binomial import Binomial
from ._categorical import Categorical
from ._check_family import check_family
from ._exponential import Exponential
from ._gamma import Gamma
from ._gaussian import Gaussian
from ._geometric import Geometric
from ._inverse_gaussian import InverseGaussian
from ._log_normal import LogNormal
from ._negative_binomial import NegativeBinomial
from ._poisson import Poisson
from ._von_mises import VonMises
from ._weibull import Weibull
from ._zero_truncated_poisson import ZeroTruncatedPoisson

__all__ = [
    "FAMILIES",
    "Bernoulli",
    "Beta",
    "Binomial",
    "Categorical",
    "Exponential",
    "ExponentialFamily",
    "Gamma",
    "Gaussian",
    "Geometric",
    "InverseGaussian",
    "LogNormal",
    "NegativeBinomial",
    "Poisson",
    "VonMises",
    "Weibull",
    "ZeroTruncatedPoisson",
    "check_family",
    "check_parameter",
    "check_probability",
    "get_family",
]

FAMILIES: dict[str, type[ExponentialFamily]] = {
    "bernoulli": Bernoulli,
    "beta": Beta,
    "binomial": Binomial,
    "categorical": Categorical,
    "exponential": Exponential,
    "gamma": Gamma,
    "gaussian": Gaussian,
    "geometric": Geometric,
    "inverse_gaussian": InverseGaussian,
    "log_normal": LogNormal,
    "negative_binomial": NegativeBinomial,
    "poisson": Poisson,
    "von_mises": VonMises,
    "weibull": Weibull,
    "zero_truncated_poisson": ZeroTruncatedPoisson,
}


def get_family(family: str | ExponentialFamily) -> ExponentialFamily:
    """Return the family with a name and default arguments, or a given family itself.

    Parameters
    ----------
    family : str or ExponentialFamily
        A key of ``FAMILIES``, or an instance of a family, which may be your own.

    Examples
    --------
    >>> from skentropy.families import NegativeBinomial, get_family
    >>> get_family("poisson")
    Poisson()
    >>> get_family(NegativeBinomial(r=2.5))
    NegativeBinomial(r=2.5)
    """
    if isinstance(family, ExponentialFamily):
        return family
    if isinstance(family, str) and family in FAMILIES:
        return FAMILIES[family]()
    if isinstance(family, str):
        raise ValueError(f"Unknown family {family!r}; known are {', '.join(map(repr, FAMILIES))}.")
    raise TypeError(f"A family is a name or an instance of an ExponentialFamily; got {family!r}.")
