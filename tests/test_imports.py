"""The house: no circle among modules, no private names across packages, no warning that counts calls."""

from __future__ import annotations

import ast
from collections.abc import Iterator
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


def package_of(module: str) -> str:
    return ".".join(module.split(".")[:2]) if MODULES[module].parent != ROOT else "skentropy"


TREES = {module: ast.parse(path.read_text(encoding="utf-8")) for module, path in MODULES.items()}


def names_made(tree: ast.Module) -> Iterator[str]:
    """Names of functions, classes, variables and attributes that a module makes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr


def names_used(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Private names of other objects than ``self``, read as attributes, by ``getattr`` or ``hasattr``, or imported."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) not in ("self", "cls", "super()"):
            yield node.attr, node.lineno
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr") and len(node.args) > 1:
            name = node.args[1]
            yield (str(name.value) if isinstance(name, ast.Constant) else ""), node.lineno


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def test_private_names_stay_in_their_package() -> None:
    """What one package reads of another's objects is public; scikit-learn's and Dask's names are theirs."""
    made: dict[str, set[str]] = {}
    for module, tree in TREES.items():
        for name in filter(is_private, names_made(tree)):
            made.setdefault(name, set()).add(package_of(module))
    crossing = [
        f"{module}, line {line}: {name} of {', '.join(sorted(made[name]))}"
        for module, tree in TREES.items()
        for name, line in names_used(tree)
        if is_private(name) and name in made and package_of(module) not in made[name]
    ]
    assert "_map_rows" in made
    # Not the number of parameters of a factor model, but of scikit-learn's mixture.
    assert [place for place in crossing if "_n_parameters" not in place] == []


def test_no_two_modules_of_a_package_have_nearly_one_name() -> None:
    """Such as ``_check`` beside ``_checks``, which a reader of an import mixes up."""
    names = {module.removesuffix("s") for module in MODULES}
    assert len(names) == len(MODULES)


def test_no_warning_counts_the_calls_above_it() -> None:
    places = [
        f"{module}, line {node.lineno}"
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "stacklevel" and module != "skentropy._messages"
    ]
    assert places == []


def test_the_data_layer_stands_by_itself() -> None:
    for module, imported in IMPORTS.items():
        if module.startswith("skentropy._data"):
            assert all(name.startswith("skentropy._data") or name == "skentropy._typing" for name in imported), module
