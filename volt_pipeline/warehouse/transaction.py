"""What one transaction writes of a batch: rows with their history, memberships, findings, and the walks' states.

Rows go by binary COPY into temporary staging tables, then from there as `upsert.py` words it. All of it may
be repeated without harm.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from volt_pipeline import catalog
from volt_pipeline.batch import Batch, Reading, Reject, Walk
from volt_pipeline.catalog import Stream
from volt_pipeline.warehouse import upsert
from volt_pipeline.warehouse.queries import query
from volt_pipeline.warehouse.withholding import Kept, note_withheld, withhold

Cursor = psycopg.AsyncCursor[Any]
WalkKey = tuple[str, str, str]

_WALK_TYPES = {
    "stream": "text", "account_id": "text", "contact_phone": "text", "opened_at": "timestamptz", "cursor": "text",
    "pages": "int4", "item": "text", "open_top": "timestamptz", "total": "int8", "oldest": "timestamptz",
    "ordered": "bool", "unidentifiable": "int8", "reached_end": "bool", "below_top": "bool", "gap": "int8",
}  # fmt: skip
_MEMBERSHIP_TYPES = {"contact_id": "text", "asked_at": "timestamptz", "list_ids": "text[]"}


# Every statement here goes from a few staged keys to their rows. Left to statistics that a first load has outrun, the
# planner reads whole tables for that. (Commits wait for the disk: a run outlives a crash of Postgres, and would go on
# from what the crash lost.)
_OFF = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "enable_material")
_MODE = "; ".join(f"SET LOCAL {name} = off" for name in _OFF)
# What is staged waits for the transaction before it, however long that takes.
_MODE += "; SET LOCAL idle_in_transaction_session_timeout = 0"


@dataclass
class Counts:
    """What loading did to one table."""

    read: int = 0
    inserted: int = 0
    updated: int = 0
    rejected: int = 0
    withheld: int = 0  # of people who were forgotten: never written

    @property
    def written(self) -> int:
        return self.inserted + self.updated

    @property
    def unchanged(self) -> int:
        return self.read - self.written


async def create_stages(cursor: Cursor) -> None:
    """The temporary tables of a connection; each transaction finds them empty."""
    for stream in catalog.STREAMS:
        await cursor.execute(upsert.create_stage(stream))
    for name, types in (("stage_walks", _WALK_TYPES), ("stage_memberships", _MEMBERSHIP_TYPES)):
        columns = ", ".join(f"{column} {kind}" for column, kind in types.items())
        await cursor.execute(f"CREATE TEMP TABLE IF NOT EXISTS {name} ({columns}) ON COMMIT DELETE ROWS")


async def stage(cursor: Cursor, batch: Batch) -> Kept:
    """Send a batch's rows to the staging tables: whatever else a transaction sees or locks waits for `write`.

    What is of people who were forgotten is left out before anything reaches the server.
    """
    await cursor.execute(_MODE)
    kept = await withhold(cursor, batch)
    for stream in catalog.STREAMS:
        if rows := kept.batch.rows.get(stream.name):
            await _copy(cursor, upsert.copy_stage(stream), upsert.wire_types(stream), rows.values())
    return kept


async def write(cursor: Cursor, kept: Kept, run_id: str) -> tuple[dict[str, Counts], set[WalkKey]]:
    """Write what is staged of a batch, and all else of it.

    Gives what that did to each table, and the keys of the walks that are complete now.
    """
    batch = kept.batch
    await note_withheld(cursor, kept, run_id)
    counts = {
        stream.name: await _write_rows(cursor, stream, len(rows), run_id)
        for stream in catalog.STREAMS
        if (rows := batch.rows.get(stream.name))
    }
    await _write_flawed(cursor, batch, run_id)
    await _write_memberships(cursor, batch, run_id)
    await _write_findings(cursor, batch, run_id)
    for reject in batch.rejects:
        counts.setdefault(reject.stream, Counts()).rejected += 1
    for stream, number in kept.withheld.items():
        counts.setdefault(stream, Counts()).withheld += number
    return counts, kept.ended | await _write_walks(cursor, list(batch.walks.values()), run_id)


async def _write_rows(cursor: Cursor, stream: Stream, staged: int, run_id: str) -> Counts:
    if stream is catalog.CONTACTS:
        await cursor.execute(query("reopen_conversations"))
    counts = Counts(staged, inserted=await _number(cursor, upsert.insert_new(stream), run_id))
    if counts.inserted < counts.read:
        for history in catalog.HISTORIES:
            if history.of == stream.name:
                await cursor.execute(upsert.write_history(history), {"run_id": run_id})
        counts.updated = await _number(cursor, upsert.update_changed(stream), run_id)
    return counts


async def _number(cursor: Cursor, statement: str, run_id: str) -> int:
    await cursor.execute(statement, {"run_id": run_id})
    (number,) = await cursor.fetchone() or (0,)
    return int(number)


async def _write_flawed(cursor: Cursor, batch: Batch, run_id: str) -> None:
    """Rows of which Volt could not give a part: better than nothing, but never over what is held."""
    for stream in catalog.STREAMS:
        if rows := batch.flawed.get(stream.name):
            await cursor.execute(upsert.empty_stage(stream))
            await _copy(cursor, upsert.copy_stage(stream), upsert.wire_types(stream), rows.values())
            await cursor.execute(upsert.insert_missing(stream), {"run_id": run_id})


async def _write_memberships(cursor: Cursor, batch: Batch, run_id: str) -> None:
    if not batch.memberships:
        return
    rows = [(key, asked_at, sorted(lists)) for key, (asked_at, lists) in sorted(batch.memberships.items())]
    names = ", ".join(_MEMBERSHIP_TYPES)
    copy = f"COPY stage_memberships ({names}) FROM STDIN (FORMAT BINARY)"
    await _copy(cursor, copy, tuple(_MEMBERSHIP_TYPES.values()), rows)
    await cursor.execute(query("retire_contacts"), {"run_id": run_id})
    await _mourn(cursor, [contact_id for (contact_id,) in await cursor.fetchall()], run_id)
    for name in ("close_memberships", "open_memberships", "stamp_contacts"):
        await cursor.execute(query(name), {"run_id": run_id})


async def _write_findings(cursor: Cursor, batch: Batch, run_id: str) -> None:
    if found := [(d.kind, d.account_id, d.key, d.via) for d in batch.discoveries]:
        await cursor.execute(query("add_discoveries"), _arrays(("kinds", "account_ids", "keys", "vias"), found))
    if answers := [(r.kind, r.account_id, r.key, r.asked_at, r.found, r.object_id) for r in batch.readings]:
        parameters = _arrays(("kinds", "account_ids", "keys", "read_ats", "founds", "objects"), answers)
        await cursor.execute(query("save_readings"), parameters)
        await cursor.execute(query("save_discovery_readings"), parameters)
        await cursor.execute(query("resolve_lookup_rejects"), parameters)
        await _bury(cursor, [reading for reading in batch.readings if not reading.found], run_id)
    await cursor.execute(query("streams_with_open_rejects"))
    for (stream,) in await cursor.fetchall():
        if keys := ["|".join(map(str, key)) for key in batch.rows.get(stream, ())]:
            await cursor.execute(query("resolve_rejects"), {"stream": stream, "keys": keys})
    if refused := [
        (r.stream, r.account_id, r.contact_phone, r.key, r.reason, r.raw, _digest(r)) for r in batch.rejects
    ]:
        names = ("streams", "account_ids", "phones", "keys", "reasons", "raws", "digests")
        await cursor.execute(query("add_rejects"), {**_arrays(names, refused), "run_id": run_id})


async def _bury(cursor: Cursor, absent: Sequence[Reading], run_id: str) -> None:
    """Mark as deleted what repeated look-ups did not find; nothing else deletes."""
    for kind in sorted({reading.kind for reading in absent}):
        keys = [reading.key for reading in absent if reading.kind == kind]
        await cursor.execute(query(f"bury_{kind}s"), {"keys": keys, "run_id": run_id})
        if kind == "contact":
            await _mourn(cursor, [contact_id for (contact_id,) in await cursor.fetchall()], run_id)
        await cursor.execute(query("resolve_gone_rejects"), {"keys": keys})


async def _mourn(cursor: Cursor, contact_ids: list[str], run_id: str) -> None:
    """What follows from a contact's end: it is on no list any more, and its messages are asked again."""
    if contact_ids:
        await cursor.execute(query("end_buried_memberships"), {"contact_ids": contact_ids, "run_id": run_id})
        await cursor.execute(query("suspect_messages"), {"contact_ids": contact_ids})


