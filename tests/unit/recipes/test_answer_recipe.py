"""The recipes of questions and of reading, on small files and a tiny model."""

import math
from dataclasses import replace

import pytest
import torch

import strop
from strop.codec import WordCodec
from strop.recipes import answer, reading
from strop.runs.progress import Progress
from strop.types import Task, WeightsLock
from tiny_hf import make

NAMES = "Ann Bob Cid Dan Eve Fay Gus Hal Ida Jon Kim Lea".split()  # noqa: SIM905
QUESTIONS = ["question\tanswer", *(f"Who is number {i}?\t{name}|{name}y" for i, name in enumerate(NAMES))]
PASSAGES = [
    "passage\tquestion\tanswer",
    *(
        f"Here is {name}. He has {i} cats.\t{asked}\t{told}"
        for i, name in enumerate(NAMES)
        for asked, told in (("Who?", name), ("How many?", i))
    ),
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(make(tmp_path_factory.mktemp("model") / "tiny"))


@pytest.fixture
def questions(tmp_path):
    (tmp_path / "own.tsv").write_text("\n".join(QUESTIONS), encoding="utf-8")
    return str(tmp_path / "own.tsv")


@pytest.fixture
def texts(tmp_path):
    (tmp_path / "texts.tsv").write_text("\n".join(PASSAGES), encoding="utf-8")
    return str(tmp_path / "texts.tsv")


def prompts(tasks):
    return {task.prompt[-1]["content"] for task in tasks}


def test_the_stages_are_judged_on_questions_that_neither_trains_on(model, questions, monkeypatch):
    monkeypatch.setattr(answer, "own_answers", lambda model, tasks: tasks)
    stages = answer.recipe(questions, model)
    chosen_on = answer.recipe(questions, model, judged="development")
    assert [stage.name for stage in stages] == ["sft", "rl"]
    for stage, other in zip(stages, chosen_on, strict=True):
        seen = [prompts(stage.config.tasks), prompts(stage.config.held_out), prompts(other.config.held_out)]
        assert len(set.union(*seen)) == sum(map(len, seen)) == len(NAMES)
        assert stage.config.judgement == "greedy"
    assert sum(stage.config.minutes for stage in stages) == pytest.approx(10.0)
    assert [stage.name for stage in answer.recipe(questions, model, method="sft", minutes=3)] == ["sft"]


def test_its_own_right_answers_are_imitated_and_its_wrong_ones_are_not(model, monkeypatch):
    tasks = [answer.asked(Task(name, f"Who is {name}?", name)) for name in ("Ann", "Bob")]
    monkeypatch.setattr(answer, "answered", lambda policy, codec, prompts: [" It is Ann.", "Ann"])
    assert [task.answer for task in answer.own_answers(model, tasks)] == ["It is Ann.", "I don't know"]
    assert [task.answer for task in tasks] == ["Ann", "Bob"]


def test_a_question_says_how_a_sentence_that_answers_begins_if_that_is_known():
    told = Task("1", "What is the capital of Peru?", "Lima", {"begin": "The capital of Peru is"})
    assert answer.asked(told).prompt[-1]["content"].endswith('Peru? Begin with "The capital of Peru is".')
    assert answer.asked(Task("1", "Who?", "Ann")).prompt == [{"role": "user", "content": "Who?"}]


def test_both_stages_run(model, questions, tmp_path):
    few = {"steps": 1, "group_size": 2, "prompts_per_step": 2}
    stages = [replace(stage, config=replace(stage.config, **few)) for stage in answer.recipe(questions, model)]
    run = strop.train(stages, tmp_path / "run", progress=Progress.silent())
    judged = run.metrics()[-1]
    assert judged["held_out/gold/answers"] == 1.0  # a random model has never heard of "I don't know"
    assert judged["held_out/answered"] == -1.0
    # it always answers, and is never right
    assert answer.calibration(run) == pytest.approx(1.0, abs=0.01)


class Likely:
    """A policy whose next word depends on the last one alone, with these probabilities."""

    def __init__(self, codec, after):
        self.lock = WeightsLock()
        self._logits_VV = torch.full((codec.size, codec.size), -30.0)
        for last, words in after.items():
            for word, probability in words.items():
                self._logits_VV[codec.encode(last)[0], codec.encode(word)[0]] = math.log(probability)

    def prefill(self, prompts):
        return self._logits_VV[[prompt[-1] for prompt in prompts]], None

    def decode(self, state, tokens_B):
        return self._logits_VV[tokens_B], None

    def keep(self, state, rows):
        return None


def test_confidence_by_hand():
    """Who: I .3, don't .5, know .8: "I don't know" has .12, so it answers with .88: Ann, which is likelier than
    Bob, and wrong. Where: 1 * .5 * .8 = .4, so .6; what it says if it must is Rome, which is right."""
    codec = WordCodec(["Who?", "Where?", "I", "don't", "know", "see", "Ann", "Bob", "Rome"])
    after = {
        "Who?": {"I": 0.3, "Ann": 0.4, "Bob": 0.3},
        "Where?": {"I": 1.0, "Rome": 1e-6},
        "I": {"don't": 0.5, "see": 0.5},
        "don't": {"know": 0.8, "see": 0.2},
        **{word: {"<end>": 1.0} for word in ("know", "see", "Ann", "Bob", "Rome")},
    }
    tasks = [Task("1", "Who?", "Bob"), Task("2", "Where?", "Rome")]
    answers, is_right = answer.confidence(Likely(codec, after), codec, tasks)
    assert answers == pytest.approx([0.88, 0.6], abs=1e-4)
    assert is_right == [False, True]


def test_all_questions_on_a_passage_are_on_one_side(model, texts):
    config = reading.recipe(texts, model)[0].config
    sides = [{task.data["passage"] for task in tasks} for tasks in (config.tasks, config.held_out)]
    assert [len(side) for side in sides] == [11, 1]
    assert not sides[0] & sides[1]
    assert config.tasks[0].prompt[-1]["content"] == f"{config.tasks[0].data['passage']}\n\nWho?"


@pytest.mark.parametrize(("method", "names"), [("rl", ["sft", "rl"]), ("sft", ["sft"])])
def test_reading_runs(method, names, model, texts, tmp_path):
    stages = reading.recipe(texts, model, method=method)
    assert [stage.name for stage in stages] == names
    assert sum(stage.config.minutes for stage in stages) == 10.0
    few = {"steps": 1, "group_size": 2, "prompts_per_step": 2}
    small = [replace(stage, config=replace(stage.config, **few)) for stage in stages]
    run = strop.train(small, tmp_path / "run", progress=Progress.silent())
    assert {"held_out/right", "held_out/gold/f1"} <= run.metrics()[0].keys()


def test_tables_are_judged_on_lands_that_no_training_passage_names(monkeypatch):
    monkeypatch.setattr(reading, "NUM_TRAIN", 30)
    config = reading.recipe()[-1].config
    assert [len(config.tasks), len(config.held_out)] == [30, reading.NUM_JUDGED]
    assert {task.id.partition("-")[0] for task in config.tasks} == {"train"}
    assert {task.id.partition("-")[0] for task in config.held_out} == {"held_out"}
    assert {task.id.partition("-")[0] for task in reading.recipe(judged="development")[0].config.held_out} == {
        "development"
    }


def test_the_baselines_of_reading():
    data = {"passage": "The capital of Arland is Bemere. The capital of Celand is Dovia."}
    task = Task("1", "?", "Bemere", {**data, "question": "What is the capital of Arland?"})
    assert (reading.extracted(task, None), reading.last_word(task, None)) == ("Bemere", "Dovia")


@pytest.mark.parametrize("recipe", [answer.recipe, reading.recipe])
def test_what_is_refused(recipe, tmp_path):
    for wrong, said in (
        ({"method": "dpo"}, "rl or sft"),
        ({"judged": "test"}, "held_out"),
        ({"data": "no.tsv"}, "no such file"),
    ):
        with pytest.raises(ValueError, match=said):
            recipe(**wrong)
    (tmp_path / "bad.tsv").write_text("passage\tquestion\tanswer\n\tWho?\tAnn\n", encoding="utf-8")
    with pytest.raises(ValueError, match="a passage, a question and an answer"):
        reading.recipe(str(tmp_path / "bad.tsv"))
