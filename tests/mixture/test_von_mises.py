"""Mixtures of angles."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import i0e, i1e
from sklearn.exceptions import ConvergenceWarning

from skentropy import ColumnMixture, ExponentialFamilyMixture, VonMisesFisherMixture
from skentropy._standard_errors import KNOWN, Estimate
from skentropy.families import VonMises
from skentropy.inspection import ComponentProfileDisplay
from skentropy.model_selection import bootstrap
from skentropy.model_selection._bootstrap import _turn

# Around the place where angles jump.
CENTRES, CONCENTRATIONS, WEIGHTS = np.array([3.0, -1.2]), np.array([4.0, 9.0]), np.array([0.6, 0.4])


def angles(n: int = 500) -> Any:
    rng = np.random.default_rng(0)
    labels = rng.choice(2, size=n, p=WEIGHTS)
    return rng.vonmises(CENTRES[labels], CONCENTRATIONS[labels])[:, np.newaxis]


def test_one_component_is_scipys_fit() -> None:
    X = np.random.default_rng(1).vonmises(2.5, 3.0, size=(300, 1))
    mixture = ExponentialFamilyMixture("von_mises", 1).fit(X)
    kappa, loc, _ = stats.vonmises.fit(X[:, 0], fscale=1)
    assert mixture.means_[0, 0] == pytest.approx(loc, abs=1e-6)
    assert mixture.concentrations_[0, 0] == pytest.approx(kappa, rel=1e-6)
    assert mixture.score(X) == pytest.approx(stats.vonmises.logpdf(X, kappa, loc=loc).mean(), abs=1e-10)


def plain_em(x: Any, steps: int) -> tuple[Any, Any, Any, float]:
    """EM from the parameters that the angles are drawn with; concentrations by bisection."""
    w, m, k = WEIGHTS, CENTRES, CONCENTRATIONS
    for _ in range(steps):
        joint = w * np.exp(stats.vonmises.logpdf(x, k, loc=m))
        q = joint / joint.sum(axis=1, keepdims=True)
        w, resultant = q.mean(axis=0), (q * np.exp(1j * x)).sum(axis=0) / q.sum(axis=0)
        low, high = np.zeros(2), np.full(2, 1e3)
        for _ in range(60):
            k = 0.5 * (low + high)
            short = i1e(k) / i0e(k) < np.abs(resultant)
            low, high = np.where(short, k, low), np.where(short, high, k)
        m = np.angle(resultant)
    return w, m, k, float(np.log((w * np.exp(stats.vonmises.logpdf(x, k, loc=m))).sum(axis=1)).mean())


def test_two_components_are_those_of_plain_em() -> None:
    X = angles()
    mixture = ExponentialFamilyMixture("von_mises", random_state=0).fit(X)
    w, m, k, log_likelihood = plain_em(X, 300)
    assert mixture.score(X) == pytest.approx(log_likelihood, abs=1e-9)
    order = np.argsort(mixture.weights_)[::-1]
    np.testing.assert_allclose(mixture.weights_[order], w, atol=1e-4)
    np.testing.assert_allclose(mixture.means_[order, 0], m, atol=1e-4)
    np.testing.assert_allclose(mixture.concentrations_[order, 0], k, rtol=1e-3)


def test_turns_are_nothing() -> None:
    """Angles from -pi and from 0 are the same."""
    X = angles()
    mixture, moved = (ExponentialFamilyMixture("von_mises", random_state=0).fit(Y) for Y in (X, X % (2.0 * np.pi)))
    assert moved.score(X) == pytest.approx(mixture.score(X), abs=1e-9)
    np.testing.assert_array_equal(moved.predict(X), mixture.predict(X))


def test_means_of_angles_are_directions() -> None:
    """Two components left and right of the jump: the mean is between them, not on the other side."""
    mixture = ExponentialFamilyMixture("von_mises").from_parameters(
        "von_mises", [0.5, 0.5], means=[[3.0], [-3.0]], concentrations=[[50.0], [50.0]]
    )
    row = mixture.summary()["means"].to_frame().iloc[0]
    assert abs(abs(row["mean all"]) - np.pi) < 1e-9
    assert row["sd all"] < 0.25
    assert abs(abs(mixture.impute([[np.nan]])[0, 0]) - np.pi) < 1e-9
    profiles, _ = mixture.profiles()
    np.testing.assert_allclose(np.abs(profiles.expected[:, 0] - profiles.mean[0]), np.pi - 3.0, rtol=1e-6)
    ComponentProfileDisplay.from_estimator(mixture)


def test_given_concentrations_beyond_the_bound_of_fits_are_refused() -> None:
    """Beyond it the natural parameters no longer hold the direction's digits that a density needs."""
    mixture = ExponentialFamilyMixture("von_mises")
    given = {"means": [[0.0], [1.0]], "concentrations": [[1e8], [2.0]]}
    assert np.isfinite(mixture.from_parameters("von_mises", [0.5, 0.5], **given).score([[0.1], [1.0]]))
    with pytest.raises(ValueError, match=r"concentration must be at most 1e\+08; got 2e\+08"):
        mixture.from_parameters("von_mises", [0.5, 0.5], **{**given, "concentrations": [[2e8], [2.0]]})


