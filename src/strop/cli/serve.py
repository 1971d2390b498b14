"""answer over HTTP: a chat page, and an API that OpenAI's client speaks

Only this machine may ask, without a key: the server listens at 127.0.0.1. At another address (--host), or behind a
server that has the name of --name, it takes an assistant in which people have keys: strop assistant DIR key add NAME.
With --assistant DIR answers and what people say of them are kept in that folder, of conversations whose person agrees,
with personal data masked, which needs pip install "strop[privacy]"; without it nothing is kept. A folder that does
not exist yet becomes an assistant whose version 0 is RUN|MODEL. Later its version that serves answers, and one that
waits for people stands beside it on the page that compares; where another version serves or waits, the server changes
to it without a restart, and what was asked before is answered to the end. With --weights DIR a training beside it
(strop train RECIPE --engine http) publishes its weights through that folder, which only this machine can. Ctrl-C lets
answers that are being written finish, for at most 10 seconds; a second one ends at once. It needs pip install
"strop[serve]".
"""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path

from strop.cli.errors import DONE, Interrupted, Problem, Usage, signal_of
from strop.cli.output import say

EXAMPLES = """\
examples:
  strop serve runs/first
  strop serve smollm2 --port 8080
  strop serve smollm2 --assistant mine
  strop serve runs/start --weights weights
  strop serve --assistant mine
  strop serve --assistant mine --canary 0.1
  strop serve --assistant mine --name assistant.example.org
  strop serve --assistant mine --host 0.0.0.0
  curl http://127.0.0.1:8000/v1/models
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        "model", metavar="RUN|MODEL", nargs="?", help="a run, a model folder, a model's name or a Hub id"
    )
    parser.add_argument(
        "--assistant",
        metavar="DIR",
        type=Path,
        help="keep answers and feedback in this folder, to learn from (strop learn DIR)",
    )
    parser.add_argument(
        "--canary",
        metavar="SHARE",
        type=float,
        help="let a version that waits for people answer this share of the conversations, such as 0.1, until it is "
        "shown to be liked less",
    )
    parser.add_argument(
        "--keep-nothing",
        action="store_true",
        help="with --assistant: answer, and keep nothing, whoever agrees; nobody can say what they think",
    )
    parser.add_argument(
        "--weights",
        metavar="DIR",
        type=Path,
        help="of a RUN: load the weights that a training publishes through this folder (docs/scale.md)",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="the address to listen at; any but loopback takes an assistant with keys (default: 127.0.0.1)",
    )
    parser.add_argument(
        "--name",
        dest="names",
        metavar="HOST",
        action="append",
        default=[],
        help="a name under which people reach it, as that of the server before it which does TLS; may be given again",
    )
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one (default: 8000)")


def _require_masking(folder: Path) -> None:
    """Raise Problem where what people write cannot be masked, and so is not kept."""
    from strop.privacy import Masker

    try:
        Masker()
    except ModuleNotFoundError as error:
        without = f"strop serve --assistant {folder} --keep-nothing"
        raise Problem(f"{error}", hint=f"{without} answers, and keeps nothing") from error


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C or SIGTERM. The address goes to stdout."""
    if args.model is None and args.assistant is None:
        raise Usage("serve what?", hint="strop serve RUN|MODEL, or strop serve --assistant DIR")
    if args.canary is not None and args.assistant is None:
        raise Usage("--canary is of an assistant's versions.", hint="strop serve --assistant DIR --canary SHARE")
    if args.canary is not None and not 0.0 < args.canary < 1.0:
        raise Usage(f"--canary {args.canary:g}: it is a share between 0 and 1, such as 0.1.")
    if args.keep_nothing and args.assistant is None:
        raise Usage("--keep-nothing is of an assistant; without one nothing is kept.")
    if args.weights is not None and (args.assistant is not None or args.model is None):
        raise Usage("--weights is of a run, without an assistant.", hint="strop serve RUN --weights DIR")
    if args.assistant is not None and not args.keep_nothing:
        _require_masking(args.assistant)
    if missing := [name for name in ("fastapi", "uvicorn", "jinja2") if find_spec(name) is None]:
        raise ModuleNotFoundError(f'strop serve needs the package {missing[0]}: pip install "strop[serve]"')
    from strop.web.server import address_of, door_of, listening, server, serving

    door = door_of(args.assistant, args.host, args.names)
    say(f"loading {args.model or args.assistant}")
    with (
        listening(args.host, args.port) as listener,
        serving(
            args.model, args.assistant, say, args.canary or 0.0, door, not args.keep_nothing, args.weights
        ) as served,
    ):
        address = address_of(listener)
        print(address, flush=True)
        if door.is_public:
            say("everybody on the way can read what is sent, keys too: put a server that does TLS before this one")
        say(f"serving {served.serves.label}: {address} is the chat page, {address}/v1 the API; Ctrl-C ends")
        try:
            server(served).run(sockets=[listener])
        except KeyboardInterrupt as error:
            raise Interrupted("stopped", "", signal_of(error)) from None
    say("stopped")  # by a signal that whoever started this process had it ignore, as scripts do in the background
    return DONE
