"""What an environment replies to an action."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from strop.types.facts import data_flaw, prompt_flaw
from strop.types.fields import shown
from strop.types.number import as_number
from strop.types.records import End, Prompt


@dataclass(frozen=True, slots=True)
class Step:
    """An environment's reply to an action: its next text, the reward of this turn, and the end if it is over.

    The reward may be any number (of numpy or torch, a Decimal, a bool); it is stored as a float. With `replaces` the
    next prompt is this text alone, as that of a new episode, and what stood before is forgotten; else it goes on behind
    what the policy wrote. `choices` are the texts of which the next action is one (legal moves, say); None leaves it to
    `sampling.choices`.
    """

    text: Prompt
    reward: float = 0.0
    end: End | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    replaces: bool = False
    choices: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if type(self.reward) is not float and (number := as_number(self.reward)) is not None:
            object.__setattr__(self, "reward", number)
        is_plain = type(self.text) is str and type(self.reward) is float and type(self.replaces) is bool
        if is_plain and self.end is None and self.choices is None and self.data == {}:
            return  # most steps of most environments
        if flaw := _step_flaw(self):
            raise ValueError(f"Step.{flaw}.")


def _step_flaw(step: Step) -> str:
    if flaw := prompt_flaw(step.text):
        return f"text={flaw}"
    if type(step.reward) is not float:
        return f"reward={shown(step.reward)}: it is a number"
    if step.end is not None and type(step.end) is not End:
        return (
            f"end={shown(step.end)}: it is strop.End.TERMINATED (the task is over), strop.End.TRUNCATED (time is up), "
            "or None while it goes on"
        )
    if type(step.replaces) is not bool:
        return f"replaces={shown(step.replaces)}: it is True or False"
    return choices_flaw(step.choices) or data_flaw(step.data)


def choices_flaw(choices: object) -> str:
    """What is wrong with the choices of a turn; empty if nothing is."""
    if choices is None:
        return ""
    if isinstance(choices, list | tuple) and choices and all(isinstance(choice, str) for choice in choices):
        return ""
    return (
        f"choices={shown(choices)}: it is a list of at least one text, or None where any text is allowed. Where "
        "nothing can be done, the episode is over: give it an end"
    )
