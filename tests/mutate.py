"""Does the test suite notice a wrong formula? Not part of the suite: run ``python tests/mutate.py``.

A formula is what ends up in a number that users see: every arithmetic operator, sign, decimal constant, whole number that
is an operand, logarithm, exponential, minimum and maximum of the package, but for the few modules that ``LEFT_OUT`` lists.
Each is made wrong, one at a time, and of the tests that are about its module those that run its line are run. Left alone
are default values, which are arguments and not formulas, decimal constants below a thousandth or above a thousand, which
are tolerances and limits, whole numbers that stand alone, powers of whole numbers, such as 2**20, which are sizes,
``row_bytes``, by which blocks are cut, measured costs, by which a method is chosen, what joins texts or lists, and what
figures look like.

A mutant that no test notices must be explained in ``survivors.toml``: no number that users see depends on its formula.
Exits with 1 if one is not, if one that is explained there is noticed, or if fewer than 97% are noticed, explained ones
included. With ``--one-in 25`` one mutant in 25 of each module is tried, and at least one. A run over all modules writes
``docs/benchmarks/results_mutation.md``.
"""

from __future__ import annotations

import argparse
import ast
import copy
import hashlib
import importlib
import json
import math
import os
import random
import signal
import sys
import tempfile
import time
import tomllib
import traceback
import types
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SURVIVORS = ROOT / "tests/survivors.toml"
RESULTS = ROOT / "docs/benchmarks/results_mutation.md"
ENOUGH = 0.97
# Tests that take more CPU time are left out: what they alone would notice counts as not noticed.
LONGEST = 2.0
# How much CPU time a test may take with a mutant in the place of a module: so many seconds, and so many times its own.
CPU_SECONDS = 2.0
TIMES_SLOWER = 20.0
# The tests that should notice what is wrong in a module: those of the longest path that it begins with, and no others.
EVERY = ["tests/test_estimators.py", "tests/test_properties.py"]
ROOMS = {
    "skentropy/": ["tests/test_"],
    "skentropy/_em/": [
        "tests/test_em.py",
        "tests/test_information.py",
        "tests/test_checkpoint.py",
        "tests/test_interruption.py",
        "tests/mixture",
        "tests/decomposition",
    ],
    "skentropy/_data/_columns.py": ["tests/test_columns.py", "tests/mixture", "tests/decomposition"],
    "skentropy/_entropy_sum.py": ["tests/test_entropy.py", "tests/mixture"],
    "skentropy/entropy.py": ["tests/test_entropy.py", "tests/model_selection"],
    "skentropy/decomposition/": ["tests/decomposition", *EVERY],
    "skentropy/families/": ["tests/families", "tests/mixture/test_identity.py", "tests/mixture/test_reference.py"],
    "skentropy/inspection/": ["tests/inspection"],
    "skentropy/mixture/": ["tests/mixture", *EVERY],
    "skentropy/mixture/_gaussian.py": ["tests/mixture", "tests/model_selection/test_entropy_sum.py"],
    "skentropy/mixture/_standard_errors.py": ["tests/mixture", "tests/inspection/test_profile_display.py"],
    "skentropy/mixture/_one_more.py": ["tests/mixture", "tests/model_selection/test_bootstrap.py"],
    "skentropy/model_selection/": ["tests/model_selection"],
    "skentropy/neural_network/": ["tests/neural_network", *EVERY],
}
# What has formulas that no number of a user's depends on, and why nothing is gained by making them wrong.
LEFT_OUT = {
    "skentropy/_em/_monitor.py": "When progress is told, and how its lines look.",
    "skentropy/inspection/_axes.py": "How large figures are, and where legends lie.",
    "skentropy/families/_check_family.py": "It is a test itself, and tests/families/test_check_family.py makes it fail.",
}
# Tests that read the documentation or run benchmarks are about none of the modules.
ELSEWHERE = ("tests/test_docs.py", "tests/test_benchmarks.py", "tests/test_mutate.py")


def modules() -> list[str]:
    """All modules of the package, by path."""
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / "skentropy").rglob("*.py"))


def rooms(path: str) -> list[str]:
    """Files and folders with the tests that should notice what is wrong in a module."""
    places = ROOMS[max((beginning for beginning in ROOMS if path.startswith(beginning)), key=len)]
    files = [file for place in places for file in _files(place)]
    return [file for file in files if file not in ELSEWHERE]


def _files(place: str) -> list[str]:
    return [place] if (ROOT / place).exists() else sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(place + "*.py"))


