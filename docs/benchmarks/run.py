"""The benchmarks: run them all, or some, on the machine at hand; print their pages and write them beside this file.

``python docs/benchmarks/run.py`` compares this package with others and draws how it scales, in about a quarter of an hour.
``--only NAME ...`` runs the parts that are named, among them those in depth, which take longer; ``--quick`` tries parts out at
small sizes and writes nothing.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
import warnings
from itertools import chain

import readme
from common import HERE
from threadpoolctl import threadpool_limits

COMPARISON = ["mixture", "decomposition", "scaling"]
IN_DEPTH = [
    "gaussian",
    "belief_net",
    "truncated",
    "autoencoder",
    "model_selection",
    "large",
    "rows",
    "starts",
    "coverage",
    "bootstrap",
]


def run(name: str, quick: bool) -> None:
    part = importlib.import_module(f"bench_{name}")
    lines, started = [], time.perf_counter()
    for line in chain([f"# {part.TITLE}\n"], part.page(quick)):
        print(line, flush=True)
        lines.append(line)
    minutes = (time.perf_counter() - started) / 60.0
    print(f"{name}: {minutes:.1f} minutes\n", flush=True)
    if not quick:
        taken = f"{minutes:.0f} minutes" if minutes >= 1.5 else "a minute"
        if not lines[-1].endswith("\n"):
            lines.append("")  # or the line would belong to a table
        lines.append(f"Written by `python docs/benchmarks/run.py --only {name}` in {taken}.")
        (HERE / f"results_{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
        readme.write()


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only",
        nargs="+",
        choices=COMPARISON + IN_DEPTH,
        default=COMPARISON,
        metavar="NAME",
        help=", ".join(COMPARISON + IN_DEPTH),
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, to try it out; nothing is written")
    arguments = parser.parse_args(argv)
    warnings.simplefilter("ignore")
    with threadpool_limits(1):
        for name in arguments.only:
            run(name, arguments.quick)


if __name__ == "__main__":
    sys.exit(main())
