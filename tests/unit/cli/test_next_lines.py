"""What is printed to be typed works when it is typed."""

import json
import re
import shlex
from pathlib import Path

import pytest

from strop.runs.standing import OUT_OF_TIME

JUDGE = """
import strop

PAIR = {"chosen": "a", "rejected": "b"}


def recipe():
    return strop.TrainConfig(
        policy=strop.policies.Scratch(words=["a", "b"], width=8, num_heads=1, num_layers=1, value_head=True),
        tasks=[strop.Task("one", "a", data=PAIR), strop.Task("two", "b", data=PAIR)],
        algorithm=strop.algorithms.RewardModel.Config(),
        steps=2,
        threads=1,
    )
"""
CART = '''
import strop
from strop.types import End, Step


class Line:
    """Numbers in, an action out."""

    def __init__(self, task, rng):
        pass

    def start(self):
        return "[0.5, -1.0]"

    def step(self, text):
        return Step("", reward=float(text == "left"), end=End.TERMINATED)

    def close(self):
        pass


def recipe():
    return strop.TrainConfig(
        policy=strop.policies.MLP.Config(actions=["left", "right"], size=2, hidden=(4,)),
        tasks=[strop.Task("line", "")],
        held_out=[strop.Task("judged", "")],
        environment=Line,
        algorithm=strop.algorithms.REINFORCE.Config(),
        sampling=strop.Sampling(max_tokens=1),
        steps=2,
        threads=1,
    )
'''
WITHOUT_REWARD = """
import strop

PAIR = {"chosen": "a", "rejected": "b"}


def recipe():
    return strop.TrainConfig(
        policy=strop.policies.Scratch(words=["a", "b"], width=8, num_heads=1, num_layers=1),
        tasks=[strop.Task("one", "a", answer="b", data=PAIR), strop.Task("two", "b", answer="a", data=PAIR)],
        algorithm=strop.algorithms.NAME.Config(),
        steps=2,
        threads=1,
    )
"""


def lines_of(text):
    """The commands behind "next:" or "continue with:", each whole on a line of its own."""
    told = re.split(r"next:\n|with:\n|on:\n", text)[-1]
    found = [re.match(r" +(strop [^\n]*?)(  \S.*)?$", line) for line in told.splitlines()]
    return [one[1] for one in found if one]


@pytest.fixture
def write(tmp_path):
    def write(text, name="r.py"):
        (tmp_path / name).write_text(text)
        return name

    return write


@pytest.mark.matrix
@pytest.mark.parametrize(
    ("text", "verbs"),
    [
        (JUDGE, ["show", "plot"]),
        (CART, ["show", "plot", "eval"]),
        (WITHOUT_REWARD.replace("NAME", "SFT"), ["chat", "show", "plot"]),
        (WITHOUT_REWARD.replace("NAME", "DPO"), ["chat", "show", "plot"]),
    ],
    ids=["reward model", "numbers", "SFT", "DPO"],
)
def test_next_lines_work_when_typed(strop, write, text, verbs, monkeypatch):
    monkeypatch.setattr("builtins.input", lambda: (_ for _ in ()).throw(EOFError))
    said = strop("train", write(text), "--run", "runs/r")
    assert said.code == 0, said.err
    lines = lines_of(said.err)
    assert [line.split()[1] for line in lines] == verbs
    for line in lines:
        typed = strop(*shlex.split(line)[1:])
        assert typed.code == 0, typed.err


def test_without_rewards_there_are_texts_but_no_held_out_scores(strop, write):
    text = WITHOUT_REWARD.replace("NAME", "SFT").replace(
        "algorithm=",
        'sampling=strop.Sampling(max_tokens=2), held_out=[strop.Task("judged", "a b")],\n        algorithm=',
    )
    said = strop("train", write(text), "--run", "runs/r")
    assert said.code == 0, said.err
    assert "no held-out score" in said.out
    assert "before" in said.out
    assert "before, reward" not in said.out
    assert "reward" not in said.err.split("judging", 1)[1]
    judged = strop("eval", "r")
    assert judged.code == 0, judged.err
    assert json.loads(strop("eval", "r", "--json").out)["scores"] == {}
    assert "held_out/reward" not in strop("show", "r").out


def test_a_run_without_steps_is_not_said_to_have_no_rewards(strop, table_recipe):
    said = strop("train", table_recipe(), "steps=0", "--run", "r")
    assert said.code == 0
    assert "no rewards" not in said.out


def test_a_reward_model_says_how_to_read_its_scores(strop, write):
    said = strop("train", write(JUDGE), "--run", "runs/r")
    (line,) = [line.strip() for line in said.err.splitlines() if "TrainedScore" in line]
    program: dict = {}
    exec(line.partition("  in Python")[0], program)
    assert len(program["score"]("a", ["b", "a"])) == 2


