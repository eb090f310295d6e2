"""The closed form: the ELBO as a sum of entropies."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import singledispatch
from typing import Any, ClassVar

from ._typing import ArrayLike

__all__ = ["EntropySum", "entropy_sum", "has_discrete_latents", "n_parameters"]


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


@singledispatch
def entropy_sum(model: Any, X: ArrayLike = None, sample_weight: ArrayLike | None = None) -> EntropySum:
    """Entropy sum of a fitted model of this package, of scikit-learn, or of a class registered by ``entropy_sum.register``.

    Parameters
    ----------
    model : fitted estimator
        Any estimator of this package, or scikit-learn's ``GaussianMixture``, ``PCA`` or ``FactorAnalysis``.
    X : array-like of shape (n_samples, n_features), default=None
        The data; None if the model has an entropy sum without them.
    sample_weight : array-like of shape (n_samples,), default=None

    Returns
    -------
    EntropySum

    Raises
    ------
    TypeError
        If nothing is registered for models of this type.

    Notes
    -----
    The entropy sum is the ELBO only for the training data of a model that has converged. The ridge ``reg_covar`` of a
    ``GaussianMixture`` appears as ``penalty``. If a fit stopped early, the sum differs from ``model.score(X)``.

    ``register`` is that of ``functools.singledispatch``. ``rank_models`` accepts your own models once a function is
    registered here and another with ``skentropy.entropy.n_parameters``; ``score_samples``, if they have it, gives their
    log-likelihood.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.mixture import GaussianMixture
    >>> from skentropy import entropy_sum
    >>> X = load_iris().data
    >>> mixture = GaussianMixture(3, tol=1e-9, max_iter=1000, random_state=0).fit(X)
    >>> print(round(entropy_sum(mixture, X).value, 5), round(mixture.score(X), 5))
    -1.20124 -1.20124
    """
    check_has_entropy_sum(model)
    terms: EntropySum = model.entropy_sum(X, sample_weight=sample_weight)
    return terms


def has_entropy_sum(model: Any) -> bool:
    """Whether a model, fitted or not, has an entropy sum."""
    return hasattr(type(model), "entropy_sum") or entropy_sum.dispatch(type(model)) is not entropy_sum.dispatch(object)


def check_has_entropy_sum(model: Any) -> None:
    """Refuse models without an entropy sum."""
    if not has_entropy_sum(model):
        if hasattr(model, "steps"):
            raise TypeError(
                "The entropy sum of a pipeline is that of its last step for transformed data: entropy_sum(pipeline[-1], "
                "pipeline[:-1].transform(X)); entropy_sum_scorer and rank_models do so."
            )
        raise TypeError(
            f"There is no entropy sum for {type(model).__name__}. For models of your own use entropy_sum.register on a "
            "function (model, X, sample_weight=None) -> EntropySum, and skentropy.entropy.n_parameters.register."
        )


@singledispatch
def n_parameters(model: Any) -> int:
    """Number of free parameters of a fitted model; register a function for models of your own.

    Parameters
    ----------
    model : estimator

    Returns
    -------
    int
    """
    if hasattr(model, "n_parameters_"):
        return int(model.n_parameters_)
    raise TypeError(f"The number of parameters of {type(model).__name__} is not known; use n_parameters.register.")


@singledispatch
def has_discrete_latents(model: Any) -> bool:
    """Whether a model's latent variables are discrete, so that their posterior entropy is never negative.

    Parameters
    ----------
    model : estimator

    Returns
    -------
    bool
    """
    return hasattr(model, "traits") and bool(model.traits().discrete_latents)
