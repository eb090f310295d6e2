"""Names of categories: which of them a fit has seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from skentropy import ColumnMixture, ExponentialFamilyMixture, RowBlocks


@pytest.mark.parametrize("order", [["no", "yes", "maybe"], ["no", "maybe", "yes"], ["maybe", "no", "yes"]])
def test_declared_categories_that_do_not_occur_are_unseen(order: list[str]) -> None:
    """Wherever a dtype lists them: what counts is what the rows of the fit hold."""
    rng = np.random.default_rng(0)
    given = pd.DataFrame({"answer": pd.Categorical(rng.choice(["no", "yes"], 60), order), "size": rng.normal(size=60)})
    strange = given.assign(answer=given["answer"].where(given.index > 0, "maybe"))
    blank = given.assign(answer=given["answer"].where(given.index > 0))
    expected = ColumnMixture(n_components=1).fit(given.astype({"answer": str}))
    for X in (given, RowBlocks(lambda: [given[:30], given[30:]])):
        model = ColumnMixture(n_components=1).fit(X)
        assert list(model.categories_["answer"]) == order
        np.testing.assert_allclose(model.score_samples(given), expected.score_samples(given.astype({"answer": str})))
        with pytest.raises(
            ValueError, match="'maybe' in column 'answer' is none of the categories that the fit has seen, 'no'"
        ):
            model.score_samples(strange)
        model = ColumnMixture(n_components=1, unseen="missing").fit(X)
        np.testing.assert_array_equal(model.score_samples(strange), model.score_samples(blank))
        assert model.impute(strange)["answer"][0] == "maybe"


def test_categories_in_rows_of_weight_zero_have_probability_zero() -> None:
    """Wherever the name is in the order of all names."""
    rng = np.random.default_rng(0)
    for name in ("aa", "b", "zz"):
        X = pd.DataFrame({"name": ["c", "d"] * 30, "size": rng.normal(size=60), "code": [0, 1, 2] * 20})
        weight = np.r_[0.0, np.ones(59)]
        X.loc[0, "name"] = name
        blocks = [("names", "categorical", ["name", "code"]), ("size", "gaussian", ["size"])]
        model = ColumnMixture(blocks, 1, prior_counts=1.0).fit(X, sample_weight=weight)
        place = list(model.categories_["name"]).index(name)
        assert model.parameters_["names"]["probabilities"].shape == (1, 2, 3)
        np.testing.assert_array_equal(model.parameters_["names"]["probabilities"][:, 0, place], 0.0)
        rest = ColumnMixture(blocks, 1, prior_counts=1.0).fit(X[1:])
        assert model.lower_bound_ == pytest.approx(rest.lower_bound_, abs=1e-12)
        assert model.n_parameters_ == rest.n_parameters_


@pytest.mark.parametrize("unseen", ["error", "missing"])
@pytest.mark.parametrize("order", [1, -1])
def test_numbers_in_some_blocks_and_names_in_others_are_refused(order: int, unseen: str) -> None:
    """As a reader of files in pieces may return them: such numbers would be unseen names."""
    pieces = [pd.DataFrame({"code": codes, "size": [0.5, 1.5, 0.7]}) for codes in ([1, 2, 1], ["1", "B2", "B2"])]
    missing = pd.DataFrame({"code": [None, None], "size": [1.0, 2.0]})
    blocks = RowBlocks(lambda: [missing, *pieces[::order]])
    with pytest.raises(
        ValueError, match="column 'code' holds numbers in some blocks of rows, and names such as '1' in others"
    ):
        ColumnMixture(n_components=1, unseen=unseen).fit(blocks)
    ColumnMixture([("size", "gaussian", ["size"])], 1).fit(blocks)
    text = RowBlocks(lambda: [missing, *(piece.astype({"code": str}) for piece in pieces)])
    assert list(ColumnMixture(n_components=1).fit(text).categories_["code"]) == ["1", "2", "B2"]


@pytest.mark.parametrize("code", [1, 3, 20])
def test_codes_in_rows_of_weight_zero_have_probability_zero(code: int) -> None:
    """Below the largest code of the other rows, and above it."""
    X = np.array([[code, 0], *[[0, 1], [2, 0]] * 30], dtype=np.float64)
    weight = np.r_[0.0, np.ones(60)]
    model = ExponentialFamilyMixture("categorical", n_components=1)
    rest = ExponentialFamilyMixture("categorical", n_components=1).fit(X[1:])
    for data, weights in ((X, weight), (RowBlocks(lambda: [(X[:7], weight[:7]), (X[7:], weight[7:])]), None)):
        model.fit(data, sample_weight=weights)
        p = model.probabilities_
        assert p.shape == (1, 2, max(code, 2) + 1)
        np.testing.assert_array_equal(p[0, 0, [0, code, 2]], [0.5, 0.0, 0.5])
        assert model.lower_bound_ == pytest.approx(rest.lower_bound_, abs=1e-12)
        assert model.n_parameters_ == rest.n_parameters_
        assert model.score(X, sample_weight=weight) == pytest.approx(rest.score(X[1:]), abs=1e-12)
    joint = ColumnMixture([("codes", "categorical", [0, 1])], 1).fit(X, sample_weight=weight)
    np.testing.assert_array_equal(joint.parameters_["codes"]["probabilities"], model.probabilities_)
