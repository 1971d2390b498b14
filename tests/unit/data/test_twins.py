"""Twins of tasks: counted by hand, and beside a slow comparison of all with all."""

from __future__ import annotations

import math
import random
from collections import Counter

import pytest

from strop.data import alike
from strop.data.twins import Twin, leaks, near_duplicates, without
from strop.types import Task


def tasks(*prompts: str, name: str = "t") -> list[Task]:
    return [Task(f"{name}{number}", prompt) for number, prompt in enumerate(prompts)]


def ids(twins: list[Twin]) -> list[tuple[str, str]]:
    return [(twin.task.id, twin.of.id) for twin in twins]


def test_case_spaces_marks_and_unicode_do_not_tell_prompts_apart():
    mine = tasks("Where is Oslo?", "3.5 + 2", "你好，世界。", "Cafe\u0301", "3.5 - 2", "so...")
    theirs = tasks("where  IS oslo", "3.5 + 2?", "你好，世界", "café", name="h")
    found = leaks(mine, theirs, near=1.0)
    assert ids(found) == [("t0", "h0"), ("t1", "h1"), ("t2", "h2"), ("t3", "h3")]
    assert {twin.similarity for twin in found} == {1.0}
    assert leaks(tasks("3.5"), tasks("3 5", "35"), near=1.0) == []


def test_the_similarity_is_the_share_of_common_runs():
    # 8 and 9 words: 7 and 8 runs, of which "five six" is in the first alone, "five and" and "and six" in the other.
    mine, theirs = (
        tasks("one two three four five six seven eight"),
        tasks("one two three four five and six seven eight"),
    )
    (twin,) = leaks(mine, theirs, near=6 / 9)
    assert twin.similarity == 6 / 9
    assert leaks(mine, theirs, near=0.67) == []


def test_of_several_that_a_task_is_like_the_first_is_named():
    assert ids(leaks(tasks("a b c d e"), tasks("x", "a b c d e f", "a b c d"), near=0.7)) == [("t0", "t1")]


def test_a_similarity_of_1_takes_no_other_order_or_number_of_words():
    assert leaks(tasks("a b a b"), tasks("a b a b a b"), near=1.0) == []
    assert ids(leaks(tasks("a b a b"), tasks("a b a b a b"), near=0.99)) == [("t0", "t0")]


def test_a_question_is_the_same_without_the_instruction_of_all_others():
    others = [f"Read this and answer it in one word: {number} * 17" for number in range(99)]
    question = "when was the river Nile first sailed by a ship of iron"
    assert ids(leaks([*tasks(*others), Task("q", others[0][:37] + question)], tasks(question))) == [("q", "t0")]


def test_messages_are_compared_by_their_texts():
    chat = Task("chat", [{"role": "system", "content": "You count."}, {"role": "user", "content": "What is 1 + 1?"}])
    assert ids(leaks([chat], [Task("text", "you count. what is 1 + 1")])) == [("chat", "text")]
    assert leaks([chat], [Task("text", "You count. What is 1 - 1?")], near=0.9) == []


PLACES = ("Peru", "Chad", "Oman", "Laos", "Cuba", "Mali", "Iran", "Togo")
FACTS = ("capital", "population", "highest mountain", "official language")


def test_what_many_prompts_share_likens_no_two_of_them():
    instruction = "Answer in one word and no more, please, and say that you do not know if you do not know it:"
    asked = [f"{instruction} what is the {fact} of {place}" for fact in FACTS for place in PLACES]
    assert near_duplicates(tasks(*asked)) == []
    assert leaks(tasks(*asked[::2]), tasks(*asked[1::2])) == []
    assert ids(near_duplicates(tasks(*asked, asked[3].upper()))) == [(f"t{len(asked)}", "t3")]
    assert ids(near_duplicates(tasks(*asked[:2]))) == [("t1", "t0")]  # two prompts show no instruction
    assert near_duplicates(tasks(*asked[:2], *PLACES)) != []


