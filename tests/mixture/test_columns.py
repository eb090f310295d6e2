"""Tables with columns of several kinds: maxima of another program, the identity, containers, names, what is refused."""

from __future__ import annotations

import json
import warnings
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm, poisson
from sklearn.base import clone
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from skentropy import (
    ColumnMixture,
    EntropySumSearch,
    ExponentialFamilyMixture,
    GammaMixture,
    GaussianMixture,
    PoissonMixture,
    RowBlocks,
    entropy_sum,
    make_column_mixture,
    rank_models,
)
from skentropy._data import Rows, survey_columns
from skentropy.families import Bernoulli, Categorical, Gamma, Gaussian, Poisson
from skentropy.mixture._column_attributes import ColumnBlock
from skentropy.mixture._columns import ColumnBlocks
from skentropy.mixture._independent import Independent
from skentropy.mixture._information import Metric, missing_information, score
from skentropy.mixture._model import MixtureModel, MixtureParameters
from tests.common.cases import CASES

REFERENCE = json.loads((Path(__file__).parent / "mixed.json").read_text())


def public_table(name: str) -> tuple[Any, list[tuple[str, Any, Any]]]:
    datasets = pytest.importorskip("statsmodels.datasets", reason="the table comes with statsmodels")
    if name.startswith("anes96"):
        table = datasets.anes96.load_pandas().data
        X = np.column_stack([table[key] for key in ("age", "income", "vote", "PID", "educ", "TVnews")]).astype(float)
        X[:, 4] -= 1
        blocks: list[tuple[str, Any, Any]] = [
            ("measures", "gaussian", [0, 1]),
            ("vote", "bernoulli", [2]),
            ("party", Categorical(7), [3]),
            ("education", Categorical(7), [4]),
        ]
        return (X, [*blocks, ("news", "poisson", [5])]) if name == "anes96" else (X[:, :5], blocks)
    table = datasets.randhie.load_pandas().data.iloc[::20]
    X = table.loc[table["disea"] > 0, ["mdvis", "disea", "idp", "hlthg"]].to_numpy(dtype=float)
    return X, [("visits", "poisson", [0]), ("diseases", "gamma", [1]), ("answers", "bernoulli", [2, 3])]


def hard_start(X: Any, weight: Any, order: Any, K: int, blocks: Any) -> dict[str, Any]:
    """An M-step of the ranks of a column, block by block."""
    group = np.argsort(np.argsort(order, kind="stable"), kind="stable") * K // len(X)
    parameters: dict[str, Any] = {}
    for name, family, columns in blocks:
        fits = []
        for k in range(K):
            rows = (group == k) & (weight > 0)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                fit = ExponentialFamilyMixture(family, 1, max_iter=5).fit(X[rows][:, columns], sample_weight=weight[rows])
            fits.append(fit)
        names = fits[0].family_.attribute_names
        parameters[name] = {key: np.concatenate([getattr(fit, key + "_") for fit in fits]) for key in names}
    shares = np.array([weight[group == k].sum() for k in range(K)]) / weight.sum()
    return {"weights_init": shares, "parameters_init": parameters}


@pytest.mark.parametrize("case", REFERENCE, ids=lambda c: f"{c['data']}-{c['K']}-{c['variant']}")
def test_maxima_of_another_program(case: dict[str, Any]) -> None:
    X, blocks = public_table(case["data"])
    n, d = X.shape
    order, weight = X[:, 0].copy(), np.ones(n)
    if "missing" in case["variant"]:
        missing = np.random.RandomState(21).rand(n, d) < 0.1
        missing[missing.all(axis=1), 0] = False
        X[missing] = np.nan
    if "weighted" in case["variant"]:
        weight = np.random.RandomState(22).randint(0, 4, size=n).astype(float)
    start = hard_start(X, weight, order, case["K"], blocks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ColumnMixture(blocks, case["K"], max_iter=5000, tol=1e-12, **start).fit(X, sample_weight=weight)
    assert model.converged_
    found, expected = model.lower_bound_ * case["W"], case["ll"]
    # Zeros that would grow are raised, and fits go on: higher maxima are right as well.
    assert found == pytest.approx(expected, abs=1e-9 * case["W"]) or found > expected
    if abs(found - expected) < 1e-6:
        terms = model.entropy_sum_
        values = [terms.posterior, terms.prior, terms.observable, terms.base_measure]
        np.testing.assert_allclose(values, case["terms"], atol=1e-6)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["anes96", "anes96_stepmix", "randhie"])
