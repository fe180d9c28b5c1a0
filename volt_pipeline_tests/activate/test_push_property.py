"""What must hold of every push, whatever Volt holds, whatever is wished, and however Volt behaves and fails.

The engine runs against a Volt in memory, so that thousands of pairs of a state and an export are tried.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from volt_pipeline.activate.attempts import Attempt
from volt_pipeline.activate.contacts import CONTACTS, ContactWish, held_fields
from volt_pipeline.activate.planning import make_plan
from volt_pipeline.activate.pushing import Push
from volt_pipeline.activate.rows import Approval, Facts
from volt_pipeline.api.client import Reply, VoltClient
from volt_pipeline.api.errors import ServerError, TooComplex, TransientError, VoltError, Withdrawn

ME, NOW = "+19185550100", datetime(2026, 1, 1, tzinfo=UTC)
PHONES = [f"+1918555{number:04}" for number in range(200, 240)]
FIELDS = st.dictionaries(st.sampled_from(["tier", "age", "🧱"]), st.sampled_from(["", "gold", "5"]), max_size=3)
HELD = st.fixed_dictionaries({"name": st.sampled_from(["", "Ann", "Bob"]), "blocked": st.booleans(), "fields": FIELDS})
STATES = st.dictionaries(st.sampled_from(PHONES), HELD, max_size=40)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "account_phone": st.sampled_from([ME, ME, ME, ME, "+15555559999", ""]),
            "phone_number": st.sampled_from([*PHONES, "(918) 555-0201", "12", "call me", ME, None]),
            "name": st.sampled_from([None, "", " ", "Ann", "Cas"]),
            "custom_fields": st.none() | FIELDS | st.just({"age": 5}) | st.just("no json"),
            "blocked": st.sampled_from([None, True, False]),
        }
    ),
    max_size=60,
)
FAULTS = st.sampled_from(["", "", "lost before", "lost after", "nobody blamed", "blamed", "blamed after"])


@dataclass
class MemoryVolt:
    """Volt's contact query and mutation, on a dict. Each document of writes meets the next of `faults`."""

    contacts: dict[str, dict[str, Any]]
    mode: str
    faults: list[str] = field(default_factory=list)
    poisoned: frozenset[str] = frozenset()
    most_roots: int = 25
    documents: int = 0

    async def query_each(self, _operation: str, asked: Sequence[Mapping[str, Any]]) -> list[Reply]:
        await asyncio.sleep(0)
        return [Reply(self._shown(each["phoneNumber"]), NOW) for each in asked]

    async def mutate_each(
        self, operation: str, items: Sequence[Mapping[str, Any]], *, unless: Callable[[], str]
    ) -> list[Reply]:
        await asyncio.sleep(0)
        if unless():
            raise Withdrawn(operation, unless())
        self.documents += 1
        if len(items) > self.most_roots:
            raise TooComplex(operation, "too many")
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "lost before":
            raise TransientError(operation, "cut", ambiguous=True)
        bad = [at for at, item in enumerate(items) if item["phoneNumber"] in self.poisoned]
        done = items[: bad[0]] if bad else items  # the root fails there, and nothing after it is carried out
        if fault.startswith("nobody"):
            done, bad = items[: len(items) // 2], [0]
        for item in done:
            self._write(item)
        if fault == "lost after":
            raise TransientError(operation, "cut", ambiguous=True)
        because = ServerError(operation, "boom")
        if fault.startswith("nobody"):
            raise TransientError(operation, "boom", ambiguous=True, because=because)
        if not bad:
            return [Reply(self._shown(item["phoneNumber"]), NOW) for item in items]
        errors: list[VoltError] = [
            TransientError(operation, "boom", ambiguous=True, because=because)
            if at == bad[0]
            else TransientError(operation, "beside", ambiguous=True, beside=True)
            for at in range(len(items))
        ]
        return [Reply(None, NOW, error) for error in errors]

    def _write(self, item: Mapping[str, Any]) -> None:
        held = self.contacts.get(item["phoneNumber"], {"fields": {}})
        fields = dict(held["fields"]) if self.mode == "merge" else {}
        fields |= {entry["key"]: entry["value"] for entry in item["customFields"]}
        self.contacts[item["phoneNumber"]] = {"name": item["name"], "blocked": item["blocked"], "fields": fields}

    def _shown(self, phone: str) -> dict[str, Any] | None:
        held = self.contacts.get(phone)
        if held is None:
            return None
        fields = [{"key": key, "type": "string", "value": value} for key, value in held["fields"].items()]
        return {
            "id": phone,
            "phoneNumber": phone,
            "name": held["name"],
            "blocked": held["blocked"],
            "customFields": fields,
        }


@dataclass
class MemoryLedger:
    """Keeps the attempts, and who was approved."""

    attempts: list[Attempt] = field(default_factory=list)
    used: set[int] = field(default_factory=set)

    async def record(self, attempts: Sequence[Attempt]) -> None:
        self.attempts += attempts

    async def barred(self) -> str:
        return ""

    async def claim(self, approval: Approval) -> bool:
        fresh = approval.id not in self.used
        self.used.add(approval.id)
        return fresh

    async def release(self, approval: Approval) -> None:
        self.used.remove(approval.id)


COLUMNS = ["account_phone", "phone_number", "name", "custom_fields", "blocked"]


def run(volt: MemoryVolt, rows: list[dict[str, Any]], approved: frozenset[str] = frozenset()) -> MemoryLedger:
    """One push of these rows; the ledger of what became of each."""
    approvals = {(ME, phone): Approval(at, "Kim") for at, phone in enumerate(sorted(approved))}
    facts = Facts(frozenset({ME}), NOW, approvals=approvals)
    held = pd.DataFrame(columns=["account_phone", "row_key", "name", "blocked", "custom_fields"])
    frame = pd.DataFrame(rows, columns=COLUMNS, dtype=object)
    plan, made = make_plan(CONTACTS, frame, held, facts)
    assert sum(plan.counts.values()) == len(rows)
    ledger = MemoryLedger()
    push: Push[ContactWish] = Push.of(cast(VoltClient, volt), CONTACTS, facts, ledger, 10_000)
    asyncio.run(push.run(made))
    assert sorted(attempt.position for attempt in ledger.attempts) == list(range(len(rows)))  # each row exactly once
    return ledger


def copied(state: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {phone: {**held, "fields": dict(held["fields"])} for phone, held in state.items()}


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    STATES,
    ROWS,
    st.sampled_from(["merge", "replace"]),
    st.lists(FAULTS, max_size=8),
    st.frozensets(st.sampled_from(PHONES), max_size=3),
    st.frozensets(st.sampled_from(PHONES), max_size=5),
    st.sampled_from([25, 25, 7, 2, 1]),
)
def test_every_push_keeps_consent_and_fields_and_accounts_for_every_row(
    state: dict[str, dict[str, Any]],
    rows: list[dict[str, Any]],
    mode: str,
    faults: list[str],
    poisoned: frozenset[str],
    approved: frozenset[str],
    most_roots: int,
) -> None:
    volt = MemoryVolt(copied(state), mode, list(faults), poisoned, most_roots)
    ledger = run(volt, rows, approved)
    for phone, before in state.items():
        after = volt.contacts[phone]
        assert after["blocked"] or not before["blocked"] or phone in approved
        assert before["fields"].keys() <= after["fields"].keys()
        assert after["name"].strip() or not before["name"].strip()
    told = {attempt.row_key: attempt for attempt in ledger.attempts if attempt.outcome == "sent"}
    for phone, attempt in told.items():
        assert volt.contacts[phone]["blocked"] == attempt.sent["blocked"]
        assert volt.contacts[phone]["fields"] == held_fields(attempt.sent)
    written = {phone for phone in volt.contacts if volt.contacts[phone] != state.get(phone)}
    assert written <= {each.row_key for each in ledger.attempts if each.outcome in ("sent", "unknown")}


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(STATES, ROWS, st.sampled_from(["merge", "replace"]))
def test_a_second_push_writes_nothing(state: dict[str, dict[str, Any]], rows: list[dict[str, Any]], mode: str) -> None:
    volt = MemoryVolt(copied(state), mode)
    first = run(volt, rows)
    assert not [attempt for attempt in first.attempts if attempt.outcome in ("failed", "unknown")]
    documents, held = volt.documents, copied(volt.contacts)
    second = run(volt, rows)
    assert (volt.documents, volt.contacts) == (documents, held)
    assert not [attempt for attempt in second.attempts if attempt.outcome == "sent"]
