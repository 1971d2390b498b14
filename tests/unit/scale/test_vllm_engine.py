"""`engine=vllm` against a server with vLLM's API: weights go there before each step, and whatever is wrong is named."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

import fleet
import strop
import tiny_hf
from fake_vllm import FRESH, FakeVLLM, answering
from strop.cli.main import main
from strop.endpoint import attempts
from strop.scale import vllm_server
from strop.scale.http_sampler import HttpSampler
from strop.scale.servers import server_of
from strop.scale.vllm_server import PROBES
from strop.types import Completion, End, Stopped, Unanswered

PUBLISHING = [
    "/server_info?config_format=json",
    "/pause?mode=abort",
    "/collective_rpc",
    "/update_weight_version",
    "/resume",
]
START = (
    r"VLLM_SERVER_DEV_MODE=1 vllm serve /\S+/[0-9a-f]{64} --host 127\.0\.0\.1 --port \d+ --dtype "
    r"float32 --skip-tokenizer-init --enable-scale-out --logprobs-mode processed_logprobs and go on with --resume"
)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(attempts, "FIRST_SECONDS", 0.01)


def sampler_of(settings):
    policy, codec = fleet.config().policy.build(seed=0, dtype="float32", device="cpu")
    return HttpSampler(server_of(settings, policy, codec, "float32")), policy, codec


def asked(settings, temperature=1.0, number=3):
    sampler, policy, codec = sampler_of(settings)
    sampler.publish(policy)
    sampling = strop.Sampling(temperature=temperature, max_tokens=2)
    return sampler, sampler.sample(
        [codec.start("red")] * number, sampling, [np.random.default_rng(i) for i in range(number)]
    )


def trained(settings, tmp_path, **fields):
    return strop.train(fleet.config(engine=settings, **fields), tmp_path / "run", progress=False)


def test_a_run_plays_with_the_weights_of_each_step_and_removes_those_before(tmp_path):
    engine = FakeVLLM(fleet.config())
    with answering(engine, tmp_path / "weights") as settings:
        run = trained(settings, tmp_path, steps=3)
    assert engine.asked == PUBLISHING * 3
    assert max(one["policy/sampler_gap_max"] for one in run.metrics()) < 1e-5
    versions = [answer["choices"][0]["weight_versions"][0]["version"] for answer in engine.answers]
    assert [versions.count(one) for one in dict.fromkeys(versions)] == [
        PROBES + 3 * 4
    ] * 3  # eight probes, twelve episodes
    assert [found.name for found in (tmp_path / "weights").iterdir()] == [versions[-1]]


@pytest.mark.slow
def test_an_adapter_is_published_merged(tmp_path):
    model = tiny_hf.make(tmp_path / "tiny", template=False, words=fleet.WORDS)
    plain = strop.policies.Transformer.Config(model=str(model), lora=None)
    with answering(FakeVLLM(fleet.config(policy=plain)), tmp_path / "weights") as settings:
        adapted = replace(plain, lora=strop.policies.LoRA(rank=2))
        run = trained(settings, tmp_path, policy=adapted, steps=3)
    assert max(one["policy/sampler_gap_max"] for one in run.metrics()) < 1e-5


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_the_log_probs_are_those_of_the_distribution_drawn_from(tmp_path, temperature):
    engine = FakeVLLM(fleet.config())
    with answering(engine, tmp_path) as settings:
        _, found = asked(settings, temperature)
    said = [one["choices"][0]["logprobs"]["content"] for one in engine.answers[PROBES:]]
    assert sorted(one.logprobs for one in found) == sorted(tuple(x["logprob"] for x in one) for one in said)


def test_the_likeliest_answer_has_probability_1_whatever_vllm_says_of_it(tmp_path):
    engine = FakeVLLM(fleet.config())
    engine.change = lambda answer, choice: [one.update(logprob=-1.5) for one in choice["logprobs"]["content"]]
    with answering(engine, tmp_path) as settings:
        _, found = asked(settings, temperature=0.0)
    assert {x for one in found for x in one.logprobs} == {0.0}


CHANGES = {
    "an answer of the weights '0000": lambda a, c: c["weight_versions"][0].update(version="0" * 64),
    r"an answer of the weights \['": lambda a, c: c["weight_versions"].append(
        dict(c["weight_versions"][0], version="1")
    ),
    r"an answer of the weights \[\]": lambda a, c: c.update(weight_versions=None),
    "an answer to another prompt": lambda a, c: a.update(prompt_token_ids=[0, 0]),
    "no log-probs of": lambda a, c: c["logprobs"]["content"][0].update(token_id=10**6),
    "a log-prob of nan": lambda a, c: c["logprobs"]["content"][0].update(logprob=float("nan")),
    "where usage counts 9": lambda a, c: a["usage"].update(completion_tokens=9),
    "finish_reason 'abort'": lambda a, c: c.update(finish_reason="abort"),
    "0 answers": lambda a, c: a["choices"].clear(),
}


@pytest.mark.parametrize("why", CHANGES)
def test_an_answer_that_does_not_fit_is_refused(tmp_path, why):
    engine = FakeVLLM(fleet.config())
    engine.change = CHANGES[why]
    with answering(engine, tmp_path) as settings:
        _, (found,) = asked(settings, number=1)
    assert isinstance(found, Unanswered)
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(found.reason)


# ------------------------------------------------------------ a server that was started in another way


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (
            {"logprobs_mode": "raw_logprobs"},
            "its log-probs are raw_logprobs.*--logprobs-mode processed_logprobs is missing",
        ),
        ({"dtype": "torch.bfloat16"}, "computes in bfloat16, and the learner in float32: --dtype float32 is missing"),
    ],
)
def test_a_flag_that_is_missing_is_named_before_weights_are_loaded(tmp_path, model, why):
    engine = FakeVLLM(fleet.config())
    engine.model |= model
    with answering(engine, tmp_path) as settings, pytest.raises(Stopped, match=f"{why}.*{START}"):
        asked(settings)
    assert engine.asked == PUBLISHING[:1]


@pytest.mark.parametrize(
    ("path", "status", "why"),
    [
        ("/server_info", 404, "HTTP 404.*VLLM_SERVER_DEV_MODE=1 is missing in its environment"),
        ("/inference/v1/generate", 403, "HTTP 403.*--enable-scale-out is missing"),
    ],
)
def test_endpoints_that_are_closed_are_named(tmp_path, path, status, why):
    engine = FakeVLLM(fleet.config())
    engine.closed = {path: status}
    with answering(engine, tmp_path) as settings, pytest.raises(Stopped, match=f"{why}.*{START}"):
        asked(settings)


def test_raw_log_probs_that_are_not_admitted_show_in_the_gap(tmp_path):
    """Beside the temperature that was asked for: those of temperature 1."""
    engine = FakeVLLM(fleet.config())

    def raw(answer, choice):
        for one in choice["logprobs"]["content"]:
            one["logprob"] *= 0.5

    engine.change = raw
    with (
        answering(engine, tmp_path / "weights") as settings,
        pytest.raises(Stopped, match="log-probs of the same tokens"),
    ):
        trained(settings, tmp_path, sampling=strop.Sampling(max_tokens=2, temperature=0.5))


# ------------------------------------------------------------ failures


def test_a_load_that_fails_stops_the_run_and_is_tried_once(tmp_path):
    engine = FakeVLLM(fleet.config())
    engine.fails = {"/collective_rpc"}
    why = rf"did not load the weights \(HTTP 500.*vLLM ends where that fails.*{START}"
    with answering(engine, tmp_path / "weights") as settings, pytest.raises(Stopped, match=why):
        trained(settings, tmp_path)
    assert engine.asked == PUBLISHING[:2]


def test_weights_that_are_damaged_or_gone_are_not_named_to_vllm(tmp_path, monkeypatch):
    engine, write = FakeVLLM(fleet.config()), vllm_server.write_folder

    def damaged(folder, write_weights):
        sha256 = write(folder, write_weights)
        file = folder / sha256 / "model.safetensors"
        file.write_bytes(file.read_bytes()[:-1] + b"x")
        return sha256

    def gone(folder, write_weights):
        sha256 = write(folder, write_weights)
        shutil.rmtree(folder / sha256)
        return sha256

    with answering(engine, tmp_path) as settings:
        for bad in (damaged, gone):
            monkeypatch.setattr(vllm_server, "write_folder", bad)
            with pytest.raises(Stopped, match=r"is not told to load weights: .* missing or damaged in "):
                asked(settings)
    assert "/collective_rpc" not in engine.asked
    assert engine.version == FRESH


def test_a_server_that_ends_within_a_step_stops_the_run_which_goes_on_with_another(tmp_path):
    config, engine = fleet.config(steps=2, checkpoint_every=1), FakeVLLM(fleet.config())

    def end_in_the_second_step(answer, choice):
        engine.is_gone = len(engine.answers) == 2 * PROBES + 18

    engine.change = end_in_the_second_step
    with answering(engine, tmp_path / "weights") as settings, pytest.raises(Stopped, match=f"no connection.*{START}"):
        trained(settings, tmp_path, steps=2, checkpoint_every=1)
    with answering(FakeVLLM(config), tmp_path / "weights") as settings:
        whole = fleet.config(steps=2, checkpoint_every=1, engine=settings)
        run = strop.train(whole, tmp_path / "run", resume=True, progress=False)
    assert [one["step"] for one in run.metrics()] == [0, 1]
    assert all(one.end is not End.FAILED for one in run.episodes())


def test_a_server_that_was_started_again_within_a_step_stops_the_run(tmp_path):
    engine = FakeVLLM(fleet.config())

    def start_again(answer, choice):
        if len(engine.answers) == PROBES + 4:
            engine.version = FRESH

    engine.change = start_again
    with answering(engine, tmp_path / "weights") as settings, pytest.raises(Stopped, match="has the weights 'default'"):
        trained(settings, tmp_path)


def test_an_answer_that_fails_once_is_asked_again_and_the_server_stays(tmp_path):
    engine, seen = FakeVLLM(fleet.config()), []

    def first_time(answer, choice):
        if not seen:
            seen.append(answer["usage"].update(completion_tokens=99))

    engine.change = first_time
    with answering(engine, tmp_path) as settings:
        sampler, found = asked(settings)
        sampler.require_server()
    assert len(sampler.failures) == 1
    assert all(isinstance(one, Completion) for one in found)


def test_a_server_that_was_never_started_is_named(tmp_path):
    with answering(FakeVLLM(fleet.config()), tmp_path / "weights") as settings:
        pass
    with pytest.raises(Stopped, match=f"no connection.*{START}"):
        trained(settings, tmp_path)


# ------------------------------------------------------------ settings


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"url": "http://127.0.0.1:8000"}, r"engine\.url='http://127\.0\.0\.1:8000': it ends in /v1"),
        ({"url": "http://192.168.0.2:8000/v1"}, "who can ask it can change its weights.*open a tunnel"),
        ({"at_once": 1025}, r"engine\.at_once=1025: it is 1 to 1024"),
    ],
)
def test_a_field_out_of_range_says_what_is_allowed(fields, why):
    with pytest.raises(ValueError, match=why):
        strop.scale.VLLM(**fields)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"engine": strop.scale.VLLM()}, r"engine\.weights is empty: name a folder that vLLM can read too"),
        ({"sampling": strop.Sampling(choices=["red", "blue"])}, r"sampling\.choices: an engine over HTTP"),
        ({"sampling": strop.Sampling(top_k=3)}, r"sampling\.epsilon=0\.0, sampling\.top_k=3.*has neither"),
        ({"sampling": strop.Sampling(temperature=0.005)}, r"sampling\.temperature=0\.005: vLLM samples at 0\.01"),
    ],
)
def test_what_it_cannot_do_is_refused(changed, why):
    with pytest.raises(ValueError, match=why):
        fleet.config(**{"engine": strop.scale.VLLM(weights="w"), **changed}).resolve()


def test_a_policy_that_vllm_does_not_serve_is_refused():
    config = fleet.config(
        engine=strop.scale.VLLM(weights="w"), policy=strop.policies.Recurrent.Config(words=fleet.WORDS)
    )
    with pytest.raises(ValueError, match="vLLM serves causal language models of Hugging Face, and this policy is none"):
        config.resolve().build()


def test_it_is_set_on_the_command_line(capsys):
    words = "train copy_word --dry-run --json --engine vllm engine.weights=w engine.url=http://127.0.0.1:9/v1"
    assert main(words.split()) == 0
    assert "sampled by vLLM at http://127.0.0.1:9/v1" in json.loads(capsys.readouterr().out)["engine"]
