"""What runs in the process of an environment: python -m strop.environments._in_child DESCRIPTOR

Calls are read in a thread of their own, so that the process ends with the one that started it, even in a call that
hangs. Not in one that holds the interpreter's lock (C code that never lets go of it): it ends when the call does. Linux
could kill it (PR_SET_PDEATHSIG), but would do so when the thread that started it ends, and episodes have threads of
their own.
"""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any

from strop.environments._child import Call, Raised
from strop.types import Env


def main() -> None:
    """Answer calls until nobody is there to ask."""
    descriptor = int(sys.argv[1])
    os.set_inheritable(descriptor, False)  # what the environment starts would hold it open when this process is gone
    pipe, calls = Connection(descriptor), SimpleQueue[Call]()
    threading.Thread(target=_read, args=(pipe, calls), daemon=True).start()
    env: Env | None = None
    while True:
        call, answer = calls.get(), None
        try:
            if call.name == "make":
                env = None  # the episode before
                env = _made(call.argument)
            elif env is not None:  # one that could not be made is closed all the same
                answer = _answer(env, call)
            pipe.send(answer)
        except BaseException as error:  # the boundary to a user's code: the caller raises it again
            pipe.send(Raised("".join(traceback.format_exception(error)).strip()))


def _read(pipe: Connection, calls: SimpleQueue[Call]) -> None:
    while True:
        try:
            calls.put(pipe.recv())
        except (EOFError, OSError):
            os.killpg(0, signal.SIGKILL)  # this process, which leads its group, and what it has started itself


def _made(pickled: bytes) -> Env:
    environment, task, rng = pickle.loads(pickled)
    env = environment(task, rng)
    if not isinstance(env, Env):
        raise TypeError(f"the environment made {env!r}: an episode has start(), step(text) and close()")
    return env


def _answer(env: Env, call: Call) -> Any:
    match call.name:
        case "start":
            return env.start()
        case "step":
            return env.step(call.argument)
        case "close":
            return env.close()
    raise AssertionError(f"there is no call {call.name}")


if __name__ == "__main__":
    main()
