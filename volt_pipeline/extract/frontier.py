"""The conversations that wait to be asked: a queue that many workers share and that knows when all is done."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from volt_pipeline.batch import Walk

_LINGER_SECONDS = 0.1


class Frontier:
    """Walks to be asked next. A walk's next page goes before a new conversation, so that long ones do not end last.

    A walk is open from when it is added until it is settled for good; none is open twice.
    """

    def __init__(self, room: int) -> None:
        self._room = room
        self._waiting: deque[Walk] = deque()
        self._open: dict[str, set[tuple[str, str, str]]] = {}  # account → keys
        self._feeders = 0
        self._resting = 0  # of these, those who wait for `drained`
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

    async def add(self, walks: Sequence[Walk]) -> int:
        """Queue new conversations, and give how many; waits while the queue is full, so that memory stays small."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._waiting) < self._room)
            new = [walk for walk in walks if walk.key not in self._open.setdefault(walk.account_id, set())]
            for walk in new:
                self._open[walk.account_id].add(walk.key)
            self._waiting.extend(new)
            self._changed.notify_all()
        return len(new)

    async def drained(self, account_id: str) -> None:
        """Wait until no walk of the account is open."""
        async with self._changed:
            self._resting += 1
            self._changed.notify_all()
            await self._changed.wait_for(lambda: not self._open.get(account_id))
            self._resting -= 1

    async def take(self, most: int) -> list[Walk]:
        """Up to `most` walks; none when everything is done. Each must be given back by `settle`.

        Lingers a moment for a full document while more is being fed: a few conversations of many accounts then share
        one request.
        """
        async with self._changed:
            await self._changed.wait_for(lambda: self._waiting or self.done)
            if len(self._waiting) < most and self._fed:
                with suppress(TimeoutError):
                    full = self._changed.wait_for(lambda: len(self._waiting) >= most or not self._fed)
                    await asyncio.wait_for(full, _LINGER_SECONDS)
            walks = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
            self._changed.notify_all()
        if walks or self.done:
            return walks
        return await self.take(most)  # another worker was quicker

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

    async def settle(self, taken: Sequence[Walk], unfinished: Sequence[Walk]) -> None:
        """Give back what was taken: the unfinished ones come first again, the others are no longer open."""
        async with self._changed:
            going = {walk.key for walk in unfinished}
            for walk in taken:
                if walk.key not in going:
                    self._open[walk.account_id].discard(walk.key)
            self._waiting.extendleft(reversed(unfinished))
            self._changed.notify_all()
