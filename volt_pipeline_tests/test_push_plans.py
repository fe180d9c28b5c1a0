"""Plans that are kept and carried out, what makes a push stop and ask, approvals, and rows that are tried again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text

from volt_pipeline import settings
from volt_pipeline.activate.guard import Guard, PushAsks
from volt_pipeline.sandbox.entities import Contact, Refused
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline.warehouse import migrations, postgres
from volt_pipeline.warehouse.erasure import forget, remains
from volt_pipeline.warehouse.pushes import PlanRefused, push_verdicts
from volt_pipeline.warehouse.tables import METADATA

from .pushing import Row, planned, publish, pushed, recorded
from .syncing import asked, new_world
from .warehouse.loading import ask


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with running(new_world(contacts=1)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(server: Sandbox) -> Sandbox:
    server.world = new_world(accounts=1)
    return server


def rows(sandbox: Sandbox, name: str = "Renamed") -> list[Row]:
    me = sandbox.world.accounts[0].primary_phone
    return [(me, each.phone_number, name, None, None) for each in sandbox.world.contacts]


def hold(url: str, sandbox: Sandbox) -> None:
    """Let the warehouse know the account and its contacts."""
    account = sandbox.world.accounts[0]
    ask(url, "INSERT INTO volt.accounts (id, primary_phone) VALUES (%s, %s)", account.id, account.primary_phone)
    for each in sandbox.world.contacts:
        ask(
            url,
            "INSERT INTO volt.contacts (id, account_id, phone_number, name, blocked, custom_fields) "
            "VALUES (%s, %s, %s, %s, %s, '[]')",
            *(each.id, account.id, each.phone_number, each.name, each.blocked),
        )


async def test_a_plan_is_carried_out_once_and_only_while_its_export_stands(
    sandbox: Sandbox, warehouse_url: str
) -> None:
    hold(warehouse_url, sandbox)
    ann, bob, *others = rows(sandbox)
    publish(warehouse_url, "contacts", ann, (*bob[:2], None, None, None))
    kept = planned(sandbox, warehouse_url)
    assert kept.counts == {"create": 0, "update": 1, "unchanged": 1, "refused": 0}
    ((stored,),) = ask(warehouse_url, "SELECT rows FROM volt_ops.push_plans WHERE plan_id = %s", kept.plan_id)
    assert sorted(row["action"] for row in stored) == ["unchanged", "update"]

    publish(warehouse_url, "contacts", ann, (*bob[:2], None, None, None), others[0])
    with pytest.raises(PlanRefused, match="has moved since the plan"):
        await pushed(sandbox, warehouse_url, plan_id=kept.plan_id, exactly=True)
    assert asked(sandbox) == {}

    publish(warehouse_url, "contacts", ann, (*bob[:2], None, None, None))
    report = await pushed(sandbox, warehouse_url, plan_id=kept.plan_id, exactly=True)
    assert dict(report.outcomes) == {("update", "sent"): 1, ("unchanged", "unchanged"): 1}
    assert asked(sandbox) == {"contact": 1, "createOrUpdateContact": 1}
    with pytest.raises(PlanRefused, match="carried out already, by run run-1"):
        await pushed(sandbox, warehouse_url, plan_id=kept.plan_id, exactly=True)
    with pytest.raises(PlanRefused, match="no plan 'none'"):
        await pushed(sandbox, warehouse_url, plan_id="none")


async def test_a_push_that_touches_too_much_asks(sandbox: Sandbox, warehouse_url: str) -> None:
    me = sandbox.world.accounts[0].primary_phone
    publish(
        warehouse_url, "contacts", *((me, f"+1918555{number:04}", "New", None, None) for number in range(2000, 2060))
    )
    with pytest.raises(PushAsks, match=r"would write 60 rows, more than 50% .*--yes-i-mean-it 60") as caught:
        await pushed(sandbox, warehouse_url)
    assert me not in str(caught.value)
    with pytest.raises(PushAsks, match="permits 59"):
        await pushed(sandbox, warehouse_url, guard=Guard(permitted=59))
    assert asked(sandbox) == {}
    assert (await pushed(sandbox, warehouse_url, guard=Guard(permitted=60))).count("sent") == 60
    publish(
        warehouse_url, "contacts", *((me, f"+1918555{number:04}", "New", None, None) for number in range(2000, 2020))
    )
    with pytest.raises(PushAsks, match=r"has 20 rows, and had 60 at its last push: more than 30%"):
        await pushed(sandbox, warehouse_url, run_id="run-2")
    assert (await pushed(sandbox, warehouse_url, run_id="run-2", guard=Guard(permitted=20))).clean


async def test_a_push_stops_where_it_would_write_more_than_was_planned(sandbox: Sandbox, warehouse_url: str) -> None:
    hold(warehouse_url, sandbox)
    publish(
        warehouse_url,
        "contacts",
        *(
            (*row[:2], contact.name, None, None)
            for row, contact in zip(rows(sandbox), sandbox.world.contacts, strict=True)
        ),
    )
    for contact in sandbox.world.contacts:
        contact.name = "Changed in Volt"  # which the warehouse does not know
    report = await pushed(sandbox, warehouse_url, guard=Guard(permitted=3))
    assert "may not write more than 3" in report.stopped
    assert asked(sandbox)["createOrUpdateContact"] <= 3
    assert report.count("failed") + report.count("sent") == report.planned


async def test_an_approval_unblocks_once(sandbox: Sandbox, warehouse_url: str) -> None:
    ann, bob = sandbox.world.contacts[:2]
    for contact in (ann, bob):
        contact.blocked = True
    me = ann.account.primary_phone
    publish(warehouse_url, "contacts", *((me, each.phone_number, None, None, False) for each in (ann, bob)))
    ask(
        warehouse_url,
        "INSERT INTO volt_ops.unblock_approvals (account_phone, phone_number, approved_by, reason) "
        "VALUES (%s, %s, 'Kim', 'asked in person')",
        me,
        ann.phone_number,
    )
    report = await pushed(sandbox, warehouse_url)
    assert (ann.blocked, bob.blocked, report.clean) == (False, True, True)
    reasons: dict[str, str] = dict(recorded(warehouse_url, "outcome, reason"))
    assert "approved by Kim" in reasons["sent"]
    assert "blocked is kept" in reasons["unchanged"]
    assert ask(warehouse_url, "SELECT used_by_run FROM volt_ops.unblock_approvals") == [("run-1",)]
    ann.blocked = True
    await pushed(sandbox, warehouse_url, run_id="run-2")
    assert ann.blocked


async def test_a_failed_row_is_tried_again_ever_later_until_it_changes(
    sandbox: Sandbox, warehouse_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = sandbox.world.contacts[0]
    me = ann.account.primary_phone

    def contact(account: object, phone: str) -> Contact | None:
        raise Refused("Something broke", "INTERNAL_SERVER_ERROR")

    monkeypatch.setattr(sandbox.world.ledger, "contact", contact)
    publish(warehouse_url, "contacts", (me, ann.phone_number, "Renamed", None, None))
    found = []
    for run in range(4):
        await pushed(sandbox, warehouse_url, run_id=f"run-{run}")
        found.append(recorded(warehouse_url, "outcome, tries, waited")[-1])
        if run == 2:
            ask(warehouse_url, "UPDATE volt_ops.pushes SET pushed_at = pushed_at - interval '31 minutes'")
    assert found == [("failed", 1, False), ("failed", 2, False), ("failed", 2, True), ("failed", 3, False)]
    assert "tried again from" in recorded(warehouse_url, "reason")[2][0]
    ask(warehouse_url, "UPDATE volt_ops.pushes SET tries = 8 WHERE tries = 3")
    await pushed(sandbox, warehouse_url, run_id="given up")
    assert "given up after 8 tries" in recorded(warehouse_url, "reason")[-1][0]
    monkeypatch.undo()
    kept = planned(sandbox, warehouse_url, run_id="dry")
    assert (await pushed(sandbox, warehouse_url, run_id="exact", plan_id=kept.plan_id, exactly=True)).clean
    assert ann.name == "Renamed"


async def test_every_row_is_accounted_for(sandbox: Sandbox, warehouse_url: str) -> None:
    publish(warehouse_url, "contacts", *rows(sandbox), *rows(sandbox)[:1], ("+1", "x", None, None, None))
    await pushed(sandbox, warehouse_url)
    (verdict,) = push_verdicts(warehouse_url, "run-1")
    assert (verdict.balanced, verdict.troubles) == (True, [])
    ended = verdict.sent + verdict.unchanged + verdict.refused + verdict.failed + verdict.unknown
    assert verdict.planned == ended == len(sandbox.world.contacts) + 2
    ask(warehouse_url, "DELETE FROM volt_ops.pushes WHERE id = (SELECT max(id) FROM volt_ops.pushes)")
    (verdict,) = push_verdicts(warehouse_url)
    assert not verdict.balanced
    assert "on record are not" in verdict.troubles[0]


async def test_a_list_of_an_unexpected_size_is_told(sandbox: Sandbox, warehouse_url: str) -> None:
    account = sandbox.world.accounts[0]
    me = account.primary_phone
    hold(warehouse_url, sandbox)
    publish(warehouse_url, "lists", (me, "Nobody", "All", "Zzyzx", []), (me, "Everyone", "All", None, []))
    ask(warehouse_url, "ALTER TABLE volt_exports.export_lists ADD min_size int, ADD max_size int")
    ask(warehouse_url, "UPDATE volt_exports.export_lists SET min_size = 1")
    report = await pushed(sandbox, warehouse_url, "lists")
    assert report.odd_sizes == [f"the list Nobody of {me} has 0 contacts, expected 1 to any"]
    held = dict(ask(warehouse_url, "SELECT name, size FROM volt.lists"))
    assert held == {"Nobody": 0, "Everyone": len(sandbox.world.contacts)}


async def test_lists_go_after_their_sources_and_circles_are_refused(sandbox: Sandbox, warehouse_url: str) -> None:
    me = sandbox.world.accounts[0].primary_phone
    chain: list[Row] = [(me, "A", "B", None, []), (me, "B", "C", None, []), (me, "C", "All", None, [])]
    circle: list[Row] = [(me, "X", "Y", None, []), (me, "Y", "X", None, []), (me, "Z", "X", None, [])]
    broken: list[Row] = [(me, "P", "Q", None, []), (me, "Q", "Gone", None, [])]
    publish(warehouse_url, "lists", *chain, *circle, *broken)
    report = await pushed(sandbox, warehouse_url, "lists")
    found = {key: outcome for key, _, outcome in recorded(warehouse_url)}
    sent = dict.fromkeys("ABC", "sent")
    assert found == {**sent, **dict.fromkeys("XYZ", "refused"), "Q": "failed", "P": "failed"}
    assert not report.clean
    said: dict[str, str] = dict(recorded(warehouse_url, "row_key, reason"))
    assert "not found" in said["Q"]
    assert "its source list was not" in said["P"]


def test_a_database_of_the_first_migration_is_brought_up_to_date(database_url: str) -> None:
    db = postgres.engine(database_url)
    with db.begin() as connection:
        for schema in ("volt", "volt_ops"):
            connection.execute(text(f"CREATE SCHEMA {schema}"))
        METADATA.create_all(connection)
        config = Config()
        config.set_main_option("script_location", str(Path(*migrations.__path__)))
        config.set_main_option("path_separator", "os")
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(
            text(
                "INSERT INTO volt_ops.pushes (run_id, export, row_key, account_phone, action, outcome) "
                "VALUES ('old', 'contacts', '+2', '+1', 'update', 'failed')"
            )
        )
    db.dispose()
    postgres.prepare(database_url)
    assert ask(database_url, "SELECT tries, waited FROM volt_ops.pushes") == [(0, False)]
    newest = ScriptDirectory.from_config(config).get_current_head()
    assert ask(database_url, "SELECT version_num FROM volt_ops.alembic_version") == [(newest,)]


async def test_somebody_who_was_forgotten_is_not_written_and_leaves_no_trace(
    sandbox: Sandbox, warehouse_url: str
) -> None:
    ann, bob, *_ = rows(sandbox)
    await forget(warehouse_url, ann[1], ahead=True)
    publish(warehouse_url, "contacts", ann, bob)
    await pushed(sandbox, warehouse_url)
    assert sorted(recorded(warehouse_url)) == [("(forgotten)", "refused", "refused"), (bob[1], "update", "sent")]
    assert {each.name for each in sandbox.world.contacts if each.phone_number == ann[1]} != {"Renamed"}
    publish(warehouse_url, "contacts")
    assert await remains(warehouse_url, ann[1]) == {}


@pytest.mark.parametrize("text_", ["half", "1.5", "-0.1", "50%"])
def test_a_share_that_is_none_is_a_mistake(text_: str) -> None:
    with pytest.raises(settings.SettingsError, match="VOLT_PUSH_MAX_SHARE must be a share between 0 and 1"):
        settings.load({"VOLT_PUSH_MAX_SHARE": text_})


def test_the_shares_are_settings() -> None:
    assert (settings.load({}).push_max_share, settings.load({}).push_max_shrink) == (0.5, 0.3)
    given = settings.load({"VOLT_PUSH_MAX_SHARE": "0.05", "VOLT_PUSH_MAX_SHRINK": "1"})
    assert (given.push_max_share, given.push_max_shrink) == (0.05, 1.0)
