"""Every field of every config has a meaning, and a recipe's fields are listed as they are typed."""

import dataclasses
import importlib
from dataclasses import dataclass

import pytest

import strop
from strop import loader
from strop.cli.overrides import apply
from strop.config import TrainConfig
from strop.control import ControlConfig
from strop.functional import KL, Correction, KLController
from strop.learners.actor_critic import Critic
from strop.planning.planner import MonteCarloRound
from strop.recipes import pendulum_ddpg, story, two_words
from strop.reports.fields import IN_FILE, fields_of, meanings

ROOMS = ("algorithms", "policies", "samplers", "memory", "planning")
CONFIGS = [
    *(
        getattr(importlib.import_module(module.place), name).Config
        for room in ROOMS
        for module in loader.modules(room)
        for name in module.configured
    ),
    *(TrainConfig, ControlConfig, strop.Sampling, KL, KLController, Correction, Critic, MonteCarloRound),
    *(strop.policies.LoRA, strop.policies.Scratch, strop.optimizer.AdamW, strop.optimizer.SGD),
    *(strop.schedules.Linear, strop.schedules.Exponential),
]


@pytest.mark.parametrize("kind", CONFIGS, ids=lambda kind: kind.__qualname__)
def test_every_field_of_a_config_has_a_meaning(kind):
    told = meanings(kind)
    assert [f.name for f in dataclasses.fields(kind) if f.init and not told.get(f.name)] == []


@dataclass
class Told:
    """Size of nothing.

    size    how large it is,
            in metres
    a, b    two of a kind
    about   this line is no field
            and neither is this

    other   the last one
    very_long_name
            on a line of its own
    """

    size: int = 1
    a: int = 1
    b: int = 1
    other: int = 1
    very_long_name: int = 1


def test_meanings_are_the_table_of_a_docstring():
    assert meanings(Told) == {
        "size": "how large it is, in metres",
        "a": "two of a kind",
        "b": "two of a kind",
        "other": "the last one",
        "very_long_name": "on a line of its own",
    }


def by_path(config):
    return {field.path: field for field in fields_of(config)}


def test_fields_have_the_recipes_values_and_the_defaults_they_differ_from():
    found = by_path(two_words.recipe())
    assert (found["group_size"].line, found["group_size"].default) == ("group_size=4", "8")
    assert (found["steps"].line, found["steps"].default) == ("steps=60", "")
    assert (found["algorithm.discount"].value, found["algorithm.discount"].default) == ("0.9", "0.99")
    assert found["policy"].line == "policy: Table"
    assert found["policy.order"].type == "a whole number or none"
    assert found["tasks"].type == IN_FILE
    assert {"grpo", "q_learning", "reinforce_pp"} <= set(found["algorithm"].choices)
    assert set(found["memory"].choices) == {"chunks", "dataset", "fresh", "prioritised", "replay"}
    assert "strop.policies.MLP" in found["policy"].choices


def test_the_default_of_a_component_is_the_one_its_algorithm_gives_it():
    found = by_path(apply(two_words.recipe(), ["algorithm=rloo", "algorithm.kl.weight=0.1"]))
    assert (found["algorithm.kl.weight"].value, found["algorithm.kl.weight"].default) == ("0.1", "0.05")  # KL's own: 0


def test_a_models_name_shows_the_fields_of_its_transformer_and_rewards_their_weights():
    found = by_path(story.recipe())
    assert found["policy.lora.rank"].value == "16"
    assert found["rewards.repetition"].line == "rewards.repetition=-0.75"
    assert "one happy word" in found["rewards.happy_end"].meaning


def test_a_control_recipe_lists_its_own_fields():
    found = by_path(pendulum_ddpg.recipe())
    assert found["algorithm"].line == "algorithm=DDPG"
    assert found["algorithm"].choices == ()
    assert apply(pendulum_ddpg.recipe(), ["algorithm=TD3"]).algorithm == "TD3"


@pytest.mark.parametrize(
    "recipe", [two_words.recipe, pytest.param(story.recipe, marks=pytest.mark.matrix)], ids=["two_words", "story"]
)
def test_what_is_listed_can_be_typed(recipe):
    config = recipe()
    for field in fields_of(config):
        if "=" in field.line and field.path not in ("algorithm", "sampler", "policy.lora", "algorithm.optimizer"):
            assert by_path(apply(config, [field.line]))[field.path].value == field.value
    for path in ("algorithm", "sampler", "memory"):
        for name in by_path(config)[path].choices:
            if name not in ("distillation",):
                apply(config, [f"{path}={name}"])


def test_a_record_is_chosen_by_its_name():
    config = apply(two_words.recipe(), ["algorithm=rloo", "algorithm.optimizer=sgd", "algorithm.correction=correction"])
    assert config.algorithm.optimizer == strop.optimizer.SGD()
    assert config.algorithm.correction == Correction()
    assert apply(config, ["memory=none"]).memory is None
    with pytest.raises(ValueError, match="allowed is adamw or sgd"):
        apply(config, ["algorithm.optimizer=adam"])
    with pytest.raises(ValueError, match="tasks=a: this cannot be set from the command line"):
        apply(config, ["tasks=a"])
