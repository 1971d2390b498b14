"""A connection that is cut where its client is slow, and refused where one address has too many: uvicorn has no
setting for a client that never ends its headers, or never reads its answer."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import struct
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 20.0
"""How long the headers of a request may take; and the rest of a body whose request is answered already."""
READ_SECONDS = 30.0
"""How long a client may leave so much unread that the server waits."""
MOST_CONNECTIONS = 512
MOST_EACH = 64
"""Connections of one address beyond loopback."""


class Connection(H11Protocol):
    """uvicorn's, with an end to patience."""

    _head: asyncio.TimerHandle | None = None
    _read: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse it, or wait for a request."""
        super().connection_made(transport)
        others = [
            one.client[0]
            for one in self.connections
            if isinstance(one, Connection) and one.client is not None and one is not self
        ]
        is_one_too_many = self.client is not None and others.count(self.client[0]) >= MOST_EACH
        if len(others) >= MOST_CONNECTIONS or (is_one_too_many and not _is_loopback(self.client)):
            self._cut()
        else:
            self._head = self.loop.call_later(HEAD_SECONDS, self._cut)

    def data_received(self, data: bytes) -> None:
        """The patience ends with the headers, and begins again with whatever comes after the answer."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._head_came()
        elif self._head is None:
            self._head = self.loop.call_later(HEAD_SECONDS, self._cut)

    def pause_writing(self) -> None:
        """The client has much to read."""
        super().pause_writing()
        self._read = self.loop.call_later(READ_SECONDS, self._cut)

    def resume_writing(self) -> None:
        """The client has read most of it."""
        super().resume_writing()
        self._was_read()

    def on_response_complete(self) -> None:
        """What the client has not read when the connection may end is waited for no longer than anything else."""
        super().on_response_complete()
        if self.transport.get_write_buffer_size() and self._read is None:
            self._read = self.loop.call_later(READ_SECONDS, self._cut_if_unread)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._head_came()
        self._was_read()
        super().connection_lost(exc)

    def _cut_if_unread(self) -> None:
        self._read = None
        if self.transport.get_write_buffer_size():
            self._cut()

    def _cut(self) -> None:
        """End it at once, also for the system, which else keeps what nobody reads: megabytes for minutes."""
        at_once = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        self.transport.abort()

    def _head_came(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _was_read(self) -> None:
        if self._read is not None:
            self._read.cancel()
            self._read = None


def _is_loopback(client: Any) -> bool:
    try:
        return ipaddress.ip_address(client[0]).is_loopback
    except ValueError:  # a socket of Unix
        return True
