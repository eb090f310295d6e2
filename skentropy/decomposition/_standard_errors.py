"""Standard errors from the observed information under the constraints of the rotation (Jennrich 1973, 1974)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from .._em import derivative
from .._standard_errors import KNOWN, Estimate, StandardErrors
from .._typing import Array, FloatArray
from ._em_model import StandardisedData
from ._gaussian import LinearGaussian
from ._rotation import Rotation

# The step of fourth-order differences of the gradient, in standard deviations of the features, or in log psi.
_STEP = 1e-4


class _Coordinates:
    """Loadings, mean, log psi and factor correlations as one vector."""

    def __init__(self, parameters: LinearGaussian, *, isotropic: bool, oblique: bool) -> None:
        self.d, self.k = parameters.shape
        self.isotropic = isotropic
        self.pairs = np.tril_indices(self.k if oblique else 0, -1)
        self.sizes = np.cumsum([self.d * self.k, self.d, 1 if isotropic else self.d])

    def pack(self, p: LinearGaussian) -> FloatArray:
        noise = p.noise[:1] if self.isotropic else p.noise
        return np.concatenate([p.loadings.ravel(), p.mean, np.log(noise), p.correlation[self.pairs]])

    def unpack(self, vector: FloatArray) -> LinearGaussian:
        loadings, mean, log_noise, pairs = np.split(vector, self.sizes)
        correlation = np.eye(self.k)
        correlation[self.pairs] = pairs
        correlation[self.pairs[::-1]] = pairs
        noise = np.broadcast_to(np.exp(log_noise), self.d)
        return LinearGaussian(mean, loadings.reshape(self.d, self.k), noise, correlation)

    def gradient(self, data: StandardisedData, vector: FloatArray) -> FloatArray:
        """Gradient of the total log-likelihood."""
        p = self.unpack(vector)
        root = np.linalg.cholesky(p.correlation)
        independent = LinearGaussian.of(p.mean, p.loadings @ root, p.noise)
        in_loadings, in_noise = data.model.gradient(independent, data.expect(independent))
        in_log_noise = in_noise * p.noise
        in_root = p.loadings.T @ in_loadings[:, : self.k]
        # d root = root low(root^-1 dPhi root^-T), low the lower triangle with half of the diagonal.
        in_pairs = np.empty(len(self.pairs[0]))
        inverse = np.linalg.inv(root)
        for index, (i, j) in enumerate(zip(*self.pairs, strict=True)):
            change = np.outer(inverse[:, i], inverse[:, j])
            change = np.tril(change + change.T)
            change[np.diag_indices(self.k)] *= 0.5
            in_pairs[index] = (in_root * (root @ change)).sum()
        return np.concatenate(
            [
                (in_loadings[:, : self.k] @ root.T).ravel(),
                in_loadings[:, self.k],
                [in_log_noise.sum()] if self.isotropic else in_log_noise,
                in_pairs,
            ]
        )


def identification(p: LinearGaussian, rotation: Rotation | None) -> FloatArray:
    """What is zero at the fitted loadings, but not at nearby rotations of them.

    Without a rotation these are the entries of W' psi^-1 W below its diagonal. With one they are slopes of its criterion:
    per angle by which two factors are turned, or minus those per angle by which one oblique axis is turned towards another.
    """
    lower = np.tril_indices(p.shape[1], -1)
    if rotation is None:
        return np.asarray((p.loadings.T @ p.scaled)[lower])
    L = p.loadings / np.sqrt(((p.loadings @ p.correlation) * p.loadings).sum(axis=1) + p.noise)[:, np.newaxis]
    L, criterion = rotation.problem(L, ((L @ p.correlation) * L).sum(axis=1))
    stationary = L.T @ criterion(L)[1]
    if rotation.is_oblique:
        stationary = stationary @ p.prior_precision
        return np.concatenate([stationary[lower], stationary.T[lower]])
    return np.asarray((stationary - stationary.T)[lower])


def standard_errors(
    data: StandardisedData,
    parameters: LinearGaussian,
    *,
    rotation: Rotation | None,
    on_bound: Array,
    names: Sequence[str],
) -> StandardErrors:
    """Standard errors of parameters that maximise the likelihood; for rotated factors by the delta method.

    The parameters are those of the standardised features, and ``names`` are the features' names. The information is
    inverted for unrotated factors. With the constraints of a rotation, which ignore that a uniqueness may be on its floor,
    it would be ill-conditioned.
    """
    model, location, scale = data.model, data.location, data.scale
    at = _Coordinates(parameters, isotropic=model.isotropic, oblique=rotation is not None and rotation.is_oblique)
    if rotation is None:
        covariance = _unrotated_covariance(data, parameters, on_bound)
    else:
        root = np.linalg.cholesky(parameters.correlation)
        unrotated = LinearGaussian.of(parameters.mean, parameters.loadings @ root, parameters.noise).canonical()
        jacobian = _rotation_jacobian(at, unrotated, parameters, rotation)
        covariance = jacobian @ _unrotated_covariance(data, unrotated, on_bound) @ jacobian.T
    none = ~(np.diag(covariance) >= 0.0)
    if not model.isotropic:
        none[at.sizes[1] : at.sizes[2]] |= on_bound
    # Into the units of the data; log psi changes by d log psi = d psi / psi.
    n_noise = 1 if model.isotropic else at.d
    noise = (parameters.noise * scale**2)[:n_noise]
    units = np.concatenate([scale.repeat(at.k), scale, noise, np.ones(len(at.pairs[0]))])
    covariance = covariance * units * units[:, np.newaxis]
    covariance[none] = covariance[:, none] = np.nan
    return StandardErrors(
        "standard errors by the observed information, in the data's units",
        covariance,
        _estimates(at, parameters, location, scale, names),
    )


def _estimates(
    at: _Coordinates, parameters: LinearGaussian, location: FloatArray, scale: FloatArray, names: Sequence[str]
) -> list[Estimate]:
    """The fitted attributes; correlations of orthogonal factors are not estimated."""
    d, k = at.d, at.k
    factors = list(map(str, range(k)))
    places = np.arange(d * k).reshape(d, k).T
    estimates = [Estimate("components", (parameters.loadings * scale[:, np.newaxis]).T, [factors, names], places)]
    noise = parameters.noise * scale**2
    if at.isotropic:
        estimates.append(Estimate("noise_variance", noise[0], [], np.array(at.sizes[1]), 0.0))
    else:
        estimates.append(Estimate("noise_variance", noise, [names], np.arange(at.sizes[1], at.sizes[2]), 0.0))
    estimates.append(Estimate("mean", location + scale * parameters.mean, [names], np.arange(at.sizes[0], at.sizes[1])))
    places = np.full((k, k), KNOWN)
    places[at.pairs] = places[at.pairs[::-1]] = at.sizes[2] + np.arange(len(at.pairs[0]))
    estimates.append(Estimate("factor_correlation", parameters.correlation, [factors, factors], places, -1.0, 1.0))
    return estimates


def _unrotated_covariance(data: StandardisedData, p: LinearGaussian, on_bound: Array) -> FloatArray:
    """Covariance of the estimates of unrotated loadings, mean and log psi; zero for log psi on a bound."""
    at = _Coordinates(p, isotropic=data.model.isotropic, oblique=False)
    vector = at.pack(p)
    free = np.ones(len(vector), dtype=bool)
    if not at.isotropic:
        free[at.sizes[1] : at.sizes[2]] = ~on_bound
    information = -_jacobian(lambda v: at.gradient(data, v), vector, free)[free]
    information = 0.5 * (information + information.T)
    constraints = _jacobian(lambda v: identification(at.unpack(v), None), vector, free)
    # Without columns of comparable length the bordered matrix would be badly scaled.
    scale = np.sqrt(np.maximum(np.diag(information), 1e-300))
    constraints = constraints / scale
    constraints = constraints / np.maximum(np.linalg.norm(constraints, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    size = len(information)
    bordered = np.zeros((size + len(constraints), size + len(constraints)))
    bordered[:size, :size] = information / scale / scale[:, np.newaxis]
    bordered[size:, :size] = constraints
    bordered[:size, size:] = constraints.T
    covariance = np.zeros((len(vector), len(vector)))
    covariance[np.ix_(free, free)] = np.linalg.pinv(bordered, hermitian=True)[:size, :size] / scale / scale[:, np.newaxis]
    return covariance


def _rotation_jacobian(
    at: _Coordinates, unrotated: LinearGaussian, rotated: LinearGaussian, rotation: Rotation
) -> FloatArray:
    r"""Derivatives of rotated loadings, mean, log psi and factor correlations by the unrotated ones.

    The rotated loadings are :math:`L M`. They change by :math:`dL\, M + L M \Omega`, and the correlations change by
    :math:`-(\Omega \Phi + \Phi \Omega^T)`, where :math:`\Omega = M^{-1} dM` keeps the loadings at the criterion's stationary
    point. It is antisymmetric for orthogonal factors; for oblique ones the correlations keep a unit diagonal.
    """
    d, k, n_pairs = at.d, at.k, len(at.pairs[0])
    size = at.sizes[-1] + n_pairs
    M = np.linalg.lstsq(unrotated.loadings, rotated.loadings, rcond=None)[0]
    direct = np.zeros((size, at.sizes[-1]))
    direct[: d * k, : d * k] = np.kron(np.eye(d), M.T)
    direct[d * k : at.sizes[-1], d * k :] = np.eye(at.sizes[-1] - d * k)
    units = np.eye(k * k).reshape(k * k, k, k)
    if not n_pairs:
        units = np.stack([unit - unit.T for unit in units[np.ravel_multi_index(np.tril_indices(k, -1), (k, k))]])
    turned = np.zeros((size, len(units)))
    diagonals = np.zeros((k if n_pairs else 0, len(units)))
    for index, unit in enumerate(units):
        turned[: d * k, index] = (rotated.loadings @ unit).ravel()
        if n_pairs:
            change = -(unit @ rotated.correlation + rotated.correlation @ unit.T)
            turned[at.sizes[-1] :, index] = change[at.pairs]
            diagonals[:, index] = np.diag(change)
    vector = at.pack(rotated)
    constraints = _jacobian(lambda v: identification(at.unpack(v), rotation), vector, np.ones(size, dtype=bool))
    left = np.concatenate([constraints @ turned, diagonals])
    right = np.concatenate([constraints @ direct, np.zeros((len(diagonals), direct.shape[1]))])
    return np.asarray(direct - turned @ np.linalg.lstsq(left, right, rcond=None)[0])


def _jacobian(function: Callable[[FloatArray], FloatArray], vector: FloatArray, free: Array) -> FloatArray:
    """Derivatives by the free entries, one in each column."""

    def along(unit: FloatArray, h: float) -> FloatArray:
        return function(vector + h * unit)

    return np.stack([derivative(partial(along, unit), _STEP) for unit in np.eye(len(vector))[free]], axis=1)
