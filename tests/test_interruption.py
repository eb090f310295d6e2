"""Ctrl-C during a fit: the first leaves the best model so far and says at which step, a second one ends at once."""

from __future__ import annotations

import gc
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skentropy import PPCA, FactorAnalysis, GaussianVAE, PoissonMixture, rank_models
from skentropy._em import _monitor, as_part
from skentropy.decomposition._finish import Finish
from skentropy.mixture._maximum import Maximum
from skentropy.model_selection import bootstrap, stability
from skentropy.neural_network import _fit

from .common.estimators import BY_EM, ESTIMATORS, EstimatorCase
from .common.threads import no_thread_outlives

every = pytest.mark.parametrize("case", ESTIMATORS.values(), ids=ESTIMATORS)
every_by_em = pytest.mark.parametrize("case", BY_EM.values(), ids=BY_EM)


@pytest.fixture(autouse=True)
def _ctrl_c_interrupts() -> Iterator[None]:
    """As in a terminal; processes in the background ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def ctrl_c(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Presses the keys after a step of all runs, and if wished again when a run is over; returns the runs, one a step."""

    def press(after_step: int, *, again: bool = False) -> list[Any]:
        steps: list[Any] = []
        gc.collect()  # where the keys are pressed during a finaliser, they go unheard
        monkeypatch.undo()
        on_step, on_end = _monitor._WatchedRun.on_step, _monitor._WatchedRun.on_end

        def stepped(self: Any, run: Any) -> bool:
            stops = on_step(self, run)
            steps.append(run)
            if len(steps) == after_step:
                signal.raise_signal(signal.SIGINT)
            return stops

        def ended(self: Any, run: Any) -> None:
            on_end(self, run)
            if again:
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(_monitor._WatchedRun, "on_step", stepped)
        monkeypatch.setattr(_monitor._WatchedRun, "on_end", ended)
        return steps

    return press


def plain_em(case: EstimatorCase) -> dict[str, Any]:
    """Options for as many steps as can be."""
    options = {"accelerate": False, "tol": 0.0, "n_starts": 1} if case.by_em else {}
    return {name: value for name, value in options.items() if name in case.make().get_params()}


@every
def test_the_first_leaves_the_best_model_so_far(case: EstimatorCase, ctrl_c: Callable[..., Any]) -> None:
    X = case.hardest if case.by_em else case.X  # a fit to gaps begins with one of a linear model
    plain, name = plain_em(case), type(case.make()).__name__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = case.make(**plain).fit(X)
    ctrl_c(after_step=3)
    with pytest.warns(ConvergenceWarning, match=f"{name} was interrupted after 3 (EM step|epoch)s; the model is the best"):
        model = case.make(**plain).fit(X)
    assert not model.converged_
    assert model.n_iter_ == len(model.lower_bounds_) == len(model.entropy_sums_) == 3
    assert model.score(X) == pytest.approx(model.lower_bound_, rel=1e-9)
    assert model.lower_bounds_[-1] == model.lower_bound_
    if case.by_em:
        assert model.lower_bounds_ == whole.lower_bounds_[:3]


@every
def test_a_second_one_ends_at_once(case: EstimatorCase, ctrl_c: Callable[..., Any]) -> None:
    plain = plain_em(case)
    ctrl_c(after_step=2, again=True)
    model = case.make(**plain)
    with pytest.raises(KeyboardInterrupt):
        model.fit(case.hardest if case.by_em else case.X)
    assert not hasattr(model, "lower_bound_")


@every_by_em
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_no_other_run_goes_on(case: EstimatorCase, n_jobs: int, ctrl_c: Callable[..., Any]) -> None:
    runs = ctrl_c(after_step=4)
    # So many that short ones are not all over before the keys are noticed.
    model = case.make(n_init=50, n_jobs=n_jobs, max_iter=100_000, **plain_em(case))
    with no_thread_outlives(), pytest.warns(ConvergenceWarning, match=f"{type(model).__name__} was interrupted after"):
        model.fit(case.hardest)
    assert len({id(run) for run in runs}) < 50
    assert model.score(case.hardest) == pytest.approx(model.lower_bound_, rel=1e-9)