async def _write_walks(cursor: Cursor, walks: list[Walk], run_id: str) -> set[WalkKey]:
    if not walks:
        return set()
    names = ", ".join(_WALK_TYPES)
    rows = ([getattr(walk, name) for name in _WALK_TYPES] for walk in sorted(walks, key=lambda walk: walk.key))
    copy = f"COPY stage_walks ({names}) FROM STDIN (FORMAT BINARY)"
    await _copy(cursor, copy, tuple(_WALK_TYPES.values()), rows)
    await cursor.execute(query("save_walks"))
    await cursor.execute(query("resolve_nameless_rejects"), {"run_id": run_id})
    await cursor.execute(query("complete_walks"))
    judged = await cursor.fetchall()
    completed = {(stream, account, phone) for stream, account, phone, _ in judged}
    surplus = {stream for stream, _, _, gap in judged if gap < 0}
    if any(stream == "inbox_items" for stream, _, _ in completed):
        await cursor.execute(query("resolve_walk_rejects"))
    if "inbox_items" in surplus:
        await cursor.execute(query("doubt_unseen_items"))
    if "messages" in surplus:
        await cursor.execute(query("suspect_messages"), {"contact_ids": []})
    return completed


async def _copy(cursor: Cursor, statement: str, types: tuple[str, ...], rows: Iterable[Sequence[Any]]) -> None:
    async with cursor.copy(statement) as copy:
        copy.set_types(types)
        for row in rows:
            await copy.write_row(row)


def _arrays(names: Sequence[str], records: Sequence[tuple[Any, ...]]) -> dict[str, list[Any]]:
    """Records → one array parameter a column, for `unnest`."""
    return dict(zip(names, map(list, zip(*records, strict=True)), strict=True))


def _digest(reject: Reject) -> str:
    return "" if reject.key else hashlib.md5(reject.raw.encode(), usedforsecurity=False).hexdigest()
