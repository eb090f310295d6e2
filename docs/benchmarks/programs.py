"""What each program is asked to do: a fit of so many steps from the start that is given, where the program lets one choose.

A program is prepared once, untimed: it is imported and its data are put into the form that it wants. What it returns is fitted
as often as one likes; it gives the parameters in the order of ``grading``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
from grading import PARAMETERS, grade_factors, grade_mixture

Fit = Callable[[int], tuple[np.ndarray, ...]]


@dataclass
class Problem:
    """Rows, and what is to be fitted to them: a mixture of a family from a start, or "factors" or "pca" from nowhere."""

    family: str
    n_components: int
    X: np.ndarray
    start: list[np.ndarray]

    def save(self, path: Path) -> None:
        start = {f"start_{i}": value for i, value in enumerate(self.start)}
        np.savez(path, family=self.family, n_components=self.n_components, X=self.X, **start)

    @classmethod
    def load(cls, path: str) -> Problem:
        with np.load(path) as file:
            start = [file[name] for name in sorted(file) if name.startswith("start_")]
            return cls(str(file["family"]), int(file["n_components"]), file["X"], start)

    @property
    def named_start(self) -> dict[str, np.ndarray]:
        return dict(zip(PARAMETERS[self.family], self.start, strict=True))

    @property
    def uniform(self) -> np.ndarray:
        """Equal mixing weights, which all start from."""
        return np.full(self.n_components, 1.0 / self.n_components)

    def grade(self, result: tuple[Any, ...]) -> tuple[float, float]:
        """Log-likelihood and gradient of what a fit has returned."""
        if self.family in PARAMETERS:
            return grade_mixture(self.family, self.X, result[0], list(result[1:]))
        return grade_factors(self.X, *result, isotropic=self.family == "pca")


def skentropy_family(problem: Problem) -> Any:
    from skentropy.families import Categorical

    return Categorical(problem.start[0].shape[-1]) if problem.family == "categorical" else problem.family


def skentropy_mixture(problem: Problem, **options: Any) -> Fit:
    from skentropy import ExponentialFamilyMixture

    options = {"tol": 0.0, "parameters_init": problem.named_start, **options}
    estimator = partial(ExponentialFamilyMixture, skentropy_family(problem), problem.n_components, **options)

    def fit(steps: int) -> tuple[np.ndarray, ...]:
        model = estimator(max_iter=steps).fit(problem.X)
        return model.weights_, *(getattr(model, name + "_") for name in PARAMETERS[problem.family])

    return fit


def sklearn_mixture(problem: Problem) -> Fit:
    from sklearn.mixture import GaussianMixture

    means, variances = problem.start
    start = {"weights_init": problem.uniform, "means_init": means, "precisions_init": 1.0 / variances}
    options = {"covariance_type": "diag", "tol": 0.0, "reg_covar": 0.0, "init_params": "random_from_data", "random_state": 0}

    def fit(steps: int) -> tuple[np.ndarray, ...]:
        model = GaussianMixture(problem.n_components, max_iter=steps, **start, **options).fit(problem.X)
        return model.weights_, model.means_, model.covariances_

    return fit


def pomegranate_mixture(problem: Problem, precision: str = "float32") -> Fit:
    import torch
    from pomegranate import distributions
    from pomegranate.gmm import GeneralMixtureModel

    torch.set_num_threads(1)
    torch.set_default_dtype(getattr(torch, precision))
    data = torch.tensor(problem.X.astype(int) if problem.family == "categorical" else problem.X.astype(precision))
    name, own_names, options = {
        "poisson": ("Poisson", ["lambdas"], {}),
        "gamma": ("Gamma", ["shapes", "rates"], {}),
        "gaussian": ("Normal", ["means", "covs"], {"covariance_type": "diag"}),
        "bernoulli": ("Bernoulli", ["probs"], {}),
        "categorical": ("Categorical", ["probs"], {}),
    }[problem.family]
    start = [
        [torch.tensor(value.astype(precision)) for value in component] for component in zip(*problem.start, strict=True)
    ]

    def fit(steps: int) -> tuple[np.ndarray, ...]:
        components = [getattr(distributions, name)(*(value.clone() for value in own), **options) for own in start]
        model = GeneralMixtureModel(components, max_iter=steps, tol=-np.inf).fit(data)
        parameters = [np.array([getattr(d, own).double().numpy() for d in components]) for own in own_names]
        return model.priors.double().numpy(), *parameters

    return fit


def stepmix_mixture(problem: Problem) -> Fit:
    from stepmix.stepmix import StepMix

    n_features = problem.X.shape[1]
    measurement, X, parameters, options = {
        "gaussian": ("gaussian_diag", problem.X, ["means", "covariances"], {"measurement_params": {"reg_covar": 0.0}}),
        "bernoulli": ("binary", problem.X, ["pis"], {}),
        "categorical": ("categorical", problem.X, ["pis"], {}),
    }[problem.family]
    if np.isnan(X).any():
        measurement, options = measurement + "_nan", {}
    start = dict(zip(parameters, problem.start, strict=True))
    if problem.family == "categorical":
        n_codes = problem.start[0].shape[-1]
        start["pis"] = start["pis"].reshape(problem.n_components, -1)
        start |= {"max_n_outcomes": n_codes, "total_outcomes": n_codes * n_features}

    class GivenStart(StepMix):
        """StepMix has no argument for a start."""

        def _initialize_parameters(self, X: Any, random_state: Any) -> None:
            own = {name: value.copy() if name in parameters else value for name, value in start.items()}
            self.set_parameters({"weights": problem.uniform, "measurement": own, "measurement_in": n_features})

    def fit(steps: int) -> tuple[np.ndarray, ...]:
        model = GivenStart(
            problem.n_components,
            measurement=measurement,
            abs_tol=0.0,
            max_iter=steps,
            progress_bar=0,
            random_state=0,
            **options,
        ).fit(X)
        fitted = model.get_parameters()
        values = (fitted["measurement"][name] for name in parameters)
        return fitted["weights"], *(value.reshape(own.shape) for value, own in zip(values, problem.start, strict=True))

    return fit


def hmmlearn_mixture(problem: Problem) -> Fit:
    """A hidden Markov model of sequences of one row each is a mixture: its initial probabilities are the weights."""
    from hmmlearn.hmm import GaussianHMM, PoissonHMM

    lengths = np.ones(len(problem.X), dtype=int)
    X = problem.X.astype(int) if problem.family == "poisson" else problem.X

    def fit(steps: int) -> tuple[np.ndarray, ...]:
        options = {"n_iter": steps, "tol": -np.inf, "init_params": ""}
        if problem.family == "poisson":
            model = PoissonHMM(problem.n_components, params="sl", **options)
            (model.lambdas_,) = (value.copy() for value in problem.start)
        else:  # without the prior that variances have by default
            model = GaussianHMM(problem.n_components, "diag", covars_prior=0.0, covars_weight=1.0, params="smc", **options)
            model.means_, model.covars_ = (value.copy() for value in problem.start)
        model.startprob_ = problem.uniform
        model.transmat_ = np.tile(problem.uniform, (problem.n_components, 1))
        model.fit(X, lengths)
        if problem.family == "poisson":
            return model.startprob_, model.lambdas_
        return model.startprob_, model.means_, np.array([np.diag(covariance) for covariance in model.covars_])

    return fit


def skentropy_factors(problem: Problem, **options: Any) -> Fit:
    from skentropy import FactorAnalysis

    def fit(steps: int) -> tuple[np.ndarray, ...]:
        model = FactorAnalysis(problem.n_components, **options).fit(problem.X)
        return model.components_.T, model.noise_variance_

    return fit


def sklearn_factors(problem: Problem, svd_method: str) -> Fit:
    from sklearn.decomposition import FactorAnalysis

    def fit(steps: int) -> tuple[np.ndarray, ...]:
        model = FactorAnalysis(problem.n_components, svd_method=svd_method, tol=0.0, max_iter=steps, random_state=0)
        model.fit(problem.X)
        return model.components_.T, model.noise_variance_

    return fit


def factor_analyzer_factors(problem: Problem) -> Fit:
    from factor_analyzer import FactorAnalyzer, factor_analyzer
    from sklearn.utils import check_array

    def checked(X: Any, force_all_finite: bool = True, **options: Any) -> np.ndarray:
        return check_array(X, ensure_all_finite=force_all_finite, **options)

    factor_analyzer.check_array = checked  # its last release calls scikit-learn by an argument's old name
    scale = problem.X.std(axis=0)

    def fit(steps: int) -> tuple[np.ndarray, ...]:
        model = FactorAnalyzer(problem.n_components, rotation=None, method="ml").fit(problem.X)
        return model.loadings_ * scale[:, np.newaxis], model.get_uniquenesses() * scale**2

    return fit


def statsmodels_factors(problem: Problem) -> Fit:
    from statsmodels.multivariate.factor import Factor

    seed = {"rng": 0} if "rng" in signature(Factor.fit).parameters else {}  # of version 0.15
    scale = problem.X.std(axis=0)

    def fit(steps: int) -> tuple[np.ndarray, ...]:
        model = Factor(problem.X, n_factor=problem.n_components, method="ml")
        fitted = model.fit(opt={"maxiter": steps, "gtol": 0.0}, **seed)
        return fitted.loadings * scale[:, np.newaxis], fitted.uniqueness * scale**2

    return fit


def skentropy_pca(problem: Problem, solver: str) -> Fit:
    from skentropy import PPCA

    def fit(steps: int) -> tuple[np.ndarray, ...]:
        model = PPCA(problem.n_components, solver=solver, random_state=0).fit(problem.X)
        return model.components_.T, np.full(problem.X.shape[1], model.noise_variance_)

    return fit


def sklearn_pca(problem: Problem, svd_solver: str) -> Fit:
    from sklearn.decomposition import PCA

    def fit(steps: int) -> tuple[np.ndarray, ...]:
        model = PCA(problem.n_components, svd_solver=svd_solver, random_state=0).fit(problem.X)
        scale = np.sqrt(np.maximum(model.explained_variance_ - model.noise_variance_, 0.0))
        # Its variances have the divisor n - 1, those of maximum likelihood n.
        share = 1.0 - 1.0 / len(problem.X)
        return np.sqrt(share) * model.components_.T * scale, np.full(problem.X.shape[1], share * model.noise_variance_)

    return fit


@dataclass(frozen=True)
class Program:
    """``steps`` says what a step is: of "EM", all programs' from a common start; "own"; None where a fit cannot be cut short."""

    name: str
    package: str
    prepare: Callable[..., Fit]
    jobs: tuple[str, ...]
    steps: str | None = "EM"
    missing: bool = False

    def does(self, problem: Problem) -> bool:
        has_missing = bool(np.isnan(problem.X).any())
        return problem.family in self.jobs and (self.missing or not has_missing)


