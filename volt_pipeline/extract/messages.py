"""A conversation's messages → rows, with the waves and pool numbers that they show."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from volt_pipeline.batch import Batch, Discovery, Row, Walk
from volt_pipeline.catalog import CONVERSATIONS, FINAL_STATUSES, MESSAGES
from volt_pipeline.extract.ordinary import ordinary_rows
from volt_pipeline.extract.pages import Page
from volt_pipeline.extract.reader import Reader, put
from volt_pipeline.extract.rows import escape, is_final
from volt_pipeline.extract.shapes import getter, plain

_SENT_AT = MESSAGES.column_names.index("sent_at")
_FROM, _TO = MESSAGES.column_names.index("from_number"), MESSAGES.column_names.index("to_number")
_WAVE_ID = MESSAGES.column_names.index("wave_id")


def take_page(reader: Reader, batch: Batch, walk: Walk, page: Page, flaws: dict[int, str]) -> list[datetime | None]:
    """Add a page's messages to the batch; give their times in order (None where one is missing)."""
    batch.add(CONVERSATIONS, (walk.account_id, walk.contact_phone, page.total, page.asked_at))
    if not flaws and (made := _all_ordinary(reader, walk, page)) is not None:
        batch.add_all(MESSAGES, made)
        for wave_id in {row[_WAVE_ID] for row in made} - {None, ""}:
            batch.discoveries.add(Discovery("wave", "", wave_id, via="messages"))
        return [row[_SENT_AT] for row in made]
    times: list[datetime | None] = []
    for at, message in enumerate(plain(page.items)):
        row = take_message(
            reader, batch, message, page.asked_at, walk.account_id, walk.contact_phone, flaws.get(at, "")
        )
        times.append(row[_SENT_AT] if row else None)
    return times


def _all_ordinary(reader: Reader, walk: Walk, page: Page) -> list[Row] | None:
    """The page's rows, where all of them are ordinary texts between this contact and numbers known to be ours."""
    if walk.contact_phone in reader.numbers:
        return None
    ours = {"account_id": walk.account_id, "contact_phone": walk.contact_phone}
    made = ordinary_rows(MESSAGES, page.items, page.asked_at, ours, {"is_final": _are_final})
    if made is None:
        return None
    ends = {(row[_FROM], row[_TO]) for row in made}
    known = all((end == walk.contact_phone) != (end in reader.numbers) for pair in ends for end in pair)
    return made if known else None


def _are_final(messages: Sequence[Any]) -> list[bool]:
    return [status in FINAL_STATUSES for status in map(getter(messages)("status"), messages)]


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
    between_ours = contact_phone in reader.numbers
    if between_ours:
        account_id, contact_phone = _home(reader, message, account_id, contact_phone)
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
    if made is None:
        return None
    sender, receiver = made[_FROM], made[_TO]
    if not between_ours and (sender == contact_phone) != (receiver == contact_phone):
        ours = receiver if sender == contact_phone else sender
        if ours not in reader.numbers:
            reader.learn(batch, ours, account_id, "message", asked_at)
    if made[_WAVE_ID]:
        batch.discoveries.add(Discovery("wave", "", made[_WAVE_ID], via="messages"))
    return made


def _home(reader: Reader, message: Any, account_id: str, contact_phone: str) -> tuple[str, str]:
    """(account, other side) of a text between two of our own accounts: the sender's view, however it was read."""
    source = message if isinstance(message, dict) else {}
    sides = [escape(str(source.get(name) or "")) for name in ("fromNumber", "toNumber")]
    named = source.get("account")
    sender = str(named.get("id")) if isinstance(named, dict) and named.get("id") else reader.numbers.get(sides[0])
    if sender is None:
        return account_id, contact_phone
    other = [number for number in sides if number and reader.numbers.get(number) != sender]
    return sender, other[0] if other else contact_phone
