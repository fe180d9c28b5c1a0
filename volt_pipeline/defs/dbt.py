"""The dbt project as assets downstream of the raw tables: staging, marts and exports in one lineage with Volt.

The manifest lives under VOLT_HOME and is parsed only when the project's files have changed since.
"""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtCliResource, DbtProject, dbt_assets
from dagster_dbt.errors import DagsterDbtCliRuntimeError
from packaging.version import Version
from sqlalchemy.engine import make_url

from volt_pipeline.defs.dbt_words import Discreet, MartsFailed, in_words
from volt_pipeline.defs.resources import Pipeline
from volt_pipeline.errors import ExplainedError
from volt_pipeline.warehouse.marts import building
from volt_pipeline.workplace import Workplace

PROJECT = Path(__file__).parents[2] / "dbt_project"
_IGNORED = {"target", "logs", "dbt_packages"}
_PARSED = "partial_parse.msgpack"
_BUILD = ["--no-use-colors", "--log-level-file", "none", "build", "--exclude-resource-type", "unit_test"]
_READ_ON = "dbt's own account is in jobs.log under VOLT_HOME, or beside the step in the UI."


class DbtProjectError(ExplainedError):
    """The dbt project cannot be parsed."""


class _Dbt(DbtCliResource):
    """dbt's command line. Its own way to learn dbt's version starts dbt once more, which then asks PyPI."""

    @cached_property
    def _cli_version(self) -> Version:
        return Version(metadata.version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Any) -> None:  # type: ignore[override]  # it may be None
        """Dagster would count rows through it, which nobody asks for here; loading it takes a second."""


class _Translator(DagsterDbtTranslator):
    """Groups as in the project's folders: staging, intermediate, marts, exports; seeds by themselves."""

    def get_metadata(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, Any]:
        """The table as analysts name it: which database it is in is known only when a run connects."""
        table = f"{dbt_resource_props['schema']}.{dbt_resource_props['name']}"
        return {**super().get_metadata(dbt_resource_props), "dagster/table_name": table}

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        if dbt_resource_props["resource_type"] == "seed":
            return "seeds"
        return str(dbt_resource_props["fqn"][1])


def manifest(home: Path) -> Path:
    """The project's manifest.json below `home`, parsed again only where a file of the project changed.

    Raises DbtProjectError with dbt's own words when the project is broken.
    """
    target = home / "dbt"
    target.mkdir(parents=True, exist_ok=True)
    made, mark = target / "manifest.json", target / "manifest.digest"
    with (target / "parse.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        digest = _digest()
        if not (made.exists() and mark.exists() and mark.read_text() == digest):
            _parse(target)
            mark.write_text(digest)
    return made


def _digest() -> str:
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(PROJECT.rglob("*")):
        if path.is_file() and not _IGNORED & set(path.relative_to(PROJECT).parts):
            digest.update(str(path.relative_to(PROJECT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _parse(target: Path) -> None:
    command: list[str | Path] = [sys.executable, "-m", "dbt.cli.main", "parse", "--quiet", "--no-partial-parse"]
    command += ["--project-dir", PROJECT, "--profiles-dir", PROJECT, "--target-path", target, "--log-path", target]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=target)
    if done.returncode != 0:
        raise DbtProjectError(f"dbt cannot parse {PROJECT.name}/:\n{(done.stdout + done.stderr).strip()[-2000:]}")


@contextmanager
def _connected(place: Workplace) -> Iterator[None]:
    """The variables that `dbt_project/profiles.yml` and dbt itself read, while dbt runs."""
    url = make_url(place.warehouse_url)
    values = {
        "VOLT_DBT_HOST": url.host or "localhost",
        "VOLT_DBT_PORT": str(url.port or 5432),
        "VOLT_DBT_USER": url.username or "",
        "VOLT_DBT_PASSWORD": url.password or "",
        "VOLT_DBT_DBNAME": url.database or "",
        "VOLT_DBT_SSLMODE": str(url.query.get("sslmode", "prefer")),
        "DBT_TARGET_PATH": str(place.settings.home / "dbt"),  # not the source tree
    }
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _told(target: Path) -> str:
    """What failed, and where to read on."""
    results = target / "run_results.json"
    if not results.exists():
        return f"dbt ended before it built anything. {_READ_ON}"
    return f"{in_words(json.loads(results.read_text())['results'])} {_READ_ON}"


def _tidy(target: Path, *, keep_code: bool = False) -> None:
    """Remove what builds left behind, but for how dbt read the project, where the next one starts; and, if it failed,
    the SQL that jobs.log points to.
    """
    with suppress(FileNotFoundError):
        (target / _PARSED).replace(target.parent / _PARSED)
    for each in target.parent.glob("dbt_models-*"):
        if each != target or not keep_code:
            shutil.rmtree(each, ignore_errors=True)
    for each in target.glob("*"):
        if each.is_file():  # run_results.json holds what Postgres said, and so what rows hold
            each.unlink()


def build_assets(home: Path) -> tuple[dg.AssetsDefinition, DbtCliResource]:
    """The dbt models as one asset step, and the resource that runs them."""
    project = DbtProject(project_dir=PROJECT, profiles_dir=PROJECT, target_path=home.absolute() / "dbt")
    translator = _Translator(settings=DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True))

    @dbt_assets(manifest=manifest(home), name="dbt_models", project=project, dagster_dbt_translator=translator)
    def dbt_models(
        context: dg.AssetExecutionContext, pipeline: dg.ResourceParam[Pipeline], dbt: DbtCliResource
    ) -> Iterator[Any]:
        with pipeline.open_warehouse() as place, _connected(place), building(place.warehouse_url):
            variables = f"{{demo_crm: {str(place.settings.sandbox).lower()}}}"
            build = dbt.cli([*_BUILD, "--vars", variables], context=context)
            try:
                with redirect_stdout(Discreet(sys.stdout)):
                    yield from build.stream()
            except DagsterDbtCliRuntimeError:  # its text is all that dbt printed
                told = _told(build.target_path)
                _tidy(build.target_path, keep_code=True)
                raise MartsFailed(told) from None
            _tidy(build.target_path)

    beside = Path(sys.executable).with_name("dbt")  # the environment need not be activated
    executable = str(beside) if beside.exists() else "dbt"
    return dbt_models, _Dbt(project_dir=str(PROJECT), profiles_dir=str(PROJECT), dbt_executable=executable)