def test_several_runs_find_the_best_known(name: str) -> None:
    X, blocks = public_table(name)
    best = next(c["best"] for c in REFERENCE if c["data"] == name and c["variant"] == "complete")
    model = ColumnMixture(blocks, 2, n_init=4, random_state=0).fit(X)
    assert model.lower_bound_ * len(X) > best - 1e-3


SEVEN = ["gaussian", "gamma", "poisson", "bernoulli", "categorical", "log_normal"]


def seven_kinds(n: int = 120) -> tuple[Any, Any, list[tuple[str, Any, Any]]]:
    """Two columns of each of six families, and three correlated ones; with gaps, and weights."""
    rng, tables, blocks = np.random.RandomState(0), [], []
    for i, name in enumerate(SEVEN):
        tables.append(CASES[name].draw(n, 2, rng, None))
        blocks.append((name, CASES[name].family, [2 * i, 2 * i + 1]))
    tables.append(rng.normal(size=(n, 3)) @ rng.normal(size=(3, 3)))
    blocks.append(("correlated", GaussianMixture(), slice(2 * len(SEVEN), None)))
    X = np.concatenate(tables, axis=1)
    X[rng.uniform(size=X.shape) < 0.1] = np.nan
    return X, rng.exponential(size=n), blocks


@pytest.mark.parametrize("prior_counts", [0.0, 2.0])
def test_the_identity_with_seven_kinds_of_blocks(prior_counts: float) -> None:
    X, weight, blocks = seven_kinds()
    model = ColumnMixture(blocks, 2, prior_counts=prior_counts, n_starts=2, random_state=0, accelerate=False, max_iter=40)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, sample_weight=weight)
    # Between an M-step's bound and the next E-step's there is nothing but the posteriors' improvement, which vanishes.
    values = np.array([terms.value for terms in model.entropy_sums_])
    penalties = np.array([terms.penalty for terms in model.entropy_sums_])
    if not prior_counts:
        assert (values <= np.array(model.lower_bounds_) + 1e-10).all()
        assert (values[1:] >= np.array(model.lower_bounds_[:-1]) - 1e-10).all()
    else:
        assert (penalties != 0.0).all()
    assert model.entropy_sum_.observable == pytest.approx(sum(model.block_entropies_.values()), rel=1e-12)
    fresh = model.entropy_sum(X, sample_weight=weight)
    assert fresh.value == pytest.approx(model.entropy_sum_.value, abs=1e-9)
    assert entropy_sum(model, X, sample_weight=weight).value == fresh.value


def test_densities_are_products_over_blocks() -> None:
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.poisson(3.0, 50), rng.normal(size=(50, 3)), rng.integers(3, size=50)]).astype(float)
    S = np.array([[2.0, 0.5], [0.5, 1.0]])
    parameters: dict[str, Any] = {
        "counts": {"rates": [[1.0], [5.0]]},
        "pair": {"means": [[0.0, 0.0], [1.0, -1.0]], "covariances": [S, np.eye(2)]},
        "one": {"means": [[0.0], [0.5]], "variances": [[1.0], [2.0]]},
        "names": {"probabilities": [[[0.2, 0.3, 0.5]], [[0.6, 0.3, 0.1]]]},
    }
    blocks = [
        ("counts", "poisson", [0]),
        ("pair", GaussianMixture(), [3, 1]),
        ("one", "gaussian", [2]),
        ("names", Categorical(3), [4]),
    ]
    model = ColumnMixture.from_parameters(blocks, [0.3, 0.7], parameters)
    joint = np.log([0.3, 0.7]) + np.zeros((50, 2))
    for c, covariance in enumerate((S, np.eye(2))):
        joint[:, c] += poisson.logpmf(X[:, 0], parameters["counts"]["rates"][c][0])
        joint[:, c] += multivariate_normal.logpdf(X[:, [3, 1]], parameters["pair"]["means"][c], covariance)
        one = parameters["one"]
        joint[:, c] += norm.logpdf(X[:, 2], one["means"][c][0], np.sqrt(one["variances"][c][0]))
        joint[:, c] += np.log(np.array(parameters["names"]["probabilities"])[c, 0, X[:, 4].astype(int)])
    np.testing.assert_allclose(model.score_samples(X), logsumexp(joint, axis=1), rtol=1e-10)
    assert model.n_parameters_ == 1 + 2 + 2 * (2 + 3) + 4 + 4
    drawn, labels = model.sample(20_000, random_state=0)
    np.testing.assert_allclose(np.cov(drawn[labels == 0][:, [3, 1]].T), S, atol=0.1)
    np.testing.assert_allclose(drawn[labels == 1, 0].mean(), 5.0, atol=0.1)


