"""webhook_sensor, webhook_job and the registering jobs, as Dagster runs them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from volt_pipeline.defs.location import build
from volt_pipeline.defs.resources import Pipeline
from volt_pipeline.defs.sensors import INTERVAL_SECONDS
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline.sandbox.signing import Signer
from volt_pipeline_tests.syncing import new_world, synced
from volt_pipeline_tests.warehouse.loading import ask
from volt_pipeline_tests.webhooks.hinting import arrive, told
from volt_pipeline_tests.webhooks.receiving import receiving

QUICK = {"ops": {"reread": {"config": {"linger": 0.0}}}}


@pytest.fixture
def volt(monkeypatch: pytest.MonkeyPatch, warehouse_url: str) -> Iterator[Sandbox]:
    """A Volt that was synced once; the environment points to it and its warehouse."""
    with running(new_world(accounts=1, contacts=4)) as sandbox:
        me = sandbox.world.accounts[0].primary_phone
        for name, value in (("API_URL", sandbox.url), ("API_TOKEN", sandbox.token), ("ACCOUNTS", me)):
            monkeypatch.setenv(f"VOLT_{name}", value)
        monkeypatch.setenv("WAREHOUSE_URL", warehouse_url)
        asyncio.run(synced(sandbox, warehouse_url))
        yield sandbox


@pytest.fixture(scope="module")
def location() -> dg.Definitions:
    return build(with_dbt=False)


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


def tick(location: dg.Definitions, instance: dg.DagsterInstance) -> tuple[int, str | None]:
    """How many runs the sensor asks for, or why none."""
    with dg.build_sensor_context(instance=instance, resources={"pipeline": Pipeline()}) as context:
        data = location.resolve_sensor_def("webhook_sensor").evaluate_tick(context)
    return len(data.run_requests or ()), data.skip_message


def execute(location: dg.Definitions, job: str, config: dict[str, Any]) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        definition = location.resolve_job_def(job)
        return definition.execute_in_process(instance=instance, raise_on_error=False, run_config=config)


def metadata(result: dg.ExecuteInProcessResult, step: str) -> dict[str, Any]:
    (made,) = (
        event.event_specific_data
        for event in result.all_events
        if event.event_type is dg.DagsterEventType.STEP_OUTPUT and event.step_key == step
    )
    return {name: value.value for name, value in made.metadata.items()}  # type: ignore[union-attr]


def test_a_run_for_news_and_none_without(
    location: dg.Definitions, instance: dg.DagsterInstance, volt: Sandbox, warehouse_url: str
) -> None:
    assert tick(location, instance) == (0, "No event waits.")
    messages = volt.world.move(0.5, volt.world.clock())
    asyncio.run(arrive(warehouse_url, b"?", *(told("message.received", message) for message in messages)))
    assert tick(location, instance) == (1, None)
    result = execute(location, "webhook_job", QUICK)
    assert result.success
    assert tick(location, instance) == (0, "No event waits.")
    held = {key for (key,) in ask(warehouse_url, "SELECT id FROM volt.messages")}
    assert {message.id for message in messages} <= held
    found = metadata(result, "reread")
    assert (found["events"], found["refreshed"], found["set aside"]) == (len(messages) + 1, len(messages), 1)
    assert found["why"] == "- 1 of them: its body is no JSON"
    assert found["share that polling found first"] == 0.0
    assert found["median seconds to the refreshed row"] > 0
    told_to_all = str(list(result.all_events))
    for message in messages:
        assert message.contact.phone_number not in told_to_all
        assert message.body not in told_to_all or not message.body


def test_one_run_at_a_time(
    location: dg.Definitions, instance: dg.DagsterInstance, volt: Sandbox, warehouse_url: str
) -> None:
    asyncio.run(arrive(warehouse_url, b"{}"))
    run = instance.add_run(dg.DagsterRun(job_name="webhook_job", status=dg.DagsterRunStatus.STARTED))
    assert tick(location, instance) == (0, "webhook_job is still at work, and takes up what comes meanwhile.")
    instance.report_run_failed(run)
    assert tick(location, instance) == (1, None)


def test_a_run_that_died_without_a_word_does_not_stop_it_for_ever(
    location: dg.Definitions,
    instance: dg.DagsterInstance,
    volt: Sandbox,
    warehouse_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asyncio.run(arrive(warehouse_url, b"{}"))
    instance.add_run(dg.DagsterRun(job_name="webhook_job", status=dg.DagsterRunStatus.STARTED))
    assert tick(location, instance)[0] == 0
    later = datetime.now(UTC) + timedelta(minutes=20)

    class Later(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return later

    monkeypatch.setattr("volt_pipeline.defs.sensors.datetime", Later)
    assert tick(location, instance) == (1, None)


def test_where_no_event_can_come_in_not_even_postgres_is_asked(
    location: dg.Definitions, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VOLT_HOME", str(tmp_path / "home"))
    assert tick(location, instance) == (0, "No event can come in: VOLT_WEBHOOK_PUBLIC_KEY_FILE is not set.")
    assert not (tmp_path / "home").exists()


def test_a_warehouse_that_is_away_is_told(
    location: dg.Definitions, instance: dg.DagsterInstance, volt: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAREHOUSE_URL", "postgresql://me:hunter2@127.0.0.1:9/w")
    runs, why = tick(location, instance)
    assert runs == 0
    assert why is not None
    assert "127.0.0.1:9/w cannot be reached" in why
    assert "hunter2" not in why


def test_it_looks_every_few_seconds_from_the_start(location: dg.Definitions) -> None:
    sensor = location.resolve_sensor_def("webhook_sensor")
    assert sensor.minimum_interval_seconds == INTERVAL_SECONDS == 5
    assert sensor.default_status is dg.DefaultSensorStatus.RUNNING


def test_registering_and_deleting_as_jobs(
    location: dg.Definitions, volt: Sandbox, warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def register(url: str) -> dg.ExecuteInProcessResult:
        return execute(location, "register_webhook_job", {"ops": {"register_webhook": {"config": {"url": url}}}})

    with receiving(warehouse_url, Signer.create(), watch_seconds=0.05) as post:
        assert not register(f"{post.url}/volt").success  # plain http, and this machine
        assert volt.world.webhooks == []
        monkeypatch.setenv("VOLT_WEBHOOK_ALLOW_PRIVATE", "true")
        found = metadata(register(f"{post.url}/volt"), "register_webhook")
        assert (found["url"], bool(found["new"]), found["duplicates"]) == (f"{post.url}/volt", True, "none")
        assert not metadata(register(f"{post.url}/volt"), "register_webhook")["new"]
    (webhook,) = volt.world.webhooks
    delete = {"ops": {"delete_webhook": {"config": {"id": webhook.id}}}}
    assert execute(location, "delete_webhook_job", delete).success
    assert volt.world.webhooks == []
    assert not execute(location, "delete_webhook_job", delete).success
