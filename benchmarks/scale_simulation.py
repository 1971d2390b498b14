"""What staleness, weights and failures would do to a step's time on many machines: a queueing model, no measurement.

    python benchmarks/scale_simulation.py [--steps 8] [--seed 0]

prints the calibration and the table of docs/scale.md. Engines decode all that they hold together: a token of each of n
sequences takes `token + n * sequence` seconds. A tool is waited for without a slot. One trainer learns a step's groups,
in `chunks` if they may come in any order. A step's groups are handed out once all but `staleness` steps before it are
learnt. New weights stop everybody for `sync` seconds; a sequence that is decoded goes on with them. An engine that is
lost takes the episodes with it that it decodes: they begin again elsewhere.
"""

from __future__ import annotations

import argparse
import heapq
import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

WARM_UP = 0.25
"""The share of the steps that are not counted: the first ones find nothing that was played ahead."""
Z99 = 2.326
"""Standard deviations from the median of a normal distribution to its 99th percentile."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A log-normal distribution by its mean and its 99th percentile, cut at `most`; equal ones make a constant."""

    mean: float
    p99: float
    most: float = math.inf

    def draw(self, rng: np.random.Generator) -> float:
        """One number. ln p99 - ln mean = Z99 s - s^2 / 2 gives the smaller s."""
        gap = math.log(self.p99 / self.mean)
        assert gap <= Z99**2 / 2, "no log-normal distribution has such a 99th percentile"
        s = Z99 - math.sqrt(Z99**2 - 2.0 * gap)
        return min(float(rng.lognormal(math.log(self.mean) - s * s / 2.0, s)), self.most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Seconds, tokens, and how many of each."""

    engines: int
    slots: int
    token: float
    sequence: float
    tokens: Spread
    groups: int
    group_size: int
    train_tokens_a_second: float
    train_fixed: float = 0.0
    sync: float = 0.0
    staleness: float = 0.0
    chunks: int = 1
    any_order: bool = False
    turns: int = 1
    tool: Spread = Spread(1e-9, 1e-9)
    hours_between_losses: float = math.inf
    restart: float = 300.0


@dataclass(slots=True, eq=False)
class _Group:
    number: int
    version: int
    left: int
    tokens: float = 0.0


@dataclass(slots=True, eq=False)
class _Episode:
    group: _Group
    tokens: float
    turn: int = 0


@dataclass(slots=True, eq=False)
class _Engine:
    """`made` counts the tokens of one sequence that never ends; what is decoded ends at such a count."""

    made: float = 0.0
    at: float = 0.0
    is_up: bool = True
    decoding: list[tuple[float, int, _Episode]] = field(default_factory=list)
    waiting: deque[_Episode] = field(default_factory=deque)
    stamp: int = 0

    @property
    def load(self) -> float:
        return len(self.decoding) + len(self.waiting) if self.is_up else math.inf


@dataclass(frozen=True, slots=True)
class Found:
    """Means over the steps that count. `generating` is the share of the tokens that full engines would have made."""

    step_seconds: float
    generating: float
    training: float
    staleness: float
    staleness_max: int
    lost_tokens: float


class Simulation:
    """One history. Events wait in a heap; those of an engine that has changed meanwhile have an old stamp."""

    def __init__(self, plan: Plan, seed: int = 0) -> None:
        self.plan, self.rng, self.now = plan, np.random.default_rng(seed), 0.0
        self.events: list[tuple[float, int, Callable[..., None], Any, int | None]] = []
        self.engines = [_Engine() for _ in range(plan.engines)]
        self.version = self.begun = self.count = self.consumed = self.in_step = 0
        self.done = dict[int, _Group]()
        self.is_training, self.stopped_until = False, 0.0
        self.ended, self.ages = 0, list[int]()
        self.trained = self.made = self.lost = 0.0
        if math.isfinite(plan.hours_between_losses):
            for engine in self.engines:
                self.push(self.rng.exponential(plan.hours_between_losses * 3600.0), self.on_loss, engine)

    def run(self, steps: int) -> Found:
        """Until so many steps are learnt."""
        first = max(int(steps * WARM_UP), 1)
        self.hand_out()
        while self.ended < first:
            self.happen()
        begun, trained, made, lost, ages = self.now, self.trained, self.made, self.lost, len(self.ages)
        while self.ended < steps:
            self.happen()
        seconds, plan, counted = self.now - begun, self.plan, self.ages[ages:]
        most = plan.engines * plan.slots / (plan.token + plan.sequence * plan.slots)
        return Found(
            step_seconds=seconds / (steps - first),
            generating=(self.made - made) / seconds / most,
            training=(self.trained - trained) / seconds,
            staleness=sum(counted) / len(counted),
            staleness_max=max(counted),
            lost_tokens=(self.lost - lost) / max(self.made - made, 1.0),
        )

    def happen(self) -> None:
        """The next event."""
        self.now, _, does, what, stamp = heapq.heappop(self.events)
        if stamp is None or stamp == what.stamp:
            does(*([] if what is None else [what]))

    def push(self, seconds: float, does: Callable[..., None], what: Any = None, stamp: int | None = None) -> None:
        """Something that happens after so many seconds."""
        self.count += 1
        heapq.heappush(self.events, (self.now + seconds, self.count, does, what, stamp))

    # ------------------------------------------------------------ groups and engines

    def hand_out(self) -> None:
        """Every group that is allowed to begin."""
        allowed = math.floor((self.version + 1 + self.plan.staleness) * self.plan.groups + 1e-9)
        while self.begun < allowed:
            group = _Group(self.begun, self.version, self.plan.group_size)
            self.begun += 1
            for _ in range(self.plan.group_size):
                self.decode(_Episode(group, self.plan.tokens.draw(self.rng)))

    def decode(self, episode: _Episode) -> None:
        """Give a turn to the engine with the least to do."""
        engine = min(self.engines, key=lambda one: one.load)
        self.advance(engine)
        engine.waiting.append(episode)
        self.fill(engine)

    def advance(self, engine: _Engine) -> None:
        """Count what it has made until now; while weights are exchanged, nothing."""
        seconds, num = self.now - max(engine.at, self.stopped_until), len(engine.decoding)
        if seconds > 0.0 and num:
            tokens = seconds / (self.plan.token + self.plan.sequence * num)
            engine.made, self.made = engine.made + tokens, self.made + tokens * num
        engine.at = self.now

    def fill(self, engine: _Engine) -> None:
        """Begin what there is a slot for, and find out when the next turn ends."""
        while engine.waiting and engine.is_up and len(engine.decoding) < self.plan.slots:
            episode = engine.waiting.popleft()
            self.count += 1
            end = engine.made + episode.tokens / self.plan.turns
            heapq.heappush(engine.decoding, (end, self.count, episode))
        engine.stamp += 1
        if engine.decoding:
            rate = self.plan.token + self.plan.sequence * len(engine.decoding)
            wait = max(self.stopped_until - self.now, 0.0)
            self.push(wait + max(engine.decoding[0][0] - engine.made, 0.0) * rate, self.on_token, engine, engine.stamp)

    def on_token(self, engine: _Engine) -> None:
        """A turn has its last token."""
        self.advance(engine)
        _, _, episode = heapq.heappop(engine.decoding)
        episode.turn += 1
        if episode.turn < self.plan.turns:
            self.push(self.plan.tool.draw(self.rng), self.decode, episode)
        else:
            self.finish(episode)
        self.fill(engine)

    def on_loss(self, engine: _Engine) -> None:
        """An engine is gone, and what it decoded begins again."""
        self.advance(engine)
        episodes = [episode for _, _, episode in engine.decoding] + list(engine.waiting)
        engine.is_up, engine.decoding = False, []
        engine.waiting.clear()
        self.fill(engine)
        self.push(self.plan.restart, self.on_restart, engine)
        for episode in episodes:
            self.lost += episode.tokens * (episode.turn + 0.5) / self.plan.turns
            episode.turn = 0
            self.decode(episode)

    def on_restart(self, engine: _Engine) -> None:
        """It is back."""
        engine.is_up = True
        self.advance(engine)
        self.fill(engine)
        self.push(self.rng.exponential(self.plan.hours_between_losses * 3600.0), self.on_loss, engine)

    # ------------------------------------------------------------ the trainer

    def finish(self, episode: _Episode) -> None:
        """An episode is over, and perhaps its group."""
        group = episode.group
        group.left, group.tokens = group.left - 1, group.tokens + episode.tokens
        if not group.left:
            self.done[group.number] = group
            self.train()

    def train(self) -> None:
        """Take the next chunk if it is there: in any order those that were finished first, else a step's own."""
        size = self.plan.groups // self.plan.chunks
        wanted = list(self.done)[:size] if self.plan.any_order else range(self.consumed, self.consumed + size)
        is_there = len(wanted) == size and all(number in self.done for number in wanted)
        if self.is_training or self.now < self.stopped_until or not is_there:
            return
        chunk = [self.done.pop(number) for number in wanted]
        self.ages += [self.version - group.version for group in chunk]
        self.consumed, self.is_training = self.consumed + size, True
        tokens = sum(group.tokens for group in chunk)
        seconds = tokens / self.plan.train_tokens_a_second + self.plan.train_fixed / self.plan.chunks
        self.trained += seconds
        self.push(seconds, self.on_trained)

    def on_trained(self) -> None:
        """A chunk is learnt; after the last one there are new weights, which everybody waits for."""
        self.is_training, self.in_step = False, self.in_step + 1
        if self.in_step < self.plan.chunks:
            self.train()
            return
        self.in_step, self.version = 0, self.version + 1
        for engine in self.engines:
            self.advance(engine)
        self.stopped_until = self.now + self.plan.sync
        for engine in self.engines:
            self.fill(engine)
        self.push(self.plan.sync, self.on_synced)

    def on_synced(self) -> None:
        """A step ends when its weights are everywhere."""
        self.ended += 1
        self.hand_out()
        self.train()


# ---------------------------------------------------------------- what docs/scale.md prints

VERL = Plan(
    engines=64, slots=256, token=0.0056, sequence=0.000135, tokens=Spread(2200, 9000, 28672), groups=512, group_size=16,
    train_tokens_a_second=160_000, train_fixed=4.5, sync=0.1, chunks=4, any_order=True,
)  # fmt: skip
"""Its ablation: 64 + 64 H20, a 7B model, 512 prompts x 16 answers of at most 28k tokens, four chunks. Lengths and
rates are fitted by hand to the four published times."""
PUBLISHED = {0.0: 231.34, 0.1: 171.30, 0.3: 146.11, 0.5: 150.63}
"""Seconds of a step by staleness: https://verl.readthedocs.io/en/latest/advance/fully_async.html"""
THOUSAND = Plan(
    engines=96, slots=256, token=0.012, sequence=0.00006, tokens=Spread(9000, 45000, 60000), groups=512, group_size=16,
    turns=8, tool=Spread(8, 90, 300), train_tokens_a_second=256 * 1500, sync=5.0,
)  # fmt: skip
"""Assumed: a dense 32B model, 768 GPUs that play as 96 engines, 256 that learn."""
CASES = {
    "S = 0": {},
    "S = 1": {"staleness": 1},
    "S = 2": {"staleness": 2},
    "S = 4": {"staleness": 4},
    "S = 2, groups in any order": {"staleness": 2, "any_order": True},
    "S = 2, weights take 60 s": {"staleness": 2, "sync": 60.0},
    "S = 2, each engine is lost every 50 h": {"staleness": 2, "hours_between_losses": 50.0},
    "S = 2, every 5 h": {"staleness": 2, "hours_between_losses": 5.0},
    "S = 2, tools four times slower": {"staleness": 2, "tool": Spread(32, 360, 1200)},
}


def calibration(steps: int, seed: int) -> Iterator[str]:
    """Model beside published times."""
    yield "| S | model | published | error |"
    yield "|---|---|---|---|"
    for staleness, published in PUBLISHED.items():
        seconds = Simulation(replace(VERL, staleness=staleness), seed).run(steps).step_seconds
        yield f"| {staleness:g} | {seconds:.0f} s | {published:.0f} s | {seconds / published - 1.0:+.0%} |"


def thousand(steps: int, seed: int) -> Iterator[str]:
    """The table of 1,024 GPUs."""
    yield "| | a step | engines | trainer | steps behind, most | played again |"
    yield "|---|---|---|---|---|---|"
    for name, changed in CASES.items():
        found = Simulation(replace(THOUSAND, **changed), seed).run(steps)
        shares = f"{found.generating:.0%} | {found.training:.0%}"
        ages = f"{found.staleness:.1f}, {found.staleness_max}"
        yield f"| {name} | {found.step_seconds:.0f} s | {shares} | {ages} | {found.lost_tokens:.1%} |"


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for table in (calibration, thousand):
        for row in table(arguments.steps, arguments.seed):
            print(row, flush=True)
        print()


if __name__ == "__main__":
    main()
