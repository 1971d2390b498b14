"""`--engine ray`, `--ray`, `--rollout-replicas` and `--staleness`: short for the fields of `engine`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from strop.cli.errors import Usage

if TYPE_CHECKING:
    from strop.config import TrainConfig
    from strop.control import ControlConfig
    from strop.stages import Stage

FIELDS = {"ray": "address", "rollout_replicas": "replicas", "staleness": "staleness"}
"""Each option of Ray, and its field."""


def add(parser: argparse.ArgumentParser) -> None:
    """Add these options."""
    group = parser.add_argument_group("where episodes are played (docs/scale.md)")
    group.add_argument(
        "--engine",
        choices=("embedded", "http", "ray"),
        help="in this process, with completions of a server, or on replicas of Ray",
    )
    group.add_argument("--ray", metavar="ADDRESS", help="the cluster to join (auto, HOST:PORT); none starts one here")
    group.add_argument("--rollout-replicas", metavar="N", help="how many play beside each other (default: 2)")
    group.add_argument(
        "--staleness", metavar="S", help="how many steps ahead of the learner they may play (default: 0)"
    )


def overrides(args: argparse.Namespace) -> list[str]:
    """What was given, as `field=value`. Raises Usage for an option that would have no effect."""
    given = [
        f"engine.{field}={getattr(args, name)}" for name, field in FIELDS.items() if getattr(args, name) is not None
    ]
    if given and args.engine != "ray" and not args.resume:
        option = next(name for name in FIELDS if getattr(args, name) is not None).replace("_", "-")
        raise Usage(f"--{option} is for --engine ray.", hint=f"strop train RECIPE --engine ray --{option} ...")
    return [*([f"engine={args.engine}"] if args.engine else []), *given]


def is_of_engine(override: str) -> bool:
    """Whether it sets a field of the engine, of a run or of a stage: `engine.unit_seconds=30`, `rl.engine.url=...`."""
    return "engine" in override.partition("=")[0].split(".")[:-1]


def of_stages(config: TrainConfig | ControlConfig | Sequence[Stage], overrides: Sequence[str]) -> list[str]:
    """The same for every stage that plays, where the recipe is a list of stages."""
    if not isinstance(config, Sequence):
        return list(overrides)
    return [f"{stage.name}.{one}" for stage in config if not stage.config.is_offline for one in overrides]
