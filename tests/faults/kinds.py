"""Small runs of every algorithm and policy, trained in child processes that are killed at random moments.

As a script: `python kinds.py KIND DIR KILLS SEED` trains KIND in DIR/whole, which nobody kills, and in DIR/killed,
kills that KILLS times with SIGKILL, lets it finish, and prints how often the child really died.
"""

from __future__ import annotations

import importlib
import os
import random
import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this file runs as a script

import strop
from strop.types import Episode, Task

WORDS = ("red", "blue", "green", "black")
STEPS = 40
SECONDS = 120


def first_word(task: Task, episode: Episode) -> float:
    """A reward with dice of its own from the global generators: a resume must restore those too."""
    return float(episode.text.split()[:1] == [task.answer]) + 0.01 * random.random()


def tiny_model(folder: Path) -> str:
    """A two-layer Llama over four words, saved as a Hugging Face folder."""
    import tiny_hf

    return str(folder if folder.exists() else tiny_hf.make(folder, template=False, words=WORDS))


def config(kind: str, home: Path) -> strop.TrainConfig:
    """`table/reinforce`, `transformer/grpo`, `lora/rloo`, ...: a policy and an algorithm."""
    from strop.functional.divergences import KLController
    from strop.learners.actor_critic import Critic

    policy_name, algorithm_name = kind.split("/")
    algorithms, adam = strop.algorithms, strop.optimizer.AdamW(lr=1e-2)
    kl, steered = strop.functional.KL(weight=0.05), KLController(target=1.0, horizon=100)
    separate = Critic(separate=True)
    policy = {
        "table": lambda: strop.policies.Table.Config(words=WORDS, has_end=True, value_head=True),
        "transformer": lambda: strop.policies.Scratch(
            words=WORDS, num_layers=1, width=16, num_heads=2, context=16, value_head=True
        ),
        "lora": lambda: strop.policies.Transformer.Config(
            model=tiny_model(home / "tiny"), lora=strop.policies.LoRA(rank=2), value_head=True
        ),
    }[policy_name]()
    algorithm = {
        "q_learning": lambda: algorithms.QLearning.Config(rate=1.0, rate_decay=0.8),
        "reinforce": lambda: algorithms.REINFORCE.Config(optimizer=adam, kl=kl),
        "curriculum": lambda: algorithms.REINFORCE.Config(optimizer=adam),
        "learnable": lambda: algorithms.REINFORCE.Config(optimizer=adam),
        "rloo": lambda: algorithms.RLOO.Config(optimizer=adam, kl=kl, epochs=2),
        "grpo": lambda: algorithms.GRPO.Config(optimizer=adam, kl=kl),
        "dr_grpo": lambda: algorithms.DrGRPO.Config(optimizer=adam),
        "sft": lambda: algorithms.SFT.Config(optimizer=adam),
        "a2c": lambda: algorithms.A2C.Config(optimizer=adam, kl=kl, critic=separate),
        "ppo": lambda: algorithms.PPO.Config(optimizer=adam, kl=kl, kl_controller=steered, minibatches=2),
        "vtrace": lambda: algorithms.VTrace.Config(optimizer=adam, critic=separate),
        "replay": lambda: algorithms.QLearning.Config(rate=0.5),
        "double_q": lambda: algorithms.DoubleQ.Config(rate=0.5, rate_decay=0.6),
        "expected_sarsa": lambda: algorithms.ExpectedSARSA.Config(rate=0.5),
        "dqn": lambda: algorithms.DQN.Config(optimizer=adam, target_every=7),
        "ilql": lambda: algorithms.ILQL.Config(optimizer=adam),
        "path_consistency": lambda: algorithms.PathConsistency.Config(optimizer=adam),
    }[algorithm_name]()
    memory = {
        "replay": strop.memory.Replay.Config(capacity=50, size=8),
        "dqn": strop.memory.Prioritised.Config(capacity=50, size=8, num_draws=2),
        "ilql": strop.memory.Replay.Config(capacity=50, size=8),
    }.get(algorithm_name)
    sampling = strop.Sampling(max_tokens=2)
    if algorithm_name in ("dqn", "expected_sarsa"):
        fading = strop.schedules.Linear(start=1.0, end=0.1, steps=STEPS)
        sampling = strop.Sampling(temperature=0.0, epsilon=fading, max_tokens=2)
    tasks = [Task(id=word, prompt=word, answer=word) for word in WORDS]
    source = {
        "curriculum": strop.data.Curriculum(levels=[tasks[:2], tasks[2:3], tasks[3:]], unlock=0.3, window=3),
        "learnable": strop.data.Learnable(tasks=tasks, success=0.5),
    }.get(algorithm_name, tasks)
    return strop.TrainConfig(
        policy=policy,
        tasks=source,
        held_out=[Task(id=f"{word}-held-out", prompt=word, answer=word) for word in WORDS],
        rewards=[first_word],
        algorithm=algorithm,
        memory=memory,
        sampling=sampling,
        group_size=4,
        prompts_per_step=2,
        steps=STEPS,
        eval_every=10,
        checkpoint_every=4,
        threads=1,
    )


def train(kind: str, run: Path) -> None:
    """Start the run, or go on with it."""
    from strop.runs.directory import is_run
    from strop.runs.progress import Progress

    strop.train(config(kind, run.parent), run, resume=is_run(run), progress=Progress.silent())


def saved(run: Path) -> int:
    """The step of the newest checkpoint; -1 before the first."""
    latest = run / "checkpoints" / "LATEST"
    return int(latest.read_text()) if latest.is_file() else -1


def wait_for_another_checkpoint(run: Path, before: int, child: int) -> None:
    """Or until the child has ended: what is killed leaves a state to go on from, however slow the machine is."""
    deadline = time.monotonic() + SECONDS
    while saved(run) <= before and os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        assert time.monotonic() < deadline, f"after {SECONDS} s there is no checkpoint after step {before}"
        time.sleep(0.002)


def die_and_finish(kind: str, run: Path, kills: int, seed: int) -> int:
    """How many children were really killed before one finished."""
    dice, died = random.Random(seed), 0
    for attempt in range(kills + 1):
        before = saved(run)
        child = os.fork()  # nothing has computed yet in this process, so there is no thread to lose
        if child == 0:
            try:
                train(kind, run)
            except BaseException:
                sys.excepthook(*sys.exc_info())
                os._exit(1)
            os._exit(0)
        if attempt < kills:
            wait_for_another_checkpoint(run, before, child)
            time.sleep(dice.uniform(0.0, 0.02))
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        died += os.WIFSIGNALED(status)
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, f"{kind} failed by itself"
    return died


if __name__ == "__main__":
    importlib.import_module("strop.run")  # torch is loaded once, before the children are made

    asked, folder, number, dice = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    die_and_finish(asked, folder / "whole", 0, dice)
    print(die_and_finish(asked, folder / "killed", number, dice))
