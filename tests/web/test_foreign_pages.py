"""A page of someone else, open in the same browser, gets no answer and leaves no trace."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = b"<!doctype html><title>elsewhere</title><iframe></iframe>"
SEND = """
async ([url, kind]) => {
  const body = JSON.stringify({model: "tiny", messages: [{role: "user", content: "hello"}]});
  const headers = kind ? {"Content-Type": kind} : {};
  const sent = (mode) => fetch(url + "/v1/chat/completions", {method: "POST", mode, headers, body});
  const read = await sent("cors").then((answer) => answer.text(), () => "refused");
  if (!kind || kind === "text/plain") await sent("no-cors").catch(() => null);
  return read;
}
"""


@contextmanager
def elsewhere():
    """A page at another port, so of another origin."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(PAGE)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}"
    http.shutdown()
    http.server_close()
    thread.join(5.0)


def test_it_neither_reads_nor_sends(site):
    one = site()
    with elsewhere() as foreign:
        one.page.goto(foreign)
        for kind in ("application/json", "text/plain", ""):
            assert one.page.evaluate(SEND, [one.url, kind]) == "refused"
    assert one.what.store.answers() == []
    one.said.clear()  # Chromium notes each refusal


def test_it_cannot_frame_the_chat(site):
    one = site()
    with elsewhere() as foreign:
        one.page.goto(foreign)
        one.page.evaluate("(url) => { document.querySelector('iframe').src = url; }", one.url)
        one.page.wait_for_timeout(500)
        assert all("strop" not in (frame.title() or "") for frame in one.page.frames[1:])
    one.said.clear()


def test_a_script_that_got_into_the_page_does_not_run(site):
    one = site()
    one.page.evaluate(
        "() => { const s = document.createElement('script'); s.textContent = 'window.ran = true';"
        " document.body.append(s); const i = document.createElement('img');"
        " i.setAttribute('onerror', 'window.ran = true');"
        " i.src = '/nowhere.png'; document.body.append(i); }"
    )
    one.page.wait_for_timeout(300)
    assert one.page.evaluate("window.ran") is None
    one.said.clear()
