"""What the tests of Volt's traps share: syncs under a fault that must end, and the quiet after it, when all is well."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from volt_pipeline.errors import ExplainedError
from volt_pipeline.report import SyncReport
from volt_pipeline.sandbox.faults import Faults
from volt_pipeline.sandbox.server import Sandbox
from volt_pipeline.sandbox.world import World
from volt_pipeline.sync import first_cause
from volt_pipeline_tests import syncing
from volt_pipeline_tests.comparison import differences
from volt_pipeline_tests.test_model import age
from volt_pipeline_tests.warehouse.loading import ask

SECONDS = 30  # no sync of such a small world takes longer, whatever befalls it
REQUESTS = 600


class Killed(Exception):
    """What stands in for a kill: nothing after it happens."""


@dataclass
class Trap:
    """A sandbox whose faults a test turns on, and the warehouse that is filled from it."""

    sandbox: Sandbox
    url: str

    @property
    def world(self) -> World:
        return self.sandbox.world

    @property
    def faults(self) -> Faults:
        return self.sandbox.faults

    def begin(self, *, longest: int = 9, **settings: Any) -> World:
        """A new small world: one account, a few contacts, no conversation much longer than `longest`."""
        world = self.sandbox.world = syncing.new_world(**{"accounts": 1, "contacts": 5, **settings})
        for talk in world.ledger.conversations.values():
            for _, _, message in talk[:-longest]:
                world.forget_message(message)
        return world

    async def sync(self, **options: Any) -> SyncReport:
        """One sync, which must come to its end."""
        try:
            async with asyncio.timeout(SECONDS):
                return await syncing.synced(self.sandbox, self.url, **options)
        finally:
            assert len(self.sandbox.requests) < REQUESTS

    async def failure(self, **options: Any) -> BaseException:
        """Why a sync does not get through."""
        with pytest.raises(BaseException) as caught:  # noqa: PT011
            await self.sync(**options)
        return first_cause(caught.value)

    async def attempt(self, **options: Any) -> ExplainedError | None:
        """A sync that may fail, if it says why."""
        try:
            await self.sync(**options)
        except (ExplainedError, BaseExceptionGroup) as error:
            cause = first_cause(error)
            assert isinstance(cause, ExplainedError)
            return cause
        return None

    async def killed(self, stage: str, after: int = 1, **options: Any) -> None:
        """A sync that dies when so much of a stage is done."""

        def observe(name: str, done: int, _known: int) -> None:
            if name == stage and done >= after:
                raise Killed

        assert isinstance(await self.failure(observe=observe, **options), Killed)

    async def heal(self, syncs: int = 1, *, hours: float = 25, full: bool = False) -> None:
        """All faults off, and time passes: then the warehouse is the world, and nothing is in quarantine."""
        self.sandbox.faults = Faults()
        for _ in range(syncs):
            age(self.url, hours)
            await self.sync(full=full)
        self.assert_whole()

    def assert_whole(self) -> None:
        assert differences(self.url, self.world) == []
        assert self.rejects == []
        assert self.outcome == "succeeded"

    def assert_quiet(self) -> None:
        """Nothing went wrong."""
        assert (self.rejects, self.gaps, self.outcome) == ([], [], "succeeded")

    def age(self, hours: float) -> None:
        age(self.url, hours)

    def ask(self, text: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return ask(self.url, text, *parameters)

    def asked(self, query: str) -> int:
        """How often the last sync asked a query, aliases counted one by one."""
        return syncing.asked(self.sandbox)[query]

    @property
    def outcome(self) -> str:
        return syncing.outcome(self.url)

    @property
    def rejects(self) -> list[tuple[Any, ...]]:
        return syncing.open_rejects(self.url)

    @property
    def gaps(self) -> list[tuple[Any, ...]]:
        return [gap for gap in syncing.gaps(self.url) if gap[0] in ("inbox_items", "messages")]

    def held(self, table: str) -> set[str]:
        return {key for (key,) in self.ask(f"SELECT id FROM volt.{table} WHERE deleted_at IS NULL")}

    def missing(self, table: str = "messages") -> set[str]:
        """The ids that the world shows and that are not held."""
        return set(self.world.snapshot()[table]) - self.held(table)

    def buried(self, table: str) -> set[str]:
        return {key for (key,) in self.ask(f"SELECT id FROM volt.{table} WHERE deleted_at IS NOT NULL")}
