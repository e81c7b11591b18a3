"""Fixtures that many tests share."""

from __future__ import annotations

import sqlite3
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from xdist.scheduler import LoadFileScheduling

from dreamina_ui.media.bucket import Bucket
from dreamina_ui.web.gradio_page.import_patch import skip_stub_files
from tests.support.bad_server import BadServer
from tests.support.browser import OWNER_PASSWORD, AppProcess, HeldSandbox, ScriptedApp
from tests.support.contexts import Contexts, SharedContexts
from tests.support.databases import Engine, PostgresqlEngine, PostgresqlServer, SqliteEngine, find_postgresql
from tests.support.harness import Harness, ScriptedApi
from tests.support.library_rows import LibraryRows
from tests.support.s3_server import S3Server, S3ServerError

TOGETHER = (
    (
        "endpoints", "bad_calls", "batch_routes", "container", "request_limits", "appearance", "health",
        "language_choice", "program_examples", "mcp",
    ),
    ("page", "job_page", "batch_page", "reuse_page", "models_page", "prompt_tools_page"),
    ("library_page", "boards_page", "viewer", "costs", "hostile_page", "admin_page", "login_page"),
    (
        "create_page", "other_browsers", "repeated_requests", "connection", "keyboard_day", "field_kinds",
        "gradio_internals",
    ),
    ("app",), ("shared_page",), ("sandbox",), ("login_wall",), ("kill",), ("embedded_metadata",), ("api_key_page",),
    ("nginx",),
    (
        "store", "object_store", "bucket", "bucket_outage", "bucket_files", "bucket_commands", "bucket_nginx",
        "superseded", "database_commands",
    ),
)  # fmt: skip
"""What runs first, as it takes longest; files in one pair of brackets run in one process, as they share its apps."""
if sys.platform == "win32":  # they need POSIX: limits, mounts, signals
    collect_ignore = ["jobs/test_full_disk.py", "jobs/test_kill.py", "media/test_fetch.py", "ops/test_file_limits.py"]
RANKS = {f"test_{name}": rank for rank, group in enumerate(TOGETHER) for name in group}


@dataclass
class _Chromium:
    contexts: SharedContexts
    users: set[Path]
    """The files with tests that need it."""


CHROMIUM = pytest.StashKey[_Chromium]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-browser", action="store_true", help="skip the tests that need Chromium")


def pytest_collection(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput"):  # a process of xdist imports all test files, and Gradio with them
        with skip_stub_files():
            import_module("gradio")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--no-browser"):
        for item in items:
            if "contexts" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.skip(reason="--no-browser"))
    config.stash[CHROMIUM] = _Chromium(
        SharedContexts(), {item.path for item in items if "contexts" in getattr(item, "fixturenames", ())}
    )
    sqlite_only = [item for item in items if item.get_closest_marker("sqlite") and "[postgresql" in item.name]
    items[:] = [item for item in items if item not in sqlite_only]
    config.hook.pytest_deselected(items=sqlite_only)
    items.sort(key=rank)


def rank(item: pytest.Item) -> int:
    return RANKS.get(item.path.stem, len(TOGETHER))


class Groups(LoadFileScheduling):  # type: ignore[misc]  # xdist publishes no types
    """Gives each process of xdist whole groups of files: starting an app costs four seconds of CPU time."""

    def _split_scope(self, nodeid: str) -> str:
        name = Path(nodeid.partition("::")[0]).stem
        return TOGETHER[RANKS[name]][0] if name in RANKS else name


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    return Groups(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Close Chromium when the next file needs none: its event loop would forbid others in the same thread."""
    yield
    shared = item.config.stash[CHROMIUM]
    if nextitem is None or nextitem.path not in shared.users or rank(item) != rank(nextitem):
        shared.contexts.close()


@pytest.fixture(scope="module")
def contexts(request: pytest.FixtureRequest) -> Contexts:
    return request.config.stash[CHROMIUM].contexts.get()


@pytest.fixture(scope="module")
def browser(contexts: Contexts) -> Browser:
    """A Chromium, which files of the same group share."""
    return contexts.browser


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgresqlServer]:
    """A PostgreSQL server; each process of xdist has its own."""
    binaries = find_postgresql()
    if binaries is None:
        pytest.skip("there is no PostgreSQL server; on Debian: apt-get install postgresql-15")
    running = PostgresqlServer(binaries)
    yield running
    running.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Runs a test once with each database engine: `Ledger(path)` opens what stands for that path."""
    if request.param == "sqlite":
        yield SqliteEngine()
        return
    made = PostgresqlEngine(request.getfixturevalue("postgresql_server"))
    monkeypatch.setattr("dreamina_ui.ledger.ledger.SqliteDatabase", made.open)
    yield made
    made.close()


@pytest.fixture
def pg(postgresql_server: PostgresqlServer) -> Iterator[PostgresqlEngine]:
    made = PostgresqlEngine(postgresql_server)
    yield made
    made.close()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server; where none can start, its tests are skipped and say so."""
    try:
        with S3Server(tmp_path_factory.mktemp("s3")) as running:
            yield running
    except S3ServerError as exc:
        pytest.skip(str(exc))


@pytest.fixture
def bucket(s3_server: S3Server) -> Bucket:
    """An empty bucket, or rather a prefix of one."""
    return Bucket(s3_server.access(uuid.uuid4().hex), timeout_s=10.0)


@pytest.fixture
def server() -> Iterator[BadServer]:
    with BadServer() as running:
        yield running


@pytest.fixture
def service(server: BadServer) -> ScriptedApi:
    return ScriptedApi(server)


@pytest.fixture
def harness(tmp_path: Path, service: ScriptedApi) -> Iterator[Harness]:
    """The job services against the scripted service; not started."""
    made = Harness(tmp_path / "data", service.server.url)
    yield made
    made.close()


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """The app as a stranger starts it, with its own sandbox, only quicker, and with tools for assistants."""
    quick = {"DREAMINA_SANDBOX_QUEUE_S": "0.6", "DREAMINA_SANDBOX_RUN_S": "0.8", "DREAMINA_SANDBOX_PARALLEL": "8"}
    with AppProcess(tmp_path_factory.mktemp("app"), GRADIO_MCP_SERVER="1", **quick) as running:
        yield running


@pytest.fixture(scope="session")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HeldSandbox]:
    """An app whose jobs stand still until the test moves the clock."""
    with HeldSandbox(tmp_path_factory.mktemp("held")) as running:
        yield running


@pytest.fixture(scope="session")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedApp]:
    """An app on a scripted service."""
    with ScriptedApp(tmp_path_factory.mktemp("scripted")) as running:
        yield running


@pytest.fixture(scope="session")
def library_app(scripted: ScriptedApp) -> ScriptedApp:
    """The app whose library `rows` fills."""
    return scripted


@pytest.fixture
def rows(library_app: ScriptedApp) -> Iterator[LibraryRows]:
    """The library of `library_app`, empty at first."""
    made = LibraryRows(library_app.app.data)
    with closing(sqlite3.connect(made.path, timeout=10)) as connection, connection:
        for table in ("outputs", "state_changes", "jobs", "budgets", "board_files", "boards", "shares"):
            connection.execute(f"DELETE FROM {table}")
    yield made
    made.ledger.close()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """An app whose owner said that others reach it, and has a password."""
    settings = {"DREAMINA_SHARED": "1", "DREAMINA_OWNER_PASSWORD": OWNER_PASSWORD}
    with AppProcess(tmp_path_factory.mktemp("shared"), **settings) as running:
        yield running
