"""A mixture made of the parameters of a fitted one is the fitted one, with as many parameters."""

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_iris

from skentropy import GaussianMixture, NegativeBinomialMixture, StudentTMixture

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning", "ignore:.*there is no standard error of:UserWarning"
)

IRIS = load_iris().data
VISITS = np.random.default_rng(0).negative_binomial(2, 0.3, size=(200, 3)) * np.repeat([1, 4], 100)[:, np.newaxis]


def _same(made: Any, fitted: Any, X: np.ndarray) -> None:
    np.testing.assert_allclose(made.score_samples(X), fitted.score_samples(X), rtol=1e-12)
    assert made.n_parameters_ == fitted.n_parameters_
    assert made.bic(X) == pytest.approx(fitted.bic(X), rel=1e-12)
    ours, theirs = made.standard_errors(X), fitted.standard_errors(X)
    assert list(ours.estimates) == list(theirs.estimates)
    for name in theirs.estimates:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6)
    made.warm_start = True
    made.fit(X)
    assert made.n_parameters_ == fitted.n_parameters_
    assert made.lower_bound_ == pytest.approx(fitted.lower_bound_, rel=1e-7)


@pytest.mark.parametrize(
    ("tie", "zero_inflated", "n_parameters"),
    [("full", False, 13), ("feature", False, 10), ("component", True, 10), ("tied", False, 8)],
)
def test_negative_binomials(tie: str, zero_inflated: bool, n_parameters: int) -> None:
    fitted = NegativeBinomialMixture(2, dispersion_type=tie, zero_inflated=zero_inflated, random_state=0).fit(VISITS)
    made = NegativeBinomialMixture.from_parameters(
        fitted.weights_, fitted.means_, fitted.dispersions_, dispersion_type=tie, zero_inflated=zero_inflated
    )
    assert made.n_parameters_ == n_parameters
    _same(made, fitted, VISITS)


@pytest.mark.parametrize(("degrees", "n_parameters"), [(None, 31), (4.0, 29)])
def test_student_t(degrees: float | None, n_parameters: int) -> None:
    fitted = StudentTMixture(2, degrees_of_freedom=degrees, random_state=0).fit(IRIS)
    given = fitted.degrees_of_freedom_ if degrees is None else degrees
    made = StudentTMixture.from_parameters(fitted.weights_, fitted.means_, fitted.scales_, given)
    assert made.n_parameters_ == n_parameters
    _same(made, fitted, IRIS)


def test_unequal_dispersions_are_not_tied() -> None:
    with pytest.raises(ValueError, match="dispersions must be the same along what dispersion_type ties"):
        NegativeBinomialMixture.from_parameters([0.5, 0.5], [[1.0], [9.0]], [[0.1], [0.5]], dispersion_type="tied")
    with pytest.raises(ValueError, match="dispersion_type must be one of 'full', 'feature', 'component', 'tied', got 'all'"):
        NegativeBinomialMixture.from_parameters([0.5, 0.5], [[1.0], [9.0]], [[0.1], [0.5]], dispersion_type="all")


def test_wrong_shapes_name_the_argument_on_which_they_depend() -> None:
    means = np.zeros((2, 3))
    with pytest.raises(ValueError, match=r"\(2, 3, 3\), but got \(2,\); the shape depends on covariance_type"):
        GaussianMixture.from_parameters([0.5, 0.5], means, [1.0, 9.0])
    with pytest.raises(ValueError, match=r"\(2, 3\), but got \(2,\); the shape depends on covariance_type"):
        GaussianMixture.from_parameters([0.5, 0.5], means, [1.0, 9.0], "diag")
    with pytest.raises(ValueError, match=r"\(2, 3, 3\), but got \(3, 3\); the shape depends on scale_type"):
        StudentTMixture.from_parameters([0.5, 0.5], means, np.eye(3), 4.0)
    with pytest.raises(ValueError, match=r"means .* but got \(1, 3\)\.$"):
        GaussianMixture.from_parameters([0.5, 0.5], means[:1], [1.0, 9.0], "spherical")
    start = GaussianMixture(2, means_init=means[:, :2], covariances_init=[1.0, 9.0], noise_volume=9.0)
    with pytest.raises(ValueError, match=r"covariances_init .*the shape depends on covariance_type"):
        start.fit(IRIS[:, :2])
