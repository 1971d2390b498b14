"""The training loop: act, remember, learn. Everything else in strop serves these lines."""

from __future__ import annotations

from strop.batch import collate
from strop.config import TrainConfig
from strop.streams import stream
from strop.types import Policy, Recorder


def loop(config: TrainConfig, recorder: Recorder) -> Policy:
    """Train as the config says; the recorder decides at which step to start, and records what happens."""
    parts = config.build()  # policy, engine, tasks, memory, algorithm
    for step in recorder.steps(parts, config.steps):  # loads at the start; checkpoints on schedule
        parts.engine.publish(parts.policy)  # act with the newest weights (embedded: shared, no copy)
        episodes = parts.engine.rollout(parts.tasks, step)  # Environment x Sampler, scored; [] if the data is given
        parts.memory.add(episodes)
        for draw in parts.memory.draws(stream(config.seed, "memory", step)):
            batch = collate(draw, parts.policy.layout)
            update = parts.algorithm.update(batch)  # the only line that changes weights
            parts.memory.feedback(draw, update.priority_K)
            recorder.update(step, draw, batch, update)
        recorder.finish(step, episodes)  # one transaction; held-out evaluation on schedule
    return parts.policy
