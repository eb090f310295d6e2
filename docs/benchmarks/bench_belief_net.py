"""Sigmoid belief nets with exact posteriors: speed of the E-step, default fits, bars, and digits beside mixtures and RBMs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain

import numpy as np
from common import clock, setting, table
from scipy.optimize import minimize
from scipy.special import expit, logit, logsumexp
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.neural_network import BernoulliRBM

from skentropy import ExponentialFamilyMixture, SigmoidBeliefNet
from skentropy._data import Rows
from skentropy.neural_network._binary import binary
from skentropy.neural_network._distinct_rows import merge_duplicates
from skentropy.neural_network._layers import BeliefNet, Layer, enumerate_states, softplus
from skentropy.neural_network._model import BeliefNetModel, Parameters

TITLE = "Sigmoid belief nets with exact posteriors"
NOTES = """\
None of the packages that the other pages compare fits sigmoid belief nets. scikit-learn's `BernoulliRBM` is another model of the same data
and stands beside them in likelihood alone; so do mixtures. Digits: scikit-learn's, 1 where a pixel is at least 8.
Log-likelihoods are exact, nats per image.
"""
DIGITS = (load_digits().data >= 8).astype(float)
# Of a prototype in NumPy: exact training log-likelihood of all digits; and train / test of a 1437 / 360 split, ridge 1.
PROTOTYPE = {4: -20.5757, 8: -18.9401, 10: -18.4135, 12: -18.1329}
PROTOTYPE_SPLIT = {4: (-20.68, -20.87), 8: (-19.09, -19.56), 10: (-18.64, -19.08)}
RIDGES = [(8, 0.3), (8, 1.0), ((8, 2), 0.3), ((8, 2), 1.0)]
RIDGES += [(10, 0.3), (10, 1.0), ((10, 2), 0.3), ((10, 2), 1.0), ((10, 3), 0.3)]
RBM_RIDGES = [(8, 0.1), (8, 0.3), (8, 1.0), (10, 0.1)]
RIDGES_NOTES = """\
Which setting to use on data like these: `alpha=0.3` rather than 1, and a small second layer, as in
`n_components=(8, 2)` or `(10, 3)`; `GridSearchCV` chooses for other data. The restricted Boltzmann machines are fitted by L-BFGS on their exact
likelihood with the same kind of ridge. At H = 8 the net with a second layer is as good on held-out images, at H = 10 the machine stays ahead.
"""
RBM_SETTINGS = [(rate, batch) for rate in (0.01, 0.03, 0.1) for batch in (10, 50)]


def bars(n: int, seed: int, size: int):
    rng = np.random.RandomState(seed)
    images = np.zeros((2 * size, size, size))
    for i in range(size):
        images[i, i, :] = images[size + i, :, i] = 1
    images = images.reshape(2 * size, -1)
    on = rng.uniform(size=(n, 2 * size)) < 1.0 / size
    p = 1.0 / (1.0 + np.exp(3.0 - 6.0 * on @ images))
    return (rng.uniform(size=p.shape) < p).astype(float), images


def n_found(components, images) -> int:
    correlation = np.corrcoef(np.vstack([components, images]))[: len(components), len(components) :]
    return int((np.abs(correlation) > 0.85).any(axis=0).sum())


def e_steps(sizes: list[int]) -> Iterator[list[str]]:
    for h in sizes:
        rng = np.random.default_rng(0)
        digits = Rows(DIGITS, None, row_bytes=8 * (2**h + 128))
        rows = merge_duplicates(digits, digits.view(partial(binary, 0.0)), h)
        net = BeliefNet(np.zeros(h), (Layer(rng.normal(size=(64, h)), np.zeros(64)),))
        X, logits, q = rows.X.astype(float), rng.normal(size=(2**h, 64)), rng.random((rows.n_rows, 2**h))
        products = clock(lambda X=X, L=logits, q=q: (X @ L.T, q.T @ X), at_most=20)[1]
        step = clock(
            lambda rows=rows, net=net: BeliefNetModel(0.0).expect(Parameters(net), rows),
            at_most=20,
        )[1]
        yield [str(h), f"{1e3 * products:.2f}", f"{1e3 * step:.2f}", f"{step / products:.2f}"]


def default_fits(sizes: list[tuple[int, float, int]]) -> Iterator[list[str]]:
    for h, alpha, seeds in sizes:
        net = SigmoidBeliefNet(h, alpha=alpha)
        runs = [
            clock(lambda net=net, seed=seed: clone(net).set_params(random_state=seed).fit(DIGITS), at_most=1)
            for seed in range(seeds)
        ]
        values = [fit.lower_bound_ for fit, _, _ in runs]
        gap = max(abs(fit.stationarity_gap_) for fit, _, _ in runs)
        seconds = f"{np.mean([wall for _, wall, _ in runs]):.2f}"
        bounds = [f"{value:.4f}" for value in (max(values), np.mean(values), min(values))]
        yield [str(h), f"{alpha:g}", str(seeds), seconds, *bounds, str(PROTOTYPE.get(h, "")), f"{gap:.0e}"]


def bars_found(sizes: list[tuple[int, int]], n_sets: int) -> Iterator[list[str]]:
    for n, n_init in sizes:
        found, seconds, excess = [], [], []
        for seed in range(n_sets):
            X, images = bars(n, seed, 4)
            net = SigmoidBeliefNet(8, n_init=n_init, random_state=seed)
            fit, wall, _ = clock(lambda X=X, net=net: net.fit(X), at_most=1)
            truth = SigmoidBeliefNet(8, random_state=0, max_iter=1).fit(X)
            truth.prior_, truth.components_, truth.intercept_ = np.full(8, 0.25), 6.0 * images, np.full(16, -3.0)
            found.append(n_found(fit.components_, images) == 8)
            seconds.append(wall)
            excess.append(fit.score(X) - truth.score(X))
        span = f"{min(excess):+.4f} to {max(excess):+.4f}"
        yield [f"{n:,}", str(n_init), f"{sum(found)} of {n_sets}", f"{np.mean(seconds):.2f}", span]


def rbm_score(rbm: BernoulliRBM, X: np.ndarray) -> float:
    """Exact mean log-likelihood of a restricted Boltzmann machine, by enumeration of its hidden states."""
    states = enumerate_states(len(rbm.components_))
    log_z = logsumexp(
        states @ rbm.intercept_hidden_ + softplus(states @ rbm.components_ + rbm.intercept_visible_).sum(axis=1)
    )
    free = X @ rbm.intercept_visible_ + softplus(X @ rbm.components_.T + rbm.intercept_hidden_).sum(axis=1)
    return float(free.mean() - log_z)


def best_rbm(h: int, train: np.ndarray, n_iter: int) -> BernoulliRBM:
    """The best of several settings, by the exact likelihood of the training data."""
    fits = (
        BernoulliRBM(h, learning_rate=rate, batch_size=batch, n_iter=n_iter, random_state=0).fit(train)
        for rate, batch in RBM_SETTINGS
    )
    return max(fits, key=lambda rbm: rbm_score(rbm, train))


def maximum_likelihood_rbm(h: int, train: np.ndarray, alpha: float, n_init: int) -> BernoulliRBM:
    """A restricted Boltzmann machine by L-BFGS on its exact likelihood less ``alpha / 2`` times its squared parameters."""
    states, d = enumerate_states(h), train.shape[1]

    def machine(vector: np.ndarray) -> BernoulliRBM:
        rbm = BernoulliRBM(h)
        rbm.components_ = vector[: h * d].reshape(h, d)
        rbm.intercept_hidden_, rbm.intercept_visible_ = np.split(vector[h * d :], [h])
        return rbm

    def loss(vector: np.ndarray) -> tuple[float, np.ndarray]:
        rbm = machine(vector)
        logits = states @ rbm.components_ + rbm.intercept_visible_
        log_joint = states @ rbm.intercept_hidden_ + softplus(logits).sum(axis=1)
        p = np.exp(log_joint - logsumexp(log_joint))
        visible, hidden = p[:, np.newaxis] * expit(logits), expit(train @ rbm.components_.T + rbm.intercept_hidden_)
        slopes = [hidden.T @ train / len(train) - states.T @ visible, hidden.mean(axis=0) - p @ states]
        slopes.append(train.mean(axis=0) - visible.sum(axis=0))
        gradient = np.concatenate([slope.ravel() for slope in slopes]) - alpha * vector / len(train)
        return 0.5 * alpha * vector @ vector / len(train) - rbm_score(rbm, train), -gradient

    offsets = logit(np.clip(train.mean(axis=0), 0.01, 0.99))
    starts = (np.random.RandomState(seed).normal(size=h * d) * 0.3 for seed in range(n_init))
    fits = [
        minimize(loss, np.concatenate([start, np.zeros(h), offsets]), jac=True, method="L-BFGS-B", options={"maxiter": 1500})
        for start in starts
    ]
    return machine(min(fits, key=lambda fit: fit.fun).x)


def halves() -> tuple[np.ndarray, np.ndarray]:
    order = np.random.RandomState(0).permutation(len(DIGITS))
    return DIGITS[order[:1437]], DIGITS[order[1437:]]


def ridges(settings: list[tuple[int | tuple[int, int], float]], n_init: int) -> Iterator[list[str]]:
    train, test = halves()
    for sizes, alpha in settings:
        net = SigmoidBeliefNet(sizes, alpha=alpha, n_init=n_init, random_state=0).fit(train)
        yield ["SigmoidBeliefNet", str(sizes), f"{alpha:g}", str(net.n_parameters_), *scores(net.score, train, test)]


def ridges_of_rbms(settings: list[tuple[int, float]], n_init: int) -> Iterator[list[str]]:
    train, test = halves()
    for h, alpha in settings:
        rbm = maximum_likelihood_rbm(h, train, alpha, n_init)
        k = str(65 * h + 64)
        yield ["RBM, exact", str(h), f"{alpha:g}", k, *scores(partial(rbm_score, rbm), train, test)]


def scores(score: Callable[[np.ndarray], float], train: np.ndarray, test: np.ndarray) -> list[str]:
    return [f"{score(train):.2f}", f"{score(test):.2f}"]


def split(sizes: list[int], n_init: int, n_iter: int) -> Iterator[list[str]]:
    train, test = halves()
    for h in sizes:
        net = SigmoidBeliefNet(h, alpha=1.0, n_init=n_init, random_state=0).fit(train)
        k = round((net.n_parameters_ + 1) / 65)
        mixture = ExponentialFamilyMixture("bernoulli", k, prior_counts=1.0, n_init=n_init, random_state=0).fit(train)
        rbm = best_rbm(h, train, n_iter)
        yield [
            f"{h} ({net.n_parameters_})",
            f"{net.score(train):.2f} / {net.score(test):.2f}",
            f"{mixture.score(train):.2f} / {mixture.score(test):.2f} (K = {k})",
            f"{rbm_score(rbm, train):.2f} / {rbm_score(rbm, test):.2f}",
            "{} / {}".format(*PROTOTYPE_SPLIT.get(h, "--")),
        ]


def page(quick: bool) -> Iterator[str]:
    yield setting("skentropy", "sklearn") + "\n"
    yield NOTES
    yield "## One exact E-step beside its two matrix products (digits, all 1,797 rows)\n"
    yield from table(["H", "products ms", "E-step ms", "ratio"], e_steps([4] if quick else [4, 8, 10, 12]))
    yield "## Fits of all digits, default settings (alpha = 0.01) or without a ridge\n"
    columns = ["H", "alpha", "seeds", "wall s, mean", "log-likelihood: best", "mean", "worst"]
    sizes = [(2, 0.01, 1)] if quick else [(4, 0.01, 5), (4, 0.0, 5), (8, 0.01, 10), (10, 0.01, 5), (12, 0.01, 2)]
    yield from table([*columns, "prototype (no ridge)", "largest gap"], default_fits(sizes))
    starts = 1 if quick else 5
    yield f"## 1437 / 360 split of the digits, train / test, nats per image; best of {starts} starts by the training objective\n"
    columns = ["H (parameters)", "SigmoidBeliefNet, alpha = 1", "Bernoulli mixture of as many parameters"]
    columns += ["scikit-learn BernoulliRBM, best of six settings", "prototype SBN (its own split)"]
    yield from table(columns, split([2] if quick else [4, 8, 10], starts, 1 if quick else 200))
    yield "## The same split: ridges, a second layer, and restricted Boltzmann machines by exact maximum likelihood\n"
    yield RIDGES_NOTES
    columns = ["model", "H", "alpha", "parameters", "train", "test"]
    nets, rbms = ([(2, 1.0)], [(2, 1.0)]) if quick else (RIDGES, RBM_RIDGES)
    yield from table(columns, chain(ridges(nets, starts), ridges_of_rbms(rbms, starts)))
    n_sets = 1 if quick else 10
    yield f"## Bars: 4 x 4 images, 8 bars; {n_sets} data sets\n"
    columns = [
        "n",
        "n_init",
        "data sets with all 8",
        "wall s a fit",
        "log-likelihood less that of the generating parameters",
    ]
    yield from table(columns, bars_found([(200, 1)] if quick else [(1000, 1), (1000, 10), (5000, 1), (5000, 10)], n_sets))
