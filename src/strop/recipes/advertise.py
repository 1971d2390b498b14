"""Advertising from a log: learn which ad to show whom from what another policy showed, and judge it by the same log.

    strop train advertise

A shop showed ads by a rule of its own with chance in it, and kept who came, what was shown, with which probability, and
whether it was clicked. DQN learns from the log alone how often which visitor clicks on what. In this simulation the
truth is known, so what the estimates of `strop.functional` say of the learnt policy stands beside what it earns
(docs/tasks/advertise.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

import strop
from strop.baselines.chance import at_random
from strop.baselines.constant import Always
from strop.environments.advertise import ADS, VISITORS, click_rate
from strop.functional.off_policy import direct_method, doubly_robust, inverse_propensity, self_normalised
from strop.intervals import Interval
from strop.streams import stream
from strop.types import Baseline, Episode, Observation, Task, check_fields

FAVOURITE_SHARE = 0.55
"""How often the shop shows its favourite ad; each other one has the same share of the rest."""
LOGGED = 4000
JUDGED = 400
DOUBT = 10.0
"""Lines that a model of clicks adds to those of a visitor and an ad, at the mean of all ads."""
Odds = Mapping[str, Sequence[float]]
"""The probability of each ad, by visitor: a policy."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log: who came, what was shown, with which probability, and whether it was clicked."""

    visitor: str
    ad: str
    probability: float
    click: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MostClicked:
    """The ad that is clicked on most of those times that the log shows it, whoever comes.

    seen  the fewest times
    """

    seen: int = 1

    def __post_init__(self) -> None:
        check_fields(self)

    def fit(self, tasks: Sequence[Task]) -> Baseline:
        """Count clicks. Raises ValueError where no ad was shown as often."""
        turns = [turn for task in tasks for turn in task.data["played"]]
        clicks = {ad: [turn["reward"] for turn in turns if turn["text"] == ad] for ad in ADS}
        shares = {ad: float(np.mean(found)) for ad, found in clicks.items() if len(found) >= self.seen}
        if not shares:
            raise ValueError(f"MostClicked(seen={self.seen}): the log shows no ad as often.")
        return Always(max(shares, key=lambda ad: shares[ad]))


def shop(task: Task, seen: Observation) -> str:
    """What the shop shows."""
    return ADS[int(seen.rng.choice(len(ADS), p=shop_odds(seen.text)))]


def best(task: Task, seen: Observation) -> str:
    """The ad that such a visitor clicks on most: nobody can do better."""
    return max(ADS, key=lambda ad: click_rate(seen.text, ad))


def rate(task: Task, episode: Episode) -> float:
    """How often such a visitor clicks on what was shown: the click without its luck."""
    ad = episode.turns[0].text
    return click_rate(task.data["visitor"], ad) if ad in ADS else 0.0


def recipe(lines: int = LOGGED, steps: int = 200, seed: int = 0) -> strop.TrainConfig:
    """Under a minute on one thread.

    lines  of the log
    steps  of 256 lines each
    seed   of the log, of the visitors, and of the run
    """
    kept = log(lines, seed)
    judged = [VISITORS[i % len(VISITORS)] for i in range(JUDGED)]
    return strop.TrainConfig(
        policy=strop.policies.Table.Config(words=[*dict.fromkeys(" ".join(VISITORS).split()), *ADS]),
        tasks=[as_task(f"line-{i}", line) for i, line in enumerate(kept)],
        held_out=[Task(f"held-out-{i}", "", data={"visitor": visitor}) for i, visitor in enumerate(judged)],
        environment=strop.environments.Advertise,
        baselines={"random": at_random, "shop": shop, "most clicked": MostClicked(), "best": best},
        gold={"rate": rate},
        algorithm=strop.algorithms.DQN.Config(
            optimizer=strop.optimizer.AdamW(lr=strop.schedules.Linear(start=0.02, end=0.0005, steps=steps)), huber=None
        ),
        sampling=strop.Sampling(choices=ADS, temperature=0.0, max_tokens=1),
        memory=strop.memory.Dataset.Config(size=256),
        steps=steps,
        seed=seed,
        threads=1,
    )


