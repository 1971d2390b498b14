"""What may be asked: the fields of OpenAI's API that are served. Every other field is refused, never ignored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from strop.types import Message, Prompt, prompt_of, shown
from strop.web.errors import Refused

MOST_ANSWERS = 16
"""The most answers of one request."""
MOST_TOKENS = 1_000_000
MOST_TOP = 20
"""The most of the likeliest tokens that are named for each."""

Text = Annotated[str, StringConstraints(max_length=500_000)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Stop = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Token = Annotated[int, Field(ge=0, lt=2**31)]
TokenIds = Annotated[list[Token], Field(min_length=1)]
Count = Annotated[int, Field(ge=1, le=MOST_TOKENS)]


class _Body(BaseModel):
    """A JSON object. A field that is null counts as left out; one that is not served must change nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    neutral: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    """Fields that are not served, and the values with which they change nothing."""

    @model_validator(mode="before")
    @classmethod
    def _only_what_is_served(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given  # which pydantic refuses
        kept = {name: value for name, value in given.items() if value is not None}
        for name in [name for name in kept if name not in cls.model_fields]:
            value = kept.pop(name)
            if name not in cls.neutral:
                raise Refused(
                    f"the field {name[:60]!r} is not served. The fields are {', '.join(cls.model_fields)}.",
                    code="unsupported_parameter",
                    param=name[:60],
                )
            if not any(type(value) is type(one) and value == one for one in cls.neutral[name]):
                without = " or ".join(["leave it out", *(f"give {shown(one)}" for one in cls.neutral[name])])
                raise Refused(
                    f"{name}={shown(value)} is not served: {without}.", code="unsupported_parameter", param=name
                )
        return kept


class StreamOptions(_Body):
    """`include_usage`: the last chunk counts the tokens."""

    neutral = {"include_obfuscation": (False,)}
    include_usage: bool = False


class _Asked(_Body):
    """The fields that chats and completions share."""

    model: str
    max_tokens: Count | None = None
    temperature: Annotated[float, Field(ge=0.0, le=2.0)] | None = None
    top_p: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    n: Annotated[int, Field(ge=1, le=MOST_ANSWERS)] = 1
    stop: Stop | Annotated[list[Stop], Field(max_length=4)] = []
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    user: Name = "anonymous"

    @model_validator(mode="after")
    def _stream_options_need_a_stream(self) -> Self:
        if self.stream_options is not None and not self.stream:
            raise Refused("stream_options needs stream=true.", param="stream_options")
        return self

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts that end an answer."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with the number of tokens."""
        return self.stream_options is not None and self.stream_options.include_usage


class TextPart(_Body):
    """A piece of a message."""

    type: Literal["text"]
    text: Text


class ChatMessage(_Body):
    """One message; `developer` is another name of `system`."""

    neutral = {"refusal": (), "tool_calls": ([],)}
    role: Literal["system", "developer", "user", "assistant"]
    content: Text | list[TextPart]

    @property
    def message(self) -> Message:
        """It as strop writes it."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return {"role": "system" if self.role == "developer" else self.role, "content": text}


class Metadata(_Body):
    """`conversation`: the conversation that the answer belongs to; by default one of its own."""

    conversation: Name


class ChatRequest(_Asked):
    """POST /v1/chat/completions."""

    neutral = {
        "frequency_penalty": (0, 0.0),
        "presence_penalty": (0, 0.0),
        "logit_bias": ({},),
        "response_format": ({"type": "text"},),
        "tools": ([],),
        "tool_choice": ("none",),
        "modalities": (["text"],),
        "service_tier": ("auto", "default"),
    }
    store: bool = False
    """The person agrees that this conversation is kept and learnt from."""
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=1_000)]
    max_completion_tokens: Count | None = None
    logprobs: bool = False
    top_logprobs: Annotated[int, Field(ge=0, le=MOST_TOP)] = 0
    metadata: Metadata | None = None

    @model_validator(mode="after")
    def _one_limit_and_the_turn_of_the_assistant(self) -> Self:
        if self.max_tokens is not None and self.max_completion_tokens is not None:
            raise Refused("max_tokens and max_completion_tokens are one limit: give one of them.", param="max_tokens")
        if self.top_logprobs and not self.logprobs:
            raise Refused("top_logprobs needs logprobs=true.", param="top_logprobs")
        if self.messages[-1].role == "assistant":
            raise Refused("the last message is the assistant's: there is nothing to answer.", param="messages")
        return self

    @property
    def top(self) -> int:
        """How many of the likeliest tokens are named."""
        return self.top_logprobs

    @property
    def limit(self) -> int | None:
        """The most tokens of an answer, if given."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def spoken(self) -> list[Message]:
        """The messages as strop writes them."""
        return [one.message for one in self.messages]

    @property
    def prompt(self) -> Prompt:
        """What the policy is asked."""
        return prompt_of(self.spoken)


class CompletionRequest(_Asked):
    """POST /v1/completions: a text, or several, that the answer continues; or the ids of their tokens.

    return_token_ids  each choice has `prompt_token_ids` and `token_ids`, and its log-probs are of all its tokens, that
                      which ends it too (as vLLM has it)
    """

    neutral = {
        "frequency_penalty": (0, 0.0),
        "presence_penalty": (0, 0.0),
        "logit_bias": ({},),
        "best_of": (1,),
        "echo": (False,),
        "suffix": ("",),
    }
    prompt: (
        Text
        | Annotated[list[Text], Field(min_length=1, max_length=MOST_ANSWERS)]
        | TokenIds
        | Annotated[list[TokenIds], Field(min_length=1, max_length=MOST_ANSWERS)]
    )
    logprobs: Annotated[int, Field(ge=0, le=0)] | None = None
    return_token_ids: bool = False

    @model_validator(mode="after")
    def _token_ids_are_whole(self) -> Self:
        if self.return_token_ids and self.stream:
            raise Refused("return_token_ids is for whole answers: leave stream out.", param="return_token_ids")
        return self

    @property
    def top(self) -> int:
        """None of the likeliest tokens."""
        return 0

    @property
    def prompts(self) -> Sequence[str | list[int]]:
        """The prompts, each a text or token ids."""
        match self.prompt:
            case str() as text:
                return [text]
            case [int(), *_] as tokens:
                return [cast("list[int]", tokens)]
            case several:
                return cast("list[str | list[int]]", several)

    @property
    def limit(self) -> int | None:
        """The most tokens of an answer, if given."""
        return self.max_tokens


class WeightsRequest(_Body):
    """POST /v1/weights: the hash of a file that a learner has written into the folder of `--weights`."""

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class ComparisonValue(_Body):
    """Two answers to the same messages, by their inference ids: `choice` says which is better."""

    a: Name
    b: Name
    choice: Literal["A", "B", "same", "both bad"]
    shown_first: Literal["A", "B"] | None = None


class FeedbackRequest(_Body):
    """POST /feedback: what a person says of an answer, of a conversation, or of two answers."""

    kind: Literal["thumb", "rating", "comment", "demonstration", "comparison"]
    value: bool | float | Text | ComparisonValue
    inference_id: Name | None = None
    conversation_id: Name | None = None
    rater: Name = "anonymous"


class FactRequest(_Body):
    """POST /memory/facts and PUT /memory/facts/ID: what is to be remembered.

    store  the person agrees that it is kept until they delete it
    """

    text: Text
    store: bool = False


class SignInRequest(_Body):
    """POST /session: the key of whoever signs in at the pages."""

    key: Name


class NextPairRequest(_Body):
    """POST /pairs/next: who is to compare two answers."""

    rater: Name = "anonymous"


class SkipRequest(_Body):
    """POST /pairs/skip: a pair that this person does not want to compare."""

    pair: Annotated[int, Field(ge=1, lt=2**63)]
    rater: Name = "anonymous"
