"""Prompts as plain text, with a prefix of the answer, and without a system message that nobody gave."""

import json
from pathlib import Path

import pytest
from transformers import AutoTokenizer

import strop
import tiny_hf
from strop.cli.overrides import apply
from strop.codec import HFCodec
from strop.policies.prompts import Prompts
from strop.runs.spec import decode, encode
from strop.serving import actor
from strop.serving.conversation import Conversation
from strop.types import End, Step

SYSTEM = "<|im_start|>system\nYou help.<|im_end|>\n"
USER = "<|im_start|>user\nthe cat<|im_end|>\n<|im_start|>assistant\n"
ADDS_SYSTEM = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}{{ '<|im_start|>system\nYou help.<|im_end|>\n' }}{% endif %}\n"
    "    {{- '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' -}}\n{% endfor %}\n"
    "    {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}\n"
)
"""As SmolLM2's, with the line breaks and indents that Jinja drops."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_hf.make(tmp_path_factory.mktemp("prompts") / "tiny")


def tokenizer_of(folder, template: str | None = ADDS_SYSTEM, begin: str | None = None):
    made = AutoTokenizer.from_pretrained(folder)
    made.chat_template = template
    made.bos_token = begin
    return made


def codec_of(folder, prompts: Prompts, **given) -> HFCodec:
    tokenizer = tokenizer_of(folder, **given)
    prompts.put_into(tokenizer)
    return HFCodec(tokenizer)


def read(codec: HFCodec, tokens) -> str:
    return codec.tokenizer.decode(list(tokens))


def test_by_default_the_template_writes_what_it_writes(folder):
    codec = codec_of(folder, Prompts())
    assert read(codec, codec.start("the cat")) == SYSTEM + USER


def test_a_plain_prompt_is_its_text_in_every_turn(folder):
    codec = codec_of(folder, Prompts(template="plain"))
    prompt, answer = codec.start("the cat"), codec.encode("sat")
    assert prompt == codec.encode("the cat")
    assert codec.extend(prompt, answer, "on") == prompt + answer + codec.encode("on")


@pytest.mark.parametrize("prefix", ["Sentiment:", ' "a" \\ {{ b }} 🙂\n'])
def test_a_prefix_ends_the_prompt_of_every_turn(folder, prefix):
    codec = codec_of(folder, Prompts(prefix=prefix))
    prompt = codec.start("the cat")
    assert read(codec, prompt) == SYSTEM + USER + prefix
    answer = (*codec.encode("sat"), codec.end)
    following = codec.extend(prompt, answer, "the cat")
    assert following[: len(prompt) + len(answer)] == prompt + answer
    assert read(codec, following[len(prompt) + len(answer) :]) == "\n" + USER + prefix
    assert codec.decode(answer) == "sat"


def test_a_system_message_that_nobody_gave_is_left_out_and_a_given_one_stays(folder):
    codec = codec_of(folder, Prompts(default_system=False))
    prompt = codec.start("the cat")
    assert read(codec, prompt) == USER
    following = codec.extend(prompt, (*codec.encode("sat"), codec.end), "the cat")
    assert read(codec, following) == f"{USER}sat<|im_end|>\n{USER}"
    given = [{"role": "system", "content": "You help."}, {"role": "user", "content": "the cat"}]
    assert read(codec, codec.start(given)) == SYSTEM + USER


@pytest.mark.parametrize(("begin", "kept"), [("<pad>", "<pad>"), ("<|im_start|>", ""), (None, "")])
def test_what_begins_a_conversation_stays_unless_it_begins_every_turn(folder, begin, kept):
    codec = codec_of(folder, Prompts(default_system=False), template=kept + ADDS_SYSTEM, begin=begin)
    assert read(codec, codec.start("the cat")) == kept + USER


@pytest.mark.parametrize("ending", ["", "\n", "\n\n", "\n  "])
def test_white_space_around_a_template_stays_as_it_is(folder, ending):
    inline = "{{ '<|im_start|>assistant\n' if add_generation_prompt else '' }}"
    template = "\n" + ADDS_SYSTEM.partition("    {% if add_generation_prompt %}")[0] + inline + ending
    usual = codec_of(folder, Prompts(), template=template)
    written = read(usual, usual.start("the cat"))
    assert written == "\n" + SYSTEM + USER + ("" if ending == "\n" else ending.removesuffix("\n"))
    codec = codec_of(folder, Prompts(prefix="A:"), template=template)
    assert read(codec, codec.start("the cat")) == written + "A:"
    if ending.removesuffix("\n"):
        return  # what ends every text stands in the middle of the next one: such a template does not append turns
    given = [{"role": "system", "content": "You help."}, {"role": "user", "content": "the cat"}]
    codec = codec_of(folder, Prompts(default_system=False), template=template)
    assert codec.start(given) == usual.start(given)
    assert read(codec, codec.start("the cat")) == USER


def test_a_template_that_adds_no_system_message_stays_as_it_is(folder):
    tokenizer = tokenizer_of(folder, tiny_hf.TEMPLATE)
    Prompts(default_system=False).put_into(tokenizer)
    assert tokenizer.chat_template == tiny_hf.TEMPLATE


def test_a_system_message_inside_of_the_first_turn_cannot_be_left_out(folder):
    inside = (
        "{% for m in messages %}{{ m['role'] }}: {% if loop.first %}You help. {% endif %}{{ m['content'] }}<|im_end|>"
        "{% endfor %}"
    )
    with pytest.raises(ValueError, match="writes a first turn otherwise than a later one"):
        codec_of(folder, Prompts(default_system=False), template=inside)


@pytest.mark.parametrize("given", [{"prefix": "A:"}, {"default_system": False}])
def test_what_belongs_to_a_template_is_refused_without_one(folder, given):
    with pytest.raises(ValueError, match="has none: its prompts are plain"):
        codec_of(folder, Prompts(**given), template=None)
    with pytest.raises(ValueError, match=r"template=plain uses none"):
        Prompts(template="plain", **given)


def test_a_plain_model_may_be_told_so(folder):
    assert not codec_of(folder, Prompts(template="plain"), template=None).has_template


def test_a_saved_tokenizer_writes_the_same(folder, tmp_path):
    codec = codec_of(folder, Prompts(prefix="Sentiment:", default_system=False))
    codec.tokenizer.save_pretrained(tmp_path)
    assert HFCodec(AutoTokenizer.from_pretrained(tmp_path)).start("the cat") == codec.start("the cat")


class Twice:
    """Two questions."""

    def __init__(self, task, rng):
        self.task, self.turns = task, 0

    def start(self):
        return self.task.prompt

    def step(self, text):
        assert "It says" not in text
        self.turns += 1
        return Step("the dog", reward=float("a" in text), end=End.TERMINATED if self.turns == 2 else None)

    def close(self):
        pass


@pytest.mark.matrix
def test_a_run_of_two_turns_trains_and_serves_the_prompts_that_it_names(folder, tmp_path):
    config = strop.TrainConfig(
        policy=strop.policies.Transformer.Config(model=str(folder), prompts=Prompts(prefix="It says")),
        tasks=[strop.Task("one", "the cat"), strop.Task("two", "the mat")],
        environment=Twice,
        algorithm=strop.algorithms.REINFORCE.Config(),
        sampling=strop.Sampling(max_tokens=3),
        steps=1,
        group_size=2,
        prompts_per_step=2,
        dtype="float32",
        threads=1,
    )
    config = apply(config, ["policy.prompts.default_system=false"])
    run = strop.train(config, tmp_path / "run", progress=False)
    assert (
        run.metrics()[0]["policy/sampler_gap_max"] < 1e-5
    )  # the learner reads the very tokens that were sampled after
    _, codec, _ = run.actor()
    for episode in run.episodes():
        assert len(episode.turns) == 2
        for turn in episode.turns:
            assert read(codec, turn.prompt).endswith("<|im_start|>assistant\nIt says")
    assert json.loads((run.path / "config.json").read_text())["policy"]["prompts"]["prefix"] == "It says"
    assert strop.policies.Prompts is Prompts

    from strop.cli.main import main

    assert main(["export", str(run.path), str(tmp_path / "out")]) == 0
    served = actor.load(actor.find(str(tmp_path / "out")))
    assert served.codec.start("the cat") == codec.start("the cat")
    assert "It says" in (tmp_path / "out" / "README.md").read_text()
    talks = [
        Conversation.begin(one, None, {"temperature": 0.0, "max_tokens": 3}, 0)
        for one in (served, actor.load(actor.find(str(run.path))))
    ]
    texts = [[talk.answer("the cat").text, talk.answer("the dog").text] for talk in talks]
    assert texts[0] == texts[1]
    assert talks[0].prompt == talks[1].prompt
    assert read(codec, talks[0].prompt).count("It says") == 2
    start = strop.FromRun(run=str(run.path)).build(0, "float32")[1]
    assert start.start("the cat") == codec.start("the cat")


KNOWS_TOOLS = (
    "{% if tools %}{{ '<|im_start|>system\n' }}{% for tool in tools %}{{ tool | tojson }}{% endfor %}"
    "{{ '<|im_end|>\n' }}{% endif %}" + tiny_hf.TEMPLATE
)
"""As Qwen's, but for words around the tools."""
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "required": []}}}


