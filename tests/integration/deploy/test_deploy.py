"""The Kubernetes deployment, as far as it can be tried without a cluster: everything in it is run or built for real."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import DagsterK8sJobConfig, construct_dagster_k8s_job
from kubernetes.client import ApiClient
from pydantic import SecretStr

from aquamind_pipeline.definitions import BUILD_FARM, LOAD_DATABASE
from aquamind_pipeline.settings import Settings, load_settings
from tests.helpers.farms import wait_for
from tests.helpers.places import ROOT

VALUES: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "values.yaml").read_text())
CODE: dict[str, Any] = VALUES["dagster-user-deployments"]["deployments"][0]
LAUNCHER: dict[str, Any] = VALUES["runLauncher"]["config"]["k8sRunLauncher"]
CONTAINERFILE = (ROOT / "deploy" / "Containerfile").read_text()
NOWHERE = {
    "clusters": [{"name": "nowhere", "cluster": {"server": "https://127.0.0.1:1"}}],
    "contexts": [{"name": "nowhere", "context": {"cluster": "nowhere", "user": "nobody"}}],
    "users": [{"name": "nobody", "user": {}}],
    "current-context": "nowhere",
}
"""A kubeconfig, which dagster-k8s reads when it makes its launcher."""
CHART = {
    "dagster-user-deployments",
    "runLauncher",
    "concurrency",
    "dagsterDaemon",
    "dagsterWebserver",
    "postgresql",
    "generatePostgresqlPasswordSecret",
    "global",
    "telemetry",
}
"""Of the chart's top-level values, those we set: the chart refuses no unknown ones there."""


def snake(value: Any) -> Any:
    """Keys as the chart's templates write them into dagster.yaml."""
    if isinstance(value, dict):
        return {re.sub("([A-Z])", lambda m: "_" + m[1].lower(), name): snake(one) for name, one in value.items()}
    return value


def test_every_setting_exists_and_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set(VALUES) == CHART
    given = {one["name"]: one["value"] for one in CODE["env"]}
    ours = {name for name in given if name.startswith("AQUAMIND_")}
    assert {name.removeprefix("AQUAMIND_").lower() for name in ours} <= set(Settings.model_fields)
    for name in ours:
        monkeypatch.setenv(name, given[name])
    understood = load_settings().environment()
    assert {name: understood[name] for name in ours} == {name: given[name] for name in ours}
    assert not [name for name in given if "SECRET" in name or "PASSWORD" in name or "KEY" in name or "URL" in name]


def test_a_run_becomes_a_pod_that_can_work() -> None:
    """dagster-k8s itself makes the Job of a run from these values: environment, secret, limits, and nobody's rights."""
    launcher = {"run_k8s_config": snake(LAUNCHER["runK8sConfig"])}
    code_server = {  # what the chart hands on from the code server, which dagster-k8s puts before the launcher's
        "image_pull_policy": CODE["image"]["pullPolicy"],
        "env": CODE["env"],
        "env_secrets": [one["name"] for one in CODE["envSecrets"]],
        "resources": CODE.get("resources", {}),
    }
    context = K8sContainerContext.create_from_config({"k8s": launcher}).merge(
        K8sContainerContext.create_from_config({"k8s": code_server})
    )
    image = f"{CODE['image']['repository']}:{CODE['image']['tag']}"
    made = construct_dagster_k8s_job(
        DagsterK8sJobConfig(
            job_image=image,
            dagster_home="/opt/dagster/dagster_home",
            instance_config_map="instance",
            postgres_password_secret=VALUES["global"]["postgresqlSecretName"],
        ),
        ["dagster", "api", "execute_run"],
        "run",
        context.run_k8s_config,
    )
    pod = ApiClient().sanitize_for_serialization(made)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == image
    assert {one["name"]: one.get("value") for one in container["env"]}["AQUAMIND_PROFILE"] == "saturation-170"
    assert {"secretRef": {"name": "aquamind"}} in container["envFrom"]
    assert container["securityContext"]["runAsNonRoot"] is True
    assert str(container["securityContext"]["runAsUser"]) == re.search(r"(?m)^USER (\d+)$", CONTAINERFILE)[1]  # type: ignore[index]
    assert container["resources"] == LAUNCHER["runK8sConfig"]["containerConfig"]["resources"]
    assert pod["terminationGracePeriodSeconds"] == 120


