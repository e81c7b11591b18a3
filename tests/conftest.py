"""Fixtures that many tests share."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.kit import Scene, Service
from tests.misbehaving import Misbehaving
from tests.page_kit import OWNER_PASSWORD, AppProcess, HeldSandbox, ScriptedApp
from tests.shelf import Shelf


@pytest.fixture
def server() -> Iterator[Misbehaving]:
    with Misbehaving() as running:
        yield running


@pytest.fixture
def service(server: Misbehaving) -> Service:
    return Service(server)


@pytest.fixture
def scene(tmp_path: Path, service: Service) -> Iterator[Scene]:
    """A studio against the scripted service; not started."""
    made = Scene(tmp_path / "data", service.server.url)
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
    """An app on a service that answers as it is told."""
    with ScriptedApp(tmp_path_factory.mktemp("scripted")) as running:
        yield running


@pytest.fixture(scope="session")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScriptedApp]:
    """An app on a scripted service, whose library the tests fill."""
    with ScriptedApp(tmp_path_factory.mktemp("stocked")) as running:
        yield running


@pytest.fixture
def shelf(stocked: ScriptedApp) -> Iterator[Shelf]:
    """The library of `stocked`, empty at first."""
    made = Shelf(stocked.app.data)
    with closing(sqlite3.connect(made.path, timeout=10)) as connection, connection:
        for table in ("outputs", "state_changes", "jobs"):
            connection.execute(f"DELETE FROM {table}")
    yield made
    made.ledger.close()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppProcess]:
    """An app whose owner said that others reach it, and has a password."""
    settings = {"DREAMINA_SHARED": "1", "DREAMINA_OWNER_PASSWORD": OWNER_PASSWORD}
    with AppProcess(tmp_path_factory.mktemp("shared"), **settings) as running:
        yield running
