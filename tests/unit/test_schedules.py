"""Schedules: their numbers, in a config file and back, and set on the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import strop
from strop.cli.overrides import apply
from strop.functional.distributions import logprobs_of, require_full_support
from strop.recipes import two_words
from strop.runs import spec
from strop.schedules import Exponential, Linear
from strop.types import Sampling


def test_linear_by_hand() -> None:
    fall = Linear(start=1.0, end=0.2, steps=4)
    assert [fall(step) for step in (0, 1, 2, 4, 9)] == pytest.approx([1.0, 0.8, 0.6, 0.2, 0.2])


def test_exponential_by_hand() -> None:
    fall, rise = Exponential(start=1.0, end=0.2, factor=0.5), Exponential(start=1.0, end=5.0, factor=2.0)
    assert [fall(step) for step in (0, 1, 2, 3, 99)] == [1.0, 0.5, 0.25, 0.2, 0.2]
    assert [rise(step) for step in (0, 1, 2, 3, 99)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_impossible_schedules_are_refused() -> None:
    with pytest.raises(ValueError, match="steps"):
        Linear(start=1.0, end=0.0, steps=0)
    with pytest.raises(ValueError, match="factor"):
        Exponential(start=1.0, end=0.0, factor=0.0)


def faded() -> strop.TrainConfig:
    sampling = strop.Sampling(
        temperature=Exponential(start=2.0, end=0.1, factor=0.9), epsilon=Linear(start=1, end=0, steps=5), max_tokens=1
    )
    return replace(two_words.recipe(), sampling=sampling)


def test_a_config_file_gives_the_schedules_back() -> None:
    written = json.loads(json.dumps(spec.encode(faded().sampling)))
    assert spec.decode(written, Path()) == faded().sampling
    assert spec.decode(written, Path()).at(3).epsilon == pytest.approx(0.4)
    assert written["epsilon"] == {"class": "strop.schedules.Linear", "start": 1, "end": 0, "steps": 5}


def test_the_command_line_reaches_into_a_schedule_and_replaces_it() -> None:
    assert apply(faded(), ["sampling.epsilon.end=0.5"]).sampling.at(9).epsilon == 0.5
    assert apply(faded(), ["sampling.epsilon=0.25"]).sampling.epsilon == 0.25


@pytest.mark.parametrize("name", ["temperature", "epsilon"])
def test_a_distribution_that_still_holds_a_schedule_is_refused(name: str) -> None:
    sampling = Sampling(**{name: Linear(start=1.0, end=0.5, steps=2)})
    with pytest.raises(ValueError, match=r"resolve it with sampling\.at\(step\)"):
        logprobs_of(torch.zeros(1, 3), sampling)
    assert logprobs_of(torch.zeros(1, 3), sampling.at(1)).exp().sum().item() == pytest.approx(1.0)
    with pytest.raises(ValueError, match="must be numbers, not schedules"):
        require_full_support(sampling, "GRPO")
