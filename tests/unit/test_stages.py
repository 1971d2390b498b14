"""strop.train of a list of strop.Stage: one after the other, in one folder, and on from where it stopped."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

import strop
from strop import Stage
from strop.cli.main import main
from strop.runs.directory import RunDirectory, find_run, names_a_run, parse_run
from strop.runs.disk import DiskPolicy
from strop.runs.progress import Progress
from strop.runs.state import same
from strop.stages import resolved, with_starts
from strop.types import Task

WORDS = ("red", "blue", "green", "black")
ADAM = strop.optimizer.AdamW(lr=0.02)
SCRATCH = strop.policies.Scratch(words=WORDS, has_end=False, num_layers=1, width=16, num_heads=2, context=8)
TABLE = strop.policies.Table.Config(words=WORDS)
SFT, RLOO = strop.algorithms.SFT.Config(optimizer=ADAM), strop.algorithms.RLOO.Config(optimizer=ADAM)
FROM_SFT = strop.FromStage("sft")


def copied(task, episode):
    return float(episode.text == task.answer)


def config(**changes: Any) -> strop.TrainConfig:
    usual: dict[str, Any] = {
        "policy": TABLE,
        "tasks": [Task(word, word, answer=word) for word in WORDS],
        "held_out": [Task(f"{word} again", word, answer=word) for word in WORDS],
        "rewards": [copied],
        "algorithm": RLOO,
        "sampling": strop.Sampling(max_tokens=1),
        "steps": 2,
        "group_size": 2,
        "threads": 1,
        "dtype": "float32",
    }
    return strop.TrainConfig(**{**usual, **changes})


def recipe(policy: Any = SCRATCH, **changes: Any) -> list[Stage]:
    """Two steps of SFT, then two of RLOO."""
    return [
        Stage("sft", config(policy=policy, algorithm=SFT)),
        Stage("rl", config(policy=FROM_SFT, **changes)),
    ]


class Watched(Progress):
    """Keeps what is noted; `at` is called with each note, and with (stage, steps done)."""

    def __init__(self, at=lambda what: None) -> None:
        super().__init__(Console(quiet=True))
        self.notes, self.at = [], at

    def note(self, text):
        self.notes.append(text)
        self.at(text)

    def step(self, step, metrics):
        self.at((next(text for text in reversed(self.notes) if text.startswith("stage")).split()[-1], step + 1))


def train(stages: Any, path: Path, progress: Any = False, resume: bool = False) -> strop.Run:
    return strop.train(stages, path, progress=progress, resume=resume)


def states(path: Path) -> dict[str, Any]:
    """The last checkpoint of every stage."""
    return {folder.name: RunDirectory(folder).load()[1] for folder in sorted(path.glob("[0-9]-*"))}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of the recipe that nothing stopped. Read only."""
    path = tmp_path_factory.mktemp("whole") / "run"
    train(recipe(), path)
    return path


# ------------------------------------------------------------ in order


def test_each_stage_is_a_run_and_starts_from_the_one_before(whole):
    assert sorted(entry.name for entry in whole.iterdir()) == ["1-sft", "2-rl", "stages.json"]
    assert json.loads((whole / "stages.json").read_text()) == {"format": 1, "stages": ["sft", "rl"]}
    sft, rl = RunDirectory.open(whole / "1-sft"), RunDirectory.open(whole / "2-rl")
    assert same(sft.load()[1]["policy"], rl.load(0)[1]["policy"])
    assert not same(sft.load(0)[1]["policy"], sft.load()[1]["policy"])
    assert not same(rl.load(0)[1]["policy"], rl.load()[1]["policy"])
    start = {
        "class": "strop.FromStage",
        "stage": "sft",
        "lora": "same",
        "actions": None,
        "value_head": False,
        "checkpoint": 2,
    }
    assert rl.config()["policy"] == start


def test_the_last_run_comes_back_and_the_screen_names_the_stages(tmp_path):
    watched = Watched()
    run = train(recipe(TABLE), tmp_path / "run", watched)
    assert run.path == tmp_path / "run" / "2-rl"
    assert not run.interrupted
    assert [text for text in watched.notes if text.startswith("stage")] == ["stage 1 of 2: sft", "stage 2 of 2: rl"]


@pytest.mark.matrix
def test_without_a_folder_it_is_made_in_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(recipe(TABLE), None)
    (home,) = Path("runs").iterdir()
    assert (home / "2-rl" / "run.sqlite").is_file()


