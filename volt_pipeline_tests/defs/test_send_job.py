"""send_job: what it tells Dagster, when it is red, and that it holds counts only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from volt_pipeline.defs.resources import Pipeline
from volt_pipeline.defs.sending import OUTBOX, OUTBOX_KEY, outbox_checks, send_job
from volt_pipeline.sandbox import disturbances
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline_tests.sendings import intend, known, stands, states, texted
from volt_pipeline_tests.syncing import new_world
from volt_pipeline_tests.warehouse.loading import ask

LATER = datetime.now(UTC) + timedelta(days=2)


@pytest.fixture
def volt(monkeypatch: pytest.MonkeyPatch, warehouse_url: str) -> Iterator[Sandbox]:
    """A Volt, a warehouse that knows its people, and an environment that points to them and allows sending."""
    monkeypatch.setattr("volt_pipeline.sending.hours.OPENS", 0)  # the job goes by the real clock
    monkeypatch.setattr("volt_pipeline.sending.hours.CLOSES", 24)
    with running(new_world(accounts=1)) as sandbox:
        me = sandbox.world.accounts[0].primary_phone
        for name, value in (("API_URL", sandbox.url), ("API_TOKEN", sandbox.token), ("ACCOUNTS", me)):
            monkeypatch.setenv(f"VOLT_{name}", value)
        monkeypatch.setenv("WAREHOUSE_URL", warehouse_url)
        monkeypatch.setenv("VOLT_SEND_ENABLED", "true")
        known(warehouse_url, sandbox.world)
        yield sandbox


Told = tuple[dg.ExecuteInProcessResult, dict[str, bool], str]


def execute() -> Told:
    """One run, the checks on record, and all that Dagster keeps of it as text."""
    job = dg.Definitions(jobs=[send_job], resources={"pipeline": Pipeline()}).resolve_job_def("send_job")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        logs = instance.all_logs(result.run_id)
    told = [each.dagster_event for each in logs if each.dagster_event]
    evaluated = dg.DagsterEventType.ASSET_CHECK_EVALUATION
    checks = [each.event_specific_data for each in told if each.event_type is evaluated]
    return result, {each.check_name: each.passed for each in checks}, "\n".join(map(str, logs))  # type: ignore[union-attr]


def test_a_run_tells_counts_and_nobodys_phone_or_text(volt: Sandbox, warehouse_url: str) -> None:
    ann, bob = texted(volt.world)[:2]
    intend(warehouse_url, ann, body="A secret between us", intent_key=f"to-{ann.phone_number}", expires_at=LATER)
    one = intend(warehouse_url, bob, body="Another secret", expires_at=LATER - timedelta(days=3))
    result, checks, kept = execute()
    assert result.success
    assert checks == {"no_open_unknowns": True, "nothing_needs_a_person": True}
    assert states(warehouse_url) == {"accepted": 1, "rejected": 1}
    assert stands(warehouse_url, one)[0] == "rejected"
    (made,) = result.get_asset_materialization_events()
    metadata = made.materialization.metadata
    assert (metadata["enabled"].value, metadata["attempts"].value) == (True, 1)
    moved = metadata["moved"]
    assert isinstance(moved, dg.TableMetadataValue)
    assert [record.data for record in moved.records] == [
        {"state": "accepted", "why": "", "intents": 1},
        {"state": "rejected", "why": "expired", "intents": 1},
    ]
    assert "secret" not in kept
    assert ann.phone_number not in kept
    assert bob.phone_number not in kept


def test_a_doubt_turns_the_job_red_and_says_nothing_of_whom(volt: Sandbox, warehouse_url: str) -> None:
    ann = texted(volt.world)[0]
    intend(warehouse_url, ann, body="A secret between us", expires_at=LATER)
    says_too_much = disturbances.graphql_error(f"cannot text {ann.phone_number}: A secret between us", data=None)
    volt.faults.disturb(says_too_much, when=lambda asked: asked.is_mutation, after_effect=True)
    result, checks, kept = execute()
    assert not result.success
    assert checks == {"no_open_unknowns": False, "nothing_needs_a_person": True}
    assert "1 may or may not have been sent" in kept
    assert "secret" not in kept
    assert ann.phone_number not in kept
    assert "secret" not in str(ask(warehouse_url, "SELECT reason FROM volt_ops.outbox_events"))
    ask(warehouse_url, "UPDATE volt_ops.outbox SET state = 'needs_person'")
    again, checks, _ = execute()
    assert (again.success, checks) == (False, {"no_open_unknowns": True, "nothing_needs_a_person": False})
    assert len(volt.world.effects) == 1


def test_while_sending_is_off_the_job_is_green_and_says_so(
    volt: Sandbox, warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    intend(warehouse_url, texted(volt.world)[0], expires_at=LATER)
    monkeypatch.setenv("VOLT_SEND_ENABLED", "false")
    result, _, kept = execute()
    assert result.success
    assert "Sending is off (VOLT_SEND_ENABLED is not true)" in kept
    assert states(warehouse_url) == {"queued": 1}
    assert volt.world.effects == []


def test_the_checks_look_at_the_outbox_by_themselves(volt: Sandbox, warehouse_url: str) -> None:
    intend(warehouse_url, texted(volt.world)[0])
    ask(
        warehouse_url,
        "UPDATE volt_ops.outbox SET state = 'attempting', claimed_by = 'x', attempted_at = now(), tries = 1",
    )
    ask(warehouse_url, "UPDATE volt_ops.outbox SET state = 'unknown'")
    look = dg.define_asset_job("look", selection=dg.AssetSelection.all_asset_checks())
    definitions = dg.Definitions(
        assets=[OUTBOX], asset_checks=[outbox_checks], jobs=[look], resources={"pipeline": Pipeline()}
    )
    result = definitions.resolve_job_def("look").execute_in_process(raise_on_error=False)
    found = {each.check_name: each.passed for each in result.get_asset_check_evaluations()}
    assert found == {"no_open_unknowns": False, "nothing_needs_a_person": True}


def test_nothing_is_retried(volt: Sandbox) -> None:
    assert send_job.op_retry_policy is None
    assert send_job.partitions_def is None
    (step,) = send_job.graph.node_dict.values()
    policy = step.definition.retry_policy  # type: ignore[attr-defined]
    assert policy.max_retries == 0
    assert outbox_checks.check_keys == {
        dg.AssetCheckKey(OUTBOX_KEY, name) for name in ("no_open_unknowns", "nothing_needs_a_person")
    }
