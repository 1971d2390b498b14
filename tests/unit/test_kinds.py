"""What a config's fields may be: every component names the field and what is allowed, or what to write instead."""

from dataclasses import fields
from functools import partial
from pathlib import Path

import pytest

import strop
from strop import loader
from strop.optimizer import SGD, AdamW
from strop.policies.adapters import LoRA
from strop.rewards._naming import named_rewards
from strop.types import SamplerConfig
from strop.types.fields import _hints

NEEDED = {
    "Table": {"words": ["a"]},
    "MLP": {"actions": ["a"], "size": 1},
    "Steered": {"base": strop.policies.Table.Config(words=["a"])},
    "EncoderDecoder": {"model": "a"},
    "MaskedEncoder": {"model": "a"},
    "Scratch": {"words": ["a"]},
    "Curriculum": {"levels": [[strop.Task("1", "a")]]},
    "Learnable": {"tasks": [strop.Task("1", "a")]},
    "Linear": {"start": 1.0, "end": 0.0, "steps": 2},
    "Exponential": {"start": 1.0, "end": 0.1, "factor": 0.5},
}
CONFIGS = [
    getattr(loader.load(room, name), "Config")  # noqa: B009
    for room in ("algorithms", "policies", "samplers", "memory")
    for module in loader.modules(room)
    for name in module.configured
]
SOURCES = [strop.data.Curriculum, strop.data.Learnable]
RECORDS = [
    *CONFIGS,
    *SOURCES,
    strop.policies.Scratch,
    LoRA,
    AdamW,
    SGD,
    strop.schedules.Linear,
    strop.schedules.Exponential,
]
FIELDS = [pytest.param(kind, f.name, id=f"{kind.__qualname__}.{f.name}") for kind in RECORDS for f in fields(kind)]


def judge(task, episode):
    """1."""
    return 1.0


@pytest.mark.parametrize(("kind", "name"), FIELDS)
def test_every_field_of_every_component_refuses_another_type(kind, name):
    assert name in dict(_hints(kind)), "a type that only type checkers import is checked by nobody"
    needed = NEEDED.get(kind.__qualname__.removesuffix(".Config"), {})
    with pytest.raises(ValueError, match=rf"{kind.__qualname__}\.{name}=<object"):
        kind(**{**needed, name: object()})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"algorithm": "grpo"}, r"algorithm='grpo': it is a Config, such as strop\.algorithms\.GRPO\.Config\("),
        ({"algorithm": "reinforse"}, r"strop\.algorithms\.REINFORCE\.Config\("),
        ({"algorithm": strop.algorithms.RLOO}, r"strop\.algorithms\.RLOO\.Config\("),
        ({"algorithm": strop.algorithms.RLOO.Config}, r"strop\.algorithms\.RLOO\.Config\("),
        ({"algorithm": AdamW()}, r"strop\.algorithms\.GRPO\.Config\("),
        ({"sampler": "local"}, r"strop\.samplers\.LocalSampler\.Config\("),
        ({"memory": "replay"}, r"strop\.memory\.Replay\.Config\("),
        ({"policy": strop.policies.Table}, r"strop\.policies\.Table\.Config\("),
        ({"policy": None}, r"policy=None: it is a Config"),
        ({"sampling": {"temperature": 0.5}}, r"sampling=.*: it is Sampling\(\.\.\.\)"),
        ({"environment": "corridor"}, r"environment='corridor': .* environment\(task, rng\)"),
        ({"group_size": 2.5}, r"TrainConfig\.group_size=2\.5: it is an int"),
        ({"steps": "60"}, r"TrainConfig\.steps='60': it is an int"),
        ({"threads": 1.0}, r"threads=1\.0: it is an int or None"),
        ({"tasks": "tasks.jsonl"}, r"tasks='tasks.jsonl': it is a list of strop\.Task; .* data='file.jsonl'"),
        ({"tasks": [{"prompt": "hi"}]}, r"tasks\[0\]={'prompt': 'hi'}: it is a strop\.Task\("),
        ({"tasks": [strop.Task("1", "a"), "b"]}, r"tasks\[1\]='b': it is a strop\.Task\("),
        ({"held_out": (strop.Task(str(i), "a") for i in range(2))}, r"held_out=<generator .* list of strop\.Task"),
        ({"rewards": judge}, r"rewards=<function judge.*rewards=\[function\]"),
        ({"gold": judge}, r"gold=<function judge.*gold=\[function\]"),
        ({"rewards": "length"}, r"rewards='length': it is a list"),
        ({"rewards": [3]}, r"rewards\[0\] is 3: it must be a function"),
        ({"rewards": {"r": (judge, "0.5")}}, r"rewards\['r'\] has the weight '0\.5'"),
        ({"rewards": {"r": (judge, None)}}, r"rewards\['r'\] has the weight None"),
        ({"rewards": {"r": (judge,)}}, r"a pair \(function, weight\)"),
        ({"rewards": {"": judge}}, r"the name ''"),
        ({"rewards": {3: judge}}, r"the name 3"),
        ({"environment_seconds": 0}, r"environment_seconds=0: it is positive and finite"),
        ({"reward_seconds": float("nan")}, r"reward_seconds=nan: it is positive and finite"),
        ({"reward_seconds": "60"}, r"reward_seconds='60': it is a float"),
    ],
)
def test_a_train_config_says_what_each_field_takes(changes, words):
    with pytest.raises(ValueError, match=words):
        strop.TrainConfig(**changes)


