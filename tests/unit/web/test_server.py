"""The socket, and the end of a server."""

import json
import socket
import threading
import urllib.request

import pytest

import served
from strop.web.guard import Limits
from strop.web.server import address_of, listening, server

CHAT = {"model": "tiny", "messages": [{"role": "user", "content": "hello"}], "stream": True}


@pytest.mark.parametrize("host", ["example.org", "", "127.1", "0.0.0.0/0"])
def test_what_is_no_address_is_refused(host):
    with pytest.raises(ValueError, match="it is an address of this machine"):
        listening(host, 0)


def test_a_taken_port_is_said():
    with listening("127.0.0.1", 0) as taken, pytest.raises(OSError, match="--port takes another"):
        listening("127.0.0.1", taken.getsockname()[1])


def test_the_address_is_one_that_a_browser_opens():
    with listening("localhost", 0) as four:
        assert address_of(four) == f"http://127.0.0.1:{four.getsockname()[1]}"
    if socket.has_ipv6:
        try:
            six = listening("::1", 0)
        except OSError:
            pytest.skip("this machine has no ::1")
        with six:
            assert address_of(six) == f"http://[::1]:{six.getsockname()[1]}"


def streamed(what, max_tokens):
    """The lines of an answer whose server is told to stop after the first word."""
    listener = listening("127.0.0.1", 0)
    running = server(what)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    body = json.dumps(CHAT | {"max_tokens": max_tokens}).encode()
    url = f"{address_of(listener)}/v1/chat/completions"
    asked = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    lines = []
    with urllib.request.urlopen(asked, timeout=30) as answer:
        try:
            for line in answer:
                lines.append(line)
                running.should_exit = True
        except OSError:  # cut off
            pass
    thread.join(30)
    listener.close()
    assert not thread.is_alive()
    return lines


def test_told_to_stop_it_lets_a_running_answer_finish():
    with served.served(served.actor(has_end=False)) as what:
        assert streamed(what, 300)[-2:] == [b"data: [DONE]\n", b"\n"]


def test_told_to_stop_it_waits_for_a_bounded_time_only():
    with served.served(served.actor(has_end=False), limits=Limits(stop_seconds=1.0)) as what:
        lines = streamed(what, 1_000_000)
        assert len(lines) > 2
        assert b"data: [DONE]\n" not in lines
        what.engine.close(timeout=5.0)
        assert what.engine.health.running == 0
