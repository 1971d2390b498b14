"""The sum tree and prioritised replay: sampling of turns, the weights that correct for it, and resuming."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import strop
from exact.build import episode, turn
from strop.memory import Prioritised
from strop.memory.sum_tree import SumTree
from strop.types import Draw, Episode


def walks(n: int, num_turns: int = 1, first: int = 0) -> list[Episode]:
    return [episode(*(turn((i, t), (t,)) for t in range(num_turns)), id=f"e{i}") for i in range(first, first + n)]


def held(errors: list[float], num_turns: int = 1, **fields: Any) -> Prioritised:
    """A memory whose turn i has the error errors[i]."""
    memory = Prioritised.Config(**({"alpha": 1.0, "floor": 1e-12} | fields)).build()
    memory.add(walks(len(errors) // num_turns, num_turns))
    everything = tuple(
        strop.Pick(one, t) for one in walks(len(errors) // num_turns, num_turns) for t in range(num_turns)
    )
    memory.feedback(everything, torch.tensor(errors, dtype=torch.float64))
    return memory


def names(draw: Draw) -> list[str]:
    return [pick.episode.id for pick in draw]


# ------------------------------------------------------------ the tree


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9])
def test_a_tree_holds_the_sum_and_finds_each_share(size: int) -> None:
    leaves = np.arange(1, size + 1, dtype=np.float64)  # whole numbers: sums are exact
    tree = SumTree(leaves)
    assert tree.total == size * (size + 1) / 2
    edges = np.concatenate([[0], leaves.cumsum()])
    for i in range(size):
        assert tree.find(edges[i]) == i
        assert tree.find(np.nextafter(edges[i + 1], 0)) == i
        assert tree[i] == i + 1


def test_the_root_stays_the_sum_through_many_changes() -> None:
    rng = np.random.default_rng(0)
    tree, slow = SumTree(np.zeros(11)), np.zeros(11)
    for _ in range(2000):
        i, number = int(rng.integers(11)), float(rng.random() * 10.0 ** rng.integers(-9, 9))
        tree[i] = slow[i] = number
    assert tree.total == pytest.approx(slow.sum(), rel=1e-15)
    assert np.array_equal(tree.leaves, slow)
    assert SumTree(tree.leaves).total == tree.total  # built anew: the same bits


def test_a_leaf_of_zero_is_never_found() -> None:
    tree = SumTree(np.array([0.0, 2.0, 0.0, 1.0, 0.0]))
    assert {tree.find(mass) for mass in np.linspace(0.0, 3.0, 50)} == {1, 3}  # also past the end, by rounding


# ------------------------------------------------------------ the distribution


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_turns_are_drawn_by_the_power_of_their_priority(alpha: float) -> None:
    # chi-square of 8000 single draws over 5 turns: 4 degrees of freedom, 18.5 is passed once in a thousand
    errors = [1.0, 4.0, 9.0, 0.25, 2.0]
    memory = held(errors, alpha=alpha, size=1, num_draws=8000)
    count = Counter(names(draw)[0] for draw in memory.draws(np.random.default_rng(0)))
    mass = np.array(errors) ** alpha
    expected = 8000 * mass / mass.sum()
    chi_square = sum((count[f"e{i}"] - n) ** 2 / n for i, n in enumerate(expected))
    assert chi_square < 18.5


def test_a_draw_takes_one_from_each_equal_share() -> None:
    # masses 4, 2, 1, 1: of 8 picks exactly 4, 2, 1, 1, whatever the dice say
    memory = held([4.0, 2.0, 1.0, 1.0], size=8, num_draws=20)
    for draw in memory.draws(np.random.default_rng(1)):
        assert Counter(names(draw)) == {"e0": 4, "e1": 2, "e2": 1, "e3": 1}


def test_weights_by_hand() -> None:
    # P = .5, .25, .125, .125 of N = 4: (N P)^-1 = .5, 1, 2, 2, over the largest: .25, .5, 1, 1; beta .5: the root
    for beta, expected in ((1.0, [0.25, 0.5, 1.0, 1.0]), (0.5, [0.5, 0.5**0.5, 1.0, 1.0]), (0.0, [1.0] * 4)):
        memory = held([4.0, 2.0, 1.0, 1.0], size=8, beta=beta)
        (draw,) = memory.draws(np.random.default_rng(1))
        for pick in draw:
            assert pick.weight == pytest.approx(expected[int(pick.episode.id[1])])


def test_weights_correct_for_the_uneven_sampling() -> None:
    # beta 1, all turns in one draw: the exact mean of w f over P, over that of w, is the uniform mean of f
    errors, f = np.array([3.0, 0.1, 7.0, 1.0, 0.5]), np.array([2.0, -1.0, 5.0, 11.0, 0.3])
    memory = held(list(errors), size=600, beta=1.0)
    (draw,) = memory.draws(np.random.default_rng(0))  # the rarest turn has 5 of 600 picks
    weight = {int(pick.episode.id[1]): pick.weight for pick in draw}
    w, distribution = np.array([weight[i] for i in range(5)]), errors / errors.sum()
    assert (distribution * w * f).sum() / (distribution * w).sum() == pytest.approx(f.mean())
    assert (distribution * w * 3.0).sum() / (distribution * w).sum() == pytest.approx(3.0)


def test_beta_reaches_one_with_the_draws() -> None:
    memory = held([3.0, 1.0], size=4, num_draws=3, beta=strop.schedules.Linear(start=0.0, end=1.0, steps=2))
    draws = list(memory.draws(np.random.default_rng(0)))
    for draw, beta in zip(draws, (0.0, 0.5, 1.0), strict=True):
        weights = [pick.weight for pick in draw if pick.episode.id == "e0"]
        assert weights == pytest.approx([(1 / 3) ** beta] * 3)


def test_new_turns_get_the_largest_priority_seen() -> None:
    memory = held([5.0, 1.0], size=1)
    memory.add(walks(1, first=2))
    leaves = memory.state_dict()["leaves"].tolist()
    assert leaves == pytest.approx([5.0, 1.0, 5.0])
    memory.feedback((strop.Pick(walks(1)[0], 0),), torch.tensor([0.5]))  # the past peak still counts
    memory.add(walks(1, first=3))
    assert memory.state_dict()["leaves"].tolist() == pytest.approx([0.5, 1.0, 5.0, 5.0])


def test_a_turn_without_error_keeps_the_floor_and_can_come_back() -> None:
    # p = 0 + .04 and .96 + .04: at alpha .5 the leaves are .2 and 1, so that one of six picks is the first turn's
    memory = held([0.0, 0.96], alpha=0.5, floor=0.04, size=6)
    assert memory.state_dict()["leaves"].tolist() == pytest.approx([0.2, 1.0])
    (draw,) = memory.draws(np.random.default_rng(0))
    assert Counter(names(draw)) == {"e0": 1, "e1": 5}


def test_the_largest_priority_holds_the_floor_and_the_power() -> None:
    # largest p = 3.5 + .5; at alpha .5 a new turn's leaf is 2; before any error it is 1
    memory = held([3.5], alpha=0.5, floor=0.5)
    memory.add(walks(1, first=1))
    assert memory.state_dict()["leaves"].tolist() == [2.0, 2.0]
    fresh = Prioritised.Config(alpha=0.5).build()
    fresh.add(walks(2))
    assert fresh.state_dict()["leaves"].tolist() == [1.0, 1.0]


def test_draws_begin_exactly_at_the_warm_up() -> None:
    memory = Prioritised.Config(size=2, warmup=3).build()
    memory.add(walks(1, 2))
    assert list(memory.draws(np.random.default_rng(0))) == []
    memory.add(walks(1, 1, first=1))
    assert len(list(memory.draws(np.random.default_rng(0)))) == 1


def test_old_episodes_leave_with_their_priorities() -> None:
    memory = held([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], num_turns=2, capacity=5)
    memory.add(walks(1, 2, first=3))
    assert memory.held() == ["e1", "e2", "e3"]  # 6 turns; without e1 only 4 would stay, less than 5
    assert memory.state_dict()["leaves"].tolist() == pytest.approx([3.0, 4.0, 5.0, 6.0, 6.0, 6.0])
    memory.feedback((strop.Pick(walks(1, 2, first=2)[0], 1),), torch.tensor([9.0]))
    assert memory.state_dict()["leaves"].tolist() == pytest.approx([3.0, 4.0, 5.0, 9.0, 6.0, 6.0])


def test_stale_episodes_leave_with_their_priorities() -> None:
    memory = held([1.0, 2.0, 3.0, 4.0], num_turns=2, max_staleness=3)  # of version 0
    memory.add([replace(walks(1, 2, first=2)[0], version=3)])
    assert memory.held() == ["e0", "e1", "e2"]
    memory.add([replace(walks(1, 2, first=3)[0], version=4)])
    assert memory.held() == ["e2", "e3"]
    assert memory.state_dict()["leaves"].tolist() == pytest.approx([4.0] * 4)


def test_episodes_that_fill_the_capacity_exactly_push_the_older_ones_out() -> None:
    memory = Prioritised.Config(capacity=4).build()
    memory.add([*walks(3, 2), episode(id="empty")])
    assert memory.held() == ["e1", "e2"]  # 4 turns of 4; an episode without a turn is not held
    assert memory.state_dict()["leaves"].tolist() == [1.0] * 4


def test_picks_end_with_the_episode_and_warm_up_delays_draws() -> None:
    memory = Prioritised.Config(size=20, n_step=2, warmup=4).build()
    memory.add(walks(1, 3))
    assert list(memory.draws(np.random.default_rng(0))) == []
    memory.add(walks(1, 3, first=1))
    (draw,) = memory.draws(np.random.default_rng(0))
    assert {(pick.turn, pick.length) for pick in draw} == {(0, 2), (1, 2), (2, 1)}


def test_an_algorithm_without_priorities_is_refused_with_advice() -> None:
    memory = held([1.0])
    (draw,) = memory.draws(np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"returns a priority.*Replay\.Config"):
        memory.feedback(draw, None)


@pytest.mark.parametrize(("field", "value"), [("size", 0), ("alpha", -1.0), ("floor", 0.0)])
def test_impossible_settings_are_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"memory\.{field}"):
        Prioritised.Config(**{field: value})


# ------------------------------------------------------------ resume


def test_a_loaded_memory_continues_bit_for_bit() -> None:
    def on(memory: Prioritised, rng: np.random.Generator, steps: range) -> list[Draw]:
        seen = []
        for step in steps:
            memory.add(walks(2, 3, first=2 * step))
            for draw in memory.draws(rng):
                memory.feedback(draw, torch.tensor([0.1 + (0.37 * i + step) % 1.7 for i in range(len(draw))]))
                seen.append(draw)
        return seen

    config = Prioritised.Config(capacity=13, size=5, num_draws=2)
    memory = config.build()
    on(memory, np.random.default_rng(0), range(6))
    state, again = memory.state_dict(), config.build()
    again.load_state_dict(state, {one.id: replace(one) for one in walks(12, 3)})
    assert on(memory, np.random.default_rng(7), range(6, 12)) == on(again, np.random.default_rng(7), range(6, 12))
    a, b = memory.state_dict(), again.state_dict()
    assert torch.equal(a.pop("leaves"), b.pop("leaves"))
    assert a == b
