"""Walking conversations: many in one document, each with its own cursor, until each is complete.

A walk ends on its last page, or strictly below the newest message of the last complete walk where the order was seen
to be newest first and the count agrees (the store judges that, in the transaction that writes the page).

Reading does not wait for writing: pages gather, with the states of their walks, until they are worth a transaction.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from copy import copy
from datetime import UTC, datetime
from typing import Any

from volt_pipeline.api.client import Reply
from volt_pipeline.api.errors import ContractError, VoltError
from volt_pipeline.batch import Batch, Reject, Walk
from volt_pipeline.extract.around import whole_page
from volt_pipeline.extract.frontier import Frontier
from volt_pipeline.extract.messages import take_page
from volt_pipeline.extract.pages import Page, PageError, advance
from volt_pipeline.extract.reader import Account, Reader
from volt_pipeline.extract.rows import identity
from volt_pipeline.extract.shapes import Conversation

ALIASES = 25  # conversations asked in one document
_FEED = 1_000  # due conversations read from the warehouse at once
_ROWS, _SECONDS = 5_000, 2.0  # pages are written once they hold so many rows, or are so old
_TURN = 5  # conversations whose pages become rows before others get their turn


async def feed(reader: Reader, account: Account, frontier: Frontier) -> None:
    """Queue the account's due conversations, but for those that could not be read in this run already."""
    after = ""
    while walks := await reader.store.due_conversations(account.id, account.phone, after, _FEED):
        after = walks[-1].contact_phone
        await _queue(reader, frontier, walks)


async def feed_shown(reader: Reader, account: Account, frontier: Frontier, phones: Sequence[str]) -> None:
    """Queue those of the conversations with these phones that are due, while the inbox is still being paged."""
    await _queue(reader, frontier, await reader.store.due_among(account.id, account.phone, phones))


async def _queue(reader: Reader, frontier: Frontier, walks: Sequence[Walk]) -> None:
    for walk in walks:
        walk.whole = walk.whole or reader.full
    added = await frontier.add([walk for walk in walks if walk.key not in reader.put_aside])
    reader.expect("conversations", added)


async def walk_conversations(reader: Reader, frontier: Frontier, workers: int) -> ContractError | None:
    """Ask until the frontier is empty and closed; with no worker, conversations are left alone.

    Gives the error with which Volt's contract refused the query itself: they all stay due then.
    """
    walker = _Walker(reader, frontier)
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(walker.work())
    except* VoltError:
        await walker.write()  # what Volt gave before it failed
        raise
    return walker.refusal


