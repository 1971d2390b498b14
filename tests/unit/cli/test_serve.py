import json
import os
import signal
import socket
import threading
import time
import urllib.request

import pytest


def test_it_says_what_is_missing(strop, monkeypatch):
    nothing = strop("serve")
    assert (nothing.code, "serve what?" in nothing.err) == (2, True)
    outside = strop("serve", "runs/r", "--host", "0.0.0.0")
    assert (outside.code, "only this machine may ask" in outside.err) == (1, True)
    assert "there is no run and no model 'nowhere'" in strop("serve", "nowhere", "--port", 0).err
    assert "there is no assistant in mine yet" in strop("serve", "--assistant", "mine", "--port", 0).err
    monkeypatch.setattr("strop.cli.serve.find_spec", lambda name: None)
    bare = strop("serve", "runs/r")
    assert "needs the package fastapi" in bare.err
    assert 'hint: pip install "strop[serve]"' in bare.err


@pytest.mark.matrix
def test_a_run_is_served_until_it_is_interrupted(strop, table_recipe):
    assert strop("train", table_recipe(), "--run", "runs/r").code == 0
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    answers = []

    def ask_and_interrupt():
        body = {"model": "runs/r", "messages": [{"role": "user", "content": "a"}]}
        url, kind = f"http://127.0.0.1:{port}/v1/chat/completions", {"Content-Type": "application/json"}
        for _ in range(300):
            try:
                with urllib.request.urlopen(
                    urllib.request.Request(url, json.dumps(body).encode(), kind), timeout=20
                ) as got:
                    answers.append(json.load(got))
                break
            except OSError:  # it does not listen yet
                time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    client = threading.Thread(target=ask_and_interrupt, daemon=True)
    client.start()
    said = strop("serve", "runs/r", "--port", port)
    client.join(30)
    assert said.code == 130
    assert said.out == f"http://127.0.0.1:{port}\n"
    assert said.err.endswith("stopped\n")
    assert answers[0]["choices"][0]["message"]["content"] in ("a", "b", "")
    assert answers[0]["version"] == "runs/r"
