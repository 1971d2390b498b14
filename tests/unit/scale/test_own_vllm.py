"""A replica that has a vLLM server of its own: it starts it, asks it, ends with it, and leaves nothing behind."""

import json
import os
import shutil
import signal
import stat
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

import fleet
import strop
from fake_vllm import FakeVLLM
from judge_server import serving
from pretend_ray import pretended
from strop.endpoint import attempts
from strop.policies.transformer import Transformer
from strop.reports.plan import make_plan
from strop.scale import own_vllm
from strop.scale.own_vllm import OwnVLLM
from strop.scale.replica import Replica
from strop.scale.unit import Unfit
from strop.types import End, Stopped

SERVES = """#!{python}
import http.server, json, os, subprocess, sys
assert os.environ["VLLM_SERVER_DEV_MODE"] == "1"
open({told!r}, "w").write(" ".join([str(os.getpid()), *sys.argv[1:]]))
json.dump(dict(os.environ), open({told!r} + ".env", "w"))
has = {{"model": sys.argv[2], "dtype": "torch.float32", "logprobs_mode": "processed_logprobs", **{other!r}}}
child = subprocess.Popen(["sleep", "1000"])
open({told!r} + ".child", "w").write(str(child.pid))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({{"vllm_config": {{"model_config": has}}}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    log_message = lambda *_: None
http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""
"""Says what it is, and has a process of its own as vLLM has."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(attempts, "FIRST_SECONDS", 0.01)
    monkeypatch.setattr(own_vllm, "TICK", 0.02)


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """Where temporary files go: none is left when a test ends."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def serves(told: Path, **other: str) -> str:
    return SERVES.format(python=sys.executable, told=str(told), other=other)


def command(folder: Path, text: str) -> Path:
    file = folder / "vllm"
    file.write_text(text)
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return file


def config(vllm: Path | str, **fields) -> strop.TrainConfig:
    return fleet.config(engine=fleet.ray_of(vllm=str(vllm), **fields)).resolve()


def started(made: strop.TrainConfig) -> OwnVLLM:
    policy, codec = made.policy.build(seed=0, dtype="float32", device="cpu")
    assert isinstance(policy, Transformer)
    return OwnVLLM(made, policy, codec)


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def all_gone(pids, seconds=10.0) -> bool:
    deadline = time.monotonic() + seconds
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(map(is_running, pids))


@pytest.fixture
def server(tmp_path, monkeypatch):
    """One that runs, the file that it told of itself, and its processes, which the test may not leave behind."""
    told = tmp_path / "told"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.setenv("PYTHONPATH", "/of/the/learner")
    made = config(command(tmp_path, serves(told)), vllm_flags="--seed '1 2'")
    own = started(made)
    pids = [own._process.pid, int(told.read_text().split()[0]), int((tmp_path / "told.child").read_text())]
    yield own, told, pids
    own.end()


def test_it_is_started_from_the_policys_weights_with_the_flags_of_a_learner(server):
    own, told, _ = server
    _, *words = told.read_text().split(" ", 2)
    assert words[0] == "serve"
    model, flags = words[1].split(" ", 1)
    assert (Path(model) / "config.json").is_file()
    port = urlsplit(own.settings.url).port
    assert flags == (
        f"--host 127.0.0.1 --port {port} --dtype float32 --skip-tokenizer-init --enable-scale-out "
        "--logprobs-mode processed_logprobs --seed 1 2"
    )
    assert own.settings.request_seconds == own.settings.total_seconds == 600.0


def test_when_the_replica_is_gone_so_are_the_server_what_it_started_and_the_folder(server):
    own, told, pids = server
    folder = Path(told.read_text().split()[2]).parent
    assert folder.is_dir()
    own.end()  # closes what the system closes, whatever ends the replica
    assert all_gone(pids)
    assert not folder.exists()


def test_when_ray_kills_the_shell_first_the_same_goes(server):
    """Ray ends a worker's own children before the worker."""
    own, told, pids = server
    os.kill(own._process.pid, signal.SIGKILL)
    own._process.wait(10.0)
    own.end()
    assert all_gone(pids)
    assert not Path(told.read_text().split()[2]).parent.exists()


def test_when_the_server_is_gone_so_are_what_it_started_and_the_folder(server):
    own, told, pids = server
    os.kill(pids[1], signal.SIGKILL)
    own._process.wait(10.0)
    assert all_gone(pids)
    assert not Path(told.read_text().split()[2]).parent.exists()
    with pytest.raises(Unfit, match="its vLLM server has ended"):
        own.publish(None)


