"""Slots whose number may change while some are taken: a semaphore that can shrink."""

from __future__ import annotations

import asyncio
from collections import deque
from types import TracebackType


class Slots:
    """`async with slots:` takes one, first come first served.

    When there are fewer than are taken, nobody is driven out; the next one waits until enough have gone.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        if self.taken < self.number and not self._waiting:
            self.taken += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was given a slot, and will not use it
                self.taken -= 1
                self._admit()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.taken -= 1
        self._admit()

    def resize(self, number: int) -> None:
        self.number = number
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.taken < self.number:
            turn = self._waiting.popleft()
            if not turn.cancelled():
                self.taken += 1
                turn.set_result(None)
