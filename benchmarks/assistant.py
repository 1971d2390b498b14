"""An assistant that learns from simulated people, round by round: are they better served, is poison kept out?

    python benchmarks/assistant.py           # three seeds and 20 rounds of useless feedback: results/assistant.json and
                                             # docs/assistant.md with its picture. What the file holds is not
                                             # done again
    python benchmarks/assistant.py --page    # only write the pages from what was measured

A tiny transformer answers questions of readers (`strop.users.Reader`), often off the point and mostly curt; what they
like is hidden, and one in ten of their thumbs and comparisons is wrong. Each round it serves, people say what they
think, `strop.assistant.learn` trains a new version, others compare both versions blind, and the gate decides. Then
comes a round in which everybody lies, on top of the last version. Every version that serves is compared with the
first by what readers really think, which nothing else reads; guarded is that it still repeats two words.

Then the gate's error, in real rounds: the first version learns from feedback that is thrown by a coin, or all lies.
Settings were chosen on seeds 11 and 12; those that are told are 0, 1 and 2.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
from assistant_page import RESULTS, recorded, write_pages

import strop
from strop.assistant import Answered, Assistant, Comparison, Learnt, Settings, create, learn
from strop.assistant.answering import completions, sampled_answers
from strop.intervals import Interval
from strop.serving.actor import Actor
from strop.streams import stream
from strop.types import Message, Task
from strop.users import Hand, Reader, answered, phrases_of, readers

ENGLISH = phrases_of("en")
WORDS = (
    "apple", "bridge", "candle", "door", "eagle", "flag", "garden", "house", "island", "jar", "kettle", "lamp",
    "mirror", "needle", "onion", "pencil", "rope", "spoon", "table", "wheel",
)  # fmt: skip
ON_TOPIC, POLITE = 0.5, 0.3
"""The shares of the first version's answers that speak of what was asked, and that are polite."""
WRONG, CORRECTED = 0.1, 0.25
"""The shares of thumbs and comparisons that are wrong, and of answers that an honest reader writes better."""
LOOKS = 100
"""More than any round has, so that each has dice of its own."""
USELESS = {"noise": 0.5, "lies": 1.0}
"""The share of thumbs and comparisons that are wrong where there is nothing to learn, or only what is wrong."""
NUM_USELESS, USELESS_SEED = 20, 100
"""Rounds of useless feedback, half of each kind; the seed of the version that learns from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How large a proof is.

    rounds       before the poisoned one
    people       who are served in a round; each asks about three topics
    comparing    people who compare a new version with the one that serves, before each look at the gate
    looks        at the most, until it has decided
    judged       people by whom a version is compared with the first
    first_steps  of the first version's training
    """

    rounds: int = 4
    people: int = 60
    comparing: int = 200
    looks: int = 4
    judged: int = 300
    first_steps: int = 400


def settings(seed: int, **changes: Any) -> Settings:
    """Of a tiny model."""
    return Settings(
        temperature=1.0,
        max_tokens=24,
        lr=1e-3,
        preference_lr=2e-4,
        beta=1.0,
        epochs=4.0,
        threads=1,
        seed=seed,
        **changes,
    )


def questions() -> list[str]:
    """Each topic in every way to ask."""
    return [frame.format(topic=topic) for topic in ENGLISH.topics for frame in ENGLISH.asked]


def repeated() -> list[Task]:
    """Two words to repeat: all ordered pairs, enough to show that few changed (docs/assistant.md, the third table)."""
    return [Task(f"{a} {b}", f"Repeat {a} {b}", f"{a} {b}") for a, b in permutations(WORDS, 2)]


def first_model(folder: Path, seed: int, steps: int) -> Path:
    """The run of a model that answers questions badly, and repeats words well."""
    rng, facts = stream(seed, "assistant/first"), list(ENGLISH.topics.values())
    asked = [(topic, frame.format(topic=topic)) for topic in ENGLISH.topics for frame in ENGLISH.asked]
    tasks = [
        Task(f"{topic} {i} {question}", question, _answer(rng, ENGLISH.topics[topic], facts))
        for i in range(20)
        for topic, question in asked
    ]
    again = [replace(task, id=f"{task.id} {i}") for i in range(2) for task in repeated()]
    said = [*(task.prompt for task in tasks), *facts, ENGLISH.thanks, "Repeat", *WORDS]
    config = strop.TrainConfig(
        policy=strop.policies.Scratch(
            words=sorted({word for text in said for word in str(text).split()}), num_layers=2, width=64, context=64
        ),
        tasks=[*tasks, *again],
        algorithm=strop.algorithms.SFT.Config(optimizer=strop.optimizer.AdamW(lr=3e-3)),
        memory=strop.memory.Dataset.Config(size=32),
        sampling=strop.Sampling(max_tokens=24),
        steps=steps,
        threads=1,
        seed=seed,
    )
    return strop.train(config, folder, progress=False).path


