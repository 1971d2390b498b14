"""Customer service is learnt from noisy thumbs alone: to ask first, and then to say what mends it."""

from dataclasses import replace

import pytest

import strop
from strop.environments import Support
from strop.rewards import solved, thumbs_up
from strop.runs.progress import Progress
from strop.types import Task
from strop.users import Customer, Hand, phrases_of

pytestmark = pytest.mark.learning
ENGLISH = phrases_of("en")
MOVES = [ENGLISH.said(move) for move in ("lights", "message", "cable", "restart", "update", "praise", "handover")]
FIRST = "Our wifi is down."


def person(cause, id):
    return Customer(id=id, area="internet", cause=cause, patience=3, hand=Hand(wrong=0.1))


def vocabulary():
    """All words that may be said here."""
    said = [FIRST, *MOVES, *ENGLISH.solved, *ENGLISH.left]
    for texts in (*ENGLISH.replies.values(), *ENGLISH.answers["internet"].values()):
        said += texts
    return sorted({word for text in said for word in text.split()})


@pytest.mark.parametrize("seed", [0, 1, pytest.param(2, marks=pytest.mark.slow)])
def test_a_table_learns_to_ask_and_then_to_mend(seed, tmp_path):
    """Chance solves few. The best agent asks and mends: two answers, nine of ten thumbs up, and all solved."""
    causes = ("loose", "hung", "outdated")
    tasks = [Task(cause, FIRST, data={"customer": person(cause, cause).facts()}) for cause in causes]
    config = strop.TrainConfig(
        policy=strop.policies.Table.Config(words=vocabulary(), capacity=16384, value_head=True),
        tasks=tasks,
        held_out=[replace(task, id=f"{task.id}-{copy}") for task in tasks for copy in range(20)],
        environment=Support,
        rewards={"thumbs": thumbs_up},
        gold={"solved": solved},
        algorithm=strop.algorithms.PPO.Config(
            optimizer=strop.optimizer.AdamW(lr=0.3, max_grad_norm=0.5),
            kl=strop.functional.KL(weight=0.0),
            critic=strop.learners.Critic(weight=1.0),
            entropy=0.01,
        ),
        sampling=strop.Sampling(choices=MOVES, max_tokens=9),
        group_size=1,
        prompts_per_step=96,
        steps=25,
        seed=seed,
        threads=1,
    )
    run = strop.train(config, tmp_path / "run", progress=Progress.silent())
    judged = [row for row in run.metrics() if "held_out/gold" in row]
    assert judged[0]["held_out/gold"] < 0.5
    assert judged[-1]["held_out/gold"] > 0.9
    assert judged[-1]["held_out/thumbs"] > judged[0]["held_out/thumbs"] + 0.3
