"""Three of TextArena's games, from scratch, with the best answer to the opponent beside the score: by PPO.

    strop train textarena
    strop train textarena game=pig
    strop train textarena game=secretary
    strop train textarena game=wild opponent=perfect

wild: tic-tac-toe in which both players may place either mark. pig: dice, and when to stop. secretary: alone, and when
to stop. The policy reads what TextArena tells its player, in fewer words, and chooses one of the legal moves; rules and
rewards are TextArena's (docs/tasks/textarena.md). The package is needed: pip install "strop[textarena]".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import strop
from strop.baselines.chance import at_random
from strop.environments.against import Against
from strop.environments.textarena import TextArena, require_textarena
from strop.policies.table import Table
from strop.recipes import _arena_pig as pig
from strop.recipes import _arena_secretary as secretary
from strop.recipes import _arena_wild as wild
from strop.recipes._arena_players import ArenaGame, drawn
from strop.recipes._small import small_transformer
from strop.types import Environment, Episode, Observation, Player, PolicyConfig, Step, Task, shown

Name = Literal["wild", "pig", "secretary"]
ROWS = 32768
"""Prompts that a table can hold."""
GAMES: dict[str, ArenaGame] = {
    "wild": ArenaGame(
        name=wild.NAME,
        options={},
        read=wild.read,
        words=wild.WORDS,
        context=wild.CONTEXT,
        move_words=2,
        starts=wild.starts,
        players=wild.PLAYERS,
        optimum=wild.optimum,
    ),
    "pig": ArenaGame(
        name=pig.NAME,
        options=pig.OPTIONS,
        read=pig.read,
        words=pig.WORDS,
        context=pig.CONTEXT,
        starts=pig.starts,
        players=pig.PLAYERS,
        optimum=pig.optimum,
    ),
    "secretary": ArenaGame(
        name=secretary.NAME,
        options={},
        read=secretary.read,
        words=secretary.WORDS,
        context=secretary.CONTEXT,
        starts=secretary.starts,
        players=secretary.PLAYERS,
        optimum=secretary.optimum,
        is_for_two=False,
    ),
}


@dataclass(frozen=True, slots=True)
class Reads:
    """What TextArena tells a player of this game, in fewer words, with the legal moves."""

    game: str

    def __call__(self, said: str) -> Step:
        return game_of(self.game).read(said)


@dataclass(frozen=True, slots=True)
class Plays:
    """A player of a game by its name: an opponent, and a baseline."""

    game: str
    player: str = "rule"

    def __call__(self, task: Task, seen: Observation) -> str:
        return drawn(game_of(self.game).players[self.player](seen.text, seen.choices), seen)


@dataclass(frozen=True, slots=True)
class BestAnswer:
    """Who earns most on average against this opponent."""

    game: str
    opponent: str

    def __call__(self, task: Task, seen: Observation) -> str:
        return game_of(self.game).optimum(self.opponent, task, seen)


def to_optimum(task: Task, episode: Episode) -> float:
    """What was earned, minus what the best answer to this opponent earns on average from this start."""
    return episode.turn_reward - float(task.data["best"])


def recipe(
    game: Name = "wild",
    opponent: Literal["rule", "random", "perfect"] = "rule",
    policy: Literal["scratch", "table"] = "scratch",
    minutes: float = 5,
    steps: int = 2000,
    seed: int = 0,
) -> strop.TrainConfig:
    """Minutes on one thread.

    game      wild, pig, or secretary, which is played alone
    opponent  of training and of judgement: rule, random, or in wild perfect
    policy    a small transformer, or a table with a row for each prompt, which knows nothing of one that it never met
    minutes   of training
    steps     the most steps, of 64 games each
    seed      of the starts that are held out, and of the run
    """
    rules = game_of(game)
    refuse_opponent(game, opponent)
    require_textarena("strop train textarena")
    train, held_out = rules.starts(seed, opponent)
    return strop.TrainConfig(
        policy=policy_of(rules, policy),
        tasks=train,
        held_out=held_out,
        environment=environment_of(game, opponent),
        baselines={"random": at_random, "rule": Plays(game), "optimum": BestAnswer(game, opponent)},
        gold={"to_optimum": to_optimum},
        algorithm=strop.algorithms.PPO.Config(
            optimizer=strop.optimizer.AdamW(lr=0.1 if policy == "table" else 1e-3, max_grad_norm=0.5),
            kl=strop.functional.KL(weight=0.0),
            critic=strop.learners.Critic(weight=1.0),
            entropy=0.01,
            epochs=4,
            minibatches=1 if policy == "table" else 8,
        ),
        sampling=strop.Sampling(max_tokens=rules.move_words),
        group_size=1,
        prompts_per_step=64,
        steps=steps,
        minutes=minutes,
        seed=seed,
        threads=1,
    )


def game_of(game: str) -> ArenaGame:
    """What there is to know of a game. Raises ValueError for one that is not there."""
    if game not in GAMES:
        raise ValueError(f"game={shown(game)}: it is one of {', '.join(GAMES)}. Others: strop.environments.TextArena.")
    return GAMES[game]


def refuse_opponent(game: str, opponent: str) -> None:
    """Raise ValueError for an opponent that the game does not have."""
    rules = game_of(game)
    if not rules.is_for_two and opponent != "rule":
        raise ValueError(f"opponent={shown(opponent)}: {game} is played alone. Leave it out.")
    if opponent not in rules.players:
        raise ValueError(f"opponent={shown(opponent)}: in {game} it is {' or '.join(rules.players)}.")


def environment_of(game: str, opponent: str) -> Environment:
    """TextArena's game, and for two who plays against the policy, in training and in judgement."""
    rules = game_of(game)
    found = TextArena(name=rules.name, options=rules.options, read=Reads(game))
    if not rules.is_for_two:
        return found
    player: Player = Plays(game, opponent)
    return Against(game=found, opponents=[player], judge=player)


def policy_of(rules: ArenaGame, policy: str) -> PolicyConfig:
    """A policy that writes a game's words, with a value head."""
    if policy == "table":
        return Table.Config(words=rules.words, capacity=ROWS, value_head=True)
    return small_transformer(rules.words, rules.context)
