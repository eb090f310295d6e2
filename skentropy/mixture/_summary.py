"""Summaries of fitted mixtures, table by table, modelled on mclust, flexmix and poLCA."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .._base import Evaluation
from .._data import Additive, Block, BlockSource, ColumnSurvey, survey_columns
from .._messages import feature_names
from .._tables import Column, Summary, Table, decimals_for
from .._typing import Array, FloatArray
from ._categories import category_name
from ._components import Components
from ._excess import Excess
from ._model import MixtureModel, MixtureParameters
from ._profiles import moments_of_mixture
from ._report import component_labels, component_names, n_clusters
from ._residuals import PairTables, count_patterns, pattern_facts

# The largest number of pairs for which a summary shows residuals or correlations.
_MOST_PAIRS, _MOST_CORRELATIONS = 10, 20
# The gap of other rows than those of the fit differs from the gap of the fit by more than this share of the terms.
_OTHER_ROWS = 1e-5
# Larger divergences are printed in scientific notation.
_LARGE = 1e6
# A component of a degenerate fit has collapsed in a column if its variance is less than this share of the mixture's.
_COLLAPSED = 1e-6


@dataclass(frozen=True)
class RowSums(Additive):
    """Sums over rows for the summary.

    Attributes
    ----------
    counts : ndarray of shape (K,)
        Weights of the rows for which each component is the most probable.
    assigned : ndarray of shape (K, K)
        Sums of w q(c) over these rows; each row of the array is for one component.
    pairs : PairTables
    excess : Excess
        For columns with Poisson distributions.
    patterns : as from ``count_patterns``
    columns : ColumnSurvey
    """

    counts: FloatArray
    assigned: FloatArray
    pairs: PairTables
    excess: Excess
    patterns: FloatArray
    columns: ColumnSurvey

    @classmethod
    def of_block(cls, block: Block, model: MixtureModel, parameters: MixtureParameters, sizes: Mapping[int, int]) -> RowSums:
        q = np.exp(model.posterior(parameters, model.components.read(block))[1])
        weight = block.row_weight
        largest = (q.argmax(axis=0) == np.arange(len(q))[:, np.newaxis]) * weight
        columns = model.components.poisson_columns
        rates = model.components.moments(parameters.components)[0][:, columns]
        return cls(
            largest.sum(axis=1),
            largest @ q.T,
            PairTables.of_block(block, sizes),
            Excess.of_block(block, q, rates, columns),
            count_patterns(block, sizes),
            survey_columns(block),
        )


def summarize_mixture(
    estimator: Any,
    model: MixtureModel,
    parameters: MixtureParameters,
    evaluation: Evaluation | None,
    rows: BlockSource | None,
    pool: Any,
    warned: Sequence[str],
) -> Summary:
    """The summary of a mixture; ``evaluation`` is that of the rows, or of the fit if there are no rows."""
    K, names = len(estimator.weights_), feature_names(estimator)
    probabilities = model.components.category_probabilities(parameters.components)
    features = sorted(estimator._modelled_columns or range(len(names)))
    numbers = [feature for feature in features if feature not in probabilities]
    n = None if evaluation is None else evaluation.weight
    tables = {"components": _components(estimator, n)}
    sums = None
    if rows is not None:
        sizes = {feature: values.shape[1] for feature, values in probabilities.items()}
        sums = rows.sum(partial(RowSums.of_block, model=model, parameters=parameters, sizes=sizes), pool)
        tables["classification"] = _classification(estimator, sums.counts, sums.assigned)
    if numbers:
        exposed = estimator._exposed or (sums is not None and sums.columns.exposed)
        tables["means"] = _means(estimator, model, parameters, numbers, exposed=exposed)
        tables |= {} if sums is None else _observed(estimator, model, parameters, sums.columns, numbers)
        tables |= _correlations(estimator, model, parameters)
    if probabilities:
        tables["probabilities"] = _probabilities(estimator, probabilities)
    if K > 1:
        tables["features"] = _features(estimator, model, parameters, features)
    if sums is not None and len(probabilities) > 1:
        tables["residuals"] = sums.pairs.table(estimator, probabilities, most=_MOST_PAIRS)
    facts = _facts(estimator, evaluation)
    if sums is not None and not numbers:
        facts |= pattern_facts(sums.patterns, estimator.weights_, probabilities, estimator.n_parameters_)
    of = f"{counted(n_clusters(estimator), 'component')} of {counted(len(features), 'feature')}"
    title = f"{type(estimator).__name__}: {of}, {model.components.label}"
    notes = _notes(estimator, evaluation, warned, rows)
    if sums is not None:
        columns = model.components.poisson_columns
        means = np.exp(parameters.log_weights) @ model.components.moments(parameters.components)[0][:, columns]
        notes += sums.excess.notes(estimator, means, columns)
    return Summary(title, tables, facts, notes)


def counted(n: int, noun: str) -> str:
    """ "1 feature", "2 features"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def relative_entropy(posterior: float, n_components: int) -> float:
    """One if rows are classified with certainty, zero if their components are unknown; NaN for one component.

    .. math::  1 - \\frac{\\sum_n w_n H[q_n]}{\\sum_n w_n \\log K}
    """
    return 1.0 - posterior / float(np.log(n_components)) if n_components > 1 else float("nan")


