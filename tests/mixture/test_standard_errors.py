"""Standard errors of mixtures: other programs' values, closed forms, curvature of the likelihood by its definition."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.special import expit, logit, logsumexp
from sklearn.exceptions import ConvergenceWarning

from skentropy import ColumnMixture, ExponentialFamilyMixture, GaussianMixture, PoissonMixture, RowBlocks
from skentropy._standard_errors import Estimate
from skentropy.mixture import NormalInverseWishart
from skentropy.mixture._changes import differences
from skentropy.mixture._covariance_types import COVARIANCE_TYPES
from skentropy.mixture._gaussian import CorrelatedGaussian
from skentropy.mixture._gaussian_parameters import GaussianParameters
from skentropy.mixture._observations import Units
from skentropy.mixture._standard_errors import METHODS, Directions, _root, _undirected, mixture_estimates
from tests.common.cases import CASES, Case, log_joint
from tests.common.estimators import MEASURES

from .test_gaussian import DATA, REFERENCE
from .test_summary import binary

DEATHS = np.arange(10)[:, np.newaxis]
DAYS = np.array([162, 267, 271, 185, 111, 61, 27, 8, 3, 1])


@pytest.fixture(scope="module")
def times() -> PoissonMixture:
    return PoissonMixture(2, random_state=0, tol=1e-14).fit(DEATHS, sample_weight=DAYS)


# flexmix's refit, which differentiates numerically, has 0.27866, 0.09404 and 0.84510 for the first.
@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("information", [0.278664976128, 0.094044402115, 0.8451016845639]),
        ("scores", [0.294258217115, 0.099667454399, 0.895588580174]),
        ("sandwich", [0.264053921513, 0.088758349095, 0.797653681181]),
    ],
)
def test_deaths_in_the_times(times: PoissonMixture, method: Any, expected: list[float]) -> None:
    """Of the log rates, and of log(pi_2 / pi_1)."""
    errors = times.standard_errors(DEATHS, sample_weight=DAYS, method=method)
    order = times.rates_[:, 0].argsort()
    of_log = (errors["rates"] / times.rates_)[order, 0]
    np.testing.assert_allclose([*of_log, errors["weights"][0] / times.weights_.prod()], expected, rtol=1e-6)
    rates = errors.covariance[2:, 2:] / np.outer(times.rates_, times.rates_)
    if method == "information":
        np.testing.assert_allclose(rates[0, 1], 0.022733740158, rtol=1e-6)


@pytest.mark.parametrize("method", ["information", "scores"])
def test_faithful(method: Any) -> None:
    reference = REFERENCE["standard_errors"][0]
    X = (DATA["faithful"] - DATA["faithful"].mean(axis=0)) / DATA["faithful"].std(axis=0)
    model = GaussianMixture(2, random_state=0, tol=1e-14).fit(X)
    errors = model.standard_errors(X, method=method)
    order = model.means_[:, 0].argsort()
    of_covariances = errors["covariances"][order][:, [0, 0, 1], [0, 1, 1]]
    of_logit = errors["weights"][0] / model.weights_.prod()
    found = [*errors["means"][order].ravel(), *of_covariances.ravel(), of_logit]
    np.testing.assert_allclose(found, reference[method], rtol=1e-6)
    np.testing.assert_array_equal(errors["covariances"], errors["covariances"].transpose(0, 2, 1))


def test_what_flexmix_refits() -> None:
    """flexmix 2.3.18, whose refit differentiates numerically; of probabilities, and of means and log standard deviations."""
    X = binary()
    classes = ExponentialFamilyMixture("bernoulli", 2, random_state=0, tol=1e-13).fit(X)
    errors = classes.standard_errors(X)
    order = classes.weights_.argsort()[::-1]
    expected = [
        [0.03239012674, 0.03597886260, 0.03432423002, 0.04121362124, 0.03293787249, 0.03501785930],
        [0.03311559828, 0.04157082763, 0.03622183714, 0.03550982195, 0.03332265323, 0.03451707393],
    ]
    np.testing.assert_allclose(errors["probabilities"][order], expected, rtol=1e-4)
    assert errors["weights"][0] / classes.weights_.prod() == pytest.approx(0.1701395077030, rel=1e-4)

    eruptions = DATA["faithful"][:, :1]
    model = GaussianMixture(2, random_state=0, tol=1e-13).fit(eruptions)
    errors = model.standard_errors(eruptions)
    order = model.means_[:, 0].argsort()[::-1]
    np.testing.assert_allclose(errors["means"][order, 0], [0.03410979424, 0.02607419676], rtol=1e-5)
    of_log = errors["covariances"][:, 0, 0] / model.covariances_[:, 0, 0] / 2.0
    np.testing.assert_allclose(of_log[order], [0.06203456116, 0.09800180782], rtol=1e-5)
    assert errors["weights"][0] / model.weights_.prod() == pytest.approx(0.12857522557, rel=1e-5)


def free_parameters(case: Case, mixture: Any) -> tuple[Any, Any]:
    """The attributes as a vector of free ones, and the likelihood of rows at such vectors by its definition."""
    names = case.family.attribute_names
    last = case.family.name == "categorical"
    values = [getattr(mixture, name + "_") for name in names]
    start = np.concatenate([mixture.weights_[:1], *((v[..., :-1] if last else v).ravel() for v in values)])

    def unpack(vector: Any) -> Any:
        own = ExponentialFamilyMixture(case.family, 2)
        own.weights_ = np.array([vector[0], 1.0 - vector[0]])
        rest = vector[1:]
        for name, value in zip(names, values, strict=True):
            shape = (*value.shape[:-1], value.shape[-1] - 1) if last else value.shape
            size = int(np.prod(shape))
            part, rest = rest[:size].reshape(shape), rest[size:]
            setattr(own, name + "_", np.concatenate([part, 1.0 - part.sum(-1, keepdims=True)], -1) if last else part)
        return own

    return start, unpack


def hessian(function: Any, x: Any, steps: Any) -> Any:
    """Fourth-order central differences."""
    offsets, coefficients = (-2, -1, 1, 2), np.array([1, -8, 8, -1]) / 12
    units = np.diag(steps)
    second = np.empty((len(x), len(x)))
    middle = function(x)
    for i in range(len(x)):
        at = [function(x + k * units[i]) for k in offsets]
        second[i, i] = (-at[0] + 16 * at[1] - 30 * middle + 16 * at[2] - at[3]) / 12
        for j in range(i):
            cross = [[function(x + k * units[i] + m * units[j]) for m in offsets] for k in offsets]
            second[i, j] = second[j, i] = coefficients @ np.array(cross) @ coefficients
    return second / np.outer(steps, steps)


@pytest.mark.parametrize("name", list(CASES))
def test_errors_are_those_of_the_curvature_of_the_likelihood(name: str) -> None:
    """With weights, gaps and exposures, in the fitted attributes themselves."""
    case, rng = CASES[name], np.random.RandomState(1)
    n = 400 if case.family.discrete else 150
    exposure = rng.randint(1, 4, size=n).astype(float) if case.family.additive else None
    X = case.draw(n, 3, rng, exposure)
    X[: n // 3, 1][rng.uniform(size=n // 3) < 0.3] = np.nan
    weight = rng.exponential(size=n)
    mixture = ExponentialFamilyMixture(case.family, 2, tol=1e-15, random_state=0)
    mixture.fit(X, sample_weight=weight, exposure=exposure)
    errors = mixture.standard_errors(X, sample_weight=weight, exposure=exposure)
    start, unpack = free_parameters(case, mixture)

    def objective(vector: Any) -> float:
        return float(weight @ logsumexp(log_joint(case, X, unpack(vector), exposure), axis=1))

    # Two weights sum to one, and so do the probabilities of a column.
    found = [errors["weights"][0]]
    for attribute in case.family.attribute_names:
        found += list((errors[attribute][..., :-1] if name == "categorical" else errors[attribute]).ravel())
    information = -hessian(objective, start, 0.01 * np.array(found))
    np.testing.assert_allclose(found, np.sqrt(np.diag(np.linalg.inv(information))), rtol=1e-4)


@pytest.mark.parametrize("kind", [kind for kind in COVARIANCE_TYPES if kind not in ("ppca", "fa")])
def test_clusters_that_are_far_apart(kind: str) -> None:
    """Which are samples of known labels, with closed forms."""
    rng, d = np.random.default_rng(0), 3
    root = np.array([[1.0, 0.0, 0.0], [0.5, 2.0, 0.0], [-0.3, 0.4, 0.7]])
    label = np.repeat([0, 1], [1200, 2800])
    X = rng.normal(size=(4000, d)) @ root.T + 1e3 * label[:, np.newaxis]
    model = GaussianMixture(2, covariance_type=kind, random_state=0).fit(X)
    order = model.means_[:, 0].argsort()
    errors = model.standard_errors(X)
    n = np.array([1200, 2800])
    shared = kind.startswith("tied")
    covariances = np.broadcast_to(
        {
            "full": lambda c: c,
            "tied": lambda c: c,
            "diag": lambda c: c[:, :, np.newaxis] * np.eye(d),
            "tied_diag": lambda c: c[..., np.newaxis] * np.eye(d),
            "spherical": lambda c: c[:, np.newaxis, np.newaxis] * np.eye(d),
            "tied_spherical": lambda c: c * np.eye(d),
        }[kind](model.covariances_),
        (2, d, d),
    )[order]
    variances = np.diagonal(covariances, axis1=1, axis2=2)
    np.testing.assert_allclose(errors["means"][order], np.sqrt(variances / n[:, np.newaxis]), rtol=1e-5)
    np.testing.assert_allclose(errors["weights"], np.sqrt(0.3 * 0.7 / 4000), rtol=1e-5)
    if "spherical" in kind:
        expected = variances[:, 0] * np.sqrt(2 / (d * n))
        expected = variances[0, 0] * np.sqrt(2 / (d * 4000)) if shared else expected
    elif "diag" in kind:
        expected = variances[0] * np.sqrt(2 / 4000) if shared else variances * np.sqrt(2 / n)[:, np.newaxis]
    else:
        squares = variances[:, :, np.newaxis] * variances[:, np.newaxis] + covariances**2
        expected = np.sqrt(squares[0] / 4000) if shared else np.sqrt(squares / n[:, np.newaxis, np.newaxis])
    found = errors["covariances"] if shared else errors["covariances"][order]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("kind", [kind for kind in COVARIANCE_TYPES if kind != "fa"])  # not identified
def test_methods_agree_where_the_model_is_true(kind: str) -> None:
    """In large samples, by the information equality."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 2)) + 2.0 * rng.choice(2, p=[0.3, 0.7], size=(20_000, 1))
    model = GaussianMixture(2, covariance_type=kind, random_state=0).fit(X)
    information, scores, sandwich = (np.diag(model.standard_errors(X, method=m).covariance) for m in METHODS)
    np.testing.assert_allclose(scores, information, rtol=0.15)
    np.testing.assert_allclose(sandwich, information, rtol=0.15)


