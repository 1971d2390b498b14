"""Runs of Stable-Baselines3: what is written, tried on a package of its shape where the real one is not installed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from strop import control
from strop.cli.main import main
from strop.control import ControlConfig
from strop.runs import spec
from strop.runs.directory import RunDirectory
from strop.runs.progress import Progress

SMALL = ControlConfig(environment="Toy", steps=3, interactions=4, episodes=2, checkpoint_every=2, threads=1)


class ToyEnv:
    """Three turns; each pays the action, the first one the seed's last digit too."""

    action_space = SimpleNamespace(low=np.array([-2.0]), high=np.array([2.0]), shape=(1,))

    def reset(self, *, seed=None):
        self.turns, self.bonus = 0, seed % 10
        return np.zeros(1), {}

    def step(self, action):
        self.turns += 1
        paid = float(action[0]) + (self.bonus if self.turns == 1 else 0)
        return np.zeros(1), paid, False, self.turns == 3, {}

    def close(self):
        pass


class Logger:
    def __init__(self, folder, output_formats):
        self.name_to_value = {}


class ToyDDPG:
    """Its policy's action is the number of its turns; an episode ends every second turn and returns that number."""

    stop_at = fail_at = None

    def __init__(self, policy, env, gamma=0.99, action_noise=None, seed=None, verbose=0, device="auto"):
        self.num_timesteps, self.noise, self.gamma, self.seed = 0, action_noise, gamma, seed

    def set_logger(self, logger):
        self.logger = logger

    def predict(self, observation, deterministic):
        assert deterministic
        return np.array([float(self.num_timesteps)]), None

    def save(self, path):
        path.write_text(str(self.num_timesteps))

    def learn(self, total_timesteps, callback):
        while self.num_timesteps < total_timesteps:
            self.num_timesteps += 1
            n = self.num_timesteps
            if n == self.stop_at:
                os.kill(os.getpid(), signal.SIGINT)
            if n == self.fail_at:
                raise RuntimeError("the simulator broke")
            self.logger.name_to_value |= {"train/critic_loss": 10.0 * n, "time/fps": 1}
            if not callback({"infos": [{"episode": {"r": n, "l": 2, "t": 0.0}} if n % 2 == 0 else {}]}, {}):
                return


@pytest.fixture
def toy(monkeypatch):
    """The packages' shape."""

    def module(name, **facts):
        made = ModuleType(name)
        vars(made).update(facts)
        monkeypatch.setitem(sys.modules, name, made)

    algorithm = type("DDPG", (ToyDDPG,), {})
    module("gymnasium", make=lambda id: ToyEnv())
    module("stable_baselines3", DDPG=algorithm)
    module("stable_baselines3.common")
    module("stable_baselines3.common.logger", Logger=Logger)
    module("stable_baselines3.common.noise", NormalActionNoise=lambda mean, sigma: (mean.tolist(), sigma.tolist()))
    return algorithm


def test_a_step_holds_what_ended_in_it_and_what_was_learnt_last(toy, tmp_path):
    run = control.train(SMALL, tmp_path / "run", progress=Progress.silent())
    steps = [one for one in run.metrics() if "time/step_seconds" in one]
    # turns 1 to 4 end episodes that return 2 and 4, and so on
    assert [one["reward/mean"] for one in steps] == [3.0, 7.0, 11.0]
    assert [one["rollout/length"] for one in steps] == [2.0, 2.0, 2.0]
    assert [one["train/critic_loss"] for one in steps] == [40.0, 80.0, 120.0]
    assert not any("time/fps" in one for one in steps)
    assert not run.interrupted


def test_judgements_use_the_same_seeds_and_make_the_verdict(toy, tmp_path):
    run = control.train(SMALL, tmp_path / "run", progress=Progress.silent())
    # three turns that pay the policy's number, and the last digit of seeds 1000000 and 1000001
    assert run.judged == {0: [0.0, 1.0], 3: [36.0, 37.0]}
    (verdict,) = run.verdicts()
    assert (verdict.before.mean, verdict.after.mean, verdict.difference.mean) == (0.5, 36.5, 36.0)
    with run.directory.reader() as store:
        assert store.series("held_out/reward") == [(0, 0.5), (3, 36.5)]


def test_checkpoints_are_zip_files_and_old_ones_are_removed(toy, tmp_path):
    config = ControlConfig(environment="Toy", steps=5, interactions=2, episodes=1, checkpoint_every=1, threads=1)
    run = control.train(config, tmp_path / "run", progress=Progress.silent())
    files = control.checkpoints(run.directory)
    assert [(file.name, file.read_text()) for file in files] == [("000004.zip", "8"), ("000005.zip", "10")]
    assert not list((run.path / "checkpoints").glob(".*"))


def test_the_run_records_its_config(toy, tmp_path):
    run = control.train(SMALL, tmp_path / "run", recipe="# mine\n", command="strop train x", progress=Progress.silent())
    assert spec.decode(run.directory.config(), run.path) == SMALL
    assert run.directory.config()["trained_by"] == "Stable-Baselines3"
    assert run.directory.plan() == control.plan_of(SMALL)
    assert control.plan_of(SMALL)["run"] == "3 steps, seed 0; 2 episodes judged at the start and the end"
    assert run.directory.provenance()["command"] == "strop train x"
    assert (run.path / "recipe.py").read_text() == "# mine\n"
    with pytest.raises(ValueError, match="trained by DDPG of Stable-Baselines3"):
        spec.from_files(run.path)