@pytest.mark.parametrize(("text", "why"), [(JUDGE, "scores texts and writes none"), (CART, "reads no text")])
def test_chat_with_a_policy_that_writes_no_text_says_why(strop, write, text, why):
    assert strop("train", write(text), "--run", "runs/r").code == 0
    said = strop("chat", "r")
    assert said.code == 1
    assert why in said.err


@pytest.mark.matrix
@pytest.mark.parametrize("columns", [40, 80])
def test_commands_stay_whole_on_a_narrow_terminal(strop, table_recipe, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    run = f"runs/{'a-long-name-' * 4}end"
    said = strop("train", table_recipe(), "--run", run)
    assert [line.split()[2] for line in lines_of(said.err)] == [run] * 4
    assert strop("train", "--resume", "--run", run, "steps=9", "checkpoint_every=9").code == 0
    assert "…" not in said.err + said.out


def test_an_interrupted_run_shows_the_whole_line_that_continues_it(strop, table_recipe, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    run = f"runs/{'a-long-name-' * 4}end"
    broken = table_recipe(reward="lambda task, episode: 1 / 0")
    assert strop("train", broken, "--run", run).code == 1
    assert f"strop train --resume --run {run}\n" in strop("show", run).out


def test_a_recipe_file_is_named_again_with_what_was_set_on_it(strop, table_recipe):
    broken = table_recipe(reward='lambda task, episode: float("nan")')
    said = strop("train", broken, "policy.words=a,b,c", "--run", "r")
    assert said.code == 1
    (line,) = lines_of(said.err)
    assert line == "strop train mine.py --resume --run r policy.words=a,b,c"
    table_recipe()  # the correction
    assert strop(*shlex.split(line)[1:]).code == 0


def test_a_number_that_is_not_finite_says_what_to_change_first(strop, table_recipe):
    big = table_recipe(
        reward='lambda task, episode: 1e30 * (episode.text == "b")', replace=[("Table.Config", "Scratch")]
    )
    said = strop("train", big, "--run", "r")
    assert said.code == 1
    assert "is not finite. Before it goes on, change" in said.err
    for name in ("algorithm.optimizer.lr", "max_grad_norm", "dtype", "rewards"):
        assert name in said.err
    assert lines_of(said.err) == ["strop train mine.py --resume --run r algorithm.optimizer.lr=0.05"]
    (error,) = [one for one in json.loads(strop("show", "r", "--json").out)["events"] if one["level"] == "error"]
    assert "Before it goes on, change" in error["text"]
    assert "failures/step-000000" in error["text"]


def test_fewer_steps_than_done_are_refused_with_the_line_that_was_meant(strop, table_recipe):
    assert strop("train", table_recipe(), "--run", "runs/r").code == 0
    config = Path("runs/r/config.json").read_text()
    said = strop("train", "--resume", "--run", "runs/r", "steps=2")
    assert said.code == 1
    assert "has 3 steps behind it, and steps=2 is fewer" in said.err
    assert "are done; to go on" not in said.err
    assert Path("runs/r/config.json").read_text() == config
    line = re.search(r"strop (train --resume .*)$", said.err, flags=re.MULTILINE)[1]
    assert strop(*shlex.split(line)).code == 0
    assert json.loads(strop("show", "r", "--json").out)["done"] == 5  # 3 and the 2 more that were asked for


def test_a_run_of_so_many_minutes_says_that_they_are_used_up_and_how_to_go_on(strop, table_recipe):
    said = strop("train", table_recipe(), "minutes=1e-9", "--run", "runs/r")  # less than any step takes
    assert said.code == 0, said.err
    assert "3 steps or 1e-09 minutes of training, whichever ends first" in said.err
    page = json.loads(strop("show", "r", "--json").out)
    assert (page["status"], page["done"], page["steps"]) == (OUT_OF_TIME, 1, 3)
    assert page["verdicts"]  # it was judged at its end
    said = strop("train", "--resume", "--run", "runs/r")
    assert said.code == 0
    assert "its 1e-09 minutes are used up; to go on:" in said.err
    assert "minutes=2e-09" in said.err
    said = strop("train", "--resume", "--run", "runs/r", "minutes=1e-10")
    assert said.code == 1
    assert "minutes=1e-10 is less: minutes counts from the start of the run" in said.err
    assert strop("train", "--resume", "--run", "runs/r", "minutes=none").code == 0
    assert json.loads(strop("show", "r", "--json").out)["done"] == 3


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf"])
def test_minutes_are_positive_and_finite(strop, table_recipe, minutes):
    said = strop("train", table_recipe(), f"minutes={minutes}", "--run", "runs/r")
    assert said.code == 2
    assert f"minutes={float(minutes)}: it is positive and finite" in said.err
