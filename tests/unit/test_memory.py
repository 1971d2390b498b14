"""Which episodes an update gets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from exact.build import episode, turn
from strop.memory import Dataset, Fresh, Prioritised, Replay
from strop.types import Episode


def walks(n: int, num_turns: int = 3) -> list[Episode]:
    return [episode(*(turn((i, t), (t,)) for t in range(num_turns)), id=f"e{i}", group=i // 2) for i in range(n)]


def test_fresh_gives_every_episode_once_and_forgets() -> None:
    memory = Fresh()
    memory.add(walks(3))
    memory.add(walks(2))
    (draw,) = memory.draws(np.random.default_rng(0))
    assert [pick.episode.id for pick in draw] == ["e0", "e1"]
    assert draw[0].turn is None
    assert memory.held() == []


def test_fresh_draws_nothing_where_no_episode_has_a_turn() -> None:
    memory = Fresh()
    memory.add([episode()])
    assert list(memory.draws(np.random.default_rng(0))) == []


def test_replay_keeps_the_newest_turns_in_whole_episodes() -> None:
    memory = Replay.Config(capacity=7, size=4).build()
    memory.add(walks(4))
    assert memory.held() == ["e1", "e2", "e3"]  # 9 turns; without e1 only 6 would stay, less than 7
    exact = Replay.Config(capacity=6, size=4).build()
    exact.add(walks(4))
    assert exact.held() == ["e2", "e3"]  # 6 turns fill a capacity of 6


def test_replay_forgets_what_was_played_too_long_ago() -> None:
    aged = [replace(one, version=version) for one, version in zip(walks(4), (0, 3, 4, 5), strict=True)]
    for max_staleness, kept in ((None, 4), (5, 4), (2, 3), (1, 2), (0, 1)):
        memory = Replay.Config(max_staleness=max_staleness).build()
        memory.add(aged)
        assert memory.held() == [one.id for one in aged[4 - kept :]]


def test_replay_draws_every_turn_equally_often_and_cuts_windows_at_the_end() -> None:
    memory = Replay.Config(size=6000, n_step=2).build()
    memory.add(walks(2))
    (draw,) = memory.draws(np.random.default_rng(0))
    seen = {(i, t): 0 for i in range(2) for t in range(3)}
    for pick in draw:
        assert pick.length == (1 if pick.turn == 2 else 2)
        seen[int(pick.episode.id[1]), pick.turn] += 1
    assert all(abs(n - 1000) < 5 * 30 for n in seen.values())  # 5 standard deviations of a binomial(6000, 1/6)


def test_replay_waits_for_its_warm_up_and_makes_num_draws_draws() -> None:
    memory = Replay.Config(warmup=4, num_draws=3).build()
    memory.add(walks(1))
    assert list(memory.draws(np.random.default_rng(0))) == []
    memory.add(walks(1))
    assert len(list(memory.draws(np.random.default_rng(0)))) == 3


@pytest.mark.parametrize("kind", [Replay, Prioritised])
def test_per_turn_makes_num_draws_for_each_new_turn(kind: type[Replay | Prioritised]) -> None:
    memory = kind.Config(num_draws=2, per_turn=True, size=1, warmup=4).build()
    memory.add(walks(1))
    assert list(memory.draws(np.random.default_rng(0))) == []
    memory.add([*walks(1), replace(walks(1)[0], turns=())])
    assert len(list(memory.draws(np.random.default_rng(0)))) == 2 * 3
    memory.add(walks(2, num_turns=5))
    assert len(list(memory.draws(np.random.default_rng(0)))) == 2 * 10
    memory.add([])
    assert list(memory.draws(np.random.default_rng(0))) == []
    again = kind.Config(num_draws=2, per_turn=True, size=1, warmup=4).build()
    again.load_state_dict(memory.state_dict(), {one.id: one for one in [*walks(2), *walks(2, num_turns=5)]})
    assert list(again.draws(np.random.default_rng(0))) == []


def test_draws_begin_exactly_at_the_warm_up() -> None:
    memory = Replay.Config(warmup=3, size=5).build()
    memory.add(walks(1, 2))
    assert list(memory.draws(np.random.default_rng(0))) == []
    memory.add(walks(2, 1)[1:])
    (draw,) = memory.draws(np.random.default_rng(0))
    assert len(draw) == 5


def test_dataset_shows_everything_once_an_epoch_and_keeps_groups_together() -> None:
    memory = Dataset.Config(size=4).build()
    memory.add(walks(8))
    rng = np.random.default_rng(0)
    epoch = [draw for _ in range(2) for draw in memory.draws(rng)]
    assert sorted(pick.episode.id for draw in epoch for pick in draw) == [f"e{i}" for i in range(8)]
    for draw in epoch:
        groups = [pick.episode.group for pick in draw]
        assert all(groups.count(group) == 2 for group in groups)


def test_replay_holds_no_episode_without_a_turn() -> None:
    memory = Replay.Config().build()
    memory.add([episode(id="empty"), *walks(1)])
    assert memory.held() == ["e0"]


def test_dataset_ignores_known_episodes_and_those_without_turns() -> None:
    memory = Dataset.Config(size=3, num_draws=2).build()
    for _ in range(2):  # the second time nothing is new
        memory.add([*(replace(one, group=i) for i, one in enumerate(walks(3))), episode(id="empty", group=7)])
    draws = list(memory.draws(np.random.default_rng(0)))
    assert [sorted(pick.episode.id for pick in draw) for draw in draws] == [["e0", "e1", "e2"]] * 2


def test_dataset_without_an_episode_draws_nothing() -> None:
    assert list(Dataset.Config().build().draws(np.random.default_rng(0))) == []


def test_dataset_shuffles_each_epoch_anew() -> None:
    memory = Dataset.Config(size=9, num_draws=3).build()
    memory.add([replace(one, group=i) for i, one in enumerate(walks(9))])
    epochs = [tuple(pick.episode.group for pick in draw) for draw in memory.draws(np.random.default_rng(0))]
    assert len({*epochs, tuple(range(9)), tuple(reversed(range(9)))}) == 5


@pytest.mark.parametrize("kind", ["replay", "dataset"])
def test_a_memory_loaded_from_its_state_draws_the_same(kind: str) -> None:
    def make() -> Replay | Dataset:
        return (Replay.Config(capacity=9, size=3) if kind == "replay" else Dataset.Config(size=2)).build()

    memory, episodes = make(), walks(6)
    memory.add(episodes)
    rng = np.random.default_rng(0)
    list(memory.draws(rng))
    again = make()
    if kind == "dataset":
        again.add(episodes)  # the data comes from the config
    again.load_state_dict(memory.state_dict(), {one.id: replace(one) for one in episodes})
    a, b = np.random.default_rng(7), np.random.default_rng(7)
    for _ in range(4):
        assert list(memory.draws(a)) == list(again.draws(b))


def test_memory_settings_are_checked() -> None:
    with pytest.raises(ValueError, match="capacity"):
        Replay.Config(capacity=0)
    with pytest.raises(ValueError, match="size"):
        Dataset.Config(size=0)
