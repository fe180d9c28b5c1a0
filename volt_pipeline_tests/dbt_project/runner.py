"""Runs dbt as its users do, in a process of its own, and leaves nothing behind in the repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

PROJECT = Path(__file__).parents[2] / "dbt_project"


@dataclass(frozen=True)
class Outcome:
    """What one dbt command came to: its exit code, what it said, and the status of each node by name."""

    exit_code: int
    text: str
    statuses: dict[str, str]


@dataclass(frozen=True)
class Dbt:
    """dbt against one database. Warnings are errors, except where Volt's own gaps make a test warn."""

    url: sa.URL
    home: Path

    def run(self, *arguments: str, variables: dict[str, Any] | None = None) -> Outcome:
        command = [
            sys.executable,
            "-c",
            "from dbt.cli.main import cli; cli()",
            "--warn-error",
            "--no-use-colors",
            "--no-version-check",
            *arguments,
            *("--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)),
            *("--target-path", str(self.home / "target"), "--log-path", str(self.home / "logs")),
            *("--vars", json.dumps(variables or {})),
        ]
        results = self.home / "target" / "run_results.json"
        results.unlink(missing_ok=True)
        done = subprocess.run(command, env=self._environment(), capture_output=True, text=True, check=False)
        return Outcome(done.returncode, done.stdout + done.stderr, _statuses(results))

    def manifest(self) -> dict[str, Any]:
        """The project as dbt read it in the last command."""
        manifest: dict[str, Any] = json.loads((self.home / "target" / "manifest.json").read_text())
        return manifest

    def _environment(self) -> dict[str, str]:
        connection = {
            "VOLT_DBT_HOST": self.url.host,
            "VOLT_DBT_PORT": str(self.url.port or 5432),
            "VOLT_DBT_USER": self.url.username,
            "VOLT_DBT_PASSWORD": self.url.password,
            "VOLT_DBT_DBNAME": self.url.database,
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DBT_", "VOLT_"))}
        return inherited | {name: value or "" for name, value in connection.items()}


def _statuses(results: Path) -> dict[str, str]:
    if not results.exists():
        return {}
    found: Sequence[dict[str, str]] = json.loads(results.read_text())["results"]
    return {_name(each["unique_id"]): each["status"] for each in found if not each["unique_id"].startswith("exposure.")}


def _name(unique_id: str) -> str:
    """`test.volt_pipeline.<name>.<hash>` and `model.volt_pipeline.<name>` alike give the name."""
    return unique_id.split(".")[2]
