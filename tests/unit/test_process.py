"""What belongs to the whole process is used by one thread at a time, and comes back when the last one is done."""

from __future__ import annotations

import ast
import random
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import strop
import table_run
import tiny_hf
from exact.build import flat
from strop import loader
from strop.environments.single_turn import SingleTurn
from strop.hub.models import quiet
from strop.policies.adapters import LoRA
from strop.policies.mlp import MLP
from strop.policies.scratch import Scratch
from strop.policies.transformer import Transformer
from strop.process import ALONE, seeded
from strop.rollout import waiting
from strop.runs import randomness, spec
from strop.runs.global_state import global_state_kept

MAKES: dict[str, Callable[[Path], Any]] = {
    "mlp": lambda folder: MLP.Config(actions=("a", "b"), size=2).build(1),
    "scratch": lambda folder: Scratch(words=("a", "b"), num_layers=1, width=8, num_heads=2).build(1, "float32"),
    "lora": lambda folder: Transformer.Config(model=str(folder), lora=LoRA(rank=1)).build(1, "float32"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tiny_hf.make(tmp_path_factory.mktemp("process") / "tiny", words=("a", "b"))


@pytest.mark.parametrize("kind", MAKES)
def test_one_thread_at_a_time_makes_a_model(kind: str, folder, monkeypatch) -> None:
    """While it does, torch's global generator and functions stand for this model alone."""
    held: list[bool] = []
    begin = torch.nn.Linear.__init__

    def watched(module: torch.nn.Linear, *args: Any, **options: Any) -> None:
        held.append(ALONE._is_owned())  # type: ignore[attr-defined]
        begin(module, *args, **options)

    monkeypatch.setattr(torch.nn.Linear, "__init__", watched)
    MAKES[kind](folder)
    assert len(held) > 2
    assert all(held)
    assert not ALONE._is_owned()  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", MAKES)
def test_the_global_generator_goes_on_as_if_no_model_had_been_made(kind: str, folder) -> None:
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    first, _ = MAKES[kind](folder)
    assert torch.equal(torch.rand(2), wanted)
    second, _ = MAKES[kind](folder)
    assert torch.equal(flat(first.parameters()), flat(second.parameters()))


STATE = randomness.capture()


def silently() -> None:
    with quiet():
        pass


@pytest.mark.parametrize(
    "call", [lambda: randomness.seed_all(1), randomness.capture, lambda: randomness.restore(STATE), silently]
)
def test_nobody_touches_global_state_while_another_makes_a_model(call: Callable[[], object]) -> None:
    silently()  # its imports are done
    ended = threading.Event()
    with ThreadPoolExecutor(1) as pool, randomness.undisturbed():
        with seeded(0):
            future = pool.submit(lambda: (call(), ended.set()))
            assert not ended.wait(0.05)
        future.result(30)
        assert ended.is_set()


def settings() -> list[object]:
    return [
        torch.get_deterministic_debug_mode(),
        torch.utils.deterministic.fill_uninitialized_memory,
        random.getstate(),
        np.random.get_state()[1].tolist(),
        torch.get_rng_state().tolist(),
    ]


def test_the_last_of_two_trainings_restores_what_the_first_one_found() -> None:
    """They may end in any order; until the last one ends, both compute deterministically."""
    torch.set_deterministic_debug_mode("default")
    torch.utils.deterministic.fill_uninitialized_memory = True
    before, config = settings(), table_run.config()
    first, second = global_state_kept(), global_state_kept()
    with first:
        config.set_up_torch()
        randomness.seed_all(1)
        second.__enter__()
        config.set_up_torch()
        random.random(), torch.rand(1)  # a reward of the second
        during = settings()
        assert during[:2] != before[:2]
    assert settings() == during
    second.__exit__(None, None, None)
    assert settings() == before


RECIPE = "import table_run\n\n\ndef recipe():\n    return table_run.config()\n"


def test_a_chat_leaves_the_recipe_of_a_training_where_it_is(tmp_path, monkeypatch) -> None:
    run = strop.train(table_run.config(), tmp_path / "run", recipe=RECIPE, progress=False)
    training = object()
    monkeypatch.setitem(sys.modules, spec.RECIPE, training)
    run.actor()
    assert sys.modules[spec.RECIPE] is training


def test_names_of_a_recipe_are_looked_up_before_another_thread_loads_its_own(tmp_path, monkeypatch) -> None:
    run = strop.train(table_run.config(), tmp_path / "run", recipe=RECIPE, progress=False)
    held: list[bool] = []
    decode = spec.decode

    def watched(value: Any, run: Path) -> Any:
        held.append(ALONE._is_owned())  # type: ignore[attr-defined]
        return decode(value, run)

    monkeypatch.setattr(spec, "decode", watched)
    monkeypatch.setitem(sys.modules, spec.RECIPE, None)
    assert strop.load(run.path).config.steps == 2
    assert held
    assert all(held)


def test_one_thread_at_a_time_parses_a_file(monkeypatch) -> None:
    """CPython 3.11 counts the depth of a syntax tree once for all threads."""
    held: list[bool] = []
    parse = ast.parse

    def watched(*args: Any, **options: Any) -> Any:
        held.append(ALONE._is_owned())  # type: ignore[attr-defined]
        return parse(*args, **options)

    monkeypatch.setattr(ast, "parse", watched)
    loader._read.cache_clear()
    loader._own_modules.cache_clear()
    loader.modules("environments")
    parsed = len(held)
    spec.encode(SingleTurn)  # the source of a class is found by parsing, that of a function is not
    assert len(held) > parsed > 0
    assert all(held)


def test_a_worker_that_another_thread_has_just_taken_is_replaced(monkeypatch) -> None:
    class JustTaken(list[Any]):
        def __bool__(self) -> bool:
            return True

    monkeypatch.setattr(waiting, "_idle", JustTaken())
    assert waiting.run_concurrently([lambda: 1], 30.0, "a call") == [1]
