"""Dask collections, streams of blocks, memory maps, CSR and arrays hold the same rows: they give the same fit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.utils import get_tags

from skentropy import (
    PPCA,
    EntropySumSearch,
    ExponentialFamilyMixture,
    FactorAnalysis,
    GammaMixture,
    GaussianMixture,
    PoissonMixture,
    RowBlocks,
    SigmoidBeliefNet,
    entropy_sum_scorer,
    rank_models,
)
from skentropy._data import RowTotals
from skentropy.families import Poisson
from skentropy.mixture._model import MixtureModel

from .common.estimators import ESTIMATORS, TABLES, EstimatorCase

every = pytest.mark.parametrize("case", ESTIMATORS.values(), ids=ESTIMATORS)
every_table = pytest.mark.parametrize(("case", "X"), TABLES.values(), ids=TABLES)
CUTS = [0, 37, 37, 80, 163]


def blocks_of(X: Any, weight: Any = None) -> RowBlocks:
    """Blocks of unequal size, one of them empty."""
    pieces = [slice(a, b) for a, b in zip(CUTS, [*CUTS[1:], X.shape[0]], strict=True)]
    if weight is None:
        return RowBlocks(lambda: (X[piece] for piece in pieces))
    return RowBlocks(lambda: ((X[piece], weight[piece]) for piece in pieces))


def in_chunks(X: Any) -> tuple[int, ...]:
    return tuple(np.diff([*CUTS, len(X)]).tolist())


def assert_same(model: Any, reference: Any, X: Any) -> None:
    exact = {"rtol": 1e-10, "atol": 1e-10}
    np.testing.assert_allclose(model.lower_bound_, reference.lower_bound_, rtol=1e-10)
    np.testing.assert_allclose(model.entropy_sum_.value, reference.entropy_sum_.value, **exact)
    np.testing.assert_allclose(np.asarray(model.score_samples(X)), np.asarray(reference.score_samples(X)), **exact)


def plainly(case: EstimatorCase) -> Any:
    """Without acceleration, which amplifies rounding errors, and not for so long that they decide when to stop."""
    return case.make(accelerate=False, tol=1e-5) if case.by_em else case.make()


@every_table
def test_streams(case: EstimatorCase, X: Any) -> None:
    weight = np.random.RandomState(0).randint(1, 4, size=len(X)).astype(float)
    plain, weighted = plainly(case).fit(X), plainly(case).fit(X, sample_weight=weight)
    assert_same(plainly(case).fit(blocks_of(X)), plain, X)
    assert_same(plainly(case).fit(blocks_of(X, weight)), weighted, X)
    for name in ("score_samples", case.output):
        np.testing.assert_allclose(getattr(plain, name)(blocks_of(X)), getattr(plain, name)(X), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(weighted.score(blocks_of(X, weight)), weighted.score(X, sample_weight=weight), rtol=1e-12)
    if case.by_em:
        np.testing.assert_allclose(plain.bic(blocks_of(X)), plain.bic(X), rtol=1e-12)
    np.testing.assert_allclose(plain.entropy_sum(blocks_of(X)).value, plain.entropy_sum(X).value, rtol=1e-12)


@every
def test_a_score_reads_a_stream_once(case: EstimatorCase) -> None:
    X = case.hardest
    blocks = [(X[:80], np.ones(80)), (X[80:], 2.0 * np.ones(len(X) - 80))]
    read = []

    def once() -> Any:
        for block in blocks:
            read.append(1)
            yield block

    model = plainly(case).fit(X)
    of_rows = {"score_samples", case.output, "predict"} & set(dir(model))
    for method in ("score", "entropy_sum", "stationarity_gap", *sorted(of_rows)):
        read.clear()
        getattr(model, method)(RowBlocks(once))
        assert len(read) == len(blocks)
    nothing = RowBlocks(lambda: [(X, np.zeros(len(X)))])
    with pytest.raises(ValueError, match="All of sample_weight is zero"):
        model.score(nothing)


POSITIVE_MIXTURES = [
    name
    for name, case in ESTIMATORS.items()
    if case.output == "predict_proba" and get_tags(case.make()).input_tags.positive_only
]


@pytest.mark.parametrize("name", POSITIVE_MIXTURES)
def test_values_outside_the_support_are_counted_in_all_blocks(name: str) -> None:
    case = ESTIMATORS[name]
    model, X = plainly(case).fit(case.X), case.X.copy()
    X[3, 0], X[-1, 1] = -1.0, -2.0
    tables = [RowBlocks(lambda: [X[:10], X[10:20], X[20:]]), *([sparse.csr_matrix(X)] if case.sparse else [])]
    for table in tables:
        for method in ("score", "score_samples", "predict", "predict_proba"):
            with pytest.raises(ValueError, match="X holds 2 other values, in column 0, column 1"):
                getattr(model, method)(table)


def test_values_outside_the_support_of_lazy_data_are_refused_when_they_are_computed() -> None:
    da = pytest.importorskip("dask.array")
    X = ESTIMATORS["PoissonMixture"].X
    model, wrong = PoissonMixture(2, random_state=0).fit(X), X.copy()
    wrong[-1, 1] = -2.0
    labels = model.predict(da.from_array(wrong, chunks=(len(X) // 2, -1)))
    np.testing.assert_array_equal(labels[: len(X) // 2].compute(), model.predict(X)[: len(X) // 2])
    with pytest.raises(ValueError, match="X holds 1 other value, in column 1"):
        labels.compute()


@every
def test_streams_of_other_containers(case: EstimatorCase) -> None:
    names = [f"column {j}" for j in range(case.X.shape[1])]
    frame = pd.DataFrame(case.X, columns=names)
    model = plainly(case).fit(blocks_of(frame))
    assert list(model.feature_names_in_) == names
    assert_same(model, plainly(case).fit(frame), frame)
    if case.sparse:
        X = sparse.csr_matrix(case.X)
        assert_same(plainly(case).fit(blocks_of(X)), plainly(case).fit(case.X), X)


def test_parts_hold_the_rows() -> None:
    da = pytest.importorskip("dask.array")
    X = ESTIMATORS["PPCA"].X
    weight = np.arange(1.0, 1.0 + len(X))
    reader = PPCA()._reader(lambda n_features: 1)
    lazy = da.from_array(X, chunks=(in_chunks(X), -1))
    for source in (
        reader.read(PPCA(), X, weight, reset=True),
        reader.read(PPCA(), blocks_of(X, weight), reset=True),
        reader.read(PPCA(), lazy, weight, reset=True),
    ):
        for _ in range(2):
            parts = list(source.parts())
            np.testing.assert_array_equal(np.concatenate([part.X for part in parts]), X)
            np.testing.assert_array_equal(np.concatenate([part.sample_weight for part in parts]), weight)


def test_streams_that_are_none() -> None:
    X = ESTIMATORS["PPCA"].X
    with pytest.raises(TypeError, match="a function that returns a new iterator"):
        RowBlocks(iter([X]))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no blocks"):
        PPCA().fit(RowBlocks(lambda: []))
    with pytest.raises(ValueError, match="no rows"):
        PPCA().fit(RowBlocks(lambda: [X[:0], X[:0]]))
    once = iter([X[:50], X[50:]])
    with pytest.raises(ValueError, match="exhausted iterator"):
        PPCA().fit(RowBlocks(lambda: once))
    with pytest.raises(ValueError, match="12 features in block 1, but 13 features in the first"):
        PPCA().fit(RowBlocks(lambda: [X, X[:, 1:]]))
    with pytest.raises(ValueError, match=r"blocks \(X, sample_weight, exposure\)"):
        PPCA().fit(RowBlocks(lambda: [X]), sample_weight=np.ones(len(X)))
    with pytest.raises(ValueError, match="minimum of 2"):
        PPCA().fit(RowBlocks(lambda: [X[:1]]))
    with pytest.raises(ValueError, match="sample_weight is zero"):
        PoissonMixture().fit(RowBlocks(lambda: [(X, np.zeros(len(X)))] * 2))
    with pytest.raises(ValueError, match="needs X in memory"):
        PPCA(solver="arpack").fit(RowBlocks(lambda: [X]))
    with pytest.raises(ValueError, match=r"Block 1 of X, counted from 0: .*infinity.* in column 0"):
        FactorAnalysis().fit(RowBlocks(lambda: [X, X + np.inf]))
    with pytest.raises(ValueError, match=r"Block 1 of X, counted from 0: .*masked array"):
        PPCA().fit(RowBlocks(lambda: [X, np.ma.masked_greater(X, 3.0)]))
    with pytest.raises(ValueError, match="Block 1 of X, counted from 0, is sparse, but the first one is dense"):
        PPCA().fit(RowBlocks(lambda: [X, sparse.csr_matrix(X)]))
    with pytest.raises(TypeError, match="but got 4 values"):
        PPCA().fit(RowBlocks(lambda: [(X, None, None, None)]))
    with pytest.raises(TypeError, match="returned a single ndarray"):
        PPCA().fit(RowBlocks(lambda: X))
    passes = iter(range(1, 100))
    with pytest.raises(ValueError, match=r"returned 1\d\d rows in this pass, but 1\d\d in the previous one"):
        PoissonMixture().fit(RowBlocks(lambda: [X[: 100 + next(passes)]]))
    model = PPCA().fit(RowBlocks(lambda: [X[:50], X[50:]]))
    with pytest.raises(ValueError, match="features"):
        model.score(RowBlocks(lambda: [X[:, 1:]]))


@pytest.mark.parametrize("name", sorted(name for name in ESTIMATORS if not name.startswith("PoissonMixture")))
def test_blocks_with_an_exposure_that_has_no_meaning_are_refused(name: str) -> None:
    case = ESTIMATORS[name]
    with pytest.raises(ValueError, match="exposure, which is not defined"):
        case.make().fit(RowBlocks(lambda: [(case.X, None, np.ones(len(case.X)))]))


@pytest.mark.parametrize("dtype", [">f4", "<f4", "float32"])
def test_results_of_single_precision_stay_so(dtype: str) -> None:
    X = ESTIMATORS["PoissonMixture"].X.astype(dtype)
    assert PoissonMixture(random_state=0).fit(X).predict_proba(X).dtype == np.float32


@pytest.mark.parametrize("model", [PPCA(), PoissonMixture(), SigmoidBeliefNet(binarize=1.0)])
def test_masks_are_not_lost(model: Any) -> None:
    X = np.ma.masked_equal(ESTIMATORS["PoissonMixture"].X, 2.0)
    with pytest.raises(ValueError, match=r"X is a masked array.*np.ma.filled\(X.astype\(float\), np.nan\)"):
        model.fit(X)
    with pytest.raises(ValueError, match="sample_weight is a masked array"):
        model.fit(X.filled(1.0), sample_weight=np.ma.masked_greater(np.arange(len(X)), 5))
    rows = pytest.importorskip("dask.array").from_array(X.filled(1.0))
    with pytest.raises(ValueError, match="sample_weight is a masked array"):
        model.fit(rows, sample_weight=np.ma.masked_greater(np.arange(len(X)), 5))
    model.fit(X.filled(np.nan))


def test_blocks_of_frames() -> None:
    X = pd.DataFrame(ESTIMATORS["PoissonMixture"].X.astype(np.float32)).add_prefix("x")
    model = PoissonMixture(random_state=0).fit(RowBlocks(lambda: [X[:60], X[60:]]))
    assert model.rates_.dtype == np.float32
    other = RowBlocks(lambda: [X[:60], X.iloc[60:, ::-1]])
    for use in (PoissonMixture(random_state=0).fit, model.score):
        with pytest.raises(ValueError, match="feature names"):
            use(other)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_nets_start_from_the_same_binary_rows() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(163, 1)) + rng.normal(size=(163, 5))  # few rows are distinct when made binary
    steps = {"binarize": 0.5, "max_iter": 1, "random_state": 0}
    in_memory, streamed = (SigmoidBeliefNet(2, **steps).fit(data) for data in (X, blocks_of(X)))
    np.testing.assert_allclose(streamed.lower_bound_, in_memory.lower_bound_, rtol=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("mixture", [GammaMixture, GaussianMixture, PoissonMixture])
def test_a_mixture_surveys_data_twice_and_takes_a_sample_before_the_first_step(
    mixture: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, passes, before, expect = ESTIMATORS["PoissonMixture"].X + 1.0, [], [], MixtureModel.expect

    def read() -> Any:
        passes.append(1)
        return [X]

    def spied(self: Any, parameters: Any, block: Any) -> Any:
        before.append(len(passes) - 1)
        return expect(self, parameters, block)

    monkeypatch.setattr(MixtureModel, "expect", spied)
    fitted = mixture(2, max_iter=1, random_state=0).fit(RowBlocks(read))
    assert before[0] == 3  # the columns, their summary, and the sample
    passes.clear()
    fitted.score(RowBlocks(read))
    assert len(passes) == 1


def test_infinities_of_a_later_pass_are_refused() -> None:
    X, passes = ESTIMATORS["PoissonMixture"].X, []

    def read() -> Any:
        passes.append(1)
        return [X if len(passes) < 6 else X + np.inf]

    with pytest.raises(ValueError, match="infinity"):
        PoissonMixture(random_state=0, tol=0.0).fit(RowBlocks(read))


def test_memory_of_streams_stays_flat() -> None:
    import tracemalloc

    def peak(n_blocks: int) -> int:
        def read() -> Any:
            for seed in range(n_blocks):
                yield np.random.default_rng(seed).poisson(3.0, size=(4000, 10)).astype(float)

        tracemalloc.start()
        ExponentialFamilyMixture("gaussian", 3, tol=1e3, random_state=0).fit(RowBlocks(read))
        PPCA(2).fit(RowBlocks(read))
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    assert peak(40) < 1.2 * peak(8)


@pytest.mark.parametrize("model", [PPCA(2), FactorAnalysis(2), PoissonMixture(2, max_iter=2)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_integers_are_not_copied(model: Any) -> None:
    import tracemalloc

    # Larger than what the threads of a pass work on, whose blocks are in double precision.
    X = np.random.RandomState(0).poisson(3.0, size=(400_000, 12)).astype(np.int32)
    tracemalloc.start()
    model.fit(X)
    top = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert top < 2 * X.nbytes  # as a copy in double precision takes


class TestDask:
    """With whatever scheduler is there, here threads."""

    @every_table
    def test_arrays_and_frames(self, case: EstimatorCase, X: Any) -> None:
        da, dd = pytest.importorskip("dask.array"), pytest.importorskip("dask.dataframe")
        weight = np.random.RandomState(0).randint(1, 4, size=len(X)).astype(float)
        lazy = da.from_array(X, chunks=(in_chunks(X), -1))
        plain, weighted = plainly(case).fit(X), plainly(case).fit(X, sample_weight=weight)
        assert_same(plainly(case).fit(lazy), plain, X)
        assert_same(plainly(case).fit(lazy, sample_weight=weight), weighted, X)
        assert_same(plainly(case).fit(da.from_array(X, chunks=(50, 4))), plain, X)
        names = [f"column {j}" for j in range(X.shape[1])]
        frame = dd.from_pandas(pd.DataFrame(X, columns=names), npartitions=3)
        from_frame = plainly(case).fit(frame)
        np.testing.assert_allclose(from_frame.lower_bound_, plain.lower_bound_, rtol=1e-10)
        assert list(from_frame.feature_names_in_) == names
        unknown = frame.to_dask_array()
        assert np.isnan(unknown.shape[0])
        assert_same(plainly(case).fit(unknown), plain, X)
        lazy_fit, fit = case.make().fit(lazy), case.make().fit(X)
        np.testing.assert_allclose(lazy_fit.lower_bound_, fit.lower_bound_, rtol=1e-10)
        np.testing.assert_allclose(lazy_fit.score_samples(X), fit.score_samples(X), rtol=1e-6, atol=1e-6)
        for name in ("score_samples", case.output):
            result = getattr(plain, name)(lazy)
            assert isinstance(result, da.Array)
            assert result.shape[0] == len(X)
            np.testing.assert_allclose(result.compute(), getattr(plain, name)(X), rtol=1e-12, atol=1e-14)
            np.testing.assert_allclose(getattr(from_frame, name)(frame).compute(), result.compute(), rtol=1e-6, atol=1e-8)
        if hasattr(plain, "inverse_transform"):
            back = plain.inverse_transform(plain.transform(lazy))
            assert isinstance(back, da.Array)
            assert back.shape == X.shape
            np.testing.assert_allclose(back.compute(), plain.inverse_transform(plain.transform(X)), rtol=1e-10)
        np.testing.assert_allclose(weighted.score(lazy, sample_weight=weight), weighted.score(X, sample_weight=weight))
        np.testing.assert_allclose(plain.entropy_sum(lazy).value, plain.entropy_sum(X).value, rtol=1e-12)

    def test_single_precision_and_sparse(self) -> None:
        da = pytest.importorskip("dask.array")
        X = ESTIMATORS["PoissonMixture"].X
        single = PoissonMixture(random_state=0).fit(da.from_array(X.astype(np.float32), chunks=(100, -1)))
        assert single.rates_.dtype == np.float32
        assert single.predict_proba(da.from_array(X.astype(np.float32), chunks=(100, -1))).dtype == np.float32
        rows = da.from_array(X, chunks=(100, -1)).map_blocks(sparse.csr_matrix)
        assert_same(PoissonMixture(random_state=0).fit(rows), PoissonMixture(random_state=0).fit(X), X)

    @pytest.mark.parametrize("dtype", ["Float64", "Float32", "Int64", "double[pyarrow]"])
    def test_frames_of_nullable_columns(self, dtype: str) -> None:
        dd = pytest.importorskip("dask.dataframe")
        frame = pd.DataFrame(ESTIMATORS["PoissonMixture"].X[:, :3]).astype(dtype)
        frame.columns = ["a", "b", "c"]
        frame.iloc[3, 1] = pd.NA
        lazy, eager = (PoissonMixture(random_state=0).fit(X) for X in (dd.from_pandas(frame, npartitions=3), frame))
        np.testing.assert_allclose(lazy.lower_bound_, eager.lower_bound_, rtol=1e-10)
        assert lazy.rates_.dtype == np.float64

    @every
    def test_partitions_with_other_columns_are_refused_by_name(self, case: EstimatorCase, tmp_path: Path) -> None:
        dd = pytest.importorskip("dask.dataframe")
        table = pd.DataFrame(case.X).add_prefix("v")
        others = {
            "it has 'v": table.iloc[80:, ::-1],
            "missing: 'v1'": table.iloc[80:].drop(columns="v1"),
            "unexpected: 'w'": table.iloc[80:].assign(w=1.0),
            "unexpected: 'w'; missing: 'v1'": table.iloc[80:].rename(columns={"v1": "w"}),
        }
        model = plainly(case).fit(table)
        table[:80].to_csv(tmp_path / "0.csv", index=False)
        for difference, other in others.items():
            other.to_csv(tmp_path / "1.csv", index=False)
            lazy = dd.read_csv(str(tmp_path / "*.csv"))
            message = f"Block 1 of X, counted from 0: its feature names should be those of the whole frame.*{difference}"
            for use in (plainly(case).fit, model.score, lambda X: getattr(model, case.output)(X).compute()):
                with pytest.raises(ValueError, match=message):
                    use(lazy)

    def test_latents_whose_partitions_have_other_columns_are_refused(self, tmp_path: Path) -> None:
        dd = pytest.importorskip("dask.dataframe")
        model = PPCA(2).fit(ESTIMATORS["PPCA"].X)
        latents = pd.DataFrame(model.transform(ESTIMATORS["PPCA"].X), columns=["z0", "z1"])
        latents[:80].to_csv(tmp_path / "0.csv", index=False)
        latents.iloc[80:, ::-1].to_csv(tmp_path / "1.csv", index=False)
        with pytest.raises(ValueError, match="it has 'z1', 'z0' for 'z0', 'z1'"):
            model.inverse_transform(dd.read_csv(str(tmp_path / "*.csv"))).compute()

    @pytest.mark.parametrize("name", [name for name, case in ESTIMATORS.items() if case.output == "transform"])
    def test_frames_that_set_output_asks_for_are_refused(self, name: str) -> None:
        da = pytest.importorskip("dask.array")
        case = ESTIMATORS[name]
        model, lazy = plainly(case).fit(case.X), da.from_array(case.X, chunks=(60, -1))
        for container in ("pandas", "polars"):
            model.set_output(transform=container)
            with pytest.raises(ValueError, match=f"A {container} frame is in memory.*set_output.transform='default'"):
                model.transform(lazy)
            assert type(model.transform(case.X)).__module__.split(".")[0] == container
        assert isinstance(model.set_output(transform="default").transform(lazy), da.Array)

    def test_families_that_cannot_be_sent(self) -> None:
        da = pytest.importorskip("dask.array")

        class Locked(Poisson):
            def __init__(self) -> None:
                self.lock = threading.Lock()

        X = ESTIMATORS["PoissonMixture"].X
        model = ExponentialFamilyMixture(Locked(), accelerate=False, random_state=0).fit(da.from_array(X, chunks=(100, -1)))
        assert_same(model, PoissonMixture(accelerate=False, random_state=0).fit(X), X)

    def test_model_selection(self) -> None:
        da = pytest.importorskip("dask.array")
        X = ESTIMATORS["PPCA"].X
        rows = da.from_array(X, chunks=(60, -1))
        models, grid = [PPCA(1), FactorAnalysis(1)], {"n_components": [1, 2]}
        for data in (rows, rows[rows[:, 0] > 0], RowBlocks(lambda: (X[:70], X[70:]))):
            np.testing.assert_allclose(rank_models(models, data).values_, rank_models(models, X).values_, rtol=1e-9)
            search = EntropySumSearch(PPCA(), grid).fit(data)
            assert search.best_score_ == pytest.approx(EntropySumSearch(PPCA(), grid).fit(X).best_score_, rel=1e-9)
            assert entropy_sum_scorer(search, data) == pytest.approx(entropy_sum_scorer(search, X), rel=1e-9)
        mixtures = EntropySumSearch(ExponentialFamilyMixture("gaussian", random_state=0), grid).fit(rows)
        for chosen, name in [(search, "transform"), *((mixtures, n) for n in ("predict", "predict_proba", "score_samples"))]:
            result = getattr(chosen, name)(rows)
            assert isinstance(result, da.Array)
            np.testing.assert_allclose(result.compute(), getattr(chosen, name)(X), rtol=1e-9, atol=1e-12)

    def test_posteriors_take_no_pass_before_they_are_computed(self, monkeypatch: Any) -> None:
        da = pytest.importorskip("dask.array")
        import skentropy._data._dask as dask_rows

        X = ESTIMATORS["PPCA"].X
        model = PPCA().fit(X)
        monkeypatch.setattr(dask_rows._TreeSum, "of", None)
        assert model.transform(da.from_array(X, chunks=(60, -1))).shape == (len(X), 2)

    def test_exposures(self) -> None:
        da = pytest.importorskip("dask.array")
        X = ESTIMATORS["PoissonMixture"].X
        exposure = np.random.RandomState(0).uniform(0.5, 2.0, size=len(X))
        rows = da.from_array(X, chunks=(100, -1))
        lazy, eager = (PoissonMixture(accelerate=False, random_state=0).fit(data, exposure=exposure) for data in (rows, X))
        np.testing.assert_allclose(lazy.lower_bound_, eager.lower_bound_, rtol=1e-10)
        np.testing.assert_allclose(lazy.rates_, eager.rates_, rtol=1e-10)

    def test_what_is_refused(self) -> None:
        da = pytest.importorskip("dask.array")
        X = ESTIMATORS["PPCA"].X
        rows = da.from_array(X, chunks=(60, -1))
        unknown = rows[rows[:, 0] > 0]
        with pytest.raises(ValueError, match="unknown size, so sample_weight must be a Dask array"):
            PPCA().fit(unknown, sample_weight=np.ones(len(X)))
        with pytest.raises(ValueError, match=r"sample_weight has shape \(177,\), but X has 178 rows"):
            PPCA().fit(rows, sample_weight=np.ones(len(X) - 1))
        with pytest.raises(ValueError, match="3 partitions of rows, but sample_weight has 1"):
            PPCA().fit(rows, sample_weight=da.ones(len(X), chunks=-1))
        with pytest.raises(ValueError, match=r"Block [01] of X, counted from 0: .*sample_weight.*60"):
            PPCA().fit(rows[:120], sample_weight=da.ones(120, chunks=((59, 61),)))
        with pytest.raises(ValueError, match="infinity"):
            PPCA().fit(da.where(rows > 1, np.inf, rows))
        with pytest.raises(ValueError, match="solver='arpack' needs X in memory"):
            PPCA(solver="arpack").fit(rows)
        with pytest.raises(ValueError, match="two dimensions"):
            PPCA().fit(rows[:, 0])
        with pytest.raises(ValueError, match="two dimensions"):
            PPCA().fit(pytest.importorskip("dask.dataframe").from_pandas(pd.Series(X[:, 0]), npartitions=2))
        with pytest.raises(ValueError, match="Negative values in data"):
            PoissonMixture().fit(rows - 3.0)
        model = PPCA().fit(rows)
        with pytest.raises(ValueError, match="12 features"):
            model.score(rows[:, 1:])


def test_stored_frames_may_have_a_column_called_target() -> None:
    """Dask's tasks have an attribute of this name, and so has a frame with such a column."""
    dask, dd = pytest.importorskip("dask"), pytest.importorskip("dask.dataframe")
    frame = pd.DataFrame(np.random.default_rng(0).poisson(3.0, size=(60, 2)), columns=["a", "target"])
    with dask.config.set(scheduler="synchronous"):
        stored = PPCA(1).fit(dd.from_pandas(frame, npartitions=2).persist())
    assert stored.lower_bound_ == pytest.approx(PPCA(1).fit(frame).lower_bound_, rel=1e-12)


