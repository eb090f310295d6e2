"""The EM engine on a model of its own: a mixing weight between two known densities, whose maximum is known."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from scipy import optimize, special

from skentropy import EntropySum
from skentropy._em import End, Run, State, _runs, best_of, rounding_error, run_em
from skentropy._em._acceleration import Path, Tail

RATIOS = np.exp(np.random.RandomState(0).normal(0.05, 0.6, size=500))  # p1(x) / p0(x)


class KnownDensities:
    """p(x) = (1 - w) p0(x) + w p1(x), in log-odds of w. Densities are measured against p0, which has entropy 0 then."""

    def maximize(self, statistics: Any) -> float:
        return float(np.clip(special.logit(statistics["q"].mean()), -30, 30))

    def elbo(self, statistics: Any) -> float:
        return float(statistics["log_likelihood"])

    def elbo_of_step(self, parameters: float, statistics: Any) -> float:
        q = statistics["q"]
        entropy = (special.entr(q) + special.entr(1 - q)).mean()
        log_joint = q * (special.log_expit(parameters) + np.log(RATIOS)) + (1 - q) * special.log_expit(-parameters)
        return float(entropy + log_joint.mean())

    def entropy_sum(self, parameters: float, statistics: Any) -> EntropySum:
        q, w = statistics["q"], special.expit(parameters)
        posterior = (special.entr(q) + special.entr(1 - q)).mean()
        return EntropySum(posterior, special.entr(w) + special.entr(1 - w), 0.0, (q * np.log(RATIOS)).mean())

    def magnitude(self, parameters: float, statistics: Any) -> float:
        return 2.0

    def log_prior(self, parameters: float, statistics: Any) -> float:
        return 0.0

    def pack(self, parameters: float) -> Any:
        return np.array([parameters])

    def unpack(self, vector: Any, like: float) -> float | None:
        return float(vector[0]) if abs(vector[0]) < 30 else None


def expect(parameters: float) -> dict[str, Any]:
    joint = np.array([special.expit(-parameters) * np.ones_like(RATIOS), special.expit(parameters) * RATIOS])
    return {"q": joint[1] / joint.sum(axis=0), "log_likelihood": np.log(joint.sum(axis=0)).mean()}


def maximum() -> float:
    found = optimize.minimize_scalar(
        lambda x: -expect(x)["log_likelihood"], bounds=(-5, 5), method="bounded", options={"xatol": 1e-10}
    )
    return float(-found.fun)


@pytest.mark.parametrize("accelerate", [True, False])
@pytest.mark.parametrize("start", [-8.0, -1.0, 0.0, 6.0])
def test_it_ends_within_tol_of_the_maximum(accelerate: bool, start: float) -> None:
    run = run_em(KnownDensities(), expect, start, tol=1e-9, max_iter=100_000, accelerate=accelerate)
    assert run.converged
    assert -1e-12 <= maximum() - run.state.elbo <= 2e-9
    sums = np.array([terms.value for terms in run.entropy_sums])
    bounds = np.array(run.lower_bounds)
    assert (sums <= bounds + 1e-14).all()
    assert (bounds[:-1] <= sums[1:] + 1e-14).all()
    assert run.n_iter == len(bounds) == len(sums)


def test_the_gap_of_a_run_is_what_its_entropy_sum_exceeds_the_bound_by() -> None:
    run = run_em(KnownDensities(), expect, -8.0, tol=0.0, max_iter=3)
    terms = run.entropy_sums[-1]
    told = run.attributes(terms)
    assert told["stationarity_gap_"] == terms.value - run.state.elbo
    assert told["lower_bound_"] == run.state.elbo == told["lower_bounds_"][-1]


def test_acceleration_pays() -> None:
    steps = [run_em(KnownDensities(), expect, -8.0, tol=1e-10, max_iter=10**5, accelerate=on).n_iter for on in (True, False)]
    assert 3 * steps[0] < steps[1]


def test_a_loose_look_at_the_last_step_would_have_stopped_too_early() -> None:
    """Where EM starts with tiny steps, their size says nothing of what is still to come."""
    run = run_em(KnownDensities(), expect, -16.0, tol=1e-6, max_iter=10**5, accelerate=False)
    assert run.lower_bounds[0] - expect(-16.0)["log_likelihood"] < 1e-6
    assert maximum() - run.state.elbo < 2e-6


def test_max_iter_and_watchers_end_a_run() -> None:
    class Stop:
        ended = False

        def on_step(self, run: Run) -> bool:
            return run.n_iter == 3

        def on_end(self, run: Run) -> None:
            self.ended = True

    watcher = Stop()
    assert run_em(KnownDensities(), expect, -8.0, tol=0.0, max_iter=100, watcher=watcher).n_iter == 3
    assert watcher.ended
    for max_iter in (0, 1, 2, 5):
        run = run_em(KnownDensities(), expect, -8.0, tol=0.0, max_iter=max_iter)
        assert run.n_iter == max_iter
        assert not run.converged
        assert run.state.elbo == expect(run.state.parameters)["log_likelihood"]


class Reckless(KnownDensities):
    """Its extrapolations all lead to nothing."""

    def unpack(self, vector: Any, like: float) -> float:
        return -30.0


def test_an_extrapolation_that_falls_behind_is_refused() -> None:
    run = run_em(Reckless(), expect, -3.0, tol=1e-8, max_iter=500)
    assert (np.diff(run.lower_bounds) >= -1e-14).all()
    assert run.state.parameters > -3.0


@pytest.mark.parametrize("hand_over", range(4, 12))
def test_an_extrapolation_on_trial_is_not_handed_over(hand_over: int) -> None:
    taken: list[float] = []

    def finish(state: State, evaluate: Any) -> End:
        taken.append(state.parameters)
        return End(state, goes_on=False)

    run = run_em(Reckless(), expect, -0.5, tol=0.0, max_iter=hand_over, hand_over=hand_over, finish=[finish])
    assert run.n_iter == hand_over
    assert taken == [run.state.parameters]
    assert taken[0] > -0.6


class Overconfident:
    """A Newton method that says at once that nothing is missing."""

    def pays(self, n_steps: int) -> bool:
        return True

    def propose(self, state: State, evaluate: Any) -> tuple[float | None, float]:
        return None, 0.0

    def keep(self) -> None: ...

    def refuse(self) -> None: ...


def test_an_estimate_that_an_em_step_contradicts_is_not_believed() -> None:
    run = run_em(KnownDensities(), expect, -3.0, tol=1e-10, max_iter=1000, newton=Overconfident())
    assert run.converged
    assert maximum() - run.state.objective < 1e-9


def test_the_best_of_several_runs_is_kept() -> None:
    runs = {init: run_em(KnownDensities(), expect, float(init), tol=0.0, max_iter=init) for init in range(4)}
    best = best_of(lambda init: runs[init], 4, 1)
    assert best.state.objective == max(run.state.objective for run in runs.values())


@pytest.mark.parametrize(
    ("objectives", "tol", "chosen"),
    [
        ((-2.0, -1.0 - 1e-14, -1.0), 0.0, 1),
        ((-2.0, -1.0 - 1e-8, -1.0), 1e-7, 1),
        ((-2.0, -1.0 - 1e-8, -1.0), 0.0, 2),
        ((-2.0, -1.0 - 1e-4, -1.0), 1e-2, 2),
        ((-2e9, -1e9 - 5e-4, -1e9), 0.0, 1),
        ((-2.0, -0.995e-12, 0.0), 0.0, 1),
        ((-2.0, -1.005e-12, 0.0), 0.0, 2),
        ((-np.inf, -np.inf, np.nan), 0.0, 0),
        ((np.nan, -3.0, -2.0), 0.0, 2),
    ],
)
def test_ties_go_to_the_first_run(objectives: tuple[float, ...], tol: float, chosen: int) -> None:
    runs = [Run(State(None, None, value, value), converged=True) for value in objectives]
    assert best_of(lambda init: runs[init], len(runs), 1, tol=tol) is runs[chosen]


def test_of_equals_the_first_that_converged_is_taken() -> None:
    runs = [Run(State(None, None, -1.0, -1.0), converged=converged) for converged in (False, True, True)]
    assert best_of(lambda init: runs[init], 3, 1) is runs[1]


@pytest.mark.parametrize(("n_jobs", "n_threads"), [(2, 2), (8, 3)])
def test_no_more_threads_than_runs(monkeypatch: pytest.MonkeyPatch, n_jobs: int, n_threads: int) -> None:
    asked = []

    def parallel(**options: Any) -> Any:
        asked.append(options["n_jobs"])
        return lambda tasks: [function(*arguments) for function, arguments, _ in tasks]

    monkeypatch.setattr(_runs, "Parallel", parallel)
    best_of(lambda init: Run(State(None, None, -1.0, -1.0)), 3, n_jobs)
    assert asked == [n_threads]


class Quadratic:
    """-|x|^2 / 2, of which EM's steps leave so much of each coordinate, and gain what they do for fixed posteriors."""

    def __init__(self, rates: Any) -> None:
        self.rates = rates

    def maximize(self, statistics: Any) -> Any:
        return self.rates * statistics

    def elbo(self, statistics: Any) -> float:
        return float(-0.5 * statistics @ statistics)

    def elbo_of_step(self, parameters: Any, statistics: Any) -> float:
        return self.elbo(statistics) + 0.5 * float((1.0 - self.rates) @ statistics**2)

    def entropy_sum(self, parameters: Any, statistics: Any) -> EntropySum:
        return EntropySum(self.elbo_of_step(parameters, statistics), 0.0, 0.0)

    def magnitude(self, parameters: Any, statistics: Any) -> float:
        return 1e-3

    def log_prior(self, parameters: Any, statistics: Any) -> float:
        return 0.0

    def pack(self, parameters: Any) -> Any:
        return parameters

    def unpack(self, vector: Any, like: Any) -> Any:
        return vector


