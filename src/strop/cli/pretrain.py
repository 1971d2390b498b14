"""train a language model from scratch on a corpus

CORPUS is a .txt file, a folder of text files, a .jsonl or .csv file (data.field=NAME chooses the field), or the name
of a corpus (strop list corpora). It is cleaned, split and encoded; then a model learns it: model=transformer,
encoder-decoder, lstm, gru, rnn, convolutional or ngram; or model=masked, an encoder that fills in hidden tokens. Fields
are set as path.to.field=value, for example steps=2000, data.tokenizer=character, data.vocabulary=8000,
policy.width=384, memory.length=256; --fields lists them all. The run is the policy of any other run: strop train RECIPE
policy=RUN. Ctrl-C saves it; strop train --resume --run RUN goes on.
"""

from __future__ import annotations

import argparse

from strop.cli.errors import DONE, exit_code

EXAMPLES = """\
examples:
  strop pretrain grimm
  strop pretrain tang model=lstm --run runs/poems
  strop pretrain my-texts/ data.tokenizer=word data.vocabulary=8000 steps=2000
  strop pretrain reviews.csv data.field=review model=ngram
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("words", nargs="*", metavar="CORPUS | field=value", help="what to read, and what to change")
    parser.add_argument("--run", metavar="DIR", help="the run's folder (default: runs/CORPUS-DATE-TIME)")
    parser.add_argument("--dry-run", action="store_true", help="read the corpus and print the plan; keep nothing")
    parser.add_argument("--verbose", action="store_true", help="every field in the plan, defaults too")
    parser.add_argument("--keep-all", action="store_true", help="keep every checkpoint (RUN@STEP)")
    parser.add_argument(
        "--fields", action="store_true", help="list every field that can be set: its value, type, default and meaning"
    )
    parser.add_argument("--json", action="store_true", help="print the plan, the fields or the result as JSON")


def run(args: argparse.Namespace) -> int:
    """Train, and say how well held-out documents are predicted."""
    from strop.cli import pretraining, show_fields, show_plan, show_result, training
    from strop.config import TrainConfig

    job = pretraining.job(args.words, args.run)
    if args.fields:
        show_fields.page(job.config, as_json=args.json, command="strop pretrain CORPUS")
        return DONE
    pretraining.check(job)
    if args.dry_run:
        assert isinstance(job.config, TrainConfig)
        show_plan.dry_run(job.config, as_json=args.json, verbose=args.verbose)
        return DONE
    with training.claimed(job) as job, training.resumable(job):
        done, seconds = training.train(job, args.verbose, args.keep_all)
        show_result.result(done, seconds, as_json=args.json)
        if done.interrupted:
            show_result.how_to_resume(job)
            return exit_code(done.stopped_by)
        show_result.what_next(done)
        return DONE
