"""Intents under seeded faults at every point of the exchange, against what the sandbox's effect ledger says was sent.

VOLT_SEND_INTENTS=10000 pytest -s volt_pipeline_tests/test_send_figures.py
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

import psycopg

from volt_pipeline.api.client import Reply, VoltClient
from volt_pipeline.api.errors import TransientError, VoltError
from volt_pipeline.api.pacing import Clock
from volt_pipeline.sandbox import disturbances
from volt_pipeline.sandbox.disturbances import Disturbance
from volt_pipeline.sandbox.faults import Asked, Faults
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline_tests.sendings import NOON, Hands, at_noon, known, sent, texted
from volt_pipeline_tests.warehouse.loading import ask

INTENTS = int(os.environ.get("VOLT_SEND_INTENTS", "200"))
SEED = int(os.environ.get("VOLT_SEND_SEED", "1"))
Words = tuple[str, str]  # to whom, and what

# On the way to Volt and back: (how the answer goes wrong, whether the text goes out all the same).
EXCHANGE: dict[str, tuple[Disturbance, bool]] = {
    "reset before": (disturbances.reset(), False),
    "reset after": (disturbances.reset(), True),
    "timeout before": (disturbances.stall(60), False),
    "timeout after": (disturbances.stall(60), True),
    "429": (disturbances.too_many_requests(), False),
    "slow down": (disturbances.rate_limited(), False),
    "500 before": (disturbances.http_error(500), False),
    "500 after": (disturbances.http_error(500), True),
    "502 after": (disturbances.bad_gateway(), True),
    "cut body": (disturbances.cut(), True),
    "half a body": (disturbances.half_json(), True),
    "no body": (disturbances.empty_body(), True),
    "null before": (disturbances.null_data(), False),
    "null after": (disturbances.null_data(), True),
    "null and an error": (disturbances.graphql_error("boom", data=None), True),
    "errors, no data": (disturbances.graphql_error("boom"), False),
    "refused words": (disturbances.graphql_error("body is too rude", "BAD_USER_INPUT"), False),
    "token": (disturbances.graphql_error("Unauthorized", "UNAUTHENTICATED", 401), False),
}
AT_HOME = ("connection refused", "killed before", "killed after", "late")
# These end a run early, or cost seconds: fewer of them do.
SELDOM = {"429", "slow down", "token", "connection refused", "timeout before", "timeout after"}
KINDS = [kind for kind in (*EXCHANGE, *AT_HOME) for _ in range(1 if kind in SELDOM else 4)]


class Killed(BaseException):
    """What a killed process leaves behind: nothing is recorded any more."""


@dataclass
class Plan:
    """Which attempts of which texts go wrong, and how; filled by the seed, worked off by the faults."""

    troubles: dict[Words, list[str]] = field(default_factory=lambda: defaultdict(list))
    struck: Counter[str] = field(default_factory=Counter)
    late: list[tuple[VoltClient, str, Mapping[str, Any]]] = field(default_factory=list)

    def takes(self, kind: str, variables: Mapping[str, Any]) -> bool:
        """Whether this is what happens to this attempt."""
        waiting = self.troubles.get((variables["to"], variables["body"]))
        if not waiting or waiting[0] != kind:
            return False
        waiting.pop(0)
        self.struck[kind] += 1
        return True

    def when(self, kind: str) -> Callable[[Asked], bool]:
        return lambda asked: asked.is_mutation and self.takes(kind, asked.variables)


class Unlucky(VoltClient):
    """A client with the troubles that no server makes: no connection, a killed process, a text that comes late."""

    plan: Plan
    nowhere: VoltClient

    async def mutate(self, operation: str, variables: Mapping[str, Any], **more: Any) -> Reply:
        if self.plan.takes("connection refused", variables):
            return await self.nowhere.mutate(operation, variables)
        if self.plan.takes("killed before", variables):
            raise Killed
        if self.plan.takes("late", variables):
            self.plan.late.append((self, operation, variables))
            raise TransientError(operation, "no answer within 30 s.", ambiguous=True, timed_out=True)
        reply = await super().mutate(operation, variables, **more)
        if self.plan.takes("killed after", variables):
            raise Killed
        return reply


def prepared(url: str, sandbox: Sandbox, rng: Random) -> Plan:
    """Intents in the outbox, one in ten in the same words to the same person as another; and what befalls them."""
    people, plan = texted(sandbox.world), Plan()
    rows: list[tuple[Any, ...]] = []
    for number in range(INTENTS):
        person = rng.choice(people)
        body = rng.choice(("On our way", "Thanks!")) if rng.random() < 0.1 else f"Your order {number} is ready"
        words = (person.phone_number, body)
        rows.append((f"intent-{number}", person.account.primary_phone, *words, NOON + timedelta(days=2)))
        for chance in (0.6, 0.3, 0.3):
            if rng.random() < chance:
                plan.troubles[words].append(rng.choice(KINDS))
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO volt_ops.outbox (intent_key, account_phone, to_phone, body, expires_at) "
            "VALUES (%s, %s, %s, %s, %s)",
            rows,
        )
    return plan


async def worked_off(sandbox: Sandbox, url: str, clock: Hands, plan: Plan) -> int:
    """Rounds of two runs at once, with four senders each, until nothing is open; gives how many it took."""
    rounds = 0
    async with AsyncExitStack() as stack:
        nowhere = await stack.enter_async_context(VoltClient("http://127.0.0.1:9/graphql", sandbox.token))
        clients = []
        for _ in range(2):
            volt = Unlucky(sandbox.url, sandbox.token, timeout=0.7, clock=Clock(random=lambda: 0.0))
            volt.plan, volt.nowhere = plan, nowhere
            clients.append(await stack.enter_async_context(volt))
        while (open_until := next_moment(url)) is not None:
            clock.at = max(clock.at, open_until)
            runs = [sent(sandbox, url, clock, volt=volt, senders=4) for volt in clients]
            for failure in await asyncio.gather(*runs, return_exceptions=True):
                if isinstance(failure, BaseException) and not isinstance(failure, Killed):
                    raise failure
            rounds += 1
            late, plan.late = plan.late, []
            for slow, operation, variables in late:
                with suppress(VoltError):  # what goes wrong with it now, nobody hears any more
                    await VoltClient.mutate(slow, operation, variables)
    return rounds


def next_moment(url: str) -> Any:
    """When something open is due, be it long ago; None when nothing is open any more."""
    ((moment,),) = ask(
        url,
        "SELECT min(CASE WHEN state = 'attempting' THEN claimed_until "
        "ELSE greatest(coalesce(due_at, %s), claimed_until) END) "
        "FROM volt_ops.outbox WHERE state IN ('queued', 'held', 'attempting', 'unknown')",
        NOON,
    )
    return moment


@dataclass
class Figures:
    """What became of all intents, beside what was really sent."""

    states: Counter[str] = field(default_factory=Counter)
    doubles: int = 0
    lost: int = 0
    wrong: int = 0


def compared(url: str, sandbox: Sandbox) -> Figures:
    """The outbox against the effect ledger, text by text."""
    figures = Figures()
    really: dict[Words, list[str]] = defaultdict(list)
    for effect in sandbox.world.effects:
        really[effect.arguments["to"], effect.arguments["body"]].append(effect.id)
    believed: dict[Words, list[tuple[str, str]]] = defaultdict(list)
    for to, body, state, message in ask(url, "SELECT to_phone, body, state, message_id FROM volt_ops.outbox"):
        believed[to, body].append((state, message))
        figures.states[state] += 1
    for words in believed.keys() | really.keys():
        happened = really.get(words, [])
        intents = believed.get(words, [])
        accepted = [message for state, message in intents if state == "accepted"]
        figures.doubles += max(0, len(happened) - len(intents))
        figures.lost += len([message for message in accepted if message not in happened])
        figures.wrong += len(set(happened) ^ set(accepted))
        figures.wrong += sum(state not in ("accepted", "rejected", "needs_person") for state, _ in intents)
    return figures


async def test_at_most_one_text_under_faults_everywhere(warehouse_url: str) -> None:
    clock, rng = Hands(), Random(SEED)
    contacts = max(30, INTENTS // 20)
    with running(clock.rule(at_noon(contacts=contacts, seed=SEED)), faults=Faults()) as sandbox:
        known(warehouse_url, sandbox.world)
        plan = prepared(warehouse_url, sandbox, rng)
        for kind, (disturbance, happens) in EXCHANGE.items():
            sandbox.faults.disturb(disturbance, when=plan.when(kind), after_effect=happens)
        rounds = await worked_off(sandbox, warehouse_url, clock, plan)
        figures = compared(warehouse_url, sandbox)
        attempts = "SELECT count(*) FROM volt_ops.outbox_events WHERE to_state = 'attempting'"
        ((tried,),) = ask(warehouse_url, attempts)
        took = clock.at - NOON
        print(f"\n{INTENTS:,} intents, {tried:,} attempts, {plan.struck.total():,} faults, {rounds:,} rounds, {took}:")
        print(f"{dict(figures.states)}, {len(sandbox.world.effects):,} texts really sent")
        print(f"doubles {figures.doubles}, lost {figures.lost}, wrong states {figures.wrong}; {dict(plan.struck)}")
    assert (figures.doubles, figures.lost, figures.wrong) == (0, 0, 0)
    assert figures.states.total() == INTENTS
    assert figures.states["needs_person"] > 0
    assert figures.states["accepted"] > INTENTS / 2
    assert plan.struck.keys() >= set(AT_HOME)
    again = (
        "SELECT count(*) FROM volt_ops.outbox_events AS d JOIN volt_ops.outbox_events AS a USING (intent_id) "
        "WHERE d.to_state = 'unknown' AND a.to_state = 'attempting' AND a.event_id > d.event_id"
    )
    assert ask(warehouse_url, again) == [(0,)]
