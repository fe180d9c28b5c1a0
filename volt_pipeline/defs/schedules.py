"""When things run: jobs and their schedules."""

from collections.abc import Iterator

import dagster as dg

from volt_pipeline.defs.activation import push_job
from volt_pipeline.defs.drift import drift_job
from volt_pipeline.defs.fan_out import UNFINISHED, account_runs
from volt_pipeline.defs.resources import Pipeline
from volt_pipeline.defs.sending import send_job
from volt_pipeline.errors import ExplainedError

EVERYTHING = dg.AssetSelection.all()

sync_job = dg.define_asset_job(
    "sync_job", selection=EVERYTHING, description="Volt → raw tables → marts → verdict, for all accounts."
)
refresh_job = dg.define_asset_job(
    "refresh_job",
    selection=EVERYTHING,
    config={"ops": {"volt_raw": {"config": {"full": True}}}},
    description="The same, with everything read again.",
)


def _unless_running(context: dg.ScheduleEvaluationContext, *jobs: str) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """One request, or the reason why not: a second run would only wait for the first one's accounts."""
    for job in jobs:
        if context.instance.get_run_records(dg.RunsFilter(job_name=job, statuses=UNFINISHED), limit=1):
            yield dg.SkipReason(f"{job} is still at work; the next tick catches up.")
            return
    yield dg.RunRequest()


@dg.schedule(
    name="sync_schedule",
    job=sync_job,
    cron_schedule="*/15 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def sync_schedule(
    context: dg.ScheduleEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Every 15 minutes, unless a sync is still at work; with VOLT_FAN_OUT=accounts a run for each account."""
    try:
        phones = pipeline.fan_out()
    except ExplainedError:  # the run will say it, in red
        phones = ()
    if phones:
        yield from account_runs(context.instance, phones)
    else:
        yield from _unless_running(context, "sync_job", "refresh_job", "marts_job")


drift_schedule = dg.ScheduleDefinition(
    name="drift_schedule",
    job=drift_job,
    cron_schedule="20 6 * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Once a day.",
)


@dg.schedule(
    name="push_schedule",
    job=push_job,
    cron_schedule="5,35 * * * *",
    default_status=dg.DefaultScheduleStatus.STOPPED,
)
def push_schedule(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Every half hour once switched on, unless a push is still at work."""
    yield from _unless_running(context, "push_job")


@dg.schedule(
    name="send_schedule",
    job=send_job,
    cron_schedule="*/5 * * * *",
    default_status=dg.DefaultScheduleStatus.STOPPED,
)
def send_schedule(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Every five minutes once switched on, unless a run of it is still at work."""
    yield from _unless_running(context, "send_job")
