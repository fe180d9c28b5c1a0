"""One run an account, for many workers (VOLT_FAN_OUT=accounts): who gets a run, and when the marts are built.

`sync_schedule` starts `sync_job` once for each account, with the raw tables and the verdict alone. An account whose
last run is still at work is left out, so a slow one stops nobody else. What dbt makes is made once, by `marts_job`:
`marts_sensor` starts it when the accounts have been read, and hourly while some never end.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from volt_pipeline import catalog
from volt_pipeline.defs.assets import RAW, raw_key
from volt_pipeline.defs.resources import Pipeline
from volt_pipeline.defs.verdict import VERDICT_KEY
from volt_pipeline.errors import ExplainedError

ACCOUNT_TAG = "volt/account"
FAN_OUT = {"volt/fan_out": "accounts"}
UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
MARTS_AT_LEAST = timedelta(hours=1)
_RAW = [spec.key for spec in RAW]
_OF_NO_ACCOUNT = {raw_key(table) for table, query in catalog.QUERIES.items() if query == "webhooks"}

marts_job = dg.define_asset_job(
    "marts_job",
    selection=(dg.AssetSelection.all() - dg.AssetSelection.assets(*_RAW, VERDICT_KEY))
    | dg.AssetSelection.checks_for_assets(*_RAW),
    description="What is held → marts, exports, report, checks; asks nothing of Volt. Follows a fan-out of accounts.",
)


def account_runs(instance: dg.DagsterInstance, phones: Sequence[str]) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """A request for each account that no run is at work on, or the reason why there is none.

    What belongs to no account (webhooks) is read with the first one. Run keys hold within one tick: one that was
    interrupted goes on where it was.
    """
    if whole := _at_work_on_all(instance):
        yield dg.SkipReason(f"{whole} is still at work on all accounts; the next tick catches up.")
        return
    busy = _at_work(instance)
    free = [phone for phone in phones if phone not in busy]
    for phone in free:
        chosen = [key for key in _RAW if phone == phones[0] or key not in _OF_NO_ACCOUNT]
        yield dg.RunRequest(
            run_key=phone,
            run_config={"ops": {"volt_raw": {"config": {"accounts": [phone]}}}},
            tags={ACCOUNT_TAG: phone, **FAN_OUT},
            asset_selection=[*chosen, VERDICT_KEY],
            asset_check_keys=[],  # of whole tables: with the marts
        )
    if not free:
        yield dg.SkipReason(f"All {len(phones)} accounts are still at work; the next tick catches up.")


def _at_work_on_all(instance: dg.DagsterInstance) -> str:
    """The job that reads all accounts in one run, and builds the marts itself; "" when none is at work."""
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        if run.job_name in ("sync_job", "refresh_job") and not FAN_OUT.items() <= run.tags.items():
            return run.job_name
    return ""


def _at_work(instance: dg.DagsterInstance) -> Collection[str]:
    """The accounts that a run of the fan-out is at work on, or waits for."""
    runs = instance.get_runs(dg.RunsFilter(tags=FAN_OUT, statuses=UNFINISHED))
    return {run.tags[ACCOUNT_TAG] for run in runs}


@dg.sensor(
    name="marts_sensor",
    job=marts_job,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="With VOLT_FAN_OUT=accounts: starts marts_job when the accounts have been read.",
)
def marts_sensor(
    context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.RunRequest | dg.SkipReason:
    try:
        if not pipeline.fan_out():
            return dg.SkipReason("VOLT_FAN_OUT is off: each sync builds the marts itself.")
    except ExplainedError as error:
        return dg.SkipReason(str(error))
    return marts_due(context.instance, datetime.now(UTC))


def marts_due(instance: dg.DagsterInstance, now: datetime) -> dg.RunRequest | dg.SkipReason:
    """Due when an account was read since the last build began, and none is at work or that was long ago."""
    builds = instance.get_run_records(dg.RunsFilter(job_name=marts_job.name), limit=1)
    if builds and not builds[0].dagster_run.is_finished:
        return dg.SkipReason("marts_job is still at work.")
    if whole := _at_work_on_all(instance):
        return dg.SkipReason(f"{whole} is at work on all accounts, and builds the marts itself.")
    since = builds[0].create_timestamp if builds else None
    read = dg.RunsFilter(tags=FAN_OUT, statuses=FINISHED, updated_after=since)
    first = instance.get_run_records(read, limit=1, ascending=True)
    if not first:
        return dg.SkipReason("No account was read since the marts were built.")
    waited = now - _utc(since or first[0].create_timestamp)
    if waited < MARTS_AT_LEAST and instance.get_run_records(dg.RunsFilter(tags=FAN_OUT, statuses=UNFINISHED), limit=1):
        return dg.SkipReason("Accounts are still being read.")
    return dg.RunRequest()


def _utc(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)
