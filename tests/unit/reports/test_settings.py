"""A config's fields as they are typed: what is printed can be pasted."""

import importlib
import shlex
from dataclasses import dataclass, replace

import pytest

import strop
from strop import loader
from strop.cli.overrides import apply
from strop.reports.settings import changed_settings, every_setting
from strop.runs.spec import encode
from strop.stages import resolved
from strop.words import plural

RECIPES = [
    module.place
    for module in loader.modules("recipes")
    if "recipe" in module.functions
    and module.name not in ("pendulum_ddpg", "story", "tales", "poems", "translate", "recommend")
]


def typed(lines):
    """The words that a shell would pass on, of what can be typed."""
    return [word for line in lines for word in shlex.split(line) if " (" not in line]


@pytest.mark.matrix
@pytest.mark.parametrize("place", RECIPES)
def test_what_is_printed_of_a_recipe_can_be_pasted_behind_it(place):
    made = importlib.import_module(place).recipe()
    for config in [stage.config for stage in resolved(made)] if isinstance(made, list) else [made.resolve()]:
        for lines in (changed_settings(config), every_setting(encode(config))):
            pasted = apply(config, typed(lines))
            assert encode(replace(pasted, tasks=(), held_out=())) == encode(replace(config, tasks=(), held_out=()))


def test_only_what_differs_from_the_defaults_is_changed():
    config = strop.TrainConfig(
        algorithm=strop.algorithms.RLOO.Config(kl=strop.functional.KL(weight=0.02)), steps=7, dtype="float32", threads=3
    )
    # RLOO's own optimizer has lr=1e-6 and is untouched; its kl.weight is 0.05 by default
    assert changed_settings(config) == ["algorithm.kl.weight=0.02", "steps=7"]
    same = strop.TrainConfig(algorithm=strop.algorithms.RLOO.Config(kl=strop.functional.KL(weight=0.05)))
    assert changed_settings(same) == []


def test_a_component_of_another_class_is_compared_with_its_own_defaults():
    falling = strop.schedules.Linear(start=1.0, end=0.1, steps=5)
    config = strop.TrainConfig(
        sampling=strop.Sampling(epsilon=falling),
        algorithm=strop.algorithms.GRPO.Config(optimizer=strop.optimizer.SGD(lr=0.5)),
    )
    assert changed_settings(config) == [
        "algorithm.optimizer.lr=0.5",
        "sampling.epsilon.start=1.0",
        "sampling.epsilon.end=0.1",
        "sampling.epsilon.steps=5",
    ]


def called():
    """A function that a component holds."""


@dataclass(frozen=True)
class Odd:
    """Values of every kind that a component may hold."""

    none: object = None
    yes: bool = True
    model: str = "a folder/model"
    few: tuple = ("a", "b")
    commas: tuple = ("a,b", "c")
    empty: tuple = ()
    many: tuple = tuple(range(9))
    call: object = called
    table: object = None


def test_values_of_every_kind_have_a_text():
    assert every_setting(encode(replace(Odd(), table={"gamma": 1})), "x.") == [
        "x.none=none",
        "x.yes=true",
        "'x.model=a folder/model'",
        "x.few=a,b",
        """'x.commas=["a,b", "c"]'""",
        "'x.empty=[]'",
        "x.many (9 values)",
        "x.call (called)",
        "x.table (gamma)",
    ]


def test_one_word_is_a_list_only_where_no_text_may_stand():
    lora = strop.policies.LoRA()
    assert apply(lora, ["targets=all-linear"]) == lora
    assert apply(lora, ["targets=q_proj,v_proj"]).targets == ("q_proj", "v_proj")
    assert apply(strop.policies.Table.Config(words=["a"]), ["words=b"]).words == ["b"]


def test_nouns_fit_their_number():
    assert [plural(n, "step") for n in (0, 1, 2)] == ["0 steps", "1 step", "2 steps"]
    assert plural(2, "reply", "replies") == "2 replies"
