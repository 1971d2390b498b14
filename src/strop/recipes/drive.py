"""Drive on a motorway that is told in words, from scratch: imitate a rule, then learn from rewards by PPO.

    strop train drive
    strop train drive policy=mlp
    strop train drive teacher=none

Twenty seconds among twenty cars, and each second one of five words. From rewards alone a policy soon says one word for
ever, since most seconds are easy; so it imitates a rule first, and then drives where it sometimes crashes
(docs/tasks/drive.md). The package highway-env is needed: pip install "strop[drive]".
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import strop
from strop.baselines.chance import at_random
from strop.environments.drive import (
    FARS,
    HOLD,
    NUM_NUMBERS,
    WALL,
    WHEEL,
    Drive,
    Scene,
    require_highway,
)
from strop.policies.mlp import MLP
from strop.recipes._small import small_transformer
from strop.recipes._teacher import taught
from strop.rewards.drive import safe
from strop.types import Observation, PolicyConfig, Task

Kind = Literal["scratch", "mlp"]
TURNS = 20
NUM_TAUGHT, NUM_TRAIN, NUM_JUDGED = 60, 256, 100
"""Scenes that the rule drives, those of training, and those that are held out."""
TAUGHT_STEPS = 300
"""The most steps of imitation: 80 times each of the rule's drives."""
DENSE = 1.5
"""Density of the cars in every other scene of training. Held-out scenes have highway-env's own, which is 1."""
HELD_OUT_FROM, TAUGHT_FROM = 1_000_000, 2_000_000
"""First seeds of held-out scenes, and of those that the rule drives. Those of training are below."""
ARRIVES = 13.0
"""What every drive without a crash earns at least (20 x 2/3 = 13.3), and none with one before its 14th second."""
WORDS = (
    *("speed", "aim", "ahead", "behind", "then", WALL, "here"),
    *(*FARS, *WHEEL),
    *(str(speed) for speed in range(0, 45, 5)),
)
CONTEXT = 32
"""The words of a scene, and one for the wheel."""
BESIDE, TIGHT, FAR = (FARS.index(word) for word in ("beside", "tight", "far"))


def rule(task: Task, seen: Observation) -> str:
    """Go where the most room ahead is, unless somebody is beside there; drive fast with 40 m of room, brake below 12 m.

    Room is the nearer of where a car is now and where it is in two seconds. Equal room: here before right before left.
    """
    rooms = _rooms(seen)
    here, _ = rooms["here"]
    free = [side for side in ("right", "left") if rooms[side][0] > here and rooms[side][1] > BESIDE]
    if free:
        return max(free, key=lambda side: rooms[side][0])
    word = "faster" if here >= FAR else "slower" if here <= TIGHT else HOLD
    return word if word in seen.choices else HOLD  # at the highest speed and the lowest


def _rooms(seen: Observation) -> dict[str, tuple[int, int]]:
    """The room of each lane, ahead and behind, as places in `FARS`; -1 behind a wall."""
    text = str(Scene.of_numbers(seen.text)) if seen.text.startswith("[") else seen.text
    lanes = [line.split() for line in text.split("\n")[1:]]
    return {lane[0]: (min(map(_place, lane[2:5:2])), min(map(_place, lane[6:9:2]))) for lane in lanes}


def _place(word: str) -> int:
    return -1 if word == WALL else FARS.index(word)


def recipe(
    policy: Kind = "scratch",
    teacher: Literal["rule", "none"] = "rule",
    minutes: float = 10,
    steps: int = 1000,
    seed: int = 0,
) -> strop.TrainConfig | list[strop.Stage]:
    """Ten minutes on one thread, most of them the simulator's; with a teacher half a minute more, before it starts.

    policy   scratch is a small transformer that reads words, mlp a network that reads the numbers behind them
    teacher  rule: imitate it for a fifth of the minutes, and go on from there; none: rewards alone
    minutes  of training
    steps    the most steps, of 16 drives each
    seed     of the run, and of the scenes of training
    """
    require_highway("strop train drive")
    tells = "numbers" if policy == "mlp" else "words"
    config = strop.TrainConfig(
        policy=policy_of(policy),
        tasks=strop.data.Learnable(tasks=train_scenes(tells, seed), success=ARRIVES),
        held_out=[scene("held-out", HELD_OUT_FROM + i, tells) for i in range(NUM_JUDGED)],
        environment=Drive,
        baselines={"random": at_random, "hold": strop.baselines.Always(HOLD), "rule": rule},
        gold={"safe": safe},
        algorithm=strop.algorithms.PPO.Config(
            optimizer=strop.optimizer.AdamW(lr=1e-3, max_grad_norm=0.5),
            kl=strop.functional.KL(weight=0.0),
            critic=strop.learners.Critic(weight=1.0),
            discount=0.9,
            entropy=0.01,
            epochs=4,
            minibatches=8,
        ),
        sampling=strop.Sampling(max_tokens=1),
        group_size=1,
        prompts_per_step=16,
        steps=steps,
        minutes=minutes,
        seed=seed,
        threads=1,
    )
    return config if teacher == "none" else with_rule(config, tells)


def scene(name: str, number: int, tells: str, density: float = 1.0) -> Task:
    """A drive through the scene of this number."""
    data = {"scene": number, "turns": TURNS, "density": density, "tells": tells}
    return Task(f"{name}-{number}", "", data=data)


def train_scenes(tells: str, seed: int) -> list[Task]:
    """The scenes of training: half of them denser than those that it is judged on."""
    first = seed * NUM_TRAIN % (HELD_OUT_FROM - NUM_TRAIN)
    return [scene("train", first + i, tells, DENSE if i % 2 else 1.0) for i in range(NUM_TRAIN)]


def with_rule(config: strop.TrainConfig, tells: str) -> list[strop.Stage]:
    """First imitate the rule on scenes of its own, then go on as `config` does, in the same minutes together."""
    first = TAUGHT_FROM + config.seed * NUM_TAUGHT
    scenes = [scene("rule", first + i, tells, DENSE if i % 2 else 1.0) for i in range(NUM_TAUGHT)]
    drives = strop.data.demonstrations(Drive, rule, scenes, config.seed)
    return taught(gently(config), drives, size=16, steps=TAUGHT_STEPS, name="drive")


def gently(config: strop.TrainConfig) -> strop.TrainConfig:
    """With smaller steps, of which the value loss is a smaller part: its head is new and shares what imitation made."""
    assert isinstance(config.algorithm, strop.algorithms.PPO.Config), "the recipe sets it"
    optimizer, critic = replace(config.algorithm.optimizer, lr=3e-4), strop.learners.Critic(weight=0.1)
    return replace(config, algorithm=replace(config.algorithm, optimizer=optimizer, critic=critic))


def policy_of(kind: Kind) -> PolicyConfig:
    """What reads the scene and says what to do, with a value head."""
    if kind == "mlp":
        return MLP.Config(actions=WHEEL, size=NUM_NUMBERS, value_head=True)
    return small_transformer(WORDS, CONTEXT)
