"""A calculator that is safe to give to a model: numbers, + - * / and brackets, computed exactly, and nothing else."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from fractions import Fraction

LONGEST = 100
"""Characters of an expression, so that it is neither deep nor slow."""
LARGEST = 10**15
"""What a number of an expression stays below: up to it a float is read back as it was written."""
LARGEST_RESULT = 10**30
"""What each result stays below, as a numerator and as a denominator."""
PLACES = 6
"""Decimals of a result that is no whole number."""
_ALLOWED = re.compile(r"[0-9+\-*/(). ]*")
_SIGNS: Mapping[type[ast.unaryop], int] = {ast.UAdd: 1, ast.USub: -1}
_OPERATORS: Mapping[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def calculate(expression: str) -> str:
    """The value of an expression: a whole number, or a decimal rounded to six places.

    Raises ValueError that says what is allowed, and repeats nothing of what was given: a text that a model wrote might
    hold what its chat template writes between turns.
    """
    if len(expression) > LONGEST:
        raise ValueError(f"the expression is longer than {LONGEST} characters")
    if not _ALLOWED.fullmatch(expression):
        raise ValueError("an expression has only digits, + - * / and brackets")
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        raise ValueError("this is no expression such as (12 + 3) * 4") from None
    return _shown(_value(tree))


def _value(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int() | float() as number):
            if not abs(number) < LARGEST:
                raise ValueError("a number of the expression has more than 15 digits")
            return Fraction(repr(number))
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _SIGNS:
            return _SIGNS[type(op)] * _value(operand)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _combined(type(op), _value(left), _value(right))
    raise ValueError("an expression has only numbers, + - * / and brackets: no powers")


def _combined(op: type[ast.operator], left: Fraction, right: Fraction) -> Fraction:
    if op is ast.Div and right == 0:
        raise ValueError("division by zero")
    result = _OPERATORS[op](left, right)
    if max(abs(result.numerator), result.denominator) >= LARGEST_RESULT:
        raise ValueError("the result has more than 30 digits")
    return result


def _shown(value: Fraction) -> str:
    scaled = round(value * 10**PLACES)
    whole, part = divmod(abs(scaled), 10**PLACES)
    text = f"{whole}.{part:0{PLACES}d}".rstrip("0").rstrip(".")
    return f"-{text}" if scaled < 0 else text
