"""What extraction hands to the warehouse: rows, rejects, discoveries and walk states that commit together.

Data only. `extract/` fills a `Batch`, `warehouse/` writes it in one transaction; neither knows the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from volt_pipeline.catalog import Stream

Row = tuple[Any, ...]  # the values of `stream.columns`, in order, then the moment at which Volt was asked


@dataclass(frozen=True, slots=True)
class Reject:
    """Something that Volt gave and that cannot be stored, or that it should have given and could not.

    `stream` is the table it belongs to, `key` what is known of its identity ("" when nothing is).
    """

    stream: str
    account_id: str
    key: str
    reason: str
    raw: str = "null"  # JSON text
    contact_phone: str = ""  # the conversation that it was read in


@dataclass(frozen=True, slots=True)
class Discovery:
    """Something that Volt lists nowhere, found through something else: a wave by its id, a list by its name."""

    kind: str  # "wave" | "list"
    account_id: str  # the account that can see it; "" for waves, whose ids are global
    key: str
    via: str  # the table it was found through


@dataclass(frozen=True, slots=True)
class Reading:
    """The answer to a targeted question ("what is wave 7 now?"): when it was asked, and what it gave."""

    kind: str  # "wave" | "list" | "message" | "contact"
    account_id: str
    key: str
    asked_at: datetime
    found: bool
    object_id: str = ""


class Target(NamedTuple):
    """Something to look up: through which account, by which key, and in which conversation it stands."""

    account_id: str
    key: str
    contact_phone: str = ""


@dataclass(slots=True)
class Walk:
    """One pass over a conversation or an inbox, newest page first; a row of `volt_ops.walks`.

    `top` and `gap` come from the last completed walk and bound how early this one may stop; the rest is the open walk.
    """

    stream: str  # "messages" | "inbox_items"
    account_id: str
    account_phone: str
    contact_phone: str = ""
    item: str = ""  # the inbox item's digest when the walk was opened
    top: datetime | None = None
    gap: int = 0
    opened_at: datetime | None = None
    cursor: str | None = None
    pages: int = 0
    total: int = 0
    open_top: datetime | None = None
    oldest: datetime | None = None
    ordered: bool = True
    unidentifiable: int = 0
    reached_end: bool = False  # the last page was read
    below_top: bool = False  # everything newer than `top` was read, in proven order
    whole: bool = False  # it must read everything: asked for, or due for a daily reading

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.stream, self.account_id, self.contact_phone)


@dataclass(slots=True)
class Batch:
    """Rows by stream and key, and the state that says "we have them". Of two answers for one key the later stays."""

    rows: dict[str, dict[tuple[Any, ...], Row]] = field(default_factory=dict)
    flawed: dict[str, dict[tuple[Any, ...], Row]] = field(default_factory=dict)  # stored only where nothing is held
    memberships: dict[str, tuple[datetime, frozenset[str]]] = field(default_factory=dict)  # contact → its lists
    discoveries: set[Discovery] = field(default_factory=set)
    readings: list[Reading] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    walks: dict[tuple[str, str, str], Walk] = field(default_factory=dict)

    def add(self, stream: Stream, row: Row, *, flawed: bool = False) -> None:
        key = tuple([row[position] for position in stream.key_positions])
        rows = (self.flawed if flawed else self.rows).setdefault(stream.name, {})
        held = rows.get(key)
        if held is None or held[-1] <= row[-1]:
            rows[key] = row

    def add_all(self, stream: Stream, rows: Sequence[Row]) -> None:
        """Add rows of one answer."""
        if not rows:
            return
        held = self.rows.setdefault(stream.name, {})
        keys = list(zip(*([row[position] for row in rows] for position in stream.key_positions), strict=True))
        if held.keys().isdisjoint(keys) and len(set(keys)) == len(keys):
            held.update(zip(keys, rows, strict=True))
        else:
            for row in rows:
                self.add(stream, row)

    def add_membership(self, contact_id: str, asked_at: datetime, list_ids: frozenset[str]) -> None:
        held = self.memberships.get(contact_id)
        if held is None or held[0] <= asked_at:
            self.memberships[contact_id] = (asked_at, list_ids)

    @property
    def size(self) -> int:
        return sum(map(len, self.rows.values())) + len(self.rejects)

    def merge(self, other: Batch) -> None:
        """Take up a later batch."""
        for mine, theirs in ((self.rows, other.rows), (self.flawed, other.flawed)):
            for stream, rows in theirs.items():
                held = mine.setdefault(stream, {})
                for key, row in rows.items():
                    if key not in held or held[key][-1] <= row[-1]:
                        held[key] = row
        for contact_id, (asked_at, list_ids) in other.memberships.items():
            self.add_membership(contact_id, asked_at, list_ids)
        self.discoveries |= other.discoveries
        self.readings += other.readings
        self.rejects += other.rejects
        self.walks.update(other.walks)
