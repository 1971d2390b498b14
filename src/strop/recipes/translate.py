"""Translate, from scratch: first the likelihood of translations, then their chrF; English to Chinese unless you say.

    strop train translate
    strop train translate source=zh_Hans target=en
    strop train translate data=pairs.tsv target=de

Two stages on messages of programs (Django's, Wagtail's, OpenStack's, and LibreOffice's where apt is there): SFT on the
pairs, then RLOO on chrF with a KL to what SFT made. Gold is the BLEU of each translation and the share of its letters
that are of the target's script: copying the source raises chrF a little, and shows there. Both stages are judged on the
development split; the held-out one is not touched (docs/tasks/translate.md).
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import strop
from strop.data.messages import canonical
from strop.data.pairs import Pair
from strop.data.parallel import Parallel, parallel, tasks_of
from strop.data.pipeline import PER_TOKEN
from strop.data.vocabulary import BYTES, TWICE, backend_of, trained
from strop.rewards import ChrF, InScript, SentenceBleu
from strop.rewards.bleu import Words
from strop.samplers.local import LocalSampler
from strop.streams import stream
from strop.types import Tokenizer

Shape = Literal["marian", "bart", "t5", "llama", "qwen3", "gpt2"]
DECODERS = ("llama", "qwen3", "gpt2")
"""Shapes that read a text and its translation as one, with `SEPARATOR` between them."""
SEPARATOR = "\n"
"""Stands in no text of a pair."""
LAYERS, DECODER_LAYERS = 3, 5
"""Of an encoder and of its decoder, and of a decoder alone: about the same number of parameters."""
WORDS: dict[str, Words] = {
    "zh": "zh",
    "ja": "char",
    "ko": "char",
    "th": "char",
    "lo": "char",
    "km": "char",
    "my": "char",
}
"""How BLEU divides a language that 13a cannot."""
NUM_JUDGED = 200
LONGEST_SHARE = 0.99
"""Of the training answers: so many end within `sampling.max_tokens`."""
SPARE = 8
"""Room in the context for the tokens that begin, separate and end texts."""


def recipe(
    source: str = "en",
    target: str = "zh_Hans",
    data: str = "auto",
    shape: Shape = "marian",
    width: int = 128,
    num_layers: int | None = None,
    vocabulary: int = 4096,
    sft_steps: int = 4000,
) -> list[strop.Stage]:
    """About ten minutes on two cores.

    source      the language to translate from; en is that of the messages themselves
    target      the language to translate to: zh_Hans, de, pt_BR, ...
    data        names of message catalogues (django, wagtail, horizon, libreoffice, iso-codes), or a .tsv, .csv or
                .jsonl with source and target, or a .po; auto takes what this system can download
    shape       an encoder-decoder (marian, bart, t5), or a decoder alone (llama, qwen3, gpt2)
    width       width of a layer
    num_layers  of the encoder and of the decoder; none takes 3, and 5 for a decoder alone
    vocabulary  the most tokens of the one vocabulary of both languages
    sft_steps   over these the learning rate falls to a tenth
    """
    found = parallel(data, source, target)
    return stages(found, target, shape, width, num_layers, vocabulary, sft_steps)


def stages(
    found: Parallel,
    target: str,
    shape: Shape = "marian",
    width: int = 128,
    num_layers: int | None = None,
    vocabulary: int = 4096,
    sft_steps: int = 4000,
    rl_steps: int = 100,
) -> list[strop.Stage]:
    """The two stages on these pairs; the fields are those of `recipe`."""
    tokenizer = vocabulary_of(found.train, vocabulary)
    separator = SEPARATOR if shape in DECODERS else ""
    longest_source = max(_lengths(tokenizer, [pair.source for pair in _all(found)]))
    longest_target = max(_lengths(tokenizer, [pair.target for pair in _all(found)]))
    answers = sorted(_lengths(tokenizer, [pair.target for pair in found.train]))
    policy = strop.policies.Scratch(
        tokenizer=tokenizer,
        shape=shape,
        width=width,
        num_layers=num_layers or (DECODER_LAYERS if shape in DECODERS else LAYERS),
        num_heads=math.gcd(width, 8),
        context=longest_source + longest_target + SPARE,
    )
    shared = strop.TrainConfig(
        policy=policy,
        tasks=tasks_of(found.train, "train", separator),
        held_out=tasks_of(found.development[:NUM_JUDGED], "development", separator),
        rewards={"chrf": ChrF()},
        gold={"bleu": SentenceBleu(tokenize=words_of(target)), "script": InScript(script_of(found.train))},
        sampling=strop.Sampling(max_tokens=answers[int(LONGEST_SHARE * len(answers))] + 1),  # with the end token
        micro_tokens=1024,  # of texts of one length: few are padded
    )
    return [
        strop.Stage("sft", imitating(shared, sft_steps)),
        strop.Stage("rl", rewarded(replace(shared, policy=strop.FromStage("sft")), rl_steps)),
    ]


def imitating(config: strop.TrainConfig, steps: int) -> strop.TrainConfig:
    """SFT on the pairs, in so many steps."""
    return replace(
        config,
        algorithm=strop.algorithms.SFT.Config(
            optimizer=strop.optimizer.AdamW(
                lr=strop.schedules.Linear(start=2e-3, end=2e-4, steps=max(steps, 1)),
                betas=(0.9, 0.98),
                weight_decay=0.01,
                warmup_steps=min(100, steps),
            )
        ),
        memory=strop.memory.Dataset.Config(size=32),
        steps=steps,
        eval_every=max(steps // 4, 1),
        checkpoint_every=max(steps // 10, 1),
    )


def rewarded(config: strop.TrainConfig, steps: int) -> strop.TrainConfig:
    """RLOO on chrF, with a KL to the policy that the stage starts with."""
    return replace(
        config,
        algorithm=strop.algorithms.RLOO.Config(
            optimizer=strop.optimizer.AdamW(lr=1e-4), kl=strop.functional.KL(weight=0.01)
        ),
        group_size=8,
        prompts_per_step=16,
        steps=steps,
    )


def translated(run: strop.Run, texts: Sequence[str], temperature: float = 0.0) -> list[str]:
    """Translations of these texts by a run's policy: the likeliest next token each time, or drawn at a temperature."""
    parts, sampling = run.parts, replace(run.config.sampling, temperature=temperature)
    example = next(iter(run.config.tasks)).prompt
    separator = SEPARATOR if isinstance(example, str) and example.endswith(SEPARATOR) else ""
    prompts = [parts.codec.start(text + separator) for text in texts]
    rngs = [stream(run.config.seed, "translate", number) for number in range(len(prompts))]
    completions = LocalSampler(parts.policy, parts.codec.stop).sample(prompts, sampling, rngs)
    return [parts.codec.decode(one.tokens) for one in completions]


