"""The whole round of forgetting somebody: sync, marts, forget, and again; and what the command says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.engine import make_url

from volt_pipeline.door.forget import run_forget
from volt_pipeline.sandbox.server import Sandbox, running
from volt_pipeline.settings import Settings, SettingsError
from volt_pipeline.warehouse import postgres
from volt_pipeline.warehouse.access import LOADER, MASKED_READER
from volt_pipeline.warehouse.erasure import NobodyFound, forget, remains, shown
from volt_pipeline.warehouse.marts import building, clear
from volt_pipeline_tests.dbt_project.runner import Dbt
from volt_pipeline_tests.forgetting import SECRET, digits, holding, somebody
from volt_pipeline_tests.syncing import gaps, new_world, outcome, synced
from volt_pipeline_tests.warehouse.loading import ask
from volt_pipeline_tests.warehouse.logins import dismiss, login, run

STRANGER = "+19185559876"


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with running(new_world(contacts=1)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(server: Sandbox) -> Sandbox:
    server.world = new_world()
    return server


@pytest.fixture
def person(sandbox: Sandbox) -> str:
    return somebody(sandbox.world)


@pytest.fixture
def loader_urls(warehouse_url: str) -> Iterator[list[str]]:
    """Two logins that are members of the loader's role, and nothing else."""
    postgres.prepare(warehouse_url)  # a copied database keeps its owner's grants, but none on itself
    yield [login(warehouse_url, name, f"GRANT {LOADER} TO {name}") for name in ("first_loader", "second_loader")]
    dismiss(warehouse_url, "first_loader", "second_loader")


def command(url: str, home: Path, phone: str = STRANGER, **options: Any) -> None:
    """`volt-pipeline forget`, confirmed."""
    given = {"yes": False, "ahead": False, "undo": False, "confirm": lambda _question: True, **options}
    run_forget(Settings(sandbox=False, home=home, warehouse_url=url), phone, **given)


def build(url: str, home: Path, *models: str) -> None:
    """Build as `sync_job` does, without dbt's tests: these models, or all."""
    with building(url):
        types = ("--exclude-resource-type", "test", "unit_test")
        done = Dbt(make_url(url), home).run(
            "build", "--select", *(models or ["fqn:*"]), *types, variables={"demo_crm": True}
        )
    assert done.exit_code == 0, done.text


async def test_nobody_comes_back_from_volt_the_marts_or_the_crm(
    sandbox: Sandbox, person: str, loader_urls: list[str], tmp_path: Path
) -> None:
    """Each step as a login that is only a member of the loader's role, the later ones as another than the first."""
    first, second = loader_urls
    await synced(sandbox, first)
    build(first, tmp_path)
    people = {"volt_marts.contacts", "volt_marts.conversations", "volt_marts.messages"}
    assert people <= set(holding(first, digits(person)))
    erasure = await forget(second, person)
    assert {table for table in erasure.deleted if table.startswith("volt_marts.")} >= people
    assert holding(second, digits(person), SECRET) == []
    await synced(sandbox, second, full=True)
    run(  # the CRM's own table still holds them
        second,
        f"CREATE TABLE volt_staging.crm AS SELECT '{person}'::text AS phone_number, '{SECRET}'::text AS name "
        f"UNION ALL SELECT '{STRANGER}', 'Wile E.'",
    )
    build(second, tmp_path, "messages", "conversations", "contacts")
    assert holding(second, digits(person), SECRET) == []
    assert ask(second, "SELECT name FROM volt_staging.crm") == [("Wile E.",)]
    assert (gaps(second), outcome(second), await remains(second, person)) == ([], "succeeded", {})
    assert ask(second, "SELECT has_table_privilege(%s, 'volt_masked.messages', 'SELECT')", MASKED_READER) == [(True,)]
    ((shown_now,),) = ask(second, "SELECT count(*) FROM volt_masked.messages WHERE contact_phone LIKE '+1•••••__'")
    assert shown_now == ask(second, "SELECT count(*) FROM volt_marts.messages WHERE contact_phone <> ''")[0][0] > 0


def test_nothing_is_cleared_where_nobody_was_forgotten(warehouse_url: str) -> None:
    run(warehouse_url, "CREATE SCHEMA volt_marts", f"CREATE TABLE volt_marts.x AS SELECT '{STRANGER}' AS contact_phone")
    with psycopg.connect(warehouse_url, autocommit=True) as connection:
        assert clear(connection) == 0
    assert ask(warehouse_url, "SELECT contact_phone FROM volt_marts.x") == [(STRANGER,)]


@pytest.fixture
def held(warehouse_url: str) -> str:
    """A warehouse that holds the stranger, once."""
    ask(
        warehouse_url,
        "INSERT INTO volt.contacts (id, account_id, phone_number, name) VALUES ('1', 'a', %s, %s)",
        STRANGER,
        SECRET,
    )
    return warehouse_url


def test_it_asks_first(held: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[str] = []

    def refuse(text: str) -> bool:
        asked.append(text)
        return False

    with pytest.raises(SettingsError, match="not confirmed"):
        command(held, tmp_path, confirm=refuse)
    assert "1 contacts and 0 messages in 1 accounts" in asked[0]
    assert shown(STRANGER) in asked[0]
    assert holding(held, digits(STRANGER)) == ["volt.contacts"]
    command(held, tmp_path, "+1 (918) 555-9876")
    assert holding(held, digits(STRANGER)) == []
    told = capsys.readouterr()
    assert "volt.contacts" in told.out
    assert "What this command cannot reach" in told.out
    assert digits(STRANGER) not in told.out + told.err + asked[0]


@pytest.mark.parametrize("written", ["918 555 9876", "+1918555", "nobody", f"{STRANGER},+19185550001"])
def test_what_is_no_phone_is_not_repeated(warehouse_url: str, tmp_path: Path, written: str) -> None:
    with pytest.raises(SettingsError, match="international form") as caught:
        command(warehouse_url, tmp_path, written, ahead=True)
    assert written not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_number_may_come_from_standard_input_and_is_never_printed(held: str, tmp_path: Path) -> None:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    environment = {
        **kept,
        "VOLT_HOME": str(tmp_path),
        "WAREHOUSE_URL": held,
        "VOLT_API_TOKEN": "t",
        "VOLT_ACCOUNTS": "+15555554321",
    }

    def forgetting(*arguments: str, typed: str = f"{STRANGER}\n") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "volt_pipeline", "forget", "-", *arguments],
            env=environment,
            input=typed,
            capture_output=True,
            text=True,
            check=False,
        )

    unsure = forgetting()  # nobody is there to answer
    sure, again, back = forgetting("--yes"), forgetting("--yes"), forgetting("--undo")
    assert [ended.returncode for ended in (unsure, sure, again, back)] == [1, 0, 0, 0]
    assert "Forgotten: +1•••••76" in sure.stdout
    assert "forgotten before" in again.stdout
    assert "is remembered" in back.stdout
    for ended in (unsure, sure, again, back):
        assert digits(STRANGER) not in ended.stdout + ended.stderr
        assert "Traceback" not in ended.stderr


def test_undo_of_nobody_is_an_error(warehouse_url: str, tmp_path: Path) -> None:
    postgres.prepare(warehouse_url)
    with pytest.raises(NobodyFound, match="Nobody was forgotten"):
        command(warehouse_url, tmp_path, undo=True)
