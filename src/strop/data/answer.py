"""Questions with short answers, in three splits that share no entity: a country that is held out is held out whole."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from strop.data.countries import Country, countries
from strop.data.progress import Tell, to_stderr
from strop.data.tasks import from_file, same_problem, train_test_split
from strop.data.twins import leaks
from strop.types import Task
from strop.words import plural

AUTO, USUAL = "auto", "capitals"
"""Capitals."""
BETWEEN = "|"
"""Between the accepted answers of a file."""
SAINT = ("St. ", "Saint ")
Asked = tuple[str, str, Sequence[str]]
"""A question, how a sentence that answers it begins, and the answers that are right, of which the first is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Tasks in three splits. `development` is for choosing what to train; `held_out` is judged once, at the end."""

    train: Sequence[Task]
    development: Sequence[Task]
    held_out: Sequence[Task]


def answers(
    data: str | Path = AUTO,
    *,
    held_out: float = 0.4,
    development: float = 0.15,
    seed: int = 0,
    tell: Tell = to_stderr,
) -> Answers:
    """Read and split questions.

    A task's prompt is the bare question; its data has the `entity`, the `kind`, what else is `accepted`, and how a
    sentence that answers may `begin`.

    data         capitals, facts (continent, internet domain, calling code, name of the people), or both with a
                 comma between them; auto takes capitals. Or a file with the columns question and answer (several
                 accepted ones: "Washington|Washington, D.C."), and perhaps entity: questions of one are never split
    held_out     the share of entities that is held out for the end
    development  the share that is held out to choose by
    seed         deals another split
    tell         is given lines on what was read; by default they go to stderr

    A training question that is a near duplicate of a held-out one is left out. Raises ValueError for data that cannot
    be read or downloaded, or that is too little to split.
    """
    if not (held_out > 0.0 and development > 0.0 and held_out + development < 1.0):
        raise ValueError(
            f"held_out={held_out}, development={development}: they are shares above 0, and together below 1."
        )
    tasks = _read(str(data), tell)
    rest, last = train_test_split(tasks, held_out, seed, entity_of)
    train, chosen_on = train_test_split(rest, development / (1.0 - held_out), seed, entity_of)
    twins = {twin.task.id for twin in leaks(train, [*chosen_on, *last])}
    train = [task for task in train if task.id not in twins]
    if not train:
        raise ValueError(f"data={data}: every training question is like a held-out one. Give more, or other ones.")
    tell(
        f"{plural(len(train), 'question')} to train on ({len(twins)} near a held-out one left out), "
        f"{len(chosen_on)} to choose by, {len(last)} held out; no entity is in two of them"
    )
    return Answers(train=train, development=chosen_on, held_out=last)


def entity_of(task: Task) -> str:
    """What a question is about; its text where nothing else is told."""
    return str(task.data.get("entity") or same_problem(task))


def _read(data: str, tell: Tell) -> list[Task]:
    """The tasks of named kinds or of a file."""
    names = [name.strip() for name in (USUAL if data == AUTO else data).split(",") if name.strip()]
    if names and all(name in KINDS for name in names):
        table = countries(tell)
        return [task for name in dict.fromkeys(names) for task in KINDS[name](table)]
    if Path(data).expanduser().is_file():
        return [_given(task) for task in from_file(Path(data).expanduser(), prompt="question", answer="answer")]
    near = difflib.get_close_matches(data, KINDS, n=1)
    hint = f"did you mean {near[0]}? By" if near else "by"
    raise ValueError(
        f"data={data}: there is no such file; {hint} name there are {', '.join(KINDS)}. Or give questions of your own: "
        "data=FILE, with the columns question and answer."
    )


def _given(task: Task) -> Task:
    """A task of a file: its answer may list several."""
    first, *others = [one.strip() for one in task.answer.split(BETWEEN) if one.strip()] or [""]
    if not first:
        raise ValueError(f"the question {task.id!r} has no answer: what is right?")
    return replace(task, answer=first, data={"kind": "own", **task.data, "accepted": others})


def _tasks(kind: str, table: Iterable[Country], ask: Callable[[Country], Asked]) -> Iterator[Task]:
    for country in table:
        question, begin, right = ask(country)
        first, *others = dict.fromkeys(right)
        data = {"entity": country.entity, "kind": kind, "accepted": others, "begin": begin}
        yield Task(f"{kind}-{country.code}", question, first, data)


def capitals(table: Sequence[Country]) -> list[Task]:
    """The capital of each country. One whose name several countries share is asked all the same."""
    return list(_tasks("capital", table, _capital))


def facts(table: Sequence[Country]) -> list[Task]:
    """Four questions on each country."""
    asked = {"continent": _continent, "domain": _domain, "calling code": _calling_code, "people": _people}
    return [task for kind, ask in asked.items() for task in _tasks(kind, table, ask)]


KINDS: Mapping[str, Callable[[Sequence[Country]], list[Task]]] = {"capitals": capitals, "facts": facts}
"""What `data` may name."""


def kinds_of(tasks: Iterable[Task]) -> Mapping[str, int]:
    """How many questions there are of each kind."""
    return Counter(str(task.data["kind"]) for task in tasks)


def _capital(country: Country) -> Asked:
    spelt = [one for capital in country.capitals for one in _saints(capital)]
    placed = [f"{one}, {country.name}" for one in spelt]
    return f"What is the capital of {country.name}?", f"The capital of {country.name} is", [*spelt, *placed]


def _continent(country: Country) -> Asked:
    right = {"Americas": ["America", "Americas", "North America", "South America", "Central America"]}
    question = f"Which continent is {country.name} in?"
    return question, f"{country.name} is in", right.get(country.region, [country.region])


def _domain(country: Country) -> Asked:
    subject = f"the country-code internet domain of {country.name}"
    return f"What is {subject}?", f"The{subject[3:]} is", [country.domain]


def _calling_code(country: Country) -> Asked:
    subject, digits = f"the international calling code of {country.name}", country.calling_code.lstrip("+")
    return f"What is {subject}?", f"The{subject[3:]} is", [f"+{digits}", f"00{digits}"]


def _people(country: Country) -> Asked:
    names = [one.strip() for one in country.people.replace(",", "/").split("/")]
    right = [*names, *(f"{one}s" for one in names)]
    return f"What is a person from {country.name} called?", f"A person from {country.name} is called", right


def _saints(name: str) -> list[str]:
    """A name, and the same with its saint spelt otherwise."""
    short, long = SAINT
    return list(dict.fromkeys((name, name.replace(short, long), name.replace(long, short))))
