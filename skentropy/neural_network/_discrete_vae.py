"""Variational autoencoders of zeros and ones, and of counts."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval

from .._data import Block, BlockSource, Source
from .._em import as_fitted
from .._messages import NamedColumns, list_columns
from .._typing import Array
from ..decomposition._gaussian import LinearGaussian
from ._binary import binary, survey
from ._vae_base import VariationalAutoencoder
from ._vae_observables import LARGEST_RATE, BernoulliOutputs, Canonical, Observable, PoissonOutputs
from ._vae_start import start_canonical
from ._vae_training import Nets
from ._vae_units import Units


class _DiscreteVAE(VariationalAutoencoder):
    """Base of autoencoders whose decoders return natural parameters."""

    _standardises = False
    _outputs: ClassVar[type[Canonical]]
    _likelihood = "probability"

    @property
    def _kind(self) -> type[Canonical]:
        return self._outputs

    def _set_start(self, nets: Nets, linear: LinearGaussian, units: Units) -> Observable:
        return start_canonical(nets, linear, units, self._kind())


class BernoulliVAE(_DiscreteVAE):
    r"""Variational autoencoder of zeros and ones, whose ELBO is a sum of entropies.

    .. math::

        z \sim N(0, I_H), \qquad x_d \mid z \sim \operatorname{Bern}\bigl(S(y_d(z))\bigr), \qquad S(a) = 1 / (1 + e^{-a}),

    where :math:`y` is a net plus a linear path. After the fit the ELBO, nats per sample, is the sum of entropies

    .. math::

        \frac1N \sum_n \sum_j \tfrac12\log(2\pi e\,\tau_{nj}^2) - \tfrac H2\log(2\pi e)
        - E_{\bar q} \sum_d \tilde{\mathcal H}\bigl[p(x_d \mid z)\bigr],

    Eqns. 49 and 50 of [1]_, since the fit ends with the optimal scale of the decoder's outputs, by Newton's method, and the
    optimal offsets and scales of the latents, in closed form. NaN marks missing entries.

    Parameters
    ----------
    n_components : int, default=2
        Number of latent variables H.
    binarize : float or None, default=0.0
        Values above it become 1, others 0. None accepts zeros and ones only.
    prior : {"gaussian", "laplace"}, default="gaussian"
        The prior of the latents, which have variance 1 under either.
    hidden_layer_sizes : sequence of int, default=(128,)
        Hidden layers of the decoder; without any the logits are linear in the latents.
    encoder_hidden_layer_sizes : sequence of int or None, default=None
        Hidden layers of the encoder; None for those of the decoder.
    activation : {"silu", "tanh", "relu", "softplus"}, default="silu"
    alpha : float, default=30.0
        Strength of the weight decay ``alpha / 2 |V|^2`` in training, relative to the total ELBO, with V all weights of the
        nets. Intercepts and linear paths do not decay.
    beta : float, default=1.0
        Weight of the divergence from the prior in training.
    learning_rate_init : float, default=0.02
        Largest learning rate of Adam, which rises during the first fiftieth of the steps and then falls like a cosine.
    batch_size : int, default=100
    max_iter : int, default=100
        Number of epochs.
    shuffle : bool, default=True
        Whether to shuffle rows in each epoch.
    warm_start : bool, default=False
        Whether training continues from the last fit. If that had other numbers of components, columns or layers, ``fit``
        starts anew and warns.
    random_state : int, RandomState instance or None, default=None
        For the nets' first weights, shuffles and draws.
    verbose : int, default=0
        1 prints progress, 2 adds times and gains.
    verbose_interval : int, default=10
        Epochs between two printed lines.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        Means of the columns. The encoder reads ``(x - mean_) / scale_``; the decoder returns logits.
    scale_ : float
    encoder_coefs_, decoder_coefs_ : list of ndarray
        Weights of the layers; ``encoder_intercepts_``, ``decoder_intercepts_`` their offsets.
    encoder_linear_, decoder_linear_ : ndarray
        The linear paths.
    information_ : ndarray of shape (n_components,)
        Each latent's information about the data, nats per sample; the latents are ordered by it.
    collapsed_ : ndarray of shape (n_components,)
        Which latents have less information than a hundredth of a nat.
    is_linear_ : bool
        Whether the model is linear because training did not improve on its start.
    entropy_sum_ : EntropySum
        Of the training data.
    stationarity_gap_ : float
        Entropy sum minus ELBO of the training data: zero up to rounding.
    lower_bound_ : float
        Mean ELBO of the training data, nats per sample.
    entropy_sums_, lower_bounds_ : list
        Values of each epoch, with every row evaluated in its batch; the last values are those of the fitted model. Earlier
        ones differ from each other, because the scale of the outputs is not yet optimal.
    n_iter_ : int
        Number of epochs.
    converged_ : bool
        Whether all epochs were run.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    GaussianVAE : For measurements; its notes apply here, too.
    skentropy.SigmoidBeliefNet : Binary causes.

    References
    ----------
    .. [1] Warnken, Velychko, Damm, Fischer, Lücke (2024), "Generative Models with ELBOs Converging to Entropy Sums".

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skentropy import BernoulliVAE
    >>> X = load_digits().data[:500]
    >>> vae = BernoulliVAE(5, binarize=7.5, max_iter=20, random_state=0).fit(X)
    >>> abs(vae.entropy_sum_score() - vae.score(X)) < 1e-9
    True
    """

    _outputs = BernoulliOutputs

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **VariationalAutoencoder._parameter_constraints,
        "binarize": [Interval(Real, None, None, closed="neither"), None],
    }

    # Whether the training data held other values than zeros and ones before they were made binary.
    _binarizes: bool

    def __init__(
        self,
        n_components: int = 2,
        *,
        binarize: float | None = 0.0,
        prior: str = "gaussian",
        hidden_layer_sizes: Any = (128,),
        encoder_hidden_layer_sizes: Any = None,
        activation: str = "silu",
        alpha: float = 30.0,
        beta: float = 1.0,
        learning_rate_init: float = 0.02,
        batch_size: int = 100,
        max_iter: int = 100,
        shuffle: bool = True,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None:
        super().__init__(
            n_components,
            prior=prior,
            hidden_layer_sizes=hidden_layer_sizes,
            encoder_hidden_layer_sizes=encoder_hidden_layer_sizes,
            activation=activation,
            alpha=alpha,
            beta=beta,
            learning_rate_init=learning_rate_init,
            batch_size=batch_size,
            max_iter=max_iter,
            shuffle=shuffle,
            warm_start=warm_start,
            random_state=random_state,
            verbose=verbose,
            verbose_interval=verbose_interval,
        )
        self.binarize = binarize

    @property
    def _view(self) -> Callable[[Block], Block]:
        return partial(binary, as_fitted(self).binarize)

    def _check_values(self, rows: Source) -> None:
        _, _, invalid, _ = survey(self, self.binarize, rows)
        self._binarizes = bool(invalid.any())


class PoissonVAE(_DiscreteVAE):
    r"""Variational autoencoder of counts, whose ELBO is a sum of entropies.

    .. math::

        z \sim N(0, I_H), \qquad x_d \mid z \sim \operatorname{Poisson}\bigl(e^{y_d(z)}\bigr),

    where :math:`y` is a net plus a linear path. After the fit the ELBO, nats per sample, is the sum of entropies

    .. math::

        \frac1N \sum_n \sum_j \tfrac12\log(2\pi e\,\tau_{nj}^2) - \tfrac H2\log(2\pi e)
        - E_{\bar q} \sum_d \tilde{\mathcal H}\bigl[p(x_d \mid z)\bigr] + \frac1N \sum_n \sum_d \log \frac{1}{x_{nd}!},

    Eqns. 49 and 50 of [1]_, since the fit ends with the optimal scale of the decoder's outputs, by Newton's method, and the
    optimal offsets and scales of the latents, in closed form. NaN marks missing entries. Rates are held below
    :math:`e^{30}`, about 1e13; larger counts are refused.

    Parameters
    ----------
    n_components : int, default=2
        Number of latent variables H.
    prior : {"gaussian", "laplace"}, default="gaussian"
        The prior of the latents, which have variance 1 under either.
    hidden_layer_sizes : sequence of int, default=(128,)
        Hidden layers of the decoder; without any the logarithms of rates are linear in the latents.
    encoder_hidden_layer_sizes : sequence of int or None, default=None
        Hidden layers of the encoder; None for those of the decoder.
    activation : {"silu", "tanh", "relu", "softplus"}, default="silu"
    alpha : float, default=30.0
        Strength of the weight decay ``alpha / 2 |V|^2`` in training, relative to the total ELBO, with V all weights of the
        nets. Intercepts and linear paths do not decay.
    beta : float, default=1.0
        Weight of the divergence from the prior in training.
    learning_rate_init : float, default=0.02
        Largest learning rate of Adam, which rises during the first fiftieth of the steps and then falls like a cosine.
    batch_size : int, default=100
    max_iter : int, default=100
        Number of epochs.
    shuffle : bool, default=True
        Whether to shuffle rows in each epoch.
    warm_start : bool, default=False
        Whether training continues from the last fit. If that had other numbers of components, columns or layers, ``fit``
        starts anew and warns.
    random_state : int, RandomState instance or None, default=None
        For the nets' first weights, shuffles and draws.
    verbose : int, default=0
        1 prints progress, 2 adds times and gains.
    verbose_interval : int, default=10
        Epochs between two printed lines.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        Means of the columns. The encoder reads ``(x - mean_) / scale_``; the decoder returns logarithms of rates.
    scale_ : float
    encoder_coefs_, decoder_coefs_ : list of ndarray
        Weights of the layers; ``encoder_intercepts_``, ``decoder_intercepts_`` their offsets.
    encoder_linear_, decoder_linear_ : ndarray
        The linear paths.
    information_ : ndarray of shape (n_components,)
        Each latent's information about the data, nats per sample; the latents are ordered by it.
    collapsed_ : ndarray of shape (n_components,)
        Which latents have less information than a hundredth of a nat.
    is_linear_ : bool
        Whether the model is linear because training did not improve on its start.
    entropy_sum_ : EntropySum
        Of the training data.
    stationarity_gap_ : float
        Entropy sum minus ELBO of the training data: zero up to rounding.
    lower_bound_ : float
        Mean ELBO of the training data, nats per sample.
    entropy_sums_, lower_bounds_ : list
        Values of each epoch, with every row evaluated in its batch; the last values are those of the fitted model. Earlier
        ones differ from each other, because the scale of the outputs is not yet optimal.
    n_iter_ : int
        Number of epochs.
    converged_ : bool
        Whether all epochs were run.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    GaussianVAE : For measurements; its notes apply here, too.
    skentropy.PoissonMixture : One cause at a time.

    References
    ----------
    .. [1] Warnken, Velychko, Damm, Fischer, Lücke (2024), "Generative Models with ELBOs Converging to Entropy Sums".

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skentropy import PoissonVAE
    >>> X = load_digits().data[:500]
    >>> vae = PoissonVAE(5, max_iter=20, random_state=0).fit(X)
    >>> abs(vae.entropy_sum_score() - vae.score(X)) < 1e-9
    True
    """

    _outputs = PoissonOutputs

    def _check_values(self, rows: Source) -> None:
        _refuse(self, rows.sum(_n_outside))

    def _ready(self, rows: Source) -> BlockSource:
        return rows.view(partial(_within_limits, NamedColumns.of(self, range(rows.n_features))))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags


def _n_outside(block: Block) -> Array:
    """For each column the numbers of entries below 0 and above the largest rate, (2, n_features)."""
    return np.stack([(block.X < 0).sum(axis=0), (block.X > LARGEST_RATE).sum(axis=0)])


def _refuse(estimator: Any, n_outside: Array) -> None:
    negative, too_large = map(np.flatnonzero, n_outside)
    if negative.size:
        raise ValueError(f"Negative values in data: PoissonVAE takes counts; see {list_columns(estimator, negative)}.")
    if too_large.size:
        raise ValueError(f"PoissonVAE takes counts up to {LARGEST_RATE:.3g}; see {list_columns(estimator, too_large)}.")


def _within_limits(columns: NamedColumns, block: Block) -> Block:
    """The block itself; ValueError, which names the columns, if it has values that are no counts, or too large."""
    _refuse(columns, _n_outside(block))
    return block
