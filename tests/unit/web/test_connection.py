"""Slow and greedy clients of a real server are cut, and others go on."""

import json
import socket
import urllib.request

import pytest

import served
from strop.web import connection
from strop.web.guard import Limits

HEAD = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.fixture
def port():
    limits = Limits(rate=1e6, burst=1_000_000)
    with served.served(served.actor(has_end=False), limits=limits) as what, served.listened(what) as url:
        yield int(url.rpartition(":")[2])


@pytest.fixture
def hasty(port, monkeypatch):
    """The port of a server with little patience."""
    monkeypatch.setattr(connection, "HEAD_SECONDS", 1.0)
    monkeypatch.setattr(connection, "READ_SECONDS", 1.0)
    return port


def cut(sock):
    """Wait until the server ends the connection; what it said."""
    sock.settimeout(20)
    said = b""
    try:
        while part := sock.recv(65_536):
            said += part
    except ConnectionResetError:
        pass
    return said


@pytest.mark.parametrize("begun", [b"", b"GET", HEAD, HEAD + b"X: " + b"y" * 1000])
def test_a_client_that_never_ends_its_headers_is_cut(hasty, begun):
    with socket.create_connection(("127.0.0.1", hasty)) as sock:
        sock.sendall(begun)
        assert cut(sock) == b""


def test_also_after_an_answer(hasty):
    with socket.create_connection(("127.0.0.1", hasty)) as sock:
        sock.sendall(HEAD + b"\r\n")
        assert sock.recv(65_536).startswith(b"HTTP/1.1 200")
        sock.sendall(HEAD)
        cut(sock)


def test_also_one_that_sends_a_body_that_was_refused(hasty):
    with socket.create_connection(("127.0.0.1", hasty)) as sock:
        sock.sendall(HEAD.replace(b"GET", b"POST") + b"Content-Length: 100\r\nContent-Type: text/plain\r\n\r\nx")
        assert sock.recv(65_536).startswith(b"HTTP/1.1 415")
        sock.sendall(b"x")
        cut(sock)


def test_large_headers_and_what_is_no_http_are_refused(port):
    long = [HEAD + b"X: " + b"y" * 20_000 + b"\r\n\r\n", HEAD.replace(b"health", b"x" * 20_000) + b"\r\n"]
    for sent in (*long, b"\x00\xff\r\n\r\n", b"GET / HTTP/1.1\r\nA b: c\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(sent)
            assert sock.recv(65_536)[9:12] in ((b"400", b"431") if sent in long else (b"400",))


def test_a_client_that_does_not_read_is_cut_and_others_are_answered(hasty):
    with socket.create_connection(("127.0.0.1", hasty)) as sock:
        sock.settimeout(20)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asked = HEAD.replace(b"/health", b"/static/style.css") + b"\r\n"
        with pytest.raises(ConnectionError):
            sock.sendall(asked * 2_000_000)  # pipelined, and never read
    with urllib.request.urlopen(f"http://127.0.0.1:{hasty}/health", timeout=20) as answered:
        assert json.load(answered)["status"] == "ok"


def test_there_are_only_so_many_connections(port, monkeypatch):
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", 3)
    held = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
    for sock in held:
        sock.sendall(HEAD + b"\r\n")
        assert sock.recv(12) == b"HTTP/1.1 200"
    with socket.create_connection(("127.0.0.1", port)) as one_more:
        one_more.sendall(HEAD + b"\r\n")
        assert cut(one_more) == b""
    for sock in held:
        sock.close()


def test_one_address_has_only_so_many(monkeypatch):
    monkeypatch.setattr(connection, "MOST_EACH", 1)
    monkeypatch.setattr(connection, "_is_loopback", lambda client: False)
    with served.served() as what, served.listened(what) as url:
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as first:
            first.sendall(HEAD + b"\r\n")
            assert first.recv(12) == b"HTTP/1.1 200"
            with socket.create_connection(("127.0.0.1", port)) as second:
                second.sendall(HEAD + b"\r\n")
                assert cut(second) == b""


def test_content_lengths_that_are_no_numbers_are_no_failure(port):
    for told in (b"+5", b"-1", b"1e3", b"9" * 5000, "٣".encode()):
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(HEAD.replace(b"GET", b"POST") + b"Content-Type: application/json\r\nContent-Length: ")
            sock.sendall(told + b"\r\n\r\n")
            assert sock.recv(65_536)[9:12] in (b"400", b"413")
