"""Texts and their translations in three splits that share no near duplicate, on either side.

Messages of programs are short and repeat: "Delete page" and "Delete pages" have one translation, and a model that saw
one in training has the other for nothing. So a held-out message costs what is like it: from training goes every pair
whose source or target is a near duplicate of a held-out or a development one, and from development what is like a
held-out one.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from strop.data.alike import alike
from strop.data.catalogues import CATALOGUES, OWN, translations, usual
from strop.data.messages import ENGLISH, Message, canonical
from strop.data.pair_files import KINDS, pairs_in
from strop.data.pairs import Dropped, Pair, clean, keys
from strop.data.placeholders import bare
from strop.data.progress import Tell, to_stderr
from strop.data.splitting import split
from strop.packages import home
from strop.types import Task

AUTO = "auto"
"""The catalogues that this system can download."""
NEAR_HELD_OUT = "near a held-out pair"
"""Why a pair leaves training or development."""
FEWEST = 3
"""Pairs that are needed: one for each split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallel:
    """Pairs in three splits. `development` is for choosing what to train; `held_out` is judged once, at the end."""

    train: Sequence[Pair]
    development: Sequence[Pair]
    held_out: Sequence[Pair]
    dropped: Sequence[Dropped]

    @property
    def dropped_by_reason(self) -> Mapping[str, int]:
        """How many pairs were dropped for each reason, the most frequent first."""
        return dict(Counter(one.reason for one in self.dropped).most_common())


def parallel(
    data: str | Path = AUTO,
    source: str = ENGLISH,
    target: str = "zh_Hans",
    *,
    held_out: float = 0.1,
    development: float = 0.05,
    near: float = 0.5,
    seed: int = 0,
    tell: Tell = to_stderr,
) -> Parallel:
    """Read, clean and split pairs.

    data         names of message catalogues, such as "django,wagtail", or a .tsv, .csv, .jsonl, .po or .mo; auto takes
                 django, wagtail and horizon, and libreoffice where apt is there
    source       the language that is translated from; `en` is that of the messages themselves
    target       the language that is translated to: `zh_Hans`, `de`, `pt_BR`, ...
    held_out     the share of pairs that is held out for the end
    development  the share that is held out to choose by
    near         two texts are near duplicates from this Jaccard similarity of their runs of two words; 1 takes equal
                 texts only
    seed         deals another split; the split of a pair depends on its source and this number alone
    tell         is given lines on what was read and dropped; by default they go to stderr

    Raises ValueError for a language that is not there, for data that cannot be read or downloaded, and where no pair is
    left.
    """
    _check(source, target, held_out, development, near)
    data = usual() if data == AUTO else str(data)
    raw, dropped = list[Pair](), list[Dropped]()
    for one in _read(data, source, target, tell):
        if isinstance(one, Dropped):
            dropped.append(one)
        else:
            raw.append(one)
    num_read = len(raw) + len(dropped)
    kept, unclean = clean(raw)
    dropped += unclean
    if len(kept) < FEWEST:
        raise ValueError(
            f"data={data}: of {num_read:,} pairs {len(kept)} are left after cleaning ({_counts(dropped)}), and "
            f"{FEWEST} are the fewest: one to train on, and two to be held out. Give more pairs."
        )
    found = _split(kept, dropped, held_out, development, near, seed)
    _tell(found, num_read, data, source, target, tell)
    return found


def tasks_of(pairs: Sequence[Pair], split: str, separator: str = "") -> list[Task]:
    """A task for each pair: its source is the prompt, its target the answer.

    split      begins the ids
    separator  ends a prompt, for a policy that reads prompt and answer as one text
    """
    return [
        Task(f"{split}-{number}", pair.source + separator, pair.target, {"place": pair.place})
        for number, pair in enumerate(pairs, 1)
    ]


def _check(source: str, target: str, held_out: float, development: float, near: float) -> None:
    for name, language in (("source", source), ("target", target)):
        if not language.strip():
            raise ValueError(f"{name} is empty: it is a language, such as {ENGLISH}, zh_Hans or de.")
    if canonical(source) == canonical(target):
        raise ValueError(f"source={source} and target={target} are one language: there is nothing to translate.")
    if not (held_out > 0.0 and development > 0.0 and held_out + development < 1.0):
        raise ValueError(
            f"held_out={held_out}, development={development}: they are shares above 0, and together below 1."
        )
    if not 0.0 < near <= 1.0:
        raise ValueError(f"near={near}: it is a similarity above 0 and at most 1.")


def _read(data: str, source: str, target: str, tell: Tell) -> Iterator[Pair | Dropped]:
    """The pairs of named catalogues or of a file, and what is none."""
    names = [name.strip() for name in data.split(",") if name.strip()]
    if names and all(name in CATALOGUES for name in names):
        yield from _named(names, source, target, tell)
    elif Path(data).expanduser().is_file():
        yield from pairs_in(Path(data).expanduser(), source, target)
    else:
        wrong = next((name for name in names if name not in CATALOGUES), data)
        near = difflib.get_close_matches(wrong, CATALOGUES, n=1)
        hint = f"did you mean {near[0]}? By" if near and Path(wrong).suffix not in KINDS else "by"
        raise ValueError(
            f"data={data}: there is no file or catalogue {wrong!r}; {hint} name there are {', '.join(CATALOGUES)}. "
            f"Or {OWN}."
        )


