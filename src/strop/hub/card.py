"""The model card of an exported run: its base, how to use it as it was trained, and its scores."""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from strop.codec import HFCodec, as_lines, as_words
from strop.hub.origin import TAG, Origin
from strop.intervals import METHOD
from strop.types import Codec, Prompt, Sampling, Tokens, messages_of

FOLDERS = re.compile(r"^([\w.]+=|)(?:~|\.\.?)?/(?:.*/)?(?=[^/]+/*$)")
"""Matches the folders before the last name of a path on the author's machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How the policy was prompted and sampled in training.

    prompt    a prompt that it was trained on; as tokens where only the environment knows its text
    systems   the different system prompts of its tasks
    sampling  the sampling settings of the last step
    """

    prompt: Prompt | Tokens
    systems: Sequence[str]
    sampling: Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What the model card says. A verdict is (name, before, after, change); `before` are the algorithms and steps of
    the runs that this one started from."""

    title: str
    origin: Origin
    algorithm: str
    command: str
    steps: int
    verdicts: Sequence[tuple[str, str, str, str]]
    strop: str
    usage: Usage
    before: Sequence[tuple[str, int]] = ()


def as_markdown(card: Card, codec: Codec, tokenizer: Any, is_sequence: bool) -> str:
    """The card as Markdown, with its metadata on top; `tokenizer` is the codec's, as it is saved in the folder.
    `is_sequence` says whether an encoder reads the prompt."""
    task = "text2text-generation" if is_sequence else "text-generation"
    return _page(card, "transformers", [_code(card, codec, is_sequence), *_notes(card.usage, codec, tokenizer)], task)


def as_markdown_of_masked(card: Card, mask: str) -> str:
    """The card of a masked language model whose mask is written so."""
    name = _literal(card.title)
    use = f"""```python
from transformers import pipeline

fill = pipeline("fill-mask", model={name})  # this folder, or where it is on the Hub
print(fill("Once upon a {mask}"))
```

- It says what stands at a hidden token, from both sides; it writes no text."""
    return _page(card, "transformers", [use], "fill-mask")


def as_markdown_for_strop(card: Card, codec: Codec, tokenizer: Any) -> str:
    """The card of a folder that only strop reads."""
    name = _literal(card.title)
    use = f"""```sh
strop chat {shlex.quote(card.title)}
strop train RECIPE policy={shlex.quote(card.title)}
```

```python
import strop

policy, codec = strop.FromFolder(folder={name}).build(seed=0, dtype="float32")
```"""
    return _page(card, TAG, [use, *_notes(card.usage, codec, tokenizer)])


def _page(card: Card, library: str, use: Sequence[str], task: str = "text-generation") -> str:
    parts = [_fields(card, library, task), f"# {card.title}", _origin(card), "## How to use it", *use]
    parts += ["## Held-out scores", _scores(card.verdicts)]
    if licence := card.origin.licence:
        parts += ["## Licence", f"The base model's: {licence.get('license_name', licence.get('license'))}."]
    return "\n\n".join(parts) + "\n"


def _fields(card: Card, library: str, task: str) -> str:
    from huggingface_hub import ModelCardData

    fields: dict[str, Any] = {
        "library_name": library,
        "pipeline_tag": task,
        "tags": [TAG, card.algorithm.lower()] if card.algorithm else [TAG],
        "base_model": card.origin.hub_id or None,
        **card.origin.licence,
    }
    return f"---\n{ModelCardData(**fields).to_yaml()}\n---"


def _origin(card: Card) -> str:
    trained = [_work(algorithm, steps) for algorithm, steps in (*card.before, (card.algorithm, card.steps))]
    text = f"Trained from {card.origin.words}, with strop {card.strop} ({'; then '.join(trained)})."
    return f"{text}\n\n    {without_folders(card.command)}" if card.command else text


def _work(algorithm: str, steps: int) -> str:
    """`GRPO, 60 steps`."""
    return (f"{algorithm}, " if algorithm else "") + f"{steps} step{'' if steps == 1 else 's'}"


def without_folders(command: str) -> str:
    """A command fit to be published: paths lose the folders of its author's machine."""
    try:
        words = shlex.split(command)
    except ValueError:  # a caller of strop.train may pass any text
        words = command.split()
    return shlex.join(FOLDERS.sub(r"\1", word) for word in words)


