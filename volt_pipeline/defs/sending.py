"""Sending as a job: `volt_ops.outbox` → Volt, in the lineage as `volt_activation/outbox`.

Unpartitioned, never retried, one run at a time by its schedule; what a run leaves in doubt, the next one looks for.
Metadata hold counts only.
"""

from collections.abc import Iterator, Mapping

import dagster as dg

from volt_pipeline.defs.resources import Pipeline
from volt_pipeline.send import SendReport

OUTBOX_KEY = dg.AssetKey(["volt_activation", "outbox"])

# What people were texted because of us. Not materializable: only send_job writes it.
OUTBOX = dg.AssetSpec(
    OUTBOX_KEY,
    description="The intents of `volt_ops.outbox` that `send_job` handed to Volt, each at most once.",
    group_name="volt_activation",
    kinds={"graphql"},
)
_CHECKS = {
    "no_open_unknowns": ("unknown", "No text may or may not have been sent."),
    "nothing_needs_a_person": ("needs_person", "No text in doubt waits for `volt-pipeline send resolve`."),
}
_SPECS = [
    dg.AssetCheckSpec(name, asset=OUTBOX_KEY, description=description) for name, (_, description) in _CHECKS.items()
]


@dg.op(retry_policy=dg.RetryPolicy(max_retries=0))
def send_outbox(context: dg.OpExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> None:
    """Look for what is in doubt, then send what is due; red while anything is in doubt or was refused."""
    report = pipeline.send(context.run_id)
    context.log_event(dg.AssetMaterialization(OUTBOX_KEY, metadata=_metadata(report)))
    for evaluation in _evaluations(report.standing):
        context.log_event(evaluation)  # type: ignore[arg-type]  # taken as well, though not in its annotation
    if not report.enabled:
        context.log.warning("Sending is off (VOLT_SEND_ENABLED is not true): nothing was sent.")
    if report.troubles:
        raise dg.Failure(f"{'. '.join(report.troubles)}. volt_ops.outbox holds each.", allow_retries=False)


def _metadata(report: SendReport) -> Mapping[str, dg.MetadataValue]:
    rows = [
        dg.TableRecord({"state": state, "why": why, "intents": count})
        for (state, why), count in sorted(report.moved.items())
    ]
    columns = [dg.TableColumn("state"), dg.TableColumn("why"), dg.TableColumn("intents", "int")]
    return {
        "enabled": dg.MetadataValue.bool(report.enabled),
        "attempts": dg.MetadataValue.int(report.attempts),
        "looked_for": dg.MetadataValue.int(report.looked),
        "taken_over": dg.MetadataValue.int(report.taken_over),
        "moved": dg.MetadataValue.table(rows, dg.TableSchema(columns)),
        "stopped": dg.MetadataValue.text(report.stopped or "no"),
        **{f"standing: {state}": dg.MetadataValue.int(count) for state, count in sorted(report.standing.items())},
    }


def _evaluations(standing: Mapping[str, int]) -> Iterator[dg.AssetCheckEvaluation]:
    for name, (state, _) in _CHECKS.items():
        count = standing.get(state, 0)
        yield dg.AssetCheckEvaluation(
            asset_key=OUTBOX_KEY, check_name=name, passed=count == 0, metadata={"intents": dg.MetadataValue.int(count)}
        )


@dg.multi_asset_check(name="outbox_checks", specs=_SPECS)
def outbox_checks(pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.AssetCheckResult]:
    """Look at the outbox again; send_job reports the same by itself."""
    for made in _evaluations(pipeline.outbox()):
        yield dg.AssetCheckResult(
            asset_key=OUTBOX_KEY, check_name=made.check_name, passed=made.passed, metadata=made.metadata
        )


@dg.job(description="Send what is due in volt_ops.outbox, each text at most once.")
def send_job() -> None:
    send_outbox()
