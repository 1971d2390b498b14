"""The plan of a run by Stable-Baselines3."""

from __future__ import annotations

import json

from strop.control.config import ControlConfig
from strop.words import plural


def plan_of(config: ControlConfig) -> dict[str, str]:
    """The rows of the plan, by name."""
    options = " ".join(f"{name}={json.dumps(value)}" for name, value in config.options.items())
    judged = f"every {plural(config.eval_every, 'step')}" if config.eval_every else "at the start and the end"
    noise = f", noise {config.noise:g}" if config.noise else ""
    return {
        "algorithm": f"{config.algorithm} of Stable-Baselines3" + (f" with {options}" if options else ""),
        "policy": f"{config.policy}{noise}",
        "environment": config.environment,
        "a step": f"{plural(config.interactions, 'turn')} of the environment",
        "run": f"{plural(config.steps, 'step')}, seed {config.seed}; "
        f"{plural(config.episodes, 'episode')} judged {judged}",
    }
