"""The one test command, `python tests/run.py`: set everything up, then run ruff, mypy and pytest.

It needs Python 3.10 or newer and what pip is configured with, and nothing else: it makes `.venv-tests` beside
`app.py`, installs what is asked for, and finds or installs a Chromium; as root on Debian, nginx too. More arguments
go to pytest as they are.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv-tests"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
REQUIREMENTS = (ROOT / "requirements.txt", ROOT / "tests" / "requirements.txt")
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ASK_PLAYWRIGHT = """
from playwright.sync_api import sync_playwright
with sync_playwright() as tool:
    print(tool.chromium.executable_path)
"""


def main(pytest_args: Sequence[str]) -> int:
    """Run everything; returns 0 if all of it passed."""
    if sys.version_info < (3, 10):  # noqa: UP036 - an older one should say so instead of breaking later
        _say("Python 3.10 or newer is needed.")
        return 2
    try:
        _install_packages()
        environment = {**os.environ, "CHROMIUM": _find_chromium() or _install_chromium()}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # each start of the app would compile it anew
        _install_nginx()
    except (OSError, subprocess.CalledProcessError) as exc:
        _say(f"The set-up failed: {exc}")
        return 2
    checks = {
        "ruff check": ["ruff", "check", "."],
        "ruff format": ["ruff", "format", "--check", "."],
        "mypy": ["mypy"],
        # conftest.py has the groups and their order: what takes longest comes first, whatever its number of tests.
        "pytest": ["pytest", "--numprocesses", "3", "--dist", "loadfile", "--no-loadscope-reorder", *pytest_args],
    }
    failed = [name for name, command in checks.items() if not _passes(name, command, environment)]
    _say(f"Failed: {', '.join(failed)}." if failed else f"All passed: {', '.join(checks)}.")
    return 1 if failed else 0


def _install_packages() -> None:
    """Make the venv and fill it, unless that was done for these very requirements and this very Python."""
    stamp = VENV / "installed.sha256"
    content = b"".join(path.read_bytes() for path in REQUIREMENTS) + sys.version.encode()
    digest = hashlib.sha256(content).hexdigest()
    if PYTHON.exists() and stamp.exists() and stamp.read_text() == digest:
        _say(f"{VENV.name} is up to date.")
        return
    _say(f"Making {VENV.name}.")
    _make_venv()
    _say(f"Installing {' and '.join(str(path.relative_to(ROOT)) for path in REQUIREMENTS)}.")
    wishes = [part for path in REQUIREMENTS for part in ("-r", str(path))]
    _run([PYTHON, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input", *wishes])
    stamp.write_text(digest)


def _make_venv() -> None:
    def make() -> None:
        venv.EnvBuilder(clear=True, with_pip=True, symlinks=os.name != "nt").create(VENV)

    try:
        make()
    except subprocess.CalledProcessError:
        if not _is_root_on_debian():
            raise
        _say("Python has no pip of its own here: installing python3-venv with apt-get.")
        _apt_install("python3-venv")
        make()


def _find_chromium() -> str | None:
    """A Chromium that is there: the CHROMIUM variable's, one on the path, or Playwright's own."""
    wished = os.environ.get("CHROMIUM")
    found = wished or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None) or _playwright_chromium()
    if not found or not shutil.which(found):
        return None
    _say(f"The browser is {found}.")
    return found


def _install_chromium() -> str:
    if _is_root_on_debian():
        _say("There is no Chromium: installing it with apt-get.")
        _apt_install("chromium")
    else:
        _say("There is no Chromium: installing Playwright's.")
        _run([PYTHON, "-m", "playwright", "install", "chromium"])
    found = _find_chromium()
    if not found:
        raise FileNotFoundError("no Chromium was found after installing one; set CHROMIUM to the path of one")
    return found


def _install_nginx() -> None:
    """Install nginx where that is one command; elsewhere its tests are skipped and say so."""
    for package in ("nginx", "openssl"):
        if not shutil.which(package, path=f"{os.environ.get('PATH', '')}:/usr/sbin") and _is_root_on_debian():
            _say(f"There is no {package}: installing it with apt-get.")
            _apt_install(package)


def _playwright_chromium() -> str | None:
    response = subprocess.run([PYTHON, "-c", _ASK_PLAYWRIGHT], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return response.stdout.strip() or None


def _is_root_on_debian() -> bool:
    return Path("/etc/debian_version").exists() and os.geteuid() == 0 and shutil.which("apt-get") is not None


def _apt_install(package: str) -> None:
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    _run(["apt-get", "update", "-q"], quiet)
    _run(["apt-get", "install", "-q", "-y", "--no-install-recommends", package], quiet)


def _passes(name: str, command: Sequence[str], environment: Mapping[str, str]) -> bool:
    _say(f"Running {name}.")
    return _run([PYTHON, "-m", *command], environment, check=False) == 0


def _run(command: Sequence[str | Path], environment: Mapping[str, str] | None = None, *, check: bool = True) -> int:
    done = subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, check=check)
    return done.returncode


def _say(text: str) -> None:
    print(f"tests: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
