"""What holds for every estimator and all data: invariances, equivariances, hostile input, many fits in a row and at once."""

from __future__ import annotations

import gc
import sys
import threading
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from sklearn.utils import get_tags

from skentropy import (
    PPCA,
    BernoulliVAE,
    DirichletMixture,
    ExponentialFamilyMixture,
    FactorAnalysis,
    GammaMixture,
    GaussianVAE,
    PoissonMixture,
    PoissonVAE,
    SigmoidBeliefNet,
    VonMisesFisherMixture,
)
from tests.common.estimators import ESTIMATORS, EstimatorCase

every = pytest.mark.parametrize("name", sorted(ESTIMATORS))
few = settings(
    max_examples=4, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def case_of(name: str) -> tuple[EstimatorCase, Any]:
    case = ESTIMATORS[name]
    return case, case.X[:120]


@every
@few
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0.05, 0.95))
def test_rows_may_be_shuffled_split_and_doubled(name: str, seed: int, share: float) -> None:
    case, X = case_of(name)
    rng = np.random.default_rng(seed)
    weight = rng.integers(1, 4, size=len(X)).astype(float)
    fit = case.make().fit(X, sample_weight=weight)
    order = rng.permutation(2 * len(X))
    pieces = np.concatenate([share * weight, (1.0 - share) * weight])[order]
    for other in (
        case.make().fit(np.vstack([X, X])[order], sample_weight=pieces),
        case.make().fit(np.repeat(X, weight.astype(int), axis=0)),
    ):
        assert other.lower_bound_ == pytest.approx(fit.lower_bound_, rel=1e-7)
        np.testing.assert_allclose(other.score_samples(X), fit.score_samples(X), rtol=1e-4, atol=1e-4)
        assert other.entropy_sum_.value == pytest.approx(fit.entropy_sum_.value, rel=1e-6)


EQUIVARIANT = {
    "GammaMixture": lambda: GammaMixture(2, tol=1e-10, random_state=0),
    "gaussian": lambda: ExponentialFamilyMixture("gaussian", 2, tol=1e-10, random_state=0),
    "log_normal": lambda: ExponentialFamilyMixture("log_normal", 2, tol=1e-10, random_state=0),
    "PPCA": lambda: PPCA(2),
    "FactorAnalysis": lambda: FactorAnalysis(2),
    "FactorAnalysis-em": lambda: FactorAnalysis(2, solver="em", tol=1e-12),
}


@pytest.mark.parametrize("name", sorted(EQUIVARIANT))
@few
@given(logs=npst.arrays(float, 5, elements=st.floats(-12.0, 12.0)))
def test_units_change_densities_by_their_jacobian(name: str, logs: Any) -> None:
    X = np.abs(ESTIMATORS["PPCA"].X[:120, [0, 3, 4, 6, 12]])
    scale = np.exp(logs[:1] if name == "PPCA" else logs)
    fit, other = EQUIVARIANT[name]().fit(X), EQUIVARIANT[name]().fit(X * scale)
    jacobian = np.log(np.broadcast_to(scale, 5)).sum()
    assert other.lower_bound_ + jacobian == pytest.approx(fit.lower_bound_, abs=1e-6)
    assert other.entropy_sum_.value + jacobian == pytest.approx(fit.entropy_sum_.value, abs=1e-5)


# Hostile input.