def test_its_environment_is_not_the_learners_but_its_accelerator_is(server):
    _, told, _ = server
    env = json.loads(told.with_suffix(".env").read_text())
    assert (env["CUDA_VISIBLE_DEVICES"], env["VLLM_NO_USAGE_STATS"]) == ("3", "1")
    assert "PYTHONPATH" not in env
    assert Path(env["TMPDIR"]).is_dir()


def test_what_the_replica_forks_does_not_keep_the_server(server):
    own, _, pids = server
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(write)
        os.read(read, 1)  # until the test ends
        os._exit(0)
    try:
        own.end()
        assert all_gone(pids)
    finally:
        os.close(read)
        os.close(write)
        os.waitpid(child, 0)


def test_a_signal_to_all_of_a_job_leaves_no_folder(server):
    own, told, pids = server
    os.killpg(own._process.pid, signal.SIGTERM)
    own._process.wait(10.0)
    assert all_gone(pids)
    assert not Path(told.read_text().split()[2]).parent.exists()


def test_a_server_that_ends_while_it_starts_is_told(tmp_path):
    made = config(command(tmp_path, "#!/bin/sh\nexit 3\n"), start_seconds=5.0)
    with pytest.raises(Unfit, match="its vLLM server has ended"):
        started(made)


def test_a_foreign_server_at_its_port_is_not_taken_for_its_own(tmp_path, monkeypatch):
    made = config(command(tmp_path, "#!/bin/sh\nsleep 0.5\n"), start_seconds=20.0)
    with serving(FakeVLLM(fleet.config()).act) as other:
        monkeypatch.setattr(own_vllm, "_free_port", lambda: other.http.server_port)
        with pytest.raises(Unfit, match="its vLLM server has ended"):
            started(made)


def test_a_server_that_will_not_do_stops_the_run(tmp_path):
    made = config(command(tmp_path, serves(tmp_path / "told", dtype="torch.bfloat16")), start_seconds=20.0)
    with pytest.raises(ValueError, match=r"the server that engine.vllm starts will not do: it computes in bfloat16"):
        started(made)


def test_a_server_that_never_answers_has_a_deadline(tmp_path):
    made = config(command(tmp_path, "#!/bin/sh\nexec sleep 1000\n"), start_seconds=0.5)
    with pytest.raises(Unfit, match=r"did not answer within 0\.4 s \(0\.8 of engine\.start_seconds\)"):
        started(made)


def test_a_command_that_is_not_there_stops_the_run_and_says_where():
    with pytest.raises(ValueError, match=r"engine.vllm='/no/vllm' is no command on \S+: it is the path of `vllm`"):
        started(config("/no/vllm"))


# ------------------------------------------------------------ runs whose replicas have one


@pytest.fixture
def servers(monkeypatch, folders):
    """Each server that a replica starts is a pretended vLLM in a thread: they stand here, in the order of starts."""
    begun: list[FakeVLLM] = []
    with ExitStack() as opened:

        def free_port() -> int:
            begun.append(FakeVLLM(fleet.config()))
            return opened.enter_context(serving(begun[-1].act)).http.server_port

        monkeypatch.setattr(own_vllm, "_free_port", free_port)

        def kept(command, folder):
            begun[-1].model["model"] = command[2]
            ends = SimpleNamespace(close=lambda: None, fileno=lambda: -1)
            return SimpleNamespace(poll=lambda: None, stdin=ends, wait=lambda seconds: None)

        monkeypatch.setattr(own_vllm, "_command", lambda name: name)
        monkeypatch.setattr(own_vllm, "kept", kept)
        yield begun
    for left in folders.iterdir():
        shutil.rmtree(left)  # of actors whose processes the system would have ended


def trained(tmp_path, **fields) -> strop.Run:
    with pretended():
        engine = fleet.ray_of(vllm="vllm", unit_seconds=20.0, **fields)
        return strop.train(fleet.config(engine=engine, steps=2), tmp_path / "run", progress=False)


def test_each_replica_asks_its_own_server_which_has_the_weights_of_the_step(servers, tmp_path):
    run = trained(tmp_path)
    assert len(servers) == 2
    assert all(one.answers for one in servers), "somebody had nothing to do"
    assert max(one["policy/sampler_gap_max"] for one in run.metrics()) < 1e-5
    versions = [[answer["choices"][0]["weight_versions"][0]["version"] for answer in one.answers] for one in servers]
    assert [len(set(one)) for one in versions] == [2, 2], "two steps"
    assert End.FAILED not in {episode.end for episode in run.episodes()}


