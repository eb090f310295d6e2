"""The house: no module, class or function that is too long to be read at once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import skentropy

ROOT = Path(skentropy.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
# In lines; a function's docstring, which is longer the more arguments it explains, does not count.
LONGEST_MODULE, LONGEST_CLASS, LONGEST_FUNCTION = 400, 300, 50


def n_lines(node: ast.ClassDef | ast.FunctionDef) -> int:
    """Lines of a definition, those of decorators not among them."""
    assert node.end_lineno is not None
    lines = node.end_lineno - node.lineno + 1
    docstring = ast.get_docstring(node, clean=False)
    if isinstance(node, ast.FunctionDef) and docstring is not None:
        lines -= len(docstring.splitlines())
    return lines


def too_long(name: str, source: str) -> Iterator[str]:
    """What in a module is too long, with its number of lines."""
    size = len(source.splitlines())
    if size > LONGEST_MODULE:
        yield f"{name}: {size}"
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            limit = LONGEST_CLASS if isinstance(node, ast.ClassDef) else LONGEST_FUNCTION
            if (size := n_lines(node)) > limit:
                yield f"{name}, {node.name}: {size}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_too_long(path: Path) -> None:
    assert list(too_long(path.name, path.read_text(encoding="utf-8"))) == []


def test_what_is_too_long_would_be_noticed() -> None:
    body = "    x = 1\n"
    docstring = '    """A\n' + "    b\n" * 60 + '    """\n'
    assert list(too_long("a", "def f():\n" + docstring + body * 49)) == []
    assert list(too_long("a", "def f():\n" + docstring + body * 50)) == ["a, f: 51"]
    assert list(too_long("a", "class C:\n" + docstring + body * 236)) == []
    assert list(too_long("a", "class C:\n" + docstring + body * 238)) == ["a, C: 301"]
    assert list(too_long("a", "x = 1\n" * 401)) == ["a: 401"]
