"""Weights on their way to the replicas: bytes with a version, and a hash that a replica checks before it loads them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors.torch import load, save

from strop.runs.state import pack
from strop.runs.tree import unpack
from strop.types import Policy, State


class WeightsRefused(ValueError):
    """Weights that a replica does not load: it goes on with those that it has, and is replaced."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """Which weights these are. `version` counts the steps that they have learnt, `epoch` grows with every start of a
    run: weights of a driver that was replaced are older than all of its successor."""

    epoch: int
    version: int
    sha256: str

    @property
    def age(self) -> tuple[int, int]:
        """What only grows."""
        return self.epoch, self.version


@dataclass(frozen=True, slots=True)
class Packed:
    """A policy's state as bytes: tensors as safetensors, all else as JSON."""

    tensors: np.ndarray[Any, np.dtype[np.uint8]]
    tree: str

    @property
    def sha256(self) -> str:
        """The hash of all of it."""
        hashed = hashlib.sha256(self.tensors.data)
        hashed.update(self.tree.encode())
        return hashed.hexdigest()

    def state(self) -> State:
        """The state again, to the bit."""
        state: State = unpack(json.loads(self.tree), load(self.tensors.tobytes()))
        return state


def packed(policy: Policy) -> Packed:
    """The policy's state now, in bytes that Ray's object store holds without a copy for each replica of a machine."""
    tensors, tree = pack(policy.state_dict())
    return Packed(np.frombuffer(save(tensors), dtype=np.uint8), json.dumps(tree))


def require_newer(manifest: Manifest, has: Manifest | None) -> None:
    """Raise WeightsRefused for weights that are older than those in use."""
    if has is not None and manifest.age < has.age:
        raise WeightsRefused(
            f"version {manifest.version} of start {manifest.epoch} is older than version {has.version} of start "
            f"{has.epoch}, which is in use: versions only grow."
        )


def require_whole(manifest: Manifest, got: Packed) -> None:
    """Raise WeightsRefused for bytes that are not those that were published."""
    if got.sha256 != manifest.sha256:
        raise WeightsRefused(
            f"the weights of version {manifest.version} arrived damaged: their sha256 is {got.sha256[:12]}..., and "
            f"{manifest.sha256[:12]}... was published."
        )
