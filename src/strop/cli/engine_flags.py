"""`--engine`, `--ray`, `--rollout-replicas` and `--staleness`: short for the fields of `engine`."""

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
        choices=("embedded", "http", "vllm", "ray"),
        help="in this process, with completions of strop serve or vLLM, or on replicas of Ray",
    )
    group.add_argument("--ray", metavar="ADDRESS", help="the cluster to join (auto, HOST:PORT); none starts one here")
    group.add_argument("--rollout-replicas", metavar="N", help="how many play beside each other (default: 2)")
    group.add_argument(
        "--staleness", metavar="S", help="how many steps ahead of the learner they may play (default: 0)"
    )


def overrides(args: argparse.Namespace) -> list[str]:
    """What was given, as `field=value`, the engine first. Raises Usage for options of Ray beside another engine."""
    given = [
        f"engine.{field}={getattr(args, name)}" for name, field in FIELDS.items() if getattr(args, name) is not None
    ]
    if given and args.engine not in (None, "ray"):
        raise _for_ray(given)
    return [*([f"engine={args.engine}"] if args.engine else []), *given]


def is_field(override: str) -> bool:
    """Whether it sets a field of the engine, of a run or of a stage: `engine.unit_seconds=30`, `rl.engine.url=...`."""
    return "engine" in override.partition("=")[0].split(".")[:-1]


def of_recipe(config: TrainConfig | ControlConfig | Sequence[Stage], overrides: Sequence[str]) -> list[str]:
    """The same for a recipe; of a list of stages, for each that plays. Options without `--engine` change the Ray
    engines that the recipe has. Raises Usage where it has none."""
    parts = _playing(config)
    if not overrides[0].startswith("engine="):
        parts = [(prefix, part) for prefix, part in parts if _is_on_ray(part)]
        if not parts:
            raise _for_ray(overrides)
    return [prefix + one for prefix, _ in parts for one in overrides]


def _playing(
    config: TrainConfig | ControlConfig | Sequence[Stage],
) -> list[tuple[str, TrainConfig | ControlConfig]]:
    """Each config that plays, behind what its fields begin with."""
    if isinstance(config, Sequence):
        return [(f"{stage.name}.", stage.config) for stage in config if not stage.config.is_offline]
    return [("", config)]


def _is_on_ray(config: TrainConfig | ControlConfig) -> bool:
    from strop.config import TrainConfig
    from strop.scale import Ray

    return isinstance(config, TrainConfig) and isinstance(config.engine, Ray)


def _for_ray(given: Sequence[str]) -> Usage:
    field = given[0].removeprefix("engine.").partition("=")[0]
    option = next(name for name, of in FIELDS.items() if of == field).replace("_", "-")
    return Usage(
        f"--{option} is for --engine ray, or for a recipe whose engine is strop.scale.Ray.",
        hint=f"strop train RECIPE --engine ray --{option} ...",
    )
