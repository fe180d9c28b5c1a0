"""The fixture world with its marts, built once for the tests that draw it."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
import sqlalchemy as sa

from volt_pipeline.picture.figures import Picture
from volt_pipeline.picture.reading import read
from volt_pipeline_tests.dbt_project.conftest import DEMO, fresh_warehouse

from . import worlds

Connection = psycopg.Connection[tuple[object, ...]]


@pytest.fixture(scope="session")
def built(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.URL]:
    """Where the fixture world stands with its marts; nobody is connected to it between the tests."""
    with fresh_warehouse(server_url, "picture_world", tmp_path_factory.mktemp("dbt")) as fresh:
        worlds.load(fresh.engine)
        left_out = [part for kind in ("unit_test", "test") for part in ("--exclude-resource-type", kind)]
        outcome = fresh.dbt.run("build", "--select", "+path:models/marts", *left_out, variables=DEMO)
        assert outcome.exit_code == 0, outcome.text
        fresh.engine.dispose()
        yield fresh.engine.url


@pytest.fixture
def connection(built: sa.URL) -> Iterator[Connection]:
    """A fresh connection to it."""
    url = built.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(url) as connection:
        yield connection


@pytest.fixture
def picture(connection: Connection) -> Picture:
    """Its figures, a week later."""
    return read(connection, worlds.NOW)


@pytest.fixture
def spoiled(built: sa.URL) -> Iterator[Connection]:
    """A copy of it in which a test may change what it likes."""
    with worlds.copied(built) as connection:
        yield connection
