"""The exponential families of which models consist: a family is one file, and one line here."""

from __future__ import annotations

from .._messages import did_you_mean
from ._arguments import check_parameter, check_probability
from ._base import ExponentialFamily
from ._bernoulli import Bernoulli as Bernoulli
from ._beta import Beta as Beta
from ._binomial import Binomial as Binomial
from ._categorical import Categorical as Categorical
from ._check_family import check_family
from ._exponential import Exponential as Exponential
from ._gamma import Gamma as Gamma
from ._gaussian import Gaussian as Gaussian
from ._geometric import Geometric as Geometric
from ._inverse_gaussian import InverseGaussian as InverseGaussian
from ._log_normal import LogNormal as LogNormal
from ._negative_binomial import NegativeBinomial as NegativeBinomial
from ._poisson import Poisson as Poisson
from ._von_mises import VonMises as VonMises
from ._weibull import Weibull as Weibull
from ._zero_truncated_poisson import ZeroTruncatedPoisson as ZeroTruncatedPoisson

__all__ = ["FAMILIES", "ExponentialFamily", "check_family", "check_parameter", "check_probability", "get_family"]

# Every family that is imported above, by its name.
FAMILIES: dict[str, type[ExponentialFamily]] = {
    value.name: value
    for value in list(globals().values())
    if isinstance(value, type) and issubclass(value, ExponentialFamily) and value is not ExponentialFamily
}
__all__ += [family.__name__ for family in FAMILIES.values()]


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
        raise ValueError(
            f"Unknown family {family!r}; known are {', '.join(map(repr, FAMILIES))}.{did_you_mean(family, FAMILIES)}"
        )
    raise TypeError(f"A family is a name or an instance of an ExponentialFamily; got {family!r}.")
