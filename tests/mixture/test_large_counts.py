"""Log-likelihoods of large counts against decimal arithmetic: of given parameters, of fits, and where they are warned of."""

from __future__ import annotations

import warnings
from decimal import localcontext
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from skentropy import ExponentialFamilyMixture, PoissonMixture
from skentropy.families import Binomial, Gamma, NegativeBinomial, Poisson
from tests.common.counts import exact_log_likelihood

EPS = np.finfo(np.float64).eps
WEIGHTS = [0.4, 0.6]
MEANS = np.array([[1.0, 2.0, 0.5], [1.1, 1.0, 0.7]])
large = pytest.mark.filterwarnings("ignore:.*the spacing of doubles")


def mixture_of(family: Any, parameters: Any) -> Any:
    if isinstance(family, Poisson):
        return PoissonMixture.from_parameters(WEIGHTS, parameters)
    return ExponentialFamilyMixture.from_parameters(family, WEIGHTS, probabilities=parameters)


def case(kind: str, size: float) -> tuple[Any, Any, Any]:
    """A family, parameters and data with a gap, and as many draws of each component as a test has time for."""
    rng = np.random.RandomState(0)
    if kind == "poisson":
        family, parameters = Poisson(), size * MEANS
    elif kind == "binomial":
        family, parameters = Binomial(int(3 * size)), MEANS / 3.0
    else:
        family, parameters = NegativeBinomial(1e4), size * MEANS / (size * MEANS + 1e4)
    eta = family.from_standard(parameters)
    X = np.concatenate([family.sample(np.repeat(eta[:, [c]], 15, axis=1), rng) for c in (0, 1)]).astype(float)
    X[3, 1] = np.nan
    return family, parameters, X


def exact(family: Any, model: Any, X: Any, exposure: int = 1) -> Any:
    """Log-likelihoods of the rows, as far as doubles can tell."""
    (parameters,) = model._standard_parameters()
    with localcontext() as context:
        context.prec = 50
        return np.array([float(exact_log_likelihood(family, row, model.weights_, parameters, exposure)) for row in X])


@large
@pytest.mark.parametrize("kind", ["poisson", "binomial", "negative binomial"])
@pytest.mark.parametrize("size", [2e6, 1e9, 1e13, 1e15])
def test_scores(kind: str, size: float) -> None:
    family, parameters, X = case(kind, size)
    bound = 1.5 * EPS * (3 * size if kind == "binomial" else np.nanmax(X))
    model = mixture_of(family, parameters)
    expected = exact(family, model, X)
    assert np.abs(model.score_samples(X) - expected).max() < bound
    fit = ExponentialFamilyMixture(family, random_state=0)
    fit.fit(X)
    expected = exact(family, fit, X)
    assert np.abs(fit.score_samples(X) - expected).max() < bound
    assert abs(fit.lower_bound_ - expected.mean()) < bound
    assert abs(fit.stationarity_gap_) < bound


@large
def test_exposures_make_counts_large() -> None:
    """Rates of one at exposures of 1e11, in scores and in fits."""
    rng = np.random.RandomState(0)
    X = rng.poisson(1e11 * MEANS[[0] * 10 + [1] * 10]).astype(float)
    model = PoissonMixture.from_parameters(WEIGHTS, MEANS)
    expected = exact(Poisson(), model, X, exposure=10**11)
    exposure = np.full(len(X), 1e11)
    assert np.abs(model.score_samples(X, exposure=exposure) - expected).max() < 1.5 * EPS * X.max()
    beside = model.score_samples(np.vstack([[1.0, 2.0, 0.0], X]), exposure=np.append(1.0, exposure))[1:]  # a small one
    assert np.abs(beside - expected).max() < 1.5 * EPS * X.max()
    fit = PoissonMixture(random_state=0).fit(X, exposure=exposure)
    np.testing.assert_allclose(np.sort(fit.rates_[:, 1]), [1.0, 2.0], rtol=1e-4)
    assert abs(fit.lower_bound_ - exact(Poisson(), fit, X, exposure=10**11).mean()) < 1.5 * EPS * X.max()


@pytest.mark.parametrize("prior_counts", [0.0, 0.5])
@pytest.mark.parametrize("family", [Poisson(), Binomial(20), NegativeBinomial(2.5)], ids=repr)
def test_the_measure_changes_no_fit(family: Any, prior_counts: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights, gaps, exposures and a column of zeros, once relative to the pooled distribution and once not."""
    rng = np.random.RandomState(0)
    X = rng.binomial(20, MEANS[rng.randint(2, size=150)] / 3.0).astype(float)
    X = np.column_stack([X, np.zeros(150)])
    X[rng.uniform(size=X.shape) < 0.1] = np.nan
    data = {"sample_weight": rng.randint(1, 4, size=150), "exposure": rng.choice([1.0, 2.0], size=150)}
    model = ExponentialFamilyMixture(family, 2, prior_counts=prior_counts, random_state=0, tol=1e-12)
    (name,) = (f"{name}_" for name in family.attribute_names)

    def found() -> Any:
        model.fit(X, **data)
        evaluated = [getattr(model, method)(X, exposure=data["exposure"]) for method in ("score_samples", "predict_proba")]
        return model.entropy_sum_, [getattr(model, name), model.lower_bound_, *evaluated]

    terms, usual = found()
    monkeypatch.setattr("skentropy.families._relative._LARGE_COUNT", 0.0)
    relative_terms, relative = found()
    for value, expected in zip(relative, usual, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-7)
    assert relative_terms.posterior == pytest.approx(terms.posterior, rel=1e-7)
    assert relative_terms.value == pytest.approx(terms.value, rel=1e-7)
    assert abs(relative_terms.base_measure - terms.base_measure) > 1e-2
    assert abs(model.stationarity_gap_) < 1e-7


def test_warnings_of_what_is_left() -> None:
    rates = np.array([[1e3, 5e9], [1e3, 6e9]])
    message = r"PoissonMixture: counts up to 6e\+09 in column 1; log-likelihoods may be off by 1e-06 nats a row"
    with pytest.warns(UserWarning, match=message) as caught:
        model = PoissonMixture.from_parameters(WEIGHTS, rates)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match=r"counts up to 8e\+09 in column 0, column 1"):
        PoissonMixture.from_parameters([1.0], [[6e9, 8e9]])
    X = model.sample(20, random_state=0)[0]
    for table, times in ((X, 1), (sparse.csr_matrix(X), 64)):
        with pytest.warns(UserWarning, match=f"off by {EPS * times * X.max():.1g} nats") as caught:
            PoissonMixture(1).fit(table)
        assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PoissonMixture.from_parameters(WEIGHTS, 0.5 * rates)
        ExponentialFamilyMixture.from_parameters(NegativeBinomial(2.0), WEIGHTS, probabilities=1.0 - 1.0 / rates)
        just = np.array([[0.5], [0.995]]) * 1e-6 / EPS
        for table in (just, sparse.csr_matrix(just / 64.0)):
            PoissonMixture(1).fit(table)
        ExponentialFamilyMixture.from_parameters(Gamma(), WEIGHTS, shapes=rates, rates=np.ones((2, 2)))
