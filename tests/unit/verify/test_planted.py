"""A bug is planted where a row of `strop verify` looks, and the row turns red. Without it the same rows pass."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch

from strop.functional.advantages import group_normalised, whitened
from strop.functional.returns import next_value
from strop.verify.checks import Check, measure


@dataclass(frozen=True)
class Plant:
    """`target` is replaced by what `make` makes of it, and `row` (family.function) must fail."""

    target: str
    make: Callable[[Any], Any]
    row: str


def has_bootstrap_action(rows_of: Any) -> Any:
    """The environment's last token counts as an action."""

    def changed(pick: Any, layout: str) -> Any:
        rows = rows_of(pick, layout)
        for row in rows:
            if row.has_bootstrap:
                row.actions.append(len(row.tokens) - 1), row.logprobs.append(-1.0), row.rewards.append(0.0)
        return rows

    return changed


def peeking(hidden_at: Any) -> Any:
    """Every position knows all tokens of its row."""

    def changed(runner: Any, tokens_BT: Any, decision_BT: Any) -> Any:
        mean_B = 1.0 + tokens_BT.float().mean(dim=1)
        return hidden_at(runner, tokens_BT, decision_BT) * mean_B[decision_BT.nonzero()[:, :1]]

    return changed


PLANTS = {
    "an action of the environment (I7)": Plant(
        "strop.batch._rows_of", has_bootstrap_action, "invariances.check_rloo_invariances"
    ),
    "an answer that knows the reply (I7)": Plant(
        "strop.compute.fast_runner.FastRunner.hidden_at", peeking, "invariances.check_environment_tokens"
    ),
    "a turn that stores its text's ids (I8)": Plant(
        "strop.rollout.play.Turn",
        lambda f: lambda p, c, t, *more: f(p, replace(c, tokens=tuple(t.encode()) or c.tokens), t, *more),
        "rollouts.check_ids_of_the_model",
    ),
    "dropout (I9)": Plant(
        "transformers.PreTrainedModel.eval", lambda f: lambda model: model, "invariances.check_dropout"
    ),
    "an invented end (I12)": Plant(
        "strop.samplers.local.Completion",
        lambda f: lambda t, p, finish: f(*(((*t, 256), (*p, -1.0)) if finish == "length" else (t, p)), finish),
        "rollouts.check_cut",
    ),
    "a cut that is not told (I12)": Plant(
        "strop.samplers.local.Completion", lambda f: lambda t, p, finish: f(t, p, "stop"), "rollouts.check_cut"
    ),
    "history encoded again (I15)": Plant(
        "strop.codec.ByteCodec.extend",
        lambda f: lambda codec, p, c, r: p + codec.encode(codec.decode(c)) + codec.encode(r),
        "rollouts.check_ids_of_turns",
    ),
}


def without_epsilon(logprobs_of: Any) -> Any:
    """What is scored leaves the uniform part of the sampler's distribution out."""
    return lambda logits_NV, sampling: logprobs_of(logits_NV, replace(sampling, epsilon=0.0))


def by_row(num_actions_E: Any) -> Any:
    """Each answer is as long as its longest row."""

    def changed(batch: Any) -> Any:
        count_B = batch.action_BT.sum(dim=1)
        return torch.zeros_like(batch.group_E).scatter_reduce(0, batch.episode_B, count_B, "amax")

    return changed


def unclipped(vtrace: Any) -> Any:
    """The advantage looks at V of the next state, and not at what it is to become."""

    def changed(r_BT: Any, v_BT: Any, next_BT: Any, ratio_BT: Any, acts_BT: Any, discount: float, *caps: float) -> Any:
        target_BT, _ = vtrace(r_BT, v_BT, next_BT, ratio_BT, acts_BT, discount, *caps)
        ahead_BT = r_BT + discount * next_value(v_BT, next_BT) - v_BT
        return target_BT, torch.where(acts_BT, ratio_BT.clamp(max=caps[0]) * ahead_BT, 0.0)

    return changed


def by_signal(_: Any) -> Any:
    """Rows of groups without signal never teach, though a KL in the loss pulls at them."""

    def changed(scorer: Any, batch: Any, signal_BT: Any) -> Any:
        teaches_B = signal_BT.abs().sum(dim=1) > 0
        for teaches in (True, False):
            rows = (teaches_B == teaches).nonzero().flatten().tolist()
            yield batch.rows(rows), teaches, rows

    return changed


