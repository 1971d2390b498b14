"""Every task of docs/tasks: the right answer gets the most, a wrong one less, and the dice decide alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import small_descriptions
import strop
from strop.baselines import at_random
from strop.beside import Attempt, attempts_of
from strop.recipes import answer, games, reading, reason, sentiment, summarise

REVIEWS = ("a joy from start to end", "so dull that half the house left", "tender and wise", "a waste of an evening")
MOST = 1.0
"""What the right answer gets in every task of one turn."""
SMALL_GAMES = ("nim", "tictactoe", "gridworld", "guess_number", "frozen_lake", "blackjack", "taxi")


def reviews(folder: Path) -> str:
    """Forty reviews, no two alike."""
    lines = ["text,label"]
    for i in range(40):
        label = "positive" if i % 2 == 0 else "negative"
        lines.append(f"number {i} {'abcdefghij'[i % 10] * 3} {REVIEWS[i % 4]} said {i * 7919},{label}")
    (folder / "reviews.csv").write_text("\n".join(lines), encoding="utf-8")
    return str(folder / "reviews.csv")


def questions(folder: Path) -> str:
    lines = ["question\tanswer", *(f"Who is number {i}?\t{['Ann', 'Bob', 'Cid', 'Dan'][i % 4]}{i}" for i in range(40))]
    (folder / "questions.tsv").write_text("\n".join(lines), encoding="utf-8")
    return str(folder / "questions.tsv")


@pytest.fixture
def config(request, tmp_path, monkeypatch):
    """The last stage of a task on small data, without gold, which may need a model."""
    monkeypatch.setattr(answer, "own_answers", lambda model, tasks: tasks)
    made = {
        "sentiment": lambda: sentiment.recipe(reviews(tmp_path)),
        "summarise": lambda: summarise.recipe(str(small_descriptions.write(tmp_path / "d.jsonl")))[-1].config,
        "answer": lambda: answer.recipe(questions(tmp_path))[-1].config,
        "reading": lambda: reading.recipe()[-1].config,
        "reason": lambda: reason.recipe("sums"),
    }[request.param]()
    return replace(made, policy="smollm2", gold=(), held_out=made.held_out[:8])


def right(task, seen):
    return task.answer


def wrong(task, seen):
    return next(choice for choice in seen.choices if choice != task.answer) if seen.choices else "zzz"


def empty(task, seen):
    return wrong(task, seen) if seen.choices else ""


def rewards(attempts: list[Attempt], name: str) -> list[float]:
    found = [one.reward for one in attempts if one.baseline == name]
    assert None not in found
    return [reward for reward in found if reward is not None]


@pytest.mark.parametrize("config", ["sentiment", "summarise", "answer", "reading", "reason"], indirect=True)
def test_the_right_answer_gets_the_most_and_a_bad_one_is_answered(config):
    config = replace(config, baselines={"right": right, "wrong": wrong, "empty": empty}).resolve()
    found = attempts_of(config)
    assert rewards(found, "right") == pytest.approx([MOST] * len(config.held_out))
    assert all(reward < MOST for name in ("wrong", "empty") for reward in rewards(found, name))
    assert found == attempts_of(config)


@pytest.mark.parametrize("game", SMALL_GAMES)
def test_random_play_ends_and_the_perfect_player_is_not_beaten(game):
    config = games.recipe(game)
    config = replace(config, held_out=config.held_out[:12], baselines={"random": at_random, **dict(config.baselines)})
    config = replace(config, baselines={name: config.baselines[name] for name in ("random", "perfect")}).resolve()
    found = attempts_of(config)
    chance, perfect = rewards(found, "random"), rewards(found, "perfect")
    assert len(chance) == len(perfect) == len(config.held_out)
    assert sum(perfect) >= sum(chance)
    assert found == attempts_of(config)


@pytest.mark.parametrize("game", SMALL_GAMES)
def test_an_illegal_move_is_answered_where_moves_are_free(game):
    """Without choices any text may come: it is never an error."""
    config = games.recipe(game)
    restricted = config.environment

    class Free:
        """The game, which tells nobody what is legal."""

        def __init__(self, task, rng):
            self.env = restricted(task, rng)

        def start(self):
            said = self.env.start()
            return said.text if isinstance(said, strop.Step) else said

        def step(self, text):
            return replace(self.env.step(text), choices=None)

        def close(self):
            self.env.close()

    bad = {"zzz": strop.baselines.Always("zzz"), "empty": strop.baselines.Always("")}
    config = replace(config, environment=Free, held_out=config.held_out[:3], baselines=bad, gold={})
    found = attempts_of(config.resolve())
    assert None not in [one.reward for one in found]
