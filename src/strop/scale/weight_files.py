"""Weights on their way to a server over HTTP: one file, whose name is the sha256 of its bytes, in a folder of both.

`strop serve` keeps a secret in that folder, which only its owner can read: who can write the weights can also have them
loaded, and nobody else. For servers that read Hugging Face's form the file stands in a folder of that name.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save

from strop.runs.files import sha256 as sha256_of
from strop.runs.state import pack
from strop.runs.tree import unpack
from strop.scale.weights import WeightsRefused
from strop.types import Policy, State

KEY = "key"
SUFFIX = ".safetensors"
WRITING = ".writing"
"""The folder of weights that are not whole yet."""
TREE = "tree"
"""The key of the file's metadata for all of the state but its tensors, as JSON."""


def make_key(folder: Path) -> str:
    """The secret of this folder, which is made where it is not there; a new one at each start of a server."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = secrets.token_urlsafe(32)
    _write_for_its_owner(key.encode(), folder / f".{KEY}", folder / KEY)
    return key


def key_in(folder: Path) -> str:
    """The secret of the server that loads from this folder. Raises ValueError where there is none."""
    try:
        return (folder / KEY).read_text(encoding="utf-8")
    except OSError as error:
        raise ValueError(
            f"engine.weights={str(folder)!r}: no server loads weights from there ({error.strerror}). Start it first: "
            f"strop serve RUN --weights {folder}"
        ) from None


def write(folder: Path, policy: Policy) -> str:
    """Write the policy's state now, and return its sha256."""
    tensors, tree = pack(policy.state_dict())
    data = save(tensors, metadata={TREE: json.dumps(tree)})
    sha256 = hashlib.sha256(data).hexdigest()
    _write_for_its_owner(data, folder / f".{sha256}", folder / f"{sha256}{SUFFIX}")
    return sha256


def read(folder: Path, sha256: str) -> State:
    """The state of this file. Raises WeightsRefused for one that is missing or damaged."""
    try:
        data = (folder / f"{sha256}{SUFFIX}").read_bytes()
    except OSError as error:
        raise WeightsRefused(f"the weights {sha256[:12]}... cannot be read from {folder}: {error.strerror}.") from None
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise WeightsRefused(f"the weights {sha256[:12]}... are damaged: the sha256 of the file is {found[:12]}....")
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        state: State = unpack(json.loads(header["__metadata__"][TREE]), load(data))
    except (SafetensorError, ValueError, LookupError) as error:
        raise WeightsRefused(f"the weights {sha256[:12]}... are no state of a policy ({error}).") from None
    return state


def remove_others(folder: Path, sha256: str) -> None:
    """Delete weights that were published before these, and what a learner that was killed began to write."""
    for file in folder.iterdir():
        if re.fullmatch(rf"[0-9a-f]{{64}}{re.escape(SUFFIX)}|\.[0-9a-f]{{64}}", file.name) and file.stem != sha256:
            file.unlink(missing_ok=True)


# ------------------------------------------------------------ as Hugging Face's folders


def write_folder(folder: Path, write_weights: Callable[[Path], Path]) -> str:
    """Let `write_weights` fill a folder inside, with weights in one file; it is named by their sha256, which is
    returned."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = folder / WRITING
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700)
    sha256 = sha256_of(write_weights(beside))
    shutil.rmtree(folder / sha256, ignore_errors=True)  # of a run before
    beside.rename(folder / sha256)
    return sha256


def whole_folder(folder: Path, sha256: str) -> Path:
    """The folder of these weights. Raises WeightsRefused if they are missing or damaged."""
    found = folder / sha256
    try:
        has = {sha256_of(file) for file in found.glob(f"*{SUFFIX}")}
    except OSError as error:
        raise WeightsRefused(f"the weights {sha256[:12]}... cannot be read from {folder}: {error.strerror}.") from None
    if has != {sha256}:
        raise WeightsRefused(f"the weights {sha256[:12]}... are missing or damaged in {found}.")
    return found


def remove_other_folders(folder: Path, sha256: str) -> None:
    """Delete folders that were published before this one, and what a learner that was killed began to write."""
    for found in folder.iterdir():
        if found.name == WRITING or (re.fullmatch(r"[0-9a-f]{64}", found.name) and found.name != sha256):
            shutil.rmtree(found)


def _write_for_its_owner(data: bytes, beside: Path, file: Path) -> None:
    """Whole or not at all, and readable by nobody else from the first byte on."""
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(data)
    beside.replace(file)
