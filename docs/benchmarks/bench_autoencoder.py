"""Gaussian autoencoders: held-out likelihood beside linear models, mixtures and PyTorch, variances of estimates, growth."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from common import clock, fresh, is_installed, left_out, setting, table
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_iris, load_wine
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import KFold, train_test_split

from skentropy import PPCA, FactorAnalysis, GaussianVAE
from skentropy.neural_network._autoencoder import Autoencoder
from skentropy.neural_network._vae_units import Observations

TITLE = "Gaussian autoencoders"
NOTES = """\
Digits: scikit-learn's, pixels divided by 16, 1,347 images to fit and 450 held out; nats per image. `score` is the ELBO, a lower bound
of the log-likelihood up to the error of its nodes; the importance-weighted bound has 100 draws. PPCA, factor analysis and mixtures
have exact likelihoods.
Seconds are CPU seconds of one thread; beside them how often the matrix products of 100 epochs, and nothing else, would fit into
that time on the same machine in the same minute.
"""
PEERS = ["torch", "pythae"]
TABLES = [(load_iris, 2), (load_wine, 3), (load_breast_cancer, 5), (load_diabetes, 3)]
KINDS: list[dict[str, str]] = [
    {"covariance_type": "scalar"},
    {"covariance_type": "diag"},
    {"covariance_type": "heteroscedastic"},
    {"prior": "laplace"},
]
# Of those tried at 100 epochs, 0.001 to 0.01, the learning rates that come furthest; and the epochs.
LOOPS = [("loop", 0.01, 100), ("loop", 0.01, 300), ("loop", 0.01, 1000), ("pythae", 0.003, 100)]


def products(n_epochs: int = 100) -> None:
    """The matrix products, there and back, that these nets need for so many epochs of digits in batches of 100."""
    rng = np.random.default_rng(0)
    for n_in, n_out in ((64, 128), (128, 20), (64, 10), (10, 128), (128, 64), (10, 64)):
        x, weights, through = (
            rng.normal(size=shape).astype(np.float32) for shape in ((100, n_in), (n_in, n_out), (100, n_out))
        )
        for _ in range(14 * n_epochs):
            x @ weights, x.T @ through, through @ weights.T


def digits(n_seeds: int, options: dict[str, Any]) -> Iterator[list[str]]:
    train, test = train_test_split(load_digits().data / 16, test_size=0.25, random_state=0)
    for kind in KINDS:
        model, fits = GaussianVAE(10, **kind, **options), []
        for seed in range(n_seeds):
            fit, _, cpu = clock(lambda model=model, seed=seed: model.set_params(random_state=seed).fit(train), at_most=1)
            bound = fit.importance_weighted_score(test, random_state=0)
            _, _, reference = clock(products, at_most=1)
            gap = abs(fit.stationarity_gap(train))
            fits.append((cpu, cpu / reference, fit.score(test), bound, fit.information_.min(), gap))
        cpu, ratio, score, bound, information, gap = np.transpose(fits)
        arguments = ", ".join(f'{name}="{value}"' for name, value in kind.items())
        name = f"`GaussianVAE(10, {arguments})`, {n_seeds} seeds"
        values = [f"{score.mean():.2f} ({score.min():.2f})", f"{bound.mean():.2f}", f"{information.min():.2f}"]
        yield [name, *values, f"{gap.max():.0e}", f"{cpu.mean():.2f} ({cpu.max():.2f})", f"{ratio.mean():.1f}"]
    peers = [
        ("`PPCA(10)`", PPCA(10)),
        ("`FactorAnalysis(10)`, constant columns noisy", FactorAnalysis(10)),
        ('scikit-learn\'s `GaussianMixture(10, "diag")`', GaussianMixture(10, covariance_type="diag", reg_covar=1e-3)),
        ('scikit-learn\'s `GaussianMixture(4, "full")`', GaussianMixture(4, covariance_type="full", reg_covar=1e-3)),
    ]
    rng = np.random.default_rng(0)
    for name, model in peers:
        X, Y = train, test
        if isinstance(model, FactorAnalysis):  # without a ridge of its own it needs noise of the ridge's size
            X, Y = (Z + np.sqrt(1e-3 * train.var(axis=0).mean()) * rng.normal(size=Z.shape) for Z in (train, test))
        _, _, cpu = clock(lambda model=model, X=X: model.set_params(**seed_of(model)).fit(X), at_most=1)
        yield [name, f"{model.score(Y):.2f}", "", "", "", f"{cpu:.2f}", ""]


def in_torch(noise: float, quick: bool) -> Iterator[list[str]]:
    """The loops of ``torch_vae``, in processes of their own; pythae's noise variance is given."""
    torch_vae = importlib.import_module("torch_vae")
    names = {"loop": "PyTorch, a loop of Adam", "pythae": "pythae's `VAE`, its noise variance that of `GaussianVAE`"}
    for kind, rate, epochs in LOOPS:
        if kind == "loop" or is_installed("pythae"):
            given = (noise,) if kind == "pythae" else ()
            elbo, bound, seconds = fresh(getattr(torch_vae, kind), 10, 2 if quick else epochs, rate, 0, *given)
            yield [f"{names[kind]}, learning rate {rate}, {epochs} epochs", f"{elbo:.2f}", f"{bound:.2f}", f"{seconds:.1f}"]
    train, test = train_test_split(load_digits().data / 16, test_size=0.25, random_state=0)
    for epochs in (10, 25, 100):
        model = GaussianVAE(10, max_iter=epochs, random_state=0)
        fit, _, cpu = clock(lambda model=model: model.fit(train), at_most=1)
        bound = fit.importance_weighted_score(test, random_state=0)
        yield [f"`GaussianVAE(10, max_iter={epochs})`", f"{fit.score(test):.2f}", f"{bound:.2f}", f"{cpu:.1f}"]


