"""Tell a story in a given style: as Grimm tells it, in simple words, or in three lines of 5, 7 and 5 syllables.

    strop train style
    strop train style style=simple
    strop train style style=haiku method=sft

Two stages: SFT on texts of the style, which stand in Grimm's tales, then RLOO on a reward that knows it: a classifier
that was fitted on half of the tales, the frequencies of words, or a count of syllables. Gold is the same goal measured
by other means: another family of classifier on the other half, a formula of readability, another counter. With
`method=sft` the first stage has all the minutes (docs/tasks/style.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import Any, Literal

import strop
from strop.data.style import Family, Half, fitted, haiku, held_out_nouns, passages, prompted, trained_nouns
from strop.data.words import nouns, with_article
from strop.rewards import Classified, GroupReward, Repetition, ShortSentences, SimpleWords, WordLimit, uses_words
from strop.rewards._syllables import Counter, check_counter, syllables_of
from strop.rewards._text import sentences_of, words_of
from strop.types import Episode, Message, RewardFn, Task, check_fields

Style = Literal["grimm", "simple", "haiku"]
Scores = dict[str, "tuple[RewardFn | GroupReward, float]"]
ASKS: dict[str, str] = {
    "grimm": "Tell the beginning of a story about {0}, as the Brothers Grimm would.",
    "simple": "Tell the beginning of a story about {0}, in simple words and short sentences.",
    "haiku": "Write three lines about {0}, of five, seven and five syllables.",
}
MAX_TOKENS = {"grimm": 64, "simple": 64, "haiku": 32}
LEAST, MOST = 20, 60
"""Words of a story."""
COMMON = 4.5
"""On the Zipf scale of wordfreq, a simple word: "house" has 5.6, "frog" 3.9."""
SHORT = 12
"""Words of a short sentence."""
SIMPLEST = 0.25
"""The share of passages, the simplest ones, that are imitated."""
SFT_SHARE = 3 / 8
STEPS = 100_000
"""More than fit into the minutes."""
NOUNS = frozenset(nouns())
SPLIT = 24
"""Held-out nouns that are for choosing; the others are judged at the end."""


def recipe(
    style: Style = "grimm",
    method: Literal["rl", "sft"] = "rl",
    model: str = "smollm2",
    minutes: float = 8.0,
    judged: Literal["held_out", "development"] = "held_out",
) -> list[strop.Stage]:
    """Eight minutes on two cores.

    style    grimm, simple words, or a haiku
    method   rl: SFT, then RLOO on the reward; sft: SFT alone, for as many minutes
    model    the model that is trained: "smollm2", a folder, or a Hub id
    minutes  of training, of both stages together
    judged   the nouns that it is judged on: held_out, or development to choose settings by
    """
    held_out = held_out_nouns()
    judged_on = held_out[SPLIT:] if judged == "held_out" else held_out[:SPLIT]
    shared = strop.TrainConfig(
        policy=strop.policies.Transformer.Config(
            model=model,
            lora=strop.policies.LoRA(rank=16, num_layers=16),
            prompts=strop.policies.Prompts(default_system=False),
        ),
        held_out=[asked(style, noun) for noun in judged_on],
        rewards=rewards(style),
        gold=gold(style),
        sampling=strop.Sampling(temperature=0.7, max_tokens=MAX_TOKENS[style]),
        judgement="greedy",
        steps=STEPS,
        checkpoint_every=20,
    )
    if method == "sft":
        return [strop.Stage("sft", imitating(shared, style, minutes))]
    started = replace(shared, policy=strop.FromStage("sft"), tasks=[asked(style, noun) for noun in trained_nouns()])
    return [
        strop.Stage("sft", imitating(shared, style, SFT_SHARE * minutes)),
        strop.Stage("rl", rewarded(started, (1.0 - SFT_SHARE) * minutes)),
    ]


def asked(style: Style, word: str, text: str = "", id: str = "") -> Task:
    """The task to write about a noun, or with another word, in this style; and the text that does."""
    about = with_article(word) if word in NOUNS else f"the word {word}"
    return Task(id or word, [Message(role="user", content=ASKS[style].format(about))], text, {"words": [word]})


def demonstrations(style: Style) -> list[Task]:
    """Texts of the style, each with a prompt that it answers."""
    if style == "haiku":
        pairs = prompted(haiku(partial(syllables_of, counter="rules")), any_word=True)
    else:
        pairs = prompted(passages("reward"))
    tasks = [asked(style, word, text, f"{style}-{number}") for number, (word, text) in enumerate(pairs, 1)]
    if style == "simple":
        simple = sorted(tasks, key=lambda task: -ease_of(task.answer))
        return simple[: int(SIMPLEST * len(tasks))]
    return tasks


def ease_of(text: str) -> float:
    """Flesch's reading ease (1948): 206.835 - 1.015 words a sentence - 84.6 syllables a word; 100 is very easy."""
    counts = [count for count in syllables_of(text, "rules") if count is not None]
    words_per_sentence = len(counts) / max(1, len(sentences_of(text)))
    return 206.835 - 1.015 * words_per_sentence - 84.6 * sum(counts) / max(1, len(counts))


