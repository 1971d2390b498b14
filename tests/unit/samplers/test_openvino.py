"""The OpenVINO sampler draws from the policy's sampling, records its log-probs, and follows what is published."""

from collections import Counter
from dataclasses import dataclass, replace
from math import exp

import pytest
import torch

import strop
from exact.build import transformer
from strop.codec import WordCodec
from strop.functional.distributions import logprobs_of
from strop.policies.transformer import Transformer
from strop.recipes import copy_word
from strop.runs.progress import Progress
from strop.samplers import _llama_graph
from strop.samplers.local import LocalSampler
from strop.samplers.openvino import OpenVINO
from strop.streams import stream
from strop.types import PolicyConfig, Sampling

pytest.importorskip("openvino_genai")

PROMPTS = [(1, 2), (5,), (3, 3, 4, 6, 2)]
SAMPLING = Sampling(max_tokens=6)
EITHER = pytest.mark.parametrize("lora", [False, True], ids=["all weights", "lora"])


def rngs(n: int = 3, seed: int = 0):
    return [stream(seed, "t", i) for i in range(n)]


def policy_of(lora: bool, vocabulary: int = 7) -> Transformer:
    policy = transformer("llama", lora=lora, vocabulary=vocabulary)
    move(policy)
    return policy


def move(policy: Transformer, seed: int = 0) -> None:
    """Learning, in one jump that shows."""
    noise = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(torch.empty_like(parameter).normal_(std=0.2, generator=noise))


@torch.no_grad()
def own_logprobs(policy: Transformer, prompt, tokens, sampling: Sampling) -> list[float]:
    """Each token's log-prob by one plain forward pass over the whole sequence."""
    logits_TV = policy.model(torch.tensor([prompt + tokens])).logits[0, len(prompt) - 1 : -1]
    return [probs_V[token].item() for probs_V, token in zip(logprobs_of(logits_TV, sampling), tokens, strict=True)]


def largest_gap(policy: Transformer, sampling: Sampling, completions, prompts=PROMPTS) -> float:
    pairs = [
        (own, recorded)
        for prompt, one in zip(prompts, completions, strict=True)
        for own, recorded in zip(own_logprobs(policy, prompt, one.tokens, sampling), one.logprobs, strict=True)
    ]
    return max(abs(own - recorded) for own, recorded in pairs)


@EITHER
def test_the_recorded_logprobs_are_those_of_the_distribution_at_every_temperature(lora):
    policy = policy_of(lora)
    sampler = OpenVINO(policy, frozenset())
    for temperature in (1.0, 0.7, 1.3):
        sampling = replace(SAMPLING, temperature=temperature)
        assert largest_gap(policy, sampling, sampler.sample(PROMPTS, sampling, rngs())) < 1e-4


@EITHER
def test_what_is_published_is_what_acts(lora):
    policy = policy_of(lora)
    sampler = OpenVINO(policy, frozenset())
    before = sampler.sample(PROMPTS, SAMPLING, rngs())
    move(policy, seed=1)
    assert largest_gap(policy, SAMPLING, before) > 0.05
    assert sampler.sample(PROMPTS, SAMPLING, rngs()) == before  # nothing was published
    sampler.publish(policy)
    assert largest_gap(policy, SAMPLING, sampler.sample(PROMPTS, SAMPLING, rngs())) < 1e-4


@EITHER
def test_greedy_completions_are_the_policys_own_and_certain(lora):
    policy, greedy = policy_of(lora), replace(SAMPLING, temperature=0.0)
    sampler = OpenVINO(policy, frozenset({3}))
    sampler.sample(PROMPTS, replace(SAMPLING, temperature=0.7), rngs())
    assert sampler.sample(PROMPTS, greedy, rngs()) == LocalSampler(policy, frozenset({3})).sample(
        PROMPTS, greedy, rngs()
    )


def test_tokens_come_as_often_as_the_distribution_says():
    policy, sampling, n = policy_of(False), Sampling(temperature=0.7, max_tokens=1), 4000
    completions = OpenVINO(policy, frozenset()).sample([(1, 2)] * n, sampling, rngs(n))
    drawn = Counter(one.tokens[0] for one in completions)
    with torch.no_grad():
        probs_V = logprobs_of(policy.model(torch.tensor([(1, 2)])).logits[0, -1:], sampling)[0].exp().tolist()
    for token, prob in enumerate(probs_V):
        assert abs(drawn[token] / n - prob) < 4.5 * (prob * (1 - prob) / n) ** 0.5 + 1 / n
    assert all(abs(exp(one.logprobs[0]) - probs_V[one.tokens[0]]) < 1e-5 for one in completions[:50])


