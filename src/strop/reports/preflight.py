"""Checks before a run starts: errors for what can never work, warnings for what looks wrong."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from strop.data.twins import leaks, prompt_text
from strop.environments.single_turn import SingleTurn
from strop.scale.engines import NO_CHOICES, Ray, asks_over_http
from strop.threads import num_cores
from strop.types import Codec, Parts, Sampling, Task
from strop.words import last_line, plural

if TYPE_CHECKING:
    from strop.config import TrainConfig
    from strop.rollout.play import Scene

TRIED = 3
"""How many tasks an environment is tried on, if it fails on the first."""
MOST_READ = 1000
"""How many prompts are tokenised, the longest first: more would take seconds."""
MOST_COMPARED, MOST_CHARACTERS = 100_000, 10_000_000
"""Tasks and characters of their prompts on each side that are compared with the other: more would take many seconds."""
NOT_OWN = (str(Path(__file__).parents[1]), "site-packages", "<frozen")


def warnings(config: TrainConfig, parts: Parts) -> tuple[str, ...]:
    """The warnings, in words. Raises ValueError for what can never work. The run's random state does not change."""
    _, judged = config.judged_tasks(parts.algorithm)
    found = [*_crowded_threads(config), *_idle_replicas(config), *_shared_tasks(config), *_near_tasks(config)]
    scene, is_asked = config.scene(parts.policy, parts.codec, gold=False), asks_over_http(config.engine)
    for what, tasks in (("tasks", () if config.is_offline else tuple(config.tasks)), ("held_out", judged)):
        if config.environment is SingleTurn:
            _refuse_unreadable(what, tasks, scene, config.sampling)
        else:
            sampled = replace(scene, no_choices=NO_CHOICES) if what == "tasks" and is_asked else scene
            found += _unstartable(what, tasks, sampled, config.sampling)
    return tuple(found)


def _crowded_threads(config: TrainConfig) -> list[str]:
    assert config.threads is not None
    cores = num_cores()
    if config.threads <= cores:
        return []
    return [f"{config.threads} threads share {cores} core{'s' * (cores != 1)}, which makes them slower."]


