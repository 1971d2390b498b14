"""Reward models against maximum likelihood, in closed form and by Zermelo's iteration."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from strop.algorithms.process_reward_model import ProcessRewardModel
from strop.algorithms.reward_model import RewardModel
from strop.batch import collate
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.types import Batch, Part, Pick, Sampling, Tokens
from strop.verify.checks import Gap
from strop.verify.episodes import batch_of, episode, turn

Games = Mapping[tuple[int, int], int]
"""How often (winner, loser) was seen."""

EXACT, FITTED = 1e-12, 1e-8
PROMPT = 9


def valued_table(value: Mapping[Tokens, float]) -> Table:
    """A table whose value head holds these values of prefixes."""
    policy = Table(10, capacity=64, value_head=True)
    assert policy.value is not None
    with torch.no_grad():
        for prefix, number in value.items():
            policy.value[policy.row(prefix)] = number
    return policy


def values_of(policy: Table) -> dict[Tokens, float]:
    """The value of every prefix in the table."""
    assert policy.value is not None
    return {prefix: policy.value[row].item() for prefix, row in policy.contexts.items()}


def tournament(wins: Games) -> list[Pick]:
    """Every game as a pair of one-token answers: token i beats token j wins[i, j] times."""
    picks = []
    for group, ((i, j), n) in enumerate(wins.items()):
        for token, reward in ((i, 1.0), (j, 0.0)):
            picks.append(Pick(episode(turn((PROMPT,), (token,), None), reward=reward, group=group), weight=float(n)))
    return picks


def tournament_scores(wins: Games, items: int, steps: int, **fields: Any) -> list[float]:
    """The scores after full-batch gradient descent."""
    policy = valued_table({})
    rate = 4.0 * len(wins) / sum(wins.values())
    algorithm = RewardModel.Config(optimizer=SGD(lr=rate), **fields).build(policy, Sampling(), 4096)
    batch = collate(tuple(tournament(wins)), policy.layout)
    for _ in range(steps):
        algorithm.update(batch)
    value = values_of(policy)
    return [value[PROMPT, token] for token in range(items)]


def zermelo(wins: Games, items: int) -> list[float]:
    """The maximum likelihood of a tournament: p_i <- W_i / sum_j n_ij / (p_i + p_j) (Hunter 2004); the scores log p."""
    p = [1.0] * items
    won = [sum(n for (i, _), n in wins.items() if i == k) for k in range(items)]
    for _ in range(5000):
        p = [
            won[k] / sum((wins[k, j] + wins[j, k]) / (p[k] + p[j]) for j in range(items) if j != k)
            for k in range(items)
        ]
    return [math.log(one) for one in p]


def check_reward_model() -> Iterator[Gap]:
    """Reward model: two items end at the log-odds of winning, around 0."""
    for won, played in ((3, 4), (9, 10), (1, 5)):
        first, second = tournament_scores({(0, 1): won, (1, 0): played - won}, 2, 40, centring=0.01)
        odds = math.log(won / (played - won))
        yield Gap(max(abs(first - odds / 2), abs(second + odds / 2)), FITTED, f"{won} of {played}")


def check_reward_model_tournament() -> Gap:
    """Reward model: three items end at the maximum likelihood of their games, by Zermelo's iteration."""
    wins = {(0, 1): 4, (1, 0): 2, (1, 2): 5, (2, 1): 1, (2, 0): 2, (0, 2): 3}
    scores, wanted = tournament_scores(wins, 3, 100, centring=0.0), zermelo(wins, 3)
    gaps = [abs((scores[i] - scores[j]) - (wanted[i] - wanted[j])) for i, j in ((0, 1), (1, 2))]
    return Gap(max(gaps), FITTED)


