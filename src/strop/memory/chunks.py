"""The chunks of a corpus in shuffled epochs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from strop.functional.bounds import check_at_least, check_at_most
from strop.streams import stream
from strop.types import Completion, Draw, End, Episode, MemoryConfig, Pick, Source, State, Task, Turn, check_fields

TASK = Task("corpus", "")


class Chunks:
    """Offline: the tokens of a corpus in chunks, `size` a draw; an epoch teaches every token but the first once.

    A chunk becomes an Episode when it is drawn. The order of an epoch depends on (seed, epoch) alone, so the state is
    one number.
    """

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(MemoryConfig):
        """Its options.

        size     chunks per draw
        length   tokens of a chunk that are learnt
        overlap  tokens before them that are only read; at least 1, from which the first one is predicted
        epochs   the run ends after so many passes, if its steps do not end it before; none: its steps end it
        """

        size: int = 32
        length: int = 128
        overlap: int = 1
        epochs: int | None = None

        def __post_init__(self) -> None:
            check_fields(self)
            check_at_least("memory.size", self.size, 1)
            check_at_least("memory.length", self.length, 1)
            check_at_least("memory.overlap", self.overlap, 1)
            if self.epochs is not None:
                check_at_least("memory.epochs", self.epochs, 1)
            check_at_most("memory.size", self.size, 1_000_000)
            check_at_most("memory.length", self.length, 1_000_000)

        def num_draws(self, num_tokens: int) -> int | None:
            """The draws that all epochs over so many tokens make; None without an end."""
            return None if self.epochs is None else -(-self.epochs * self.num_chunks(num_tokens) // self.size)

        def num_chunks(self, num_tokens: int) -> int:
            """The chunks of so many tokens."""
            return -(-max(num_tokens - 1, 0) // self.length)

        def build(self) -> Chunks:
            return Chunks(self)

    def __init__(self, config: Chunks.Config) -> None:
        self.config = config
        self._tokens = np.empty(0, dtype=np.uint16)
        self._seed = 0
        self._num_drawn = 0
        self._epoch = -1
        self._order = np.empty(0, dtype=np.int64)

    def read(self, tokens: np.ndarray, seed: int) -> None:
        """Take the chunks from these token ids [n], which may lie in a memory-mapped file."""
        self._tokens, self._seed = tokens, seed

    def __len__(self) -> int:
        """The number of chunks."""
        return self.config.num_chunks(len(self._tokens))

    def chunk(self, number: int) -> Episode:
        """One chunk, in the order of the text. The last one may be shorter."""
        first = 1 + number * self.config.length
        prompt = self._tokens[max(0, first - self.config.overlap) : first]
        completion = Completion(tuple(self._tokens[first : first + self.config.length].tolist()), None, "length")
        turn = Turn(tuple(prompt.tolist()), completion, text="")
        return Episode(f"chunk-{number}", TASK, number, (turn,), (), End.TERMINATED, source=Source.DATA)

    def in_order(self) -> Iterator[Draw]:
        """All chunks once, in the order of the text, `size` a draw."""
        for first in range(0, len(self), self.config.size):
            yield tuple(Pick(self.chunk(i)) for i in range(first, min(first + self.config.size, len(self))))

    def draws(self, rng: np.random.Generator) -> Iterator[Draw]:
        """The next `size` chunks of the epoch and of the one that follows it; fewer at the end of the last epoch."""
        num = self.config.size if len(self) else 0
        if self.config.epochs is not None:
            num = min(num, self.config.epochs * len(self) - self._num_drawn)
        if num > 0:
            yield tuple(Pick(self.chunk(self._next())) for _ in range(num))

    def _next(self) -> int:
        epoch, position = divmod(self._num_drawn, len(self))
        if epoch != self._epoch:
            self._epoch, self._order = epoch, stream(self._seed, "chunks", epoch).permutation(len(self))
        self._num_drawn += 1
        return int(self._order[position])

    def add(self, episodes: Sequence[Episode]) -> None:
        """Nothing is added: the corpus is fixed."""

    def feedback(self, draw: Draw, priority_K: Tensor | None) -> None:
        """Fixed data has no priorities."""

    def held(self) -> list[str]:
        """No episode is kept: the corpus holds the text."""
        return []

    def state_dict(self) -> State:
        return {"num_drawn": self._num_drawn}

    def load_state_dict(self, state: State, episodes: Mapping[str, Episode]) -> None:
        self._num_drawn = int(state["num_drawn"])
