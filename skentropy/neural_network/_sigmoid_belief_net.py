"""Sigmoid belief nets."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import expit
from sklearn.utils._param_validation import Interval, StrOptions

from .._base import fit_method
from .._data import Source
from .._em import ARGUMENTS, Run
from .._messages import check_observed, warn_of_empty_rows
from .._typing import ArrayLike, FloatArray
from ._binary import survey
from ._fit import EnumeratedFit, TruncatedFit
from ._fitted_net import MOST_LATENTS, FittedBeliefNet
from ._model import BeliefNetModel

# "auto" enumerates up to this many states of a layer, and joint states of two layers.
_AUTO_LATENTS, _AUTO_JOINT = 12, 20
# With more variables in two layers joint states are never enumerated.
_MOST_JOINT = 26


class SigmoidBeliefNet(FittedBeliefNet):
    r"""Sigmoid belief net with one or two hidden layers, whose ELBO is a sum of entropies.

    .. math::

        z_j \sim \operatorname{Bern}(\pi_j), \qquad
        x_d \mid z \sim \operatorname{Bern}\bigl(S(\textstyle\sum_j \Lambda_{dj} z_j + \mu_d)\bigr), \qquad
        S(a) = 1 / (1 + e^{-a}),

    Eqns. 8 and 9 of [1]_, which writes W for :math:`\Lambda`, or with two hidden layers z -> y -> x Eqns. 18 to 20. Unlike
    the components of a mixture, binary causes combine freely. After every M-step and at convergence the ELBO, nats per
    sample, is the sum of entropies

    .. math::

        \frac1N \sum_n \mathcal H[q_n] - \sum_j \mathcal H[\operatorname{Bern}(\pi_j)] - E_{\bar q}\,\textstyle\sum_d
        \mathcal H\bigl[\operatorname{Bern}\bigl(S(\Lambda_{d\cdot} z + \mu_d)\bigr)\bigr] + \frac{\alpha}{N} |V|^2 ,

    Eqn. 10, with a further term ``hidden`` if there are two layers (Eqn. 21). V are all weights and offsets, and the last
    term is that of the ridge. With exact posteriors the ELBO is the log-likelihood.

    Parameters
    ----------
    n_components : int or tuple of two ints, default=4
        Number of hidden variables; or the numbers in the layer next to the data and in the layer above it.
    posterior : {"auto", "exact", "truncated"}, default="auto"
        "exact" enumerates the 2^H states; with two layers, the 2^I states of the layer next to the data for each row, and
        all 2^(I + H) states once. "truncated" searches for the most probable ``n_states`` states of each row. This is a
        variational posterior for a hundred variables and more, which takes minutes rather than seconds. "auto" enumerates up
        to 12 variables in a layer, and 20 in two layers.
    n_states : int, default=20
        For "truncated": number of states for each row. If the net has no more states, all are enumerated.
    binarize : float or None, default=0.0
        Values above it become 1, others 0. None accepts zeros and ones only. NaN marks missing entries, which are
        marginalised. A warning says if the threshold is below all values of a column, or above all values of X.
    alpha : float, default=0.01
        Strength of the ridge ``alpha / 2 |V|^2``, relative to the total log-likelihood. It keeps the weights of separable
        columns finite; values from 0.3 to 1 generalise well. With zero a warning names such columns.
    tol : float, default=1e-4
        EM ends when the estimated gain of all steps still to come is smaller, in nats per sample.
    max_iter : int, default=1000
        Largest number of EM steps from the best start. The search for this start takes a few hundred cheaper steps.
    n_init : int, default=1
        Number of starts; the best fit is kept.
    accelerate : bool, default=True
        Whether to extrapolate EM steps, without ever losing likelihood, and to end with L-BFGS; EM continues while that
        gains more than ``tol``. False takes plain EM steps only; L-BFGS then only checks whether more than ``tol`` is to
        come. Either way the fit leaves saddle points.
    warm_start : bool, default=False
        Whether ``fit`` starts from the last fit. If that had other numbers of components or columns, ``fit`` starts anew and
        warns.
    random_state : int, RandomState instance or None, default=None
        For starts and, during the fit, proposals of states of the truncated posterior.
    n_jobs : int or None, default=None
        Number of threads, which share the runs or the blocks of rows.
    verbose : int, default=0
        1 prints progress, 2 adds times and gains.
    verbose_interval : int, default=10
        Steps between two printed lines.

    Attributes
    ----------
    prior_ : ndarray of shape (n_top,)
        Probabilities :math:`\pi` of the top layer.
    components_ : ndarray of shape (n_hidden, n_features)
        Weights :math:`\Lambda^\top`, one row for each hidden variable of the layer next to the data.
    intercept_ : ndarray of shape (n_features,)
        Offsets :math:`\mu`.
    hidden_components_ : ndarray of shape (n_top, n_hidden)
        With two layers, the weights between them; ``hidden_intercept_`` their offsets.
    score_is_exact_ : bool
        Whether ``score`` is the log-likelihood; otherwise it is the ELBO.
    entropy_sum_ : EntropySum
        Of the training data. For "truncated" it uses the states that the fit has kept for each row. In contrast,
        ``entropy_sum(X)`` and ``score(X)`` search for states again, for each row separately. The net stores states that the
        search would miss, so ``score`` of the training data is no less than ``lower_bound_``.
    stationarity_gap_ : float
        Entropy sum minus ELBO of the training data, nats per sample.
    lower_bound_ : float
        Mean ELBO of the training data, nats per sample.
    lower_bounds_ : list of float
        The ELBO after each EM step; ``entropy_sums_`` are the entropy sums. The ELBO minus the ridge never falls.
    n_iter_ : int
        Number of EM steps from the best start.
    converged_ : bool
    n_parameters_ : int
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    ExponentialFamilyMixture : With family "bernoulli" for one cause at a time.

    Notes
    -----
    An exact E-step takes two matrix products for each block of rows. The M-step is one logistic regression for each feature,
    by Newton's method on weights of states rather than on rows. Several starts, from random weights and from rows, compete
    over a few EM steps. Then a unit made from a badly explained row replaces the least useful unit, as long as that helps.

    References
    ----------
    .. [1] Warnken, Velychko, Damm, Fischer, Lücke (2024), "Generative Models with ELBOs Converging to Entropy Sums".
    .. [2] Neal (1992), "Connectionist learning of belief networks", Artificial Intelligence 56.
    .. [3] Lücke, Eggert (2010), "Expectation truncation and the benefits of preselection in training generative models",
       JMLR 11.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skentropy import SigmoidBeliefNet
    >>> X = load_digits().data
    >>> net = SigmoidBeliefNet(2, binarize=7.5, random_state=0).fit(X)
    >>> print(round(net.score(X), 4), round(net.entropy_sum_score(), 4))
    -22.4025 -22.4025
    >>> net.transform(X).shape
    (1797, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left"), tuple, list],
        "posterior": [StrOptions({"auto", "exact", "truncated"})],
        "n_states": [Interval(Integral, 1, None, closed="left")],
        "binarize": [Interval(Real, None, None, closed="neither"), None],
        "alpha": [Interval(Real, 0.0, None, closed="left")],
        **ARGUMENTS,
    }

    # Whether the training data held other values than zeros and ones before they were made binary.
    _binarizes: bool

    def __init__(
        self,
        n_components: int | tuple[int, int] = 4,
        *,
        posterior: str = "auto",
        n_states: int = 20,
        binarize: float | None = 0.0,
        alpha: float = 0.01,
        tol: float = 1e-4,
        max_iter: int = 1000,
        n_init: int = 1,
        accelerate: bool = True,
        warm_start: bool = False,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None:
        self.n_components = n_components
        self.posterior = posterior
        self.n_states = n_states
        self.binarize = binarize
        self.alpha = alpha
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.accelerate = accelerate
        self.warm_start = warm_start
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    # Fitting.

    @fit_method
    def fit(self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the net by maximum likelihood with accelerated EM.

        Parameters
        ----------
        X : {array-like, sparse matrix, Dask array or frame, RowBlocks} of shape (n_samples, n_features)
            NaN marks missing entries, which are marginalised.
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of k counts as k copies of the row.

        Returns
        -------
        self : object
            The fitted net.

        Raises
        ------
        ValueError
            If X holds infinite values, a column without observed entries, or, with ``binarize=None``, values other than 0
            and 1; if there are too many hidden variables to enumerate; or if an argument is out of range.

        Warns
        -----
        ConvergenceWarning
            If ``max_iter`` steps did not suffice, Ctrl-C interrupted the fit, columns are separated without a ridge, or
            hidden variables are always on or always off.
        """
        sizes = self._sizes()
        rows = self._read(sizes, X, sample_weight, reset=True)
        kind = EnumeratedFit if self._is_exact(sizes, rows) else TruncatedFit
        means = self._check_columns(rows)
        fit = kind(self, rows, X, sizes=sizes, binary_rows=self._ready(rows), means=means)
        best = fit.best_run()
        attributes = {**fit.attributes(best), "_known_states": fit.states_missed(best.state)}
        self._conclude(attributes, fit.messages(best), fit.monitor, at_saddle=best.saddle)
        return self

    def _sizes(self) -> tuple[int, ...]:
        given: Any = self.n_components
        sizes = tuple(given) if isinstance(given, (tuple, list)) else (given,)
        if len(sizes) not in (1, 2) or not all(isinstance(size, Integral) and int(size) >= 1 for size in sizes):
            raise ValueError(
                f"n_components={self.n_components!r} must be a positive integer, or two for two hidden layers, from the one "
                "next to the data upward."
            )
        return tuple(int(size) for size in sizes)

    def _is_exact(self, sizes: tuple[int, ...], rows: Source) -> bool:
        latents, joint = max(sizes), sum(sizes) if len(sizes) > 1 else 0
        if self.posterior == "auto":
            return latents <= _AUTO_LATENTS and joint <= _AUTO_JOINT
        if self.posterior == "exact" and (latents > MOST_LATENTS or joint > _MOST_JOINT):
            states = [f"{2.0 ** sizes[0]:.2g} states for each row"]
            states += [f"{2.0**joint:.2g} joint states of both layers"] if joint else []
            raise ValueError(
                f"posterior='exact' with n_components={self.n_components} would enumerate {' and '.join(states)}, "
                f"{(2.0 ** sizes[0] * rows.n_features + 2.0**joint) * 8 / 2**30:.2g} GiB of logits; use "
                "posterior='truncated'."
            )
        return self.posterior == "exact" or (sum(sizes) < 60 and 2 ** sum(sizes) <= self.n_states)

    def _check_columns(self, rows: Source) -> FloatArray:
        """Check the columns, and return the means of the binary ones."""
        weight, ones, invalid, empty = survey(self, self.binarize, rows)
        self._binarizes = bool(invalid.any())
        check_observed(self, weight)
        warn_of_empty_rows(empty[0])
        return np.asarray(ones / weight)

    def _fitted_attributes(self, model: BeliefNetModel, dtype: Any, exact: bool, run: Run) -> dict[str, Any]:
        """The attributes that ``fit`` sets, as if the run ended here."""
        state = run.state
        net = state.parameters.net
        attributes = {
            "prior_": expit(net.prior_logits).astype(dtype),
            "components_": np.ascontiguousarray(net.layers[0].weights.T, dtype=dtype),
            "intercept_": net.layers[0].offsets.astype(dtype),
            "score_is_exact_": exact,
            "n_parameters_": len(net.pack()),
            **run.attributes(model.entropy_sum(state.parameters, state.statistics)),
        }
        if len(net.layers) == 2:
            attributes["hidden_components_"] = np.ascontiguousarray(net.layers[1].weights.T, dtype=dtype)
            attributes["hidden_intercept_"] = net.layers[1].offsets.astype(dtype)
        return attributes