def test_a_template_that_knows_tools_is_told_of_them_once(folder):
    codec = codec_of(folder, Prompts(tools=[TOOL], prefix="So:"), template=KNOWS_TOOLS)
    written = f"<|im_start|>system\n{json.dumps(TOOL)}<|im_end|>\n" + USER + "So:"
    prompt = codec.start("the cat")
    assert read(codec, prompt) == written
    answer = (*codec.encode("sat"), codec.end)
    later = "\n<|im_start|>user\non<|im_end|>\n<|im_start|>assistant\nSo:"
    assert read(codec, codec.extend(prompt, answer, "on")) == written + "sat<|im_end|>" + later


def test_tools_that_a_template_would_leave_out_are_refused(folder):
    with pytest.raises(ValueError, match="knows no tools"):
        codec_of(folder, Prompts(tools=[TOOL]))
    with pytest.raises(ValueError, match="has none"):
        codec_of(folder, Prompts(tools=[TOOL]), template=None)
    with pytest.raises(ValueError, match=r"prompts\.tools belongs to a chat template"):
        Prompts(template="plain", tools=[TOOL])
    with pytest.raises(ValueError, match="exclude each other"):
        Prompts(default_system=False, tools=[TOOL])


@pytest.mark.parametrize("given", [Prompts(), Prompts(tools=[TOOL])])
def test_prompts_that_are_read_back_are_equal(given):
    assert decode(json.loads(json.dumps(encode(given))), Path()) == given