def test_score_and_information_of_blocks() -> None:
    X, weight, blocks = seven_kinds(60)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ColumnMixture(blocks, 2, prior_counts=2.0, n_starts=2, random_state=0, max_iter=3).fit(
            X, sample_weight=weight
        )
    components = model._get_components()
    assert isinstance(components, ColumnBlocks)
    mixture, rows = MixtureModel(components), Rows(X, weight)
    parameters = MixtureParameters(np.log(model.weights_), components.natural(model._standard_parameters()))
    statistics = rows.sum(partial(mixture.expect, parameters))
    metric = Metric.at(mixture, parameters, statistics)
    W, K = metric.matrix(), 2
    gradient = metric.gradient(score(mixture, parameters, statistics)).ravel()

    def objective(h: float, z: Any) -> float:
        moved = mixture.moved(parameters, metric.directions(h * z.reshape(K, -1)))
        assert moved is not None
        s = rows.sum(partial(mixture.expect, moved))
        return (mixture.elbo(s) + mixture.log_prior(moved, s)) * s.weight

    rng, h = np.random.default_rng(0), 1e-3
    for _ in range(4):
        z = rng.normal(size=len(W))
        np.testing.assert_allclose(metric.directions(z.reshape(K, -1)).ravel(), W @ z, rtol=1e-10, atol=1e-12)
        at = [objective(k * h, z) for k in (-2, -1, 1, 2)]
        assert gradient @ z == pytest.approx((at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * h), rel=1e-6, abs=1e-6)
    missing = rows.sum(partial(missing_information, mixture, parameters))
    # What is missing of a block does not depend on other blocks but by the responsibilities.
    q = model.predict_proba(X)
    start = 1 + sum(part.n_directions(own) for part, own in list(components._zip(parameters.components))[:-1])
    part, own = components._parts[-1], parameters.components[-1]
    observations = part.read(_block(X, weight).take_columns(components.blocks[-1].columns))
    latent = part.latent_information(own, observations, q.T * weight)
    assert latent is not None
    scores = list(part.row_scores(own, observations))
    expected = (scores[0] * (weight * q[:, 0])[:, np.newaxis]).T @ scores[0] + latent[0]
    expected -= (scores[0] * (weight * q[:, 0] ** 2)[:, np.newaxis]).T @ scores[0]
    found = missing[start : start + len(expected), start : start + len(expected)]
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-8)


def _block(X: Any, weight: Any) -> Any:
    from skentropy._data import Block

    return Block(X, weight, None, 0)


@pytest.fixture
def people() -> pd.DataFrame:
    """Measurements, counts, answers and names of two groups of people, with gaps."""
    rng = np.random.default_rng(0)
    n = 300
    z = rng.integers(2, size=n)
    table = pd.DataFrame(
        {
            "age": rng.normal(30.0 + 30.0 * z, 5.0),
            "weight": rng.normal(60.0, 10.0, size=n),
            "visits": rng.poisson(1.0 + 4.0 * z).astype(float),
            "smokes": rng.random(n) < 0.3 + 0.4 * z,
            "plan": np.array(["basic", "full", "none"], dtype=object)[
                np.where(z == 1, rng.choice(3, n, p=[0.1, 0.2, 0.7]), rng.choice(3, n, p=[0.7, 0.2, 0.1]))
            ],
        }
    )
    table.loc[3, "plan"] = None
    table.loc[5, "age"] = np.nan
    table.loc[7, "visits"] = np.nan
    return table


