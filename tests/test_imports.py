"""The package's modules import each other in no circle, and the data layer nothing of the estimators."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import skentropy

ROOT = Path(skentropy.__file__).parent


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in ROOT.rglob("*.py")}


def imports_of(module: str, path: Path) -> set[str]:
    """The modules of the package that one imports, also those that its functions import when they are called.

    What is imported for annotations alone does not count.
    """
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    imported = set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            names = {f"{source}.{alias.name}" for alias in node.names}
            submodules = names & MODULES.keys()
            imported |= submodules | ({source} if names - submodules else set())
    return (imported & MODULES.keys()) - {module}


IMPORTS = {module: imports_of(module, path) for module, path in MODULES.items()}


def test_there_is_no_circle() -> None:
    try:
        TopologicalSorter(IMPORTS).prepare()
    except CycleError as error:
        raise AssertionError(" <- ".join(error.args[1])) from None


def test_a_circle_would_be_noticed() -> None:
    assert IMPORTS["skentropy._data"] >= {"skentropy._data._blocks", "skentropy._data._reading"}
    assert "skentropy._data._dask" in IMPORTS["skentropy._data._reading"]


def test_the_data_layer_stands_by_itself() -> None:
    for module, imported in IMPORTS.items():
        if module.startswith("skentropy._data"):
            assert all(name.startswith("skentropy._data") or name == "skentropy._typing" for name in imported), module
