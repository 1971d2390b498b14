"""GRPO on one card, strop beside TRL: SmolLM2-135M and a shape of 0.4B, all weights and an adapter, in bfloat16.

    python benchmarks/gpu.py [--tiny]

Four times `grpo.py --device cuda:0`: 64 answers of 64 tokens a step, four steps of each side, in minutes. TRL gets the
same card and its best plain settings, as grpo.py and trainers.py have them: bfloat16 by autocast over float32 weights,
as ours; all rows in one pass, no gradient checkpointing, fused AdamW; it generates with transformers, without vLLM.
strop has its defaults, deterministic kernels among them. Peak GB are those of the card. --tiny shows on the processor
whether all of it works; nothing is kept.
"""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import pages
from side_by_side import require

HERE = Path(__file__).parent
CARD = "cuda:0"
CASES = (
    "--lora --label gpu-lora",
    "--label gpu",
    "--model qwen2-0.4b --lora --label gpu-lora",
    "--model qwen2-0.4b --label gpu",
)
SIZES = f"--device {CARD} --dtype bfloat16 --prompts 8 --group 8 --tokens 64 --steps 3 --repeats 1"
TINY = "--device cpu --dtype bfloat16 --prompts 1 --group 2 --tokens 2 --steps 1 --repeats 1"


def require_all(device: str) -> None:
    """End in words where the card, the peer or the model is missing."""
    from strop.hub.models import local_models

    require(device)
    if find_spec("trl") is None:
        raise SystemExit("error: TRL is not installed: make bench-gpu installs it, or pip install 'strop[peers]'.")
    if not any(one.name == "smollm2" and one.path is not None for one in local_models()):
        raise SystemExit(
            "error: SmolLM2 is not in the local cache, and both models take its tokenizer: strop models get smollm2."
        )


def run(words: str, out: Path | None) -> bool:
    """One case; whether it worked."""
    print(f"\n$ python benchmarks/grpo.py {words}", flush=True)
    elsewhere = [] if out is None else ["--out", str(out)]
    command = [sys.executable, str(HERE / "grpo.py"), *shlex.split(words), *elsewhere]
    return subprocess.run(command).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true", help="does it work at all? on the processor; nothing is kept")
    tiny = parser.parse_args().tiny
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "0")  # one card: TRL takes all that it sees
    require_all("cpu" if tiny else CARD)
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        wanted = [f"{case} {TINY if tiny else SIZES}" for case in CASES]
        failed = [words for words in wanted if not run(words, Path(folder) if tiny else None)]
    print(f"\n{(time.perf_counter() - begin) / 60:.1f} minutes")
    if not tiny:
        pages.write()
    if failed:
        sys.exit(f"error: {len(failed)} of {len(wanted)} failed: {'; '.join(failed)}")


if __name__ == "__main__":
    main()
