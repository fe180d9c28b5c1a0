"""The raw tables as assets: one step walks all accounts concurrently and reads just what the selection needs."""

from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from volt_pipeline import catalog
from volt_pipeline.defs.resources import VOLT_POOL, Pipeline
from volt_pipeline.report import SyncReport
from volt_pipeline.warehouse.tables import columns_of, history_columns
from volt_pipeline.warehouse.transaction import Counts


class SyncConfig(dg.Config):
    """`accounts`: primary phones, all configured ones when empty. `full`: read everything again."""

    accounts: list[str] = Field(default=[])
    full: bool = False


def raw_key(table: str) -> dg.AssetKey:
    return dg.AssetKey(["volt", table])


def _query_key(query: str) -> dg.AssetKey:
    return dg.AssetKey(["volt_api", query])


def _spec(table: str, comment: str, columns: tuple[catalog.Column, ...]) -> dg.AssetSpec:
    schema = dg.TableSchema(
        columns=[dg.TableColumn(column.name, column.kind.value, description=column.comment) for column in columns]
    )
    return dg.AssetSpec(
        raw_key(table),
        deps=[_query_key(catalog.QUERIES[table])],
        description=comment,
        group_name="raw",
        kinds={"postgres"},
        skippable=True,
        metadata={"dagster/column_schema": schema, "dagster/table_name": f"volt.{table}"},
    )


# Volt itself, so that the lineage begins where the data does.
QUERIES = [
    dg.AssetSpec(
        _query_key(query),
        description=f"Volt's query `{query}`.",
        group_name="volt_api",
        kinds={"graphql"},
    )
    for query in sorted(set(catalog.QUERIES.values()))
]

RAW = [
    *(_spec(stream.name, stream.comment, columns_of(stream)) for stream in catalog.STREAMS),
    *(_spec(history.name, history.comment, history_columns(history)) for history in catalog.HISTORIES),
]


@dg.multi_asset(specs=RAW, can_subset=True, name="volt_raw", pool=VOLT_POOL)
def volt_raw(
    context: dg.AssetExecutionContext, config: SyncConfig, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.MaterializeResult[None]]:
    """Page through Volt's inbox, conversations, waves and lists into schema `volt`."""
    selected = {key.path[-1] for key in context.selected_asset_keys}
    report = pipeline.sync(context.run.run_id, accounts=config.accounts, tables=selected, full=config.full)
    for table in sorted(selected):
        yield dg.MaterializeResult(asset_key=raw_key(table), metadata=_metadata(report, table))


def _metadata(report: SyncReport, table: str) -> dict[str, dg.MetadataValue]:
    counts = report.tables.get(table, Counts())
    figures: dict[str, dg.MetadataValue] = {
        "rows read": dg.IntMetadataValue(counts.read),
        "rows written": dg.IntMetadataValue(counts.written),
        "rows unchanged": dg.IntMetadataValue(counts.unchanged),
        "rows rejected": dg.IntMetadataValue(counts.rejected),
        "requests": dg.IntMetadataValue(report.requests.get(catalog.QUERIES[table], 0)),
        "seconds": dg.FloatMetadataValue(round(report.seconds, 3)),
        "accounts": dg.TextMetadataValue(", ".join(report.accounts)),
    }
    if table == "contacts" and report.oldest_contact_reading is not None:
        figures["oldest reading, hours"] = dg.FloatMetadataValue(round(report.oldest_contact_reading / 3600, 2))
    coverage = report.coverage.get(table)
    if coverage is not None:
        figures["coverage"] = dg.FloatMetadataValue(coverage.share)
        figures["Volt's total"] = dg.IntMetadataValue(coverage.total)
        figures["rows held"] = dg.IntMetadataValue(coverage.held)
    return figures
