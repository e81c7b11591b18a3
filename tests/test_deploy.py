"""The files in deploy/, as far as they can be tested without Docker and Kubernetes."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from dreamina_ui.ops.metrics import _gauge
from dreamina_ui.settings import SECRET_VARIABLES, Settings
from dreamina_ui.web.paths import HEALTHZ, READYZ

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def documents(name: str) -> list[dict[str, object]]:
    return list(yaml.safe_load_all((DEPLOY / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", ["compose.yaml", "kubernetes.yaml", "dreamina-ui@.service"])
def test_each_setting_exists(name: str) -> None:
    """A name that nobody reads is a setting that silently does nothing."""
    text = (DEPLOY / name).read_text(encoding="utf-8")
    known = {str(field.validation_alias) for field in Settings.model_fields.values()} | {*SECRET_VARIABLES}
    used = {*re.findall(r"\bDREAMINA_[A-Z0-9_]*[A-Z0-9]\b", text)}
    assert used
    assert used - known == set()


def test_the_compose_file_has_every_part() -> None:
    """Whoever starts it gets replicas, a proxy, a database and a bucket."""
    [compose] = documents("compose.yaml")
    services = compose["services"]
    assert isinstance(services, dict)
    assert set(services) == {"app", "nginx", "postgres", "seaweedfs"}
    assert services["app"]["deploy"]["replicas"] == 3
    for mount in services["nginx"]["volumes"]:
        assert (DEPLOY / mount.split(":")[0]).exists()


def test_the_kubernetes_example_asks_for_what_there_is() -> None:
    """A probe of a wrong path restarts every replica forever, and a metric that is not there scales nothing."""
    kinds = {str(item["kind"]) for item in documents("kubernetes.yaml")}
    assert kinds == {"Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler"}
    text = (DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")
    assert {*re.findall(r"path: (/\w+), port", text)} == {HEALTHZ, READYZ}
    assert f"{_gauge('jobs', '', 'state', {}).name}{{state=~" in text


@pytest.mark.skipif(not NGINX, reason="nginx is missing; on Debian: apt-get install nginx")
def test_nginx_takes_the_configuration_for_replicas(tmp_path: Path) -> None:
    """A typo would show at the first start, on somebody's machine."""
    given = (DEPLOY / "nginx-replicas.conf").read_text(encoding="utf-8").replace("app:7860", "127.0.0.1:7860")
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    positions = "".join(f"{kind}_temp_path {tmp_path}/{kind};" for kind in kinds)
    (tmp_path / "nginx.conf").write_text(
        f"pid {tmp_path}/pid; events {{}} http {{ access_log off; {positions} {given} }}"
    )
    command = [str(NGINX), "-t", "-p", str(tmp_path), "-e", "stderr", "-c", str(tmp_path / "nginx.conf")]
    tested = subprocess.run(command, capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stderr
    assert "non_idempotent;" not in given
