"""The embedded Postgres with real servers: sharing, restarts, and kills at every moment."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import psycopg
import pytest

from volt_pipeline_tests.warehouse.ground import IS_ROOT, Ground, query, running, server


def test_two_processes_share_one_server_and_the_last_stops_it(anyone: Ground) -> None:
    with anyone.client() as first, anyone.client() as second:
        url = first.answer()
        assert second.answer() == url
        query(url, "create schema volt create table t (n int)")
        first.leave()
        assert query(url, "select count(*) from volt.t") == [(0,)]
        second.leave()
    assert server(anyone) is None
    assert (anyone.home / "postgres" / "server.log").read_text().count("starting PostgreSQL") == 1


def test_a_killed_client_leaves_server_and_data_to_the_next(anyone: Ground) -> None:
    with anyone.client() as client:
        url = client.answer()
        query(url, "create table t as select 7 as n")
        client.kill()
    before = running(anyone)
    with anyone.client() as client:
        assert client.answer() == url
        assert running(anyone) == before
        assert query(url, "select n from t") == [(7,)]
        client.leave()
    assert server(anyone) is None


def test_a_killed_server_comes_back_with_its_data(anyone: Ground) -> None:
    with anyone.client() as first:
        url = first.answer()
        query(url, "create table t as select g as n from generate_series(1, 1000) g")
        os.kill(running(anyone).pid, signal.SIGKILL)
        with anyone.client() as second:
            # The same port too, so that the URL the first client holds is good again.
            assert second.answer() == url
            assert query(url, "select count(*) from t") == [(1000,)]
            second.leave()
        assert query(url, "select count(*) from t") == [(1000,)]
        first.leave()
    assert server(anyone) is None


def test_a_server_killed_under_its_own_client_comes_back(place: Ground) -> None:
    embedded = place.embedded()
    with embedded.running() as url:
        query(url, "create table t as select 7 as n")
        os.kill(running(place).pid, signal.SIGKILL)  # stays a zombie of ours, with a living pid
        with embedded.running() as again:
            assert query(again, "select n from t") == [(7,)]
    assert server(place) is None


def test_a_second_start_keeps_data_and_url(anyone: Ground) -> None:
    urls = []
    for _ in range(2):
        with anyone.client() as client:
            urls.append(client.answer())
            query(urls[-1], "create table if not exists t (n int)")
            query(urls[-1], "insert into t values (1)")
            count = query(urls[-1], "select count(*) from t")
            client.leave()
    assert urls[0] == urls[1]
    assert count == [(2,)]


def test_processes_that_start_at_once_on_a_fresh_home_make_one_cluster(anyone: Ground) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(anyone.client()) for _ in range(4)]
        urls = {client.answer() for client in clients}
        assert len(urls) == 1
        assert query(urls.pop(), "select 1") == [(1,)]
        for client in clients:
            client.leave()
    assert (anyone.home / "postgres" / "server.log").read_text().count("starting PostgreSQL") == 1


def test_an_initdb_cut_off_in_the_middle_is_repaired(anyone: Ground) -> None:
    with anyone.client() as client:
        deadline = time.monotonic() + 60
        while not list(anyone.home.glob("postgres/initdb-*/data/base")):
            assert time.monotonic() < deadline
            assert not anyone.data.exists()
            time.sleep(0.001)
        client.kill()
    assert not anyone.data.exists()
    with anyone.client() as client:
        assert query(client.answer(), "select 1") == [(1,)]
        client.leave()
    with anyone.client() as client:  # by now the orphaned initdb has ended, and nothing of it stays
        client.answer()
        client.leave()
    assert not list(anyone.home.glob("postgres/initdb-*"))


def test_a_pid_file_that_names_a_foreign_process_is_passed_over(place: Ground) -> None:
    with place.embedded().running() as url:
        query(url, "create table t as select 7 as n")
        os.kill(running(place).pid, signal.SIGKILL)
    pid_file = place.data / "postmaster.pid"
    owner = pid_file.stat()
    credentials = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []} if IS_ROOT else {}
    with subprocess.Popen(["/bin/sleep", "600"], **credentials) as foreign:  # type: ignore[call-overload]
        _, *rest = pid_file.read_text().splitlines()
        pid_file.write_text("\n".join([str(foreign.pid), *rest]) + "\n")
        with place.embedded().running() as url:
            assert query(url, "select n from t") == [(7,)]
        assert foreign.poll() is None
        pid_file.write_text("")
        os.chown(pid_file, owner.st_uid, owner.st_gid)
        with place.embedded().running() as url:
            assert query(url, "select n from t") == [(7,)]
        foreign.kill()


def test_a_port_taken_meanwhile_is_left_to_whoever_has_it(place: Ground) -> None:
    with place.embedded().running() as url:
        port = running(place).port
    with socket.create_server(("127.0.0.1", port)), place.embedded().running() as other:
        assert other != url
        assert query(other, "select 1") == [(1,)]


def test_only_the_password_opens_it_and_only_its_owner_may_read_that(place: Ground) -> None:
    with place.embedded().running() as url:
        assert [path.name for path in place.data.parent.iterdir() if path.stat().st_mode & 0o066] == []
        port = running(place).port
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(f"postgresql://volt:wrong@127.0.0.1:{port}/volt")
        assert query(url, "show listen_addresses") == [("127.0.0.1",)]
        assert query(url, "show password_encryption") == [("scram-sha-256",)]


def test_settings_and_rights(place: Ground) -> None:
    with place.embedded().running() as url:
        assert query(
            url,
            "select datlocprovider, datlocale, pg_encoding_to_char(encoding), pg_get_userbyid(datdba),"
            " current_setting('data_checksums'), current_setting('fsync'), current_setting('timezone'),"
            " current_setting('shared_buffers') from pg_database where datname = 'volt'",
        ) == [("b", "C.UTF-8", "UTF8", "volt", "on", "on", "UTC", "256MB")]
        query(url, "create schema anything; create role analyst login; drop role analyst")


def test_the_environment_of_the_user_does_not_mislead_it(place: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PGHOSTADDR": "192.0.2.1",
        "PGSSLMODE": "require",
        "PGDATA": "/nonexistent",
        "PGPORT": "1",
        "PGOPTIONS": "-c search_path=nowhere",
        "LC_ALL": "xx_XX.none",
        "VOLT_API_TOKEN": "secret-token",
    }.items():
        monkeypatch.setenv(name, value)
    embedded = place.embedded()
    with embedded.running():
        environment = Path(f"/proc/{running(place).pid}/environ")
        if environment.exists():
            assert b"secret-token" not in environment.read_bytes()


def test_no_row_reaches_the_log(place: Ground) -> None:
    with place.embedded().running() as url:
        query(url, "create table people (phone text primary key)")
        for _ in range(2):
            with contextlib.suppress(psycopg.errors.UniqueViolation):
                query(url, "insert into people values ('+15550100')")
        with contextlib.suppress(psycopg.errors.InvalidTextRepresentation):
            query(url, "select '+15550100x'::int")
    assert "5550100" not in (place.home / "postgres" / "server.log").read_text()


def test_a_deleted_home_starts_afresh_while_its_old_server_still_runs(anyone: Ground) -> None:
    with anyone.client() as client:
        client.answer()
        client.kill()
    old = running(anyone)
    shutil.rmtree(anyone.home)
    try:
        with anyone.client() as client:
            assert query(client.answer(), "select 1") == [(1,)]
            client.leave()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(old.pid, signal.SIGQUIT)
