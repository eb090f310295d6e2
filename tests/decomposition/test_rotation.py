"""Rotations, and standard errors."""

import json
from pathlib import Path

import numpy as np
import pytest

from skentropy.decomposition import PPCA, FactorAnalysis, _rotation
from skentropy.decomposition._em_model import StandardisedData, Table
from skentropy.decomposition._gaussian import LinearGaussian
from skentropy.decomposition._profile import Profile
from skentropy.decomposition._rotation import (
    CRITERIA,
    OBLIQUE,
    ORTHOGONAL,
    Rotation,
    _descend,
    _Geometry,
    _lowest,
    _Oblique,
    _Orthogonal,
    factor_correlation,
)
from skentropy.decomposition._spectrum import MatrixCovariance

REFERENCE = json.loads((Path(__file__).parent / "data" / "rotations.json").read_text(), parse_constant=float)
# The 8 physical variables, correlations by Harman (1976); here any loadings of a blurred simple structure would do.
SIMPLE = np.kron(np.eye(3), np.array([[0.8], [0.7], [0.6], [0.75]]))


# Those that look for a simple structure and need no more to know.
SIMPLE_BY_NAME = [name for name in (*ORTHOGONAL, *OBLIQUE) if name != "bifactor" and not name.startswith("target")]


@pytest.fixture
def blurred():
    rng = np.random.default_rng(0)
    return (SIMPLE + 0.03 * rng.normal(size=SIMPLE.shape)) @ np.linalg.qr(rng.normal(size=(3, 3)))[0]


WANTED = np.where(np.arange(15).reshape(5, 3) % 4, 0.3, np.nan)
OPTIONS = {"target": {"wanted": WANTED}, "target_orthogonal": {"wanted": WANTED}}
CASES = [(name, OPTIONS.get(name, {})) for name in CRITERIA]
CASES += [("oblimin", {"gamma": -0.7}), ("oblimin", {"gamma": 0.4}), ("geomin", {"epsilon": 0.3})]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_gradients_of_the_criteria(name, options):
    L = np.random.default_rng(0).normal(size=(5, 3))
    _, gradient = CRITERIA[name](L, **options)
    for index in np.ndindex(L.shape):
        step = np.zeros_like(L)
        step[index] = 1e-6
        slope = (CRITERIA[name](L + step, **options)[0] - CRITERIA[name](L - step, **options)[0]) / 2e-6
        assert gradient[index] == pytest.approx(slope, abs=1e-8)
    # Of a stack one by one.
    values, gradients = CRITERIA[name](np.stack([L, 2.0 * L]), **options)
    np.testing.assert_allclose(values, [CRITERIA[name](L, **options)[0], CRITERIA[name](2.0 * L, **options)[0]])
    np.testing.assert_allclose(gradients[0], gradient)


def printed(name):
    """A rotation by its name in the reference values: "oblimin, gamma=0.3, kaiser"."""
    method, *words = name.split(", ")
    options = {word.split("=")[0]: float(word.split("=")[1]) for word in words if "=" in word}
    if method.startswith("promax"):
        method, options["variant"] = method.split()
    if method.startswith("target"):
        options["target"] = REFERENCE["wanted"]
    return Rotation(method, "kaiser" in words or method == "promax", options)


@pytest.mark.parametrize("name", REFERENCE["rotated"])
def test_rotations_of_gparotation_and_psych(name):
    A, (expected, correlations) = np.array(REFERENCE["loadings"]), REFERENCE["rotated"][name]
    M = printed(name).matrix(A)
    L, phi = A @ M, factor_correlation(M)
    # Factors come in any order and of any sign there.
    products = L.T @ np.array(expected)
    order = np.abs(products).argmax(axis=1)
    assert sorted(order) == [0, 1, 2]
    signs = np.sign(products[np.arange(3), order])
    if name.startswith(("target", "bifactor")):
        assert order[0] == 0
    np.testing.assert_allclose(L, np.array(expected)[:, order] * signs, atol=2e-5)
    theirs = np.eye(3)
    theirs[np.tril_indices(3, -1)] = correlations or 0.0
    theirs = theirs + np.tril(theirs, -1).T
    # As many digits as they print, where their promax stops at a varimax of five.
    np.testing.assert_allclose(phi, theirs[np.ix_(order, order)] * signs * signs[:, np.newaxis], atol=5e-5)


