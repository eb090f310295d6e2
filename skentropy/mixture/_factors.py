"""Gaussian components with factor-analytic covariances: mixtures of probabilistic PCAs and of factor analysers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from .._data import ColumnSurvey
from .._linalg import unpack_symmetric
from .._typing import Array, FloatArray, Matrix
from ..decomposition._closed_form import closed_form, count_parameters, noise_floor
from ..decomposition._factor_analysis import n_factor_parameters
from ..decomposition._spectrum import Spectrum, leading_pairs
from ..families._base import positive_or_one
from ._changes import differences
from ._factor_metric import FactorMetric
from ._factor_parameters import (
    LEAST_NOISE,
    FactorParameters,
    align_loadings,
    at_best_scale,
    canonical,
    curvature,
    pack_slopes,
    px_em_step,
    with_signs_of,
)
from ._gaussian_base import GaussianComponents, with_pseudo_rows
from ._gaussian_parameters import GaussianSums
from ._gaussian_rows import GaussianRows
from ._input import check_covariances, check_shapes
from ._observations import Units
from ._report import degenerate_covariances, heywood_cases

# Numbers of PX-EM steps in one M-step of factor analysis: in general, and in the first M-step, which starts without factors.
_INNER_STEPS, _FIRST_STEPS = 4, 200
# Noise variances: the floor, and the largest that counts as at the floor, as shares of the component's variance of a
# feature; the least at a start, in units; and the share to which a floor may be lowered to stay below noise variances.
_FLOOR, _NEAR_FLOOR, _START, _LOWEST = 1e-8, 3e-7, 1e-3, 0.1


@dataclass(frozen=True)
class FactorGaussian(GaussianComponents):
    r"""Gaussians with covariances :math:`\Lambda_c \Lambda_c^\top + \operatorname{diag}(\psi_c)`, without latent factors.

    Directions are steps of the means in the frame, of the loadings, and of the logarithms of the noise variances.

    Parameters
    ----------
    reg_covar, units, prior_counts, pooled_mean, pooled_covariance, n_runs, prior, total_weight
        As of ``GaussianComponents``.
    n_factors : int
        Number k of factors of each component.
    isotropic : bool
        Whether the noise variances of a component are all the same (probabilistic PCA).
    """

    n_factors: int = 1
    isotropic: bool = False

    attribute_names = ("means", "loadings", "noise_variances")
    standard_limits = ((-np.inf, np.inf), (-np.inf, np.inf), (0.0, np.inf))

    @property
    def label(self) -> str:
        of = "1 factor" if self.n_factors == 1 else f"{self.n_factors} factors"
        return f"Gaussian components of {of} and {'equal' if self.isotropic else 'unequal'} noise"

    @property
    def covariance_type(self) -> str:
        return "ppca" if self.isotropic else "fa"

    # Before a fit.

    def prepare(self, estimator: Any, columns: ColumnSurvey, *, is_sparse: bool, prior_counts: float) -> Self:
        n_features = len(columns.mean)
        if self.n_factors >= n_features:
            raise ValueError(f"n_factors={self.n_factors} must be less than the number of features, {n_features}.")
        prepared = super().prepare(estimator, columns, is_sparse=is_sparse, prior_counts=prior_counts)
        return replace(prepared, units=self._common(prepared.units))

    def _common(self, units: Units) -> Units:
        """Give features with equal noise variances one unit."""
        if not self.isotropic:
            return units
        return Units(units.location, np.full(len(units.scale), np.sqrt(np.mean(units.scale**2))))

    # EM.

    def pooled_parameters(self, n_components: int) -> FactorParameters:
        S = self.pooled_covariance[np.newaxis]
        loadings, noise, on_floor = self._fitted(S)
        return FactorParameters.of_factors(
            np.tile(self.pooled_mean, (n_components, 1)),
            np.tile(loadings, (n_components, 1, 1)),
            np.tile(noise, (n_components, 1)),
            np.tile(on_floor, (n_components, 1)),
        )

    def _fitted(self, S: FloatArray, start: FactorParameters | None = None) -> tuple[FloatArray, FloatArray, Array]:
        """Fit loadings and noise variances to covariances (K, d, d); also say which noise variances are at their floors."""
        variances = np.diagonal(S, axis1=1, axis2=2)
        if self.isotropic or start is None:
            floor = _at_most(np.array([[noise_floor(own)] for own in variances]), start)
            loadings, noise = self._by_eigenvectors(S, floor)
        if not self.isotropic:
            floor = _at_most(_FLOOR * positive_or_one(variances), start)
            if start is not None:
                loadings, noise = start.loadings, start.noise
            noise = np.maximum(noise, _START if start is None else floor)
            for _ in range(_FIRST_STEPS if start is None else _INNER_STEPS):
                loadings, noise = px_em_step(S, loadings, noise, floor)
        on_floor = noise <= floor
        return *at_best_scale(S, loadings, noise, isotropic=self.isotropic), np.broadcast_to(on_floor, variances.shape)

    def _by_eigenvectors(self, S: FloatArray, floor: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The closed-form maxima of probabilistic PCA, by eigenvectors."""
        values, vectors = leading_pairs(S, self.n_factors)
        rest = np.maximum(np.trace(S, axis1=1, axis2=2) - values.sum(axis=1), 0.0)
        mean = np.zeros(S.shape[1])
        models = [
            closed_form(Spectrum(*own), mean, self.n_factors, float(least))
            for *own, least in zip(values, vectors, rest, floor[:, 0], strict=True)
        ]
        return np.stack([model.loadings for model in models]), np.stack([model.noise for model in models])

    def maximize(self, statistics: GaussianSums) -> FactorParameters:
        """Exact for equal noise (Tipping and Bishop 1999), steps of PX-EM and the best scale for unequal noise."""
        means, S = self._moments(statistics)
        start = statistics.frame
        assert isinstance(start, FactorParameters)
        loadings, noise, on_floor = self._fitted(start.factors @ S @ start.factors.transpose(0, 2, 1), start)
        return FactorParameters.of_factors(means, align_loadings(loadings, start.loadings), noise, on_floor)

    def _noise(self, parameters: FactorParameters) -> FloatArray:
        """Noise variances: one for each component, or one for each of its features."""
        return parameters.noise[:, :1] if self.isotropic else parameters.noise

    def pack(self, parameters: FactorParameters) -> FloatArray:
        """Means, loadings, and logarithms of noise variances."""
        return np.concatenate(
            [parameters.means.ravel(), parameters.loadings.ravel(), np.log(self._noise(parameters)).ravel()]
        )

    def unpack(self, vector: FloatArray, like: FactorParameters) -> FactorParameters | None:
        moved = vector - self.pack(like)
        sizes = np.cumsum([like.means.size, like.loadings.size])
        means, loadings, log_noise = np.split(moved, sizes)
        K = len(like.means)
        return like.moved_by(means.reshape(K, -1), loadings.reshape(like.loadings.shape), log_noise.reshape(K, -1))

    # The end of a fit.

    def n_directions(self, parameters: FactorParameters) -> int:
        _, d, k = parameters.loadings.shape
        return d + d * k + (1 if self.isotropic else d)

    def score(self, parameters: FactorParameters, statistics: GaussianSums) -> FloatArray:
        of_structure = self._of_structure(parameters)
        return np.stack([of_structure(own, c) for c, own in enumerate(super().score(parameters, statistics))])

    def row_scores(self, parameters: FactorParameters, observations: GaussianRows) -> Iterator[FloatArray]:
        of_structure = self._of_structure(parameters)
        for c, scores in enumerate(super().row_scores(parameters, observations)):
            yield of_structure(scores, c)

    def _of_structure(self, parameters: FactorParameters) -> Callable[[FloatArray, int], FloatArray]:
        """A function from scores (..., P) along means and free covariances, and a component, to those along directions."""
        d = parameters.means.shape[1]

        def of_structure(scores: FloatArray, component: int) -> FloatArray:
            U = parameters.inverses[component]
            of_covariance = U.T @ unpack_symmetric(scores[..., d:], d) @ U / np.sqrt(2.0)
            of_loadings = 2.0 * of_covariance @ parameters.loadings[component]
            of_noise = parameters.free_noise[component] * np.diagonal(of_covariance, axis1=-2, axis2=-1)
            if self.isotropic:
                of_noise = of_noise.sum(axis=-1, keepdims=True)
            return np.concatenate([scores[..., :d], of_loadings.reshape(*scores.shape[:-1], -1), of_noise], axis=-1)

        return of_structure

    def latent_information(
        self, parameters: FactorParameters, observations: GaussianRows, weights: FloatArray
    ) -> FloatArray:
        """The missing entries' information, minus the part of the complete data's from the factors' second derivatives."""
        d = parameters.means.shape[1]
        slopes = parameters.slopes(isotropic=self.isotropic)
        sums = self.observe(parameters, observations, np.zeros(len(weights))).accumulate(weights)
        excess = sums.second - sums.counts[:, np.newaxis, np.newaxis] * np.eye(d)
        pseudo = self.pseudo_rows(len(weights))
        if pseudo is not None and self.total_weight:  # these rows' share of the prior's curvature
            nothing = replace(sums, counts=np.zeros(len(weights)), second=np.zeros_like(excess))
            of_prior = with_pseudo_rows(nothing, pseudo).second - pseudo.divisor * np.eye(d)
            excess += weights.sum() / self.total_weight * of_prior
        of_missing = super().latent_information(parameters, observations, weights)
        P = self.n_directions(parameters)
        total = np.zeros((len(weights), P, P))
        if of_missing is not None:
            for c, L in enumerate(pack_slopes(slopes)):
                total[c] = _along(_along(of_missing[c], L).T, L)
        total[:, d:, d:] -= curvature(parameters, excess, slopes)
        return total

    def metric(self, parameters: FactorParameters, statistics: GaussianSums, counts: FloatArray) -> FactorMetric:
        pseudo, free = self.pseudo_rows(len(counts)), (counts > 0.0) & ~parameters.held
        of_means = np.where(free, statistics.counts + (0.0 if pseudo is None else pseudo.counts), 0.0)
        of_covariances = np.where(free, self._divisors(statistics), 0.0)
        return FactorMetric.at(parameters, of_means, of_covariances, isotropic=self.isotropic)

    def moved(self, parameters: FactorParameters, direction: FloatArray) -> FactorParameters | None:
        K, d, k = parameters.loadings.shape
        of_means, of_loadings, of_noise = np.split(direction, [d, d + d * k], axis=1)
        means = np.einsum("kij,kj->ki", parameters.factors, of_means)
        return parameters.moved_by(means, of_loadings.reshape(K, d, k), of_noise)

    # Several runs at once.

    def select(self, parameters: FactorParameters, components: Array, n_runs: int) -> FactorParameters:
        p = parameters
        return FactorParameters(
            *(own[components] for own in (p.means, p.factors, p.bounds, p.loadings, p.noise)),
        )

    # What users see.

    def axes(self, n_components: int, n_features: int) -> tuple[list[tuple[str, int]], ...]:
        components, features = [("n_components", n_components)], [("n_features", n_features)]
        loadings = [*components, *features, ("n_factors", self.n_factors)]
        return components + features, loadings, components if self.isotropic else components + features

    def standard(self, parameters: FactorParameters) -> tuple[FloatArray, ...]:
        scale = self.units.scale
        means = self.units.location + scale * parameters.means
        noise = scale**2 * parameters.noise
        loadings = canonical(scale[:, np.newaxis] * parameters.loadings, noise)
        return means, loadings, noise[:, 0] if self.isotropic else noise

    def standard_changes(self, parameters: FactorParameters, directions: FloatArray) -> tuple[FloatArray, ...]:
        # Of loadings of the same size another one may be the largest after a step, and change the signs.
        own = with_signs_of(self.standard(parameters)[1], parameters.loadings)

        def without_jumps(moved: FactorParameters) -> tuple[FloatArray, ...]:
            means, loadings, noise = self.standard(moved)
            return means, with_signs_of(loadings, own), noise

        return differences(self, parameters, directions, without_jumps)

    @property
    def directions(self) -> dict[str, tuple[str, str]]:
        return {"loadings": ("factors", "")}

    def natural(self, standard: tuple[FloatArray, ...]) -> FactorParameters:
        means, loadings, noise = standard
        scale = self.units.scale
        noise = np.broadcast_to(noise[:, np.newaxis] if self.isotropic else noise, means.shape) / scale**2
        means = (means - self.units.location) / scale
        return FactorParameters.of_factors(means, loadings / scale[:, np.newaxis], noise, np.zeros(noise.shape, dtype=bool))

    def of_covariances(self, covariances: FloatArray, name: str) -> tuple[FloatArray, FloatArray]:
        """Maximum-likelihood loadings and noise variances for covariances (K, d, d), in the data's units."""
        scale = self.units.scale
        axes = self.axes(len(covariances), len(scale))[0]
        check_shapes((name,), "", (covariances,), ([*axes, axes[1]],))
        check_covariances(covariances, name, [f" of component {c}" for c in range(len(covariances))])
        loadings, noise, _ = self._fitted(covariances / scale / scale[:, np.newaxis])
        noise = noise * scale**2
        return loadings * scale[:, np.newaxis], noise[:, 0] if self.isotropic else noise

    def check_standard(self, standard: tuple[FloatArray, ...], suffix: str = "") -> None:
        for name, values in zip(self.attribute_names[:2], standard, strict=False):
            if not np.isfinite(values).all():
                raise ValueError(f"{name}{suffix} must be finite.")
        if not (np.isfinite(standard[2]).all() and (standard[2] > 0.0).all()):
            raise ValueError(f"noise_variances{suffix} must be positive.")

    def _variances(self, standard: tuple[FloatArray, ...]) -> FloatArray:
        _, loadings, noise = standard
        return np.asarray((loadings**2).sum(axis=2) + (noise[:, np.newaxis] if self.isotropic else noise))

    def of_fitted(
        self, weights: FloatArray, standard: tuple[FloatArray, ...], *, is_sparse: bool, exposure: float = 1.0
    ) -> Self:
        known = super().of_fitted(weights, standard, is_sparse=is_sparse, exposure=exposure)
        return replace(known, units=self._common(known.units))

    def n_parameters(self, n_components: int) -> int:
        d = len(self.units.scale)
        count = count_parameters if self.isotropic else n_factor_parameters
        return n_components * int(count(d, self.n_factors))

    def failures(self, estimator: Any, parameters: FactorParameters) -> Iterator[str]:
        constant = np.diag(self.pooled_covariance) == 0.0
        yield from degenerate_covariances(estimator, _singular(parameters), constant)
        yield from heywood_cases(estimator, self._heywood(parameters))

    def is_heywood(self, parameters: FactorParameters) -> bool:
        return bool(self._heywood(parameters).any())

    def _heywood(self, parameters: FactorParameters) -> Array:
        """Which noise variances (K, d) are at their floors, if the feature varies and the component has not collapsed."""
        near_floor = parameters.noise <= _NEAR_FLOOR * np.diagonal(parameters.covariances, axis1=1, axis2=2)
        varies = np.diag(self.pooled_covariance) > 0.0
        return near_floor & ~_singular(parameters) & varies & (not self.isotropic)

    def sample(
        self,
        standard: tuple[FloatArray, ...],
        labels: Array,
        random_state: np.random.RandomState,
        like: Matrix | None = None,
    ) -> FloatArray:
        means, loadings, noise = standard
        deviations = np.sqrt(np.broadcast_to(noise[:, np.newaxis] if self.isotropic else noise, means.shape))
        z = random_state.normal(size=(len(labels), loadings.shape[2], 1))
        e = random_state.normal(size=(len(labels), means.shape[1]))
        return np.asarray(means[labels] + (loadings[labels] @ z)[:, :, 0] + deviations[labels] * e)


def _singular(parameters: FactorParameters) -> Array:
    """Which features (K, d) belong to covariances that a bound holds."""
    return (parameters.bounds > 0.0) & parameters.held[:, np.newaxis]


def _at_most(floor: FloatArray, start: FactorParameters | None) -> FloatArray:
    """Lower the floors to the current noise variances, since steps to a higher floor would lose likelihood."""
    floor = np.maximum(floor, LEAST_NOISE)
    return floor if start is None else np.clip(start.noise, np.maximum(_LOWEST * floor, LEAST_NOISE), floor)


def _along(scores: FloatArray, slopes: FloatArray) -> FloatArray:
    """Project scores (..., P) of means and free covariances onto directions of the structure."""
    d = scores.shape[-1] - len(slopes)
    return np.concatenate([scores[..., :d], scores[..., d:] @ slopes], axis=-1)
