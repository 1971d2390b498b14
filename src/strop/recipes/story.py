"""Very short stories with three given words that end well: the main job, on SmolLM2-135M-Instruct.

The reward adds four things that are wanted and subtracts three that are not. Each alone can be cheated (see its own
page); together they make an honest story the best answer. Training never sees the two gold scores, which check it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Literal

import strop
from strop.data.words import draw_sets, nouns, split_words, with_article
from strop.rewards import (
    Copying,
    Fluency,
    GroupReward,
    HappyEnd,
    Repetition,
    Similarity,
    WordLimit,
    finished,
    uses_words,
    word_heap,
)
from strop.types import Message, RewardFn, Task

MOST_WORDS = 25
MAX_TOKENS = 40
"""25 English words are about 33 tokens; the rest leaves room to overshoot and to learn from it."""


def recipe() -> strop.TrainConfig:
    """Minutes on two cores. KL to the start and few steps keep the stories stories; gold tells whether they do."""
    return strop.TrainConfig(
        policy=strop.policies.Transformer.Config(model="smollm2", lora=strop.policies.LoRA(rank=16, num_layers=10)),
        tasks=story_tasks("train", 512),
        held_out=story_tasks("held_out", 48),
        rewards=rewards(),
        gold=gold(strop.policies.Perplexity(), strop.policies.Sentence()),
        algorithm=strop.algorithms.RLOO.Config(
            optimizer=strop.optimizer.AdamW(lr=6e-4, warmup_steps=3), kl=strop.functional.KL(weight=0.02)
        ),
        sampling=strop.Sampling(temperature=0.7, max_tokens=MAX_TOKENS),
        group_size=8,
        prompts_per_step=2,
        steps=20,
        checkpoint_every=10,
    )


def story_tasks(split: Literal["train", "held_out"], n: int) -> list[Task]:
    """n tasks of three words each. The held-out ones share no word with those that are trained on."""
    train, held_out = split_words(nouns(), num_held_out=72)
    sets = draw_sets(train if split == "train" else held_out, size=3)
    return [_task(words) for words in islice(_distinct(sets), n)]


def rewards() -> dict[str, tuple[RewardFn, float]]:
    """1.0 for a story that does all it is asked and nothing that is not wanted."""
    return {
        "words": (uses_words, 0.5),
        "happy_end": (HappyEnd(), 0.2),
        "length": (WordLimit(least=12, most=MOST_WORDS), 0.15),
        "finished": (finished, 0.15),
        "repetition": (Repetition(n=2), -0.75),
        "copying": (Copying(n=3), -0.5),
        "word_heap": (word_heap, -0.5),
    }


def gold(
    nats: Callable[[Sequence[str]], Sequence[float]], embed: Callable[[Sequence[str]], Any]
) -> dict[str, tuple[GroupReward, float]]:
    """What the reward never uses: is it natural to the start model, and is it about the words?"""
    return {
        "fluency": (GroupReward(Fluency(nats=nats)), 0.5),
        "similarity": (GroupReward(Similarity(embed=embed)), 0.5),
    }


def _task(words: tuple[str, ...]) -> Task:
    first, second, third = (with_article(word) for word in words)
    prompt = [
        Message(role="system", content="You tell tiny stories to children."),
        Message(
            role="user",
            content=f"Tell a happy story of at most {MOST_WORDS} words about {first}, {second} and {third}.",
        ),
    ]
    return Task(id="-".join(sorted(words)), prompt=prompt, data={"words": list(words)})


def _distinct(sets: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """Each set of words once, in any order of its words."""
    seen: set[frozenset[str]] = set()
    for words in sets:
        if frozenset(words) not in seen:
            seen.add(frozenset(words))
            yield words
