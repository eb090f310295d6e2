"""Names of categories: which of them a fit has seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from skentropy import ColumnMixture, RowBlocks


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