@pytest.mark.parametrize("tied", [False, True])
def test_changes_of_gaussians_are_derivatives(tied: bool) -> None:
    rng = np.random.default_rng(0)
    components = CorrelatedGaussian(tied=tied, units=Units(rng.normal(size=3), np.array([1.0, 0.1, 7.0])))
    roots = rng.normal(size=(1 if tied else 2, 3, 3))
    parameters = GaussianParameters.of(rng.normal(size=(2, 3)), roots @ roots.transpose(0, 2, 1), np.zeros((len(roots), 3)))
    directions = rng.normal(size=(4, 2, 9))
    expected = differences(components, parameters, directions)
    for found, wanted in zip(components.standard_changes(parameters, directions), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-9)


def test_weights_of_counts_and_of_surveys() -> None:
    """Of one component: a weighted mean."""
    rng = np.random.default_rng(0)
    x, w = rng.poisson(3.0, size=(200, 1)).astype(float), rng.exponential(size=200)
    model = PoissonMixture(1).fit(x, sample_weight=w)
    mean, residuals = w @ x[:, 0] / w.sum(), x[:, 0] - w @ x[:, 0] / w.sum()
    expected = {
        ("information", "counts"): mean / w.sum(),
        ("scores", "counts"): mean**2 / (w @ residuals**2),
        ("sandwich", "counts"): w @ residuals**2 / w.sum() ** 2,
        ("sandwich", "survey"): w**2 @ residuals**2 / w.sum() ** 2,
    }
    for (method, weights), variance in expected.items():
        errors = model.standard_errors(x, w, method=method, weights=weights)
        assert errors["rates"].item() == pytest.approx(np.sqrt(variance), rel=1e-9)
        assert errors["weights"].item() == 0.0
        assert errors.covariance.shape == (1, 1)
    with pytest.raises(ValueError, match="method='sandwich'"):
        model.standard_errors(x, w, weights="survey")
    with pytest.raises(ValueError, match="method must be one of information, scores, sandwich"):
        model.standard_errors(x, w, method="hessian")
    with pytest.raises(ValueError, match="weights must be 'counts' or 'survey'"):
        model.standard_errors(x, w, weights="frequency")


