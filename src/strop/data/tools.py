"""Questions for a calculator and a table: numbers too large for a small model's head, facts about invented lands.

Names of lands, wordings and the numbers that questions are asked with belong to one split alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from strop.data.lands import GOODS, pick
from strop.data.passages import SPLITS, Split, names_of
from strop.streams import stream
from strop.types import Message, Task

NUM_LANDS = 3
"""Of a table."""
NUMBERS = 7
"""A number's remainder by it says which split may ask with it: 5 development, 6 held_out, less train."""
RESULT = "RESULT"
"""What stands in a scripted call for the result of the one before."""


def _signature(name: str, does: str, arguments: Mapping[str, str]) -> dict[str, Any]:
    properties = {key: {"type": "string", "description": what} for key, what in arguments.items()}
    parameters = {"type": "object", "properties": properties, "required": list(arguments)}
    return {"type": "function", "function": {"name": name, "description": does, "parameters": parameters}}


TOOLS: Sequence[Mapping[str, Any]] = (
    _signature("calculator", "Computes.", {"expression": "numbers, + - * / and brackets"}),
    _signature("lookup", "Looks up a fact.", {"land": "its name", "fact": "population, area, or price of a good"}),
)
"""The tools of `strop.environments.Tools` in the form that chat templates take."""
ALONE = "Answer with a number alone."
SYSTEM = (
    f"{ALONE} You may call one function at a time. These are the functions:\n<tools>\n"
    + "\n".join(json.dumps(tool) for tool in TOOLS)
    + '\n</tools>\nA call is written so:\n<tool_call>\n{"name": <function-name>, "arguments": <args-json-object>}\n'
    "</tool_call>"
)
Told = Literal["system", "template", "facts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """What questions are made of: `number` and `divisor` belong to the split, the others to none."""

    land: str
    good: str
    number: int
    second: int
    factor: int
    population: int
    price: int

    @property
    def product(self) -> int:
        """What `number` divides without a remainder."""
        return self.number * self.factor


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of question.

    asked       wordings: the last is for held_out, the one before for development
    answer      the right one
    fact        what is looked up; empty where nothing is
    expression  what is computed; empty where nothing is
    """

    asked: Sequence[str]
    answer: Callable[[Draw], int]
    fact: str = ""
    expression: str = ""


KINDS: Mapping[str, Kind] = {
    "product": Kind(
        asked=(
            "What is {number} times {second}?",
            "Multiply {number} by {second}.",
            "{number} boxes hold {second} nails each. How many nails are there?",
            "What is the product of {number} and {second}?",
            "A hall has {number} rows of {second} seats. How many seats does it have?",
        ),
        answer=lambda draw: draw.number * draw.second,
        expression="{number} * {second}",
    ),
    "brackets": Kind(
        asked=(
            "Add {number} and {second}, then multiply by {factor}.",
            "What is the sum of {number} and {second}, times {factor}?",
            "A ship carries {number} sacks and {second} barrels, {factor} kilograms each. How much is that together?",
            "Multiply the sum of {number} and {second} by {factor}.",
            "A tailor sells {number} coats and {second} hats at {factor} crowns each. What does he earn?",
        ),
        answer=lambda draw: (draw.number + draw.second) * draw.factor,
        expression="({number} + {second}) * {factor}",
    ),
    "quotient": Kind(
        asked=(
            "What is {product} divided by {number}?",
            "Divide {product} by {number}.",
            "{product} coins are shared equally by {number} people. How many does each get?",
            "How often does {number} fit into {product}?",
            "{product} letters fill {number} bags equally. How many letters are in a bag?",
        ),
        answer=lambda draw: draw.factor,
        expression="{product} / {number}",
    ),
    "population": Kind(
        asked=(
            "How many people live in {land}?",
            "What is the population of {land}?",
            "How many inhabitants does {land} have?",
            "How large is the population of {land}?",
            "Of how many people does {land} consist?",
        ),
        answer=lambda draw: draw.population,
        fact="population",
    ),
    "cost": Kind(
        asked=(
            "What do {number} tons of {good} cost in {land}?",
            "How much are {number} tons of {good} in {land}?",
            "A merchant buys {number} tons of {good} in {land}. What does he pay?",
            "In {land}, what is the price of {number} tons of {good}?",
            "Someone in {land} sells {number} tons of {good}. What is earned?",
        ),
        answer=lambda draw: draw.number * draw.price,
        fact="price of {good}",
        expression="RESULT * {number}",
    ),
    "left": Kind(
        asked=(
            "{number} people leave {land}. How many live there then?",
            "How many people stay in {land} if {number} go away?",
            "If {number} people move out of {land}, what is its population?",
            "{land} loses {number} inhabitants. How many remain?",
            "From {land}, {number} people emigrate. How many are left?",
        ),
        answer=lambda draw: draw.population - draw.number,
        fact="population",
        expression="RESULT - {number}",
    ),
}


def tools(split: Split, number: int, seed: int = 0, told: Told = "system") -> list[Task]:
    """So many tasks of a split for `strop.environments.Tools`. Task k depends on (split, k, seed) alone.

    told  what the system message says: system, how the tools are called; template, nothing of them, since the chat
          template does (`strop.policies.Prompts.tools`); facts, no tools but the whole table

    `data` has the `facts` of the table, the `kind` of question, and the `calls` of a player who makes no mistake, in
    which RESULT stands for the result before. Raises ValueError for another split.
    """
    if split not in SPLITS:
        raise ValueError(f"split={split!r}: it is one of {', '.join(SPLITS)}.")
    names = names_of(split)
    return [_task(split, names, k, stream(seed, f"tools/{split}", k), told) for k in range(number)]


def _task(split: Split, names: Sequence[str], k: int, rng: np.random.Generator, told: Told) -> Task:
    name = pick(rng, list(KINDS))
    kind, lands = KINDS[name], [names[i] for i in rng.permutation(len(names))[:NUM_LANDS]]
    good = pick(rng, GOODS.split())
    table = {land: _facts(rng, good) for land in lands}
    land = pick(rng, lands)
    draw = Draw(
        land=land,
        good=good,
        number=_number(rng, split),
        second=int(rng.integers(1000, 10_000)),
        factor=int(rng.integers(101, 1000)),
        population=table[land]["population"],
        price=table[land][f"price of {good}"],
    )
    question = _filled(pick(rng, _of(split, kind.asked)), draw)
    facts = {land: {fact: str(value) for fact, value in row.items()} for land, row in table.items()}
    system = {"system": SYSTEM, "template": ALONE, "facts": _with_facts(facts)}[told]
    prompt = [Message(role="system", content=system), Message(role="user", content=question)]
    return Task(
        f"{split}-{k}",
        prompt,
        str(kind.answer(draw)),
        {"facts": facts, "kind": name, "calls": _calls(kind, draw)},
    )


def _facts(rng: np.random.Generator, good: str) -> dict[str, int]:
    """What the table knows of a land: numbers that end in no round zeros, so that nothing is guessed."""
    return {
        "population": int(rng.integers(200_000, 10_000_000)),
        "area": int(rng.integers(10_000, 1_000_000)),
        f"price of {good}": int(rng.integers(101, 1000)),
    }


def _number(rng: np.random.Generator, split: Split) -> int:
    """Of four or five digits, and one that this split may ask with."""
    while True:
        number = int(rng.integers(1000, 100_000))
        if {5: "development", 6: "held_out"}.get(number % NUMBERS, "train") == split:
            return number


def _of(split: Split, texts: Sequence[str]) -> Sequence[str]:
    return {"train": texts[:-2], "development": texts[-2:-1], "held_out": texts[-1:]}[split]


def _calls(kind: Kind, draw: Draw) -> list[str]:
    calls = []
    if kind.fact:
        calls.append(call_text("lookup", {"land": draw.land, "fact": _filled(kind.fact, draw)}))
    if kind.expression:
        calls.append(call_text("calculator", {"expression": _filled(kind.expression, draw)}))
    return calls


def call_text(name: str, arguments: Mapping[str, str]) -> str:
    """A call as it is written."""
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def _filled(text: str, draw: Draw) -> str:
    return text.format(
        land=draw.land,
        good=draw.good,
        number=draw.number,
        second=draw.second,
        factor=draw.factor,
        product=draw.product,
    )


def _with_facts(table: Mapping[str, Mapping[str, str]]) -> str:
    told = (
        f"{land}: {', '.join(f'{fact} {value}' for fact, value in facts.items())}." for land, facts in table.items()
    )
    return "\n".join([f"{ALONE} These are the facts:", *told])
