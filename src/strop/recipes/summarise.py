"""Summarise a description of software in one line: first the likelihood of people's lines, then their ROUGE-L.

    strop train summarise
    strop train summarise method=sft
    strop train summarise data=mine.csv

Two stages on descriptions of Debian's packages: SFT, then RLOO on the ROUGE-L of each line with its length; with
`method=sft` the first has all the minutes. Gold is the meaning according to a sentence encoder, and chrF: a line of
likely words that says nothing has ROUGE-L, and shows there. The held-out split is judged; `judged=development` is for
choosing settings (docs/tasks/summarise.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

import strop
from strop.data.summarise import summaries
from strop.data.twins import prompt_text
from strop.rewards import ChrF, GroupReward, Rouge, SameMeaning, WordLimit
from strop.rewards._text import sentences_of
from strop.types import Completion, End, Episode, Message, Observation, RewardFn, Source, Task, Turn, check_fields

Split = Literal["held_out", "development"]
ASK = "What is this software, in a few words?\n\n"
LEAST, MOST = 3, 12
"""Words of a line; of the trained ones 99 % have so many."""
MAX_TOKENS = 24
SFT_SHARE = 3 / 8
"""Of the minutes, where a reward follows."""
STEPS = 100_000
"""More than fit into the minutes."""
LENGTHS = range(4, 21, 2)
NUM_TRIED = 300
"""Training texts on which the words of a baseline are counted out."""
NAMED = re.compile(r"^.{0,80}?\b(?:is|are|provides?|contains?|implements?|includes?|allows?)\s+(?:an?\s+|the\s+)?")
"""How a first sentence begins that says the name: "foo is a", "This package contains the"."""


def recipe(
    data: str = "auto",
    method: Literal["rl", "sft"] = "rl",
    model: str = "smollm2",
    minutes: float = 8.0,
    words: int = 40,
    judged: Split = "held_out",
) -> list[strop.Stage]:
    """Eight minutes on two cores.

    data     a file with the columns text and summary, and family where texts belong together; auto takes the
             descriptions of Debian's packages, where apt is there
    method   rl: SFT, then RLOO on ROUGE-L; sft: SFT alone, for as many minutes
    model    the model that is trained: "smollm2", a folder, or a Hub id
    minutes  of training, of both stages together
    words    of a text that the model reads, from its beginning
    judged   the split that is judged: held_out, or development to choose settings by
    """
    found = summaries(data)
    judged_on = found.held_out if judged == "held_out" else found.development
    shared = strop.TrainConfig(
        policy=strop.policies.Transformer.Config(
            model=model,
            lora=strop.policies.LoRA(rank=16, num_layers=16),
            prompts=strop.policies.Prompts(default_system=False),
        ),
        tasks=[asked(task, words) for task in found.train],
        held_out=[asked(task, words) for task in judged_on],
        rewards=rewards(),
        gold=gold(strop.policies.Sentence()),
        baselines={"lead words": Shortened(whole), "first sentence": Shortened(first_sentence)},
        sampling=strop.Sampling(temperature=0.7, max_tokens=MAX_TOKENS),
        judgement="greedy",
        steps=STEPS,
        checkpoint_every=20,
    )
    if method == "sft":
        return [strop.Stage("sft", imitating(shared, minutes))]
    return [
        strop.Stage("sft", imitating(shared, SFT_SHARE * minutes)),
        strop.Stage("rl", rewarded(replace(shared, policy=strop.FromStage("sft")), (1.0 - SFT_SHARE) * minutes)),
    ]


def asked(task: Task, words: int) -> Task:
    """The task with the question before its first words."""
    text = _first_words(prompt_text(task), words)
    return replace(task, prompt=[Message(role="user", content=ASK + text)])


def imitating(config: strop.TrainConfig, minutes: float) -> strop.TrainConfig:
    """SFT on people's lines."""
    return replace(
        config,
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


def rewards() -> dict[str, tuple[RewardFn, float]]:
    """1 for the very line that people wrote."""
    return {"rouge": (Rouge(), 0.9), "length": (WordLimit(least=LEAST, most=MOST), 0.1)}


def gold(embed: Callable[[Sequence[str]], Any]) -> dict[str, tuple[RewardFn | GroupReward, float]]:
    """What the reward never reads; `longer` is reported only."""
    return {
        "meaning": (GroupReward(SameMeaning(embed=embed)), 1.0),
        "chrf": (ChrF(), 0.0),
        "longer": (longer, 0.0),
    }


def longer(task: Task, episode: Episode) -> float:
    """By how many words the line is longer than people's: whether a reward was paid for length."""
    return float(len(episode.text.split()) - len(task.answer.split()))


@dataclass(frozen=True, slots=True)
class Shortened:
    """A baseline: the first words of what `part` takes out of a text, as many as are best in training."""

    part: Callable[[str], str]

    def __post_init__(self) -> None:
        check_fields(self)

    def fit(self, tasks: Sequence[Task]) -> Cut:
        """The number of words with the highest ROUGE-L on the first `NUM_TRIED` tasks."""
        tried, rouge = tasks[:NUM_TRIED], Rouge()

        def total(cut: Cut) -> float:
            return sum((rouge(task, _written(task, cut.text(task))) for task in tried), 0.0)

        return max((Cut(self.part, words) for words in LENGTHS), key=total)


@dataclass(frozen=True, slots=True)
class Cut:
    """The first words of what `part` takes out of a text."""

    part: Callable[[str], str]
    words: int

    def __call__(self, task: Task, seen: Observation) -> str:
        return self.text(task)

    def text(self, task: Task) -> str:
        """What it writes."""
        return _first_words(self.part(prompt_text(task).removeprefix(ASK)), self.words).rstrip(".")


def whole(text: str) -> str:
    """All of a text: of it the first words are taken."""
    return text


def first_sentence(text: str) -> str:
    """The first sentence without the name that it begins with: of "foo is a reader of files." "reader of files."."""
    return NAMED.sub("", next(iter(sentences_of(text)), ""), count=1)


def _first_words(text: str, number: int) -> str:
    """The beginning of a text, with its line breaks, up to so many words."""
    found = list(islice(re.finditer(r"\S+", text), number))
    return text[: found[-1].end()] if found else ""


def _written(task: Task, text: str) -> Episode:
    """An episode in which this was written."""
    turn = Turn((), Completion((), None, "stop"), text)
    return Episode(task.id, task, 0, (turn,), (), End.TERMINATED, source=Source.DATA)