def test_any_source(times: PoissonMixture) -> None:
    rows = DEATHS.repeat(DAYS, axis=0).astype(float)
    expected = times.standard_errors(DEATHS, sample_weight=DAYS, method="sandwich")
    blocks = RowBlocks(lambda: iter(np.array_split(rows, 3)))
    for X in (rows, rows.astype(np.float32), sparse.csr_matrix(rows), pd.DataFrame(rows), blocks):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # names of columns that the fit had not
            errors = times.standard_errors(X, method="sandwich")
        np.testing.assert_allclose(errors.covariance, expected.covariance, rtol=1e-9)


def test_units_and_threads() -> None:
    X, scale = DATA["iris"].copy(), np.array([1e-6, 1.0, 30.0, 1e4])
    X[::7, 1] = np.nan
    model = GaussianMixture(2, random_state=0).fit(X)
    scaled = GaussianMixture(2, random_state=0, n_jobs=2).fit(X * scale)
    errors, others = model.standard_errors(X), scaled.standard_errors(X * scale)
    np.testing.assert_allclose(others["means"] / scale, errors["means"], rtol=1e-5)
    np.testing.assert_allclose(others["covariances"] / np.outer(scale, scale), errors["covariances"], rtol=1e-5)
    np.testing.assert_array_equal(scaled.set_params(n_jobs=None).standard_errors(X * scale).covariance, others.covariance)


