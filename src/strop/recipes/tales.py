"""Likelihood, then reward: a language model learns Grimm's tales from scratch, then to tell them in short sentences.

Two stages in one folder: pretraining on the corpus `grimm`, and RLOO on the share of words that stand in short
sentences. Gold is that nothing is said twice, which training never reads: a model that finds one short sentence and
repeats it shows there. In Chinese: `strop train poems`.
"""

from __future__ import annotations

import strop
from strop.types import Episode, Task

NUM_JUDGED = 48


def unrepeated(task: Task, episode: Episode) -> float:
    """The share of word pairs that the text holds once."""
    repeated: float = strop.rewards.Repetition(n=2)(task, episode)
    return 1.0 - repeated


def told_short(corpus: str, words: int, model: str = "transformer", steps: int = 60) -> list[strop.Stage]:
    """The two stages, on any corpus: sentences of at most `words` words are short."""
    rewarded = strop.TrainConfig(
        policy=strop.FromStage("pretrain", checkpoint="best"),
        tasks=[Task("text", "")],
        held_out=[Task(f"text-{i}", "") for i in range(NUM_JUDGED)],
        rewards={"short": strop.rewards.ShortSentences(words=words)},
        gold=[unrepeated],
        algorithm=strop.algorithms.RLOO.Config(
            optimizer=strop.optimizer.AdamW(lr=1e-4), kl=strop.functional.KL(weight=0.02)
        ),
        sampling=strop.Sampling(temperature=0.8, max_tokens=64),
        group_size=32,
        prompts_per_step=1,
        steps=steps,
        eval_every=steps // 3,
    )
    return [strop.Stage("pretrain", strop.pretraining(corpus, model)), strop.Stage("reward", rewarded)]


def recipe() -> list[strop.Stage]:
    """About seven minutes on two cores."""
    return told_short("grimm", words=12)