def seed_of(model: Any) -> dict[str, int]:
    return {"random_state": 0} if "random_state" in model.get_params() else {}


def five_fold(n_shuffles: int, options: dict[str, Any]) -> Iterator[list[str]]:
    for load, h in TABLES:
        X = load().data / load().data.std(axis=0)
        folds = []
        for seed in range(n_shuffles):
            for train, test in KFold(5, shuffle=True, random_state=seed).split(X):
                vae, ppca = GaussianVAE(h, random_state=seed, **options).fit(X[train]), PPCA(h).fit(X[train])
                linear, bent = ppca.score_samples(X[test]), vae.score_samples(X[test])
                bound = vae.importance_weighted_score(X[test], random_state=0)
                gain = bent - linear
                error = gain.std() / np.sqrt(len(gain))
                folds.append((linear.mean(), bent.mean(), gain.mean(), error, bound - linear.mean()))
        linear, bent, gain, error, bound = np.transpose(folds)
        worst = gain.argmin()
        values = [f"{linear.mean():.3f}", f"{bent.mean():.3f}", f"{gain.mean():+.3f}", f"{(gain < 0).sum()} of {len(gain)}"]
        values += [f"{gain[worst]:+.3f} ({error[worst]:.3f})", f"{bound[worst]:+.3f}"]
        yield [load.__name__.removeprefix("load_"), str(h), *values]


def sampled_elbo(model: Autoencoder, rows: Observations, posteriors: Any, rng: np.random.Generator, n_draws: int) -> float:
    """ELBO with the expectation of the residuals by so many draws a row."""
    m, v, total = posteriors.means, posteriors.variances, 0.0
    for _ in range(n_draws):
        y = model.decoder(m + np.sqrt(v) * rng.standard_normal(m.shape))
        total += float(model.observable.log_density(y, rows.x).sum(axis=1).mean())
    return total / n_draws - 0.5 * float((m * m + v - 1.0 - np.log(v)).sum(axis=1).mean())