def test_the_folder_may_be_moved_with_all_its_stages(whole, tmp_path):
    moved = tmp_path / "elsewhere" / "moved"
    shutil.copytree(whole, moved)
    before, after = strop.load(whole), strop.load(moved)
    assert after.config.policy == before.config.policy
    tokens = [(0,), (2, 1)]
    assert torch.equal(after.policy.prefill(tokens)[0], before.policy.prefill(tokens)[0])
    shutil.rmtree(moved / "1-sft")
    with pytest.raises(ValueError, match=r"moved/1-sft is not a run: it does not exist"):
        strop.load(moved).policy  # noqa: B018


@pytest.mark.matrix
def test_a_start_may_be_the_best_checkpoint_or_one_of_a_step(tmp_path):
    stages = recipe(TABLE)
    best = replace(FROM_SFT, checkpoint="best")
    stages.append(Stage("again", config(policy=best)))
    stages.append(Stage("first", config(policy=strop.FromStage("rl", checkpoint=0))))
    run = train(stages, tmp_path / "run")
    sft, rl = RunDirectory(tmp_path / "run" / "1-sft"), RunDirectory(tmp_path / "run" / "2-rl")
    again = RunDirectory(tmp_path / "run" / "3-again")
    assert again.config()["policy"]["checkpoint"] == sft.checkpoint_step("best")
    assert same(again.load(0)[1]["policy"], sft.load("best")[1]["policy"])
    assert same(run.directory.load(0)[1]["policy"]["weight"], rl.load(0)[1]["policy"]["weight"])


@pytest.mark.matrix
def test_a_stage_may_be_the_teacher_of_another(tmp_path):
    distillation = strop.algorithms.Distillation.Config(optimizer=ADAM, teacher=FROM_SFT)
    stages = [recipe(TABLE)[0], Stage("small", config(algorithm=distillation, rewards=()))]
    run = train(stages, tmp_path / "run")
    assert run.config.algorithm.teacher.checkpoint == 2
    assert run.config.algorithm.teacher.origin == tmp_path / "run"
    seen: list[str] = []
    kept = with_starts(stages[1].config, lambda start: seen.append(start.stage) or start)
    assert seen == ["sft"]
    assert kept == stages[1].config


# ------------------------------------------------------------ before anything is trained


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([], "an empty list of stages"),
        ([config()], "a list has stages, strop.Stage"),
        ([*recipe(), recipe()[0]], "two stages are called sft"),
        (recipe()[1:], r"stage rl: FromStage\('sft'\) names no earlier stage; it is the first"),
        ([*recipe(), Stage("c", config(policy=strop.FromStage("r1")))], "did you mean rl. Before it there are sft, rl"),
        ([*recipe(), Stage("c", config(policy=strop.FromStage("zz")))], "names no earlier stage; before it there are"),
        (recipe(rewards=()), "stage rl: nothing gives a reward"),
        (recipe(algorithm=strop.algorithms.PPO.Config()), r"PPO reads values: policy=strop.FromStage\('sft', val"),
        (
            [Stage("sft", config(held_out=())), Stage("rl", config(policy=replace(FROM_SFT, checkpoint="best")))],
            "that stage has no held-out tasks to judge on",
        ),
    ],
)  # fmt: skip
def test_stages_that_cannot_be_trained_are_refused_and_nothing_is_written(tmp_path, stages, message):
    with pytest.raises(ValueError, match=message):
        train(stages, tmp_path / "run")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("RL", config(), "lower-case letters"),
        ("a/b", config(), "lower-case letters"),
        ("", config(), "lower-case letters"),
        (3, config(), "it is a text"),
        ("rl", recipe, "it takes a name and a TrainConfig"),
    ],
)
def test_a_stage_has_a_plain_name_and_a_config(name, given, message):
    with pytest.raises(ValueError, match=message):
        Stage(name, given)


def test_a_start_outside_of_stages_says_where_it_belongs(tmp_path):
    with pytest.raises(ValueError, match=r"train a list of strop\.Stage, of which an earlier one is called 'sft'"):
        train(config(policy=FROM_SFT), tmp_path / "run")
    with pytest.raises(ValueError, match=r"checkpoint='newest': it is latest, best or a number"):
        strop.FromStage("sft", checkpoint="newest")
    assert not list(tmp_path.iterdir())


def test_before_training_a_start_is_planned_with_the_policy_of_its_stage():
    planned = resolved(recipe())[1].config
    assert planned.policy.inner() == SCRATCH
    parts = planned.build()
    assert parts.policy.vocabulary == len(WORDS)
    valued = resolved([recipe()[0], Stage("rl", config(policy=replace(FROM_SFT, value_head=True)))])[1].config
    assert valued.build().policy.has_values
    assert planned.policy.computes_on == "accelerator"
    assert FROM_SFT.computes_on == "any"


