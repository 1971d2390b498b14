"""Time the halves of a step of the main job, and the sampler beside transformers' generate, alone on the machine.

    python benchmarks/step.py [--repeats 3] [--threads 2]

Prints seconds (median, smallest, largest) and the ratio to the peer, measured alternately in this one process.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

import strop
from strop.batch import collate
from strop.policies.transformer import Transformer
from strop.recipes import story
from strop.samplers.local import LocalSampler
from strop.streams import stream
from strop.types import Episode, Part, Sampling, Tokens, Turn

NUM_TOKENS = 40


def timed(work: Callable[[], object]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def report(name: str, seconds: list[float], peer: list[float] | None = None) -> None:
    """One line: median [smallest, largest], and how many times faster than the peer."""
    ratio = "" if peer is None else f"   {statistics.median(peer) / statistics.median(seconds):.2f}x the peer"
    print(f"{name:34} {statistics.median(seconds):7.2f} s [{min(seconds):.2f}, {max(seconds):.2f}]{ratio}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    config = story.recipe().resolve()
    policy, codec = config.policy.build(0, "float32")
    assert isinstance(policy, Transformer)
    prompts = [codec.start(task.prompt) for task in config.tasks[:2] for _ in range(8)]
    print(f"{len(prompts)} completions of {NUM_TOKENS} tokens, {args.threads} threads, torch {torch.__version__}")
    ours, theirs, learn = [], [], []
    algorithm = config.algorithm.build(policy, config.sampling, config.micro_tokens)
    for _ in range(args.repeats):
        ours.append(timed(lambda: sample(policy, prompts)))
        theirs.append(timed(lambda: generate(policy, prompts)))
        batch = collate(tuple(strop.Pick(episode) for episode in episodes(policy, prompts)), policy.layout)
        learn.append(timed(lambda batch=batch: algorithm.update(batch)))
    report("strop sampler", ours, theirs)
    report("transformers generate (the peer)", theirs)
    report("update (RLOO, LoRA, KL)", learn)


def sample(policy: Transformer, prompts: list[Tokens]) -> list[strop.Completion]:
    """Ours, without stop tokens, so that both do the same work."""
    rngs = [stream(0, "benchmark", i) for i in range(len(prompts))]
    return LocalSampler(policy, frozenset()).sample(prompts, Sampling(temperature=0.7, max_tokens=NUM_TOKENS), rngs)


@torch.no_grad()
def generate(policy: Transformer, prompts: list[Tokens]) -> None:
    """The peer on the same model, prompts, sizes and law."""
    width = max(map(len, prompts))
    tokens_BT = torch.tensor([(0,) * (width - len(prompt)) + prompt for prompt in prompts])
    mask_BT = torch.tensor([(0,) * (width - len(prompt)) + (1,) * len(prompt) for prompt in prompts])
    policy.model.generate(
        tokens_BT,
        attention_mask=mask_BT,
        max_new_tokens=NUM_TOKENS,
        min_new_tokens=NUM_TOKENS,
        do_sample=True,
        temperature=0.7,
        top_k=0,
        top_p=1.0,
    )


def episodes(policy: Transformer, prompts: list[Tokens]) -> list[Episode]:
    """What the update learns from: two groups with rewards that differ."""
    return [
        Episode(
            str(i), strop.Task(str(i // 8), ""), i // 8, (Turn(prompts[i], completion, ""),), (), strop.End.TERMINATED,
            parts={"reward": Part(1.0, float(i % 3))},
        )
        for i, completion in enumerate(sample(policy, prompts))
    ]  # fmt: skip


if __name__ == "__main__":
    main()
