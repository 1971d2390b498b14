"""The whole app: API, pages and static files behind the guard."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from strop.web.api import api
from strop.web.errors import add_error_handlers
from strop.web.guard import Guard
from strop.web.memory import memory
from strop.web.pages import HERE, pages
from strop.web.pairs import pairs
from strop.web.rates import Rates
from strop.web.served import Served, strop_version
from strop.web.signing_in import signing_in
from strop.web.weights import weights


def app(served: Served) -> ASGIApp:
    """An ASGI app that answers with this actor."""
    inner = FastAPI(title="strop serve", version=strop_version(), docs_url=None, redoc_url=None, redirect_slashes=False)
    add_error_handlers(inner)
    inner.include_router(api(served))
    inner.include_router(memory(served))
    inner.include_router(pairs(served))
    inner.include_router(weights(served))
    inner.include_router(signing_in(served.door))
    inner.include_router(pages(served))
    inner.mount("/static", StaticFiles(directory=HERE / "static"))
    limits = served.limits
    return Guard(inner, limits, served.door, Rates(limits.rate, limits.burst, limits.at_once), served.moment)
