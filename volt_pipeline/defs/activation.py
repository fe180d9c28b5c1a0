"""Reverse ETL as ops: the exports → Volt, in the lineage as `volt_activation/contacts` and `volt_activation/lists`.

The ops report what they did as materializations and checks of those assets, which no sync can select. Retries are
off: a push is run again from fresh readings, never replayed.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from volt_pipeline.defs.resources import VOLT_POOL, Pipeline
from volt_pipeline.report import PushReport

if TYPE_CHECKING:
    from volt_pipeline.warehouse.pushes import PushVerdict

EXPORTS = ("contacts", "lists")


def activation_key(export: str) -> dg.AssetKey:
    return dg.AssetKey(["volt_activation", export])


# What stands in Volt because of us. Not materializable: only push_job writes it.
ACTIVATION = [
    dg.AssetSpec(
        activation_key(export),
        deps=[dg.AssetKey(["volt_exports", f"export_{export}"])],
        description=f"The {export} that `push_job` wrote to Volt by {mutation}.",
        group_name="volt_activation",
        kinds={"graphql"},
    )
    for export, mutation in zip(EXPORTS, ("createOrUpdateContact", "createOrUpdateList"), strict=True)
]
ACTIVATION.append(
    dg.AssetSpec(
        ["volt_ops", "pushes"],
        deps=[spec.key for spec in ACTIVATION],
        description="Every attempt of a push, with its outcome and reason; the mart pushes shows it.",
        group_name="ops",
    )
)


class PushConfig(dg.Config):
    """`accounts`: primary phones, all configured ones when empty. `only`: "contacts" or "lists", both when empty.

    `dry_run`: keep the plans, write nothing. `apply`: push exactly this stored plan. `permitted`: write up to so many
    rows, whatever their share.
    """

    accounts: list[str] = Field(default=[])
    only: str = ""
    dry_run: bool = False
    apply: str = ""
    permitted: int | None = None


Order = dict[str, object]  # what one op hands to the next


@dg.op
def plan(context: dg.OpExecutionContext, config: PushConfig, pipeline: dg.ResourceParam[Pipeline]) -> Order:
    """Set each export beside what the warehouse holds of Volt, and keep the plan in volt_ops.push_plans."""
    plans: dict[str, str] = {}
    if config.apply:
        plans[pipeline.planned_export(config.apply)] = config.apply
    else:
        for export in [config.only] if config.only else EXPORTS:
            report = pipeline.plan(context.run_id, export, config.accounts)
            plans[export] = report.plan_id
            context.add_output_metadata({f"{export}: {action}": count for action, count in report.counts.items()})
    return {
        "plans": {} if config.dry_run else plans,
        "accounts": config.accounts,
        "exactly": bool(config.apply),
        "permitted": config.permitted,
    }


@dg.op(pool=VOLT_POOL)
def push_contacts(context: dg.OpExecutionContext, order: Order, pipeline: dg.ResourceParam[Pipeline]) -> Order:
    """Write the differences of volt_exports.export_contacts by createOrUpdateContact."""
    return _push(context, order, pipeline, "contacts")


@dg.op(pool=VOLT_POOL)
def push_lists(context: dg.OpExecutionContext, order: Order, pipeline: dg.ResourceParam[Pipeline]) -> Order:
    """Write the differences of volt_exports.export_lists by createOrUpdateList."""
    return _push(context, order, pipeline, "lists")


@dg.op
def verify(context: dg.OpExecutionContext, order: Order, pipeline: dg.ResourceParam[Pipeline]) -> None:
    """Count the rows on record: red when one failed or is missing, or a list has a size that was not expected."""
    verdicts = pipeline.push_verdicts(context.run_id)
    for evaluation in _evaluations(verdicts):
        context.log_event(evaluation)  # type: ignore[arg-type]  # taken as well, though not in its annotation
    troubles = [trouble for verdict in verdicts for trouble in verdict.troubles]
    if troubles:
        raise dg.Failure(
            f"{'. '.join(troubles)}. volt_ops.pushes holds each row with its reason; the next push tries again.",
            allow_retries=False,
        )


def _push(context: dg.OpExecutionContext, order: Order, pipeline: Pipeline, export: str) -> Order:
    plans = order["plans"]
    if not isinstance(plans, dict) or export not in plans:
        return order
    permitted = order["permitted"]
    report = pipeline.push(
        context.run_id,
        export,
        [str(phone) for phone in _listed(order, "accounts")],
        plan_id=plans[export],
        exactly=bool(order["exactly"]),
        permitted=permitted if isinstance(permitted, int) else None,
    )
    _tell(context, report)
    return {**order, "plans": {}} if report.stopped else order  # and nothing after it is pushed


def _listed(order: Order, name: str) -> Sequence[object]:
    found = order.get(name)
    return found if isinstance(found, list) else []


def _tell(context: dg.OpExecutionContext, report: PushReport) -> None:
    """The outcomes as the asset's materialization, and its checks."""
    rows = [
        dg.TableRecord({"action": action, "outcome": outcome, "rows": count})
        for (action, outcome), count in sorted(report.outcomes.items())
    ]
    columns = [dg.TableColumn("action"), dg.TableColumn("outcome"), dg.TableColumn("rows", "int")]
    metadata: dict[str, Any] = {
        "plan": report.plan_id,
        "planned": report.planned,
        "outcomes": dg.TableMetadataValue(rows, dg.TableSchema(columns)),
        "stopped": report.stopped or "no",
    }
    context.log_event(dg.AssetMaterialization(activation_key(report.export), metadata=metadata))
    context.log.info("%s: %d planned, %d sent.", report.export, report.planned, report.count("sent"))


