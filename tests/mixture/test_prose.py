"""What all mixtures share is said in the same words in each of them."""

from __future__ import annotations

import inspect
import re

import pytest

from skentropy import mixture
from skentropy.mixture._base import BaseMixture

FACES = [face for face in vars(mixture).values() if inspect.isclass(face) and issubclass(face, BaseMixture)]
# Arguments of ``BaseMixture`` that mean something else in some mixtures, and are explained there.
OWN = {"init_params", "prior_counts", "n_starts"}
SHARED = sorted(set(inspect.signature(BaseMixture.__init__).parameters) - {"self"} - OWN)


def prose(face: type) -> dict[str, str]:
    """What the docstring of an estimator says of each argument."""
    section = (inspect.getdoc(face) or "").split("Parameters\n----------\n")[1].split("\n\n")[0]
    entries = re.split(r"\n(?! )", section)
    return {entry.split(" : ")[0]: " ".join(entry.split()) for entry in entries}


@pytest.mark.parametrize("name", SHARED)
def test_shared_arguments_are_explained_in_the_same_words(name: str) -> None:
    words = {prose(face)[name] for face in FACES}
    assert len(words) == 1, "\n".join(sorted(words))


def test_there_are_faces_and_arguments_to_compare() -> None:
    assert len(FACES) >= 7
    assert {"tol", "max_iter", "n_init", "random_state"} <= set(SHARED)
