"""Bootstrap, bootstrap test and stability of mixtures."""

from __future__ import annotations

import re
import warnings
from types import SimpleNamespace
from typing import Any, cast

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import adjusted_rand_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skentropy import PPCA, ColumnMixture, ExponentialFamilyMixture, GaussianMixture, PoissonMixture, RowBlocks
from skentropy._standard_errors import Estimate
from skentropy.families import Categorical
from skentropy.mixture._one_more import with_one_more
from skentropy.model_selection import _bootstrap_lrt, _stability, bootstrap, bootstrap_lrt, stability
from skentropy.model_selection._bootstrap import BootstrapResult, _match_factors
from skentropy.model_selection._bootstrap_lrt import _statistic
from skentropy.model_selection._resampling import Simulations, Weightings, replicate
from skentropy.model_selection._stability import adjusted_rand
from tests.common.estimators import ESTIMATORS

MIXTURES = [name for name, case in ESTIMATORS.items() if case.output == "predict_proba"]
# Deaths of women over 80 in the Times of London, 1910 to 1912: days with so many.
DEATHS = np.arange(10.0)[:, np.newaxis]
DAYS = np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1.0])
IRIS = load_iris().data


@pytest.fixture(scope="module")
def times() -> PoissonMixture:
    return PoissonMixture(2, random_state=0).fit(DEATHS, sample_weight=DAYS)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["weighted", "parametric"])
