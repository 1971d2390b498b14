"""A run small enough to kill often: four numbers, Adam, a memory of the last steps, and every kind of random generator.

As a script: `python tiny_run.py DIR STEPS` starts or continues the run in DIR.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from strop.rollout.engine import OfflineEngine
from strop.runs.directory import RunDirectory, is_run
from strop.runs.progress import Progress
from strop.runs.recorder import RunRecorder
from strop.streams import stream
from strop.types import (
    Batch,
    Completion,
    Draw,
    End,
    Episode,
    Max,
    Mean,
    Part,
    Parts,
    Pick,
    Sampling,
    State,
    Task,
    Turn,
    Unscored,
    Update,
)

STOP = 9


def make_episode(id: str = "0/0", tokens: Sequence[int] = (1, 2, STOP), reward: float = 0.5, **facts: Any) -> Episode:
    """A single-turn episode."""
    tokens = tuple(tokens)
    finish = "stop" if tokens and tokens[-1] == STOP else "length"
    logprobs = tuple(-0.1 * (i + 1) / 3 for i in range(len(tokens)))
    turn = Turn((5, 6), Completion(tokens, logprobs, finish), " ".join(map(str, tokens)))
    basics: dict[str, Any] = {
        "id": id,
        "task": Task("task", "say"),
        "group": 0,
        "turns": (turn,),
        "final": (),
        "end": End.TERMINATED,
        "parts": {"good": Part(1.0, reward)},
    }
    return Episode(**{**basics, **facts})


def make_batch(draw: Draw) -> Batch:
    """One row a pick: two prompt tokens, then the completion of its only turn."""
    B, T = len(draw), 2 + max(pick.episode.num_actions for pick in draw)
    tokens_BT = torch.zeros(B, T, dtype=torch.int64)
    action_BT = torch.zeros(B, T, dtype=torch.bool)
    for row, pick in enumerate(draw):
        tokens = (*pick.episode.turns[0].prompt, *pick.episode.turns[0].completion.tokens)
        tokens_BT[row, : len(tokens)] = torch.tensor(tokens)
        action_BT[row, 2 : len(tokens)] = True
    zeros_B, rows_B = torch.zeros(B, dtype=torch.int64), torch.arange(B)
    returns = [pick.episode.reward for pick in draw]
    return Batch(
        tokens_BT=tokens_BT,
        action_BT=action_BT,
        logprobs_BT=torch.zeros(B, T, dtype=torch.float64),
        rewards_BT=torch.zeros(B, T, dtype=torch.float64),
        allowed_BT=torch.full((B, T), -1),
        next_BT=torch.full((B, T), -1),
        version_B=zeros_B,
        episode_B=rows_B,
        turn_B=zeros_B,
        offset_B=zeros_B,
        source_E=zeros_B,
        group_E=zeros_B,
        return_E=torch.tensor([0.0 if isinstance(r, Unscored) else r for r in returns], dtype=torch.float64),
        weight_E=torch.ones(B, dtype=torch.float64),
        cut_E=torch.zeros(B, dtype=torch.bool),
        parts_EK=torch.zeros(B, 1, dtype=torch.float64),
        part_weight_K=torch.ones(1, dtype=torch.float64),
        allowed_SK=torch.zeros(0, 0, dtype=torch.int64),
    )


class TinyPolicy:
    vocabulary = 10

    def __init__(self) -> None:
        self.weight = torch.nn.Parameter(torch.linspace(-1, 1, 4))

    def state_dict(self) -> State:
        return {"weight": self.weight}

    def load_state_dict(self, state: State) -> None:
        self.weight.data.copy_(state["weight"])


class TinyEngine(OfflineEngine):
    """Draws from keyed streams and from every global generator: only a full restore repeats it."""

    def publish(self, policy: TinyPolicy) -> None:
        self.policy = policy

    def rollout(self, tasks: TinyTasks, step: int) -> list[Episode]:
        (task,) = tasks.next(1)
        episodes = []
        for i in range(4):
            noise = random.random() + np.random.random() + float(torch.rand(()))
            reward = float(self.policy.weight.detach()[i]) + noise
            length = int(stream(0, "sample", step, i).integers(1, 4))
            tokens = [i] * length + [STOP]
            episodes.append(make_episode(f"{step}/{i}", tokens, reward, task=task, group=step))
        return episodes


class TinyTasks:
    def __init__(self) -> None:
        self.cursor = 0

    def next(self, n: int) -> list[Task]:
        self.cursor += n
        return [Task(f"task-{self.cursor}", "say", data={"n": self.cursor})]

    def observe(self, episodes: Sequence[Episode]) -> None:
        """Outcomes change nothing."""

    def measures(self) -> dict[str, float]:
        return {}

    def state_dict(self) -> State:
        return {"cursor": self.cursor}

    def load_state_dict(self, state: State) -> None:
        self.cursor = state["cursor"]


class TinyMemory:
    """The episodes of the last three steps."""

    def __init__(self) -> None:
        self.episodes: list[Episode] = []

    def add(self, episodes: Sequence[Episode]) -> None:
        self.episodes = [*self.episodes, *episodes][-12:]

    def draws(self, rng: np.random.Generator) -> Iterable[Draw]:
        for _ in range(2):
            yield tuple(Pick(self.episodes[i]) for i in rng.permutation(len(self.episodes))[:6])

    def feedback(self, draw: Draw, priority_K: torch.Tensor | None) -> None:
        """No priorities here."""

    def held(self) -> list[str]:
        return [episode.id for episode in self.episodes]

    def state_dict(self) -> State:
        return {"ids": self.held()}

    def load_state_dict(self, state: State, episodes: Mapping[str, Episode]) -> None:
        self.episodes = [episodes[id] for id in state["ids"]]


class TinyAlgorithm:
    def __init__(self, policy: TinyPolicy) -> None:
        self.policy = policy
        self.optimizer = torch.optim.Adam([policy.weight], lr=0.1)

    def update(self, batch: Batch) -> Update:
        loss = ((self.policy.weight.sum() - batch.return_E.float()) ** 2).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        metrics = {"policy/loss": Mean(float(loss.detach()), 1), "policy/sampler_gap_max": Max(1e-6)}
        return Update(metrics, {"advantage": batch.return_E[:, None].expand_as(batch.tokens_BT)})

    def state_dict(self) -> State:
        return {"optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: State) -> None:
        self.optimizer.load_state_dict(state["optimizer"])


class TinyCodec:
    stop = frozenset({STOP})
    end = STOP


def make_parts() -> Parts:
    policy = TinyPolicy()
    return Parts(policy, TinyEngine(), TinyTasks(), TinyMemory(), TinyAlgorithm(policy), TinyCodec())  # type: ignore[arg-type]


def judge(parts: Parts, step: int) -> tuple[list[Episode], dict[str, float]]:
    """An evaluation that draws from the global generators too."""
    torch.rand(3)
    reward = -abs(float(parts.policy.weight.detach().sum()) - 1.0)  # type: ignore[attr-defined]
    return [make_episode(f"held_out/{i}", reward=reward, group=i) for i in range(2)], {"held_out/reward": reward}


def make_recorder(directory: RunDirectory, **options: Any) -> RunRecorder:
    usual: dict[str, Any] = {
        "sampling": Sampling(max_tokens=8),
        "evaluate": judge,
        "eval_every": 4,
        "checkpoint_every": 3,
        "keep_episode_steps": 5,
        "progress": Progress.silent(),
    }
    return RunRecorder(directory, **{**usual, **options})


def run_loop(parts: Parts, recorder: RunRecorder, n: int) -> None:
    """The loop of the library, with a collate of its own."""
    for step in recorder.steps(parts, n):
        parts.engine.publish(parts.policy)
        episodes = parts.engine.rollout(parts.tasks, step)
        parts.memory.add(episodes)
        for draw in parts.memory.draws(stream(0, "draws", step)):
            batch = make_batch(draw)
            update = parts.algorithm.update(batch)
            parts.memory.feedback(draw, update.priority_K)
            recorder.update(step, draw, batch, update)
        recorder.finish(step, episodes)


def seed_everything() -> None:
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)


def main(path: str, n: int) -> None:
    torch.set_num_threads(1)
    seed_everything()
    resume = is_run(path)
    directory = RunDirectory.open(path) if resume else RunDirectory.create(path, {"steps": n}, {})
    parts = make_parts()
    with make_recorder(directory, resume=resume) as recorder:
        run_loop(parts, recorder, n)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
