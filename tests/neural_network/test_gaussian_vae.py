"""Gaussian autoencoders as users see them."""

from __future__ import annotations

import signal
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.datasets import load_diabetes, load_digits, load_iris, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from skentropy import PPCA, FactorAnalysis, GaussianVAE, RowBlocks
from skentropy._data import Rows
from skentropy.neural_network import _vae_data, _vae_fitting, _vae_training
from tests.common.data import counts

RAW = load_wine().data
WINE = (RAW - RAW.mean(axis=0)) / RAW.std(axis=0)
DIGITS = load_digits().data / 16
SHORT: dict[str, Any] = {"hidden_layer_sizes": (16,), "max_iter": 10, "random_state": 0}


def with_gaps(X: Any, share: float = 0.2) -> Any:
    return np.where(np.random.RandomState(0).uniform(size=X.shape) < share, np.nan, X)


@pytest.mark.parametrize("h", [1, 2, 5, 10])
@pytest.mark.parametrize("X", [WINE, DIGITS], ids=["wine", "digits"])
def test_without_hidden_layers_it_is_ppca(X: Any, h: int) -> None:
    vae, ppca = GaussianVAE(h, hidden_layer_sizes=(), reg_covar=0.0).fit(X), PPCA(h).fit(X)
    assert vae.is_linear_
    assert vae.entropy_sum_score() == pytest.approx(ppca.score(X), abs=1e-9)
    assert vae.score(X) == pytest.approx(ppca.score(X), abs=1e-9)
    np.testing.assert_allclose(vae.score_samples(X), ppca.score_samples(X), atol=1e-8)
    assert vae.noise_variance_ == pytest.approx(ppca.noise_variance_, rel=1e-9)
    # A latent's information is that of a Gaussian channel.
    np.testing.assert_allclose(vae.information_, -0.5 * np.log(ppca.noise_variance_ / ppca.explained_variance_), atol=1e-9)


@pytest.mark.parametrize("h", [1, 2, 3])
def test_without_hidden_layers_and_diag_it_is_factor_analysis(h: int) -> None:
    vae = GaussianVAE(h, covariance_type="diag", hidden_layer_sizes=(), reg_covar=0.0).fit(WINE)
    analysis = FactorAnalysis(h).fit(WINE)
    assert vae.score(WINE) == pytest.approx(analysis.score(WINE), abs=1e-7)
    assert vae.entropy_sum_score() == pytest.approx(analysis.score(WINE), abs=1e-7)
    np.testing.assert_allclose(vae.noise_variance_, analysis.noise_variance_, rtol=1e-6)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("load", [load_iris, load_diabetes])
def test_a_ridge_does_not_spoil_what_factors_explain_completely(load: Any, gaps: bool) -> None:
    X = load().data / load().data.std(axis=0)
    X = with_gaps(X, 0.1) if gaps else X
    scalar, diag = (GaussianVAE(2, covariance_type=kind, hidden_layer_sizes=()).fit(X) for kind in ("scalar", "diag"))
    assert diag.converged_
    # The two are judged by the same, the ELBO less the ridge's term, and one noise variance is as good as equal ones.
    assert diag.lower_bound_ - diag.entropy_sum_.penalty > scalar.lower_bound_ - scalar.entropy_sum_.penalty
    assert diag.score(X) == pytest.approx(diag.entropy_sum_score(X), abs=1e-9)
    if not gaps:  # then the posteriors are exact
        W, noise = diag.decoder_linear_.T * diag.scale_, np.diag(diag.noise_variance_)
        mean = diag.inverse_transform(np.zeros((1, 2)))[0]
        exact = multivariate_normal(mean, W @ W.T + noise).logpdf(X).mean()
        assert diag.score(X) == pytest.approx(exact, abs=1e-4)


