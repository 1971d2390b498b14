"""A real vLLM server on the CPU: make test-vllm. It fails, and does not skip, where there is none to start."""

import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import torch
import vllm_run

import strop
from strop.functional.distributions import probs_of
from strop.runs.directory import RunDirectory
from strop.scale.http_sampler import HttpSampler
from strop.scale.servers import server_of
from strop.scale.vllm_flags import FLAGS

pytestmark = pytest.mark.vllm
START_SECONDS, RUN_SECONDS = 900.0, 900.0
CPU = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
}


def policy_and_codec():
    return vllm_run.POLICY.build(seed=0, dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder that vLLM starts from: the policy's model, with weights of another seed."""
    policy, _ = vllm_run.POLICY.build(seed=99, dtype="float32", device="cpu")
    folder = tmp_path_factory.mktemp("model")
    policy.write_weights(folder)
    return folder


def command():
    named = os.environ.get("STROP_TEST_VLLM")
    assert named, "STROP_TEST_VLLM names no vllm command: run make test-vllm"
    return named


@contextmanager
def serving(model):
    """vLLM in a process group of its own: its url, and its first process."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    flags = f"--host 127.0.0.1 --port {port} --dtype float32 {FLAGS} --enforce-eager"
    log = model / "vllm.log"
    with log.open("w") as told:
        process = subprocess.Popen(
            [command(), "serve", str(model), *flags.split()],
            env={**os.environ, **CPU, "VLLM_SERVER_DEV_MODE": "1"},
            stdout=told,
            stderr=told,
            start_new_session=True,
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/health", process, log)
        yield f"http://127.0.0.1:{port}/v1", process
    finally:
        end(process)


def wait_for(url, process, log):
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"vLLM ended: {log.read_text()[-2000:]}"
        try:
            with urllib.request.urlopen(url, timeout=5.0):
                return
        except OSError:
            time.sleep(1.0)
    raise AssertionError(f"vLLM did not answer at {url} within {START_SECONDS:g} seconds: {log.read_text()[-2000:]}")


def end(process):
    """The group of vLLM's processes, by SIGKILL."""
    with suppress(ProcessLookupError):  # it has ended
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=60.0)


def by_hand(policy, prompt, tokens, temperature):
    """The log-probs of these tokens, one full forward pass each."""
    found = []
    with torch.inference_mode():
        for i, token in enumerate(tokens):
            logits_BV, _ = policy.prefill([(*prompt, *tokens[:i])])
            found.append(math.log(probs_of(logits_BV, strop.Sampling(temperature=temperature))[0, token].item()))
    return found


def moved(policy):
    """The policy, with weights that are far from those that it had."""
    other, _ = vllm_run.POLICY.build(seed=7, dtype="float32", device="cpu")
    policy.load_state_dict(other.state_dict())


def test_log_probs_are_the_learners_whatever_the_temperature_and_the_weights(model, tmp_path):
    """The longest prompt fills a block of what vLLM remembers of prompts: after new weights it must be forgotten."""
    policy, codec = policy_and_codec()
    prompts = [tuple(np.arange(200) % len(vllm_run.fleet.WORDS)), (1, 2), (3,)]
    with serving(model) as (url, _):
        settings = strop.scale.VLLM(url=url, weights=str(tmp_path))
        sampler = HttpSampler(server_of(settings, policy, codec, "float32"))
        for change in (lambda policy: None, moved):
            change(policy)
            sampler.publish(policy)
            for temperature in (1.0, 0.7):
                sampling = strop.Sampling(temperature=temperature, max_tokens=8)
                found = sampler.sample([tuple(map(int, one)) for one in prompts], sampling, dice(len(prompts)))
                for prompt, one in zip(prompts, found, strict=True):
                    assert one.logprobs == pytest.approx(by_hand(policy, prompt, one.tokens, temperature), abs=1e-4)


@pytest.fixture
def folders():
    """Where temporary files go. Ray's sockets are among them, and their paths may not be long."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_a_replica_has_a_server_of_its_own_is_replaced_with_it_and_leaves_nothing(folders, tmp_path):
    """The server is killed in the middle; at the end neither processes nor folders of servers are left."""
    learner = started(tmp_path, command(), TMPDIR=str(folders), **CPU)
    wait_until(lambda: (tmp_path / "run" / "checkpoints" / "000002").exists(), learner)
    os.kill(next(pid for pid in servers_in(folders) if is_vllm(pid)), signal.SIGKILL)
    _, told = learner.communicate(timeout=START_SECONDS + RUN_SECONDS)
    assert learner.returncode == 0, told
    run = strop.Run(RunDirectory.open(tmp_path / "run"))
    assert sum(one["engine/lost"] for one in run.metrics()) == 1
    assert max(one["policy/sampler_gap_max"] for one in run.metrics()) < 1e-4
    assert strop.types.End.FAILED not in {episode.end for episode in run.episodes()}
    assert mean_reward(run.metrics()[-3:]) > mean_reward(run.metrics()[:3])
    deadline = time.monotonic() + 60.0
    while servers_in(folders) or list(folders.glob("strop-vllm-*")):
        assert time.monotonic() < deadline, (servers_in(folders), list(folders.iterdir()))
        time.sleep(0.2)


def is_vllm(pid):
    """Whether it is the process that the command has become, and none of those that it has started."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1:3] == [command().encode(), b"serve"]


def servers_in(folders):
    """The processes of servers with a folder in there, which is in the environment of all of them."""
    found, named = [], f"TMPDIR={folders}/strop-vllm-".encode()
    for file in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # it has ended
            found += [int(file.parent.name)] * (named in file.read_bytes())
    return found


def dice(number):
    return [np.random.default_rng(i) for i in range(number)]


def started(home, server, **environment):
    script = str(Path(vllm_run.__file__))
    env = {**os.environ, **environment}
    return subprocess.Popen([sys.executable, script, str(home), server], stderr=subprocess.PIPE, text=True, env=env)


def test_a_run_learns_and_goes_on_behind_a_server_that_was_killed(model, tmp_path):
    with serving(model) as (url, process):
        learner = started(tmp_path, url)
        wait_until(lambda: (tmp_path / "run" / "checkpoints" / "000002").exists(), learner)
        end(process)
        _, told = learner.communicate(timeout=RUN_SECONDS)
    assert learner.returncode != 0
    assert "VLLM_SERVER_DEV_MODE=1 vllm serve " in told
    with serving(model) as (url, _):
        again = started(tmp_path, url)
        _, told = again.communicate(timeout=RUN_SECONDS)
    assert again.returncode == 0, told
    metrics = strop.Run(RunDirectory.open(tmp_path / "run")).metrics()
    assert len(metrics) == vllm_run.STEPS
    assert max(one["policy/sampler_gap_max"] for one in metrics) < 1e-4
    assert mean_reward(metrics[-3:]) > mean_reward(metrics[:3])


def mean_reward(metrics):
    return sum(one["reward/mean"] for one in metrics) / len(metrics)


def wait_until(is_so, process):
    deadline = time.monotonic() + RUN_SECONDS
    while not is_so():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, f"no second step within {RUN_SECONDS:g} seconds"
        time.sleep(0.05)
