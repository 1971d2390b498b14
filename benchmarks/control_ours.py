"""Our side of `benchmarks/control.py`: the settings, and strop's own loop under a budget of turns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np

import strop
from strop.environments.gymnasium import numbers_as_json
from strop.loop import loop
from strop.optimizer import AdamW
from strop.runs.spec import encode
from strop.schedules import Linear
from strop.types import AlgorithmConfig, Batch, Codec, Draw, Episode, MemoryConfig, Parts, Policy, State, Task, Update

ACTIONS = {"CartPole-v1": ("0", "1"), "Acrobot-v1": ("0", "1", "2")}
SIZE = {"CartPole-v1": 4, "Acrobot-v1": 6}
VELOCITIES = np.array([1.0, 1.0, 1.0, 1.0, 4.0, 9.0])
"""Acrobot's velocities end at 4 pi and 9 pi: divided by these, they end at pi, as angles do."""
REWARD = 0.05
"""What a turn of Acrobot costs while it learns: 1 in Gymnasium, where a critic needs long to reach values near -100."""
PPO = strop.algorithms.PPO.Config(
    optimizer=AdamW(lr=1e-3, max_grad_norm=0.5),
    kl=strop.functional.KL(),
    discount=0.99,
    epochs=8,
    minibatches=4,
)
ALGORITHMS: dict[tuple[str, str], AlgorithmConfig] = {
    ("CartPole-v1", "DQN"): strop.algorithms.DQN.Config(
        optimizer=AdamW(lr=1e-3, max_grad_norm=10.0), target_every=50, n_step=1
    ),
    ("CartPole-v1", "A2C"): strop.algorithms.A2C.Config(
        optimizer=AdamW(lr=5e-3, max_grad_norm=0.5), discount=0.99, n_step=None, entropy=0.001
    ),
    ("CartPole-v1", "PPO"): replace(
        PPO, optimizer=AdamW(lr=Linear(start=1e-3, end=0.0, steps=3600), max_grad_norm=0.5), epochs=16
    ),
    ("Acrobot-v1", "DQN"): strop.algorithms.DQN.Config(
        optimizer=AdamW(lr=Linear(start=6e-4, end=0.0, steps=48_000), max_grad_norm=10.0),
        target_every=1,
        target_share=0.01,
        n_step=3,
    ),
    ("Acrobot-v1", "A2C"): strop.algorithms.A2C.Config(
        optimizer=AdamW(lr=1e-3, max_grad_norm=0.5), discount=0.99, n_step=5, entropy=0.0
    ),
    ("Acrobot-v1", "PPO"): PPO,
}
EPISODES = {
    ("CartPole-v1", "DQN"): 1,
    ("CartPole-v1", "A2C"): 4,
    ("CartPole-v1", "PPO"): 4,
    ("Acrobot-v1", "DQN"): 1,
    ("Acrobot-v1", "A2C"): 1,
    ("Acrobot-v1", "PPO"): 4,
}
"""Episodes of a step."""
HIDDEN = {("CartPole-v1", "DQN"): (128, 128), ("Acrobot-v1", "DQN"): (128, 128)}
"""Widths of the layers where they are not (64, 64)."""
EXPLORE = {"CartPole-v1": Linear(start=1.0, end=0.04, steps=60), "Acrobot-v1": Linear(start=1.0, end=0.05, steps=12)}
"""The randomness of DQN, by the episode."""
REPLAY: dict[str, MemoryConfig] = {
    "CartPole-v1": strop.memory.Replay.Config(capacity=50_000, size=64, num_draws=64, n_step=1, warmup=500),
    "Acrobot-v1": strop.memory.Replay.Config(capacity=50_000, size=64, per_turn=True, n_step=3, warmup=500),
}
STEPS = 1_000_000
"""More than any budget allows: the budget ends the run."""


def scaled(observation: Any) -> str:
    """Acrobot's observation with its velocities as wide as angles."""
    return numbers_as_json(observation / VELOCITIES)


