"""Rank models of any class, each fitted once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sklearn.base import clone

from .._messages import did_you_mean
from .._typing import ArrayLike
from ._assessment import assess_all
from ._comparable import check_models, check_same_data, check_same_features, is_fitted
from ._names import model_names, short_name, unique_names
from ._ranking import CRITERIA, Criterion, ModelRanking
from ._validation import hold_out


def rank_models(
    models: Iterable[Any] | Mapping[str, Any],
    X: ArrayLike,
    criterion: Criterion = "bic",
    *,
    sample_weight: ArrayLike | None = None,
    exposure: ArrayLike | None = None,
    n_jobs: int | None = None,
    change_of_variables: str = "refuse",
    validation_fraction: float = 0.25,
    random_state: Any = None,
) -> ModelRanking:
    r"""Rank models of any class by the closed form of their ELBO, each fitted once on all of X.

    The criteria are the entropy sum, in nats per sample, and its penalised forms; higher is better. The default has a
    penalty, since the unpenalised ELBO of training data grows with every parameter.

    Parameters
    ----------
    models : iterable of estimators or pipelines, or dict of them with names
        Models without names are named after their classes, and the parameters in which models of one class differ. Fitted
        models are not refitted; they must have been fitted to X. Others are cloned and fitted. One eigendecomposition fits
        all ``PPCA`` models, outside of pipelines, that differ only in their number of components. A search is ranked by its
        best model.
    X : array-like of shape (n_samples, n_features)
    criterion : {"elbo", "bic", "aic", "aicc", "icl", "validation"} or callable, default="bic"
        With k parameters, n samples and entropy sum E: "elbo" is E, "bic" :math:`E - k \log n / 2n`, "aic"
        :math:`E - k / n`, "aicc" :math:`E - k / (n - k - 1)`, "icl" is "bic" minus the uncertainty of the
        classification, for models with discrete latent variables. Tables call these ``bic_score`` and so on; the methods
        ``bic``, ``aic`` and ``icl`` of models return them times -2n, in total, lower is better. "validation" is the mean
        log-likelihood, or ELBO, of held-out rows, for models such as ``GaussianVAE`` whose number of parameters is not
        defined. A callable takes a ``RankedModel``.
    sample_weight, exposure : array-like of shape (n_samples,), default=None
        Weights and exposures of the rows; exposures are for families that take them, as in ``PoissonMixture``.
    n_jobs : int or None, default=None
        Number of models that are fitted at a time, by joblib.
    change_of_variables : {"refuse", "correct"}, default="refuse"
        Densities of differently transformed data are not comparable. "refuse" raises an error if pipelines transform the
        data differently; "correct" adds the log-Jacobian of the transformers (see ``log_jacobian``), so that all are
        densities of X.
    validation_fraction : float, default=0.25
        For "validation": the share of the rows that is held out. The models are fitted to the others.
    random_state : int, RandomState instance or None, default=None
        For "validation": determines the held-out rows.

    Returns
    -------
    ModelRanking

    Raises
    ------
    TypeError
        If a model has no entropy sum, or is supervised.
    ValueError
        If there are no models, models were fitted to different data or to different transformations of them, models treat
        the same column as values of different kinds, or the criterion is defined for none.

    Warns
    -----
    FitFailedWarning
        If a model cannot be fitted or evaluated, or the criterion is not defined for it; it stays in the table, with its
        error.
    UserWarning
        If likelihoods are of different kinds: probabilities of counts, probabilities of counts given their totals, and
        densities of real numbers, of angles, of directions or of compositions are not comparable. Also if models have
        replaced zeros by different values. The table flags models that are not comparable to the best one. Warnings of the
        fits begin with the name of the model.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skentropy import PPCA, FactorAnalysis, rank_models
    >>> X = load_wine().data
    >>> ranking = rank_models([PPCA(2), FactorAnalysis(2), FactorAnalysis(3)], X)
    >>> ranking.best_name_
    'FactorAnalysis(n_components=3)'
    """
    if not callable(criterion) and criterion not in CRITERIA:
        known, hint = ", ".join(map(repr, CRITERIA)), did_you_mean(criterion, CRITERIA)
        raise ValueError(f"criterion must be one of {known} or callable, got {criterion!r}.{hint}")
    if not isinstance(models, Iterable):
        raise TypeError(f"models must be several estimators, in a list or a dict, but got {short_name(models)}.")
    if isinstance(models, Mapping):
        named = list(zip(unique_names([str(name) for name in models]), models.values(), strict=True))
    else:
        models = list(models)
        named = list(zip(model_names(models), models, strict=True))
    if not named:
        raise ValueError("There are no models to rank.")
    check_models(named, criterion, change_of_variables)
    came_fitted = {name for name, model in named if is_fitted(model)}
    for name, model in named:
        if name in came_fitted:
            check_same_features(name, model, X)
    named = [(name, model if name in came_fitted else clone(model)) for name, model in named]
    data, metadata, held_out = X, {"sample_weight": sample_weight, "exposure": exposure}, None
    if criterion == "validation":
        if came_fitted:
            raise ValueError(f"criterion='validation' holds rows out of the fits, but {min(came_fitted)} has been fitted.")
        data, metadata, held_out = hold_out(X, metadata, validation_fraction, random_state)
    correct = change_of_variables == "correct"
    rows = assess_all(named, data, metadata, criterion=criterion, n_jobs=n_jobs, correct=correct, held_out=held_out)
    for row in rows:
        if row.name in came_fitted and not row.error:
            check_same_data(row, X, sample_weight)
    return ModelRanking(rows, criterion)
