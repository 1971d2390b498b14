"""A run of two steps over a table of two words: milliseconds, and judged on held-out tasks."""

import strop


def said_b(task, episode):
    """1 for b."""
    return float(episode.text == "b")


def config(**changed):
    """Its config."""
    usual = {
        "policy": strop.policies.Table.Config(words=["a", "b"]),
        "tasks": [strop.Task("one", "a")],
        "held_out": [strop.Task("two", "b")],
        "rewards": {"b": (said_b, 1.0)},
        "algorithm": strop.algorithms.REINFORCE.Config(),
        "sampling": strop.Sampling(max_tokens=1),
        "steps": 2,
        "threads": 1,
    }
    return strop.TrainConfig(**{**usual, **changed})
