import json
import re

import pytest


@pytest.fixture
def trained(strop, table_recipe):
    said = strop("train", table_recipe(), "--run", "runs/first")
    assert said.code == 0, said.err
    return said


def test_dry_run_shows_plan_and_prompts_and_creates_nothing(strop, table_recipe, tmp_path):
    recipe = table_recipe()
    before = sorted(tmp_path.rglob("*"))
    said = strop("train", recipe, "--dry-run")
    assert said.code == 0
    assert "2 prompts x 4 samples = 8 episodes" in said.out
    assert "prompt of task one" in said.out
    assert "1 id: 0" in said.out
    plan = json.loads(strop("train", recipe, "--dry-run", "--json").out)
    assert [sample["tokens"] for sample in plan["samples"]] == [[0], [1]]
    assert sorted(tmp_path.rglob("*")) == before


def test_train_reports_verdict_examples_and_next_lines(trained):
    assert "held out" in trained.out
    assert "the first 2 held-out prompts (not chosen)" in trained.out
    assert "tokens/s" in trained.out
    for line in ("chat", "show", "plot", "eval"):
        assert f"strop {line} runs/first" in trained.err
    assert "policy" in trained.err  # the plan is talk
    assert "algorithm" not in trained.out


def test_default_run_is_named_after_the_recipe(strop, table_recipe, tmp_path):
    said = strop("train", table_recipe(), "steps=1")
    (run,) = (tmp_path / "runs").iterdir()
    assert run.name.startswith("mine-2")
    assert f"run: runs/{run.name}" in said.err


def test_train_json_is_the_result(strop, table_recipe):
    result = json.loads(strop("train", table_recipe(), "--run", "r", "--json").out)
    assert result["run"] == "r"
    assert result["verdicts"][0]["name"] == "reward"
    assert result["interrupted"] is False


def test_existing_run_is_left_alone(strop, trained, tmp_path):
    config = (tmp_path / "runs/first/config.json").read_text()
    said = strop("train", "mine.py", "steps=9", "--run", "runs/first")
    assert said.code == 1
    assert "strop train --resume --run runs/first" in said.err
    assert (tmp_path / "runs/first/config.json").read_text() == config


def test_resume_with_a_changed_field_is_a_fork(strop, trained):
    said = strop("train", "--resume", "--run", "first", "steps=5")  # a bare name is looked up in runs
    assert said.code == 0, said.err
    page = json.loads(strop("show", "first", "--json").out)
    assert (page["done"], page["steps"]) == (5, 5)
    assert [event["text"] for event in page["events"] if event["level"] == "fork"] == ["steps: 3 -> 5"]


def test_resume_of_a_finished_run_says_how_to_go_on(strop, trained):
    said = strop("train", "--resume", "--run", "runs/first")
    assert said.code == 0
    assert "all 3 steps are done" in said.err
    assert "steps=6" in said.err


@pytest.mark.matrix
def test_resume_with_the_recipe_takes_what_was_corrected_in_it(strop, trained, table_recipe, tmp_path):
    table_recipe(replace=[('episode.text == "b"', 'episode.text == "a"')])
    said = strop("train", "mine.py", "--resume", "--run", "runs/first", "steps=4")
    assert said.code == 0, said.err
    forks = [e["text"] for e in json.loads(strop("show", "first", "--json").out)["events"] if e["level"] == "fork"]
    assert any("said_b" in text for text in forks)
    assert '== "a"' in (tmp_path / "runs/first/recipe.py").read_text()


def test_resume_that_does_not_fit_leaves_the_run_as_it_was(strop, trained, tmp_path):
    config = (tmp_path / "runs/first/config.json").read_text()
    said = strop("train", "--resume", "--run", "first", "policy.words=a,b,c", "steps=9")
    assert said.code == 1
    assert "does not fit this config" in said.err
    assert "Traceback" not in said.err
    assert (tmp_path / "runs/first/config.json").read_text() == config
    assert strop("train", "--resume", "--run", "first").code == 0