def _named(names: Sequence[str], source: str, target: str, tell: Tell) -> Iterator[Pair | Dropped]:
    """The pairs of catalogues. Raises ValueError if none of them has a language; one that lacks it is told."""
    wanted = [language for language in (source, target) if canonical(language) != ENGLISH]
    there: dict[str, set[str]] = {language: set() for language in wanted}
    num_with = dict.fromkeys(wanted, 0)
    for name in names:
        found = {language: translations(name, language, tell) for language in wanted}
        for language, one in found.items():
            there[language] |= one.locales
            num_with[language] += bool(one.messages)
            if not one.messages:
                tell(f"{name} has no messages in {language}")
        first = found[target if target in found else source].messages
        for key, message in first.items():
            sides = [
                message if language not in found else found[language].messages.get(key) for language in (source, target)
            ]
            yield _pair(name, message, source, target, sides)
    for language, number in num_with.items():
        if not number:
            near = difflib.get_close_matches(language, there[language], n=1)
            hint = f"did you mean {near[0]}? They" if near else "they"
            raise ValueError(
                f"{','.join(names)}: no message is in {language!r}; {hint} have {', '.join(sorted(there[language]))}."
            )


def _pair(name: str, message: Message, source: str, target: str, sides: Sequence[Message | None]) -> Pair | Dropped:
    """The pair of a message in two languages; English is the message's own text."""
    texts = [
        message.text if canonical(language) == ENGLISH else side.translation if side is not None else ""
        for language, side in zip((source, target), sides, strict=True)
    ]
    flaw = next((side.flaw for side in sides if side is not None and side.flaw), "")
    pair = Pair(texts[0], texts[1], name)
    return Dropped(pair, flaw) if flaw else pair


def _split(
    pairs: Sequence[Pair], dropped: list[Dropped], held_out: float, development: float, near: float, seed: int
) -> Parallel:
    """The three splits; what is near a held-out pair is added to what was dropped."""
    hashes = np.array([_hash(key, seed) for key in keys([pair.source for pair in pairs])], np.uint64)
    rest, held = split(hashes, held_out)
    train, chosen = split(hashes[rest] ^ np.uint64(1), development / (1.0 - held_out))
    parts = [[pairs[i] for i in numbers] for numbers in (held, rest[chosen], rest[train])]
    for number in (1, 2):
        before = [pair for part in parts[:number] for pair in part]
        leaks = _leaks(before, parts[number], near)
        dropped += [Dropped(parts[number][i], NEAR_HELD_OUT) for i in leaks]
        parts[number] = [pair for i, pair in enumerate(parts[number]) if i not in leaks]
        if not parts[number]:
            raise ValueError(
                f"of {len(pairs):,} pairs none is left to {('choose by', 'train on')[number - 1]}: each is a near "
                f"duplicate of a held-out one. Give more pairs, or a larger near than {near}."
            )
    return Parallel(held_out=parts[0], development=parts[1], train=parts[2], dropped=dropped)


def _leaks(held_out: Sequence[Pair], others: Sequence[Pair], near: float) -> dict[int, None]:
    """Which of the others have a source or a target that is like one that is held out."""
    found = set[int]()
    for side in ("source", "target"):
        texts, beside = ([bare(getattr(pair, side)) for pair in some] for some in (held_out, others))
        found |= set(alike(texts, beside, near))
    return dict.fromkeys(sorted(found))


def _hash(key: bytes, seed: int) -> int:
    return int.from_bytes(
        hashlib.blake2b(key, digest_size=8, salt=seed.to_bytes(8, "little", signed=True)).digest(), "little"
    )


def _tell(found: Parallel, num_read: int, data: str, source: str, target: str, tell: Tell) -> None:
    """Say what was read and dropped, and write the list of what was dropped."""
    name = hashlib.sha256("\0".join((data, source, target)).encode()).hexdigest()[:12]
    file = home() / "parallel" / f"{name}-dropped.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        {"reason": one.reason, "place": one.pair.place, "source": one.pair.source, "target": one.pair.target}
        for one in found.dropped
    ]
    beside = file.with_suffix(f".{os.getpid()}")  # another process may read the same pairs
    beside.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    beside.replace(file)
    tell(f"read {num_read:,} pairs of {source} and {target} from {data}; dropped {_counts(found.dropped)}: {file}")
    sizes = [f"{len(part):,}" for part in (found.train, found.development, found.held_out)]
    tell(f"{sizes[0]} pairs to train on, {sizes[1]} to choose by, {sizes[2]} held out")


def _counts(dropped: Sequence[Dropped]) -> str:
    """`12 untranslated, 3 too long`."""
    counts = Counter(one.reason for one in dropped).most_common()
    return ", ".join(f"{number:,} {reason}" for reason, number in counts) or "none"