def _idle_replicas(config: TrainConfig) -> list[str]:
    """Replicas for which a step has nothing."""
    engine = config.engine
    if not isinstance(engine, Ray) or config.is_offline:
        return []
    units = -(-config.prompts_per_step // engine.groups) * (engine.staleness + 1)
    if units >= engine.replicas:
        return []
    return [
        f"{plural(engine.replicas, 'replica')} share {plural(units, 'unit')} of work (prompts_per_step="
        f"{config.prompts_per_step}, engine.groups={engine.groups}, engine.staleness={engine.staleness}): the others "
        "wait. More prompts a step, or fewer groups in a unit, give each something to do."
    ]


def _shared_tasks(config: TrainConfig) -> list[str]:
    """Held-out tasks with the content of a training task, whatever the ids. Tasks without content do not count."""
    trained = {_content(task) for task in config.tasks}
    with_content = [task for task in config.held_out if task.prompt or task.answer or task.data]
    shared = [task for task in with_content if _content(task) in trained]
    if not shared:
        return []
    return [
        f"{len(shared)} of {len(config.held_out)} held-out tasks are training tasks too ({shared[0].id!r} for one): "
        "their scores say nothing of new tasks."
    ]


def _near_tasks(config: TrainConfig) -> list[str]:
    """Held-out tasks whose prompt is like that of a training task, beside those that are one. A policy of one turn
    reads nothing but the prompt, so what else such tasks hold does not tell them apart."""
    if config.environment is not SingleTurn:
        return []
    all_tasks = list(config.tasks)
    trained = {_content(task) for task in all_tasks}
    others = [task for task in config.held_out if prompt_text(task).strip() and _content(task) not in trained]
    tasks = _sample(all_tasks)
    twins = leaks(_sample(others), tasks)
    if not twins:
        return []
    first = twins[0]
    seen = "" if len(tasks) == len(all_tasks) else f" ({len(tasks):,} of {len(all_tasks):,} were compared)"
    return [
        f"{len(twins)} of {len(config.held_out)} held-out tasks ask nearly what training tasks ask{seen}, such as "
        f"{first.shown}. Their scores say little of new tasks: strop.data.leaks finds such tasks, and "
        "strop.data.without takes them out of training."
    ]


def _sample(tasks: Sequence[Task]) -> Sequence[Task]:
    """All tasks, or every second, third, ... where they are too long to be compared in seconds."""
    num_characters = sum(len(prompt_text(task)) for task in tasks)
    return tasks[:: math.ceil(max(len(tasks) / MOST_COMPARED, num_characters / MOST_CHARACTERS)) or 1]


def _content(task: Task) -> str:
    return json.dumps([task.prompt, task.answer, dict(task.data)], sort_keys=True, default=str)


def _refuse_unreadable(what: str, tasks: Sequence[Task], scene: Scene, sampling: Sampling) -> None:
    """Refuse prompts that the policy cannot read or that leave no room for an answer: their episodes always fail.

    Choices that it cannot tell apart are refused as well.
    """
    read = sorted(tasks, key=_size, reverse=True)[:MOST_READ]
    choosing = scene.choosing(sampling)
    longest = [choices.longest for task in read if (choices := choosing.of(task)) is not None]
    max_tokens = max(longest, default=sampling.max_tokens)
    lengths = {task.id: _prompt_length(task, scene.codec) for task in read}
    room = math.inf if scene.context is None else scene.context - max_tokens
    num_long = sum(length > room for length in lengths.values())
    if num_long:
        longest_id = max(lengths, key=lengths.__getitem__)
        answer = f"a choice of {max_tokens}" if longest else f"sampling.max_tokens={max_tokens}"
        count = f"{num_long}{' or more' * (num_long == MOST_READ)} of {len(tasks)}"
        raise ValueError(
            f"{count} {what} can never be played: the policy reads {scene.context} tokens, and {answer} "
            f"leaves {max(room, 0)} of them for a prompt. The longest prompt, of task {longest_id!r}, has "
            f"{lengths[longest_id]}. Lower sampling.max_tokens, shorten these prompts or leave them out, or take a "
            "policy that reads more."
        )


def _size(task: Task) -> int:
    """Bytes of a prompt, which are nearly proportional to its tokens."""
    texts = [task.prompt] if isinstance(task.prompt, str) else [message["content"] for message in task.prompt]
    return sum(len(text.encode(errors="replace")) for text in texts)


def _prompt_length(task: Task, codec: Codec) -> int:
    try:
        return len(codec.start(task.prompt))
    except ValueError as error:
        raise ValueError(f"task {task.id!r}: {error}") from error


def _unstartable(what: str, tasks: Sequence[Task], scene: Scene, sampling: Sampling) -> list[str]:
    """A warning if the environment does not start on the first task, an error if it starts on none of the first few."""
    from strop.rollout.play import try_start
    from strop.runs import randomness

    others = tasks[1:TRIED]
    with randomness.undisturbed():
        failures = try_start(scene, tasks[:1], sampling)
        if not failures:
            return []
        failures |= try_start(scene, others, sampling)
    (first, reason), *_ = failures.items()
    message = f"the environment does not start on task {first!r} of {what}: {last_line(reason)}{_location(reason)}"
    message += "" if message.endswith("?") else "."
    if len(failures) > len(others):
        raise ValueError(message)
    return [f"{message} An episode of such a task is lost."]


def _location(reason: str) -> str:
    """The last line of user code in a traceback."""
    frames = re.findall(r'File "(.+)", line (\d+)', reason)
    own = [f" ({file}, line {line})" for file, line in frames if not any(part in file for part in NOT_OWN)]
    return own[-1] if own else ""
