"""The outbox as one sender works on it: claims, the commit before an attempt, outcomes, and what is known of people.

Rows come as they stand; what they mean is decided in `sending/`. Each method is one transaction. What is allowed is
kept by the database itself (triggers on `volt_ops.outbox`), so a mistake here raises instead of texting twice.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row, tuple_row

from volt_pipeline.warehouse.errors import WarehouseError
from volt_pipeline.warehouse.postgres import connect
from volt_pipeline.warehouse.queries import query
from volt_pipeline.warehouse.withholding import read_forgotten

LEASE = timedelta(minutes=5)  # longer than any exchange with Volt may take
DAY = timedelta(hours=24)
Row = dict[str, Any]


class Barred(NamedTuple):
    """Why an attempt may not begin after all. `kind`: gone, switched_off, suppressed, full or in_doubt.

    `since` is when the text went out that fills the recipient's day.
    """

    kind: str
    since: datetime | None = None


@dataclass(frozen=True)
class People:
    """What the warehouse knows of recipients. `consent` is None where the marts are not built, else by phone

    (can_text, opted out); `said` holds (phone, body, time) of inbound texts.
    """

    account_id: str | None
    own_numbers: frozenset[str]
    suppressed: frozenset[str]
    consent: Mapping[str, tuple[bool, bool]] | None = field(repr=False)
    said: Sequence[tuple[str, str, datetime | None]] = field(repr=False)
    account_zone: str | None


@dataclass
class Outbox:
    """One sender's connection; `owner` is unlike any other sender's."""

    connection: psycopg.AsyncConnection[Row]
    owner: str

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str, owner: str, actor: str) -> AsyncIterator[Outbox]:
        """An outbox on a connection of its own; `actor` is who the events name. Raises WarehouseUnreachable."""
        async with await connect(url) as plain:
            await plain.set_autocommit(True)
            plain.row_factory = dict_row  # type: ignore[assignment]
            await plain.execute("SELECT set_config('volt_ops.actor', %s, false)", [actor])
            yield cls(plain, owner)  # type: ignore[arg-type]

    async def claim(self, now: datetime) -> Row | None:
        """The next due intent, for this sender alone until LEASE is over."""
        found = await self._rows("outbox_claim", now=now, until=now + LEASE)
        return found[0] if found else None

    async def settle(self, intent_id: int, state: str, reason: str | None, due_at: datetime | None) -> bool:
        """Let a claimed intent go in this state; False when it is not this sender's any more."""
        return bool(
            await self._rows("outbox_settle", intent_id=intent_id, state=state, reason=reason or None, due_at=due_at)
        )

    async def hold_all(self, reason: str, due_at: datetime, now: datetime) -> int:
        """Hold all that is due and not claimed."""
        return await self._change("outbox_hold_all", reason=reason, due_at=due_at, now=now)

    async def killed(self) -> bool:
        """Whether the kill switch is engaged."""
        (row,) = await self._rows("outbox_kill_switch")
        return bool(next(iter(row.values())))

    async def begin(
        self, intent: Mapping[str, Any], phones: Collection[str], now: datetime, per_recipient: int
    ) -> Barred | None:
        """Commit an attempt, checks and all, in one transaction; None when it is on record, and may be sent.

        `intent` holds intent_id, account_phone, match_key, snapshot (JSON text), snapshot_top and wave_status.
        """
        try:
            async with self.connection.transaction():
                barred = await self._barred(intent, sorted(phones), now, per_recipient)
                if barred is None and not await self._rows("outbox_begin", now=now, until=now + LEASE, **intent):
                    barred = Barred("gone")
                return barred
        except psycopg.errors.UniqueViolation:
            return Barred("in_doubt")
        except psycopg.Error as error:
            raise _refused(error) from None

    async def _barred(
        self, intent: Mapping[str, Any], phones: Sequence[str], now: datetime, per_recipient: int
    ) -> Barred | None:
        await self._rows("outbox_lock_recipients", phones=phones)
        if await self.killed():
            return Barred("switched_off")
        if await self._suppressed(intent["account_phone"], phones):
            return Barred("suppressed")
        (row,) = await self._rows("outbox_full_since", phones=phones, since=now - DAY, others=per_recipient - 1)
        return Barred("full", row["max"]) if row["max"] is not None else None

    async def _suppressed(self, account_phone: str, phones: Collection[str]) -> frozenset[str]:
        """Those of the phones that stand in the ledger, or are of people who were forgotten."""
        rows = await self._rows("outbox_suppressed", phones=list(phones), account_phone=account_phone)
        async with self.connection.cursor(row_factory=tuple_row) as cursor:
            forgotten = await read_forgotten(cursor)
        return frozenset({row["phone_number"] for row in rows} | {phone for phone in phones if phone in forgotten})

    async def end(self, intent_id: int, state: str, **values: Any) -> bool:
        """Put on record what became of an attempt; False when it was taken over, or its message is another intent's.

        `values`: reason, due_at, proof, message_id, wave_id.
        """
        try:
            if await self._rows("outbox_end", intent_id=intent_id, state=state, **values):
                return True
            if state != "accepted":
                return False
            return bool(await self._rows("outbox_end_late", intent_id=intent_id, **values))
        except psycopg.errors.UniqueViolation:
            return False

    async def take_over(self, now: datetime, first_look: timedelta) -> int:
        """Make unknown what a sender attempted that did not report back in time."""
        return await self._change("outbox_take_over", now=now, first_look=first_look)

    async def due_looks(self, now: datetime) -> list[Row]:
        """Unknown intents that are to be looked for now."""
        return await self._rows("outbox_due_looks", now=now)

    async def unclaimed(self, ids: Collection[str]) -> list[str]:
        """Those message ids that are no intent yet."""
        return [row["id"] for row in await self._rows("outbox_unclaimed", ids=list(ids))]

    async def found(self, intent_id: int, reason: str, *, message_id: str | None, wave_id: str | None) -> bool:
        """An unknown intent is this message or wave; False when that is another intent already."""
        try:
            return bool(
                await self._rows(
                    "outbox_found", intent_id=intent_id, reason=reason, message_id=message_id, wave_id=wave_id
                )
            )
        except psycopg.errors.UniqueViolation:
            return False

    async def not_found(self, intent_id: int, state: str, reason: str | None, due_at: datetime | None) -> None:
        """An unknown intent stays so until `due_at`, or becomes a person's."""
        await self._change("outbox_not_found", intent_id=intent_id, state=state, reason=reason, due_at=due_at)

    async def waves_named(self, name: str) -> list[str]:
        """Waves of this name that syncs have come upon."""
        return [row["id"] for row in await self._rows("outbox_waves_named", wave_name=name)]

    async def people(self, account_phone: str, phones: Collection[str]) -> People:
        """What is known of recipients now."""
        asked: dict[str, Any] = {"account_phone": account_phone, "phones": list(phones)}
        (first,) = await self._rows("outbox_account", **asked)
        account_id, own = first["id"], first["array"]
        suppressed = await self._suppressed(account_phone, phones)
        consent = await self._built("outbox_consent", account_id=account_id, **asked) if account_id else None
        said = await self._rows("outbox_said", account_id=account_id, **asked) if account_id else []
        zones = await self._built("outbox_zone", **asked) or await self._built("outbox_default_zone", **asked) or []
        return People(
            account_id,
            frozenset(own),
            suppressed,
            None if consent is None else {row["contact_phone"]: (row["bool_and"], row["bool_or"]) for row in consent},
            [(row["phone"], row["body"], row["at"]) for row in said],
            zones[0]["time_zone"] if zones else None,
        )

    async def keywords(self) -> dict[str, str]:
        """The seed consent_keywords; empty when it was never built."""
        return {row["keyword"]: row["effect"] for row in await self._built("outbox_keywords") or []}

    async def wave(
        self, account_id: str | None, account_phone: str, intent_key: str, list_names: Sequence[str]
    ) -> tuple[int | None, int]:
        """The approved size of a wave, and how many known members of its lists have opted out."""
        approvals = await self._rows("outbox_approval", intent_key=intent_key)
        asked = {"account_id": account_id, "account_phone": account_phone, "list_names": list(list_names)}
        members = await self._built("outbox_opted_out_members", **asked) or [{"count": 0}]
        return (approvals[0]["approved_size"] if approvals else None), int(members[0]["count"])

    async def _built(self, name: str, **parameters: Any) -> list[Row] | None:
        """Rows of what dbt makes; None while that is not there."""
        try:
            return await self._asked(name, parameters)
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName, psycopg.errors.UndefinedColumn):
            return None
        except psycopg.Error as error:
            raise _refused(error) from None

    async def _rows(self, name: str, **parameters: Any) -> list[Row]:
        try:
            return await self._asked(name, parameters)
        except psycopg.errors.UniqueViolation:
            raise
        except psycopg.Error as error:
            raise _refused(error) from None

    async def _asked(self, name: str, parameters: Mapping[str, Any]) -> list[Row]:
        cursor = await self.connection.execute(query(name), {**parameters, "owner": self.owner})
        return await cursor.fetchall() if cursor.description else []

    async def _change(self, name: str, **parameters: Any) -> int:
        try:
            cursor = await self.connection.execute(query(name), {**parameters, "owner": self.owner})
        except psycopg.Error as error:
            raise _refused(error) from None
        return cursor.rowcount


def snapshot_text(ids: Collection[str]) -> str:
    """Message ids as the outbox keeps them."""
    return json.dumps(sorted(ids))


def _refused(error: psycopg.Error) -> WarehouseError:
    return WarehouseError(
        f"The warehouse refused to record a sending (SQLSTATE {error.sqlstate}, {type(error).__name__}). What was "
        "being sent counts as unknown, and the next `volt-pipeline send` looks for it."
    )
