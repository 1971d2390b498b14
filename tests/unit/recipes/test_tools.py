"""Tools: what the recipe makes, its players, its rewards, and a step of each stage on a tiny model."""

from dataclasses import replace

import numpy as np
import pytest

import strop
import tiny_hf
from strop.data.tools import tools as questions
from strop.recipes import tools
from strop.rewards import final_number, num_calls, num_failed_calls, only_number
from strop.runs.progress import Progress
from strop.types import Completion, End, Episode, Observation, Task, Turn

TASK = Task("1", "?", "5")


@pytest.fixture
def few(monkeypatch):
    for name, number in (("NUM_TRAIN", 4), ("NUM_PLAYED", 4), ("NUM_JUDGED", 2), ("MAX_TOKENS", 8)):
        monkeypatch.setattr(tools, name, number)


def episode(*texts, end=End.TERMINATED, data=()):
    said = Completion((2,), None, "stop")
    facts = data or [{}] * len(texts)
    turns = [Turn((1,), said, text, data=one) for text, one in zip(texts, facts, strict=True)]
    return Episode("e", TASK, 0, tuple(turns), () if end is End.TERMINATED else (1,), end)


@pytest.mark.parametrize(
    ("texts", "right", "exact"),
    [
        (["5"], 1.0, 1.0),
        ([" 5\n"], 1.0, 1.0),
        (["It is 5."], 1.0, 0.0),
        (["5.0"], 1.0, 0.0),
        (["6"], 0.0, 0.0),
        (["5 or 6"], 0.0, 0.0),
        (["4, 5"], 0.0, 0.0),
        ([""], 0.0, 0.0),
        (["5", "6"], 0.0, 0.0),
        (["6", "5"], 1.0, 1.0),
        ([], 0.0, 0.0),
    ],
)
def test_the_last_text_is_the_answer(texts, right, exact):
    assert (final_number(TASK, episode(*texts)), only_number(TASK, episode(*texts))) == (right, exact)


def test_what_ends_before_an_answer_earns_nothing():
    cut = episode("<tool_call>5", end=End.TRUNCATED), episode("5", end=End.TRUNCATED)
    assert [reward(TASK, one) for one in cut for reward in (final_number, only_number)] == [0.0] * 4


def test_calls_are_counted_and_earn_nothing():
    data = [{"called": True, "failed": True}, {"called": True, "failed": False}, {"called": False, "failed": False}]
    one = episode("a", "b", "5", data=data)
    assert (num_calls(TASK, one), num_failed_calls(TASK, one)) == (2.0, 1.0)
    assert final_number(TASK, one) == final_number(TASK, episode("5")) == 1.0


def test_the_scripted_player_is_never_wrong():
    for split in ("train", "development", "held_out"):
        for task in questions(split, 12):
            env, rng = strop.environments.Tools(task, np.random.default_rng(0)), np.random.default_rng(0)
            env.start()
            step, turn = strop.Step("the question"), 0
            while step.end is None:
                text = tools.scripted(task, Observation(step.text, (), turn, rng))
                step, turn = env.step(text), turn + 1
                assert not step.data["failed"]
            assert text == task.answer
            assert turn == len(task.data["calls"]) + 1


def test_who_has_no_tools_computes_to_two_digits():
    seen = Observation("?", (), 0, np.random.default_rng(0))
    (first,) = questions("train", 1)  # how many people live in a land
    assert tools.by_heart(first, seen) == first.answer
    computed = replace(first, answer="471233862", data={"calls": ['{"name": "calculator"']})
    assert tools.by_heart(computed, seen) == "470000000"


@pytest.mark.parametrize(("method", "names"), [("rl", ["sft", "rl"]), ("sft", ["sft"]), ("none", ["sft", "rl"])])
def test_the_stages_share_the_minutes_and_are_judged_on_other_questions(method, names, few):
    stages = tools.recipe("m", method, minutes=8.0)
    assert [stage.name for stage in stages] == names
    assert sum(stage.config.minutes for stage in stages) == pytest.approx(8.0)
    assert {task.id.partition("-")[0] for stage in stages for task in stage.config.held_out} == {"held_out"}
    offered = [stage.config.environment is strop.environments.Tools for stage in stages]
    assert offered == [method != "none"] * len(names)


def test_only_a_template_that_knows_tools_is_told_of_them(few):
    assert [one["function"]["name"] for one in tools.recipe("m", told="template")[0].config.policy.prompts.tools] == [
        "calculator",
        "lookup",
    ]
    assert not tools.recipe("m")[0].config.policy.prompts.tools
    assert not tools.recipe("m", "none", told="template")[0].config.policy.prompts.tools


@pytest.mark.parametrize("method", ["rl", "none"])
def test_a_step_of_each_stage_runs(method, few, tmp_path):
    model = str(tiny_hf.make(tmp_path / "tiny", context=4096))
    small = {"steps": 1, "group_size": 2, "prompts_per_step": 2}
    stages = [replace(one, config=replace(one.config, **small)) for one in tools.recipe(model, method)]
    run = strop.train(stages, tmp_path / "run", progress=Progress.silent())
    judged = run.metrics()[-1]
    assert {"right", "gold/exact", "gold/calls", "gold/failed"} <= {name.removeprefix("held_out/") for name in judged}
    assert judged["held_out/unscored"] == 0.0
    assert not [one.error for one in run.episodes() if one.error]


@pytest.mark.parametrize("bad", [{"method": "dpo"}, {"judged": "test"}, {"told": "aloud"}])
def test_what_makes_no_sense_is_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        tools.recipe(**bad)
