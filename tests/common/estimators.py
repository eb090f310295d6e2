"""Every estimator of the package with data for it; the tests in ``test_estimators.py`` go through all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.datasets import load_digits, load_wine
from sklearn.preprocessing import normalize

from skentropy import (
    PPCA,
    BernoulliVAE,
    ColumnMixture,
    DirichletMixture,
    ExponentialFamilyMixture,
    FactorAnalysis,
    GammaMixture,
    GaussianMixture,
    GaussianVAE,
    MultinomialMixture,
    NegativeBinomialMixture,
    PoissonMixture,
    PoissonVAE,
    SigmoidBeliefNet,
    StudentTMixture,
    VonMisesFisherMixture,
)
from tests.common.data import factors, heavy_tails

COUNTS = load_digits().data[:300, [10, 11, 12, 20, 21, 27, 28, 43, 44, 51, 60]]
VISITS = np.random.default_rng(0).negative_binomial(np.repeat([1, 5], [180, 120])[:, np.newaxis], 0.3, size=(300, 4)) * 1.0
TOPICS = np.random.default_rng(0).dirichlet(np.ones(6), size=2)
WORDS = np.random.default_rng(1).multinomial(np.arange(300) % 40 + 10, TOPICS[np.arange(300) % 7 // 4]) * 1.0
EMPTY = np.where(np.random.default_rng(1).random((300, 1)) < 0.3, 0.0, VISITS)
AMOUNTS = load_wine().data[:, [0, 6, 12]]
ANSWERS = (COUNTS > 7).astype(float)
WINE = load_wine().data / load_wine().data.std(axis=0)
MEASURES = WINE[:, [0, 6, 9, 12]]
DIRECTIONS = normalize(COUNTS)
SHARES = np.concatenate([np.random.default_rng(0).dirichlet(a, size=150) for a in ([6, 2, 1, 3], [1.5, 4, 4, 0.8])])


@dataclass(frozen=True)
class EstimatorCase:
    """An estimator, complete data that it fits well, and what it cannot do.

    Attributes
    ----------
    make : callable
        Keyword arguments -> unfitted estimator, converging tightly.
    X : ndarray
    output : str
        The method whose result stands for what the model says of rows, besides ``score_samples``.
    sparse : bool
        Whether CSR matrices are taken.
    by_em : bool
        Whether it is fitted by steps of EM, by several runs and to a tolerance, and its parameters count.
    takes_gaps : bool
        Whether entries may be missing.
    given_totals : bool
        Whether the rows' totals are given; draws of their own have a total of one.
    of_rows : str
        What rows are, where not numbers side by side: a "direction" or a "composition".
    """

    make: Callable[..., Any]
    X: Any
    output: str
    sparse: bool = True
    by_em: bool = True
    takes_gaps: bool = True
    given_totals: bool = False
    of_rows: str = ""

    @property
    def gaps(self) -> Any:
        """The data with a tenth of the entries missing."""
        missing = np.random.RandomState(3).uniform(size=self.X.shape) < 0.1
        return np.where(missing, np.nan, self.X)

    @property
    def hardest(self) -> Any:
        """The data with gaps, where it takes them."""
        return self.gaps if self.takes_gaps else self.X


def _maker(estimator: Any, *arguments: Any, **fixed: Any) -> Callable[..., Any]:
    return lambda **options: estimator(*arguments, **{"random_state": 0, **fixed, **options})


ESTIMATORS = {
    "PoissonMixture": EstimatorCase(_maker(PoissonMixture, n_components=3, tol=1e-10), COUNTS, "predict_proba"),
    "NegativeBinomialMixture": EstimatorCase(
        _maker(NegativeBinomialMixture, n_components=2, prior_counts=0.5, tol=1e-10), VISITS, "predict_proba"
    ),
    "PoissonMixture-zero_inflated": EstimatorCase(
        _maker(PoissonMixture, n_components=2, zero_inflated=True, tol=1e-10), EMPTY, "predict_proba"
    ),
    "MultinomialMixture": EstimatorCase(
        _maker(MultinomialMixture, n_components=2, prior_counts=0.5, tol=1e-10),
        WORDS,
        "predict_proba",
        takes_gaps=False,
        given_totals=True,
    ),
    "GammaMixture": EstimatorCase(_maker(GammaMixture, n_components=3, tol=1e-10), AMOUNTS, "predict_proba", sparse=False),
    "ExponentialFamilyMixture": EstimatorCase(
        _maker(ExponentialFamilyMixture, "bernoulli", n_components=3, prior_counts=0.5, tol=1e-10),
        np.sign(COUNTS),
        "predict_proba",
    ),
    "ExponentialFamilyMixture-weibull": EstimatorCase(
        _maker(ExponentialFamilyMixture, "weibull", n_components=2, tol=1e-10), AMOUNTS, "predict_proba", sparse=False
    ),
    "ColumnMixture": EstimatorCase(
        _maker(ColumnMixture, n_components=2, prior_counts=0.5, tol=1e-10),
        np.column_stack([MEASURES[:, :2], ANSWERS[:178, 2:4], COUNTS[:178, 4]]),
        "predict_proba",
        sparse=False,
    ),
    **{
        f"GaussianMixture-{kind}": EstimatorCase(
            _maker(GaussianMixture, covariance_type=kind, n_components=2, tol=1e-10), MEASURES, "predict_proba", sparse=False
        )
        for kind in ("full", "tied", "spherical", "ppca")
    },
    "GaussianMixture-fa": EstimatorCase(
        _maker(GaussianMixture, covariance_type="fa", tol=1e-10), factors(), "predict_proba", sparse=False
    ),
    "GaussianMixture-noise": EstimatorCase(
        _maker(GaussianMixture, noise_volume="box", tol=1e-10), MEASURES, "predict_proba", sparse=False
    ),
    "StudentTMixture": EstimatorCase(
        _maker(StudentTMixture, n_components=2, tol=1e-10), heavy_tails(), "predict_proba", sparse=False
    ),
    "DirichletMixture": EstimatorCase(
        _maker(DirichletMixture, n_components=2, tol=1e-10),
        SHARES,
        "predict_proba",
        sparse=False,
        takes_gaps=False,
        of_rows="composition",
    ),
    "VonMisesFisherMixture": EstimatorCase(
        _maker(VonMisesFisherMixture, n_components=3, tol=1e-10),
        DIRECTIONS,
        "predict_proba",
        takes_gaps=False,
        of_rows="direction",
    ),
    "PPCA": EstimatorCase(_maker(PPCA, n_components=2), WINE, "transform"),
    "PPCA-em": EstimatorCase(_maker(PPCA, n_components=2, solver="em", tol=1e-12), WINE, "transform", sparse=False),
    "FactorAnalysis": EstimatorCase(_maker(FactorAnalysis, n_components=2), WINE, "transform"),
    "FactorAnalysis-em": EstimatorCase(
        _maker(FactorAnalysis, n_components=2, solver="em", tol=1e-12), WINE, "transform", sparse=False
    ),
    "SigmoidBeliefNet": EstimatorCase(
        _maker(SigmoidBeliefNet, n_components=3, binarize=None, alpha=0.1, tol=1e-7), ANSWERS, "transform"
    ),
    "GaussianVAE-heteroscedastic": EstimatorCase(
        _maker(
            GaussianVAE,
            n_components=2,
            covariance_type="heteroscedastic",
            hidden_layer_sizes=(16,),
            max_iter=15,
        ),
        WINE,
        "transform",
        sparse=False,
        by_em=False,
    ),
    "GaussianVAE": EstimatorCase(
        _maker(GaussianVAE, n_components=2, hidden_layer_sizes=(16,), max_iter=15),
        WINE,
        "transform",
        sparse=False,
        by_em=False,
    ),
}
ESTIMATORS |= {
    name: EstimatorCase(
        _maker(kind, n_components=2, hidden_layer_sizes=(16,), max_iter=15), X, "transform", sparse=False, by_em=False
    )
    for name, kind, X in [("BernoulliVAE", BernoulliVAE, ANSWERS), ("PoissonVAE", PoissonVAE, COUNTS)]
}
TABLES = {
    name + suffix: (case, X)
    for name, case in ESTIMATORS.items()
    for suffix, X in [("", case.X), *([("-gaps", case.gaps)] if case.takes_gaps else [])]
}
BY_EM = {name: case for name, case in ESTIMATORS.items() if case.by_em}
DEFAULTS = [
    PoissonMixture(),
    NegativeBinomialMixture(),
    MultinomialMixture(),
    GammaMixture(),
    ExponentialFamilyMixture(),
    GaussianMixture(),
    StudentTMixture(),
    DirichletMixture(),
    VonMisesFisherMixture(),
    ColumnMixture(),
    PPCA(),
    FactorAnalysis(),
    SigmoidBeliefNet(),
    GaussianVAE(),
    BernoulliVAE(),
    PoissonVAE(),
]
