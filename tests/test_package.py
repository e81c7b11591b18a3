"""The installable package: what the wheel holds, and that nothing it needs is listed twice."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

import pytest
import requests
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dreamina_ui import __version__
from dreamina_ui.web.paths import asset_path, static_files
from tests.support.browser import ROOT, AppProcess

PACKAGE = ROOT / "dreamina_ui"
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """The wheel that `pip install .` would install."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    with zipfile.ZipFile(next(folder.glob("dreamina_ui-*.whl"))) as archive:
        yield archive


def requirements() -> set[Requirement]:
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return {Requirement(line) for line in lines if line and not line.startswith("#")}


def locked_versions() -> dict[str, list[str]]:
    """The versions in the lock file by canonical name; there are several where they differ by Python version."""
    versions: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?==([^ ]+)", LOCK, flags=re.MULTILINE):
        versions.setdefault(canonicalize_name(name), []).append(version)
    return versions


def test_the_wheel_holds_every_file_of_the_program(wheel: zipfile.ZipFile) -> None:
    """An installed page without its scripts, languages, logo or examples would be broken."""
    code = {
        path.relative_to(ROOT).as_posix() for path in PACKAGE.rglob("*") if path.is_file() and path.suffix != ".pyc"
    }
    folders = (ROOT / "assets" / "examples", ROOT / "assets" / "icons")
    assets = {
        f"dreamina_ui/web/static/{path.parent.name}/{path.name}" for folder in folders for path in folder.iterdir()
    }
    files = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert files == code | assets | {"dreamina_ui/web/static/logo.svg"}


def test_the_wheel_requires_exactly_what_requirements_txt_lists(wheel: zipfile.ZipFile) -> None:
    """People install either one and must get the same program."""
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    metadata = Parser().parsestr(wheel.read(name).decode())
    required = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]

    def comparable(items: set[Requirement]) -> set[tuple[str, ...]]:
        return {
            (canonicalize_name(item.name), ",".join(sorted(item.extras)), str(item.specifier), str(item.marker or ""))
            for item in items
        }

    assert comparable({item for item in required if "extra ==" not in str(item.marker)}) == comparable(requirements())
    assert metadata.get_all("Provides-Extra") == ["mcp", "postgres", "s3"]


def test_the_lock_file_fulfills_requirements_txt() -> None:
    """The container must not install an older version than the program asks for."""
    versions = locked_versions()
    for requirement in requirements():
        locked = versions.get(canonicalize_name(requirement.name))
        assert locked, (
            f"{requirement.name} is not in requirements.lock; CONTRIBUTING.md has the command that updates it"
        )
        assert all(requirement.specifier.contains(version) for version in locked), f"{requirement}: {locked}"


def test_the_guide_has_the_command_that_made_the_lock_file() -> None:
    """Whoever updates it by another command gets another file."""
    command = LOCK.splitlines()[1].lstrip("# ")
    assert f'export UV_CUSTOM_COMPILE_COMMAND="{command}"' in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_every_locked_package_has_a_hash_and_no_index_is_named() -> None:
    """pip then installs only the reviewed files, from whichever index it is configured with."""
    entries = re.split(r"\n(?=[\w-])", LOCK[LOCK.index("\n", LOCK.index("uv pip compile")) + 1 :].strip())
    assert len(entries) == sum(map(len, locked_versions().values()))
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in LOCK


def test_the_installed_program_serves_its_page_from_another_folder(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """`pip install .` and then `dreamina-ui serve` from any folder must give the whole page."""
    installed = tmp_path / "installed"
    wheel.extractall(installed)
    command = f"import os; os.chdir({str(tmp_path)!r}); from dreamina_ui.__main__ import main; main()"
    with AppProcess(tmp_path, "-c", command, "serve", PYTHONPATH=str(installed)) as app:
        info = requests.get(f"{app.url}/gradio_api/info", timeout=10).json()
        assert "/generate" in info["named_endpoints"]
        assert asset_path("main.js") in requests.get(app.url, timeout=10).text
        for name in static_files():
            assert requests.get(f"{app.url}/{asset_path(name)}", timeout=10).status_code == 200, name
        assert app.end(signal.SIGTERM) == 0
        assert "Jobs go to" in app.output


def test_the_installed_command_prints_its_version(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    """A bug report needs it."""
    wheel.extractall(tmp_path)
    script = wheel.read(f"dreamina_ui-{__version__}.dist-info/entry_points.txt").decode()
    assert "dreamina-ui = dreamina_ui.__main__:main" in script
    command = [sys.executable, "-c", "from dreamina_ui.__main__ import main; main()", "--version"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
    assert __version__ in done.stdout
