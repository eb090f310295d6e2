"""Data larger than memory: peak memory and time as rows grow, from a memory map and from a stream; and Dask beside threads.

Run ``python docs/benchmarks/bench_large.py`` (about ten minutes; needs 3 GB of disk); it prints the tables and writes
results_large.md beside itself. Memory is what a process holds of its own, without the pages of mapped files.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import sklearn

SIZES = [10**5, 10**6, 10**7, int(10**7.5)]
COLUMNS, COMPONENTS, STEPS, BLOCK = 20, 5, 10, 65536


def write(path: Path, n: int) -> None:
    """Counts of five kinds of rows, in single precision."""
    rates = np.random.default_rng(0).gamma(2.0, 3.0, size=(COMPONENTS, COLUMNS))
    table = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(n, COLUMNS))
    for seed, start in enumerate(range(0, n, BLOCK)):
        rng = np.random.default_rng(seed)
        rows = min(BLOCK, n - start)
        table[start : start + rows] = rng.poisson(rates[rng.integers(COMPONENTS, size=rows)])
    table.flush()


class OwnMemory(threading.Thread):
    """The largest anonymous memory of this process while it runs, in bytes."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak, self.running = 0, True

    def run(self) -> None:
        while self.running:
            lines = Path("/proc/self/status").read_text().splitlines()
            self.peak = max(self.peak, *(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon")))
            time.sleep(0.005)


def fit_once(path: str, kind: str) -> dict[str, float]:
    """One fit of some steps: seconds, and what memory it took."""
    from skentropy import PoissonMixture, RowBlocks

    warnings.simplefilter("ignore")
    table = np.load(path, mmap_mode="r")

    def read():
        return (table[start : start + BLOCK] for start in range(0, len(table), BLOCK))

    X = table if kind == "memmap" else RowBlocks(read)
    memory = OwnMemory()
    memory.start()
    mixture = PoissonMixture(COMPONENTS, tol=0.0, max_iter=STEPS, accelerate=False, random_state=0)
    start = time.perf_counter()
    mixture.fit(X)
    seconds = time.perf_counter() - start
    memory.running = False
    memory.join()
    return {"seconds": seconds, "peak": memory.peak, "bound": mixture.lower_bound_}


def in_process(path: Path, kind: str) -> dict[str, float]:
    """``fit_once`` in a fresh process with one BLAS thread."""
    command = [sys.executable, __file__, "--fit", str(path), kind]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)


def growth_table(folder: Path):
    yield f"## PoissonMixture({COMPONENTS}), rows x {COLUMNS} in single precision, {STEPS} EM steps\n"
    yield "| source | rows | file MB | peak memory MB | fit s | ns a row and step, starts included | lower bound |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for n in SIZES:
        path = folder / f"{n}.npy"
        write(path, n)
        for kind in ("memmap", "stream"):
            r = in_process(path, kind)
            numbers = f"{path.stat().st_size / 1e6:.0f} | {r['peak'] / 1e6:.0f} | {r['seconds']:.2f} | {1e9 * r['seconds'] / n / STEPS:.0f}"
            yield f"| {kind} | {n:,} | {numbers} | {r['bound']:.9f} |"
        path.unlink()


def dask_table():
    import dask.array as da
    from distributed import Client, LocalCluster, wait

    from skentropy import PoissonMixture

    n, d, steps = 10**6, 50, 20
    rng = np.random.default_rng(0)
    rates = rng.gamma(200.0, 0.05, size=(10, d))  # near to each other: EM takes all the steps it is given
    X = rng.poisson(rates[rng.integers(10, size=n)]).astype(float)
    options = {"tol": 0.0, "accelerate": False, "random_state": 0}

    def step_of(data, n_jobs):
        """Seconds of one step: the difference between fits of more and of fewer."""
        seconds, taken = [], []
        for max_iter in (1, 1 + steps):
            start = time.perf_counter()
            mixture = PoissonMixture(10, max_iter=max_iter, n_jobs=n_jobs, **options).fit(data)
            seconds.append(time.perf_counter() - start)
            taken.append(mixture.n_iter_)
        return (seconds[1] - seconds[0]) / (taken[1] - taken[0]), mixture.lower_bound_

    yield f"\n## One EM step of PoissonMixture(10) on {n:,} x {d}: 8 Dask partitions on 2 workers beside threads\n"
    yield "The least of five runs each, in turns.\n"
    yield "| | s a step | ratio | lower bound |"
    yield "| --- | --- | --- | --- |"
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        sent = client.persist(da.from_array(X, chunks=(n // 8, d)))
        made = client.persist(sent.map_blocks(np.copy))
        wait([sent, made])
        cases = {
            "n_jobs=2, in memory": (X, 2),
            "n_jobs=1, in memory": (X, 1),
            "Dask, partitions sent from this process": (sent, None),
            "Dask, partitions made by the workers": (made, None),
        }
        turns = [[step_of(*case) for case in cases.values()] for _ in range(5)]
    best = [min(turn[number] for turn in turns) for number in range(len(cases))]
    for name, (seconds, bound) in zip(cases, best, strict=True):
        yield f"| {name} | {seconds:.3f} | {seconds / best[0][0]:.2f} | {bound:.10f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fit", nargs=2, help="run one fit and print its result as JSON")
    arguments = parser.parse_args()
    if arguments.fit:
        print(json.dumps(fit_once(*arguments.fit)))
        return
    warnings.simplefilter("ignore")
    lines = [
        "# Data larger than memory\n",
        f"Python {platform.python_version()}, NumPy {np.__version__}, scikit-learn {sklearn.__version__}; one BLAS thread.\n",
    ]
    print("\n".join(lines))
    with tempfile.TemporaryDirectory() as folder:
        for table in (growth_table(Path(folder)), dask_table()):
            for line in table:
                print(line, flush=True)
                lines.append(line)
    (Path(__file__).parent / "results_large.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
