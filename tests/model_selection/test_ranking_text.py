"""Rankings as they are printed, and the names of their models."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skentropy import (
    PPCA,
    EntropySum,
    EntropySumSearch,
    ExponentialFamilyMixture,
    FactorAnalysis,
    PoissonMixture,
    rank_models,
)
from skentropy._tables import shorten
from skentropy.model_selection import ModelRanking, RankedModel
from skentropy.model_selection._names import candidate_names, model_names

WINE = load_wine().data


def test_a_row_is_one_line() -> None:
    terms = EntropySum(posterior=0.0, prior=0.0, observable=2.0)
    row = RankedModel("model", None, terms, -2.0, 2, np.e, validation=-2.5, flag="gap")
    numbers = f"log-likelihood -2.0000, bic_score {-2.0 - 1.0 / np.e:.4f}, validation -2.5000 nats per sample"
    assert str(row) == f"model: {numbers}; 2 parameters; gap"
    assert str(RankedModel("net", None, terms, -2.0, np.nan, 10.0)) == "net: log-likelihood -2.0000 nats per sample"
    assert str(RankedModel("third", None, None, error="for a reason")) == "third: for a reason"


def test_the_table_as_it_is_printed() -> None:
    rows = [
        RankedModel("first", None, EntropySum(0.25, 0.0, -1234.5), 1234.25, 3, 100.0, fit_time=12.3, converged=True),
        RankedModel(
            "the next", None, EntropySum(0.125, 0.0, 1e-7, base_measure=-1e-7), -0.1251, 12345, 100.0, converged=True
        ),
        RankedModel("third", None, None, error="for a reason\nand details"),
    ]
    assert str(ModelRanking(rows, "elbo")).splitlines() == [
        "3 models by elbo, nats per sample, higher is better",
        "rank  model          elbo  parameters  seconds  flag",
        "1     first     1234.7500           3    12.30  gap",
        "2     the next     0.1250       12345     0.00  gap",
        "3     third                                     failed",
        "",
        "entropy sum = posterior - observable + base measure; gap = entropy sum - log-likelihood",
        "rank  posterior  observable  base measure  log-likelihood      gap",
        "1        0.2500  -1234.5000        0.0000       1234.2500  5.0e-01",
        "2        0.1250      0.0000        0.0000         -0.1251  2.5e-01",
        "third: for a reason",
    ]
    rows[1] = replace(rows[1], entropy_sum=EntropySum(0.125, 0.0, 1e-7))
    rows[0] = replace(rows[0], entropy_sum=EntropySum(1.25, 0.0, 0.0))
    assert str(ModelRanking(rows[:2], "bic")).splitlines() == [
        "2 models by bic_score, nats per sample, higher is better",
        "model     bic_score  posterior  observable  log-likelihood       gap  parameters  seconds  flag",
        "first        1.1809     1.2500      0.0000       1234.2500  -1.2e+03           3    12.30  gap",
        "the next  -284.1291     0.1250      0.0000         -0.1251   2.5e-01       12345     0.00  gap",
        "",
        "entropy sum = posterior - observable; gap = entropy sum - log-likelihood",
    ]
    rows[0] = replace(rows[0], log_jacobian=2.0)
    assert "entropy sum = posterior - observable + log jacobian" in str(ModelRanking(rows[:2], "bic"))
    assert "entropy sum = posterior - observable + log jacobian" in ModelRanking(rows[:2], "bic")._repr_html_()


def test_entropy_sums_and_gaps_of_transformed_data_are_those_of_the_data() -> None:
    terms = EntropySum(posterior=-1.0, prior=0.5, observable=2.0)
    row = RankedModel("model", None, terms, -3.0, 4, 100.0, log_jacobian=0.75)
    assert row.elbo == -1.0 - 0.5 - 2.0 + 0.75
    assert row.gap == row.elbo + 3.0
    assert row.bic_score == pytest.approx(row.elbo - 2.0 * np.log(100.0) / 100.0, rel=1e-14)


def test_tables_are_no_wider_than_a_page() -> None:
    terms = EntropySum(1e3, 1e3, -1e4, base_measure=-1e4, hidden=1e3, penalty=-1.0)
    rows = [
        RankedModel(f"{'a long name ' * 20}{i}", None, terms, -12345.0, 12345, 100.0, fit_time=1e3, converged=i > 0)
        for i in range(12)
    ]
    rows.append(RankedModel("a failure " * 30, None, None, error="for reasons " * 30))
    text = str(ModelRanking(rows))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    ranked = lines[2:14]
    assert len({line[6:].split("  ")[0] for line in ranked}) == 12
    # Names have all the room that there is, and those that are cut there are told in full below.
    assert max(len(line) for line in ranked) == 100
    words = " ".join(text.split())
    for rank in range(12):
        assert f"{rank + 1}: {' '.join(ModelRanking(rows)[rank].name.split())}" in words
    assert "for reasons " * 29 in words
    # One line that does not fit is enough for a second table.
    short = [replace(row, name=row.name[-8:], entropy_sum=EntropySum(1.0, 2.0, 3.0)) for row in rows[:12]]
    one_long = [replace(short[0], converged=False), *(replace(row, log_likelihood=row.elbo) for row in short[1:])]
    lengths = [len(line) for line in str(ModelRanking(one_long)).splitlines()]
    assert max(lengths) <= 100


def test_names_tell_models_apart() -> None:
    def names(*models: Any) -> list[str]:
        return model_names(models)

    assert names(PPCA(2), FactorAnalysis(3, rotation="varimax", tol=1e-9)) == [
        "PPCA(n_components=2)",
        "FactorAnalysis(n_components=3)",
    ]
    assert names(PPCA("bic"), PPCA(3)) == ["PPCA(n_components='bic')", "PPCA(n_components=3)"]
    mixtures = [ExponentialFamilyMixture(family, 3, random_state=0) for family in ("gaussian", "gamma")]
    assert names(*mixtures, PPCA()) == [
        "ExponentialFamilyMixture(family='gaussian')",
        "ExponentialFamilyMixture(family='gamma')",
        "PPCA(n_components=2)",
    ]
    assert names(*[make_pipeline(StandardScaler(), "passthrough", PPCA(k)) for k in (1, 2)]) == [
        "StandardScaler() | passthrough | PPCA(n_components=1)",
        "StandardScaler() | passthrough | PPCA(n_components=2)",
    ]
    search = EntropySumSearch(FactorAnalysis(rotation="varimax"), {"n_components": [1, 2, 3, 4, 5]})
    assert names(search, search) == [
        "EntropySumSearch(FactorAnalysis(n_components=2))",
        "EntropySumSearch(FactorAnalysis(n_components=2)) #2",
    ]
    starts = [PoissonMixture(2, rates_init=np.full((2, 20), value)) for value in (1.0, 2.0)]
    assert len(set(names(*starts))) == 2
    assert max(map(len, names(*starts))) < 60
    candidates = [{"a": 1, "model": PPCA(2), "tol": 1.0}, {"a": 1, "model": mixtures[0]}, {"a": 1, "model": mixtures[1]}]
    assert candidate_names(candidates) == [
        "model=PPCA(n_components=2), tol=1.0",
        "model=ExponentialFamilyMixture(family='gaussian')",
        "model=ExponentialFamilyMixture(family='gamma')",
    ]
    assert candidate_names([{"a": 1}]) == ["a=1"]
    assert candidate_names([{}]) == ["default"]
    assert shorten(["short", "a longer name"], 8) == ["short", "a l..ame"]
    assert shorten(["a longish name", "a longest name"], 10) == ["a ..me", "a ..me #2"]


def test_names_that_are_no_text() -> None:
    ranking = rank_models({1: PPCA(1), 2: PPCA(2), "1": PPCA(3)}, WINE / WINE.std(axis=0))
    assert sorted(row.name for row in ranking) == ["1", "1 #2", "2"]
    assert str(ranking).splitlines()[2].startswith("1 #2")
    assert "1 #2" in ranking._repr_html_()
