"""Standard errors step by step, against the likelihood written with dense matrices."""

import warnings

import numpy as np
import pytest
from scipy.linalg import null_space

from skentropy.decomposition import PPCA, FactorAnalysis
from skentropy.decomposition._em_model import StandardisedData, Table
from skentropy.decomposition._gaussian import LinearGaussian
from skentropy.decomposition._moments import Moments
from skentropy.decomposition._rotation import CRITERIA, OBLIQUE, Rotation, factor_correlation
from skentropy.decomposition._standard_errors import _Coordinates, _rotation_jacobian, identification, standard_errors

ROTATIONS = [None, "varimax", "quartimax", "equamax", "geomin_orthogonal", "oblimin", "geomin"]


def data_of(tables, d, *, isotropic):
    return StandardisedData.of(tables, np.zeros(d), np.ones(d), isotropic=isotropic, floor=np.zeros(d))


@pytest.mark.parametrize(("isotropic", "oblique"), [(False, True), (False, False), (True, False)])
def test_gradient_is_that_of_the_likelihood(incomplete, log_likelihood, isotropic, oblique):
    X, weight = incomplete
    rng = np.random.default_rng(0)
    root = np.array([[1.0, 0.4, -0.3], [0.0, 1.0, 0.2], [0.0, 0.0, 1.0]])
    root /= np.linalg.norm(root, axis=0)
    correlation = root.T @ root if oblique else np.eye(3)
    noise = np.full(6, 0.7) if isotropic else rng.uniform(0.5, 1.5, 6)
    p = LinearGaussian(rng.normal(size=6), rng.normal(size=(6, 3)), noise, correlation)
    at = _Coordinates(p, isotropic=isotropic, oblique=oblique)
    vector = at.pack(p)
    assert len(vector) == 18 + 6 + (1 if isotropic else 6) + (3 if oblique else 0)

    def total(v):
        q = at.unpack(v)
        return weight.sum() * log_likelihood(X, q.mean, q.covariance(), weight)

    gradient = at.gradient(data_of(Table.of(X, weight), 6, isotropic=isotropic), vector)
    steps = 1e-5 * np.eye(len(vector))
    expected = [(total(vector + step) - total(vector - step)) / 2e-5 for step in steps]
    np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("kaiser", [True, False])
@pytest.mark.parametrize("rotation", ROTATIONS)
def test_identification_is_zero_at_the_fitted_rotation_alone(load, rotation, kaiser):
    X = load("wine")
    model = FactorAnalysis(2, rotation=rotation, kaiser_normalization=kaiser).fit(X)
    p, rotation = model._parameters(), model._rotation
    np.testing.assert_allclose(identification(p, rotation), 0.0, atol=1e-7)
    for angle in (-0.01, 0.01):
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        turned = LinearGaussian(p.mean, p.loadings @ turn, p.noise, turn.T @ p.correlation @ turn)
        assert np.abs(identification(turned, rotation)).max() > 1e-4


def names(d):
    return [f"x{i}" for i in range(d)]


