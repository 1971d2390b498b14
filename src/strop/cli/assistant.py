"""show an assistant that learns: its versions, what each learnt from, what waits; go back to a version; forget a person

Reads only the assistant's files, and loads no model. "diff 3" shows what version 3 and its parent answer to the fixed
questions, changed answers first; "diff 3 1" those of versions 3 and 1. A rollback is to a version that has served
before; it is one small file that is replaced, and the others stay.

"forget USER" deletes all that is kept of a person, by the name that a client gave (user, rater) or a session's key:
answers, feedback, what is remembered, runs, exports, copies in the folder, and the versions that learnt from it. The
last version that did not serves then, and strop learn learns without them. What cannot be deleted or read is named,
and the exit code is 1. Stop strop learn before; strop serve may go on. Where people have keys, it also says how much no
key's person has, such as what was written before there were keys: "forget --without-keys" deletes that.
"key add ann" makes a key for ann and prints it, this once; a running server takes it at once, and "key remove ann" ends
it. "quarantine" shows the feedback that nothing is learnt from, and why; "quarantine release" or "withhold" with ids or
people's names decides by hand, and "quarantine reset" takes that back.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from strop.cli.errors import DONE, Problem, Usage
from strop.cli.output import print_json, say

if TYPE_CHECKING:
    from strop.assistant.home import Assistant

EXAMPLES = """\
examples:
  strop assistant mine
  strop assistant mine --json
  strop assistant mine diff 3
  strop assistant mine rollback 3
  strop assistant mine forget ann@example.com --dry-run
  strop assistant mine forget browser-3f0c9a1e
  strop assistant mine forget --without-keys --dry-run
  strop assistant mine key add ann
  strop assistant mine key list
  strop assistant mine quarantine
  strop assistant mine quarantine release bob
"""


def add(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("folder", metavar="DIR", help="the assistant's folder")
    parser.add_argument(
        "action",
        nargs="?",
        choices=("diff", "rollback", "key", "quarantine", "forget"),
        help="show two versions' answers side by side, let an earlier version serve again, make keys, show what "
        "nothing is learnt from, or forget a person",
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="WHAT",
        help="the versions to look at or to go back to; key: add, remove or list, and a name; quarantine: release, "
        "withhold or reset, and ids or names; forget: who is forgotten",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="forget: only say what would be deleted; databases of an earlier strop are still brought up to this one",
    )
    parser.add_argument(
        "--without-keys",
        action="store_true",
        help="forget: also all that neither a key's person nor a trusted rater has, such as what was written before "
        "there were keys",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Print the assistant, or change which version serves."""
    from pathlib import Path

    from strop.assistant.home import Assistant
    from strop.assistant.overview import overview_of
    from strop.cli import assistant_keys, assistant_quarantine, show_assistant

    assistant = Assistant(Path(args.folder))
    for flag, is_given in (("--dry-run", args.dry_run), ("--without-keys", args.without_keys)):
        if is_given and args.action != "forget":
            raise Usage(f"{flag} is of forget.", hint=f"strop assistant {args.folder} forget USER --dry-run")
    if args.action == "forget":
        return _forget(args)
    if args.action == "key":
        return assistant_keys.run(assistant, args.names, args.json)
    if args.action == "quarantine":
        return assistant_quarantine.run(assistant, args.names, args.json)
    found = overview_of(assistant)
    if args.action == "diff":
        return _diff(assistant, args)
    if args.action == "rollback":
        if len(versions := _numbers(args)) != 1:
            raise Usage("rollback to which version?", hint=f"strop assistant {args.folder} shows them")
        [number] = versions
        with assistant.lock():
            assistant.versions.rollback(number)
        say(f"version {number} serves; before it version {found.serving} did")
        found = overview_of(assistant)
    if args.json:
        print_json(found)
    else:
        show_assistant.page(found)
    return DONE


def _numbers(args: argparse.Namespace) -> list[int]:
    """The versions that are named."""
    for name in args.names:
        if not name.isdecimal():
            raise Usage(f"{name!r} is no number of a version.", hint=f"strop assistant {args.folder} shows them")
    return [int(name) for name in args.names]


def _forget(args: argparse.Namespace) -> int:
    """Forget people, and print what is deleted; a failure where something of them is left."""
    from strop.assistant.forgetting import forget
    from strop.cli import show_assistant

    if not args.names and not args.without_keys:
        raise Usage("forget whom?", hint=f"strop assistant {args.folder} forget USER")
    found = forget(args.folder, args.names, without_keys=args.without_keys, dry_run=args.dry_run)
    if args.json:
        print_json(found)
    else:
        show_assistant.forgotten(found, is_done=not args.dry_run)
    if not (found.answers or found.feedback or found.facts or args.without_keys):
        say(f"nothing is kept under this name: {', '.join(args.names)}. Is it as the client gave it?")
    said = []
    if found.left:
        said.append(f"something of them still stands in {', '.join(found.left)}.")
    if found.unread:
        said.append(f"could not be read, and may hold something of them: {', '.join(found.unread)}.")
    if said:
        raise Problem(" ".join(said), hint="look into these, or delete them, by hand, and run it again")
    return DONE


def _diff(assistant: Assistant, args: argparse.Namespace) -> int:
    """Print what a version answers, beside its parent or another one."""
    from strop.assistant.beside import side_by_side
    from strop.cli import show_assistant

    if len(args.names) not in (1, 2):
        raise Usage("the answers of which version?", hint=f"strop assistant {args.folder} diff VERSION [VERSION]")
    new, *others = _numbers(args)
    parent = assistant.versions.manifest(new).parent
    if not others and parent is None:
        raise ValueError(f"version {new} has no parent: name the version to lay beside it.")
    old = others[0] if others else parent
    assert old is not None
    found = side_by_side(assistant.versions, old, new)
    if args.json:
        print_json({"old": old, "new": new, "answers": found})
    else:
        show_assistant.diff(old, new, found)
    return DONE
