"""A process that is killed while it forgets a person: the same command completes it, wherever that was."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from feedback_people import answer, said
from learnt import learnt
from strop.assistant import FeedbackStore, MemoryStore, Versions, export_feedback

pytestmark = pytest.mark.crash
SCRIPT = str(Path(__file__).with_name("die_forgetting.py"))
ANN = "ann@example.com"


def prepare(path):
    """Version 1 learnt from ann; a run, an export, a copy and the memory hold what she wrote."""
    learnt(path)
    id = "a" * 32
    with FeedbackStore(path / "feedback.sqlite") as store, MemoryStore(path / "memory.sqlite") as memory:
        store.write(
            [answer("z", "so be it", question="where is the ZEBRA of mine?", rater=ANN)],
            [said("demonstration", "the ZEBRA is in the locker", "z", rater=ANN, id=id)],
        )
        memory.add(ANN, "my ZEBRA\nis called Spot")
        export_feedback(store, path / "sft.jsonl", "sft")
    manifest = Versions(path).folder(1) / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"feedback": [id]}))
    for folder in (path / "rounds" / "001", Versions(path).folder(1) / "model"):
        folder.mkdir(parents=True)
        (folder / "tasks.jsonl").write_text("where is the ZEBRA of mine?")
    (path / "notes.log").write_text("asked: where is the ZEBRA of mine?\nelse\n")
    (path / "picture.bin").write_bytes(b"\xff is called Spot\xfe\0")
    far = path.with_name("far")
    Versions(path).folder(2).rename(far)
    Versions(path).folder(2).symlink_to(far)
    return path


def test_die_before_every_change(tmp_path):
    path = prepare(tmp_path / "mine")
    done = subprocess.run([sys.executable, SCRIPT, str(path)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) > 15, "the children were not killed: the test tests nothing"
    assert ["whole" in line for line in lines] == [False] * (len(lines) - 1) + [True]
    assert {tuple(line[1:3]) for line in lines} == {("none", "0")}
    assert {line[3] for line in lines} == {"far,picture.bin"}