def test_who_is_taken_out_leaves_one_of_each_kind_and_no_more():
    # A and B are alike (4 of 5 runs), B and C too, A and C are not (3 of 5, below .7): B goes, and C stays.
    a, b, c = "a b c d e", "a b c d e f", "b c d e f"
    assert ids(near_duplicates(tasks(a, b, c, b, "x y z"), near=0.7)) == [("t1", "t0"), ("t3", "t0")]
    assert [twin.similarity for twin in near_duplicates(tasks(a, b, c, b), near=0.7)] == pytest.approx([0.8, 0.8])
    assert ids(near_duplicates(tasks(a, c, b), near=0.7)) == [("t2", "t0")]  # the first of two that it is like


def slow_runs(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[i : i + 2]) for i in range(max(1, len(words) - 1))}


def slowly(mine: list[str], theirs: list[str], near: float) -> list[tuple[str, str]]:
    """Leaks by comparing all with all."""
    distinct = list(dict.fromkeys([*theirs, *mine]))
    counts = Counter(run for text in distinct for run in slow_runs(text))
    weights = {run: math.log((len(distinct) + 3) / max(count, 3)) for run, count in counts.items()}

    def is_like(text: str, other: str) -> bool:
        one, two = slow_runs(text), slow_runs(other)
        weighed = sum(weights[run] for run in one & two) / sum(weights[run] for run in one | two)
        return weighed >= near - 1e-9

    found = []
    for number, text in enumerate(mine):
        like = [place for place, other in enumerate(theirs) if is_like(text, other)]
        if text in theirs or like:
            found.append((f"t{number}", f"h{theirs.index(text) if text in theirs else like[0]}"))
    return found


@pytest.mark.parametrize("near", [0.3, 0.6, 0.8])
@pytest.mark.parametrize("together", [alike.TOGETHER, 3])
def test_no_leak_is_missed(near, together, monkeypatch):
    monkeypatch.setattr(alike, "TOGETHER", together)
    dice = random.Random(3)
    words = [f"w{i}" for i in range(30)]
    theirs = [" ".join(dice.choices(words, k=dice.randrange(1, 12))) for _ in range(60)]
    mine = [" ".join(dice.choices(words, k=8)) for _ in range(60)]
    mine += [f"{dice.choice(theirs)} {dice.choice(words)}" for _ in range(40)] + theirs[:3]
    expected = slowly(mine, theirs, near)
    assert 10 <= len(expected) < len(mine)
    assert ids(leaks(tasks(*mine), tasks(*theirs, name="h"), near)) == expected


def test_twins_are_taken_out_with_all_that_is_like_them_and_shown():
    mine, theirs, told = tasks("Is it so?", "why", "is it so", "how"), tasks("Is it so"), []
    assert [task.id for task in without(mine, leaks(mine, theirs), told.append)] == ["t1", "t3"]
    assert told == [
        "2 of 4 tasks taken out, since another asks the same:\n"
        "  't0' and 't0' (100 % alike): 'Is it so?' | 'Is it so'\n"
        "  't2' and 't0' (100 % alike): 'is it so' | 'Is it so'"
    ]
    assert without(mine, [], told.append) == mine
    assert len(told) == 1


def test_all_twins_are_counted_though_few_are_shown():
    mine, told = tasks(*["so"] * 9), []
    assert [task.id for task in without(mine, near_duplicates(mine), told.append)] == ["t0"]
    assert told[0].startswith("8 of 9 tasks")
    assert told[0].endswith("\n  and 3 more")


def test_twins_of_the_other_side_cannot_be_taken_out():
    mine, theirs = tasks("so"), tasks("so", name="h")
    with pytest.raises(ValueError, match="the twin 'h0' is not among these tasks"):
        without(mine, leaks(theirs, mine))


@pytest.mark.parametrize("near", [0.0, 1.1, float("nan")])
def test_a_similarity_is_above_0_and_at_most_1(near):
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        near_duplicates(tasks("a"), near)
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        leaks(tasks("a"), tasks("b"), near)


def test_without_tasks_there_are_no_twins():
    assert near_duplicates([]) == leaks([], tasks("a")) == leaks(tasks("a"), []) == []
    assert ids(near_duplicates(tasks("", "", "?"))) == [("t1", "t0")]
