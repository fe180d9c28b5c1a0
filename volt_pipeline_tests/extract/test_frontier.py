"""The queue of conversations: in order, shared, bounded, and over only when all is done."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from volt_pipeline.batch import Walk
from volt_pipeline.extract.frontier import Frontier

T = TypeVar("T")


def walks(*names: str) -> list[Walk]:
    return [Walk("messages", "1", "+1", name) for name in names]


def names(taken: list[Walk]) -> list[str]:
    return [walk.contact_phone for walk in taken]


async def filled(*names: str, room: int = 100) -> Frontier:
    """A frontier with these walks and nobody who will add more."""
    frontier = Frontier(room)
    frontier.open()
    await frontier.add(walks(*names))
    frontier.close()
    return frontier


async def still(frontier: Frontier) -> bool:
    """Whether there is something left to do or to wait for."""
    return not frontier.done


async def stays(waiting: asyncio.Task[T]) -> None:
    """The task gets every chance to go on, and does not."""
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()


async def test_walks_are_taken_in_order_and_the_end_is_an_empty_list() -> None:
    frontier = await filled("a", "b", "c")
    first, second = await frontier.take(2), await frontier.take(2)
    assert (names(first), names(second)) == (["a", "b"], ["c"])
    frontier.settle(first, [])
    assert await still(frontier)
    frontier.settle(second, [])
    assert not await still(frontier)
    assert await frontier.take(2) == []


async def test_the_next_page_goes_before_a_new_conversation() -> None:
    frontier = await filled("a", "b", "c", "d")
    taken = await frontier.take(3)
    frontier.settle(taken, taken[:2])
    assert names(await frontier.take(9)) == ["a", "b", "d"]


async def test_nobody_goes_home_while_another_may_come_back_with_more() -> None:
    frontier = await filled("a")
    taken = await frontier.take(1)
    waiting = asyncio.create_task(frontier.take(1))
    await stays(waiting)
    frontier.settle(taken, taken)
    assert await waiting == taken
    last = asyncio.create_task(frontier.take(1))
    await stays(last)
    frontier.settle(taken, [])
    assert await last == []


async def test_nobody_goes_home_while_somebody_will_add() -> None:
    frontier = Frontier(100)
    frontier.open()
    frontier.open()
    workers = [asyncio.create_task(frontier.take(5)) for _ in range(3)]
    frontier.close()
    await asyncio.gather(*map(stays, workers))
    frontier.close()
    assert await asyncio.gather(*workers) == [[], [], []]


async def test_a_document_waits_for_company_but_not_for_ever() -> None:
    frontier = Frontier(100)
    frontier.open()
    await frontier.add(walks("a"))
    taken = asyncio.create_task(frontier.take(3))
    await stays(taken)
    await frontier.add(walks("b", "c", "d"))
    assert await taken == walks("a", "b", "c")
    assert names(await frontier.take(3)) == ["d"]  # though more could still come


async def test_a_full_queue_holds_back_who_adds() -> None:
    frontier = Frontier(2)
    frontier.open()
    await frontier.add(walks("a", "b"))
    adding = asyncio.create_task(frontier.add(walks("c")))
    await stays(adding)
    assert names(await frontier.take(1)) == ["a"]
    await adding
    frontier.close()
    assert names(await frontier.take(5)) == ["b", "c"]


async def test_many_workers_share_all_walks_and_all_end() -> None:
    frontier = Frontier(7)
    visits: list[str] = []

    async def feed() -> None:
        for start in range(0, 40, 5):
            await frontier.add(walks(*(f"{number:02}" for number in range(start, start + 5))))
        frontier.close()

    async def work() -> None:
        while taken := await frontier.take(3):
            visits.extend(names(taken))
            await asyncio.sleep(0)
            frontier.settle(taken, [walk for walk in taken if visits.count(walk.contact_phone) < 3])

    frontier.open()
    await asyncio.gather(feed(), *(work() for _ in range(5)))
    assert sorted(visits) == sorted(f"{number:02}" for number in range(40) for _ in range(3))


async def test_a_cancelled_worker_leaves_the_queue_usable() -> None:
    frontier = Frontier(100)
    frontier.open()
    await frontier.add(walks("a"))
    lingering = asyncio.create_task(frontier.take(5))
    await stays(lingering)
    lingering.cancel()
    await asyncio.wait([lingering])
    assert lingering.cancelled()
    frontier.close()
    assert names(await frontier.take(5)) == ["a"]


async def test_workers_that_are_called_off_twice_all_end_and_leave_the_queue_usable() -> None:
    """As after Ctrl-C: asyncio calls every task off, and their group does so once more."""
    frontier = Frontier(100)
    frontier.open()
    await frontier.add(walks("a"))
    others = asyncio.all_tasks()
    workers = [asyncio.create_task(frontier.take(5)) for _ in range(5)]
    await asyncio.gather(*map(stays, workers))
    for task in asyncio.all_tasks() - others:
        task.cancel()
    await asyncio.sleep(0)
    for worker in workers:
        worker.cancel()
    await asyncio.wait(workers, timeout=5)
    assert all(worker.cancelled() for worker in workers)
    frontier.close()
    assert names(await asyncio.wait_for(frontier.take(5), 5)) == ["a"]


async def test_no_walk_is_open_twice_and_an_account_is_drained_when_none_of_its_is() -> None:
    frontier = Frontier(100)
    frontier.open()
    assert await frontier.add(walks("a", "b")) == 2
    drained = asyncio.create_task(frontier.drained("1"))
    taken = await frontier.take(2)
    assert await frontier.add(walks("b", "c")) == 1
    frontier.settle(taken, taken[:1])
    await stays(drained)
    last = await frontier.take(2)
    assert names(last) == ["a", "c"]
    assert await frontier.add(walks("b")) == 1  # it was settled: it may have moved since
    frontier.settle(last, [])
    await stays(drained)
    frontier.settle(await frontier.take(1), [])
    await drained