def test_a_step_has_itself_to_come_at_least() -> None:
    """However short the way to the end is estimated to be; and two steps in a row must say that it is the end."""
    tail = Tail(1.0)
    assert [tail.ends(gain, 0.5, 0.0) for gain in (0.995, 0.995, 1.005, 0.995, 0.995)] == [False, True, False, False, True]


@pytest.mark.parametrize("seed", [0, 1, 2, 9, 11, 17])
def test_single_steps_do_not_hide_the_slowest_direction(seed: int) -> None:
    """While the fast directions last, a single step can say that there is nothing to come along the slow one."""
    rng = np.random.RandomState(seed)
    rates = np.array([0.99, *rng.uniform(0.0, 0.9, size=3)])
    start = rng.normal(size=4)
    start[0] = 0.1
    run = run_em(Quadratic(rates), lambda x: x, start, tol=1e-4, max_iter=3000, accelerate=False)
    assert run.converged
    assert 0.0 <= -run.state.elbo <= 1e-4


class Linear:
    """What a path needs of a model of three numbers; it refuses as many extrapolations as it is told to."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals

    def pack(self, parameters: Any) -> Any:
        return parameters

    def unpack(self, vector: Any, like: Any) -> Any:
        self.refusals -= 1
        return None if self.refusals >= 0 else vector


END = np.array([1.0, -2.0, 0.5])


def straight(rates: list[float], n_steps: int = 5, **options: Any) -> tuple[Path, Any, Any]:
    """A path whose distance from the end shrinks by these rates, with the last point and where its step has led."""
    path, x, after = Path(cast(Any, Linear(**options))), np.array([3.0, 1.0, 2.0]), np.zeros(3)
    for _ in range(n_steps):
        point, after = x, END + np.array(rates) * (x - END)
        path.extend(point, after, kept=False)
        x = after
    return path, point, after


def test_a_path_of_linear_steps_leads_to_its_end() -> None:
    path, point, after = straight([0.9, 0.5, 0.2])
    found: Any = path.extrapolate(after)
    np.testing.assert_allclose(found, END, atol=1e-9)
    expected = np.linalg.norm(END - point) / np.linalg.norm(after - point)
    assert path.stretch() == pytest.approx(expected, rel=1e-9)
    assert straight([0.9, 0.5, 0.2], n_steps=1)[0].stretch() is None
    for rate in (1.1, 1.005, 0.995):  # above one it leaves a saddle point
        assert (straight([rate, 0.5, 0.2])[0].extrapolate(after) is None) == (rate > 1.0)
    still = Path(cast(Any, Linear()))
    for _ in range(3):
        still.extend(END, END, kept=False)
    assert still.stretch() == 1.0


def test_refused_extrapolations_shorten_the_next() -> None:
    path, point, after = straight([0.9, 0.5, 0.2])

    def share() -> float:
        moved = path.extrapolate(after)
        assert moved is not None
        return float(np.linalg.norm(moved - after) / np.linalg.norm(END - after))

    shares = [share()]
    for _ in range(5):
        path.refuse()
        shares.append(share())
    np.testing.assert_allclose(shares, [1.0, 0.25, 0.0625, 0.015625, 0.01, 0.01], rtol=1e-7)
    for expected in (0.04, 0.16, 0.64, 1.0, 1.0):
        path.extend(point, after, kept=True)
        assert path._share == pytest.approx(expected)
    for refusals in (1, 2, 4):  # outside of the domain
        path, _, after = straight([0.9, 0.5, 0.2], refusals=refusals)
        assert share() == pytest.approx(0.25**refusals, rel=1e-7)
    path, _, after = straight([0.9, 0.5, 0.2], refusals=5)
    assert path.extrapolate(after) is None
    path, _, after = straight([0.9, 0.5, 0.2])
    for share_left in (1.005e-3, 0.995e-3):  # none is shorter than a thousandth
        path._share = share_left
        assert (path.extrapolate(after) is None) == (share_left < 1e-3)


def test_a_slow_direction_is_remembered_for_six_steps() -> None:
    tail = Tail(1.0)
    stretches = [100.0] + 7 * [1.0]
    assert [tail.ends(0.05, stretch, 0.0) for stretch in stretches] == [False] * 7 + [True]


class WithPrior(KnownDensities):
    """The same with a prior of w, w (1 - w) to the power of a fifth of the number of rows."""

    strength = 0.2

    def maximize(self, statistics: Any) -> float:
        return float(special.logit((statistics["q"].mean() + self.strength) / (1.0 + 2.0 * self.strength)))

    def log_prior(self, parameters: float, statistics: Any) -> float:
        return float(self.strength * (special.log_expit(parameters) + special.log_expit(-parameters)))


@pytest.mark.parametrize("accelerate", [True, False])
def test_with_a_prior_the_likeliest_posterior_is_found(accelerate: bool) -> None:
    model = WithPrior()

    def objective(x: float) -> float:
        return float(expect(x)["log_likelihood"] + model.log_prior(x, None))

    run = run_em(model, expect, -3.0, tol=1e-9, max_iter=1000, accelerate=accelerate)
    best = optimize.minimize_scalar(lambda x: -objective(x), bounds=(-5, 5), method="bounded", options={"xatol": 1e-10})
    assert run.converged
    assert run.state.objective == pytest.approx(-best.fun, abs=1e-8)
    assert run.state.objective == pytest.approx(objective(run.state.parameters), rel=1e-14)
    assert run.lower_bounds[-1] == run.state.elbo == expect(run.state.parameters)["log_likelihood"]
    assert maximum() - run.state.elbo > 1e-4  # where the likelihood alone is lower


def test_a_run_that_is_always_told_to_go_on_ends() -> None:
    calls = []

    def goes_on(state: State, evaluate: Any) -> End:
        calls.append(state)
        return End(state, goes_on=True)

    run = run_em(KnownDensities(), expect, 0.0, tol=1e-2, max_iter=10_000, finish=(goes_on,))
    assert len(calls) == 21
    assert not run.converged


def test_a_run_that_has_ended_too_early_is_more_careful() -> None:
    def missing(n_times: int) -> float:
        left = [n_times]

        def goes_on(state: State, evaluate: Any) -> End:
            left[0] -= 1
            return End(state, goes_on=left[0] >= 0)

        options: Any = {"tol": 1e-3, "max_iter": 10_000, "accelerate": False, "finish": (goes_on,)}
        return maximum() - run_em(KnownDensities(), expect, -3.0, **options).state.elbo

    assert missing(0) > 3e-5
    for n_times in (1, 2, 3):
        assert missing(n_times) < 2.0 * 0.1**n_times * 1e-3
    assert missing(3) < 0.01 * missing(0)


def test_the_rounding_error_of_a_bound_is_a_share_of_what_it_adds_up() -> None:
    class Larger(Quadratic):
        def magnitude(self, parameters: Any, statistics: Any) -> float:
            return 1e3

    small, large = (rounding_error(model, None, None) for model in (Quadratic(0.5), Larger(0.5)))
    assert 0.0 < small < 1e-17
    assert large == pytest.approx(1e6 * small)


@pytest.mark.parametrize(("behind", "kept"), [(0.5, True), (1.5, False)])
def test_an_extrapolation_that_falls_behind_by_rounding_is_kept(behind: float, kept: bool) -> None:
    """The bound of a step from x is -0.45 x^2 here, and rounding errors are as large as 1e-4."""
    plain = 0.9 * (start := 0.063)
    reached = np.sqrt(plain**2 + behind * 1e-4 / 0.45)

    class Rounded(Quadratic):
        def magnitude(self, parameters: Any, statistics: Any) -> float:
            return 1e-4 * Quadratic.magnitude(self, None, None) / rounding_error(Quadratic(0.9), None, None)

        def unpack(self, vector: Any, like: Any) -> Any:
            return np.array([reached])

    run = run_em(Rounded(np.array([0.9])), lambda x: x, np.array([start]), tol=0.0, max_iter=3)
    np.testing.assert_allclose(run.state.parameters, 0.9 * (reached if kept else plain), rtol=1e-12)


@pytest.mark.parametrize("restarts", [0, 1, 2])
def test_a_run_ends_once_two_steps_say_that_nothing_is_to_come(restarts: int) -> None:
    """What is to come at x is x^2 / 2, and x falls by a tenth a step; each end that was too early asks for a tenth."""
    left = [restarts]

    def goes_on(state: State, evaluate: Any) -> End:
        left[0] -= 1
        return End(state, goes_on=left[0] >= 0)

    tol = 0.5 * 0.81**15 / 0.1005
    for place, start in (("loose", np.array([1.0])), ("strict", np.array([1e-3]))):
        asked = tol * start[0] ** 2
        run = run_em(
            Quadratic(np.array([0.9])), lambda x: x, start, tol=asked, max_iter=999, accelerate=False, finish=(goes_on,)
        )
        to_come = 0.5 * start[0] ** 2 * 0.81 ** np.arange(200)
        first = int(np.flatnonzero(to_come <= 0.1**restarts * asked)[0])
        assert run.n_iter == first + 2, place
        left[0] = restarts


def test_newtons_method_that_says_that_less_than_tol_is_missing_has_one_step_left() -> None:
    class Near(Overconfident):
        def propose(self, state: State, evaluate: Any) -> tuple[Any | None, float]:
            return None, 0.9e-3

    options: Any = {"tol": 1e-3, "max_iter": 99, "newton": Near(), "newton_gate": np.inf}
    run = run_em(Quadratic(np.array([0.5])), lambda x: x, np.array([0.05]), **options)
    assert (run.converged, run.n_iter) == (True, 1)
