"""Games as text, from scratch, with the exact optimum beside the score: by PPO, against anyone or against old selves.

    strop train games game=gridworld
    strop train games game=nim
    strop train games game=tictactoe opponent=random,runs/mine@40
    strop train games game=tictactoe opponent=league
    strop train games game=nim opponent=http://127.0.0.1:8000/v1#smollm2
    strop train games game=gridworld teacher=greedy

Of one player: gridworld, guess_number, frozen_lake, blackjack, taxi. For two: nim, tictactoe, go. The policy reads each
position alone and chooses one of the legal moves. It is judged on starts that it never had, and in games for two by the
perfect player; in Go by a tree search. A league is a list of stages of which each plays against all that the earlier
ones made (docs/tasks/games.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

import strop
from strop import environments
from strop.baselines.chance import at_random
from strop.choices import Choosing
from strop.environments.go import Go, go_playout
from strop.likeliest import choice_logprobs
from strop.planning.game_search import search_game
from strop.policies.table import Table
from strop.recipes._game_rules import GAMES, Rules
from strop.recipes._small import small_transformer
from strop.recipes._teacher import taught
from strop.runs.directory import names_a_run, parse_run
from strop.types import (
    Baseline,
    Codec,
    Environment,
    Episode,
    Observation,
    Player,
    Policy,
    PolicyConfig,
    Task,
    check_fields,
    shown,
)

AUTO = "auto"
STAGES = 3
TAUGHT = 2000
"""Games of a teacher that are imitated, at most."""
ROWS = 16384
"""Positions that a table can hold."""
Name = Literal["nim", "tictactoe", "go", "gridworld", "guess_number", "frozen_lake", "blackjack", "taxi"]


@dataclass(frozen=True, slots=True)
class Perfect:
    """The perfect player of a game: an opponent, and a baseline."""

    game: str

    def __call__(self, task: Task, seen: Observation) -> str:
        player = rules_of(self.game).perfect
        if player is None:
            raise ValueError(f"Perfect({self.game!r}): nobody has solved that game here; take Search().")
        return player(task, seen)


@dataclass(frozen=True, slots=True)
class Greedy:
    """A player of a game who looks no further than one move."""

    game: str

    def __call__(self, task: Task, seen: Observation) -> str:
        return rules_of(self.game).greedy(task, seen)


@dataclass(frozen=True, slots=True)
class Search:
    """Go by a tree search of so many simulations for each move."""

    num_simulations: int = 30

    def __call__(self, task: Task, seen: Observation) -> str:
        position = Go.Position.read(seen.text)
        return search_game(position, seen.rng, self.num_simulations, playout=go_playout)


def judge_of(game: str) -> Perfect | Search:
    """The strongest player that there is: the perfect one, and for Go the search."""
    return Search() if game == "go" else Perfect(game)


@dataclass(frozen=True, slots=True)
class OldSelf:
    """A policy as it was, frozen: what a run or an earlier stage trained. It draws its moves as it did in training.

    start  `strop.FromRun(run="runs/mine@40")`, or `strop.FromStage("self-1")` in a list of stages
    """

    start: strop.FromRun | strop.FromStage

    def __post_init__(self) -> None:
        check_fields(self)

    def __call__(self, task: Task, seen: Observation) -> str:
        odds = _odds(*_found(self.start), seen.text, tuple(seen.choices))
        return seen.choices[int(seen.rng.choice(len(odds), p=odds))]


def _found(start: strop.FromRun | strop.FromStage) -> tuple[Path, int]:
    """The run of an old self, and its step."""
    if isinstance(start, strop.FromRun):
        directory, selector = parse_run(start.run)
    else:
        directory, selector = start.directory(), start.checkpoint
    return directory.path.resolve(), directory.checkpoint_step(selector)


@cache
def _loaded(run: Path, step: int) -> tuple[Policy, Codec]:
    return strop.FromRun(run=f"{run}@{step}").build(0, "float32")


@cache
def _odds(run: Path, step: int, text: str, moves: tuple[str, ...]) -> tuple[float, ...]:
    """The probability of each move."""
    policy, codec = _loaded(run, step)
    sampling = strop.Sampling(max_tokens=8)
    choices = Choosing(codec, sampling).of(Task("", ""), moves)
    assert choices is not None
    with policy.lock.reading():
        (logprobs,) = choice_logprobs(policy, [(codec.start(text), choices)], sampling)
    odds = np.exp(logprobs)
    return tuple((odds / odds.sum()).tolist())


def to_optimum(task: Task, episode: Episode) -> float:
    """What was earned, minus the exact optimum of this start: 0 on average is perfect."""
    return episode.turn_reward - float(task.data["best"])


def recipe(
    game: Name = "tictactoe",
    opponent: str = AUTO,
    policy: Literal["scratch", "table"] = "scratch",
    teacher: Literal["auto", "none", "greedy", "perfect"] = "auto",
    minutes: float = 5,
    steps: int = 2000,
    seed: int = 0,
) -> strop.TrainConfig | list[strop.Stage]:
    """Minutes on one thread.

    game      nim, tictactoe, go, gridworld, guess_number, frozen_lake, blackjack or taxi
    opponent  in games for two: random, greedy, perfect (Go: our tree search); a run, such as runs/mine@40, for the
              policy that it trained; URL#MODEL for a model behind an API that wants no key; several of these with
              commas, of which each game has one; or league, for stages that play against all that came before them.
              auto: perfect in nim, random,perfect in tictactoe, random in go
    policy    a small transformer, or a table with a row for each position, which knows nothing of one that it never met
    teacher   greedy or perfect: imitate that player for a fifth of the minutes, and go on from there; none: rewards
              alone. auto: greedy in taxi, whose rewards are rare, else none
    minutes   of training
    steps     the most steps, of 64 games each, in blackjack 512
    seed      of the starts that are held out, and of the run
    """
    if opponent == "league":
        if teacher not in (AUTO, "none"):
            raise ValueError(f"opponent=league, teacher={teacher!r}: a league begins with a policy of its own.")
        return league(game, STAGES, policy, minutes, steps, seed)
    config = match(game, opponent, policy, minutes, steps, seed)
    shows = rules_of(game).teacher if teacher == AUTO else teacher
    return config if shows == "none" else with_teacher(config, game, shows)


def match(
    game: Name, opponent: str = AUTO, policy: str = "scratch", minutes: float = 5, steps: int = 2000, seed: int = 0
) -> strop.TrainConfig:
    """A run against an opponent, or several; the fields are those of `recipe`."""
    rules = rules_of(game)
    learning, (train, held_out) = rules.learning, rules.starts(seed)
    return strop.TrainConfig(
        policy=policy_of(rules, policy),
        tasks=train,
        held_out=held_out,
        environment=environment_of(game, players_of(game, opponent)),
        baselines=baselines_of(game),
        gold={} if game == "go" else {"to_optimum": to_optimum},
        algorithm=strop.algorithms.PPO.Config(
            optimizer=strop.optimizer.AdamW(lr=0.1 if policy == "table" else learning.lr, max_grad_norm=0.5),
            kl=strop.functional.KL(weight=0.0),
            critic=strop.learners.Critic(weight=learning.critic),
            discount=learning.discount,
            entropy=learning.entropy,
            epochs=4,
            minibatches=1 if policy == "table" else 8,
        ),
        sampling=strop.Sampling(max_tokens=1),
        group_size=1,
        prompts_per_step=learning.games,
        steps=steps,
        minutes=minutes,
        seed=seed,
        threads=1,
    )


def with_teacher(config: strop.TrainConfig, game: Name, teacher: str) -> list[strop.Stage]:
    """First imitate a player on the starts of training, then go on as `config` does, in the same minutes together."""
    players = {"greedy": Greedy(game), "perfect": judge_of(game)}
    if teacher not in players:
        raise ValueError(f"teacher={teacher!r}: it is none, {' or '.join(players)}.")
    starts = list(config.tasks)[:TAUGHT]
    games = strop.data.demonstrations(config.environment, players[teacher], starts, config.seed)
    return taught(config, games, size=64, steps=config.steps, name="play")


def league(
    game: Name = "tictactoe",
    stages: int = STAGES,
    policy: str = "scratch",
    minutes: float = 5,
    steps: int = 2000,
    seed: int = 0,
) -> list[strop.Stage]:
    """Self-play by stages: the first one against anyone, each later one against anyone and all that came before it.

    `stages` is their number, and the stage k is called self-k, so that its run is RUN/k-self-k. They share `minutes`;
    `steps` are the most of each. The other fields are those of `recipe`.
    """
    if not rules_of(game).is_for_two:
        raise ValueError(f"league(game={game!r}): nobody plays against anyone there. Games for two: {_for_two()}.")
    first = match(game, "random", policy, minutes / stages, steps, seed)
    made = [strop.Stage("self-1", first)]
    for number in range(2, stages + 1):
        old = [OldSelf(strop.FromStage(stage.name)) for stage in made]
        later = replace(
            first,
            policy=strop.FromStage(made[-1].name, value_head=True),
            environment=environment_of(game, [at_random, *old]),
        )
        made.append(strop.Stage(f"self-{number}", later))
    return made


def rules_of(game: str) -> Rules:
    """The rules of a game by its name. Raises ValueError for one that is not there."""
    if game not in GAMES:
        raise ValueError(f"game={shown(game)}: it is one of {', '.join(GAMES)}.")
    return GAMES[game]


def players_of(game: str, opponent: str) -> list[Player]:
    """The opponents of these names; none in games of one player. A run's policy is that of its checkpoint as of now."""
    rules = rules_of(game)
    if not rules.is_for_two:
        if opponent != AUTO:
            raise ValueError(f"opponent={opponent!r}: nobody plays against it in {game}. Games for two: {_for_two()}.")
        return []
    return [_player(game, name.strip()) for name in (rules.opponents if opponent == AUTO else opponent).split(",")]


