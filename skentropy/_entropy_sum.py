"""The closed form: the ELBO as a sum of entropies."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import ClassVar


@dataclass(frozen=True)
class EntropySum:
    r"""An ELBO as a sum of entropies, term by term, in nats per sample.

    .. math::

        \frac1N \sum_n \mathcal H[q_n] - \mathcal H[p(z)] - E_{\bar q}\{\tilde{\mathcal H}[p(x|z)]\}
        + \frac1N \sum_n \log h(x_n),

    Eqns. 3, 49 and 50 of [1]_. It equals the ELBO at every stationary point of learning. If the prior is learned, it also
    equals the ELBO after every exact M-step, with the posteriors of the preceding E-step. With new posteriors before
    convergence, or on data other than the training data, it is neither the ELBO nor a bound.

    Parameters
    ----------
    posterior : float
        Mean entropy of the posteriors, :math:`\frac1N \sum_n \mathcal H[q_n]`; counts positive.
    prior : float
        Entropy of the prior; counts negative.
    observable : float
        Expected pseudo entropy of the observable distribution under the aggregate posterior; counts negative.
    base_measure : float, default=0.0
        Mean log base measure; counts positive. Zero for families with h = 1. For counts above a million the base measure is
        the distribution of the pooled data.
    hidden : float, default=0.0
        Expected entropy of the lower of two hidden layers, Eqn. 21 of [1]_; counts negative.
    penalty : float, default=0.0
        The term of a penalty or a conjugate prior: its derivative in the direction that scales the natural parameters;
        counts positive. Zero without regularisation.

    References
    ----------
    .. [1] Warnken, Velychko, Damm, Fischer, Lücke (2024), "Generative Models with ELBOs Converging to Entropy Sums".

    Examples
    --------
    >>> from skentropy import EntropySum
    >>> terms = EntropySum(posterior=0.5, prior=0.6, observable=1.5)
    >>> round(terms.value, 12)
    -1.6
    >>> print(terms)
    entropy sum, nats per sample
      + posterior         0.500000
      - prior             0.600000
      - observable        1.500000
      = value            -1.600000
    """

    # How each term counts, in the order of Eqn. 21.
    SIGNS: ClassVar[dict[str, int]] = {
        "posterior": 1,
        "prior": -1,
        "hidden": -1,
        "observable": -1,
        "base_measure": 1,
        "penalty": 1,
    }

    posterior: float
    prior: float
    observable: float
    base_measure: float = 0.0
    hidden: float = 0.0
    penalty: float = 0.0

    @property
    def value(self) -> float:
        """The entropy sum, in nats per sample."""
        return self.posterior - self.prior - self.hidden - self.observable + self.base_measure + self.penalty

    @property
    def magnitude(self) -> float:
        """Sum of the terms' absolute values, the scale of the rounding error of ``value``."""
        return sum(abs(getattr(self, field.name)) for field in fields(self))

    def _lines(self) -> list[tuple[str, str, float]]:
        """Sign, name and value of each term that is printed."""
        terms = [(name, sign, getattr(self, name)) for name, sign in self.SIGNS.items()]
        always = ("posterior", "prior", "observable")
        rows = [("+" if sign > 0 else "-", name.replace("_", " "), v) for name, sign, v in terms if v or name in always]
        return [*rows, ("=", "value", self.value)]

    def __str__(self) -> str:
        lines = [f"  {sign} {name:<12} {value:13.6f}" for sign, name, value in self._lines()]
        return "\n".join(["entropy sum, nats per sample", *lines])

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><td>{sign}</td><td style='text-align:left'>{name}</td><td>{value:.6f}</td></tr>"
            for sign, name, value in self._lines()
        )
        return f"<table><caption>entropy sum, nats per sample</caption>{cells}</table>"
