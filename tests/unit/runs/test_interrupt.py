"""Ctrl-C and SIGTERM: the first is a request, the second stops; the previous handlers are restored."""

import os
import signal
import threading

import pytest

from strop.runs.interrupt import Interrupt, Terminated, terminable

BOTH = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(autouse=True)
def _handlers_as_before():
    before = [signal.getsignal(number) for number in BOTH]
    yield
    assert [signal.getsignal(number) for number in BOTH] == before


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", BOTH)
def test_the_first_signal_is_kept(number, capfd):
    with Interrupt() as interrupt:
        assert interrupt.requested is None
        send(number)
        assert interrupt.requested is number
    again = "Ctrl-C again" if number is signal.SIGINT else "A second SIGTERM"
    assert f"then saving. {again} stops at once" in capfd.readouterr().err


@pytest.mark.parametrize("first", BOTH)
@pytest.mark.parametrize(("second", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_the_second_signal_stops_at_once(first, second, error):
    with Interrupt():
        send(first)
        with pytest.raises(KeyboardInterrupt) as told:
            send(second)
    assert told.type is error


def test_it_can_be_left_early_and_twice():
    before = signal.getsignal(signal.SIGTERM)
    with Interrupt() as interrupt:
        interrupt.leave()
        assert signal.getsignal(signal.SIGTERM) is before


def test_sigterm_raises_terminated_as_ctrl_c_raises_keyboard_interrupt():
    with pytest.raises(Terminated), terminable():
        send(signal.SIGTERM)


def test_no_handler_is_installed_outside_the_main_thread():
    seen = []

    def look():
        with Interrupt(), terminable():
            seen.extend(signal.getsignal(number) for number in BOTH)

    before = [signal.getsignal(number) for number in BOTH]
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == before
