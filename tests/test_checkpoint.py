"""Checkpoints: what a killed fit leaves is complete, and going on from it ends where the fit would have ended."""

import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skentropy import PPCA, Checkpoint, EntropySumSearch, FactorAnalysis, PoissonMixture
from tests.common.estimators import BY_EM, ESTIMATORS

pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from version 1.9")

CHILD = """
import sys
import numpy as np
from skentropy import Checkpoint, PoissonMixture
X = np.random.default_rng(0).poisson([[2.0, 9.0, 4.0], [5.0, 6.0, 2.0], [9.0, 4.0, 6.0]] * 200)
mixture = PoissonMixture(3, tol=0.0, max_iter=10**9, accelerate=False, random_state=0)
mixture.set_callbacks(Checkpoint(sys.argv[1], interval=0.0)).fit(X)
"""


def test_a_killed_fit_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "mixture.joblib"
    child = subprocess.Popen([sys.executable, "-W", "ignore", "-c", CHILD, str(path)], cwd=Path(__file__).parents[1])
    try:
        end = time.monotonic() + 60.0
        while not path.exists() and time.monotonic() < end and child.poll() is None:
            time.sleep(0.01)
        for _ in range(20):  # at any moment
            left = joblib.load(path)
            assert left.lower_bounds_ == sorted(left.lower_bounds_)
    finally:
        child.kill()
        child.wait()
    left = joblib.load(path)
    X = np.random.default_rng(0).poisson([[2.0, 9.0, 4.0], [5.0, 6.0, 2.0], [9.0, 4.0, 6.0]] * 200)
    whole = clone(left).set_params(tol=1e-10, accelerate=True).fit(X)
    resumed = left.set_params(tol=1e-10, accelerate=True, warm_start=True).fit(X)
    assert resumed.lower_bound_ == pytest.approx(whole.lower_bound_, abs=1e-8, rel=0)