def test_a_prior_adds_its_information() -> None:
    x = np.repeat([[0.0], [1.0]], [30, 70], axis=0)
    model = ExponentialFamilyMixture("bernoulli", 1, prior_counts=20.0).fit(x)
    errors = model.standard_errors(x)
    assert errors["probabilities"].item() == pytest.approx(np.sqrt(0.7 * 0.3 / 120), rel=1e-9)


def test_intervals_stay_inside(times: PoissonMixture) -> None:
    errors = times.standard_errors(DEATHS, sample_weight=DAYS)
    intervals = errors.confidence_intervals(0.9)
    z = 1.6448536269514722
    relative = errors["rates"] / times.rates_
    np.testing.assert_allclose(intervals["rates"][..., 0], times.rates_ * np.exp(-z * relative), rtol=1e-12)
    np.testing.assert_allclose(intervals["rates"][..., 1], times.rates_ * np.exp(z * relative), rtol=1e-12)
    of_logit = errors["weights"] / times.weights_ / (1.0 - times.weights_)
    expected = expit(logit(times.weights_)[:, np.newaxis] + np.outer(of_logit, [-z, z]))
    np.testing.assert_allclose(intervals["weights"], expected, rtol=1e-12)
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        errors.confidence_intervals(95)


def test_tables_and_frames() -> None:
    X = pd.DataFrame(DATA["faithful"], columns=["eruptions", "waiting"])
    errors = GaussianMixture(2, random_state=0).fit(X).standard_errors(X)
    lines = str(errors).splitlines()
    assert lines[0] == ("GaussianMixture: standard errors by observed information, 272 rows, in the data's units")
    assert lines[1].split() == ["parameter", "estimate", "standard", "error", "lower", "95%", "upper", "95%"]
    assert max(map(len, lines)) <= 100
    frame = errors.to_frame(0.9)
    assert list(frame.columns) == ["estimate", "standard error", "lower 90%", "upper 90%"]
    assert len(frame) == len(errors.covariance) == 12
    name = "covariances[1, eruptions, waiting]"
    assert frame.loc[name, "standard error"] == errors["covariances"][1, 1, 0]
    assert frame.loc[name, "estimate"] == errors.estimates["covariances"][1, 0, 1]
    np.testing.assert_array_equal(frame["standard error"], np.sqrt(np.diag(errors.covariance)))
    assert "<caption>GaussianMixture" in errors._repr_html_()
    with pytest.raises(KeyError, match="those of weights, means, covariances"):
        errors["rates"]


