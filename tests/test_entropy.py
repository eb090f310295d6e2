"""The value object of the entropy sum."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from skentropy import EntropySum, PoissonMixture

TERMS = EntropySum(posterior=1.0, prior=2.0, observable=4.0, base_measure=8.0, hidden=16.0, penalty=32.0)


def test_signs_of_the_terms() -> None:
    assert TERMS.value == 1 - 2 - 16 - 4 + 8 + 32
    assert TERMS.magnitude == 63
    assert EntropySum(1.0, 2.0, 4.0).value == -5


def test_models_with_given_parameters_have_no_penalty() -> None:
    X = np.array([1.0, 2.0, 0.0, 1.0, 20.0, 22.0, 19.0])[:, np.newaxis]
    given = PoissonMixture.from_parameters([0.5, 0.5], [[1.0], [4.0]])
    assert given.entropy_sum(X).penalty == 0.0
    assert given.stationarity_gap(X) == pytest.approx(given.entropy_sum(X).value - given.score(X), rel=1e-12)
    fitted = PoissonMixture(2, prior_counts=1.0, tol=1e-2, random_state=0).fit(X)
    assert fitted.entropy_sum(X[:2]).penalty == fitted.entropy_sum_.penalty != 0.0


def test_it_prints_what_is_there() -> None:
    assert [line.split()[:2] for line in str(TERMS).splitlines()[1:]] == [
        ["+", "posterior"],
        ["-", "prior"],
        ["-", "hidden"],
        ["-", "observable"],
        ["+", "base"],
        ["+", "penalty"],
        ["=", "value"],
    ]
    short = EntropySum(1.0, 2.0, 4.0)
    assert "hidden" not in str(short)
    assert "-5.000000" in str(short)
    assert "<td>19.000000</td>" in TERMS._repr_html_()


def test_it_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        TERMS.prior = 0.0  # type: ignore[misc]
