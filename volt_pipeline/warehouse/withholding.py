"""What is of people who were forgotten never reaches the server: it is left out of each batch, and counted.

Of such a person a keyed digest is all that is kept (`volt_ops.forgotten`). Each transaction reads anew who that is,
which also keeps `erasure.py` waiting until it is over: what one erases, no other writes back.
"""

from __future__ import annotations

import hmac
import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import psycopg

from volt_pipeline import catalog
from volt_pipeline.batch import Batch, Reading, Reject, Row
from volt_pipeline.warehouse.queries import query

_PHONES = {"contacts": "phone_number", "inbox_items": "contact_phone", "conversations": "contact_phone"}
_CONTACT_ID = catalog.CONTACTS.column_names.index("id")
_MESSAGE = {name: catalog.MESSAGES.column_names.index(name) for name in ("contact_phone", "to_number", "from_number")}
_SIDES = (_MESSAGE["to_number"], _MESSAGE["from_number"])
_NO_DIGIT = re.compile(r"\D+", re.ASCII)


def digits(phone: str) -> str:
    """What a phone is known by here, however it is written: its digits, country code first."""
    return _NO_DIGIT.sub("", phone)


class Forgotten:
    """Those who were forgotten, as one transaction sees them; false where there is nobody."""

    def __init__(self, key: bytes, digests: Iterable[bytes]) -> None:
        self._digests = frozenset(digests)
        # A conversation asks for the same phone with each of its messages.
        self.digest: Callable[[str], bytes] = lru_cache(maxsize=16_384)(
            lambda phone: hmac.digest(key, digits(phone).encode(), "sha256")
        )

    def __bool__(self) -> bool:
        return bool(self._digests)

    def __contains__(self, phone: object) -> bool:
        return isinstance(phone, str) and phone != "" and self.digest(phone) in self._digests


NOBODY = Forgotten(b"", ())
_known: dict[bytes, tuple[int, int, Forgotten]] = {}  # by a warehouse's key: how many, the last one's number, who


@dataclass
class Kept:
    """What may be written of a batch.

    `withheld`: rows left out, a stream; `people`: (account id, digest) of whom they are, `shown` those of them that an
    inbox showed; `ended`: walks of their conversations that have nothing more to read.
    """

    batch: Batch
    withheld: Counter[str] = field(default_factory=Counter)
    people: set[tuple[str, bytes]] = field(default_factory=set)
    shown: set[tuple[str, bytes]] = field(default_factory=set)
    ended: set[tuple[str, str, str]] = field(default_factory=set)


async def read_forgotten(cursor: psycopg.AsyncCursor[Any]) -> Forgotten:
    """Who is forgotten now. The digests are read again only when somebody was added or came back."""
    await cursor.execute(query("count_forgotten"))
    key, count, last = await cursor.fetchone() or (b"", 0, 0)
    if not count:
        return NOBODY
    held = _known.get(key)
    if held is None or held[:2] != (count, last):
        await cursor.execute(query("list_forgotten"))
        held = _known[key] = (count, last, Forgotten(key, [digest for (digest,) in await cursor.fetchall()]))
    return held[2]


def forgotten_now(connection: psycopg.Connection[Any]) -> Forgotten:
    """Who is forgotten now, for what composes its work outside of a load."""
    key, count, _ = connection.execute(query("count_forgotten")).fetchone() or (b"", 0, 0)
    if not count:
        return NOBODY
    return Forgotten(bytes(key), [bytes(digest) for (digest,) in connection.execute(query("list_forgotten"))])


async def withhold(cursor: psycopg.AsyncCursor[Any], batch: Batch) -> Kept:
    """The batch without what is of people who were forgotten."""
    forgotten = await read_forgotten(cursor)
    return without(batch, forgotten) if forgotten else Kept(batch)


async def note_withheld(cursor: psycopg.AsyncCursor[Any], kept: Kept, run_id: str) -> None:
    """Note, for the counts, of whom something was left out, and whom inboxes showed or, at their end, had not."""
    for people, name in ((kept.people - kept.shown, "note_withheld"), (kept.shown, "note_withheld_items")):
        if people:
            accounts, digests = zip(*sorted(people), strict=True)
            parameters = {"account_ids": list(accounts), "digests": list(digests), "run_id": run_id}
            await cursor.execute(query(name), parameters)
    inboxes = [walk for walk in kept.batch.walks.values() if walk.stream == catalog.INBOX_ITEMS.name]
    if ended := [walk.account_id for walk in inboxes if walk.reached_end]:
        await cursor.execute(query("clear_withheld_items"), {"account_ids": ended, "run_id": run_id})


