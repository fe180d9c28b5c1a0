"""Whatever events come in, in whatever order, the warehouse becomes what it would have become without them.

The model of test_model.py with more happening: events of real messages that are true, changed, replayed, out of order
or lost, garbage, re-readings that are cut off, and re-readings beside a sync. After quiet the warehouse is the world.
"""

from __future__ import annotations

import asyncio
import json
import os
from contextlib import suppress

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule, run_state_machine_as_test

from volt_pipeline.errors import ExplainedError
from volt_pipeline.sandbox.faults import Faults
from volt_pipeline.sandbox.server import running
from volt_pipeline_tests.syncing import new_world
from volt_pipeline_tests.test_model import Crash, Syncing
from volt_pipeline_tests.troubles import TROUBLES
from volt_pipeline_tests.webhooks.hinting import arrive, make_due, outcomes, refreshed, told

_ANY = st.integers(0, 10_000)
_KINDS = st.sampled_from(["message.sent", "message.received", "message.finalized", "message.?"])


class Listening(Syncing):
    """The same small Volt, with events."""

    @rule(kind=_KINDS, which=_ANY, times=st.integers(1, 3), with_id=st.booleans())
    def event(self, kind: str, which: int, times: int, with_id: bool) -> None:
        """Of any message, at any time: early ones, late ones and replays are among them."""
        messages = self.world.messages
        body = told(kind, messages[which % len(messages)])
        asyncio.run(arrive(self.url, *[body] * times, with_id=with_id))

    @rule(kind=_KINDS, which=_ANY, other=_ANY, field=st.sampled_from(["id", "from_number", "to_number", "direction"]))
    def wrong_event(self, kind: str, which: int, other: int, field: str) -> None:
        """One that mixes two messages up, or names what there is not."""
        messages = self.world.messages
        theirs = json.loads(told(kind, messages[other % len(messages)]))["payload"]
        odd = "rf_none" if other % 7 == 0 else theirs[field]
        asyncio.run(arrive(self.url, told(kind, messages[which % len(messages)], **{field: odd, "text": "A lie"})))

    @rule(body=st.binary(max_size=20))
    def garbage(self, body: bytes) -> None:
        asyncio.run(arrive(self.url, body))

    @rule()
    def reread(self) -> None:
        make_due(self.url)
        asyncio.run(refreshed(self.sandbox, self.url))

    @rule(after=st.integers(1, 4))
    def crash_while_rereading(self, after: int) -> None:
        left = after

        def observe(_stage: str, _done: int, _known: int) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise Crash

        make_due(self.url)
        with suppress(Crash):
            asyncio.run(refreshed(self.sandbox, self.url, observe=observe))

    @rule(name=st.sampled_from(sorted(TROUBLES)), which=_ANY)
    def reread_in_trouble(self, name: str, which: int) -> None:
        make_due(self.url)
        TROUBLES[name](self.sandbox.faults, self.world, self._contact(which))
        with suppress(ExplainedError):
            asyncio.run(refreshed(self.sandbox, self.url))
        self.sandbox.faults = Faults()

    @rule(share=st.floats(0.05, 1.0))
    def reread_beside_a_sync(self, share: float) -> None:
        moved = self.world.move(share, self.world.clock())

        async def both() -> None:
            await arrive(self.url, *(told("message.received", message) for message in moved))
            await asyncio.gather(refreshed(self.sandbox, self.url), asyncio.to_thread(self._sync))

        asyncio.run(both())

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "world"):
            make_due(self.url)
            asyncio.run(refreshed(self.sandbox, self.url))
            assert {outcome for outcome, _ in outcomes(self.url)} <= {"refreshed", "set_aside"}


def test_events_change_nothing_but_how_fresh_rows_are(warehouse_url: str) -> None:
    Listening.url = warehouse_url
    with running(new_world(contacts=1)) as Listening.sandbox:
        run_state_machine_as_test(
            Listening,
            settings=settings(
                max_examples=int(os.environ.get("VOLT_MODEL_EXAMPLES", "2")),
                stateful_step_count=int(os.environ.get("VOLT_MODEL_STEPS", "15")),
                deadline=None,
                phases=(Phase.generate,),
                suppress_health_check=list(HealthCheck),
            ),
        )
