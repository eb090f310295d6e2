"""Mixtures for tables whose columns are of several kinds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils._param_validation import StrOptions

from .._base import ColumnKinds
from .._data import ColumnSurvey, Source
from .._em import Run, keep_arguments
from .._typing import Array, ArrayLike, FloatArray
from ._base import BaseMixture
from ._column_plan import ColumnPlan, plan_columns
from ._columns import ColumnBlocks
from ._components import Components
from ._gaussian_base import GaussianComponents
from ._independent import Independent
from ._input import check_mixing_weights
from ._model import MixtureModel
from ._vector import VectorComponents


class ColumnMixture(BaseMixture):
    r"""Mixture for tables with columns of several kinds, such as counts, measurements and names.

    .. math::

        p(x) = \sum_{c=1}^{K} \pi_c \prod_b p_b(x_b \mid c)

    Given the component, the blocks b of columns are independent. A block has the components of one kind of mixture: one
    exponential family, or correlated Gaussians, directions or compositions. Once EM has converged, the log-likelihood equals
    a sum of entropies, Eqns. 39 and 52 of [1]_, whose observable term is a sum over the blocks.

    Parameters
    ----------
    columns : list of tuple or "auto", default="auto"
        Triples (name, family, columns), as in ``ColumnTransformer``. The family is a name in
        ``skentropy.families.FAMILIES``, a family object, or an unfitted mixture of this package whose components are used,
        such as ``GaussianMixture(covariance_type="full")`` for correlated columns. Such a mixture may set only arguments
        that define its components, such as ``covariance_type``, ``n_factors``, ``zeros``, ``normalize`` and ``family``.
        Columns are names, positions, a slice, a boolean mask, or a callable that receives X. "auto" chooses by the values:
        zeros and ones are Bernoulli, names (text, categories) categorical, non-negative integers Poisson, others Gaussian.
    n_components : int, default=2
        Number of components K.
    remainder : {"drop", "auto"}, family or mixture, default="drop"
        The treatment of columns that are in no block.
    unseen : {"error", "missing"}, default="error"
        The treatment of names that the fit has not seen, even if the dtype of a column declares them.
    tol : float, default=1e-9
        EM has converged when the estimated gain of all steps still to come is less than this, in nats per sample.
    max_iter : int, default=1000
        Largest number of steps, including those of Newton's method.
    n_init : int, default=1
        Number of runs from different starts; the best is kept.
    init_params : {"k-means++", "random_from_data", "random"}, default="k-means++"
        What EM starts from: clusters around rows that k-means++ chooses in the sum of the families' Bregman divergences,
        clusters around random rows, or random responsibilities. Starts depend only on the contents of the rows and on
        ``random_state``, neither on the order of the rows nor on whether a row occurs twice or has twice the weight.
    n_starts : int or "auto", default="auto"
        Number of starts that compete in each run. All take a few EM steps on a sample of the rows; those that fall behind
        are dropped, until one is left. Mixtures in which one or two of its components have moved, half as many at a time,
        then challenge it, until they have lost four times in a row. "auto" takes 16 to 32 starts, fewer if many components
        or features make them costly. With 1 there is no competition, and no component is moved.
    weights_init : array-like of shape (n_components,), default=None
        Initial mixing weights.
    parameters_init : dict of dict, default=None
        Initial parameters, in the form of ``parameters_``. They replace ``init_params`` and ``n_init``.
    prior_counts : float, default=0.0
        Number of pseudo-observations, distributed like the pooled rows, that a conjugate prior adds to every component. They
        keep rates and probabilities from becoming zero, and variances from collapsing. The prior's term in the entropy sum
        is ``penalty``.
    accelerate : bool, default=True
        Whether to extrapolate EM steps, and to finish a slow fit by Newton's method. The objective never falls either way.
    warm_start : bool, default=False
        Whether ``fit`` starts from the parameters of the last fit. If that had other numbers of components or columns,
        ``fit`` starts anew and warns.
    random_state : int, RandomState instance or None, default=None
        Determines the starts.
    n_jobs : int, default=None
        Number of threads, which share the runs or the blocks of rows. Results are bit-identical for every number.
    verbose : int, default=0
        1 prints a line every ``verbose_interval`` steps; 2 adds times and gains.
    verbose_interval : int, default=10

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Mixing weights.
    parameters_ : dict of dict
        For each block its parameters, named as in the mixture of its family, such as ``parameters_["poisson"]["rates"]`` of
        shape (n_components, number of the block's columns).
    families_ : dict
        For each block its kind: a family with the arguments that the data determine, or the name of another kind of
        components, such as "full" for Gaussians.
    columns_ : dict
        For each block the positions of its columns.
    categories_ : dict
        For each column of names, by its name or position, the categories in the order of their codes.
    block_entropies_ : dict
        For each block its share of ``entropy_sum_.observable``, nats per sample.
    zero_substitutes_ : ndarray of shape (n_features,)
        The substitutes of zeros in blocks of ``GammaMixture(zeros=...)``, NaN elsewhere; only if there is such a block.
    lower_bound_ : float
        Mean log-likelihood of the training data under the returned parameters, nats per sample.
    lower_bounds_ : list of float
        The ELBO after each EM step, which never falls without a prior; with ``prior_counts`` the penalised ELBO never falls.
    entropy_sum_ : EntropySum
        Entropy sum of the training data.
    entropy_sums_ : list of EntropySum
        For each EM step the entropy sum of its posteriors and new parameters, which is their ELBO.
    stationarity_gap_ : float
        ``entropy_sum_.value - lower_bound_``.
    n_iter_ : int
        Number of steps.
    converged_ : bool
    n_parameters_ : int
        Number of free parameters.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    make_column_mixture : The same, with generated names of the blocks.
    ExponentialFamilyMixture : One family for all columns.

    References
    ----------
    .. [1] Warnken, Velychko, Damm, Fischer, Lücke (2024), "Generative Models with ELBOs Converging to Entropy Sums".

    Examples
    --------
    >>> import pandas as pd
    >>> from skentropy import ColumnMixture
    >>> visits = pd.DataFrame({
    ...     "age": [23.5, 25.1, 31.0, 28.4, 64.2, 71.3, 69.8, 75.5],
    ...     "visits": [0, 1, 0, 2, 7, 5, 9, 6],
    ...     "plan": ["basic", "basic", "none", "basic", "full", "full", None, "full"],
    ... })
    >>> mixture = ColumnMixture(prior_counts=0.5, random_state=0).fit(visits)
    >>> sorted(mixture.families_)
    ['categorical', 'gaussian', 'poisson']
    >>> labels = mixture.predict(visits)
    >>> bool(labels[0] == labels[3] != labels[4])
    True
    >>> str(mixture.impute(visits).loc[6, "plan"])
    'full'
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseMixture._parameter_constraints,
        "columns": "no_validation",
        "remainder": "no_validation",
        "unseen": [StrOptions({"error", "missing"})],
        "parameters_init": [dict, None],
    }

    parameters_: dict[str, dict[str, FloatArray]]
    _plan: ColumnPlan

    def __init__(
        self,
        columns: Any = "auto",
        n_components: int = 2,
        *,
        remainder: Any = "drop",
        unseen: str = "error",
        tol: float = 1e-9,
        max_iter: int = 1000,
        n_init: int = 1,
        init_params: str = "k-means++",
        n_starts: int | str = "auto",
        weights_init: ArrayLike | None = None,
        parameters_init: Mapping[str, Mapping[str, ArrayLike]] | None = None,
        prior_counts: float = 0.0,
        accelerate: bool = True,
        warm_start: bool = False,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None:
        super().__init__(
            n_components,
            tol=tol,
            max_iter=max_iter,
            n_init=n_init,
            init_params=init_params,
            n_starts=n_starts,
            weights_init=weights_init,
            prior_counts=prior_counts,
            accelerate=accelerate,
            warm_start=warm_start,
            random_state=random_state,
            n_jobs=n_jobs,
            verbose=verbose,
            verbose_interval=verbose_interval,
        )
        self.columns = columns
        self.remainder = remainder
        self.unseen = unseen
        self.parameters_init = parameters_init

    def _get_components(self) -> Components:
        plan: ColumnPlan | None = getattr(self, "_plan", None)
        return ColumnBlocks((), 0) if plan is None else plan.components

    @property
    def _modelled_columns(self) -> ColumnKinds | None:
        components = self._get_components()
        assert isinstance(components, ColumnBlocks)
        return components.kinds

    def _choose_substitutes(self, columns: ColumnSurvey) -> FloatArray | None:
        return self._plan.components.choose_substitutes(self, columns)

    def _get_parameters_init(self) -> dict[str, ArrayLike | None]:
        return {"parameters": None}

    def _initial_standard(self, components: Components) -> Any | None:
        if self.parameters_init is None:
            return None
        assert isinstance(components, ColumnBlocks)
        return components.in_order(self.parameters_init, "parameters_init")

    def _read(
        self,
        X: ArrayLike,
        sample_weight: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        *,
        reset: bool = False,
    ) -> Source:
        if reset:
            last = self._plan if hasattr(self, "weights_") else None
            self._plan = plan_columns(X, self.columns, self.remainder, self.unseen).after(last)
        return super()._read(self._plan.encoding.apply(X), sample_weight, exposure, reset=reset)

    def _standard_parameters(self, components: Components | None = None) -> Any:
        if components is not None and not self._plan.goes_on:
            return ()  # of another table
        components = components or self._get_components()
        assert isinstance(components, ColumnBlocks)
        return components.in_order(self.parameters_, "parameters_")

    def _named_parameters(self, components: Components, standard: Any, dtype: np.dtype[Any]) -> dict[str, Any]:
        assert isinstance(components, ColumnBlocks)
        return {"parameters_": components.by_name(standard, dtype)}

    def _fitted_attributes(self, model: MixtureModel, dtype: np.dtype[Any], run: Run) -> dict[str, Any]:
        components, state = model.components, run.state
        assert isinstance(components, ColumnBlocks)
        entropies = components.entropies(state.parameters.components, state.statistics.components)
        names = self._plan.encoding.names
        return {
            **super()._fitted_attributes(model, dtype, run),
            "_plan": replace(self._plan, components=components),
            "families_": {block.name: _kind(block.components) for block in components.blocks},
            "columns_": {block.name: block.columns for block in components.blocks},
            "categories_": {
                column if names is None else names[column]: np.array(categories, dtype=object)
                for column, categories in self._plan.encoding.categories.items()
            },
            "block_entropies_": {name: value / state.statistics.weight for name, value in entropies.items()},
        }

    def _with_names(self, X: FloatArray, given: Any = None) -> Array:
        return self._plan.encoding.restore(X, given)

    @classmethod
    def from_parameters(cls, columns: Any, weights: ArrayLike, parameters: Mapping[str, Mapping[str, ArrayLike]]) -> Self:
        """Make a mixture that scores, predicts and samples without ``fit``.

        Parameters
        ----------
        columns : list of tuple
            Triples (name, family, columns) as in the constructor. Columns are positions, and each column of X is in one
            block.
        weights : array-like of shape (n_components,)
            Mixing weights; they sum to one.
        parameters : dict of dict
            As ``parameters_``.

        Returns
        -------
        ColumnMixture

        Examples
        --------
        >>> from skentropy import ColumnMixture
        >>> mixture = ColumnMixture.from_parameters(
        ...     [("counts", "poisson", [0]), ("sizes", "gaussian", [1])],
        ...     [0.5, 0.5],
        ...     {
        ...         "counts": {"rates": [[1.0], [9.0]]},
        ...         "sizes": {"means": [[0.0], [5.0]], "variances": [[1.0], [1.0]]},
        ...     },
        ... )
        >>> mixture.predict([[0, 0.3], [7, 4.2]])
        array([0, 1])
        """
        mixture = cls(columns, len(np.atleast_1d(weights)))
        positions = np.concatenate([np.ravel(own) for _, _, own in columns])
        if positions.dtype.kind != "i":
            raise ValueError(f"Columns of from_parameters go by position, such as [0, 1]; got {positions[0]!r}.")
        n_features = 1 + int(positions.max())
        mixture._plan = plan_columns(np.zeros((1, n_features)), columns, "drop", "error")
        components = mixture._plan.components
        standard = components.in_order(parameters, "parameters")
        components.check_given(standard, "", mixture.n_components, n_features)
        mixture.weights_ = check_mixing_weights(weights, "weights", mixture.n_components)
        known = components.of_fitted(mixture.weights_, standard, is_sparse=False)
        mixture.__dict__.update(mixture._named_parameters(known, standard, np.dtype(np.float64)))
        keep_arguments(mixture)
        mixture.n_features_in_ = n_features
        mixture.n_parameters_ = mixture.n_components - 1 + known.n_parameters(mixture.n_components)
        return mixture

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


def make_column_mixture(*blocks: tuple[Any, Any], n_components: int = 2, **options: Any) -> ColumnMixture:
    """A ``ColumnMixture`` whose blocks are named after their families.

    Parameters
    ----------
    *blocks : tuple
        Pairs (family, columns), as in ``ColumnMixture``.
    n_components : int, default=2
    **options
        Other arguments of ``ColumnMixture``.

    Returns
    -------
    ColumnMixture

    Examples
    --------
    >>> from skentropy import GaussianMixture, make_column_mixture
    >>> mixture = make_column_mixture(
    ...     ("poisson", ["visits"]), (GaussianMixture(), ["age", "weight"]), n_components=3
    ... )
    >>> [name for name, _, _ in mixture.columns]
    ['poisson', 'gaussianmixture']
    """
    names = [_name(family) for family, _ in blocks]
    numbered = [name if names.count(name) == 1 else f"{name}-{names[: i + 1].count(name)}" for i, name in enumerate(names)]
    columns = [(name, family, own) for name, (family, own) in zip(numbered, blocks, strict=True)]
    return ColumnMixture(columns, n_components, **options)


def _name(family: Any) -> str:
    return family if isinstance(family, str) else str(getattr(family, "name", type(family).__name__.lower()))


def _kind(components: Components) -> Any:
    """The kind of a block, for ``families_``."""
    if isinstance(components, GaussianComponents):
        return components.covariance_type
    if isinstance(components, VectorComponents):
        return components.family.name
    return components.family.absolute if isinstance(components, Independent) else components