# Every module but those that are left out, and the tests that should notice.
TARGETS = {path: rooms(path) for path in modules() if path not in LEFT_OUT}


@dataclass(frozen=True)
class Mutant:
    """A module with one formula made wrong; the lines are those that a test must run one of to notice, none on import."""

    path: str
    name: str
    lines: tuple[int, ...]
    original: str
    place: tuple[int, int] | None = None  # of the node, and of the way in which it is made wrong; None without any

    @property
    def source(self) -> str:
        """The module, made wrong; as it is, with its lines where they are, if there is no place to make wrong."""
        if self.place is None:
            return self.original
        tree = ast.parse(self.original)
        node, _ = _nodes(tree)[self.place[0]]
        list(_ways(node))[self.place[1]](node)
        return ast.unparse(tree)

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
    tree = ast.parse(source)
    in_functions = {
        id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for part in f.body for n in ast.walk(part)
    }
    of_constants = _lines_of_constants(tree, in_functions)
    for index, (node, function) in enumerate(_nodes(tree)):
        for number, way in enumerate(_ways(node)):
            inside = id(node) in in_functions
            lines = range(node.lineno, node.end_lineno + 1) if inside else of_constants.get(id(node), ())
            changed = copy.deepcopy(node)
            way(changed)
            name = f"{function}: {ast.unparse(node)}  ->  {ast.unparse(changed)}"
            seen[name] += 1
            name += f"  ({seen[name]})" if seen[name] > 1 else ""
            yield Mutant(path, name, tuple(lines), source, (index, number))


def _lines_of_constants(tree: ast.Module, in_functions: set[int]) -> dict[int, list[int]]:
    """For nodes of private constants, the lines of functions that read these, if no other constant does."""
    reads = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    outside = {node.id for node in reads if id(node) not in in_functions}
    lines = {}
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            names = {node.id for target in statement.targets for node in ast.walk(target) if isinstance(node, ast.Name)}
            if all(name.startswith("_") for name in names) and not names & outside:
                read = [node.lineno for node in reads if node.id in names]
                lines |= {id(node): read for node in ast.walk(statement)}
    return lines


def sample(everything: list[Mutant], one_in: int) -> list[Mutant]:
    """One in so many mutants of each module, and at least one; the draw of a module does not depend on the others."""
    chosen = []
    for path in TARGETS:
        ours = [mutant for mutant in everything if mutant.path == path]
        drawn = random.Random(path).sample(range(len(ours)), math.ceil(len(ours) / one_in))
        chosen += [ours[index] for index in sorted(drawn)]
    return chosen


def _nodes(tree: ast.AST, function: str = "") -> list[tuple[Any, str]]:
    """What a module computes, in order, each with the function that it is in; without default values and what is raised."""
    if isinstance(tree, ast.Raise | ast.arguments):
        return []
    if isinstance(tree, ast.FunctionDef) and tree.name.lstrip("_") in SIZES:
        return []
    if isinstance(tree, ast.keyword) and tree.arg in LOOKS:
        return []
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Attribute) and tree.func.attr in LAYOUT:
        return []
    if isinstance(tree, ast.FunctionDef | ast.ClassDef):
        function = f"{function}.{tree.name}".lstrip(".")
    children = list(ast.iter_child_nodes(tree))
    if isinstance(tree, ast.ClassDef):  # the defaults of a dataclass are arguments too
        children = [child for child in children if not isinstance(child, ast.AnnAssign)]
    return [(tree, function), *(pair for child in children for pair in _nodes(child, function))]


# Functions that say how much memory or time something takes, by which blocks are cut and methods chosen.
SIZES = ("row_bytes", "evaluation_row_bytes", "relative_cost", "row_cost")
# Arguments of functions that draw, and functions that make room.
LOOKS = ("alpha", "linewidth", "markersize", "color")
LAYOUT = ("set_size_inches", "margins", "update_datalim")
OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult}
FUNCTIONS = {"log": "exp", "log1p": "expm1", "minimum": "maximum", "min": "max"}
FUNCTIONS |= {after: before for before, after in FUNCTIONS.items()}


