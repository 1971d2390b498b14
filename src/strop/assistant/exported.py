"""A run's policy as the model of a version: a folder that needs no run any more."""

from __future__ import annotations

from pathlib import Path

from strop.policies.transformer import Transformer
from strop.reports.model_card import card_of
from strop.run import Run
from strop.runs.directory import parse_run
from strop.runs.saved import save
from strop.runs.trained import trained_policy


def export_run(run: str, folder: Path) -> None:
    """Write the policy of a run as `strop export` does. Raises ValueError for one that has no folder of its own."""
    directory, selector = parse_run(run)
    step = directory.checkpoint_step(selector)
    policy, codec, sampling = Run(directory, step).actor()
    card = card_of(directory, step, codec, sampling, folder.name)
    if isinstance(policy, Transformer):
        policy.export(codec, folder, card)
    else:
        save(trained_policy(directory), policy, codec, folder, card)
