"""Texts with any characters are written to a run and read back unchanged."""

import json
import sqlite3
from dataclasses import replace

import pytest
from tiny_run import make_episode

import strop
from strop.runs import spec
from strop.runs.directory import RunDirectory
from strop.runs.progress import Progress
from strop.runs.records import Event
from strop.types import End, Part, Task, Unscored

ODD = "half \ud83d, whole 😀, nothing \x00, 中文, line\u2028end, \x1b[31m"
SHOWN = ODD.replace("\ud83d", "\\ud83d")


@pytest.fixture
def home(tmp_path):
    return RunDirectory.create(tmp_path / "run", {"odd": ODD}, {"tasks.jsonl": json.dumps(ODD, ensure_ascii=False)})


def test_facts_are_read_back_as_they_were(home):
    task = Task("1", [{"role": "user", "content": ODD}], ODD, {ODD: [ODD, {"a": ODD}]})
    with home.writer() as store:
        store.write_step(0, [make_episode(task=task)], {}, {})
        assert store.episode("0/0").task == task
        assert store.summaries()[0].task == task
    assert home.config() == {"odd": ODD}
    assert json.loads((home.path / "tasks.jsonl").read_text(encoding="utf-8")) == ODD


def test_texts_for_people_keep_half_a_character_as_its_escape(home):
    lost = make_episode("0/1", end=End.FAILED, error=ODD)
    unscored = make_episode("0/2", parts={"r": Part(1.0, Unscored(ODD))})
    turn = replace(make_episode().turns[0], text=ODD, data={ODD: ODD})
    with home.writer() as store:
        store.write_step(0, [make_episode(turns=(turn,)), lost, unscored], {}, {}, [Event(0, "warning", ODD)])
        assert store.episode("0/0").turns[0].text == SHOWN
        assert store.episode("0/0").turns[0].data == {ODD: ODD}
        assert store.episode("0/1").error == SHOWN
        assert store.episode("0/2").parts["r"].total == Unscored(SHOWN)
        assert [event.text for event in store.events()] == [SHOWN]
    with sqlite3.connect(home.path / "run.sqlite") as plain:  # another program reads it too
        assert plain.execute("SELECT error FROM episodes WHERE id = '0/1'").fetchone() == (SHOWN,)


class Odd:
    """An environment whose words are odd."""

    def __init__(self, task, rng):
        self.task = task

    def start(self):
        return "a"

    def step(self, text):
        if self.task.id == "two":
            raise RuntimeError(ODD)
        return strop.Step("", 1.0, End.TERMINATED, data={ODD: ODD})

    def close(self):
        raise RuntimeError(ODD)


def test_a_whole_run_of_odd_texts_is_read_again(tmp_path):
    config = strop.TrainConfig(
        policy=strop.policies.Table.Config(words=["a", "b"], has_end=True),
        tasks=[Task("one", ODD, ODD, {"a": ODD}), Task("two", ODD)],
        held_out=[Task(ODD, "a")],
        environment=Odd,
        algorithm=strop.algorithms.REINFORCE.Config(),
        sampling=strop.Sampling(max_tokens=1),
        group_size=2,
        prompts_per_step=2,
        steps=1,
        threads=1,
    )
    strop.train(config, tmp_path / "run", progress=Progress.silent())
    run = strop.Run(tmp_path / "run")
    assert all(episode.task in config.tasks for episode in run.episodes())
    assert run.judged(0)[0].task.id == ODD
    assert [task for name in ("tasks", "held_out") for task in getattr(spec.from_files(run.path), name)] == [
        *config.tasks, *config.held_out,
    ]  # fmt: skip