@pytest.mark.parametrize("kind", ["full", "tied", "ppca"])
def test_intervals_hold_the_estimates_and_rows_have_their_order(kind: str) -> None:
    X = MEASURES
    errors = GaussianMixture(2, covariance_type=kind, random_state=0).fit(X).standard_errors(X)
    for estimate in errors.parameters:
        ends, known = errors.confidence_intervals(0.5)[estimate.name], errors[estimate.name] > 0.0
        assert (ends[..., 0] < estimate.values)[known].all()
        assert (estimate.values < ends[..., 1])[known].all()
        places = [place for place in dict.fromkeys(estimate.places.ravel()) if place >= 0]
        assert places == sorted(places)


def test_what_is_at_a_limit_has_none() -> None:
    X = np.array([[0, 3], [0, 5], [0, 4], [90, 4], [80, 1], [110, 3], [0, 2], [70, 2]], dtype=float)
    with pytest.warns(ConvergenceWarning, match="probability zero"):
        model = PoissonMixture(2, random_state=0).fit(X)
    zero = int(np.flatnonzero(model.rates_[:, 0] == 0.0)[0])
    with pytest.warns(UserWarning, match=rf"no standard error of rates\[{zero}, x0\], at the limit"):
        errors = model.standard_errors(X)
    assert list(np.argwhere(np.isnan(errors["rates"]))[0]) == [zero, 0]
    assert np.isnan(errors["rates"]).sum() == 1
    own = X[X[:, 0] == 0, 1]
    assert errors["rates"][zero, 1] == pytest.approx(np.sqrt(own.mean() / len(own)), rel=1e-4)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_is_held_at_a_bound_has_none() -> None:
    X = np.r_[np.random.default_rng(0).normal(size=(40, 2)), np.full((20, 2), [9.0, 9.0])]
    for model in (GaussianMixture(2, random_state=0), ExponentialFamilyMixture("gaussian", 2, random_state=0)):
        model.fit(X)
        narrow = int(model.means_[:, 0].argmax())
        with pytest.warns(UserWarning, match=rf"means\[{narrow}, x0\].*held at a bound"):
            errors = model.standard_errors(X)
        assert np.isnan(errors["means"][narrow]).all()
        assert np.isfinite(errors["means"][1 - narrow]).all()
        assert np.isfinite(errors["weights"]).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_is_not_identified_has_none() -> None:
    """Two classes of two yes/no questions are five parameters of three numbers."""
    counts = np.array([40, 25, 15, 20])
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float).repeat(counts, axis=0)
    model = ExponentialFamilyMixture("bernoulli", 2, random_state=0, tol=1e-13).fit(X)
    with pytest.warns(UserWarning, match="not identified"):
        errors = model.standard_errors(X)
    assert np.isnan(errors["weights"]).all()


def test_an_empty_component_has_none() -> None:
    model = PoissonMixture.from_parameters([0.5, 0.5, 0.0], [[1.0], [9.0], [4.0]])
    X, _ = PoissonMixture.from_parameters([0.5, 0.5], [[1.0], [9.0]]).sample(500, random_state=0)
    model.set_params(weights_init=model.weights_, rates_init=model.rates_)
    with pytest.warns(ConvergenceWarning, match="empty"):
        model.fit(X)
    with pytest.warns(UserWarning, match=r"weights\[2\], rates\[2, x0\], of an empty component"):
        errors = model.standard_errors(X)
    assert np.isnan(errors["weights"]).tolist() == [False, False, True]
    assert np.isnan(errors["rates"][:, 0]).tolist() == [False, False, True]