def test_auto_goes_by_what_is_there(people: pd.DataFrame) -> None:
    people["debt"] = -np.arange(len(people)) % 7 - 3
    model = ColumnMixture(random_state=0).fit(people)
    chosen = {name: list(people.columns[own]) for name, own in model.columns_.items()}
    assert chosen == {
        "bernoulli": ["smokes"],
        "categorical": ["plan"],
        "poisson": ["visits"],
        "gaussian": ["age", "weight", "debt"],
    }
    assert model.categories_["plan"].tolist() == ["basic", "full", "none"]
    assert isinstance(model.families_["bernoulli"], Bernoulli)
    assert abs(model.stationarity_gap_) < 1e-7
    assert "column" not in str(model.families_)


def test_names_survive(people: pd.DataFrame) -> None:
    model = ColumnMixture(random_state=0).fit(people)
    filled = model.impute(people)
    assert list(filled.columns) == list(people.columns)
    assert filled.loc[3, "plan"] in ("basic", "full", "none")
    assert filled.loc[7, "visits"] > 0
    assert filled["smokes"].equals(people["smokes"])
    observed = people["plan"].notna()
    assert (filled.loc[observed, "plan"] == people.loc[observed, "plan"]).all()
    drawn, _ = model.sample(50, random_state=0)
    assert set(drawn[:, 4]) <= {"basic", "full", "none"}
    again = people.assign(plan=people["plan"].astype("category"))
    other = ColumnMixture(random_state=0).fit(again)
    assert other.lower_bound_ == pytest.approx(model.lower_bound_, rel=1e-10)


def test_what_the_fit_has_not_seen(people: pd.DataFrame) -> None:
    model = ColumnMixture(random_state=0).fit(people)
    strange = people.assign(plan=people["plan"].where(people.index != 9, "gold"))
    with pytest.raises(
        ValueError, match=r"'gold' in column 'plan' is none of the categories that the fit has seen, 'basic'"
    ):
        model.predict(strange)
    with pytest.raises(ValueError, match="Feature names seen at fit time, yet now missing:\n- age"):
        model.predict(people.drop(columns="age"))
    model.set_params(unseen="missing").fit(people)
    blank = people.assign(plan=people["plan"].where(people.index != 9, None))
    np.testing.assert_array_equal(model.predict_proba(strange), model.predict_proba(blank))
    assert strange["plan"].isna().any()
    seen, objects = strange["plan"].notna(), strange.to_numpy(dtype=object)
    unnamed = ColumnMixture(unseen="missing", random_state=0).fit(people.to_numpy(dtype=object))
    place = strange.columns.get_loc("plan")
    blocks = RowBlocks(lambda: [strange[:5], strange[5:]])
    for filled in (model.impute(strange)["plan"], unnamed.impute(objects)[:, place], model.impute(blocks)[:, place]):
        np.testing.assert_array_equal(np.asarray(filled)[seen], strange["plan"][seen])
        assert set(np.asarray(filled)[~seen]) <= set(people["plan"].dropna())


def test_every_container_gives_the_same(people: pd.DataFrame) -> None:
    polars = pytest.importorskip("polars", reason="polars is not installed")
    dask = pytest.importorskip("dask.dataframe", reason="dask is not installed")
    model = ColumnMixture(prior_counts=0.5, random_state=0).fit(people)
    containers = {
        "objects": people.to_numpy(dtype=object),
        "polars": polars.from_pandas(people),
        "blocks": RowBlocks(lambda: [people[:100], people[100:]]),
        "dask": dask.from_pandas(people, npartitions=3),
    }
    for name, X in containers.items():
        other = ColumnMixture(prior_counts=0.5, random_state=0).fit(X)
        assert other.lower_bound_ == pytest.approx(model.lower_bound_, rel=1e-9), name
        assert set(other.families_) == set(model.families_)
        np.testing.assert_allclose(np.asarray(other.predict_proba(X)), other.predict_proba(X), err_msg=name)
    assert (
        containers["polars"].columns
        == ColumnMixture(random_state=0).fit(containers["polars"]).impute(containers["polars"]).columns
    )


