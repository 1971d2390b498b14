"""Driving: the rule by hand, and a step of both stages on each kind of policy."""

from dataclasses import replace

import numpy as np
import pytest

import strop
from strop.environments.drive import WHEEL, scene_of
from strop.recipes import drive
from strop.recipes.drive import ARRIVES, CONTEXT, TURNS, WORDS, recipe, rule
from strop.runs.progress import Progress
from strop.types import Observation, Task

TASK = Task("1", "")


def does(lane, cars, choices=WHEEL):
    """What the rule does, which is the same of words and of numbers."""
    scene = scene_of(lane, 25.0, 25.0, cars)
    found = {
        rule(TASK, Observation(text, choices, 0, np.random.default_rng(0))) for text in (str(scene), scene.numbers)
    }
    (one,) = found
    return one


def test_the_rule_goes_where_most_room_is():
    slow = (1, 25.0, 25.0)  # near
    assert does(1, [slow, (0, 50.0, 25.0)]) == "right"  # far on the left, clear on the right
    assert does(1, [slow, (2, 50.0, 25.0)]) == "left"
    assert does(1, [slow]) == "right"  # as much on both sides
    assert does(0, [(0, 25.0, 25.0)]) == "right"  # a wall on the left
    assert does(2, [(2, 25.0, 25.0)]) == "left"
    assert does(1, [slow, (0, 39.0, 25.0), (2, 39.0, 25.0)]) == "hold"  # no more room than here
    assert does(1, [slow, (0, 70.0, 10.0)]) == "right"  # 70 - 2 x 15 = 40 m: far, and not distant
    assert does(1, [slow, (0, 70.0, 10.0), (2, 60.0, 25.0)]) == "right"


def test_the_rule_changes_to_no_lane_where_a_car_is_beside_now_or_in_two_seconds():
    slow = (1, 25.0, 25.0)
    assert does(1, [slow, (2, -5.9, 25.0)]) == "left"
    assert does(1, [slow, (2, -6.0, 25.0)]) == "right"
    assert does(1, [slow, (2, -15.0, 30.0)]) == "left"  # 15 - 2 x 5 = 5 m
    assert does(1, [slow, (2, -5.9, 20.0)]) == "left"  # it falls behind, and is still there
    assert does(1, [slow, (2, -3.0, 25.0), (0, 3.0, 25.0)]) == "hold"


def test_the_rule_drives_fast_where_there_is_room_and_brakes_where_there_is_none():
    assert does(1, []) == "faster"
    assert does(1, [], ("left", "hold", "right", "slower")) == "hold"  # as fast as it can
    walls = [(0, 3.0, 25.0), (2, 3.0, 25.0)]
    assert does(1, [*walls, (1, 40.0, 25.0)]) == "faster"
    assert does(1, [*walls, (1, 39.9, 25.0)]) == "hold"
    assert does(1, [*walls, (1, 50.0, 19.9)]) == "hold"  # 50 - 2 x 5.1 = 39.8 m
    assert does(1, [*walls, (1, 12.0, 25.0)]) == "hold"
    assert does(1, [*walls, (1, 11.9, 25.0)]) == "slower"
    assert does(1, [*walls, (1, 11.9, 40.0)]) == "slower"  # 41.9 m in two seconds, and 11.9 m now
    assert does(1, [*walls, (1, 30.0, 15.9)]) == "slower"  # 30 - 2 x 9.1 = 11.8 m
    assert does(1, [*walls, (1, 11.9, 25.0)], ("left", "hold", "right", "faster")) == "hold"  # as slow as it can


def test_the_vocabulary_has_every_word_once_and_the_context_every_scene():
    assert len(set(WORDS)) == len(WORDS)
    for lane in range(3):
        for metres in (5.0, 10.0, 15.0, 25.0, 40.0, 70.0, 80.0):
            for speed in (0.0, 40.0):
                words = str(scene_of(lane, speed, 30.0, [(lane, metres, 20.0)])).split()
                assert set(words) <= set(WORDS)
                assert len(words) == CONTEXT - 1


def test_who_arrives_earns_what_counts_as_success_and_who_crashes_early_does_not():
    assert TURNS * 2 / 3 > ARRIVES
    # twelve perfect turns, then a crash at the highest speed in the rightmost lane
    assert ARRIVES > 12 * 1.0 + 1 / 3


def test_scenes_of_training_and_held_out_are_apart(monkeypatch):
    pytest.importorskip("highway_env")
    config = recipe(teacher="none", seed=3)
    train, held_out = ({task.data["scene"] for task in tasks} for tasks in (config.tasks, config.held_out))
    assert not train & held_out
    assert {task.data["density"] for task in config.held_out} == {1.0}
    other = {task.data["scene"] for task in recipe(teacher="none", seed=4).tasks}
    assert not train & other


@pytest.mark.parametrize("policy", ["scratch", "mlp"])
def test_it_imitates_the_rule_and_then_drives(policy, tmp_path, monkeypatch):
    pytest.importorskip("highway_env")
    monkeypatch.setattr(drive, "NUM_TAUGHT", 1)
    monkeypatch.setattr(drive, "TURNS", 2)
    stages = recipe(policy)
    assert [stage.name for stage in stages] == ["imitate", "drive"]
    assert sum(stage.config.minutes for stage in stages) == pytest.approx(10.0)
    small = [
        replace(
            stage,
            config=replace(
                stage.config, steps=1, prompts_per_step=2, held_out=stage.config.held_out[:1], baselines={"rule": rule}
            ),
        )
        for stage in stages
    ]
    run = strop.train(small, tmp_path / "run", progress=Progress.silent())
    assert run.path.name == "2-drive"
    assert not [episode.error for episode in run.episodes() if episode.error]
    assert {turn.text for episode in run.episodes() for turn in episode.turns} <= set(WHEEL)
    assert "held_out/gold/safe" in run.metrics()[-1]
