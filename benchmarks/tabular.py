"""Tabular Q-learning in a corridor of rooms: corrections of the table a second, beside a dict written by hand.

    python benchmarks/tabular.py [--rooms 12] [--episodes 32] [--steps 20] [--repeats 3]

There is no library to stand beside: the peer is the textbook's loop over a dict of lists, with the same rooms, rates
and exploration. It keeps nothing but the table; "strop" plays texts through the loop that trains language models, keeps
every episode in a run directory and measures each step, and this is what that costs. "strop update" is the learning
alone, on episodes that were played before the clock starts.
"""

from __future__ import annotations

import argparse
import random
import time

import trainers
from side_by_side import Measured, compare

import strop
from strop.batch import collate
from strop.environments.corridor import Corridor

RATE, DISCOUNT, EXPLORE, TURNS = 0.5, 0.9, 0.3, 50


def config(args: argparse.Namespace) -> strop.TrainConfig:
    words = ["left", "right", *(f"room{i}" for i in range(args.rooms))]
    return strop.TrainConfig(
        policy=strop.policies.Table.Config(words=words, order=1),
        tasks=[strop.Task("0", "", data={"room": 0, "length": args.rooms, "turns": TURNS})],
        environment=Corridor,
        algorithm=strop.algorithms.QLearning.Config(rate=RATE, discount=DISCOUNT),
        sampling=strop.Sampling(temperature=0.0, epsilon=EXPLORE, max_tokens=1),
        group_size=args.episodes,
        prompts_per_step=1,
        steps=args.steps + 1,
        checkpoint_every=10_000,
        threads=args.threads,
        seed=args.seed,
    )


def strop_side(args: argparse.Namespace) -> Measured:
    run = strop.train(config(args), trainers.folder() / "run")
    turns = [sum(len(episode.turns) for episode in run.episodes(step)) for step in range(1, args.steps + 1)]
    return measured([one["time/step_seconds"] for one in run.metrics()[1:]], turns)


def update_side(args: argparse.Namespace) -> Measured:
    parts = config(args).resolve().build()
    seconds, turns = [], []
    for step in range(args.steps + 1):
        parts.engine.publish(parts.policy)
        episodes = parts.engine.rollout(parts.tasks, step)
        turns.append(sum(len(episode.turns) for episode in episodes))
        draw = tuple(strop.Pick(episode) for episode in episodes)
        start = time.perf_counter()
        parts.algorithm.update(collate(draw, parts.policy.layout))
        seconds.append(time.perf_counter() - start)
    return measured(seconds[1:], turns[1:])


def by_hand(args: argparse.Namespace) -> Measured:
    dice = random.Random(args.seed)
    table: dict[int, list[float]] = {}
    num_actions = args.rooms + 2  # every word may be said, as on the other side; only "right" leads on
    seconds, turns = [], []
    for _ in range(args.steps + 1):
        start = time.perf_counter()
        turns.append(sum(episode(table, args.rooms, num_actions, dice) for _ in range(args.episodes)))
        seconds.append(time.perf_counter() - start)
    return measured(seconds[1:], turns[1:])


def episode(table: dict[int, list[float]], rooms: int, num_actions: int, dice: random.Random) -> int:
    """One walk, learnt from as it goes; how many corrections it made."""
    room = 0
    for turn in range(TURNS):
        values = table.setdefault(room, [0.0] * num_actions)
        action = dice.randrange(num_actions) if dice.random() < EXPLORE else values.index(max(values))
        after = max(room + (1 if action == 1 else -1), 0)
        is_done = after == rooms - 1
        ahead = 0.0 if is_done else DISCOUNT * max(table.setdefault(after, [0.0] * num_actions))
        values[action] += RATE * (float(is_done) + ahead - values[action])
        if is_done:
            return turn + 1
        room = after
    return TURNS


def measured(seconds: list[float], turns: list[int]) -> Measured:
    """Each turn is one correction. Steps of different length: speeds are those of the mean step."""
    each = sum(seconds) / len(seconds)
    return Measured([each], sum(turns) / len(turns), {"turns": float(sum(turns))})


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rooms", type=int, default=12)
    options.add_argument("--episodes", type=int, default=32, help="of a step")
    options.add_argument("--steps", type=int, default=20, help="measured in each process, after one that warms up")
    sides = {"strop": strop_side, "strop update": update_side, "by hand": by_hand}
    compare("tabular", "Tabular Q-learning", sides, "corrections", options)


if __name__ == "__main__":
    main()
