"""What every walk and look-up needs at hand: Volt, the store it fills, and someone who watches.

`Store` is what extraction asks of the warehouse; `warehouse/` implements it and `sync.py` brings the two together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from volt_pipeline.api.client import VoltClient
from volt_pipeline.batch import Batch, Reject, Row, Target, Walk
from volt_pipeline.catalog import ACCOUNT_NUMBERS, Stream
from volt_pipeline.extract.rows import RowError, identity, json_text, row

Observer = Callable[[str, int, int], None]  # stage, done, known to come in all (0: not known)


class Store(Protocol):
    """The warehouse, as extraction sees it."""

    async def load(self, batch: Batch) -> set[tuple[str, str, str]]:
        """Commit a batch, and never without those given before it; give the keys of its walks that are complete."""

    async def resolve(self, table: str, key: str) -> None:
        """What was in quarantine under this key is well again."""

    async def inbox_walk(self, account_id: str, account_phone: str) -> Walk:
        """The account's inbox walk, to be opened."""

    async def due_conversations(self, account_id: str, account_phone: str, after: str, limit: int) -> list[Walk]:
        """The next due conversations by contact phone, beyond `after`."""

    async def due_among(self, account_id: str, account_phone: str, phones: Sequence[str]) -> list[Walk]:
        """Those of the conversations with these phones that are due."""

    async def due(self, kind: str, account_ids: Sequence[str]) -> list[Target]:
        """The waves, lists, messages or contacts that are due for a look-up."""

    async def held_webhooks(self) -> set[str]:
        """The ids of the webhooks that are held."""

    async def canaries(self, kind: str, account_ids: Sequence[str], doubtful: Sequence[str]) -> list[Target]:
        """A few things of each account that Volt showed lately: what a token that sees anything can see."""


@dataclass(frozen=True, slots=True)
class Account:
    """One of our accounts, as Volt names it."""

    id: str
    phone: str


@dataclass
class Reader:
    """One run's reading of Volt."""

    volt: VoltClient
    store: Store
    observe: Observer
    full: bool = False
    numbers: dict[str, str] = field(default_factory=dict)  # our own numbers → account_id
    put_aside: set[tuple[str, str, str]] = field(default_factory=set)  # walks that this run had to give up
    done: Counter[str] = field(default_factory=Counter)
    known: Counter[str] = field(default_factory=Counter)

    def expect(self, stage: str, more: int) -> None:
        """So many more are known to come."""
        self.known[stage] += more
        self.observe(stage, self.done[stage], self.known[stage])

    def advance(self, stage: str, more: int = 1) -> None:
        """So many more are done."""
        self.done[stage] += more
        self.observe(stage, self.done[stage], self.known[stage])

    def learn(self, batch: Batch, number: str | None, account_id: str, evidence: str, asked_at: datetime) -> None:
        """Remember one of our own numbers."""
        if number and self.numbers.get(number) != account_id:
            self.numbers[number] = account_id
            batch.add(ACCOUNT_NUMBERS, (account_id, number, evidence, asked_at))


def put(
    batch: Batch,
    stream: Stream,
    source: Any,
    asked_at: datetime,
    *,
    key: str = "",
    account: str = "",
    phone: str = "",
    flaw: str = "",
    lack: str = "",
    in_part: bool = False,
    **ours: Any,
) -> Row | None:
    """Map one of Volt's objects and add it to the batch; what cannot be stored is added as a reject. Gives the row.

    With a `flaw` (a part that Volt could not give) the row is stored only where none is held, and is a reject too;
    with a `lack`, or refused fields where it may be stored `in_part`, it is stored over what is held, and is a reject
    too. `account` and `key` are what it was asked for by.
    """
    reason, made, part = flaw or lack, None, source
    while made is None:
        try:
            made = row(stream, part, asked_at, ours)
        except RowError as error:
            reason = str(error)
            if not (in_part and error.field):
                break
            part = {name: value for name, value in part.items() if name != error.field}
    if made is not None:
        batch.add(stream, made, flawed=bool(flaw))
    if reason:
        batch.rejects.append(
            Reject(
                stream=stream.name,
                account_id=account or str(ours.get("account_id") or ""),
                contact_phone=phone,
                key=_key_of(stream, source, ours) or key,
                reason=reason,
                raw=json_text(source),
            )
        )
    return made


def _key_of(stream: Stream, source: Any, ours: Mapping[str, Any]) -> str:
    """The refused row's key, as `load` will know it once the row can be stored; "" when a part of it is missing."""
    parts = []
    for column in stream.columns:
        if column.name in stream.key:
            value = source
            for name in filter(None, column.path.split(".")):
                value = value.get(name) if isinstance(value, dict) else None
            value = ours.get(column.name) if value is None or not column.path else value
            parts.append(identity(value) or "")
    return "|".join(parts) if all(parts) else ""
