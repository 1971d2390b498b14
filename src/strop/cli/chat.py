"""talk to a trained run, or to a model

RUN may name a checkpoint: RUN@40, RUN@best. Each message goes on from the tokens that stand. /new starts over, /help
lists the commands, /quit or Ctrl-D ends. An answer is never longer than the context has room for. With --once the
answer alone is printed on stdout.
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
/new   starts over: what was said is forgotten
/quit  ends, as Ctrl-D does; Ctrl-C stops an answer
/help  this"""
_COMMAND = re.compile(r"/[\w?-]*")


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
    from strop.cli.named import find
    from strop.serving.actor import load
    from strop.serving.conversation import Conversation

    given = {"temperature": args.temperature, "max_tokens": args.max_tokens}
    changes = {name: value for name, value in given.items() if value is not None}
    conversation = Conversation.begin(load(find(args.who)), args.system, changes, args.seed)
    if args.once is None:
        _talk(conversation)
    else:
        _answer(conversation, args.once, is_told=False)
    return DONE


def _talk(conversation: Conversation) -> None:
    """Read, answer, until the person leaves. The answers are data; the rest is talk."""
    from strop.serving.conversation import ContextFull

    say(f"talking to {conversation.actor.name}; /help lists the commands, /quit or Ctrl-D ends")
    is_told = False
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
                is_told |= _answer(conversation, text, is_told)
            except ContextFull as error:
                say(f"error: {error}\n/new starts over")
            except ValueError as error:
                say(f"error: {error}")
            except KeyboardInterrupt:
                say("(stopped)")


def _read() -> str | None:
    """What the person types; None at the end."""
    print("\n> ", end="", file=sys.stderr, flush=True)
    try:
        return input().strip()
    except (EOFError, KeyboardInterrupt):
        say("")
        return None


def _answer(conversation: Conversation, text: str, is_told: bool) -> bool:
    """Print it; whether it was said that the context leaves less room than was asked for. That is told once."""
    reply = conversation.answer(text)
    if reply.room is not None and not is_told:
        context = conversation.actor.policy.context
        say(f"(the policy reads {context} tokens: answers end where they are full, now after {reply.room})")
    print(reply.text, flush=True)
    return reply.room is not None
