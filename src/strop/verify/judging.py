"""Held-out evaluation: means over scored answers only."""

from __future__ import annotations

from collections.abc import Iterator

from strop.codec import WordCodec
from strop.environments.single_turn import SingleTurn
from strop.evaluate import judge
from strop.policies.table import Table
from strop.rollout.play import Scene
from strop.samplers.local import LocalSampler
from strop.types import Episode, Sampling, Task, Unscored
from strop.verify.checks import Gap

PAID: dict[str, float | None] = {"a": 1.0, "b": None, "c": -0.5, "d": 2.0}
"""The reward of each task's answer; None is Unscored."""
GOLD: dict[str, tuple[float | None, float]] = {"a": (0.5, 4.0), "b": (2.0, 1.0), "c": (None, 8.0), "d": (1.0, 0.0)}


def paid(task: Task, one: Episode) -> float | Unscored:
    """The reward."""
    number = PAID[task.id]
    return Unscored("no judge") if number is None else number


def gold(which: int) -> object:
    """One of two scores that are not trained on."""

    def score(task: Task, one: Episode) -> float | Unscored:
        number = GOLD[task.id][which]
        return Unscored("no judge") if number is None else number

    return score


def check_held_out() -> Iterator[Gap]:
    """held-out: means over scored answers; Unscored ones are counted, and are not 0."""
    words = list(PAID)
    codec = WordCodec(words, has_end=False)
    policy = Table(len(words))
    rewards = {"paid": (paid, 1.0), "gold/x": (gold(0), 0.0), "gold/y": (gold(1), 0.0)}
    scene = Scene(environment=SingleTurn, rewards=rewards, codec=codec, context=None, seed=0)  # type: ignore[arg-type]
    tasks = [Task(word, word) for word in words]
    _, metrics = judge(scene, tasks, LocalSampler(policy, codec.stop), Sampling(max_tokens=2), 0, {"x": 3.0, "y": 1.0})
    wanted = {
        "held_out/reward": 2.5 / 3,
        "held_out/paid": 2.5 / 3,
        "held_out/gold/x": 3.5 / 3,
        "held_out/gold/y": 13 / 4,
        "held_out/gold": ((3 * 0.5 + 4) / 4 + (3 * 2 + 1) / 4 + 3 / 4) / 3,  # without c, whose x is missing
        "held_out/tokens": 2.0,
        "held_out/unscored": 1 / 4,
    }
    for name, number in wanted.items():
        yield Gap(abs(metrics[name] - number), 1e-12, name.removeprefix("held_out/"))
