"""Walking an account's inbox: the index of its conversations, and the source of its contacts.

The inbox reorders while it is paged: a conversation that moves to the top after the top was read would be missed, so
after a walk of several pages the top is read again until it stands still. A walk may stop early only strictly below
the newest time of the last complete one, where the order was seen to be newest first and the count agrees.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from datetime import UTC, datetime
from typing import Any

from volt_pipeline.api.client import Reply, VoltClient
from volt_pipeline.api.errors import ContractError, NotFound, ServerError, VoltError
from volt_pipeline.api.suspects import suspects
from volt_pipeline.batch import Batch, Discovery, Reject, Row, Walk
from volt_pipeline.catalog import ACCOUNTS, CONTACTS, INBOX_ITEMS, ORGANIZATIONS
from volt_pipeline.errors import ExplainedError
from volt_pipeline.extract.around import Around, whole_page, without_suspects
from volt_pipeline.extract.behind import Behind, Shown
from volt_pipeline.extract.ordinary import ordinary_rows
from volt_pipeline.extract.pages import Page, PageError, advance, believable
from volt_pipeline.extract.reader import Account, Reader, put
from volt_pipeline.extract.rows import json_text, lists_of

_MOST_RESCANS = 10
_LAST_TIME = INBOX_ITEMS.column_names.index("last_message_time")
_ID, _MAPPED = CONTACTS.column_names.index("id"), CONTACTS.column_names.index("mapped_number")


class UnknownAccount(ExplainedError):
    """VOLT_ACCOUNTS names a phone that this token cannot see."""


async def first_page(volt: VoltClient, phone: str) -> tuple[Account, Reply]:
    """The inbox's first page and whose it is. Raises UnknownAccount when Volt shows no such account."""
    shown: Any = None
    try:
        reply = await volt.query("inbox", {"from": phone})
        shown = reply.value
        if shown and not shown.get("account") and reply.partial is not None:
            around, _ = await without_suspects(volt, "inbox", {"from": phone}, reply.partial)
            shown = around.value
    except NotFound as error:
        reply = Reply(None, datetime.now(UTC), error)
    except ServerError as error:  # a flaw in one item nulls them all; the walk will read around it
        reply = Reply(None, datetime.now(UTC), error)
        around, _ = await without_suspects(volt, "inbox", {"from": phone}, error)
        shown = around.value
    account = (shown or {}).get("account")
    if not (account and account.get("id")):
        raise UnknownAccount(
            f"VOLT_ACCOUNTS names {phone}, but Volt shows this token no such account. Write the account's primary "
            "phone as Volt's own pages show it, or use a token that may read it."
        )
    return Account(str(account["id"]), phone), reply


async def walk_inbox(reader: Reader, account: Account, first: Reply, shown: Shown) -> None:
    """Read the inbox as far as it has to be, and store its pages with the state of the walk.

    A cursor that expired or leads nowhere is met by one more walk from the top. Raises PageError when that ends no
    better, or when Volt suddenly shows nothing where much was held; what was read until then is stored.
    """
    try:
        await _walk_once(reader, account, first, shown)
    except PageError:
        _, again = await first_page(reader.volt, account.phone)
        await _walk_once(reader, account, again, shown)


async def _walk_once(reader: Reader, account: Account, first: Reply, shown: Shown) -> None:
    behind = Behind(reader.store, shown)
    try:
        await _walk_pages(reader, account, first, behind)
    except PageError:
        await behind.settle()
        raise
    except BaseException:
        await behind.abandon()
        raise


async def _walk_pages(reader: Reader, account: Account, first: Reply, behind: Behind) -> None:
    walk = await reader.store.inbox_walk(account.id, account.phone)
    walk.opened_at = datetime.now(UTC)
    held = walk.total
    known_unidentifiable, walk.unidentifiable = walk.unidentifiable, 0
    unidentified: set[tuple[Any, Any]] = set()
    seen: set[str] = set()
    reply = first
    while True:
        page, around = await _whole(reader, account, walk.cursor, reply)
        if page.total == 0 and (held or walk.pages):
            raise PageError(f"Volt shows it empty, although {held:,} conversations were held; nothing is believed gone")
        times = _take(reader, behind.batch, account, page, around, unidentified)
        advance(walk, page, times, seen)
        walk.unidentifiable = len(unidentified) if walk.reached_end else known_unidentifiable
        reader.advance("inbox pages")
        if not (walk.reached_end or walk.below_top):
            behind.batch.walks[walk.key] = copy(walk)
            await behind.write()
            reply = await _next_page(reader, account, walk.cursor)
            continue
        if walk.reached_end and walk.pages > 1:
            await behind.settle()
            await _until_the_top_stands_still(reader, account, walk, unidentified)
        behind.batch.walks[walk.key] = walk
        if walk.key in await behind.settle() or walk.reached_end:
            return
        walk.below_top = False  # the count disagrees: read on
        reply = await _next_page(reader, account, walk.cursor)


async def _until_the_top_stands_still(
    reader: Reader, account: Account, walk: Walk, unidentified: set[tuple[Any, Any]]
) -> None:
    """Read the top again, down to what was the top before, until nothing has moved there meanwhile."""
    for _ in range(_MOST_RESCANS):
        mark, moved, cursor = walk.open_top, False, None
        for _page in range(walk.pages + _MOST_RESCANS):
            page, around = await _whole(reader, account, cursor, await _next_page(reader, account, cursor))
            if page.total == 0:
                raise PageError("Volt suddenly shows it empty; nothing is believed gone")
            batch = Batch()
            shown = _take(reader, batch, account, page, around, unidentified)
            times = [time for time in believable(shown, page.asked_at) if time]
            await reader.store.load(batch)
            walk.total = page.total
            walk.unidentifiable = len(unidentified)
            newest = max(times, default=None)
            if newest and (mark is None or newest > mark):
                moved = True
                walk.open_top = max(newest, walk.open_top or newest)
            cursor = page.next_cursor
            if not cursor or (mark and walk.ordered and times and min(times) < mark):
                break
        if not moved:
            return


