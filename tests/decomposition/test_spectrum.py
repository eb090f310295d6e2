"""Eigenpairs of covariances against those of the explicit matrix, for every kind of covariance and way to find them."""

import numpy as np
import pytest
import scipy.sparse as sp

from skentropy.decomposition import PPCA
from skentropy.decomposition._spectrum import (
    Covariance,
    MatrixCovariance,
    RowsCovariance,
    Scaled,
    ScaledRows,
    SparseCovariance,
    Spectrum,
    are_few,
    standard_deviations,
    without_rounding,
)


def covariances(shape):
    """Every kind of covariance of the same rows, each scaled by 1, 2, ...; the mean, and the matrix."""
    n, d = shape
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3)) @ rng.normal(size=(3, d)) * 3.0 + rng.normal(size=(n, d)) * np.linspace(0.5, 2.0, d) + 1.0
    X[rng.random(shape) < 0.2] = 0.0
    weight = rng.uniform(0.2, 2.0, n)
    mean = weight @ X / weight.sum()
    S = (X - mean).T @ (weight[:, np.newaxis] * (X - mean)) / weight.sum()
    scale = np.arange(1.0, d + 1.0)
    kinds = {
        "matrix": MatrixCovariance(mean, S).scaled(scale),
        "rows": RowsCovariance.of(X, weight).scaled(scale),
        "sparse": SparseCovariance.of(sp.csr_array(X), weight).scaled(scale),
        "lazily scaled": Scaled(Scaled(MatrixCovariance(mean, S), np.ones(len(S))), scale).scaled(np.ones(len(S))),
    }
    return mean * scale, S * scale * scale[:, np.newaxis], kinds


