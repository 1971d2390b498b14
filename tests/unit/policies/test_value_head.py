"""Values beside logits, and twins: copies that move on their own."""

import copy

import pytest
import torch

from exact.build import batch_of, episode, gpt2, llama, turn
from strop.optimizer import trail
from strop.policies.adapters import LoRA
from strop.policies.table import Table
from strop.policies.transformer import Transformer
from strop.types import Heads

BATCH = batch_of(episode(turn((1, 2), (3, 4, 5)), group=0), episode(turn((1, 2), (6,)), group=0))
VALUE = frozenset({"value"})


def table() -> Table:
    policy = Table(7, capacity=32, value_head=True)
    with torch.no_grad():
        policy.value.copy_(torch.arange(32.0))
    return policy


def transformer(lora: LoRA | None = None) -> Transformer:
    policy = Transformer.of(llama() if lora else gpt2().double(), lora, 0, "float32", value_head=True)
    with torch.no_grad():
        policy.value_head.weight.normal_(generator=torch.Generator().manual_seed(0))
        policy.value_head.bias.fill_(0.5)
    return policy


def values(policy) -> torch.Tensor:
    return policy.heads(BATCH, lambda heads: {"v": heads.value_N}, VALUE)["v"]


def test_a_table_has_a_value_for_each_prefix():
    policy = table()
    value_BT = values(policy)
    for b, t in BATCH.decision_BT.nonzero().tolist():
        assert value_BT[b, t] == policy.row(tuple(BATCH.tokens_BT[b, :t].tolist()))


def test_a_transformer_reads_the_value_before_the_token():
    policy = transformer()
    value_BT = values(policy)
    for b, t in BATCH.decision_BT.nonzero().tolist():
        prefix = BATCH.tokens_BT[b : b + 1, :t]
        hidden_H = policy.model.base_model(input_ids=prefix).last_hidden_state[0, -1]
        assert value_BT[b, t].item() == pytest.approx(policy.value_head(hidden_H).item(), rel=1e-12)


@pytest.mark.parametrize("model", [gpt2, llama])
def test_values_start_at_zero_and_change_no_logit(model):
    plain, valued = (
        Transformer.of(model(), None, 0, "float32"),
        Transformer.of(model(), None, 0, "float32", value_head=True),
    )
    assert values(valued).abs().max() == 0
    read = [p.heads(BATCH, lambda heads: {"x": heads.logits_NV.logsumexp(-1)})["x"] for p in (plain, valued)]
    assert torch.equal(*read)


def test_the_value_head_trains_and_is_kept():
    for policy in (table(), transformer(), transformer(LoRA(rank=2))):
        values(policy).sum().backward()
        assert all(p.grad is not None for p in policy.parameters()[-1:])
        state = copy.deepcopy(policy.state_dict())
        expected = values(policy)
        with torch.no_grad():
            for parameter in policy.parameters():
                parameter.add_(1.0)
        assert not torch.equal(values(policy), expected)
        policy.load_state_dict(state)
        assert torch.equal(values(policy), expected)


def test_without_a_value_head_the_error_says_what_to_set():
    for policy in (Table(7), Transformer.of(gpt2(), None, 0, "float32")):
        with pytest.raises(ValueError, match=r"set policy\.value_head=true"):
            values(policy)


@pytest.mark.parametrize("make", [table, transformer, lambda: transformer(LoRA(rank=2))])
def test_a_twin_has_its_own_parameters_and_can_follow_as_a_target(make):
    policy = make()
    twin, old = policy.twin(), values(policy).detach()
    assert torch.equal(values(twin), old)
    with torch.no_grad():
        policy.parameters()[-1].add_(1.0)
    new = values(policy).detach()
    assert not torch.equal(new, old)
    assert torch.equal(values(twin), old)
    trail(twin, policy, 0.25)
    assert torch.allclose(values(twin), old + 0.25 * (new - old), atol=1e-6)
    trail(twin, policy)
    assert torch.equal(values(twin), new)


def test_a_twin_shares_what_never_trains():
    policy = transformer(LoRA(rank=2))
    own = {id(p) for p in policy.parameters()}
    twin = dict(policy.twin().model.named_parameters())
    for name, parameter in policy.model.named_parameters():
        assert (twin[name] is parameter) == (id(parameter) not in own)


def test_rows_of_a_tables_twin_are_the_same_contexts_though_the_twin_sees_one_first():
    policy = table()
    twin = policy.twin()
    assert twin.row((9, 9)) == policy.row((9, 9))
    assert twin.row((8,)) == policy.row((8,)) != policy.row((9, 9))


def test_heads_without_values_hold_none():
    seen: list[Heads] = []
    table().heads(BATCH, lambda heads: seen.append(heads) or {})
    assert seen[0].value_N is None
