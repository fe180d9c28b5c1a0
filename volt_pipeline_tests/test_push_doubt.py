"""Writes whose end nobody knows: they are put on record as that, and nobody sends them again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from volt_pipeline.api.client import VoltClient
from volt_pipeline.push import push

from .api.scripted import TOKEN, Asked, Hands, Say, ScriptedVolt, data, failing, serving
from .pushing import ELSEWHERE, publish, recorded


def doubtful(say: Say) -> Callable[[Asked], Say]:
    """A Volt without any contact, that answers each write so."""

    def respond(asked_: Asked) -> Say:
        if asked_.operation == "contact":
            return data(**{f"a{number}": None for number in range(len(asked_.items))})
        return say

    return respond


@pytest.mark.parametrize(
    ("say", "outcome"),
    [
        (Say(b"bad gateway", 502), "unknown"),
        (Say({"data": {}}, cut=True), "unknown"),
        (Say(drop=True), "unknown"),
        (failing("Something broke", data=None, path=["a0"]), "failed"),
        (Say(b"slow down", 429), "failed"),
        (failing("Invalid phoneNumber", "GRAPHQL_VALIDATION_FAILED"), "failed"),
    ],
    ids=["502", "cut", "dropped", "null data", "429", "refused"],
)
async def test_a_write_is_never_sent_again(warehouse_url: str, say: Say, outcome: str) -> None:
    rows = [(ELSEWHERE, f"+1918555700{number}", "Ann", None, None) for number in range(2)]
    publish(warehouse_url, "contacts", *rows)
    async with serving() as volt, VoltClient(volt.url, TOKEN, clock=Hands().clock) as volt_client:
        volt.says(doubtful(say))
        report = await push(volt_client, warehouse_url, [ELSEWHERE], "contacts", run_id="run-1")
        assert mutations(volt) == [phone for _, phone, *_ in rows]
    assert recorded(warehouse_url) == [(phone, "create", outcome) for _, phone, *_ in rows]
    assert (report.clean, report.stopped) == (False, "")
    reasons = [reason for (reason,) in recorded(warehouse_url, "reason")]
    assert not any(phone in reason for _, phone, *_ in rows for reason in reasons)


def mutations(volt: ScriptedVolt) -> list[str]:
    return [
        item["phoneNumber"] for each in volt.asked if each.operation == "createOrUpdateContact" for item in each.items
    ]
