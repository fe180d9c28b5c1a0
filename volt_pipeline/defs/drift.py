"""Schema drift, looked at daily: Volt's live schema against the one that the pipeline was built on."""

from collections.abc import Iterator

import dagster as dg

from volt_pipeline.api.drift import Difference, drift
from volt_pipeline.defs.assets import QUERIES
from volt_pipeline.defs.resources import Pipeline

_CHECK = "schema_unchanged"
_SPECS = [
    dg.AssetCheckSpec(_CHECK, asset=spec.key, description="Volt's live schema still has what this query needs.")
    for spec in QUERIES
]


@dg.multi_asset_check(name="schema_drift", specs=_SPECS, can_subset=True)
def schema_drift(
    context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.AssetCheckResult]:
    """Compare by introspection: what is gone or changed fails the queries that need it, what is new warns."""
    found = pipeline.ask(drift)
    for key in context.op_execution_context.selected_asset_check_keys:
        needed = [each for each in found if each.needed and key.asset_key.path[-1] in each.operations]
        yield dg.AssetCheckResult(
            check_name=_CHECK,
            asset_key=key.asset_key,
            passed=not (needed or found),
            severity=dg.AssetCheckSeverity.ERROR if needed else dg.AssetCheckSeverity.WARN,
            metadata={"needed here": _listed(needed), "all differences": _listed(found)},
        )


def _listed(differences: list[Difference]) -> dg.MetadataValue:
    return dg.MetadataValue.md("\n".join(f"- {each}" for each in differences) or "none")


drift_job = dg.define_asset_job(
    "drift_job",
    selection=dg.AssetSelection.checks(schema_drift),
    description="Compare Volt's live schema with the one that the pipeline was built on.",
)
