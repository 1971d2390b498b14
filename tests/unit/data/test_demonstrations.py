"""What a player does in an environment, as played episodes."""

import pytest

import strop.data.demonstration
from strop.data import demonstrations
from strop.environments import GridWorld
from strop.recipes._game_players import perfect_gridworld
from strop.types import End, Step, Task

MAP = Task("1", "", data={"map": ["@#G", "..."], "turns": 9})


def test_a_perfect_walk_is_what_stands_in_the_data():
    (found,) = demonstrations(GridWorld, perfect_gridworld, [MAP])
    assert found.prompt == "@ # G\n. . ."  # the walk goes around the wall
    turns = found.data["played"]
    assert [turn["text"] for turn in turns] == ["down", "right", "right", "up"]
    assert [turn["reward"] for turn in turns] == pytest.approx([-0.04, -0.04, -0.04, 0.96])
    assert [turn["choices"] for turn in turns] == [["down"], ["up", "right"], ["left", "right"], ["up", "left"]]
    assert turns[0]["reply"] == ". # G\n@ . ."
    assert turns[0]["replaces"]
    assert found.data["end"] == "terminated"
    assert found.data["map"] == MAP.data["map"]


def test_time_that_runs_out_is_told():
    short = Task("1", "", data={"map": ["@#G", "..."], "turns": 9})
    (found,) = demonstrations(GridWorld, lambda task, seen: seen.choices[0], [short])
    assert len(found.data["played"]) == 9
    assert found.data["end"] == "truncated"


def test_the_same_seed_plays_the_same():
    def by_dice(task, seen):
        return seen.choices[int(seen.rng.integers(len(seen.choices)))]

    first, again, other = (demonstrations(GridWorld, by_dice, [MAP] * 5, seed) for seed in (1, 1, 2))
    assert first == again != other


def test_a_bad_action_names_task_and_choices():
    with pytest.raises(ValueError, match=r"task 1: the player did 'fly', and an action is one of 'down'"):
        demonstrations(GridWorld, lambda task, seen: "fly", [MAP])


class Failing:
    """An environment that fails, or never ends."""

    def __init__(self, task, rng):
        self.end = End.FAILED if task.data.get("fails") else None

    def start(self):
        return "say"

    def step(self, text):
        return Step("say", 0.0, self.end)

    def close(self):
        pass


def test_an_episode_that_fails_or_never_ends_is_an_error():
    def say(task, seen):
        return "a"

    with pytest.raises(ValueError, match="task 2: the environment failed"):
        demonstrations(Failing, say, [Task("2", "", data={"fails": True})])
    with pytest.raises(ValueError, match=r"has not ended after 10,000 turns"):
        demonstrations(Failing, say, [Task("3", "")])


def test_a_policy_that_imitates_the_walk_walks_it(tmp_path):
    config = strop.TrainConfig(
        policy=strop.policies.Table.Config(words=["@", "#", "G", ".", "up", "down", "left", "right"]),
        tasks=demonstrations(GridWorld, perfect_gridworld, [MAP]),
        held_out=[MAP],
        environment=GridWorld,
        algorithm=strop.algorithms.SFT.Config(optimizer=strop.optimizer.AdamW(lr=0.5), end=False),
        memory=strop.memory.Dataset.Config(size=1),
        sampling=strop.Sampling(max_tokens=1),
        judgement="greedy",
        steps=20,
    )
    run = strop.train(config, tmp_path / "run", progress=False)
    assert run.metrics()[-1]["held_out/reward"] == pytest.approx(1.0 - 4 * 0.04)


def test_no_module_takes_the_place_of_a_public_name():
    for name in strop.data.__all__:
        assert callable(getattr(strop.data, name)), name
        assert callable(getattr(strop.data, name)), name  # loading it once has not replaced it
