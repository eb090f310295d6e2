"""What fits are put together from, by plain matrices: a wrong part may cost digits or steps, and change no result."""

from dataclasses import fields

import numpy as np
import pytest
import scipy.sparse as sp

from skentropy._blocks import Rows
from skentropy.decomposition import _em_model
from skentropy.decomposition._em_model import GaussianModel, PosteriorSums, Table, TableTotals
from skentropy.decomposition._gaussian import LinearGaussian
from skentropy.decomposition._moments import Moments
from skentropy.decomposition._profile import Profile, _Scaled, starting_uniquenesses
from skentropy.decomposition._spectrum import MatrixCovariance, RowsCovariance, SparseCovariance


def table(n, d, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3)) @ rng.normal(size=(3, d)) * 3.0 + rng.normal(size=(n, d)) * np.linspace(0.5, 2.0, d) + 1.0
    return X, rng.uniform(0.2, 2.0, n)


def covariances(X, weight):
    """Every kind of covariance of the same rows, each scaled by 1, 2, ..."""
    mean = weight @ X / weight.sum()
    S = (X - mean).T @ (weight[:, np.newaxis] * (X - mean)) / weight.sum()
    scale = np.arange(1.0, X.shape[1] + 1.0)
    kinds = {
        "matrix": MatrixCovariance(mean, S).scaled(scale),
        "rows": RowsCovariance.of(X, weight).scaled(scale),
        "sparse": SparseCovariance.of(sp.csr_array(X), weight).scaled(scale),
        "lazily scaled": _Scaled(_Scaled(MatrixCovariance(mean, S), np.ones(len(S))), scale).scaled(np.ones(len(S))),
    }
    return mean * scale, S * scale * scale[:, np.newaxis], kinds