def test_dagster_starts_with_what_the_chart_writes(database: SecretStr, tmp_path: Path) -> None:
    """dagster.yaml as the chart makes it of our values.

    Dagster accepts it, its PostgreSQL records work, and dagster-k8s makes its launcher, here for a cluster that is
    nowhere.
    """
    user, password, host, port, name = re.match(  # type: ignore[misc]
        r"postgresql://(.+?):(.+?)@(.+?):(\d+)/(.+)", database.get_secret_value()
    ).groups()
    daemon, launcher = VALUES["dagsterDaemon"], snake(LAUNCHER)
    config = {
        "storage": {
            "postgres": {
                "postgres_db": {
                    "username": user,
                    "password": password,
                    "hostname": host,
                    "db_name": name,
                    "port": int(port),
                    "scheme": VALUES["postgresql"]["postgresqlScheme"],
                }
            }
        },
        "concurrency": {"runs": snake(VALUES["concurrency"]["runs"])},
        "run_monitoring": snake(daemon["runMonitoring"]),
        "run_retries": snake(daemon["runRetries"]),
        "run_launcher": {
            "module": "dagster_k8s",
            "class": "K8sRunLauncher",
            "config": launcher
            | {
                "service_account_name": "dagster",
                "instance_config_map": "instance",
                "dagster_home": "/opt/dagster/dagster_home",
                "postgres_password_secret": VALUES["global"]["postgresqlSecretName"],
                "load_incluster_config": False,
                "kubeconfig_file": str(tmp_path / "kubeconfig"),
            },
        },
        "telemetry": VALUES["telemetry"],
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(NOWHERE))
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(config))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.get_runs() == []
        assert type(instance.run_storage).__name__ == "PostgresRunStorage"
        assert instance.get_concurrency_config().run_queue_config.max_concurrent_runs == 1  # type: ignore[union-attr]
        assert instance.run_retries_max_retries == 1
        assert isinstance(instance.run_launcher, K8sRunLauncher)
        given = launcher["run_k8s_config"]
        assert {name: instance.run_launcher.run_k8s_config[name] for name in given} == given


def test_the_code_server_starts_and_has_the_jobs(tmp_path: Path) -> None:
    """With the very arguments and settings of the values, as the chart and the image put them on the command line."""
    words = [shlex.split(line) for line in CONTAINERFILE.splitlines() if line.startswith("CMD")]
    command = [word.strip(",[]") for word in words[0][1:]]
    assert command[-4:] == CODE["dagsterApiGrpcArgs"]
    assert command[command.index("--port") + 1] == str(CODE["port"])
    with code_server(Path(sys.executable).parent, CODE["dagsterApiGrpcArgs"], tmp_path) as port:
        assert {BUILD_FARM, LOAD_DATABASE} <= jobs(port, tmp_path)


@pytest.mark.slow
def test_the_steps_of_the_containerfile(tmp_path: Path) -> None:
    """Each step, with the image's folders below a folder of this test, and without those that need root's rights.

    Then what the image is for: a code server, and the farm `tiny` with its database.
    """
    variables = dict(os.environ)
    for line in CONTAINERFILE.splitlines():
        step, _, rest = re.sub(r"(?<![\w.])/(opt|var)/", rf"{tmp_path}/\1/", line).partition(" ")
        if step == "COPY":
            *sources, target = rest.split()
            for source in sources:
                _copy(ROOT / source, Path(target))
        elif step == "RUN" and not rest.startswith(("useradd", "chown")):
            subprocess.run(["sh", "-ec", rest], check=True, cwd=tmp_path)
        elif step == "ENV":
            name, _, value = rest.partition("=")
            variables[name] = value.replace("$PATH", variables["PATH"])
    built = ["sh", "-c", "aquamind build --profile tiny"]
    done = subprocess.run(built, capture_output=True, text=True, check=False, cwd=tmp_path, env=variables)
    assert done.returncode == 0, done.stderr
    assert "checks, all passed" in done.stdout
    assert (tmp_path / "var/lib/aquamind/reports/tiny.html").exists()
    with code_server(tmp_path / "opt/aquamind/.venv/bin", CODE["dagsterApiGrpcArgs"], tmp_path / "var/lib") as port:
        assert {BUILD_FARM, LOAD_DATABASE} <= jobs(port, tmp_path)


def _copy(source: Path, target: Path) -> None:
    """As COPY does: a folder's content into the folder, a file into it."""
    target.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"), symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy(source, target)


def test_only_the_base_image_comes_from_elsewhere() -> None:
    assert re.findall(r"(?m)^FROM (\S+)", CONTAINERFILE) == ["python:3.11-slim"]
    assert not re.search(r"https?://|index-url|trusted-host", CONTAINERFILE + (ROOT / "constraints.txt").read_text())


@contextmanager
def code_server(programs: Path, arguments: list[str], home: Path) -> Iterator[int]:
    """The port of a code server that answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [programs / "dagster", "api", "grpc", "--host", "127.0.0.1", "--port", str(port), *arguments]
    given = {one["name"]: one["value"] for one in CODE["env"]} | {"AQUAMIND_HOME": str(home)}
    with (home / "log").open("w") as log:
        server = subprocess.Popen(command, env=os.environ | given, stdout=log, stderr=log, cwd=home)
        try:
            wait_for(lambda: "Started Dagster code server" in (home / "log").read_text(), server)
            yield port
        finally:
            server.kill()
            server.wait()


def jobs(port: int, folder: Path) -> set[str]:
    """Jobs that Dagster's own command line finds at a code server; it may write into the folder."""
    where = ["--grpc-host", "127.0.0.1", "--grpc-port", str(port)]
    dagster = Path(sys.executable).with_name("dagster")
    done = subprocess.run([dagster, "job", "list", *where], stdout=subprocess.PIPE, text=True, check=True, cwd=folder)
    return set(re.findall(r"(?m)^Job: (\S+)", done.stdout))
