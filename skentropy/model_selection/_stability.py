"""Stability of a mixture's classification: the agreement of fits to different weightings of the rows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .._em import as_part
from .._tables import wrap
from .._typing import Array, ArrayLike, FloatArray
from ..mixture._base import BaseMixture
from ..mixture._fitted import rows_in_memory
from ._resampling import Weightings, check_number, replicate, seeds, split_steps, unfitted


@dataclass(frozen=True, repr=False)
class StabilityResult:
    """Agreement of pairs of fits; prints as a sentence.

    Attributes
    ----------
    values : ndarray of shape (n,)
        Adjusted Rand indices of the pairs.
    title : str
        The model and the data.
    """

    values: FloatArray
    title: str

    @property
    def value(self) -> float:
        """The mean of the values."""
        return float(self.values.mean())

    def __str__(self) -> str:
        spread = f"{self.values.min():.3f} to {self.values.max():.3f} in {len(self.values)} pairs of fits"
        means = "1 is the same classification, 0 the agreement of chance"
        return "\n".join([*wrap(self.title), *wrap(f"adjusted Rand index {self.value:.3f}, {spread}; {means}")])

    def __repr__(self) -> str:
        return str(self)


def stability(
    model: Any,
    X: ArrayLike,
    n: int = 20,
    *,
    sample_weight: ArrayLike | None = None,
    exposure: ArrayLike | None = None,
    n_jobs: int | None = None,
    random_state: Any = None,
    verbose: int = 0,
) -> StabilityResult:
    """Agreement of two classifications of X, by fits to random weightings of its rows.

    The adjusted Rand index [1]_ measures the agreement. Each fit has its own starts. With too many components, or data
    without clusters, the results depend on the weights and on the starts.

    Parameters
    ----------
    model : mixture, pipeline or search
        The model to fit, with other values of ``random_state``. A pipeline must be fitted; its transformers are not
        refitted.
    X : array-like of shape (n_samples, n_features)
        The data, in memory.
    n : int, default=20
        Number of pairs of fits.
    sample_weight, exposure : array-like of shape (n_samples,), default=None
        As in ``fit``. Weights are counts; random weights are drawn as in ``bootstrap``.
    n_jobs : int, default=None
        Number of processes, by joblib. The result does not depend on it.
    random_state : int, RandomState instance or None, default=None
    verbose : int, default=0
        1 prints a line after each tenth of the pairs.

    Returns
    -------
    StabilityResult
        ``value`` is the mean of ``values``.

    Raises
    ------
    TypeError
        If the model is not a mixture.
    ValueError
        If n is less than 1, X is not in memory, or weights sum to one at most.

    See Also
    --------
    bootstrap_lrt : A test for the number of components.

    References
    ----------
    .. [1] Hubert, Arabie (1985), "Comparing Partitions".

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skentropy import GaussianMixture
    >>> from skentropy.model_selection import stability
    >>> X = load_iris().data
    >>> result = stability(GaussianMixture(2), X, n=3, random_state=0)
    >>> round(result.value, 3)
    1.0
    """
    check_number("n", n, 1)
    mixture, X = split_steps(model, X, "stability compares classifications by fits")
    first, *others = seeds(random_state, 1 + int(n))
    with as_part():
        fitted = unfitted(mixture, random_state=first).fit(X, sample_weight=sample_weight, exposure=exposure)
    draws = Weightings.of(X, rows_in_memory(fitted, X, sample_weight, exposure))
    name = type(mixture).__name__
    agreement = partial(_agreement, mixture, draws)
    values = replicate(agreement, others, n_jobs=n_jobs, verbose=verbose, name=f"stability of {name}")
    return StabilityResult(np.array(values), f"{name}: stability of the classification by {mixture.n_components} components")


def _agreement(mixture: BaseMixture, draws: Weightings, seed: int) -> float:
    """The agreement between the classifications of the rows by two fits to draws."""
    random_state = np.random.RandomState(seed)
    fits = [draws.draw(random_state).fit(unfitted(mixture, random_state=own)) for own in seeds(random_state, 2)]
    first, second = (fit.predict(draws.X, exposure=draws.exposure) for fit in fits)
    return adjusted_rand(first, second, draws.counts)


def adjusted_rand(a: Array, b: Array, counts: FloatArray) -> float:
    r"""Adjusted Rand index of two classifications of rows, each of which stands for ``counts`` rows.

    .. math::  \frac{\sum_{ij} \binom{n_{ij}}{2} - E}{\frac12 (A + B) - E}, \quad A = \sum_i \binom{n_{i.}}{2}, \quad
        B = \sum_j \binom{n_{.j}}{2}, \quad E = A B / \binom{n}{2}
    """
    (of_first, first), (of_second, second) = (np.unique(labels, return_inverse=True) for labels in (a, b))
    table = np.zeros((len(of_first), len(of_second)))
    np.add.at(table, (first, second), counts)
    # Twice the numbers of pairs: the factor cancels.
    together, of_a, of_b, all_pairs = (
        float((n * (n - 1.0)).sum()) for n in (table, table.sum(axis=1), table.sum(axis=0), table.sum())
    )
    expected = of_a * of_b / all_pairs
    largest = 0.5 * (of_a + of_b)
    return 1.0 if largest == expected else (together - expected) / (largest - expected)
