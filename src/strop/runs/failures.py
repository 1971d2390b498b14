"""The data that stopped a run, kept in `failures/step-000012/`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from strop.runs.files import write_text, writing
from strop.runs.guards import first_reason
from strop.runs.state import pack
from strop.types import Episode, NonFinite, Stopped
from strop.words import last_line


def keep_failure(run: Path, step: int, error: NonFinite) -> Path:
    """Write the batch (tensors to `batch.safetensors`, episodes and the rest as text) and return the folder."""
    folder = _folder(run, step)
    tensors = _tensors(error.batch)
    with writing("the batch that failed", folder):
        if tensors:
            save_file(pack(tensors)[0], folder / "batch.safetensors")
        write_text(folder / "what.txt", f"{error}\n\n{_describe(error.batch)}\n")
    return folder


def stop_if_all_lost(run: Path, step: int, episodes: Sequence[Episode], what: str) -> None:
    """Stop a run if none of its first episodes could be scored, and keep the full reason in a file."""
    reason = first_reason(episodes)
    if not reason:
        return
    file = _folder(run, step) / "reason.txt"
    with writing("why nothing could be scored", file):
        write_text(file, f"{reason}\n")
    raise Stopped(
        f"None of the {len(episodes)} episodes of {what} could be scored: {last_line(reason)}. The full reason is "
        f"in {file}. Correct the reward, the environment or the engine, then resume."
    )


def _folder(run: Path, step: int) -> Path:
    """The folder, made only inside an existing run: a deleted run stays deleted."""
    folder = run / "failures" / f"step-{step:06d}"
    with writing("what failed", folder):
        folder.parent.mkdir(exist_ok=True)
        folder.mkdir(exist_ok=True)
    return folder


def _tensors(batch: object) -> dict[str, Tensor]:
    """The tensors of a dataclass or a mapping, by name."""
    if is_dataclass(batch) and not isinstance(batch, type):
        named = {field.name: getattr(batch, field.name) for field in fields(batch)}
    elif isinstance(batch, dict):
        named = {str(name): value for name, value in batch.items()}
    else:
        named = {}
    return {name: value for name, value in named.items() if isinstance(value, Tensor)}


def _describe(batch: object) -> str:
    """The batch in words: tensors by shape and number of non-finite values, episodes by text and scores."""
    tensors = _tensors(batch)
    if tensors:
        return "\n".join(
            f"{name}: {tuple(tensor.shape)} {tensor.dtype}, {int((~tensor.isfinite()).sum())} not finite"
            for name, tensor in tensors.items()
        )
    if isinstance(batch, Episode):
        return _describe_episode(batch)
    if isinstance(batch, Sequence) and not isinstance(batch, str):
        return "\n\n".join(_describe(item) for item in batch)
    return repr(batch)


def _describe_episode(episode: Episode) -> str:
    scores = "\n".join(f"  {name} (weight {part.weight}): {part.total}" for name, part in episode.parts.items())
    turns = "\n".join(f"  reward {turn.reward}: {turn.text!r}" for turn in episode.turns)
    return f"episode {episode.id}, task {episode.task.id}: {episode.task.prompt!r}\n{turns}\n{scores}"
