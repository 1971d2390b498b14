"""The pole in words: its boxes by hand, and a step of training on each kind of policy."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

import strop
from strop.recipes.control import WORDS, follow, in_words, lean, recipe, stood
from strop.runs.progress import Progress
from strop.types import End, Episode, Observation, Task

TASK = Task("1", "")


def told(place=0.0, speed=0.0, degrees=0.5, turning=0.0):
    return in_words(np.array([place, speed, math.radians(degrees), math.radians(turning)]))


def seen(text):
    return Observation(text, ("left", "right"), 0, np.random.default_rng(0))


def test_the_words_are_the_boxes():
    assert told() == "cart middle rolls slowly\npole leans right little turns slowly"
    assert told(-1.0, 0.6, -7.0, -51.0) == "cart left rolls right\npole leans left far turns left"
    assert told(0.81, -0.6, 3.0, 51.0) == "cart right rolls left\npole leans right some turns right"
    grid = [
        told(place, speed, degrees, turning)
        for place in (-1, 0, 1)
        for speed in (-1, 0, 1)
        for degrees in (-9, -3, -0.5, 0.5, 3, 9)
        for turning in (-60, 0, 60)
    ]
    assert len(set(grid)) == 162  # Michie and Chambers 1968
    assert {word for text in grid for word in text.split()} <= set(WORDS)
    assert len(set(WORDS)) == len(WORDS)


def test_rules_read_words_and_numbers_alike():
    falls = [0.0, 0.0, math.radians(-2.0), math.radians(60.0)]  # leans left, and turns right fast
    for text in (in_words(falls), json.dumps(falls)):
        assert (lean(TASK, seen(text)), follow(TASK, seen(text))) == ("left", "right")
    assert follow(TASK, seen(told(degrees=-0.5))) == "left"


def test_to_stand_is_to_be_stopped_by_the_clock():
    ends = {end: stood(TASK, Episode("1", TASK, 0, (), (), end)) for end in (End.TRUNCATED, End.TERMINATED)}
    assert ends == {End.TRUNCATED: 1.0, End.TERMINATED: 0.0}


@pytest.mark.parametrize("policy", ["scratch", "table", "vector"])
def test_each_policy_trains_a_step(policy, tmp_path):
    pytest.importorskip("gymnasium")
    config = recipe(policy)
    config = replace(config, steps=1, group_size=2, held_out=config.held_out[:1], baselines={"lean": lean})
    run = strop.train(config, tmp_path / "run", progress=Progress.silent())
    assert not [episode.error for episode in run.episodes() if episode.error]
    assert {turn.text for episode in run.episodes() for turn in episode.turns} <= {"left", "right"}
    longest = max(len(turn.prompt) for episode in run.episodes() for turn in episode.turns)
    assert longest == {"scratch": 10, "table": 10, "vector": 4}[policy]  # each state alone
