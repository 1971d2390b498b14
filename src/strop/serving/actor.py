"""Find RUN[@STEP|@best] or MODEL by name, and load its policy for sampling."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from strop.hub.folder import ADAPTER
from strop.hub.models import SOURCES, local_models
from strop.reports.abilities import why_not_chat
from strop.runs.directory import RunDirectory, Selector, is_run, names_a_run, parse_run

if TYPE_CHECKING:
    from strop.types import Codec, Policy, PolicyConfig, Sampling


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A run at one of its checkpoints."""

    directory: RunDirectory
    selector: Selector


@dataclass(frozen=True, slots=True)
class Model:
    """A model by its name or folder. One that is not local is looked for on the Hugging Face Hub."""

    name: str
    is_local: bool


@dataclass(frozen=True, slots=True)
class Actor:
    """A policy with its codec and its sampling settings."""

    policy: Policy
    codec: Codec
    sampling: Sampling
    name: str


def find(name: str) -> Checkpoint | Model:
    """The checkpoint or model of this name. Raises ValueError if there is none."""
    runs, path = Path("runs"), Path(name)
    if names_a_run(name):
        return Checkpoint(*parse_run(name))
    models = [model.name for model in local_models()]
    if name in models or any((path / file).is_file() for file in ("config.json", ADAPTER)):
        return Model(name, is_local=True)
    if path.is_dir():
        raise ValueError(f"{name} is no run (it has no run.sqlite) and no model folder (it has no config.json).")
    if _may_be_on_hub(name):
        return Model(name, is_local=False)
    runs_here = [entry.name for entry in runs.iterdir() if is_run(entry)] if runs.is_dir() else []
    near = difflib.get_close_matches(path.name, [*runs_here, *models], n=1, cutoff=0.4)
    raise ValueError(
        f"there is no run and no model {name!r}" + (f"; did you mean {near[0]}? " if near else ". ") + "Give a run's "
        f"folder or its name in ./runs, a model folder, or a model's name: {', '.join(sorted(SOURCES))}."
    )


def load(found: Checkpoint | Model) -> Actor:
    """Load the policy. Raises ValueError for a run that cannot chat."""
    return _of_run(found) if isinstance(found, Checkpoint) else _of_model(found)


def config_of(found: Model) -> PolicyConfig:
    """The model's policy, as it is: without an adapter."""
    from strop.runs.trained import PRETRAINED, named_policy

    named = named_policy(found.name)
    return replace(named, lora=None) if isinstance(named, PRETRAINED) else named


def _may_be_on_hub(name: str) -> bool:
    """Whether the name has the form OWNER/NAME and is not a local path."""
    owner, _, rest = name.partition("/")
    return bool(rest) and "/" not in rest and owner not in (".", "..", "~", "runs") and not Path(owner).exists()


def _of_run(found: Checkpoint) -> Actor:
    from strop.run import Run

    name = str(found.directory.path)
    if reason := why_not_chat(found.directory, name):
        raise ValueError(f"{reason} strop show {name} tells what it has learnt.")
    policy, codec, sampling = Run(found.directory, found.selector).actor()
    return Actor(policy, codec, replace(sampling, epsilon=0.0), name)


def _of_model(found: Model) -> Actor:
    from strop.devices import AUTO, device_of
    from strop.types import Sampling

    config = config_of(found)
    policy, codec = config.build(seed=0, dtype="float32", device=device_of(AUTO, config))
    return Actor(policy, codec, Sampling(temperature=0.7, max_tokens=256), found.name)
