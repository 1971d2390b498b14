"""The corpus of a run is read before its folder is made: an error costs no run, and a kill leaves none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from strop.corpora import on_corpus, tokenizer_of
from strop.data.corpus import Corpus
from strop.data.prepared import Prepared, check_source, check_unchanged, prepare
from strop.runs import spec
from strop.runs.directory import RunDirectory

if TYPE_CHECKING:
    from strop.config import TrainConfig

READING = ("field", "tokenizer", "vocabulary", "held_out", "near")
"""The fields of a corpus that say how it is read."""


@contextmanager
def prepared(config: TrainConfig, directory: Path, resume: bool, tell: Callable[[str], None]) -> Iterator[TrainConfig]:
    """The config with its corpus read, cleaned and encoded; one without a corpus as it is.

    A new run's corpus stands in a folder beside `directory`, from where the run takes it; what it does not take is
    deleted. That of a resumed run is compared with the source, and read again only if its cache is gone.
    """
    if config.corpus is None:
        yield config
    elif resume:
        yield _again(config, config.corpus, RunDirectory.open(directory).path, tell)
    else:
        tokenizer = tokenizer_of(config.policy)
        check_source(config.corpus)
        _refuse_used(directory)
        directory.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".reading-{directory.name}-", dir=directory.parent) as beside:
            yield on_corpus(config, prepare(config.corpus, Path(beside) / "corpus", tell, tokenizer))


def _again(config: TrainConfig, corpus: Corpus, run: Path, tell: Callable[[str], None]) -> TrainConfig:
    """The config of a run that goes on. Raises ValueError if its corpus was changed, or would be read differently."""
    before = _begun_with(run)
    _refuse_other_reading(corpus, before, run)
    kept = replace(corpus.placed_in(run), sha256=corpus.sha256 or before.sha256)
    check_unchanged(kept)
    if Path(kept.folder).is_dir():
        return on_corpus(config, Prepared.open(kept))
    return on_corpus(config, prepare(kept, Path(kept.folder), tell, tokenizer_of(config.policy)))


def _begun_with(run: Path) -> Corpus:
    """The corpus that the run was started with."""
    found = spec.decode(RunDirectory(run).config()["data"], run)
    if not isinstance(found, Corpus):
        raise ValueError(f"{run} was not begun on a corpus, and cannot go on with one: begin a new run.")
    return found


def _refuse_other_reading(corpus: Corpus, before: Corpus, run: Path) -> None:
    """Raise ValueError for a field that would change the token ids, or what is held out: the cache has both."""
    for name in READING:
        now, then = getattr(corpus, name), getattr(before, name)
        if now != then:
            raise ValueError(
                f"data.{name}={now}: {run} was begun with {then}, and a run goes on with the token ids that it began "
                "with. Set it back, or begin a new run."
            )


def _refuse_used(directory: Path) -> None:
    """Raise ValueError for a folder in which no run can be made, before the corpus is read."""
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ValueError(f"{directory} exists and is not empty; it is left as it is. Choose another --run.")
