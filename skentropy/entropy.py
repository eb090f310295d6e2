"""The closed form: the ELBO as a sum of entropies."""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["EntropySum"]


@dataclass(frozen=True)
class EntropySum:
    r"""An ELBO as a sum of entropies, term by term, in nats per sample.

    .. math::

        \frac1N \sum_n H[q_n] - H[p(z)] - E_{\bar q}\{\tilde H[p(x|z)]\} + \frac1N \sum_n \log h(x_n),

    Eqns. 3, 49 and 50 of [1]_. It equals the ELBO at every stationary point of learning, and for models whose prior is
    learned also after every exact M-step with the posteriors of the E-step before it. With fresh posteriors before
    convergence, or on data other than the training data, it is neither the ELBO nor a bound of anything.

    Parameters
    ----------
    posterior : float
        Mean entropy of the posteriors, :math:`\frac1N \sum_n H[q_n]`; counts positive.
    prior : float
        Entropy of the prior; counts negative.
    observable : float
        Expected pseudo entropy of the observable distribution under the aggregate posterior; counts negative.
    base_measure : float, default=0.0
        Mean log base measure; counts positive. Zero for families with h = 1.
    hidden : float, default=0.0
        Expected entropy of a second hidden layer, Eqn. 21 of [1]_; counts negative.
    penalty : float, default=0.0
        What a penalty or a conjugate prior adds, its derivative in the direction that scales the natural parameters;
        counts positive. Zero unless something is regularised.

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

    def _rows(self) -> list[tuple[str, str, float]]:
        """Sign, name and value of each term that is there, in the order of Eqn. 21."""
        rows = [("+", "posterior", self.posterior), ("-", "prior", self.prior)]
        rows += [("-", "hidden", self.hidden)] if self.hidden else []
        rows += [("-", "observable", self.observable)]
        rows += [("+", "base measure", self.base_measure)] if self.base_measure else []
        rows += [("+", "penalty", self.penalty)] if self.penalty else []
        return [*rows, ("=", "value", self.value)]

    def __str__(self) -> str:
        lines = [f"  {sign} {name:<12} {value:13.6f}" for sign, name, value in self._rows()]
        return "\n".join(["entropy sum, nats per sample", *lines])

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><td>{sign}</td><td style='text-align:left'>{name}</td><td>{value:.6f}</td></tr>"
            for sign, name, value in self._rows()
        )
        return f"<table><caption>entropy sum, nats per sample</caption>{cells}</table>"