def _code(card: Card, codec: Codec, is_sequence: bool) -> str:
    auto = "AutoModelForSeq2SeqLM" if is_sequence else "AutoModelForCausalLM"
    answer = "output[0]" if is_sequence else 'output[0, inputs["input_ids"].shape[1]:]'
    sampling = card.usage.sampling
    assert not callable(sampling.temperature)
    temperature = round(float(sampling.temperature), 6)
    distribution = f"do_sample=True, temperature={temperature}, top_p={float(sampling.top_p)}, top_k={sampling.top_k}"
    distribution = distribution if temperature else "do_sample=False"
    return f"""```python
from transformers import {auto}, AutoTokenizer

name = {_literal(card.title)}  # this folder, or where it is on the Hub
tokenizer = AutoTokenizer.from_pretrained(name)
model = {auto}.from_pretrained(name)
{_inputs(card.usage.prompt, codec)}
output = model.generate(**inputs, {distribution}, max_new_tokens={sampling.max_tokens})
print(tokenizer.decode({answer}, skip_special_tokens=True))
```"""


def _inputs(prompt: Prompt | Tokens, codec: Codec) -> str:
    """Code that makes the inputs of this prompt, exactly as the policy reads it."""
    if isinstance(prompt, tuple):
        text, call = codec.decode(prompt), 'tokenizer(prompt, add_special_tokens=False, return_tensors="pt")'
    elif isinstance(codec, HFCodec) and codec.has_template:
        lines = "".join(f"    {_literal(turn)},\n" for turn in messages_of(prompt))
        how = 'add_generation_prompt=True, return_dict=True, return_tensors="pt"'
        return f"messages = [\n{lines}]\ninputs = tokenizer.apply_chat_template(messages, {how})"
    else:
        text = as_lines(prompt) if isinstance(codec, HFCodec) else as_words(prompt)
        call = 'tokenizer(prompt, return_tensors="pt")'
    return f"prompt = {_literal(text)}\ninputs = {call}"


def _literal(value: object) -> str:
    """JSON of texts is Python too."""
    return json.dumps(value, ensure_ascii=False)


def _notes(usage: Usage, codec: Codec, tokenizer: Any) -> list[str]:
    sampling = usage.sampling
    distribution = (
        f"temperature {sampling.temperature:g}" if sampling.temperature else "the likeliest token (temperature 0)"
    )
    explored = f", and {sampling.epsilon:.0%} of the tokens drawn from all alike" if sampling.epsilon else ""
    cut = "" if sampling.top_p < 1 or sampling.top_k else ", with nothing cut off by top-p or top-k"
    stops = ", ".join(f"`{token}`" for token in tokenizer.convert_ids_to_tokens(sorted(codec.stop)))
    notes = [f"- Sampled at {distribution}{cut}{explored}; at most {sampling.max_tokens} tokens an answer."]
    if sampling.choices:
        notes += [_choices(sampling.choices)]
    else:
        notes += [f"- An answer ends with {stops}." if stops else "- Nothing ends an answer but its length."]
    if not isinstance(codec, HFCodec) or not codec.has_template or isinstance(usage.prompt, tuple):
        return ["\n".join(notes)]
    read = textwrap.indent(codec.decode(codec.start(usage.prompt)), "    ", lambda line: True)
    notes += [f"- {_system(usage.systems)}"]
    return ["\n".join(notes), "The chat template makes of these messages:", read.rstrip("\n")]


def _choices(choices: Sequence[str] | str) -> str:
    of = f"its task's {choices}" if isinstance(choices, str) else ", ".join(f"`{choice}`" for choice in choices)
    return (
        f"- Every answer was one of {of}, without an end token, and only these were compared: what the model says of "
        "other words means nothing. Compare their probabilities instead of generating."
    )


def _system(systems: Sequence[str]) -> str:
    if not systems:
        return "Trained without a system prompt."
    others = f", one of {len(systems)}" if len(systems) > 1 else ""
    return f"Trained with the system prompt above{others}."


def _scores(verdicts: Sequence[tuple[str, str, str, str]]) -> str:
    if not verdicts:
        return "This checkpoint was not judged on held-out prompts."
    rows = ["| | before | after | difference |", "|---|---|---|---|"]
    rows += [f"| {' | '.join(row)} |" for row in verdicts]
    rows += ["", f"Means over held-out prompts; the difference is paired by prompt. {METHOD}."]
    return "\n".join(rows)