def _facts(estimator: Any, evaluation: Evaluation | None) -> dict[str, str]:
    parameters = estimator.n_parameters_
    if evaluation is None:
        return {"parameters": f"{parameters}"}
    n, per_sample = evaluation.weight, evaluation.elbo
    total, terms = n * per_sample, evaluation.entropy_sum
    bic = np.log(n) * parameters - 2.0 * total
    facts = {
        "rows": f"{n:.10g}",
        "log-likelihood": f"{total:.3f} nats in total, {per_sample:.6f} per sample",
        "entropy sum": f"{terms.value:.6f} nats per sample",
        "parameters": f"{parameters}",
        "BIC, AIC": f"{bic:.3f}, {2.0 * (parameters - total):.3f} nats; lower is better",
        "ICL": f"{bic + 2.0 * n * evaluation.classification:.3f} nats; lower is better",
    }
    K = len(estimator.weights_)
    if K > 1:
        facts["entropy of posteriors"] = f"{terms.posterior:.4f} nats per sample, of at most log {K} = {np.log(K):.4f}"
        facts["relative entropy"] = f"{relative_entropy(terms.posterior, K):.3f}; 1 if rows are classified with certainty"
    return facts


def _notes(estimator: Any, evaluation: Evaluation | None, warned: Sequence[str], rows: BlockSource | None) -> list[str]:
    notes = [f"Warning: {message}" for message in warned]
    if rows is None:
        notes.append("With the training data, summary(X) also says how rows are classified.")
    elif evaluation is not None and hasattr(estimator, "entropy_sum_") and not estimator.is_degenerate:
        terms = evaluation.entropy_sum
        change = terms.value - evaluation.elbo - estimator.stationarity_gap_
        if abs(change) > _OTHER_ROWS * max(terms.magnitude, 1.0):
            notes.append("Log-likelihood and entropy sum differ: they agree for the rows of the fit, not for others.")
    return notes


def _components(estimator: Any, n: float | None) -> Table:
    weights = np.asarray(estimator.weights_, dtype=np.float64)
    names = component_names(estimator)
    columns, title = [Column("weight", weights, ".4f")], "mixing weights"
    if n is not None:
        columns.append(Column("rows", n * weights, ".1f"))
        title += ", and the expected numbers of rows"
    if len(names) > n_clusters(estimator):
        title += f"; predict labels the rows of {names[-1]} -1"
    return Table(title, names, columns, "component")


def _classification(estimator: Any, counts: FloatArray, assigned: FloatArray) -> Table:
    """Average posteriors of the rows assigned to each component."""
    average = np.divide(
        assigned, counts[:, np.newaxis], out=np.full(assigned.shape, np.nan), where=counts[:, np.newaxis] > 0
    )
    columns = [Column("rows", counts, ".10g")]
    columns += [Column(label, average[:, c], ".4f") for c, label in enumerate(component_labels(estimator))]
    title = "average posterior probabilities of the rows that predict assigns to each component"
    return Table(title, component_names(estimator), columns, "assigned to")


