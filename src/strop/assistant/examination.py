"""What a version can of each guarded skill. A version never changes, so it is examined once, and the scores are kept:

rounds/003-skills.json   of version 3: by skill, the scores of its tasks, and what they were of
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from strop.assistant.home import Assistant
from strop.assistant.skills import MOST_TOKENS, examined
from strop.runs.files import replace_text, writing
from strop.serving.actor import Actor
from strop.types import Task

FILE = "-skills.json"


def skill_scores(assistant: Assistant, number: int, skills: Mapping[str, Sequence[Task]]) -> dict[str, list[float]]:
    """The scores of a version on these tasks, in the first tokens of an answer; those that are known are not asked
    again. Raises ValueError for a file that is no record of scores."""
    file = assistant.round(number).with_name(f"{number:03d}{FILE}")
    limit = min(MOST_TOKENS, assistant.settings.max_tokens)
    of = {name: _digest(tasks, limit) for name, tasks in skills.items()}
    known = {name: one["scores"] for name, one in _read(file).items() if one["of"] == of.get(name)}
    if unknown := [name for name in skills if name not in known]:
        actor = _short(assistant.actor(number), limit)
        known |= {name: examined(actor, skills[name]) for name in unknown}
        record = {name: {"of": of[name], "scores": known[name]} for name in skills}
        with writing(file.name, file.parent):
            replace_text(file, json.dumps(record) + "\n")
    return {name: known[name] for name in skills}


def _short(actor: Actor, limit: int) -> Actor:
    return replace(actor, sampling=replace(actor.sampling, max_tokens=limit))


def _digest(tasks: Sequence[Task], limit: int) -> str:
    """Changes with anything that a score depends on, but the version."""
    what = [limit, *([task.prompt, task.answer] for task in tasks)]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()


def _read(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        found = json.loads(file.read_bytes()).items()
        return {name: {"of": one["of"], "scores": list(one["scores"])} for name, one in found}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{file} cannot be read: {error!r}. Delete it: the version is examined again.") from error
