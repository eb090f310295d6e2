"""What all benchmarks share: the clock, memory, processes of their own, versions, tables.

Run as a script, which ``fresh`` does, it calls one function of a module beside it and prints the result as JSON.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# Programs by the names of their modules, and what they are distributed as.
PACKAGES = {
    "skentropy": "skentropy",
    "sklearn": "scikit-learn",
    "pomegranate": "pomegranate",
    "torch": "torch",
    "pythae": "pythae",
    "stepmix": "stepmix",
    "hmmlearn": "hmmlearn",
    "factor_analyzer": "factor_analyzer",
    "statsmodels": "statsmodels",
    "dask": "dask",
    "distributed": "distributed",
}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def clock(function: Callable[[], Any], *, at_most: int = 5, seconds: float = 2.0) -> tuple[Any, float, float]:
    """Result, wall seconds and CPU seconds of the fastest of several calls: as many as fit into so many seconds, or one."""
    best: tuple[Any, float, float] | None = None
    started = time.perf_counter()
    for _ in range(at_most):
        wall, cpu = time.perf_counter(), time.process_time()
        result = function()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        if best is None or wall < best[1]:
            best = result, wall, cpu
        if time.perf_counter() - started + wall > seconds:
            break
    assert best is not None
    return best


class OwnMemory:
    """The largest anonymous memory of this process inside a ``with``, in bytes: without the pages of mapped files.

    ``growth`` is what it had more than at the beginning.
    """

    def __init__(self, interval: float = 0.005) -> None:
        self._interval, self._over = interval, threading.Event()

    def __enter__(self) -> OwnMemory:
        self._before = self.peak = self._now()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        self._thread.join()

    @property
    def growth(self) -> int:
        return self.peak - self._before

    def _watch(self) -> None:
        while not self._over.wait(self._interval):
            self.peak = max(self.peak, self._now())

    @staticmethod
    def _now() -> int:
        status = Path("/proc/self/status")  # of Linux alone
        lines = status.read_text().splitlines() if status.exists() else []
        return next((1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


def fresh(function: Callable[..., Any], *arguments: Any, limit: float = 600.0) -> Any:
    """Call a function in a process of its own with one BLAS thread; a RuntimeError says why there is no result."""
    command = [sys.executable, __file__, function.__module__, function.__name__, json.dumps(arguments)]
    try:
        done = subprocess.run(
            command, env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, timeout=limit, check=False
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"stopped after {limit:.0f} s") from None
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["killed"])[-1][:120])
    return json.loads(done.stdout.strip().splitlines()[-1])


def is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def left_out(packages: Iterable[str]) -> Iterator[str]:
    """A line for each of these packages that is not installed."""
    for package in packages:
        if not is_installed(package):
            yield f'`{PACKAGES[package]}` is not installed and left out; `pip install ".[bench]"` installs it.\n'


def setting(*packages: str) -> str:
    """A line that says where, with what, and with how many threads."""
    names = ["numpy", "scipy", *(PACKAGES[package] for package in packages if is_installed(package))]
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names if name != "skentropy")
    skentropy = importlib.import_module("skentropy").__version__
    machine = f"{os.cpu_count()} cores ({platform.machine()})"
    return f"skentropy {skentropy}, {versions}, Python {platform.python_version()}; {machine}, BLAS and PyTorch held to one thread."


def table(columns: list[str], rows: Iterable[list[str]], *, text: int = 1) -> Iterator[str]:
    """A table in Markdown, line by line as its rows become known; the first columns, and remarks, are text."""
    is_text = [i < text or column == "remark" for i, column in enumerate(columns)]
    yield "| " + " | ".join(columns) + " |"
    yield "| " + " | ".join("---" if left else "---:" for left in is_text) + " |"
    for row in rows:
        yield "| " + " | ".join(row) + " |"
    yield ""


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    module, name, arguments = sys.argv[1:]
    print(json.dumps(getattr(importlib.import_module(module), name)(*json.loads(arguments))))
