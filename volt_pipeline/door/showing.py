"""What the commands print when they are done: everything is read back from the warehouse, nothing is remembered."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import psycopg

from volt_pipeline import catalog
from volt_pipeline import settings as environment
from volt_pipeline.door.console import complain, headline, say, table
from volt_pipeline.door.jobs import JobEnd, at_work, run_push, run_sync
from volt_pipeline.picture import trust
from volt_pipeline.picture.page import FILE, draw
from volt_pipeline.settings import Settings
from volt_pipeline.warehouse.postgres import conninfo
from volt_pipeline.warehouse.queries import query
from volt_pipeline.warehouse.webhook_events import event_figures
from volt_pipeline.workplace import warehouse

_DEMO_QUESTION = """
SELECT a.account_name AS store,
       count(*) FILTER (WHERE m.direction = 'inbound') AS texts_in,
       count(*) FILTER (WHERE m.direction = 'outbound') AS texts_out,
       round(100.0 * count(*) FILTER (WHERE m.status = 'delivered')
           / nullif(count(*) FILTER (WHERE m.status IN ('delivered', 'failed')), 0), 1) || ' %' AS delivered
FROM volt_marts.messages AS m JOIN volt_marts.accounts AS a USING (account_id)
GROUP BY 1 ORDER BY 1
"""


def _rows(url: str, statement: str, **parameters: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(conninfo(url)) as connection:
        return connection.execute(statement, parameters or None).fetchall()


def show_sync(settings: Settings, end: JobEnd, *, since: float) -> bool:
    """The run's figures, where the time went since then (`time.monotonic`), and what failed.

    Gives whether all went well.
    """
    with warehouse(settings) as url:
        volt_seconds = _show_run(url, end.run_id)
    parts = {"Volt": volt_seconds, "marts": end.dbt_seconds}
    say("\n" + _times(time.monotonic() - since, {name: took for name, took in parts.items() if took is not None}))
    return _show_end(end)


def _times(total: float, parts: dict[str, float]) -> str:
    """What the parts took, and the rest: the fixed cost of a sync."""
    shown = [f"{name} {took:.1f} s" for name, took in parts.items()]
    shown.append(f"start and bookkeeping {max(total - sum(parts.values()), 0):.1f} s")
    return f"Took {total:.1f} s: {', '.join(shown)}."


def _show_run(url: str, run_id: str) -> float | None:
    """The figures of a sync; gives how long it took to read Volt and write the raw tables, if it came to that."""
    seconds: float | None = None
    for outcome, report in _rows(
        url, "SELECT outcome, report FROM volt_ops.runs WHERE run_id = %(run_id)s", run_id=run_id
    ):
        if report is None:
            continue
        coverage, seconds = report["coverage"], report["seconds"]
        headline(f"Sync {outcome}: {sum(report['requests'].values())} requests in {seconds:.1f} s")
        table(
            ("table", "read", "written", "unchanged", "rejected", "held of Volt's total"),
            [
                (
                    name,
                    c["read"],
                    c["inserted"] + c["updated"],
                    c["read"] - c["inserted"] - c["updated"],
                    c["rejected"],
                    _share(coverage.get(name)),
                )
                for name in catalog.QUERIES
                if (c := report["tables"].get(name))
            ],
        )
        if withheld := sum(c.get("withheld", 0) for c in report["tables"].values()):
            say(f"Left out, since they are of people who were forgotten: {withheld:,} rows.")
    return seconds


def _share(coverage: dict[str, Any] | None) -> str:
    return f"{coverage['held']:,} of {coverage['total']:,}" if coverage else ""


def _show_end(end: JobEnd) -> bool:
    for failure in end.failures:
        complain(failure)
    return end.well


def show_push(settings: Settings, end: JobEnd) -> bool:
    """What became of the rows, by action and outcome. Gives whether all went well."""
    with warehouse(settings) as url:
        _show_push_run(url, end.run_id)
        if outcomes := _rows(url, query("push_outcomes"), run_id=end.run_id):
            table(("export", "action", "outcome", "reason", "rows"), outcomes)
    return _show_end(end)


def _show_push_run(url: str, run_id: str) -> None:
    statement = "SELECT outcome, report FROM volt_ops.runs WHERE run_id = %(run_id)s"
    for outcome, report in _rows(url, statement, run_id=run_id):
        parts = (report or {}).values()
        requests = sum(sum(part["requests"].values()) for part in parts)
        headline(f"Push {outcome}: {requests:,} requests in {sum(part['seconds'] for part in parts):.1f} s")


def show_plans(settings: Settings, end: JobEnd) -> bool:
    """The plans of a dry run: counts, cost, and the first rows, without the people in them."""
    from volt_pipeline.activate.planning import estimated, shown
    from volt_pipeline.push import KINDS

    with warehouse(settings) as url:
        for plan_id, export, counts, rows, _applied in _rows(url, query("plans_of_run"), run_id=end.run_id):
            headline(f"Plan {plan_id}: {export}")
            requests, minutes = estimated(counts, KINDS[export].batch)
            say(
                ", ".join(f"{counts[action]:,} {action}" for action in ("create", "update", "unchanged", "refused"))
                + f". About {requests:,} requests, "
                + ("less than a minute." if minutes < 1 else f"{minutes:,.0f} minutes.")
            )
            if first := shown(rows, export, 5):
                table(("account", "contact" if export == "contacts" else "list", "action", "why"), first)
            if counts["create"] + counts["update"]:
                say(f"\nPush exactly this: .venv/bin/volt-pipeline push --apply {plan_id}")
    return _show_end(end)


def show_status(settings: Settings) -> bool:
    """What is held and how far to trust it."""
    with warehouse(settings) as url:
        headline("Rows held")
        names = [stream.name for stream in catalog.STREAMS] + [history.name for history in catalog.HISTORIES]
        table(
            ("table", "rows"),
            [(f"volt.{name}", _rows(url, f"SELECT count(*) FROM volt.{name}")[0][0]) for name in names],
        )
        headline("Held against Volt's own totals")
        table(
            ("stream", "subjects", "held", "Volt's total", "with a gap", "rejected", "unidentifiable"),
            _rows(url, query("coverage")),
        )
        headline("In quarantine (volt_ops.rejects)")
        rejects = _rows(url, query("open_rejects"))
        table(("stream", "reason", "rows", "first seen", "last seen"), rejects) if rejects else say("nothing")
        if outbox := _rows(url, query("outbox_counts")):
            headline("Texts to send (volt_ops.outbox; of what is over, the last 24 hours)")
            table(("state", "intents", "since"), outbox)
        headline("Found through something else (Volt lists none of these)")
        table(("kind", "found through", "known", "never could be read"), _rows(url, query("ledger")))
        if still := _rows(url, query("still_in_volt"))[0][0]:
            say(f"\nForgotten here and still shown by Volt: {still:,} (docs/privacy.md says what is left to do).")
        if (events := event_figures(url))["events in 7 days"]:
            headline("Webhook events (volt_ops.webhook_events)")
            table(("figure", "value"), [(name, f"{value:,}") for name, value in events.items()])
        headline("Last runs")
        table(
            ("run", "kind", "started", "seconds", "outcome"),
            _rows(url, query("last_runs")),
        )
        say("\n" + trust.SILENT)
    return True


def show_rejects(settings: Settings) -> bool:
    """What is in quarantine, without the people in it. Gives whether there is nothing."""
    with warehouse(settings) as url:
        found = _rows(url, query("list_rejects"))
    if not found:
        say("Nothing is in quarantine.")
        return True
    table(("id", "stream", "account", "reason", "runs", "first seen", "last seen"), found)
    say("\n`volt-pipeline rejects --retry` reads them again; their raw JSON stands in volt_ops.rejects.")
    return False


def make_rejects_due(settings: Settings) -> int:
    """Make everything in quarantine due for another reading; gives how many there were."""
    with warehouse(settings) as url, psycopg.connect(conninfo(url)) as connection:
        for name in ("retry_walks", "retry_lookups"):
            connection.execute(query(name))
        count = connection.execute(query("close_rejects")).rowcount
    say(f"{count} in quarantine {'is' if count == 1 else 'are'} read again." if count else "Nothing is in quarantine.")
    return count


def show_demo() -> bool:
    """Sync, push and sync again, on the sandbox and the embedded Postgres, whatever else is configured."""
    settings = environment.load(demo=True)
    say("The demo syncs an invented Volt (the sandbox) into an embedded Postgres under " + str(settings.home))
    with at_work(settings), warehouse(settings) as url:
        first = run_sync(settings, demo=True)
        _show_run(url, first.run_id)
        pushed = run_push(settings, demo=True)
        well = all([_show_end(first), show_push(settings, pushed)])
        again = run_sync(settings, demo=True, with_dbt=False)
        _show_run(url, again.run_id)
        well = _show_end(again) and well
        if first.well:
            headline("One question to the marts: texts in and out per store, and the share delivered")
            table(("store", "texts in", "texts out", "delivered"), _rows(url, _DEMO_QUESTION))
            with psycopg.connect(conninfo(url)) as connection:
                draw(connection, datetime.now(UTC), settings.home / FILE)
            say(f"\nThe picture: {settings.home / FILE} (`.venv/bin/volt-pipeline report --open` draws it anew)")
    say(
        "\nNext: `make dev` opens the Dagster UI on the same data; `.venv/bin/volt-pipeline status` shows what is held."
    )
    return well
