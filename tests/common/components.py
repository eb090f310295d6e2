"""Components of every kind, at parameters near a maximum and at others, with rows."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from skentropy import GaussianMixture, NegativeBinomialMixture, StudentTMixture
from skentropy._data import Block
from skentropy.mixture._factor_parameters import FactorParameters
from skentropy.mixture._information import Metric
from skentropy.mixture._model import MixtureModel
from tests.common.data import heavy_tails
from tests.common.estimators import ESTIMATORS, MEASURES, VISITS

KINDS: dict[str, tuple[Any, Any]] = {
    **{
        name: (case.make(n_components=2), case.hardest)
        for name, case in ESTIMATORS.items()
        if case.output == "predict_proba"
    },
    **{kind: (GaussianMixture(2, covariance_type=kind), MEASURES) for kind in ("diag", "tied_diag", "tied_spherical")},
    **{
        f"dispersions-{kind}": (NegativeBinomialMixture(2, dispersion_type=kind, random_state=0), VISITS)
        for kind in ("component", "feature", "tied")
    },
    "student-tied": (StudentTMixture(2, scale_type="tied", random_state=0), heavy_tails()),
    "student-given": (StudentTMixture(2, degrees_of_freedom=4.0, random_state=0), heavy_tails()),
}


@cache
def problem(name: str, prior_counts: float = 0.0) -> tuple[MixtureModel, Any, Any, Block]:
    """A model, parameters near its maximum and others that are not, and weighted rows."""
    estimator, X = KINDS[name]
    rng = np.random.default_rng(0)
    X = X[rng.choice(len(X), 120, replace=False)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = estimator.fit(X)
        model, parameters = estimator._fitted_model(None)
    rows = estimator._read(X)
    block = Block(rows.X, rng.exponential(size=len(X)), rows.exposure, 0)
    components = model.components
    components = components.with_pooled(components.summarize(components.read(block), block.weight))
    statistics = model.expect(parameters, block)
    smooth = MixtureModel(components.with_prior(1.5, statistics.components))  # which keeps them from limits
    for _ in range(3):
        parameters = smooth.maximize(smooth.expect(parameters, block))
    if "degrees_of_freedom" not in components.given_names and "degrees_of_freedom" in components.attribute_names:
        means, scales, degrees = components.standard(parameters.components)
        inside = components.natural((means, scales, np.clip(degrees, 5.0, 20.0)))
        parameters = replace(parameters, components=inside)
    model = MixtureModel(components.with_prior(prior_counts, statistics.components))
    metric = Metric.at(model, parameters, model.expect(parameters, block))
    z = rng.normal(size=(len(parameters.log_weights), 1 + components.n_directions(parameters.components)))
    elsewhere = model.moved(parameters, metric.directions(0.3 * z))
    assert elsewhere is not None
    return model, parameters, elsewhere, block


def arrays(standard: Any) -> list[Any]:
    """Attributes as a list; those of blocks of columns are within each other."""
    return [array for own in standard for array in (arrays(own) if isinstance(own, tuple) else [own])]


def assert_same(found: Any, expected: Any, rtol: float = 1e-10, atol: float = 1e-10) -> None:
    for one, other in zip(arrays(found), arrays(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)


def factor_parameters(on_floor: Any, k: int = 1, seed: int = 0) -> FactorParameters:
    """Parameters of as many components and features as the mask says, with noise on its floor."""
    rng = np.random.default_rng(seed)
    K, d = on_floor.shape
    noise = np.where(on_floor, 1e-9, rng.uniform(0.5, 1.5, size=(K, d)))
    return FactorParameters.of_factors(rng.normal(size=(K, d)), rng.normal(size=(K, d, k)), noise, on_floor)
