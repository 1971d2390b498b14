"""The policy that another run trained, as the start of this one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from strop import devices
from strop.hub.models import SOURCES
from strop.policies.adapters import LoRA
from strop.policies.computing import has_bfloat16
from strop.policies.transformer import Transformer
from strop.runs import spec
from strop.runs.directory import RunDirectory, Selector, is_run, is_sweep, parse_run
from strop.types import Codec, ComputesOn, Policy, PolicyConfig, check_fields

FOR_LIKELIHOOD = {"dropout": 0.0}
"""Fields of a policy that serve its pretraining only, and their values in what starts from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FromRun(PolicyConfig):
    """What another run trained: `policy="runs/mine"` stands for `FromRun(run="runs/mine")`.

    An adapter of that run is merged into its base, so the reference of this run is the policy that it starts with.

    run         the run's folder, or its name in ./runs; @STEP or @best chooses a checkpoint, else it is the latest
    lora        a new adapter, for transformers: "same" takes one like the run's, if it had one; none trains all weights
    value_head  adds the value that actor-critic algorithms and reward models read
    """

    run: str
    lora: LoRA | Literal["same"] | None = "same"
    value_head: bool = False

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def computes_on(self) -> ComputesOn:
        """The devices of that run's policy."""
        return self.inner().computes_on

    def inner(self) -> PolicyConfig:
        """The policy of that run, as its config says. Raises ValueError if there is no such run."""
        return _policy_of(self._found()[0])

    def build(self, seed: int, dtype: str, device: str = "cpu") -> tuple[Policy, Codec]:
        """The policy with that run's weights, and its codec."""
        directory, selector = self._found()
        inner = _policy_of(directory)
        state = directory.load(selector)[1]["policy"]
        policy, codec = inner.build(seed, dtype, device)
        if isinstance(policy, Transformer):
            policy.load_state_dict(state)
            return policy.restarted(self._adapter(inner), seed, self.value_head), codec
        policy, codec = _changed(inner, FOR_LIKELIHOOD | {"value_head": self.value_head}).build(seed, dtype, device)
        policy.load_state_dict(_over(policy.state_dict(), state))
        return policy, codec

    def _adapter(self, inner: PolicyConfig) -> LoRA | None:
        """The new adapter."""
        if self.lora != "same":
            return self.lora
        if isinstance(inner, FromRun):
            return inner._adapter(inner.inner())
        return inner.lora if isinstance(inner, Transformer.Config) else None

    def _found(self) -> tuple[RunDirectory, Selector]:
        return parse_run(self.run)


def named_policy(name: str) -> PolicyConfig:
    """The policy that a text names: a model that strop knows, a run, or any other model.

    A run has a config.json too, so it is looked for before a folder of a model.
    """
    run = name.rpartition("@")[0] or name
    is_named = any(is_run(folder) or is_sweep(folder) for text in (name, run) for folder in (text, Path("runs", text)))
    return FromRun(run=name) if is_named and name not in SOURCES else Transformer.Config(model=name)


def default_dtype(policy: PolicyConfig, device: str) -> str:
    """The default dtype of a policy: for small models from scratch, bfloat16 would round and not be faster."""
    while isinstance(policy, FromRun):
        policy = policy.inner()
    if not isinstance(policy, Transformer.Config):
        return "float32"
    is_fast = has_bfloat16() if device == devices.CPU else devices.has_bfloat16(device)
    return "bfloat16" if is_fast else "float32"


def _policy_of(directory: RunDirectory) -> PolicyConfig:
    with spec.recipe_kept():
        inner: PolicyConfig = spec.some_of(directory.path, ("policy",))["policy"]
    return inner


def _changed(config: PolicyConfig, wanted: Mapping[str, Any]) -> PolicyConfig:
    """The config with those fields that it has."""
    names = {field.name for field in dataclasses.fields(config)}  # type: ignore[arg-type]
    return dataclasses.replace(config, **{name: value for name, value in wanted.items() if name in names})  # type: ignore[type-var]


def _over(own: Mapping[str, Any], saved: Mapping[str, Any]) -> dict[str, Any]:
    """The saved state; what only the new policy has (a value head) stays as it starts."""
    inner = {
        name: _over(own[name], value)
        for name, value in saved.items()
        if isinstance(value, Mapping) and isinstance(own.get(name), Mapping)
    }
    return {**own, **saved, **inner}
