"""RUN[@STEP|@best] or MODEL, as it is typed."""

from __future__ import annotations

from strop.cli.output import say
from strop.serving import actor
from strop.serving.actor import Checkpoint, Model


def find(typed: str) -> Checkpoint | Model:
    """What is meant; whoever waits for the network is told so."""
    found = actor.find(typed)
    if isinstance(found, Model) and not found.here:
        say(f"{typed} is neither a run nor a folder here: asking the Hugging Face Hub ...")
    return found
