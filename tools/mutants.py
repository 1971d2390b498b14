"""Plant small bugs in every function of algorithms/ and functional/, and see which ones no test notices.

    python tools/mutants.py [grpo returns ...] [--workers 2] [--minutes 25] [--skip 600]

One process loads torch, strop and the quick tests that fit, and runs them once; then it forks for every mutant. The
fork gives one function the code of its mutated form (no file is touched) and runs the tests from the quickest on until
one fails, so a mutant costs about as long as that test. One that all tests let pass must still get past `strop verify`.
Survivors that change nothing stand, each with its reason, in equivalent_mutants.toml; any other one is a failure.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib
import json
import os
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from sites import ROOT, Site, equivalent, planted, put_in_place

MARKS = "not slow and not model and not crash and not learning"
EVERY = "from exact.learners import"
"""What a test file says that takes every algorithm of the folder."""
OTHERWISE = ("tests/faults", "tests/learning", "tests/unit/cli", "tests/unit/verify")
"""Tests of other things, or of the same things in minutes."""
SHARE = 0.25
"""Of the time that all tests take without a bug: so much of them one bug is worth, on quick and slow machines alike."""


def tests_of(module: str) -> list[str]:
    """The test files that fit a module: those that name it or its class, and those that take every algorithm."""
    stem, files = module.rpartition(".")[2], set()
    named = re.compile("|".join(rf"\balgorithms\.{name}\b" for name in classes(module)) or "(?!)")
    for file in sorted((ROOT / "tests").rglob("test_*.py")):
        path = str(file.relative_to(ROOT))
        is_shared = module.startswith("strop.functional.") and path.startswith("tests/exact")
        text = file.read_text(encoding="utf-8")
        fits = (
            is_shared or file.stem.startswith(f"test_{stem}") or module in text or EVERY in text or named.search(text)
        )
        if fits and not path.startswith(OTHERWISE):
            files.add(path)
    return sorted(files)


def classes(module: str) -> list[str]:
    """The classes that a module defines."""
    source = (ROOT / "src" / Path(*module.split("."))).with_suffix(".py").read_text(encoding="utf-8")
    return [one.name for one in ast.parse(source).body if isinstance(one, ast.ClassDef)]


class Judge:
    """A pytest plugin: after the tests are collected it runs them once for every mutant, each time in a fork."""

    def __init__(self, sites: Sequence[Site], workers: int, minutes: float) -> None:
        self.sites, self.workers, self.minutes = sites, workers, minutes
        self.files = {module: set(tests_of(module)) for module in {site.module for site in sites}}
        self.survivors: list[Site] = []
        self.seconds: dict[str, float] = {}
        self.noticed: Counter[tuple[str, str]] = Counter()
        self.count = self.timed_out = 0

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of running the tests."""
        if session.testsfailed:
            raise session.Interrupted("the tests cannot be collected")
        from strop.verify.checks import plan

        for one in plan():
            one.load()
        self.measure(session)
        start = time.monotonic()
        say(f"without a bug all tests pass, in {sum(self.seconds.values()):.0f} s; {len(self.sites)} mutants")
        for site, code in self.judged(session, start + 60 * self.minutes):
            self.count += 1
            self.timed_out += code < 0
            if code == 0:
                self.survivors.append(site)
                say(f"survived: {site}")
            if self.count % 50 == 0:
                say(f"{self.count}/{len(self.sites)}, {time.monotonic() - start:.0f} s")
        return True

    def measure(self, session: pytest.Session) -> None:
        """How long each test takes; stop if one fails, since then every mutant would look noticed."""
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / str(worker) for worker in range(self.workers)]

            def run(worker: int) -> int:
                seconds, is_sound = {}, worker > 0 or is_verified()
                for item in session.items[worker :: self.workers]:
                    start = time.perf_counter()
                    seconds[item.nodeid] = -1.0 if fails(session, item) else time.perf_counter() - start
                    if seconds[item.nodeid] < 0:
                        is_sound = False
                        break
                paths[worker].write_text(json.dumps({"seconds": seconds, "modules": list(sys.modules)}))
                return 0 if is_sound else 1

            children = [fork(lambda w=worker: run(w)) for worker in range(self.workers)]
            statuses = [os.waitpid(child, 0)[1] for child in children]
            found = [json.loads(path.read_text()) for path in filter(Path.exists, paths)]
        for one in found:
            self.seconds |= one["seconds"]
            load(one["modules"])
        if any(statuses):
            broken = [name for name, seconds in self.seconds.items() if seconds < 0] or ["strop verify"]
            raise SystemExit(f"error: it fails without a planted bug: {', '.join(broken)}")

    def judged(self, session: pytest.Session, until: float) -> Iterator[tuple[Site, int]]:
        """(site, exit code) as they finish, `workers` at a time, none begun after `until`."""
        waiting, running = list(reversed(self.sites)), dict[int, tuple[Site, Any]]()
        while running or (waiting and time.monotonic() < until):
            while waiting and len(running) < self.workers and time.monotonic() < until:
                site, last = waiting.pop(), tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed when the child ends)
                running[fork(lambda s=site, f=last: self.judge(session, s, f))] = (site, last)
            pid, status = os.wait()
            site, last = running.pop(pid)
            with last:
                last.seek(0)
                self.noticed[site.module, last.read()] += status != 0
            yield site, os.waitstatus_to_exitcode(status)

    def judge(self, session: pytest.Session, site: Site, last: Any) -> int:
        """In a fork: 0 if neither the tests nor `strop verify` notice the mutant; `last` gets the test that did.

        First come the tests that noticed most bugs of the same file for the time they take, then the quickest, as many
        as SHARE allows: what they all let pass is worth a test of its own.
        """
        put_in_place(site)
        fitting = [item for item in session.items if self.fits(item, site.module)]
        order = sorted(fitting, key=lambda one: self.place(site.module, one.nodeid))
        left = SHARE * sum(self.seconds.values())
        for item in order:
            left -= self.seconds[item.nodeid]
            if left < 0:
                break
            last.seek(0)
            last.truncate()
            last.write(item.nodeid)
            last.flush()
            signal.alarm(15 + int(10 * self.seconds[item.nodeid]))  # one that has lost its end dies, and is noticed
            if fails(session, item):
                return 1
        signal.alarm(0)
        return 0 if is_verified(site.module) else 1

    def place(self, module: str, test: str) -> tuple[float, float]:
        """Where a test stands in the order for the bugs of a module."""
        return -self.noticed[module, test] / (self.seconds[test] + 0.05), self.seconds[test]

    def fits(self, item: pytest.Item, module: str) -> bool:
        """Whether a test stands in a file for this module and, if it takes an algorithm, takes that one."""
        if str(item.path.relative_to(ROOT)) not in self.files[module]:
            return False
        params = getattr(getattr(item, "callspec", None), "params", {}).values()
        homes = {one.__module__ for one in params if isinstance(one, type)}
        named = {home for home in homes if home.startswith("strop.algorithms.")}
        return not named or module in named or not module.startswith("strop.algorithms.")


