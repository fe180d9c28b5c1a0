"""Reverse ETL as ops: the exports → Volt. Retries are off: a push is run again from fresh readings, never replayed."""

import dagster as dg
from pydantic import Field

from volt_pipeline.defs.resources import Pipeline
from volt_pipeline.push import PushReport


class PushConfig(dg.Config):
    """`accounts`: primary phones, all configured ones when empty. `dry_run`: only say what would be
    written. `only`: "contacts" or "lists", both when empty."""

    accounts: list[str] = Field(default=[])
    dry_run: bool = False
    only: str = ""


def _push(context: dg.OpExecutionContext, config: PushConfig, pipeline: Pipeline, export: str) -> bool:
    if config.only not in ("", export):
        return True
    report = pipeline.push(context.run_id, export, config.accounts, dry_run=config.dry_run)
    _tell(context, report)
    return report.clean


def _tell(context: dg.OpExecutionContext, report: PushReport) -> None:
    rows = [
        dg.TableRecord({"action": action, "outcome": outcome, "rows": count})
        for (action, outcome), count in sorted(report.outcomes.items())
    ]
    columns = [dg.TableColumn("action"), dg.TableColumn("outcome"), dg.TableColumn("rows", "int")]
    context.add_output_metadata(
        {
            "planned": report.planned,
            "outcomes": dg.TableMetadataValue(rows, dg.TableSchema(columns)),
            "stopped": report.stopped or "no",
        }
    )
    context.log.info("%s: %d planned, %d sent.", report.export, report.planned, report.count("sent"))


@dg.op
def push_contacts(context: dg.OpExecutionContext, config: PushConfig, pipeline: dg.ResourceParam[Pipeline]) -> bool:
    """Write the differences of volt_exports.export_contacts by createOrUpdateContact; true when all went well."""
    return _push(context, config, pipeline, "contacts")


@dg.op
def push_lists(
    context: dg.OpExecutionContext, config: PushConfig, pipeline: dg.ResourceParam[Pipeline], contacts_clean: bool
) -> bool:
    """Write the differences of volt_exports.export_lists by createOrUpdateList; true when all went well."""
    return _push(context, config, pipeline, "lists")


@dg.op
def verify(context: dg.OpExecutionContext, contacts_clean: bool, lists_clean: bool) -> None:
    """Red when a row failed or its outcome is not known."""
    if not (contacts_clean and lists_clean):
        raise dg.Failure(
            "Some rows were not pushed; volt_ops.pushes holds each with its reason. The next push tries them again.",
            allow_retries=False,
        )


@dg.job(description="Push the published exports to Volt: contacts, then the lists that filter them.")
def push_job() -> None:
    contacts_clean = push_contacts()
    verify(contacts_clean, push_lists(contacts_clean))
