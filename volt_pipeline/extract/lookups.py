"""Targeted look-ups: waves by id, lists by name, unsettled messages by id, contacts by phone, in aliased documents.

What is due is the store's question to answer; each answer, a clean "there is none" included, is a `Reading`, and one
that cannot be read costs itself only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from volt_pipeline.api.client import Reply
from volt_pipeline.api.errors import NotFound, VoltError
from volt_pipeline.batch import Batch, Discovery, Reading, Reject, Target
from volt_pipeline.catalog import CONTACTS, LISTS, MESSAGES, WAVE_LISTS, WAVES, WEBHOOKS
from volt_pipeline.errors import ExplainedError
from volt_pipeline.extract.around import in_words, without_suspects
from volt_pipeline.extract.inbox import take_contact
from volt_pipeline.extract.messages import take_message
from volt_pipeline.extract.reader import Account, Reader, put
from volt_pipeline.extract.rows import lists_of, unescape

_AT_ONCE = 500  # look-ups answered before a commit: bounds memory


@dataclass(frozen=True)
class Lookup:
    """One kind of look-up: its query, the variables for a target, and what becomes of an answer.

    `take` adds a found object to the batch, with its flaw if it has one, and gives its id ("": it could not be stored).
    """

    kind: str
    operation: str
    table: str
    variables: Callable[[Target], Mapping[str, Any]]
    take: Callable[[Batch, Any, datetime, Target, str], str]
    accounts: Sequence[str] = ()


class TokenSeesNothing(ExplainedError):
    """Volt answers with nothing about things that it showed before."""


async def look_up(reader: Reader, lookup: Lookup, targets: Sequence[Target]) -> None:
    """Ask for all targets and store what is answered. Raises TokenSeesNothing when nulls cannot be believed."""
    stage = f"{lookup.kind} look-ups"
    reader.expect(stage, len(targets))
    for start in range(0, len(targets), _AT_ONCE):
        part = targets[start : start + _AT_ONCE]
        replies = await reader.volt.query_each(lookup.operation, [lookup.variables(target) for target in part])
        answers = list(zip(part, replies, strict=True))
        await _believe(reader, lookup, answers)
        batch = Batch()
        for target, reply in answers:
            _store(batch, lookup, target, *await _mended(reader, lookup, target, reply))
        await reader.store.load(batch)
        reader.advance(stage, len(part))


async def _believe(reader: Reader, lookup: Lookup, answers: Sequence[tuple[Target, Reply]]) -> None:
    """Nulls count only beside something of the same account that Volt does show: else the token may be revoked.

    One witness of several suffices: it may happen to be gone itself. An account that has none borrows the others'.
    """
    seen = {target.account_id for target, reply in answers if reply.value is not None}
    doubtful = {target.account_id for target, reply in answers if _absent(reply)} - seen
    if not doubtful:
        return
    absent = [target.key for target, reply in answers if _absent(reply)]
    canaries = await reader.store.canaries(lookup.kind, sorted(doubtful), absent)
    alone = doubtful - {canary.account_id for canary in canaries}
    if alone and not seen:
        canaries += await reader.store.canaries(lookup.kind, sorted(set(lookup.accounts) - doubtful), absent)
    replies = await reader.volt.query_each(lookup.operation, [lookup.variables(canary) for canary in canaries])
    singing = {canary.account_id for canary, reply in zip(canaries, replies, strict=True) if reply.value is not None}
    silent = (doubtful - alone) - singing
    if silent or (canaries and not singing):
        raise _blind(f"the {lookup.table} of {len(doubtful)} account(s)")


def _blind(of: str) -> TokenSeesNothing:
    return TokenSeesNothing(
        f"Volt answers with nothing about {of}, not even about what it showed before. "
        "The token may have lost its rights: check VOLT_API_TOKEN. Nothing was taken for deleted."
    )


def _absent(reply: Reply) -> bool:
    return reply.value is None and (reply.error is None or isinstance(reply.error, NotFound))


async def _mended(reader: Reader, lookup: Lookup, target: Target, reply: Reply) -> tuple[Reply, str]:
    """The answer, read around a field that Volt cannot give; and what is wrong with it then."""
    failure = reply.error or reply.partial
    if failure is None or not failure.paths:
        return reply, ""
    try:
        mended, without = await without_suspects(reader.volt, lookup.operation, lookup.variables(target), failure)
        return mended, in_words(without)
    except VoltError:
        return reply, "" if reply.partial is None else f"Volt gave only a part: {reply.partial}"


def _store(batch: Batch, lookup: Lookup, target: Target, reply: Reply, flaw: str) -> None:
    if reply.value is None and not _absent(reply):
        reason = f"cannot be read: {reply.error}"
        batch.rejects.append(
            Reject(lookup.table, target.account_id, target.key, reason, contact_phone=target.contact_phone)
        )
        return
    found = reply.value is not None
    object_id = lookup.take(batch, reply.value, reply.asked_at, target, flaw) if found else ""
    batch.readings.append(Reading(lookup.kind, target.account_id, target.key, reply.asked_at, found, object_id))


async def read_waves(reader: Reader, accounts: Sequence[Account]) -> None:
    """Ask for every wave that is due, with the lists it was sent to."""

    def take(batch: Batch, wave: Any, asked_at: datetime, target: Target, flaw: str) -> str:
        lists = lists_of(wave) if isinstance(wave, dict) and wave.get("lists") is not None else []
        lack = "lists is no list of lists; stored without" if lists is None else ""
        made = put(batch, WAVES, wave, asked_at, key=target.key, flaw=flaw, lack=lack)
        if made is None:
            return ""
        owner = made[WAVES.column_names.index("account_id")]
        for list_id, name in lists or []:
            put(batch, WAVE_LISTS, {}, asked_at, wave_id=made[0], list_id=list_id, list_name=name or None)
            if owner and name:
                batch.discoveries.add(Discovery("list", owner, name, via="waves"))
        return str(made[0])

    lookup = Lookup("wave", "wave", WAVES.name, lambda target: {"id": target.key}, take)
    await look_up(reader, lookup, await reader.store.due("wave", [account.id for account in accounts]))


async def read_lists(reader: Reader, accounts: Sequence[Account]) -> None:
    """Ask for every list that is due, and for the source lists that those name, until no new one turns up."""
    phones = {account.id: account.phone for account in accounts}

    def take(batch: Batch, found: Any, asked_at: datetime, target: Target, flaw: str) -> str:
        made = put(batch, LISTS, found, asked_at, key=target.key, account=target.account_id, flaw=flaw, account_id=None)
        if made is None:
            return ""
        if source := made[LISTS.column_names.index("query_source_list_name")]:
            batch.discoveries.add(Discovery("list", target.account_id, source, via="lists"))
        return str(made[0])

    lookup = Lookup(
        "list",
        "list",
        LISTS.name,
        lambda target: {"primaryPhone": phones[target.account_id], "listName": unescape(target.key)},
        take,
        list(phones),
    )
    asked: set[Target] = set()
    while due := [target for target in await reader.store.due("list", list(phones)) if target not in asked]:
        asked.update(due)
        await look_up(reader, lookup, due)


async def settle_messages(reader: Reader, accounts: Sequence[Account]) -> None:
    """Ask again for the messages whose status may still change."""

    def take(batch: Batch, message: Any, asked_at: datetime, target: Target, flaw: str) -> str:
        place = (target.account_id, target.contact_phone)
        made = take_message(reader, batch, message, asked_at, *place, flaw, key=target.key)
        return str(made[0]) if made else ""

    ids = [account.id for account in accounts]
    lookup = Lookup("message", "message", MESSAGES.name, lambda target: {"id": target.key}, take, ids)
    await look_up(reader, lookup, await reader.store.due("message", ids))


async def sweep_contacts(reader: Reader, accounts: Sequence[Account]) -> None:
    """Ask again for the contacts that were not read for long: they change without any message."""
    by_id = {account.id: account for account in accounts}

    def take(batch: Batch, contact: Any, asked_at: datetime, target: Target, flaw: str) -> str:
        take_contact(reader, batch, by_id[target.account_id], contact, asked_at, flaw)
        return target.key

    lookup = Lookup(
        "contact",
        "contact",
        CONTACTS.name,
        lambda target: {"primaryPhone": by_id[target.account_id].phone, "phoneNumber": target.contact_phone},
        take,
        list(by_id),
    )
    await look_up(reader, lookup, await reader.store.due("contact", list(by_id)))


async def read_webhooks(reader: Reader, accounts: Sequence[Account]) -> None:
    """Read the registered webhooks: one request, all of them; one that is not among them may be gone.

    Raises TokenSeesNothing when nothing of what was held is shown, and no contact either.
    """
    reply = await reader.volt.query("webhooks", {})
    batch = Batch()
    for webhook in reply.value or []:
        if webhook is not None:
            put(batch, WEBHOOKS, webhook, reply.asked_at)
    shown = {str(key) for (key,) in batch.rows.get(WEBHOOKS.name, {})}
    held = await reader.store.held_webhooks()
    if shown or not held or await _sees_contacts(reader, accounts):
        for key in sorted(held | shown):
            batch.readings.append(
                Reading("webhook", "", key, reply.asked_at, key in shown, key if key in shown else "")
            )
    await reader.store.load(batch)
    reader.advance(WEBHOOKS.name, len(shown))


async def _sees_contacts(reader: Reader, accounts: Sequence[Account]) -> bool:
    """Whether the token shows any contact that it showed before; False too when none is held, which proves nothing."""
    phones = {account.id: account.phone for account in accounts}
    canaries = await reader.store.canaries("contact", sorted(phones), [])
    asked = [{"primaryPhone": phones[canary.account_id], "phoneNumber": canary.contact_phone} for canary in canaries]
    replies = await reader.volt.query_each("contact", asked)
    if canaries and all(reply.value is None for reply in replies):
        raise _blind("webhooks and contacts")
    return bool(canaries)
