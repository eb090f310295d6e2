"""The mutation check covers the package."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from tests import mutate


def test_every_module_has_tests_or_a_reason_to_be_left_out() -> None:
    assert set(mutate.TARGETS) | set(mutate.LEFT_OUT) == set(mutate.modules())
    assert all(mutate.LEFT_OUT.values())
    for path, places in mutate.TARGETS.items():
        assert places, path
        assert all((mutate.ROOT / place).exists() for place in places), path


def test_constants_of_mutants_hold_classes_that_others_know() -> None:
    class Known:
        value = 1.0

    new = type("Known", (), {"value": 2.0})
    held = new()
    constants = mutate._as_imported({"a": new, "b": held, "c": 3.0}, {id(new): Known})
    assert constants == {"a": Known, "b": held, "c": 3.0}
    assert type(held) is Known


def test_what_decorators_wrap_is_replaced() -> None:
    def wrapped_by_decorator(value: float) -> Callable[[], float]:
        def function() -> float:
            return value

        @wraps(function)
        def wrapper() -> float:
            return function()

        return wrapper

    old, new = wrapped_by_decorator(1.0), wrapped_by_decorator(1.0)
    inside: Any = [vars(function)["__wrapped__"] for function in (old, new)]
    inside[1].__code__ = inside[1].__code__.replace(co_name="new")
    assert mutate._replace_code(old, new, __name__)
    assert inside[0].__code__.co_name == "new"


def test_explained_survivors_are_of_modules_that_are_covered() -> None:
    tables = tomllib.loads(mutate.SURVIVORS.read_text())["survivors"]
    assert {table["module"] for table in tables} <= set(mutate.TARGETS)
    assert Path(mutate.RESULTS).exists()
