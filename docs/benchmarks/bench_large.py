"""Data larger than memory: peak memory and time as rows grow, from a memory map and from a stream; and Dask beside threads.

Needs 3 GB of disk. Memory is what a process holds of its own, without the pages of mapped files.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common import OwnMemory, clock, fresh, is_installed, left_out, setting, table

TITLE = "Data larger than memory"
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


def fit_once(path: str, kind: str) -> dict[str, float]:
    """One fit of some steps: seconds, and what memory it took."""
    from skentropy import PoissonMixture, RowBlocks

    rows = np.load(path, mmap_mode="r")

    def read():
        return (rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK))

    X = rows if kind == "memmap" else RowBlocks(read)
    mixture = PoissonMixture(COMPONENTS, tol=0.0, max_iter=STEPS, accelerate=False, random_state=0)
    with OwnMemory() as memory:
        _, seconds, _ = clock(lambda: mixture.fit(X), at_most=1)
    return {"seconds": seconds, "peak": memory.peak, "bound": mixture.lower_bound_}


def growth(sizes: list[int]) -> Iterator[list[str]]:
    for n in sizes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "rows.npy"
            write(path, n)
            for kind in ("memmap", "stream"):
                r = fresh(fit_once, str(path), kind)
                megabytes = [f"{path.stat().st_size / 1e6:.0f}", f"{r['peak'] / 1e6:.0f}"]
                seconds = [f"{r['seconds']:.2f}", f"{1e9 * r['seconds'] / n / STEPS:.0f}"]
                yield [kind, f"{n:,}", *megabytes, *seconds, f"{r['bound']:.9f}"]


def dask_table():
    import dask.array as da
    import dask.dataframe as dd
    from distributed import Client, LocalCluster, wait

    from skentropy import PoissonMixture

    n, d, few, many = 10**6, 50, 1, 41
    rng = np.random.default_rng(0)
    rates = rng.gamma(200.0, 0.05, size=(10, d))  # near to each other: EM takes all the steps it is given
    X = rng.poisson(rates[rng.integers(10, size=n)]).astype(float)
    options = {"tol": 0.0, "accelerate": False, "rates_init": rates * rng.uniform(0.8, 1.2, size=rates.shape)}

    def fit(steps, data, n_jobs):
        start = time.perf_counter()
        mixture = PoissonMixture(10, max_iter=steps, n_jobs=n_jobs, **options).fit(data)
        assert mixture.n_iter_ == steps
        return time.perf_counter() - start, mixture.lower_bound_

    yield f"\n## One EM step of PoissonMixture(10) on {n:,} x {d}: 8 Dask partitions on 2 workers beside threads\n"
    yield f"The difference of fits of {many} and of {few} steps from the same start, each the least of five in turns.\n"
    yield "| | s a step | ratio | lower bound |"
    yield "| --- | --- | --- | --- |"
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        sent = client.persist(da.from_array(X, chunks=(n // 8, d)))
        made = client.persist(sent.map_blocks(np.copy))
        frame = client.persist(dd.from_dask_array(made, columns=[f"c{j}" for j in range(d)]))
        wait([sent, made, frame])
        cases = {
            "n_jobs=2, in memory": (X, 2),
            "n_jobs=1, in memory": (X, 1),
            "Dask, partitions sent from this process": (sent, None),
            "Dask, partitions made by the workers": (made, None),
            "Dask, a frame of these partitions": (frame, None),
        }
        turns = [[(fit(few, *case), fit(many, *case)) for case in cases.values()] for _ in range(5)]
    bounds = [long[1] for _, long in turns[0]]
    short, long = (np.min([[pair[which][0] for pair in turn] for turn in turns], axis=0) for which in (0, 1))
    seconds = (long - short) / (many - few)
    for name, second, bound in zip(cases, seconds, bounds, strict=True):
        yield f"| {name} | {second:.3f} | {second / seconds[0]:.2f} | {bound:.10f} |"


def page(quick: bool) -> Iterator[str]:
    yield setting("skentropy", "dask", "distributed") + "\n"
    yield from left_out(["distributed"])
    yield f"## PoissonMixture({COMPONENTS}), rows x {COLUMNS} in single precision, {STEPS} EM steps\n"
    columns = ["source", "rows", "file MB", "peak memory MB", "fit s", "ns a row and step, starts included", "lower bound"]
    yield from table(columns, growth([1000] if quick else SIZES))
    if quick:
        yield "The steps on Dask are measured by the whole run only.\n"
    elif is_installed("distributed"):
        yield from dask_table()
