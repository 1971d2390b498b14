"""`strop sweep`: one run after another, in a folder that can go on."""

import json
import shutil
from contextlib import chdir
from pathlib import Path

import pytest

from strop.cli.main import main
from strop.runs.directory import RunDirectory


def rows(path):
    """A run's numbers without its times."""
    with RunDirectory(path).reader() as store:
        return [
            {name: value for name, value in one.items() if not name.startswith(("time/", "memory/"))}
            for one in store.metrics()
        ]


@pytest.fixture(scope="module")
def made(tmp_path_factory, table_text):
    """A folder with a recipe and a sweep of it over two seeds."""
    folder = tmp_path_factory.mktemp("made")
    with chdir(folder):
        Path("mine.py").write_text(table_text)
        assert main(["sweep", "mine.py", "seed=0..1", "--run", "runs/s"]) == 0
    return folder


@pytest.fixture
def swept(made, tmp_path):
    """A copy of it, in the folder where the test is."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "runs" / "s"


@pytest.mark.matrix
def test_a_sweep_trains_every_seed_and_shows_the_mean(strop, swept):
    assert {path.name for path in swept.iterdir()} == {"sweep.json", "curves.png", "seed-0", "seed-1"}
    said = strop("show", "s")
    assert "runs/s: mine.py, 2 of 2 runs finished" in said.out
    assert "all seeds" in said.out
    assert "Student's t" in said.out


def test_each_run_has_the_bits_of_a_run_of_its_own(strop, swept, tmp_path):
    assert strop("train", "mine.py", "seed=1", "--run", "alone").code == 0
    assert rows(tmp_path / "alone") == rows(swept / "seed-1")


@pytest.mark.matrix
def test_the_same_command_trains_nothing_again_and_more_seeds_are_added(strop, swept):
    before = (swept / "seed-0/run.sqlite").read_bytes()
    again = strop("sweep", "mine.py", "seed=0..1", "--run", "runs/s")
    assert (again.code, again.err.count("finished already")) == (0, 2)
    assert again.out == strop("show", "s").out
    more = strop("sweep", "--run", "runs/s", "seed=2")
    assert "3 of 3 runs finished" in more.out
    assert "strop show runs/s" in more.err
    assert (swept / "seed-0/run.sqlite").read_bytes() == before


def test_show_and_plot_take_a_sweep(strop, swept, tmp_path):
    found = json.loads(strop("show", "runs/s", "--json").out)
    assert [one["name"] for one in found["runs"]] == ["seed-0", "seed-1"]
    (combined,) = found["combinations"]
    ends = [one["standing"]["scores"]["reward"] for one in found["runs"]]
    assert combined["scores"]["reward"]["difference"]["mean"] == pytest.approx(
        sum(after - before for before, after in ends) / 2
    )
    assert strop("plot", "s", "-o", "c.svg").code == 0
    assert (tmp_path / "c.svg").is_file()
    for command in ("eval", "chat"):
        said = strop(command, "s")
        assert said.code == 1
        assert "runs/s is a sweep, not one run. Its runs: runs/s/seed-0, runs/s/seed-1." in said.err


@pytest.mark.matrix
def test_a_sweep_over_other_fields_has_a_row_for_each(strop, table_recipe):
    said = strop("sweep", table_recipe(), "algorithm.optimizer.lr=0.1,0.2", "seed=0,1", "steps=1", "--run", "s")
    assert said.code == 0, said.err
    assert "lr=0.1" in said.out
    assert "lr-0.2_seed-1" in said.out
    assert said.err.count("trainable parameters") == 1  # the plan, once


def test_dry_run_lists_the_runs_and_writes_nothing(strop, table_recipe, tmp_path):
    said = strop("sweep", table_recipe(), "seed=0..1", "steps=2", "--run", "s", "--dry-run")
    assert said.code == 0
    assert "s/seed-1  not begun  steps=2 seed=1" in said.out
    assert not (tmp_path / "s").exists()
    listed = json.loads(strop("sweep", "mine.py", "seed=0..1", "--dry-run", "--json").out)
    assert [one["name"] for one in listed["runs"]] == ["seed-0", "seed-1"]
    assert not (tmp_path / "runs").exists()


def test_one_failing_run_does_not_end_the_others(strop, table_recipe, tmp_path):
    (tmp_path / "d.jsonl").write_text('{"prompt": "a"}\n{"prompt": "b"}\n')
    said = strop("sweep", table_recipe(), "data=none.jsonl,d.jsonl", "steps=1", "--run", "s")
    assert said.code == 1
    assert "data-none.jsonl: data='none.jsonl': there is no such file or run" in said.out
    assert "1 of 2 runs finished" in said.out
    assert "strop sweep --run s  try again what failed" in said.err


@pytest.mark.matrix
def test_where_every_run_fails_there_is_a_table_and_no_picture(strop, table_recipe, tmp_path):
    said = strop("sweep", table_recipe(), "data=none.jsonl,nil.jsonl", "--run", "s")
    assert said.code == 1
    assert "0 of 2 runs finished" in said.out
    assert not (tmp_path / "s/curves.png").exists()
    assert "Traceback" not in said.err


STOPPING = """
import os, signal
def said_b(task, episode):
    if os.path.exists("stop"):
        os.remove("stop")
        os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.mark.matrix
