"""Where an endpoint is, the key that opens it, and settings: no secret and no typing error may come into a run."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from strop.types import shown

SET_HERE = ("model", "messages", "stream", "n")
"""The fields of a request that whoever asks sets."""
_URL = re.compile(r"https?://[^\s/?#@]+(/[^\s?#@]*)?")


def check_url(what: str, url: str) -> None:
    """Raise ValueError for what is no address of an API, or holds a secret. `what` is the field, in words."""
    if not _URL.fullmatch(url):
        raise ValueError(
            f"{what}={shown(_without_secrets(url))}: it is http:// or https://, a host and a path, such as "
            "http://localhost:8000/v1, without a user, a key or a query: it is written into the run."
        )


def is_loopback(name: str) -> bool:
    """Whether a host name or address is this machine's loopback."""
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:  # a name
        return False


def host_of(url: str) -> str:
    """The host of a url, in small letters and without brackets; empty where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # brackets that hold no address
        return ""


def require_client(what: str, extra: str) -> None:
    """Raise ModuleNotFoundError, with what to install, where the official client is missing."""
    if find_spec("openai") is None:
        raise ModuleNotFoundError(f'{what} needs the package openai: pip install "strop[{extra}]"')


def check_settings(what: str, settings: Mapping[str, Any]) -> None:
    """Raise ValueError for settings that are no JSON, or that whoever asks sets itself."""
    try:
        json.dumps(dict(settings), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what}.settings={shown(settings)}: they are JSON ({error}).") from None
    if wrong := [name for name in SET_HERE if name in settings]:
        raise ValueError(f"{what}.settings holds {wrong[0]!r}, which {what} sets itself: leave it out.")


def key_of(what: str, key_env: str, key_file: str) -> str:
    """The secret that an environment variable or a file holds; empty where neither is named.

    Raises ValueError where there is none. `what` is the record that names them.
    """
    if key_env:
        key = os.environ.get(key_env, "").strip()
        if not key:
            raise ValueError(f"{what}.key_env={key_env!r}: this environment variable holds no key. Set it.")
        return key
    if not key_file:
        return ""
    try:
        key = Path(key_file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{what}.key_file={key_file!r} cannot be read ({type(error).__name__}).") from None
    if len(key.split()) != 1:
        raise ValueError(f"{what}.key_file={key_file!r}: the file holds the key alone, in one line.")
    return key


def without(key: str, text: str) -> str:
    """A text in which the key is struck out."""
    return text.replace(key, "***") if key else text


def _without_secrets(url: str) -> str:
    """A url without what may be a password or a key."""
    return re.sub(r"//[^/]*@", "//***@", url).partition("?")[0]
