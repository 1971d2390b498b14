import json
import signal
import subprocess
import sys
import urllib.request

import pytest


def test_it_says_what_is_missing(strop, monkeypatch):
    nothing = strop("serve")
    assert (nothing.code, "serve what?" in nothing.err) == (2, True)
    outside = strop("serve", "runs/r", "--host", "0.0.0.0")
    assert (outside.code, "only this machine may ask" in outside.err) == (1, True)
    assert "there is no run and no model 'nowhere'" in strop("serve", "nowhere", "--port", 0).err
    assert "there is no assistant in mine yet" in strop("serve", "--assistant", "mine", "--port", 0).err
    alone = strop("serve", "runs/r", "--canary", 0.1)
    assert (alone.code, "--canary is of an assistant's versions" in alone.err) == (2, True)
    assert "a share between 0 and 1" in strop("serve", "--assistant", "mine", "--canary", 1).err
    assert "--keep-nothing is of an assistant" in strop("serve", "runs/r", "--keep-nothing").err
    both = strop("serve", "runs/r", "--assistant", "mine", "--weights", "w")
    assert (both.code, "--weights is of a run, without an assistant" in both.err) == (2, True)
    outside = strop("serve", "runs/r", "--weights", "w", "--host", "0.0.0.0")
    assert (outside.code, "only this machine may ask" in outside.err) == (1, True)
    with monkeypatch.context() as patched:
        patched.setattr("strop.privacy.masker.find_spec", lambda name: None)
        bare = strop("serve", "runs/r", "--assistant", "mine")
        assert (bare.code, "no text is let through" in bare.err) == (1, True)
        assert "hint: strop serve --assistant mine --keep-nothing answers, and keeps nothing" in bare.err
    monkeypatch.setattr("strop.cli.serve.find_spec", lambda name: None)
    bare = strop("serve", "runs/r")
    assert "needs the package fastapi" in bare.err
    assert 'hint: pip install "strop[serve]"' in bare.err


@pytest.mark.matrix
@pytest.mark.parametrize(("at_start", "code"), [(signal.SIG_DFL, 130), (signal.SIG_IGN, 0)])
def test_a_run_is_served_until_it_is_interrupted(at_start, code, strop, table_recipe):
    """In a process of its own, since the signal goes to the whole of it; a script's, in the background, ignores it."""
    assert strop("train", table_recipe(), "--run", "runs/r").code == 0
    command = [sys.executable, "-c", "import sys; from strop.cli.main import main; sys.exit(main())"]
    with subprocess.Popen(
        [*command, "serve", "runs/r", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, at_start),
    ) as server:
        try:
            address = server.stdout.readline().strip()
            body = {"model": "runs/r", "messages": [{"role": "user", "content": "a"}]}
            url, kind = f"{address}/v1/chat/completions", {"Content-Type": "application/json"}
            asked = urllib.request.Request(url, json.dumps(body).encode(), kind)
            with urllib.request.urlopen(asked, timeout=60) as got:
                answer = json.load(got)
            server.send_signal(signal.SIGINT)
            out, err = server.communicate(timeout=60)
        finally:
            server.kill()
    assert server.returncode == code
    assert (address.startswith("http://127.0.0.1:"), out) == (True, "")
    assert err.startswith("loading runs/r\n")
    assert err.endswith("stopped\n")
    assert answer["choices"][0]["message"]["content"] in ("a", "b", "")
    assert answer["version"] == "runs/r"