def vocabulary_of(pairs: Sequence[Pair], most: int) -> Tokenizer:
    """One vocabulary for both languages, from the training pairs: what both share is one token.

    Few pairs get fewer tokens: those of their characters, and one more for each `PER_TOKEN` characters of text.
    """
    texts = [text for pair in pairs for text in (pair.source, pair.target)]
    counts = Counter(letter for text in texts for letter in text)
    built = sum(len(letter.encode()) - 1 for letter, count in counts.items() if count >= TWICE)
    return trained("bpe", min(most, BYTES + built + counts.total() // PER_TOKEN), lambda: texts)


def words_of(target: str) -> Words:
    """How BLEU divides a language into words."""
    return WORDS.get(canonical(target).partition("_")[0], "13a")


def script_of(pairs: Sequence[Pair]) -> str:
    """The script of most letters of the translations."""
    letters = (letter for pair in pairs for letter in pair.target if letter.isalpha())
    return Counter(unicodedata.name(letter, "").partition(" ")[0] for letter in letters).most_common(1)[0][0]


def _all(found: Parallel) -> list[Pair]:
    return [*found.train, *found.development, *found.held_out]


def _lengths(tokenizer: Tokenizer, texts: Sequence[str]) -> list[int]:
    """Tokens of each text."""
    return [len(one.ids) for one in backend_of(tokenizer).encode_batch(list(texts))]
