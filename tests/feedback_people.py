"""Answers and feedback for tests."""

from __future__ import annotations

from strop.assistant import Answered, Comparison, Feedback


def answer(inference: str, text: str = "hello", *, question: str = "say hello", version: int | None = 0, **changes):
    fields = {
        "conversation": f"talk of {inference}",
        "messages": [{"role": "user", "content": question}],
        "when": 1.5,
        "rater": "ann",
    }
    return Answered(**{"inference": inference, "version": version, "text": text, **fields, **changes})


def compared(a: str, b: str, choice: str, shown_first: str | None = "A", rater: str = "ann", id: str = "") -> Feedback:
    value = Comparison(a=a, b=b, choice=choice, shown_first=shown_first)
    return said("comparison", value, None, rater=rater, id=id or f"{rater} {a} {b}")


def said(kind, value, inference, *, conversation=None, rater="ann", id="") -> Feedback:
    return Feedback(
        id=id or f"{rater} {kind} {inference}",
        kind=kind,
        inference=inference,
        conversation=conversation,
        value=value,
        rater=rater,
        when=2.5,
    )
