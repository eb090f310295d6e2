"""Does the test suite notice a wrong formula? Not part of the suite: run ``python tests/mutate.py``.

A formula is what ends up in a number that users see: every arithmetic operator, sign, decimal constant, whole number that
is an operand, logarithm, exponential, minimum and maximum of the modules below. Each is made wrong, one at a time, in a copy
of the project, and of the tests that are about its module those that run its line are run. Left alone are default values,
which are arguments and not formulas, and decimal constants below a thousandth or above a thousand, which are tolerances and
limits.

A mutant that no test notices must be explained in ``survivors.toml``. Exits with 1 if one is not, if one that is explained
there is noticed, or if fewer than 95% are noticed. A whole run writes ``docs/benchmarks/results_mutation.md``.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import tomllib
import traceback
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[1]
SURVIVORS = ROOT / "tests/survivors.toml"
RESULTS = ROOT / "docs/benchmarks/results_mutation.md"
ENOUGH = 0.95
# What a test may take at most.
CPU_SECONDS = 60.0
PYTEST = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:faulthandler", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
FAMILIES = ["skentropy/families", "tests/families", "tests/mixture/test_identity.py", "tests/mixture/test_reference.py"]
MIXTURES = ["skentropy/mixture", "tests/mixture", "tests/test_estimators.py"]
GAUSSIAN = ["skentropy/decomposition", "tests/decomposition", "tests/test_estimators.py"]
NETS = ["skentropy/neural_network", "tests/neural_network", "tests/test_estimators.py"]
SELECTION = ["skentropy/model_selection", "tests/model_selection"]
# Modules with formulas, and the tests that should notice. Modules that check, sample, read or draw have none.
TARGETS = {
    **{
        f"skentropy/families/_{name}.py": FAMILIES
        for name in [
            *("bernoulli", "beta", "binomial", "categorical", "exponential", "gamma", "gaussian", "geometric"),
            *("inverse_gaussian", "log_normal", "negative_binomial", "nodes", "base", "poisson", "special"),
        ]
    },
    "skentropy/entropy.py": ["tests/test_entropy.py", *MIXTURES],
    "skentropy/mixture/_model.py": MIXTURES,
    **{
        f"skentropy/decomposition/_{name}.py": GAUSSIAN
        for name in ["gaussian", "em_model", "ppca", "profile", "spectrum", "moments", "information"]
    },
    **{
        f"skentropy/neural_network/_{name}.py": NETS
        for name in ["layers", "exact", "model", "logistic", "truncated", "polish"]
    },
    "skentropy/_sklearn_models.py": SELECTION,
    "skentropy/model_selection/_ranking.py": SELECTION,
    "skentropy/model_selection/_jacobian.py": SELECTION,
}


@dataclass(frozen=True)
class Mutant:
    """A module with one formula made wrong; the lines are those that a test must run to notice."""

    path: str
    name: str
    lines: range
    source: str
    original: str

    @property
    def key(self) -> str:
        """What tells it from all others, also from the same change of another version of the module."""
        return hashlib.sha1((self.original + str(self)).encode()).hexdigest()

    def __str__(self) -> str:
        return f"{self.path}: {self.name}"


def mutants(path: str) -> Iterator[Mutant]:
    """Every mutant of a module."""
    source = (ROOT / path).read_text()
    seen: Counter[str] = Counter()
    for index, (node, function) in enumerate(_nodes(ast.parse(source))):
        for way in _ways(node):
            tree = ast.parse(source)
            before = ast.unparse(node)
            changed = _nodes(tree)[index][0]
            way(changed)
            name = f"{function}: {before}  ->  {ast.unparse(changed)}"
            seen[name] += 1
            name += f"  ({seen[name]})" if seen[name] > 1 else ""
            yield Mutant(path, name, range(node.lineno, node.end_lineno + 1), ast.unparse(tree), source)


def _nodes(tree: ast.AST, function: str = "") -> list[tuple[Any, str]]:
    """What a module computes, in order, each with the function that it is in; without default values and what is raised."""
    if isinstance(tree, ast.Raise | ast.arguments):
        return []
    if isinstance(tree, ast.FunctionDef | ast.ClassDef):
        function = f"{function}.{tree.name}".lstrip(".")
    return [(tree, function), *(pair for child in ast.iter_child_nodes(tree) for pair in _nodes(child, function))]


OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult}
FUNCTIONS = {"log": "exp", "log1p": "expm1", "minimum": "maximum", "min": "max"}
FUNCTIONS |= {after: before for before, after in FUNCTIONS.items()}


def _ways(node: ast.AST) -> Iterator[Any]:
    """Functions that make a node wrong in place."""
    if isinstance(node, ast.BinOp | ast.AugAssign) and not _joins_text(node):
        if type(node.op) in OPERATORS:
            yield lambda node: setattr(node, "op", OPERATORS[type(node.op)]())
        if isinstance(node.op, ast.MatMult) and isinstance(node, ast.BinOp):
            yield lambda node: setattr(node, "left", ast.UnaryOp(ast.USub(), node.left))
        for side in ("left", "right", "value"):
            if _is_whole(getattr(node, side, None)):
                yield lambda node, side=side: setattr(node, side, ast.Constant(getattr(node, side).value + 1))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and not _is_whole(node.operand):
        yield lambda node: setattr(node, "op", ast.UAdd())
    if isinstance(node, ast.Constant) and type(node.value) is float:
        if node.value == 0.0:
            yield lambda node: setattr(node, "value", 0.01)
        elif 1e-3 <= node.value <= 1e3:
            yield lambda node: setattr(node, "value", 1.01 * node.value)
    if isinstance(node, ast.Attribute) and node.attr in FUNCTIONS:
        yield lambda node: setattr(node, "attr", FUNCTIONS[node.attr])
    if isinstance(node, ast.Name) and node.id in {"min", "max"}:
        yield lambda node: setattr(node, "id", FUNCTIONS[node.id])


def _is_whole(node: Any) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int


def _joins_text(node: Any) -> bool:
    sides = [getattr(node, side) for side in ("left", "right", "value") if hasattr(node, side)]
    return any(
        isinstance(side, ast.JoinedStr | ast.List | ast.Tuple)
        or (isinstance(side, ast.Constant) and isinstance(side.value, str))
        for side in sides
    )


class Watch:
    """A pytest plugin: which tests are run, in which order, how much CPU time each may take, and which of them fails."""

    TIME_OUT = 99

    def __init__(self, chosen: list[str]) -> None:
        self.rank = {test: rank for rank, test in enumerate(chosen)}
        self.test = self.failed = ""

    def limit(self, test: str = "") -> None:
        self.test = test
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = sorted((item for item in items if item.nodeid in self.rank), key=lambda item: self.rank[item.nodeid])

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.limit(nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self.failed = report.nodeid


class Survey:
    """A pytest plugin: how long each test takes, and which lines of the modules it runs."""

    def __init__(self, coverage: Any) -> None:
        self.coverage = coverage
        self.seconds: dict[str, float] = defaultdict(float)
        self.shared: list[str] = []

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        # What a fixture of several tests has run is known of the first of them alone.
        for item in items:
            fixtures = getattr(getattr(item, "_fixtureinfo", None), "name2fixturedefs", {}).values()
            if any(fixture.scope != "function" for definitions in fixtures for fixture in definitions):
                self.shared.append(item.nodeid)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.coverage.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.seconds[report.nodeid] += report.duration


def enter(folder: Path) -> None:
    """Make this process one that runs the tests of a copy of the project."""
    os.chdir(folder)
    os.environ["PYTHONPATH"] = sys.path[0] = str(folder)
    output = os.open(folder / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)


def survey(folder: Path, tests: list[str]) -> None:
    """Run tests with the formulas as they are."""
    import coverage
    import pytest

    enter(folder)
    tracer = coverage.Coverage(data_file=None, source=[str(folder / "skentropy")], config_file=False)
    plugin = Survey(tracer)
    tracer.start()
    status = int(pytest.main([*PYTEST, *tests], plugins=[plugin]))
    tracer.stop()
    data = tracer.get_data()
    lines = {path: data.contexts_by_lineno(str(folder / path)) for path in TARGETS}
    (folder / "result").write_text(json.dumps([status, plugin.seconds, plugin.shared, lines]))


def try_mutant(folder: Path, rooms: list[str], first: list[str], chosen: list[str]) -> None:
    """Run the first tests alone, which spares the others being collected, and then all."""
    import pytest

    enter(folder)
    # The byte code of two mutants written within a second is taken for the same.
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.dont_write_bytecode = True
    watch = Watch([*first, *chosen])

    def leave(status: int) -> NoReturn:
        (folder / "result").write_text(json.dumps([status, watch.failed or watch.test]))
        os._exit(0)

    # CPU time does not go on while the process is stopped.
    signal.signal(signal.SIGPROF, lambda *_: leave(Watch.TIME_OUT))
    watch.limit()
    status = int(pytest.main([*PYTEST, *first], plugins=[watch])) if first else 0
    watch.rank = {test: rank for test, rank in watch.rank.items() if test not in first}
    leave(status or int(pytest.main([*PYTEST, *rooms], plugins=[watch])))


def start(task: Any, folder: Path, *arguments: Any) -> int:
    """Id of a process that does a task. It is forked, so that what was imported here need not be imported again."""
    (folder / "result").unlink(missing_ok=True)
    process = os.fork()
    if not process:
        try:
            task(folder, *arguments)
        except BaseException:
            (folder / "output").write_text(traceback.format_exc())
        os._exit(0)
    return process


def check(work: list[Mutant], scratch: Path, jobs: int) -> Iterator[tuple[Mutant, str]]:
    """What becomes of every mutant: the test that noticed, "time-out: " and the test that hung, or "" if it survived."""
    clean = scratch / "clean"
    for name in ("skentropy", "tests", "docs", "examples"):
        shutil.copytree(ROOT / name, clean / name)
    for name in ("pyproject.toml", "setup.cfg", "README.md", "CHANGELOG.md"):
        shutil.copy2(ROOT / name, clean / name)
    os.waitpid(start(survey, clean, sorted({room for mutant in work for room in TARGETS[mutant.path]})), 0)
    if not (clean / "result").exists():
        sys.exit((clean / "output").read_text())
    status, seconds, shared, lines = json.loads((clean / "result").read_text())
    if status:
        sys.exit(f"With the formulas as they are, tests fail:\n{(clean / 'output').read_text()}")
    free = [scratch / str(job) for job in range(jobs)]
    for folder in free:
        shutil.copytree(clean, folder)
    print(f"{len(seconds)} tests, {sum(seconds.values()):.0f} s", flush=True)

    def choose(mutant: Mutant) -> list[str]:
        """The tests of a mutant, the quickest first."""
        chosen = {test for line in mutant.lines for test in lines[mutant.path].get(str(line), [])}
        chosen = set(seconds) if "" in chosen else chosen | set(shared)  # "": what is run on import
        return sorted(
            (test for test in chosen if any(test.startswith(room) for room in TARGETS[mutant.path])), key=seconds.__getitem__
        )

    noticed_last: dict[str, list[str]] = defaultdict(list)
    running: dict[int, tuple[Path, Mutant]] = {}
    work = list(reversed(work))
    while work or running:
        if work and free:
            mutant, folder = work.pop(), free.pop()
            (folder / mutant.path).write_text(mutant.source)
            chosen = choose(mutant)
            first = [test for test in noticed_last[mutant.path] if test in chosen][:6]
            running[start(try_mutant, folder, TARGETS[mutant.path], first, chosen)] = folder, mutant
            continue
        process, _ = os.wait()
        folder, mutant = running.pop(process)
        if not (folder / "result").exists():
            sys.exit(f"{mutant}: {(folder / 'output').read_text()}")
        status, test = json.loads((folder / "result").read_text())
        if status == 1:
            noticed_last[mutant.path] = [test, *(other for other in noticed_last[mutant.path] if other != test)]
        # 5: no test was left to run. Others: the module cannot be imported, or tests cannot be collected from it.
        yield mutant, {0: "", 5: "", 1: test, Watch.TIME_OUT: f"time-out: {test}"}.get(status, "import")
        shutil.copy2(clean / mutant.path, folder / mutant.path)
        free.append(folder)


def explanations() -> dict[str, str]:
    """Why no test can, or need, notice a mutant."""
    tables = tomllib.loads(SURVIVORS.read_text())["survivors"]
    return {
        f"{table['module']}: {line.strip()}": " ".join(table["why"].split())
        for table in tables
        for line in table["mutants"].strip().splitlines()
    }


def write_results(outcome: dict[Mutant, str], why: dict[str, str]) -> None:
    """The results for readers, as Markdown."""
    rows, reasons = [], defaultdict(list)
    for path in TARGETS:
        noticed_by = {mutant: noticed for mutant, noticed in outcome.items() if mutant.path == path}
        survivors = [mutant for mutant, noticed in noticed_by.items() if not noticed]
        time_outs = sum(noticed.startswith("time-out") for noticed in noticed_by.values())
        rows.append((path.removeprefix("skentropy/"), len(noticed_by), len(noticed_by) - len(survivors), time_outs))
        for mutant in survivors:
            reasons[path, why.get(str(mutant), "Not explained.")].append(mutant.name)
    total = tuple(sum(row[column] for row in rows) for column in (1, 2, 3))
    lines = [
        "# Does the test suite notice a wrong formula?",
        "",
        f"Of {total[0]} wrong formulas {total[1]} are noticed, {total[1] / total[0]:.1%}; those that are not are explained.",
        "`python tests/mutate.py` makes operators, signs and constants wrong, one at a time, and runs the tests;",
        "its first lines say what counts as a formula.",
        "",
        "| module | mutants | noticed | of these by a test that exceeded its CPU time |",
        "| --- | ---: | ---: | ---: |",
        *(f"| `{name}` | {mutants} | {noticed} | {time_outs} |" for name, mutants, noticed, time_outs in rows),
        f"| all | {total[0]} | {total[1]} | {total[2]} |",
        "",
        "## Those that are not noticed",
    ]
    shown = ""
    for (path, reason), names in reasons.items():
        if path != shown:
            lines += ["", f"### `{path.removeprefix('skentropy/')}`"]
            shown = path
        lines += ["", reason, "", *(f"- `{' '.join(name.split())}`" for name in names)]
    RESULTS.write_text("\n".join([*lines, ""]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", default="", help="only mutants with this in their module's path or their text")
    parser.add_argument("--explained", action="store_true", help="only those that are explained as survivors")
    parser.add_argument("--sample", type=int, help="as many mutants, drawn at random, instead of all")
    parser.add_argument("--resume", type=Path, help="file to write outcomes to; what was noticed there is not tried again")
    parser.add_argument("--list", action="store_true", help="list the mutants and run nothing")
    arguments = parser.parse_args()
    why = explanations()
    everything = [mutant for path in TARGETS for mutant in mutants(path)]
    work = [m for m in everything if arguments.only in str(m) and (not arguments.explained or str(m) in why)]
    if arguments.sample:
        work = random.Random(0).sample(work, min(arguments.sample, len(work)))
    print(f"{len(work)} mutants", flush=True)
    if arguments.list:
        print(*work, sep="\n")
        return

    # What tests import besides the package, once for all mutants.
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    for name in ("hypothesis", "pandas", "scipy.optimize", "scipy.stats", "sklearn.datasets", "sklearn.mixture"):
        importlib.import_module(name)
    importlib.import_module("sklearn.utils.estimator_checks")
    outcome = {}
    if arguments.resume and arguments.resume.exists():
        known = dict(json.loads(line) for line in arguments.resume.read_text().splitlines())
        outcome = {mutant: known[mutant.key] for mutant in work if known.get(mutant.key)}
    with tempfile.TemporaryDirectory() as scratch:
        for mutant, noticed in check([m for m in work if m not in outcome], Path(scratch), arguments.jobs):
            outcome[mutant] = noticed
            print(f"{len(outcome):5d}  {noticed or 'SURVIVED':60.60s}  {mutant}", flush=True)
            if arguments.resume:
                with arguments.resume.open("a") as file:
                    print(json.dumps([mutant.key, noticed]), file=file)

    survivors = {str(mutant) for mutant, noticed in outcome.items() if not noticed}
    wrong = {
        "Survivors without an explanation": survivors - set(why),
        "Explained as survivors, but noticed": set(why) & {str(mutant) for mutant in outcome} - survivors,
        "Explained as survivors, but no mutants": set(why) - {str(mutant) for mutant in everything},
    }
    for title, names in wrong.items():
        if names:
            print(f"\n{title}:", *sorted(names), sep="\n  ")
    if len(outcome) == len(everything):
        write_results(outcome, why)
    share = 1.0 - len(survivors) / len(outcome)
    print(f"\nnoticed: {len(outcome) - len(survivors)} of {len(outcome)}, {share:.1%}")
    if any(wrong.values()) or share < ENOUGH:
        sys.exit(1)


if __name__ == "__main__":
    main()