def test_dask_is_not_imported_without_need() -> None:
    code = "import sys, numpy, skentropy; skentropy.PPCA().fit(numpy.eye(4)); sys.exit('dask' in sys.modules)"
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=False).returncode == 0


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_gathers_no_rows_and_survives_a_kill() -> None:
    distributed = pytest.importorskip("distributed")
    da, dd = pytest.importorskip("dask.array"), pytest.importorskip("dask.dataframe")
    rng = np.random.default_rng(0)
    X = rng.poisson(np.where(rng.random((60_000, 1)) < 0.4, 2.0, 7.0), size=(60_000, 20)).astype(float)
    X[rng.random(X.shape) < 0.01] = np.nan
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        rows = da.from_array(X, chunks=(7_500, -1)).persist()
        distributed.wait(rows)
        largest = 0
        gather = client.gather

        def watch(*arguments: Any, **options: Any) -> Any:
            nonlocal largest
            result = gather(*arguments, **options)
            largest = max(largest, len(distributed.protocol.pickle.dumps(result)))
            return result

        client.gather = watch
        for model in (
            PoissonMixture(2, random_state=0),
            FactorAnalysis(1, tol=1e-8),
        ):
            lazy = model.fit(rows)
            reference = type(model)(**model.get_params()).fit(X)
            assert_same(lazy, reference, X[:1000])
        assert 0 < largest < X[:7_500].nbytes  # seeds are chosen from a bounded sample, of the sums over all partitions

        # The same sums to the last bit, whether the rows are stored, and the tasks of a pass one a worker, or are not.
        lazy, stored = (PoissonMixture(2, random_state=0).fit(data) for data in (da.from_array(X, chunks=(7_500, -1)), rows))
        np.testing.assert_array_equal(lazy.rates_, stored.rates_)
        frame = dd.from_dask_array(rows).persist()
        distributed.wait(frame)
        for stored in (rows, frame):
            source = FactorAnalysis()._reader(lambda n_features: 1).read(FactorAnalysis(), stored, reset=True)
            for _ in range(2):
                assert source.sum(RowTotals.of_block).n_rows == len(X)
            (bundles,) = source._tree_sum._bundles
            keys = [part.X.key for part in source._parts]
            assert sorted(number for bundle in bundles for number in bundle) == [*range(8)]
            assert len(bundles) <= 2
            for bundle in bundles:
                assert any({keys[number] for number in bundle} <= set(held) for held in client.has_what().values())

        # Fits side by side, and in a task, which leaves its thread to the tasks that it waits for.
        fit = PoissonMixture(2, random_state=0).fit(X)
        in_task = client.submit(lambda X: PoissonMixture(2, random_state=0).fit(da.from_array(X)), X).result(60)
        assert in_task.lower_bound_ == pytest.approx(fit.lower_bound_, rel=1e-12)
        ranking = rank_models([PoissonMixture(1), PoissonMixture(2, random_state=0)], rows, n_jobs=2)
        assert ranking.best_row.model.lower_bound_ == pytest.approx(fit.lower_bound_, rel=1e-12)
        with joblib.parallel_config(backend="dask"):
            several = PoissonMixture(2, n_init=2, n_jobs=2, random_state=0).fit(rows)
        assert several.lower_bound_ == pytest.approx(fit.lower_bound_, rel=1e-6)

        # Weights in memory are sent once: what each pass sends holds none.
        weight = rng.uniform(0.5, 2.0, size=len(X))
        source = FactorAnalysis()._reader(lambda n_features: 1).read(FactorAnalysis(), rows, weight, reset=True)
        assert (
            len(distributed.protocol.pickle.dumps([task.dask for task in source._of_parts(source._parts, len)]))
            < weight.nbytes / 4
        )
        lazy, eager = (
            PPCA(2).fit(data, sample_weight=weight) for data in (rows.map_blocks(np.nan_to_num), np.nan_to_num(X))
        )
        np.testing.assert_allclose(lazy.lower_bound_, eager.lower_bound_, rtol=1e-10)

        undisturbed = PoissonMixture(2, random_state=0).fit(rows)
        killed = False

        def kill_a_worker() -> None:
            nonlocal killed
            if not killed:
                killed = True
                pid = client.run(os.getpid, workers=[next(iter(client.scheduler_info()["workers"]))])
                os.kill(next(iter(pid.values())), signal.SIGKILL)

        interrupted = PoissonMixture(2, random_state=0)
        import skentropy._data._dask as dask_rows

        sum_of, calls = dask_rows._TreeSum.of, []

        def killing(tree_sum: Any, parts: Any) -> Any:
            calls.append(1)
            if len(calls) == 6:
                kill_a_worker()
            return sum_of(tree_sum, parts)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dask_rows._TreeSum, "of", killing)
            interrupted.fit(rows)
        assert killed
        np.testing.assert_allclose(interrupted.rates_, undisturbed.rates_, rtol=1e-12)
        np.testing.assert_allclose(interrupted.lower_bounds_, undisturbed.lower_bounds_, rtol=1e-12)