def _ways(node: ast.AST) -> Iterator[Any]:
    """Functions that make a node wrong in place."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and _is_whole(node.left) and _is_whole(node.right):
        return
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
        or (isinstance(side, ast.BinOp) and _joins_text(side))
        or (isinstance(side, ast.Call) and isinstance(side.func, ast.Attribute) and side.func.attr == "join")
        for side in sides
    )


def replace(mutant: Mutant) -> None:
    """Put a mutant in the place of its module, whose functions and constants others have imported by now."""
    name = mutant.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    module = importlib.import_module(name)
    wrong = {**vars(module)}
    exec(compile(mutant.source, module.__file__ or name, "exec"), wrong)
    changed = {key: value for key, value in vars(module).items() if not key.startswith("__") and value is not wrong[key]}
    in_place = {}
    for key, value in changed.items():
        if _replace_code(value, wrong[key], name):
            in_place[id(wrong[key])] = value
    for key, value in changed.items():
        if id(wrong[key]) not in in_place:
            for other in [other for path, other in sys.modules.items() if path.startswith("skentropy")]:
                if vars(other).get(key) is value:
                    setattr(other, key, _as_imported(wrong[key], in_place))


def _as_imported(value: Any, in_place: dict[int, Any]) -> Any:
    """A constant of a mutant whose classes, and those of what it holds, are those that others have imported."""
    if isinstance(value, dict):
        return {key: _as_imported(held, in_place) for key, held in value.items()}
    if id(type(value)) in in_place:
        object.__setattr__(value, "__class__", in_place[id(type(value))])
    return in_place.get(id(value), value)


def _replace_code(old: Any, new: Any, module: str) -> bool:
    """Whether it was code that could be replaced, of a function, or of all that is in a class."""
    if isinstance(old, types.FunctionType):
        old.__code__ = new.__code__
        if hasattr(old, "__wrapped__"):  # by a decorator
            _replace_code(old.__wrapped__, new.__wrapped__, module)
        for kind, of_kind in getattr(new, "registry", {}).items():  # of a function that dispatches by types
            _replace_code(old.registry[kind], of_kind, module)
        return True
    for inside in ("__func__", "fget", "func"):  # class methods, properties and cached properties
        if isinstance(getattr(old, inside, None), types.FunctionType):
            return _replace_code(getattr(old, inside), getattr(new, inside), module)
    if isinstance(old, type) and old.__module__ == module:
        for key, value in list(vars(old).items()):
            changed = vars(new).get(key, value)
            if not _replace_code(value, changed, module) and isinstance(value, int | float | tuple):
                setattr(old, key, changed)
        return True
    return False


class Mutation:
    """A pytest plugin: once the tests are collected they are run in a process of their own for every mutant.

    The processes are forked, so that nothing is imported or collected twice.
    """

    def __init__(self, work: list[Mutant], jobs: int, done: Callable[[Mutant, str], None]) -> None:
        self.work, self.jobs, self.done = list(reversed(work)), jobs, done
        self.reports: list[Any] = []

    def pytest_runtest_logreport(self, report: Any) -> None:
        self.reports.append(report)

    def pytest_runtestloop(self, session: Any) -> bool:
        import pytest

        items = {item.nodeid: item for item in session.items}
        with tempfile.TemporaryDirectory() as scratch:
            os.waitpid(self.start(self.survey, Path(scratch) / "survey", items), 0)
            failed, seconds, lines = json.loads((Path(scratch) / "survey").read_text())
            if failed:
                pytest.exit(f"With the formulas as they are, these tests fail: {failed}", returncode=1)
            print(f"{len(items)} tests, {sum(seconds.values()):.0f} s", flush=True)
            self.run(items, seconds, lines, Path(scratch))
        return True

    def start(self, task: Any, result: Path, items: dict[str, Any], *arguments: Any) -> int:
        """Id of a process that does a task and writes its result to a file."""
        process = os.fork()
        if process:
            return process
        try:
            self.result = result
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            result.write_text(json.dumps(task(items, *arguments)))
        except BaseException:
            traceback.print_exc()
        os._exit(0)

    def survey(self, items: dict[str, Any]) -> tuple[list[str], dict[str, float], dict[str, dict[int, list[str]]]]:
        """Failed tests, how long each takes, and which of them run each line of the modules."""
        import coverage

        paths = {mutant.path for mutant in self.work}
        for path in paths:  # to replace a module by itself changes nothing
            source = (ROOT / path).read_text()
            replace(Mutant(path, "", (), source))
        tracer = coverage.Coverage(data_file=None, source=[str(ROOT / "skentropy")], config_file=False)
        tracer.start()
        seconds = {}
        for item, after in zip(items.values(), [*list(items.values())[1:], None], strict=True):
            tracer.switch_context(item.nodeid)
            started = time.process_time()  # which other work on the machine does not lengthen
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            seconds[item.nodeid] = time.process_time() - started
        tracer.stop()
        data = tracer.get_data()
        lines = {path: data.contexts_by_lineno(str(ROOT / path)) for path in paths}
        return [report.nodeid for report in self.reports if report.failed], seconds, lines

    def run(self, items: dict[str, Any], seconds: dict[str, float], lines: Any, scratch: Path) -> None:
        # What a fixture of several tests has run is known of the first of them alone.
        shared = {test for test, item in items.items() if _has_shared_fixture(item)}
        noticed_last: dict[str, list[str]] = defaultdict(list)
        running: dict[int, Mutant] = {}
        while self.work or running:
            if self.work and len(running) < self.jobs:
                mutant = self.work.pop()
                chosen = {test for line in mutant.lines for test in lines[mutant.path].get(str(line), [])} & set(items)
                chosen |= shared if chosen else set()
                # A line that no test runs may have been run on import, as constants are.
                tests = [test for test in (chosen or items) if seconds[test] < LONGEST]
                tests = [test for test in tests if test.startswith(tuple(TARGETS[mutant.path]))]
                tests = alternated(sorted(tests, key=seconds.__getitem__))
                tests.sort(key=lambda test: test not in noticed_last[mutant.path][:6])
                limits = {test: CPU_SECONDS + TIMES_SLOWER * seconds[test] for test in tests}
                running[self.start(self.judge, scratch / mutant.key, items, mutant, limits)] = mutant
                continue
            process, _ = os.wait()
            mutant = running.pop(process)
            result = scratch / mutant.key
            # A process that did not come to write anything has crashed.
            verdict, test = json.loads(result.read_text()) if result.exists() else ("failed", "crash")
            if verdict == "failed":
                noticed_last[mutant.path] = [test, *(other for other in noticed_last[mutant.path] if other != test)]
            self.done(mutant, {"survived": "", "failed": test}.get(verdict, f"{verdict}: {test}"))

    def judge(self, items: dict[str, Any], mutant: Mutant, limits: dict[str, float]) -> tuple[str, str]:
        """What becomes of a mutant, and in which test; the limits are those of the tests' CPU time, in order."""
        signal.signal(signal.SIGPROF, self.time_out)
        self.limit("import", TIMES_SLOWER)
        try:
            replace(mutant)
        except Exception:
            return "failed", "import"
        for test, after in zip(limits, [*list(limits)[1:], None], strict=False):
            self.limit(test, limits[test])
            items[test].config.hook.pytest_runtest_protocol(item=items[test], nextitem=items.get(after))
            if any(report.failed for report in self.reports):
                return "failed", test
        return "survived", ""

    def limit(self, test: str, seconds: float) -> None:
        """Let a test have so much CPU time, which does not go on while the process is stopped."""
        self.test = test
        signal.setitimer(signal.ITIMER_PROF, seconds)

    def time_out(self, *_: Any) -> None:
        self.result.write_text(json.dumps(["time-out", self.test]))
        os._exit(0)


