"""A run's policy and what its model card says."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from strop.cli.errors import Problem
from strop.cli.output import say
from strop.runs.directory import RunDirectory, Selector
from strop.verdicts import Verdict, verdicts_of


def export_run(directory: RunDirectory, selector: Selector, folder: str) -> None:
    """Export a checkpoint; its folder on stdout."""
    from strop.policies.export import Card, export
    from strop.run import Run

    into = Path(folder)
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise Problem(f"{into} exists and is not empty; it is left as it is.", hint="choose another DIR")
    step = directory.checkpoint_step(selector)
    policy, codec, _ = Run(directory, step).actor()
    config, origin = directory.config(), directory.provenance()
    card = Card(
        title=into.name,
        base=_base(config["policy"]),
        command=str(origin.get("command", "")),
        steps=step,
        verdicts=tuple(_row(verdict) for verdict in _verdicts(directory, step)),
        strop=str(origin.get("versions", {}).get("strop", "")),
    )
    gap = export(policy, codec, into, card)
    print(into)
    say(f"step {step} of {directory.path}; read back, its logits differ by at most {gap:.1g}")
    say(f"\nnext:\n  strop chat {shlex.quote(str(into))}")


def _base(policy: Any) -> str:
    """The base model's name; empty of a model from scratch."""
    return str(policy.get("model", "")) if isinstance(policy, dict) else str(policy)


def _verdicts(directory: RunDirectory, step: int) -> list[Verdict]:
    """The run's verdicts, if they judge this very step."""
    with directory.reader() as store:
        judged = [at for at, _ in store.series("held_out/reward")]
    return verdicts_of(directory) if judged and judged[-1] == step else []


def _row(verdict: Verdict) -> tuple[str, str, str, str]:
    return verdict.name, str(verdict.before), str(verdict.after), str(verdict.difference)
