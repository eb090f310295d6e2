"""Rankings flag models whose fits ended at no maximum to compare with others'."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_iris, load_wine

from skentropy import PPCA, ColumnMixture, FactorAnalysis, GaussianMixture, PoissonMixture, SigmoidBeliefNet
from skentropy._em import End, State
from skentropy.mixture._maximum import Maximum
from skentropy.model_selection import rank_models
from skentropy.neural_network._maximum import Maximum as MaximumOfNet

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:.*a component of a continuous family can collapse:UserWarning"
)

IRIS, WINE = load_iris().data, load_wine().data


def _flags(models: dict, X: np.ndarray) -> dict[str, str]:
    ranking = rank_models(models, X)
    return {row.name: flag for row, flag in zip(ranking, ranking.flags_, strict=True)}


def test_heywood_cases() -> None:
    block = GaussianMixture(covariance_type="fa", n_factors=1)
    models = {
        "factors": FactorAnalysis(1),
        "ppca": PPCA(2),
        "mixture of factors": clone(block).set_params(n_components=1),
        "mixture of ppcas": GaussianMixture(1, covariance_type="ppca", n_factors=2),
        "table": ColumnMixture([("all", block, [0, 1, 2, 3])], 1),
    }
    flagged = dict.fromkeys(("factors", "mixture of factors", "table"), "Heywood")
    assert _flags(models, IRIS) == dict.fromkeys(models, "") | flagged


def test_factors_with_more_parameters_than_a_covariance_matrix() -> None:
    X = np.random.default_rng(0).normal(size=(200, 5)) @ np.random.default_rng(1).normal(size=(5, 5))
    flags = _flags({"2": FactorAnalysis(2), "3": FactorAnalysis(3), "ppca": PPCA(3)}, X)
    assert flags == {"2": flags["2"], "3": "not identified", "ppca": ""}
    assert flags["2"] in ("", "Heywood")


def test_collapsed_components() -> None:
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.normal(size=(60, 2)), np.tile([[5.0, 5.0]], (20, 1))])
    models = {
        "full": GaussianMixture(2, random_state=0),
        "tied": GaussianMixture(2, covariance_type="tied", random_state=0),
        "table": ColumnMixture([("all", "gaussian", [0, 1])], 2, random_state=0),
        "prior": GaussianMixture(2, prior_counts=1.0, random_state=0),
    }
    assert _flags(models, X) == {"full": "degenerate", "tied": "", "table": "degenerate", "prior": ""}


def _ends_at_saddle(self: object, state: State, *rest: object) -> End:
    return End(state, goes_on=False, saddle=True)


def test_saddle_points(monkeypatch: pytest.MonkeyPatch) -> None:
    X = (WINE[:, :4] > WINE[:, :4].mean(axis=0)).astype(float)
    models = {"mixture": PoissonMixture(2, random_state=0), "net": SigmoidBeliefNet(1, random_state=0)}
    assert _flags(models, X) == {"mixture": "", "net": ""}
    with monkeypatch.context() as patched:
        patched.setattr(Maximum, "leave_saddle", _ends_at_saddle)
        patched.setattr(MaximumOfNet, "leave_saddle", _ends_at_saddle)
        for model in models.values():
            model.fit(X)
    assert _flags(models, X) == {"mixture": "saddle point", "net": "saddle point"}
    assert [model.fit(X).traits().doubt for model in models.values()] == ["", ""], "a second fit leaves nothing of the first"
