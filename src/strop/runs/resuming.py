"""Resume a run: find its newest intact checkpoint, and load it into the parts."""

from __future__ import annotations

from strop.runs.checkpoint import DamagedCheckpoint
from strop.runs.directory import RunDirectory, Selector
from strop.runs.guards import GapTolerance
from strop.runs.store import Store
from strop.types import Parts, State


def promise(device: str, dtype: str) -> str:
    """What a resume on this device promises, in words.

    A checkpoint holds every bit on every device, and the same weights give the same log-probs up to the rounding that
    sampler and learner may differ by as well. What follows from a token that is sampled otherwise has no bound.
    """
    if device == "cpu":
        return "a resume is equal bit for bit"
    limit = GapTolerance.of(dtype)
    bound = f"{limit.max:g} nats a token" if limit.max is not None else f"{limit.mean:g} nats a token in the mean"
    return (
        f"a resume starts from the same bits and is equal within rounding, {bound}, since torch has no deterministic "
        "kernel for every operation"
    )


def newest_intact(
    directory: RunDirectory, store: Store, selector: Selector = "latest"
) -> tuple[int, State, list[str]] | None:
    """`(step, state, damage of newer ones)` of the checkpoint to resume from; None if the run has none yet."""
    checkpoints = directory.checkpoints
    if not checkpoints.steps() and store.latest_step() is None:
        return None
    if selector != "latest":
        step, state = directory.load(selector)
        return step, state, []
    damaged: list[str] = []
    for step in checkpoints.newest_first():
        try:
            return step, checkpoints.load(step), damaged
        except DamagedCheckpoint as error:
            damaged.append(str(error))
    raise ValueError(f"{directory.path} has no whole checkpoint to go on from. {' '.join(damaged)}".rstrip())


def state_of(parts: Parts) -> State:
    """The state of every part, for a checkpoint."""
    return {
        "policy": parts.policy.state_dict(),
        "algorithm": parts.algorithm.state_dict(),
        "memory": parts.memory.state_dict(),
        "held": parts.memory.held(),
        "tasks": parts.tasks.state_dict(),
        "engine": parts.engine.state_dict(),
    }


def load_into(parts: Parts, directory: RunDirectory, store: Store, step: int, state: State) -> None:
    """Load the state of the checkpoint after `step` steps into every part."""
    held = state["held"]
    episodes = store.held(held, before=step)
    missing = set(held) - set(episodes)
    if missing:
        raise ValueError(
            f"Checkpoint {step} of {directory.path} needs {len(missing)} episodes that its run.sqlite lacks "
            f"({min(missing)} for one): the folder is damaged, or its files come from different runs."
        )
    try:
        parts.policy.load_state_dict(state["policy"])
        parts.algorithm.load_state_dict(state["algorithm"])
        parts.memory.load_state_dict(state["memory"], episodes)
        parts.tasks.load_state_dict(state["tasks"])
        parts.engine.load_state_dict(state.get("engine", {}))  # older checkpoints have none
    except (AttributeError, KeyError, RuntimeError, TypeError) as error:
        raise ValueError(
            f"Checkpoint {step} of {directory.path} does not fit this config ({error}): its policy, algorithm, "
            "memory or task source is another. Resume without that change, or start a new run."
        ) from error
