"""KTO, SFT and process reward models against slow references: two updates on the episodes of `awkward`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from strop.algorithms.kto import KTO
from strop.algorithms.process_reward_model import ProcessRewardModel
from strop.algorithms.sft import SFT
from strop.types import Pick, Tokens
from strop.verify.awkward import Story, stories, written
from strop.verify.checks import Gap
from strop.verify.chunked import REFERENCE, START, Numbers
from strop.verify.preference_updates import log_sigmoid, logprob, one_case
from strop.verify.slow_opinions import token_mean, weights_of
from strop.verify.slowly import OPTIMIZER, Expected, counted, descend, mean, of_actions, prefixes
from strop.verify.value_updates import PLAIN


def slow_kto(some: Sequence[Story], config: KTO.Config) -> Iterator[Expected]:
    """KTO; for z0 each answer follows the prompt of the next group, also in rows that rewrite the history."""
    own = START.copy()
    labelled = [story for story in counted(some) if story.total is not None]
    groups = sorted({story.group for story in some if story.acts})
    opening = {group: next(s.acts[0].prefix for s in some if s.acts and s.group == group) for group in groups}
    while True:
        moved = []
        for story in labelled:
            start = groups.index(story.group)
            ahead = [opening[group] for group in groups[start:] + groups[:start]]
            others = [prompt for prompt in ahead if prompt != ahead[0]]
            moved += [elsewhere(own, story, one) for one in others[:1]]
        base = max(0.0, mean(moved)) if moved else 0.0
        losses, good, bad = list[Tensor](), list[float](), list[float]()
        for story in labelled:
            ratio = logprob(own, story, PLAIN) - logprob(REFERENCE, story, PLAIN).detach()
            is_good = (story.total or 0.0) > config.threshold
            gain = config.beta * (ratio - base) if is_good else config.beta * (base - ratio)
            weight = story.weight * (config.desirable if is_good else config.undesirable)
            losses.append(weight * (1 - 1 / (1 + torch.exp(-gain))))
            (good if is_good else bad).append(ratio.item())
        means = {"preference/desirable_ratio": mean(good), "preference/undesirable_ratio": mean(bad)}
        metrics = means | {"preference/baseline": base}
        yield Expected([own.weight], metrics | descend(torch.stack(losses).mean(), [own.weight]))


def elsewhere(own: Numbers, story: Story, prompt: Tokens) -> float:
    """log pi(y) - log ref(y) of an answer to another prompt."""
    places = [(*prompt, *act.prefix[act.opening :]) for act in story.acts]
    mine, theirs = (of_actions(one.distributions(places, PLAIN), story).log().sum().item() for one in (own, REFERENCE))
    return mine - theirs


def check_kto_updates() -> Iterator[Gap]:
    """KTO: a slow reference, two updates on edge-case episodes."""
    every = written()
    shared = ((7, 4), (11, 4), (12, 1), (13, 1), (12, 12))  # the last group has the prompt of the first
    again = [Pick(replace(every[i].episode, group=group), weight=0.9) for i, group in shared]
    for threshold, chosen, name in (
        (0.4, every, "a few are good"),
        (-0.3, every, "most are good"),
        (0.4, [*again, *every], "groups that share a prompt"),
        (0.4, every[:7], "one prompt"),
    ):
        config = KTO.Config(optimizer=OPTIMIZER, beta=0.5, desirable=1.3, undesirable=0.6, threshold=threshold)
        yield one_case(config, slow_kto(stories(chosen), config), name, chosen=chosen)


def slow_sft(some: Sequence[Story]) -> Iterator[Expected]:
    """SFT: the mean over the acts of all answers."""
    own = START.copy()
    while True:
        loss, missing, entropies = torch.zeros((), dtype=torch.float64), [], []
        for story, share in zip(some, token_mean(some, weights_of(some)), strict=True):
            if story.weight > 0 and story.acts:
                probs_TV = own.distributions(prefixes(story), PLAIN)
                new_T = of_actions(probs_TV, story).log()
                loss = loss - share[0] * new_T.sum()
                missing += (-new_T).tolist()
                entropies += (-(probs_TV * probs_TV.log()).sum(dim=1)).tolist()
        metrics = {"policy/nll": mean(missing), "policy/entropy": mean(entropies)}
        yield Expected([own.weight], metrics | descend(loss, [own.weight]))


def check_sft_updates() -> Gap:
    """SFT: a slow reference, two updates on edge-case episodes."""
    return one_case(SFT.Config(optimizer=OPTIMIZER), slow_sft(stories(written())))


def slow_steps(some: Sequence[Story]) -> Iterator[Expected]:
    """Process reward model: the value behind every act whose reward is not 0."""
    own = START.copy()
    marked = [(s.weight, (*a.prefix, a.token), a.reward) for s in counted(some) for a in s.acts if a.reward != 0.0]
    while True:
        losses, right = [], []
        for weight, place, label in marked:
            value = own.values([place])[0]
            losses.append(-weight * log_sigmoid(value if label > 0 else -value))
            right.append(float((value.item() > 0) == (label > 0)))
        metrics = {"preference/accuracy": mean(right)}
        yield Expected([own.weight, own.value], metrics | descend(torch.stack(losses).mean(), [own.weight, own.value]))


def check_process_reward_model_updates() -> Gap:
    """Process reward model: a slow reference, two updates on edge-case episodes."""
    return one_case(ProcessRewardModel.Config(optimizer=OPTIMIZER), slow_steps(stories(written())), has_values=True)
