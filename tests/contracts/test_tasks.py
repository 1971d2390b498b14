"""Every task of docs/tasks: the right answer gets the most, a wrong one less, and the dice decide alone."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import small_descriptions
import small_ratings
import strop
from strop.baselines import at_random
from strop.beside import Attempt, attempts_of
from strop.data.support import support as conversations
from strop.recipes import (
    advertise,
    allocate,
    answer,
    control,
    drive,
    games,
    reading,
    reason,
    recommend,
    sentiment,
    summarise,
    support,
    textarena,
    tools,
)
from strop.users import Customer

REVIEWS = ("a joy from start to end", "so dull that half the house left", "tender and wise", "a waste of an evening")
MOST = 1.0
"""What the right answer gets in every task of one turn."""
SMALL_GAMES = ("nim", "tictactoe", "gridworld", "guess_number", "frozen_lake", "blackjack", "taxi")
BEST = {
    **dict.fromkeys(SMALL_GAMES, "perfect"),
    "allocate": "optimum",
    "control": "follow",
    "advertise": "best",
    "drive": "rule",
    "wild": "optimum",
    "pig": "optimum",
    "secretary": "optimum",
}
"""The strongest baseline of each task of many turns."""
LONG = ("frozen_lake", "gridworld", "pig", "taxi", "wild")
NUM_JUDGED = {"control": 2, "drive": 1, **dict.fromkeys(LONG, 6)}
"""Episodes that are played, of those that take long: enough that the best player cannot pass for a random one."""


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
        "recommend": lambda: recommend.recipe(str(small_ratings.write(tmp_path / "r.csv"))),
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


@pytest.mark.parametrize(
    "config", ["sentiment", "summarise", "answer", "reading", "reason", "recommend"], indirect=True
)
def test_the_right_answer_gets_the_most_and_a_bad_one_is_answered(config):
    config = replace(config, baselines={"right": right, "wrong": wrong, "empty": empty}).resolve()
    found = attempts_of(config)
    assert rewards(found, "right") == pytest.approx([MOST] * len(config.held_out))
    assert all(reward < MOST for name in ("wrong", "empty") for reward in rewards(found, name))
    assert found == attempts_of(config)


def played(name: str) -> strop.TrainConfig:
    """The config of a task of many turns."""
    others = {
        "advertise": advertise.recipe,
        "allocate": allocate.recipe,
        "control": control.recipe,
        "drive": lambda: drive.recipe(teacher="none"),
        **{game: partial(textarena.recipe, game) for game in textarena.GAMES},
    }
    return others[name]() if name in others else games.match(name)


@pytest.mark.parametrize("name", BEST)
def test_random_play_ends_and_the_perfect_player_is_not_beaten(name):
    config = played(name)
    both = {"random": at_random, BEST[name]: config.baselines[BEST[name]]}
    config = replace(config, held_out=config.held_out[: NUM_JUDGED.get(name, 12)], baselines=both).resolve()
    found = attempts_of(config)
    chance, perfect = rewards(found, "random"), rewards(found, BEST[name])
    assert len(chance) == len(perfect) == len(config.held_out)
    assert sum(perfect) >= sum(chance)
    assert found == attempts_of(config)


@pytest.mark.parametrize("name", [*SMALL_GAMES, "allocate", "advertise", "drive", *textarena.GAMES])
def test_an_illegal_move_is_answered_where_moves_are_free(name):
    """Without choices any text may come: it is never an error."""
    config = played(name)
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
    free, held_out = replace(config.sampling, choices=()), config.held_out[: min(3, NUM_JUDGED.get(name, 3))]
    config = replace(config, environment=Free, sampling=free, held_out=held_out, baselines=bad, gold={})
    found = attempts_of(config.resolve())
    assert None not in [one.reward for one in found]


def test_who_calls_the_tools_gets_everything_and_bad_calls_are_answered(monkeypatch):
    for name in ("NUM_TRAIN", "NUM_PLAYED", "NUM_JUDGED"):
        monkeypatch.setattr(tools, name, 12)
    call = '<tool_call>{"name": "calculator", "arguments": {"expression": "9**9**9"}}</tool_call>'
    bad = {"zzz": "zzz", "empty": "", "broken": "<tool_call>{", "powers": call, "number": "7"}
    players = {name: strop.baselines.Always(text) for name, text in bad.items()}
    config = tools.recipe("smollm2", "sft")[0].config
    config = replace(config, baselines={**players, **config.baselines}).resolve()
    found = attempts_of(config)
    assert rewards(found, "scripted player") == [MOST] * 12
    assert [one.gold for one in found if one.baseline == "scripted player"] == [1.0] * 12
    assert all(rewards(found, name) == [0.0] * 12 for name in bad)
    assert sum(rewards(found, "no tools")) < 12
    assert found == attempts_of(config)


@pytest.fixture
def service(monkeypatch):
    """Customer service whose people never err."""
    for name in ("NUM_TRAIN", "NUM_LOGGED", "NUM_JUDGED"):
        monkeypatch.setattr(support, name, 12)
    config = support.recipe(model="smollm2", method="thumbs")[0].config
    return replace(config, held_out=conversations("held_out", 12, wrong=0.0))


def helped(task, seen):
    """What the person would have liked best, which only they know: ask first, then mend."""
    talk = [{"role": "user", "content": task.prompt[-1]["content"]}]
    person = Customer.of(task.data["customer"])
    if seen.turn:
        asked = person.correct(talk, seen.rng)
        talk += [{"role": "assistant", "content": asked}, {"role": "user", "content": seen.text}]
    return person.correct(talk, seen.rng)


def handed_over(task, seen):
    return next(choice for choice in seen.choices if "colleague" in choice)


def test_who_helps_gets_every_thumb_and_who_gives_up_none(service):
    bad = {"gives up": handed_over, "random": at_random, "zzz": strop.baselines.Always("zzz")}
    free = replace(service, sampling=strop.Sampling(max_tokens=8), baselines={"zzz": bad.pop("zzz")}).resolve()
    config = replace(service, baselines={"helps": helped, **bad}).resolve()
    found = [*attempts_of(config), *attempts_of(free)]
    assert rewards(found, "helps") == [MOST] * 12
    assert [one.gold for one in found if one.baseline == "helps"] == [1.0] * 12
    assert rewards(found, "gives up") == rewards(found, "zzz") == [0.0] * 12
    assert 0.0 < sum(rewards(found, "random")) < 12
    assert found == [*attempts_of(config), *attempts_of(free)]
