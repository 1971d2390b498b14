"""What a run learns from without sampling: demonstrations, preferences, played episodes, or a corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strop.corpora import READS, chunks_of
from strop.data import played as playing
from strop.data.preferences import preferences
from strop.data.written import demonstrations
from strop.memory import Chunks, Dataset
from strop.types import Codec, Memory, MemoryConfig, Policy

if TYPE_CHECKING:
    from strop.config import TrainConfig

WRITTEN = {"demonstrations": demonstrations, "preferences": preferences, playing.EPISODES: playing.played}
"""The kinds of tasks that need no sampling, and the function that turns each into episodes."""
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


def fill(config: TrainConfig, memory: Memory, policy: Policy, codec: Codec) -> None:
    """Put what the run learns from into its memory."""
    if config.corpus is not None:
        assert isinstance(memory, Chunks), "the config refuses any other"
        memory.read(chunks_of(config.corpus, memory, policy.context), config.seed)
    else:
        memory.add(WRITTEN[config.reads](list(config.tasks), codec, policy.context))
