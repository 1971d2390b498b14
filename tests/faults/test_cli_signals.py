"""Ctrl-C, SIGTERM and a closed pipe, in a process of their own."""

import os
import signal
import subprocess
import sys
import time

import pytest

RECIPE = """
import strop


def recipe():
    return strop.TrainConfig(
        policy=strop.policies.Table.Config(words=["a", "b"], has_end=True),
        tasks=[strop.Task("one", "a")],
        held_out=[strop.Task("two", "b")],
        rewards={"b": (lambda task, episode: float(episode.text == "b"), 1.0)},
        algorithm=strop.algorithms.REINFORCE.Config(),
        sampling=strop.Sampling(max_tokens=1),
        steps=1_000_000,
        threads=1,
    )
"""
SLOW = """
import time
import strop


def slow(task, episode):
    open("judging", "w").close()
    time.sleep(0.05)
    return 1.0


def recipe():
    return strop.TrainConfig(
        policy=strop.policies.Table.Config(words=["a", "b"]),
        tasks=[strop.Task("one", "a")],
        held_out=[strop.Task(f"{i}", "b") for i in range(40)],
        rewards=[slow],
        algorithm=strop.algorithms.REINFORCE.Config(),
        sampling=strop.Sampling(max_tokens=1),
        threads=1,
    )
"""
pytestmark = pytest.mark.crash
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
STROP = [sys.executable, "-c", "import sys; from strop.cli.main import main; sys.exit(main())"]


@pytest.fixture
def train(tmp_path):
    """Starts the training of a recipe; what still runs at the end of a test that failed is killed."""
    started = []

    def start(recipe, seen):
        """The process, once it has made the file or folder `seen`."""
        (tmp_path / "mine.py").write_text(recipe)
        process = subprocess.Popen(
            [*STROP, "train", "mine.py", "--run", "r"],
            cwd=tmp_path,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        deadline = time.monotonic() + 60
        while not (tmp_path / seen).exists():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline, f"after 60 s there is no {seen}"
            time.sleep(0.02)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_saves_says_how_to_go_on_and_ends_with_its_code(train, tmp_path, number, code):
    process = train(RECIPE, "r/checkpoints/000010")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "strop train mine.py --resume --run r" in err
    assert "Traceback" not in err
    assert "tokens/s" in out
    latest = int((tmp_path / "r/checkpoints/LATEST").read_text())
    resume = [*STROP, "train", "mine.py", "--resume", "--run", "r", f"steps={latest + 2}"]
    done = subprocess.run(resume, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_the_second_signal_stops_at_once(train, number, code):
    process = train(RECIPE, "r/checkpoints/000010")
    process.send_signal(signal.SIGSTOP)  # so that both arrive before a step can end
    process.send_signal(number)
    process.send_signal(signal.SIGCONT)
    time.sleep(0.002)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "--resume --run r" in err
    assert "Traceback" not in err


def test_a_judgement_ends_before_sigterm_does_and_what_was_judged_is_kept(train):
    process = train(SLOW, "judging")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert "--resume --run r" in err
    assert "held-out after 0 steps" in err
    assert "step 1/" not in err


def test_sigterm_before_the_first_step_leaves_nothing(train, tmp_path):
    process = train("import time\nopen('loading', 'w').close()\ntime.sleep(60)\n", "loading")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert "interrupted" in err
    assert "Traceback" not in err
    assert not (tmp_path / "r").exists()


def test_a_closed_pipe_is_no_error(tmp_path):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([*STROP, "list"], cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert done.stderr == ""
    assert done.returncode in (0, 1)
