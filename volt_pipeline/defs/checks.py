"""Asset checks on the raw tables: keys, references, rejects and coverage; one step runs them all."""

from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
import psycopg

from volt_pipeline import catalog
from volt_pipeline.defs.assets import raw_key
from volt_pipeline.defs.resources import Pipeline
from volt_pipeline.warehouse.postgres import conninfo

_WARN, _ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR
COVERAGE_THRESHOLD = 0.999  # of Volt's own totals; a world that moves while it is read is never all there


@dataclass(frozen=True)
class Check:
    """A statement that counts what is wrong with a table: none is right."""

    table: str
    name: str
    description: str
    wrong: str  # SQL that gives one number
    severity: dg.AssetCheckSeverity = _ERROR

    @property
    def key(self) -> dg.AssetCheckKey:
        return dg.AssetCheckKey(raw_key(self.table), self.name)


def _keys(stream: catalog.Stream) -> Check:
    texts = [name for name in stream.key if name != "valid_from"]
    empty = " OR ".join(f"{name} = ''" for name in texts)
    return Check(
        stream.name,
        "keys_whole",
        "No part of a key is empty.",
        f"SELECT count(*) FROM volt.{stream.name} WHERE {empty}",
    )


def _rejects(stream: catalog.Stream) -> Check:
    return Check(
        stream.name,
        "no_open_rejects",
        "Nothing of it is in quarantine (volt_ops.rejects).",
        f"SELECT count(*) FROM volt_ops.rejects WHERE stream = '{stream.name}' AND resolved_at IS NULL",
    )


def _reference(table: str, column: str, other: str, other_column: str = "id") -> Check:
    return Check(
        table,
        f"{column}_known",
        f"Every {column} is in {other}.",
        f"SELECT count(DISTINCT t.{column}) FROM volt.{table} AS t LEFT JOIN volt.{other} AS o "
        f"ON o.{other_column} = t.{column} WHERE t.{column} IS NOT NULL AND o.{other_column} IS NULL",
        _WARN,
    )


def _sudden_zero(table: str, stream: str) -> Check:
    return Check(
        table,
        "no_sudden_zero",
        "Volt counts nothing only where nothing was ever held.",
        f"SELECT count(*) FROM volt_ops.coverage WHERE stream = '{stream}' AND total = 0 AND held > 0",
    )


def _coverage(table: str, stream: str, severity: dg.AssetCheckSeverity) -> Check:
    return Check(
        table,
        "coverage",
        f"Volt's own totals less what is held, rejected or unidentifiable; {1 - COVERAGE_THRESHOLD:.1%} may lack.",
        "SELECT CASE WHEN coalesce(sum(greatest(gap, 0)), 0) <= coalesce(sum(total), 0) * "
        f"{1 - COVERAGE_THRESHOLD:.4f} THEN 0 ELSE sum(greatest(gap, 0)) END "
        f"FROM volt_ops.coverage WHERE stream = '{stream}'",
        severity,
    )


CHECKS = [
    *map(_keys, catalog.STREAMS),
    *map(_rejects, catalog.STREAMS),
    _reference("contacts", "account_id", "accounts"),
    _reference("contact_lists", "contact_id", "contacts"),
    _reference("contact_lists", "list_id", "lists"),
    _reference("inbox_items", "contact_id", "contacts"),
    _reference("messages", "wave_id", "waves"),
    _reference("messages", "contact_id", "contacts"),
    _reference("wave_lists", "wave_id", "waves"),
    _reference("wave_lists", "list_id", "lists"),
    _sudden_zero("inbox_items", "inbox_items"),
    _sudden_zero("messages", "messages"),
    _sudden_zero("lists", "lists"),
    _coverage("inbox_items", "inbox_items", _ERROR),
    _coverage("messages", "messages", _ERROR),
    _coverage("waves", "waves", _WARN),
    _coverage("lists", "lists", _WARN),
]


@dg.multi_asset_check(
    name="volt_raw_checks",
    specs=[
        dg.AssetCheckSpec(check.name, asset=raw_key(check.table), description=check.description) for check in CHECKS
    ],
    can_subset=True,
)
def volt_raw_checks(
    context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]
) -> Iterator[dg.AssetCheckResult]:
    """Count what is wrong, check by check."""
    selected = context.op_execution_context.selected_asset_check_keys
    with pipeline.open_warehouse() as place, psycopg.connect(conninfo(place.warehouse_url)) as connection:
        for check in CHECKS:
            if check.key in selected:
                (wrong,) = connection.execute(check.wrong).fetchone() or (0,)
                yield dg.AssetCheckResult(
                    check_name=check.name,
                    asset_key=check.key.asset_key,
                    passed=wrong == 0,
                    severity=check.severity,
                    metadata={"wrong": int(wrong or 0)},
                )
