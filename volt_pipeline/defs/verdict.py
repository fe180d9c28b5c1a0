"""The last step of a sync: a run that could not store or read something ends red, after the marts were built."""

from collections.abc import Sequence

import dagster as dg

from volt_pipeline.defs.resources import Pipeline

VERDICT_KEY = dg.AssetKey(["volt_ops", "verdict"])


def build_verdict(after: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    """The verdict asset, downstream of all that a sync makes."""

    @dg.asset(
        key=VERDICT_KEY,
        deps=list(after),
        group_name="ops",
        description="Green when the sync stored and read everything; red when volt_ops.rejects grew.",
    )
    def verdict(context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult[None]:
        found = pipeline.rejects_of(context.run.run_id)
        if found:
            words = "; ".join(f"{count} of {stream}: {reason}" for stream, reason, count in found)
            raise dg.Failure(
                f"Some rows could not be stored or read ({words}). The rest is in place. "
                "They wait in volt_ops.rejects with their reason and Volt's own JSON.",
                allow_retries=False,
            )
        return dg.MaterializeResult(metadata={"rejected": 0})

    return verdict
