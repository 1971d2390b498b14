"""The code of a guide runs as it is printed, from top to bottom, in both languages."""

import ast
import re
from pathlib import Path

import pytest

import served
import small_corpus
import small_pairs
from strop.codec import WordCodec
from strop.data.played import played
from strop.data.preferences import preferences
from strop.data.prepared import check_source
from strop.data.written import demonstrations

DOCS = Path(__file__).parents[2] / "docs"
LANGUAGES = ["", pytest.param(".zh-CN", marks=pytest.mark.slow)]
"""That both print the same code is seen of every page."""
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def code(guide: str) -> str:
    return "\n".join(BLOCK.findall((DOCS / guide).read_text(encoding="utf-8")))


def is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


@pytest.mark.parametrize(
    "guide",
    [
        "two-words",
        "architecture",
        "your-own-algorithm",
        "from-scratch",
        "tasks/translate",
        "tasks/answer",
        "tasks/reading",
        "tasks/reason",
        "tasks/games",
        "tasks/support",
        "tasks/advertise",
        "tasks/textarena",
        "choices",
        "curriculum",
        "scale",
        "data",
        "rewards",
        "llm-judge",
        "serving",
        "assistant",
        "privacy",
    ],
)
def test_both_languages_print_the_same_code(guide):
    """But for what Python does not run: so it is enough that one of them runs."""

    def bare(file: str) -> str:
        tree = ast.parse(code(file))
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                node.body = [one for one in node.body if not is_docstring(one)]
        return ast.unparse(tree)

    assert bare(f"{guide}.md") == bare(f"{guide}.zh-CN.md")


@pytest.mark.matrix
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("guide", "asserts"),
    [
        ("two-words", 11),
        ("architecture", 1),
        ("your-own-algorithm", 2),
        ("choices", 3),
        ("curriculum", 4),
        ("scale", 1),
        ("rewards", 1),
        ("tasks/support", 1),
        ("llm-judge", 3),
        ("assistant", 8),
        ("privacy", 6),
    ],
)
def test_its_code_runs(guide, asserts, language, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = code(f"{guide}{language}.md")
    assert text.count("assert") == asserts
    exec(compile(text, guide, "exec"), {"__name__": "guide"})


@pytest.mark.matrix
@pytest.mark.parametrize("language", LANGUAGES)
def test_games_run_at_a_small_size(language, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = code(f"tasks/games{language}.md")
    assert (text.count("STEPS = 100"), text.count("assert")) == (1, 2)
    exec(compile(text.replace("STEPS = 100", "STEPS = 1"), "games", "exec"), {"__name__": "guide"})


@pytest.mark.matrix
@pytest.mark.parametrize("language", LANGUAGES)
def test_advertising_runs_at_a_small_size(language, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = code(f"tasks/advertise{language}.md")
    assert (text.count("advertise.recipe()"), text.count("assert")) == (1, 1)
    small = text.replace("advertise.recipe()", "advertise.recipe(200, 1)")
    exec(compile(small, "advertise", "exec"), {"__name__": "guide"})


@pytest.mark.matrix
@pytest.mark.parametrize("language", LANGUAGES)
def test_textarena_runs_as_it_is_printed(language, tmp_path, monkeypatch):
    pytest.importorskip("textarena")
    monkeypatch.chdir(tmp_path)
    text = code(f"tasks/textarena{language}.md")
    assert text.count("assert") == 3
    exec(compile(text, "textarena", "exec"), {"__name__": "guide"})


@pytest.mark.parametrize("language", ["", ".zh-CN"])
def test_the_client_of_the_page_on_serving_talks_to_a_server(language):
    text = code(f"serving{language}.md")
    assert (text.count("http://127.0.0.1:8000"), text.count("assert")) == (1, 2)
    one = served.actor(words=["床前明月光", "疑是", "地上霜"], max_tokens=64)
    with served.served(one) as what, served.listened(what) as address:
        text = text.replace("http://127.0.0.1:8000", address)
        exec(compile(text, "serving", "exec"), {"__name__": "guide"})


SMALLER = {
    "STEPS = 240": "STEPS = 24",
    '"grimm"': '"corpus.txt"',
    'model="lstm"': "model=strop.policies.Recurrent.Config(width=16, num_layers=1)",
    'model="masked"': "model=strop.policies.Scratch(shape='bert', width=16, num_heads=2, context=256)",
    "held_out=judged(48)": "held_out=judged(4)",
    "held_out=judged(16)": "held_out=judged(4)",
    "group_size=32": "group_size=4",
    "max_tokens=64": "max_tokens=8",
}
"""What a test of the guide from-scratch replaces, so that it takes seconds."""


@pytest.mark.matrix
def test_from_scratch_runs_at_a_small_size(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = code("from-scratch.md")
    (tmp_path / "corpus.txt").write_text(small_corpus.text(200))
    for name, smaller in SMALLER.items():
        assert name in text
        text = text.replace(name, smaller)
    made = {"__name__": "guide"}
    exec(compile(text, "from-scratch", "exec"), made)
    assert made["taught"].config.steps == 6
    assert made["both"].path.name == "2-reward"
    assert made["judge"].policy.actions == ("good", "bad")


SMALLER_TRANSLATION = {
    "STEPS = 4000": "STEPS = 40",
    '"auto"': '"toy.tsv"',
    'shape="marian"': 'shape="marian", width=32, num_layers=1',
}
"""What a test of the page on translation replaces."""


@pytest.mark.matrix
@pytest.mark.parametrize("language", LANGUAGES)
def test_translate_runs_at_a_small_size(language, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "home"))
    text = code(f"tasks/translate{language}.md")
    assert text.count("assert") == 1
    small_pairs.write(tmp_path / "toy.tsv")
    for name, smaller in SMALLER_TRANSLATION.items():
        assert name in text
        text = text.replace(name, smaller)
    made = {"__name__": "guide"}
    exec(compile(text, "translate", "exec"), made)
    assert made["run"].path.name == "2-rl"
    assert len(made["texts"]) == len(made["references"]) >= 3


@pytest.mark.parametrize("language", ["", ".zh-CN"])
def test_what_the_page_on_data_reads_can_be_learnt_from(language, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STROP_HOME", str(tmp_path / "home"))
    text = code(f"data{language}.md")
    assert text.count("assert") == 5
    made = {"__name__": "guide"}
    exec(compile(text, "data", "exec"), made)
    codec = WordCodec(["say", "hello", "go", "away", "guess", "ant"])
    written = {
        "demonstrations": demonstrations(made["demonstrations"], codec),
        "episodes": played(made["episodes"], codec),
    } | {name: preferences(made[name], codec) for name in ("preferences", "thumbs", "steps")}
    assert {name: [one.text for one in episodes] for name, episodes in written.items()} == {
        "demonstrations": ["hello"],
        "episodes": ["ant"],
        "preferences": ["hello", "go away"],
        "thumbs": ["hello", "go away"],
        "steps": ["hello away"],
    }
    check_source(made["corpus"])
    assert len(made["found"].train) == 1
    assert len(made["train"]) == 40
    first, second, *_ = (
        (DOCS / f"data{language}.md").read_text(encoding="utf-8").split("    1 of 41 tasks")[1].split("\n")
    )
    told = capsys.readouterr().err
    assert f"1 of 41 tasks{first}\n{second.removeprefix('    ').partition(' | ')[0]}" in told
