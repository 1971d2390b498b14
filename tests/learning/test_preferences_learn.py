"""Learning from preferences, from samples and data: each method reaches what its loss has as its optimum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from exact.learners import GRADIENT
from strop.algorithms.distillation import Distillation
from strop.algorithms.dpo import DPO
from strop.algorithms.ipo import IPO
from strop.algorithms.online_dpo import OnlineDPO
from strop.algorithms.process_reward_model import ProcessRewardModel
from strop.algorithms.reward_model import RewardModel
from strop.algorithms.robust_dpo import RobustDPO
from strop.batch import collate
from strop.data.preferences import preferences
from strop.environments.single_turn import SingleTurn
from strop.memory import Dataset
from strop.optimizer import SGD, AdamW
from strop.policies.scratch import Scratch
from strop.policies.table import Table
from strop.rollout.engine import EmbeddedEngine
from strop.rollout.play import Scene
from strop.samplers.local import LocalSampler
from strop.types import Pick, PolicyConfig, Sampling, Task
from strop.verify.learning import WANTED, WORDS
from strop.verify.preference_learning import drawn, logits_after

pytestmark = pytest.mark.learning
SEEDS = [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3, 4))]
READ_VALUES = (RewardModel, ProcessRewardModel)
OFFLINE = [kind for kind in GRADIENT if kind.Config.reads == "preferences" and kind not in READ_VALUES]


def pairs() -> list[Task]:
    """The wanted colour beside each other one, for both prompts."""
    colours = ("red", "green", "blue")
    return [
        Task(f"{prompt}{wrong}", prompt, data={"chosen": right, "rejected": wrong})
        for prompt, right in WANTED.items()
        for wrong in colours
        if wrong != right
    ]


def taught(config: Any, policy: Any, codec: Any, tasks: list[Task], updates: int, seed: int, size: int = 8) -> Any:
    algorithm = config.build(policy, Sampling(), 4096)
    memory = Dataset.Config(size=size).build()
    memory.add(preferences(tasks, codec))
    rng = np.random.default_rng(seed)
    for _ in range(updates):
        for draw in memory.draws(rng):
            algorithm.update(collate(draw, policy.layout))
    return algorithm


@torch.no_grad()
def probs_of(policy: Any, codec: Any, prompt: str) -> dict[str, float]:
    logits, _ = policy.prefill([codec.start(prompt)])
    return dict(zip([*WORDS, "<end>"], torch.softmax(logits[0].double(), -1).tolist(), strict=True))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", OFFLINE)
def test_the_chosen_answers_win_in_a_tiny_transformer(kind: Any, seed: int) -> None:
    policy, codec = Scratch(words=WORDS, width=32, num_heads=2).build(seed, "float32")
    taught(kind.Config(optimizer=AdamW(lr=3e-3)), policy, codec, pairs(), 60, seed)
    for prompt, right in WANTED.items():
        after = probs_of(policy, codec, prompt)
        assert all(after[right] > 2 * after[wrong] for wrong in ("red", "green", "blue") if wrong != right)


@pytest.mark.parametrize("seed", SEEDS)
def test_dpo_fits_the_flipped_labels_that_robust_dpo_undoes(seed: int) -> None:
    # share of wins .7 * .881 + .3 * .119 = .652: log-odds .63; clean ones 2 (a row of `strop verify`)
    games = drawn({"red": 2.0, "blue": 0.0}, 4000, seed, flipped=0.3)
    got = logits_after(games, DPO.Config(optimizer=SGD(lr=4.0), beta=1.0))
    assert got["red"] - got["blue"] == pytest.approx(0.63, abs=0.15)


@pytest.mark.parametrize("seed", SEEDS)
def test_ipo_stops_at_its_margin_where_dpo_runs_on(seed: int) -> None:
    task = [Task("1", "x", data={"chosen": "red", "rejected": "blue"})]
    margins = {}
    for config in (IPO.Config(optimizer=SGD(lr=0.1), tau=0.25), DPO.Config(optimizer=SGD(lr=2.0), beta=1.0)):
        policy, codec = Table.Config(words=WORDS).build(seed)
        taught(config, policy, codec, task, 200, seed, size=2)
        row = policy.weight[policy.row((0,))].detach()
        margins[type(config)] = (row[WORDS.index("red")] - row[WORDS.index("blue")]).item()
    assert margins[IPO.Config] == pytest.approx(1 / (2 * 0.25), abs=1e-6)
    assert margins[DPO.Config] > 5.0


class Tasks:
    def next(self, n: int) -> list[Task]:
        return [Task(prompt, prompt) for prompt in WANTED][:n]

    def observe(self, episodes: Sequence[Any]) -> None:
        """Outcomes change nothing."""

    def measures(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


def played(config: Any, policy: Any, codec: Any, reward: Any, steps: int, seed: int, group: int, size: int = 1) -> None:
    sampling = Sampling(max_tokens=size)
    algorithm = config.build(policy, sampling, 4096)
    scene = Scene(environment=SingleTurn, rewards={"r": (reward, 1.0)}, codec=codec, context=policy.context, seed=seed)
    engine = EmbeddedEngine(scene, LocalSampler(policy, codec.stop), sampling, group, 2)
    for step in range(steps):
        algorithm.update(collate(tuple(Pick(one) for one in engine.rollout(Tasks(), step)), policy.layout))


@pytest.mark.parametrize("seed", SEEDS)
def test_distillation_ends_at_the_teacher(seed: int) -> None:
    teacher = Scratch(words=WORDS, width=32, num_heads=2)
    wanted, codec = teacher.build(0, "float32")

    class Sharp(PolicyConfig):
        """The teacher with its logits made ten times as far apart."""

        def build(self, seed: int, dtype: str, device: str = "cpu") -> Any:
            with torch.no_grad():
                wanted.model.model.norm.weight.fill_(10.0)
            return wanted, codec

    policy, _ = Table.Config(words=WORDS, has_end=True).build(seed)
    config = Distillation.Config(optimizer=AdamW(lr=0.1), teacher=Sharp())
    played(config, policy, codec, lambda task, one: 0.0, 60, seed, group=32, size=2)
    for prompt in WANTED:
        student, master = probs_of(policy, codec, prompt), probs_of(wanted, codec, prompt)
        kl = sum(p * math.log(p / master[word]) for word, p in student.items())
        start = sum(math.log(1 / 6 / p) / 6 for p in master.values())
        assert kl < 0.05 < 0.5 < start


@pytest.mark.parametrize("seed", SEEDS)
def test_online_dpo_prefers_what_pays_and_its_pull_to_the_start_holds(seed: int) -> None:
    pays = {"red": 1.0, "green": 0.5}
    policy, codec = Table.Config(words=WORDS).build(seed)
    config = OnlineDPO.Config(optimizer=AdamW(lr=0.1), beta=0.5)
    played(config, policy, codec, lambda task, one: pays.get(one.text, 0.0), 40, seed, group=8)
    for prompt in WANTED:
        row = policy.weight[policy.row((WORDS.index(prompt),))].detach()
        probs = dict(zip(WORDS, torch.softmax(row, -1).tolist(), strict=True))
        assert probs["red"] > 0.6
        assert probs["green"] > max(probs[word] for word in ("x", "y", "blue"))


def test_every_preference_method_is_covered() -> None:
    assert {RobustDPO, DPO, IPO} <= set(OFFLINE)
