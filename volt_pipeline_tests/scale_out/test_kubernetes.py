"""deploy/kubernetes/values.yaml, as far as it can be tried without a cluster: what Dagster itself makes of it.

The chart's templates are not run here. They turn the values into `dagster.yaml` and into the container context of the
code server; `_snake` and `_instance` do the same to the keys that we set, and Dagster validates the outcome.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml  # type: ignore[import-untyped]
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.instance.config import dagster_instance_config
from dagster._core.launcher import LaunchRunContext
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin

from volt_pipeline.settings import load

ROOT = Path(__file__).parents[2]
VALUES: dict[str, Any] = yaml.safe_load((ROOT / "deploy/kubernetes/values.yaml").read_text(encoding="utf-8"))
(CODE,) = VALUES["dagster-user-deployments"]["deployments"]
LAUNCHER = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
REASON = "dagster-k8s is not installed: make setup-deploy installs it."


def _snake(given: dict[str, Any]) -> dict[str, Any]:
    """As the chart does for one level of keys."""
    return {re.sub(r"(?<=[a-z0-9])([A-Z])", lambda m: f"_{m[1].lower()}", key): value for key, value in given.items()}


def _launcher() -> dict[str, Any]:
    given = _snake(LAUNCHER)
    given["run_k8s_config"] = _snake(given["run_k8s_config"])
    return {
        **given,
        "job_namespace": "default",
        "load_incluster_config": True,
        "service_account_name": "dagster",
        "dagster_home": "/opt/dagster/dagster_home",
        "instance_config_map": "dagster-instance",
        "postgres_password_secret": VALUES["global"]["postgresqlSecretName"],
    }


def _instance() -> dict[str, Any]:
    """The dagster.yaml that the chart makes."""
    postgres = VALUES["postgresql"]
    storage = {
        "username": postgres["postgresqlUsername"],
        "password": {"env": "DAGSTER_PG_PASSWORD"},
        "hostname": postgres["postgresqlHost"],
        "db_name": postgres["postgresqlDatabase"],
        "port": postgres["service"]["port"],
        "scheme": postgres["postgresqlScheme"],
    }
    daemon = VALUES["dagsterDaemon"]
    queue = daemon["runCoordinator"]
    return {
        "storage": {"postgres": {"postgres_db": storage}},
        "run_launcher": {"module": "dagster_k8s", "class": VALUES["runLauncher"]["type"], "config": _launcher()},
        "run_coordinator": {
            "module": "dagster.core.run_coordinator",
            "class": queue["type"],
            "config": _snake(queue["config"]["queuedRunCoordinator"]),
        },
        **{_snake({name: 0}).popitem()[0]: _snake(daemon[name]) for name in ("runMonitoring", "schedules", "sensors")},
        "telemetry": VALUES["telemetry"],
        "retention": {name: _snake(VALUES["retention"][name]) for name in ("schedule", "sensor")},
        **VALUES["additionalInstanceConfig"],
    }


def test_dagster_takes_the_instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(_instance()), encoding="utf-8")
    monkeypatch.setenv("DAGSTER_PG_PASSWORD", "of a secret")
    config, _ = dagster_instance_config(str(tmp_path))
    assert config["concurrency"]["pools"] == {"granularity": "op", "default_limit": 4, "op_granularity_run_buffer": 0}
    assert config["run_monitoring"]["free_slots_after_run_end_seconds"] == 30


def test_both_deployments_share_a_token_in_the_same_way() -> None:
    celery = yaml.safe_load((ROOT / "deploy/celery/dagster.yaml").read_text(encoding="utf-8"))
    assert VALUES["additionalInstanceConfig"]["concurrency"] == celery["concurrency"]


def test_no_secret_stands_in_the_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Volt's settings call secret comes from Kubernetes' secrets, and with those the settings are whole."""
    assert CODE["envSecrets"] == [{"name": "volt-pipeline"}]
    assert not VALUES["generatePostgresqlPasswordSecret"]
    assert "postgresqlPassword" not in VALUES["postgresql"]
    plain = {each["name"]: each["value"] for each in CODE["env"]}
    secret = {"VOLT_API_TOKEN": "e30", "WAREHOUSE_URL": "postgresql://volt@db.example/volt"}
    assert not plain.keys() & secret.keys()
    found = load({**plain, **secret})
    assert (found.sandbox, found.fan_out, len(found.accounts)) == (False, True, 2)


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[Path, list[Any]]]:
    """A kubeconfig for an API that takes every job, and the jobs that it took."""
    taken: list[Any] = []

    class Api(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            taken.append(json.loads(body))
            self.send_response(201)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Api) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        known = {"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}
        context = {"name": "here", "context": {"cluster": "here", "user": "me"}}
        user = {"name": "me", "user": {}}
        file = folder / "kubeconfig"
        file.write_text(
            yaml.safe_dump({"clusters": [known], "contexts": [context], "users": [user], "current-context": "here"})
        )
        yield file, taken
        server.shutdown()


def test_a_run_is_a_pod_of_our_image_with_its_secrets(tmp_path: Path) -> None:
    """What the launcher posts to Kubernetes for a run of the code server that the values describe."""
    pytest.importorskip("dagster_k8s", reason=REASON)
    image = f"{CODE['image']['repository']}:{CODE['image']['tag']}"
    context = {
        "image_pull_policy": CODE["image"]["pullPolicy"],
        "env_secrets": [each["name"] for each in CODE["envSecrets"]],
        "env": CODE["env"],
    }
    with cluster(tmp_path) as (kubeconfig, taken):
        config = {**_launcher(), "load_incluster_config": False, "kubeconfig_file": str(kubeconfig)}
        launched = {"run_launcher": {"module": "dagster_k8s", "class": VALUES["runLauncher"]["type"], "config": config}}
        with dg.DagsterInstance.local_temp(str(tmp_path), overrides=launched) as instance:
            code = RepositoryPythonOrigin(
                "/usr/local/bin/python",
                ModuleCodePointer("volt_pipeline.definitions", "defs"),
                container_image=image,
                container_context={"k8s": context},
            )
            run = instance.add_run(dg.DagsterRun("sync_job", job_code_origin=JobPythonOrigin("sync_job", code)))
            instance.run_launcher.launch_run(LaunchRunContext(run, workspace=None))
    (job,) = taken
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == image
    assert container["args"][:5] == ["/usr/local/bin/python", "-m", "dagster", "api", "execute_run"]
    assert {"secretRef": {"name": "volt-pipeline"}} in container["envFrom"]
    assert container["resources"]["limits"] == {"memory": "2Gi"}
    assert (job["spec"]["backoffLimit"], pod["restartPolicy"]) == (0, "Never")
    assert pod["securityContext"] == {"runAsNonRoot": True, "runAsUser": 10001}
    given = {each["name"]: each.get("value") for each in container["env"]}
    assert {each["name"]: each["value"] for each in CODE["env"]}.items() <= given.items()
    assert given["DAGSTER_PG_PASSWORD"] is None  # of its secret
    assert not given.keys() & {"VOLT_API_TOKEN", "WAREHOUSE_URL"}
