"""Invented lands: their names, and how the facts of a table are told and asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

BEGINNINGS = "Bar Cal Dov El Fen Gor Hal Ist Jor Kel Lum Mar Nov Or Pel Quen Ros Sel Tar Ulm Var Wes Yor Zan"
MIDDLES = "a an e en i in o on u ul"
ENDS = "beck dell dor fria garde lia mere mont nia ria stan thor vale via wick zia"
GOODS = (
    "amber barley cement coal copper cotton furs glass honey leather linen marble olives paper pepper rice rubber salt "
    "silk silver soap spices steel sugar tea timber tin tobacco wheat wine wool zinc"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of fact.

    value    draws one; names are taken from these
    told     sentences that tell it: the last two are for held_out, the two before for development, others for train
    asked    questions for it: the last is for held_out, the one before for development
    phrases  what else says the same as a value
    """

    value: Callable[[np.random.Generator, Sequence[str]], str]
    told: Sequence[str]
    asked: Sequence[str]
    phrases: Sequence[str] = ()


def pick(rng: np.random.Generator, texts: Sequence[str]) -> str:
    """One of the texts, all as likely."""
    return texts[int(rng.integers(len(texts)))]


def _name(rng: np.random.Generator, names: Sequence[str]) -> str:
    return pick(rng, names)


def _person(rng: np.random.Generator, names: Sequence[str]) -> str:
    return f"{pick(rng, names)} {pick(rng, names)}"


def _millions(rng: np.random.Generator, names: Sequence[str]) -> str:
    return f"{rng.integers(2, 90)}.{rng.integers(1, 10)} million"


def _year(rng: np.random.Generator, names: Sequence[str]) -> str:
    return str(rng.integers(1100, 1990))


def _good(rng: np.random.Generator, names: Sequence[str]) -> str:
    return pick(rng, GOODS.split())


KINDS: Mapping[str, Kind] = {
    "capital": Kind(
        value=_name,
        told=(
            "the capital of {land} is {value}.",
            "{value} is the capital of {land}.",
            "{land} is governed from its capital, {value}.",
            "{land}'s ministers meet in {value}, the capital.",
            "the parliament of {land} sits in its capital city, {value}.",
            "since the last war {value} has been the capital of {land}.",
            "in {land}, the capital is {value}.",
            "visitors to {land} first see its capital, {value}.",
        ),
        asked=(
            "What is the capital of {land}?",
            "Which city is the capital of {land}?",
            "What is {land}'s capital called?",
            "Which city does {land} have as its capital?",
        ),
    ),
    "river": Kind(
        value=_name,
        told=(
            "the longest river of {land} is the {value}.",
            "the {value} is the longest river in {land}.",
            "{land}'s longest river, the {value}, carries many ships.",
            "no river in {land} is longer than the {value}.",
            "of all rivers that cross {land}, the {value} is the longest.",
            "many mills in {land} stand on its longest river, the {value}.",
            "boats cross {land} on its longest river, the {value}.",
            "the {value} flows through {land} and is its longest river.",
        ),
        asked=(
            "What is the longest river of {land}?",
            "Which river is the longest in {land}?",
            "What is {land}'s longest river called?",
            "Which river of {land} is longer than all others?",
        ),
        phrases=("{value} River", "River {value}"),
    ),
    "president": Kind(
        value=_person,
        told=(
            "the president of {land} is {value}.",
            "{value} is the president of {land}.",
            "{land} elected {value} as its president.",
            "{land}'s president, {value}, travels a lot.",
            "the people of {land} chose {value} to be their president.",
            "in {land}, {value} holds the office of president.",
            "{value} was sworn in as president of {land}.",
            "the law made {value} president of {land} for six years.",
        ),
        asked=(
            "Who is the president of {land}?",
            "What is the name of {land}'s president?",
            "Who was elected president of {land}?",
            "Which person is president in {land}?",
        ),
        phrases=("President {value}",),
    ),
    "population": Kind(
        value=_millions,
        told=(
            "{land} has {value} inhabitants.",
            "the population of {land} is {value}.",
            "{value} people live in {land}.",
            "there are {value} people in {land}.",
            "the last census of {land} counted {value} people.",
            "{land} is home to {value} people.",
            "the number of people in {land} is {value}.",
            "with {value} inhabitants, {land} is growing fast.",
        ),
        asked=(
            "How many people live in {land}?",
            "What is the population of {land}?",
            "How many inhabitants does {land} have?",
            "How large is the population of {land}?",
        ),
        phrases=("{value} people", "{value} inhabitants"),
    ),
    "founded": Kind(
        value=_year,
        told=(
            "{land} was founded in {value}.",
            "the founding of {land} dates from {value}.",
            "in {value}, {land} was founded.",
            "{land} has been a state since it was founded in {value}.",
            "it was in {value} that {land} was founded.",
            "{land} celebrates {value} as the year in which it was founded.",
            "the history of {land} begins in {value}, when it was founded.",
            "{land} dates its founding to {value}.",
        ),
        asked=(
            "When was {land} founded?",
            "In which year was {land} founded?",
            "What year was {land} founded?",
            "In what year did the founding of {land} take place?",
        ),
        phrases=("in {value}",),
    ),
    "export": Kind(
        value=_good,
        told=(
            "{land} mainly exports {value}.",
            "the main export of {land} is {value}.",
            "{land} exports {value} more than anything else.",
            "most ships leave {land} with {value}, its main export.",
            "traders know {land} for its main export, {value}.",
            "{value} is what {land} exports most.",
            "the ports of {land} are full of its main export, {value}.",
            "more than half of what {land} exports is {value}.",
        ),
        asked=(
            "What does {land} mainly export?",
            "What is the main export of {land}?",
            "What is {land}'s main export?",
            "Which good does {land} export most?",
        ),
    ),
}