@pytest.mark.parametrize("weight", [1e-16, 200.0, 1e16])
@pytest.mark.parametrize("rotation", ["ppca", *ROTATIONS])
def test_standard_errors_are_those_of_the_information_along_the_constraints(rotation, weight):
    """The expected information is the observed one of data that have the model's own covariance."""
    d, k, isotropic = 6, 2, rotation == "ppca"
    rotation = None if isotropic or rotation is None else Rotation(rotation)
    is_oblique = rotation is not None and rotation.is_oblique
    rng = np.random.default_rng(1)
    scale = np.array([1.0, 0.1, 10.0, 1.0, 3.0, 0.5])
    noise = np.full(d, 0.7) if isotropic else rng.uniform(0.2, 1.5, d) * scale**2
    p = LinearGaussian.of(rng.normal(size=d), rng.normal(size=(d, k)) * scale[:, np.newaxis], noise).canonical()
    if rotation is not None:
        communality = (p.loadings**2).sum(axis=1) + noise
        M = rotation.matrix(p.loadings / np.sqrt(communality)[:, np.newaxis])
        p = LinearGaussian(p.mean, p.loadings @ M, noise, factor_correlation(M) if is_oblique else np.eye(k))
    tables = Table.with_moments(Moments(weight, p.mean, weight * p.covariance()))
    data = data_of(tables, d, isotropic=isotropic)
    errors = standard_errors(data, p, rotation=rotation, on_bound=np.zeros(d, dtype=bool), names=names(d))

    # Directions in which parameters may change: one loading, one log noise (or all), one correlation.
    zero = LinearGaussian(np.zeros(d), np.zeros((d, k)), np.zeros(d), np.zeros((k, k)))
    units = [(np.outer(np.eye(d)[i], np.eye(k)[j]), np.zeros(d), np.zeros((k, k))) for i in range(d) for j in range(k)]
    units += [(zero.loadings, row, zero.correlation) for row in ([np.ones(d)] if isotropic else np.eye(d))]
    units += [(zero.loadings, zero.noise, 1.0 - np.eye(k))] * is_oblique
    changes, constraints = [], []
    for loading, log_noise, correlation in units:
        half = loading @ p.correlation @ p.loadings.T
        changes.append(half + half.T + np.diag(noise * log_noise) + p.loadings @ correlation @ p.loadings.T)
        up, down = (
            LinearGaussian(p.mean, p.loadings + h * loading, noise * np.exp(h * log_noise), p.correlation + h * correlation)
            for h in (1e-6, -1e-6)
        )
        constraints.append((identification(up, rotation) - identification(down, rotation)) / 2e-6)
    precision = np.linalg.inv(p.covariance())
    products = np.array([precision @ change for change in changes])
    information = 0.5 * weight * np.einsum("aij,bji->ab", products, products)
    N = null_space(np.transpose(constraints))
    expected = np.sqrt(np.diag(N @ np.linalg.inv(N.T @ information @ N) @ N.T))
    np.testing.assert_allclose(errors["components"], expected[: d * k].reshape(d, k).T, rtol=1e-4)
    of_noise = expected[d * k : d * k + (1 if isotropic else d)]
    np.testing.assert_allclose(errors["noise_variance"], of_noise * noise[: len(of_noise)], rtol=1e-4)
    np.testing.assert_allclose(errors["mean"], np.sqrt(np.diag(p.covariance()) / weight), rtol=1e-4)
    of_correlation = expected[-1] if is_oblique else 0.0
    np.testing.assert_allclose(errors["factor_correlation"], of_correlation * (1.0 - np.eye(k)), rtol=1e-4)


@pytest.mark.parametrize("estimator", [PPCA, FactorAnalysis])
def test_errors_of_constraints_that_say_nothing(estimator):
    """Components that explain nothing have no direction to fix."""
    p = LinearGaussian.of(np.zeros(4), np.zeros((4, 2)), np.ones(4))
    tables = Table.with_moments(Moments(50.0, np.zeros(4), 50.0 * np.eye(4)))
    data = data_of(tables, 4, isotropic=estimator is PPCA)
    errors = standard_errors(data, p, rotation=None, on_bound=np.zeros(4, dtype=bool), names=names(4))
    np.testing.assert_allclose(errors["mean"], np.sqrt(1 / 50), rtol=1e-6)
    np.testing.assert_allclose(errors["noise_variance"], np.sqrt(2 / 50 / (4 if estimator is PPCA else 1)), rtol=1e-6)


@pytest.mark.parametrize("name", [None, "varimax", "oblimin", "geomin"])
def test_loadings_are_fitted_where_no_turn_changes_the_criterion(name):
    rng, lower = np.random.default_rng(0), np.tril_indices(3, -1)
    mixed = np.full((3, 3), 0.2) + 0.8 * np.eye(3)
    correlation = mixed if name in OBLIQUE else np.eye(3)
    p = LinearGaussian(np.zeros(6), rng.normal(size=(6, 3)), rng.uniform(0.5, 1.5, 6), correlation)
    if name is None:
        expected = [p.loadings[:, i] @ (p.loadings[:, j] / p.noise) for i, j in zip(*lower, strict=True)]
        np.testing.assert_allclose(identification(p, None), expected, rtol=1e-12)
        return
    rotation = Rotation(name, kaiser=False)
    L = p.loadings / np.sqrt(np.diag(p.covariance()))[:, np.newaxis]

    def slope(change):
        up, down = (CRITERIA[name](L + h * change)[0] for h in (1e-6, -1e-6))
        return (up - down) / 2e-6

    turns = []
    for i, j in [*zip(*lower, strict=True), *zip(*lower[::-1], strict=True)]:
        if name in OBLIQUE:  # the axis i moves by the dual of j
            axis = np.zeros((3, 3))
            axis[:, i] = np.linalg.inv(correlation)[:, j]
            turns.append(-slope(-L @ axis.T))
        elif i > j:
            turns.append(slope(np.outer(L[:, i], np.eye(3)[j]) - np.outer(L[:, j], np.eye(3)[i])))
    found = identification(p, rotation)
    np.testing.assert_allclose(found, turns, atol=1e-7)