def _answer(rng: np.random.Generator, fact: str, facts: Sequence[str]) -> str:
    told = fact if rng.random() < ON_TOPIC else facts[int(rng.integers(len(facts)))]
    return (ENGLISH.thanks if rng.random() < POLITE else "") + told


def alone(people: Sequence[Reader]) -> list[Reader]:
    """Each person once for each of their topics, in a conversation of its own."""
    return [replace(person, topics=[topic]) for person in people for topic in person.topics]


def serve(assistant: Assistant, people: Sequence[Reader], seed: int) -> None:
    """Two answers of the version that serves to each question: a thumb, a comparison, for some a better answer."""
    version = assistant.versions.serving
    rng = stream(seed, "assistant/serve")
    talks = [[Message(role="user", content=person.write([], rng))] for person in people]
    both = [_given(assistant, version, talks, people, seed, f"served {which}") for which in "AB"]
    with assistant.feedback() as store:
        store.write([answer for given in both for answer in given], [])
        for person, talk, a, b in zip(people, talks, *both, strict=True):
            store.add("thumb", person.judge(answered(talk, a.text), rng), rater=person.id, inference=a.inference)
            _compare(store, person, talk, a, b, rng)
            if rng.random() < CORRECTED and person.hand.wrong < 0.5:
                store.add("demonstration", person.correct(talk, rng), rater=person.id, inference=b.inference)


def compare(assistant: Assistant, new: int, people: Sequence[Reader], seed: int) -> None:
    """Blind comparisons of a new version with the one that serves, in random order."""
    rng = stream(seed, "assistant/compare")
    talks = [[Message(role="user", content=person.write([], rng))] for person in people]
    pairs = [
        _given(assistant, version, talks, people, seed, f"compared {version}")
        for version in (new, assistant.versions.serving)
    ]
    with assistant.feedback() as store:
        store.write([answer for given in pairs for answer in given], [])
        for person, talk, *two in zip(people, talks, *pairs, strict=True):
            first, second = two if rng.random() < 0.5 else two[::-1]
            _compare(store, person, talk, first, second, rng)


def _given(
    assistant: Assistant,
    version: int,
    talks: Sequence[list[Message]],
    people: Sequence[Reader],
    seed: int,
    purpose: str,
) -> list[Answered]:
    """The answers of a version, as a server keeps them."""
    actor = assistant.actor(version)
    prompts = [talk[0]["content"] for talk in talks]
    return [
        Answered(
            inference=f"{purpose} {seed} {i}",
            conversation=f"{purpose} {seed} {i}",
            version=version,
            messages=talk,
            text=actor.codec.decode(one.tokens),
            tokens=one.tokens,
            logprobs=one.logprobs or (),
            seed=seed,
            when=float(seed),
            rater=person.id,
        )
        for i, (talk, person, one) in enumerate(
            zip(talks, people, completions(actor, prompts, seed, purpose), strict=True)
        )
    ]


def _compare(
    store: Any, person: Reader, talk: list[Message], a: Answered, b: Answered, rng: np.random.Generator
) -> None:
    choice = person.compare(talk, a.text, b.text, rng)
    value = Comparison(a=a.inference, b=b.inference, choice=choice, shown_first="A")
    store.add("comparison", value, rater=person.id)


def win_rate(new: Actor, first: Actor, people: Sequence[Reader], seed: int) -> float:
    """How much better readers are really served than by the first version: the share of questions, a tie as half."""
    rng = stream(seed, "assistant/win rate")
    talks = [[Message(role="user", content=person.write([], rng))] for person in people]
    prompts = [talk[0]["content"] for talk in talks]
    texts = [sampled_answers(actor, prompts, seed, f"win rate {actor is first}") for actor in (new, first)]
    worths = [
        [person.worth(answered(talk, text)) for person, talk, text in zip(people, talks, some, strict=True)]
        for some in texts
    ]
    return float(np.mean([(new > old) + 0.5 * (new == old) for new, old in zip(*worths, strict=True)]))


