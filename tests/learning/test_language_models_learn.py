"""Each neural language model learns to copy one of two words by trial and error alone.

The answer is one word: a Llama without a first token cannot tell `red` from `red red`, since it sees no positions but
through attention, and the mean of equal values is the same. So it could not learn where to stop.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import strop
from language_models import NEURAL, config_of
from strop.types import Episode, Task

pytestmark = pytest.mark.learning
SEEDS = [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3, 4))]
WORDS = ("red", "blue")


def copied(task: Task, episode: Episode) -> float:
    """1 for the word, else 0."""
    return float(episode.text.split() == [task.answer])


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NEURAL)
def test_it_copies_the_word(name: str, seed: int, tmp_path: Path) -> None:
    run = strop.train(
        strop.TrainConfig(
            policy=config_of(name, words=WORDS, has_end=False, width=16),
            tasks=[Task(word, word, answer=word) for word in WORDS],
            rewards=[copied],
            algorithm=strop.algorithms.RLOO.Config(optimizer=strop.optimizer.AdamW(lr=0.01)),
            sampling=strop.Sampling(max_tokens=1),
            group_size=16,
            prompts_per_step=2,
            steps=40,
            seed=seed,
            checkpoint_every=40,
            threads=1,
        ),
        tmp_path / "run",
    )
    rewards = [row["reward/mean"] for row in run.metrics() if "reward/mean" in row]
    assert rewards[0] < 0.8  # an even choice of two words, 32 times: .5 with a standard deviation of .09
    assert sum(rewards[-5:]) / 5 > 0.9
