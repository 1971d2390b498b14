"""Each algorithm on a fair coin: the loss and the step by hand, and their direction."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from exact.build import batch_of, episode, transformer, turn
from exact.coin import HALF, build, coin, pair
from exact.learners import GRADIENT, as_baseline, every, learner, suited
from strop.algorithms.a2c import A2C
from strop.algorithms.cispo import CISPO
from strop.algorithms.dapo import DAPO
from strop.algorithms.distillation import Distillation
from strop.algorithms.dpo import DPO
from strop.algorithms.dppo import DPPO
from strop.algorithms.dqn import DQN
from strop.algorithms.dr_grpo import DrGRPO
from strop.algorithms.gdpo import GDPO
from strop.algorithms.grpo import GRPO
from strop.algorithms.gspo import GSPO
from strop.algorithms.ilql import ILQL
from strop.algorithms.ipo import IPO
from strop.algorithms.kto import KTO
from strop.algorithms.maxrl import MaxRL
from strop.algorithms.online_dpo import OnlineDPO
from strop.algorithms.orpo import ORPO
from strop.algorithms.path_consistency import PathConsistency
from strop.algorithms.ppo import PPO
from strop.algorithms.process_reward_model import ProcessRewardModel
from strop.algorithms.q_learning import QLearning
from strop.algorithms.reinforce import REINFORCE
from strop.algorithms.reinforce_pp import REINFORCEPlusPlus
from strop.algorithms.rejection_sampling import RejectionSampling
from strop.algorithms.remax import ReMax
from strop.algorithms.reward_model import RewardModel
from strop.algorithms.rloo import RLOO
from strop.algorithms.robust_dpo import RobustDPO
from strop.algorithms.sapo import SAPO
from strop.algorithms.sft import SFT
from strop.algorithms.simpo import SimPO
from strop.algorithms.vtrace import VTrace
from strop.functional.divergences import KL
from strop.learners.actor_critic import Critic
from strop.optimizer import SGD
from strop.policies.table import Table
from strop.types import PolicyConfig, Sampling


class Biased(PolicyConfig):
    """The Config of a teacher that says 0 with probability 4/5."""

    def build(self, seed: int, dtype: str, device: str = "cpu") -> tuple[Table, None]:
        teacher = Table(2, capacity=8)
        with torch.no_grad():
            teacher.weight[:, 0] = math.log(4.0)
        return teacher, None


# grad log pi(0) = (.5, -.5) and grad log pi(1) = (-.5, .5) in each row of a fair coin; the table moves by
# (1/2) sum_i A_i * share_i * grad. Row 0 sees token 0 of the first and 1 of the second, row 1 token 1 of the first.
#   REINFORCE      A = 3, 1, share 1         row 0: (3*.5 - 1*.5)/2 = .5          row 1: -(3*.5)/2 = -.75
#   RLOO           A = 2, -2, share 1        row 0: (2*.5 + 2*.5)/2 = 1           row 1: -.5
#   Dr. GRPO       A = 1, -1, share 1/4      row 0: (.5 + .5)/2/4 = .125          row 1: -.5/2/4 = -.0625
#   GRPO           A = +-a, share 1/2 and 1  row 0: a (.5/2 + .5)/2 = .375 a      row 1: -a*.5/2/2 = -.125 a
#   SFT            1/3 a token               row 0: (.5 - .5)/3 = 0               row 1: -.5/3
#   A2C, V-trace   V = 0: A = 3, 3, 1; 1/3   row 0: (3*.5 - 1*.5)/3 = 1/3         row 1: -3*.5/3 = -.5
#   PPO            V = 0, trace .95: A = 2.85, 3, 1, then whitened; one epoch, 1/3 a token
#   rejection      the first alone, 1/2 a token: row 0: .5/2                      row 1: -.5/2
# "0 1" is chosen, "1" rejected. At the start, where log pi = log ref, d(-log sigmoid)/dh = -1/2: with u = (1, -1) the
# difference of the two scores in row 0 is u and in row 1 -u/2, and each loss multiplies it by minus its slope:
#   DPO, online    beta/2 = 1/2              row 0: .5                            row 1: -.25
#   DPO, smoothed  slope -(1 - e)/2 + e/2 = -1/4 at e = 1/4
#   robust         slope -1/2/(1 - 2 f) = -1 at f = 1/4
#   IPO            slope 2 (0 - 1/2) = -1 at tau = 1
#   SimPO          beta/2 = 1, and the chosen answer's score is a mean of two: row 0: .25 + .5, row 1: -.25
#   ORPO           d log odds / d log p = 1/(1 - p) = 2: slope -1 - 1 to the chosen mean, +1 to the rejected one:
#                  row 0: 2 * .25 + 1 * .5 = 1, row 1: 2 * -.25 = -.5
#   KTO            one prompt, z0 = 0; slope -1/4 to the first (return 3 > 2), 1/4 to the second, over 2 answers:
#                  row 0: (.5 + .5)/8 = .125, row 1: -.5/8
#   distillation   teacher (4/5, 1/5) everywhere: A = ln 1.6 for 0, ln .4 for 1, over 3 tokens
#                  row 0: (.5 ln 1.6 - .5 ln .4)/3 = ln 4/6, row 1: -.5 ln .4/3
#   GSPO, SAPO     as GRPO: at ratio 1 they weigh every token by 1
#   MaxRL          right and wrong: A = 1, -1, share 1: row 0: (.5 + .5)/2 = .5  row 1: -.5/2 = -.25
#   GDPO           GRPO's A = +-a over its std: +-u, u = a/(a + 1e-8)
#   DAPO, CISPO, DPPO  A = +-a, 1/3 a token  row 0: (.5 + .5) a/3 = a/3           row 1: -.5 a/3 = -a/6
#   ReMax          A = 2 of one sequence     row 0: 2*.5 = 1                      row 1: -1; the second is the baseline
#   REINFORCE++    returns to go 3, 3, 1: mean 7/3, std sqrt(8)/3; A = w, w, -2w, 1/3 a token
#                                            row 0: (.5 w + .5 * 2w)/3 = w/2      row 1: -.5 w/3 = -w/6
A = 1 / (math.sqrt(2) + 1e-4)
U = A / (A + 1e-8)
MEAN = (2.85 + 3 + 1) / 3
STD = math.sqrt(((2.85 - MEAN) ** 2 + (3 - MEAN) ** 2 + (1 - MEAN) ** 2) / 3) + 1e-8
W = (2 / 3) / (math.sqrt(8) / 3 + 1e-8)
BY_HAND = [
    (REINFORCE, {"baseline_decay": None}, 0.5, -0.75),
    (RLOO, {}, 1.0, -0.5),
    (DrGRPO, {}, 0.125, -0.0625),
    (GRPO, {}, 0.375 * A, -0.125 * A),
    (SFT, {}, 0.0, -0.5 / 3),
    (A2C, {"entropy": 0.0}, 1 / 3, -0.5),
    (VTrace, {"entropy": 0.0}, 1 / 3, -0.5),
    (PPO, {"epochs": 1, "critic": Critic()}, ((2.85 - MEAN) - (1 - MEAN)) / STD / 6, -(3 - MEAN) / STD / 6),
    (GSPO, {}, 0.375 * A, -0.125 * A),
    (SAPO, {}, 0.375 * A, -0.125 * A),
    (DAPO, {}, A / 3, -A / 6),
    (CISPO, {}, A / 3, -A / 6),
    (DPPO, {}, A / 3, -A / 6),
    (MaxRL, {}, 0.5, -0.25),
    (GDPO, {}, 0.375 * U, -0.125 * U),
    (ReMax, {}, 1.0, -1.0),
    (REINFORCEPlusPlus, {}, W / 2, -W / 6),
    (REINFORCEPlusPlus, {"group_baseline": True}, W / 2, -W / 6),  # one group: its mean leaves with that of the tokens
    (RejectionSampling, {}, 0.25, -0.25),
    (DPO, {"beta": 1.0}, 0.5, -0.25),
    (DPO, {"beta": 1.0, "smoothing": 0.25}, 0.25, -0.125),
    (OnlineDPO, {"beta": 1.0}, 0.5, -0.25),
    (RobustDPO, {"beta": 1.0, "flipped": 0.25}, 1.0, -0.5),
    (IPO, {"tau": 1.0}, 1.0, -0.5),
    (SimPO, {"beta": 2.0, "gamma": 0.0}, 0.75, -0.25),
    (SimPO, {"beta": 5.0, "gamma": 0.0}, 2.5 * 0.75, -2.5 * 0.25),
    (ORPO, {"weight": 1.0}, 1.0, -0.5),
    (KTO, {"beta": 1.0, "threshold": 2.0}, 0.125, -0.0625),
    (Distillation, {"teacher": Biased()}, math.log(4) / 6, -0.5 * math.log(0.4) / 3),
]
READ_VALUES = {RewardModel, ProcessRewardModel}
"""They move values and not logits: their steps by hand stand beside their other tests."""


VALUES_BY_HAND = {DQN, ILQL, PathConsistency}
"""Their losses stand in tests/unit/test_value_losses.py."""


@pytest.mark.parametrize(("kind", "fields", "first", "second"), BY_HAND)
def test_one_step_by_hand(kind: Any, fields: dict[str, Any], first: float, second: float) -> None:
    policy = coin()
    build(kind, policy, **fields).update(suited(kind, pair()))
    assert policy.weight[:2].flatten().tolist() == pytest.approx([first, -first, second, -second], abs=1e-15)


@pytest.mark.parametrize("kind", [A2C, VTrace, PPO])
def test_the_critic_moves_towards_the_returns_by_hand(kind: Any) -> None:
    # V = 0, half squares: each state's V moves by the mean over tokens of R: (3 + 1)/3 in row 0, 3/3 in row 1; for PPO
    # R is A before whitening: 2.85 + 1, 3
    policy, more = coin(), {"epochs": 1} if kind is PPO else {}
    build(kind, policy, critic=Critic(), **more).update(pair())
    first = 2.85 if kind is PPO else 3.0
    assert policy.value[:2].tolist() == pytest.approx([(first + 1) / 3, 1.0])


def test_every_gradient_algorithm_has_a_hand_computed_step() -> None:
    assert {kind for kind, *_ in BY_HAND} | READ_VALUES | VALUES_BY_HAND >= set(GRADIENT)


@pytest.mark.parametrize(("kind", "fields", "loss"), [
    (REINFORCE, {"baseline_decay": None}, -(3 * 2 * HALF + 1 * HALF) / 2),  # -(1/2) sum A log pi
    (RLOO, {}, 0.0),  # -(1/2)(2 - 2): centred advantages at ratio 1
    (DrGRPO, {}, -(1 * 2 - 1 * 1) / 2 / 4),
    (GRPO, {}, 0.0),
    (SFT, {}, -HALF),  # three tokens of probability 1/2
    (A2C, {"entropy": 0.0}, -7 * HALF / 3 + (9 + 9 + 1) / 6),  # the critic's half squares beside it
    (VTrace, {"entropy": 0.3}, -7 * HALF / 3 + (9 + 9 + 1) / 6 + 0.3 * HALF),  # minus entropy ln 2 in every state
    (PPO, {"epochs": 1, "critic": Critic(weight=2.0)}, 2 * (2.85**2 + 9 + 1) / 6),  # whitened: sum A = 0 at ratio 1
    (GSPO, {}, 0.0),
    (SAPO, {}, A * (1 / 1.05 - 1)),  # (1/2) (-(4 / 1) / 2 + (4 / 1.05) / 2) a
    (DAPO, {}, -A / 3),  # -(2 - 1) a / 3
    (CISPO, {}, -A / 3 * HALF),  # the same under log pi
    (DPPO, {}, -A / 3),
    (MaxRL, {}, -(2 - 1) * HALF / 2),  # under log pi
    (GDPO, {}, 0.0),
    (ReMax, {}, -2 * 2 * HALF),
    (REINFORCEPlusPlus, {}, 0.0),
    (RejectionSampling, {}, -HALF),
    (DPO, {}, -HALF),  # -log sigmoid(0)
    (DPO, {"smoothing": 0.25}, -HALF),
    (OnlineDPO, {}, -HALF),
    (RobustDPO, {"flipped": 0.25}, -HALF),  # (3/4 - 1/4) ln 2 / (1 - 1/2)
    (IPO, {"tau": 0.25}, 4.0),  # (0 - 2)^2
    (SimPO, {"gamma": 1.0}, math.log(1 + math.e)),  # -log sigmoid(-1)
    (ORPO, {"weight": 0.5}, -HALF - 0.5 * HALF),
    (KTO, {"threshold": 2.0, "desirable": 3.0}, (3 / 2 + 1 / 2) / 2),
    (Distillation, {"teacher": Biased()}, -HALF * (math.log(1.6) + 2 * math.log(0.4)) / 3),
])  # fmt: skip
def test_loss_value_by_hand(kind: Any, fields: dict[str, Any], loss: float) -> None:
    update = build(kind, coin(), **fields).update(suited(kind, pair()))
    assert update.metrics["optimizer/loss"].value == pytest.approx(loss, abs=1e-15)


@pytest.mark.parametrize("kind", every([kind for kind in GRADIENT if kind.Config.reads == "tasks"]))
def test_a_better_answer_becomes_likelier(kind: Any) -> None:
    policy = coin()
    batch = batch_of(
        episode(turn((9,), (0,), (HALF,)), reward=1.0),
        as_baseline(episode(turn((9,), (1,), (HALF,)), reward=0.0)),
        layout="per_turn",
    )
    learner(kind, policy, kl=KL()).update(batch)
    assert policy.weight[0, 0] > policy.weight[0, 1]


def test_second_epoch_is_clipped_by_hand() -> None:
    # Dr. GRPO on one-token answers paying 1 and 0, L_max 1, lr 4: epoch 1 moves the logits by +-4 * .5 * .5 = +-1, so
    # the ratios are .8808/.5 = 1.76 and .24: both outside 1 +- .2 where the clip closes, and epoch 2 moves nothing.
    policy = coin()
    config = DrGRPO.Config(optimizer=SGD(lr=4.0), kl=KL(), epochs=2, max_tokens=1)
    batch = batch_of(
        episode(turn((9,), (0,), (HALF,)), reward=1.0),
        episode(turn((9,), (1,), (HALF,)), reward=0.0),
        layout="per_turn",
    )
    update = config.build(policy, Sampling(), 4096).update(batch)
    assert policy.weight[0].tolist() == pytest.approx([1.0, -1.0])
    assert update.metrics["policy/clip_active"].value == 0.5  # none of two in epoch 1, two of two in epoch 2


@pytest.mark.parametrize(("dual", "loss"), [(1.5, -0.1 / 4), (None, 0.0)])
def test_dual_clip_holds_a_bad_answer_whose_ratio_grew_by_hand(dual: float | None, loss: float) -> None:
    # V = 0, one token each: 0 pays 2, 2 and 0, 1 pays 0, whitened A = 1, 1, -1, -1. Epoch 1 has grad (1 + 1 - 1 + 1)
    # .5 / 4 = 1/4; with lr 4 ln 2 the logits end at +-ln 2, so 0 has probability .8, ratio 1.6, and 1 has ratio .4.
    # Epoch 2: -1.2 - 1.2 + min(1.6, dual) + .8, where dual 1.5 closes the last token that the clip left open.
    policy = coin()
    config = PPO.Config(optimizer=SGD(lr=4 * math.log(2)), kl=KL(), dual_clip=dual, critic=Critic(weight=0.0), epochs=2)
    paid = ((0, 2.0), (0, 2.0), (0, 0.0), (1, 0.0))
    batch = batch_of(*(episode(turn((9,), (token,), (HALF,)), reward=r) for token, r in paid), layout="per_turn")
    metrics = config.build(policy, Sampling(), 4096).update(batch).metrics
    assert metrics["optimizer/loss"].value == pytest.approx(loss, abs=1e-7)  # 1e-8 stands beside the spread
    assert metrics["policy/clip_active"].total == (4 if dual else 3)
    if dual:
        assert policy.weight[0].tolist() == pytest.approx([math.log(2), -math.log(2)])
    else:
        assert policy.weight[0, 0] < math.log(2) - 0.1


def test_reinforce_baseline_is_a_running_mean_of_past_returns() -> None:
    algorithm = build(REINFORCE, coin(), baseline_decay=0.9)
    algorithm.update(pair())
    assert algorithm.state.value == pytest.approx(0.1 * (3 + 3 + 1) / 3)  # the mean return over the three actions
    first = algorithm.state.value
    update = algorithm.update(pair())
    assert update.per_token["advantage"][0, 1].item() == pytest.approx(3 - first)
    assert update.metrics["policy/baseline"].value == first  # what this update took off, not what it learnt from it


def test_temperature_is_in_the_score() -> None:
    # logits (ln 4, 0) at temperature 2: odds 2, so log pi(0) = ln 2/3; the gradient with respect to the logits halves
    policy = coin()
    with torch.no_grad():
        policy.weight[0, 0] = math.log(4.0)
    config = REINFORCE.Config(optimizer=SGD(lr=1.0), baseline_decay=None)
    algorithm = config.build(policy, Sampling(temperature=2.0), 4096)
    logprob = math.log(2 / 3)
    batch = batch_of(episode(turn((9,), (0,), (logprob,)), reward=1.0), layout="per_turn")
    update = algorithm.update(batch)
    assert update.metrics["policy/sampler_gap_max"].value < 1e-15
    assert update.metrics["policy/entropy"].value == pytest.approx(-(2 / 3) * math.log(2 / 3) - math.log(1 / 3) / 3)
    assert (policy.weight[0].detach() - torch.tensor([math.log(4.0), 0])).tolist() == pytest.approx([1 / 6, -1 / 6])


def test_sampler_gap_sees_a_wrong_logprob() -> None:
    batch = batch_of(episode(turn((9,), (0,), (HALF + 0.25,)), reward=1.0), layout="per_turn")
    update = build(REINFORCE, coin()).update(batch)
    assert update.metrics["policy/sampler_gap_max"].value == pytest.approx(0.25)
    assert update.metrics["policy/sampler_gap_mean"].value == pytest.approx(0.25)
    assert update.metrics["policy/sampler_gap_bias"].value == pytest.approx(-0.25)  # trainer - sampler


def test_q_learning_needs_a_table_in_words() -> None:
    with pytest.raises(ValueError, match="tabular"):
        QLearning.Config().build(transformer("llama"), Sampling(), 64)