def load(modules: Sequence[str]) -> None:
    """Import what tests import while they run: else every fork would do so again."""
    for name in modules:
        if name not in sys.modules:
            with contextlib.suppress(Exception):  # made by a test, and gone
                importlib.import_module(name)


def fails(session: pytest.Session, item: pytest.Item) -> bool:
    """Run one test and tear everything down after it."""
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
    return session.testsfailed > 0


def is_verified(module: str = "") -> bool:
    """Whether every quick row of `strop verify` passes; of an algorithm's module, only the rows of its own."""
    from strop.verify.checks import plan, run

    names = classes(module) if module.startswith("strop.algorithms.") else ()
    try:
        planned = plan(names=names)
    except ValueError:
        return True  # no row bears its name
    return all(row.verdict == "pass" for one in planned for row in run(one))


def fork(call: Callable[[], int]) -> int:
    """Run in a child that says nothing; its process id."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        with contextlib.suppress(Exception):
            code = call()
    finally:
        os._exit(code)


def say(text: str) -> None:
    """A line, past pytest's capture."""
    with contextlib.suppress(BrokenPipeError):
        print(text, file=sys.__stdout__, flush=True)


def main() -> int:
    """The exit code: 0 where every mutant was noticed or is listed as equivalent."""
    parser = argparse.ArgumentParser(description="Which small bugs does no test notice?")
    parser.add_argument("names", nargs="*", help="files by name (default: all)")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--minutes", type=float, default=25.0, help="none is begun after this")
    parser.add_argument("--skip", type=int, default=0, help="so many from the front were judged before")
    parser.add_argument("--list", action="store_true", help="only show them")
    args = parser.parse_args()
    every, known = planted(args.names), equivalent()
    sites = [site for site in every if site.key not in known][args.skip :]
    if args.list:
        print(*sites, f"{len(sites)} mutants", sep="\n")
        return 0
    os.chdir(ROOT)
    judge = Judge(sites, args.workers, args.minutes)
    files = sorted(set(chain.from_iterable(judge.files.values())))
    options = ["-q", "--no-header", "--capture=no", "-p", "no:cacheprovider", "-m", MARKS]
    code = pytest.main([*options, *files], plugins=[judge])
    if not judge.seconds:
        return int(code) or 1
    stale = [] if args.names else [key for key in known if key not in {site.key for site in every}]
    ends = f"{len(judge.survivors)} survived, {judge.timed_out} noticed because a test did not end"
    say(f"{judge.count} of {len(sites)} planted, {ends}; {len(every) - len(sites)} equivalent")
    for key in stale:
        say(f"listed as equivalent and not planted any more: {key}")
    return int(bool(judge.survivors or stale or judge.count < len(sites)))


if __name__ == "__main__":
    raise SystemExit(main())
