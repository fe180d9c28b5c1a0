"""VOLT_FAN_OUT=accounts: which runs a tick of sync_schedule asks for, and when the marts are built after them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from volt_pipeline import catalog
from volt_pipeline.defs.assets import raw_key
from volt_pipeline.defs.fan_out import ACCOUNT_TAG, FAN_OUT, MARTS_AT_LEAST, marts_due
from volt_pipeline.defs.location import build
from volt_pipeline.defs.resources import VOLT_POOL, Pipeline

PHONES = ("+15555554321", "+15555554322", "+15555554323")
STARTED = dg.DagsterRunStatus.STARTED
VERDICT = dg.AssetKey(["volt_ops", "verdict"])
RAW = {raw_key(table) for table in catalog.QUERIES}


@pytest.fixture(scope="module")
def location() -> dg.Definitions:
    return build(with_dbt=False)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


@pytest.fixture(autouse=True)
def configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"API_TOKEN": "e30", "ACCOUNTS": ",".join(PHONES), "FAN_OUT": "accounts"}.items():
        monkeypatch.setenv(f"VOLT_{name}", value)


def tick(location: dg.Definitions, instance: dg.DagsterInstance) -> tuple[list[dg.RunRequest], str | None]:
    """What the schedule asks for, or why nothing."""
    with dg.build_schedule_context(instance=instance, resources={"pipeline": Pipeline()}) as context:
        data = location.resolve_schedule_def("sync_schedule").evaluate_tick(context)
    return list(data.run_requests or ()), data.skip_message


def begin(instance: dg.DagsterInstance, job: str, phone: str = "") -> dg.DagsterRun:
    tags = {ACCOUNT_TAG: phone, **FAN_OUT} if phone else {}
    return instance.add_run(dg.DagsterRun(job_name=job, status=STARTED, tags=tags))


def test_each_account_gets_a_run_of_its_own(location: dg.Definitions, instance: dg.DagsterInstance) -> None:
    requests, _ = tick(location, instance)
    assert [request.run_config for request in requests] == [
        {"ops": {"volt_raw": {"config": {"accounts": [phone]}}}} for phone in PHONES
    ]
    assert [request.run_key for request in requests] == list(PHONES)
    assert [request.tags[ACCOUNT_TAG] for request in requests] == list(PHONES)
    first, *others = (set(request.asset_selection or ()) for request in requests)
    assert first == RAW | {VERDICT}
    assert all(chosen == first - {raw_key("webhooks")} for chosen in others)  # they belong to no account
    assert all(request.asset_check_keys == [] for request in requests)


def test_an_account_at_work_is_left_out_and_stops_no_other(
    location: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    slow = begin(instance, "sync_job", PHONES[0])
    requests, _ = tick(location, instance)
    assert [request.run_key for request in requests] == list(PHONES[1:])
    for phone in PHONES[1:]:
        begin(instance, "sync_job", phone)
    assert tick(location, instance) == ([], "All 3 accounts are still at work; the next tick catches up.")
    instance.report_run_failed(slow)
    assert [request.run_key for request in tick(location, instance)[0]] == [PHONES[0]]


@pytest.mark.parametrize("job", ["sync_job", "refresh_job"])
def test_a_run_of_all_accounts_is_waited_for(location: dg.Definitions, instance: dg.DagsterInstance, job: str) -> None:
    whole = begin(instance, job)
    assert tick(location, instance) == ([], f"{job} is still at work on all accounts; the next tick catches up.")
    instance.report_run_canceled(whole)
    assert len(tick(location, instance)[0]) == 3


def test_without_the_setting_one_run_reads_all(
    location: dg.Definitions, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOLT_FAN_OUT", "off")
    assert [(request.tags.get(ACCOUNT_TAG), request.asset_selection) for request in tick(location, instance)[0]] == [
        (None, None)
    ]


@pytest.mark.parametrize("broken", ["VOLT_API_TOKEN", "VOLT_FAN_OUT"])
def test_a_wrong_setting_is_told_by_a_run(
    location: dg.Definitions, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    monkeypatch.setenv(broken, "")
    if broken == "VOLT_FAN_OUT":
        monkeypatch.setenv(broken, "everything")
    assert [request.asset_selection for request in tick(location, instance)[0]] == [None]


def test_what_asks_volt_takes_a_place_in_the_pool(location: dg.Definitions) -> None:
    pools = {
        job: {node.name: next(iter(node.definition.pools), None) for node in location.resolve_job_def(job).nodes}
        for job in JOBS
    }
    assert {job: {name for name, pool in nodes.items() if pool == VOLT_POOL} for job, nodes in pools.items()} == JOBS


JOBS = {"sync_job": {"volt_raw"}, "marts_job": set[str](), "push_job": {"push_contacts", "push_lists"}}


def sensed(location: dg.Definitions, instance: dg.DagsterInstance) -> str | None:
    """Why the sensor builds no marts; none where it does."""
    with dg.build_sensor_context(instance=instance, resources={"pipeline": Pipeline()}) as context:
        data = location.resolve_sensor_def("marts_sensor").evaluate_tick(context)
    assert bool(data.run_requests) == (data.skip_message is None)
    return data.skip_message


def test_the_marts_are_built_once_when_all_accounts_were_read(
    location: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    assert sensed(location, instance) == "No account was read since the marts were built."
    runs = [begin(instance, "sync_job", phone) for phone in PHONES]
    instance.report_run_failed(runs[0])
    assert sensed(location, instance) == "Accounts are still being read."
    for run in runs[1:]:
        instance.report_run_failed(run)
    assert sensed(location, instance) is None
    whole = begin(instance, "refresh_job")
    assert sensed(location, instance) == "refresh_job is at work on all accounts, and builds the marts itself."
    instance.report_run_failed(whole)
    build = begin(instance, "marts_job")
    assert sensed(location, instance) == "marts_job is still at work."
    instance.report_run_failed(build)
    assert sensed(location, instance) == "No account was read since the marts were built."


def test_an_account_that_never_ends_keeps_the_marts_an_hour_old(instance: dg.DagsterInstance) -> None:
    begin(instance, "sync_job", PHONES[0])
    instance.report_run_failed(begin(instance, "sync_job", PHONES[1]))
    now = datetime.now(UTC)
    assert isinstance(marts_due(instance, now), dg.SkipReason)
    assert isinstance(marts_due(instance, now + MARTS_AT_LEAST + timedelta(minutes=1)), dg.RunRequest)


def test_the_sensor_rests_without_the_setting(
    location: dg.Definitions, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOLT_FAN_OUT", "off")
    assert sensed(location, instance) == "VOLT_FAN_OUT is off: each sync builds the marts itself."
    monkeypatch.setenv("VOLT_API_TOKEN", "")
    assert "VOLT_API_TOKEN is not set" in (sensed(location, instance) or "")