def test_a_replica_whose_server_is_gone_is_replaced_and_its_unit_is_played_again(servers, tmp_path):
    def break_down(answer, choice):
        servers[0].is_gone = len(servers[0].answers) >= 5

    def watched() -> None:
        if servers:
            servers[0].change = break_down

    with pytest.MonkeyPatch.context() as patched:
        init = FakeVLLM.__init__
        patched.setattr(FakeVLLM, "__init__", lambda self, made: (init(self, made), watched())[0])
        run = trained(tmp_path)
    assert sum(one["engine/lost"] for one in run.metrics()) == 1
    assert len(servers) == 3
    assert End.FAILED not in {episode.end for episode in run.episodes()}, "what failed with the server was learnt"
    assert len(list(run.episodes())) == 2 * 3 * 4
    with run.directory.reader() as store:
        assert any("lost a replica" in one.text and "the vLLM server at" in one.text for one in store.events())


def test_the_plan_says_so():
    made = config("vllm", staleness=1)
    words = "2 replicas on Ray on this machine, each with a vLLM server of its own; episodes at most 1 step old"
    assert words in make_plan(made, made.build()).engine


def test_it_is_corrected_for_its_gap_as_other_servers_are():
    assert not config("vllm").acts_with_newest
    assert config("vllm").algorithm.correction is not None
    assert fleet.config(engine=fleet.ray_of()).resolve().algorithm.correction is None


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"sampling": strop.Sampling(choices=("red", "blue"), max_tokens=2)}, "sampling.choices: an engine over HTTP"),
        ({"sampling": strop.Sampling(temperature=0.005, max_tokens=2)}, "vLLM samples at 0.01 instead"),
        ({"policy": strop.policies.Table.Config(words=fleet.WORDS)}, "vLLM serves causal language models"),
    ],
)
def test_what_vllm_cannot_is_refused(fields, why):
    with pytest.raises(ValueError, match=why):
        fleet.config(engine=fleet.ray_of(vllm="vllm"), **fields).resolve().build()


@pytest.mark.parametrize(
    ("flags", "why"),
    [("--seed '1", "is no command line: No closing quotation"), ("--seed 1 --port=9", "--port is set by the replica")],
)
def test_flags_that_cannot_be_are_refused(flags, why):
    with pytest.raises(ValueError, match=why):
        strop.scale.Ray(vllm="vllm", vllm_flags=flags)


def test_a_server_that_says_it_loaded_and_did_not_is_noticed_also_with_staleness(servers, tmp_path, monkeypatch):
    monkeypatch.setattr(FakeVLLM, "_load", lambda self, folder: None)
    with pytest.raises(Stopped, match=r"it says that it has loaded the weights, and its log-probs are \S+ nats from"):
        trained(tmp_path, staleness=1, most_losses=2)


def test_the_replicas_copy_of_the_policy_leaves_the_accelerator_to_the_server(servers):
    replica = Replica([])
    replica.start(replace(config("vllm"), device="cuda:0"))
    assert replica._config.device == "cpu"


def test_flags_without_a_command_are_refused():
    with pytest.raises(ValueError, match=r"engine\.vllm_flags='--seed 1' are for engine\.vllm"):
        strop.scale.Ray(vllm_flags="--seed 1")


def test_a_policy_that_the_server_never_gets_stops_the_run(servers, tmp_path, monkeypatch):
    """Each new server refuses to load: after so many losses the run stops and says why."""
    init = FakeVLLM.__init__

    def refusing(self, made):
        init(self, made)
        self.fails = {"/collective_rpc"}

    monkeypatch.setattr(FakeVLLM, "__init__", refusing)
    with pytest.raises(Stopped, match=r"3 replicas were lost within 10 minutes.*it did not load the weights"):
        trained(tmp_path, most_losses=2)


def test_what_a_shell_starts_is_what_is_kept(tmp_path):
    """The keeper itself: its server's arguments arrive as they are, with blanks and quotes."""
    said = tmp_path / "said"
    file = command(tmp_path, f'#!/bin/sh\nprintf "%s|" "$@" > {said}\n')
    folder = tmp_path / "folder of it"
    folder.mkdir()
    process = own_vllm.kept([str(file), "a b", "it's", "$HOME"], folder)
    process.wait(10.0)
    process.stdin.close()
    assert said.read_text() == "a b|it's|$HOME|"
    assert not folder.exists()
