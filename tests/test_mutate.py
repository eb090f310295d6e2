"""The mutation check covers the package."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Callable
from functools import singledispatch, wraps
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


def test_what_is_chosen_by_types_is_replaced() -> None:
    def dispatched(factor: str) -> Any:
        namespace: dict[str, Any] = {"singledispatch": singledispatch}
        source = "@singledispatch\ndef f(x): return x\n@f.register(int)\ndef _(x): return 2 * x\n"
        source += f"@f.register(str)\ndef _(x): return {factor} * x\n"
        exec(source, namespace)
        return namespace["f"]

    old, new = dispatched("3"), dispatched("4")
    assert mutate._replace_code(old, new, __name__)
    assert (old(2.0), old(2), old("a")) == (2.0, 4, "aaaa")


def test_explained_survivors_are_mutants() -> None:
    """Not those of a formula, a function or a module that is no longer there, or has another name."""
    tables = tomllib.loads(mutate.SURVIVORS.read_text())["survivors"]
    modules = {table["module"] for table in tables}
    assert modules <= set(mutate.TARGETS)
    assert set(mutate.explanations()) <= {str(mutant) for module in modules for mutant in mutate.mutants(module)}
    assert Path(mutate.RESULTS).exists()


def test_constants_are_tried_with_the_tests_that_run_what_reads_them() -> None:
    tree = ast.parse("_A = 0.1\n_B = 0.2\nC = 0.3\n_D = _B\ndef f():\n    return _A + _B\ndef g(x=_B):\n    return C - _A")
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    inside = {id(node) for function in functions for part in function.body for node in ast.walk(part)}
    lines = mutate._lines_of_constants(tree, inside)
    values = {node.value: lines.get(id(node)) for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert values == {0.1: [6, 8], 0.2: None, 0.3: None}


def test_a_mutant_is_one_change_of_its_module() -> None:
    for mutant in mutate.mutants("skentropy/mixture/_draw.py"):
        before, after = (ast.dump(ast.parse(source)) for source in (mutant.original, mutant.source))
        assert before != after
        assert mutant in {mutant: "a key"}
        # The survey of which test runs which line takes the module as it is, line by line.
        assert mutate.Mutant(mutant.path, "", (), mutant.original).source == mutant.original


def test_test_functions_take_turns() -> None:
    assert mutate.alternated(["f[0]", "f[1]", "g", "f[2]", "h[0]", "h[1]"]) == ["f[0]", "g", "h[0]", "f[1]", "h[1]", "f[2]"]
