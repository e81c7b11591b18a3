"""The one test command, `python tests/run.py [--no-browser] [arguments of pytest]`: set up, then run all checks.

It needs Python 3.10 or newer and a package index that pip can reach. It creates `.venv-tests` next to `app.py`,
installs the requirements, and finds or installs Chromium; as root on Debian, also nginx, PostgreSQL and npm. Then it
runs ruff, mypy, the checks of the JavaScript modules, and pytest, which also checks the import contracts of
pyproject.toml. `--no-browser` skips what needs Chromium.

A few tests that fail in the whole run are run once more, alone, as a browser can be too slow on a busy machine. The
last line names them: each is a race in the product or in the test, and should be looked at.

The temporary files are in memory where there is plenty: each commit of a ledger waits for a disk.
"""

from __future__ import annotations

import hashlib
import json
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
TESTS = ROOT / "tests"
NODE_CHECK = ("npm", "--prefix", str(TESTS), "run", "--silent", "check")
NO_BROWSER = "--no-browser"
LAST_FAILED = ROOT / ".pytest_cache" / "v" / "cache" / "lastfailed"
# conftest.py defines the groups and their order: the slowest first, whatever their number of tests.
PARALLEL = ("--numprocesses", "3", "--dist", "loadfile", "--no-loadscope-reorder")
TIDY = ("-o", "tmp_path_retention_policy=failed")
MAX_REPEATED = 10
TESTS_FAILED = 1  # pytest's exit code; others mean that not all tests were run
MEMORY = Path("/dev/shm")
MIN_MEMORY_BYTES = 4 * 2**30
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PLAYWRIGHT_PATH = """
from playwright.sync_api import sync_playwright
with sync_playwright() as tool:
    print(tool.chromium.executable_path)
"""


def main(pytest_args: Sequence[str]) -> int:
    """Run all checks; returns 0 if they passed."""
    if sys.version_info < (3, 10):  # noqa: UP036 - an older one should say so, not fail later
        _say("Python 3.10 or newer is needed.")
        return 2
    try:
        _install_packages()
        environment = dict(os.environ)
        if NO_BROWSER not in pytest_args:
            environment["CHROMIUM"] = _find_chromium() or _install_chromium()
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # each start of the app would compile it again
        environment |= _temporary_folder()
        _install_servers()
        has_node = _install_node()
    except (OSError, subprocess.CalledProcessError) as exc:
        _say(f"The set-up failed: {exc}")
        return 2
    checks = {
        "ruff check": ["ruff", "check", "."],
        "ruff format": ["ruff", "format", "--check", "."],
        "mypy": ["mypy"],
        **({"JavaScript modules": NODE_CHECK} if has_node else {}),
        "pytest": ["pytest", *PARALLEL, *TIDY, *pytest_args],
    }
    LAST_FAILED.unlink(missing_ok=True)
    codes = {name: _check(name, command, environment) for name, command in checks.items()}
    repeated = _failed_tests() if codes["pytest"] == TESTS_FAILED and not pytest_args else []
    if repeated:
        codes["pytest"] = _check("the failed tests alone", ["pytest", *TIDY, *repeated], environment)
    failed = [name for name, code in codes.items() if code]
    _say(f"Failed: {', '.join(failed)}." if failed else f"All passed: {', '.join(checks)}.")
    if repeated:
        _say(f"Failed in the whole run: {', '.join(repeated)}.")
    return 1 if failed else 0


def _failed_tests() -> list[str]:
    """The tests that the last run of pytest names as failed; none if there are too many to blame a busy machine."""
    failed = list(json.loads(LAST_FAILED.read_text(encoding="utf-8"))) if LAST_FAILED.exists() else []
    return failed if len(failed) <= MAX_REPEATED else []