def one_round(assistant: Assistant, number: int, seed: int, sizes: Sizes, wrong: float = WRONG) -> Learnt:
    """Serve, collect, learn, and compare until the gate has decided; who compares is honest, but for a slip in ten."""
    key = 100 * seed + number
    served = [replace(one, id=f"{one.id} of {key}", hand=Hand(wrong=wrong)) for one in readers(sizes.people, key)]
    serve(assistant, alone(served), key)
    found = learn(assistant.path, "people", progress=False)
    others = alone(readers(sizes.looks * sizes.comparing, 10_000 + key, wrong=WRONG))
    for look in range(sizes.looks):
        compare(assistant, found.version, others[look :: sizes.looks], LOOKS * key + look)
        found = learn(assistant.path, "people", progress=False)
        if found.status != "waiting":
            break
    return found


def first_assistant(folder: Path, seed: int, sizes: Sizes) -> Assistant:
    """An assistant whose version 0 answers badly."""
    run = folder / "first"
    if not run.is_dir():
        first_model(run, seed, sizes.first_steps)
    return assistant_of(folder / "assistant", str(run), seed)


def assistant_of(folder: Path, model: str, seed: int) -> Assistant:
    """An assistant whose version 0 is this model."""
    return create(
        folder,
        model,
        settings=settings(seed),
        questions=[*questions(), *(str(task.prompt) for task in repeated()[:30])],
        skills={"repeats": repeated()},
    )


def proof(folder: Path, seed: int, sizes: Sizes) -> dict[str, Any]:
    """All rounds with one seed. `made` is the win-rate of the version that was learnt, whether it serves or not.

    The poisoned round is that of a new assistant which begins with the version that serves, so that it learns from lies
    alone: the honest comparisons that wait to be learnt are many, and lies beside them make no worse version.
    """
    assistant, people = first_assistant(folder, seed, sizes), alone(readers(sizes.judged, 20_000 + seed))
    rounds, first = list[dict[str, Any]](), assistant.actor(0)
    for number in range(1, sizes.rounds + 2):
        if is_poisoned := number == sizes.rounds + 1:
            assistant = assistant_of(folder / "poisoned", assistant.versions.model(assistant.versions.serving), seed)
        found = one_round(assistant, number, seed, sizes, wrong=1.0 if is_poisoned else WRONG)
        print(f"seed {seed}, round {number}: {found.status}. {found.verdict.why}", flush=True)
        versions = {"win_rate": found.serving, "made": found.version}
        rates = {name: win_rate(assistant.actor(one), first, people, seed) for name, one in versions.items()}
        rounds.append({"poisoned": is_poisoned} | rates | told(found))
    return {"seed": seed, "rounds": rounds}


def useless(folder: Path, number: int, sizes: Sizes) -> dict[str, Any]:
    """One round of version 0 with useless feedback, and the win-rate of the version that learnt from it."""
    kind, seed = list(USELESS)[number % len(USELESS)], USELESS_SEED
    assistant = first_assistant(folder, seed, sizes)
    found = one_round(assistant, 1, seed + number, sizes, wrong=USELESS[kind])
    people = alone(readers(sizes.judged, 20_000 + seed))
    rate = win_rate(assistant.actor(found.version), assistant.actor(0), people, seed)
    print(f"{kind} {number}: {found.status}, win-rate {rate:.3f}. {found.verdict.why}", flush=True)
    shutil.rmtree(assistant.path)
    return {"kind": kind, "number": number, "win_rate": rate} | told(found)


def told(found: Learnt) -> dict[str, Any]:
    """What is kept of a round."""
    verdict = found.verdict
    return {
        "status": found.status,
        "serving": found.serving,
        "preference": limits(verdict.preference),
        "comparisons": verdict.comparisons,
        "repeats": limits(verdict.skills["repeats"]),
        "why": verdict.why,
    }


def limits(one: Interval) -> list[float]:
    return [one.mean, one.low, one.high]


def measure(seeds: Sequence[int], num_useless: int, sizes: Sizes) -> None:
    """The proof with every seed, and the rounds of useless feedback; what is recorded already is not done again."""
    record = recorded()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for seed in seeds:
            if seed not in [one["seed"] for one in record["seeds"]]:
                record["seeds"].append(proof(folder / str(seed), seed, sizes))
                keep(record, sizes)
        for number in range(len(record["useless"]), num_useless):
            record["useless"].append(useless(folder / "useless", number, sizes))
            keep(record, sizes)


def keep(record: dict[str, Any], sizes: Sizes) -> None:
    """Write what was measured."""
    text = json.dumps({"sizes": asdict(sizes)} | record, indent=2)
    (RESULTS / "assistant.json").write_text(text + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", action="store_true", help="only write the pages")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--useless", type=int, default=NUM_USELESS, help="rounds of noise and lies")
    args = parser.parse_args()
    if not args.page:
        measure(range(args.seeds), args.useless, Sizes())
    write_pages(recorded())


if __name__ == "__main__":
    main()