def test_linear_fits_see_each_column_in_units_of_its_noise() -> None:
    model = GaussianVAE(3, covariance_type="diag", hidden_layer_sizes=()).fit(RAW)
    assert model.converged_  # in units of the mean noise after 400 steps
    assert model.n_iter_ < 60


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("covariance_type", ["scalar", "diag"])
@pytest.mark.parametrize(
    "options",
    [{}, {"alpha": 0.0, "beta": 0.3}, {"reg_covar": 0.0, "beta": 2.0}, {"hidden_layer_sizes": ()}],
    ids=["defaults", "beta", "no ridge", "linear"],
)
def test_the_elbo_is_the_entropy_sum(gaps: bool, weighted: bool, covariance_type: str, options: dict[str, Any]) -> None:
    X = with_gaps(RAW) if gaps else RAW
    if gaps:
        X[3] = np.nan
    weight = np.random.RandomState(1).uniform(0.5, 2.0, size=len(X)) if weighted else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = GaussianVAE(2, covariance_type=covariance_type, **{**SHORT, **options}).fit(X, sample_weight=weight)
    assert abs(model.stationarity_gap_) < 1e-10
    terms = model.entropy_sum(X, sample_weight=weight)
    elbo = np.average(model.score_samples(X), weights=weight)
    assert terms.value == pytest.approx(elbo, abs=1e-9)
    assert model.entropy_sum_.value == pytest.approx(elbo, abs=1e-9)
    assert model.lower_bound_ == pytest.approx(elbo, abs=1e-9)
    assert model.importance_weighted_score(X, 200, sample_weight=weight, random_state=0) > model.lower_bound_ - 1e-9
    information = terms.prior - terms.posterior
    assert model.information_.sum() == pytest.approx(information, abs=1e-9)
    assert (np.diff(model.information_) <= 0).all()


@pytest.mark.parametrize("activation", ["silu", "tanh", "relu", "softplus"])
@pytest.mark.parametrize("covariance_type", ["scalar", "diag"])
def test_never_below_the_linear_start(activation: str, covariance_type: str) -> None:
    def objective(model: GaussianVAE) -> float:
        return model.lower_bound_ - model.entropy_sum_.penalty

    linear = GaussianVAE(2, hidden_layer_sizes=()).fit(WINE)
    for options in (
        {},
        {"learning_rate_init": 0.1, "alpha": 0.0},
        {"beta": 50.0},
        {"max_iter": 1, "learning_rate_init": 0.1},
    ):
        model = GaussianVAE(2, covariance_type=covariance_type, activation=activation, **{**SHORT, **options}).fit(WINE)
        assert np.isfinite(model.lower_bound_)
        assert objective(model) >= objective(linear) - 1e-9


def test_what_training_spoils_is_not_returned() -> None:
    model = GaussianVAE(2, hidden_layer_sizes=(8,), learning_rate_init=30.0, max_iter=3, random_state=0).fit(WINE)
    assert model.is_linear_
    linear = GaussianVAE(2, hidden_layer_sizes=()).fit(WINE)
    np.testing.assert_allclose(model.score_samples(WINE), linear.score_samples(WINE), rtol=1e-9)
    assert [coefs.shape for coefs in model.decoder_coefs_] == [(2, 8), (8, 13)]


def test_digits() -> None:
    train, test = train_test_split(DIGITS, test_size=0.25, random_state=0)
    model = GaussianVAE(10, random_state=0).fit(train)
    assert model.score(test) > 38.5  # PPCA 16.1
    bound = model.importance_weighted_score(test, random_state=0)
    assert bound > 39.0
    assert model.information_.min() > 1.0
    assert not model.collapsed_.any()
    assert model.entropy_sums_[0].value < model.entropy_sums_[-1].value
    assert abs(model.entropy_sums_[-2].value - model.lower_bound_) < 8.0


def test_imputation() -> None:
    train, test = train_test_split(DIGITS, test_size=0.25, random_state=0)
    train_gaps, test_gaps = with_gaps(train, 0.3), with_gaps(test, 0.3)
    missing = np.isnan(test_gaps)
    model = GaussianVAE(10, random_state=0).fit(train_gaps)
    filled = model.impute(test_gaps)
    np.testing.assert_array_equal(filled[~missing], test[~missing])
    assert np.sqrt(np.mean((filled - test)[missing] ** 2)) < 0.165  # PPCA .195


