"""Newton's steps: which of them are worth their cost, how far they go, and what becomes of those that are refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from skentropy.mixture._newton import Curvature, NewtonSteps


def unused(*_: Any) -> Any:
    raise AssertionError


class Flat(NewtonSteps):
    """Steps of a single logit along a slope without any curvature; ``tried`` is how far."""

    def __init__(self, slope: float, wall: float = np.inf) -> None:
        self.tried: list[float] = []

        def moved(parameters: Any, direction: Any) -> Any:
            self.tried.append(direction.item())
            return direction if direction.item() < wall else None

        model: Any = SimpleNamespace(components=SimpleNamespace(stride=lambda *_: 0.0), moved=moved)
        super().__init__(model, unused, 1, 1, 1)
        metric: Any = SimpleNamespace(of_weights=np.eye(1), directions=lambda z: z)
        self._flat = Curvature(metric, np.array([slope]), np.zeros(1), np.eye(1), 1.0)

    def curvature(self, state: Any, metric: Any = None) -> Curvature:
        return self._flat

    def step(self) -> float:
        state: Any = SimpleNamespace(parameters=SimpleNamespace(components=None), objective=0.0)
        self.propose(state, unused)
        return self.tried[-1]


def of_cost(cost: float) -> NewtonSteps:
    steps = Flat(0.0)
    steps._cost = cost
    return steps


@pytest.mark.parametrize(("cost", "pay"), [(4.99, True), (5.01, False)])
def test_steps_pay_once_em_has_taken_as_long_as_ten_that_save_three_em_steps_each(cost: float, pay: bool) -> None:
    assert of_cost(cost).pays(20) == pay


@pytest.mark.parametrize(("cost", "pays"), [(19.95, True), (20.05, False)])
def test_a_single_look_at_the_curvature_may_take_as_long_as_twenty_em_steps(cost: float, pays: bool) -> None:
    assert of_cost(cost).look_pays == pays


def test_where_nothing_is_curved_a_step_is_a_hundred_slopes_and_ten_times_longer_or_shorter_than_the_last() -> None:
    steps = Flat(1e-6)
    lengths = [steps.step()]
    for next_one in (steps.refuse, steps.keep, steps.keep):
        next_one()
        lengths.append(steps.step())
    np.testing.assert_allclose(lengths, [1e-4, 1e-5, 1e-4, 1e-3], rtol=1e-9)


def test_a_step_that_leaves_the_domain_is_halved_until_it_does_not() -> None:
    steps = Flat(2e-2, wall=0.3)
    assert steps.step() == pytest.approx(0.25, rel=1e-9)
    np.testing.assert_allclose(steps.tried, [2.0, 1.0, 0.5, 0.25], rtol=1e-9)
    assert Flat(0.0).step() == 0.0


@pytest.mark.parametrize(("slope", "length"), [(4.9e-2, 4.9), (5.1e-2, 5.0), (9.0, 5.0)])
def test_no_logit_moves_further_than_five(slope: float, length: float) -> None:
    assert Flat(slope).step() == pytest.approx(length, rel=1e-9)