async def _next_page(reader: Reader, account: Account, cursor: str | None) -> Reply:
    """The page at the cursor. Raises PageError where Volt refuses just that."""
    try:
        return await reader.volt.query("inbox", {"from": account.phone, "before": cursor})
    except (NotFound, ContractError, ServerError) as error:
        if suspects("inbox", error.paths):
            return Reply(None, datetime.now(UTC), error)
        raise PageError(str(error)) from None


async def _whole(reader: Reader, account: Account, cursor: str | None, reply: Reply) -> tuple[Page, Around]:
    """The page, with every contact that Volt can give by itself; and what is wrong with the others."""
    try:
        around = await whole_page(
            reader.volt,
            "inbox",
            {"from": account.phone, "before": cursor},
            reply,
            items="items",
            single="contact",
            target=lambda item: (
                {"primaryPhone": account.phone, "phoneNumber": item["contact"]["phoneNumber"]}
                if item.get("contact")
                else None
            ),
            put_back=lambda item, contact: {**item, "contact": contact},
        )
    except VoltError as error:
        raise PageError(str(error)) from None
    return Page.of(around.reply.value, "items", around.reply.asked_at), around


def _take(
    reader: Reader,
    batch: Batch,
    account: Account,
    page: Page,
    around: Around,
    unidentified: set[tuple[Any, Any]],
) -> list[datetime | None]:
    """Add a page's rows to the batch; give the items' times in order (None where one is missing)."""
    _take_owner(reader, batch, account, page, around.lacking)
    if not (around.flaws or around.lacking) and (times := _take_ordinary(reader, batch, account, page)) is not None:
        return times
    times = []
    for at, item in enumerate(page.items):
        contact = item.get("contact") if isinstance(item, dict) else None
        if isinstance(item, dict) and contact is None:
            unidentified.add((str(item.get("lastMessageTime")), str(item.get("lastMessage"))))
            if at in around.flaws:  # Volt failed to name the contact, which is not to say that it is gone
                batch.rejects.append(Reject(CONTACTS.name, account.id, "", around.flaws[at], json_text(item)))
            continue
        # An item that lacks a part is stored nevertheless: it tells that there is a conversation, and that it moved.
        lack = _of("InboxMessage", around.lacking)
        made = put(batch, INBOX_ITEMS, item, page.asked_at, lack=lack, in_part=True, account_id=account.id)
        times.append(made[_LAST_TIME] if made else None)
        take_contact(reader, batch, account, contact, page.asked_at, around.flaws.get(at, ""))
    return times


def _take_ordinary(reader: Reader, batch: Batch, account: Account, page: Page) -> list[datetime | None] | None:
    """Add a page on which every item and contact is just as the contract says; None, and nothing added, for others."""
    contacts = [item.get("contact") if isinstance(item, dict) else None for item in page.items]
    lists = [lists_of(contact) if isinstance(contact, dict) else None for contact in contacts]
    ours = {"account_id": account.id}
    items = ordinary_rows(INBOX_ITEMS, page.items, page.asked_at, ours, {})
    made = ordinary_rows(CONTACTS, contacts, page.asked_at, ours, {})
    if items is None or made is None or None in lists:
        return None
    batch.add_all(INBOX_ITEMS, items)
    batch.add_all(CONTACTS, made)
    for row, held in zip(made, lists, strict=True):
        _take_lists(reader, batch, account, row, held or [], page.asked_at)
    return [row[_LAST_TIME] for row in items]


def _take_owner(reader: Reader, batch: Batch, account: Account, page: Page, lacking: str) -> None:
    owner = page.source.get("account")
    if isinstance(owner, dict) and owner.get("id"):
        put(batch, ACCOUNTS, owner, page.asked_at, flaw=_of("Account", lacking))
        if organization := owner.get("organization"):
            put(batch, ORGANIZATIONS, organization, page.asked_at, flaw=_of("Organization", lacking))
    reader.learn(batch, account.phone, account.id, "primary_phone", page.asked_at)


def _of(type_name: str, lacking: str) -> str:
    """What a page lacks, if it concerns this type."""
    return lacking if f" {type_name}." in lacking else ""


def take_contact(
    reader: Reader, batch: Batch, account: Account, contact: Any, asked_at: datetime, flaw: str = ""
) -> None:
    """Add a contact, the lists it is on, and the pool number it is texted from; of a flawed one, itself only."""
    lists = lists_of(contact) if isinstance(contact, dict) else None
    lack = "lists is no list of lists; stored without" if lists is None else ""
    made = put(batch, CONTACTS, contact, asked_at, flaw=flaw, lack=lack, account_id=account.id)
    if made is None or flaw:
        return
    if lists is None:  # which is not to say that it is on none
        reader.learn(batch, made[_MAPPED], account.id, "mapped_number", asked_at)
    else:
        _take_lists(reader, batch, account, made, lists, asked_at)


def _take_lists(
    reader: Reader, batch: Batch, account: Account, made: Row, lists: Sequence[tuple[str, str]], asked_at: datetime
) -> None:
    """Add what a contact's row shows beside itself: the pool number that it is texted from, and the lists it is on."""
    reader.learn(batch, made[_MAPPED], account.id, "mapped_number", asked_at)
    batch.add_membership(made[_ID], asked_at, frozenset(list_id for list_id, _ in lists))
    for _, name in lists:
        if name:
            batch.discoveries.add(Discovery("list", account.id, name, via="contacts"))
