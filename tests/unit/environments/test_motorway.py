"""The road in words, by hand; and highway-env's road behind it."""

import json

import numpy as np
import pytest

from strop.environments.drive import HOLD, NUM_NUMBERS, WHEEL, Drive, Gap, Lane, Scene, require_highway, scene_of
from strop.types import End, Task

# lane 1 of 0 to 2, 24 m/s, aiming at 25. Ahead: 25 m at 20 m/s, and behind it one that is hidden by it; behind: 15 m at
# 24.5 m/s. On the left: one 4 m ahead, 5 m/s faster. On the right: nobody within 100 m.
CARS = [(1, 25.0, 20.0), (1, 50.0, 10.0), (1, -15.0, 24.5), (0, 4.0, 29.0), (2, 180.0, 20.0), (2, -101.0, 30.0)]
HAND_MADE = scene_of(1, 24.0, 25.0, CARS)
ROAD = Task("1", "", data={"scene": 7, "turns": 3, "cars": 5})


def test_a_scene_in_words():
    assert str(HAND_MADE).split("\n") == [
        "speed 25 aim 25",
        "left ahead beside then close behind clear then clear",
        "here ahead near then close behind close then close",
        "right ahead clear then clear behind clear then clear",
    ]
    # the gap ahead grows by their speed less ours, the gap behind by ours less theirs: in two seconds the gaps are
    # 25 - 2 x 4 = 17, 15 - 2 x 0.5 = 14 and, on the left, 4 + 2 x 5 = 14 metres
    assert HAND_MADE.lanes[1] == Lane(Gap(25.0, -4.0), Gap(15.0, -0.5))


def test_a_lane_that_is_not_there_is_a_wall_and_every_text_is_as_long():
    edges = [scene_of(lane, 20.0, 20.0, CARS) for lane in (0, 2)]
    assert str(edges[0]).split("\n")[1] == "left ahead wall then wall behind wall then wall"
    assert str(edges[1]).split("\n")[3] == "right ahead wall then wall behind wall then wall"
    assert {len(str(one).split()) for one in (HAND_MADE, *edges)} == {31}


@pytest.mark.parametrize(
    ("metres", "word"),
    [
        (0.0, "beside"),
        (5.9, "beside"),
        (6.0, "tight"),
        (12.0, "close"),
        (24.0, "near"),
        (40.0, "far"),
        (60.0, "distant"),
        (79.9, "distant"),
        (80.0, "clear"),
    ],
)
def test_a_border_belongs_to_the_word_above_it(metres, word):
    assert str(Gap(metres)) == f"{word} then {word}"


def test_the_second_word_of_a_gap_is_two_seconds_later():
    assert str(Gap(30.0, -3.1)) == "near then close"  # 23.8 m
    assert str(Gap(30.0, -3.0)) == "near then near"  # 24 m
    assert str(Gap(30.0, 5.0)) == "near then far"  # 40 m
    assert str(Gap(10.0, -9.0)) == "tight then beside"  # it is passed by then


def test_the_numbers_are_what_the_words_are_made_of():
    # speeds by 30 m/s; of each lane whether it is there, and of each gap metres by 100 and m/s by 10
    left, here, right = [1, 0.04, 0.5, 1, 0], [1, 0.25, -0.4, 0.15, -0.05], [1, 1, 0, 1, 0]
    assert json.loads(HAND_MADE.numbers) == pytest.approx([0.8, 25 / 30, *left, *here, *right], abs=1e-6)
    assert len(json.loads(HAND_MADE.numbers)) == NUM_NUMBERS
    for scene in (HAND_MADE, scene_of(0, 30.0, 30.0, CARS), scene_of(2, 0.0, 20.0, [])):
        assert str(Scene.of_numbers(scene.numbers)) == str(scene)


def test_a_drive_ends_by_the_clock_or_by_a_crash_and_its_seed_is_its_scene():
    pytest.importorskip("highway_env")
    env = Drive(ROAD, np.random.default_rng(0))
    first = env.start()
    assert {HOLD} < set(first.choices) <= set(WHEEL)
    steps = [env.step(text) for text in ("faster", "zzz", "")]
    env.close()
    assert [step.end for step in steps] == [None, None, End.TRUNCATED]
    assert [step.data for step in steps] == [{"crashed": False}] * 3
    assert all(2 / 3 <= step.reward <= 1.0 for step in steps)  # no crash; speed and lane add up to a third
    again = Drive(ROAD, np.random.default_rng(9))
    assert (again.start(), again.step("faster")) == (first, steps[0])
    again.close()


def test_who_never_brakes_crashes():
    pytest.importorskip("highway_env")
    env = Drive(Task("1", "", data={"scene": 7, "turns": 40, "density": 2.0}), np.random.default_rng(0))
    env.start()
    step = env.step("faster")
    while step.end is None:
        step = env.step("faster")
    env.close()
    assert (step.end, step.data) == (End.TERMINATED, {"crashed": True})
    assert step.reward <= 1 / 3


def test_bad_tasks_and_a_missing_package_are_refused(monkeypatch):
    for data in ({"turns": 0}, {"turns": 3, "tells": "pictures"}):
        with pytest.raises(ValueError, match="1 turn at least, and tells words or numbers"):
            Drive(Task("1", "", data=data), np.random.default_rng(0))

    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr("strop.environments.drive.importlib.import_module", missing)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "strop\[drive\]"'):
        require_highway("it")
