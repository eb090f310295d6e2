"""A column of a single value, whichever it is, changes nothing of the others; told by comparing values."""

import numpy as np
import pytest

from skentropy import PPCA, ExponentialFamilyMixture, FactorAnalysis
from skentropy.decomposition import kmo

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def table(value, *, gaps):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 6)) + rng.normal(size=(300, 6))
    X = np.column_stack([X, np.full(300, value)])
    if gaps:
        X[np.arange(4), np.arange(4)] = np.nan
    return X


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize(
    "model",
    [
        PPCA(1),
        FactorAnalysis(1),
        FactorAnalysis(1, solver="em"),
        ExponentialFamilyMixture("gaussian", 2, random_state=0),
    ],
    ids=lambda model: " ".join(repr(model).split()),
)
def test_a_shift_of_a_constant_column_changes_no_likelihood(model, gaps):
    if gaps and isinstance(model, FactorAnalysis):
        model.set_params(solver="auto")
    found = [model.fit(table(value, gaps=gaps)).lower_bound_ for value in (0.0, 1.0, 3.3, -0.1, 3.3e8)]
    np.testing.assert_allclose(found, found[0], rtol=1e-8)


@pytest.mark.parametrize("rotation", ["varimax", "quartimax", "promax", "oblimin", "geomin"])
def test_a_constant_column_turns_no_other(rotation):
    X = table(3.3, gaps=False)
    without = FactorAnalysis(2, rotation=rotation).fit(X[:, :6])
    beside = FactorAnalysis(2, rotation=rotation).fit(X)
    np.testing.assert_allclose(beside.components_[:, :6], without.components_, atol=1e-5)
    with_gaps = FactorAnalysis(2, rotation=rotation, tol=1e-12).fit(table(3.3, gaps=True))
    np.testing.assert_allclose(
        with_gaps.components_[:, :6],
        FactorAnalysis(2, rotation=rotation, tol=1e-12).fit(table(3.3, gaps=True)[:, :6]).components_,
        atol=1e-3,
    )


def test_indices_and_correlations_of_rows_with_gaps_name_constant_columns():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 1)) + rng.normal(size=(80, 6))
    X[:, 2] = 3.3
    X[rng.random(X.shape) < 0.1] = np.nan
    with pytest.raises(ValueError, match="Indices of fit need columns that vary, but column 2 is constant"):
        FactorAnalysis(1).fit(X).goodness_of_fit(X)
    with pytest.raises(ValueError, match="Correlations need columns that vary, but column 2 is constant"):
        kmo(X)