def test_oblimax_is_quartimax_among_orthogonal_rotations():
    A = np.array(REFERENCE["loadings"])
    np.testing.assert_allclose(Rotation("oblimax").matrix(A), Rotation("quartimax").matrix(A), atol=1e-6)


def test_a_general_factor_comes_first(blurred):
    loadings = np.column_stack([np.linspace(0.3, 0.5, 12), 0.6 * SIMPLE])
    rotated = loadings @ (M := Rotation("bifactor", kaiser=False).matrix(loadings))
    np.testing.assert_allclose(M.T @ M, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(rotated[:, 0], loadings[:, 0], atol=0.02)
    with pytest.raises(ValueError, match="needs n_components of at least 3"):
        Rotation("bifactor").matrix(blurred[:, :2])


@pytest.mark.parametrize("name", [*SIMPLE_BY_NAME, "bifactor"])
def test_factors_come_by_what_they_explain_and_load_positively(name):
    strengths = np.array([[0.3, -0.8, 0.6]])
    rows = np.random.default_rng(0).normal(size=(12, 3))
    loadings = (SIMPLE + 0.1 * rows) * strengths @ np.linalg.qr(rows[:3])[0]
    rotated = loadings @ Rotation(name, kaiser=False).matrix(loadings)
    explained = (rotated**2).sum(axis=0)[1 if name == "bifactor" else 0 :]
    assert (np.diff(explained) < 0.0).all()
    assert (rotated.max(axis=0) == np.abs(rotated).max(axis=0)).all()


@pytest.mark.parametrize("rotation", [None, "varimax", "oblimin"])
def test_fitted_factors_load_positively(load, rotation):
    X = load("wine")
    components = FactorAnalysis(2, rotation=rotation).fit(X / X.std(axis=0)).components_
    assert (components.max(axis=1) == np.abs(components).max(axis=1)).all()


def test_a_target_of_normalised_rows_is_normalised(blurred):
    loadings = blurred * np.linspace(0.2, 1.0, 12)[:, np.newaxis]
    lengths = np.linalg.norm(loadings, axis=1, keepdims=True)
    wanted = np.where(SIMPLE > 0.0, 0.5, 0.0)
    M = Rotation("target_orthogonal", True, {"target": wanted}).matrix(loadings)
    rotated = loadings / lengths @ M
    product = rotated.T @ (rotated - wanted / lengths)
    np.testing.assert_allclose(product, product.T, atol=1e-6)


def test_a_target_is_met_where_it_can_be(blurred):
    wanted = np.where(SIMPLE > 0.0, np.nan, 0.0)[:, [2, 0, 1]]
    wanted[0, 1] = -0.8
    for kaiser in (True, False):
        rotated = blurred @ Rotation("target", kaiser, {"target": wanted}).matrix(blurred)
        assert np.nanmax(np.abs(rotated - wanted)) < 0.15
    with pytest.raises(ValueError, match=r"shape \(12, 2\), but the loadings have shape .*=\(12, 3\)"):
        Rotation("target", options={"target": wanted[:, :2]}).matrix(blurred)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("geomin", {"gamma": 0.0}, "'geomin' has no parameter 'gamma': rotation_params may hold epsilon"),
        ("varimax", {"power": 4}, "rotation_params may hold nothing"),
        ("oblimin", {"gamma": 2.0}, "must be a number of at most 1, got 2.0"),
        ("geomin", {"epsilon": 0.0}, "must be a number above 0"),
        ("promax", {"power": 1}, "must be a number above 1"),
        ("promax", {"variant": "spss"}, "must be 'psych' or 'factanal', got 'spss'"),
        ("target", {}, "needs rotation_params="),
    ],
)
def test_options_that_a_rotation_does_not_know(method, options, message):
    with pytest.raises(ValueError, match=message):
        FactorAnalysis(2, rotation=method, rotation_params=options).fit(np.random.default_rng(0).normal(size=(30, 5)))


