"""The calculator: values worked out by hand, and what it must not compute."""

import time

import pytest

from strop.environments._calculator import calculate

VALUES = {
    "1 + 2 * 3": "7",
    "(1 + 2) * 3": "9",
    "8 - 3 - 2": "3",
    "16 / 4 / 2": "2",
    "-(3 - 5)": "2",
    "+4 - -4": "8",
    "  12  ": "12",
    "1 / 4": "0.25",
    "1 / 3": "0.333333",
    "2 / 3": "0.666667",
    "-1 / 8": "-0.125",
    "7 / 7": "1",
    "0.1 + 0.2": "0.3",
    "0.1 * 999999999999999": "99999999999999.9",  # the float 0.1 is off by 5.6e-18
    "1 / 3 * 3": "1",
    ".5 * 4.": "2",
    "0 * -1": "0",
    "-1 / 9000000": "0",
    "48213 * 9774": "471233862",  # 48213 * 10000 - 48213 * 226 = 482130000 - 10896138
    "999999999999999 * 10": "9999999999999990",
    "9007199254740993 / 10": None,  # 16 digits
    "100000000 * 100000000 + 1": "10000000000000001",  # a float would lose the 1
}


@pytest.mark.parametrize("expression", VALUES)
def test_values_by_hand(expression):
    if VALUES[expression] is None:
        with pytest.raises(ValueError, match="more than 15 digits"):
            calculate(expression)
    else:
        assert calculate(expression) == VALUES[expression]


BAD = {
    "1 / 0": "division by zero",
    "1 / (2 - 2)": "division by zero",
    "9**9**9": "no powers",
    "2 ** 3": "no powers",
    "7 // 2": "no powers",
    "7 % 2": "only digits",
    "2 ^ 3": "only digits",
    "1e999": "only digits",
    "1_000": "only digits",
    "4,817 * 2": "only digits",
    "0x10": "only digits",
    "__import__('os').system('true')": "only digits",
    "().__class__": "only digits",
    "a": "only digits",
    "1\n+ 2": "only digits",
    "٣ + 1": "only digits",
    "²": "only digits",
    "1(2)": "only numbers",
    "(1)(2)": "only numbers",
    "()": "only numbers",
    "": "no expression",
    "   ": "no expression",
    "1 +": "no expression",
    "(1": "no expression",
    "1 2": "no expression",
    "007": "no expression",
    "1..2": "no expression",
    "9" * 16: "more than 15 digits",
    "9" * 99: "more than 15 digits",
    "9" * 5000: "longer than 100",
    "1+" * 10_000 + "1": "longer than 100",
    "(" * 100_000: "longer than 100",
    "(" * 99 + "1": "no expression",
    "*".join(["999999999999999"] * 3): "more than 30 digits",
}


@pytest.mark.parametrize("expression", BAD, ids=lambda text: text[:20])
def test_what_it_does_not_compute_is_said_at_once(expression):
    began = time.perf_counter()
    with pytest.raises(ValueError, match=BAD[expression]):
        calculate(expression)
    assert time.perf_counter() - began < 1.0


def test_the_deepest_expression_is_computed():
    assert calculate("-" * 98 + "1") == "1"
    assert calculate("(" * 49 + "1" + ")" * 49) == "1"
