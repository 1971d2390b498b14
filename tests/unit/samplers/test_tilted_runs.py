"""Runs whose samples another engine draws, off by a known amount: what they measure and learn, and what stops them."""

import math
from collections import Counter
from dataclasses import dataclass, replace

import pytest

import strop
import table_run
from strop.functional.corrections import Correction
from strop.loop import loop
from strop.runs.progress import Progress
from strop.types import Stopped
from tilted import Tilted

TILT = (math.log(3.0), 0.0)
"""At the start the policy gives a and b the same probability, and this engine 3/4 and 1/4."""
GAP = (math.log(1.5), math.log(0.5))
"""Of log-probs, engine - policy, for a and b at the start."""


def config(**changed):
    usual = {
        "sampler": Tilted.Config(tilt=TILT),
        "algorithm": strop.algorithms.REINFORCE.Config(optimizer=strop.optimizer.SGD(lr=0.5), baseline_decay=None),
        "held_out": [],
        "group_size": 16,
    }
    return table_run.config(**{**usual, **changed})


def trained(folder, **changed):
    return strop.train(config(**changed), folder / "run", progress=Progress.silent())


def test_a_run_measures_the_gap_and_weighs_by_the_ratios(tmp_path):
    run = trained(tmp_path, prompts_per_step=1, steps=1)
    (row,) = [row for row in run.metrics() if "correction/weight" in row]
    said = Counter(one.text for one in run.episodes())
    share = {"a": said["a"] / 16, "b": said["b"] / 16}
    assert said.keys() == {"a", "b"}
    assert row["policy/sampler_gap_mean"] == pytest.approx(share["a"] * GAP[0] - share["b"] * GAP[1])
    assert row["policy/sampler_gap_bias"] == pytest.approx(-share["a"] * GAP[0] - share["b"] * GAP[1])
    assert row["policy/sampler_gap_max"] == pytest.approx(-GAP[1])
    assert row["correction/weight"] == pytest.approx(share["a"] * 2 / 3 + share["b"] * 2)
    squares = share["a"] * 4 / 9 + share["b"] * 4
    assert row["correction/ess"] == pytest.approx(row["correction/weight"] ** 2 / squares)


def test_every_step_is_drawn_by_the_newest_weights(tmp_path):
    # mu_a / mu_b = 3 pi_a / pi_b, so what the engine recorded says what the policy was, and how large the gap is
    run = trained(tmp_path, prompts_per_step=1, steps=4)
    seen = set()
    for step, row in enumerate(run.metrics()[-4:]):
        episodes = run.episodes(step)
        recorded = {one.text: one.turns[0].completion.logprobs[0] for one in episodes}
        mu_a = math.exp(recorded["a"])
        pi_a = mu_a / 3 / (mu_a / 3 + 1 - mu_a)
        own = {"a": math.log(pi_a), "b": math.log(1 - pi_a)}
        assert recorded.keys() == own.keys()
        gaps = [own[one.text] - recorded[one.text] for one in episodes]
        assert row["policy/sampler_gap_mean"] == pytest.approx(sum(map(abs, gaps)) / len(gaps))
        seen.add(round(pi_a, 6))
    assert len(seen) == 4  # the policy moves


def test_a_gap_that_the_engine_does_not_state_stops_the_run(tmp_path):
    with pytest.raises(Stopped, match=r"log-probs of the same tokens differ: .* allowed mean 0\.\d+, bias"):
        trained(tmp_path, sampler=Tilted.Config(tilt=TILT, gap=None))


class Frozen(Tilted):
    """An engine that misses every publish but the first."""

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Config(Tilted.Config):
        def build(self, policy, codec):
            return Frozen(policy, codec.stop, self.tilt)

    def publish(self, policy):
        if not hasattr(self, "inner"):
            super().publish(policy)


def test_an_engine_that_misses_a_publish_is_noticed(tmp_path):
    chosen = Frozen.Config(tilt=(0.0, 0.0), gap=0.01)
    with pytest.raises(Stopped, match="sampler and trainer use other weights"):
        trained(tmp_path, sampler=chosen)
    run = strop.Run(tmp_path / "run")
    assert run.metrics()[0]["policy/sampler_gap_mean"] == pytest.approx(0.0)


# ------------------------------------------------------------ what is learnt

PAID = {"a": 0.5, "b": 1.0}
"""The engine draws a three times as often as the policy: uncorrected, that counts as if a paid 1.5."""


def paid(task, episode):
    return PAID[episode.text]


class Silent:
    """A recorder that records nothing."""

    def steps(self, parts, n):
        yield from range(n)

    def update(self, step, draw, batch, update): ...

    def finish(self, step, episodes): ...


def share_of_b(seed, corrected):
    """How often the policy says b in the end."""
    quick = strop.algorithms.REINFORCE.Config(optimizer=strop.optimizer.SGD(lr=2.0), baseline_decay=None)
    chosen = config(rewards=[paid], algorithm=quick, seed=seed, group_size=64, prompts_per_step=1, steps=30).resolve()
    assert chosen.algorithm.correction == Correction()
    if not corrected:
        chosen = replace(chosen, algorithm=replace(chosen.algorithm, correction=None))
    return math.exp(loop(chosen, Silent()).prefill([(0,)])[0].log_softmax(-1)[0, 1].item())


@pytest.mark.matrix
@pytest.mark.parametrize("seed", range(2))
def test_corrected_it_learns_the_better_answer_and_uncorrected_the_other(seed):
    assert share_of_b(seed, corrected=True) > 0.9
    assert share_of_b(seed, corrected=False) < 0.1
