"""Small bugs, planted one at a time into the syntax tree of a file.

    sign       a + b, a - b, a * b, a / b become their opposite; -a becomes a; what a function returns, and a tensor
               that gets a name, turns round
    mask       torch.where(m, a, b), a.masked_fill(m, v) and a.clamp(...) become a; of `a & b` one side goes; ~a is a
    index      a whole number or a slice's end moves by one
    compare    < and <=, > and >=, == and != change places; so do is and is not
    order      min and max change places, in every name that they have
    condition  the two ways of an `if` change places; True and False too
    argument   a named argument of a call is forgotten

Documentation, annotations, messages of errors, the fields of a record and its checks of what a user gave are left
alone: a default is a choice and no formula.
"""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

OPPOSITE: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
NAMES = {"min": "max", "minimum": "maximum", "amin": "amax", "argmin": "argmax", "cummin": "cummax"}
NAMES |= {there: here for here, there in NAMES.items()}
KEEPS_ITS_OWNER = ("masked_fill", "clamp")
RESHAPING = ("unsqueeze", "squeeze", "transpose", "flip")
SKIPPED = ("__post_init__", "state_dict", "load_state_dict")


@dataclass(frozen=True)
class Mutant:
    """One planted bug: `was` and `now` are the statement that holds it, from `line` to `last`; `source` is the whole
    file with it."""

    kind: str
    line: int
    last: int
    where: str
    was: str
    now: str
    source: str


def plant(source: str) -> list[Mutant]:
    """Every small bug of a file, each once."""
    tree = ast.parse(source)
    found = {}
    for number, (where, statement, kind, _) in enumerate(_sites(tree)):
        mutated = copy.deepcopy(tree)
        _, own, _, apply = _nth(mutated, number)
        was = _header(statement)
        apply()
        now = _header(own)
        if now != was:
            planted = ast.unparse(ast.fix_missing_locations(mutated))
            mutant = Mutant(kind, statement.lineno, _last_line(statement), where, was, now, planted)
            found.setdefault((mutant.line, mutant.source), mutant)
    return list(found.values())


Site = tuple[str, ast.stmt, str, Callable[[], None]]


def _nth(tree: ast.Module, number: int) -> Site:
    for i, site in enumerate(_sites(tree)):
        if i == number:
            return site
    raise AssertionError(number)


def _sites(tree: ast.Module) -> Iterator[Site]:
    """(function, statement, kind, how to plant it there), always in the same order."""
    for where, statement in _statements(tree.body, ""):
        if isinstance(statement, ast.If):
            yield where, statement, "condition", lambda s=statement: _negate(s)
        if _is_number(statement):
            yield where, statement, "sign", lambda s=statement: _put(s, "value", None, _minus(s.value))
        for parent, field, index, node in _expressions(statement):
            for kind, new in _changes(node):
                yield where, statement, kind, lambda p=parent, f=field, i=index, n=new: _put(p, f, i, n)


def _statements(body: list[ast.stmt], where: str, is_class: bool = False) -> Iterator[tuple[str, ast.stmt]]:
    """The statements inside functions, with the function's name."""
    for one in body:
        if isinstance(one, ast.FunctionDef | ast.ClassDef):
            if one.name not in SKIPPED:
                yield from _statements(one.body, f"{where}.{one.name}".lstrip("."), isinstance(one, ast.ClassDef))
            continue
        is_field = is_class and isinstance(one, ast.AnnAssign)
        is_text = isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)
        if where and not is_field and not is_text and not isinstance(one, ast.Raise | ast.Assert):
            yield where, one
        for name in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(one, name, []), where)


def _expressions(statement: ast.stmt) -> Iterator[tuple[ast.AST, str, int | None, ast.expr]]:
    """Every expression of a statement and where it hangs; statements inside it have their own turn."""
    stack: list[ast.AST] = [statement]
    while stack:
        parent = stack.pop()
        for field, value in ast.iter_fields(parent):
            if field in ("annotation", "returns") or _is_dimension(parent, field):
                continue
            for index, node in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if (
                    _is_negative(parent)
                    or isinstance(node, ast.JoinedStr)
                    or not isinstance(node, ast.AST)
                    or isinstance(node, ast.stmt)
                ):
                    continue
                if isinstance(node, ast.expr):
                    yield parent, field, index, node
                stack.append(node)


