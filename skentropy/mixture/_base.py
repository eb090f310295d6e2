"""The base of all mixtures: its arguments, the starts that users give, and the attributes of a fit."""

from __future__ import annotations

from abc import abstractmethod
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from .._base import fit_method
from .._data import ColumnSurvey, SingleThreadedBLAS
from .._em import ARGUMENTS, Run, keep_arguments
from .._messages import warn, warn_of_fresh_start
from .._typing import Array, ArrayLike, FloatArray
from ..families._base import safe_exp, safe_log
from ._components import Components
from ._fit import MixtureFit
from ._fitted import FittedMixture
from ._input import check_mixing_weights
from ._model import MixtureModel, MixtureParameters
from ._seeding import NOISE


class BaseMixture(FittedMixture):
    """Mixture of components of one kind; a subclass chooses the kind and names the parameters."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **ARGUMENTS,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "init_params": [StrOptions({"k-means++", "random_from_data", "random"})],
        "n_starts": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "weights_init": ["array-like", None],
        "prior_counts": [Interval(Real, 0.0, None, closed="left")],
    }

    weights_: FloatArray
    _discrete_latents: ClassVar[bool] = True

    def __init__(
        self,
        n_components: int,
        *,
        tol: float,
        max_iter: int,
        n_init: int,
        init_params: str,
        n_starts: int | str,
        weights_init: ArrayLike | None,
        prior_counts: float,
        accelerate: bool,
        warm_start: bool,
        random_state: Any,
        n_jobs: int | None,
        verbose: int,
        verbose_interval: int,
    ) -> None:
        self.n_components = n_components
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.n_starts = n_starts
        self.weights_init = weights_init
        self.prior_counts = prior_counts
        self.accelerate = accelerate
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    def _check_arguments(self) -> None:
        """Validate the arguments, as ``fit`` does, for a mixture that is a block of another one."""
        self._validate_params()

    @abstractmethod
    def _get_parameters_init(self) -> dict[str, ArrayLike | None]:
        """The user's initial standard parameters, under the names of the fitted ones without the underscore."""

    # Fitting.

    @fit_method
    def fit(
        self,
        X: ArrayLike,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
    ) -> Self:
        """Fit the mixture by maximum likelihood with accelerated EM.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask array or frame, RowBlocks} of shape (n_samples, n_features)
            NaN marks missing entries, which are marginalised. Families whose zeros add nothing to sums accept sparse
            matrices, which are never made dense.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of k counts as k copies of the row.
        exposure : array-like of shape (n_samples,), default=None
            Exposure s of each row, for families that take exposures, such as the Poisson family, where it multiplies the
            rates. Other families refuse it.

        Returns
        -------
        self : object
            The fitted mixture.

        Raises
        ------
        ValueError
            If X holds values outside the support of the family, infinite values, a column without observed entries or fewer
            distinct rows than components, or if an argument is out of range. The message names the column or argument.

        Warns
        -----
        ConvergenceWarning
            If ``max_iter`` steps did not suffice, Ctrl-C interrupted the fit, or the fit ended in a degenerate solution,
            which the message describes.
        """
        self._fit(X, sample_weight, exposure)
        return self

    @fit_method
    def fit_predict(
        self,
        X: ArrayLike,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
    ) -> Array:
        """Fit the mixture and return the most probable component of each row.

        Parameters
        ----------
        X, sample_weight, exposure
            As in ``fit``.
        y : Ignored

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        self._fit(X, sample_weight, exposure)
        return self.predict(X, exposure=exposure)

    def _fit(self, X: ArrayLike, sample_weight: ArrayLike | None, exposure: ArrayLike | None) -> None:
        rows = self._read(X, sample_weight, exposure, reset=True)
        with SingleThreadedBLAS():
            fit = MixtureFit(self, rows, X)
            best = fit.best_run()
            messages, attributes = fit.messages(best), fit.attributes(best)
        self._conclude(attributes, messages, fit.monitor, at_saddle=best.saddle)

    def _given_start(self, model: MixtureModel, n_features: int) -> MixtureParameters | None:
        """The parameters from which the user wants EM to start; None if seeding chooses them."""
        components = model.components
        warm = self.warm_start and hasattr(self, "weights_")
        if warm and not self._goes_on(components):
            warn_of_fresh_start(self, n_features)
            warm = False
        if warm:
            weights: FloatArray = self.weights_.astype(np.float64)
            standard, suffix = self._standard_parameters(components), "_"
        else:
            given = self._initial_standard(components)
            if given is None:
                return None
            standard, weights, suffix = given, self._initial_weights(), "_init"
        components.check_given(standard, suffix, self.n_components, n_features)
        return MixtureParameters(safe_log(weights), components.natural(standard))

    def _goes_on(self, components: Components) -> bool:
        """Whether the attributes of the last fit are parameters of these components."""
        standard = self._standard_parameters(components)
        return len(self.weights_) == self.n_components + components.n_fixed and components.fits(standard, self.n_components)

    def _initial_standard(self, components: Components) -> Any | None:
        """The user's initial parameters as ``Components.natural`` takes them; None if there are none."""
        init = self._get_parameters_init()
        if all(value is None for value in init.values()):
            return None
        init = self._complete_init(init, components)
        if any(value is None for value in init.values()):
            missing = ", ".join(f"{name}_init" for name, value in init.items() if value is None)
            raise ValueError(f"Initial parameters must be given together; {missing} is missing.")
        return tuple(np.asarray(init[name], dtype=np.float64) for name in components.attribute_names)

    def _choose_substitutes(self, columns: ColumnSurvey) -> FloatArray | None:
        """The substitutes of zeros in each column, as ``Substitutes`` takes them; None if there are none."""
        return None

    def _complete_init(self, init: dict[str, ArrayLike | None], components: Components) -> dict[str, ArrayLike | None]:
        """Complete the user's initial parameters with those that follow from the data."""
        return init

    def _initial_weights(self) -> FloatArray:
        n_fixed = self._get_components().n_fixed
        if self.weights_init is None:
            return np.append(np.full(self.n_components, (1.0 - n_fixed * NOISE) / self.n_components), [NOISE] * n_fixed)
        return check_mixing_weights(self.weights_init, "weights_init", self.n_components + n_fixed)

    def _fitted_attributes(self, model: MixtureModel, dtype: np.dtype[Any], run: Run) -> dict[str, Any]:
        """The attributes that ``fit`` sets, as if the run ended here."""
        state = run.state
        components, weights = model.components, safe_exp(state.parameters.log_weights)
        return {
            "weights_": weights.astype(dtype),
            **self._named_parameters(components, components.standard(state.parameters.components), dtype),
            "n_parameters_": len(weights) - 1 + components.n_parameters(len(weights)),
            **run.attributes(model.entropy_sum(state.parameters, state.statistics)),
            "n_samples_": state.statistics.weight,
            "_fault_of_fit": components.fault(state.parameters.components),
            "_classification": state.statistics.classification / state.statistics.weight,
        }

    def _named_parameters(self, components: Components, standard: Any, dtype: np.dtype[Any]) -> dict[str, Any]:
        """The fitted attributes of parameters from ``Components.standard``."""
        names = (name + "_" for name in components.attribute_names)
        return dict(zip(names, components.narrowed(standard, dtype), strict=True))

    @classmethod
    def _from_parameters(cls, mixture: Self, weights: ArrayLike, parameters: dict[str, ArrayLike]) -> Self:
        """Give an unfitted mixture its parameters."""
        components = mixture._get_components()
        names = components.attribute_names
        if set(parameters) != set(names):
            given, wanted = ", ".join(parameters) or "none", ", ".join(names)
            raise ValueError(f"Parameters of {components.label} are {wanted}; got {given}.")
        n_all = mixture.n_components + components.n_fixed
        mixture.weights_ = check_mixing_weights(weights, "weights", n_all)
        for name in names:
            if np.asarray(parameters[name]).dtype.kind in "USc":
                raise ValueError(f"{name} must hold numbers, and no text, got {parameters[name]!r}.")
        standard = tuple(np.array(parameters[name], dtype=np.float64) for name in names)
        if standard[0].ndim < 2:
            raise ValueError(f"{names[0]} should have the shape (n_components, n_features), but got {standard[0].shape}.")
        n_features = standard[0].shape[1]
        components.check_given(standard, "", mixture.n_components, n_features)
        for message in components.cautions(mixture, standard):
            warn(message)
        for name, value in zip(names, standard, strict=True):
            setattr(mixture, name + "_", value)
        mixture.n_features_in_ = n_features
        known = components.of_fitted(mixture.weights_, standard, is_sparse=False)
        mixture.n_parameters_ = n_all - 1 + known.n_parameters(n_all)
        keep_arguments(mixture)
        return mixture
