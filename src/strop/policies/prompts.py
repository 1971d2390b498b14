"""How prompts are written for a pretrained model: by its chat template, with or without what it adds, or plain."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from strop.codec import rendered
from strop.types import Message, check_fields

FIRST: Sequence[Message] = ({"role": "user", "content": "a"},)
LEAD: Sequence[Message] = (*FIRST, {"role": "assistant", "content": "b"})
"""A turn that stands before another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """How a task's prompt is written for the model. An exported folder has it in its chat template.

    template        chat: by the model's chat template, if it has one; plain: the text as it is
    prefix          what every answer of a chat begins with, such as "Sentiment:". It ends the prompt of every turn: it
                    is no action, and no part of the text that rewards read
    default_system  with the system message that some chat templates add where a prompt has none (smollm2's: "You are a
                    helpful AI assistant named SmolLM, trained by Hugging Face")
    tools           functions that the chat template is told of, each {"type": "function", "function": {...}} with a
                    JSON schema: it writes them, and how they are called, in its own format
    """

    template: Literal["chat", "plain"] = "chat"
    prefix: str = ""
    default_system: bool = True
    tools: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "tools", tuple(self.tools))  # a config that is read back has a list, and is equal
        if self.template not in ("chat", "plain"):
            raise ValueError(f"policy.prompts.template={self.template!r}: it is chat or plain.")
        if self.tools and not self.default_system:
            raise ValueError(
                "policy.prompts.tools and policy.prompts.default_system=false exclude each other: a chat template "
                "writes its tools into the system message."
            )
        if self.template == "plain" and (self.prefix or self.tools or not self.default_system):
            raise ValueError(
                f"policy.prompts.{self._in_template} belongs to a chat template, and policy.prompts.template=plain "
                "uses none: a plain prompt is read as it is written, so write into it what it ends with."
            )

    def put_into(self, tokenizer: Any) -> None:
        """Change the tokenizer's chat template, so that all who read it write prompts so.

        Raises ValueError for a model that has no chat template to change, or one whose parts cannot be told apart.
        """
        if self == Prompts():
            return
        if self.template == "plain":
            tokenizer.chat_template = None
            return
        if not tokenizer.chat_template:
            raise ValueError(
                f"policy.prompts.{self._in_template} belongs to a chat template, and {tokenizer.name_or_path} has "
                "none: its prompts are plain, so write into them what they end with."
            )
        template: str = tokenizer.get_chat_template()
        if not self.default_system:
            template = _without_system(tokenizer, template)
        if self.tools:
            template = _with_tools(tokenizer, template, self.tools)
        if self.prefix:
            template = (
                f"{_body(template)}{{%+ if add_generation_prompt %}}{{{{ {_literal(self.prefix)} }}}}{{% endif %}}"
            )
        tokenizer.chat_template = template

    @property
    def _in_template(self) -> str:
        """The field that needs a template, as it is typed."""
        if self.tools:
            return "tools"
        return f"prefix={self.prefix!r}" if self.prefix else "default_system=false"


def _with_tools(tokenizer: Any, template: str, tools: Sequence[Mapping[str, Any]]) -> str:
    """The template that is always told of these tools.

    Raises ValueError for a template that leaves out what it is told, as smollm2's does.
    """
    told = f"{{% set tools = {_literal(list(tools))} +%}}{template}"
    written = tokenizer.apply_chat_template(list(FIRST), chat_template=told, tokenize=False)
    if written == rendered(tokenizer, FIRST, generate=False):
        raise ValueError(
            f"policy.prompts.tools: the chat template of {tokenizer.name_or_path} knows no tools and would leave them "
            "out. Say in a system message what can be called, and how."
        )
    return told


def _without_system(tokenizer: Any, template: str) -> str:
    """The template without the system message that it adds: a first turn is written as a later one.

    What begins a conversation (a token such as `<s>`) stays.
    """
    first = rendered(tokenizer, FIRST, generate=True)
    earlier, whole = rendered(tokenizer, LEAD, generate=False), rendered(tokenizer, [*LEAD, *FIRST], generate=True)
    later = whole.removeprefix(earlier)
    if not whole.startswith(earlier) or not first.endswith(later):
        raise ValueError(
            f"policy.prompts.default_system=false: the chat template of {tokenizer.name_or_path} writes a first turn "
            "otherwise than a later one, so its system message cannot be left out. Give the prompts one of your own: "
            'prompt=[{"role": "system", ...}, {"role": "user", ...}].'
        )
    added, begin = first.removesuffix(later), tokenizer.bos_token or ""
    opening = begin if added.startswith(begin) and not later.startswith(begin) else ""  # some begin every turn with it
    if added == opening:
        return template
    return (
        f"{{% macro written(messages, add_generation_prompt) +%}}{_body(template)}{{% endmacro %}}"
        '{% if messages[0]["role"] == "system" %}{{ written(messages, add_generation_prompt) }}{% else %}'
        f"{{% set lead = {_literal(LEAD)} %}}{{{{ {_literal(opening)} + "
        "written(lead + messages, add_generation_prompt)[written(lead, false) | length:] }}{% endif %}"
    )


def _body(template: str) -> str:
    """The template as a part of another one: Jinja drops a line break only at the very end."""
    return template.removesuffix("\n")


def _literal(value: object) -> str:
    """JSON of texts is Jinja too."""
    return json.dumps(value, ensure_ascii=False)