def test_lambda_rewards_can_be_resumed_and_keep_their_weight(strop, table_recipe):
    recipe = table_recipe(reward='lambda task, episode: float(episode.text == "b")')
    assert strop("train", recipe, "rewards.said_b=0.5", "--run", "r").code == 0
    said = strop("train", "--resume", "--run", "r", "steps=4")
    assert said.code == 0, said.err
    forks = [
        event["text"] for event in json.loads(strop("show", "r", "--json").out)["events"] if event["level"] == "fork"
    ]
    assert forks == ["steps: 3 -> 4"]


def test_data_replaces_the_tasks_of_the_recipe(strop, table_recipe, tmp_path):
    (tmp_path / "d.jsonl").write_text('{"prompt": "a"}\n{"prompt": "b"}\n{"prompt": "a b"}\n')
    plan = json.loads(strop("train", table_recipe(), "data=d.jsonl", "--dry-run", "--json").out)
    assert plan["tasks"] == "2 to train on, 1 held out"


def test_without_held_out_prompts_it_says_that_nothing_was_judged(strop, table_recipe):
    recipe = table_recipe(replace=[('held_out=[strop.Task("three", "a"), strop.Task("four", "b b")],', "")])
    said = strop("train", recipe, "--run", "r")
    assert said.code == 0
    assert "not judged" in said.out


def test_new_writes_a_recipe_that_trains(strop, tmp_path):
    said = strop("new", "my.py")
    assert (said.code, said.out) == (0, "my.py\n")
    text = (tmp_path / "my.py").read_text()
    items = re.findall(r'"(\w+)"', " ".join(re.findall(r"tasks\(\[.*\]\)", text)))
    words = sorted({word for item in items for word in f"A guest gave you a {item}. Answer in one sentence.".split()})
    tiny = text.replace('"smollm2"', f"strop.policies.Scratch(words={words!r})")
    assert tiny != text
    (tmp_path / "my.py").write_text(tiny)
    trained = strop("train", "my.py", "steps=2", "sampling.max_tokens=3", "threads=1", "--run", "r")
    assert trained.code == 0, trained.err
    assert "gold" in trained.out


def test_new_never_overwrites(strop, tmp_path):
    (tmp_path / "my.py").write_text("mine")
    said = strop("new", "my.py")
    assert said.code == 1
    assert (tmp_path / "my.py").read_text() == "mine"


def test_fields_lists_what_can_be_set_and_trains_nothing(strop, table_recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    recipe = table_recipe()
    said = strop("train", recipe, "algorithm=grpo", "--fields")
    assert said.code == 0
    assert "algorithm.kl.weight=0  (a number)" in said.out
    assert all(len(line) <= 40 or "=" in line for line in said.out.splitlines())
    found = {one["path"]: one for one in json.loads(strop("train", recipe, "--fields", "--json").out)}
    assert found["rewards.said_b"]["meaning"] == "weight of this reward: 1 for b."
    assert found["steps"] == {
        "path": "steps",
        "type": "a whole number",
        "value": "3",
        "default": "60",
        "meaning": "training steps of the run",
        "choices": [],
    }
    assert not (tmp_path / "runs").exists()


def test_keep_all_keeps_every_checkpoint_by_its_step(strop, table_recipe):
    assert strop("train", table_recipe(), "checkpoint_every=1", "--run", "r", "--keep-all").code == 0
    assert json.loads(strop("show", "r", "--json").out)["checkpoints"] == [0, 1, 2, 3]
    assert strop("eval", "r@1").code == 0


@pytest.mark.matrix
@pytest.mark.parametrize("late", ["result", "how_to_resume", "what_next"])
def test_a_signal_after_the_last_step_still_says_how_to_go_on(strop, table_recipe, monkeypatch, late):
    from strop.cli import show_result
    from strop.run import Run

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(show_result, late, stop)
    if late == "how_to_resume":
        monkeypatch.setattr(Run, "interrupted", property(lambda run: True))
    said = strop("train", table_recipe(), "--run", "r")
    assert said.code == 130
    assert "interrupted" in said.err
    assert "strop train mine.py --resume --run r" in said.err
