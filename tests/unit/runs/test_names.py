"""Public names: everything in a config is written under a name that is found again after its file has moved."""

import importlib
import inspect
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import small_descriptions
import small_pairs
import small_ratings
import strop
from strop import loader
from strop.public import HOME, ROOMS
from strop.runs.names import find, public_name, short
from strop.runs.spec import decode, encode

PLUGGED = """
from dataclasses import dataclass


class Plugged:
    @dataclass(frozen=True)
    class Config:
        rate: float = 1.0


def plugged_reward(task, episode):
    return 1.0


def examples():
    return []
"""
NUMBERS = {"start": 1.0, "end": 0.5, "steps": 3}
TABLE = strop.policies.Table.Config(words=("a", "b"))
MDP = strop.planning.FiniteMDP([[[1.0]]], [[1.0]], [1.0], [True])
PARTS = [
    strop.optimizer.AdamW(lr=strop.schedules.Linear(**NUMBERS)),
    strop.optimizer.SGD(lr=strop.schedules.Exponential(start=1.0, end=0.5, factor=0.9)),
    strop.functional.KL(weight=0.1),
    strop.functional.KLController(),
    strop.functional.Correction(),
    strop.learners.Critic(),
    strop.policies.LoRA(targets=("q_proj",)),
    strop.policies.Scratch(words=("a", "b")),
    strop.policies.Steered.Config(base=TABLE),
    strop.policies.Perplexity(),
    strop.Corpus(source="grimm", near=1.0, sha256="0"),
    strop.Sampling(temperature=strop.schedules.Linear(**NUMBERS), max_tokens=3),
    strop.environments.SingleTurn,
    strop.rewards.correct_number,
    strop.rewards.WordLimit(most=3),
    strop.rewards.GroupReward(strop.rewards.Learned(score=strop.TrainedScore("judge"))),
    strop.planning.Planner.Config(mdp=MDP, states=[[0]], round=strop.planning.MonteCarloRound()),
    strop.planning.Planner.Config(mdp=MDP, states=[[0]], round=strop.planning.policy_round),
    strop.control.ControlConfig(options={"gamma": 0.9}),
]


def public_things() -> Iterator[tuple[str, Any]]:
    """Every class and function that has a public name."""
    yield from ((f"strop.{name}", getattr(strop, name)) for name in HOME)
    for room in ROOMS:
        place = importlib.import_module(f"strop.{room}")
        for name in loader.names(room) if room in loader.NAMED else dir(place):
            yield f"strop.{room}.{name}", getattr(place, name)
    for module in loader.modules("recipes"):
        for name in module.public:
            yield f"strop.recipes.{module.name}.{name}", getattr(importlib.import_module(module.place), name)


THINGS = [(name, thing) for name, thing in public_things() if inspect.isclass(thing) or inspect.isfunction(thing)]


def named_in(spec: Any) -> Iterator[str]:
    """The names in what `encode` wrote."""
    if isinstance(spec, dict):
        named = spec.get("class", spec.get("name"))  # a class may have a field of any name
        yield from [named] if isinstance(named, str) else []
        spec = list(spec.values())
    if isinstance(spec, list):
        for inner in spec:
            yield from named_in(inner)


def test_every_public_thing_is_found_by_its_public_name():
    assert len(THINGS) > 300
    for name, thing in THINGS:
        assert public_name(thing) == name
        assert find(name) is thing
        if hasattr(thing, "Config"):
            assert public_name(thing.Config) == f"{name}.Config"
            assert find(f"{name}.Config") is thing.Config


@pytest.mark.parametrize("part", PARTS, ids=lambda part: getattr(part, "__qualname__", type(part).__qualname__))
def test_every_part_of_a_config_is_read_back_from_public_names(part):
    written = json.loads(json.dumps(encode(part)))
    for name in named_in(written):
        assert public_name(find(name)) == name
        assert len(name.split(".")) <= 4  # strop.ROOM.NAME.Config: no file in between
    again = decode(written, Path())
    assert type(again) is type(part)
    assert encode(again) == encode(part)


def questions(path: Path) -> Path:
    lines = ["question\tanswer", *(f"Who is number {i}?\t{['Ann', 'Bob', 'Cid', 'Dan'][i % 4]}{i}" for i in range(40))]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def reviews(path: Path) -> Path:
    judged = ((f"number {i} is {'good' if i % 2 else 'bad'}", "positive" if i % 2 else "negative") for i in range(40))
    path.write_text("\n".join(["text,label", *map(",".join, judged)]), encoding="utf-8")
    return path


@pytest.mark.parametrize("module", loader.modules("recipes"), ids=lambda module: module.name)
def test_every_recipe_is_written_in_names_that_are_found_again(module, tmp_path, monkeypatch):
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("strop.recipes.drive.NUM_TAUGHT", 1)  # what the rule drives takes the simulator half a minute
    monkeypatch.setattr("strop.recipes.answer.own_answers", lambda model, tasks: tasks)  # which the model gives
    for number in ("NUM_TRAIN", "NUM_LOGGED"):
        monkeypatch.setattr(f"strop.recipes.support.{number}", 12)
    written = {
        "answer": lambda: questions(tmp_path / "questions.tsv"),
        "sentiment": lambda: reviews(tmp_path / "reviews.csv"),
        "summarise": lambda: small_descriptions.write(tmp_path / "toy.jsonl"),
        "translate": lambda: small_pairs.write(tmp_path / "toy.tsv"),
        "recommend": lambda: small_ratings.write(tmp_path / "toy.csv"),
    }
    given = {"data": str(written[module.name]())} if module.name in written else {}
    made = importlib.import_module(module.place).recipe(**given)
    names = list(named_in([encode(stage.config) for stage in made] if isinstance(made, list) else encode(made)))
    assert names
    for name in names:
        assert public_name(find(name)) == name


