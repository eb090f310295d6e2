"""A fit keeps the arguments that it has used: what is set later counts from the next fit on."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import get_tags
from sklearn.utils._param_validation import StrOptions, make_constraint

from skentropy import (
    BernoulliVAE,
    Checkpoint,
    ColumnMixture,
    ExponentialFamilyMixture,
    FactorAnalysis,
    GaussianMixture,
    PoissonMixture,
    SigmoidBeliefNet,
)
from skentropy.families import Binomial, Gaussian
from skentropy.mixture import NormalInverseWishart
from skentropy.model_selection import bootstrap

from .common.estimators import COUNTS, ESTIMATORS, EstimatorCase

CASES = {
    **ESTIMATORS,
    "GaussianMixture-prior": replace(
        ESTIMATORS["GaussianMixture-full"],
        make=lambda **options: GaussianMixture(2, prior=NormalInverseWishart(), random_state=0, **options),
    ),
    "ExponentialFamilyMixture-binomial": replace(
        ESTIMATORS["PoissonMixture"],
        make=lambda **options: ExponentialFamilyMixture(Binomial(16), random_state=0, **options),
    ),
    "FactorAnalysis-promax": replace(
        ESTIMATORS["FactorAnalysis"], make=lambda **options: FactorAnalysis(2, rotation="promax", **options)
    ),
    "FactorAnalysis-geomin": replace(
        ESTIMATORS["FactorAnalysis"],
        make=lambda **options: FactorAnalysis(2, rotation="geomin", rotation_params={"epsilon": 0.05}, **options),
    ),
    "SigmoidBeliefNet-truncated": replace(
        ESTIMATORS["SigmoidBeliefNet"],
        make=lambda **options: SigmoidBeliefNet(6, posterior="truncated", max_iter=5, random_state=0, **options),
    ),
}
every = pytest.mark.parametrize("case", CASES.values(), ids=CASES)
VALUES = [None, False, True, 0.0, 1, 2, 3, 0.003, 0.3, 0.9, 5.5, (2, 1), [1, 2], {}, Gaussian(), NormalInverseWishart()]
# Arguments that a fit validates by other means.
OWN_VALUES: dict[str, list[Any]] = {
    "columns": ["auto", [("first", "gaussian", [0])]],
    "remainder": ["drop", "auto", "gaussian"],
}
# Their docstrings say that they can be set on a fitted model.
READ_LATER = {"scores"}


def other_values(model: Any, name: str) -> list[Any]:
    """Valid values of an argument that differ from its present one."""
    rules, now = model._parameter_constraints[name], getattr(model, name)
    if rules == "no_validation":
        values = OWN_VALUES[name]
    else:
        options = [option for rule in rules if isinstance(rule, StrOptions) for option in sorted(rule.options)]
        allowed = [make_constraint(rule) for rule in rules]
        values = [
            value
            for value in VALUES + options
            if any(rule.is_satisfied_by(value) for rule in allowed) and (not isinstance(value, bool) or "boolean" in rules)
        ]
    return [value for value in values if repr(value) != repr(now)]


def changes(model: Any) -> list[dict[str, Any]]:
    """Other arguments for a model, so that each argument takes all its other values."""
    others = {name: other_values(model, name) for name in model.get_params(deep=False) if name not in READ_LATER}
    assert all(others.values())
    return [
        {name: values[i % len(values)] for name, values in others.items()} for i in range(max(map(len, others.values())))
    ]


def outcome(function: Callable[[], Any]) -> Any:
    """What a function returns, or the exception that it raises, as something that compares."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = function()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    parts = result if isinstance(result, tuple) else (result,)
    return [part.tobytes() if isinstance(part, np.ndarray) and part.dtype != object else str(part) for part in parts]


def has(model: Any, method: str) -> bool:
    return callable(getattr(model, method, None))


def outputs(model: Any, X: Any) -> dict[str, Any]:
    """All that the methods of a fitted model return."""
    of_rows = [
        *("score_samples", "predict", "predict_proba", "transform", "posterior", "impute", "score", "bic", "icl"),
        *("entropy_sum", "entropy_sum_score", "stationarity_gap", "standard_errors", "bivariate_residuals", "profiles"),
        "goodness_of_fit",
    ]
    alone = ["entropy_sum", "summary", "traits", "estimates", "get_covariance", "get_feature_names_out", "standard_errors"]
    found = {f"{name}(X)": outcome(lambda name=name: getattr(model, name)(X)) for name in of_rows if has(model, name)}
    found |= {name: outcome(lambda name=name: getattr(model, name)()) for name in alone if has(model, name)}
    if hasattr(model, "predict"):
        found["summary(X)"] = outcome(lambda: model.summary(X, standard_errors=True))
    found["sample"] = outcome(lambda: model.sample(9, random_state=0))
    found["gaps"] = outcome(lambda: model.score_samples(np.where(np.arange(X.shape[1]) == 1, np.nan, X)))
    found["input tags"] = outcome(lambda: get_tags(model).input_tags)
    return found


