"""Plant small bugs in every function that holds mathematics, and see which ones nothing notices.

    python tools/mutants.py [grpo returns ...] [--workers 2] [--minutes 25] [--skip 600]
    python tools/mutants.py algorithms functional --sample 300 --seed 0 --verify

One process loads torch, strop, the quick tests that fit and the checks of `strop verify`, runs them once and notes
which lines each of them reaches; then it forks for every mutant. The fork gives one function the code of its mutated
form (no file is touched) and runs what reaches it, the checks of `strop verify` first and then the tests, each from the
quickest on until something fails, so a mutant costs about as long as that one. At the end it says how many bugs verify
notices by itself; with --verify no test runs at all. Survivors that change nothing stand, each with its reason, in
equivalent_mutants.toml; any other one is a failure.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from probes import Probe, checks, tests, tests_of
from reach import Line, Reach
from sites import ROOT, Site, equivalent, planted, put_in_place
from tally import Tally

MARKS = "not slow and not model and not crash and not learning"
SHARE = 0.15
"""Of the time that all of it takes without a bug: so much one bug is worth, on quick and slow machines alike."""


class Judge:
    """A pytest plugin: after the tests are collected it runs, for every mutant in a fork, those that reach it."""

    def __init__(self, sites: Sequence[Site], workers: int, minutes: float) -> None:
        self.sites, self.workers, self.minutes = sites, workers, minutes
        self.modules = sorted({site.module for site in sites})
        self.tally = Tally()
        self.seconds: dict[str, float] = {}
        self.reaching: defaultdict[Line, set[str]] = defaultdict(set)
        self.noticed: Counter[tuple[str, str]] = Counter()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """In place of running the tests."""
        if session.testsfailed:
            raise session.Interrupted("the tests cannot be collected")
        self.run([*checks(), *tests(session)])
        return True

    def run(self, probes: Sequence[Probe]) -> None:
        """Every mutant before these probes."""
        self.files = {name: str(importlib.import_module(name).__file__) for name in self.modules}
        self.probes = {one.name: one for one in probes}
        self.measure()
        start = time.monotonic()
        say(f"without a bug nothing is noticed, in {sum(self.seconds.values()):.0f} s; {len(self.sites)} mutants")
        for site, code, last in self.judged(start + 60 * self.minutes):
            by = None if code == 0 else "verify" if self.probes[last].is_check else "tests"
            self.tally.add(site, by, timed_out=code < 0)
            if by != "verify":
                say(f"survived: {site}" if by is None else f"only a test notices, {last}: {site}")
            if self.tally.count % 50 == 0:
                say(f"{self.tally.count}/{len(self.sites)}, {time.monotonic() - start:.0f} s")

    def measure(self) -> None:
        """How long each probe takes and which lines it reaches; stop if one fails, since every mutant would look
        noticed."""
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / str(worker) for worker in range(self.workers)]

            def run(worker: int) -> int:
                found: dict[str, Any] = {}
                for probe in list(self.probes.values())[worker :: self.workers]:
                    start = time.perf_counter()
                    with Reach(self.files.values()) as reach:
                        failed = probe.fails()
                    found[probe.name] = (-1.0 if failed else time.perf_counter() - start, sorted(reach.lines))
                    if failed:
                        break
                paths[worker].write_text(json.dumps({"probes": found, "modules": list(sys.modules)}))
                return int(failed)

            children = [fork(lambda w=worker: run(w)) for worker in range(self.workers)]
            statuses = [os.waitpid(child, 0)[1] for child in children]
            found = [json.loads(path.read_text()) for path in filter(Path.exists, paths)]
        for one in found:
            for name, (seconds, lines) in one["probes"].items():
                self.seconds[name] = seconds
                for file, line in lines:
                    self.reaching[file, line].add(name)
            load(one["modules"])
        if any(statuses):
            broken = [name for name, seconds in self.seconds.items() if seconds < 0] or ["a process died"]
            raise SystemExit(f"error: it fails without a planted bug: {', '.join(broken)}")

    def judged(self, until: float) -> Iterator[tuple[Site, int, str]]:
        """(site, exit code, what ran last) as they finish, `workers` at a time, none begun after `until`."""
        waiting, running = list(reversed(self.sites)), dict[int, tuple[Site, Any]]()
        while running or (waiting and time.monotonic() < until):
            while waiting and len(running) < self.workers and time.monotonic() < until:
                site, last = waiting.pop(), tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed when the child ends)
                running[fork(lambda s=site, f=last: self.judge(s, f))] = (site, last)
            pid, status = os.wait()
            site, last = running.pop(pid)
            with last:
                last.seek(0)
                name = last.read()
            self.noticed[site.module, name] += status != 0
            yield site, os.waitstatus_to_exitcode(status), name

    def judge(self, site: Site, last: Any) -> int:
        """In a fork: 0 if nothing that reaches the mutant notices it; `last` gets the name of what did.

        The checks of verify come before the tests. Of each, those come first that noticed most bugs of the same file
        for the time they take, then the quickest, as many as SHARE allows: what they all let pass is worth a check of
        its own.
        """
        put_in_place(site)
        lines = range(site.mutant.line, site.mutant.last + 1)
        names = set().union(*(self.reaching[self.files[site.module], line] for line in lines))
        in_order = sorted(names, key=lambda one: self.place(site.module, one))
        for kind in (True, False):
            left = SHARE * sum(self.seconds.values())
            for name in [one for one in in_order if self.probes[one].is_check is kind]:
                if self.seconds[name] > left:
                    continue
                left -= self.seconds[name]
                last.seek(0)
                last.truncate()
                last.write(name)
                last.flush()
                signal.alarm(15 + int(10 * self.seconds[name]))  # one that has lost its end dies, and is noticed
                if self.probes[name].fails():
                    return 1
        return 0

    def place(self, module: str, name: str) -> tuple[float, float]:
        """Where a probe stands in the order for the bugs of a module."""
        return -self.noticed[module, name] / (self.seconds[name] + 0.05), self.seconds[name]


def load(modules: Sequence[str]) -> None:
    """Import what tests import while they run: else every fork would do so again."""
    for name in modules:
        if name not in sys.modules:
            with contextlib.suppress(Exception):  # made by a test, and gone
                importlib.import_module(name)


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


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description="Which small bugs does nothing notice, and which does verify alone?")
    parser.add_argument("names", nargs="*", help="files or folders by name (default: all)")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--minutes", type=float, default=25.0, help="none is begun after this")
    parser.add_argument("--skip", type=int, default=0, help="so many from the front were judged before")
    parser.add_argument("--sample", type=int, help="so many of them, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--verify", action="store_true", help="strop verify alone, and no test")
    parser.add_argument("--list", action="store_true", help="only show them")
    return parser.parse_args()


def main() -> int:
    """The exit code: 0 where every mutant was noticed or is listed as equivalent."""
    args = arguments()
    every, known = planted(args.names), equivalent()
    sites = [site for site in every if site.key not in known]
    if args.sample is not None:
        sites = random.Random(args.seed).sample(sites, min(args.sample, len(sites)))
    sites = sites[args.skip :]
    if args.list:
        print(*sites, f"{len(sites)} mutants", sep="\n")
        return 0
    os.chdir(ROOT)
    judge = Judge(sites, args.workers, args.minutes)
    if args.verify:
        judge.run(list(checks()))
    else:
        files = sorted(set(chain.from_iterable(tests_of(module) for module in judge.modules)))
        options = ["-q", "--no-header", "--capture=no", "-p", "no:cacheprovider", "-m", MARKS]
        code = pytest.main([*options, *files], plugins=[judge])
        if not judge.seconds:
            return int(code) or 1
    stale = [] if args.names else [key for key in known if key not in {site.key for site in every}]
    say(judge.tally.report(len(sites), len(every) - len(sites) if args.sample is None else None))
    for key in stale:
        say(f"listed as equivalent and not planted any more: {key}")
    return int(bool(judge.tally.survivors or stale or judge.tally.count < len(sites)))


if __name__ == "__main__":
    raise SystemExit(main())