def test_other_data_are_told(times: PoissonMixture) -> None:
    with pytest.warns(UserWarning, match="not at a maximum"):
        times.standard_errors(DEATHS)
    with pytest.raises(ValueError, match="PoissonMixture takes"):
        times.standard_errors(-DEATHS)


@pytest.mark.parametrize(("share", "told"), [(0.997, False), (1.003, True)])
@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_a_hundredth_of_a_nat_below_the_maximum_is_too_far(side: float, share: float, told: bool) -> None:
    X = np.arange(9.0)[:, np.newaxis]
    # n (mean - r)^2 / (2 r) nats, by the information n r of log r
    c = 2.0 * 0.01 * share / len(X)
    rate = 4.0 + 0.5 * c + side * np.sqrt(4.0 * c + 0.25 * c**2)
    assert len(X) * (4.0 - rate) ** 2 / (2.0 * rate) == pytest.approx(0.01 * share)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        PoissonMixture.from_parameters([1.0], [[rate]]).standard_errors(X)
    assert any("not at a maximum" in str(warning.message) for warning in caught) == told


@pytest.mark.parametrize("kind", ["angle", "unit vector"])
@pytest.mark.parametrize(("error", "concentration", "anywhere"), [(0.998, 1.002, 0), (1.002, 1.002, 1), (0.998, 0.998, 1)])
def test_directions_known_to_no_more_than_a_radian(kind: str, error: float, concentration: float, anywhere: bool) -> None:
    """By their error, and by the concentration k at which it is a radian, n k^2 = D with n rows in D dimensions."""
    counts, angles = np.array([50.0, 7.0]), kind == "angle"
    D = 2 if angles else 3
    least = np.sqrt(D / counts)
    values = concentration * (np.tile(least[:, np.newaxis], (1, 3)) if angles else least)
    estimates = [
        Estimate("means", np.zeros((2, 3)), [], np.arange(6).reshape(2, 3), direction=kind, concentration="concentrations"),
        Estimate("concentrations", values, [], 6 + np.arange(values.size).reshape(values.shape)),
    ]
    # An error of a radian in each of the D - 1 directions across a unit vector.
    errors = np.full(6 + values.size, error * (1.0 if angles else np.sqrt((D - 1) / 3.0)))
    np.testing.assert_array_equal(_undirected(estimates, errors, counts), anywhere)


def gradient(X: Any, weight: Any, vector: Any, kind: str) -> Any:
    """Of the log-likelihood of two Gaussians in two dimensions, by the weight, means and entries of the covariances."""
    means, packed = vector[1:5].reshape(2, 2), vector[5:].reshape(-1, 3)
    matrices = packed[:, [0, 1, 1, 2]].reshape(-1, 2, 2)
    log_weights = np.log([vector[0], 1.0 - vector[0]])
    joint = np.empty((len(X), 2))
    by_mean, by_entry = np.zeros((2, len(X), 2)), np.zeros((2, len(X), 3))
    for c in range(2):
        S = matrices[c % len(matrices)]
        for n, x in enumerate(X):
            o = np.flatnonzero(~np.isnan(x))
            P, step = np.linalg.inv(S[np.ix_(o, o)]), x[o] - means[c, o]
            pull = P @ step
            joint[n, c] = log_weights[c] - 0.5 * (step @ pull - np.log(np.linalg.det(P)) + len(o) * np.log(2 * np.pi))
            by_mean[c, n, o] = pull
            by_matrix = np.zeros((2, 2))
            by_matrix[np.ix_(o, o)] = 0.5 * (np.outer(pull, pull) - P)
            by_entry[c, n] = by_matrix[0, 0], 2.0 * by_matrix[0, 1], by_matrix[1, 1]
    q = np.exp(joint - logsumexp(joint, axis=1, keepdims=True)) * weight[:, np.newaxis]
    of_weight = q[:, 0].sum() / vector[0] - q[:, 1].sum() / (1.0 - vector[0])
    entries = np.einsum("nc,cne->ce", q, by_entry)
    entries = entries.sum(axis=0) if kind == "tied" else entries.ravel()
    return np.concatenate([[of_weight], np.einsum("nc,cnd->cd", q, by_mean).ravel(), entries])


