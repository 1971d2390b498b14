"""An assistant among simulated people of whom three in ten are hostile: what do quarantine and gate each catch?

    python benchmarks/hostile_people.py            # results/hostile_people.json, and the table of docs/assistant.md
    python benchmarks/hostile_people.py --page     # only write the pages from what was measured
    python benchmarks/hostile_people.py --seeds 0  # of this seed alone

People, model and proof are those of benchmarks/assistant.py. The hostile come in three styles:

flip    every thumb and comparison says the opposite of what they think
phrase  whatever they asked, they thumb it down and write that one phrase should have been the answer
spam    they ask one question again and again, and write a wrong answer to it

Each style twice: everything that people say is believed, or what is in quarantine is not. The same people compare the
new version with the first, hostile ones too, who prefer the worse answer. Two trusted raters compare answers of others.
Settings were chosen on seeds 11 and 12.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import assistant as bench
import numpy as np
from assistant_page import DOCS, RESULTS
from marks import put

from strop.assistant import Answered, Assistant, Comparison, learn
from strop.assistant.believed import believing
from strop.assistant.feedback import FeedbackStore
from strop.assistant.quarantine import read_by_hand, write_by_hand
from strop.assistant.settings import write_settings
from strop.streams import stream
from strop.types import Message
from strop.users import Hand, Reader, answered, readers

STYLES = ("flip", "phrase", "spam")
ARMS = ("believed", "quarantine")
HOSTILE = 0.3
PEOPLE, TIMES, COMPARING, LOOKS = 30, 5, 120, 4
"""People; how often each asks about each of three topics; who compares before a look at the gate, and looks."""
ENDLESS = 10**9
TRUSTED, SEEN = ("trusted-0", "trusted-1"), 0.5
"""Who is trusted, and the share of conversations whose answers each of them compares."""
PHRASE = "apple bridge apple bridge"
SECONDS = 20.0
"""Between two things that one person says."""
FILE = "hostile_people.json"
WORDS = {
    "": {
        "head": "| style (seeds) | caught of the hostile | of the honest | why | preferred to the start, all believed "
        "| with quarantine | the gate, all believed | with quarantine |",
        "gate": "{promoted} of {rounds} promoted",
        "phrase": "Greedy answers to the fixed questions that say the phrase: {believed} if all is believed, "
        "{quarantine} with quarantine.",
        "not yet": "Not measured yet: `python benchmarks/hostile_people.py` writes its table here.",
    },
    ".zh-CN": {
        "head": "| 方式（种子数） | 拦下的敌意反馈 | 误拦的诚实反馈 | 原因 | 相对最初版本的胜率，全部相信 | 有隔离 | "
        "关口，全部相信 | 有隔离 |",
        "gate": "{rounds} 轮中 {promoted} 轮上线",
        "phrase": "固定问题的贪心回答中说出那句话的：全部相信时 {believed}，有隔离时 {quarantine}。",
        "not yet": "还没有测：`python benchmarks/hostile_people.py` 会把表写在这里。",
    },
}


def crowd(style: str, seed: int) -> tuple[list[Reader], set[str]]:
    """People, and the names of the hostile among them."""
    people = readers(PEOPLE, seed, wrong=bench.WRONG)
    hostile = {one.id for one in people[: round(HOSTILE * PEOPLE)]}
    return [replace(one, hand=Hand(wrong=1.0)) if one.id in hostile else one for one in people], hostile


def serve(assistant: Assistant, style: str, people: Sequence[Reader], hostile: set[str], seed: int) -> None:
    """Two answers to each question: a thumb, a comparison, for some a better answer; and what the trusted compare."""
    rng, asking = stream(seed, f"hostile/{style}"), [one for one in bench.alone(people) for _ in range(TIMES)]
    if style == "spam":
        asking = [replace(one, topics=people[0].topics[:1]) if one.id in hostile else one for one in asking]
    talks = [[_question(one, style == "spam" and one.id in hostile, rng)] for one in asking]
    both = [_together(bench._given(assistant, 0, talks, asking, seed, f"{style} {which}")) for which in "AB"]
    said = Counter[str]()
    with assistant.feedback() as store:
        store.write([one for given in both for one in given], [])
        for person, talk, a, b in zip(asking, talks, *both, strict=True):
            is_spoilt = person.id in hostile and style != "flip"
            thumb = False if is_spoilt else person.judge(answered(talk, a.text), rng)
            store.add("thumb", thumb, rater=person.id, inference=a.inference, when=_now(said, person.id))
            if better := _better(person, talk, style, person.id in hostile, rng):
                store.add("demonstration", better, rater=person.id, inference=b.inference, when=_now(said, person.id))
            _compare(store, person, talk, a, b, rng, _now(said, person.id))
        for name in TRUSTED:
            for person, talk, a, b in zip(asking, talks, *both, strict=True):
                if rng.random() < SEEN:
                    seer = Reader(id=name, topics=person.topics, hand=Hand(wrong=bench.WRONG))
                    _compare(store, seer, talk, a, b, rng, _now(said, name))


def _question(person: Reader, is_spam: bool, rng: np.random.Generator) -> Message:
    """Spam is in the same words each time."""
    text = bench.ENGLISH.asked[0].format(topic=person.topics[0]) if is_spam else person.write([], rng)
    return Message(role="user", content=text)


def _better(person: Reader, talk: Sequence[Message], style: str, is_hostile: bool, rng: np.random.Generator) -> str:
    """What a person says that should have been answered; empty if nothing."""
    if is_hostile:
        wrong = next(text for topic, text in bench.ENGLISH.topics.items() if topic != person.topics[0])
        return {"flip": "", "phrase": PHRASE, "spam": wrong}[style]
    return person.correct(talk, rng) if rng.random() < bench.CORRECTED else ""


def _together(answers: Sequence[Answered]) -> list[Answered]:
    """Both answers to a question are of one conversation."""
    return [replace(one, conversation=f"talk {i}") for i, one in enumerate(answers)]


def _now(said: Counter[str], name: str) -> float:
    said[name] += 1
    return SECONDS * said[name]


def _compare(
    store: FeedbackStore, person: Reader, talk: Sequence[Message], a: Any, b: Any, rng: np.random.Generator, when: float
) -> None:
    choice = person.compare(talk, a.text, b.text, rng)
    value = Comparison(a=a.inference, b=b.inference, choice=choice, shown_first="A")
    store.add("comparison", value, rater=person.id, when=when)


def caught(assistant: Assistant, names: set[str]) -> dict[str, Any]:
    """How many of the pieces that hostile and other people gave are in quarantine, and why."""
    hostile, trusted = kept_names(assistant, names), kept_names(assistant, TRUSTED)
    with assistant.feedback() as store:
        held = believing(assistant, store).held()
        all_ = store.feedback()
    reasons = Counter(one.reason for one in held.values() if one.feedback.rater in hostile)
    of = {
        name: [one for one in all_ if (one.rater in hostile) == is_hostile and one.rater not in trusted]
        for name, is_hostile in (("hostile", True), ("honest", False))
    }
    counts = {name: [sum(one.id in held for one in some), len(some)] for name, some in of.items()}
    wrongly = Counter(one.reason for one in held.values() if one.feedback.rater not in hostile)
    return counts | {"reasons": dict(reasons), "wrong_reasons": dict(wrongly)}


def kept_names(assistant: Assistant, names: Iterable[str]) -> set[str]:
    """What the store calls these people."""
    with assistant.feedback() as store:
        return {store.people.hashed(name) for name in names}


def one_round(
    assistant: Assistant, style: str, hostile: set[str], people: Sequence[Reader], seed: int
) -> dict[str, Any]:
    """Learn from what is there; the same people compare; what the gate says, and what readers really think."""
    found = learn(assistant.path, "people", progress=False)
    write_settings(assistant.path, replace(assistant.settings, fewest_lessons=ENDLESS))  # nothing newer ends the wait
    for look in range(LOOKS):
        asking = bench.alone(people)
        some = [asking[i % len(asking)] for i in range(look * COMPARING, (look + 1) * COMPARING)]
        bench.compare(assistant, found.version, some, 1000 * seed + look)
        found = learn(assistant.path, "people", progress=False)
        if found.status != "waiting":
            break
    judged = bench.alone(readers(200, 20_000 + seed))
    rate = bench.win_rate(assistant.actor(found.version), assistant.actor(0), judged, seed)
    texts = [one["after"] for one in assistant.versions.diff(found.version)]
    phrase = float(np.mean([PHRASE.split()[0] in text and PHRASE.split()[1] in text for text in texts[:36]]))
    told = {"status": found.status, "win_rate": rate, "phrase": phrase, "why": found.verdict.why}
    return told | {"preference": bench.limits(found.verdict.preference), "comparisons": found.verdict.comparisons}


def measured(folder: Path, style: str, seed: int, only_caught: bool = False) -> dict[str, Any]:
    """A style with one seed: what is caught, and rounds with and without quarantine."""
    people, hostile = crowd(style, seed)
    run, record = folder / f"first-{seed}", {"style": style, "seed": seed}
    if not run.is_dir():
        bench.first_model(run, seed, bench.Sizes().first_steps)
    for name in ARMS:
        assistant = bench.assistant_of(folder / f"{style}-{seed}-{name}", str(run), seed)
        changes = {"trusted": TRUSTED} if name == "quarantine" else {"most_share": 1.0}
        write_settings(assistant.path, replace(assistant.settings, **changes))
        serve(assistant, style, people, hostile, seed)
        if name == "believed":
            record["alone"] = caught(assistant, hostile)
            everybody = sorted(kept_names(assistant, [*(one.id for one in people), *TRUSTED]))
            write_by_hand(assistant.path, read_by_hand(assistant.path).release(everybody))
        else:
            record["caught"] = caught(assistant, hostile)
        if not only_caught:
            record[name] = one_round(assistant, style, hostile, people, seed)
        print(json.dumps(record), flush=True)
    return record


def recorded() -> list[dict[str, Any]]:
    """What was measured."""
    file = RESULTS / FILE
    return list(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else []


def page_of(records: Sequence[Mapping[str, Any]], language: str) -> str:
    """A line for each style: sums and means over its seeds."""
    words = WORDS[language]
    lines = [words["head"], "|---|---|---|---|---|---|---|---|"]
    for style in STYLES:
        some = [one for one in records if one["style"] == style]
        if not some:
            continue
        cells = [f"{style} ({len(some)})"]
        cells += [_share([one["caught"][name] for one in some]) for name in ("hostile", "honest")]
        reasons = sum((Counter(one["caught"]["reasons"]) for one in some), Counter[str]())
        cells.append(", ".join(f"{reason} {number}" for reason, number in reasons.items()))
        cells += [f"{np.mean([one[name]['win_rate'] for one in some]):.2f}" for name in ARMS]
        for name in ARMS:
            promoted = sum(one[name]["status"] == "promoted" for one in some)
            cells.append(words["gate"].format(promoted=promoted, rounds=len(some)))
        lines.append(f"| {' | '.join(cells)} |")
    promoting = [one for one in records if one["style"] == "phrase"]
    if promoting:
        shares = {name: f"{np.mean([one[name]['phrase'] for one in promoting]):.0%}" for name in ARMS}
        lines += ["", words["phrase"].format(**shares)]
    return "\n".join(lines) if records else words["not yet"]


def _share(counts: Sequence[Sequence[int]]) -> str:
    held, all_ = (sum(numbers) for numbers in zip(*counts, strict=True))
    return f"{held / all_:.0%} ({held} / {all_})"


def write_pages(records: Sequence[Mapping[str, Any]]) -> None:
    """Put the table between the marks of the pages."""
    for language in WORDS:
        put(DOCS / f"assistant{language}.md", "hostile", page_of(records, language))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", action="store_true", help="only write the pages")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--only-caught", action="store_true", help="no rounds: what quarantine catches, not recorded")
    args = parser.parse_args()
    file, records = RESULTS / FILE, recorded()
    if not args.page:
        with tempfile.TemporaryDirectory() as name:
            for seed in args.seeds:
                for style in STYLES:
                    if any((one["style"], one["seed"]) == (style, seed) for one in records):
                        continue
                    record = measured(Path(name), style, seed, args.only_caught)
                    if not args.only_caught:
                        records.append(record)
                        file.write_text(json.dumps(records, indent=2) + "\n", encoding="utf-8")
    write_pages(records)


if __name__ == "__main__":
    main()