def _install_packages() -> None:
    """Create the venv, unless it exists for these requirements and this Python."""
    stamp = VENV / "installed.sha256"
    content = b"".join(path.read_bytes() for path in REQUIREMENTS) + sys.version.encode()
    digest = hashlib.sha256(content).hexdigest()
    if PYTHON.exists() and stamp.exists() and stamp.read_text() == digest:
        _say(f"{VENV.name} is up to date.")
        return
    _say(f"Creating {VENV.name}.")
    _make_venv()
    _say(f"Installing {' and '.join(str(path.relative_to(ROOT)) for path in REQUIREMENTS)}.")
    options = [part for path in REQUIREMENTS for part in ("-r", str(path))]
    _run([PYTHON, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-input", *options])
    stamp.write_text(digest)


def _make_venv() -> None:
    def make() -> None:
        venv.EnvBuilder(clear=True, with_pip=True, symlinks=os.name != "nt").create(VENV)

    try:
        make()
    except subprocess.CalledProcessError:
        if not _is_root_on_debian():
            raise
        _say("This Python has no pip: installing python3-venv with apt-get.")
        _apt_install("python3-venv")
        make()


def _find_chromium() -> str | None:
    """The path of a Chromium: from the CHROMIUM variable, on the path, or of Playwright."""
    given = os.environ.get("CHROMIUM")
    path = given or next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None) or _playwright_chromium()
    if not path or not shutil.which(path):
        return None
    _say(f"The browser is {path}.")
    return path


def _install_chromium() -> str:
    if _is_root_on_debian():
        _say("There is no Chromium: installing it with apt-get.")
        _apt_install("chromium")
    else:
        _say("There is no Chromium: installing Playwright's.")
        _run([PYTHON, "-m", "playwright", "install", "chromium"])
    path = _find_chromium()
    if not path:
        raise FileNotFoundError("no Chromium was found after installing it; set CHROMIUM to its path")
    return path


def _temporary_folder() -> dict[str, str]:
    """The variable by which pytest makes its temporary folders in memory; empty where there is too little of it."""
    if not os.access(MEMORY, os.W_OK) or shutil.disk_usage(MEMORY).free < MIN_MEMORY_BYTES:
        return {}
    return {"PYTEST_DEBUG_TEMPROOT": str(MEMORY)}


def _install_servers() -> None:
    """Install nginx and PostgreSQL where that is one command; elsewhere their tests are skipped and say so."""
    folders = [os.environ.get("PATH", ""), "/usr/sbin", *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    for package, program in {"nginx": "nginx", "openssl": "openssl", "postgresql": "postgres"}.items():
        if not shutil.which(program, path=os.pathsep.join(folders)) and _is_root_on_debian():
            _say(f"There is no {package}: installing it with apt-get.")
            _apt_install(package)


def _install_node() -> bool:
    """Install npm's tools for the page's modules; False where there is no npm, and their checks are skipped."""
    if not shutil.which("npm") and _is_root_on_debian():
        _say("There is no npm: installing it with apt-get.")
        _apt_install("npm")
    npm = shutil.which("npm")
    if not npm:
        _say("There is no npm: the checks of the JavaScript modules are skipped.")
        return False
    lock = (TESTS / "package-lock.json").read_bytes()
    stamp = TESTS / "node_modules" / "installed.sha256"
    digest = hashlib.sha256(lock).hexdigest()
    if not stamp.exists() or stamp.read_text() != digest:
        _run([npm, "ci", "--prefix", TESTS, "--silent"])
        stamp.write_text(digest)
    return True


def _playwright_chromium() -> str | None:
    response = subprocess.run(
        [PYTHON, "-c", _PLAYWRIGHT_PATH], capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    return response.stdout.strip() or None


def _is_root_on_debian() -> bool:
    return Path("/etc/debian_version").exists() and os.geteuid() == 0 and shutil.which("apt-get") is not None


def _apt_install(package: str) -> None:
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    _run(["apt-get", "update", "-q"], quiet)
    _run(["apt-get", "install", "-q", "-y", "--no-install-recommends", package], quiet)


def _check(name: str, command: Sequence[str], environment: Mapping[str, str]) -> int:
    _say(f"Running {name}.")
    program: Sequence[str | Path] = [PYTHON, "-m", *command]
    if command[0] == "npm":
        program = [shutil.which("npm") or "npm", *command[1:]]  # on Windows it has an ending
    return _run(program, environment, check=False)


def _run(command: Sequence[str | Path], environment: Mapping[str, str] | None = None, *, check: bool = True) -> int:
    done = subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, check=check)
    return done.returncode


def _say(text: str) -> None:
    print(f"tests: {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
