"""What an engine over HTTP answered, checked: nothing that does not fit in every respect is learnt from."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from strop.endpoint.request import Failed
from strop.types import Completion, Sampling, Tokens


@dataclass(frozen=True, slots=True)
class Expected:
    """What every answer of a step must be.

    version     of the weights that were published
    stop        the tokens that end a completion
    vocabulary  how many tokens there are
    """

    version: str
    stop: frozenset[int]
    vocabulary: int


def completion_of(body: bytes, expected: Expected, prompt: Tokens, sampling: Sampling) -> Completion:
    """The completion in the body of an answer to this prompt. Raises Failed, with what is wrong, for any other."""
    record = _object(body)
    version = record.get("version")
    if version != expected.version:
        told = f"an answer of the weights {version!r}, and {expected.version!r} were published"
        raise Failed(f"{told}: the server was started again, or somebody else publishes there", is_final=True)
    choices = record.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        raise Failed(f"{len(choices) if isinstance(choices, list) else 'no'} answers, and one was asked for")
    (choice,) = choices
    if choice.get("prompt_token_ids") != list(prompt):
        raise Failed("an answer to another prompt")
    tokens = _tokens(choice, expected.vocabulary, sampling.max_tokens)
    _check_usage(record, tokens)
    if not expected.stop.isdisjoint(tokens[:-1]):
        raise Failed("tokens that go on behind one that ends a completion")
    finish = choice.get("finish_reason")
    is_ended = tokens[-1] in expected.stop
    if finish != ("stop" if is_ended else "length") or (not is_ended and len(tokens) != sampling.max_tokens):
        raise Failed(
            f"finish_reason {finish!r} of {len(tokens)} tokens, where max_tokens is {sampling.max_tokens} and the last "
            f"one {'ends' if is_ended else 'does not end'} a completion"
        )
    return Completion(tokens, _logprobs(choice, len(tokens)), "stop" if is_ended else "length")


def model_of(body: bytes, sha256: str) -> str:
    """What a server calls the model that has these weights, from its answer. Raises Failed for any other."""
    told = _object(body)
    if told.get("version") != sha256 or not isinstance(told.get("model"), str):
        raise Failed(f"it says {body[:80]!r}, and is to load {sha256}")
    return str(told["model"])


def _object(body: bytes) -> dict[str, Any]:
    try:
        record = json.loads(body)
    except (ValueError, RecursionError):
        raise Failed(f"no whole JSON, but {body[:60]!r}") from None
    if not isinstance(record, dict):
        raise Failed(f"no completion, but {body[:60]!r}")
    return record


def _tokens(choice: dict[str, Any], vocabulary: int, most: int) -> Tokens:
    tokens = choice.get("token_ids")
    if not isinstance(tokens, list) or not all(type(token) is int and 0 <= token < vocabulary for token in tokens):
        raise Failed(f"token_ids {str(tokens)[:60]}, which are numbers from 0 to {vocabulary - 1}")
    if not 1 <= len(tokens) <= most:
        raise Failed(f"{len(tokens)} tokens, and at least 1 and at most {most} were asked for")
    return tuple(tokens)


def _check_usage(record: dict[str, Any], tokens: Sequence[int]) -> None:
    usage = record.get("usage")
    counted = usage.get("completion_tokens") if isinstance(usage, dict) else None
    if counted != len(tokens):
        raise Failed(f"{len(tokens)} tokens, where usage counts {counted}")


def _logprobs(choice: dict[str, Any], number: int) -> tuple[float, ...]:
    given = choice.get("logprobs")
    found = given.get("token_logprobs") if isinstance(given, dict) else None
    if not isinstance(found, list) or len(found) != number:
        raise Failed(f"{len(found) if isinstance(found, list) else 'no'} log-probs of {number} tokens")
    for one in found:
        if type(one) not in (int, float) or not -sys.float_info.max <= one <= 0.0:  # an int may be beyond any float
            raise Failed(f"a log-prob of {str(one)[:60]}, and it is a finite number, 0 or below")
    return tuple(map(float, found))
