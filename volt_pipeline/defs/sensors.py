"""News within seconds: a sensor that looks for webhook events, the job that reads again what they hint at, and the ops
that register webhooks.

The sensor is on by default: it asks the warehouse one question on an index, and asks even that only where events can
come in (VOLT_WEBHOOK_PUBLIC_KEY_FILE is set, or WAREHOUSE_URL names a warehouse that a receiver elsewhere may fill).
The job only reads Volt. Its run stays while events keep coming, so that a busy hour costs few runs.
"""

from datetime import UTC, datetime, timedelta

import dagster as dg
from pydantic import Field

from volt_pipeline.defs.fan_out import UNFINISHED
from volt_pipeline.defs.resources import Pipeline
from volt_pipeline.errors import ExplainedError
from volt_pipeline.refresh import RefreshReport

# What the receiver keeps. Not materializable: events come when they come.
WEBHOOK_EVENTS = dg.AssetSpec(
    ["volt_ops", "webhook_events"],
    description="Signed events as they came in, one row an event; what they hint at is read from Volt again.",
    group_name="ops",
)
INTERVAL_SECONDS = 5
_FIRST = {"dagster/priority": "10"}  # news do not queue behind a sync
_LOST_AFTER = timedelta(minutes=15)  # no run takes that long: one that seems to has died without a word


class RefreshConfig(dg.Config):
    """`linger`: stay until no event came for so many seconds; `longest`: but no longer than that."""

    linger: float = Field(default=60.0, ge=0)
    longest: float = Field(default=600.0, gt=0, le=600)


@dg.op
def reread(context: dg.OpExecutionContext, config: RefreshConfig, pipeline: dg.ResourceParam[Pipeline]) -> None:
    """Take up the events that wait, and read again the messages, conversations and contacts that they hint at."""
    report = pipeline.refresh(context.run_id, linger=config.linger, longest=config.longest)
    context.add_output_metadata(_metadata(report) | pipeline.event_figures())


def _metadata(report: RefreshReport) -> dict[str, object]:
    reasons = "\n".join(f"- {count} of them: {reason}" for reason, count in sorted(report.reasons.items()))
    return {
        "events": report.events,
        "refreshed": report.refreshed,
        "set aside": report.set_aside,
        "to be tried again": report.postponed,
        "targeted re-readings": report.targets,
        "rows written": report.written,
        "requests": sum(report.requests.values()),
        "seconds": round(report.seconds, 3),
        "why": dg.MetadataValue.md(reasons or "all were read"),
    }


@dg.job(description="Read again what webhook events hint at; leaves the marts to the next sync.")
def webhook_job() -> None:
    reread()


@dg.sensor(
    name="webhook_sensor",
    job_name="webhook_job",
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts webhook_job when events wait in volt_ops.webhook_events.",
)
def webhook_sensor(
    context: dg.SensorEvaluationContext, pipeline: dg.ResourceParam[Pipeline]
) -> dg.RunRequest | dg.SkipReason:
    try:
        if not pipeline.receives_events():
            return dg.SkipReason("No event can come in: VOLT_WEBHOOK_PUBLIC_KEY_FILE is not set.")
        at_work = dg.RunsFilter(
            job_name="webhook_job", statuses=UNFINISHED, created_after=datetime.now(UTC) - _LOST_AFTER
        )
        if context.instance.get_run_records(at_work, limit=1):
            return dg.SkipReason("webhook_job is still at work, and takes up what comes meanwhile.")
        return dg.RunRequest(tags=_FIRST) if pipeline.has_events() else dg.SkipReason("No event waits.")
    except ExplainedError as error:  # a warehouse that is away is told, every few seconds, without a traceback
        return dg.SkipReason(str(error))


class RegisterConfig(dg.Config):
    """`url`: where the receiver is reached, https://…/volt."""

    url: str


class DeleteConfig(dg.Config):
    """`id`: as Volt's list of webhooks shows it (volt.webhooks)."""

    id: str


@dg.op
def register_webhook(
    context: dg.OpExecutionContext, config: RegisterConfig, pipeline: dg.ResourceParam[Pipeline]
) -> None:
    """Have Volt post events to a URL, unless it does already."""
    done = pipeline.register_webhook(config.url)
    duplicates = ", ".join(webhook.id for webhook in done.duplicates)
    context.add_output_metadata(
        {"webhook": done.webhook.id, "url": done.webhook.url, "new": done.is_new, "duplicates": duplicates or "none"}
    )


@dg.op
def delete_webhook(context: dg.OpExecutionContext, config: DeleteConfig, pipeline: dg.ResourceParam[Pipeline]) -> None:
    """Have Volt forget a webhook."""
    gone = pipeline.delete_webhook(config.id)
    context.add_output_metadata({"webhook": gone.id, "url": gone.url})


@dg.job(description="Register a URL for Volt's events; the receiver must be up there. Idempotent by URL.")
def register_webhook_job() -> None:
    register_webhook()


@dg.job(description="Delete a webhook at Volt by its id.")
def delete_webhook_job() -> None:
    delete_webhook()


WEBHOOK_JOBS = [webhook_job, register_webhook_job, delete_webhook_job]