REWARDS_AND_REGIONS = {
    "MaxRL over the std": Plant(
        "strop.algorithms.maxrl.over_the_mean", lambda _: group_normalised, "maxrl.check_maxrl"
    ),
    "GDPO that adds up first": Plant(
        "strop.algorithms.gdpo.decoupled",
        lambda _: lambda batch: whitened(group_normalised(batch.return_E, batch.group_E), batch.weight_E > 0),
        "gdpo.check_gdpo_updates",
    ),
    "DPPO's region around the learner's own": Plant(
        "strop.algorithms.dppo.dppo_loss",
        lambda f: lambda micro, new, old, *rest, **more: f(replace(micro, logprobs_BT=old), new, old, *rest, **more),
        "gradient_updates.check_dppo_updates",
    ),
    "good answers that drifted dropped too": Plant(
        "strop.functional.corrections.undrifted",
        lambda f: lambda ratio_BT, advantage_BT, *rest: f(ratio_BT, -advantage_BT.abs(), *rest),
        "corrections.check_correction_drop_negative",
    ),
}
AWAY_FROM_THE_FIXED_POINT = {
    "V-trace with its caps swapped": Plant(
        "strop.algorithms.vtrace.vtrace", lambda f: lambda *x: f(*x[:-2], x[-1], x[-2]),
        "critic_updates.check_vtrace_updates",
    ),
    "V-trace's advantage from V of the next state": Plant(
        "strop.algorithms.vtrace.vtrace", unclipped, "critic_updates.check_vtrace_updates"
    ),
    "a row's length in GSPO": Plant(
        "strop.functional.ratios.num_actions_E", by_row, "gradient_updates.check_gspo_updates"
    ),
    "epsilon that is not scored": Plant(
        "strop.learners.logprobs.logprobs_of", without_epsilon, "gradient_updates.check_rloo_updates"
    ),
    "no KL for groups without signal": Plant(
        "strop.learners.policy_gradient.PolicyGradient._by_signal", by_signal, "gradient_updates.check_grpo_updates"
    ),
    "Unscored as 0 in held-out means": Plant(
        "strop.evaluate._mean",
        lambda f: lambda values: f([0.0 if x != x else x for x in values]),
        "judging.check_held_out",
    ),
    "a greedy answer that explores": Plant(
        "strop.rollout.engine.replace",
        lambda f: lambda one, **given: f(one, **({"temperature": 0.0} if "epsilon" in given else given)),
        "baselines.check_remax_plays_greedily",
    ),
    "a convolution that looks ahead": Plant(
        "strop.policies.convolutional._Layer.after_zeros",
        lambda f: lambda layer, inputs_BTH: f(layer, inputs_BTH).roll(-1, dims=1),
        "language_models.check_causality",
    ),
    "a state that does not move with its row": Plant(
        "strop.policies.recurrent.Recurrent.keep",
        lambda f: lambda trunk, state, rows: f(trunk, state, sorted(rows)),
        "language_models.check_step_by_step",
    ),
    "padding that is read": Plant(
        "strop.policies.recurrent.pack_padded_sequence",
        lambda f: lambda rows, lengths, **given: f(rows, torch.full_like(lengths, rows.shape[1]), **given),
        "language_models.check_unequal_lengths",
    ),
    "long vectors at the start": Plant(
        "strop.policies._language.FIRST_LENGTH", lambda f: 5 * f, "language_models.check_first_loss"
    ),
    "an expectile in float32": Plant(
        "strop.algorithms.ilql.expectile",
        lambda f: lambda error, level: torch.where(error < 0, 1.0 - level, level) * error.square(),
        "value_updates.check_ilql_updates",
    ),
}  # fmt: skip
LONGER = {
    "no bootstrapping": Plant(
        "strop.algorithms.a2c.td_errors", lambda f: lambda r, v, n, a, d: f(r, v, n, a, 0.0), "probes.check_a2c_probes"
    ),
    "no discount": Plant(
        "strop.algorithms.ppo.td_errors", lambda f: lambda r, v, n, a, d: f(r, v, n, a, 1.0), "probes.check_ppo_probes"
    ),
    "a flipped sign": Plant(
        "strop.algorithms.vtrace.policy_gradient",
        lambda f: lambda b, new, old, advantage, w: f(b, new, old, -advantage, w),
        "probes.check_vtrace_probes",
    ),
    "dice of the clock (I11)": Plant(
        "strop.rollout.play.stream", lambda f: lambda *key: np.random.default_rng(), "repeats.check_same_seed"
    ),
    "global dice that are not restored (I11)": Plant(
        "strop.runs.randomness.restore", lambda f: lambda state: None, "repeats.check_resume"
    ),
    "moments that are not restored (I11)": Plant(
        "strop.optimizer.Optimizer.load_state_dict", lambda f: lambda optimizer, state: None, "repeats.check_resume"
    ),
    "a memory that is not restored (I11)": Plant(
        "strop.memory.Prioritised.load_state_dict", lambda f: lambda memory, state, found: None, "repeats.check_resume"
    ),
}


def verdicts(row: str) -> Iterator[str]:
    family, function = row.split(".")
    return (one.verdict for one in measure(Check(family, f"strop.verify.{family}", function, "m", "it")))


QUICK = PLANTS | REWARDS_AND_REGIONS | AWAY_FROM_THE_FIXED_POINT


@pytest.mark.parametrize(
    "plant", [*QUICK.values(), *(pytest.param(plant, marks=pytest.mark.matrix) for plant in LONGER.values())],
    ids=[*QUICK, *LONGER],
)  # fmt: skip
def test_a_planted_bug_turns_its_row_red(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = plant.make(pkgutil.resolve_name(plant.target))
    monkeypatch.setattr(plant.target, broken)
    assert "FAILED" in verdicts(plant.row)


@pytest.mark.matrix
@pytest.mark.parametrize("row", sorted({plant.row for plant in (QUICK | LONGER).values()}))
def test_without_it_the_row_passes(row: str) -> None:
    assert set(verdicts(row)) == {"pass"}