class _Walker:
    def __init__(self, reader: Reader, frontier: Frontier) -> None:
        self._reader = reader
        self._frontier = frontier
        self._seen: dict[tuple[str, str, str], set[str]] = {}  # the cursors of each open walk
        self._restarted: set[tuple[str, str, str]] = set()
        self._batch = Batch()  # read, and not yet written
        self._ended: list[Walk] = []  # the walks in it that have nothing more to read
        self._since = 0.0
        self._writing = asyncio.Semaphore(2)  # while one batch is written, another can be staged
        self._room = asyncio.Event()
        self._reading = asyncio.Lock()  # pages become rows one by one, so that nothing else waits long for its turn
        self._asking = 0  # documents under way
        self.refusal: ContractError | None = None

    async def work(self) -> None:
        while True:
            if not (self._frontier.waiting or self._asking):
                await self.write()  # nothing to do meanwhile; and what is judged incomplete has to go on
            walks = await self._frontier.take(ALIASES)
            if not walks:
                return
            going: list[Walk] = []
            ended: list[Walk] = []
            self._asking += 1
            try:
                if self.refusal:
                    continue
                await self._ask(walks, going, ended)
            except ContractError as error:
                self.refusal = error
            finally:
                self._asking -= 1
                kept = {walk.key for walk in ended}
                self._frontier.settle([walk for walk in walks if walk.key not in kept], going)
            await self._write_if_worth_it()

    async def _ask(self, walks: Sequence[Walk], going: list[Walk], ended: list[Walk]) -> None:
        """Ask for the walks' next pages; tell which of them go on after that, and which have come to an end."""
        replies = await self._reader.volt.query_each(
            "conversation", [_variables(walk) for walk in walks], shape=Conversation
        )
        async with self._reading:
            for at, (walk, reply) in enumerate(zip(walks, replies, strict=True), start=1):
                await self._read(walk, reply, going, ended)
                if at % _TURN == 0:
                    await asyncio.sleep(0)  # the warehouse may have answered

    async def _read(self, walk: Walk, reply: Reply, going: list[Walk], ended: list[Walk]) -> None:
        """Add the page, with its walk's state, to what is to be written; tell whether the walk goes on."""
        if walk.pages == 0:
            walk.opened_at = datetime.now(UTC)
        try:
            page, flaws = await self._whole(walk, reply)
            batch = self._batch  # only now: it may have been written while a part of the page was asked again
            if not batch.size:
                self._since = time.monotonic()
            times = take_page(self._reader, batch, walk, page, flaws)
            advance(walk, page, times, self._seen.setdefault(walk.key, set()))
        except PageError as error:
            going += self._restart(walk, self._batch, str(error))
            return
        if walk.reached_end or walk.below_top:
            batch.walks[walk.key] = walk
            self._ended.append(walk)
            ended.append(walk)
        else:
            batch.walks[walk.key] = copy(walk)  # its next page is read before this one is written
            going.append(walk)

    async def _write_if_worth_it(self) -> None:
        """Whoever finds enough writes it; the others read on, until as much again has gathered meanwhile."""
        if not self._writing.locked():
            old = time.monotonic() - self._since > _SECONDS
            await self.write(1 if old else _ROWS)
        elif self._batch.size >= 2 * _ROWS:
            self._room.clear()
            await self._room.wait()

    async def write(self, least: int = 1) -> None:
        """Commit the pages with their walks' states, if there are so many rows; and what is worth it by then."""
        async with self._writing:
            while self._batch.size >= least:
                batch, self._batch = self._batch, Batch()
                ended, self._ended = self._ended, []
                self._room.set()
                await self._judged(ended, await self._reader.store.load(batch))
                least = _ROWS

    async def _judged(self, ended: list[Walk], completed: set[tuple[str, str, str]]) -> None:
        """These walks had nothing more to read; those that are not complete go on."""
        for walk in ended:
            if walk.key in completed:
                self._seen.pop(walk.key, None)
            else:
                # Below the top, but the count disagrees: something older is missing, so everything is read.
                walk.whole = walk.whole or walk.below_top
        again = [walk for walk in ended if walk.key not in completed]
        self._frontier.settle(ended, again)
        self._reader.advance("conversations", len(ended) - len(again))

    async def _whole(self, walk: Walk, reply: Reply) -> tuple[Page, dict[int, str]]:
        """The page, with every message that Volt can give by itself; and what is wrong with the others."""
        try:
            around = await whole_page(
                self._reader.volt,
                "conversation",
                _variables(walk),
                reply,
                items="messages",
                single="message",
                target=lambda message: {"id": str(message["id"])} if identity(message.get("id")) else None,
                put_back=lambda _part, message: message,
            )
        except VoltError as error:
            raise PageError(str(error)) from None
        page = Page.of(around.reply.value, "messages", around.reply.asked_at)
        if page.total == 0 and walk.top is None:
            raise PageError("Volt shows it empty, although its inbox shows a message of it")
        return page, around.flaws

    def _restart(self, walk: Walk, batch: Batch, reason: str) -> list[Walk]:
        """Once, from the top: a cursor may have expired. Then the conversation is put aside, with its reason."""
        self._seen.pop(walk.key, None)
        if walk.cursor is not None and walk.key not in self._restarted:
            self._restarted.add(walk.key)
            return [
                Walk(
                    walk.stream,
                    walk.account_id,
                    walk.account_phone,
                    walk.contact_phone,
                    walk.item,
                    walk.top,
                    walk.gap,
                    whole=True,
                )
            ]
        key = f"{walk.account_id}|{walk.contact_phone}"
        reason = f"cannot be read: {reason}"
        batch.rejects.append(Reject("conversations", walk.account_id, key, reason, contact_phone=walk.contact_phone))
        self._reader.put_aside.add(walk.key)
        self._reader.advance("conversations")
        return []


def _variables(walk: Walk) -> dict[str, Any]:
    return {"from": walk.account_phone, "to": walk.contact_phone, "before": walk.cursor}