@pytest.mark.parametrize(
    "columns",
    [
        ["age", "weight"],
        [0, 1],
        [-5, -4],
        slice(0, 2),
        slice("age", "weight"),
        [True, True, False, False, False],
        lambda table: [name for name in table.columns if name in ("age", "weight")],
    ],
)
def test_ways_to_say_which_columns(columns: Any, people: pd.DataFrame) -> None:
    model = ColumnMixture([("sizes", "gaussian", columns)], random_state=0).fit(people)
    assert model.columns_["sizes"].tolist() == [0, 1]
    assert model.n_features_in_ == 5
    reference = ExponentialFamilyMixture("gaussian", random_state=0).fit(people[["age", "weight"]])
    assert model.lower_bound_ == pytest.approx(reference.lower_bound_, rel=1e-9)


def test_columns_in_no_block_are_left_alone(people: pd.DataFrame) -> None:
    model = ColumnMixture([("visits", "poisson", ["visits"])], random_state=0).fit(people)
    filled = model.impute(people)
    assert filled.drop(columns="visits").equals(people.drop(columns="visits"))
    assert filled["visits"].notna().all()
    dated = people.assign(
        when=pd.date_range("2020-01-01", periods=len(people)), since=pd.to_timedelta(people["age"], unit="D")
    )
    of_dated = clone(model).fit(dated)
    assert of_dated.lower_bound_ == model.lower_bound_
    assert of_dated.impute(dated)["when"].equals(dated["when"])
    with pytest.raises(TypeError, match=r"column 'when', column 'since' cannot be made numbers.*leave the columns out"):
        ColumnMixture(random_state=0).fit(dated)
    summary = model.summary(people)
    assert "2 components of 1 feature" in str(summary)
    assert list(summary["means"].rows) == list(summary["features"].rows) == ["visits"]
    ordered = people.assign(plan=pd.Categorical(people["plan"], ["none", "basic", "full"], ordered=True))
    assert ColumnMixture(random_state=0).fit(ordered).impute(ordered)["plan"].dtype == ordered["plan"].dtype
    with pytest.raises(ValueError, match="go by position"):
        ColumnMixture.from_parameters([("a", "poisson", ["visits"])], [1.0], {"a": {"rates": [[1.0]]}})


def test_remainder_and_make(people: pd.DataFrame) -> None:
    model = ColumnMixture([("pair", GaussianMixture(), ["age", "weight"])], remainder="auto", random_state=0).fit(people)
    assert list(model.families_) == ["pair", "bernoulli", "categorical", "poisson"]
    assert model.families_["pair"] == "full"
    made = make_column_mixture(
        (GaussianMixture(covariance_type="tied"), ["age", "weight"]),
        ("poisson", "visits"),
        ("poisson", ["smokes"]),
        (Categorical("auto"), ["plan"]),
        random_state=0,
    ).fit(people)
    assert list(made.families_) == ["gaussianmixture", "poisson-1", "poisson-2", "categorical"]
    assert made.parameters_["gaussianmixture"]["covariances"].shape == (2, 2)
    rest = ColumnMixture([("pair", "gaussian", ["age", "weight"])], remainder="categorical", random_state=0)
    assert list(rest.fit(people.dropna()[["age", "weight", "plan"]]).families_) == ["pair", "remainder"]


