"""Played episodes as data: off-policy methods and SFT learn from them without sampling.

A line of a JSON Lines file is a task with the turns that were played:

    {"prompt": "guess", "played": [{"text": "bee", "reply": "before"}, {"text": "ant", "reward": 1}]}
    {"prompt": "guess", "played": [{"text": "bee", "reply": "before"}], "end": "truncated"}

A turn holds the policy's `text`, its `reward` (default 0) and the environment's `reply` (a text or messages). The last
turn of a truncated episode has a reply too, from which a value is bootstrapped. `end` defaults to "terminated". Other
fields belong to the task, as in `data.tasks`. With `"replaces": true` the reply is the whole next prompt, as in
`strop.Step`. `choices` are the texts of which a turn's text is one, where `sampling.choices` does not say so for all.

If the data is a run's folder, `played` holds token ids and log-probs instead: sampled tokens are never re-encoded from
their text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from strop.choices import Choosing
from strop.types import (
    Choices,
    Codec,
    Completion,
    End,
    Episode,
    Part,
    Prompt,
    Source,
    Task,
    Tokens,
    Turn,
    choices_flaw,
)

PLAYED = "played"
EPISODES = "played episodes"
"""This kind of data, as `TrainConfig.reads` names it."""
TURN_FIELDS = {"text", "reward", "reply", "replaces", "choices"}


def is_played(task: Task) -> bool:
    """Whether the task holds an episode."""
    return PLAYED in task.data


def played(
    tasks: Sequence[Task], codec: Codec, context: int | None = None, choosing: Choosing | None = None
) -> list[Episode]:
    """The episode of every task. Each transcript is its own group; a run's episodes keep their groups."""
    for task in tasks:
        if not is_played(task):
            raise ValueError(f'task {task.id} has no "{PLAYED}", which the others have: leave it out.')
    return [played_episode(task, codec, group, context, choosing) for group, task in enumerate(tasks)]


def played_episode(
    task: Task, codec: Codec, group: int, context: int | None = None, choosing: Choosing | None = None
) -> Episode:
    """The episode that a task holds. Raises ValueError if it exceeds the context: nothing is cut."""
    try:
        check(task)
        held = task.data[PLAYED]
        episode = _from_record(task, codec) if isinstance(held, Mapping) else _from_texts(task, codec, group, choosing)
    except ValueError as error:
        raise ValueError(f"task {task.id}: {error}") from None
    longest = max(len(turn.prompt) + len(turn.completion.tokens) for turn in episode.turns)
    if context is not None and longest > context:
        raise ValueError(
            f"task {task.id}: its turns reach {longest} tokens, and the policy reads {context}. Leave the episode out, "
            "or take a policy with a larger context."
        )
    return episode


def check(task: Task) -> None:
    """Raise ValueError for a task whose transcript cannot be read. A task without one is fine."""
    held = task.data.get(PLAYED, {})
    if isinstance(held, Mapping):
        return  # a run's own record
    if not isinstance(held, list) or not held:
        raise ValueError(f'"{PLAYED}" is a list of turns, and not empty')
    end = task.data.get("end", "terminated")
    if end not in ("terminated", "truncated"):
        raise ValueError(f'"end" is "terminated" or "truncated", not {end!r}')
    for number, turn in enumerate(held, start=1):
        is_last = number == len(held)
        _check_turn(turn, f"turn {number}", may_end=is_last and end == "terminated")


def _check_turn(turn: Any, where: str, may_end: bool) -> None:
    if not isinstance(turn, dict) or not isinstance(turn.get("text"), str):
        raise ValueError(f'{where} is no object with a "text"')
    unknown = sorted(turn.keys() - TURN_FIELDS)
    if unknown:
        raise ValueError(f"{where} has the field {unknown[0]!r}; allowed are {', '.join(sorted(TURN_FIELDS))}")
    reward = turn.get("reward", 0.0)
    if isinstance(reward, bool) or not isinstance(reward, int | float) or not math.isfinite(reward):
        raise ValueError(f'{where}: "reward" is a finite number, not {reward!r}')
    if "reply" not in turn and not may_end:
        raise ValueError(f'{where} has no "reply", but the episode continues after it: give one.')
    if not isinstance(turn.get("reply", ""), str | list):
        raise ValueError(f'{where}: "reply" is a text, or a list of messages')
    if not isinstance(turn.get("replaces", False), bool):
        raise ValueError(f'{where}: "replaces" is true or false, not {turn["replaces"]!r}')
    if "choices" in turn and (flaw := choices_flaw(turn["choices"])):
        raise ValueError(f"{where}: {flaw}")


