"""PPCA and FactorAnalysis against other packages: time, likelihood lost and gradient reached.

Run ``python docs/benchmarks/bench_decomposition.py``; it prints the tables and writes results_decomposition.md beside
itself. Each fit runs in its own process. Peers that are not installed get a line that says so.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

# name: rows, columns, components; None for real data.
SIMULATED = {"100,000 x 50": (100_000, 50), "20,000 x 500": (20_000, 500), "2,000 x 2,000": (2_000, 2_000)}
FACTOR_PROBLEMS = [
    ("100,000 x 50", 5),
    ("20,000 x 500", 10),
    ("2,000 x 2,000", 10),
    ("digits", 5),
    ("digits", 10),
    ("digits", 20),
    ("breast cancer", 2),
    ("breast cancer", 5),
]
FACTOR_METHODS = ["skentropy", "sklearn lapack", "sklearn randomized", "factor_analyzer ml", "statsmodels ml"]
PCA_PAIRS = [
    ("auto", "auto"),
    ("covariance_eigh", "covariance_eigh"),
    ("covariance_eigh", "full"),
    ("arpack", "arpack"),
    ("randomized", "randomized"),
]
GAPS = [("PPCA", 5), ("FactorAnalysis", 5)]


def load(problem: str) -> np.ndarray:
    if problem == "digits":
        from sklearn.datasets import load_digits

        X = load_digits().data
        return X[:, X.std(axis=0) > 0]  # with constant columns the likelihood depends on the floor alone
    if problem == "breast cancer":
        from sklearn.datasets import load_breast_cancer

        return load_breast_cancer().data
    n, d = SIMULATED[problem]
    k = 5 if d == 50 else 10
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, k)) @ rng.normal(size=(k, d)) + rng.normal(size=(n, d)) * rng.uniform(0.5, 2.0, d)
    return X


def fit_factors(method: str, X: np.ndarray, k: int):
    """Loadings (d, k) and uniquenesses."""
    if method == "skentropy":
        from skentropy import FactorAnalysis

        model = FactorAnalysis(k).fit(X)
        return model.components_.T, model.noise_variance_
    if method.startswith("sklearn"):
        from sklearn.decomposition import FactorAnalysis as SklearnFactorAnalysis

        model = SklearnFactorAnalysis(k, svd_method=method.split()[1], random_state=0).fit(X)
        return model.components_.T, model.noise_variance_
    scale = X.std(axis=0)
    if method.startswith("factor_analyzer"):
        from factor_analyzer import FactorAnalyzer, factor_analyzer
        from sklearn.utils import check_array

        # Its last release calls scikit-learn by an argument's old name.
        def checked(X, force_all_finite=True, **options):
            return check_array(X, ensure_all_finite=force_all_finite, **options)

        factor_analyzer.check_array = checked
        model = FactorAnalyzer(k, rotation=None, method="ml").fit(X)
        return model.loadings_ * scale[:, np.newaxis], model.get_uniquenesses() * scale**2
    from statsmodels.multivariate.factor import Factor

    model = Factor(X, n_factor=k, method="ml").fit()
    return model.loadings * scale[:, np.newaxis], model.uniqueness * scale**2


def timed(function, most: int = 3):
    """Result, wall seconds and CPU seconds of the fastest of a few calls; slow ones are called once."""
    best = None
    started = time.perf_counter()
    for _ in range(most):
        wall, cpu = time.perf_counter(), time.process_time()
        result = function()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        if best is None or wall < best[1]:
            best = result, wall, cpu
        if time.perf_counter() - started > 5.0:
            break
    return best


def run_one(job: dict) -> dict:
    """One fit, in this process."""
    import warnings

    warnings.simplefilter("ignore")
    if job["kind"] == "factors":
        from skentropy.decomposition._gaussian import LinearGaussian
        from skentropy.decomposition._moments import Moments
        from skentropy.decomposition._profile import Profile
        from skentropy.decomposition._spectrum import MatrixCovariance

        X = load(job["problem"])
        (W, psi), wall, cpu = timed(lambda: fit_factors(job["method"], X, job["k"]))
        moments = Moments.of_table(X)
        scale = np.sqrt(np.diag(moments.covariance))
        correlation = MatrixCovariance(moments.mean, moments.covariance / scale / scale[:, np.newaxis])
        model = LinearGaussian.of(moments.mean, W / scale[:, np.newaxis], psi / scale**2)
        trace = (correlation.matrix * model.precision()).sum()
        log_likelihood = -0.5 * (trace + np.linalg.slogdet(2.0 * np.pi * model.covariance())[1])
        profile = Profile(correlation, job["k"], 1e-8)
        x = np.clip(np.log(psi / scale**2), profile.lower, 0.0)
        gradient = np.abs(profile.projected(x, profile.value_and_gradient(x)[1])).max()
        return {"wall": wall, "cpu": cpu, "value": log_likelihood - np.log(scale).sum(), "gradient": float(gradient)}
    if job["kind"] == "pca":
        from sklearn.decomposition import PCA

        from skentropy import PPCA

        X, k = load(job["problem"]), job["k"]
        ours, theirs = job["solvers"]
        a = timed(lambda: PPCA(k, solver=ours, random_state=0).fit(X), most=5)
        b = timed(lambda: PCA(k, svd_solver=theirs, random_state=0).fit(X), most=5)
        return {"ours": a[1:], "theirs": b[1:], "value": a[0].score(X), "their_value": float(b[0].score(X))}
    import skentropy

    X = load("100,000 x 50")[:20_000]
    X[np.random.default_rng(1).random(X.shape) < 0.05] = np.nan
    model, wall, cpu = timed(lambda: getattr(skentropy, job["model"])(job["k"]).fit(X), most=2)
    patterns = len(np.unique(np.isnan(X), axis=0))
    return {"wall": wall, "cpu": cpu, "n_iter": model.n_iter_, "gap": model.stationarity_gap_, "patterns": patterns}


def run(job: dict, limit: float) -> dict | str:
    """One fit, in a process of its own; a string says why there is no result."""
    peer = str(job.get("method", "")).split()[:1]
    module = {"sklearn": "sklearn", "skentropy": "skentropy"}.get(*peer, *peer) if peer else "skentropy"
    if importlib.util.find_spec(module) is None:
        return "not installed"
    command = [sys.executable, __file__, "--job", json.dumps(job)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return f"stopped after {limit:.0f} s"
    if done.returncode:
        return "failed: " + (done.stderr.strip().splitlines() or ["?"])[-1][:90]
    return json.loads(done.stdout.strip().splitlines()[-1])


def factor_table(limit: float):
    yield "## Factor analysis\n"
    yield "| data | k | method | wall s | CPU s | nats lost a sample | gradient |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for problem, k in FACTOR_PROBLEMS:
        results = {}
        for method in FACTOR_METHODS:
            results[method] = run({"kind": "factors", "problem": problem, "k": k, "method": method}, limit)
        best = max(r["value"] for r in results.values() if isinstance(r, dict))
        for method, r in results.items():
            if isinstance(r, str):
                yield f"| {problem} | {k} | {method} | {r} | | | |"
            else:
                numbers = f"{r['wall']:.4f} | {r['cpu']:.4f} | {best - r['value']:.1e} | {r['gradient']:.0e}"
                yield f"| {problem} | {k} | {method} | {numbers} |"


def pca_table(limit: float):
    yield "\n## PPCA against scikit-learn's PCA\n"
    yield "| data | k | PPCA solver | wall s | CPU s | PCA solver | wall s | CPU s | wall ratio |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for problem, k in [("100,000 x 50", 5), ("20,000 x 500", 10), ("2,000 x 2,000", 10), ("digits", 10)]:
        for ours, theirs in PCA_PAIRS:
            r = run({"kind": "pca", "problem": problem, "k": k, "solvers": [ours, theirs]}, limit)
            if isinstance(r, str):
                yield f"| {problem} | {k} | {ours} | {r} | | {theirs} | | | |"
                continue
            (wall, cpu), (their_wall, their_cpu) = r["ours"], r["theirs"]
            mine, other = f"{ours} | {wall:.4f} | {cpu:.4f}", f"{theirs} | {their_wall:.4f} | {their_cpu:.4f}"
            yield f"| {problem} | {k} | {mine} | {other} | {wall / their_wall:.2f} |"


def gaps_table(limit: float):
    yield "\n## 20,000 x 50 with 5% missing completely at random\n"
    yield "| model | k | patterns | wall s | CPU s | EM steps | entropy sum - ELBO |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for model, k in GAPS:
        r = run({"kind": "gaps", "model": model, "k": k}, limit)
        if isinstance(r, str):
            yield f"| {model} | {k} | {r} | | | | |"
        else:
            seconds = f"{r['wall']:.3f} | {r['cpu']:.3f}"
            yield f"| {model} | {k} | {r['patterns']} | {seconds} | {r['n_iter']} | {r['gap']:.0e} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--job", type=json.loads, help="run one fit and print its result as JSON")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds that one fit may take")
    arguments = parser.parse_args()
    if arguments.job:
        print(json.dumps(run_one(arguments.job)))
        return
    import scipy
    import sklearn

    header = [
        "# PPCA and FactorAnalysis: time and accuracy\n",
        f"Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}, scikit-learn "
        f"{sklearn.__version__}, {os.cpu_count()} cores. Default settings of every method; the fastest of up to 3 fits (5 for "
        "PCA). Nats lost: below the best of the rows. Gradient: the largest entry of the projected gradient of the mean "
        "profile log-likelihood with respect to log psi.\n",
    ]
    lines = []
    for line in header:
        print(line)
        lines.append(line)
    for table in (factor_table, pca_table, gaps_table):
        for line in table(arguments.limit):
            print(line, flush=True)
            lines.append(line)
    (Path(__file__).parent / "results_decomposition.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
