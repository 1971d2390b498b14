"""Every benchmark of speed in order, one process at a time; their tables, and then the pages of docs/.

    python benchmarks/all.py [--peers] [--only sft dpo] [--tiny]

Plainly: what needs nothing but strop. With --peers: what stands beside TRL and Stable-Baselines3, which needs the
extras strop[peers,control]. Where the processor multiplies bfloat16, steps of SmolLM2 are measured in both types. A
benchmark that fails is named at the end and does not stop the others. --tiny shows in minutes whether they work at all,
on a folder that is thrown away: its numbers mean nothing and no page changes.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pages

from strop.policies.computing import has_bfloat16

HERE = Path(__file__).parent
PLAIN = (
    "startup",
    "tabular",
    *(f"small --size {size} --label {size}" for size in ("0.2M", "1M", "3M", "10M")),
    *(
        f"pretrain --model {model} --size {size} --label {model}-{size}"
        for model in ("transformer", "lstm", "encoder-decoder", "masked")
        for size in ("1M", "10M")
    ),
    "growth",
    "decision",
    "decision --judged 400 --label judged",
    "training",
    "ppo",
    "rollout --only strop continuous generate",
    "rollout --only strop continuous generate --prompts 4 --group 8 --label 4x8",
    *(f"serving --streams {streams} --label {streams}" for streams in (1, 8, 50)),
)
PEERS = (
    "learning",
    "cartpole_speed --algorithm DQN --label DQN",
    "cartpole_speed --algorithm PPO --label PPO",
    "cartpole_speed --algorithm DQN --settings own --label DQN-own",
    "cartpole_speed --algorithm PPO --settings own --label PPO-own",
    "sft",
    "dpo",
    "grpo",
    "grpo --lora --label lora",
    "grpo --group 16 --tokens 128 --label 32x128",
    "grpo --model qwen2-0.4b --lora --label lora",
)
TYPED = ("training", "ppo", "rollout", "serving", "sft", "dpo", "grpo")
"""What is measured in bfloat16 as well."""
TINY = {
    "startup": "--steps 1 --only python",
    "tabular": "--steps 2 --episodes 2",
    "small": "--steps 1 --prompts 1 --group 2 --tokens 2",
    "growth": "--steps 1",
    "decision": "--steps 1 --prompts 2 --group 2",
    "pretrain": "--steps 1 --batch 2 --length 16",
    "learning": "--steps 2",
    "cartpole_speed": "--budget 500",
    "rollout": "--steps 1 --prompts 1 --group 2 --tokens 2",
    "serving": "--streams 2 --tokens 2",
}
TINY_STEP = "--steps 1 --prompts 1 --group 2 --tokens 2"


def in_types(words: str) -> list[str]:
    """A benchmark in float32, and in bfloat16 where that is one and the processor has it."""
    name, *flags = words.split()
    if name not in TYPED or not has_bfloat16():
        return [words]
    label = f"{flags[flags.index('--label') + 1]}-" if "--label" in flags else ""
    return [words, f"{words} --dtype bfloat16 --label {label}bfloat16"]


def command(words: str, more: Sequence[str], tiny: Path | None) -> list[str]:
    """What starts one benchmark."""
    name, *flags = shlex.split(words)
    small = [*shlex.split(TINY.get(name, TINY_STEP)), "--repeats", "1", "--out", str(tiny)] if tiny else []
    return [sys.executable, str(HERE / f"{name}.py"), *flags, *more, *small]


def run(wanted: Sequence[str], more: Sequence[str], tiny: Path | None) -> list[str]:
    """All of them; those that failed."""
    failed = []
    for words in wanted:
        print(f"\n$ python benchmarks/{words.replace(' ', '.py ', 1) if ' ' in words else words + '.py'}", flush=True)
        if subprocess.run(command(words, more, tiny)).returncode:
            failed.append(words)
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", action="store_true", help="those beside TRL and Stable-Baselines3")
    parser.add_argument("--only", nargs="+", help="benchmarks by name (default: all)")
    parser.add_argument("--tiny", action="store_true", help="do they work at all? nothing is kept")
    args, more = parser.parse_known_args()
    chosen = [words for words in (PEERS if args.peers else PLAIN) if not args.only or words.split()[0] in args.only]
    wanted = [typed for words in chosen for typed in in_types(words)]
    with tempfile.TemporaryDirectory() as folder:
        failed = run(wanted, more, Path(folder) if args.tiny else None)
        if args.tiny:
            print(pages.section(pages.records(Path(folder)), pages.ENGLISH))
    if not args.tiny:
        pages.write()
    if failed:
        sys.exit(f"error: {len(failed)} of {len(wanted)} failed: {'; '.join(failed)}")


if __name__ == "__main__":
    main()
