"""Texts of episodes, shortened and without control characters, for the terminal."""

from __future__ import annotations

from strop.types import Episode, Prompt

MOST_CHARS = 600


def shortened(text: str) -> str:
    """The beginning of a long text."""
    text = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)
    return text if len(text) <= MOST_CHARS else f"{text[:MOST_CHARS]} ... ({len(text)} characters)"


def on_one_line(text: str, chars: int) -> str:
    """At most so many characters on one line; what cannot be printed is a space, and an empty text is said."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return (line if len(line) <= chars else f"{line[: chars - 4]} ...") or "(nothing that can be printed)"


def last_message(prompt: Prompt) -> str:
    """The last message of a prompt."""
    return shortened(prompt if isinstance(prompt, str) else prompt[-1]["content"] if prompt else "")


def answer_of(episode: Episode) -> str:
    """What the policy wrote; several short turns on one line."""
    texts = [turn.text for turn in episode.turns]
    short = len(texts) > 1 and all(len(text) < 24 and "\n" not in text for text in texts)
    return shortened((" · " if short else "\n").join(texts)) or "(nothing)"


def is_cut(episode: Episode) -> bool:
    """Whether its last text was cut at max_tokens. An action of one token is never cut."""
    last = episode.turns[-1].completion if episode.turns else None
    return last is not None and last.finish == "length" and len(last.tokens) > 1