class Counted(MatrixCovariance):
    """A covariance that counts the columns that it was multiplied by."""

    def __init__(self, matrix):
        super().__init__(np.zeros(len(matrix)), matrix)
        self.columns = []

    def product(self, V):
        self.columns.append(V.size // len(V))
        return super().product(V)


@pytest.mark.parametrize("kind", ["matrix", "rows", "sparse", "lazily scaled"])
@pytest.mark.parametrize("shape", [(40, 12), (12, 40), (300, 280), (280, 300), (60, 280)], ids=str)
def test_covariances_are_those_of_the_rows(shape, kind):
    mean, S, kinds = covariances(shape)
    covariance = kinds[kind]
    d, size = shape[1], np.abs(S).max()
    np.testing.assert_allclose(covariance.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(covariance.variances, np.diag(S), rtol=1e-11)
    for V in (np.random.default_rng(1).normal(size=(d, 2)), np.random.default_rng(2).normal(size=d)):
        np.testing.assert_allclose(covariance.product(V), S @ V, atol=1e-11 * size)
    values = np.linalg.eigvalsh(S)[::-1]
    found = {k: covariance.leading(k) for k in (0, 1, 2, 11, 12, *((13, d - 1) if d == 40 else (27, 28, 30)), d) if k <= d}
    found[3] = covariance.randomized(3, np.random.RandomState(0))
    for k, spectrum in found.items():
        np.testing.assert_allclose(spectrum.values, values[:k], rtol=1e-9, atol=1e-12 * values[0])
        assert spectrum.rest == pytest.approx(values[k:].sum(), rel=1e-9, abs=1e-12 * size)
        np.testing.assert_allclose(spectrum.tails, [values[h:].sum() for h in range(k + 1)], rtol=1e-9, atol=1e-11 * size)
        np.testing.assert_allclose(S @ spectrum.vectors, spectrum.vectors * spectrum.values, atol=1e-5 * values[0])
        np.testing.assert_allclose(spectrum.vectors.T @ spectrum.vectors, np.eye(k), atol=1e-9)
    spectrum = covariance.decompose()
    n = len(spectrum.values)
    assert n >= min(shape) - 1
    np.testing.assert_allclose(spectrum.values, values[:n], atol=1e-12 * values[0])
    np.testing.assert_allclose(spectrum.vectors * spectrum.values @ spectrum.vectors.T, S, atol=1e-11 * size)


@pytest.mark.parametrize("offset", [1e2, 1e4, 1e6])
def test_products_of_sparse_rows_far_from_zero(offset):
    """Of columns that are not full, and so are not centred beforehand."""
    X = np.random.default_rng(0).normal(size=(2_000, 6)) + offset
    X[np.arange(6), np.arange(6)] = 0.0
    matrix = SparseCovariance.of(sp.csr_array(X), None).product(np.eye(6))
    assert np.abs(matrix - matrix.T).max() <= 1e-13 * np.abs(matrix).max()


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("kind", [RowsCovariance.of, lambda X, weight: SparseCovariance.of(sp.csr_array(X), weight)])
def test_more_eigenpairs_than_rows_or_dimensions(kind, k):
    for X in (np.eye(2, 5), np.eye(5)[[0, 1, 0, 1, 2, 2, 1]], np.zeros((3, 5)), np.ones((3, 5))):
        spectrum = kind(X, None).leading(k)
        expected = np.linalg.eigvalsh(np.cov(X.T, bias=True))[::-1]
        np.testing.assert_allclose(spectrum.values, expected[:k], atol=1e-15)
        assert spectrum.rest == pytest.approx(expected[k:].sum(), abs=1e-15)
        np.testing.assert_allclose(spectrum.vectors.T @ spectrum.vectors, np.eye(k), atol=1e-12)


@pytest.mark.parametrize("solver", ["auto", "arpack", "randomized"])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_as_many_components_as_features_of_fewer_rows_with_weight(solver, container):
    X, weight = np.random.default_rng(0).normal(size=(10, 5)), np.repeat([1.0, 0.0], [3, 7])
    for k in (3, 4, 5):
        model = PPCA(k, solver=solver, random_state=0).fit(container(X), sample_weight=weight)
        assert model.components_.shape == (k, 5)
        np.testing.assert_allclose(model.get_covariance(), np.cov(X[:3].T, bias=True), atol=1e-9)


@pytest.mark.parametrize(("n", "k", "few"), [(300, 29, True), (300, 30, False), (250, 2, False), (260, 2, True)])
def test_few_eigenpairs_of_large_matrices_come_from_products(n, k, few):
    matrix = np.diag(np.arange(1.0, n + 1.0))
    covariance = Counted(matrix)
    np.testing.assert_allclose(covariance.leading(k).values, np.arange(n, n - k, -1.0), rtol=1e-10)
    assert bool(covariance.columns) == few
    assert are_few(k, n) == (few or n == 250)


@pytest.mark.parametrize(("d", "columns"), [(300, 13), (12, 12)])
def test_randomized_iteration_works_on_ten_more_directions(d, columns):
    covariance = Counted(np.diag(np.arange(1.0, d + 1.0) ** 4))
    covariance.randomized(3, np.random.RandomState(0))
    assert set(covariance.columns) == {columns}


@pytest.mark.parametrize("d", [40, 260])
@pytest.mark.parametrize("offsets", [(0.0, -8.0), (-8.0, 0.0)])
def test_small_eigenvalues_keep_their_digits(d, offsets):
    """Of features in other units, where there are some: those of one unit have a matrix of their own."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(2 * d, d))
    half = X[:, : d // 2].T @ X[:, : d // 2] / (2 * d)
    scale = np.repeat(10.0 ** np.array(offsets), d // 2)
    matrix = np.kron(np.eye(2), half) * scale * scale[:, np.newaxis]
    values = np.linalg.eigvalsh(half)[::-1]
    expected = np.concatenate([values, 1e-16 * values])
    np.testing.assert_allclose(MatrixCovariance(np.zeros(d), matrix).decompose().values, expected, rtol=1e-10)


@pytest.mark.parametrize(("largest", "level"), [(995.0, True), (1005.0, False)])
def test_variances_of_one_order(largest, level):
    assert MatrixCovariance(np.zeros(3), np.diag([0.01, 0.01 * largest, 0.0]))._is_level() == level


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("noise", [1e-1, 1e-3, 1e-6])
def test_what_is_left_of_rows_keeps_its_digits(noise, scale):
    rng = np.random.default_rng(0)
    X = scale * (rng.normal(size=(30, 2)) @ rng.normal(size=(2, 50)) + noise * rng.normal(size=(30, 50)))
    spectrum = RowsCovariance.of(X, None).leading(2)
    squares = np.linalg.svd(X - X.mean(axis=0), compute_uv=False) ** 2 / 30
    assert spectrum.rest == pytest.approx(squares[2:].sum(), rel=1e-13)


def test_factor_of_a_matrix():
    _, S, _ = covariances((12, 40))
    S[7], S[:, 7] = 0.0, 0.0
    R = MatrixCovariance(np.zeros(40), S).factor()
    np.testing.assert_allclose(R.T @ R, S, atol=1e-13 * np.abs(S).max())
    np.testing.assert_array_equal(R[:, 7], 0.0)


def test_rounding_errors_are_no_variance():
    mean = np.array([1e6, 1e6, -1e6, 0.0, 0.0, 1e-3])
    variances = np.array([1e-18, 1e-17, 1e-18, 1e-300, 1e-310, 1e-30])
    np.testing.assert_array_equal(without_rounding(variances, mean), [0.0, 1e-17, 0.0, 1e-300, 0.0, 1e-30])
    X = np.column_stack([np.full(50, 0.1), np.linspace(0.0, 1e-12, 50), np.zeros(50), np.full(50, -1.7e9)])
    weight = np.random.default_rng(0).uniform(0.5, 2.0, 50)
    for covariance in (RowsCovariance.of(X, weight), SparseCovariance.of(sp.csr_array(X), weight)):
        assert isinstance(covariance, Covariance)
        np.testing.assert_array_equal(covariance.constant(), [True, False, True, True])


@pytest.mark.parametrize("shape", [(300, 280), (280, 300)], ids=str)
def test_blocks_find_what_stands_out(shape):
    """From nowhere, from where they were on another scale, and as accurate as they are asked for."""
    rng = np.random.default_rng(0)
    n, d = shape
    X = rng.normal(size=(n, 4)) @ rng.normal(size=(4, d)) * 5.0 + rng.normal(size=shape) * np.linspace(0.5, 2.0, d)
    rows, start = RowsCovariance.of(X, rng.uniform(0.2, 2.0, n)), None
    assert isinstance(rows.scaled(np.ones(d)), ScaledRows)
    for scale in (np.ones(d), np.linspace(1.0, 1.1, d), np.linspace(1.0, 5.0, d)):
        values, vectors = np.linalg.eigh(rows.product(np.eye(d)) * scale * scale[:, np.newaxis])
        spectrum = rows.scaled(scale)._by_blocks(4, None if start is None else start.block, 1e-11)
        np.testing.assert_allclose(spectrum.values, values[::-1][:4], rtol=1e-12)
        np.testing.assert_allclose(np.abs((spectrum.vectors * vectors[:, ::-1][:, :4]).sum(axis=0)), 1.0, rtol=1e-12)
        assert spectrum.rest == pytest.approx(values[:-4].sum(), rel=1e-11)
        assert 0.5 * values[-5] < spectrum.beyond <= (1.0 + 1e-12) * values[-5]
        rough = rows.scaled(scale).leading(4, start, 1e-3)
        error = np.linalg.norm(rows.scaled(scale).product(rough.vectors) - rough.vectors * rough.values, axis=0)
        assert (error <= 1e-3 * rough.values).all()
        start = spectrum


def test_what_blocks_do_not_find_is_left_to_lanczos():
    rng = np.random.default_rng(0)
    rows = RowsCovariance.of(rng.normal(size=(320, 300)), None).scaled(np.linspace(1.0, 2.0, 300))
    assert rows._by_blocks(3, None, 1e-11).block is None
    spectrum = rows.leading(3)
    assert spectrum.block is None
    assert spectrum.beyond is None
    np.testing.assert_allclose(spectrum.values, np.linalg.eigvalsh(rows.product(np.eye(300)))[::-1][:3], rtol=1e-11)


def test_features_that_do_not_vary_have_a_typical_scale_and_no_correlations():
    np.testing.assert_allclose(standard_deviations(np.array([4e-3, 0.0, 2e-3])), np.sqrt([4e-3, 3e-3, 2e-3]))
    np.testing.assert_array_equal(standard_deviations(np.zeros(2)), 1.0)
    S = np.array([[4.0, 1e-9, 3.0], [1e-9, 1e-14, 0.0], [3.0, 0.0, 9.0]])
    R = MatrixCovariance(np.array([0.0, 1e9, 0.0]), S).correlation().product(np.eye(3))
    np.testing.assert_allclose(R, [[1.0, 0.0, 0.5], [0.0, 0.0, 0.0], [0.5, 0.0, 1.0]])


@pytest.mark.parametrize(("shape", "kind"), [((300, 251), ScaledRows), ((300, 250), RowsCovariance)])
def test_only_large_tables_are_scaled_without_a_copy(shape, kind):
    for n, d in (shape, shape[::-1]):
        assert type(RowsCovariance.of(np.ones((n, d)), None).scaled(np.ones(d))) is kind


@pytest.mark.parametrize(("k", "by_blocks"), [(25, True), (26, False)])
@pytest.mark.parametrize("shape", [(300, 500), (500, 300)], ids=str)
def test_blocks_of_few_vectors_are_tried(monkeypatch, shape, k, by_blocks):
    """Four more than wanted, and fewer than a tenth of what there is."""
    found = Spectrum(np.ones(k), np.ones((shape[1], k)), 0.0, np.ones((shape[1], k)))
    asked = []
    monkeypatch.setattr(ScaledRows, "_by_blocks", lambda *arguments: asked.append("blocks") or found)
    monkeypatch.setattr(RowsCovariance, "_leading", lambda *arguments: asked.append("copy") or found)
    RowsCovariance.of(np.random.default_rng(0).normal(size=shape), None).scaled(np.ones(shape[1])).leading(k)
    assert asked == ["blocks" if by_blocks else "copy"]


@pytest.mark.parametrize(("n", "by_rows"), [(149, True), (151, False)])
def test_products_of_rows_are_taken_where_there_are_few(monkeypatch, n, by_rows):
    asked, from_gram = [], RowsCovariance._from_gram
    monkeypatch.setattr(RowsCovariance, "_from_gram", lambda self, k: asked.append(k) or from_gram(self, k))
    RowsCovariance.of(np.random.default_rng(0).normal(size=(n, 300)), None).decompose()
    assert asked == [n] * by_rows


@pytest.mark.parametrize(("rate", "found"), [(0.199, True), (0.201, False)])
def test_blocks_go_on_as_long_as_each_step_leaves_less_than_a_fifth(rate, found):
    """Of the residuals, which are multiplied by the ratio of the eigenvalues that are left out to those that are not."""
    rows = RowsCovariance(np.zeros(30), np.diag(np.sqrt(np.append(np.ones(2), np.full(28, rate)))))
    start = np.eye(30, 6) + 1e-4 * np.random.default_rng(0).normal(size=(30, 6))
    spectrum = ScaledRows(rows, np.ones(30))._by_blocks(2, start, 1e-11)
    assert (spectrum.block is not None) == found
