"""Commands that read a run."""

import json
import shutil
from contextlib import chdir
from pathlib import Path

import pytest

from strop.cli.main import main
from strop.cli.output import number, sparkline

WALK = """
import strop
from strop.types import End, Step


class Walk:
    def __init__(self, task, rng):
        self.left = 200

    def start(self):
        return "a"

    def step(self, text):
        self.left -= 1
        return Step("a", reward=float(text == "a"), end=None if self.left else End.TERMINATED)

    def close(self):
        pass


def recipe():
    return strop.TrainConfig(
        policy=strop.policies.Table.Config(words=["a", "b"], has_end=False, order=1),
        tasks=[strop.Task("one", "a")],
        environment=Walk,
        algorithm=strop.algorithms.REINFORCE.Config(),
        sampling=strop.Sampling(max_tokens=1),
        group_size=2,
        prompts_per_step=1,
        steps=1,
        threads=1,
    )
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory, table_text):
    """A folder with a recipe and its finished run."""
    folder = tmp_path_factory.mktemp("made")
    with chdir(folder):
        Path("mine.py").write_text(table_text)
        assert main(["train", "mine.py", "steps=12", "--run", "runs/r"]) == 0
    return folder


@pytest.fixture
def run(made, tmp_path, strop):
    """A copy of it, in the folder where the test is."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return "runs/r"


def test_show_has_status_curves_table_and_episodes(strop, run):
    said = strop("show", "r")
    assert said.code == 0
    for piece in ("runs/r: finished, 12 of 12 steps", "reward/mean", "the learnt table (", "best episode of step 11"):
        assert piece in said.out


def test_show_json_holds_the_learnt_table(strop, run):
    page = json.loads(strop("show", run, "--json").out)
    assert page["table"]["a"]["b"] > page["table"]["a"]["a"]  # b pays 1, a pays 0
    assert page["checkpoints"][-1] == 12


def test_show_episodes_of_a_step(strop, run):
    found = json.loads(strop("show", run, "--episodes", 3, "--json").out)
    assert len(found) == 8
    assert {one["step"] for one in found} == {3}
    missing = strop("show", run, "--episodes", 99)
    assert missing.code == 1
    assert "0 to 11" in missing.err


def test_show_says_what_differs_and_with_verbose_everything(strop, run):
    short, full = strop("show", "r").out, strop("show", "r", "--verbose").out
    assert "algorithm.optimizer.lr=0.1" in short
    assert "algorithm.optimizer.eps" not in short
    for setting in ("algorithm.optimizer.eps=1e-08", "algorithm.optimizer.lr=0.1", "micro_tokens=4096"):
        assert setting in full
    page = json.loads(strop("show", "r", "--json").out)
    assert "algorithm.optimizer.eps=1e-08" in page["fields"]
    assert page["config"] == json.loads(Path("runs/r/plan.json").read_text())


def test_show_of_a_run_that_has_no_plan_yet(strop, run):
    Path("runs/r/plan.json").unlink()
    assert "REINFORCE" in strop("show", "r").out


def test_a_resume_with_other_fields_updates_the_plan(strop, run):
    assert strop("train", "--resume", "--run", "r", "steps=13", "group_size=1").code == 0
    plan = json.loads(Path("runs/r/plan.json").read_text())
    assert "2 prompts x 1 sample = 2 episodes" in plan["a step"]
    assert plan["run"].startswith("13 steps")


def test_show_counts_a_warning_that_repeats_and_the_store_keeps_each(strop, table_recipe):
    same = table_recipe(reward="lambda task, episode: 1.0")
    said = strop("train", same, "steps=4", "--run", "flat")
    assert said.err.count("groups give no signal") == 2  # said once, and counted at the end
    assert "warning, again at 3 more steps: 2 of 2 groups give no signal" in said.err
    assert " ".join(strop("show", "flat").out.split()).count("(again at 3 more steps)") == 1
    events = json.loads(strop("show", "flat", "--json").out)["events"]
    assert [event["step"] for event in events if "give no signal" in event["text"]] == [0, 1, 2, 3]


@pytest.mark.matrix
def test_the_numbers_of_the_gap_are_in_show_only(strop, table_recipe):
    said = strop("train", table_recipe(), "--run", "r2")
    assert "sampler and trainer agree\n" in said.err
    assert "nats" not in said.err
    assert "agree: gap max" in " ".join(strop("show", "r2").out.split())


def test_a_text_that_was_cut_says_so(strop, table_recipe):
    longer = table_recipe(replace=[("max_tokens=1", "max_tokens=3"), ("has_end=True", "has_end=False")])
    said = strop("train", longer, "--run", "cut")
    assert "after, reward 0.000, cut at max_tokens" in " ".join(said.out.split())
    assert "cut at max_tokens" in strop("show", "cut").out
    listed = strop("show", "cut", "--episodes", 0).out
    assert listed.count("cut at max_tokens") == 8
    assert "terminated" not in listed
    assert "0.000, cut at max_tokens" in strop("score", longer).out
    assert all(one["cut"] for one in json.loads(strop("show", "cut", "--episodes", 0, "--json").out))