@every
def test_a_fitted_model_stays_the_same_whatever_is_set(case: EstimatorCase) -> None:
    X = case.X
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = case.make().fit(X)
    before = outputs(model, X)
    for change in changes(model):
        again = copy.deepcopy(model).set_params(**change)
        again._validate_params()
        assert outputs(again, X) == before
    assert outputs(pickle.loads(pickle.dumps(again)), X) == before


def test_a_family_stays_the_same_whatever_is_set() -> None:
    mixture = ExponentialFamilyMixture(Binomial(16), random_state=0).fit(COUNTS)
    table = ColumnMixture([("all", Binomial(16), slice(None))], random_state=0).fit(COUNTS)
    before = outputs(mixture, COUNTS), outputs(table, COUNTS), str(mixture.family_), str(table.families_)
    mixture.set_params(family__n_trials=20)
    table.columns[0][1].set_params(n_trials=20)
    assert (outputs(mixture, COUNTS), outputs(table, COUNTS), str(mixture.family_), str(table.families_)) == before
    assert mixture.fit(COUNTS).family_ == Binomial(20)


@pytest.mark.parametrize(
    "mixture",
    [
        PoissonMixture.from_parameters([0.3, 0.6, 0.1], [[1.0], [9.0]], zero_inflated=True),
        GaussianMixture.from_parameters([0.3, 0.6, 0.1], [[1.0], [9.0]], [[[1.0]], [[4.0]]], noise_box=[[0.0], [20.0]]),
        ColumnMixture.from_parameters([("counts", "poisson", [0])], [0.5, 0.5], {"counts": {"rates": [[1.0], [9.0]]}}),
    ],
    ids=lambda mixture: type(mixture).__name__,
)
def test_a_mixture_made_from_parameters_stays_the_same_whatever_is_set(mixture: Any) -> None:
    X = np.arange(12.0)[:, np.newaxis]
    before = outputs(mixture, X)
    for change in changes(mixture):
        assert outputs(copy.deepcopy(mixture).set_params(**change), X) == before


def test_options_of_a_rotation_stay_the_same() -> None:
    model = FactorAnalysis(2, rotation="oblimin", rotation_params={"gamma": -1.0}).fit(ESTIMATORS["FactorAnalysis"].X)
    before = outputs(model, ESTIMATORS["FactorAnalysis"].X)
    model.rotation_params["gamma"] = 0.0
    assert outputs(model, ESTIMATORS["FactorAnalysis"].X) == before


@pytest.mark.parametrize(
    ("model", "change"),
    [
        (FactorAnalysis(2, rotation="varimax"), {"rotation": "oblimin"}),
        (SigmoidBeliefNet(2, binarize=9.5, max_iter=3, random_state=0), {"binarize": 2.5}),
        (BernoulliVAE(1, binarize=9.5, max_iter=2, random_state=0), {"binarize": 2.5}),
        (GaussianMixture(2, max_iter=3, random_state=0), {"covariance_type": "diag", "noise_volume": "box"}),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_next_fit_takes_what_has_been_set(model: Any, change: dict[str, Any]) -> None:
    again = model.fit(COUNTS).set_params(**change).fit(COUNTS)
    assert outputs(again, COUNTS) == outputs(clone(model).fit(COUNTS), COUNTS)


def test_steps_and_checkpoints_are_models_of_their_fit(tmp_path: Path) -> None:
    pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from version 1.9")
    X, path, scores = ESTIMATORS["GaussianMixture-full"].X, tmp_path / "mixture.joblib", []

    class Recorder:
        def setup(self, estimator: Any, context: Any) -> None: ...

        def on_fit_task_begin(self, estimator: Any, context: Any) -> None: ...

        def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> None:
            if context.task_name == "iteration":
                scores.append(fitted_estimator.score(X))

        def teardown(self, estimator: Any, context: Any) -> None: ...

    mixture = GaussianMixture(2, random_state=0, tol=1e-4, accelerate=False).fit(X)
    mixture.set_params(covariance_type="diag").set_callbacks(Recorder(), Checkpoint(path, interval=0.0)).fit(X)
    np.testing.assert_allclose(scores, mixture.lower_bounds_, rtol=1e-9)
    saved = joblib.load(path).set_params(covariance_type="full", n_components=5)
    assert saved.score(X) == mixture.score(X)


def test_the_bootstrap_fits_the_model_of_the_fit() -> None:
    mixture = GaussianMixture(2, random_state=0).fit(ESTIMATORS["GaussianMixture-full"].X)
    X = ESTIMATORS["GaussianMixture-full"].X
    before = bootstrap(mixture, X, 3, random_state=0)
    after = bootstrap(mixture.set_params(covariance_type="diag", n_components=3), X, 3, random_state=0)
    np.testing.assert_array_equal(after.replicates, before.replicates)
