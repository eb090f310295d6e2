"""Where EM starts: seeds, and short runs that compete."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.datasets import load_breast_cancer, load_digits, load_wine

from skentropy import ExponentialFamilyMixture, GaussianMixture
from skentropy._data import Block
from skentropy._typing import FloatArray
from skentropy.families import FAMILIES
from skentropy.mixture._draw import draw
from skentropy.mixture._exchanges import losses, posterior, propose, search, share_anew, split_another, take_neighbours
from skentropy.mixture._independent import Independent
from skentropy.mixture._model import MixtureModel
from skentropy.mixture._seed_rows import SmoothedRows
from skentropy.mixture._seeding import initial_parameters, kmeans_plusplus, random_rows
from skentropy.mixture._short_runs import ShortRuns
from tests.common.cases import CASES


def problem(name: str, prior_counts: float = 0.0) -> tuple[Any, Block, np.random.RandomState]:
    """A model and rows of a family, with gaps, weights and, where the family knows them, exposures."""
    rng, case = np.random.RandomState(0), CASES[name]
    exposure = rng.uniform(0.5, 2.0, size=60) if case.family.additive and name == "poisson" else None
    X = case.draw(60, 3, rng, exposure)
    X[rng.uniform(size=X.shape) < 0.1] = np.nan
    block = Block(X, rng.exponential(size=60), exposure, 0)
    components = Independent(case.family, prior_counts=prior_counts)
    assert block.weight is not None
    components = components.with_pooled(components.summarize(components.read(block), block.weight))
    return MixtureModel(components), block, rng


@pytest.mark.parametrize("prior_counts", [0.0, 1.5])
@pytest.mark.parametrize("name", list(CASES))
def test_runs_side_by_side_are_plain_em(name: str, prior_counts: float) -> None:
    model, block, rng = problem(name, prior_counts)
    q = rng.dirichlet(np.ones(2), size=(3, 60)).transpose(0, 2, 1)
    together = ShortRuns(model, block, model.components.read(block), q)
    reached, gains, _ = together._run(6)
    for run in range(3):
        alone = ShortRuns(model, block, model.components.read(block), q[[run]])
        parameters, objectives = alone._parameters, []
        for _ in range(7):
            statistics = model.expect(parameters, block)
            objectives.append(model.elbo(statistics) + model.log_prior(parameters, statistics))
            before, parameters = parameters, model.maximize(statistics)
        parameters = before
        np.testing.assert_allclose(together.objectives()[run], objectives[6], rtol=1e-10)
        np.testing.assert_allclose(reached[run], objectives[6], rtol=1e-10)
        np.testing.assert_allclose(gains[run], objectives[6] - objectives[3], rtol=1e-6, atol=1e-11)
        mine = together._of_runs([run])
        np.testing.assert_allclose(mine.components.eta, parameters.components.eta, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(mine.log_weights, parameters.log_weights, rtol=1e-8)


@pytest.mark.parametrize("name", list(CASES))
def test_seeds_of_many_runs(name: str) -> None:
    model, block, rng = problem(name)
    rows = SmoothedRows(model.components.family, model.components.read(block), model.components.pooled)
    assert block.weight is not None
    weight = np.where(np.arange(60) < 50, block.weight, 0.0)
    for choose in (kmeans_plusplus, random_rows):
        seeds = choose(rows, weight, (20, 5), rng)
        assert seeds.shape == (20, 5)
        assert seeds.max() < 50
        assert all(len(set(run)) == 5 for run in seeds.tolist())
    # Direct sums of relative entropies: seeds of k-means++ lie apart.
    apart, anywhere = (
        np.mean([rows.divergences(rows.seeds(run)).min(axis=0) @ weight for run in choose(rows, weight, (20, 5), rng)])
        for choose in (kmeans_plusplus, random_rows)
    )
    assert apart < anywhere


def test_random_rows_are_drawn_by_their_weights() -> None:
    weight = np.array([1.0, 2.0, 5.0, 0.0])
    block = Block(np.arange(4.0)[:, np.newaxis], weight, None, 0)
    model: Any = MixtureModel(Independent(FAMILIES["gaussian"](), pooled=np.array([[1.5], [3.5]])))
    rows = SmoothedRows(model.components.family, model.components.read(block), model.components.pooled)
    drawn = random_rows(rows, weight, (40_000, 2), np.random.RandomState(0))
    np.testing.assert_allclose(np.bincount(drawn[:, 0], minlength=4) / 40_000, weight / 8.0, atol=0.01)
    np.testing.assert_allclose(np.mean(drawn[drawn[:, 0] == 2, 1] == 1), 2.0 / 3.0, atol=0.02)


def test_a_run_that_collapses_loses() -> None:
    """A component on equal values has a likelihood without bound: higher, but no maximum."""
    rng = np.random.RandomState(0)
    X = np.concatenate([np.full(12, 1.0), rng.normal(0.0, 1.0, size=40), rng.normal(6.0, 1.0, size=40)])[:, np.newaxis]
    model: Any = MixtureModel(Independent(FAMILIES["gaussian"](), pooled=np.stack([X.mean(axis=0), (X**2).mean(axis=0)])))
    block = Block(X, None, None, 0)
    onto_equal_values = np.stack([np.arange(92) < 12, np.arange(92) >= 12])
    regular = np.stack([X[:, 0] < 3.0, X[:, 0] >= 3.0])
    for starts in ([onto_equal_values, regular], [regular, onto_equal_values]):
        runs = ShortRuns(model, block, model.components.read(block), np.stack(starts).astype(float))
        runs.race()
        best = runs.best()
        assert model.components.family.moments(best.components.eta)[1].min() > 0.1


def test_a_component_moves_from_where_two_share_a_group_to_where_one_has_two() -> None:
    """EM itself, which multiplies responsibilities, leaves them there."""
    rng = np.random.RandomState(0)
    X = np.concatenate([rng.normal(mean, 1.0, size=(60, 2)) for mean in (-9.0, 0.0, 9.0)])
    group = np.repeat(np.arange(3), 60)
    model: Any = MixtureModel(Independent(FAMILIES["gaussian"](), pooled=np.stack([X.mean(axis=0), (X**2).mean(axis=0)])))
    block = Block(X, None, None, 0)
    observations = model.components.read(block)
    rows = model.components.seed_rows(block, observations)
    start = np.stack([group < 2, (group == 2) & (X[:, 0] < 9.0), (group == 2) & (X[:, 0] >= 9.0)]).astype(float)
    for n_proposals, groups in ((0, 2), (4, 3)):
        runs = ShortRuns(model, block, observations, start[np.newaxis])
        parameters = search(runs, rows, np.ones(180), n_proposals, np.random.RandomState(0))
        means = model.components.family.moments(parameters.components.eta)[0][:, 0]
        assert len(set(np.rint(means / 9.0))) == groups


def moves_of(name: str, move: Any, n: int) -> tuple[FloatArray, FloatArray, Any, FloatArray]:
    """Log joint densities of four components, the responsibilities after moves, rows as seeds, and their weights."""
    model, block, rng = problem(name)
    observations = model.components.read(block)
    q = rng.dirichlet(np.ones(4), size=60).T
    log_joint = ShortRuns(model, block, observations, q[np.newaxis]).log_joint()
    rows = model.components.seed_rows(block, observations)
    assert block.weight is not None
    moved = move(log_joint, rows, block.weight, n, rng)
    assert moved.shape == (n, 4, 60)
    np.testing.assert_allclose(moved.sum(axis=1), 1.0, rtol=1e-12)
    return log_joint, moved, rows, block.weight


@pytest.mark.parametrize("name", list(CASES))
def test_a_component_shares_the_rows_of_another(name: str) -> None:
    log_joint, moved, _, _ = moves_of(name, split_another, 30)
    for proposal in moved:
        # No row is of both components that share; the others follow the posterior without the one that moved.
        shared = [(a, b) for a in range(4) for b in range(a) if not (proposal[a] * proposal[b]).any()]
        (a, b), *more = shared
        assert not more
        rest = [c for c in range(4) if c not in (a, b)]
        split = a if np.allclose(softmax(log_joint[[*rest, a]], axis=0)[:2], proposal[rest]) else b
        expected = softmax(log_joint[[*rest, split]], axis=0)
        np.testing.assert_allclose(proposal[rest], expected[:2], rtol=1e-9)
        np.testing.assert_allclose(proposal[a] + proposal[b], expected[2], rtol=1e-9)
        assert proposal[a].any()


@pytest.mark.parametrize("name", list(CASES))
def test_two_components_share_their_rows_anew(name: str) -> None:
    """The others keep their responsibilities."""
    log_joint, moved, _, _ = moves_of(name, share_anew, 30)
    q = softmax(log_joint, axis=0)
    for proposal in moved:
        (a, b) = (c for c in range(4) if not np.allclose(proposal[c], q[c], rtol=1e-9))
        assert not (proposal[a] * proposal[b]).any()
        assert proposal[a].any()
        assert proposal[b].any()
        np.testing.assert_allclose(proposal[a] + proposal[b], q[a] + q[b], rtol=1e-9)


@pytest.mark.parametrize("name", list(CASES))
def test_a_component_takes_a_row_and_its_neighbours(name: str) -> None:
    """The nearest rows, of 0.1 to 0.6 times the weight of an average component."""
    log_joint, moved, rows, weight = moves_of(name, take_neighbours, 30)
    shares = []
    for proposal in moved:
        (mover,) = (c for c in range(4) if set(np.unique(proposal[c])) <= {0.0, 1.0})
        inside = proposal[mover] == 1.0
        rest = [c for c in range(4) if c != mover]
        np.testing.assert_allclose(proposal[rest][:, ~inside], softmax(log_joint[rest], axis=0)[:, ~inside], rtol=1e-9)
        assert not proposal[rest][:, inside].any()
        # There is a row from which no other row is nearer than those.
        centres = np.flatnonzero(inside)
        divergences = rows.divergences(rows.seeds(centres))
        divergences[np.arange(len(centres)), centres] = 0.0
        farthest, beyond = divergences[:, inside].max(axis=1), divergences[:, ~inside].min(axis=1)
        assert (farthest <= beyond + 2.0 * rows.rounding.max()).any()
        shares.append(weight[inside].sum() / (weight.sum() / 4.0))
    assert np.min(shares) > 0.1
    assert np.mean(shares) < 0.6 or name in ("bernoulli", "categorical")  # whose rows are often equal


def test_centres_are_drawn_by_their_weights_and_the_share_is_uniform() -> None:
    n = 1000
    rows, weight = Points(np.arange(float(n)) ** 1.5), np.where(np.arange(n) < n // 2, 1.0, 3.0)
    log_joint = np.log(np.full((4, n), 0.25))
    moved = take_neighbours(log_joint, rows, weight, 4000, np.random.RandomState(0))
    np.testing.assert_allclose(moved.sum(axis=1), 1.0)
    taken = np.where(moved == 1.0, weight, 0.0).sum(axis=2).max(axis=1)
    assert taken.min() >= 0.1 * 500
    assert taken.max() < 0.6 * 500 + 3.0
    np.testing.assert_allclose(taken.mean(), 0.35 * 500, rtol=0.02)
    middle = np.array([np.median(np.flatnonzero((proposal == 1.0).any(axis=0))) for proposal in moved])
    np.testing.assert_allclose(np.mean(middle > n // 2), 0.75, atol=0.03)


def test_components_that_overlap_share_their_rows_anew_more_often() -> None:
    q = np.array([[0.5, 0.5, 0.0, 0.1], [0.5, 0.3, 0.0, 0.0], [0.0, 0.2, 1.0, 0.9]])
    weight = np.array([1.0, 2.0, 1.0, 3.0])
    with np.errstate(divide="ignore"):
        log_joint = np.log(q)
    moved = share_anew(log_joint, Points([0.0, 1.0, 3.0, 7.0]), weight, 20_000, np.random.RandomState(0))
    kept = [np.isclose(moved[:, c], q[c]).all(axis=1).mean() for c in range(3)]  # the third, where the other two share
    overlap = np.array([(q[a] * q[b]) @ weight for a, b in ((1, 2), (0, 2), (0, 1))])
    np.testing.assert_allclose(kept, overlap / overlap.sum(), atol=0.01)
    apart = np.log(np.array([[1.0, 1.0, 1e-300, 1e-300], [1e-300, 1e-300, 1.0, 1.0]]))
    moved = share_anew(apart, Points([0.0, 1.0, 3.0, 7.0]), weight, 10, np.random.RandomState(0))
    np.testing.assert_array_equal(moved.sum(axis=1), 1.0)
    assert set(np.unique(moved)) == {0.0, 1.0}


def test_proposals_are_of_all_kinds() -> None:
    rows, weight = Points(np.arange(40.0)), np.ones(40)
    log_joint = np.log(np.random.RandomState(0).dirichlet(np.ones(3), size=40).T)
    for n, of_each in ((1, (1, 0, 0)), (2, (1, 1, 0)), (8, (3, 3, 2)), (16, (6, 5, 5))):
        moved = propose(log_joint, rows, weight, n, np.random.RandomState(0))
        random_state = np.random.RandomState(0)
        kinds = [take_neighbours, share_anew, split_another]
        parts = [kind(log_joint, rows, weight, m, random_state) for kind, m in zip(kinds, of_each, strict=True) if m]
        np.testing.assert_array_equal(moved, np.concatenate(parts))


@pytest.mark.parametrize("name", list(CASES))
def test_a_challenge_replaces_a_run_by_a_better_one_alone(name: str) -> None:
    """The run that is left neither moves nor falls if none wins."""
    model, block, rng = problem(name)
    observations = model.components.read(block)
    runs = ShortRuns(model, block, observations, rng.dirichlet(np.ones(3), size=(4, 60)).transpose(0, 2, 1))
    runs.race()
    objectives = [runs.objectives()[0]]
    for _ in range(6):
        before = runs._parameters
        won = runs.challenge(rng.dirichlet(np.ones(3), size=(3, 60)).transpose(0, 2, 1))
        objectives.append(runs.objectives()[0])
        if won:
            assert objectives[-1] > objectives[-2] + 1e-5
        else:
            assert runs._parameters is before
            np.testing.assert_allclose(objectives[-1], objectives[-2], rtol=1e-12)
    lost = runs.challenge(np.tile(posterior(runs.log_joint()), (2, 1, 1)))
    assert not lost or runs.objectives()[0] > objectives[-1] + 1e-5


def test_a_challenger_that_collapses_loses() -> None:
    rng = np.random.RandomState(0)
    X = np.concatenate([np.full(12, 1.0), rng.normal(0.0, 1.0, size=40), rng.normal(6.0, 1.0, size=40)])[:, np.newaxis]
    model: Any = MixtureModel(Independent(FAMILIES["gaussian"](), pooled=np.stack([X.mean(axis=0), (X**2).mean(axis=0)])))
    block = Block(X, None, None, 0)
    runs = ShortRuns(model, block, model.components.read(block), np.stack([X[:, 0] < 3.0, X[:, 0] >= 3.0])[np.newaxis] * 1.0)
    assert not runs.challenge(np.stack([np.arange(92) < 12, np.arange(92) >= 12])[np.newaxis].astype(float))
    assert model.components.family.moments(runs.best().components.eta)[1].min() > 0.1


def test_what_a_component_is_worth() -> None:
    log_joint = np.log(np.random.RandomState(0).uniform(size=(3, 20)))
    weight = np.random.RandomState(1).exponential(size=20)
    p = np.exp(log_joint)
    expected = [np.log(p.sum(axis=0) / np.delete(p, c, axis=0).sum(axis=0)) @ weight for c in range(3)]
    np.testing.assert_allclose(losses(log_joint, weight), expected, rtol=1e-12)


TABLES: dict[str, tuple[Any, int]] = {
    "inverse_gaussian": (load_wine().data, 4),
    "gaussian": (load_breast_cancer().data, 4),
    "poisson": (load_digits().data[:500, 2:14], 5),
    "bernoulli": ((load_digits().data[:500, 2:30] > 7) * 1.0, 4),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", list(TABLES))
def test_default_fits_find_the_best_known_maximum(family: str) -> None:
    """From one start apiece about a third of them do."""
    X, n_components = TABLES[family]
    fits = [ExponentialFamilyMixture(family, n_components, random_state=seed).fit(X).lower_bound_ for seed in range(8)]
    best = ExponentialFamilyMixture(family, n_components, n_starts=64, random_state=8).fit(X).lower_bound_
    assert np.mean(np.array(fits) > max(best, *fits) - 1e-3) >= 0.75


def test_draws_are_as_frequent_as_their_weights() -> None:
    weight = np.array([[0.0, 1.0, 0.0, 3.0, 0.0], [2.0, 0.0, 1.0, 1.0, 0.0]])
    drawn = draw(weight, 20_000, np.random.RandomState(0))
    assert drawn.shape == (2, 20_000)
    for own, indices in zip(weight / 4.0, drawn, strict=True):
        share = np.bincount(indices, minlength=5) / 20_000
        assert (np.abs(share - own) <= 4.0 * np.sqrt(own * (1.0 - own) / 20_000)).all()

    class Largest(np.random.RandomState):
        def uniform(self, *arguments: Any, **keywords: Any) -> Any:
            return np.ones(keywords["size"])

    np.testing.assert_array_equal(draw(weight, 2, Largest(0)), [[3, 3], [3, 3]])


class Points:
    """Points on a line as rows, with squared distances."""

    def __init__(self, positions: Any) -> None:
        self.positions = np.array(positions)
        self.rounding = np.full(len(positions), 1e-12)

    def seeds(self, rows: Any) -> Any:
        return self.positions[rows]

    def divergences(self, seeds: Any) -> Any:
        return (self.positions - seeds[:, np.newaxis]) ** 2


@pytest.mark.parametrize("positions", [[0.0, 1e-4, 2e-4, 4e-4], [3.0] * 4])
def test_no_row_is_a_seed_twice(positions: list[float]) -> None:
    """However near rows are to each other, and however little they weigh."""
    seeds = kmeans_plusplus(Points(positions), np.full(4, 1e-3), (200, 4), np.random.RandomState(0))
    np.testing.assert_array_equal(np.sort(seeds, axis=1), np.tile(np.arange(4), (200, 1)))


def test_seeds_are_drawn_by_weight_times_divergence() -> None:
    """The second of two, with as many trials as there are; Arthur and Vassilvitskii (2007)."""
    points = Points([0.0, 1.0, 3.0, 3.0])
    weight = np.array([1.0, 2.0, 1.0, 0.5])
    seeds = kmeans_plusplus(points, weight, (20_000, 2), np.random.RandomState(0))
    np.testing.assert_allclose(np.bincount(seeds[:, 0]) / 20_000, weight / 4.5, atol=0.012)
    expected = np.zeros((4, 4))
    d = points.divergences(points.positions)
    for first in range(4):
        potential = weight * d[first]
        p = potential / potential.sum()
        left = [(weight * np.minimum(d[first], d[other])).sum() for other in range(4)]
        for one in range(4):
            for other in range(4):  # the better of two trials, the first of equals
                best = one if left[one] <= left[other] else other
                expected[first, best] += weight[first] / 4.5 * p[one] * p[other]
    found = np.zeros((4, 4))
    np.add.at(found, (seeds[:, 0], seeds[:, 1]), 1.0 / 20_000)
    np.testing.assert_allclose(found, expected, atol=0.012)


def test_races_take_half_as_many_steps_more_each_time_and_forty_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    model, block, rng = problem("poisson")
    taken, own = [], ShortRuns._run

    def run(self: Any, n_steps: int) -> Any:
        taken.append(n_steps)
        objectives, gains, collapses = own(self, 2)
        return objectives, gains + 1e9, collapses  # all are still on their way: only half are given up

    monkeypatch.setattr(ShortRuns, "_run", run)
    observations = model.components.read(block)
    runs = ShortRuns(model, block, observations, rng.dirichlet(np.ones(3), size=(64, 60)).transpose(0, 2, 1))
    runs.race()
    assert taken == [10, 15, 22, 33, 40, 40]


@pytest.mark.parametrize(("n_components", "n_starts"), [(2, 32), (150, 24), (1000, 16), (1, 1)])
def test_starts_cost_so_many_multiplications_a_step_together(
    n_components: int, n_starts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2^22, with three for the features of each of 60 rows and components, and 16 for its exponential."""
    model, block, rng = problem("poisson")
    assert model.components.row_cost(3) == 3
    made = []
    monkeypatch.setattr("skentropy.mixture._seeding.ShortRuns", lambda *arguments: made.append(arguments[-1]))
    monkeypatch.setattr("skentropy.mixture._seeding.search", lambda runs, rows, weight, n_proposals, state: n_proposals)
    n_proposals = initial_parameters(model, block, n_components, "random", "auto", rng)
    assert made[0].shape == (n_starts, n_components, 60)
    np.testing.assert_allclose(made[0].sum(axis=1), 1.0, rtol=1e-12)
    assert n_proposals == min(n_components * (n_components - 1), n_starts // 2)


def test_what_a_row_costs_is_told_in_multiplications() -> None:
    """Of a vector with each natural parameter; or with a triangle and the same once more; or with powers of 40 each."""
    for model, n_features, cost in (
        (ExponentialFamilyMixture("gamma"), 7, 14),
        (GaussianMixture(), 7, 98),
        (ExponentialFamilyMixture("weibull"), 7, 280),
    ):
        assert model._get_components().row_cost(n_features) == cost


@pytest.mark.parametrize(
    ("wins", "n_rounds"), [([0] * 13, 4), ([1] * 13, 12), ([0, 1, 0, 0, 0, 0, 1], 6), ([1, 0, 0, 0, 0, 1], 5)]
)
def test_a_search_ends_with_four_rounds_that_bring_nothing(
    wins: list[int], n_rounds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Runs:
        collapses = False
        n_challenges = 0

        def race(self) -> None:
            assert not self.n_challenges

        def log_joint(self) -> Any:
            return np.full((2, 3), float(sum(wins[: self.n_challenges])))

        def challenge(self, responsibilities: Any) -> bool:
            # The proposals are moves of the best run so far.
            np.testing.assert_array_equal(responsibilities, self.log_joint()[np.newaxis])
            self.n_challenges += 1
            return bool(wins[self.n_challenges - 1])

        def best(self) -> Any:
            return "the best"

    monkeypatch.setattr("skentropy.mixture._exchanges.propose", lambda log_joint, *arguments: log_joint[np.newaxis])
    runs: Any = Runs()
    nothing: Any = None
    assert search(runs, nothing, np.ones(3), 4, np.random.RandomState(0)) == "the best"
    assert runs.n_challenges == n_rounds


@pytest.mark.parametrize(
    ("ahead", "gain", "survivors"),
    [
        ([3.0, 1.0, 5.0, 2.0, 4.0, 0.0], 1e9, [0, 2, 4]),  # half of them
        ([3.0, 1.0, 5.0, 2.0, 4.0, 0.0], 0.1996, [2]),
        ([3.0, 1.0, 5.0, 2.0, 4.0, 0.0], 0.2004, [2, 4]),
        ([3.0, 1.0, 5.0, 2.0, 4.0, 0.0], 0.3996, [2, 4]),
        ([3.0, 1.0, 5.0, 2.0, 4.0, 0.0], 0.4004, [0, 2, 4]),
        # Of those at the same maximum the first, which need not be the highest; also behind the best.
        ([1.0, 2.0, 2.0 + 9e-6, 2.0, 0.0, 0.0, 0.0, 0.0], 1e9, [0, 1, 4]),
        ([2.0, 2.0 + 11e-6, 2.0 + 22e-6, 2.0 + 31e-6, 0.0, 0.0], 1e9, [0, 1, 2]),
    ],
)
def test_runs_go_on_that_can_catch_up_and_half_of_them_at_most(
    ahead: list[float], gain: float, survivors: list[int]
) -> None:
    """Within five times the gain of their last steps."""
    assert ShortRuns._survivors(np.array(ahead), np.full(len(ahead), gain)) == survivors


def test_of_runs_that_were_given_up_the_best_replaces_one_that_collapses(monkeypatch: pytest.MonkeyPatch) -> None:
    """But not one at the same maximum."""
    model, block, _ = problem("gaussian")
    shares = np.array([0.1, 0.2, 0.3, 0.4, 0.15])
    objectives = dict(zip(shares, [-1.0, -1.5, -1.5 - 5e-6, -3.0, -1.0 - 5e-6], strict=True))
    fails: dict[int, list[float]] = {}

    def run(self: Any, n_steps: int) -> Any:
        """No steps are taken, so runs are known by their weights."""
        mine = np.rint(np.exp(self._parameters.log_weights[::2]) * 100) / 100
        reached = np.array([objectives[share] for share in mine])
        return reached, np.full(len(mine), 10.0), np.isin(mine, fails.get(n_steps, fails[0]))

    monkeypatch.setattr(ShortRuns, "_run", run)
    q = np.stack([np.stack([np.full(60, share), np.full(60, 1.0 - share)]) for share in shares])
    for late, at_once, share, winner in (
        ([], [], 0.1, 0),
        ([0.1], [], 0.2, 0),
        ([0.1, 0.2], [], 0.3, 0),
        ([], [0.1, 0.15], 0.2, 1),
        ([0.1, 0.2, 0.3], [], 0.1, 0),
        ([0.2, 0.3], [0.1, 0.15], 0.4, 1),
        ([0.2, 0.3, 0.4], [0.1, 0.15], 0.2, 1),
        ([], list(shares), 0.1, 0),
    ):
        fails[20], fails[0] = late, at_once
        runs = ShortRuns(model, block, model.components.read(block), q)
        runs.race()
        assert np.exp(runs._parameters.log_weights[0]) == pytest.approx(shares[winner])
        assert runs.collapses == (len(at_once) == 5)
        assert np.exp(runs.best().log_weights) == pytest.approx([share, 1.0 - share])
    fails[0], fails[15] = [], [0.1]  # one of the last two does, and the other does not
    runs = ShortRuns(model, block, model.components.read(block), q)
    runs.race()
    assert np.exp(runs._parameters.log_weights[0]) == pytest.approx(shares[1])
    assert not runs.collapses


def test_components_are_split_by_weight_and_move_by_what_they_are_worth() -> None:
    """Pairs that share rows are as frequent as draws by the first, and by the inverse of the second, make them."""
    rng, K, n = np.random.RandomState(0), 4, 30
    log_joint, weight = np.log(rng.dirichlet(np.ones(K), size=n).T), rng.exponential(size=n)
    moved = split_another(log_joint, Points(np.arange(n) * 1e-4), weight, 12_000, rng)
    found = np.zeros((K, K))
    for a in range(K):
        for b in range(a):
            found[a, b] = (~(moved[:, a] * moved[:, b]).any(axis=1)).mean()
    split = softmax(log_joint, axis=0) @ weight / weight.sum()
    worth = 1.0 / losses(log_joint, weight)
    each = split[:, np.newaxis] * worth / (worth.sum() - worth[:, np.newaxis])
    np.testing.assert_allclose(found, np.tril(each + each.T, -1), atol=0.015)
    assert moved.any(axis=2).all()  # however near rows are to each other


def test_rows_as_near_to_both_seeds_stay() -> None:
    log_joint = np.log(np.array([[1.0 - 1e-12] * 3, [1e-12] * 3]))  # nearly all are of the first component, which is split
    moved = split_another(log_joint, Points([0.0, 1.0, 2.0]), np.array([1.0, 0.0, 1.0]), 50, np.random.RandomState(0))
    np.testing.assert_array_equal(moved[:, 1].sum(axis=1), 1.0)
    np.testing.assert_array_equal(moved[:, 1, 1], 0.0)
    log_joint, pairs = np.tile(log_joint[:, :1], 4), Points([0.0, 1e-8, 1e-3, 1e-3 + 1e-8])
    moved = split_another(log_joint, pairs, np.ones(4), 50, np.random.RandomState(0))  # seeds are of one pair each
    np.testing.assert_array_equal(moved[:, 1].sum(axis=1), 2.0)


def test_components_that_are_worth_little_move_to_a_row_and_all_that_are_near() -> None:
    n = 40
    rng = np.random.RandomState(0)
    log_joint, weight = np.log(rng.dirichlet(np.ones(3), size=n).T), rng.exponential(size=n)
    moved = take_neighbours(log_joint, Points(1e-4 * np.arange(n)), weight, 20_000, rng)
    of_ones = np.isin(moved, [0.0, 1.0]).all(axis=2)
    np.testing.assert_array_equal(of_ones.sum(axis=1), 1)
    worth = 1.0 / losses(log_joint, weight)
    np.testing.assert_allclose(of_ones.mean(axis=0), worth / worth.sum(), atol=0.012)
    inside = (moved == 1.0).any(axis=1)
    first, last = inside.argmax(axis=1), n - 1 - inside[:, ::-1].argmax(axis=1)
    np.testing.assert_array_equal(inside.sum(axis=1), last - first + 1)  # none is left out between them


def test_rows_without_weight_are_no_seeds_of_shares() -> None:
    log_joint = np.log(np.full((2, 3), 0.5))
    moved = share_anew(log_joint, Points([0.0, 1.0, 2.0]), np.array([1.0, 0.0, 1.0]), 50, np.random.RandomState(0))
    np.testing.assert_array_equal(moved[:, :, 1].sum(axis=1), 1.0)
    np.testing.assert_array_equal(moved[:, 0, 0], 1.0 - moved[:, 0, 2])


@pytest.mark.parametrize(
    ("behind", "gain", "n_races", "wins"), [(1.0, 0.21, 2, True), (1.0, 0.19, 1, False), (0.03, -1.0, 1, False)]
)
def test_challengers_go_on_that_can_catch_up(
    behind: float, gain: float, n_races: int, wins: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within five times the gain of their last steps; those that fall cannot."""
    model, block, _ = problem("gaussian")
    runs = ShortRuns(model, block, model.components.read(block), np.full((1, 2, 60), 0.5))
    level, calls = float(runs.objectives()[0]), []

    def run(self: Any, n_steps: int) -> Any:
        calls.append(n_steps)
        n = len(self._responsibilities)
        ahead = level + (np.arange(n) * -1e-3 - behind if len(calls) == 1 else 1.0 - np.arange(n))
        return ahead, np.full(n, gain), np.zeros(n, dtype=bool)

    monkeypatch.setattr(ShortRuns, "_run", run)
    assert runs.challenge(np.full((4, 2, 60), 0.5)) == wins
    assert len(calls) == n_races
