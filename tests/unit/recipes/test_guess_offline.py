"""Guessing from logs: what the logged player is worth, and that ILQL gets from it what halving gets."""

from dataclasses import replace

import pytest

import strop
from strop.data.played import played
from strop.memory import Dataset
from strop.recipes.guess_offline import GUESSES, WORDS, logged_games, recipe
from strop.runs.progress import Progress
from strop.verify.tabular import guess_optimum


def test_the_logs_are_of_a_uniformly_random_player():
    config = recipe().resolve()
    _, codec = config.policy.build(0, "float32")
    returns = [episode.reward for episode in played(config.tasks, codec)]
    # 1 - (4/5)^3 = .488; three standard errors of 1500 coins are 3 sqrt(.488 * .512 / 1500) = .039
    assert sum(returns) / len(returns) == pytest.approx(1 - (1 - 1 / len(WORDS)) ** GUESSES, abs=0.039)
    assert max(len(task.data["played"]) for task in config.tasks) == GUESSES


def test_the_best_player_never_misses():
    assert max(guess_optimum(list(WORDS), GUESSES)[()].values()) == pytest.approx(1.0)


@pytest.mark.learning
def test_ilql_reaches_the_optimum_from_random_logs(tmp_path):
    run = strop.train(recipe(), tmp_path / "run", progress=Progress.silent())
    before, after = (row["held_out/reward"] for row in run.metrics() if "held_out/reward" in row)
    assert before < 0.5
    assert after == 1.0


def test_it_plays_nothing(tmp_path):
    few = replace(recipe(), tasks=logged_games(4), steps=1, memory=Dataset.Config(size=4))
    run = strop.train(few, tmp_path / "run", progress=Progress.silent())
    assert run.episodes() == []
