"""Slots whose number changes while they are taken."""

from __future__ import annotations

import asyncio

from volt_pipeline.api.slots import Slots


class Crowd:
    """Tasks that each want a slot, and keep it until they are let go."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.inside: list[int] = []
        self.gates: dict[int, asyncio.Event] = {}
        self.tasks: dict[int, asyncio.Task[None]] = {}

    async def come(self, *names: int) -> None:
        for name in names:
            self.gates[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._stay(name))
            await asyncio.sleep(0)

    async def _stay(self, name: int) -> None:
        async with self.slots:
            self.inside.append(name)
            await self.gates[name].wait()
            self.inside.remove(name)

    async def go(self, *names: int) -> None:
        for name in names:
            self.gates[name].set()
            await self.tasks[name]
        await asyncio.sleep(0)

    async def leave_without_waiting(self, name: int) -> None:
        self.tasks[name].cancel()
        await asyncio.gather(self.tasks[name], return_exceptions=True)
        await asyncio.sleep(0)


async def test_first_come_first_served() -> None:
    crowd = Crowd(Slots(2))
    await crowd.come(1, 2, 3, 4)
    assert crowd.inside == [1, 2]
    await crowd.go(2)
    assert crowd.inside == [1, 3]
    await crowd.go(1, 3, 4)
    assert crowd.slots.taken == 0


async def test_more_slots_let_more_in_and_fewer_drive_nobody_out() -> None:
    crowd = Crowd(Slots(1))
    await crowd.come(1, 2, 3, 4)
    crowd.slots.resize(3)
    await asyncio.sleep(0)
    assert crowd.inside == [1, 2, 3]
    crowd.slots.resize(1)
    await crowd.go(1, 2)
    assert crowd.inside == [3]
    await crowd.go(3)
    assert crowd.inside == [4]
    await crowd.go(4)


async def test_who_gives_up_waiting_takes_no_slot() -> None:
    crowd = Crowd(Slots(1))
    await crowd.come(1, 2, 3)
    await crowd.leave_without_waiting(2)
    await crowd.go(1)
    assert crowd.inside == [3]
    await crowd.come(4)
    crowd.gates[3].set()
    crowd.tasks[4].cancel()  # in the very moment in which it is given the slot
    await asyncio.gather(*crowd.tasks.values(), return_exceptions=True)
    assert (crowd.inside, crowd.slots.taken) == ([], 0)
    await crowd.come(5)
    assert crowd.inside == [5]
    await crowd.go(5)
