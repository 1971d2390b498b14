"""Runs that another version wrote: those of this format load in every later version, all others are refused in words.

`tests/fixtures/runs` holds two of them; tools/fixture_runs.py says how they were made.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from strop.reports.plan import title
from strop.run import Run
from strop.runs.directory import FORMAT
from strop.runs.names import find

FIXTURES = Path(__file__).parent.parent.parent / "fixtures/runs"
RUNS = {"table": "QLearning", "lora": "GRPO"}
COMMANDS = ("show", "eval", "plot", "chat", "export", "train --resume --run")


@pytest.fixture(params=RUNS)
def run(strop, request, tmp_path) -> str:
    """The name of a copy of one in the current folder, where its base model stands too."""
    shutil.copytree(FIXTURES, tmp_path, dirs_exist_ok=True)
    return request.param


def learnt(path: str, steps: int) -> list[dict[str, float]]:
    """What the first steps measured, but for time and memory."""
    metrics = Run(Path(path)).metrics()[:steps]
    return [{name: one[name] for name in one if not name.startswith(("time/", "memory/"))} for one in metrics]


def names_in(spec: object) -> list[str]:
    """The names of classes and functions in a config.json."""
    if isinstance(spec, list):
        return [name for inner in spec for name in names_in(inner)]
    if not isinstance(spec, dict):
        return []
    return [spec[key] for key in ("class", "name") if key in spec] + names_in(list(spec.values()))


def test_the_fixtures_are_small_and_name_nothing_inside_of_strop():
    files = [file for file in FIXTURES.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 350_000
    assert not [file for file in files if file.name.endswith(("-wal", "-shm", "lock"))]
    found = [name for run in RUNS for name in names_in(json.loads((FIXTURES / run / "config.json").read_text()))]
    assert {"strop.TrainConfig", "strop.policies.LoRA", "strop.functional.Correction", "recipe.polite"} < set(found)
    for name in found:
        if name.startswith("strop."):
            find(name)


@pytest.mark.matrix
def test_an_earlier_run_is_shown(strop, run):
    said = strop("show", run)
    assert said.code == 0, said.err
    assert f"{run}: finished, 4 of 4 steps" in said.out
    page = json.loads(strop("show", run, "--json").out)
    assert (page["done"], page["checkpoints"]) == (4, [2, 4])
    assert page["config"]["algorithm"] == RUNS[run] == title(Run(Path(run)).directory.config()["algorithm"])
    assert len(page["curves"]["reward/mean"]) == 4
    assert bool(page["table"]) == (run == "table")
    assert strop("plot", run, "-o", "curve.png").code == 0


def test_an_earlier_run_is_judged_with_the_recorded_scores(strop, run):
    said = strop("eval", run, "--json")
    assert said.code == 0, said.err
    recorded = learnt(run, 4)[-1] | Run(Path(run)).metrics()[-1]
    found = json.loads(said.out)
    assert found["scores"]["reward"]["mean"] == pytest.approx(recorded["held_out/reward"], abs=1e-9)
    assert found["verdicts"][0]["before"]["mean"] != found["scores"]["reward"]["mean"]  # what was learnt is loaded


def test_steps_done_again_from_its_first_checkpoint_are_the_recorded_ones_and_it_goes_on(strop, run, tmp_path):
    before = learnt(run, 4)
    shutil.rmtree(tmp_path / run / "checkpoints/000004")
    (tmp_path / run / "checkpoints/LATEST").write_text("000002\n")
    said = strop("train", "--resume", "--run", run, "steps=6")
    assert said.code == 0, said.err
    after = learnt(run, 6)
    assert len(after) == 6
    assert Run(Path(run)).config.steps == 6  # what it is now is read as well
    assert all("reward/mean" in one for one in after)
    for old, new in zip(before[2:], after[2:4], strict=True):
        again = {name: new[name] for name in old}  # a later version may measure more
        assert again == pytest.approx(old, rel=1e-3, abs=1e-5, nan_ok=True)


def test_a_lora_is_exported(strop, tmp_path):
    from transformers import AutoModelForCausalLM

    shutil.copytree(FIXTURES, tmp_path, dirs_exist_ok=True)
    said = strop("export", "lora", "out")
    assert (said.code, said.out) == (0, "out\n"), said.err
    policy, codec, _ = Run(Path("lora")).actor()
    tokens_BT = torch.tensor([codec.start("ant bee")])
    with torch.no_grad():
        ours = policy.model(input_ids=tokens_BT).logits
        exported = AutoModelForCausalLM.from_pretrained("out", dtype=torch.float32)(input_ids=tokens_BT).logits
        base = AutoModelForCausalLM.from_pretrained("model", dtype=torch.float32)(input_ids=tokens_BT).logits
    assert (ours - exported).abs().max() < 1e-5
    assert (ours - base).abs().max() > 1e-2


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("written", "told"), [
    (None, "names things by modules that have moved since"),
    (FORMAT + 1, f"has format {FORMAT + 1}, and this one reads {FORMAT}"),
])  # fmt: skip
def test_a_run_of_another_format_is_refused_in_one_sentence(strop, tmp_path, command, written, told):
    shutil.copytree(FIXTURES / "table", tmp_path / "old")
    file = tmp_path / "old/config.json"
    config = json.loads(file.read_text()) | {"format": written}
    file.write_text(json.dumps(config if written else {key: config[key] for key in config if key != "format"}))
    more = {"export": ["out"], "plot": ["-o", "x.png"], "chat": ["--once", "morning"]}.get(command, [])
    said = strop(*command.split(), "old", *more)
    assert (said.code, said.out) == (1, "")
    assert f"error: old was written by another version of strop: its config.json {told}; only that" in said.err
    assert "Traceback" not in said.err
    assert len(said.err.strip().splitlines()) == 1


def test_show_loads_no_torch(run):
    code = f"import sys; from strop.cli.main import main; sys.exit(main(['show', {run!r}]) or 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