def _of_all(weights: FloatArray) -> str:
    """Which columns a table is about, for its title."""
    return ", in each component and overall (all)" if len(weights) > 1 else ""


def _means(
    estimator: Any, model: MixtureModel, parameters: MixtureParameters, features: list[int], *, exposed: bool
) -> Table:
    weights = np.asarray(estimator.weights_, dtype=np.float64)
    means, variances = model.components.moments(parameters.components)
    is_angle = np.isin(np.arange(means.shape[1]), model.components.circular_columns)
    mean, variance = moments_of_mixture(weights, means, variances, is_angle)
    each = [decimals_for(np.sqrt(variance[[d]])) for d in features]
    columns = []
    for c, name in enumerate(component_names(estimator)):
        columns += [Column(f"mean {name}", means[c, features], each)]
        columns += [Column(f"sd {name}", np.sqrt(variances[c, features]), each)]
    if len(weights) > 1:
        columns += [Column("mean all", mean[features], each), Column("sd all", np.sqrt(variance[features]), each)]
    names = feature_names(estimator)
    of = scale_of(model.components, exposed=exposed)
    title = f"means and standard deviations (sd) of the fitted model{_of_all(weights)}; {of}"
    return Table(title, [names[d] for d in features], columns, "feature")


def scale_of(components: Components, *, exposed: bool) -> str:
    """Words in titles for the quantities that means and parameters describe."""
    return components.scale_label + (", at an exposure of one" if exposed else "")


def _observed(
    estimator: Any, model: MixtureModel, parameters: MixtureParameters, columns: ColumnSurvey, features: list[int]
) -> dict[str, Table]:
    """Table of the data's moments beside the mixture's, for columns for which the two are the same quantities."""
    components = model.components
    others = [*components.circular_columns, *components.relative_columns(len(columns.mean))]
    own = [d for d in features if d not in others and columns.weight[d] > 0]
    if not own or columns.exposed:
        return {}
    means, variances = components.moments(parameters.components)
    mean, variance = moments_of_mixture(
        np.asarray(estimator.weights_, dtype=np.float64), means, variances, np.zeros(means.shape[1], dtype=bool)
    )
    each = [decimals_for(np.sqrt(columns.variance[[d]])) for d in own]
    shown = [
        Column("rows", columns.weight[own], ".10g"),
        Column("mean", columns.mean[own], each),
        Column("fitted mean", mean[own], each),
        Column("sd", np.sqrt(columns.variance[own]), each),
        Column("fitted sd", np.sqrt(variance[own]), each),
    ]
    names = feature_names(estimator)
    title = "means and standard deviations (sd) of the data, beside those of the fitted model; rows are those with a value"
    return {"observed": Table(title, [names[d] for d in own], shown, "feature")}


def _probabilities(estimator: Any, probabilities: Mapping[int, FloatArray]) -> Table:
    weights, names = np.asarray(estimator.weights_, dtype=np.float64), feature_names(estimator)
    rows, values = [], []
    for feature, of_feature in probabilities.items():
        n_categories = of_feature.shape[1]
        for code in range(n_categories):
            # Of two categories only the second is shown. Categories that no component has are left out.
            if (n_categories == 2 and code == 0) or not of_feature[:, code].any():
                continue
            rows.append(f"{names[feature]} = {category_name(estimator, feature, code)}")
            values.append(of_feature[:, code])
    table = np.array(values).reshape(-1, len(weights))
    columns = [Column(label, table[:, c], ".4f") for c, label in enumerate(component_labels(estimator))]
    columns += [Column("all", table @ weights, ".4f")] * (len(weights) > 1)
    return Table(f"probabilities of categories in the fitted model{_of_all(weights)}", rows, columns, "category")