def without(batch: Batch, forgotten: Forgotten) -> Kept:
    """The batch without what is of these people. Pure: the batch itself is left as it is, and may be written again."""
    kept = Kept(replace(batch, rows={}, flawed={}, walks={}))
    dropped: dict[str, set[str]] = {"contact": set(), "message": set()}
    for mine, theirs in ((kept.batch.rows, batch.rows), (kept.batch.flawed, batch.flawed)):
        for stream, rows in theirs.items():
            mine[stream] = _rows(kept, dropped, stream, rows, forgotten)
    kept.batch.rejects = [each for each in batch.rejects if not _is_of(kept, each, forgotten)]
    if gone := dropped["contact"] & batch.memberships.keys():
        kept.batch.memberships = {key: held for key, held in batch.memberships.items() if key not in gone}
    kept.batch.readings = [each for each in batch.readings if not _reads(each, dropped)]
    for key, walk in batch.walks.items():
        if walk.contact_phone not in forgotten:
            kept.batch.walks[key] = walk
        elif walk.reached_end or walk.below_top:
            kept.ended.add(key)
    return kept


def _rows(
    kept: Kept,
    dropped: Mapping[str, set[str]],
    stream: str,
    rows: dict[tuple[Any, ...], Row],
    forgotten: Forgotten,
) -> dict[tuple[Any, ...], Row]:
    """The rows of a table that may be written."""
    if stream == catalog.MESSAGES.name:
        made = {key: _message(row, forgotten) for key, row in rows.items()}
        dropped["message"].update(str(key[0]) for key, row in made.items() if row is None)
        kept.withheld[stream] += sum(row is None for row in made.values())
        return {key: row for key, row in made.items() if row is not None}
    if stream not in _PHONES:
        return rows
    names = _names(stream)
    phone, account = names.index(_PHONES[stream]), names.index("account_id")
    gone = [key for key, row in rows.items() if row[phone] in forgotten]
    for key in gone:
        row = rows[key]
        if stream == catalog.CONTACTS.name:
            dropped["contact"].add(str(row[_CONTACT_ID]))
        _note(kept, stream, row[account], row[phone], forgotten)
    return {key: row for key, row in rows.items() if key not in set(gone)} if gone else rows


def _names(stream: str) -> tuple[str, ...]:
    return next(each.column_names for each in catalog.STREAMS if each.name == stream)


def _message(row: Row, forgotten: Forgotten) -> Row | None:
    """The message as it may be kept. In somebody else's conversation it stays, without the number."""
    phone = row[_MESSAGE["contact_phone"]]
    sides = [at for at in _SIDES if row[at] in forgotten]
    if phone in forgotten or (sides and not phone):
        return None
    return tuple(None if at in sides else value for at, value in enumerate(row)) if sides else row


def _note(kept: Kept, stream: str, account_id: object, phone: str, forgotten: Forgotten) -> None:
    kept.withheld[stream] += 1
    person = (str(account_id or ""), forgotten.digest(phone))
    kept.people.add(person)
    if stream == catalog.INBOX_ITEMS.name:
        kept.shown.add(person)


def _is_of(kept: Kept, reject: Reject, forgotten: Forgotten) -> bool:
    """Whether a reject is of somebody who was forgotten; such a one is noted like a row."""
    for phone in phones_of(reject):
        if phone in forgotten:
            _note(kept, reject.stream, reject.account_id, phone, forgotten)
            return True
    return False


def phones_of(reject: Reject) -> Collection[str]:
    """The phones of the person whom a reject is of, as far as it tells; none where it is of no person."""
    if reject.stream not in (*_PHONES, catalog.MESSAGES.name):
        return ()
    found: list[object] = [reject.contact_phone, reject.key.partition("|")[2]]
    raw = json.loads(reject.raw)
    if isinstance(raw, dict):
        contact = raw.get("contact")
        found += [raw.get("phoneNumber"), contact.get("phoneNumber") if isinstance(contact, dict) else None]
        if not reject.contact_phone:
            found += [raw.get("toNumber"), raw.get("fromNumber")]
    return [phone for phone in found if isinstance(phone, str) and phone]


def _reads(reading: Reading, dropped: Mapping[str, set[str]]) -> bool:
    return reading.key in dropped.get(reading.kind, ())
