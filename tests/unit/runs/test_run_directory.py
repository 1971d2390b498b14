"""A run's folder: made once, locked by one writer, found by name."""

import json
import os
import subprocess
import sys

import pytest
import torch

from strop.runs import provenance
from strop.runs.directory import RunDirectory, claim, config_text, find_run, give_back, is_run, parse_run

CONFIG = {"steps": 3}


def test_a_new_run_holds_what_it_was_given(tmp_path):
    path = tmp_path / "deep" / "run"
    directory = RunDirectory.create(path, CONFIG, {"recipe.py": "x = 1\n", "provenance.json": '{"seed": 0}'})
    assert is_run(path)
    assert directory.config() == CONFIG
    assert directory.provenance() == {"seed": 0}
    assert (path / "recipe.py").read_text() == "x = 1\n"
    assert [entry.name for entry in path.parent.iterdir()] == ["run"]
    directory.write("config.json", config_text({"steps": 4}))
    assert RunDirectory.open(path).config() == {"steps": 4}


def test_an_empty_folder_becomes_a_run_and_a_full_one_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    RunDirectory.create(tmp_path / "empty", CONFIG, {})
    with pytest.raises(ValueError, match=r"Choose another --run, or continue it: strop train --resume --run"):
        RunDirectory.create(tmp_path / "empty", CONFIG, {})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(ValueError, match=r"Choose another --run\.$"):
        RunDirectory.create(tmp_path / "mine", CONFIG, {})
    assert [entry.name for entry in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"exists, but has no run\.sqlite"):
        RunDirectory.open(tmp_path)
    with pytest.raises(ValueError, match="does not exist"):
        RunDirectory.open(tmp_path / "nothing")


def test_a_second_writer_is_refused_with_the_holders_process(tmp_path):
    directory = RunDirectory.create(tmp_path / "run", CONFIG, {})
    script = (
        "import sys, time; from strop.runs.directory import RunDirectory\n"
        "with RunDirectory.open(sys.argv[1]).lock():\n    print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, str(directory.path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match=f"written by process {holder.pid}"), directory.lock():
            pass
        with directory.reader() as store:
            assert store.latest_step() is None
    finally:
        holder.kill()
        holder.communicate()
    with directory.lock():  # the killed process's lock is gone
        pass


def test_names_are_looked_up_in_runs_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in ("runs/story", "story", "elsewhere/other", "runs/odd@1"):
        RunDirectory.create(place, CONFIG, {})
    assert str(find_run("story").path) == "runs/story"
    assert str(find_run("elsewhere/other").path) == "elsewhere/other"
    with pytest.raises(ValueError, match="In runs there is: story"):
        find_run("stroy")
    assert parse_run("story") == (RunDirectory.open("runs/story"), "latest")
    assert parse_run("story@40")[1] == 40
    assert parse_run("story@best")[1] == "best"
    assert str(parse_run("odd@1@2")[0].path) == "runs/odd@1"
    assert parse_run("runs/odd@1")[1] == "latest"
    with pytest.raises(ValueError, match="best or latest"):
        parse_run("story@worst")


def test_a_checkpoint_is_chosen_by_number_latest_or_best(tmp_path):
    directory = RunDirectory.create(tmp_path / "run", CONFIG, {})
    with pytest.raises(ValueError, match="no checkpoint"):
        directory.load()
    for step in (2, 4):
        directory.checkpoints.save(step, {"policy": {"weight": torch.tensor(step)}})
    assert directory.load()[0] == 4
    assert int(directory.load(2)[1]["policy"]["weight"]) == 2
    with pytest.raises(ValueError, match="nothing was judged"):
        directory.load("best")
    with directory.writer() as store:
        store.write_evaluation(2, [], {"held_out/reward": 0.9})
        store.write_evaluation(4, [], {"held_out/reward": 0.1})
    assert directory.load("best")[0] == 2


def test_provenance_says_where_a_run_came_from_and_what_differs():
    then = provenance.collect(seed=1, dtype="float32", threads=2, data={"tasks": "a"})
    json.dumps(then)
    assert then["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert provenance.differences(then, json.loads(json.dumps(then))) == []
    now = provenance.collect(seed=1, dtype="bfloat16", threads=1, data={"tasks": "b"})
    changed = [line.split(":")[0] for line in provenance.differences(then, now)]
    assert changed == ["threads", "dtype", "data.tasks"]


def test_each_claimed_folder_is_a_new_one(tmp_path):
    base = tmp_path / "runs" / "now"
    assert [claim(base).name for _ in range(3)] == ["now", "now-2", "now-3"]
    give_back(base.with_name("now-2"))
    assert claim(base).name == "now-2"
    (tmp_path / "runs" / "now" / "mine").write_text("precious")
    give_back(base)
    assert (base / "mine").is_file()


def test_processes_that_claim_at_once_get_folders_of_their_own(tmp_path):
    script = (
        "import sys; from strop.runs.directory import RunDirectory; from pathlib import Path\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "for _ in range(20): print(RunDirectory.create_new(Path(sys.argv[1]), {'mine': sys.argv[2]}, {}).path)"
    )
    every = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "run"), name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for name in "ab"
    ]  # fmt: skip
    for process in every:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in every:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    made = [process.communicate(timeout=60)[0].split() for process in every]
    assert len({*made[0], *made[1]}) == len(made[0]) + len(made[1]) == 40
    for name, paths in zip("ab", made, strict=True):
        assert {RunDirectory.open(path).config()["mine"] for path in paths} == {name}


def test_of_two_processes_that_create_one_folder_the_later_gets_an_error(tmp_path, monkeypatch):
    rename = os.rename

    def while_another_does(source, target):
        monkeypatch.setattr(os, "rename", rename)
        RunDirectory.create(tmp_path / "run", {"who": "other"}, {})
        source.rename(target)

    monkeypatch.setattr(os, "getpid", iter([1, 2]).__next__)
    monkeypatch.setattr(os, "rename", while_another_does)
    with pytest.raises(ValueError, match="exists and is not empty"):
        RunDirectory.create(tmp_path / "run", {"who": "me"}, {})
    assert RunDirectory.open(tmp_path / "run").config() == {"who": "other"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]
