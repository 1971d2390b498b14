"""`strop assistant DIR key`: who may ask an assistant over the network."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from strop.cli.errors import DONE, Usage
from strop.cli.output import print_json, print_rich, say, table

if TYPE_CHECKING:
    from strop.assistant.home import Assistant
    from strop.assistant.keys import Keys

NOBODY = "nobody has a key now, and nobody comes in: strop assistant DIR key add NAME makes one"


def run(assistant: Assistant, given: Sequence[str], as_json: bool) -> int:
    """Make, remove or list keys. A new key goes to stdout, so that a script can hand it on; nothing shows it again."""
    from strop.assistant.keys import FILE, Keys
    from strop.assistant.settings import read_settings

    read_settings(assistant.path)
    keys = Keys(assistant.path)
    match given:
        case ["add", name]:
            with assistant.lock():
                secret = keys.add(name)
            say(f"the key of {name}: hand it over in private. It is not shown again, and only its hash is kept")
            print(secret)
        case ["remove", name]:
            with assistant.lock():
                keys.remove(name)
            say(f"the key of {name} opens nothing any more")
            if not keys.all():
                say(f"{NOBODY}; delete {keys.path / FILE} to serve all at this machine without keys")
        case ["list"] | []:
            _list(keys, as_json)
        case _:
            raise Usage("key add NAME, key remove NAME or key list?", hint=f"strop assistant {assistant.path} key list")
    return DONE


def _list(keys: Keys, as_json: bool) -> None:
    found = [(one.name, _day(one.when)) for one in keys.all()]
    if as_json:
        print_json([{"name": name, "since": day} for name, day in found])
    elif found:
        print_rich(table(["name", "since"], found))
    else:
        say(NOBODY if keys.are_needed else "nobody has a key: strop assistant DIR key add NAME makes one")


def _day(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).date().isoformat()
