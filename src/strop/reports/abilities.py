"""What a run's policy can do, from config.json files alone, so that only commands that work are suggested."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from strop.runs.directory import RunDirectory
from strop.runs.lineage import first_policy

SCORERS = ("strop.algorithms.RewardModel.Config", "strop.algorithms.ProcessRewardModel.Config")
"""Algorithms that train a policy to score texts, not to write them."""


def is_scorer(config: Mapping[str, Any]) -> bool:
    """Whether the run trains a reward model."""
    return _class(config["algorithm"]) in SCORERS


def is_masked(config: Mapping[str, Any]) -> bool:
    """Whether the run teaches an encoder to fill in hidden tokens."""
    return _class(config["algorithm"]) == "strop.algorithms.MaskedLM.Config"


def why_not_chat(directory: RunDirectory, name: str) -> str:
    """Why this run cannot chat; empty if it can."""
    policy = first_policy(directory)
    while isinstance(policy, Mapping) and "base" in policy:
        policy = policy["base"]
    if is_scorer(directory.config()):
        return f"{name} is a reward model: it scores texts and writes none."
    if is_masked(directory.config()):
        return f"{name} is a masked encoder: it fills in hidden tokens of a text and writes none."
    if _class(policy) == "strop.policies.MLP.Config":
        return f"{name} acts on {policy['size']} numbers of an environment: it reads no text."
    choices = directory.config().get("sampling", {}).get("choices", ())  # a control run samples no text
    if isinstance(choices, str):
        return f"{name} chooses between what each task gives it (sampling.choices={choices})."
    return ""


def chose_by_step(directory: RunDirectory) -> bool:
    """Whether the environment said in its Steps what each action might be, at the last step of the run."""
    if directory.config().get("sampling", {}).get("choices", ()):
        return False
    with directory.reader() as store:
        step = store.latest_step()
        played = [] if step is None else store.episodes(step=step)
    return any(turn.choices is not None for episode in played for turn in episode.turns)


def _class(spec: Any) -> str:
    return str(spec.get("class", "")) if isinstance(spec, Mapping) else ""
