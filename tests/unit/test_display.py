"""How runs, tasks and episodes look at a prompt and in a notebook."""

import shutil
from dataclasses import replace

import pytest

import strop
import table_run
from strop.types import Completion, End, Episode, Part, Task, Turn, Unscored
from strop.types.display import LINE_CHARS

TASK = Task("sum-3", "What is 2 + 2?", answer="4")


def episode(text="It is 4.", **changed):
    turn = Turn(tuple(range(900)), Completion((7, 8, 9), (-0.1, -0.2, -0.3), "stop"), text)
    whole = Episode("0/sum-3/1", TASK, 0, (turn,), (), End.TERMINATED, parts={"right": Part(1.0, 0.75)})
    return replace(whole, **changed)


def test_a_task_shows_its_id_answer_and_prompt():
    assert repr(TASK) == "<Task sum-3, answer '4': 'What is 2 + 2?'>"
    assert repr(Task("t", [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}])) == (
        "<Task t: 'Hi'>"
    )
    assert repr(Task("t", "")) == "<Task t>"


def test_an_episode_shows_end_reward_turns_and_text():
    assert repr(episode()) == "<Episode 0/sum-3/1, terminated, reward 0.75, 1 turn: 'It is 4.'>"
    assert "0 turns" in repr(episode(turns=()))
    assert "reward 1e+300" in repr(episode(parts={"huge": Part(1.0, 1e300)}))


def test_an_unscored_episode_shows_the_last_line_of_the_reason():
    traceback = "Traceback (most recent call last):\n  File x\nKeyError: 'answer'\n"
    assert "unscored (right: Traceback" not in repr(episode(parts={"right": Part(1.0, Unscored(traceback))}))
    assert "unscored (KeyError: 'answer')" in repr(episode(parts={"right": Part(1.0, Unscored(traceback))}))
    assert "unscored (no reason given)" in repr(episode(end=End.FAILED, error=" \n"))


@pytest.mark.parametrize(
    "text", ["", "word " * 100_000, "a\nb\tc", "\x1b[31mred\x00" * 40, "'\"\\" * 50, "你好" * 500, "\ud800half"]
)
def test_a_line_is_one_line_of_bounded_length_without_token_ids(text):
    for record in (episode(text), episode(text, id="x" * 500), Task(text, text, text), episode(text).turns[0]):
        line = repr(record)
        assert len(line) <= LINE_CHARS
        assert line.isprintable()
        assert "898" not in line  # an id of the prompt
    assert "898" not in repr(strop.Pick(episode(text)))


def test_records_still_compare_by_their_fields():
    assert episode() == episode()
    assert episode() != episode("It is 5.")
    assert Task("a", "b") != Task("a", "c")
    assert hash(Completion((1,), None, "stop")) == hash(Completion((1,), None, "stop"))


def test_a_notebook_shows_escaped_short_text_and_no_colours():
    task = Task("<b>", "<script>alert(1)</script>", "x" * 5000)
    for html in (task._repr_html_(), episode("<i>" + "y" * 5000 + "\ud800", task=task)._repr_html_()):
        assert "<script>" not in html
        assert "&lt;script&gt;" in html
        assert "color" not in html
        assert len(html) < 4000
        html.encode()  # what a notebook writes into its file
    assert "right" in episode()._repr_html_()
    assert "0.75 x 1" in episode()._repr_html_()


def test_a_run_shows_how_far_it_is_and_what_it_gained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = strop.train(table_run.config(), "runs/r", progress=False)
    before, after = (one["held_out/reward"] for one in run.metrics() if "held_out/reward" in one)
    line = f"<Run runs/r: REINFORCE, finished, 2 of 2 steps, held-out reward {before:.4g} -> {after:.4g}>"
    assert repr(run) == line
    assert repr(strop.load("r@2")) == line.replace("runs/r", "runs/r@2")
    html = run._repr_html_()
    assert "<td" in html
    assert "finished, 2 of 2 steps" in html


def test_a_run_that_is_gone_or_damaged_can_still_be_printed(tmp_path):
    run = strop.train(table_run.config(), tmp_path / "r", progress=False)
    for damage in (
        lambda: (tmp_path / "r/run.sqlite").write_bytes(b"no database" * 100),
        lambda: (tmp_path / "r/config.json").write_text("[]"),
        lambda: (tmp_path / "r/config.json").write_text("{}"),
        lambda: shutil.rmtree(tmp_path / "r"),
    ):
        damage()
        assert "cannot be read" in repr(run)
        assert "cannot be read" in run._repr_html_()
