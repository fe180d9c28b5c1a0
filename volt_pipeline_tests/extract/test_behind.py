"""What is under way when something fails is called off once, however often the reading itself is cancelled."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from volt_pipeline.batch import Batch
from volt_pipeline.extract.behind import Behind


class Tidying:
    """A store that, like a connection, needs a moment to come out of a command that was called off."""

    def __init__(self) -> None:
        self.begun, self.off, self.tidy = asyncio.Event(), asyncio.Event(), False

    async def load(self, _batch: Batch) -> set[tuple[str, str, str]]:
        try:
            self.begun.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.off.set()
            for _ in range(10):
                await asyncio.sleep(0)
            self.tidy = True
            raise
        return set()


async def test_a_write_that_is_called_off_may_tidy_up() -> None:
    store = Tidying()
    behind = Behind(cast(Any, store), cast(Any, None))
    await behind.write()
    await store.begun.wait()
    failing = asyncio.create_task(behind.abandon())
    await store.off.wait()
    failing.cancel()  # as when two accounts fail, one after the other
    await asyncio.wait([failing])
    for _ in range(20):
        await asyncio.sleep(0)
    assert store.tidy
