"""The conversations that wait to be asked: a queue that many workers share and that knows when all is done."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress

from volt_pipeline.batch import Walk

_LINGER_SECONDS = 0.1


class Frontier:
    """Walks to be asked next. A walk's next page goes before a new conversation, so that long ones do not end last."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._waiting: deque[Walk] = deque()
        self._busy = 0
        self._feeders = 0
        self._changed = asyncio.Condition()

    async def open(self) -> None:
        """Announce one who will `add`."""
        async with self._changed:
            self._feeders += 1

    async def close(self) -> None:
        """One who `add`ed has no more."""
        async with self._changed:
            self._feeders -= 1
            self._changed.notify_all()

    async def add(self, walks: list[Walk]) -> None:
        """Queue new conversations; waits while the queue is full, so that a large account is not held in memory."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._waiting) < self._room)
            self._waiting.extend(walks)
            self._changed.notify_all()

    async def take(self, most: int) -> list[Walk]:
        """Up to `most` walks; none when everything is done. Each must be given back by `settle`.

        Lingers a moment for a full document while more is being fed: a few conversations of many accounts then share
        one request.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._waiting or self.done)
            if len(self._waiting) < most and self._feeders:
                with suppress(TimeoutError):
                    full = self._changed.wait_for(lambda: len(self._waiting) >= most or not self._feeders)
                    await asyncio.wait_for(full, _LINGER_SECONDS)
            walks = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
            self._busy += len(walks)
            self._changed.notify_all()
        if walks or self.done:
            return walks
        return await self.take(most)  # another worker was quicker

    @property
    def done(self) -> bool:
        """Nothing waits, nothing is being asked, and nobody will add more."""
        return not (self._waiting or self._feeders or self._busy)

    async def settle(self, taken: int, unfinished: list[Walk]) -> None:
        """Give back what was taken: the unfinished ones come first again."""
        async with self._changed:
            self._busy -= taken
            self._waiting.extendleft(reversed(unfinished))
            self._changed.notify_all()