def imitating(config: strop.TrainConfig, style: Style, minutes: float) -> strop.TrainConfig:
    """SFT on texts of the style."""
    return replace(
        config,
        tasks=demonstrations(style),
        algorithm=strop.algorithms.SFT.Config(optimizer=strop.optimizer.AdamW(lr=5e-4, warmup_steps=5)),
        memory=strop.memory.Dataset.Config(size=8),
        minutes=minutes,
    )


def rewarded(config: strop.TrainConfig, minutes: float) -> strop.TrainConfig:
    """RLOO on the reward, with a KL to the policy that the stage starts with."""
    return replace(
        config,
        algorithm=strop.algorithms.RLOO.Config(
            optimizer=strop.optimizer.AdamW(lr=3e-4, warmup_steps=3), kl=strop.functional.KL(weight=0.02)
        ),
        group_size=8,
        prompts_per_step=4,
        minutes=minutes,
    )


def rewards(style: Style) -> Scores:
    """1 for a text of the style that names what it is about and repeats nothing."""
    shared: Scores = {"named": (uses_words, 0.2), "repetition": (Repetition(n=2), -0.5)}
    length: Scores = {"length": (WordLimit(least=LEAST, most=MOST), 0.2)}
    match style:
        case "grimm":
            return {"grimm": (GroupReward(Classified(Likeness("logistic", "reward"))), 0.6)} | length | shared
        case "simple":
            return {"simple": (SimpleWords(least=COMMON), 0.4), "short": (ShortSentences(words=SHORT), 0.2)} | (
                length | shared
            )
        case "haiku":
            return {"syllables": (Syllables(), 0.4), "exact": (Syllables(exact=True), 0.4)} | shared


def gold(style: Style) -> Scores:
    """The same goal by other means, which the reward never reads."""
    match style:
        case "grimm":
            return {"bayes": (GroupReward(Classified(Likeness("bayes", "gold"))), 1.0)}
        case "simple":
            return {"easy": (reading_ease, 1.0)}
        case "haiku":
            return {"counted": (Syllables(exact=True, counter="dictionary"), 1.0)}


@dataclass(frozen=True, slots=True)
class Likeness:
    """From texts to a table of two columns: the probability that each is the model's own, and that it is Grimm's.

    It is `strop.data.style.fitted`, at the first use (scikit-learn: `pip install "strop[style]"`).
    """

    family: Family = "logistic"
    half: Half = "reward"

    def __post_init__(self) -> None:
        check_fields(self)
        if find_spec("sklearn") is None:
            raise ModuleNotFoundError('Likeness needs the package scikit-learn: pip install "strop[style]"')

    def __call__(self, texts: Sequence[str]) -> Any:
        return fitted(self.family, self.half).predict_proba(list(texts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Syllables:
    """How near the lines of the text are to a pattern of syllables, 0 to 1: 5, 7 and 5 are a haiku in English.

    A line that has n of the m syllables that it should have earns 1 - |n - m| / m, at least 0; one that is missing, too
    many, or has a word that cannot be counted earns 0. The score is the mean over the pattern, or over the lines if
    they are more. Empty lines are none.

    pattern  syllables of each line
    exact    a line that is not exactly right earns 0
    counter  rules: a list of 6,392 words, and rules for all others (syllapy: pip install "strop[style]");
             dictionary: the CMU Pronouncing Dictionary, which knows 126,000 words and no other (0.9 MB, fetched once)

    Cheated by: any words of that length, the same line again, and with `rules` by words that there are not. Watch the
    other counter, and `Repetition`.
    """

    pattern: tuple[int, ...] = (5, 7, 5)
    exact: bool = False
    counter: Counter = "rules"

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "pattern", tuple(self.pattern))
        if not self.pattern or min(self.pattern) < 1:
            raise ValueError(f"Syllables.pattern={self.pattern}: it has a line or more, of 1 syllable or more each.")
        check_counter(self.counter, "Syllables")

    def __call__(self, task: Task, episode: Episode) -> float:
        lines = [line for line in episode.text.splitlines() if line.strip()]
        earned = [self._line(line, wanted) for line, wanted in zip(lines, self.pattern, strict=False)]
        return sum(earned) / max(len(lines), len(self.pattern))

    def _line(self, line: str, wanted: int) -> float:
        counts = syllables_of(line, self.counter)
        known = [count for count in counts if count is not None]
        if not counts or len(known) < len(counts):
            return 0.0
        off = abs(sum(known) - wanted) / wanted
        return float(off == 0.0) if self.exact else max(0.0, 1.0 - off)


def reading_ease(task: Task, episode: Episode) -> float:
    """Flesch's reading ease as a share of 100, from 0 to 1; 0 for a text without words.

    Cheated by: short words that say nothing.
    """
    return min(1.0, max(0.0, ease_of(episode.text) / 100.0)) if words_of(episode.text) else 0.0
