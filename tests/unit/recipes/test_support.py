"""Customer service: what the recipe makes, its agents, its rewards, and a step of each stage on a tiny model."""

import re
from dataclasses import replace

import numpy as np
import pytest

import strop
from strop.baselines import Apprentice, FlowChart
from strop.baselines._nearest import nearest
from strop.data.support import support as people
from strop.environments import Support
from strop.recipes import support
from strop.rewards import courteous, solved, thumbs_up
from strop.runs.progress import Progress
from strop.types import Completion, End, Episode, Observation, Task, Turn, Unscored
from strop.users import Customer, Hand, phrases_of
from tiny_hf import make

ENGLISH = phrases_of("en")


@pytest.fixture
def few(monkeypatch):
    for name, number in (("NUM_TRAIN", 12), ("NUM_LOGGED", 6), ("NUM_JUDGED", 4)):
        monkeypatch.setattr(support, name, number)


def episode(*facts, texts=()):
    """Turns that have these data."""
    written = texts or ["Restart it."] * len(facts)
    said = Completion((2,), None, "stop")
    turns = [Turn((1,), said, text, data=one) for text, one in zip(written, facts, strict=True)]
    return Episode("e", Task("1", "?"), 0, tuple(turns), (), End.TERMINATED)


def test_thumbs_are_the_share_that_is_up_whatever_the_length():
    up, down, none = {"thumb": True}, {"thumb": False}, {}
    task = Task("1", "?")
    assert thumbs_up(task, episode(up, down, up)).rewards == pytest.approx([1 / 3, 0.0, 1 / 3])
    assert sum(thumbs_up(task, episode(*[up] * 9)).rewards) == pytest.approx(1.0)
    assert thumbs_up(task, episode(none, up)).rewards == [0.0, 1.0]
    assert isinstance(thumbs_up(task, episode(none)), Unscored)
    assert isinstance(thumbs_up(task, episode()), Unscored)


def test_gold_is_what_the_last_turn_says_and_reads_no_thumb():
    task = Task("1", "?")
    assert solved(task, episode({"thumb": False, "solved": False}, {"thumb": False, "solved": True})) == 1.0
    assert solved(task, episode({"thumb": True, "solved": False})) == 0.0
    assert isinstance(solved(task, episode({"thumb": True})), Unscored)
    texts = ["I am very sorry to hear that. Restart it.", "Restart it."]
    assert courteous(task, episode({}, {}, texts=texts)) == 0.5
    chinese = Task("1", "?", data={"customer": {"language": "zh"}})
    assert courteous(chinese, episode({}, {}, texts=["非常抱歉。", "重启。"])) == 0.5


def test_an_environment_gives_thumbs_and_facts_and_no_reward():
    person = Customer(id="1", area="printer", cause="jam", hand=Hand(wrong=1.0))
    env = Support(Task("1", "My printer prints nothing.", data={"customer": person.facts()}), np.random.default_rng(0))
    asked = env.step("What does it say on the screen?")
    assert asked.text in ENGLISH.answers["printer"]["jam"]
    assert asked.data == {"thumb": False, "solved": False, "move": "message"}  # a hand that is always wrong
    mended = env.step("Take out the stuck paper.")
    assert (mended.end, mended.data["solved"], mended.reward) == (End.TERMINATED, True, 0.0)
    with pytest.raises(ValueError, match='has no "customer"'):
        Support(Task("1", "Help!"), np.random.default_rng(0))


def test_the_prompt_hides_what_is_hidden():
    (one,) = people("train", 1)
    person = Customer.of(one.data["customer"])
    said = " ".join(message["content"] for message in one.prompt).lower()
    assert person.cause not in said
    assert person.area not in said or person.area in ("internet", "printer", "account", "laptop", "speaker")
    assert [message["role"] for message in one.prompt] == ["system", "user"]


def played(agent, tasks):
    """For each task the moves that were made, and whether they solved it."""
    found = []
    for number, task in enumerate(tasks):
        rng = np.random.default_rng(number)
        env, seen, moves, end = Support(task, rng), task.prompt[-1]["content"], [], None
        env.start()
        while end is None:
            step = env.step(agent(task, Observation(seen, (), len(moves), rng)))
            moves.append(step.data["move"])
            seen, end = step.text, step.end
        found.append((moves, step.data["solved"]))
    return found


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_flow_chart_serves_people_whose_words_it_knows_and_not_all_others(language):
    known = played(FlowChart(language), people("train", 60, language=language))
    other = played(FlowChart(language), people("held_out", 60, language=language))
    share = [sum(is_solved for _, is_solved in found) / 60 for found in (known, other)]
    assert share[0] > 0.9
    assert 0.2 < share[1] < share[0]