def test_options_are_checked_before_the_search(monkeypatch):
    monkeypatch.setattr(FactorAnalysis, "_fit_moments", None)
    X = np.random.default_rng(0).normal(size=(30, 5))
    with pytest.raises(ValueError, match="needs n_components of at least 3"):
        FactorAnalysis(2, rotation="bifactor").fit(X)
    with pytest.raises(ValueError, match=r"shape \(4, 2\)"):
        FactorAnalysis(2, rotation="target", rotation_params={"target": np.zeros((4, 2))}).fit(X)
    with pytest.raises(ValueError, match="has no parameter 'power'"):
        FactorAnalysis(2, rotation="oblimin", rotation_params={"power": 3}).fit(X)


@pytest.mark.parametrize("gamma", [0.8, 1.0])
def test_factors_that_fall_together(gamma):
    with pytest.raises(ValueError, match="fall together"):
        Rotation("oblimin", options={"gamma": gamma}).matrix(np.array(REFERENCE["loadings"]))


@pytest.mark.parametrize("kaiser", [True, False])
@pytest.mark.parametrize("method", SIMPLE_BY_NAME)
def test_simple_structure_is_found(blurred, method, kaiser):
    M = Rotation(method, kaiser).matrix(blurred)
    rotated = blurred @ M
    phi = factor_correlation(M)
    np.testing.assert_allclose(rotated @ phi @ rotated.T, blurred @ blurred.T, atol=1e-12)
    np.testing.assert_allclose(np.diag(phi), 1.0)
    if method in ORTHOGONAL:
        np.testing.assert_allclose(M.T @ M, np.eye(3), atol=1e-12)
    # One large loading a row.
    assert (np.sort(np.abs(rotated), axis=1)[:, :2] < 0.15).all()
    assert (rotated[np.abs(rotated).argmax(axis=0), range(3)] > 0).all()


@pytest.mark.parametrize("method", [name for name in SIMPLE_BY_NAME if name in ORTHOGONAL])
def test_orthogonal_rotation_of_two_factors_is_the_best_angle(blurred, method):
    A = blurred[:, :2]
    value = CRITERIA[method](A @ Rotation(method, kaiser=False).matrix(A))[0]
    angles = np.linspace(0.0, np.pi, 20_001)
    grid = [CRITERIA[method](A @ np.array([[np.cos(t), -np.sin(t)], [np.sin(t), np.cos(t)]]))[0] for t in angles[::50]]
    assert value <= min(grid) + 1e-9


@pytest.mark.parametrize("method", [name for name in SIMPLE_BY_NAME if name in ORTHOGONAL])
def test_kaiser_normalisation_is_the_rotation_of_normalised_rows(blurred, method):
    rng = np.random.default_rng(1)
    L = (blurred + 0.2 * rng.normal(size=blurred.shape)) * np.linspace(0.2, 1.0, 12)[:, np.newaxis]
    normalised = L / np.linalg.norm(L, axis=1, keepdims=True)

    def asymmetry(rows, kaiser):
        """Zero where no rotation of the rotated rows changes the criterion (Jennrich 2001)."""
        rotated = rows @ Rotation(method, kaiser).matrix(L)
        product = rotated.T @ CRITERIA[method](rotated)[1]
        return np.abs(product - product.T).max()

    assert asymmetry(normalised, kaiser=True) < 1e-7
    assert asymmetry(L, kaiser=False) < 1e-7
    assert asymmetry(L, kaiser=True) > 1e-3
    assert asymmetry(normalised, kaiser=False) > 1e-3


@pytest.mark.parametrize("rotation", [*SIMPLE_BY_NAME, "bifactor"])
def test_rotation_changes_nothing_observable(load, rotation):
    X = load("wine")
    plain, rotated = FactorAnalysis(3).fit(X), FactorAnalysis(3, rotation=rotation).fit(X)
    np.testing.assert_allclose(rotated.score_samples(X), plain.score_samples(X), rtol=1e-10)
    assert rotated.entropy_sum_score() == pytest.approx(plain.entropy_sum_score(), abs=1e-12)
    assert rotated.entropy_sum_score(X) == pytest.approx(plain.entropy_sum_score(X), abs=1e-10)
    np.testing.assert_allclose(
        rotated.inverse_transform(rotated.transform(X)), plain.inverse_transform(plain.transform(X)), rtol=1e-8
    )
    np.testing.assert_allclose(plain.components_.T @ rotated.rotation_matrix_, rotated.components_.T)
    correlated = np.abs(rotated.factor_correlation_ - np.eye(3)).max() > 1e-3
    assert correlated == (rotation in OBLIQUE)
    # Scales of the features do not matter.
    other = FactorAnalysis(3, rotation=rotation, kaiser_normalization=False).fit(X * np.logspace(-3, 3, 13))
    same = FactorAnalysis(3, rotation=rotation, kaiser_normalization=False).fit(X)
    np.testing.assert_allclose(other.factor_correlation_, same.factor_correlation_, atol=1e-4)