def test_a_recipe_costs_no_torch():
    program = "import sys; from strop.control import ControlConfig; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_ctrl_c_ends_the_step_and_saves(toy, tmp_path):
    toy.stop_at = 2
    run = control.train(SMALL, tmp_path / "run", progress=Progress.silent())
    assert run.interrupted
    assert [file.name for file in control.checkpoints(run.directory)] == ["000001.zip"]
    assert [one["reward/mean"] for one in run.metrics() if "reward/mean" in one] == [3.0]
    assert list(run.judged) == [0]


@pytest.mark.matrix
def test_what_ends_a_run_is_written_down_and_a_run_without_a_checkpoint_leaves_nothing(toy, tmp_path):
    toy.fail_at = 11
    with pytest.raises(RuntimeError, match="simulator broke"):
        control.train(SMALL, tmp_path / "run", progress=Progress.silent())
    with RunDirectory(tmp_path / "run").reader() as store:
        assert [(event.step, event.level, event.text) for event in store.events()] == [
            (2, "error", "RuntimeError: the simulator broke")
        ]
    toy.fail_at = 3
    with pytest.raises(RuntimeError):
        control.train(SMALL, tmp_path / "other", progress=Progress.silent())
    assert not (tmp_path / "other").exists()


def test_noise_and_options_reach_the_algorithm(toy):
    model = ControlConfig(environment="Toy", noise=0.25, options={"gamma": 0.5}, seed=7).build()
    assert (model.noise, model.gamma, model.seed) == (([0.0], [0.25]), 0.5, 7)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"algorithm": "DDGP"}, "Stable-Baselines3 has A2C, DDPG"),
        ({"steps": 0}, "at least 1"),
        ({"noise": -1.0}, "0 or above"),
        ({"options": {"seed": 3}}, "options hold seed"),
    ],
)
def test_a_wrong_config_is_refused_at_once(fields, said):
    with pytest.raises(ValueError, match=said):
        ControlConfig(**fields)


def test_an_unknown_option_names_the_nearest(toy):
    with pytest.raises(ValueError, match="did you mean gamma"):
        ControlConfig(environment="Toy", options={"gama": 0.9}).build()


# ---------------------------------------------------------------- the command line

TOY = ["environment=Toy", "steps=3", "interactions=4", "episodes=2", "noise=0"]
RECIPE = "from strop.control import ControlConfig\n\n\ndef recipe():\n    return ControlConfig()\n"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "mine.py").write_text(RECIPE)


def test_train_and_show(toy, here, capsys):
    assert main(["train", "mine.py", *TOY, "--run", "runs/toy"]) == 0
    assert "reward rose by +36.00 on each of 2 held-out prompts" in capsys.readouterr().out
    assert main(["show", "toy", "--json"]) == 0
    page = json.loads(capsys.readouterr().out)
    assert (page["done"], page["status"], page["config"]["environment"]) == (3, "finished", "Toy")
    assert page["curves"]["reward/mean"][-1] == [2, 11.0]
    assert main(["show", "toy"]) == 0
    assert "000003.zip" in capsys.readouterr().out


def test_what_needs_texts_or_a_resume_is_refused_in_one_line(toy, here, capsys):
    assert main(["train", "mine.py", *TOY, "--run", "runs/toy"]) == 0
    for words in (["eval", "toy"], ["chat", "toy"], ["train", "--resume", "--run", "toy"]):
        assert main(words) == 1
        assert "Stable-Baselines3" in capsys.readouterr().err
    assert main(["train", "mine.py", "--resume", "--run", "toy"]) == 1
    assert "cannot go on" in capsys.readouterr().err
    assert main(["score", "mine.py"]) == 2


def test_without_stable_baselines3_one_line_says_what_to_install(here, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "stable_baselines3", None)
    assert main(["train", "pendulum_ddpg", "--run", "runs/none"]) == 1
    said = capsys.readouterr().err
    assert 'pip install "strop[control]"' in said
    assert "Traceback" not in said
    assert not Path("runs").exists()
    assert main(["train", "pendulum_ddpg", "--dry-run"]) == 0  # the plan needs no package
    assert "Pendulum-v1" in capsys.readouterr().out


# ---------------------------------------------------------------- with the package


@pytest.mark.learning
def test_ddpg_runs_on_pendulum(tmp_path):
    sb3 = pytest.importorskip("stable_baselines3")
    options = {"learning_starts": 100, "policy_kwargs": {"net_arch": [16]}}
    config = ControlConfig(options=options, noise=0.1, steps=2, interactions=200, episodes=1, threads=1)
    run = control.train(config, tmp_path / "run", progress=Progress.silent())
    steps = [one for one in run.metrics() if "time/step_seconds" in one]
    assert all(-2000 < one["reward/mean"] < 0 and one["rollout/length"] == 200 for one in steps)
    assert steps[-1]["train/critic_loss"] > 0
    loaded = sb3.DDPG.load(control.checkpoints(run.directory)[-1])
    assert config.judge(loaded) == run.judged[2]
