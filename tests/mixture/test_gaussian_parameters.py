"""Parameters of Gaussians: which are kept as they are, which a bound holds, and where; and rows in their frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from skentropy._data import Block
from skentropy.mixture import _gaussian_rows, _student_rows
from skentropy.mixture._gaussian import CorrelatedGaussian
from skentropy.mixture._gaussian_parameters import GaussianParameters, GaussianSums, singular_columns
from skentropy.mixture._gaussian_rows import CompletedRows, GaussianEvidence
from skentropy.mixture._observations import Units
from skentropy.mixture._student_rows import StudentEvidence, StudentParameters

FREE = np.zeros((1, 2))


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e3])
@pytest.mark.parametrize(
    ("share", "kept", "held"), [(1.01e-10, True, False), (0.99e-10, False, False), (1e-14, False, True)]
)
def test_factors_are_kept_whose_features_keep_a_share_of_their_variances(
    unit: float, share: float, kept: bool, held: bool
) -> None:
    """The share of the second feature's variance that the first one does not explain."""
    factors = unit * np.array([[[1.0, 0.0], [np.sqrt(1.0 - share), np.sqrt(share)]]])
    found = GaussianParameters.of_cholesky(np.zeros((1, 2)), factors, FREE)
    assert (found.factors is factors) == kept
    assert found.held == [held]


def test_variances_have_a_floor() -> None:
    point = np.zeros((1, 2, 2))
    found = GaussianParameters.of(np.zeros((1, 2)), point, FREE)
    assert found.held == [True]
    np.testing.assert_allclose(found.covariances, [1e-28 * np.eye(2)], rtol=1e-9, atol=1e-40)
    again = GaussianParameters.of_cholesky(np.zeros((1, 2)), 1e-15 * np.eye(2)[np.newaxis], FREE)
    assert again.held == [True]
    np.testing.assert_allclose(again.covariances, found.covariances, rtol=1e-9, atol=1e-40)


@pytest.mark.parametrize(("entry", "named"), [(0.0996, False), (0.1004, True)])
def test_features_are_named_that_have_a_tenth_of_a_direction_without_variance(entry: float, named: bool) -> None:
    """A component that no bound holds is not named, however narrow it looks in the units of another's bound."""
    normal = np.array([entry, np.sqrt(1.0 - entry**2)])
    flat = np.eye(2) - np.outer(normal, normal)
    units = np.array([1.0, 20.0])
    covariances = np.stack([flat * units * units[:, np.newaxis], 1e-14 * np.eye(2)])
    found = GaussianParameters.of(np.zeros((2, 2)), covariances, np.array([units, [0.0, 0.0]]))
    np.testing.assert_array_equal(found.held, [True, False])
    np.testing.assert_array_equal(singular_columns(found), [[named, True], [False, False]])


def problem(n: int) -> tuple[Any, GaussianParameters, Any]:
    """Two correlated Gaussians of three features, and rows of which the first two entries are missing in turn."""
    rng = np.random.RandomState(0)
    X = rng.normal(size=(n, 3))
    X[np.arange(n), np.arange(n) % 2] = np.nan
    components = CorrelatedGaussian(units=Units(np.zeros(3), np.ones(3)))
    A = rng.normal(size=(2, 3, 5))
    parameters = GaussianParameters.of(rng.normal(size=(2, 3)), A @ A.transpose(0, 2, 1), np.zeros((2, 3)))
    return components, parameters, components.read(Block(X, None, None, 0))


@pytest.mark.parametrize(("n_rows", "has_maps"), [(23, False), (24, True)])
def test_patterns_of_four_rows_for_each_feature_have_maps(n_rows: int, has_maps: bool) -> None:
    _, parameters, rows = problem(n_rows)
    assert (parameters.given_observed(rows.gaps)[1] is not None) == has_maps


def test_roots_of_what_is_missing_are_cholesky_factors() -> None:
    """Once they are back in the units of the rows, zero where an entry is observed."""
    _, parameters, rows = problem(6)
    missing = rows.gaps.of_rows(rows.gaps.patterns.T).T
    for component, covariance in enumerate(parameters.covariances):
        for own, roots in CompletedRows(parameters, rows).roots(component):
            for mask, root in zip(missing[own], parameters.factors[component] @ roots, strict=True):
                np.testing.assert_allclose(root[~mask], 0.0, atol=1e-12)
                given = np.linalg.inv(np.linalg.inv(covariance)[np.ix_(mask, mask)])
                np.testing.assert_allclose(root[mask], np.linalg.cholesky(given), rtol=1e-9)


@pytest.mark.parametrize(("n_rows", "kept"), [(7, True), (8, False)])
def test_rows_in_frames_are_kept_if_they_are_few_enough(n_rows: int, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """And computed again if they are not, which gives the same."""
    components, parameters, rows = problem(n_rows)
    weights = np.random.RandomState(1).uniform(size=(2, n_rows))
    expected = components.observe(parameters, rows, np.zeros(2)).accumulate(weights)
    monkeypatch.setattr(_gaussian_rows, "KEPT_ENTRIES", 2 * 3 * 7)
    evidence = GaussianEvidence(parameters, rows, np.zeros(2), None)
    assert (evidence._kept is not None) == kept
    np.testing.assert_array_equal(evidence.accumulate(weights).second, expected.second)


@pytest.mark.parametrize(("n_rows", "kept"), [(7, True), (8, False)])
def test_rows_of_student_components_are_kept_likewise(n_rows: int, kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    _, gaussian, rows = problem(n_rows)
    parameters = StudentParameters.with_shapes(gaussian, np.array([1.5, 4.0]))
    weights = np.random.RandomState(1).uniform(size=(2, n_rows))
    expected = StudentEvidence(parameters, rows, np.zeros(2), None).accumulate(weights)
    monkeypatch.setattr(_student_rows, "KEPT_ENTRIES", 2 * 3 * 7)
    evidence = StudentEvidence(parameters, rows, np.zeros(2), None)
    assert bool(evidence._scales._kept) == kept
    found = evidence.accumulate(weights)
    np.testing.assert_array_equal(found.scaled.second, expected.scaled.second)
    np.testing.assert_array_equal(found.log_scales, expected.log_scales)


@pytest.mark.parametrize("counts", [[1e-102, 1e3], [1e-205, 1e-210]])
def test_next_to_no_rows_have_the_moments_of_all_rows(counts: list[float]) -> None:
    """Few compared with those of other components, or with noise that explains all others."""
    components, frame, rows = problem(6)
    pooled = components.with_pooled(components.summarize(rows, np.ones(6)))
    n = np.array(counts)[:, np.newaxis]
    found = pooled.maximize(GaussianSums(frame, n[:, 0], n * np.ones(3), n[:, np.newaxis] * 9.0 * np.eye(3), 0.0, 0.0))
    few = n[:, 0] < 1e-100
    expected = pooled.pooled_parameters(2)
    np.testing.assert_allclose(found.means[few], expected.means[few], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(found.covariances[few], expected.covariances[few], rtol=1e-3, atol=1e-3)