HEYWOOD = np.random.default_rng(0).normal(size=(20, 5))


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_beside_a_uniqueness_on_its_floor(rotation):
    """The mean's errors are those of the columns' means, and the rotation changes nothing of the uniquenesses' errors."""
    with pytest.warns(UserWarning, match="Heywood"):
        model = FactorAnalysis(2, rotation=rotation).fit(HEYWOOD)
    with pytest.warns(UserWarning, match="Heywood"):
        unrotated = FactorAnalysis(2).fit(HEYWOOD)
    errors = model.standard_errors()
    np.testing.assert_allclose(errors["mean"], HEYWOOD.std(axis=0) / np.sqrt(20), rtol=2e-4)
    assert np.isnan(errors["noise_variance"]).sum() == len(model.heywood_) == 1
    np.testing.assert_allclose(errors["noise_variance"], unrotated.standard_errors()["noise_variance"], rtol=1e-6)
    assert np.isfinite(errors["components"]).all()


def test_simulated_heywood_cases_under_every_rotation():
    n_cases = 0
    for seed in range(40):
        X = np.random.default_rng(seed).normal(size=(25, 5))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            unrotated = FactorAnalysis(2).fit(X)
            if not len(unrotated.heywood_):
                continue
            n_cases += 1
            for rotation in ("varimax", "oblimin"):
                errors = FactorAnalysis(2, rotation=rotation).fit(X).standard_errors()
                np.testing.assert_allclose(errors["mean"], X.std(axis=0) / 5.0, rtol=1e-3)
                np.testing.assert_allclose(
                    errors["noise_variance"], unrotated.standard_errors()["noise_variance"], rtol=1e-3
                )
    assert n_cases >= 10


def test_a_model_that_is_not_identified_says_so():
    model = FactorAnalysis(3).fit(HEYWOOD)
    with pytest.warns(UserWarning, match="3 factors of 5 columns are not identified"):
        model.standard_errors()
    # As many parameters as a covariance matrix of six columns has.
    rng = np.random.default_rng(0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        FactorAnalysis(3).fit(rng.normal(size=(90, 6))).standard_errors()
    assert not any("identified" in str(warning.message) for warning in caught)


def test_precision_beside_a_uniqueness_on_its_floor():
    for seed in range(10):
        X = np.random.default_rng(seed).normal(size=(20, 5))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = FactorAnalysis(2).fit(X)
        np.testing.assert_allclose(model.get_covariance() @ model.get_precision(), np.eye(5), atol=1e-13)


WANTED = np.where(np.kron(np.eye(3), np.ones((3, 1))) > 0, np.nan, 0.1)


@pytest.mark.parametrize("kaiser", [True, False])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in ("equamax", "oblimax", "bifactor", "geomin_orthogonal", "oblimin")),
        ("geomin", {"epsilon": 0.05}),
        ("oblimin", {"gamma": -0.5}),
        ("target", {"target": WANTED}),
        ("target_orthogonal", {"target": WANTED}),
    ],
)
def test_rotated_loadings_follow_the_unrotated_ones(name, options, kaiser):
    """Derivatives of rotated loadings and correlations, by rotating loadings and uniquenesses a little beside."""
    rng = np.random.default_rng(0)
    rotation = Rotation(name, kaiser, options)
    # Factors of different size, so that they keep their order.
    W = np.kron(np.diag([1.0, 0.7, 0.45]), [[0.9], [0.8], [0.7]]) + 0.2 + 0.05 * rng.normal(size=(9, 3))
    if name == "bifactor":
        W = np.column_stack([np.full(9, 0.6), np.repeat([0.6, 0.0], [5, 4]), np.repeat([0.0, 0.45], [5, 4])])
        W += 0.05 * rng.normal(size=(9, 3))
    unrotated = LinearGaussian.of(np.zeros(9), W, rng.uniform(0.3, 0.8, 9)).canonical()
    at, plain = (_Coordinates(unrotated, isotropic=False, oblique=oblique) for oblique in (rotation.is_oblique, False))

    def rotated(vector):
        p = plain.unpack(vector)
        scale = np.sqrt((p.loadings**2).sum(axis=1) + p.noise)[:, np.newaxis]
        M = rotation.matrix(p.loadings / scale)
        correlation = factor_correlation(M) if rotation.is_oblique else np.eye(3)
        return LinearGaussian(p.mean, p.loadings @ M, p.noise, correlation)

    vector = plain.pack(unrotated)
    jacobian = _rotation_jacobian(at, unrotated, rotated(vector), rotation)
    for direction in (rng.normal(size=len(vector)) for _ in range(3)):
        far, near = (
            at.pack(rotated(vector + h * direction)) - at.pack(rotated(vector - h * direction)) for h in (2e-3, 1e-3)
        )
        # Of fourth order. A gradient of 1e-9 where the bifactor criterion curves by 1e-3 leaves 1e-6 of a rotation open,
        # which the step makes a thousand times larger; rotations by other criteria are known better.
        atol = 1e-3 if name == "bifactor" else 5e-5
        np.testing.assert_allclose(jacobian @ direction, (8.0 * near - far) / 12e-3, rtol=1e-4, atol=atol)
