"""Each test runs `main` in a folder of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import tiny_hf
from strop.cli.main import main

TABLE = '''
import strop


def said_b(task, episode):
    """1 for b."""
    return float(episode.text == "b")


def recipe():
    return strop.TrainConfig(
        policy=strop.policies.Table.Config(words=["a", "b"], has_end=True),
        tasks=[strop.Task("one", "a"), strop.Task("two", "b")],
        held_out=[strop.Task("three", "a"), strop.Task("four", "b b")],
        rewards={"said_b": (REWARD, 1.0)},
        algorithm=strop.algorithms.REINFORCE.Config(optimizer=strop.optimizer.AdamW(lr=0.1)),
        sampling=strop.Sampling(max_tokens=1),
        group_size=4,
        prompts_per_step=2,
        steps=3,
        threads=1,
    )
'''


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def strop(tmp_path, monkeypatch, capsys) -> Callable[..., Said]:
    """Call the command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")

    def call(*words: object) -> Said:
        capsys.readouterr()
        code = main([str(word) for word in words])
        return Said(code, *capsys.readouterr())

    return call


@pytest.fixture(scope="session")
def table_text() -> str:
    """The source of a tiny recipe over a table."""
    return TABLE.replace("REWARD", "said_b")


@pytest.fixture
def table_recipe(tmp_path) -> Callable[..., Path]:
    """Write a tiny recipe over a table; `reward` is the source of its reward."""

    def write(reward: str = "said_b", name: str = "mine.py", replace: Sequence[tuple[str, str]] = ()) -> Path:
        text = TABLE.replace("REWARD", reward)
        for old, new in replace:
            assert old in text
            text = text.replace(old, new)
        (tmp_path / name).write_text(text)
        return Path(name)

    return write


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A tiny Llama with a chat template."""
    return tiny_hf.make(tmp_path_factory.mktemp("model") / "tiny")
