"""The public names and their signatures, written down so that no change touches one unknowingly.

``python tests/test_public_api.py`` writes ``tests/public_api.txt`` anew; what it changes belongs into the changelog.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import skentropy

ROOT = Path(__file__).parents[1]
WRITTEN = Path(__file__).with_name("public_api.txt")
MODULES = ("", "decomposition", "entropy", "families", "inspection", "mixture", "model_selection", "neural_network")


def public_names() -> dict[str, Any]:
    """Every public name, by the shortest path that imports it, and what it is."""
    found: dict[str, Any] = {}
    for module_name in MODULES:
        module = importlib.import_module(f"skentropy.{module_name}".rstrip("."))
        for name in module.__all__:
            thing = getattr(module, name)
            if not any(thing is other for other in found.values()):
                found[f"{module_name}.{name}".lstrip(".")] = thing
    return found


def signature(thing: Any) -> str:
    parts = inspect.signature(thing)
    plain = [p.replace(annotation=inspect.Parameter.empty) for p in parts.parameters.values() if p.name != "self"]
    return re.sub(r" at 0x[0-9a-f]+", "", str(parts.replace(parameters=plain, return_annotation=inspect.Signature.empty)))


def members(thing: type) -> Iterator[str]:
    """The public methods and properties of a class, but for those that scikit-learn or Python gave it."""
    for name, member in sorted(inspect.getmembers_static(thing)):
        function = getattr(member, "fget", None) or getattr(member, "func", None) or getattr(member, "__func__", member)
        function = getattr(function, "fn", function)  # scikit-learn's available_if
        if name.startswith("_") or not getattr(function, "__module__", "").startswith("skentropy"):
            continue
        is_method = inspect.isfunction(function) and not isinstance(member, property) and not hasattr(member, "func")
        yield name + (signature(getattr(thing, name)) if is_method else "")


def public_api() -> list[str]:
    lines: list[str] = []
    names = public_names()
    for name, thing in sorted(names.items()):
        if inspect.isclass(thing):
            lines.append(name + signature(thing))
            inherited = {m for base in thing.__mro__[1:] if base in names.values() for m in members(base)}
            lines += [f"{name}.{member}" for member in members(thing) if member not in inherited]
        else:
            lines.append(name + (signature(thing) if callable(thing) else ""))
    return lines


def test_public_api_is_what_is_written_down() -> None:
    written, found = set(WRITTEN.read_text(encoding="utf-8").splitlines()), set(public_api())
    differences = sorted(f"+ {line}" for line in found - written) + sorted(f"- {line}" for line in written - found)
    assert not differences, "\n".join(
        ["Run `python tests/test_public_api.py`; say in CHANGELOG.md what changed:", *differences]
    )


def test_reference_has_every_public_name() -> None:
    page = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    listed = re.findall(r"^   ([A-Za-z_.]+)$", page, re.MULTILINE)
    assert len(listed) == len(set(listed))
    assert set(listed) == {name for name, thing in public_names().items() if callable(thing)}


def test_every_public_thing_says_what_it_is() -> None:
    assert [name for name, thing in public_names().items() if callable(thing) and not inspect.getdoc(thing)] == []
    assert skentropy.__version__


if __name__ == "__main__":
    WRITTEN.write_text("\n".join(public_api()) + "\n", encoding="utf-8")