@pytest.mark.parametrize("name", MIXTURES)
def test_all_mixtures(name: str, kind: str) -> None:
    """Labels and estimates are those of the fit, which stays as it is; the same seeds give the same, in any process."""
    case = ESTIMATORS[name]
    model = case.make().fit(case.hardest)
    before = {key: np.array(value) for key, value in vars(model).items() if isinstance(value, np.ndarray)}
    result = bootstrap(model, case.hardest, 4, kind, random_state=0)
    for key, value in before.items():
        np.testing.assert_array_equal(getattr(model, key), value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        errors = model.standard_errors(case.hardest)
    assert result.names == errors.names
    np.testing.assert_array_equal(result.estimates["weights"], model.weights_)
    assert np.isfinite(result.replicates).all()
    with joblib.parallel_config(backend="threading"):
        again = bootstrap(model, case.hardest, 4, kind, random_state=0, n_jobs=2)
    np.testing.assert_array_equal(again.replicates, result.replicates)
    assert not np.array_equal(bootstrap(model, case.hardest, 4, kind, random_state=1).replicates, result.replicates)
    assert max(map(len, str(result).splitlines())) <= 100


def test_spread_of_one_poisson() -> None:
    """Of a mean it is known: by weights that of the rows, by simulation that of the model."""
    x = np.random.default_rng(0).negative_binomial(2, 0.3, size=(150, 1)).astype(float)
    values, counts = np.unique(x, return_counts=True)
    model = PoissonMixture(1).fit(x)
    for kind, expected in (("weighted", x.var() / 151), ("parametric", x.mean() / 150)):
        rows = bootstrap(model, x, 150, kind, random_state=0)
        weighted = bootstrap(model, values[:, np.newaxis], 150, kind, sample_weight=counts, random_state=1)
        for result in (rows, weighted):  # the standard error of a standard deviation is 6%
            assert result["rates"].item() == pytest.approx(np.sqrt(expected), rel=0.18)
            assert abs(result.biases["rates"].item()) < 4.0 * np.sqrt(expected / 150)
            assert result["weights"].item() == 0.0


def test_random_weights_are_those_of_copies() -> None:
    weights = Weightings(None, np.array([1.0, 0.0, 4.0, 0.5]), None)
    random_state = np.random.RandomState(0)
    drawn = np.array([weights.draw(random_state).weight for _ in range(20_000)])
    total = 5.5
    np.testing.assert_allclose(drawn.sum(axis=1), total, rtol=1e-12)
    np.testing.assert_allclose(drawn.mean(axis=0), weights.counts, atol=0.03)
    share = weights.counts / total
    np.testing.assert_allclose(drawn.var(axis=0), total**2 * share * (1.0 - share) / (total + 1.0), rtol=0.05)


def test_rows_of_small_counts_keep_a_weight() -> None:
    weights = Weightings(None, np.append(np.full(400, 0.01), 0.0), None)
    drawn = weights.draw(np.random.RandomState(0)).weight
    assert drawn is not None
    assert drawn.sum() == pytest.approx(4.0)
    assert (drawn[:-1] > 1e-60).all()
    assert drawn[-1] == 0.0
    X = np.arange(400.0)[:, np.newaxis] % 7.0
    mixture = PoissonMixture(1).fit(X, sample_weight=weights.counts[:-1])
    result = bootstrap(mixture, X, 20, sample_weight=weights.counts[:-1], random_state=0)
    assert np.isfinite(result["rates"]).all()
    for resample in (bootstrap, stability):
        with pytest.raises(ValueError, match=r"sample_weight sums to 1\. Weights are counts.*Do not normalise"):
            resample(mixture, X, 2, sample_weight=np.full(400, 1.0 / 400.0))


def test_intervals_are_percentiles() -> None:
    X = pd.DataFrame(IRIS, columns=list("abcd"))
    model = GaussianMixture(2, covariance_type="tied", random_state=0).fit(X)
    result = bootstrap(model, X, 50, random_state=0)
    of = result.distributions
    assert of["covariances"].shape == (50, 4, 4)
    np.testing.assert_array_equal(of["covariances"], of["covariances"].transpose(0, 2, 1))
    np.testing.assert_allclose(result["means"], of["means"].std(axis=0, ddof=1), rtol=1e-9)
    interval = result.confidence_intervals(0.8)["means"]
    np.testing.assert_allclose(interval[..., 0], np.quantile(of["means"], 0.1, axis=0))
    np.testing.assert_allclose(interval[..., 1], np.quantile(of["means"], 0.9, axis=0))
    frame = result.to_frame(0.8)
    assert frame.loc["means[1, d]", "lower 80%"] == interval[1, 3, 0]
    assert list(frame.index) == model.standard_errors(X).names
    # Fits from the maximum keep the order of components.
    assert (np.abs(of["means"] - model.means_) < 1.0).all()
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        result.confidence_intervals(95)


def test_simulated_tables_are_like_the_data() -> None:
    rng = np.random.default_rng(0)
    size = pd.Categorical(rng.choice(["small", "large"], 60), categories=["small", "middle", "large"], ordered=True)
    X = pd.DataFrame({"size": size, "count": rng.poisson(3.0, 60), "answer": rng.choice(["yes", "no", None], 60)})
    X["length"] = np.where(rng.random(60) < 0.2, np.nan, rng.normal(size=60))
    counts = rng.integers(1, 3, size=60)
    model = ColumnMixture(random_state=0, prior_counts=1.0).fit(X, sample_weight=counts)
    sample = Simulations.of(model, X, model._read(X, counts)).draw(np.random.RandomState(0))
    n = counts.sum()
    assert sample.weight is not None
    np.testing.assert_array_equal(sample.weight[:n], 1.0)
    assert sample.weight[n:].max() < 1e-9
    assert list(sample.X["size"].cat.categories) == ["small", "middle", "large"]
    np.testing.assert_array_equal(
        sample.X[["answer", "length"]].isna()[:n], X[["answer", "length"]].isna().loc[X.index.repeat(counts)]
    )
    polars = pytest.importorskip("polars")
    table = polars.DataFrame({name: [None if value != value else value for value in X[name]] for name in X})
    other = ColumnMixture(random_state=0, prior_counts=1.0).fit(table)
    assert isinstance(Simulations.of(other, table, other._read(table)).draw(np.random.RandomState(0)).X, polars.DataFrame)


@pytest.mark.parametrize("n_larger", [0, 3, 20])
@pytest.mark.parametrize("stop_early", [True, False])
def test_p_values_count_the_simulated_statistics(monkeypatch: Any, stop_early: bool, n_larger: int) -> None:
    """With the data's own among them, unless the twentieth that is as large has ended the test."""
    statistics = np.where(np.arange(40) < n_larger, 7.0, 1.0)
    fits = [(statistic, index > 1, index == 5) for index, statistic in enumerate(statistics)]
    monkeypatch.setattr(_bootstrap_lrt, "replicate", lambda *_, **options: fits)
    monkeypatch.setattr(_bootstrap_lrt, "_test", lambda *_: (7.0, True, False))
    with pytest.warns(ConvergenceWarning) as caught:
        result = bootstrap_lrt(PoissonMixture(2), DEATHS, 40, sample_weight=DAYS, stop_early=stop_early, random_state=0)
    assert result.pvalue == (0.5 if n_larger == 20 and stop_early else (n_larger + 1) / 41)
    assert [str(warning.message).split(";")[0] for warning in caught] == [
        "2 of 40 fits of 3 components did not converge",
        "1 of 40 fits of 3 components ended in degenerate solutions",
    ]
    assert "bootstrap test of 2 against 3 components, 1096 rows" in str(result)


def test_the_alternative_has_one_component_more() -> None:
    null, asked = PoissonMixture(2, random_state=0).fit(DEATHS, sample_weight=DAYS), []

    class Fits:
        X, weight = DEATHS, DAYS

        def fit(self, mixture: Any) -> Any:
            asked.append(len(mixture.weights_) if hasattr(mixture, "weights_") else mixture.n_components)
            return null

    sample: Any = Fits()
    assert _bootstrap_lrt._test(null, sample, 0)[0] == 0.0
    assert asked == [3, 3]


def test_pipelines() -> None:
    pipeline = make_pipeline(StandardScaler(), GaussianMixture(2, random_state=0)).fit(IRIS)
    own = bootstrap(pipeline[-1], pipeline[0].transform(IRIS), 3, random_state=0)
    np.testing.assert_array_equal(bootstrap(pipeline, IRIS, 3, random_state=0).replicates, own.replicates)


def test_progress_is_told(times: PoissonMixture, capsys: Any) -> None:
    bootstrap(times, DEATHS, 20, sample_weight=DAYS, random_state=0, verbose=1)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    seconds = re.fullmatch(r"bootstrap of PoissonMixture: 20 of 20 fits, (\d+\.\d) s", lines[-1])
    assert seconds is not None
    assert float(seconds[1]) < 60.0


def test_other_rows_are_told(times: PoissonMixture) -> None:
    with pytest.warns(UserWarning, match=r"was fitted to 1096 rows, but X stands for 10\. .*with their sample_weight"):
        bootstrap(times, DEATHS, 2, random_state=0)


def test_bootstrap_refuses(times: PoissonMixture) -> None:
    kind: Any = "pairs"
    with pytest.raises(ValueError, match="kind must be one of 'weighted', 'parametric', got 'pairs'"):
        bootstrap(times, DEATHS, kind=kind)
    with pytest.raises(ValueError, match="n must be a whole number of at least 2, got 1"):
        bootstrap(times, DEATHS, 1)
    with pytest.raises(NotFittedError, match=r"Call bootstrap\(model.fit\(X\), X\)"):
        bootstrap(PoissonMixture(2), DEATHS)
    with pytest.raises(TypeError, match="bootstrap gives intervals for the parameters of a mixture; PPCA is not a mixture"):
        bootstrap(PPCA(1).fit(IRIS), IRIS)
    with pytest.raises(ValueError, match=r"whole numbers; bootstrap\(kind='weighted'\) takes any"):
        bootstrap(times, DEATHS, kind="parametric", sample_weight=DAYS / 2.0)
    with pytest.raises(ValueError, match="at an exposure of one"):
        bootstrap(times, DEATHS, kind="parametric", exposure=np.ones(10))
    with pytest.raises(ValueError, match="only in memory, and X is a RowBlocks"):
        bootstrap(times, RowBlocks(lambda: iter([DEATHS])))
    with pytest.warns(ConvergenceWarning, match="3 of 3 fits did not converge within max_iter=1 steps"):
        bootstrap(PoissonMixture.from_parameters([0.5, 0.5], [[1.0], [3.0]]).set_params(max_iter=1), DEATHS, 3)


def test_the_times_have_two_components() -> None:
    """Log-likelihoods from reference values: one component in closed form, two and three by 50-digit Newton steps."""
    one = bootstrap_lrt(PoissonMixture(1), DEATHS, 19, sample_weight=DAYS, random_state=0)
    mean = DEATHS[:, 0] @ DAYS / 1096
    alone = PoissonMixture.from_parameters([1.0], [[mean]]).score(DEATHS, sample_weight=DAYS) * 1096
    assert one.statistic == pytest.approx(2.0 * (-1989.945859883 - alone), abs=1e-5)
    assert one.pvalue == 0.05
    assert one.null_distribution.shape == (19,)
    two = bootstrap_lrt(PoissonMixture(2), DEATHS, sample_weight=DAYS, random_state=0)
    assert two.statistic == pytest.approx(2.0 * (-1989.92710511747 + 1989.945859883), abs=1e-5)
    assert (two.null_distribution >= two.statistic).sum() == 20
    assert two.pvalue == 20 / len(two.null_distribution) > 0.2
    assert "2 against 3 components, 1096 rows" in str(two)
    early = bootstrap_lrt(PoissonMixture(2), DEATHS, 30, sample_weight=DAYS, random_state=0, stop_early=False)
    n = min(30, len(two.null_distribution))
    np.testing.assert_array_equal(early.null_distribution[:n], two.null_distribution[:n])
    assert early.pvalue == ((early.null_distribution >= early.statistic).sum() + 1) / 31


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_one_component_more() -> None:
    """There is none to add to the maximum over all numbers of components, which three reach here (Lindsay 1983)."""
    two = PoissonMixture(2, random_state=0).fit(DEATHS, sample_weight=DAYS)
    start = with_one_more(two, two._read(DEATHS, DAYS))
    assert start is not None
    assert start.score(DEATHS, sample_weight=DAYS) >= two.score(DEATHS, sample_weight=DAYS)
    three = start.set_params(warm_start=True).fit(DEATHS, sample_weight=DAYS)
    assert 1096 * three.lower_bound_ == pytest.approx(-1989.92710511747, abs=1e-6)
    assert with_one_more(three, three._read(DEATHS, DAYS)) is None


@pytest.mark.parametrize("name", MIXTURES)
def test_all_mixtures_can_have_one_more(name: str) -> None:
    case = ESTIMATORS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = case.make(n_components=1, prior_counts=0.0).fit(case.hardest)
    more = with_one_more(one, one._read(case.hardest))
    assert more is not None
    assert len(more.weights_) == len(one.weights_) + 1
    if name != "GaussianMixture-tied":  # whose new component cannot be narrower than the others
        assert more.score(case.hardest) > one.score(case.hardest)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("name", MIXTURES)
def test_test_and_stability_of_all_mixtures(name: str) -> None:
    case = ESTIMATORS[name]
    test = bootstrap_lrt(case.make(n_components=1), case.X[:80], 1, random_state=0)
    assert test.pvalue in (0.5, 1.0)
    assert test.statistic >= 0.0
    values = stability(case.make(), case.X[:80], 1, random_state=0).values
    assert values.shape == (1,)
    assert values[0] <= 1.0


@pytest.mark.filterwarnings("ignore:PoissonMixture did not converge")
def test_lrt_refuses() -> None:
    with pytest.raises(ValueError, match="n_boot must be a whole number of at least 1"):
        bootstrap_lrt(PoissonMixture(1), DEATHS, 0)
    with pytest.raises(ValueError, match="rates_init, weights_init set 2 components"):
        bootstrap_lrt(PoissonMixture(2, weights_init=[0.5, 0.5], rates_init=[[1.0], [2.0]]), DEATHS)
    with pytest.raises(TypeError, match="bootstrap_lrt tests the number of components of a mixture; PPCA"):
        bootstrap_lrt(PPCA(1), IRIS)
    with pytest.warns(ConvergenceWarning, match="2 of 2 fits of 2 components did not converge"):
        bootstrap_lrt(PoissonMixture(1, max_iter=1), DEATHS, 2, sample_weight=DAYS)


def test_stability_tells_clusters_from_none() -> None:
    rng = np.random.default_rng(0)
    apart = np.concatenate([rng.normal(size=(60, 2)), 9.0 + rng.normal(size=(60, 2))])
    sure = stability(GaussianMixture(2), apart, 3, random_state=0)
    assert sure.value == 1.0
    unsure = stability(GaussianMixture(3), rng.normal(size=(120, 2)), 5, random_state=0)
    assert unsure.value < 0.8
    assert "adjusted Rand index 1.000, 1.000 to 1.000 in 3 pairs of fits" in str(sure)
    with joblib.parallel_config(backend="threading"):
        again = stability(GaussianMixture(3), rng.normal(size=(120, 2)) * 0.0 + apart, 3, random_state=4, n_jobs=2)
    np.testing.assert_array_equal(again.values, stability(GaussianMixture(3), apart, 3, random_state=4).values)
    with pytest.raises(ValueError, match="n must be a whole number of at least 1, got 0"):
        stability(GaussianMixture(2), apart, 0)
    with pytest.raises(TypeError, match="stability compares classifications by fits of a mixture; PPCA is not a mixture"):
        stability(PPCA(1), apart)


def test_a_pair_of_fits_has_a_value_and_a_seed_of_its_own(monkeypatch: Any) -> None:
    seen: list[int] = []
    monkeypatch.setattr(_stability, "_agreement", lambda mixture, draws, seed: [seen.append(seed), 0.25 * len(seen)][1])
    result = stability(PoissonMixture(1), DEATHS, 3, sample_weight=DAYS, random_state=0)
    np.testing.assert_array_equal(result.values, [0.25, 0.5, 0.75])
    assert len(set(seen)) == 3
    assert result.value == 0.5
    assert "adjusted Rand index 0.500, 0.250 to 0.750 in 3 pairs of fits" in str(result)


def test_each_process_makes_five_fits_before_there_may_be_enough() -> None:
    made: list[int] = []

    def function(seed: int) -> int:
        made.append(seed)
        return -seed

    def found(n_jobs: int) -> list[int]:
        made.clear()
        with joblib.parallel_config(backend="threading"):
            options: Any = {"n_jobs": n_jobs, "verbose": 0, "name": "", "enough": lambda results: len(results) == 3}
            return replicate(function, range(30), **options)

    assert found(1) == found(2) == [0, -1, -2]
    assert sorted(made) == list(range(10))


def test_adjusted_rand_of_copies() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(3, size=40), rng.integers(4, size=40)
    counts = rng.integers(1, 5, size=40)
    expected = adjusted_rand_score(a.repeat(counts), b.repeat(counts))
    assert adjusted_rand(a, b, counts.astype(float)) == pytest.approx(expected, rel=1e-12)
    assert adjusted_rand(a, 3 - a, counts.astype(float)) == pytest.approx(1.0)
    assert adjusted_rand(np.zeros(5, int), np.zeros(5, int), np.ones(5)) == 1.0


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_no_category_is_lost() -> None:
    """A rare one is in each simulated table, so that all fits have the same parameters."""
    X = np.r_[np.zeros(30), np.ones(30), [2.0]][:, np.newaxis] * [1.0, 1.0]
    model = ExponentialFamilyMixture(Categorical("auto"), 1).fit(X)
    result = bootstrap(model, X, 10, "parametric", random_state=0)
    assert result.distributions["probabilities"].shape == (10, 1, 2, 3)
    assert (result.distributions["probabilities"][..., 2] < 1e-9).any()


def test_statistics_and_biases_by_their_formulas() -> None:
    null, alternative = (SimpleNamespace(n_samples_=40.0, lower_bound_=bound) for bound in (-3.0, -2.75))
    assert _statistic(cast(Any, null), cast(Any, alternative)) == 20.0
    assert _statistic(cast(Any, null), cast(Any, null)) == 0.0
    assert _statistic(cast(Any, alternative), cast(Any, null)) == 0.0
    for gain, statistic in ((0.995e-3, 0.0), (1.005e-3, 1.005e-3)):  # a thousandth is within the precision of fits
        alternative.lower_bound_ = null.lower_bound_ + gain / 80.0
        assert _statistic(cast(Any, null), cast(Any, alternative)) == pytest.approx(statistic, rel=1e-9)
    replicates = np.array([[1.0, 5.0], [2.0, 9.0]])
    mean = Estimate("mean", np.array([1.25, 8.0]), [["a", "b"]], np.array([0, 1]))
    result = BootstrapResult("title", np.cov(replicates.T), [mean], replicates)
    np.testing.assert_allclose(result.biases["mean"], [0.25, -1.0])


@pytest.mark.parametrize("kind", ["ppca", "fa"])
@pytest.mark.parametrize("in_block", [False, True])
def test_factors_keep_their_signs(kind: str, in_block: bool) -> None:
    """The largest of loadings of about the same size, which is positive, is another one in each replicate."""
    signs = np.array([1.0, -1.0, 1.0])
    rows = np.linalg.qr(IRIS[:, :3] - IRIS[:, :3].mean(axis=0))[0]
    X = rows @ np.linalg.cholesky(np.where(np.eye(3), 1.0, 0.5)).T * signs * np.sqrt(len(rows))
    model: Any = GaussianMixture(1, covariance_type=kind)
    name = "loadings"
    if in_block:
        model, name = ColumnMixture([("all", GaussianMixture(covariance_type=kind), [0, 1, 2])], 1), "all: loadings"
    model.fit(X)
    result = bootstrap(model, X, 60, random_state=0)
    np.testing.assert_allclose(result[name], model.standard_errors(X)[name], rtol=0.4)
    assert (np.abs(result.biases[name]) < result[name]).all()


def test_factors_keep_their_order() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(2, 5, 3))
    estimate = Estimate("loadings", values, [["0", "1"], list("abcde"), list("uvw")], np.arange(30).reshape(2, 5, 3))
    near = values + 0.01 * rng.normal(size=(20, 2, 5, 3))
    moved = np.stack([own[..., rng.permutation(3)] * rng.choice([-1.0, 1.0], size=3) for own in near])
    replicates = moved.reshape(20, 30).copy()
    _match_factors(replicates, estimate)
    np.testing.assert_array_equal(replicates, near.reshape(20, 30))
