"""A run that no reward pays, such as distillation: nothing on its screen and its page tells of rewards."""

import json

import pytest

RECIPE = '''
import strop

STUDENT = strop.policies.Scratch(words=["a", "b"], width=8, num_heads=1, num_layers=1)


def long(task, episode):
    """One number."""
    return 0.5


def recipe():
    return strop.TrainConfig(
        policy=STUDENT,
        tasks=[strop.Task("one", "a"), strop.Task("two", "b")],
        rewards=REWARDS,
        algorithm=strop.algorithms.Distillation.Config(teacher=STUDENT),
        sampling=strop.Sampling(max_tokens=2),
        group_size=2,
        prompts_per_step=2,
        steps=2,
        threads=1,
    )
'''


@pytest.fixture
def trained(strop, tmp_path):
    """Train it with these rewards: what was said, and the page as JSON."""

    def train(rewards):
        (tmp_path / "mine.py").write_text(RECIPE.replace("REWARDS", rewards))
        said = strop("train", "mine.py", "--run", "runs/r")
        return said, json.loads(strop("show", "r", "--json").out)

    return train


def test_distillation_shows_its_loss_and_no_reward(trained, strop):
    said, page = trained("[]")
    assert "no signal" not in said.err
    assert "reward 0" not in said.err
    assert "loss" in said.err
    assert "optimizer/loss" in page["curves"]
    assert not {"reward/mean", "reward/std", "signal/groups"} & set(page["last"])
    assert page["best"] is None
    assert "no signal" not in str(page["events"])


def test_a_reward_that_is_only_watched_is_measured(trained):
    _, page = trained("[long]")
    assert page["last"]["reward/mean"] == 0.5
