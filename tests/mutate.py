"""Does the test suite notice a wrong formula? Not part of the suite: run ``python tests/mutate.py``.

Every sum, difference, product, quotient, sign and decimal constant of the formulas below is made wrong, one at a time, in a
copy of the project, and the tests that are about it are run. What no test notices is listed.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).parents[1]
FAMILIES = ["tests/families", "tests/mixture/test_identity.py", "tests/mixture/test_reference.py"]
MIXTURES = ["tests/mixture/test_identity.py", "tests/mixture/test_reference.py", "tests/test_estimators.py"]
GAUSSIAN = ["tests/decomposition", "tests/test_estimators.py"]
NETS = ["tests/neural_network", "tests/test_estimators.py"]
# Files with formulas, and the tests that should notice. Files that check, sample or read are not formulas.
TARGETS = {
    **{
        f"skentropy/families/_{name}.py": FAMILIES
        for name in [
            *("bernoulli", "beta", "binomial", "categorical", "exponential", "gamma", "gaussian", "geometric"),
            *("inverse_gaussian", "log_normal", "negative_binomial", "poisson", "special"),
        ]
    },
    "skentropy/entropy.py": ["tests/test_entropy.py", *MIXTURES],
    "skentropy/mixture/_model.py": MIXTURES,
    "skentropy/decomposition/_gaussian.py": GAUSSIAN,
    "skentropy/decomposition/_em_model.py": GAUSSIAN,
    **{
        f"skentropy/decomposition/_{name}.py": GAUSSIAN for name in ["ppca", "profile", "spectrum", "moments", "information"]
    },
    **{
        f"skentropy/neural_network/_{name}.py": NETS
        for name in ["layers", "exact", "model", "logistic", "truncated", "polish"]
    },
    **{f"skentropy/{name}.py": ["tests/model_selection"] for name in ["_sklearn_models", "model_selection/_ranking"]},
    "skentropy/model_selection/_jacobian.py": ["tests/model_selection"],
}
SWAPS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}


def mutants(source: str) -> Iterator[tuple[int, str, str]]:
    """Line, description and source of every mutant of a module."""
    nodes = list(ast.walk(ast.parse(source)))
    for index in range(len(nodes)):
        tree = ast.parse(source)
        node = list(ast.walk(tree))[index]
        description = mutate(node)
        if description:
            yield node.lineno, description, ast.unparse(tree)  # type: ignore[attr-defined]


def mutate(node: ast.AST) -> str:
    """Make a node wrong in place, and say how; empty if there is nothing to be made wrong."""
    before = ast.unparse(node) if isinstance(node, ast.expr | ast.stmt) else ""
    if isinstance(node, ast.BinOp | ast.AugAssign) and type(node.op) in SWAPS and not _joins_text(node):
        node.op = SWAPS[type(node.op)]()
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
        node.op = ast.UAdd()
    elif isinstance(node, ast.Constant) and isinstance(node.value, float) and 1e-3 < abs(node.value) < 1e3:
        node.value *= 1.01
    else:
        return ""
    return f"{before}  ->  {ast.unparse(node)}"


def _joins_text(node: ast.BinOp | ast.AugAssign) -> bool:
    sides = [node.left, node.right] if isinstance(node, ast.BinOp) else [node.value]
    return any(
        isinstance(side, ast.JoinedStr | ast.List | ast.Tuple)
        or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in sides
    )


def survives(folder: Path, path: str, source: str, tests: list[str]) -> bool:
    """Whether all tests pass with a mutant in the place of a module."""
    original = (folder / path).read_text()
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    try:
        (folder / path).write_text(source)
        environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=900, check=False)
        if run.returncode not in (0, 1):
            raise RuntimeError(f"pytest could not run:\n{run.stdout}\n{run.stderr}")
        return run.returncode == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        (folder / path).write_text(original)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sample", type=int, help="as many mutants, drawn at random, instead of all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="only files with this in their path")
    arguments = parser.parse_args()
    work = [
        (path, line, text, source, tests)
        for path, tests in TARGETS.items()
        if arguments.only in path
        for line, text, source in mutants((ROOT / path).read_text())
    ]
    print(f"{len(work)} mutants")
    if arguments.sample:
        work = random.Random(0).sample(work, min(arguments.sample, len(work)))
    folders: Queue[Path] = Queue()
    survivors = []
    with tempfile.TemporaryDirectory() as scratch:
        for job in range(arguments.jobs):
            folder = Path(scratch) / str(job)
            for name in ("skentropy", "tests", "docs", "examples", "pyproject.toml", "setup.cfg", "README.md"):
                copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
                folder.mkdir(exist_ok=True)
                copy(ROOT / name, folder / name)
            folders.put(folder)

        for path, tests in sorted({path: tests for path, _, _, _, tests in work}.items()):
            folder = folders.get()
            if not survives(folder, path, (ROOT / path).read_text(), tests):
                sys.exit(f"{' '.join(tests)}: these tests fail with {path} as it is.")
            folders.put(folder)

        def check(item: tuple[str, int, str, str, list[str]]) -> None:
            path, line, text, source, tests = item
            folder = folders.get()
            try:
                if survives(folder, path, source, tests):
                    survivors.append(f"{path}:{line}: {text}")
                    print("survivor:", survivors[-1], flush=True)
            finally:
                folders.put(folder)

        with ThreadPoolExecutor(arguments.jobs) as pool:
            list(pool.map(check, work))
    print(f"noticed: {len(work) - len(survivors)} of {len(work)}")


if __name__ == "__main__":
    main()
