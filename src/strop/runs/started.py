"""How a policy that has been trained starts another run."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from strop.policies._texts import TextCodec
from strop.policies.adapters import LoRA
from strop.policies.masked_encoder import MaskedEncoder
from strop.policies.transformer import Transformer
from strop.types import Codec, Policy, PolicyConfig, State

FOR_LIKELIHOOD = {"dropout": 0.0}
"""Fields of a policy that serve its pretraining only, and their values in what starts from it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the new run's policy has: an adapter, actions of a masked encoder (None: as before), a value head."""

    lora: LoRA | None
    actions: Sequence[str] | None
    value_head: bool


def started(
    inner: PolicyConfig, state: State | None, wanted: Wanted, seed: int, dtype: str, device: str
) -> tuple[Policy, Codec]:
    """The policy that a run starts with, from the Config and the state of the one before; without a state as it was at
    random."""
    before, codec = inner.build(seed, dtype, device)
    if wanted.actions is not None and not isinstance(before, MaskedEncoder):
        raise ValueError(
            f"policy.actions={list(wanted.actions)}: a masked encoder chooses one of given words, and this policy is a "
            f"{type(before).__name__}, which writes tokens. Leave policy.actions out."
        )
    if isinstance(before, Transformer):
        if state is not None:
            before.load_state_dict(state)
        return before.restarted(wanted.lora, seed, wanted.value_head), codec
    if isinstance(before, MaskedEncoder):
        assert isinstance(codec, TextCodec)
        return _reading(before, codec, wanted, state, seed)
    policy, codec = changed(inner, FOR_LIKELIHOOD | {"value_head": wanted.value_head}).build(seed, dtype, device)
    if state is not None:
        own = policy.state_dict()
        dropped = before.state_dict().keys() - own.keys()  # a value head that is not wanted any more
        policy.load_state_dict(_over(own, {name: value for name, value in state.items() if name not in dropped}))
    return policy, codec


def _reading(
    before: MaskedEncoder, codec: TextCodec, wanted: Wanted, state: State | None, seed: int
) -> tuple[MaskedEncoder, TextCodec]:
    """A masked encoder, with the actions that are wanted."""
    if state is not None:
        before.load_state_dict(state)
    if wanted.actions is not None:
        codec = codec.with_actions(wanted.actions)
    return before.restarted(wanted.lora, seed, wanted.value_head, codec), codec


def changed(config: PolicyConfig, wanted: Mapping[str, Any]) -> PolicyConfig:
    """The config with those fields that it has."""
    names = {field.name for field in dataclasses.fields(config)}  # type: ignore[arg-type]
    return dataclasses.replace(config, **{name: value for name, value in wanted.items() if name in names})  # type: ignore[type-var]


def _over(own: Mapping[str, Any], saved: Mapping[str, Any]) -> dict[str, Any]:
    """The saved state; what only the new policy may have (a value head, dice for dropout) stays as it starts. Raises
    ValueError if it lacks anything else."""
    if lost := [name for name in own if name not in saved and not name.startswith(("value", "dropout"))]:
        raise ValueError(f"what was saved lacks {', '.join(lost[:3])} of this policy: it is another one's, or damaged.")
    inner = {
        name: _over(own[name], value)
        for name, value in saved.items()
        if isinstance(value, Mapping) and isinstance(own.get(name), Mapping)
    }
    return {**own, **saved, **inner}
