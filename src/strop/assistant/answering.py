"""Load a version, and let it answer many prompts at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from strop.serving.actor import Actor, Model
from strop.serving.actor import load as load_actor
from strop.streams import stream
from strop.types import Completion, Prompt, Sampling


def load(model: str) -> Actor:
    """The policy of a known model, a Hub id or a folder."""
    return load_actor(Model(model, is_local=True))


def greedy_answers(actor: Actor, prompts: Sequence[Prompt]) -> list[str]:
    """The likeliest tokens after each prompt, as texts."""
    greedy = replace(actor, sampling=replace(actor.sampling, temperature=0.0))
    return [actor.codec.decode(one.tokens) for one in completions(greedy, prompts, seed=0, purpose="greedy")]


def sampled_answers(actor: Actor, prompts: Sequence[Prompt], seed: int, purpose: str) -> list[str]:
    """An answer to each prompt as texts, with dice that depend on the seed, the purpose and its place alone."""
    return [actor.codec.decode(one.tokens) for one in completions(actor, prompts, seed, purpose)]


def completions(actor: Actor, prompts: Sequence[Prompt], seed: int, purpose: str) -> list[Completion]:
    """An answer to each prompt. Raises ValueError for one that leaves no room for an answer."""
    from strop.samplers.local import LocalSampler

    if not prompts:
        return []
    encoded = [actor.codec.start(prompt) for prompt in prompts]
    longest, context = max(map(len, encoded)), actor.policy.context
    sampling: Sampling = actor.sampling
    if context is not None and longest + sampling.max_tokens > context:
        if longest >= context:
            raise ValueError(
                f"a prompt has {longest} tokens, and the context is {context} with the answer: shorten it."
            )
        sampling = replace(sampling, max_tokens=context - longest)
    rngs = [stream(seed, f"assistant/{purpose}", place) for place in range(len(prompts))]
    return LocalSampler(actor.policy, actor.codec.stop).sample(encoded, sampling, rngs)