def test_one_block_is_the_mixture_of_its_family() -> None:
    rng = np.random.default_rng(0)
    X = rng.poisson(np.where(rng.random((200, 1)) < 0.5, [1.0, 6.0], [5.0, 2.0])).astype(float)
    for prior_counts in (0.0, 2.0):
        alone = PoissonMixture(2, prior_counts=prior_counts, random_state=0).fit(X)
        block = ColumnMixture([("visits", "poisson", [0, 1])], 2, prior_counts=prior_counts, random_state=0).fit(X)
        assert block.entropy_sum_.penalty == pytest.approx(alone.entropy_sum_.penalty, rel=1e-9)
        assert block.entropy_sum_.value == pytest.approx(alone.entropy_sum_.value, rel=1e-9)
    alone = PoissonMixture(2, random_state=0).fit(X)
    block = ColumnMixture([("visits", "poisson", [0, 1])], 2, random_state=0).fit(X)
    np.testing.assert_allclose(block.parameters_["visits"]["rates"], alone.rates_, rtol=1e-9)
    assert block.n_parameters_ == alone.n_parameters_
    assert block.bic(X) == pytest.approx(alone.bic(X), rel=1e-12)
    amounts = np.where(rng.random((200, 1)) < 0.1, 0.0, rng.gamma(2.0, size=(200, 1)))
    fits = []
    for model in (
        GammaMixture(2, zeros=0.05, random_state=0),
        make_column_mixture((GammaMixture(zeros=0.05), [0]), random_state=0),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fits.append(model.fit(amounts).score(amounts))
    assert fits[0] == pytest.approx(fits[1], rel=1e-10)


def test_zeros_are_replaced_in_the_blocks_that_say_so() -> None:
    rng = np.random.RandomState(0)
    X = np.column_stack([rng.gamma(2.0, size=60), rng.normal(size=60), rng.gamma(3.0, size=60), rng.poisson(1.0, size=60)])
    X[3, :3] = 0.0
    blocks = [("sizes", GammaMixture(), [2]), ("counts", "poisson", [3]), ("errors", "gaussian", [1])]
    with pytest.warns(UserWarning, match="1 zeros in column 2 are replaced"):
        mixture = ColumnMixture(blocks, random_state=0).fit(X)
    least = X[X[:, 2] > 0, 2].min() / 2
    np.testing.assert_array_equal(mixture.zero_substitutes_, [np.nan, np.nan, least, np.nan])
    filled = X.copy()
    filled[3, 2] = least
    np.testing.assert_array_equal(mixture.score_samples(X), mixture.score_samples(filled))
    gap = X.copy()
    gap[3, 3] = np.nan
    np.testing.assert_array_equal(mixture.impute(gap)[3, :3], X[3, :3])
    X[4, 2] = -1.0
    message = r"takes positive values in block 'sizes' \(the gamma family\); X holds 1 other value, in column 2"
    with pytest.raises(ValueError, match=message):
        mixture.score(X)


def test_ranked_beside_others(people: pd.DataFrame) -> None:
    numbers = people[["age", "weight", "visits"]].dropna()
    models = [ColumnMixture(random_state=0), ColumnMixture(n_components=1), GaussianMixture(random_state=0)]
    with pytest.warns(UserWarning, match="of different kinds"):
        ranking = rank_models(models, numbers)
    assert ranking[0].n_samples == len(numbers)


BAD: list[tuple[Any, str]] = [
    ([("a", "gaussian", ["age", "size"])], r"Block 'a' has column 'size', which X does not have"),
    ([("a", "gaussian", [7])], r"Block 'a' has column 7, but X has 5 columns"),
    ([("a", "gaussian", ["age"]), ("b", "gaussian", [1, 0])], r"column 'age' is named twice, in 'a' and in 'b'"),
    ([("a", "gaussian", [])], r"Block 'a' has no columns"),
    ([("a", "gaussian", [True, False])], r"The mask of block 'a' has 2 entries, but X has 5 columns"),
    ([("a", "gaussian", ["plan"])], r"column 'plan' holds names such as 'basic', but block 'a' takes numbers"),
    ([("a", "bernoulli", ["plan"])], r"column 'plan' has 3 values, too many for a Bernoulli family"),
    ([("a", "gaussian", ["age"]), ("a", "gaussian", ["weight"])], r"'a' appears twice"),
    ([("a", "gaussian")], r"columns must hold triples"),
    ("age", r"columns must be 'auto' or a list of triples"),
    (3, r"got 3. For 3 components write n_components=3"),
    ([("a", ["age"], "gaussian")], r"got \['age'\].* comes before the block's columns"),
    ([("a", "bernoulli", ["visits"])], r"other values, in column 'visits'"),
]


@pytest.mark.parametrize(("columns", "message"), BAD, ids=[message[:30] for _, message in BAD])
def test_what_is_refused(columns: Any, message: str, people: pd.DataFrame) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        ColumnMixture(columns).fit(people)


def test_parameters_that_are_refused(people: pd.DataFrame) -> None:
    blocks = [("visits", "poisson", ["visits"])]
    with pytest.raises(ValueError, match=r"parameters_init must have the blocks visits; got counts"):
        ColumnMixture(blocks, parameters_init={"counts": {"rates": [[1.0], [2.0]]}}).fit(people)
    with pytest.raises(ValueError, match=r"parameters_init\['visits'\] must have rates; got means"):
        ColumnMixture(blocks, parameters_init={"visits": {"means": [[1.0], [2.0]]}}).fit(people)
    with pytest.raises(ValueError, match=r"parameters_init\['visits'\]: rates should have the shape"):
        ColumnMixture(blocks, parameters_init={"visits": {"rates": [[1.0]]}}).fit(people)
    many = pd.DataFrame({"id": [f"person {i}" for i in range(1500)], "x": np.random.default_rng(0).normal(size=1500)})
    with pytest.raises(ValueError, match="column 'id' has 1500 categories"):
        ColumnMixture().fit(many)
    ColumnMixture([("x", "gaussian", ["x"])], random_state=0).fit(many)


def test_numbers_of_other_types_and_what_is_neither(people: pd.DataFrame) -> None:
    decimal = people.assign(weight=[Decimal(f"{value:.3f}") for value in people["weight"]])
    assert list(ColumnMixture(random_state=0).fit(decimal).columns_["gaussian"]) == [0, 1]
    with pytest.raises(TypeError, match="X must hold numbers or names"):
        ColumnMixture().fit(people.assign(weight=[[1.0]] * len(people)))
    for days in (pd.date_range("2020", periods=len(people)), pd.date_range("2020", periods=len(people)).date):
        with pytest.raises(TypeError, match="column 'day' cannot be made numbers: its values are dates"):
            ColumnMixture().fit(people.assign(day=days))
    with pytest.raises(ValueError, match="foo"):
        ColumnMixture(remainder="foo").fit(people)


def test_a_point_mass_is_warned_of() -> None:
    rng = np.random.default_rng(0)
    X = np.where(rng.random((300, 1)) < 0.2, -2.3, rng.normal(size=(300, 1)))
    with pytest.warns(UserWarning, match=r"% of the values in column 0 are -2.3: a component of a cont"):
        ColumnMixture(prior_counts=1.0, random_state=0).fit(X)


@pytest.mark.parametrize("blocks", [1, 2])
def test_names_that_all_differ_are_warned_of(blocks: int) -> None:
    table = pd.DataFrame({"key": [f"row {i}" for i in range(60)], "size": np.random.default_rng(0).normal(size=60)})
    parts = np.array_split(np.arange(60), blocks)
    X = table if blocks == 1 else RowBlocks(lambda: [table.iloc[part] for part in parts])
    with pytest.warns(UserWarning, match=r"Each of the 60 rows has a name of its own in column 'key'.*Leave it out"):
        ColumnMixture(prior_counts=1.0, random_state=0).fit(X)


def test_warm_start_goes_on(people: pd.DataFrame) -> None:
    model = ColumnMixture(warm_start=True, random_state=0).fit(people)
    bound = model.lower_bound_
    model.fit(people)
    assert model.lower_bound_ == pytest.approx(bound, abs=1e-9)
    with pytest.warns(UserWarning, match="starts afresh"):
        model.set_params(n_components=3).fit(people)


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.assign(plan=table["plan"].where(table.index > 5, "gold")),
        lambda table: table.assign(plan=pd.Categorical(table["plan"], ["none", "full", "basic"])),
        lambda table: table.assign(plan=table["plan"].replace({"basic": "full", "full": "gold"})),
        lambda table: table[["weight", "age", "visits", "smokes", "plan"]],
        lambda table: table.assign(visits=table["visits"] + 0.5),
    ],
    ids=["one more category", "another order", "other categories", "other columns", "another family"],
)
def test_a_warm_start_goes_on_with_the_same_table_only(change: Any, people: pd.DataFrame) -> None:
    model = ColumnMixture(warm_start=True, prior_counts=0.5, random_state=0).fit(people)
    other = change(people)
    with pytest.warns(UserWarning, match="starts afresh"):
        model.fit(other)
    assert model.lower_bounds_ == ColumnMixture(prior_counts=0.5, random_state=0).fit(other).lower_bounds_