@pytest.mark.parametrize("isotropic", [True, False])
def test_gradient_with_gaps_is_that_of_the_log_likelihood(incomplete, log_likelihood, isotropic):
    X, weight = incomplete
    data = StandardisedData.of(Table.of(X, weight), np.zeros(6), np.ones(6), isotropic=isotropic, floor=np.zeros(6))
    rng = np.random.default_rng(1)
    p = LinearGaussian.of(rng.normal(size=6), rng.normal(size=(6, 2)), rng.uniform(0.5, 1.5, 6))
    in_loadings, in_noise = data.model.gradient(p, data.expect(p))

    def total(mean, W, noise):
        return weight.sum() * log_likelihood(X, mean, W @ W.T + np.diag(noise), weight)

    def slope(step_mean, step_W, step_noise, h=1e-6):
        up = total(p.mean + h * step_mean, p.loadings + h * step_W, p.noise + h * step_noise)
        return (up - total(p.mean - h * step_mean, p.loadings - h * step_W, p.noise - h * step_noise)) / (2 * h)

    for d in range(6):
        unit = np.eye(6)[d]
        assert in_loadings[d, 2] == pytest.approx(slope(unit, 0.0, 0.0), abs=1e-5)
        assert in_noise[d] == pytest.approx(slope(0.0, 0.0, unit), abs=1e-5)
        for k in range(2):
            assert in_loadings[d, k] == pytest.approx(slope(0.0, np.outer(unit, np.eye(2)[k]), 0.0), abs=1e-5)


@pytest.mark.parametrize("singular", [True, False])
def test_profile_gradient_and_hessian(load, singular):
    R = np.corrcoef(load("wine").T)
    if singular:
        R = R[np.ix_([*range(13), 0], [*range(13), 0])]
    profile = Profile(MatrixCovariance(np.zeros(len(R)), R), 3, 1e-8)
    assert (profile._inverse is None) == singular
    x = np.log(np.random.default_rng(0).uniform(0.2, 0.8, len(R)))
    value, gradient, hessian = profile.hessian(x)
    plain_value, plain_gradient = profile.value_and_gradient(x)
    assert plain_value == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(plain_gradient, gradient, atol=1e-12)
    for d, step in enumerate(1e-5 * np.eye(len(x))):
        up, down = profile.value_and_gradient(x + step), profile.value_and_gradient(x - step)
        assert gradient[d] == pytest.approx((up[0] - down[0]) / 2e-5, abs=1e-8)
        np.testing.assert_allclose(hessian[d], (up[1] - down[1]) / 2e-5, atol=1e-7)
    covariance = np.diag(np.exp(x))
    theta, U = np.linalg.eigh(R / np.exp(0.5 * x) / np.exp(0.5 * x)[:, np.newaxis])
    W = np.exp(0.5 * x)[:, np.newaxis] * U[:, -3:] * np.sqrt(theta[-3:] - 1.0)
    covariance = covariance + W @ W.T
    direct = len(x) * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1] + np.trace(np.linalg.solve(covariance, R))
    assert value == pytest.approx(direct, rel=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "model",
    [
        PPCA(2),
        FactorAnalysis(1),
        *(FactorAnalysis(2, rotation=r) for r in ("varimax", "quartimax", "oblimin", "geomin")),
    ],
    ids=str,
)
def test_standard_errors_are_the_spread_of_refits(load, model):
    X = load("wine")
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    model.fit(X)
    errors = model.standard_errors()
    refits = [type(model)(**model.get_params()).fit(model.sample(178, seed)) for seed in range(120)]
    signs = [np.sign((refit.components_ * model.components_).sum(axis=1)) for refit in refits]
    loadings = np.std([sign[:, np.newaxis] * refit.components_ for sign, refit in zip(signs, refits, strict=True)], axis=0)
    # 120 refits leave a tenth of uncertainty in each spread, much less in their mean ratio.
    assert np.median(loadings / errors["components"]) == pytest.approx(1.0, abs=0.1)
    noise = np.std([refit.noise_variance_ for refit in refits], axis=0)
    assert np.median(noise / errors["noise_variance"]) == pytest.approx(1.0, abs=0.15)
    np.testing.assert_allclose(errors["mean"], np.sqrt(np.diag(model.get_covariance()) / 178), rtol=1e-5)
    if getattr(model, "rotation", None) in OBLIQUE:
        spread = np.std([s[0] * s[1] * r.factor_correlation_[0, 1] for s, r in zip(signs, refits, strict=True)])
        assert spread / errors["factor_correlation"][0, 1] == pytest.approx(1.0, abs=0.25)
        assert errors["factor_correlation"][0, 0] == 0.0
    from_rows = model.standard_errors(X)
    np.testing.assert_allclose(from_rows["components"], errors["components"], rtol=1e-6)