def completed(
    codec: Codec, text: str, tokens: Tokens = (), choosing: Choosing | None = None, choices: Choices | None = None
) -> Completion:
    """A given text as an action: its tokens, which may be known already, and the end token, or one of the choices."""
    if choosing is not None and choices is not None:
        return Completion(choosing.tokens_of(text, choices), None, "stop")
    ending = () if codec.end is None else (codec.end,)
    return Completion((tokens or codec.encode(text)) + ending, None, "stop" if ending else "length")


def _from_texts(task: Task, codec: Codec, group: int, choosing: Choosing | None) -> Episode:
    prompt, turns = codec.start(task.prompt), []
    for record in task.data[PLAYED]:
        text, choices = record["text"], None if choosing is None else choosing.of(task, record.get("choices"))
        completion = completed(codec, text, (), choosing, choices)
        turns.append(Turn(prompt, completion, text, float(record.get("reward", 0.0)), choices=choices))
        reply: Prompt = record.get("reply", "")
        goes_on = not record.get("replaces", False)
        prompt = codec.extend(prompt, completion.tokens, reply) if goes_on else codec.start(reply)
    end = End(task.data.get("end", "terminated"))
    final: Tokens = prompt if end is End.TRUNCATED else ()
    return Episode(f"data-{group:06d}", task, group, tuple(turns), final, end, source=Source.DATA)


# ------------------------------------------------------------ a run's episodes


def as_task(episode: Episode) -> Task:
    """A scored episode as a task that holds it exactly, in JSON. Its id is the episode's."""
    turns = [
        {
            "prompt": list(turn.prompt),
            "tokens": list(turn.completion.tokens),
            "logprobs": None if turn.completion.logprobs is None else list(turn.completion.logprobs),
            "finish": turn.completion.finish,
            "text": turn.text,
            "reward": turn.reward,
            "choices": _listed(turn.choices),
        }
        for turn in episode.turns
    ]
    parts = {
        name: {"weight": part.weight, "total": part.total, "turns": part.turns, "tokens": part.tokens}
        for name, part in episode.parts.items()
        if part.weight != 0.0
    }
    facts = {
        "group": episode.group,
        "version": episode.version,
        "end": str(episode.end),
        "final": list(episode.final),
        "final_choices": _listed(episode.final_choices),
    }
    task = episode.task
    return Task(episode.id, task.prompt, task.answer, {**task.data, PLAYED: {**facts, "turns": turns, "parts": parts}})


def _from_record(task: Task, codec: Codec) -> Episode:
    held = task.data[PLAYED]
    turns = tuple(
        Turn(
            tuple(turn["prompt"]),
            Completion(tuple(turn["tokens"]), _floats(turn["logprobs"]), turn["finish"]),
            turn["text"],
            turn["reward"],
            choices=_read_choices(turn.get("choices")),
        )
        for turn in held["turns"]
    )
    for turn in turns:
        _check_vocabulary(turn, codec)
    parts = {
        name: Part(part["weight"], part["total"], _floats(part["turns"]), _floats(part["tokens"]))
        for name, part in held["parts"].items()
    }
    return Episode(
        id=task.id,
        task=task,
        group=held["group"],
        turns=turns,
        final=tuple(held["final"]),
        end=End(held["end"]),
        version=held["version"],
        source=Source.DATA,
        parts=parts,
        final_choices=_read_choices(held.get("final_choices")),
    )


def _listed(choices: Choices | None) -> list[list[int]] | None:
    """The choices in JSON."""
    return None if choices is None else [list(one) for one in choices.tokens]


def _read_choices(listed: Sequence[Sequence[int]] | None) -> Choices | None:
    return None if listed is None else Choices(tuple(map(tuple, listed)))


def _floats(numbers: Sequence[float] | None) -> tuple[float, ...] | None:
    return None if numbers is None else tuple(numbers)


def _check_vocabulary(turn: Turn, codec: Codec) -> None:
    """Raise ValueError if the tokens do not decode to the turn's text: they belong to another vocabulary."""
    try:
        text = codec.decode(turn.completion.tokens)
    except IndexError:
        text = ""
    if text != turn.text:
        raise ValueError(f"its tokens decode to {text!r} for this policy, not to {turn.text!r}: another vocabulary.")
