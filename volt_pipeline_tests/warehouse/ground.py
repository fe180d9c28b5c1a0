"""Where embedded servers are tested: a home that every user reaches, and clients that use it."""

import contextlib
import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from volt_pipeline.warehouse import postmaster
from volt_pipeline.warehouse.embedded import EmbeddedPostgres
from volt_pipeline_tests.client_process import ClientProcess

# Becoming someone else comes last: that user may not be able to read the interpreter's own files.
CLIENT = """
import os, pwd, sys
from pathlib import Path
from volt_pipeline.warehouse.embedded import EmbeddedPostgres, EmbeddedPostgresError
home, outside, user = sys.argv[1:4]
if user:
    entry = pwd.getpwnam(user)
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
embedded = EmbeddedPostgres(Path(home), outside=[Path(outside)])
try:
    print(embedded.acquire(), flush=True)
except EmbeddedPostgresError as error:
    print(error, flush=True)
sys.stdin.read()
embedded.release()
"""
IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="needs root, who hands Postgres to another user")


class Ground:
    """A place that every user reaches, with a home (a space in its path) and room for what stands outside."""

    def __init__(self, path: Path, user: str) -> None:
        self.user = user
        self.home = path / "a home" / ".volt"
        self.outside = path / "outside"
        self.outside.mkdir()
        self.home.parent.mkdir()
        if user:
            entry = pwd.getpwnam(user)
            os.chown(self.home.parent, entry.pw_uid, entry.pw_gid)

    def client(self, *, search: Path | None = None) -> ClientProcess:
        arguments = (CLIENT, self.home, self.outside, self.user)
        return ClientProcess(*arguments, search=search) if search else ClientProcess(*arguments)

    def embedded(self) -> EmbeddedPostgres:
        return EmbeddedPostgres(self.home, outside=[self.outside])

    @property
    def data(self) -> Path:
        return self.home / "postgres" / "data"

    def data_directories(self) -> list[Path]:
        return [self.data, *self.outside.glob("*/data")]


@contextlib.contextmanager
def ground(user: str = "") -> Iterator[Ground]:
    path = Path(tempfile.mkdtemp(prefix="volt-pipeline-test-", dir="/var/tmp")).resolve()
    path.chmod(0o755)
    there = Ground(path, user)
    try:
        yield there
    finally:
        for data in there.data_directories():
            postmaster.stop(data)
        shutil.rmtree(path)


def query(url: str, text: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(text.encode())
        return cursor.fetchall() if cursor.description else []


def server(place: Ground) -> postmaster.Postmaster | None:
    return next(filter(None, map(postmaster.find, place.data_directories())), None)


def running(place: Ground) -> postmaster.Postmaster:
    found = server(place)
    assert found is not None
    return found
