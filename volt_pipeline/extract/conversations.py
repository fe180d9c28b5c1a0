"""Walking conversations: many in one document, each with its own cursor, until each is complete.

A walk ends on its last page, or strictly below the newest message of the last complete walk where the order was seen
to be newest first and the count agrees (the store judges that, in the transaction that writes the page).
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from volt_pipeline.api.client import Reply
from volt_pipeline.api.errors import ContractError, VoltError
from volt_pipeline.batch import Batch, Discovery, Reject, Walk
from volt_pipeline.catalog import CONVERSATIONS, MESSAGES
from volt_pipeline.extract.around import whole_page
from volt_pipeline.extract.frontier import Frontier
from volt_pipeline.extract.pages import Page, PageError, advance
from volt_pipeline.extract.reader import Account, Reader, put
from volt_pipeline.extract.rows import escape, identity, is_final

ALIASES = 25  # conversations asked in one document
_FEED = 1_000  # due conversations read from the warehouse at once
_SENT_AT = MESSAGES.column_names.index("sent_at")
_WAVE_ID = MESSAGES.column_names.index("wave_id")


async def feed(reader: Reader, account: Account, frontier: Frontier) -> None:
    """Queue the account's due conversations."""
    after = ""
    while walks := await reader.store.due_conversations(account.id, account.phone, after, _FEED):
        for walk in walks:
            walk.whole = walk.whole or reader.full
        await frontier.add(walks)
        reader.expect("conversations", len(walks))
        after = walks[-1].contact_phone


async def walk_conversations(reader: Reader, frontier: Frontier, workers: int) -> ContractError | None:
    """Ask until the frontier is empty and closed; with no worker, conversations are left alone.

    Gives the error with which Volt's contract refused the query itself: they all stay due then.
    """
    walker = _Walker(reader, frontier)
    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(walker.work())
    return walker.refusal


class _Walker:
    def __init__(self, reader: Reader, frontier: Frontier) -> None:
        self._reader = reader
        self._frontier = frontier
        self._seen: dict[tuple[str, str, str], set[str]] = {}  # the cursors of each open walk
        self._restarted: set[tuple[str, str, str]] = set()
        self.refusal: ContractError | None = None

    async def work(self) -> None:
        while walks := await self._frontier.take(ALIASES):
            unfinished: list[Walk] = []
            try:
                if self.refusal:
                    continue
                replies = await self._reader.volt.query_each("conversation", [_variables(walk) for walk in walks])
                unfinished = await self._store(walks, replies)
            except ContractError as error:
                self.refusal = error
            finally:
                await self._frontier.settle(len(walks), unfinished)
            self._reader.advance("conversations", len(walks) - len(unfinished))

    async def _store(self, walks: list[Walk], replies: list[Reply]) -> list[Walk]:
        """Commit the pages with their walks' states; give the walks that have to go on."""
        batch = Batch()
        walked: list[Walk] = []
        again: list[Walk] = []
        for walk, reply in zip(walks, replies, strict=True):
            if walk.pages == 0:
                walk.opened_at = datetime.now(UTC)
            try:
                page, flaws = await self._whole(walk, reply)
                times = _take(self._reader, batch, walk, page, flaws)
                advance(walk, page, times, self._seen.setdefault(walk.key, set()))
                batch.walks[walk.key] = walk
                walked.append(walk)
            except PageError as error:
                again += self._restart(walk, batch, str(error))
        completed = await self._reader.store.load(batch)
        for walk in walked:
            if walk.key in completed:
                self._seen.pop(walk.key, None)
            else:
                # Below the top, but the count disagrees: something older is missing, so everything is read.
                walk.whole = walk.whole or walk.below_top
                again.append(walk)
        return again

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
        return []


def _variables(walk: Walk) -> dict[str, Any]:
    return {"from": walk.account_phone, "to": walk.contact_phone, "before": walk.cursor}


def _take(reader: Reader, batch: Batch, walk: Walk, page: Page, flaws: dict[int, str]) -> list[datetime | None]:
    """Add a page's messages to the batch; give their times in order (None where one is missing)."""
    batch.add(CONVERSATIONS, (walk.account_id, walk.contact_phone, page.total, page.asked_at))
    times: list[datetime | None] = []
    for at, message in enumerate(page.items):
        made = take_message(
            reader, batch, message, page.asked_at, walk.account_id, walk.contact_phone, flaws.get(at, "")
        )
        times.append(made[_SENT_AT] if made else None)
    return times


def take_message(
    reader: Reader,
    batch: Batch,
    message: Any,
    asked_at: datetime,
    account_id: str,
    contact_phone: str,
    flaw: str = "",
    *,
    key: str = "",
) -> tuple[Any, ...] | None:
    """Add a message, read through a conversation or by its id (`key`), and the wave and pool number that it shows.

    A text between two of our own accounts stands in both conversations and is stored once, under the sender's.
    """
    source = message if isinstance(message, dict) else {}
    sides = [escape(str(source.get(name) or "")) for name in ("fromNumber", "toNumber")]
    if contact_phone in reader.numbers:
        account_id, contact_phone = _home(reader, source, sides, account_id, contact_phone)
    elif sides.count(contact_phone) == 1:
        ours = sides[1 - sides.index(contact_phone)]
        if ours and ours not in reader.numbers:
            reader.learn(batch, ours, account_id, "message", asked_at)
    made = put(
        batch,
        MESSAGES,
        message,
        asked_at,
        key=key,
        phone=contact_phone,
        flaw=flaw,
        account_id=account_id,
        contact_phone=contact_phone,
        is_final=is_final(message),
    )
    if made and made[_WAVE_ID]:
        batch.discoveries.add(Discovery("wave", "", made[_WAVE_ID], via="messages"))
    return made


def _home(
    reader: Reader, source: dict[str, Any], sides: list[str], account_id: str, contact_phone: str
) -> tuple[str, str]:
    """(account, other side) of a text between two of our own accounts: the sender's view, however it was read."""
    named = source.get("account")
    sender = str(named.get("id")) if isinstance(named, dict) and named.get("id") else reader.numbers.get(sides[0])
    if sender is None:
        return account_id, contact_phone
    other = [number for number in sides if number and reader.numbers.get(number) != sender]
    return sender, other[0] if other else contact_phone
