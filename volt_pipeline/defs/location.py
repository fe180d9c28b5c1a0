"""The code location, put together: once for Dagster, and for the command line with its own observer."""

from typing import Any

import dagster as dg

from volt_pipeline import settings as environment
from volt_pipeline.defs.activation import ACTIVATION, push_checks, push_job
from volt_pipeline.defs.assets import QUERIES, RAW, volt_raw
from volt_pipeline.defs.checks import volt_raw_checks
from volt_pipeline.defs.drift import drift_job, schema_drift
from volt_pipeline.defs.fan_out import marts_job, marts_sensor
from volt_pipeline.defs.picture import build_report
from volt_pipeline.defs.resources import Pipeline
from volt_pipeline.defs.schedules import (
    drift_schedule,
    push_schedule,
    refresh_job,
    send_schedule,
    sync_job,
    sync_schedule,
)
from volt_pipeline.defs.sending import OUTBOX, outbox_checks, send_job
from volt_pipeline.defs.sensors import WEBHOOK_EVENTS, WEBHOOK_JOBS, webhook_sensor
from volt_pipeline.defs.verdict import build_verdict


def build(pipeline: Pipeline | None = None, *, with_dbt: bool = True) -> dg.Definitions:
    """All definitions. Without dbt (`sync --raw`) the seconds of loading it are saved."""
    assets: list[Any] = [*QUERIES, volt_raw]
    resources: dict[str, Any] = {"pipeline": pipeline or Pipeline()}
    made = [spec.key for spec in RAW]
    checks: list[Any] = [volt_raw_checks, schema_drift]
    if with_dbt:
        from volt_pipeline.defs.dbt import build_assets  # takes seconds to import

        models, resources["dbt"] = build_assets(environment.home())
        assets += [models, *ACTIVATION, OUTBOX, WEBHOOK_EVENTS]
        assets.append(build_report(sorted(key for key in models.keys if key.path[0] == "volt_marts")))
        checks += [push_checks, outbox_checks]
        made.extend(models.keys - set().union(*models.asset_deps.values()))  # those that nothing is made from
    assets.append(build_verdict(made))
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=[sync_job, refresh_job, marts_job, push_job, send_job, drift_job, *WEBHOOK_JOBS],
        schedules=[sync_schedule, push_schedule, send_schedule, drift_schedule],
        sensors=[webhook_sensor, marts_sensor],
        resources=resources,
        executor=dg.in_process_executor,
    )
