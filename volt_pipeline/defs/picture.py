"""The report as an asset: drawn anew each time the marts were built."""

from collections.abc import Sequence
from datetime import UTC, datetime

import dagster as dg
import psycopg

from volt_pipeline.defs.resources import Pipeline
from volt_pipeline.picture.page import FILE, draw
from volt_pipeline.warehouse.postgres import conninfo

REPORT_KEY = dg.AssetKey(["volt", "report"])


def build_report(marts: Sequence[dg.AssetKey]) -> dg.AssetsDefinition:
    """The report asset, downstream of the marts. Beside the verdict, not before it: neither hides the other."""

    @dg.asset(
        key=REPORT_KEY,
        deps=list(marts),
        group_name="ops",
        kinds={"html"},
        description="One HTML page on the marts and on how complete they are: report.html under VOLT_HOME. If dbt "
        "fails, the page of the last build stays.",
    )
    def report(pipeline: dg.ResourceParam[Pipeline]) -> dg.MaterializeResult[None]:
        with pipeline.open_warehouse() as place, psycopg.connect(conninfo(place.warehouse_url)) as connection:
            file = place.settings.home / FILE
            draw(connection, datetime.now(UTC), file)
        figures = {"path": dg.PathMetadataValue(str(file)), "bytes": dg.IntMetadataValue(file.stat().st_size)}
        return dg.MaterializeResult(metadata=figures)

    return report