def test_standard_errors_with_gaps(load):
    X = load("wine_miss_std")
    model = FactorAnalysis(1, tol=1e-13).fit(X)
    errors = model.standard_errors(X)
    assert np.isfinite(errors["components"]).all()
    # Gaps cost information: the mean of a feature seen less often is known less well.
    seen = (~np.isnan(X)).sum(axis=0)
    assert (errors["mean"] >= 0.97 * np.sqrt(np.diag(model.get_covariance()) / len(X))).all()
    assert (errors["mean"] <= 1.03 * np.sqrt(np.diag(model.get_covariance()) / seen)).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_standard_errors_of_a_heywood_case_take_its_noise_as_known(load):
    X = load("iris")
    model = FactorAnalysis(1).fit(X)
    errors = model.standard_errors()
    assert list(np.flatnonzero(np.isnan(errors["noise_variance"]))) == list(model.heywood_) == [2]
    # The factor is the third feature but for its mean and scale; what is left are regressions on it.
    others = [0, 1, 3]
    scatter = len(X) * X[:, 2].var()
    expected = np.sqrt(model.noise_variance_[others] / scatter) * X[:, 2].std()
    explained = model.components_[0, others] ** 2 / (2 * len(X))
    np.testing.assert_allclose(errors["components"][0, others], np.sqrt(expected**2 + explained), rtol=1e-3)
    assert errors["components"][0, 2] == pytest.approx(X[:, 2].std() / np.sqrt(2 * len(X)), rel=1e-3)
    np.testing.assert_allclose(
        errors["noise_variance"][others], model.noise_variance_[others] * np.sqrt(2 / len(X)), rtol=1e-3
    )
    np.testing.assert_allclose(errors["mean"], X.std(axis=0) / np.sqrt(len(X)), rtol=1e-3)


@pytest.mark.parametrize("estimator", [PPCA, FactorAnalysis])
@pytest.mark.parametrize("noise", [1e-1, 1e-2, 1e-3])
def test_standard_errors_with_little_noise(estimator, noise):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 1)) + noise * rng.normal(size=(500, 4))
    model = estimator(1).fit(X)
    errors = model.standard_errors()
    # The expected information of the covariance, 1/2 tr(S^-1 dS S^-1 dS), in the loadings and log psi.
    precision, W = model.get_precision(), model.components_[0]
    changes = [np.outer(unit, W) + np.outer(W, unit) for unit in np.eye(4)]
    uniquenesses = model.noise_variance_ * np.eye(4)
    changes += [uniquenesses] if estimator is PPCA else list(uniquenesses[:, :, np.newaxis] * np.eye(4))
    products = [precision @ change for change in changes]
    information = 250 * np.array([[np.trace(a @ b) for b in products] for a in products])
    expected = np.sqrt(np.diag(np.linalg.inv(information)))
    np.testing.assert_allclose(errors["components"][0], expected[:4], rtol=2e-3)
    np.testing.assert_allclose(errors["noise_variance"] / model.noise_variance_, np.squeeze(expected[4:]), rtol=5e-3)