@pytest.mark.parametrize("name", sorted(BY_EM))
@pytest.mark.parametrize("n_init", [1, 2])
def test_every_estimator_that_takes_steps(name: str, n_init: int, tmp_path: Path) -> None:
    case, saved = ESTIMATORS[name], []

    def dump(model: Any, path: str) -> None:
        saved.append(model)
        joblib.dump(model, path)

    checkpoint = Checkpoint(tmp_path / "model", interval=0.0, dump=dump)
    fitted = case.make(n_init=n_init).set_callbacks(checkpoint).fit(case.hardest)
    last = joblib.load(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert not hasattr(last, "_skl_callbacks")
    assert last.score(case.hardest) == pytest.approx(last.lower_bound_, rel=1e-6)
    assert last.lower_bound_ <= fitted.lower_bound_ + 1e-4
    if n_init == 1:
        assert len(saved) >= fitted.n_iter_ - 1


def test_an_autoencoder_goes_on(tmp_path: Path) -> None:
    case, saved = ESTIMATORS["GaussianVAE"], []
    checkpoint = Checkpoint(
        tmp_path / "model", interval=0.0, dump=lambda model, path: saved.append(joblib.dump(model, path))
    )
    fitted = case.make().set_callbacks(checkpoint).fit(case.hardest)
    last = joblib.load(tmp_path / "model")
    assert 1 < len(saved) <= fitted.n_iter_
    assert vars(last).keys() == {name for name in vars(fitted) if "callback" not in name}
    assert last.score(case.hardest) == pytest.approx(last.lower_bound_, abs=1e-9)
    bound = last.lower_bound_ - last.entropy_sum_.penalty
    last.set_params(warm_start=True).fit(case.hardest)
    assert last.lower_bound_ - last.entropy_sum_.penalty >= bound - 1e-9


def test_interval(tmp_path: Path) -> None:
    case = ESTIMATORS["PoissonMixture"]
    case.make().set_callbacks(Checkpoint(tmp_path / "model", interval=3600.0)).fit(case.X)
    assert not (tmp_path / "model").exists()


def test_what_is_refused(tmp_path: Path) -> None:
    for interval in (-1.0, "1", np.nan):
        with pytest.raises(ValueError, match="interval must be a number of seconds"):
            Checkpoint(tmp_path / "model", interval=interval)
    with pytest.raises(TypeError, match="dump must be a function"):
        Checkpoint(tmp_path / "model", dump=3)  # type: ignore[arg-type]
    case = ESTIMATORS["PoissonMixture"]
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        case.make().set_callbacks(Checkpoint(tmp_path / "none" / "model")).fit(case.X)
    with pytest.raises(IsADirectoryError, match="there is a folder of this name"):
        case.make().set_callbacks(Checkpoint(tmp_path)).fit(case.X)


@pytest.mark.parametrize(
    "fits_a_model",
    [
        lambda model: make_pipeline(FunctionTransformer(), model),
        lambda model: EntropySumSearch(model, {"n_components": [1, 2]}),
        lambda model: GridSearchCV(model, {"n_components": [1, 2]}),
    ],
)
def test_what_takes_no_steps_itself_is_refused(fits_a_model: Any, tmp_path: Path) -> None:
    case = ESTIMATORS["PoissonMixture"]
    outer = fits_a_model(case.make()).set_callbacks(Checkpoint(tmp_path / "model", interval=0.0))
    with pytest.raises(TypeError, match=f"the fit of {type(outer).__name__} takes no such steps itself"):
        outer.fit(case.X)


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("in_pipeline", [False, True])
def test_a_search_leaves_its_best_model(n_jobs: int, in_pipeline: bool, tmp_path: Path) -> None:
    X = np.random.default_rng(0).poisson([[2.0, 9.0, 4.0], [9.0, 4.0, 6.0]] * 100)
    model: Any = PoissonMixture(prior_counts=1.0, random_state=0).set_callbacks(Checkpoint(tmp_path / "model", interval=0.0))
    grid = {"n_components": [2, 3, 4]}
    if in_pipeline:
        model = make_pipeline(FunctionTransformer(), model)
        grid = {"poissonmixture__n_components": [2, 3, 4]}
    search = EntropySumSearch(model, grid, n_jobs=n_jobs, change_of_variables="correct").fit(X)
    best = search.best_estimator_[-1] if in_pipeline else search.best_estimator_
    assert best.n_components == 2
    assert joblib.load(tmp_path / "model").lower_bound_ == best.lower_bound_
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_short_search_leaves_an_older_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_text("older")
    os.utime(path, (0.0, 0.0))
    case = ESTIMATORS["PoissonMixture"]
    EntropySumSearch(case.make().set_callbacks(Checkpoint(path)), {"n_components": [1, 2]}).fit(case.X)
    assert path.read_text() == "older"


def test_a_search_may_be_over_at_once(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "model")
    (tmp_path / "model").write_text("of a candidate")
    best = ESTIMATORS["PoissonMixture"].make()
    checkpoint.on_search_end(best, time.time())
    assert joblib.load(tmp_path / "model").get_params() == best.get_params()


@pytest.mark.parametrize(("lag", "saved"), [(0.0995, True), (0.1005, False)])
def test_the_clock_of_a_file_system_may_lag(lag: float, saved: bool, tmp_path: Path) -> None:
    (path := tmp_path / "model").write_text("of a candidate")
    os.utime(path, (1000.0 - lag, 1000.0 - lag))
    Checkpoint(path).on_search_end(ESTIMATORS["PoissonMixture"].make(), 1000.0)
    assert (path.read_bytes() != b"of a candidate") == saved


def test_fits_side_by_side_do_not_mix(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "model", interval=0.0)
    first, second = ESTIMATORS["PoissonMixture"].make(), ESTIMATORS["PoissonMixture"].make()
    context = SimpleNamespace(task_name="iteration", parent=SimpleNamespace(task_id=0))
    for estimator, bound in ((first, -1.0), (second, -2.0)):
        checkpoint.setup(estimator, None)
        step = ESTIMATORS["PoissonMixture"].make()
        step.lower_bound_ = bound
        checkpoint.on_fit_task_end(estimator, context, fitted_estimator=step)
        assert joblib.load(tmp_path / "model").lower_bound_ == bound


def test_a_save_that_fails_does_not_end_the_fit(tmp_path: Path) -> None:
    case, failed = ESTIMATORS["PoissonMixture"], []

    def dump(model: Any, path: str) -> None:
        Path(path).write_text("half")
        if len(failed) < 2:
            failed.append(model)
            raise OSError("No space left on device")
        joblib.dump(model, path)

    model = case.make().set_callbacks(Checkpoint(tmp_path / "model", interval=0.0, dump=dump))
    with pytest.warns(UserWarning, match=r"could not save .*, and the fit goes on: OSError: No space left on device"):
        model.fit(case.X)
    assert len(failed) == 2
    assert model.lower_bound_ == case.make().fit(case.X).lower_bound_
    assert joblib.load(tmp_path / "model").score(case.X) == pytest.approx(model.lower_bound_, rel=1e-6)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_a_killed_process_left_half_written_is_removed(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    dead, alive = tmp_path / f"model.{child.pid}.new", tmp_path / f"model.{os.getppid()}.new"
    for path in (dead, alive, tmp_path / "model.old.new", tmp_path / f"other.{child.pid}.new"):
        path.write_text("half")
    case = ESTIMATORS["PoissonMixture"]
    case.make().set_callbacks(Checkpoint(tmp_path / "model")).fit(case.X)
    assert {path.name for path in tmp_path.iterdir()} == {alive.name, "model.old.new", f"other.{child.pid}.new"}


@pytest.mark.parametrize("estimator", [PPCA(2, solver="em"), FactorAnalysis(2, solver="em")], ids=str)
def test_all_that_a_fit_leaves_is_saved(estimator: Any, tmp_path: Path) -> None:
    X = ESTIMATORS["PPCA"].X
    fitted = clone(estimator).set_callbacks(Checkpoint(tmp_path / "model", interval=0.0)).fit(X)
    last = joblib.load(tmp_path / "model")
    np.testing.assert_allclose(last.standard_errors(X)["components"], fitted.standard_errors(X)["components"], rtol=1e-2)
    assert vars(last).keys() == {name for name in vars(fitted) if "callback" not in name}


def test_a_run_that_is_ahead_and_over_is_saved_while_others_go_on(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "model", interval=0.05)
    ahead, behind = ESTIMATORS["PoissonMixture"].make(), ESTIMATORS["PoissonMixture"].make()
    ahead.lower_bound_, behind.lower_bound_ = -1.0, -2.0
    checkpoint.setup(ahead, None)
    for run, model in enumerate([ahead, behind]):
        context = SimpleNamespace(task_name="iteration", parent=SimpleNamespace(task_id=run))
        checkpoint.on_fit_task_end(ahead, context, fitted_estimator=model)
        assert (tmp_path / "model").exists() == (run == 1)
        time.sleep(0.06)
    assert joblib.load(tmp_path / "model").lower_bound_ == -1.0