def test_a_first_stage_that_cannot_start_leaves_nothing(tmp_path):
    stages = recipe(TABLE)
    unknown = replace(stages[0].config, tasks=[Task("odd", "yellow", answer="red")])
    with pytest.raises(ValueError, match="not in the vocabulary"):
        train([replace(stages[0], config=unknown), stages[1]], tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_an_existing_run_is_left_alone(whole):
    before = sorted(whole.rglob("*"))
    with pytest.raises(ValueError, match=r"Choose another --run, or continue it: strop train --resume --run"):
        train(recipe(), whole)
    assert sorted(whole.rglob("*")) == before


# ------------------------------------------------------------ stopped, and on


def interrupt(what):
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("at", ["sft", pytest.param("rl", marks=pytest.mark.matrix)])
def test_ctrl_c_in_a_stage_stops_there_and_a_resume_ends_with_the_same_bits(whole, tmp_path, at):
    watched = Watched(lambda what: interrupt(what) if what == (at, 1) else None)
    run = train(recipe(), tmp_path / "run", watched)
    assert run.interrupted
    assert run.path.name.endswith(at)
    assert (tmp_path / "run" / "2-rl").exists() == (at == "rl")
    train(recipe(), tmp_path / "run", resume=True)
    assert same(states(tmp_path / "run"), states(whole))


def test_stopped_between_the_stages_it_goes_on_with_the_second(whole, tmp_path):
    def stop(what):
        if what == "stage 2 of 2: rl":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe(), tmp_path / "run", Watched(stop))
    home = tmp_path / "run"
    assert sorted(entry.name for entry in home.iterdir()) == ["1-sft", "stages.json", "waiting"]
    before = (home / "1-sft" / "run.sqlite").read_bytes()
    watched = Watched()
    train(recipe(), home, watched, resume=True)
    assert watched.notes[0] == "stage 1 of 2: sft is done"
    assert (home / "1-sft" / "run.sqlite").read_bytes() == before
    assert same(states(home), states(whole))
    assert not (home / "waiting").exists()