@pytest.mark.parametrize("kind", ["matrix", "rows", "sparse", "lazily scaled"])
@pytest.mark.parametrize("shape", [(40, 12), (12, 40), (300, 280), (280, 300)], ids=str)
def test_covariances_are_those_of_the_rows(shape, kind):
    X, weight = table(*shape)
    mean, S, kinds = covariances(X, weight)
    covariance = kinds[kind]
    size = np.abs(S).max()
    np.testing.assert_allclose(covariance.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(covariance.variances, np.diag(S), rtol=1e-11)
    V = np.random.default_rng(1).normal(size=(shape[1], 2))
    np.testing.assert_allclose(covariance.product(V), S @ V, atol=1e-11 * size)
    values = np.linalg.eigvalsh(S)[::-1]
    found = {k: covariance.leading(k) for k in (0, 1, 2, 11)}
    found[3] = covariance.randomized(3, np.random.RandomState(0))
    for k, spectrum in found.items():
        np.testing.assert_allclose(spectrum.values, values[:k], rtol=1e-9)
        assert spectrum.rest == pytest.approx(values[k:].sum(), rel=1e-9, abs=1e-12 * size)
        np.testing.assert_allclose(spectrum.tails(), [values[h:].sum() for h in range(k + 1)], rtol=1e-9, atol=1e-12 * size)
        np.testing.assert_allclose(S @ spectrum.vectors, spectrum.vectors * spectrum.values, atol=1e-5 * values[0])
        np.testing.assert_allclose(spectrum.vectors.T @ spectrum.vectors, np.eye(k), atol=1e-9)
    spectrum = covariance.decompose()
    n = len(spectrum.values)
    assert n >= min(shape) - 1
    np.testing.assert_allclose(spectrum.values, values[:n], atol=1e-12 * values[0])
    np.testing.assert_allclose(spectrum.vectors * spectrum.values @ spectrum.vectors.T, S, atol=1e-11 * size)


@pytest.mark.parametrize("offset", [0.0, 3.0, 1e4])
def test_moments_about_any_point(offset):
    X, weight = table(150, 6)
    X = X + offset * np.array([1.0, -1.0, 0.5, 0.0, 2.0, 1.0])
    mean = weight @ X / weight.sum()
    whole = Moments.of(X, weight)
    parts = Moments.of(X[:50], weight[:50]) + Moments.of(X[50:], weight[50:])
    for moments in (whole, parts):
        assert moments.weight == pytest.approx(weight.sum(), rel=1e-14)
        np.testing.assert_allclose(moments.mean, mean, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(moments.scatter, (X - mean).T @ (weight[:, np.newaxis] * (X - mean)), atol=1e-8)
    half = whole.discounted(0.5)
    assert half.weight == 0.5 * whole.weight
    np.testing.assert_allclose(half.covariance, whole.covariance, rtol=1e-14)
    scale = np.arange(1.0, 7.0)
    expected = Moments.of((X - 2.0) / scale, weight)
    found = whole.standardised(np.full(6, 2.0), scale)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(found.scatter, expected.scatter, atol=1e-8)


def test_few_rows_stand_for_many_with_the_same_moments():
    X, weight = table(60, 4)
    X[30:, 2] = np.nan
    small = Table.of(X, weight)
    assert len(small.values) == 2 * 4 + 2 * 3
    np.testing.assert_array_equal(sorted(np.diff(small.starts)), [6, 8])
    for pattern, start, stop in zip(small.patterns, small.starts[:-1], small.starts[1:], strict=True):
        seen = pattern.astype(bool)
        rows = slice(0, 30) if seen.all() else slice(30, 60)
        expected = Moments.of(X[rows][:, seen], weight[rows])
        found = Moments.of(small.values[start:stop][:, seen], small.weight[start:stop])
        np.testing.assert_allclose(found.weight, expected.weight)
        np.testing.assert_allclose(found.mean, expected.mean)
        np.testing.assert_allclose(found.scatter, expected.scatter, atol=1e-10)


def test_rows_without_any_weight_have_no_table():
    X, weight = table(20, 3)
    X[3, 1] = np.nan
    assert Table.of_rows(Rows(X, np.zeros(20)), np.zeros(3), np.ones(3)) is None
    made = Table.of_rows(Rows(X, weight), np.full(3, 2.0), np.arange(1.0, 4.0))
    direct = Table.of((X - 2.0) / np.arange(1.0, 4.0), weight)
    np.testing.assert_array_equal(made.values, direct.values)


def test_many_patterns_are_worked_on_in_chunks(monkeypatch):
    rng = np.random.default_rng(0)
    X, weight = table(500, 9)
    X[rng.random(X.shape) < 0.4] = np.nan
    patterns = Table.of(X, weight)
    p = LinearGaussian.of(rng.normal(size=9), rng.normal(size=(9, 2)), rng.uniform(0.5, 1.5, 9))
    model = GaussianModel(patterns, isotropic=False, floor=np.zeros(9), log_scale=np.zeros(9))
    whole = model.expect(p)
    monkeypatch.setattr(_em_model, "_CHUNK_BYTES", 2**13)
    chunks = patterns.chunks(8 * 9)
    assert [first for first, _ in chunks[1:]] == [last for _, last in chunks[:-1]]
    assert (chunks[0][0], chunks[-1][1]) == (0, len(patterns.patterns))
    assert len(chunks) > 2
    most = 2**13 // (8 * 9)
    assert max(patterns.starts[last] - patterns.starts[first] for first, last in chunks) <= most
    for name in ("log_likelihood", "posterior_entropy", "second", "cross", "latent"):
        np.testing.assert_allclose(getattr(model.expect(p), name), getattr(whole, name), rtol=1e-11)


def test_parts_of_the_data_add_up(incomplete):
    X, weight = incomplete
    rng = np.random.default_rng(0)
    p = LinearGaussian.of(rng.normal(size=6), rng.normal(size=(6, 2)), rng.uniform(0.5, 1.5, 6))
    whole, first, second = (Table.of(X[rows], weight[rows]) for rows in (slice(None), slice(0, 50), slice(50, None)))
    totals = TableTotals.of(first) + TableTotals.of(second)
    sums = PosteriorSums.of(first, p) + PosteriorSums.of(second, p)
    for found, expected in ((totals, TableTotals.of(whole)), (sums, PosteriorSums.of(whole, p))):
        for field in fields(expected):
            np.testing.assert_allclose(getattr(found, field.name), getattr(expected, field.name), rtol=1e-10, atol=1e-10)


def test_magnitude_of_terms(incomplete):
    """The sum of what the entropy sum adds up, with nothing cancelled."""
    X, weight = incomplete
    log_scale = np.array([1.0, -2.0, 0.0, 0.5, 3.0, -1.0])
    noise = np.array([0.1, 3.0, 1.0, 0.5, 2.0, 0.7])
    model = GaussianModel(Table.of(X, weight), isotropic=False, floor=np.zeros(6), log_scale=log_scale)
    p = LinearGaussian.of(np.zeros(6), np.eye(6)[:, :2], noise)
    statistics = model.expect(p)
    terms = model.entropy_sum(p, statistics)
    seen = weight @ ~np.isnan(X) / weight.sum()
    one_by_one = [
        0.5 * seen[d] * part
        for d in range(6)
        for part in (abs(np.log(noise[d])), np.log(2 * np.pi * np.e), 2 * abs(log_scale[d]))
    ]
    expected = abs(terms.posterior) + terms.prior + sum(one_by_one)
    assert model.magnitude(p, statistics) == pytest.approx(expected, rel=1e-12)
    assert model.log_prior(p, statistics) == 0.0


@pytest.mark.parametrize("k", [1, 2, 4])
def test_start_of_factor_analysis(load, k):
    R = np.corrcoef(load("wine").T)
    multiple = 1.0 - 1.0 / np.diag(np.linalg.inv(R))
    start = starting_uniquenesses(MatrixCovariance(np.zeros(13), R), k, 1e-8)
    np.testing.assert_allclose(start, (1.0 - multiple) * (1.0 - k / 26), rtol=1e-10)
    twice = np.block([[R, R], [R, R]])
    start = starting_uniquenesses(MatrixCovariance(np.zeros(26), twice), k, 1e-8)
    values, vectors = np.linalg.eigh(twice)
    noise = values[:-k].sum() / (26 - k)
    W = vectors[:, -k:] * np.sqrt(values[-k:] - noise)
    np.testing.assert_allclose(start, np.clip(1.0 - (W**2).sum(axis=1), 1e-2, 1.0), rtol=1e-8)


def test_projected_gradient_is_that_of_the_mean_log_likelihood_in_the_box():
    profile = Profile(MatrixCovariance(np.zeros(6), np.eye(6)), 1, 0.01)
    low = np.log(0.01)
    x = np.array([-1.0, -1.0, low, low, 0.0, 0.0])
    found = profile.projected(x, np.array([3.0, -3.0, 3.0, -3.0, 3.0, -3.0]))
    np.testing.assert_array_equal(found, [1.5, -1.5, 0.0, -1.5, 1.5, 0.0])


@pytest.mark.parametrize("rows", [False, True])
def test_how_a_search_has_ended(load, rows):
    Z = load("wine")
    Z = (Z - Z.mean(axis=0)) / Z.std(axis=0)
    covariance = RowsCovariance.of(Z, None) if rows else MatrixCovariance(np.zeros(13), np.corrcoef(Z.T))
    for max_iter in (0, 3, 1000):
        profile = Profile(covariance, 2, 1e-8)
        fit = profile.maximize(np.full(13, 0.5), gtol=1e-6, max_iter=max_iter)
        value, gradient = profile.value_and_gradient(np.log(fit.noise))
        assert fit.log_likelihood == pytest.approx(-0.5 * value, rel=1e-12)
        assert fit.history[-1] == pytest.approx(fit.log_likelihood, rel=1e-12)
        assert len(fit.history) <= max(max_iter, 1)
        assert (np.diff(fit.history) >= 0.0).all()
        steepest = np.abs(profile.projected(np.log(fit.noise), gradient)).max()
        assert fit.gradient == pytest.approx(steepest, rel=1e-6, abs=1e-9)
        assert fit.converged == (max_iter == 1000)
    assert len(fit.history) > 4
    assert fit.history[0] < fit.history[-1]


def test_no_search_takes_more_steps_than_it_may(load):
    X = load("iris")
    covariance = RowsCovariance.of((X - X.mean(axis=0)) / X.std(axis=0), None)
    for max_iter in (1, 4, 8, 12, 16, 20, 24, 30):
        fit = Profile(covariance, 1, 1e-8).maximize(np.full(4, 0.5), gtol=1e-9, max_iter=max_iter)
        assert len(fit.history) <= max_iter


@pytest.mark.parametrize("third", [None, 1.005, 0.995])
def test_profile_leaves_out_factors_that_explain_nothing(third):
    """Eigenvalues of psi^-1/2 R psi^-1/2 below one are no factors'; from the leading eigenpairs and from all."""
    X, _ = table(9, 13)
    R = np.corrcoef(X.T)
    x = np.log(np.random.default_rng(0).uniform(0.6, 0.9, 13))
    if third is not None:
        x = np.full(13, np.log(np.linalg.eigvalsh(R)[-3] / third))
    theta = np.linalg.eigvalsh(R / np.exp(0.5 * x) / np.exp(0.5 * x)[:, np.newaxis])[::-1][:8]
    assert theta[0] > 1.0 > theta[7]
    factors = theta[theta > 1.0]
    expected = 13 * np.log(2 * np.pi) + (x + np.exp(-x)).sum() + (np.log(factors) + 1.0 - factors).sum()
    profile = Profile(MatrixCovariance(np.zeros(13), R), 8, 1e-8)
    assert profile._inverse is None
    value, gradient = profile.value_and_gradient(x)
    assert value == pytest.approx(expected, rel=1e-11)
    by_all = profile.hessian(x)
    assert by_all[0] == pytest.approx(expected, rel=1e-11)
    np.testing.assert_allclose(by_all[1], gradient, atol=1e-10)
    for d, step in enumerate(1e-6 * np.eye(13)):
        up, down = profile.value_and_gradient(x + step), profile.value_and_gradient(x - step)
        assert gradient[d] == pytest.approx((up[0] - down[0]) / 2e-6, abs=1e-6)
        np.testing.assert_allclose(by_all[2][d], (up[1] - down[1]) / 2e-6, atol=1e-5)


@pytest.mark.parametrize("singular", [False, True])
def test_newtons_method_ends_in_few_steps(load, singular):
    """Each step from near the maximum squares the distance from it."""
    R = np.corrcoef(load("wine").T)
    if singular:
        R = R[np.ix_([*range(13), 0], [*range(13), 0])]
    profile = Profile(MatrixCovariance(np.zeros(len(R)), R), 2, 1e-3)
    fit = profile.maximize(np.full(len(R), 0.5), gtol=1e-9, max_iter=1000)
    assert fit.converged
    profile.history.clear()
    free = fit.noise > 2e-3
    near = np.where(free, np.clip(fit.noise * np.where(np.arange(len(R)) % 2, 1.05, 0.95), 0.0, 1.0), fit.noise)
    x = profile._newton(np.log(near), 1e-9, 100)
    np.testing.assert_allclose(np.exp(x), fit.noise, rtol=1e-6)
    assert len(profile.history) <= 5
