"""RUN[@STEP|@best] or MODEL, as it is typed, to a policy that acts."""

from __future__ import annotations

import difflib
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from strop.cli.abilities import why_mute
from strop.cli.errors import Problem
from strop.cli.output import say
from strop.hub.folder import ADAPTER
from strop.hub.models import SOURCES, local_models
from strop.runs.directory import RunDirectory, Selector, is_run, is_sweep, parse_run

if TYPE_CHECKING:
    from strop.types import Codec, Policy, Sampling


@dataclass(frozen=True, slots=True)
class Actor:
    """A policy, how it reads and writes, and the distribution that it acts by. `model` is set where it is no run."""

    policy: Policy
    codec: Codec
    sampling: Sampling
    name: str


def as_run(typed: str) -> tuple[RunDirectory, Selector] | None:
    """The run and checkpoint that are meant, None where a model is. Raises where it is neither."""
    name = typed.rpartition("@")[0] or typed
    runs = Path("runs")
    if any(is_run(place) or is_sweep(place) for text in (typed, name) for place in (Path(text), runs / text)):
        return parse_run(typed)
    models = [model.name for model in local_models()]
    path = Path(typed)
    if typed in models or any((path / name).is_file() for name in ("config.json", ADAPTER)):
        return None
    if path.is_dir():
        raise Problem(f"{typed} is no run (it has no run.sqlite) and no model folder (it has no config.json).")
    owner, _, rest = typed.partition("/")
    if rest and "/" not in rest and owner not in (".", "..", "~", "runs") and not Path(owner).exists():
        say(f"{typed} is neither a run nor a folder here: asking the Hugging Face Hub ...")
        return None
    here = [entry.name for entry in runs.iterdir() if is_run(entry)] if runs.is_dir() else []
    near = difflib.get_close_matches(path.name, [*here, *models], n=1, cutoff=0.4)
    raise Problem(
        f"there is no run and no model {typed!r}" + (f"; did you mean {near[0]}?" if near else "."),
        hint="give a run's folder or its name in ./runs, a model folder, or a model's name: "
        + ", ".join(sorted(SOURCES)),
    )


def actor(typed: str) -> Actor:
    """The policy, loaded."""
    found = as_run(typed)
    if found is None:
        from strop.policies.transformer import Transformer
        from strop.types import Sampling

        policy, codec = Transformer.Config(model=typed, lora=None).build(seed=0, dtype="float32")
        return Actor(policy, codec, Sampling(temperature=0.7, max_tokens=256), typed)
    from strop.run import Run

    directory, selector = found
    if reason := why_mute(directory.config(), str(directory.path)):
        raise Problem(reason, hint=f"strop show {shlex.quote(str(directory.path))}")
    trained, own, sampling = Run(directory, selector).actor()
    return Actor(trained, own, replace(sampling, epsilon=0.0), str(directory.path))
