"""A bug is planted where a row of `strop verify` looks, and the row turns red. Without it the same rows pass."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from strop.verify.checks import Planned, run


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


def peeking(hidden_at_decisions: Any) -> Any:
    """Every position knows all tokens of its row."""

    def changed(backbone: Any, tokens_BT: Any, decision_BT: Any) -> Any:
        mean_B = 1.0 + tokens_BT.float().mean(dim=1)
        return hidden_at_decisions(backbone, tokens_BT, decision_BT) * mean_B[decision_BT.nonzero()[:, :1]]

    return changed


PLANTS = {
    "an action of the environment (I7)": Plant(
        "strop.batch._rows_of", has_bootstrap_action, "invariances.check_rloo_invariances"
    ),
    "an answer that knows the reply (I7)": Plant(
        "strop.policies.transformer.hidden_at_decisions", peeking, "invariances.check_environment_tokens"
    ),
    "a turn that stores its text's ids (I8)": Plant(
        "strop.rollout.Turn",
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
        "strop.rollout.stream", lambda f: lambda *key: np.random.default_rng(), "repeats.check_same_seed"
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


def verdicts(row: str) -> set[str]:
    family, function = row.split(".")
    return {one.verdict for one in run(Planned(family, f"strop.verify.{family}", function, "m", "it"))}


@pytest.mark.parametrize(
    "plant", [*PLANTS.values(), *(pytest.param(plant, marks=pytest.mark.matrix) for plant in LONGER.values())],
    ids=[*PLANTS, *LONGER],
)  # fmt: skip
def test_a_planted_bug_turns_its_row_red(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = plant.make(pkgutil.resolve_name(plant.target))
    monkeypatch.setattr(plant.target, broken)
    assert "FAILED" in verdicts(plant.row)


@pytest.mark.matrix
@pytest.mark.parametrize("row", sorted({plant.row for plant in (PLANTS | LONGER).values()}))
def test_without_it_the_row_passes(row: str) -> None:
    assert verdicts(row) == {"pass"}