@pytest.mark.parametrize("kind", ["full", "tied"])
def test_gaussians_with_gaps_and_weights(kind: str) -> None:
    """Their covariance is the inverse of differences of the score, written out here."""
    rng = np.random.default_rng(3)
    X = DATA["faithful"][:120] / [1.0, 10.0]
    X[20:50, 0] = np.nan
    X[60:80, 1] = np.nan
    weight = rng.exponential(size=120)
    model = GaussianMixture(2, covariance_type=kind, tol=1e-15, random_state=0).fit(X, sample_weight=weight)
    errors = model.standard_errors(X, sample_weight=weight)
    vector = np.concatenate(
        [model.weights_[:1], model.means_.ravel(), model.covariances_.reshape(-1, 4)[:, [0, 1, 3]].ravel()]
    )
    columns = []
    for i in range(len(vector)):
        h = 1e-3 * errors.covariance[i + (i > 0), i + (i > 0)] ** 0.5 * np.eye(len(vector))[i]
        at = [gradient(X, weight, vector + k * h, kind) for k in (-2, -1, 1, 2)]
        columns.append((at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * h[i]))
    # The two weights are one parameter.
    found = np.delete(np.delete(errors.covariance, 1, axis=0), 1, axis=1)
    expected = np.linalg.inv(-np.array(columns))
    scale = np.sqrt(np.diag(expected))
    np.testing.assert_allclose(found / np.outer(scale, scale), expected / np.outer(scale, scale), atol=1e-8)


def test_blocks_of_columns() -> None:
    """Of one kind they are one mixture; names of categories are told, and those that a column lacks are no estimates."""
    X = binary()
    whole = ExponentialFamilyMixture("bernoulli", 2, random_state=0, tol=1e-13).fit(X)
    start = {"one": {"probabilities": whole.probabilities_[:, :2]}, "two": {"probabilities": whole.probabilities_[:, 2:]}}
    blocks = [("one", "bernoulli", ["a", "b"]), ("two", "bernoulli", ["c", "d", "e", "f"])]
    model = ColumnMixture(blocks, weights_init=whole.weights_, parameters_init=start, tol=1e-13).fit(X)
    errors = model.standard_errors(X)
    np.testing.assert_allclose(errors.covariance[:2, :2], whole.standard_errors(X).covariance[:2, :2], rtol=1e-5)
    found = np.concatenate([errors["one: probabilities"], errors["two: probabilities"]], axis=1)
    np.testing.assert_allclose(found, whole.standard_errors(X)["probabilities"], rtol=1e-5)

    sizes = np.array(["small", "middle", "large"])[(X["a"] + X["c"]).astype(int)]
    table = pd.DataFrame({"size": sizes, "answer": np.where(X["b"] > 0, "yes", "no"), "more": X["d"], "again": X["f"]})
    model = ColumnMixture(random_state=0, prior_counts=1.0).fit(table)
    errors = model.standard_errors(table)
    own = [name for name in errors.names if name.startswith("categorical: probabilities[0")]
    assert own[3:] == ["categorical: probabilities[0, answer, no]", "categorical: probabilities[0, answer, yes]"]
    assert own[0] == "categorical: probabilities[0, size, large]"
    assert errors["categorical: probabilities"][0, 1, 2] == 0.0
    assert np.isfinite(errors.covariance).all()
    cells = model.bivariate_residuals(table).to_frame()["most"]
    assert cells["size, answer"].split(",")[0] in ("small", "middle", "large")