_CHECKS = {
    "no_failed_rows": "No row of the last push failed, and every outcome is known.",
    "no_refused_rows": "No row of the last push was refused for what stands in it.",
    "every_row_accounted_for": "sent + unchanged + refused + failed + unknown = planned.",
}
_SIZES = {"sizes_expected": "Each list has as many contacts as expected (min_size, max_size, or about as before)."}
_SPECS = [
    dg.AssetCheckSpec(name, asset=activation_key(export), description=description)
    for export in EXPORTS
    for name, description in {**_CHECKS, **(_SIZES if export == "lists" else {})}.items()
]


@dg.multi_asset_check(name="push_checks", specs=_SPECS)
def push_checks(pipeline: dg.ResourceParam[Pipeline]) -> Iterator[dg.AssetCheckResult]:
    """Look at the last push again; push_job reports the same by itself."""
    found = {(each.asset_key, each.check_name): each for each in _evaluations(pipeline.push_verdicts())}
    for spec in _SPECS:
        made = found.get((spec.asset_key, spec.name))
        yield dg.AssetCheckResult(
            asset_key=spec.asset_key,
            check_name=spec.name,
            passed=made is None or made.passed,
            severity=made.severity if made else dg.AssetCheckSeverity.ERROR,
            metadata=made.metadata if made else {"pushes": dg.MetadataValue.text("none yet")},
        )


def _evaluations(verdicts: "Sequence[PushVerdict]") -> Iterator[dg.AssetCheckEvaluation]:
    """What each verdict means for the checks of its asset."""
    error, warn = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
    for verdict in verdicts:
        lost = verdict.failed + verdict.unknown
        judged = [
            (
                "no_failed_rows",
                not (lost or verdict.stopped),
                {"rows": lost, "stopped": verdict.stopped or "no"},
                error,
            ),
            ("no_refused_rows", not verdict.refused, {"rows": verdict.refused}, warn),
            ("every_row_accounted_for", verdict.balanced, {"planned": verdict.planned}, error),
            ("sizes_expected", not verdict.odd_sizes, {"lists": "; ".join(verdict.odd_sizes) or "none"}, error),
        ]
        for name, passed, metadata, severity in judged:
            if name in _CHECKS or verdict.export == "lists":
                yield dg.AssetCheckEvaluation(
                    asset_key=activation_key(verdict.export),
                    check_name=name,
                    passed=passed,
                    metadata=metadata,  # type: ignore[arg-type]  # plain values, which it normalizes
                    severity=severity,
                )


@dg.job(description="Push the published exports to Volt: plan, contacts, then the lists that filter them, verdict.")
def push_job() -> None:
    verify(push_lists(push_contacts(plan())))
