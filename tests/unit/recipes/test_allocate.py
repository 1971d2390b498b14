"""The recipe of the queue: who stands beside the policy, and a step of training."""

from dataclasses import replace

import numpy as np
import pytest

import strop
from strop.beside import attempts_of
from strop.recipes.allocate import optimum, recipe, shortest_queue, soonest_done
from strop.runs.progress import Progress
from strop.types import Observation, Task

TASK = Task("1", "")


def seen(*lines):
    return Observation("\n".join(lines), (), 0, np.random.default_rng(0))


def test_the_rules_choose_as_they_say():
    text = seen("job short film", "old 1", "fast 2", "left 9")
    assert (shortest_queue(TASK, text), soonest_done(TASK, text)) == ("old", "fast")  # 1 against 2; 1 + 3 against 2 + 1
    full = seen("job long film", "old 1", "fast 5", "left 9")
    assert (shortest_queue(TASK, full), soonest_done(TASK, full), optimum(TASK, full)) == ("away", "away", "away")
    # the last job of a day has no later one to leave room for
    assert optimum(TASK, seen("job long film", "old 0", "fast 4", "left 1")) in ("old", "fast", "away")
    assert optimum(TASK, seen("job long text", "old 0", "fast 3", "left 1")) == "old"  # 4 minutes against 5


def test_the_optimum_earns_what_it_should_and_no_rule_earns_more():
    config = recipe()
    found = attempts_of(replace(config, held_out=config.held_out[:60]).resolve())
    gap = {name: np.array([one.gold for one in found if one.baseline == name]) for name in config.baselines}
    best = gap.pop("optimum")
    assert best.mean() == pytest.approx(0.0, abs=4 * best.std() / len(best) ** 0.5)  # four standard errors
    for name, other in gap.items():  # the same days: paired
        less = best - other
        assert less.mean() > 4 * less.std() / len(less) ** 0.5, name


@pytest.mark.parametrize(("machines", "policy"), [(2, "table"), pytest.param(4, "scratch", marks=pytest.mark.matrix)])
def test_it_trains_a_step(machines, policy, tmp_path):
    config = recipe(machines, policy)
    config = replace(config, steps=1, prompts_per_step=2, held_out=config.held_out[:1], baselines={})
    run = strop.train(config, tmp_path / "run", progress=Progress.silent())
    assert not [episode.error for episode in run.episodes() if episode.error]
    assert {len(episode.turns) for episode in run.episodes()} == {20}
    assert "held_out/reward" in run.metrics()[-1]


def test_the_optimum_of_four_machines_is_not_known():
    config = recipe(4)
    assert "optimum" not in config.baselines
    assert not config.gold
    with pytest.raises(ValueError, match="2 to 4"):
        recipe(7)
