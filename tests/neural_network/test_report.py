"""What a fit says of hidden variables that carry no information."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy.special import logit
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.exceptions import ConvergenceWarning

from skentropy import SigmoidBeliefNet
from skentropy.neural_network._layers import BeliefNet, Layer
from tests.common.nets import bars, set_net

FEW = (np.random.default_rng(0).uniform(size=(5, 6)) < 0.5) * 1.0


def named(net: SigmoidBeliefNet, X: Any, **options: Any) -> list[str]:
    """Messages on hidden variables that are always in one state."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net.fit(X, **options)
    return [str(warning.message) for warning in caught if "carr" in str(warning.message)]


@pytest.mark.parametrize("alpha", [0.01, 1.0])
def test_more_variables_than_rows_are_named(alpha: float) -> None:
    net = SigmoidBeliefNet(6, alpha=alpha, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"hidden variables? [\d, ]+ (is|are) always on and carr(y|ies) no"):
        net.fit(FEW)
    (message,) = named(net, FEW)
    always_on = np.flatnonzero(net.prior_ > 1.0 - 1e-6)
    assert f"variables {', '.join(map(str, always_on))} are" in message
    rare = len(FEW) * np.minimum(net.prior_, 1.0 - net.prior_)
    assert (np.delete(rare, always_on) > 0.5).all()


def test_variables_that_are_never_on_are_named() -> None:
    """EM leaves a prior where it is as long as the weights are zero."""
    X = bars(50, 0)[0]
    net = set_net(BeliefNet(logit([1e-9]), (Layer(np.zeros((16, 1)), logit(X.mean(axis=0))),)), X)
    (message,) = named(net.set_params(alpha=0.0, warm_start=True), X)
    assert message == "SigmoidBeliefNet: hidden variable 0 is always off and carries no information. Use fewer components."


def test_layers_are_numbered_from_the_data_upward() -> None:
    net = SigmoidBeliefNet((2, 2), alpha=1.0, random_state=0)
    (message,) = named(net, FEW)
    means = net.transform(FEW).mean(axis=0)
    same = np.flatnonzero(len(FEW) * (1.0 - means) < 0.5)
    assert f"variables {', '.join(map(str, same))} are" in message


@pytest.mark.parametrize(("n_components", "alpha"), [(4, 0.01), (3, 1.0)])
def test_healthy_fits_name_none(n_components: int, alpha: float) -> None:
    cancer = load_breast_cancer().data
    tables = [
        (load_digits().data[:600] > 7.5) * 1.0,
        (cancer > np.median(cancer, axis=0)) * 1.0,
        bars(300, 0)[0],
    ]
    for X in tables:
        assert named(SigmoidBeliefNet(n_components, binarize=None, alpha=alpha, random_state=0), X) == []


def test_a_variable_of_one_row_is_told_from_none() -> None:
    """It is on in one row of forty, and there beyond doubt."""
    X = np.zeros((40, 12))
    X[0] = 1.0
    net = SigmoidBeliefNet(1, random_state=0)
    assert named(net, X) == []
    np.testing.assert_allclose(40.0 * min(net.prior_[0], 1.0 - net.prior_[0]), 1.0, atol=1e-2)


def test_normalised_weights_do_not_make_fewer_rows() -> None:
    X = bars(200, 0)[0]
    net = SigmoidBeliefNet(3, alpha=0.01 / 200, tol=1e-6, random_state=0)
    assert named(net, X, sample_weight=np.full(200, 1 / 200)) == []
