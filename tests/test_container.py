"""The Dockerfile, as far as it can be tested without a Docker daemon."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from fnmatch import fnmatch

import pytest

from tests.support.bad_server import closed_port
from tests.support.browser import ROOT, AppProcess

RECIPE = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text())
LINES = [line for line in RECIPE.splitlines() if line and not line.startswith("#")]
FINAL = LINES[max(number for number, line in enumerate(LINES) if line.startswith("FROM ")) :]


def argument(instruction: str) -> str:
    """The argument of the last such instruction of the final image."""
    return next(line.partition(" ")[2] for line in reversed(FINAL) if line.startswith(f"{instruction} "))


def test_every_copied_file_exists_and_is_in_the_build_context() -> None:
    """A moved file must not break the build unnoticed."""
    allowed = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    sources = [line.split()[1] for line in LINES if line.startswith("COPY ") and "--from" not in line]
    assert {"app.py", "requirements.lock", "assets", "dreamina_ui"} == {*sources}
    for source in sources:
        assert (ROOT / source).exists()
        assert any(fnmatch(source, pattern) for pattern in allowed), source


def test_the_base_image_and_all_packages_are_pinned_by_hash() -> None:
    """A build next year installs what was reviewed today."""
    bases = {line.split()[1] for line in LINES if line.startswith("FROM ")}
    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+@sha256:[0-9a-f]{64}", bases.pop())
    assert "pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements.lock" in RECIPE


def test_it_runs_unprivileged_and_stores_its_data_in_the_volume() -> None:
    """A vulnerability does not give root rights, and an update loses no images."""
    instructions = [line.split()[0] for line in FINAL]
    assert argument("USER") not in ("root", "0")
    assert instructions.index("USER") < instructions.index("CMD")
    assert not {"COPY", "RUN", "ADD"} & {*instructions[instructions.index("USER") :]}
    assert f"DREAMINA_DATA_DIR={argument('VOLUME')}" in argument("ENV").split()
    assert json.loads(argument("CMD")) == ["python", "app.py"]


@pytest.mark.parametrize("is_up", [True, False])
def test_the_health_check_reports_whether_the_program_is_up(app: AppProcess, is_up: bool) -> None:
    """A container that hangs is restarted, and one that works is not; the image has no curl."""
    python, *arguments = json.loads(argument("HEALTHCHECK").partition("CMD ")[2])
    assert python == "python"
    environment = os.environ | {"GRADIO_SERVER_PORT": str(app.port if is_up else closed_port())}
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, timeout=20)
    assert (done.returncode == 0) is is_up
