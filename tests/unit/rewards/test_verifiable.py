"""Exact answers, patterns and JSON: right or wrong, by cases that can be read."""

import pytest
from one_turn import wrote

import strop
from strop.rewards import Matches, ValidJSON, exact_answer, pattern
from strop.types import Task, Unscored

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 1}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}


TASK = Task("t", "p")


def scored(reward, text, task=TASK):
    return reward(task, wrote(task, text))


@pytest.mark.parametrize("text", ["Lima", "lima", " LIMA.\n", "Ｌｉｍａ！", "Lima。"])
def test_an_exact_answer_may_differ_in_case_space_and_its_last_mark(text):
    assert scored(exact_answer, text, Task("t", "p", "Lima.")) == 1.0


@pytest.mark.parametrize(
    "text", ["", ".", "Líma", "Limа", "Lima Lima", "Lima or Rome", "It is Lima", "L ima", "Lima..."]
)
def test_all_else_counts(text):
    """The а of the fourth is Cyrillic; of three marks only one is free."""
    assert scored(exact_answer, text, Task("t", "p", "Lima")) == 0.0


def test_signs_count_and_an_answer_may_be_a_mark():
    assert scored(exact_answer, "8", Task("t", "p", "-8")) == 0.0
    assert scored(exact_answer, "!", Task("t", "p", "!")) == 1.0
    assert scored(exact_answer, "", Task("t", "p", "!")) == 0.0


def test_exact_answer_needs_an_answer():
    with pytest.raises(ValueError, match="task 't' has no answer: exact_answer compares"):
        scored(exact_answer, "x")


@pytest.mark.parametrize(
    ("text", "score"),
    [("<a>12</a>", 1.0), ("so\n<a>12</a> \n", 1.0), ("<a>12</a> or <a>13</a>.", 0.0), ("<a>x</a>", 0.0), ("", 0.0)],
)
def test_the_whole_text_matches(text, score):
    assert scored(Matches(r"(?s).*<a>\d+</a>"), text) == score


def test_a_pattern_may_stand_in_the_task():
    task = Task("t", "p", data={"pattern": "b+"})
    assert scored(Matches(), "bbb", task) == 1.0
    assert scored(Matches(), "bba", task) == 0.0
    with pytest.raises(ValueError, match=r'task \'t\': Matches\(\) needs data\["pattern"\]'):
        scored(Matches(), "b")


def test_a_pattern_that_takes_too_long_is_unscored(monkeypatch):
    """Each a alone or with the next: as many ways as a Fibonacci number, here over a million million."""
    monkeypatch.setattr(pattern, "SECONDS", 0.02)
    found = scored(Matches("(a|aa)+b"), "a" * 60)
    assert isinstance(found, Unscored)
    assert "took longer than 0.02 second" in found.reason


def test_no_pattern_is_refused_when_it_is_made():
    with pytest.raises(ValueError, match=r"Matches\('\(a'\): it is no regular expression"):
        Matches("(a")


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ('{"name": "Ann", "age": 34}', 1.0),
        ('\n {"age": 34, "name": "Ann"} ', 1.0),
        ('{"name": "Ann"}', 0.0),
        ('{"name": "", "age": 34}', 0.0),
        ('{"name": "Ann", "age": "34"}', 0.0),
        ('{"name": "Ann", "age": NaN}', 0.0),
        ('```json\n{"name": "Ann", "age": 34}\n```', 0.0),
        ('{"name": "Ann", "age": 34} {}', 0.0),
        ("", 0.0),
        ("[" * 100_000, 0.0),
        ('{"name": "Ann", "age": ' + "9" * 5000 + "}", 0.0),
    ],
)
def test_valid_json_fits_its_schema(text, score):
    assert scored(ValidJSON(PERSON), text) == score


def test_a_schema_may_stand_in_the_task_and_an_empty_one_takes_any_json():
    assert scored(ValidJSON(), "[1, 2]", Task("t", "p", data={"schema": {"maxItems": 2}})) == 1.0
    assert scored(ValidJSON(), "[1, 2, 3]", Task("t", "p", data={"schema": {"maxItems": 2}})) == 0.0
    assert scored(ValidJSON({}), "null") == 1.0
    assert scored(ValidJSON({}), "NaN") == 0.0
    with pytest.raises(ValueError, match=r'needs data\["schema"\]'):
        scored(ValidJSON(), "{}")


def test_no_schema_is_refused_when_it_is_made():
    with pytest.raises(ValueError, match=r"this is no JSON Schema: .*'thing'.* \(at \$\.type\)"):
        ValidJSON({"type": "thing"})


def test_a_schema_of_the_network_is_not_looked_up(monkeypatch):
    from referencing.exceptions import Unresolvable

    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: pytest.fail("it asks the network"))
    with pytest.raises(Unresolvable):
        scored(ValidJSON({"$ref": "https://example.com/schema.json"}), "{}")


@pytest.mark.parametrize("number", [100, 900])
def test_a_value_nested_deeper_than_the_stack_is_wrong_and_never_an_error(number):
    nested = ValidJSON(
        {"$ref": "#/$defs/list", "$defs": {"list": {"type": "array", "items": {"$ref": "#/$defs/list"}}}}
    )
    assert scored(nested, "[" * number + "]" * number) in (0.0, 1.0)
    assert scored(nested, "[[]]") == 1.0


def test_without_jsonschema_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("strop.rewards.json_schema.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "strop\[rewards\]"'):
        strop.rewards.ValidJSON({})
