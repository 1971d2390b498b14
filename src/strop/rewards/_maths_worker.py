"""A process that compares answers by math-verify: a line of JSON in, a line out. It can be ended; a thread cannot.

{"answer": "7", "text": "So it is 7."}  ->  true
"""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import Any

READY = "ready"
"""The first line: what is imported took its time."""
WHOLE = re.compile(r"[-+]?\d[\d,]*(\.0*)?")
"""How a whole number is written. An expression of the same value, such as the question, is no answer to a sum."""


NUMBER = re.compile(r"[-+]?[\d.,/]+")
"""What is read as it is; another answer is read as LaTeX."""


def is_same(answer: str, text: str) -> bool:
    """Whether what the text says last has the value of the answer."""
    from math_verify import parse, verify
    from sympy import Integer, Number

    gold: list[Any] = parse(answer if NUMBER.fullmatch(answer) else f"${answer}$", parsing_timeout=None)
    said: list[Any] = parse(text, parsing_timeout=None)
    if not gold or not said:
        return False
    if isinstance(gold[0], Integer) and not (isinstance(said[0], Number) and WHOLE.fullmatch(str(said[-1]).strip())):
        return False
    return bool(verify(gold, said, timeout_seconds=None))


def main() -> None:
    """Answer line by line, until there is none."""
    logging.disable(logging.CRITICAL)  # it warns that the time must be kept by others, as it is
    is_same("1", "1")
    print(READY, flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(is_same(asked["answer"], asked["text"])), flush=True)


if __name__ == "__main__":
    main()
