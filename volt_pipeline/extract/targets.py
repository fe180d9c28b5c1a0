"""Targeted re-readings: single messages, the newest page of a conversation, contacts; rows only, no walk's state.

What a sync knows of completeness is not touched: the inbox will show that a conversation moved, and its own walk then
finds the rows held already. Nothing is concluded from an absence either. So a re-reading for no reason, or for a wrong
one, changes nothing but how soon a row is fresh.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from volt_pipeline.api.client import Reply
from volt_pipeline.api.errors import NotFound, VoltError
from volt_pipeline.batch import Batch, Reading, Target
from volt_pipeline.catalog import CONVERSATIONS
from volt_pipeline.extract.around import whole_page
from volt_pipeline.extract.inbox import take_contact
from volt_pipeline.extract.messages import take_message
from volt_pipeline.extract.pages import Page, PageError
from volt_pipeline.extract.reader import Account, Reader
from volt_pipeline.extract.rows import identity

_AT_ONCE = 100  # answers before a commit: bounds memory, and a first target need not wait for the last

Kinded = tuple[str, Target]  # "message" | "conversation" | "contact", and which


async def read_targets(
    reader: Reader, accounts: Mapping[str, Account], targets: Collection[Kinded]
) -> dict[Kinded, str]:
    """Read them all and store what is answered; gives those that could not be read, with the reason in words.

    `accounts` are by id. A message's key is its id; a conversation and a contact are known by account and phone.
    Raises VoltError when Volt answers nothing at all, WarehouseError.
    """
    failed: dict[Kinded, str] = {}
    for kind, read in (("contact", _read_contacts), ("message", _read_messages), ("conversation", _read_conversations)):
        chosen = sorted(target for named, target in targets if named == kind)
        reader.expect(f"{kind} re-readings", len(chosen))
        for start in range(0, len(chosen), _AT_ONCE):
            part = chosen[start : start + _AT_ONCE]
            lost = await read(reader, accounts, part)
            failed.update({(kind, target): reason for target, reason in lost.items()})
            reader.advance(f"{kind} re-readings", len(part))
    return failed


async def _read_messages(
    reader: Reader, _accounts: Mapping[str, Account], targets: Sequence[Target]
) -> dict[Target, str]:
    batch, failed = Batch(), {}
    replies = await reader.volt.query_each("message", [{"id": target.key} for target in targets])
    for target, reply in zip(targets, replies, strict=True):
        if reason := _trouble(reply):
            failed[target] = reason
        elif reply.value is not None:
            place = (target.account_id, target.contact_phone)
            made = take_message(reader, batch, reply.value, reply.asked_at, *place, key=target.key)
            if made is not None:
                batch.readings.append(
                    Reading("message", target.account_id, target.key, reply.asked_at, True, target.key)
                )
    await reader.store.load(batch)
    return failed


async def _read_contacts(
    reader: Reader, accounts: Mapping[str, Account], targets: Sequence[Target]
) -> dict[Target, str]:
    batch, failed = Batch(), {}
    asked = [
        {"primaryPhone": accounts[target.account_id].phone, "phoneNumber": target.contact_phone} for target in targets
    ]
    for target, reply in zip(targets, await reader.volt.query_each("contact", asked), strict=True):
        if reason := _trouble(reply):
            failed[target] = reason
        elif reply.value is not None:
            take_contact(reader, batch, accounts[target.account_id], reply.value, reply.asked_at)
    await reader.store.load(batch)
    return failed


async def _read_conversations(
    reader: Reader, accounts: Mapping[str, Account], targets: Sequence[Target]
) -> dict[Target, str]:
    batch, failed = Batch(), {}
    asked = [_between(accounts, target) for target in targets]
    for target, reply in zip(targets, await reader.volt.query_each("conversation", asked), strict=True):
        if isinstance(reply.error, NotFound):
            continue
        try:
            await _take_page(reader, batch, target, _between(accounts, target), reply)
        except (PageError, VoltError) as error:
            failed[target] = str(error)
    await reader.store.load(batch)
    return failed


def _between(accounts: Mapping[str, Account], target: Target) -> dict[str, Any]:
    return {"from": accounts[target.account_id].phone, "to": target.contact_phone, "before": None}


async def _take_page(reader: Reader, batch: Batch, target: Target, asked: Mapping[str, Any], reply: Reply) -> None:
    """Add a conversation's newest page to the batch, read around what Volt cannot give."""
    around = await whole_page(
        reader.volt,
        "conversation",
        asked,
        reply,
        items="messages",
        single="message",
        target=lambda message: {"id": str(message["id"])} if identity(message.get("id")) else None,
        put_back=lambda _part, message: message,
    )
    page = Page.of(around.reply.value, "messages", around.reply.asked_at)
    if not page.items:
        return
    batch.add(CONVERSATIONS, (target.account_id, target.contact_phone, page.total, page.asked_at))
    for at, message in enumerate(page.items):
        flaw = around.flaws.get(at, "")
        take_message(reader, batch, message, page.asked_at, target.account_id, target.contact_phone, flaw)


def _trouble(reply: Reply) -> str:
    """Why an answer is none. A clean "there is none" is an answer, from which nothing follows here."""
    if reply.error is None or isinstance(reply.error, NotFound):
        return "" if reply.partial is None else str(reply.partial)
    return str(reply.error)