def trained(tmp_path: Path) -> Path:
    """A finished run on a table, which is quick."""
    train(recipe(TABLE), tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.matrix
def test_more_steps_of_the_last_stage_are_trained_as_a_fork(tmp_path):
    home = trained(tmp_path)
    run = train(recipe(TABLE, steps=3), home, resume=True)
    assert len(run.metrics()) == 4
    with run.directory.reader() as store:
        assert [event.text for event in store.events() if event.level == "fork"] == ["steps: 2 -> 3"]


@pytest.mark.matrix
def test_more_steps_of_a_stage_from_which_none_has_started_are_trained_first(tmp_path):
    def stop(what):
        if what == "stage 2 of 2: rl":
            raise KeyboardInterrupt

    stages = recipe(TABLE)
    with pytest.raises(KeyboardInterrupt):
        train(stages, tmp_path / "run", Watched(stop))
    longer = [replace(stages[0], config=replace(stages[0].config, steps=4)), stages[1]]
    run = train(longer, tmp_path / "run", resume=True)
    assert run.config.policy.checkpoint == 4
    with RunDirectory(tmp_path / "run" / "1-sft").reader() as store:
        assert [event.text for event in store.events() if event.level == "fork"] == ["steps: 2 -> 4"]


@pytest.mark.matrix
def test_what_changed_in_a_stage_that_waits_is_trained(tmp_path):
    watched = Watched(lambda what: interrupt(what) if what == ("sft", 1) else None)
    train(recipe(TABLE), tmp_path / "run", watched)
    run = train(recipe(TABLE, steps=1, seed=5), tmp_path / "run", resume=True)
    assert (run.config.steps, run.config.seed) == (1, 5)


@pytest.mark.matrix
def test_a_stage_that_lies_behind_stays_as_it_was_trained(tmp_path):
    home = trained(tmp_path)
    before = (home / "1-sft" / "run.sqlite").read_bytes()
    stages, watched = recipe(TABLE), Watched()
    longer = replace(stages[0], config=replace(stages[0].config, steps=9))
    train([longer, stages[1]], home, watched, resume=True)
    assert watched.notes[0] == "stage 1 of 2: sft is done"
    assert (home / "1-sft" / "run.sqlite").read_bytes() == before
    assert not (home / "waiting").exists()


@pytest.mark.matrix
def test_a_stage_may_be_added_at_the_end(tmp_path):
    home = trained(tmp_path)
    run = train([*recipe(TABLE), Stage("more", config(policy=strop.FromStage("rl")))], home, resume=True)
    assert run.path == home / "3-more"
    assert same(run.directory.load(0)[1]["policy"], RunDirectory(home / "2-rl").load()[1]["policy"])


def test_a_resume_with_other_stages_is_refused(tmp_path):
    home = trained(tmp_path)
    other = [Stage("warm", recipe(TABLE)[0].config), Stage("rl", config())]
    with pytest.raises(ValueError, match=r"has the stages sft, rl, and these are warm, rl: a resume may add stages"):
        train(other, home, resume=True)
    with pytest.raises(ValueError, match=r"has the stages sft, rl, and these are sft: "):
        train(recipe(TABLE)[:1], home, resume=True)
    with pytest.raises(ValueError, match=r"run is not a run: it has several stages, which are runs"):
        train(config(), home, resume=True)
    with pytest.raises(ValueError, match=r"1-sft is not a run of several stages: it has no stages\.json"):
        train(recipe(TABLE), home / "1-sft", resume=True)


@pytest.mark.matrix
def test_a_stage_goes_on_alone_by_its_own_folder(tmp_path):
    home = trained(tmp_path)
    run = strop.train(replace(strop.load(home / "2-rl").config, steps=3), home / "2-rl", resume=True, progress=False)
    assert len(run.metrics()) == 4


# ------------------------------------------------------------ found by its name


def test_a_name_means_the_last_stage_that_has_begun(whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("runs").mkdir()
    Path("runs/mine").symlink_to(whole)
    assert str(find_run("mine").path) == "runs/mine/2-rl"
    directory, selector = parse_run("mine@best")
    assert (str(directory.path), selector) == ("runs/mine/2-rl", "best")
    assert str(parse_run("runs/mine/1-sft@0")[0].path) == "runs/mine/1-sft"
    assert all(map(names_a_run, ("mine", "mine@2", "runs/mine/1-sft")))
    assert not names_a_run("runs/mine/3-none")
    Path("runs/odd@1").symlink_to(whole)
    assert (str(parse_run("runs/odd@1")[0].path), parse_run("runs/odd@1@0")[1]) == ("runs/odd@1/2-rl", 0)
    assert strop.load("mine").path == Path("runs/mine/2-rl")
    with pytest.raises(ValueError, match="In runs there is: mine"):
        find_run("mien")
    assert strop.TrainConfig(policy="mine").policy == "mine"
    started = strop.FromRun(run="mine").build(0, "float32")[0]
    assert same(started.state_dict(), strop.load("mine").policy.state_dict())


def test_a_folder_of_which_no_stage_has_begun_says_so(tmp_path):
    (tmp_path / "stages.json").write_text('{"format": 1, "stages": ["sft"]}')
    with pytest.raises(ValueError, match="none of its stages has begun yet"):
        find_run(str(tmp_path))
    (tmp_path / "stages.json").write_text('{"format": 2, "stages": ["sft"]}')
    with pytest.raises(ValueError, match="has format 2, and this version of strop reads 1"):
        find_run(str(tmp_path))
    (tmp_path / "stages.json").write_text("{")
    with pytest.raises(ValueError, match=r"stages\.json cannot be read"):
        find_run(str(tmp_path))


def test_its_last_stage_is_exported_and_the_card_tells_the_others(whole, tmp_path, capsys):
    assert main(["export", str(whole), str(tmp_path / "out")]) == 0
    assert "(SFT, 2 steps; then RLOO, 2 steps)" in (tmp_path / "out" / "README.md").read_text()


def test_its_episodes_are_data(whole):
    found = strop.TrainConfig(policy=TABLE, data=whole, algorithm=strop.algorithms.SFT.Config()).resolve()
    assert len(found.tasks) == 2 * 4 * 2


def test_what_waits_is_removed_though_a_kill_came_before_it_was(tmp_path):
    strop.train(recipe(), tmp_path / "run", progress=False)
    (tmp_path / "run" / "waiting" / "1-sft").mkdir(parents=True)
    strop.train(recipe(), tmp_path / "run", resume=True, progress=False)
    assert not (tmp_path / "run" / "waiting").exists()


def test_a_stage_keeps_no_more_checkpoints_though_a_kill_came_before_it_freed_them(tmp_path, monkeypatch):
    first = Stage("sft", config(policy=SCRATCH, algorithm=SFT, steps=4, checkpoint_every=1))
    with monkeypatch.context() as killed:
        killed.setattr(DiskPolicy, "apply", lambda *_: None)
        strop.train([first], tmp_path / "run", progress=False)
    checkpoints = RunDirectory(tmp_path / "run" / "1-sft").checkpoints
    assert checkpoints.steps() == [0, 1, 2, 3, 4]
    strop.train([first, Stage("rl", config(policy=FROM_SFT))], tmp_path / "run", resume=True, progress=False)
    assert set(checkpoints.steps()) >= {3, 4}
    assert len(checkpoints.steps()) <= 3  # and the best one
