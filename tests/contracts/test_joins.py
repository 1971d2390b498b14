"""Rows of every policy that join others go on as each would alone, within what `strop verify` allows a batch.

Logits of rows that joined at different lengths, after joins of joins and after rows that left or branched, are held
against those of `heads`, which reads whole rows and knows neither states nor joins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from exact.build import language_model, policy_over
from language_models import ALL, logits_of, policy_of
from strop.policies.adapters import LoRA
from strop.policies.mlp import MLP
from strop.policies.scratch import Scratch
from strop.policies.steered import Steered
from strop.types import Tokens
from strop.verify.language_models import NEAR

PROMPTS: list[list[Tokens]] = [[(1, 2, 3), (4,)], [(0, 3, 2, 2, 1), (2, 4)], [(3,)], [(1, 2, 3)]]
"""What comes in together; the last begins as a row does that is there already."""
WINDOWS = {"sliding_window": 4, "layer_types": ["sliding_attention", "full_attention"]}


def steered(kind: str) -> Steered:
    base = policy_of(kind, seed=1)
    return Steered(base.reference(), policy_of(kind), strength=0.7)


LORA = LoRA(rank=2, alpha=4)
MAKE: dict[str, Any] = {
    **{name: lambda name=name: policy_of(name) for name in ALL},
    **{f"steered {kind}": lambda kind=kind: steered(kind) for kind in ("table", "llama", "t5", "lstm")},
    "lora": lambda: policy_over(language_model("llama"), LORA),
    "adapter off": lambda: policy_over(language_model("llama"), LORA).reference(),
    "plain llama": lambda: policy_over(language_model("llama"), None, is_plain=True),
    "plain lora off": lambda: policy_over(language_model("llama"), LORA, is_plain=True).reference(),
    "windows": lambda: policy_over(language_model("gemma3_text", **WINDOWS), None),
}


class Rows:
    """Rows that are decoded: the texts of each, and the logits that it `read` after its prompt and every token."""

    def __init__(self, policy: Any) -> None:
        self.policy, self.dice = policy, torch.Generator().manual_seed(0)
        self.texts: list[tuple[Tokens, Tokens]] = []
        self.read: list[list[Tensor]] = []
        self.left: list[tuple[tuple[Tokens, Tokens], list[Tensor]]] = []
        self.state: Any = None

    def come(self, *batches: Sequence[Tokens]) -> None:
        """Batches that were read one by one, joined at once."""
        states = [] if self.state is None else [self.state]
        for prompts in batches:
            logits_BV, state = self.policy.prefill(prompts)
            states.append(state)
            self.texts += [(prompt, ()) for prompt in prompts]
            self.read += [[logits_V] for logits_V in logits_BV]
        self.state = self.policy.join(states)

    def go_on(self, tokens: int) -> None:
        for _ in range(tokens):
            tokens_B = torch.randint(5, (len(self.texts),), generator=self.dice)
            self.texts = [(p, (*written, int(one))) for (p, written), one in zip(self.texts, tokens_B, strict=True)]
            logits_BV, self.state = self.policy.decode(self.state, tokens_B)
            self.read = [[*before, logits_V] for before, logits_V in zip(self.read, logits_BV, strict=True)]

    def keep(self, rows: list[int]) -> None:
        self.left += [(self.texts[row], self.read[row]) for row in range(len(self.texts)) if row not in rows]
        self.state = self.policy.keep(self.state, rows)
        self.texts, self.read = [self.texts[row] for row in rows], [self.read[row] for row in rows]

    @property
    def all(self) -> list[tuple[tuple[Tokens, Tokens], list[Tensor]]]:
        """Those that left, and those that are there."""
        return [*self.left, *zip(self.texts, self.read, strict=True)]


def at_different_lengths(rows: Rows) -> None:
    for prompts in PROMPTS:
        rows.come(prompts)
        rows.go_on(2)


def after_rows_left_branched_or_changed_places(rows: Rows) -> None:
    rows.come(PROMPTS[0])
    rows.go_on(3)
    rows.keep([1, 0, 0])
    rows.come(PROMPTS[1])
    rows.keep([0, 3, 4, 4, 2])  # rows that have not written yet
    rows.come(PROMPTS[2])
    rows.go_on(1)
    rows.keep([5, 3, 1])  # those that came first have left
    rows.go_on(2)
    rows.come(PROMPTS[3])
    rows.go_on(2)
    rows.keep([3])
    rows.come(PROMPTS[0])
    rows.go_on(1)


def several_at_once(rows: Rows) -> None:
    rows.come(*PROMPTS[:3])
    rows.go_on(2)
    rows.come(*PROMPTS[2:])
    rows.go_on(1)


HISTORIES = [at_different_lengths, after_rows_left_branched_or_changed_places, several_at_once]


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize("name", MAKE)
def test_a_row_that_joins_others_goes_on_as_it_would_alone(name: str, history: Callable[[Rows], None]) -> None:
    policy, rehearsal = MAKE[name](), Rows(policy_of("table"))
    history(rehearsal)  # the dice are the same whatever is read, so a small table tells what is written
    texts = [(*prompt, *written, 0) for (prompt, written), _ in rehearsal.all]  # `heads` reads what is before a token
    wanted = logits_of(policy, texts, [len(prompt) for (prompt, _), _ in rehearsal.all])
    rows = Rows(policy)  # a table has its rows now
    history(rows)
    assert [text for text, _ in rows.all] == [text for text, _ in rehearsal.all]
    assert len(rows.all) >= 5
    for (_, read), wanted_TV in zip(rows.all, wanted, strict=True):
        assert (torch.stack(read) - wanted_TV).abs().max() < NEAR


def test_what_has_no_state_has_none_after_a_join() -> None:
    bert = Scratch(words=("a", "b"), shape="bert", width=8, num_heads=2, actions=("yes", "no")).build(0, "float32")[0]
    for policy in (MLP(2, 1), bert):
        states = [policy.prefill([(3,)])[1], policy.prefill([(4,)])[1]]
        assert policy.join(states) is None
