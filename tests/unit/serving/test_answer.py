"""An answer that one thread writes is read by others, as often as they like, and ends once."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from strop.serving import answer as answers
from strop.serving.answer import Answer
from strop.serving.ask import Ask, Piece
from strop.types import Sampling

SECONDS = 30.0
PIECES = [Piece(i, -0.5, f"{i} ") for i in range(4)]


def new() -> Answer:
    return Answer(Ask(prompt=(1, 2, 3), sampling=Sampling(), seed=0))


def write(answer: Answer) -> None:
    for piece in PIECES:
        answer.add(piece)
    answer.end("stop")


def test_it_is_read_while_it_is_written_and_again_afterwards() -> None:
    answer = new()
    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(list, answer.pieces(SECONDS)) for _ in range(3)]
        write(answer)
        assert [reader.result(SECONDS) for reader in readers] == [PIECES] * 3
    assert list(answer) == PIECES
    assert answer.text() == "0 1 2 3 "
    assert answer.finish == "stop"


def test_it_ends_once_and_nothing_is_added_after_that() -> None:
    answer = new()
    answer.add(PIECES[0])
    answer.cancel()
    write(answer)
    answer.end("failed", "late")
    assert (list(answer), answer.finish, answer.reason) == (PIECES[:1], "cancelled", "it was cancelled")


def test_a_reader_that_waits_too_long_is_told_for_what(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = new()
    answer.add(PIECES[0])
    pieces = answer.pieces(0.001)
    assert next(pieces) == PIECES[0]
    with pytest.raises(TimeoutError, match=r"waited 0\.001 s for token 2 of an answer to a prompt of 3 tokens"):
        next(pieces)
    monkeypatch.setattr(answers, "PATIENCE", 0.001)
    with pytest.raises(TimeoutError, match="for token 2 of an answer"):
        asyncio.run(read(answer))


async def read(answer: Answer) -> list[Piece]:
    return [piece async for piece in answer]


def test_many_are_read_in_one_event_loop_while_a_thread_writes() -> None:
    many = [new() for _ in range(50)]

    async def all_of_them() -> list[list[Piece]]:
        reading = [asyncio.create_task(read(answer)) for answer in many]
        await asyncio.sleep(0)  # they wait now
        writer = threading.Thread(target=lambda: [write(answer) for answer in many])
        writer.start()
        found = await asyncio.wait_for(asyncio.gather(*reading), SECONDS)
        writer.join(SECONDS)
        return found

    assert asyncio.run(all_of_them()) == [PIECES] * 50
    assert not any(answer._watchers for answer in many)


def test_a_reader_whose_event_loop_is_gone_stops_nobody() -> None:
    answer = new()

    async def begin() -> object:
        reading = answer.__aiter__()
        waiting = asyncio.ensure_future(anext(reading))
        await asyncio.sleep(0)
        waiting.cancel()
        return reading

    loop = asyncio.new_event_loop()
    loop.call_soon(answer._watch, lambda: loop.call_soon_threadsafe(lambda: None))
    loop.run_until_complete(begin())
    loop.close()
    write(answer)
    assert list(answer) == PIECES


def test_a_reader_that_is_never_through_lets_others_run() -> None:
    """The engine is faster than its reader: a piece comes for each that is read, until another task ends the answer."""
    answer, most = new(), 1000
    answer.add(PIECES[0])

    async def behind() -> int:
        num_read = 0
        async for piece in answer:
            num_read += 1
            if num_read < most:
                answer.add(piece)
        return num_read

    async def both() -> int:
        reading = asyncio.create_task(behind())
        await asyncio.sleep(0)  # it reads now
        answer.cancel()
        return await asyncio.wait_for(reading, SECONDS)

    assert asyncio.run(both()) < most