def test_rows_differ_and_the_same_streams_give_the_same_rows():
    policy = policy_of(False)
    group = OpenVINO(policy, frozenset()).sample([(1, 2)] * 8, SAMPLING, rngs(8))
    assert len({one.tokens for one in group}) > 4
    assert OpenVINO(policy, frozenset()).sample([(1, 2)] * 8, SAMPLING, rngs(8)) == group
    assert OpenVINO(policy, frozenset()).sample([(1, 2)] * 8, SAMPLING, rngs(8, seed=1)) != group


def test_a_prompt_that_was_read_before_gives_the_same_rows():
    long = tuple(i % 7 for i in range(70))  # more than two blocks of the engine's cache
    prompts = [long, long, (1, 2), long]
    alone, together = (OpenVINO(policy_of(lora=False), frozenset()) for _ in range(2))
    expected = [alone.sample([prompt], SAMPLING, [rng])[0] for prompt, rng in zip(prompts, rngs(4), strict=True)]
    for got, wanted in zip(together.sample(prompts, SAMPLING, rngs(4)), expected, strict=True):
        assert got.tokens == wanted.tokens
        assert got.logprobs == pytest.approx(wanted.logprobs, abs=1e-4)


def test_a_stop_token_ends_a_completion_and_belongs_to_it():
    stop = frozenset({2, 5})
    completions = OpenVINO(policy_of(False), stop).sample([(1, 2)] * 32, SAMPLING, rngs(32))
    assert {one.finish for one in completions} == {"stop", "length"}
    for one in completions:
        assert (one.finish == "stop") == (one.tokens[-1] in stop)
        assert not stop & set(one.tokens[:-1])
        assert len(one.logprobs) == len(one.tokens)
        assert one.finish == "stop" or len(one.tokens) == SAMPLING.max_tokens


def test_grouped_heads_untied_outputs_and_long_rotary_positions():
    from transformers import LlamaConfig, LlamaForCausalLM

    rope = {"rope_type": "linear", "factor": 2.0, "rope_theta": 10000.0}
    shape = {"vocab_size": 40, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "tie_word_embeddings": False}
    torch.manual_seed(0)
    ends = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    model = LlamaForCausalLM(LlamaConfig(**shape, **heads, **ends, rope_parameters=rope, initializer_range=0.3))
    policy, prompts = Transformer(model), [tuple(i % 40 for i in range(700)), (4,)]
    completions = OpenVINO(policy, frozenset()).sample(prompts, SAMPLING, rngs(2))
    assert largest_gap(policy, SAMPLING, completions, prompts) < 1e-3


def test_an_adapter_that_would_be_ignored_is_an_error(monkeypatch):
    class Nameless(_llama_graph._Llama):
        def _linear(self, x, name):
            return self.ops.matmul(x, self._weight(f"{name}.weight"), False, True)

    monkeypatch.setattr(_llama_graph, "_Llama", Nameless)
    policy = transformer("llama", lora=True)  # its B is 0: ignoring it shows nowhere yet
    with pytest.raises(RuntimeError, match="it computes another model"):
        OpenVINO(policy, frozenset()).sample(PROMPTS, SAMPLING, rngs())


def test_the_check_leaves_the_adapter_as_it_was():
    policy = policy_of(True)
    before = [parameter.detach().clone() for parameter in policy.parameters()]
    OpenVINO(policy, frozenset()).sample(PROMPTS, SAMPLING, rngs())
    assert all(torch.equal(a, b) for a, b in zip(before, policy.parameters(), strict=True))


def test_bfloat16_is_refused_where_the_processor_lacks_it():
    import openvino as ov

    if "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has it")
    with pytest.raises(ValueError, match=r"sampler.precision='bfloat16': this processor computes in"):
        OpenVINO(policy_of(False), frozenset(), "bfloat16")


@dataclass(frozen=True, slots=True, kw_only=True)
class TinyLora(PolicyConfig):
    """A policy config whose adapter trains."""

    def build(self, seed, dtype, device="cpu"):
        codec = WordCodec(copy_word.WORDS, has_end=False)
        return transformer("llama", lora=True, vocabulary=codec.size), codec


@pytest.mark.parametrize("policy", [copy_word.recipe().policy, TinyLora()], ids=["all weights", "lora"])
def test_a_run_with_it_learns_and_goes_on_after_a_stop(tmp_path, policy):
    config = replace(
        copy_word.recipe(), policy=policy, sampler=OpenVINO.Config(), steps=2, checkpoint_every=1, prompts_per_step=2
    )
    whole = strop.train(config, tmp_path / "whole", progress=Progress.silent())
    strop.train(replace(config, steps=1), tmp_path / "part", progress=Progress.silent())
    part = strop.train(config, tmp_path / "part", resume=True, progress=Progress.silent())
    told = [row for row in whole.metrics() if "correction/weight" in row]
    assert len(told) == 2
    assert all(row["policy/sampler_gap_mean"] < 1e-5 for row in told)
    assert [e.turns for e in part.episodes()] == [e.turns for e in whole.episodes()]