def _player(game: str, name: str) -> Player:
    named: dict[str, Player] = {"random": at_random, "greedy": Greedy(game), "perfect": judge_of(game)}
    if name in named:
        return named[name]
    if name.startswith(("http://", "https://")):
        url, _, model = name.partition("#")
        return strop.Endpoint(url=url, model=model)
    if not names_a_run(name):
        known = f"{', '.join(named)}, a run that is there (runs/mine@40), or a model behind an API (URL#MODEL)"
        raise ValueError(f"opponent={name!r}: it is {known}.")
    return OldSelf(strop.FromRun(run=name).pinned())


def environment_of(game: str, opponents: Sequence[Player]) -> Environment:
    """The game, for two against these opponents and judged by the perfect player."""
    found: Environment = rules_of(game).environment
    return environments.Against(game=found, opponents=opponents, judge=judge_of(game)) if opponents else found


def baselines_of(game: str) -> dict[str, Baseline]:
    """Chance, a player who looks no further than a move, and the strongest one that there is."""
    return {"random": at_random, "greedy": Greedy(game), "search" if game == "go" else "perfect": judge_of(game)}


def policy_of(rules: Rules, policy: str) -> PolicyConfig:
    """A policy that writes a game's words, with a value head."""
    if policy == "table":
        return Table.Config(words=rules.words, capacity=ROWS, value_head=True)
    return small_transformer(rules.words, rules.context)


def _for_two() -> str:
    return ", ".join(name for name, rules in GAMES.items() if rules.is_for_two)