def test_no_run_of_a_part_goes_on(ctrl_c: Callable[..., Any]) -> None:
    case = ESTIMATORS["PoissonMixture"]
    runs = ctrl_c(after_step=4)
    with no_thread_outlives():
        with as_part(), pytest.raises(KeyboardInterrupt):
            case.make(n_init=50, n_jobs=2, max_iter=100_000, **plain_em(case)).fit(case.hardest)
        n_steps = len(runs)
        time.sleep(0.1)
        assert len(runs) == n_steps


def test_it_is_raised_where_there_is_nothing_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("skentropy.mixture._fit.initial_parameters", interrupted)
    mixture = PoissonMixture(3, n_init=2, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        mixture.fit(ESTIMATORS["PoissonMixture"].X)
    assert not hasattr(mixture, "weights_")


@pytest.mark.parametrize(
    ("name", "finish", "first", "method"),
    [("PoissonMixture", Maximum, "settle_zeros", "leave_saddle"), ("FactorAnalysis-em", Finish, "climb", "_settle")],
)
def test_what_was_found_after_convergence_is_kept(
    name: str, finish: Any, first: str, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = []
    call = getattr(finish, first)

    def noting(self: Any, state: Any, evaluate: Any) -> Any:
        ends.append(state)
        return call(self, state, evaluate)

    def interrupted(*arguments: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(finish, first, noting)
    monkeypatch.setattr(finish, method, interrupted)
    case = ESTIMATORS[name]
    with pytest.warns(ConvergenceWarning, match="was interrupted after"):
        model = case.make().fit(case.hardest)
    assert len(ends) == 1
    assert model.lower_bound_ >= ends[0].elbo
    if finish is Finish:
        assert model.lower_bound_ > ends[0].elbo + 1e-9
    assert model.score(case.hardest) == pytest.approx(model.lower_bound_, rel=1e-9)


def test_numbers_of_components_that_are_tried_one_after_another(ctrl_c: Callable[..., Any]) -> None:
    X = ESTIMATORS["PPCA"].gaps
    whole = PPCA("bic").fit(X)
    assert whole.n_components_ > 1
    alone = PPCA(1).fit(X)
    ctrl_c(after_step=alone.n_iter_ + 2)
    with pytest.warns(ConvergenceWarning, match="PPCA was interrupted at 2 components; the model is the best of those"):
        model = PPCA("bic").fit(X)
    assert model.n_components_ == 1
    assert model.lower_bound_ == alone.lower_bound_


def test_among_the_starts_of_a_net_the_best_so_far_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    case, run_em, states = ESTIMATORS["SigmoidBeliefNet"], _fit.run_em, []

    def interrupted(*arguments: Any, **options: Any) -> Any:
        if len(states) == 5:
            raise KeyboardInterrupt
        states.append(run_em(*arguments, **options).state)
        return run_em(*arguments, **options)

    monkeypatch.setattr(_fit, "run_em", interrupted)
    with pytest.warns(ConvergenceWarning, match="SigmoidBeliefNet was interrupted after 0 EM steps"):
        model = case.make().fit(case.hardest)
    assert model.n_iter_ == 0
    best = max(states, key=lambda state: state.objective)
    np.testing.assert_allclose(model.components_, best.parameters.net.layers[0].weights.T)
    assert model.score(case.hardest) == pytest.approx(model.lower_bound_, rel=1e-9)


def test_a_fit_that_is_interrupted_can_go_on(ctrl_c: Callable[..., Any]) -> None:
    case = ESTIMATORS["FactorAnalysis-em"]
    whole: FactorAnalysis = case.make().fit(case.hardest)
    ctrl_c(after_step=2)
    with pytest.warns(ConvergenceWarning, match="interrupted after 2 EM steps"):
        model = case.make(warm_start=True).fit(case.hardest)
    assert model.fit(case.hardest).lower_bound_ == pytest.approx(whole.lower_bound_, rel=1e-9)


def test_what_consists_of_fits_ends_with_the_first(ctrl_c: Callable[..., Any]) -> None:
    X = ESTIMATORS["PoissonMixture"].X
    mixture = PoissonMixture(2, random_state=0).fit(X)
    for several in (
        lambda: rank_models([PoissonMixture(K, random_state=0) for K in (1, 2, 3)], X),
        lambda: bootstrap(mixture, X, n=5, random_state=0),
        lambda: stability(mixture, X, n=2, random_state=0),
        lambda: GaussianVAE(2, max_iter=2, random_state=0).fit(ESTIMATORS["GaussianVAE"].gaps),
    ):
        ctrl_c(after_step=2)
        with pytest.raises(KeyboardInterrupt):
            several()
