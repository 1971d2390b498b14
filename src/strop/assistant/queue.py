"""What there is to learn from: feedback that neither the version that serves nor its ancestors have learnt from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from strop.assistant.gate import TIE
from strop.assistant.records import Feedback
from strop.assistant.versions import Versions
from strop.runs.files import replace_text, writing
from strop.streams import stream


@dataclass(frozen=True, slots=True)
class Plan:
    """The feedback of a round, chosen before it begins, so that one that is cut off goes on with the same."""

    parent: int
    feedback: Sequence[str]
    replayed: Sequence[str]


def learnt_by(versions: Versions, number: int) -> list[str]:
    """The ids that a version and its ancestors learnt from, oldest first."""
    return [id for one in reversed(versions.ancestors(number)) for id in versions.manifest(one).feedback]


def set_aside(versions: Versions) -> set[str]:
    """The ids from which nothing learns again: they made a version that is shown to be worse."""
    found = (versions.manifest(number) for number in versions.numbers())
    worse = (one for one in found if one.verdict is not None and one.verdict.preference.high < TIE)
    return {id for one in worse for id in one.feedback}


def waiting(versions: Versions, feedback: Sequence[Feedback]) -> list[Feedback]:
    """The feedback that is new to the version that serves. Comparisons of versions are for the judge."""
    done = {*learnt_by(versions, versions.serving), *set_aside(versions)}
    return [one for one in feedback if one.id not in done]


def replayed(versions: Versions, number: int, share: float, seed: int) -> list[str]:
    """So many ids of earlier rounds, each equally likely; in the order in which they were learnt."""
    earlier = learnt_by(versions, versions.serving)
    drawn = stream(seed, "assistant/replay", versions.serving).permutation(len(earlier))[: round(share * number)]
    return [earlier[place] for place in sorted(drawn)]


def write_plan(file: Path, plan: Plan) -> None:
    """Write the plan of a round."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with writing("the plan of a round", file):
        replace_text(file, json.dumps(asdict(plan)) + "\n")


def read_plan(file: Path) -> Plan | None:
    """The plan of a round that has begun."""
    return Plan(**json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None
