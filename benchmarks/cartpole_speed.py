"""Turns of CartPole a second, acting and learning: our DQN and PPO beside Stable-Baselines3's, with the same work.

    python benchmarks/cartpole_speed.py [--algorithm DQN] [--settings same] [--budget 10000] [--repeats 3]

`same`: one network, one batch size and as many gradient steps a turn on both sides. The pole cannot fall out of the
task here, so every episode has 200 turns and neither side gets more work by learning better. `own`: the task as it is
and the settings of control_ours.py and control_peer.py; they do different amounts of work, so that ratio says less.
Ours plays texts through the loop that trains language models. Nothing is written to a run directory on either side, and
both compute in one thread, whatever --threads says.

CleanRL is not here: its last release that Python 3.11 takes is 0.4.8 of 2021, which needs the gym of that time, and its
scripts since then are not packaged. Needs the extra strop[control].
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import control_ours
import control_peer
import gymnasium
from side_by_side import Measured, compare

import strop
from strop.loop import loop

TASK = "CartPole-v1"
TURNS = 200
"""Of an episode, with the same settings."""
HIDDEN = (64, 64)
"""The widths of the network, with the same settings."""
EVERY = 4
"""DQN: turns between gradient steps. Neither side makes one in the first episode."""
ROWS, ENVS, EPOCHS, PARTS = 32, 8, 8, 4
"""DQN's batch; PPO's episodes of a rollout, passes over them, and parts of a pass."""
WARM_UP = 1_000


def endless() -> Any:
    """CartPole whose pole may hang: only time ends an episode."""
    env = gymnasium.make(TASK, max_episode_steps=TURNS)
    env.unwrapped.theta_threshold_radians = env.unwrapped.x_threshold = float("inf")  # type: ignore[attr-defined]
    return env


def our_config(algorithm: str, seed: int) -> strop.TrainConfig:
    """The benchmark's own settings with the work made equal."""
    own = control_ours.config(TASK, algorithm, seed)
    network = replace(own.policy, hidden=HIDDEN)  # type: ignore[type-var]
    config = replace(own, policy=network, environment=strop.environments.from_gymnasium(endless))
    if algorithm == "PPO":
        ppo = replace(control_ours.PPO, epochs=EPOCHS, minibatches=PARTS)
        return replace(config, algorithm=ppo, group_size=ENVS)
    replay = strop.memory.Replay.Config(capacity=50_000, size=ROWS, num_draws=TURNS // EVERY, warmup=TURNS + 1)
    dqn = strop.algorithms.DQN.Config(optimizer=strop.optimizer.AdamW(lr=5e-4), target_every=100)
    sampling = strop.Sampling(temperature=0.0, epsilon=0.1, max_tokens=1)
    return replace(config, algorithm=dqn, memory=replay, sampling=sampling, group_size=1)


def peer_model(algorithm: str, seed: int) -> Any:
    """The same network, batch and number of gradient steps."""
    import stable_baselines3
    import torch
    from stable_baselines3.common.env_util import make_vec_env

    common = {"seed": seed, "device": "cpu", "gamma": 0.99}
    network = {"net_arch": list(HIDDEN), "activation_fn": torch.nn.Tanh}
    if algorithm == "PPO":
        rows = TURNS * ENVS // PARTS
        envs = make_vec_env(endless, ENVS, seed=seed)
        return stable_baselines3.PPO(
            "MlpPolicy", envs, n_steps=TURNS, batch_size=rows, n_epochs=EPOCHS, policy_kwargs=network, **common
        )
    return stable_baselines3.DQN(
        "MlpPolicy",
        make_vec_env(endless, 1, seed=seed),
        learning_starts=TURNS,
        batch_size=ROWS,
        buffer_size=50_000,
        train_freq=EVERY,
        target_update_interval=100 * EVERY,
        exploration_initial_eps=0.1,
        exploration_final_eps=0.1,
        policy_kwargs=network,
        **common,
    )


def our_learning(args: argparse.Namespace, budget: int) -> tuple[int, int]:
    """Turns and gradient steps."""
    own = control_ours.config(TASK, args.algorithm, args.seed)
    config = (our_config(args.algorithm, args.seed) if args.settings == "same" else own).resolve()
    config.set_up_torch()
    counter = control_ours.Budget(budget)
    loop(config, counter)
    is_ppo = isinstance(config.algorithm, strop.algorithms.PPO.Config)
    steps = config.algorithm.epochs * config.algorithm.minibatches if is_ppo else 1
    return counter.played, counter.updates * steps


def peer_learning(args: argparse.Namespace, budget: int) -> tuple[int, int]:
    """Turns and gradient steps."""
    import torch

    torch.set_num_threads(1)
    if args.settings == "own":
        actor, turns = control_peer.learn(TASK, args.algorithm, args.seed, budget)
        return turns, gradient_steps(actor.model)
    model = peer_model(args.algorithm, args.seed)
    model.learn(total_timesteps=budget)
    return model.num_timesteps, gradient_steps(model)


def gradient_steps(model: Any) -> int:
    """Stable-Baselines3 counts DQN's gradient steps, but PPO's passes."""
    is_ppo = hasattr(model, "rollout_buffer")
    return model._n_updates * (model.n_steps * model.n_envs // model.batch_size if is_ppo else 1)


def side(learn: Callable[[argparse.Namespace, int], tuple[int, int]]) -> Callable[[argparse.Namespace], Measured]:
    """A short run that warms up, then the measured one."""

    def work(args: argparse.Namespace) -> Measured:
        learn(args, min(WARM_UP, args.budget))
        start = time.perf_counter()
        turns, steps = learn(args, args.budget)
        return Measured([time.perf_counter() - start], turns, {"gradient_steps_a_turn": steps / turns})

    return work


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--algorithm", choices=("DQN", "PPO"), default="DQN")
    options.add_argument("--settings", choices=("same", "own"), default="same")
    options.add_argument("--budget", type=int, default=10_000, help="turns of the environment")
    sides = {"strop": side(our_learning), "stable-baselines3": side(peer_learning)}
    compare("cartpole_speed", "CartPole", sides, "turns", options)


if __name__ == "__main__":
    main()
