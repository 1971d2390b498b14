"""What an engine over HTTP answered, checked: nothing that does not fit in every respect is learnt from."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any

from strop.endpoint.request import Failed
from strop.scale.server import Published
from strop.types import Completion, Sampling, Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a server says, whatever it is: none of it is checked yet.

    version   of the weights that it sampled with
    prompt    the token ids that it read
    tokens    those that it sampled
    logprobs  of these, in nats
    counted   how many it says these are
    finish    why it ended
    """

    version: object
    prompt: object
    tokens: object
    logprobs: object
    counted: object
    finish: object


def completion_of(answer: Answer, published: Published, prompt: Tokens, sampling: Sampling) -> Completion:
    """The completion in an answer to this prompt. Raises Failed, with what is wrong, for any other."""
    if answer.version != published.version:
        told = f"an answer of the weights {answer.version!r}, and {published.version!r} were published"
        raise Failed(f"{told}: the server was started again, or somebody else publishes there", is_final=True)
    if answer.prompt != list(prompt):
        raise Failed("an answer to another prompt")
    tokens = _tokens(answer.tokens, published.vocabulary, sampling.max_tokens)
    if answer.counted != len(tokens):
        raise Failed(f"{len(tokens)} tokens, where usage counts {answer.counted}")
    if not published.stop.isdisjoint(tokens[:-1]):
        raise Failed("tokens that go on behind one that ends a completion")
    is_ended = tokens[-1] in published.stop
    if answer.finish != ("stop" if is_ended else "length") or (not is_ended and len(tokens) != sampling.max_tokens):
        raise Failed(
            f"finish_reason {answer.finish!r} of {len(tokens)} tokens, where max_tokens is {sampling.max_tokens} and "
            f"the last one {'ends' if is_ended else 'does not end'} a completion"
        )
    return Completion(tokens, _logprobs(answer.logprobs, len(tokens)), "stop" if is_ended else "length")


def object_in(body: bytes) -> dict[str, Any]:
    """The JSON object that a body is. Raises Failed where it is none."""
    try:
        record = json.loads(body)
    except (ValueError, RecursionError):
        raise Failed(f"no whole JSON, but {body[:60]!r}") from None
    if not isinstance(record, dict):
        raise Failed(f"no completion, but {body[:60]!r}")
    return record


def only_choice(record: dict[str, Any]) -> dict[str, Any]:
    """The choice of an answer that has one. Raises Failed for none or several."""
    choices = record.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        raise Failed(f"{len(choices) if isinstance(choices, list) else 'no'} answers, and one was asked for")
    choice: dict[str, Any] = choices[0]
    return choice


def counted_in(record: dict[str, Any]) -> object:
    """How many tokens an answer says that it has."""
    return within(record.get("usage"), "completion_tokens")


def within(record: object, name: str) -> object:
    """A field of what may be an object; None where there is none."""
    return record.get(name) if isinstance(record, dict) else None


def _tokens(tokens: object, vocabulary: int, most: int) -> Tokens:
    if not isinstance(tokens, list) or not all(type(token) is int and 0 <= token < vocabulary for token in tokens):
        raise Failed(f"token_ids {str(tokens)[:60]}, which are numbers from 0 to {vocabulary - 1}")
    if not 1 <= len(tokens) <= most:
        raise Failed(f"{len(tokens)} tokens, and at least 1 and at most {most} were asked for")
    return tuple(tokens)


def _logprobs(found: object, number: int) -> tuple[float, ...]:
    if not isinstance(found, list) or len(found) != number:
        raise Failed(f"{len(found) if isinstance(found, list) else 'no'} log-probs of {number} tokens")
    for one in found:
        if type(one) not in (int, float) or not -sys.float_info.max <= one <= 0.0:  # an int may be beyond any float
            raise Failed(f"a log-prob of {str(one)[:60]}, and it is a finite number, 0 or below")
    return tuple(map(float, found))