@pytest.mark.parametrize("from_rows", [False, True])
def test_standard_errors_scale_with_the_features(load, from_rows):
    X, scale = load("wine"), np.logspace(-7, 7, 13)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    plain, model = FactorAnalysis(2).fit(X).standard_errors(), FactorAnalysis(2).fit(X * scale)
    scaled = model.standard_errors(X * scale) if from_rows else model.standard_errors()
    np.testing.assert_allclose(scaled["components"] / scale, plain["components"], rtol=1e-7)
    np.testing.assert_allclose(scaled["mean"] / scale, plain["mean"], rtol=1e-7)
    np.testing.assert_allclose(scaled["noise_variance"] / scale**2, plain["noise_variance"], rtol=1e-7)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("k", [4, 5, 6])  # seven factors of eleven columns are not identified
@pytest.mark.parametrize("kaiser", [True, False])
def test_geomin_finds_the_best_of_many_starts(load, k, kaiser):
    """One in ten of these starts leads to the lowest minimum of mtcars with five factors, 0.5023 with Kaiser's rows."""
    fa = FactorAnalysis(k).fit(load("mtcars"))
    loadings = (fa.components_ / np.sqrt(np.diag(fa.get_covariance()))).T
    A, criterion = Rotation("geomin", kaiser).problem(loadings, (loadings**2).sum(axis=1))
    rng = np.random.default_rng(1)
    starts = np.stack([np.linalg.qr(rng.normal(size=(k, k)))[0] for _ in range(60)])
    values, _ = _descend(A, criterion, _Oblique(), starts, 1e-5, 1000)
    value = criterion(A @ Rotation("geomin", kaiser).matrix(loadings))[0]
    assert value <= values.min() + 1e-7
    if k == 5 and kaiser:
        assert value == pytest.approx(0.50226459, abs=1e-7)


class Flat(_Geometry):
    """Any matrices, which are loadings themselves."""

    def loadings(self, A, T):
        return T

    def direction(self, A, T, L, gradient):
        return gradient

    def retract(self, T):
        return T

    def rotation(self, T):
        return T


def bowl(offset):
    return lambda L: (offset + 0.5 * (L**2).sum(axis=(1, 2)), L)


def test_a_step_that_does_not_go_down_is_halved():
    """The first is twice the slope, to the other side of the bowl; the second ends at its bottom."""
    _, T = _descend(None, bowl(0.0), Flat(), np.full((1, 1, 1), 1e-3), 1e-9, 1)
    np.testing.assert_array_equal(T, 0.0)


@pytest.mark.parametrize(("share", "moves"), [(1.005, False), (0.995, True)])
@pytest.mark.parametrize("value", [-10.0, 0.1, 10.0])
def test_a_descent_ends_where_the_slope_is_within_the_tolerance_of_the_value(value, share, moves):
    """Of values below one, of one."""
    tolerance = share * 0.01 / max(1.0, abs(value))
    _, T = _descend(None, bowl(value - 0.5e-4), Flat(), np.full((1, 1, 1), 0.01), tolerance, 1)
    assert (T[0, 0, 0] != 0.01) == moves


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_ends_within_a_hundredth_of_the_lowest_are_followed(monkeypatch, sign):
    followed = []

    def descend(A, criterion, geometry, starts, tolerance, max_steps):
        followed.append(len(starts))
        return np.resize(4.0 * np.array([sign, sign + 0.00995, sign + 0.01005, *[5.0] * 28]), len(starts)), starts

    monkeypatch.setattr(_rotation, "_descend", descend)
    _lowest(np.eye(3), CRITERIA["varimax"], _Orthogonal())
    assert followed == [31, 2, 1]


def test_promax_keeps_the_signs_of_varimax(blurred):
    varimax = blurred @ _rotation._best(blurred, CRITERIA["varimax"], _Orthogonal())
    assert ((blurred @ Rotation("promax")._promax(blurred, blurred) * varimax).sum(axis=0) > 0.0).all()


def test_correlations_of_factors_of_any_variance():
    M = np.random.default_rng(0).normal(size=(3, 3)) * [0.5, 1.0, 3.0]
    covariance = np.linalg.inv(M.T @ M)
    scale = np.sqrt(np.diag(covariance))
    np.testing.assert_allclose(factor_correlation(M), covariance / np.outer(scale, scale), rtol=1e-12)
