"""`strop serve` beside `transformers serve`: the same model, the same requests over HTTP, in turns.

    python benchmarks/serve.py           # results/serve.json, and the tables of docs/serving.md and its twin
    python benchmarks/serve.py --page    # only write the pages from what was measured
    python benchmarks/serve.py --model DIR --tokens 8 --repeats 1 --out DIR   # does it work? no page changes

So many requests come at once, each with a prompt of its own, greedy and streamed, each read by a thread of its own.
Text counts as soon as a client has it. A stream is whole if its last event says why it ended; all others are dropped.
In each repeat each server is started anew, answers one request to warm up, and is stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from marks import put
from side_by_side import RESULTS, machine, packages, spread

from strop.hub.models import resolve
from strop.recipes.story import story_tasks
from strop.types import Message, messages_of

DOCS = Path(__file__).parents[1] / "docs"
OURS, CONTINUOUS, PEER = "strop", "continuous", "transformers"
AT_ONCE = (1, 4, 16, 50)
START_SECONDS, ANSWER_SECONDS, STOP_SECONDS = 300.0, 1200.0, 60.0
STROP = [sys.executable, "-c", "import sys; from strop.cli.main import main; sys.exit(main())"]
BOUNDED = ["--cb-num-blocks", "256", "--cb-max-batch-tokens", "512"]
"""Its cache for continuous batching would else take the greater part of the machine's memory; this holds more tokens
than 50 streams have."""
TRANSFORMERS = [sys.executable, "-c", "from transformers.cli.transformers import main; main()"]


@dataclass(frozen=True, slots=True)
class Stream:
    """One answer as its client saw it: seconds until the first text, or the end if there was none; its tokens; and
    whether it was whole."""

    first: float
    tokens: int
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Round:
    """Requests that came at once. `first` is that of the one in the middle, `slowest` of the last to begin."""

    tokens_a_second: float
    first: float
    slowest: float
    tokens: int
    dropped: int


def command(server: str, model: str, port: int) -> list[str]:
    """What starts a server."""
    if server == OURS:
        return [*STROP, "serve", model, "--port", str(port)]
    more = ["--continuous-batching", *BOUNDED] if server == CONTINUOUS else []
    return [*TRANSFORMERS, "serve", model, "--device", "cpu", "--dtype", "float32", "--port", str(port), *more]


@contextmanager
def started(server: str, model: str, threads: int) -> Iterator[str]:
    """The address of a server that answers. Raises SystemExit with what it said where it does not."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {
        "OMP_NUM_THREADS": str(threads),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    said: list[str] = []
    with subprocess.Popen(
        command(server, model, port), env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        listening = threading.Thread(target=lambda: said.extend(process.stderr or ()), daemon=True)
        listening.start()
        try:
            wait(f"http://127.0.0.1:{port}", server, process, said)
            yield f"http://127.0.0.1:{port}"
            if process.poll() is not None:
                print(f"{server} ended by itself:\n{''.join(said)[-4000:]}", file=sys.stderr)
        finally:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def wait(address: str, server: str, process: subprocess.Popen[str], said: Sequence[str]) -> None:
    """Until it answers /health."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"error: {server} does not answer:\n{''.join(said)[-4000:]}") from None
        time.sleep(0.2)


def read(address: str, model: str, messages: Sequence[Message], tokens: int) -> Stream:
    """Ask, and read the stream to its end."""
    body = {
        "model": model,
        "messages": list(messages),
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0,
        "max_tokens": tokens,
    }
    kind = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/v1/chat/completions", json.dumps(body).encode(), kind)
    asked, first, written, finish = time.perf_counter(), 0.0, 0, None
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:
            for line in answer:
                event = line.decode().strip().removeprefix("data: ")
                if not event or event == "[DONE]":
                    continue
                chunk = json.loads(event)
                for choice in chunk.get("choices", ()):
                    if choice["delta"].get("content") and not first:
                        first = time.perf_counter() - asked
                    finish = choice.get("finish_reason") or finish
                written = (chunk.get("usage") or {}).get("completion_tokens", written)
    except OSError as error:  # refused or cut off: the stream is dropped, which is counted
        print(f"dropped: {error}", file=sys.stderr)
        finish = None
    return Stream(first or time.perf_counter() - asked, written, finish in ("stop", "length"))


def at_once(address: str, model: str, prompts: Sequence[Sequence[Message]], tokens: int) -> Round:
    """All prompts at once."""
    with ThreadPoolExecutor(len(prompts)) as pool:
        began = time.perf_counter()
        found = list(pool.map(lambda prompt: read(address, model, prompt, tokens), prompts))
        seconds = time.perf_counter() - began
    firsts, written = [one.first for one in found], sum(one.tokens for one in found)
    dropped = sum(not one.is_whole for one in found)
    return Round(written / seconds, statistics.median(firsts), max(firsts), written, dropped)


def measured(args: argparse.Namespace, prompts: Sequence[Sequence[Message]]) -> dict[str, list[dict[str, Any]]]:
    """What each server did in each repeat, by the number of requests at once."""
    model, servers = str(resolve(args.model)), [OURS, *args.peers]
    found: dict[str, list[dict[str, Any]]] = {server: [] for server in servers}
    for repeat in range(args.repeats):
        for server in servers:
            print(f"repeat {repeat + 1} of {args.repeats}: {server}", file=sys.stderr, flush=True)
            with started(server, model, args.threads) as address:
                at_once(address, model, prompts[:1], args.tokens)
                rounds = {str(n): at_once(address, model, prompts[:n], args.tokens) for n in args.at_once}
            found[server].append({number: asdict(one) for number, one in rounds.items()})
    return found


HEADS = {
    "": (
        "| at once | tokens/s | first text, s | the last one's first text, s | dropped | ",
        "`transformers serve`",
        "with `--continuous-batching`",
        "{peer}: tokens/s, times | first text, times sooner",
        "{repeats}; {about}. {date}, {machine}, {threads} threads, {packages}: `{command}`",
        "Not measured yet: `python benchmarks/serve.py` writes its table here.",
        ("Measured once", "Medians of {number} [smallest, largest]"),
    ),
    ".zh-CN": (
        "| 同时 | 每秒词元 | 第一段文字，秒 | 最晚的第一段文字，秒 | 中断 | ",
        "`transformers serve`",
        "加 `--continuous-batching`",
        "{peer}：每秒词元，倍数 | 第一段文字，早多少倍",
        "{repeats}；{about}。{date}，{machine}，{threads} 个线程，{packages}：`{command}`",
        "还没有测：`python benchmarks/serve.py` 会把表写在这里。",
        ("测了一次", "{number} 次的中位数 [最小, 最大]"),
    ),
}


def page_of(record: Mapping[str, Any], language: str) -> str:
    """The table: a row for so many requests at once."""
    head, plain, continuous, ratio, source, _, (once, medians) = HEADS[language]
    peers = {name: said for name, said in ((PEER, plain), (CONTINUOUS, continuous)) if name in record["servers"]}
    first = head + " | ".join(ratio.format(peer=said) for said in peers.values()) + " |"
    lines = [first, "|---" * (first.count("|") - 1) + "|"]
    ours = record["servers"][OURS]
    for number in ours[0]:
        cells = [number, *(_spread(ours, number, name) for name in ("tokens_a_second", "first", "slowest"))]
        cells.append(str(sum(one[number]["dropped"] for one in ours)))
        for peer in peers:
            cells += [_times(ours, record["servers"][peer], number, name) for name in ("tokens_a_second", "first")]
        lines.append(f"| {' | '.join(cells)} |")
    told = {name: record[name] for name in ("about", "date", "machine", "threads", "command")}
    used = ", ".join(f"{name} {version}" for name, version in record["packages"].items())
    repeats = once if len(ours) == 1 else medians.format(number=len(ours))
    return "\n".join([*lines, "", source.format(repeats=repeats, packages=used, **told)])


def _spread(runs: Sequence[Mapping[str, Any]], number: str, name: str) -> str:
    return spread([one[number][name] for one in runs])


def _times(ours: Sequence[Any], theirs: Sequence[Any], number: str, name: str) -> str:
    """How many times more tokens a second, or how many times sooner, repeat by repeat. A dash where theirs dropped
    some."""
    if dropped := sum(other[number]["dropped"] for other in theirs):
        return f"– ({dropped})"
    pairs = [(one[number][name], other[number][name]) for one, other in zip(ours, theirs, strict=True)]
    found = [b / a for a, b in pairs] if name == "first" else [a / b for a, b in pairs]
    return spread(found)


def write_pages(record: Mapping[str, Any], docs: Path = DOCS) -> None:
    """Put the table between the marks of the pages."""
    for language in HEADS:
        put(docs / f"serving{language}.md", "serve", page_of(record, language))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", action="store_true", help="only write the pages")
    parser.add_argument("--model", default="smollm2", help="a known model, or a folder")
    parser.add_argument("--tokens", type=int, default=48, help="the most of an answer")
    parser.add_argument("--at-once", nargs="+", type=int, default=AT_ONCE, help="requests (default: 1 4 16 50)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--peers", nargs="*", choices=(CONTINUOUS, PEER), default=[CONTINUOUS, PEER])
    parser.add_argument(
        "--out", type=Path, default=RESULTS, help="folder of the result; the pages change with this one"
    )
    args = parser.parse_args()
    file = args.out / "serve.json"
    if not args.page:
        prompts = [messages_of(task.prompt) for task in story_tasks("train", max(args.at_once))]
        record = {
            "about": f"{Path(args.model).name}, float32, ≤ {args.tokens}",
            "command": " ".join(["python benchmarks/serve.py", *sys.argv[1:]]),
            "date": date.today().isoformat(),
            "machine": machine(),
            "threads": args.threads,
            "packages": packages(),
            "servers": measured(args, prompts),
        }
        args.out.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print(page_of(record, ""))
    if args.out == RESULTS:
        write_pages(json.loads(file.read_text(encoding="utf-8")))


if __name__ == "__main__":
    main()
