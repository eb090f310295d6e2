"""Bessel functions against values of mpmath with fifty digits."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from skentropy.families import _bessel
from skentropy.families._bessel import LARGEST_CONCENTRATION, BesselTerms, concentration_of_length

# Dimensions d, concentration, log(I_nu k^-nu) - k with nu = d / 2 - 1, A / k, 1 - A, A'.
VALUES = [
    (2, 0.001, -0.000999750000015625, 0.4999999375000104, 0.9995000000625, 0.4999998125000521),
    (2, 0.7, -0.5810593960893982, 0.4716818421895301, 0.6698227104673289, 0.4193011152873286),
    (2, 31.9, -2.6462595138296874, 0.030852637281164354, 0.015800870730857137, 0.0004994366646966655),
    (2, 32.1, -2.649409741149544, 0.03066350121451594, 0.015701611014038403, 0.000493180225124699),
    (2, 10000.0, -5.524096218567699, 9.99949998749875e-05, 5.000125012501954e-05, 5.0002500375078146e-09),
    (2, 100000000.0, -10.129278903930855, 9.99999995e-09, 5.0000000125e-09, 5.0000000250000004e-17),
    (3, 0.5, -0.6844664980318094, 0.3279068274773057, 0.8360465862613472, 0.3173056231688307),
    (3, 100.0, -5.524108719192764, 0.0099, 0.01, 0.0001),
    (10, 20.0, -14.802364516598205, 0.03977595339327124, 0.20448093213457522, 0.009165832123084527),
    (10, 3000.0, -36.950218024893495, 0.0003328336250971431, 0.0014991247085707259, 4.994163753166612e-07),
    (66, 0.001, -103.73966922645754, 0.015151515148139146, 0.9999848484848518, 0.015151515141387134),
    (100, 40.0, -211.05627539077577, 0.00878443688004288, 0.6486225247982847, 0.006874618796622873),
    (1000, 0.1, -2951.0962884611467, 0.0009999999900199602, 0.999900000000998, 0.0009999999700598813),
    (1000, 500.0, -3337.9877868757526, 0.0008285986420275466, 0.5857006789862267, 0.0005860292220073075),
    (1000, 1000000.0, -6901.8909626710265, 9.995006245004917e-07, 0.0004993754995082497, 4.992509989074989e-10),
    (20000, 3000.0, -91807.95428603473, 4.89230442385635e-05, 0.8532308672843095, 4.6859954852498874e-05),
]


@pytest.mark.parametrize(("d", "kappa", "log_scaled", "ratio", "complement", "slope"), VALUES)
def test_values_of_mpmath(d: int, kappa: float, log_scaled: float, ratio: float, complement: float, slope: float) -> None:
    terms = BesselTerms.of(0.5 * d - 1.0, np.array(kappa))
    assert terms.log_scaled == pytest.approx(log_scaled, rel=1e-12)
    assert terms.ratio == pytest.approx(ratio, rel=1e-14)
    assert terms.complement == pytest.approx(complement, rel=1e-13)
    assert terms.slope == pytest.approx(slope, rel=1e-12)
    again = concentration_of_length(0.5 * d - 1.0, np.array(kappa * ratio), np.array(complement))
    assert again == pytest.approx(min(kappa, LARGEST_CONCENTRATION), rel=1e-12)


@pytest.mark.parametrize("order", [0.0, 0.5, 7.0, 31.5, 40.0])
def test_scipy_and_all_branches_at_once(order: float) -> None:
    kappa = np.array([1e-12, 0.3, 12.0, 31.0, 33.0, 400.0])
    terms = BesselTerms.of(order, kappa)
    scaled = special.ive(order, kappa)
    normal = scaled > 1e-300
    expected = np.log(scaled[normal]) - order * np.log(kappa[normal])
    np.testing.assert_allclose(terms.log_scaled[normal], expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(
        kappa[normal] * terms.ratio[normal], special.ive(order + 1.0, kappa[normal]) / scaled[normal], rtol=1e-12
    )
    np.testing.assert_allclose(terms.complement, 1.0 - kappa * terms.ratio, rtol=1e-11)


@pytest.mark.parametrize(("order", "n_steps"), [(0.0, 32), (2.5, 30), (31.0, 1)])
def test_recurrences_begin_at_the_first_order_whose_expansion_is_exact(
    order: float, n_steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders, expansion = [], _bessel._far
    monkeypatch.setattr(_bessel, "_far", lambda order, kappa: orders.append(order) or expansion(order, kappa))
    BesselTerms.of(order, np.array([0.0, 1.0]))
    assert orders == [order + n_steps]


@pytest.mark.parametrize("d", [2, 3, 10, 1000])
def test_concentrations_are_found_in_four_steps(d: int, monkeypatch: pytest.MonkeyPatch) -> None:
    kappa = np.geomspace(1e-9, 3e8, 1000)
    terms = BesselTerms.of(0.5 * d - 1.0, kappa)
    length = kappa * terms.ratio
    start = _bessel._start(0.5 * d - 1.0, length, terms.complement)
    exact = np.minimum(kappa, LARGEST_CONCENTRATION)
    np.testing.assert_allclose(start, exact, rtol=0.07)
    np.testing.assert_allclose(start[[0, -1]], exact[[0, -1]], rtol=1e-12)
    tried, of = [], BesselTerms.of
    monkeypatch.setattr(BesselTerms, "of", lambda order, kappa: tried.append(kappa) or of(order, kappa))
    np.testing.assert_allclose(concentration_of_length(0.5 * d - 1.0, length, terms.complement), exact, rtol=1e-13)
    assert len(tried) <= 4


@pytest.mark.parametrize("length", [0.1, 0.5, 0.9])
def test_concentrations_start_as_in_the_literature(length: float) -> None:
    """Banerjee et al. (2005), Eqn. 4.4."""
    for d in (2, 3, 40):
        expected = length * (d - length**2) / (1.0 - length**2)
        assert _bessel._start(0.5 * d - 1.0, np.array(length), np.array(1.0 - length)) == pytest.approx(expected, rel=1e-14)


def test_limits() -> None:
    """The uniform distribution, and a single direction."""
    terms = BesselTerms.of(1.5, np.zeros(2))
    np.testing.assert_allclose(terms.ratio, 0.2, rtol=1e-14)
    np.testing.assert_allclose(terms.slope, 0.2, rtol=1e-13)
    np.testing.assert_allclose(terms.log_scaled, -1.5 * np.log(2.0) - special.gammaln(2.5), rtol=1e-13)
    kappa = concentration_of_length(1.5, np.array([0.0, 1e-200, 1.0, 1.0]), np.array([1.0, 1.0, 0.0, -1e-16]))
    np.testing.assert_allclose(kappa, [0.0, 5e-200, LARGEST_CONCENTRATION, LARGEST_CONCENTRATION])