def test_a_file_of_tasks_may_be_a_path(tmp_path):
    file = tmp_path / "tasks.jsonl"
    file.write_text('{"prompt": "a", "answer": "b"}\n{"prompt": "b", "answer": "a"}\n')
    assert len(strop.TrainConfig(data=file, rewards=[judge]).resolve().tasks) == 1  # the other is held out


def test_a_partial_function_has_the_name_of_the_function():
    assert list(named_rewards([partial(partial(judge))], "rewards")) == ["judge"]


def test_weights_of_every_kind_of_number_are_floats():
    import numpy as np

    assert named_rewards({"r": (judge, np.float32(0.5))}, "rewards") == {"r": (judge, 0.5)}


@pytest.mark.matrix
def test_wrong_arguments_of_train_are_refused_with_advice():
    from strop.recipes import copy_word, two_words

    for given, words in {
        "copy_wrod": r"from strop\.recipes import copy_word; strop\.train\(copy_word\.recipe\(\)\)",
        "mine.py": r"from mine import recipe; strop\.train\(recipe\(\)\)",
        copy_word.recipe: r"strop\.train\(recipe\(\)\)",
        None: r"strop\.train\(None\): it takes a strop\.TrainConfig",
    }.items():
        with pytest.raises(ValueError, match=words):
            strop.train(given)
    with pytest.raises(ValueError, match="directory="):
        strop.train(two_words.recipe(), resume=True)
    with pytest.raises(ValueError, match="progress='yes'"):
        strop.train(two_words.recipe(), progress="yes")
    with pytest.raises(ValueError, match="directory=3"):
        strop.train(two_words.recipe(), 3)


def test_a_run_is_opened_by_its_folder(tmp_path, monkeypatch):
    from dataclasses import replace

    from strop.recipes import two_words
    from strop.runs.progress import Progress

    made = strop.train(replace(two_words.recipe(), steps=2), tmp_path / "runs/mine", progress=Progress.silent())
    monkeypatch.chdir(tmp_path)
    for name in ("runs/mine", "mine", tmp_path / "runs/mine", Path("runs/mine")):
        assert strop.Run(name).metrics() == made.metrics()
    assert strop.Run("mine@0").selector == 0
    assert strop.Run("mine@best").selector == "best"
    with pytest.raises(ValueError, match=r"no run there.*there is: mine"):
        strop.Run("runs/min")
    with pytest.raises(ValueError, match=r"strop\.Run\(3\)"):
        strop.Run(3)
    with pytest.raises(ValueError, match="selector='newest'"):
        strop.Run("mine", "newest")


def test_an_algorithm_that_is_built_without_the_seed_is_refused():
    class Mine(strop.algorithms.GRPO.Config):
        def build(self, policy, sampling, micro_tokens):
            raise AssertionError

    with pytest.raises(ValueError, match=r"Mine has build\(policy, sampling, micro_tokens\).*micro_tokens, seed\)"):
        strop.TrainConfig(algorithm=Mine())


def test_a_field_of_an_algorithm_that_is_no_dataclass_field_is_refused():
    class Mine(strop.algorithms.GRPO.Config):
        tau: float = 1.0

    with pytest.raises(ValueError, match=r"Mine declares tau, which is no field without @dataclass"):
        strop.TrainConfig(algorithm=Mine())


def test_an_algorithm_that_inherits_nothing_is_told_from_what():
    class Mine:
        def build(self, policy, sampling, micro_tokens, seed=0):
            raise AssertionError

    with pytest.raises(ValueError, match=r"One of your own is a dataclass that inherits strop\.types\.AlgorithmConfig"):
        strop.TrainConfig(algorithm=Mine())


def test_a_sampler_that_is_no_dataclass_is_refused_since_no_run_could_record_it():
    class Mine(SamplerConfig):
        def build(self, policy, codec):
            raise AssertionError

    with pytest.raises(ValueError, match=r"One of your own is a dataclass that inherits strop\.types\.SamplerConfig"):
        strop.TrainConfig(sampler=Mine())


@pytest.mark.parametrize("field", ["epochs", "kl", "entropy", "optimizer", "clip"])
def test_inherited_fields_are_checked_like_an_algorithms_own(field):
    with pytest.raises(ValueError, match=rf"GRPO\.Config\.{field}='text': it is "):
        strop.algorithms.GRPO.Config(**{field: "text"})
