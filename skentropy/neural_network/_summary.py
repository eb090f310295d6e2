"""Summaries of fitted belief nets and autoencoders, table by table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._em import as_fitted
from .._messages import feature_names
from .._tables import Column, Summary, Table, cut, decimals_for
from .._typing import FloatArray

# The number of features that are named for each hidden variable, and the number of characters of a name.
_MOST_FEATURES, _NAME = 2, 18


def summarize_net(net: Any, warned: Sequence[str]) -> Summary:
    """The summary of a belief net."""
    names, W = feature_names(net), np.asarray(net.components_, dtype=np.float64)
    hidden = [f"hidden{h}" for h in range(len(W))]
    tables, is_deep = {"entropy sum": _terms(net)}, hasattr(net, "hidden_components_")
    tables["hidden"] = _hidden("hidden variables", hidden, W, names, None if is_deep else net.prior_)
    if is_deep:
        top = [f"top{h}" for h in range(len(net.prior_))]
        above = np.asarray(net.hidden_components_, dtype=np.float64)
        tables["top"] = _hidden("hidden variables of the top layer", top, above, hidden, net.prior_)
    exact = net.score_is_exact_
    facts = {
        "log-likelihood" if exact else "ELBO": f"{net.lower_bound_:.6f} nats per sample"
        + ("" if exact else ", a lower bound"),
        **_facts(net),
        "parameters": f"{net.n_parameters_}",
        "EM steps": f"{net.n_iter_}",
    }
    sizes = f"{len(net.prior_)} above {len(W)}" if is_deep else f"{len(W)}"
    posterior = "exact" if exact else "truncated"
    title = f"{type(net).__name__}: {sizes} hidden variables of {len(names)} features, {posterior} posteriors"
    return Summary(title, tables, facts, _notes(warned))


def summarize_autoencoder(vae: Any, warned: Sequence[str]) -> Summary:
    """The summary of a variational autoencoder."""
    names, information = feature_names(vae), np.asarray(vae.information_, dtype=np.float64)
    latents = [Column("information", information, ".4f"), Column("collapsed", list(vae.collapsed_))]
    means = np.asarray(vae.mean_, dtype=np.float64)
    columns = [Column("mean", means, ".4g")]
    if hasattr(vae, "noise_variance_"):
        noise = np.broadcast_to(np.sqrt(np.asarray(vae.noise_variance_, dtype=np.float64)), means.shape)
        each = [decimals_for(noise[[d]]) for d in range(len(noise))]
        columns = [Column("mean", means, each), Column("noise sd", noise, each)]
    tables = {
        "entropy sum": _terms(vae),
        "latents": Table(
            "information of each latent about the data, in nats per sample",
            [f"latent{h}" for h in range(len(information))],
            latents,
            "latent",
        ),
        "features": Table("features, in the data's units", names, columns, "feature"),
    }
    facts = {
        "ELBO": f"{vae.lower_bound_:.6f} nats per sample, a lower bound of the log-likelihood up to a small error",
        **_facts(vae),
        "epochs": f"{vae.n_iter_}",
    }
    fitted = as_fitted(vae)
    layers = "a linear decoder" if vae.is_linear_ else f"hidden layers of {_sizes(fitted.hidden_layer_sizes)} units"
    title = f"{type(vae).__name__}: {len(information)} latents of {len(names)} features, {layers}, {fitted.prior} prior"
    return Summary(title, tables, facts, _notes(warned))


def _sizes(hidden: Any) -> str:
    return ", ".join(str(size) for size in np.atleast_1d(hidden))


def _facts(model: Any) -> dict[str, str]:
    return {
        "entropy sum": f"{model.entropy_sum_.value:.6f} nats per sample",
        "entropy sum - ELBO": f"{model.stationarity_gap_:.1e} nats per sample",
    }


def _notes(warned: Sequence[str]) -> list[str]:
    return [f"Warning: {message}" for message in warned]


def _terms(model: Any) -> Table:
    """The terms of the entropy sum with their signs."""
    terms = model.entropy_sum_
    counted = {name: sign * getattr(terms, name) for name, sign in terms.SIGNS.items() if getattr(terms, name)}
    values = [*counted.values(), terms.value]
    names = [name.replace("_", " ") for name in counted]
    return Table("entropy sum by terms, as they count", [*names, "sum"], [Column("nats per sample", values, ".6f")], "term")


def _hidden(title: str, names: list[str], weights: FloatArray, features: list[str], prior: Any) -> Table:
    """The effect of each hidden variable: the features whose log-odds it changes most."""
    columns = [] if prior is None else [Column("prior", np.asarray(prior, dtype=np.float64), ".4f")]
    columns += [Column("raises most", [_largest(row, features) for row in weights])]
    columns += [Column("lowers most", [_largest(-row, features, -1.0) for row in weights])]
    of = "" if prior is None else ", their prior probabilities"
    return Table(f"{title}{of}, and by how much they change the log odds of what is below", names, columns, "variable")


def _largest(changes: FloatArray, features: list[str], sign: float = 1.0) -> str:
    """The features with the largest positive changes, and the changes."""
    order = np.argsort(-changes, kind="stable")[:_MOST_FEATURES]
    return ", ".join(f"{cut(features[d], _NAME)} {sign * changes[d]:+.2f}" for d in order if changes[d] > 0.0)
