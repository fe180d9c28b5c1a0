"""What stands between a stranger and our work: a cap on the body, a deadline for it, a rate, and one queue to Postgres.

Many requests share one transaction (group commit): each is answered when the transaction that holds its event is
committed, so that durability does not cost a disk flush a request.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from starlette.requests import ClientDisconnect, Request

from volt_pipeline.event import SignedEvent

MOST_BYTES = 64 * 1024
BODY_SECONDS = 10.0  # for all of a body, however it trickles in

Keep = Callable[[Sequence[SignedEvent]], Awaitable[None]]


class BodyRefused(Exception):
    """A body that is not read to its end; `status` is the answer."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class NotKept(Exception):
    """An event that could not be made durable in time: the sender should try again."""


async def read_body(request: Request, *, most: int = MOST_BYTES, seconds: float = BODY_SECONDS) -> bytes:
    """The raw body. Raises BodyRefused for one that is too large (413), too slow (408) or breaks off (400)."""
    announced = request.headers.get("content-length", "0")
    if not announced.isdecimal() or int(announced) > most:
        raise BodyRefused(413)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise BodyRefused(413)
                parts.append(part)
    except TimeoutError:
        raise BodyRefused(408) from None
    except ClientDisconnect:
        raise BodyRefused(400) from None
    return b"".join(parts)


class Bucket:
    """A token bucket: `rate` requests a second in the long run, `burst` at once."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._tokens, self._at = burst, clock()

    def take(self) -> bool:
        """Whether there is room for one more."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class GroupCommit:
    """Events on their way to Postgres: one writer, which takes all that wait. `keep` commits them or raises."""

    def __init__(self, keep: Keep, *, most: int = 200, room: int = 2_000, patience: float = 5.0) -> None:
        self._keep, self._most, self._room, self._patience = keep, most, room, patience
        self._waiting: deque[tuple[SignedEvent, asyncio.Future[None]]] = deque()
        self._news = asyncio.Event()

    async def add(self, event: SignedEvent) -> None:
        """Returns once the event is committed. Raises NotKept when it was not, or not in time to be sure."""
        if len(self._waiting) >= self._room:
            raise NotKept
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((event, done))
        self._news.set()
        try:
            await asyncio.wait_for(done, self._patience)
        except TimeoutError:
            raise NotKept from None

    async def run(self) -> None:
        """Write until cancelled; what waits then is not kept."""
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                while self._waiting:
                    await self._write([self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))])
        finally:
            while self._waiting:
                _answer([self._waiting.popleft()], NotKept())

    async def _write(self, taken: list[tuple[SignedEvent, asyncio.Future[None]]]) -> None:
        wanted = [(event, done) for event, done in taken if not done.done()]  # the others were told 503 meanwhile
        if not wanted:
            return
        failure: Exception | None = NotKept()
        try:
            with suppress(Exception):  # the store has said why in the log; whatever it was, the event is not safe
                await self._keep([event for event, _ in wanted])
                failure = None
        finally:
            _answer(wanted, failure)


def _answer(taken: Sequence[tuple[SignedEvent, asyncio.Future[None]]], failure: Exception | None) -> None:
    for _, done in taken:
        if done.done():
            continue
        if failure is None:
            done.set_result(None)
        else:
            done.set_exception(failure)