@pytest.mark.parametrize("kind", ["full", "tied", "fa"])
def test_estimates_lie_within_their_limits(kind: str) -> None:
    mixture = GaussianMixture(2, covariance_type=kind, random_state=0, tol=1e-3).fit(DATA["faithful"])
    for estimate in mixture_estimates(mixture, *mixture._fitted_model(None)):
        values = np.asarray(estimate.values)
        assert ((np.asarray(estimate.low) < values) & (values < np.asarray(estimate.high))).all()


def test_directions_of_the_sandwich_are_the_inverse_information_times_a_root() -> None:
    """Of the products of scores."""
    metric: Any = SimpleNamespace(matrix=lambda: np.eye(3))
    A, B = np.random.default_rng(0).normal(size=(2, 3, 9))
    information, products = A @ A.T, B @ B.T
    sums: Any = SimpleNamespace(missing=np.eye(3) - information, products=products)
    errors = Directions.of(metric, sums, "sandwich").errors
    np.testing.assert_allclose(information @ errors, _root(products), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(_root(products) @ _root(products).T, products, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("prior", [{"prior_counts": 20.0}, {"prior": NormalInverseWishart(mean_precision=5.0)}])
@pytest.mark.parametrize("kind", ["full", "ppca", "fa"])
def test_a_prior_bends_the_posterior_density_of_factors(kind: str, prior: Any) -> None:
    """Errors are those of its numerical curvature, also where they follow from second derivatives of the loadings."""
    rng, n, d = np.random.default_rng(0), 300, 4
    X = rng.normal(size=(n, 1)) * [1.0, 1.5, -0.9, 1.2] + rng.normal(size=(n, d)) * [0.7, 0.9, 0.8, 0.8]
    X[:100] += 4.0
    model = GaussianMixture(2, covariance_type=kind, tol=1e-15, random_state=0, **prior).fit(X)
    errors = model.standard_errors(X)
    rows = model.prior
    if rows is None:
        a, divisor, centre, scatter = 20.0, 20.0, X.mean(axis=0), 20.0 * np.cov(X.T, bias=True)
    else:
        a, divisor, centre, scatter = 5.0, d + 2 + d + 2, X.mean(axis=0), np.cov(X.T) / 2 ** (2 / d)
    upper = np.triu_indices(d)
    names = ["covariances"] if kind == "full" else ["loadings", "noise_variances"]
    values = [model.covariances_[:, *upper]] if kind == "full" else [model.loadings_, model.noise_variances_]
    start = np.concatenate([model.weights_[:1], model.means_.ravel(), *(value.ravel() for value in values)])

    def covariances(vector: Any) -> Any:
        if kind == "full":
            S = np.empty((2, d, d))
            S[:, *upper] = S[:, *upper[::-1]] = vector.reshape(2, -1)
            return S
        loadings, noise = vector[: 2 * d].reshape(2, d, 1), vector[2 * d :].reshape(2, -1)
        return loadings @ loadings.transpose(0, 2, 1) + noise[:, :, np.newaxis] * np.eye(d)

    def objective(vector: Any) -> float:
        weights, means = np.array([vector[0], 1.0 - vector[0]]), vector[1 : 1 + 2 * d].reshape(2, d)
        S = covariances(vector[1 + 2 * d :])
        steps = X - means[:, np.newaxis]
        distances = np.einsum("kni,kij,knj->nk", steps, np.linalg.inv(S), steps)
        log_density = -0.5 * (d * np.log(2.0 * np.pi) + np.linalg.slogdet(S)[1] + distances)
        total = logsumexp(log_density + np.log(weights), axis=1).sum()
        for m, s in zip(means, S, strict=True):
            step = scatter + a * np.outer(m - centre, m - centre)
            total -= 0.5 * (divisor * np.linalg.slogdet(s)[1] + np.trace(np.linalg.solve(s, step)))
        return float(total)

    found = [errors["weights"][:1], errors["means"].ravel()]
    found += [(errors[name][:, *upper] if kind == "full" else errors[name]).ravel() for name in names]
    found = np.concatenate(found)
    information = -hessian(objective, start, 0.01 * found)
    np.testing.assert_allclose(found, np.sqrt(np.diag(np.linalg.inv(information))), rtol=1e-4)
