"""The job files, with stand-ins for srun, scontrol, ray and strop that write down how they are called."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

JOBS = Path(__file__).parents[3] / "docs" / "jobs"
STAND_INS = {
    "scontrol": "printf 'one\\ntwo\\nthree\\n'",
    "srun": 'echo "srun $*" >> "$CALLS"; while [ "${1#-}" != "$1" ]; do shift; done; exec "$@"',
    "ray": 'echo "ray $*" >> "$CALLS"',
    "strop": """echo "strop $*" >> "$CALLS"
        if [ -n "${WAITS:-}" ]; then trap "exit 143" TERM; touch "$WAITS"; sleep 60 & wait; fi""",
}


def job(folder: Path, *words: str, file: str = "strop.slurm", **environment: str) -> subprocess.Popen:
    for name, does in STAND_INS.items():
        (folder / name).write_text(f"#!/bin/bash\n{does}\n")
        (folder / name).chmod(0o755)
    slurm = {"SLURM_JOB_NODELIST": "x", "SLURM_JOB_NUM_NODES": "3", "SLURM_CPUS_PER_TASK": "8", "SLURM_JOB_NAME": "j"}
    known = {**os.environ, **slurm, "PATH": f"{folder}:{os.environ['PATH']}", "CALLS": str(folder / "calls")}
    known["HOME"] = str(folder)
    return subprocess.Popen(["bash", str(JOBS / file), *words], env={**known, **environment}, cwd=folder)


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text().splitlines()


@pytest.mark.parametrize("again", [False, True])
def test_it_starts_ray_on_every_machine_and_goes_on_with_a_run_that_is_there(again, tmp_path):
    if again:
        (tmp_path / "runs" / "story-j").mkdir(parents=True)
    assert job(tmp_path, "story", "--rollout-replicas", "8").wait(60) == 0
    deadline = time.monotonic() + 60
    while len(told := calls(tmp_path)) < 7:  # the starts of Ray go on beside the run
        assert time.monotonic() < deadline, told
    assert "ray start --head --port=6379 --num-cpus=8 --include-dashboard=false --block" in told
    assert "ray start --address=one:6379 --num-cpus=8 --block" in told
    assert "ray get-auth-token --generate" in told
    (others,) = [call for call in told if call.startswith("srun --nodes=2")]
    assert "--ntasks=2 --exclude=one" in others
    resume = "--resume " if again else ""
    assert f"strop train story --engine ray --ray one:6379 --run runs/story-j {resume}--rollout-replicas 8" in told


def test_when_the_time_is_up_the_run_is_told_and_waited_for(tmp_path):
    waits = tmp_path / "waits"
    with job(tmp_path, "story", WAITS=str(waits)) as process:
        while not waits.exists():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143


@pytest.mark.parametrize("again", [False, True])
def test_a_job_of_ray_trains_on_its_cluster_and_goes_on_with_a_run_that_is_there(again, tmp_path):
    if again:
        (tmp_path / "my").mkdir()
    ray = {"file": "strop-ray-job.sh", "STROP_RUNS": str(tmp_path)}
    assert job(tmp_path, "some/my.py", "--rollout-replicas", "8", **ray).wait(60) == 0
    resume = "--resume " if again else ""
    expected = f"strop train some/my.py --engine ray --ray auto --run {tmp_path}/my {resume}--rollout-replicas 8"
    assert calls(tmp_path) == [expected]


def test_a_job_of_ray_is_the_run_itself_so_that_a_stop_reaches_it(tmp_path):
    waits = tmp_path / "waits"
    with job(tmp_path, "story", file="strop-ray-job.sh", WAITS=str(waits)) as process:
        while not waits.exists():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
