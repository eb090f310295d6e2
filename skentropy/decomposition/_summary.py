"""Summaries of fitted factor models, table by table, modelled on the printed output of psych's ``fa``."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._messages import feature_names, list_columns
from .._standard_errors import StandardErrors
from .._tables import Column, Summary, Table
from .._typing import Array, FloatArray
from ._fit_indices import GoodnessOfFit


def summarize_factors(
    model: Any, fit: GoodnessOfFit | None, errors: StandardErrors | None, *, cutoff: float, sort: bool
) -> Summary:
    """The summary of a factor analysis."""
    L = model.loadings_
    d, k = L.shape
    tables = {"loadings": _loadings(model, cutoff=cutoff, sort=sort), "variance": _variance(model)}
    if k and np.abs(model.factor_correlation_ - np.eye(k)).max() > 0.0:
        names = _factors(k)
        columns = [Column(name, values) for name, values in zip(names, model.factor_correlation_.T, strict=True)]
        tables["correlations"] = Table("correlations of the factors", names, columns)
    if k:
        tables["scores"] = _scores(model)
    if fit is not None:
        tables["fit"] = fit.table
    if errors is not None:
        tables["standard errors"] = _standard_errors(model, errors)
    rotation = "no rotation" if model._rotation is None else f"rotation {model._rotation.method}"
    notes = _notes(model, fit)
    if len(model.heywood_):
        listed = list_columns(model, model._heywood_index)
        notes.append(f"Heywood case: the uniqueness of {listed} is on its floor; tests and errors hold as if it were known.")
    return Summary(f"FactorAnalysis: {k} factors of {d} features, {rotation}", tables, _facts(model), notes)


def summarize_components(model: Any, *, cutoff: float, sort: bool) -> Summary:
    """The summary of a PPCA."""
    W, noise = model.components_.T.astype(np.float64), model.noise_variance_
    d, k = W.shape
    names = [f"component{j}" for j in range(k)]
    order = loading_order(np.abs(W)) if sort else np.arange(d)
    variances = (W**2).sum(axis=1) + noise
    columns = [Column(name, W[order, j], ".4g", cutoff) for j, name in enumerate(names)]
    columns += [Column("communality", (1.0 - noise / variances)[order]), Column("variance", variances[order], ".4g")]
    features = np.array(feature_names(model))[order].tolist()
    ratio = model.explained_variance_ratio_
    explained = [
        Column("variance", model.explained_variance_, ".4g"),
        Column("proportion", ratio),
        Column("cumulative", np.cumsum(ratio)),
    ]
    tables = {
        "variance": Table("variance explained by each component, its noise included", names, explained, "component"),
        "loadings": Table("loadings, in the data's units", features, columns, "feature"),
    }
    facts = {**_facts(model), "noise variance": f"{noise:.6g}"}
    return Summary(f"PPCA: {k} components of {d} features", tables, facts, _notes(model, None, complete=True))


def _factors(k: int) -> list[str]:
    return [f"factor{j}" for j in range(k)]


def loading_order(sizes: FloatArray) -> Array:
    """Order of features by the factor on which they load most, then by descending absolute loading, as in psych."""
    if not sizes.shape[1]:
        return np.arange(len(sizes))
    return np.lexsort([-sizes.max(axis=1), sizes.argmax(axis=1)])


def _loadings(model: Any, *, cutoff: float, sort: bool) -> Table:
    L, communalities = model.loadings_, model.communalities_
    order = loading_order(np.abs(L)) if sort else np.arange(len(L))
    fourth = (L**4).sum(axis=1)
    # Hofmann's (1978) index of complexity: on how many factors a feature loads.
    complexity = np.divide((L**2).sum(axis=1) ** 2, fourth, out=np.full(len(L), np.nan), where=fourth > 0.0)
    columns = [Column(name, L[order, j], cutoff=cutoff) for j, name in enumerate(_factors(L.shape[1]))]
    columns += [
        Column("communality", communalities[order]),
        Column("uniqueness", 1.0 - communalities[order]),
        Column("complexity", complexity[order], ".2f"),
    ]
    names = np.array(feature_names(model))[order].tolist()
    hidden = f"; those below {cutoff:g} are not shown" if cutoff else ""
    return Table(f"loadings (pattern matrix), on the scale of correlations{hidden}", names, columns, "feature")


def _variance(model: Any) -> Table:
    explained, ratio = model.explained_variance_, model.explained_variance_ratio_
    total = explained.sum()
    share = explained / total if total > 0.0 else np.zeros_like(explained)
    rows = {
        "sum of squared loadings": explained,
        "proportion of variance": ratio,
        "cumulative variance": np.cumsum(ratio),
        "proportion of what is explained": share,
        "cumulative proportion": np.cumsum(share),
    }
    values = np.array(list(rows.values()))
    columns = [Column(name, values[:, j]) for j, name in enumerate(_factors(len(explained)))]
    return Table("variance explained by each factor, on the scale of correlations", list(rows), columns)


def _scores(model: Any) -> Table:
    """How well the data determine scores (Grice 2001): R^2_j = (Phi W' S^-1 W Phi)_jj with the model's covariance S."""
    structure = model.structure_
    scale = np.sqrt(np.diag(model.get_covariance()))
    precision = model.get_precision() * scale * scale[:, np.newaxis]
    squared = np.maximum((structure * (precision @ structure)).sum(axis=0), 0.0)
    rows = {
        "correlation of regression scores with factors": np.sqrt(squared),
        "their squared multiple correlation": squared,
        "least correlation of possible scores": 2.0 * squared - 1.0,
    }
    values = np.array(list(rows.values()))
    columns = [Column(name, values[:, j]) for j, name in enumerate(_factors(len(squared)))]
    return Table("determinacy of factor scores", list(rows), columns)


def _standard_errors(model: Any, errors: StandardErrors) -> Table:
    columns = []
    for j, (estimates, spread) in enumerate(zip(model.components_, errors["components"], strict=True)):
        columns += [Column(f"factor{j}", estimates, ".4g"), Column(f"error{j}", spread, ".2g")]
    columns += [
        Column("uniqueness", model.noise_variance_, ".4g"),
        Column("error", errors["noise_variance"], ".2g"),
    ]
    title = "loadings and uniquenesses in the data's units, with standard errors"
    return Table(title, feature_names(model), columns, "feature")


def _facts(model: Any) -> dict[str, str]:
    n, per_sample, parameters = model.n_samples_, model.lower_bound_, model.n_parameters_
    total = n * per_sample
    return {
        "rows": f"{n:g}",
        "log-likelihood": f"{total:.3f} nats in total, {per_sample:.6f} per sample",
        "entropy sum": f"{model.entropy_sum_.value:.6f} nats per sample",
        "parameters": f"{parameters}",
        "BIC, AIC": f"{np.log(n) * parameters - 2.0 * total:.3f}, {2.0 * (parameters - total):.3f} nats; lower is better",
    }


def _notes(model: Any, fit: GoodnessOfFit | None, *, complete: bool = False) -> list[str]:
    notes: list[str] = []
    if not model.converged_:
        notes.append("The fit did not converge; its numbers are not those of a maximum.")
    if fit is None and not complete:
        notes.append("Indices of fit need a nonsingular covariance. After gaps they need the data too: call summary(X).")
    return notes
