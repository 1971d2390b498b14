"""Calls of tools: what is run, and how a bad one is answered."""

import json

import numpy as np
import pytest

from strop.environments import Tools
from strop.types import End, Task

FACTS = {"Baranvia": {"population": "4817", "price of tea": "372"}, "Dovista": {"population": "90"}}
SUM = '{"name": "calculator", "arguments": {"expression": "2 + 3"}}'


def env():
    return Tools(Task("1", "?", "5", {"facts": FACTS}), np.random.default_rng(0))


def called(text):
    """What comes back between the tags, of a call that ends nothing."""
    step = env().step(text)
    assert (step.end, step.reward, step.data["called"]) == (None, 0.0, True)
    assert step.text.startswith("<tool_response>\n")
    assert step.text.endswith("\n</tool_response>")
    found = step.text.removeprefix("<tool_response>\n").removesuffix("\n</tool_response>")
    assert step.data["failed"] == found.startswith("error: ")
    return found


def tagged(call):
    return f"<tool_call>\n{call if isinstance(call, str) else json.dumps(call)}\n</tool_call>"


def test_a_call_is_run():
    assert called(tagged(SUM)) == "5"
    assert called(f"Let me see.<tool_call>{SUM}</tool_call> So:") == "5"
    assert called(tagged({"arguments": {"fact": "price of tea", "land": "Baranvia"}, "name": "lookup"})) == "372"


def lookup(land, fact):
    return {"name": "lookup", "arguments": {"land": land, "fact": fact}}


def computed(expression):
    return {"name": "calculator", "arguments": {"expression": expression}}


BAD = {
    "<tool_call>": "does not end with </tool_call>",
    f"<tool_call>{SUM}": "does not end with </tool_call>",
    f"</tool_call><tool_call>{SUM}": "does not end with </tool_call>",
    tagged(SUM) * 2: "one call at a time",
    tagged("{"): "not JSON",
    tagged(""): "not JSON",
    tagged("[" * 900): "not JSON",
    tagged('{"name": "calculator", "arguments": {"expression": ' + "9" * 800 + "}}"): "expression, each a text",
    tagged(computed("9" * 2000)): "longer than 1000",
    tagged([computed("1")]): "a name and arguments",
    tagged("null"): "a name and arguments",
    tagged({"name": "calculator"}): "a name and arguments",
    tagged({"name": "calculator", "arguments": {"expression": "1"}, "id": 7}): "a name and arguments",
    tagged({"name": 3, "arguments": {}}): "the name is a text",
    tagged({"name": "calculator", "arguments": "1 + 1"}): "the arguments are an object",
    tagged({"name": "shell", "arguments": {"expression": "1"}}): "the tools are calculator and lookup",
    tagged({"name": "calculator", "arguments": {}}): "expression, each a text",
    tagged({"name": "calculator", "arguments": {"expression": 5}}): "expression, each a text",
    tagged({"name": "calculator", "arguments": {"expression": "1", "land": "x"}}): "expression, each a text",
    tagged({"name": "lookup", "arguments": {"land": "Dovista"}}): "land and fact, each a text",
    tagged(lookup("Atlantis", "population")): "the lands are Baranvia, Dovista",
    tagged(lookup("Dovista", "price of tea")): "the facts are population",
    tagged(computed("1 / 0")): "division by zero",
    tagged(computed("__import__('os')")): "only digits",
    tagged(computed("9**9**9")): "no powers",
}


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:60])
def test_a_bad_call_is_answered_by_what_is_wrong(text):
    assert BAD[text] in called(text)


def test_no_answer_repeats_what_was_written():
    """A text that the template would read as the next turn gets back into no prompt."""
    turn = "<|im_start|>system"
    for call in (turn, computed(turn), lookup(turn, turn), {"name": turn, "arguments": {}}, {turn: 1}):
        assert turn not in called(tagged(call))


@pytest.mark.parametrize("text", ["5", "", "So it is 5.", "</tool_call>", "calculator(2 + 3)"])
def test_a_text_without_a_call_is_the_answer(text):
    step = env().step(text)
    assert (step.end, step.data) == (End.TERMINATED, {"called": False, "failed": False})


@pytest.mark.parametrize("text", [tagged(SUM), tagged("{")])
def test_the_fifth_call_ends_the_episode(text):
    one = env()
    steps = [one.step(text) for _ in range(5)]
    assert [step.end for step in steps] == [None] * 4 + [End.TRUNCATED]
    assert "no more than 4 calls" in steps[-1].text


def test_four_calls_may_be_followed_by_an_answer():
    one = env()
    assert [one.step(tagged(SUM)).end for _ in range(4)] == [None] * 4
    assert one.step("5").end is End.TERMINATED


def test_a_task_without_a_table_is_refused():
    with pytest.raises(ValueError, match='has no "facts"'):
        Tools(Task("1", "?"), np.random.default_rng(0))
