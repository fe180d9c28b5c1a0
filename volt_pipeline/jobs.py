"""The one run path: the command line executes the Dagster jobs in process, on the same instance as the UI."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from volt_pipeline.console import progress
from volt_pipeline.defs.location import build
from volt_pipeline.defs.resources import Pipeline
from volt_pipeline.errors import ExplainedError
from volt_pipeline.settings import Settings
from volt_pipeline.workplace import workplace

_INSTANCE_SETTINGS = Path(__file__).parents[1] / "dagster.yaml"


@dataclass
class JobEnd:
    """How a job ended: its run, what each failed step said, and where (for --debug)."""

    run_id: str
    well: bool
    failures: list[str] = field(default_factory=list)
    traces: list[str] = field(default_factory=list)


def run_sync(
    settings: Settings, *, accounts: Sequence[str] = (), full: bool = False, with_dbt: bool = True, demo: bool = False
) -> JobEnd:
    """Execute `sync_job`; without dbt, its raw part."""
    config = {"ops": {"volt_raw": {"config": {"accounts": list(accounts), "full": full}}}}
    return _run(settings, "sync_job", config, with_dbt=with_dbt, demo=demo)


def run_push(
    settings: Settings,
    *,
    export: str | None = None,
    dry_run: bool = False,
    apply: str = "",
    permitted: int | None = None,
    demo: bool = False,
) -> JobEnd:
    """Execute `push_job`, for one export or both, or for one stored plan; a dry run ends with its plans."""
    config = {"only": export or "", "dry_run": dry_run, "apply": apply, "permitted": permitted}
    return _run(settings, "push_job", {"ops": {"plan": {"config": config}}}, with_dbt=False, demo=demo)


def run_send(settings: Settings) -> JobEnd:
    """Execute `send_job`."""
    return _run(settings, "send_job", {}, with_dbt=False, demo=False)


def _run(settings: Settings, job: str, config: dict[str, Any], *, with_dbt: bool, demo: bool) -> JobEnd:
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    with ExitStack() as stack:
        stack.enter_context(workplace(settings))  # up for the whole job, not for each step
        instance = stack.enter_context(open_instance(settings))
        observe = stack.enter_context(progress())
        log = stack.enter_context((settings.home / "jobs.log").open("a", encoding="utf-8"))
        stack.enter_context(redirect_stdout(log))  # dbt tells its story there
        definitions = build(Pipeline(demo, observe), with_dbt=with_dbt)
        result = definitions.resolve_job_def(job).execute_in_process(
            run_config={**config, **quiet}, instance=instance, raise_on_error=False
        )
    failures = [
        event.step_failure_data for event in result.all_events if event.event_type is dg.DagsterEventType.STEP_FAILURE
    ]
    traces = [failure.error.to_string() for failure in failures if failure.error]
    return JobEnd(result.run_id, result.success, list(map(_words, failures)), traces)


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """Dagster's instance: DAGSTER_HOME, or VOLT_HOME/dagster with this project's dagster.yaml."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    if "DAGSTER_HOME" not in os.environ:
        home = settings.dagster_home
        home.mkdir(parents=True, exist_ok=True)
        if _INSTANCE_SETTINGS.exists():
            shutil.copyfile(_INSTANCE_SETTINGS, home / "dagster.yaml")
        os.environ["DAGSTER_HOME"] = str(home)
    return dg.DagsterInstance.get()


def _words(failure: Any) -> str:
    """What the step said, without Dagster's frame around it."""
    error = failure.error
    while error.cause is not None:
        error = error.cause
    if failure.user_failure_data and failure.user_failure_data.description:
        return str(failure.user_failure_data.description)
    name = error.cls_name or "an error"
    if name in {explained.__name__ for explained in _below(ExplainedError)}:
        return re.sub(rf"^[\w.]*{name}: ", "", str(error.message).strip())
    if name.startswith("DagsterDbt"):
        return "dbt could not build everything; jobs.log under VOLT_HOME tells which models and tests failed."
    # Any other text may hold what a row holds: a phone, a message.
    return f"Something unexpected happened ({name}). Run it again with --debug before the command."


def _below(cls: type[Exception]) -> Iterator[type[Exception]]:
    for child in cls.__subclasses__():
        yield child
        yield from _below(child)