def _correlations(estimator: Any, model: MixtureModel, parameters: MixtureParameters) -> dict[str, Table]:
    """Table of the largest correlations of pairs of columns within any component; None without correlations."""
    weights, names = np.asarray(estimator.weights_, dtype=np.float64), feature_names(estimator)
    K = len(weights)
    means, _ = model.components.moments(parameters.components)
    labels, values = [], []
    correlated = model.components.correlated_columns(parameters.components)
    for columns, covariances in correlated:
        a, b = np.triu_indices(len(columns), 1)
        steps = means[:, columns] - weights @ means[:, columns]
        between = (weights[:, np.newaxis] * steps).T @ steps
        within = np.broadcast_to(covariances, (K, *covariances.shape[1:]))
        each = np.concatenate([within, (np.tensordot(weights, within, 1) + between)[np.newaxis]])
        scales = np.sqrt(np.diagonal(each, axis1=1, axis2=2))
        values.append((each / scales[:, :, np.newaxis] / scales[:, np.newaxis])[:, a, b])
        labels += [f"{names[columns[i]]}, {names[columns[j]]}" for i, j in zip(a, b, strict=True)]
    if not labels:
        return {}
    table = np.concatenate(values, axis=1)
    order = np.argsort(-np.abs(table[:K]).max(axis=0), kind="stable")[:_MOST_CORRELATIONS]
    shared = K > 1 and all(len(covariances) == 1 for _, covariances in correlated)
    labelled = ["within"] if shared else component_labels(estimator)
    shown = [Column(label, table[c, order]) for c, label in enumerate(labelled)]
    shown += [Column("all", table[K, order])] * (K > 1)
    of = f", the largest {_MOST_CORRELATIONS} of {len(labels)}" if len(labels) > len(order) else ""
    title = f"correlations of pairs of features{_of_all(weights)}{of}"
    return {"correlations": Table(title, [labels[i] for i in order], shown, "features")}


def _collapsed(estimator: Any, model: MixtureModel, parameters: MixtureParameters) -> Array:
    """Columns (D,) in which a component has collapsed, so that only a bound limits its divergences."""
    means, variances = model.components.moments(parameters.components)
    if not estimator.is_degenerate:
        return np.zeros(means.shape[1], dtype=bool)
    is_angle = np.isin(np.arange(means.shape[1]), model.components.circular_columns)
    _, variance = moments_of_mixture(np.exp(parameters.log_weights), means, variances, is_angle)
    return np.asarray((variances < _COLLAPSED * variance).any(axis=0))


def _features(estimator: Any, model: MixtureModel, parameters: MixtureParameters, features: list[int]) -> Table:
    """How well each column distinguishes components: the expected divergence of two components drawn by their weights."""
    weights = np.asarray(estimator.weights_, dtype=np.float64)
    K = len(weights)
    # a to b, column by column
    divergences = np.stack([model.components.column_divergences(parameters.components, a) for a in range(K)])
    pairs = np.outer(weights, weights)[:, :, np.newaxis]
    both = np.multiply(pairs, divergences, out=np.zeros_like(divergences), where=pairs > 0.0)
    total = np.where(_collapsed(estimator, model, parameters), np.inf, both.sum(axis=(0, 1)))
    symmetric = divergences + divergences.transpose(1, 0, 2)
    a, b = np.triu_indices(K, 1)
    of_pairs = symmetric[a, b]
    most, least = of_pairs.argmax(axis=0), of_pairs.argmin(axis=0)
    order = np.array(features)[np.argsort(-total[features], kind="stable")]
    names = feature_names(estimator)
    columns = [Column("divergence", total[order], [".3f" if value < _LARGE else ".3g" for value in total[order]])]
    if K > 2:
        of = component_names(estimator)
        columns.append(Column("most apart", [f"{of[a[most[d]]]} and {of[b[most[d]]]}" for d in order]))
        columns.append(Column("least apart", [f"{of[a[least[d]]]} and {of[b[least[d]]]}" for d in order]))
    title = (
        "how well each column tells components apart: Kullback-Leibler divergence, in nats, averaged over pairs of "
        "components drawn by their weights"
    )
    if np.isinf(total).any():
        title += "; inf where one component has values that are impossible in the other, or has collapsed onto one value"
    return Table(title, [names[d] for d in order], columns, "feature")
