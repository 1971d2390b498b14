"""A sampler with scripted answers, to test environments, rewards and loops without a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from strop.choices import Choosing
from strop.types import Choices, Codec, Completion, Policy, Sampling, Tokens

if TYPE_CHECKING:
    import numpy as np


class ScriptedSampler:
    """`script(prompt_text) -> text` answers each prompt; the codec's end token is appended where there is one."""

    def __init__(self, codec: Codec, script: Callable[[str], str]) -> None:
        self.codec, self.script = codec, script

    def publish(self, policy: Policy) -> None:
        """Nothing to do: the script does not use the policy."""

    def sample(
        self,
        prompts: Sequence[Tokens],
        sampling: Sampling,
        rngs: Sequence[np.random.Generator],
        choices: Sequence[Choices | None] = (),
    ) -> list[Completion]:
        """The scripted texts, cut at `max_tokens`; their log-probs are unknown (None).

        Raises ValueError for a text that is not among the choices of its prompt.
        """
        choosing = Choosing(self.codec, sampling)
        return [
            self._complete(prompt, sampling.max_tokens) if allowed is None else self._chosen(prompt, allowed, choosing)
            for prompt, allowed in zip(prompts, choices or [None] * len(prompts), strict=True)
        ]

    def _chosen(self, prompt: Tokens, allowed: Choices, choosing: Choosing) -> Completion:
        text = self.script(self.codec.decode(prompt))
        return Completion(choosing.tokens_of(text, allowed), None, "stop")

    def _complete(self, prompt: Tokens, max_tokens: int) -> Completion:
        ending = () if self.codec.end is None else (self.codec.end,)
        tokens = self.codec.encode(self.script(self.codec.decode(prompt))) + ending
        cut = len(tokens) > max_tokens
        return Completion(tokens[:max_tokens], None, "stop" if ending and not cut else "length")
