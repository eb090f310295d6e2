"""Conjugate priors of Gaussian components, as pseudo-observations."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from .._typing import ArrayLike, FloatArray
from ._input import check_covariances


@dataclass(frozen=True)
class PseudoRows:
    """The pseudo-observations that a normal inverse Wishart prior adds to each component.

    Attributes
    ----------
    counts : float
        Number of pseudo-observations.
    mean, covariance : ndarray of shape (d,), (d, d)
        Their mean and covariance, in units.
    divisor : float
        The increase of the covariance's divisor; it is ``counts`` if the prior consists of pseudo-observations only.
    """

    counts: float
    mean: FloatArray
    covariance: FloatArray
    divisor: float


class NormalInverseWishart:
    r"""Prior of Gaussian components, with the defaults of mclust's ``priorControl()``.

    .. math::

        \mu_c \mid \Sigma_c \sim N(m, \Sigma_c / \kappa), \qquad
        \Sigma_c \sim W^{-1}(\Psi, \nu),

        \Sigma_c = \frac{S_c + \frac{\kappa N_c}{\kappa + N_c} (\bar x_c - m)(\bar x_c - m)^\top + \Psi}{N_c + \nu + d + 2},

    with the scatter :math:`S_c` of the :math:`N_c` rows of a component. The term ``penalty`` of the entropy sum is

    .. math::

        \frac1N \sum_c \left[ \tfrac12 \operatorname{tr} \Psi \Sigma_c^{-1}
        + \tfrac\kappa2 (\mu_c - m)^\top \Sigma_c^{-1} (\mu_c - m) - \tfrac{(\nu + d + 2) d}{2} \right].

    A covariance :math:`\Sigma` that all K components share ("tied") has one prior. Then

    .. math::

        \Sigma = \frac{\sum_c \bigl[ S_c + \frac{\kappa N_c}{\kappa + N_c} (\bar x_c - m)(\bar x_c - m)^\top \bigr]
        + \Psi}{N + K + \nu + d + 1},

        \text{penalty} = \frac1N \left[ \tfrac12 \operatorname{tr} \Psi \Sigma^{-1}
        + \tfrac\kappa2 \sum_c (\mu_c - m)^\top \Sigma^{-1} (\mu_c - m) - \tfrac{(\nu + d + 1 + K) d}{2} \right].

    Parameters
    ----------
    mean_precision : float, default=0.01
        :math:`\kappa`, in rows.
    degrees_of_freedom : float, default=None
        :math:`\nu`; None stands for d + 2.
    covariance : array-like of shape (n_features, n_features), default=None
        :math:`\Psi`, in the data's units; None stands for the covariance of all rows (divisor n - 1) over :math:`K^{2/d}`.
    mean : array-like of shape (n_features,), default=None
        m; None stands for the mean of all rows.

    References
    ----------
    .. [1] Fraley, Raftery (2007), "Bayesian Regularization for Normal Mixture Estimation and Model-Based Clustering".

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skentropy import GaussianMixture
    >>> from skentropy.mixture import NormalInverseWishart
    >>> X = load_iris().data
    >>> mixture = GaussianMixture(3, prior=NormalInverseWishart(), random_state=0).fit(X)
    >>> print(f"{150 * mixture.score(X):.2f}")
    -203.38
    """

    def __init__(
        self,
        mean_precision: float = 0.01,
        degrees_of_freedom: float | None = None,
        covariance: ArrayLike | None = None,
        mean: ArrayLike | None = None,
    ) -> None:
        self.mean_precision = mean_precision
        self.degrees_of_freedom = degrees_of_freedom
        self.covariance = covariance
        self.mean = mean

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if value is not None)
        return f"{type(self).__name__}({arguments})"

    def check(self, d: int) -> None:
        """Raise ValueError unless this is a prior of d features."""
        for name in ("mean_precision", "degrees_of_freedom"):
            value = getattr(self, name)
            unset = value is None and name == "degrees_of_freedom"
            if not (unset or isinstance(value, Real)) or isinstance(value, bool):
                raise ValueError(f"{name} of the prior must be a number, got {value!r}.")
        for name in ("covariance", "mean"):
            value = getattr(self, name)
            if value is not None and np.asarray(value).dtype.kind not in "iuf":
                raise ValueError(f"{name} of the prior must hold numbers.")
        if not 0.0 < self.mean_precision < np.inf:
            raise ValueError(f"mean_precision of the prior must be positive, got {self.mean_precision}.")
        if self.degrees_of_freedom is not None and not d - 1 < self.degrees_of_freedom < np.inf:
            raise ValueError(
                f"degrees_of_freedom of the prior must be more than n_features - 1 = {d - 1}, got {self.degrees_of_freedom}."
            )
        for name, shape in (("covariance", (d, d)), ("mean", (d,))):
            value = getattr(self, name)
            if value is not None and np.shape(value) != shape:
                raise ValueError(f"{name} of the prior should have the shape {shape}, but got {np.shape(value)}.")
            if value is not None and not np.isfinite(np.asarray(value, dtype=np.float64)).all():
                raise ValueError(f"{name} of the prior must be finite.")
        if self.covariance is not None:
            check_covariances(np.asarray(self.covariance, dtype=np.float64)[np.newaxis], "covariance of the prior", [""])

    def pseudo_rows(
        self, units: Any, pooled_mean: FloatArray, pooled_covariance: FloatArray, n_components: int, n_sharing: int
    ) -> PseudoRows:
        """The pseudo-observations in units; if ``n_sharing`` components share a covariance, each gets its part."""
        d = len(units.scale)
        scatter = pooled_covariance / n_components ** (2.0 / d)
        if self.covariance is not None:
            scatter = np.asarray(self.covariance, dtype=np.float64) / units.scale / units.scale[:, np.newaxis]
        mean = pooled_mean
        if self.mean is not None:
            mean = (np.asarray(self.mean, dtype=np.float64) - units.location) / units.scale
        nu = d + 2.0 if self.degrees_of_freedom is None else self.degrees_of_freedom
        kappa = self.mean_precision
        return PseudoRows(kappa, mean, scatter / (n_sharing * kappa), 1.0 + (nu + d + 1.0) / n_sharing)
