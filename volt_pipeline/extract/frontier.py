"""The conversations that wait to be asked: a queue that many workers share and that knows when all is done."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from volt_pipeline.batch import Walk

_LINGER_SECONDS = 0.1


class Frontier:
    """Walks to be asked next. A walk's next page goes before a new conversation, so that long ones do not end last.

    A walk is open from when it is added until it is settled for good; none is open twice. No lock: nobody waits
    between a look and what follows from it, and a lock's owner who is called off twice can leave it locked.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._waiting: deque[Walk] = deque()
        self._open: dict[str, set[tuple[str, str, str]]] = {}  # account → keys
        self._feeders = 0
        self._resting = 0  # of these, those who wait for `drained`
        self._change = asyncio.Event()  # the next one

    def open(self) -> None:
        """Announce one who will `add`."""
        self._feeders += 1

    def close(self) -> None:
        """One who `add`ed has no more."""
        self._feeders -= 1
        self._changed()

    async def add(self, walks: Sequence[Walk]) -> int:
        """Queue new conversations, and give how many; waits while the queue is full, so that memory stays small."""
        await self._until(lambda: len(self._waiting) < self._room)
        new = [walk for walk in walks if walk.key not in self._open.setdefault(walk.account_id, set())]
        for walk in new:
            self._open[walk.account_id].add(walk.key)
        self._waiting.extend(new)
        self._changed()
        return len(new)

    async def drained(self, account_id: str) -> None:
        """Wait until no walk of the account is open."""
        self._resting += 1
        self._changed()
        try:
            await self._until(lambda: not self._open.get(account_id))
        finally:
            self._resting -= 1

    async def take(self, most: int) -> list[Walk]:
        """Up to `most` walks; none when everything is done. Each must be given back by `settle`.

        Lingers a moment for a full document while more is being fed: a few conversations of many accounts then share
        one request.
        """
        while True:
            await self._until(lambda: bool(self._waiting) or self.done)
            if len(self._waiting) < most and self._fed:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LINGER_SECONDS):
                        await self._until(lambda: len(self._waiting) >= most or not self._fed)
            walks = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
            if walks or self.done:
                self._changed()
                return walks  # else another worker was quicker

    @property
    def _fed(self) -> bool:
        return self._feeders > self._resting

    @property
    def waiting(self) -> bool:
        """Something can be taken now."""
        return bool(self._waiting)

    @property
    def done(self) -> bool:
        """Nothing waits, nothing is being asked, and nobody will add more."""
        return not (self._feeders or any(self._open.values()))

    def settle(self, taken: Sequence[Walk], unfinished: Sequence[Walk]) -> None:
        """Give back what was taken: the unfinished ones come first again, the others are no longer open."""
        going = {walk.key for walk in unfinished}
        for walk in taken:
            if walk.key not in going:
                self._open[walk.account_id].discard(walk.key)
        self._waiting.extendleft(reversed(unfinished))
        self._changed()

    def _changed(self) -> None:
        change, self._change = self._change, asyncio.Event()
        change.set()

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await self._change.wait()
