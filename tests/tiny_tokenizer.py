"""A byte-level BPE of 32 merges with the token that begins and ends documents, as a corpus makes it."""

from __future__ import annotations

from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from strop.types import END_TOKEN, Tokenizer

TEXTS = ["the cat sat on the mat", "the dog sat on the log", "a cat and a dog"]


def tokenizer() -> Tokenizer:
    made = Backend(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        TEXTS,
        trainers.BpeTrainer(
            vocab_size=len(alphabet) + 33, special_tokens=[END_TOKEN], initial_alphabet=alphabet, show_progress=False
        ),
    )
    pair = [(END_TOKEN, made.token_to_id(END_TOKEN))]
    made.post_processor = processors.TemplateProcessing(single=f"{END_TOKEN} $A", special_tokens=pair)
    return Tokenizer(made.to_str())