ENTRIES = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True, allow_subnormal=True),
    st.sampled_from([0.0, -0.0, 1.0, 5e-324, 1e-310, 1e-160, 1e18, 1e300, np.inf, -np.inf, np.nan]),
    st.integers(0, 10**15).map(float),
)
TABLES = npst.arrays(float, st.tuples(st.integers(0, 7), st.integers(0, 4)), elements=ENTRIES)
MAKERS = {
    "PoissonMixture": lambda: PoissonMixture(2, max_iter=20, random_state=0),
    "GammaMixture": lambda: GammaMixture(2, max_iter=20, random_state=0),
    "DirichletMixture": lambda: DirichletMixture(2, max_iter=20, random_state=0),
    "VonMisesFisherMixture": lambda: VonMisesFisherMixture(2, max_iter=20, random_state=0),
    "von_mises": lambda: ExponentialFamilyMixture("von_mises", 2, max_iter=20, random_state=0),
    "bernoulli": lambda: ExponentialFamilyMixture("bernoulli", 2, max_iter=20, random_state=0),
    "gaussian": lambda: ExponentialFamilyMixture("gaussian", 2, max_iter=20, random_state=0),
    "PPCA": lambda: PPCA(1),
    "PPCA-em": lambda: PPCA(1, solver="em", max_iter=20, random_state=0),
    "FactorAnalysis": lambda: FactorAnalysis(1),
    "FactorAnalysis-em": lambda: FactorAnalysis(1, solver="em", max_iter=20, random_state=0),
    "SigmoidBeliefNet": lambda: SigmoidBeliefNet(2, max_iter=5, random_state=0),
    "GaussianVAE": lambda: GaussianVAE(1, hidden_layer_sizes=(8,), max_iter=3, random_state=0),
    "GaussianVAE-diag": lambda: GaussianVAE(1, covariance_type="diag", reg_covar=0.0, max_iter=3, random_state=0),
    "GaussianVAE-codes": lambda: GaussianVAE(1, prior="laplace", hidden_layer_sizes=(), max_iter=5),
    "GaussianVAE-heteroscedastic": lambda: GaussianVAE(
        1,
        covariance_type="heteroscedastic",
        reg_covar=0.0,
        prior="laplace",
        hidden_layer_sizes=(8,),
        max_iter=3,
        random_state=0,
    ),
    "BernoulliVAE": lambda: BernoulliVAE(1, hidden_layer_sizes=(8,), max_iter=3, random_state=0),
    "PoissonVAE": lambda: PoissonVAE(1, hidden_layer_sizes=(8,), max_iter=3, random_state=0),
}


@pytest.mark.parametrize("name", sorted(MAKERS))
@settings(few, max_examples=25)
@given(X=TABLES)
def test_hostile_tables_fit_or_are_refused(name: str, X: Any) -> None:
    model = MAKERS[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.fit(X)
        except ValueError:
            return
        assert np.isfinite([model.lower_bound_, model.entropy_sum_.value]).all()
        assert np.isfinite(model.score_samples(X)).all()


@every
@pytest.mark.parametrize(
    "X",
    [
        np.array([["a", "b"], ["c", "d"]]),
        np.array([[1.0, None], [2.0, "x"]], dtype=object),
        np.zeros((3, 2, 2)),
        np.ones((3, 2)) + 1j,
        np.zeros((0, 2)),
        np.zeros((3, 0)),
        5.0,
        None,
    ],
    ids=["text", "objects", "three dimensions", "complex", "no rows", "no columns", "number", "None"],
)
def test_what_is_no_table_is_refused(name: str, X: Any) -> None:
    model = ESTIMATORS[name].make()
    if get_tags(model).input_tags.string and isinstance(X, np.ndarray) and X.dtype.kind in "OU":
        X = X[:, :, np.newaxis]  # to whoever takes names it is one
    with pytest.raises((ValueError, TypeError)):
        model.fit(X)


# Many fits.


@pytest.mark.filterwarnings("ignore")
def test_a_thousand_fits_in_a_row_leave_no_memory_behind() -> None:
    def fit_all(turns: int) -> tuple[int, int]:
        """Blocks that Python holds, and bytes that the process does, after so many fits of every estimator."""
        for _ in range(turns):
            for case in ESTIMATORS.values():
                case.make(max_iter=1).fit(case.X[:40])
        gc.collect()
        return sys.getallocatedblocks(), psutil.Process().memory_info().rss

    psutil = pytest.importorskip("psutil", reason="of the extra dask")
    early = fit_all(8)
    late = fit_all(32)
    assert len(ESTIMATORS) * 40 >= 1000
    assert late[0] - early[0] < 600
    assert late[1] - early[1] < 1.2e6


@every
def test_ten_fits_at_once_are_ten_fits(name: str) -> None:
    case, X = case_of(name)
    alone = case.make().fit(X).score_samples(X)
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(case.make().fit(X).score_samples(X))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 10
    # NumPy 1 takes one of two loops for exp, by where its arrays lie in memory: they differ in the last digit.
    rtol = 1e-13 if np.__version__.startswith("1.") else 0.0
    for scores in found:
        np.testing.assert_allclose(scores, alone, rtol=rtol)
