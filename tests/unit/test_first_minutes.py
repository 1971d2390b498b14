"""First steps in Python: tab completion, a run by its name, training without output."""

import subprocess
import sys
from pathlib import Path

import pytest

import strop
import table_run


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("room", "some"),
    [
        ("algorithms", {"GRPO", "DPO", "PPO", "QLearning"}),
        ("environments", {"SingleTurn", "from_gymnasium"}),
        ("rewards", {"Repetition", "from_trl"}),
        ("memory", {"Fresh", "Replay"}),
        ("policies", {"Table", "Transformer", "LoRA", "MLP"}),
        ("samplers", {"LocalSampler", "ScriptedSampler"}),
        ("schedules", {"Linear", "Exponential"}),
        ("optimizer", {"AdamW", "SGD"}),
        ("planning", {"FiniteMDP", "TreeSearch"}),
    ],
)
def test_tab_lists_what_a_room_holds_and_all_of_it_is_there(room, some):
    listed = dir(getattr(strop, room))
    assert some <= set(listed)
    assert not [name for name in listed if name.startswith("_")]
    for name in listed:
        assert getattr(getattr(strop, room), name) is not None


def test_tab_and_records_load_no_torch():
    lines = [
        "import sys, strop",
        "assert {'load', 'train', 'planning'} <= set(dir(strop))",
        "for room in ('algorithms', 'environments', 'policies', 'rewards', 'planning'):",
        "    assert len(dir(getattr(strop, room))) > 3",
        "assert {'LocalSampler', 'ScriptedSampler'} <= set(dir(strop.samplers))",
        "repr(strop.Task('a', 'b'))",
        "assert 'torch' not in sys.modules",
    ]
    subprocess.run([sys.executable, "-c", "\n".join(lines)], check=True)


def test_load_finds_a_run_by_folder_name_and_checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    strop.train(table_run.config(), "runs/first", progress=False)
    for name in ("runs/first", "first", Path("runs/first"), tmp_path / "runs" / "first", "~/runs/first"):
        assert strop.load(name).path.resolve() == tmp_path / "runs" / "first"
    assert strop.load("first").selector == "latest"
    assert strop.load("first@best").selector == "best"
    assert strop.load("first@2").config.steps == 2


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fisrt", "In runs there is: first"),
        ("first@7", "there is no checkpoint 7; there are 0, 2"),
        ("first@newest", "after @ give a step"),
        ("runs", "no run there"),
        ("", "no run there"),
    ],
)
def test_load_names_what_is_there_instead(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    strop.train(table_run.config(), "runs/first", progress=False)
    with pytest.raises(ValueError, match=message):
        strop.load(name)


@pytest.mark.matrix
def test_progress_is_plain_lines_or_nothing(tmp_path, capsys):
    strop.train(table_run.config(), tmp_path / "shown")
    said = capsys.readouterr()
    assert said.out == ""
    assert "step 2/2" in said.err
    assert "\x1b" not in said.err  # no terminal, no cursor movements
    strop.train(table_run.config(), tmp_path / "silent", progress=False)
    assert capsys.readouterr() == ("", "")
