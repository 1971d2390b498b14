"""write a trained run as a folder with a model card

A transformer becomes a Hugging Face folder, which AutoModelForCausalLM.from_pretrained(DIR) loads, or what its form
takes: AutoModelForSeq2SeqLM, AutoModelForMaskedLM. Adapters are merged into the base. Any other policy that reads text
becomes safetensors, config.json and tokenizer.json, for strop. strop chat DIR and policy=DIR read both. The folder is
loaded again and compared with the policy before it gets its name.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from strop.cli.errors import DONE, Problem
from strop.cli.output import say

EXAMPLES = """\
examples:
  strop export runs/first my-model
  strop export runs/first@best my-model
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("run_name", metavar="RUN", help="a run, RUN@40 or RUN@best")
    parser.add_argument("folder", metavar="DIR", help="the folder to write; it must not exist, or be empty")


def run(args: argparse.Namespace) -> int:
    """Write the folder, and print its path."""
    from strop.policies.masked_encoder import MaskedEncoder
    from strop.policies.steered import Steered
    from strop.policies.transformer import Transformer
    from strop.reports.abilities import is_scorer
    from strop.reports.model_card import card_of
    from strop.run import Run
    from strop.runs.directory import parse_run
    from strop.runs.saved import save
    from strop.runs.trained import trained_policy

    directory, selector = parse_run(args.run_name)
    into = Path(args.folder)
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise Problem(f"{into} exists and is not empty; it is left as it is.", hint="choose another DIR")
    step = directory.checkpoint_step(selector)
    if is_scorer(directory.config()):
        raise Problem(
            f"{directory.path} trained a reward model: its scores have no place in a language model's folder.",
            hint=f"in Python: strop.TrainedScore({str(directory.path)!r})(prompt, texts)",
        )
    policy, codec, sampling = Run(directory, step).actor()
    if isinstance(policy, Steered):
        raise Problem(
            f"{directory.path} trained a Steered, which is two policies: it has no folder of its own.",
            hint=f"policy={shlex.quote(args.run_name)} starts another run with it",
        )
    card = card_of(directory, step, codec, sampling, into.resolve().name)
    if isinstance(policy, Transformer | MaskedEncoder):
        gap = policy.export(codec, into, card)
    else:
        gap = save(trained_policy(directory), policy, codec, into, card)
    print(into)
    say(f"step {step} of {directory.path}; read back, its logits differ by at most {gap:.1g} of the largest")
    chat = [] if isinstance(policy, MaskedEncoder) else [f"strop chat {shlex.quote(str(into))}"]
    say("\n  ".join(["\nnext:", *chat, f"strop train RECIPE policy={shlex.quote(str(into))}"]))
    return DONE
