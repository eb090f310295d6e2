"""Bad input: an error that names the column or argument, or a finite answer with a warning."""

from __future__ import annotations

import re
import warnings
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from scipy.special import logsumexp
from sklearn.exceptions import ConvergenceWarning

from skentropy import ExponentialFamilyMixture, GammaMixture, GaussianMixture, PoissonMixture
from skentropy.families import FAMILIES, Categorical
from skentropy.mixture._input import check_covariances, check_mixing_weights, check_sums

X = np.random.RandomState(0).poisson([[2.0, 9.0]], size=(60, 2)).astype(float) + 1.0


def with_value(value: float) -> Any:
    spoilt = X.copy()
    spoilt[3, 1] = value
    return spoilt


@pytest.mark.parametrize("make", [PoissonMixture, GammaMixture])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (with_value(-1.0), "Negative values in data.*column 1"),
        (with_value(np.inf), "infinity"),
        (np.c_[X, np.full(60, np.nan)], "no observed value in column 2"),
        (X[:0], "0 sample"),
        (X[:1], "1 sample"),
        (np.repeat(X[:1], 5, axis=0), "n_components=2 is more than the 1 distinct rows"),
        (X[:, 0], "1D array"),
        (np.array([["a", "b"], ["c", "d"]]), "numeric|convert"),
    ],
)
def test_errors_name_the_column_or_argument(make: Any, data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(random_state=0).fit(data)


def test_errors_of_weights_and_features() -> None:
    for weight, message in [
        (-np.ones(60), "[Nn]egative"),
        (np.zeros(60), "All of sample_weight is zero"),
        (np.ones(59), "60|59"),
        (np.full(60, 1e-200), "between 1e-100 and 1e\\+100"),
    ]:
        with pytest.raises(ValueError, match=message):
            PoissonMixture().fit(X, sample_weight=weight)
    mixture = PoissonMixture(random_state=0).fit(X)
    with pytest.raises(ValueError, match="2 features"):
        mixture.predict(X[:, :1])
    with pytest.raises(ValueError, match=r"Negative values in data.*column 1"):
        mixture.score(with_value(-1.0))
    with pytest.raises(TypeError, match="offset"):
        mixture.bic(X, offset=np.ones(60))
    with pytest.raises(ValueError, match="ExponentialFamilyMixture of the bernoulli family takes zeros and ones"):
        ExponentialFamilyMixture("bernoulli").fit(X)


def test_zeros_in_gamma_data() -> None:
    zeros = with_value(0.0)
    with pytest.warns(UserWarning, match="1 zeros in column 1 are replaced by half.* the argument zeros takes"):
        mixture = GammaMixture(tol=1e-4, random_state=0).fit(zeros)
    assert mixture.zero_substitutes_[1] == X[:, 1].min() / 2
    np.testing.assert_array_equal(mixture.score_samples(zeros), mixture.score_samples(with_value(X[:, 1].min() / 2)))
    gap = zeros.copy()
    gap[zeros[:, 1] == 0, 0] = np.nan
    filled = mixture.impute(gap)
    np.testing.assert_array_equal(filled[:, 1], zeros[:, 1])
    assert np.isfinite(filled).all()
    with pytest.raises(ValueError, match=r"takes positive values.*column 1"):
        GammaMixture(zeros="error").fit(zeros)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        nothing = GammaMixture(1, max_iter=0).fit(np.column_stack([X[:, 0], np.zeros(60)]))
    told = [str(warning.message) for warning in caught if "zeros" in str(warning.message)]
    assert told == ["There is no positive value in column 1, and zeros are replaced by ones; leave such columns out."]
    np.testing.assert_array_equal(nothing.zero_substitutes_[1], 1.0)
    assert GammaMixture(zeros=0.25, n_starts=1, max_iter=0, random_state=0).fit(zeros).zero_substitutes_[1] == 0.25


@pytest.mark.parametrize("scale", [1e12, 1e-300])
@pytest.mark.parametrize("family", ["poisson", "gamma", "exponential", "log_normal", "inverse_gaussian"])
def test_extreme_scales_give_finite_fits(family: str, scale: float) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixture = ExponentialFamilyMixture(family, random_state=0, max_iter=50).fit(X * scale)
    assert_finite(mixture, X * scale)


def test_constant_columns() -> None:
    data = np.c_[X, np.full(60, 4.0)]
    assert_finite(PoissonMixture(random_state=0).fit(data), data)
    with pytest.warns(UserWarning, match=r"all the same in column 2.*held at a bound.*Leave such columns out"):
        mixture = GammaMixture(random_state=0).fit(data)
    assert_finite(mixture, data)


def test_collapse_is_named_and_cured_by_prior_counts() -> None:
    data = np.r_[np.full((30, 1), 2.0), np.random.RandomState(0).gamma(9.0, size=(60, 1))]
    with pytest.warns(UserWarning, match=r"column 0 is collapsed.*prior_counts"):
        mixture = GammaMixture(random_state=0).fit(data)
    assert_finite(mixture, data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        smoothed = GammaMixture(random_state=0, prior_counts=1.0).fit(data)
    assert smoothed.shapes_.max() < 1e4
    assert abs(smoothed.stationarity_gap_) < 1e-5


def test_an_empty_component_is_named() -> None:
    with pytest.warns(UserWarning, match="component 1 is empty"):
        mixture = PoissonMixture(weights_init=[1.0, 0.0], rates_init=[[2.0, 9.0], [1.0, 1.0]]).fit(X)
    assert_finite(mixture, X)


def test_an_all_missing_row_is_reported() -> None:
    data = X.copy()
    data[0] = np.nan
    with pytest.warns(UserWarning, match="no observed value in 1 of its rows"):
        assert_finite(PoissonMixture(random_state=0).fit(data), data)


def assert_finite(mixture: Any, data: Any) -> None:
    for name, value in vars(mixture).items():
        if name.endswith("_") and isinstance(value, (float, np.ndarray)) and np.asarray(value).dtype.kind == "f":
            assert np.isfinite(value).all(), name
    assert np.isfinite(mixture.entropy_sum_.value)
    assert np.isfinite(mixture.score_samples(data)).all()
    np.testing.assert_allclose(mixture.predict_proba(data).sum(axis=1), 1.0, rtol=1e-5)


def is_refused(mixture: Any, table: Any, weight: Any) -> bool:
    """Whether the data have too few distinct rows, a column with nothing observed, or sums that over- or underflow."""
    weight = np.ones(len(table)) if weight is None else weight
    if (weight[weight > 0] < 1e-100).any():
        return True
    rows = table[weight > 0]
    if len(np.unique(rows, axis=0)) < mixture.n_components or np.isnan(rows).all(axis=0).any():
        return True
    weight = np.where(np.isnan(rows), 0.0, weight[weight > 0, np.newaxis])
    means = np.nansum(weight * rows, axis=0) / weight.sum(axis=0)
    variances = np.nansum(weight * (rows - means) ** 2, axis=0) / weight.sum(axis=0)
    equivariance = mixture._get_components().family.equivariance
    if equivariance == "affine":
        return bool(((variances > 0) & (variances < 1e-280)).any())
    return bool(equivariance == "scale" and ((means > 0) & (means < 1e-305)).any())


VALUES = {
    "bernoulli": st.sampled_from([0.0, 1.0]),
    "categorical": st.sampled_from([0.0, 1.0]),
    "binomial": st.sampled_from([0.0, 1.0]),
    "beta": st.floats(1e-12, 1 - 1e-12),
    "gaussian": st.floats(-1e100, 1e100),
    "von_mises": st.floats(-6.28, 6.28),
    "zero_truncated_poisson": st.floats(1.0, 1e12),
}
POSITIVE = ["gamma", "log_normal", "inverse_gaussian", "weibull"]


@pytest.mark.parametrize("family", list(FAMILIES))
@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_data_give_a_finite_fit_or_a_clear_error(family: str, data: st.DataObject) -> None:
    values = VALUES.get(family, st.floats(1e-100 if family in POSITIVE else 0.0, 1e12))
    values = st.one_of(values, st.just(np.nan)) if data.draw(st.booleans()) else values
    shape = data.draw(st.tuples(st.integers(2, 12), st.integers(1, 3)))
    table = data.draw(hnp.arrays(np.float64, shape, elements=values))
    weight = data.draw(st.none() | hnp.arrays(np.float64, shape[0], elements=st.floats(0, 10)))
    prior_counts = data.draw(st.sampled_from([0.0, 1.0]))
    mixture = ExponentialFamilyMixture(family, random_state=0, max_iter=40, prior_counts=prior_counts)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        refusals = r"distinct rows|no observed value|sample_weight|overflows|too small"
        with pytest.raises(ValueError, match=refusals) if is_refused(mixture, table, weight) else nullcontext():
            mixture.fit(table, sample_weight=weight)
        if not hasattr(mixture, "weights_"):
            return
        assert_finite(mixture, table)
        # Where a component is held at a bound its M-step is no maximum, and rounding is of the size of its parameters.
        messages = "".join(str(warning.message) for warning in caught)
        if not prior_counts and "held at a bound" not in messages:
            rounding = 1e-10 * (1.0 + mixture.entropy_sum_.magnitude)
            # Counts so large that doubles between them are far apart: the warning says how far bounds may be off.
            rounding += sum(float(off) for off in re.findall(r"log-likelihoods may be off by (\S+) nats", messages))
            assert (np.diff(mixture.lower_bounds_) >= -rounding).all()


@pytest.mark.parametrize(
    ("family", "parameters"),
    [
        ("gamma", {"shapes": [[1e-4]], "rates": [[1e-160]]}),
        ("inverse_gaussian", {"means": [[1e160]], "shapes": [[1.0]]}),
        ("log_normal", {"log_means": [[380.0]], "log_variances": [[1.0]]}),
    ],
)
def test_values_that_are_zero_beside_the_mean_are_refused(family: str, parameters: dict[str, Any]) -> None:
    mixture = ExponentialFamilyMixture.from_parameters(family, [1.0], **parameters)
    assert np.isfinite(mixture.score_samples([[1e-100]])).all()
    with pytest.raises(ValueError, match=f"Values in column 0 are too small beside the mean of the {family} components"):
        mixture.score_samples([[1e-200]])


def test_variances_of_rounding_are_reported_as_collapsed() -> None:
    # The logarithms lie far from that of the mean, beside whose square a variance of zero is rounding.
    X = [[253.0, 1.0, 66305.0], [0.09375, 1.5, 1.5], [2.0, 1.5, 1.5], [1.5, 1.5, 1.5], [1.5, 4.0, 1.5]]
    with pytest.warns(ConvergenceWarning, match="column 2.*held at a bound"):
        ExponentialFamilyMixture("log_normal", random_state=0).fit(X)


def test_rows_are_scored_by_a_wide_log_normal() -> None:
    # Its variance of logarithms is 1300, its mean exp(660).
    X = np.full((7, 2), 33966.0)
    X[0], X[1, 0] = 1.0, 1.2e-38
    with pytest.warns(ConvergenceWarning, match="held at a bound"):
        mixture = ExponentialFamilyMixture("log_normal", random_state=0).fit(X)
    deviations = np.sqrt(mixture.log_variances_)
    log_p = stats.norm.logpdf(np.log(X)[:, np.newaxis], mixture.log_means_, deviations) - np.log(X)[:, np.newaxis]
    expected = logsumexp(log_p.sum(axis=2) + np.log(mixture.weights_), axis=1)
    np.testing.assert_allclose(mixture.score_samples(X), expected, rtol=1e-3)


@pytest.mark.parametrize("model", [PoissonMixture(2), ExponentialFamilyMixture("gaussian", 2)], ids=str)
@pytest.mark.parametrize("value", [1e160, 1e300])
def test_values_whose_squares_or_units_are_lost_are_refused(model: Any, value: float) -> None:
    X = np.ones((50, 3))
    X[7, 1] = value
    with pytest.raises(ValueError, match="too large in column 1; rescale"):
        model.fit(X)


def test_values_whose_mean_is_lost_are_refused() -> None:
    for other in (0.0, 4.0):
        with pytest.raises(ValueError, match="too small in column 0"):
            GammaMixture(2).fit([[other], [5e-324]])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_rates_that_would_overflow_are_held() -> None:
    mixture = GammaMixture(2, random_state=0).fit([[1.0], [1.8e300]])
    assert np.isfinite([mixture.lower_bound_, mixture.entropy_sum_.value]).all()


@pytest.mark.parametrize("short", [1e-6, 1e-30])
def test_waiting_times_of_all_scales_are_no_collapse(short: float) -> None:
    rng = np.random.RandomState(0)
    X = np.concatenate([rng.exponential(short, 200), rng.exponential(1e5, 200)])[:, np.newaxis]
    mixture = ExponentialFamilyMixture("exponential", 2, random_state=0).fit(X)
    np.testing.assert_allclose(np.sort(1.0 / mixture.rates_[:, 0]), [X[:200].mean(), X[200:].mean()], rtol=1e-9)


@pytest.mark.parametrize(
    ("family", "far"), [("gaussian", 1e4), ("gaussian", 1e6), ("gaussian", 1e7), ("log_normal", 1e4), ("log_normal", 1e6)]
)
def test_clusters_far_from_each_other_are_no_collapse(family: str, far: float) -> None:
    rng = np.random.RandomState(0)
    near, other = rng.normal(size=200), far + rng.normal(size=100)
    X = np.concatenate([near, other])[:, np.newaxis]
    X = np.exp(X / far) if family == "log_normal" else X
    mixture = ExponentialFamilyMixture(family, 2, random_state=0).fit(X)
    variances = mixture.variances_ if family == "gaussian" else mixture.log_variances_ * far**2
    np.testing.assert_allclose(
        np.sort(variances.ravel()), np.sort([near.var(), other.var()]), rtol=1e-9 if family == "gaussian" else 1e-7
    )
    log_densities = stats.norm.logpdf(near, near.mean(), near.std()), stats.norm.logpdf(other, other.mean(), other.std())
    expected = np.concatenate([log_densities[0] + np.log(2 / 3), log_densities[1] + np.log(1 / 3)])
    if family == "log_normal":
        expected += np.log(far) - np.log(X[:, 0])
    for value in (mixture.score(X), mixture.lower_bound_, mixture.entropy_sum().value, mixture.entropy_sum_score(X)):
        assert value == pytest.approx(expected.mean(), abs=1e-8)
    assert (np.diff(mixture.lower_bounds_) > -1e-9).all()


@pytest.mark.parametrize(("value", "n_rows"), [(1e7, 1), (-9999999.0, 30)])
@pytest.mark.parametrize("kind", ["diag", "spherical", "tied_spherical", "full"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_outlier_or_a_code_for_missing_spoils_no_other_component(value: float, n_rows: int, kind: str) -> None:
    X = np.random.RandomState(0).normal(size=(300, 1))
    rest = X[n_rows:].var()
    X[:n_rows] = value
    variances = GaussianMixture(2, covariance_type=kind, random_state=0).fit(X).covariances_
    assert np.max(variances) == pytest.approx(rest if "tied" not in kind else rest * (1 - n_rows / 300), rel=1e-6)


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("prior_counts", [0.0, 1e-9])
@pytest.mark.parametrize("kind", ["diag", "spherical", "tied_diag", "tied_spherical"])
def test_what_lies_far_apart_is_fitted_as_what_lies_near(kind: str, prior_counts: float, gaps: bool) -> None:
    """Where the posteriors are certain, moving a cluster changes means alone."""
    rng = np.random.RandomState(0)
    X = np.concatenate([rng.normal(size=(60, 2)) * [1.0, 3.0], rng.normal(size=(40, 2))])
    if gaps:
        X[rng.uniform(size=X.shape) < 0.1] = np.nan
        X[np.isnan(X).all(axis=1)] = 0.0
    weight, cluster = rng.uniform(0.5, 2.0, size=100), np.arange(100) >= 60
    near, far = (X + np.outer(cluster, [shift, 0.0]) for shift in (100.0, 1e7))
    options: dict[str, Any] = {"covariance_type": kind, "prior_counts": prior_counts, "random_state": 0, "tol": 1e-13}
    moved = GaussianMixture(2, **options).fit(far, sample_weight=weight)
    start = {"weights_init": moved.weights_, "covariances_init": moved.covariances_}
    means = moved.means_ - np.where(moved.means_[:, :1] > 1e6, [1e7 - 100.0, 0.0], 0.0)
    fitted = GaussianMixture(2, means_init=means, **start, **options).fit(near, sample_weight=weight)
    terms = moved.entropy_sum(far, sample_weight=weight)
    assert terms.value == pytest.approx(moved.lower_bound_, abs=1e-9)
    assert moved.score(far, sample_weight=weight) == pytest.approx(moved.lower_bound_, abs=1e-9)
    if prior_counts:  # at a pooled distribution that is another one
        return
    np.testing.assert_allclose(moved.covariances_, fitted.covariances_, rtol=1e-7)
    assert moved.lower_bound_ == pytest.approx(fitted.lower_bound_, abs=1e-8)
    errors, expected = (model.standard_errors(Z, weight) for model, Z in ((moved, far), (fitted, near)))
    for name in ("weights", "means", "covariances"):
        np.testing.assert_allclose(errors[name], expected[name], rtol=1e-4)
    if gaps:
        np.testing.assert_allclose(moved.impute(far)[:, 1], fitted.impute(near)[:, 1], atol=1e-6)


def test_the_largest_counts_are_those_that_doubles_tell_apart() -> None:
    with pytest.raises(ValueError, match="The values are too large in column 0"):
        PoissonMixture(1).fit([[9.01e15], [9.02e15]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of lost digits
        assert PoissonMixture(1).fit([[8.99e15], [9.0e15]]).rates_[0, 0] == pytest.approx(8.995e15)
    with pytest.raises(ValueError, match="The sum of the values overflows in column 0"):
        GammaMixture(1).fit(np.linspace(1e307, 1e308, 10)[:, np.newaxis])


def test_the_smallest_values_are_those_that_units_of_the_mean_keep() -> None:
    tiny = np.finfo(float).tiny
    for values in ([0.9e10 * tiny, 3e10], [0.99 * tiny, 1e-3]):
        with pytest.raises(ValueError, match="The values are too small in column 0"):
            GammaMixture(1).fit(np.array(values)[:, np.newaxis])
    for values in ([1.7e10 * tiny, 3e10], [1.005 * tiny, 1e-3]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            GammaMixture(1, max_iter=1).fit(np.array(values)[:, np.newaxis])


def test_sums_may_be_off_by_a_millionth_and_symmetric_matrices_too() -> None:
    weights = check_mixing_weights([0.4, 0.6000009], "weights", 2)
    np.testing.assert_allclose(weights, np.array([0.4, 0.6000009]) / 1.0000009, rtol=1e-14)
    with pytest.raises(ValueError, match="weights must be non-negative and sum to one"):
        check_mixing_weights([0.4, 0.605], "weights", 2)
    check_sums(Categorical(2), (np.array([[[0.4, 0.6000009]]]),))
    with pytest.raises(ValueError, match="probabilities must sum to one over the last axis; got sums from"):
        check_sums(Categorical(2), (np.array([[[0.4, 0.605]]]),))
    check_covariances(np.array([[[1.0, 0.1], [0.1 + 0.9e-7, 1e-2 + 1e-6]]]), "covariances", [""])
    for wrong in ([[1.0, 0.1], [0.105, 1.0]], [[1.0, 0.1], [0.1, 1e-2 - 1e-6]]):
        with pytest.raises(ValueError, match="covariances must be symmetric and positive definite"):
            check_covariances(np.array([wrong]), "covariances", [""])


def test_no_weights_are_weights_of_another_length() -> None:
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[0, 4\]"):
        PoissonMixture(2).fit(np.arange(4.0)[:, np.newaxis], sample_weight=[])
