"""talk to a trained run, or to a model

RUN may name a checkpoint: RUN@40, RUN@best. Each message continues the conversation. /new starts over, /help lists the
commands, /quit or Ctrl-D ends. An answer ends where the context is full. With --once only the answer is printed.
"""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING

from strop.cli.errors import DONE
from strop.cli.output import say

if TYPE_CHECKING:
    from strop.serving.conversation import Conversation

EXAMPLES = """\
examples:
  strop chat runs/first
  strop chat runs/first@best --temperature 0.3
  strop chat smollm2 --once "Name three colours."
"""
HELP = """\
/new   starts over, with an empty conversation
/quit  ends (or Ctrl-D); Ctrl-C stops an answer
/help  this text"""
_COMMAND = re.compile(r"/[\w?-]*")


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("name", metavar="RUN|MODEL", help="a run, a model folder, a model's name or a Hub id")
    parser.add_argument("--once", metavar="TEXT", help="answer this one text and end")
    parser.add_argument("--system", metavar="TEXT", help="a system message that comes first")
    parser.add_argument("--temperature", type=float, help="0 is greedy (default: the run's own; 0.7 for a model)")
    parser.add_argument("--max-tokens", type=int, help="longest answer (default: the run's own; 256 for a model)")
    parser.add_argument("--seed", type=int, help="random seed, to get the same answers again")


def run(args: argparse.Namespace) -> int:
    """Answer one text, or hold a conversation."""
    from strop.cli.named import find
    from strop.reports.abilities import chose_by_step
    from strop.serving.actor import Checkpoint, load
    from strop.serving.conversation import Conversation

    given = {"temperature": args.temperature, "max_tokens": args.max_tokens}
    changes = {name: value for name, value in given.items() if value is not None}
    found = find(args.name)
    conversation = Conversation.begin(load(found), args.system, changes, args.seed)
    if isinstance(found, Checkpoint) and chose_by_step(found.directory):
        say(
            "(in this run every action was one of a few choices, which its environment told turn by turn; here nothing "
            "tells them, so it writes any text)"
        )
    if args.once is None:
        _talk(conversation)
    else:
        _answer(conversation, args.once, was_warned=False)
    return DONE


def _talk(conversation: Conversation) -> None:
    """Read and answer until the user leaves. Answers go to stdout, everything else to stderr."""
    from strop.serving.conversation import ContextFull

    say(f"talking to {conversation.actor.name}; /help lists the commands, /quit or Ctrl-D ends")
    was_warned = False
    while (text := _read()) not in (None, "/quit"):
        if text == "/new":
            conversation.start_over()
            say("(a new conversation)")
        elif text in ("/help", "/?"):
            say(HELP)
        elif text and _COMMAND.fullmatch(text.split()[0]):
            say(f"there is no command {text.split()[0]}.\n{HELP}")
        elif text:
            try:
                was_warned |= _answer(conversation, text, was_warned)
            except ContextFull as error:
                say(f"error: {error}\n/new starts over")
            except ValueError as error:
                say(f"error: {error}")
            except KeyboardInterrupt:
                say("(stopped)")


def _read() -> str | None:
    """What the user types; None at the end of the input."""
    print("\n> ", end="", file=sys.stderr, flush=True)
    try:
        return input().strip()
    except (EOFError, KeyboardInterrupt):
        say("")
        return None


def _answer(conversation: Conversation, text: str, was_warned: bool) -> bool:
    """Print an answer; returns whether the context limited its length. The first time, a warning says so."""
    reply = conversation.answer(text)
    if reply.limit is not None and not was_warned:
        context = conversation.actor.policy.context
        say(f"(the context holds {context} tokens: answers end where it is full, this one after {reply.limit})")
    print(reply.text, flush=True)
    return reply.limit is not None