def test_posterior_transform_and_back() -> None:
    model = GaussianVAE(2, **SHORT).fit(RAW)
    means, variances = model.posterior(RAW)
    np.testing.assert_array_equal(means, model.transform(RAW))
    np.testing.assert_allclose(means.mean(axis=0), 0.0, atol=1e-10)
    np.testing.assert_allclose((means**2 + variances).mean(axis=0), 1.0, rtol=1e-10)
    np.testing.assert_allclose(-0.5 * np.log(variances).mean(axis=0), model.information_, rtol=1e-9)
    back = model.inverse_transform(means)
    assert np.mean((back - RAW) ** 2) < RAW.var(axis=0).mean() / 2
    # The public parameters are the model.
    a = (RAW - model.mean_) / model.scale_
    hidden = a @ model.encoder_coefs_[0] + model.encoder_intercepts_[0]
    outputs = hidden / (1 + np.exp(-hidden)) @ model.encoder_coefs_[1] + model.encoder_intercepts_[1]
    encoded = outputs[:, :2] + a @ model.encoder_linear_
    assert np.corrcoef(encoded[:, 0], means[:, 0])[0, 1] > 0.9
    hidden = means @ model.decoder_coefs_[0] + model.decoder_intercepts_[0]
    decoded = hidden / (1 + np.exp(-hidden)) @ model.decoder_coefs_[1] + model.decoder_intercepts_[1]
    decoded += means @ model.decoder_linear_
    np.testing.assert_allclose(decoded * model.scale_ + model.mean_, back, rtol=1e-9)


def test_the_same_seed_gives_the_same_bits_whatever_order_or_copies() -> None:
    X = counts(150)
    weight = np.random.RandomState(0).randint(0, 3, size=150)
    order = np.random.RandomState(1).permutation(150)
    model = GaussianVAE(2, **SHORT).fit(X, sample_weight=weight)
    for other in (
        GaussianVAE(2, **SHORT).fit(X[order], sample_weight=weight[order]),
        GaussianVAE(2, **SHORT).fit(np.repeat(X, weight, axis=0)),
    ):
        np.testing.assert_array_equal(other.score_samples(X), model.score_samples(X))
    different = GaussianVAE(2, **{**SHORT, "random_state": 1}).fit(X, sample_weight=weight)
    assert (different.score_samples(X) != model.score_samples(X)).any()


@pytest.mark.parametrize("X", [RAW, DIGITS[:300]], ids=["wine", "digits"])
@pytest.mark.parametrize(("factor", "tolerance"), [(2.0**20, 1e-9), (2.0**-13, 1e-9), (1e6, 1e-6)])
def test_units_change_densities_by_their_jacobian(X: Any, factor: float, tolerance: float) -> None:
    model, other = (GaussianVAE(2, max_iter=30, random_state=0).fit(Y) for Y in (X, X * factor))
    assert model.is_linear_ == (X is RAW)
    jacobian = X.shape[1] * np.log(factor)
    assert other.lower_bound_ + jacobian == pytest.approx(model.lower_bound_, abs=tolerance)
    assert other.entropy_sum_.value + jacobian == pytest.approx(model.entropy_sum_.value, abs=tolerance)
    np.testing.assert_allclose(other.score_samples(X * factor) + jacobian, model.score_samples(X), atol=100 * tolerance)
    one, two = (fit.importance_weighted_score(Y, 3, random_state=0) for fit, Y in ((model, X), (other, X * factor)))
    assert two + jacobian == pytest.approx(one, abs=100 * tolerance)


def test_warm_start_goes_on() -> None:
    model = GaussianVAE(2, warm_start=True, **SHORT).fit(WINE)
    first = model.lower_bound_ - model.entropy_sum_.penalty
    model.set_params(learning_rate_init=0.005).fit(WINE)
    second = model.lower_bound_ - model.entropy_sum_.penalty
    assert second > first
    assert model.set_params(learning_rate_init=1e-12).fit(WINE).lower_bound_ == pytest.approx(model.lower_bound_, abs=0.5)
    assert model.lower_bound_ - model.entropy_sum_.penalty >= second - 1e-9
    with pytest.warns(UserWarning, match="starts afresh"):
        model.set_params(n_components=3).fit(WINE)
    assert model.transform(WINE).shape == (178, 3)


def test_what_is_fitted_in_closed_form_needs_no_start() -> None:
    model = GaussianVAE(2, hidden_layer_sizes=(), warm_start=True).fit(WINE)
    bound = model.lower_bound_
    assert model.fit(WINE).lower_bound_ == bound


def test_entropy_sums_are_elbos_at_every_epoch() -> None:
    for kind in ("scalar", "diag"):
        model = GaussianVAE(2, covariance_type=kind, **SHORT).fit(WINE)
        assert model.n_iter_ == len(model.lower_bounds_) == 10
        np.testing.assert_allclose([terms.value for terms in model.entropy_sums_], model.lower_bounds_, atol=1e-10)


