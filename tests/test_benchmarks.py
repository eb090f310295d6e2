"""The benchmarks run, their grader is right, and all programs in them that are installed do the same job."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import expit, logit, softmax

BENCHMARKS = Path(__file__).parents[1] / "docs" / "benchmarks"
FAMILIES = ["poisson", "gamma", "gaussian", "bernoulli", "categorical"]
PARTS = sorted(path.stem.removeprefix("bench_") for path in BENCHMARKS.glob("bench_*.py"))


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports the modules of the benchmarks, which are no package, and forgets them afterwards."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    names = [path.stem for path in BENCHMARKS.glob("*.py")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield importlib.import_module
    for name in names:
        sys.modules.pop(name, None)


def a_problem(load: Any, family: str, *, missing: bool = False) -> Any:
    mixtures = load("bench_mixture")
    X = mixtures.simulated(family, 200, 4, 2)
    start = mixtures.start_of(family, X, 2)
    return load("programs").Problem(family, 2, mixtures.without_some(X) if missing else X, start)


@pytest.mark.parametrize("part", PARTS)
def test_parts_run_without_peers(part: str, load: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    common = load("common")
    monkeypatch.setattr(common, "is_installed", lambda package: package == "skentropy")
    before = {path: path.stat().st_mtime_ns for path in BENCHMARKS.glob("results_*.md")}
    load("run").main(["--quick", "--only", part])
    printed = capsys.readouterr().out
    assert printed.startswith("# ")
    assert "| ---" in printed
    assert "nan" not in printed
    assert "Error" not in printed
    peers = getattr(load(f"bench_{part}"), "PEERS", ())
    assert printed.count("is not installed and left out") == len(peers) + (part in ("large", "rows"))
    assert before == {path: path.stat().st_mtime_ns for path in BENCHMARKS.glob("results_*.md")}


def test_exponents_and_their_picture(load: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scaling = load("bench_scaling")
    monkeypatch.setattr(scaling, "PICTURE", tmp_path / "scaling.png")
    sizes = scaling.SIZES["n"]
    assert scaling.exponent(sizes, [5.0, 5.0, *(1e-6 * n**1.5 for n in sizes[2:])]) == pytest.approx(1.5)
    seconds = {axis: (own, [1e-6 * size**1.5 for size in own]) for axis, own in scaling.SIZES.items()}
    scaling.draw({curve.label: seconds for curve in scaling.CURVES})
    assert 20_000 < scaling.PICTURE.stat().st_size < 150_000


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("missing", [False, True])
def test_mixture_is_graded_by_its_likelihood(family: str, missing: bool, load: Any) -> None:
    from skentropy import ExponentialFamilyMixture

    problem, grading, programs = a_problem(load, family, missing=missing), load("grading"), load("programs")
    weights = np.array([0.3, 0.7])
    value, gradient = grading.grade_mixture(family, problem.X, weights, problem.start)
    mixture = ExponentialFamilyMixture.from_parameters(programs.skentropy_family(problem), weights, **problem.named_start)
    assert value == pytest.approx(mixture.score(problem.X), rel=1e-12)

    to_free = {"probabilities": logit, "means": lambda mean: mean / np.sqrt(problem.start[1])}
    from_free = {"probabilities": expit, "means": lambda z: z * np.sqrt(problem.start[1])}
    if family == "categorical":
        to_free["probabilities"], from_free["probabilities"] = np.log, lambda z: softmax(z, axis=-1)
    names = grading.PARAMETERS[family]
    free = [to_free.get(name, np.log)(value) for name, value in zip(names, problem.start, strict=True)]

    def score(x: np.ndarray) -> float:
        weights, *values = np.split(x, np.cumsum([2, *(value.size for value in free[:-1])]))
        parameters = [
            from_free.get(name, np.exp)(value.reshape(own.shape))
            for name, value, own in zip(names, values, free, strict=True)
        ]
        return float(grading.grade_mixture(family, problem.X, softmax(weights), parameters)[0])

    x = np.concatenate([np.log(weights), *(value.ravel() for value in free)])
    assert np.abs(approx_fprime(x, score, 1e-6)).max() == pytest.approx(gradient, rel=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_derivatives(family: str, load: Any) -> None:
    problem, grading = a_problem(load, family), load("grading")
    own, X, h = [value[0] for value in problem.start], problem.X[:50], 1e-6
    for i, (name, score) in enumerate(zip(grading.PARAMETERS[family], grading.scores(family, X, own), strict=False)):

        def density(t: float, i: int = i, name: str = name) -> np.ndarray:
            moved = list(own)
            if name == "means":
                moved[i] = own[i] + t * np.sqrt(own[1])
            elif family == "bernoulli":
                moved[i] = expit(logit(own[i]) + t)
            elif family == "categorical":  # the first of its logits
                moved[i] = softmax(np.log(own[i]) + t * (np.arange(own[i].shape[-1]) == 0), axis=-1)
            else:
                moved[i] = own[i] * np.exp(t)
            return np.asarray(grading.log_densities(family, X, moved))

        np.testing.assert_allclose((density(h) - density(-h)) / (2 * h), score, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("isotropic", [False, True])
def test_factors_are_graded_by_their_likelihood(isotropic: bool, load: Any) -> None:
    from scipy.stats import multivariate_normal

    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 4)) * [1.0, 2.0, 3.0, 0.1]
    scale = X.std(axis=0)
    loadings, noise = rng.normal(size=(4, 2)) * scale[:, np.newaxis], np.full(4, 0.7)

    def score(x: np.ndarray) -> float:
        own = x[:8].reshape(4, 2) * scale[:, np.newaxis]
        covariance = own @ own.T + np.diag(np.exp(np.broadcast_to(x[8:], 4)))
        return float(multivariate_normal(X.mean(axis=0), covariance).logpdf(X).mean())

    x = np.concatenate([(loadings / scale[:, np.newaxis]).ravel(), np.log(noise[: 1 if isotropic else 4])])
    value, gradient = load("grading").grade_factors(X, loadings, noise, isotropic=isotropic)
    assert value == pytest.approx(score(x), rel=1e-12)
    assert np.abs(approx_fprime(x, score, 1e-6)).max() == pytest.approx(gradient, rel=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("missing", [False, True])
def test_programs_take_the_same_steps(family: str, missing: bool, load: Any) -> None:
    common, programs = load("common"), load("programs")
    problem = a_problem(load, family, missing=missing)
    plain = [
        program
        for program in programs.PROGRAMS
        if program.does(problem) and program.steps == "EM" and common.is_installed(program.package)
    ]
    values = {program.name: problem.grade(program.prepare(problem)(3))[0] for program in plain}
    expected = load("grading").plain_em(family, problem.X, problem.start, most=4)[-1]
    assert "skentropy, accelerate=False" in values
    for name, value in values.items():
        # pomegranate solves for the shapes of gamma distributions to 1e-4 only.
        rough = {"pomegranate, float32": 1e-6, "pomegranate, float64": 1e-6 if family == "gamma" else 1e-10}
        assert value == pytest.approx(expected, rel=rough.get(name, 1e-10), abs=0.0), name


@pytest.mark.parametrize("model", ["factors", "pca"])
def test_decompositions_are_of_the_same_model(model: str, load: Any) -> None:
    common, programs, X = load("common"), load("programs"), load("bench_decomposition").load("200 x 10")
    problem = programs.Problem(model, 2, X, [])
    used = [own for own in programs.PROGRAMS if own.does(problem) and common.is_installed(own.package)]
    values = {program.name: problem.grade(program.prepare(problem)(2000))[0] for program in used}
    assert len(values) >= 3
    assert values == pytest.approx(dict.fromkeys(values, max(values.values())), abs=5e-3)
