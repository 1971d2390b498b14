"""What can be wrong, and what an answer can do about it: in no language.

A problem is an area that a person tells of, and a cause that they do not know. In each area one question finds out the
cause, since its answer differs; the other questions find out nothing. A cause has one fix. The same answer means
different things in different areas (a green light on a router, and on a speaker).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

QUESTIONS = ("lights", "message", "since")
FIXES = (
    "cable",
    "restart",
    "update",
    "paper",
    "cartridge",
    "password",
    "unlock",
    "space",
    "volume",
    "pair",
)
PRAISE, HANDOVER = "praise", "handover"
MOVES = (*QUESTIONS, *FIXES, PRAISE, HANDOVER)
"""All that an answer can mean."""
ODDS = (0.5, 0.3, 0.2)
"""Of the causes of an area, in their order."""


@dataclass(frozen=True, slots=True)
class Area:
    """What people have trouble with: the question that tells the causes apart, and the fix of each cause."""

    question: str
    fixes: Mapping[str, str]


AREAS: Mapping[str, Area] = {
    "internet": Area("lights", {"loose": "cable", "hung": "restart", "outdated": "update"}),
    "printer": Area("message", {"jam": "paper", "empty": "cartridge", "offline": "restart"}),
    "account": Area("message", {"forgotten": "password", "locked": "unlock", "old": "update"}),
    "laptop": Area("since", {"full": "space", "waiting": "update", "tired": "restart"}),
    "speaker": Area("lights", {"unplugged": "cable", "low": "volume", "lost": "pair"}),
}
