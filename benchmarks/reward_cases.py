"""Every shipped reward with tasks that it suits and an honest answer to each, for rewards.py to attack."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import strop
from strop.recipes import story
from strop.rewards import (
    Answered,
    ChrF,
    Copying,
    Fluency,
    Grammar,
    GroupReward,
    HappyEnd,
    InScript,
    Matches,
    Repetition,
    Rouge,
    SameMeaning,
    SentenceBleu,
    ShortSentences,
    Similarity,
    SimpleWords,
    Toxicity,
    ValidJSON,
    WordLimit,
    correct_number,
    exact_answer,
    finished,
    gave_answer,
    right_answer,
    token_f1,
    uses_words,
    word_heap,
)
from strop.rewards._naming import RewardLike
from strop.types import Task

SUMS = {f"{a} + {b}": str(a + b) for a, b in ((13, 8), (27, 35), (41, 9), (60, 52))}
CAPITALS = {"France": "Paris", "Japan": "Tokyo", "Kenya": "Nairobi", "Peru": "Lima"}
SUMMARIES = {
    "The committee met on Tuesday for three hours and, after a long argument about money, agreed to repair the old "
    "bridge before the winter.": (
        "The committee will repair the old bridge before winter.",
        "After arguing over money, they decided to fix the bridge before it gets cold.",
    ),
    "Doctors in the north say that the new vaccine did not reduce the number of children who fell ill last spring.": (
        "The new vaccine did not reduce illness among children.",
        "As many children were ill last spring as before, in spite of the vaccine.",
    ),
    "A fox that had lived for years behind the bakery was seen on Sunday leading four cubs across the main street.": (
        "A fox led four cubs across the street.",
        "The bakery's fox walked over the main road with her young.",
    ),
    "The library, which had been closed since the flood, will open its doors again on the first of May with longer "
    "hours.": (
        "The flooded library opens again on the first of May.",
        "From May people can use the library again, and for longer each day.",
    ),
}
"""Texts, with the reference and an honest summary in other words."""
STORIES = {
    ("egg", "vase", "comb"): (
        "Mia hid an egg inside a blue vase. Her brother found it with his comb, and both of them were happy."
    ),
    ("frog", "lamp", "river"): (
        "A frog was lost at night. Then it saw a lamp across the river, and it was happy to be home again."
    ),
    ("boat", "cake", "king"): (
        "The king was alone in his boat. A child brought him a cake, and at the end of the day they were good friends."
    ),
    ("tree", "coat", "bird"): (
        "A small bird was cold in the tree. An old man left his coat for it, and it sang for him with joy."
    ),
}
MESSAGES = {
    "Delete this page?": ("删除此页面？", "要删掉这个页面吗？"),
    "Please enter a valid email address.": ("请输入有效的电子邮件地址。", "请填写正确的邮箱地址。"),
    "The file was saved.": ("文件已保存。", "文件保存好了。"),
    "You do not have permission to change this.": ("您没有权限更改此内容。", "你无权修改这项内容。"),
}
"""The same of translations."""
PEOPLE = {
    "Ann Lee, 34, from Cork": ("Ann Lee", 34),
    "Bo Chen, 51, from Wuhan": ("Bo Chen", 51),
    "Ida Berg, 8": ("Ida Berg", 8),
}
PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Case:
    """A reward with its name in the table, or several of a recipe; tasks; and by task id honest answers in other words.

    A task without such an answer holds an honest one itself.
    """

    name: str
    rewards: Mapping[str, RewardLike]
    tasks: Sequence[Task]
    honest: Mapping[str, str]


def cases() -> list[Case]:
    """In the order of the table."""
    sums = [Task(sum, f"What is {sum}?", answer=answer) for sum, answer in SUMS.items()]
    capitals = [Task(land, f"What is the capital of {land}?", answer=city) for land, city in CAPITALS.items()]
    framed = [
        Task(one.id, f"{one.prompt} Think, then answer.", f"I add them up.\n<answer>{one.answer}</answer>")
        for one in sums
    ]
    people = [
        Task(who, f"As JSON: {who}", json.dumps({"name": name, "age": age})) for who, (name, age) in PEOPLE.items()
    ]
    summaries = [Task(text, f"In one sentence: {text}", answer) for text, (answer, _) in SUMMARIES.items()]
    messages = [Task(text, text, answer) for text, (answer, _) in MESSAGES.items()]
    stories = [
        Task(
            "-".join(words), f"Tell a happy story of at most 25 words about {', '.join(words)}.", text, {"words": words}
        )
        for words, text in STORIES.items()
    ]
    embed = strop.policies.Sentence()
    single = [
        ("exact_answer", exact_answer, capitals),
        ("Answered()", Answered(), capitals),
        ("right_answer", right_answer, capitals),
        ("gave_answer", gave_answer, capitals),
        ("token_f1", token_f1, capitals),
        ("correct_number", correct_number, sums),
        (r'Matches("(?s).*<answer>\d+</answer>")', Matches(r"(?s).*<answer>\d+</answer>"), framed),
        ("ValidJSON(schema)", ValidJSON(PERSON), people),
        ("Rouge()", Rouge(), summaries),
        ('Rouge(kind="rouge1", measure="recall")', Rouge(kind="rouge1", measure="recall"), summaries),
        ("ChrF()", ChrF(), messages),
        ("SentenceBleu()", SentenceBleu(), messages),
        ("SameMeaning(embed)", GroupReward(SameMeaning(embed)), summaries),
        ("Similarity(embed=embed)", GroupReward(Similarity(embed=embed)), stories),
        ("Fluency(nats=nats)", GroupReward(Fluency(nats=strop.policies.Perplexity())), stories),
        ("Grammar()", Grammar(), stories),
        ("SimpleWords()", SimpleWords(), stories),
        ("ShortSentences()", ShortSentences(), stories),
        ("WordLimit(least=12, most=25)", WordLimit(least=12, most=25), stories),
        ("finished", finished, stories),
        ("uses_words", uses_words, stories),
        ("HappyEnd()", HappyEnd(), stories),
        ('InScript("CJK")', InScript("CJK"), messages),
        ("Repetition(), weight -1", (Repetition(), -1.0), stories),
        ("Copying(), weight -1", (Copying(), -1.0), stories),
        ("word_heap, weight -1", (word_heap, -1.0), stories),
        ("Toxicity(), weight -1", (GroupReward(Toxicity()), -1.0), stories),
    ]
    together = Case("the reward of `story`", story.rewards(), stories, {})
    honest = {text: other for text, (_, other) in (SUMMARIES | MESSAGES).items()}
    return [*(Case(name, {"measured": reward}, tasks, honest) for name, reward, tasks in single), together]
