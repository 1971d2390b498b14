"""Actor-critics against exact expectations: every sequence of a tree, weighted by its probability.

All sequences have the same length H, so a mean over tokens is a mean over sequences divided by H.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from strop.algorithms.a2c import A2C
from strop.algorithms.ppo import PPO
from strop.algorithms.vtrace import VTrace
from strop.functional.corrections import Correction
from strop.functional.divergences import KL
from strop.functional.values import gae, n_step_advantage, td_errors
from strop.learners.actor_critic import ActorCritic, Critic
from strop.optimizer import SGD, AdamW
from strop.policies.table import Table
from strop.types import Pick, Sampling, Tokens
from strop.verify.checks import Gap
from strop.verify.episodes import batch_of, episode, turn
from strop.verify.learning import WANTED, WORDS, chance_of, trained
from strop.verify.tree import PROMPT, Distributions, Tree, ascent, built_at, flat, relative

VOCABULARY, HORIZON, EXACT = 3, 3, 1e-10
SILENT = Critic(weight=0.0)


def valued_tree(seed: int = 0) -> Tree:
    """All sequences of three tokens over a table with values, its logits random and its values 0."""
    policy = Table(VOCABULARY, capacity=16, value_head=True)
    tree = Tree(policy, HORIZON, end=None)
    for state in tree.states:
        policy.row(PROMPT + state)
    with torch.no_grad():
        policy.weight.copy_(torch.randn(policy.weight.shape, generator=torch.Generator().manual_seed(seed)).double())
    return tree


def random_rewards(tree: Tree) -> list[float]:
    """A normal random reward for every sequence."""
    generator = torch.Generator().manual_seed(7)
    rewards: list[float] = torch.randn(len(tree.sequences), generator=generator, dtype=torch.float64).tolist()
    return rewards


def exact_values(tree: Tree, rewards: Sequence[float]) -> dict[Tokens, float]:
    """V of every state, and the reward of every whole sequence, by backward induction."""
    distributions, value = tree.distributions(), dict(zip(tree.sequences, rewards, strict=True))
    for state in reversed(tree.states):  # a state's children come after it
        value[state] = sum(distributions[state][a].exp().item() * value[(*state, a)] for a in range(VOCABULARY))
    return value


def set_values(tree: Tree, value: Mapping[Tokens, float]) -> None:
    """Write V into the table."""
    with torch.no_grad():
        for state in tree.states:
            tree.policy.value[tree.policy.row(PROMPT + state)] = value[state]


def expected_step(
    tree: Tree, algorithm: Any, rewards: Sequence[float], distributions: Distributions | None = None
) -> Tensor:
    """The exact expectation of one update over sequences drawn from `distributions` (default: the policy's own)."""
    distributions = tree.distributions() if distributions is None else distributions
    probs = tree.probabilities(distributions).tolist()
    total = torch.zeros(sum(p.numel() for p in tree.policy.parameters()), dtype=torch.float64)
    for probability, one in zip(probs, tree.episodes(rewards, distributions=distributions), strict=True):
        total += probability * ascent(tree, algorithm, [Pick(one)])
    return total


def of_logits(tree: Tree, step: Tensor) -> Tensor:
    """The part of a step that moves the logits."""
    return step[: tree.policy.weight.numel()]


def a2c(tree: Tree, **fields: Any) -> ActorCritic:
    """A2C under plain SGD at rate 1, without entropy bonus, and without value loss unless given."""
    given: dict[str, Any] = {"optimizer": SGD(lr=1.0), "entropy": 0.0, "critic": SILENT} | fields
    config = A2C.Config(**given)
    return config.build(tree.policy, Sampling(), 4096)


def vtrace(tree: Tree, **fields: Any) -> ActorCritic:
    """V-trace under plain SGD at rate 1, without entropy bonus, and without value loss unless given."""
    given: dict[str, Any] = {"optimizer": SGD(lr=1.0), "entropy": 0.0, "critic": SILENT} | fields
    config = VTrace.Config(**given)
    return config.build(tree.policy, Sampling(), 4096)


def check_a2c() -> Iterator[Gap]:
    """A2C: grad J, from full returns with any critic, or from n steps with the exact critic."""
    tree = valued_tree()
    rewards = random_rewards(tree)
    exact = exact_values(tree, rewards)
    wrong = {state: 3.0 - len(state) for state in tree.states}
    true = of_logits(tree, tree.true_gradient(rewards))
    for name, value, n_step in (("any critic", wrong, None), ("1 step", exact, 1), ("2 steps", exact, 2)):
        set_values(tree, value)
        got = of_logits(tree, expected_step(tree, a2c(tree, n_step=n_step), rewards))
        yield Gap(relative(got * HORIZON, true), EXACT, name)


def check_a2c_entropy() -> Gap:
    """A2C: its entropy bonus is the gradient of the entropy of the states it visits."""
    tree, weight = valued_tree(), 0.7
    got = of_logits(tree, expected_step(tree, a2c(tree, entropy=weight), [0.0] * len(tree.sequences)))
    distributions = tree.distributions()
    visits = {state: chance.detach() for state, chance in tree.visits(distributions).items()}
    entropy = torch.stack([-visits[s] * (distributions[s].exp() * distributions[s]).sum() for s in tree.states]).sum()
    return Gap(relative(got * HORIZON, weight * of_logits(tree, tree.gradient(entropy))), EXACT)


def check_a2c_kl() -> Gap:
    """A2C: with KL in the reward, the gradient of J - weight KL(pi || start) over whole sequences."""
    tree, start, weight = valued_tree(), valued_tree(3), 0.3
    rewards = random_rewards(tree)
    algorithm = built_at(tree, flat(start.policy.parameters()), lambda: a2c(tree, n_step=None, kl=KL(weight=weight)))
    own, other = tree.logprobs(tree.distributions()), start.logprobs(start.distributions())
    paid = [r - weight * (p - q).sum().item() for r, p, q in zip(rewards, own, other, strict=True)]
    got = of_logits(tree, expected_step(tree, algorithm, rewards))
    return Gap(relative(got * HORIZON, of_logits(tree, tree.true_gradient(paid))), EXACT)


def check_a2c_of_another_sampler() -> Iterator[Gap]:
    """A2C: where another policy samples, grad J of the learner; per-token weights leave an exact critic unchanged."""
    tree, other = valued_tree(0), valued_tree(1)
    rewards = random_rewards(tree)
    exact = exact_values(tree, rewards)
    acted = {state: distribution.detach() for state, distribution in other.distributions().items()}
    set_values(tree, {state: 3.0 - len(state) for state in tree.states})
    whole = a2c(tree, n_step=None, correction=Correction(level="sequence", cap=math.inf))
    got = of_logits(tree, expected_step(tree, whole, rewards, acted)) * HORIZON
    yield Gap(relative(got, of_logits(tree, tree.true_gradient(rewards))), EXACT, "any critic, sequence weights")
    set_values(tree, exact)
    step = expected_step(
        tree, a2c(tree, n_step=1, critic=Critic(), correction=Correction(cap=math.inf)), rewards, acted
    )
    yield Gap(float(step[tree.policy.weight.numel() :].norm()), EXACT, "the exact critic, token weights")


def check_critics_fixed_point() -> Iterator[Gap]:
    """A2C: no critic gradient at the exact values."""
    tree = valued_tree()
    rewards = random_rewards(tree)
    set_values(tree, exact_values(tree, rewards))
    for n_step in (1, 2, None):
        step = expected_step(tree, a2c(tree, critic=Critic(), n_step=n_step), rewards)
        yield Gap(float(step[tree.policy.weight.numel() :].norm()), EXACT, f"n_step {n_step}".replace("None", "none"))


def check_vtrace_fixed_point() -> Gap:
    """V-trace: no critic gradient at the exact values."""
    tree = valued_tree()
    rewards = random_rewards(tree)
    set_values(tree, exact_values(tree, rewards))
    step = expected_step(tree, vtrace(tree, critic=Critic()), rewards)
    return Gap(float(step[tree.policy.weight.numel() :].norm()), EXACT)


def check_vtrace_of_other_data() -> Gap:
    """V-trace: without caps, sum of grad pi(a|s) Q(s, a) over the states that another policy visits."""
    tree, other = valued_tree(0), valued_tree(1)
    rewards = random_rewards(tree)
    value = exact_values(tree, rewards)
    set_values(tree, value)
    acted = {state: distribution.detach() for state, distribution in other.distributions().items()}
    got = of_logits(tree, expected_step(tree, vtrace(tree, ratio_cap=math.inf, trace_cap=math.inf), rewards, acted))
    distributions, visits = tree.distributions(), tree.visits(acted)
    gain = [visits[s] * distributions[s][a].exp() * value[(*s, a)] for s in tree.states for a in range(VOCABULARY)]
    return Gap(relative(got * HORIZON, of_logits(tree, tree.gradient(torch.stack(gain).sum()))), EXACT)


def check_ppo_first_epoch() -> Gap:
    """PPO: grad J of whitened advantages in its first epoch, by autograd on plain log-probs."""
    tree = valued_tree()
    rewards = random_rewards(tree)
    config = PPO.Config(optimizer=SGD(lr=1.0), kl=KL(), critic=SILENT, epochs=1, trace=1.0)
    algorithm = config.build(tree.policy, Sampling(), 4096)
    got = ascent(tree, algorithm, [Pick(one) for one in tree.episodes(rewards)])
    mean = math.fsum(rewards) / len(rewards)  # every token of a sequence has its reward, since V is 0
    spread = math.sqrt(math.fsum((r - mean) ** 2 for r in rewards) / len(rewards))
    logprobs = [one.sum() for one in tree.logprobs(tree.distributions())]
    total = torch.stack([(r - mean) / spread * logprob for r, logprob in zip(rewards, logprobs, strict=True)]).sum()
    wanted = of_logits(tree, tree.gradient(total)) / (len(rewards) * HORIZON)
    return Gap(relative(of_logits(tree, got), wanted), 1e-7)  # whitening adds 1e-8 to the std


def check_ppo_of_another_sampler() -> Gap:
    """PPO: where another policy samples, the same steps as on answers weighted by their ratio."""
    tree, other = valued_tree(0), valued_tree(1)
    acted = {state: distribution.detach() for state, distribution in other.distributions().items()}
    rewards, probs = random_rewards(tree), tree.probabilities(tree.distributions())
    ratios = (probs / tree.probabilities(acted)).tolist()
    drawn, own = (
        tree.episodes(rewards, distributions=distributions) for distributions in (acted, tree.distributions())
    )
    weighted = [Pick(one, weight=ratio) for one, ratio in zip(own, ratios, strict=True)]
    corrected = _ppo(tree, correction=Correction(level="sequence", cap=math.inf))
    return Gap(
        relative(ascent(tree, corrected, [Pick(one) for one in drawn]), ascent(tree, _ppo(tree), weighted)), EXACT
    )


def _ppo(tree: Tree, **fields: Any) -> ActorCritic:
    config = PPO.Config(optimizer=SGD(lr=1.0), kl=KL(), critic=Critic(), epochs=3, minibatches=2, **fields)
    return config.build(tree.policy, Sampling(), 4096)


def check_gae() -> Iterator[Gap]:
    """PPO: GAE is the mixture of all n-step advantages, across environment tokens, terminations and truncations."""
    batch = batch_of(
        episode(turn((1,), (2, 3, 4)), turn((1, 2, 3, 4, 9, 9), (2, 5)), reward=1.5),
        episode(turn((1,), (4, 4)), turn((2, 6), (5, 0)), reward=3.0),
    )
    noise_BT = torch.randn(batch.tokens_BT.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    value_BT = torch.where(batch.decision_BT, noise_BT, 0.0)
    delta_BT = td_errors(batch.rewards_BT, value_BT, batch.next_BT, batch.action_BT, 0.9)
    longest = 6
    for trace in (0.5, 0.97):
        mixture_BT = sum(
            (1 - trace) * trace ** (n - 1) * n_step_advantage(delta_BT, batch.next_BT, 0.9, n)
            for n in range(1, longest)
        ) + trace ** (longest - 1) * n_step_advantage(delta_BT, batch.next_BT, 0.9, longest)
        gap_BT = gae(delta_BT, batch.next_BT, 0.9, trace) - mixture_BT
        yield Gap(float(gap_BT.abs().max()), 1e-12, f"trace {trace:g}")


def _learned(config: Any, seed: int) -> Gap:
    policy, codec = Table.Config(words=WORDS, has_end=True, value_head=True).build(seed)
    trained(config, policy, codec, 35, seed, Sampling(max_tokens=3), group=16)
    return Gap(1.0 - min(chance_of(policy, codec, prompt, answer) for prompt, answer in WANTED.items()), 0.1)


def learn_a2c(seed: int) -> Gap:
    """A2C: both right answers, each with its end token, with probability 1."""
    return _learned(A2C.Config(optimizer=AdamW(lr=0.2)), seed)


def learn_ppo(seed: int) -> Gap:
    """PPO: both right answers, each with its end token, with probability 1."""
    return _learned(PPO.Config(optimizer=AdamW(lr=0.2), kl=KL()), seed)


def learn_vtrace(seed: int) -> Gap:
    """V-trace: both right answers, each with its end token, with probability 1."""
    return _learned(VTrace.Config(optimizer=AdamW(lr=0.2)), seed)
