"""Which question two answers are prepared for next."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np

from strop.assistant.nearness import Ngrams
from strop.assistant.pair_store import key_of
from strop.assistant.pairs import Duel
from strop.types import Message

MOST_ASKED = 200
"""Of what people asked, so many of the last answers are looked at."""
MOST_READ = 500
"""Of a longer question only the beginning is compared with others, in characters."""

Messages = Sequence[Message]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, as the messages of a conversation; and how seldom the like is asked, from 0 to 1."""

    messages: Messages
    seldom: float


def next_question(
    asked: Sequence[Messages], fixed: Sequence[Messages], done: AbstractSet[str], duel: Duel
) -> Asked | None:
    """The question to which a pair is prepared next; None if all are done.

    asked  what people asked, which may hold the same several times
    fixed  what two versions are asked beside it, when there is no more
    done   the keys of questions that are not asked again
    duel   two versions that are to be compared: then each question is equally likely to come next, since the verdict is
           on what people ask and not on what is odd. Else the one that is asked most seldom
    """
    seldom = dict(zip(map(key_of, asked), seldom_of([_last(one) for one in asked]), strict=True))
    open_, left = ({key_of(one): one for one in some if key_of(one) not in done} for some in (asked, fixed))
    if duel is None:
        key = max(open_, key=lambda one: seldom[one], default=None)
        return None if key is None else Asked(open_[key], seldom[key])
    pool = open_ or left
    key = min(pool, key=lambda one: _drawn(one, duel), default=None)
    return None if key is None else Asked(pool[key], seldom.get(key, 0.0))


def seldom_of(texts: Sequence[str]) -> list[float]:
    """One minus each text's mean cosine with the others, by the letters that they share; 1 if it is alone."""
    if len(texts) < 2:
        return [1.0] * len(texts)
    vectors_NF = Ngrams()([text[:MOST_READ] for text in texts])
    itself_N = (vectors_NF**2).sum(axis=1)
    near_N = (vectors_NF @ vectors_NF.sum(axis=0) - itself_N) / (len(texts) - 1)
    return [float(value) for value in np.clip(1.0 - near_N, 0.0, 1.0).round(6)]


def _last(messages: Messages) -> str:
    return messages[-1]["content"]


def _drawn(key: str, duel: tuple[int, int]) -> str:
    """A draw by lot that comes out the same whenever it is made."""
    return hashlib.sha256(f"{duel} {key}".encode()).hexdigest()
