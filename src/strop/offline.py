"""What a run learns from without sampling: demonstrations, preferences, played episodes, or a corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from strop.algorithms.sft import SFT
from strop.choices import Choosing
from strop.corpora import READS, chunks_of
from strop.data import played as playing
from strop.data.preferences import preferences
from strop.data.written import demonstrations
from strop.memory import Chunks, Dataset
from strop.types import Codec, Memory, MemoryConfig, Policy, Prompt, Tokens

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
