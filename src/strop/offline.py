"""What a run learns from without sampling: demonstrations, preferences, played episodes, or a corpus."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from strop.algorithms.sft import SFT
from strop.choices import Choosing
from strop.corpora import READS, chunks_of
from strop.data import played as playing
from strop.data import preferences as preferring
from strop.data.corpus import Corpus
from strop.data.preferences import preferences
from strop.data.tasks import from_file, is_saved, train_test_split
from strop.data.written import demonstrations
from strop.memory import Chunks, Dataset
from strop.runs.played import tasks_from_run
from strop.types import Codec, Memory, MemoryConfig, Policy, Prompt, Task, TaskSourceConfig, Tokens

if TYPE_CHECKING:
    from strop.config import TrainConfig

WRITTEN = {"demonstrations": demonstrations, "preferences": preferences, playing.EPISODES: playing.played}
"""The kinds of tasks that need no sampling, and the function that turns each into episodes."""
HELD_OUT_SHARE = 0.1
KINDS = (*WRITTEN, READS)


def read_by(config: TrainConfig) -> str:
    """What a run learns from: what its algorithm reads, or a corpus, or played episodes if the tasks hold them."""
    if config.corpus is not None:
        return READS
    is_played = config.algorithm.reads == "tasks" and any(map(playing.is_played, config.tasks))
    return playing.EPISODES if is_played else config.algorithm.reads


def default_memory(config: TrainConfig) -> MemoryConfig:
    """The memory of a run that names none."""
    kind = {playing.EPISODES: Dataset.Config, READS: Chunks.Config}.get(config.reads, config.algorithm.memory)
    made: MemoryConfig = kind()
    return made


def given_tasks(config: TrainConfig) -> tuple[Sequence[Task] | TaskSourceConfig, list[Task]]:
    """The tasks and the held-out tasks of a config, read from its data where that is a file or a run.

    Raises ValueError for data that is not there, or that is not what the algorithm learns from.
    """
    if config.data is None or isinstance(config.data, Corpus):
        return config.tasks, list(config.held_out)
    place = Path(config.data)
    if place.is_dir() and not is_saved(config.data):
        return tasks_from_run(place), list(config.held_out)
    if not place.exists():
        raise ValueError(f"data={str(config.data)!r}: there is no such file or run (looked from {Path.cwd()}).")
    reads_pairs = config.algorithm.reads == "preferences"
    tasks = from_file(config.data, check=preferring.check if reads_pairs else playing.check)
    is_scorable = config.can_judge or (reads_pairs and all(map(preferring.is_pair, tasks)))
    if config.held_out or len(tasks) < 2 or not is_scorable or any(map(playing.is_played, tasks)):
        return tasks, list(config.held_out)
    return train_test_split(tasks, max(HELD_OUT_SHARE, 1 / len(tasks)), config.seed)


def fill(config: TrainConfig, memory: Memory, policy: Policy, codec: Codec) -> None:
    """Put what the run learns from into its memory."""
    if config.corpus is not None:
        assert isinstance(memory, Chunks), "the config refuses any other"
        memory.read(chunks_of(config.corpus, memory, policy.context), config.seed)
    else:
        is_open = isinstance(config.algorithm, SFT.Config) and not config.algorithm.end
        written_by, choosing = _Endless(codec) if is_open else codec, Choosing(codec, config.sampling)
        memory.add(WRITTEN[config.reads](list(config.tasks), written_by, policy.context, choosing))


class _Endless:
    """A codec that appends nothing to answers that come from data."""

    end: int | None = None

    def __init__(self, codec: Codec) -> None:
        self._codec, self.stop = codec, codec.stop

    def start(self, prompt: Prompt) -> Tokens:
        return self._codec.start(prompt)

    def extend(self, prompt: Tokens, completion: Tokens, reply: Prompt) -> Tokens:
        return self._codec.extend(prompt, completion, reply)

    def encode(self, text: str) -> Tokens:
        return self._codec.encode(text)

    def decode(self, tokens: Tokens) -> str:
        return self._codec.decode(tokens)