def _changes(node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node, ast.BinOp):
        if type(node.op) in OPPOSITE:
            yield "sign", _with(node, op=OPPOSITE[type(node.op)]())
        if isinstance(node.op, ast.BitAnd | ast.BitOr):
            yield "mask", node.left
            yield "mask", node.right
    elif isinstance(node, ast.BoolOp):
        for i in range(len(node.values)):
            left = node.values[:i] + node.values[i + 1 :]
            yield "mask", left[0] if len(left) == 1 else _with(node, values=left)
    elif isinstance(node, ast.UnaryOp):
        if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
            yield "index", ast.Constant(1 - node.operand.value)  # -1 is one number: a flipped sign would often be it
            return
        yield "mask" if isinstance(node.op, ast.Invert | ast.Not) else "sign", node.operand
    elif isinstance(node, ast.Compare):
        if len(node.ops) == 1 and type(node.ops[0]) in OPPOSITE:
            yield "compare", _with(node, ops=[OPPOSITE[type(node.ops[0])]()])
    elif isinstance(node, ast.Call):
        yield from _called(node)
    elif isinstance(node, ast.Name | ast.Attribute):
        name = node.id if isinstance(node, ast.Name) else node.attr
        if name in NAMES:
            yield "order", _with(node, **{"id" if isinstance(node, ast.Name) else "attr": NAMES[name]})
    elif isinstance(node, ast.Slice):
        for end in ("lower", "upper"):
            bound = getattr(node, end)
            if bound is not None and not isinstance(bound, ast.Constant):
                yield "index", _with(node, **{end: ast.BinOp(bound, ast.Add(), ast.Constant(1))})
    elif isinstance(node, ast.IfExp):
        yield "condition", _with(node, body=node.orelse, orelse=node.body)
    elif isinstance(node, ast.Constant):
        yield from _constant(node)


def _called(node: ast.Call) -> Iterator[tuple[str, ast.expr]]:
    for i, keyword in enumerate(node.keywords):
        if keyword.arg not in (None, "dtype", "device", "strict"):
            yield "argument", _with(node, keywords=node.keywords[:i] + node.keywords[i + 1 :])
    if not isinstance(node.func, ast.Attribute):
        return
    if node.func.attr == "where" and len(node.args) == 3:
        yield "mask", node.args[1]
    elif node.func.attr in KEEPS_ITS_OWNER:
        yield "mask", node.func.value


def _constant(node: ast.Constant) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(node.value, bool):
        yield "condition", ast.Constant(not node.value)
    elif isinstance(node.value, int | float):
        yield "index", ast.Constant(node.value + 1)
    elif node.value in NAMES:
        yield "order", ast.Constant(NAMES[str(node.value)])


def _with(node: ast.expr, **fields: object) -> ast.expr:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _is_number(statement: ast.stmt) -> bool:
    """Whether it returns something computed, or gives a name to a tensor, which a shape suffix tells."""
    if isinstance(value := getattr(statement, "value", None), ast.Call) and _is_sign_free(value):
        return False
    if isinstance(statement, ast.Return):
        return isinstance(statement.value, ast.Call | ast.BinOp | ast.UnaryOp | ast.IfExp)
    return (
        isinstance(statement, ast.Assign)
        and isinstance(statement.targets[0], ast.Name)
        and re.search(r"_[A-Z]+1?$", statement.targets[0].id) is not None
    )


def _is_sign_free(call: ast.Call) -> bool:
    """Whether it makes zeros, or NaN, which are the same with a minus."""
    if "zeros" in getattr(call.func, "attr", ""):
        return True
    return any(isinstance(one, ast.Attribute) and one.attr == "nan" for one in call.args)


def _is_dimension(parent: ast.AST, field: str) -> bool:
    """Whether a constant numbers a dimension, or says that lengths agree: another one only raises, or raises less."""
    if isinstance(parent, ast.keyword):
        return parent.arg in ("dim", "strict") and field == "value"
    return isinstance(parent, ast.Call) and field == "args" and getattr(parent.func, "attr", "") in RESHAPING


def _is_negative(node: ast.AST) -> bool:
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant)


def _minus(node: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.USub(), node)


def _negate(statement: ast.If) -> None:
    statement.test = ast.UnaryOp(ast.Not(), statement.test)


def _put(parent: ast.AST, field: str, index: int | None, node: ast.expr) -> None:
    if index is None:
        setattr(parent, field, node)
    else:
        getattr(parent, field)[index] = node


def _last_line(statement: ast.stmt) -> int:
    """Where a statement ends, or where what stands inside it begins."""
    body: list[ast.stmt] = getattr(statement, "body", [])
    return max(statement.lineno, body[0].lineno - 1) if body else statement.end_lineno or statement.lineno


def _header(statement: ast.stmt) -> str:
    """A statement in one line, without the statements inside it."""
    return " ".join(ast.unparse(ast.fix_missing_locations(statement)).split("\n")[0].split())