def check_reward_model_step() -> Gap:
    """Reward model: a slow reference, one update with a margin and centring, read behind the last token."""
    margin, centring = 0.5, 0.1
    score = {(PROMPT, 1, 2): 0.7, (PROMPT, 2): -0.4, (PROMPT, 3, 3, 1): 1.5}
    returns = {(PROMPT, 1, 2): 3.0, (PROMPT, 2): 1.0, (PROMPT, 3, 3, 1): 1.0}
    policy = valued_table(score)
    config = RewardModel.Config(optimizer=SGD(lr=1.0), margin=margin, centring=centring)
    episodes = [episode(turn((PROMPT,), text[1:], None), reward=returns[text]) for text in score]
    loss = config.build(policy, Sampling(), 4).update(batch_of(*episodes, layout="per_turn")).metrics["optimizer/loss"]
    wanted_loss, wanted = 0.0, dict(score)
    pairs = [(w, v) for w in score for v in score if returns[w] > returns[v]]
    for w, v in pairs:
        logit = score[w] - score[v] - margin * (returns[w] - returns[v])
        level = score[w] + score[v]
        wanted_loss += (math.log1p(math.exp(-logit)) + centring * level**2) / len(pairs)
        push, pull = 1 / (1 + math.exp(logit)), 2 * centring * level
        wanted[w] += (push - pull) / len(pairs)
        wanted[v] -= (push + pull) / len(pairs)
    return Gap(max(abs(loss.value - wanted_loss), _farthest(policy, wanted)), EXACT)


def _farthest(policy: Table, wanted: Mapping[Tokens, float]) -> float:
    """The largest error of a value; 0 is expected of other prefixes."""
    return max(abs(value - wanted.get(prefix, 0.0)) for prefix, value in values_of(policy).items())


# ------------------------------------------------------------ steps

Steps = Mapping[Tokens, tuple[int, int]]
"""How often the last token of each text ended a good and a bad step."""


def labelled(steps: Steps) -> Batch:
    """Every label as an episode of its own, on its last token; the tokens before it have no label."""
    episodes = [
        episode(
            turn(text[:1], text[1:], None), parts={"steps": Part(1.0, sign, tokens=(*[0.0] * (len(text) - 2), sign))}
        )
        for text, (good, bad) in steps.items()
        for sign in (*[1.0] * good, *[-1.0] * bad)
    ]
    return batch_of(*episodes, layout="per_turn")


def check_process_reward_model() -> Gap:
    """Process reward model: the scores of steps end at the log-odds of their labels."""
    steps = {(PROMPT, 1): (3, 1), (PROMPT, 1, 2): (1, 4), (PROMPT, 3, 1): (2, 2)}
    policy, batch = valued_table({}), labelled(steps)
    algorithm = ProcessRewardModel.Config(optimizer=SGD(lr=13.0)).build(policy, Sampling(), 4096)
    for _ in range(60):
        algorithm.update(batch)
    return Gap(_farthest(policy, {text: math.log(good / bad) for text, (good, bad) in steps.items()}), FITTED)


def check_process_reward_model_step() -> Gap:
    """Process reward model: a slow reference, one update, read behind each labelled token."""
    score = {(PROMPT, 1): 1.0, (PROMPT, 1, 2): 2.0, (PROMPT, 1, 2, 3): 7.0, (PROMPT, 4): -0.3}
    label = {(PROMPT, 1): 1.0, (PROMPT, 1, 2): -1.0, (PROMPT, 4): 1.0}
    policy = valued_table(score)
    algorithm = ProcessRewardModel.Config(optimizer=SGD(lr=1.0)).build(policy, Sampling(), 4)
    answers = {(1, 2, 3): (1.0, -1.0, 0.0), (4,): (1.0,)}
    episodes = [
        episode(turn((PROMPT,), answer, None), parts={"steps": Part(1.0, 0.0, tokens=marks)}, group=i)
        for i, (answer, marks) in enumerate(answers.items())
    ]
    loss = algorithm.update(batch_of(*episodes, layout="per_turn")).metrics["optimizer/loss"].value
    wanted_loss = sum(math.log1p(math.exp(-sign * score[text])) for text, sign in label.items()) / len(label)
    wanted = score | {
        text: score[text] + sign / (1 + math.exp(sign * score[text])) / len(label) for text, sign in label.items()
    }
    return Gap(max(abs(loss - wanted_loss), _farthest(policy, wanted)), EXACT)
