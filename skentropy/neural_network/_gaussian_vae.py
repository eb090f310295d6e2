"""Variational autoencoders of measurements."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from .._messages import list_columns
from .._typing import FloatArray
from ..decomposition._gaussian import LinearGaussian
from ._autoencoder import Autoencoder
from ._vae_base import VariationalAutoencoder
from ._vae_observables import NOISE_FLOOR, GaussianNoise, HeteroscedasticNoise, Observable
from ._vae_start import start_linear
from ._vae_training import Nets
from ._vae_units import Units


class GaussianVAE(VariationalAutoencoder):
    r"""Variational autoencoder with Gaussian observables, whose ELBO is a sum of entropies after every epoch.

    .. math::

        z \sim N(0, I_H), \qquad x \mid z \sim N\bigl(\mu(z), \Sigma\bigr), \qquad
        q_n(z) = N\bigl(m_n, \operatorname{diag}(\tau_n^2)\bigr),

    where :math:`\mu` is a net plus a linear path, :math:`\Sigma = \sigma^2 I`, :math:`\operatorname{diag}(\sigma_d^2)` or
    :math:`\operatorname{diag}(\sigma_d^2 e^{v_d(z)})`, and posteriors start from an encoder. Training starts at the maximum
    of the linear model, ``PPCA``, and never ends below it. After any training, the optimal noise variances, and the optimal
    offsets and scales of the latents, have closed forms. With these the ELBO, nats per sample, is

    .. math::

        \frac1N \sum_n \sum_j \tfrac12\log(2\pi e\,\tau_{nj}^2) - \tfrac H2\log(2\pi e)
        - \sum_d \tfrac12 \log(2\pi e\,\sigma_d^2) + \sum_d \frac{\epsilon}{2\sigma_d^2},

    the sum of entropies of [1]_ and [2]_; the last term is due to the ridge :math:`\epsilon` on the noise variances. If the
    noise variances depend on z, the last two terms are means over the posteriors.

    Parameters
    ----------
    n_components : int, default=2
        Number of latent variables H.
    covariance_type : {"scalar", "diag", "heteroscedastic"}, default="scalar"
        "scalar": one noise variance for all features; "diag": one for each feature; "heteroscedastic": one for each feature
        that depends on the latents, :math:`\sigma_d^2 e^{v_d(z)}`, where the decoder also returns :math:`v`.
    prior : {"gaussian", "laplace"}, default="gaussian"
        The prior of the latents, which have variance 1 under either. "laplace" makes most of a row's latents small, which is
        sparse coding.
    hidden_layer_sizes : sequence of int, default=(128,)
        Hidden layers of the decoder. Without any the model is linear and, unless it is "heteroscedastic", needs no training:
        it is ``PPCA`` in closed form, or for "diag" without a ridge ``FactorAnalysis``. With "diag" and a ridge, or with
        ``prior="laplace"``, L-BFGS finds the decoder for which the ELBO of the optimal posteriors is largest. With scales in
        closed form this ELBO consists of entropies only [4]_. For rows with missing entries the posteriors of PPCA are
        correlated and these are not, so the ELBO is slightly lower.
    encoder_hidden_layer_sizes : sequence of int or None, default=None
        Hidden layers of the encoder; None for those of the decoder.
    activation : {"silu", "tanh", "relu", "softplus"}, default="silu"
    alpha : float, default=30.0
        Strength of the weight decay ``alpha / 2 |V|^2`` in training, relative to the total ELBO, with V all weights of the
        nets. Intercepts and linear paths do not decay, so a strong decay leaves PPCA.
    beta : float, default=1.0
        Weight of the divergence from the prior in training.
    reg_covar : float, default=1e-3
        Ridge on the noise variances, relative to the mean variance of the columns. For "diag" it must be positive if the
        latents can explain a column completely.
    learning_rate_init : float, default=0.02
        Largest learning rate of Adam, which rises during the first fiftieth of the steps and then falls like a cosine.
    batch_size : int, default=100
    max_iter : int, default=100
        Number of epochs; for L-BFGS the largest number of steps.
    shuffle : bool, default=True
        Whether to shuffle rows in each epoch.
    warm_start : bool, default=False
        Whether training continues from the last fit, in its units. If that had other numbers of components, columns or
        layers, ``fit`` starts anew and warns.
    random_state : int, RandomState instance or None, default=None
        For the nets' first weights, shuffles and draws.
    verbose : int, default=0
        1 prints progress, 2 adds times and gains.
    verbose_interval : int, default=10
        Epochs between two printed lines.

    Attributes
    ----------
    noise_variance_ : float or ndarray of shape (n_features,)
        :math:`\sigma^2`; one for each feature, unless it is "scalar".
    mean_ : ndarray of shape (n_features,)
        Means of the columns. The encoder reads ``(x - mean_) / scale_``, and the decoder returns values in these units.
    scale_ : float
        Root of the mean variance of the columns.
    encoder_coefs_, decoder_coefs_ : list of ndarray
        Weights of the layers. The encoder's outputs are the means and the log variances, the decoder's the means and, for
        "heteroscedastic", :math:`v`.
    encoder_intercepts_, decoder_intercepts_ : list of ndarray
    encoder_linear_ : ndarray of shape (n_features, n_components)
        Linear path to the means.
    decoder_linear_ : ndarray of shape (n_components, n_features)
    information_ : ndarray of shape (n_components,)
        Each latent's information about the data, nats per sample: entropy of the prior minus the mean entropy of the
        posteriors. The latents are ordered by their information.
    collapsed_ : ndarray of shape (n_components,)
        Which latents exceed the information of a collapsed latent by less than a hundredth of a nat. A collapsed latent has
        none, or with the prior "laplace" 0.048 nats: the entropy of the prior minus that of the nearest Gaussian.
    is_linear_ : bool
        Whether the model is linear, because it needs no training or because training did not improve it.
    entropy_sum_ : EntropySum
        Of the training data.
    stationarity_gap_ : float
        Entropy sum minus ELBO of the training data: zero up to rounding, unless a noise variance is at its floor.
    lower_bound_ : float
        Mean ELBO of the training data, nats per sample.
    entropy_sums_ : list of EntropySum
        Entropy sums of the epochs, with every row evaluated in its batch, before the step; the last is that of the fitted
        model.
    lower_bounds_ : list of float
        The ELBOs of the epochs.
    n_iter_ : int
        Number of epochs.
    converged_ : bool
        Whether all epochs were run, or L-BFGS has converged.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (n_features,)

    See Also
    --------
    skentropy.PPCA : The linear model.
    skentropy.FactorAnalysis : The linear model with one noise variance for each feature.

    Notes
    -----
    Up to 256 MiB of data are held in memory. Repeated rows are then merged, and the result does not depend on the order of
    rows or the unit of measurement. Larger data, also memory maps, are reread in each epoch and shuffled within 8,192 rows.

    Expectations under posteriors are computed with 2 H + 1 fixed nodes, exactly for polynomials of up to the third degree.
    Scores are therefore not random, and do not depend on other rows; ``score_samples`` says when they are exact. Starting
    from the encoder, each posterior takes two steps towards the optimum for the decoder's statistical linearisation [3]_,
    never to a lower ELBO. Posteriors of linear decoders are optimal and need no encoder.

    References
    ----------
    .. [1] Damm, Forster, Velychko, Dai, Fischer, Lücke (2023), "The ELBO of Variational Autoencoders Converges to a Sum of
       Entropies", AISTATS.
    .. [2] Warnken, Velychko, Damm, Fischer, Lücke (2024), "Generative Models with ELBOs Converging to Entropy Sums".
    .. [3] García-Fernández, Svensson, Morelande, Särkkä (2015), "Posterior linearization filter", IEEE Transactions on
       Signal Processing 63.
    .. [4] Velychko, Damm, Fischer, Lücke (2024), "Learning Sparse Codes with Entropy-Based ELBOs", AISTATS.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skentropy import GaussianVAE, PPCA
    >>> X = load_wine().data / load_wine().data.std(axis=0)
    >>> vae = GaussianVAE(2, random_state=0).fit(X)
    >>> vae.score(X) > PPCA(2).fit(X).score(X)
    True
    >>> abs(vae.entropy_sum_score() - vae.score(X)) < 1e-9
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **VariationalAutoencoder._parameter_constraints,
        "covariance_type": [StrOptions({"scalar", "diag", "heteroscedastic"})],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
    }

    _standardises = True

    def __init__(
        self,
        n_components: int = 2,
        *,
        covariance_type: str = "scalar",
        prior: str = "gaussian",
        hidden_layer_sizes: Any = (128,),
        encoder_hidden_layer_sizes: Any = None,
        activation: str = "silu",
        alpha: float = 30.0,
        beta: float = 1.0,
        reg_covar: float = 1e-3,
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
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar

    @property
    def _kind(self) -> type[GaussianNoise]:
        return HeteroscedasticNoise if self.covariance_type == "heteroscedastic" else GaussianNoise

    @property
    def _is_closed_form(self) -> bool:
        return self._kind is GaussianNoise

    @property
    def _tied(self) -> bool:
        return self.covariance_type == "scalar"

    @property
    def _ridge(self) -> float:
        return float(self.reg_covar)

    def _set_start(self, nets: Nets, linear: LinearGaussian, units: Units) -> Observable:
        return self._kind.of(start_linear(nets, linear))

    def _own_attributes(self, model: Autoencoder, units: Units, dtype: Any) -> dict[str, Any]:
        noise = self._noise(model) * units.scale**2
        return {"noise_variance_": float(noise[0]) if self._tied else noise.astype(dtype)}

    def _complaints(self, model: Autoencoder) -> list[str]:
        on_floor = np.flatnonzero(self._noise(model) <= NOISE_FLOOR)
        if not on_floor.size:
            return []
        return [
            f"GaussianVAE explains {list_columns(self, on_floor)} completely: the ELBO has no maximum, and the noise "
            "variance is held on its floor. Use reg_covar > 0, or leave such columns out."
        ]

    @staticmethod
    def _noise(model: Autoencoder) -> FloatArray:
        assert isinstance(model.observable, GaussianNoise)
        return model.observable.noise
