"""The recipes of questions and of reading, on small files and a tiny model."""

from dataclasses import replace

import pytest

import strop
from strop.recipes import answer, reading
from strop.runs.progress import Progress
from strop.types import Task
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


def test_the_stages_are_judged_on_questions_that_neither_trains_on(model, questions):
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
    seen = []
    monkeypatch.setattr(answer, "answered", lambda policy, codec, given: seen.extend(given) or ["It is Ann.", "Ann"])
    assert [task.answer for task in answer.own_answers(model, tasks)] == ["It is Ann.", "I don't know"]
    assert [prompt[0]["content"] for prompt in seen] == [answer.MUST] * 2
    assert [task.prompt[0]["content"] for task in tasks] == [answer.ALLOWED] * 2


def test_both_stages_run_and_what_was_learnt_to_be_unknown_is_unlikely_to_be_answered(model, questions, tmp_path):
    sft, rl = answer.recipe(questions, model)
    quick = replace(sft.config.algorithm, optimizer=strop.optimizer.AdamW(lr=3e-2))
    stages = [
        strop.Stage("sft", replace(sft.config, algorithm=quick, steps=40)),
        strop.Stage("rl", replace(rl.config, steps=1, group_size=2, prompts_per_step=2)),
    ]
    run = strop.train(stages, tmp_path / "run", progress=Progress.silent())
    judged = [row for row in run.metrics() if "held_out/gold" in row]
    assert judged[-1]["held_out/answered"] == pytest.approx(0.0)
    assert judged[-1]["held_out/gold:answers"] == 0.0
    answers, is_right = answer.confidence(run.policy, run.parts.codec, run.config.held_out)
    assert max(answers) < 0.2
    assert not any(is_right)
    assert answer.calibration(run) == pytest.approx(sum(answers) / len(answers), abs=0.2)


def test_the_baselines_of_answers(model):
    task = answer.asked(Task("1", "Who is Ann?", "Ann"))
    seen = None
    assert answer.never(task, seen) == "I don't know"
    assert answer.Always(model=model)(task, seen) == answer.Always(model=model)(task, seen)


def test_all_questions_on_a_passage_are_on_one_side(model, texts):
    config = reading.recipe(texts, model)
    sides = [{task.data["passage"] for task in tasks} for tasks in (config.tasks, config.held_out)]
    assert [len(side) for side in sides] == [11, 1]
    assert not sides[0] & sides[1]
    assert config.tasks[0].prompt[-1]["content"] == f"{config.tasks[0].data['passage']}\n\nWho?"


@pytest.mark.parametrize("method", ["rl", "sft"])
def test_reading_runs(method, model, texts, tmp_path):
    config = reading.recipe(texts, model, method=method)
    small = replace(
        config, steps=1, group_size=2, prompts_per_step=2, memory=config.memory and strop.memory.Dataset.Config(size=2)
    )
    run = strop.train(small, tmp_path / "run", progress=Progress.silent())
    assert {"held_out/right", "held_out/gold_f1"} <= run.metrics()[0].keys()


def test_tables_are_judged_on_lands_that_no_training_passage_names(monkeypatch):
    monkeypatch.setattr(reading, "NUM_TRAIN", 30)
    config = reading.recipe()
    assert [len(config.tasks), len(config.held_out)] == [30, reading.NUM_JUDGED]
    assert {task.id.partition("-")[0] for task in config.tasks} == {"train"}
    assert {task.id.partition("-")[0] for task in config.held_out} == {"held_out"}
    assert {task.id.partition("-")[0] for task in reading.recipe(judged="development").held_out} == {"development"}


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