def test_a_default_of_every_algorithm_is_read_back():
    for name in loader.configured("algorithms"):
        config = getattr(strop.algorithms, name).Config()
        assert decode(json.loads(json.dumps(encode(config))), Path()) == config


def test_private_classes_are_refused_in_a_config():
    from strop.words import plural

    with pytest.raises(AssertionError, match=r"plural of strop\.words is part of a config, and has no public name"):
        encode({"count": plural})


@dataclass(frozen=True)
class Odd:
    """Fields that are called like what `encode` writes."""

    name: str = "n"
    map: int = 1
    object: str = "o"


def test_a_class_may_have_fields_of_any_name():
    assert decode(encode(Odd()), Path()) == Odd()


def test_user_code_is_named_by_its_module():
    assert public_name(Odd) == f"{__name__}.Odd"
    assert find(f"{__name__}.Odd") is Odd
    assert short("package.module.Odd") == short("package.module.Odd.Config") == short("Odd") == "Odd"


@pytest.mark.parametrize("name", ["recipe.recipe.<locals>.reward", "recipe.<lambda>", "__main__.reward"])
def test_local_functions_and_those_of_main_are_not_found(name):
    with pytest.raises(ValueError, match="lives inside a program"):
        find(name)


# ------------------------------------------------------------ third parties


@pytest.fixture
def installed(tmp_path, monkeypatch) -> Callable[..., None]:
    """Install a package of one module; its entry points as (room, name), or (room, name, what they name in it)."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(module: str, *points: tuple[str, ...], text: str = PLUGGED) -> Path:
        (tmp_path / f"{module}.py").write_text(text)
        facts = tmp_path / f"{module}-1.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1\n")
        lines = [f"[strop.{room}]\n{name} = {':'.join([module, *inner])}\n" for room, name, *inner in points]
        (facts / "entry_points.txt").write_text("".join(lines))
        importlib.invalidate_caches()
        return facts

    return install


def test_a_third_partys_class_is_named_by_its_room_and_may_move(installed):
    facts = installed("plugged_one", ("verify", "plugged"), ("algorithms", "plugged"), ("rewards", "plugged"))
    module = importlib.import_module("plugged_one")
    written = encode(module.Plugged.Config(rate=2.0))
    assert written == {"class": "strop.algorithms.Plugged.Config", "rate": 2.0}
    assert decode(written, Path()) == module.Plugged.Config(rate=2.0)
    assert public_name(module.examples) == "plugged_one.examples"  # a helper of a file is no name of a room
    facts.rename(facts.with_name("gone"))
    installed("plugged_two", ("algorithms", "elsewhere"))
    assert decode(written, Path()) == importlib.import_module("plugged_two").Plugged.Config(rate=2.0)


def test_a_third_partys_recipe_is_named_by_its_entry_point(installed):
    installed("plugged_three", ("recipes", "theirs"))
    module = importlib.import_module("plugged_three")
    assert public_name(module.plugged_reward) == "strop.recipes.theirs.plugged_reward"
    assert find("strop.recipes.theirs.plugged_reward") is module.plugged_reward
    assert "theirs" in dir(strop.recipes)


def test_an_entry_point_may_give_one_name_of_its_module(installed):
    text = PLUGGED + PLUGGED.replace("Plugged", "Other")
    installed("plugged_eight", ("samplers", "one", "Plugged"), ("samplers", "two", "Other"), text=text)
    module = importlib.import_module("plugged_eight")
    assert public_name(module.Plugged.Config) == "strop.samplers.Plugged.Config"
    assert public_name(module.Other.Config) == "strop.samplers.Other.Config"
    assert public_name(module.plugged_reward) == "plugged_eight.plugged_reward"
    assert set(loader.configured("samplers")) == {"LocalSampler", "Other", "Plugged"}


def test_an_entry_point_whose_module_does_not_define_the_name_says_so(installed):
    installed("plugged_nine", ("samplers", "nine", "LocalSampler"), text="from strop.samplers import LocalSampler\n")
    with pytest.raises(
        ImportError, match=r"nine of strop\.samplers names plugged_nine:LocalSampler, but plugged_nine does not define"
    ):
        loader.names("samplers")


def test_a_name_defined_in_two_files_is_an_error_that_names_both(installed):
    installed("plugged_four", ("algorithms", "one"), text="class GRPO:\n    class Config: ...\n")
    with pytest.raises(
        ValueError, match=r"strop\.algorithms has GRPO twice, in strop\.algorithms\.grpo and in plugged_four"
    ):
        strop.algorithms.RLOO  # noqa: B018
    installed("plugged_five", ("rewards", "five"))
    installed("plugged_six", ("rewards", "six"))
    with pytest.raises(ValueError, match=r"strop\.rewards has Plugged twice, in plugged_five and in plugged_six"):
        loader.names("rewards")


def test_a_file_of_the_same_name_is_an_error_too(installed):
    installed("plugged_seven", ("recipes", "two_words"))
    with pytest.raises(
        ValueError, match=r"strop\.recipes has two_words twice, in strop\.recipes\.two_words and in plu"
    ):
        loader.modules("recipes")
