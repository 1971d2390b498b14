"""What a run's policy can be asked to do, from its config.json alone: nobody is told to do what does not work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SCORERS = ("strop.algorithms.RewardModel.Config", "strop.algorithms.ProcessRewardModel.Config")
"""Algorithms that teach a policy to score texts, not to write them."""


def is_scorer(config: Mapping[str, Any]) -> bool:
    """Whether it is a reward model."""
    return _class(config["algorithm"]) in SCORERS


def why_mute(config: Mapping[str, Any], name: str) -> str:
    """Why nobody can talk to this run; empty where one can."""
    policy = config["policy"]
    while isinstance(policy, Mapping) and "base" in policy:
        policy = policy["base"]
    if is_scorer(config):
        return f"{name} is a reward model: it scores texts and writes none."
    if _class(policy) == "strop.policies.MLP.Config":
        return f"{name} acts on {policy['size']} numbers of an environment: it reads no text."
    return ""


def _class(spec: Any) -> str:
    return str(spec.get("class", "")) if isinstance(spec, Mapping) else ""
