"""The simulation of many machines: where the answer is known it gives it; elsewhere the rules hold."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

import scale_simulation as bench
from scale_simulation import Plan, Simulation, Spread

SMALL = Plan(
    engines=1, slots=8, token=0.01, sequence=0.001, tokens=Spread(100, 100), groups=2, group_size=4,
    train_tokens_a_second=400.0, train_fixed=0.5, sync=0.25,
)  # fmt: skip
"""A step: eight sequences of 100 tokens at .01 + 8 x .001 s are 1.8 s, 800 tokens / 400 + .5 are 2.5 s."""


def found(plan: Plan, steps: int = 40) -> bench.Found:
    return Simulation(plan).run(steps)


def test_without_staleness_a_step_is_the_sum_of_its_parts():
    step = 1.8 + 2.5 + 0.25
    one = found(SMALL)
    assert one.step_seconds == pytest.approx(step)
    assert one.training == pytest.approx(2.5 / step)
    assert one.generating == pytest.approx(1.8 / step)  # its slots are full while it decodes
    assert (one.staleness, one.staleness_max, one.lost_tokens) == (0.0, 0, 0.0)


def test_what_finds_no_slot_waits():
    """Two waves of four: 2 x 100 x (.01 + 4 x .001) s."""
    assert found(replace(SMALL, slots=4)).step_seconds == pytest.approx(2.8 + 2.5 + 0.25)


def test_two_engines_share_the_sequences():
    assert found(replace(SMALL, engines=2)).step_seconds == pytest.approx(100 * 0.014 + 2.5 + 0.25)


def test_a_tool_is_waited_for_between_two_turns():
    tools = replace(SMALL, turns=3, tool=Spread(7, 7))
    assert found(tools).step_seconds == pytest.approx(1.8 + 2 * 7 + 2.5 + 0.25)


def test_chunks_are_learnt_while_the_rest_is_played():
    """Four slots: the first group is there after 1.4 s, the second after 2.8 s; each takes 1 + .25 s to learn."""
    chunks = replace(SMALL, slots=4, chunks=2, any_order=True)
    assert found(chunks).step_seconds == pytest.approx(2.8 + 1.25 + 0.25)


@pytest.mark.parametrize("learning", [0.5, 1.0, 3.0])
def test_with_one_step_of_staleness_the_slower_half_alone_counts(learning):
    """Playing takes 100 x .01 = 1 s. With slots for one step, steps are played one after the other; with slots for
    two, two of them go through playing and learning at a time, which takes (1 + learning) s."""
    halves = replace(SMALL, sequence=0.0, sync=0.0, train_fixed=0.0, train_tokens_a_second=800 / learning)
    assert found(halves).step_seconds == pytest.approx(1.0 + learning)
    one = found(replace(halves, staleness=1.0))
    assert one.step_seconds == pytest.approx(max(1.0, learning))
    assert (one.staleness, one.staleness_max) == (1.0, 1)
    roomy = found(replace(halves, staleness=1.0, slots=16))
    assert roomy.step_seconds == pytest.approx(max((1.0 + learning) / 2, learning))


@pytest.mark.parametrize("staleness", [0.0, 0.5, 1.0, 3.0])
def test_in_order_no_group_is_older_than_allowed_whatever_is_lost(staleness):
    """Some 30 losses; and a step cannot take less than its learning."""
    varied = replace(
        SMALL, engines=3, slots=2, tokens=Spread(100, 600), groups=4, staleness=staleness, restart=5.0,
        hours_between_losses=0.005,
    )  # fmt: skip
    one, whole = found(varied), found(replace(varied, hours_between_losses=np.inf))
    assert one.staleness_max <= np.ceil(staleness)
    assert one.lost_tokens > 0.0 == whole.lost_tokens
    assert one.step_seconds > whole.step_seconds > 1600 / 400 * 0.8


def test_a_spread_has_its_mean_and_its_99th_percentile():
    rng, spread = np.random.default_rng(0), Spread(9000, 45000)
    drawn = np.array([spread.draw(rng) for _ in range(50_000)])
    assert drawn.mean() == pytest.approx(9000, rel=0.02)
    assert np.percentile(drawn, 99) == pytest.approx(45000, rel=0.04)
    assert Spread(9000, 45000, 10_000).draw(np.random.default_rng(3)) <= 10_000


@pytest.mark.slow
def test_it_is_within_a_tenth_of_what_verl_published():
    """But for S = .5, of which the authors say that the answers themselves grew longer."""
    for staleness in (0.0, 0.1, 0.3):
        seconds = Simulation(replace(bench.VERL, staleness=staleness)).run(8).step_seconds
        assert seconds == pytest.approx(bench.PUBLISHED[staleness], rel=0.1)
