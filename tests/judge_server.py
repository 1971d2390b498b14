"""An OpenAI-compatible endpoint on this machine, that answers as it is told: well, wrongly, slowly or not at all."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

Body: TypeAlias = "dict[str, Any]"
Act: TypeAlias = "Callable[[Server, BaseHTTPRequestHandler, Body], None]"
TEXT = r"<{name} (\w+)>\n(.*)\n</{name} \1>"


class Server:
    """Each request gets the next act; the last one goes on. `seen` are the bodies and `keys` the keys, in order."""

    def __init__(self, acts: tuple[Act, ...]) -> None:
        self.acts, self.seen, self.keys = acts, list[Body](), list[str]()
        self.open, self.most_open = 0, 0
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.http.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}/v1"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer({})

            def do_POST(self) -> None:
                self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

            def _answer(self, body: Body) -> None:
                with server.lock:
                    act = server.acts[min(len(server.seen), len(server.acts) - 1)]
                    server.seen.append(body)
                    server.keys.append(self.headers.get("Authorization", ""))
                    server.open += 1
                    server.most_open = max(server.most_open, server.open)
                try:
                    act(server, self, body)
                except OSError:  # the client has left
                    pass
                finally:
                    with server.lock:
                        server.open -= 1

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@contextmanager
def serving(*acts: Act) -> Iterator[Server]:
    server = Server(acts)
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.http.shutdown()
        server.http.server_close()
        thread.join(timeout=5.0)


# ------------------------------------------------------------ acts


def judged(opinion: Callable[[str, str], str]) -> Act:
    """A judge of pairs: `opinion(a, b)` is A, B or tie."""

    def act(server: Server, handler: BaseHTTPRequestHandler, body: Body) -> None:
        asked = body["messages"][-1]["content"]
        a, b = (text_in(asked, f"answer {place}") for place in "AB")
        _send(handler, 200, completion(json.dumps({"reason": "I say so.", "better": opinion(a, b)})))

    return act


def text_in(asked: str, name: str) -> str:
    """The framed text of this name."""
    found = re.search(TEXT.format(name=name), asked, re.DOTALL)
    assert found is not None
    return found[2]


def says(text: str, **usage: object) -> Act:
    """Whatever is asked, this."""
    return lambda server, handler, body: _send(handler, 200, completion(text, **usage))


def sends(raw: bytes, status: int = 200, kind: str = "application/json", **headers: str) -> Act:
    """Bytes, as they are."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda server, handler, body: _send(handler, status, raw, kind, named)


def stalls(server: Server, handler: BaseHTTPRequestHandler, body: Body) -> None:
    """No byte at all."""
    server.over.wait(30.0)


def drips(server: Server, handler: BaseHTTPRequestHandler, body: Body) -> None:
    """A byte every hundredth of a second: no single wait is long, and there is no end."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.end_headers()
    while not server.over.wait(0.01):
        handler.wfile.write(b" ")
        handler.wfile.flush()


def drips_headers(server: Server, handler: BaseHTTPRequestHandler, body: Body) -> None:
    """The same within the headers."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Drip: ")
    while not server.over.wait(0.01):
        handler.wfile.write(b"a")
        handler.wfile.flush()


def drops(server: Server, handler: BaseHTTPRequestHandler, body: Body) -> None:
    """The connection, in the middle of a reply."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"choices": [')
    handler.wfile.flush()
    handler.connection.close()


def floods(server: Server, handler: BaseHTTPRequestHandler, body: Body) -> None:
    """Bytes without end, as fast as they are read."""
    handler.send_response(200)
    handler.end_headers()
    while not server.over.is_set():
        handler.wfile.write(b"x" * 65_536)


def completion(text: str, **usage: object) -> bytes:
    """The body of a chat completion."""
    message = {"role": "assistant", "content": text}
    record: dict[str, object] = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    return json.dumps(record | ({"usage": usage} if usage else {})).encode()


def _send(
    handler: BaseHTTPRequestHandler,
    status: int,
    raw: bytes,
    kind: str = "application/json",
    headers: dict[str, str] | None = None,
) -> None:
    handler.send_response(status)
    for name, value in {"Content-Type": kind, "Content-Length": str(len(raw)), **(headers or {})}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(raw)