def test_standard_errors_do_not_jump() -> None:
    """The mean of angles at the jump has the error of the same angles elsewhere."""
    x = np.random.default_rng(0).vonmises(0.0, 5.0, size=(400, 1))
    here, there = (ExponentialFamilyMixture("von_mises", 1).fit(x + shift) for shift in (0.0, np.pi - 0.02))
    errors = [mixture.standard_errors(X)["means"] for mixture, X in ((here, x), (there, x + np.pi - 0.02))]
    np.testing.assert_allclose(errors[1], errors[0], rtol=1e-6)
    kappa = here.concentrations_[0, 0]
    expected = 1.0 / np.sqrt(400 * kappa * (1.0 - 0.5 * VonMises().moments(VonMises().from_standard(0.0, kappa))[1]))
    assert errors[0][0, 0] == pytest.approx(expected, rel=1e-6)


def test_replicates_of_the_bootstrap_do_not_jump() -> None:
    x = np.random.default_rng(0).vonmises(np.pi, 5.0, size=(200, 1))
    table = np.column_stack([x, x[:, 0] ** 2])
    mixture = ColumnMixture([("wind", "von_mises", [0]), ("other", "gaussian", [1])], 1).fit(table)
    result = bootstrap(mixture, table, n=40, random_state=0)
    assert np.ptp(result.distributions["wind: means"]) < 0.5
    np.testing.assert_allclose(result["wind: means"], mixture.standard_errors(table)["wind: means"], rtol=0.4)


def test_replicates_of_other_parameters_are_never_turned() -> None:
    """An angle that is given, and no estimate, has no place among the replicates."""
    angle, places = np.array([3.0, 1.0]), np.array([0, KNOWN])
    replicates = np.array([[-3.0, 25.0], [2.9, 31.0]])
    _turn(replicates, Estimate("means", angle, [], places, -np.inf, np.inf, direction="angle"))
    np.testing.assert_allclose(replicates, [[2.0 * np.pi - 3.0, 25.0], [2.9, 31.0]])


def test_uniform_angles_have_no_errors_of_a_direction() -> None:
    """Neither in one column nor as directions; a few more rows of one direction have."""
    angle = np.tile([0.0, 0.5 * np.pi, -0.5 * np.pi, np.pi], 50)
    models = [(ExponentialFamilyMixture("von_mises", 1), lambda a: a[:, np.newaxis])]
    models.append((VonMisesFisherMixture(1), lambda a: np.column_stack([np.cos(a), np.sin(a)])))
    for mixture, rows in models:
        for n_more in (0, 5):
            X = rows(np.r_[angle, np.zeros(n_more)])
            with pytest.warns(UserWarning, match="a mean direction that is known only to about a radian"):
                errors = mixture.fit(X).standard_errors(X)
            assert np.isnan(errors.covariance).all()
        X = rows(np.r_[angle, np.full(80, 0.3)])
        assert np.isfinite(mixture.fit(X).standard_errors(X).covariance).all()


def test_intervals_of_angles_are_one_turn_at_most() -> None:
    errors = ExponentialFamilyMixture("von_mises", 1).fit(X := angles()).standard_errors(X)
    assert np.diff(errors.confidence_intervals(1.0 - 1e-15)["means"]).max() < 2.0 * np.pi
    wide = dataclasses.replace(errors.parameters[1], values=np.array([[3.0]])).interval(np.array([[0.9]]), 1.0 - 1e-12)
    np.testing.assert_allclose(wide, [[[3.0 - np.pi, 3.0 + np.pi]]])


def test_degrees_are_refused_by_name() -> None:
    frame = pd.DataFrame({"wind": [10.0, 200.0, 350.0], "swell": [0.1, 0.2, 0.3]})
    with pytest.raises(
        ValueError,
        match=r"angles in radians from -2 pi to 2 pi .*deg2rad.*mod\(x, 2 \* numpy.pi\).* 3 other values, in column 'wind'",
    ):
        ExponentialFamilyMixture("von_mises").fit(frame)


def test_angles_that_coincide_are_reported() -> None:
    X = np.r_[np.full(20, 1.0), np.random.default_rng(0).vonmises(-2.0, 3.0, size=80)][:, np.newaxis]
    with pytest.warns(ConvergenceWarning, match="prior_counts"):
        mixture = ExponentialFamilyMixture("von_mises", random_state=0, n_starts=1).fit(X)
    assert np.isfinite(mixture.score_samples(X)).all()
    assert mixture.concentrations_.max() == pytest.approx(1e8, rel=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        smooth = ExponentialFamilyMixture("von_mises", random_state=0, prior_counts=1.0).fit(X)
    assert smooth.concentrations_.max() < 1e4


def test_a_block_of_a_table_with_gaps() -> None:
    rng = np.random.default_rng(0)
    X = np.column_stack([angles(), rng.normal(size=500), angles() + 0.1])
    X[rng.random(X.shape) < 0.1] = np.nan
    X = X[~np.isnan(X).all(axis=1)]
    weight = rng.integers(1, 4, size=len(X))
    blocks = [("wind", "von_mises", [0, 2]), ("speed", "gaussian", [1])]
    mixture = ColumnMixture(blocks, accelerate=False, tol=1e-7, random_state=0).fit(X, sample_weight=weight)
    sums, bounds = np.array([terms.value for terms in mixture.entropy_sums_]), np.array(mixture.lower_bounds_)
    assert np.all(sums <= bounds + 1e-10)
    assert np.all(bounds[:-1] <= sums[1:] + 1e-10)
    assert set(mixture.parameters_["wind"]) == {"means", "concentrations"}
    assert np.isfinite(mixture.impute(X)).all()
