"""A home of its own for this folder's tests, and an environment that configures nothing else."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "sqlglotrs is deprecated", DeprecationWarning)  # of sqlglot's, on import
    import dagster_dbt  # noqa: F401


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VOLT_HOME, in a path with a space."""
    return tmp_path_factory.mktemp("a home")


@pytest.fixture(scope="package", autouse=True)
def environment(home: Path) -> Iterator[pytest.MonkeyPatch]:
    """Nothing is set but VOLT_HOME: no secret, no address."""
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(("VOLT_", "DAGSTER_", "DBT_", "WAREHOUSE_")):
                patch.delenv(name)
        patch.setenv("VOLT_HOME", str(home))
        yield patch
