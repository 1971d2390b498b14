"""Likelihood, then reward: a counted n-gram model learns two-word tasks on top of its counts, over seeds."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

import strop
from strop.environments.single_turn import SingleTurn
from strop.functional.smoothing import add_k
from strop.memory import Replay
from strop.optimizer import SGD, AdamW
from strop.policies.ngram import NGram
from strop.types import Episode, Sampling, Task
from strop.verify.counting import counted
from strop.verify.worlds import learn

pytestmark = pytest.mark.learning
SEEDS = [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3, 4))]
WORDS = ["x", "y", "red", "green", "blue"]
WANTED = {"x": "green red", "y": "green blue"}
TASKS = [Task(prompt, prompt, answer=answer) for prompt, answer in WANTED.items()]
KINDS = strop.algorithms


def share_right(task: Task, episode: Episode) -> float:
    """The share of the wanted words that stand in their place."""
    got, wanted = episode.text.split(), task.answer.split()
    return sum(a == b for a, b in zip(got, wanted, strict=False)) / max(len(got), len(wanted))


def fluent(value_head: bool = False) -> tuple[NGram, Any]:
    """It has read that green follows either prompt, and then red, mostly. Its contexts hold all that is said here: a
    shorter one takes "x y green" for "y green", whose value DQN would believe."""
    policy, codec = strop.policies.NGram.Config(words=WORDS, order=4, value_head=value_head).build(0)
    lines = ["x green red"] * 4 + ["y green red"] * 4 + ["y green blue", "x blue", "y red"]
    counted(policy, [(codec.encode(line[:1]), (*codec.encode(line[2:]), codec.end)) for line in lines])
    return policy, codec


def greedy(policy: NGram, codec: Any, prompt: str) -> str:
    """What it says at temperature 0."""
    tokens = codec.start(prompt)
    for _ in range(4):
        token = int(policy.prefill([tokens])[0][0].argmax())
        if token == codec.end:
            break
        tokens = (*tokens, token)
    return codec.decode(tokens[len(codec.start(prompt)) :])


def test_counting_alone_says_what_is_frequent() -> None:
    policy, codec = fluent()
    assert [greedy(policy, codec, prompt) for prompt in WANTED] == ["green red", "green red"]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    "config",
    [
        KINDS.RLOO.Config(optimizer=SGD(lr=3.0)),
        KINDS.GRPO.Config(optimizer=AdamW(lr=0.1)),
        KINDS.PPO.Config(optimizer=AdamW(lr=0.1)),
    ],
    ids=["rloo", "grpo", "ppo"],
)
def test_reward_takes_it_from_there(config: Any, seed: int) -> None:
    policy, codec = fluent(value_head=isinstance(config, KINDS.PPO.Config))
    sampling = Sampling(max_tokens=3)
    algorithm = config.build(policy, sampling, 4096)
    memory = strop.memory.Fresh.Config().build()
    rewards = {"right": (share_right, 1.0)}
    learn(algorithm, policy, codec, memory, SingleTurn, TASKS, 25, seed, sampling, rewards=rewards)
    assert {prompt: greedy(policy, codec, prompt) for prompt in WANTED} == WANTED
    x, y = (policy.prefill([codec.start(f"{prompt} green")])[0][0].softmax(-1) for prompt in WANTED)
    assert min(x[codec.encode("red")[0]], y[codec.encode("blue")[0]]) > 0.8


@pytest.mark.parametrize("seed", SEEDS)
def test_dqn_learns_action_values_on_top_of_log_probs(seed: int) -> None:
    policy, codec = fluent()
    config = KINDS.DQN.Config(optimizer=AdamW(lr=0.1), target_every=5, discount=1.0, huber=None)
    sampling = Sampling(temperature=0.0, epsilon=0.3, max_tokens=3)
    memory = Replay.Config(size=64, num_draws=3).build()
    algorithm, rewards = config.build(policy, sampling, 4096), {"right": (share_right, 1.0)}
    learn(algorithm, policy, codec, memory, SingleTurn, TASKS, 40, seed, sampling, rewards=rewards)
    assert {prompt: greedy(policy, codec, prompt) for prompt in WANTED} == WANTED
    # Q of the end that is right, and of one word too many at its best: 1, and 2 of 3 places
    q_V = policy.prefill([codec.start("x green red")])[0][0]
    assert q_V[codec.end].item() == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("seed", SEEDS)
def test_sft_walks_to_where_counting_is_at_once(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    texts = torch.randint(3, (30, 5), generator=generator).tolist()
    pairs = [((row[0],), (*row[1:], 5)) for row in texts]
    at_once, walks = (NGram(6, 5, order=2, smoothing=partial(add_k, k=1e-9)) for _ in range(2))
    batch = counted(at_once, pairs)
    best = KINDS.SFT.Config().build(at_once, Sampling(), 4096).update(batch).metrics["policy/nll"].value
    algorithm = KINDS.SFT.Config(optimizer=SGD(lr=10.0)).build(walks, Sampling(), 4096)
    losses = [algorithm.update(batch).metrics["policy/nll"].value for _ in range(200)]
    assert min(losses) >= best - 1e-12
    assert losses[-1] == pytest.approx(best, abs=5e-3)
