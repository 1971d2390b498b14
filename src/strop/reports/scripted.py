"""Tasks played with a given text in place of a policy. No model is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from strop.types import Episode, Sampling, Task

if TYPE_CHECKING:
    from strop.config import TrainConfig
    from strop.rollout.play import Scene

ENDLESS = 20_000


def scene_of(config: TrainConfig, gold: bool) -> Scene:
    """Where the config's tasks are played, for a policy that reads any length."""
    from strop.codec import ByteCodec

    codec: Any = ByteCodec()
    policy: Any = _NoPolicy()
    return config.scene(policy, codec, gold)


def played(scene: Scene, task: Task, texts: Sequence[str]) -> list[Episode]:
    """An episode of the task for each text, which is the answer in every turn; they are scored as one group."""
    from strop.rollout.rewards import score

    unscored = replace(scene, rewards={})
    episodes = [replace(_alone(unscored, task, text), id=f"text-{i:04d}") for i, text in enumerate(texts)]
    return score(scene.rewards, [episodes], scene.reward_seconds)


def _alone(scene: Scene, task: Task, text: str) -> Episode:
    from strop.rollout.play import play
    from strop.samplers.scripted import ScriptedSampler

    sampling = Sampling(max_tokens=len(text.encode()) + 1)
    wide = replace(scene, context=ENDLESS + sampling.max_tokens)
    return play(wide, [task], 1, ScriptedSampler(scene.codec, lambda _: text), sampling, "score", 0)[0]


class _NoPolicy:
    """A stand-in for the policy of a scene, of which only the context is read."""

    context = None