def estimates(n: int, options: dict[str, Any]) -> Iterator[list[str]]:
    X = load_digits().data / 16
    fitted = GaussianVAE(10, random_state=0, **options).fit(X)
    model, units = fitted._fitted()
    rng, rows = np.random.default_rng(0), units.observe(X)
    posteriors = model.posteriors(rows)
    batches = [rng.choice(len(X), 100, replace=False) for _ in range(n)]
    for name, draws in (("one draw", 1), ("ten draws", 10), ("entropy sum, encoder alone", 0)):
        values, parts = [], []

        def estimate(index: Any = slice(None), draws: int = draws) -> float:
            some = type(rows)(rows.x[index], None, rows.filled[index])
            if draws:
                chosen = type(posteriors)(posteriors.means[index], posteriors.variances[index], None, None)
                return sampled_elbo(model, some, chosen, rng, draws)
            return 0.5 * float(np.log(model.encode(some)[1]).sum(axis=1).mean())

        for index in batches:
            values.append(estimate())
            parts.append(estimate(index))
        seconds = clock(estimate, at_most=20)[2]
        yield [name, f"{np.std(values):.1e}", f"{np.std(parts):.3f}", f"{1e3 * seconds:.1f}"]


def growth(sizes: list[int], options: dict[str, Any]) -> Iterator[list[str]]:
    rng = np.random.default_rng(0)
    loadings = rng.normal(size=(10, 200)) / 3.0
    for n in sizes:
        X = 1.5 * np.tanh(rng.normal(size=(n, 10)) @ loadings) + 0.3 * rng.normal(size=(n, 200))
        started = time.process_time()
        vae = GaussianVAE(10, random_state=0, **options).fit(X)
        fit, started = time.process_time() - started, time.process_time()
        vae.transform(X)
        transform = time.process_time() - started
        yield [
            f"{n:,} x 200",
            f"{fit:.1f}",
            f"{transform:.1f}",
            f"{PPCA(10).fit(X).lower_bound_:.2f}",
            f"{vae.lower_bound_:.2f}",
        ]


def page(quick: bool) -> Iterator[str]:
    options = {"max_iter": 2, "hidden_layer_sizes": (16,)} if quick else {}
    yield setting("skentropy", "sklearn", *PEERS) + "\n"
    yield NOTES
    columns = ["model", "held-out score (worst)", "importance-weighted", "least information", "gap"]
    columns += ["seconds (longest)", "over products alone"]
    yield from table(columns, digits(1 if quick else 5, options))
    yield from left_out(PEERS)
    if is_installed("torch"):
        yield (
            "The same digits in PyTorch: the nets of `GaussianVAE` without linear paths, from random weights, one noise variance, one "
            "thread. The time is that of training.\n"
        )
        noise = GaussianVAE(10, random_state=0, **options).fit(load_digits().data / 16).noise_variance_
        yield from table(["fit", "held-out ELBO", "importance-weighted", "seconds"], in_torch(noise, quick))
    yield (
        "Five-fold held-out score, columns divided by their standard deviations. The three columns on the right count the folds in "
        "which `PPCA` is better, and show the worst fold: its gain, with the standard error over its rows, and the gain of its "
        "importance-weighted bound. If that bound loses as much, the cause is the decoder and not the encoder.\n"
    )
    columns = ["table", "H", "`PPCA`", "`GaussianVAE`", "gain", "folds below", "worst fold", "its importance-weighted bound"]
    yield from table(columns, five_fold(1 if quick else 5, options))
    yield (
        "One number for a model of digits with H = 10, estimated again and again from all 1,797 images and from minibatches of 100: "
        "the standard deviation of the estimate.\n"
    )
    yield from table(["estimate", "all rows", "minibatches", "ms, all rows"], estimates(5 if quick else 200, options))
    yield "Time as rows grow, 10 epochs:\n"
    columns = ["rows", "fit s", "transform s", "`PPCA(10)`", "`GaussianVAE(10)`"]
    yield from table(
        columns, growth([200] if quick else [5_000, 10_000, 20_000], {**options, "max_iter": 2 if quick else 10})
    )
