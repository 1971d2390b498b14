"""200 hostile requests a second for a minute, while ten streams go on: does everybody else get their answers?

    python benchmarks/hostile.py                # results/hostile.json, and the table of docs/serving.md and its twin
    python benchmarks/hostile.py --seconds 5    # does it work? nothing is written
    python benchmarks/hostile.py --page         # only write the pages from what was measured

A tiny transformer is served on loopback as an assistant with two keys. Ten streams of one key ask again as soon as they
are answered; half of the hostile requests have the other key, the others none. Each is one of many that are wrong in
their own way; some connections only begin to speak. First the streams run alone, then beside the attack.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from marks import put

import strop
from strop.assistant import Settings, create
from strop.assistant.keys import Keys

RESULTS, DOCS = Path(__file__).parent / "results", Path(__file__).parents[1] / "docs"
STREAMS, RATE = 10, 200
ANSWER_SECONDS, START_SECONDS = 60.0, 120.0
WORDS = [f"w{i}" for i in range(200)]
STROP = [sys.executable, "-c", "import sys; from strop.cli.main import main; sys.exit(main())"]
TEXTS = {
    "": {
        "head": "| | alone | beside {rate} hostile requests a second, for {seconds:g} s |",
        "tokens": "tokens a second, ten streams",
        "answers": "whole answers",
        "dropped": "dropped or refused answers",
        "gap": "longest wait for the next token, s",
        "memory": "memory of the server at its end, MB",
        "hostile": "Hostile requests by what they were told: {statuses}. Answers of status 5xx: {fives}.",
        "not yet": "Not measured yet: `python benchmarks/hostile.py` writes its table here.",
    },
    ".zh-CN": {
        "head": "| | 单独 | 同时每秒 {rate} 个恶意请求，持续 {seconds:g} 秒 |",
        "tokens": "每秒词元数，十个流",
        "answers": "完整的回答",
        "dropped": "中断或被拒的回答",
        "gap": "等待下一个词元的最长时间，秒",
        "memory": "结束时服务器的内存，MB",
        "hostile": "恶意请求得到的答复：{statuses}。状态为 5xx 的答复：{fives}。",
        "not yet": "还没有测：`python benchmarks/hostile.py` 会把表写在这里。",
    },
}


def hostile(dice: random.Random, key: str) -> bytes:
    """One request that is wrong in its own way; half of them have a key."""
    chat = b'{"model": "mine", "messages": [{"role": "user", "content": "w1"}]}'
    path, host, more, method, body = b"/v1/chat/completions", b"127.0.0.1", b"", b"POST", chat
    match dice.randrange(14):
        case 0:
            body = b"{" * 50_000
        case 1:
            body = b"\xff\xfe" * 100
        case 2:
            body = b" " * 1_500_000
        case 3:
            host = b"evil.example"
        case 4:
            more = b"Origin: http://evil.example\r\n"
        case 5:
            path = b"/static/../../../../../../etc/passwd"
        case 6:
            path, method = b"/static/%2e%2e/%2e%2e/server.py", b"GET"
        case 7:
            more = b"X: " + b"y" * 40_000 + b"\r\n"
        case 8:
            path = b"/?language=en%0d%0aSet-Cookie:%20x=y"
        case 9:
            body = chat.replace(b'"model"', b'"n": 16, "max_tokens": 1000000, "model"')
        case 10:
            path, body = b"/feedback", b'{"kind": "thumb", "value": true, "inference_id": "../x"}'
        case 11:
            body = chat.replace(b"}]}", b'}], "metadata": {"conversation": "hers"}}')
        case 12:
            path, body = b"/session", b'{"key": "strop-guess"}'
        case _:
            return b"GET / HT\x00P\r\nX\r\n\r\n"
    if dice.random() < 0.5:
        more += b"Authorization: Bearer " + key.encode() + b"\r\n"
    head = b"%s %s HTTP/1.1\r\nHost: %s\r\n%sContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close"
    return head % (method, path, host, more, len(body)) + b"\r\n\r\n" + body


async def attack(port: int, key: str, seconds: float) -> Counter[str]:
    """So many requests a second, whether they are answered or not; what they were told."""
    told, dice, tasks, begun = Counter[str](), random.Random(0), set[asyncio.Task[None]](), time.perf_counter()

    async def one(sent: bytes) -> None:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                with contextlib.closing(writer):
                    writer.write(sent)
                    line = await reader.readline()
            told[line[9:12].decode() or "cut"] += 1
        except TimeoutError:
            told["silent"] += 1
        except OSError:
            told["cut"] += 1

    for number in range(round(RATE * seconds)):
        await asyncio.sleep(max(0.0, begun + number / RATE - time.perf_counter()))
        task = asyncio.create_task(one(b"GET / HT" if number % 100 == 0 else hostile(dice, key)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    told["sent in s"] = round(time.perf_counter() - begun)
    await asyncio.gather(*tasks)
    return told


async def stream(port: int, key: str, end: float, found: dict[str, Any]) -> None:
    """Ask again and again until `end`."""
    body = json.dumps({"model": "mine", "messages": [{"role": "user", "content": "w1"}], "stream": True}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    while time.perf_counter() < end:
        is_whole = False
        with contextlib.suppress(OSError):  # cut off: it counts as dropped
            is_whole = await _answer(port, head.encode() + body, found)
        found["answers" if is_whole else "dropped"] += 1


async def _answer(port: int, sent: bytes, found: dict[str, Any]) -> bool:
    """Whether one answer came whole; its tokens are counted."""
    is_whole = False
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    with contextlib.closing(writer):
        writer.write(sent)
        before = time.perf_counter()
        async for line in reader:
            if line.startswith(b"data: {"):
                found["tokens"] += 1
                now = time.perf_counter()
                found["gap"], before = max(found["gap"], now - before), now
            is_whole |= line.startswith(b"data: [DONE]")
    return is_whole


async def round_of(port: int, keys: dict[str, str], seconds: float, pid: int, is_attacked: bool) -> dict[str, Any]:
    """Streams for some seconds, alone or attacked."""
    found: dict[str, Any] = {"tokens": 0, "answers": 0, "dropped": 0, "gap": 0.0}
    end = time.perf_counter() + seconds
    streams = [asyncio.create_task(stream(port, keys["ann"], end, found)) for _ in range(STREAMS)]
    told = await attack(port, keys["mallory"], seconds) if is_attacked else Counter[str]()
    await asyncio.gather(*streams)
    status = Path(f"/proc/{pid}/status").read_text()
    memory = int(status.partition("VmRSS:")[2].split()[0]) // 1024
    return found | {"tokens": found["tokens"] / seconds, "memory": memory, "told": dict(sorted(told.items()))}


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[int, dict[str, str], int]]:
    """The port, the keys and the process of a server."""
    config = strop.TrainConfig(
        policy=strop.policies.Scratch(words=WORDS, num_layers=2, width=64, context=512),
        tasks=[strop.Task("one", "w1")],
        rewards=[_nothing],
        algorithm=strop.algorithms.REINFORCE.Config(),
        sampling=strop.Sampling(max_tokens=4),
        steps=1,
        threads=1,
    )
    run = strop.train(config, folder / "run", progress=False).path
    settings = Settings(temperature=1.0, max_tokens=400, pairs=0, threads=1)
    mine = create(folder / "mine", str(run), settings=settings, questions=["w1 w2"] * 50, skills={})
    keys = {name: Keys(mine.path).add(name) for name in ("ann", "mallory")}
    command = [*STROP, "serve", "--assistant", str(mine.path), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}) as one:
        try:
            assert one.stdout is not None
            yield int(one.stdout.readline().strip().rpartition(":")[2]), keys, one.pid
        finally:
            one.terminate()
            one.wait(START_SECONDS)


def _nothing(task: strop.Task, episode: Any) -> float:
    return 0.0


def page_of(record: dict[str, Any], language: str) -> str:
    """The table."""
    words = TEXTS[language]
    if not record:
        return words["not yet"]
    alone, attacked = record["alone"], record["attacked"]
    forms = {"tokens": "{:.0f}", "answers": "{}", "dropped": "{}", "gap": "{:.2f}", "memory": "{}"}
    lines = [words["head"].format(rate=RATE, seconds=record["seconds"]), "|---|---|---|"]
    lines += [
        f"| {words[name]} | {form.format(alone[name])} | {form.format(attacked[name])} |"
        for name, form in forms.items()
    ]
    told = {name: number for name, number in attacked["told"].items() if name != "sent in s"}
    statuses = ", ".join(f"{name}: {number}" for name, number in told.items())
    fives = sum(number for name, number in told.items() if name.startswith("5"))
    return "\n".join([*lines, "", words["hostile"].format(statuses=statuses, fives=fives)])


def write_pages(record: dict[str, Any]) -> None:
    """Put the table between the marks of the pages."""
    for language in TEXTS:
        put(DOCS / f"serving{language}.md", "hostile", page_of(record, language))


def recorded() -> dict[str, Any]:
    """What was measured; nothing yet without the file."""
    file = RESULTS / "hostile.json"
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", action="store_true", help="only write the pages")
    parser.add_argument("--seconds", type=float, default=60.0)
    args = parser.parse_args()
    if not args.page:
        with tempfile.TemporaryDirectory() as name, served(Path(name)) as (port, keys, pid):
            record: dict[str, Any] = {"seconds": args.seconds, "load": os.getloadavg()[0]}
            for name, is_attacked in (("alone", False), ("attacked", True)):
                record[name] = asyncio.run(round_of(port, keys, args.seconds, pid, is_attacked))
                print(name, record[name], flush=True)
        if args.seconds < 60:
            return
        (RESULTS / "hostile.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    write_pages(recorded())


if __name__ == "__main__":
    main()
