"""Records refuse what they cannot hold: with the field, what was given, and what is allowed."""

from decimal import Decimal
from fractions import Fraction
from math import inf, isnan

import numpy as np
import pytest
import torch

import strop
from strop.types import End, as_number, decimals, total

RECURSIVE: list = []
RECURSIVE.append(RECURSIVE)
BAD_DATA = [None, [1], "x", {1: "a"}, {"a": {2: "b"}}, {"a": float("nan")}, {"a": [1.0, inf]}, {"a": np.float32(1)},
            {"a": {"b": {1, 2}}}, {"a": b"x"}, {"a": RECURSIVE}]  # fmt: skip
BAD_PROMPTS = [5, None, b"hi", [], ["hi"], [{"role": "robot", "content": "hi"}], [{"role": "user"}], ("hi",),
               [{"role": "user", "content": None}], {"role": "user", "content": "hi"}]  # fmt: skip


@pytest.mark.parametrize("prompt", BAD_PROMPTS)
def test_a_prompt_is_a_text_or_messages(prompt):
    with pytest.raises(ValueError, match=r"task 'one': prompt=.*(a text, or a list of messages|a message is)"):
        strop.Task("one", prompt)
    with pytest.raises(ValueError, match=r"Step\.text=.*(a text, or a list of messages|a message is)"):
        strop.Step(prompt)


@pytest.mark.parametrize("data", BAD_DATA, ids=str)
def test_data_that_json_would_not_give_back_is_refused(data):
    with pytest.raises(ValueError, match="task 'one': data"):
        strop.Task("one", "hi", data=data)
    with pytest.raises(ValueError, match=r"Step\.data"):
        strop.Step("hi", data=data)


def test_a_flaw_of_data_is_named_with_its_place():
    with pytest.raises(ValueError, match=r"data\['a'\]\[1\]\['b'\] is nan"):
        strop.Task("one", "hi", data={"a": [0, {"b": float("nan")}]})
    with pytest.raises(ValueError, match=r"data\['a'\] is of type int64 \((np.int64\()?3\)+: a run can keep texts"):
        strop.Task("one", "hi", data={"a": np.int64(3)})


def test_facts_of_every_json_kind_are_kept():
    data = {"a": [1, 2.5, True, None, "x", ["y", {"z": ()}]], "b": {}, "c": "\ud800\x00", "d": 10**30}
    assert strop.Task("one", [{"role": "user", "content": "hi"}], data=data).data == data


@pytest.mark.parametrize("fields", [{"id": 1}, {"id": None}, {"answer": 3}, {"answer": None}])
def test_ids_and_answers_are_texts(fields):
    with pytest.raises(ValueError, match=rf"{next(iter(fields))}={next(iter(fields.values()))}: it is a text"):
        strop.Task(**{"id": "one", "prompt": "hi"} | fields)


@pytest.mark.parametrize("end", [True, False, "done", "terminated", 0, End])
def test_an_end_is_one_of_the_ends(end):
    with pytest.raises(ValueError, match=r"Step\.end=.*strop\.End\.TERMINATED.*strop\.End\.TRUNCATED.*or None"):
        strop.Step("hi", end=end)


ODD = ["1", None, [1.0], np.array([1.0]), torch.ones(1), 1j, object()]


@pytest.mark.parametrize("reward", ODD, ids=lambda one: type(one).__name__)
def test_a_turns_reward_is_a_number(reward):
    assert as_number(reward) is None
    with pytest.raises(ValueError, match=r"Step\.reward=.*it is a number"):
        strop.Step("hi", reward)


@pytest.mark.parametrize(
    ("given", "value"),
    [
        (2, 2.0), (True, 1.0), (Decimal("0.25"), 0.25), (Fraction(1, 4), 0.25), (np.float32(0.5), 0.5),
        (np.int8(-3), -3.0), (np.bool_(True), 1.0), (np.array(1.5), 1.5), (torch.tensor(1.5, requires_grad=True), 1.5),
        (torch.tensor(True), 1.0), (torch.tensor(2, dtype=torch.bfloat16), 2.0), (10**400, inf), (-(10**400), -inf),
        (Decimal("-1e400"), -inf), (Fraction(10**400, 3), inf), (np.array(Decimal(3)), 3.0),
    ],
    ids=repr,
)  # fmt: skip
def test_every_kind_of_number_is_a_float(given, value):
    assert (as_number(given), type(as_number(given))) == (value, float)
    assert (strop.Step("hi", given).reward, type(strop.Step("hi", given).reward)) == (value, float)


def test_decimal_nans_are_nan():
    assert isnan(as_number(Decimal("NaN")))
    assert isnan(as_number(Decimal("sNaN")))


def test_a_sum_beyond_every_float_is_infinite():
    assert total([1e308, 1e308]) == inf
    assert total([-1e308, -1e308]) == -inf
    assert total([1.0, 1e100, 1.0, -1e100]) == 2.0  # exact, where plain addition says 0


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e300, "1e+300"), (-1.25e300, "-1.25e+300"), (1234.5678, "1234.568"), (0.0, "0.000"), (inf, "inf")],
)
def test_a_large_number_is_shown_with_its_exponent(value, text):
    assert decimals(value) == text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"max_tokens": 2.5}, "max_tokens=2.5: it is an int"), ({"max_tokens": True}, "it is an int"),
        ({"temperature": "hot"}, "temperature='hot': it is a float or a Schedule"), ({"top_k": None}, "it is an int"),
        ({"epsilon": strop.schedules.Linear}, "it is a float or a Schedule"), ({"top_p": [0.5]}, "it is a float"),
    ],
)  # fmt: skip
def test_a_distribution_of_other_types_is_refused(fields, words):
    with pytest.raises(ValueError, match=r"^Sampling\..*" + words):
        strop.Sampling(**fields)


def test_a_value_without_a_repr_is_refused_too():
    class Shy:
        def __repr__(self):
            raise RuntimeError("no")

    with pytest.raises(ValueError, match=r"Task\.id=<Shy, which cannot be shown: no>: it is a text"):
        strop.Task(Shy(), "hi")
    with pytest.raises(ValueError, match=r"Task\.id=<int, which cannot be shown"):
        strop.Task(10**5000, "hi")


def test_an_unscored_reason_is_a_text():
    with pytest.raises(ValueError, match=r"Unscored\.reason=None"):
        strop.Unscored(None)
