"""A question that is answered with tools: a calculator, and a table of facts to look things up in.

A text with `<tool_call>{"name": ..., "arguments": {...}}</tool_call>` is a call; what the tool says comes back as the
next message. A text without one is the answer and ends the episode.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from strop.environments._calculator import calculate
from strop.environments._calls import arguments_of, call_of, is_call
from strop.types import End, Prompt, Step, Task

if TYPE_CHECKING:
    import numpy as np

FACTS = "facts"
"""The field of a task's data that holds the table, {land: {fact: value}}, which only the lookup reads."""
MOST_CALLS = 4
"""Two more than any question needs: room for mistakes."""


class Tools:
    """`task.prompt` ends with the question, and `task.data["facts"]` is the table of the lookup.

    It gives no reward itself: `strop.rewards.final_number` reads the answer. A bad call is answered by what is wrong
    with it. A call beyond the fourth is not run, and ends the episode as TRUNCATED. The data of a turn say whether it
    `called` a tool, and whether that `failed`.
    """

    def __init__(self, task: Task, rng: np.random.Generator) -> None:
        if FACTS not in task.data:
            raise ValueError(f'task {task.id} has no "{FACTS}" in its data; they are {{}} where nothing is looked up.')
        self._task, self._num_calls = task, 0

    def start(self) -> Prompt:
        """What an assistant is told of its tools, and the question."""
        return self._task.prompt

    def step(self, text: str) -> Step:
        """What the tool says, or the end."""
        if not is_call(text):
            return Step("", end=End.TERMINATED, data={"called": False, "failed": False})
        self._num_calls += 1
        if self._num_calls > MOST_CALLS:
            too_many = _replied(f"error: there are no more than {MOST_CALLS} calls")
            return Step(too_many, end=End.TRUNCATED, data={"called": True, "failed": True})
        try:
            result, failed = self._result(*call_of(text)), False
        except ValueError as error:
            result, failed = f"error: {error}", True
        return Step(_replied(result), data={"called": True, "failed": failed})

    def close(self) -> None:
        """Nothing to free."""

    def _result(self, name: str, arguments: Mapping[str, Any]) -> str:
        """What a tool says. Raises ValueError for a call that cannot be run."""
        match name:
            case "calculator":
                (expression,) = arguments_of(arguments, "expression")
                return calculate(expression)
            case "lookup":
                land, fact = arguments_of(arguments, "land", "fact")
                return _found(self._task.data[FACTS], land, fact)
        raise ValueError("there is no such tool; the tools are calculator and lookup")


def _found(facts: Mapping[str, Mapping[str, str]], land: str, fact: str) -> str:
    if land not in facts:
        raise ValueError(f"there is no such land; the lands are {', '.join(facts) or 'none'}")
    if fact not in facts[land]:
        raise ValueError(f"there is no such fact; the facts are {', '.join(facts[land]) or 'none'}")
    return str(facts[land][fact])


def _replied(result: str) -> str:
    """The message of a tool's result, as templates that know tools write it (those of Qwen and Hermes)."""
    return f"<tool_response>\n{result}\n</tool_response>"


def examples() -> list[tuple[Task, list[str], float]]:
    """(task, the texts of a perfect player, their summed turn rewards)."""
    task = Task("1", "What do 12 tons of tea cost in Baranvia?", "4464", {FACTS: {"Baranvia": {"price of tea": "372"}}})
    lookup = '{"name": "lookup", "arguments": {"land": "Baranvia", "fact": "price of tea"}}'
    product = '{"name": "calculator", "arguments": {"expression": "372 * 12"}}'
    texts = [f"<tool_call>\n{call}\n</tool_call>" for call in (lookup, product)]
    return [(task, [*texts, "4464"], 0.0)]
