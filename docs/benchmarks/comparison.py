"""The seconds that each program needs to the same log-likelihood, and what else there is to say of its fit."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from common import OwnMemory, clock, fresh, is_installed, table
from grading import PARAMETERS, plain_em
from programs import PROGRAMS, Problem, Program, skentropy_factors, skentropy_pca

# How far below the reference the target is, nats a sample.
SHORT_OF = 1e-6
# Gradients below this say that a fit that does not reach the target has another end.
STATIONARY = 1e-5
# Steps after which a program that is too slow to be run to the end is compared with plain EM.
FEW = 3
COLUMNS = ["program", "wall s", "CPU s", "ratio", "steps", "log-likelihood", "gap", "gradient", "memory MB", "remark"]
EXPLANATION = (
    f"Each program is given the steps that it needs to come within {SHORT_OF:g} nats a sample of the reference, found by "
    "bisection to 1%, and a fit of so many steps is timed: the fastest of up to five, in a process of its own. Ratio: wall "
    "seconds by those of the first row that gets there. Log-likelihood (nats a sample), gap (how far below the reference) and "
    "gradient (largest entry, of the mean log-likelihood, in coordinates without units) of all programs are computed by one "
    "function that uses NumPy and SciPy alone. For a program that does not get there the table shows the longest fit that was tried. "
    "Memory: the peak of a fit beyond what the process held before, data and imports included."
)


@dataclass
class Reference:
    """Where the common way leads: its log-likelihood, plain EM's steps to the target, and where it is after a few."""

    value: float
    steps: int
    after_few: float

    @property
    def target(self) -> float:
        return self.value - SHORT_OF


def find_reference(path: str) -> dict[str, Any]:
    """The end of plain EM from the common start, or the best fit of a model that has no common start."""
    problem = Problem.load(path)
    if problem.family in PARAMETERS:
        values = np.array(plain_em(problem.family, problem.X, problem.start))
        return {"value": values[-1], "steps": int(np.argmax(values >= values[-1] - SHORT_OF)), "after_few": values[FEW]}
    fit = skentropy_factors(problem, gtol=1e-9) if problem.family == "factors" else skentropy_pca(problem, "covariance_eigh")
    return {"value": problem.grade(fit(0))[0], "steps": 0, "after_few": 0.0}


def measure(path: str, name: str, reference: dict[str, Any], limit: float) -> dict[str, Any]:
    """One program, in this process: see ``EXPLANATION``."""
    problem, goal = Problem.load(path), Reference(**reference)
    program = next(own for own in PROGRAMS if own.name == name and own.does(problem))
    fit = program.prepare(problem)
    guess = goal.steps if program.steps == "EM" else 1
    with OwnMemory(0.001) as memory:
        _, first, _ = clock(partial(fit, 1), at_most=1)
        if first < 1.0 and program.steps:
            _, first, _ = clock(partial(fit, 1), seconds=0.5)  # the very first call prepares what others find prepared
            fit(min(20, max(guess, 5)))
    if program.steps is None:
        outcome = attempt(problem, fit, 0, repeat=True)
    elif program.steps == "EM" and first * guess > 0.5 * limit and guess > FEW:
        outcome = extrapolate(problem, fit, goal)
    else:
        outcome = search(problem, fit, goal, guess, limit)
    return {**outcome, "memory": memory.growth}


def attempt(problem: Problem, fit: Any, steps: int, *, repeat: bool = False) -> dict[str, Any]:
    result, wall, cpu = clock(partial(fit, steps), at_most=5 if repeat else 1)
    value, gradient = problem.grade(result)
    return {"steps": steps, "wall": wall, "cpu": cpu, "value": value, "gradient": gradient}


def extrapolate(problem: Problem, fit: Any, goal: Reference) -> dict[str, Any]:
    """Plain EM's steps at the price of the first few, if these lead to where plain EM is."""
    one, few = (attempt(problem, fit, steps) for steps in (1, FEW))
    if not abs(few["value"] - goal.after_few) < SHORT_OF:
        return {**few, "remark": "too slow to be run to the end, and not where plain EM is"}
    seconds = {name: one[name] + (few[name] - one[name]) / (FEW - 1) * (goal.steps - 1) for name in ("wall", "cpu")}
    remark = f"priced as the first {FEW} steps, which are plain EM's"
    return {"steps": goal.steps, **seconds, "extrapolated": True, "remark": remark}


def search(problem: Problem, fit: Any, goal: Reference, guess: int, limit: float) -> dict[str, Any]:
    """The fewest steps that reach the target, to 1%."""
    tries: dict[int, dict[str, Any]] = {}

    def falls_short(steps: int) -> bool:
        tries[steps] = attempt(problem, fit, steps)
        return not tries[steps]["value"] >= goal.target

    low, high = 0, guess
    while falls_short(high):
        last, spent = tries[high], sum(own["wall"] for own in tries.values())
        if not np.isfinite(last["value"]):
            return {**last, "remark": "its parameters become NaN"}
        if high > goal.steps and low and last["value"] - tries[low]["value"] < 1e-3 * (goal.target - last["value"]):
            return {**last, "remark": "ends elsewhere, below" if last["gradient"] < STATIONARY else "does not come nearer"}
        if spent + 2.0 * last["wall"] > 2.0 * limit:
            return {**last, "remark": f"not there after {last['wall']:.0f} s"}
        low, high = high, 2 * high
    middle = high - 1  # most often the guess was right
    while high - low > max(1.0, 0.01 * high) and sum(own["wall"] for own in tries.values()) < 3.0 * limit:
        if falls_short(middle):
            low = middle
        else:
            high = middle
        middle = (low + high) // 2
    return attempt(problem, fit, high, repeat=True)


def compare(problem: Problem, limit: float) -> Iterator[str]:
    """The table of one problem."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "problem.npz"
        problem.save(path)
        reference = fresh(find_reference, str(path))
        yield f"Reference: {reference['value']:.8f} nats a sample.\n"
        yield from table(COLUMNS, _rows(problem, str(path), reference, limit))


def _rows(problem: Problem, path: str, reference: dict[str, Any], limit: float) -> Iterator[list[str]]:
    base = None
    for program in PROGRAMS:
        if not (program.does(problem) and is_installed(program.package)):
            continue
        try:
            outcome = fresh(measure, path, program.name, reference, limit, limit=4.0 * limit + 10.0)
        except RuntimeError as error:
            yield [program.name, *[""] * (len(COLUMNS) - 2), str(error)]
            continue
        if base is None and outcome.get("value", -np.inf) >= reference["value"] - SHORT_OF:
            base = outcome["wall"]
        yield _row(program, outcome, Reference(**reference), base)


def _row(program: Program, outcome: dict[str, Any], goal: Reference, base: float | None) -> list[str]:
    about = "≈ " if outcome.get("extrapolated") else ""
    gap = goal.value - outcome["value"] if "value" in outcome else np.nan
    remark = outcome.get("remark", "")
    if not remark and gap > SHORT_OF:
        remark = "ends below"
    elif not remark and gap < -SHORT_OF:
        remark = "goes to a higher end"
    reached = about or gap <= SHORT_OF
    seconds = [f"{about}{outcome[name]:.3g}" for name in ("wall", "cpu")]
    ratio = f"{about}{outcome['wall'] / base:.3g}" if reached and base else ""
    quality = ["", "", ""] if about else [f"{outcome['value']:.7f}", f"{gap:.0e}", f"{outcome['gradient']:.0e}"]
    return [program.name, *seconds, ratio, str(outcome["steps"] or ""), *quality, f"{outcome['memory'] / 1e6:.1f}", remark]