def shop_odds(visitor: str) -> list[float]:
    """The shop's probability of each ad: it likes films, and for those at a desk the bank."""
    favourite = "bank" if "desk" in visitor else "film"
    rest = (1.0 - FAVOURITE_SHARE) / (len(ADS) - 1)
    return [FAVOURITE_SHARE if ad == favourite else rest for ad in ADS]


def log(lines: int, seed: int = 0) -> list[Line]:
    """What the shop kept of so many visitors."""
    rng = stream(seed, "log")
    found = []
    for _ in range(lines):
        visitor = VISITORS[int(rng.integers(len(VISITORS)))]
        odds = shop_odds(visitor)
        place = int(rng.choice(len(ADS), p=odds))
        click = float(rng.random() < click_rate(visitor, ADS[place]))
        found.append(Line(visitor, ADS[place], odds[place], click))
    return found


def as_task(id: str, line: Line) -> Task:
    """A line as an episode that was played."""
    return Task(id, line.visitor, data={"played": [{"text": line.ad, "reward": line.click}]})


def shown_by(run: strop.Run) -> dict[str, list[float]]:
    """What a run's policy shows to whom, by its last judgement."""
    last = [int(row["step"]) for row in run.metrics() if "held_out/reward" in row][-1]
    shown = {episode.task.data["visitor"]: episode.turns[0].text for episode in run.judged(last)}
    return {visitor: [float(ad == shown[visitor]) for ad in ADS] for visitor in VISITORS}


def worth(odds: Odds) -> float:
    """What a policy earns a visitor, by the truth of the simulation."""
    return float(np.mean([np.dot(odds[one], [click_rate(one, ad) for ad in ADS]) for one in VISITORS]))


def estimates(odds: Odds, kept: Sequence[Line]) -> dict[str, Interval]:
    """What a policy would earn a visitor, by the log alone.

    The log has to be other lines than those that the policy was learnt from; else it is judged by its own luck.
    """
    clicks_N = np.array([line.click for line in kept])
    weight_N = np.array([odds[line.visitor][ADS.index(line.ad)] / line.probability for line in kept])
    predicted_N, expected_N = _modelled(odds, kept)
    return {
        "direct": direct_method(expected_N),
        "inverse propensity": inverse_propensity(clicks_N, weight_N),
        "self-normalised": self_normalised(clicks_N, weight_N),
        "doubly robust": doubly_robust(clicks_N, weight_N, predicted_N, expected_N),
    }


def _modelled(odds: Odds, kept: Sequence[Line]) -> tuple[np.ndarray, np.ndarray]:
    """A model's clicks of what was shown, and under the policy: each half of the log by the model of the other."""
    models = [_click_model(kept[1::2]), _click_model(kept[0::2])]
    predicted = [models[i % 2][line.visitor][ADS.index(line.ad)] for i, line in enumerate(kept)]
    expected = [float(np.dot(odds[line.visitor], models[i % 2][line.visitor])) for i, line in enumerate(kept)]
    return np.array(predicted), np.array(expected)


def _click_model(kept: Sequence[Line]) -> dict[str, list[float]]:
    """The share of clicks by visitor and ad, drawn to the mean of all where there are few lines."""
    mean = float(np.mean([line.click for line in kept]))
    clicks: dict[tuple[str, str], list[float]] = {}
    for line in kept:
        clicks.setdefault((line.visitor, line.ad), []).append(line.click)

    def share(visitor: str, ad: str) -> float:
        found = clicks.get((visitor, ad), [])
        return (sum(found) + DOUBT * mean) / (len(found) + DOUBT)

    return {visitor: [share(visitor, ad) for ad in ADS] for visitor in VISITORS}
