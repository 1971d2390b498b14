"""talk to a trained run, or to a model

RUN may name a checkpoint: RUN@40, RUN@best. Each message goes on from the tokens that stand. /new starts over, /help
lists the commands, /quit or Ctrl-D ends. An answer is never longer than the context has room for. With --once the
answer alone is printed on stdout.
"""

from __future__ import annotations

import argparse

from strop.cli.errors import DONE

EXAMPLES = """\
examples:
  strop chat runs/first
  strop chat runs/first@best --temperature 0.3
  strop chat smollm2 --once "Name three colours."
"""


def add(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("who", metavar="RUN|MODEL", help="a run, a model folder, a model's name or a Hub id")
    parser.add_argument("--once", metavar="TEXT", help="answer this one text and end")
    parser.add_argument("--system", metavar="TEXT", help="a system message that comes first")
    parser.add_argument("--temperature", type=float, help="0 is greedy (default: the run's own; 0.7 for a model)")
    parser.add_argument("--max-tokens", type=int, help="of an answer (default: the run's own; 256 for a model)")
    parser.add_argument("--seed", type=int, help="for the same answers again")


def run(args: argparse.Namespace) -> int:
    """Answer once, or talk."""
    from strop.cli.actors import actor
    from strop.cli.conversation import Conversation, talk

    given = {"temperature": args.temperature, "max_tokens": args.max_tokens}
    changes = {name: value for name, value in given.items() if value is not None}
    conversation = Conversation.begin(actor(args.who), args.system, changes, args.seed)
    if args.once is not None:
        print(conversation.answer(args.once))
        return DONE
    talk(conversation)
    return DONE