def cheap_acrobot() -> Any:
    """Acrobot-v1, whose turns cost REWARD."""
    return gymnasium.wrappers.TransformReward(gymnasium.make("Acrobot-v1"), lambda reward: REWARD * reward)


def config(environment: str, algorithm: str, seed: int) -> strop.TrainConfig:
    """The settings of one run."""
    is_dqn = algorithm == "DQN"
    make, to_text = (cheap_acrobot, scaled) if environment == "Acrobot-v1" else (environment, numbers_as_json)
    return strop.TrainConfig(
        policy=strop.policies.MLP.Config(
            actions=ACTIONS[environment],
            size=SIZE[environment],
            hidden=HIDDEN.get((environment, algorithm), (64, 64)),
            activation="relu" if (environment, algorithm) == ("Acrobot-v1", "DQN") else "tanh",
            value_head=not is_dqn,
        ),
        tasks=[Task(id=environment, prompt="")],
        environment=strop.environments.from_gymnasium(make, to_text=to_text),
        algorithm=ALGORITHMS[environment, algorithm],
        memory=REPLAY[environment] if is_dqn else None,
        sampling=strop.Sampling(
            temperature=0.0 if is_dqn else 1.0, epsilon=EXPLORE[environment] if is_dqn else 0.0, max_tokens=1
        ),
        group_size=EPISODES[environment, algorithm],
        prompts_per_step=1,
        steps=STEPS,
        seed=seed,
        threads=1,
        micro_tokens=65_536,
    )


class Budget:
    """A Recorder that counts turns of the environment and ends the run with its budget.

    Episodes are whole, so the last step may cross the budget. What the policy learnt from that step is taken back: the
    policy that is judged has learnt from `learnt` turns, never more than the budget.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.played = self.learnt = self.updates = 0
        self.returns: list[float] = []

    def steps(self, parts: Parts, n: int) -> Iterator[int]:
        for step in range(n):
            before: State = parts.policy.state_dict()
            yield step
            if self.played > self.budget:
                parts.policy.load_state_dict(before)
                return
            self.learnt = self.played
            if self.played == self.budget:
                return

    def update(self, step: int, draw: Draw, batch: Batch, update: Update) -> None:
        self.updates += 1

    def finish(self, step: int, episodes: Sequence[Episode]) -> None:
        self.played += sum(len(episode.turns) for episode in episodes)
        for episode in episodes:
            assert isinstance(episode.reward, float), episode.error
            self.returns.append(episode.reward)

    def fail(self, step: int, error: BaseException) -> None:
        raise error


class Actor:
    """The greedy policy: observations [N, S] to actions."""

    def __init__(self, settings: strop.TrainConfig, policy: Policy, codec: Codec) -> None:
        self.to_text = settings.environment.to_text  # type: ignore[attr-defined]
        self.policy, self.codec = policy, codec

    def __call__(self, observed_NS: np.ndarray) -> list[int]:
        logits_NV, _ = self.policy.prefill([self.codec.start(self.to_text(observed_S)) for observed_S in observed_NS])
        return logits_NV.argmax(dim=-1).tolist()


def describe(environment: str, algorithm: str) -> str:
    """The settings of a run of any seed."""
    return json.dumps(encode(config(environment, algorithm, seed=0).resolve()), sort_keys=True)


def learn(environment: str, algorithm: str, seed: int, budget: int) -> tuple[Actor, int]:
    """One run of strop's own loop: who acts after it, and how many turns it learnt from (never above the budget)."""
    settings = config(environment, algorithm, seed).resolve()
    settings.set_up_torch()
    counter = Budget(budget)
    policy = loop(settings, counter)
    assert not isinstance(settings.policy, str)
    _, codec = settings.policy.build(seed)  # type: ignore[call-arg]
    return Actor(settings, policy, codec), counter.learnt
