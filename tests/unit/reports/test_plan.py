"""What a run says that it is going to do."""

import pytest

import strop
import tiny_hf
from strop.environments import GuessWord
from strop.recipes import guess_offline
from strop.reports.plan import make_plan

WORDS = ["a", "b", "c"]
PAIRS = [strop.Task(str(i), "a b", answer="c", data={"chosen": "c", "rejected": "a"}) for i in range(3)]


def plan_of(**fields):
    """Its lines by name, over a table."""
    fields = {"policy": strop.policies.Table.Config(words=WORDS, has_end=True, capacity=8), "tasks": PAIRS} | fields
    config = strop.TrainConfig(threads=1, **fields).resolve()
    return dict(make_plan(config, config.build()).lines())


def one(task, episode):
    """1, always."""
    return 1.0


def test_a_step_is_counted_in_good_english():
    small = strop.Sampling(max_tokens=1)
    alone = strop.algorithms.REINFORCE.Config()
    said = plan_of(
        rewards=[one],
        algorithm=alone,
        prompts_per_step=1,
        group_size=1,
        steps=1,
        checkpoint_every=1,
        sampling=small,
    )
    assert said["a step"] == "1 prompt x 1 sample = 1 episode of at most 1 token a turn"
    assert said["run"] == "1 step; never judged (no held-out tasks); a checkpoint every 1 step"
    assert said["seed"] == "0; float32, 1 thread"
    assert plan_of(rewards=[one])["a step"].startswith("4 prompts x 8 samples = 32 episodes of at most 64 tokens")


@pytest.mark.parametrize(
    ("algorithm", "source"),
    [(strop.algorithms.SFT.Config(), "demonstrations"), (strop.algorithms.DPO.Config(), "preferences")],
)
def test_what_learns_from_data_samples_nothing_and_has_no_rewards(algorithm, source):
    said = plan_of(algorithm=algorithm)
    assert said["a step"] == f"learns from 3 {source}; nothing is sampled"
    assert said["rewards"] == f"none in training: it learns from the {source}"
    assert "sampling" not in said
    assert not any("samples =" in text or "environment's own" in text for text in said.values())
    judged = plan_of(algorithm=algorithm, rewards=[one], held_out=[strop.Task("h", "a")])
    assert judged["rewards"].endswith("; held-out tasks: one x 1")
    assert judged["sampling"] == "temperature 1, where held-out tasks are played"


def test_played_episodes_bring_their_rewards():
    config = guess_offline.recipe().resolve()
    said = dict(make_plan(config, config.build()).lines())
    assert said["rewards"] == "those that the played episodes hold"
    assert said["policy"].startswith("Steered (base Table): ")


def test_the_environment_pays_where_no_reward_is_named():
    said = plan_of(environment=GuessWord, tasks=[strop.Task("g", "a", "b", {"words": WORDS, "turns": 2})])
    assert (said["environment"], said["rewards"]) == ("GuessWord", "the environment's own")


def test_parameters_are_counted_with_those_that_an_adapter_leaves_alone(tmp_path):
    folder = str(tiny_hf.make(tmp_path / "tiny"))
    whole = strop.policies.Transformer.Config(model=folder, lora=None)
    adapted = strop.policies.Transformer.Config(model=folder, lora=strop.policies.LoRA(rank=2))
    policy, _ = whole.build(0, "float32")
    base = sum(parameter.numel() for parameter in policy.model.parameters())
    told = plan_of(policy=whole, rewards=[one])["policy"]
    assert told.endswith(f": {base:,} trainable parameters")
    policy, _ = adapted.build(0, "float32")
    trained = sum(parameter.numel() for name, parameter in policy.model.named_parameters() if "lora" in name.lower())
    assert 0 < trained < base
    told = plan_of(policy=adapted, rewards=[one])["policy"]
    assert told.endswith(f": {trained:,} trainable parameters of {base + trained:,}")


def test_a_scheduled_number_is_shown_at_both_ends():
    moving = strop.Sampling(epsilon=strop.schedules.Linear(start=1.0, end=0.0, steps=4), temperature=0.5)
    said = plan_of(rewards=[one], sampling=moving, steps=3, algorithm=strop.algorithms.DQN.Config())
    # step 2, the last of three, is half way of four
    assert said["sampling"].startswith("temperature 0.5, epsilon 1 at first, 0.5 at the end, for sampling")
    assert said["memory"] == "Replay"
