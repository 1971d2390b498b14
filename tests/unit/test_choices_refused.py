"""Choices that are missing, that a sampler cannot take, or that a conversation does not have are told in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import strop
from strop.cli.main import main
from strop.codec import WordCodec
from strop.policies.table import Table
from strop.rollout.play import Scene, play
from strop.samplers.local import LocalSampler
from strop.types import Completion, End, Sampling, Step, Task

MOVES = ("left", "up")
WORDS = WordCodec([*MOVES, "go"], has_end=True)
TASKS = [Task("0", "go"), Task("1", "go")]


class Moves:
    """Says in its Step what may follow, once."""

    def __init__(self, task: Task, rng: Any) -> None:
        pass

    def start(self) -> Step:
        return Step("go", choices=MOVES)

    def step(self, text: str) -> Step:
        return Step("", reward=float(text == "up"), end=End.TERMINATED)

    def close(self) -> None:
        pass


def config(**changed: Any) -> strop.TrainConfig:
    fields: dict[str, Any] = {
        "policy": strop.policies.Table.Config(words=[*MOVES, "go"], has_end=True),
        "tasks": TASKS,
        "environment": Moves,
        "algorithm": strop.algorithms.RLOO.Config(optimizer=strop.optimizer.SGD(lr=1.0)),
        "sampling": Sampling(max_tokens=1),
        "steps": 1,
    }
    return strop.TrainConfig(**(fields | changed))


def test_judging_by_choices_where_nobody_gives_any_is_refused_at_once() -> None:
    pays = {"paid": lambda task, episode: 1.0}
    alone = config(environment=strop.environments.SingleTurn, rewards=pays, judgement="choices")
    with pytest.raises(ValueError, match=r"there are none: give sampling\.choices"):
        alone.resolve()
    config(judgement="choices").resolve()  # this environment may give them
    named = Sampling(max_tokens=1, choices=MOVES)
    config(environment=strop.environments.SingleTurn, rewards=pays, judgement="choices", sampling=named).resolve()


def test_a_sampler_that_takes_no_choices_is_told_what_to_take() -> None:
    class Old:
        def publish(self, policy: Any) -> None:
            pass

        def sample(self, prompts: Any, sampling: Sampling, rngs: Any) -> list[Completion]:
            return [Completion((0,), None, "stop") for _ in prompts]

    scene = Scene(environment=Moves, rewards={}, codec=WORDS, context=None, seed=0)
    with pytest.raises(ValueError, match=r"Old\.sample cannot be told the choices of an action .* fourth\s+argument"):
        play(scene, TASKS, 1, Old(), Sampling(max_tokens=1), "train", 0)  # type: ignore[arg-type]
    free = Scene(environment=strop.environments.SingleTurn, rewards={}, codec=WORDS, context=None, seed=0)
    assert len(play(free, TASKS, 1, Old(), Sampling(max_tokens=1), "train", 0)) == 2  # type: ignore[arg-type]


def test_a_text_is_encoded_once_for_all_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    read, encode = list[str](), WordCodec.encode

    def noted(self: WordCodec, text: str) -> Any:
        read.append(text)
        return encode(self, text)

    scene = Scene(environment=Moves, rewards={}, codec=WORDS, context=None, seed=0)
    sampler = LocalSampler(Table(len(WORDS.words), order=1), WORDS.stop)
    monkeypatch.setattr(WordCodec, "encode", noted)
    for step in range(3):
        play(scene, TASKS, 2, sampler, Sampling(max_tokens=1, temperature=1.0 + step), "train", step)
    assert sorted(text for text in read if text in MOVES) == sorted(MOVES)


def test_chat_says_that_nobody_gives_it_the_choices_of_its_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    strop.train(config(), "runs/moves", progress=False)
    free = config(environment=strop.environments.SingleTurn, rewards={"paid": lambda task, episode: 1.0})
    strop.train(free, "runs/free", progress=False)
    for name, is_told in (("moves", True), ("free", False)):
        capsys.readouterr()
        assert main(["chat", f"runs/{name}", "--once", "go"]) == 0
        assert ("its environment told turn by turn" in capsys.readouterr().err) is is_told