MIXTURES = tuple(PARAMETERS)
PROGRAMS = [
    Program("skentropy", "skentropy", skentropy_mixture, MIXTURES, "own", True),
    Program("skentropy, accelerate=False", "skentropy", partial(skentropy_mixture, accelerate=False), MIXTURES, "EM", True),
    Program("scikit-learn", "sklearn", sklearn_mixture, ("gaussian",)),
    Program("pomegranate, float32", "pomegranate", pomegranate_mixture, MIXTURES),
    Program("pomegranate, float64", "pomegranate", partial(pomegranate_mixture, precision="float64"), MIXTURES),
    Program("stepmix", "stepmix", stepmix_mixture, ("gaussian", "bernoulli", "categorical"), missing=True),
    Program("hmmlearn", "hmmlearn", hmmlearn_mixture, ("poisson", "gaussian")),
    Program("skentropy", "skentropy", skentropy_factors, ("factors",), None),
    Program("scikit-learn, lapack", "sklearn", partial(sklearn_factors, svd_method="lapack"), ("factors",), "own"),
    Program("scikit-learn, randomized", "sklearn", partial(sklearn_factors, svd_method="randomized"), ("factors",), "own"),
    Program("factor_analyzer, ml", "factor_analyzer", factor_analyzer_factors, ("factors",), None),
    Program("statsmodels, ml", "statsmodels", statsmodels_factors, ("factors",), "own"),
    *(
        Program(f"skentropy, {solver}", "skentropy", partial(skentropy_pca, solver=solver), ("pca",), None)
        for solver in ("auto", "covariance_eigh", "arpack", "randomized")
    ),
    *(
        Program(f"scikit-learn, {solver}", "sklearn", partial(sklearn_pca, svd_solver=solver), ("pca",), None)
        for solver in ("auto", "covariance_eigh", "full", "arpack", "randomized")
    ),
]
