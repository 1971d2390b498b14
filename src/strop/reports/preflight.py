"""What can be seen of a run before it spends time: what it can never do, and what looks wrong."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from strop.environments.single_turn import SingleTurn
from strop.threads import num_cores
from strop.types import Codec, Parts, Task
from strop.words import last_line

if TYPE_CHECKING:
    from strop.config import TrainConfig
    from strop.rollout.play import Scene

TRIED = 3
"""Tasks that an environment is started on, where it fails on the first."""
MOST_READ = 1000
"""Prompts that are turned into tokens, from the longest on: more would take seconds."""
NOT_OWN = (str(Path(__file__).parents[1]), "site-packages", "<frozen")


def warnings(config: TrainConfig, parts: Parts) -> tuple[str, ...]:
    """What a person should know, in words. Raises ValueError for what can never be played. The run's dice stay."""
    _, judged = config.judged_tasks(parts.algorithm)
    found = [*_crowded_threads(config), *_shared_problems(config)]
    scene, max_tokens = config.scene(parts.policy, parts.codec, gold=False), config.sampling.max_tokens
    for what, tasks in (("tasks", () if config.is_offline else config.tasks), ("held_out", judged)):
        if config.environment is SingleTurn:
            _refuse_unreadable(what, tasks, scene, max_tokens)
        else:
            found += _unstartable(what, tasks, scene, max_tokens)
    return tuple(found)


def _crowded_threads(config: TrainConfig) -> list[str]:
    assert config.threads is not None
    cores = num_cores()
    if config.threads <= cores:
        return []
    return [f"{config.threads} threads share {cores} core{'s' * (cores != 1)}, which makes them slower."]


def _shared_problems(config: TrainConfig) -> list[str]:
    """Held-out tasks that are trained on, whatever their ids. One that says nothing leaves all to its environment."""
    trained = {_problem(task) for task in config.tasks}
    told = [task for task in config.held_out if task.prompt or task.answer or task.data]
    shared = [task for task in told if _problem(task) in trained]
    if not shared:
        return []
    return [
        f"{len(shared)} of {len(config.held_out)} held-out tasks stand in training too ({shared[0].id!r} for one): "
        "their scores tell of these tasks, not of new ones."
    ]


def _problem(task: Task) -> str:
    return json.dumps([task.prompt, task.answer, dict(task.data)], sort_keys=True, default=str)


def _refuse_unreadable(what: str, tasks: Sequence[Task], scene: Scene, max_tokens: int) -> None:
    """The episode of a prompt that the policy does not know, or that leaves no room for an answer, is always lost."""
    read = sorted(tasks, key=_size, reverse=True)[:MOST_READ]
    lengths = {task.id: _prompt_length(task, scene.codec) for task in read}
    room = math.inf if scene.context is None else scene.context - max_tokens
    num_long = sum(length > room for length in lengths.values())
    if num_long:
        longest = max(lengths, key=lengths.__getitem__)
        count = f"{num_long}{' or more' * (num_long == MOST_READ)} of {len(tasks)}"
        raise ValueError(
            f"{count} {what} can never be played: the policy reads {scene.context} tokens, and sampling.max_tokens="
            f"{max_tokens} leaves {max(room, 0)} of them for a prompt. The longest prompt, of task {longest!r}, has "
            f"{lengths[longest]}. Lower sampling.max_tokens, shorten these prompts or leave them out, or take a policy "
            "that reads more."
        )


def _size(task: Task) -> int:
    """Bytes of a prompt: what has most of them has nearly the most tokens."""
    texts = [task.prompt] if isinstance(task.prompt, str) else [message["content"] for message in task.prompt]
    return sum(len(text.encode(errors="replace")) for text in texts)


def _prompt_length(task: Task, codec: Codec) -> int:
    try:
        return len(codec.start(task.prompt))
    except ValueError as error:
        raise ValueError(f"task {task.id!r}: {error}") from error


def _unstartable(what: str, tasks: Sequence[Task], scene: Scene, max_tokens: int) -> list[str]:
    """Warns of a first task on which the environment does not start; where it starts on none of a few, that is all."""
    from strop.rollout.play import try_start
    from strop.runs import randomness

    others = tasks[1:TRIED]
    with randomness.undisturbed():
        failures = try_start(scene, tasks[:1], max_tokens)
        if not failures:
            return []
        failures |= try_start(scene, others, max_tokens)
    (first, reason), *_ = failures.items()
    told = f"the environment does not start on task {first!r} of {what}: {last_line(reason)}{_place(reason)}"
    told += "" if told.endswith("?") else "."
    if len(failures) > len(others):
        raise ValueError(told)
    return [f"{told} An episode of such a task is lost."]


def _place(reason: str) -> str:
    """Of a traceback, the last line of a person's own code."""
    frames = re.findall(r'File "(.+)", line (\d+)', reason)
    own = [f" ({file}, line {line})" for file, line in frames if not any(part in file for part in NOT_OWN)]
    return own[-1] if own else ""
