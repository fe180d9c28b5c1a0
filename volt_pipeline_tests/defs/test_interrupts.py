"""Signals while asyncio is at work: who is called off, in which order, and who hears of it afterwards."""

import asyncio
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType

import pytest

from volt_pipeline.defs.interrupts import SIGNALS, run


class HeardError(BaseException):
    """What a handler raises, as Dagster's does."""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[list[object]]:
    """Handlers that raise, for the time of the test."""

    def heard(number: int, _frame: FrameType | None) -> None:
        raise HeardError(signal.Signals(number).name)

    before = [signal.signal(number, heard) for number in SIGNALS]
    yield [heard] * len(SIGNALS)
    for number, handler in zip(SIGNALS, before, strict=True):
        signal.signal(number, handler)


def current() -> list[object]:
    return [signal.getsignal(number) for number in SIGNALS]


async def worked_on(ended: list[str], *, signals: list[signal.Signals]) -> None:
    """A writer whom another one waits for, also when he is called off; and then the signals."""
    going_on, done = asyncio.Event(), asyncio.Event()

    async def write() -> None:
        try:
            await going_on.wait()
            ended.append("written")
        except asyncio.CancelledError:
            ended.append("writer called off")
        done.set()

    writer = asyncio.create_task(write())
    await asyncio.sleep(0)
    try:
        os.kill(os.getpid(), signals[0])
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        ended.append("reader called off")
        for number in signals[1:]:
            os.kill(os.getpid(), number)
            await asyncio.wait([writer], timeout=60)
        going_on.set()
        await done.wait()
        raise


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_lets_the_work_tidy_up_and_is_heard_by_whose_it_was(
    number: signal.Signals, handlers: list[object]
) -> None:
    ended: list[str] = []
    with pytest.raises(HeardError, match=number.name):
        run(worked_on(ended, signals=[number]))
    assert ended == ["reader called off", "written"]
    assert current() == handlers


def test_another_signal_ends_everything() -> None:
    ended: list[str] = []
    with pytest.raises(HeardError, match="SIGINT"):
        run(worked_on(ended, signals=[signal.SIGINT, signal.SIGTERM]))
    assert ended == ["reader called off", "writer called off"]


def test_who_has_nobody_to_hear_it_is_interrupted() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with pytest.raises(KeyboardInterrupt):
        run(worked_on([], signals=[signal.SIGINT]))


def test_without_a_signal_the_result_comes_back_and_the_handlers_are_as_before(handlers: list[object]) -> None:
    async def answer() -> int:
        await asyncio.sleep(0)
        assert current() != handlers
        return 42

    assert run(answer()) == 42
    assert current() == handlers


def test_another_thread_hears_no_signals(handlers: list[object]) -> None:
    async def answer() -> int:
        assert current() == handlers
        return 42

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: run(answer())).result() == 42
