"""Every codec: texts go round, stop tokens are tokens, and nothing that stands is encoded again."""

from __future__ import annotations

from typing import Any

import pytest

import tiny_bert
from strop.codec import ByteCodec, HFCodec, WordCodec
from strop.data.vocabulary import size_of
from strop.policies._texts import TextCodec, tokenizer_from_scratch

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def tokenizer(template: str | None = None, pad: str | None = None, bos: bool = False) -> Any:
    """A tiny byte-level tokenizer with ChatML's special tokens, merges enough for re-encoding to differ."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(["the cat sat on the mat the cat sat"] * 4, trainer)
    if bos:
        raw.post_processor = processors.TemplateProcessing(
            single="<|im_start|> $A", special_tokens=[("<|im_start|>", raw.token_to_id("<|im_start|>"))]
        )
    made = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token=pad
    )
    made.chat_template = template
    return made


CODECS = {
    "word": lambda: WordCodec(["the", "cat", "sat"]),
    "word without end": lambda: WordCodec(["the", "cat", "sat"], has_end=False),
    "byte": ByteCodec,
    "hf plain": lambda: HFCodec(tokenizer()),
    "hf chat": lambda: HFCodec(tokenizer(CHATML)),
    "hf chat, pad is eos": lambda: HFCodec(tokenizer(CHATML, pad="<|im_end|>")),
    "hf plain with bos": lambda: HFCodec(tokenizer(bos=True)),
    "texts": lambda: TextCodec(tiny_bert.tokenizer()),
    "texts of words": lambda: TextCodec(tokenizer_from_scratch(["the", "cat", "sat"], None)),
}


@pytest.fixture(params=CODECS)
def codec(request: pytest.FixtureRequest) -> Any:
    return CODECS[request.param]()


def test_a_text_goes_round(codec: Any) -> None:
    for text in ("the cat", "sat", "the the cat sat"):
        assert codec.decode(codec.encode(text)) == text


def test_the_end_is_a_stop_token_that_decode_leaves_out(codec: Any) -> None:
    if codec.end is None:
        assert codec.stop == frozenset()
        return
    assert codec.end in codec.stop
    tokens = codec.encode("the cat")
    assert codec.end not in tokens
    assert codec.decode((*tokens, codec.end)) == "the cat"


def test_extend_keeps_what_stands_and_encodes_only_the_reply(codec: Any) -> None:
    prompt = codec.start("the cat")
    # tokens that no encoder would choose: "the cat" letter by letter, where the codec has letters
    completion = codec.encode("the") + codec.encode("cat")
    for ended in (completion, completion + (() if codec.end is None else (codec.end,))):
        following = codec.extend(prompt, ended, "sat")
        assert following[: len(prompt) + len(ended)] == prompt + ended
        assert len(following) > len(prompt) + len(ended)
        again = codec.extend(following, ended, "the")
        assert again[: len(following) + len(ended)] == following + ended


def test_an_odd_tokenization_survives_extend() -> None:
    made = CODECS["hf chat"]()
    odd = tuple(token for letter in "the cat" for token in made.encode(letter))
    assert odd != made.encode("the cat")
    prompt = made.start("sat")
    assert made.extend(prompt, odd, "the")[len(prompt) : len(prompt) + len(odd)] == odd


def test_messages_start_a_prompt(codec: Any) -> None:
    if isinstance(codec, ByteCodec | WordCodec) and not isinstance(codec, ByteCodec):
        assert codec.start([{"role": "user", "content": "the cat"}]) == codec.encode("the cat")
    else:
        assert "the cat" in codec.decode(codec.start([{"role": "user", "content": "the cat"}]))


def test_an_empty_prompt_is_an_error_where_it_has_no_token() -> None:
    for make in (CODECS["word"], CODECS["byte"], CODECS["hf plain"]):
        with pytest.raises(ValueError, match="prompt"):
            make().start("")


def test_chat_turns_are_what_the_template_writes_in_one_go() -> None:
    # a two-turn dialogue built turn by turn is the whole text: the newline behind the end stands, and nothing twice
    made = CODECS["hf chat"]()
    prompt = made.start("the cat")
    assert made.tokenizer.decode(list(prompt)) == "<|im_start|>user\nthe cat<|im_end|>\n<|im_start|>assistant\n"
    following = made.extend(prompt, (*made.encode("sat"), made.end), "the mat")
    whole = made.tokenizer.apply_chat_template(
        [
            {"role": "user", "content": "the cat"},
            {"role": "assistant", "content": "sat"},
            {"role": "user", "content": "the mat"},
        ],
        tokenize=False,
        add_generation_prompt=True,
    )
    assert made.tokenizer.decode(list(following)) == whole


def test_a_cut_chat_completion_is_closed_in_the_next_prompt_but_not_in_the_completion() -> None:
    made = CODECS["hf chat"]()
    prompt, cut = made.start("the cat"), made.encode("sat")
    assert made.extend(prompt, cut, "the") == made.extend(prompt, (*cut, made.end), "the")


def test_bos_stands_once_and_only_where_the_tokenizer_puts_it() -> None:
    made = CODECS["hf plain with bos"]()
    bos = made.tokenizer.bos_token_id
    prompt = made.start("the cat")
    assert prompt.count(bos) == 1
    assert prompt[0] == bos
    assert bos not in made.encode("sat")
    assert made.extend(prompt, made.encode("sat"), "the").count(bos) == 1


def test_a_text_that_is_judged_stands_between_its_marks() -> None:
    made, actions = CODECS["texts"](), TextCodec(tiny_bert.tokenizer(), ["good", "bad"])
    cls, sep, the, cat, sat = tiny_bert.CLS, tiny_bert.SEP, 5, 6, 8
    assert made.start("The cat") == (cls, the, cat, sep)
    assert made.start("") == (cls,)
    assert (made.encode("sat"), made.end) == ((sat,), sep)
    assert made.extend((cls, the, sep), (cat,), "sat") == (cls, the, sep, cat, sep, sat, sep)
    assert made.decode((cls, the, sep)) == "[CLS] the"
    # with actions: tokens stand above them, a turn is a text of its own, and an action is one word
    assert actions.start("the cat") == (cls + 2, the + 2, cat + 2, sep + 2)
    assert actions.extend(actions.start("the cat"), (1,), "sat") == actions.start("sat") == (cls + 2, sat + 2, sep + 2)
    assert (actions.encode("bad"), actions.decode((1,)), actions.end, actions.stop) == ((1,), "bad", None, frozenset())
    assert actions.decode(actions.start("the cat")) == "[CLS] the cat"
    with pytest.raises(ValueError, match="no token at all"):
        actions.start("")


def test_a_mask_in_a_text_from_scratch_is_text() -> None:
    from tiny_tokenizer import tokenizer as bytes_of

    made = TextCodec(tokenizer_from_scratch([], bytes_of()))
    for text in ("a <mask> b", "a <end> b", "猫 🙂"):
        assert not set(made.encode(text)) & made.marks.special
        assert made.decode(made.encode(text)) == text
    assert made.marks.mask == made.marks.size - 1 == size_of(bytes_of())


def test_a_tokenizer_without_a_mask_is_named() -> None:
    with pytest.raises(ValueError, match="has no cls_token and no sep_token and no mask_token"):
        TextCodec(tokenizer())


def test_all_stop_ids_of_the_generation_config_count() -> None:
    assert HFCodec(tokenizer(CHATML), stop=[7, 9]).stop == frozenset({7, 9, tokenizer().eos_token_id})


def test_a_template_that_rewrites_history_is_refused_for_a_second_turn() -> None:
    rewriting = "{{ messages | length }}" + CHATML
    made = HFCodec(tokenizer(rewriting))
    with pytest.raises(ValueError, match="rewrites earlier turns"):
        made.extend(made.start("the"), (*made.encode("cat"), made.end), "sat")


def test_words_name_the_unknown_one_and_refuse_a_repeated_vocabulary() -> None:
    with pytest.raises(ValueError, match="'dog'"):
        WordCodec(["the", "cat"]).encode("the dog")
    with pytest.raises(ValueError, match="more than once"):
        WordCodec(["the", "the"])


def test_bytes_encode_any_text_and_show_a_cut_character() -> None:
    codec = ByteCodec()
    assert codec.decode(codec.encode("猫 ²\x00")) == "猫 ²\x00"
    assert codec.decode(codec.encode("猫")[:2]) == "�"
