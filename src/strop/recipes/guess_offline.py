"""Learn to guess well from logs of bad guessing alone: ILQL on the episodes of a random player.

Five words in order, three guesses, and "before" or "after" between them. The logged player guesses at random and
finds the word in 1 - (4/5)^3 = 49 % of its games; halving finds it always. No logged game has to be good: the values
combine the good guesses of many games. Replace `logged_games` by `data="file.jsonl"` or `data="runs/mine"` for logs of
your own (`strop.data.played`).
"""

from __future__ import annotations

import numpy as np

import strop
from strop.environments import GuessWord
from strop.streams import stream
from strop.types import Task

WORDS = ("ant", "bee", "cat", "dog", "elk")
REPLIES = ("before", "after")
GUESSES = 3


def game(id: str, answer: str) -> Task:
    """A game to be played."""
    return Task(id, "guess", answer, {"words": list(WORDS), "turns": GUESSES})


def logged_games(num: int, seed: int = 0) -> list[Task]:
    """Games of a uniformly random player; each task holds the transcript."""
    rng = stream(seed, "logged games")
    return [_played(game(f"game-{i}", WORDS[int(rng.integers(len(WORDS)))]), rng) for i in range(num)]


def _played(task: Task, rng: np.random.Generator) -> Task:
    env, turns, end = GuessWord(task, rng), [], None
    env.start()
    while end is None:
        text = WORDS[int(rng.integers(len(WORDS)))]
        step = env.step(text)
        turns.append({"text": text, "reply": step.text, "reward": step.reward})
        end = step.end
    # the third guess is the last by the rules of the game, so nothing that follows could count
    return Task(task.id, task.prompt, task.answer, {**task.data, "played": turns, "end": "terminated"})


def recipe() -> strop.TrainConfig:
    """Under a minute on one thread. The words are the whole game; so the same ones are judged, greedily."""
    table = strop.policies.Table.Config(words=[*WORDS, *REPLIES, "guess"], value_head=True)
    return strop.TrainConfig(
        policy=strop.policies.Steered.Config(base=table),
        tasks=logged_games(1500),
        held_out=[game(f"held-out-{word}", word) for word in WORDS],
        environment=GuessWord,
        algorithm=strop.algorithms.ILQL.Config(
            optimizer=strop.optimizer.AdamW(lr=0.05), discount=1.0, level=0.95, target_share=0.2
        ),
        sampling=strop.Sampling(temperature=0.0, max_tokens=1),
        memory=strop.memory.Dataset.Config(size=64),
        steps=120,
        threads=1,
    )
