"""The corpus of a run, and the documents that cleaning dropped."""

from __future__ import annotations

import shlex

from strop.cli.output import commands, console, pairs, print_json, print_rich
from strop.reports.corpus import CorpusOfRun, corpus_of, dropped_of
from strop.reports.excerpts import shortened
from strop.reports.pretrained import is_pretrained
from strop.runs.directory import RunDirectory, find_run, find_staged
from strop.runs.staged import folders_of


def page(found: CorpusOfRun, run: str) -> None:
    """Its counts in a few lines."""
    print_rich(pairs(found.lines()))
    if any(found.facts.dropped.values()):
        commands([(f"strop show {shlex.quote(run)} --dropped", "the documents that were dropped")])


def dropped(name: str, as_json: bool) -> None:
    """Every document that cleaning dropped: where it stands, why, and how it begins."""
    directory = _on_corpus(name)
    if as_json:
        print_json(list(dropped_of(directory)))
        return
    corpus, out = corpus_of(directory), console()
    at = "" if corpus is not None and corpus.facts.unit == "file" else "line "
    is_empty = True
    for one in dropped_of(directory):
        is_empty = False
        of = f" of {at}{one.of}" if one.of else ""
        out.print(f"{at}{one.document}: {one.reason}{of}", style="bold", soft_wrap=True)
        if one.begins:
            out.print(f"    {shortened(one.begins)}", soft_wrap=True)
    if is_empty:
        out.print("cleaning dropped no document")


def _on_corpus(name: str) -> RunDirectory:
    """The run of this name; of several stages the first that learns from a corpus."""
    staged = find_staged(name)
    begun = [] if staged is None else [RunDirectory(folder) for folder in folders_of(staged) if folder.is_dir()]
    return next((one for one in begun if is_pretrained(one)), None) or find_run(name)