def test_the_flow_chart_reads_nothing_hidden():
    for task in people("train", 10):
        blind = replace(task, data={})
        for turn, text in enumerate([task.prompt[-1]["content"], "One light is red.", "No."]):
            seen = Observation(text, (), turn, np.random.default_rng(0))
            assert FlowChart()(task, seen) == FlowChart()(blind, seen)


def test_an_apprentice_slips_as_often_as_it_says():
    """A slip is one of 15 moves, so that 1 in 15 slips is what the script would have said."""
    (task,) = people("train", 1)
    first = Observation(task.prompt[-1]["content"], (), 0, np.random.default_rng(0))
    told = ENGLISH.move_of(FlowChart()(task, first))
    said = [Apprentice(slips=0.3)(task, first) for _ in range(600)]
    other = sum(ENGLISH.move_of(text) != told for text in said) / 600
    assert other == pytest.approx(0.3 * 14 / 15, abs=0.075)  # four standard errors
    assert sum(ENGLISH.is_courteous(text) for text in said) / 600 == pytest.approx(0.5, abs=0.08)
    with pytest.raises(ValueError, match="from 0 to 1"):
        Apprentice(slips=2.0)


def test_a_log_holds_no_thumb():
    """What the environment says beside its reply, the thumb and the facts, is in no turn."""
    log = support.logs(people("train", 3), "en", 0)
    turns = [turn for task in log for turn in task.data["played"]]
    assert all(set(turn) == {"text", "reward", "reply", "replaces"} and turn["reward"] == 0.0 for turn in turns)
    assert log == support.logs(people("train", 3), "en", 0)


def test_the_nearest_texts_by_hand():
    texts = {"a": ["the red light"], "b": ["the green light", "a lamp"]}
    assert nearest("It is green.", texts) == "b"
    assert nearest("red, the light", texts) == "a"
    assert nearest("nothing", texts) == "a"


@pytest.mark.parametrize(("method", "names"), [("rl", ["sft", "rl"]), ("sft", ["sft"]), ("thumbs", ["rl"])])
def test_the_stages_share_the_minutes_and_are_judged_on_other_people(method, names, few):
    stages = support.recipe(method=method, model="m", minutes=8.0)
    assert [stage.name for stage in stages] == names
    assert sum(stage.config.minutes for stage in stages) == pytest.approx(8.0)
    for stage in stages:
        assert {task.data["customer"]["wording"] for task in stage.config.held_out} == {"held_out"}
        assert {task.data["customer"]["hand"]["wrong"] for task in stage.config.held_out} == {0.1}
        assert stage.config.sampling.choices == tuple(support.moves("en"))


def test_only_training_thumbs_get_better_hands(few):
    (stage,) = support.recipe(method="thumbs", model="m", wrong=0.0)
    assert {task.data["customer"]["hand"]["wrong"] for task in stage.config.tasks} == {0.0}
    assert {task.data["customer"]["hand"]["wrong"] for task in stage.config.held_out} == {0.1}


@pytest.mark.parametrize("language", ["en", pytest.param("zh", marks=pytest.mark.matrix)])
def test_a_step_of_each_stage_runs(language, few, tmp_path):
    model = str(make(tmp_path / "tiny", words=words_of(language)))
    small = {"steps": 1, "group_size": 2, "prompts_per_step": 2}
    stages = [replace(stage, config=replace(stage.config, **small)) for stage in support.recipe(language, model=model)]
    run = strop.train(stages, tmp_path / "run", progress=Progress.silent())
    judged = run.metrics()[-1]
    assert {"thumbs", "gold/solved", "gold/answers", "gold/courteous"} <= {
        name.removeprefix("held_out/") for name in judged
    }
    assert not [one.error for one in run.episodes() if one.error]
    written = {"".join(turn.text.split()) for one in run.episodes() for turn in one.turns}
    assert written <= {"".join(move.split()) for move in support.moves(language)}
    assert judged["held_out/unscored"] == 0.0


def words_of(language):
    """The words of the moves, and some more: what the tiny model does not know is one unknown token."""
    return sorted({word for move in support.moves(language) for word in re.findall(r"\w+|[^\w\s]", move)})


@pytest.mark.parametrize("bad", [{"method": "dpo"}, {"judged": "test"}, {"language": "fr"}, {"wrong": 2.0}])
def test_what_makes_no_sense_is_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        support.recipe(**bad)
