"""The world moves, breaks, crashes and resumes in any order; after quiet the warehouse equals it, row for row.

Hypothesis chooses what happens. The clock is the database's: `age` moves everything that is held into the past, which
is how a test of seconds sees a schedule of days. VOLT_MODEL_EXAMPLES and VOLT_MODEL_STEPS make a thorough run of it,
with other examples each time.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import ClassVar

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from volt_pipeline.api.client import VoltClient
from volt_pipeline.api.pacing import Clock
from volt_pipeline.errors import ExplainedError
from volt_pipeline.sandbox.faults import Faults
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline.sandbox.world import World
from volt_pipeline.sync import first_cause, sync
from volt_pipeline.warehouse.postgres import conninfo
from volt_pipeline_tests.comparison import differences
from volt_pipeline_tests.troubles import TROUBLES

_ANY = st.integers(0, 10_000)


class Crash(Exception):
    """What stands in for a kill: nothing after it happens."""


class Syncing(RuleBasedStateMachine):
    """A small Volt with tiny pages, and syncs that may be cut off anywhere."""

    url: ClassVar[str]
    sandbox: ClassVar[Sandbox]

    def __init__(self) -> None:
        super().__init__()
        self.runs = self.hours = 0
        self.unseen = False  # something changed that only a full reading can find

    @initialize(seed=st.integers(0, 50))
    def begin(self, seed: int) -> None:
        self.world = World.create(
            seed=seed, accounts=2, contacts=7, now=datetime.now(UTC), inbox_page=3, conversation_page=4
        )
        self.sandbox.world, self.sandbox.faults = self.world, Faults()
        empty(self.url)

    # --- the world moves -----------------------------------------------------------------------------------

    @rule(share=st.floats(0.05, 1.0))
    def move(self, share: float) -> None:
        self.world.move(share, self.world.clock())

    @rule(times=st.integers(1, 5))
    def tick(self, times: int) -> None:
        for _ in range(times):
            self.world.tick(self.world.clock())

    @rule()
    def settle(self) -> None:
        self.world.settle(self.world.clock())

    @rule(which=_ANY, text=st.sampled_from(["ok", "STOP", "START", "¿sí? 🙂"]))
    def hear(self, which: int, text: str) -> None:
        self.world.hear(self._contact(which), text)

    @rule(which=_ANY, name=st.text(min_size=1, max_size=5), blocked=st.booleans())
    def change_contact(self, which: int, name: str, blocked: bool) -> None:
        self.world.change_contact(self._contact(which), name=name, blocked=blocked, touch=False)

    @rule(which=_ANY)
    def flip_read(self, which: int) -> None:
        self.world.flip_read(self._contact(which))

    @precondition(lambda self: len(self.world.contacts) > 8)
    @rule(which=_ANY)
    def forget_contact(self, which: int) -> None:
        self.world.forget_contact(self._contact(which))
        self.unseen = True  # its wave's totals change, and a wave at rest is not asked again

    @rule(which=_ANY)
    def recreate_contact(self, which: int) -> None:
        self.world.recreate_contact(self._contact(which))

    @rule(number=st.integers(1, 3))
    def register_webhook(self, number: int) -> None:
        self.world.mutate("registerWebhook", {"url": f"https://example.com/{number}"})

    @precondition(lambda self: self.world.ledger.webhooks)
    @rule(which=_ANY)
    def delete_webhook(self, which: int) -> None:
        ids = sorted(self.world.ledger.webhooks)
        self.world.mutate("deleteWebhook", {"id_": ids[which % len(ids)]})

    # --- the pipeline reads --------------------------------------------------------------------------------

    @rule()
    def sync(self) -> None:
        self._sync()

    @rule(after=st.integers(1, 12))
    def crash(self, after: int) -> None:
        with suppress(Crash):
            self._sync(crash_after=after)

    @rule(name=st.sampled_from(sorted(TROUBLES)), which=_ANY)
    def trouble(self, name: str, which: int) -> None:
        """One sync during which Volt misbehaves: it may fail, and must not go wrong."""
        TROUBLES[name](self.sandbox.faults, self.world, self._contact(which))
        with suppress(ExplainedError):
            self._sync()
        self.sandbox.faults = Faults()

    @rule(hours=st.sampled_from([1, 13, 25]))
    def age(self, hours: int) -> None:
        age(self.url, hours)
        self.hours += hours
        self.unseen = self.unseen or self.hours >= 72  # what is still not final then rests

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        self.world.settle(self.world.clock())
        for _ in range(5):  # a tombstone takes three clean nulls, and suspects follow from it
            age(self.url, 25)
            self._sync(full=self.unseen)
        assert differences(self.url, self.world) == []
        with psycopg.connect(conninfo(self.url)) as connection:
            left = "SELECT stream, key, reason FROM volt_ops.rejects WHERE resolved_at IS NULL"
            assert connection.execute(left).fetchall() == []

    def _contact(self, which: int):  # type: ignore[no-untyped-def]
        shown = [contact for contact in self.world.contacts if contact.id in self.world.snapshot()["contacts"]]
        return shown[which % len(shown)]

    def _sync(self, *, crash_after: int = 0, full: bool = False) -> None:
        self.runs += 1
        left = crash_after

        def observe(_stage: str, _done: int, _known: int) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Crash

        async def work() -> None:
            async with VoltClient(self.sandbox.url, self.sandbox.token, clock=Clock(random=lambda: 0.0)) as volt:
                phones = [account.primary_phone for account in self.world.accounts]
                await sync(volt, self.url, phones, run_id=f"run-{self.runs}", full=full, observe=observe, workers=4)

        try:
            asyncio.run(work())
        except BaseExceptionGroup as group:
            raise first_cause(group) from None


def age(url: str, hours: float) -> None:
    """Move all that is held, and all that is known of it, into the past."""
    with psycopg.connect(conninfo(url)) as connection:
        columns = connection.execute(
            "SELECT c.table_schema, c.table_name, array_agg(c.column_name::text) FROM information_schema.columns c "
            "JOIN information_schema.tables t USING (table_schema, table_name) "
            "WHERE t.table_type = 'BASE TABLE' AND c.data_type = 'timestamp with time zone' AND ("
            "(c.table_schema = 'volt' AND c.column_name IN "
            "('loaded_at', 'first_seen_at', 'observed_at', 'valid_from', 'valid_to', 'deleted_at')) "
            "OR (c.table_schema = 'volt_ops' AND c.column_name IN "
            "('read_at', 'found_at', 'retry_at', 'completed_at', 'whole_at', 'last_seen_at', 'expires_at'))) "
            "GROUP BY 1, 2"
        ).fetchall()
        updates = [
            f"UPDATE {schema}.{table} SET " + ", ".join(f"{name} = {name} - interval '{hours} hours'" for name in names)
            for schema, table, names in columns
        ]
        connection.execute("; ".join(updates).encode())


def empty(url: str) -> None:
    """Forget all that is held, and all that is known of it."""
    with psycopg.connect(conninfo(url)) as connection:
        tables = connection.execute(
            "SELECT string_agg(format('%I.%I', schemaname, tablename), ', ') FROM pg_tables "
            "WHERE schemaname IN ('volt', 'volt_ops') AND tablename <> 'alembic_version'"
        ).fetchone()
        assert tables
        connection.execute("SET session_replication_role = replica")  # the outbox lets nothing be removed
        connection.execute(f"TRUNCATE {tables[0]}".encode())


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with running(World.create(seed=1, accounts=1, contacts=1, now=datetime.now(UTC))) as served:
        yield served


def test_after_quiet_the_warehouse_equals_the_world(sandbox: Sandbox, warehouse_url: str) -> None:
    Syncing.url, Syncing.sandbox = warehouse_url, sandbox
    run_state_machine_as_test(
        Syncing,
        settings=settings(
            max_examples=int(os.environ.get("VOLT_MODEL_EXAMPLES", "6")),
            stateful_step_count=int(os.environ.get("VOLT_MODEL_STEPS", "12")),
            deadline=None,
            derandomize="VOLT_MODEL_EXAMPLES" not in os.environ,  # the usual run is the same each time
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
