"""The tiny policies of `strop.verify`: every test of all language models takes them from here."""

from __future__ import annotations

from strop.verify.small_models import ALL, CONFIGS, NEURAL, WORDS, batch_after, config_of, logits_of, policy_of

__all__ = ["ALL", "CONFIGS", "NEURAL", "STATEFUL", "WORDS", "batch_after", "config_of", "logits_of", "policy_of"]
STATEFUL = ["lstm", "gru", "rnn", "convolutional", "textgenrnn"]
