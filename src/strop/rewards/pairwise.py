"""A judge compares the answers to a prompt two by two, each pair in both orders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from strop.functional.bounds import check_at_least
from strop.rewards._answer import answer_of
from strop.rewards._delimited import question
from strop.rewards._orders import Orders, Place, pairs_of, place_of
from strop.rewards._text import prompt_text
from strop.types import Episode, Message, Task, Unscored, check_fields

INSTRUCTION = (
    "You compare two answers, A and B, to the same request, and say which one is better by this measure: {goal}"
)
REPLY = (
    'Reply with one JSON object and nothing after it: {"reason": "a short sentence", "better": "A"}, with A, B or tie.'
)


@dataclass(frozen=True, slots=True)
class Pairwise:
    """The share of its comparisons that an answer wins, a tie as half; 0 to 1. Wrap it in `GroupReward`.

    judge    is asked questions: `strop.rewards.Judge(url=..., model=...)`
    goal     by what one answer is better than the other, in a sentence
    against  "group": the other answers to the prompt; "answer": the task's own answer, and 1/2 is as good as that
    rounds   against the group: None compares every two answers, n (n - 1) requests for n of them; else each meets two
             neighbours a round, 2 n requests

    A pair is asked about in both orders, and is a tie where the two verdicts disagree, so a judge that likes a place
    gives nothing for it. Equal texts tie unasked. An answer is Unscored if one of its comparisons failed, since rivals
    differ; and if it is alone, as held-out answers are: judge those with against="answer" or `Rubric`.

    Cheated by: length and a sure tone, which judges like; an order to the judge in the text (framed, but no frame is
    sure); whatever the judge cannot check. Add a KL penalty (kl), and a gold score by another judge.
    """

    judge: Callable[[Sequence[list[Message]], Callable[[str], Any]], Sequence[Any]]
    goal: str = "which one does more of what the request asks for"
    against: Literal["group", "answer"] = "group"
    rounds: int | None = None

    def __post_init__(self) -> None:
        check_fields(self)
        check_at_least("Pairwise.rounds", self.rounds, 1, none="every two answers")
        if self.against not in ("group", "answer"):
            raise ValueError(f'Pairwise.against={self.against!r}: it is "group" or "answer".')
        if not self.goal.strip():
            raise ValueError("Pairwise.goal is empty: say in a sentence by what one answer is better.")

    def __call__(self, task: Task, episodes: Sequence[Episode]) -> list[float | Unscored]:
        read = [i for i, episode in enumerate(episodes) if len(episode.turns) <= 1]
        scores = dict(zip(read, self._scores(task, [episodes[i].text for i in read]), strict=True))
        return [
            scores[i]
            if i in scores
            else Unscored(f"Pairwise reads one answer, and this has {len(episode.turns)} turns")
            for i, episode in enumerate(episodes)
        ]

    def _scores(self, task: Task, texts: Sequence[str]) -> list[float | Unscored]:
        """Of each text the mean over its comparisons."""
        rivals = [*texts, answer_of(task, "Pairwise")] if self.against == "answer" else list(texts)
        last = len(texts)
        pairs = [(i, last) for i in range(last)] if self.against == "answer" else pairs_of(last, self.rounds)
        found = self.compared(task, [(rivals[i], rivals[j]) for i, j in pairs])
        scores: list[list[float | Unscored]] = [[] for _ in rivals]
        for (i, j), orders in zip(pairs, found, strict=True):
            scores[i].append(orders if isinstance(orders, Unscored) else orders.score)
            scores[j].append(orders if isinstance(orders, Unscored) else 1.0 - orders.score)
        return [_mean(of) for of in scores[:last]]

    def compared(self, task: Task, pairs: Sequence[tuple[str, str]]) -> list[Orders | Unscored]:
        """The verdicts on each pair of texts, asked in both orders; equal texts tie."""
        differ = [pair for pair in dict.fromkeys(pairs) if pair[0] != pair[1]]
        questions = [self._question(task, *shown) for a, b in differ for shown in ((a, b), (b, a))]
        places = list(self.judge(questions, place_of))
        orders = {pair: _orders(*places[2 * i : 2 * i + 2]) for i, pair in enumerate(differ)}
        return [orders.get(pair, Orders("tie", "tie")) for pair in pairs]

    def _question(self, task: Task, a: str, b: str) -> list[Message]:
        texts = {"request": prompt_text(task.prompt), "answer A": a, "answer B": b}
        return question(INSTRUCTION.format(goal=self.goal), REPLY, texts)


def _orders(first: Place | Unscored, swapped: Place | Unscored) -> Orders | Unscored:
    for place in (first, swapped):
        if isinstance(place, Unscored):
            return place
    assert not isinstance(first, Unscored)
    assert not isinstance(swapped, Unscored)
    return Orders(first, swapped)


def _mean(scores: Sequence[float | Unscored]) -> float | Unscored:
    if not scores:
        return Unscored('Pairwise compares answers to the same prompt, and this one is alone: set against="answer"')
    numbers = list[float]()
    for score in scores:
        if isinstance(score, Unscored):
            return score
        numbers.append(score)
    return sum(numbers) / len(numbers)