def alternated(tests: list[str]) -> list[str]:
    """The first of every test function, then the second of every, and so on: those of one notice much the same."""
    seen: Counter[str] = Counter()
    turn = {}
    for test in tests:
        function = test.partition("[")[0]
        turn[test] = seen[function]
        seen[function] += 1
    return sorted(tests, key=turn.__getitem__)


def _has_shared_fixture(item: Any) -> bool:
    fixtures = item._fixtureinfo.name2fixturedefs.values()
    return any(fixture.scope != "function" for definitions in fixtures for fixture in definitions)


def explanations() -> dict[str, str]:
    """Why no test can, or need, notice a mutant."""
    tables = tomllib.loads(SURVIVORS.read_text())["survivors"]
    return {
        f"{table['module']}: {line.strip()}": " ".join(table["why"].split())
        for table in tables
        for line in table["mutants"].strip().splitlines()
    }


def write_results(outcome: dict[Mutant, str], why: dict[str, str], n_mutants: Counter[str], one_in: int) -> None:
    """The results for readers, as Markdown; ``n_mutants`` counts those of each module, whether tried or not."""
    from scipy.stats import binomtest

    rows, reasons = [], defaultdict(list)
    for path in TARGETS:
        noticed_by = {mutant: noticed for mutant, noticed in outcome.items() if mutant.path == path}
        survivors = [mutant for mutant, noticed in noticed_by.items() if not noticed]
        time_outs = sum(noticed.startswith("time-out") for noticed in noticed_by.values())
        if not noticed_by:
            continue
        counts = (n_mutants[path], len(noticed_by), len(noticed_by) - len(survivors), time_outs)
        rows.append((path.removeprefix("skentropy/"), *counts))
        for mutant in survivors:
            reasons[path, why.get(str(mutant), "Not explained.")].append(mutant.name)
    everything, tried, noticed, time_outs = (sum(row[column] for row in rows) for column in (1, 2, 3, 4))
    command, summary = "python tests/mutate.py", [f"Of {tried} wrong formulas {noticed} are noticed, {noticed / tried:.1%}."]
    if one_in > 1:
        command += f" --one-in {one_in}"
        low, high = binomtest(noticed, tried).proportion_ci(method="exact")
        summary = [
            f"Of {everything} wrong formulas {tried} were drawn at random, one in {one_in} of each module and at least one;",
            f"{noticed} of them are noticed, {noticed / tried:.1%} (95% confidence interval {low:.1%} to {high:.1%}).",
        ]
    lines = [
        "# Does the test suite notice a wrong formula?",
        "",
        *summary,
        f"`{command}` makes operators, signs and constants wrong, one at a time, and runs the tests;",
        "its first lines say what counts as a formula.",
        "",
        "| module | mutants | tried | noticed | of these by a test that exceeded its CPU time |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(f"| `{row[0]}` | " + " | ".join(map(str, row[1:])) + " |" for row in rows),
        f"| all | {everything} | {tried} | {noticed} | {time_outs} |",
        "",
        "## Modules that are left out",
        "",
        *(f"- `{path.removeprefix('skentropy/')}`: {reason}" for path, reason in LEFT_OUT.items()),
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
    parser.add_argument("--one-in", type=int, default=1, help="one mutant in so many of each module, drawn at random")
    parser.add_argument("--resume", type=Path, help="file to write outcomes to; what was noticed there is not tried again")
    parser.add_argument("--list", action="store_true", help="list the mutants and run nothing")
    arguments = parser.parse_args()
    why = explanations()
    everything = [mutant for path in TARGETS for mutant in mutants(path)]
    drawn = sample(everything, arguments.one_in)
    work = [m for m in drawn if arguments.only in str(m) and (not arguments.explained or str(m) in why)]
    print(f"{len(work)} mutants", flush=True)
    if arguments.list:
        print(*work, sep="\n")
        return

    outcome = {}
    if arguments.resume and arguments.resume.exists():
        known = dict(json.loads(line) for line in arguments.resume.read_text().splitlines())
        outcome = {mutant: known[mutant.key] for mutant in work if known.get(mutant.key)}

    def done(mutant: Mutant, noticed: str) -> None:
        outcome[mutant] = noticed
        print(f"{len(outcome):5d}  {noticed or 'SURVIVED':60.60s}  {mutant}", flush=True)
        if arguments.resume:
            with arguments.resume.open("a") as file:
                print(json.dumps([mutant.key, noticed]), file=file)

    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    import pytest

    left = [mutant for mutant in work if mutant not in outcome]
    rooms = sorted({room for mutant in left for room in TARGETS[mutant.path]})
    if left:
        options = ["-q", "-s", "-p", "no:cacheprovider", "--numprocesses", "0"]
        pytest.main([*options, *rooms], plugins=[Mutation(left, arguments.jobs, done)])
    if len(outcome) < len(work):
        sys.exit("The tests could not be run.")

    survivors = {str(mutant) for mutant, noticed in outcome.items() if not noticed}
    wrong = {
        "Survivors without an explanation": survivors - set(why),
        "Explained as survivors, but noticed": set(why) & {str(mutant) for mutant in outcome} - survivors,
        "Explained as survivors, but no mutants": set(why) - {str(mutant) for mutant in everything},
    }
    for title, names in wrong.items():
        if names:
            print(f"\n{title}:", *sorted(names), sep="\n  ")
    if len(outcome) == len(drawn):
        write_results(outcome, why, Counter(mutant.path for mutant in everything), arguments.one_in)
    share = 1.0 - len(survivors) / len(outcome)
    print(f"\nnoticed: {len(outcome) - len(survivors)} of {len(outcome)}, {share:.1%}")
    if any(wrong.values()) or share < ENOUGH:
        sys.exit(1)


if __name__ == "__main__":
    main()