def test_a_warm_start_with_more_codes_starts_afresh() -> None:
    rng = np.random.default_rng(0)
    X = rng.integers(3, size=(60, 2)).astype(float)
    model = ExponentialFamilyMixture(Categorical("auto"), warm_start=True, prior_counts=1.0, random_state=0).fit(X)
    X[0, 0] = 4.0
    with pytest.warns(UserWarning, match="starts afresh"):
        model.fit(X)
    assert model.probabilities_.shape == (2, 2, 5)


def test_models_of_different_columns_are_not_ranked(people: pd.DataFrame) -> None:
    part = ColumnMixture([("sizes", "gaussian", ["age"])], random_state=0)
    with pytest.raises(ValueError, match=r"different variables: column 'weight', column 'visits'.* of which one"):
        rank_models({"all": ColumnMixture(random_state=0), "part": part}, people)
    numbers = people[["age", "weight"]].dropna()
    with pytest.raises(ValueError, match="part and gaussian are models of different variables: column 'weight'"):
        rank_models({"part": part, "gaussian": GaussianMixture(random_state=0)}, numbers)
    search = EntropySumSearch(
        ColumnMixture(random_state=0), {"columns": [[("v", "poisson", ["visits"])], [("v", "gaussian", ["visits"])]]}
    )
    with pytest.raises(ValueError, match="column 'visits' a count or a category to one of them and a real"):
        search.fit(people[["visits"]].dropna())


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (GaussianMixture(5, prior_counts=2.0), "n_components, prior_counts of the GaussianMixture of a block would be"),
        (GaussianMixture(means_init=[[0.0], [1.0]]), "means_init of the GaussianMixture"),
        (GaussianMixture().fit(np.random.default_rng(0).normal(size=(9, 1))), "GaussianMixture of a block has been fitted"),
        (ColumnMixture(), "cannot be a ColumnMixture itself"),
        (SklearnGaussianMixture(), r"got GaussianMixture\(\) of sklearn.mixture"),
    ],
    ids=["arguments", "starts", "fitted", "nested", "of scikit-learn"],
)
def test_templates_say_what_components_are_and_no_more(template: Any, message: str, people: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match=message):
        ColumnMixture([("a", template, ["age"])]).fit(people)
    kept = ColumnMixture([("a", GaussianMixture(covariance_type="tied", reg_covar=0.1), ["age"])], random_state=0)
    assert kept.fit(people).entropy_sum_.penalty > 0.0


