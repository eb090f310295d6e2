"""Sigmoid belief nets: speed of the E-step, default fits, bars, and digits beside mixtures and restricted Boltzmann machines.

Run ``python docs/benchmarks/bench_belief_net.py`` (about 25 minutes on one core); it prints the tables and writes
results_belief_net.md beside itself. BLAS is held to one thread.
"""

from __future__ import annotations

import platform
import time
import warnings
from pathlib import Path

import numpy as np
import sklearn
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.neural_network import BernoulliRBM
from threadpoolctl import threadpool_limits

from skentropy import ExponentialFamilyMixture, SigmoidBeliefNet
from skentropy._blocks import Rows
from skentropy.neural_network._exact import expect
from skentropy.neural_network._layers import BeliefNet, Layer, enumerate_states, softplus
from skentropy.neural_network._model import Parameters
from skentropy.neural_network._rows import merge_duplicates

DIGITS = (load_digits().data >= 8).astype(float)
# Of a prototype in NumPy: exact training log-likelihood of all digits; and train / test of a 1437 / 360 split, ridge 1.
PROTOTYPE = {4: -20.5757, 8: -18.9401, 10: -18.4135, 12: -18.1329}
PROTOTYPE_SPLIT = {4: (-20.68, -20.87), 8: (-19.09, -19.56), 10: (-18.64, -19.08)}
PROTOTYPE_TRUNCATED = {30: -16.285, 60: -15.290, 100: -14.5}
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


def fastest(function, most: int = 20) -> float:
    best = np.inf
    for _ in range(most):
        start = time.perf_counter()
        function()
        best = min(best, time.perf_counter() - start)
    return best


def timed(function):
    start = time.perf_counter()
    result = function()
    return result, time.perf_counter() - start


def e_step_table():
    yield "## One exact E-step beside its two matrix products (digits, all 1,797 rows)\n"
    yield "| H | products ms | E-step ms | ratio |"
    yield "| --- | --- | --- | --- |"
    for h in (4, 8, 10, 12):
        rng = np.random.default_rng(0)
        rows = merge_duplicates(Rows(DIGITS, None, row_bytes=8 * (2**h + 128)), None)
        net = BeliefNet(np.zeros(h), (Layer(rng.normal(size=(64, h)), np.zeros(64)),))
        X, logits, q = rows.X.astype(float), rng.normal(size=(2**h, 64)), rng.random((rows.n_rows, 2**h))
        products = fastest(lambda X=X, L=logits, q=q: (X @ L.T, q.T @ X))
        step = fastest(lambda rows=rows, net=net: expect(rows, Parameters(net), None, None))
        yield f"| {h} | {1e3 * products:.2f} | {1e3 * step:.2f} | {step / products:.2f} |"


def default_table():
    yield "\n## Fits of all digits, default settings (alpha = 0.01) or without a ridge\n"
    yield "| H | alpha | seeds | s, mean | log-likelihood: best | mean | worst | prototype (no ridge) | largest gap |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for h, alpha, seeds in ((4, 0.01, 5), (4, 0.0, 5), (8, 0.01, 10), (10, 0.01, 5), (12, 0.01, 2)):
        net = SigmoidBeliefNet(h, alpha=alpha)
        runs = (timed(lambda net=net, s=seed: clone(net).set_params(random_state=s).fit(DIGITS)) for seed in range(seeds))
        fits, seconds = zip(*runs, strict=True)
        values = [fit.lower_bound_ for fit in fits]
        gap = max(abs(fit.stationarity_gap_) for fit in fits)
        numbers = f"{max(values):.4f} | {np.mean(values):.4f} | {min(values):.4f} | {PROTOTYPE[h]} | {gap:.0e}"
        yield f"| {h} | {alpha:g} | {seeds} | {np.mean(seconds):.2f} | {numbers} |"


def bars_table():
    yield "\n## Bars: 4 x 4 images, 8 bars; ten data sets\n"
    yield "| n | n_init | data sets with all 8 | seconds a fit | log-likelihood less that of the generating parameters |"
    yield "| --- | --- | --- | --- | --- |"
    for n in (1000, 5000):
        for n_init in (1, 10):
            found, seconds, excess = [], [], []
            for seed in range(10):
                X, images = bars(n, seed, 4)
                fit, took = timed(lambda X=X, k=n_init, s=seed: SigmoidBeliefNet(8, n_init=k, random_state=s).fit(X))
                truth = SigmoidBeliefNet(8, random_state=0, max_iter=1).fit(X)
                truth.prior_, truth.components_, truth.intercept_ = np.full(8, 0.25), 6.0 * images, np.full(16, -3.0)
                found.append(n_found(fit.components_, images) == 8)
                seconds.append(took)
                excess.append(fit.score(X) - truth.score(X))
            yield f"| {n} | {n_init} | {sum(found)} of 10 | {np.mean(seconds):.2f} | {min(excess):+.4f} to {max(excess):+.4f} |"
    X, images = bars(2000, 0, 8)
    fit, took = timed(lambda: SigmoidBeliefNet(16, posterior="truncated", random_state=0).fit(X))
    yield f"\n8 x 8 images, 16 bars, n = 2,000, truncated: {n_found(fit.components_, images)} of 16 found, {took:.1f} s."


