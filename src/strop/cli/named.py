"""The command-line argument RUN[@STEP|@best] or MODEL."""

from __future__ import annotations

from strop.cli.output import say
from strop.serving import actor
from strop.serving.actor import Checkpoint, Model


def find(typed: str) -> Checkpoint | Model:
    """The checkpoint or model of this name. Says so before the network is asked, which takes time."""
    found = actor.find(typed)
    if isinstance(found, Model) and not found.is_local:
        say(f"{typed} is neither a run nor a folder here: asking the Hugging Face Hub ...")
    return found