def test_ctrl_c_stops_cleanly_and_the_sweep_goes_on_with_the_same_bits(strop, table_recipe, tmp_path):
    table_recipe(replace=[("\ndef said_b(task, episode):\n", STOPPING)])
    (tmp_path / "stop").write_text("")
    said = strop("sweep", "mine.py", "seed=0..1", "--run", "s")
    assert said.code == 130
    assert "0 of 2 runs are finished" in said.err
    assert "strop sweep --run s" in said.err
    assert "0 of 2 runs finished" in strop("show", "s").out
    assert not (tmp_path / "s/seed-1").exists()
    assert strop("sweep", "--run", "s").code == 0
    assert strop("train", "mine.py", "seed=0", "--run", "whole").code == 0
    assert rows(tmp_path / "s/seed-0") == rows(tmp_path / "whole")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["seed=0..1"], "which recipe?"),
        (["mine.py"], "a sweep gives a field several values"),
        (["mine.py", "seed=0,x"], "seed=x: allowed is a whole number"),
        (["mine.py", "sed=0,1"], "did you mean seed?"),
        (["mine.py", "seed=1,01"], "seed-1 and seed-01 are the same run"),
        (["mine.py", "two_words", "seed=0,1"], "one recipe, not 2"),
        (["nowhere.py", "seed=0,1"], "there is no recipe file nowhere.py"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_trained(strop, table_recipe, tmp_path, words, message):
    table_recipe()
    said = strop("sweep", *words)
    assert said.code == 2
    assert message in said.err
    assert not (tmp_path / "runs").exists()


def test_another_sweep_in_the_same_folder_is_refused(strop, swept, table_recipe):
    table_recipe(name="other.py")
    for words, message in [
        (["mine.py", "seed=0..1", "steps=9"], "the sweep there has steps as in the recipe, not steps=9"),
        (["other.py", "seed=0..1"], "runs/s is a sweep of mine.py, not of other.py"),
        (["mine.py", "steps=1,2"], "anything else is another sweep"),
    ]:
        said = strop("sweep", *words, "--run", "runs/s")
        assert said.code == 2
        assert message in said.err
    table_recipe(reward='lambda task, episode: float(episode.text == "a")')
    said = strop("sweep", "--run", "runs/s", "seed=2")
    assert said.code == 1
    assert "mine.py has changed since the sweep began" in said.err
    shutil.rmtree(swept / "seed-0")
    said = strop("show", "s")
    assert "seed-0  not begun" in said.out