def test_an_action_of_one_token_is_not_called_cut(strop, run):
    assert "cut at max_tokens" not in strop("show", "r", "--episodes", 0).out + strop("show", "r").out


def test_many_short_turns_are_shown_on_a_few_lines(strop, tmp_path):
    (tmp_path / "walk.py").write_text(WALK)
    assert strop("train", "walk.py", "--run", "walk").code == 0
    said = strop("show", "walk").out
    assert len(said.splitlines()) < 45
    assert "(200 turns)" in said


def test_eval_repeats_the_judgement_and_pairs_it_with_the_start(strop, run):
    judged = json.loads(strop("eval", "r", "--json").out)
    page = json.loads(strop("show", "r", "--json").out)
    assert judged["verdicts"] == page["verdicts"]
    assert judged["prompts"] == 2
    assert judged["scores"]["reward"] == judged["verdicts"][0]["after"]
    assert "95 % intervals: Blaker's and MOVER for right-or-wrong scores, else Student's t" in strop("eval", "r@10").out


def test_eval_needs_a_recipe_for_a_model(strop, tiny_model, table_recipe):
    said = strop("eval", tiny_model)
    assert said.code == 2
    assert "--recipe" in said.err
    judged = json.loads(strop("eval", tiny_model, "--recipe", table_recipe(), "--json").out)
    assert judged["step"] is None
    assert set(judged["scores"]["reward"]) == {"mean", "low", "high", "reason"}


def test_plot_writes_a_picture(strop, run, tmp_path):
    said = strop("plot", "r", "-o", "curves/c.svg")
    assert (said.code, said.out) == (0, "curves/c.svg\n")
    assert (tmp_path / "curves/c.svg").read_text().startswith("<?xml")
    assert strop("plot", "r", "-o", "c.bmp").code == 1


def test_score_of_a_text_shows_every_part(strop, table_recipe):
    said = strop("score", table_recipe(), "b")
    assert "said_b  1.000" in said.out
    scored = json.loads(strop("score", "mine.py", "a", "--task", "two", "--json").out)
    assert (scored["task"], scored["reward"]) == ("two", 0.0)


def test_score_of_the_start_model_counts_groups_with_signal(strop, table_recipe):
    found = json.loads(strop("score", table_recipe(), "--groups", 5, "--json").out)
    assert (found["groups"], found["samples"]) == (5, 20)
    assert sum(count for *_, count in found["histogram"]) == 20
    assert 0.0 < found["mean"] < 1.0
    assert "signal" in strop("score", "mine.py").out


def test_score_says_when_there_is_no_signal(strop, table_recipe):
    said = strop("score", table_recipe(replace=[('float(episode.text == "b")', "1.0")]))
    assert "No signal" in said.out
    assert "too easy" in said.out


def test_chat_answers_once_on_stdout(strop, run):
    said = strop("chat", "r", "--once", "a", "--temperature", 0)
    assert (said.code, said.out, said.err) == (0, "b\n", "")


def test_chat_goes_on_after_an_unknown_word(strop, run, monkeypatch):
    lines = iter(["hello", "a", "/new", "b", "/quit"])
    monkeypatch.setattr("builtins.input", lambda: next(lines))
    said = strop("chat", "runs/r@best")
    assert said.code == 0
    assert "error: 'hello' is not in the vocabulary" in said.err
    assert len(said.out.splitlines()) == 2


def test_chat_ends_at_end_of_file(strop, run, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda: (_ for _ in ()).throw(EOFError))
    assert strop("chat", "r").code == 0


def test_chat_says_when_the_context_is_full(strop, tiny_model):
    said = strop("chat", tiny_model, "--once", "cat " * 300, "--max-tokens", 4)
    assert said.code == 1
    assert "the context is full" in said.err


def test_an_exported_table_answers_like_its_run(strop, run, tmp_path):
    said = strop("export", "r", "out")
    assert (said.code, said.out) == (0, "out\n"), said.err
    asked = ("--once", "a", "--temperature", 0, "--max-tokens", 2)
    assert strop("chat", "out", *asked).out == strop("chat", "r", *asked).out


def test_sparkline_spans_its_range():
    assert sparkline([0.0, 0.5, 1.0]) == "▁▅█"  # 0.5 of 7 levels is level 4 (round half to even: 3.5 -> 4)
    assert sparkline([2.0, 2.0]) == "▄▄"
    assert sparkline([]) == ""
    assert len(sparkline([float(i) for i in range(1000)], width=30)) == 30


def test_numbers_lose_decimals_as_they_grow():
    assert [number(value) for value in (0.12345, -0.0001, 12.346, 123.46, 12345.6, float("nan"))] == [
        "0.123",
        "0.000",
        "12.35",
        "123.5",
        "12346",
        "-",
    ]