def test_the_family_of_large_counts_is_the_one_that_was_asked_for() -> None:
    X = np.random.default_rng(0).poisson(3e9, size=(50, 1)).astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = ColumnMixture(n_components=1).fit(X), ExponentialFamilyMixture("poisson", 1).fit(X)
    assert fits[0].families_["poisson"] == fits[1].family_ == Poisson()
    assert fits[0].score(X) == pytest.approx(fits[0].lower_bound_, abs=1e-6)


def test_columns_are_rounded_as_their_families_are() -> None:
    """Starts do not depend on units: positive values of all magnitudes keep bits of their own."""
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=40), rng.gamma(2.0, size=40), rng.poisson(2.0, size=40)])
    columns = Rows(X).sum(survey_columns)
    kinds = (Gaussian(), Gamma(), Poisson())
    blocks = tuple(ColumnBlock(family.name, Independent(family), np.array([c])) for c, family in enumerate(kinds))
    rounding = ColumnBlocks(blocks, 3).rounding(columns)
    assert rounding is not None
    np.testing.assert_array_equal(rounding.relative, [False, True, True])
    for c, family in enumerate(kinds[:2]):
        alone = Independent(family).rounding(columns.take(np.array([c])))
        assert alone is not None
        assert (rounding.location[c], rounding.scale[c]) == (alone.location[0], alone.scale[0])
    assert ColumnBlocks(blocks[2:], 3).rounding(columns) is None