def rbm_score(rbm: BernoulliRBM, X: np.ndarray) -> float:
    """Exact mean log-likelihood of a restricted Boltzmann machine, by enumeration of its hidden states."""
    states = enumerate_states(len(rbm.components_))
    log_z = logsumexp(
        states @ rbm.intercept_hidden_ + softplus(states @ rbm.components_ + rbm.intercept_visible_).sum(axis=1)
    )
    free = X @ rbm.intercept_visible_ + softplus(X @ rbm.components_.T + rbm.intercept_hidden_).sum(axis=1)
    return float(free.mean() - log_z)


def best_rbm(h: int, train: np.ndarray) -> BernoulliRBM:
    """The best of several settings, by the exact likelihood of the training data."""
    fits = (
        BernoulliRBM(h, learning_rate=rate, batch_size=batch, n_iter=200, random_state=0).fit(train)
        for rate, batch in RBM_SETTINGS
    )
    return max(fits, key=lambda rbm: rbm_score(rbm, train))


def split_table():
    order = np.random.RandomState(0).permutation(len(DIGITS))
    train, test = DIGITS[order[:1437]], DIGITS[order[1437:]]
    yield "\n## 1437 / 360 split of the digits, train / test, nats per image; best of five starts by the training objective\n"
    columns = "Bernoulli mixture of as many parameters | scikit-learn BernoulliRBM, best of six settings"
    yield f"| H (parameters) | SigmoidBeliefNet, alpha = 1 | {columns} | prototype SBN (its own split) |"
    yield "| --- | --- | --- | --- | --- |"
    for h in (4, 8, 10):
        net = SigmoidBeliefNet(h, alpha=1.0, n_init=5, random_state=0).fit(train)
        k = round((net.n_parameters_ + 1) / 65)
        mixture = ExponentialFamilyMixture("bernoulli", k, prior_counts=1.0, n_init=5, random_state=0).fit(train)
        ours = f"{net.score(train):.2f} / {net.score(test):.2f}"
        theirs = f"{mixture.score(train):.2f} / {mixture.score(test):.2f} (K = {k})"
        prototype = "{} / {}".format(*PROTOTYPE_SPLIT[h])
        rbm = best_rbm(h, train)
        machine = f"{rbm_score(rbm, train):.2f} / {rbm_score(rbm, test):.2f}"
        yield f"| {h} ({net.n_parameters_}) | {ours} | {theirs} | {machine} | {prototype} |"


def truncated_table():
    yield "\n## Truncated posteriors, all digits\n"
    columns = "s | EM steps | converged | ELBO after fit | gap | score by search | exact at these parameters | prototype (no ridge)"
    yield f"| H | states | alpha | {columns} |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    sizes = ((12, 20, 0.01, 1000), (30, 50, 0.01, 1000), (30, 50, 1e-4, 1000), (60, 20, 0.01, 200), (100, 15, 0.01, 200))
    for h, k, alpha, steps in sizes:
        net = SigmoidBeliefNet(h, posterior="truncated", n_states=k, alpha=alpha, max_iter=steps, random_state=0)
        _, took = timed(lambda net=net: net.fit(DIGITS))
        exact = ""
        elbo, score = net.lower_bound_, net.score(DIGITS)
        if h <= 12:
            net.score_is_exact_ = True
            exact = f"{net.score(DIGITS):.4f}"
        prototype = PROTOTYPE_TRUNCATED.get(h, "")
        end = f"{net.n_iter_} | {net.converged_} | {elbo:.4f} | {net.stationarity_gap_:.0e} | {score:.4f}"
        yield f"| {h} | {k} | {alpha:g} | {took:.0f} | {end} | {exact} | {prototype} |"


def main() -> None:
    warnings.simplefilter("ignore")
    lines = [
        "# Sigmoid belief nets\n",
        f"Python {platform.python_version()}, NumPy {np.__version__}, scikit-learn {sklearn.__version__}; one BLAS thread. Digits: "
        "scikit-learn's, 1 where a pixel is at least 8. Log-likelihoods are exact unless said otherwise, nats per image.\n",
    ]
    print("\n".join(lines))
    with threadpool_limits(1):
        for table in (e_step_table, default_table, split_table, bars_table, truncated_table):
            for line in table():
                print(line, flush=True)
                lines.append(line)
    (Path(__file__).parent / "results_belief_net.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