@pytest.fixture
def _ctrl_c_interrupts() -> Iterator[None]:
    """As in a terminal; processes in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press_ctrl_c(monkeypatch: Any, module: Any, name: str, *calls: int) -> None:
    """Press the keys in the calls with these numbers, counted from 1, of a function that the package calls."""
    function, called = getattr(module, name), []

    def interrupted(*arguments: Any, **options: Any) -> Any:
        called.append(1)
        if len(called) in calls:
            signal.raise_signal(signal.SIGINT)
        return function(*arguments, **options)

    monkeypatch.setattr(module, name, interrupted)


@pytest.mark.usefixtures("_ctrl_c_interrupts")
def test_ctrl_c_leaves_a_polished_model(monkeypatch: Any) -> None:
    press_ctrl_c(monkeypatch, _vae_training.Adam, "step", 7)
    with pytest.warns(ConvergenceWarning, match="interrupted after 3 epochs"):
        model = GaussianVAE(2, **SHORT).fit(WINE)
    assert not model.converged_
    assert model.n_iter_ == 3
    assert abs(model.stationarity_gap(WINE)) < 1e-9
    assert len(model.lower_bounds_) == len(model.entropy_sums_) == 3


@pytest.mark.usefixtures("_ctrl_c_interrupts")
def test_ctrl_c_in_the_last_polish_does_not_lose_what_was_trained(monkeypatch: Any) -> None:
    whole = GaussianVAE(2, **SHORT).fit(WINE)
    press_ctrl_c(monkeypatch, _vae_fitting, "polish", 2)  # the first is that of the linear model
    with pytest.warns(ConvergenceWarning, match="interrupted after 10 epochs"):
        model = GaussianVAE(2, **SHORT).fit(WINE)
    assert model.lower_bound_ == whole.lower_bound_
    monkeypatch.undo()
    press_ctrl_c(monkeypatch, _vae_fitting, "polish", 2, 3)
    with pytest.raises(KeyboardInterrupt):  # a second one ends at once
        GaussianVAE(2, **SHORT).fit(WINE)


def test_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    GaussianVAE(2, verbose=2, verbose_interval=5, **SHORT).fit(WINE)
    printed = capsys.readouterr().out
    assert printed.count("Iteration") == 2
    assert "Initialization 0 converged" in printed


def test_callbacks() -> None:
    callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from version 1.9")

    class Recorder:
        models: list[Any]

        def setup(self, estimator: Any, context: Any) -> None:
            self.models = []

        def on_fit_task_begin(self, estimator: Any, context: Any) -> None:
            pass

        def on_fit_task_end(self, estimator: Any, context: Any, *, fitted_estimator: Any = None) -> bool:
            if context.task_name == "iteration":
                self.models.append((fitted_estimator.score(WINE), fitted_estimator.entropy_sum(WINE).value))
            return len(self.models) == 4

        def teardown(self, estimator: Any, context: Any) -> None:
            pass

    recorder = Recorder()
    model = GaussianVAE(2, **SHORT).set_callbacks(recorder, callback.ProgressBar()).fit(WINE)
    assert model.n_iter_ == len(recorder.models) == 4
    assert not model.converged_
    for score, terms in recorder.models:
        assert score == pytest.approx(terms, abs=1e-9)
    assert recorder.models[-1][0] == pytest.approx(model.lower_bound_, abs=1e-9)


def test_data_in_memory_are_there_at_most_three_times() -> None:
    import tracemalloc

    X = np.random.RandomState(0).normal(size=(200_000, 10))
    source = Rows(X)
    tracemalloc.start()
    data = _vae_data.Table.of(source, 1000)
    data.fit_linear(X.mean(axis=0), 2.0, 1, tied=True)
    top = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert top < 3 * X.nbytes


# Data that are too large for memory.


class TestStreams:
    @pytest.fixture(autouse=True)
    def nothing_fits_into_memory(self, monkeypatch: Any) -> None:
        from skentropy.neural_network import _vae_data

        monkeypatch.setattr(_vae_data, "IN_MEMORY_BYTES", 0)
        monkeypatch.setattr(_vae_data, "_SHUFFLED_ROWS", 60)

    @pytest.mark.parametrize("covariance_type", ["scalar", "diag"])
    @pytest.mark.parametrize("gaps", [False, True])
    @pytest.mark.filterwarnings("ignore:X has rows without any observed value")
    @pytest.mark.filterwarnings("ignore:X has no observed value")
    def test_containers(self, covariance_type: str, gaps: bool, tmp_path: Any) -> None:
        da = pytest.importorskip("dask.array")
        X = with_gaps(WINE) if gaps else WINE + 3.0
        if gaps:
            X[50] = np.nan
        weight = np.random.RandomState(0).randint(0, 4, size=len(X)).astype(float)
        on_disk = np.memmap(tmp_path / "x", dtype=np.float64, mode="w+", shape=X.shape)
        on_disk[:] = X
        cuts = [slice(0, 70), slice(70, 70), slice(70, 178)]
        fits = [
            GaussianVAE(2, covariance_type=covariance_type, **{**SHORT, "max_iter": 30}).fit(data, sample_weight=w)
            for data, w in (
                (on_disk, weight),
                (RowBlocks(lambda: ((X[cut], weight[cut]) for cut in cuts)), None),
                (da.from_array(X, chunks=(70, -1)), weight),
            )
        ]
        linear = GaussianVAE(2, covariance_type=covariance_type, hidden_layer_sizes=()).fit(X, sample_weight=weight)
        for model in fits:
            assert abs(model.stationarity_gap_) < 1e-9
            assert abs(model.stationarity_gap(X, sample_weight=weight)) < 1e-9
            assert model.score(X, sample_weight=weight) == pytest.approx(model.lower_bound_, abs=1e-9)
            assert model.lower_bound_ > linear.lower_bound_
            np.testing.assert_allclose(model.mean_, fits[0].mean_, atol=1e-9)
            assert model.lower_bound_ == pytest.approx(fits[0].lower_bound_, abs=0.5)

    def test_linear(self) -> None:
        for kind, reference in (("scalar", PPCA(2)), ("diag", FactorAnalysis(2))):
            model = GaussianVAE(2, covariance_type=kind, hidden_layer_sizes=(), reg_covar=0.0).fit(RAW)
            assert model.lower_bound_ == pytest.approx(reference.fit(RAW).score(RAW), abs=1e-7)

    def test_rows_are_shuffled_within_blocks(self) -> None:
        from skentropy.neural_network._vae_data import training_data

        model = GaussianVAE(2, hidden_layer_sizes=(8,)).fit(WINE)
        data = training_data(model._read(RAW, np.arange(178.0)), RAW, np.arange(178.0), 1)
        n_batches, make = data.batches(model._fitted()[1], 25, np.float64)
        batches = list(make(np.random.default_rng(0)))
        assert len(batches) == n_batches == 9
        assert sum(float(batch.weight.sum()) for batch in batches) == pytest.approx(n_batches)
        values = np.concatenate([batch.weight for batch in batches]) * data.weight / n_batches
        np.testing.assert_allclose(np.sort(values), np.arange(1.0, 178.0))
        assert (np.diff(values) < 0).any()
        in_order = np.concatenate([batch.weight for batch in make(None)])
        assert (np.diff(in_order) > 0).all()


# Degenerate data and bad input.

TABLES = {
    "three rows": WINE[:3],
    "fewer rows than columns": WINE[:6],
    "duplicated rows": np.repeat(WINE[:4], 20, axis=0),
    "one row, again and again": np.repeat(WINE[:1], 20, axis=0),
    "constant columns": np.where(np.arange(13) < 5, 7.0, WINE),
    "as many latents as columns": WINE[:, :2],
    "far away": WINE + 1e8,
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("covariance_type", ["scalar", "diag"])
@pytest.mark.parametrize("reg_covar", [0.0, 1e-3])
def test_degenerate_tables(name: str, covariance_type: str, reg_covar: float) -> None:
    X = TABLES[name]
    for options in ({}, {"learning_rate_init": 0.1}, {"hidden_layer_sizes": ()}):
        model = GaussianVAE(2, covariance_type=covariance_type, reg_covar=reg_covar, **{**SHORT, **options}).fit(X)
        assert np.isfinite(model.lower_bound_)
        assert np.isfinite(model.score_samples(X)).all()
        assert np.isfinite(model.score_samples(WINE[:, : X.shape[1]] * 3.0)).all()
        if reg_covar:
            assert abs(model.stationarity_gap_) < 1e-6


def test_more_latents_than_rows_that_differ() -> None:
    model = GaussianVAE(3, **SHORT).fit(np.repeat(WINE[:2], 20, axis=0))
    assert np.isfinite(model.score_samples(WINE)).all()


def test_what_rounding_made_is_no_variance() -> None:
    X = np.zeros((20, 2))
    X[:, 0] = 1e9 + np.arange(20) % 2 * np.spacing(1e9)
    assert GaussianVAE(1, hidden_layer_sizes=()).fit(X).scale_ == 1.0


def test_rows_without_anything_observed_count_for_the_decay() -> None:
    X = DIGITS[:300]
    hollow = np.vstack([X, np.full_like(X, np.nan)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        one = GaussianVAE(2, alpha=30.0, beta=0.1, **SHORT).fit(hollow)
    other = GaussianVAE(2, alpha=15.0, beta=0.1, **SHORT).fit(X)
    coefs = [model._fitted()[0].decoder.coefs[1] for model in (one, other)]
    assert coefs[0].any()
    np.testing.assert_allclose(*coefs, rtol=1e-6)
    # Such rows have the prior for their posterior, and an ELBO of zero.
    np.testing.assert_allclose(one.lower_bounds_[:-1], 0.5 * np.array(other.lower_bounds_[:-1]), rtol=1e-6)


def test_what_is_small_enough_is_held_in_memory(monkeypatch: Any) -> None:
    model = GaussianVAE(2, hidden_layer_sizes=()).fit(RAW)
    for limit, kind in ((8 * RAW.size, _vae_data.Table), (8 * RAW.size - 1, _vae_data.Stream)):
        monkeypatch.setattr(_vae_data, "IN_MEMORY_BYTES", limit)
        assert isinstance(_vae_data.training_data(model._read(RAW, None), RAW, None, 1), kind)


def test_weights_of_batches_are_relative() -> None:
    from skentropy.neural_network._vae_data import training_data

    weight = np.arange(1.0, 179.0)
    model = GaussianVAE(2, hidden_layer_sizes=()).fit(RAW)
    data = training_data(model._read(RAW, weight), RAW, weight, 1)
    n_batches, make = data.batches(model._fitted()[1], 25, np.float64)
    found = np.concatenate([batch.weight for batch in make(None)])
    np.testing.assert_allclose(np.sort(found), weight * n_batches / weight.sum())


def test_what_is_explained_completely_is_named() -> None:
    X = np.where(np.arange(13) == 4, 7.0, WINE)
    with pytest.warns(ConvergenceWarning, match="explains column 4 completely"):
        GaussianVAE(2, covariance_type="diag", reg_covar=0.0, **SHORT).fit(X)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"n_components=5 is too large: .*min\(n_samples, n_features\)=4"):
        GaussianVAE(5).fit(WINE[:, :4])
    with pytest.raises(ValueError, match=r"n_components=4 is too large: .*min\(n_samples, n_features\)=3"):
        GaussianVAE(4).fit(WINE[:3])
    for sizes in ((0,), (3, -1), ("a",), (2.5,)):
        with pytest.raises(ValueError, match=r"hidden_layer_sizes=.*positive integers"):
            GaussianVAE(hidden_layer_sizes=sizes).fit(WINE)
    with pytest.raises(ValueError, match="encoder_hidden_layer_sizes"):
        GaussianVAE(encoder_hidden_layer_sizes=(0,)).fit(WINE)
    with pytest.raises(ValueError, match="too large for float64 in column 2"):
        GaussianVAE().fit(np.where(np.arange(13) == 2, WINE * 1e160, WINE))
    for size in (9e139, 2e-140):  # just within
        assert np.isfinite(GaussianVAE(2, hidden_layer_sizes=()).fit(WINE * size).lower_bound_)
    model = GaussianVAE(2, **SHORT).fit(WINE)
    with pytest.raises(ValueError, match="n_samples"):
        model.importance_weighted_score(WINE, 0)
    with pytest.raises(ValueError, match="3 columns"):
        model.inverse_transform(np.ones((2, 3)))
    with pytest.raises(TypeError, match="exposure"):
        model.entropy_sum(WINE, exposure=np.ones(len(WINE)))
    with pytest.warns(UserWarning, match="without any observed value"):
        GaussianVAE(2, **SHORT).fit(np.vstack([WINE, np.full((1, 13), np.nan)]))


def test_layers_of_all_kinds() -> None:
    for hidden, encoder in ((7, None), ([7, 5], (3,)), ((7,), ()), ((), (4,))):
        model = GaussianVAE(2, **{**SHORT, "hidden_layer_sizes": hidden, "encoder_hidden_layer_sizes": encoder}).fit(WINE)
        assert abs(model.stationarity_gap(WINE)) < 1e-9
    assert GaussianVAE(2, shuffle=False, **SHORT).fit(WINE).lower_bound_ > PPCA(2).fit(WINE).score(WINE) - 0.1
