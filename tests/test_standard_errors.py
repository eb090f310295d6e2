"""Intervals and tables of estimates, whatever the model is that they are of."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from skentropy._standard_errors import KNOWN, Estimate, StandardErrors, check_level


@pytest.mark.parametrize("level", [0.5, 0.8, 0.99])
def test_intervals_are_symmetric_on_a_scale_without_limits(level: float) -> None:
    """Also with limits that are not zero and one, and values that are not in the middle between them."""
    low, high = np.array([-np.inf, 2.0, 2.0, -3.0]), np.array([np.inf, np.inf, 5.0, 7.0])
    x, errors = np.array([-4.0, 2.5, 3.0, 1.0]), np.array([0.7, 0.2, 0.4, 2.5])
    found = Estimate("x", x, [list("abcd")], np.arange(4), low, high).interval(errors, level)
    quantile = stats.norm.ppf(0.5 + level / 2)
    ends = np.array([-quantile, quantile])
    np.testing.assert_allclose(found[0], x[0] + errors[0] * ends, rtol=1e-14)
    # By the slopes of the scales, taken numerically.
    for i, scale, back in [
        (1, lambda v: np.log(v - 2.0), lambda t: 2.0 + np.exp(t)),
        (2, lambda v: np.log((v - 2.0) / (5.0 - v)), lambda t: (2.0 + 5.0 * np.exp(t)) / (1.0 + np.exp(t))),
        (3, lambda v: np.log((v + 3.0) / (7.0 - v)), lambda t: (-3.0 + 7.0 * np.exp(t)) / (1.0 + np.exp(t))),
    ]:
        slope = (scale(x[i] + 1e-6) - scale(x[i] - 1e-6)) / 2e-6
        np.testing.assert_allclose(found[i], back(scale(x[i]) + slope * errors[i] * ends), rtol=1e-8)
    assert ((low < found[:, 0]) & (found[:, 0] < x) & (x < found[:, 1]) & (found[:, 1] < high)).all()


def test_intervals_of_angles_are_a_turn_at_most() -> None:
    x, errors = np.array([0.5, -3.0, 1.0]), np.array([0.2, 9.0, 0.0])
    found = Estimate("x", x, [list("abc")], np.arange(3), direction="angle").interval(errors, 0.9)
    reach = stats.norm.ppf(0.95) * 0.2
    np.testing.assert_allclose(found, [[0.5 - reach, 0.5 + reach], [-3.0 - np.pi, -3.0 + np.pi], [1.0, 1.0]], rtol=1e-14)


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_intervals_of_unit_vectors_are_those_of_the_angles_from_the_axes(level: float) -> None:
    x, errors = np.array([0.6, -0.2, 0.99, 1.0, -0.999]), np.array([0.1, 0.3, 0.2, 0.0, 0.5])
    found = Estimate("x", x, [list("abcde")], np.arange(5), direction="unit vector").interval(errors, level)
    angle, quantile = np.arccos(x), stats.norm.ppf(0.5 + level / 2)
    slope = (np.cos(angle - 1e-6) - np.cos(angle + 1e-6)) / 2e-6
    reach = quantile * errors[:3] / slope[:3]
    np.testing.assert_allclose(found[:3, 0], np.cos(np.minimum(angle[:3] + reach, np.pi)), rtol=1e-8)
    np.testing.assert_allclose(found[:3, 1], np.cos(np.maximum(angle[:3] - reach, 0.0)), rtol=1e-8)
    np.testing.assert_array_equal(found[3], [1.0, 1.0])
    np.testing.assert_allclose(found[4], [-1.0, 1.0])


def test_a_unit_vector_that_is_a_little_longer_than_one_has_an_interval() -> None:
    x, errors = np.array([1.0 + 1e-15, -1.0 - 1e-15]), np.array([1e-9, 1e-9])
    found = Estimate("x", x, [list("ab")], np.arange(2), direction="unit vector").interval(errors, 0.9)
    assert np.isfinite(found).all()
    assert (np.abs(found) <= 1.0).all()


def test_what_is_known_has_no_error_and_an_interval_of_no_length() -> None:
    weight = Estimate("weights", np.array([1.0]), [["only"]], np.array([KNOWN]), 0.0, 1.0)
    mean = Estimate("means", np.array([[2.0, 30.0]]), [["only"], ["a", "b"]], np.array([[0, 1]]))
    result = StandardErrors("title", np.array([[0.25, 0.1], [0.1, 4.0]]), [weight, mean])
    assert result.names == ["means[only, a]", "means[only, b]"]
    np.testing.assert_array_equal(result["weights"], [0.0])
    np.testing.assert_array_equal(result["means"], [[0.5, 2.0]])
    np.testing.assert_array_equal(result.confidence_intervals()["weights"], [[1.0, 1.0]])
    assert np.isnan(Estimate("x", np.array([1.0]), [["a"]], np.array([0])).interval(np.array([np.nan]), 0.9)).all()


def test_a_table_has_the_digits_that_errors_are_worth() -> None:
    mean = Estimate("means", np.array([2.0, 30.0]), [["a", "b"]], np.array([0, 1]))
    scale = Estimate("scales", np.array(0.012345678), [], np.array(2))
    result = StandardErrors("title", np.diag([0.25, 4.0, 1e-8]), [mean, scale])
    assert str(result).splitlines() == [
        "title",
        "parameter  estimate  standard error  lower 95%  upper 95%",
        "means[a]       2.00            0.50       1.02       2.98",
        "means[b]      30.00            2.00      26.08      33.92",
        "scales     0.012346        0.000100   0.012150   0.012542",
    ]
    frame = result.to_frame(0.8)
    assert list(frame.columns) == ["estimate", "standard error", "lower 80%", "upper 80%"]
    assert frame.loc["means[b]", "upper 80%"] == pytest.approx(30.0 + 2.0 * stats.norm.ppf(0.9), rel=1e-14)


@pytest.mark.parametrize("level", [0.0, 1.0, 95, -0.1, np.nan])
def test_levels_are_shares(level: float) -> None:
    result = StandardErrors("title", np.eye(1), [Estimate("x", np.zeros(1), [["a"]], np.zeros(1, int))])
    for share in (0.001, 0.999):
        check_level(share)
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        result.confidence_intervals(level)
